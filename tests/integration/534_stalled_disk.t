# Disks that stand still for longer than a session lasts: of all nodes, of the master, of one node. Nobody
# is dead, so nobody is given up: requests wait and are answered. A disk that stays as it is costs its node
# its place, and the others go on without it. Also in the middle of a move of a primary.
# Runs alone: how long a disk stands still is measured. STALL: how long the first ones take, in seconds (4).
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use Faulty;
use QdCluster;
use Steady;
use JSON::PP ();

plan skip_all => 'LOUD: make test-tools: there is no libfaulty.so' unless Faulty::library();
my $stall = $ENV{STALL} || 4;
my $dir = tempdir('qd-stalls-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $c = QdCluster->new('s', nodes => 3);
my @n = $c->nodes;
my @disk = map { Faulty->new("$dir/disk$_") } 0 .. 2;
$n[$_]{env} = { $disk[$_]->env } for 0 .. 2;
$c->start;
is($n[0]->put('/t', { settings => { number_of_shards => 6, number_of_replicas => 1 } })->{status}, 200, 'an index on three nodes');
ok($c->wait_status('green'), 'green');
my $bulk = join '', map { qq({"index":{"_id":"k$_"}}\n{"n":$_}\n) } 1 .. 200;
is($n[0]->post('/t/_bulk?refresh=true', $bulk)->{json}{errors}, JSON::PP::false, 'with documents');
my $clients = Steady->new($dir);

# The number of the node that leads.
sub master {
    my ($name) = map { $_->{node} } @{ $n[0]->get('/_cat/master?h=node&format=json')->{json} };
    my ($found) = grep { $n[$_]{name} eq $name } 0 .. 2;
    return $found;
}
# Everything that a node has said so far.
sub said { return join '', map { $_->log_text } @n }

# A primary is given to another node; the command is accepted, the move has just begun.
sub begin_move {
    my @r = @{ $n[0]->get('/_cat/shards/t?h=shard,prirep,state,node&format=json')->{json} };
    my ($p) = grep { $_->{prirep} eq 'p' && $_->{state} eq 'STARTED' } @r;
    my %has = map { $_->{node} => 1 } grep { $_->{shard} eq $p->{shard} } @r;
    my ($to) = grep { !$has{$_} } map { $_->{name} } @n;
    my $r = $n[0]->post('/_cluster/reroute', { commands => [{ move => { index => 't', shard => $p->{shard} + 0, from_node => $p->{node}, to_node => $to } }] });
    is($r->{status}, 200, 'a primary begins to move') or diag $r->{content};
}

for my $case (['all disks', sub { 0 .. 2 }], ['all disks, while a primary moves', sub { begin_move(); 0 .. 2 }], ['the disk of the master', sub { master() }], ['the disk of another node', sub { (master() + 1) % 3 }]) {
    my ($what, $which) = @$case;
    for my $node (@n) { $clients->add($_, $node) for qw(write write get search state) }
    ok($clients->go_on, "$what: clients are at work");
    my @held = $which->();
    my $before = $disk[$held[0]]->failed;
    $disk[$_]->fail(hold => 1) for @held;
    ok(QdNode->wait_for(sub { $disk[$held[0]]->failed > $before }, 60), 'a sync has no end');
    my $end = time + $stall;
    ok(QdNode->wait_for(sub { time > $end }, 60), "for more than $stall s");
    $disk[$_]->heal for @held;
    ok($clients->go_on, 'clients go on');
    my ($done, @wrong) = $clients->end;
    cmp_ok($done, '>', 100, "$done requests");
    is(join('', @wrong), '', "$what: none failed");
    ok($c->wait_status('green'), 'green');
}
unlike(said(), qr/session has expired|lost copies/, 'no node was taken for dead');

# What a node writes down when the state changes.
sub record { return "$_[0]{dir}/data/authority.json" }

# --- a disk that takes nothing any more, of the master: of a cluster whose state does not change
for my $load (0, 1) {
    my $what = $load ? 'documents are written' : 'nobody asks for anything';
    my $hung = master();
    my @others = grep { $_ != $hung } 0 .. 2;
    if ($load) {
        $clients->add('write', $n[$others[0]]); # what is noted of it does not come to the disk
        ok($clients->go_on, 'a client is at work');
    }
    ok(QdNode->wait_for(sub { time > 5 + ((stat record($n[$hung]))[9] // time) }, 60), 'the state has come to rest');
    $disk[$hung]->fail(hold => 1);
    ok(QdNode->wait_for(sub {
        my $h = $n[$others[0]]->get('/_cluster/health')->{json};
        $h->{number_of_nodes} == 2 && $h->{active_primary_shards} == 6;
    }, 60), "$what, and a disk stays as it is: the others have all primaries");
    like($n[$hung]->log_text, qr/the disk of this node has not synced .*leaves the cluster to the others/, 'and the node says why');
    my $later = Steady->new($dir, name => "later$load");
    $later->add($_, $n[$others[1]]) for qw(write get search state);
    ok($later->go_on, 'who comes now is served without it');
    $disk[$hung]->heal;
    ok($c->wait_nodes(3), 'sound again, it is back');
    ok($c->wait_status('green'), 'and all is green');
    my ($done, @wrong) = $later->end;
    is(join('', @wrong), '', "of $done requests since none failed");
    $clients->end; # a write that was at the old primary may have an unknown outcome
}
my %seen;
$n[0]->post('/t/_refresh');
$seen{ $_->get('/t/_count')->{json}{count} } = 1 for @n;
is(scalar keys %seen, 1, 'copies show the same');
is($c->stop, 0, 'they stop cleanly');
done_testing;
