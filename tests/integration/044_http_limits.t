#!/usr/bin/perl
# 044_http_limits.t: limits of connections: values that would leave no way to the node are refused, changes
# take effect at once, 0 means never where it says so.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use QdNode;
use Test::More;

my $n = QdNode->new('n1', settings => {'http.keep_alive_timeout' => 0});
$n->start;
sub put_setting { my ($k, $v) = @_; return $n->put('/_cluster/settings', {persistent => {$k => $v}}) }
for my $case (['http.max_connections', 1], ['http.max_connections', 63], ['http.read_timeout', '0s'], ['http.read_timeout', '999ms']) {
    my ($k, $v) = @$case;
    my $r = put_setting($k, $v);
    is($r->{status}, 400, "$k: $v is refused");
    like($r->{content}, qr/\Q$k\E/, 'by its name');
    my ($rc, $out) = $n->run_qd('config', 'check', '-E', "$k=$v");
    isnt($rc, 0, 'also on a command line');
}
sub dial { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $n->{port}) }
sub answered { my ($s) = @_; print $s "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"; $s->flush; my $line = <$s>; return ($line // '') =~ / 200 / }
sub head_of { my ($s) = @_; my $all = ''; while (defined(my $l = <$s>)) { $all .= $l; last if $l eq "\r\n" } return $all }
my $idle = dial();
ok(answered($idle), 'a connection');
my ($length) = head_of($idle) =~ /content-length: (\d+)/i;
is(read($idle, my $body, $length // 0), $length, 'answered');
ok(answered($idle), 'stays with keep_alive_timeout 0');
is(put_setting('http.max_connections', 64)->{status}, 200, 'the fewest connections');
close $idle;
my @many = map { dial() } 1 .. 80;
my $served = grep { answered($_) } @many;
cmp_ok($served, '<=', 64, "of 80 more at most 64 are served ($served)");
cmp_ok($served, '>', 50, 'and as many as may be');
close $_ for @many;
ok($n->wait_for(sub { my $s = dial(); $s && answered($s) }), 'when they have gone others are');
is(put_setting('http.read_timeout', '1s')->{status}, 200, 'the shortest time for a head');
my $slow = dial();
print $slow "GET /health HTTP/1.1\r\nHost: local";
$slow->flush;
like(scalar(<$slow>) // '', qr/ 408 /, 'ends a head that does not come');
$n->stop;
done_testing;
