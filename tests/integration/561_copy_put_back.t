# The data folder of a node is put back as it was some seconds earlier, from a copy of the same run, while the primaries of its
# shards run on elsewhere: one loud line in the log of the primary's node says so at once, and the copy is filled before
# it counts: when it becomes primary, all that was acknowledged is there. A node that was merely killed is not suspected.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

# A copy that is filled again right after its node came back may fail once more before it stays: its primary dials
# a node that it did not reach only a moment later.
sub write_all {
    my ($n, $value) = @_;
    my $r;
    my $by_both = sub {
        $r = $n->post('/two/_bulk', join '', map { qq({"index":{"_id":"$_"}}\n{"v":$value}\n) } 1 .. 40);
        return 40 == grep { ($_->{index}{status} // 999) < 300 && $_->{index}{_shards}{successful} == 2 } @{ $r->{json}{items} || [] };
    };
    ok($n->wait_for($by_both, 60, 0.2), "value $value is acknowledged by both copies") or diag(substr $r->{content}, 0, 600);
}
sub right {
    my ($n, $value) = @_;
    return scalar grep { ($_->{_source}{v} // '') eq $value } @{ $n->post('/two/_mget', { ids => [1 .. 40] })->{json}{docs} || [] };
}
sub said { my ($n) = @_; return scalar grep { /WARN.*came back with operations up to \[\d+\], and had said/ } split /^/, $n->log_text }

my $c = QdCluster->new('b', masters => 1, data => 2);
$c->start;
my ($m, @n) = $c->nodes;
is($m->put('/two', { settings => { number_of_replicas => 1 } })->{status}, 200, 'an index with a replica');
ok($c->wait_status('green'), 'is green');
my %on = map { $_->{prirep} => $_->{node} } @{ $m->get('/_cat/shards/two?format=json&h=prirep,node')->{json} };
my ($p, $x) = map { my $name = $on{$_}; grep { $_->{name} eq $name } @n } 'p', 'r';
write_all($p, 1);
$x->kill9;
ok($c->wait_nodes(2), 'a killed node is missed');
$x->start;
ok($c->wait_nodes(3) && $c->wait_status('green'), 'killed and started again it is back');
is(said($p), 0, 'and not suspected');
# in the middle of writes the checkpoint on its disk, to which it is set back when it is opened, is behind what it had said
my $writer = fork // die $!;
if (!$writer) {
    for (my $value = 1000; ; $value++) { $p->post('/two/_bulk', join '', map { qq({"index":{"_id":"w$_"}}\n{"v":$value}\n) } 1 .. 10) }
}
ok($m->wait_for(sub { ($m->get('/two/_doc/w1')->{json}{_source}{v} // 0) > 1030 }, 60), 'there are writes');
$x->kill9;
kill 'KILL', $writer;
waitpid $writer, 0;
ok($c->wait_nodes(2), 'killed in the middle of writes it is missed');
$x->start;
ok($c->wait_nodes(3) && $c->wait_status('green', 60), 'and back');
is(said($p), 0, 'and not suspected: its log has all that it had said');
write_all($p, 2);
$x->signal('STOP');
is(system("cp -a $x->{dir}/data $x->{dir}/before"), 0, 'the folder of the replica\'s node is copied while it runs');
$x->signal('CONT');
ok($c->wait_nodes(3) && $c->wait_status('green'), 'it runs on');
write_all($p, 3);

$x->kill9;
rename "$x->{dir}/data", "$x->{dir}/newer" or die $!;
rename "$x->{dir}/before", "$x->{dir}/data" or die $!;
$x->launch;
ok($p->wait_for(sub { said($p) }, 60), 'with the older folder the primary says so at once') or diag($x->log_text);
ok($c->wait_nodes(3, 60) && $c->wait_status('green', 60), 'the copy is filled');
is(said($p), 1, 'it was said once');
like($p->log_text, qr/the copy on node \[\Q$x->{name}\E\] came back/, 'with the name of the node');
$p->kill9;
ok($m->wait_for(sub { right($x, 3) == 40 }, 60), 'as primary it has all that was acknowledged');
$p->start;
ok($c->wait_nodes(3) && $c->wait_status('green'), 'and the other one comes back');
is($c->stop, 0, 'they stop cleanly');
done_testing;
