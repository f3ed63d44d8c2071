#!/usr/bin/perl
# 102_seven_control_nodes.t: seven control nodes over a real Kubernetes API. Five of them talk to it, and idle each of those
# asks it for something at most five times a minute beside the renewals of the leader's Lease, those that listen for nothing; all of
# them tell the same; a place that gets free is taken; a node that only listened leads when all five are gone.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../integration/lib";
use Coordination;
use KubeServer;
use Long;
use QdNode;
use Test::More;
use Time::HiRes qw(time);

my $minutes = 2; # of idleness
KubeServer->skip_unless_built;
step('everything builds', sub { build('all') }) or BAIL_OUT('no build');
my $kube = KubeServer->new('seven')->start;
my %common = ('cluster.name' => 'quidditch', 'metrics.port' => -1, 'transport.rpc_port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false');
my (@n, %user); # each with an account of its own, so that what it asks for is known to be its own
$kube->install('quidditch');
for my $i (0 .. 6) {
    my $account = own_account("node$i");
    push @n, QdNode->new("c$i", settings => {%common, 'node.roles' => 'coordination,ingest'},
        env => {KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch', USE_K8S_COORDINATION => 'true'});
    $user{"c$i"} = $account->{user};
}
sub own_account {
    my ($name) = @_;
    my $subject = {kind => 'ServiceAccount', name => $name, namespace => 'quidditch'};
    my $role = {apiGroup => 'rbac.authorization.k8s.io', kind => 'Role', name => 'quidditch-coordination'};
    is($kube->post('/api/v1/namespaces/quidditch/serviceaccounts', {metadata => {name => $name}})->{status}, 201, "the account $name");
    is($kube->post('/apis/rbac.authorization.k8s.io/v1/namespaces/quidditch/rolebindings', {metadata => {name => $name}, subjects => [$subject], roleRef => $role})->{status}, 201, 'with its rights');
    return $kube->account('quidditch', $name);
}
sub root { return $kube->get('/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates/quidditch')->{json}{spec} }
sub speaks { return map { $_->{name} => 1 } @{root()->{speakers} || []} }
sub leads { return root()->{leader}{name} // '' }
sub make { my ($n, $index) = @_; return $n->put("/$index?wait_for_active_shards=0&master_timeout=60s", {})->{status} }

start_all(@n);
is(@{[same_told(\@n, qw(store.kind store.epoch leader.name cluster_uuid))]}, 1, 'all tell the same');
is(scalar(keys %{{speaks()}}), 5, 'five talk to the API');
is(make($_, "by-$_->{name}"), 200, "a change asked of $_->{name}") for @n;

# --- idle
my %talks = speaks();
my $end = time + 20; # what the changes led to is over
$n[0]->wait_for(sub { time > $end }, 60);
$kube->forget_calls;
$end = time + 60 * $minutes;
$n[0]->wait_for(sub { time > $end }, 60 * $minutes + 60);
my (%asked, %renewed);
for my $c ($kube->calls) {
    my ($name) = grep { $user{$_} eq $c->{user} } keys %user;
    next if !$name || $c->{verb} eq 'watch';
    if   ("$c->{verb} $c->{resource}" eq 'update leases') { $renewed{$name}++ }
    else                                                 { $asked{$name}{"$c->{verb} $c->{resource}"}++ }
}
for my $name (sort keys %user) {
    my $total = 0;
    $total += $_ for values %{$asked{$name} || {}};
    my $words = join ', ', map { "$_: $asked{$name}{$_}" } sort keys %{$asked{$name} || {}};
    my $most = $name eq leads() ? 'leads' : $talks{$name} ? 'talks' : 'listens';
    note("$name $most: $total requests in $minutes minutes ($words)");
    $talks{$name} ? cmp_ok($total, '<=', 5 * $minutes, "$name $most: at most five requests a minute") : is($total, 0, "$name listens and asks for nothing") or diag $words;
}

is_deeply([keys %renewed], [leads()], 'the leader alone renews its Lease');
cmp_ok($renewed{leads()} // 0, '<=', 7 * $minutes, '... every 10 s');

# --- the leader dies
my ($leader) = grep { $_->{name} eq leads() } @n;
my ($other) = grep { $_ != $leader } @n;
my $began = time;
$leader->kill9;
ok($other->wait_for(sub { leads() && leads() ne $leader->{name} }, 60), 'another one leads');
note(sprintf 'after %.2f s', time - $began);
ok($other->wait_for(sub { my %s = speaks(); keys %s == 5 && !$s{$leader->{name}} }, 60), 'its place is taken');
is(make($other, 'after-one'), 200, 'changes go on');

# --- all five that talk die
%talks = speaks();
my ($listener) = grep { $_ != $leader && !$talks{$_->{name}} } @n;
$began = time;
$_->kill9 for grep { $talks{$_->{name}} } @n;
ok($listener->wait_for(sub { leads() eq $listener->{name} }, 90), 'who only listened leads when all five are gone');
note(sprintf 'after %.2f s', time - $began);
is(make($listener, 'after-five'), 200, 'and changes the state');
is_deeply([grep { $listener->get("/$_")->{status} != 200 } (map { "by-$_->{name}" } @n), 'after-one'], [], 'it has all that was acknowledged');
is($listener->stop, 0, 'it ends');
finish();
