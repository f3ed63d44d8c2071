# Three nodes lose power at once while clients write with `index.translog.durability: async`. What was
# acknowledged before the last sync_interval is there, of what came after it the newest may be lost, and
# all copies agree about it: also when a copy whose disk kept more comes back after the primary, whose
# disk kept less, has given the same numbers to other operations. No sync of a translog ends behind the last operations, so that
# they are on no disk. ROUNDS: losses by seed after it (1).
# CHANGE=to-request: the setting is changed then, too: they were acknowledged under async, whatever the setting says by now.
# CHANGE=to-async: what was acknowledged under request is there, whatever came behind it; syncs end as they do.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use PowerLoss;
use QdCluster;
use Time::HiRes qw(time);

my $rounds = $ENV{ROUNDS} // 1;
my $seed = $ENV{SEED} || 1;
my $interval = 0.5; # seconds
my $change = $ENV{CHANGE} // '';
my $slack = 1;      # until a sync that is due has ended: more where requests take long as well
plan skip_all => 'LOUD: tools of the tests are not built' unless -e "$QdNode::OUT/tests/librecorder.so";

my $c = QdCluster->new('p', nodes => 3, settings => { 'storage.reserve' => '0' });
my @n = $c->nodes;
my @rec;
my $tools = tempdir('qd-spy-XXXXXX', TMPDIR => 1, CLEANUP => 1);
system('cc', '-shared', '-fPIC', '-O1', '-o', "$tools/spy.so", "$FindBin::Bin/../attacks/spy.c", '-ldl') == 0 or die 'spy.c does not compile';
for my $n (@n) {
    mkdir "$n->{dir}/data", 0700 or die $!;
    push @rec, PowerLoss->new(root => "$n->{dir}/data", build => $QdNode::OUT);
    my %env = $rec[-1]->env;
    # no sync of a translog ends while the file is there
    %env = (%env, LD_PRELOAD => "$tools/spy.so:$env{LD_PRELOAD}", SPY_LOG => '/dev/null', SPY_HOLD => "$tools/hold") if $change ne 'to-async';
    $n->{env} = \%env;
}
$c->start;
for my $index ('one', 'three') {
    is($n[0]->put("/$index", { settings => { number_of_shards => $index eq 'one' ? 1 : 3, number_of_replicas => 1,
        'index.translog.durability' => $change eq 'to-async' ? 'request' : 'async', 'index.translog.sync_interval' => $interval * 1000 . 'ms',
        'index.refresh_interval' => '200ms', 'index.unassigned.node_left.delayed_timeout' => '0s',
        # its copies stay where their files are
        $index eq 'one' ? ('index.routing.allocation.exclude._name' => $n[2]{name}) : () } })->{status}, 200, "index $index");
}
ok($c->wait_status('green'), 'green');

# --- the load: each document once, and one that is written again and again
my (@acked, @hot); # [index, id, when], [value, when]
sub load {
    my ($n, $first, $count) = @_;
    my $body = '';
    for my $k ($first .. $first + $count - 1) {
        $body .= qq({"index":{"_index":"$_","_id":"$k"}}\n{"v":$k}\n) for 'one', 'three';
    }
    $body .= qq({"index":{"_index":"one","_id":"hot"}}\n{"v":$first}\n);
    my $from = time;
    my $r = $n->post('/_bulk', $body);
    my $at = time;
    $slack = 1 + 10 * ($at - $from) if $slack < 1 + 10 * ($at - $from);
    return 0 if $r->{status} != 200 || $r->{json}{errors};
    for my $k ($first .. $first + $count - 1) { push @acked, [$_, $k, $at] for 'one', 'three' }
    push @hot, [$first, $at];
    return $count;
}
my ($next, $until) = (1, time + $interval * 5);
# until the first ones are older than what may be lost
while (time < $until || time - $acked[0][2] < $interval + $slack + 1) {
    my $took = load($n[$next % 3], $next, 2);
    ok(0, 'a write is refused') unless $took;
    $next += 2;
}
my $shard = $n[0]->get('/_cat/shards/one?format=json&h=prirep,node')->{json};
my ($p) = map { my $at = $_; grep { $n[$_]{name} eq $at->{node} } 0 .. 2 } grep { $_->{prirep} eq 'p' } @$shard;
my ($r) = map { my $at = $_; grep { $n[$_]{name} eq $at->{node} } 0 .. 2 } grep { $_->{prirep} eq 'r' } @$shard;
my $t = 2;
my $promised = 0; # so many were acknowledged under request
if ($change eq 'to-async') {
    $promised = @acked;
    is($n[0]->put('/one,three/_settings', { 'index.translog.durability' => 'async' })->{status}, 200, 'from request to async');
}
if ($change ne 'to-async') { open my $hold, '>', "$tools/hold" or die $! }
$next += load($n[$t], $next, 20) for 1 .. 3;
if ($change eq 'to-request') {
    is($n[0]->put('/one,three/_settings', { 'index.translog.durability' => 'request' })->{status}, 200, 'from async to request');
}
my $killed = time;
my @cut = map { $_->seq } @rec;
$_->signal('KILL') for @n;
$_->wait_end for @n;
cmp_ok(scalar @acked, '>', 200, 'the load was real');
note(scalar(@acked) . ' documents acknowledged');

