#!/usr/bin/perl
# 083_sim_k8s.t: SEEDS schedules of coordination-k8s's core (tests/sim/kcore_*), in steps that are
# resumed, each broken variant until it is found, and all orders of a few steps.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $sim = 'build/tests/sim/kcore';
schedules($sim, 1000, 5000); # what two cores do in half an hour
step('broken variants', "VARIANTS=3000 ./$sim");
step('all orders of 8 steps', "DEPTH=8 ./$sim");
step('12 steps, as far as it goes', "DEPTH=12 STATES=200000 ./$sim");
finish();
