#!/usr/bin/perl
# 622_migrate_by_hand.t: from masters to Kubernetes and back as people do it with kubectl: environment of a Deployment
# set, rights granted, a StatefulSet scaled to 0, masters deployed anew. The commands run against a real API server;
# what a kubelet does of it, starting and stopping processes, the test does. Documents are written and indices made
# meanwhile by a client that does not try again. Masters that are killed instead of stopped switch nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use File::Path qw(remove_tree);
use KubeServer;
use QdNode;
use Test::More;
use Timed;

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
my $kube = KubeServer->new('hand')->start;
$kube->install_crds;
sub ok_kubectl { my ($status, $out) = $kube->kubectl(@_); is($status, 0, "kubectl @_") or diag $out }
$kube->post('/api/v1/namespaces', {metadata => {name => 'quidditch'}});
$kube->post('/api/v1/namespaces/quidditch/serviceaccounts', {metadata => {name => 'quidditch-coordination'}});
my $account = $kube->account('quidditch', 'quidditch-coordination');
my %pod = (KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch');

# --- what runs
my @m = map { QdNode->new("quidditch-master-$_", settings => {%COMMON, 'node.roles' => 'master'}) } 0 .. 2;
my @c = map { QdNode->new("c$_", settings => {%COMMON, 'node.roles' => 'coordination,ingest'}) } 0 .. 1;
my $peers = join ',', map { "$_->{name}\@127.0.0.1:$_->{transport}" } @m;
my $masters = join ',', map { "127.0.0.1:$_->{transport}" } @m;
my $data = QdNode->new('data', settings => {%COMMON, 'node.roles' => 'data'}, env => {MASTER_ADDR => "127.0.0.1:$m[0]{transport}"});
sub workload { # as it stands in the API, with the variables of its pods
    my ($kind, $name, $replicas, %env) = @_;
    my $labels = {app => $name};
    my $r = $kube->post('/apis/apps/v1/namespaces/quidditch/' . lc($kind) . 's', {
        apiVersion => 'apps/v1', kind => $kind, metadata => {name => $name},
        spec => {replicas => $replicas, selector => {matchLabels => $labels}, $kind eq 'StatefulSet' ? (serviceName => $name) : (),
            template => {metadata => {labels => $labels}, spec => {containers => [{name => 'node', image => "$name:1",
                env => [map { {name => $_, value => $env{$_}} } sort keys %env]}]}}}});
    is($r->{status}, 201, "$kind $name") or diag $r->{content};
}
sub variables {
    my ($kind, $name) = @_;
    my $r = $kube->get('/apis/apps/v1/namespaces/quidditch/' . lc($kind) . "s/$name");
    return map { $_->{name} => $_->{value} } @{$r->{json}{spec}{template}{spec}{containers}[0]{env} || []};
}
workload('StatefulSet', 'quidditch-master', 3, RAFT_PEERS => $peers, K8S_FALLBACK => 'true', USE_K8S_COORDINATION => 'false');
workload('Deployment', 'quidditch-coordination', 2, MASTER_ADDRESSES => $masters);
$_->{env} = {%pod, variables('StatefulSet', 'quidditch-master')} for @m;
$_->{env} = {%pod, variables('Deployment', 'quidditch-coordination')} for @c;
start_all(@m, @c, $data);
is($data->put('/docs', {settings => {number_of_shards => 1, number_of_replicas => 0}})->{status}, 200, 'an index');
my $load = Coordination::Load->new($data);
sub calm {
    my ($what) = @_;
    is_deeply($load->{failed}, [], "$what: no request failed") or diag explain $load->{failed};
    within($load->{slowest}, 2, 60, "$what: a change of the state") or diag $load->{slow};
}
sub grep_logs { my ($pattern) = @_; return scalar grep { $_->log_text =~ $pattern } @c } # kubectl logs -l app=... | grep
# A new pod for each of the Deployment: an empty one, by the variables of now.
sub roll {
    my ($meanwhile) = @_;
    for my $n (@c) {
        $n->stop;
        remove_tree("$n->{dir}/data");
        $n->{env} = {%pod, variables('Deployment', 'quidditch-coordination')};
        $n->launch;
        $meanwhile->() if $meanwhile && $n == $c[0];
        ok(started($n), "$n->{name} is there again");
        settled($n);
        $load->more;
    }
}
# SIGTERM to the last pod first, the next one when it has ended.
sub scale_down {
    ok_kubectl(qw(scale statefulset quidditch-master -n quidditch --replicas=0));
    for my $n (reverse @m) {
        $n->signal('TERM');
        ok($load->until(sub { !$n->alive }, 60), "$n->{name} ends");
    }
}

# --- to Kubernetes
ok_kubectl(qw(set env deployment/quidditch-coordination -n quidditch K8S_FALLBACK=true));
roll(sub { ok_kubectl('apply', '-f', QdNode::top() . "/deploy/rbac/$_") for qw(coordination.yaml masters.yaml) });
my $j;
ok($load->until(sub { $j = coordination($m[0]); $j->{mirror} && $j->{mirror}{lag} < 100 }), 'the masters keep a mirror there') or diag explain $j;
is("$j->{store}{kind} $j->{mirror}{mode}", 'raft k8s-native', 'and are in charge');
my ($rc, $text) = $m[0]->run_qd('mode', '--url', $m[0]->url);
like($text, qr/^mirror +in k8s-native, \d+ revisions behind$/m, 'qd mode tells it');
like(($m[0]->run_qd('migrate', 'status', '--url', $m[0]->url))[1], qr/^kept +no migration is under way/m, 'so does qd migrate status');
is(migration($data)->{under_way}, JSON::PP::false(), 'no migration is under way');
calm('mirrored');

# --- masters that are killed switch nothing
$_->signal('KILL') for @m;
$_->wait_end for @m;
my $r;
ok($data->wait_for(sub { $r = $data->put('/more?master_timeout=1s', {}); $r->{status} == 503 }, 60), 'without masters no index is made') or diag explain $r;
like($r->{content}, qr/"coordination_u\w+".*raft/, 'it says why') or diag $r->{content};
is($data->put("/docs/_doc/$load->{wrote}", {n => $load->{wrote}++})->{status}, 201, 'documents are written');
is(grep_logs(qr/using k8s-native/), 0, 'nobody has switched');
start_all(@m);
ok($data->wait_for(sub { $data->put('/more', {})->{status} =~ /^(200|400)$/ }, 120), 'with them all is well again');
$data->delete('/more');
$load->{slowest} = 0;

# --- masters that are stopped for good
ok($load->until(sub { $j = coordination($m[0]); $j->{mirror} && $j->{mirror}{lag} < 100 }), 'the mirror is there again') or diag explain $j;
scale_down();
ok($load->until(sub { grep_logs(qr/using k8s-native/) == 2 }, 60), 'kubectl logs -l app=quidditch-coordination | grep "using k8s-native"') or diag map { $_->log_text } @c;
$load->more(3);
calm('without masters');
is_deeply([same_told([@c, $data], 'store.kind')], ['k8s'], 'all say so');
is_deeply($load->wrong, [], 'every index and document is there');
($rc, $text) = $c[0]->run_qd('migrate', 'finish', '--url', $data->url);
is($rc, 0, 'qd migrate finish: those that moved the state are gone, one that followed forgets it') or diag $text;
like(($c[0]->run_qd('migrate', 'finish', '--url', $c[0]->url))[1], qr/there is no migration to finish/, '... once');

# --- and back: masters are deployed, at first as further nodes of the cluster
ok_kubectl(qw(delete statefulset quidditch-master -n quidditch));
workload('StatefulSet', 'quidditch-master', 3, RAFT_PEERS => $peers, K8S_FALLBACK => 'true', USE_K8S_COORDINATION => 'true');
for my $n (@m) {
    remove_tree("$n->{dir}/data");
    $n->{env} = {%pod, variables('StatefulSet', 'quidditch-master')};
}
start_all(@m);
ok_kubectl(qw(set env deployment/quidditch-coordination -n quidditch USE_K8S_COORDINATION=false), "MASTER_ADDRESSES=$masters");
roll();
ok($load->until(sub { $j = coordination($data); ($j->{store}{kind} // '') eq 'raft' }, 120), 'all coordination nodes ask for masters: the state moves there') or diag explain $j, migration($data);
ok($load->until(sub { grep_logs(qr/connected to master/) == 2 }, 60), 'kubectl logs -l app=quidditch-coordination | grep "connected to master"') or diag map { $_->log_text } @c;
ok_kubectl(qw(delete rolebinding quidditch-coordination -n quidditch));
ok_kubectl(qw(delete role quidditch-coordination -n quidditch));
$load->more(3);
calm('with masters again');
is_deeply([same_told([@m, @c, $data], 'store.kind')], ['raft'], 'all say so');
is_deeply($load->wrong, [], 'every index and document is there');
$_->signal('TERM') for $data, @c, @m;
is($_->stop, 0, "$_->{name} ends") for $data, @c, @m;
done_testing;
