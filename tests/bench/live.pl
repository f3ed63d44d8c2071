#!/usr/bin/perl
# live.pl: searching while indexing, what refreshing costs, and `_bulk` against the engine alone, over a real node
# with its defaults (a synced translog). Figures only, nothing is asserted; writes build/bench/performance-live.md.
#
#   live.pl --docs FILE.jsonl [--words FILE.tsv] [--seconds 20] [--rounds 3] [--clients 2] [--no-write]
#
# --words: CLASS<TAB>QUERY as gen_queries writes them (default: the corpus' words.tsv). Three measurements:
# - searches, one connection, one after the other: before anybody writes; while one connection sends bulk
#   requests of 1 MiB, one after the other, into the same index, whose refresh interval is 1 s; and behind that,
#   once merges have ended, on what is then a larger index. Quiet is the geometric mean of the two;
# - all documents into a new index by `_bulk`, with a refresh interval of 1 s and without refreshing, by turns;
#   CPU time of merging is that of the threads that merge;
# - the same documents by `qd bench index --es-append`, in the same turns: the engine without HTTP.
# Best of --rounds, by documents a CPU second of the process; documents a second are of the best round, too.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__), dirname(__FILE__) . '/../integration/lib';
use File::Temp ();
use JSON::PP ();
use Bodies qw(body_of);
use List::Util qw(min max sum0);
use POSIX ();
use Parts qw(capture report);
use QdNode;
use Rest qw(started);
use Test::More ();
use Time::HiRes qw(time);

