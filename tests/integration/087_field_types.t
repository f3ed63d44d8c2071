#!/usr/bin/perl
# 087_field_types.t: unsigned_long, binary, constant_keyword, token_count, date_nanos, alias, match_only_text and version over
# HTTP: documents, queries, sorting, aggregations, fields, and what they refuse.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
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

subtest 'binary holds bytes that nobody searches' => sub {
    is(create('b', { b => { type => 'binary', doc_values => \1 }, s => { type => 'binary', store => \1 }, n => { type => 'binary' } })->{status}, 200);
    is(fill('b', '{"b":"U29tZSBiaW5hcnkgYmxvYg=="}', '{"s":"AAEC","n":"?"}', '{"b":["AA==","/w=="]}', '{"n":"AA=="}'), '');
    my $r = $node->put('/b/_doc/x', '{"b":"U29$"}');
    is($r->{json}{error}{type}, 'document_parsing_exception');
    like($r->{content}, qr/Failed to decode VALUE_STRING as base64 \(MIME-NO-LINEFEEDS\): Illegal character '\$' \(code 0x24\)/);
    like($node->put('/b/_doc/x', '{"b":12}')->{content}, qr/Current token \(VALUE_NUMBER_INT\) not VALUE_STRING/);
    is(found('b', { exists => { field => 'b' } }), '1 3');
    is(found('b', { exists => { field => 's' } }), '2');
    is(found('b', { exists => { field => 'n' } }), '', 'nothing is kept of it');
    is(shard($node->post('/b/_search', { query => { term => { b => 'AA==' } } })), 'Binary fields do not support searching');
    is(shard($node->post('/b/_search', { query => { match => { b => 'AA==' } } })), 'Binary fields do not support searching');
    is(shard($node->post('/b/_search', { query => { range => { b => { gt => 'AA==' } } } })), 'failed to create query: Field [b] of type [binary] does not support range queries');
    like(shard($node->post('/b/_search', { query => { prefix => { b => 'AA' } } })), qr/^Can only use prefix queries on keyword, text and wildcard fields/);
    is(shard($node->post('/b/_search', { sort => ['b'] })), "can't sort on binary field");
    like(shard($node->post('/b/_search', { aggs => { t => { terms => { field => 'b' } } } })), qr/type \[binary\] is not supported for aggregation \[terms\]/);
    $r = $node->post('/b/_search', { query => { ids => { values => [ 1, 3 ] } }, sort => ['_doc'], docvalue_fields => ['b'], fields => ['b'], _source => \0,
        aggs => { c => { cardinality => { field => 'b' } }, v => { value_count => { field => 'b' } }, m => { missing => { field => 'b' } } } })->{json};
    is_deeply([ map { $_->{fields} } @{$r->{hits}{hits}} ], [ { b => ['U29tZSBiaW5hcnkgYmxvYg=='] }, { b => [ 'AA==', '/w==' ] } ]);
    is("$r->{aggregations}{c}{value} $r->{aggregations}{v}{value} $r->{aggregations}{m}{doc_count}", '3 3 0');
    is_deeply($node->post('/b/_search', { query => { exists => { field => 's' } }, stored_fields => ['s'] })->{json}{hits}{hits}[0]{fields}, { s => ['AAEC'] });
    my $caps = $node->get('/_field_caps?fields=b,s')->{json}{fields};
    ok(!$caps->{b}{binary}{searchable} && $caps->{b}{binary}{aggregatable} && !$caps->{s}{binary}{aggregatable});
};

