#!/usr/bin/perl
# 169_client_answers.t: answers that clients of others read strictly or send back: sort values of missing dates, members of statistics and of
# data streams, OpenSearch's script knn_score and its functions of vectors, require_alias of a reindex.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $es = QdNode->new('answers8');
$es->start;
my $os = QdNode->new('answers2', settings => { 'compatibility.identity' => 'os2' });
$os->start;

# --- missing dates: what a search tells goes back as search_after, in any format ---
$es->put('/d', { mappings => { properties => { at => { type => 'date' }, ns => { type => 'date_nanos' } } } });
$es->put("/d/_doc/$_->[0]?refresh=true", $_->[1]) for [1, { at => '2024-01-01', ns => '2024-01-01' }], [2, {}];
sub sorted { my ($key, $after) = @_; return $es->post('/d/_search', { sort => [$key], $after ? (search_after => [$after]) : () })->{json}{hits}{hits} }
my %told = (
    'at asc _last' => '+292278994-08-17T07:12:55.807Z', 'at asc _first' => '-292275055-05-16T16:47:04.192Z', 'at desc _last' => '-292275055-05-16T16:47:04.192Z',
    'ns asc _last' => '2262-04-11T23:47:16.854Z', 'ns asc _first' => '1970-01-01T00:00:00.000Z');
for my $case (sort keys %told) {
    my ($field, $order, $missing) = split / /, $case;
    my $key = { $field => { order => $order, missing => $missing, format => 'strict_date_optional_time' } };
    my $hits = sorted($key);
    my ($lost) = grep { $_->{_id} eq '2' } @$hits;
    is($lost->{sort}[0], $told{$case}, "$case: what stands for a missing date has the format");
    is_deeply([ map { $_->{_id} } @{ sorted($key, $hits->[0]{sort}[0]) } ], [ $hits->[1]{_id} ], "$case: the page behind the first hit");
    is_deeply(sorted($key, $hits->[1]{sort}[0]), [], "$case: nothing lies behind the last one");
}
is($es->post('/d/_search', { sort => [{ at => 'asc' }] })->{content} =~ /"sort":\[9223372036854775807\]/, 1, 'without a format it is a number');

# --- members that decoders want ---
my $stats = $es->get('/_cluster/stats')->{json};
ok(exists $stats->{indices}{fielddata}{global_ordinals}{build_time_in_millis} && exists $stats->{indices}{search}{total} && exists $stats->{indices}{dense_vector}{value_count}
    && $stats->{indices}{mappings}{source_modes}{stored} == 1 && exists $stats->{nodes}{indexing_pressure}{memory} && exists $stats->{snapshots}{current_counts} && exists $stats->{ccs}{_search},
    '_cluster/stats has them all');
ok(!exists $os->get('/_cluster/stats')->{json}{ccs}, 'under another identity it has not');
$es->put('/_index_template/s', { index_patterns => ['s-*'], data_stream => {} });
$es->put('/_data_stream/s-a');
my $stream = $es->get('/_data_stream/s-a')->{json}{data_streams}[0];
is($stream->{next_generation_managed_by}, 'Unmanaged', 'a data stream tells who manages its next index');
ok($stream->{prefer_ilm} && !exists $stream->{settings}, 'and the rest that version 8 has');

