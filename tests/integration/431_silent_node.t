#!/usr/bin/perl
# 431_silent_node.t: `qd` asked of a node that stands still, of one that cannot be connected to and of one that answers
# slowly: it waits as long as --timeout says, tells who was silent and what to try, and ends with a status of its own.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use QdNode;
use Socket qw(SOCK_STREAM);
use Test::More;
use Time::HiRes qw(sleep time);

my $node = QdNode->new('silent');
$node->start;
my $file = "$node->{dir}/docs.jsonl";
open my $f, '>', $file or die; print $f qq({"a":1}\n); close $f;
is(($node->run_qd('index', 'docs', $file, '--url', $node->url))[0], 0, 'a node that answers is asked');

# A limit of its own, so that a client that waits for ever fails and does not hang.
sub qd {
    my ($url, @words) = @_;
    open my $p, '-|', 'sh', '-c', 'exec timeout 40 "$0" "$@" 2>&1 </dev/null', QdNode::qd(), @words, '--url', $url or die;
    my $from = time;
    local $/;
    my $out = <$p> // '';
    close $p;
    return ($? >> 8, $out, time - $from);
}
sub silent {
    my ($url, $says, $name, $want, @words) = @_;
    my ($status, $out, $took) = qd($url, @words, '--timeout', 1);
    is($status, $want, "qd @words of $name ends with $want") or diag $out;
    like($out, $says, '... says who was silent, for how long, what to try');
    cmp_ok($took, '<', 20, '... and soon');
}

$node->signal('STOP');
my $url = $node->url;
my $took = qr/no answer from \Q$url\E: it took the request and has said nothing for 1 s/;
my $try = qr/Try another node \(--url\), or wait longer \(--timeout\)/;
silent($url, qr/$took.*$try/s, 'a frozen node', $_->[0], @$_[1 .. $#$_])
    for [2, 'health'], [75, 'mode'], [75, 'migrate', 'status'], [75, 'master', 'list'], [75, 'node', 'may-stop'], [75, 'search', 'docs', 'x'], [75, 'index', 'import-dangling'];
silent($url, qr/$took.*may have been carried out.*$try/s, 'a frozen node', 75, @$_)
    for ['index', 'docs', $file], ['node', 'stop'], ['node', 'release'], ['master', 'remove', 'm'], ['migrate', 'start', '--to', 'master'];
$node->signal('CONT');
$node->wait_for(sub { (qd($url, 'health'))[0] == 0 }, 30, 'it goes on');
is((qd($url, 'search', 'docs', 'x', '--timeout', 1))[0], 0, 'a node that answers in time is waited for');

# --- a port whose queue is full: the connection itself is waited for
my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1, Type => SOCK_STREAM) or die "listen: $!";
my @fill = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $full->sockport, Blocking => 0) } 1 .. 8;
silent('http://127.0.0.1:' . $full->sockport, qr/no connection to \S+ in 1 s.*$try/s, 'a port that takes no connection', 75, 'mode');

# --- an answer that comes piece by piece takes longer than the limit, and is never silent for that long
my $slow = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5, ReuseAddr => 1) or die;
my $pid = fork // die;
if (!$pid) {
    my $c = $slow->accept or exit 1;
    sysread $c, my $request, 65536;
    my $body = '{"cluster_name":"c","status":"green","number_of_nodes":1,"active_shards":1,"unassigned_shards":0}';
    syswrite $c, "HTTP/1.1 200 OK\r\ncontent-length: " . length($body) . "\r\n\r\n";
    for (my $at = 0; $at < length $body; $at += 8) { syswrite $c, substr $body, $at, 8; sleep 0.5 }
    require POSIX;
    POSIX::_exit(0);
}
my ($status, $out, $s) = qd('http://127.0.0.1:' . $slow->sockport, 'health', '--timeout', 3);
waitpid $pid, 0;
is($status, 0, 'an answer that takes longer than --timeout, but comes') or diag $out;
cmp_ok($s, '>', 3, '... did take longer');

# --- the option
for my $bad ('x', '-1', '1s', '99999999999') {
    my ($status, $out) = qd($url, 'mode', '--timeout', $bad);
    is($status, 64, "--timeout $bad is none");
    like($out, qr/--timeout takes seconds, not \[\Q$bad\E\]/, '... in words');
}
is((qd($url, 'mode', '--timeout', 0))[0], 0, '0: no limit');

done_testing;
