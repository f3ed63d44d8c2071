#!/usr/bin/perl
# 087_field_types.t: unsigned_long, binary, constant_keyword, token_count, date_nanos, alias, match_only_text and version over
# HTTP: documents, queries, sorting, aggregations, fields, and what they refuse.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('types');
$node->start;
my $json = JSON::PP->new->utf8->canonical->allow_bignum;

sub ids { join ' ', map { $_->{_id} } @{$_[0]{json}{hits}{hits}} }
sub found { my ($index, $query) = @_; join ' ', sort split / /, ids($node->post("/$index/_search", { query => $query, size => 100 })) }
sub cause { my ($r) = @_; my $e = $r->{json}{error}; $e = $e->{caused_by} while $e->{caused_by}; $e->{reason} // '' }
sub shard { my ($r) = @_; $r->{json}{error}{root_cause}[0]{reason} // '' }
sub create { my ($name, $properties, %more) = @_; $node->put("/$name", { mappings => { properties => $properties, %more } }) }
# Documents as JSON text, ids from 1.
sub fill {
    my ($index, @docs) = @_;
    my $n = 0;
    my $r = $node->post("/$index/_bulk?refresh=true", join '', map { ++$n; qq({"index":{"_id":"$n"}}\n$_\n) } @docs);
    return $r->{json}{errors} ? $r->{content} : '';
}
sub raw { my ($path, $body) = @_; $node->post($path, ref $body ? $json->encode($body) : $body)->{content} }

subtest 'unsigned_long holds 0 to 2^64-1' => sub {
    is(create('u', { u => { type => 'unsigned_long' }, s => { type => 'unsigned_long', ignore_malformed => \1, store => \1 },
        n => { type => 'unsigned_long', null_value => '18446744073709551615' } })->{status}, 200);
    is(fill('u', '{"u":0}', '{"u":"9223372036854775808"}', '{"u":18446744073709551615,"n":null}', '{"u":[5,"7"]}', '{"s":"x"}', '{"u":12.0}'), '');
    is(cause($node->put('/u/_doc/x', '{"u":-1}')), 'Value [-1] is out of range for unsigned long');
    is(cause($node->put('/u/_doc/x', '{"u":18446744073709551616}')), 'Value [18446744073709551616] is out of range for unsigned long');
    is(cause($node->put('/u/_doc/x', '{"u":10.5}')), 'Value "10.5" has a decimal part');
    my $r = $node->put('/u/_doc/x', '{"u":"abc"}');
    is($r->{json}{error}{type}, 'document_parsing_exception');
    is(cause($r), 'For input string: "abc"');
    is(found('u', { term => { u => '18446744073709551615' } }), '3');
    is(found('u', { terms => { u => [ 0, 5 ] } }), '1 4');
    is(found('u', { term => { u => 0.5 } }), '', 'no document has a fraction');
    is(found('u', { match => { u => 7 } }), '4');
    is(found('u', { exists => { field => 'u' } }), '1 2 3 4 6');
    is(found('u', { range => { u => { gt => 6.5, lt => '18446744073709551614.5' } } }), '2 4 6');
    is(found('u', { range => { u => { gte => -3, lte => 0 } } }), '1');
    is(found('u', { range => { u => { gt => '18446744073709551615' } } }), '');
    is(found('u', { term => { n => '18446744073709551615' } }), '3', 'null_value');
    is(found('u', { term => { _ignored => 's' } }), '5', 'ignore_malformed');
    like(shard($node->post('/u/_search', { query => { term => { u => 'abc' } } })), qr/For input string: "abc"/);

    $r = raw('/u/_search', { sort => [ { u => 'desc' } ], fields => ['u'], docvalue_fields => ['u'], _source => \0 });
    like($r, qr/"sort":\[18446744073709551615\].*"sort":\[9223372036854775808\].*"sort":\[12\].*"sort":\[7\].*"sort":\[0\]/s, 'sorted without loss');
    like($r, qr/"u":\[9223372036854775808\]/);
    like(raw('/u/_search', '{"sort":[{"u":"asc"}],"search_after":[9223372036854775808]}'), qr/"sort":\[18446744073709551615\]/);
    like(raw('/u/_search', '{"sort":[{"u":{"order":"asc","missing":"_first"}}],"size":2}'), qr/"_id":"5".*"sort":\[0\]/);
    $r = raw('/u/_search', { size => 0, aggs => {
        t => { terms => { field => 'u', order => { _key => 'desc' } } }, h => { histogram => { field => 'u', interval => 1e19 } },
        x => { max => { field => 'u' } }, n => { min => { field => 'u' } }, s => { sum => { field => 'u' } }, st => { stats => { field => 'u' } },
        c => { cardinality => { field => 'u' } }, v => { value_count => { field => 'u' } }, m => { missing => { field => 'u' } },
        r => { range => { field => 'u', ranges => [ { from => 6, to => 1e19 } ] } },
    } });
    like($r, qr/"buckets":\[\{"key":18446744073709551615,"doc_count":1\},\{"key":9223372036854775808,"doc_count":1\},\{"key":12,/, 'keys of terms are whole');
    like($r, qr/"x":\{"value":1.8446744073709552E19\}/);
    like($r, qr/"n":\{"value":0.0\}/);
    like($r, qr/"s":\{"value":2.7670116110564327E19\}/);
    like($r, qr/"c":\{"value":6\}/);
    like($r, qr/"v":\{"value":6\}/);
    like($r, qr/"m":\{"doc_count":1\}/);
    like($r, qr/"r":\{"buckets":\[\{[^}]*"doc_count":3\}/);
    like(raw('/u/_search', '{"size":0,"aggs":{"t":{"terms":{"field":"u","include":[18446744073709551615,0]}}}}'),
        qr/"key":0,"doc_count":1\},\{"key":18446744073709551615,"doc_count":1\}\]/);
    my $all = '{"size":0,"aggs":{"c":{"composite":{"size":2,"sources":[{"u":{"terms":{"field":"u","order":"desc"}}}]%s}}}}';
    like(raw('/u/_search', sprintf $all, ''), qr/"after_key":\{"u":9223372036854775808\}/);
    like(raw('/u/_search', sprintf $all, ',"after":{"u":9223372036854775808}'), qr/"buckets":\[\{"key":\{"u":12\}/);
    is($node->get('/_field_caps?fields=u')->{json}{fields}{u}{unsigned_long}{aggregatable}, 1);
    like(cause(create('bad', { u => { type => 'unsigned_long', coerce => \1 } })), qr/unknown parameter \[coerce\] on mapper \[u\] of type \[unsigned_long\]/);
};

done_testing();