my %o = (seconds => 20, rounds => 3, clients => 2);
while (@ARGV) {
    my $a = shift;
    if    ($a eq '--no-write')                                { $o{nowrite} = 1 }
    elsif ($a eq '--catalogue')                               { shift }               # run.pl gives it to all
    elsif ($a =~ /^--(docs|words|seconds|rounds|clients)$/)   { $o{$1} = shift }
    else                                                      { die "unknown option $a\n" }
}
die "usage: live.pl --docs FILE.jsonl [--words FILE.tsv]\n" unless $o{docs};
$o{words} //= $o{docs} =~ s/\.jsonl$/.words.tsv/r;
my $load = "$QdNode::OUT/tests/bench/load";
my $tick = POSIX::sysconf(POSIX::_SC_CLK_TCK());
my $json = JSON::PP->new->canonical;
my $folder = File::Temp::tempdir('qd-live-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my %mappings = (dynamic => JSON::PP::false(), properties => {title => {type => 'keyword'}, body => {type => 'text'}});
my @rows;
sub row { push @rows, [@_]; printf "%-62s %14s   (%s)\n", @_ }

# --- requests -------------------------------------------------------------------------------------------

sub bulk_file { # {"index":{}} before each document
    my $to = "$folder/bulk.ndjson";
    system('sh', '-c', 'sed \'s/^/{"index":{}}\n/\' "$0" > "$1"', $o{docs}, $to) == 0 or die "no documents\n";
    return $to;
}

# Bodies in an order of their own, so that classes are mixed; returns their file and number.
sub search_file {
    open my $in, '<', $o{words} or die "$o{words}: $!\n";
    my @bodies = map { chomp; $json->encode(body_of((split /\t/, $_, 2)[1])) . "\n" } <$in>;
    srand 1;
    @bodies = map { $_->[1] } sort { $a->[0] <=> $b->[0] } map { [rand, $_] } @bodies;
    open my $out, '>', "$folder/searches" or die "$folder: $!\n";
    print $out @bodies;
    close $out;
    return ("$folder/searches", scalar @bodies);
}

sub load_command {
    my ($n, @more) = @_;
    return ($load, 'http', '--to', "127.0.0.1:$n->{port}", '--method', 'POST', '--warm', 0, @more);
}
sub load_run {
    open my $p, '-|', load_command(@_) or die "$load: $!\n";
    my $r = $json->decode(do { local $/; <$p> } || '{}');
    close $p or die "$load failed: $r->{error}\n";
    die "$r->{bad} requests failed, $r->{lost} connections were lost: $r->{error}\n" if $r->{bad} || $r->{lost};
    return $r;
}

# --- the node -------------------------------------------------------------------------------------------

sub create {
    my ($n, $name, $interval) = @_;
    my $r = $n->put("/$name", {mappings => \%mappings,
        settings => {number_of_shards => 1, number_of_replicas => 0, refresh_interval => $interval, 'index.requests.cache.enable' => JSON::PP::false()}});
    die "$r->{content}\n" unless $r->{status} == 200;
}
sub documents { my ($n, $name) = @_; $n->post("/$name/_refresh"); return $n->get("/$name/_count")->{json}{count} }

sub ticks { my ($file) = @_; my @f = split ' ', QdNode::slurp($file) =~ s/.*\) //sr; return ($f[11] // 0) + ($f[12] // 0) }
sub cpu_s { my ($n) = @_; return ticks("/proc/$n->{pid}/stat") / $tick }
sub merging_s { # of the threads that merge
    my ($n) = @_;
    return sum0(map { QdNode::slurp("$_/comm") =~ /merge/ ? ticks("$_/stat") : () } glob "/proc/$n->{pid}/task/*") / $tick;
}
sub stats { my ($n, $name) = @_; return $n->get("/$name/_stats")->{json}{_all}{primaries} }
# What was written is visible, no merge runs, and the one that followed the last refresh has left nothing to merge:
# two refreshes with nothing between them show the same merges.
sub settled {
    my ($n, $name) = @_;
    my $before = '';
    my $still = sub {
        $n->post("/$name/_refresh");
        my $m = stats($n, $name)->{merges};
        my $now = $m->{current} ? '' : "merged $m->{total}";
        my $same = $now && $now eq $before;
        $before = $now;
        return $same;
    };
    $n->wait_for($still, 120, 0.2) or die "the merges of $name did not end\n";
}

# --- searching while indexing ------------------------------------------------------------------------------

sub searching {
    my ($bulk, $searches, $count) = @_;
    my $n = started('live');
    create($n, 'live', '1s');
    my @search = ('--clients', 1, '--path', '/live/_search', '--lines', $searches);
    my @write = ('--path', '/live/_bulk?filter_path=errors', '--file', $bulk);
    load_run($n, '--clients', $o{clients}, '--seconds', 600, '--requests', bulks($bulk), @write);
    my $at_first = documents($n, 'live');
    settled($n, 'live');
    my $quiet = sub { load_run($n, @search, '--seconds', 600, '--requests', $count); return load_run($n, @search, '--seconds', 600, '--requests', $count) };
    my $before = $quiet->();
    my $writer = fork // die "fork: $!\n";
    if (!$writer) { open STDOUT, '>', '/dev/null'; exec load_command($n, '--clients', 1, '--seconds', $o{seconds} + 1, @write) or POSIX::_exit(127) }
    $n->wait_for(sub { stats($n, 'live')->{indexing}{index_total} > $at_first }, 30, 0.01) or die "nothing is written\n";
    my $from = time;
    my $during = load_run($n, @search, '--seconds', $o{seconds});
    waitpid $writer, 0;
    die "writing failed\n" if $?;
    my $written = documents($n, 'live') - $at_first;
    settled($n, 'live');
    my $after = $quiet->();
    my $q = sub { my ($k) = @_; return ($before->{$k} * $after->{$k})**0.5 };
    for my $k (qw(p50_ms p99_ms)) {
        row('searches while indexing, ' . $k =~ s/_ms//r, sprintf('%.2f ms', $during->{$k}),
            sprintf('%.1f x quiet: %.2f ms before, %.2f ms behind%s', $during->{$k} / $q->($k), $before->{$k}, $after->{$k}, $k eq 'p99_ms' ? '; target <= 3' : ''));
    }
    row('documents indexed meanwhile', sprintf('%.0f/s', $written / (time - $from)), sprintf('%.0f searches/s beside it; %d documents before', $during->{per_s}, $at_first));
    $n->stop;
}

# --- refreshing, and HTTP ---------------------------------------------------------------------------------

sub bulks { my ($file) = @_; return int((-s $file) / (1 << 20)) || 1 } # load.c makes bodies of 1 MiB and a bit

sub fill { # all documents into a new index
    my ($n, $name, $interval, $bulk) = @_;
    create($n, $name, $interval);
    my ($cpu, $merging, $from) = (cpu_s($n), merging_s($n), time);
    load_run($n, '--clients', $o{clients}, '--seconds', 600, '--requests', bulks($bulk), '--path', "/$name/_bulk?filter_path=errors", '--file', $bulk);
    my $took = time - $from;
    my $docs = documents($n, $name);
    settled($n, $name);
    my %f = (per_s => $docs / $took, per_cpu_s => $docs / (cpu_s($n) - $cpu), merging => merging_s($n) - $merging);
    $n->delete("/$name");
    return \%f;
}

sub alone { # the engine in a process of its own
    my $out = capture("$QdNode::OUT/bin/qd bench index --es-append --in $o{docs} --index $folder/alone 2>$folder/alone.err");
    my %f = map { /^(\w+)=(\S+)$/ ? ($1 => $2) : () } split ' ', $out;
    return { per_s => $f{docs_per_s}, per_cpu_s => $f{docs_per_cpu_s} };
}

sub filling {
    my ($bulk) = @_;
    my $n = started('refresh');
    my %best;
    my %turn = ('-1' => sub { fill($n, 'never', '-1', $bulk) }, '1s' => sub { fill($n, 'each', '1s', $bulk) }, alone => \&alone);
    for my $round (1 .. $o{rounds}) {
        for my $k (qw(-1 1s alone)) {
            my $f = $turn{$k}->();
            $best{$k} = $f if !$best{$k} || $f->{per_cpu_s} > $best{$k}{per_cpu_s};
        }
    }
    $n->stop;
    my $line = sub { my ($k) = @_; return sprintf('%.0f/s', $best{$k}{per_s}) };
    my $share = sub { my ($k, $of) = @_; return sprintf('%.2f x by time, %.2f x by CPU time', map { $best{$k}{$_} / $best{$of}{$_} } qw(per_s per_cpu_s)) };
    row('documents by _bulk, refresh_interval -1', $line->('-1'), sprintf('%.0f a CPU second; merging %.2f CPU s', @{ $best{-1} }{qw(per_cpu_s merging)}));
    row('documents by _bulk, refresh_interval 1s', $line->('1s'), $share->('1s', '-1') . sprintf(' of -1; merging %.2f CPU s; target >= 0.9', $best{'1s'}{merging}));
    row('documents by the engine alone (--es-append)', $line->('alone'), sprintf('%.0f a CPU second', $best{alone}{per_cpu_s}));
    row('_bulk over HTTP against it', sprintf('%.0f %%', 100 * $best{-1}{per_cpu_s} / $best{alone}{per_cpu_s}), 'by CPU time of the process; ' . sprintf('%.0f %% by time', 100 * $best{-1}{per_s} / $best{alone}{per_s}) . '; target >= 60 %');
}

my $bulk = bulk_file();
my ($searches, $count) = search_file();
searching($bulk, $searches, $count);
filling($bulk);
exit 0 if $o{nowrite};
my $cores = () = QdNode::slurp('/proc/cpuinfo') =~ /^processor\s*:/mg;
my $page = "# Searching while indexing\n\nWritten by `make bench` (tests/bench/live.pl, which says how) on $cores cores, client and node on the same ones:\n"
    . "compare numbers of one run only.\n\n| what | measured | how |\n|---|---|---|\n";
$page .= "| $_->[0] | $_->[1] | $_->[2] |\n" for @rows;
report('live', $page);
