# A node whose build speaks the transport's oldest version joins the others, holds shards, answers and
# asks; then it is upgraded in place, and another goes back.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $older = "$QdNode::OUT/tests/older/bin/quidditchd";
plan skip_all => 'make test-tools builds the older daemon' unless -x $older;

my $c = QdCluster->new('v', nodes => 3, settings => { 'logger.transport' => 'debug' }, env => { QUIDDITCH_HOME => $QdNode::OUT });
$c->node(2)->{daemon} = $older;
$c->start;
# that it is one, the others' logs tell: it, and nobody else, is spoken to in 1.0
sub spoken {
    my ($from, $to) = @_;
    my @v = $c->node($from)->log_text =~ /connected to node \[v$to\] at \[[^]]*\], version ([0-9.]+)/g;
    return $v[-1] // 'none';
}
sub speaks {
    my ($from, $to, $version, $what) = @_;
    $c->node($from)->wait_for(sub { spoken($from, $to) eq $version }, 120);
    is(spoken($from, $to), $version, $what);
}
speaks(0, 2, '1.0', 'a node of an older version joins');
speaks(2, 0, '1.0', 'and is the older one to itself too');
speaks(0, 1, '1.1', 'the others speak the newer one');

my $n = 0;
sub works {
    my ($what) = @_;
    my $index = 'i' . $n++;
    is($c->node(0)->put("/$index", { settings => { number_of_shards => 3, number_of_replicas => 0 } })->{status}, 200, "$what: an index");
    $c->wait_status('green');
    for my $i (0 .. 2) {
        my $r = $c->node($i)->request('POST', "/$index/_bulk?refresh=true", join('', map { "{\"index\":{\"_id\":\"$i-$_\"}}\n{\"node\":$i,\"text\":\"number $_\"}\n" } 1 .. 30));
        ok($r->{status} == 200 && !$r->{json}{errors}, "$what: writes by node $i") or diag $r->{content};
    }
    for my $i (0 .. 2) {
        is($c->node($i)->get("/$index/_count")->{json}{count}, 90, "$what: node $i counts what all wrote");
        is($c->node($i)->get("/$index/_doc/1-7")->{json}{_source}{node}, 1, "$what: node $i gets a document");
    }
    my $nodes = $c->node(0)->get('/_nodes/stats/transport')->{json}{nodes} || {};
    is(scalar keys %$nodes, 3, "$what: all tell their figures");
}
works('one older');

$c->node(2)->stop;
delete $c->node(2)->{daemon};
$c->node(2)->start;
$c->wait_nodes(3);
speaks(0, 2, '1.1', 'upgraded it speaks the newer one');
works('upgraded');

$c->node(1)->stop;
$c->node(1)->{daemon} = $older;
$c->node(1)->start;
$c->wait_nodes(3);
speaks(0, 1, '1.0', 'one that went back speaks the older one');
works('one gone back');
$c->stop;
done_testing;
