# _clone, _shrink and _split on three nodes: every document, with its routing and version, is in the new index and nothing
# else is; it takes writes, gets replicas, outlives its source, a node that dies and a restart; what is refused.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('rs', nodes => 3);
$c->start;
my @n = $c->nodes;
my $routings = 7;
sub reason { return $_[0]{json}{error}{reason} // '' }

is($n[0]->put('/src', {settings => {number_of_shards => 4, number_of_routing_shards => 16, number_of_replicas => 1}, mappings => {properties => {n => {type => 'integer'}, k => {type => 'keyword'}}}})->{status}, 200, 'a source');
ok($c->wait_status('green'), 'green');
my $lines = '';
for my $i (0 .. 1199) { my $r = $i % 5 ? '' : sprintf ',"routing":"r%d"', $i % $routings; $lines .= qq({"index":{"_id":"$i"$r}}\n{"n":$i,"k":"k@{[$i % 10]}"}\n) }
is($n[0]->post('/src/_bulk?refresh=true', $lines)->{json}{errors}, JSON::PP::false, 'documents');
$lines = '';
for my $i (map { 10 * $_ + 5 } 0 .. 119) { my $r = $i % 5 ? '' : sprintf ',"routing":"r%d"', $i % $routings; $lines .= qq({"delete":{"_id":"$i"$r}}\n) }
for my $i (map { 3 * $_ + 1 } 0 .. 99) { my $r = $i % 5 ? '' : sprintf ',"routing":"r%d"', $i % $routings; $lines .= qq({"index":{"_id":"$i"$r}}\n{"n":@{[$i + 5000]},"k":"new"}\n) if $i % 10 != 5 }
is($n[1]->post('/src/_bulk', $lines)->{json}{errors}, JSON::PP::false, 'deletions and changes that no refresh has shown');

sub state_of {
    my ($n, $index) = @_;
    my $r = $n->post("/$index/_search", {size => 10000, version => \1, sort => ['n'], track_total_hits => \1})->{json};
    return [map { [$_->{_id}, $_->{_routing}, $_->{_version}, $_->{_source}] } @{ $r->{hits}{hits} }];
}

subtest 'what is refused' => sub {
    my $r = $n[0]->put('/src/_clone/x');
    is($r->{status}, 500, 'a source that takes writes');
    like(reason($r), qr/must be read-only to resize index/, '... with the reason');
    is($n[0]->put('/src/_block/write')->{status}, 200, 'it takes none any more');
    for my $case (
        [PUT => '/none/_clone/x', undef, 404, qr/no such index \[none\]/],
        [PUT => '/src/_clone/src', undef, 400, qr/already exists/],
        [PUT => '/src/_clone/UP', undef, 400, qr/must be lowercase/],
        [PUT => '/src/_clone/x', {settings => {'index.number_of_shards' => 2}}, 400, qr/must be equal to the number of source shards/],
        [PUT => '/src/_clone/x', {mappings => {}}, 400, qr/unknown field \[mappings\]/],
        [PUT => '/src/_shrink/x', {settings => {'index.number_of_shards' => 3}}, 400, qr/must be a multiple of \[3\]/],
        [PUT => '/src/_shrink/x', {settings => {'index.number_of_shards' => 8}}, 400, qr/must be less that the number of source shards/],
        [PUT => '/src/_shrink/x', {settings => {'index.number_of_shards' => 1}}, 500, qr/must have all shards allocated on the same node to shrink index/],
        [PUT => '/src/_split/x', undef, 400, qr/index\.number_of_shards is required/],
        [PUT => '/src/_split/x', {settings => {'index.number_of_shards' => 2}}, 400, qr/must be less that the number of target/],
        [PUT => '/src/_split/x', {settings => {'index.number_of_shards' => 6}}, 400, qr/must be a factor of \[6\]/],
        [PUT => '/src/_split/x', {settings => {'index.number_of_shards' => 32}}, 500, qr/routing shards \[16\] must be a multiple of the target shards \[32\]/],
        [PUT => '/src/_split/x', {settings => {'index.number_of_shards' => 8, 'index.number_of_routing_shards' => 8}}, 400, qr/cannot provide index\.number_of_routing_shards/],
        [PUT => '/src/_clone/x?copy_settings=false', undef, 400, qr/copy_settings/],
        [PUT => '/src/_clone/x', {settings => {'index.resize.source.uuid' => 'a'}}, 400, qr/index\.resize/],
    ) {
        my ($method, $path, $body, $status, $like) = @$case;
        my $x = $n[0]->request($method, $path, $body);
        is($x->{status}, $status, "$path") or diag $x->{content};
        like(reason($x), $like, '... with the reason');
    }
    is($n[0]->head('/x')->{status}, 404, 'nothing is made');
};

$n[0]->post('/src/_refresh');
my $expect = state_of($n[0], 'src');
is(scalar @$expect, 1080, 'documents of the source');
my %settings = ('index.blocks.write' => undef);

subtest 'cloned and split where the shards are' => sub {
    my $r = $n[1]->put('/src/_clone/cloned', {settings => {%settings}, aliases => {al => {}}});
    is($r->{status}, 200, 'cloned') or diag $r->{content};
    is_deeply([$r->{json}{acknowledged} ? 1 : 0, $r->{json}{index}], [1, 'cloned'], 'answered');
    is($n[2]->put('/src/_split/split8', {settings => {%settings, 'index.number_of_shards' => 8}})->{status}, 200, 'split by two');
    is($n[0]->post('/src/_split/split16', {settings => {%settings, 'index.number_of_shards' => 16, 'index.number_of_replicas' => 0}})->{status}, 200, 'split by four');
    ok($c->wait_status('green'), 'with replicas');
    for my $i (qw(cloned split8 split16)) {
        is_deeply(state_of($n[0], $i), $expect, "$i has the documents, their routings and versions");
        my ($id, $routing) = @{ $expect->[0] };
        my @missing = grep { !$n[1]->get("/$i/_doc/$_->[0]" . ($_->[1] ? "?routing=$_->[1]" : ''))->{json}{found} } @$expect[map { 20 * $_ } 0 .. 40];
        is(scalar @missing, 0, '... each found by its id');
    }
    my $s = $n[0]->get('/cloned')->{json}{cloned};
    is_deeply([$s->{settings}{index}{number_of_replicas}, $s->{mappings}{properties}{k}{type}, $s->{settings}{index}{resize}{source}{name}, [keys %{ $s->{aliases} }]], ['1', 'keyword', 'src', ['al']], 'settings and mapping are those of the source');
};

subtest 'shrunken on one node' => sub {
    my $node = $n[1]{name};
    is($n[0]->put('/src/_settings', {'index.routing.allocation.require._name' => $node, 'index.number_of_replicas' => 0})->{status}, 200, 'the source moves to one node');
    ok(QdNode->wait_for(sub { !grep { $_->{node} ne $node || $_->{state} ne 'STARTED' } @{ $n[0]->get('/_cat/shards/src?format=json')->{json} } }, 60), '... whole');
    my %open = (%settings, 'index.routing.allocation.require._name' => undef, 'index.number_of_replicas' => 1);
    is($n[0]->put('/src/_shrink/shrunk2', {settings => {%open, 'index.number_of_shards' => 2}})->{status}, 200, 'by two');
    is($n[2]->put('/src/_shrink/shrunk1', {settings => {%open}})->{status}, 200, 'to one');
    is($n[2]->put('/src/_shrink/sized', {settings => {%open}, max_primary_shard_size => '1gb'})->{status}, 200, 'by the size of shards');
    ok($c->wait_status('green'), 'with replicas');
    for my $i (qw(shrunk2 shrunk1 sized)) { is_deeply(state_of($n[0], $i), $expect, "$i has the documents") }
    is($n[0]->get('/sized/_settings')->{json}{sized}{settings}{index}{number_of_shards}, '1', 'one shard is enough');
};

subtest 'they take writes' => sub {
    for my $i (qw(cloned split8 split16 shrunk1 shrunk2)) {
        my ($id, $routing) = @{ $expect->[1] };
        my $r = $n[0]->put("/$i/_doc/$id" . ($routing ? "?routing=$routing" : ''), {n => -1});
        is_deeply([$r->{status}, $r->{json}{_version}], [200, $expect->[1][2] + 1], "$i: a document is changed");
        is($n[1]->post("/$i/_doc?refresh=true", {n => -2})->{status}, 201, '... one added');
        $n[1]->post("/$i/_refresh");
        is($n[2]->post("/$i/_delete_by_query?refresh=true", {query => {term => {k => 'k2'}}})->{json}{deleted}, scalar(grep { ($_->[3]{k} // '') eq 'k2' && $_->[0] ne $id } @$expect), '... some deleted by query');
    }
};

subtest 'they outlive source, node and restart' => sub {
    my %before = map { $_ => state_of($n[0], $_) } qw(cloned split8 shrunk1);
    is($n[0]->delete('/src')->{status}, 200, 'the source is deleted');
    is($n[0]->delete('/split16')->{status}, 200, 'and one without replicas');
    $c->kill9(1);
    my ($other) = $c->alive;
    ok(QdNode->wait_for(sub { !grep { $other->get("/$_/_count")->{json}{_shards}{failed} // 1 } keys %before }, 60), 'the replicas take over');
    is_deeply(state_of($other, $_), $before{$_}, "$_ is whole") for sort keys %before;
    $n[1]->start;
    is($c->stop, 0, 'all stop');
    $c->start;
    ok($c->wait_status('green'), 'and are back');
    is_deeply(state_of($n[2], $_), $before{$_}, "$_ is whole") for sort keys %before;
};

subtest 'from one shard to any number' => sub {
    $n[0]->put('/one', {settings => {number_of_shards => 1, number_of_replicas => 0}});
    $n[0]->post('/one/_bulk?refresh=true', join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_}\n) } 0 .. 99);
    $n[0]->put('/one/_block/write');
    is($n[0]->put('/one/_split/five', {settings => {'index.number_of_shards' => 5}})->{status}, 200, 'five');
    is($n[0]->get('/five/_count')->{json}{count}, 100, 'have all documents');
    is_deeply([grep { !$n[1]->get("/five/_doc/$_")->{json}{found} } 0 .. 99], [], 'each where it belongs');
    $n[0]->put('/empty', {settings => {number_of_replicas => 0, 'index.blocks.write' => \1}});
    is($n[0]->put('/empty/_clone/empty2')->{json}{shards_acknowledged} ? 1 : 0, 1, 'an empty one as well');
};

is($c->stop, 0, 'the nodes stop');
done_testing;
