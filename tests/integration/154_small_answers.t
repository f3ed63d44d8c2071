# Small APIs and answers of the reference: stores of shards, remote clusters, forced merges of primaries, openings in
# the background, exclusions of nodes that are not there, names with date math, parts of analysis in statistics,
# copies that a search would ask, and mappings whose templates alone may bring fields.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;

my $n = QdNode->new('small', settings => {'compatibility.identity' => 'os2'});
$n->start;
sub error { my ($r) = @_; return "$r->{status} " . ($r->{json}{error}{type} // '') . ' ' . ($r->{json}{error}{reason} // '') }

subtest 'stores of shards' => sub {
    is($n->get('/_shard_stores')->{content}, '{"indices":{}}', 'no index');
    $n->put('/one', {settings => {number_of_shards => 2, number_of_replicas => 0}});
    $n->put('/two', {settings => {number_of_shards => 1, number_of_replicas => 1}});
    $n->get('/_cluster/health/one?wait_for_status=green');
    $n->get('/_cluster/health/two?wait_for_status=yellow');
    is_deeply([sort keys %{ $n->get('/_shard_stores')->{json}{indices} }], ['two'], 'shards that lack a copy');
    my $all = $n->get('/_shard_stores?status=all')->{json}{indices};
    is_deeply([map { $all->{one}{shards}{$_}{stores}[0]{allocation} } 0, 1], ['primary', 'primary'], 'all of them');
    my ($id) = grep { ref $all->{one}{shards}{0}{stores}[0]{$_} } keys %{ $all->{one}{shards}{0}{stores}[0] };
    is($all->{one}{shards}{0}{stores}[0]{$id}{name}, 'small', 'with the node');
    is_deeply([keys %{ $n->get('/one/_shard_stores?status=green')->{json}{indices} }], ['one'], 'of one index');
    like(error($n->get('/_shard_stores?status=blue')), qr/^400 illegal_argument_exception unknown cluster health status \[blue\]/, 'another status');
    is($n->get('/none/_shard_stores')->{status}, 404, 'no such index');
    is($n->get('/_remote/info')->{content}, '{}', 'there are no remote clusters');
};

subtest 'merges and openings' => sub {
    my $r = $n->post('/one,two/_forcemerge?primary_only=true');
    is($r->{json}{_shards}{total}, 3, 'primaries alone') or diag $r->{content};
    is($n->post('/one,two/_forcemerge')->{json}{_shards}{total}, 4, 'all copies');
    $n->post('/one/_close');
    like(error($n->post('/one/_open?task_execution_timeout=1s')), qr/has an effect only with \[wait_for_completion=false\]/, 'a time for the task alone');
    my $task = $n->post('/one/_open?wait_for_completion=false&task_execution_timeout=30s')->{json}{task};
    my $end = $n->get("/_tasks/$task?wait_for_completion=true")->{json};
    is_deeply([@{ $end->{task} }{qw(action description)}, $end->{response}{acknowledged} ? 1 : 0], ['indices:admin/open', 'open indices [one]', 1], 'in the background');
    $n->put('/quiet', {settings => {number_of_replicas => 0}});
    $n->post('/quiet/_flush');
    is($n->get('/quiet/_stats/flush')->{json}{_all}{total}{flush}{total}, 1, 'a flush of nothing counts');
};

subtest 'exclusions of nodes that are not there' => sub {
    my $list = sub { [map { "$_->{node_id} $_->{node_name}" } @{ $n->get('/_cluster/state/metadata')->{json}{metadata}{cluster_coordination}{voting_config_exclusions} }] };
    is_deeply($list->(), [], 'none');
    is($n->post('/_cluster/voting_config_exclusions?node_ids=gone1,gone2')->{status}, 200, 'by id');
    is($n->post('/_cluster/voting_config_exclusions?node_names=lost')->{status}, 200, 'by name');
    is($n->post('/_cluster/voting_config_exclusions?node_names=lost')->{status}, 200, 'again');
    is_deeply($list->(), ['gone1 _absent_', 'gone2 _absent_', '_absent_ lost'], 'they are kept');
    $n->restart;
    is_deeply($list->(), ['gone1 _absent_', 'gone2 _absent_', '_absent_ lost'], '... over a restart');
    like(error($n->post('/_cluster/voting_config_exclusions?node_ids=' . join ',', map { "x$_" } 1 .. 9)), qr/^400 .*would exceed the maximum number/, 'but no more than ten');
    is($n->delete('/_cluster/voting_config_exclusions')->{status}, 200, 'all are taken back');
    is_deeply($list->(), [], 'none is left');
};

subtest 'names, statistics, copies' => sub {
    $n->put('/%3Clogs-%7Bnow%2Fd%7D%3E/_doc/1', {a => 1});
    $n->post('/_bulk', qq({"index":{"_index":"<blk-{now/d}>"}}\n{"a":1}\n));
    is_deeply([map { (values %{ $n->get("/$_-*/_settings")->{json} })[0]{settings}{index}{provided_name} } 'logs', 'blk'], ['<logs-{now/d}>', '<blk-{now/d}>'], 'an index keeps the name that it was asked for by');
    $n->put('/an', {settings => {analysis => {filter => {s => {type => 'stop'}}, analyzer => {c => {tokenizer => 'keyword', filter => ['trim', 's']}}}}, mappings => {properties => {t => {type => 'text', analyzer => 'french'}, u => {type => 'text', analyzer => 'c'}}}});
    my $a = $n->get('/_cluster/stats')->{json}{indices}{analysis};
    is_deeply({map { my $k = $_; $k => join ',', map { "$_->{name} $_->{count} $_->{index_count}" } @{ $a->{$k} } } keys %$a}, {
        char_filter_types => '', tokenizer_types => '', filter_types => 'stop 1 1', analyzer_types => 'custom 1 1',
        built_in_char_filters => '', built_in_tokenizers => 'keyword 1 1', built_in_filters => 'trim 1 1', built_in_analyzers => 'french 1 1'}, 'parts of analysis');
    $n->put('/seven', {settings => {number_of_shards => 7, number_of_replicas => 0}});
    $n->post('/_aliases', {actions => [{add => {index => 'seven', alias => 'f', filter => {term => {k => 'v'}}}}]});
    $n->get('/_cluster/health/seven?wait_for_status=green');
    my $r = $n->request('POST', '/seven/_search_shards', {slice => {id => 1, max => 3}});
    is_deeply([map { $_->[0]{shard} } @{ $r->{json}{shards} }], [1, 4], 'a slice of shards') or diag $r->{content};
    like(error($n->request('POST', '/seven/_search_shards', {slice => {id => 3, max => 3}})), qr/^400 .*max must be greater than id/, 'one that is none');
    is_deeply($n->get('/f/_search_shards')->{json}{indices}, {seven => {aliases => ['f'], filter => {term => {k => {value => 'v', boost => 1}}}}}, 'the filter of an alias as Elasticsearch writes it');
    like(error($n->post('/_aliases', {actions => [{remove => {index => 'seven', aliases => []}}]})), qr/^400 .*/, 'an empty list of aliases');
};

subtest 'strict_allow_templates' => sub {
    my $templates = [{k => {match => 'k*', match_mapping_type => 'string', mapping => {type => 'keyword'}}}, {o => {match => 'o*', match_mapping_type => 'object', mapping => {type => 'object'}}}];
    is($n->put('/st', {mappings => {dynamic => 'strict_allow_templates', dynamic_templates => $templates}})->{status}, 200, 'a mapping');
    is($n->get('/st/_mapping')->{json}{st}{mappings}{dynamic}, 'strict_allow_templates', 'is shown');
    is($n->put('/st/_doc/1', {key => 'v', obj => {kind => 'w'}})->{status}, 201, 'fields that a template fits');
    is($n->get('/st/_mapping')->{json}{st}{mappings}{properties}{key}{type}, 'keyword', '... get its definition');
    for my $doc ({other => 'v'}, {k => 5}, {obj => {x => 1}}, {p => {k => 'v'}}) {
        like(error($n->put('/st/_doc/2', $doc)), qr/^400 strict_dynamic_mapping_exception .*mapping set to strict_allow_templates, dynamic introduction of \[\w+\] within \[\w+\] is not allowed/, 'another field');
    }
    $n->restart;
    is($n->put('/st/_doc/3', {kk => 'v'})->{status}, 201, 'after a restart');
};

subtest 'bitmaps of terms' => sub {
    $n->put('/bm', {mappings => {properties => {i => {type => 'integer'}, b => {type => 'binary', store => JSON::PP::true}}}});
    $n->post('/bm/_bulk?refresh=true', join '', map { qq({"index":{"_id":"$_"}}\n{"i":$_}\n) } 111, 222, 333, 70000);
    $n->put('/bm/_doc/set?refresh=true', {b => 'OjAAAAEAAAAAAAEAEAAAAG8A3gA='});
    my $ask = sub { my ($v, @more) = @_; return $n->post('/bm/_search', {query => {terms => {i => $v, value_type => 'bitmap', @more}}, sort => ['i']}) };
    my $ids = sub { join ' ', map { $_->{_id} } @{ $_[0]{json}{hits}{hits} || [] } };
    is($ids->($ask->(['OjAAAAEAAAAAAAEAEAAAAG8A3gA='])), '111 222', 'numbers of a bitmap');
    is($ids->($ask->({index => 'bm', id => 'set', path => 'b', store => JSON::PP::true})), '111 222', '... of another document');
    # RoaringFormatSpec: one container of runs (100 to 250), one of an array (70000)
    my $runs = pack 'vvC vv vv v vv v', 12347, 1, 1, 0, 150, 1, 0, 1, 100, 150, 70000 - 65536;
    require MIME::Base64;
    is($ids->($ask->([MIME::Base64::encode_base64($runs, '')])), '111 222 70000', 'runs');
    my $dense = pack('VV vv V', 12346, 1, 0, 65535, 16) . "\xff" x 8192;
    is($ids->($ask->([MIME::Base64::encode_base64($dense, '')])), '111 222 333', 'a dense container');
    for my $cut (0 .. length($runs) - 1) {
        my $r = $ask->([MIME::Base64::encode_base64(substr($runs, 0, $cut), '')]);
        is(error($r), '400 illegal_argument_exception Failed to deserialize the bitmap.', "cut at $cut") if $cut % 5 == 0;
    }
    like(error($ask->(['!!'])), qr/Failed to deserialize the bitmap/, 'no base64');
    like(error($ask->([1, 2])), qr/Expected a single-element array/, 'several values');
    my $many = pack('VV', 12346, 16) . join('', map { pack 'vv', $_, 65535 } 0 .. 15) . ("\0" x 64) . ("\xff" x (8192 * 16));
    like(error($ask->([MIME::Base64::encode_base64($many, '')])), qr/the bitmap has \[1048576\] values, at most \[65536\] are allowed/, 'too many');
    like(error($n->post('/bm/_search', {query => {terms => {i => [1], value_type => 'x'}}})), qr/Unsupported value type \[x\]/, 'another type');
};

$n->stop;
done_testing;
