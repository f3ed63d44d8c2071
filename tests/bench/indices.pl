#!/usr/bin/perl
# indices.pl: what a change of the cluster state costs when there are many indices. One node, or a cluster of
# masters with data, and one connection: creates empty indices of one shard one after another and prints at each mark
# what the next ones cost, then memory, a start with all of them, and their deletion. Figures only, nothing is
# asserted; writes build/bench/performance-indices.md.
#
#   indices.pl [--nodes 1] [--marks 0,1000,4000,10000] [--each 100] [--no-start] [--no-delete] [--no-write]
#
# A shard holds one file open: a node cannot have more of them than `ulimit -n`.
#
# Times are those of a client; CPU time (user and system, of /proc) and instructions in user space (perf, if it is
# there) are the daemon's, and hold on a machine that does other things, too.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__), dirname(__FILE__) . '/../integration/lib';
use POSIX ();
use Parts qw(report);
use QdCluster;
use QdNode;
use Rest qw(asked connected request started);
use Test::More ();
use Time::HiRes qw(time);

my %o = (nodes => 1, marks => '0,1000,4000,10000', each => 100);
while (@ARGV) {
    my $a = shift;
    if    ($a =~ /^--no-(start|delete|write)$/)   { $o{"no$1"} = 1 }
    elsif ($a eq '--docs' || $a eq '--catalogue') { shift }                 # run.pl gives them to all
    elsif ($a =~ /^--(nodes|marks|each)$/)              { $o{$1} = shift }
    else                                          { die "unknown option $a\n" }
}
my @marks = sort { $a <=> $b } split /,/, $o{marks};
my $tick = POSIX::sysconf(POSIX::_SC_CLK_TCK());
my $perf = `perf --version 2>&1` =~ /^perf version/;
$| = 1;

my @nodes;

