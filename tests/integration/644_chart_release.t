#!/usr/bin/perl
# 644_chart_release.t: the chart against a real API server: all that its values render passes a server dry run; a release
# is installed, upgraded, rolled back and uninstalled; a changed mode is refused until the state has moved; kinds and mode
# stay. No kubelet is there, so nothing runs. For a server older than 1.24 the chart is converted, which is said.
use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use Helm;
use KubeServer;
use Manifests;
use QdNode;
use Test::More;

Manifests->skip_unless_parsed;
Helm->skip_unless_there;
KubeServer->skip_unless_built;
my $kube = KubeServer->new('chart')->start;
my $dir = tempdir('qd-release-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $chart = Helm::chart_for($kube, $dir);
sub helm { return Helm::run(@_, '--kubeconfig', $kube->{kubeconfig}, '--namespace', 'quidditch') }
sub ok_helm { my ($rc, $out) = helm(@_); is($rc, 0, 'helm ' . join ' ', map { s{.*/}{}r } @_) or diag $out; return $out }
sub not_helm { my ($pattern, @c) = @_; my ($rc, $out) = helm(@c); isnt($rc, 0, 'refused: helm ' . join ' ', map { s{.*/}{}r } @c); like($out, $pattern, '... in words') }
sub there { my ($path) = @_; return $kube->get($path)->{status} == 200 }
my $apps = '/apis/apps/v1/namespaces/quidditch';
my $crd = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/quidditchstates.quidditch.io';

# --- as the deployment guide installs it ------------------------------------------------------------------------------
ok_helm('install', 'quidditch', $chart, '--create-namespace', map { ('--set', $_) } qw(master.enabled=true master.replicas=3 coordination.replicas=3 data.replicas=5));
ok(there("$apps/statefulsets/quidditch-master") && there("$apps/statefulsets/quidditch-data") && there("$apps/deployments/quidditch-coordination"), 'masters, data and coordination nodes are there');
ok(!there($crd), 'without kinds, which masters do not need');
ok_helm('upgrade', 'quidditch', $chart, '--reuse-values', '--set', 'data.replicas=6');
is($kube->get("$apps/statefulsets/quidditch-data")->{json}{spec}{replicas}, 6, 'an upgrade changes the number');
ok_helm('rollback', 'quidditch', '1');
is($kube->get("$apps/statefulsets/quidditch-data")->{json}{spec}{replicas}, 5, '... a rollback changes it back');

# --- another name, other zones: other nodes, with empty volumes ---------------------------------------------------------
my @kept = ('upgrade', 'quidditch', $chart, '--set', 'master.enabled=true');
not_helm(qr/is called quidditch, the values call it books.*set clusterName=quidditch/, @kept, '--set', 'clusterName=books');
not_helm(qr/those without zones go at once with all their copies\. Set zones=\[\] as before/, @kept, '--set', 'zones={a},data.replicas=5');

not_helm(qr/objects of this release are called quidditch, the values call them books.*set fullnameOverride=quidditch/, @kept, '--set', 'fullnameOverride=books', '--set', 'clusterName=quidditch');

# --- another mode -----------------------------------------------------------------------------------------------------
my @native = ('upgrade', 'quidditch', $chart, '--set', 'coordination.k8sNative=true');
not_helm(qr/was installed with the mode master, the values ask for k8s-native: its state would stay behind.*qd migrate start --to k8s-native/s, @native);
ok_helm('upgrade', 'quidditch', $chart, '--set', 'master.enabled=true', '--set', 'controlPlane.migration=true');
ok(there($crd), 'with controlPlane.migration the kinds are there');
QdNode->wait_for(sub { $kube->get('/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates')->{status} == 200 });
not_helm(qr/its state would stay behind/, @native);
sub root_is {
    my ($state) = @_;
    my $path = '/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates';
    my $there = $kube->get("$path/quidditch")->{json};
    my $r = $there->{spec} ? $kube->put("$path/quidditch", {%$there, spec => {state => $state}})
        : $kube->post($path, {apiVersion => 'quidditch.io/v1', kind => 'QuidditchState', metadata => {name => 'quidditch'}, spec => {state => $state}});
    like($r->{status}, qr/^20/, "the root in Kubernetes is $state") or diag $r->{content};
}
root_is('mirror');
not_helm(qr/its state would stay behind/, @native);
root_is('active');
ok_helm(@native);
ok(!there("$apps/statefulsets/quidditch-master"), 'the state has moved: the masters go');
not_helm(qr/was installed with the mode k8s-native, the values ask for master/, 'upgrade', 'quidditch', $chart, '--set', 'master.enabled=true');
ok_helm('upgrade', 'quidditch', $chart, '--set', 'controlPlane.migration=true');
root_is('retired');
ok_helm('upgrade', 'quidditch', $chart, '--set', 'master.enabled=true');

# --- what stays -------------------------------------------------------------------------------------------------------
ok_helm('uninstall', 'quidditch');
ok(!there("$apps/statefulsets/quidditch-data"), 'uninstalled');
ok(there($crd), '... the kinds stay');
ok(there('/api/v1/namespaces/quidditch/configmaps/quidditch-control-plane'), '... and the mode');
root_is('active');
root_is('retired');
not_helm(qr/was installed with the mode master/, 'install', 'quidditch', $chart, '--set', 'coordination.k8sNative=true');
ok_helm('install', 'quidditch', $chart, '--set', 'master.enabled=true');

# --- a second release beside it, in another namespace: the kinds belong to the first ---------------------------------
my ($rc, $out) = Helm::run('install', 'search', $chart, '--kubeconfig', $kube->{kubeconfig}, '--namespace', 'search', '--create-namespace', '--set', 'coordination.k8sNative=true');
is($rc, 0, 'a second release of another namespace') or diag $out;
ok(there('/apis/apps/v1/namespaces/search/deployments/search-coordination'), '... with its own names');
sub zones { my ($c, $zones, $n) = @_; return Helm::run($c, 'zones', $chart, '--kubeconfig', $kube->{kubeconfig}, '--namespace', 'search', '--set', "coordination.k8sNative=true,zones={$zones},data.replicas=$n") }
is((zones('install', 'a,b', 4))[0], 0, 'a release with zones');
is((zones('upgrade', 'a,b,c', 6))[0], 0, '... gets another');
($rc, $out) = zones('upgrade', 'a,b', 4);
isnt($rc, 0, '... and keeps it');
like($out, qr/those of zone c go at once with all their copies\. Set zones=\{a,b,c\} as before/, '... in words');

# --- server dry run of what values render ----------------------------------------------------------------------------
for my $values ('coordination.mode=auto', 'zones={a,b},data.replicas=4,master.enabled=true', 'networkPolicy.enabled=true,ingress.enabled=true,ingress.host=a.example.com,coordination.autoscaling.enabled=true') {
    my ($status, $text) = Helm::run('template', 'dry', $chart, '--kube-version', '1.30.0', '--namespace', 'search', '--no-hooks', '--set', $values);
    is($status, 0, "$values: helm template") or diag $text;
    open my $f, '>', "$dir/dry.yaml" or die;
    print $f $text;
    close $f;
    ($status, $out) = $kube->kubectl('apply', '--dry-run=server', '-f', "$dir/dry.yaml");
    is($status, 0, '... server dry run') or diag $out;
}
$kube->stop;
done_testing;
