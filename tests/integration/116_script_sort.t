#!/usr/bin/perl
# 116_script_sort.t: sort by _script: numbers and texts, over shards, segments and nodes, with search_after, scrolls and what is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use Test::More;

my $c = QdCluster->new('ss', nodes => 2);
$c->start;
my ($node, $other) = $c->nodes;
my $json = JSON::PP->new->utf8->canonical;
$node->put('/t', { settings => { number_of_shards => 4, number_of_replicas => 0 }, mappings => { properties => {
    n => { type => 'integer' }, f => { type => 'double' }, k => { type => 'keyword' }, m => { type => 'long' }, title => { type => 'text' },
    c => { type => 'nested', properties => { x => { type => 'integer' } } } } } });
my %doc;
for my $part (0 .. 2) { # several segments a shard
    my $bulk = '';
    for my $i ($part * 100 + 1 .. $part * 100 + 100) {
        $doc{$i} = { n => $i, f => ($i * 37 % 101) / 4, k => sprintf('k%03d', $i * 53 % 307), title => $i % 3 ? 'fox' : 'fox fox dog', c => [ { x => $i }, { x => -$i } ] };
        $doc{$i}{m} = $i if $i % 5;
        $bulk .= qq({"index":{"_index":"t","_id":"$i"}}\n) . $json->encode($doc{$i}) . "\n";
    }
    is($node->post('/_bulk?refresh=true', $bulk)->{json}{errors}, JSON::PP::false, 'documents are indexed');
}

sub hits { my ($n, $body) = @_; my $r = $n->post('/t/_search', $body); $r->{status} == 200 && !$r->{json}{_shards}{failed} ? $r->{json}{hits}{hits} : $r }
sub ids { my $h = hits(@_); ref $h eq 'ARRAY' ? [ map { $_->{_id} } @$h ] : $h->{content} }
sub by { my ($type, $script, %more) = @_; { _script => { type => $type, script => $script, %more } } }
sub wanted { my ($key, $cmp) = @_; my %v = map { $_ => $key->($doc{$_}) } keys %doc; [ sort { $cmp->($v{$a}, $v{$b}) || $a <=> $b } keys %v ] }
my $up = sub { $_[0] <=> $_[1] };

for my $n ($node, $other) {
    my $name = $n == $node ? 'one node' : 'the other node';
    my $want = wanted(sub { -$_[0]{f} * 2 + $_[0]{n} / 1000 }, $up);
    is_deeply(ids($n, { size => 300, sort => [ by('number', "doc['f'].value * -2 + doc['n'].value / 1000.0"), 'n' ] }), $want, "$name: an expression over columns");
    is_deeply(ids($n, { size => 300, sort => [ by('number', "def x = doc['f'].value; if (x > 0) { x = -x } x * 2 + doc['n'].value / 1000.0", order => 'asc') ] }), $want, "$name: statements");
    is_deeply(ids($n, { size => 7, sort => [ by('number', { source => "doc['n'].value % params.by", params => { by => 10 } }, order => 'desc'), { n => 'desc' } ] }), [ map { $_ * 10 + 9 } reverse 23 .. 29 ], "$name: params, another key behind");
    is_deeply(ids($n, { size => 300, sort => [ by('string', "doc['k'].value.substring(1) + 'x'"), 'n' ] }), wanted(sub { substr $_[0]{k}, 1 }, sub { $_[0] cmp $_[1] }), "$name: texts");
    is_deeply(ids($n, { size => 5, sort => [ by('string', "doc['k'].value", order => 'desc') ] }), [ @{ wanted(sub { $_[0]{k} }, sub { $_[1] cmp $_[0] }) }[ 0 .. 4 ] ], "$name: texts, the last first");
    is_deeply(ids($n, { size => 300, sort => [ { n => 'desc' }, by('string', "doc['k'].value") ] }), [ reverse 1 .. 300 ], "$name: behind a field");
}

subtest 'what is shown' => sub {
    my $h = hits($node, { size => 1, sort => [ by('number', "doc['n'].value * 3"), by('string', "'x' + doc['n'].value") ], query => { term => { n => 7 } } });
    is($json->encode($h->[0]{sort}), '[21,"x7"]', 'values of the keys');
    is($h->[0]{_score}, undef, 'no score');
    $h = hits($node, { size => 1, sort => [ by('number', '0.0 / 0.0') ], query => { term => { n => 7 } } });
    is($json->encode($h->[0]{sort}), '["NaN"]', 'no number');
};

subtest 'scores' => sub {
    my $q = { match => { title => 'dog' } };
    my $a = ids($node, { size => 300, query => $q, sort => [ by('number', '_score', order => 'desc'), 'n' ] });
    my $b = ids($node, { size => 300, query => $q, sort => [ '_score', 'n' ] });
    is_deeply($a, $b, 'the script sees them');
    my $h = hits($node, { size => 1, query => $q, sort => [ by('number', '_score', order => 'desc') ], track_scores => \1 });
    ok(abs($h->[0]{sort}[0] - $h->[0]{_score}) < 1e-6, 'as they are shown');
};

