#!/usr/bin/perl
# 085_typed_documents.t: a front end, built against an installed copy, that writes and reads documents as typed values: they are
# what REST shows, byte for byte, and fail as by REST, on one node and over nodes that hold no copy; cancel, limits, counters.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use IO::Socket::INET;
use JSON::PP;
use QdCluster;
use QdNode;
use Test::More;
use Time::HiRes qw(time);
use Timed;
use Toys qw(installed_sdk build_outside);

my $top = QdNode::top();
my $dir = installed_sdk();
mkdir "$dir/$_", 0755 for qw(toy plugins);
copy("$top/tests/plugins/toy_documents.c", "$dir/toy/plugin.c") or die;
{
    open my $h, '>', "$dir/toy/Makefile" or die;
    print $h "PLUGIN = toy-documents\nSRCS = plugin.c\ninclude \$(shell pkg-config --variable=pluginmk quidditch)\n";
    close $h;
}
build_outside($dir, "$dir/toy", 'the front end is built against it');
copy("$dir/toy/toy-documents.so", "$dir/plugins/toy-documents.so") or die;
chmod 0644, "$dir/plugins/toy-documents.so";
my %with = ('plugins.path' => "$dir/plugins", 'plugins.allow' => 'coordination-raft,storage-nvme,toy-documents', 'plugins.allow_unstable' => 'true');

# --- the front end's client ---

