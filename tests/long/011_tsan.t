#!/usr/bin/perl
# 011_tsan.t: all unit tests but simulations under TSan; the stress of a shard (8 writers, 4 getters and 3 threads that
# refresh, flush and merge on 100 ids, each id's history checked) STRESS times; and the daemon under
# TSan with a load of everything at once.
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
step($_, clean($_)) for grep { !m{/(?:cluster|coordination|coordination_k8s|replication)/sim_t$} } programs('build/san-thread');
for my $seed (1 .. $stress) {
    step("stress of a shard with seed $seed", "SEED=$seed STRESS_OPS=20000 setarch -R ./build/san-thread/tests/unit/engine/stress_t");
}
step('the daemon builds with TSan', sub { build('SAN=thread all') });
my $daemon = 'QD_OUT=build/san-thread QD_WRAP="setarch -R"';
step("everything at once on the daemon, seed $_", "$daemon SECONDS=60 SEED=$_ prove -v tests/integration/312_everything_at_once.t") for 1 .. $stress;
step("$_ on the daemon", "$daemon prove tests/integration/$_") for qw(042_bulk.t 210_search.t 220_admin.t 300_kill.t);
# two stores, modes, migrations: threads of the plugins, of the client of Kubernetes, of the driver
# (not 631: libfaketime stands before TSan's pthread_cond_timedwait, which then takes a wait for a double lock)
step("$_ on the daemons of a cluster", "$daemon prove $_") for grep { !/631/ } sort glob 'tests/integration/6[1-3]*.t';
finish();
