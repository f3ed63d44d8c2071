#!/usr/bin/perl
# 043_hostile.t: clients that mean no good, or do not know: bodies that together do not fit in memory,
# answers that are not read, bodies that drip, half-closed connections, thousands of requests at once,
# queries made to explode. Another client works on meanwhile, and memory comes back.
# Runs alone: bodies wait in the middle for as long as the node waits for them.
use strict;
use warnings;
use Compress::Zlib ();
use File::Basename qw(dirname);
use HTTP::Tiny;
use lib dirname(__FILE__) . '/lib';
use IO::Socket::INET;
use JSON::PP ();
use QdNode;
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;

my $n = QdNode->new('hostile', settings => {
    'node.memory' => '256mb', 'http.read_timeout' => '2s', 'thread_pool.write.size' => 1,
    'thread_pool.search.size' => 2,
});
$n->start;
sub connected {
    my ($node, $small) = @_;
    my $s = IO::Socket::INET->new(Proto => 'tcp') or die;
    socket $s, Socket::PF_INET(), Socket::SOCK_STREAM(), 0 or die;
    setsockopt $s, SOL_SOCKET, SO_RCVBUF, $small if $small;
    connect $s, Socket::pack_sockaddr_in($node->{port}, Socket::inet_aton('127.0.0.1')) or die "connect: $!";
    binmode $s;
    $s->autoflush(1);
    return $s;
}
sub all { my ($s) = @_; my ($t, $b) = (''); $t .= $b while sysread $s, $b, 65536; return $t }
sub answers { my ($s) = @_; return all($s) =~ m{^HTTP/1.1 (\d+)}g }
sub unchunked { my ($t) = @_; my $r = ''; while ($t =~ s/^([0-9a-f]+)\r\n//) { last if !hex $1; $r .= substr $t, 0, hex $1, ''; $t =~ s/^\r\n// } return $r }
sub rss { my ($anon) = QdNode::slurp("/proc/$n->{pid}/status") =~ /RssAnon:\s+(\d+)/; return $anon / 1024 }
sub breaker { my ($name) = @_; my ($s) = values %{$n->get('/_nodes/stats/breaker')->{json}{nodes}}; return $s->{breakers}{$name} }
local $SIG{PIPE} = 'IGNORE';

is($n->put('/i', {settings => {'index.number_of_shards' => 1, 'index.number_of_replicas' => 0},
    mappings => {properties => {t => {type => 'text'}, k => {type => 'keyword'}}}})->{status}, 200, 'an index');
is($n->put('/i/_doc/1?refresh=true', {t => 'hello world', k => 'a'})->{status}, 201, 'a document');

# bodies in flight: 128 MB of them are allowed (256 MB with the overhead of 2); each waits for its end
my @held;
my $mb = 30;
for (1 .. 8) {
    my $s = connected($n);
    print $s "POST /i/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: @{[$mb << 20]}\r\n\r\n{\"query\":";
    print $s ' ' x 1048576 for 1 .. $mb - 1;
    push @held, $s;
}
my $refused = 0;
for my $s (@held) { # who was refused has its answer by now, the others wait for the rest of the body
    my ($in, $text) = ('', '');
    vec($in, fileno $s, 1) = 1;
    next if !select $in, undef, undef, 0.3;
    sysread $s, $text, 4096;
    next if $text !~ /^HTTP/;
    $refused++;
    like($text, qr{^HTTP/1.1 429 .*"type":"circuit_breaking_exception","reason":"\[in_flight_requests\] Data too large, data for \[<http_request>\] would be \[\d+/}s, 'refused in its words') if $refused == 1;
}
cmp_ok($refused, '>=', 4, "more than fit are refused: $refused of 8");
cmp_ok(rss(), '<', 256, sprintf 'memory stays within the limit: %.0f MiB', rss());
is($n->get('/_cluster/health')->{status}, 200, 'others are served');
is($n->post('/i/_search', {query => {match => {t => 'hello'}}})->{json}{hits}{total}{value}, 1, 'and search');
is($n->put('/i/_doc/2', {t => 'x'})->{status}, 201, 'and write');
cmp_ok(breaker('in_flight_requests')->{tripped}, '>=', 4, 'the breaker counts');
cmp_ok(breaker('in_flight_requests')->{estimated_size_in_bytes}, '>', 100_000_000, 'and tells what it holds');
close $_ for @held;
ok($n->wait_for(sub { breaker('in_flight_requests')->{estimated_size_in_bytes} < 10_000_000 }), 'it is given back');
ok($n->wait_for(sub { rss() < 100 }), sprintf 'to the system too: %.0f MiB', rss());
is($n->put('/_cluster/settings', {transient => {'network.breaker.inflight_requests.limit' => '2mb'}})->{status}, 200, 'the limit is dynamic');
is($n->post('/i/_search', '{"query":{"match_all":{}}}' . ' ' x 3_000_000)->{status}, 429, 'less than that now');
is($n->put('/_cluster/settings', {transient => {'network.breaker.inflight_requests.limit' => undef}})->{status}, 200, 'back');
is($n->post('/i/_search', '{"query":{"match_all":{}}}' . ' ' x 3_000_000)->{status}, 200, 'and it fits');

# an answer that nobody reads holds no worker: there is but one for writes
my $bulk = join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_}\n) } 1 .. 60_000;
my $slow = connected($n, 4096);
print $slow "POST /b/_bulk HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-ndjson\r\nContent-Length: " . length($bulk) . "\r\n\r\n$bulk";
ok($n->wait_for(sub { ($n->post('/b/_refresh', '')->{status} == 200) && ($n->get('/b/_count')->{json}{count} // 0) == 60_000 }), 'a bulk is applied');
is($n->put('/i/_doc/3', {t => 'y'})->{status}, 201, 'its client reads no answer, others write');
my $text = all($slow);
my ($head, $rest) = split /\r\n\r\n/, $text, 2;
my $answer = JSON::PP::decode_json(unchunked($rest));
is(scalar @{$answer->{items}}, 60_000, 'then it reads: the answer is whole');
is($answer->{items}[59_999]{index}{_id}, '60000', 'to its last item');

# compressed, in pieces
my $s = connected($n);
print $s "POST /b/_bulk HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: gzip\r\nContent-Type: application/x-ndjson\r\nContent-Length: " . length($bulk) . "\r\n\r\n$bulk";
($head, $rest) = split /\r\n\r\n/, all($s), 2;
like($head, qr/transfer-encoding: chunked/i, 'a long answer comes in pieces');
like($head, qr/content-encoding: gzip/i, 'compressed');
my $zipped = unchunked($rest);
$answer = JSON::PP::decode_json(Compress::Zlib::memGunzip($zipped));
is(scalar @{$answer->{items}}, 60_000, 'one gzip stream over all of them');
cmp_ok(length $zipped, '<', 2_000_000, 'and short');

# gzip bodies
my $web = HTTP::Tiny->new;
sub coded {
    my ($coding, $body, $path) = @_;
    return $web->post($n->url . ($path // '/i/_search'), {content => $body,
        headers => {'content-encoding' => $coding, 'content-type' => 'application/json'}});
}
sub zipped { return coded('gzip', @_) }
my $half = Compress::Zlib::memGzip('{"size"');
is(zipped(Compress::Zlib::memGzip('{"size":0}'))->{status}, 200, 'a gzip body');
is(zipped($half . Compress::Zlib::memGzip(':0}'))->{status}, 200, 'of two members');
is(zipped($half)->{status}, 400, 'half a document');
is(zipped(Compress::Zlib::memGzip('{"size":0}') . 'x')->{status}, 400, 'with something behind it');
is(zipped(substr Compress::Zlib::memGzip('{"size":0}'), 0, -5)->{status}, 400, 'cut short');
is(coded('br', '{}')->{status}, 415, 'an unknown coding');
is(coded('identity', '{"size":0}')->{status}, 200, 'none');
my $bomb = Compress::Zlib::memGzip(' ' x (150 << 20));
is(zipped($bomb, $_)->{status}, 413, "a bomb at $_") for '/i/_search', '/_bulk';

# connections
sub said { my ($text, $shut) = @_; my $s = connected($n); print $s $text; shutdown $s, 1 if $shut; return all($s) }
my $post = "POST /i/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{\"size\":0}";
like(said($post, 1), qr/^HTTP\/1.1 200 .*"timed_out"/s, 'who has shut down its side still gets its answer');
my @both = said($post x 3, 1) =~ /HTTP\/1.1 200/g;
is(scalar @both, 3, 'and all of several');
is(said(substr($post, 0, -1), 1), '', 'but half a request gets none');
like(said("GET http://some.where:1/_cluster/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), qr/^HTTP\/1.1 200 /, 'a target in absolute form');
like(said("GET http://some.where HTTP/1.1\r\nHost: x\r\n\r\n"), qr/^HTTP\/1.1 400 /, 'one without a path');
$s = connected($n);
print $s "POST /i/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
my $dripped = 0;
for (1 .. 60) { # a byte now and then does not keep a body alive
    my $in = '';
    vec($in, fileno $s, 1) = 1;
    last if select $in, undef, undef, 0.1;
    print $s ' ';
    $dripped++;
}
like(all($s), qr/^HTTP\/1.1 408 /, "a body that drips ends by the time-out, after $dripped bytes");
my @many = map { my $c = connected($n); print $c "GET / HTTP/1.1\r\nHo"; $c } 1 .. 500;
is($n->get('/_cluster/health')->{status}, 200, 'with 500 heads begun others are served');
is(scalar(grep { (answers($_))[0] == 408 } @many), 500, 'all of them end by the time-out');
my $pid = fork // die;
if ($pid == 0) { # 10,000 requests at once
    my $c = connected($n);
    if (!fork) { print $c "GET / HTTP/1.1\r\nHost: x\r\n\r\n" x 9_999 . "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"; POSIX::_exit(0) }
    my @ok = all($c) =~ m{HTTP/1.1 200}g;
    POSIX::_exit(@ok == 10_000 ? 0 : 1);
}
is($n->get('/_cluster/health')->{status}, 200, 'beside 10,000 pipelined requests another one');
waitpid $pid, 0;
is($?, 0, 'and each of them is answered');

# queries made to explode
sub query { my ($q) = @_; my $r = $n->post('/i/_search', {query => $q}); return ($r->{status}, $r->{json}{error}{root_cause}[0]{reason} // $r->{content}) }
my ($status, $reason) = query({match_phrase => {t => 'hello ' x 1_000_000}});
is($status, 400, 'a phrase of a million words');
like($reason, qr/maxClauseCount is set to/, 'is more than a query may have clauses');
($status, $reason) = query({match => {t => 'hello ' x 1_000_000}});
is($status, 400, 'so is a match');
for my $q ({regexp => {k => '(a?){900}a{900}'}}, {regexp => {k => '((a{100}){100}){100}'}}, {wildcard => {k => '*?' x 300}}) {
    ($status, $reason) = query($q);
    is($status, 400, 'an automaton that explodes');
    like($reason, qr/Determinizing/, 'says so');
}
ok($n->wait_for(sub { rss() < 150 }), sprintf 'memory comes back: %.0f MiB', rss());
is($n->stop, 0, 'ends cleanly');

# eight clients at once against a small indexing pressure: they wait, nothing goes over the limit
my $p = QdNode->new('pressed', settings => {'indexing_pressure.memory.limit' => '1mb'});
$p->start;
sub pressure { my ($s) = values %{$p->get('/_nodes/stats/indexing_pressure')->{json}{nodes}}; return $s->{indexing_pressure}{memory} }
my $part = join '', map { qq({"index":{}}\n{"t":"@{['word ' x 100]}"}\n) } 1 .. 8000;
my @clients;
for my $k (1 .. 8) {
    my $pid = fork // die;
    if ($pid == 0) {
        my $r = $p->post("/i$k/_bulk?filter_path=errors", $part);
        POSIX::_exit($r->{status} == 200 && $r->{content} eq '{"errors":false}' ? 0 : 1);
    }
    push @clients, $pid;
}
my ($most, $busy, $looks) = (0, 0, 0);
while ($looks < 20) {
    my $now = pressure()->{current}{all_in_bytes};
    $most = $now if $now > $most;
    $busy++ if $now;
    $looks++;
}
my $r = $p->put('/i/_doc/1', '{"t":"' . 'x' x 2_000_000 . '"}');
is($r->{status}, 429, 'a document over the limit');
is($r->{json}{error}{type}, 'es_rejected_execution_exception', 'in its words');
my $failed = 0;
for (@clients) { waitpid $_, 0; $failed++ if $? }
is($failed, 0, 'eight bulks of 4 MB pass');
cmp_ok($most, '<=', 1048576, "within the limit ($most bytes at most, $busy looks)");
my $memory = pressure();
is($memory->{limit_in_bytes}, 1048576, 'the limit is told');
is($memory->{current}{all_in_bytes}, 0, 'nothing is left');
cmp_ok($memory->{total}{coordinating_in_bytes}, '>', 8 * 4_000_000, 'what passed is counted');
is($memory->{total}{coordinating_rejections}, 1, 'and what was refused');
is($p->stop, 0, 'ends cleanly');
done_testing;
