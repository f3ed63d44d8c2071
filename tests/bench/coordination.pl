#!/usr/bin/perl
# coordination.pl: what the state of a cluster costs where it is kept: three masters of their own (raft) and a real
# Kubernetes API server (k8s), three nodes each, by turns in one run, each figure against its target.
#
#   coordination.pl [--parts creation,updates,routing,failover,idle,cold] [--rounds 3] [--seconds 10] [--indices 60]
#                   [--kills 5] [--silent 3] [--idle 120] [--many 10000] [--dir build/bench] [--table | --json] [--no-write]
#
# Prints a table on a terminal, else JSON. Each part's result is kept in --dir; build/bench/performance-coordination.md
# is written from the newest of all. Nodes, API server and etcd are processes on this machine,
# over loopback, and share its cores with the load (load.c). Times are this machine's.
use strict;
use warnings;
use utf8;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use lib dirname(__FILE__), dirname(__FILE__) . '/../integration/lib';
use JSON::PP ();
use KubeServer;
use List::Util qw(max min sum);
use POSIX ();
use Parts qw(report);
use QdCluster;
use Test::More ();
use Time::HiRes qw(time);

my @order = qw(creation updates routing failover idle cold);
my @stores = qw(k8s raft);
my %o = (parts => join(',', @order), rounds => 3, seconds => 10, indices => 60, kills => 5, silent => 3, idle => 120, many => 10_000, dir => 'build/bench');
my %flag;
while (@ARGV) {
    my $a = shift;
    if ($a =~ /^--(table|json|no-write)$/) { $flag{$1} = 1 }
    elsif ($a =~ /^--(docs|catalogue)$/ && @ARGV) { shift } # run.pl's, of no use here
    elsif ($a =~ /^--(\w+)$/ && exists $o{$1} && @ARGV) { $o{$1} = shift }
    else { die "unknown option $a; see the head of $0\n" }
}
my @parts = split /,/, $o{parts};
for my $p (@parts) { die "no part $p; there are @order\n" unless grep { $_ eq $p } @order }
my $load = "$QdNode::OUT/tests/bench/load";
my $dir = "$o{dir}/coordination";
make_path($dir);
die "run it after make, by make bench PART=coordination\n" unless -x $load && -x QdNode::daemon();
die "there is no kube-apiserver: tests/k8s/build-kube --api-only makes one\n" unless KubeServer::built();
$SIG{INT} = $SIG{TERM} = sub { exit 130 }; # through END: nodes and servers are ended, folders go

my $kube = KubeServer->new('bench')->start;
my (@rows, %raw, $spaces);

