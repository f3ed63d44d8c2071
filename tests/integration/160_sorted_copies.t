#!/usr/bin/perl
# 160_sorted_copies.t: copies of a sorted index with a synthetic source: they show the same documents in the same order, in the
# log and in segments, after a promotion, a copy made from files, and a split; nothing that was acknowledged is lost by an update.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('sc', nodes => 3);
$c->start;
my @n = $c->nodes;
my %docs; # id => [k, l, tags]
my $stamp = 0;

sub write_some {
    my ($node, @ids) = @_;
    my $lines = '';
    for my $id (@ids) {
        my $old = $docs{$id};
        my $d = $docs{$id} = [ 'k' . $id % 7, ++$stamp, [ "b$id", 'a' ] ];
        $lines .= $old && $id % 2
            ? qq({"update":{"_index":"s","_id":"$id"}}\n{"doc":{"l":$d->[1]}}\n)
            : qq({"index":{"_index":"s","_id":"$id"}}\n{"tags":["b$id","a","a"],"l":$d->[1],"k":"$d->[0]","text":"word $id"}\n);
    }
    my $r = $node->post('/_bulk', $lines);
    is($r->{json}{errors}, JSON::PP::false, 'documents are acknowledged') or diag $r->{content};
}
sub check {
    my ($node, $index, $name) = @_;
    $node->post("/$index/_refresh");
    my @want = map { "$docs{$_}[0] $docs{$_}[1] $_" } sort { $docs{$a}[0] cmp $docs{$b}[0] || $docs{$b}[1] <=> $docs{$a}[1] } keys %docs;
    for my $k (1 .. 3) { # copies take turns
        my $r = $node->post("/$index/_search", { size => 1000, sort => [ { k => 'asc' }, { l => 'desc' } ] });
        my @hits = @{ $r->{json}{hits}{hits} };
        is_deeply([ map { "$_->{_source}{k} $_->{_source}{l} $_->{_id}" } @hits ], \@want, "$name: all documents in order") or diag substr $r->{content}, 0, 300;
        my $wrong = grep { "@{ $_->{_source}{tags} }" ne "a b$_->{_id}" || $_->{_source}{text} ne "word $_->{_id}" } @hits;
        is($wrong, 0, "$name: their sources");
        my $some = $node->post("/$index/_search", { size => 7, sort => [ { k => 'asc' }, { l => 'desc' } ], track_total_hits => JSON::PP::false });
        is_deeply([ map { "$_->{_source}{k} $_->{_source}{l} $_->{_id}" } @{ $some->{json}{hits}{hits} } ], [ @want[0 .. 6] ], "$name: the best few");
    }
}

my $made = $n[0]->put('/s', { settings => { number_of_shards => 1, number_of_replicas => 1, refresh_interval => -1, 'index.number_of_routing_shards' => 4,
    'index.sort.field' => [ 'k', 'l' ], 'index.sort.order' => [ 'asc', 'desc' ], 'index.mapping.source.mode' => 'synthetic' },
    mappings => { properties => { k => { type => 'keyword' }, l => { type => 'long' }, tags => { type => 'keyword' }, text => { type => 'text' } } } });
is($made->{status}, 200, 'a sorted index with a copy') or diag $made->{content};
ok($c->wait_status('green'), 'green');
write_some($n[0], 1 .. 60);
write_some($n[1], 30 .. 80);
is_deeply($n[2]->get('/s/_doc/31')->{json}{_source}, { k => 'k3', l => $docs{31}[1], tags => [ 'a', 'b31' ], text => 'word 31' }, 'a document before a refresh, updated');
check($n[1], 's', 'two copies');
write_some($n[2], 1 .. 20);
my ($primary) = grep { $_->[1] eq 'p' } map { [ split ' ' ] } split /\n/, $n[0]->get('/_cat/shards/s?h=node,prirep')->{content};
my ($i) = grep { $n[$_]->get('/_nodes/_local')->{content} =~ /"name":"\Q$primary->[0]\E"/ } 0 .. 2;
$c->kill9($i);
my $victim = $n[$i];
my @rest = @n[ ($i + 1) % 3, ($i + 2) % 3 ];
ok(QdNode->wait_for(sub { ($rest[0]->get('/_cluster/health/s')->{json}{status} // 'red') ne 'red' }, 60), 'a replica is promoted');
write_some($rest[0], 10 .. 40);
check($rest[1], 's', 'after a promotion');
$victim->start;
ok($c->wait_status('green'), 'the node is back');
$rest[0]->put('/s/_settings', { 'index.number_of_replicas' => 2 });
ok($c->wait_status('green'), 'green');
check($victim, 's', 'three copies');
$rest[0]->post('/s/_forcemerge?max_num_segments=1');
check($victim, 's', 'after a merge');
$rest[0]->put('/s/_settings', { 'index.blocks.write' => JSON::PP::true });
is($rest[0]->post('/s/_split/p', { settings => { 'index.number_of_shards' => 2, 'index.number_of_replicas' => 1, 'index.blocks.write' => undef } })->{status}, 200, 'a split');
ok($c->wait_status('green'), 'green');
check($rest[0], 'p', 'a split');
is($c->stop, 0, 'stopped');
done_testing;