sub cpu_ms { # user and system time of all nodes so far
    my $ticks = 0;
    for my $n (@nodes) {
        my @f = split ' ', QdNode::slurp("/proc/$n->{pid}/stat") =~ s/.*\) //sr;
        $ticks += $f[11] + $f[12];
    }
    return 1000 * $ticks / $tick;
}
sub anon_kb { # of all nodes
    my $kb = 0;
    for my $n (@nodes) { $kb += $1 if QdNode::slurp("/proc/$n->{pid}/status") =~ /^RssAnon:\s+(\d+)/m }
    return $kb;
}
sub rank { my ($q, @x) = @_; @x = sort { $a <=> $b } @x; return $x[$q * $#x] }

sub settled_kb { # the least while nobody asks for anything, once none less is seen for 3 s
    my ($least, $since) = (anon_kb(), time);
    QdNode->wait_for(sub {
        my $kb = anon_kb();
        ($least, $since) = ($kb, time) if $kb < $least;
        return time - $since >= 3;
    }, 60, 0.25);
    return $least;
}

# What the nodes take while nobody asks for anything, % of a core: of 3 s that cost no less than the 3 s before them, a
# tick of /proc's clock aside.
sub idle_cpu {
    my ($from, $at, $before, $last) = (time, cpu_ms());
    QdNode->wait_for(sub {
        my $took = time - $from;
        return 0 if $took < 3;
        my $now = cpu_ms();
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
    my ($s, $i) = @_;
    my ($us) = asked($s, request('PUT', "/empty-$i", '{"settings":{"number_of_shards":1,"number_of_replicas":0}}'));
    return $us / 1000;
}

my (@rows, @facts);
sub fact { push @facts, [@_]; printf "%-48s %14s\n", @_ }

my $cluster;
sub stop_all { return $cluster ? $cluster->stop : $nodes[0]->stop }
if ($o{nodes} > 1) {
    $cluster = QdCluster->new('bench-indices', nodes => $o{nodes}, settings => {'logger.level' => 'info'});
    $cluster->start;
    @nodes = $cluster->nodes;
} else {
    @nodes = (started('indices'));
}
my $n = $nodes[0];
my $s = connected($n);
my $limit = $n->put("/_cluster/settings", {persistent => {"cluster.max_shards_per_node" => 1_000_000, "action.destructive_requires_name" => "false"}});
die "$limit->{content}\n" unless $limit->{status} == 200;
my ($made, $base, $all, $took) = (0, settled_kb(), 0, 0);
printf "%8s %10s %10s %10s %12s %10s\n", 'indices', 'p50 ms', 'p99 ms', 'cpu ms', 'instr. M', 'idle cpu %';
for my $mark (@marks) {
    my $from = time;
    for (; $made < $mark; $made++) { create($s, $made) }
    $took += time - $from;
    my $idle = idle_cpu();
    my (@ms, $cpu);
    my $instructions = instructions($n, sub {
        $cpu = cpu_ms();
        for (1 .. $o{each}) { push @ms, create($s, $made++) }
        $cpu = (cpu_ms() - $cpu) / $o{each};
    });
    $took += $_ / 1000 for @ms;
    my @row = ($mark, map({ sprintf '%.1f', $_ } rank(0.5, @ms), rank(0.99, @ms), $cpu), defined $instructions ? sprintf('%.1f', $instructions / $o{each} / 1e6) : '-', sprintf '%.1f', $idle);
    push @rows, \@row;
    printf "%8s %10s %10s %10s %12s %10s\n", @row;
}
fact("$made created one after another", sprintf '%.1f s', $took);
my $kb = settled_kb();
fact('memory (RssAnon) of ' . ($o{nodes} > 1 ? "$o{nodes} nodes" : 'the node'), sprintf '%.0f MiB', $kb / 1024);
fact('memory of an empty index', sprintf '%.1f KiB', ($kb - $base) / $made);

if (!$o{nostart}) {
    my $from = time;
    stop_all();
    fact('stop', sprintf '%.1f s', time - $from);
    $from = time;
    $_->launch for @nodes;
    for my $node (@nodes) {
        $node->wait_for(sub { ($node->get('/ready')->{status} // 0) == 200 }, 300, 0.01) or die "a node is not ready\n";
    }
    fact("start with $made to /ready", sprintf '%.2f s, %.0f ms of CPU time', time - $from, cpu_ms());
    my $r = $n->get('/_cluster/health?wait_for_status=green&timeout=300s');
    fact("start with $made to green", sprintf '%.2f s, %.0f ms of CPU time', time - $from, cpu_ms());
    fact('memory after the start', sprintf '%.0f MiB', settled_kb() / 1024);
    $s = connected($n);
}
if (!$o{nodelete}) {
    my ($from, $cpu) = (time, cpu_ms());
    asked($s, request('DELETE', '/empty-*?timeout=300s&master_timeout=300s'));
    fact("deletion of $made in one request", sprintf '%.1f s', time - $from);
    for my $node (@nodes) {
        $node->wait_for(sub { opendir my $d, "$node->{dir}/data/hot/indices" or return 1; return 2 >= grep { 1 } readdir $d }, 300, 0.05);
    }
    fact('until their files are gone', sprintf '%.1f s, %.0f ms of CPU time', time - $from, cpu_ms() - $cpu);
}
stop_all();
exit 0 if $o{nowrite};
my $cores = () = QdNode::slurp('/proc/cpuinfo') =~ /^processor\s*:/mg;
my ($load) = split ' ', QdNode::slurp('/proc/loadavg');
my $page = "# What a change of the cluster state costs\n\nWritten by `make bench PART=indices` (tests/bench/indices.pl) on $cores cores, $o{nodes} node(s); load average at the end: $load.\n\n"
    . "| indices | p50 ms | p99 ms | CPU ms | million instructions | idle, % of a core |\n|---:|---:|---:|---:|---:|---:|\n";
$page .= '| ' . join(' | ', @$_) . " |\n" for @rows;
$page .= "\n| what | measured |\n|---|---|\n";
$page .= "| $_->[0] | $_->[1] |\n" for @facts;
report('indices', $page);
