# 626_k8s_rights.t: what a node without custom resources, or without rights, says and does until it has them, by a real
# API server: what it prints is all that has to be applied. Two clusters in one namespace leave each other's objects
# alone; when the namespace is deleted their nodes go on serving and change nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use KubeServer;
use QdNode;
use Test::More;

KubeServer->skip_unless_built;
my $kube = KubeServer->new('rights')->start;
my $space = 'search';
$kube->post('/api/v1/namespaces', {metadata => {name => $space}});
$kube->post("/api/v1/namespaces/$space/serviceaccounts", {metadata => {name => $_}}) for qw(first second);
my %account = map { $_ => $kube->account($space, $_) } qw(first second);
my $path = "/apis/quidditch.io/v1/namespaces/$space";

sub node {
    my ($name, $cluster, $account) = @_;
    return QdNode->new($name, settings => {
        'cluster.name' => $cluster, 'metrics.port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false',
        'coordination.mode' => 'k8s-native', 'coordination.k8s.kubeconfig' => $account{$account}{kubeconfig},
    });
}
sub says {
    my ($n, $pattern, $what) = @_;
    ok($n->wait_for(sub { $n->log_text =~ $pattern }, 90), $what) or diag $n->log_text;
}
# The Role that a node printed last, by the part of it that printed: its lines as they are.
sub printed {
    my ($n, $part) = @_;
    my $text = join '', map { /\Q$part\E: (.*)$/ ? "$1\n" : () } split /\n/, $n->log_text;
    my @roles = $text =~ /^(apiVersion: rbac.*\nkind: Role\nmetadata:\n(?:  .*\n)+rules:\n(?:  .*\n)+)/mg;
    return $roles[-1] // '';
}
# Applies a Role as printed, bound to an account.
sub grant {
    my ($yaml, $account) = @_;
    my ($role) = $yaml =~ /^  name: (\S+)/m;
    my $file = "$kube->{dir}/role.yaml";
    open my $f, '>', $file or die "$file: $!";
    print $f $yaml;
    close $f;
    my ($status, $out) = $kube->kubectl('apply', '-f', $file);
    is($status, 0, "the Role as printed is applied") or diag "$yaml$out";
    my $r = $kube->post("/apis/rbac.authorization.k8s.io/v1/namespaces/$space/rolebindings", {
        metadata => {name => "$role-$account"}, roleRef => {apiGroup => 'rbac.authorization.k8s.io', kind => 'Role', name => $role},
        subjects => [{kind => 'ServiceAccount', name => $account, namespace => $space}],
    });
    is($r->{status}, 201, '... and bound');
}

# --- nothing is there -------------------------------------------------------------------------------------------
my $n = node('k0', 'quidditch', 'first');
$n->launch;
says($n, qr/the Kubernetes API server refuses .* in namespace search/, 'a node without rights says what is refused');
says($n, qr/quidditchstates\.quidditch\.io: "get", "list", "watch", "create", "update", "patch", "delete" is not granted/, '... every verb, of states');
says($n, qr/leases\.coordination\.k8s\.io: "get", "list", "watch", "create", "update" is not granted/, '... and of leases');
my $r = $n->put('/books?master_timeout=1s', {});
is($r->{status}, 503, '... what needs the state is refused');
my $state = printed($n, 'Kubernetes API');
grant($state, 'first');
says($n, qr/does not know the kind QuidditchState.*kubectl apply -f deploy\/crds/, 'without the kinds it says what to apply');
$kube->install_crds;
ok(started($n), 'then it starts') or BAIL_OUT('it does not start');
ok($n->wait_for(sub { $n->put('/books', {settings => {number_of_replicas => 0}})->{status} == 200 }, 60), '... and makes an index');
says($n, qr/custom resources: .*rights are missing: kubectl apply -f deploy\/rbac\/projections\.yaml/, 'the rights for indices with kubectl are missing as well');
is($kube->get("$path/quidditchindices")->{json}{items}[0], undef, '... so none are shown');
my $objects = printed($n, 'custom resources');
grant($objects, 'first');
ok($n->wait_for(sub { $kube->get("$path/quidditchindices/books")->{status} == 200 }, 100), '... until they are granted');

