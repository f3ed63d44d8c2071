# The disk of one node of three fails while clients write: syncs, writes and reads answer EIO, a tmpfs
# fills up. Nothing acknowledged is lost, no get shows an older state, writes go on over the other
# nodes, and with a sound disk the cluster heals by itself. ROUNDS: how many of each fault (1).
# Runs alone: its clients keep every core busy, and beside another such load no copy catches up in time.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use FaultLoad;
use Faulty;
use QdCluster;

my $rounds = $ENV{ROUNDS} || 1;
my $seed = $ENV{SEED} || 1;
srand $seed;
plan skip_all => 'LOUD: make test-tools: there is no libfaulty.so' unless Faulty::library();
my $dir = tempdir('qd-disks-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $mount = "$dir/small";
mkdir $mount;
my $mounted = $> == 0 && system("mount -t tmpfs -o size=256m,mode=700 tmpfs $mount 2>/dev/null") == 0;
diag('LOUD: nothing can be mounted here, no disk fills up') unless $mounted;

my $c = QdCluster->new('d', nodes => 3);
my @n = $c->nodes;
my @disk = map { Faulty->new("$dir/disk$_") } 0 .. 2;
for my $i (0 .. 2) {
    $n[$i]{env} = { $disk[$i]->env };
    $n[$i]{settings}{'storage.reserve'} = '4mb';
}
$n[2]{settings}{'path.data'} = "$mount/data" if $mounted;
$c->start;
my $f = FaultLoad->new($c, $dir, seed => $seed);
$f->start;

my @failed = (0, 0, 0);
# The number of the node that leads, when there is one.
sub master {
    my $found;
    $n[0]->wait_for(sub {
        my ($name) = map { $_->{node} // '' } @{ $n[0]->get('/_cat/master?h=node&format=json')->{json} || [] };
        ($found) = grep { $n[$_]{name} eq ($name // '') } 0 .. 2;
        defined $found;
    }, 60);
    return $found // 0;
}

# What makes a node meet the fault, called until it has. Segments are mapped, and a node whose copies failed has
# replicas only, which nobody reads by calls: an index that it alone has, and gets of what is in its translog.
sub meets {
    my ($i, %fault) = @_;
    my $other = $n[($i + 1) % 3];
    my $k = 0;
    # changes of the cluster's state pass here, too
    return sub { $other->put('/registers/_settings', { 'index.refresh_interval' => (1 + $k++ % 3) . 's' }) } if $fault{under} =~ /coordination/;
    return sub { } unless $fault{read};
    is($other->put('/alone', { settings => { number_of_shards => 1, number_of_replicas => 0, 'index.refresh_interval' => -1,
        'index.routing.allocation.require._name' => $n[$i]{name} } })->{status}, 200, "an index on $n[$i]{name} alone");
    return sub {
        $k++;
        $other->put("/alone/_doc/$k?timeout=1s", { n => $k });
        $other->get("/alone/_doc/$k");
    };
}

# Fails until something of it was met, and the others have acknowledged more; then the disk is sound.
sub faulty {
    my ($i, $what, %fault) = @_;
    my $other = $n[($i + 1) % 3];
    my $meets = meets($i, %fault);
    $disk[$i]->fail(%fault);
    ok($other->wait_for(sub { $meets->(); $disk[$i]->failed > $failed[$i] }, 90), "$what: calls on files failed");
    $failed[$i] = $disk[$i]->failed;
    $f->more(300, "$what: writes go on");
    is($other->delete('/alone')->{status}, 200, 'the index of its own goes') if $fault{read};
}
sub sound { my ($i, $what) = @_; $disk[$i]->heal; return $f->heals($what) }

for my $round (1 .. $rounds) {
    for my $fault (['one sync fails', sync => 'EIO', times => 1], ['syncs fail', sync => 'EIO'], ['writes fail', write => 'EIO'],
        ['reads fail', read => 'EIO']) {
        my ($name, @fault) = @$fault;
        my $i = int rand 3;
        faulty($i, "round $round, $name on $n[$i]{name}", @fault, under => '/hot/');
        sound($i, "round $round, $name");
    }
    my $slow = int rand 3;
    $disk[$slow]->fail(sync_ms => 300);
    $f->more(300, "round $round, syncs of $n[$slow]{name} are slow: writes go on");
    sound($slow, "round $round, slow syncs");
    # a master ends by itself: it promises nothing on a log that it could not sync
    my $i = $round % 2 ? master() : int rand 3;
    faulty($i, "round $round, the log of state cannot be synced on $n[$i]{name}", sync => 'EIO', under => '/coordination/');
    is($n[$i]->wait_end(120), 1, "round $round, the node ends by itself");
    like($n[$i]->log_text, qr/this node ends, to be started again: .*Input\/output error/, 'and says why');
    $disk[$i]->heal;
    $n[$i]->start;
    $f->heals("round $round, started again");
}

# --- a full disk below one node of three
SKIP: {
    skip 'nothing can be mounted', 1 unless $mounted;
    # until it was as good as full once: the node then gives back what it holds in reserve
    my $k = 0;
    $n[0]->wait_for(sub {
        my (undef, $avail) = split /\n/, `df -B1 --output=avail $mount`;
        return 1 if $avail < 65536;
        $k++;
        system('fallocate -l ' . int($avail - 4096) . " $mount/ballast$k 2>/dev/null");
        return 0;
    }, 60);
    $f->more(600, 'a disk is full: writes go on');
    ok($n[2]->alive, 'and its node lives');
    is($n[2]->get('/')->{status}, 200, 'and answers');
    unlink map { "$mount/ballast$_" } 1 .. $k;
    $f->heals('room again');
}
$f->ends;
is($c->stop, 0, 'they stop cleanly');
END { local $?; if ($mounted) { $_->kill9 for grep { $_->{pid} } @n; system("umount -l $mount") } }
done_testing;
