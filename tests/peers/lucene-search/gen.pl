#!/usr/bin/perl
# gen.pl DIR SEED DOCS QUERIES: random documents and queries of every kind that Lucene 8 has too.
# QD_CATALOGUE=1: documents are the words of the machine's package descriptions, as many as there are.
#   docs:    id TAB body (words) TAB tag TAB num; empty where there is none
#   queries: one s-expression a line, read by Oracle.java and run.c alike
use strict;
use warnings;

my ($dir, $seed, $ndocs, $nqueries) = @ARGV;
srand($seed);
my @words = map { my $w = ''; $w .= chr(97 + int rand 5) for 1 .. 2 + int rand 4; $w } 1 .. 120;
push @words, 'x', "\x{e4}b", "\x{65e5}\x{672c}";
my @text = $ENV{QD_CATALOGUE} ? catalogue() : ();
@words = map { @$_ ? $$_[int rand @$_] : () } map { $text[int rand @text] } 1 .. 600 if @text;
sub catalogue { # the first 200 words of each
    my @t;
    local $/ = "\n\n";
    open my $apt, '-|', 'apt-cache dumpavail' or die "apt-cache: $!\n";
    while (my $p = <$apt>) {
        my ($d) = $p =~ /^Description[^:]*: (.*?)(?=^\S|\z)/ms or next;
        my @w = map { substr $_, 0, 40 } lc($d) =~ /[a-z0-9]+/g;
        push @t, [@w > 200 ? @w[0 .. 199] : @w];
    }
    close $apt;
    die "the package catalogue is empty\n" unless @t;
    return @t;
}
sub word { return $words[int(@words * rand() * rand() * rand())] }
sub any { return $words[int rand @words] }
binmode STDOUT, ':utf8';
open my $d, '>:utf8', "$dir/docs" or die;
my @body;
for my $i (0 .. $ndocs - 1) {
    my $n = rand() < 0.05 ? 0 : 1 + int(rand(3) < 2 ? rand 12 : rand 60);
    my @w = map { word() } 1 .. $n;
    @w = @{ $text[$i % @text] } if @text;
    push @body, \@w;
    print $d join("\t", "d$i", join(' ', @w), rand() < 0.8 ? 't' . int rand 8 : '', rand() < 0.8 ? int(rand 200) - 100 : ''), "\n";
}
close $d;

