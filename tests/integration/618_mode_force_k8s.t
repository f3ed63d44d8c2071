#!/usr/bin/perl
# 618_mode_force_k8s.t: qd mode force --to k8s-native is killed when one of its steps is committed in a real Kubernetes API
# and not answered yet: from the mirror that masters kept there, from a master's folder into a namespace that holds
# nothing yet, and from a folder that is ahead of the mirror. The same command, given again, brings the cluster to one store
# in charge, with all that there was.
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
my $space = 'quidditch';
sub root { my ($cluster) = @_; return $kube->get("/apis/quidditch.io/v1/namespaces/$space/quidditchstates/$cluster")->{json}{spec} || {} }
sub writes { my ($cluster) = @_; return root($cluster)->{writes} // 0 }
sub force {
    my ($n, $epoch) = @_;
    my @words = (qw(mode force --accept-data-loss --to k8s-native --epoch), $epoch, map { ('-E', $_) } "path.data=$n->{dir}/data", "node.name=$n->{name}", "cluster.name=$n->{name}");
    return @words;
}
sub run_force {
    my ($n, $kubeconfig, $epoch) = @_;
    local %ENV = (%ENV, KUBECONFIG => $kubeconfig, LEADER_ELECTION_NAMESPACE => $space);
    return $n->run_qd(force($n, $epoch));
}
# Kills it when the root in Kubernetes has been written so many times.
sub kill_behind {
    my ($n, $epoch, $times) = @_;
    local %ENV = (%ENV, KUBECONFIG => $link->{kubeconfig}, LEADER_ELECTION_NAMESPACE => $space);
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
sub access { return (KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => $space) }
sub master { # with a document; with a mirror in Kubernetes, or without access to it
    my ($name, $mirrored) = @_;
    my $n = QdNode->new($name, settings => {%common, 'cluster.name' => $name, 'coordination.k8s_fallback' => $mirrored ? 'true' : 'false', 'coordination.mode' => 'master'},
        env => {$mirrored ? access() : (KUBECONFIG => '')});
    $n->start;
    is($n->put('/docs', {settings => {number_of_shards => 1, number_of_replicas => 0}})->{status}, 200, "$name: an index");
    is($n->put('/docs/_doc/1?refresh=true', {n => 1})->{status}, 201, 'with a document');
    my $j;
    ok(!$mirrored || $n->wait_for(sub { $j = coordination($n); $j->{mirror} && !$j->{mirror}{lag} }, 60), 'mirrored') or diag explain $j;
    return $n;
}
# The same command again; the cluster goes on, unless only the command is looked at.
sub ends_well {
    my ($n, $uuid, $epoch, $as, $alone) = @_;
    my ($rc, $out) = run_force($n, $account->{kubeconfig}, $epoch);
    # what the one that was killed had sent last came after this one had looked
    ($rc, $out) = run_force($n, $account->{kubeconfig}, $epoch) if $rc == 1 && $out =~ /was written meanwhile.*give the same command again/;
    is($rc, 0, 'the same command comes to its end') or diag $out;
    my ($new) = $out =~ /The state of the cluster \[\Q$uuid\E\] is in the store \[k8s-native\] now, under epoch (\d+)\.\nBase: $as, revision \d+\.\nMay be lost: revisions (?:from )?\d/;
    ok($new, 'and says so') or diag $out;
    is(join(' ', map { m{/(forced-\d+\.json)$} } glob "$n->{dir}/data/*"), "forced-$new.json", 'one report');
    ($rc, $out) = run_force($n, $account->{kubeconfig}, $epoch);
    ok($rc == 1 && $out =~ /this has been done: the state is in the store \[k8s-native\] under epoch $new/, 'once') or diag $out;
    return $new if $alone;
    @{ $n->{settings} }{qw(coordination.mode coordination.k8s_fallback)} = qw(k8s-native true);
    $n->{env} = {access()};
    $n->start(seconds => 120);
    my $j = settled($n);
    is("$j->{mode}{chosen} $j->{store}{epoch} $j->{cluster_uuid}", "k8s-native $new $uuid", 'the node goes on with it') or diag explain $j;
    ok($n->wait_for(sub { ($n->get('/docs/_count')->{json}{count} // -1) == 1 }, 60), 'with its documents');
    is($n->put('/more', {settings => {number_of_replicas => 0}})->{status}, 200, 'and changes its state');
    is($n->stop, 0, 'it ends');
}
$link->delay(300);
my $n = master('mirror', 1);
my $uuid = settled($n)->{cluster_uuid};
$n->kill9;
kill_behind($n, 1, $_) for 1 .. 4;
ends_well($n, $uuid, 1, 'what Kubernetes has of it');

# --- the folder is ahead of the mirror: it is copied over it
$n = master('ahead', 1);
$uuid = settled($n)->{cluster_uuid};
$n->stop;
$n->{settings}{'coordination.k8s_fallback'} = 'false';
$n->{env} = {KUBECONFIG => ''};
$n->start;
is($n->put('/later', {settings => {number_of_shards => 1, number_of_replicas => 0}})->{status}, 200, 'ahead: an index that no mirror has');
$n->kill9;
kill_behind($n, 1, $_) for 1 .. 3;
ends_well($n, $uuid, 1, qr/what Kubernetes has of it|the masters' store in this node's path\.data/);
$n->start(seconds => 120);
is($n->get('/later')->{status}, 200, 'the index is there');
is($n->stop, 0, 'it ends');

# --- nothing is there yet: a copy of the folder is made, and takes over. Six writes: the root is created, led, made a
# mirror, filled, activated, and let go. Each but the last is where a try in a namespace of its own is cut off.
my $writes = 6;
$n = master('folder');
$uuid = settled($n)->{cluster_uuid};
$n->kill9;
system('cp', '-a', "$n->{dir}/data", "$n->{dir}/kept") == 0 or die "cp: $?";
my %before = %{ $n->{settings} };
sub fresh { # the node's folder as it was, and a namespace with nothing in it
    ($space) = @_;
    $account = $kube->install($space);
    ($link = $kube->relay(as => $account))->delay(300);
    $n->{settings} = {%before};
    system("rm -r '$n->{dir}/data' && cp -a '$n->{dir}/kept' '$n->{dir}/data'") == 0 or die "cp: $?";
}
for my $k (1 .. $writes - 1) {
    fresh("cut$k");
    kill_behind($n, 1, $k);
    ends_well($n, $uuid, 1, qr/what Kubernetes has of it|the masters' store in this node's path\.data/, $k < 4);
}
fresh('uncut');
is((run_force($n, $link->{kubeconfig}, 1))[0], 0, 'not cut off');
cmp_ok(writes('folder'), '<=', $writes, 'it makes no more writes than were cut off behind'); # entries may share one
done_testing;
