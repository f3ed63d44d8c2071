#!/usr/bin/perl
# 082_sim_cluster.t: SEEDS schedules of a whole cluster (tests/sim/cluster_*), in steps that are resumed,
# each named scenario, and each defect that they have to find.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $seeds = count(SEEDS => 100_000);
my $runs  = count(SCENARIO_SEEDS => 50);
my $sim   = 'build/tests/sim/cluster';
step('everything builds', sub { build($sim) });
my $step = 2000;
for (my $at = 1; $at <= $seeds; $at += $step) {
    my $n = $seeds - $at + 1 < $step ? $seeds - $at + 1 : $step;
    my $first = int(($n + 1) / 2);
    my ($a, $b) = map { $_->[1] > 0 ? "{ SEEDS=$_->[1] FROM=$_->[0] ./$sim || touch build/sim.failed; }" : ':' }
        [$at, $first], [$at + $first, $n - $first];
    step("schedules from $at", "rm -f build/sim.failed; $a & $b; wait; test ! -e build/sim.failed");
}
delete @ENV{qw(SEEDS FROM)};
for my $name (map { (split)[0] } `./$sim --list`) {
    step("scenario $name", "SEEDS=$runs ./$sim --scenario $name");
}
step('defects', "./$sim --defects");
finish();
