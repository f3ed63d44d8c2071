#!/usr/bin/perl
# 030_compilers.t: gcc and clang build everything without a warning, and the unit tests pass with
# clang, with debug assertions, and with kernels capped to each level that this machine has.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use Test::More;

chdir abs_path(dirname(__FILE__) . '/../..') or die;
my $jobs = `nproc` + 0;
sub units {
    my ($what, $dir, %env) = @_;
    local @ENV{keys %env} = values %env;
    for my $t (sort split /\n/, `find $dir/tests/unit -name '*_t' -type f`) {
        my $out = `./$t 2>&1`;
        ok($? == 0, "$what $t") or diag($out);
    }
}
for my $cc (grep { system("command -v $_ >/dev/null") == 0 } qw(gcc clang)) {
    my $log = `make -s -j$jobs CC=$cc all units 2>&1`;
    ok($? == 0, "$cc builds everything") or diag($log);
    unlike($log, qr/warning:/, "$cc warns of nothing");
}
units('clang', 'build/clang') if -d 'build/clang';
is(system("make -s -j$jobs DEBUG=1 units >/dev/null"), 0, 'units build with debug assertions');
units('debug', 'build/debug');
units($_, 'build', QD_CPU => $_) for qw(v2 v3);
done_testing;
