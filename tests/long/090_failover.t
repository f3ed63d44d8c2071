#!/usr/bin/perl
# 090_failover.t: how long a cluster does without a data node or a master that is killed or silently cut
# off: ROUNDS of each, the medians held to, with default timings. The table is for docs/performance-cluster.md.
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
my @more = ('… another node allocates shards (`_cat/master`)', '… a change of the state is answered');
note('| | limit | median | least | most | rounds |');
note('|---|---:|---:|---:|---:|---:|');
for my $k (@kinds) {
    my ($kind, $limit, $what) = @$k;
    open my $f, '<', "build/long/failover.$kind" or do { fail("$kind was measured"); next };
    my @columns;
    while (<$f>) {
        my @x = split;
        push @{ $columns[$_] }, $x[$_] for grep { $x[$_] =~ /^[\d.]+$/ } 0 .. $#x;
    }
    my $median = 9e9;
    for my $i (0 .. $#columns) {
        my @v = sort { $a <=> $b } @{ $columns[$i] };
        my $m = ($v[$#v / 2] + $v[@v / 2]) / 2;
        $median = $m if $i == 0;
        note(sprintf '| %s | %s | %.3f s | %.3f s | %.3f s | %d |', $i ? $more[$i - 1] : $what, $i ? '' : "$limit s", $m, $v[0], $v[-1], scalar @v);
    }
    my @s = @{ $columns[0] || [] };
    cmp_ok(scalar @s, '>=', $rounds, "$kind: as many rounds as asked for");
    cmp_ok($median, '<', $limit, sprintf '%s: %.3f s, median of %d, less than %d s', $kind, $median, scalar @s, $limit);
}
chomp(my $load = `cat /proc/loadavg`);
note("load at the end: $load");
finish();
