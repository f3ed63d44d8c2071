# A node that leads and holds primaries stands still, without its end being seen, until others have
# replaced it, and wakes up: nothing that it then acknowledges is lost, no answer of it is older than what
# was acknowledged before the question, unless it says so; it is one of the cluster again. All nodes, and
# all masters of another cluster, are killed at once under load.
# ROUNDS: how often (1). FREEZE: seconds for which it stands still at least (7: what a search shows may be 5 s
# old without saying so).
# Runs alone: its clients keep every core busy, and beside another such load no copy catches up in time.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use FaultLoad;
use IO::Socket::INET;
use JSON::PP ();
use QdCluster;

my $rounds = $ENV{ROUNDS} || 1;
my $seed = $ENV{SEED} || 1;
srand $seed;
my $dir = tempdir('qd-frozen-XXXXXX', TMPDIR => 1, CLEANUP => 1);

# A request that is sent now and whose answer is read later.
sub send_now {
    my ($node, $method, $path, $body) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => $node->{host}, PeerPort => $node->{port}) or return undef;
    $body //= '';
    syswrite $s, "$method $path HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: " . length($body) . "\r\n\r\n$body";
    return $s;
}
sub answer_of {
    my ($s) = @_;
    my $text = '';
    local $@;
    my $ok = eval {
        local $SIG{ALRM} = sub { die "late\n" };
        alarm 120;
        while (sysread $s, my $part, 65536) { $text .= $part }
        alarm 0;
        1;
    };
    alarm 0;
    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my ($status) = ($head // '') =~ /^HTTP\S+ (\d+)/;
    return { status => $ok ? $status // 0 : 0, stale => ($head // '') =~ /x-quidditch-stale: (\S+)/i ? $1 : undef,
        json => eval { JSON::PP->new->utf8->decode($body // '') } || {} };
}

# The node that leads, as this one sees it.
sub leader {
    my ($c, $asked) = @_;
    my ($name) = map { $_->{node} // '' } @{ $asked->get('/_cat/master?h=node&format=json')->{json} || [] };
    my ($found) = grep { $_->{name} eq ($name // '') } $c->nodes;
    return $found;
}
sub wait_leader {
    my ($c, $asked, $but) = @_;
    my $found;
    $asked->wait_for(sub { $found = leader($c, $asked); $found && (!$but || $found != $but) }, 120);
    return $found;
}

my $c = QdCluster->new('z', nodes => 3);
$c->start;
my @n = $c->nodes;
my $f = FaultLoad->new($c, $dir, seed => $seed);
$f->start;
is($n[0]->put('/seen', { settings => { number_of_shards => 3, number_of_replicas => 2 } })->{status}, 200, 'an index on all nodes');
ok($c->wait_status('green'), 'is green');

for my $round (1 .. $rounds) {
    my $old = wait_leader($c, $n[0]);
    my ($asked) = grep { $_ != $old } @n;
    # a shard has its primary on each node, where they are balanced: what it would answer from what it alone knows
    my $at = $asked->get('/_cat/shards/seen?format=json&h=prirep,node')->{json} || [];
    note("the leader $old->{name} is frozen, primaries are on " . join ' ', map { $_->{node} } grep { $_->{prirep} eq 'p' } @$at);
    is($asked->put("/seen/_doc/$_?refresh=true", { v => "before-$round" })->{status} < 300, 1, 'a document before') for 1 .. 9;
    $old->signal('STOP');
    my $since = time;
    ok(wait_leader($c, $asked, $old), "round $round: another leader");
    $f->more(1000, "round $round: writes go on");
    for my $id (1 .. 9) { # taken back by nobody: until it is acknowledged
        my $r;
        ok($asked->wait_for(sub { $r = $asked->put("/seen/_doc/$id?refresh=true&timeout=5s", { v => "after-$round" }); $r->{status} < 300 }, 120), 'a document after')
            or diag($r->{content});
    }
    $f->more(1000, "round $round: writes go on further") while time < $since + ($ENV{FREEZE} || 7);
    my @gets = map { send_now($old, 'GET', "/seen/_doc/$_") } 1 .. 9;
    my @searches = map { send_now($old, 'GET', '/seen/_search?size=10') } 1 .. 4;
    my @puts = map { send_now($old, 'PUT', "/seen/_doc/late-$round-$_", '{"v":"late"}') } 1 .. 8;
    my $index = send_now($old, 'PUT', "/late-$round", '{"settings":{"number_of_replicas":0,"number_of_shards":1}}');
    $old->signal('CONT');
    my @got = map { answer_of($_) } @gets;
    is(scalar(grep { $_->{status} == 404 || ($_->{status} == 200 && ($_->{json}{_source}{v} // '') ne "after-$round") } @got), 0, "round $round: woken up, it shows nothing old by realtime gets")
        or diag(explain(\@got));
    note('gets: ' . join ' ', map { $_->{status} } @got);
    my @found = map { answer_of($_) } @searches;
    my @old = grep { my $s = $_; $s->{status} == 200 && !defined $s->{stale} && grep { $_->{_source}{v} eq "before-$round" } @{ $s->{json}{hits}{hits} || [] } } @found;
    is(scalar @old, 0, "round $round: nor by searches, without saying how old") or diag(explain(\@old));
    note('searches: ' . join ' ', map { $_->{status} . (defined $_->{stale} ? " ($_->{stale} s old)" : '') } @found);
    my @put = map { answer_of($_) } @puts;
    my $made = answer_of($index);
    note('writes: ' . join(' ', map { $_->{status} } @put) . ", an index: $made->{status}");
    $f->heals("round $round, woken up");
    for my $k (grep { $put[$_ - 1]{status} == 201 } 1 .. 8) {
        is($asked->get("/seen/_doc/late-$round-$k")->{status}, 200, 'what it acknowledged is there');
    }
    is($asked->get("/late-$round")->{status}, 200, 'so is an index that it made') if $made->{status} == 200;
    ok($old->wait_for(sub { my ($a, $b) = map { leader($c, $_) } $old, $asked; $a && $b && $a == $b }, 60), 'it follows the same leader');

    $_->signal('KILL') for @n;
    $_->wait_end for @n;
    $c->start(seconds => 120);
    $f->heals("round $round, all nodes killed at once");
    $f->more(500, "round $round: writes go on again");
}
$f->ends;
is($c->stop, 0, 'they stop cleanly');

done_testing;
