#!/usr/bin/perl
# 010_asan.t: all unit tests under ASan and UBSan, those of searching also over a tier of late copies.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

# faulty disks come before ASan in the list of libraries
$ENV{ASAN_OPTIONS} = 'detect_stack_use_after_return=0:verify_asan_link_order=0:' . ($ENV{ASAN_OPTIONS} // '');
$ENV{UBSAN_OPTIONS} //= 'print_stacktrace=1';
$ENV{QD_FULL} = 1; # all rounds, as without sanitizers
step('units build with ASan and UBSan', sub { build('SAN=address,undefined units') });
step($_, "./$_") for programs('build/san-address-undefined');
# The whole search suite over a tier that returns each range as a copy of exactly its size, 1 ms late.
step("$_ over late copies", "QD_TEST_TIER=late ./$_")
    for grep { m{/unit/(search|aggs|action|segment)/} && !m{/(codec|automaton|(?:points_)?damage|faults|segment)_t$} }
    programs('build/san-address-undefined');
finish();
