#!/usr/bin/perl
# 109_scripts.t: scripts that are tried out, stored, and that change documents: updates, bulk, by query
# and reindex; what goes wrong has Elasticsearch's shape.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('scripts');
$node->start;
sub source { $node->get("/$_[0]/_doc/$_[1]")->{json}{_source} }
sub update { my ($id, $body) = @_; $node->post("/i/_update/$id?refresh=true", $body)->{json} }

subtest 'a script is tried out' => sub {
    my $try = sub { $node->post('/_scripts/painless/_execute', { script => $_[0] }) };
    is($try->({ source => 'params.count / params.total', params => { count => 100, total => 1000.5 } })->{json}{result},
        '0.09995002498750624', 'with params');
    is($try->({ source => "def m = ['a': [1, 2]]; m" })->{json}{result}, '{a=[1, 2]}', 'a map is shown as Java does');
    my $r = $try->({ source => 'int x = 1; x.foo()' });
    is($r->{status}, 400, 'a wrong one is refused');
    my $e = $r->{json}{error};
    is($e->{type}, 'script_exception', 'by type');
    is($e->{reason}, 'compile error', 'by reason');
    is($e->{lang}, 'painless', 'with its language');
    is_deeply($e->{script_stack}, [ 'int x = 1; x.foo()', '            ^---- HERE' ], 'with the place');
    is($e->{position}{offset}, 12, 'as a number too');
    is($e->{caused_by}{reason}, 'member method [int, foo/0] not found', 'and the cause');
    $e = $try->({ source => "def x = null;\nreturn x.length()" })->{json}{error};
    is($e->{reason}, 'runtime error', 'an exception at run time');
    is($e->{caused_by}{type}, 'null_pointer_exception', 'with its class');
    is_deeply($e->{script_stack}, [ '... return x.length()', '            ^---- HERE' ], 'and its statement');
    $e = $try->({ source => 'int i = 0; while (true) { i++ }' })->{json}{error};
    like($e->{caused_by}{reason}, qr/maximum number of statements/, 'an endless loop ends');
    $e = $try->({ source => "def s = 'aaaaaaaa'; while (true) { s += s }" })->{json}{error};
    like($e->{caused_by}{reason}, qr/more memory than it may/, 'a greedy one too');
    is($node->post('/_scripts/painless/_execute', { script => { lang => 'groovy', source => '1' } })->{json}{error}{reason},
        'script_lang not supported [groovy]', 'a language that is not there');
};

subtest 'a script is tried out on a document' => sub {
    $node->put('/doc', { mappings => { properties => { n => { type => 'integer' }, k => { type => 'keyword' }, d => { type => 'date' }, o => { properties => { f => { type => 'double' } } } } } });
    my $try = sub { my ($context, $source) = @_;
        my $r = $node->post('/_scripts/painless/_execute', { context => $context, script => { source => $source, params => { x => 2 } }, context_setup => { index => 'doc',
            document => { n => 4, k => [ 'a', 'b' ], d => '2024-02-01T00:00:00Z', o => { f => 1.5 } } } });
        $r->{status} == 200 ? $r->{json}{result} : $r->{content} };
    is($try->('score', "doc['n'].value * params.x + doc['o.f'].value"), 9.5, 'a score');
    ok($try->('filter', "doc['k'].contains('b') && doc['d'].value.getMonthValue() == 2"), 'a filter');
    is_deeply($try->('field', "doc['k'].values"), [ 'a', 'b' ], 'a field');
    like($try->('field', "doc['zz'].value"), qr/No field found for \[zz\] in mapping/, 'a field that is not there');
    like($try->('nope', '1'), qr/unsupported script context name \[nope\]/, 'an unknown context');
    like($node->post('/_scripts/painless/_execute', { context => 'score', script => '1.0' })->{content}, qr/index and document are required/, 'no document');
};

subtest 'stored scripts' => sub {
    my $r = $node->put('/_scripts/add', { script => { lang => 'painless', source => 'ctx._source.n += params.by' } });
    ok($r->{json}{acknowledged}, 'one is stored');
    is_deeply($node->get('/_scripts/add')->{json},
        { _id => 'add', found => JSON::PP::true, script => { lang => 'painless', source => 'ctx._source.n += params.by' } },
        'and shown');
    is($node->get('/_scripts/none')->{status}, 404, 'one that is not there');
    is($node->delete('/_scripts/none')->{status}, 404, 'cannot be removed');
    $r = $node->put('/_scripts/bad/score', { script => { lang => 'painless', source => '_score *' } });
    is($r->{json}{error}{reason}, 'compile error', 'a wrong one is refused for its context');
    $r = $node->put('/_scripts/long', { script => { lang => 'painless', source => 'x' x 65537 } });
    like($r->{json}{error}{reason}, qr/exceeded max allowed stored script size/, 'a long one too');
    my @names = map { $_->{name} } @{$node->get('/_script_context')->{json}{contexts}};
    ok((grep { $_ eq 'update' } @names), 'contexts are listed');
    is($node->get('/_script_language')->{json}{language_contexts}[0]{language}, 'painless', 'languages too');
};

