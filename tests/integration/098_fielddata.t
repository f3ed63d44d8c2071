#!/usr/bin/perl
# 098_fielddata.t: text fields with fielddata: aggregations, sorting and docvalue_fields over their terms, what
# the terms take in memory, where that is shown and limited, and how it is given back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('fielddata', settings => { 'compatibility.identity' => 'os2' });
$node->start;
my ($true, $false) = (JSON::PP::true, JSON::PP::false);

sub index_of {
    my ($index, %properties) = @_;
    my $r = $node->put("/$index", { settings => { number_of_shards => 1, 'index.refresh_interval' => -1 }, mappings => { properties => \%properties } });
    is($r->{status}, 200, "$index is made") or diag $r->{content};
}
# Several segments, and a document that is deleted.
sub fill {
    my ($index, @texts) = @_;
    for my $i (0 .. $#texts) {
        my $r = $node->put("/$index/_doc/$i" . ($i % 3 == 2 || $i == $#texts ? '?refresh=true' : ''), { t => $texts[$i], n => $i });
        is($r->{status}, 201, "$index/$i") if $r->{status} != 201;
    }
}
sub search { my ($index, $body) = @_; return $node->post("/$index/_search", { size => 0, %$body }) }
sub buckets { my ($r, $agg) = @_; return { map { ($_->{key} => $_->{doc_count}) } @{ $r->{json}{aggregations}{ $agg // 'a' }{buckets} } } }

my @texts = ('The quick fox', 'quick quick dogs', 'lazy Dogs', '', 'fox and lazy fox', 'zebra');
index_of('f', t => { type => 'text', fielddata => $true, fields => { plain => { type => 'text' }, k => { type => 'keyword' } } }, n => { type => 'long' });
fill('f', @texts);
$node->delete('/f/_doc/5?refresh=true');

subtest 'aggregations see the terms' => sub {
    my $r = search('f', { aggs => { a => { terms => { field => 't', size => 20 } } } });
    is_deeply(buckets($r), { the => 1, quick => 2, fox => 2, dogs => 2, lazy => 2, and => 1 }, 'terms') or diag $r->{content};
    $r = search('f', { aggs => { a => { terms => { field => 't', include => 'f.*|l.*', order => { _key => 'desc' }, missing => 'none' } } } });
    is(join(' ', map { $_->{key} } @{ $r->{json}{aggregations}{a}{buckets} }), 'lazy fox', 'include and an order');
    $r = search('f', { aggs => { a => { terms => { field => 't', missing => '(none)', size => 20 } } } });
    is(buckets($r)->{'(none)'}, 1, 'missing');
    $r = search('f', { aggs => { c => { cardinality => { field => 't' } }, v => { value_count => { field => 't' } },
        m => { missing => { field => 't' } }, by => { terms => { field => 't', include => 'fox' }, aggs => { s => { sum => { field => 'n' } } } } } });
    my $a = $r->{json}{aggregations};
    is_deeply([ $a->{c}{value}, $a->{v}{value}, $a->{m}{doc_count}, $a->{by}{buckets}[0]{s}{value} ], [ 6, 10, 1, 4 ], 'cardinality, value_count, missing, aggregations below') or diag $r->{content};
    my $twice = search('f', { aggs => { a => { terms => { field => 't', size => 20 } } } });
    is_deeply(buckets($twice), { the => 1, quick => 2, fox => 2, dogs => 2, lazy => 2, and => 1 }, 'and again');
};

subtest 'sorting and docvalue_fields' => sub {
    my $r = search('f', { size => 10, sort => [ { t => 'asc' }, { n => 'asc' } ] });
    is(join(' ', map { $_->{_id} . '=' . ($_->{sort}[0] // '-') } @{ $r->{json}{hits}{hits} }), '4=and 1=dogs 2=dogs 0=fox 3=-', 'ascending: the least term');
    $r = search('f', { size => 10, sort => [ { t => 'desc' }, { n => 'asc' } ] });
    is(join(' ', map { $_->{_id} . '=' . ($_->{sort}[0] // '-') } @{ $r->{json}{hits}{hits} }), '0=the 1=quick 2=lazy 4=lazy 3=-', 'descending: the greatest');
    $r = search('f', { size => 10, sort => [ { t => 'asc' }, { n => 'asc' } ], search_after => [ 'dogs', 1 ] });
    is(join(' ', map { $_->{_id} } @{ $r->{json}{hits}{hits} }), '2 0 3', 'search_after');
    $r = search('f', { size => 10, sort => 'n', docvalue_fields => ['t'] });
    is_deeply([ map { $_->{fields}{t} } @{ $r->{json}{hits}{hits} } ], [ [qw(fox quick the)], [qw(dogs quick)], [qw(dogs lazy)], undef, [qw(and fox lazy)] ], 'docvalue_fields');
};

subtest 'where fielddata is not set' => sub {
    my $r = search('f', { aggs => { a => { terms => { field => 't.plain' } } } });
    is($r->{status}, 400, 'terms');
    like($r->{content}, qr/Text fields are not optimised for operations that require per-document field data/, 'in words');
    is(search('f', { size => 1, sort => 't.plain' })->{status}, 400, 'sort');
    my $caps = $node->get('/f/_field_caps?fields=t,t.plain')->{json}{fields};
    is_deeply([ $caps->{t}{text}{aggregatable}, $caps->{'t.plain'}{text}{aggregatable} ], [ $true, $false ], '_field_caps');
    $r = $node->put('/f/_mapping', { properties => { t => { type => 'text', fielddata => $true, fields => { plain => { type => 'text', fielddata => $true } } } } });
    is($r->{status}, 200, 'it may be set later');
    is(buckets(search('f', { aggs => { a => { terms => { field => 't.plain' } } } }))->{quick}, 2, 'for what is there');
    $r = $node->put('/bad', { mappings => { properties => { t => { type => 'text', index => $false, fielddata => $true } } } });
    like($r->{content}, qr/Cannot enable fielddata on a \[text\] field that is not indexed/, 'not of a field without terms');
};

subtest 'memory is shown and given back' => sub {
    my $stats = $node->get('/f/_stats/fielddata?fields=*')->{json};
    my $fd = $stats->{_all}{primaries}{fielddata};
    cmp_ok($fd->{memory_size_in_bytes}, '>', 0, '_stats');
    is_deeply([ sort keys %{ $fd->{fields} } ], [ 't', 't.plain' ], 'by field');
    my $sum = 0;
    $sum += $_->{memory_size_in_bytes} for values %{ $fd->{fields} };
    is($sum, $fd->{memory_size_in_bytes}, 'which add up');
    is_deeply([ keys %{ $node->get('/f/_stats?fielddata_fields=t')->{json}{indices}{f}{total}{fielddata}{fields} } ], ['t'], 'fielddata_fields');
    my $breaker = sub { (values %{ $node->get('/_nodes/stats/breaker')->{json}{nodes} })[0]{breakers}{fielddata} };
    cmp_ok($breaker->()->{estimated_size_in_bytes}, '>=', $sum, 'the breaker counts it');
    my $cat = $node->get('/_cat/fielddata?h=field,size&bytes=b&s=field')->{content};
    like($cat, qr/^t +\Q$fd->{fields}{t}{memory_size_in_bytes}\E\nt\.plain +\d+\n$/, '_cat/fielddata');
    unlike($node->get('/_cat/fielddata/t.plain?h=field')->{content}, qr/^t *$/m, 'of one field');
    $node->post('/f/_cache/clear?fielddata=true&fields=t', '');
    $fd = $node->get('/f/_stats/fielddata?fields=*')->{json}{_all}{primaries}{fielddata};
    is_deeply([ keys %{ $fd->{fields} } ], ['t.plain'], 'one field is cleared');
    $node->post('/f/_cache/clear?fielddata=true', '');
    is($node->get('/f/_stats/fielddata')->{json}{_all}{primaries}{fielddata}{memory_size_in_bytes}, 0, 'all are');
    is($breaker->()->{estimated_size_in_bytes}, 0, 'the breaker has it back');
    is($node->get('/_cat/fielddata')->{content}, '', 'nothing is listed');
    is(buckets(search('f', { aggs => { a => { terms => { field => 't' } } } }))->{fox}, 2, 'the next search builds it anew');
};

subtest 'the breaker refuses' => sub {
    index_of('big', t => { type => 'text', fielddata => $true });
    fill('big', map { join ' ', map { "w$_" } 0 .. 2000 } 0 .. 2);
    $node->put('/_cluster/settings', { transient => { 'indices.breaker.fielddata.limit' => '20kb' } });
    my $r = search('big', { aggs => { a => { terms => { field => 't' } } } });
    is($r->{status}, 429, 'a search');
    like($r->{content}, qr/\[fielddata\] Data too large, data for \[t\] would be \[\d+/, 'in words') or diag $r->{content};
    is(search('big', { size => 1, sort => 't' })->{status}, 429, 'sorting');
    cmp_ok((values %{ $node->get('/_nodes/stats/breaker')->{json}{nodes} })[0]{breakers}{fielddata}{tripped}, '>', 0, 'it is counted');
    $node->put('/_cluster/settings', { transient => { 'indices.breaker.fielddata.limit' => undef } });
    is(search('big', { aggs => { a => { cardinality => { field => 't' } } } })->{json}{aggregations}{a}{value}, 2001, 'with room again it works');
};

subtest 'fielddata_frequency_filter' => sub {
    my $filter = sub { return { type => 'text', fielddata => $true, fielddata_frequency_filter => $_[0] } };
    index_of('ff', t => $filter->({ min => 2 }));
    fill('ff', 'a b c', 'b c', 'c');
    $node->post('/ff/_forcemerge?max_num_segments=1', ''); # by segment
    is_deeply(buckets(search('ff', { aggs => { a => { terms => { field => 't' } } } })), { b => 2, c => 3 }, 'min');
    my $set = sub {
        is($node->put('/ff/_mapping', { properties => { t => $filter->($_[0]) } })->{status}, 200, 'another filter');
        return buckets(search('ff', { aggs => { a => { terms => { field => 't' } } } }));
    };
    is_deeply($set->({ min => 0.67, max => 0.9 }), { b => 2 }, 'as parts of the documents');
    is_deeply($set->({ min => 2, min_segment_size => 10 }), { a => 1, b => 2, c => 3 }, 'not of small segments');
    my $r = $node->put('/bad', { mappings => { properties => { t => $filter->({ least => 1 }) } } });
    like($r->{content}, qr/unsupported parameters:  \[least : 1\]/, 'another word is refused');
};
$node->stop;
done_testing();
