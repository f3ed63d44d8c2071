#!/usr/bin/perl
# 149_script_library.t: Processors in ingest scripts, System, randomScore, interfaces that call lambdas, holtWinters, loops
# that are nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('library');
$node->start;
sub try { my $r = $node->post('/_scripts/painless/_execute', { script => $_[0] }); $r->{json}{result} // $r->{json}{error}{reason} . ': ' . $r->{json}{error}{caused_by}{reason} }

subtest 'Processors' => sub {
    my $run = sub { my ($source, %doc) = @_;
        my $r = $node->post('/_ingest/pipeline/_simulate', { pipeline => { processors => [ { script => { source => $source } } ] }, docs => [ { _source => \%doc } ] })->{json}{docs}[0];
        $r->{doc} ? $r->{doc}{_source} : JSON::PP::encode_json($r->{error}) };
    is($run->('ctx.b = Processors.bytes(ctx.a)', a => '1kb')->{b}, 1024, 'bytes');
    like($run->('ctx.b = Processors.bytes(ctx.a)', a => 'x'), qr/failed to parse setting \[Ingest Field\]/, '... of no size');
    is($run->('ctx.b = Processors.lowercase(ctx.a) + Processors.uppercase(ctx.a)', a => 'aB')->{b}, 'abAB', 'lowercase, uppercase');
    is_deeply($run->('ctx.b = Processors.json(ctx.a)', a => '{"c":[1,2]}')->{b}, { c => [ 1, 2 ] }, 'json');
    is($run->("Processors.json(ctx, 'a')", a => '{"c":1}')->{c}, 1, 'json to the root');
    like($run->("Processors.json(ctx, 'a')", a => '[1]'), qr/cannot add non-map fields to root of document/, '... of a list');
    is($run->('ctx.b = Processors.urlDecode(ctx.a)', a => 'a%20b+%C3%A9')->{b}, "a b \x{e9}", 'urlDecode');
    like($run->('ctx.b = Processors.urlDecode(ctx.a)', a => $_), qr/Could not URL-decode value/, "... of $_") for '%', '%4', '%zz', '%ff';
    like(try("Processors.bytes('1kb')"), qr/cannot resolve symbol \[Processors\]/, 'nowhere else');
    my $e = $node->put('/_ingest/pipeline/p', { processors => [ { script => { source => 'no painless, no gain!' } } ] })->{json}{error};
    is("$e->{type} $e->{reason} $e->{processor_type}", 'script_exception compile error script', 'a script that does not compile');
};

subtest 'the rest' => sub {
    is(try('boolean same(Supplier s, def v) { return s.get() == v } return same(() -> 3, 3)'), 'true', 'Supplier');
    is(try('def call(Function f, def v) { return f.apply(v) } return call(x -> x * 2, 4)'), '8', 'Function');
    is(try("boolean t(Predicate p) { return p.test('a') } return t(x -> x == 'a')"), 'true', 'Predicate');
    like(try('System.currentTimeMillis() > 1600000000000L'), qr/true/, 'System');
    like(try($_), qr/^compile error: no paths escape from (while|for|do while) loop/, $_) for 'while (true) {}', 'for (;;) {}', 'do {} while (true)';
    $node->post('/i/_bulk?refresh=true', join('', map { qq({"index":{"_id":"$_"}}\n{"k":"v$_"}\n) } 1 .. 20));
    my $order = sub { join ' ', map { $_->{_id} } @{ $node->post('/i/_search', { size => 20, query => { script_score => { query => { match_all => {} }, script => $_[0] } } })->{json}{hits}{hits} // [] } };
    is($order->('randomScore(7)'), $order->('randomScore(7)'), 'randomScore is the same for a seed');
    isnt($order->('randomScore(7)'), $order->('randomScore(8)'), '... and another for another');
    is($order->("randomScore(7, '_seq_no')"), $order->('randomScore(7)'), '... by _seq_no');
    isnt($order->("randomScore(7, 'k.keyword')"), '', '... or a field');
    my $hw = sub { my $r = $node->post('/i/_search', { size => 0, aggs => { h => { histogram => { script => "Integer.parseInt(doc['k.keyword'].value.substring(1))", interval => 1, min_doc_count => 0 }, aggs => { m => { moving_fn => { buckets_path => '_count', window => $_[0], script => 'MovingFunctions.holtWinters(values, 0.5, 0.5, 0.5, 2, false)' } } } } } }); $r->{json}{aggregations} ? $r->{json}{aggregations}{h}{buckets}[-1]{m}{value} : $r->{content} };
    like($hw->(3), qr/requires at least \(2 \* period == 2 \* 2 == 4\) data-points/, 'holtWinters of too few');
};
done_testing;
