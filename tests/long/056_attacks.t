#!/usr/bin/perl
# 056_attacks.t: the programs of tests/attacks at length: ROUNDS of kills and pauses, FLIPS of bits.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $rounds = count(ROUNDS => 6);
my $flips = count(FLIPS => 100);
my $seed = count(SEED => 1);
my $run = 'python3 tests/attacks';
step('everything builds', sub { build('all test-tools') });
step("the checkpoint and the disk: globalahead $_", "$run/globalahead.py $_") for '', 'nocut';
step("both killed, syncs $_ ms late", "MS=$_ $run/bothkilled.py $rounds $seed") for 0, 50, 400;
step("acknowledged before a sync: $_ ms longer", "$run/ackbeforesync.py 3000 24 $_") for 3, 30;
step("a failed sync: fsyncgate $_", "$run/fsyncgate.py $_") for '', 'kill';
step('a paused machine', "$run/vmpause.py $rounds 6");
step('a paused process, whose clocks go on', "CLOCK=1 $run/vmpause.py $rounds 6");
step("$flips flips with seed $_", "$run/liveflip.py $flips $_") for $seed, $seed + 1;
finish();