# --- another cluster in the namespace ---------------------------------------------------------------------------
grant($_, 'second') for $state, $objects;
my $other = node('o0', 'other', 'second');
start_all($other);
sub objects {
    my ($cluster) = @_;
    my @all = @{$kube->get("$path/quidditchindices")->{json}{items}};
    return {map { ($_->{spec}{indexName} // $_->{metadata}{name}) => $_ } grep { ($_->{spec}{clusterRef}{name} // 'quidditch') eq $cluster } @all};
}
ok($other->wait_for(sub { $other->put('/books', {settings => {number_of_replicas => 0, refresh_interval => '7s'}})->{status} == 200 }, 60), 'another cluster has an index of the same name');
ok($other->wait_for(sub { my $o = objects('other')->{books}; $o && ($o->{status}{health} // '') eq 'green' }, 60), '... with an object of its own');
my ($mine, $theirs) = (objects('quidditch')->{books}, objects('other')->{books});
is($mine->{metadata}{name}, 'books', 'the first one has the plain name');
like($theirs->{metadata}{name}, qr/^books-[0-9a-f]{10}$/, '... the other one another');
isnt($mine->{status}{uuid}, $theirs->{status}{uuid}, '... each of its own index');
is($kube->get("/apis/coordination.k8s.io/v1/namespaces/$space/leases/$_")->{status}, 200, "lease $_") for qw(quidditch-leader other-leader);
$r = $kube->post("$path/quidditchindices", {apiVersion => 'quidditch.io/v1', kind => 'QuidditchIndex', metadata => {name => 'of-other'},
    spec => {indexName => "b\x{fc}cher", clusterRef => {name => 'other'}, replicas => 0, deletionPolicy => 'Delete'}});
is($r->{status}, 201, 'an object of the other cluster, of an index whose name is no label') or diag $r->{content};
ok($other->wait_for(sub { ($kube->get("$path/quidditchindices/of-other")->{json}{status}{health} // '') eq 'green' }, 60), '... makes its index');
is($other->get('/b%C3%BCcher')->{status}, 200, '... there');
is($n->get('/b%C3%BCcher')->{status}, 404, '... and not here');
is($n->delete('/books')->{status}, 200, 'an index goes in one of them');
ok($n->wait_for(sub { $kube->get("$path/quidditchindices/books")->{status} == 404 }, 60), '... with its object');
is(objects('other')->{books}{metadata}{uid}, $theirs->{metadata}{uid}, '... the other one\'s is as it was');
is($other->put('/books/_doc/1', {title => 'x'})->{status}, 201, '... and its index');

# --- absurd wishes ----------------------------------------------------------------------------------------------
my %wrong = (
    slash => {indexName => 'a/b', }, upper => {indexName => 'Books'}, long => {indexName => "\x{1f418}" x 255}, many => {shards => 1024, replicas => 2000000000},
    types => {mappings => {properties => {a => 7}}}, deep => {settings => {a => {b => {c => {d => [{e => 1}]}}}}}, alias => {aliases => {'*' => {}}},
);
$kube->post("$path/quidditchindices", {apiVersion => 'quidditch.io/v1', kind => 'QuidditchIndex', metadata => {name => "wrong-$_"}, spec => $wrong{$_}}) for sort keys %wrong;
# names with a NUL, and what is too deep, which no node can hold
my %raw = (nul => '{"mappings":{"a\\u0000b":{"x":"y\\u0000z"}}}', deep => '{"mappings":' . ('{"a":' x 3000) . '1' . ('}' x 3000) . '}');
is($kube->post("$path/quidditchindices", qq({"apiVersion":"quidditch.io/v1","kind":"QuidditchIndex","metadata":{"name":"wrong-raw-$_"},"spec":$raw{$_}}))->{status}, 201, "$_: the API server takes it") for sort keys %raw;
for my $name (sort keys %raw) {
    ok($n->wait_for(sub { $kube->get("$path/quidditchindices/wrong-raw-$name")->{content} =~ /"reason":"Unreadable"/ }, 60), "$name: ... and its status says what it is");
}
for my $name (sort keys %wrong) {
    my $c;
    ok($n->wait_for(sub { ($c) = grep { $_->{type} eq 'Accepted' } @{$kube->get("$path/quidditchindices/wrong-$name")->{json}{status}{conditions} || []} }, 60), "$name is judged");
    ok($c->{status} eq 'False' && length $c->{message} > 10, "... refused in words");
}
$r = $kube->post("$path/quidditchindices", {apiVersion => 'quidditch.io/v1', kind => 'QuidditchIndex', metadata => {name => 'after'}, spec => {replicas => 0}});
ok($n->wait_for(sub { ($kube->get("$path/quidditchindices/after")->{json}{status}{health} // '') eq 'green' }, 60), 'what is right is made among them');

# --- rights that are taken away ---------------------------------------------------------------------------------
my $bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/$space/rolebindings";
my ($binding) = grep { $_->{metadata}{name} =~ /projections.*-first$/ } @{$kube->get($bindings)->{json}{items}};
$kube->delete("$bindings/$binding->{metadata}{name}");
my $before = () = $n->log_text =~ /rights are missing/g;
ok($n->wait_for(sub { $n->put('/hidden-' . time, {settings => {number_of_replicas => 0}}); (() = $n->log_text =~ /rights are missing/g) > $before }, 60), 'rights for objects that are taken away are told');
is($n->put('/unseen', {settings => {number_of_replicas => 0}})->{status}, 200, '... while the state goes on changing');
$before = $n->log_text =~ tr/\n//;
delete $binding->{metadata}{$_} for qw(uid resourceVersion creationTimestamp);
is($kube->post($bindings, $binding)->{status}, 201, '... granted again');
ok($n->wait_for(sub { my $r = $kube->get("$path/quidditchindices/unseen"); $r->{status} == 200 && ($r->{json}{status}{health} // '') eq 'green' }, 60), '... objects follow');
cmp_ok(($n->log_text =~ tr/\n//) - $before, '<', 20, '... and the log is not filled');

# --- the namespace goes -----------------------------------------------------------------------------------------
is($n->put('/after/_doc/1', {title => 'x'})->{status}, 201, 'a document');
$kube->end_namespace($space);
says($_, qr/the root object of the cluster's state is gone: nothing is made in its place; no changes until this node is started again/, "$_->{name}: without the namespace a node says so") for $n, $other;
for my $node ([$n, 'after'], [$other, 'books']) {
    my ($one, $index) = @$node;
    is($one->get("/$index/_doc/1")->{json}{_source}{title}, 'x', "$one->{name} goes on serving");
    is($one->put("/$index/_doc/2", {title => 'y'})->{status}, 201, '... and writing');
    is($one->put('/more?master_timeout=1s', {})->{status}, 503, '... and changes nothing in the state');
}
for ($n, $other) { $_->signal('TERM') }
is($_->stop, 0, "$_->{name} ends") for $n, $other;
done_testing;
