#!/usr/bin/perl
# 051_power_loss.t: 2 x ROUNDS cuts of power under the daemon over storage-nvme and coordination-raft,
# 50 of each recorded load, and what the same look finds when one kind of sync is left out; then the
# parts below by themselves: storage-nvme, and the coordination store with 500 cuts a seed; and as many losses of
# power of all of three nodes at once, with `durability: request`; and a tenth as many rounds of syncs that fail.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $cuts = 2 * count(ROUNDS => 100);
my $seed = count(SEED => 1);
step('everything builds', sub { build('all units') });
my $t = 'tests/integration/320_power_loss.t';
for (my $left = $cuts; $left > 0; $left -= 50) {
    my $n = $left < 50 ? $left : 50;
    step("$n cuts with seed " . $seed, "CUTS=$n SEED=$seed MUTANTS= ACKS=5000 prove -v $t");
    $seed++;
}
step("without $_ losses are found", "CUTS=0 MUTANTS=$_ ACKS=3000 prove -v $t") for qw(fdatasync fsync-file fsync-dir);
$seed = count(SEED => 1);
for (my $left = $cuts; $left > 0; $left -= 20) {
    my $n = $left < 20 ? $left : 20;
    step("all of three nodes lose power $n times with seed $seed", "ROUNDS=$n SEED=$seed prove -v tests/integration/322_power_loss_of_all.t");
    $seed++;
}
my $rounds = int($cuts / 10) || 1;
$seed = count(SEED => 1);
step("a sync of each kind of file fails, $rounds rounds", "ROUNDS=$rounds SEED=$seed prove -v tests/integration/323_failed_syncs.t");
$ENV{QD_LONG} = 1;
step("storage-nvme by itself, 2 x 1000 cuts and its mutants", 'prove -v tests/integration/020_powerloss_store.t');
step("the recorder sees every door", 'prove tests/integration/022_recorder.t');
step("coordination-raft by itself, 2 x 500 cuts, a mutant, 100 kills", 'prove -v tests/integration/023_powerloss_coordination.t');
step('qd mode force cut off at 3 x 180 points', 'CUTS=60 prove -v tests/integration/617_mode_force_crash.t');
finish();
