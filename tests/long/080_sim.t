#!/usr/bin/perl
# 080_sim.t: SEEDS schedules of coordination-raft's consensus (tests/sim/raft_*), in steps that are
# resumed, and each broken variant until it is found.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $seeds = count(SEEDS => 100000);
my $from  = count(SEED  => 1);
my $sim   = 'build/tests/sim/raft';
step('everything builds', sub { build($sim) });
my $step = 2000;
my $half = sub { my ($at, $n) = @_; $n > 0 ? "{ SEEDS=$n FROM=$at ./$sim || touch build/sim.failed; }" : ':' };
for (my $at = $from; $at < $from + $seeds; $at += $step) {
    my $n = $from + $seeds - $at < $step ? $from + $seeds - $at : $step;
    my $first = int(($n + 1) / 2);
    my ($a, $b) = ($half->($at, $first), $half->($at + $first, $n - $first));
    step("schedules from $at", "rm -f build/sim.failed; $a & $b; wait; test ! -e build/sim.failed");
}
step('broken variants', "VARIANTS=5000 ./$sim");
finish();
