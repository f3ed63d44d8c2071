#!/usr/bin/perl
# 618_mode_force_k8s.t: qd mode force --to k8s-native from the mirror that masters kept in a real Kubernetes API is killed
# when one of its steps is committed there and not answered yet: the same command, given again, brings the cluster to one
# store in charge, with all that the mirror had.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use KubeServer;
use QdNode;
use Test::More;
use Time::HiRes qw(time);

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
my $kube = KubeServer->new('cutoff')->start;
my $account = $kube->install('quidditch');
my $link = $kube->relay(as => $account); # of qd alone: an answer takes its time, a commit does not
sub root { my ($cluster) = @_; return $kube->get("/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates/$cluster")->{json}{spec} || {} }
sub writes { my ($cluster) = @_; return root($cluster)->{writes} // 0 }
sub force {
    my ($n, $epoch) = @_;
    my @words = (qw(mode force --accept-data-loss --to k8s-native --epoch), $epoch, map { ('-E', $_) } "path.data=$n->{dir}/data", "node.name=$n->{name}", "cluster.name=$n->{name}");
    return @words;
}
sub run_force {
    my ($n, $kubeconfig, $epoch) = @_;
    local %ENV = (%ENV, KUBECONFIG => $kubeconfig, LEADER_ELECTION_NAMESPACE => 'quidditch');
    return $n->run_qd(force($n, $epoch));
}
# Kills it when the root in Kubernetes has been written so many times.
sub kill_behind {
    my ($n, $epoch, $times) = @_;
    local %ENV = (%ENV, KUBECONFIG => $link->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch');
    my $until = writes($n->{name}) + $times;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>', "$n->{dir}/cut.out";
        open STDERR, '>&', \*STDOUT;
        exec QdNode::qd(), force($n, $epoch) or POSIX::_exit(127);
    }
    my ($end, $ended) = (time + 60, 0);
    while (time < $end && writes($n->{name}) < $until && !$ended) { $ended = waitpid $pid, POSIX::WNOHANG() }
    kill 'KILL', $pid unless $ended;
    waitpid $pid, 0 unless $ended;
    ok(!$ended && writes($n->{name}) >= $until, "$n->{name}: it is killed behind write $times") or diag QdNode::slurp("$n->{dir}/cut.out");
}

my %common = ('node.roles' => 'master,data,ingest', 'metrics.port' => -1, 'transport.rpc_port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false');
sub master { # that keeps a mirror, and has ended
    my ($name) = @_;
    my $n = QdNode->new($name, settings => {%common, 'cluster.name' => $name, 'coordination.k8s_fallback' => 'true', 'coordination.mode' => 'master'},
        env => {KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch'});
    $n->start;
    is($n->put('/docs', {settings => {number_of_shards => 1, number_of_replicas => 0}})->{status}, 200, "$name: an index");
    is($n->put('/docs/_doc/1?refresh=true', {n => 1})->{status}, 201, 'with a document');
    my $j;
    ok($n->wait_for(sub { $j = coordination($n); $j->{mirror} && !$j->{mirror}{lag} }, 60), 'mirrored') or diag explain $j;
    return $n;
}
# The same command again; the cluster goes on.
sub ends_well {
    my ($n, $uuid, $epoch, $as) = @_;
    my ($rc, $out) = run_force($n, $account->{kubeconfig}, $epoch);
    is($rc, 0, 'the same command comes to its end') or diag $out;
    my ($new) = $out =~ /The state of the cluster \[\Q$uuid\E\] is in the store \[k8s-native\] now, under epoch (\d+)\.\nBase: $as, revision \d+\.\nMay be lost: revisions (?:from )?\d/;
    ok($new, 'and says so') or diag $out;
    is(join(' ', map { m{/(forced-\d+\.json)$} } glob "$n->{dir}/data/*"), "forced-$new.json", 'one report');
    ($rc, $out) = run_force($n, $account->{kubeconfig}, $epoch);
    ok($rc == 1 && $out =~ /this has been done: the state is in the store \[k8s-native\] under epoch $new/, 'once') or diag $out;
    $n->{settings}{'coordination.mode'} = 'k8s-native';
    $n->start(seconds => 120);
    my $j = settled($n);
    is("$j->{mode}{chosen} $j->{store}{epoch} $j->{cluster_uuid}", "k8s-native $new $uuid", 'the node goes on with it') or diag explain $j;
    ok($n->wait_for(sub { ($n->get('/docs/_count')->{json}{count} // -1) == 1 }, 60), 'with its documents');
    is($n->put('/more', {settings => {number_of_replicas => 0}})->{status}, 200, 'and changes its state');
    is($n->stop, 0, 'it ends');
}
$link->delay(300);
my $n = master('mirror');
my $uuid = settled($n)->{cluster_uuid};
$n->kill9;
kill_behind($n, 1, $_) for 1 .. 4;
ends_well($n, $uuid, 1, 'what Kubernetes has of it');
done_testing;
