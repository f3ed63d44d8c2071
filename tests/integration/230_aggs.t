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

# What settings and the newer products change.
my $es = QdNode->new('aggs8');
$es->start;
my $bulk = join '', map { "{\"index\":{\"_id\":\"$_\"}}\n{\"v\":$_,\"k\":\"k" . $_ % 2 . "\"}\n" } 1 .. 200;
$es->put('/a', {mappings => {properties => {v => {type => 'long'}, k => {type => 'keyword'}}}});
$es->post('/a/_bulk?refresh=true', $bulk);
sub aggs { my ($body) = @_; return $es->post('/a/_search?size=0', {aggs => {a => $body}})->{json} }

my $ids = {terms => {field => '_id', size => 2, order => {_key => 'asc'}}, aggs => {v => {sum => {field => 'v'}}}};
my $r = aggs($ids);
is($r->{status}, 400, 'ids are not aggregated');
like($r->{error}{root_cause}[0]{reason}, qr/^Fielddata access on the _id field is disallowed, .*indices\.id_field_data\.enabled$/, 'and why');
$es->put('/_cluster/settings', {transient => {'indices.id_field_data.enabled' => 'true'}});
$r = aggs($ids);
is_deeply([map { [$_->{key}, $_->{doc_count}, $_->{v}{value} + 0] } @{$r->{aggregations}{a}{buckets}}], [['1', 1, 1], ['10', 1, 10]], 'unless a setting allows it');

my $hits = {top_hits => {size => 150, from => 10, sort => [{v => 'desc'}], _source => JSON::PP::false}};
$r = aggs($hits);
is($r->{error}{root_cause}[0]{reason}, "Top hits result window is too large, the top hits aggregator [a]'s from + size must be less than or equal to: [100] "
    . 'but was [160]. This limit can be set by changing the [index.max_inner_result_window] index level setting.', 'the window of top_hits');
$es->put('/a/_settings', {'index.max_inner_result_window' => 160});
$r = aggs($hits);
my @found = @{$r->{aggregations}{a}{hits}{hits}};
is_deeply([scalar @found, $found[0]{_id}, $found[149]{_id}], [150, '190', '41'], 'follows its setting');

$r = aggs({percentiles => {field => 'v', percents => [50, 25]}});
is_deeply($r->{aggregations}{a}{values}, {'25.0' => 50.75, '50.0' => 100.5}, 'few values: by rank, as Elasticsearch since 8.9');
$r = aggs({terms => {field => 'k', order => {nope => 'asc'}}});
is($r->{status}, 400, 'an order that leads nowhere is the request\'s fault');
$r = aggs({terms => {field => 'k', min_doc_count => 0}, aggs => {none => {filter => {match_none => {}}}}});
is(scalar @{$r->{aggregations}{a}{buckets}}, 2, 'terms');
$r = $es->post('/a/_search?size=0', {query => {term => {k => 'k1'}}, aggs => {a => {terms => {field => 'k', min_doc_count => 0}}}})->{json};
is_deeply([map { [$_->{key}, $_->{doc_count}] } @{$r->{aggregations}{a}{buckets}}], [['k1', 100], ['k0', 0]], 'terms without documents');
$es->stop;
done_testing;
