# Files of an index that the cluster does not know, on one node of several: any node tells of them, brings
# the index back with its documents, or gives them up where they lie.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

# of deleted indices the newest alone is remembered: what else a node that was down comes back with dangles
my $c = QdCluster->new('dangling', masters => 1, data => 2, settings => { 'cluster.indices.tombstones.size' => 0 });
$c->start;
my ($m, $n, $x) = $c->nodes;
my %uuid;
for my $index ('back', 'given-up', 'remembered') {
    my $r = $n->put("/$index", { settings => { number_of_shards => 2, number_of_replicas => 0, 'index.routing.allocation.require._name' => $x->{name} } });
    is($r->{status}, 200, "$index is made") or diag(explain($r->{json}));
    ok($c->wait_status('green'), 'on one node');
    my $bulk = $n->post("/$index/_bulk?refresh=true", join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_}\n) } 1 .. 30);
    is($bulk->{json}{errors} ? 1 : 0, 0, 'with documents');
    $uuid{$index} = $n->get("/$index")->{json}{$index}{settings}{index}{uuid};
}
$x->stop;
is($n->delete("/$_")->{status}, 200, "$_ is deleted while the node is down") for 'back', 'given-up', 'remembered';
is_deeply($n->get('/_dangling')->{json}{dangling_indices}, [], 'nothing dangles where nothing lies');
$x->start;
ok($c->wait_nodes(3), 'the node is back');
my $gone = delete $uuid{remembered};
ok(!-e "$x->{dir}/data/hot/indices/$gone", 'what is known to be deleted is removed there');
my ($id) = grep { $m->get('/_nodes')->{json}{nodes}{$_}{name} eq $x->{name} } keys %{ $m->get('/_nodes')->{json}{nodes} };

for my $node ($c->nodes) {
    my $r = $node->get('/_dangling')->{json};
    is($r->{_nodes}{successful}, 3, "$node->{name} asks all nodes");
    is_deeply([sort map { "$_->{index_name} $_->{index_uuid} @{ $_->{node_ids} }" } @{ $r->{dangling_indices} }],
        [sort map { "$_ $uuid{$_} $id" } keys %uuid], 'and tells where what lies');
}
my $none = $n->delete('/_dangling/AAAAAAAAAAAAAAAAAAAAAA?accept_data_loss=true');
is($none->{status}, 400, 'an unknown one is refused');
is($n->delete("/_dangling/$uuid{'given-up'}")->{status}, 400, 'the loss is to be accepted');
is($n->delete("/_dangling/$uuid{'given-up'}?accept_data_loss=true")->{status}, 202, 'one is given up, asked for elsewhere');
ok(!-e "$x->{dir}/data/hot/indices/$uuid{'given-up'}", 'its files are gone');
my $r = $m->post("/_dangling/$uuid{back}?accept_data_loss=true");
is($r->{status}, 202, 'the other is brought back, asked for elsewhere') or diag(explain($r->{json}));
ok($c->wait_status('green'), 'green again') or diag(explain($m->get('/_cluster/allocation/explain')->{json}));
is($n->post('/back/_count', {})->{json}{count}, 30, 'with its documents');
is_deeply($n->get('/_dangling')->{json}{dangling_indices}, [], 'nothing dangles now');
is($c->stop, 0, 'ends cleanly');
done_testing;
