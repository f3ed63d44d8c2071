#!/usr/bin/perl
# 130_vectors_nodes.t: vectors outlive what a node does: a kill that only the translog remembers, a promotion, a copy made from files,
# _split; and the k nearest of shards on several nodes are those of all documents, whichever node is asked.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('vn', nodes => 3);
$c->start;
my @n = $c->nodes;
srand 5;
my $D = 16;
my %docs;

sub vector { return [ map { int(rand 2001) / 1000 - 1 } 1 .. $D ] }
sub score { my ($x, $y) = @_; my $s = 0; $s += ($x->[$_] - $y->[$_])**2 for 0 .. $D - 1; return 1 / (1 + $s) }
sub near { my ($x, $y) = @_; return abs($x - $y) <= 1e-5 }

sub write_some {
    my ($node, @ids) = @_;
    my $lines = '';
    for my $id (@ids) {
        $docs{$id} = rand() < 0.1 ? $docs{1} // vector() : vector(); # some are equal
        $lines .= qq({"index":{"_index":"v","_id":"$id"}}\n) . JSON::PP::encode_json({ v => $docs{$id}, n => $id }) . "\n";
    }
    my $r = $node->post('/_bulk', $lines);
    is($r->{json}{errors}, JSON::PP::false, 'documents are acknowledged') or diag $r->{content};
}

sub check {
    my ($node, $index, $name) = @_;
    $node->post("/$index/_refresh");
    my $good = 1;
    for my $k (1, 4, 25) { # copies take turns
        my $q    = rand() < 0.3 ? $docs{1} : vector();
        my @want = sort { $b <=> $a } map { score($q, $_) } values %docs;
        $#want = $k - 1;
        my $r = $node->post("/$index/_search", { knn => { field => 'v', query_vector => $q, k => $k, num_candidates => 100 }, size => 100, aggs => { n => { value_count => { field => 'n' } } } });
        my @got = map { $_->{_score} } @{ $r->{json}{hits}{hits} };
        my $here = @got == $k && ($r->{json}{aggregations}{n}{value} // 0) == $k && !grep({ !near($got[$_], $want[$_]) } 0 .. $k - 1)
            && !grep { !near($_->{_score}, score($q, $docs{ $_->{_id} })) } @{ $r->{json}{hits}{hits} };
        diag substr($r->{content}, 0, 400), "\nwanted @want" if !$here;
        $good &&= $here;
    }
    ok($good, "$name: the nearest of all documents, so many as were asked for");
}

my %props = (v => { type => 'dense_vector', dims => $D, similarity => 'l2_norm' }, n => { type => 'long' });
$n[0]->put('/v', { settings => { number_of_shards => 3, number_of_routing_shards => 6, number_of_replicas => 1, refresh_interval => -1 }, mappings => { properties => \%props } });
ok($c->wait_status('green'), 'green');
write_some($n[0], 1 .. 80);
check($_, 'v', 'written') for @n;
$n[0]->post('/v/_flush');
write_some($n[1], 60 .. 150);

$c->kill9(2);
ok(QdNode->wait_for(sub { ($n[0]->get('/_cluster/health/v')->{json}{status} // 'red') ne 'red' }, 60), 'replicas are promoted');
check($n[0], 'v', 'after a promotion');
write_some($n[1], 140 .. 170);
$n[2]->start;
ok($c->wait_status('green'), 'the node is back');
check($_, 'v', 'all copies') for @n;
$n[0]->post('/v/_forcemerge?max_num_segments=1');
check($_, 'v', 'merged') for @n;

$n[0]->put('/v/_settings', { 'index.blocks.write' => JSON::PP::true });
is($n[0]->post('/v/_split/w', { settings => { 'index.number_of_shards' => 6, 'index.blocks.write' => undef } })->{status}, 200, '_split');
ok($c->wait_status('green'), 'green again');
check($n[1], 'w', 'split shards');

# A point in time is what it was.
my $pit = $n[0]->post('/w/_pit?keep_alive=1m')->{json}{id};
my $q   = vector();
my $ask = sub { [ map { $_->{_id} } @{ $n[0]->post('/_search', { pit => { id => $pit }, knn => { field => 'v', query_vector => $q, k => 12, num_candidates => 12 }, size => 12 })->{json}{hits}{hits} } ] };
my $before = $ask->();
is(scalar @$before, 12, 'a point in time');
$n[0]->post('/w/_delete_by_query?refresh=true', { query => { match_all => {} } });
is_deeply($ask->(), $before, '... keeps its nearest');
is($n[1]->post('/w/_search', { knn => { field => 'v', query_vector => $q, k => 12, num_candidates => 12 } })->{json}{hits}{total}{value}, 0, 'none is left');
$c->stop;
done_testing;
