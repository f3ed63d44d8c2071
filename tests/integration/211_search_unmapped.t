#!/usr/bin/perl
# 211_search_unmapped.t: the tests of searches over a tier whose files are not mapped, so that searches
# leave their threads between planning and running. That they do is tested with a tier that can be held
# (unit/action/phases_t); over late copies the whole suite of units runs in check-long.
use strict;
use warnings;
use FindBin;

$ENV{QD_SETTINGS} = join ' ', $ENV{QD_SETTINGS} // (), 'storage.tiers.hot.mmap=false';
my $t = "$FindBin::Bin/210_search.t";
defined(do $t) or die $@ || "$t: $!";
