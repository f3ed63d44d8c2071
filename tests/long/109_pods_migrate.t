#!/usr/bin/perl
# 109_pods_migrate.t: both moves of docs/deploy/manifests.md, command by command, on nodes that run the product's images
# (Pods.pm): from masters to Kubernetes, and back. First in good weather, under requests of clients that do not retry
# (Traffic.pm): none fails. Then in bad weather: a pod of each kind is killed between any two steps and the API server is
# away in the middle: whatever was acknowledged is there at the end, whoever is in charge.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../integration/lib";
use Long;
use Manifests;
use Pods;
use QdNode;
use Test::More;
use Time::HiRes qw(sleep time);
use Traffic;

Pods->prepare;
my $k = Pods->start('moves');
my $ns = '-n quidditch';
my $wait = '--timeout=400s';
sub smaller { $_[0]{spec}{replicas} = 2 if $_[0]{kind} =~ /^(StatefulSet|Deployment)$/ && $_[0]{metadata}{name} =~ /data|coordination/ }

# --- changes of the state: what was acknowledged must be there ----------------------------------------------------------
my ($made, @acked, @refused) = (0);
sub change {
    my ($must) = @_;
    my $name = "made-" . $made++;
    my $r = $k->send('PUT', "/$name?master_timeout=60s", {settings => {number_of_shards => 1, number_of_replicas => 0}});
    if ($r->{status} == 200) { push @acked, $name }
    else { push @refused, "$name: $r->{status} " . substr $r->{content}, 0, 300 }
    is($r->{status}, 200, "$name is made") or diag $r->{content} if $must;
    return $r->{status} == 200;
}
sub all_there {
    my ($what) = @_;
    ok(QdNode->wait_for(sub { change() }, 120, 0.5), "$what: the state can be changed") or $k->explain(@refused[-3 .. -1]);
    my %there = map { $_->{index} => 1 } @{$k->send('GET', '/_cat/indices?format=json&expand_wildcards=all')->{json} || []};
    is_deeply([grep { !$there{$_} } @acked], [], '... each index that was acknowledged is there, ' . @acked . ' of them');
    $k->send('POST', '/traffic/_refresh');
    is($k->send('GET', '/traffic/_count')->{json}{count}, 600, '... and each document');
}
my $weather; # what happens between two steps
sub step_of { # a command of the page
    my ($line) = @_;
    $k->ok_kubectl($line);
    $weather->() if $weather;
}
my @api; # the two halves of what the API server does in bad weather
sub api_away {
    my ($seconds) = @_;
    note "the API server is away for $seconds s";
    $k->{kube}->kill9;
    my $end = time + $seconds;
    change() while time < $end; # each waits for its answer
    $k->{kube}->revive;
    ok(QdNode->wait_for(sub { ($k->kubectl('get nodes'))[0] == 0 }, 60), 'the API server is back');
}
my $round = 0;
sub kill_some { # a pod of each kind, without a word
    for my $app (qw(quidditch-master quidditch-coordination quidditch-data)) {
        my %pods = $k->pods($app);
        my @names = sort keys %pods or next;
        my $pod = $names[$round % @names];
        note "killed: $pod";
        $k->kubectl("delete pod $ns $pod --force --grace-period=0");
    }
    $round++;
    change();
}

sub in_coordination { # a node that was killed a moment ago may not have both stores yet
    my (@qd) = @_;
    my ($c, $rc, $out);
    ok(QdNode->wait_for(sub {
        ($c) = map { $_->{metadata}{name} } grep { Pods::is_ready($_) } values %{{$k->pods('quidditch-coordination')}};
        ($rc, $out) = $c ? $k->exec_in($c, 'qd', @qd, '--url', 'http://localhost:9200') : (1, 'no pod is ready');
        $rc == 0;
    }, 120, 1), "qd @qd") or diag $out;
}

