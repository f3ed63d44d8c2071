#!/usr/bin/perl
# failover.pl KIND ROUNDS: how long a cluster (three masters, three data nodes, default timings) does
# without what is taken away, one line of seconds for each round. KIND:
#   data_killed, data_cut       the longest time without an acknowledgement, from the moment on, of writers to
#                               an index whose primary is on the data node that is killed, or cut off silently
#   master_killed, master_cut   from the moment on until a master that is left answers, linearizably, that
#                               another one leads; until another one allocates shards (_cat/master); until
#                               a change of state is answered, which waits for all nodes that can be reached
use strict;
use warnings;
use FindBin qw($Bin);
use lib "$Bin/../integration/lib";
use POSIX ();
use QdCluster;
use QdNet;
use Test::More;
use Time::HiRes qw(time);

my ($kind, $rounds) = @ARGV;
my ($what, $how) = ($kind // '') =~ /^(data|master)_(killed|cut)$/ or die "usage: failover.pl KIND ROUNDS\n";
my $net = QdNet->new(6) or die 'no namespaces: ' . QdNet::why() . "\n";
my $c = QdCluster->new('l', masters => 3, data => 3, net => $net);
$c->start;
my @n = $c->nodes;
my @of = $what eq 'data' ? (3 .. 5) : (0 .. 2);
$n[3]->put('/x', { settings => { number_of_shards => 1, number_of_replicas => 1, 'index.unassigned.node_left.delayed_timeout' => '0s' } })->{status} == 200 or die;
$c->wait_status('green') or die "not green\n";

# Writers that write down when they were acknowledged.
my @writers;
sub writers {
    my ($file, @nodes) = @_;
    for my $w (1 .. 4) {
        my $pid = fork // die;
        if (!$pid) {
            my $run = 1;
            $SIG{TERM} = sub { $run = 0 };
            open my $f, '>>', $file or POSIX::_exit(1);
            $f->autoflush(1);
            my $n = $nodes[$w % @nodes];
            for (my $id = 0; $run; $id++) {
                my $r = $n->put("/x/_doc/$w-$id?timeout=30s", '{"v":1}');
                printf $f "%.4f\n", time if $r->{status} < 300;
            }
            POSIX::_exit(0);
        }
        push @writers, $pid;
    }
}
sub stop_writers { kill 'TERM', @writers; waitpid $_, 0 for @writers; @writers = () }
sub acks { my ($file) = @_; my @a = sort { $a <=> $b } split /\n/, QdNode::slurp($file); return @a }
END { local $?; kill 'KILL', @writers }

sub host { my ($node) = @_; my ($i) = grep { $n[$_] == $node } 0 .. 5; return $i }
sub take {
    my ($i) = @_;
    if ($how eq 'killed') { $n[$i]->signal('KILL') } else { $net->cut([$i], [grep { $_ != $i } 0 .. 5]) }
}
sub give_back {
    my ($i) = @_;
    if ($how eq 'killed') { $n[$i]->wait_end; $n[$i]->start } else { $net->heal }
    $c->wait_nodes(6, 120) or die "not six nodes\n";
    $c->wait_status('green', 120, $n[$i == 3 ? 4 : 3]) or die "not green\n";
}
sub named { my ($n, $path, $key) = @_; my $rows = $n->get($path)->{json}; return ref $rows eq 'ARRAY' ? map { $_->{$key} // '' } @$rows : () }

for my $round (1 .. $rounds) {
    if ($what eq 'data') {
        my ($name) = map { $_->{node} } grep { $_->{prirep} eq 'p' } @{ $n[3]->get('/_cat/shards/x?format=json&h=prirep,node')->{json} };
        my ($victim) = grep { $n[$_]{name} eq $name } @of;
        my $file = "$n[0]{dir}/acks.$round";
        writers($file, map { $n[$_] } grep { $_ != $victim } @of);
        $n[0]->wait_for(sub { acks($file) >= 1000 }, 120) or die "no load\n";
        my $moment = time;
        take($victim);
        # until there were some after the longest pause that could be meant
        $n[0]->wait_for(sub { my @a = acks($file); my $late = grep { $_ > $moment + 0.05 } @a; $late > 200 && time > $moment + 6 }, 120);
        stop_writers();
        my ($last, $longest) = ($moment, 0);
        for my $t (grep { $_ > $moment } acks($file)) { $longest = $t - $last if $t - $last > $longest; $last = $t }
        printf "%.3f\n", $longest;
        give_back($victim);
    } else {
        my ($name) = map { $_->{name} } grep { $_->{leader} } @{ $n[3]->get('/_quidditch/masters')->{json}{masters} || [] };
        my ($victim) = grep { $n[$_]{name} eq ($name // '') } @of or die "no leader\n";
        my ($asked) = grep { $_ != $victim } @of;
        my $file = "$n[0]{dir}/change.$round";
        my $moment = time;
        take($victim);
        my $pid = fork // die;
        if (!$pid) { # a change that is asked for right after it
            my $r = $n[$ENV{VIA_DATA} ? 3 : $asked]->put("/x/_settings", { 'index.refresh_interval' => (1 + $round % 5) . 's' });
            open my $f, '>', $file;
            print $f $r->{status} == 200 ? time - $moment : "nan $r->{status}";
            close $f;
            POSIX::_exit(0);
        }
        my ($found, $leads) = ('');
        $n[$asked]->wait_for(sub {
            my $list = $n[$asked]->get('/_quidditch/masters?timeout=1s')->{json}{masters} || [];
            ($found) = map { $_->{name} } grep { $_->{leader} } @$list;
            return $found && $found ne $name;
        }, 60, 0.005);
        $leads = time - $moment;
        $n[$asked]->wait_for(sub {
            ($found) = named($n[$asked], '/_cat/master?h=node&format=json', 'node');
            return $found && $found ne '-' && $found ne $name;
        }, 60, 0.005);
        my $took = time - $moment;
        waitpid $pid, 0;
        printf "%.3f %.3f %s\n", $leads, $took, QdNode::slurp($file);
        give_back($victim);
    }
    STDOUT->flush;
}
$c->stop;
