# 613_modes_claim.t: a cluster that has never formed and could have either store: masters and a real Kubernetes API are
# both configured, and its nodes see different parts of them. The claim in Kubernetes decides for all, and one cluster
# forms: masters out of reach for one node, for all, for ever; the API out of reach; a node that asks for Kubernetes
# alone beside masters that form.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
delete @ENV{qw(KUBERNETES_SERVICE_HOST KUBECONFIG POD_NAMESPACE LEADER_ELECTION_NAMESPACE)};
my $kube = KubeServer->new('claim')->start;
my $account = $kube->install('quidditch');
my $link = $kube->relay(as => $account);
my $closed = '127.0.0.1:' . QdNode::free_port();

sub node {
    my ($name, $cluster, $roles, %o) = @_;
    my %settings = ('cluster.name' => $cluster, 'node.roles' => $roles, 'metrics.port' => -1, 'transport.rpc_port' => -1,
        'coordination.mode' => 'auto', 'coordination.k8s_fallback' => 'true', 'cluster.routing.allocation.disk.threshold_enabled' => 'false', %{ $o{settings} || {} });
    return QdNode->new($name, settings => \%settings, env => { KUBECONFIG => $o{kubeconfig} || $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch' });
}
sub masters {
    my ($cluster, %o) = @_;
    my @m = map { node("$cluster$_", $cluster, 'master,ingest', %o) } 0 .. 2;
    my $peers = join ',', map { "$_->{name}\@127.0.0.1:$_->{transport}" } @m;
    $_->{settings}{'coordination.raft_peers'} = $peers for @m;
    return @m;
}
sub coordination { my ($n) = @_; return $n->get('/_cluster/coordination?master_timeout=30s')->{json} || {} }
sub settled { my ($n) = @_; my $j; $n->wait_for(sub { $j = coordination($n); $j->{leader} && $j->{answered_by} eq 'leader' }, 120); return $j }
sub told { my ($n) = @_; my $j = settled($n); return join ' ', $j->{mode}{chosen} // '-', $j->{store}{kind} // '-', $j->{store}{epoch} // '-', $j->{cluster_uuid} // '-' }
sub claim { my ($cluster) = @_; return $kube->get("/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates/$cluster")->{json}{spec}{claim} }
sub logged { my ($n, $what) = @_; my $ok = $n->wait_for(sub { $n->log_text =~ $what }, 60); diag("$n->{name}:\n" . $n->log_text) unless $ok; return $ok }

# --- no master answers, for ever: after coordination.connect_timeout the cluster gets its store in Kubernetes
my $alone = node('alone', 'alone', 'coordination,ingest', settings => { 'coordination.master_addresses' => $closed, 'coordination.connect_timeout' => '1s' });
$alone->launch;
my $is = told($alone);
like($is, qr/^k8s-native k8s 1 \S{22}$/, 'without masters it is Kubernetes');
is_deeply(claim('alone'), { epoch => '1', inCharge => 'k8s', clusterUuid => (split ' ', $is)[3] }, 'as claimed, for this cluster');
like($alone->log_text, qr/no master has answered for 1000ms .*Tried: masters at \[\Q$closed\E\]; Kubernetes: by the kubeconfig.*\n(?:.*\n)*.*Master nodes unavailable, using K8S-native mode\n(?:.*\n)*.*using k8s-native: .*the claim in Kubernetes says \[k8s\]/, 'what was tried is told');
is($alone->put('/docs?wait_for_active_shards=0', {})->{status}, 200, 'and it works');
# masters that come late obey
my @late = masters('alone');
$_->launch for @late;
is(told($_), $is, "$_->{name}, a master that came late, obeys the claim") for @late;
ok(logged($_, qr/both stores are open, \[k8s-native\] and \[master\]/), "$_->{name} may take the state over some day") for @late;
$_->signal('TERM') for @late;
is($_->stop, 0, "$_->{name} ends") for @late;
# a node without a volume is started anew, and is to ask masters now: they are empty, and the state is in Kubernetes
my $empty = node('empty', 'alone', 'master,ingest', settings => { 'coordination.mode' => 'master' });
my $moved = node('moved', 'alone', 'coordination,ingest', settings => { 'coordination.mode' => 'master', 'coordination.master_addresses' => "127.0.0.1:$empty->{transport}" });
delete $empty->{env}{KUBECONFIG};
$empty->{settings}{'coordination.k8s_fallback'} = 'false';
$_->launch for $empty, $moved;
is(told($moved), $is, 'a node without a record stays with the store that has one, empty masters are not obeyed');
my $now = coordination($moved);
is_deeply([@{ $now->{mode} }{qw(asked chosen)}, $now->{mode}{migration_wanted}], ['master', 'k8s-native', JSON::PP::true()], 'what it asks for waits for a migration') or diag explain $now;
like($moved->log_text, qr/WARN.*the setting \[master\] waits: .*qd migrate start --to master.*the store \[k8s\] is kept/, 'as the log says');
ok($alone->wait_for(sub { my $w = coordination($alone)->{mode}{wanted_by}; @$w == 1 && $w->[0]{name} eq 'moved' }, 60), 'and the others know');
isnt((split ' ', told($empty))[3], (split ' ', $is)[3], 'the empty master is a cluster of its own');
$_->signal('TERM') for $moved, $empty, $alone;
is($_->stop, 0, "$_->{name} ends") for $moved, $empty, $alone;

# --- the API cannot be asked: masters wait, and say so; then they form, as claimed
$link->cut;
my @m = masters('both', kubeconfig => $link->{kubeconfig});
$_->launch for @m;
ok(logged($_, qr/no coordination backend available yet: masters and Kubernetes are both configured.*cannot be asked: .*Waiting for it/), "$_->{name} waits for the API") for @m;
my $j = coordination($m[0]);
is_deeply([@{ $j->{mode} }{qw(asked chosen)}, $j->{store}{kind}, $j->{leader}], ['auto', 'unknown', 'unknown', undef], 'where the state is is not known yet') or diag explain $j;
like($j->{mode}{why}[-1] // '', qr/^waiting for the claim: /, 'why is told') or diag explain $j;
ok(!-e "$_->{dir}/data/coordination/node", "$_->{name} has formed nothing") for @m;
# one that asks for Kubernetes alone, and one that reaches no master, both with the API
my $cut = node('cut', 'both', 'coordination,ingest', settings => { 'coordination.master_addresses' => $closed });
$cut->launch; # asks for masters longer than the others need
$link->heal;
$is = told($m[0]);
like($is, qr/^master raft 1 \S{22}$/, 'with the API the masters form a cluster');
is(told($_), $is, "$_->{name} is of it") for @m;
is_deeply(claim('both'), { epoch => '1', inCharge => 'raft', clusterUuid => (split ' ', $is)[3] }, 'the one that was claimed');
like($m[0]->log_text, qr/the claim in Kubernetes says \[raft\], epoch 1/, 'as the log says');
ok(logged($cut, qr/using master mode: .*the claim in Kubernetes says \[raft\]/), 'who reaches no master obeys as well');
is(coordination($cut)->{cluster_uuid}, '_na_', 'and waits for them');
my $native = node('native', 'both', 'coordination,ingest', settings => { 'coordination.mode' => 'k8s-native' });
$native->launch;
ok(logged($native, qr/no leader answers yet.*the store that this node is to use \(k8s\) is there, but not in charge: .*a second cluster is not formed in it/), 'one that asks for Kubernetes alone forms no second cluster');
is(coordination($native)->{cluster_uuid}, '_na_', 'it belongs to none');
is($_->stop, 0, "$_->{name} stops while it waits") for $cut, $native;
# the API is of no matter any more
$kube->kill9;
$m[1]->kill9;
$m[1]->launch;
is(told($m[1]), $is, 'a master that is started again asks nobody');
is($m[0]->put('/docs?master_timeout=60s&wait_for_active_shards=0', {})->{status}, 200, 'changes are made without the API');
$_->signal('TERM') for @m;
is($_->stop, 0, "$_->{name} ends") for @m;

# --- off Kubernetes the setting alone makes nobody wait
my @off = masters('off');
delete $_->{env}{KUBECONFIG} for @off;
$_->launch for @off;
like(told($off[0]), qr/^master raft 1 /, 'k8s_fallback off Kubernetes: masters, at once');
$_->signal('TERM') for @off;
is($_->stop, 0, "$_->{name} ends") for @off;
done_testing;
