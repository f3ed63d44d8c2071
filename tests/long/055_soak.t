#!/usr/bin/perl
# 055_soak.t: everything at once on one node for SOAK_SECONDS in all, in steps of a third of them: no
# server error, nothing acknowledged lost, its memory does not grow on.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $seconds = count(SOAK_SECONDS => 1800);
my $seed = count(SEED => 1);
step('everything builds', sub { build('all') });
for my $n (1 .. 3) {
    my $part = int($seconds / 3) || 1;
    step("everything at once for $part s, seed $seed", "SECONDS=$part SEED=$seed prove -v tests/integration/312_everything_at_once.t");
    $seed++;
}
finish();
