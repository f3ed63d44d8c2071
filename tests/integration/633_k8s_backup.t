#!/usr/bin/perl
# 633_k8s_backup.t: what docs/backup.md says of a cluster whose state is in Kubernetes, done: objects and folders are
# copied while all nodes are stopped, and put back; and the way out when the kinds were deleted under a live cluster.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use File::Path qw(remove_tree);
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
my $kube = KubeServer->new('backup')->start;
my $account = $kube->install('quidditch', more => ['projections.yaml']);
my %common = ('cluster.name' => 'quidditch', 'metrics.port' => -1, 'transport.rpc_port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false');
my @c = map { QdNode->new("c$_", settings => {%common, 'node.roles' => 'coordination,ingest'},
    env => {KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch', USE_K8S_COORDINATION => 'true'}) } 0, 1;
my $data = QdNode->new('data', settings => {%common, 'node.roles' => 'data'},
    env => {USE_K8S_COORDINATION => 'true', MASTER_ADDRESSES => join ',', map { "127.0.0.1:$_->{transport}" } @c});
my @all = (@c, $data);
my @kinds = qw(quidditchstates quidditchindices quidditchshards quidditchclusters);
my $crds = QdNode->top . '/deploy/crds/';
sub stop_all { $_->signal('TERM') for @all; is($_->stop, 0, "$_->{name} stops") for @all }
sub make { my ($i) = @_; return $data->put("/$i?master_timeout=60s", {settings => {number_of_shards => 1, number_of_replicas => 0}})->{status} }
sub indices { return join ' ', sort map { $_->{index} } @{$data->get('/_cat/indices?format=json')->{json} || []} }
sub has_docs { my ($n, $what) = @_; ok($data->wait_for(sub { ($data->get('/books/_count')->{json}{count} // 0) == $n }, 60), $what) or diag $data->get('/books/_count')->{content} }
sub kubectl_ok { my ($what, @args) = @_; my ($status, $out) = $kube->kubectl(@args); is($status, 0, $what) or diag $out; return $out }

# The objects as they are; and made ready to be put back: without what the server gives each object anew.
sub save {
    my @items;
    for my $kind (@kinds) { # of kinds that were deleted, those without objects are gone already
        my ($status, $out) = $kube->kubectl('get', $kind, '-n', 'quidditch', '-o', 'json');
        push @items, @{JSON::PP->new->decode($out)->{items}} if !$status;
    }
    return {apiVersion => 'v1', kind => 'List', items => \@items};
}
sub put_objects {
    my ($list) = @_;
    for my $o (@{$list->{items}}) {
        delete @{$o->{metadata}}{qw(uid resourceVersion creationTimestamp deletionTimestamp deletionGracePeriodSeconds generation managedFields ownerReferences)};
    }
    my $file = "$kube->{dir}/objects.json";
    open my $f, '>', $file or die "$file: $!";
    print $f JSON::PP->new->encode($list);
    close $f;
    kubectl_ok('the objects are put back', 'create', '-f', $file);
}
sub names { return map { my ($status, $out) = $kube->kubectl('get', $_, '-n', 'quidditch', '-o', 'name'); $status ? () : grep { m{/} } split /\n/, $out } @kinds }
sub drop_finalizers {
    for my $o (names()) {
        my ($status, $out) = $kube->kubectl('patch', $o, '-n', 'quidditch', '--type', 'merge', '-p', '{"metadata":{"finalizers":null}}');
        ok(!$status || $out =~ /NotFound|not found/, "$o has no finalizers") or diag $out;
    }
}
sub crds_gone { return QdNode->wait_for(sub { my ($s, $out) = $kube->kubectl('get', 'crd', '-o', 'name'); $out !~ /quidditch\.io/ }, 60) }

start_all(@all);
is(make('books'), 200, 'an index');
is($data->put("/books/_doc/$_?refresh=true", {n => $_})->{status}, 201, "document $_") for 1 .. 3;
ok(settled($c[0])->{cluster_uuid}, 'a leader');

# --- a cold copy: objects and folders
stop_all();
my $objects = save();
is(system("cp -a $_->{dir}/data $_->{dir}/backup"), 0, "the folder of $_->{name} is copied") for @all;
start_all(@all);
is(make('later'), 200, 'an index after the copy');
is($data->put('/books/_doc/4?refresh=true', {n => 4})->{status}, 201, 'a document, too');

# --- the kinds are deleted under the live cluster
my ($status, $out) = $kube->kubectl('delete', '-f', $crds, '--wait=false');
is($status, 0, 'the kinds are deleted') or diag $out;
ok($data->wait_for(sub { $kube->get('/apis/apiextensions.k8s.io/v1/customresourcedefinitions/quidditchstates.quidditch.io')->{content} =~ /deletionTimestamp/ }), 'and wait for their objects');
has_docs(4, 'documents are there');
# what no checkpoint takes stays in the root, and the log says what the server says
my $said = sub { join('', map { $_->log_text } @c) =~ /a checkpoint of the cluster's state was refused by the API server: \S.*/ ? $& : '' };
my $round = 0;
QdNode->wait_for(sub {
    $data->put('/books/_mapping?master_timeout=2s', {_meta => {text => join ' ', map { rand } 1 .. 400}});
    return $said->() || ++$round > 100;
}, 120);
like($said->(), qr/terminating/, 'the refusal of a checkpoint has the reason') or diag substr($c[0]->log_text . $c[1]->log_text, -3000);
stop_all();
my $newest = save();
ok(scalar(grep { $_->{kind} eq 'QuidditchState' } @{$newest->{items}}), 'the state is still there to be saved');
drop_finalizers();
ok(crds_gone(), 'without finalizers the kinds go');
$kube->install_crds;
put_objects($newest);
start_all(@all);
is(indices(), 'books later', 'all indices are there');
has_docs(4, 'all documents');
is(make('after'), 200, 'and the state is changed');

# --- the cold copy is put back
stop_all();
kubectl_ok('the newer objects are deleted', 'delete', join(',', @kinds), '-n', 'quidditch', '--all', '--wait=false');
drop_finalizers();
ok(QdNode->wait_for(sub { !names() }, 60), 'and gone');
put_objects($objects);
for my $n (@all) {
    remove_tree("$n->{dir}/data");
    is(system("cp -a $n->{dir}/backup $n->{dir}/data"), 0, "the folder of $n->{name} is put back");
}
start_all(@all);
is(indices(), 'books', 'the indices of the copy');
has_docs(3, 'its documents');
is(make('again'), 200, 'and the state is changed');
stop_all();

# --- objects alone, older than the folders: refused, until an operator says so
kubectl_ok('the objects are deleted', 'delete', join(',', @kinds), '-n', 'quidditch', '--all', '--wait=false');
drop_finalizers();
ok(QdNode->wait_for(sub { !names() }, 60), 'and gone');
put_objects($objects);
$_->launch for @all;
ok($c[0]->wait_for(sub { ($c[0]->log_text . $c[0]->stderr_text) =~ /restored from a backup.*--accept-older-state/ }, 60), 'older objects under newer folders are refused, with the command');
$_->kill9 for grep { $_->alive } @all;
for my $n (@all) {
    my ($rc, $o) = $n->run_qd('recover', '--accept-older-state', '--data', "$n->{dir}/data");
    is($rc, 0, "$n->{name} is told to take them") or diag $o;
}
start_all(@all);
is(indices(), 'books', 'then they are the state');
is(make('last'), 200, 'and it is changed');
stop_all();
done_testing;
