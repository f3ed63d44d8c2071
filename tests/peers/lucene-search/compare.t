#!/usr/bin/perl
# compare.t: hits and scores of random queries of every kind against Lucene's, over the same random
# documents in several segments, with and without deletions. Skipped, loudly, without JDK or Lucene 8.
#   QD_SEED=n QD_DOCS=n QD_QUERIES=n prove tests/peers/lucene-search/compare.t
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

my $here = dirname(abs_path(__FILE__));
my $out = $ENV{QD_OUT} || "$here/../../../build";
my @jars = grep { -e } map { glob "/usr/share/java/lucene-$_-8.*.jar" } qw(core analyzers-common queries);
plan skip_all => 'NO COMPARISON WITH LUCENE: no javac' if !grep { -x "$_/javac" } split /:/, $ENV{PATH};
plan skip_all => 'NO COMPARISON WITH LUCENE: liblucene8-java is not installed' if @jars < 3;
my $run = "$out/tests/peers/lucene-search/run";
plan skip_all => "NO COMPARISON WITH LUCENE: $run is not built" if !-x $run;

my $dir = tempdir(CLEANUP => 1);
my $cp = join ':', @jars, $dir;
system('javac', '-nowarn', '-cp', $cp, '-d', $dir, "$here/Oracle.java") == 0 or BAIL_OUT('javac failed');
my $seed = $ENV{QD_SEED} || 1 + int rand 1e9;
my $docs = $ENV{QD_DOCS} || 3000;
my $queries = $ENV{QD_QUERIES} || 3000;

sub near { my ($x, $y) = @_; return abs($x - $y) <= 1e-5 * abs($y) }

# Why two answers differ; undef when they agree.
sub differ {
    my ($ours, $theirs) = @_;
    my ($n, @a) = split ' ', $ours;
    my ($m, @b) = split ' ', $theirs;
    return "$n hits against $m" if $n != $m;
    return 'lists of other lengths' if @a != @b;
    my (%a, %b);
    for my $i (0 .. $#a) {
        my ($ai, $as) = split /:/, $a[$i];
        my ($bi, $bs) = split /:/, $b[$i];
        return "place $i: score $as ($ai) against $bs ($bi)" if !near($as, $bs);
        ($a{$ai}, $b{$bi}) = ($as, $bs);
    }
    my $last = @a ? (split /:/, $a[-1])[1] : 0;
    for (keys %a) { return "$_ in ours alone" if !exists $b{$_} && !near($a{$_}, $last) }
    for (keys %b) { return "$_ in theirs alone" if !exists $a{$_} && !near($b{$_}, $last) }
    return undef;
}

# Similarities, as TYPE:PARAMETER:…: BM25 on the whole corpus in three ways, the others on smaller ones.
my @cases = ([ $docs, 0 ], [ int($docs / 3) + 1, 0 ], [ int($docs / 3) + 1, 7 ]);
my @norms = ('no', 'h1:1', 'h1:2.5', 'h2:1', 'h2:7', 'h3:800', 'h3:5', 'z:0.3', 'z:0.05');
my @similarities = ('boolean', 'BM25:0.5:0.2', 'BM25:2:1', 'BM25:0:0.75', 'BM25:1.2:0', map({ "DFI:$_" } qw(standardized saturated chisquared)),
    map({ "LMDirichlet:$_" } 2000, 20, 0.5), map({ "LMJelinekMercer:$_" } 0.1, 0.7, 1));
for my $norm (@norms) {
    for my $model (qw(g if in ine)) { push @similarities, map { "DFR:$model:$_:$norm" } qw(b l) }
    for my $distribution (qw(ll spl)) { push @similarities, map { "IB:$distribution:$_:$norm" } qw(df ttf) }
}
my $step = $ENV{QD_SIMILARITIES} ? int(@similarities / $ENV{QD_SIMILARITIES}) || 1 : 1; # a sample: so many of them
for my $i (grep { $_ % $step == $seed % $step } 0 .. $#similarities) { push @cases, [ 90 + $i * 7 % 50, $i % 3 ? 0 : 5, $similarities[$i] ] }

for my $case (@cases) {
    my ($segment, $delete, $similarity) = @$case;
    my ($all, $docs, $queries) = ($similarity // '', $similarity ? 300 : $docs, $similarity ? 60 : $queries);
    system("perl $here/gen.pl $dir $seed $docs $queries") == 0 or BAIL_OUT('gen.pl failed');
    my @ours = `'$run' $dir $segment $delete $all`;
    is($?, 0, "runs $queries queries") or last;
    my @theirs = `java -Xmx1g -XX:+UseSerialGC -cp $cp Oracle $dir $segment $delete $all`;
    open my $f, '<', "$dir/queries" or die;
    my @q = <$f>;
    my $bad = 0;
    is(scalar @ours, scalar @theirs, 'as many answers');
    for my $i (0 .. $#theirs) {
        my $why = differ($ours[$i] // '', $theirs[$i]) // next;
        diag "$q[$i]  $why" if $bad++ < ($ENV{QD_SHOW} // 5);
    }
    is($bad, 0, "segments of $segment, one in $delete deleted, @{[$all || 'BM25']}: $queries queries agree (QD_SEED=$seed)");
    $seed++;
}
done_testing();
