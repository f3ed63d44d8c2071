package KubeServer;
# KubeServer.pm: a real etcd and kube-apiserver for a test (tests/k8s), in a folder of their own on free
# ports, three seconds after `start`. Gone with the test, however that ends. Core modules only.
#
#   KubeServer->skip_unless_built;           # at the head of the test: leaves it, loudly
#   my $kube = KubeServer->new('state')->start;
#   my $r = $kube->get('/api/v1/namespaces');          # as the administrator: {status, content, json}
#   my $account = $kube->install('quidditch');         # CRDs, namespace, role, token: see below
#   $kube->get($path, as => $account);                 # as that service account
#   my $watch = $kube->watch("$path?watch=1"); my $event = $watch->next(5);
#   my ($status, $out) = $kube->kubectl('get', 'qidx', '-A');
#   $kube->kill9; $kube->revive; $kube->restart;       # the API server; or name another of its processes
#   $kube->freeze; $kube->thaw;
#   $kube->end_namespace('quidditch');
#   $kube->compact;                                    # etcd's history up to now
#   my $copy = $kube->backup; $kube->restore($copy);   # etcd as it was; server => 1: with a new API server over it
#   $kube->fill; $kube->make_room;                     # etcd takes no write any more; it does again
#   my @calls = $kube->audited(user => $account->{user}, verb => 'watch');
#   is_deeply($kube->role_use($account), {refused => [], unused => []});
#   my $link = $kube->relay(delay_ms => 200);          # a TcpRelay before the server, with ->{kubeconfig}
#
# For the programs under test: $kube->{minor} is 20 for 1.20; $kube->{kubeconfig} is the administrator's; an account has {namespace, user,
# token, kubeconfig, folder}, the folder with the three files that a pod finds mounted (token, ca.crt, namespace);
# $kube->{host}, {port} are what KUBERNETES_SERVICE_HOST and _PORT say in a pod.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp ();
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP ();
use QdNode;
use TcpRelay;
use Test::More ();
use Time::HiRes qw(time);

my $scripts = abs_path(dirname(__FILE__) . '/../../k8s');
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my ($bin, @servers);

# The folder of the binaries, or undef; waits for a build that is going on.
sub built {
    return $bin if defined $bin;
    chomp(my $folder = `'$scripts/build-kube' --have 2>/dev/null`);
    return $? == 0 ? $bin = $folder : undef;
}
sub skip_unless_built {
    return if built();
    my $why = 'SKIPPED: there is no kube-apiserver: tests/k8s/build-kube --api-only makes one';
    print STDERR "$why\n";
    Test::More::plan(skip_all => $why);
}

sub new {
    my ($class, $name) = @_;
    my $self = bless {name => $name, owner => $$}, $class;
    push @servers, $self;
    return $self;
}

