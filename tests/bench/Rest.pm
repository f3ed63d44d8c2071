# Rest: a node for a program of the bench, and requests timed on one connection with it.
package Rest;
use strict;
use warnings;
use Exporter qw(import);
use IO::Socket::INET;
use QdNode;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(asked connected request started);

# A node that is ready, of the name bench-NAME, with its defaults but for what it logs. The caller stops it.
sub started {
    my ($name) = @_;
    my $n = QdNode->new("bench-$name", settings => {'logger.level' => 'warn'});
    $n->{log_from} = 0;
    $n->launch;
    $n->wait_for(sub { ($n->get('/ready')->{status} // 0) == 200 }, 60, 0.02) or die "the node is not ready\n";
    return $n;
}

sub connected {
    my ($n) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $n->{port}) or die "connect: $!\n";
    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1 or die "TCP_NODELAY: $!\n";
    return $s;
}

# The text of a request; a body is JSON, in bytes.
sub request {
    my ($method, $path, $body) = @_;
    my $head = "$method $path HTTP/1.1\r\nhost: a\r\n";
    return "$head\r\n" unless defined $body;
    return "${head}content-type: application/json\r\ncontent-length: " . length($body) . "\r\n\r\n$body";
}

# One request on a connection and its answer, which must be 200: microseconds from the first byte written to the last
# one read, and the body.
sub asked {
    my ($s, $text) = @_;
    my ($from, $got, $end) = (time, '');
    syswrite($s, $text) // die "write: $!\n";
    while (($end = index $got, "\r\n\r\n") < 0) { sysread($s, $got, 65536, length $got) or die "connection ended\n" }
    my $head = substr $got, 0, $end;
    my ($length) = $head =~ /content-length: (\d+)/i or die "no length: $head\n";
    my $whole = $end + 4 + $length;
    while (length $got < $whole) { sysread($s, $got, 65536, length $got) or die "connection ended\n" }
    my $us = 1e6 * (time - $from);
    die "$got\n" unless $head =~ m{^HTTP/1\.1 200};
    return ($us, substr $got, $end + 4);
}

1;