subtest 'search_after' => sub {
    for my $s ([ by('number', "doc['n'].value % 7"), 'n' ], [ by('string', "'p' + doc['n'].value % 7", order => 'desc'), 'n' ]) {
        my $all = ids($node, { size => 300, sort => $s });
        my (@got, $after);
        while (1) {
            my $h = hits(@got % 2 ? $node : $other, { size => 41, sort => $s, $after ? (search_after => $after) : () });
            last if ref $h ne 'ARRAY' || !@$h;
            push @got, map { $_->{_id} } @$h;
            $after = $h->[-1]{sort};
        }
        is_deeply(\@got, $all, 'page by page');
    }
    like($node->post('/t/_search', { sort => [ by('number', '1') ], search_after => ['x'] })->{content}, qr/Failed to parse search_after value for field \[_script\]/, 'what is no number');
};

subtest 'scroll' => sub {
    for my $s ([ by('number', "doc['n'].value % 3") ], [ by('string', "'q' + doc['n'].value % 3") ]) {
        my $r = $node->post('/t/_search?scroll=1m', { size => 37, sort => $s });
        my @got;
        while (@{ $r->{json}{hits}{hits} }) {
            push @got, map { $_->{sort}[0] } @{ $r->{json}{hits}{hits} };
            $r = $other->post('/_search/scroll', { scroll => '1m', scroll_id => $r->{json}{_scroll_id} });
        }
        is(scalar @got, 300, 'each document once');
        my $text = !ref $s->[0]{_script}{script} && $s->[0]{_script}{type} eq 'string';
        is_deeply(\@got, [ sort { $text ? $a cmp $b : $a <=> $b } @got ], 'in order');
    }
};

subtest 'within hits and buckets' => sub {
    my $h = hits($node, { size => 1, query => { bool => { filter => [ { term => { n => 9 } }, { nested => { path => 'c', query => { match_all => {} }, inner_hits => { sort => [ by('number', "doc['c.x'].value") ] } } } ] } } });
    is($json->encode([ map { $_->{sort}[0] } @{ $h->[0]{inner_hits}{c}{hits}{hits} } ]), '[-9,9]', 'inner hits');
    my $r = $node->post('/t/_search', { size => 0, aggs => { a => { top_hits => { size => 3, sort => [ by('string', "doc['k'].value") ] } } } });
    is_deeply([ map { $_->{_id} } @{ $r->{json}{aggregations}{a}{hits}{hits} } ], [ @{ wanted(sub { $_[0]{k} }, sub { $_[0] cmp $_[1] }) }[ 0 .. 2 ] ], 'top_hits');
};

subtest 'what is refused' => sub {
    my $why = sub { $node->post('/t/_search', { sort => [ { _script => $_[0] } ] }) };
    like($why->({ script => '1', type => 'number', nested => { path => 'c' } })->{content}, qr/\[nested\] is not supported in a sort by \[_script\]/, 'nested');
    like($why->({ script => '1', type => 'version' })->{content}, qr/\[type\] \[version\] is not supported/, 'versions');
    like($why->({ script => '1', type => 'x' })->{content}, qr/Unknown ScriptSortType \[x\]/, 'a wrong type');
    like($why->({ script => '1' })->{content}, qr/Required \[type\]/, 'no type');
    like($why->({ type => 'number' })->{content}, qr/Required \[script\]/, 'no script');
    like($why->({ script => '1', type => 'number', missing => 1 })->{content}, qr/\[_script\] unknown field \[missing\]/, 'missing');
    like($why->({ script => "'a'", type => 'string', mode => 'sum' })->{content}, qr/doesn't support mode \[sum\]/, 'sums of texts');
    like($why->('x')->{content}, qr/\[_script\] doesn't support values of type/, 'no object');
    my $r = $why->({ script => 'foo(', type => 'number' });
    is($r->{status}, 400, 'what does not compile');
    like($r->{content}, qr/script_exception.*compile error/, 'tells why');
    like($why->({ script => "doc['m'].value", type => 'number' })->{content}, qr/A document doesn't have a value for a field/, 'what throws on some documents');
    like($why->({ script => "doc['k'].size() == 1 ? null : 'a'", type => 'string' })->{content}, qr/gave null/, 'texts that are none');
    like($why->({ script => 'int i = 0; while (true) { i++ } return 1', type => 'number' })->{content}, qr/maximum number of statements/, 'what never ends');
    like($why->({ script => "'0123456789abcdefghij'.repeat(200000) + doc['n'].value", type => 'string' })->{content}, qr/Data too large: the texts of a sort by \[_script\]/, 'texts beyond measure');
    $r = $node->post('/t/_search', { size => 300, sort => [ { _script => { script => "'0123456789'.repeat(100000) + doc['n'].value", type => 'string' } } ] });
    like($r->{content}, qr/Data too large: the texts of a sort by \[_script\]/, 'many long ones');
    is($node->post('/t/_search', { size => 1 })->{status}, 200, 'and the node goes on');
};

$c->stop;
done_testing;
