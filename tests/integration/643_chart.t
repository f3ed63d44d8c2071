#!/usr/bin/perl
# 643_chart.t: the chart deploy/helm/quidditch: lint, what `helm template` makes of a matrix of values (charts/*.txt;
# QD_GOLDEN=write writes them anew), combinations that end with a sentence. What is rendered is held against the
# product: each environment passes `quidditchd --check-config`, variables and ports are its own.
use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use lib "$FindBin::Bin/lib";
use Helm;
use Manifests;
use POSIX ();
use QdNode;
use Test::More;
use Time::HiRes qw(time);

Manifests->skip_unless_parsed;
Helm->skip_unless_there;
my $top = QdNode::top();
my $dir = tempdir('qd-chart-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my %known = Manifests::variables();
my ($chart) = Manifests::objects("$top/deploy/helm/quidditch/Chart.yaml");
my ($version) = QdNode::slurp("$top/Makefile") =~ /^VERSION := (\S+)/m;
is($chart->{appVersion}, $version, 'appVersion is that of the programs');
my ($status, $out) = Helm::run('lint', Helm::chart());
is($status, 0, 'helm lint') or diag $out;
unlike($out, qr/\[(WARNING|ERROR)\]/, '... without warnings');

# --- the values of the deployment guides, and more ----------------------------------------------------------------
my $custom = "$dir/custom.yaml";
open my $f, '>', $custom or die;
print $f <<'END';
master:
  enabled: true
  replicas: 3
  resources:
    requests:
      memory: 4Gi
      cpu: 2
  storage:
    size: 50Gi
    storageClass: fast-ssd

coordination:
  replicas: 3
  k8sNative: false
  resources:
    requests:
      memory: 4Gi
      cpu: 2

data:
  replicas: 5
  resources:
    requests:
      memory: 16Gi
      cpu: 8
  storage:
    size: 500Gi
    storageClass: fast-ssd
END
close $f;
my %case = (
    default => [],
    masters => [qw(--set master.enabled=true --set master.replicas=3 --set coordination.replicas=3 --set data.replicas=5)],
    native => [qw(--set master.enabled=false --set coordination.k8sNative=true)],
    custom => ['-f', $custom],
    hybrid => ['--set', 'coordination.mode=auto'],
    raft => [qw(--set controlPlane.mode=raft --set controlPlane.raft.replicas=1 --set controlPlane.raft.resources.memory=1Gi --set controlPlane.raft.resources.cpu=1)],
    zones => [map { ('--set', $_) } 'zones={a,b}', 'data.replicas=4', 'master.enabled=true'],
    'to-masters' => [qw(--set controlPlane.migration=true)],
    'to-kubernetes' => [qw(--set master.enabled=true --set controlPlane.migration=true)],
    extras => [qw(--set networkPolicy.enabled=true --set ingress.enabled=true --set ingress.host=search.example.com --set ingress.tlsSecret=search-tls
        --set monitoring.serviceMonitor.enabled=true --set coordination.autoscaling.enabled=true --set coordination.service.type=ClusterIP
        --set image.registry=registry.example.com --set clusterName=books), '--set-json', 'settings={"search.max_buckets":20000,"http.cors.enabled":true}'],
);
my %rendered;
for my $name (sort keys %case) {
    my $from = time;
    my ($rc, $text) = Helm::template('quidditch', @{$case{$name}});
    my $took = time - $from;
    is($rc, 0, "$name: helm template") or diag($text), next;
    cmp_ok($took, '<', 1, '... within a second') if $ENV{QD_TIMED};
    my @objects = @{$rendered{$name} = [Manifests::parse($text)]};
    golden($name, @objects);
    for my $w (grep { Manifests::pod($_) } @objects) {
        my $pod = Manifests::pod($w);
        my $c = $pod->{spec}{containers}[0];
        my $is = "$name: $w->{metadata}{name}";
        is_deeply([grep { !$known{$_} && !$known{s/[^.]+$//r} } map { $_->{name} } @{$c->{env}}], [], "$is: each variable is read");
        my %seen;
        is_deeply([grep { $seen{$_->{name}}++ } @{$c->{env}}], [], '... and there once');
        my %env = (Manifests::environment($pod, name => "$w->{metadata}{name}-0", ip => '127.0.0.1'), QUIDDITCH_ROLE => $c->{image} =~ m{([\w-]+):[^/]+$});
        if ($pod->{spec}{automountServiceAccountToken}) {
            open my $t, '>', "$dir/token" or die;
            print $t "x\n";
            close $t;
            %env = (%env, KUBERNETES_SERVICE_HOST => '127.0.0.1', KUBERNETES_SERVICE_PORT => 1, 'coordination.k8s.token_file' => "$dir/token",
                'coordination.k8s.ca_file' => '/etc/ssl/certs/ca-certificates.crt');
        }
        my $said = check(%env);
        like($said, qr/^the settings are valid/m, '... its settings are valid') or diag $said;
        ok($c->{resources}{limits}{memory}, '... its memory has a limit');
        ok($pod->{spec}{securityContext}{runAsNonRoot} && $c->{securityContext}{readOnlyRootFilesystem}, '... no root');
    }
}
sub check {
    my (%env) = @_;
    my $pid = open(my $p, '-|') // die "fork: $!";
    if (!$pid) {
        %ENV = (PATH => $ENV{PATH}, %env);
        open STDERR, '>&', \*STDOUT;
        exec QdNode::daemon(), '--check-config' or POSIX::_exit(127);
    }
    local $/;
    my $text = <$p>;
    close $p;
    return $text;
}

# One line an object, one a variable, one for what else tells pods apart.
sub golden {
    my ($name, @objects) = @_;
    my @lines;
    for my $o (sort { "$a->{kind} $a->{metadata}{name}" cmp "$b->{kind} $b->{metadata}{name}" } @objects) {
        my $s = $o->{spec} || {};
        my $keep = ($o->{metadata}{annotations} || {})->{'helm.sh/resource-policy'} || '';
        push @lines, join ' ', $o->{kind}, $o->{metadata}{name}, map({ "$_=$s->{$_}" } grep { defined $s->{$_} && !ref $s->{$_} } qw(type clusterIP replicas minAvailable maxUnavailable minReplicas maxReplicas)),
            map({ "$_->{name}:$_->{port}" } $o->{kind} eq 'Service' ? @{$s->{ports}} : ()), $keep ? "resource-policy=$keep" : (), $o->{data} ? "mode=$o->{data}{mode}" : ();
        my $pod = Manifests::pod($o) or next;
        my ($c, $p) = ($pod->{spec}{containers}[0], $pod->{spec});
        push @lines, "  image " . $c->{image} =~ s/:\Q$version\E$/:VERSION/r, '  account ' . ($p->{serviceAccountName} // 'none') . ($p->{automountServiceAccountToken} ? ', with its token' : ', without a token');
        push @lines, map { "  $_->{name}=" . ($_->{value} // "<$_->{valueFrom}{fieldRef}{fieldPath}>") } @{$c->{env}};
        push @lines, '  resources ' . join ' ', map { my $k = $_; map { "$k.$_=$c->{resources}{$k}{$_}" } sort keys %{$c->{resources}{$k} || {}} } qw(requests limits);
        push @lines, map { "  claim $_->{metadata}{name} $_->{spec}{resources}{requests}{storage} " . ($_->{spec}{storageClassName} // '(default)') } @{$s->{volumeClaimTemplates} || []};
        push @lines, map { "  node $_=$p->{nodeSelector}{$_}" } sort keys %{$p->{nodeSelector} || {}};
        my $apart = ($p->{affinity} || {})->{podAntiAffinity}{requiredDuringSchedulingIgnoredDuringExecution};
        push @lines, "  apart by $apart->[0]{topologyKey}" if $apart;
    }
    my $text = join "\n", @lines, '';
    my $file = "$top/tests/integration/charts/$name.txt";
    if (($ENV{QD_GOLDEN} || '') eq 'write') {
        open my $g, '>', $file or die "$file: $!";
        print $g $text;
        close $g;
    }
    is($text, -f $file ? QdNode::slurp($file) : '', "... as in charts/$name.txt");
}

# --- the same as the plain manifests --------------------------------------------------------------------------------
for my $pair (['masters', 'traditional', qw(master data)], ['native', 'kubernetes-native', qw(coordination data)]) {
    my ($name, $set, @roles) = @$pair;
    for my $role (@roles) {
        my $kind = $role eq 'coordination' ? 'Deployment' : 'StatefulSet';
        my $mine = Manifests::named($kind, "quidditch-$role", @{$rendered{$name}}) or next;
        my $plain = Manifests::named($kind, "quidditch-$role", Manifests::objects("$set/$role-" . lc($kind) . '.yaml'));
        my ($a, $b) = map { $_->{spec}{template}{spec} } $mine, $plain;
        is_deeply($a->{$_}, $b->{$_}, "$role of the chart and of $set: the same $_") for qw(securityContext affinity terminationGracePeriodSeconds);
        my ($x, $y) = map { $_->{containers}[0] } $a, $b;
        is_deeply($x->{$_}, $y->{$_}, "... $_") for qw(ports livenessProbe readinessProbe volumeMounts lifecycle securityContext);
        is_deeply([map { $_->{spec}{selector}, $_->{spec}{serviceName}, $_->{spec}{replicas} } $mine], [map { $_->{spec}{selector}, $_->{spec}{serviceName}, $_->{spec}{replicas} } $plain], '... selector and number');
    }
}
my %role = map { $_->{kind} => $_ } grep { $_->{kind} eq 'Role' } @{$rendered{hybrid}};
my ($plain) = grep { $_->{kind} eq 'Role' } Manifests::objects('hybrid/rbac.yaml');
is_deeply([sort map { "@{$_->{apiGroups}}/@{$_->{resources}}: @{$_->{verbs}}" } @{$role{Role}{rules}}], [sort map { "@{$_->{apiGroups}}/@{$_->{resources}}: @{$_->{verbs}}" } @{$plain->{rules}}], 'the same rights');
my @crds = grep { $_->{kind} eq 'CustomResourceDefinition' } @{$rendered{native}};
is_deeply([sort map { $_->{metadata}{name} } @crds], [sort map { $_->{metadata}{name} } map { Manifests::objects($_) } glob "'$top'/deploy/crds/*.yaml"], 'the kinds are those of deploy/crds');
is_deeply({map { $_->{metadata}{name} => $_->{spec} } @crds}, {map { $_->{metadata}{name} => $_->{spec} } map { Manifests::objects($_) } glob "'$top'/deploy/crds/*.yaml"}, '... field by field');
ok(!(grep { $_->{kind} =~ /^(CustomResourceDefinition|Role)$/ || Manifests::pod($_) && $_->{spec}{template}{spec}{automountServiceAccountToken} } @{$rendered{masters}}),
    'masters alone need no kinds, no rights and no token');

ok(!(grep { $_->{kind} =~ /^PersistentVolume/ || $_->{spec}{persistentVolumeClaimRetentionPolicy} } map { @$_ } values %rendered), 'no volume belongs to the release: claims outlive it');

# --- combinations that cannot be ------------------------------------------------------------------------------------
my @wrong = (
    ['master.enabled=true,coordination.k8sNative=true', qr/master\.enabled=true asks for masters and coordination\.k8sNative=true .*: give one of them/],
    ['master.enabled=true,controlPlane.mode=k8s', qr/master\.enabled=true asks for masters and controlPlane\.mode=k8s/],
    ['controlPlane.mode=raft,coordination.mode=k8s-native', qr/controlPlane\.mode=raft asks for masters/],
    ['controlPlane.mode=raft,master.enabled=false', qr/master\.enabled is false: leave one of them out/],
    ['coordination.k8sNative=false', qr/set master\.enabled=true, or leave/],
    ['coordination.mode=auto,controlPlane.mode=k8s', qr/coordination\.mode=auto leaves the choice/],
    ['zones={a,b}', qr/data\.replicas is 5 and cannot be divided among 2 zones/],
    ['ingress.enabled=true', qr/give ingress\.host/],
    ['serviceAccount.create=false', qr/give serviceAccount\.name/],
    ['coordination.autoscaling.enabled=true,coordination.autoscaling.minReplicas=30', qr/raise maxReplicas/],
    ['coordination.service.type=ClusterIP,coordination.service.loadBalancerSourceRanges={10.0.0.0/8}', qr/needs coordination\.service\.type=LoadBalancer/],
    ['settings.node\.name=x', qr/settings\.node\.name is set by the chart/],
    ['master.replica=3', qr/replica/],
    ['data.replicas=three', qr/data.replicas.*(?:integer|Invalid type)/s],
    ['controlPlane.mode=masters', qr/controlPlane.mode.*(?:auto|one of)/s],
    ['data.resources.limits.memory=1Gi', qr/data\.resources\.limits\.memory is 1Gi and data\.resources\.requests\.memory 16Gi: lower the request too/],
    ['data.resources.requests=null', qr/data\.resources has no memory.*give data\.resources\.requests\.memory/],
    ['coordination.resources.limits.cpu=500m', qr/coordination\.resources\.limits\.cpu is 500m and .* 2: lower the request too/],
    ['controlPlane.mode=raft,controlPlane.raft.resources.memory=1Gi,controlPlane.raft.resources.limits.memory=2Gi', qr/controlPlane\.raft\.resources has memory or cpu.*: give one of them/],
    ['monitoring.serviceMonitor.enabled=true,monitoring.serviceMonitor.scrapeTimeout=1m', qr/scrapeTimeout is 1m and interval 30s: lower scrapeTimeout/],
    ['data.storage.size=big', qr/data.storage.size/s],
    ['controlPlane.mode=raft,controlPlane.raft.enabled=false', qr/controlPlane\.raft\.enabled is false: leave one of them out/],
    ['coordination.mode=auto,coordination.k8sNative=false', qr/coordination\.k8sNative=false does not: leave one/],
    ['coordination.mode=auto,master.enabled=false,controlPlane.raft.enabled=true', qr/master\.enabled is false: leave one/],
    # of two values for one thing none is left aside in silence
    ['controlPlane.mode=raft,master.replicas=5', qr/master\.replicas is 5: set controlPlane\.raft\.replicas/],
    ['master.enabled=true,controlPlane.raft.replicas=5', qr/controlPlane\.raft\.replicas is 5: set master\.replicas/],
    ['master.enabled=true,controlPlane.raft.resources.memory=1Gi', qr/move controlPlane\.raft\.resources there/],
    ['controlPlane.mode=raft,controlPlane.raft.resources.cpu=1', qr/give controlPlane\.raft\.resources\.memory too/],
    ['data.resources.limits.memory=1000000', qr/data\.resources\.limits\.memory is 1000000 and .* 16Gi: lower/],
    ['settings.metrics\.port=9999', qr/settings\.metrics\.port is set by the chart/],
    ['zones={a},settings.node\.attr\.zone=b', qr/settings\.node\.attr\.zone is set by the chart/],
    ['zones={a},data.nodeSelector.topology\.kubernetes\.io/zone=b', qr/take it out of data\.nodeSelector/],
    ['zones={' . 'a' x 39 . '}', qr/52 characters at most: give a shorter fullnameOverride/],
    ['clusterName=a..b', qr/clusterName/],
    ['ingress.enabled=true,ingress.host=A.example.com:80', qr/ingress.host/],
    ['coordination.autoscaling.enabled=true,coordination.resources.requests.cpu=null', qr/give coordination\.resources\.requests\.cpu/],
    ['data.storage.storageClass=-', qr/data.storage.storageClass/],
    ['serviceAccount.name=A_b', qr/serviceAccount.name/],
    ['data.resources.claims[0].name=x', qr/claims is not allowed/],
);
for my $w (@wrong) {
    my ($rc, $text) = Helm::template('quidditch', '--set', $w->[0]);
    isnt($rc, 0, "$w->[0]: refused");
    like($text, $w->[1], '... with what to change');
}

for my $name ('1st', 'my.release') {
    my ($rc, $text) = Helm::template($name);
    isnt($rc, 0, "a release $name: refused");
    like($text, qr/\Q$name\E is no name of a Service.*give fullnameOverride/, '... with what to change');
    ($rc, $text) = Helm::template($name, '--set', 'fullnameOverride=search');
    is($rc, 0, '... taken with fullnameOverride') or diag $text;
}

# --- values that go together -----------------------------------------------------------------------------------------
sub rendered { my ($file, $values) = @_; my (undef, $text) = Helm::template('quidditch', '--set', $values, '--show-only', "templates/$file.yaml"); return Manifests::parse($text) }
for my $c (['cpu=1', {requests => {cpu => 1, memory => '16Gi'}, limits => {cpu => 1, memory => '16Gi'}}], ['memory=8Gi', {requests => {cpu => 8, memory => '8Gi'}, limits => {memory => '8Gi'}}]) {
    my $set = Manifests::named('StatefulSet', 'quidditch-data', rendered('data', "data.resources.$c->[0]"));
    is_deeply($set->{spec}{template}{spec}{containers}[0]{resources}, $c->[1], "data.resources.$c->[0]: the other stays, memory has a limit");
}
ok(Manifests::named('PodDisruptionBudget', 'quidditch-coordination-pdb', rendered('extras', 'coordination.replicas=1,coordination.autoscaling.enabled=true')), 'a budget where the autoscaler keeps more than one');
is((grep { $_->{kind} eq 'Ingress' } rendered('extras', 'ingress.enabled=true,ingress.host=*.example.com'))[0]{spec}{rules}[0]{host}, '*.example.com', 'an ingress for all names of a domain');
is((grep { $_->{kind} eq 'ServiceMonitor' } rendered('extras', 'monitoring.serviceMonitor.enabled=true'))[0]{spec}{jobLabel}, 'app', 'the job of the ServiceMonitor is the label app, quidditch, which the alerts ask for');
is(Manifests::named('StatefulSet', 'quidditch-data', rendered('data', 'data.annotations.prometheus\.io/scrape=off'))->{spec}{template}{metadata}{annotations}{'prometheus.io/scrape'}, 'off', "annotations of one's own go before the chart's");
for my $zones ('a,b', 'a,b,c') {
    my $pod = Manifests::named('StatefulSet', 'quidditch-master', rendered('master', "master.enabled=true,data.replicas=6,zones={$zones}"))->{spec}{template}{spec};
    my $apart = $pod->{affinity}{podAntiAffinity}{requiredDuringSchedulingIgnoredDuringExecution}[0]{topologyKey};
    my $spread = ($pod->{topologySpreadConstraints} || [])->[0]{topologyKey} // 'none';
    is("$apart $spread", $zones eq 'a,b' ? 'kubernetes.io/hostname topology.kubernetes.io/zone' : 'topology.kubernetes.io/zone none', "zones $zones: three masters find a place");
}

# --- budgets: a majority of the voters stays, whichever pods go --------------------------------------------------------
my %voters = (2 => 1, 3 => 3, 4 => 3, 5 => 5, 6 => 5, 7 => 5);
for my $n (sort keys %voters) {
    my (undef, $text) = Helm::template('quidditch', '--set', "master.enabled=true,master.replicas=$n", '--show-only', 'templates/extras.yaml');
    my $pdb = Manifests::named('PodDisruptionBudget', 'quidditch-master-pdb', Manifests::parse($text));
    is($n - $pdb->{spec}{minAvailable}, int($voters{$n} / 2), "$n masters: as many may go as leave a majority of $voters{$n} voters");
}

# --- the repository ---------------------------------------------------------------------------------------------------
SKIP: {
    local $ENV{HELM} = Helm::program();
    my $made = `'$top/deploy/helm/make-charts' '$dir/charts' $version 2>&1`;
    is($?, 0, 'make charts') or diag($made), skip 'no repository', 4;
    ok(-f "$dir/charts/quidditch-1.0.0.tgz" && -f "$dir/charts/index.yaml", '... a package and an index');
    my $port = QdNode::free_port();
    my $pid = fork // die;
    if (!$pid) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        exec 'python3', '-m', 'http.server', '--bind', '127.0.0.1', '--directory', "$dir/charts", $port or POSIX::_exit(127);
    }
    QdNode->wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) });
    for my $c (['repo', 'add', 'quidditch', "http://127.0.0.1:$port"], ['repo', 'update'], ['template', 'quidditch', 'quidditch/quidditch', '--version', '1.0.0', '--kube-version', '1.30.0', @{$case{masters}}]) {
        my ($rc, $text) = Helm::run(@$c);
        is($rc, 0, "helm @$c[0 .. 1] of a served folder") or diag $text;
    }
    kill 'TERM', $pid;
    waitpid $pid, 0;
}
done_testing;
