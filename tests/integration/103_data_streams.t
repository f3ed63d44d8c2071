# Data streams on three nodes: made by the first write, written to at the newest index, read by one name, rolled over,
# changed by query; what programs may not do; a node that dies, and a restart of all.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use POSIX qw(strftime);

my $c = QdCluster->new('ds', nodes => 3);
$c->start;
my @n = $c->nodes;
my $day = strftime('%Y.%m.%d', gmtime);
sub backing { my ($s, $g) = @_; return sprintf '.ds-%s-%s-%06d', $s, $day, $g }
sub indices { my ($n, $s) = @_; return join ' ', map { $_->{index_name} } @{ $n->get("/_data_stream/$s")->{json}{data_streams}[0]{indices} } }
sub reason { return $_[0]{json}{error}{reason} // '' }

is($n[0]->put('/_index_template/logs', {index_patterns => ['logs-*'], priority => 10, data_stream => {}, _meta => {by => 'test'},
    template => {settings => {number_of_replicas => 1}, mappings => {properties => {level => {type => 'keyword'}}}, aliases => {everything => {}}}})->{status}, 200, 'a template with data_stream');

subtest 'the first write makes it' => sub {
    my $r = $n[1]->post('/logs-app/_doc?refresh=true', {'@timestamp' => '2026-01-01T00:00:00Z', level => 'info'});
    is($r->{status}, 201, 'a document without an id') or diag $r->{content};
    is($r->{json}{_index}, backing('logs-app', 1), 'is in the first index');
    is($n[2]->put('/logs-app/_create/7?refresh=true', {'@timestamp' => 1767312000000, level => 'warn'})->{status}, 201, 'one with an id is created');
    ok($c->wait_status('green'), 'green');
    for my $n (@n) {
        my $d = $n->get('/_data_stream/logs-app')->{json}{data_streams}[0];
        is_deeply([@$d{qw(name generation template status)}, $d->{timestamp_field}{name}], ['logs-app', 1, 'logs', 'GREEN', '@timestamp'], "$n->{name} knows the stream");
        is($n->get('/logs-app/_count')->{json}{count}, 2, '... counts by its name');
        is($n->get('/logs-*/_search')->{json}{hits}{total}{value}, 2, '... by a pattern');
        is($n->get('/everything/_count')->{json}{count}, 2, '... by its alias');
        is($n->get('/_field_caps?index=logs-app&fields=level')->{json}{fields}{level}{keyword}{type}, 'keyword', '... knows its fields');
    }
    my $m = $n[0]->get('/logs-app/_mapping')->{json}{ backing('logs-app', 1) }{mappings};
    is_deeply([$m->{_data_stream_timestamp}{enabled} ? 1 : 0, $m->{properties}{'@timestamp'}{type}], [1, 'date'], 'the timestamp is a date, and must be there');
    is($n[0]->get('/' . backing('logs-app', 1))->{json}{ backing('logs-app', 1) }{data_stream}, 'logs-app', 'an index tells its stream');
    is_deeply([keys %{ $n[0]->get('/_alias/everything')->{json} }], ['logs-app'], 'aliases are told of the stream');
    my $s = $n[0]->get('/_data_stream/logs-app/_stats')->{json};
    is_deeply([$s->{data_stream_count}, $s->{backing_indices}, $s->{data_streams}[0]{maximum_timestamp}], [1, 1, 1767312000000], '_stats');
    ok($s->{total_store_size_bytes} > 0, '... has bytes');
};

subtest 'what is refused' => sub {
    my $doc = {'@timestamp' => 1};
    my $only = qr/only write ops with an op_type of create are allowed in data streams/;
    for my $case (
        [PUT => '/logs-app/_doc/1', $doc, $only],
        [POST => '/logs-app/_update/7', {doc => $doc}, $only],
        [DELETE => '/logs-app/_doc/7', undef, $only],
        [POST => '/logs-app/_doc', {level => 'x'}, qr/data stream timestamp field \[\@timestamp\] is missing/],
        [POST => '/logs-app/_doc', {'@timestamp' => undef}, qr/is missing/],
        [POST => '/logs-app/_doc', {'@timestamp' => [1, 2]}, qr/encountered multiple values/],
        [PUT => '/' . backing('logs-app', 1) . '/_doc/1', $doc, qr/no if_primary_term and if_seq_no set targeting backing indices is disallowed/],
        [PUT => '/' . backing('logs-app', 1) . '/_create/1', $doc, qr/op_type=create targeting backing indices is disallowed/],
        [PUT => '/logs-x', undef, qr/matches with template \[logs\] that creates data streams only/],
        [PUT => '/_data_stream/logs-app', undef, qr/data_stream \[logs-app\] already exists/],
        [PUT => '/_data_stream/other', undef, qr/no matching index template found for data stream \[other\]/],
        [PUT => '/_data_stream/.ds-x', undef, qr/must not start with '\.ds-'/],
        [PUT => '/_data_stream/LOGS-A', undef, qr/must be lowercase/],
        [DELETE => '/logs-app', undef, qr/matches a data stream/],
        [DELETE => '/' . backing('logs-app', 1), undef, qr/is the write index for data stream \[logs-app\] and cannot be deleted/],
        [POST => '/' . backing('logs-app', 1) . '/_close', undef, qr/cannot close the following data stream write indices/],
        [DELETE => '/_index_template/logs', undef, qr/in use by a data streams \[logs-app\]/],
        [PUT => '/_index_template/logs', {index_patterns => ['logz-*'], data_stream => {}}, qr/would cause data streams \[logs-app\] to no longer match/],
        [PUT => '/_index_template/logs', {index_patterns => ['logs-*'], priority => 10}, qr/no longer match a data stream template/],
        [PUT => '/_index_template/more', {index_patterns => ['more-*'], data_stream => {failure_store => \1}}, qr/\[failure_store: true\] is not supported/],
        [PUT => '/_index_template/more', {index_patterns => ['more-*'], data_stream => {}, template => {mappings => {properties => {'@timestamp' => {type => 'keyword'}}}}}, undef],
        [PUT => '/_data_stream/more-1', undef, qr/\[\@timestamp\] is of type \[keyword\], but \[date,date_nanos\] is expected/],
        [PUT => '/plain', {aliases => {'logs-app' => {}}}, qr/an index or data stream exists with the same name/],
        [PUT => '/' . backing('logs-app', 1) . '/_alias/a', undef, qr/Data stream backing indices don't support aliases/],
        [POST => '/logs-app/_rollover/new', undef, qr/new index name may not be specified/],
        [POST => '/logs-app/_rollover', {settings => {number_of_replicas => 0}}, qr/may not be specified when rolling over a data stream/],
        [POST => '/everything/_rollover', undef, qr/does not point to a write index/],
        [POST => '/everything/_doc', $doc, qr/no write index is defined for alias \[everything\]/],
    ) {
        my ($method, $path, $body, $like) = @$case;
        my $r = $n[0]->request($method, $path, $body);
        is($r->{status}, $like ? 400 : 200, "$method $path") or diag $r->{content};
        like(reason($r), $like, '... with the reason') if $like;
    }
    my $r = $n[1]->post('/_bulk', join '', map { "$_\n" } '{"create":{"_index":"logs-app"}}', '{"@timestamp":2}', '{"index":{"_index":"logs-app"}}', '{"@timestamp":2}',
        '{"create":{"_index":"plain","require_data_stream":true}}', '{"@timestamp":2}', '{"create":{"_index":"logs-b","require_data_stream":true}}', '{"@timestamp":2}');
    is(join(' ', map { (values %$_)[0]{status} } @{ $r->{json}{items} }), '201 400 404 201', 'items of a bulk each by itself') or diag $r->{content};
    $r = $n[2]->post('/plain/_doc?require_data_stream=true', $doc);
    like(reason($r), qr/\[require_data_stream\] request flag is \[true\] and \[plain\] is not a data stream/, 'require_data_stream');
    is($n[0]->head('/plain')->{status}, 404, 'and no index was made');
};

subtest 'rolled over' => sub {
    my $r = $n[2]->post('/logs-app/_rollover', {conditions => {max_docs => 1}})->{json};
    is_deeply([@$r{qw(old_index new_index)}], [backing('logs-app', 1), backing('logs-app', 2)], 'the next index');
    $n[0]->post('/logs-*/_refresh');
    is($n[0]->post('/logs-app/_doc?refresh=true', {'@timestamp' => 3})->{json}{_index}, backing('logs-app', 2), 'is written to');
    is($n[1]->get('/logs-app/_count')->{json}{count}, 4, 'and both are read');
    is($n[1]->get('/everything/_count')->{json}{count}, 5, 'by the alias, too');
    is($n[1]->put('/logs-app/_mapping?write_index_only=true', {properties => {only => {type => 'long'}}})->{status}, 200, 'a mapping of the write index alone');
    my $m = $n[0]->get('/logs-app/_mapping')->{json};
    is(join(' ', grep { $m->{$_}{mappings}{properties}{only} } sort keys %$m), backing('logs-app', 2), '... is there only');
    is(scalar @{ $n[0]->get('/_cat/indices/logs-app?format=json')->{json} }, 2, '_cat/indices by its name');
    is($n[0]->get('/_resolve/index/logs-a*')->{json}{data_streams}[0]{backing_indices}[1], backing('logs-app', 2), '_resolve/index');
    is($n[0]->put('/logs-app/_settings', {'index.refresh_interval' => '5s'})->{status}, 200, 'settings by its name');
    my @children;
    for my $k (0 .. 2) {
        my $pid = fork // die;
        if (!$pid) {
            my $good = 0;
            QdNode->wait_for(sub { $n[0]->get('/_data_stream/logs-c')->{status} == 200 }, 30) if !$k;
            for my $i (1 .. 5) { $good++ if ($k ? $n[$k]->post('/logs-c/_doc', {'@timestamp' => $i}) : $n[0]->post('/logs-c/_rollover'))->{status} =~ /^20/ }
            POSIX::_exit($good == 5 ? 0 : 1);
        }
        push @children, $pid;
    }
    my $bad = 0;
    for (@children) { waitpid $_, 0; $bad++ if $? }
    is($bad, 0, 'writes while it is made and rolled over');
    $n[0]->post('/logs-c/_refresh');
    is($n[0]->get('/logs-c/_count')->{json}{count}, 10, '... are all there');
};

subtest 'changed by query, and document by document' => sub {
    my $r = $n[1]->post('/logs-app/_update_by_query?refresh=true', {query => {exists => {field => 'level'}}})->{json};
    is_deeply([$r->{updated}, $r->{version_conflicts}, scalar @{ $r->{failures} }], [2, 0, 0], 'updated');
    $r = $n[1]->post('/logs-app/_delete_by_query?refresh=true', {query => {term => {level => 'warn'}}})->{json};
    is($r->{deleted}, 1, 'deleted');
    my $hit = $n[0]->get('/logs-app/_search?q=level:info&seq_no_primary_term=true')->{json}{hits}{hits}[0];
    $r = $n[2]->put("/$hit->{_index}/_doc/$hit->{_id}?if_seq_no=$hit->{_seq_no}&if_primary_term=$hit->{_primary_term}", {'@timestamp' => 4, level => 'changed'});
    is($r->{status}, 200, 'a document as it was read') or diag $r->{content};
    $n[0]->put('/from/_doc/1?refresh=true', {'@timestamp' => 5});
    $r = $n[0]->post('/_reindex?refresh=true', {source => {index => 'from'}, dest => {index => 'logs-re', op_type => 'create'}})->{json};
    is($r->{created}, 1, 'reindexed into a stream');
    is(indices($n[1], 'logs-re'), backing('logs-re', 1), '... which it made');
};

subtest 'indices come and go' => sub {
    $n[0]->put('/old', {settings => {number_of_replicas => 0}, mappings => {properties => {'@timestamp' => {type => 'date'}}}});
    $n[0]->post('/old/_doc?refresh=true', {no => 'time'});
    my $count = $n[1]->get('/logs-app/_count')->{json}{count};
    my $first = backing('logs-app', 1);
    my $r = $n[1]->post('/_data_stream/_modify', {actions => [{add_backing_index => {data_stream => 'logs-app', index => 'old'}}, {remove_backing_index => {data_stream => 'logs-app', index => $first}}]});
    is($r->{status}, 200, 'both in one step') or diag $r->{content};
    is(indices($n[2], 'logs-app'), 'old ' . backing('logs-app', 2), 'the new one is the oldest');
    is($n[2]->get('/_data_stream/logs-app')->{json}{data_streams}[0]{generation}, 3, 'the generation goes on');
    like(reason($n[0]->post('/_data_stream/_modify', {actions => [{remove_backing_index => {data_stream => 'logs-app', index => backing('logs-app', 2)}}]})), qr/because it is the write index/, 'the write index stays');
    for my $a ({add_backing_index => {data_stream => 'logs-app', index => 'none'}}, {add_backing_index => {data_stream => 'none', index => 'old'}}, {other => {}}, {add_backing_index => {data_stream => 'logs-app'}}, {add_backing_index => {data_stream => 'logs-app', index => 'old'}}) {
        is($n[0]->post('/_data_stream/_modify', {actions => [$a]})->{status}, 400, 'refused: ' . join ' ', keys %$a);
    }
    is($n[0]->get("/$first/_settings")->{json}{$first}{settings}{index}{hidden}, 'false', 'an index that goes is seen');
    is($n[0]->delete("/$first")->{status}, 200, 'and can be deleted');
    is($n[0]->put('/old/_settings', {'index.number_of_replicas' => 1})->{status}, 200, 'a copy of documents without time');
    ok($c->wait_status('green'), '... is made');
};

subtest 'a node dies, and all restart' => sub {
    my ($master) = map { $_->get('/_cat/master?h=node&format=json')->{json}[0]{node} } $n[0];
    my ($k) = grep { $n[$_]{name} eq $master } 0 .. 2;
    my $before = indices($n[0], 'logs-app');
    $c->kill9($k);
    my ($other) = $c->alive;
    my $ok = QdNode->wait_for(sub { $other->post('/logs-app/_doc?timeout=5s', {'@timestamp' => 6})->{status} == 201 }, 30);
    ok($ok, 'writes go on');
    $ok = QdNode->wait_for(sub { $other->post('/logs-app/_rollover')->{status} == 200 }, 30);
    ok($ok, 'and rollovers');
    $n[$k]->start;
    $c->stop;
    $c->start;
    ok($c->wait_status('green'), 'all are back');
    is(indices($n[$k], 'logs-app'), "$before " . backing('logs-app', 4), 'with the stream');
    my $r = $n[$k]->post('/logs-app/_doc?refresh=true', {'@timestamp' => 7});
    is($r->{json}{_index}, backing('logs-app', 4), 'which takes documents');
};

subtest 'deleted' => sub {
    is($n[0]->delete('/_data_stream/none')->{status}, 404, 'one that is not there');
    is($n[0]->delete('/_data_stream/logs-*')->{status}, 200, 'all');
    is_deeply($n[1]->get('/_data_stream')->{json}{data_streams}, [], 'none is left');
    is(scalar(grep { $_->{index} =~ /^\.ds-|^old/ } @{ $n[2]->get('/_cat/indices?format=json&expand_wildcards=all')->{json} }), 0, 'nor one of their indices');
    is($n[0]->delete('/_index_template/logs')->{status}, 200, 'the template is free');
    is($n[0]->post('/logs-app/_doc', {a => 1})->{json}{_index}, 'logs-app', 'and the name as well');
};

is($c->stop, 0, 'the nodes stop');
done_testing;
