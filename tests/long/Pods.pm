package Pods;
# Pods.pm: a Kubernetes whose three nodes run the product's own images (tests/k8s: API server, controllers, scheduler,
# kubelets, containerd, kube-proxy; names and volumes of kube-addons), for parts of the long suite. It lives in a network
# namespace of its own, so that it meets nobody else's addresses and rules.
#
#   Pods->prepare;                          # first of all: leaves the test, loudly, where it cannot be; begins it anew in its network
#   my $k = Pods->start('pods');
#   $k->apply('traditional/namespace.yaml');                       # of deploy/manifests; with what these nodes have room for
#   $k->apply('traditional/data-statefulset.yaml', sub { my ($object) = @_; ... });
#   $k->ok_kubectl('rollout status statefulset/quidditch-data -n quidditch --timeout=300s');
#   my $r = $k->send('GET', '/_cluster/health');                   # by the address of the Service quidditch-coordination
#   my %pod = $k->pods('quidditch-data');                          # name => object
#   my @flows = $k->flows;                                         # "quidditch-data quidditch-coordination 9302": who, whom, port
#   my $use = $k->role_use;                                        # KubeServer's, of quidditch-coordination
use strict;
use warnings;
use File::Path qw(remove_tree);
use File::Temp ();
use HTTP::Tiny;
use JSON::PP ();
use KubeServer;
use Long;
use Manifests;
use POSIX ();
use QdNode;
use Test::More ();
use Time::HiRes qw(sleep time);

my $top = QdNode::top();
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub leave {
    my ($why) = @_;
    print STDERR "SKIPPED: $why\n";
    Test::More::plan(skip_all => "SKIPPED: $why");
}
sub prepare {
    if (!$ENV{QD_PODS_IMAGE}) {
        leave('root is needed for pods') if $> != 0;
        Manifests->skip_unless_parsed;
        leave('the parts of a Kubernetes cannot be built here') if system('tests/k8s/build-kube >/dev/null 2>&1') != 0;
        leave('mmdebstrap is not installed') if system('command -v mmdebstrap >/dev/null') != 0;
        leave('no network namespaces here') if system('unshare -n true') != 0;
        build('all') or die "no build\n";
        my ($version) = QdNode::slurp("$top/Makefile") =~ /^VERSION := (\S+)/m;
        my $out = `mkdir -p '$QdNode::OUT/pods' && deploy/docker/oci-layout '$QdNode::OUT/pods/images' $version 2>&1`;
        leave("no image can be built here: $out") if $?;
        $ENV{QD_PODS_IMAGE} = "$QdNode::OUT/pods/images.tar";
        exec 'unshare', '-n', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', $^X, $0 or die "unshare: $!";
    }
    die "only from Pods->prepare\n" if `ip -o link | grep -cv ' lo:'` > 0;
}

sub start {
    my ($class, $name) = @_;
    my $kube = KubeServer->new($name)->start(kubelets => 3);
    my $self = bless {kube => $kube, owner => $$, dir => File::Temp::tempdir("qd-$name-XXXXXX", TMPDIR => 1, CLEANUP => 1), pids => []}, $class;
    my $bin = KubeServer::built();
    for my $node (glob "$kube->{dir}/node-*") {
        my $out = `'$bin/ctr' -a '$node/containerd.sock' -n k8s.io images import '$ENV{QD_PODS_IMAGE}' 2>&1`;
        die "images: $out" if $?;
    }
    $self->follow('flows', 'conntrack', '-E', '-e', 'NEW', '-p', 'tcp');
    $self->follow('addresses', "$bin/kubectl", '--kubeconfig', $kube->{kubeconfig}, 'get', 'pods', '-A', '--watch', '--no-headers', '-o', 'custom-columns=A:.status.podIP,B:.metadata.labels.app');
    return $self;
}
sub follow { # what a command goes on to say, in a file
    my ($self, $name, @command) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$self->{dir}/$name";
        open STDERR, '>', "$self->{dir}/$name.err";
        exec @command or POSIX::_exit(127);
    }
    push @{$self->{pids}}, $pid;
}
sub stop {
    my ($self) = @_;
    return unless $self->{owner} == $$;
    kill 'KILL', @{$self->{pids}};
    waitpid $_, 0 for @{$self->{pids}};
    $self->{pids} = [];
    $self->{kube}->stop if $self->{kube};
}
sub DESTROY { local $?; $_[0]->stop }

