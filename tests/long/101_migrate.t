#!/usr/bin/perl
# 101_migrate.t: the cluster's state moves between masters and a real Kubernetes API, there and back, while the node that
# drives, the one that leads the masters' store and the API server are killed, each at every step.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

step('everything builds', sub { build('all units') }) or BAIL_OUT('no build');
step('whoever takes part ends at each step', 'QD_MIGRATE_STEPS=all prove -v tests/integration/623_migrate_faults.t');
finish();
