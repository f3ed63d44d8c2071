#!/usr/bin/perl
# 050_crashes.t: crash safety at length: SEEDS seeded runs of each engine and translog test, every
# fault at every step, ROUNDS kills of the daemon, 2 x ROUNDS power losses, every slack of a full
# disk, flips all over the files.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use Test::More;

chdir abs_path(dirname(__FILE__) . '/../..') or die;
$ENV{ROUNDS}  ||= 100;
$ENV{SEEDS}   ||= 1000;
$ENV{QD_LONG} = 1;
is(system('make -s -j' . (`nproc` + 0) . ' all units >/dev/null'), 0, 'everything builds') or BAIL_OUT('no build');
sub run {
    my ($what, $command) = @_;
    my $out = `$command 2>&1`;
    ok($? == 0, $what) or diag($out);
}
run($_, "./$_") for glob 'build/tests/unit/engine/*_t';
run($_, "prove $_") for sort glob 'tests/integration/3[0-9]0_*.t';
is(system('make -s -j' . (`nproc` + 0) . ' SAN=thread build/san-thread/tests/unit/engine/crash_t build/san-thread/tests/unit/engine/engine_t >/dev/null'),
    0, 'the engine builds with TSan');
for my $t (qw(engine_t crash_t)) {
    local $ENV{SEEDS} = 50;
    local $ENV{QD_LONG} = 0;
    my $out = `setarch -R ./build/san-thread/tests/unit/engine/$t 2>&1`;
    ok($? == 0 && $out !~ /WARNING: ThreadSanitizer/, "TSan: $t") or diag($out);
}
done_testing;
