# 616_k8s_cluster.t: a cluster without masters: three nodes whose state is in a real Kubernetes API server, and
# one with data alone, which has no token. Leaders that are killed and stopped, an API server that goes and comes
# back under load.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;

KubeServer->skip_unless_built;
my $kube = KubeServer->new('cluster')->start;
my $account = $kube->install('quidditch');
my %common = ('cluster.name' => 'quidditch', 'metrics.port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false');
my @nodes = map {
    QdNode->new("k$_", settings => {%common, 'coordination.mode' => 'k8s-native', 'coordination.k8s.kubeconfig' => $account->{kubeconfig}})
} 0 .. 2;
my $data = QdNode->new('data', settings => {%common, 'node.roles' => 'data,ingest',
    'coordination.master_addresses' => join ',', map { "127.0.0.1:$_->{transport}" } @nodes});

sub sees {
    my ($count) = @_;
    my @all = grep { $_->alive } @nodes, $data;
    return $all[0]->wait_for(sub { !grep { ($_->get('/_cluster/health')->{json}{number_of_nodes} // 0) != $count } @all }, 120);
}
sub green {
    my ($n) = grep { $_->alive } @nodes;
    return $n->wait_for(sub { ($n->get('/_cluster/health')->{json}{status} // '') eq 'green' }, 120);
}
my $path = '/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates/quidditch';
# The node that leads, by the root of the state.
sub leader {
    my $name = $kube->get($path)->{json}{spec}{leader}{name} // '';
    my ($n) = grep { $_->{name} eq $name } @nodes;
    return $n;
}
# A state change that is tried until it is done, as the answer asks for.
sub create {
    my ($n, $index) = @_;
    my $r;
    $n->wait_for(sub {
        $r = $n->put("/$index", {settings => {number_of_shards => 1, number_of_replicas => 1}});
        $r->{status} == 200 || $r->{status} == 400 && $r->{content} =~ /resource_already_exists/;
    }, 120) or diag "$index: $r->{status} $r->{content}";
    return $r->{status} == 200 || $r->{status} == 400;
}

# --- forming ----------------------------------------------------------------------------------------------------
start_all(@nodes, $data); # $data alone has no kubeconfig: it joins by the addresses of control nodes
ok(sees(4), 'they are one cluster');
is(scalar(grep { $_->get('/_cluster/health')->{json}{number_of_nodes} } @nodes), 3, 'each tells');
unlike($data->log_text, qr/Kubernetes API:/, 'the node with data alone asks nothing of the API');
ok(create($nodes[0], 'books'), 'an index');
ok(green(), '... with all its copies');
is($nodes[$_ % 3]->put("/books/_doc/$_", {n => $_})->{status}, 201, "document $_") for 1 .. 3;
my $root = $kube->get($path)->{json}{spec};
is($root->{state}, 'active', 'the state is in the API');
my $lease = $kube->get('/apis/coordination.k8s.io/v1/namespaces/quidditch/leases/quidditch-leader')->{json}{spec};
like($lease->{holderIdentity}, qr/^\Q$root->{leader}{name}\E_[0-9a-f]{16}$/, 'the lease says who leads');
is($lease->{leaseDurationSeconds}, 15, '... for how long');
my ($status, $out) = $kube->kubectl('get', 'qstate', '-n', 'quidditch');
like($out, qr/^quidditch +quidditch +root +active +1 +\d+ +k\d /m, '... and kubectl shows it') or diag $out;

# --- a leader that is killed, and one that is stopped -----------------------------------------------------------
my $was = leader();
$was->kill9;
my ($here) = grep { $_ != $was } @nodes;
ok(create($here, 'after-kill'), 'a leader is killed: another one takes over');
isnt(leader()->{name}, $was->{name}, '... as the root says');
$was->launch;
ok(started($was), 'the killed one comes back');
ok(sees(4), '... into the cluster');
$was = leader();
is($was->stop, 0, 'a leader is stopped');
($here) = grep { $_ != $was } @nodes;
ok(create($here, 'after-stop'), '... and followed');
$was->launch;
ok(started($was) && sees(4), '... and comes back');
ok(green(), 'all copies are there');

# a server that has just started refuses what its caches do not know yet, so this is looked at before
is_deeply($kube->role_use($account)->{refused}, [], 'nothing was asked for that the role does not grant');

# --- the API server goes and comes back under load --------------------------------------------------------------
my ($written, $failed) = (0, 0);
my $write = sub {
    my $r = $nodes[$written % 3]->put('/books/_doc/w' . $written, {n => $written});
    $r->{status} == 201 ? $written++ : $failed++;
};
$write->() for 1 .. 20;
$kube->kill9;
$write->() for 1 .. 200;
is($failed, 0, 'without the API server documents are written');
is($nodes[1]->get('/books/_doc/w30')->{json}{_source}{n}, 30, '... and read');
my $r = $nodes[0]->put('/while-away?timeout=2s&master_timeout=2s', {settings => {number_of_replicas => 0}});
isnt($r->{status}, 200, 'the state does not change');
$kube->revive;
ok(create($nodes[2], 'after-return'), 'once it is back it does');
$write->() for 1 .. 20;
is($failed, 0, 'no write failed');
$nodes[0]->post('/books/_refresh');
is($nodes[0]->get('/books/_count')->{json}{count}, 3 + $written, 'all documents are there');

$_->signal('TERM') for @nodes, $data;
is($_->stop, 0, "$_->{name} ends") for @nodes, $data;
done_testing;
