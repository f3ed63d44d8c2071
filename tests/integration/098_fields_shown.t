#!/usr/bin/perl
# 098_fields_shown.t: what is shown of fields beside their values: meta and keys of flattened fields in _field_caps, the field
# _ignored, intervals of columns, numeric_type of dates.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('shown', settings => { 'compatibility.identity' => 'es8' });
$node->start;
my ($true, $false) = (JSON::PP::true, JSON::PP::false);
sub mapped { my ($index, %p) = @_; is($node->put("/$index", { settings => { number_of_shards => 1 }, mappings => { properties => \%p } })->{status}, 200, "$index is made") }
sub hits { return @{ $_[0]{json}{hits}{hits} } }

subtest 'meta of _field_caps' => sub {
    mapped('m1', l => { type => 'long', meta => { unit => 'ms', kind => 'gauge' } }, t => { type => 'text', meta => { a => 'b' } }, 'o.x' => { type => 'keyword' });
    mapped('m2', l => { type => 'long', meta => { unit => 'ns', kind => 'gauge' } });
    mapped('m3', l => { type => 'long' });
    my $of = sub { return $node->get("/$_[0]/_field_caps?fields=l,t,o.x")->{json}{fields} };
    is_deeply($of->('m1')->{l}{long}{meta}, { unit => ['ms'], kind => ['gauge'] }, 'of one index');
    is_deeply($of->('m1,m2,m3')->{l}{long}{meta}, { unit => [ 'ms', 'ns' ], kind => ['gauge'] }, 'of several, side by side');
    is_deeply([ $of->('m1')->{t}{text}{meta}, exists $of->('m3')->{l}{long}{meta}, exists $of->('m1')->{'o.x'}{keyword}{meta} ], [ { a => ['b'] }, '', '' ], 'only where there is some');
};

subtest 'keys of a flattened field in _field_caps' => sub {
    mapped('fl', f => { type => 'flattened' });
    my $fields = $node->get('/fl/_field_caps?fields=f.a.b')->{json}{fields};
    is_deeply([ keys %$fields ], ['f.a.b'], 'the key alone');
    is_deeply([ @{ $fields->{'f.a.b'}{flattened} }{qw(type searchable aggregatable)} ], [ 'flattened', $true, $true ], 'and what it can');
    is_deeply([ keys %{ $node->get('/fl/_field_caps?fields=f.*')->{json}{fields} } ], [], 'a pattern means none');
};

subtest 'fields of nested documents, and names asked for twice' => sub {
    mapped('nf', g => { type => 'keyword' }, u => { type => 'nested', properties => { f => { type => 'keyword' }, d => { type => 'nested', properties => { z => { type => 'date' } } } } });
    $node->put('/nf/_doc/1?refresh=true', { g => 'fans', u => [ { f => 'John', d => { z => '2020-01-02' } }, { f => 'Ann' }, { e => undef }, { d => [ { z => 1 }, { z => 2 } ] } ] });
    my $content;
    my $fields = sub { my $r = $node->post('/nf/_search', { _source => $false, @_ }); $content = $r->{content}; return (hits($r))[0]{fields} };
    my $day = '2020-01-02T00:00:00.000Z';
    is_deeply($fields->(fields => ['*']), { g => ['fans'], u => [ { f => ['John'], d => [ { z => [$day] } ] }, { f => ['Ann'] }, { d => [ map { { z => ["1970-01-01T00:00:00.00${_}Z"] } } 1, 2 ] } ] }, 'a list of objects for each nested field, without those that have nothing to show');
    is_deeply($fields->(fields => ['u.d.z']), { u => [ { d => [ { z => [$day] } ] }, { d => [ map { { z => ["1970-01-01T00:00:00.00${_}Z"] } } 1, 2 ] } ] }, 'the inner one alone');
    is_deeply($fields->(fields => [ 'g', '*', { field => 'u.d.z', format => 'yyyy' } ]), { g => ['fans'], u => [ { f => ['John'], d => [ { z => ['2020'] } ] }, { f => ['Ann'] }, { d => [ { z => ['1970'] }, { z => ['1970'] } ] } ] }, 'the last of several formats counts');
    my $times = () = $content =~ /"g":/g;
    is($times, 1, 'each name is written once');
    mapped('nk', u => { type => 'nested', properties => { l => { type => 'flattened' } } });
    $node->put('/nk/_doc/1?refresh=true', { u => [ { l => { a => 'x', b => 'y' } }, { l => { b => 'z' } } ] });
    my $keys = (hits($node->post('/nk/_search', { fields => ['u.l.b'] })))[0]{fields};
    is_deeply($keys, { u => [ { 'l.b' => ['y'] }, { 'l.b' => ['z'] } ] }, 'a key of a flattened field is grouped likewise');
    is_deeply($fields->(fields => ['g'], docvalue_fields => [ 'g', 'g' ]), { g => ['fans'] }, 'in both ways');
    is_deeply($fields->(fields => ['none*']), undef, 'nothing to show');
    my $os = QdNode->new('shown-os', settings => { 'compatibility.identity' => 'os2' });
    $os->start;
    $os->put('/nf', { mappings => { properties => { u => { type => 'nested', properties => { f => { type => 'keyword' } } } } } });
    $os->put('/nf/_doc/1?refresh=true', { u => [ { f => 'a' }, { f => 'b' } ] });
    is_deeply((hits($os->post('/nf/_search', { fields => ['*'] })))[0]{fields}, { 'u.f' => [ 'a', 'b' ] }, 'OpenSearch shows whole names');
    is($os->stop, 0, 'ends cleanly');
};

