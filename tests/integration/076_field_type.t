#!/usr/bin/perl
# 076_field_type.t: a plugin's field type with an index part, and its operator: the SDK's example `flat-vectors`, built
# against an installed copy. Nearest neighbours are those of a brute force, over nodes, replicas, segments, deletions,
# merges, restarts and a crash; values that cannot be are refused; a node without the plugin says so and keeps the files.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use JSON::PP;
use QdCluster;
use QdNode;
use Test::More;
use Toys qw(installed_sdk build_outside);

my $top = QdNode::top();
my $dir = installed_sdk();
system("cp -r '$dir/q/share/quidditch/sdk/examples/flat-vectors' '$dir/vectors'");
build_outside($dir, "$dir/vectors", 'the example is built against it');
mkdir "$dir/plugins", 0755;
copy("$dir/vectors/example-vectors.so", "$dir/plugins/example-vectors.so") or die;
chmod 0644, "$dir/plugins/example-vectors.so";
my %with = ('plugins.path' => "$dir/plugins", 'plugins.allow' => 'coordination-raft,storage-nvme,example-vectors');
my %without = (%with, 'plugins.allow' => 'coordination-raft,storage-nvme');

# --- documents, and what a brute force finds ---

my $dims = 5;
my $seed = 7;
sub number { $seed = ($seed * 1103515245 + 12345) % 2147483648; return int($seed / 65536) % 2001 - 1000 }
my %docs; # id => vector; without one: undef
sub vector { return [map { number() / 8 } 1 .. $dims] }
sub distance { my ($a, $b) = @_; my $d = 0; $d += ($a->[$_] - $b->[$_])**2 for 0 .. $dims - 1; return $d }
sub nearest {
    my ($q, $k) = @_;
    my %d = map { $_ => distance($q, $docs{$_}) } grep { $docs{$_} } keys %docs;
    my @ids = sort { $d{$a} <=> $d{$b} } keys %d;
    return [@ids[0 .. ($k < @ids ? $k : @ids) - 1]];
}
sub found {
    my ($n, $q, $k, $preference) = @_;
    my $r = $n->post('/v/_search' . ($preference ? "?preference=$preference" : ''), {size => $k, _source => \0, query => {nearest => {field => 'v', vector => $q}}});
    return [$r->{content}] if $r->{status} != 200 || $r->{json}{_shards}{failed};
    return [map { $_->{_id} } @{ $r->{json}{hits}{hits} }];
}
sub same {
    my ($what, @nodes) = @_;
    my $bad = 0;
    for my $q (map { vector() } 1 .. 8) {
        for my $n (@nodes) {
            for my $preference (undef, map { "_only_nodes:$_->{name}" } @nodes > 1 ? () : ()) {
                my ($want, $got) = (nearest($q, 12), found($n, $q, 12, $preference));
                next if "@$want" eq "@$got";
                diag "wanted @$want\ngot    @$got" unless $bad++;
            }
        }
    }
    is($bad, 0, $what);
}
sub put_docs {
    my ($n, $from, $to) = @_;
    my $body = '';
    for my $id ($from .. $to) {
        $docs{$id} = $id % 9 ? vector() : undef;
        $body .= encode_json({index => {_id => "$id"}}) . "\n" . encode_json({n => $id, $docs{$id} ? (v => $docs{$id}) : ()}) . "\n";
    }
    my $r = $n->post('/v/_bulk?refresh=true', $body);
    return $r->{status} == 200 && !$r->{json}{errors} ? 1 : diag(substr $r->{content}, 0, 600) && 0;
}
sub delete_docs {
    my ($n, @ids) = @_;
    my $r = $n->post('/v/_bulk?refresh=true', join '', map { encode_json({delete => {_id => "$_"}}) . "\n" } @ids);
    delete @docs{@ids};
    return $r->{status} == 200 && !$r->{json}{errors};
}

my $c = QdCluster->new('fv', nodes => 2, settings => {%with});
$c->start;
my ($a, $b) = $c->nodes;
my $r = $a->put('/v', {settings => {number_of_shards => 2, number_of_replicas => 1, 'index.merge.reorder' => 'length'},
    mappings => {properties => {n => {type => 'long'}, v => {type => 'example_vector', dims => $dims}}}});
is($r->{status}, 200, 'an index with a field of the plugin\'s type') or diag $r->{content};
ok($c->wait_status('green'), 'green') if $c->can('wait_status');
ok(put_docs($a, 1, 120), 'documents');
ok(put_docs($b, 121, 200), 'by the other node');
ok(put_docs($a, 201, 210), 'and a few more');
same('the nearest are those of a brute force, from both nodes', $a, $b);
my $segments = $a->get('/v/_stats/segments')->{json}{_all}{total}{segments};
cmp_ok($segments->{index_parts_in_bytes}, '>=', 2 * 4 * $dims * grep({ $_ } values %docs), 'statistics have the size of the index parts of both nodes');
is_deeply($a->get('/v/_mapping')->{json}{v}{mappings}{properties}{v}, {type => 'example_vector', dims => $dims}, 'the mapping is shown as it was given');
is($a->post('/v/_count', {query => {exists => {field => 'v'}}})->{json}{count}, scalar(grep { $_ } values %docs), 'exists finds the documents that have a vector');
is_deeply($a->post('/v/_search', {query => {ids => {values => ['1']}}, fields => ['v'], _source => \0})->{json}{hits}{hits}[0]{fields}{v}, $docs{1}, 'fields shows the vector');