# --- what must hold of what is left
sub ids_of {
    my ($n, $index, $preference) = @_;
    my $got = $n->post("/$index/_search" . ($preference ? "?preference=$preference" : ''), { size => 10000, sort => ['_doc'], _source => ['v'] });
    return undef if $got->{status} != 200 || $got->{json}{_shards}{failed};
    return { map { $_->{_id} => $_->{_source}{v} } @{ $got->{json}{hits}{hits} } };
}
sub copies_agree {
    my ($what) = @_;
    for my $index ('one', 'three') {
        my %seen;
        ok($n[0]->wait_for(sub { !grep { $_->{state} ne 'STARTED' } @{ $n[0]->get("/_cat/shards/$index?format=json&h=state")->{json} || [{ state => '' }] } }, 60),
            "$what: no copy of $index is on its way");
        $n[0]->post("/$index/_refresh");
        for my $at (@{ $n[0]->get("/_cat/shards/$index?format=json&h=shard,node")->{json} }) {
            my $have = ids_of($n[0], $index, "_shards:$at->{shard}|_only_nodes:$at->{node}");
            push @{ $seen{ $at->{shard} } }, defined $have ? join ' ', map { "$_=$have->{$_}" } sort keys %$have : 'nothing';
        }
        for my $k (sort keys %seen) {
            is(scalar @{ $seen{$k} }, 2, "$what: [$index][$k] has two copies");
            ok($seen{$k}[0] eq $seen{$k}[1], "$what: they hold the same") or diag(map { substr($_, 0, 2000) . "\n" } @{ $seen{$k} });
        }
    }
}
sub lost {
    my ($what) = @_;
    my %have = map { $_ => ids_of($n[0], $_) || {} } 'one', 'three';
    cmp_ok(scalar(grep { $killed - $_->[2] > $interval + $slack } @acked), '>', 0, "$what: some are older than that");
    my @lost = grep { !exists $have{ $_->[0] }{ $_->[1] } } @acked;
    my $oldest = 0;
    for (@lost) { $oldest = $killed - $_->[2] if $killed - $_->[2] > $oldest }
    cmp_ok($oldest, '<', $interval + $slack, "$what: what is lost is not older than the interval");
    my $hot = $have{one}{hot} // 0;
    my ($must) = reverse grep { $killed - $_->[1] > $interval + $slack } @hot;
    cmp_ok($hot, '>=', $must ? $must->[0] : 0, "$what: nor is an older version there than the interval allows");
    my %missing = map { ("$_->[0]/$_->[1]" => 1) } @lost;
    is(scalar(grep { $missing{"$_->[0]/$_->[1]"} } @acked[0 .. $promised - 1]), 0, "$what: nothing that was acknowledged under request") if $promised;
    note(sprintf '%s: %d of %d lost, the oldest %.2f s before', $what, scalar @lost, scalar @acked, $oldest);
    return scalar @lost;
}
sub power_back { # each node's disk as said
    my ($s, @taste) = @_;
    for my $i (0 .. 2) {
        my $out = $rec[$i]->rebuild($s * 10 + $i, $cut[$i], $taste[$i]);
        chmod 0700, $out;
        $n[$i]{env} = { LD_PRELOAD => '' };
        $n[$i]{settings}{'path.data'} = $out;
    }
}
sub end_all { $_->signal('KILL') for $c->alive; $_->wait_end for grep { $_->{pid} } @n }

# --- the primary's disk kept nothing that was not synced, the other copy's all of it
my @taste = ('all') x 3;
$taste[$p] = 'none';
power_back($seed, @taste);
$_->launch for $n[$p], $n[$t];
my $health;
ok($n[$p]->wait_for(sub {
    $health = $n[$p]->get('/_cluster/health/one')->{json} || {};
    ($health->{status} // '') eq 'yellow' && $health->{number_of_nodes} == 2 && $n[$p]->get('/one/_doc/1')->{status} == 200;
}, 60), 'the primary is back') or diag($n[$p]->get('/_cat/shards?v')->{content});
my $lost = grep { $_->[0] eq 'one' && $n[$p]->get("/one/_doc/$_->[1]")->{status} == 404 } @acked[-60 .. -1];
cmp_ok($lost, '>', 0, 'and has lost something');
my @new = (1 .. 300); # under numbers that the other copy has for what is lost
my $taken = $n[$p]->post('/one/_bulk', join '', map { qq({"index":{"_id":"new-$_"}}\n{"v":$_}\n) } @new);
ok($taken->{status} == 200 && !$taken->{json}{errors}, 'it takes others') or diag(substr $taken->{content}, 0, 500);
$n[$r]->launch;
ok($c->wait_nodes(3, 60), 'the other copy is back');
ok($c->wait_status('green', 60), 'green');
copies_agree('more on a replica');
lost('more on a replica');
my $have = ids_of($n[$r], 'one');
is(scalar(grep { !exists $have->{"new-$_"} } @new), 0, 'what was acknowledged since is there');
end_all();

# --- whatever is left, by seed
for my $round (1 .. $rounds) {
    power_back($seed * 1000 + $round);
    $c->start;
    ok($c->wait_status('green', 60), "round $round: green");
    copies_agree("round $round");
    lost("round $round");
    end_all();
}
done_testing;
