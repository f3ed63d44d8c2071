# 240_search_nodes.t: searches over three nodes as a client meets them: any node answers alike, scrolls
# and points in time go on at other nodes, tasks of all are listed; a node killed is told of.
use strict;
use warnings;
use Test::More;
use JSON::PP;
use POSIX ();
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('search', nodes => 3)->start;
my ($first, @others) = $c->nodes;
is($first->put('/x', { settings => { number_of_shards => 6, number_of_replicas => 0 },
    mappings => { properties => { n => { type => 'long' }, tag => { type => 'keyword' } } } })->{status}, 200, 'index made');
my $bulk = join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_,"tag":"t@{[$_ % 7]}","text":"word w@{[$_ % 5]}"}\n) } 1 .. 500;
my $r = $first->request('POST', '/x/_bulk?refresh=true', $bulk);
ok($r->{json}{items} && !$r->{json}{errors}, '500 documents') or diag $r->{content};
for my $n ($c->nodes) {
    ok($n->wait_for(sub { ($n->get('/_cluster/health/x')->{json}{status} // '') eq 'green' }, 120), "$n->{name} sees it green");
}
my %holders = map { $_->{node} => 1 } @{ $first->get('/_cat/shards/x?format=json')->{json} };
is(scalar keys %holders, 3, 'each node has shards');

sub plain { my $a = shift; delete $a->{$_} for qw(took _scroll_id pit_id); return JSON::PP->new->canonical->encode($a) }

my @bodies = (
    { size => 20, sort => [{ n => 'desc' }] },
    { query => { match => { text => 'w3' } }, size => 5 },
    { size => 0, aggs => { t => { terms => { field => 'tag' }, aggs => { s => { stats => { field => 'n' } } } }, p => { percentiles => { field => 'n' } } } },
    { query => { range => { n => { gte => 490 } } }, sort => ['n'], docvalue_fields => ['tag'] },
);
for my $b (@bodies) {
    my $want = plain($first->post('/x/_search', $b)->{json});
    is(plain($_->post('/x/_search', $b)->{json}), $want, "$_->{name} answers alike: " . encode_json($b)) for @others;
}
is($_->post('/x/_count', { query => { term => { tag => 't1' } } })->{json}{count}, 72, "$_->{name} counts") for $c->nodes;

subtest 'a scroll goes from node to node' => sub {
    my @nodes = $c->nodes;
    my %seen;
    $r = $first->post('/x/_search?scroll=1m', { size => 60 });
    for my $page (1 .. 20) {
        my @hits = @{ $r->{json}{hits}{hits} };
        last unless @hits;
        $seen{ $_->{_id} }++ for @hits;
        $r = $nodes[$page % 3]->post('/_search/scroll', { scroll => '1m', scroll_id => $r->{json}{_scroll_id} });
        is($r->{status}, 200, "page $page") or diag $r->{content};
    }
    is(scalar keys %seen, 500, 'all documents');
    ok(!(grep { $_ > 1 } values %seen), 'each once');
    is($nodes[2]->delete('/_search/scroll', { scroll_id => $r->{json}{_scroll_id} })->{json}{num_freed}, 1, 'ended');
};

subtest 'a point in time' => sub {
    my $id = $others[0]->post('/x/_pit?keep_alive=1m', undef)->{json}{id};
    ok($id, 'opened');
    $first->request('PUT', '/x/_doc/new?refresh=true', '{"n":1000}');
    for my $n ($c->nodes) {
        my $j = $n->post('/_search', { pit => { id => $id }, size => 0, track_total_hits => JSON::PP::true })->{json};
        is($j->{hits}{total}{value}, 500, "$n->{name} sees what there was");
        is($n->post('/x/_count', {})->{json}{count}, 501, "$n->{name} sees what there is");
    }
    is($others[1]->delete('/_pit', { id => $id })->{json}{num_freed}, 1, 'ended');
};

like($others[1]->get('/_tasks?group_by=nodes')->{content}, qr/"$_->{name}"/, "_tasks knows $_->{name}") for $others[1];

subtest 'copies' => sub {
    is($first->put('/r', { settings => { number_of_shards => 3, number_of_replicas => 1 } })->{status}, 200, 'index with replicas');
    my $docs = join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_}\n) } 1 .. 200;
    ok(!$first->post('/r/_bulk?refresh=true', $docs)->{json}{errors}, '200 documents');
    ok($c->wait_status('green'), 'green') or return;
    for my $n ($c->nodes) {
        my %totals;
        for my $how ('', '?preference=_local', '?preference=abc', '?preference=def', "?preference=_prefer_nodes:$n->{name}") {
            my $j = $n->post("/r/_search$how", { size => 0, track_total_hits => JSON::PP::true })->{json};
            $totals{ "$j->{hits}{total}{value}/$j->{_shards}{failed}" }++;
        }
        is_deeply([keys %totals], ['200/0'], "every copy has all documents, asked at $n->{name}") or diag explain \%totals;
    }
    my %held;
    push @{ $held{ $_->{node} } }, $_->{shard} for @{ $first->get('/_cat/shards/r?format=json')->{json} };
    for my $n ($c->nodes) {
        my ($id) = grep { $first->get('/_nodes')->{json}{nodes}{$_}{name} eq $n->{name} } keys %{ $first->get('/_nodes')->{json}{nodes} };
        my $hits = $others[0]->post("/r/_search?preference=_prefer_nodes:$n->{name}", { size => 200, explain => JSON::PP::true })->{json}{hits}{hits};
        my %own = map { $_ => 1 } @{ $held{ $n->{name} } || [] };
        my @wrong = grep { my ($s) = $_->{_shard} =~ /\[(\d+)\]$/; ($own{$s} || 0) != ($_->{_node} eq $id) } @$hits;
        is(scalar @wrong, 0, "shards of $n->{name} are searched there when it is preferred");
    }
    $c->kill9(2);
    my (%after, $bad);
    for (1 .. 60) {
        for my $n ($first, $others[0]) {
            $r = $n->post('/r/_search', { size => 3, track_total_hits => JSON::PP::true });
            my $j = $r->{json};
            $after{ "$r->{status}: $j->{hits}{total}{value}/$j->{_shards}{failed}" }++;
            $bad //= $r->{content} if $j->{_shards}{failed};
        }
    }
    is_deeply([keys %after], ['200: 200/0'], 'no search fails while a node is gone') or diag explain(\%after), $bad;
    $others[1]->start;
    ok($c->wait_status('green'), 'green again');
    $first->delete('/r');
};

subtest 'shards are moved while they are searched' => sub {
    my @nodes = $c->nodes;
    is($first->put('/m', { settings => { number_of_shards => 4, number_of_replicas => 0 } })->{status}, 200, 'an index with one copy of each shard');
    my $docs = join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_}\n) } 1 .. 300;
    ok(!$first->post('/m/_bulk?refresh=true', $docs)->{json}{errors}, '300 documents');
    my $dir = tempdir(CLEANUP => 1);
    my @clients;
    for my $n (@nodes) { # one client of each node searches until it is told that all moves are made
        push @clients, fork // die "fork: $!";
        next if $clients[-1];
        delete $n->{http};
        my %seen;
        until (-e "$dir/over") {
            my $j = $n->post('/m/_search', { size => 3, track_total_hits => JSON::PP::true })->{json};
            $seen{"$j->{hits}{total}{value}/$j->{_shards}{failed}"}++;
            $seen{"$_->{count}/$_->{_shards}{failed}"}++ for $n->post('/m/_count', {})->{json};
            my ($hits, $failed, $page) = (0, 0, $n->post('/m/_search?scroll=1m', { size => 200 })->{json});
            for (1 .. 3) {
                $hits += @{ $page->{hits}{hits} };
                $failed += $page->{_shards}{failed};
                $page = $n->post('/_search/scroll', { scroll => '1m', scroll_id => $page->{_scroll_id} })->{json};
            }
            $n->delete('/_search/scroll', { scroll_id => $page->{_scroll_id} });
            $seen{"$hits/$failed"}++;
            my $id = $n->post('/m/_pit?keep_alive=1m', undef)->{json}{id};
            $j = $n->post('/_search', { pit => { id => $id }, size => 0, track_total_hits => JSON::PP::true })->{json};
            $seen{"$j->{hits}{total}{value}/$j->{_shards}{failed}"}++;
            $n->delete('/_pit', { id => $id });
        }
        open my $f, '>', "$dir/$n->{name}" or POSIX::_exit(1);
        print $f JSON::PP->new->canonical->encode(\%seen);
        close $f;
        POSIX::_exit(0);
    }
    my $exclude = sub { $first->put('/_cluster/settings', { persistent => { 'cluster.routing.allocation.exclude._name' => $_[0] } }) };
    my $moved = 0;
    for my $name (map { $_->{name} } (@nodes) x 4) {
        $exclude->($name);
        $moved += $first->wait_for(sub { !grep { $_->{node} =~ /\Q$name\E/ } @{ $first->get('/_cat/shards/m?format=json&h=node')->{json} } }, 120);
    }
    $exclude->(undef);
    is($moved, 12, 'each node has been drained four times');
    open my $over, '>', "$dir/over" or die $!;
    waitpid $_, 0 for @clients;
    is(QdNode::slurp("$dir/$_->{name}") =~ s/:\d+/:n/gr, '{"300/0":n}', "no search, count, scroll or point in time through $_->{name} missed a shard") for @nodes;
    is($first->delete('/m')->{status}, 200, 'deleted');
    ok($c->wait_status('green'), 'green');
};

