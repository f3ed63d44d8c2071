#!/usr/bin/perl
# 147_expressions.t: scripts of the language expression: operators, functions, fields, dates, params; where they run.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('expression');
$node->start;
sub search { $node->post("/$_[0]/_search", $_[1]) }
sub script { my ($source, %params) = @_; { lang => 'expression', source => $source, %params ? (params => \%params) : () } }
$node->put('/i', { mappings => { properties => { n => { type => 'integer' }, d => { type => 'double' }, t => { type => 'date' }, k => { type => 'keyword' }, p => { type => 'geo_point' }, m => { type => 'long' } } } });
$node->put('/i/_doc/1', { n => 3, d => 1.5, t => '2023-03-05T07:08:09.010Z', k => 'x', p => '10,20', m => [ 1, 2, 6 ] });
$node->put('/i/_doc/2?refresh=true', { n => 10, d => -2, t => '1999-12-31T23:59:59Z', m => [ 4, 4 ] });

# What a formula makes of document 1, or of another.
sub value { my ($source, $id, %params) = @_;
    my $r = search('i', { query => { ids => { values => [ $id // 1 ] } }, script_fields => { x => { script => script($source, %params) } } });
    $r->{status} == 200 && @{ $r->{json}{hits}{hits} } ? $r->{json}{hits}{hits}[0]{fields}{x}[0] : $r->{content} }

subtest 'formulas' => sub {
    is(value('1 + 2 * 3 - 4 / 8 % 3'), 6.5, 'arithmetic');
    is(value('-(2 + 3) * +2'), -10, 'signs');
    is(value('0x1F + 010 + 1e2 + .5'), 139.5, 'numbers');
    is(value('1 < 2 && 2 <= 2 || 0 > 1'), 1, 'comparisons');
    is(value('!0 + (3 == 3) + (3 != 3)'), 2, 'and more');
    is(value('6 & 3 | 8 ^ 1'), 11, 'bits');
    is(value('(1 << 4) + (64 >> 2) + (~0)'), 31, 'shifts');
    is(value("doc['n'].value > 5 ? 1 : doc['n'].value == 3 ? 7 : 9"), 7, 'a condition');
    is(sprintf('%.6f', value('ln(exp(2)) + log10(100) + logn(2, 8) + pow(2, 3) + sqrt(9) + abs(-1) + max(1, 2) + min(1, 2) + floor(1.5) + ceil(1.5)')), '25.000000', 'functions');
    is(sprintf('%.2f', value('haversin(0, 0, 0, 1)')), '111.20', 'haversin');
    is(value('a * b + c', 1, a => 2, b => 3.5, c => 1), 8, 'params');
    is(value("doc['n'] + doc['d'].value"), 4.5, 'fields');
    is(value("doc['m'].min() + doc['m'].max() * 10 + doc['m'].sum() * 100 + doc['m'].avg() * 1000 + doc['m'].median() * 10000 + doc['m'].length * 100000"), 323961, 'of several values');
    is(value("doc['d'].empty + doc['p'].empty * 2", 2), 2, 'empty');
    is(sprintf('%.3f', value("doc['p'].lat + doc['p'].lon * 100")), '2010.000', 'a point');
    is(value("doc['t'].getYear() * 10000 + doc['t'].getMonth() * 100 + doc['t'].getDayOfMonth()"), 20230205, 'methods of dates');
    is(value("doc['t'].getHourOfDay() * 10000 + doc['t'].getMinutes() * 100 + doc['t'].getSeconds()"), 70809, 'and times');
    is(value("doc['t'].date.dayOfWeek * 1000 + doc['t'].date.dayOfYear"), 7064, 'members of dates');
    is(value("doc['t'].date.weekOfWeekyear * 10000 + doc['t'].date.weekyear", 2), 521999, 'weeks');
    is(value("doc['t'].value"), 1678000089010, 'a date is milliseconds');
};

subtest 'where they run' => sub {
    my $ids = sub { my $r = search('i', $_[0]); $r->{status} == 200 ? [ map { $_->{_id} } @{ $r->{json}{hits}{hits} } ] : $r->{content} };
    is_deeply($ids->({ query => { script => { script => script("doc['n'].value > limit", limit => 5) } } }), [2], 'filter');
    my $h = search('i', { query => { script_score => { query => { match_all => {} }, script => script("_score + doc['n'].value / 2") } } })->{json}{hits}{hits};
    is_deeply([ map { $_->{_score} } @$h ], [ 6, 2.5 ], 'score');
    $h = search('i', { query => { function_score => { script_score => { script => script("doc['n'].value") }, boost_mode => 'replace' } } })->{json}{hits}{hits};
    is_deeply([ map { $_->{_score} } @$h ], [ 10, 3 ], 'function_score');
    is_deeply($ids->({ sort => [ { _script => { type => 'number', script => script("doc['d'].value"), order => 'asc' } } ] }), [ 2, 1 ], 'sort');
    my $a = search('i', { size => 0, aggs => { s => { sum => { script => script("doc['n'].value * 2") } }, v => { max => { field => 'n', script => script('_value + 1') } },
        h => { terms => { field => 'n', order => { _key => 'asc' } }, aggs => { d => { sum => { field => 'd' } }, b => { bucket_script => { buckets_path => { x => 'd' }, script => script('x * 10') } }, f => { bucket_selector => { buckets_path => { x => 'd' }, script => script('x > 0') } } } } } })->{json}{aggregations};
    is($a->{s}{value}, 26, 'aggs');
    is($a->{v}{value}, 11, '_value');
    is_deeply([ map { [ $_->{key}, $_->{b}{value} ] } @{ $a->{h}{buckets} } ], [ [ 3, 15 ] ], 'bucket_script and bucket_selector');
    $node->put('/_scripts/e', { script => { lang => 'expression', source => "doc['n'].value + x" } });
    is_deeply([ map { $_->{_score} } @{ search('i', { query => { script_score => { query => { match_all => {} }, script => { id => 'e', params => { x => 1 } } } } })->{json}{hits}{hits} } ], [ 11, 4 ], 'stored');
    my ($l) = grep { $_->{language} eq 'expression' } @{ $node->get('/_script_language')->{json}{language_contexts} };
    is_deeply($l->{contexts}, [qw(aggregation_selector aggs bucket_aggregation field filter number_sort score terms_set)], '_script_language');
};

subtest 'errors' => sub {
    my $bad = sub { my ($source, $reason, $cause) = @_; my $e = search('i', { query => { script => { script => script($source) } } })->{json}{error}{root_cause}[0];
        my $all = search('i', { query => { script => { script => script($source) } } })->{content};
        is($e->{reason}, $reason, "$source: $reason"); like($all, $cause, '... and why'); like($all, qr/"lang":"expression"/, '... in which language') };
    $bad->('1 +', 'compile error', qr/unexpected end of expression/);
    $bad->('1 ; 2', 'compile error', qr/unexpected character ';'/);
    $bad->('foo(1)', 'compile error', qr/Unrecognized function call \(foo\)/);
    $bad->('pow(1)', 'compile error', qr/wrong number of arguments of function \[pow\]/);
    $bad->("doc['n'].foo()", 'compile error', qr/Member method \[foo\] does not exist for numeric field \[n\]/);
    $bad->('doc', 'compile error', qr/Variable 'doc' must be used with a specific field like: doc\['myfield'\]/);
    $bad->('(' x 2000, 'compile error', qr/too deep/);
    $bad->('unknown', 'link error', qr/Unknown variable \[unknown\]/);
    $bad->("doc['zz'].value", 'link error', qr/Field \[zz\] does not exist in mappings/);
    $bad->("doc['k'].value", 'link error', qr/Field \[k\] must be numeric, date, or geopoint/);
    is($node->post('/i/_update/1', { script => script('1') })->{status}, 400, 'no updates');
};

subtest 'blocks of documents' => sub {
    $node->put('/b', { mappings => { properties => { n => { type => 'long' }, f => { type => 'float' } } } });
    $node->post('/b/_bulk?refresh=true', join('', map { qq({"index":{"_id":"$_"}}\n) . ($_ % 100 ? qq({"n":$_,"f":0.5}\n) : "{}\n") } 1 .. 2000));
    my $sum = sub { search('b', { size => 0, aggs => { s => { sum => { script => $_[0] } } } })->{json}{aggregations}{s}{value} };
    is($sum->(script("doc['n'].value * doc['f'].value + 1")), (2001000 - 21000) / 2 + 2000, 'a missing value is 0');
    is($sum->(script("doc['n'].value > 1000 ? sqrt(doc['f'].value * 8) : 0")), 2 * 990, 'conditions');
};
done_testing;
