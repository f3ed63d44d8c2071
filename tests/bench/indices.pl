#!/usr/bin/perl
# indices.pl: what a change of the cluster state costs when there are many indices. One node, one connection:
# creates empty indices one after another and prints at each mark what the next ones cost, then memory, a start
# with all of them, and their deletion. Figures only, nothing is asserted; writes
# build/bench/performance-indices.md.
#
#   indices.pl [--marks 0,1000,4000,10000] [--each 100] [--no-start] [--no-delete] [--no-write]
#
# Times are those of a client; CPU time (user and system, of /proc) and instructions in user space (perf, if it is
# there) are the daemon's, and hold on a machine that does other things, too.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__), dirname(__FILE__) . '/../integration/lib';
use POSIX ();
use Parts qw(report);
use QdNode;
use Rest qw(asked connected request started);
use Test::More ();
use Time::HiRes qw(time);

my %o = (marks => '0,1000,4000,10000', each => 100);
while (@ARGV) {
    my $a = shift;
    if    ($a =~ /^--no-(start|delete|write)$/)   { $o{"no$1"} = 1 }
    elsif ($a eq '--docs' || $a eq '--catalogue') { shift }                 # run.pl gives them to all
    elsif ($a =~ /^--(marks|each)$/)              { $o{$1} = shift }
    else                                          { die "unknown option $a\n" }
}
my @marks = sort { $a <=> $b } split /,/, $o{marks};
my $tick = POSIX::sysconf(POSIX::_SC_CLK_TCK());
my $perf = `perf --version 2>&1` =~ /^perf version/;
$| = 1;

