#!/usr/bin/perl
# A primary's node does not hear the leader any more, which has the shard's copy, and is heard by everybody:
# it can acknowledge nothing, and those that it answers wait for it no longer than the cluster keeps it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use POSIX ();
use QdCluster;
use QdNet;
use Test::More;
use Time::HiRes qw(time);
use Timed;

my $net = QdNet->new(3) or plan skip_all => 'LOUD: nothing is cut off here: ' . QdNet::why();
my $c = QdCluster->new('h', nodes => 3, net => $net);
$c->start;
my @n = $c->nodes;
my $leader = $n[0]->get('/_cat/master?format=json')->{json}[0]{node};
my ($lead) = grep { $n[$_]{name} eq $leader } 0 .. 2;
my ($victim, $asked) = grep { $_ != $lead } 0 .. 2;
my $only = 'index.routing.allocation.include._name';
is($n[0]->put('/a', { settings => { number_of_shards => 1, number_of_replicas => 0, $only => $n[$victim]{name} } })->{status}, 200, 'a primary on a node that does not lead');
$n[0]->put('/a/_settings', { $only => "$n[$victim]{name},$leader", 'index.number_of_replicas' => 1 });
ok($c->wait_status('green'), 'its copy where the leader is');

# writers through the third node: each notes how long it waited and what it was told
my $dir = tempdir(CLEANUP => 1);
my @pids;
for my $w (1 .. 4) {
    my $pid = fork // die "fork: $!";
    if ($pid) { push @pids, $pid; next }
    my $run = 1;
    local $SIG{TERM} = sub { $run = 0 };
    open my $log, '>', "$dir/$w" or POSIX::_exit(1);
    $log->autoflush(1);
    for (my $i = 0 ; $run ; $i++) {
        my $from = time;
        my $r = $n[$asked]->put("/a/_doc/$w-$i", { n => $i });
        printf $log "%.1f %d %s\n", time - $from, $r->{status}, $r->{json}{error}{type} // "$w-$i";
    }
    POSIX::_exit(0);
}
sub answers { map { my $f = $_; open my $h, '<', $f or (); map { [split] } <$h> } glob "$dir/*" }
ok($n[$asked]->wait_for(sub { answers() > 200 }, 60), 'documents are written');
$net->cut_one_way([$lead], [$victim]);
my $before = answers();
ok($n[$asked]->wait_for(sub { answers() > $before + 500 }, 120), 'they are soon again, with a node that hears the leader no more');
$net->heal;
ok($c->wait_status('green', 60), 'green by itself');
kill 'TERM', @pids;
waitpid $_, 0 for @pids;
my @all = answers();
my ($longest) = sort { $b <=> $a } map { $_->[0] } @all;
within($longest, 20, 90, 'who was just writing had an answer');
is_deeply([grep { $_->[1] !~ /^20[01]$/ && $_->[2] ne 'write_outcome_unknown_exception' } @all], [], 'that of a document that may be there, if not done');
my @done = map { $_->[2] } grep { $_->[1] == 201 } @all;
$n[$asked]->post('/a/_refresh');
my $there = 0;
while (my @some = splice @done, 0, 5000) {
    $there += $n[$asked]->post('/a/_count', { query => { ids => { values => \@some } } })->{json}{count} - @some;
}
is($there, 0, 'all that was acknowledged is there');
is($c->stop, 0, 'they stop cleanly');
done_testing;
