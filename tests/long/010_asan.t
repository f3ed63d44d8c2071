#!/usr/bin/perl
# 010_asan.t: all unit tests under ASan and UBSan, and the daemon with a load of everything at once.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

$ENV{ASAN_OPTIONS} = 'detect_stack_use_after_return=0:' . ($ENV{ASAN_OPTIONS} // '');
$ENV{UBSAN_OPTIONS} //= 'print_stacktrace=1';
step('units build with ASan and UBSan', sub { build('SAN=address,undefined units') });
step($_, "./$_") for programs('build/san-address-undefined');
step('the daemon builds with ASan and UBSan', sub { build('SAN=address,undefined all') });
my $daemon = 'QD_OUT=build/san-address-undefined';
step('everything at once on the daemon', "$daemon SECONDS=60 prove -v tests/integration/312_everything_at_once.t");
step("$_ on the daemon", "$daemon prove tests/integration/$_")
    for qw(040_rest.t 042_bulk.t 064_query_limits.t 210_search.t 220_admin.t 300_kill.t 340_bitflip.t);
finish();
