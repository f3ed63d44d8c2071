# sleeps.t: tests wait for conditions. A pause is where a condition is looked at again, or is itself what is tried.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

# Where a pause is at home: how many lines, and why.
my %home = (
    'tests/attacks/rig.py'                          => 1, # between two looks of until
    'tests/attacks/spy.c'                           => 2, # syncs that take longer are what it makes
    'tests/integration/lib/QdNode.pm'               => 1, # between two looks of wait_for
    'tests/integration/lib/QdBox.pm'                => 1, # what runs in a container that runs nothing
    'tests/integration/lib/Clients.pm'              => 1, # the pace of a client
    'tests/integration/lib/Load.pm'                 => 1, # a disturber of any pace
    'tests/integration/023_powerloss_coordination.t' => 1, # the moment of a kill is chance
    'tests/integration/223_reads_while_moved.t'     => 1, # the pace of a client
    'tests/integration/431_silent_node.t'           => 1, # a client that sends slowly
    'tests/integration/434_packages.t'              => 2, # looks again, in a container's shell
    'tests/integration/562_admin_churn.t'           => 1,
    'tests/long/109_pods_migrate.t'                 => 1, # calls of so many seconds are counted
    'tests/long/Traffic.pm'                         => 1, # the pace of a client
);
my $pause = qr/(?<![\w.>\$'"{-])(?:time\.|Time::HiRes::)?(?:u|nano)?sleep\s*[(\s][^;)]*|\bselect\s+undef\b|\bselect\s*\(\s*undef/;
my @bad;
for my $file (files(qr{^tests/(?:attacks/.*\.(?:py|c)|integration/.*\.(?:t|pm)|long/.*\.(?:t|pl|pm))$})) {
    my ($n, @lines) = (0);
    for (split /\n/, slurp($file)) {
        $n++;
        next if /^\s*(?:#|\*|\/\*|use )/;
        s/(?<!\$)#(?!\{).*// unless $file =~ /\.c$/;
        push @lines, $n if /$pause/;
    }
    my $may = $home{$file} // 0;
    push @bad, map { "$file:$_: wait for a condition (wait_for, rig.until)" } @lines if @lines > $may;
    push @bad, "$file: has fewer pauses than sleeps.t allows" if @lines < $may;
}
report('tests wait for conditions', @bad);
done_testing;
