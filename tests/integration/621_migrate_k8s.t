#!/usr/bin/perl
# 621_migrate_k8s.t: the state of a live cluster moves from three masters to a real Kubernetes API, and back, while
# documents are written and indices made: all control nodes ask for it first, no request fails, no change is lost, and
# the nodes start again from the new store.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;
use Time::HiRes qw(time);

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
delete @ENV{qw(KUBERNETES_SERVICE_HOST KUBECONFIG POD_NAMESPACE LEADER_ELECTION_NAMESPACE)};
my $kube = KubeServer->new('migrate')->start;
my $account = $kube->install('quidditch');
my %env = (KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch');
my %common = ('cluster.name' => 'quidditch', 'metrics.port' => -1, 'transport.rpc_port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false');
my @m = map { QdNode->new("m$_") } 0 .. 2;
my $peers = join ',', map { "$_->{name}\@127.0.0.1:$_->{transport}" } @m;
for (@m) {
    $_->{settings} = { %common, 'node.roles' => 'master,coordination,ingest', 'coordination.raft_peers' => $peers, 'coordination.mode' => 'master' };
    $_->{env} = {%env};
}
my $data = QdNode->new('data', settings => { %common, 'node.roles' => 'data,coordination' },
    env => { MASTER_ADDRESSES => join ',', map { "127.0.0.1:$_->{transport}" } @m });
my @all = (@m, $data);
sub started {
    my ($n) = @_;
    return 1 if $n->wait_for(sub { $n->log_text =~ /\bstarted in \d+ ms/ }, 120);
    diag("$n->{name} did not start:\n" . $n->stderr_text . $n->log_text);
    return 0;
}
sub coordination { my ($n) = @_; return $n->get('/_cluster/coordination?master_timeout=30s')->{json} || {} }
sub settled { my ($n) = @_; my $j; $n->wait_for(sub { $j = coordination($n); $j->{leader} && $j->{answered_by} eq 'leader' }, 120); return $j }
sub error_of { my ($r) = @_; return "$r->{status} " . ($r->{json}{error}{reason} // '') }

$_->launch for @all;
ok(started($_), "$_->{name} starts") for @all;
is($data->put('/docs', { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, 'an index');
my $uuid = settled($data)->{cluster_uuid};

my ($wrote, $made, $slowest) = (0, 0, 0);
my @failed;
sub load {
    my $began = time;
    my $r = $data->put("/made-$made?master_timeout=60s", { settings => { number_of_shards => 1, number_of_replicas => 0 } });
    my $took = time - $began;
    $slowest = $took if $took > $slowest;
    $r->{status} == 200 ? $made++ : push @failed, error_of($r);
    $r = $data->put("/docs/_doc/$wrote", { n => $wrote });
    $r->{status} == 201 ? $wrote++ : push @failed, error_of($r);
    select undef, undef, undef, 0.1; # a steady load: an index more each time is not without end
}

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
    my ($until, $j) = (time + 180);
    do { load(); $j = $m[1]->get('/_cluster/coordination/_migrate')->{json} || {} } while time < $until && ($j->{step} // '') ne 'done';
    is($j->{step}, 'done', 'it is done') or diag explain $j;
    load() for 1 .. 3;
    is_deeply(\@failed, [], 'no request failed') or diag explain \@failed;
    note(sprintf '%s: slowest change %.2f s, %d indices', $mode, $slowest, $made);
    my %told;
    $data->wait_for(sub {
        %told = map { my $s = settled($_); join(' ', $s->{store}{kind}, $s->{store}{epoch}, $s->{cluster_uuid}) => 1 } @all;
        return keys %told == 1;
    }, 120);
    is_deeply([keys %told], ["$kind $epoch $uuid"], 'all nodes have followed') or diag explain \%told;
    ok($m[0]->wait_for(sub { $m[0]->post('/_cluster/coordination/_migrate/_finish')->{status} == 200 }, 60), 'finished');
}
migrate('k8s-native', 'k8s', 2);
migrate('master', 'raft', 3);
load();
is_deeply(\@failed, [], 'changes are made') or diag explain \@failed;
my $r = $data->get('/_cat/indices?format=json');
is(scalar(grep { $_->{index} =~ /^made-/ } @{ $r->{json} || [] }), $made, 'every index is there');
is($data->get('/docs/_count')->{status}, 200, 'documents are found');
$_->signal('TERM') for @all;
is($_->stop, 0, "$_->{name} ends") for @all;
done_testing;
