#!/usr/bin/perl
# cluster.pl: what several nodes cost, each figure held against its target and measured by turns with
# what it is compared to: state changes, replication, recovery, a second hop, etcd, thirty nodes.
#
#   cluster.pl [--parts creation,updates,failover,indexing,recovery,hop,scale] [--rounds 3] [--seconds 4]
#              [--kills 7] [--documents 60000] [--megabytes 400] [--nodes 30] [--indices 300] [--idle 30]
#              [--dir build/bench] [--table | --json] [--no-write]
#
# Prints a table on a terminal, else JSON. Each part's result is kept in --dir; build/bench/performance-cluster.md is
# written from the newest of all. Wall times of a busy machine are compared by the best of several
# runs of each side, CPU by medians. Nodes are processes on this machine, over loopback, with folders below TMPDIR that are removed; the load
# comes from one thread (load.c), which has its share of the cores as well. Times are this machine's.
use strict;
use warnings;
use utf8;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Temp ();
use lib dirname(__FILE__), dirname(__FILE__) . '/../integration/lib';
use Etcd;
use JSON::PP ();
use List::Util qw(max min sum sum0);
use Parts qw(report);
use QdCluster;
use Test::More ();
use Time::HiRes qw(sleep time);

my @order = qw(creation updates failover indexing recovery hop scale);
my %o = (parts => join(',', @order), rounds => 3, seconds => 4, kills => 7, documents => 60_000, megabytes => 400, nodes => 30, indices => 300,
    idle => 30, dir => 'build/bench');
my (%flag, @told);
@told = @ARGV;
while (@ARGV) {
    my $a = shift;
    if ($a =~ /^--(table|json|no-write)$/) { $flag{$1} = 1 }
    elsif ($a =~ /^--(docs|catalogue)$/ && @ARGV) { shift } # run.pl's, of no use here
    elsif ($a =~ /^--(\w+)$/ && exists $o{$1} && @ARGV) { $o{$1} = shift }
    else { die "unknown option $a; see the head of $0\n" }
}
my @parts = split /,/, $o{parts};
for my $p (@parts) { die "no part $p; there are @order\n" unless grep { $_ eq $p } @order }
my $out = $QdNode::OUT;
my $load = "$out/tests/bench/load";
my $hop = "$out/tests/bench/hop";
my $dir = "$o{dir}/cluster";
make_path($dir);
die "run it after make, by make bench PART=cluster\n" unless -x $load && -x QdNode::daemon();
$SIG{INT} = $SIG{TERM} = sub { exit 130 }; # through END: nodes are ended, folders go

my (@rows, %raw);
# what, figure as text, what it is held against, target, whether it is met (undef: no target), how
sub row { my %r; @r{qw(part what figure against target met how)} = @_; push @rows, \%r }
sub note { print STDERR "$_[0]\n" if -t STDERR || $ENV{QD_BENCH_VERBOSE} }

