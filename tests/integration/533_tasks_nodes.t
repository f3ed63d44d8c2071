# A search over nodes is a tree of tasks: seen from any node, cancelled from any node, and gone with the
# client that wanted it.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use IO::Socket::INET;
use JSON::PP ();

my $c = QdCluster->new('k', nodes => 3);
$c->start;
my @n = $c->nodes;
is($n[0]->put('/b', { settings => { number_of_shards => 3, number_of_replicas => 0 }, mappings => { properties => { k => { type => 'keyword' } } } })->{status}, 200, 'an index on three nodes');
ok($c->wait_status('green'), 'green');
for my $b (1 .. 12) {
    my $r = $n[$b % 3]->post('/b/_bulk', join '', map { qq({"index":{}}\n{"k":"$b-$_"}\n) } 1 .. 1000);
    fail('bulk') if $r->{status} != 200 || $r->{json}{errors};
}
$n[0]->post('/b/_refresh');
my $id = { map { $_->{name} => $_->{id} } @{ $n[0]->get('/_cat/nodes?h=name,id&full_id=true&format=json')->{json} } };

# some minutes of work: each bucket fetches documents, many times over
my $search = JSON::PP->new->canonical->encode({ size => 0, aggs => { a => { terms => { field => 'k', size => 20000, shard_size => 20000 }, aggs => { h => { top_hits => { size => 3 } } } } } });
my $work = "{}\n$search\n" x 300;

sub begin {
    my ($node, $name) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => $node->{host}, PeerPort => $node->{port}) or die "connect: $!";
    print $s "POST /b/_msearch HTTP/1.1\r\nHost: x\r\nX-Opaque-Id: $name\r\nContent-Type: application/x-ndjson\r\nContent-Length: " . length($work) . "\r\n\r\n$work";
    $s->flush;
    return $s;
}
# All tasks of the work of that name: its root, and what hangs below.
sub tree {
    my ($from, $name) = @_;
    my @all = map { values %{ $_->{tasks} } } values %{ $from->get('/_tasks?detailed')->{json}{nodes} || {} };
    my %in = map { ("$_->{node}:$_->{id}" => 1) } grep { ($_->{headers}{'X-Opaque-Id'} // '') eq $name } @all;
    for (1 .. 4) { $in{"$_->{node}:$_->{id}"} = 1 for grep { $in{ $_->{parent_task_id} // '' } } @all }
    return grep { $in{"$_->{node}:$_->{id}"} } @all;
}
sub spread { my %on = map { $_->{node} => 1 } @_; return scalar keys %on }

# --- cancelled by its id, through a node that has no part in it
my $s = begin($n[0], 'first');
my @tasks;
ok($n[1]->wait_for(sub { @tasks = tree($n[1], 'first'); spread(@tasks) == 3 }, 120), 'from another node: tasks of the search on all nodes');
my ($root) = grep { !$_->{parent_task_id} } @tasks;
is($root->{node}, $id->{k0}, 'their root is where the client asked');
is($root->{action}, 'indices:data/read/msearch', 'and says what it is');
ok((grep { $_->{node} ne $id->{k0} && $_->{action} eq 'indices:data/read/search[phase/query]' && $_->{parent_task_id} =~ /^\Q$id->{k0}\E:\d+$/ } @tasks), 'parts on other nodes name their parent');
my ($own) = grep { $_->{action} =~ /msearch/ } values %{ $n[2]->get('/_tasks?group_by=parents&actions=*search*')->{json}{tasks} };
ok($own && @{ $own->{children} || [] }, 'grouped by parents they hang below it');
is($n[2]->get("/_tasks/$root->{node}:$root->{id}")->{json}{task}{id}, $root->{id}, 'one task, asked for at another node');
my $r = $n[2]->post("/_tasks/$root->{node}:$root->{id}/_cancel");
is($r->{json}{nodes}{ $id->{k0} }{tasks}{"$root->{node}:$root->{id}"}{cancelled}, JSON::PP::true, 'cancelled at another node');
my $answer = '';
$s->timeout(120);
1 while sysread($s, $answer, 65536, length $answer) && $answer !~ /\}\z/;
like($answer, qr/task_cancelled_exception/, 'the client is told');
ok($n[1]->wait_for(sub { !tree($n[1], 'first') }, 120), 'and nothing of it is left on any node');
close $s;

# --- cancelled by action and node
$s = begin($n[1], 'second');
ok($n[2]->wait_for(sub { spread(tree($n[2], 'second')) == 3 }, 120), 'once more');
$n[0]->post('/_tasks/_cancel?actions=*msearch&nodes=k1');
ok($n[2]->wait_for(sub { !tree($n[2], 'second') }, 120), 'cancelled by action and node');
close $s;

# --- the client goes
$s = begin($n[2], 'third');
ok($n[0]->wait_for(sub { spread(tree($n[0], 'third')) == 3 }, 120), 'and again');
close $s;
ok($n[0]->wait_for(sub { !tree($n[0], 'third') }, 120), 'ended, on all nodes, with the client that wanted it');

# --- a bulk in whose middle it is cancelled: part of it has been done, and each document tells
my ($done, $rest) = map { my $p = $_; join '', map { qq({"index":{"_id":"$p$_"}}\n{"k":"$p","x":") . 'x' x 900 . qq("}\n) } 1 .. 3000 } qw(done rest);
$s = IO::Socket::INET->new(PeerAddr => $n[0]{host}, PeerPort => $n[0]{port}) or die "connect: $!";
print $s "POST /b/_bulk HTTP/1.0\r\nX-Opaque-Id: bulk\r\nContent-Type: application/x-ndjson\r\nContent-Length: " . (length($done) + length $rest) . "\r\n\r\n$done";
$s->flush;
ok($n[1]->wait_for(sub { $n[1]->get('/b/_doc/done1')->{status} == 200 }, 60), 'the first documents of a bulk are there before its last ones are sent');
is($n[2]->post('/_tasks/_cancel?actions=*bulk')->{status}, 200, 'it is cancelled');
print $s $rest;
$s->flush;
$answer = '';
1 while sysread($s, $answer, 65536, length $answer);
like($answer, qr{^HTTP/1\.1 200 .*"errors":true}s, 'its answer has items');
my $items = JSON::PP->new->decode($answer =~ /\r\n\r\n(\{.*\})/s ? $1 : '{}')->{items} || [];
my %told = map { $_->{index}{_id} => $_->{index} } @$items;
is(scalar(keys %told), 6000, 'one for each document');
# seen before another node has answered for it, it is unknown
like($told{done1}{status} . ($told{done1}{error}{type} // ''), qr/^(?:201|503write_outcome_unknown_exception)$/, 'what was done is told');
is($told{rest3000}{error}{type}, 'task_cancelled_exception', 'what was not has the reason');
$n[0]->post('/b/_refresh');
my @not = grep { ($told{$_}{error}{type} // '') eq 'task_cancelled_exception' } sort keys %told;
is($n[0]->post('/b/_count', { query => { ids => { values => \@not } } })->{json}{count}, 0, 'and is not there');
my @is = grep { ($told{$_}{status} // 0) == 201 } sort keys %told;
is($n[0]->post('/b/_count', { query => { ids => { values => \@is } } })->{json}{count}, scalar @is, 'what was acknowledged is');

is($n[0]->post("/_tasks/$id->{k1}:999999/_cancel")->{status}, 404, 'a task that is not there');
is($n[0]->get('/b/_search?size=0')->{json}{hits}{total}{value}, 10000, 'searches go on');
is($c->stop, 0, 'they stop cleanly');
done_testing;