subtest 'constant_keyword has one value' => sub {
    is(create('c', { c => { type => 'constant_keyword', value => 'Blue' }, d => { type => 'constant_keyword' }, t => { type => 'text',
        fields => { k => { type => 'constant_keyword' } } }, e => { type => 'constant_keyword' } })->{status}, 200);
    is(fill('c', '{"c":"Blue","d":"x"}', '{}', '{"d":["x","x"]}'), '');
    is($node->get('/c/_mapping')->{json}{c}{mappings}{properties}{d}{value}, 'x', 'the first document sets the value');
    my $r = $node->put('/c/_doc/x', '{"c":"red"}');
    is($r->{json}{error}{type}, 'document_parsing_exception');
    is(cause($r), '[constant_keyword] field [c] only accepts values that are equal to the value defined in the mappings [Blue], but got [red]');
    is(cause($node->put('/c/_doc/x', '{"c":null}')), "[constant_keyword] field [c] doesn't accept [null] values");
    is(cause($node->put('/c/_doc/x', '{"e":["a","b"]}')), '[constant_keyword] field [e] only accepts values that are equal to the value defined in the mappings [a], but got [b]');
    ok(!exists $node->get('/c/_mapping')->{json}{c}{mappings}{properties}{e}{value}, 'a refused document sets nothing');
    is(found('c', { term => { c => 'Blue' } }), '1 2 3', 'documents without the field have it');
    for ([ { terms => { c => [ 'red', 'Blue' ] } }, 1 ], [ { term => { c => 'blue' } }, 0 ], [ { term => { c => { value => 'blue', case_insensitive => \1 } } }, 1 ],
        [ { match => { c => 'Blue' } }, 1 ], [ { prefix => { c => 'Bl' } }, 1 ], [ { wildcard => { c => 'B*e' } }, 1 ], [ { wildcard => { c => 'R*' } }, 0 ],
        [ { regexp => { c => 'B[lm]ue' } }, 1 ], [ { regexp => { c => 'B' } }, 0 ], [ { fuzzy => { c => 'Glue' } }, 1 ], [ { fuzzy => { c => 'Gluten' } }, 0 ],
        [ { range => { c => { gte => 'Blue', lt => 'C' } } }, 1 ], [ { range => { c => { gt => 'Blue' } } }, 0 ], [ { exists => { field => 'c' } }, 1 ],
        [ { exists => { field => 'e' } }, 0 ], [ { term => { e => 'a' } }, 0 ], [ { query_string => { query => 'c:Bl*' } }, 1 ]) {
        is(found('c', $_->[0]), $_->[1] ? '1 2 3' : '', $json->encode($_->[0]));
    }
    is($node->post('/c/_search', { query => { term => { c => 'Blue' } } })->{json}{hits}{max_score}, 1);
    $r = $node->post('/c/_search', { sort => ['c'], fields => [ 'c', 'e' ], docvalue_fields => ['d'], aggs => { t => { terms => { field => 'c' } },
        n => { cardinality => { field => 'c' } }, v => { value_count => { field => 'c' } }, m => { missing => { field => 'c' } }, e => { missing => { field => 'e' } } } })->{json};
    is_deeply($r->{aggregations}{t}{buckets}, [ { key => 'Blue', doc_count => 3 } ]);
    is(join(' ', map { $r->{aggregations}{$_}{value} } qw(n v)), '1 3');
    is(join(' ', map { $r->{aggregations}{$_}{doc_count} } qw(m e)), '0 3');
    is_deeply($r->{hits}{hits}[1]{fields}, { c => ['Blue'], d => ['x'] });
    is_deeply($r->{hits}{hits}[1]{sort}, ['Blue']);
    is(cause($node->put('/c/_mapping', { properties => { c => { type => 'constant_keyword', value => 'red' } } })),
        "Mapper for [c] conflicts with existing mapper:\n\tCannot update parameter [value] from [Blue] to [red]");
    is($node->put('/c/_mapping', { properties => { e => { type => 'constant_keyword', value => 'late' } } })->{status}, 200);
    is(found('c', { term => { e => 'late' } }), '1 2 3');
    is($node->put('/c/_doc/4?refresh=true', '{"t":"in a multi-field"}')->{status}, 201);
    is($node->get('/c/_mapping')->{json}{c}{mappings}{properties}{t}{fields}{k}{value}, 'in a multi-field');
    create('ct', {}, dynamic_templates => [ { k => { match_mapping_type => 'string', mapping => { type => 'constant_keyword' } } } ]);
    is($node->put('/ct/_doc/1?refresh=true', '{"a":"v","o":{"b":"w"}}')->{status}, 201);
    is(found('ct', { bool => { filter => [ { term => { a => 'v' } }, { term => { 'o.b' => 'w' } } ] } }), '1', 'a dynamic template maps to it');
    is($node->get('/_field_caps?fields=c')->{json}{fields}{c}{constant_keyword}{searchable}, 1);
};

