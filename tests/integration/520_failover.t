# Faults under load: nodes are killed, frozen and cut off while clients write. Nothing acknowledged is
# lost, a realtime get never shows anything older, the cluster heals by itself, and its copies are the
# same in the end. ROUNDS: how many of each fault (1).
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use Time::HiRes qw(time);
use QdCluster;
use QdNet;
use Recorder;

my $rounds = $ENV{ROUNDS} || 1;
my $seed = $ENV{SEED} || 1;
srand $seed;
my $net = QdNet->new(3);
diag('LOUD: no namespaces here, nothing is cut off: ' . QdNet::why()) unless $net;
my $c = QdCluster->new('f', nodes => 3, net => $net);
my $dir = tempdir(CLEANUP => 1);
$c->start;
my @n = $c->nodes;
is($n[0]->put('/docs', { settings => { number_of_shards => 3, number_of_replicas => 1 } })->{status}, 200, 'an index with a replica');
ok($c->wait_status('green'), 'is green');
my $load = Recorder->new(nodes => \@n, dir => $dir, seed => $seed);
$load->start;

sub acked { $load->acked }
sub more { my ($n, $what) = @_; my $from = acked(); ok($n[0]->wait_for(sub { acked() >= $from + $n }, 120) || $n[1]->wait_for(sub { acked() >= $from + $n }, 60), $what) }
sub copies_agree {
    my ($what) = @_;
    my $bad = $c->copies_differ('docs', 1, 60);
    ok(!$bad, "$what: copies are the same") or diag($bad);
}
sub heals {
    my ($what) = @_;
    my ($n) = $c->alive;
    ok($c->wait_nodes(3), "$what: three nodes again");
    ok($c->wait_status('green'), "$what: green by itself, say all") or diag($n->get('/_cluster/allocation/explain')->{content});
}

more(1000, 'the load is under way');
for my $round (1 .. $rounds) {
    my $victim = int rand 3;
    my $moment = time;
    $c->kill9($victim);
    more(300, "round $round: a node is killed, writes go on");
    diag(sprintf 'killed: %.2f s without an acknowledgement', $load->pause_after($moment));
    $n[$victim]->start;
    heals("round $round, killed");

    $victim = int rand 3;
    $moment = time;
    $n[$victim]->signal('STOP');
    more(300, "round $round: a node is frozen, writes go on");
    diag(sprintf 'frozen: %.2f s without an acknowledgement', $load->pause_after($moment));
    $n[$victim]->signal('CONT');
    heals("round $round, frozen");
    next unless $net;

    $victim = int rand 3;
    my @others = grep { $_ != $victim } 0 .. 2;
    $moment = time;
    $net->cut([$victim], \@others);
    more(300, "round $round: a node is cut off, writes go on");
    diag(sprintf 'cut off: %.2f s without an acknowledgement', $load->pause_after($moment));
    $net->heal;
    heals("round $round, cut off");

    $victim = int rand 3;
    $net->cut_one_way([$victim], [grep { $_ != $victim } 0 .. 2]);
    more(300, "round $round: a node is heard no more, writes go on");
    $net->heal;
    heals("round $round, one way");
}
$load->stop;
heals('in the end');
for my $n (@n) {
    my @wrong = $load->check($n);
    is(scalar @wrong, 0, "$n->{name} has everything acknowledged") or do { diag(join "\n", @wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)]); $_->{keep} = 1 for @n };
}
copies_agree('in the end');
cmp_ok(acked(), '>=', 2000, 'the load was real');
diag(acked() . ' operations acknowledged');
diag("$_: $load->{reasons}{$_}") for sort keys %{ $load->{reasons} || {} };
is($c->stop, 0, 'they stop cleanly');
done_testing;
