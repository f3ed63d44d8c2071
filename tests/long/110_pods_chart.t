#!/usr/bin/perl
# 110_pods_chart.t: the deployment guide's helm commands, from a repository that `make charts` made and a web server offers,
# on nodes that run the product's images (Pods.pm): with masters: install, `helm test`, upgrade, rollback, uninstall, and a
# new install that finds its documents; with the state in Kubernetes: install and `helm test`. Values differ from the
# guide's where nodes of this size make it necessary: sizes, and an address in place of the guide's.
use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../integration/lib";
use Helm;
use Long;
use Manifests;
use Pods;
use POSIX ();
use QdNode;
use Test::More;
use Time::HiRes qw(time);

Helm->skip_unless_there;
Pods->prepare;
my $k = Pods->start('chart');
my $dir = tempdir('qd-charts-XXXXXX', TMPDIR => 1, CLEANUP => 1);

# --- the repository --------------------------------------------------------------------------------------------------
my $chart = Helm::chart_for($k->{kube}, $dir);
my ($version) = QdNode::slurp(QdNode::top() . '/Makefile') =~ /^VERSION := (\S+)/m;
mkdir "$dir/helm";
system('cp', QdNode::top() . '/deploy/helm/make-charts', "$dir/helm") == 0 && rename $chart, "$dir/helm/quidditch" or die "charts: $!";
local $ENV{HELM} = Helm::program();
is(system("'$dir/helm/make-charts' '$dir/charts' $version >/dev/null 2>&1"), 0, 'make charts') or BAIL_OUT('no chart');
my $port = QdNode::free_port();
my $web = fork // die "fork: $!";
if (!$web) {
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    exec 'python3', '-m', 'http.server', '--bind', '127.0.0.1', '--directory', "$dir/charts", $port or POSIX::_exit(127);
}
END { local $?; kill 'KILL', $web if $web }
QdNode->wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) }) or die "no web server\n";

sub helm {
    my ($line, @more) = @_;
    my $from = time;
    my ($rc, $out) = Helm::run(split(' ', $line), @more, '--kubeconfig', $k->{kube}{kubeconfig});
    is($rc, 0, sprintf 'helm %s (%.0f s)', $line =~ s/\s+/ /gr, time - $from) or $k->explain($out);
    return $out;
}
# what these nodes have room for
my @size = map { ('--set', $_) } map({ ("$_.resources.requests.memory=64Mi", "$_.resources.requests.cpu=10m", "$_.resources.limits.memory=1Gi") } qw(master coordination data)),
    'settings.cluster\.routing\.allocation\.disk\.threshold_enabled=false';
helm("repo add quidditch http://127.0.0.1:$port");
helm('repo update');

# --- with masters --------------------------------------------------------------------------------------------------------
my $masters = 'quidditch quidditch/quidditch --namespace quidditch --create-namespace --set master.enabled=true --set master.replicas=3 --set coordination.replicas=3 --set data.replicas=5';
my $notes = helm("install $masters", @size);
like($notes, qr/Its state is with 3 master\(s\)/, '... tells where the state is');
$k->ok_kubectl("rollout status $_ -n quidditch --timeout=400s") for qw(statefulset/quidditch-master deployment/quidditch-coordination statefulset/quidditch-data);
$k->green(11);
helm('test quidditch --namespace quidditch --timeout 300s');
is($k->send('PUT', '/books', {settings => {number_of_shards => 3, number_of_replicas => 1}})->{status}, 200, 'an index');
is($k->send('PUT', "/books/_doc/$_?refresh=true", {n => $_})->{status}, 201, "document $_") for 1 .. 3;
helm('upgrade quidditch quidditch/quidditch --namespace quidditch --reuse-values --set coordination.replicas=2');
$k->ready('quidditch-coordination', 2);
helm('rollback quidditch 1 --namespace quidditch'); # not --wait: no balancer gives the Service an address here
$k->ready('quidditch-coordination', 3);
$k->green(11);
my ($rc, $out) = Helm::run(qw(upgrade quidditch quidditch/quidditch --namespace quidditch --set coordination.k8sNative=true), @size, '--kubeconfig', $k->{kube}{kubeconfig});
isnt($rc, 0, 'helm upgrade to another mode is refused');
like($out, qr/qd migrate start --to k8s-native/, '... with what to do');
$k->green(11);
helm('uninstall quidditch --namespace quidditch');
ok(QdNode->wait_for(sub { !grep { %{{$k->pods($_)}} } qw(quidditch-master quidditch-coordination quidditch-data) }, 240, 0.5), 'the pods go') or $k->explain;
my @claims = split ' ', $k->ok_kubectl('get pvc -n quidditch -o name');
is(scalar @claims, 8, 'the claims are kept');
delete $k->{address};
helm("install $masters", @size);
$k->ok_kubectl("rollout status $_ -n quidditch --timeout=400s") for qw(statefulset/quidditch-master deployment/quidditch-coordination statefulset/quidditch-data);
$k->green(11);
is($k->send('GET', '/books/_count')->{json}{count}, 3, 'installed again under its name it is the same cluster');
helm('uninstall quidditch --namespace quidditch');
ok(QdNode->wait_for(sub { !grep { %{{$k->pods($_)}} } qw(quidditch-master quidditch-coordination quidditch-data) }, 240, 0.5), 'the pods go');
$k->ok_kubectl([qw(delete pvc -n quidditch -l), 'app in (quidditch-master, quidditch-data)']);
$k->ok_kubectl('delete configmap -n quidditch quidditch-control-plane');
is($k->ok_kubectl('get pvc -n quidditch -o name'), "", 'the page\'s command deletes the claims');

# --- with the state in Kubernetes ------------------------------------------------------------------------------------------
delete $k->{address};
helm('install quidditch quidditch/quidditch --namespace quidditch --create-namespace --set master.enabled=false --set coordination.k8sNative=true', @size);
$k->ok_kubectl("rollout status $_ -n quidditch --timeout=400s") for qw(deployment/quidditch-coordination statefulset/quidditch-data);
$k->green(8);
$k->store('k8s');
is($k->ok_kubectl('get sts -n quidditch -o name'), "statefulset.apps/quidditch-data\n", 'there are no masters');
helm('test quidditch --namespace quidditch --timeout 300s');
my (undef, $text) = Helm::template('quidditch', '--set', 'networkPolicy.enabled=true', '--set', 'master.enabled=true');
my $flows = $k->policies(Manifests::parse($text));
is_deeply($flows, {refused => [], unused => []}, 'the NetworkPolicies of the chart allow what was seen of both clusters, and no more between nodes');
is_deeply($k->role_use->{refused}, [], 'nothing was asked for that the Role does not grant');
is_deeply($k->restarts, [], 'no container was started again by its probes');
helm('uninstall quidditch --namespace quidditch');
is(($k->kubectl('get crd quidditchstates.quidditch.io'))[0], 0, 'the kinds are kept');
$k->stop;
finish();
