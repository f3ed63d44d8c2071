#!/usr/bin/perl
# 080_sim.t: SEEDS schedules of coordination-raft's consensus (tests/sim/raft_*), in steps that are
# resumed, and each broken variant until it is found.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $sim = 'build/tests/sim/raft';
schedules($sim, 2000);
step('broken variants', "VARIANTS=5000 ./$sim");
finish();
