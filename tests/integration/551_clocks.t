# Clocks that are hours apart, and jump by hours while clients write: nothing acknowledged is lost, no get
# shows an older state, nobody takes a node for gone. By libfaketime; time that only passes is left alone,
# as the kernel does. ROUNDS: how many jumps of each kind (1).
# Runs alone: its clients keep every core busy, and beside another such load no copy catches up in time.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use FaultLoad;
use QdCluster;

my ($library) = grep { -e } glob '/usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1';
plan skip_all => 'LOUD: there is no libfaketime (package faketime)' unless $library;
my $rounds = $ENV{ROUNDS} || 1;
my $seed = $ENV{SEED} || 1;
srand $seed;
my $dir = tempdir('qd-clocks-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my @off = (0, 3 * 3600, -2 * 3600);
sub clock {
    my ($i, $seconds) = @_;
    $off[$i] = $seconds;
    open my $f, '>', "$dir/clock$i.new" or die $!;
    printf $f "%+d\n", $seconds;
    close $f;
    rename "$dir/clock$i.new", "$dir/clock$i" or die $!;
}
my $c = QdCluster->new('t', nodes => 3);
my @n = $c->nodes;
for my $i (0 .. 2) {
    clock($i, $off[$i]);
    $n[$i]{env} = { LD_PRELOAD => $library, FAKETIME_TIMESTAMP_FILE => "$dir/clock$i", FAKETIME_DONT_FAKE_MONOTONIC => 1,
        FAKETIME_FORCE_MONOTONIC_FIX => 0, FAKETIME_CACHE_DURATION => 1 };
}
$c->start;
my $f = FaultLoad->new($c, $dir, seed => $seed);
# Node i has the clock that was set.
sub shows {
    my ($i) = @_;
    return $n[$i]->wait_for(sub {
        my ($s) = values %{ $n[$i]->get('/_nodes/_local/stats/os')->{json}{nodes} || {} };
        abs(($s->{timestamp} // 0) / 1000 - time - $off[$i]) < 600;
    }, 60);
}
ok(shows($_), "$n[$_]{name} has another time: $off[$_] s") for 0 .. 2;
$f->start;

sub leader {
    my ($name) = map { $_->{node} // '' } @{ $n[0]->get('/_cat/master?h=node&format=json')->{json} || [] };
    my ($found) = grep { $n[$_]{name} eq ($name // '') } 0 .. 2;
    return $found // 0;
}
for my $round (1 .. $rounds) {
    for my $jump ([leader(), 3600], [leader(), -7200], [int rand 3, 86400 * 40], [int rand 3, -86400 * 40]) {
        my ($i, $by) = @$jump;
        clock($i, $off[$i] + $by);
        ok(shows($i), "round $round: the clock of $n[$i]{name} jumped by $by s");
        $f->more(500, 'writes go on');
        is($n[($i + 1) % 3]->put("/made-$round-$i-$by", { settings => { number_of_replicas => 1 } })->{status}, 200, 'an index is made');
    }
    $f->heals("round $round, clocks have jumped");
    my $i = int rand 3;
    $n[$i]->kill9;
    clock($i, $off[$i] - 86400);
    $f->more(500, "round $round: without $n[$i]{name} writes go on");
    $n[$i]->start;
    $f->heals("round $round, it comes back yesterday");
}
$f->ends;
is($c->stop, 0, 'they stop cleanly');
done_testing;
