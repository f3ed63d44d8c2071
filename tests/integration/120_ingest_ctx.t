#!/usr/bin/perl
# 120_ingest_ctx.t: ctx of conditions and scripts in pipelines is the document itself until a script changes it: every way to
# reach a member sees the same, what was changed is seen by what follows, untouched values stay as they were written. Stored scripts,
# which may change or go while pipelines name them. Documents that are made to be slow or deep end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use QdNode;
use Test::More;
use Time::HiRes qw(time);
use Timed;

my $node = QdNode->new('ingestctx');
$node->start;

sub raw_sim {
    my ($source, @processors) = @_;
    return $node->post('/_ingest/pipeline/_simulate', '{"pipeline":' . JSON::PP::encode_json({processors => \@processors}) . qq(,"docs":[{"_index":"i","_id":"1","_source":$source}]}));
}
sub sim {
    my ($source, @processors) = @_;
    my $r = raw_sim(ref $source ? JSON::PP::encode_json($source) : $source, @processors);
    my $d = $r->{json}{docs}[0] // { error => $r->{json}{error} };
    return $d->{error} // $d->{doc};
}
sub holds { my ($source, $if) = @_; my $d = sim($source, { set => { if => $if, field => 'hit', value => 1 } }); return $d->{_source} ? $d->{_source}{hit} // 0 : "$d->{type}: " . ($d->{caused_by}{type} // '') }
sub script { my ($source, $script, %more) = @_; return sim($source, { script => { source => $script, %more } }) }

# --- reading
my %doc = (s => 'x', n => 3, f => 1.5, t => JSON::PP::true, z => undef, o => { p => { q => 'deep' }, l => [ 1, { m => 2 } ], 'a.b' => 'dotted' }, l => [ 'a', 'b' ], '0' => 'zero');
for my $case (
    [ "ctx.s == 'x'", 1 ], [ "ctx['s'] == 'x'", 1 ], [ "ctx.get('s') == 'x'", 1 ], [ "ctx.o.p.q == 'deep'", 1 ], [ "ctx['o']['p'].q == 'deep'", 1 ],
    [ "ctx.o?.p?.q == 'deep'", 1 ], [ "ctx.none?.p?.q == null", 1 ], [ "ctx.z?.p == null", 1 ], [ 'ctx.z == null', 1 ], [ 'ctx.none == null', 1 ], [ 'ctx.t', 1 ],
    [ 'ctx.n + ctx.f == 4.5', 1 ], [ "ctx.containsKey('z')", 1 ], [ "ctx.containsKey('none')", 0 ], [ "!ctx.containsKey('_index')", 0 ], [ "ctx.containsKey('_ingest')", 1 ],
    [ "ctx.o.l[1].m == 2", 1 ], [ "ctx.o.l.1.m == 2", 1 ], [ 'ctx.l.length == 2', 1 ], [ "ctx.l.contains('b')", 1 ], [ "ctx.o['a.b'] == 'dotted'", 1 ], [ "ctx.o.size() == 3", 1 ],
    [ "ctx._index == 'i' && ctx._id == '1'", 1 ], [ 'ctx._ingest.timestamp != null', 1 ], [ "def k = 'o'; return ctx[k].p.q == 'deep'", 1 ], [ 'ctx.size() >= 8', 1 ],
    [ "def c = ctx; return c.o.p == ctx.o.p && c.s == ctx.s", 1 ], [ "boolean f(def c) { return c.o.p.q == 'deep' } return f(ctx)", 1 ], [ "[1].stream().anyMatch(i -> ctx.n == 3)", 1 ],
    [ 'ctx.none.p == 1', 'script_exception: null_pointer_exception' ], [ 'ctx.z.p == 1', 'script_exception: null_pointer_exception' ], [ "ctx.none['p'] == 1", 'script_exception: null_pointer_exception' ],
    [ 'ctx.s.p == 1', 'script_exception: illegal_argument_exception' ], [ 'ctx.n', 'script_exception: class_cast_exception' ],
    [ "def ctx2 = ['s': 'y']; return ctx2.s == 'y' && ctx.s == 'x'", 1 ],
    [ "'abc' ==~ /a|abc/", 1 ], [ "ctx.s ==~ /x|y/", 1 ], [ "ctx.s =~ /y/", 0 ],
) {
    is(holds(\%doc, $case->[0]), $case->[1], $case->[0]);
}
like(JSON::PP::encode_json(sim(\%doc, { set => { if => "ctx.s == 'x'\n && ctx.o.none.q == 1", field => 'a', value => 1 } })), qr/"offset":27\b/, 'the place of an error within a path');

# --- changing
is_deeply(script(\%doc, "ctx.o.p.r = ctx.o.p.q + '!'; ctx.again = ctx.o.p.r; ctx.n = ctx.n + 1; ctx.m = ctx.n++")->{_source},
    { %doc, o => { %{ $doc{o} }, p => { q => 'deep', r => 'deep!' } }, again => 'deep!', n => 5, m => 4 }, 'changes are seen at once');
is_deeply(script(\%doc, "def l = ctx.l; l.add('c'); def all = ctx; all.l.add('d'); ctx.n = all.l.size(); all.remove('s'); ctx.x = all.containsKey('s')")->{_source},
    { %{ { %doc, l => [ 'a' .. 'd' ], n => 4, x => JSON::PP::false } }{ grep { $_ ne 's' } (keys %doc, 'x') } }, 'a list that was held, then all of ctx');
my $order = raw_sim('{"b":1.50,"a":{"k":2.10,"j":1e2},"c":123456789012345678901234567890}', { script => { source => 'ctx.new = 1; ctx.b2 = ctx.b' } })->{content};
like($order, qr/"_source":\{"b":1\.50,"a":\{"k":2\.10,"j":1e2\},"c":123456789012345678901234567890,"new":1,"b2":1\.5\}/, 'what a script does not touch stays as it was written') or diag $order;
my $d = script({ n => 1 }, "ctx._index = 'j'; ctx._routing = 'r'; ctx._ingest.mark = 5; ctx.mark = ctx._ingest.mark");
is("$d->{_index} $d->{_routing} $d->{_source}{mark} $d->{_ingest}{mark}", 'j r 5 5', 'metadata and _ingest');
is_deeply(sim({ n => 1 }, { script => { source => 'ctx.n = 2; ctx.o = [1]; ctx.none.x = 1', on_failure => [ { set => { field => 'failed', value => '{{n}}' } } ] } })->{_source}, { n => 1, failed => '1' }, 'a script that fails changes nothing');
is_deeply(sim({ n => 1 }, { script => { source => 'def x = []; x.add(x); ctx.n = 7; ctx.x = x', ignore_failure => JSON::PP::true } })->{_source}, { n => 1 }, 'nor one whose values cannot be kept');
is_deeply(sim({ n => 1, l => [ 1 ] }, { set => { if => "ctx.l.add(2); ctx.n = 5; return ctx.n == 5 && ctx.l.size() == 2", field => 'm', value => '{{n}}{{l.1}}' } })->{_source}, { n => 1, l => [ 1 ], m => '1' }, 'a condition sees its changes, nobody else does');

# --- params: made once, and no run sees what another has done to them
my @twice = map { { script => { source => "params.l.add(1); ctx.n = (ctx.n ?: 0) + params.l.size() + params.k; params.k = 9; ctx.k = params.k; ctx.l = params.l; ctx.l.add('x')", params => { l => [ 0 ], k => 10 } } } } 1 .. 2;
is_deeply(sim({}, @twice)->{_source}, { n => 24, k => 9, l => [ 0, 1, 'x' ] }, 'params');
is_deeply(script({}, "ctx.a = params.o.p; ctx.b = params['o']['p']; ctx.c = params.none; ctx.d = params.containsKey('o')", params => { o => { p => 1 } })->{_source}, { a => 1, b => 1, c => undef, d => JSON::PP::true }, 'members of params');

# --- stored scripts
my $put = sub { my ($id, $source) = @_; is($node->put("/_scripts/$id", { script => { lang => 'painless', source => $source } })->{status}, 200, "script $id") };
my $p = sub { return $node->put("/_ingest/pipeline/$_[0]", { processors => $_[1] }) };
my $r = $p->('p', [ { script => { id => 'none' } } ]);
is($r->{status}, 400, 'a pipeline with a script that is not there');
like($r->{content}, qr/unable to find script \[none\] in cluster state/, '... says so');
$put->('tag', "ctx.tags = params.tags; ctx.by = 'one'");
$put->('is-web', "ctx.kind == 'web'");
$put->('field', "doc['x'].value > 1");
like($p->('p', [ { script => { id => 'field' } } ])->{content}, qr/script_exception|compile error/, 'one that is of another context');
like($p->('p', [ { script => { id => 'tag', lang => 'painless' } } ])->{content}, qr/illegally specified <lang> for a stored script/, 'a language beside the id');
$r = $p->('p', [ { script => { if => { id => 'is-web' }, id => 'tag', params => { tags => [ 'a' ] }, tag => 'mine', on_failure => [ { set => { field => 'why', value => '{{_ingest.on_failure_message}}' } } ] } } ]);
is($r->{status}, 200, 'a pipeline of stored scripts') or diag $r->{content};
my $n = 0;
my $index = sub { my $id = ++$n; my $r = $node->put("/x/_doc/$id?pipeline=p", { kind => $_[0] // 'web' }); return $r->{status} == 201 ? $node->get("/x/_source/$id")->{json} : "$r->{status} $r->{json}{error}{type}: $r->{json}{error}{reason}" };
is_deeply($index->(), { kind => 'web', tags => [ 'a' ], by => 'one' }, 'a stored script, with params');
is_deeply($index->('other'), { kind => 'other' }, 'a stored condition');
$put->('tag', "ctx.by = 'two'");
is_deeply($index->(), { kind => 'web', by => 'two' }, 'the script has changed');
is($node->delete('/_scripts/tag')->{status}, 200, 'the script goes');
is_deeply($index->(), { kind => 'web', why => 'unable to find script [tag] in cluster state' }, 'the processor that needs it fails, its on_failure runs');
is_deeply($index->('other'), { kind => 'other' }, 'others go on');
$put->('tag', 'ctx.by = ');
like($index->()->{why}, qr/^compile error: ./, 'a script that does not compile fails its processor');
is($p->('outer', [ { pipeline => { name => 'p' } } ])->{status}, 200, 'a pipeline that runs it');
like($node->put('/x/_doc/outer?pipeline=outer', { kind => 'web' })->{status} . $node->get('/x/_source/outer')->{json}{why}, qr/^201compile error: ./, '... the same');
$r = $node->post('/_bulk?pipeline=p', join '', map { qq({"index":{"_index":"x","_id":"b$_"}}\n{"kind":"web"}\n) } 1 .. 3);
is($r->{json}{errors}, JSON::PP::false, '... and a bulk of them');
$put->('tag', "ctx.by = 'three'") ;
is_deeply($index->(), { kind => 'web', by => 'three' }, 'it is back');
is($node->delete('/_scripts/is-web')->{status}, 200, 'the condition goes');
is_deeply($index->(), { kind => 'web', why => 'unable to find script [is-web] in cluster state' }, 'a condition that is gone fails its processor');

# --- documents made to be slow or deep
my $begun = time;
my $many = join ' ', map { "k$_=v" } 1 .. 100_000;
$r = raw_sim(JSON::PP::encode_json({ m => $many }), { kv => { field => 'm', field_split => ' ', value_split => '=', target_field => 't' } }, { script => { source => 'ctx.n = ctx.t.size()' } }, { remove => { field => [ 'm', 't' ] } });
is($r->{json}{docs}[0]{doc}{_source}{n}, 100_000, 'a hundred thousand keys of one text') or diag substr $r->{content}, 0, 300;
within(time - $begun, 2, 60, 'they');
$begun = time;
$r = raw_sim(JSON::PP::encode_json({ m => join ' ', 1 .. 60_000 }), { split => { field => 'm', separator => ' ' } }, { foreach => { field => 'm', processor => { append => { field => 'l', value => '{{_ingest._value}}', allow_duplicates => JSON::PP::false } } } });
like($r->{json}{docs}[0]{error}{reason} // '', qr/^a list of \[\d+\] values is too long to keep duplicates out/, 'a list that grows without duplicates') or diag substr $r->{content}, 0, 300;
within(time - $begun, 3, 60, 'it');
my @deep = map { { rename => { field => $_ % 2 ? 'a' : 'b', target_field => ($_ % 2 ? 'b' : 'a') . '.x' x 90 } } } 1 .. 40;
like(JSON::PP::encode_json(sim('{"a":1}', @deep, { set => { if => 'ctx.size() > 0', field => 'c', value => 1 } })), qr/"error"|"type"|reason/, 'a tree that processors have made too deep ends a script');
is($node->get('/')->{status}, 200, 'the node lives');
is($node->stop, 0, 'SIGTERM ends it');
done_testing();
