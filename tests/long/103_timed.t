#!/usr/bin/perl
# 103_timed.t: how long users may wait for something, where a test that runs beside others only tells it (Timed.pm): each
# test alone, held to its limits.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

step('everything builds', sub { build('all units') }) or BAIL_OUT('no build');
chomp(my @tests = `grep -l '^use Timed;' tests/integration/*.t`);
step("$_ within its limits", "QD_TIMED=1 prove -v $_") for @tests;
finish();
