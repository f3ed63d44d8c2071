#!/usr/bin/perl
# 093_api_shapes.t: shapes and words of answers: what clients of OpenSearch and of Elasticsearch read,
# which differs with compatibility.identity, and parameters that have to have their effect.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/lib';
use QdNode;
use Test::More;

my %node;
for my $who ('os2', 'es8') {
    $node{$who} = QdNode->new($who, settings => {'compatibility.identity' => $who});
    $node{$who}->start;
}
my $os = $node{os2};

sub ask { my ($node, $method, $path, $body) = @_; my $r = $node->request($method, $path, $body); return ($r->{status}, $r->{json}) }
sub at { my ($json, @path) = @_; $json = ref $json eq 'ARRAY' ? $json->[$_] : $json->{$_} for @path; return $json }

for my $who (sort keys %node) {
    my $n = $node{$who};
    is($n->put('/d', {mappings => {properties => {n => {type => 'integer'}, t => {type => 'text'}}}})->{status}, 200, "$who: an index");
    is($n->put('/s', {mappings => {dynamic => 'strict'}})->{status}, 200, "$who: a strict index");
    $n->put('/d/_doc/1?refresh', {n => 1, t => 'a'});
}

subtest 'a document that does not parse is told in the words of the product' => sub {
    my ($status, $json) = ask($os, 'PUT', '/d/_doc/2', '{"n":"x"}');
    is($status, 400, 'refused');
    is(at($json, 'error', 'type'), 'mapper_parsing_exception', 'OpenSearch: the type');
    like(at($json, 'error', 'reason'), qr/^failed to parse field \[n\] of type \[integer\]/, 'no position');
    is(at($json, 'error', 'root_cause', 0, 'type'), 'mapper_parsing_exception', 'its root cause');
    is(at($json, 'error', 'caused_by', 'type'), 'number_format_exception', 'its cause');
    (undef, $json) = ask($os, 'PUT', '/d/_doc/2', '{"n":');
    is(at($json, 'error', 'reason'), 'failed to parse', 'broken JSON: the detail is the cause\'s');
    is(at($json, 'error', 'caused_by', 'type'), 'json_e_o_f_exception', 'of the parser');
    unlike(at($json, 'error', 'caused_by', 'reason'), qr/^\[/, 'without a position before it');
    (undef, $json) = ask($os, 'POST', '/_bulk', qq({"index":{"_index":"d","_id":"3"}}\n{"n":"x"}\n));
    is(at($json, 'items', 0, 'index', 'error', 'type'), 'mapper_parsing_exception', 'an item of a bulk');
    (undef, $json) = ask($os, 'PUT', '/s/_doc/1', '{"a":1}');
    like(at($json, 'error', 'reason'), qr/^mapping set to strict/, 'a strict mapping');

    (undef, $json) = ask($node{es8}, 'PUT', '/d/_doc/2', '{"n":"x"}');
    is(at($json, 'error', 'type'), 'document_parsing_exception', 'Elasticsearch 8: its own type');
    like(at($json, 'error', 'reason'), qr/^\[1:\d+\] failed to parse field \[n\]/, 'with the position');
};

subtest 'other errors follow the product too' => sub {
    my (undef, $json) = ask($os, 'POST', '/d/_search', '{"query":');
    is(at($json, 'error', 'type'), 'json_e_o_f_exception', 'a search that is no JSON');
    (undef, $json) = ask($os, 'GET', '/none/_doc/1');
    is(at($json, 'error', 'resource.type'), 'index_expression', 'no index for a document');
    (undef, $json) = ask($os, 'GET', '/none/_search');
    is(at($json, 'error', 'resource.type'), 'index_or_alias', 'no index for a search');
    (undef, $json) = ask($os, 'PUT', '/x', {mappings => {properties => {a => {type => 'nosuch'}}}});
    like(at($json, 'error', 'reason'), qr/^Failed to parse mapping \[_doc\]: /, 'a mapping');
    (undef, $json) = ask($node{es8}, 'PUT', '/x', {mappings => {properties => {a => {type => 'nosuch'}}}});
    like(at($json, 'error', 'reason'), qr/^Failed to parse mapping: /, 'Elasticsearch 8: as it says');
    (undef, $json) = ask($os, 'PUT', '/x', {settings => {'index.foo' => 1}});
    like(at($json, 'error', 'reason'), qr/^unknown setting \[index\.foo\] please check/, 'no far-fetched suggestion');
};

subtest 'too many buckets fail the phase of a search' => sub {
    $os->put('/d/_doc/2?refresh', {n => 2});
    $_->put('/_cluster/settings', {persistent => {'search.max_buckets' => 1}}) for values %node;
    my $body = {size => 0, aggs => {n => {terms => {field => 'n'}}}};
    my ($status, $json) = ask($os, 'POST', '/d/_search', $body);
    is($status, 503, 'OpenSearch: 503');
    is(at($json, 'error', 'type'), 'search_phase_execution_exception', 'its type');
    is(at($json, 'error', 'caused_by', 'max_buckets'), 1, 'its cause');
    $_->put('/_cluster/settings', {persistent => {'search.max_buckets' => undef}}) for values %node;
};

subtest 'defaults that belong to a product' => sub {
    for my $n ($os, $node{es8}) {
        my $who = $n == $os ? 'os2' : 'es8';
        my $is = $n->get('/_cluster/settings?include_defaults=true&flat_settings=true')->{json};
        my %all = (%{$is->{defaults}}, %{$is->{persistent}});
        is($n->delete('/absent-*')->{status}, $who eq 'os2' ? 200 : 400, "$who: deleting by a pattern");
        my $caps = $n->get('/d/_field_caps?fields=n')->{json};
        is(exists at($caps, 'fields', 'n', 'integer')->{metadata_field} ? 1 : 0, $who eq 'os2' ? 0 : 1, "$who: metadata_field");
    }
};

subtest 'names of aliases may take others away' => sub {
    $os->put('/a', {aliases => {a1 => {}, a2 => {}, b1 => {}}});
    my $shown = sub { my ($s, $j) = ask($os, 'GET', "/_alias/$_[0]"); return "$s " . join ',', sort keys %{at($j, 'a', 'aliases') // {}} };
    is($shown->('b1,a*,-a1'), '200 a2,b1', 'one of a pattern');
    is($shown->('a1,b1,-a*'), '200 b1', 'a pattern of names');
    is(at($os->get('/_alias/zz,yy')->{json}, 'error'), 'aliases [yy,zz] missing', 'missing ones in order');
    $os->post('/_aliases', {actions => [{add => {index => 'a', alias => 'r', index_routing => 'i', routing => 'b'}}]});
    is_deeply(at($os->get('/_alias/r')->{json}, 'a', 'aliases', 'r'), {index_routing => 'i', search_routing => 'b'},
        'a routing of its own wins over that of both');
    is_deeply(at($os->get('/r/_search_shards')->{json}, 'indices', 'a', 'aliases'), ['r'], '_search_shards tells it');
    $os->put('/h', {settings => {'index.hidden' => 'true'}, aliases => {'.al' => {is_hidden => \1}}});
    like($os->get('/_cat/indices/.*?h=index')->{content}, qr/^h\s*$/m, 'a dot alias brings a hidden index in');
    unlike($os->get('/_cat/indices?h=index')->{content}, qr/^h\s*$/m, 'which is hidden else');
};

subtest 'templates are shown as they are understood' => sub {
    my $content = {settings => {number_of_shards => 1}, aliases => {a => {routing => 'b'}}};
    $os->put('/_template/x', {index_patterns => ['xx*'], %$content});
    $os->put('/_index_template/y', {index_patterns => ['yy*'], template => $content});
    my $x = at($os->get('/_template/x?flat_settings=true')->{json}, 'x');
    is_deeply($x->{settings}, {'index.number_of_shards' => '1'}, 'flat settings');
    is_deeply($x->{aliases}{a}, {index_routing => 'b', search_routing => 'b'}, 'both routings');
    my $y = at($os->get('/_index_template/y?flat_settings')->{json}, 'index_templates', 0, 'index_template', 'template');
    is_deeply($y->{settings}, {'index.number_of_shards' => '1'}, 'of an index template');
    is_deeply(at($os->get('/_template/x')->{json}, 'x', 'settings'), {index => {number_of_shards => '1'}}, 'nested unasked');
};

subtest 'parameters have their effect' => sub {
    is($os->put('/none-*/_settings?allow_no_indices=true', {'index.number_of_replicas' => 0})->{status}, 200, 'allow_no_indices');
    is($os->put('/none-*/_settings', {'index.number_of_replicas' => 0})->{status}, 404, 'without it');
    my $by = sub { $os->post("/d/_delete_by_query?$_[0]", $_[1])->{status} };
    my $none = {query => {match_none => {}}};
    is($by->('slices=2', {%$none, max_docs => 1}), 400, 'more slices than documents');
    is($by->('size=4', {%$none, max_docs => 5}), 400, 'two different numbers of documents');
    is($by->('requests_per_second=', $none), 400, 'no rate');
    is($by->('max_docs=3&size=3', $none), 200, 'the same number twice');
    my $merge = '/d/_forcemerge?only_expunge_deletes=true&max_num_segments=1';
    is($os->post($merge)->{status}, 200, 'OpenSearch takes both of a merge');
    is($node{es8}->post($merge)->{status}, 400, 'Elasticsearch does not');
    my $r = $os->post('/_cluster/reroute?explain&dry_run', {commands => [{cancel => {index => 'd', shard => 9, node => 'os2'}}]});
    is(at($r->{json}, 'explanations', 0, 'decisions', 0, 'decision'), 'NO', 'a shard that is not there is explained');
    my (undef, $json) = ask($os, 'POST', '/_bulk?refresh=true', qq({"update":{"_index":"d","_id":"1"}}\n{"doc":{"n":1}}\n));
    is(at($json, 'items', 0, 'update', 'result'), 'noop', 'an update that changes nothing');
    ok(at($json, 'items', 0, 'update', 'forced_refresh'), 'is refreshed all the same');
    is(at($json, 'items', 0, 'update', '_shards', 'successful'), 1, 'and counted');
};

subtest 'what clients decode by type' => sub {
    my $s = $os->get('/_cluster/stats')->{content};
    like($s, qr/"shards":\{"min":\d+,"max":\d+,"avg":[\d.]+\},"primaries":\{"min":\d+,"max":\d+,/, 'numbers of shards are integers');
    my $d = at($os->get('/d/_settings?include_defaults=true&flat_settings=true')->{json}, 'd', 'defaults');
    is_deeply([map { $d->{"index.sort.$_"} } qw(field order mode missing)], [[], [], [], []], 'empty lists are lists');
    my $type = sub { $os->request('GET', '/_cat/indices', undef, accept => $_[0])->{headers}{'content-type'} };
    like($type->('application/json, text/plain, */*'), qr{^text/plain}, 'of several types none is chosen');
    like($type->('application/json'), qr{^application/json}, 'one is');
    my ($n) = values %{at($os->get('/_nodes/stats')->{json}, 'nodes')};
    is(at($n, 'jvm', 'gc', 'collectors', 'young', 'collection_count'), 0, 'collectors that monitors read');
    ok(exists at($n, 'indices', 'segments')->{fixed_bit_set_memory_in_bytes}, 'the name of the bit sets');
    my $usage = $os->get('/_nodes/usage')->{json};
    is(at($usage, '_nodes', 'total'), 1, '_nodes/usage tells of the node');
    ok((values %{$usage->{nodes}})[0]{rest_actions}{index} > 0, 'what was asked of it');
    my ($a) = values %{at($os->get('/_nodes/aggregations')->{json}, 'nodes')};
    is_deeply(at($a, 'aggregations', 'avg', 'types'), ['boolean', 'date', 'numeric'], 'its aggregations');
    my ($segment) = values %{at($os->get('/a/_segments')->{json}, 'indices', 'a', 'shards', '0', 0, 'segments')};
    ok(!defined $segment, 'an empty index has no segment');
    like($os->get('/_cat/segments/d?h=segment')->{content}, qr/^_[0-9a-z]+\s*$/m, 'segments are numbered as Lucene does');
};

subtest 'a profile has the members that decoders require' => sub {
    my $p = $os->post('/d/_search', {profile => \1, query => {match => {t => 'a'}}})->{json}{profile}{shards}[0];
    my $s = $p->{searches}[0];
    like($p->{id}, qr/^\[[^\]]+\]\[d\]\[0\]$/, 'the shard');
    ok($s->{query}[0]{time_in_nanos} > 0, 'the time of the query');
    is($s->{query}[0]{breakdown}{next_doc_count}, 1, 'its breakdown');
    ok(exists $s->{rewrite_time} && exists $s->{collector}[0]{time_in_nanos}, 'rewriting and collecting');
    my ($n) = values %{at($os->get('/_nodes/settings')->{json}, 'nodes')};
    is(ref at($n, 'settings', 'path', 'data'), 'ARRAY', 'the data folder of a node is a list');
    ok(length at($n, 'settings', 'path', 'home'), 'beside its home');
};

subtest 'a block is added to an index' => sub {
    $os->put('/b', {});
    my ($status, $json) = ask($os, 'PUT', '/b/_block/write');
    is($status, 200, 'write');
    is_deeply($json, {acknowledged => JSON::PP::true, shards_acknowledged => JSON::PP::true, indices => [{name => 'b', blocked => JSON::PP::true}]}, 'the answer');
    is($os->put('/b/_doc/1', {a => 1})->{status}, 403, 'it is in force');
    is($os->put('/b/_block/none')->{status}, 400, 'no such block');
    is($os->put('/none/_block/write')->{status}, 404, 'no such index');
};

$_->stop for values %node;
done_testing;
