#!/usr/bin/perl
# Two data nodes do not hear each other, a third one and the master hear both: the copy that was lost is made
# where its primary is heard, a copy that may be nowhere else comes back when they hear each other again, and
# all three nodes write, read and search what only one of the two has.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use QdNet;
use Test::More;
use Time::HiRes qw(time);
use Timed;

my $net = QdNet->new(4) or plan skip_all => 'LOUD: nothing is cut off here: ' . QdNet::why();
my $c = QdCluster->new('p', masters => 1, data => 3, net => $net);
$c->start;
my ($master, @n) = $c->nodes;
my ($p, $r, $o) = @n;    # has primaries, their replicas, is heard by both
my $only = 'index.routing.allocation.include._name';

# An index whose primary is on $p and whose replica, if it has one, on $r.
sub index_on {
    my ($name, $replicas) = @_;
    is($p->put("/$name", { settings => { number_of_shards => 1, number_of_replicas => 0, $only => $p->{name} } })->{status}, 200, "an index $name");
    $p->put("/$name/_settings", { $only => "$p->{name},$r->{name}", 'index.number_of_replicas' => $replicas });
    ok($c->wait_status('green', 60, $p), 'is green');
}
$o->put('/_cluster/settings', { persistent => { 'cluster.routing.rebalance.enable' => 'none' } });
index_on('moves', 1);
index_on('stays', 1);
index_on('one', 0);
$p->put('/moves/_settings', { $only => undef });
sub where { my ($name) = @_; return { map { ($_->{prirep} => "$_->{state} " . ($_->{node} // "nowhere")) } @{ $o->get("/_cat/shards/$name?format=json&h=prirep,state,node")->{json} } } }
is_deeply(where('moves'), { p => "STARTED $p->{name}", r => "STARTED $r->{name}" }, 'the pair has the copies');

my (%acked, $next);
sub write_by {
    my ($n, $name) = @_;
    my $id = $n->{name} . '-' . ++$next;
    my $answer = $n->put("/$name/_doc/$id", { n => $next });
    $acked{$name}{$id} = 1 if $answer->{status} == 201;
    return $answer;
}
for my $n (@n) { is(write_by($n, $_)->{status}, 201, "$n->{name} writes $_") for 'moves', 'stays', 'one' }

$net->cut([1], [2]);
my $from = time;
ok($o->wait_for(sub { ((where('moves')->{r} // '') eq "STARTED $o->{name}") }, 180), 'the copy is made where its primary is heard')
    or diag($o->get('/_cluster/allocation/explain')->{content});
within(time - $from, 30, 180, 'soon');
isnt(where('stays')->{r}, "STARTED $r->{name}", 'one that can be nowhere else waits');

# each node, through whatever way there is; the first write may have been under way when it was cut
for my $n (@n) {
    for my $name ('moves', 'stays', 'one') {
        ok($n->wait_for(sub { write_by($n, $name)->{status} == 201 }, 60), "$n->{name} writes $name");
        $from = time;
        my @got = map { write_by($n, $name)->{status} } 1 .. 20;
        is_deeply(\@got, [(201) x 20], '... and goes on');
        within(time - $from, 5, 120, '... without waiting for who does not answer');
        my ($id) = sort keys %{ $acked{$name} };
        is($n->get("/$name/_doc/$id")->{json}{found}, JSON::PP::true(), '... and reads');
        is($n->post("/$name/_update/$id", { doc => { more => 1 } })->{status}, 200, '... and updates');
        is($n->put("/$name/_create/$id", { n => 0 })->{status}, 409, '... and is told of a conflict');
        is($n->post("/$name/_refresh")->{json}{_shards}{failed}, 0, '... and refreshes');
        my $found = $n->get("/$name/_search?size=1&sort=n")->{json};
        is_deeply([$found->{_shards}{failed}, scalar @{ $found->{hits}{hits} }], [0, 1], '... and searches');
    }
}
like($r->log_text, qr/is not reached: requests go through/, 'the log says that requests go through another node');

$net->heal;
ok($c->wait_status('green', 120, $o), 'green when they hear each other again');
is(where('stays')->{r}, "STARTED $r->{name}", 'the copy that waited is back');
for my $name ('moves', 'stays', 'one') {
    my $bad = $name eq 'one' ? 0 : $c->copies_differ($name, 1, 60);
    ok(!$bad, "copies of $name are the same") or diag($bad);
    $o->post("/$name/_refresh");
    my $count = $o->get("/$name/_count")->{json}{count};
    my @ids = keys %{ $acked{$name} };
    is($o->post("/$name/_count", { query => { ids => { values => \@ids } } })->{json}{count}, @ids, "all that was acknowledged is in $name");
}
is($c->stop, 0, 'they stop cleanly');
done_testing;
