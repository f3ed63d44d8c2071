#!/usr/bin/perl
# 043_refusals.t: what a node refuses and in which words, and what it must not do meanwhile; found by
# comparing with OpenSearch (tests/long/060_oracle.t), kept here to be quick.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/lib';
use JSON::PP ();
use QdNode;
use Test::More;

my $node = QdNode->new('refusals', settings => {'action.destructive_requires_name' => 'false'});
$node->start;

# One request: its status, and the error's type and reason ("type: reason"), or its text.
sub answer {
    my ($method, $path, $body) = @_;
    my $r = $node->request($method, $path, $body);
    my $e = ($r->{json} // {})->{error} // '';
    return "$r->{status}" . ($e eq '' ? '' : ref $e ? " $e->{type}: $e->{reason}" : " $e");
}

sub refuses {
    my ($method, $path, $body, $want) = @_;
    my $got = answer($method, $path, $body);
    if (ref $want) { like($got, $want, "$method $path " . ($body // '')) }
    else           { is($got, $want, "$method $path " . ($body // '')) }
}

is(answer('PUT', '/i/_doc/1', '{"a":1,"s":"x"}'), '201', 'a document');

# Paths and parameters.
refuses('GET', '/i/_doc', undef, qr/^405 Incorrect HTTP method for uri \[\/i\/_doc\] and method \[GET\], allowed: \[POST\]/);
refuses('GET', '/_bulk', undef, qr/^405 Incorrect HTTP method/);
refuses('GET', '/i/1', undef, '400 no handler found for uri [/i/1] and method [GET]');
is($node->get('/i/1')->{content}, '{"error":"no handler found for uri [/i/1] and method [GET]"}', 'no status in it');
refuses('DELETE', '/', undef, '400 action_request_validation_exception: Validation Failed: 1: index / indices is missing;');
refuses('GET', '/i/_doc/1?prety&bogus', undef,
    '400 illegal_argument_exception: request [/i/_doc/1] contains unrecognized parameters: [prety] -> did you mean [pretty]?, [bogus]');
refuses('GET', '/i/_doc/1?version=x', undef, '400 illegal_argument_exception: Failed to parse long parameter [version] with value [x]');
is($node->get('/i/_doc/1?version=x')->{json}{error}{caused_by}{type}, 'number_format_exception', 'with its cause');
refuses('GET', '/nope/_doc/1?filter_path=found', undef, qr/^404 index_not_found_exception/);
refuses('GET', '/i,j/_doc/1', undef, '404 index_not_found_exception: no such index [i,j]');
like($node->get('/')->{content}, qr/^\{\n/, 'the first page is indented');
is($node->request('PUT', '/i/_doc/2', '{}', 'content-type' => 'nonsense')->{json}{error}{type}, 'media_type_header_exception', 'no media type');

# Time zones that are none, wherever a query stands.
for my $zone ('Nowhere/City', '+19:00', 'UTC+25') {
    my $query = JSON::PP->new->canonical->encode({query => {query_string => {query => 'a', time_zone => $zone}}});
    refuses('POST', $_, $query, qr/^400 illegal_argument_exception: java\.time\.(zone\.ZoneRules|DateTime)Exception: /)
        for '/i/_search', '/i/_count', '/i/_explain/1', '/i/_delete_by_query';
    my $r = $node->post('/i/_validate/query?explain', $query);
    is($r->{status}, 200, "_validate: $zone");
    is($r->{json}{valid} ? 1 : 0, 0, 'is not valid');
    like($r->{json}{error}, qr/java\.time\./, 'and says why');
}

# Documents.
refuses('PUT', '/i/_doc/2?wait_for_active_shards=x', '{}', '400 illegal_argument_exception: cannot parse ActiveShardCount[x]');
refuses('PUT', '/i/_doc/2?wait_for_active_shards=2&timeout=1s', '{}',
    '503 unavailable_shards_exception: [i][0] Not enough active copies to meet shard count of [2] (have 1, needed 2). Timeout: [1s], request: [BulkShardRequest [[i][0]]]');
refuses('PUT', '/i/_doc/2', '{"_id":"x"}', qr/^400 document_parsing_exception: \[1:8\] failed to parse field \[_id\] of type \[_id\] in document with id '2'\. Preview/);
refuses('PUT', '/i/_doc/2', '{"a":NaN}', qr/Non-standard token 'NaN'/);
refuses('PUT', '/i/_doc/2', '{"a":1} x', qr/Unrecognized token 'x'/);
refuses('PUT', '/i/_doc/2', '{"...":1}', qr/field name cannot contain only dots/);
refuses('PUT', '/i/_doc/1?version=1&if_seq_no=1&if_primary_term=1', '{}', qr/1: internal versioning can not .*;2: compare and write operations can not use versioning;$/);
refuses('POST', '/i/_doc?version=1&version_type=external', '{}', qr/1: create operations only support internal versioning/);
refuses('GET', '/i/_doc/1?version=0', undef, qr/^400 .*illegal version value \[0\] for version type \[INTERNAL\]/);
is($node->get('/i/_doc/1?version=7')->{json}{error}{index}, 'i', 'a conflict of a read names its index');

# Updates: nothing is done for one that cannot be.
refuses('POST', '/new/_update/1', '{}', '400 action_request_validation_exception: Validation Failed: 1: script or doc is missing;');
is(answer('HEAD', '/new'), '404', 'and no index is made');
refuses('POST', '/i/_update/1', '{"upsert":{}}', qr/1: script or doc is missing;/);
refuses('POST', '/i/_update/1', '{"doc":3}', q{400 x_content_parse_exception: [1:8] [UpdateRequest] doc doesn't support values of type: VALUE_NUMBER});
refuses('POST', '/i/_update/1?if_seq_no=9&if_primary_term=1', '{"doc":{"a":1}}', qr/^409 version_conflict_engine_exception: \[1\]: version conflict, required seqNo \[9\]/);
refuses('POST', '/i/_update/1?if_seq_no=0&if_primary_term=1&retry_on_conflict=1', '{"doc":{}}', qr/can not be retried/);
refuses('POST', '/_bulk', qq({"index":{"_index":"i","_id":"b1"}}\n{}\n{"update":{"_index":"i","_id":"1"}}\n{}\n), qr/^400 .*script or doc is missing/);
is($node->get('/i/_doc/b1')->{json}{found}, JSON::PP::false, 'a bulk request that cannot be read does nothing');
my $noop = $node->post('/_bulk', qq({"update":{"_index":"i","_id":"1"}}\n{"doc":{"a":1}}\n))->{json}{items}[0]{update};
is("$noop->{result} $noop->{_shards}{successful}", 'noop 1', 'an update that changes nothing counts its shard');

# Reads of many.
refuses('POST', '/i/_mget', '{"bogus":[]}', '400 parsing_exception: unknown key [bogus] for a START_ARRAY, expected [docs] or [ids]');
refuses('POST', '/i/_mget', '{"docs":["1"]}', '400 illegal_argument_exception: docs array element should include an object');
refuses('POST', '/i/_mget', undef, '400 parse_exception: request body or source parameter is required');

# Blocks.
is(answer('PUT', '/i/_settings', '{"index.blocks.read_only":true}'), '200', 'read-only');
for (['PUT', '/i/_doc/1', '{}'], ['PUT', '/i/_mapping', '{"properties":{}}'], ['DELETE', '/i'], ['POST', '/i/_close'],
    ['PUT', '/i/_alias/x'], ['PUT', '/i/_settings', '{"refresh_interval":"1s"}'],
    ['POST', '/_aliases', '{"actions":[{"remove_index":{"index":"i"}}]}']) {
    refuses(@$_[0, 1, 2], '403 cluster_block_exception: index [i] blocked by: [FORBIDDEN/5/index read-only (api)];');
}
is(answer('PUT', '/i/_settings', '{"index.blocks.read_only":null,"index.blocks.write":null}'), '200', 'no longer');
is(answer('PUT', '/i/_settings', '{"index.blocks.read":true}'), '200', 'not to be read');
refuses('GET', '/i/_doc/1', undef, '403 cluster_block_exception: index [i] blocked by: [FORBIDDEN/7/index read (api)];');
is(answer('PUT', '/i/_settings', '{"index.blocks.read":false}'), '200', 'read again');

# Settings, mappings, aliases.
refuses('PUT', '/i/_settings', '{"number_of_shards":3}', qr/^400 .*Can't update non dynamic settings \[\[index\.number_of_shards\]\] for open indices \[\[i\//);
refuses('PUT', '/i/_settings', '{}', qr/no settings to update/);
refuses('PUT', '/j', '{"settings":{"number_of_shards":"x"}}', '400 illegal_argument_exception: Failed to parse value [x] for setting [index.number_of_shards]');
refuses('PUT', '/j', '{"mappings":{"_doc":{}}}', '400 illegal_argument_exception: The mapping definition cannot be nested under a type');
refuses('PUT', '/j', '{"settings":', '400 parse_exception: Failed to parse content to map');
refuses('PUT', '/j?wait_for_active_shards=5', undef, qr/invalid wait_for_active_shards\[5\]: cannot be greater than number of shard copies \[2\]/);
refuses('PUT', '/j', '{"mappings":{"properties":{"_id":{"type":"keyword"}}}}', qr/Field \[_id\] is defined more than once/);
is(answer('HEAD', '/j'), '404', 'none of them made an index');
is(answer('HEAD', '/j*'), '200', 'a pattern may match nothing');
refuses('PUT', '/i/_alias/a', '{"filter":{"nix":{}}}', '400 illegal_argument_exception: failed to parse filter for alias [a]');
refuses('PUT', '/i/_alias/a', '{"index_routing":"1,2"}', '400 illegal_argument_exception: alias [a] has several index routing values associated with it');
is(answer('PUT', '/i/_alias/a'), '200', 'an alias');
refuses('POST', '/_aliases', '{"actions":[{"remove_index":{"index":"a"}}]}', qr/^400 illegal_argument_exception: The provided expression \[a\] matches an alias/);
refuses('POST', '/_aliases', '{"actions":[{"add":{"alias":"b"}}]}', '400 x_content_parse_exception: [1:34] [aliases] failed to parse field [actions]');
is(answer('HEAD', '/i'), '200', 'the index is still there');

# What the mapping leaves out is left out of a document read from the log, too.
is(answer('PUT', '/s', '{"mappings":{"_source":{"excludes":["b"]}}}'), '200', 'an index');
$node->put('/s/_doc/1', '{"a":1,"b":2}');
is_deeply($node->get('/s/_doc/1')->{json}{_source}, {a => 1}, 'read at once, without what is excluded');

is(answer('POST', '/i/_delete_by_query?slices=0', '{"query":{"match_all":{}}}'),
    '400 illegal_argument_exception: [slices] must be a positive integer or the string "auto", but was [0]', 'slices');
$node->stop;
done_testing;
