#!/usr/bin/perl
# 030_compilers.t: gcc and clang build everything without a warning, and the unit tests pass with
# clang, with debug assertions, and with kernels capped to each level that this machine has.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;
use Test::More;

for my $cc (grep { system("command -v $_ >/dev/null") == 0 } qw(gcc clang)) {
    step("$cc builds everything and warns of nothing", sub {
        my $log = `make -s -j@{[jobs()]} CC=$cc all units 2>&1`;
        my $ok = $? == 0 && $log !~ /warning:/;
        diag($log) unless $ok;
        return $ok;
    });
}
step('units build with debug assertions', sub { build('DEBUG=1 units') });
step("clang: $_", "./$_") for programs('build/clang');
step("debug: $_", "./$_") for programs('build/debug');
for my $cpu (qw(v2 v3)) { step("QD_CPU=$cpu: $_", "QD_CPU=$cpu ./$_") for programs('build') }
finish();
