#!/usr/bin/perl
# 012_asan_daemon.t: the daemon under ASan and UBSan with a load of everything at once, alone and as a cluster that
# suffers.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

# faulty disks come before ASan in the list of libraries
$ENV{ASAN_OPTIONS} = 'detect_stack_use_after_return=0:verify_asan_link_order=0:' . ($ENV{ASAN_OPTIONS} // '');
$ENV{UBSAN_OPTIONS} //= 'print_stacktrace=1';
$ENV{QD_FULL} = 1; # all rounds, as without sanitizers
step('the daemon builds with ASan and UBSan', sub { build('SAN=address,undefined all', map { "build/san-address-undefined/tests/$_" } qw(powerloss librecorder.so)) });
my $daemon = 'QD_OUT=build/san-address-undefined';
step('everything at once on the daemon', "$daemon SECONDS=60 prove -v tests/integration/312_everything_at_once.t");
step("$_ on the daemon", "$daemon prove tests/integration/$_")
    for qw(040_rest.t 042_bulk.t 064_query_limits.t 210_search.t 220_admin.t 300_kill.t 340_bitflip.t);
step("$_ on the daemons of a cluster", "$daemon prove tests/integration/$_")
    for qw(060_masters.t 410_replication.t 500_cluster.t 520_failover.t 530_disk_faults.t 540_frozen.t 541_no_masters.t 550_network.t);
step("$_ on the daemons of a cluster", "$daemon prove $_") for sort glob 'tests/integration/6[1-3]*.t';
step("$_ on the daemon, files not mapped", "$daemon QD_SETTINGS=storage.tiers.hot.mmap=false prove tests/integration/$_")
    for qw(040_rest.t 064_query_limits.t 210_search.t 220_admin.t 312_everything_at_once.t);
finish();
