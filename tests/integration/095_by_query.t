# _reindex, _update_by_query, _delete_by_query: slices, rates, conflicts, tasks whose results are kept,
# and tasks that go on when the node that runs them is killed, without doing anything twice.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('bq', nodes => 3);
$c->start;
my @n = $c->nodes;
my $docs = 3000;

sub count { my ($index, $q) = @_; my $n = (grep { $_->alive } @n)[0]; $n->post("/$index/_refresh"); return $n->get("/$index/_count" . ($q ? "?q=$q" : ''))->{json}{count} // -1 }
sub fill {
    my ($index) = @_;
    my $r = $n[0]->put("/$index", {settings => {number_of_shards => 3, number_of_replicas => 1}, mappings => {properties => {n => {type => 'integer'}, t => {type => 'keyword'}}}});
    is($r->{status}, 200, "index $index");
    $r = $n[1]->post("/$index/_bulk?refresh=true", join '', map { qq({"index":{"_id":"$_","routing":"r@{[$_ % 7]}"}}\n{"n":$_,"t":"t@{[$_ % 10]}"}\n) } 1 .. $docs);
    is($r->{json}{errors} ? 1 : 0, 0, "documents of $index");
}
fill('src');

subtest 'a copy has all documents, with their routing' => sub {
    my $r = $n[2]->post('/_reindex?refresh=true', {source => {index => 'src'}, dest => {index => 'copy'}});
    is($r->{status}, 200, 'it is made') or diag $r->{content};
    is($r->{json}{created}, $docs, 'all are created');
    is(count('copy'), $docs, 'all are found');
    is($n[0]->get('/copy/_doc/8?routing=r1')->{json}{_routing}, 'r1', 'routing is kept');
    $r = $n[0]->post('/_reindex?refresh=true', {source => {index => 'src', _source => ['n'], query => {term => {t => 't3'}}, size => 37}, dest => {index => 'part', routing => 'discard'}});
    is($r->{json}{total}, $docs / 10, 'a part by a query') or diag $r->{content};
    my $hit = $n[1]->post('/part/_search', {size => 1})->{json}{hits}{hits}[0];
    is_deeply([keys %{ $hit->{_source} }, exists $hit->{_routing}], ['n', ''], 'with a part of their source and without routing');
};

subtest 'conflicts and versions' => sub {
    my $r = $n[0]->post('/_reindex', {source => {index => 'src'}, dest => {index => 'copy', op_type => 'create'}});
    is($r->{status}, 409, 'what is there is a conflict');
    like($r->{json}{failures}[0]{cause}{reason}, qr/version conflict, document already exists/, '... and told');
    $r = $n[0]->post('/_reindex', {conflicts => 'proceed', source => {index => 'src'}, dest => {index => 'copy', op_type => 'create'}});
    is_deeply([@{ $r->{json} }{qw(created version_conflicts)}, $r->{status}], [0, $docs, 200], 'unless it is to proceed');
    $r = $n[0]->post('/_reindex', {conflicts => 'proceed', source => {index => 'src'}, dest => {index => 'copy', version_type => 'external'}});
    is($r->{json}{version_conflicts}, $docs, 'an external version must be higher');
};

subtest 'slices, limits, order' => sub {
    my $r = $n[1]->post('/_reindex?slices=5&max_docs=1003&refresh=true', {source => {index => 'src'}, dest => {index => 'some'}});
    is($r->{json}{created}, 1003, 'max_docs over slices') or diag $r->{content};
    is(scalar @{ $r->{json}{slices} }, 5, 'each slice is told');
    is(count('some'), 1003, 'no more than that is found');
    $r = $n[1]->post('/src/_update_by_query?slices=auto&refresh=true');
    is_deeply([@{ $r->{json} }{qw(updated version_conflicts)}], [$docs, 0], 'an update of all');
    is($n[0]->get('/src/_doc/1?routing=r1')->{json}{_version}, 2, '... is a new version');
    $r = $n[1]->post('/_reindex?refresh=true', {max_docs => 5, source => {index => 'src', sort => {n => 'desc'}}, dest => {index => 'last'}});
    is_deeply([sort map { $_->{_id} } @{ $n[0]->post('/last/_search')->{json}{hits}{hits} }], [$docs - 4 .. $docs], 'the first of an order');
    for my $manual (0, 1) {
        $n[0]->post('/_reindex?refresh=true', {source => {index => 'src', slice => {id => $manual, max => 2}}, dest => {index => 'halves', op_type => 'create'}});
    }
    is(count('halves'), $docs, 'slices by hand add up');
};

subtest 'what is refused' => sub {
    for my $case (
        ['/_reindex', {source => {index => 'src'}, dest => {index => 'src'}}, 400, qr/cannot write into an index its reading from \[src\]/],
        ['/_reindex', {source => {index => 'src', junk => 1}, dest => {index => 'x'}}, 400, qr/\[junk\]/],
        ['/_reindex', {source => {index => 'none'}, dest => {index => 'x'}}, 404, qr/no such index \[none\]/],
        ['/_reindex', {source => {index => 'src', query => {nosuch => {}}}, dest => {index => 'x'}}, 400, qr/unknown query \[nosuch\]/],
        ['/_reindex', {source => {index => 'src', size => 0}, dest => {index => 'x'}}, 400, qr/source\.size.*between 1 and 10000/],
        ['/_reindex', {source => {index => 'src'}, dest => {index => 'x'}, script => {source => 'x +'}}, 400, qr/compile error/],
        ['/_reindex?slices=0', {source => {index => 'src'}, dest => {index => 'x'}}, 400, qr/\[slices\] must be a positive integer/],
        ['/_reindex?requests_per_second=0', {source => {index => 'src'}, dest => {index => 'x'}}, 400, qr/requests_per_second/],
        ['/src/_delete_by_query', {}, 400, qr/query is missing/],
        ['/src/_update_by_query?slices=3&max_docs=2', {}, 400, qr/\[max_docs\] should be >= \[slices\]/],
    ) {
        my ($path, $body, $status, $like) = @$case;
        my $r = $n[0]->post($path, $body);
        is($r->{status}, $status, "$path: $status") or diag $r->{content};
        like($r->{json}{error}{reason} // '', $like, '... with the reason') or diag $r->{content};
    }
};

sub task { my ($node, $path, $body) = @_; my $r = $node->post($path, $body); diag $r->{content} if !$r->{json}{task}; return $r->{json}{task} }
sub status { my ($node, $id) = @_; return $node->get("/_tasks/$id")->{json} }

subtest 'a task in the background: its status, another rate, its result' => sub {
    my $id = task($n[1], '/_reindex?wait_for_completion=false&requests_per_second=1&refresh=true', {source => {index => 'src', size => 100}, dest => {index => 'slow'}});
    like($id, qr/^[\w-]{22}:\d+$/, 'the answer names it');
    ok($n[0]->wait_for(sub { (status($n[0], $id)->{task}{status}{created} // 0) == 100 }, 30), 'another node tells how far it is');
    my $t;
    ok($n[2]->wait_for(sub { $t = status($n[2], $id); ($t->{task}{status}{throttled_until_millis} // 0) > 0 }, 30), '... that it waits');
    is_deeply([@{ $t->{task} }{qw(action description)}], ['indices:data/write/reindex', 'reindex from [src] to [slow]'], '... and what it is');
    ok(!$t->{completed}, '... and has not ended');
    my $r = $n[2]->post("/_reindex/$id/_rethrottle?requests_per_second=-1");
    is($r->{status}, 200, 'another rate, by another node') or diag $r->{content};
    $r = $n[0]->get("/_tasks/$id?wait_for_completion=true&timeout=60s");
    ok($r->{json}{completed}, 'it is waited for') or diag $r->{content};
    is($r->{json}{response}{created}, $docs, 'the result is kept');
    is(count('slow'), $docs, 'all is there');
    is($n[0]->post("/_reindex/$id/_rethrottle?requests_per_second=5")->{status}, 404, 'what has ended has no rate');
    is((grep { $_->{index} eq '.tasks' } @{ $n[0]->get('/_cat/indices?format=json')->{json} }), 0, 'the index of results is hidden');
};

subtest 'cancelled' => sub {
    my $id = task($n[0], '/src/_update_by_query?wait_for_completion=false&requests_per_second=1&scroll_size=10', {});
    ok($n[1]->wait_for(sub { (status($n[1], $id)->{task}{status}{updated} // 0) >= 10 }, 30), 'it has begun');
    is($n[2]->post("/_tasks/$id/_cancel")->{status}, 200, 'a node cancels it');
    my $r = $n[1]->get("/_tasks/$id?wait_for_completion=true&timeout=60s")->{json};
    is($r->{response}{canceled}, 'by user request', 'its result says so');
    cmp_ok($r->{response}{updated}, '<', $docs, 'it has not done all');
};

subtest 'the node of a task is killed' => sub {
    my %seen;
    my $create = task($n[2], '/_reindex?wait_for_completion=false&requests_per_second=500&refresh=true', {source => {index => 'src', size => 50}, dest => {index => 'moved', op_type => 'create'}});
    my $update = task($n[2], '/copy/_update_by_query?wait_for_completion=false&requests_per_second=500&scroll_size=50&slices=2', {query => {match_all => {}}});
    my $delete = task($n[2], '/halves/_delete_by_query?wait_for_completion=false&requests_per_second=500&scroll_size=50', {query => {range => {n => {lte => 2000}}}});
    $n[0]->post('/copy/_refresh');
    my %before = map { $_->{_id} => $_->{_version} } @{ $n[0]->post('/copy/_search?version=true', {size => 10000, _source => \0})->{json}{hits}{hits} };
    ok($n[0]->wait_for(sub { (status($n[0], $create)->{task}{status}{created} // 0) >= 200 && (status($n[0], $update)->{task}{status}{updated} // 0) >= 200 }, 60), 'they are under way');
    $n[2]->kill9;
    my $at = time;
    for my $id ($create, $update, $delete) {
        ok($n[0]->wait_for(sub { my $as = $n[0]->get("/.tasks/_doc/$id")->{json}{_source}; $as->{completed} || ($as->{run}{as} // '') ne $id }, 60), 'another node goes on');
    }
    my @r = map { $n[0]->get("/_tasks/$_?wait_for_completion=true&timeout=120s")->{json} } $create, $update, $delete;
    ok($_->{completed}, 'it ends') or diag explain $_ for @r;
    is(count('moved'), $docs, 'each document was copied once');
    is_deeply($r[1]{response}{failures}, [], 'the update has no failures');
    is_deeply([$r[0]{response}{failures}, $r[0]{response}{canceled}], [[], undef], 'without failures') or diag explain $r[0];
    is(count('halves'), $docs - 2000, 'what matched is deleted');
    $n[0]->post('/copy/_refresh');
    my %now = map { $_->{_id} => $_->{_version} } @{ $n[0]->post('/copy/_search?version=true', {size => 10000, _source => \0})->{json}{hits}{hits} };
    my @twice = grep { $now{$_} > $before{$_} + 2 } keys %now;
    my @never = grep { $now{$_} == $before{$_} } keys %now;
    is_deeply([scalar @never, scalar @twice], [0, 0], 'each document was updated');
};

is($c->stop, 0, 'the nodes stop');
done_testing;
