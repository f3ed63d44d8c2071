# Power losses and kills under a load on coordination-raft, with large values and snapshots: the
# store opens at any cut, nothing acknowledged is lost, nothing is there that was not asked for.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Basename qw(basename);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use PowerLoss;

my $build = $ENV{QD_BUILD} // "$FindBin::Bin/../../build";
plan skip_all => 'tools of the tests are not built' unless -x "$build/tests/coord_tool" && -e "$build/tests/librecorder.so";
my $plugins = "$build/lib/quidditch/plugins";
my $tool    = "$build/tests/coord_tool";

# Runs the load under the recorder, twice (the second one goes on); returns the number of cuts at
# which something was lost.
sub losses {
    my ($seed, $mute, $n) = @_;
    my $work = tempdir(CLEANUP => 1);
    mkdir "$work/root", 0700 or die $!;
    my $rec = PowerLoss->new(root => "$work/root", build => $build);
    {
        local %ENV = (%ENV, $rec->env(mute => $mute));
        system($tool, $plugins, 'run', "$work/root", "$work/history", $seed, 45, $rec->seq_file) == 0
            or die "the load failed" for 1 .. 2;
    }
    is(join('', $rec->unseen), '', "seed $seed: the recorder saw everything");
    my ($rnd, $last, $lost) = (PowerLoss::random($seed), $rec->seq, 0);
    for my $i (1 .. $n) {
        my $cut = 1 + $rnd->($i % 4 ? $last : 120); # also while it is formed
        my $out = $rec->rebuild($i, $cut);
        chmod 0700, $out;
        my $why = `$tool $plugins check $out $work/history $seed $cut`;
        my $rc  = $?;
        $lost++ if $rc;
        last if $lost && $mute; # one is enough to find a mutant out
        diag("seed $seed, loss $i, cut $cut of $last: $why ($rc)") if $rc && !$mute;
        remove_tree($out);
    }
    return $lost;
}

my $cuts = $ENV{QD_LONG} ? 500 : 35;
is(losses($_, '', $cuts), 0, "seed $_: nothing acknowledged is lost at $cuts cuts") for 1 .. 2;
# how much a cut loses depends on what the threads did: more seeds until one shows it
my $found = 0;
for my $seed (3 .. 12) { last if $found = losses($seed, 'dsync', 40) }
cmp_ok($found, '>', 0, 'without the syncs of the log losses are found');

# Kills at random moments, each run going on behind the one before.
my $rounds = $ENV{QD_LONG} ? 100 : 10;
my $work   = tempdir(CLEANUP => 1);
mkdir "$work/root", 0700 or die $!;
my $rnd = PowerLoss::random(9);
for my $round (1 .. $rounds) {
    my $pid = fork // die;
    if (!$pid) {
        exec $tool, $plugins, 'run', "$work/root", "$work/history", 9, 1_000_000;
        die;
    }
    select undef, undef, undef, 0.02 + $rnd->(400) / 1000; # the moment of the kill
    kill 'KILL', $pid;
    waitpid $pid, 0;
}
my $why = `cp -r $work/root $work/copy && $tool $plugins check $work/copy $work/history 9 18446744073709551615`;
is($?, 0, "$rounds kills lose nothing") or diag $why;

# A damaged database is made again; a damaged log is refused.
sub flip {
    my ($file, $at) = @_;
    open my $f, '+<:raw', $file or die "$file: $!";
    seek $f, $at, 0;
    read $f, my $byte, 1;
    seek $f, $at, 0;
    print $f chr(ord($byte) ^ 0x10);
    close $f;
}
{ # a life that ends by itself: its rows are written
    system "rm -rf $work/copy $work/calm; cp -r $work/root $work/calm; cp $work/history $work/calm.history";
    system($tool, $plugins, 'run', "$work/calm", "$work/calm.history", 9, 20) == 0 or die 'the load failed';
    system "cp -r $work/calm $work/copy";
}
flip("$work/copy/state.db", int((-s "$work/copy/state.db") * $_ / 9)) for 1 .. 8;
$why = `$tool $plugins check $work/copy $work/calm.history 9 18446744073709551615`;
is($?, 0, 'a damaged state.db is made again from the log') or diag $why;

# libraft's own files: term and vote are made again, what was acknowledged is missed, the rest is told.
sub look {
    return `$tool $plugins check $work/copy $work/history 9 18446744073709551615 2>&1`;
}
my @refused;
for my $at ($ENV{QD_LONG} ? 0 .. 31 : (0, 9, 17, 31)) {
    system "rm -rf $work/copy; cp -r $work/root $work/copy";
    flip((glob "$work/copy/raft/metadata*")[0], $at);
    my $said = look();
    push @refused, "at $at: $said" if $?;
}
is("@refused", '', 'a damaged term or vote is made again');
my ($used) = grep { my $f = $_; open my $h, '<:raw', $f; read $h, my $head, 32; $head =~ /[^\0]/ } sort glob "$work/root/raft/open-*";
SKIP: {
    skip 'no open segment in use', 3 unless $used;
    (my $same = $used) =~ s{root(?=/raft/)}{copy};
    system "rm -rf $work/copy; cp -r $work/root $work/copy; rm -f $work/copy/state.db*";
    flip($same, 60);
    $why = look();
    isnt($?, 0, 'damage to what an open segment holds is refused');
    like($why, qr{raft/open-\d+ at offset 8: entry \d+ is damaged, though it had been made durable}, 'with its place');
    system "rm -rf $work/copy; cp -r $work/root $work/copy";
    flip($same, (-s $same) - 5);
    flip($_, 700) for grep { $_ ne $same } glob "$work/copy/raft/open-*";
    $why = look();
    is($?, 0, 'damage behind the end of the log, and in segments never used, hurts nobody') or diag $why;
}
my ($segment) = sort { -s $b <=> -s $a } glob "$work/root/raft/0*-0*";
SKIP: {
    skip 'no closed segment', 1 unless $segment;
    system "rm -rf $work/copy; cp -r $work/root $work/copy; rm -f $work/copy/state.db*";
    my $same = "$work/copy/raft/" . basename($segment);
    flip($same, int((-s $same) / 2));
    $why = `$tool $plugins check $work/copy $work/history 9 18446744073709551615`;
    isnt($?, 0, 'a damaged log is refused');
    like($why, qr/coordination store/, 'with its place');
}
done_testing;