# Words that stand near one another somewhere.
sub near {
    my ($n) = @_;
    for (1 .. 50) {
        my $b = $body[int rand @body];
        next if @$b < $n + 1;
        my $at = int rand(@$b - $n);
        return @$b[$at .. $at + $n - 1];
    }
    return map { word() } 1 .. $n;
}
sub phrase {
    my $n = 2 + int rand 3;
    my @w = near($n);
    my $slop = rand() < 0.4 ? 0 : int rand 6;
    if ($slop && rand() < 0.5) { @w = sort { rand() <=> 0.5 } @w }
    if (rand() < 0.25) { $w[int rand @w] = $w[0] }
    my $pos = 0;
    my @t;
    for my $w (@w) {
        my $alt = rand() < 0.15 ? "$w|" . word() : $w;
        push @t, "$alt\@$pos";
        $pos += rand() < 0.1 ? 2 : 1;
    }
    return "(phrase $slop " . join(' ', @t) . ')';
}
# Spans and intervals: words that stand near one another, and combinations of them.
sub spans {
    my ($depth) = @_;
    my $r = $depth ? rand 10 : 0;
    return rand() < 0.1 ? '(smul ' . substr(any(), 0, 2) . ')' : rand() < 0.5 ? word() : any() if $r < 1;
    if ($r < 5) {
        my @e = map { rand() < 0.3 ? spans($depth - 1) : $_ } near(2 + int rand 2);
        if (rand() < 0.5) { @e = reverse @e if rand() < 0.5; return '(suno ' . int(rand 6) . " @e)" }
        splice @e, 1, 0, '(sgap ' . int(rand 3) . ')' if rand() < 0.15;
        return '(snear ' . int(rand 6) . " @e)";
    }
    return '(sor ' . join(' ', map { spans($depth - 1) } 1 .. 2 + rand 2) . ')' if $r < 6;
    return '(snot ' . int(rand 3) . ' ' . int(rand 3) . ' ' . spans($depth - 1) . ' ' . spans($depth - 1) . ')' if $r < 7.5;
    return '(sfirst ' . (1 + int rand 10) . ' ' . spans($depth - 1) . ')' if $r < 8.5;
    return '(' . ('scon', 'swi')[int rand 2] . ' (suno ' . (4 + int rand 6) . ' ' . join(' ', near(2)) . ') ' . spans($depth - 1) . ')';
}
# Filters stand above all else and extended words alone: below others Lucene 8 forgets that a filter has no more
# intervals, and takes intervals of more than two ordered sources that are none.
sub intervals {
    my ($depth) = @_;
    my $r = $depth ? rand 10 : 0;
    return rand() < 0.1 ? '(ipre ' . substr(any(), 0, 2) . ')' : rand() < 0.5 ? word() : any() if $r < 1;
    if ($r < 6) {
        my $kind = ('iord', 'iuno', 'inol')[int rand 3];
        my @e = map { rand() < 0.3 ? intervals($depth - 1) : $_ } near($kind eq 'iuno' ? 2 + int rand 2 : 2);
        @e = reverse @e if rand() < 0.3;
        return "($kind " . (-1 + int rand 5) . " @e)";
    }
    return '(ior ' . join(' ', map { intervals($depth - 1) } 1 .. 2 + rand 2) . ')';
}
sub rule {
    my $r = rand 10;
    return '(iext ' . (1 + int rand 3) . ' ' . any() . ')' if $r < 0.5;
    return rand() < 0.5 ? intervals(1) : '(ior ' . intervals(1) . ' ' . intervals(1) . ')' if $r < 6;
    # Lucene 8 also drops what another interval overlaps in part.
    return '(ifil not_containing (iuno -1 ' . join(' ', near(2)) . ') ' . word() . ')' if $r < 7;
    return '(ifil ' . (qw(containing contained_by overlapping before after not_contained_by not_overlapping))[int rand 7] . ' ' .
        '(iuno -1 ' . join(' ', near(2)) . ') ' . (rand() < 0.5 ? word() : '(iuno -1 ' . join(' ', near(2)) . ')') . ')';
}
# Inside trees fuzzy queries are constant: Lucene merges equal words of a disjunction into one with the
# statistics of either, the word's own or the blended ones, as its hash tables have it.
sub leaf {
    my ($inside) = @_;
    my $r = rand 12;
    return phrase() if $r < 1;
    return '(sp ' . spans(2) . ')' if $r < 1.5;
    return '(iv ' . rule() . ')' if $r < 2;
    return '(const ' . leaf_fuzzy() . ')' if $r < 3 && $inside;
    return leaf_fuzzy() if $r < 3;
    return other($r);
}
# Words longer than their edits and prefix: for shorter ones Lucene 8 matches the word alone (newer ones don't)
# or drops terms by the order of segments.
sub leaf_fuzzy {
    my @long = grep { length > 2 } map { any() } 1 .. 20;
    return '(fuzzy ' . ($long[0] // 'abc') . ' ' . (1 + int rand 2) . ' ' . int(rand 2) . ' ' . int(rand 2) . ')';
}
sub other {
    my ($r) = @_;
    return '(prefix ' . substr(any(), 0, 1 + int rand 2) . ')' if $r < 3.6;
    return '(wild ' . (substr(any(), 0, 1) . ('*', '?', '*b', '?*')[int rand 4]) . ')' if $r < 4.2;
    return '(regexp ' . ('[a-c].*', 'a.b?', '(ab|ba)+', '.{2}')[int rand 4] . ')' if $r < 4.6;
    if ($r < 5.4) { my $lo = int(rand 200) - 100; return "(range $lo " . ($lo + int rand 80) . ')' }
    return '(terms ' . join(' ', map { 't' . int rand 10 } 1 .. 3) . ')' if $r < 6;
    if ($r < 6.6) { my ($a, $b) = (word(), word()); return $a eq $b ? "(term body $a)" : "(syn $a $b)" }
    return '(term tag t' . int(rand 9) . ')' if $r < 7;
    return '(all)' if $r < 7.2;
    return '(term body ' . word() . ')';
}
sub tree {
    my ($depth) = @_;
    my $r = $depth ? rand 10 : 0;
    return leaf(1) if $r < 3;
    if ($r < 7) {
        my ($m, $s, $f, $n) = (int rand 3, int rand 4, rand() < 0.3 ? 1 : 0, rand() < 0.3 ? 1 : 0);
        $m = 1 if !$m && !$s && !$f;
        my $min = $s ? int rand($s + 1) : 0;
        return "(bool $min" . join('', map({ ' (must ' . tree($depth - 1) . ')' } 1 .. $m), map({ ' (should ' . tree($depth - 1) . ')' } 1 .. $s),
            map({ ' (filter ' . tree($depth - 1) . ')' } 1 .. $f), map({ ' (not ' . tree($depth - 1) . ')' } 1 .. $n)) . ')';
    }
    return '(dis ' . (0, 0.3, 1)[int rand 3] . ' ' . join(' ', map { tree($depth - 1) } 1 .. 3) . ')' if $r < 8;
    return '(const ' . tree($depth - 1) . ')' if $r < 9;
    return '(boost ' . (0.5, 2, 3.5)[int rand 3] . ' ' . tree($depth - 1) . ')';
}
open my $q, '>:utf8', "$dir/queries" or die;
for my $i (1 .. $nqueries) { print $q $i % 6 == 0 ? phrase() : $i % 12 == 3 ? '(sp ' . spans(3) . ')' : $i % 12 == 9 ? '(iv ' . rule() . ')' : $i % 3 == 1 ? leaf() : tree(3), "\n" }
close $q;
