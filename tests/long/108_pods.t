#!/usr/bin/perl
# 108_pods.t: deploy/manifests/traditional on a Kubernetes whose nodes run the product's images (Pods.pm): the deployment
# guide's steps in its order; then, under requests of clients that open a connection for each and do not retry
# (Traffic.pm, 200 a second), coordination nodes 3 to 5 to 3, data nodes 3 to 5 to 3, all pods rolled, two masters of three
# killed, three of three: no request fails. What the account's Role grants is what was asked of the API server, and what
# the NetworkPolicies allow is what was seen to flow, both ways.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../integration/lib";
use Long;
use Manifests;
use Pods;
use QdNode;
use Test::More;
use Traffic;

Pods->prepare;
my $k = Pods->start('pods');
my $ns = '-n quidditch';
my $wait = '--timeout=400s';
sub in_data { return $_[0]{metadata}{name} eq 'quidditch-data' && $_[0]{kind} eq 'StatefulSet' }

# --- the guide's steps -----------------------------------------------------------------------------------------------
$k->apply('traditional/namespace.yaml') or BAIL_OUT('nothing can be applied');
$k->apply('traditional/master-statefulset.yaml', sub { # as the guide prints it: one after the other, found only when ready
    delete $_[0]{spec}{podManagementPolicy};
    delete $_[0]{spec}{publishNotReadyAddresses};
});
$k->ok_kubectl("rollout status statefulset/quidditch-master $ns $wait");
$k->apply('traditional/coordination-deployment.yaml');
$k->ok_kubectl("rollout status deployment/quidditch-coordination $ns $wait");
$k->apply('traditional/data-statefulset.yaml', sub { $_[0]{spec}{replicas} = 3 if in_data(@_) });
$k->ok_kubectl("rollout status statefulset/quidditch-data $ns $wait");
$k->apply('traditional/pdb.yaml');
my $out = $k->ok_kubectl("logs $ns quidditch-master-0");
like($out, qr/started in \d+ ms/, '... has the log of its start');
$k->green(9);
like($k->ok_kubectl("get pods $ns"), qr/(?:quidditch-\S+\s+1\/1\s+Running\s+0 .*\n){9}/, 'nine pods run, none was started twice');
$k->apply('traditional/master-statefulset.yaml') if $k->ok_kubectl("delete statefulset quidditch-master $ns --cascade=orphan"); # from here on as our file has it
$k->ok_kubectl("rollout status statefulset/quidditch-master $ns $wait");

# --- inside of pods ----------------------------------------------------------------------------------------------------
for my $p (['quidditch-master-0', 9400], ['quidditch-data-0', 9402]) {
    my ($pod, $port) = @$p;
    like(($k->exec_in($pod, 'curl', '-s', "localhost:$port/_cluster/health"))[1], qr/"status":"green"/, "$pod: curl localhost:$port/_cluster/health");
    like(($k->exec_in($pod, 'curl', '-s', 'localhost:9300/_cluster/health'))[1], qr/"status":400/, '... and on 9300 a clear 400');
    is(($k->exec_in($pod, 'nc', '-zvw5', 'quidditch-data-1.quidditch-data', 9303))[0], 0, '... nc');
    like(($k->exec_in($pod, 'nslookup', 'quidditch-master-1.quidditch-master'))[1], qr/10\.244\./, '... nslookup of a short name');
    my ($role) = $pod =~ /^quidditch-(\w+)/;
    like(($k->exec_in($pod, 'ls', '-ldn', "/var/lib/quidditch/$role"))[1], qr/^drwxrws\S* +\S+ +0 +9200/, '... its volume was given to the group 9200 (fsGroup)');
    isnt(($k->exec_in($pod, 'touch', '/etc/x'))[0], 0, '... the root is read-only');
    my ($status) = $k->exec_in($pod, 'ls', '/var/run/secrets/kubernetes.io/serviceaccount/token');
    is($status == 0 ? 1 : 0, $role eq 'master' ? 1 : 0, $role eq 'master' ? '... with a token' : '... without a token');
}

# --- rights, and what masters may do then: the mirror ---------------------------------------------------------------
$k->{kube}->install_crds;
$k->apply('traditional/rbac.yaml');
ok(QdNode->wait_for(sub { ($k->exec_in('quidditch-master-0', 'curl', '-s', 'localhost:9400/_cluster/coordination'))[1] =~ /"mirror":\{[^}]*"reachable":true/ }, 120, 0.5),
    'with rights the masters keep a mirror in Kubernetes');
$k->{kube}->forget_calls;

