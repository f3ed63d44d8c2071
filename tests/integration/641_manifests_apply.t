#!/usr/bin/perl
# 641_manifests_apply.t: a real API server takes deploy/manifests: each set file by file in the order of
# docs/deploy/manifests.md, the samples, what kustomize makes; and the commands that scale and set variables. Nothing
# runs: no kubelet is there. What the server's version does not know is converted, or skipped in words.
use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use KubeServer;
use Manifests;
use QdNode;
use Test::More;

Manifests->skip_unless_parsed;
KubeServer->skip_unless_built;
my $kube = KubeServer->new('manifests')->start;
my $top = QdNode::top();
my $dir = tempdir('qd-apply-XXXXXX', TMPDIR => 1, CLEANUP => 1);
$kube->install_crds;

# An old server lacks some versions that 1.24 has.
my %older = ('policy/v1' => 'policy/v1beta1', 'autoscaling/v2' => 'autoscaling/v2beta2');
sub text_of {
    my ($file) = @_;
    my $text = QdNode::slurp($file);
    if ($kube->{minor} < 24) {
        for my $new (sort keys %older) { note "$file: $new converted for 1.$kube->{minor}" if $text =~ s/^apiVersion: \Q$new\E$/apiVersion: $older{$new}/mg }
    }
    return $text;
}
sub apply {
    my ($file, @more) = @_;
    open my $f, '>', "$dir/one.yaml" or die;
    print $f text_of($file);
    close $f;
    return $kube->kubectl('apply', @more, '-f', "$dir/one.yaml");
}
sub ok_kubectl { my ($status, $out) = $kube->kubectl(@_); is($status, 0, "kubectl @_") or diag $out; return $out }

# --- each set, one file after the other ------------------------------------------------------------------------------
my %order = (
    traditional => [qw(namespace master-statefulset coordination-deployment data-statefulset pdb rbac)],
    'kubernetes-native' => [qw(namespace rbac coordination-deployment data-statefulset pdb master-statefulset)],
    hybrid => [qw(namespace rbac config master-statefulset coordination-deployment data-statefulset pdb)],
);
for my $set (sort keys %order) {
    for my $file (@{$order{$set}}) {
        my $path = "$top/deploy/manifests/$set/$file.yaml";
        my ($status, $out) = apply($path);
        is($status, 0, "$set: kubectl apply -f $file.yaml") or diag $out;
        # what the server kept is what the file says: nothing was pruned for being unknown
        ($status, $out) = apply($path, '--dry-run=server');
        is_deeply([grep { !/ (unchanged|configured) \(server dry run\)$/ } split /\n/, $out], [], '... a second time it is there') or diag $out;
    }
    for my $o (map { Manifests::objects("$set/$_.yaml") } @{$order{$set}}) {
        my $pod = Manifests::pod($o) or next;
        my $there = $kube->get("/apis/apps/v1/namespaces/quidditch/@{[lc $o->{kind}]}s/$o->{metadata}{name}")->{json};
        is_deeply($there->{spec}{template}{spec}{containers}[0]{env}, env_as_kept($pod), "$set: $o->{metadata}{name} has its variables");
    }
    ok_kubectl(qw(scale deployment quidditch-coordination -n quidditch --replicas=5));
    ok_kubectl(qw(scale statefulset quidditch-data -n quidditch --replicas=10));
    $kube->kubectl('delete', 'statefulset,deployment', '--all', '-n', 'quidditch'); # names and claims of the next set
}
sub env_as_kept {
    my ($pod) = @_;
    my @env = map { {%$_} } @{$pod->{spec}{containers}[0]{env}};
    for (@env) { $_->{valueFrom} = {fieldRef => {apiVersion => 'v1', %{$_->{valueFrom}{fieldRef}}}} if $_->{valueFrom} }
    return \@env;
}

# --- variables are set as the pages say -------------------------------------------------------------------------------
apply("$top/deploy/manifests/traditional/coordination-deployment.yaml");
ok_kubectl(qw(set env deployment/quidditch-coordination -n quidditch K8S_FALLBACK=true));
ok_kubectl(qw(patch deployment quidditch-coordination -n quidditch -p),
    '{"spec": {"template": {"spec": {"containers": [{"name": "coordination", "env": [{"name": "http.allowed_hosts", "value": "*.quidditch,quidditch.example.com"}]}]}}}}');
my $env = $kube->get('/apis/apps/v1/namespaces/quidditch/deployments/quidditch-coordination')->{json}{spec}{template}{spec}{containers}[0]{env};
is_deeply([map { $_->{value} } grep { $_->{name} =~ /^(K8S_FALLBACK|http\.allowed_hosts)$/ } sort { $a->{name} cmp $b->{name} } @$env], ['true', '*.quidditch,quidditch.example.com'], '... and kept');

# --- patterns and samples ---------------------------------------------------------------------------------------------
for my $file (map { glob "'$top/deploy/manifests/$_'/*.yaml" } 'samples', 'patterns/resource-quota', 'patterns/network-policies') {
    next if $file =~ /kustomization/;
    (my $name = $file) =~ s{.*/manifests/}{};
    SKIP: {
        if ($name =~ /servicemonitor/ && $kube->get('/apis/monitoring.coreos.com/v1')->{status} != 200) {
            print STDERR "SKIPPED: $name: this API server lacks the kind ServiceMonitor\n";
            skip "$name: no such kind here", 1;
        }
        my ($status, $out) = apply($file, '--dry-run=server');
        is($status, 0, "$name: server dry run") or diag $out;
    }
}

# --- what kustomize makes ---------------------------------------------------------------------------------------------
for my $folder (sort(keys %order), map { "overlays/$_" } qw(development staging production)) {
    SKIP: {
        my $kubectl = (grep { -x } map { "$_/kubectl" } split /:/, $ENV{PATH})[0];
        if (!$kubectl || system("$kubectl kustomize '$top/deploy/manifests/$folder' > '$dir/built.yaml' 2>/dev/null") != 0) {
            print STDERR "SKIPPED: there is no kubectl with kustomize: $folder\n";
            skip 'no kubectl with kustomize', 1;
        }
        my ($status, $out) = apply("$dir/built.yaml", '--dry-run=server');
        is($status, 0, "$folder: server dry run of kubectl kustomize") or diag $out;
    }
}
$kube->stop;
done_testing;
