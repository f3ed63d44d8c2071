#!/usr/bin/perl
# 118_search_templates.t: searches by templates in mustache: inline and stored, rendered, many in one request; the language over
# HTTP; what a template cannot be, and where hostile ones end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use Time::HiRes qw(time);

my $node = QdNode->new('templates', settings => { 'mustache.max_output_size_bytes' => '8kb' });
$node->start;

my ($true, $false) = (JSON::PP::true, JSON::PP::false);
sub render { $node->post('/_render/template', { source => $_[0], params => $_[1] // {} }) }
sub rendered { my $r = render(@_); $r->{json}{template_output} // $r->{content} }
sub error { my ($r) = @_; "$r->{status} $r->{json}{error}{type}: $r->{json}{error}{reason}" }
sub hits { my ($r) = @_; [ sort map { $_->{_id} } @{ $r->{json}{hits}{hits} } ] }
sub template { my ($path, @body) = @_; $node->post($path, @body) }

$node->put('/books', { mappings => { properties => { title => { type => 'text' }, kind => { type => 'keyword' }, n => { type => 'long' } } } });
$node->put('/notes', { mappings => { properties => { title => { type => 'text' } } } });
$node->post('/_bulk?refresh=true', join '', map { "$_\n" } map { (qq({"index":{"_index":"books","_id":"$_"}}), qq({"title":"stone $_","kind":") . ($_ % 2 ? 'odd' : 'even') . qq(","n":$_})) } 1 .. 6);
$node->put('/notes/_doc/x?refresh=true', { title => 'a "stone"' });

subtest 'a search by a template' => sub {
    my $r = template('/books/_search/template', { source => { query => { term => { kind => '{{k}}' } }, size => '{{size}}{{^size}}10{{/size}}' }, params => { k => 'odd', size => 2 } });
    is($r->{status}, 200);
    is($r->{json}{hits}{total}{value}, 3);
    is(scalar @{ $r->{json}{hits}{hits} }, 2, 'a number in place of a text');
    $r = template('/books/_search/template', { source => '{"query":{"terms":{"kind":{{#toJson}}k{{/toJson}}}}{{#n}},"post_filter":{"range":{"n":{"gte":{{n}}}}}{{/n}}}', params => { k => [ 'odd', 'even' ], n => 5 } });
    is_deeply(hits($r), [ 5, 6 ], 'as text, with a section');
    is_deeply(hits($node->get('/_search/template?source_content_type=application/json&source=' . '%7B%22source%22%3A%7B%22query%22%3A%7B%22match%22%3A%7B%22title%22%3A%22%7B%7Bw%7D%7D%22%7D%7D%7D%2C%22params%22%3A%7B%22w%22%3A%22a%22%7D%7D')), ['x'], 'GET, over all indices');
    is(template('/books/_search/template', { source => '{"query":{"match":{"title":"{{w}}"}}}', params => { w => '"}}, "size": 0, "x": {"y": "' } })->{json}{hits}{total}{value}, 0, 'a value cannot leave its string');
    is(error(template('/none/_search/template', { source => '{}' })), '404 index_not_found_exception: no such index [none]');
    is(template('/none/_search/template?ignore_unavailable=true', { source => '{}' })->{json}{hits}{total}{value}, 0, 'parameters are those of a search');
};

subtest 'parameters of a search' => sub {
    my %t = (source => { query => { match => { title => '{{w}}' } }, aggs => { k => { terms => { field => 'kind' } } } }, params => { w => 'stone' });
    my $r = template('/books/_search/template?rest_total_hits_as_int=true&typed_keys=true', \%t);
    is($r->{json}{hits}{total}, 6);
    is(scalar @{ $r->{json}{aggregations}{'sterms#k'}{buckets} }, 2);
    is(error(template('/books/_search/template?rest_total_hits_as_int=true', { source => { track_total_hits => '{{n}}' }, params => { n => 1 } })),
        '400 illegal_argument_exception: [rest_total_hits_as_int] cannot be used if the tracking of total hits is not accurate, got 1');
    ok(!$r->{json}{hits}{hits}[0]{_explanation}, 'no explanation unless one is asked for');
    ok(template('/books/_search/template', { %t, explain => $true })->{json}{hits}{hits}[0]{_explanation}, 'explain beside the template');
    ok(template('/books/_search/template?explain=true', \%t)->{json}{hits}{hits}[0]{_explanation}, 'explain as a parameter');
    ok(!template('/books/_search/template?explain=false', { %t, explain => $true })->{json}{hits}{hits}[0]{_explanation}, 'which wins');
    ok(template('/books/_search/template', { %t, profile => $true })->{json}{profile}{shards}, 'profile beside the template');
    ok(template('/books/_search/template?profile=true', \%t)->{json}{profile}{shards}, 'profile as a parameter');
    ok(!template('/books/_search/template', \%t)->{json}{profile});
    is(error(template('/books/_search/template?search_type=x', \%t)), '400 illegal_argument_exception: No search type for [x]');
    is(template('/books/_search/template?search_type=dfs_query_then_fetch&preference=_local&routing=a', \%t)->{status}, 200);
    like(error(template('/books/_search/template?preference=_none', \%t)), qr/no Preference for \[_none\]/);
    like(error(template('/books/_search/template?from=1', \%t)), qr/unrecognized parameter: \[from\]/, 'what a template says itself is no parameter');
    $r = template('/books/_search/template?scroll=1m', { source => { size => '{{s}}', sort => ['n'] }, params => { s => 4 } });
    is_deeply(hits($r), [ 1 .. 4 ], 'a scroll');
    is_deeply(hits($node->post('/_search/scroll', { scroll_id => $r->{json}{_scroll_id} })), [ 5, 6 ], 'goes on');
    $node->request('DELETE', '/_search/scroll', { scroll_id => $r->{json}{_scroll_id} });
};

subtest 'stored templates' => sub {
    my $r = $node->put('/_scripts/t', '{"script": {"lang": "mustache", "source": {"query": {"term": {"kind": "{{k}}"}},  "size": "{{s}}"}}}');
    is_deeply($r->{json}, { acknowledged => $true });
    is($node->get('/_scripts/t')->{content}, '{"_id":"t","found":true,"script":{"lang":"mustache","source":"{\"query\":{\"term\":{\"kind\":\"{{k}}\"}},\"size\":\"{{s}}\"}","options":{"content_type":"application/json;charset=utf-8"}}}', 'an object is kept as its text');
    is(scalar @{ template('/books/_search/template', { id => 't', params => { k => 'odd', s => 1 } })->{json}{hits}{hits} }, 1);
    is_deeply($node->post('/_render/template', { id => 't', params => { k => 'a"b', s => 1 } })->{json}{template_output}, { query => { term => { kind => 'a"b' } }, size => '1' });
    is_deeply($node->post('/_render/template/t', { params => { k => 'a' } })->{json}{template_output}{size}, '');
    is($node->get('/_render/template/t')->{json}{template_output}{size}, '', 'without a body');
    $r = $node->put('/_scripts/t', { script => { lang => 'mustache', source => '{"size":{{s}}}', params => { s => 1 } } });
    is($r->{status}, 200, 'is replaced');
    like($r->{headers}{warning}, qr/\[params\] of a stored script are not kept/, 'and its params are not kept');
    is(scalar @{ template('/books/_search/template', { id => 't', params => { s => 3 } })->{json}{hits}{hits} }, 3);
    $node->put('/_scripts/plain', { script => { lang => 'mustache', source => '{"a":"{{x}}"}', options => { content_type => 'text/plain' } } });
    is_deeply($node->post('/_render/template', { id => 'plain', params => { x => 'u","b":"v' } })->{json}{template_output}, { a => 'u', b => 'v' }, 'text/plain is not escaped');
    $node->put('/_scripts/url', { script => { lang => 'mustache', source => '{"a":"{{x}}"}', options => { content_type => 'application/x-www-form-urlencoded' } } });
    is($node->post('/_render/template', { id => 'url', params => { x => 'u&v w' } })->{json}{template_output}{a}, 'u%26v+w', 'nor is a form');
    is($node->put('/_scripts/in/template', { script => { lang => 'mustache', source => '{{a}}' } })->{status}, 200, 'for a context');
    is(error($node->put('/_scripts/in/score', { script => { lang => 'mustache', source => '{{a}}' } })), '400 illegal_argument_exception: mustache does not know how to handle context [score]');
    like(error($node->put('/_scripts/w', { script => { lang => 'mustache', source => '{{#a}}' } })), qr/^400 script_exception: Failed to close 'a' tag/, 'a wrong one is not stored');
    like(error($node->put('/_scripts/w', { script => { lang => 'mustache', source => 'x', options => { content_type => 'text/html' } } })), qr/^400 .*No encoder found for media type \[text\/html\]/);
    like(error($node->put('/_scripts/w', { script => { lang => 'mustache', source => 'x', options => { a => 'b' } } })), qr/^400 .*illegal compiler options \[.*\] specified/);
    like(error($node->put('/_scripts/w', { script => { lang => 'painless', source => '1', options => { content_type => 'text/plain' } } })), qr/^400 .*Unrecognized compile-time parameter/);
    like(error($node->put('/_scripts/w', { script => { lang => 'mustache', source => { a => 'x' x 70_000 } } })), qr/^400 .*exceeded max allowed/);
    is($node->get('/_scripts/w')->{status}, 404);
    is(error(template('/_search/template', { id => 'none' })), '404 resource_not_found_exception: unable to find script [none] in cluster state');
    $node->put('/_scripts/code', { script => { lang => 'painless', source => '1' } });
    is(error(template('/_search/template', { id => 'code' })), '400 illegal_argument_exception: painless does not know how to handle context [template]');
    like(error($node->post('/books/_search', { query => { script => { script => { id => 't' } } } })), qr/mustache does not know how to handle context \[filter\]|all shards failed/, 'a template is no filter');
    $node->restart;
    is(scalar @{ template('/books/_search/template', { id => 't', params => { s => 2 } })->{json}{hits}{hits} }, 2, 'after a restart');
    is($node->delete('/_scripts/t')->{status}, 200);
    is(template('/books/_search/template', { id => 't' })->{status}, 404);
};

subtest 'the language' => sub {
    my %p = (x => 'q"', l => [ 1, 'b', { k => 'v' } ], m => { a => { b => [ 7 ] } }, t => $true, f => $false, n => undef, e => []);
    is_deeply(rendered({ a => '{{x}}{{none}}{{n}}', '{{t}}' => '{{m.a.b.0}} {{l.size}} {{l.2.k}}' }, \%p), { a => 'q"', true => '7 3 v' }, 'values, in keys too');
    is_deeply(rendered('{"a":[{{#l}}{{^k}}"{{.}}",{{/k}}{{/l}}0],"b":"{{#f}}no{{/f}}{{#e}}no{{/e}}{{^e}}none{{/e}}{{! a comment }}"}', \%p), { a => [ 1, 'b', 0 ], b => 'none' }, 'sections');
    is_deeply(rendered('{"a":{{#toJson}}m{{/toJson}},"b":{{#toJson}}l{{/toJson}},"c":"{{#join delimiter=\'||\'}}m.a.b{{/join delimiter=\'||\'}}{{#join}}l{{/join}}"}', \%p), { a => { a => { b => [ 7 ] } }, b => $p{l}, c => '71,b,{k=v}' }, 'functions');
    is_deeply(rendered({ a => 'h/{{#url}}{{#join}}u{{/join}}{{/url}}' }, { u => [ '<a-{now/d}>', 'b c' ] }), { a => 'h/%3Ca-%7Bnow%2Fd%7D%3E%2Cb+c' });
    is_deeply(rendered('{{=<% %>=}}{"a":"<%x%>{{x}}"<%={{ }}=%>,"b":"{{x}}"}', \%p), { a => 'q"{{x}}', b => 'q"' }, 'other marks');
    is($node->get('/_script_language')->{json}{language_contexts}[1]{language}, 'mustache');
    is_deeply([ grep { /template/ } map { $_->{name} } @{ $node->get('/_script_context')->{json}{contexts} } ], [ 'ingest_template', 'template' ]);
};

subtest 'what is refused' => sub {
    my $r = render("{\n{{#a}}{{>part}}");
    is(error($r), '400 script_exception: Partials are not supported: template [part] in query-template:2 @[query-template:2]');
    is($r->{json}{error}{lang}, 'mustache');
    is($r->{json}{error}{caused_by}{type}, 'mustache_exception');
    like(error(render('{{<p}}{{/p}}')), qr/Inheritance is not supported: block \[p\]/);
    like(error(render({ a => '{{{x}}' })), qr/Improperly closed variable in query-template:1/);
    $r = render('{"a":{{x}}}', { x => '' });
    is($r->{status}, 400, 'no JSON');
    is($r->{json}{error}{template_output}, '{"a":}', 'which is shown');
    is(error(template('/_search/template', {})), "400 action_request_validation_exception: Validation Failed: 1: template is missing;2: template's script type is missing;");
    is(error(template('/_search/template', { source => '' })), '400 action_request_validation_exception: Validation Failed: 1: template is missing;');
    is(error(template('/_search/template', { source => '{{x}}' })), '400 parsing_exception: Expected [START_OBJECT] but found [null]');
    like(error(template('/_search/template', { source => [ 1 ] })), qr/^400 x_content_parse_exception: \[1:11\] \[search_template\] source doesn't support values of type: START_ARRAY/);
    like(error(template('/_search/template', { source => 'x', params => 1 })), qr/params doesn't support values of type: VALUE_NUMBER/);
    like(error(template('/_search/template', { source => 'x', nope => 1 })), qr/^400 x_content_parse_exception: \[1:\d+\] \[search_template\] unknown field \[nope\]/);
    like(error(template('/_search/template', { source => 'x', id => 'y' })), qr/\[id\] and \[source\] cannot be used at the same time/);
    like(error(template('/_search/template', { source => 'x', explain => 'maybe' })), qr/only \[true\] or \[false\] are allowed/);
    like(error(template('/_search/template', { source => { query => { '{{q}}' => {} } }, params => { q => 'nope' } })), qr/^400 parsing_exception: unknown query \[nope\]/);
    is(template('/_search/template', '[]')->{status}, 400);
    is(template('/_search/template')->{status}, 400);
};

subtest 'where hostile templates end' => sub {
    my $begin = time;
    is(error(render('{"a":"{{#l}}0123456789{{/l}}"}', { l => [ 1 .. 1000 ] })), '400 parse_exception: Mustache script result size limit exceeded');
    is(error(render('{{#l}}{{#l}}{{#l}}{{#l}}{{/l}}{{/l}}{{/l}}{{/l}}', { l => [ 1 .. 1000 ] })), '400 general_script_exception: the template takes more than 2000000 steps');
    is(error(render("{{#join delimiter=''}}l{{/join delimiter=''}}" x 1400, { l => [ ('') x 2000 ] })), '400 general_script_exception: the template takes more than 2000000 steps');
    like(error(render('{{#a}}' x 200)), qr/Sections nested deeper than 100 levels/);
    like(error(render('{{#url}}' x 90 . '{{x}}' . '{{/url}}' x 90, { x => '<' x 100 })), qr/size limit exceeded/);
    like(error(render('{{a' . '.a' x 200 . '}}')), qr/with more than 100 parts/);
    like(error(render('x' x 70_000)), qr/exceeded max allowed inline script size/);
    is(error(render('{{#toJson}}x{{/toJson}}', { x => [ ('y' x 100) x 100 ] })), '400 parse_exception: Mustache script result size limit exceeded');
    my $deep = '{"source":"{{#toJson}}x{{/toJson}}","params":{"x":' . '[' x 200 . ']' x 200 . '}}';
    ok($node->post('/_render/template', $deep)->{status} =~ /^(200|400)$/, 'deep params');
    is(error($node->post('/_render/template', '{"source":"x","params":{"l":[0' . ',0' x 4_500_000 . ']}}')), '400 illegal_argument_exception: [params] of a script take more than [67108864] bytes of memory, which a run may have');
    cmp_ok(time - $begin, '<', 20, 'soon') if $ENV{QD_TIMED};
    is($node->get('/books/_count')->{json}{count}, 6, 'and the node goes on');
};

subtest 'many in one request' => sub {
    my $lines = sub { join '', map { (ref $_ ? JSON::PP::encode_json($_) : $_) . "\n" } @_ };
    $node->put('/_scripts/k', { script => { lang => 'mustache', source => { query => { term => { kind => '{{k}}' } } } } });
    my $r = $node->post('/_msearch/template', $lines->(
        { index => 'books' }, { id => 'k', params => { k => 'odd' } },
        {}, { source => '{"query":{"match":{"title":"{{w}}"}}}', params => { w => 'a' } },
        { index => 'books' }, { source => '{"query": {' },
        { index => 'books' }, { id => 'none' },
        { index => 'books' }, { source => '{"query":{"{{q}}":{}}}', params => { q => 'nope' } },
        { index => 'books' }, { source => '{{>x}}' },
        { index => 'books' }, { id => 'k', params => { k => 'even' }, explain => $true },
        { index => 'gone' }, { source => '{}' }));
    is($r->{status}, 200);
    my @r = @{ $r->{json}{responses} };
    is_deeply([ map { $_->{status} } @r ], [ 200, 200, 400, 404, 400, 400, 200, 404 ], 'each for itself');
    is_deeply([ map { $_->{hits}{total}{value} } @r[ 0, 1, 6 ] ], [ 3, 1, 3 ]);
    is($r[2]{error}{root_cause}[0]{type}, 'x_content_e_o_f_exception');
    is($r[3]{error}{type}, 'resource_not_found_exception');
    like($r[4]{error}{reason}, qr/unknown query \[nope\]/);
    is($r[5]{error}{type}, 'script_exception');
    ok($r[6]{hits}{hits}[0]{_explanation});
    $r = $node->post('/books/_msearch/template?rest_total_hits_as_int=true&max_concurrent_searches=1', $lines->({}, { id => 'k', params => { k => 'odd' } }, { index => 'notes' }, { source => '{}' }));
    is_deeply([ map { $_->{hits}{total} } @{ $r->{json}{responses} } ], [ 3, 1 ], 'an index in the path');
    is(error($node->post('/_msearch/template', $lines->({}, { source => '{}' }, {}, { source => '' }))), '400 action_request_validation_exception: Validation Failed: 1: template is missing;');
    is(error($node->post('/_msearch/template', $lines->({}, { params => {} }))), '400 illegal_argument_exception: Malformed search template');
    is(error($node->post('/_msearch/template', $lines->({ nope => 1 }, { source => '{}' }))), '400 illegal_argument_exception: key [nope] is not supported in the metadata section');
    is($node->post('/_msearch/template', "{}\n{\"source\":\"{}\"}")->{status}, 400, 'no newline at the end');
};

subtest 'pipelines have the same language' => sub {
    $node->put('/_ingest/pipeline/m', { processors => [ { set => { field => 'all', value => '{{#tags}}<{{.}}>{{/tags}}{{^tags}}none{{/tags}}' } }, { set => { field => '_index', value => 'of-{{#join}}tags{{/join}}', if => 'ctx.tags != null' } } ] });
    my $r = $node->post('/_ingest/pipeline/m/_simulate', { docs => [ { _index => 'i', _source => { tags => [ 'a', 'b' ] } }, { _index => 'i', _source => {} } ] });
    is($r->{json}{docs}[0]{doc}{_source}{all}, '<a><b>');
    is($r->{json}{docs}[0]{doc}{_index}, 'of-a,b');
    is($r->{json}{docs}[1]{doc}{_source}{all}, 'none');
    like($node->put('/_ingest/pipeline/w', { processors => [ { set => { field => 'a', value => '{{#a}}' } } ] })->{json}{error}{reason}, qr/^\[value\] Failed to close 'a' tag/);
};

$node->stop;
done_testing;
