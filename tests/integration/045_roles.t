# What follows from the roles of a node: ports, probes, what is served where; the start waits with its
# probes answering, and ends on a signal.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use HTTP::Tiny;
use QdNode;

my $http = HTTP::Tiny->new(timeout => 5);
sub status { my ($port, $path, $method) = @_; return $http->request($method || 'GET', "http://127.0.0.1:$port$path")->{status} }


# --- a node with data and coordination: a port of its own for observers
my $metrics = QdNode::free_port();
my $node = QdNode->new('all', settings => { 'metrics.port' => $metrics });
$node->start;
$node->put('/docs', { settings => { number_of_shards => 1, number_of_replicas => 0 } });
# a shard is open when it is on record that it has started, which the answer above does not wait for
QdNode->wait_for(sub { status($metrics, '/ready') == 200 });
for my $path (qw(/health /ready /metrics /_cluster/health /_cluster/health/docs)) {
    is(status($metrics, $path), 200, "metrics.port serves $path");
}
is(status($metrics, '/docs/_search'), 404, 'and no search');
is(status($metrics, '/docs', 'DELETE'), 404, 'and no deletion');
is(status($node->{port}, '/docs/_search'), 200, 'the REST port does');
$node->stop;

# --- one that only is a master: no REST, ready alone
my $port = QdNode::free_port();
my $master = QdNode->new('m', settings => { 'node.roles' => 'master', 'metrics.port' => $port, 'transport.rpc_port' => '-1', 'http.port' => '-1' });
$master->launch;
ok($master->wait_for(sub { status($port, '/ready') == 200 }, 120), 'a master is ready');
is(status($port, '/health'), 200, 'and alive');
unlike($master->log_text, qr/REST API on/, 'it has no REST port');
$master->stop;
# The address of such a node is known all the same.
$master->{settings}{'node.roles'} = 'master,data';
$master->{settings}{'metrics.port'} = $port;
my $beside = QdNode->new('r', settings => { 'discovery.seed_hosts' => "127.0.0.1:$master->{transport}", 'node.roles' => 'coordination' });
$master->launch;
$beside->start;
ok($beside->wait_for(sub { ($beside->get('/_cat/nodes?h=name,ip')->{content} // '') =~ /^m +127\.0\.0\.1$/m }, 60), '_cat/nodes has the address of a node without REST')
    or diag $beside->get('/_cat/nodes?h=name,ip')->{content};
my %nodes = %{$beside->get('/_nodes')->{json}{nodes}};
is_deeply([map { $_->{ip} } values %nodes], ['127.0.0.1', '127.0.0.1'], 'so has _nodes');
$beside->stop;
$master->stop;

# --- STORAGE_TIER: a data node has the roles of its tier
{
    my @ports = map { QdNode::free_port() } 1 .. 2;
    my $tiered = QdNode->new('h', env => { QUIDDITCH_ROLE => 'data', STORAGE_TIER => 'hot' }, settings => {
        'discovery.seed_hosts' => "127.0.0.1:$master->{transport}", 'metrics.port' => $ports[0], 'transport.rpc_port' => $ports[1], 'http.port' => -1 });
    $master->{settings}{'node.roles'} = 'master,coordination';
    delete $master->{settings}{'http.port'};
    $master->start;
    $tiered->launch;
    ok($master->wait_for(sub { ($master->get('/_cat/nodes?h=name,node.role&s=name')->{content} // '') =~ /^h +hs$/m }, 60), 'a data node of the tier hot is data_hot and data_content')
        or diag $master->get('/_cat/nodes?h=name,node.role&s=name')->{content}, $tiered->stderr_text;
    $master->put("/$_->[0]", { settings => { number_of_replicas => 0, %{$_->[1]} } }) for
        ['plain', {}], ['hot', { 'routing.allocation.include._tier_preference' => 'data_hot' }], ['warm', { 'routing.allocation.include._tier_preference' => 'data_warm' }];
    my $where = sub { $master->get('/_cat/shards?h=index,state,node&s=index')->{content} // '' };
    ok($master->wait_for(sub { $where->() =~ /^hot +STARTED +h$/m && $where->() =~ /^plain +STARTED +h$/m }, 60), 'an index that prefers hot, or nothing, goes there') or diag $where->();
    like($where->(), qr/^warm +UNASSIGNED *$/m, 'one that prefers warm does not');
    $tiered->stop;
    $master->stop;
}

# --- data nodes wait for their masters; whoever stops them does not wait
my ($observe, $nobody) = (QdNode::free_port(), QdNode::free_port());
my $waiting = QdNode->new('d', settings => { 'node.roles' => 'data', 'metrics.port' => $observe, 'transport.rpc_port' => '-1',
    'coordination.master_addresses' => "127.0.0.1:$nobody" });
$waiting->launch;
ok($waiting->wait_for(sub { status($observe, '/health') == 200 }, 120), 'a data node without masters is alive');
SKIP: {
    skip 'it has a store of its own', 2 if $waiting->log_text =~ /started in/;
    is(status($observe, '/ready'), 503, 'and not ready');
    is(status($observe, '/_cluster/health'), 503, 'and knows no health');
}
is($waiting->stop, 0, 'and stops when told to');

# --- BIND_ADDR: loopback is served beside it
my $bound = QdNode->new('b', env => { BIND_ADDR => '127.0.0.2' });
$bound->start;
is($http->get("http://127.0.0.2:$bound->{port}/health")->{status}, 200, 'BIND_ADDR is served');
is($bound->get('/health')->{status}, 200, 'and loopback beside it');
$bound->stop;

# --- a port taken by somebody else
my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0);
my $late = QdNode->new('l', settings => { 'metrics.port' => $taken->sockport });
$late->launch;
isnt($late->wait_end(20), 0, 'a metrics.port that is taken ends the start');
like($late->stderr_text, qr/@{[$taken->sockport]}/, 'naming it');
my $bad = `@{[QdNode::daemon()]} --role data,master --check-config 2>&1`;
like($bad, qr/role \[data,master\] is none of master, coordination, data, coordination-k8s/, 'an unknown --role is refused');

# --- --role coordination-k8s: the store in Kubernetes by default, any other by choice
{
    local %ENV = (PATH => $ENV{PATH}, HOME => '/nonexistent');
    my $daemon = QdNode::daemon();
    my $none = qr/Kubernetes API: .*no such file/;
    like(`$daemon --role coordination-k8s --check-config 2>&1`, $none, '--role coordination-k8s asks for the state in Kubernetes');
    unlike(`$daemon --role coordination --check-config 2>&1`, $none, '... --role coordination does not');
    like(`USE_K8S_COORDINATION=false MASTER_ADDRESSES=127.0.0.1:9301 $daemon --role coordination-k8s --check-config 2>&1`, qr/^the settings are valid/,
        '... and the environment comes before the role');
}
done_testing;
