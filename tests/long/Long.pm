package Long;
# Long.pm: a part of the long suite made of steps. A step that passed at this commit is not run again
# when an interrupted part goes on (tests/long/run says where that is written); the counts a part asked
# for are part of its report.
#
#   my $rounds = count(ROUNDS => 100);
#   step("kills with seed $_", "ROUNDS=20 SEED=$_ prove tests/integration/300_kill.t") for 1 .. 5;
#   step('builds', sub { build('all units') });       # code: true when it is as it must be
#   finish();
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(basename dirname);
use File::Path qw(make_path);
use Test::More;

our @EXPORT = qw(build count finish jobs programs schedules schedules_go_on step step_passed);
my $top = abs_path(dirname(__FILE__) . '/../..');
chdir $top or die "$top: $!";
my ($steps, $commit) = @ENV{qw(LONG_STEPS LONG_COMMIT)};
my (%passed, @counts);

if ($steps && open my $f, '<', $steps) {
    chomp(my @lines = <$f>);
    if (@lines && $lines[0] eq $commit) { shift @lines; $passed{$_} = 1 for @lines }
}
if ($steps && !%passed) {
    open my $f, '>', $steps or die "$steps: $!";
    print $f "$commit\n";
}

sub jobs { $ENV{JOBS} || `nproc` + 0 }

# How much of something: from the environment, or the default.
sub count {
    my ($name, $default) = @_;
    my $n = $ENV{$name} || $default;
    push @counts, "$name=$n";
    return $n;
}

# The programs of the unit tests in a build's folder.
sub programs { my ($dir) = @_; return sort split /\n/, `find $dir/tests/unit -name '*_t' -type f` }

sub build {
    my (@what) = @_;
    my $out = `make -s -j@{[jobs()]} @what 2>&1`;
    diag($out) if $?;
    return $? == 0;
}

# Has a step passed before, at this commit?
sub step_passed { my ($name) = @_; return $passed{$name} }

# Runs a step: a command whose status counts, or code. True when it passed, now or before.
sub step {
    my ($name, $what) = @_;
    return pass("$name # passed before at this commit") if $passed{$name};
    my ($start, $ok) = (time);
    if (ref $what) { $ok = $what->() }
    else {
        my $out = `( $what ) 2>&1`;
        $ok = $? == 0;
        diag($out) unless $ok;
        # what a test says about how much it did
        if ($ok) { note($_) for grep { /^# (?!.*SEED=)/ } split /\n/, $out }
    }
    ok($ok, sprintf '%s (%d s)', $name, time - $start);
    if ($ok && $steps && open my $f, '>>', $steps) { print $f "$name\n" }
    return $ok;
}

# Schedules of a simulation, as many as SEEDS says (else the default) from the seed SEED on, two
# processes at a time, in steps of so many. What runs behind it has neither in its environment: a simulation that is given
# a SEED runs that one alone.
sub schedules {
    my ($sim, $step, $default) = @_;
    my ($n, $from) = (count(SEEDS => $default || 100_000), count(SEED => 1));
    delete @ENV{qw(SEEDS SEED FROM)};
    step('everything builds', sub { build($sim) });
    for (my $at = $from; $at < $from + $n; $at += $step) {
        my $all = $from + $n - $at < $step ? $from + $n - $at : $step;
        my $first = int(($all + 1) / 2);
        my ($a, $b) = map { $_->[1] > 0 ? "{ SEEDS=$_->[1] FROM=$_->[0] ./$sim || touch build/sim.failed; }" : ':' }
            [$at, $first], [$at + $first, $all - $first];
        step("schedules from $at", "rm -f build/sim.failed; $a & $b; wait; test ! -e build/sim.failed");
    }
}

# Schedules of a simulation for so many minutes, each call's behind those of the call before, at
# whatever commit that was: build/long/PART.seeds has a line (first, number, commit) for each step
# that passed; one that failed is the next call's first. Two processes at a time; COORD and its like
# stay in the environment.
sub schedules_go_on {
    my ($sim, $step, $minutes) = @_;
    my $file = ($steps || 'build/long/' . basename($0, '.t') . '.steps') =~ s/\.steps$/.seeds/r;
    my ($at, $ran, $all, $here, $now) = (1, 0, 0, 0, $commit || `git rev-parse --short HEAD`);
    chomp $now;
    my ($head) = split / /, $now;
    make_path(dirname($file));
    if (open my $f, '<', $file) {
        while (<$f>) {
            my ($first, $n, $of) = /^(\d+) (\d+) (\S+)/ or next;
            $at = $first + $n if $at < $first + $n;
            $all += $n;
            $here += $n if $of eq $head;
        }
    }
    delete @ENV{qw(SEEDS SEED FROM)};
    step('everything builds', sub { build($sim) });
    for (my $until = time + 60 * $minutes; time < $until; $at += $step) {
        my ($n, $half) = ($step, int($step / 2));
        my $run = join ' & ', map { "{ SEEDS=$half FROM=$_ ./$sim || touch build/sim.failed; }" } $at, $at + $half;
        step("schedules $at to @{[$at + $n - 1]}", "rm -f build/sim.failed; $run & wait; test ! -e build/sim.failed") or last;
        open my $f, '>>', $file or die "$file: $!";
        print $f "$at $n $head\n";
        close $f;
        $_ += $n for $ran, $all, $here;
    }
    print "# $ran schedules have passed in this run, $here at this commit, $all in all; the next one is seed $at\n";
    push @counts, "schedules=$ran of $all";
}

sub finish {
    print "# counts: @counts\n" if @counts;
    done_testing();
}

1;
