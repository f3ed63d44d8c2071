#!/usr/bin/perl
# 148_script_attacks.t: scripts that want all of a node: backtracking, nesting, loops, huge values, NUL, long sources.
# Each ends with an error that says why, and the node answers on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use Time::HiRes 'time';

my $node = QdNode->new('attacks');
$node->start;
my $slowest = ['', 0];
sub timed { my ($name, $r) = @_; my $t = time; my $x = $r->(); my $s = time - $t; $slowest = [ $name, $s ] if $s > $slowest->[1]; $x }
sub try { my ($source, %more) = @_; timed(substr($source, 0, 60), sub { $node->post('/_scripts/painless/_execute', { script => { source => $source, %more } }) }) }
sub why { my $r = try(@_); my $e = $r->{json}{error}; $r->{status} . ' ' . ($e->{reason} // '') . ': ' . ($e->{caused_by}{reason} // '') }

subtest 'regular expressions' => sub {
    my $as = 'a' x 5000;
    for my $regex ('(a+)+b', '(a|aa)+b', '(a*)*b', '(a|a?)+b', '([a-zA-Z]+)*b', '(.*)(.*)(.*)(.*)b') {
        my $r = try("params.t =~ /$regex/", params => { t => $as });
        is($r->{json}{result} // $r->{content}, 'false', "$regex has no match");
    }
    like(why('params.t ==~ /(a{1,1000}){1,1000}/', params => { t => $as }), qr/^400 compile error/, 'too many repetitions') ;
    like(why("def p = /(a+)+/; def s = params.t; for (int i = 0; i < 100000000; i++) { p.matcher(s).find() } return 1", params => { t => $as }), qr/maximum number of statements/, 'many of them');
};

subtest 'loops and calls' => sub {
    like(why('int i = 0; while (true) { i++ }'), qr/^400 runtime error: The maximum number of statements/, 'an endless loop');
    like(why('int f(int x) { return f(x + 1) } return f(0)'), qr/nest too deep/, 'a recursion');
    like(why('def l = []; while (true) { l.add(1) }'), qr/maximum number of statements|more memory/, 'a list');
    like(why("def s = 'x'; while (true) { s += s }"), qr/more memory/, 'a string');
    like(why('return new int[2147483647]'), qr/maximum number of statements|more memory/, 'an array');
    like(why('def l = [1]; l.add(l); return l'), qr/^400|^200/, 'a list that holds itself');
    like(why('def m = [:]; for (int i = 0; i < 100000000; i++) { m[i] = i } return m.size()'), qr/maximum number of statements|more memory/, 'a map');
    like(why('try { int i = 0; while (true) { i++ } } catch (Exception e) { return 1 }'), qr/maximum number of statements/, 'which cannot be caught');
    like(why('def f = x -> x; for (int i = 0; i < 100000000; i++) { f = y -> y } [1].stream().map(f).collect(Collectors.toList())'), qr/maximum number of statements|more memory/, 'lambdas');
};

subtest 'sources' => sub {
    for my $source ('(' x 60000, '[' x 60000, '{' x 60000, '-' x 60000, '!' x 60000 . 'true', '1' . '+1' x 30000, 'if (true) ' x 6000 . '1', '((' x 30000 . '))' x 100, 'a.' x 30000 . 'b', 'x->' x 20000 . '1', "'" . 'a' x 65000 . "'", '1?' x 20000, '/' . '(' x 60000 . '/') {
        my $r = try($source);
        ok($r->{status} == 400 || $r->{status} == 200, substr($source, 0, 20) . '…: ' . $r->{status});
    }
    like(why('1;' x 40000), qr/exceeded max allowed inline script size in bytes \[65536\]/, 'more than 64 KiB');
    is(try("return 'a' + (char) 0 + 'b'")->{json}{result}, "a\0b", 'NUL in a value');
    is(try("return params.a.length()", params => { a => "x\0y" })->{json}{result}, '3', 'NUL in a param');
    like(why("return 1\0"), qr/^400 compile error|^200/, 'NUL in a source');
    my $r = $node->put("/n/_doc/1?refresh=true", { k => "x\0y" });
    is($r->{status}, 201, 'NUL in a document');
    is($node->post('/n/_search', { runtime_mappings => { r => { type => 'keyword', script => "emit(params._source.k + 'z')" } }, query => { term => { r => "x\0yz" } } })->{json}{hits}{total}{value}, 1, 'NUL in a runtime field');
};

subtest 'runtime fields' => sub {
    $node->post('/n/_bulk?refresh=true', join('', map { qq({"index":{}}\n{"v":$_}\n) } 1 .. 200));
    my $field = sub { my ($type, $script, %more) = @_; my $r = timed($script, sub { $node->post('/n/_search', { runtime_mappings => { r => { type => $type, script => $script, %more } }, query => { exists => { field => 'r' } } }) }); $r->{json}{error} ? JSON::PP::encode_json($r->{json}{error}) : $r->{content} };
    like($field->('long', 'int i = 0; while (true) { i++ } '), qr/maximum number of statements/, 'an endless loop');
    like($field->('long', 'int i = 0; while (true) { i++ }', on_script_error => 'continue'), qr/maximum number of statements/, '... ends the search, whatever on_script_error says');
    like($field->('keyword', "def s = 'x'; for (int i = 0; i < 16; i++) s += s; emit(s)"), qr/a string of \[65536\] bytes while the maximum is \[32766\]/, 'a long string');
    like($field->('keyword', "def s = 'x'; for (int i = 0; i < 14; i++) s += s; for (int i = 0; i < 99; i++) emit(s + i)"), qr/emitting \[\d+\] characters while the maximum number of characters allowed is \[1048576\]/, 'many of them');
    like($field->('composite', "def m = [:]; m['a'] = m; emit(m)", fields => { a => { type => 'long' } }), qr/"hits"/, 'a map that holds itself');
    like($field->('geo_point', 'emit(0.0 / 0.0, 1e300)'), qr/"hits"/, 'no point');
};

subtest 'expressions' => sub {
    my $x = sub { my $s = shift; my $r = timed($s, sub { $node->post('/n/_search', { query => { script => { script => { lang => 'expression', source => $s } } } }) }); $r->{status} };
    is($x->($_), 400, substr($_, 0, 10)) for '(' x 60000, '-' x 60000, '1?' x 30000, 'pow(' x 16000, '!' x 60000 . 'a', 'b' x 65537;
    is($x->('1' . '+1' x 30000), 200, 'a long sum');
};
is($node->get('/')->{status}, 200, 'the node is there');
diag(sprintf('the slowest took %.2f s: %s', $slowest->[1], substr($slowest->[0], 0, 40)));
cmp_ok($slowest->[1], '<', 1, 'each ends within a second') if $ENV{QD_TIMED};
done_testing;
