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
speaks(0, 1, '1.2', 'the others speak the newer one');

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

# A node of one version holds the primary, those of the other copies of it: filled by files and by
# operations, written to, refreshed, searched, and promoted when the primary goes.
sub copies {
    my ($owner, $what) = @_;
    my $index = 'c' . $n++;
    my $name = $c->node($owner)->{name};
    my ($ask) = grep { $_ != $owner } 0 .. 2;
    my $a = $c->node($ask);
    is($a->put("/$index", { settings => { number_of_shards => 1, number_of_replicas => 0, 'index.routing.allocation.include._name' => $name },
        mappings => { properties => { n => { type => 'long' }, tag => { type => 'keyword' }, text => { type => 'text' } } } })->{status}, 200, "$what: an index on $name");
    my $docs = sub { my ($from, $to, $via) = @_; my $r = $c->node($via)->post("/$index/_bulk?refresh=true", join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_,"tag":"t@{[$_ % 5]}","text":"number $_ of many"}\n) } $from .. $to); $r->{status} == 200 && !$r->{json}{errors} };
    ok($docs->(1, 200, $_), "$what: documents by node $_") for 0 .. 2;
    $a->post("/$index/_flush");
    ok($docs->(201, 260, $ask), "$what: more of them, in the log only");
    is($a->put("/$index/_settings", { number_of_replicas => 2, 'index.routing.allocation.include._name' => undef })->{status}, 200, "$what: two copies more");
    ok($a->wait_for(sub { ($a->get("/_cluster/health/$index")->{json}{active_shards} // 0) == 3 }, 120), "$what: they are filled") or diag $a->get("/_cat/shards/$index?h=prirep,state,node,unassigned.reason,unassigned.details")->{content};
    my ($p) = grep { $_->{prirep} eq 'p' } @{ $a->get("/_cat/shards/$index?format=json&h=prirep,node")->{json} };
    is($p->{node}, $name, "$what: $name has the primary");
    my $w = $c->node($owner)->put("/$index/_doc/261?refresh=true", { n => 261, tag => 't1', text => 'number 261 of many' })->{json};
    is($w->{_shards}{successful}, 3, "$what: a write goes to all copies");
    is($w->{_shards}{failed}, 0, "$what: none of them fails");
    for my $node (map { $_->{name} } $c->nodes) {
        my $r = $a->post("/$index/_search?preference=_only_nodes:$node", { size => 3, sort => [{ n => 'desc' }], query => { match => { text => 'many' } },
            track_total_hits => JSON::PP::true, highlight => { fields => { text => {} } },
            aggs => { tags => { terms => { field => 'tag' }, aggs => { top => { max => { field => 'n' } } } }, mean => { avg => { field => 'n' } } } })->{json};
        is($r->{hits}{total}{value}, 261, "$what: the copy of $node has all documents");
        is(join(' ', map { $_->{_id} } @{ $r->{hits}{hits} }), '261 260 259', "$what: sorted");
        like($r->{hits}{hits}[0]{highlight}{text}[0], qr/<em>many/, "$what: fetched");
        is_deeply([map { "$_->{key}=$_->{doc_count}" } @{ $r->{aggregations}{tags}{buckets} }], ['t1=53', 't0=52', 't2=52', 't3=52', 't4=52'], "$what: and counted");
        is($r->{aggregations}{mean}{value}, 131, "$what: with its mean");
    }
    my @copies = map { "$_->{docs}" } @{ $a->get("/_cat/shards/$index?format=json&h=docs")->{json} };
    is("@copies", '261 261 261', "$what: figures of all copies");
    return $index;
}
my $by_newer = copies(0, 'newer primary, older copies');
my $by_older = copies(2, 'older primary, newer copies');
# over shards on nodes of both
is($c->node(1)->post("/$by_newer,$by_older,i0/_search", { size => 0, track_total_hits => JSON::PP::true, aggs => { tags => { terms => { field => 'tag' } } } })->{json}{aggregations}{tags}{buckets}[0]{doc_count},
    106, 'results of both are merged');

# the older one goes: copies of the newer ones take over what it had acknowledged
$c->node(2)->kill9;
ok($c->node(0)->wait_for(sub { my ($p) = grep { $_->{prirep} eq 'p' } @{ $c->node(0)->get("/_cat/shards/$by_older?format=json&h=prirep,node,state")->{json} };
    $p && $p->{state} eq 'STARTED' && $p->{node} ne 'v2' }, 120), 'a newer copy of an older primary is promoted');
is($c->node(1)->get("/$by_older/_doc/261")->{json}{_source}{n}, 261, 'with everything');
is($c->node(1)->put("/$by_older/_doc/262?refresh=true", { n => 262 })->{status}, 201, 'and takes writes');
$c->node(2)->start;
$c->wait_nodes(3);
ok($c->wait_status('green', 120), 'the older one is filled by it');
is($c->node(0)->get("/$by_older/_count?preference=_only_nodes:v2")->{json}{count}, 262, 'with what it missed');

# the newer primary goes: the older copy is promoted
my ($owner) = grep { $_->{prirep} eq 'p' } @{ $c->node(2)->get("/_cat/shards/$by_newer?format=json&h=prirep,node")->{json} };
$c->node(2)->put("/$by_newer/_settings", { number_of_replicas => 1, 'index.routing.allocation.include._name' => "$owner->{node},v2" });
ok($c->node(2)->wait_for(sub { my @s = @{ $c->node(2)->get("/_cat/shards/$by_newer?format=json&h=node,state")->{json} };
    @s == 2 && !grep { $_->{state} ne 'STARTED' || ($_->{node} ne 'v2' && $_->{node} ne $owner->{node}) } @s }, 120), 'copies on one newer and the older node');
my ($gone) = grep { $_->{name} eq $owner->{node} } $c->nodes;
$gone->kill9;
ok($c->node(2)->wait_for(sub { my ($p) = grep { $_->{prirep} eq 'p' } @{ $c->node(2)->get("/_cat/shards/$by_newer?format=json&h=prirep,node,state")->{json} };
    $p && $p->{state} eq 'STARTED' && $p->{node} eq 'v2' }, 120), 'an older copy of a newer primary is promoted');
is($c->node(2)->get("/$by_newer/_doc/261")->{json}{_source}{n}, 261, 'with everything');
is($c->node(2)->put("/$by_newer/_doc/262?refresh=true", { n => 262 })->{status}, 201, 'and takes writes');
$gone->start;
$c->wait_nodes(3);
ok($c->wait_status('green', 120), 'the newer one is filled by it');
is($c->node(2)->get("/$by_newer/_count?preference=_only_nodes:$gone->{name}")->{json}{count}, 262, 'with what it missed');
$c->node(0)->delete("/$_") for $by_newer, $by_older;

$c->node(2)->stop;
delete $c->node(2)->{daemon};
$c->node(2)->start;
$c->wait_nodes(3);
speaks(0, 2, '1.2', 'upgraded it speaks the newer one');
works('upgraded');

$c->node(1)->stop;
$c->node(1)->{daemon} = $older;
$c->node(1)->start;
$c->wait_nodes(3);
speaks(0, 1, '1.0', 'one that went back speaks the older one');
works('one gone back');
$c->stop;
done_testing;