subtest 'token_count counts words' => sub {
    is(create('n', { t => { type => 'text', fields => { length => { type => 'token_count', analyzer => 'standard' },
        stop => { type => 'token_count', analyzer => 'stop', store => \1 }, bare => { type => 'token_count', analyzer => 'stop', enable_position_increments => \0 } } },
        n => { type => 'token_count', analyzer => 'whitespace', null_value => 7 }, c => { type => 'keyword', copy_to => 'n' } })->{status}, 200);
    is(fill('n', '{"t":"the quick brown fox","n":null}', '{"t":["a b","c"],"n":"one two"}', '{"t":"","c":"x y z"}'), '');
    is(found('n', { term => { 't.length' => 4 } }), '1');
    is(found('n', { range => { 't.length' => { gte => 1, lt => 3 } } }), '2');
    is(found('n', { term => { 't.length' => 0 } }), '3');
    is(found('n', { term => { 't.stop' => 4 } }), '1', 'with holes');
    is(found('n', { term => { 't.bare' => 3 } }), '1', 'without');
    is(found('n', { terms => { n => [ 7, 3 ] } }), '1 3', 'null_value and copy_to');
    my $r = $node->post('/n/_search', { sort => [ { 't.length' => 'desc' } ], fields => [ 't.length', 'n' ], docvalue_fields => ['n'], aggs => { s => { stats => { field => 't.length' } },
        t => { terms => { field => 'n' } } } })->{json};
    is(join(' ', map { $_->{sort}[0] } @{$r->{hits}{hits}}), '4 2 0');
    is_deeply($r->{hits}{hits}[0]{fields}{'t.length'}, [4]);
    is("$r->{aggregations}{s}{sum} $r->{aggregations}{s}{count}", '7 4');
    like(cause(create('bad', { t => { type => 'token_count' } })), qr/Analyzer must be set for field \[t\] but wasn't\./);
    like(cause(create('bad', { t => { type => 'token_count', analyzer => 'none' } })), qr/analyzer \[none\] has not been configured in mappings/);
};

subtest 'date_nanos keeps nine digits' => sub {
    is(create('dn', { d => { type => 'date_nanos' }, e => { type => 'date_nanos', format => 'epoch_millis', ignore_malformed => \1 },
        n => { type => 'date_nanos', null_value => '2000-01-01' }, s => { type => 'date_nanos', store => \1 } })->{status}, 200);
    is(fill('dn', '{"d":"2018-10-29T12:12:12.123456789Z"}', '{"d":"2018-10-29T12:12:12.987Z","e":1540815132987.654321}', '{"d":["1970-01-01","2262-04-11T23:47:16.854775807Z"]}',
        '{"d":1540815132987,"n":null}', '{"e":"x"}'), '');
    is(cause($node->put('/dn/_doc/x', '{"d":"1969-12-31T23:59:59Z"}')), 'date[1969-12-31T23:59:59.000Z] is before the epoch in 1970 and cannot be stored in nanosecond resolution');
    is(cause($node->put('/dn/_doc/x', '{"d":-1}')), 'date[1969-12-31T23:59:59.999Z] is before the epoch in 1970 and cannot be stored in nanosecond resolution');
    is(cause($node->put('/dn/_doc/x', '{"d":"2262-04-12"}')),
        'date[2262-04-12T00:00:00.000Z] is after 2262-04-11T23:47:16.854775807 and cannot be stored in nanosecond resolution');
    like($node->put('/dn/_doc/x', '{"d":"no"}')->{content}, qr/failed to parse date field \[no\] with format \[strict_date_optional_time_nanos\|\|epoch_millis\]/);
    is(found('dn', { term => { d => '2018-10-29T12:12:12.123456789Z' } }), '1');
    is(found('dn', { range => { d => { gt => '2018-10-29T12:12:12.123456788Z', lt => '2018-10-29T12:12:12.123456790Z' } } }), '1');
    is(found('dn', { range => { d => { gt => '2018-10-29T12:12:12.123456789Z', lt => '2019' } } }), '2 4');
    is(found('dn', { range => { d => { gte => '2018-10-29||/d', lte => '2018-10-29||/d' } } }), '1 2 4');
    is(found('dn', { range => { d => { gte => '1900', lte => '2500' } } }), '1 2 3 4', 'bounds beyond the range are the ends of it');
    is(found('dn', { exists => { field => 'e' } }), '2');
    is(found('dn', { term => { n => '2000-01-01' } }), '4', 'null_value');
    my $r = raw('/dn/_search', { query => { ids => { values => [ 1, 2 ] } }, sort => [ { d => 'asc' } ], fields => [ 'd', 'e' ], _source => \0,
        docvalue_fields => [ 'e', { field => 's' } ] });
    like($r, qr/"d":\["2018-10-29T12:12:12.123456789Z"\].*"sort":\[1540815132123456789\].*"d":\["2018-10-29T12:12:12.987Z"\].*"sort":\[1540815132987000000\]/s);
    like($r, qr/"e":\["1540815132987.654321"\]/);
    like(raw('/dn/_search', '{"docvalue_fields":[{"field":"d","format":"uuuu SSSSSSSSS"}],"query":{"ids":{"values":[1]}}}'), qr/"2018 123456789"/);
    like(raw('/dn/_search', '{"sort":[{"d":"asc"}],"search_after":[1540815132123456789],"size":1,"query":{"range":{"d":{"gte":"2018","lt":"2019"}}}}'), qr/"sort":\[1540815132987000000\]/);
    like(raw('/dn/_search', '{"sort":[{"d":{"order":"asc","format":"strict_date_optional_time_nanos"}}],"query":{"ids":{"values":[1]}}}'), qr/"sort":\["2018-10-29T12:12:12.123456789Z"\]/);
    $r = $node->post('/dn/_search', { size => 0, query => { range => { d => { gte => '2018', lt => '2019' } } }, aggs => {
        h => { date_histogram => { field => 'd', calendar_interval => 'day' } }, f => { date_histogram => { field => 'd', fixed_interval => '500ms' } }, x => { max => { field => 'd' } },
        t => { terms => { field => 'd' } }, c => { cardinality => { field => 'd' } }, r => { date_range => { field => 'd', ranges => [ { from => '2018-10-29T12:12:12.5Z' } ] } } } })->{json}{aggregations};
    is_deeply($r->{h}{buckets}, [ { key => 1540771200000, key_as_string => '2018-10-29T00:00:00.000Z', doc_count => 3 } ]);
    is(join(' ', map { "$_->{key}:$_->{doc_count}" } @{$r->{f}{buckets}}), '1540815132000:1 1540815132500:2');
    is("$r->{x}{value} $r->{x}{value_as_string}", '1540815132987 2018-10-29T12:12:12.987Z');
    is(join(' ', map { "$_->{key_as_string}:$_->{doc_count}" } @{$r->{t}{buckets}}), '2018-10-29T12:12:12.987Z:2 2018-10-29T12:12:12.123Z:1');
    is("$r->{c}{value} $r->{r}{buckets}[0]{doc_count}", '2 2');
    is($node->get('/_field_caps?fields=d')->{json}{fields}{d}{date_nanos}{aggregatable}, 1);
    is(shard($node->post('/dn/_search', { sort => [ { d => { numeric_type => 'date' } } ] })), '[numeric_type] [date] is not supported on field [d] of type [date_nanos]');
    is($node->post('/dn/_search', { sort => [ { d => { numeric_type => 'date_nanos' } } ] })->{status}, 200);
    like(cause(create('bad', { d => { type => 'date_nanos', format => 'none' } })), qr/Invalid format: \[none\]/);
};

subtest 'alias is another name of a field' => sub {
    is(create('a', { d => { type => 'double' }, t => { type => 'text' }, o => { properties => { k => { type => 'keyword' }, other => { type => 'alias', path => 'd' } } },
        ad => { type => 'alias', path => 'd' }, at => { type => 'alias', path => 't' }, ak => { type => 'alias', path => 'o.k' }, c => { type => 'keyword' } })->{status}, 200);
    is(fill('a', '{"d":1.5,"t":"quick fox","o":{"k":"x"}}', '{"d":2.5,"t":"slow fox","o":{"k":"y"}}'), '');
    is(found('a', { range => { ad => { gt => 2 } } }), '2');
    is(found('a', { match => { at => 'quick' } }), '1');
    is(found('a', { match_phrase => { at => 'slow fox' } }), '2');
    is(found('a', { exists => { field => 'ak' } }), '1 2');
    is(found('a', { query_string => { query => 'at:quick OR ak:y' } }), '1 2');
    is(found('a', { multi_match => { query => 'quick', fields => ['a*'], lenient => \1 } }), '1');
    my $r = $node->post('/a/_search', { query => { match => { at => 'fox' } }, sort => [ { ad => 'desc' } ], fields => [ 'ad', 'o.*' ], docvalue_fields => ['ak'],
        highlight => { fields => { at => {} } }, aggs => { k => { terms => { field => 'ak' } }, s => { sum => { field => 'o.other' } } } })->{json};
    is(ids({ json => $r }), '2 1');
    is_deeply($r->{hits}{hits}[0]{fields}, { ad => [2.5], 'o.k' => ['y'], 'o.other' => [2.5], ak => ['y'] });
    is_deeply($r->{hits}{hits}[0]{highlight}, { at => ['slow <em>fox</em>'] });
    is(join(' ', map { $_->{key} } @{$r->{aggregations}{k}{buckets}}), 'x y');
    is($r->{aggregations}{s}{value}, 4);
    is_deeply([ sort keys %{$node->get('/a/_field_caps?fields=ad')->{json}{fields}{ad}} ], ['double'], 'the type of its target');
    is_deeply($node->get('/a/_mapping/field/ad')->{json}{a}{mappings}{ad}, { full_name => 'ad', mapping => { ad => { type => 'alias', path => 'd' } } });
    $r = $node->put('/a/_doc/x', '{"ad":1}');
    is($r->{json}{error}{type}, 'document_parsing_exception');
    is(cause($r), 'Cannot write to a field alias [ad].');
    is($node->put('/a/_mapping', { properties => { c => { type => 'keyword', copy_to => 'ak' } } })->{status}, 200);
    is(cause($node->put('/a/_doc/x', '{"c":"v"}')), 'Cannot copy to a field alias [ak].');
    for ([ 'self', 'self', 'an alias cannot refer to itself.' ], [ 'self', 'ad', 'an alias cannot refer to another alias.' ],
        [ 'self', 'none', 'an alias must refer to an existing field in the mappings.' ], [ 'self', 'o', 'an alias must refer to an existing field in the mappings.' ]) {
        $r = $node->put('/a/_mapping', { properties => { $_->[0] => { type => 'alias', path => $_->[1] } } });
        is(cause($r), "Invalid [path] value [$_->[1]] for field alias [$_->[0]]: $_->[2]");
    }
    like(cause(create('bad', { x => { type => 'alias' } })), qr/The \[path\] property must be specified for field \[x\]\./);
    is($node->put('/a/_mapping', { properties => { ad => { type => 'alias', path => 't' } } })->{status}, 200, 'the path may change');
    is(cause($node->put('/a/_mapping', { properties => { ad => { type => 'long' } } })),
        'Cannot merge a field alias mapping [ad] with a mapping that is not for a field alias.');
};

subtest 'match_only_text finds words in the index and phrases in the source' => sub {
    is(create('m', { t => { type => 'match_only_text', fields => { k => { type => 'keyword' } } }, k => { type => 'keyword', copy_to => 'c', fields => { m => { type => 'match_only_text' } } },
        c => { type => 'match_only_text' }, o => { properties => { t => { type => 'match_only_text' } } } })->{status}, 200);
    is(fill('m', '{"t":"the quick brown fox jumps"}', '{"t":"the brown quick fox","k":"some red words"}', '{"t":["quick","brown dog dog dog"],"o":[{"t":"one two"},{"t":"three"}]}',
        '{"o.t":"two one"}', '{"c":["red","words here"],"o":{"t":"three one two"}}'), '');
    my $r = $node->post('/m/_search', { query => { match => { t => 'dog fox quick' } }, sort => [ '_score', '_doc' ] });
    is(join(' ', map { "$_->{_id}:$_->{_score}" } @{$r->{json}{hits}{hits}}), '1:2 2:2 3:2', 'each word scores 1, however often it stands there');
    is($node->post('/m/_search', { query => { fuzzy => { t => 'qiuck' } } })->{json}{hits}{max_score}, 1);
    is($node->post('/m/_search', { query => { match_phrase => { t => { query => 'quick brown', boost => 3 } } } })->{json}{hits}{max_score}, 3);
    for ([ { match_phrase => { t => 'quick brown' } }, '1' ], [ { match_phrase => { t => 'brown quick' } }, '2' ], [ { match_phrase => { t => { query => 'quick fox', slop => 1 } } }, '1 2' ],
        [ { match_phrase => { t => { query => 'quick brown', slop => 1 } } }, '1' ], [ { match_phrase => { t => { query => 'quick brown', slop => 2 } } }, '1 2' ],
        [ { match_phrase => { t => { query => 'quick brown', slop => 100 } } }, '1 2 3' ], [ { match_phrase => { t => 'dog dog dog' } }, '3' ], [ { match_phrase => { t => 'dog dog dog dog' } }, '' ],
        [ { match_phrase_prefix => { t => 'quick bro' } }, '1' ], [ { match_phrase_prefix => { t => 'jum' } }, '1' ], [ { match_phrase => { 'o.t' => 'one two' } }, '3 5' ],
        [ { match_phrase => { c => 'red words' } }, '2' ], [ { match_phrase => { 'k.m' => 'some red' } }, '2' ], [ { query_string => { query => 't:"brown fox"' } }, '1' ],
        [ { multi_match => { query => 'one two', type => 'phrase', fields => [ 'o.t', 't' ] } }, '3 5' ], [ { prefix => { t => 'bro' } }, '1 2 3' ], [ { wildcard => { t => 'f?x' } }, '1 2' ],
        [ { regexp => { t => 'jum.*' } }, '1' ], [ { terms => { t => [ 'jumps', 'dog' ] } }, '1 3' ], [ { exists => { field => 't' } }, '1 2 3' ], [ { term => { t => 'fox' } }, '1 2' ],
        [ { bool => { must => { match => { t => 'quick' } }, must_not => { match_phrase => { t => 'quick brown' } } } }, '2 3' ], [ { range => { t => { gte => 'jum', lt => 'k' } } }, '1' ]) {
        is(found('m', $_->[0]), $_->[1], $json->encode($_->[0]));
    }
    $r = $node->post('/m/_search', { query => { match_phrase => { t => 'quick brown' } }, highlight => { fields => { t => {} } }, fields => ['t'] })->{json}{hits}{hits}[0];
    is_deeply($r->{highlight}{t}, ['the <em>quick</em> <em>brown</em> fox jumps']);
    is_deeply($r->{fields}{t}, ['the quick brown fox jumps']);
    is(shard($node->post('/m/_search', { sort => ['t'] })), 'match_only_text fields do not support sorting and aggregations');
    is(shard($node->post('/m/_search', { aggs => { t => { terms => { field => 't' } } } })), 'match_only_text fields do not support sorting and aggregations');
    is($node->get('/_field_caps?fields=t')->{json}{fields}{t}{match_only_text}{searchable}, 1);
    like(cause(create('bad', { t => { type => 'match_only_text', norms => \1 } })), qr/unknown parameter \[norms\] on mapper \[t\] of type \[match_only_text\]/);
    create('ms', { t => { type => 'match_only_text' } }, _source => { enabled => \0 });
    is(fill('ms', '{"t":"a b"}'), '');
    like(shard($node->post('/ms/_search', { query => { match_phrase => { t => 'a b' } } })),
        qr/Field \[t\] of type \[match_only_text\] cannot run positional queries since \[_source\] is disabled\./);
    create('mb', { t => { type => 'match_only_text' } }, dynamic => 'strict');
    is(fill('mb', map { $_ % 2 ? '{"t":"left right"}' : '{"t":"right left"}' } 1 .. 3000), '');
    is($node->post('/mb/_count', { query => { match_phrase => { t => 'left right' } } })->{json}{count}, 1500, 'many candidates');
};

subtest 'version orders as semantic versioning does' => sub {
    is(create('v', { v => { type => 'version' }, k => { type => 'keyword', fields => { v => { type => 'version' } } } })->{status}, 200);
    my @v = ('1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-alpha.beta', '1.0.0-beta.2', '1.0.0-beta.11', '1.0.0-rc.1', '1.0.0', '1.0.0+build.5', '1.2', '1.2.0', '1.10.3', '2.0.0-SNAPSHOT', '11.0.1',
        '1.02', 'banana', 'v1.0.0');
    is(fill('v', map { qq({"v":"$_"}) } reverse @v), '');
    my $all = sub { join ' ', map { $_->{sort}[0] } @{$node->post('/v/_search', { size => 100, sort => [ { v => $_[0] || 'asc' } ], query => $_[1] || { match_all => {} } })->{json}{hits}{hits}} };
    is($all->(), "@v", 'pre-releases before, builds behind, numbers as numbers, others at the end');
    is($all->('desc'), join(' ', reverse @v));
    is($all->(undef, { range => { v => { gte => '1.0.0', lt => '1.2.0' } } }), '1.0.0 1.0.0+build.5 1.2');
    is($all->(undef, { range => { v => { gt => '1.0.0', lte => '1.10.3' } } }), '1.0.0+build.5 1.2 1.2.0 1.10.3');
    is($all->(undef, { range => { v => { gte => '1.0.0-beta', lt => '1.0.0' } } }), '1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1');
    is($all->(undef, { range => { v => { gt => '11.0.1' } } }), '1.02 banana v1.0.0');
    is($all->(undef, { term => { v => '1.2' } }), '1.2');
    is($all->(undef, { terms => { v => [ '1.2.0', 'banana', 'none' ] } }), '1.2.0 banana');
    is($all->(undef, { prefix => { v => '1.0.0-b' } }), '1.0.0-beta.2 1.0.0-beta.11');
    is($all->(undef, { wildcard => { v => '*.0.*-*' } }), '1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 2.0.0-SNAPSHOT');
    is($all->(undef, { wildcard => { v => { value => '2.*snapshot', case_insensitive => \1 } } }), '2.0.0-SNAPSHOT');
    is($all->(undef, { regexp => { v => '1\\.[0-9]+' } }), '1.2 1.02');
    is($all->(undef, { fuzzy => { v => 'bananas' } }), 'banana');
    is($all->(undef, { match => { v => '11.0.1' } }), '11.0.1');
    is($all->(undef, { query_string => { query => 'v:[1.2 TO 2.0.0]' } }), '1.2 1.2.0 1.10.3 2.0.0-SNAPSHOT');
    my $r = $node->post('/v/_search', { size => 2, sort => ['v'], search_after => ['1.0.0-rc.1'], fields => ['v'], docvalue_fields => ['v'], _source => \0 })->{json}{hits}{hits};
    is_deeply([ map { $_->{fields}{v} } @$r ], [ ['1.0.0'], ['1.0.0+build.5'] ]);
    $r = $node->post('/v/_search', { size => 0, aggs => { t => { terms => { field => 'v', size => 3, order => { _key => 'desc' } } }, c => { cardinality => { field => 'v' } },
        n => { value_count => { field => 'v' } }, i => { terms => { field => 'v', include => '1\\.0\\.0', exclude => ['x'] } }, l => { terms => { field => 'v', include => [ '1.2', '11.0.1' ] } },
        m => { terms => { field => 'k.v', missing => '3.0.0' } }, p => { composite => { size => 2, sources => [ { v => { terms => { field => 'v' } } } ], after => { v => '1.0.0' } } } } })->{json}{aggregations};
    is(join(' ', map { $_->{key} } @{$r->{t}{buckets}}), 'v1.0.0 banana 1.02');
    is_deeply([ $r->{c}, $r->{n} ], [ { value => 16 }, { value => 16 } ]);
    is(join(' ', map { $_->{key} } @{$r->{i}{buckets}}), '1.0.0');
    is(join(' ', map { $_->{key} } @{$r->{l}{buckets}}), '1.2 11.0.1');
    is(join(' ', map { "$_->{key}:$_->{doc_count}" } @{$r->{m}{buckets}}), '3.0.0:16');
    is(join(' ', map { $_->{key}{v} } @{$r->{p}{buckets}}), '1.0.0+build.5 1.2');
    is($r->{p}{after_key}{v}, '1.2');
    is($node->put('/v/_doc/k?refresh=true', '{"k":"4.5.6","v":["3.0.0","2.9.0"]}')->{status}, 201);
    is(found('v', { range => { 'k.v' => { gte => '4.5', lt => '4.10' } } }), 'k', 'a multi-field');
    is_deeply($node->post('/v/_search', { query => { term => { v => '2.9.0' } }, docvalue_fields => ['v'] })->{json}{hits}{hits}[0]{fields}{v}, [ '2.9.0', '3.0.0' ]);
    like(cause($node->put('/v/_doc/x', '{"v":{"a":1}}')), qr/^Can't get text on a START_OBJECT/);
    like(cause(create('bad', { v => { type => 'version', store => \1 } })), qr/unknown parameter \[store\] on mapper \[v\] of type \[version\]/);
    is($node->get('/_field_caps?fields=v')->{json}{fields}{v}{version}{aggregatable}, 1);
    $node->post('/v/_forcemerge?max_num_segments=1');
    is($all->(undef, { range => { v => { gte => '2.9', lt => '3.1' } } }), '2.9.0', 'after a merge');
};

subtest 'dynamic templates map to the types' => sub {
    my $n = 0;
    my @of = ([ long => 'unsigned_long' ], [ date => 'date_nanos' ], [ string => 'version', 'v*' ], [ string => 'match_only_text', 't*' ], [ string => 'binary', 'b*' ]);
    is(create('dt', {}, dynamic_templates => [ map { { 'n' . $n++ => { match_mapping_type => $_->[0], $_->[2] ? (match => $_->[2]) : (), mapping => { type => $_->[1] } } } } @of ])->{status}, 200);
    is($node->put('/dt/_doc/1', '{"n":5,"d":"2020-01-01","v1":"1.0","t1":"a b","b1":"AA=="}')->{status}, 201);
    my $p = $node->get('/dt/_mapping')->{json}{dt}{mappings}{properties};
    is(join(' ', map { "$_=$p->{$_}{type}" } sort keys %$p), 'b1=binary d=date_nanos n=unsigned_long t1=match_only_text v1=version');
};

subtest 'index.mapping.ignore_malformed reaches numbers and dates alone' => sub {
    $node->put('/im', { settings => { 'index.mapping.ignore_malformed' => \1 }, mappings => { properties => { u => { type => 'unsigned_long' }, d => { type => 'date_nanos' },
        c => { type => 'constant_keyword', value => 'x' }, a => { type => 'alias', path => 'u' } } } });
    is($node->put('/im/_doc/1?refresh=true', '{"u":"x","d":"1960"}')->{status}, 201);
    is(found('im', { terms => { _ignored => [ 'u' ] } }), '1');
    is($node->put('/im/_doc/2', '{"c":"y"}')->{status}, 400);
    is($node->put('/im/_doc/2', '{"a":1}')->{status}, 400);
};

subtest 'explanations and validation name what runs' => sub {
    like(raw('/m/_validate/query?explain=true', { query => { match_phrase => { t => 'quick brown' } } }), qr/SourcePhrase\(t:\\"quick brown\\"\)/);
    is($node->post('/m/_explain/1', { query => { match_phrase => { t => 'quick brown' } } })->{json}{explanation}{value}, 1);
    like(raw('/v/_validate/query?explain=true', { query => { range => { v => { gte => '1.2', lt => '2' } } } }), qr/v:\[1\.2 TO 2[\]}]/);
};

subtest 'shards on several nodes agree' => sub {
    my $c = QdCluster->new('types', nodes => 2);
    $c->start;
    my $first = $c->node(0);
    is($first->put('/x', { settings => { number_of_shards => 4, number_of_replicas => 1 }, mappings => { properties => { u => { type => 'unsigned_long' }, v => { type => 'version' },
        d => { type => 'date_nanos' }, c => { type => 'constant_keyword' }, m => { type => 'match_only_text' }, a => { type => 'alias', path => 'u' } } } })->{status}, 200);
    is($first->post('/x/_bulk?refresh=true', join '', map { qq({"index":{"_id":"$_"}}\n)
        . qq({"u":"1844674407370955161$_","v":"1.$_.0","d":"2020-01-01T00:00:00.00000000${_}Z","c":"x","m":"quick brown $_"}\n) } 0 .. 5)->{json}{errors}, 0);
    $c->wait_status('green');
    like($first->get('/x/_mapping')->{content}, qr/"value":"x"/, 'the shards had one first document');
    for my $n ($c->nodes) {
        my $r = $n->post('/x/_search', { query => { match_phrase => { m => 'quick brown' } }, sort => [ { a => 'desc' }, 'v', 'd', 'c' ], _source => \0, aggs => {
            t => { terms => { field => 'a', order => { _key => 'desc' } } }, v => { terms => { field => 'v', order => { _key => 'desc' } } },
            d => { date_histogram => { field => 'd', calendar_interval => 'day' } }, c => { terms => { field => 'c' } } } })->{content};
        like($r, qr/"sort":\[18446744073709551615,"1\.5\.0",1577836800000000005,"x"\].*"sort":\[18446744073709551614,"1\.4\.0"/);
        like($r, qr/"t":\{[^[]*\[\{"key":18446744073709551615,"doc_count":1\},\{"key":18446744073709551614/);
        like($r, qr/"v":\{[^[]*\[\{"key":"1\.5\.0","doc_count":1\},\{"key":"1\.4\.0"/);
        like($r, qr/"key":1577836800000,"doc_count":6/);
        like($r, qr/"key":"x","doc_count":6/);
    }
    $_->stop for reverse $c->nodes;
};

done_testing();
