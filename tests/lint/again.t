#!/usr/bin/perl
# again.t: what of tests/lib/tap-record's judgement run-tests relies upon: which failed test may run once more, alone.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp ();
use Test::More;

my $record = abs_path(dirname(__FILE__) . '/../lib/tap-record');
my $dir = File::Temp->newdir;
delete @ENV{qw(QD_AGAIN QD_TEST_TIER TEST_SECONDS)};

# Runs a test with this text: its TAP, whether it failed, and whether it may run again.
sub run {
    my ($name, $text) = @_;
    open my $f, '>', "$dir/$name.t" or die "$dir/$name.t: $!";
    print $f "\$| = 1; print qq(1..1\\n);\n$text";
    close $f;
    my $status = system "$^X '$record' '$dir' '$dir/$name.t' >'$dir/$name.out' 2>'$dir/$name.told'";
    open my $told, '<', "$dir/$name.told" or die "$dir/$name.told: $!";
    return ($status != 0, scalar(grep { /\Q$name\E/ } glob "$dir/failed/*"), do { local $/; <$told> });
}
my ($failed, $again, $told) = run('passes', 'print qq(ok 1\n)');
is("$failed $again", ' 0', 'a test that passes');
($failed, $again, $told) = run('fails', 'print qq(not ok 1\n); print STDERR qq(# too slow\n); exit 1');
is("$failed $again", '1 1', 'one that fails may run again');
like($told, qr/^# too slow$/m, '... and what it said is shown');
my %crash = (
    'is-killed' => 'kill SEGV => $$',
    'tells-a-signal' => 'print qq(not ok 1\n); print STDERR qq(# a node ended by signal 11\n); exit 1',
    'cmocka-tells' => 'print qq(not ok 1 - x\n# Test failed with exception: Segmentation fault(11)\n); exit 1',
    'sanitizer-speaks' => 'print STDERR qq(==1==ERROR: AddressSanitizer: heap-use-after-free\n); exit 1',
    'ubsan-speaks' => 'print qq(not ok 1\n); print STDERR qq(a.c:1:2: runtime error: signed integer overflow\n); exit 1',
);
for my $name (sort keys %crash) {
    ($failed, $again) = run($name, $crash{$name});
    is("$failed $again", '1 0', "$name: it may not, that would hide a crash");
}

# What a test leaves running ends with it, however that ends, also when the whole run is given up.
sub alive { my ($file) = @_; open my $f, '<', $file or return 0; chomp(my $pid = <$f> // ''); return $pid && kill 0 => $pid }
sub wait_for { my ($what) = @_; for (1 .. 600) { return 1 if $what->(); select undef, undef, undef, 0.05 } return 0 }
my $leave = qq(my \$p = fork // die; if (!\$p) { close STDOUT; exec qw(sleep 600) }\nopen my \$f, '>', '$dir/pid' or die; print \$f qq(\$p\n); close \$f;\n);
for my $end ('exit 1', 'kill SEGV => $$', 'kill KILL => $$') {
    unlink "$dir/pid";
    run('leaves', "$leave $end");
    ok(-s "$dir/pid" && wait_for(sub { !alive("$dir/pid") }), "what was left at [$end] is gone");
}
for my $signal (qw(INT TERM)) {
    unlink "$dir/pid";
    open my $f, '>', "$dir/waits.t" or die "$dir/waits.t: $!";
    print $f "\$| = 1; print qq(1..1\n);\n$leave sleep 600;";
    close $f;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>', "$dir/waits.out";
        exec $^X, $record, $dir, "$dir/waits.t" or die "exec: $!";
    }
    my $there = wait_for(sub { alive("$dir/pid") });
    kill $signal => $pid;
    waitpid $pid, 0;
    ok($there && $? != 0 && wait_for(sub { !alive("$dir/pid") }), "a run that ends by SIG$signal leaves nothing");
}
done_testing;
