#!/usr/bin/perl
# 084_sim_cluster_k8s.t: SEEDS schedules of a whole cluster over coordination-k8s and a model of an API server
# (tests/sim/cluster_*), in steps that are resumed, each named scenario, and each defect that they have to find.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $runs = count(SCENARIO_SEEDS => 20);
my $sim = 'build/tests/sim/cluster_k8s';
schedules($sim, 500, 3000); # what two cores do in half an hour
for my $name (map { (split)[0] } `./$sim --list`) {
    step("scenario $name", "SEEDS=$runs ./$sim --scenario $name");
}
step('defects', "./$sim --defects");
finish();