# --- kubectl -----------------------------------------------------------------------------------------------------------
sub kubectl { my ($self, $line) = @_; return $self->{kube}->kubectl(ref $line ? @$line : split ' ', $line) }
sub ok_kubectl {
    my ($self, $line) = @_;
    my $from = time;
    my ($rc, $out) = $self->kubectl($line);
    Test::More::is($rc, 0, sprintf 'kubectl %s (%.0f s)', ref $line ? "@$line" : $line, time - $from) or $self->explain($out);
    return $out;
}
sub explain { # what a reader wants to know when something did not come
    my ($self, @said) = @_;
    Test::More::diag(@said, "\n", ($self->kubectl('get pods,pvc,svc,endpoints -n quidditch -o wide'))[1], ($self->kubectl('get events -n quidditch --sort-by=.lastTimestamp'))[1] =~ /((?:.*\n){0,25})\z/);
    for my $pod (map { {$self->pods($_)} } qw(quidditch-master quidditch-coordination quidditch-data)) {
        for my $name (sort keys %$pod) { Test::More::diag("--- $name\n", ($self->kubectl("logs -n quidditch $name --tail=12"))[1]) }
    }
}

# Objects of a file as they are there, but for what this API server and these nodes lack: requests that would fill them,
# limits that a node would plan with, and apiVersions that 1.20 does not know.
sub fitted {
    my ($self, @objects) = @_;
    for my $o (@objects) {
        $o->{apiVersion} = 'policy/v1beta1' if $o->{apiVersion} eq 'policy/v1' && $self->{kube}{minor} < 24;
        my $pod = Manifests::pod($o) or next;
        for my $c (@{$pod->{spec}{containers}}) { $c->{resources} = {requests => {cpu => '10m', memory => '64Mi'}, limits => {memory => '1Gi'}} }
    }
    return @objects;
}
sub apply {
    my ($self, $file, $change) = @_;
    local $YAML::XS::Boolean = 'JSON::PP'; # true stays true
    my @objects = $self->fitted(Manifests::objects($file));
    if ($change) { $change->($_) for @objects }
    my ($rc, $out) = $self->kubectl('apply -f ' . $self->write('apply.yaml', YAML::XS::Dump(@objects)));
    return Test::More::is($rc, 0, "kubectl apply -f $file") || Test::More::diag($out) && 0;
}
sub write {
    my ($self, $name, $text) = @_;
    open my $f, '>', "$self->{dir}/$name" or die "$name: $!";
    print $f $text;
    close $f;
    return "$self->{dir}/$name";
}
sub pods {
    my ($self, $app) = @_;
    my $list = $self->{kube}->get("/api/v1/namespaces/quidditch/pods?labelSelector=app%3D$app")->{json}{items} || [];
    return map { $_->{metadata}{name} => $_ } @$list;
}
sub is_ready { my ($pod) = @_; return !$pod->{metadata}{deletionTimestamp} && grep { $_->{type} eq 'Ready' && $_->{status} eq 'True' } @{$pod->{status}{conditions}} }
# Waits until exactly so many pods of an app are there, and all are ready.
sub ready {
    my ($self, $app, $n, $seconds) = @_;
    my %pod;
    my $ok = QdNode->wait_for(sub { %pod = $self->pods($app); keys %pod == $n && !grep { !is_ready($_) } values %pod }, $seconds || 180, 0.2);
    Test::More::ok($ok, "$n ready pods of $app") or $self->explain;
}
sub exec_in { my ($self, $pod, @command) = @_; return $self->kubectl(['exec', '-n', 'quidditch', $pod, '--', @command]) }
sub logs { my ($self, $app) = @_; return ($self->kubectl("logs -n quidditch -l app=$app --tail=-1"))[1] }
sub restarts { # containers that a kubelet started again: none has a reason to
    my ($self) = @_;
    my @list = map { +{$self->pods($_)} } qw(quidditch-master quidditch-coordination quidditch-data);
    return [map { my $pods = $_; map { my $n = $_; map { $_->{restartCount} ? "$n $_->{restartCount}" : () } @{$pods->{$n}{status}{containerStatuses} || []} } sort keys %$pods } @list];
}

