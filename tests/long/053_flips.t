#!/usr/bin/perl
# 053_flips.t: FLIPS flipped bits in each file of a stopped node's folder, and in each of a killed one; five times as
# many below a running node, with two seeds.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $flips = count(FLIPS => 20);
my $seed = count(SEED => 1);
step('everything builds', sub { build('all') });
for (; $flips > 0; $flips -= 5, $seed++) {
    my $n = $flips < 5 ? $flips : 5;
    step("$n flips a file with seed $seed", "FLIPS=$n SEED=$seed prove -v tests/integration/340_bitflip.t");
}
my $live = 5 * count(FLIPS => 20);
$seed = count(SEED => 1);
step("$live flips below a running node with seed $_", "FLIPS=$live SEED=$_ prove -v tests/integration/341_live_flips.t") for $seed, $seed + 1;
finish();
