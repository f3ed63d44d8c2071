#!/usr/bin/perl
# 119_search_templates_nodes.t: a template that one node stores, every node searches by, whichever node has the shards: what
# stands beside the template (explain) reaches them too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use Test::More;

my $c = QdCluster->new('templates', nodes => 3);
$c->start;
my @n = $c->nodes;

$n[0]->put('/i', { settings => { number_of_shards => 6, number_of_replicas => 0 }, mappings => { properties => { w => { type => 'text' } } } });
ok($c->wait_status('green'), 'green');
$n[0]->post('/_bulk?refresh=true', join '', map { qq({"index":{"_index":"i","_id":"$_"}}\n{"w":"stone $_"}\n) } 1 .. 30);
is($n[0]->put('/_scripts/t', { script => { lang => 'mustache', source => { query => { match => { w => '{{w}}' } }, size => '{{n}}' } } })->{status}, 200, 'a template is stored');

for my $i (0 .. 2) {
    my %t = (id => 't', params => { w => 'stone', n => 30 });
    my $r = $n[$i]->post('/i/_search/template', \%t);
    is(scalar @{ $r->{json}{hits}{hits} }, 30, "node $i finds all");
    is(scalar(grep { $_->{_explanation} } @{ $r->{json}{hits}{hits} }), 0);
    $r = $n[$i]->post('/i/_search/template', { %t, explain => JSON::PP::true });
    is(scalar(grep { $_->{_explanation} } @{ $r->{json}{hits}{hits} }), 30, 'all are explained, those of other nodes too');
    $r = $n[$i]->post('/_msearch/template', qq({"index":"i"}\n{"id":"t","explain":true,"params":{"w":"stone","n":30}}\n{"index":"i"}\n{"id":"t","params":{"w":"stone","n":3}}\n));
    my ($first, $second) = @{ $r->{json}{responses} };
    is(scalar(grep { $_->{_explanation} } @{ $first->{hits}{hits} }), 30, 'also in one request with others');
    is(scalar(grep { $_->{_explanation} } @{ $second->{hits}{hits} }), 0, 'which are not');
    $r = $n[$i]->post('/i/_search/template?scroll=1m', { %t, params => { w => 'stone', n => 20 }, explain => JSON::PP::true });
    $r = $n[ ($i + 1) % 3 ]->post('/_search/scroll', { scroll_id => $r->{json}{_scroll_id} });
    is(scalar(grep { $_->{_explanation} } @{ $r->{json}{hits}{hits} }), 10, 'and on the next page of a scroll');
}
$n[2]->delete('/_scripts/t');
is($n[0]->post('/i/_search/template', { id => 't' })->{status}, 404, 'and removed');

is($c->stop, 0, 'stopped');
done_testing;
