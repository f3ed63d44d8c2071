# 619_empty_masters.t: masters that have formed a cluster of their own beside one whose state is in Kubernetes, and nodes
# without a volume that are to ask masters while the API is away: an empty cluster is not joined unless the operator
# says so, masters in charge of one in use are, and "connected to master" is said of the node's own cluster only.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
my $kube = KubeServer->new('empty')->start;
my $account = $kube->install('quidditch');
my $link = $kube->relay(as => $account);
sub env { my ($config, %more) = @_; return { KUBECONFIG => $config->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch', %more } }
sub logged { my ($n, $what) = @_; my $ok = $n->wait_for(sub { $n->log_text =~ $what }, 60); diag("$n->{name}:\n" . $n->log_text) unless $ok; return $ok }
sub uuid { my ($n) = @_; return settled($n)->{cluster_uuid} // '-' }

# --- a cluster in Kubernetes, and masters beside it that know nothing of it
my $control = QdNode->new('c0', settings => { %COMMON, 'node.roles' => 'coordination,ingest' }, env => env($account, USE_K8S_COORDINATION => 'true'));
my $data = QdNode->new('data', settings => { %COMMON, 'node.roles' => 'data' }, env => { MASTER_ADDRESSES => "127.0.0.1:$control->{transport}" });
my $master = QdNode->new('m0', settings => { %COMMON, 'node.roles' => 'master,ingest', 'coordination.mode' => 'master' });
start_all($control, $data, $master);
is($control->put('/books', { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, 'an index in the cluster in Kubernetes');
my ($right, $foreign) = (uuid($control), uuid($master));
isnt($foreign, $right, 'the masters are another cluster');

# --- nodes without a volume are to ask the masters now
sub moved {
    my ($name, $config, %more) = @_;
    my $n = QdNode->new($name, settings => { %COMMON, 'node.roles' => 'coordination,ingest' },
        env => env($config, USE_K8S_COORDINATION => 'false', MASTER_ADDRESSES => "127.0.0.1:$master->{transport}", %more));
    $n->launch;
    return $n;
}
$link->cut;
my $moved = moved('moved', $link);
ok(logged($moved, qr/no coordination backend available yet: .*whether the state of its cluster is in Kubernetes cannot be asked: .*; the masters' cluster \[\Q$foreign\E\] has no indices.*coordination\.accept_new: true joins it\. Waiting for it/), 'while the API is away it waits, and says why');
my $r = $moved->get('/ready');
is($r->{status}, 503, 'it is not ready');
like($r->{json}{reason} // '', qr/^waiting for the claim: Kubernetes cannot be asked: .*has no indices/, 'with the reason') or diag $r->{content};
is(coordination($moved)->{cluster_uuid}, '_na_', 'it belongs to no cluster');
like(coordination($moved)->{mode}{why}[-1] // '', qr/^waiting for the claim: /, 'as GET _cluster/coordination tells');
isnt($moved->put('/books2', {})->{status}, 200, 'it makes nothing in an empty cluster');
$link->heal;
is(uuid($moved), $right, 'with the API it is of the cluster that is there');
is($moved->get('/books')->{status}, 200, 'whose indices it shows');
ok($moved->wait_for(sub { $moved->get('/ready')->{status} == 200 }, 60), 'and ready');
ok(logged($moved, qr/two clusters have .*uuid\S* .*\[\Q$foreign\E\]/), 'the masters are told to be of another cluster, by its uuid');
unlike($moved->log_text, qr/connected to master/, 'it is not connected to a master of its cluster');
is($moved->stop, 0, 'it ends');

# --- rights that were taken away: the claim cannot be read either
$kube->kubectl(qw(delete rolebinding quidditch-coordination -n quidditch));
my $refused = moved('refused', $account);
ok(logged($refused, qr/no coordination backend available yet: .*has no indices/), 'without rights it waits as well');
is($refused->get('/ready')->{status}, 503, 'and is not ready');
is($refused->stop, 0, 'a node that waits can be stopped');

# --- the operator says so
my $told = moved('told', $account, ACCEPT_NEW => 'true');
is(uuid($told), $foreign, 'coordination.accept_new: true ends the wait');
ok(logged($told, qr/connected to master \[m0\] at \[127\.0\.0\.1:$master->{transport}\]/), 'it is connected to a master of its cluster');
is($told->stop, 0, 'it ends');

# --- masters in charge of a cluster in use
is($master->put('/used?wait_for_active_shards=0', {})->{status}, 200, 'the masters get an index');
my $proof = moved('proof', $account);
is(uuid($proof), $foreign, 'masters that are in charge of indices are proof enough');
like($proof->log_text, qr/Kubernetes cannot be asked, masters are in charge of the cluster \[\Q$foreign\E\], which has indices/, 'as the log says');
$_->signal('TERM') for $proof, $data, $control, $master;
is($_->stop, 0, "$_->{name} ends") for $proof, $data, $control, $master;

# --- a cluster that could have either store: formed by masters, as claimed; then the API is away
my $other = $kube->install('hybrid');
my $away = $kube->relay(as => $other);
my %hybrid = (%COMMON, 'cluster.name' => 'hybrid', 'coordination.mode' => 'auto', 'coordination.k8s_fallback' => 'true');
my %where = (KUBECONFIG => $away->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'hybrid');
my $h = QdNode->new('h0', settings => { %hybrid, 'node.roles' => 'master,ingest' }, env => {%where});
$h->{settings}{'coordination.raft_peers'} = "127.0.0.1:$h->{transport}";
start_all($h);
ok($h->wait_for(sub { coordination($h)->{mirror} }, 60), 'masters in charge keep a mirror in Kubernetes');
$away->cut;
my $pod = QdNode->new('pod', settings => { %hybrid, 'node.roles' => 'coordination,ingest', 'coordination.master_addresses' => "127.0.0.1:$h->{transport}" }, env => {%where});
$pod->launch;
is(uuid($pod), uuid($h), 'a node without a volume joins the masters in charge while the API is away, without any index');
ok($pod->wait_for(sub { $pod->get('/ready')->{status} == 200 }, 60), 'and is ready');
like(join(' ', @{ coordination($pod)->{mode}{why} }), qr/the claim cannot be read, and masters are in charge of the cluster \[/, 'why is told');
$_->signal('TERM') for $pod, $h;
is($_->stop, 0, "$_->{name} ends") for $pod, $h;
done_testing;
