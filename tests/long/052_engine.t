#!/usr/bin/perl
# 052_engine.t: the engine, its translog and the store over the tier in memory that loses power: SEEDS
# runs of each test, the mutants, and every n-th allocation, write, read and sync that may fail; the engine over the adverse tier.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

count(SEEDS => 1000);
$ENV{SEEDS} ||= 1000;
$ENV{QD_LONG} = 1;
step('everything builds', sub { build('all units') });
for my $module (qw(engine store search action)) {
    step($_, "./$_") for grep { m{/unit/$module/} && !m{/(search_t|sort_t|highlight_t|kern_t)$} } programs('build');
}
# Throttled, slow, without answers now and then, with lists that lag behind.
step("$_ over the adverse tier", "SEEDS=20 QD_LONG=0 QD_TEST_TIER=adverse ./$_")
    for grep { m{/unit/engine/} && !m{/sim_t$} } programs('build');
finish();
