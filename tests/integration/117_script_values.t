#!/usr/bin/perl
# 117_script_values.t: values of aggregations that a script makes, of documents and of a field's values, in metrics and buckets, over shards,
# segments and nodes; what is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use Test::More;

my $c = QdCluster->new('sv', nodes => 2);
$c->start;
my ($node, $other) = $c->nodes;
my $json = JSON::PP->new->utf8->canonical;
$node->put('/t', { settings => { number_of_shards => 4, number_of_replicas => 0 }, mappings => { properties => {
    n => { type => 'integer' }, f => { type => 'double' }, k => { type => 'keyword' }, m => { type => 'long' }, d => { type => 'date' }, b => { type => 'boolean' },
    ip => { type => 'ip' }, title => { type => 'text' }, r => { type => 'integer_range' },
    c => { type => 'nested', properties => { x => { type => 'integer' } } } } } });
for my $part (0 .. 2) { # several segments a shard
    my $bulk = '';
    for my $i ($part * 100 + 1 .. $part * 100 + 100) {
        my $doc = { n => $i, f => $i / 4, k => [ 'a' . $i % 3, 'z' ], d => sprintf('2024-01-%02dT10:00:00Z', 1 + $i % 28), b => $i % 2 ? \1 : \0, ip => '10.0.0.' . $i % 4,
            title => $i % 3 ? 'fox' : 'fox fox dog', r => { gte => 1, lte => 2 }, c => [ { x => $i }, { x => $i * 2 } ] };
        $doc->{m} = [ $i, $i + 1 ] if $i % 5;
        $bulk .= qq({"index":{"_index":"t","_id":"$i"}}\n) . $json->encode($doc) . "\n";
    }
    is($node->post('/_bulk?refresh=true', $bulk)->{json}{errors}, JSON::PP::false, 'documents are indexed');
}

