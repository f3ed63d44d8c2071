#!/usr/bin/perl
# 020_fuzz.t: every fuzzer for FUZZ_SECONDS.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);

chdir abs_path(dirname(__FILE__) . '/../..') or die;
if (system('command -v clang >/dev/null') != 0) {
    print "1..0 # SKIP there is no clang\n";
    exit 0;
}
if (system('make -s -j' . (`nproc` + 0) . ' fuzz >&2') != 0) {
    print "1..1\nnot ok 1 - the fuzzers build\n";
    exit 1;
}
exec $^X, 'tests/fuzz/run.t';
