#!/usr/bin/perl
# 070_lucene.t: searches, query_string, `qd bench` and analysis against Debian's Lucene, at length.
# Skipped, loudly, without a JDK and liblucene8-java.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;
use Test::More;

my @missing = ((grep { -x "$_/javac" } split /:/, $ENV{PATH}) ? () : 'javac',
    map { my $jar = $_; @{ [glob "/usr/share/java/lucene-$jar-8.*.jar"] } ? () : "lucene-$jar" } qw(core analyzers-common queryparser queries));
if (@missing) {
    print STDERR "NO COMPARISON WITH LUCENE: missing: @missing\n";
    plan skip_all => "NO COMPARISON WITH LUCENE: missing: @missing";
}
my $queries = count(QUERIES => 36000);
my $texts = count(TEXTS => 30000);
my $corpora = count(CORPORA => 40);
my $seed = count(SEED => 1);
my $peers = 'tests/peers';
step('everything builds', sub { build('all units') }) or BAIL_OUT('no build');
# each run is of 3,000 queries over one, over several segments, and with deletions
for (my ($n, $s) = ($queries, $seed); $n > 0; $n -= 9000, $s += 100) {
    step("9,000 random queries with seed $s", "QD_SEED=$s QD_QUERIES=3000 prove -v $peers/lucene-search/compare.t");
}
step('9,000 random queries over the package catalogue', "QD_CATALOGUE=1 QD_SEED=$seed QD_DOCS=20000 QD_QUERIES=3000 prove -v $peers/lucene-search/compare.t");
for (my ($n, $s) = ($texts, $seed); $n > 0; $n -= 10000, $s++) {
    step("10,000 texts of query_string with seed $s", "QD_SEED=$s QD_COUNT=10000 prove -v $peers/lucene-query/compare.t");
}
for (my ($n, $s) = ($corpora, $seed); $n > 0; $n -= 5, $s += 5) {
    step("5 corpora of random shapes from seed $s", "QD_SEED=$s QD_CORPORA=5 prove -v $peers/lucene-bench/compare.t");
}
step('analysis', "QD_SEED=$seed prove -v $peers/lucene-analysis/compare.t");
step('texts of seeds never seen, analysed', "QD_COUNT=20000 prove -v $peers/lucene-analysis/compare.t");
step('mutated requests of a seed never seen', 'SEED=$(date +%s) prove -v tests/integration/041_http_differential.t');
finish();
