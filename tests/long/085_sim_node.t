#!/usr/bin/perl
# 085_sim_node.t: schedules of whole nodes (tests/sim/node_*) for MINUTES, from the seed on at which the
# run before it ended (build/long/085_sim_node.seeds); then each defect that they have to find (DEFECTS=0: none).
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $sim = 'build/tests/sim/node';
schedules_go_on($sim, count(STEP => 500), count(MINUTES => 60));
step('defects', "./$sim --defects") if $ENV{DEFECTS} // 1;
finish();
