#!/usr/bin/perl
# 082_sim_cluster.t: SEEDS schedules of a whole cluster (tests/sim/cluster_*), in steps that are resumed,
# each named scenario, and each defect that they have to find.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $runs = count(SCENARIO_SEEDS => 50);
my $sim = 'build/tests/sim/cluster';
schedules($sim, 2000);
for my $name (map { (split)[0] } `./$sim --list`) {
    step("scenario $name", "SEEDS=$runs ./$sim --scenario $name");
}
step('defects', "./$sim --defects");
finish();
