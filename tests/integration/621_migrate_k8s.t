#!/usr/bin/perl
# 621_migrate_k8s.t: the state of a live cluster moves from three masters to a real Kubernetes API, and back, while
# documents are written and indices made: all control nodes ask for it first, no request fails, no change is lost, and
# the nodes start again from the new store.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;
use Timed;

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
my $kube = KubeServer->new('migrate')->start;
my $account = $kube->install('quidditch');
my %env = (KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch');
my ($data, @m) = three_masters(master => { 'node.roles' => 'master,coordination,ingest', 'coordination.mode' => 'master' },
    data => { 'node.roles' => 'data,coordination' }, env => \%env);
my @all = (@m, $data);
start_all(@all);
is($data->put('/docs', { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, 'an index');
my $uuid = settled($data)->{cluster_uuid};

my $load = Coordination::Load->new($data);

# The settings of all ask for a mode, one node after the other; then it is done as they ask.
sub migrate {
    my ($mode, $kind, $epoch) = @_;
    for my $n (@m) {
        if ($n != $m[0] && $epoch == 2) { # the others have one store still
            my $r = $m[0]->post("/_cluster/coordination/_migrate?to=$mode");
            like(error_of($r), qr/^400 the control node \[m\d\] has one store open/, "not while $n->{name} has one store");
        }
        $n->stop;
        $n->{settings}{'coordination.mode'} = $mode;
        $n->launch;
        ok(started($n), "$n->{name} is started with coordination.mode: $mode");
        settled($n);
    }
    my ($status, $out) = $m[0]->run_qd('migrate', 'start', '--to', $mode, '--url', $m[0]->url);
    is($status, 0, "qd migrate start --to $mode") or diag $out;
    ok($load->until(sub { (migration($m[1])->{step} // '') eq 'done' }, 180), 'it is done') or diag explain migration($m[1]);
    $load->more(3);
    is_deeply($load->{failed}, [], 'no request failed') or diag explain $load->{failed};
    within($load->{slowest}, 2, 60, 'a change of the state') or diag $load->{slow};
    note(sprintf '%s: slowest change %.2f s, %d indices', $mode, @$load{qw(slowest made)});
    is_deeply([same_told(\@all, qw(store.kind store.epoch cluster_uuid))], ["$kind $epoch $uuid"], 'all nodes have followed');
    ok($m[0]->wait_for(sub { $m[0]->post('/_cluster/coordination/_migrate/_finish')->{status} == 200 }, 60), 'finished');
}
migrate('k8s-native', 'k8s', 2);
migrate('master', 'raft', 3);
$load->more;
is_deeply($load->{failed}, [], 'changes are made') or diag explain $load->{failed};
is_deeply($load->wrong, [], 'every index and document is there');
$_->signal('TERM') for @all;
is($_->stop, 0, "$_->{name} ends") for @all;
done_testing;