# --- the cluster ---------------------------------------------------------------------------------------------------------
sub url {
    my ($self) = @_;
    $self->{address} ||= $self->{kube}->get('/api/v1/namespaces/quidditch/services/quidditch-coordination')->{json}{spec}{clusterIP} || die "there is no Service quidditch-coordination\n";
    return "http://$self->{address}:9200";
}
sub send {
    my ($self, $method, $path, $body) = @_;
    $self->{http} ||= HTTP::Tiny->new(timeout => 60, keep_alive => 0);
    my %o = defined $body ? (content => ref $body ? $json->encode($body) : $body, headers => {'content-type' => $path =~ /_bulk/ ? 'application/x-ndjson' : 'application/json'}) : ();
    my $r = $self->{http}->request($method, $self->url . $path, \%o);
    $r->{json} = eval { $json->decode($r->{content}) };
    return $r;
}
sub until_answer { # what a GET is to answer, as its JSON
    my ($self, $what, $path, $condition, $seconds) = @_;
    my $r;
    my $ok = QdNode->wait_for(sub { $r = $self->send('GET', $path); $r->{json} && $condition->($r->{json}) }, $seconds || 120, 0.2);
    Test::More::ok($ok, $what) or $self->explain("$path: $r->{status} $r->{content}");
    return $r->{json};
}
sub green { my ($self, $nodes) = @_; return $self->until_answer("$nodes nodes, green", '/_cluster/health', sub { $_[0]{status} eq 'green' && $_[0]{number_of_nodes} == $nodes && !$_[0]{relocating_shards} }, 240) }
sub store { my ($self, $kind, $seconds) = @_; return $self->until_answer("the state is in $kind", '/_cluster/coordination', sub { ($_[0]{store}{kind} // '') eq $kind }, $seconds || 240) }

# --- what was done ---------------------------------------------------------------------------------------------------
sub role_use { my ($self) = @_; return $self->{kube}->role_use({namespace => 'quidditch', name => 'quidditch-coordination', user => 'system:serviceaccount:quidditch:quidditch-coordination'}) }
# Connections between pods and from other hosts ('', as a client or a kubelet), by the labels of who had the addresses.
sub flows {
    my ($self) = @_;
    my (%app, %seen);
    for (split /\n/, QdNode::slurp("$self->{dir}/addresses")) { $app{$1} = $2 if /^(10\.244\.\S+)\s+(\S+)/ }
    for (split /\n/, QdNode::slurp("$self->{dir}/flows")) {
        my ($from, $to, $port) = /\bsrc=(\S+) .*\[UNREPLIED\] src=(\S+) dst=\S+ sport=(\d+)/ or next;
        next unless $to =~ /^10\.244\./ || $from =~ /^10\.244\./;
        $seen{join ' ', map({ $app{$_} // (/^10\.244\.\d+\.1$/ ? 'host' : /^10\.244\./ ? "unknown-$_" : 'host') } $from, $to), $to =~ /^10\.244\./ ? $port : 'api'}++;
    }
    return \%seen;
}
# Objects of kind NetworkPolicy against the connections that were made: {refused => [...], unused => [...]}, each "who whom
# port" by the label app, among the ports between nodes; 9303 is what the guide's commands look at by hand.
sub policies {
    my ($self, @objects) = @_;
    my ($seen, %allowed) = $self->flows;
    for my $np (grep { $_->{kind} eq 'NetworkPolicy' } @objects) {
        my $to = $np->{spec}{podSelector}{matchLabels}{app};
        for my $rule (@{$np->{spec}{ingress}}) {
            my ($of) = map { ($_->{podSelector} || {})->{matchExpressions} // () } @{$rule->{from} || []};
            for my $port (map { $_->{port} } @{$rule->{ports}}) { $allowed{"$_ $to $port"} = 1 for $of ? @{$of->[0]{values}} : '*' }
        }
    }
    my @refused = grep { my ($from, $to, $port) = split ' '; $to =~ /^quidditch-/ && $from ne 'host' && !$allowed{$_} && !$allowed{"* $to $port"} } sort keys %$seen;
    return {refused => \@refused, unused => [grep { / 93\d\d$/ && !/ 9303$/ && !$seen->{$_} } sort keys %allowed]};
}
1;