sub median { my @s = sort { $a <=> $b } @_; return @s ? $s[$#s / 2] : 0 }
sub ms { return sprintf $_[0] < 10 ? '%.2f ms' : '%.1f ms', $_[0] }
sub number { my $n = sprintf '%.0f', $_[0]; 1 while $n =~ s/^(\d+)(\d{3})/$1,$2/; return $n }
sub decode { return JSON::PP->new->utf8->decode($_[0]) }

# Runs load.c; its line of figures.
sub load_run {
    my @command = @_;
    open my $p, '-|', $load, @command or die "$load: $!\n";
    local $/;
    my $text = <$p>;
    close $p;
    my $r = eval { decode($text // '') } or die "load @command: no answer\n";
    die "load @command: $r->{error}\n" if $?;
    return $r;
}
sub sync_ms { my ($where, $n) = @_; return load_run('sync', "$where/sync", $n || 100)->{p50_ms} }

my $hertz = POSIX::sysconf(&POSIX::_SC_CLK_TCK);
sub cpu_s { # user and system time of processes
    my $s = 0;
    for my $pid (@_) { my @f = split ' ', QdNode::slurp("/proc/$pid/stat") =~ s/^.*\)//sr; $s += ($f[11] + $f[12]) / $hertz }
    return $s;
}
sub memory_kb {
    my ($pid) = @_;
    my $kb = 0;
    for (split /\n/, QdNode::slurp("/proc/$pid/status")) { $kb += $1 if /^Rss(?:Anon|Shmem):\s+(\d+)/ }
    return $kb;
}
# Nobody asks the nodes for anything: what they use of a core meanwhile is what is measured.
sub idle_span { my ($seconds) = @_; sleep $seconds }
sub load_average { (split ' ', QdNode::slurp('/proc/loadavg'))[0] }

sub good { # an answer that must be one
    my ($r, $what) = @_;
    die "$what: $r->{status} $r->{content}\n" unless $r->{status} =~ /^20/;
    return $r;
}
sub to { return join ',', map { "127.0.0.1:$_->{port}" } @_ }
sub end { my ($c) = @_; $c->stop; $_->forget for $c->nodes }
sub index_body { my ($shards, $replicas, %more) = @_; return { settings => { number_of_shards => $shards, number_of_replicas => $replicas, %more } } }

sub create { # milliseconds of it
    my ($node, $name, $body, $wait) = @_;
    my $from = time;
    good($node->put("/$name?wait_for_active_shards=$wait", $body), "creation of $name");
    return 1000 * (time - $from);
}

# --- creation --------------------------------------------------------------------------------------------

sub creation {
    my $c = QdCluster->new('bench', nodes => 3);
    $c->start;
    my (%ms, @sync);
    for my $i (1 .. 60) {
        my $n = $c->node($i % 3);
        push @{ $ms{none} }, create($n, "none-$i", index_body(1, 0), 0);
        push @sync, sync_ms($n->{dir}, 10);
        push @{ $ms{one} }, create($n, "one-$i", index_body(1, 0), 1);
        push @{ $ms{copy} }, create($n, "copy-$i", index_body(1, 1), 1);
        push @{ $ms{both} }, create($n, "both-$i", index_body(1, 1), 2);
    }
    end($c);
    my $sync = median(@sync);
    my $limit = max(25, 10 * $sync);
    my %p = map { $_ => median(@{ $ms{$_} }) } keys %ms;
    $raw{creation} = { p50_ms => \%p, sync_ms => $sync };
    my $held = sprintf 'a sync: %s', ms($sync);
    my $max = sprintf '<= %.0f ms, or 10 syncs', 25;
    row('creation', 'an index of one shard, its primary started', ms($p{one}), $held, $max, $p{one} <= $limit, 'p50 of 60, sent to three nodes in turn');
    row('creation', 'with a replica, which opens meanwhile', ms($p{copy}), $held, $max, $p{copy} <= $limit, 'the same');
    row('creation', 'with a replica, both started', ms($p{both}), $held, '', undef, 'wait_for_active_shards=2');
    row('creation', 'of it allocating the shard and opening it', ms($p{one} - $p{none}), ms($p{none}) . ' without', '<= 10 ms', $p{one} - $p{none} <= 10,
        'against wait_for_active_shards=0');
}

# --- changes of state, and etcd's --------------------------------------------------------------------------

my $template = '{"index_patterns":["zz-%c-*"],"priority":%c,"version":%n,"template":{"settings":{"number_of_shards":1},"mappings":{"properties":'
    . '{"at":{"type":"date"},"name":{"type":"keyword"},"text":{"type":"text"},"number":{"type":"long"}}}}}';

sub updates {
    my $c = QdCluster->new('bench', nodes => 3);
    $c->start;
    my $why = Etcd::find("$o{dir}/peers");
    my $e = $why ? undef : Etcd->new(3)->start;
    my (@ours, @theirs, @sync, %cpu, %p50);
    my @pids = map { $_->{pid} } $c->nodes;
    for (1 .. $o{rounds}) {
        push @sync, sync_ms($c->node(0)->{dir}, 200);
        my $from = cpu_s(@pids);
        my $r = load_run('http', '--to', to($c->nodes), '--seconds', $o{seconds}, '--path', '/_index_template/t-%c', '--body', $template);
        die "updates: $r->{error}\n" if $r->{bad} || $r->{lost};
        push @ours, $r->{per_s};
        push @{ $cpu{ours} }, 1e6 * (cpu_s(@pids) - $from) / $r->{good};
        push @{ $p50{ours} }, $r->{p50_ms};
        next unless $e;
        $from = cpu_s($e->pids);
        $r = load_run('etcd', '--to', $e->to, '--seconds', $o{seconds}, '--path', 'template/index/t-%c', '--body', $template);
        die "etcd: $r->{error}\n" if $r->{bad} || $r->{lost};
        push @theirs, $r->{per_s};
        push @{ $cpu{etcd} }, 1e6 * (cpu_s($e->pids) - $from) / $r->{good};
        push @{ $p50{etcd} }, $r->{p50_ms};
    }
    end($c);
    $e->stop if $e;
    my ($a, $b) = (median(@ours), median(@theirs));
    $raw{updates} = { ours_per_s => \@ours, etcd_per_s => \@theirs, sync_ms => \@sync, cpu_us => \%cpu, p50_ms => \%p50, missing => $why };
    row('updates', 'changes of state from 64 writers', number($a) . '/s', sprintf('a sync: %s', ms(median(@sync))), '>= 1,000/s', $a >= 1000,
        sprintf 'index templates over REST to three masters, median of %d; p50 %s, %.0f µs of CPU each', scalar @ours, ms(median(@{ $p50{ours} })), median(@{ $cpu{ours} }));
    return row('updates', 'etcd, the same values', 'not measured', '', '', undef, $why) unless $e;
    row('updates', 'etcd ' . Etcd::version() . ', the same values by gRPC', number($b) . '/s', sprintf('ours %.2f ×', $a / max(1, $b)), '', undef,
        sprintf 'Put to three members, by turns; p50 %s, %.0f µs of CPU each', ms(median(@{ $p50{etcd} })), median(@{ $cpu{etcd} }));
}

# --- a leader is killed ------------------------------------------------------------------------------------

sub leader_of { # its place
    my ($c) = @_;
    for my $n ($c->alive) {
        my $list = $n->get('/_quidditch/masters')->{json}{masters} || next;
        my ($name) = map { $_->{name} } grep { $_->{leader} && $_->{alive} } @$list;
        next unless defined $name;
        my ($at) = grep { $c->node($_)->{name} eq $name } 0 .. 2;
        return $at if defined $at && $c->node($at)->alive;
    }
    return -1;
}
# A client that gives up after 100 ms and asks the next one: when is the first change accepted that was begun
# behind the kill?
sub killed {
    my ($kind, $to, $pid) = @_;
    my @what = $kind eq 'etcd' ? ('--path', 'k-%c', '--body', 'v-%n') : ('--path', '/_index_template/t-%c', '--body', '{"index_patterns":["zz-%c"],"priority":%c,"version":%n}');
    my $r = load_run($kind, '--to', $to, '--clients', 4, '--warm', 0.5, '--seconds', 6, '--timeout', 100, '--kill', $pid, @what);
    die "$kind: nothing was accepted after the kill\n" unless $r->{restored_ms};
    return $r->{restored_ms};
}

sub failover {
    my $c = QdCluster->new('bench', nodes => 3);
    $c->start;
    my $why = Etcd::find("$o{dir}/peers");
    my $e = $why ? undef : Etcd->new(3)->start;
    my (@ours, @theirs);
    for (1 .. $o{kills}) {
        my $at = -1;
        $c->node(0)->wait_for(sub { ($at = leader_of($c)) >= 0 }, 60) or die "no leader\n";
        push @ours, killed('http', to(map { $c->node($_) } grep { $_ != $at } 0 .. 2), $c->node($at)->{pid});
        $c->node($at)->wait_end;
        $c->node($at)->start;
        $c->wait_nodes(3, 60);
        next unless $e;
        $e->wait_healthy;
        $at = $e->leader;
        push @theirs, killed('etcd', $e->to($at), $e->{members}[$at]{pid});
        $e->reap($at);
        $e->launch($at);
        $e->wait_healthy;
    }
    end($c);
    $e->stop if $e;
    $raw{failover} = { ours_ms => \@ours, etcd_ms => \@theirs };
    my $all = sub { join ' ', map { sprintf '%.0f', $_ } sort { $a <=> $b } @_ };
    row('failover', 'a leader is killed: changes go on after', sprintf('%.0f ms', median(@ours)), '', '< 1,000 ms', median(@ours) < 1000,
        "median of $o{kills}, default settings: " . $all->(@ours));
    row('failover', 'etcd', sprintf('%.0f ms', median(@theirs)), sprintf('ours %.2f ×', median(@ours) / median(@theirs)), '', undef,
        "heartbeat 100 ms, election 1,000 ms, by turns: " . $all->(@theirs)) if $e;
}

# --- documents, once and twice -----------------------------------------------------------------------------

# A file of bulk lines from the generated documents.
sub bulk_file {
    my ($documents) = @_;
    my $to = "$dir/bulk-$documents.ndjson";
    return $to if -s $to;
    my $gen = "$dir/gen_corpus";
    system('sh', '-c', "gcc -O2 -o $gen tests/bench/gen_corpus.c -lm && $gen $documents 42 2>/dev/null | sed 's/^/{\"index\":{}}\\n/' > $to.part") == 0 or die "no documents\n";
    rename "$to.part", $to or die "$to: $!\n";
    return $to;
}
sub bulks { my ($file) = @_; return int((-s $file) / (1 << 20)) || 1 } # load.c makes bodies of 1 MiB and a bit

# One pass: an index filled to the end, refreshed, its copies alike. (documents a second, CPU seconds of each node)
sub fill {
    my ($c, $name, $file, $body, $to, $clients) = @_;
    create($c->node(0), $name, $body, 'all');
    my @from = map { cpu_s($_->{pid}) } $c->nodes;
    my $began = time;
    my $r = load_run('http', '--to', $to, '--clients', $clients, '--warm', 0, '--seconds', 600, '--requests', bulks($file), '--method', 'POST', '--path', "/$name/_bulk?filter_path=took,errors",
        '--file', $file);
    my $took = time - $began;
    die "bulk: $r->{error}\n" if $r->{bad} || $r->{lost};
    good($c->node(0)->post("/$name/_refresh"), 'refresh');
    my $n = good($c->node(0)->get("/$name/_count"), 'count')->{json}{count};
    idle_span(1); # what follows the answers is theirs, too
    my @cpu = map { cpu_s($c->node($_)->{pid}) - $from[$_] } 0 .. $#from;
    return ($n / $took, $n, @cpu);
}

sub indexing {
    my $c = QdCluster->new('bench', nodes => 2);
    $c->start;
    my $file = bulk_file($o{documents});
    my %r;
    fill($c, 'warm', $file, index_body(2, 1), to($c->nodes), 4);
    for my $i (1 .. $o{rounds}) {
        for my $copies (0, 1) {
            my ($per_s, $n, @cpu) = fill($c, "docs-$copies-$i", $file, index_body(2, $copies), to($c->nodes), 4);
            push @{ $r{$copies} }, $per_s;
            push @{ $r{"cpu$copies"} }, 1e6 * sum(@cpu) / $n;
            $c->node(0)->delete("/docs-$copies-$i");
        }
        my ($per_s, $n, @cpu) = fill($c, "cpu-$i", $file, index_body(1, 1), to($c->node(0)), 2);
        my ($s) = grep { $_->{prirep} eq 'p' } @{ decode($c->node(0)->get("/_cat/shards/cpu-$i?format=json")->{content}) };
        my $primary = $s->{node} eq $c->node(0)->{name} ? 0 : 1;
        # who takes the requests and has not the primary would be charged for reading them: send them again
        if ($primary != 0) {
            $c->node(0)->delete("/cpu-$i");
            ($per_s, $n, @cpu) = fill($c, "cpu-$i", $file, index_body(1, 1, 'index.routing.allocation.require._name' => ''), to($c->node(1)), 2);
            ($s) = grep { $_->{prirep} eq 'p' } @{ decode($c->node(0)->get("/_cat/shards/cpu-$i?format=json")->{content}) };
            $primary = $s->{node} eq $c->node(0)->{name} ? 0 : 1;
        }
        push @{ $r{primary} }, 1e6 * $cpu[$primary] / $n;
        push @{ $r{replica} }, 1e6 * $cpu[1 - $primary] / $n;
        $c->node(0)->delete("/cpu-$i");
    }
    end($c);
    $raw{indexing} = \%r;
    my %m = map { $_ => median(@{ $r{$_} }) } keys %r;
    my ($with, $without) = map { max(@{ $r{$_} }) } 1, 0;
    my $share = 100 * $with / $without;
    row('indexing', 'documents with a replica', number($with) . '/s', sprintf('%.0f %% of %s/s without', $share, number($without)), '>= 60 %', $share >= 60,
        sprintf 'two nodes on the same cores, two shards, %s documents, best of %d by turns', number($o{documents}), $o{rounds});
    $share = median(map { 100 * $r{cpu0}[$_] / $r{cpu1}[$_] } 0 .. $#{ $r{cpu0} });
    row('indexing', 'the same by CPU of both nodes, a document', sprintf('%.1f µs', $m{cpu1}), sprintf('%.1f µs without: %.0f %%', $m{cpu0}, $share), '>= 60 %', $share >= 60,
        'medians: what both sides would reach on cores of their own');
    $share = median(map { 100 * $r{replica}[$_] / $r{primary}[$_] } 0 .. $#{ $r{primary} });
    row('indexing', 'CPU of the replica, a document', sprintf('%.1f µs', $m{replica}), sprintf('%.0f %% of %.1f µs', $share, $m{primary}), '<= 35 %', $share <= 35,
        'one shard; the primary node reads the requests too');
}

# --- a replica from files ----------------------------------------------------------------------------------

sub shard_files { my ($n, $uuid) = @_; return grep { -f && -s } split /\n/, `find $n->{dir}/data -path '*$uuid*' -type f` }

sub put_replicas { my ($n, $replicas) = @_; good($n->put('/big/_settings', { number_of_replicas => $replicas }), 'settings') }

# A copy on a node that has nothing yet: bytes a second from the request to green, and what the copy says of itself.
sub recovered {
    my ($c, $n, $holder, $limit) = @_;
    my ($other) = grep { $_ != $holder } map { $c->node($_) } 1, 2;
    put_replicas($n, 0);
    $other->stop;
    remove_tree("$other->{dir}/data");
    $other->start;
    $c->wait_nodes(3, 60) or die "no node to recover to\n";
    good($n->put('/_cluster/settings', { transient => { 'indices.recovery.max_bytes_per_sec' => $limit } }), 'settings');
    system 'sync'; # what the disk has to do for others is charged to nobody
    my @pids = map { $c->node($_)->{pid} } 1, 2;
    my ($from, $cpu) = (time, cpu_s(@pids));
    put_replicas($n, 1);
    $c->wait_status('green', 300, $n) or die "no replica\n";
    my $took = time - $from;
    $cpu = cpu_s(@pids) - $cpu;
    my ($s) = grep { $_->{type} eq 'PEER' } @{ good($n->get('/big/_recovery'), 'recovery')->{json}{big}{shards} };
    my $sent = $s->{index}{size}{recovered_in_bytes};
    die "the replica had files already\n" unless $sent;
    return { mb_per_s => $sent / 1e6 / $took, ms => 1000 * $took, bytes => $sent, cpu_s => $cpu, own_ms => $s->{total_time_in_millis} };
}

# The same files by one thread of load.c.
sub copied {
    my (@files) = @_;
    system 'sync';
    my ($n, %t) = (0, bytes => 0, cpu_s => 0);
    my $to = File::Temp::tempdir('qd-bench-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    for my $f (@files) {
        my @before = times;
        my $x = load_run('copy', $f, "$to/" . $n++);
        my @after = times;
        $t{cpu_s} += $after[2] + $after[3] - $before[2] - $before[3];
        $t{$_} += $x->{$_} for qw(bytes copy_ms sync_ms checksum_ms);
    }
    unlink glob "$to/*"; # as late as a replica would: what is freed early is written again for less
    $t{cached_mb_per_s} = $t{bytes} / 1e3 / ($t{copy_ms} + $t{checksum_ms});
    $t{mb_per_s} = $t{bytes} / 1e3 / ($t{copy_ms} + $t{sync_ms} + $t{checksum_ms});
    return \%t;
}

sub recovery {
    my $c = QdCluster->new('bench', masters => 1, data => 2);
    $c->start;
    my $n = $c->node(0);
    my $file = bulk_file($o{documents});
    good($n->put('/big', index_body(1, 0)), 'creation');
    my $bytes = 0;
    while ($bytes < $o{megabytes} * 1e6) {
        my $r = load_run('http', '--to', to($n), '--clients', 2, '--warm', 0, '--seconds', 600, '--requests', bulks($file), '--method', 'POST',
            '--path', '/big/_bulk?filter_path=took,errors', '--file', $file);
        die "bulk: $r->{error}\n" if $r->{bad};
        good($n->post('/big/_flush'), 'flush');
        $bytes = good($n->get('/big/_stats/store'), 'stats')->{json}{_all}{primaries}{store}{size_in_bytes};
    }
    $n->wait_for(sub { !$n->get('/big/_stats/merge')->{json}{_all}{primaries}{merges}{current} }, 300) or die "it merges for ever\n";
    good($n->post('/big/_flush'), 'flush');
    my $uuid = $n->get('/big/_settings')->{json}{big}{settings}{index}{uuid};
    my ($holder) = grep { shard_files($_, $uuid) } $c->nodes;
    my (@free, @copy);
    for (1 .. $o{rounds}) {
        push @free, recovered($c, $n, $holder, '0b');
        push @copy, copied(grep { -s > 4096 } shard_files($holder, $uuid));
    }
    my $default = recovered($c, $n, $holder, undef);
    end($c);
    $raw{recovery} = { free => \@free, copy => \@copy, default => $default };
    my ($ours, $theirs, $cached) = (max(map { $_->{mb_per_s} } @free), max(map { $_->{mb_per_s} } @copy), max(map { $_->{cached_mb_per_s} } @copy));
    my $share = 100 * $ours / $theirs;
    row('recovery', 'a replica from files', sprintf('%.0f MB/s', $ours), sprintf('%.0f %% of %.0f MB/s', $share, $theirs),
        '>= 70 %', $share >= 70, sprintf 'indices.recovery.max_bytes_per_sec: 0; %.0f MB to an empty node, from the request to green, against copy, fsync and XXH3 of the same files, '
        . 'best of %d by turns (without the fsync %.0f MB/s); medians %.0f and %.0f MB/s', $free[0]{bytes} / 1e6, $o{rounds}, $cached,
        median(map { $_->{mb_per_s} } @free), median(map { $_->{mb_per_s} } @copy));
    my ($cpu, $cpu_copy) = map { my $x = $_; median(map { 1e9 * $_->{cpu_s} / $_->{bytes} } @$x) } \@free, \@copy;
    row('recovery', 'CPU of both nodes, a GB', sprintf('%.2f s', $cpu), sprintf('the copy: %.2f s', $cpu_copy), '', undef, 'medians');
    row('recovery', 'with max_bytes_per_sec not set', sprintf('%.0f MB/s', $default->{mb_per_s}), '', '', undef, 'half of what disk and network give is left to others');
}

# --- a second hop -------------------------------------------------------------------------------------------

sub hop {
    my @us;
    my $text = '';
    for (1 .. $o{rounds}) {
        my $t = `$hop`;
        push @us, [$t =~ /hop +([\d.]+) us/g];
        $text = $t;
    }
    my @names = $text =~ /^(.*?) +holder p50/mg;
    my @holder = $text =~ /holder p50 +([\d.]+)/g;
    for my $i (0 .. $#names) {
        my $x = median(map { $_->[$i] } @us);
        row('hop', "a second hop, $names[$i]", sprintf('%.0f µs', $x), sprintf('the search: %.0f µs', $holder[$i]), '< 150 µs', $x < 150, 'p50 of 5,000 by turns, median of ' . $o{rounds});
    }
    $raw{hop} = \@us;
}

# --- thirty nodes --------------------------------------------------------------------------------------------

sub scale {
    my $c = QdCluster->new('bench', masters => 3, coordination => 3, data => $o{nodes} - 6);
    $c->start(seconds => 180);
    my ($n) = grep { $_->has_rest && $_->{settings}{'node.roles'} =~ /coordination/ } $c->nodes;
    my @ms;
    for my $i (1 .. $o{indices}) { push @ms, create($n, "i-$i", index_body(1, 1), 1) }
    $c->wait_status('green', 180, $n) or die "not green\n";
    my @last = @ms > 50 ? @ms[-50 .. -1] : @ms;
    my @first = @ms > 50 ? @ms[0 .. 49] : @ms;
    idle_span(5); # what the last index left to do
    my @masters = @{ $c->{masters} };
    my @from = map { cpu_s($_->{pid}) } $c->nodes;
    idle_span($o{idle});
    my @cpu = map { 100 * (cpu_s($c->node($_)->{pid}) - $from[$_]) / $o{idle} } 0 .. $#from;
    my @kb = map { memory_kb($_->{pid}) } $c->nodes;
    my %by = (master => [0 .. 2], data => [3 .. $o{nodes} - 4], coordination => [$o{nodes} - 3 .. $o{nodes} - 1]);
    end($c);
    $raw{scale} = { ms => \@ms, cpu => \@cpu, kb => \@kb };
    my $what = "$o{nodes} nodes, $o{indices} indices";
    row('scale', "$what: an index with a replica", ms(median(@ms)), sprintf('first 50 %s, last 50 %s', ms(median(@first)), ms(median(@last))), '', undef, 'p50, its primary started; 3 masters, 3 coordination, the others data');
    row('scale', 'CPU of an idle master', sprintf('%.1f %% of a core', max(@cpu[@{ $by{master} }])), sprintf('the least %.1f %%', min(@cpu[@{ $by{master} }])), '', undef, "the busiest of three, over $o{idle} s");
    row('scale', 'CPU of an idle data node', sprintf('%.2f %%', median(@cpu[@{ $by{data} }])), sprintf('all nodes %.0f %%', sum(@cpu)), '', undef, 'median');
    row('scale', 'memory of an idle node', sprintf('%.1f MiB', median(@kb) / 1024), join(', ', map { sprintf '%s %.1f', $_, median(@kb[@{ $by{$_} }]) / 1024 } qw(master coordination data)), '', undef, 'RssAnon + RssShmem, medians');
}

# --- all of it -----------------------------------------------------------------------------------------------

my %part = (creation => \&creation, updates => \&updates, failover => \&failover, indexing => \&indexing, recovery => \&recovery, hop => \&hop, scale => \&scale);
my %machine = (cores => scalar(() = QdNode::slurp('/proc/cpuinfo') =~ /^processor\s*:/mg), cpu => QdNode::slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.+)/m,
    kernel => (POSIX::uname())[2], load_before => load_average());
chomp($machine{commit} = `git describe --always --dirty 2>/dev/null` || 'unknown');
my %load;
my $json = JSON::PP->new->canonical->pretty->utf8;

# A part's result is kept: the page is written from the newest of each.
sub keep {
    my ($p) = @_;
    open my $h, '>', "$dir/$p.json" or die "$dir/$p.json: $!\n";
    print $h $json->encode({ rows => [grep { $_->{part} eq $p } @rows], load => $load{$p} });
    close $h;
}
sub kept { my ($p) = @_; return eval { decode(QdNode::slurp("$dir/$p.json")) } }

for my $p (@parts) {
    note("$p ...");
    my $from = time;
    my $at = load_average();
    eval { $part{$p}->(); 1 } or do { my $why = $@; chomp $why; row($p, 'not measured', '', '', '', 0, $why); print STDERR "$p: $why\n" };
    $load{$p} = { before => $at, after => load_average(), seconds => sprintf('%.0f', time - $from), commit => $machine{commit} };
    keep($p);
}

sub verdict { my ($r) = @_; return !defined $r->{met} ? '' : $r->{met} ? 'met' : 'MISSED' }
my @columns = (['what', 'what'], ['measured', 'figure'], ['against', 'against'], ['target', 'target'], ['', \&verdict]);
sub cell { my ($r, $k) = @_; return ref $k ? $k->($r) : $r->{$k} }
sub width { return length $_[0] }
sub table {
    my @w = map { my $k = $_; max(width($k->[0]), map { width(cell($_, $k->[1])) } @rows) } @columns;
    my $line = sub { my @c = @_; return join('  ', map { $c[$_] . ' ' x ($w[$_] - width($c[$_])) } 0 .. $#c) =~ s/ +$//r . "\n" };
    return join '', $line->(map { $_->[0] } @columns), map { my $r = $_; $line->(map { cell($r, $_->[1]) } @columns) } @rows;
}
sub page {
    my %k = map { $_ => kept($_) || return } @order;
    my $md = "# What several nodes cost\n\nWritten by `make bench PART=cluster` (tests/bench/cluster.pl). Nodes are processes on one machine over loopback, sharing its cores\n"
        . "with the load and with what else ran; each figure was measured by turns with what it is held against.\n\n"
        . "Machine: $machine{cpu}, $machine{cores} cores, Linux $machine{kernel}. Load at the start of each part, and its sources: "
        . join(', ', map { "$_ $k{$_}{load}{before} ($k{$_}{load}{commit})" } @order) . ".\n\n| what | measured | against | target | | how |\n|---|---|---|---|---|---|\n";
    for my $r (map { @{ $k{$_}{rows} } } @order) { $md .= '| ' . join(' | ', (map { cell($r, $_->[1]) } @columns), $r->{how}) . " |\n" }
    return "$md\nOne of them: `make bench PART=cluster BENCH=\"--parts NAME\"`, NAME one of @order.\n";
}
my %all = (machine => \%machine, options => \%o, load => \%load, rows => \@rows, raw => \%raw);
if ($flag{table} || (-t STDOUT && !$flag{json})) { my $t = table(); utf8::encode($t); print $t }
else { print $json->encode(\%all) }
if (!$flag{'no-write'} && defined(my $md = page())) {
    utf8::encode($md);
    report('cluster', $md);
}
exit 0;
