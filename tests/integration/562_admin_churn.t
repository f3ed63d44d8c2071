#!/usr/bin/perl
# An administrator who does everything at once to a cluster that is written to and read from: closes and
# opens indices, changes their copies, settings and blocks, moves, cancels and drains, deletes and makes
# anew, restarts and kills nodes, takes votes. After every step, when it is undone and green again,
# everything acknowledged is on all nodes, nothing refused is, copies are the same, histories are
# linearizable, no request was left without an answer. SEED: which steps (1). ROUNDS: how many (3).
# STEPS: these, for who looks for the cause of what a seed found (merge,close_open).
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use JSON::PP ();
use List::Util qw(shuffle);
use QdCluster;
use Recorder;
use Registers;
use Time::HiRes ();

my $rounds = $ENV{ROUNDS} || 3;
my $seed = $ENV{SEED} || 1;
srand $seed;
my $dir = tempdir('qd-churn-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my ($yes, $no) = (JSON::PP::true, JSON::PP::false);
my $c = QdCluster->new('ch', nodes => 3);
$c->start;
my @n = $c->nodes;
my %replicas = (docs => 1, single => 0, triple => 2, registers => 1);
my @indices = sort keys %replicas;

# --- the load ---------------------------------------------------------------------------------------------

# A request takes as long as it may take by itself (guarantees.md: 120 s) and not longer.
my %load;
for my $index (@indices) {
    mkdir "$dir/$index";
    my %o = (index => $index, nodes => \@n, dir => "$dir/$index", seed => $seed + 7 * @{ [keys %load] }, timeout => 150);
    $load{$index} = $index eq 'registers' ? Registers->new(%o, clients => 3, docs => 4)
        : Recorder->new(%o, clients => 2, batch => 20, reads => 0.2, pause => 0.05);
}
my @writers = grep { $_->isa('Recorder') } map $load{$_}, @indices;
sub acked { my $sum = 0; for my $r (@writers) { $sum += $r->acked } return $sum }
sub more {
    my ($count) = @_;
    my $from = acked();
    return QdNode->wait_for(sub { acked() >= $from + $count }, 300);
}

# --- what is asked ----------------------------------------------------------------------------------------

my (@said, @undo, @later, %async, @bad); # undo: when all steps are done; later: when it is green again
sub any { $_[rand @_] }
sub up { any(grep { $_->{pid} } @n) }
# One request of the administrator: its answer may be a refusal, never silence or a failure of the server's.
sub ask {
    my ($method, $path, $body) = @_;
    my $node = up();
    my $r = $node->request($method, $path, $body);
    push @said, "$node->{name} $method $path " . ($body ? JSON::PP->new->canonical->encode($body) : '') . " -> $r->{status}";
    note($said[-1]);
    push @bad, "$said[-1] " . substr $r->{content}, 0, 300 if $r->{status} == 599 || $r->{status} == 500;
    return $r;
}
sub set { my ($index, %s) = @_; return ask('PUT', "/$index/_settings", {%s}) }
sub cluster { return ask('PUT', '/_cluster/settings', { persistent => {@_} }) }
sub shards { @{ up()->get('/_cat/shards?format=json&h=index,shard,prirep,state,node')->{json} || [] } }
sub rest { select undef, undef, undef, rand 0.4 } # of any length: where the next step meets this one is the seed's
sub leave { # a node stops, or is killed
    my ($node, $kill) = @_;
    return unless $node->{pid};
    $kill = 0 if %async; # what an async index may lose is 321's
    note(($kill ? 'kill ' : 'stop ') . $node->{name});
    push @said, ($kill ? 'kill ' : 'stop ') . $node->{name};
    $kill ? $node->kill9 : $node->stop;
}
sub back { for my $node (@n) { $node->launch unless $node->{pid} } $c->start(seconds => 120) if grep { !$_->{pid} } @n; started() }
sub started {
    for my $node (@n) {
        next if $node->wait_for(sub { $node->log_text =~ /\bstarted in \d+ ms/ }, 120);
        push @bad, "$node->{name} did not start";
        $node->{keep} = 1;
    }
}

my ($made, $anew) = (0, 0);
my %steps = (
    close => sub { my $i = any(@indices); ask('POST', "/$i/_close"); push @undo, sub { ask('POST', "/$i/_open") } },
    close_open => sub { my $i = any(@indices); ask('POST', "/$i/_close"); rest() if rand() < 0.7; ask('POST', "/$i/_open") },
    open => sub { ask('POST', '/' . any(@indices) . '/_open') },
    replicas => sub { my $i = any(@indices); set($i, 'index.number_of_replicas' => int rand 3) },
    replicas_fast => sub { my $i = any(@indices); for (1 .. 4) { set($i, 'index.number_of_replicas' => int rand 3); rest() } },
    expand => sub { my $i = any(@indices); set($i, 'index.auto_expand_replicas' => any('0-all', '0-1', '1-2')); push @undo, sub { set($i, 'index.auto_expand_replicas' => 'false') } },
    move => sub {
        for (1 .. 3) {
            my $s = any(grep { $_->{state} eq 'STARTED' } shards()) or next;
            my $to = any(grep { $_ ne $s->{node} } map { $_->{name} } @n);
            ask('POST', '/_cluster/reroute?metric=none', { commands => [{ move => { index => $s->{index}, shard => 0 + $s->{shard}, from_node => $s->{node}, to_node => $to } }] });
        }
    },
    cancel => sub {
        for my $s ((grep { ($_->{state} // '') =~ /INIT|RELOC/ } shards()), any(shards())) {
            my ($node) = split / /, $s->{node} || next;
            ask('POST', '/_cluster/reroute?metric=none', { commands => [{ cancel => { index => $s->{index}, shard => 0 + $s->{shard}, node => $node, allow_primary => any($yes, $no) } }] });
        }
    },
    allocate_replica => sub {
        my $s = any(grep { $_->{state} eq 'UNASSIGNED' } shards()) or return;
        ask('POST', '/_cluster/reroute?metric=none', { commands => [{ allocate_replica => { index => $s->{index}, shard => 0 + $s->{shard}, node => any(@n)->{name} } }] });
    },
    drain => sub { cluster('cluster.routing.allocation.exclude._name' => any(@n)->{name}); rest(); push @undo, sub { cluster('cluster.routing.allocation.exclude._name' => undef) } },
    drain_index => sub { my $i = any(@indices); set($i, 'index.routing.allocation.' . any('exclude', 'include') . '._name' => any(@n)->{name}); push @undo,
        sub { set($i, 'index.routing.allocation.exclude._name' => undef, 'index.routing.allocation.include._name' => undef) } },
    enable => sub { cluster('cluster.routing.allocation.enable' => any('none', 'primaries', 'new_primaries')); push @undo, sub { cluster('cluster.routing.allocation.enable' => undef) } },
    rebalance => sub { cluster('cluster.routing.rebalance.enable' => any('none', 'all')); push @undo, sub { cluster('cluster.routing.rebalance.enable' => undef) } },
    refresh_interval => sub { set(any(@indices), 'index.refresh_interval' => any('-1', '20ms', '1s', undef)) },
    threshold => sub { set(any(@indices), 'index.translog.flush_threshold_size' => any('16kb', '1mb', '512mb')) },
    async => sub {
        my $i = any(@indices);
        $async{$i} = 1;
        set($i, 'index.translog.durability' => 'async');
        push @undo, sub { set($i, 'index.translog.durability' => 'request'); delete $async{$i} };
    },
    merge => sub { ask('POST', '/' . any(@indices) . '/_forcemerge?max_num_segments=' . any(1, 3)) },
    flush => sub { ask('POST', '/' . any(@indices) . '/_flush?force=' . any('true', 'false')) },
    refresh => sub { ask('POST', '/' . any(@indices) . '/_refresh') },
    mapping => sub { $made++; ask('PUT', '/' . any(@indices) . '/_mapping', { properties => { "f$made" => { type => any('keyword', 'long', 'text') } } }) },
    alias => sub { my ($a, $b) = shuffle @indices; ask('POST', '/_aliases', { actions => [{ add => { index => $a, alias => 'it' } }, { remove => { index => '*', alias => 'it2' } }, { add => { index => $b, alias => 'it2' } }] }) },
    block => sub {
        my ($i, $b) = (any(@indices), any('write', 'read_only', 'read_only_allow_delete', 'metadata'));
        set($i, "index.blocks.$b" => 'true');
        push @undo, sub { set($i, "index.blocks.$b" => 'false') };
    },
    anew => sub { # another index of the same name has none of the former's documents, and its own
        my $gone = ask('DELETE', '/anew')->{status} =~ /^(?:200|404)$/;
        ask('PUT', '/anew', { settings => { number_of_shards => 2, number_of_replicas => int rand 3, 'index.unassigned.node_left.delayed_timeout' => '0s' } });
        my @ids = map { ++$made } 1 .. 5;
        my @there = grep { ask('PUT', "/anew/_doc/$_?timeout=20s", { v => $_ })->{status} == 201 } @ids;
        my $mine = ++$anew;
        push @later, sub {
            return if $mine != $anew; # it is another one by now
            ask('POST', '/anew/_refresh');
            my $r = ask('POST', '/anew/_search?size=1000&ignore_unavailable=true', {});
            my %is = map { $_->{_id} => 1 } @{ $r->{json}{hits}{hits} || [] };
            my %may = map { $_ => 1 } @ids;
            my @lost = grep { !$is{$_} } @there;
            my @old = grep { $gone && !$may{$_} } keys %is;
            push @bad, "anew lacks @lost: " . substr $r->{content}, 0, 300 if @lost;
            push @bad, "anew has @old of a former one" if @old;
        };
    },
    template => sub {
        $made++;
        ask('PUT', '/_index_template/t', { index_patterns => ['auto-*'], template => { settings => { number_of_replicas => int rand 3 } } });
        my $r = ask('PUT', "/auto-$made/_doc/1?timeout=20s", { v => $made });
        my $k = $made;
        push @later, sub {
            my $g = ask('GET', "/auto-$k/_doc/1");
            push @bad, "auto-$k lost its document: $g->{content}" if $r->{status} == 201 && $g->{status} != 200;
            ask('DELETE', "/auto-$k");
        };
    },
    restart => sub { leave(any(@n), 0); rest(); back() },
    kill => sub { leave(any(@n), 1); rest(); back() },
    away => sub { leave(any(@n), rand() < 0.5) if 3 == grep { $_->{pid} } @n; push @undo, sub { back() } },
    all_at_once => sub {
        my $kill = !%async && rand() < 0.5;
        push @said, $kill ? 'all are killed' : 'all are stopped';
        note($said[-1]);
        $_->signal($kill ? 'KILL' : 'TERM') for @n;
        $_->wait_end for @n;
        back();
    },
    vote => sub { my $x = any(@n); ask('POST', "/_cluster/voting_config_exclusions?node_names=$x->{name}&timeout=20s"); push @undo,
        sub { ask('DELETE', '/_cluster/voting_config_exclusions?wait_for_removal=false') } },
    permit => sub {
        my ($x, $asked) = (any(@n), up());
        return if 3 != grep { $_->{pid} } @n;
        my ($status, $out) = $asked->run_qd('node', 'stop', $x->{name}, '--timeout', '5', '--url', $asked->url);
        push @said, "qd node stop $x->{name}: $status";
        note($said[-1]);
        leave($x, 0) unless $status;
        back();
        $asked->run_qd('node', 'release', $x->{name}, '--url', $asked->url);
    },
);
my @names = sort keys %steps;

# --- what must hold ---------------------------------------------------------------------------------------

sub green {
    my $ok = QdNode->wait_for(sub { my $h = $n[0]->get('/_cluster/health')->{json} || {}; $h->{status} && $h->{status} eq 'green' && $h->{number_of_nodes} == 3 && !$h->{relocating_shards} }, 200);
    return 1 if $ok && $c->wait_status('green', 60);
    push @bad, 'not green: ' . $n[0]->get('/_cat/shards?v&h=index,shard,prirep,state,node,unassigned.reason,unassigned.details')->{content}
        . $n[0]->get('/_cluster/allocation/explain?pretty')->{content};
    return 0;
}
sub copies {
    my ($index) = @_;
    my $want = $n[0]->get("/$index/_settings?flat_settings=true")->{json}{$index}{settings}{'index.number_of_replicas'} // -1;
    my $bad = $c->copies_differ($index, $want, 60);
    push @bad, "copies of $index differ: $bad" if $bad;
}
# What a search shows of one writer's documents is what there is, once.
sub shown {
    my ($r) = @_;
    my $s = $n[rand @n]->post("/$r->{index}/_search?size=5000", {})->{json};
    push @bad, "a search of $r->{index} fails: " . JSON::PP->new->encode($s->{_shards} || $s) and return if !$s->{_shards} || $s->{_shards}{failed} || $s->{_shards}{successful} != $s->{_shards}{total};
    my ($docs) = $r->history;
    my (%is, @wrong);
    for my $h (@{ $s->{hits}{hits} }) { push @wrong, "$h->{_id} twice" if exists $is{ $h->{_id} }; $is{ $h->{_id} } = $h->{_source}{v} }
    for my $id (keys %$docs) {
        my $v = $is{$id} // '-';
        push @wrong, "a search shows $id as $v, acknowledged was $docs->{$id}{value}" unless $v eq $docs->{$id}{value} || $docs->{$id}{unknown}{$v};
    }
    push @bad, "$r->{index}: @wrong[0 .. ($#wrong > 4 ? 4 : $#wrong)] (" . @wrong . ')' if @wrong;
}
sub check {
    for my $node (@n) {
        for my $r (@writers) {
            my @wrong = $r->check($node);
            push @bad, "$node->{name} $r->{index}: " . join('; ', @wrong[0 .. ($#wrong > 4 ? 4 : $#wrong)]) . ' (' . @wrong . ')' if @wrong;
        }
    }
    my @wrong = $load{registers}->check;
    push @bad, 'registers: ' . join '; ', @wrong[0 .. ($#wrong > 4 ? 4 : $#wrong)] if @wrong;
    copies($_) for @indices;
    for my $r (@writers) { shown($r) }
    my $d = $n[rand @n]->get('/_dangling')->{json}{dangling_indices} || [];
    push @bad, 'dangling: ' . JSON::PP->new->encode($d) if @$d;
    for my $r (values %load) {
        push @bad, "$r->{index}: no answer in $r->{timeout} s: $_" for $r->silence;
    }
}

for my $index (@indices) {
    my $r = $n[0]->put("/$index", { settings => { number_of_shards => 2, number_of_replicas => $replicas{$index}, 'index.unassigned.node_left.delayed_timeout' => '0s' } });
    is($r->{status}, 200, "an index $index");
}
ok(green(), 'is green');
for my $round (1 .. $rounds) {
    (@said, @undo, @later, @bad) = ();
    srand $seed * 1000 + $round; # what was waited for before has drawn too
    $_->start for values %load;
    more(50) or push @bad, 'no load';
    my @do = map { any(@names) } 1 .. 2 + rand 4;
    @do = split /,/, $ENV{STEPS} if $ENV{STEPS};
    note("round $round: @do");
    for my $name (@do) {
        $steps{$name}->();
        rest() if rand() < 0.6;
    }
    back();
    $_->() for @undo;
    ask('POST', "/$_/_open") for @indices;
    green() and map { $_->() } @later;
    more(30) or push @bad, 'writes do not go on';
    $_->stop for values %load;
    check();
    next if ok(!@bad, "round $round: @do");
    diag("seed $seed, round $round:\n", map { "$_\n" } @said, '--', @bad);
    $_->{keep} = 1 for @n;
    last;
}
diag(acked() . ' operations acknowledged');
is($c->stop, 0, 'they stop cleanly');
done_testing;
