#!/usr/bin/perl
# 624_born_in_k8s.t: a cluster that formed in a real Kubernetes API and never had masters gets some: they join as further
# control nodes, the state moves to them by qd migrate, Kubernetes goes away, and comes back and takes it over again; step
# by step as the phases of a migration have it (mirrored, compared, one store in charge, the other one kept, given up).
# Masters that formed a cluster of their own are refused. A client that does not try again writes and makes indices meanwhile.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;
use Timed;

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
my $kube = KubeServer->new('born')->start;
my $account = $kube->install('quidditch');
my %pod = (KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch', USE_K8S_COORDINATION => 'true');
my @c = map { QdNode->new("c$_", settings => {%COMMON, 'node.roles' => 'coordination,ingest'}, env => {%pod}) } 0 .. 1;
my $data = QdNode->new('data', settings => {%COMMON, 'node.roles' => 'data'}, env => {MASTER_ADDRESSES => join ',', map { "127.0.0.1:$_->{transport}" } @c});
my @m = map { QdNode->new("quidditch-master-$_", settings => {%COMMON, 'node.roles' => 'master'}) } 0 .. 2;
my $peers = join ',', map { "$_->{name}\@127.0.0.1:$_->{transport}" } @m;
my $masters = join ',', map { "127.0.0.1:$_->{transport}" } @m;
start_all(@c, $data);
is($data->put('/docs', {settings => {number_of_shards => 1, number_of_replicas => 0}})->{status}, 200, 'an index');
my $uuid = settled($data)->{cluster_uuid};
my $load = Coordination::Load->new($data);
$load->more(3);
sub told { my ($n) = @_; my $j = settled($n); return join ' ', $j->{store}{kind} // '-', $j->{store}{epoch} // '-', $j->{cluster_uuid} // '-' }
sub calm {
    my ($what) = @_;
    $load->more(3);
    is_deeply($load->{failed}, [], "$what: no request failed") or diag explain $load->{failed};
    within($load->{slowest}, 2, 60, "$what: a change of the state") or diag $load->{slow};
}
is(told($data), "k8s 1 $uuid", 'the state is in Kubernetes, where it began');
like(error_of($data->post('/_cluster/coordination/_migrate?to=master')), qr/^400 no node has both stores/, 'without masters it goes nowhere');

# --- masters are added: further control nodes of this cluster
$_->{env} = {%pod, K8S_FALLBACK => 'true', RAFT_PEERS => $peers} for @m;
start_all(@m);
is_deeply([same_told([@m, @c, $data], qw(store.kind store.epoch cluster_uuid))], ["k8s 1 $uuid"], 'masters that are added obey');
like($_->log_text, qr/both stores are open, \[k8s-native\] and \[master\]/, "$_->{name} has both stores") for @m;
my $r;
$load->until(sub { error_of($r = $data->post('/_cluster/coordination/_migrate?to=master')) =~ /\bc[01]\b/ }, 60);
like(error_of($r), qr/^4\d\d .*\bc[01]\b/, 'nodes that coordinate and have one store could not follow: refused, by name');
for my $n (@c) { # kubectl set env deployment/quidditch-coordination K8S_FALLBACK=true MASTER_ADDRESSES=...
    $n->stop;
    $n->{env} = {%pod, K8S_FALLBACK => 'true', MASTER_ADDRESSES => $masters};
    $n->launch;
    ok(started($n), "$n->{name} is there again");
    settled($n);
    $load->more;
}
$data->stop; # and the data nodes' too
$data->{env} = {MASTER_ADDRESSES => $masters};
$data->launch;
ok(started($data), 'the data node is there again');
settled($data);
$data->wait_for(sub { ($data->get('/_cluster/health')->{json}{status} // '') eq 'green' }, 120);
calm('with masters beside');

# --- and the state moves
sub move {
    my ($to, $kind, $epoch) = @_;
    my ($rc, $out) = $c[0]->run_qd('migrate', 'start', '--to', $to, '--url', $c[0]->url);
    is($rc, 0, "qd migrate start --to $to") or diag $out;
    my (%seen, $now);
    ok($load->until(sub { $now = migration($m[0]); $seen{$now->{step} // ''} = 1; ($now->{step} // '') eq 'done' }), 'it is done') or diag explain $now;
    ok($seen{mirror} || $seen{compare}, 'both are compared before one takes over') or diag explain \%seen;
    is_deeply($now->{differences}, 0, 'and differ in nothing') or diag explain $now;
    is_deeply([same_told([@m, @c, $data], qw(store.kind store.epoch cluster_uuid))], ["$kind $epoch $uuid"], 'all nodes have followed');
    calm("moved to $to");
}
move('master', 'raft', 2);
is($kube->get('/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates/quidditch')->{json}{spec}{state}, 'retired', 'what Kubernetes has is kept, for reading');
my ($rc, $out) = $c[0]->run_qd('migrate', 'finish', '--url', $c[0]->url);
is($rc, 0, 'until nobody wants it any more') or diag $out;
my $j;
ok($load->until(sub { $j = coordination($m[0]); $j->{mirror} && !$j->{mirror}{lag} }, 60), 'then the masters keep a mirror there') or diag explain $j;
is(migration($data)->{under_way}, JSON::PP::false(), 'and what the settings of the coordination nodes ask for by now (k8s-native) does not overrule the word');

# --- Kubernetes is of no matter now
$kube->kill9;
$_->stop, $_->start(seconds => 120), settled($_) for $m[0];
calm('without Kubernetes');
$kube->revive;

# --- and back
$load->{slowest} = 0;
move('k8s-native', 'k8s', 3);
is_deeply($load->wrong, [], 'every index and document is there');

# --- masters that were deployed without access to Kubernetes have formed a cluster of their own
my $own = QdNode->new('own', settings => {%COMMON, 'node.roles' => 'master'});
$own->start;
isnt((split ' ', told($own))[2], $uuid, 'a master without access is a cluster of its own');
is($own->stop, 0, 'and is given access');
$own->{env} = {%pod, K8S_FALLBACK => 'true'};
$own->start;
ok($own->wait_for(sub { $own->log_text =~ /two clusters have the name \[quidditch\]: its uuid is \[\Q$uuid\E\]/ }, 60), 'it is refused, and told why') or diag $own->log_text;
like(error_of($own->post('/_cluster/coordination/_migrate?to=k8s-native')), qr/^[45]\d\d /, 'its state moves nowhere');
is(told($data), "k8s 3 $uuid", 'the cluster goes on');
is($own->stop, 0, 'it ends');
$_->signal('TERM') for $data, @c, @m;
is($_->stop, 0, "$_->{name} ends") for $data, @c, @m;
done_testing;