# --- small things -------------------------------------------------------------------------------------------
sub note { print STDERR "$_[0]\n" if -t STDERR || $ENV{QD_BENCH_VERBOSE} }
sub median { my @s = sort { $a <=> $b } @_; return @s ? $s[$#s / 2] : 0 }
sub ms { return sprintf $_[0] < 10 ? '%.2f ms' : '%.1f ms', $_[0] }
sub secs { return sprintf '%.2f s', $_[0] / 1000 }
sub all_of { return join ' ', map { sprintf '%.2f', $_ / 1000 } sort { $a <=> $b } @_ }
sub decode { return JSON::PP->new->utf8->decode($_[0]) }
sub load_average { (split ' ', QdNode::slurp('/proc/loadavg'))[0] }
# Does all of this run before what else there is (chrt -r)?
sub first_served { (split ' ', QdNode::slurp('/proc/self/stat') =~ s/.*\) //sr)[38] ? 1 : 0 }
# A figure of both stores; held: the one of k8s against the target.
sub row {
    my ($part, $what, $format, $k8s, $raft, $target, $met, $how) = @_;
    push @rows, { part => $part, what => $what, k8s => $format->($k8s), raft => defined $raft ? $format->($raft) : '', target => $target, met => $met, how => $how };
}
sub load_run {
    open my $p, '-|', $load, @_ or die "$load: $!\n";
    local $/;
    my $text = <$p>;
    close $p;
    my $r = eval { decode($text // '') } or die "load @_: no answer\n";
    die "load @_: $r->{error}\n" if $?;
    return $r;
}
sub good {
    my ($r, $what) = @_;
    die "$what: $r->{status} $r->{content}\n" unless $r->{status} =~ /^20/;
    return $r;
}
sub to { return join ',', map { "127.0.0.1:$_->{port}" } @_ }

# --- clusters -----------------------------------------------------------------------------------------------
# Three nodes; of k8s a namespace with a service account that has its role and no more.
sub cluster {
    my ($store, %more) = @_;
    my %settings = ('metrics.port' => -1, %{ $more{settings} || {} });
    my $account = $store eq 'k8s' ? $kube->install('bench-' . ++$spaces) : undef;
    if ($account) {
        $settings{'coordination.mode'} = 'k8s-native';
        $settings{'coordination.k8s.kubeconfig'} = $account->{kubeconfig};
    }
    my $c = QdCluster->new("bench-$store", nodes => 3, cluster => 'quidditch', settings => \%settings);
    delete @{ $_->{settings} }{$account ? ('discovery.seed_hosts', 'cluster.initial_master_nodes') : ()} for $c->nodes;
    @$c{qw(store account)} = ($store, $account);
    $c->{root} = "/apis/quidditch.io/v1/namespaces/$account->{namespace}/quidditchstates/quidditch" if $account;
    return $c->start(seconds => 120);
}
sub end { my ($c) = @_; $c->stop; $_->forget for $c->nodes }
sub root { my ($c) = @_; return good($kube->get($c->{root}), 'the root')->{json}{spec} }
# The place of the node that leads the store.
sub leader {
    my ($c) = @_;
    for my $n ($c->alive) {
        my $list = $n->get('/_quidditch/masters')->{json}{masters} || next;
        my ($name) = map { $_->{name} } grep { $_->{leader} && $_->{alive} } @$list;
        my ($at) = grep { defined $name && $c->node($_)->{name} eq $name && $c->node($_)->alive } 0 .. 2;
        return $at if defined $at;
    }
    return -1;
}
sub wait_leader {
    my ($c) = @_;
    my $at = -1;
    $c->node(0)->wait_for(sub { ($at = leader($c)) >= 0 }, 60) or die "$c->{store}: no leader\n";
    return $at;
}

# --- indices ------------------------------------------------------------------------------------------------
sub create {
    my ($node, $name, $wait) = @_;
    my $from = time;
    good($node->put("/$name?wait_for_active_shards=$wait", { settings => { number_of_shards => 1, number_of_replicas => 0 } }), "creation of $name");
    return 1000 * (time - $from);
}
sub creation {
    my %c = map { $_ => cluster($_) } @stores;
    my (%ms, %p);
    for my $i (1 .. $o{indices}) {
        for my $s (@stores) {
            my $n = $c{$s}->node($i % 3);
            push @{ $ms{$s}{none} }, create($n, "none-$i", 0);
            push @{ $ms{$s}{one} }, create($n, "one-$i", 1);
        }
    }
    end($_) for values %c;
    for my $s (@stores) { $p{$s}{$_} = median(@{ $ms{$s}{$_} }) for qw(none one) }
    my ($k, $r) = map { $p{$_}{one} - $p{$_}{none} } @stores;
    $raw{creation} = \%p;
    row('creation', 'an index is created, its primary started', \&ms, $p{k8s}{one}, $p{raft}{one}, '<= 40 ms', $p{k8s}{one} <= 40, "p50 of $o{indices}, sent to three nodes in turn");
    row('creation', 'of it allocating the shard and opening it', \&ms, $k, $r, '<= 15 ms', $k <= 15, 'against wait_for_active_shards=0');
}

# --- changes of state ---------------------------------------------------------------------------------------
my $template = '{"index_patterns":["zz-%c-*"],"priority":%c,"version":%n,"template":{"settings":{"number_of_shards":1},"mappings":{"properties":'
    . '{"at":{"type":"date"},"name":{"type":"keyword"},"text":{"type":"text"},"number":{"type":"long"}}}}}';
sub updates_once {
    my ($c, $clients, $seconds) = @_;
    my $r = load_run('http', '--to', to($c->nodes), '--clients', $clients, '--warm', 0, '--seconds', $seconds, '--path', '/_index_template/t-%c', '--body', $template);
    die "$c->{store}: $r->{error}\n" if $r->{bad} || $r->{lost};
    return $r;
}
sub updates {
    my %c = map { $_ => cluster($_) } @stores;
    my (%per_s, %p50, @writes, $burst);
    push @{ $per_s{raft} }, updates_once($c{raft}, 64, $o{seconds})->{per_s} for 1 .. $o{rounds};
    # the first 600 writes of the root may come at once: they are used up before anything is counted
    for (1 .. 40) {
        my ($before, $at) = (root($c{k8s})->{writes}, time);
        my $r = updates_once($c{k8s}, 64, 4);
        $burst ||= $r;
        last if (root($c{k8s})->{writes} - $before) / (time - $at) <= 11;
    }
    for (1 .. $o{rounds}) {
        my ($before, $at) = (root($c{k8s})->{writes}, time);
        my $r = updates_once($c{k8s}, 64, $o{seconds});
        push @writes, (root($c{k8s})->{writes} - $before) / (time - $at);
        push @{ $per_s{k8s} }, $r->{per_s};
        push @{ $p50{k8s} }, $r->{p50_ms};
    }
    end($_) for values %c;
    my ($k, $r) = map { median(@{ $per_s{$_} }) } @stores;
    $raw{updates} = { per_s => \%per_s, p50_ms => \%p50, writes_per_s => \@writes, burst => $burst };
    my $rate = sub { sprintf '%.0f/s', $_[0] };
    row('updates', 'changes of state from 64 writers, sustained', $rate, $k, $r, '>= 200/s', $k >= 200,
        "index templates over REST, median of $o{rounds} times $o{seconds} s, once the burst of root writes is used up; p50 " . ms(median(@{ $p50{k8s} })));
    row('updates', 'writes of the root meanwhile', sub { sprintf '%.1f/s', $_[0] }, max(@writes), undef, '<= 10/s', max(@writes) <= 10.5, 'the most of them; the root counts its writes');
    row('updates', 'the same in a burst', $rate, $burst->{per_s}, undef, '', undef, 'the first 4 s; p50 ' . ms($burst->{p50_ms}));
}

# --- routing ------------------------------------------------------------------------------------------------
sub routing {
    my %c = map { $_ => cluster($_) } @stores;
    my %ms;
    for my $c (values %c) { create($c->node(0), "i-$_", 1) for 1 .. 20 }
    my @ask = ('--clients', 1, '--warm', 0.2, '--seconds', 2, '--method', 'GET', '--path', '/i-7/_search_shards?routing=r-%n');
    for (1 .. $o{rounds}) {
        push @{ $ms{$_} }, load_run('http', '--to', to($c{$_}->nodes), @ask)->{p50_ms} for @stores;
    }
    end($_) for values %c;
    my ($k, $r) = map { min(@{ $ms{$_} }) } @stores;
    $raw{routing} = \%ms;
    row('routing', 'where a document is: asked over REST', sub { sprintf '%.0f µs', 1000 * $_[0] }, $k, $r, 'as with raft', $k <= 1.15 * $r, "_search_shards?routing, p50 of one client, best of $o{rounds} by turns");
}

# --- a leader goes ------------------------------------------------------------------------------------------
# A client that gives up after 500 ms and asks the next one: the first change accepted that was begun behind the signal.
sub gone {
    my ($c, $signal, $half) = @_;
    my $at = wait_leader($c);
    my $n = $c->node($at);
    my $led = $signal eq 'STOP' ? another_leads($c, $at) : undef;
    my $r = load_run('http', '--to', to(map { $c->node($_) } grep { $_ != $at } 0 .. 2), '--clients', 4, '--warm', 0.5, '--seconds', 2 * $half, '--timeout', 500,
        '--kill', $n->{pid}, '--signal', $signal, '--path', '/_index_template/t-%c', '--body', '{"index_patterns":["zz-%c"],"priority":%c,"version":%n}');
    if ($signal eq 'STOP') { $n->signal('CONT'); $c->wait_nodes(3, 60) }
    else { $n->wait_end; $n->start; $c->wait_nodes(3, 60) }
    die "$c->{store}: nothing was accepted after SIG$signal\n" unless $r->{restored_ms};
    return ($r->{restored_ms}, $led ? $led->() : ());
}
# Looked at beside the load: when the others name another leader, in ms from when the node stood still.
sub another_leads {
    my ($c, $at) = @_;
    my $n = $c->node($at);
    my @others = map { $c->node($_) } grep { $_ != $at } 0 .. 2;
    my $stands = sub { (QdNode::slurp("/proc/$n->{pid}/stat") // '') =~ /\) T / };
    my $other = sub {
        grep { $_->{leader} && $_->{alive} && $_->{name} ne $n->{name} } map { @{ $_->get('/_quidditch/masters')->{json}{masters} || [] } } @others;
    };
    my $pid = open my $from, '-|' // die "fork: $!\n";
    if (!$pid) {
        QdNode->wait_for($stands, 120, 0.005);
        my $stood = time;
        QdNode->wait_for($other, 120);
        syswrite STDOUT, 1000 * (time - $stood);
        POSIX::_exit(0);
    }
    return sub { my $ms = <$from>; close $from; return $ms };
}
sub failover {
    my %c = map { $_ => cluster($_) } @stores;
    my %ms;
    for my $try ([KILL => $o{kills}, 4], [TERM => $o{kills}, 4], [STOP => $o{silent}, 20]) {
        my ($signal, $times, $half) = @$try;
        for (1 .. $times) {
            for my $s (@stores) {
                my ($gone, $led) = gone($c{$s}, $signal, $half);
                push @{ $ms{$signal}{$s} }, $gone;
                push @{ $ms{led}{$s} }, $led if defined $led;
            }
        }
    }
    end($_) for values %c;
    $raw{failover} = \%ms;
    for my $x ([KILL => 'a leader is killed: changes go on after', 3000], [led => 'a leader is silent (SIGSTOP): another leads', 16_000], [STOP => '... and changes are acknowledged', undef], [TERM => 'a leader is stopped: the same', 2000]) {
        my ($signal, $what, $limit) = @$x;
        my ($k, $r) = map { median(@{ $ms{$signal}{$_} }) } @stores;
        row('failover', $what, \&secs, $k, $r, $limit ? (($signal eq 'KILL' ? '< ' : '<= ') . $limit / 1000 . ' s', $k <= $limit) : ('', undef),
            'medians, default settings; ' . join '; ', map { "$_: " . all_of(@{ $ms{$signal}{$_} }) } @stores);
    }
}

# --- nobody asks for anything -------------------------------------------------------------------------------
sub idle {
    my $c = cluster('k8s');
    create($c->node(0), 'books', 1);
    my ($writes, %did) = (-1); # until what this left to do is done: no write between two looks
    $c->node(0)->wait_for(sub { my $before = $writes; ($writes = root($c)->{writes}) == $before }, 60, 2) or die "k8s: it does not come to rest\n";
    $kube->forget_calls;
    my $end = time + $o{idle}; # the time that is measured
    $c->node(0)->wait_for(sub { time >= $end }, 2 * $o{idle}, 0.1) or die "k8s: a node has gone\n";
    my @calls = $kube->audited(user => $c->{account}{user});
    $did{"$_->{verb} $_->{resource}"}++ for @calls;
    my $watches = grep { $_->{verb} eq 'watch' } @calls;
    my $leases = grep { $_->{resource} eq 'leases' && $_->{verb} eq 'update' } @calls;
    my $each = (@calls - $watches - $leases) * 60 / $o{idle} / 3;
    end($c);
    $raw{idle} = \%did;
    row('idle', 'requests a minute and control node, idle', sub { sprintf '%.1f', $_[0] }, $each, undef, '<= 5', $each <= 5,
        sprintf "over %d s, by the API server's audit log; beside them %d renewals of the Lease and %d watches: %s", $o{idle}, $leases, $watches,
        join ', ', map { "$_ $did{$_}" } sort keys %did);
}

# --- many indices -------------------------------------------------------------------------------------------
# Control nodes alone: the indices' shards have no place, their state is all there.
sub cold {
    my %ms;
    for my $s (@stores) {
        my $c = cluster($s, settings => { 'node.roles' => 'master,ingest', 'action.auto_create_index' => 'false', 'cluster.max_shards_per_node' => 10 * $o{many} });
        my $r = load_run('http', '--to', to($c->nodes), '--clients', 128, '--warm', 0, '--seconds', 1200, '--requests', $o{many},
            '--path', '/i-%n?wait_for_active_shards=0', '--body', '{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"properties":{"at":{"type":"date"},"f%n":{"type":"keyword"}}}}');
        die "$s: $r->{error}\n" if $r->{bad} || $r->{lost};
        my $all = sub { ($_[0]->get('/_cluster/stats?filter_path=indices.count')->{json}{indices}{count} // 0) == $o{many} };
        $c->node(0)->wait_for(sub { !grep { !$all->($_) } $c->nodes }, 120) or die "$s: not all indices are there\n";
        for (1 .. $o{rounds}) { # one that does not lead
            my $n = $c->node((wait_leader($c) + 1) % 3);
            $n->stop;
            my $from = time;
            $n->launch;
            $n->wait_for(sub { $n->log_text =~ /\bstarted in \d+ ms/ && $all->($n) }, 120) or die "$s: no start\n";
            push @{ $ms{$s}{one} }, 1000 * (time - $from);
            $c->wait_nodes(3, 60);
        }
        $c->stop;
        my $from = time;
        $_->launch for $c->nodes;
        my ($n) = $c->nodes;
        $n->wait_for(sub { $n->log_text =~ /\bstarted in \d+ ms/ && $n->put('/_index_template/after', { index_patterns => ['zz'] })->{status} == 200 && $all->($n) }, 120) or die "$s: no start\n";
        $ms{$s}{all} = 1000 * (time - $from);
        $ms{$s}{creation} = $r;
        end($c);
    }
    $raw{cold} = \%ms;
    my $many = $o{many} =~ s/(?<=\d)(?=(\d{3})+$)/,/gr;
    my ($k, $r) = map { median(@{ $ms{$_}{one} }) } @stores;
    row('cold', "a control node starts, $many indices", \&secs, $k, $r, '< 3 s', $k < 3000, "until it lists all of them; median of $o{rounds}");
    row('cold', '... all three after a clean stop', \&secs, $ms{k8s}{all}, $ms{raft}{all}, '', undef, 'until a change is accepted');
}

# --- all of it ----------------------------------------------------------------------------------------------
my %part = (creation => \&creation, updates => \&updates, routing => \&routing, failover => \&failover, idle => \&idle, cold => \&cold);
my %machine = (cores => scalar(() = QdNode::slurp('/proc/cpuinfo') =~ /^processor\s*:/mg), cpu => QdNode::slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.+)/m,
    kernel => (POSIX::uname())[2], kubernetes => $kube->get('/version')->{json}{gitVersion});
chomp($machine{commit} = `git describe --always --dirty 2>/dev/null` || 'unknown');
my $json = JSON::PP->new->canonical->pretty->utf8;
sub keep {
    my ($p, $load) = @_;
    open my $h, '>', "$dir/$p.json" or die "$dir/$p.json: $!\n";
    print $h $json->encode({ rows => [grep { $_->{part} eq $p } @rows], load => $load });
    close $h;
}
for my $p (@parts) {
    note("$p ...");
    my %load = (before => load_average(), commit => $machine{commit}, first => first_served());
    eval { $part{$p}->(); 1 } or do {
        my $why = $@;
        chomp $why;
        push @rows, { part => $p, what => $p, k8s => 'not measured', raft => '', target => '', met => 0, how => $why };
        print STDERR "$p: $why\n";
    };
    $load{after} = load_average();
    keep($p, \%load);
}

my @columns = (['what', 'what'], ['Kubernetes', 'k8s'], ['masters', 'raft'], ['target', 'target'], ['', sub { my ($r) = @_; return !defined $r->{met} ? '' : $r->{met} ? 'met' : 'MISSED' }]);
sub cell { my ($r, $k) = @_; return ref $k ? $k->($r) : $r->{$k} }
sub table {
    my @w = map { my $k = $_; max(map { length } $k->[0], map { cell($_, $k->[1]) } @rows) } @columns;
    my $line = sub { my @c = @_; return join('  ', map { $c[$_] . ' ' x ($w[$_] - length $c[$_]) } 0 .. $#c) =~ s/ +$//r . "\n" };
    return join '', $line->(map { $_->[0] } @columns), map { my $r = $_; $line->(map { cell($r, $_->[1]) } @columns) } @rows;
}
sub kept { my ($p) = @_; return scalar eval { decode(QdNode::slurp("$dir/$p.json")) } }
my %kept = map { $_ => kept($_) } @order;
sub lines {
    my (@with) = @_;
    my $md = '| what | Kubernetes | masters | target | |' . (@with ? ' how |' : '') . "\n|---|---|---|---|---|" . (@with ? '---|' : '') . "\n";
    for my $r (map { @{ $kept{$_}{rows} } } @order) { $md .= '| ' . join(' | ', (map { cell($r, $_->[1]) } @columns), map { $r->{$_} } @with) . " |\n" }
    return $md;
}
sub pages {
    return if grep { !$kept{$_} } @order;
    my $from = join ', ', map { "$_ $kept{$_}{load}{before} ($kept{$_}{load}{commit}" . ($kept{$_}{load}{first} ? ', at real-time priority' : '') . ')' } @order;
    my $page = "# What the cluster's state costs, in Kubernetes and with masters\n\nWritten by `make bench PART=coordination` "
        . "(tests/bench/coordination.pl). Three nodes with all roles, with a real API server ($machine{kubernetes}, one etcd)\nand with masters of their own, by turns in one run, "
        . "all of it processes on one machine over loopback that share its cores with the load and\nwith what else ran. Default settings.\n\n"
        . "Machine: $machine{cpu}, $machine{cores} cores, Linux $machine{kernel}. Load at the start of each part, and its sources:\n$from.\n\n" . lines('how')
        . "\nOne of them: `make bench PART=coordination BENCH=\"--parts NAME\"`, NAME one of @order.\n";
    utf8::encode($page);
    report('coordination', $page);
}
if ($flag{table} || (-t STDOUT && !$flag{json})) { my $t = table(); utf8::encode($t); print $t }
else { print $json->encode({ machine => \%machine, options => \%o, rows => \@rows, raw => \%raw }) }
pages() unless $flag{'no-write'};
exit 0;
