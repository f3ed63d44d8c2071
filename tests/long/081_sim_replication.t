#!/usr/bin/perl
# 081_sim_replication.t: SEEDS schedules of replication (tests/sim/repl_*), in steps that are resumed,
# and each defect that it has to find.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $sim = 'build/tests/unit/replication/sim_t';
schedules($sim, 20_000);
step('defects', "./$sim");
finish();
