#!/usr/bin/perl
# 044_other_sites.t: what a browser that shows somebody's page can do to a node: nothing is changed by
# pages of other sites, names that are not the node's are refused, http.cors.* lets chosen origins in.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/lib';
use IO::Socket::INET;
use JSON::PP qw(decode_json);
use QdNode;
use Test::More;

# One request with exactly these lines of a head: {status, head (names in lower case), content, json}.
sub ask {
    my ($node, $method, $target, $lines, $body) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $node->{port}) or die "connect: $!";
    my $head = join '', map { "$_\r\n" } @$lines;
    $head .= 'Content-Length: ' . length($body) . "\r\n" if defined $body;
    print $s "$method $target HTTP/1.1\r\nConnection: close\r\n$head\r\n" . ($body // '');
    $s->flush;
    local $/;
    my $all = <$s> // '';
    my ($top, $content) = split /\r\n\r\n/, $all, 2;
    my ($first, @rest) = split /\r\n/, $top // '';
    my %head = map { my ($k, $v) = split /: */, $_, 2; (lc $k => $v) } @rest;
    my ($status) = ($first // '') =~ /^HTTP\/1.1 (\d+)/;
    return {status => $status // 0, head => \%head, content => $content // '', json => scalar eval { decode_json($content) }};
}

my $json = 'Content-Type: application/json';
my $n = QdNode->new('n1', settings => {'http.allowed_hosts' => 'Search.Example.com,*.books.example'});
$n->start;
my $here = "Host: 127.0.0.1:$n->{port}";
is($n->put('/books/_doc/1?refresh=true', {a => 1})->{status}, 201, 'a document');

# --- names ---
for my $host ('evil.example.com', "evil.example.com:$n->{port}", '127.0.0.1.evil.com', 'n1.evil.com', 'localhost.com',
    'example.com', 'books.example', 'evil.svc.com', '[::1', '1.2.3', 'a b') {
    my $r = ask($n, 'GET', '/_cluster/health', ["Host: $host"]);
    is($r->{status}, 403, "Host [$host] is refused");
    is($r->{json}{error}{type}, 'security_exception', 'its type');
    is_deeply([@{$r->{json}{error}}{qw(header value)}], ['Host', $host], 'header and value are named');
    like($r->{json}{error}{reason}, qr/http\.allowed_hosts/, 'so is the setting');
}
for my $host ('127.0.0.1', $here =~ /: (.*)/, '[::1]:9200', '[fe80::1%25eth0]', '10.1.2.3', 'localhost', 'LOCALHOST:9200', 'localhost.', 'n1',
    'quidditch-coordination', 'quidditch-coordination:9200', 'quidditch.search.svc', 'quidditch.search.svc.cluster.local',
    'host.docker.internal', 'node.lan', 'nas.home.arpa', 'a.localhost', 'x.test', 'search.example.com', 'SEARCH.example.com:80',
    'a.books.example') {
    is(ask($n, 'GET', '/_cluster/health', ["Host: $host"])->{status}, 200, "Host [$host] is taken");
}
is(ask($n, 'GET', '/_cluster/health', [])->{status}, 200, 'no Host at all: no browser');
is(ask($n, 'GET', '/_cluster/health', [$here, 'Host: evil.com'])->{status}, 403, 'each of two names counts');
is(ask($n, 'GET', '/nothing/here/at/all', ['Host: evil.com'])->{status}, 403, 'what no API takes, too');
is(ask($n, 'GET', $_, ['Host: evil.com'])->{status}, 200, "a probe of $_ needs no name") for '/health', '/ready';
is(ask($n, 'GET', '/metrics', ['Host: evil.com'])->{status}, 403, '/metrics does');

# --- writes of other sites ---
my @attacks = (
    ['POST', '/*/_delete_by_query?q=*&refresh=true', '', []],
    ['POST', '/_aliases?source=%7B%22actions%22%3A%5B%7B%22remove_index%22%3A%7B%22index%22%3A%22books%22%7D%7D%5D%7D&source_content_type=application/json', '', []],
    ['POST', '/books/_doc?source=%7B%22a%22:1%7D&source_content_type=application/json&refresh=true', '', ['Content-Type: text/plain']],
    ['POST', '/books/_close', '', []],
    ['PUT', '/other', '{}', [$json]],
    ['DELETE', '/books', undef, []],
    ['POST', '/books/_pit?keep_alive=1d', '', []],
    ['POST', '/books/_bulk', qq({"index":{}}\n{"a":1}\n), [$json]],
    ['GET', '/_refresh', undef, []],
    ['GET', '/books/_search?scroll=24h', undef, []],
    ['POST', '/_search?size=1&s%63roll=1d', '{}', [$json]],
    ['POST', '/_cluster/settings', '', []],
);
my %foreign = (
    'an Origin' => ['Origin: http://evil.example.com'],
    'a frame without origin' => ['Origin: null'],
    'another port' => ["Origin: http://127.0.0.1:1"],
    'Sec-Fetch-Site' => ['Sec-Fetch-Site: cross-site'],
    'both' => ['Origin: http://evil.example.com', 'Sec-Fetch-Site: cross-site'],
    'another port of localhost' => ['Sec-Fetch-Site: same-site'],
);
for my $what (sort keys %foreign) {
    for my $a (@attacks) {
        my ($method, $target, $body, $more) = @$a;
        my $r = ask($n, $method, $target, [$here, @{$foreign{$what}}, @$more], $body);
        next if $method eq 'POST' && $target eq '/_cluster/settings' && is($r->{status}, 405, "$what: $method $target is no request");
        is($r->{status}, 403, "$what: $method " . substr($target, 0, 40));
        is($r->{json}{error}{type}, 'security_exception', 'its type');
        like($r->{json}{error}{header} // '', qr/^(Origin|Sec-Fetch-Site)$/, 'its header');
        like($r->{json}{error}{reason} // '', qr/http\.cors/, 'the settings that allow it');
    }
}
is($n->get('/_count')->{json}{count}, 1, 'nothing was deleted, nothing written');
is($n->get('/other')->{status}, 404, 'no index was made');

for my $lines (['Origin: http://evil.example.com'], ['Sec-Fetch-Site: cross-site']) {
    is(ask($n, 'GET', '/books/_search', [$here, @$lines])->{status}, 200, "@$lines: a read is answered");
    is(ask($n, 'POST', '/books/_search', [$here, $json, @$lines], '{"size":0}')->{status}, 200, 'a search with a body, too');
    my $r = ask($n, 'GET', '/books/_search', [$here, @$lines]);
    is($r->{head}{'access-control-allow-origin'}, undef, 'but a page may not read it');
}
my $own = "Origin: http://127.0.0.1:$n->{port}";
is(ask($n, 'POST', '/books/_refresh', [$here, @$_], '')->{status}, 200, "taken: @$_")
    for [], [$own], [$own, 'Sec-Fetch-Site: same-origin'], ['Sec-Fetch-Site: none'],
    ['Origin: https://ui.example.com', 'Sec-Fetch-Site: same-origin']; # a proxy that writes its own Host
is(ask($n, 'POST', '/books/_refresh', ['Host: search.example.com', 'Origin: https://search.example.com'], '')->{status}, 200,
    'a page behind a proxy that keeps the Host');
$n->stop;

# --- CORS ---
sub cors {
    my ($name, %s) = @_;
    my $c = QdNode->new($name, settings => {'http.cors.enabled' => 'true', %s});
    $c->start;
    $c->put('/books/_doc/1?refresh=true', {a => 1});
    return ($c, "Host: 127.0.0.1:$c->{port}");
}

my ($c, $at) = cors('any', 'http.cors.allow-origin' => '*');
my $r = ask($c, 'GET', '/_cluster/health', [$at, 'Origin: http://x']);
is($r->{status}, 200, 'any origin');
is($r->{head}{'access-control-allow-origin'}, '*', 'is allowed');
is($r->{head}{'access-control-expose-headers'}, 'X-elastic-product', 'what scripts see of the head');
is(ask($c, 'POST', '/books/_doc?refresh=true', [$at, $json, 'Origin: http://x', 'Sec-Fetch-Site: cross-site'], '{}')->{status}, 201, 'and writes');
is(ask($c, 'GET', '/books/_doc/none', [$at, 'Origin: http://x'])->{head}{'access-control-allow-origin'}, '*', 'a 404 has it');
is(ask($c, 'GET', '/books/_search?x=1', [$at, 'Origin: http://x'])->{head}{'access-control-allow-origin'}, '*', 'a 400 has it');
is(ask($c, 'OPTIONS', '/books/_doc/1', [$at, 'Origin: http://x'])->{head}{'access-control-allow-origin'}, '*', 'OPTIONS has it');
is(ask($c, 'GET', '/_cluster/health', [$at])->{head}{'access-control-allow-origin'}, undef, 'no Origin, no line');
is(ask($c, 'GET', '/_cluster/health', ['Host: evil.com', 'Origin: http://x'])->{status}, 403, 'a foreign name stays refused');
$r = ask($c, 'OPTIONS', '/books/_search', [$at, 'Origin: http://x', 'Access-Control-Request-Method: POST']);
is($r->{status}, 200, 'preflight');
is($r->{content}, '', 'without a body');
is($r->{head}{'access-control-allow-origin'}, '*', 'its origin');
is($r->{head}{'access-control-allow-methods'}, 'OPTIONS, HEAD, GET, POST, PUT, DELETE', 'its methods');
is($r->{head}{'access-control-allow-headers'},
    'X-Requested-With, Content-Type, Content-Length, Authorization, Accept, User-Agent, X-Elastic-Client-Meta', 'its headers');
is($r->{head}{'access-control-max-age'}, '1728000', 'its age');
is($r->{head}{'access-control-allow-credentials'}, undef, 'no credentials');
is($r->{head}{vary}, undef, 'the same for all origins');
$c->stop;

($c, $at) = cors('some', 'http.cors.allow-origin' => 'http://ui.example.com:5601,https://b.example', 'http.cors.allow-credentials' => 'true',
    'http.cors.max-age' => 60, 'http.cors.allow-methods' => 'GET,POST', 'http.cors.allow-headers' => 'X-A,Content-Type',
    'http.cors.expose-headers' => 'X-elastic-product,Location');
for my $origin ('http://ui.example.com:5601', 'https://b.example') {
    $r = ask($c, 'GET', '/_cluster/health', [$at, "Origin: $origin"]);
    is($r->{head}{'access-control-allow-origin'}, $origin, "$origin is allowed");
    is($r->{head}{vary}, 'Origin', 'answers differ by origin');
    is($r->{head}{'access-control-allow-credentials'}, 'true', 'with credentials');
    is($r->{head}{'access-control-expose-headers'}, 'X-elastic-product, Location', 'what scripts see');
    is(ask($c, 'POST', '/books/_refresh', [$at, "Origin: $origin", 'Sec-Fetch-Site: cross-site'], '')->{status}, 200, 'it writes');
}
$r = ask($c, 'OPTIONS', '/x', [$at, 'Origin: https://b.example', 'Access-Control-Request-Method: PUT', 'Access-Control-Request-Headers: x-a']);
is_deeply([@{$r->{head}}{map { "access-control-$_" } qw(allow-origin allow-methods allow-headers max-age allow-credentials)}],
    ['https://b.example', 'GET, POST', 'X-A, Content-Type', '60', 'true'], 'preflight by the settings');
for my $method ('GET', 'POST', 'OPTIONS') {
    $r = ask($c, $method, '/books/_search', [$at, 'Origin: http://evil.example.com', $method eq 'OPTIONS' ? 'Access-Control-Request-Method: GET' : ()]);
    is($r->{status}, 403, "$method of another origin");
    is($r->{head}{'access-control-allow-origin'}, undef, 'without the line');
    is($r->{json}{error}{value}, 'http://evil.example.com', 'the error names the value');
}
is(ask($c, 'GET', '/_cluster/health', [$at, "Origin: http://127.0.0.1:$c->{port}"])->{status}, 200, "the node's own origin");
$c->stop;

($c, $at) = cors('pattern', 'http.cors.allow-origin' => '/https?:\/\/localhost(:[0-9]+)?/');
is(ask($c, 'GET', '/', [$at, "Origin: $_"])->{head}{'access-control-allow-origin'}, $_, "$_ matches")
    for 'http://localhost', 'https://localhost:5601';
is(ask($c, 'GET', '/', [$at, "Origin: $_"])->{status}, 403, "$_ does not")
    for 'http://localhost.evil.com', 'xhttp://localhost', 'http://localhost:5601/';
$c->stop;

($c, $at) = cors('none');
is(ask($c, 'GET', '/', [$at, 'Origin: http://x'])->{status}, 403, 'enabled without origins: none');
$c->stop;

my $bad = QdNode->new('bad', settings => {'http.cors.enabled' => 'true', 'http.cors.allow-origin' => '/(/'});
$bad->launch;
isnt($bad->wait_end, 0, 'a pattern that is none ends the start');
like($bad->log_text . $bad->stderr_text, qr/http\.cors\.allow-origin/, 'by its name');
done_testing;
