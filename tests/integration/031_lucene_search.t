#!/usr/bin/perl
# The comparisons of searches with Lucene, short and always the same: tests/long/070_lucene.t has the
# whole, with a new seed each time.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use Test::More;

my $peers = dirname(abs_path(__FILE__)) . '/../peers';
plan skip_all => 'NO COMPARISON WITH LUCENE: no javac' if !grep { -x "$_/javac" } split /:/, $ENV{PATH};
my %run = ('lucene-search' => { QD_DOCS => 600, QD_QUERIES => 300, QD_SIMILARITIES => 4 }, 'lucene-query' => { QD_COUNT => 1500 }, 'lucene-bench' => { QD_CORPORA => 1 });
for my $name (sort keys %run) {
    local %ENV = (QD_SEED => 31, %{ $run{$name} }, %ENV);
    my $out = `$^X '$peers/$name/compare.t' 2>&1`;
    my ($why) = $out =~ /^1\.\.0 # SKIP (.*)/m;
    if (defined $why) { SKIP: { skip $why, 1 } next }
    ok($? == 0, "$name, a sample") or diag $out;
}
done_testing();