is($a->put('/v/_doc/odd?refresh=true', {v => [0.1, 1, 2, 3, 4]})->{status}, 201, 'a vector of numbers that no float holds');
$r = $a->post('/v/_search', {query => {ids => {values => ['odd']}}, fields => ['v']})->{json}{hits}{hits}[0];
is_deeply($r->{fields}{v}, [0.10000000149011612, 1, 2, 3, 4], '... is shown as the index has it');
is($r->{_source}{v}[0], 0.1, '... beside its source');
ok(delete_docs($b, 'odd'), '... and goes');

# --- what cannot be ---

for my $case (
    [[1, 2], qr/the vector has 2 dimensions, those of the field have 5/, 'another number of dimensions'],
    [[1, 2, 'NaN', 4, 5], qr/value 2 is none/, 'NaN'],
    [['a', 2, 3, 4, 5], qr/value 0 is none/, 'strings'],
    [[1, 2, 3, 4, 1e300], qr/value 4 is too large/, 'a number that no float holds'],
    ['text', qr/a vector is an array of numbers/, 'a text'],
    [{x => 1}, qr/a vector is an array of numbers/, 'an object'],
    [[[1, 2, 3, 4, 5]], qr/value 0 is none/, 'arrays in an array'],
) {
    my ($v, $why, $what) = @$case;
    my $r = $a->put('/v/_doc/bad', {v => $v});
    is($r->{status}, 400, "$what: 400");
    like($r->{json}{error}{reason} // '', qr/failed to parse field \[v\] of type \[example_vector\]/, "... which names the field") or diag $r->{content};
    like($r->{content}, $why, '... and says why');
}
like($a->put('/w', {mappings => {properties => {v => {type => 'example_vector'}}}})->{content}, qr/Missing required parameter \[dims\]/, 'dims is required');
like($a->put('/w', {mappings => {properties => {v => {type => 'example_vector', dims => 9999}}}})->{content}, qr/\[dims\].*between 1 and 2048/, '... and bounded');
like($a->put('/w', {mappings => {properties => {v => {type => 'example_vector', dims => 2, similarity => 'x'}}}})->{content}, qr/accepted values are \[l2\|cosine\|dot\]/, 'similarity is one of three');
like($a->put('/w', {mappings => {properties => {v => {type => 'example_vector', dims => 2, other => 'x'}}}})->{content}, qr/unknown parameter \[other\]/, 'an unknown parameter');
like($a->put('/v/_mapping', {properties => {v => {type => 'example_vector', dims => 6}}})->{content}, qr/Cannot update parameter \[dims\] from \[5\] to \[6\]/, 'dims cannot change');
like($a->post('/v/_search', {query => {term => {v => 1}}})->{content}, qr/does not support term and range queries/, 'a term query is refused');
is($a->post('/v/_search', {sort => ['v']})->{status}, 400, 'so is sorting');
like($a->post('/v/_search', {query => {nearest => {field => 'n', vector => [1]}}})->{content}, qr/wants a field of type \[example_vector\], not \[long\]/, 'nearest of another field');

# --- deletions, merges, restarts, a crash, a copy by files ---

ok(delete_docs($a, grep { $_ % 4 == 0 } 1 .. 210), 'deletions');
same('without the deleted ones', $a, $b);
ok(put_docs($b, 1, 30), 'documents written again');
same('with the newer vectors', $a, $b);
is($a->post('/v/_forcemerge?max_num_segments=1')->{status}, 200, 'one segment');
$a->post('/v/_refresh');
same('after the merge', $a, $b);
ok(put_docs($a, 300, 330), 'more');
is($a->post('/v/_flush')->{status}, 200, 'a flush');
ok(put_docs($a, 331, 340), 'and what only the translog has');
$b->kill9;
$b->start;
ok($c->wait_status('green'), 'a node was killed, and is back');
same('all is there', $a, $b);
$_->stop for $a, $b;
$_->launch for $a, $b;
ok($c->wait_status('green'), 'both restarted');
same('all is there', $a, $b);
is($a->put('/v/_settings', {'index.number_of_replicas' => 0})->{status}, 200, 'without replicas');
$a->post('/v/_flush');
is($a->put('/v/_settings', {'index.number_of_replicas' => 1})->{status}, 200, 'with replicas, by copies of the files');
ok($c->wait_status('green'), 'green');
same('from both nodes', $a, $b);

# --- without the plugin ---

my $why = qr/field \[v\] is of the type \[example_vector\], which no loaded plugin provides/;
$b->stop;
%{ $b->{settings} } = (%{ $b->{settings} }, %without);
$b->start;
ok($a->wait_for(sub { $a->post('/_cluster/allocation/explain', {index => 'v', shard => 0, primary => \0})->{content} =~ $why
    || $a->post('/_cluster/allocation/explain', {index => 'v', shard => 1, primary => \0})->{content} =~ $why }), 'a node without the plugin says whose type it lacks')
    or diag $a->post('/_cluster/allocation/explain', {index => 'v', shard => 0, primary => \0})->{content};
is_deeply($b->get('/v/_mapping')->{json}{v}{mappings}{properties}{v}, {type => 'example_vector', dims => $dims}, 'it shows the mapping');
same('the other node searches', $a);
like($b->put('/w', {mappings => {properties => {v => {type => 'example_vector', dims => 2}}}})->{content}, qr/No handler for type \[example_vector\]/, 'a new index is refused there');
$b->stop;
%{ $b->{settings} } = (%{ $b->{settings} }, %with);
$b->start;
ok($c->wait_status('green'), 'with the plugin its copies are back');
same('from both nodes', $a, $b);
is($_->stop, 0, 'ends') for $c->nodes;
done_testing;
