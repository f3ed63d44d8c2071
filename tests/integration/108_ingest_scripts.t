#!/usr/bin/perl
# 108_ingest_scripts.t: conditions and the processor script in pipelines.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('ingestscripts');
$node->start;

sub put { my ($id, @processors) = @_; my $r = $node->put("/_ingest/pipeline/$id", { processors => \@processors }); diag $r->{content} unless $r->{status} == 200; return $r }
sub sim {
    my ($source, @processors) = @_;
    my $r = $node->post('/_ingest/pipeline/_simulate', { pipeline => { processors => \@processors }, docs => [ { _index => 'i', _id => '1', _source => $source } ] });
    my $d = $r->{json}{docs}[0] // { error => $r->{json}{error} };
    diag $r->{content} if !$r->{json}{docs};
    return $d->{error} ? $d->{error} : $d->{doc} // $d;
}
sub source_of { return sim(@_)->{_source} }

is_deeply(source_of({ n => 1 }, { set => { if => 'ctx.n > 5', field => 'big', value => 'yes' } }), { n => 1 }, 'a condition that does not hold');
is_deeply(source_of({ n => 7 }, { set => { if => 'ctx.n > 5', field => 'big', value => 'yes' } }), { n => 7, big => 'yes' }, 'one that does');
is_deeply(source_of({ a => { b => 'x' } }, { set => { if => "ctx.a?.b == 'x' && ctx.c?.d == null", field => 'hit', value => 1 } }), { a => { b => 'x' }, hit => 1 }, 'null-safe access');
is_deeply(source_of({ tag => [ 'a', 'b' ] }, { set => { if => { source => 'ctx.tag.contains(params.t)', params => { t => 'b' } }, field => 'hit', value => 1 } }), { tag => [ 'a', 'b' ], hit => 1 }, 'params of a condition');
is_deeply(source_of({ n => 2 }, { set => { if => 'ctx.n = 9; return true', field => 'm', value => 1 } }), { n => 2, m => 1 }, 'what a condition changes is lost');

my $doc = sim({ n => 2, list => [ 1, 2.5, 'x', undef, { y => JSON::PP::true } ], big => 12345678901 }, { script => { source => "ctx.n += params.by; ctx.o = ['k': [1, 2]]; ctx.list.add(ctx._id); ctx._index = 'other'; ctx._routing = 'r'; ctx.remove('big')", params => { by => 40 } } });
is_deeply($doc->{_source}, { n => 42, list => [ 1, 2.5, 'x', undef, { y => JSON::PP::true }, '1' ], o => { k => [ 1, 2 ] } }, 'a script changes the document');
is("$doc->{_index} $doc->{_routing}", 'other r', 'and its metadata');
is(source_of({ at => '2020-02-03T00:00:00Z' }, { script => "ctx.day = ZonedDateTime.parse(ctx.at).getDayOfMonth()" })->{day}, 3, 'a script as a text');
like(sim({}, { script => { source => 'ctx.x.y = 1' } })->{type}, qr/script_exception/, 'a failure is the script\'s');
is_deeply(source_of({}, { script => { source => 'ctx.x.y = 1', on_failure => [ { set => { field => 'failed', value => '{{_ingest.on_failure_processor_type}}' } } ] } }), { failed => 'script' }, 'on_failure');
is(sim({}, { script => { source => 'def x = []; x.add(x); ctx.x = x' } })->{type}, 'illegal_argument_exception', 'a value that contains itself');

my $r = $node->put('/_ingest/pipeline/bad', { processors => [ { set => { if => 'ctx.n >', field => 'a', value => 1 } } ] });
is($r->{status}, 400, 'a condition that does not compile');
is($r->{json}{error}{property_name}, 'if', 'names the property');
is($node->put('/_ingest/pipeline/bad', { processors => [ { script => { source => 'ctx.n = ' } } ] })->{status}, 400, 'a script that does not compile');
like($node->put('/_ingest/pipeline/bad', { processors => [ { script => { id => 'x' } } ] })->{content}, qr/unable to find script \[x\] in cluster state/, 'a stored script that is not there');

put('p', { drop => { if => "ctx.level == 'debug'" } }, { script => { source => "ctx.words = ctx.text.splitOnToken(' ').length" } }, { set => { if => 'ctx.words > 2', field => '_index', value => 'long' } });
my $bulk = join '', map { qq({"index":{"_index":"short","_id":"$_->[0]"}}\n{"level":"$_->[1]","text":"$_->[2]"}\n) } [ 1, 'info', 'a b' ], [ 2, 'debug', 'x' ], [ 3, 'info', 'a b c d' ];
$r = $node->post('/_bulk?pipeline=p&refresh=true', $bulk);
is($r->{json}{errors}, JSON::PP::false, 'a bulk') or diag $r->{content};
is_deeply([ map { $_->{index}{result} } @{ $r->{json}{items} } ], [ 'created', 'noop', 'created' ], 'created, dropped, created');
is($node->get('/short/_doc/1')->{json}{_source}{words}, 2, 'by a script');
is($node->get('/long/_doc/3')->{json}{_source}{words}, 4, 'in the index that a condition chose');
is($node->get('/short/_doc/2')->{status}, 404, 'dropped');

$node->stop;
done_testing;
