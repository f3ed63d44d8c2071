#!/usr/bin/perl
# 628_migrate_all_killed.t: while the state of a cluster moves between three masters and a real Kubernetes API all masters
# are killed at the seal, the API server with them: no store is in charge, and nobody is left who knows how to go on. The
# masters start, wait, and see the migration through, or give it up, as soon as the API server is back; everything is there.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use KubeServer;
use QdNode;
use Test::More;

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
my $kube = KubeServer->new('killed')->start;
my $account = $kube->install('quidditch');
my ($data, @m) = three_masters(master => { 'coordination.mode' => 'master', 'coordination.k8s_fallback' => 'true' },
    env => { KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch' });
start_all(@m, $data);
is($data->put('/docs', { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, 'an index');
my $uuid = settled($data)->{cluster_uuid};

my $round = 0;
for my $to ('k8s-native', 'master') {
    my $what = "to $to, all killed at the seal";
    my %from = map { $_->{name} => length $_->log_text } @m;
    my ($rc, $out) = $m[0]->run_qd('migrate', 'start', '--to', $to, '--url', $data->url);
    is($rc, 0, "qd migrate start --to $to") or diag $out;
    my $sealed = sub { grep { substr($_->log_text, $from{$_->{name}} // 0) =~ /migration: the store \[\S+\] is sealed/ } @m };
    ok($data->wait_for($sealed, 60, 0.0005), "$what: it is seen");
    $_->signal('KILL') for @m;
    $kube->kill9;
    $_->wait_end for @m;
    $_->launch for @m;
    $kube->revive;
    ok(started($_), "$what: $_->{name} starts again") for @m;
    my $j;
    # where it had been given up it is asked for once more
    my $done = sub { $j = migration($data); ($j->{step} // '') eq 'done' && $j->{to} eq $to };
    ok($data->wait_for(sub { $done->() || do { $data->post("/_cluster/coordination/_migrate?to=$to") if ($j->{kept} || ($j->{step} // '') eq 'none'); 0 } }, 120),
        "$what: the state has moved") or diag explain $j;
    my $kind = $to eq 'master' ? 'raft' : 'k8s';
    is_deeply([same_told([@m, $data], qw(store.kind cluster_uuid))], ["$kind $uuid"], "$what: all nodes have followed");
    ok($data->wait_for(sub { $data->post('/_cluster/coordination/_migrate/_finish')->{status} == 200 }, 60), "$what: finished");
    $round++;
    is($data->put("/docs$round", { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, "$what: an index is made");
}
is($data->get("/docs$_")->{status}, 200, "docs$_ is there") for '', 1, 2;
$_->signal('TERM') for @m, $data;
is($_->stop, 0, "$_->{name} ends") for @m, $data;
done_testing;
