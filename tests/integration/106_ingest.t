#!/usr/bin/perl
# 106_ingest.t: pipelines over HTTP: stored, shown, simulated, run by every API that writes, by an index's settings and
# templates, through failures and drops, on another target; statistics; what is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('ingest', settings => { 'compatibility.identity' => 'os2' });
$node->start;

sub pipeline { my ($id, @processors) = @_; $node->put("/_ingest/pipeline/$id", { processors => \@processors }) }
sub source { my ($index, $id) = @_; $node->get("/$index/_doc/$id")->{json}{_source} }
sub bulk { $node->post("/_bulk?refresh=true$_[0]", join '', map { "$_\n" } @_[1 .. $#_]) }
sub reason { $_[0]{json}{error}{reason} // '' }

subtest 'pipelines are stored, shown and removed' => sub {
    my $r = $node->put('/_ingest/pipeline/p', '{"description":"d","version":3,"processors":[{"set":{"field":"a","value":"{{b}}!"}}]}');
    is_deeply($r->{json}, { acknowledged => JSON::PP::true });
    is($node->get('/_ingest/pipeline/p')->{content}, '{"p":{"description":"d","version":3,"processors":[{"set":{"field":"a","value":"{{b}}!"}}]}}');
    is($node->get('/_ingest/pipeline/q')->{status}, 404);
    is($node->get('/_ingest/pipeline/q')->{content}, '{}');
    is($node->put('/_ingest/pipeline/p?if_version=2', '{"processors":[]}')->{status}, 400, 'another version is there');
    is(pipeline('q1')->{status}, 200);
    is_deeply([ sort keys %{ $node->get('/_ingest/pipeline/q*,p')->{json} } ], [ 'p', 'q1' ]);
    is($node->delete('/_ingest/pipeline/q*')->{status}, 200);
    $r = $node->delete('/_ingest/pipeline/q*');
    is($r->{status}, 404);
    is(reason($r), 'pipeline [q*] is missing');
};

subtest 'what is wrong is refused when it is stored' => sub {
    my $r = pipeline('x', { set => { tag => 'T' } });
    is($r->{status}, 400);
    is_deeply({ map { $_ => $r->{json}{error}{root_cause}[0]{$_} } qw(type reason processor_type processor_tag property_name) },
        { type => 'parse_exception', reason => '[field] required property is missing', processor_type => 'set', processor_tag => 'T', property_name => 'field' });
    is(reason(pipeline('x', { nope => {} })), 'No processor type exists with name [nope]');
    is(reason(pipeline('x', { inference => {} })), 'processor [inference] is not supported by this version, see docs/features.md');
    is(reason(pipeline('x', { drop => { if => 'ctx.a ==' } })), 'compile error');
    like(reason(pipeline('x', { grok => { field => 'a', patterns => ['%{A}'], pattern_definitions => { A => '%{B}', B => '%{A}' } } })), qr/circular reference/);
    like(reason($node->put('/_ingest/pipeline/x', { processors => [], description => 'd' x 1_100_000 })), qr/is larger than/);
    is($node->get('/_ingest/pipeline/x')->{status}, 404, 'nothing was stored');
};

subtest 'documents that nobody indexes' => sub {
    my $r = $node->post('/_ingest/pipeline/p/_simulate', { docs => [ { _source => { b => 1 } }, { _id => 'i', _index => 'n', _source => { b => 2 } } ] });
    is($r->{json}{docs}[0]{doc}{_source}{a}, '1!');
    is_deeply([ @{ $r->{json}{docs}[1]{doc} }{qw(_index _id)} ], [ 'n', 'i' ]);
    like($r->{json}{docs}[0]{doc}{_ingest}{timestamp}, qr/^2\d\d\d-.*Z$/);
    $r = $node->post('/_ingest/pipeline/_simulate?verbose=true', { docs => [ { _source => {} } ], pipeline => { processors => [
        { rename => { field => 'x', target_field => 'y', ignore_failure => \1, tag => 't' } }, { fail => { message => 'm', on_failure => [ { drop => {} } ] } } ] } });
    my @p = @{ $r->{json}{docs}[0]{processor_results} };
    is_deeply([ map { "$_->{processor_type} $_->{status}" } @p ], [ 'rename error_ignored', 'fail error', 'drop dropped' ]);
    is($p[0]{ignored_error}{error}{reason}, q{field [x] doesn't exist});
    is($p[1]{error}{type}, 'fail_processor_exception');
    is($node->post('/_ingest/pipeline/_simulate', { docs => [], pipeline => { processors => [] } })->{status}, 400);
    is(reason($node->post('/_ingest/pipeline/none/_simulate', { docs => [ { _source => {} } ] })), 'pipeline [none] does not exist');
};

subtest 'every write runs its pipeline once' => sub {
    is($node->put('/w/_doc/1?pipeline=p', { b => 1 })->{status}, 201);
    is_deeply(source('w', 1), { b => 1, a => '1!' });
    my $r = $node->put('/w/_doc/2?pipeline=none', { b => 1 });
    is(reason($r), 'pipeline with id [none] does not exist');
    $r = bulk('&pipeline=p', '{"index":{"_index":"w","_id":"3"}}', '{"b":3}', '{"index":{"_index":"w","_id":"4","pipeline":"_none"}}', '{"b":4}',
        '{"index":{"_index":"w","_id":"5","pipeline":"none"}}', '{"b":5}', '{"delete":{"_index":"w","_id":"1"}}',
        '{"update":{"_index":"w","_id":"6"}}', '{"doc":{"b":6},"doc_as_upsert":true}', '{"update":{"_index":"w","_id":"7"}}', '{"doc":{"z":1},"upsert":{"b":7}}');
    is_deeply([ map { (values %$_)[0]{status} } @{ $r->{json}{items} } ], [ 201, 201, 400, 200, 201, 201 ]);
    ok(exists $r->{json}{ingest_took}, 'the time of pipelines is told');
    is_deeply(source('w', 3), { b => 3, a => '3!' });
    is_deeply(source('w', 4), { b => 4 });
    is_deeply(source('w', 6), { b => 6, a => '6!' }, 'of an update what is to be inserted');
    is_deeply(source('w', 7), { b => 7, a => '7!' });
    ok(!exists bulk('', '{"index":{"_index":"w","_id":"8"}}', '{"b":8}')->{json}{ingest_took}, 'none ran');
};

subtest 'an index names pipelines' => sub {
    pipeline('f', { append => { field => 'run', value => 'f' } });
    pipeline('d', { append => { field => 'run', value => 'd' } });
    is($node->put('/s', { settings => { 'index.default_pipeline' => 'd', 'index.final_pipeline' => 'f' } })->{status}, 200);
    $node->put('/s/_doc/1', {});
    is_deeply(source('s', 1), { run => [ 'd', 'f' ] });
    $node->put('/s/_doc/2?pipeline=_none', {});
    is_deeply(source('s', 2), { run => ['f'] }, 'the final one runs always');
    $node->put('/_index_template/t', { index_patterns => ['t-*'], template => { settings => { 'index.default_pipeline' => 'd' } } });
    $node->put('/t-1/_doc/1', {});
    is_deeply(source('t-1', 1), { run => ['d'] }, 'by a template, of an index that was not there');
    $node->put('/s/_settings', { 'index.final_pipeline' => 'gone' });
    is(reason($node->put('/s/_doc/3', {})), 'pipeline with id [gone] does not exist');
};

subtest 'failures and drops' => sub {
    pipeline('drop', { drop => {} });
    my $r = bulk('', '{"index":{"_index":"n","_id":"1","pipeline":"drop"}}', '{}', '{"create":{"_index":"n","pipeline":"drop"}}', '{}');
    is_deeply($r->{json}{items}[0]{index}, { _index => 'n', _id => '1', _version => -3, result => 'noop', _shards => { total => 0, successful => 0, failed => 0 }, status => 200 });
    is($r->{json}{items}[1]{create}{_id}, 'auto-generated');
    is($node->head('/n')->{status}, 404, 'no index was made for it');
    is($node->post('/n/_doc?pipeline=drop', {})->{json}{result}, 'noop');
    $node->put('/_ingest/pipeline/whole', { processors => [ { rename => { field => 'a', target_field => 'b', tag => 'R' } } ],
        on_failure => [ { set => { field => '_index', value => 'failed-{{_index}}' } }, { set => { field => 'why', value => '{{{_ingest.on_failure_message}}} {{_ingest.on_failure_processor_tag}}' } } ] });
    $r = $node->put('/ok/_doc/1?pipeline=whole', { c => 1 });
    is($r->{json}{_index}, 'failed-ok');
    is_deeply(source('failed-ok', 1), { c => 1, why => q{field [a] doesn't exist R} });
    pipeline('bad', { convert => { field => 'n', type => 'integer' } });
    $r = bulk('', '{"index":{"_index":"w","_id":"b","pipeline":"bad"}}', '{"n":"x"}', '{"index":{"_index":"w","_id":"g","pipeline":"bad"}}', '{"n":"12"}');
    is($r->{json}{items}[0]{index}{error}{reason}, 'unable to convert [x] to integer');
    is_deeply(source('w', 'g'), { n => 12 }, 'others are written');
};

subtest 'another target' => sub {
    pipeline('move', { set => { field => '_index', value => 'to-{{n}}' } }, { set => { field => '_id', value => 'i{{n}}' } }, { set => { field => '_routing', value => 'r' } });
    my $r = bulk('', map { ('{"index":{"_index":"from","pipeline":"move"}}', qq({"n":$_})) } 1, 2, 1);
    is_deeply([ map { "$_->{index}{_index}/$_->{index}{_id}/$_->{index}{_version}" } @{ $r->{json}{items} } ], [ 'to-1/i1/1', 'to-2/i2/1', 'to-1/i1/2' ]);
    is($node->get('/to-2/_doc/i2?routing=r')->{json}{_routing}, 'r');
    is($node->head('/from')->{status}, 404);
    pipeline('cond', { set => { field => '_if_seq_no', value => 77 } }, { set => { field => '_if_primary_term', value => 1 } });
    is($node->put('/w/_doc/3?pipeline=cond', {})->{status}, 409, 'conditions of a pipeline hold');
    pipeline('route', { reroute => { destination => 's2' } }, { fail => { message => 'not reached' } });
    $node->put('/s2', { settings => { 'index.default_pipeline' => 'd' } });
    is($node->put('/s1/_doc/1?pipeline=route', {})->{json}{_index}, 's2');
    is_deeply(source('s2', 1), { run => ['d'] }, 'the default pipeline of the new target ran');
    pipeline('moves', { set => { field => '_index', value => 'elsewhere' } });
    $node->put('/s3', { settings => { 'index.final_pipeline' => 'moves' } });
    is(reason($node->put('/s3/_doc/1', {})), q{final pipeline [moves] can't change the target index});
};

subtest 'jobs over many documents' => sub {
    $node->post('/w/_refresh');
    my $n = $node->get('/w/_count')->{json}{count};
    my $r = $node->post('/_reindex?refresh=true', { source => { index => 'w' }, dest => { index => 'w2', pipeline => 'd' } });
    is($r->{json}{created}, $n) or diag $r->{content};
    is($node->get('/w2/_count?q=run:d')->{json}{count}, $n);
    $r = $node->post('/w2/_update_by_query?pipeline=f&refresh=true', {});
    is($r->{json}{updated}, $n) or diag $r->{content};
    is($node->get('/w2/_count?q=run:f')->{json}{count}, $n);
    $r = $node->post('/_reindex', { source => { index => 'w' }, dest => { index => 'w3', pipeline => 'drop' } });
    is($r->{json}{noops}, $n, 'dropped documents are noops');
};

subtest 'what a node tells' => sub {
    my ($s) = values %{ $node->get('/_nodes/stats/ingest')->{json}{nodes} };
    ok($s->{ingest}{total}{count} > 10 && $s->{ingest}{total}{failed} >= 1);
    is($s->{ingest}{pipelines}{bad}{failed}, 1);
    is($s->{ingest}{pipelines}{bad}{processors}[0]{convert}{stats}{count}, 2);
    my ($i) = values %{ $node->get('/_nodes/ingest')->{json}{nodes} };
    ok(grep({ $_->{type} eq 'grok' } @{ $i->{ingest}{processors} }));
    my $p = $node->get('/_ingest/processor/grok')->{json}{patterns};
    is($p->{PATH}, '(?:%{UNIXPATH}|%{WINPATH})');
    like($node->get('/_ingest/processor/grok?ecs_compatibility=v1')->{json}{patterns}{HTTPD_COMMONLOG}, qr/source\.address/);
    is($node->get('/_ingest/processor/grok?ecs_compatibility=v2')->{status}, 400);
};

is($node->stop, 0, 'the node stops');
done_testing;
