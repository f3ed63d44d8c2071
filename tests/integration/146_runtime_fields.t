#!/usr/bin/perl
# 146_runtime_fields.t: fields that scripts make when a search asks for them: in mappings and in requests; queries,
# sorts, aggregations, fields, scripts over them, and what is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('runtime');
$node->start;
sub search { $node->post("/$_[0]/_search", $_[1]) }
sub ids { my $r = search(@_); $r->{status} == 200 ? [ map { $_->{_id} } @{ $r->{json}{hits}{hits} } ] : $r->{content} }
sub sorted { my $r = ids(@_); ref $r ? [ sort @$r ] : $r }
sub error { my $r = search(@_); $r->{json}{error} // {} }
my @days = qw(monday tuesday wednesday thursday friday saturday sunday);

ok($node->put('/m', { mappings => {
    runtime => {
        day => { type => 'keyword', script => "emit(doc['t'].value.dayOfWeekEnum.toString().toLowerCase())" },
        twice => { type => 'long', script => { source => 'emit(doc["n"].value * params.by)', params => { by => 2 } } },
        half => { type => 'double', script => "emit(doc['n'].value / 2.0)" },
        big => { type => 'boolean', script => "emit(doc['n'].value > 3)" },
        next => { type => 'date', script => "emit(doc['t'].value.toInstant().toEpochMilli() + 86400000L)", format => 'yyyy-MM-dd' },
        addr => { type => 'ip', script => "emit('10.0.0.' + doc['n'].value)" },
        place => { type => 'geo_point', script => "emit(doc['n'].value, -doc['n'].value)" },
        parts => { type => 'composite', script => "emit(['first': doc['k'].value.substring(0, 1), 'len': doc['k'].value.length()]); emit('first', 'z')",
            fields => { first => { type => 'keyword' }, len => { type => 'long' } } },
        'o.raw' => { type => 'keyword' },
        four => { type => 'long', script => "emit(doc['twice'].value * 2)" },
        some => { type => 'long', script => "if (doc['n'].value % 2 == 0) { emit(doc['n'].value); emit(100) }" },
    },
    properties => { t => { type => 'date' }, n => { type => 'long' }, k => { type => 'keyword' }, o => { type => 'object', enabled => JSON::PP::false } } } })->{json}{acknowledged}, 'a mapping has runtime fields');
for my $i (1 .. 7) {
    $node->put("/m/_doc/$i" . ($i % 3 ? '' : '?refresh=true'), { t => sprintf('2024-01-%02dT10:00:00Z', $i), n => $i, k => $days[ $i - 1 ], o => { raw => [ "r$i", 'all' ] } });
}
$node->post('/m/_refresh');

subtest 'queries' => sub {
    my $q = sub { sorted('m', { query => $_[0], size => 20 }) };
    is_deeply($q->({ term => { day => 'monday' } }), [1], 'term of a keyword');
    is_deeply($q->({ terms => { day => [ 'monday', 'sunday', 'none' ] } }), [ 1, 7 ], 'terms');
    is_deeply($q->({ match => { day => 'friday' } }), [5], 'match');
    is_deeply($q->({ prefix => { day => 't' } }), [ 2, 4 ], 'prefix');
    is_deeply($q->({ wildcard => { day => '*urs*' } }), [4], 'wildcard');
    is_deeply($q->({ regexp => { day => 's.*day' } }), [ 6, 7 ], 'regexp');
    is_deeply($q->({ fuzzy => { day => 'mondai' } }), [1], 'fuzzy');
    is_deeply($q->({ term => { day => { value => 'MONDAY', case_insensitive => JSON::PP::true } } }), [1], 'case-insensitive');
    is_deeply($q->({ range => { day => { gte => 'sunday', lte => 'thursday' } } }), [ 4, 7 ], 'range of keywords');
    is_deeply($q->({ range => { twice => { gt => 8, lt => 14 } } }), [ 5, 6 ], 'range of longs');
    is_deeply($q->({ term => { half => 1.5 } }), [3], 'term of a double');
    is_deeply($q->({ term => { big => 'true' } }), [ 4, 5, 6, 7 ], 'term of a boolean');
    is_deeply($q->({ range => { next => { gte => '2024-01-07' } } }), [ 6, 7 ], 'range of dates');
    is_deeply($q->({ term => { addr => '10.0.0.0/30' } }), [ 1, 2, 3 ], 'addresses');
    is_deeply($q->({ exists => { field => 'some' } }), [ 2, 4, 6 ], 'exists');
    is_deeply($q->({ term => { 'parts.first' => 'm' } }), [1], 'a field of a composite');
    is_deeply($q->({ range => { 'parts.len' => { gte => 9 } } }), [3], 'another');
    is_deeply($q->({ term => { 'o.raw' => 'r3' } }), [3], 'out of the source');
    is_deeply($q->({ term => { four => 12 } }), [3], 'of another runtime field');
    is_deeply($q->({ geo_distance => { distance => '10km', place => { lat => 3, lon => -3 } } }), [3], 'a distance');
    is_deeply($q->({ query_string => { query => 'day:s* OR twice:2' } }), [ 1, 6, 7 ], 'query_string');
    is_deeply($q->({ bool => { must_not => [ { term => { day => 'monday' } } ], filter => [ { range => { n => { lt => 4 } } } ] } }), [ 2, 3 ], 'in a bool');
    is($node->post('/m/_count', { query => { term => { big => JSON::PP::true } } })->{json}{count}, 4, '_count');
    ok($node->get('/m/_explain/1', { query => { term => { day => 'monday' } } })->{json}{matched}, '_explain');
    is_deeply($q->({ script => { script => "doc['day'].value == 'sunday'" } }), [7], 'a script reads one');
    is_deeply($q->({ script => { script => { source => "doc[params.f].size() == 2", params => { f => 'some' } } } }), [ 2, 4, 6 ], 'named at run time');
};

subtest 'sort, aggregations, fields' => sub {
    is_deeply(ids('m', { sort => [ { day => 'asc' } ], size => 3 }), [ 5, 1, 6 ], 'sort of keywords');
    is_deeply(ids('m', { sort => [ { twice => 'desc' } ], size => 2 }), [ 7, 6 ], 'of numbers');
    is_deeply(ids('m', { sort => [ { some => { order => 'desc', missing => '_last', mode => 'min' } } ], size => 3 }), [ 6, 4, 2 ], 'with missing values');
    my $a = search('m', { size => 0, aggs => { d => { terms => { field => 'day', size => 2, order => { _key => 'asc' } }, aggs => { s => { sum => { field => 'twice' } } } },
        h => { avg => { field => 'half' } }, m => { date_histogram => { field => 'next', calendar_interval => 'month' } }, c => { cardinality => { field => 'parts.first' } } } })->{json}{aggregations};
    is_deeply([ map { [ $_->{key}, $_->{doc_count}, $_->{s}{value} ] } @{ $a->{d}{buckets} } ], [ [ 'friday', 1, 10 ], [ 'monday', 1, 2 ] ], 'terms with a sum');
    is($a->{h}{value}, 2, 'avg');
    is($a->{m}{buckets}[0]{doc_count}, 7, 'date_histogram');
    is($a->{c}{value}, 6, 'cardinality');
    my $h = search('m', { query => { ids => { values => [2] } }, fields => [ 'day', 'twice', 'big', { field => 'next' }, 'addr', 'place', 'parts.*', 'o.raw', 'some' ], docvalue_fields => ['half', { field => 'next', format => 'yyyy' } ], _source => JSON::PP::false })->{json}{hits}{hits}[0]{fields};
    is_deeply($h->{day}, ['tuesday'], 'fields: keyword');
    is_deeply($h->{twice}, [4], 'long');
    is_deeply($h->{next}, ['2024-01-03'], 'date in its format');
    is_deeply($h->{addr}, ['10.0.0.2'], 'ip');
    is($h->{place}[0]{type}, 'Point', 'geo_point');
    is_deeply($h->{'parts.first'}, [ 't', 'z' ], 'composite');
    is_deeply($h->{'o.raw'}, [ 'all', 'r2' ], 'source');
    is_deeply($h->{some}, [ 2, 100 ], 'several values');
    is_deeply($h->{half}, [1], 'docvalue_fields');
    my $all = search('m', { query => { ids => { values => [3] } }, fields => ['*'] })->{json}{hits}{hits}[0]{fields};
    is_deeply([ $all->{day}, $all->{n}, $all->{four} ], [ ['wednesday'], [3], [12] ], 'a pattern names all');
    is_deeply(search('m', { query => { ids => { values => [3] } }, script_fields => { x => { script => "doc['day'].value + doc['half'].value" } } })->{json}{hits}{hits}[0]{fields}{x}, ['wednesday1.5'], 'script_fields');
    is($node->get('/m/_field_caps?fields=day,parts.len')->{json}{fields}{day}{keyword}{searchable}, JSON::PP::true, '_field_caps');
    my $top = search('m', { size => 0, aggs => { t => { top_hits => { size => 1, sort => [ { four => 'desc' } ], fields => ['day'] } } } })->{json}{aggregations}{t}{hits}{hits}[0];
    is_deeply($top->{fields}{day}, ['sunday'], 'top_hits');
};

subtest 'in requests' => sub {
    my $r = search('m', { runtime_mappings => { len => { type => 'long', script => "emit(doc['k'].value.length())" }, n => { type => 'keyword', script => "emit('x' + params._source.n)" } },
        query => { term => { len => 9 } }, sort => [ { n => 'asc' } ], fields => [ 'len', 'n' ], aggs => { s => { max => { field => 'len' } } } })->{json};
    is_deeply([ map { $_->{_id} } @{ $r->{hits}{hits} } ], [3], 'a query');
    is_deeply($r->{hits}{hits}[0]{fields}, { len => [9], n => ['x3'] }, 'shown, and one that hides an indexed field');
    is($r->{aggregations}{s}{value}, 9, 'aggregated');
    is_deeply(ids('m', { query => { range => { n => { gte => 6 } } }, sort => ['n'] }), [ 6, 7 ], 'the indexed one is as it was');
    my $m = $node->post('/_msearch', qq({"index":"m"}\n{"runtime_mappings":{"x":{"type":"long","script":"emit(7)"}},"query":{"term":{"x":7}}}\n));
    is($m->{json}{responses}[0]{hits}{total}{value}, 7, '_msearch') if $m->{json};
    is($node->post('/m/_field_caps?fields=zz', { runtime_mappings => { zz => { type => 'ip' } } })->{json}{fields}{zz}{ip}{type}, 'ip', '_field_caps');
    my $s = $node->post('/m/_search?scroll=1m', { size => 3, sort => ['tw'], runtime_mappings => { tw => { type => 'long', script => "emit(-doc['n'].value)" } } })->{json};
    is_deeply([ map { $_->{_id} } @{ $s->{hits}{hits} } ], [ 7, 6, 5 ], 'a scroll');
    my $t = $node->post('/_search/scroll', { scroll => '1m', scroll_id => $s->{_scroll_id} })->{json};
    is_deeply([ map { $_->{_id} } @{ $t->{hits}{hits} } ], [ 4, 3, 2 ], 'its next page');
};

subtest 'errors' => sub {
    my $e = error('m', { runtime_mappings => { x => { type => 'long', script => 'emit(doc["k"].value.length(' } }, query => { term => { x => 1 } } });
    is($e->{root_cause}[0]{reason}, 'compile error', 'a script that does not compile');
    $e = error('m', { runtime_mappings => { x => { type => 'long', script => 'emit(doc["k"].value.foo())' } }, query => { term => { x => 1 } } });
    is($e->{root_cause}[0]{reason}, 'runtime error', 'at run time') or diag(explain($e));
    is_deeply(sorted('m', { runtime_mappings => { x => { type => 'long', script => 'if (doc["n"].value > 2) throw new Exception("x"); emit(1)', on_script_error => 'continue' } }, query => { term => { x => 1 } } }), [ 1, 2 ], 'on_script_error: continue');
    $e = error('m', { runtime_mappings => { x => { type => 'long', script => 'for (int i = 0; i < 101; i++) emit(i)' } }, query => { term => { x => 1 } } });
    like(JSON::PP::encode_json($e), qr/Runtime field \[x\] is emitting \[101\] values while the maximum number of values allowed is \[100\]/, 'too many values');
    $e = error('m', { runtime_mappings => { x => { type => 'long', script => "emit(doc['y'].value)" }, y => { type => 'long', script => "emit(doc['x'].value)" } }, query => { term => { x => 1 } } });
    like(JSON::PP::encode_json($e), qr/Cyclic dependency detected while resolving runtime fields: x -> y -> x/, 'a cycle');
    my $put = sub { my $r = $node->put('/e', { mappings => { runtime => $_[0] } }); $node->delete('/e') if $r->{status} == 200; $r->{status} . ' ' . ($r->{json}{error}{reason} // '') };
    is($put->({ x => { type => 'text' } }), '400 Failed to parse mapping: No handler for type [text] declared on runtime field [x]', 'an unknown type');
    is($put->({ x => { script => 'emit(1)' } }), '400 Failed to parse mapping: No type specified for runtime field [x]', 'no type');
    like($put->({ x => { type => 'lookup' } }), qr/400 .*\[lookup\] is not supported by this version/, 'lookup is refused by name');
    is($put->({ x => { type => 'long', foo => 1 } }), '400 Failed to parse mapping: unknown parameter [foo] on runtime field [x] of type [long]', 'an unknown parameter');
    is($put->({ x => undef }), '400 Failed to parse mapping: Runtime field [x] was set to null but its removal is not supported in this context', 'nothing to remove');
    is($put->({ x => { type => 'long', script => { id => 'a' } } }), '400 Failed to parse mapping: stored scripts are not supported for runtime field [x]', 'a stored script');
    is($put->({ x => { type => 'long', script => 'emit("a")' } }), '400 Failed to parse mapping: compile error', 'a script that does not compile');
    is($put->({ x => { type => 'composite', script => 'emit("a", 1)' } }), '400 Failed to parse mapping: composite runtime field [x] must declare its [fields]', 'a composite without fields');
    $node->put('/_cluster/settings', { persistent => { 'search.allow_expensive_queries' => 'false' } });
    like(JSON::PP::encode_json(error('m', { query => { term => { day => 'monday' } } })), qr/queries cannot be executed against runtime fields while \[search.allow_expensive_queries\] is set to \[false\]/, 'not allowed');
    is_deeply(ids('m', { sort => ['twice'], size => 1 }), [1], 'sorts are');
    $node->put('/_cluster/settings', { persistent => { 'search.allow_expensive_queries' => undef } });
};

subtest 'mappings' => sub {
    is_deeply($node->get('/m/_mapping')->{json}{m}{mappings}{runtime}{twice}, { type => 'long', script => { source => 'emit(doc["n"].value * params.by)', lang => 'painless', params => { by => 2 } } }, 'shown');
    ok($node->put('/m/_mapping', { runtime => { twice => { type => 'keyword', script => "emit('new')" }, day => undef } })->{json}{acknowledged}, 'changed');
    my $now = $node->get('/m/_mapping')->{json}{m}{mappings}{runtime};
    is($now->{twice}{type}, 'keyword', 'another type');
    ok(!$now->{day}, 'one is gone');
    is_deeply(ids('m', { query => { term => { day => 'monday' } } }), [], 'for queries too');
    is(scalar @{ ids('m', { query => { term => { twice => 'new' } } }) }, 7, 'and the other is new');
    $node->put('/d', { mappings => { dynamic => 'runtime', properties => { a => { type => 'long' } }, dynamic_templates => [ { u => { match => 'u_*', runtime => { type => 'ip' } } } ] } });
    ok($node->put('/d/_doc/1?refresh=true', { a => 1, s => 'hello', n => 5, f => 1.5, b => JSON::PP::true, d => '2024-01-01', o => { x => 'y' }, u_1 => '1.2.3.4' })->{json}{result}, 'dynamic: runtime');
    my $d = $node->get('/d/_mapping')->{json}{d}{mappings};
    is_deeply({ map { $_ => $d->{runtime}{$_}{type} } keys %{ $d->{runtime} } }, { s => 'keyword', n => 'long', f => 'double', b => 'boolean', d => 'date', 'o.x' => 'keyword', u_1 => 'ip' }, 'fields by their values');
    is_deeply(ids('d', { query => { bool => { filter => [ { term => { s => 'hello' } }, { term => { 'o.x' => 'y' } }, { range => { d => { gte => '2024-01-01' } } }, { term => { f => 1.5 } }, { term => { u_1 => '1.2.3.4' } } ] } } }), [1], 'they are found');
    ok($node->put('/d/_doc/2?refresh=true', { s => 'other', n => 'no number' })->{json}{result}, 'a value that is none does not matter');
    is_deeply(ids('d', { sort => ['s'] }), [ 1, 2 ], 'sorted');
    $node->put('/t', { mappings => { dynamic_templates => [ { all => { match_mapping_type => 'string', runtime => {} } } ] } });
    $node->put('/t/_doc/1?refresh=true', { s => 'v', n => 1 });
    is_deeply($node->get('/t/_mapping')->{json}{t}{mappings}{runtime}, { s => { type => 'keyword' } }, 'dynamic templates');
};

subtest 'scripts are tried out' => sub {
    my $try = sub { my ($context, $source) = @_;
        my $r = $node->post('/_scripts/painless/_execute', { context => $context, script => $source, context_setup => { index => 'm', document => { n => 4, k => 'ab', t => '2024-02-01T00:00:00Z' } } });
        $r->{status} == 200 ? $r->{json}{result} : $r->{content} };
    is_deeply($try->('long_field', "emit(doc['n'].value); emit(5)"), [ 4, 5 ], 'long_field');
    is_deeply($try->('double_field', "emit(doc['n'].value)"), [4], 'double_field');
    is_deeply($try->('keyword_field', "emit(doc['k'].value)"), ['ab'], 'keyword_field');
    is_deeply($try->('boolean_field', "emit(doc['n'].value == 4)"), [ JSON::PP::true ], 'boolean_field');
    is_deeply($try->('date_field', "emit(doc['t'].value.toInstant().toEpochMilli())"), ['2024-02-01T00:00:00.000Z'], 'date_field');
    is_deeply($try->('ip_field', "emit('1.2.3.4')"), ['1.2.3.4'], 'ip_field');
    is_deeply($try->('geo_point_field', 'emit(1.5, 2.5)'), [ { type => 'Point', coordinates => [ 2.5, 1.5 ] } ], 'geo_point_field');
    is_deeply($try->('composite_field', "emit('a', params._source.n); emit(['b': 'x'])"), { a => [4], b => ['x'] }, 'composite_field');
};

subtest 'columns by blocks' => sub {
    $node->put('/b', { settings => { number_of_shards => 1 }, mappings => { properties => { n => { type => 'long' } } } });
    $node->post('/b/_bulk?refresh=true', join('', map { qq({"index":{"_id":"$_"}}\n{"n":$_}\n) } 1 .. 3000));
    $node->delete('/b/_doc/7?refresh=true');
    my $r = search('b', { size => 0, track_total_hits => JSON::PP::true, runtime_mappings => { x => { type => 'double', script => "emit(doc['n'].value * 0.5)" }, y => { type => 'long', script => "emit(doc['n'].value * 9007199254740993L)" } },
        query => { range => { x => { gt => 1000 } } }, aggs => { s => { sum => { field => 'x' } }, y => { min => { field => 'y' } } } })->{json};
    is($r->{hits}{total}{value}, 1000, 'found');
    is($r->{aggregations}{s}{value}, 1250250, 'summed');
    is(search('b', { query => { term => { y => '63050394783186951' } }, runtime_mappings => { y => { type => 'long', script => "emit(doc['n'].value * 9007199254740993L)" } } })->{json}{hits}{total}{value}, 0, 'what was deleted has no value');
    is(search('b', { query => { term => { y => '72057594037927944' } }, runtime_mappings => { y => { type => 'long', script => "emit(doc['n'].value * 9007199254740993L)" } } })->{json}{hits}{hits}[0]{_id}, 8, 'longs keep their bits');
};

done_testing;
