#!/usr/bin/perl
# node.pl: what a whole node costs: start to /ready, idle memory, memory while a million documents
# are indexed, a small search over HTTP against GET /. Figures only, nothing is asserted; writes
# build/bench/performance-node.md.
#
#   node.pl --docs FILE.jsonl [--catalogue FILE.jsonl] [--starts 10] [--requests 3000] [--indices 1000] [--no-write]
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__), dirname(__FILE__) . '/../integration/lib';
use IO::Socket::INET;
use Parts qw(report);
use QdNode;
use Rest qw(asked connected request);
use Test::More ();
use Time::HiRes qw(sleep time);

my %o = (starts => 10, requests => 3000, indices => 1000);
while (@ARGV) {
    my $a = shift;
    if ($a eq '--no-write') { $o{nowrite} = 1 }
    elsif ($a =~ /^--(docs|catalogue|starts|requests|indices)$/) { $o{$1} = shift }
    else { die "unknown option $a\n" }
}
die "usage: node.pl --docs FILE.jsonl [--catalogue FILE.jsonl]\n" unless $o{docs};
my @rows;
sub row { push @rows, [@_]; printf "%-58s %12s   (%s)\n", @_; }

sub memory_kb { # RssAnon + RssShmem, as far as the process lives
    my ($pid) = @_;
    my $kb = 0;
    for (split /\n/, QdNode::slurp("/proc/$pid/status")) { $kb += $1 if /^Rss(?:Anon|Shmem):\s+(\d+)/ }
    return $kb;
}

sub ready { # one GET /ready; true at 200
    my ($n) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $n->{port}) or return 0;
    print $s "GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    my $line = <$s> // '';
    return $line =~ / 200 /;
}

sub start_ms { # from fork to the first 200 of /ready
    my ($n) = @_;
    my $from = time;
    $n->launch;
    $n->wait_for(sub { ready($n) }, 60, 0.001) or die "the node ended, or was not ready after 60 s\n";
    return 1000 * (time - $from);
}

sub best { (sort { $a <=> $b } @_)[0] }
sub median { (sort { $a <=> $b } @_)[@_ / 2] }

sub empty_starts {
    my @ms;
    for (1 .. $o{starts}) {
        my $n = QdNode->new('bench-empty');
        push @ms, start_ms($n);
        $n->stop;
    }
    row('start to /ready, empty data folder', sprintf('%.0f ms', best(@ms)), "best of $o{starts}, median " . sprintf('%.0f', median(@ms)) . '; target < 100 ms');
}

# The same requests on one connection; microseconds of each but of the first tenth.
sub latencies {
    my ($n, $method, $path, $body) = @_;
    my ($s, $text) = (connected($n), request($method, $path, $body));
    my @us = map { (asked($s, $text))[0] } 1 .. $o{requests};
    return [splice @us, @us / 10];
}

sub catalogue {
    my $n = QdNode->new('bench-catalogue');
    start_ms($n);
    my ($status, $out) = $n->run_qd('index', 'packages', $o{catalogue}, '--url', $n->url);
    die $out if $status;
    $n->post('/packages/_refresh');
    my $search = '{"size":1,"query":{"match":{"summary":"editor"}}}';
    $n->post('/packages/_search', $search);
    my $root = median(@{latencies($n, 'GET', '/')});
    my $p50 = median(@{latencies($n, 'POST', '/packages/_search', $search)});
    row('p50 of GET / over HTTP', sprintf('%.0f µs', $root), 'one connection');
    row('p50 of a cached small search over HTTP', sprintf('%.0f µs', $p50),
        sprintf('GET / + %.0f µs; target <= + 100 µs', $p50 - $root));
    my @ms;
    for (1 .. $o{starts}) { $n->stop; push @ms, start_ms($n) }
    row('start to /ready, with the catalogue', sprintf('%.0f ms', best(@ms)),
        "best of $o{starts}, median " . sprintf('%.0f', median(@ms)) . '; target < 200 ms');
    row('memory after the start (RssAnon + RssShmem)', sprintf('%.1f MiB', memory_kb($n->{pid}) / 1024), 'target < 50 MiB');
    $n->post('/packages/_doc', '{"summary":"one more"}');
    ($status, $out) = $n->run_qd('index', 'packages', $o{catalogue}, '--url', $n->url);
    $n->post('/packages/_refresh');
    my $least = memory_kb($n->{pid});
    # nobody asks for anything meanwhile
    for (1 .. 60) { sleep 0.25; my $kb = memory_kb($n->{pid}); $least = $kb if $kb < $least }
    row('idle memory, 15 s after indexing it again', sprintf('%.1f MiB', $least / 1024), 'target < 50 MiB');
    $n->stop;
}

