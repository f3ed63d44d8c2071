# 630_k8s_faults.t: what happens to a real API server under a cluster whose state is in it: it is slow, it is killed in
# the middle of transactions, etcd forgets its history and has no room, rights are taken away, objects are deleted by
# a slip of kubectl. Documents are written and found all the time; changes of the state wait, or say why not; none is
# lost and none is done twice. ROUNDS: how often the server is killed (1).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;
use Time::HiRes qw(time);

KubeServer->skip_unless_built;
my $rounds = $ENV{ROUNDS} || 1;
my $kube = KubeServer->new('faults')->start;
my $account = $kube->install('quidditch');
my @relays = map { $kube->relay(as => $account) } 0 .. 2;
my %common = ('cluster.name' => 'quidditch', 'metrics.port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false', 'coordination.mode' => 'k8s-native');
my @nodes = map { QdNode->new("k$_", settings => {%common, 'coordination.k8s.kubeconfig' => $relays[$_]{kubeconfig}}) } 0 .. 2;
my $states = '/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates';
start_all(@nodes);
is(@{[same_told(\@nodes, qw(store.id leader.name cluster_uuid))]}, 1, 'they are one cluster');

sub root { return $kube->get("$states/quidditch")->{json} }
sub leader { my $name = root()->{spec}{leader}{name}; return (grep { $_->{name} eq $name } @nodes)[0] }
my $indices = 0;
# A change of the state by any of the nodes, tried until it is done.
sub changes {
    my ($what, $n) = @_;
    my $name = 'made-' . $indices++;
    my $r;
    my $from = time;
    ok(($n || $nodes[$indices % 3])->wait_for(sub {
        $r = ($n || $nodes[$indices % 3])->put("/$name?master_timeout=5s&timeout=5s", {settings => {number_of_shards => 1, number_of_replicas => 0}});
        $r->{status} == 200 || $r->{content} =~ /resource_already_exists/;
    }, 90), $what) or diag "$r->{status} $r->{content}";
    note(sprintf '%s: %.2f s', $what, time - $from);
}
my ($written, @failed) = (0);
sub write_some {
    my ($count) = @_;
    for (1 .. $count) {
        my $r = $nodes[$written % 3]->put("/docs/_doc/$written", {n => $written});
        $r->{status} == 201 ? $written++ : push @failed, error_of($r);
    }
}
is($nodes[0]->put('/docs', {settings => {number_of_shards => 3, number_of_replicas => 1}})->{status}, 200, 'an index');
ok($nodes[0]->wait_for(sub { ($nodes[0]->get('/_cluster/health')->{json}{status} // '') eq 'green' }, 90), 'all its copies are there');

# --- a slow API -------------------------------------------------------------------------------------------------
my $term = root()->{spec}{leader}{term};
$_->delay(200) for @relays;
changes("200 ms more for each request: a change by $_->{name}", $_) for @nodes;
write_some(20);
$_->delay(0) for @relays;
is(root()->{spec}{leader}{term}, $term, 'the leader stays');

# --- killed in the middle of transactions -----------------------------------------------------------------------
# Clients that change the state without a pause: one counts up a setting, whose index counts its changes; the others
# make indices. Each answer is written down.
my $dir = "$kube->{dir}/clients";
mkdir $dir;
is($nodes[0]->put('/counted', {settings => {number_of_shards => 1, number_of_replicas => 0}})->{status}, 200, 'an index whose changes are counted');
sub counted {
    my ($n) = @_;
    my $i = $n->get('/_cluster/state/metadata/counted')->{json}{metadata}{indices}{counted};
    return ($i->{settings_version}, $i->{settings}{index}{refresh_interval});
}
my ($version) = counted($nodes[0]);
sub client {
    my ($name, $change) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    my $run = 1;
    $SIG{TERM} = sub { $run = 0 };
    open my $log, '>', "$dir/$name" or POSIX::_exit(1);
    $log->autoflush(1);
    for (my $i = 1; $run; $i++) {
        my $r = $change->($i);
        my $what = $r->{status} == 200 ? 'done' : ($r->{json}{error}{type} // '') =~ /unknown/ || $r->{status} == 599 ? 'unknown' : 'refused';
        print $log "$i $what $r->{status} ", substr($r->{content}, 0, 200) =~ s/\s+/ /gr, "\n";
    }
    POSIX::_exit(0);
}
sub told { my ($name) = @_; return map { [split / /, $_, 4] } split /\n/, QdNode::slurp("$dir/$name") }
my $timeouts = 'master_timeout=2s&timeout=2s';
my @clients = client('counter', sub { $nodes[0]->put("/counted/_settings?$timeouts", {'index.refresh_interval' => "$_[0]s"}) });
push @clients, map { my $k = $_; client("maker$k", sub { $nodes[$k]->put("/each-$k-$_[0]?$timeouts", {settings => {number_of_shards => 1, number_of_replicas => 0}}) }) } 1, 2;
for my $round (1 .. $rounds) {
    my @before = map { scalar grep { $_->[1] eq 'done' } told($_) } qw(counter maker1 maker2);
    ok($nodes[0]->wait_for(sub { my $i = 0; !grep { my $b = $before[$i++]; scalar(grep { $_->[1] eq 'done' } told($_)) < $b + 5 } qw(counter maker1 maker2) }, 90), "round $round: changes are made");
    $kube->kill9;
    write_some(50);
    $kube->revive;
}
changes('afterwards changes are made');
kill 'TERM', @clients;
waitpid $_, 0 for @clients;
my %count;
$count{$_->[1]}++ for map { told($_) } qw(counter maker1 maker2);
note(join ', ', map { "$count{$_} $_" } sort keys %count);
my %by = (done => 0, unknown => 0, refused => 0);
$by{$_->[1]}++ for told('counter');
my ($now, $last) = counted($nodes[1]);
cmp_ok($now - $version, '>=', $by{done}, 'each acknowledged change of the setting was made');
cmp_ok($now - $version, '<=', $by{done} + $by{unknown}, '... once, and none that was refused') or diag join "\n", map { "@$_" } grep { $_->[1] ne 'done' } told('counter');
my %there = map { $_->{index} => 1 } @{$nodes[0]->get('/_cat/indices/each-*?format=json')->{json}};
for my $k (1, 2) {
    my @told = told("maker$k");
    is_deeply([grep { !$there{"each-$k-$_"} } map { $_->[0] } grep { $_->[1] eq 'done' } @told], [], "each index that client $k was told of is there");
    is_deeply([grep { $there{"each-$k-$_->[0]"} } grep { $_->[1] eq 'refused' } @told], [], '... and none that was refused');
}

# --- etcd forgets, and watches begin anew -----------------------------------------------------------------------
my $lead = leader();
my ($deaf) = grep { $nodes[$_] != $lead } 0 .. 2;
$relays[$deaf]->cut;
changes('one node hears nothing of the API: a change by the leader', $lead);
$kube->compact;
$kube->restart;
$relays[$deaf]->heal;
changes('with a history that is gone changes go on', $nodes[$deaf]);
changes('... by each', $lead);

# --- rights are taken away --------------------------------------------------------------------------------------
my $bindings = '/apis/rbac.authorization.k8s.io/v1/namespaces/quidditch/rolebindings';
my ($binding) = grep { $_->{subjects}[0]{name} eq $account->{name} } @{$kube->get($bindings)->{json}{items}};
is($kube->delete("$bindings/$binding->{metadata}{name}")->{status}, 200, 'the rights are taken away');
my ($r, $try) = (undef, 0); # each try of its own: the first ones may come before the rights are gone
ok($nodes[0]->wait_for(sub { $r = $nodes[0]->put('/not-now-' . ++$try . '?master_timeout=1s&timeout=1s', {}); $r->{status} == 503 }, 60), 'the state does not change') or diag $r->{content};
write_some(20);
ok($nodes[0]->wait_for(sub { grep { $_->log_text =~ /quidditchstates.*\n(?:.*\n)*?.*verbs/ } @nodes }, 60), 'the log has what to grant');
delete @{$binding->{metadata}}{qw(uid resourceVersion creationTimestamp managedFields)};
is($kube->post($bindings, $binding)->{status}, 201, 'they are given back');
changes('... and changes are made');

# --- kubectl deletes by a slip ----------------------------------------------------------------------------------
is(($kube->kubectl('delete', 'lease', 'quidditch-leader', '-n', 'quidditch'))[0], 0, 'the lease is deleted');
changes('changes go on');
ok($nodes[0]->wait_for(sub { $kube->get('/apis/coordination.k8s.io/v1/namespaces/quidditch/leases/quidditch-leader')->{status} == 200 }, 60), 'it comes back');
my $uid = root()->{metadata}{uid};
is(($kube->kubectl('delete', 'qstate', '--all', '--wait=false', '-n', 'quidditch'))[0], 0, 'all objects of the state are deleted');
changes('changes go on');
write_some(20);
is(root()->{metadata}{uid}, $uid, 'the root is still there');
is(grep({ $_->log_text =~ /was deleted/ } @nodes) > 0, 1, 'the log tells');
$_->signal('TERM') for @nodes;
is($_->stop, 0, "$_->{name} ends") for @nodes;
start_all(@nodes);
is($nodes[1]->get("/made-" . ($indices - 1))->{status}, 200, 'after a new start all is there');
changes('... and can be changed');

# --- etcd has no room -------------------------------------------------------------------------------------------
$kube->fill;
ok($nodes[0]->wait_for(sub { $r = $nodes[0]->put('/no-room?master_timeout=1s&timeout=1s', {}); $r->{status} == 503 }, 60), 'etcd has no room: the state does not change') or diag $r->{content};
write_some(20);
$kube->make_room;
changes('with room it does');

# --- the namespace goes -----------------------------------------------------------------------------------------
$kube->end_namespace('quidditch');
is_deeply($kube->get($states)->{json}{items}, [], 'with its namespace the state goes');
ok($nodes[0]->wait_for(sub { $r = $nodes[0]->put('/nowhere?master_timeout=1s&timeout=1s', {}); $r->{content} =~ /is gone: nothing is made in its place/ }, 60), 'nothing is changed any more, as is told') or diag $r->{content};
write_some(20);
ok((grep { $_->log_text =~ /the namespace quidditch is being deleted/ } @nodes), 'the log tells');

is_deeply(\@failed, [], 'no document was refused at any time');
$nodes[0]->post('/docs/_refresh');
is($nodes[0]->get('/docs/_count')->{json}{count}, $written, 'all are there');
$_->signal('TERM') for @nodes;
is($_->stop, 0, "$_->{name} ends") for @nodes;
done_testing;
