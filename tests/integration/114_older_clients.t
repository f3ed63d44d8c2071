#!/usr/bin/perl
# 114_older_clients.t: what clients of Elasticsearch 7 send: types in paths and documents, members beside a bulk action,
# doc_as_upsert as a parameter.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my %node;
for my $who (qw(es7 es7.10.2 es8 es9 os2)) {
    $node{$who} = QdNode->new("old-$who", settings => { 'compatibility.identity' => $who });
    $node{$who}->start;
    $node{$who}->put('/i/_doc/1?refresh=true', { n => 1 });
}

for my $who (qw(es7 es7.10.2)) {
    my $n = $node{$who};
    is($n->post('/i/_doc/_search', { query => { match_all => {} } })->{json}{hits}{total}{value}, 1, "$who: a search by type");
    is($n->get('/i/_doc/_count')->{json}{count}, 1, 'a count');
    my $r = $n->post('/i/_doc/_bulk?refresh=true', qq({"index":{"_id":"2","_type":"_doc"}}\n{"n":2}\n));
    is($r->{json}{items}[0]{index}{result}, 'created', 'a bulk') or diag $r->{content};
    is($n->post('/i/_doc/_mget', { ids => [1] })->{json}{docs}[0]{found}, JSON::PP::true, '_mget of a type');
    for my $type ('"_doc"', 'null') {
        is($n->post('/_mget', qq({"docs":[{"_index":"i","_type":$type,"_id":"1"}]}))->{json}{docs}[0]{found}, JSON::PP::true, "_mget with the type $type");
    }
    is($n->post('/i/_doc/1/_update', { doc => { n => 5 } })->{json}{result}, 'updated', 'an update');
    is($n->get('/i/_doc/1/_source')->{json}{n}, 5, 'a source');
    is($n->post('/i/_doc/_delete_by_query?refresh=true', { query => { match => { n => 2 } } })->{json}{deleted}, 1, 'a deletion by query');
    is($n->get('/i/_search')->{json}{hits}{total}{value}, 1, 'nothing was written by these');
    is($n->put('/i/_doc/9', { n => 9 })->{json}{_id}, 9, 'other ids are documents');
}
for my $who (qw(es8 os2)) {
    is($node{$who}->post('/i/_doc/_search', { query => { match_all => {} } })->{json}{_id}, '_search', "$who: an id");
    is($node{$who}->post('/_mget', '{"docs":[{"_index":"i","_type":"_doc","_id":"1"}]}')->{status}, 400, 'no types');
}

my $bulk = qq({"create":{"_index":"mk","pipeline":null},"attempts":0,"more":{"a":[1]}}\n{"a":1}\n{"index":{"_index":"mk"}}\n{"a":2}\n);
for my $who (sort keys %node) {
    my $r = $node{$who}->post('/_bulk', $bulk);
    if ($who eq 'es9') {
        is($r->{status}, 400, 'es9 refuses members beside an action');
        next;
    }
    is_deeply([ map { values %$_ } map { { r => (values %$_)[0]{result} } } @{ $r->{json}{items} } ], [ 'created', 'created' ], "$who goes on") or diag $r->{content};
    my $warning = $r->{headers}{warning} // '';
    $warning = join ' ', @$warning if ref $warning;
    if ($who =~ /^es[78]$/) { like($warning, qr/contained multiple keys/, 'with a warning') }
    is($node{$who}->post('/_bulk', qq({"create":{"_index":"mk"},"a":}\n{"a":1}\n))->{status}, 400, 'what is no JSON is refused');
}

for my $who (sort keys %node) {
    my $n = $node{$who};
    is($n->post('/u/_update/1?doc_as_upsert=true', { doc => { a => 1 } })->{json}{result}, 'created', "$who: doc_as_upsert");
    is($n->post('/u/_update/2?doc_as_upsert=true', { doc => { a => 1 }, doc_as_upsert => JSON::PP::false })->{status}, 404, 'the body has the last word');
    is($n->post('/u/_update/2?doc_as_upsert=maybe', { doc => { a => 1 } })->{status}, 400, 'no boolean');
    is($n->post('/u/_update/2?doc_as_upsert=true', '{}')->{status}, 400, 'no document');
}
$_->stop for values %node;
done_testing;
