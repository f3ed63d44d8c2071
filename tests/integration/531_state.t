# 531_state.t: the state of a cluster and who obeys it: draining, replicas that follow the number of nodes,
# a second process of one identity, masters restored from an old copy, an empty store, and the way back
# by `qd recover`.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('s', masters => 1, data => 3);
$c->start;
my ($m, @d) = $c->nodes;
is($m->get('/_cat/master?h=node&format=json')->{json}[0]{node}, $m->{name}, 'the master allocates');

$d[0]->put('/books', { settings => { number_of_shards => 3, number_of_replicas => 1 } });
ok($c->wait_status('green'), 'an index with replicas is green');
is($d[$_ % 3]->put("/books/_doc/$_", { n => $_ })->{status}, 201, "document $_") for 0 .. 29;
$d[0]->post('/books/_refresh');

# --- draining
my ($drained) = grep { ($_->{node} // '') ne '' } @{ $m->get('/_cat/shards/books?format=json&h=node')->{json} };
($drained) = grep { $_->{name} eq $drained->{node} } @d;
sub cluster { $m->put('/_cluster/settings', { persistent => {@_} })->{status} }
sub files { my ($n) = @_; my @found = glob "$n->{dir}/data/hot/indices/*/*/commit"; return scalar @found }
cmp_ok(files($drained), '>', 0, 'a node has files of copies');
is(cluster('cluster.routing.allocation.exclude._name' => $drained->{name}), 200, 'it is to have none');
ok($m->wait_for(sub { !grep { ($_->{node} // '') =~ /\Q$drained->{name}\E/ } @{ $m->get('/_cat/shards?format=json&h=node')->{json} } }, 120), 'a node is drained');
ok($c->wait_status('green'), 'without losing a copy');
ok($m->wait_for(sub { !files($drained) }, 120), 'and its files go');
is($_->get('/books/_count')->{json}{count}, 30, "everything is found, asked at $_->{name}") for @d;
is(cluster('cluster.routing.allocation.exclude._name' => undef), 200, 'it may have some again');
ok($m->wait_for(sub { grep { ($_->{node} // '') eq $drained->{name} && $_->{state} eq 'STARTED' } @{ $m->get('/_cat/shards?format=json&h=node,state')->{json} } }, 120), 'and gets some');
ok($c->wait_status('green') && $drained->get('/books/_count')->{json}{count} == 30, 'with everything');

# --- replicas by the number of nodes
is($d[0]->put('/all', { settings => { number_of_shards => 1, auto_expand_replicas => '0-all' } })->{status}, 200, 'an index on all nodes');
sub replicas { $m->get('/all/_settings')->{json}{all}{settings}{index}{number_of_replicas} // '' }
ok($m->wait_for(sub { replicas() eq '2' }, 120), 'two replicas on three data nodes');
ok($c->wait_status('green'), 'all of them started');
is($d[2]->stop, 0, 'a node stops');
ok($m->wait_for(sub { replicas() eq '1' }, 120), 'one on two');
$d[2]->start;
ok($c->wait_nodes(4, 120) && $m->wait_for(sub { replicas() eq '2' }, 120), 'and two again');
ok($c->wait_status('green'), 'which start');

# --- the end of an upgrade
is($d[0]->post('/_cluster/upgrade/finalize')->{json}{features}, 5, 'formats are of level 5');
my $levels = $d[0]->get('/_cluster/upgrade')->{json};
is("$levels->{features} $levels->{features_known_by_all} " . ($levels->{finalized} ? 'yes' : 'no'), '5 5 yes', '... and shown without raising them');

# --- a second process of one identity
my $twin = QdNode->new('twin', settings => { %{ $d[2]{settings} }, 'cluster.name' => 'test-s' });
$twin->{settings}{'node.name'} = 'twin';
mkdir "$twin->{dir}/data";
system 'cp', "$d[2]{dir}/data/node.json", "$twin->{dir}/data/node.json";
$twin->launch;
ok($twin->wait_for(sub { $twin->log_text =~ /another process with the node id \[\S+\] is connected.*was the data folder copied/ }, 120), 'a twin is told so');
$twin->kill9;
is($c->health->{number_of_nodes}, 4, 'and the first one is not disturbed');

# --- masters restored from an old copy
is($m->stop, 0, 'the master stops');
system 'cp', '-r', "$m->{dir}/data/coordination", "$m->{dir}/old";
$m->start;
ok($c->wait_nodes(4, 120) && $c->wait_status('green'), 'and comes back');
is($d[0]->put("/later$_", { settings => { number_of_replicas => 0 } })->{status}, 200, "index $_ that the copy does not know") for 1 .. 5;
sub revision { QdNode::slurp("$_[0]{dir}/data/authority.json") =~ /"revision" : (\d+)/ ? $1 : 0 }
ok($m->wait_for(sub { revision($m) >= revision($d[0]) }, 120), 'what the master acted on is on record');
my $count = scalar @{ $d[0]->get('/_cat/indices?format=json&h=index')->{json} };
$m->kill9;
system 'mv', "$m->{dir}/data/coordination", "$m->{dir}/newest";
system 'cp', '-r', "$m->{dir}/old", "$m->{dir}/data/coordination";
$m->launch;
ok($m->wait_for(sub { $m->stderr_text =~ /has acted on the state of epoch \d+, revision \d+; the masters show the older one of epoch \d+, revision \d+/ }, 120), 'the master refuses its old store');
$m->wait_end;
# the operator forces the master alone: the others refuse it
my ($rc, $out) = $m->run_qd('recover', '--accept-older-state', '--data', "$m->{dir}/data");
is($rc, 0, 'qd recover');
like($out, qr/acted on the state of cluster/, 'says what it does');
$m->launch;
ok($d[0]->wait_for(sub { $d[0]->log_text =~ /taken, serving the last one: this node has acted on/ }, 120), 'data nodes refuse it');
is(scalar @{ $d[0]->get('/_cat/indices?format=json&h=index')->{json} }, $count, 'and serve the last state');
is($d[1]->get('/books/_count')->{json}{count}, 30, 'with all documents');
# the newest store comes back
$m->kill9;
system 'rm', '-rf', "$m->{dir}/data/coordination";
system 'mv', "$m->{dir}/newest", "$m->{dir}/data/coordination";
is(($m->run_qd('recover', '--accept-older-state', '--data', "$m->{dir}/data"))[0], 0, 'the newest store comes back');
for my $n (@d) {
    is($n->stop, 0, "$n->{name} stops");
    is(($n->run_qd('recover', '--accept-older-state', '--data', "$n->{dir}/data"))[0], 0, 'and may obey again');
}
$m->start;
$_->start for @d;
ok($c->wait_nodes(4, 120) && $c->wait_status('green'), 'the newest store and the word of the operator: green');
is($d[2]->get('/books/_count')->{json}{count}, 30, 'with everything');
is(scalar @{ $d[0]->get('/_cat/indices?format=json&h=index')->{json} }, $count, 'also the indices made last');

# --- an empty store
$m->kill9;
system 'rm', '-rf', "$m->{dir}/data/coordination";
$m->launch;
ok($m->wait_for(sub { $m->stderr_text =~ /store of the masters is empty and knows no cluster/ }, 120), 'an empty store is not obeyed');
$m->wait_end;
is($d[0]->get('/books/_count')->{json}{count}, 30, 'data nodes serve on');
is($c->stop, 0, 'all stop');
done_testing;
