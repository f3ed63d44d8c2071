#!/usr/bin/perl
# 041_http_differential.t: mutated requests to a node and to node.js (llhttp). Whatever the second
# parser refuses, ours refuses too; what both take, both see as the same number of requests.
#   SEED=n ROUNDS=n
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/lib';
use IO::Select;
use IO::Socket::INET;
use QdNode;
use Test::More;

plan skip_all => 'SKIPPED: there is no node.js to compare with' if system('command -v node >/dev/null');
my $seed = $ENV{SEED} // 1;
diag("SEED=$seed");
srand $seed; # requests go to an API that takes any body and answers when it has all of it
my $node = QdNode->new('differential');
$node->start;
my $pid = open my $js, '-|', 'node', QdNode::top() . '/tests/clients/llhttp.mjs' or die "node: $!";
my $port = <$js>;
chomp $port;

# Statuses of all answers to these bytes, behind which the client says no more.
sub statuses {
    my ($to, $bytes) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $to) or die "connect: $!";
    local $SIG{PIPE} = 'IGNORE';
    print $s $bytes;
    $s->flush;
    my ($all, $buf) = ('', '');
    my $ready = IO::Select->new($s);
    # the request at the end asks for the end; a parser that waits for more has taken fewer
    while ($ready->can_read(0.3)) { last unless sysread $s, $buf, 65536; $all .= $buf }
    close $s;
    return [$all =~ /HTTP\/1\.1 (\d\d\d)/g];
}

my @lines = (
    'Content-Length: 3', 'Content-Length: 03', 'Content-Length: +3', 'Content-Length: 3, 3', 'content-length:3',
    'Content-Length : 3', "Content-Length:\t3", 'Content-Length: 0x3', 'Content-Length: 3 ', 'Content-Length: ',
    'Transfer-Encoding: chunked', 'Transfer-Encoding: Chunked', 'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: xchunked', "Transfer-Encoding: chunked\t", 'Transfer-Encoding:', " folded", "A: b\0c",
    "A: b\rc", "A: b\x7f", 'A', ': b', 'A: ' . 'c' x 300, 'Host: other', "\xc3\xa4: x", 'X: \xff',
);
my @bodies = ('abc', "3\r\nabc\r\n0\r\n\r\n", "3;x=y\r\nabc\r\n0\r\n\r\n", "3\nabc\n0\n\n", "3 \r\nabc\r\n0\r\n\r\n",
    "+3\r\nabc\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "3\r\nabc0\r\n\r\n", "3\r\nabc\r\n0\r\nA: b\r\n\r\n",
    "3\r\nabc\r\n0\r\n A\r\n\r\n", "FFFFFFFFFFFFFFFFF3\r\nabc\r\n0\r\n\r\n", '');
my ($lenient, $different, $n) = (0, 0, $ENV{ROUNDS} && $ENV{ROUNDS} < 1000 ? $ENV{ROUNDS} * 10 : 300);
for my $round (1 .. $n) {
    my @h = ('Host: h', map { $lines[rand @lines] } 1 .. 1 + int rand 2);
    my $end = rand() < 0.05 ? "\n" : "\r\n";
    my $bytes = 'POST /_refresh HTTP/1.1' . $end . "Content-Type: application/json$end" . join('', map { "$_$end" } @h) . "\r\n" . $bodies[rand @bodies];
    my $ours = statuses($node->{port}, $bytes . "GET /none/_doc/1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    my $theirs = statuses($port, $bytes . "GET /none/_doc/1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    my $refused = !@$ours || grep { $_ == 400 } @$ours[-1 .. -1];
    my $they_refuse = !@$theirs || $theirs->[-1] == 400;
    (my $shown = $bytes) =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
    if ($they_refuse && !$refused) { $lenient++; diag("taken here only: $shown: @$ours / @$theirs") }
    if (!$they_refuse && !$refused && @$ours != @$theirs) { $different++; diag("cut differently: $shown: @$ours / @$theirs") }
}
is($lenient, 0, "$n requests: none is taken that the second parser refuses");
is($different, 0, 'those that both take are cut alike');
kill 'TERM', $pid;
close $js;
is($node->stop, 0, 'ends cleanly');
done_testing;
