# A node's data folder is put back as it was earlier, as from a backup: the node does not come back with it,
# says why and what to do, and nothing acknowledged is lost or shown older. With the newer folder, or an
# empty one, it is of the cluster again. Also a folder that was copied and put back within one run of the node.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Path qw(remove_tree);
use QdCluster;

sub write_all {
    my ($n, $index, $value) = @_;
    my $body = join '', map { qq({"index":{"_id":"$_"}}\n{"v":$value}\n) } 1 .. 40;
    my $r = $n->post("/$index/_bulk", $body);
    is(scalar(grep { ($_->{index}{status} // 999) < 300 } @{ $r->{json}{items} || [] }), 40, "$index has value $value, acknowledged");
}
# (with the value, with another one, not found, without an answer)
sub read_all {
    my ($n, $index, $value) = @_;
    my %n = (right => 0, old => 0, missing => 0, failed => 0);
    for my $d (@{ $n->post("/$index/_mget", { ids => [1 .. 40] })->{json}{docs} || [] }) {
        $n{ $d->{error} ? 'failed' : !$d->{found} ? 'missing' : $d->{_source}{v} == $value ? 'right' : 'old' }++;
    }
    return \%n;
}
sub put_back { my ($n, $from, $to) = @_; rename "$n->{dir}/data", "$n->{dir}/$to" or die $!; rename "$n->{dir}/$from", "$n->{dir}/data" or die $! }

# --- a data node
my $c = QdCluster->new('o', masters => 1, data => 2);
$c->start;
my ($m, $n, $x) = $c->nodes;
is($n->put('/one', { settings => { number_of_shards => 2, number_of_replicas => 0 } })->{status}, 200, 'an index without replicas');
is($n->put('/two', { settings => { number_of_shards => 2, number_of_replicas => 1, 'index.unassigned.node_left.delayed_timeout' => '0s' } })->{status}, 200, 'one with a replica');
ok($c->wait_status('green'), 'are green');
write_all($n, $_, 1) for 'one', 'two';
$x->stop;
is(system("cp -a $x->{dir}/data $x->{dir}/backup"), 0, 'a folder is copied');
$x->start;
ok($c->wait_nodes(3) && $c->wait_status('green'), 'its node runs on');
write_all($n, $_, 2) for 'one', 'two';
# both at once, and nobody writes down that one went before the other: both copies of two stay in sync
$m->signal('STOP');
$_->signal('KILL') for $n, $x;
$_->wait_end for $n, $x;
$m->signal('CONT');
put_back($x, 'backup', 'newer');
$n->launch;
$x->launch;
is($x->wait_end(120), 1, 'with the old folder the node does not come back');
like($x->log_text, qr/path\.data is an old copy.*Put the newer folder back.*empty one/, 'it says why, and what to do');
like($x->stderr_text, qr/is an old copy/, 'also where it was started');
ok($n->wait_for(sub { read_all($n, 'two', 2)->{right} == 40 }, 120), 'the other copies have what was acknowledged')
    or diag(explain(read_all($n, 'two', 2)));
my $r = read_all($n, 'one', 2);
is($r->{old} + $r->{missing}, 0, 'what only the folder had is not answered, neither old nor as if it never was')
    or diag(explain($r));
cmp_ok($r->{failed}, '>', 0, 'but fails');
put_back($x, 'newer', 'backup');
$x->start;
ok($c->wait_nodes(3) && $c->wait_status('green', 120), 'with the newer folder it comes back');
is(read_all($n, $_, 2)->{right}, 40, "and $_ is whole") for 'one', 'two';

# --- a copy that was taken and put back within one run of the node
sub marks { my ($n) = @_; my ($last) = QdNode::slurp("$n->{dir}/data/authority.json") =~ /"starts"\s*:\s*\[\s*"[^".]+\.(\d+)"/; return $last // 0 }
# Writes until a mark that came behind the first of it is known to the cluster: the next one has begun.
sub write_marked {
    my ($value) = @_;
    for (1, 2) {
        my $before = marks($x);
        write_all($n, $_, $value) for 'one', 'two';
        ok($x->wait_for(sub { marks($x) > $before }, 60), 'that the node wrote is marked');
    }
}
$x->stop;
$x->{settings}{'cluster.data_mark.interval'} = '1s';
$x->start;
ok($c->wait_nodes(3) && $c->wait_status('green'), 'the node runs');
write_marked(3);
$x->signal('STOP');
is(system("cp -a $x->{dir}/data $x->{dir}/running"), 0, 'its folder is copied while it runs');
$x->signal('CONT');
ok($c->wait_nodes(3) && $c->wait_status('green'), 'it runs on');
write_marked(4);
$m->signal('STOP');
$_->signal('KILL') for $n, $x;
$_->wait_end for $n, $x;
$m->signal('CONT');
put_back($x, 'running', 'newer');
$n->launch;
$x->launch;
is($x->wait_end(120), 1, 'with a folder of the same run the node does not come back');
like($x->log_text, qr/path\.data is an old copy.*Put the newer folder back/, 'and says why');
ok($n->wait_for(sub { read_all($n, 'two', 4)->{right} == 40 }, 120), 'the other copies have what was acknowledged');
$r = read_all($n, 'one', 4);
is($r->{old} + $r->{missing}, 0, 'nothing old is shown') or diag(explain($r));
put_back($x, 'newer', 'running');
$x->start;
ok($c->wait_nodes(3) && $c->wait_status('green', 120), 'with the newer folder it comes back');
delete $x->{settings}{'cluster.data_mark.interval'};
$x->stop;
$x->start;
ok($c->wait_nodes(3) && $c->wait_status('green', 120), 'it runs again');
$x->signal('STOP');
is(system("cp -a $x->{dir}/data $x->{dir}/before"), 0, 'its folder is copied');
$x->signal('CONT');
ok($c->wait_nodes(3) && $c->wait_status('green'), 'it runs on');
write_all($n, $_, 5) for 'one', 'two';
is($x->stop, 0, 'and ends cleanly, soon after the last write');
put_back($x, 'before', 'newer');
$x->launch;
is($x->wait_end(120), 1, 'the copy of before is refused at once');
put_back($x, 'newer', 'before');
$x->start;
ok($c->wait_nodes(3) && $c->wait_status('green', 120), 'with the newer folder it comes back');
is(read_all($n, $_, 5)->{right}, 40, "and $_ is whole") for 'one', 'two';

# the operator's word
$x->stop;
put_back($x, 'backup', 'newer');
my ($rc, $out) = $x->run_qd('recover', '--accept-older-state', '--data', "$x->{dir}/data");
is($rc, 0, 'an operator may say that the old one is right') or diag($out);
$x->start;
ok($c->wait_nodes(3), 'then it is taken');
is($c->stop, 0, 'they stop cleanly');

# --- a node that votes
my $v = QdCluster->new('p', nodes => 3);
$v->start;
my @n = $v->nodes;
is($n[0]->put('/two', { settings => { number_of_shards => 2, number_of_replicas => 1, 'index.unassigned.node_left.delayed_timeout' => '0s' } })->{status}, 200, 'an index with a replica');
ok($v->wait_status('green'), 'is green');
write_all($n[0], 'two', 1);
$n[2]->stop;
is(system("cp -a $n[2]{dir}/data $n[2]{dir}/backup"), 0, 'the folder of a master is copied');
$n[2]->start;
ok($v->wait_nodes(3) && $v->wait_status('green', 120), 'it runs on');
write_all($n[0], 'two', 2);
is($n[0]->put('/three', { settings => { number_of_replicas => 1, 'index.unassigned.node_left.delayed_timeout' => '0s' } })->{status}, 200, 'the state changes');
ok($v->wait_status('green', 120), 'and has a copy elsewhere');
$n[2]->kill9;
put_back($n[2], 'backup', 'newer');
$n[2]->launch;
my $asked = $n[0];
is($n[2]->wait_end(120), 1, 'with the old folder it does not come back');
like($n[2]->log_text . $n[2]->stderr_text, qr/is an old copy/, 'it says why');
ok($asked->wait_for(sub { read_all($asked, 'two', 2)->{right} == 40 }, 120), 'nothing acknowledged is lost');
remove_tree("$n[2]{dir}/data");
$n[2]->start(seconds => 120);
ok($v->wait_nodes(3, 120) && $v->wait_status('green', 120), 'with an empty folder it joins and is filled') or diag($asked->get('/_cat/nodes?v')->{content});
is(read_all($n[2], 'two', 2)->{right}, 40, 'and answers rightly');
is($v->stop, 0, 'they stop cleanly');
done_testing;
