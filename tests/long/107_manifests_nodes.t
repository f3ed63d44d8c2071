#!/usr/bin/perl
# 107_manifests_nodes.t: deploy/manifests in a Kubernetes with controllers and scheduler, on three nodes that are stand-ins
# (they report, and run nothing): rollouts in the order of docs/deploy/manifests.md, where pods come to lie, claims, the
# quota, budgets that refuse an eviction, scaling, and what scaling to none leaves. Skipped, loudly, where it cannot be
# built.
use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../integration/lib";
use Long;
use Manifests;
use QdNode;
use Test::More;

Manifests->skip_unless_parsed;
if (system('tests/k8s/build-kube >/dev/null 2>&1') != 0) {
    print STDERR "SKIPPED: the parts of a Kubernetes cannot be built here\n";
    plan skip_all => 'SKIPPED: the parts of a Kubernetes cannot be built here';
}
my $dir = tempdir('qd-nodes-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $kube = "$dir/kube";
my $up = `tests/k8s/kube-up --nodes 3 '$kube' 2>$dir/up.log`;
is($?, 0, 'three nodes') or BAIL_OUT(QdNode::slurp("$dir/up.log"));
my $owner = $$;
END { local $?; system("tests/k8s/kube-down '$kube' >/dev/null 2>&1") if $owner && $owner == $$ }
open my $e, '>', "$dir/env" or die;
print $e $up; # what a shell is to be told
close $e;
sub kubectl { my ($c) = @_; my $out = `. '$dir/env'; kubectl $c 2>&1`; chomp $out; return $out }
sub ok_kubectl { my ($c) = @_; my $out = kubectl($c); is($?, 0, "kubectl $c" =~ s/\Q$dir\E\///r) or diag $out; return $out }
sub apply {
    my ($file) = @_;
    (my $text = QdNode::slurp("deploy/manifests/$file")) =~ s{^apiVersion: policy/v1$}{apiVersion: policy/v1beta1}mg; # this one is 1.20
    my ($name) = $file =~ m{([^/]+)$};
    open my $f, '>', "$dir/$name" or die;
    print $f $text;
    close $f;
    ok_kubectl("apply -f $dir/$name");
}
sub until_is { my ($what, $want, $c) = @_; my $got; ok(QdNode->wait_for(sub { ($got = kubectl($c)) eq $want }, 120), $what) or diag $got }
my $ns = '-n quidditch';

apply('traditional/namespace.yaml');
apply('patterns/resource-quota/quota.yaml');
apply('traditional/master-statefulset.yaml');
ok_kubectl("rollout status statefulset/quidditch-master $ns --timeout=120s");
apply('traditional/coordination-deployment.yaml');
ok_kubectl("rollout status deployment/quidditch-coordination $ns --timeout=120s");
apply('traditional/data-statefulset.yaml');
ok_kubectl("rollout status statefulset/quidditch-data $ns --timeout=120s");
apply('traditional/pdb.yaml');
sub nodes_of { my ($app) = @_; my %n; $n{$_}++ for split ' ', kubectl("get pods $ns -l app=$app -o 'jsonpath={.items[*].spec.nodeName}'"); return %n }
my %masters = nodes_of('quidditch-master');
is_deeply([values %masters], [1, 1, 1], 'each master lies on a machine of its own');
my %data = nodes_of('quidditch-data');
is_deeply([sort values %data], [1, 2, 2], 'data nodes are spread');
my @claims = split ' ', kubectl("get pvc $ns -o 'jsonpath={.items[*].metadata.name}'");
is_deeply([sort @claims], [(map { "data-quidditch-data-$_" } 0 .. 4), map { "data-quidditch-master-$_" } 0 .. 2], 'each has its claim');
is(kubectl("get pvc $ns -o 'jsonpath={.items[*].status.phase}'"), join(' ', ('Bound') x 8), '... and its volume');
ok_kubectl("scale deployment quidditch-coordination $ns --replicas=5");
ok_kubectl("scale statefulset quidditch-data $ns --replicas=10");
until_is('five and ten are within the quota', '5 10', "get deployment/quidditch-coordination statefulset/quidditch-data $ns -o 'jsonpath={.items[*].status.readyReplicas}'");
ok_kubectl("scale statefulset quidditch-data $ns --replicas=5");

# --- a budget: one master may go, no second one ---------------------------------------------------------------------
sub allowed { return "get pdb quidditch-$_[0]-pdb $ns -o 'jsonpath={.status.disruptionsAllowed}'" }
until_is("one $_ may go", '1', allowed($_)) for qw(master data coordination);
ok_kubectl("annotate pod quidditch-master-2 $ns fake-kubelet/ready=false");
until_is('a master that is not ready uses it up', '0', allowed('master'));
open my $f, '>', "$dir/evict.json" or die;
print $f '{"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "quidditch-master-0", "namespace": "quidditch"}}';
close $f;
like(kubectl("create --raw /api/v1/namespaces/quidditch/pods/quidditch-master-0/eviction -f $dir/evict.json"), qr/disruption budget/, 'the eviction of a second one is refused');
ok_kubectl("annotate pod quidditch-master-2 $ns fake-kubelet/ready-");

# --- masters to none, as when the state goes to Kubernetes: claims stay ---------------------------------------------
ok_kubectl("scale statefulset quidditch-master $ns --replicas=0");
until_is('no master is left', '', "get pods $ns -l app=quidditch-master -o name");
is(scalar(grep { /master/ } split ' ', kubectl("get pvc $ns -o name")), 3, '... but their volumes');
finish();
