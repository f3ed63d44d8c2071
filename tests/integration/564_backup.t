#!/usr/bin/perl
# 564_backup.t: what docs/backup.md says, done: the folders of all nodes are copied while they are stopped, and
# put back, on the same machines and on others; of one node alone too. What was written after the copy is
# gone, what was written before is whole.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Path qw(remove_tree);
use QdCluster;
use QdNode;
use Test::More;

sub fill {
    my ($n, $index, $from, $to) = @_;
    my $r = $n->post("/$index/_bulk?refresh=true", join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_}\n) } $from .. $to);
    is(scalar(grep { ($_->{index}{status} // 999) < 300 } @{$r->{json}{items} || []}), $to - $from + 1, "$index: documents $from to $to");
}
sub count_of { my ($n, $index) = @_; return $n->get("/$index/_count")->{json}{count} // 'none' }
sub copy_folder { my ($n, $to) = @_; is(system("cp -a $n->{dir}/data $to"), 0, "the folder of $n->{name} is copied") }
sub put_back {
    my ($n, $from) = @_;
    remove_tree("$n->{dir}/data");
    is(system("cp -a $from $n->{dir}/data"), 0, "and put back for $n->{name}");
}
sub indices { my ($n) = @_; return join ' ', sort map { $_->{index} } @{$n->get('/_cat/indices?format=json')->{json} || []} }

# --- one node
my $one = QdNode->new('one');
$one->start;
$one->put('/books', {settings => {number_of_shards => 2}, mappings => {properties => {n => {type => 'integer'}}}, aliases => {b => {}}});
fill($one, 'books', 1, 100);
is($one->put('/_cluster/settings', {persistent => {'search.max_buckets' => 1234}})->{status}, 200, 'a setting of the cluster');
is($one->put('/_index_template/t', {index_patterns => ['t-*'], template => {}})->{status}, 200, 'a template');
my $uuid = $one->get('/')->{json}{cluster_uuid};
$one->stop;
copy_folder($one, "$one->{dir}/backup");
$one->start;
fill($one, 'books', 101, 150);
is($one->put('/later', {})->{status}, 200, 'an index after the copy');
$one->stop;
put_back($one, "$one->{dir}/backup");
$one->start;
is(count_of($one, 'books'), 100, 'the documents of the copy');
is(indices($one), 'books', 'its indices');
is(count_of($one, 'b'), 100, 'aliases');
is($one->get('/_cluster/settings')->{json}{persistent}{search}{max_buckets}, '1234', 'settings');
is($one->get('/_index_template/t')->{status}, 200, 'templates');
is($one->get('/')->{json}{cluster_uuid}, $uuid, 'the same cluster');
fill($one, 'books', 101, 110);
is(count_of($one, 'books'), 110, 'it goes on');
$one->stop;
# on another machine: another place, other ports, the same node.name
my $moved = QdNode->new('one');
is(system("cp -a $one->{dir}/backup $moved->{dir}/data"), 0, 'the copy on another machine');
$moved->start;
is(count_of($moved, 'books'), 100, 'is the node');
is($moved->stop, 0, 'it stops cleanly');

# --- three nodes
my $c = QdCluster->new('q', nodes => 3);
$c->start;
my @n = $c->nodes;
is($n[0]->put('/books', {settings => {number_of_shards => 2, number_of_replicas => 1}})->{status}, 200, 'an index with a replica');
ok($c->wait_status('green'), 'is green');
fill($n[0], 'books', 1, 100);
$n[0]->post('/_flush');
is($c->stop, 0, 'all nodes stop');
copy_folder($_, "$_->{dir}/backup") for @n;
$c->start;
ok($c->wait_status('green'), 'they run on');
fill($n[1], 'books', 101, 200);
is($n[2]->put('/later', {settings => {number_of_replicas => 1}})->{status}, 200, 'an index after the copy');
is($c->stop, 0, 'all nodes stop again');

# one folder of the copy beside newer ones is refused, and says what to do
rename "$n[2]{dir}/data", "$n[2]{dir}/newer" or die $!;
is(system("cp -a $n[2]{dir}/backup $n[2]{dir}/data"), 0, 'one folder alone is put back');
$_->launch for @n;
is($n[2]->wait_end(120), 1, 'its node does not come back');
like($n[2]->log_text . $n[2]->stderr_text, qr/is an old copy/, 'it says why');
ok($n[0]->wait_for(sub { count_of($n[0], 'books') eq '200' }, 120), 'the others have what is newer');
$_->stop for @n[0, 1];

# all of them
put_back($_, "$_->{dir}/backup") for @n;
$c->start;
ok($c->wait_status('green'), 'all folders of one copy are a cluster');
is(indices($n[0]), 'books', 'with its indices');
is(count_of($_, 'books'), 100, "$_->{name} has its documents") for @n;
is($c->copies_differ('books', 1), '', 'all copies are alike');
fill($n[0], 'books', 101, 120);
is($c->stop, 0, 'they stop cleanly');

# new machines: other addresses, the same names
my $d = QdCluster->new('q', nodes => 3);
my @m = $d->nodes;
is(system("cp -a $n[$_]{dir}/backup $m[$_]{dir}/data"), 0, "the copy of $n[$_]{name} on a new machine") for 0 .. 2;
$d->start(seconds => 120);
ok($d->wait_status('green'), 'they are the cluster');
is(indices($m[0]), 'books', 'with its indices');
is(count_of($_, 'books'), 100, "$_->{name} has its documents") for @m;
is($m[1]->put('/new', {})->{status}, 200, 'and changes its state');
fill($m[2], 'books', 101, 120);
is($d->copies_differ('books', 1), '', 'all copies are alike');
is($d->stop, 0, 'they stop cleanly');
done_testing;
