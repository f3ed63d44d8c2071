# Three nodes lose power at once while clients write and read with `index.translog.durability: request`, the syncs of one
# node late. The primary's node and a third one are back first, then the other copy; documents are acknowledged by both
# copies, and the primary's node is killed before anything is refreshed. What was acknowledged before the loss, and what
# was acknowledged since, is there. ROUNDS: losses (2), each at a moment of its own; a recording serves ten of them.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use PowerLoss;
use QdCluster;
use Time::HiRes qw(time);

my $rounds = $ENV{ROUNDS} // 2;
my $seed = $ENV{SEED} || 1;
plan skip_all => 'LOUD: tools of the tests are not built' unless -e "$QdNode::OUT/tests/librecorder.so";
my $spy = tempdir('qd-spy-XXXXXX', TMPDIR => 1, CLEANUP => 1) . '/spy.so'; # makes syncs of translogs late
system('cc', '-shared', '-fPIC', '-O1', '-o', $spy, "$FindBin::Bin/../attacks/spy.c", '-ldl') == 0 or die 'spy.c does not compile';
my $random = PowerLoss::random($seed);

# One life of a cluster under load: its nodes, their recorders, what was acknowledged when.
sub record {
    my ($life) = @_;
    my $c = QdCluster->new("r$life-", nodes => 3, settings => { 'storage.reserve' => '0' });
    my @n = $c->nodes;
    my @rec;
    my $late = (0, 0, 10, 50, 200, 500)[$random->(6)];
    my $whose = $random->(3);
    for my $n (@n) {
        mkdir "$n->{dir}/data", 0700 or die $!;
        push @rec, PowerLoss->new(root => "$n->{dir}/data", build => $QdNode::OUT);
        my %env = $rec[-1]->env;
        %env = (%env, LD_PRELOAD => "$spy:$env{LD_PRELOAD}", SPY_LOG => '/dev/null', SPY_MS => $late) if $n == $n[$whose];
        $n->{env} = \%env;
    }
    $c->start;
    is($n[0]->put('/reg', { settings => { number_of_shards => 1, number_of_replicas => 1, refresh_interval => -1,
        'index.unassigned.node_left.delayed_timeout' => '0s' } })->{status}, 200, "life $life: index");
    ok($c->wait_status('green'), "life $life: green");
    my %at = map { $_->{prirep} => $_->{node} } @{ $n[0]->get('/_cat/shards/reg?format=json&h=prirep,node')->{json} };
    my ($p, $r) = map { my $name = $at{$_}; grep { $n[$_]{name} eq $name } 0 .. 2 } 'p', 'r';
    my $dir = $n[0]{dir};
    my @child;
    my $until = time + ($late > 100 ? 6 : 3);
    for my $w (0 .. 3) {
        my $pid = fork // die $!;
        push @child, $pid and next if $pid;
        open my $out, '>', "$dir/acked$w" or die $!;
        my $n = $n[$w % 3];
        for (my $k = 0; time < $until; $k++) {
            my $id = "$w-$k";
            my $answer = $n->put("/reg/_doc/$id", { v => $id });
            print $out join(' ', $id, map { $_->seq } @rec), "\n" if $answer->{status} == 201;
            $n->get('/reg/_doc/' . "$w-" . ($k - 3)) if $k > 3; # looked at while others are on their way to the disk
        }
        close $out;
        require POSIX;
        POSIX::_exit(0);
    }
    waitpid $_, 0 for @child;
    $_->signal('KILL') for @n;
    $_->wait_end for @n;
    my @acked = map { [split] } map { split /\n/, QdNode::slurp("$dir/acked$_") } 0 .. 3;
    cmp_ok(scalar @acked, '>', 8, "life $life: the load was real"); # syncs may take half a second
    note("life $life: " . @acked . " acknowledged, syncs of one node $late ms late");
    return { c => $c, n => \@n, rec => \@rec, acked => \@acked, p => $p, r => $r, t => 3 - $p - $r };
}

sub missing {
    my ($n, @id) = @_;
    my @gone;
    while (my @some = splice @id, 0, 500) {
        my $docs;
        $n->wait_for(sub {
            my $got = $n->post('/reg/_mget?_source=false', { ids => \@some });
            $docs = $got->{status} == 200 ? $got->{json}{docs} : [{ error => 1 }];
            !grep { $_->{error} } @$docs;
        }, 60) or return 'no answer';
        push @gone, map { $_->{_id} } grep { !$_->{found} } @$docs;
    }
    return @gone;
}

sub primary_at {
    my ($n, $name) = @_;
    return $n->wait_for(sub {
        my $rows = $n->get('/_cat/shards/reg?format=json&h=prirep,state,node')->{json};
        ref $rows eq 'ARRAY' && grep { $_->{prirep} eq 'p' && $_->{state} eq 'STARTED' && (!defined $name || ($_->{node} // '') eq $name) } @$rows;
    }, 60);
}

my $x;
for my $round (1 .. $rounds) {
    $x = record(1 + int($round / 10)) if $round % 10 == 1 || !$x;
    my @n = @{ $x->{n} };
    my @cut = @{ $x->{acked}[$random->(scalar @{ $x->{acked} })] }[1 .. 3];
    my @must = map { $_->[0] } grep { my $a = $_; !grep { $a->[$_ + 1] > $cut[$_] } 0 .. 2 } @{ $x->{acked} };
    for my $i (0 .. 2) {
        my $out = $x->{rec}[$i]->rebuild($seed * 100_000 + $round * 10 + $i, $cut[$i]);
        chmod 0700, $out;
        $n[$i]{env} = { LD_PRELOAD => '' };
        $n[$i]{settings}{'path.data'} = $out;
    }
    $n[$_]->launch for $x->{p}, $x->{t};
    my $asked = $n[ $x->{t} ];
    ok(primary_at($asked, undef), "round $round: a primary is back") or diag($asked->get('/_cat/shards?v')->{content});
    $n[ $x->{r} ]->launch;
    # the record may call a copy started whose node is not back yet
    ok($asked->wait_for(sub {
        my $health = $asked->get('/_cluster/health/reg')->{json} || {};
        return 0 if ($health->{status} // '') ne 'green' || $health->{number_of_nodes} != 3;
        my $answer = $asked->put('/reg/_doc/probe', { v => $round });
        return $answer->{status} =~ /^20[01]$/ && $answer->{json}{_shards}{successful} == 2;
    }, 90), "round $round: green");
    is(join(' ', missing($asked, @must)), '', "round $round: all " . @must . ' that were acknowledged are there');
    my @new;
    for my $k (1 .. 20) {
        my $answer = $asked->put("/reg/_doc/new-$round-$k", { v => $k });
        push @new, "new-$round-$k" if $answer->{status} == 201 && $answer->{json}{_shards}{successful} == 2;
    }
    cmp_ok(scalar @new, '>', 0, "round $round: two copies acknowledge");
    my %on = map { $_->{prirep} => $_->{node} } @{ $asked->get('/_cat/shards/reg?format=json&h=prirep,node')->{json} };
    my ($dies, $other) = map { my $name = $on{$_}; grep { $_->{name} eq $name } @n } 'p', 'r'; # any two of them by now
    my ($asks) = grep { $_ != $dies } @n;
    $dies->kill9;
    ok(primary_at($asks, $other->{name}), "round $round: the other copy is primary") or diag($asks->get('/_cat/shards?v')->{content});
    is(join(' ', missing($asks, @must, @new)), '', "round $round: and has all of it");
    $_->signal('KILL') for $x->{c}->alive;
    $_->wait_end for grep { $_->{pid} } @n;
}
done_testing;
