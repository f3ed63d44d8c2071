#!/usr/bin/perl
# A refresh that fails on the node that has the shard is told by the node that is asked: with the shards
# of _refresh, and with the items of a bulk that wanted it. What was written stays written.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use Faulty;
use QdCluster;
use Test::More;

plan skip_all => 'LOUD: make test-tools: there is no libfaulty.so' unless Faulty::library();
my $dir = tempdir('qd-rf-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $disk = Faulty->new("$dir/disk");
my $c = QdCluster->new('rf', masters => 1, data => 2);
my ($n, @data) = $c->nodes;
$data[0]{env} = { $disk->env };
$c->start;
my %one = (number_of_shards => 1, number_of_replicas => 0, refresh_interval => -1, 'routing.allocation.require._name' => $data[0]{name});
is($data[1]->put('/i', { settings => \%one })->{status}, 200, 'an index on one node');
is($data[1]->put("/i/_doc/$_", { n => $_ })->{status}, 201, "document $_") for 1 .. 3;
my ($id) = map { $_->{id} } grep { $_->{name} eq $data[0]{name} } @{ $data[1]->get('/_cat/nodes?format=json&h=id,name&full_id=true')->{json} };

$disk->fail(write => 'EIO', under => '/.tmp/');
my $r = $data[1]->post('/i/_bulk?refresh=true', qq({"index":{"_id":"4"}}\n{"n":4}\n{"delete":{"_id":"9"}}\n));
$disk->heal;
is($r->{status}, 200, 'the bulk is answered');
for my $item (map { values %$_ } @{ $r->{json}{items} }) {
    my $s = $item->{_shards};
    is($s->{failed}, 1, "$item->{_id}: failed") or diag($r->{content});
    is($s->{failures}[0]{_node}, $id, 'on that node');
    is($s->{failures}[0]{_shard}, 0, 'that shard');
    like($s->{failures}[0]{reason}{reason}, qr/\S/, 'for a reason');
}
ok($n->wait_for(sub { $data[1]->get('/i/_doc/4')->{status} == 200 }, 60), 'what was written is there');
is($c->stop, 0, 'they stop cleanly');
done_testing;
