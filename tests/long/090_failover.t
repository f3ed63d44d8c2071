#!/usr/bin/perl
# 090_failover.t: how long a cluster does without a data node or a master that is killed or silently cut
# off: ROUNDS of each, the medians held to, with default timings. The table is for docs/PERFORMANCE.md.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;
use Test::More;

my $rounds = count(ROUNDS => 20);
my @kinds = ([data_killed => 1, 'a data node killed under load: no write acknowledged for'],
    [data_cut => 5, 'a data node silently cut off under load: the same'],
    [master_killed => 1, 'the leading master killed: a new leader after'],
    [master_cut => 3, 'the leading master silently cut off: a new leader after']);
step('everything builds', sub { build('all') });
system('mkdir -p build/long');
unlink map { "build/long/failover.$_->[0]" } @kinds unless step_passed('data_killed, from 1');
for my $k (@kinds) {
    for (my $from = 1; $from <= $rounds; $from += 5) {
        my $n = $rounds - $from + 1 < 5 ? $rounds - $from + 1 : 5;
        step("$k->[0], from $from", "perl tests/long/failover.pl $k->[0] $n >> build/long/failover.$k->[0]");
    }
}
note('| | limit | median | least | most | rounds |');
note('|---|---:|---:|---:|---:|---:|');
for my $k (@kinds) {
    my ($kind, $limit, $what) = @$k;
    open my $f, '<', "build/long/failover.$kind" or do { fail("$kind was measured"); next };
    my (@s, @change);
    while (<$f>) {
        next unless /^([\d.]+)(?: ([\d.]+))?$/;
        push @s, $1;
        push @change, $2 if defined $2;
    }
    @s = sort { $a <=> $b } @s;
    my $median = @s ? ($s[$#s / 2] + $s[@s / 2]) / 2 : 9e9;
    note(sprintf '| %s | %d s | %.3f s | %.3f s | %.3f s | %d |', $what, $limit, $median, $s[0] // 0, $s[-1] // 0, scalar @s);
    if (@change) {
        @change = sort { $a <=> $b } @change;
        note(sprintf '| … a change of the state acknowledged after | | %.3f s | %.3f s | %.3f s | %d |', ($change[$#change / 2] + $change[@change / 2]) / 2, $change[0], $change[-1], scalar @change);
    }
    cmp_ok(scalar @s, '>=', $rounds, "$kind: as many rounds as asked for");
    cmp_ok($median, '<', $limit, sprintf '%s: %.3f s, median of %d, less than %d s', $kind, $median, scalar @s, $limit);
}
chomp(my $load = `cat /proc/loadavg`);
note("load at the end: $load");
finish();
