#!/usr/bin/perl
# 011_tsan.t: all unit tests but simulations under TSan; the stress of a shard (8 writers, 4 getters and 3 threads that
# refresh, flush and merge on 100 ids, each id's history checked) STRESS times.
use strict;
use warnings;
use Cwd ();
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
$ENV{TSAN_OPTIONS} = "suppressions=@{[Cwd::getcwd()]}/tests/lib/tsan.supp " . ($ENV{TSAN_OPTIONS} // '');
step('units build with TSan', sub { build('SAN=thread units') });
# simulations are one thread, with nothing to race: what TSan keeps of their fibers outgrows memory
step($_, clean($_)) for grep { !m{/(?:(?:cluster|coordination|coordination_k8s|replication)/sim_t|replication/node_sim_t)$} } programs('build/san-thread');
for my $seed (1 .. $stress) {
    step("stress of a shard with seed $seed", "SEED=$seed STRESS_OPS=20000 setarch -R ./build/san-thread/tests/unit/engine/stress_t");
}
finish();
