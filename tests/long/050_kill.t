#!/usr/bin/perl
# 050_kill.t: ROUNDS times SIGKILL of the daemon at random moments during bulk, refresh, flush, merge,
# creation and deletion of indices, 20 with each seed; tests/integration/300_kill.t looks at each.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $rounds = count(ROUNDS => 100);
my $seed = count(SEED => 1);
step('everything builds', sub { build('all') });
for (; $rounds > 0; $rounds -= 20, $seed++) {
    my $n = $rounds < 20 ? $rounds : 20;
    step("$n kills with seed $seed", "ROUNDS=$n SEED=$seed prove -v tests/integration/300_kill.t");
}
finish();
