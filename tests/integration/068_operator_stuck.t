#!/usr/bin/perl
# 068_operator_stuck.t: an operator of a plugin that does not return holds up nobody: its search is answered, others
# run, the log names it, after some such calls it is refused, and SIGTERM ends the node. Time limits count between
# and within its calls. What is wrong with its answers is told with its name.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use QdCluster;
use QdNode;
use Test::More;
use Time::HiRes qw(time);
use Timed;
use Toys qw(toys);

my $dir = toys('the toy is built', 'toy-operator');

my $n = QdNode->new('st', settings => {'plugins.path' => $dir, 'plugins.allow' => 'coordination-raft,storage-nvme,toy-operator',
    'plugins.call_timeout' => '1s', 'node.processors' => 2});
$n->start;
$n->put('/x', {settings => {number_of_shards => 1, number_of_replicas => 0}, mappings => {properties => {n => {type => 'long'}, k => {type => 'keyword'}}}});
$n->post('/x/_bulk?refresh=true', join '', map { qq({"index":{}}\n{"n":$_,"k":"a$_"}\n) } 1 .. 2176); # 17 blocks
sub search { my ($op, %more) = @_; return $n->post('/x/_search', {query => {toy_op => $op}, track_total_hits => \1, %more}) }
sub reason { my $f = $_[0]{json}{error}{failed_shards}[0]{reason} || $_[0]{json}{error} || {}; return $f->{reason} // $_[0]{content} }

is(search({mode => 'all'})->{json}{hits}{total}{value}, 2176, 'it finds all documents');
is(search({mode => 'all'})->{json}{hits}{hits}[0]{_score}, 2, 'with its score');

# A time limit, over calls that are short and many: what was found by then is the answer.
my $r = search({mode => 'slow', ms => 200}, timeout => '1s');
is($r->{status}, 200, 'a slow one with a time limit');
ok($r->{json}{timed_out}, '... is timed out') or diag $r->{content};
cmp_ok($r->{json}{took}, '<', 3000, '... before it would have ended') or diag $r->{content};

# Wrong answers are named.
like(reason(search({mode => 'code', ms => 77})), qr/^operator \[toy_op\] of plugin \[toy-operator\]: next_block failed with the unknown code 77$/, 'an unknown code');
like(reason(search({mode => 'code', ms => -5})), qr/operator \[toy_op\] of plugin \[toy-operator\]: next_block failed with QD_E_ARG, without a word/, 'a known one');
my $wrong = qr/^operator \[toy_op\] of plugin \[toy-operator\]: next_block gave/;
like(reason(search({mode => $_})), qr/$wrong document \d+ a score that is no finite number$/, "a score: $_") for qw(nan inf);
like(reason(search({mode => 'back'})), qr/$wrong documents out of order: document 1 after 1$/, 'documents that go back');
like(reason(search({mode => 'beyond'})), qr/$wrong document \d+ of a segment of \d+ documents$/, 'a document behind the segment');
like(reason(search({mode => 'many'})), qr/$wrong a block of 129 documents, of 128 at most$/, 'more than a block has room for');
like(reason($n->post('/x/_search', {query => {toy_bounded => {mode => 'all'}}})), qr/^operator \[toy_bounded\] of plugin \[toy-operator\]: next_block gave document 0 the score 2, above the 1 of its max_score$/,
    'a score above the bound');
like(reason($n->post('/x/_search', {query => {toy_bounded => {mode => 'nobound'}}, size => 1, track_total_hits => \0})), qr/toy_bounded/, 'no number for a bound');
is(search({mode => 'column', field => 'n'})->{json}{hits}{total}{value}, 2176, 'values of a number');
like(reason(search({mode => 'column', field => 'k'})), qr/operator \[toy_op\]: field \[k\] is of type \[keyword\]; only numeric/, 'of a keyword');
like(reason(search({mode => 'column', field => 'zz'})), qr/operator \[toy_op\]: field \[zz\] is not in the mapping/, 'of no field');

# It is named where queries are shown, and so is the node's version.
like($n->get('/x/_validate/query?explain=true', {query => {toy_op => {mode => 'all'}}})->{content}, qr/Operator\(toy_op\)/, '_validate names it');
my ($info) = values %{ $n->get('/_nodes')->{json}{nodes} };
like($info->{quidditch_version}, qr/^\d+\.\d+\.\d+/, '_nodes says the version');
like($n->get('/metrics')->{content}, qr/^quidditch_build_info\{version="\Q$info->{quidditch_version}\E",build="\S+"\} 1$/m, '/metrics too');

# Calls that do not return: each is answered, and named in the log.
my $late = qr/operator \[toy_op\] of plugin \[toy-operator\] has not returned from next_block for 1000 ms/;
for my $i (1 .. 4) {
    my $begun = time;
    $r = search({mode => 'sleep', ms => 600_000});
    is($r->{status}, 500, "search $i is answered") or diag $r->{content};
    like(reason($r), $late, '... with what has happened');
    within(time - $begun, 3, 30, 'the answer');
}
ok($n->wait_for(sub { 4 == (() = $n->log_text =~ /plugin \[toy-operator\]: next_block of operator \[toy_op\] has not returned for \d+ ms \(index \[x\]\)/g) }), 'the log names each');
$r = search({mode => 'all'});
is($r->{status}, 429, 'then the plugin\'s calls are refused');
like(reason($r), qr/operator \[toy_op\] is not run: 4 calls of plugin \[toy-operator\] have not returned in time/, '... with the reason');
is($n->post('/x/_search', {query => {match_all => {}}})->{json}{hits}{total}{value}, 2176, 'other searches run');
is($n->put('/x/_doc/new?refresh=true', {n => 0})->{status}, 201, 'and writes');
my ($stats) = values %{ $n->get('/_nodes/stats/plugins')->{json}{nodes} };
is($stats->{plugins}{'toy-operator'}{calls_not_returned}, 4, '_nodes/stats counts them');
like($n->get('/metrics')->{content}, qr/^quidditch_plugin_calls_not_returned\{plugin="toy-operator"\} 4$/m, '/metrics too');
is($n->get('/ready')->{json}{plugin_calls_over_time}, 4, '/ready says so');
my $begun = time;
is($n->stop, 0, 'SIGTERM ends the node');
within(time - $begun, 25, 60, 'its end');
like($n->log_text, qr/next_block of operator \[toy_op\] has never returned: the node ends without it/, 'the log tells of them');

# A call that returns after its search is over finds all that it works with.
$n->start;
ok($n->wait_for(sub { $n->get('/x/_count')->{json}{count} == 2177 }), 'all documents are there');
is(search({mode => 'sleep', ms => 1500})->{status}, 500, 'a call that takes too long');
is(search({mode => 'sleep', ms => 1000}, timeout => '100ms')->{status}, 200, 'one that a time limit cuts off');
my $long = search({mode => 'parse', ms => 600_000});
is($long->{status}, 500, 'one that does not return from parse');
like($long->{content}, qr/plugin_exception.*operator \[toy_op\] of plugin \[toy-operator\] has not returned from parse for 1000 ms/s, 'is named');
is($n->get('/x/_search?size=0')->{status}, 200, 'others go on');
is(search({mode => 'parse', ms => 600_000}, size => 0)->{status}, 500, 'again, whatever thread asks') for 1 .. 2;
is($n->get('/_cluster/health')->{status}, 200, 'the node answers');
$n->restart;
ok($n->wait_for(sub { $n->get('/x/_count')->{json}{count} == 2177 }), 'after a restart');
is(search({mode => 'sleep', ms => 1500})->{status}, 500, 'a call that takes too long');
ok($n->wait_for(sub { $n->log_text =~ /next_block of operator \[toy_op\] has returned after \d+ ms/ }), 'returns later, which is told');
ok($n->wait_for(sub { my ($s) = values %{ $n->get('/_nodes/stats/plugins')->{json}{nodes} }; $s->{plugins}{'toy-operator'}{calls_not_returned} == 0 }), 'none is left');
is(search({mode => 'all'})->{json}{hits}{total}{value}, 2177, 'and the operator runs');

# What a plugin keeps is seen.
sub memory { my ($s) = values %{ $n->get('/_nodes/stats/plugins')->{json}{nodes} }; $s->{plugins}{'toy-operator'}{memory_in_bytes} }
my $before = memory();
search({mode => 'leak', ms => 64 << 20}) for 1 .. 3;
cmp_ok(memory() - $before, '>=', 3 * (64 << 20), '_nodes/stats shows what it keeps');
my ($bytes) = $n->get('/metrics')->{content} =~ /^quidditch_plugin_memory_bytes\{plugin="toy-operator"\} (\S+)$/m;
cmp_ok($bytes, '>=', 3 * (64 << 20), '/metrics too');
is($n->stop, 0, 'ends');

# Two nodes: the search is asked of one, the operator does not return on the other. Cancelling ends the wait at once.
my $c = QdCluster->new('sc', nodes => 2, settings => {'plugins.path' => $dir, 'plugins.allow' => 'coordination-raft,storage-nvme,toy-operator',
    'plugins.call_timeout' => '10m'});
$c->start;
my ($a, $b) = $c->nodes;
$a->put('/x', {settings => {number_of_shards => 1, number_of_replicas => 0, 'index.routing.allocation.require._name' => $a->{name}}});
is($a->put('/x/_doc/1?refresh=true', {n => 1})->{status}, 201, 'a document on one node');
is($b->post('/x/_search', {query => {toy_op => {mode => 'all'}}})->{json}{hits}{total}{value}, 1, 'the other one finds it by the operator');
$r = $b->post('/x/_search', {query => {toy_op => {mode => 'sleep', ms => 600_000}}, timeout => '200ms'});
ok($r->{json}{timed_out}, 'a time limit over nodes') or diag $r->{content};
my $pid = fork // die;
if (!$pid) {
    my $r = $b->post('/x/_search', {query => {toy_op => {mode => 'sleep', ms => 600_000}}});
    POSIX::_exit($r->{content} =~ /cancelled/ ? 0 : 1);
}
ok($b->wait_for(sub { my ($s) = map { $_->{plugins}{'toy-operator'} } grep { $_->{name} eq $a->{name} } values %{ $b->get('/_nodes/stats/plugins')->{json}{nodes} };
    my @t = map { %{ $_->{tasks} } } values %{ $b->get('/_tasks?actions=indices:data/read/search')->{json}{nodes} }; @t && $s }), 'a search without one');
$b->post('/_tasks/_cancel?actions=indices:data/read/search');
my $ended = $b->wait_for(sub { waitpid($pid, POSIX::WNOHANG()) == $pid });
is($ended ? $? : 'it hangs', 0, 'is cancelled');
kill 'KILL', $pid if !$ended;
is($_->stop, 0, 'ends') for $c->nodes;
done_testing;