my $at = $node;
sub agg { my ($body, %more) = @_; my $r = $at->post('/t/_search', { size => 0, aggs => { a => $body }, %more }); $r->{status} == 200 && !$r->{json}{_shards}{failed} ? $r->{json}{aggregations}{a} : $r->{content} }
sub value { my $a = agg({ $_[0] => { @_[1 .. $#_] } }); ref $a ? $a->{value} : $a }
sub within { my ($a, @path) = @_; for (@path) { return $a if !ref $a; $a = $a->{$_} } $a }
sub row { my $a = agg(@_); ref $a ? join ' ', map { "$_->{key}:$_->{doc_count}" } @{ $a->{buckets} } : $a }

for my $n ($node, $other) {
    $at = $n;
    my $name = $n == $node ? 'one node' : 'the other node';
    is(value(sum => script => "doc['n'].value * 2"), 90300, "$name: sum of an expression");
    is(value(sum => script => { source => "int x = 0; for (v in doc['m']) { x += v } x * params.by", params => { by => 10 } }), 722_400, "$name: sum of statements");
    is(value(avg => field => 'n', script => '_value + 1'), 151.5, "$name: avg of a field's values");
    is(value(min => field => 'm', script => '-_value'), -300, "$name: min of all values of a field");
    is(value(max => script => "doc['m']"), 300, "$name: max of a list");
    is(value(value_count => script => "doc['m']"), 480, "$name: their number");
    is(value(value_count => script => "doc['n'].value > 290 ? doc['n'].value : null"), 10, "$name: null is no value");
    is(value(cardinality => script => "doc['k'][0] + doc['b'].value"), 6, "$name: cardinality of texts");
    is(value(cardinality => field => 'n', script => '_value % 17'), 17, "$name: of numbers");
    is(value(avg => script => "doc['m'].size() == 0 ? null : doc['m'].value", missing => 1000), (36_000 + 60 * 1000) / 300, "$name: missing stands for no value");
    is(row({ terms => { script => "doc['k'][0].toUpperCase()" } }), 'A0:100 A1:100 A2:100', "$name: terms of texts");
    is(row({ terms => { field => 'k', script => "_value + '!'", order => { _key => 'desc' } } }), 'z!:300 a2!:100 a1!:100 a0!:100', "$name: terms of a keyword's values");
    is(row({ terms => { script => "doc['n'].value % 3", value_type => 'long' } }), '0:100 1:100 2:100', "$name: terms of numbers");
    is(row({ terms => { script => "doc['n'].value % 3" } }), '0:100 1:100 2:100', "$name: terms of their texts");
    is(row({ terms => { field => 'n', script => '_value % 2' } }), '0:150 1:150', "$name: of a number's values");
    is(row({ terms => { field => 'ip', script => '_value' } }), '10.0.0.0:75 10.0.0.1:75 10.0.0.2:75 10.0.0.3:75', "$name: of addresses");
    is(row({ histogram => { script => "doc['n'].value + 0.5", interval => 100 } }), '0:99 100:100 200:100 300:1', "$name: histogram");
    is(row({ range => { script => "doc['n'].value * 10", ranges => [ { to => 100 }, { from => 100, to => 2000 }, { from => 2000 } ] } }), '*-100.0:9 100.0-2000.0:190 2000.0-*:101', "$name: range");
    is(row({ range => { field => 'f', script => '_value * 4', ranges => [ { to => 11 } ] } }), '*-11.0:10', "$name: range of a field's values");
}
$at = $node;

subtest 'others' => sub {
    my $s = agg({ stats => { script => "doc['f'].value * 4" } });
    is($json->encode([ map { $_ + 0 } @$s{qw(count min max sum)} ]), '[300,1,300,45150]', 'stats');
    my $e = agg({ extended_stats => { field => 'n', script => '_value * 2.0' } });
    is($e->{sum_of_squares}, 4 * 9045050, 'extended_stats');
    my $p = agg({ percentiles => { script => "doc['n'].value", percents => [50] } });
    ok(abs(within($p, 'values', '50.0') - 150.5) < 1, 'percentiles') or diag $p;
    my $h = agg({ date_histogram => { field => 'd', script => '_value + 86400000', calendar_interval => 'month' } });
    is($json->encode([ map { "$_->{key_as_string}:$_->{doc_count}" } @{ within($h, 'buckets') } ]), '["2024-01-01T00:00:00.000Z:300"]', 'dates are shown as their field');
    $h = agg({ date_histogram => { script => "doc['d'].value.plusMonths(1)", calendar_interval => 'month' } });
    is($json->encode([ map { "$_->{key_as_string}:$_->{doc_count}" } @{ within($h, 'buckets') } ]), '["2024-02-01T00:00:00.000Z:300"]', 'dates of a script alone');
    is(row({ terms => { field => 'b', script => '1 - _value' } }), '0:150 1:150', 'booleans');
    is(value(sum => field => 'nope', script => '_value'), 0, 'a field that is not there');
    is(value(sum => field => 'nope', script => '_value', missing => 2), 600, 'with missing');
    is(value(sum => field => 'm', script => '_value', missing => 1000), 72_240 + 60_000, 'missing is not seen by the script');
    my $d = agg({ terms => { script => "doc['k'][0]" }, aggs => { s => { sum => { script => "doc['n'].value" } }, t => { terms => { script => "'x'" } } } });
    is($json->encode([ map { $_->{s}{value} } @{ within($d, 'buckets') } ]), '[15150,14950,15050]', 'below buckets') or diag $json->encode($d);
    my $f = agg({ terms => { field => 'b' }, aggs => { s => { sum => { script => "doc['n'].value" } } } });
    is($json->encode([ map { $_->{s}{value} } @{ within($f, 'buckets') } ]), '[22650,22500]', 'below buckets that a table counts');
    is(agg({ nested => { path => 'c' }, aggs => { s => { sum => { script => "doc['c.x'].value * 10" } } } })->{s}{value}, 45150 * 30, 'of nested documents');
    my $sum = agg({ sum => { script => '_score * 0 + 1' } }, query => { match => { title => 'dog' } });
    is($sum->{value}, 100, 'the script sees scores');
    isnt(agg({ sum => { script => '_score' } }, query => { match => { title => 'dog' } })->{value}, 0, 'which are those of the query');
    $node->put('/_scripts/some', { script => { lang => 'painless', source => "doc['n'].value * params.x" } });
    is(value(sum => script => { id => 'some', params => { x => 3 } }), 135450, 'a stored script');
    is(value(sum => script => '0.1'), value(sum => script => '0.1 + 0'), 'a constant');
    is(row({ terms => { script => "['a': [1, 2]]" } }), '{a=[1, 2]}:300', 'a map is its text');
    is(row({ terms => { script => "['p', 'q', 'p']" } }), 'p:300 q:300', 'a list, each text once');
    is(row({ terms => { script => "doc['n'].value % 50 == 0 ? 'deep' : 'x' + doc['n'].value", size => 1 } }), 'deep:6', 'many texts');
    is(row({ terms => { script => "doc['k'][0]", include => 'a[12]', missing => 'none' } }), 'a1:100 a2:100', 'include');
};

subtest 'what is refused' => sub {
    like(value(sum => script => "'a'"), qr/Unsupported script value \[java.lang.String\], expected a number, date, or array/, 'texts as numbers');
    like(value(sum => script => '[:]'), qr/Unsupported script value/, 'a map');
    like(value(cardinality => script => 'def a = [:]; def b = [a]; a.b = b; a'), qr/Iterable object is self-referencing itself/, 'a map that holds itself');
    like(value(sum => field => 'k', script => '_value'), qr/of type \[keyword\] is not supported for aggregation \[sum\]/, 'keywords as numbers');
    like(value(value_count => field => 'r', script => '1'), qr/is not supported/, 'ranges');
    like(value(sum => script => 'foo('), qr/script_exception.*compile error/, 'what does not compile');
    like(value(sum => script => "doc['m'].value"), qr/A document doesn't have a value for a field/, 'what throws');
    like(value(sum => script => 'int i = 0; while (true) { i++ } return 1'), qr/maximum number of statements/, 'what never ends');
    like(value(cardinality => script => "'0123456789abcdefghij'.repeat(200000) + doc['n'].value + Math.random()"), qr/Data too large: the texts that a script of an aggregation makes/, 'texts beyond measure');
    like(agg({ terms => { script => "'a'", min_doc_count => 0 } }), qr/\[min_doc_count\] 0 is not supported with a \[script\]/, 'terms that no document has');
    like(agg({ terms => { script => "'a'", value_type => 'ip' } }), qr/\[value_type\] \[ip\] is not supported with a \[script\]/, 'addresses');
    like(value(missing => field => 'n', script => '1'), qr/\[missing\] \[script\] is not supported/, 'missing');
    like(agg({ ip_range => { field => 'ip', script => '1', ranges => [ { to => '10.0.0.1' } ] } }), qr/\[ip_range\] \[script\] is not supported/, 'ip_range');
    like(agg({ weighted_avg => { value => { script => '1' }, weight => { field => 'n' } } }), qr/script/, 'weighted_avg');
    like(agg({ composite => { sources => [ { x => { terms => { script => '1' } } } ] } }), qr/script/, 'composite');
    like(value('sum'), qr/Required one of fields \[field, script\], but none were specified/, 'nothing at all');
    is($node->post('/t/_search', { size => 1 })->{status}, 200, 'and the node goes on');
};

subtest 'scripted_metric' => sub {
    my %sum = (init_script => 'state.n = 0L', map_script => "state.n += doc['n'].value", combine_script => 'return state.n', reduce_script => 'long t = 0; for (s in states) { t += s } t');
    my $metric = sub { my $a = agg({ scripted_metric => { @_ } }); ref $a ? $a->{value} : $a };
    for my $n ($node, $other) {
        $at = $n;
        my $name = $n == $node ? 'one node' : 'the other node';
        is($metric->(%sum), 45150, "$name: a sum");
        is($metric->(map_script => "state.computeIfAbsent(doc['k'][0], k -> 0); state[doc['k'][0]] += 1", combine_script => 'state',
            reduce_script => 'def t = [:]; for (s in states) for (e in s.entrySet()) t[e.getKey()] = t.getOrDefault(e.getKey(), 0) + e.getValue(); t')->{a1}, 100, "$name: maps, without an init_script");
    }
    $at = $node;
    is($json->encode($metric->(init_script => "state.t = []; state.set = new HashSet(); state.d = null", map_script => "state.t.add(doc['k'].value); state.set.add(doc['b'].value); state.d = doc['d'].value",
        combine_script => "def m = [:]; for (x in state.t) m[x] = m.getOrDefault(x, 0) + 1; m.size = state.set.size(); m.year = state.d.getYear(); m", reduce_script => 'def n = 0; for (s in states) n += s.a0; [n, states.size(), states[0].size, states[0].year]')),
        '[100,4,2,2024]', 'texts, sets and dates outlive segments');
    is($metric->(init_script => 'state.list = []; state.same = state.list; state.me = state', map_script => "state.list.add(doc['n'].value)", combine_script => 'state.me.same.size()', reduce_script => 'int n = 0; for (s in states) n += s; n'), 300, 'what is shared stays so');
    is($metric->(%sum, init_script => 'state.n = params.from', params => { from => 1000 }), 49150, 'params of all scripts');
    is($metric->(%sum, map_script => { source => "state.n += params.a * params.b", params => { a => 2 } }, params => { b => 3 }), 1800, 'and of one');
    is($metric->(%sum, reduce_script => { source => 'states.size() + params.x', params => { x => 5 } }), 9, 'of the last one');
    is($metric->(map_script => 'state.s = _score', combine_script => 'state.s', reduce_script => 'states[0]'), 1, 'scores');
    is($metric->(%sum, combine_script => '1.5', reduce_script => 'double t = 0; for (s in states) t += s; t'), 6, 'doubles');
    my $b = agg({ terms => { field => 'b' }, aggs => { s => { scripted_metric => \%sum } } });
    is($json->encode([ map { $_->{s}{value} } @{ within($b, 'buckets') } ]), '[22650,22500]', 'below buckets');
    $b = agg({ histogram => { field => 'n', interval => 1000, min_doc_count => 0, extended_bounds => { min => 0, max => 1000 } }, aggs => { s => { scripted_metric => \%sum } } });
    is($json->encode([ map { $_->{s}{value} } @{ within($b, 'buckets') } ]), '[45150,null]', 'no value where there is no bucket');
    is($metric->(%sum), 45150, 'it is not cached');
    is(agg({ scripted_metric => \%sum }, query => { term => { n => -1 } })->{value}, 0, 'of no documents');
    is(agg({ nested => { path => 'c' }, aggs => { s => { scripted_metric => { %sum, map_script => "state.n += doc['c.x'].value" } } } })->{s}{value}, 45150 * 3, 'of nested documents');
    my $r = $node->post('/t/_search?typed_keys', { size => 0, aggs => { a => { scripted_metric => \%sum } } });
    is($r->{json}{aggregations}{'scripted_metric#a'}{value}, 45150, 'typed_keys');
    my $garbage = "for (int i = 0; i < 200; i++) { state.last = 'x'.repeat(5000) + i } state.n += 1";
    is($metric->(%sum, map_script => $garbage), 300, 'what is dropped takes no memory');

    my $why = sub { my $v = $metric->(@_); ref $v ? $json->encode($v) : $v };
    like($why->(map_script => '1', combine_script => '1'), qr/\[reduceScript\] must not be null: \[a\]/, 'no reduce_script');
    like($why->(%sum, map_script => undef), qr/script/, 'null');
    like($why->(%sum, field => 'n'), qr/\[scripted_metric\] unknown field \[field\]/, 'a field');
    like($why->(%sum, params => 3), qr/\[scripted_metric\] params doesn't support values of type/, 'params that are none');
    like($why->(%sum, map_script => { source => '1', params => { a => 1 } }, params => { a => 2 }), qr/Parameter name \\"a\\" used in both aggregation and script parameters/, 'a param twice');
    like($why->(%sum, reduce_script => 'foo('), qr/script_exception.*compile error/, 'what does not compile');
    like($why->(%sum, map_script => "doc['m'].value"), qr/A document doesn't have a value for a field/, 'what throws');
    like($why->(%sum, reduce_script => 'states[99]'), qr/Index 99 out of bounds/, 'at the end, too');
    like($why->(%sum, map_script => 'int i = 0; while (true) { i++ }'), qr/maximum number of statements/, 'what never ends');
    like($why->(%sum, map_script => "state.v = doc['k']"), qr/cannot be kept/, 'what is good for one document alone');
    like($why->(init_script => 'state.l = []', map_script => "state.l.add('0123456789'.repeat(100000) + doc['n'].value)", combine_script => '1', reduce_script => '1'), qr/Data too large: the states of \[scripted_metric\]/, 'states beyond measure');
    like($why->(%sum, combine_script => 'def a = []; for (int i = 0; i < 60; i++) a = [a, a]; a'), qr/Data too large|out of memory|Out of memory/i, 'a value beyond measure');
    like($why->(%sum, combine_script => 'state.s = state; state'), qr/self-referencing/, 'a value that holds itself');
    like($why->(%sum, map_script => 'def a = []; for (int i = 0; i < 300; i++) a = [a]; state.a = a'), qr/nests too deep/, 'what is too deep');
    like(agg({ terms => { field => 'b', order => { s => 'asc' } }, aggs => { s => { scripted_metric => \%sum } } }), qr/Invalid aggregation order path \[s\]/, 'an order by it');
    is($node->post('/t/_search', { size => 1 })->{status}, 200, 'and the node goes on');
};

$c->stop;
done_testing;