like($es->get('/_nodes/settings')->{content}, qr/"xpack":\{"installed":"true"\}/, '_nodes has attributes among the settings');
$es->put('/_ingest/pipeline/p', { processors => [] });
like($es->get('/_nodes/stats/ingest')->{content}, qr/"p":\{[^}]*"ingested_as_first_pipeline_in_bytes":0/, 'statistics of a pipeline');
like($os->get('/_nodes/stats/fs')->{content}, qr/"data":\[\{"path":"[^"]+","mount":"/, 'data of fs have a mount');

# --- versions of creations that say nothing ---
my $bulk = $es->post('/_bulk', join '', map { qq({"create":{"_index":"c","_id":"$_->[0]","version":$_->[1]}}\n{}\n) } [1, -4], [2, -3]);
is_deeply([ map { $_->{create}{status} } @{ $bulk->{json}{items} } ], [201, 201], 'a creation takes the versions that HLRC names');
is($es->post('/_bulk', qq({"create":{"_index":"c","_id":"3","version":4}}\n{}\n))->{status}, 400, 'and no other');

# --- require_alias ---
my $r = $es->post('/_reindex?require_alias=true', { source => { index => 'd' }, dest => { index => 'e' } });
is($r->{status}, 404, 'a reindex that requires an alias');
is($r->{json}{error}{reason}, 'no such index [e] and [require_alias] request flag is [true] and [e] is not an alias', 'says what is missing');
is($es->get('/e')->{status}, 404, 'and makes no index');
$es->post('/_aliases', { actions => [{ add => { index => 'd', alias => 'da' } }] });
$es->put('/e', { aliases => { ea => {} } });
is($es->post('/_reindex?require_alias=true', { source => { index => 'd' }, dest => { index => 'ea' } })->{json}{created}, 2, 'into an alias it goes');

# --- scripts of OpenSearch over vectors ---
$os->put('/v', { mappings => { properties => { v => { type => 'knn_vector', dimension => 3 }, b => { type => 'knn_vector', dimension => 16, data_type => 'binary' }, hidden => { type => 'knn_vector', dimension => 3, index => JSON::PP::false } } } });
$os->post('/_bulk?refresh=true', join '', map { qq({"index":{"_index":"v","_id":"$_->[0]"}}\n) . JSON::PP::encode_json($_->[1]) . "\n" }
    [1, { v => [1, 2, 2], hidden => [1, 0, 0], b => [1, 0] }], [2, { v => [-3, 0, 4], hidden => [0, 1, 0], b => [-1, -1] }], [3, { b => [1, 0] }]);
sub scores {
    my ($script) = @_;
    my $r = $os->post('/v/_search', { query => { script_score => { query => { match_all => {} }, script => $script } } });
    return $r->{status} == 200 ? { map { ($_->{_id} => sprintf '%.5f', $_->{_score}) } @{ $r->{json}{hits}{hits} } } : $r->{json}{error}{root_cause}[0];
}
sub knn { my ($space, $value, $field) = @_; return scores({ lang => 'knn', source => 'knn_score', params => { field => $field // 'v', query_value => $value, space_type => $space } }) }
is_deeply(knn(l2 => [1, 0, 0]), { 1 => '0.11111', 2 => '0.03030', 3 => '0.00000' }, 'knn_score with l2; a document without a vector has 0');
is_deeply(knn(l1 => [1, 0, 0]), { 1 => '0.20000', 2 => '0.11111', 3 => '0.00000' }, 'l1');
is_deeply(knn(linf => [1, 0, 0]), { 1 => '0.33333', 2 => '0.20000', 3 => '0.00000' }, 'linf');
is_deeply(knn(cosinesimil => [1, 0, 0]), { 1 => '1.33333', 2 => '0.40000', 3 => '0.00000' }, 'cosinesimil');
is_deeply(knn(innerproduct => [1, 0, 0]), { 1 => '2.00000', 2 => '0.25000', 3 => '0.00000' }, 'innerproduct');
is_deeply(knn(hamming => [1, 0], 'b'), { 1 => '1.00000', 2 => '0.06250', 3 => '1.00000' }, 'hamming');
like(knn(none => [1, 0, 0])->{caused_by}{reason} // JSON::PP::encode_json(knn(none => [1, 0, 0])), qr/Invalid space type: none|runtime error/, 'a space that does not exist');
is(scores({ lang => 'knn', source => 'other' })->{reason}, 'Unknown script name other', 'another script');
my %q = (params => { q => [1, 0, 0] });
is(scores({ source => "doc['v'].size() == 0 ? 0 : 1 / (1.0 + l2Squared(params.q, doc['v']))", %q })->{1}, '0.11111', 'l2Squared of a field');
is(scores({ source => "doc['v'].size() == 0 ? 0 : l1Norm(params.q, doc['v']) + lInfNorm(params.q, doc['v'])", %q })->{2}, '12.00000', 'l1Norm and lInfNorm');
is(scores({ source => "doc['v'].size() == 0 ? 0 : 1.0 + cosineSimilarity(params.q, doc['v'])", %q })->{1}, '1.33333', 'cosineSimilarity');
is(scores({ source => "doc['v'].size() == 0 ? 0 : 4.0 + innerProduct(params.q, doc['v'])", %q })->{2}, '1.00000', 'innerProduct');
is(knn(l2 => [1, 0, 0], 'hidden')->{1}, '1.00000', 'a script reads a field that is not searched');
is($os->post('/v/_search', { query => { knn => { hidden => { vector => [1, 0, 0], k => 1 } } } })->{status}, 400, 'the query knn does not');
is($os->get('/v/_mapping')->{json}{v}{mappings}{properties}{hidden}{index}, JSON::PP::false, 'the mapping shows it');

# --- what the high level REST client and Kibana send
is($es->put('/one/_create/1?version=-4&refresh=true', { n => 1 })->{status}, 201, 'a create with the version of documents that are not there');
is($es->put('/one/_create/1?version=-4', { n => 1 })->{status}, 409, '... which is there now');
is_deeply($es->post('/_mget', { docs => [ { _index => 'one', _id => '1', _source => undef } ] })->{json}{docs}[0]{_source}, { n => 1 }, '_source null of an item of _mget says nothing');
$es->put("/one/_doc/$_?refresh=true", { n => $_ }) for 2, 3;
my $sorted = $es->post('/one/_update_by_query?refresh=true', { sort => [ { n => 'desc' } ], max_docs => 1, script => { source => 'ctx._source.n = 30' } });
is("$sorted->{status} $sorted->{json}{updated}", '200 1', '_update_by_query with a sort');
is($es->get('/one/_doc/3')->{json}{_source}{n}, 30, '... takes the first by it');

is($_->stop, 0, 'a node ends cleanly') for $es, $os;
done_testing;