# --- the moves ------------------------------------------------------------------------------------------------------------
sub to_kubernetes {
    step_of("set env deployment/quidditch-coordination $ns K8S_FALLBACK=true");
    $k->apply('traditional/rbac.yaml');
    $weather->() if $weather;
    step_of("rollout status deployment/quidditch-coordination $ns $wait");
    $k->until_answer('the mirror is up to date', '/_cluster/coordination', sub { my $m = $_[0]{mirror}; ($_[0]{store}{kind} // '') eq 'k8s' || $m && $m->{reachable} && $m->{lag} < 100 }, 180);
    $k->ok_kubectl("scale statefulset quidditch-master $ns --replicas=0");
    api_away(15) if $weather;
    $k->store('k8s');
    ok(QdNode->wait_for(sub { !{$k->pods('quidditch-master')} || !keys %{{$k->pods('quidditch-master')}} }, 120), 'the masters are gone');
    ok(QdNode->wait_for(sub { $k->logs('quidditch-coordination') =~ /using k8s-native/ }, 120), 'kubectl logs -l app=quidditch-coordination | grep "using k8s-native"');
    in_coordination(qw(migrate finish));
}
sub to_masters {
    my ($again) = @_;
    $k->apply('kubernetes-native/master-statefulset.yaml');
    $weather->() if $weather;
    step_of("wait --for=condition=ready pod -l app=quidditch-master $ns $wait");
    step_of("set env deployment/quidditch-coordination $ns USE_K8S_COORDINATION=false MASTER_ADDRESSES=" . join ',', map { "quidditch-master-$_.quidditch-master:9301" } 0 .. 2);
    api_away(15) if $weather;
    step_of("rollout status deployment/quidditch-coordination $ns $wait");
    in_coordination(qw(migrate start --to master)) if $again; # what all ask for is followed once
    $k->store('raft');
    ok(QdNode->wait_for(sub { $k->logs('quidditch-coordination') =~ /connected to master/ }, 120), 'kubectl logs -l app=quidditch-coordination | grep "connected to master"');
    in_coordination(qw(migrate finish));
}

# --- what else nodes do in Kubernetes, so that each right of the Role has a use ----------------------------------------
sub use_rights {
    my $apply = sub {
        my ($name, $object) = @_;
        $k->ok_kubectl('apply -n quidditch -f ' . $k->write("$name.json", JSON::PP->new->canonical->encode({apiVersion => 'quidditch.io/v1', %$object})));
    };
    my $status = sub { ($k->kubectl("get qidx $ns $_[0] -o jsonpath={.status.state}"))[1] };
    $apply->('cluster', {kind => 'QuidditchCluster', metadata => {name => 'quidditch'}, spec => {settings => {index => {number_of_replicas => 1}}}});
    $apply->("wish-$_", {kind => 'QuidditchIndex', metadata => {name => "wish-\L$_"}, spec => {shards => 1, replicas => 1, deletionPolicy => $_}}) for qw(Retain Delete);
    for my $wish (qw(retain delete)) { ok(QdNode->wait_for(sub { $status->("wish-$wish") eq 'ACTIVE' }, 120, 0.5), "wish-$wish is made by kubectl") }
    $k->ok_kubectl("delete qidx $ns wish-delete wish-retain --wait=false");
    ok(QdNode->wait_for(sub { $k->send('GET', '/wish-delete')->{status} == 404 && $status->('wish-retain') eq 'ACTIVE' }, 120, 0.5), '... deleted where the policy says so, else back');
    ok(QdNode->wait_for(sub { ($k->kubectl("get qcluster $ns quidditch -o jsonpath={.status.health}"))[1] =~ /green|yellow/ }, 120, 0.5), 'the cluster tells how it is');
    # more copies than one object shows; they are to be nowhere
    my $r = $k->send('PUT', '/wide?wait_for_active_shards=0', {settings => {number_of_shards => 1001, number_of_replicas => 0, 'index.routing.allocation.include._name' => 'nobody'}});
    is($r->{status}, 200, 'an index of 1,001 shards') or diag $r->{content};
    my $shards = sub { my @n = split ' ', ($k->kubectl("get qshard $ns -o name"))[1]; return scalar @n };
    ok(QdNode->wait_for(sub { $shards->() >= 1001 }, 400, 2), '... each has its object') or diag $shards->();
    is($k->send('DELETE', '/wide')->{status}, 200, '... deleted');
    ok(QdNode->wait_for(sub { $shards->() == 0 }, 400, 2), '... and they, too') or diag $shards->();
}

# --- good weather -----------------------------------------------------------------------------------------------------
$k->{kube}->install_crds;
# rights first, so that what is refused is refused to the files' own Role
$k->apply('traditional/namespace.yaml') or BAIL_OUT('nothing can be applied');
$k->apply('traditional/rbac.yaml');
$k->apply('traditional/master-statefulset.yaml');
$k->apply("traditional/$_.yaml", \&smaller) for qw(coordination-deployment data-statefulset);
$k->ok_kubectl("rollout status $_ $ns $wait") for qw(statefulset/quidditch-master deployment/quidditch-coordination statefulset/quidditch-data);
$k->green(7);
is($k->send('PUT', '/_cluster/settings', {persistent => {'cluster.routing.allocation.disk.threshold_enabled' => 'false'}})->{status}, 200, 'the disk of this machine is nobody\'s business');
Traffic::prepare(sub { $k->send(@_) }, 'traffic');
change(1) for 1 .. 5;
my $traffic = Traffic->new($k->{dir}, url => $k->url, index => 'traffic', rate => 100);
$traffic->begin('to Kubernetes');
to_kubernetes();
change(1) for 1 .. 5;
all_there('in Kubernetes');
use_rights();
$traffic->begin('to masters');
to_masters();
change(1) for 1 .. 5;
all_there('with masters again');
my $of = $traffic->end;
for my $name (sort keys %$of) {
    my $o = $of->{$name};
    print sprintf("# move %s: %d requests, %d failed, p99 %.1f ms, slowest %.0f ms\n", $name, $o->{n}, scalar @{$o->{failed}}, @$o{qw(p99 max)});
    is_deeply($o->{failed}, [], "$name: no request failed") or diag(join "\n", @{$o->{failed}}[0 .. ($#{$o->{failed}} > 20 ? 20 : $#{$o->{failed}})]);
}
is_deeply(\@refused, [], 'no change of the state was refused');

# --- what was asked of the API server, and what the Role grants ------------------------------------------------------------
my $use = $k->role_use;
is_deeply($use->{refused}, [], 'nothing was asked for that the Role does not grant');
# what is unreferenced is collected when it is half an hour old: listed, its finalizer taken off, deleted
is_deeply([grep { !/^(?:list|patch|delete) quidditchstates\.quidditch\.io$/ } @{$use->{unused}}], [], '... and all that it grants was asked for');
is_deeply([$k->{kube}->audited(user => 'system:serviceaccount:quidditch:default')], [], 'nobody but that account asked the API server for anything');

# --- step 6: the rights go ----------------------------------------------------------------------------------------------
$k->ok_kubectl("delete $_ quidditch-coordination $ns") for qw(rolebinding role);
my $calls = sub { scalar $k->{kube}->audited(user => 'system:serviceaccount:quidditch:quidditch-coordination') };
my $from = $calls->();
sleep 30;
my $asked = $calls->() - $from;
note "without rights five nodes asked the API server $asked times in 30 s";
cmp_ok($asked, '<=', 450, '... which is at most three times a second each: the Lease is tried every 2 s');
all_there('without rights');

# --- bad weather --------------------------------------------------------------------------------------------------------
$weather = \&kill_some;
to_kubernetes();
$k->ready('quidditch-coordination', 2);
$k->ready('quidditch-data', 2);
$k->green(4);
all_there('in Kubernetes, in bad weather');
to_masters('again');
undef $weather;
$k->ready('quidditch-master', 3);
$k->ready('quidditch-coordination', 2);
$k->ready('quidditch-data', 2);
$k->green(7);
all_there('with masters, in bad weather');
note "refused meanwhile: $_" for @refused;
$k->stop;
finish();
