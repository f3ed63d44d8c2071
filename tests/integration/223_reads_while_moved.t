#!/usr/bin/perl
# One document's reads (get, _source, _mget, _explain) by all nodes, while its shard goes from node to
# node: none of them may fail, whoever has the shard at that moment.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use Test::More;

my $c = QdCluster->new('rm', nodes => 3);
$c->start;
my $n = $c->node(0);
$n->put('/_cluster/settings', { persistent => { 'cluster.routing.rebalance.enable' => 'none' } });
is($n->put('/a', { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, 'an index');
is($n->put("/a/_doc/$_?refresh=true", { n => $_ })->{status}, 201, "document $_") for 1 .. 3;

my %reads = (
    get     => sub { $_[0]->get('/a/_doc/2') },
    stored  => sub { $_[0]->get('/a/_doc/2?realtime=false') },
    source  => sub { $_[0]->get('/a/_source/2') },
    mget    => sub { my $r = $_[0]->post('/a/_mget', { ids => [1, 2, 3] }); $r->{status} = 500 if grep { !$_->{found} } @{ $r->{json}{docs} || [{}] }; $r },
    explain => sub { $_[0]->post('/a/_explain/2', { query => { match_all => {} } }) },
);
my @children;
for my $kind (sort keys %reads) {
    for my $node ($c->nodes) {
        pipe my $in, my $out or die $!;
        my $pid = fork // die $!;
        if (!$pid) { # reads until it is told to end, then says how many and what failed
            my ($end, $count, @bad) = (0, 0);
            local $SIG{TERM} = sub { $end = 1 };
            until ($end) {
                my $r = $reads{$kind}->($node);
                $count++;
                push @bad, "$r->{status} " . ($r->{content} // '') if $r->{status} != 200;
                select undef, undef, undef, 0.002;
            }
            print $out "$count\n", map { s/\s+/ /gr . "\n" } @bad[0 .. ($#bad > 4 ? 4 : $#bad)];
            close $out;
            require POSIX;
            POSIX::_exit(0);
        }
        close $out;
        push @children, { pid => $pid, in => $in, what => "$kind by $node->{name}" };
    }
}

sub place { ($n->get('/_cat/shards/a?format=json&h=state,node')->{json} || [])->[0] || {} }
my $moved = 0;
for my $round (1 .. 12) {
    my $from = place()->{node};
    my $to = 'rm' . (substr($from, -1) + 1) % 3;
    my $r = $n->post('/_cluster/reroute?metric=none', { commands => [{ move => { index => 'a', shard => 0, from_node => $from, to_node => $to } }] });
    is($r->{status}, 200, "from $from to $to") or diag($r->{content});
    $moved++ if $n->wait_for(sub { my $p = place(); ($p->{state} // '') eq 'STARTED' && $p->{node} eq $to }, 60);
}
is($moved, 12, 'it went all the way');

for my $child (@children) {
    kill TERM => $child->{pid};
    my ($count, @bad) = readline $child->{in};
    waitpid $child->{pid}, 0;
    cmp_ok($count // 0, '>', 10, "$child->{what}: " . (($count // 0) + 0) . ' reads');
    is(scalar @bad, 0, 'none failed') or diag(@bad);
}
is($c->stop, 0, 'they stop cleanly');
done_testing;
