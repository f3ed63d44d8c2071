#!/usr/bin/perl
# The comparison with Lucene, short: tests/peers/lucene-analysis/compare.t has the whole.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
$ENV{QD_SEED} ||= 1; # one that is always the same; the long suite draws others
$ENV{QD_COUNT} ||= 2000;
$ENV{QD_PACKAGES} ||= 2000;
my $test = dirname(abs_path(__FILE__)) . '/../peers/lucene-analysis/compare.t';
exec $^X, $test or die "$test: $!";
