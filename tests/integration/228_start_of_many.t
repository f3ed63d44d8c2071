# A node with more shards than it may recover at one time is there at once, and opens them in turns: its start
# does not wait for what goes on behind it only.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Timed;
use Time::HiRes qw(time);

my $shards = 30;
my $n = QdNode->new('many', settings => {'cluster.routing.allocation.node_initial_primaries_recoveries' => 4});
$n->start;
for my $i (1 .. $shards) {
    my $r = $n->put("/i$i", {settings => {number_of_shards => 1, number_of_replicas => 0}});
    is($r->{status}, 200, "i$i") or diag $r->{content};
}
is($n->put('/i1/_doc/1?refresh', {a => 1})->{status}, 201, 'a document');
$n->stop;

my $from = time;
$n->launch;
ok($n->wait_for(sub { ($n->get('/ready')->{status} // 0) == 200 }, 60), 'it is ready');
ok($n->wait_for(sub { my $h = $n->get('/_cluster/health')->{json} || {}; ($h->{status} // '') eq 'green' && $h->{active_shards} == $shards }, 60),
    'all shards are open');
within(time - $from, 2, 60, 'a start with 30 shards, four at one time');
my $told = "no allocator took up this node's shards";
like(QdNode::slurp(QdNode::daemon()), qr/\Q$told\E/, 'who waits in vain says so');
unlike($n->log_text, qr/\Q$told\E/, 'nobody did');
is($n->get('/i1/_search')->{json}{hits}{total}{value}, 1, 'the document');
$n->stop;
done_testing;
