#!/usr/bin/perl
# 099_other_nodes.t: what a shard's node alone has: stored values beside _source, words with statistics, fielddata. Two
# nodes answer alike for a shard that one of them holds.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use Test::More;

my $c = QdCluster->new('others', nodes => 2)->start;
my $first = $c->node(0);
my $r = $first->put('/s', { settings => { number_of_shards => 1, number_of_replicas => 0 }, mappings => { _source => { enabled => JSON::PP::false }, properties => {
    t => { type => 'text', store => JSON::PP::true }, n => { type => 'long', store => JSON::PP::true } } } });
is($r->{status}, 200, 'an index without _source') or diag $r->{content};
$r = $first->put('/v', { settings => { number_of_shards => 1, number_of_replicas => 0 }, mappings => { properties => { t => { type => 'text', fielddata => JSON::PP::true } } } });
is($r->{status}, 200, 'an index with fielddata');
for my $i (1 .. 3) {
    $first->put("/s/_doc/$i?refresh=true", { t => "text $i", n => $i });
    $first->put("/v/_doc/$i?refresh=true", { t => "word w$i" });
}
$first->put('/s/_doc/4', { t => 'unrefreshed', n => 4 });
for my $n ($c->nodes) {
    my $name = $n->{name};
    is_deeply($n->get('/s/_doc/1?stored_fields=t,n')->{json}{fields}, { t => ['text 1'], n => [1] }, "$name: _doc");
    is_deeply($n->get('/s/_doc/4?stored_fields=t,n')->{json}{fields}, { t => ['unrefreshed'], n => [4] }, "$name: _doc from the log");
    is_deeply([ map { $_->{fields}{n}[0] } @{ $n->post('/s/_mget?stored_fields=n', { ids => [ 1, 4, 2 ] })->{json}{docs} } ], [ 1, 4, 2 ], "$name: _mget");
    is_deeply([ map { $_->{fields}{t}[0] } @{ $n->post('/s/_search', { stored_fields => ['t'], sort => 'n' })->{json}{hits}{hits} } ], [ map { "text $_" } 1 .. 3 ], "$name: _search");
    my $v = $n->get('/v/_termvectors/2?fields=t&term_statistics=true')->{json};
    is_deeply([ $v->{found}, @{ $v->{term_vectors}{t}{terms}{word} }{qw(doc_freq ttf)} ], [ JSON::PP::true, 3, 3 ], "$name: _termvectors");
    is($n->post('/v/_termvectors', { doc => { t => 'w1 w1' }, term_statistics => JSON::PP::true })->{json}{term_vectors}{t}{terms}{w1}{doc_freq}, 1, "$name: of an artificial document");
    my $docs = $n->post('/v/_mtermvectors', { parameters => { fields => ['t'] }, docs => [ { _id => 1 }, { _id => 'x' }, { _id => 3, version => 9 }, { doc => { t => 'z' } } ] })->{json}{docs};
    is_deeply([ (map { join ' ', sort keys %{ $_->{term_vectors}{t}{terms} } } @$docs[ 0, 3 ]), $docs->[1]{found}, $docs->[2]{error}{type} ], [ 'w1 word', 'z', JSON::PP::false, 'version_conflict_engine_exception' ], "$name: _mtermvectors") or diag explain $docs;
    is($n->get('/v/_termvectors/1?version=7')->{status}, 409, "$name: an error");
    is(scalar @{ $n->post('/v/_search', { size => 0, aggs => { a => { terms => { field => 't' } } } })->{json}{aggregations}{a}{buckets} }, 4, "$name: an aggregation builds fielddata");
    cmp_ok($n->get('/v/_stats/fielddata?fields=t')->{json}{_all}{total}{fielddata}{fields}{t}{memory_size_in_bytes} // 0, '>', 0, "$name: _stats shows it");
    like($n->get('/_cat/fielddata?h=field')->{content}, qr/^t *$/m, "$name: _cat");
    is($n->post('/v/_cache/clear?fielddata=true', '')->{json}{_shards}{failed}, 0, "$name: it is cleared");
    is($n->get('/v/_stats/fielddata')->{json}{_all}{total}{fielddata}{memory_size_in_bytes}, 0, "$name: and gone");
}
$c->stop;
done_testing();
