#!/usr/bin/perl
# 410_replication.t: a shard on several processes: writes go to its copies, a killed primary is replaced
# while somebody writes, what was acknowledged is there, the copy comes back.
use strict;
use warnings;
use FindBin qw($Bin);
use lib "$Bin/lib";
use JSON::PP;
use POSIX ();
use QdCluster;
use Test::More;
use Time::HiRes qw(time);

my $c = QdCluster->new('repl', nodes => 3)->start;
my @n = $c->nodes;

sub ok_json { my ($r, $what) = @_; is($r->{status}, 200, $what) or diag($r->{content}); return $r->{json} }

ok_json($n[0]->put('/x', encode_json({ settings => { number_of_shards => 1, number_of_replicas => 1,
    'index.unassigned.node_left.delayed_timeout' => '0s' } })), 'an index with a replica');
ok($c->wait_status('green'), 'is green');

# acknowledged writes of a writer that asks one node and goes on when it is refused
sub writer {
    my ($node, $file, $first) = @_;
    my $pid = fork // die;
    return $pid if $pid;
    open my $f, '>', $file or POSIX::_exit(1);
    $f->autoflush(1);
    my $stop = 0;
    local $SIG{TERM} = sub { $stop = 1 };
    my $id = $first;
    my $last = time;
    while (!$stop) {
        my $r = eval { $node->put("/x/_doc/$id?timeout=10s", "{\"v\":$id}") } || { status => 0 };
        my $now = time;
        printf $f "%d %d %.4f\n", $id, $r->{status}, $now - $last;
        $last = $now;
        $id++;
    }
    POSIX::_exit(0);
}

sub primary_of {
    my ($node) = @_;
    my ($row) = grep { $_->{prirep} eq 'p' } @{ $node->get('/_cat/shards/x?format=json')->{json} || [] };
    return grep { $n[$_]{name} eq ($row->{node} // '') } 0 .. 2;
}

# a killed node, a killed node once more, and one that is frozen: nobody tells the others
for my $round (1 .. 3) {
    my $frozen = $round == 3;
    my ($p) = primary_of($n[0]{pid} ? $n[0] : $n[1]);
    ok(defined $p, "round $round: there is a primary") or last;
    my ($asked) = grep { $_ != $p } 0 .. 2;
    my $file = "$n[$asked]{dir}/acked.$round";
    my $pid = writer($n[$asked], $file, $round * 1_000_000);
    my $acked = sub { scalar grep { / 20[01] / } split /^/, QdNode::slurp($file) };
    ok($n[$asked]->wait_for(sub { $acked->() > 20 }, 120), 'writes are acknowledged');
    $frozen ? $n[$p]->signal('STOP') : $c->kill9($p);
    ok($n[$asked]->wait_for(sub { my ($q) = primary_of($n[$asked]); defined $q && $q != $p }, 120),
        'another copy is primary');
    my $before = $acked->();
    ok($n[$asked]->wait_for(sub { $acked->() > $before + 20 }, 120), 'writes go on');
    kill TERM => $pid;
    waitpid $pid, 0;
    my (@acked, $longest, %other);
    $longest = 0;
    open my $f, '<', $file or die;
    while (<$f>) {
        my ($id, $status, $took) = split;
        if ($status == 200 || $status == 201) { push @acked, $id } else { $other{$status}++ }
        $longest = $took if $took > $longest;
    }
    note(sprintf 'the longest pause between two answers: %.3f s; others: %s', $longest, join ' ', %other);
    my $lost = 0;
    for my $id (@acked) { $lost++ if ($n[$asked]->get("/x/_doc/$id")->{status} // 0) != 200 }
    is($lost, 0, 'none of them is lost');
    $frozen ? $n[$p]->signal('CONT') : $n[$p]->start;
    ok($c->wait_nodes(3), 'all nodes are there');
    ok($c->wait_status('green'), 'green again, by itself') or diag($n[$asked]->get('/_cat/shards?v')->{content});
    ok_json($n[$p]->post('/x/_refresh'), 'refresh on all copies');
    my %counts = map { $n[$_]->get('/x/_count')->{json}{count} => 1 } 0 .. 2;
    is(scalar keys %counts, 1, 'every node counts the same: ' . join ' ', keys %counts);
}
my $rec = $n[0]->get('/_cat/recovery/x?h=index,shard,type,stage,bp,top')->{content};
like($rec, qr/^x +0 +peer +done/m, '_cat/recovery shows where a copy came from') or diag($rec);
$c->stop;
done_testing();
