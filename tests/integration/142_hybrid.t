#!/usr/bin/perl
# 142_hybrid.t: hybrid queries with search pipelines on three nodes give what the formulas say of single searches; processors of requests and responses;
# how pipelines are stored and named.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('hy', nodes => 3, settings => { 'compatibility.identity' => 'os2' });
$c->start;
my @n = $c->nodes;
srand 13;
my $D     = 6;
my @words = qw(red green blue amber teal grey);
sub vector { return [ map { int(rand 2001) / 1000 - 1 } 1 .. $D ] }
$n[0]->put('/h', { settings => { number_of_shards => 4, number_of_replicas => 1, 'index.knn' => JSON::PP::true }, mappings => { properties => {
    v => { type => 'knn_vector', dimension => $D, space_type => 'l2' }, t => { type => 'text' }, n => { type => 'long' }, k => { type => 'keyword' }, tags => { type => 'keyword' }, csv => { type => 'keyword' } } } });
ok($c->wait_status('green'), 'green');
my $lines = '';
for my $id (1 .. 150) {
    $lines .= qq({"index":{"_index":"h","_id":"$id"}}\n)
        . JSON::PP::encode_json({ v => vector(), t => join(' ', map { $words[ int rand @words ] } 1 .. 2 + rand 8), n => $id, k => 'k' . $id % 4, tags => [ 'c', 'a', 'b' . $id ], csv => "x,$id,,y,," }) . "\n";
}
is($n[0]->post('/_bulk?refresh=true', $lines)->{json}{errors}, JSON::PP::false, 'documents');

