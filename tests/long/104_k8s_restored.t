#!/usr/bin/perl
# 104_k8s_restored.t: the API server's etcd is put back to an older copy, as an administrator restores a backup: under
# running control nodes, with all of it started anew and with an API server whose caches know more; and while no node runs.
# Nobody acts on the older state or changes it: each control node says what it found and which command takes it all the same;
# with the newest copy back all goes on; with the word given the older state is the cluster's.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../integration/lib";
use Coordination;
use KubeServer;
use Long;
use QdNode;
use Test::More;

KubeServer->skip_unless_built;
step('everything builds', sub { build('all') }) or BAIL_OUT('no build');
my $kube = KubeServer->new('restored')->start;
my $account = $kube->install('quidditch');
my %common = ('cluster.name' => 'quidditch', 'metrics.port' => -1, 'transport.rpc_port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false');
my @c = map { QdNode->new("c$_", settings => {%common, 'node.roles' => 'coordination,ingest'},
    env => {KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch', USE_K8S_COORDINATION => 'true'}) } 0 .. 1;
my $data = QdNode->new('data', settings => {%common, 'node.roles' => 'data'}, env => {MASTER_ADDRESSES => join ',', map { "127.0.0.1:$_->{transport}" } @c});
my @all = (@c, $data);
my $root = '/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates/quidditch';
sub make { my ($index) = @_; return $data->put("/$index?master_timeout=60s", {settings => {number_of_shards => 1, number_of_replicas => 0}})->{status} }
# What is asked for while nobody leads (`perhaps-N`) is answered as a change that may be done or not.
sub indices { return join ' ', sort grep { !/^perhaps-/ } map { $_->{index} } @{$data->get('/_cat/indices?format=json')->{json} || []} }
sub version { return $kube->get($root)->{json}{metadata}{resourceVersion} }
my $refused = qr/restored from a backup.*qd recover --accept-older-state/;
my %read; # so much of a log is of before
sub says { my ($n) = @_; return substr $n->log_text, $read{$n->{name}} // 0 }
sub heard { $read{$_->{name}} = length $_->log_text for @c }
sub each_says {
    my ($what) = @_;
    for my $n (@c) { ok($n->wait_for(sub { says($n) =~ $refused }, 120), "$what: $n->{name} says what it found, and which command takes it") or diag says($n) }
}
my $asked = 0;
sub nothing_changes {
    my ($what) = @_;
    my $before = version();
    my $r = $data->put('/perhaps-' . ++$asked . '?master_timeout=2s', {});
    is($r->{status}, 503, "$what: a change is refused") or diag $r->{content};
    like(error_of($r), qr/may or may not be committed|no leader|restored from a backup/, '... in words') or diag $r->{content};
    is(version(), $before, '... and the older state is as it was');
}

start_all(@all);
is(make('first'), 200, 'an index');
is($data->put('/first/_doc/1?refresh=true', {n => 1})->{status}, 201, 'and a document');
my $old = $kube->backup;
is(make('second'), 200, 'one that the copy does not have');
is($data->put('/second/_doc/1?refresh=true', {n => 1})->{status}, 201, 'with a document');
my $new = $kube->backup;
ok(settled($_), "$_->{name} has a leader") for @c;
my $there = 'first second';

# --- under running nodes
for my $server (1, 0) {
    my $what = $server ? 'an older etcd and a new API server' : 'an older etcd behind the same API server';
    heard();
    $kube->restore($old, server => $server);
    nothing_changes($what);
    each_says($what);
    is(indices(), $there, '... what was read from the state stays');
    like($data->put('/second/_doc/2?refresh=true', {n => 2})->{status}, qr/^20[01]$/, '... and documents are written');
    $kube->restore($new, server => $server);
    is(make("third-$server"), 200, '... with the newest one back changes are made');
    $there = join ' ', $there, "third-$server";
    is(indices(), join(' ', sort split / /, $there), '... and what was acknowledged before is there');
    $new = $kube->backup;
}

# --- while no node runs
$_->signal('TERM') for @all;
$_->stop for @all;
$kube->restore($old, server => 1);
my $before = version();
%read = (); # a new start, a new log
$_->launch for @all;
each_says('older at the start');
is(version(), $before, 'nobody writes');
$_->kill9 for @all;

# --- an operator takes it
for my $n (@all) {
    my ($rc, $out) = $n->run_qd('recover', '--accept-older-state', '--data', "$n->{dir}/data");
    is($rc, 0, "qd recover --accept-older-state of $n->{name}") or diag $out;
}
start_all(@all);
ok(settled($data), 'somebody leads');
is($data->get('/first/_doc/1')->{status}, 200, 'what the copy has is there');
is(make('after'), 200, 'and changes are made');
is(indices(), 'after first', 'from the older state');
$_->signal('TERM') for @all;
is($_->stop, 0, "$_->{name} ends") for @all;
finish();
