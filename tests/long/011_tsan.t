#!/usr/bin/perl
# 011_tsan.t: all unit tests under TSan; the stress of a shard (8 actors and 3 threads that refresh,
# flush and merge on 100 ids, each id's history checked) among them, STRESS times.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;
use Test::More;

# without ASLR: TSan's shadow does not fit some layouts of newer kernels
sub clean {
    my ($program, @args) = @_;
    return sub {
        my $out = `setarch -R ./$program 2>&1`;
        my $ok = $? == 0 && $out !~ /WARNING: ThreadSanitizer/;
        diag($out) unless $ok;
        return $ok;
    };
}
my $stress = count(STRESS => 5);
step('units build with TSan', sub { build('SAN=thread units') });
step($_, clean($_)) for programs('build/san-thread');
step("stress of a shard, run $_", clean('build/san-thread/tests/unit/engine/stress_t')) for 1 .. $stress;
finish();
