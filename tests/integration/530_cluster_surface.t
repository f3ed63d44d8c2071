# What a user of three nodes asks for by name: which copies are searched, how many a write waits for,
# replicas that follow the nodes, limits and blocks of the cluster, and what the nodes are busy with.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use POSIX ();

my $c = QdCluster->new('u', nodes => 3);
$c->node($_)->{settings}{'node.attr.zone'} = "z$_" for 0 .. 2;
$c->start;
my @n = $c->nodes;
my $n = $n[0];
is($n->put('/t', { settings => { number_of_shards => 3, number_of_replicas => 1 } })->{status}, 200, 'an index of three shards, two copies each');
ok($c->wait_status('green'), 'green');
$n->put("/t/_doc/$_", { n => $_ }) for 1 .. 30;
$n->post('/t/_refresh');

# --- preference
my %id = map { $_->{name} => $_->{id} } @{ $n->get('/_cat/nodes?h=name,id&full_id=true&format=json')->{json} };
my @copies = @{ $n->get('/_cat/shards/t?h=shard,node&format=json')->{json} };
my %held;
$held{ $_->{node} }{ $_->{shard} } = 1 for @copies;
sub search { $_[0]->get("/t/_search?size=0&preference=$_[1]" . ($_[2] // '')) }
sub total { my $r = $_[0]{json}; $r->{_shards} ? "$r->{_shards}{total}/$r->{_shards}{failed} $r->{hits}{total}{value}" : "$r->{status} $r->{error}{reason}" }
is(total(search($n, $_)), '3/0 30', "preference $_") for '_local', "_prefer_nodes:$id{u1}", '_prefer_nodes:nobody', 'a-text', '_only_nodes:u*', '_only_nodes:zone:z*', "_only_nodes:$id{u0},$id{u1},$id{u2}";
my $one = $n->get('/t/_count?preference=_shards:1')->{json}{count};
is(total(search($n, $_)), "1/0 $one", "preference $_") for '_shards:1', '_shards:1%7C_local', '_shards:1%7Ca-text', "_shards:1%7C_prefer_nodes:$id{u2}";
is(total(search($n, '_shards:0,1,2')), '3/0 30', 'all shards by number');
like(total(search($n, '_only_nodes:nobody')), qr/^400 no data nodes with criteria \[nobody\] found for shard: \[t\]\[0\]/, 'nodes that are not there');
like(total(search($n, '_only_nodes:')), qr/^400 .*names nothing/, 'no nodes');
like(total(search($n, '_shards:x')), qr/^400 For input string: "x"/, 'no number');
like(total(search($n, '_primary')), qr/^400 no Preference for \[_primary\]/, 'what Elasticsearch took away');
like(total(search($n, '_shards:1%7C_primary')), qr/^400 no Preference for \[_primary\]/, 'behind a bar too');
for my $node (@n) {
    my $has = scalar keys %{ $held{ $node->{name} } || {} };
    my $r = search($node, '_only_local');
    is($r->{json}{_shards}{successful}, $has, "$node->{name} searches its own shards only") if $has;
    next if $has == 3 || !$has;
    like(total(search($node, '_only_local', '&allow_partial_search_results=false')),
        qr/^503 Search rejected due to missing shards \[\[t\]\[\d\].*allow_partial_search_results/, 'and says which are missing, where all are wanted');
}
my $m = $n->post('/t/_msearch', join '', map { "$_\n{\"size\":0}\n" } '{"preference":"_shards:1"}', '{}', '{"preference":"_primary"}', '{"preference":"_only_nodes:nobody"}');
is($m->{status}, 400, 'a preference of _msearch that nobody knows is refused with the request');
$m = $n->post('/t/_msearch', join '', map { "$_\n{\"size\":0}\n" } '{"preference":"_shards:1"}', '{"routing":"1"}', '{"preference":"_only_nodes:nobody"}', '{}')->{json}{responses};
is($m->[0]{hits}{total}{value}, $one, 'each search of _msearch has its own');
is($m->[1]{_shards}{total}, 1, 'and its own routing');
is($m->[2]{status}, 400, 'one that cannot be is an answer');
is($m->[3]{hits}{total}{value}, 30, 'beside the others');

# --- the choice of copies is told
search($n, "_prefer_nodes:$id{$_}") for ('u0' .. 'u2') x 3;
my $stats = $n->get('/_nodes/_local/stats/adaptive_selection')->{json}{nodes}{ $id{u0} };
is($stats->{attributes}{zone}, 'z0', 'attributes of a node stand in its figures');
for my $name (grep { $held{$_} } 'u0' .. 'u2') {
    my $s = $stats->{adaptive_selection}{ $id{$name} } || {};
    ok($s->{avg_response_time_ns} && $s->{avg_service_time_ns} && defined $s->{rank} && $s->{outgoing_searches} == 0, "what $name takes is known");
}
is($n->put('/_cluster/settings', { persistent => { 'cluster.routing.use_adaptive_replica_selection' => 'false' } })->{status}, 200, 'it can be switched off');
is(total($n->get('/t/_search?size=0')), '3/0 30', 'and searches go on');

# --- how many copies a write waits for
is($n->put('/w', { settings => { number_of_shards => 1, number_of_replicas => 2, 'index.write.wait_for_active_shards' => 'all' } })->{status}, 200, 'an index that wants all copies');
is($n->put('/w/_doc/1', {})->{json}{_shards}{successful}, 3, 'is there when all copies are, so that the first write has them');
is($n->put('/w/_settings', { number_of_replicas => 3 })->{status}, 200, 'one more than there are nodes');
my $r = $n[1]->put('/w/_doc/2?timeout=500ms', {});
is($r->{status}, 503, 'then a write waits in vain');
is($r->{json}{error}{reason}, '[w][0] Not enough active copies to meet shard count of [ALL] (have 3, needed 4). Timeout: [500ms], request: [BulkShardRequest [[w][0]]]', 'and says for what');
is($n[1]->put('/w/_doc/2?wait_for_active_shards=3', {})->{status}, 201, 'the parameter goes before the setting');
is($n[2]->get('/w/_doc/2')->{json}{found}, JSON::PP::true, 'and writes');
like($n->put('/w/_settings', { 'index.write.wait_for_active_shards' => 9 })->{json}{error}{reason}, qr/cannot be greater than number of shard copies \[4\]/, 'more than there can be');
like($n->put('/w/_settings', { 'index.write.wait_for_active_shards' => 'x' })->{json}{error}{reason}, qr/cannot parse ActiveShardCount\[x\]/, 'no count');
$n->delete('/w');

# --- replicas by the number of nodes
is($n->put('/a', { settings => { number_of_shards => 1, 'index.auto_expand_replicas' => '0-all' } })->{status}, 200, 'replicas on all nodes');
sub replicas { $n->get('/a/_settings?flat_settings=true')->{json}{a}{settings}{'index.number_of_replicas'} }
is(replicas(), 2, 'are two of three nodes');
$n->put('/_cluster/settings', { persistent => { 'cluster.routing.allocation.exclude._name' => 'u2' } });
ok($n->wait_for(sub { replicas() == 1 }, 120), 'a node that may not hold them does not count');
$n->put('/_cluster/settings', { persistent => { 'cluster.routing.allocation.*' => undef } });
ok($n->wait_for(sub { replicas() == 2 }, 120), 'and counts again; a pattern resets settings');
ok($c->wait_status('green'), 'all of them started');
is($n[2]->stop, 0, 'a node stops');
ok($n->wait_for(sub { replicas() == 1 }, 120), 'a node that leaves takes its replica with it');
ok($n->wait_for(sub { ($n->get('/_cluster/health/a')->{json}{status} // '') eq 'green' }, 120), 'the index stays green');
$n[2]->start;
ok($n->wait_for(sub { replicas() == 2 }, 120), 'one that comes gets one');
is($n->put('/a/_settings', { 'index.auto_expand_replicas' => '0-1' })->{status}, 200, 'other bounds');
is(replicas(), 1, 'hold at once');
like($n->put('/a/_settings', { 'index.auto_expand_replicas' => '3-1' })->{json}{error}{reason}, qr/minReplicas must be =< maxReplicas/, 'bounds that are none');
ok($c->wait_status('green'), 'all copies are there again');

# --- limits and blocks of the cluster
$n->put('/_cluster/settings', { persistent => { 'cluster.max_shards_per_node' => 4 } });
like($n->put('/big', { settings => { number_of_shards => 10 } })->{json}{error}{reason}, qr/this action would add \[20\] shards, but this cluster currently has \[\d+\]\/\[12\] maximum normal shards open/, 'more shards than the nodes may have');
is($n->put('/_cluster/settings', { persistent => { '*' => undef } })->{status}, 200, 'everything is reset');
is_deeply($n->get('/_cluster/settings')->{json}{persistent}, {}, 'and gone');
$n->put('/_cluster/settings', { persistent => { 'cluster.blocks.read_only_allow_delete' => 'true' } });
for my $node (@n) {
    ok($node->wait_for(sub { $node->put('/t/_doc/1', {})->{status} == 403 }, 120), "$node->{name} refuses writes to a read-only cluster");
    is($node->put('/new')->{json}{error}{reason}, 'blocked by: [FORBIDDEN/13/cluster read-only / allow delete (api)];', 'and new indices');
    is($node->get('/t/_doc/1')->{json}{_source}{n}, 1, 'but reads');
}
is($n->delete('/a')->{status}, 200, 'and deletes');
is($n->put('/_cluster/settings', { persistent => { 'cluster.blocks.*' => undef } })->{status}, 200, 'the block goes');
ok($n->wait_for(sub { $n->put('/t/_doc/1', { n => 1 })->{status} == 200 }, 120), 'and writes come');

# --- what the nodes do
my $hot = $n->get('/_nodes/hot_threads?interval=20ms&ignore_idle_threads=false&threads=2');
like($hot->{headers}{'content-type'}, qr{^text/plain}, 'hot threads are text');
is(scalar(my @heads = $hot->{content} =~ /^::: \{u\d\}\{[\w-]{22}\}/gm), 3, 'of three nodes');
is(scalar(my @threads = $hot->{content} =~ /^   +[\d.]+% \[cpu=.*?cpu usage by thread '/gm), 6, 'two threads of each');
like($n->get('/_nodes/zone:z1/hot_threads?interval=20ms')->{content}, qr/^::: \{u1\}/, 'or of the nodes of an attribute');
is($n->get('/_nodes/hot_threads?interval=1h')->{status}, 400, 'not for hours');

# --- leave to stop
$r = $n->post('/_nodes/u1/_may_stop', { holder => 'me', reason => 'restart', expires_after => '5m' });
is($r->{json}{permit}{holder}, 'me', 'a permit, asked for by a body');
is($n[2]->post('/_nodes/u2/_may_stop?reason=restart')->{status}, 409, 'is the only one that the masters bear');
is($n[2]->delete('/_nodes/u1/_may_stop')->{status}, 200, 'given back');
is($n->post('/_nodes/u1/_may_stop', { holdr => 'me' })->{status}, 400, 'a mistyped field is told');
sub qd_node { my ($rc, $out) = $n->run_qd('node', @_, '--url', $n->url); return "$rc $out" }
like(qd_node('may-stop', 'u1'), qr/^0 u1 may stop/, 'qd node may-stop');
like(qd_node('stop', 'u1', '--holder', 'me'), qr/^0 the node may stop, it has the permit\nflushed/, 'qd node stop takes a permit and flushes');
like(qd_node('may-stop', 'u2'), qr/^1 u2 may not stop:\n.*no quorum/, 'another one may not');
like(qd_node('stop', 'u2', '--timeout', '0'), qr/^1 .*409.*no quorum/, 'and gets none');
like(qd_node('release', 'u1'), qr/^0 the permit is given back/, 'qd node release');
like(qd_node('stop', 'u1', '--pidfile', '/nowhere'), qr/^1 .*cannot open \[\/nowhere\]/, 'a pidfile that is not there');
like(qd_node('may-stop', 'u2'), qr/^0 u2 may stop/, '... leaves no permit behind');
like(qd_node('stop', 'nobody'), qr/^1 .*404: no node \[nobody\]/, 'a node that is not there');
open my $pid, '>', "$n[2]{dir}/pid" or die;
print $pid "$n[2]{pid}\n";
close $pid;
# the test is the parent: without it the process would not be gone when it has ended
my $ends = fork // die "fork: $!";
if (!$ends) { my $out = qd_node('stop', 'u2', '--pidfile', "$n[2]{dir}/pid"); open my $f, '>', "$n[2]{dir}/out"; print $f $out; close $f; POSIX::_exit(0) }
is($n[2]->wait_end(120), 0, 'with a pidfile it ends the process cleanly');
waitpid $ends, 0;
like(QdNode::slurp("$n[2]{dir}/out"), qr/^0 .*flushed\nstopped/s, 'and says so');
ok($n->wait_for(sub { $n->get('/_cluster/health')->{json}{number_of_nodes} == 2 }, 60), 'it has left');
$n[2]->start;
ok($c->wait_nodes(3, 60), 'and comes back');
ok($n->wait_for(sub { $n->get('/_nodes/u1/_may_stop')->{json}{may_stop} }, 60), 'which ends its permit');
is($c->stop, 0, 'they stop cleanly');
done_testing;
