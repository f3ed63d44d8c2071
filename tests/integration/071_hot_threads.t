#!/usr/bin/perl
# 071_hot_threads.t: _nodes/hot_threads tells where busy threads are: functions of the program, of a plugin and of a
# fiber, by name where the file has a table of symbols and by module and offset elsewhere; its parameters have their
# effects; and asking disturbs neither searches nor writes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use POSIX ();
use QdNode;
use Test::More;
use Toys qw(toys);

my $dir = toys('the toy is built', 'toy-operator');
my $n = QdNode->new('ht', settings => {'plugins.path' => $dir, 'plugins.allow' => 'coordination-raft,storage-nvme,toy-operator', 'plugins.call_timeout' => '10m'});
$n->start;
$n->put('/x', {settings => {number_of_shards => 1, number_of_replicas => 0}, mappings => {properties => {n => {type => 'long'}, t => {type => 'text'}}}});
$n->post('/x/_bulk?refresh=true', join '', map { qq({"index":{}}\n{"n":$_,"t":"a$_ b c"}\n) } 1 .. 2176);

sub hot { my $r = $n->get('/_nodes/hot_threads?' . ($_[0] // '')); diag $r->{content} if $r->{status} != 200; return $r->{content} }
# A process of its own that asks until it is told to end; it ends with 1 when an answer was wrong.
my $ends = tempdir('qd-ends-XXXXXX', TMPDIR => 1, CLEANUP => 1);
sub apart {
    my ($ask, $right) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    my ($wrong, $times) = (0, 0);
    until (-e "$ends/$$" && $times) {
        my $r = $ask->();
        $times++;
        next if $right->($r);
        $wrong = 1;
        diag "wrong: $r->{status} ", substr $r->{content}, 0, 2000;
    }
    POSIX::_exit($wrong);
}
sub ended { my ($pid) = @_; open my $f, '>', "$ends/$pid" or die; waitpid $pid, 0; return $? }
sub all_right { $_[0]{status} == 200 }
sub finds_all { ($_[0]{json}{hits}{total}{value} // 0) >= 2176 } # writes add to them

# --- a plugin that spins
my $spin = apart(sub { $n->post('/x/_search', {query => {toy_op => {mode => 'spin', ms => 100}}, track_total_hits => \1}) }, \&finds_all);
my $seen;
ok($n->wait_for(sub { $seen = hot('interval=200ms'); $seen =~ /^       spin_for_a_while \(toy-operator\.so\+0x[0-9a-f]+, plugin \[toy-operator\] 0\.1\.0\)$/m }), 'the function that spins is seen') or diag $seen;
like($seen, qr/^   [ \d]*\d\.\d% \[cpu=[\d.]+%, other=[\d.]+%\] \([\d.]+ms out of 200ms\) cpu usage by thread 'guest' \[\d+\], state \w$/m, 'on its thread');
like($seen, qr/^     (\d+\/10 snapshots sharing following \d+ elements|unique snapshot)$/m, 'in snapshots');
like($seen, qr/^       spin_for_a_while .*\n       next_block \(toy-operator\.so.*\n(       .*\n)*?       guest_main \(quidditchd\+0x[0-9a-f]+\)$/m, 'with its callers, up to the thread\'s first function') or diag $seen;
ok($n->wait_for(sub { hot('interval=200ms&snapshots=2') =~ /^     2\/2 snapshots sharing/m }), 'as many snapshots as are asked for');

# --- the parameters
is(scalar(my @one = hot('interval=20ms&threads=1&ignore_idle_threads=false') =~ /usage by thread/g), 1, 'one thread');
cmp_ok(scalar(my @all = hot('interval=20ms&threads=1000&ignore_idle_threads=false&snapshots=1') =~ /usage by thread/g), '>', 10, 'idle ones too');
SKIP: {
    skip 'the thread sanitizer calls handlers out of its own code', 3 if $QdNode::OUT =~ /thread/;
    like(hot('interval=20ms&threads=1000&ignore_idle_threads=false&snapshots=1'), qr/thread 'quidditchd' .*\n     unique snapshot\n(       .*\n)*       main \(quidditchd\+/, 'the main thread is one of them');
    $seen = hot('interval=20ms&threads=1000&ignore_idle_threads=false');
    like($seen, qr/thread '$_->[0]' .*\n     .*\n       epoll_p?wait .*\n       loop_run \(quidditchd\+.*\n(?:       .*\n)?       $_->[1] \(/, "$_->[0] waits for events, and nothing that has returned is shown") || diag $seen
        for ['http-0', 'thread_main'], ['quidditchd', 'main'];
}
like(hot('interval=1s&snapshots=1'), qr/interval=1s, busiestThreads=3, ignoreIdleThreads=true:/, 'the head tells of them');
my $wait = apart(sub { $n->post('/x/_search', {query => {toy_op => {mode => 'slow', ms => 100}}}) }, \&all_right);
ok($n->wait_for(sub { $seen = hot('type=wait&interval=50ms&threads=100'); $seen =~ /wait usage by thread 'guest' .*\n(     .*\n)*       nap \(toy-operator\.so\+/ }), 'type=wait shows what sleeps in a call') or diag $seen;
unlike($seen, qr/^       wait_for_work/m, 'and no worker without work');
ok($n->wait_for(sub { hot('type=block&interval=200ms&threads=100') =~ /^   \d+ waits in 200ms, block usage by thread '/m }), 'type=block counts waits');
is(ended($wait), 0, 'the searches were answered');
sub refused { my ($query, $why, $what) = @_; my $r = $n->get("/_nodes/hot_threads?$query"); is($r->{status}, 400, "$what: refused"); like($r->{content}, $why, '... by name') }
refused('type=mem', qr/type not supported \[mem\]/, 'type=mem');
refused('type=heap', qr/type not supported \[heap\]/, 'an unknown type');
refused('sort=name', qr/sort order not supported \[name\]/, 'an unknown order');
refused('snapshots=many', qr/Failed to parse int parameter \[snapshots\] with value \[many\]/, 'no number');
refused('snapshots=0', qr/\[snapshots\] must be between \[1\] and \[100\]/, 'no snapshots');
refused('interval=soon', qr/interval/, 'no time');

# --- under load
my @load = (
    apart(sub { $n->post('/x/_search', {query => {match => {t => 'b'}}, size => 100, aggs => {s => {sum => {field => 'n'}}}, track_total_hits => \1}) }, \&finds_all),
    apart(sub { $n->post('/x/_bulk', join '', map { qq({"index":{"_id":"w$_"}}\n{"n":1,"t":"b w$_"}\n) } 1 .. 200) }, sub { $_[0]{status} == 200 && !$_[0]{json}{errors} }),
    apart(sub { $n->post('/x/_refresh') }, \&all_right),
    apart(sub { $n->get('/_nodes/hot_threads?interval=5ms&snapshots=20&threads=1000&ignore_idle_threads=false') }, sub { $_[0]{content} =~ /^   Hot threads at .*^     \d+\/20 snapshots sharing/ms }),
);
for my $round (1 .. 15) {
    my $text = hot('interval=10ms&snapshots=20&threads=1000&ignore_idle_threads=false');
    $text =~ /snapshots sharing following/ or fail("round $round"), diag substr $text, 0, 4000;
}
is(ended($_), 0, 'under load all answers are right') for @load;
is(ended($spin), 0, 'those of the spinning query too');
is($n->post('/x/_refresh')->{status}, 200, 'a refresh');
is($n->get('/x/_count')->{json}{count}, 2376, 'no write was lost');
is($n->stop, 0, 'the node ends');

# --- without a table of symbols
SKIP: {
    skip 'no strip', 2 if system("strip -o '$dir/stripped.so' '$dir/toy-operator.so' 2>/dev/null");
    rename "$dir/stripped.so", "$dir/toy-operator.so" or die;
    chmod 0644, "$dir/toy-operator.so";
    $n->start;
    ok($n->wait_for(sub { ($n->get('/x/_count')->{json}{count} // 0) == 2376 }), 'the documents are there');
    $spin = apart(sub { $n->post('/x/_search', {query => {toy_op => {mode => 'spin', ms => 100}}}) }, \&all_right);
    ok($n->wait_for(sub { $seen = hot('interval=100ms'); $seen =~ /^       toy-operator\.so\+0x[0-9a-f]+ \(plugin \[toy-operator\] 0\.1\.0, build id [0-9a-f]{40}\)$/m }), 'a place is told as the crash line does') or diag $seen;
    is(ended($spin), 0, 'the searches were answered');
    is($n->stop, 0, 'the node ends');
}
done_testing;
