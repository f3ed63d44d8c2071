#!/usr/bin/perl
# 081_sim_replication.t: SEEDS schedules of replication (tests/sim/repl_*), in steps that are resumed,
# and each defect that it has to find.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $seeds = count(SEEDS => 100_000);
my $sim   = 'build/tests/unit/replication/sim_t';
step('everything builds', sub { build($sim) });
for (my $from = 1; $from <= $seeds; $from += 10_000) {
    my $n = $seeds - $from + 1 < 10_000 ? $seeds - $from + 1 : 10_000;
    step("schedules from $from", "SEEDS=$n FROM=$from ./$sim");
}
delete $ENV{SEEDS};
step('defects', "./$sim");
finish();
