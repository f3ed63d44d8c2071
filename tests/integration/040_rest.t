#!/usr/bin/perl
# 040_rest.t: what HTTP clients meet: identities, media types, errors of requests that no API takes,
# headers, limits, framing.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/lib';
use IO::Compress::Gzip qw(gzip);
use IO::Socket::INET;
use IO::Uncompress::Gunzip qw(gunzip);
use QdNode;
use Test::More;

# Sends bytes, reads until the server closes.
sub raw {
    my ($node, $bytes) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $node->{port}) or die "connect: $!";
    local $SIG{PIPE} = 'IGNORE';
    print $s $bytes;
    $s->flush;
    local $/;
    my $all = <$s>;
    close $s;
    return $all // '';
}

my %golden = (
    'es7' => ['application/json; charset=UTF-8', 1],
    'es8' => ['application/json', 1],
    'es9' => ['application/json', 1],
    'os2' => ['application/json; charset=UTF-8', 0],
    'os3' => ['application/json; charset=UTF-8', 0],
    'es7.10.2' => ['application/json; charset=UTF-8', 0],
);
for my $id (sort keys %golden) {
    my $n = QdNode->new("id-$id", settings => {'compatibility.identity' => $id});
    $n->start;
    my ($type, $product) = @{$golden{$id}};
    my $typed = $id =~ /^es7/ ? '"_type":"_doc",' : '';
    my $r = $n->put('/i/_doc/1', '{"a":1}');
    is($r->{status}, 201, "$id: a document");
    is($r->{headers}{'content-type'}, $type, "$id: content type");
    is($r->{headers}{'x-elastic-product'}, $product ? 'Elasticsearch' : undef, "$id: product header");
    like($r->{content}, qr/^\{"_index":"i",${typed}"_id":"1","_version":1,"result":"created",/, "$id: shape");
    is($n->get('/nothing/_doc/1')->{headers}{'x-elastic-product'}, $product ? 'Elasticsearch' : undef,
        "$id: product header of an error");
    $r = $n->post('/_bulk', qq({"index":{"_index":"i","_id":"2"}}\n{}\n));
    like($r->{content}, qr/"errors":false,"items":\[\{"index":\{"_index":"i",${typed}"_id":"2"/, "$id: bulk");
    $r = $n->post('/_bulk', qq({"index":{"_index":"i","_type":"_doc","_id":"2"}}\n{}\n));
    is($r->{status}, $typed ? 200 : 400, "$id: _type in an action");
    my ($major) = $id =~ /^es(\d)$/;
    if ($major) {
        my $vendored = "application/vnd.elasticsearch+json; compatible-with=$major";
        $r = $n->request('POST', '/i/_doc/3', '{}', 'content-type' => $vendored, accept => $vendored);
        is($r->{status}, 201, "$id: vendored types");
        is($r->{headers}{'content-type'}, "application/vnd.elasticsearch+json;compatible-with=$major",
            "$id: vendored types come back");
        my $wrong = $major + 1;
        $r = $n->request('GET', '/i/_doc/3', undef, accept => "application/vnd.elasticsearch+json;compatible-with=$wrong");
        is($r->{status}, 400, "$id: a newer client");
        is($r->{json}{error}{type}, 'media_type_header_exception', "$id: its error");
        is($r->{json}{error}{caused_by}{reason},
            "Accept version must be either version $major or @{[$major - 1]}, but found $wrong. "
            . "Accept=application/vnd.elasticsearch+json;compatible-with=$wrong", "$id: its cause");
    }
    $n->stop;
}

my $n = QdNode->new('rest', settings => {'http.max_content_length' => '1mb'});
$n->start;
my $r = $n->request('POST', '/i/_doc', '{}', 'content-type' => 'application/x-www-form-urlencoded');
is($r->{status}, 406, 'a form is no document');
is($r->{content}, '{"error":"Content-Type header [application/x-www-form-urlencoded] is not supported","status":406}', 'as Elasticsearch says it');
like(raw($n, "POST /i/_doc HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"),
    qr/^HTTP\/1.1 406 .*"Content-Type header is missing"/s, 'no content type');
$r = $n->request('PATCH', '/i/_doc/1');
is($r->{status}, 405, 'wrong method');
is($r->{headers}{allow}, 'PUT, POST, GET, HEAD, DELETE', 'Allow');
is($r->{json}{error}, 'Incorrect HTTP method for uri [/i/_doc/1] and method [PATCH], allowed: [PUT, POST, GET, HEAD, DELETE]', 'its text');
$r = $n->request('OPTIONS', '/i/_doc/1');
is($r->{status}, 200, 'OPTIONS');
is($r->{headers}{allow}, 'PUT, POST, GET, HEAD, DELETE', 'OPTIONS: Allow');
$r = $n->get('/a/b/c/d/e?x=1');
is($r->{status}, 400, 'no handler');
is($r->{json}{error}, 'no handler found for uri [/a/b/c/d/e?x=1] and method [GET]', 'its text');
$r = $n->get('/i/_doc/1?realtme=true');
is($r->{status}, 400, 'unknown parameter');
is($r->{json}{error}{reason}, 'request [/i/_doc/1] contains unrecognized parameter: [realtme] -> did you mean [realtime]?', 'did you mean');
is($n->get('/i/_doc/%zz')->{status}, 400, 'broken escape');
is($n->get('/i/_doc/%ff')->{status}, 400, 'an id that is no UTF-8');
$r = $n->request('DELETE', '/i/_doc/1', '{}');
is($r->{status}, 400, 'a body where none belongs');
like($r->{json}{error}{reason}, qr/does not support having a body/, 'its text');
$r = $n->put('/i/_doc/1');
is($r->{json}{error}{reason}, 'request body is required', 'no body');

$r = $n->request('PUT', '/i/_doc/a%2Fb%20%C3%A4?routing=r', '{"f":1}', 'x-opaque-id' => 'me');
is($r->{status}, 201, 'a strange id');
is($r->{headers}{location}, '/i/_doc/a%2Fb+%C3%A4?routing=r', 'Location');
is($r->{headers}{'x-opaque-id'}, 'me', 'X-Opaque-Id comes back');
is($n->get('/i/_doc/a%2Fb+%C3%A4?routing=r')->{status}, 404, 'a plus in a path is a plus');
is($n->get('/i/_doc/a%2Fb%20%C3%A4?routing=r&index=other')->{json}{_index}, 'i', 'the path wins over parameters');
$r = $n->post('/i/_doc', '{}');
is($r->{headers}{location}, "/i/_doc/$r->{json}{_id}", 'Location of a new id');
is($n->put('/i/_doc/x', '{}')->{headers}{location}, '/i/_doc/x', 'created');
is($n->put('/i/_doc/x', '{}')->{headers}{location}, undef, 'not when updated');
$r = $n->head('/i/_doc/x');
is($r->{status}, 200, 'HEAD');
is($r->{content} // '', '', 'has no body');
is($n->head('/i/_doc/none')->{status}, 404, 'HEAD of nothing');
like($n->get('/i/_doc/x?pretty')->{content}, qr/^\{\n  "_index" : "i",\n.*\}\n\z/s, 'pretty');
is($n->get('/i/_doc/x?filter_path=_i*,-_id')->{content}, '{"_index":"i"}', 'filter_path');
$r = $n->request('POST', '/_mget?source=%7B%22docs%22%3A%5B%7B%22_index%22%3A%22i%22%2C%22_id%22%3A%22x%22%7D%5D%7D&source_content_type=application/json');
is($r->{json}{docs}[0]{found}, JSON::PP::true, 'the body as a parameter');

# gzip both ways
my $plain = '{"t":"' . 'x' x 5000 . '"}';
gzip(\$plain, \my $zipped);
is($n->request('PUT', '/i/_doc/z', $zipped, 'content-encoding' => 'gzip', 'content-type' => 'application/json')->{status}, 201, 'gzip in');
$r = $n->request('GET', '/i/_source/z', undef, 'accept-encoding' => 'gzip');
is($r->{headers}{'content-encoding'}, 'gzip', 'gzip out');
gunzip(\$r->{content}, \my $back);
is($back, $plain, 'the same');
is($n->request('PUT', '/i/_doc/z', substr($zipped, 0, -9), 'content-encoding' => 'gzip', 'content-type' => 'application/json')->{status}, 400, 'half a gzip body');
my $bomb = '{"t":"' . 'x' x 20_000_000 . '"}';
gzip(\$bomb, \my $small);
is($n->request('PUT', '/i/_doc/z', $small, 'content-encoding' => 'gzip', 'content-type' => 'application/json')->{status}, 413, 'a gzip bomb');
$r = $n->put('/i/_doc/z', '{"t":"' . 'x' x 3_000_000 . '"}');
is($r->{status}, 413, 'too large');

# framing, over the wire
my $end = "Connection: close\r\n\r\n";
my %bad = (
    'both lengths' => "POST /_bulk HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n$end",
    'two lengths' => "POST /_bulk HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n$end",
    'bare LF' => "GET /_bulk HTTP/1.1\n$end",
    'folded' => "GET /_bulk HTTP/1.1\r\nA: b\r\n c\r\n$end",
    'space before colon' => "GET /_bulk HTTP/1.1\r\nA : b\r\n$end",
    'NUL' => "GET /_bulk HTTP/1.1\r\nA: b\0\r\n$end",
    'long line' => 'GET /' . 'a' x 5000 . " HTTP/1.1\r\n$end",
    'large headers' => "GET / HTTP/1.1\r\nA: " . 'a' x 17000 . "\r\n$end",
    'many headers' => "GET / HTTP/1.1\r\n" . "A: b\r\n" x 101 . $end,
);
for my $what (sort keys %bad) {
    my $got = raw($n, $bad{$what} . "GET /smuggled HTTP/1.1\r\n\r\n");
    like($got, qr/^HTTP\/1.1 400 .*connection: close.*"status":400\}\z/s, "$what: 400 and the end");
}
my @answers = raw($n, ("GET /i/_doc/x HTTP/1.1\r\n\r\n" x 15) . "GET /i/_doc/x HTTP/1.1\r\n$end") =~ /HTTP\/1.1 200 OK/g;
is(scalar @answers, 16, 'sixteen requests in a row');
is($n->stop, 0, 'ends cleanly');
done_testing;
