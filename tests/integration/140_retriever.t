#!/usr/bin/perl
# 140_retriever.t: retrievers over three nodes and several shards give what single searches, combined here, give; whichever node is asked.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('rt', nodes => 3);
$c->start;
my @n = $c->nodes;
srand 7;
my $D     = 8;
my @words = qw(red green blue amber teal grey pink lime);
my (%docs, %where);

sub vector { return [ map { int(rand 2001) / 1000 - 1 } 1 .. $D ] }

$n[0]->put('/r', { settings => { number_of_shards => 5, number_of_replicas => 1 }, mappings => { properties => {
    v => { type => 'dense_vector', dims => $D, similarity => 'l2_norm' }, t => { type => 'text' }, n => { type => 'long' }, k => { type => 'keyword' } } } });
ok($c->wait_status('green'), 'green');
my $lines = '';
for my $id (1 .. 160) {
    my $text = join ' ', map { $words[ int rand @words ] } 1 .. 3 + rand 9;
    $lines .= qq({"index":{"_index":"r","_id":"$id"}}\n) . JSON::PP::encode_json({ v => vector(), t => $text, n => $id, k => $id % 3 ? 'a' : 'b' }) . "\n";
}
is($n[0]->post('/_bulk?refresh=true', $lines)->{json}{errors}, JSON::PP::false, 'documents');

