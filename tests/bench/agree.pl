#!/usr/bin/perl
# agree.pl: do two searchers agree? Compares result files of `qd bench search --out` and of the Lucene
# harness over the same documents and queries.
#
#   agree.pl OURS THEIRS [--scale 1|2.2] [--no-order] [--counts CLASS,...] [--skip CLASS,...]
#            [--tied-buckets] [--verbose]
#
# For each command and query of both files: COUNT and TOP_k_COUNT hits equal, TOP_k_COUNT_n hits equal or
# above n on both sides; lists of the same length; scores rank by rank within 1e-5 relative (and half a
# unit of the printed fifth decimal), of the first ten and the last of k (a column behind the list, where
# both have it); every document whose score exceeds the last of the list by more than that is in both;
# where ids are numbers, documents of equal scores ascend in ours, unless --no-order says that the index is not in their order or the peer has them like us (then their
# scores differ behind the fifth decimal). A query of ours that theirs lacks, of a command that it has, is
# a difference. A peer that knows no ids ("null", Lucene's harness with --es) is compared by scores. Lists of sorts (a value in place of the score) are compared value by value, whole
# numbers exactly; answers of aggregations (AGGS) by the members that the peer gives. For a peer that means
# something else: classes of --counts are compared by COUNT alone, those of --skip not at all; with
# --tied-buckets buckets of one count come in any order. Exit 0 when all agree.
use strict;
use warnings;
use JSON::PP;

my ($ours, $theirs, $scale, $verbose, $any_order, $tied) = (undef, undef, 1, 0, 0, 0);
my (%counts, %skip);
while (@ARGV) {
    my $a = shift;
    if ($a eq '--scale') { $scale = shift }
    elsif ($a eq '--verbose') { $verbose = 1 }
    elsif ($a eq '--no-order') { $any_order = 1 }
    elsif ($a eq '--tied-buckets') { $tied = 1 }
    elsif ($a =~ /^--(counts|skip)$/) { ($1 eq 'skip' ? \%skip : \%counts)->{$_} = 1 for split /,/, shift }
    elsif (!defined $ours) { $ours = $a }
    else { $theirs = $a }
}
die "usage: agree.pl OURS THEIRS [--scale 2.2] [--no-order] [--counts C,...] [--skip C,...] [--tied-buckets] [--verbose]\n" unless defined $theirs;

