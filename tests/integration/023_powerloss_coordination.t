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
for my $seed (3 .. 12) { last if $found = losses($seed, 'fdatasync', 40) }
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

# What the log holds is there whole, or the store does not open and names the place.
for (1 .. 2) { # each life begins a segment
    system($tool, $plugins, 'run', "$work/calm", "$work/calm.history", 9, 3) == 0 or die 'the load failed';
}
sub look {
    return `$tool $plugins check $work/copy $work/calm.history 9 18446744073709551615 2>&1`;
}
sub fresh_copy {
    system "rm -rf $work/copy; cp -r $work/calm $work/copy; rm -f $work/copy/state.db*";
}
my @logs = map { basename($_) } sort glob "$work/calm/raft/*.log";
cmp_ok(scalar @logs, '>=', 2, 'there are several segments');
my (@opened, @unnamed);
for my $log (@logs) {
    fresh_copy();
    my $used = -s "$work/copy/raft/$log";
    for my $at (5, 20, 60, 530, 560, 700) {
        last if $at >= $used;
        fresh_copy();
        flip("$work/copy/raft/$log", $at);
        my $said = look();
        # the newest segment may hold less than that
        push @opened, "$log at $at" if !$? && $log ne $logs[-1];
        push @unnamed, "$log at $at: $said" if $? && $said !~ /\Q$log\E at offset \d+/;
    }
}
is("@opened", '', 'a flipped byte of an older segment is found');
is("@unnamed", '', 'and its file and offset are told');
{ # the end of the log: what the mark says was durable
    fresh_copy();
    my ($file) = map { "$work/copy/raft/$_" } $logs[-1];
    flip($file, 512 + 60);
    $why = look();
    isnt($?, 0, 'a damaged batch that had been acknowledged is refused');
    like($why, qr/\Q$logs[-1]\E at offset 512: damaged .*acknowledged changes are lost/, 'with its place');
    fresh_copy();
    unlink $file;
    $why = look();
    isnt($?, 0, 'a missing newest segment is refused');
    like($why, qr/segment \Q$logs[-1]\E is missing/, 'with its name');
    fresh_copy();
    unlink "$work/copy/raft/$logs[0]";
    $why = look();
    # a kill may have come between a snapshot and the removal of the segments that it covers
    my $covered = !$? && glob("$work/copy/raft/*.snap");
    ok($? || $covered, 'a missing oldest segment is refused, but for one that a snapshot covers');
    ok($covered || $why =~ /stood in a segment that is missing|is missing/, 'with what is missing') or diag $why;
    fresh_copy();
    unlink "$work/copy/raft/mark";
    $why = look();
    isnt($?, 0, 'a missing mark is refused');
    fresh_copy();
    flip("$work/copy/raft/mark", 8), flip("$work/copy/raft/mark", 4104);
    $why = look();
    isnt($?, 0, 'a damaged mark is refused');
    like($why, qr/mark at offset 0 and 4096: damaged/, 'with its place');
    fresh_copy();
    flip($file, (-s $file) - 5);
    $why = look();
    is($?, 0, 'damage behind the end of the log hurts nobody') or diag $why;
}
SKIP: {
    my ($snap) = sort { $b cmp $a } glob "$work/calm/raft/*.snap";
    skip 'no snapshot', 3 unless $snap;
    fresh_copy();
    (my $same = $snap) =~ s{calm(?=/raft/)}{copy};
    flip($same, int((-s $same) / 2));
    $why = look();
    isnt($?, 0, 'a damaged snapshot is refused');
    like($why, qr/\.snap at offset \d+: the snapshot is damaged/, 'with its place');
    fresh_copy();
    unlink glob "$work/copy/raft/*.snap";
    $why = look();
    isnt($?, 0, 'missing snapshots are refused');
}
{ # the folder of a version before
    fresh_copy();
    unlink glob "$work/copy/raft/*";
    open my $f, '>', "$work/copy/raft/metadata1" or die $!;
    close $f;
    $why = look();
    isnt($?, 0, 'a log of an older version is refused');
    like($why, qr/log of an older version \(metadata1\).*empty folder/, 'saying what to do');
}
done_testing;