sub ask { my ($node, $body, $more) = @_; my $r = $node->post('/r/_search' . ($more // ''), $body); diag substr($r->{content}, 0, 600) if $r->{status} != 200; return $r->{json} }
# One list, as the oracle sees it: [_id, score] by score, then shard and document.
sub list {
    my ($body, $size) = @_;
    my $pit = $n[0]->post('/r/_pit?keep_alive=1m')->{json}{id};
    my $j   = $n[0]->post('/_search?request_cache=false', { %$body, size => $size, track_total_hits => JSON::PP::false, pit => { id => $pit }, sort => $body->{sort} ? [ @{ $body->{sort} }, '_shard_doc' ] : [ '_score', '_shard_doc' ], track_scores => JSON::PP::true })->{json};
    $n[0]->delete('/_pit', { id => $pit });
    for my $h (@{ $j->{hits}{hits} }) { $where{ $h->{_id} } = $h->{sort}[-1] }
    return [ map { [ $_->{_id}, $_->{_score} ] } @{ $j->{hits}{hits} } ];
}
sub f32 { return unpack 'f', pack 'f', $_[0] }
sub sorted { my %s = @_; return [ map { [ $_, $s{$_} ] } sort { $s{$b} <=> $s{$a} || $where{$a} <=> $where{$b} } keys %s ] }
sub cut { my ($l, $n) = @_; return [ grep { defined } @$l[ 0 .. $n - 1 ] ] }
sub rrf {
    my ($lists, $constant, $window, $weights) = @_;
    my %s;
    for my $i (0 .. $#$lists) {
        my $rank = 0;
        for (@{ cut($lists->[$i], $window) }) { $s{ $_->[0] } = f32(($s{ $_->[0] } // 0) + f32(($weights ? $weights->[$i] : 1) * f32(1 / ($constant + ++$rank)))) }
    }
    return cut(sorted(%s), $window);
}
sub minmax { my ($l) = @_; my @s = sort { $a <=> $b } map { $_->[1] } @$l; my ($lo, $hi) = @s[ 0, -1 ]; return [ map { [ $_->[0], $hi - $lo < 1e-6 ? $lo : ($_->[1] - $lo) / ($hi - $lo) ] } @$l ] }
sub l2 { my ($l) = @_; my $s = 0; $s += $_->[1]**2 for @$l; $s = sqrt $s; return [ map { [ $_->[0], $_->[1] / $s ] } @$l ] }
sub linear { my ($lists, $weights, $window) = @_; my %s; for my $i (0 .. $#$lists) { $s{ $_->[0] } += $weights->[$i] * $_->[1] for @{ $lists->[$i] } } return cut(sorted(%s), $window) }

sub same {
    my ($got, $want, $name, $from, $size) = @_;
    my @w = @$want; @w = grep { defined } @w[ $from .. $from + $size - 1 ] if defined $size;
    my @g = map { [ $_->{_id}, $_->{_score} ] } @{ $got->{hits}{hits} };
    my $ok = @g == @w && !grep { abs($g[$_][1] - $w[$_][1]) > 1e-5 * (abs($w[$_][1]) + 1e-3) || ($g[$_][0] ne $w[$_][0] && abs($w[$_][1] - ($w[$_ + 1][1] // 9)) > 1e-6 && abs($w[$_][1] - ($_ ? $w[$_ - 1][1] : 9)) > 1e-6) } 0 .. $#w;
    ok($ok, $name) or diag 'got ', join(' ', map { "$_->[0]:$_->[1]" } @g), "\nwanted ", join(' ', map { "$_->[0]:$_->[1]" } @w);
}

my $q = vector();
my $p = vector();
my %match = (query => { match => { t => 'red blue' } });
my %other = (query => { match => { t => 'green' } });
my %knn   = (field => 'v', query_vector => $q, k => 25, num_candidates => 60);
my %knn2  = (field => 'v', query_vector => $p, k => 12, num_candidates => 60);

# Of one search.
for my $node (@n) {
    same(ask($node, { retriever => { standard => { %match } }, size => 15 }), list(\%match, 15), 'standard is its query');
    same(ask($node, { retriever => { knn => \%knn }, size => 15 }), list({ knn => \%knn }, 15), 'knn is a section');
    my $rrf = { rrf => { retrievers => [ { standard => { %match } }, { knn => \%knn }, { standard => { %other } } ], rank_window_size => 40, rank_constant => 20 } };
    my $want = rrf([ list(\%match, 40), list({ knn => \%knn }, 40), list(\%other, 40) ], 20, 40);
    my $j = ask($node, { retriever => $rrf, size => 40, aggs => { k => { terms => { field => 'k' } } } });
    same($j, $want, 'rrf of three');
    is($j->{hits}{max_score}, $j->{hits}{hits}[0]{_score}, 'max_score is the best fused one');
    my $all = ask($node, { query => { bool => { should => [ $match{query}, $other{query} ] } }, knn => \%knn, size => 0, aggs => { k => { terms => { field => 'k' } } } });
    is($j->{hits}{total}{value}, $all->{hits}{total}{value}, 'the total is of all that any retriever matches');
    is_deeply($j->{aggregations}, $all->{aggregations}, '... and so are aggregations');
    same(ask($node, { retriever => $rrf, from => 10, size => 7 }), $want, 'a page', 10, 7);
    same(ask($node, { retriever => $rrf, from => 38, size => 7 }), $want, 'a page that the window ends', 38, 2);
}
my $lin = sub { my ($na, $nb) = @_; return { linear => { rank_window_size => 30, retrievers => [ { retriever => { standard => { %match } }, weight => 2, normalizer => $na }, { retriever => { knn => \%knn }, weight => 0.7, normalizer => $nb } ] } } };
my ($la, $lb) = (list(\%match, 30), list({ knn => \%knn }, 30));
same(ask($n[1], { retriever => $lin->('minmax', 'minmax'), size => 30 }), linear([ minmax($la), minmax($lb) ], [ 2, 0.7 ], 30), 'linear, minmax');
same(ask($n[2], { retriever => $lin->('l2_norm', 'none'), size => 30 }), linear([ l2($la), $lb ], [ 2, 0.7 ], 30), 'linear, l2_norm and none');

# In one another, with filters of each level.
my $f1 = { range => { n => { lte => 120 } } };
my $f2 = { term  => { k => 'a' } };
my $inner = { rrf => { rank_window_size => 30, filter => $f2, retrievers => [ { standard => { %match } }, { knn => { %knn2 } } ] } };
my $outer = { rrf => { rank_window_size => 20, filter => [$f1], retrievers => [ $inner, { retriever => { standard => { %other, min_score => 0.5 } }, weight => 2 } ] } };
my $in = rrf([ list({ query => { bool => { must => $match{query}, filter => [ $f1, $f2 ] } } }, 30), list({ knn => { %knn2, filter => [ $f1, $f2 ] } }, 30) ], 60, 30);
my $want = rrf([ $in, list({ query => { bool => { must => $other{query}, filter => $f1 } }, min_score => 0.5 }, 20) ], 60, 20, [ 1, 2 ]);
same(ask($_, { retriever => $outer, size => 20 }), $want, 'rrf in rrf, with filters, a weight and min_score') for @n;
same(ask($n[1], { retriever => $outer, size => 20, post_filter => { range => { n => { gte => 40 } } } }), [ grep { $_->[0] >= 40 } @$want ], 'a post filter leaves out of what is combined');

# A sort and a collapse below.
same(ask($n[0], { retriever => { rrf => { rank_window_size => 25, retrievers => [ { standard => { sort => [ { n => 'desc' } ], query => { match_all => {} } } }, { standard => { %match } } ] } }, size => 25 }),
    rrf([ list({ sort => [ { n => 'desc' } ], query => { match_all => {} } }, 25), list(\%match, 25) ], 60, 25), 'a list by a field');
my $one = ask($n[2], { retriever => { rrf => { rank_window_size => 25, retrievers => [ { standard => { %match, collapse => { field => 'k' } } } ] } }, size => 25 });
is(scalar @{ $one->{hits}{hits} }, 2, 'a list of groups');
is_deeply([ map { $_->{fields}{k}[0] } @{ ask($n[1], { retriever => { standard => { %match, collapse => { field => 'k', inner_hits => { name => 'i', size => 1 } } } } })->{hits}{hits} } ],
    [ map { $_->{fields}{k}[0] } @{ ask($n[1], { %match, collapse => { field => 'k' } })->{hits}{hits} } ], 'collapse of a standard retriever');
is_deeply([ map { $_->{_id} } @{ ask($n[1], { retriever => { standard => { sort => [ { n => 'asc' } ], search_after => [100] } }, size => 3 })->{hits}{hits} } ], [ 101, 102, 103 ], 'sort and search_after');

# Rescorers: over one search each shard's windows, over a combined list what it holds.
my $rescore = { window_size => 30, query => { rescore_query => { match => { t => 'teal' } }, query_weight => 0.5, rescore_query_weight => 3 } };
same(ask($n[1], { retriever => { rescorer => { rescore => $rescore, retriever => { standard => { %match } } } }, size => 30 }), do { my $j = ask($n[0], { %match, rescore => $rescore, size => 30 }); [ map { [ $_->{_id}, $_->{_score} ] } @{ $j->{hits}{hits} } ] }, 'rescorer over a search is rescore');
{
    my $base = rrf([ list(\%match, 40), list({ knn => \%knn }, 40) ], 60, 40);
    my %teal = map { $_->[0] => $_->[1] } @{ list({ query => { match => { t => 'teal' } } }, 200) };
    my $count = {};
    my $wide  = { %$rescore, window_size => 40 };
    my %s     = map { $_->[0] => 0.5 * $_->[1] + 3 * ($teal{ $_->[0] } // 0) } @$base;
    same(ask($_, { retriever => { rescorer => { rescore => $wide, retriever => { rrf => { rank_window_size => 40, retrievers => [ { standard => { %match } }, { knn => \%knn } ] } } } }, size => 40 }), sorted(%s), 'rescorer over rrf') for @n;
}

# The older section, points in time, many searches, scrolls, explanations.
same(ask($n[1], { %match, knn => \%knn, rank => { rrf => { rank_window_size => 30 } }, size => 30 }), rrf([ list(\%match, 30), list({ knn => \%knn }, 30) ], 60, 30), 'rank with query and knn');
my $rrf = { rrf => { rank_window_size => 30, retrievers => [ { standard => { %match } }, { knn => \%knn } ] } };
my $plain = ask($n[0], { retriever => $rrf, size => 30 });
my $pit = $n[1]->post('/r/_pit?keep_alive=1m')->{json}{id};
is_deeply([ map { $_->{_id} } @{ $n[2]->post('/_search', { pit => { id => $pit }, retriever => $rrf, size => 30 })->{json}{hits}{hits} } ], [ map { $_->{_id} } @{ $plain->{hits}{hits} } ], 'in a point in time');
my $m = $n[2]->post('/_msearch', join '', map { JSON::PP::encode_json($_) . "\n" } ({ index => 'r' }, { retriever => $rrf, size => 30 }));
is_deeply($m->{json}{responses}[0]{hits}, $plain->{hits}, 'in _msearch');
is_deeply(ask($n[2], { retriever => $rrf, size => 30 }, '?search_type=query_then_fetch&preference=_local')->{hits}{total}, $plain->{hits}{total}, 'by another copy');
for my $h (@{ ask($n[1], { retriever => $rrf, size => 5, explain => JSON::PP::true })->{hits}{hits} }) { is($h->{_explanation}{value}, $h->{_score}, 'an explanation has the score') }
my $named = ask($n[0], { retriever => { rrf => { retrievers => [ { standard => { %match, _name => 'words' } }, { knn => { %knn, _name => 'near' } } ] } } });
is_deeply([ sort { $a cmp $b } keys %{ { map { $_ => 1 } map { @{ $_->{matched_queries} // [] } } @{ $named->{hits}{hits} } } } ], [ 'near', 'words' ], 'names of retrievers');

# What is refused, and how.
my $bad = sub {
    my ($body, $type, $reason, $name, $more) = @_;
    my $r = $n[0]->post('/r/_search' . ($more // ''), $body);
    my $e = $r->{json}{error}{root_cause}[0] // {};
    ok($r->{status} == 400 && ($e->{type} // '') eq $type && ($e->{reason} // '') =~ $reason, $name) or diag $r->{content};
};
$bad->({ retriever => { standard => { %match } }, %match }, 'action_request_validation_exception', qr/cannot specify \[retriever\] and \[query\]/, 'beside a query');
$bad->({ retriever => { standard => { %match } }, knn => \%knn, sort => ['n'] }, 'action_request_validation_exception', qr/cannot specify \[retriever\] and \[knn, sort\]/, 'beside knn and sort');
$bad->({ retriever => { rrf => { retrievers => [ { standard => { search_after => [1] } } ] } } }, 'illegal_argument_exception', qr/^\[search_after\] cannot be used in children of compound retrievers/, 'search_after below');
$bad->({ retriever => { rrf => { retrievers => [ { standard => { terminate_after => 1 } } ] } } }, 'illegal_argument_exception', qr/^\[terminate_after\] cannot be used in children of compound retrievers/, 'terminate_after below');
$bad->({ retriever => $rrf, size => 31 }, 'action_request_validation_exception', qr/\[rrf\] requires \[rank_window_size: 30\] be greater than or equal to \[size: 31\]/, 'a window below the size');
$bad->({ retriever => $rrf, size => 30 }, 'action_request_validation_exception', qr/cannot specify \[rrf\] and \[scroll\]/, 'a scroll', '?scroll=1m');
$bad->({ retriever => { rrf => { rank_window_size => 50, retrievers => [$rrf] } } }, 'action_request_validation_exception', qr/to be smaller than or equal to its sub retriever's rrf \[rank_window_size: 30\]/, 'a window wider than that below');
$bad->({ retriever => { rrf => { rank_constant => 0, retrievers => [ { standard => {} } ] } } }, 'illegal_argument_exception', qr/\[rank_constant\] must be greater or equal to \[1\] for \[rrf\]/, 'rank_constant');
$bad->({ retriever => { $_ => { retriever => { standard => {} } } } }, 'unsupported_operation_exception', qr/retriever \[$_\] is not supported/, "$_ by name") for qw(text_similarity_reranker rule pinned);
$bad->({ retriever => { nothing => {} } }, 'named_object_not_found_exception', qr/unknown field \[nothing\]/, 'an unknown one');
$bad->({ retriever => { rrf => { retrievers => [ { standard => { quary => {} } } ] } } }, 'x_content_parse_exception', qr/\[standard\] unknown field \[quary\]/, 'an unknown member');
$bad->({ retriever => { knn => { field => 'v', query_vector => $q, num_candidates => 10 } } }, 'illegal_argument_exception', qr/Required \[k\]/, 'knn without k');
$bad->({ retriever => { rrf => { rank_window_size => 20000, retrievers => [ { standard => {} } ] } } }, 'illegal_argument_exception', qr/Result window is too large/, 'a window beyond that of results');
$bad->({ %match, rank => { rrf => {} } }, 'action_request_validation_exception', qr/\[rank\] requires a minimum of \[2\] result sets/, 'rank of one');
$c->stop;
done_testing;