sub lines {
    my ($file) = @_;
    my %h;
    my @order;
    open my $f, '<', $file or die "$file: $!\n";
    while (<$f>) {
        chomp;
        my ($cmd, $class, $query, $hits, undef, undef, $rel, $list, $last) = split /\t/;
        my $aggs = $cmd eq 'AGGS' ? decode_json($list) : undef;
        my @hits = $aggs ? () : map { my ($id, $s) = /^(.*):([-0-9.eE+]+)$/; [$id, $s] } split / /, $list // '';
        my $key = "$cmd\t$class\t$query";
        push @order, $key unless $h{$key};
        my @last = !$aggs && ($last // '') =~ /^(\d+) .*:([-0-9.eE+]+)$/ ? ($1, $2) : ();
        $h{$key} = { hits => $hits, rel => $rel, list => \@hits, last => \@last, aggs => $aggs };
    }
    return (\%h, \@order);
}

sub near { my ($x, $y) = @_; return abs($x - $y) <= 1e-5 * abs($x) + 1.1e-5 }

# Where two answers differ; members that theirs lacks are not looked at.
sub differ {
    my ($x, $y, $at) = @_;
    if (ref $y eq 'HASH') {
        for my $k (sort keys %$y) {
            my $d = ref $x eq 'HASH' && exists $x->{$k} ? differ($x->{$k}, $y->{$k}, "$at.$k") : "$at.$k is missing";
            return $d if $d;
        }
        return undef;
    }
    if (ref $y eq 'ARRAY') {
        return "$at: " . @$x . ' and ' . @$y . ' entries' if @$x != @$y;
        return differ_tied($x, $y, $at) if $tied && @$y && ref $y->[0] eq 'HASH' && exists $y->[0]{key};
        for my $i (0 .. $#$y) { my $d = differ($x->[$i], $y->[$i], "$at\[$i]"); return $d if $d }
        return undef;
    }
    return undef if !defined $x && !defined $y || defined $x && defined $y && $x eq $y;
    my $number = qr/^[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$/;
    return undef if "$x$y" =~ /[.]/ && $x =~ $number && $y =~ $number && abs($x - $y) <= 1e-9 * abs($y);
    return "$at: $x against $y";
}

# Buckets by place but for those of one count, which both may cut anywhere.
sub differ_tied {
    my ($x, $y, $at) = @_;
    my %of = map { $_->{key} => $_ } @$x;
    for my $i (0 .. $#$y) {
        return "$at\[$i].doc_count: $x->[$i]{doc_count} against $y->[$i]{doc_count}" if $x->[$i]{doc_count} != $y->[$i]{doc_count};
        my $mine = $of{ $y->[$i]{key} };
        next if !$mine && $y->[$i]{doc_count} == $y->[-1]{doc_count};
        my $d = $mine ? differ($mine, $y->[$i], "$at\[$i]") : "$at\[$i].key: $y->[$i]{key} is in theirs alone";
        return $d if $d;
    }
    return undef;
}

# Lists of a sort: the same values in the same places.
sub compare_sorted {
    my ($a, $b) = @_;
    for my $i (0 .. $#$a) {
        my ($v, $w) = ($a->[$i][1], $b->[$i][1]);
        next if $v eq $w || "$v$w" =~ /\./ && abs($v - $w) <= 1e-12 * abs($w);
        return sprintf 'place %d: value %s against %s', $i + 1, $v, $w;
    }
    return undef;
}

sub compare {
    my ($cmd, $x, $y, $sorted) = @_;
    return differ($x->{aggs}, $y->{aggs}, 'aggs') if $x->{aggs};
    return "hits $x->{hits} against $y->{hits}" if $cmd =~ /COUNT$/ && $x->{hits} != $y->{hits};
    if ($cmd =~ /_COUNT_(\d+)$/) {
        my ($m, $n) = map { $_->{rel} eq '=' ? $_->{hits} : -1 } $x, $y; # -1: more than counted
        return "hits $x->{rel}$x->{hits} against $y->{rel}$y->{hits}" if $m != $n && ($m > $1 || $m < 0) != ($n > $1 || $n < 0);
        return "hits $x->{hits} against $y->{hits}" if $m != $n && $m >= 0 && $n >= 0;
    }
    my ($a, $b) = ($x->{list}, $y->{list});
    my %place = map { $b->[$_][0] => $_ } 0 .. $#$b;
    return 'lists of ' . @$a . ' and ' . @$b if @$a != @$b;
    return undef unless @$a;
    my ($l, $m) = ($x->{last}, $y->{last});
    if (@$l && @$m) {
        return "lists of $l->[0] and $m->[0]" if $l->[0] != $m->[0];
        my $same = $sorted ? !compare_sorted([$l], [$m]) : near($l->[1], $m->[1] * $scale);
        return "place $l->[0]: $l->[1] against " . $m->[1] * $scale unless $same;
    }
    return compare_sorted($a, $b) if $sorted;
    for my $i (0 .. $#$a) {
        my $s = $b->[$i][1] * $scale;
        return sprintf "place %d: score %s against %s", $i + 1, $a->[$i][1], $s unless near($a->[$i][1], $s);
        next if !$i || $any_order || $a->[$i][1] != $a->[$i - 1][1];
        my ($p, $q) = map { $_->[0] } @$a[$i - 1, $i];
        next unless $p =~ /^\d+$/ && $q =~ /^\d+$/ && $q <= $p;
        return sprintf "place %d: equal scores, ids fall", $i + 1 unless defined $place{$p} && defined $place{$q} && $place{$p} < $place{$q};
    }
    return undef if !grep { $_->[0] ne 'null' } @$b;
    my %mine = map { $_->[0] => 1 } @$a;
    my %other = map { $_->[0] => 1 } @$b;
    my $last = $a->[-1][1];
    for (@$a) { return "$_->[0] is in ours alone" if !near($_->[1], $last) && $_->[1] > $last && !$other{$_->[0]} }
    for (@$b) {
        my $s = $_->[1] * $scale;
        return "$_->[0] is in theirs alone" if !near($s, $last) && $s > $last && !$mine{$_->[0]};
    }
    return undef;
}

my ($h1, $order) = lines($ours);
my ($h2) = lines($theirs);
my %has = map { (split /\t/)[0] => 1 } keys %$h2;
my (%n, %bad, $compared, $wrong);
for my $key (@$order) {
    my ($cmd, $class, $query) = split /\t/, $key;
    next if !$has{$cmd} || $skip{$class} || $counts{$class} && $cmd ne 'COUNT';
    my $why = $h2->{$key} ? compare($cmd, $h1->{$key}, $h2->{$key}, $query =~ /^\{.*"sort":/) : 'theirs has no such query';
    $n{"$cmd\t$class"}++;
    $compared++;
    next unless defined $why;
    $bad{"$cmd\t$class"}++;
    $wrong++;
    print "$cmd $class: $query: $why\n" if $verbose || ($bad{"$cmd\t$class"} // 0) <= 2;
}
for my $k (sort keys %n) {
    printf "%-32s %5d queries, %d differ\n", $k =~ s/\t/ /r, $n{$k}, $bad{$k} // 0 if $verbose || $bad{$k};
}
printf "%d compared, %d differ\n", $compared // 0, $wrong // 0;
exit($wrong || !$compared ? 1 : 0);
