#!/usr/bin/perl
# 091_faults.t: ROUNDS of each fault of a running cluster, each with clients that write and read all the
# time, and a leader that stands still for 60 s.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $rounds = count(ROUNDS => 8);
my $seed = count(SEED => 1);
step('everything builds', sub { build('all units') });
for my $r (1 .. $rounds) {
    my $s = $seed + $r - 1;
    step("killed, frozen, cut off, heard no more: seed $s", "SEED=$s prove -v tests/integration/520_failover.t");
    step("disks: seed $s", "ROUNDS=2 SEED=$s prove -v tests/integration/530_disk_faults.t");
    step("a leader frozen for 60 s, all nodes killed at once: seed $s", "FREEZE=60 SEED=$s prove -v tests/integration/540_frozen.t");
    step("all masters killed at once: seed $s", "ROUNDS=3 SEED=$s prove -v tests/integration/541_no_masters.t");
    step("networks: seed $s", "ROUNDS=2 SEED=$s prove -v tests/integration/550_network.t");
    step("clocks: seed $s", "ROUNDS=2 SEED=$s prove -v tests/integration/551_clocks.t");
    step("an administrator who does everything: seed $s", "ROUNDS=8 SEED=$s prove -v tests/integration/562_admin_churn.t");
    step("memory: seed $s", "ROUNDS=2 SEED=$s prove -v tests/integration/552_memory.t");
}
step('old copies of data folders', 'prove -v tests/integration/560_old_copy.t');
finish();
