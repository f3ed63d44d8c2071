#!/usr/bin/perl
# columns.pl: what aggregations over columns cost beside a plain sum of the same values in memory:
# runs build/tests/bench/columns and writes build/bench/performance-columns.md.
#
#   columns.pl [--docs FILE] [--catalogue FILE] [--no-write] [--n 8388608]
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Parts qw(report);

my ($write, $n) = (1, 1 << 23);
while (@ARGV) {
    my $a = shift;
    if    ($a eq '--no-write')               { ($write, $n) = (0, 1 << 20) }
    elsif ($a eq '--n')                      { $n = shift }
    elsif ($a =~ /^--(docs|catalogue)$/)     { shift }    # of run.pl; the columns here are its own
    else                                     { die "unknown option $a\n" }
}
my $program = ($ENV{QD_OUT} || 'build') . '/tests/bench/columns';
my $out = `$program $n 2>&1`;
die "$program: $out" if $?;
print $out;
exit 0 unless $write;
my $cpu = (map { /^model name\s*:\s*(.*)/ ? $1 : () } split /\n/, do { local (@ARGV, $/) = '/proc/cpuinfo'; <> })[0] // 'unknown';
my ($head, @lines) = grep { !/^\[/ } split /\n/, $out;    # less what the plugin host logs
my $page = "# Aggregations over columns\n\nWritten by `make bench` (tests/bench/columns.c, .pl): $head, $cpu. The yardstick is a plain AVX2 sum\n"
    . "of the same values, decoded to 64-bit integers, in memory larger than the last-level cache. Shares are\n"
    . "of its rate over all documents, also where a filter keeps some of them; the filter's own cost is in.\n"
    . "Rows `fused` and `general` are terms, built in and of a plugin: `fused` where kernels of the built-in one count by\n"
    . "ordinals, `general` where it goes value by value. Plugin and built-in one run in turns: medians of their ratios.\n\n"
    . "| what | M documents/s | share |\n|---|---|---|\n";
for (@lines) { $page .= "| $1 | $2 | " . ($3 // '') . ($4 ? ", $4" : '') . " |\n" if /^(.*?)\s{2,}(\d+) M\/s(?:\s+([\d.]+ %)(?:\s+(.+))?)?/ }
report('columns', $page);
