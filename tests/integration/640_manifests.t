#!/usr/bin/perl
# 640_manifests.t: deploy/manifests and deploy/compose: what they say is what the product reads, opens and keeps. Each
# environment and file passes `quidditchd --check-config`; 510_environment.t runs the processes with them, and
# 641_manifests_apply.t asks a real API server.
use strict;
use warnings;
use File::Find ();
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use Manifests;
use POSIX ();
use QdNode;
use Test::More;

Manifests->skip_unless_parsed;
my $top = QdNode::top();
my $dir = tempdir('qd-manifests-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my %sets = (traditional => [qw(master coordination data)], 'kubernetes-native' => [qw(coordination data)], hybrid => [qw(master coordination data)]);
my %port = (
    master => {raft => 9300, grpc => 9301, metrics => 9400},
    coordination => {http => 9200, transport => 9300, grpc => 9302, metrics => 9401},
    data => {transport => 9300, grpc => 9303, metrics => 9402},
);
my %known = Manifests::variables();

# --- every file can be read ---------------------------------------------------------------------------------------
my %all;
File::Find::find({no_chdir => 1, wanted => sub { $all{$_} = 1 if /\.ya?ml$/ && !m{/helm/} }}, "$top/deploy");
my @broken = grep { !eval { Manifests::objects($_); 1 } } sort keys %all;
is_deeply(\@broken, [], 'every YAML file below deploy can be parsed') or diag $@;
cmp_ok(scalar keys %all, '>=', 40, '... and there are ' . keys %all);

sub is_subset { my ($part, $whole) = @_; return !grep { ($whole->{$_} // '') ne $part->{$_} } keys %$part }

# What an image of this name makes of itself; see deploy/docker/Dockerfile.
sub role_of { my ($image) = @_; return $image =~ m{^quidditch/([\w-]+):1\.0\.0$} ? $1 : undef }

for my $set (sort keys %sets) {
    my @objects = map { Manifests::objects($_) } grep { m{/manifests/$set/} && !/kustomization/ } sort keys %all;
    is_deeply([grep { $_->{kind} ne 'Namespace' && ($_->{metadata}{namespace} // '') ne 'quidditch' } @objects], [], "$set: all is in the namespace quidditch");
    for my $role (qw(master coordination data)) {
        my ($w) = grep { Manifests::pod($_) && $_->{metadata}{name} eq "quidditch-$role" } @objects or next;
        my ($pod, $is) = (Manifests::pod($w), "$set, $role");
        my $c = $pod->{spec}{containers}[0];
        is($w->{kind}, $role eq 'coordination' ? 'Deployment' : 'StatefulSet', "$is: the kind");
        is($w->{spec}{replicas}, {master => 3, coordination => 3, data => 5}->{$role}, '... the number');
        is_deeply([$c->{name}, scalar @{$pod->{spec}{containers}}, $c->{imagePullPolicy}], [$role, 1, 'IfNotPresent'], '... one container');
        is(role_of($c->{image}), $role eq 'coordination' && $set eq 'kubernetes-native' ? 'coordination-k8s' : $role, '... its image');
        ok(is_subset($w->{spec}{selector}{matchLabels}, $pod->{metadata}{labels}), '... its pods are selected');
        is($pod->{metadata}{labels}{app}, "quidditch-$role", '... by app');

        # ports: those of the role, the probes' among them, the Services' too
        is_deeply({map { $_->{name} => $_->{containerPort} } @{$c->{ports}}}, $port{$role}, '... the ports of its role');
        my %open = map { $_ => 1 } values %{$port{$role}};
        my $probe = $role eq 'coordination' ? 9200 : $port{$role}{metrics};
        is_deeply([map { "$_->{httpGet}{path} $_->{httpGet}{port} $_->{initialDelaySeconds} $_->{periodSeconds}" } @$c{qw(livenessProbe readinessProbe)}],
            ["/health $probe 30 10", "/ready $probe 10 5"], '... its probes');
        is_deeply($pod->{metadata}{annotations}, {'prometheus.io/scrape' => 'true', 'prometheus.io/port' => $port{$role}{metrics}}, '... is scraped');
        my @services = grep { $_->{kind} eq 'Service' && is_subset($_->{spec}{selector}, $pod->{metadata}{labels}) } @objects;
        ok(@services, '... a Service leads there');
        is_deeply([map { my $s = $_; grep { $_->{port} != $_->{targetPort} || !$open{$_->{targetPort}} } @{$s->{spec}{ports}} } @services], [], '... to ports that are open');
        my ($main) = grep { $_->{metadata}{name} eq "quidditch-$role" } @services;
        is($main->{spec}{$role eq 'coordination' ? 'type' : 'clusterIP'}, $role eq 'coordination' ? 'LoadBalancer' : 'None', '... of the right type');
        is($main->{metadata}{labels}{app}, 'quidditch', '... with the label that the ServiceMonitor asks for');
        ok((grep { $_->{name} eq 'metrics' } @{$main->{spec}{ports}}), '... and its port');
        is(scalar(grep { ($_->{metadata}{labels}{app} // '') eq 'quidditch' } @services), 1, '... once');

        # the volume is where the role keeps its data
        my ($mount) = grep { $_->{name} eq 'data' } @{$c->{volumeMounts}};
        # an emptyDir is open to everybody, which a node refuses: it makes its own folder in it
        is($mount->{mountPath}, $role eq 'coordination' ? '/var/lib/quidditch' : "/var/lib/quidditch/$role", '... its volume');
        my ($claim) = @{$w->{spec}{volumeClaimTemplates} || []};
        is($claim ? "$claim->{metadata}{name} @{$claim->{spec}{accessModes}} $claim->{spec}{storageClassName} $claim->{spec}{resources}{requests}{storage}" : '',
            {master => 'data ReadWriteOnce fast-ssd 50Gi', data => 'data ReadWriteOnce fast-ssd 500Gi', coordination => ''}->{$role}, '... its claim');
        my ($r) = map { "$_->{requests}{memory}/$_->{requests}{cpu} $_->{limits}{memory}/$_->{limits}{cpu}" } $c->{resources};
        is($r, $role eq 'data' ? '16Gi/8 32Gi/16' : '4Gi/2 8Gi/4', '... its resources');

        # who runs it, and with which rights
        my ($s, $p) = ($c->{securityContext}, $pod->{spec}{securityContext});
        ok($p->{runAsNonRoot} && $p->{fsGroup} == $p->{runAsUser} && $s->{readOnlyRootFilesystem} && !$s->{allowPrivilegeEscalation}
            && "@{$s->{capabilities}{drop}}" eq 'ALL' && $p->{seccompProfile}{type} eq 'RuntimeDefault', '... no root, a read-only root');
        if ($role eq 'data') {
            ok(defined $pod->{spec}{automountServiceAccountToken} && !$pod->{spec}{automountServiceAccountToken} && !$pod->{spec}{serviceAccountName}, '... no token');
        } else {
            is($pod->{spec}{serviceAccountName}, 'quidditch-coordination', '... its account');
            ok(Manifests::named('ServiceAccount', 'quidditch-coordination', @objects), '... which is there');
        }

        # each variable is one that the product reads, and their values pass
        is_deeply([grep { !$known{$_->{name}} } @{$c->{env}}], [], '... each variable is read');
        my %env = Manifests::environment($pod, name => "quidditch-$role-0", ip => '127.0.0.1');
        %env = (%env, in_a_pod()) if $pod->{spec}{serviceAccountName};
        my ($config) = grep { $_->{name} eq 'config' } @{$pod->{spec}{volumes} || []};
        my @file;
        if ($config) {
            my $map = Manifests::named('ConfigMap', $config->{configMap}{name}, @objects);
            my ($at) = grep { $_->{name} eq 'config' } @{$c->{volumeMounts}};
            is_deeply($c->{args}, ['--config', "$at->{mountPath}/config.yaml"], '... reads the ConfigMap where it is mounted');
            open my $f, '>', "$dir/config.yaml" or die;
            print $f $map->{data}{'config.yaml'};
            close $f;
            @file = ('--config', "$dir/config.yaml");
        }
        my $out = check({%env, QUIDDITCH_ROLE => role_of($c->{image})}, @file);
        like($out, qr/^the settings are valid/m, '... its settings are valid') or diag $out;
        unlike($out, qr/no effect/, '... and have an effect');
    }

    # what lies beside them
    for my $pdb (grep { $_->{kind} eq 'PodDisruptionBudget' } @objects) {
        my @hit = grep { Manifests::pod($_) && is_subset($pdb->{spec}{selector}{matchLabels}, Manifests::pod($_)->{metadata}{labels}) } @objects;
        is(scalar @hit, 1, "$set: $pdb->{metadata}{name} is for one set of pods");
    }
    is_deeply({rules_of(@objects)}, {rules_of(map { Manifests::objects("$top/deploy/rbac/$_.yaml") } qw(coordination masters projections))},
        "$set: rbac.yaml grants what deploy/rbac does");
    is(scalar(grep { $_->{kind} eq 'Role' } @objects), 1, '... in one Role');
}
# What a kubelet adds: the address of the API server, and the account's files, here others.
sub in_a_pod {
    open my $f, '>', "$dir/token" or die;
    print $f "x\n";
    close $f;
    return (KUBERNETES_SERVICE_HOST => '127.0.0.1', KUBERNETES_SERVICE_PORT => 1, 'coordination.k8s.token_file' => "$dir/token", 'coordination.k8s.ca_file' => "/etc/ssl/certs/ca-certificates.crt");
}
sub check {
    my ($env, @arguments) = @_;
    my $pid = open(my $p, '-|') // die "fork: $!";
    if (!$pid) {
        %ENV = (PATH => $ENV{PATH}, %$env);
        open STDERR, '>&', \*STDOUT;
        exec QdNode::daemon(), @arguments, '--check-config' or POSIX::_exit(127);
    }
    local $/;
    return <$p> . (close($p) ? '' : "status $?\n");
}
sub rules_of {
    my %may;
    for my $role (grep { $_->{kind} eq 'Role' } @_) {
        for my $r (@{$role->{rules}}) {
            for my $g (@{$r->{apiGroups}}) { for my $x (@{$r->{resources}}) { $may{"$g/$x $_"} = 1 for @{$r->{verbs}} } }
        }
    }
    return %may;
}

# --- which variables say where the state is -----------------------------------------------------------------------
sub set_of { my ($file) = @_; return map { my $p = Manifests::pod($_); $p ? {Manifests::environment($p, name => 'x-0', ip => '127.0.0.1')} : () } Manifests::objects($file) }
my ($m) = set_of('traditional/master-statefulset.yaml');
is_deeply([@$m{qw(USE_K8S_COORDINATION K8S_FALLBACK POD_NAMESPACE)}], ['false', 'true', 'quidditch'], 'masters keep the state, and a mirror where they may');
($m) = set_of('kubernetes-native/master-statefulset.yaml');
is_deeply([@$m{qw(USE_K8S_COORDINATION K8S_FALLBACK)}], ['true', 'true'], 'masters that are to take over begin as control nodes of the cluster');
my ($c) = set_of('kubernetes-native/coordination-deployment.yaml');
is_deeply([@$c{qw(USE_K8S_COORDINATION LEADER_ELECTION_NAMESPACE http.allowed_hosts)}], ['true', 'quidditch', '*.quidditch'], 'coordination nodes in Kubernetes say so');
my ($d) = set_of('kubernetes-native/data-statefulset.yaml');
is($d->{MASTER_ADDRESSES}, 'quidditch-coordination-rpc.quidditch.svc.cluster.local:9302', 'their data nodes find them by the headless Service');

# --- the quota takes the first set, and ten data nodes ------------------------------------------------------------
my ($quota) = Manifests::objects('patterns/resource-quota/quota.yaml');
my %hard = map { $_ => $quota->{spec}{hard}{$_} =~ s/Gi$//r } keys %{$quota->{spec}{hard}};
my @first = map { Manifests::objects("traditional/$_.yaml") } qw(master-statefulset coordination-deployment data-statefulset);
for my $data (5, 10) {
    my ($cpu, $memory, $claims, $balancers) = (0, 0, 0, 0);
    for my $o (@first) {
        $balancers++ if $o->{kind} eq 'Service' && ($o->{spec}{type} // '') eq 'LoadBalancer';
        my $pod = Manifests::pod($o) or next;
        my $n = $o->{metadata}{name} eq 'quidditch-data' ? $data : $o->{spec}{replicas};
        my $r = $pod->{spec}{containers}[0]{resources}{requests};
        $cpu += $n * $r->{cpu};
        $memory += $n * $r->{memory} =~ s/Gi$//r;
        $claims += $n * @{$o->{spec}{volumeClaimTemplates} || []};
    }
    ok($cpu <= $hard{'requests.cpu'} && $memory <= $hard{'requests.memory'} && $claims <= $hard{persistentvolumeclaims} && $balancers <= $hard{'services.loadbalancers'},
        "$data data nodes: $cpu CPUs, $memory GiB, $claims claims, $balancers balancer are within the quota");
}

# --- policies: who reaches which port; tests/long/108_pods.t and 110_pods_chart.t see them used ---------------------
my %reached = (
    master => {9300 => 'coordination data master', 9301 => 'coordination data', 9400 => '*'},
    coordination => {9300 => 'coordination data master', 9302 => 'data', 9200 => '*', 9401 => '*'},
    data => {9300 => 'coordination data master', 9303 => 'coordination data master', 9402 => '*'},
);
for my $np (Manifests::objects('patterns/network-policies/networkpolicy.yaml')) {
    my ($role) = $np->{spec}{podSelector}{matchLabels}{app} =~ /^quidditch-(\w+)$/;
    my %allowed;
    for my $rule (@{$np->{spec}{ingress}}) {
        my ($of) = map { ($_->{podSelector} || {})->{matchExpressions} // () } @{$rule->{from} || []};
        $allowed{$_->{port}} = $of ? join ' ', sort map { s/^quidditch-//r } @{$of->[0]{values}} : '*' for @{$rule->{ports}};
    }
    is_deeply(\%allowed, $reached{$role}, "$np->{metadata}{name}: who reaches which port");
}
my ($hpa) = Manifests::objects('samples/hpa.yaml');
ok(Manifests::named($hpa->{spec}{scaleTargetRef}{kind}, $hpa->{spec}{scaleTargetRef}{name}, @first), 'the autoscaler has a target');
is((Manifests::objects('samples/servicemonitor.yaml'))[0]{spec}{jobLabel}, 'app', "the ServiceMonitor's job is that label, quidditch, which the alerts ask for");
my ($ingress) = Manifests::objects('samples/ingress.yaml');
my $backend = $ingress->{spec}{rules}[0]{http}{paths}[0]{backend}{service};
ok((grep { $_->{port} == $backend->{port}{number} } @{Manifests::named('Service', $backend->{name}, @first)->{spec}{ports}}), 'so has the ingress');

# --- compose -------------------------------------------------------------------------------------------------------
my ($compose) = Manifests::objects("$top/deploy/compose/docker-compose.yml");
my @services = sort keys %{$compose->{services}};
is_deeply(\@services, [map { "quidditch-$_" } 0 .. 2], 'compose: three nodes');
for my $name (@services) {
    my $s = {%{$compose->{'x-node'}}, %{$compose->{services}{$name}}};
    my %env = (%{$compose->{'x-environment'}}, %{$s->{environment}});
    delete $env{'<<'};
    is_deeply([grep { !$known{$_} } keys %env], [], "$name: each variable is read");
    is("$env{NODE_ID} $s->{hostname}", "$name $name", '... it has its name');
    is($s->{volumes}[0], "data-@{[$name =~ /(\d)$/]}:$env{'path.data'}", '... and its volume where the data are');
    my $out = check({%env, RAFT_PEERS => join(',', map { "quidditch-$_:9300" } 0 .. 2)});
    like($out, qr/^the settings are valid/m, '... its settings are valid') or diag $out;
}

# --- kustomize -----------------------------------------------------------------------------------------------------
SKIP: {
    my $kubectl = (grep { -x } map { "$_/kubectl" } split /:/, $ENV{PATH})[0];
    if (!$kubectl || `$kubectl kustomize --help 2>&1` !~ /Build/i) {
        print STDERR "SKIPPED: there is no kubectl with kustomize\n";
        skip 'SKIPPED: there is no kubectl with kustomize', 1;
    }
    my %built;
    for my $folder ((sort keys %sets), map { "overlays/$_" } qw(development staging production)) {
        my $text = `$kubectl kustomize '$top/deploy/manifests/$folder' 2>'$dir/err'`;
        is($?, 0, "kubectl kustomize deploy/manifests/$folder") or diag QdNode::slurp("$dir/err");
        $built{$folder} = [Manifests::parse($text)];
    }
    my @small = @{$built{'overlays/development'}};
    is_deeply([map { Manifests::named(@$_, @small)->{spec}{replicas} } ['Deployment', 'quidditch-coordination'], ['StatefulSet', 'quidditch-data']], [1, 1], 'development: one of each');
    ok(!(grep { $_->{kind} eq 'PodDisruptionBudget' || ($_->{spec}{type} // '') eq 'LoadBalancer' } @small), '... without budgets and balancers');
    my @large = @{$built{'overlays/production'}};
    my $affinity = Manifests::named('StatefulSet', 'quidditch-master', @large)->{spec}{template}{spec}{affinity}{podAntiAffinity};
    is($affinity->{requiredDuringSchedulingIgnoredDuringExecution}[0]{topologyKey}, 'topology.kubernetes.io/zone', 'production: masters in zones of their own');
    is_deeply([sort map { $_->{kind} } grep { $_->{kind} =~ /Quota|Policy/ } @large], [('NetworkPolicy') x 3, 'ResourceQuota'], '... with quota and policies');
    ok(Manifests::named('ConfigMap', 'quidditch-config', @{$built{'overlays/staging'}}), 'staging: hybrid');
}
done_testing;