my %TYPE = (object => 1, end => 2, array => 3, aend => 4, null => 5, bool => 6, int => 7, uint => 8, double => 9, string => 10, bytes => 11);
my %port;
sub hex_of { return length $_[0] ? unpack 'H*', $_[0] : '-' }
sub with_port { my $n = shift; $n->{settings}{'plugin.toy-documents.port'} = $port{ $n->{name} } = QdNode::free_port(); return $n }
# Sends a request; the call's status and its documents.
sub call {
    my ($n, $text) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port{ $n->{name} }) or die "front end: $!";
    print $s "$text\n\n";
    my (%r, @docs);
    while (my $line = <$s>) {
        chomp $line;
        last if $line eq '.';
        my ($word, $rest) = split / /, $line, 2;
        if ($word eq 'call') { $r{status} = $rest }
        elsif ($word eq 'doc') {
            my %d;
            @d{qw(status outcome index id routing seq_no term version copies good failed forced)} = split / /, $rest;
            $d{$_} = $d{$_} eq '-' ? '' : pack 'H*', $d{$_} for qw(id routing);
            push @docs, \%d;
        } elsif ($word eq 'error') { push @{ (@docs ? $docs[-1] : \%r)->{errors} }, $rest }
        elsif ($word eq 'v') {
            my ($type, $name, $t, $i, $f) = split / /, $rest;
            push @{ $docs[-1]{values} }, [$type, map({ $_ eq '-' ? '' : pack 'H*', $_ } $name, $t), $i, $f];
        } else { push @{ $r{$word} }, $rest }
    }
    return {%r, docs => \@docs};
}
sub v { my ($type, $name, $text) = @_; return "\nv " . ($TYPE{$type} // $type) . ' ' . hex_of($name // '') . ' ' . hex_of($text // '') }
sub doc { my ($op, $index, $id, @more) = @_; return "\ndoc $op $index " . hex_of($id) . join '', map { " $_" } grep { !/^\n/ } @more }
sub write_doc { my ($n, $id, @values) = @_; return call($n, 'write' . doc(1, 't', $id) . join '', @values)->{docs}[0] }
# The values of a read, as the lines that write them.
sub again { my $d = shift; return join '', map { v($_->[0], $_->[1], $_->[0] == $TYPE{bool} ? "$_->[3]" : $_->[2]) } @{ $d->{values} || [] } }
sub rest_error { my $e = shift->{json}{error}; my @all; for (; $e; $e = $e->{caused_by}) { push @all, "$e->{type}: $e->{reason}" } return \@all }

my $n = with_port(QdNode->new('ty', settings => {%with}));
$n->start;

# --- what is written is what REST shows ---

my @rich = (v('string', 's', "a \"b\"\n\xc3\xa9\x01"), v('bool', 'yes', 1), v('bool', 'no', 0), v('null', 'nothing'), v('int', 'i', '-9223372036854775808'),
    v('uint', 'u', '18446744073709551615'), v('double', 'd', '0.1'), v('double', 'big', '1e30'), v('bytes', 'blob', "\0\xff\x10"), v('object', 'o'), v('array', 'list'),
    v('object'), v('int', 'x', 1), v('end'), v('object'), v('int', 'x', 2), v('end'), v('aend'), v('string', 'a.b', 'dots'), v('end'), v('array', 'tags'), v('string', '', 'red'), v('string', '', 'blue'), v('aend'));
my $made = $n->put('/t', {mappings => {properties => {u => {type => 'keyword'}, blob => {type => 'keyword'}, n => {type => 'long'}}}});
is($made->{status}, 200, 'an index') or diag $made->{content};
my $d = write_doc($n, 'rich', @rich);
is("$d->{status} $d->{outcome} $d->{index} $d->{id} $d->{seq_no} $d->{term} $d->{version}", '201 1 t rich 0 1 1', 'a rich document') or diag explain $d;
my $text = $n->get('/t/_source/rich')->{content};
is($text, "{\"s\":\"a \\\"b\\\"\\n\xc3\xa9\\u0001\",\"yes\":true,\"no\":false,\"nothing\":null,\"i\":-9223372036854775808,\"u\":18446744073709551615,\"d\":0.1,\"big\":1.0E30,"
    . '"blob":"AP8Q","o":{"list":[{"x":1},{"x":2}],"a.b":"dots"},"tags":["red","blue"]}', 'its source, as JSON');
is($n->request('PUT', '/t/_doc/same', $text)->{status}, 201, 'the same by REST');
my $read = call($n, "read\ndoc t " . hex_of('rich') . "\ndoc t " . hex_of('same') . "\ndoc t " . hex_of('none'));
is_deeply($read->{docs}[0]{values}, $read->{docs}[1]{values}, 'both are read as the same values');
is(scalar @{ $read->{docs}[0]{values} }, scalar @rich, '... as many as were written');
is("$read->{docs}[2]{status} $read->{docs}[2]{outcome}", '404 4', 'one that is not there');
$d = write_doc($n, 'copy', again($read->{docs}[0]));
is($d->{status}, 201, 'what was read is written again') or diag explain $d;
is($n->get('/t/_source/copy')->{content}, $text, '... and is the same text');
my $m = $n->get('/t/_mapping')->{json}{t}{mappings}{properties};
is(join(',', map { "$_=$m->{$_}{type}" } qw(i d yes s)), 'i=long,d=float,yes=boolean,s=text', 'the mapping that it made');

# --- reads ---

$n->request('PUT', '/t/_doc/r?routing=here', ' { "a": {"b": 1, "c": [2, 3]}, "z": 1.50 } ');
$d = call($n, "read\ndoc t " . hex_of('r') . ' routing=here')->{docs}[0];
is("$d->{status} $d->{outcome} $d->{routing} $d->{version}", '200 5 here 1', 'routing');
is($d->{values}[-1][2], '1.50', 'a number has its digits');
$d = call($n, "read in=a.* ex=a.c\ndoc t " . hex_of('r') . ' routing=here')->{docs}[0];
is(join(' ', map { "$_->[0]:$_->[1]" } @{ $d->{values} }), '1:a 7:b 2:', 'patterns leave a part');
is(scalar @{ call($n, "read flags=1\ndoc t " . hex_of('r') . ' routing=here')->{docs}[0]{values} || [] }, 0, 'no values');
write_doc($n, 'now', v('int', 'n', 5));
is(call($n, "read\ndoc t " . hex_of('now'))->{docs}[0]{values}[0][3], 5, 'a read sees what no refresh has shown');

# --- what fails, fails as by REST ---

$d = write_doc($n, 'bad', v('string', 'n', 'seven'));
my $rest = $n->put('/t/_doc/bad', {n => 'seven'});
is($d->{status}, 400, 'a value that the mapping refuses');
is_deeply($d->{errors}, rest_error($rest), '... in the words of REST') or diag explain $d->{errors};
my $all = call($n, 'write refresh=1' . doc(2, 't', 'rich') . v('int', 'n', 1) . doc(1, 't', 'rich', 'if=99,1') . doc(1, 't', 'v', 'version=7,1') . v('int', 'n', 2) . doc(1, 't', 'v', 'version=7,1')
    . doc(1, 't', 'v', 'version=7,2') . doc(3, 't', 'now') . doc(3, 't', 'now') . doc(1, 't', '') . v('int', 'n', 3) . doc(1, 't', 'x', 'flags=4') . doc(1, 't', 'y') . v('double', 'd', 'nan') . doc(7, 't', 'z'));
is(join(' ', map { $_->{status} } @{ $all->{docs} }), '409 409 201 409 200 200 404 201 404 400 400', 'results one by one') or diag explain $all;
for my $case ([0, $n->put('/t/_create/rich', {n => 1})], [1, $n->put('/t/_doc/rich?if_seq_no=99&if_primary_term=1', {})], [3, $n->put('/t/_doc/v?version=7&version_type=external', {})], [8, $n->put('/t/_doc/x?require_alias=true', {})]) {
    is_deeply($all->{docs}[ $case->[0] ]{errors}, rest_error($case->[1]), "error $case->[0] in the words of REST") or diag explain $all->{docs}[ $case->[0] ], $case->[1]{content};
}
is($all->{docs}[9]{errors}[0], 'document_parsing_exception: failed to parse value [0] at [d]: DOUBLE is no finite number', 'a value that cannot be');
is($n->post('/t/_count', {query => {term => {n => 3}}})->{json}{count}, 1, 'the one with a made id is found');
is(length $all->{docs}[7]{id}, 20, '... by its id');
my $deep = write_doc($n, 'deep', v('array', 'l'), map({ v('array') } 1 .. 511), map({ v('aend') } 1 .. 512));
like($deep->{errors}[0], qr/failed to parse value \[511\] at \[l\]: the document has more than 512 levels/, 'too deep');
my $objects = write_doc($n, 'deep', map({ v('object', 'o') } 1 .. 30), v('int', 'x', 1), map({ v('end') } 1 .. 30));
$rest = $n->request('PUT', '/t/_doc/deep', '{"o":' x 30 . '{"x":1}' . '}' x 30);
is($rest->{status}, 400, 'objects deeper than the mapping allows');
is($objects->{status}, 400, '... fail');
is($n->put('/_cluster/settings', {persistent => {'action.auto_create_index' => 'false'}})->{status}, 200, 'no index is made by itself');
$d = call($n, 'write' . doc(1, 'missing', '1'))->{docs}[0];
is_deeply([$d->{status}, $d->{errors}], [404, rest_error($n->put('/missing/_doc/1', {}))], 'a missing index');
is(call($n, "read\ndoc missing 31")->{docs}[0]{errors}[0], rest_error($n->get('/missing/_doc/1'))->[0], '... of a read');
$n->put('/_cluster/settings', {persistent => {'action.auto_create_index' => undef}});
is(call($n, 'write' . doc(1, 'made', '1') . v('int', 'a', 1))->{docs}[0]{status}, 201, 'an index is made');
is($n->put('/made/_settings', {'index.blocks.write' => \1})->{status}, 200, 'a block');
$d = call($n, 'write' . doc(1, 'made', '1'))->{docs}[0];
is_deeply([$d->{status}, $d->{errors}], [403, rest_error($n->put('/made/_doc/1', {}))], '... refuses as by REST');

# --- the call ---

like(call($n, 'write')->{refused}[0], qr/call of documents: 1 to 10000 documents are wanted, found 0/, 'no documents');
like(call($n, 'write' . join '', map { doc(3, 't', $_) } 1 .. 10001)->{refused}[0], qr/1 to 10000 documents are wanted, found 10001/, 'too many');
my $many = call($n, 'write refresh=2' . join '', map { doc(1, 'many', "m$_") . v('int', 'i', $_) } 1 .. 5000);
is(scalar(grep { $_->{status} == 201 } @{ $many->{docs} }), 5000, '5000 documents');
is($n->get('/many/_count')->{json}{count}, 5000, 'are searchable, as the call waited for it');
my $begun = time;
$d = call($n, 'write copies=2 timeout=300' . doc(1, 't', 'w'))->{docs}[0];
is($d->{status}, 503, 'copies that are not there') or diag explain $d;
like($d->{errors}[0], qr/unavailable_shards_exception/, '... by name');
within(time - $begun, 5, 20, 'the timeout');
$begun = time;
my $c = call($n, 'write copies=2 cancel=200' . doc(1, 't', 'w'));
my $why = ($c->{errors} || $c->{docs}[0]{errors})->[0];
like($why, qr/^task_cancelled_exception/, 'a call that is cancelled') or diag explain $c;
within(time - $begun, 5, 20, 'its end');
is($n->get('/t/_doc/w')->{status}, 404, '... has written nothing');
$c = call($n, "read cancel=0\ndoc t " . hex_of('rich'));
ok($c->{status}, 'a read that is cancelled ends, too');
like($n->get('/metrics')->{content}, qr/api="bulk"[^\n]* [1-9]/, 'writes count as bulk') or diag join "\n", grep { /bulk/ } split /\n/, $n->get('/metrics')->{content};
is($n->stop, 0, 'the node stops');

# --- over nodes ---

my $cluster = QdCluster->new('tc', nodes => 3, settings => {%with});
with_port($_) for $cluster->nodes;
$cluster->start;
my ($one, $two, $three) = $cluster->nodes;
is($one->put('/s', {settings => {number_of_shards => 3, number_of_replicas => 0}})->{status}, 200, 'an index over three nodes');
ok($cluster->wait_status('green'), 'green') if $cluster->can('wait_status');
my $w = call($two, 'write refresh=1' . join '', map { doc(1, 's', "d$_") . v('int', 'i', $_) . v('string', 'w', "w$_") } 1 .. 60);
is(scalar(grep { $_->{status} == 201 && $_->{good} == 1 } @{ $w->{docs} }), 60, 'documents written by one node') or diag explain $w->{docs}[0];
my $bad = call($two, 'write' . join '', map { doc(1, 's', "e$_") . v('string', 'i', 'x') } 1 .. 6);
is(scalar(grep { $_->{status} == 400 && $_->{errors}[0] =~ /failed to parse field \[i\]/ } @{ $bad->{docs} }), 6, 'errors of other nodes');
my $got = call($three, 'read' . join '', map { "\ndoc s " . hex_of("d$_") } 1 .. 61);
is(join(',', map { $_->{values}[0][3] // '-' } @{ $got->{docs} }), join(',', 1 .. 60, '-'), 'are read by another one');
is_deeply([map { $_->{seq_no} } @{ $got->{docs} }[0 .. 59]], [map { $_->{seq_no} } @{ $w->{docs} }], '... with their numbers');
is($one->get('/s/_count')->{json}{count}, 60, 'and found');
$_->stop for $cluster->nodes;
done_testing;
