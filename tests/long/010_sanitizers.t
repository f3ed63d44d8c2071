#!/usr/bin/perl
# 010_sanitizers.t: all unit tests under ASan and UBSan, and under TSan.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use Test::More;

chdir abs_path(dirname(__FILE__) . '/../..') or die;
my $jobs = `nproc` + 0;
for my $san ('address,undefined', 'thread') {
    is(system("make -s -j$jobs SAN=$san units >/dev/null"), 0, "units build with $san");
    (my $dir = "build/san-$san") =~ s/,/-/g;
    for my $t (sort split /\n/, `find $dir/tests/unit -name '*_t' -type f`) {
        # without ASLR: TSan's shadow does not fit some layouts of newer kernels
        my $out = `setarch -R ./$t 2>&1`;
        my $ok = $? == 0 && $out !~ /WARNING: ThreadSanitizer/;
        ok($ok, "$san $t");
        diag($out) unless $ok;
    }
}
done_testing;
