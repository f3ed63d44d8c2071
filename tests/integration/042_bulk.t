#!/usr/bin/perl
# 042_bulk.t: bulk over the wire: small bodies are checked whole, large ones run as they come;
# malformed lines, vanishing clients, memory, the indexing pressure, many connections.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/lib';
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use QdNode;
use Test::More;

sub items { my ($r) = @_; return map { my ($op) = keys %$_; {op => $op, %{$_->{$op}}} } @{$r->{json}{items}} }
sub found { my ($n, $id) = @_; return $n->get("/i/_doc/$id")->{status} == 200 }

my $n = QdNode->new('bulk', settings => {'http.max_content_length' => '2gb'});
$n->start;
is($n->put('/i', {settings => {'index.refresh_interval' => '-1', 'index.number_of_shards' => 2}})->{status}, 200, 'an index');

# every kind of operation and its shape
my $r = $n->post('/i/_bulk', <<'END');
{"index":{"_id":"1"}}
{"a":1}
{"create":{"_id":"1"}}
{"a":2}
{"update":{"_id":"1","_source":["b"]}}
{"doc":{"b":"x"}}
{"update":{"_id":"1"}}
{"doc":{"b":"x"}}
{"update":{"_id":"2"}}
{"doc":{"c":1},"upsert":{"u":1}}
{"update":{"_id":"3"}}
{"doc":{"c":1},"doc_as_upsert":true}
{"update":{"_id":"none"}}
{"doc":{"c":1}}
{"delete":{"_id":"none"}}
{"delete":{"_id":"3"}}
{"index":{}}
{"a":3}
{"index":{"_id":"v","version":7,"version_type":"external"}}
{}
{"index":{"_id":"v","version":7,"version_type":"external"}}
{}
{"index":{"_id":"1","if_seq_no":99,"if_primary_term":1}}
{}
{"index":{"_id":"p","pipeline":"none"}}
{}
{"index":{"_id":"p","pipeline":"_none"}}
{}
{"index":{"_id":"bad"}}
{"a":
{"index":{"_id":"twice"}}
{"a":1,"a":2}
END
is($r->{status}, 200, 'a mixed bulk');
like($r->{content}, qr/^\{"took":\d+,"ingest_took":\d+,"errors":true,"items":\[\{"index":\{"_index":"i","_id":"1","_version":1,"result":"created","_shards":\{"total":2,"successful":1,"failed":0\},"_seq_no":\d+,"_primary_term":1,"status":201\}\},/, 'its shape');
my @i = items($r);
my $statuses = join ' ', map { $_->{status} } @i;
is($statuses, '201 409 200 200 201 201 404 404 200 201 201 409 409 400 201 400 400', 'statuses');
is(join(' ', map { $_->{result} // $_->{error}{type} } @i),
    'created version_conflict_engine_exception updated noop created created document_missing_exception not_found '
    . 'deleted created created version_conflict_engine_exception version_conflict_engine_exception '
    . 'illegal_argument_exception created document_parsing_exception document_parsing_exception', 'results');
is_deeply($i[2]{get}{_source}, {b => 'x'}, '_source of an update');
is($i[1]{error}{index}, 'i', 'an error names the index');
like($i[1]{error}{shard}, qr/^[01]$/, 'and the shard');
is(length $i[1]{error}{index_uuid}, 22, 'and its uuid');
is(length $i[9]{_id}, 20, 'an id is made');
is_deeply($n->get('/i/_source/2')->{json}, {u => 1}, 'the upsert');

# bodies that are checked whole: nothing is applied
my %whole = (
    'no newline' => [qq({"index":{"_id":"w"}}\n{}), 'illegal_argument_exception', 'The bulk request must be terminated by a newline [\n]'],
    'no object' => [qq({"index":{"_id":"w"}}\n{}\n[1]\n), 'illegal_argument_exception', 'Malformed action/metadata line [3], expected START_OBJECT but found [START_ARRAY]'],
    'no field' => [qq({"index":{"_id":"w"}}\n{}\n{}\n), 'illegal_argument_exception', 'Malformed action/metadata line [3], expected FIELD_NAME but found [END_OBJECT]'],
    'unknown action' => [qq({"index":{"_id":"w"}}\n{}\n{"drop":{}}\n), 'illegal_argument_exception', 'Malformed action/metadata line [3], expected field [create], [delete], [index] or [update] but found [drop]'],
    'no metadata' => [qq({"index":{"_id":"w"}}\n{}\n{"index":1}\n{}\n), 'illegal_argument_exception', 'Malformed action/metadata line [3], expected START_OBJECT or END_OBJECT but found [VALUE_NUMBER]'],
    'unknown key' => [qq({"index":{"_id":"w"}}\n{}\n{"index":{"x":1}}\n{}\n), 'illegal_argument_exception', 'Action/metadata line [3] contains an unknown parameter [x]'],
    'no id' => [qq({"index":{"_id":"w"}}\n{}\n{"delete":{}}\n), 'action_request_validation_exception', 'Validation Failed: 1: id is missing;'],
    'nothing' => ["\n\n", 'action_request_validation_exception', 'Validation Failed: 1: no requests added;'],
    'an action alone' => [qq({"index":{}}\n), 'action_request_validation_exception', 'Validation Failed: 1: no requests added;'],
);
for my $what (sort keys %whole) {
    my ($body, $type, $reason) = @{$whole{$what}};
    $r = $n->post('/i/_bulk', $body);
    is($r->{status}, 400, "$what: refused");
    is($r->{json}{error}{type}, $type, "$what: type");
    is($r->{json}{error}{reason}, $reason, "$what: reason");
}
$r = $n->post('/i/_bulk', qq({"index":{"_id":"w"}}\n{}\n{"index":{"_id":"w","_id":"x"}}\n{}\n));
is($r->{status}, 400, 'a key twice');
$r = $n->post('/i/_bulk', qq({"index":{"_id":"w"}}\n{}\n{"index":{"_id":"\xff"}}\n{}\n));
is($r->{status}, 400, 'no UTF-8 in an action');
ok(!found($n, 'w'), 'nothing of these is applied');
$r = $n->post('/i/_bulk', qq({"index":{"_id":"u"}}\n{"a":"\xff"}\n{"index":{"_id":"y"}}\r\n{}\r\n\n));
is(join(' ', map { $_->{status} } items($r)), '400 201', 'no UTF-8 in a document fails its item');
is($n->post('/_bulk', qq({"index":{}}\n{}\n))->{json}{error}{reason}, 'Validation Failed: 1: index is missing;', 'no index');
is($n->post('/i/_bulk?filter_path=errors', qq({"index":{}}\n{}\n))->{content}, '{"errors":false}', 'filter_path');
like($n->post('/i/_bulk?pretty', qq({"index":{}}\n{}\n))->{content}, qr/^\{\n  "took" : \d+,\n  "errors" : false,\n  "items" : \[\n/, 'pretty');
$r = $n->post('/i/_bulk?refresh=true', qq({"index":{"_id":"r"}}\n{}\n));
ok($r->{json}{items}[0]{index}{forced_refresh}, 'forced_refresh');
$r = $n->post('/auto/_bulk', qq({"index":{"_id":"1"}}\n{}\n{"delete":{"_index":"missing","_id":"1"}}\n));
is(join(' ', map { $_->{status} } items($r)), '201 404', 'indices are made for documents, not for deletions');
is($r->{json}{items}[1]{delete}{error}{type}, 'index_not_found_exception', 'its error');

# several shards: their parts run on several workers, in order for each id
is($n->put('/many', {settings => {'index.number_of_shards' => 5}})->{status}, 200, 'an index of five shards');
my $turns = '';
for my $turn (1 .. 5) {
    $turns .= qq({"index":{"_id":"o$_"}}\n{"turn":$turn,"n":$_}\n) for 1 .. 400;
}
$r = $n->post('/many/_bulk', $turns . qq({"index":{"_id":"o1","if_seq_no":999999,"if_primary_term":1}}\n{}\n));
@i = items($r);
is(scalar @i, 2001, 'all items are answered');
my $wrong_order = grep { my $k = $_; $i[$k]{_id} ne 'o' . ($k % 400 + 1) || $i[$k]{_version} != int($k / 400) + 1 } 0 .. 1999;
is($wrong_order, 0, 'in order, each id with its versions 1 to 5');
is($i[2000]{status}, 409, 'a conflict among them');
my %left = map { $_->{_id} => $_->{_source}{turn} } map { $n->get("/many/_doc/$_")->{json} } qw(o1 o77 o400);
is(join(',', map { $left{$_} } sort keys %left), '5,5,5', 'the last one of an id wins');
$r = $n->post('/many/_bulk?refresh', join '', map { qq({"index":{}}\n{"made":$_}\n) } 1 .. 500);
my %made = map { $_->{_id} => 1 } items($r);
is(scalar keys %made, 500, 'ids are made');
is($n->get('/many/_count?q=made:*')->{json}{count}, 500, 'and all are found');

# a large body: what came before a malformed line stays and is acknowledged
my $doc = '{"t":"' . 'x' x 1000 . '"}';
my $body = join '', map { qq({"index":{"_id":"s$_"}}\n$doc\n) } 1 .. 3000;
$r = $n->post('/i/_bulk', $body . "[]\n" . qq({"index":{"_id":"after"}}\n{}\n));
is($r->{status}, 200, 'a malformed line in a large body');
@i = items($r);
is(scalar @i, 3001, 'items before it and one for the rest');
is($i[3000]{error}{reason}, 'Malformed action/metadata line [6001], expected START_OBJECT but found [START_ARRAY]', 'with its line');
is($i[3000]{status}, 400, 'and status');
ok($r->{json}{errors}, 'errors');
ok(found($n, 's1') && found($n, 's3000') && !found($n, 'after'), 'what came before is there, what came after is not');
$r = $n->post('/i/_bulk', $body . '{"index":{"_id":"after"}}' . "\n{}");
@i = items($r);
is($i[-1]{error}{reason}, 'The bulk request must be terminated by a newline [\n]', 'no newline at the end of a large body');
is(scalar @i, 3001, 'all others are acknowledged');

# a client that goes mid-body leaves whole documents or nothing
my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $n->{port}) or die;
my $gone = join '', map { qq({"index":{"_id":"g$_"}}\n{"n":$_,"t":"@{['y' x 500]}"}\n) } 1 .. 20000;
print $s "POST /i/_bulk HTTP/1.1\r\nContent-Type: application/x-ndjson\r\nContent-Length: " . (length($gone) + 10) . "\r\n\r\n";
print $s substr($gone, 0, length($gone) - 7);
close $s;
ok(!found($n, 'g20000'), 'the last, cut document is not there');
my $wrong = 0;
for my $k (map { $_ * 997 % 20000 + 1 } 1 .. 200) {
    my $g = $n->get("/i/_doc/g$k");
    $wrong++ if $g->{status} == 200 && ($g->{json}{_source}{n} != $k || length $g->{json}{_source}{t} != 500);
}
is($wrong, 0, 'what is there is whole');

# memory: a body much larger than what it may take
sub rss { my ($anon) = QdNode::slurp("/proc/$n->{pid}/status") =~ /RssAnon:\s+(\d+)/; return $anon / 1024 }
my $mb = $ENV{BULK_MB} || 200;
my $idle = rss();
my $peak = 0;
$s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $n->{port}) or die;
my $pid = fork // die;
my $lines = join '', map { qq({"index":{}}\n$doc\n) } 1 .. 1024;
my $rounds = int($mb * 1048576 / length $lines) + 1;
if ($pid == 0) { # the sender
    print $s "POST /big/_bulk?filter_path=errors HTTP/1.1\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\nContent-Length: "
        . $rounds * length($lines) . "\r\n\r\n";
    print $s $lines for 1 .. $rounds;
    POSIX::_exit(0);
}
my ($answer, $buf) = ('', '');
my $select = IO::Select->new($s);
for (;;) {
    if ($select->can_read(0.05)) { last if !sysread $s, $buf, 65536; $answer .= $buf }
    my $now = rss();
    $peak = $now if $now > $peak;
}
waitpid $pid, 0;
like($answer, qr/"errors":false/, "$mb MB in one request");
my $above = $peak - $idle;
SKIP: {
    skip 'a sanitizer keeps memory of its own', 1 if ($QdNode::OUT // '') =~ /san-/;
    cmp_ok($above, '<', 64, sprintf 'memory: %.0f MiB above idle, indexing buffers included', $above);
}
is($n->stop, 0, 'ends cleanly');

# the indexing pressure
my $p = QdNode->new('pressure', settings => {'indexing_pressure.memory.limit' => '1mb'});
$p->start;
$r = $p->put('/i/_doc/1', '{"t":"' . 'x' x 2_000_000 . '"}');
is($r->{status}, 429, 'a document over the limit');
is($r->{json}{error}{type}, 'es_rejected_execution_exception', 'its type');
is($p->put('/i/_doc/1', '{}')->{status}, 201, 'a small one goes');
$r = $p->post('/i/_bulk', join '', map { qq({"index":{"_id":"$_"}}\n$doc\n) } 1 .. 10000);
is($r->{status}, 200, 'a large bulk waits instead');
ok(!$r->{json}{errors}, 'and is applied');
is($p->stop, 0, 'ends cleanly');
done_testing;
