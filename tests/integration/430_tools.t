#!/usr/bin/perl
# 430_tools.t: what a person types first: the README's tour, `qd index` and `qd search`, ./quickstart from
# nothing, again, after an interrupted run, and on a port that is taken.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use QdNode;
use Test::More;

my $top = QdNode::top();
my $node = QdNode->new('tools');
$node->start;
my @url = ('--url', $node->url);
sub put { my ($name, $text) = @_; open my $f, '>', "$node->{dir}/$name" or die; print $f $text; close $f; "$node->{dir}/$name" }
sub sh { my $out = `$_[0] 2>&1`; return ($? >> 8, $out) }

# The tour: every indented line of its section, as printed but for port and folder; with its indentation, as who copies
# it from the file has it.
my ($tour) = QdNode::slurp("$top/README.md") =~ /^## A tour.*?\n(.*?)^## /ms;
my @blocks = grep { /^    \S/m } split /\n(?=\S)/, "\n$tour";
my ($curl) = grep { /curl -X PUT/ } @blocks;
$curl = join '', map { /^(    .*\n)/ ? $1 : () } split /^/, $curl;
$curl =~ s/localhost:9200/127.0.0.1:$node->{port}/g;
my ($rc, $out) = sh("set -e; cd '$top'; " . $curl =~ s/\bcurl /curl -s /gr);
is($rc, 0, 'the requests of the tour work');
unlike($out, qr/"error"|"errors":true/, '... without an error');
like($out, qr{<em>Searching</em>}, '... and find with a highlight') or diag $out;
like($out, qr/"key" : "Knuth"/, '... and aggregate');
like($out, qr/(?:green|yellow)\s+open\s+books\s+\S+\s+1\s+[01]\s+2/, '... and list the index') or diag $out;
my $more = put('more.jsonl', qq({"title": "The Sorcerer's Apprentice", "author": "Goethe", "year": 1797}\n));
my ($tools) = grep { /qd index/ } @blocks;
for my $line (grep { !/make install|segment check|--check-config/ } $tools =~ /^    (\S.*?)\s*(?:#.*)?$/mg) {
    (my $command = $line) =~ s/more\.jsonl/$more/;
    ($rc, $out) = sh("cd '$top' && QUIDDITCH_URL=" . $node->url . " $command");
    is($rc, 0, "tour: $line") or diag $out;
    like($out, qr/^1 documents, .* 0 errors$/m, '... tells its figures') if $line =~ /qd index/;
    like($out, qr/^2 hits .*title: The \*Sorcerer\*/ms, '... finds both') if $line =~ /qd search/;
}

# Lines that are refused are told with file and line; the others are there at once.
my $bad = put('bad.jsonl', <<'END');
{"t": "alpha one", "n": 1}
{"t": "alpha two", "n": 2}
no json
{"t": "alpha three", "n": "three"}

[1, 2]
{"t": "last", "n": 4}
END
($rc, $out) = $node->run_qd('index', 'lines', $bad, @url);
is($rc, 1, 'qd index with bad lines ends with 1');
like($out, qr/^3 documents, .* 3 errors$/m, '... counts what is there, and what is not');
like($out, qr/bad\.jsonl, line $_->[0]: .*$_->[1]/, "... names line $_->[0]")
    for [3, 'Unrecognized token'], [4, 'failed to parse field \[n\]'], [6, 'must start with an object'];
($rc, $out) = $node->run_qd('search', 'lines', 'alpha', 'one', @url);
like($out, qr/^2 hits in \d+ ms\n\n 1\. \S+  [\d.]+\n    t: \*alpha\* \*one\*\n    n: 1\n/, 'qd search shows hits by score');
($rc, $out) = $node->run_qd('search', 'lines', 'alpha', '--json', @url);
my $json = JSON::PP->new->utf8->decode($out);
is($json->{hits}{total}{value}, 2, '--json is the answer of the node');
ok(!grep({ exists $_->{highlight} } @{$json->{hits}{hits}}), '... of the search alone');
($rc, $out) = $node->run_qd('search', 'lines', 'alpha AND (', @url);
is($rc, 1, 'a query that cannot be read');
like($out, qr/^qd search: Failed to parse query \[alpha AND \(\]$/m, '... is told');
($rc, $out) = sh("cat '$bad' | '" . QdNode::qd() . "' index lines - --json @url");
like($out, qr/^\{"documents":3,"errors":3,/m, 'standard input, figures as JSON');
like($out, qr/standard input, line 3: /, '... by line');
($rc, $out) = $node->run_qd('index', 'Lines', $bad, @url);
like($out, qr/^0 documents, .* 6 errors$/m, 'a bad name: nothing is indexed');
($rc, $out) = $node->run_qd('index', 'lines', $bad, '--url', 'http://127.0.0.1:1');
like($out, qr/^qd index: no answer from http:\/\/127\.0\.0\.1:1: .*^0 documents/ms, 'no node: told, and nothing counted');
my $marked = put('marked.jsonl', "\xef\xbb\xbf{\"t\": 1}\r\n{\"t\": 2}");
($rc, $out) = $node->run_qd('index', 'marked', $marked, @url);
like($out, qr/^2 documents, .* 0 errors$/m, 'a mark of byte order, CRLF, no newline at the end');
# gzip, of one and of several members, from a file and a pipe; other forms and cut files are told
my $lines = join '', map { qq({"n": $_}\n) } 1 .. 50_000;
my $plain = put('plain.jsonl', $lines);
($rc, $out) = sh("cd '$node->{dir}' && gzip -k plain.jsonl && cat plain.jsonl.gz plain.jsonl.gz >two.gz && xz -k plain.jsonl && head -c 20000 plain.jsonl.gz >cut.gz");
is($rc, 0, 'compressed files') or diag $out;
for (['plain.jsonl.gz', 50_000], ['two.gz', 100_000], ['- <two.gz', 100_000]) {
    ($rc, $out) = sh("cd '$node->{dir}' && '" . QdNode::qd() . "' index packed $_->[0] @url");
    like($out, qr/^$_->[1] documents, .* 0 errors$/m, "qd index $_->[0]") or diag $out;
}
($rc, $out) = $node->run_qd('index', 'packed', "$plain.xz", @url);
is($rc, 64, 'another compression is refused');
like($out, qr/^qd index: \S+ is compressed by xz, only gzip is read: xz -dc /m, '... with what to do');
($rc, $out) = $node->run_qd('index', 'packed', "$node->{dir}/cut.gz", @url);
is($rc, 1, 'a file that was cut off');
like($out, qr/^qd index: \S+cut\.gz: the gzip data are cut off$/m, '... is told');
SKIP: {
    skip 'SKIPPED: script is not installed, no terminal', 4 if system('command -v script >/dev/null') != 0;
    for (['TERM=xterm', 1], ['TERM=xterm NO_COLOR=', 1], ['TERM=xterm NO_COLOR=1', 0], ['TERM=dumb', 0]) {
        $out = `env -u NO_COLOR $_->[0] script -qec '@{[QdNode::qd()]} health @url' /dev/null </dev/null`;
        is($out =~ /\e\[3/ ? 1 : 0, $_->[1], "$_->[0]: " . ($_->[1] ? 'colours' : 'no colours')) or diag $out;
    }
}
# All that a command line names is taken, however much it is; what is too long is refused, not cut.
my @each = map { put("each.$_.jsonl", qq({"f$_": "here"}\n)) } 1 .. 300;
($rc, $out) = $node->run_qd('index', 'each', @each, @url);
like($out, qr/^300 documents, .* 0 errors$/m, 'three hundred files');
($rc, $out) = $node->run_qd('search', 'each', 'f70:here', (map { ('--field', "f$_") } 1 .. 70), @url);
like($out, qr/^    f70: \*here\*$/m, 'seventy fields');
my $long = "\xc3\xa9" x 127; # 254 bytes, 762 in a path
($rc, $out) = $node->run_qd('index', $long, $each[0], @url);
is($rc, 0, 'an index with a long name') or diag $out;
($rc, $out) = $node->run_qd('search', $long, 'here', @url);
like($out, qr/^1 hits /, '... is searched');
for my $command (qw(index search)) {
    ($rc, $out) = $node->run_qd($command, 'x' x 9000, $each[0], @url);
    is($rc, 64, "qd $command: a name of 9,000 bytes is refused");
    like($out, qr/^qd $command: \[x{40}\.\.\.\] is too long: 9000 bytes$/m, '... as too long');
}

my $many = put('many.jsonl', join '', map { qq({"i": $_}\n) } 1 .. 3000);
SKIP: {
    skip 'there is no script', 2 if system('command -v script >/dev/null');
    ($rc, $out) = sh("script -qec '" . QdNode::qd() . " index many $many @url' /dev/null");
    like($out, qr/\r\e\[32m#{30}\e\[0m 100%  3000 documents  \d+\/s/, 'a terminal gets a bar');
    like($out, qr/^3000 documents, /m, '... and the figures');
}
$node->stop;

# quickstart: where nothing runs yet, on a folder of its own.
my $port = QdNode::free_port();
my $quick = "cd '$top' && QUICKSTART_HOME='$node->{dir}/quick' QUICKSTART_PORT=$port ./quickstart";
SKIP: {
    skip 'another build is tested', 1 if $QdNode::OUT ne "$top/build";
    my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => $port) or die;
    ($rc, $out) = sh("$quick < /dev/null");
    is($rc, 1, 'quickstart on a port that is taken');
    like($out, qr/address already in use [^\n]*\nanother port: QUICKSTART_PORT=/, '... says so');
    close $taken;
    ($rc, $out) = sh("$quick < /dev/null");
    is($rc, 0, 'quickstart') or diag $out;
    ok($out =~ /no packages here/ || $out =~ /0 errors\n.*hits in.*largest sections.*\[text editor\]/s,
        '... shows a search, an aggregation and a highlight') or diag $out;
    like($out, qr/Try next:\n\n  curl '/, '... and what to try next');
    my ($hint) = $out =~ /^  (\S*qd search .*)$/m;
    my ($hinted, $found) = sh("cd '$top' && $hint");
    ok($hinted == 0 && $found =~ /^\d+ hits/ || $out =~ /no packages here/, '... which works') or diag "$hint: $found";
    my ($at) = map { JSON::PP->new->decode($_) } HTTP::Tiny->new->get("http://127.0.0.1:$port/_nodes")->{content};
    is_deeply([map { $_->{transport_address} } values %{$at->{nodes}}], ['127.0.0.1:' . ($port + 100)], '... other nodes are listened for beside it');
    like((sh("$quick status"))[1], qr/^running/, '... and its node runs');
    my $count = sub { HTTP::Tiny->new->get("http://127.0.0.1:$port/packages/_count")->{content} };
    my $n = $count->();
    # As if the first run had been cut off: fewer documents than there are.
    HTTP::Tiny->new->post("http://127.0.0.1:$port/packages/_delete_by_query?refresh=true",
        {content => '{"query": {"prefix": {"package": "lib"}}}', headers => {'content-type' => 'application/json'}});
    ($rc, $out) = sh("$quick < /dev/null");
    is($rc, 0, 'again, with a part of the documents');
    is($count->(), $n, '... all are there');
    ($rc, $out) = sh("$quick < /dev/null");
    like($out, qr/runs already/, 'once more: the node runs already');
    like($out, qr/holds all \d+ packages already|no packages here/, '... and is left alone');
    is((sh("$quick stop"))[0], 0, 'stop');
    is((sh("$quick status"))[0], 3, 'status tells that it does not run');
    is((sh("$quick stop"))[0], 0, 'stop again is harmless');
}
done_testing;
