# Two clusters of one name: whoever belongs to one of them is refused by the other, in words on both
# sides, serves its own, and comes in when its folder was emptied.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Path qw(remove_tree);
use QdNode;

my %none = ('metrics.port' => -1, 'transport.rpc_port' => -1);
my $x = QdNode->new('x', settings => { 'cluster.name' => 'same' });
my $y = QdNode->new('y', settings => { 'cluster.name' => 'same' });
$_->start for $x, $y; # each for itself, as somebody does who reads the manual later
my %uuid = map { $_->{name} => $_->get('/')->{json}{cluster_uuid} } $x, $y;
isnt($uuid{x}, $uuid{y}, 'two nodes started each for itself are two clusters');
$y->put('/mine/_doc/1?refresh=true', { of => 'y' });

$y->stop;
$y->{settings}{'discovery.seed_hosts'} = "127.0.0.1:$x->{transport}";
$y->start;
ok($y->wait_for(sub { $y->log_text =~ /discovery.*which this node's settings name, is not of its cluster: .*two clusters have the name \[same\]: its uuid is \[\Q$uuid{x}\E\].*empty its path.data/ }, 60),
    'told to join each other, the one says why it does not, and what to do');
ok($x->wait_for(sub { $x->log_text =~ /refused node \[y\].*two clusters have the name \[same\]: its uuid is \[\Q$uuid{y}\E\], that of this node's \[\Q$uuid{x}\E\]/ }, 60), 'and the other one whom it refused');
is($y->get('/mine/_count')->{json}{count}, 1, 'it serves what it has');
is($_->get('/_cluster/health')->{json}{number_of_nodes}, 1, "$_->{name} is alone") for $x, $y;

# a data node of one cluster, sent to the other
my $d = QdNode->new('d', settings => { 'cluster.name' => 'same', 'node.roles' => 'data', 'coordination.master_addresses' => "127.0.0.1:$x->{transport}", %none });
$d->start;
ok($x->wait_for(sub { $x->get('/_cluster/health')->{json}{number_of_nodes} == 2 }, 60), 'a data node of the one');
$d->stop;
$d->{settings}{'coordination.master_addresses'} = "127.0.0.1:$y->{transport}";
$d->launch;
ok($d->wait_for(sub { $d->log_text =~ /discovery.*it refuses this node: two clusters have the name \[same\].*correct the addresses/ }, 60), 'sent to the other is refused and keeps trying');
is($y->get('/_cluster/health')->{json}{number_of_nodes}, 1, 'and is no part of it');
ok($d->alive, 'it waits');
$d->stop;
$d->{settings}{'coordination.master_addresses'} = "127.0.0.1:$x->{transport}";
$d->start;
ok($x->wait_for(sub { $x->get('/_cluster/health')->{json}{number_of_nodes} == 2 }, 60), 'with the right address it is there again');

$y->stop;
remove_tree("$y->{dir}/data");
$y->start;
ok($x->wait_for(sub { $x->get('/_cluster/health')->{json}{number_of_nodes} == 3 }, 60), 'one that was emptied joins');
is($y->get('/')->{json}{cluster_uuid}, $uuid{x}, 'the cluster of the other');
$_->stop for $d, $y, $x;
done_testing;
