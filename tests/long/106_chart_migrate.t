#!/usr/bin/perl
# 106_chart_migrate.t: a cluster of the chart moves its state from masters to Kubernetes and back, as docs/deploy/helm.md
# says: `helm upgrade` with controlPlane.migration, `qd migrate start`, `helm upgrade` with the new mode. Helm and the API
# server are real; what a kubelet does, starting and stopping processes by what the API server has of their pods, the
# test does. Documents are written and indices made meanwhile by a client that does not try again.
use strict;
use warnings;
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../integration/lib";
use Coordination;
use Helm;
use KubeServer;
use Long;
use Manifests;
use QdNode;
use Test::More;

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
Manifests->skip_unless_parsed;
Helm->skip_unless_there;
KubeServer->skip_unless_built;
step('everything builds', sub { build('all') }) or BAIL_OUT('no build');
my $kube = KubeServer->new('moved')->start;
my $dir = tempdir('qd-moved-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $chart = Helm::chart_for($kube, $dir);
my @size = map { ('--set', $_) } qw(coordination.replicas=2 data.replicas=1);
sub helm {
    my ($what, @values) = @_;
    my ($rc, $out) = Helm::run($what, 'quidditch', $chart, '--kubeconfig', $kube->{kubeconfig}, '--namespace', 'quidditch', '--create-namespace', @size, map { ('--set', $_) } @values);
    is($rc, 0, "helm $what @values") or diag $out;
}

# --- pods: a process each, with the variables that the API server has ----------------------------------------------
my %own = (%COMMON); # with the name of the release as that of the cluster
my @m = map { QdNode->new("quidditch-master-$_", settings => {%own}) } 0 .. 2;
my @c = map { QdNode->new("c$_", settings => {%own}) } 0 .. 1;
my $data = QdNode->new('quidditch-data-0', settings => {%own});
my %address = ((map { ("quidditch-master-$_" => ["127.0.0.1:$m[$_]{transport}"]) } 0 .. 2), 'quidditch-coordination-rpc' => [map { "127.0.0.1:$_->{transport}" } @c]);
my $account;
sub told { # what a pod of this set is told now
    my ($n, $kind, $set) = @_;
    my $pod = $kube->get("/apis/apps/v1/namespaces/quidditch/${kind}s/$set")->{json}{spec}{template} or die "there is no $set\n";
    my %env = Manifests::environment($pod, name => $n->{name}, ip => '127.0.0.1');
    delete @env{qw(BIND_ADDR REST_PORT)};
    for my $name (qw(RAFT_PEERS MASTER_ADDRESSES)) {
        my @at = map { my ($host) = /^([\w-]+)/; map { $name eq 'RAFT_PEERS' ? "$host\@$_" : $_ } @{$address{$host}} } split /,/, $env{$name} // '';
        $env{$name} = join ',', @at if @at;
    }
    ($env{QUIDDITCH_ROLE}) = $pod->{spec}{containers}[0]{image} =~ m{/([\w-]+):};
    if ($pod->{spec}{automountServiceAccountToken}) {
        $account ||= $kube->account('quidditch', $pod->{spec}{serviceAccountName});
        $env{KUBECONFIG} = $account->{kubeconfig};
    }
    $n->{env} = \%env;
}
sub told_all {
    my ($masters) = @_;
    if ($masters) { told($_, 'statefulset', 'quidditch-master') for @m }
    told($_, 'deployment', 'quidditch-coordination') for @c;
    told($data, 'statefulset', 'quidditch-data');
}
my $load;
sub roll { # one after the other; those without a volume as new pods
    my (@nodes) = @_;
    for my $n (@nodes) {
        $n->stop;
        remove_tree("$n->{dir}/data") if grep { $_ == $n } @c;
        $n->launch;
        ok(started($n), "$n->{name} is there again");
        settled($n);
        $load->more if $load;
    }
}
sub move {
    my ($to, $kind) = @_;
    my ($rc, $out) = $c[0]->run_qd('migrate', 'start', '--to', $to, '--url', $c[0]->url);
    is($rc, 0, "qd migrate start --to $to") or diag $out;
    my $j;
    ok($load->until(sub { ($rc, $out) = $c[0]->run_qd('migrate', 'status', '--url', $c[0]->url); $out =~ /\bdone\b/ }, 120), '... until qd migrate status says done') or diag $out;
    is_deeply([same_told([@c, $data], 'store.kind')], [$kind], '... all say so');
    # the root shows what came before its last write: a change later it tells who is in charge
    my $root = sub { # as the chart looks at it
        return $kube->get('/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates/quidditch')->{json}{spec}{state} // '';
    };
    ok($load->until(sub { $to eq 'k8s-native' ? $root->() eq 'active' : $root->() ne 'active' }, 60), '... and the root in Kubernetes') or diag $root->();
}
sub all_well {
    my ($what) = @_;
    $load->more(3);
    is_deeply($load->{failed}, [], "$what: no request failed") or diag explain $load->{failed};
    is_deeply($load->wrong, [], '... every index and document is there');
}

# --- with masters ------------------------------------------------------------------------------------------------------
helm('install', 'master.enabled=true');
told_all(1);
start_all(@m, @c, $data);
is($data->put('/docs', {settings => {number_of_shards => 1, number_of_replicas => 0}})->{status}, 200, 'an index');
$load = Coordination::Load->new($data);
$load->more(2);
is_deeply([same_told([@c, $data], 'store.kind')], ['raft'], 'the state is with masters');

# --- to Kubernetes -----------------------------------------------------------------------------------------------------
helm('upgrade', 'master.enabled=true', 'controlPlane.migration=true');
QdNode->wait_for(sub { $kube->get('/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates')->{status} == 200 });
told_all(1);
roll(@m, @c, $data);
move('k8s-native', 'k8s');
helm('upgrade', 'coordination.k8sNative=true');
told_all(0);
roll(@c);
$_->stop for @m;
roll($data);
is_deeply([same_told([@c, $data], 'store.kind')], ['k8s'], 'without masters the state is in Kubernetes');
all_well('in Kubernetes');

# --- and back ------------------------------------------------------------------------------------------------------------
helm('upgrade', 'coordination.k8sNative=true', 'controlPlane.migration=true');
remove_tree("$_->{dir}/data") for @m;
told_all(1);
start_all(@m);
roll(@c, $data);
move('master', 'raft');
helm('upgrade', 'master.enabled=true');
told_all(1);
roll(@m, @c, $data);
is_deeply([same_told([@m, @c, $data], 'store.kind')], ['raft'], 'the state is with masters again');
all_well('with masters again');
is($_->stop, 0, "$_->{name} ends") for $data, @c, @m;
finish();
