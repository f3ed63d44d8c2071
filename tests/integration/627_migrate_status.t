#!/usr/bin/perl
# 627_migrate_status.t: what is told of a mirror and of a migration while the API server is silent: each node says the same,
# within the time asked for, and why it does not get on; what qd migrate is given and does not take is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;
use Time::HiRes qw(time);
use Timed;

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
my $kube = KubeServer->new('status')->start;
my $account = $kube->install('quidditch');
my ($data, @m) = three_masters(master => { 'coordination.mode' => 'master', 'coordination.k8s_fallback' => 'true' },
    env => { KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch' });
my @all = (@m, $data);
start_all(@all);
settled($data);

# --- what the command is given
for (['status', '--to', 'master'], ['abort', '--to', 'master'], ['finish', '--to', 'k8s-native']) {
    my ($rc, $out) = $m[0]->run_qd('migrate', @$_, '--url', $m[0]->url);
    ok($rc == 64 && $out =~ /--to is for start, not for $_->[0]/, "qd migrate @$_ is refused") or diag "$rc $out";
}

# --- a mirror that is kept
sub mirror { my ($n) = @_; return $n->get('/_cluster/coordination?master_timeout=1s')->{json}{mirror} || {} }
ok($data->wait_for(sub { 3 == grep { my $x = mirror($_); $x->{reachable} && $x->{lag} == 0 } @m }, 60), 'each master tells of a mirror that is up to date') or diag explain [map { mirror($_) } @m];
$kube->freeze('kube-apiserver');
my (@told, $longest);
$longest = 0;
for my $n (@m) {
    my $began = time;
    my $x = mirror($n);
    my $took = time - $began;
    $longest = $took if $took > $longest;
    push @told, $x->{reachable} ? 'reachable' : 'not reachable';
}
is_deeply(\@told, [('not reachable') x 3], 'once the API server is silent each says that it is not reachable');
within($longest, 5, 60, '... asked for 1 s');
like(($m[1]->run_qd('mode', '--url', $m[1]->url))[1], qr/^mirror +in k8s-native, \d+ revisions behind, not reachable$/m, 'so does qd mode');

# --- a migration that waits
my ($rc, $out) = $m[0]->run_qd('migrate', 'start', '--to', 'k8s-native', '--url', $data->url);
is_deeply([$rc, $out], [0, "the move is begun: qd migrate status tells how far it is\n"], 'a move is begun');
sub status { my ($n) = @_; my $r = $n->get('/_cluster/coordination/_migrate'); return $r->{status} == 200 ? $r->{json} : { error => error_of($r) } }
my @s;
ok($data->wait_for(sub { @s = map { status($_) } @all; 4 == grep { ($_->{step} // '') eq 'mirror' && $_->{waits_for} } @s }, 60), 'each node tells what it waits for') or diag explain \@s;
is(scalar(keys %{{ map { ($_->{waits_for} // '') => 1 } @s }}), 1, '... all the same') or diag explain \@s;
like($s[0]{waits_for}, qr/^the store \[k8s-native\] does not answer: /, '... by its name');
for my $n (@all) {
    ($rc, $out) = $n->run_qd('migrate', 'status', '--url', $n->url);
    ok($rc == 0 && $out =~ /^waits for +\S/m, "qd migrate status of $n->{name}") or diag "$rc $out";
}
($rc, $out) = $m[0]->run_qd('migrate', 'status', '--json', '--url', $data->url);
is(eval { JSON::PP->new->decode($out)->{to} }, 'k8s-native', '--json') or diag $out;

# --- the node that drives is silent too
my ($driver) = grep { $_->{name} eq (settled($data)->{leader}{name} // '') } @m;
my ($other) = grep { $_ != $driver } @m;
$driver->signal('STOP');
my $began = time;
my $j = status($other);
within(time - $began, 10, 60, 'while the node that drives is silent another one answers');
is($j->{waits_for}, "the node [$driver->{name}], which drives it, does not answer", '... and says so') or diag explain $j;
my $r;
ok($data->wait_for(sub { $r = $data->post('/_cluster/coordination/_migrate?to=k8s-native&master_timeout=9s'); $r->{status} == 200 }, 60), 'what is asked of a node with data goes to one that answers') or diag error_of($r);
$_->signal('STOP') for grep { $_ != $driver } @m;
$began = time;
$r = $data->post('/_cluster/coordination/_migrate?to=k8s-native&master_timeout=3s');
cmp_ok(time - $began, '<', 10, 'while all control nodes are silent it is answered in the time asked for');
like(error_of($r), qr/^503 none of the \d control nodes that have both stores of the cluster's state answered, the last of them \[m\d\]: .*may be asked again$/, '... in words');
$_->signal('CONT') for @m;

# --- it goes on
$kube->thaw('kube-apiserver');
ok($data->wait_for(sub { (status($data)->{step} // '') eq 'done' }, 90), 'when the API server answers again it goes on') or diag explain status($data);
is_deeply([same_told(\@all, 'store.kind')], ['k8s'], 'all nodes have followed');
($rc, $out) = $m[0]->run_qd('migrate', 'finish', '--json', '--url', $data->url);
ok($rc == 0 && eval { JSON::PP->new->decode($out)->{acknowledged} }, 'qd migrate finish --json') or diag "$rc $out";
$_->signal('TERM') for @all;
is($_->stop, 0, "$_->{name} ends") for @all;
done_testing;