sub cpu_ms { # user and system time of a process so far
    my ($pid) = @_;
    my @f = split ' ', QdNode::slurp("/proc/$pid/stat") =~ s/.*\) //sr;
    return 1000 * ($f[11] + $f[12]) / $tick;
}
sub anon_kb { my ($pid) = @_; my ($kb) = QdNode::slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m; return $kb }
sub rank { my ($q, @x) = @_; @x = sort { $a <=> $b } @x; return $x[$q * $#x] }

sub settled_kb { # the least while nobody asks for anything, once none less is seen for 3 s
    my ($n) = @_;
    my ($least, $since) = (anon_kb($n->{pid}), time);
    $n->wait_for(sub {
        my $kb = anon_kb($n->{pid});
        ($least, $since) = ($kb, time) if $kb < $least;
        return time - $since >= 3;
    }, 60, 0.25);
    return $least;
}

# What the node takes while nobody asks for anything, % of a core: of 3 s that cost no less than the 3 s before them, a
# tick of /proc's clock aside.
sub idle_cpu {
    my ($n) = @_;
    my ($from, $at, $before, $last) = (time, cpu_ms($n->{pid}));
    $n->wait_for(sub {
        my $took = time - $from;
        return 0 if $took < 3;
        my $now = cpu_ms($n->{pid});
        ($before, $last) = ($last, ($now - $at) / $took / 10);
        ($from, $at) = (time, $now);
        return defined $before && $before - $last <= 100 / $tick / 3;
    }, 60, 0.05);
    return $last;
}

# Runs $what; instructions of the daemon in user space meanwhile, undef: not known.
sub instructions {
    my ($n, $what) = @_;
    my $file = "$n->{dir}/perf";
    my $pid = $perf ? fork // die "fork: $!\n" : 0;
    if ($perf && !$pid) {
        open STDERR, '>', '/dev/null';
        exec 'perf', 'stat', '-x', ',', '-o', $file, '-e', 'instructions:u', '-p', $n->{pid} or POSIX::_exit(127);
    }
    # it counts once it has opened a counter for each thread, or it may not and has ended
    my $threads = () = glob "/proc/$n->{pid}/task/*";
    my $counts = sub {
        my $open = grep { (readlink // '') =~ /perf_event/ } glob "/proc/$pid/fd/*";
        return $open >= $threads || QdNode::slurp("/proc/$pid/stat") =~ /\) Z /;
    };
    $n->wait_for($counts, 10, 0.01) if $pid;
    $what->();
    return undef unless $pid;
    kill INT => $pid;
    waitpid $pid, 0;
    return QdNode::slurp($file) =~ /^(\d+),+instructions/m ? $1 : undef;
}

sub create {
    my ($n, $s, $i) = @_;
    my ($us) = asked($s, request('PUT', "/empty-$i", '{"settings":{"number_of_shards":1,"number_of_replicas":0}}'));
    return $us / 1000;
}

my (@rows, @facts);
sub fact { push @facts, [@_]; printf "%-48s %14s\n", @_ }

my $n = started('indices');
my $s = connected($n);
my $limit = $n->put("/_cluster/settings", {persistent => {"cluster.max_shards_per_node" => 1_000_000, "action.destructive_requires_name" => "false"}});
die "$limit->{content}\n" unless $limit->{status} == 200;
my ($made, $base, $all, $took) = (0, settled_kb($n), 0, 0);
printf "%8s %10s %10s %10s %12s %10s\n", 'indices', 'p50 ms', 'p99 ms', 'cpu ms', 'instr. M', 'idle cpu %';
for my $mark (@marks) {
    my $from = time;
    for (; $made < $mark; $made++) { create($n, $s, $made) }
    $took += time - $from;
    my $idle = idle_cpu($n);
    my (@ms, $cpu);
    my $instructions = instructions($n, sub {
        $cpu = cpu_ms($n->{pid});
        for (1 .. $o{each}) { push @ms, create($n, $s, $made++) }
        $cpu = (cpu_ms($n->{pid}) - $cpu) / $o{each};
    });
    $took += $_ / 1000 for @ms;
    my @row = ($mark, map({ sprintf '%.1f', $_ } rank(0.5, @ms), rank(0.99, @ms), $cpu), defined $instructions ? sprintf('%.1f', $instructions / $o{each} / 1e6) : '-', sprintf '%.1f', $idle);
    push @rows, \@row;
    printf "%8s %10s %10s %10s %12s %10s\n", @row;
}
fact("$made created one after another", sprintf '%.1f s', $took);
my $kb = settled_kb($n);
fact('memory of the node (RssAnon)', sprintf '%.0f MiB', $kb / 1024);
fact('memory of an empty index', sprintf '%.1f KiB', ($kb - $base) / $made);

if (!$o{nostart}) {
    my $from = time;
    $n->stop;
    fact('stop', sprintf '%.1f s', time - $from);
    $from = time;
    $n->launch;
    $n->wait_for(sub { ($n->get('/ready')->{status} // 0) == 200 }, 300, 0.01) or die "the node is not ready\n";
    fact("start with $made to /ready", sprintf '%.2f s, %.0f ms of CPU time', time - $from, cpu_ms($n->{pid}));
    my $r = $n->get('/_cluster/health?wait_for_status=green&timeout=300s');
    fact("start with $made to green", sprintf '%.2f s, %.0f ms of CPU time', time - $from, cpu_ms($n->{pid}));
    fact('memory after the start', sprintf '%.0f MiB', settled_kb($n) / 1024);
    $s = connected($n);
}
if (!$o{nodelete}) {
    my ($from, $cpu) = (time, cpu_ms($n->{pid}));
    asked($s, request('DELETE', '/empty-*?timeout=300s&master_timeout=300s'));
    fact("deletion of $made in one request", sprintf '%.1f s', time - $from);
    my $left = $n->wait_for(sub { opendir my $d, "$n->{dir}/data/indices" or return 1; return 2 >= grep { 1 } readdir $d }, 300, 0.05);
    fact('until their files are gone', sprintf '%.1f s, %.0f ms of CPU time', time - $from, cpu_ms($n->{pid}) - $cpu);
}
$n->stop;
exit 0 if $o{nowrite};
my $cores = () = QdNode::slurp('/proc/cpuinfo') =~ /^processor\s*:/mg;
my ($load) = split ' ', QdNode::slurp('/proc/loadavg');
my $page = "# What a change of the cluster state costs\n\nWritten by `make bench PART=indices` (tests/bench/indices.pl) on $cores cores; load average at the end: $load.\n\n"
    . "| indices | p50 ms | p99 ms | CPU ms | million instructions | idle, % of a core |\n|---:|---:|---:|---:|---:|---:|\n";
$page .= '| ' . join(' | ', @$_) . " |\n" for @rows;
$page .= "\n| what | measured |\n|---|---|\n";
$page .= "| $_->[0] | $_->[1] |\n" for @facts;
report('indices', $page);
