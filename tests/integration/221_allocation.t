#!/usr/bin/perl
# Allocation over HTTP on one node: explanations, reroute, settings that forbid, health while copies
# are missing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('alloc', settings => {
    'node.attr.zone' => 'east', 'cluster.routing.allocation.disk.threshold_enabled' => 'false',
});
$node->start;

my $r = $node->get('/_cluster/allocation/explain');
is($r->{status}, 400, 'nothing is unassigned');
like($r->{json}{error}{reason}, qr/there are no unassigned shards in this cluster/, 'and it says so');

$node->put('/books', {settings => {number_of_shards => 1, number_of_replicas => 1}});
$node->get('/_cluster/health/books?wait_for_status=yellow&timeout=120s');
$r = $node->get('/_cluster/health');
is($r->{json}{unassigned_shards}, 1, 'the replica has no place');

$r = $node->get('/_cluster/allocation/explain')->{json};
like($r->{note}, qr/randomly chosen unassigned shard/, 'note');
is($r->{index}, 'books', 'index');
is($r->{shard}, 0, 'shard');
ok(!$r->{primary}, 'a replica');
is($r->{current_state}, 'unassigned', 'state');
is($r->{unassigned_info}{reason}, 'INDEX_CREATED', 'reason');
is($r->{unassigned_info}{last_allocation_status}, 'no', 'status of the last attempt');
is($r->{can_allocate}, 'no', 'can_allocate');
like($r->{allocate_explanation}, qr/isn't allowed to allocate this shard to any of the nodes/, 'in words');
my $n = $r->{node_allocation_decisions}[0];
is($n->{node_name}, 'alloc', 'node');
is($n->{node_decision}, 'no', 'its decision');
is($n->{node_attributes}{zone}, 'east', 'its attributes');
is(scalar @{$n->{deciders}}, 1, 'one decider says no');
is($n->{deciders}[0]{decider}, 'same_shard', 'which');
is($n->{deciders}[0]{decision}, 'NO', 'what');
like($n->{deciders}[0]{explanation},
    qr/^a copy of this shard is already allocated to this node \[\[books\]\[0\], node\[\S+\], \[P\], s\[STARTED\], a\[id=\S+\]\]$/,
    'why');

$r = $node->get('/_cluster/allocation/explain?include_yes_decisions=true&include_disk_info=true')->{json};
my %by = map { $_->{decider} => $_ } @{$r->{node_allocation_decisions}[0]{deciders}};
is($by{$_}{decision}, 'YES', "$_ says yes") for qw(max_retry enable filter throttling awareness data_tier shards_limit node_shutdown disk_threshold);
like($by{enable}{explanation}, qr/^all allocations are allowed$/, 'enable in words');
ok($r->{cluster_info}{nodes}, 'disks');

$r = $node->post('/_cluster/allocation/explain', {index => 'books', shard => 0, primary => JSON::PP::true})->{json};
is($r->{current_state}, 'started', 'the primary');
is($r->{current_node}{name}, 'alloc', 'where');
is($r->{can_remain_on_current_node}, 'yes', 'it stays');
is($r->{can_rebalance_to_other_node}, 'no', 'nowhere to go');
is($r->{can_rebalance_cluster}, 'no', 'not while a copy is missing');
my ($cluster) = grep { $_->{decider} eq 'cluster_rebalance' } @{$r->{can_rebalance_cluster_decisions}};
like($cluster->{explanation}, qr/the cluster has unassigned shards and cluster setting \[cluster.routing.allocation.allow_rebalance\]/, 'why');

is($node->post('/_cluster/allocation/explain', {index => 'none', shard => 0, primary => JSON::PP::true})->{status}, 404, 'no such index');
is($node->post('/_cluster/allocation/explain', {index => 'books', shard => 7, primary => JSON::PP::true})->{status}, 400, 'no such shard');
$r = $node->post('/_cluster/allocation/explain', {index => 'books'});
is($r->{status}, 400, 'incomplete');
is($r->{json}{error}{type}, 'action_request_validation_exception', 'as validation');
is($node->post('/_cluster/allocation/explain', {what => 1})->{status}, 400, 'unknown field');

# switched off: an index is made and waits
$node->put('/_cluster/settings', {persistent => {'cluster.routing.allocation.enable' => 'none'}});
$node->put('/later?wait_for_active_shards=0', {settings => {number_of_replicas => 0}});
$r = $node->post('/_cluster/allocation/explain', {index => 'later', shard => 0, primary => JSON::PP::true})->{json};
is($r->{can_allocate}, 'no', 'enable: none');
is($r->{node_allocation_decisions}[0]{deciders}[0]{explanation},
    'no allocations are allowed due to cluster setting [cluster.routing.allocation.enable=none]', 'says which setting');
is($node->get('/_cluster/health/later')->{json}{status}, 'red', 'red');
$node->put('/_cluster/settings', {persistent => {'cluster.routing.allocation.enable' => undef}});
is($node->get('/_cluster/health/later?wait_for_status=green&timeout=120s')->{json}{status}, 'green', 'on again');

# an index of its own
$node->put('/filtered?wait_for_active_shards=0', {settings => {
    number_of_replicas => 0, 'index.routing.allocation.include._name' => 'nowhere'}});
$r = $node->post('/_cluster/allocation/explain', {index => 'filtered', shard => 0, primary => JSON::PP::true})->{json};
is($r->{node_allocation_decisions}[0]{deciders}[0]{explanation},
    'node does not match index setting [index.routing.allocation.include] filters [_name:"nowhere"]', 'filter');
$node->put('/filtered/_settings', {'index.routing.allocation.include._name' => 'al*'});
is($node->get('/_cluster/health/filtered?wait_for_status=green&timeout=120s')->{json}{status}, 'green', 'a pattern fits');
$node->put('/tiered?wait_for_active_shards=0', {settings => {
    number_of_replicas => 0, 'index.routing.allocation.include._tier_preference' => 'data_warm,data_hot'}});
is($node->get('/_cluster/health/tiered?wait_for_status=green&timeout=120s')->{json}{status}, 'green', 'a data node is of every tier');

# reroute
$r = $node->post('/_cluster/reroute?metric=none');
is($r->{status}, 200, 'reroute');
ok($r->{json}{acknowledged} && !$r->{json}{state}, 'nothing but acknowledged');
$r = $node->post('/_cluster/reroute?retry_failed=true')->{json};
ok($r->{state}{routing_table}{indices}{books}, 'state comes with it');
ok(!$r->{state}{metadata}, 'but no metadata');
$r = $node->post('/_cluster/reroute?metric=none', {commands => [{move => {
    index => 'books', shard => 0, from_node => 'alloc', to_node => 'alloc'}}]});
is($r->{status}, 400, 'a move to itself');
like($r->{json}{error}{reason}, qr/^\[move_allocation\] can't move \[books\]\[0\], from .*since its not allowed, reason: /, 'says why');
$r = $node->post('/_cluster/reroute?metric=none&explain=true', {commands => [{move => {
    index => 'books', shard => 0, from_node => 'alloc', to_node => 'alloc'}}]});
is($r->{status}, 200, 'explained');
my ($same) = grep { $_->{decider} eq 'same_shard' } @{$r->{json}{explanations}[0]{decisions}};
is($same->{decision}, 'NO', 'decision of each decider');
is($r->{json}{explanations}[0]{parameters}{from_node}, 'alloc', 'parameters');
$r = $node->post('/_cluster/reroute', {commands => [{allocate_empty_primary => {
    index => 'filtered', shard => 0, node => 'alloc'}}]});
is($r->{status}, 400, 'primary is assigned');
like($r->{json}{error}{reason}, qr/primary \[filtered\]\[0\] is already assigned/, 'says so');
$node->put('/stuck?wait_for_active_shards=0', {settings => {
    number_of_replicas => 0, 'index.routing.allocation.require._name' => 'nowhere'}});
$r = $node->post('/_cluster/reroute', {commands => [{allocate_stale_primary => {
    index => 'stuck', shard => 0, node => 'alloc', accept_data_loss => JSON::PP::true}}]});
like($r->{json}{error}{reason}, qr/no such shard has ever been active/, 'no stale copy of a new shard');
$r = $node->post('/_cluster/reroute?dry_run=true', {commands => [{allocate_empty_primary => {
    index => 'stuck', shard => 0, node => 'alloc', accept_data_loss => JSON::PP::true}}]});
is($r->{json}{state}{routing_table}{indices}{stuck}{shards}{0}[0]{state}, 'INITIALIZING', 'dry run shows what would be');
is($node->get('/_cluster/health/stuck')->{json}{status}, 'red', 'and does nothing');
$r = $node->post('/_cluster/reroute?metric=none', {commands => [{allocate_empty_primary => {
    index => 'stuck', shard => 0, node => 'alloc', accept_data_loss => JSON::PP::true}}]});
is($r->{status}, 200, 'for good');
is($node->get('/_cluster/health/stuck?wait_for_status=green&timeout=120s')->{json}{status}, 'green', 'the shard is there');
is($node->post('/_cluster/reroute', {commands => [{dance => {}}]})->{status}, 400, 'unknown command');
is($node->post('/_cluster/reroute', {commands => [{cancel => {index => 'books', shard => 0}}]})->{status}, 400, 'missing field');
is($node->post('/_cluster/reroute', {commands => [{cancel => {index => 'no', shard => 0, node => 'alloc'}}]})->{status}, 404, 'missing index');

# settings are checked
$r = $node->put('/_cluster/settings', {persistent => {'cluster.routing.allocation.disk.watermark.low' => '96%'}});
is($r->{status}, 400, 'low above high');
like($r->{json}{error}{reason}, qr/watermark/, 'says which');
is($node->put('/_cluster/settings', {persistent => {'cluster.routing.allocation.enable' => 'some'}})->{status}, 400, 'no such value');
is($node->put('/_cluster/settings', {persistent => {
    'cluster.routing.allocation.disk.watermark.low' => '100gb',
    'cluster.routing.allocation.disk.watermark.high' => '50gb',
    'cluster.routing.allocation.disk.watermark.flood_stage' => '10gb'}})->{status}, 200, 'bytes, in order');
is($node->put('/_cluster/settings', {persistent => {
    'cluster.routing.allocation.balance.write_load' => '5.0',
    'cluster.routing.allocation.balance.threshold' => '1.5'}})->{status}, 200, 'weights');

# leave to stop
$r = $node->get('/_nodes/alloc/_may_stop')->{json};
ok(!$r->{may_stop}, 'a copy of which no other is in sync');
like($r->{explanations}[0], qr/\[books\]\[0\] has no other copy that is in sync/, 'says which');
$r = $node->post('/_nodes/alloc/_may_stop?reason=restart&holder=me');
is($r->{status}, 409, 'no permit');
is($r->{json}{error}{type}, 'permit_refused_exception', 'type');
$node->put('/books/_settings', {'index.number_of_replicas' => 0});
ok($node->get('/_nodes/_local/_may_stop')->{json}{may_stop}, 'without replicas a restart is what was chosen');
$r = $node->post('/_nodes/alloc/_may_stop?reason=restart&holder=me&expires_after=1m')->{json};
ok($r->{may_stop}, 'permit');
is($r->{permit}{holder}, 'me', 'its holder');
cmp_ok($r->{permit}{remaining_in_millis}, '>', 30000, 'its time');
is($node->post('/_nodes/alloc/_may_stop?holder=other')->{status}, 409, 'held by another');
is($node->post('/_nodes/alloc/_may_stop?holder=me')->{status}, 200, 'taken again');
is($node->delete('/_nodes/alloc/_may_stop')->{status}, 200, 'given back');
ok(!$node->get('/_nodes/alloc/_may_stop')->{json}{permit}, 'none any more');
ok(!$node->get('/_nodes/alloc/_may_stop?reason=remove')->{json}{may_stop}, 'not to be removed');
is($node->get('/_nodes/nobody/_may_stop')->{status}, 404, 'no such node');
is($node->get('/_nodes/alloc/_may_stop?reason=fun')->{status}, 400, 'no such reason');

$node->stop;
done_testing;