subtest 'updates by script' => sub {
    $node->put('/i', { mappings => { dynamic => \0, properties => { n => { type => 'long' } } } });
    $node->put('/i/_doc/1', '{"n":1,"tags":["a"],"big":12345678901234567890}');
    is(update(1, { script => { source => 'ctx._source.n += params.by', params => { by => 4 } } })->{result}, 'updated', 'a sum');
    is(source('i', 1)->{n}, 5, 'is kept');
    update(1, { script => { id => 'add', params => { by => 1 } } });
    is(source('i', 1)->{n}, 6, 'a stored script');
    like($node->get('/i/_source/1')->{content}, qr/12345678901234567890/, 'a large integer is not changed');
    update(1, { script => "if (!ctx._source.tags.contains('b')) { ctx._source.tags.add('b') }" });
    is_deeply(source('i', 1)->{tags}, [ 'a', 'b' ], 'a list grows');
    is(update(1, { script => "ctx.op = 'none'" })->{result}, 'noop', 'nothing');
    is(update(1, { script => "ctx.op = 'noop'" })->{result}, 'noop', 'by both names');
    is(update(2, { script => 'ctx._source.n++', upsert => { n => 7 } })->{result}, 'created', 'an upsert');
    is(source('i', 2)->{n}, 7, 'is taken as it is');
    is(update(3, { script => "ctx._source.n += 1; ctx._source.id = ctx._id", scripted_upsert => \1, upsert => { n => 7 } })->{result},
        'created', 'one that a script changes');
    is_deeply(source('i', 3), { n => 8, id => '3' }, 'runs for a new document');
    is(update(4, { script => "ctx.op = 'none'", scripted_upsert => \1, upsert => {} })->{result}, 'noop', 'or not at all');
    is(update(9, { script => 'ctx._source.n++' })->{error}{type}, 'document_missing_exception', 'a document that is not there');
    my $e = update(1, { script => 'ctx._source.zzz.foo()' })->{error};
    is("$e->{type}: $e->{reason}", 'illegal_argument_exception: failed to execute script', 'what fails');
    is($e->{caused_by}{type}, 'script_exception', 'names the script');
    is(update(1, { script => "ctx.op = 'delete'" })->{result}, 'deleted', 'a script deletes');
    is($node->get('/i/_doc/1')->{status}, 404, 'what is gone');
    my $bulk = qq({"update":{"_index":"i","_id":"2"}}\n{"script":{"source":"ctx._source.n = params.v","params":{"v":100}}}\n)
        . qq({"update":{"_index":"i","_id":"3"}}\n{"script":"ctx.op = 'delete'"}\n)
        . qq({"update":{"_index":"i","_id":"2"}}\n{"script":"ctx._source.x.y = 1"}\n);
    my $items = $node->post('/_bulk', $bulk)->{json}{items};
    is(join(' ', map { $_->{update}{result} || $_->{update}{error}{type} } @$items), 'updated deleted illegal_argument_exception', 'in bulk');
    is(source('i', 2)->{n}, 100, 'a document was changed');
};

subtest 'by query and reindex' => sub {
    my $bulk = join '', map { qq({"index":{"_index":"q","_id":"$_"}}\n{"n":$_}\n) } 1 .. 10;
    $node->post('/_bulk?refresh=true', $bulk);
    my $r = $node->post('/q/_update_by_query?refresh=true', { script => {
        source => "if (ctx._source.n % 3 == 0) { ctx.op = 'noop' } else if (ctx._source.n == 10) { ctx.op = 'delete' } else { ctx._source.n += params.by }",
        params => { by => 100 } } })->{json};
    is("$r->{updated} $r->{noops} $r->{deleted} $r->{total}", '6 3 1 10', 'updated, left alone, deleted');
    is(source('q', 1)->{n}, 101, 'a document was changed');
    is(source('q', 3)->{n}, 3, 'another was not');
    $r = $node->post('/q/_update_by_query', { script => "ctx._id = 'x'" });
    like($r->{content}, qr/Modifying \[_id\] not allowed/, 'an id stays');
    $r = $node->post('/q/_update_by_query', { script => "ctx.op = 'junk'" });
    like($r->{content}, qr/Operation type \[junk\] not allowed/, 'operations are known ones');
    $r = $node->post('/q/_update_by_query', { script => "ctx.zzz = 1" });
    like($r->{content}, qr/Invalid fields added to context \[zzz\]/, 'members too');
    is($node->post('/q/_update_by_query', { script => 'ctx.' })->{json}{error}{type}, 'script_exception', 'a wrong script is told at once');
    $r = $node->post('/_reindex?refresh=true', { source => { index => 'q' }, dest => { index => 'r' },
        script => "if (ctx._source.n == 3) { ctx.op = 'noop' } ctx._id = 'c' + ctx._id; ctx._source.from = ctx._index; if (ctx._source.n > 105) { ctx._index = 'other' }" })->{json};
    is("$r->{created} $r->{noops}", '8 1', 'a reindex');
    is(source('r', 'c1')->{from}, 'q', 'knows where from');
    is(source('other', 'c7')->{n}, 107, 'and may go elsewhere');
    is($node->post('/q/_delete_by_query', { query => { match_all => {} }, script => 'x' })->{status}, 400, 'a deletion has none');
};

$node->stop;
$node->start;
ok($node->get('/_scripts/add')->{json}{found}, 'a stored script is there after a restart');
ok($node->delete('/_scripts/add')->{json}{acknowledged}, 'and goes when it is removed');
is($node->get('/_scripts/add')->{status}, 404, 'for good');
$node->stop;
done_testing;
