#!/usr/bin/perl
# 092_conformance.t: the conformance kit of the coordination kind under SEEDS schedules of faults each, over masters, over
# control nodes and a model of an API server, and over a real API server.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my ($n, $from) = (count(SEEDS => 20), count(SEED => 1));
delete @ENV{qw(SEEDS SEED)};
step('everything builds', sub { build('all units') });
for my $seed ($from .. $from + $n - 1) {
    my $set = "SEEDS=1 SEED=$seed SECONDS_EACH=20";
    step("masters, seed $seed",       "$set build/tests/unit/coordination/conform_faults_t");
    step("control nodes, seed $seed", "$set build/tests/unit/coordination_k8s/conform_faults_t");
}
step("a real API server, seed $_", "SEED=$_ SECONDS_EACH=30 prove tests/integration/632_k8s_conformance_faults.t") for $from .. $from + int(($n + 3) / 4) - 1;
step('defects', 'DEFECTS=9 build/tests/unit/coordination/conform_defects_t');
finish();