subtest 'a node is killed' => sub {
    my %of;
    ok($first->wait_for(sub { # the balance comes to rest
        %of = ();
        $of{ $_->{node} }++ for @{ $first->get('/_cat/shards/x?format=json')->{json} };
        return keys %of == 3 && join(' ', map { $of{ $_->{name} } // 0 } $c->nodes) eq '2 2 2';
    }, 120), 'each node has two shards') or diag explain \%of;
    my $lost = $of{ $others[1]{name} };
    $c->kill9(2);
    $r = $first->post('/x/_search', { size => 0 });
    is($r->{status}, 200, 'partial answer');
    is($r->{json}{_shards}{failed}, $lost, "$lost shards failed");
    is($r->{json}{_shards}{successful}, 6 - $lost, 'the others answered');
    $r = $others[0]->post('/x/_search?allow_partial_search_results=false', { size => 0 });
    is($r->{status}, 503, 'no partial answer where none is allowed');
    $others[1]->start;
    ok($first->wait_for(sub { ($first->post('/x/_search', { size => 0 })->{json}{_shards}{failed} // 1) == 0 }, 120), 'all shards are back');
};
subtest 'an old answer says so' => sub {
    is($first->put('/r', { settings => { number_of_shards => 2, number_of_replicas => 2 } })->{status}, 200, 'a copy on each node');
    $r = $first->request('PUT', '/r/_doc/1?refresh=true', '{"n":1}');
    is($r->{status}, 201, 'with a document') or diag $r->{content};
    ok($c->wait_status('green'), 'green') or return;
    $r = $first->post('/r/_search', {});
    is($r->{headers}{'x-quidditch-stale'}, undef, 'a fresh answer is not called old');
    $c->kill9(1);
    $c->kill9(2);
    ok($first->wait_for(sub {
        $r = $first->post('/r/_search', {});
        $r->{headers}{'x-quidditch-stale'};
    }, 60), 'alone, it is, whoever is the primary') or diag "$r->{status} $r->{content}";
    is($r->{status}, 200, 'and still an answer');
    is($r->{json}{hits}{total}{value}, 1, 'with the document');
    diag "stale: $r->{headers}{'x-quidditch-stale'} s" if $r->{headers}{'x-quidditch-stale'};
    ok($first->wait_for(sub { $first->get('/_cat/indices')->{headers}{'x-quidditch-stale'} }, 120), 'so is what it tells of the cluster');
};
done_testing;