# Starts both, ready when it returns. api_arguments: more for kube-apiserver. kubelets => 3: with controllers, scheduler and
# as many real nodes (root, and a network namespace of the test's own: see tests/long/Pods.pm).
sub start {
    my ($self, %o) = @_;
    built() or die "there is no kube-apiserver\n";
    my $dir = $self->{dir} = File::Temp::tempdir("qd-kube-$self->{name}-XXXXXX", TMPDIR => 1);
    my $ports = join ',', map { QdNode::free_port() } 1 .. 3; # nobody else's while a server is killed and started again
    # The guard behind kube-up takes all down when this pipe's other end is closed, with our death at the latest.
    pipe my $read, $self->{held} or die "pipe: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<&', $read or POSIX::_exit(127);
        open STDOUT, '>', '/dev/null';
        exec "$scripts/kube-up", ($o{kubelets} ? ('--kubelets', $o{kubelets}) : '--api-only'), '--guard', '--audit', '--proxy', '--ports', $ports, (map { ('--api-arg', $_) } @{$o{api_arguments} || []}), $dir
            or POSIX::_exit(127);
    }
    close $read;
    waitpid $pid, 0;
    die "kube-up failed\n" if $?;
    chomp(my $url = QdNode::slurp("$dir/server"));
    chomp($self->{token} = QdNode::slurp("$dir/admin.token"));
    chomp(my $proxy = QdNode::slurp("$dir/proxy.url"));
    ($self->{proxy_host}, $self->{proxy_port}) = $proxy =~ m{//(.*):(\d+)};
    @$self{qw(host port)} = $url =~ m{//(.*):(\d+)};
    $self->{minor} = $self->get('/version')->{json}{minor} =~ s/\D//gr;
    @$self{qw(url kubeconfig ca audit_from)} = ($url, "$dir/kubeconfig", "$dir/ca.crt", 0);
    return $self;
}

# Ends and removes all of it; the logs stay when the test has failed so far.
sub stop {
    my ($self) = @_;
    my $dir = delete $self->{dir} or return;
    delete $self->{http};
    local $ENV{KEEP_DIR} = Test::More->builder->is_passing ? 0 : 'logs';
    system("$scripts/kube-down", $dir) if -f "$dir/pids";
    if   ($ENV{KEEP_DIR}) { Test::More::diag("Kubernetes $self->{name}: logs kept in $dir") }
    else                  { remove_tree($dir) }
    delete $self->{held};
}

# --- faults -----------------------------------------------------------------------------------------------------
sub pid {
    my ($self, $name) = @_;
    $name ||= 'kube-apiserver';
    my ($pid) = QdNode::slurp("$self->{dir}/pids") =~ /^(\d+) \Q$name\E$/m or die "there is no $name\n";
    return $pid;
}
sub kill9 {
    my ($self, $name) = @_;
    my $pid = $self->pid($name);
    kill 'KILL', $pid;
    QdNode->wait_for(sub { !-e "/proc/$pid/exe" }) or die "$pid does not end\n";
}
# Starts it (or several) again on its port, ready when it returns.
sub revive {
    my ($self, @names) = @_;
    system("$scripts/kube-restart", $self->{dir}, @names ? @names : 'kube-apiserver') == 0 or die "kube-restart failed\n";
}
sub restart { my ($self, $name) = @_; $self->kill9($name); $self->revive($name // ()) }
# It has stood still, with all threads, when this returns.
sub freeze {
    my ($self, $name) = @_;
    my $pid = $self->pid($name);
    kill 'STOP', $pid;
    QdNode->wait_for(sub { !grep { QdNode::slurp($_) =~ /\) [^TtXZ] / } glob "/proc/$pid/task/*/stat" }) or die "$pid does not stand still\n";
}
sub thaw { my ($self, $name) = @_; kill 'CONT', $self->pid($name) }

# Removes etcd's history: older revisions can neither be listed nor, after a restart of the API server, be
# watched from. Returns etcd's revision.
sub compact {
    my ($self) = @_;
    my ($revision) = $self->etcdctl(qw(endpoint status -w json)) =~ /"revision":(\d+)/ or die "etcd does not say its revision\n";
    $self->etcdctl('compact', '--physical', $revision);
    return $revision;
}

# Fills etcd until it takes no write any more (its alarm NOSPACE), after a restart with a limit of 16 MiB.
sub fill {
    my ($self) = @_;
    $self->etcd_limit(16 << 20);
    my $big = {data => {text => 'x' x 900_000}};
    for my $i (1 .. 100) {
        my $r = $self->post('/api/v1/namespaces/default/configmaps', {metadata => {name => "full-$i"}, %$big});
        return if $r->{status} == 500 && $r->{content} =~ /database space exceeded/;
        die "configmaps: $r->{content}" if $r->{status} != 201;
    }
    die "etcd is not full\n";
}
# What was filled in goes, and the alarm ends.
sub make_room {
    my ($self) = @_;
    $self->etcd_limit(0);
    $self->etcdctl('alarm', 'disarm');
    $self->delete('/api/v1/namespaces/default/configmaps');
}
# etcd again with another limit, 0: its own.
sub etcd_limit {
    my ($self, $bytes) = @_;
    my $file = "$self->{dir}/etcd.cmd";
    (my $command = QdNode::slurp($file)) =~ s/--quota-backend-bytes \d+ //;
    open my $f, '>', $file or die "$file: $!";
    print $f $command, $bytes ? "--quota-backend-bytes $bytes " : '';
    close $f;
    $self->restart('etcd');
}
# A copy of all that etcd has, taken while it is stopped: its number. restore: etcd goes on from that copy; with a new
# API server over it, or with the one that runs, whose caches know what came later.
sub backup {
    my ($self) = @_;
    my $number = ++$self->{backups};
    $self->kill9('etcd');
    system('cp', '-a', "$self->{dir}/etcd", "$self->{dir}/etcd.$number") == 0 or die "cp: $?\n";
    $self->revive('etcd');
    return $number;
}
sub restore {
    my ($self, $number, %o) = @_;
    $self->kill9 if $o{server};
    $self->kill9('etcd');
    remove_tree("$self->{dir}/etcd");
    system('cp', '-a', "$self->{dir}/etcd.$number", "$self->{dir}/etcd") == 0 or die "cp: $?\n";
    $self->revive('etcd', $o{server} ? 'kube-apiserver' : ());
}
sub etcdctl {
    my ($self, @arguments) = @_;
    chomp(my $etcd = QdNode::slurp("$self->{dir}/etcd.url"));
    local $ENV{ETCDCTL_API} = 3;
    my $out = `'$bin/etcdctl' --endpoints '$etcd' @arguments 2>&1`;
    die "etcdctl @arguments: $out" if $?;
    return $out;
}

# A TcpRelay in front of the API server; its {kubeconfig} is the administrator's, or that of the account
# given as `as`, over the relay.
sub relay {
    my ($self, %o) = @_;
    my $account = delete $o{as};
    my $relay = TcpRelay->new($self->{host}, $self->{port}, %o);
    $relay->{kubeconfig} = "$self->{dir}/relay-$relay->{port}.kubeconfig";
    $self->write_kubeconfig($relay->{kubeconfig}, "https://$self->{host}:$relay->{port}", $account);
    return $relay;
}

# --- requests ---------------------------------------------------------------------------------------------------
# One request; options: as => account (without it: the administrator), type => content type.
sub request {
    my ($self, $method, $path, $body, %o) = @_;
    $self->{http} ||= HTTP::Tiny->new(timeout => 60, keep_alive => 1);
    my %request = (headers => {authorization => 'Bearer ' . ($o{as} ? $o{as}{token} : $self->{token})});
    if (defined $body) {
        $request{content} = ref $body ? $json->encode($body) : $body;
        $request{headers}{'content-type'} = $o{type} || ($method eq 'PATCH' ? 'application/merge-patch+json' : 'application/json');
    }
    my $r = $self->{http}->request($method, "http://$self->{proxy_host}:$self->{proxy_port}$path", \%request);
    $r->{json} = eval { $json->decode($r->{content}) } if ($r->{headers}{'content-type'} // '') =~ /json/;
    return $r;
}
sub get    { my ($self, $path, %o) = @_;        return $self->request('GET',    $path, undef, %o) }
sub delete { my ($self, $path, $body, %o) = @_; return $self->request('DELETE', $path, $body, %o) }
sub post   { my ($self, $path, $body, %o) = @_; return $self->request('POST',   $path, $body, %o) }
sub put    { my ($self, $path, $body, %o) = @_; return $self->request('PUT',    $path, $body, %o) }
sub patch  { my ($self, $path, $body, %o) = @_; return $self->request('PATCH',  $path, $body, %o) }

# Runs kubectl as the administrator: (status, output of both streams).
sub kubectl {
    my ($self, @arguments) = @_;
    open my $p, '-|', 'sh', '-c', 'exec "$0" "$@" 2>&1', "$bin/kubectl", '--kubeconfig', $self->{kubeconfig},
        '--cache-dir', "$self->{dir}/kubectl", @arguments or die "kubectl: $!";
    local $/;
    my $out = <$p>;
    close $p;
    return ($? >> 8, $out // '');
}

# A watch: events one by one, `next` gives undef after so many seconds or at its end; {status} of the answer.
sub watch {
    my ($self, $path, %o) = @_;
    my $token = $o{as} ? $o{as}{token} : $self->{token};
    my $socket = IO::Socket::INET->new(PeerAddr => $self->{proxy_host}, PeerPort => $self->{proxy_port}) or die "kubectl proxy: $@";
    print $socket "GET $path HTTP/1.0\r\nHost: $self->{proxy_host}:$self->{proxy_port}\r\nAuthorization: Bearer $token\r\n\r\n";
    my $watch = bless {socket => $socket, text => ''}, 'KubeServer::Watch';
    QdNode->wait_for(sub { $watch->fill(1); $watch->{ended} || $watch->{text} =~ s/\A(.*?)\r\n\r\n//s && ($watch->{head} = $1) }) or die 'no answer to a watch';
    ($watch->{status}) = ($watch->{head} || '') =~ m{^HTTP/\S+ (\d+)};
    return $watch;
}

# --- what was asked of it ---------------------------------------------------------------------------------------
# The API calls since the start or the last `forget_calls` that have these fields, each a name or a pattern:
# user, verb, group, resource, subresource, namespace, name, code, agent. A watch counts once.
sub calls {
    my ($self) = @_;
    my (@calls, %seen);
    for (split /\n/, substr(QdNode::slurp("$self->{dir}/audit.log"), $self->{audit_from})) {
        my $e = eval { $json->decode($_) } or next;    # a line that is just being written
        my $of = $e->{objectRef} or next;              # not an object: /version, /readyz
        next if $seen{$e->{auditID}}++;
        push @calls, {
            user => $e->{user}{username} // '', verb => $e->{verb}, group => $of->{apiGroup} // '', resource => $of->{resource} // '',
            subresource => $of->{subresource} // '', namespace => $of->{namespace} // '', name => $of->{name} // '',
            code => $e->{responseStatus}{code} // 0, agent => $e->{userAgent} // '', uri => $e->{requestURI},
        };
    }
    return @calls;
}
sub audited {
    my ($self, %want) = @_;
    return grep { my $c = $_; !grep { ref $want{$_} ? $c->{$_} !~ $want{$_} : $c->{$_} ne $want{$_} } keys %want } $self->calls;
}
# What an account's roles grant, beside what it has done since: {refused => [...], unused => [...]}, each
# "verb resource.group". What everybody may do (asking what one may) is neither.
sub role_use {
    my ($self, $account) = @_;
    my $roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/$account->{namespace}";
    my (%unused, %refused);
    for my $binding (@{$self->get("$roles/rolebindings")->{json}{items}}) {
        next unless grep { $_->{kind} eq 'ServiceAccount' && $_->{name} eq $account->{name} } @{$binding->{subjects}};
        for my $rule (@{$self->get("$roles/roles/$binding->{roleRef}{name}")->{json}{rules}}) {
            for my $group (@{$rule->{apiGroups}}) {
                for my $resource (@{$rule->{resources}}) { $unused{"$_ $resource.$group"} = 1 for @{$rule->{verbs}} }
            }
        }
    }
    for my $c (grep { $_->{group} ne 'authorization.k8s.io' } $self->audited(user => $account->{user})) {
        my $did = "$c->{verb} $c->{resource}" . ($c->{subresource} ? "/$c->{subresource}" : '') . ".$c->{group}";
        $refused{$did} = 1 if $c->{code} == 403;
        delete $unused{$did};
    }
    return {refused => [sort keys %refused], unused => [sort keys %unused]};
}
sub forget_calls { my ($self) = @_; $self->{audit_from} = -s "$self->{dir}/audit.log" || 0 }

# --- what a cluster needs ---------------------------------------------------------------------------------------
# deploy/crds applied and served; once is enough for a server.
sub install_crds {
    my ($self) = @_;
    my $crds = QdNode::top() . '/deploy/crds';
    my ($status, $out) = $self->kubectl('apply', '-f', $crds);
    die "kubectl apply: $out" if $status;
    ($status, $out) = $self->kubectl('wait', '--for=condition=Established', '--timeout=60s', '-f', $crds);
    die "kubectl wait: $out" if $status;
    for my $kind (map { m{/(\w+)\.yaml$} ? $1 : () } glob "$crds/*.yaml") {    # established is not served yet
        QdNode->wait_for(sub { $self->get("/apis/quidditch.io/v1/$kind")->{status} == 200 }) or die "$kind is not served\n";
    }
    remove_tree("$self->{dir}/kubectl");    # it remembers which kinds there are
    $self->{crds} = 1;
    return $self;
}
# The CRDs, a namespace, and in it the service account of deploy/rbac with only that role: its account.
# more => [files]: other files of deploy/rbac.
sub install {
    my ($self, $namespace, %o) = @_;
    $self->install_crds unless $self->{crds};
    my $r = $self->post('/api/v1/namespaces', {metadata => {name => $namespace}});
    die "namespace $namespace: $r->{content}" unless $r->{status} =~ /^(201|409)$/;
    for my $file ('coordination.yaml', @{$o{more} || []}) {
        my $text = QdNode::slurp(QdNode::top() . "/deploy/rbac/$file");
        $text =~ s/^(\s*namespace:) quidditch$/$1 $namespace/mg;
        my $copy = "$self->{dir}/$namespace-$file";
        open my $f, '>', $copy or die "$copy: $!";
        print $f $text;
        close $f;
        my ($status, $out) = $self->kubectl('apply', '-f', $copy);
        die "kubectl apply $file: $out" if $status;
    }
    return $self->account($namespace, 'quidditch-coordination');
}
# Deletes a namespace, and what is in it, as the controllers would that do not run here: nothing is created in it
# any more, its objects go, at last the roles and the service accounts.
sub end_namespace {
    my ($self, $namespace) = @_;
    my $r = $self->delete("/api/v1/namespaces/$namespace");
    die "namespace $namespace: $r->{content}" unless $r->{status} =~ /^2/;
    my %group = ('quidditch.io/v1' => [map { "quidditch$_" } qw(states indices shards clusters)], 'coordination.k8s.io/v1' => ['leases'],
        'rbac.authorization.k8s.io/v1' => [qw(rolebindings roles)]);
    for my $group (sort { $b =~ /quidditch/ <=> $a =~ /quidditch/ } sort keys %group) {
        my $from = "/apis/$group/namespaces/$namespace";
        $self->delete("$from/$_") for @{$group{$group}};
        # those with finalizers wait for who owns them, where somebody does
        QdNode->wait_for(sub { !grep { @{$self->get("$from/$_")->{json}{items} || []} } @{$group{$group}} }, 10);
    }
    $self->delete("/api/v1/namespaces/$namespace/serviceaccounts");
}
# A service account that exists, with a fresh token.
sub account {
    my ($self, $namespace, $name) = @_;
    my $r = $self->post("/api/v1/namespaces/$namespace/serviceaccounts/$name/token", {spec => {expirationSeconds => 86400}});
    die "token of $name: $r->{content}" unless $r->{status} == 201;
    my $folder = "$self->{dir}/$namespace-$name";
    my $account = {
        namespace => $namespace, name => $name, user => "system:serviceaccount:$namespace:$name", token => $r->{json}{status}{token},
        folder => $folder, kubeconfig => "$folder/kubeconfig",
    };
    mkdir $folder;
    my %files = (token => $account->{token}, namespace => $namespace, 'ca.crt' => QdNode::slurp($self->{ca}));
    for my $file (keys %files) {
        open my $f, '>', "$folder/.new" or die "$folder: $!";
        print $f $files{$file};
        close $f;
        rename "$folder/.new", "$folder/$file";
    }
    $self->write_kubeconfig($account->{kubeconfig}, $self->{url}, $account);
    return $account;
}
sub write_kubeconfig {
    my ($self, $file, $url, $account) = @_;
    my $user = $account ? {token => $account->{token}}
        : {'client-certificate' => "$self->{dir}/admin.crt", 'client-key' => "$self->{dir}/admin.key"};
    open my $f, '>', $file or die "$file: $!";
    print $f $json->encode({
        apiVersion => 'v1', kind => 'Config', 'current-context' => 'test',
        clusters => [{name => 'test', cluster => {server => $url, 'certificate-authority' => $self->{ca}}}],
        users => [{name => 'test', user => $user}],
        contexts => [{name => 'test', context => {cluster => 'test', user => 'test', namespace => $account ? $account->{namespace} : 'default'}}],
    });
    close $f;
}

END {
    my $status = $?;
    for (@servers) { $_->stop if $_->{owner} == $$ }
    $? = $status;
}

package KubeServer::Watch;
use IO::Select;

sub fill {
    my ($self, $seconds) = @_;
    return if $self->{ended} || !IO::Select->new($self->{socket})->can_read($seconds);
    my $n = sysread $self->{socket}, $self->{text}, 65536, length $self->{text};
    $self->{ended} = 1 unless $n;
}
sub next {
    my ($self, $seconds) = @_;
    my $end = Time::HiRes::time() + ($seconds || 30);
    while (1) {
        return $json->decode($1) if $self->{text} =~ s/\A([^\n]+)\n//;
        return undef if $self->{ended} || Time::HiRes::time() > $end;
        $self->fill(1);
    }
}

1;
