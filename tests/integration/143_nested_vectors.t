#!/usr/bin/perl
# 143_nested_vectors.t: nearest vectors of nested objects find documents by their nearest object, each once; with filters of the documents, inner_hits,
# within nested, in retrievers, over shards and nodes, and while documents are deleted and merged.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('nv', nodes => 3);
$c->start;
my @n = $c->nodes;
srand 17;
my $D = 6;
my %docs;
sub vector { return [ map { int(rand 2001) / 1000 - 1 } 1 .. $D ] }
sub score { my ($x, $y) = @_; my $s = 0; $s += ($x->[$_] - $y->[$_])**2 for 0 .. $D - 1; return 1 / (1 + $s) }
sub near { my ($x, $y) = @_; return abs($x - $y) <= 1e-5 }

$n[0]->put('/p', { settings => { number_of_shards => 3, number_of_replicas => 1, refresh_interval => -1 }, mappings => { properties => {
    g => { type => 'keyword' }, t => { type => 'text' },
    p => { type => 'nested', properties => { v => { type => 'dense_vector', dims => $D, similarity => 'l2_norm' }, i => { type => 'long' },
        deep => { type => 'nested', properties => { w => { type => 'dense_vector', dims => $D, similarity => 'l2_norm' } } } } } } } });
ok($c->wait_status('green'), 'green');
sub write_some {
    my ($node, @ids) = @_;
    my $lines = '';
    for my $id (@ids) {
        my @p = map { { v => vector(), i => $_, deep => [ map { { w => vector() } } 1 .. int rand 3 ] } } 0 .. int(rand 5) - 1;
        delete $p[1]{v} if @p > 1 && rand() < 0.3; # some have none
        $docs{$id} = { g => 'g' . $id % 3, t => 'word' . ($id % 5), p => \@p };
        $lines .= qq({"index":{"_index":"p","_id":"$id"}}\n) . JSON::PP::encode_json($docs{$id}) . "\n";
    }
    my $r = $node->post('/_bulk?refresh=true', $lines);
    is($r->{json}{errors}, JSON::PP::false, 'documents are acknowledged') or diag substr $r->{content}, 0, 500;
}
# By document: the score of its nearest object.
sub best {
    my ($q, $keep) = @_;
    my %s;
    for my $id (keys %docs) {
        next if $keep && !$keep->($docs{$id});
        for (grep { $_->{v} } @{ $docs{$id}{p} }) { my $s = score($q, $_->{v}); $s{$id} = $s if !exists $s{$id} || $s > $s{$id} }
    }
    return \%s;
}
sub ids { my ($s, $k) = @_; my @l = sort { $s->{$b} <=> $s->{$a} } keys %$s; return @l > $k ? @l[ 0 .. $k - 1 ] : @l }
sub ask { my ($node, $body, $more) = @_; my $r = $node->post('/p/_search' . ($more // ''), $body); diag substr($r->{content}, 0, 600) if $r->{status} != 200; return $r->{json} }
sub same {
    my ($j, $s, $k, $name) = @_;
    my @want = ids($s, $k);
    my @got  = @{ $j->{hits}{hits} };
    my %seen;
    my $ok = @got == @want && !grep({ $seen{ $_->{_id} }++ } @got) && !grep { !near($got[$_]{_score}, $s->{ $want[$_] }) || !near($got[$_]{_score}, $s->{ $got[$_]{_id} } // 9) } 0 .. $#want;
    ok($ok, $name) or diag 'got ', join(' ', map { "$_->{_id}:$_->{_score}" } @got), "\nwanted ", join(' ', map { "$_:$s->{$_}" } @want);
}
sub check {
    my ($node, $name) = @_;
    for my $k (1, 7, 30) {
        my $q   = vector();
        my %knn = (field => 'p.v', query_vector => $q, k => $k, num_candidates => 100);
        same(ask($node, { knn => \%knn, size => 100 }), best($q), $k, "$name: the section, k $k");
        same(ask($node, { knn => { %knn, filter => { term => { g => 'g1' } } }, size => 100 }), best($q, sub { $_[0]{g} eq 'g1' }), $k, "$name: ... with a filter of documents");
    }
}
write_some($n[0], 1 .. 70);
$n[0]->post('/p/_flush');
write_some($n[1], 50 .. 130);
check($_, 'written') for @n;
delete @docs{ 1 .. 40 };
$n[2]->post('/_bulk?refresh=true', join '', map { qq({"delete":{"_index":"p","_id":"$_"}}\n) } 1 .. 40);
check($n[1], 'deleted');
$n[0]->post('/p/_forcemerge?max_num_segments=1');
check($n[2], 'merged');

my $q   = vector();
my %knn = (field => 'p.v', query_vector => $q, k => 9, num_candidates => 100);
my $j   = ask($n[1], { knn => { %knn, inner_hits => { size => 2, _source => JSON::PP::false, fields => ['p.i'] } }, size => 9 });
same($j, best($q), 9, 'with inner_hits');
my $inner = 1;
for my $h (@{ $j->{hits}{hits} }) {
    my @p = @{ $docs{ $h->{_id} }{p} };
    my @o = sort { score($q, $p[$b]{v}) <=> score($q, $p[$a]{v}) } grep { $p[$_]{v} } 0 .. $#p;
    my $i = $h->{inner_hits}{p}{hits};
    $inner &&= $i->{hits}[0]{_nested}{offset} == $o[0] && near($i->{hits}[0]{_score}, $h->{_score}) && $i->{total}{value} == @o;
    diag JSON::PP::encode_json($i) if !$inner;
}
ok($inner, '... which show the nearest object first');

# Within nested, alone: as the query, and beside others.
my %query = (field => 'p.v', query_vector => $q, k => 200, num_candidates => 200);
same(ask($n[0], { query => { nested => { path => 'p', query => { knn => \%query }, score_mode => 'max' } }, size => 200 }), best($q), 200, 'nested around knn');
my $named = ask($n[2], { query => { nested => { path => 'p', query => { knn => \%query }, inner_hits => { name => 'near', size => 1 } } }, size => 5 });
same($named, best($q), 5, '... with inner_hits');
ok(!(grep { !near($_->{inner_hits}{near}{hits}{hits}[0]{_score}, $_->{_score}) } @{ $named->{hits}{hits} }), '... the nearest object');
my $none = ask($n[0], { query => { nested => { path => 'p', query => { knn => \%query }, score_mode => 'none' } }, size => 3 });
ok(!(grep { $_->{_score} != 1 } @{ $none->{hits}{hits} }), 'score_mode none'); 
is(ask($n[0], { query => { bool => { must => { knn => \%query }, filter => { term => { g => 'g2' } } } }, size => 200 })->{hits}{total}{value}, scalar(keys %{ best($q, sub { $_[0]{g} eq 'g2' }) }), 'in a bool');
my @order = ids(best($q), 9);
is_deeply([ map { $_->{_id} } @{ ask($n[1], { retriever => { rrf => { retrievers => [ { knn => \%knn } ] } }, size => 9 })->{hits}{hits} } ], \@order, 'in a retriever');
my $agg = ask($n[2], { knn => \%knn, size => 0, aggs => { g => { terms => { field => 'g' } } } });
my %g;
$g{ $docs{$_}{g} }++ for @order;
is_deeply({ map { $_->{key} => $_->{doc_count} } @{ $agg->{aggregations}{g}{buckets} } }, \%g, 'aggregations see documents, each once');
my $both = ask($n[0], { query => { match => { t => 'word1' } }, knn => \%knn, size => 100 });
my %word = map { $_->{_id} => $_->{_score} } @{ ask($n[0], { query => { match => { t => 'word1' } }, size => 100 })->{hits}{hits} };
my %sum = %word;
$sum{$_} += best($q)->{$_} for @order;
same($both, \%sum, 100, 'beside a query');
# Two levels down.
my %deep;
for my $id (keys %docs) { for my $p (@{ $docs{$id}{p} }) { for (@{ $p->{deep} }) { my $s = score($q, $_->{w}); $deep{$id} = $s if !exists $deep{$id} || $s > $deep{$id} } } }
same(ask($n[1], { knn => { field => 'p.deep.w', query_vector => $q, k => 11, num_candidates => 50, filter => { term => { g => 'g0' } } }, size => 50 }), { map { $docs{$_}{g} eq 'g0' ? ($_ => $deep{$_}) : () } keys %deep }, 11, 'two levels down');
for my $h (@{ ask($n[0], { knn => \%knn, size => 3, explain => JSON::PP::true })->{hits}{hits} }) { ok(near($h->{_explanation}{value}, $h->{_score}), 'an explanation has the score') }

my $bad = sub {
    my ($body, $reason, $name) = @_;
    my $r = $n[0]->post('/p/_search', $body);
    ok($r->{status} == 400 && $r->{content} =~ $reason, $name) or diag $r->{content};
};
$bad->({ query => { nested => { path => 'p', query => { bool => { must => { knn => \%query } } } } } }, qr/within other queries of \[nested\] is not supported/, 'knn within a query of nested by name');
$bad->({ query => { nested => { path => 'p.deep', query => { knn => \%query } } } }, qr/is not within the nested path \[p\.deep\]/, 'knn of another path');
$bad->({ knn => { %knn, expand_nested_docs => JSON::PP::true } }, qr/expand_nested_docs/, 'expand_nested_docs by name');
$c->stop;
done_testing;