subtest '_ignored' => sub {
    mapped('ig', n => { type => 'long', ignore_malformed => $true }, k => { type => 'keyword', ignore_above => 3 });
    $node->put('/ig/_doc/1', { n => 'x', k => 'abcd' });
    $node->put('/ig/_doc/2', { n => 1, k => 'long one' });
    $node->put('/ig/_doc/3?refresh=true', { n => 1, k => 'abc' });
    my $ids = sub { join ' ', sort map { $_->{_id} } hits($node->post('/ig/_search', { query => $_[0] })) };
    is($ids->({ exists => { field => '_ignored' } }), '1 2', 'exists');
    is($ids->({ term => { _ignored => 'n' } }), '1', 'term');
    is($ids->({ terms => { _ignored => [ 'k', 'z' ] } }), '1 2', 'terms');
    is($ids->({ wildcard => { _ignored => { value => 'n*' } } }), '1', 'wildcard');
    my ($hit) = hits($node->post('/ig/_search', { query => { ids => { values => [1] } }, fields => [ 'n', 'k' ], docvalue_fields => ['_ignored'] }));
    is_deeply([ $hit->{_ignored}, $hit->{ignored_field_values}, $hit->{fields} ], [ [ 'k', 'n' ], { n => ['x'], k => ['abcd'] }, { _ignored => [ 'k', 'n' ] } ], 'in hits');
    my $a = $node->post('/ig/_search', { size => 0, aggs => { a => { terms => { field => '_ignored' } }, c => { cardinality => { field => '_ignored' } } } })->{json}{aggregations};
    is_deeply([ (map { "$_->{key} $_->{doc_count}" } @{ $a->{a}{buckets} }), $a->{c}{value} ], [ 'k 2', 'n 1', 2 ], 'aggregations');
    is(join(' ', map { $_->{_id} } hits($node->post('/ig/_search', { sort => [ { _ignored => 'desc' }, '_doc' ] }))), '1 2 3', 'sorting');
};

subtest 'intervals of columns' => sub {
    mapped('r', i => { type => 'integer_range' }, d => { type => 'date_range', format => 'yyyy-MM-dd' }, ip => { type => 'ip_range' }, f => { type => 'float_range' }, none => { type => 'long_range', doc_values => $false });
    $node->put('/r/_doc/1?refresh=true', { i => [ { gt => 1, lt => 5 }, { lte => 0 } ], d => { gte => '2020-01-01' }, ip => '10.0.0.0/30', f => { gte => 0.5, lte => 2 }, none => { gte => 1 } });
    my ($hit) = hits($node->post('/r/_search', { docvalue_fields => ['*'] }));
    is_deeply($hit->{fields}, { i => [ { lte => 0 }, { gte => 2, lte => 4 } ], d => [ { gte => '2020-01-01' } ], ip => [ { gte => '10.0.0.0', lte => '10.0.0.3' } ], f => [ { gte => 0.5, lte => 2 } ] }, 'of all types, by a pattern');
    is($node->post('/r/_search', { docvalue_fields => ['none'] })->{status}, 400, 'not of a field without a column');
    is($node->post('/r/_search', { docvalue_fields => [ { field => 'd', format => 'yyyy' } ] })->{status}, 400, 'nor in another format');
};

subtest 'numeric_type date_nanos' => sub {
    mapped('dn', d => { type => 'date' }, n => { type => 'date_nanos' });
    $node->put('/dn/_doc/1?refresh=true', { d => '2020-01-01', n => '2020-01-01T00:00:00.000000001Z' });
    is((hits($node->post('/dn/_search', { sort => [ { n => { numeric_type => 'date_nanos' } } ] })))[0]{sort}[0], '1577836800000000001', 'of nanoseconds');
    my $r = $node->post('/dn/_search', { sort => [ { d => { numeric_type => 'date_nanos' } } ] });
    like($r->{content}, qr/\[numeric_type\] \[date_nanos\] is not supported on field \[d\] of type \[date\]/, 'of milliseconds it is refused');
};
$node->stop;
done_testing();