sub million {
    my $n = QdNode->new('bench-million', settings => {'indices.memory.index_buffer_size' => '256mb'});
    start_ms($n);
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        my ($status, $out) = $n->run_qd('index', 'one', $o{docs}, '--url', $n->url);
        print $out if $status;
        POSIX::_exit($status);
    }
    my ($from, $most) = (time, 0);
    my $ended = QdNode->wait_for(sub {
        my $kb = memory_kb($n->{pid});
        $most = $kb if $kb > $most;
        return waitpid($pid, POSIX::WNOHANG()) != 0;
    }, 3600, 0.05);
    die "indexing did not end\n" unless $ended;
    die "indexing failed\n" if $?;
    my $s = time - $from;
    $n->post('/one/_refresh');
    my $count = $n->get('/one/_count')->{json}{count};
    row('documents over HTTP by `qd index`', sprintf('%.0f/s', $count / $s), "$count documents, client and node on this machine");
    row('highest memory, index_buffer_size 256 MiB', sprintf('%.0f MiB', $most / 1024), 'RssAnon + RssShmem; target < 600 MiB for 5,000,000');
    $n->stop;
}

sub anon_kb { my ($pid) = @_; my ($kb) = QdNode::slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m; return $kb }

sub settled_kb { # the least within 15 s in which nobody asks for anything
    my ($n) = @_;
    my $least = anon_kb($n->{pid});
    for (1 .. 60) { sleep 0.25; my $kb = anon_kb($n->{pid}); $least = $kb if $kb < $least }
    return $least;
}

sub cpu_s { # user and system time of a process so far
    my ($pid) = @_;
    my @f = split ' ', QdNode::slurp("/proc/$pid/stat") =~ s/.*\) //sr;
    return ($f[11] + $f[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# Empty indices, then indices of many shards with a few documents: what one costs that nobody uses.
sub many {
    my ($indices) = @_;
    my $n = QdNode->new('bench-many');
    start_ms($n);
    my $before = settled_kb($n);
    for my $i (1 .. $indices) {
        my $r = $n->put("/empty$i", {settings => {number_of_shards => 1, number_of_replicas => 0}});
        die "$r->{content}\n" unless $r->{status} == 200;
    }
    my $kb = settled_kb($n);
    row("RssAnon with $indices empty indices", sprintf('%.0f MiB', $kb / 1024), sprintf('%.0f KiB an index; target < 300 MiB for 1,000', ($kb - $before) / $indices));
    my @ms;
    my $cpu;
    for (1 .. 3) { $n->stop; push @ms, start_ms($n); $cpu = cpu_s($n->{pid}) }
    row("start to /ready with $indices empty indices", sprintf('%.0f ms', best(@ms)), sprintf('best of 3, %.0f ms of CPU time in the last; target < 1000 ms for 1,000', 1000 * $cpu));
    $n->stop;

    $n = QdNode->new('bench-shards');
    start_ms($n);
    $before = settled_kb($n);
    my $shards = 0;
    for my $i (1 .. (int($indices / 50) || 1)) {
        $n->put("/i$i", {settings => {number_of_shards => 50, number_of_replicas => 0}});
        my $r = $n->request('POST', "/i$i/_bulk", join('', map { qq({"index":{"_id":"$_"}}\n{"title":"document $_ of a shard that sleeps","n":$_}\n) } 1 .. 250),
            'content-type' => 'application/x-ndjson');
        die "$r->{content}\n" if $r->{status} != 200 || $r->{json}{errors};
        $shards += 50;
    }
    $n->post('/_refresh');
    $n->post('/_flush');
    $kb = settled_kb($n);
    row("an idle shard of $shards, each with some 5 documents", sprintf('%.0f KiB', ($kb - $before) / $shards), 'RssAnon after 15 s without requests, over that of an empty node; target <= 64 KiB');
    $n->stop;
}

empty_starts();
many($o{indices}) if $o{indices};
catalogue() if $o{catalogue};
million();
exit 0 if $o{nowrite};
my $cores = () = QdNode::slurp('/proc/cpuinfo') =~ /^processor\s*:/mg;
my $page = "# What a node costs\n\nWritten by `make bench` (tests/bench/node.pl) on $cores cores. Times are this machine's while it\n"
    . "did what else it did: compare them within one run.\n\n| what | measured | how |\n|---|---|---|\n";
$page .= "| $_->[0] | $_->[1] | $_->[2] |\n" for @rows;
report('node', $page);
