package Timed;
# Timed.pm: how long something may take. A test that runs beside others on a busy machine tells what it took and fails
# only where something hung; the limit itself is held to when the test runs alone, QD_TIMED=1 (the part `timed` of the
# long suite).
#
#   within($seconds, 2, 60, 'a change of the state');     # 2 s with QD_TIMED=1, else 60: a request's own time-out, say
use strict;
use warnings;
use Exporter 'import';
use Test::More ();

our @EXPORT = qw(within);

sub within {
    my ($seconds, $limit, $hangs, $what) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $most = $ENV{QD_TIMED} ? $limit : $hangs;
    return Test::More::ok(!$ENV{QD_TIMED}, "$what: nothing was measured") unless defined $seconds;
    Test::More::note(sprintf '%s: %.2f s, of %s s', $what, $seconds, $limit);
    return Test::More::cmp_ok($seconds, '<=', $most, "$what: no longer than $most s");
}

1;
