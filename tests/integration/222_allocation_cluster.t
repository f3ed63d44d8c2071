#!/usr/bin/perl
# Allocation over three nodes in three zones: where copies go, what is said about it, draining, moves,
# waiting for a node that left, leave to stop a node.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use QdCluster;
use Test::More;

my $c = QdCluster->new('al', nodes => 3);
$c->node($_)->{settings}{'node.attr.zone'} = "z$_" for 0 .. 2;
$c->start;
my $n = $c->node(0);
my ($yes, $no) = (JSON::PP::true, JSON::PP::false);

sub shards { @{ $n->get('/_cat/shards?format=json&h=index,shard,prirep,state,node')->{json} || [] } }
sub on { my ($node) = @_; grep { ($_->{node} // '') =~ /^\Q$node\E\b/ } shards() }
sub until_true { # a condition, polled
    my ($what, $test) = @_;
    return pass($what) if $n->wait_for($test, 120);
    fail($what);
    diag($n->get('/_cat/shards?v&h=index,shard,prirep,state,node,unassigned.reason,unassigned.details')->{content});
    diag($n->get('/_cluster/allocation/explain?pretty')->{content});
}
sub explained { $n->post('/_cluster/allocation/explain?include_yes_decisions=true', { index => $_[0], shard => 0, primary => $_[1] })->{json} }
my $r;
sub cluster { $n->put('/_cluster/settings', { persistent => {@_} })->{status} }

is($n->put('/a', { settings => { number_of_shards => 3, number_of_replicas => 1 } })->{status}, 200, 'an index');
is($n->put("/a/_doc/$_", { n => $_ })->{status}, 201, "document $_") for 1 .. 20;
until_true('green', sub { $n->get('/_cluster/health')->{json}{status} eq 'green' });
until_true('each node holds its share', sub { my @each = map { scalar on("al$_") } 0 .. 2; "@each" eq '2 2 2' });

# one copy in each zone, and no more than the zones there are
is(cluster('cluster.routing.allocation.awareness.attributes' => 'zone'), 200, 'awareness');
$n->put('/four', { settings => { number_of_shards => 1, number_of_replicas => 3 } });
until_true('three of four copies', sub { 3 == grep { $_->{index} eq 'four' && $_->{state} eq 'STARTED' } shards() });
my $e = explained('four', $no);
is($e->{can_allocate}, 'no', 'the fourth has no place');
my %said = map { $_->{node_name} => { map { $_->{decider} => $_ } @{ $_->{deciders} } } } @{ $e->{node_allocation_decisions} };
is($said{al1}{same_shard}{decision}, 'NO', 'each node has a copy');
is($said{al1}{disk_threshold}{decision}, 'YES', 'the disk is not to blame');
cluster('cluster.routing.allocation.awareness.attributes' => undef);
$n->delete('/four');

# a node is emptied
is(cluster('cluster.routing.allocation.exclude._name' => 'al2'), 200, 'exclude');
until_true('the node is empty', sub { !on('al2') });
until_true('green again', sub { my $h = $n->get('/_cluster/health')->{json}; $h->{status} eq 'green' && !$h->{relocating_shards} });
is($n->get('/a/_count')->{json}{count}, 20, 'nothing is lost') if $n->post('/a/_refresh')->{status} == 200;
$e = explained('a', $yes);
my ($word) = grep { $_->{node_name} eq 'al2' } @{ $e->{node_allocation_decisions} };
my ($filter) = grep { $_->{decider} eq 'filter' } @{ $word->{deciders} };
is($filter->{explanation}, 'node matches cluster setting [cluster.routing.allocation.exclude] filters [_name:"al2"]', 'says why');
is(cluster('cluster.routing.allocation.exclude._name' => undef), 200, 'no more');

# a closed index stays where it is; who wants to empty the node is told what is in the way
is($n->put('/shut', { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, 'an index');
my ($lies) = map { $_->{node} } grep { $_->{index} eq 'shut' } shards();
is($n->post('/shut/_close')->{status}, 200, 'closed');
is(cluster('cluster.routing.allocation.exclude._name' => $lies), 200, 'its node is excluded');
until_true('all else has gone', sub { 1 == on($lies) });
$r = $n->get("/_nodes/$lies/_may_stop?reason=remove")->{json};
ok(!$r->{may_stop}, 'the node may not be removed');
is_deeply($r->{explanations}, ['[shut][0] is of a closed index, whose copies are not moved: open or delete the index'], 'for the closed index');
my %says = map { $_->{node_name} => { map { $_->{decider} => $_ } @{ $_->{deciders} } } } @{ explained('shut', $yes)->{node_allocation_decisions} };
delete $says{$lies};
is(scalar keys %says, 2, 'two other nodes');
like($_->{closed_index}{explanation}, qr/the index is closed.*open or delete it/, 'which do not get it, for that reason') for values %says;
is($n->post('/shut/_open')->{status}, 200, 'opened');
until_true('it is moved', sub { !on($lies) });
is($n->delete('/shut')->{status}, 200, 'deleted');
is(cluster('cluster.routing.allocation.exclude._name' => undef), 200, 'no more');

# a command
cluster('cluster.routing.rebalance.enable' => 'none');
until_true('rest', sub { !$n->get('/_cluster/health')->{json}{relocating_shards} });
my ($copy) = grep { $_->{index} eq 'a' && $_->{shard} == 0 && $_->{prirep} eq 'r' } shards();
my %held = map { $_->{node} => 1 } grep { $_->{index} eq 'a' && $_->{shard} == 0 } shards();
my ($free) = grep { !$held{$_} } map { "al$_" } 0 .. 2;
my $move = { move => { index => 'a', shard => 0, from_node => $copy->{node}, to_node => $free } };
$r = $n->post('/_cluster/reroute?dry_run=true', { commands => [$move] })->{json};
is(scalar(grep { $_->{state} eq 'RELOCATING' } @{ $r->{state}{routing_table}{indices}{a}{shards}{0} }), 1, 'dry run shows the move');
is(scalar(grep { $_->{state} ne 'STARTED' } shards()), 0, 'and does not make it');
$r = $c->node(1)->post('/_cluster/reroute?metric=none', { commands => [$move] });
is($r->{status}, 200, 'moved by another node');
until_true('it is there', sub { grep { $_->{index} eq 'a' && $_->{shard} == 0 && $_->{state} eq 'STARTED' && $_->{node} eq $free } shards() });
is($n->post('/_cluster/reroute', { commands => [$move] })->{status}, 400, 'not a second time');
cluster('cluster.routing.rebalance.enable' => undef);

# who removes a node leaves its stop to the hook of its pod, which asks under a name of its own
is($n->post('/_nodes/al2/_may_stop?reason=remove&holder=admin')->{status}, 200, 'a node is to be removed');
is($n->post('/_nodes/al2/_may_stop?reason=restart&holder=preStop')->{status}, 200, 'its hook may stop it');
$r = $n->get('/_nodes/al2/_may_stop')->{json}{permit};
is("$r->{holder} $r->{reason}", 'admin remove', '... under the permit that is there');
is($n->post('/_nodes/al2/_may_stop?reason=remove&holder=other')->{status}, 409, 'nobody else may remove it');
is($n->delete('/_nodes/al2/_may_stop')->{status}, 200, 'given back');

# leave to stop
until_true('each node has its share again', sub {
    my $h = $n->get('/_cluster/health')->{json};
    $h->{status} eq 'green' && !$h->{relocating_shards} && join(' ', map { scalar on("al$_") } 0 .. 2) eq '2 2 2';
});
$r = $n->post('/_nodes/al2/_may_stop?reason=restart&holder=test&expires_after=20m');
is($r->{status}, 200, 'a permit');
ok($r->{json}{may_stop}, 'it may stop');
$r = $n->post('/_nodes/al1/_may_stop?reason=restart&holder=test');
is($r->{status}, 409, 'no second one');
like($r->{json}{error}{reason}, qr/no quorum|no other copy/, 'says why');

# a node that left is waited for
$n->put('/a/_settings', { 'index.unassigned.node_left.delayed_timeout' => '0s' });
$c->kill9(2);
ok($c->wait_nodes(2, 120), 'a node with leave to restart is gone');
until_true('its copies wait: the permit is open', sub { $n->get('/_cluster/health')->{json}{unassigned_shards} == 2 });
for my $shard (0 .. 2) {
    my $x = $n->post('/_cluster/allocation/explain', { index => 'a', shard => $shard, primary => $no })->{json};
    next unless $x->{current_state} eq 'unassigned';
    is($x->{can_allocate}, 'allocation_delayed', "shard $shard is delayed by the permit");
    is($x->{unassigned_info}{reason}, 'NODE_RESTARTING', 'reason');
    last;
}
is($n->delete('/_nodes/al2/_may_stop')->{status}, 200, 'the permit is given back');
until_true('the copies are made elsewhere', sub { $n->get('/_cluster/health')->{json}{status} eq 'green' });
is($n->post('/a/_refresh')->{status}, 200, 'refresh');
is($n->get('/a/_count')->{json}{count}, 20, 'all there');

is($c->stop, 0, 'they stop cleanly');
done_testing;
