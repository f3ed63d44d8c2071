#!/usr/bin/perl
# 115_nested_copies.t: nested documents outlive what a node does: a kill that only the translog remembers, a promotion, a copy made
# from files, _split. Each time all copies count the nested documents that were acknowledged, with their documents.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('nc', nodes => 3);
$c->start;
my @n = $c->nodes;
my (%docs, $stamp);

sub write_some {
    my ($node, @ids) = @_;
    my $lines = '';
    for my $id (@ids) {
        my @c = map { { by => "u$_", n => ++$stamp } } 1 .. $id % 4;
        $docs{$id} = [ map { $_->{n} } @c ];
        $lines .= qq({"index":{"_index":"n","_id":"$id"}}\n) . JSON::PP::encode_json({ c => \@c }) . "\n";
    }
    my $r = $node->post('/_bulk', $lines);
    is($r->{json}{errors}, JSON::PP::false, 'documents are acknowledged') or diag $r->{content};
}

# What each copy that a node prefers shows of index.
sub check {
    my ($node, $index, $name) = @_;
    my $refreshed = $node->post("/$index/_refresh");
    my $s = $refreshed->{json}{_shards};
    ok($s->{failed} == 0 && $s->{successful} > 0, "$name: refreshed") or diag $refreshed->{content};
    my %want = map { map { $_ => 1 } @$_ } values %docs;
    for my $k (1 .. 3) { # copies take turns
        my $r = $node->post("/$index/_search", { size => 1000, track_total_hits => \1, query => { nested => { path => 'c', query => { match_all => {} }, inner_hits => { size => 10, _source => ['c.n'] } } }, aggs => { c => { nested => { path => 'c' }, aggs => { s => { sum => { field => 'c.n' } } } } } });
        my %got;
        for my $h (@{ $r->{json}{hits}{hits} }) { $got{ $_->{_source}{n} } = $h->{_id} for @{ $h->{inner_hits}{c}{hits}{hits} } }
        is_deeply([ sort keys %got ], [ sort keys %want ], "$name: each nested document, once") or diag substr $r->{content}, 0, 300;
        is($r->{json}{aggregations}{c}{doc_count}, scalar keys %want, "$name: they are counted");
        my $sum = 0;
        $sum += $_ for keys %want;
        is($r->{json}{aggregations}{c}{s}{value}, $sum, "$name: and added up");
    }
}

$n[0]->put('/n', { settings => { number_of_shards => 1, number_of_routing_shards => 4, number_of_replicas => 1, refresh_interval => -1 }, mappings => { properties => { c => { type => 'nested', properties => { by => { type => 'keyword' }, n => { type => 'long' } } } } } });
ok($c->wait_status('green'), 'green');
write_some($n[0], 1 .. 60);
check($n[0], 'n', 'written');
$n[0]->post('/n/_flush');
write_some($n[1], 30 .. 90);

my ($primary) = grep { $_->[1] eq 'p' } map { [ split ' ' ] } split /\n/, $n[0]->get('/_cat/shards/n?h=node,prirep')->{content};
my ($i) = grep { $n[$_]->get('/_nodes/_local')->{content} =~ /"name":"\Q$primary->[0]\E"/ } 0 .. 2;
$c->kill9($i);
my $other = $n[ ($i + 1) % 3 ];
ok(QdNode->wait_for(sub { ($other->get('/_cluster/health/n')->{json}{status} // 'red') ne 'red' }, 60), 'a replica is promoted');
check($other, 'n', 'after a promotion');
write_some($other, 91 .. 99);
$n[$i]->start;
ok($c->wait_status('green'), 'the node is back');
check($other, 'n', 'recovered');

$other->put('/n/_settings', { number_of_replicas => 2 });
ok($c->wait_status('green'), 'a third copy');
check($n[$i], 'n', 'a copy made from files');

$c->kill9($_) for 0 .. 2;
$c->start;
ok($c->wait_status('green'), 'all were killed');
check($n[0], 'n', 'after a kill of all');

$n[0]->put('/n/_settings', { 'index.blocks.write' => \1 });
is($n[0]->put('/n/_split/wide', { settings => { number_of_shards => 4, 'index.blocks.write' => undef } })->{status}, 200, '_split');
ok($c->wait_status('green'), 'in four shards');
check($n[1], 'wide', 'split');
$n[0]->post('/wide/_forcemerge?max_num_segments=1');
check($n[2], 'wide', 'split and merged');

is($c->stop, 0, 'stopped');
done_testing;