sub ask { my ($node, $body, $more) = @_; my $r = $node->post('/h/_search' . ($more // ''), $body); diag substr($r->{content}, 0, 600) if $r->{status} != 200; return $r->{json} }
# The best $k of each shard, over all shards: [_id, score], best first.
my (%shard, %doc);
my $pit = $n[0]->post('/h/_search/point_in_time?keep_alive=5m')->{json}{pit_id};
for my $h (@{ $n[0]->post('/_search', { pit => { id => $pit }, size => 150, sort => ['_shard_doc'] })->{json}{hits}{hits} }) { $shard{ $h->{_id} } = $h->{sort}[0] >> 32; $doc{ $h->{_id} } = $h->{sort}[0] }
is(scalar keys %doc, 150, 'places of documents');
sub list {
    my ($query, $k) = @_;
    my (%s, @l);
    $s{ $_->{_id} } = $_->{_score} for @{ ask($n[0], { query => $query, size => 150 })->{hits}{hits} };
    for my $shard (0 .. 3) {
        my @here = sort { $s{$b} <=> $s{$a} || $doc{$a} <=> $doc{$b} } grep { $shard{$_} == $shard } keys %s;
        push @l, @here > $k ? @here[ 0 .. $k - 1 ] : @here;
    }
    return [ map { [ $_, $s{$_} ] } sort { $s{$b} <=> $s{$a} || $doc{$a} <=> $doc{$b} } @l ];
}
my %norm = (
    min_max => sub { my @s = sort { $a <=> $b } @_; return map { $s[-1] == $s[0] ? 1 : ($_ - $s[0]) / ($s[-1] - $s[0]) || 0.001 } @_ },
    l2      => sub { my $s = 0; $s += $_**2 for @_; return map { $s ? $_ / sqrt $s : 0 } @_ },
    z_score => sub { my ($m, $v) = (0, 0); $m += $_ / @_ for @_; $v += ($_ - $m)**2 / @_ for @_; return map { my $z = $v ? ($_ - $m) / sqrt $v : 1; $z <= 0 ? 0.001 : $z } @_ },
);
my %mean = (
    arithmetic_mean => sub { my ($s, $w) = @_; my ($x, $y) = (0, 0); for (0 .. $#$s) { $x += $w->[$_] * $s->[$_]; $y += $w->[$_] } return $x / $y },
    geometric_mean  => sub { my ($s, $w) = @_; my ($x, $y) = (0, 0); for (0 .. $#$s) { next if $s->[$_] <= 0; $x += $w->[$_] * log $s->[$_]; $y += $w->[$_] } return $y ? exp($x / $y) : 0 },
    harmonic_mean   => sub { my ($s, $w) = @_; my ($x, $y) = (0, 0); for (0 .. $#$s) { next if $s->[$_] <= 0; $x += $w->[$_] / $s->[$_]; $y += $w->[$_] } return $x ? $y / $x : 0 },
);
sub ranked { my %s = @_; return [ map { [ $_, $s{$_} ] } sort { $s{$b} <=> $s{$a} || $doc{$a} <=> $doc{$b} } keys %s ] }
sub combined {
    my ($norm, $mean, $weights, @lists) = @_;
    my %s;
    for my $i (0 .. $#lists) { my @v = $norm{$norm}->(map { $_->[1] } @{ $lists[$i] }); for my $k (0 .. $#v) { $s{ $lists[$i][$k][0] } //= [ (0) x @lists ]; $s{ $lists[$i][$k][0] }[$i] = $v[$k] } }
    return ranked(map { $_ => $mean{$mean}->($s{$_}, $weights) } keys %s);
}
sub rrf { my ($constant, @lists) = @_; my %s; for my $l (@lists) { my $r = 0; $s{ $_->[0] } += 1 / ($constant + ++$r) for @$l } return ranked(%s) }
sub same {
    my ($got, $want, $name, $from, $size) = @_;
    my @w = grep { defined } @$want[ $from // 0 .. ($from // 0) + $size - 1 ];
    my @g = map { [ $_->{_id}, $_->{_score} ] } @{ $got->{hits}{hits} };
    my $ok = @g == @w && !grep { abs($g[$_][1] - $w[$_][1]) > 2e-5 * (abs($w[$_][1]) + 1e-2) } 0 .. $#w;
    ok($ok, $name) or diag 'got ', join(' ', map { "$_->[0]:$_->[1]" } @g), "\nwanted ", join(' ', map { "$_->[0]:$_->[1]" } @w);
}

my $q1 = { match => { t => 'red blue' } };
my $q2 = { knn => { v => { vector => vector(), k => 12 } } };
my $q3 = { match => { t => 'teal' } };
sub phase { my ($norm, $mean, $weights) = @_; return { phase_results_processors => [ { 'normalization-processor' => { normalization => { technique => $norm }, combination => { technique => $mean, $weights ? (parameters => { weights => $weights }) : () } } } ] } }
for my $norm (sort keys %norm) {
    for my $mean (sort keys %mean) {
        my $w = [ 0.2, 0.5, 0.3 ];
        is($n[0]->put('/_search/pipeline/p', phase($norm, $mean, $w))->{status}, 200, "a pipeline of $norm and $mean");
        same(ask($n[1], { query => { hybrid => { queries => [ $q1, $q2, $q3 ] } }, size => 12 }, '?search_pipeline=p'), combined($norm, $mean, $w, list($q1, 12), list($q2, 12), list($q3, 12)), "$norm, $mean", 0, 12);
    }
}
my $hybrid = { hybrid => { queries => [ $q1, $q2 ], pagination_depth => 20 } };
is($n[2]->put('/_search/pipeline/rrf', { description => 'by ranks', phase_results_processors => [ { 'score-ranker-processor' => { combination => { technique => 'rrf', rank_constant => 30 } } } ] })->{json}{acknowledged}, JSON::PP::true, 'rrf');
$n[0]->put('/_search/pipeline/std', phase('min_max', 'arithmetic_mean'));
for my $node (@n) {
    my $want = rrf(30, list($q1, 20), list($q2, 20));
    my $j = ask($node, { query => $hybrid, from => 5, size => 10, aggs => { k => { terms => { field => 'k' } } } }, '?search_pipeline=rrf');
    same($j, $want, 'rrf, a page', 5, 10);
    my $all = ask($node, { query => { bool => { should => [ $q1, $q2 ] } }, size => 0, aggs => { k => { terms => { field => 'k' } } } });
    is($j->{hits}{total}{value}, $all->{hits}{total}{value}, 'the total of all queries');
    is_deeply($j->{aggregations}, $all->{aggregations}, '... and aggregations');
    my $f = { range => { n => { lte => 90 } } };
    my @f = map { { bool => { must => $_, filter => $f } } } $q1, $q2;
    same(ask($node, { query => { hybrid => { queries => [ $q1, $q2 ], filter => $f } }, search_pipeline => 'std', size => 10 }), combined('min_max', 'arithmetic_mean', [ 1, 1 ], map { list($_, 10) } @f), 'a filter for all, a pipeline named in the body', 0, 10);
    same(ask($node, { query => { hybrid => { queries => [ $q1, $q2 ] } }, search_pipeline => { %{ phase('l2', 'arithmetic_mean') }, request_processors => [ { filter_query => { query => $f } } ] }, size => 10 }), combined('l2', 'arithmetic_mean', [ 1, 1 ], map { list($_, 10) } @f), 'filter_query, a pipeline within the body', 0, 10);
}
same($n[1]->post('/_msearch', join '', map { JSON::PP::encode_json($_) . "\n" } ({ index => 'h' }, { query => $hybrid, search_pipeline => 'rrf', size => 9 }))->{json}{responses}[0], rrf(30, list($q1, 20), list($q2, 20)), 'in _msearch', 0, 9);

# Processors of requests and responses.
$n[0]->put('/_search/pipeline/r', {
    request_processors  => [ { oversample => { sample_factor => 3 } }, { filter_query => { query => { range => { n => { gte => 20 } } } } } ],
    response_processors => [ { rename_field => { field => 'k', target_field => 'kind' } }, { sort => { field => 'tags', target_field => 'sorted' } }, { split => { field => 'csv', separator => ',' } }, { collapse => { field => 'kind' } }, { truncate_hits => {} } ] });
my $plain = ask($n[1], { query => { bool => { must => $q1, filter => { range => { n => { gte => 20 } } } } }, size => 9 });
my (%seen, @first);
for my $h (@{ $plain->{hits}{hits} }) { push @first, $h->{_id} if !$seen{ $h->{_source}{k} }++ }
$#first = 2 if @first > 3;
for my $how ([ { query => $q1, size => 3 }, '?search_pipeline=r' ], [ { query => $q1 }, '?search_pipeline=r&size=3' ], [ { query => $q1, size => 3, search_pipeline => 'r' } ]) {
    my $j = ask($n[1], @$how);
    is_deeply([ map { $_->{_id} } @{ $j->{hits}{hits} } ], \@first, 'oversample, filter_query, collapse, truncate_hits');
    my $h = $j->{hits}{hits}[0];
    is($h->{_source}{kind}, 'k' . $h->{_id} % 4, 'rename_field');
    ok(!exists $h->{_source}{k}, '... takes the old name away');
    is_deeply($h->{_source}{sorted}, [ 'a', "b$h->{_id}", 'c' ], 'sort');
    is_deeply($h->{_source}{tags}, [ 'c', 'a', "b$h->{_id}" ], '... into another field');
    is_deeply($h->{_source}{csv}, [ 'x', "$h->{_id}", '', 'y' ], 'split');
    is($j->{hits}{total}{value}, $plain->{hits}{total}{value}, 'the total is the search\'s');
}
$n[0]->put('/_search/pipeline/f', { response_processors => [ { rename_field => { field => 'none', target_field => 'x' } } ] });
my $r = $n[0]->post('/h/_search?search_pipeline=f', { query => $q1, size => 1 });
ok($r->{status} == 400 && $r->{json}{error}{reason} =~ /^Document with id \d+ is missing field none$/, 'a field that is missing') or diag $r->{content};
$n[0]->put('/_search/pipeline/f', { response_processors => [ { rename_field => { field => 'none', target_field => 'x', ignore_failure => JSON::PP::true } }, { truncate_hits => { target_size => 2 } } ] });
is(scalar @{ ask($n[2], { query => $q1 }, '?search_pipeline=f')->{hits}{hits} }, 2, 'ignore_failure goes on');

# Of an index; by default and not.
is($n[0]->put('/h/_settings', { 'index.search.default_pipeline' => 'f' })->{status}, 200, 'index.search.default_pipeline');
is(scalar @{ ask($n[1], { query => $q1 })->{hits}{hits} }, 2, '... is used');
is(scalar @{ $n[1]->post('/h*/_search', { query => $q1 })->{json}{hits}{hits} }, 2, '... also by a pattern');
is(scalar @{ ask($n[1], { query => $q1 }, '?search_pipeline=_none')->{hits}{hits} }, 10, '_none');
is($n[0]->delete('/_search/pipeline/f')->{status}, 200, 'deleted');
$r = $n[0]->post('/h/_search', { query => $q1 });
ok($r->{status} == 400 && $r->{json}{error}{reason} eq 'Pipeline f is not defined', 'a pipeline that is not there') or diag $r->{content};
$n[0]->put('/h/_settings', { 'index.search.default_pipeline' => undef });

# Stored.
is_deeply([ sort { $a cmp $b } keys %{ $n[2]->get('/_search/pipeline')->{json} } ], [ 'p', 'r', 'rrf', 'std' ], 'all pipelines');
is($n[1]->get('/_search/pipeline/rrf')->{json}{rrf}{description}, 'by ranks', 'one');
is($n[1]->get('/_search/pipeline/nothing')->{status}, 404, 'none');
$r = $n[1]->delete('/_search/pipeline/nothing');
ok($r->{status} == 404 && $r->{json}{error}{type} eq 'resource_not_found_exception', 'none to delete');
$n[2]->restart;
ok($c->wait_status('green'), 'a node restarts');
is_deeply([ sort { $a cmp $b } keys %{ $n[2]->get('/_search/pipeline/r*')->{json} } ], [ 'r', 'rrf' ], 'pipelines outlive it');

# What is refused.
my $bad = sub {
    my ($answer, $type, $reason, $name) = @_;
    my $e = $answer->{json}{error}{root_cause}[0] // {};
    ok($answer->{status} == 400 && ($e->{type} // '') eq $type && ($e->{reason} // '') =~ $reason, $name) or diag $answer->{content};
};
my $put = sub { return $n[0]->put('/_search/pipeline/bad', $_[0]) };
$bad->($put->({ response_processors => [ { nothing => {} } ] }), 'illegal_argument_exception', qr/^Invalid processor type nothing$/, 'an unknown processor');
$bad->($put->({ response_processors => [ { rerank => {} } ] }), 'unsupported_operation_exception', qr/\[rerank\] is not supported/, 'rerank by name');
$bad->($put->({ request_processors => [ { script => {} } ] }), 'unsupported_operation_exception', qr/\[script\] is not supported/, 'script by name');
$bad->($put->({ response_processors => [ { rename_field => { field => 'a' } } ] }), 'parse_exception', qr/^\[target_field\] required property is missing$/, 'a required option');
$bad->($put->({ response_processors => [ { sort => { field => 'a', x => 1 } } ] }), 'parse_exception', qr/doesn't support one or more provided configuration parameters \[x\]/, 'an unknown option');
$bad->($put->({ processors => [] }), 'parse_exception', qr/pipeline \[bad\] doesn't support/, 'an unknown member');
$bad->($put->(phase('min_max', 'arithmetic_mean', [ 0.5, 0.7 ])), 'illegal_argument_exception', qr/sum of weights for combination must be equal to 1\.0/, 'weights that are not 1 in sum');
$bad->($put->(phase('most', 'arithmetic_mean')), 'illegal_argument_exception', qr/normalization technique is not supported/, 'an unknown technique');
$bad->($n[0]->post('/h/_search', { query => $hybrid }), 'illegal_argument_exception', qr/a \[hybrid\] query needs a search pipeline/, 'hybrid without a pipeline');
$bad->($n[0]->post('/h/_search?search_pipeline=p', { query => $hybrid }), 'illegal_argument_exception', qr/^number of weights \[3\] must match number of sub-queries \[2\] in hybrid query$/, 'other weights than queries');
$bad->($n[0]->post('/h/_search?search_pipeline=std', { query => { hybrid => { queries => [$q1] } }, from => 3 }), 'illegal_argument_exception', qr/^pagination_depth param is missing in the search request$/, 'a page without a depth');
$bad->($n[0]->post('/h/_search?search_pipeline=std&scroll=1m', { query => $hybrid }), 'illegal_argument_exception', qr/^Scroll operation is not supported in hybrid query$/, 'a scroll');
$bad->($n[0]->post('/h/_search?search_pipeline=std', { query => $hybrid, sort => ['n'] }), 'unsupported_operation_exception', qr/^\[sort\] beside a \[hybrid\] query/, 'a sort');
$bad->($n[0]->post('/h/_search?search_pipeline=std', { query => { bool => { must => $hybrid } } }), 'illegal_argument_exception', qr/^hybrid query must be a top level query and cannot be wrapped into other queries$/, 'hybrid within another query');
$bad->($n[0]->post('/h/_search?search_pipeline=std', { query => $q1, search_pipeline => phase('l2', 'arithmetic_mean') }), 'illegal_argument_exception', qr/Both named and inline search pipeline/, 'two pipelines');
$c->stop;
done_testing;
