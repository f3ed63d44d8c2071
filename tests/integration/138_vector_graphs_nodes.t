#!/usr/bin/perl
# 138_vector_graphs_nodes.t: graphs on several nodes: replicas get them as files and find what the primary finds, after a
# promotion and merges too; the k nearest of several shards are those of all; a damaged graph is an error that names its file.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('vg', nodes => 3);
$c->start;
my @n = $c->nodes;
srand 8;
my $D = 32;
my %docs;
my @centres = map { [ map { rand() * 4 } 1 .. $D ] } 1 .. 20;
sub vector { my $x = $centres[ rand @centres ]; return [ map { 0 + sprintf '%.4f', $_ + rand() } @$x ] }
sub l2 { my ($x, $y) = @_; my $s = 0; $s += ($x->[$_] - $y->[$_])**2 for 0 .. $D - 1; return $s }

sub write_some {
    my ($node, $index, @ids) = @_;
    my $lines = '';
    for my $id (@ids) { $docs{$id} = vector(); $lines .= qq({"index":{"_index":"$index","_id":"$id"}}\n) . JSON::PP::encode_json({ v => $docs{$id} }) . "\n" }
    is($node->post('/_bulk', $lines)->{json}{errors}, JSON::PP::false, 'documents are acknowledged');
}

sub check {
    my ($node, $index, $name) = @_;
    $node->post("/$index/_refresh");
    my ($found, $good) = (0, 1);
    for (1 .. 6) { # copies take turns
        my $q    = vector();
        my @want = sort { $a <=> $b } map { l2($q, $_) } values %docs;
        my $r    = $node->post("/$index/_search", { knn => { field => 'v', query_vector => $q, k => 10, num_candidates => 40 }, size => 50 });
        my @hits = @{ $r->{json}{hits}{hits} // [] };
        $good &&= @hits == 10 && !grep { abs($_->{_score} - 1 / (1 + l2($q, $docs{ $_->{_id} }))) > 1e-5 } @hits;
        $found += grep { l2($q, $docs{ $_->{_id} }) <= $want[9] + 1e-4 } @hits;
    }
    ok($good,        "$name: so many as were asked for, with their scores");
    ok($found >= 54, "$name: recall") or diag $found / 60;
}

$n[0]->put('/g', { settings => { number_of_shards => 2, number_of_replicas => 1, refresh_interval => -1, 'knn.advanced.approximate_threshold' => 50 },
    mappings => { properties => { v => { type => 'dense_vector', dims => $D, similarity => 'l2_norm', index_options => { type => 'int8_hnsw' } } } } });
ok($c->wait_status('green'), 'green');
write_some($n[0], 'g', 1 .. 1200);
$n[0]->post('/g/_refresh');
write_some($n[1], 'g', 1000 .. 2400);
check($_, 'g', 'written') for @n;
$n[0]->post('/g/_flush');
$c->kill9(2);
ok(QdNode->wait_for(sub { ($n[0]->get('/_cluster/health/g')->{json}{status} // 'red') ne 'red' }, 60), 'replicas are promoted');
check($n[0], 'g', 'after a promotion');
write_some($n[1], 'g', 2000 .. 2600);
$n[2]->start;
ok($c->wait_status('green'), 'the node is back');
check($_, 'g', 'all copies') for @n;
$n[0]->post('/g/_forcemerge?max_num_segments=1');
check($_, 'g', 'merged') for @n;
$c->stop;

# Each segment file of one node gets another byte in the middle of its vectors.
my $one = QdNode->new('vgd');
$one->start;
$one->put('/d', { settings => { number_of_shards => 1, number_of_replicas => 0, refresh_interval => -1, 'knn.advanced.approximate_threshold' => 50 }, mappings => { properties => { v => { type => 'dense_vector', dims => $D } } } });
%docs = ();
write_some($one, 'd', 1 .. 1500);
$one->post('/d/_flush');
is($one->post('/d/_forcemerge?max_num_segments=1')->{status}, 200, 'one segment');
$one->post('/d/_flush');
$one->stop;
my @files = grep { -s $_ > 200_000 } split /\n/, `find $one->{dir}/data -name 'seg-*'`;
ok(@files > 0, 'segments are there');
for my $file (@files) {
    my $size = -s $file;
    open my $f, '+<', $file or die;
    for my $at (map { int($size * $_ / 40) } 4 .. 36) { seek $f, $at, 0; read $f, my $x, 1; seek $f, $at, 0; print {$f} chr(ord($x) ^ 0x55) }
    close $f;
}
$one->start;
my $r;
QdNode->wait_for(sub { $r = $one->post('/d/_search', { knn => { field => 'v', query_vector => vector(), k => 10, num_candidates => 20 } }); return $r->{status} >= 400 || $r->{json}{_shards}{failed} }, 60);
ok($r->{status} >= 400 || $r->{json}{_shards}{failed}, 'a damaged graph is an error');
is($one->get('/')->{status}, 200, '... and the node lives');
my $log = join '', map { my $p = $_; open my $f, '<', $p or return ''; local $/; scalar <$f> } glob "$one->{dir}/*.log $one->{dir}/logs/*";
like("$r->{content} $log", qr/seg-[0-9a-f]{32}/, '... that names the file');
$one->stop;
done_testing;
