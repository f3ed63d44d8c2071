# The network between three nodes is bad while clients write: slow, with packets that overtake each other,
# are lost at random, come twice, or pass one way only, through a relay of the tests' own. Nothing
# acknowledged is lost, no get shows an older state, and with a good network the cluster heals by itself.
# ROUNDS: how many of each (1).
# Runs alone: its clients keep every core busy, and beside another such load no copy catches up in time.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use FaultLoad;
use QdCluster;
use QdNet;

my $rounds = $ENV{ROUNDS} || 1;
my $seed = $ENV{SEED} || 1;
srand $seed;
my $net = QdNet->new(3, relay => 1, seed => $seed) or plan skip_all => 'LOUD: no namespaces with a relay here: ' . QdNet::why();
my $dir = tempdir('qd-network-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $c = QdCluster->new('n', nodes => 3, net => $net);
$c->start;
my @n = $c->nodes;
my $f = FaultLoad->new($c, $dir, seed => $seed);
$f->start;
my @all = 0 .. 2;

for my $round (1 .. $rounds) {
    my $before = $net->counts;
    $net->disturb(\@all, \@all, delay_ms => 5, jitter_ms => 20, twice => 0.02);
    $f->more(500, "round $round: slow, overtaking, doubled packets: writes go on");
    my $now;
    $n[0]->wait_for(sub { $now = $net->counts; $now->{overtaken} > $before->{overtaken} && $now->{doubled} > $before->{doubled} }, 120);
    cmp_ok($now->{overtaken}, '>', $before->{overtaken}, 'packets overtook each other');
    cmp_ok($now->{doubled}, '>', $before->{doubled}, 'some came twice');
    $net->disturb(\@all, \@all, lose => 0.03, jitter_ms => 5);
    $f->more(500, "round $round: one packet of 30 is lost: writes go on");
    ok($n[0]->wait_for(sub { $net->counts->{lost} > $now->{lost} }, 120), 'packets were lost');
    $net->calm;
    $f->heals("round $round, a good network");

    my $victim = int rand 3;
    my @others = grep { $_ != $victim } @all;
    $net->disturb([$victim], \@others, lose => 0.3, delay_ms => 1);
    $net->disturb(\@others, [$victim], lose => 0.3, jitter_ms => 50);
    $f->more(500, "round $round: a third of all from and to $n[$victim]{name} is lost: writes go on");
    $net->calm;
    $f->heals("round $round, nothing lost any more");

    $victim = int rand 3;
    @others = grep { $_ != $victim } @all;
    $net->disturb([$victim], \@others, lose => 1);
    $f->more(500, "round $round: $n[$victim]{name} is heard no more: writes go on");
    $net->calm;
    $f->heals("round $round, heard again");

    $victim = int rand 3;
    @others = grep { $_ != $victim } @all;
    $net->disturb(\@others, [$victim], lose => 1);
    $f->more(500, "round $round: $n[$victim]{name} hears nobody: writes go on");
    $net->calm;
    $f->heals("round $round, it hears again");

    # one that hears both, and two that do not hear each other
    my ($a, $b) = @others;
    $net->disturb([$a], [$b], lose => 1);
    $net->disturb([$b], [$a], lose => 1);
    $f->more(500, "round $round: $n[$a]{name} and $n[$b]{name} do not hear each other: writes go on");
    $net->calm;
    $f->heals("round $round, all hear each other");
}
$f->ends;
is($c->stop, 0, 'they stop cleanly');
done_testing;
