#!/usr/bin/perl
# 230_aggs.t: aggregations answer what OpenSearch 2.19 answered for the same requests over the same
# documents: tests/peers/opensearch/aggs.golden, recorded by aggs.pl --record.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../peers/opensearch";
use AggsCompare;
use AggsData;
use QdNode;
use Test::More;

my $node = QdNode->new('aggs', settings => {'compatibility.identity' => 'os2'});
$node->start;
my $prefix = 'qda-';
AggsData::seed(1);
my @bulks;
for my $i (AggsData::indices($prefix)) {
    my $r = $node->put("/$i->{name}", AggsData::json($i->{body}));
    is($r->{status}, 200, "index $i->{name}") or diag $r->{content};
}
for my $b (AggsData::bulks($prefix, 600)) {
    my $r = $node->post("/$b->[0]/_bulk?refresh=true", $b->[1]);
    BAIL_OUT($r->{content}) if $r->{status} != 200 || $r->{content} =~ /"errors":true/;
}
open my $f, '<', "$FindBin::Bin/../peers/opensearch/aggs.golden" or die "aggs.golden: $!";
my ($n, $shown) = (0, 0);
while (<$f>) {
    chomp;
    my %m = @{AggsCompare::parse($_)->{o}};
    my $r = $node->post($m{path}{s}, $m{body}{raw});
    my $ours = AggsCompare::answer($r->{status}, $r->{content});
    my $want = {status => $m{status}{n}, error => $m{error}, total => $m{total}, aggs => $m{aggs}};
    my @d = AggsCompare::differences($want, $ours, $m{body}{raw});
    $n++;
    next if !@d;
    ok(0, "POST $m{path}{s} $m{body}{raw}");
    diag "  $_" for @d[0 .. ($#d > 3 ? 3 : $#d)];
    last if ++$shown > 20;
}
ok($n > 500, "$n requests asked");
$node->stop;
done_testing;
