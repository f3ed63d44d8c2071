# Masters that are processes of their own are killed all at once while clients write: data nodes serve
# without them, and with their masters back the cluster is green by itself. ROUNDS: how often (1).
# Runs alone: its clients keep every core busy, and beside another such load no copy catches up in time.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use FaultLoad;
use QdCluster;

my $rounds = $ENV{ROUNDS} || 1;
my $dir = tempdir('qd-masters-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $s = QdCluster->new('y', masters => 3, data => 2, coordination => 1);
$s->start;
my $g = FaultLoad->new($s, $dir, seed => $ENV{SEED} || 1);
my ($rest) = grep { $_->has_rest && $_->{roles}[0] eq 'coordination' } $s->nodes;
$g->{writers}{nodes} = $g->{clients}{nodes} = [$rest];
$g->start;
my @masters = @{ $s->{masters} };
for my $round (1 .. $rounds) {
    $_->signal('KILL') for @masters;
    $_->wait_end for @masters;
    $g->more(500, "round $round: without masters writes go on");
    $s->start(seconds => 120);
    $g->heals("round $round, all masters killed at once");
    is($rest->put("/made-$round", { settings => { number_of_replicas => 1 } })->{status}, 200, 'an index is made');
    ok($s->wait_status('green', 120, $rest), 'and green');
}
$g->ends;
is($s->stop, 0, 'they stop cleanly');
done_testing;