# --- under load --------------------------------------------------------------------------------------------------------
is($k->send('PUT', '/_cluster/settings', {persistent => {'cluster.routing.allocation.disk.threshold_enabled' => 'false'}})->{status}, 200, 'the disk of this machine is nobody\'s business');
Traffic::prepare(sub { $k->send(@_) }, 'traffic');
is($k->send('PUT', '/kept', {settings => {number_of_shards => 5, number_of_replicas => 1}})->{status}, 200, 'an index');
my $n = 20_000;
for my $part (0 .. 9) { # documents that must be there at the end
    my $body = join '', map { my $id = $part * $n / 10 + $_; qq({"index":{"_id":"$id"}}\n{"n":$id}\n) } 0 .. $n / 10 - 1;
    my $r = $k->send('POST', '/kept/_bulk', $body);
    die "bulk: $r->{status} $r->{content}\n" if $r->{status} != 200 || $r->{json}{errors};
}
sub kept {
    my ($what) = @_;
    $k->send('POST', '/kept/_refresh');
    my $r = $k->send('POST', '/kept/_search', {size => 0, track_total_hits => JSON::PP::true(), aggs => {sum => {sum => {field => 'n'}}}});
    is(join(' ', $r->{json}{hits}{total}{value} // '-', $r->{json}{aggregations}{sum}{value} // '-', $r->{json}{_shards}{failed} // '-'), join(' ', $n, $n * ($n - 1) / 2, 0), "$what: every document is there") or diag $r->{content};
}
$k->green(9);
my $traffic = Traffic->new($k->{dir}, url => $k->url, index => 'traffic');
sub phase { my ($name) = @_; note "--- $name"; $traffic->begin($name) }
phase('warm');
$traffic->go_on(2_000);
phase('quiet');
$traffic->go_on(count(QUIET_REQUESTS => 12_000));

phase('scale coordination');
$k->ok_kubectl("scale deployment quidditch-coordination $ns --replicas=5");
$k->ok_kubectl("rollout status deployment/quidditch-coordination $ns $wait");
$k->green(11);
$k->ok_kubectl("scale deployment quidditch-coordination $ns --replicas=3");
$k->ready('quidditch-coordination', 3);
$k->green(9);

phase('scale data');
$k->ok_kubectl("scale statefulset quidditch-data $ns --replicas=5");
$k->ok_kubectl("rollout status statefulset/quidditch-data $ns $wait");
$k->until_answer('shards lie on all five', '/_cat/shards/kept?format=json', sub { my %on = map { $_->{node} // '-' => 1 } @{$_[0]}; keys %on == 5 }, 240);
$k->green(11);
kept('on five data nodes');
my ($c) = sort keys %{{$k->pods('quidditch-coordination')}};
for my $leaves (4, 3) { # as docs/deploy/manifests.md says
    my ($rc, $said) = $k->exec_in($c, 'qd', 'node', 'stop', "quidditch-data-$leaves", '--reason', 'remove', '--url', 'http://localhost:9200');
    is($rc, 0, "qd node stop quidditch-data-$leaves --reason remove") or $k->explain($said);
    $k->ok_kubectl("scale statefulset quidditch-data $ns --replicas=$leaves");
    $k->ready('quidditch-data', $leaves);
}
$k->green(9);
kept('on three again');
is(scalar(grep { /data-quidditch-data/ } split ' ', $k->ok_kubectl("get pvc $ns -o name")), 5, 'the claims of those that left are kept');

phase('restart');
for my $what (qw(statefulset/quidditch-master statefulset/quidditch-data deployment/quidditch-coordination)) {
    $k->ok_kubectl("rollout restart $what $ns");
    $k->ok_kubectl("rollout status $what $ns $wait");
}
$k->ready('quidditch-coordination', 3);
$k->green(9);
kept('after a rolling restart');
is_deeply($k->restarts, [], 'no container was started again by its probes');

phase('masters lost');
for my $lost ([1, 2], [0, 1, 2]) {
    my %before = $k->pods('quidditch-master');
    $k->ok_kubectl("delete pod $ns --force --grace-period=0 " . join ' ', map { "quidditch-master-$_" } @$lost);
    my $of = @$lost;
    QdNode->wait_for(sub { my %now = $k->pods('quidditch-master'); !grep { ($now{"quidditch-master-$_"}{metadata}{uid} // $before{"quidditch-master-$_"}{metadata}{uid}) eq $before{"quidditch-master-$_"}{metadata}{uid} } @$lost }, 120)
        or diag 'the pods do not go';
    $k->ready('quidditch-master', 3);
    $k->green(9);
    is($k->send('PUT', "/after-$of", {settings => {number_of_shards => 1, number_of_replicas => 1}})->{status}, 200, "$of of three masters lost and back: an index is made");
}
kept('after the loss of masters');
my $of = $traffic->end;
for my $name (map { $_->[0] } grep { $_->[0] } @{$traffic->{phases}}) {
    my $o = $of->{$name};
    note sprintf '%s: %d requests, %.0f/s, p50 %.1f ms, p99 %.1f ms, slowest %.0f ms, %d failed', $name, @$o{qw(n rate p50 p99 max)}, scalar @{$o->{failed}};
    cmp_ok($o->{n}, '>', 0, "$name: requests were sent");
    is_deeply($o->{failed}, [], '... none failed') or diag(join "\n", @{$o->{failed}}[0 .. ($#{$o->{failed}} > 20 ? 20 : $#{$o->{failed}})]);
}
print sprintf("# a rolling restart of masters, data and coordination nodes: %d requests, %d failed, p99 %.1f ms, quiet %.1f ms\n", $of->{restart}{n}, scalar @{$of->{restart}{failed}}, map { $of->{$_}{p99} } qw(restart quiet));
cmp_ok($of->{restart}{p99}, '<=', 3 * $of->{quiet}{p99}, 'p99 during the restart is at most three times that of quiet') if $ENV{QD_TIMED};

# --- calls and rights ---------------------------------------------------------------------------------------------------
is_deeply($k->role_use->{refused}, [], 'nothing was asked for that the Role does not grant');
is_deeply([$k->{kube}->audited(user => 'system:serviceaccount:quidditch:default')], [], 'nobody but that account asked the API server for anything');

# --- flows and policies ---------------------------------------------------------------------------------------------------
my $flows = $k->policies(Manifests::objects('patterns/network-policies/networkpolicy.yaml'));
is_deeply($flows->{refused}, [], 'the NetworkPolicies allow each connection that was made');
# coordination nodes do not hold the state here; 110_pods_chart.t has some that do
is_deeply($flows->{unused}, ['quidditch-data quidditch-coordination 9302'], '... and what they allow between nodes was used');
$k->stop;
finish();
