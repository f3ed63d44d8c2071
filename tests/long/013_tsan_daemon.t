#!/usr/bin/perl
# 013_tsan_daemon.t: the daemon under TSan with a load of everything at once, STRESS times, and as a cluster.
use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

my $stress = count(STRESS => 5);
$ENV{TSAN_OPTIONS} = "suppressions=@{[Cwd::getcwd()]}/tests/lib/tsan.supp " . ($ENV{TSAN_OPTIONS} // '');
step('the daemon builds with TSan', sub { build('SAN=thread all', map { "build/san-thread/tests/$_" } qw(powerloss librecorder.so)) });
my $daemon = 'QD_OUT=build/san-thread QD_WRAP="setarch -R"';
step("everything at once on the daemon, seed $_", "$daemon SECONDS=60 SEED=$_ prove -v tests/integration/312_everything_at_once.t") for 1 .. $stress;
step("$_ on the daemon", "$daemon prove tests/integration/$_") for qw(042_bulk.t 210_search.t 220_admin.t 300_kill.t);
# two stores, modes, migrations: threads of the plugins, of the client of Kubernetes, of the driver
# (not 631: libfaketime stands before TSan's pthread_cond_timedwait, which then takes a wait for a double lock)
step("$_ on the daemons of a cluster", "$daemon prove $_") for grep { !/631/ } sort glob 'tests/integration/6[1-3]*.t';
finish();
