#!/usr/bin/perl
# 042_bulk_cut.t: a bulk body that is too large, breaks off as it comes, or does not come on: the answer tells what of it
# was applied, so that a client can send the rest, and nothing twice.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Compress::Gzip qw(gzip);
use IO::Socket::INET;
use JSON::PP qw(decode_json);
use QdNode;
use Test::More;

my $n = QdNode->new('n1', settings => {'http.max_content_length' => '8mb'});
$n->start;
my $pad = 'x' x 1000;
sub lines { my ($k) = @_; return map { qq({"index":{}}\n{"n":$_,"pad":"$pad"}\n) } 1 .. $k }

# Sends a head and chunks (or a body as it is), reads the answer whatever becomes of the sending.
sub send_body {
    my ($path, $head, @parts) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $n->{port}) or die "connect: $!";
    local $SIG{PIPE} = 'IGNORE';
    print $s "POST $path HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n$head\r\n";
    for my $p (@parts) { last if !print $s $p }
    $s->flush;
    local $/;
    my $all = <$s> // '';
    my ($top, $body) = split /\r\n\r\n/, $all, 2;
    if (($top // '') =~ /transfer-encoding: chunked/i) { # its own framing
        my $plain = '';
        while ($body =~ s/^([0-9a-f]+)\r\n//i) { my $k = hex $1 or last; $plain .= substr $body, 0, $k; substr($body, 0, $k + 2) = '' }
        $body = $plain;
    }
    my ($status) = ($top // '') =~ /^HTTP\/1.1 (\d+)/;
    return {status => $status // 0, top => $top // '', json => scalar eval { decode_json($body) }};
}
sub chunked { my @c = map { sprintf("%x\r\n", length) . "$_\r\n" } @_; return (@c, "0\r\n\r\n") }
sub pieces { my ($text, $k) = @_; return $text =~ /(.{1,$k})/gs }
sub count { my ($i) = @_; $n->post("/$i/_refresh"); return $n->get("/$i/_count")->{json}{count} // 0 }

# What an answer says was applied, is there, and no more.
sub told {
    my ($r, $index, $status, $type, $what) = @_;
    is($r->{status}, $status, "$what: status $status");
    like($r->{top}, qr/^connection: close/mi, "$what: the connection ends");
    my $j = $r->{json};
    is($j->{status}, $status, "$what: in the body too");
    like($j->{error}{type}, $type, "$what: with an error");
    my @items = @{$j->{items} || []};
    my $last = pop @items;
    ok(@items > 0, "$what: items of what was applied (" . @items . ')');
    is((grep { $_->{index}{status} != 201 } @items), 0, "$what: all of them");
    is(count($index), scalar @items, "$what: as many documents are there");
    my ($v) = values %{$last || {}};
    is($v->{status}, $status, "$what: the last item has the status");
    my ($line) = ($v->{error}{reason} // '') =~ /nothing from line \[(\d+)\] on/;
    is($line, 2 * @items + 1, "$what: and the line from which on nothing was applied");
    return scalar @items;
}

my @all = lines(20000);
my $text = join '', @all;
my $done = told(send_body('/a/_bulk', "Transfer-Encoding: chunked\r\n", chunked(pieces($text, 60000))), 'a', 413, qr/content_too_long|too_large|entity/, 'chunked');
my $rest = join '', @all[$done .. $done + 3000];
is($n->post('/a/_bulk', $rest)->{status}, 200, 'the rest from that line on is taken');
is(count('a'), $done + 3001, 'and nothing is there twice');

my $zipped;
gzip(\$text => \$zipped);
told(send_body('/b/_bulk', "Content-Encoding: gzip\r\nContent-Length: " . length($zipped) . "\r\n", $zipped), 'b', 413, qr/./, 'inflated');
my $short = join '', @all[0 .. 6999];
my $r = send_body('/c/_bulk', "Transfer-Encoding: chunked\r\n", (map { sprintf("%x\r\n", length) . "$_\r\n" } pieces($short, 60000)), "zz\r\n");
told($r, 'c', 400, qr/./, 'a chunk that is none');

# a body whose rest does not come
is($n->put('/_cluster/settings', {persistent => {'http.read_timeout' => '1s'}})->{status}, 200, 'a short time for bodies');
told(send_body('/l/_bulk', "Transfer-Encoding: chunked\r\n", map { sprintf("%x\r\n", length) . "$_\r\n" } pieces($short, 60000)), 'l', 408, qr/./, 'late');
told(send_body('/m/_bulk', 'Content-Length: ' . (length($short) + 1) . "\r\n", $short), 'm', 408, qr/./, 'late, of a known length');
$r = send_body('/o/_bulk', "Transfer-Encoding: chunked\r\n", sprintf("%x\r\n", length $all[0]) . "$all[0]\r\n");
is($r->{status}, 408, 'late, and little');
is($r->{json}{items}, undef, 'no items');
is($n->get('/o')->{status}, 404, 'and nothing was applied');
is($n->put('/_cluster/settings', {persistent => {'http.read_timeout' => undef}})->{status}, 200, 'as before');

# nothing applied: the error alone
$r = send_body('/d/_bulk', 'Content-Length: ' . length($text) . "\r\n", $text);
is($r->{status}, 413, 'announced');
is($r->{json}{items}, undef, 'no items');
is($n->get('/d')->{status}, 404, 'and nothing was applied');
$n->restart;
is(count('a'), $done + 3001, 'what was told is there after a restart');
$n->stop;

my $small = QdNode->new('n2', settings => {'http.max_content_length' => '512kb'});
$n = $small;
$n->start;
$r = send_body('/e/_bulk', "Transfer-Encoding: chunked\r\n", chunked(pieces(join('', @all[0 .. 999]), 60000)));
is($r->{status}, 413, 'a body that is cut before anything was applied');
is($r->{json}{items}, undef, 'no items');
is($n->get('/e')->{status}, 404, 'no index');
$r = send_body('/e/_bulk?filter_path=items.*.status,status', "Transfer-Encoding: chunked\r\n", chunked(pieces(join('', @all[0 .. 999]), 60000)));
is($r->{status}, 413, 'filter_path hides no error');
$n->stop;
done_testing;
