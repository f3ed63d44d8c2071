#!/usr/bin/perl
# 085_sim_node.t: SEEDS schedules of whole nodes (tests/sim/node_*), in steps that are resumed, for
# MINUTES at a time, and each defect that they have to find.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $sim = 'build/tests/sim/node';
my ($until, $all, $each) = (time + 60 * count(MINUTES => 60), count(SEEDS => 100_000), 1000);
my $ran = 0;
delete @ENV{qw(SEEDS SEED FROM)};
step('everything builds', sub { build($sim) });
for (my $from = 1; $from <= $all; $from += $each) {
    my $name = "schedules $from to @{[$from + $each - 1]}";
    next if !step_passed($name) && time > $until;
    step($name, "SEEDS=$each FROM=$from ./$sim") and $ran += $each;
}
print "# $ran of $all schedules have passed at this commit; run it again to go on\n";
step('defects', "./$sim --defects");
finish();
