#!/usr/bin/perl
# 088_more_field_types.t: wildcard, flattened, search_as_you_type and the types of ranges over HTTP.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('types');
$node->start;
my $json = JSON::PP->new->utf8->canonical;

sub ids { join ' ', sort map { $_->{_id} } @{$_[0]{json}{hits}{hits}} }
sub found {
    my ($index, $query) = @_;
    my $r = $node->post("/$index/_search", { query => $query, size => 1000 });
    return $r->{status} == 200 ? ids($r) : "$r->{status} " . ($r->{json}{error}{root_cause}[0]{reason} // '');
}
sub load {
    my ($index, %docs) = @_;
    my $bulk = join '', map { qq({"index":{"_index":"$index","_id":"$_"}}\n) . $json->encode($docs{$_}) . "\n" } sort keys %docs;
    my $r = $node->post('/_bulk?refresh=true', $bulk);
    is($r->{json}{errors}, JSON::PP::false, "documents of $index are indexed") or diag $r->{content};
}
sub refused {
    my ($r, $reason, $name) = @_;
    my $e = $r->{json}{error};
    like(join(' ', $e->{reason} // '', $e->{caused_by}{reason} // '', $e->{root_cause}[0]{reason} // ''), $reason, $name);
}
sub mapping {
    my ($index, %properties) = @_;
    my $r = $node->put("/$index", { mappings => { properties => \%properties } });
    is($r->{status}, 200, "$index has its mapping") or diag $r->{content};
}

subtest 'wildcard' => sub {
    mapping('w', m => { type => 'wildcard', null_value => 'nothing at all', fields => { short => { type => 'wildcard', ignore_above => 5 } } },
        k => { type => 'keyword', copy_to => 'm' });
    my @words = qw(Error warning PANIC disk net über Zürich a1 b22 /var/log tmp * ? \\ x);
    srand 7;
    my %docs = map { ("d$_" => { m => join(' ', map { $words[rand @words] } 1 .. 1 + rand 4) }) } 1 .. 120;
    $docs{null} = { m => undef };
    $docs{two}  = { m => [ 'first value', 'second one' ] };
    $docs{none} = { other => 1 };
    $docs{copy} = { k => 'copied text' };
    $docs{empty} = { m => '' };
    load('w', %docs);
    my %values = map { my $m = $docs{$_}{m}; ($_ => [ ref $m ? @$m : defined $m ? $m : () ]) } keys %docs;
    $values{null} = ['nothing at all'];
    $values{copy} = ['copied text'];
    my $naive = sub { my $test = shift; join ' ', sort grep { my $id = $_; grep { $test->($_) } @{$values{$id}} } keys %values };
    my $like = sub {
        my ($pattern, $i) = @_;
        my $re = '';
        while ($pattern =~ /\G(\\.|.)/gs) { my $c = $1; $re .= $c eq '*' ? '.*' : $c eq '?' ? '.' : $c =~ /^\\(.)/s ? quotemeta $1 : quotemeta $c }
        return $i ? qr/^$re$/is : qr/^$re$/s;
    };
    for my $pattern ('*', '*disk*', 'PAN*', '*log', '*r n*', '*i?k*', 'Err?r *', '*\\**', '*\\?*', '*ür*', '?', '??', '*b2*', '*x', 'x*', '*or w*ning*', 'a1', 'nothing*all', '*v', 'zzz*', '*IC*') {
        for my $i (0, 1) {
            my $re = $like->($pattern, $i);
            is(found('w', { wildcard => { m => { value => $pattern, case_insensitive => $i ? \1 : \0 } } }), $naive->(sub { $_[0] =~ $re }), "wildcard $pattern $i");
        }
    }
    for my $re ('.*disk.*', 'PANIC.*', '.*(net|tmp).*', '[Ee]rror.*', '.*a1( b22)+.*', '.*lo?g', '.*dis{1}k', 'Error|PANIC', '.*z.*', '.+[0-9]', 'x( x)*', '.*\\*.*', '') {
        is(found('w', { regexp => { m => $re } }), $re eq '' ? '' : $naive->(sub { $_[0] =~ /^(?:$re)$/s }), "regexp $re");
    }
    is(found('w', { prefix => { m => 'War' } }), $naive->(sub { $_[0] =~ /^War/ }), 'prefix by case');
    is(found('w', { prefix => { m => { value => 'WAR', case_insensitive => \1 } } }), $naive->(sub { $_[0] =~ /^war/i }), 'prefix whatever the case');
    is(found('w', { term => { m => 'second one' } }), 'two', 'term of one of several values');
    is(found('w', { term => { m => { value => 'SECOND ONE', case_insensitive => \1 } } }), 'two', 'term whatever the case');
    is(found('w', { terms => { m => [ 'second one', 'copied text', 'none' ] } }), 'copy two', 'terms');
    is(found('w', { term => { m => '' } }), 'empty', 'the empty string');
    is(found('w', { range => { m => { gte => 'disk', lt => 'net' } } }), $naive->(sub { $_[0] ge 'disk' && $_[0] lt 'net' }), 'range');
    is(found('w', { range => { m => { gt => 'second', lte => 'second one' } } }), 'two', 'range of a common beginning');
    is(found('w', { fuzzy => { m => 'secnod onee' } }), 'two', 'fuzzy');
    is(found('w', { fuzzy => { m => { value => 'xecond one', prefix_length => 1 } } }), '', 'fuzzy with a beginning that must be equal');
    is(found('w', { exists => { field => 'm' } }), $naive->(sub { 1 }), 'exists');
    is(found('w', { match => { m => 'second one' } }), 'two', 'match takes the value whole');
    is(found('w', { query_string => { query => 'm:*econ*' } }), 'two', 'query_string');
    is(found('w', { exists => { field => 'm.short' } }), $naive->(sub { length $_[0] <= 5 && $_[0] ne 'copied text' }), 'ignore_above of a multi-field');
    is(found('w', { exists => { field => 'm..grams' } }), '', 'the grams are no field of requests');
    my $r = $node->post('/w/_search', { size => 1, sort => [ { m => 'desc' } ], fields => ['m'], docvalue_fields => ['m'],
        query => { wildcard => { m => '*econd*' } }, highlight => { fields => { m => {} } },
        aggs => { t => { terms => { field => 'm' } }, c => { cardinality => { field => 'm' } } } });
    my $hit = $r->{json}{hits}{hits}[0];
    is($hit->{_score}, undef);
    is_deeply($hit->{sort}, ['second one'], 'sorted by the value');
    is_deeply($hit->{fields}{m}, [ 'first value', 'second one' ], 'fields');
    is_deeply([ map { $_->{key} } @{$r->{json}{aggregations}{t}{buckets}} ], [ 'first value', 'second one' ], 'terms aggregation');
    is_deeply($hit->{highlight}{m}, ['<em>second one</em>'], 'the value is highlighted');
    $r = $node->get('/w/_field_caps?fields=m*')->{json}{fields};
    is_deeply($r->{m}, { keyword => { type => 'keyword', metadata_field => JSON::PP::false, searchable => JSON::PP::true, aggregatable => JSON::PP::true } }, 'field_caps knows the family');
    is(join(' ', sort keys %$r), 'm m.short', 'no other field shows');
    is_deeply($node->get('/w/_mapping')->{json}{w}{mappings}{properties}{m},
        { type => 'wildcard', null_value => 'nothing at all', fields => { short => { type => 'wildcard', ignore_above => 5 } } }, 'mapping');
    refused($node->put('/w2', { mappings => { properties => { m => { type => 'wildcard', doc_values => \0 } } } }),
        qr/unknown parameter \[doc_values\] on mapper \[m\] of type \[wildcard\]/, 'other parameters are refused');
    refused($node->put('/w/_mapping', { properties => { m => { type => 'wildcard', null_value => 'x' } } }), qr/Cannot update parameter \[null_value\]/, 'null_value stays');
    is($node->put('/w/_mapping', { properties => { m => { type => 'wildcard', null_value => 'nothing at all', ignore_above => 9 } } })->{status}, 200, 'ignore_above changes');
    is($node->put('/w/_mapping', { properties => { more => { type => 'wildcard' } } })->{status}, 200, 'a field more');
    $node->put('/w/_doc/late?refresh=true', { more => 'late value', m => 'late m' });
    is(found('w', { wildcard => { more => '*te v*' } }), 'late', 'found in a field that came later');
    is(found('w', { wildcard => { m => '*te m*' } }), 'late', 'and in the old one');
    is($node->post('/w/_forcemerge?max_num_segments=1')->{status}, 200);
    is(found('w', { wildcard => { m => '*econ?*' } }), 'two', 'after a merge');
};

subtest 'flattened' => sub {
    mapping('f', f => { type => 'flattened', ignore_above => 20, null_value => 'NONE' }, k => { type => 'keyword' },
        d => { type => 'flattened', depth_limit => 2, split_queries_on_whitespace => \1 });
    my %docs = (
        a => { f => { env => 'prod', n => 5, up => \1, deep => { er => [ 'x', 'y' ] } } },
        b => { f => { env => 'test', n => 10, deep => { er => 'z' } } },
        c => { f => [ { env => 'prod' }, { env => 'alpha', other => undef } ] },
        d => { f => { long => 'l' x 21, 'a.b' => 'dotted' } },
        e => { k => 'prod' }, g => { f => undef }, h => { f => {} }, i => { d => { w => 'one' } },
    );
    load('f', %docs);
    is(found('f', { term => { f => 'prod' } }), 'a c', 'a leaf anywhere');
    is(found('f', { term => { 'f.env' => 'prod' } }), 'a c', 'a leaf of a key');
    is(found('f', { term => { 'f.n' => 5 } }), 'a', 'numbers as text');
    is(found('f', { term => { 'f.up' => \1 } }), 'a', 'true as text');
    is(found('f', { term => { 'f.deep.er' => 'y' } }), 'a', 'a path');
    is(found('f', { term => { 'f.deep' => 'y' } }), '', 'no leaf of a key above');
    is(found('f', { term => { 'f.a.b' => 'dotted' } }), 'd', 'a key with a dot');
    is(found('f', { terms => { 'f.env' => [ 'test', 'alpha' ] } }), 'b c', 'terms of a key');
    is(found('f', { prefix => { 'f.env' => 'pr' } }), 'a c', 'prefix of a key');
    is(found('f', { prefix => { f => 'te' } }), 'b', 'prefix');
    is(found('f', { wildcard => { f => 't*t' } }), 'b', 'wildcard of the whole');
    is(found('f', { range => { 'f.env' => { gte => 'a', lt => 'q' } } }), 'a c', 'range of a key');
    is(found('f', { range => { f => { gte => 'y' } } }), 'a b', 'range');
    is(found('f', { match => { 'f.env' => 'test' } }), 'b', 'match');
    is(found('f', { match => { 'd.w' => 'none one' } }), 'i', 'queries split on whitespace');
    is(found('f', { multi_match => { query => 'x', fields => [ 'f.env', 'f.deep.er' ] } }), 'a', 'multi_match of two keys');
    is(found('f', { query_string => { query => 'f.env:test OR f.deep.er:x' } }), 'a b', 'query_string');
    is(found('f', { simple_query_string => { query => 'alpha', fields => ['f.env'] } }), 'c', 'simple_query_string');
    is(found('f', { exists => { field => 'f' } }), 'a b c d', 'exists');
    is(found('f', { exists => { field => 'f.deep.er' } }), 'a b', 'exists of a key');
    is(found('f', { term => { 'f.other' => 'NONE' } }), 'c', 'null_value');
    is(found('f', { exists => { field => 'f.long' } }), '', 'ignore_above');
    is(found('f', { term => { 'f.nothing' => 'prod' } }), '', 'a key that no document has');
    is(found('f', { term => { 'f.env' => { value => 'PROD', case_insensitive => \1 } } }), 'a c', 'whatever the case');
    like(found('f', { range => { 'f.env' => { gte => 'a' } } }), qr/\[range\] queries on keyed \[flattened\] fields must include both an upper and a lower bound/, 'open range');
    like(found('f', { wildcard => { 'f.env' => '*' } }), qr/\[wildcard\] queries are not currently supported on keyed \[flattened\] fields/, 'wildcard of a key');
    like(found('f', { match_phrase => { d => 'a b' } }), qr/Can only use phrase queries on text fields - not on \[d\] which is of type \[flattened\]/, 'phrase');
    my $r = $node->post('/f/_search', { size => 20, sort => [ { 'f.env' => { order => 'desc', missing => '_last' } }, '_doc' ], query => { exists => { field => 'f' } },
        fields => [ 'f', 'f.env' ], docvalue_fields => [ 'f.deep.er' ],
        aggs => { t => { terms => { field => 'f.env' } }, all => { terms => { field => 'f', size => 3, order => { _key => 'asc' } } },
            c => { cardinality => { field => 'f.env' } }, m => { missing => { field => 'f.env' } }, v => { value_count => { field => 'f.env' } },
            n => { terms => { field => 'f.env', missing => 'nil', min_doc_count => 0 }, aggs => { x => { terms => { field => 'f.n' } } } } } });
    my @hits = @{$r->{json}{hits}{hits}};
    is(join(' ', map { $_->{_id} . ':' . ($_->{sort}[0] // '-') } @hits), 'b:test a:prod c:prod d:-', 'sorted by a key') or diag $r->{content};
    is_deeply($hits[0]{fields}, { f => [ $docs{b}{f} ], 'f.env' => ['test'], 'f.deep.er' => ['z'] }, 'fields');
    my $a = $r->{json}{aggregations};
    is_deeply([ map { "$_->{key}=$_->{doc_count}" } @{$a->{t}{buckets}} ], [ 'prod=2', 'alpha=1', 'test=1' ], 'terms of a key');
    is_deeply([ map { $_->{key} } @{$a->{all}{buckets}} ], [ '10', '5', 'NONE' ], 'terms of all leaves');
    is("$a->{c}{value} $a->{m}{doc_count} $a->{v}{value}", '3 1 4', 'metrics of a key');
    my $all = $node->post('/f/_search', { size => 0, aggs => { v => { value_count => { field => 'f.env' } }, n => { value_count => { field => 'f.nope' } } } })->{json}{aggregations};
    is("$all->{v}{value} $all->{n}{value}", '4 0', 'value_count of a key over all documents');
    is_deeply([ map { "$_->{key}=$_->{doc_count}:" . join ',', map { $_->{key} } @{$_->{x}{buckets}} } @{$a->{n}{buckets}} ],
        [ 'prod=2:5', 'alpha=1:', 'nil=1:', 'test=1:10' ], 'missing and below');
    is_deeply($node->get('/f/_field_caps?fields=f*')->{json}{fields},
        { f => { flattened => { type => 'flattened', metadata_field => JSON::PP::false, searchable => JSON::PP::true, aggregatable => JSON::PP::true } } }, 'field_caps');
    refused($node->put('/f/_doc/x', { f => 'text' }), qr/failed to parse field \[f\] of type \[flattened\].*Failed to parse object: expecting token of type \[START_OBJECT\] but found \[VALUE_STRING\]/, 'a string is refused');
    refused($node->put('/f/_doc/x', { d => { a => { b => { c => 1 } } } }), qr/The provided \[flattened\] field \[d\] exceeds the maximum depth limit of \[2\]/, 'depth_limit');
    is($node->put('/f/_doc/x', { d => { a => { b => 1 } } })->{status}, 201, 'as deep as allowed');
    refused($node->put('/f/_doc/x', { f => { "a\0b" => 1 } }), qr/Keys in \[flattened\] fields cannot contain the reserved character/, 'keys with NUL');
    refused($node->put('/f2', { mappings => { properties => { f => { type => 'flattened', fields => { k => { type => 'keyword' } } } } } }), qr/flattened field \[f\] does not support \[fields\]/, 'multi-fields');
    refused($node->put('/f2', { mappings => { properties => { f => { type => 'flattened', copy_to => 'k' } } } }), qr/flattened field \[f\] does not support \[copy_to\]/, 'copy_to');
    refused($node->put('/f2', { mappings => { properties => { f => { type => 'flat_object', ignore_above => 3 } } } }), qr/unknown parameter \[ignore_above\] on mapper \[f\] of type \[flat_object\]/, 'flat_object has no parameters');
    refused($node->post('/f/_search', { query => { match_all => {} }, fields => [ { field => 'f.env', format => 'yyyy' } ] }), qr/Field \[f\.env\] of type \[flattened\] doesn't support formats/, 'format');
    mapping('fi', f => { type => 'flattened', index => \0 }, g => { type => 'flattened', doc_values => \0 });
    load('fi', a => { f => { k => 'v', l => 'w' }, g => { k => 'v' } }, b => { f => { l => 'v' }, g => { l => 'v' } });
    is(join('|', map { my $f = $_; found('fi', { term => { "$f.k" => 'v' } }), found('fi', { exists => { field => "$f.k" } }), found('fi', { exists => { field => $f } }) } qw(f g)), 'a|a|a b|a|a|a b', 'without an index, without doc values');
    refused($node->post('/fi/_search', { sort => ['g.k'] }), qr/fielddata is unsupported on fields of type \[flattened\]/, 'no sort without doc values');
    mapping('o', f => { type => 'flat_object' });
    load('o', a => { f => { x => { y => 'deep' } } }, b => { f => { x => 'flat' } });
    is(found('o', { term => { 'f.x.y' => 'deep' } }), 'a', 'flat_object by path');
    is(found('o', { term => { f => 'flat' } }), 'b', 'flat_object anywhere');
    is($node->put('/t', { mappings => { dynamic_templates => [ { l => { match => 'labels', mapping => { type => 'flattened' } } } ] } })->{status}, 200);
    load('t', a => { labels => { one => 'two' } });
    is($node->get('/t/_mapping')->{json}{t}{mappings}{properties}{labels}{type}, 'flattened', 'a dynamic template');
    is(found('t', { term => { 'labels.one' => 'two' } }), 'a', 'and its documents');
};

subtest 'search_as_you_type' => sub {
    mapping('s', t => { type => 'search_as_you_type', fields => { raw => { type => 'keyword' } } }, u => { type => 'search_as_you_type', analyzer => 'simple', max_shingle_size => 4, norms => \0 },
        k => { type => 'keyword', copy_to => 't' });
    my %docs = (a => { t => 'quick brown fox jumps over the lazy dog' }, b => { t => 'the quick brown fish' }, c => { t => [ 'brown quick', 'fox trot' ] },
        d => { u => 'one two three four five' }, e => { k => 'copied words' });
    load('s', %docs);
    my $fields = [ 't', 't._2gram', 't._3gram' ];
    my $bool = sub { { multi_match => { query => $_[0], type => 'bool_prefix', fields => $fields } } };
    is(found('s', $bool->('brown f')), 'a b c', 'bool_prefix of two words');
    my $r = $node->post('/s/_search', { query => $bool->('quick brown fi') });
    is($r->{json}{hits}{hits}[0]{_id}, 'b', 'runs of words go first') or diag $r->{content};
    is(found('s', { match_bool_prefix => { t => { query => 'lazy d', operator => 'and' } } }), 'a', 'match_bool_prefix');
    is(found('s', { match_phrase_prefix => { t => 'quick brown f' } }), 'a b', 'match_phrase_prefix of a run');
    is(found('s', { match_phrase_prefix => { t => 'quick brown fox jumps ov' } }), 'a', 'of more words than a run has');
    is(found('s', { match_phrase_prefix => { t => 'over the lazy do' } }), 'a', 'and at the end');
    is(found('s', { match_phrase => { t => 'quick brown fox jumps' } }), 'a', 'match_phrase of more words');
    is(found('s', { match_phrase => { t => 'quick brown' } }), 'a b', 'match_phrase of two words');
    is(found('s', { match_phrase => { t => { query => 'quick fox', slop => 1 } } }), 'a', 'match_phrase with slop');
    is(found('s', { match_phrase => { t => 'quick fox' } }), '', 'no phrase over two values or holes');
    is(found('s', { prefix => { t => 'bro' } }), 'a b c', 'prefix');
    is(found('s', { prefix => { t => { value => 'BRO', case_insensitive => \1 } } }), 'a b c', 'prefix whatever the case');
    is(found('s', { prefix => { 't._2gram' => 'brown f' } }), 'a b', 'prefix of a run');
    is(found('s', { term => { 't._3gram' => 'quick brown fox' } }), 'a', 'a run of three words is a term');
    is(found('s', { term => { 't._index_prefix' => 'dog' } }), 'a', 'the last word begins a run');
    is(found('s', { term => { 't._index_prefix' => 'quick brown fox jump' } }), '', 'no beginning is longer than a run');
    is(found('s', { term => { 'u._4gram' => 'two three four five' } }), 'd', 'max_shingle_size');
    is(found('s', { match => { 't._2gram' => 'over the' } }), 'a', 'match of a run');
    is(found('s', { term => { 't.raw' => 'the quick brown fish' } }), 'b', 'a multi-field');
    is(found('s', { match_phrase => { t => 'copied words' } }), 'e', 'copy_to');
    is(found('s', { exists => { field => 't' } }), 'a b c e', 'exists');
    is(found('s', { exists => { field => 'u' } }), 'd', 'exists without norms');
    $r = $node->get('/s/_mapping')->{json}{s}{mappings}{properties};
    is_deeply($r->{t}, { type => 'search_as_you_type', doc_values => JSON::PP::false, max_shingle_size => 3, fields => { raw => { type => 'keyword' } } }, 'mapping shows what Elasticsearch shows');
    $r = $node->get('/s/_field_caps?fields=t*')->{json}{fields};
    is(join(' ', map { my $n = $_; map { "$n:$_" } keys %{$r->{$n}} } sort keys %$r),
        't:search_as_you_type t._2gram:search_as_you_type t._3gram:search_as_you_type t._index_prefix:prefix t.raw:keyword', 'field_caps');
    $r = $node->post('/s/_search', { query => { match_phrase => { t => 'brown fish' } }, fields => [ 't', 't._2gram' ], highlight => { fields => { t => {} } } })->{json}{hits}{hits}[0];
    is_deeply($r->{fields}, { t => ['the quick brown fish'], 't._2gram' => ['the quick brown fish'] }, 'fields');
    mapping('sub', t => { type => 'text', fields => { type => { type => 'search_as_you_type' } } });
    load('sub', a => { t => 'quick brown fox' });
    is(found('sub', { term => { 't.type._2gram' => 'brown fox' } }), 'a', 'as a multi-field');
    $r = $node->post('/sub/_search', { query => { match_phrase_prefix => { 't.type' => 'quick bro' } }, fields => ['t.type._2gram'] });
    is_deeply($r->{json}{hits}{hits}[0]{fields}, { 't.type._2gram' => ['quick brown fox'] }, 'whose values are those of its field');
    refused($node->put('/s2', { mappings => { properties => { t => { type => 'search_as_you_type', max_shingle_size => 5 } } } }), qr/\[max_shingle_size\] must be at least \[2\] and at most \[4\], got \[5\]/, 'max_shingle_size');
    refused($node->put('/s2', { mappings => { properties => { t => { type => 'search_as_you_type', doc_values => \1 } } } }), qr/Cannot set \[doc_values\] on field of type \[search_as_you_type\]/, 'doc_values');
    refused($node->put('/s2', { mappings => { properties => { t => { type => 'search_as_you_type', fields => { _2gram => { type => 'text' } } } } } }), qr/Field \[t\._2gram\] is defined more than once/, 'a multi-field of such a name');
    refused($node->put('/s2', { mappings => { properties => { t => { type => 'search_as_you_type', index_phrases => \1 } } } }), qr/unknown parameter \[index_phrases\]/, 'other parameters');
    refused($node->post('/s/_search', { sort => ['t'] }), qr/Fielddata is disabled on \[t\]|fielddata is unsupported on fields of type \[search_as_you_type\]/, 'no sort');
};

subtest 'ranges of numbers' => sub {
    mapping('r', map({ $_ => { type => "${_}_range" } } qw(integer long float double)), nv => { type => 'long_range', doc_values => \0 },
        ni => { type => 'long_range', index => \0 }, src => { type => 'integer_range', copy_to => 'nv' });
    srand 11;
    my (%docs, %at);
    for my $n (1 .. 150) {
        my @v;
        for (1 .. 1 + int rand 3) { my $a = int rand 60; push @v, [ $a, $a + int rand 15 ] }
        @v = ($v[0]) if $n > 100;
        my @json = map { rand() < 0.5 ? { gte => $_->[0], lte => $_->[1] } : { gt => $_->[0] - 1, lt => $_->[1] + 1 } } @v;
        my @real = map { { gte => $_->[0], lte => $_->[1] } } @v;
        $docs{"n$n"} = { integer => @json > 1 ? \@json : $json[0], long => \@json, float => \@real, double => \@real, nv => \@json, ni => \@json };
        $at{"n$n"} = \@v;
    }
    $docs{open} = { integer => { gte => 50 }, long => { gte => 50, lte => undef }, float => { gte => '50' }, double => { gte => 50 }, nv => { gte => 50 }, ni => { gte => 50 } };
    $at{open} = [ [ 50, 9e9 ] ];
    $docs{null} = { integer => undef, long => [] };
    load('r', %docs);
    for my $merged (0, 1) {
        $node->post('/r/_forcemerge?max_num_segments=1') if $merged;
        for my $q ([ 10, 20 ], [ 0, 100 ], [ 33, 33 ], [ 62, 90 ], [ 5, 9 ]) {
            my ($lo, $hi) = @$q;
            my %want = (intersects => sub { $_[0] <= $hi && $_[1] >= $lo }, contains => sub { $_[0] <= $lo && $_[1] >= $hi }, within => sub { $_[0] >= $lo && $_[1] <= $hi });
            for my $relation (sort keys %want) {
                my $expected = join ' ', sort grep { grep { $want{$relation}->(@$_) } @{$at{$_}} } keys %at;
                for my $f (qw(integer long float double nv)) {
                    is(found('r', { range => { $f => { gte => $lo, lte => $hi, relation => $relation } } }), $expected, "$f $relation $lo $hi");
                }
                is(found('r', { range => { long => { gt => $lo - 1, lt => $hi + 1, relation => uc $relation } } }), $expected, "long $relation, bounds left out");
            }
        }
    }
    my $one = sub { my $v = shift; join ' ', sort grep { grep { $_->[0] <= $v && $_->[1] >= $v } @{$at{$_}} } keys %at };
    is(found('r', { term => { integer => 33 } }), $one->(33), 'term');
    is(found('r', { terms => { double => [ 5, 70 ] } }), join(' ', sort keys %{{ map { $_ => 1 } split(/ /, $one->(5)), split / /, $one->(70) }}), 'terms');
    is(found('r', { match => { long => '33' } }), $one->(33), 'match');
    is(found('r', { query_string => { query => 'integer:[33 TO 33]' } }), $one->(33), 'query_string');
    is(found('r', { exists => { field => 'integer' } }), join(' ', sort keys %at), 'exists by the column');
    is(found('r', { exists => { field => 'nv' } }), join(' ', sort keys %at), 'exists without one');
    is(found('r', { range => { float => { gte => 0.5, lte => 0.75 } } }), join(' ', sort grep { grep { $_->[0] <= 0.75 && $_->[1] >= 0.5 } @{$at{$_}} } keys %at), 'fractions');
    like(found('r', { range => { ni => { gte => 1 } } }), qr/Cannot search on field \[ni\] since it is not indexed/, 'not indexed');
    like(found('r', { range => { integer => { gte => 5, lte => 3 } } }), qr/Range query `from` value \(5\) is greater than `to` value \(3\)/, 'bounds the wrong way round');
    like(found('r', { range => { double => { gte => 5, lte => 3 } } }), qr/Range query `from` value \(5\.0\) is greater than `to` value \(3\.0\)/, 'and of doubles');
    is(found('r', { range => { integer => { gt => 5, lt => 6 } } }), '', 'nothing lies between');
    like(found('r', { term => { integer => 1.5 } }), qr/Value \[1\.5\] has a decimal part/, 'whole numbers alone');
    like(found('r', { range => { integer => { gte => 3000000000 } } }), qr/Value \[3000000000\] is out of range for an integer/, 'out of range');
    like(found('r', { range => { integer => { gte => 1, relation => 'disjoint' } } }), qr/\[range\] query does not support relation \[disjoint\]/, 'disjoint');
    like(found('r', { prefix => { integer => '1' } }), qr/Can only use prefix queries on keyword, text and wildcard fields - not on \[integer\] which is of type \[integer_range\]/, 'prefix');
    my $r = $node->post('/r/_search', { size => 0, aggs => { h => { histogram => { field => 'integer', interval => 10, hard_bounds => { min => 0, max => 79 } }, aggs => { c => { value_count => { field => 'integer' } } } },
        m => { missing => { field => 'integer' } }, d => { cardinality => { field => 'integer' } }, v => { value_count => { field => 'integer' } } } });
    my $a = $r->{json}{aggregations};
    my @want = map { my $k = $_ * 10; scalar grep { grep { $_->[0] < $k + 10 && $_->[1] >= $k } @{$at{$_}} } keys %at } 0 .. 7;
    is(join(' ', map { "$_->{key}:$_->{doc_count}" } @{$a->{h}{buckets}}), join(' ', map { ($_ * 10) . ":$want[$_]" } 0 .. 7), 'histogram') or diag $r->{content};
    my %distinct = map { ("@$_" => 1) } map { @$_ } values %at;
    is("$a->{m}{doc_count} $a->{d}{value}", '1 ' . keys %distinct, 'missing and cardinality');
    refused($node->post('/r/_search', { aggs => { t => { terms => { field => 'integer' } } } }), qr/Field \[integer\] of type \[integer_range\] is not supported for aggregation \[terms\]/, 'no terms');
    refused($node->post('/r/_search', { aggs => { t => { range => { field => 'integer', ranges => [ { to => 5 } ] } } } }), qr/Field \[integer\] of type \[integer_range\] is not supported for aggregation \[range\]/, 'no range');
    refused($node->post('/r/_search', { aggs => { t => { date_histogram => { field => 'integer', fixed_interval => '1d' } } } }), qr/Expected date range type but found range type \[integer_range\]/, 'no date_histogram');
    refused($node->post('/r/_search', { aggs => { t => { histogram => { field => 'integer', interval => 1 } } } }), qr/Trying to create too many buckets/, 'an open interval has too many buckets');
    refused($node->post('/r/_search', { sort => ['integer'] }), qr/can't sort on binary field/, 'no sort');
    is_deeply($node->post('/r/_search', { query => { ids => { values => ['open'] } }, docvalue_fields => [ 'integer', 'doub*' ] })->{json}{hits}{hits}[0]{fields}, { integer => [ { gte => 50 } ], double => [ { gte => 50 } ] }, 'docvalue_fields');
    $r = $node->post('/r/_search', { query => { ids => { values => [ 'open', 'n101' ] } }, fields => [ 'float', 'integer' ], sort => '_doc' })->{json}{hits}{hits};
    is_deeply({ map { ($_->{_id} => $_->{fields}{float}) } @$r }->{open}, [ { gte => 50 } ], 'fields');
    is_deeply($node->get('/r/_field_caps?fields=integer')->{json}{fields}{integer}, { integer_range => { type => 'integer_range', metadata_field => JSON::PP::false, searchable => JSON::PP::true, aggregatable => JSON::PP::true } }, 'field_caps');
    load('r', copied => { src => { gte => 500, lte => 510 } });
    is(found('r', { term => { nv => 505 } }), 'copied open', 'copy_to');
    my $bad = sub { refused($node->put('/r/_doc/bad', $_[0]), $_[1], $_[2]) };
    $bad->({ integer => { gte => 5, lte => 3 } }, qr/failed to parse field \[integer\] of type \[integer_range\].*min value \(5\) is greater than max value \(3\)/, 'ends the wrong way round');
    $bad->({ integer => { from => 5 } }, qr/error parsing field \[integer\], with unknown parameter \[from\]/, 'unknown keys');
    $bad->({ integer => 5 }, qr/error parsing field \[integer\], expected an object but got integer/, 'a number');
    $bad->({ integer => { gte => 3000000000 } }, qr/out of range of int/, 'out of range');
    $bad->({ integer => { gte => 'x' } }, qr/For input string: "x"/, 'no number');
    refused($node->put('/r2', { mappings => { properties => { f => { type => 'long_range', format => 'yyyy' } } } }), qr/field \[f\] of type \[range\] should not define a dateTimeFormatter unless it is a date_range type/, 'format');
    refused($node->put('/r2', { mappings => { properties => { f => { type => 'long_range', null_value => 1 } } } }), qr/unknown parameter \[null_value\]/, 'other parameters');
    mapping('r2', f => { type => 'integer_range', coerce => \0 });
    refused($node->put('/r2/_doc/1', { f => { gte => '5' } }), qr/Integer value passed as String/, 'coerce');
    refused($node->put('/r2/_doc/1', { f => { gte => 5.5 } }), qr/cannot be converted to Integer without data loss/, 'fractions');
    is($node->put('/r/_doc/cut', { integer => { gte => '7', lte => 8.9 } })->{status}, 201, 'strings and fractions are read');
};

subtest 'ranges of dates and addresses' => sub {
    mapping('d', d => { type => 'date_range' }, y => { type => 'date_range', format => 'yyyy-MM-dd||yyyy' }, ip => { type => 'ip_range' });
    load('d', a => { d => { gte => '2024-01-01', lte => '2024-01-31' }, y => { gte => '2024', lte => '2024' }, ip => '10.0.0.0/8' },
        b => { d => { gt => '2024-01-31', lt => '2024-02-10' }, y => { gte => '2025-03-01', lte => '2025-03-31' }, ip => { gte => '192.168.1.0', lt => '192.168.2.0' } },
        c => { d => { gte => 1704067200000, lte => '2024-01-01||+1d/d' }, ip => [ '2001:db8::/32', { gte => '10.1.0.0', lte => '10.1.255.255' } ] });
    is(found('d', { term => { d => '2024-01-31T23:59:59.999Z' } }), 'a', 'lte goes to the end of the day, gt begins behind it');
    is(found('d', { range => { d => { gte => '2024-02-01', lte => '2024-02-29' } } }), 'b', 'intersects');
    is(found('d', { range => { d => { gte => '2024-01-01', lte => '2024-01-02', relation => 'contains' } } }), 'a c', 'contains, date math');
    is(found('d', { range => { d => { gte => '2024-01-01||/M', lte => '2024-01-01||/M', relation => 'within' } } }), 'a c', 'within a month');
    is(found('d', { range => { y => { gte => '2024', lte => '2024', relation => 'within' } } }), 'a', 'format');
    is(found('d', { range => { d => { gte => '01/02/2024', lte => '05/02/2024', format => 'dd/MM/yyyy' } } }), 'b', 'format of the query');
    is(found('d', { range => { d => { gte => '2024-02-10T01:00:00', time_zone => '+02:00' } } }), 'b', 'time_zone');
    my $r = $node->post('/d/_search', { aggs => { m => { date_histogram => { field => 'd', calendar_interval => 'month' } }, n => { date_histogram => { field => 'y', calendar_interval => 'year', format => 'yyyy' } } },
        query => { term => { ip => '192.168.1.7' } }, fields => [ 'd', { field => 'y', format => 'MM/yyyy' }, 'ip' ] });
    is(join(' ', map { "$_->{key_as_string}=$_->{doc_count}" } @{$r->{json}{aggregations}{m}{buckets}}, @{$r->{json}{aggregations}{n}{buckets}}), '2024-02-01T00:00:00.000Z=1 2025=1', 'date_histogram');
    is_deeply($r->{json}{hits}{hits}[0]{fields}, { d => [ { gt => '2024-01-31T00:00:00.000Z', lt => '2024-02-10T00:00:00.000Z' } ], y => [ { gte => '03/2025', lte => '03/2025' } ], ip => [ { gte => '192.168.1.0', lt => '192.168.2.0' } ] }, 'fields') or diag $r->{content};
    is(found('d', { term => { ip => '10.1.2.3' } }), 'a c', 'an address');
    is(found('d', { term => { ip => '192.168.2.0' } }), '', 'the upper end is left out');
    is(found('d', { range => { ip => { gte => '10.1.0.0', lte => '10.1.0.255', relation => 'contains' } } }), 'a c', 'contains');
    is(found('d', { range => { ip => { gte => '10.0.0.0', lte => '11.0.0.0', relation => 'within' } } }), 'a c', 'within');
    is(found('d', { range => { ip => { gt => '2001:db8::1' } } }), 'c', 'open, of version 6');
    like(found('d', { range => { ip => { gte => '10.0.0.2', lte => '10.0.0.1' } } }), qr{Range query `from` value \(/10\.0\.0\.2\) is greater than `to` value \(/10\.0\.0\.1\)}, 'bounds the wrong way round');
    like(found('d', { term => { ip => '10.0.0' } }), qr/'10\.0\.0' is not an IP string literal/, 'no address');
    refused($node->post('/d/_search', { aggs => { t => { histogram => { field => 'ip', interval => 1 } } } }), qr/Expected numeric range type but found non-numeric range \[ip_range\]/, 'no histogram of addresses');
    is($node->post('/d/_search', { size => 0, aggs => { v => { value_count => { field => 'ip' } } } })->{json}{aggregations}{v}{value}, 4, 'value_count');
    my $bad = sub { refused($node->put('/d/_doc/bad', $_[0]), $_[1], $_[2]) };
    $bad->({ d => { gte => 'now' } }, qr/now is not used at indexing time/, 'now');
    $bad->({ d => { gte => 'x' } }, qr/failed to parse date field \[x\]/, 'no date');
    $bad->({ ip => '10.0.0.0/33' }, qr/Illegal prefix length \[33\] in \[10\.0\.0\.0\/33\]/, 'prefix length');
    $bad->({ ip => { gte => '10.0.0.2', lte => '10.0.0.1' } }, qr/min value cannot be greater than max value for InetAddressRange field/, 'ends the wrong way round');
    is_deeply($node->get('/d/_mapping')->{json}{d}{mappings}{properties}{y}, { type => 'date_range', format => 'yyyy-MM-dd||yyyy' }, 'mapping');
};

$node->stop;
done_testing();
