#!/usr/bin/perl
# compare.t: `qd bench` and the Lucene harness of tests/bench over small corpora of many shapes
# (gen.pl): the same hits in the same order with the same scores, by tests/bench/agree.pl. Skipped,
# loudly, without JDK or Lucene 8.
#   QD_SEED=n QD_CORPORA=n prove tests/peers/lucene-bench/compare.t
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

my $here = dirname(abs_path(__FILE__));
my $bench = "$here/../../bench";
my $out = $ENV{QD_OUT} || "$here/../../../build";
my $qd = "$out/bin/qd";
$ENV{LUCENE8_JAR} ||= (glob('/usr/share/java/lucene-core-8.*.jar'))[0] // '';
plan skip_all => 'NO COMPARISON WITH LUCENE: no javac' if !grep { -x "$_/javac" } split /:/, $ENV{PATH};
plan skip_all => 'NO COMPARISON WITH LUCENE: liblucene8-java is not installed' if !-e $ENV{LUCENE8_JAR};
plan skip_all => "NO COMPARISON WITH LUCENE: $qd is not built" if !-x $qd;

my $dir = tempdir('qd-bench-XXXXXX', TMPDIR => 1, CLEANUP => 1);
$ENV{PEERS} = "$dir/peers";
$ENV{HEAP} = '256m';
$ENV{JVMOPTS} = '-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-AlwaysPreTouch';
my $lucene = "sh $bench/peers/lucene/lucene.sh 8";
system("$lucene build") == 0 or BAIL_OUT('the harness does not build');
my $first = $ENV{QD_SEED} || 1 + int rand 1e6;
my $cmds = '--cmds TOP_1,TOP_10,TOP_100,COUNT,TOP_10_COUNT,TOP_10_COUNT_50 --rounds 1 --warm-sec 0';

sub ran {
    my ($what, $command) = @_;
    my $text = `$command 2>&1`;
    return 1 if $? == 0;
    diag "$what: $command\n$text";
    return 0;
}

for my $seed ($first .. $first + ($ENV{QD_CORPORA} || 5) - 1) {
    chomp(my $shape = `perl $here/gen.pl $dir $seed`);
    is($?, 0, "corpus: $shape") or BAIL_OUT('gen.pl failed');
    # the engine's index is merged as well: then both sides know the same statistics
    my ($good, $theirs) = (1, '');
    for my $case ([ '--merge', '' ], [ '--merge --ram 1 --threads 3', '--no-order' ], [ '--es --merge', '--no-order' ]) {
        my ($mode, $order) = @$case;
        if ($theirs ne ($mode =~ s/ --ram.*//r)) { # what does not change their index is not run again
            $theirs = $mode;
            $good = ran('theirs', "$lucene Indexer --in $dir/corpus.jsonl --index $dir/theirs $mode --refresh-ms 50")
                && ran('theirs', "$lucene Searcher --index $dir/theirs --queries $dir/queries.tsv $cmds --out $dir/theirs.out");
        }
        my $both = $good && ran('ours', "$qd bench index --in $dir/corpus.jsonl --index $dir/ours $mode")
            && ran('ours', "$qd bench search --index $dir/ours --queries $dir/queries.tsv $cmds --out $dir/ours.out");
        my $text = $both ? `perl $bench/agree.pl $dir/ours.out $dir/theirs.out $order` : 'not compared';
        ok($both && $? == 0, "$mode: the same answers (QD_SEED=$seed QD_CORPORA=1)") or diag $text;
    }
}
done_testing();
