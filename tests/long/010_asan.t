#!/usr/bin/perl
# 010_asan.t: all unit tests under ASan and UBSan.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

$ENV{ASAN_OPTIONS} = 'detect_stack_use_after_return=0:' . ($ENV{ASAN_OPTIONS} // '');
$ENV{UBSAN_OPTIONS} //= 'print_stacktrace=1';
step('units build with ASan and UBSan', sub { build('SAN=address,undefined units') });
step($_, "./$_") for programs('build/san-address-undefined');
finish();
