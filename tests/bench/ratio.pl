#!/usr/bin/perl
# ratio.pl: how much faster, by command and class, from two result files (--out of both searchers).
#
#   ratio.pl OURS THEIRS [--json]
#
# The peer's figure of a query is the lower of TOP_k or TOP_k_COUNT_n and TOP_k_COUNT (its skipping often
# loses to scoring everything). Ratios are of medians and 99th percentiles of the queries' best times; below
# them the geometric mean over the classes. A class of fewer than 10 queries has no 99th percentile. "slower": a median
# or (p99) a 99th percentile above the peer's and above 20 us.
use strict;
use warnings;
use List::Util qw(sum0);

my ($ours, $theirs, $json) = @ARGV;
die "usage: ratio.pl OURS THEIRS [--json]\n" unless defined $theirs;

my $enough = 10; # queries for a 99th percentile

sub figure { return defined $_[0] ? sprintf '%.1f', $_[0] : '' }

sub best_of {
    my ($file) = @_;
    my (%h, @order);
    open my $f, '<', $file or die "$file: $!\n";
    while (<$f>) {
        chomp;
        my ($cmd, $class, $query, undef, $best) = split /\t/;
        push @order, [$cmd, $class, $query] unless $h{$cmd}{$class}{$query};
        $h{$cmd}{$class}{$query} = $best;
    }
    return (\%h, \@order);
}

sub pct {
    my ($p, @v) = @_;
    @v = sort { $a <=> $b } @v;
    my $i = $p / 100 * @v;
    $i = int($i) + ($i > int($i) ? 1 : 0) - 1;
    return $v[$i < 0 ? 0 : $i];
}

my ($a, $order) = best_of($ours);
my ($b) = best_of($theirs);
my (%seen, %log, @rows);
for (@$order) {
    my ($cmd, $class) = @$_;
    next if $seen{"$cmd $class"}++ || !$b->{$cmd}{$class};
    my $count = $cmd =~ /^(TOP_\d+)(_COUNT_\d+)?$/ ? $b->{"$1_COUNT"}{$class} : undef;
    my (@x, @y);
    for my $q (keys %{ $a->{$cmd}{$class} }) {
        my $t = $b->{$cmd}{$class}{$q};
        next unless defined $t;
        $t = $count->{$q} if $count && defined $count->{$q} && $count->{$q} < $t;
        push @x, $a->{$cmd}{$class}{$q};
        push @y, $t;
    }
    next unless @x;
    my $r = { cmd => $cmd, class => $class, n => scalar @x, ours_p50 => pct(50, @x), ours_p99 => pct(99, @x),
        peer_p50 => pct(50, @y), peer_p99 => pct(99, @y) };
    $r->{p50} = $r->{peer_p50} / $r->{ours_p50};
    $r->{slower} = $r->{p50} < 1 && $r->{ours_p50} > 20 ? 1 : 0;
    if (@x < $enough) { delete @$r{qw(ours_p99 peer_p99)} }
    else {
        $r->{p99} = $r->{peer_p99} / $r->{ours_p99};
        $r->{slower_p99} = $r->{p99} < 1 && $r->{ours_p99} > 20 ? 1 : 0;
    }
    push @rows, $r;
    push @{ $log{$cmd}{$_} }, log $r->{$_} for grep { defined $r->{$_} } qw(p50 p99);
}
if ($json) {
    print "[\n" . join(",\n", map { my $r = $_; '  {' . join(', ', map { "\"$_\": " . ($r->{$_} =~ /^[-0-9.]+$/
        ? sprintf('%.4g', $r->{$_}) : "\"$r->{$_}\"") } sort keys %$r) . '}' } @rows) . "\n]\n";
    exit 0;
}
my $cmd = '';
for my $r (@rows, { cmd => '' }) {
    if ($r->{cmd} ne $cmd && $cmd ne '') {
        printf "| %s | **geometric mean** | | | | | | %s | %s |\n", $cmd, map { $_ ? sprintf '**%.1f**', exp(sum0(@$_) / @$_) : '' } @{ $log{$cmd} }{qw(p50 p99)};
    }
    last if $r->{cmd} eq '';
    print "| command | class | queries | ours p50 | ours p99 | peer p50 | peer p99 | ratio p50 | ratio p99 |\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n"
      if $cmd eq '';
    $cmd = $r->{cmd};
    printf "| %s | %s | %d | %s | %s | %s | %s | %s%s | %s%s |\n", @$r{qw(cmd class n)}, (map { figure($r->{$_}) } qw(ours_p50 ours_p99 peer_p50 peer_p99 p50)),
      $r->{slower} ? ' slower' : '', figure($r->{p99}), $r->{slower_p99} ? ' slower' : '';
}
