# One node of three has little memory (a cgroup) while clients write and others ask for much of it at once:
# what does not fit is refused, the node lives, answers, and nothing acknowledged is lost.
# Runs alone: its clients keep every core busy, and beside another such load no copy catches up in time.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use FaultLoad;
use POSIX ();
use QdCluster;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my $limit = 256 << 20;
# A group of version 1 or 2 with that limit: (folder, file that counts kills).
sub group {
    for my $try (['/sys/fs/cgroup/memory', 'memory.limit_in_bytes', 'memory.oom_control'], ['/sys/fs/cgroup', 'memory.max', 'memory.events']) {
        my ($base, $file, $kills) = @$try;
        my $g = "$base/qd-test-$$";
        next unless -e "$base/cgroup.procs" && mkdir $g;
        if (open my $f, '>', "$g/$file") {
            return ($g, "$g/$kills") if syswrite($f, "$limit\n") && close $f;
        }
        rmdir $g;
    }
    return;
}
my ($group, $kills) = group() or plan skip_all => 'LOUD: no memory group can be made here';
my $dir = tempdir('qd-memory-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $c = QdCluster->new('m', nodes => 3);
my @n = $c->nodes;
END { local $?; if ($group) { $n[2]->kill9 if $n[2]{pid}; QdNode->wait_for(sub { rmdir $group }, 5) } }
$n[2]{wrap} = ['sh', '-c', "echo \$\$ > $group/cgroup.procs && exec \"\$0\" \"\$@\""];
$c->start;
my $f = FaultLoad->new($c, $dir, seed => $ENV{SEED} || 1, timeout => 30);
$f->start;
my ($stats) = values %{ $n[2]->get('/_nodes/_local/stats/jvm')->{json}{nodes} || {} };
my $most = $stats->{jvm}{mem}{heap_max_in_bytes} // 1 << 60;
cmp_ok($most, '<=', $limit, "the node knows its limit: at most $most bytes");

# Bulks of 6 MiB, and searches whose answers are larger, many at once, all at the small node.
my $text = 'x' x 2000;
my @pids;
for my $client (1 .. 6) {
    my $pid = fork // die;
    if (!$pid) {
        my (%status, $bad);
        my $http = HTTP::Tiny->new(timeout => 120);
        my $ask = sub {
            my ($what, $path, $body) = @_;
            my $r = $http->request('POST', $n[2]->url . $path, { content => $body, headers => { 'content-type' => 'application/json' } });
            $status{"$what $r->{status}"}++;
            $bad = substr($r->{content}, 0, 600) . "\n" if $r->{status} == 500;
        };
        # until something is refused: on a quick machine requests may follow each other
        for (my $round = 1; $round <= ($ENV{ROUNDS} || 1) || ($round <= 40 && !grep { / 429$/ } keys %status); $round++) {
            $ask->('bulk', '/big/_bulk', join '', map { my $k = "$client-$round-$_"; qq({"index":{"_id":"$k"}}\n{"k":"$k","t":"$text $k"}\n) } 1 .. 3000);
            $ask->('search', '/big/_search?size=1000', '{"aggs":{"a":{"terms":{"field":"k.keyword","size":20000},"aggs":{"b":{"top_hits":{"size":10}}}}}}');
        }
        open my $o, '>', "$dir/status-$client";
        print $o join(', ', map { "$_: $status{$_}" } sort keys %status), "\n", $bad // '';
        close $o;
        POSIX::_exit(0);
    }
    push @pids, $pid;
}
my @took; # seconds of each look at its health
$n[2]->wait_for(sub {
    @pids = grep { waitpid($_, POSIX::WNOHANG()) == 0 } @pids;
    my $from = clock_gettime(CLOCK_MONOTONIC);
    push @took, clock_gettime(CLOCK_MONOTONIC) - $from if $n[2]->get('/_cluster/health')->{status} == 200;
    return !@pids;
}, 1200, 0.1);
ok($n[2]->alive, 'the node lives') or diag(QdNode::slurp($kills), $n[2]->stderr_text);
is(scalar @pids, 0, 'every request has its answer') or kill 'KILL', @pids;
@took = sort { $a <=> $b } @took;
cmp_ok(scalar @took, '>', 0, 'and it answered meanwhile');
note sprintf 'median %.3f s, most %.3f of %d', $took[@took / 2] // 0, $took[-1] // 0, scalar @took;
my $said = join '', map { QdNode::slurp("$dir/status-$_") } 1 .. 6;
diag($said);
like($said, qr/ 429:/, 'what does not fit is refused');
unlike($said, qr/ 500:/, 'as that');
unlike(QdNode::slurp($kills), qr/oom_kill [1-9]/, 'nothing of it was killed for want of memory');
$f->more(500, 'writes go on');
$f->heals('less is asked for');
$f->ends;
is($c->stop, 0, 'they stop cleanly');
done_testing;
