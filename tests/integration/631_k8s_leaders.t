# 631_k8s_leaders.t: leaders that two could be, over a real API server. Three clusters in one namespace, each of two
# control nodes whose clocks are hours apart, lose their leader's voice at the same moment: of one it stands still, of
# one it hears the API no more and is heard by the others, of one it is the reverse. Whoever leads then, what was
# acknowledged is there, what the former leader is told to change it does not change by itself, and they are one
# cluster again afterwards.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use JSON::PP ();
use KubeServer;
use QdNode;
use TcpRelay;
use Test::More;
use Time::HiRes qw(time);
use Timed;

KubeServer->skip_unless_built;
my ($faketime) = grep { -e } glob '/usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1';
my $kube = KubeServer->new('leaders')->start;
my $account = $kube->install('quidditch');
my @names = qw(frozen deaf alone);
my (%nodes, %api, %link);
for my $name (@names) {
    for my $i (0, 1) {
        my $api = $kube->relay(as => $account);
        my $n = QdNode->new("$name$i");
        # what other nodes send to this one passes a link that can be cut
        my $link = TcpRelay->new('127.0.0.1', $n->{transport});
        $n->{settings} = {
            'cluster.name' => $name, 'metrics.port' => -1, 'transport.rpc_port' => -1, 'transport.publish_port' => $link->{port},
            'cluster.routing.allocation.disk.threshold_enabled' => 'false', 'coordination.mode' => 'k8s-native',
            'coordination.k8s.kubeconfig' => $api->{kubeconfig}, 'coordination.k8s.namespace' => 'quidditch',
        };
        $n->{env} = {LD_PRELOAD => $faketime, FAKETIME => $i ? '+6h' : '+1h', FAKETIME_DONT_FAKE_MONOTONIC => 1, FAKETIME_FORCE_MONOTONIC_FIX => 0} if $faketime;
        ($nodes{$name}[$i], $api{$n->{name}}, $link{$n->{name}}) = ($n, $api, $link);
    }
}
sub root { my ($name) = @_; return $kube->get("/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates/$name")->{json}{spec} }
# (who leads, the other one), by the root.
sub leader {
    my ($name) = @_;
    my $leads = root($name)->{leader}{name};
    return sort { ($b->{name} eq $leads) <=> ($a->{name} eq $leads) } @{$nodes{$name}};
}
sub put_index { my ($n, $index, $seconds) = @_; return $n->put("/$index?master_timeout=${seconds}s&timeout=${seconds}s", {settings => {number_of_shards => 1, number_of_replicas => 0}}) }
# The longest that a change took to be acknowledged while the silent node was of the cluster still.
sub acknowledged_within {
    my ($n) = @_;
    my $most;
    $n->wait_for(sub {
        my $from = time;
        my $done = $n->put('/_index_template/t', {index_patterns => ['zz'], version => int($from)})->{status} == 200;
        my $took = time - $from;
        my $there = ($n->get('/_cluster/health')->{json}{number_of_nodes} // 0) == 2;
        $most = $took if $done && $there && (!defined $most || $took > $most);
        return !$there;
    }, 30);
    return $most;
}
sub same { my ($name) = @_; return same_told($nodes{$name}, qw(store.id leader.name leader.term cluster_uuid)) }

start_all(map { @$_ } @nodes{@names});
is(@{[same($_)]}, 1, "$_: one cluster") for @names;
SKIP: {
    skip 'LOUD: there is no libfaketime (package faketime)', 1 unless $faketime;
    my @clock = map { (values %{$_->get('/_nodes/_local/stats/os')->{json}{nodes}})[0]{timestamp} / 1000 - time } @{$nodes{frozen}};
    ok(abs($clock[0] - 3600) < 600 && abs($clock[1] - 6 * 3600) < 600, 'their clocks are five hours apart') or diag "@clock";
}
my (%old, %new, %term);
for my $name (@names) {
    ($old{$name}, $new{$name}) = leader($name);
    $term{$name} = root($name)->{leader}{term};
    is(put_index($new{$name}, 'before', 30)->{status}, 200, "$name: an index before");
}
is(root($_)->{leader}{term}, $term{$_}, "$_: no clock deposes a leader") for @names;

# --- the leaders fall silent ------------------------------------------------------------------------------------
my $began = time;
$old{frozen}->signal('STOP');
$api{$old{deaf}{name}}->hang;
$link{$_->{name}}->cut for @{$nodes{alone}};
# of the deaf and the frozen one another node takes over when the lease has not changed for 15 s
for my $name (qw(frozen deaf)) {
    ok($new{$name}->wait_for(sub { root($name)->{leader}{name} eq $new{$name}{name} }, 60), "$name: another one leads");
    note(sprintf '%s: %.1f s', $name, time - $began);
    if ($name eq 'frozen') { # it was lost long ago: to wait for it anew takes two seconds each time
        within(scalar acknowledged_within($new{$name}), 1.5, 30, '... and no change waits for the silent one, which is of the cluster still');
    }
    my $r;
    ok($new{$name}->wait_for(sub { $r = put_index($new{$name}, 'after', 5); $r->{status} == 200 || $r->{content} =~ /already_exists/ }, 60), '... and changes the state') or diag $r->{content};
}
# who hears the API and nobody else goes on leading: the root is all that counts
is(root('alone')->{leader}{name}, $old{alone}{name}, 'alone: who hears the API alone goes on leading');
is(root('alone')->{leader}{term}, $term{alone}, '... undisputed');
is(put_index($old{alone}, 'after', 30)->{status}, 200, '... and changes the state');

# --- they are heard again, and were asked for changes meanwhile --------------------------------------------------
my %asked;
for my $name (qw(frozen deaf)) { # what is asked of a former leader that knows nothing of its successor
    my $s = $asked{$name} = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $old{$name}{port}) or die "$name: $!";
    my $body = '{"settings":{"number_of_shards":1,"number_of_replicas":0}}';
    print $s "PUT /late?master_timeout=20s&timeout=20s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    $s->flush;
}
$old{frozen}->signal('CONT');
$api{$old{deaf}{name}}->heal;
$link{$_->{name}}->heal for @{$nodes{alone}};
for my $name (qw(frozen deaf)) {
    my $answer = do { local $/; readline $asked{$name} } // '';
    my ($status) = $answer =~ m{^HTTP/\S+ (\d+)};
    ok(defined $status, "$name: the former leader answers") or next;
    my $there = $new{$name}->get('/late')->{status} == 200;
    ok($status == 200 ? $there : $answer =~ /unknown/ || !$there, "... what it says is so: $status, " . ($there ? 'there' : 'not there')) or diag $answer;
}
for my $name (@names) {
    is(@{[same($name)]}, 1, "$name: one cluster again");
    my @after = map { my $n = $_; map { $n->get("/$_")->{status} } qw(before after) } @{$nodes{$name}};
    is("@after", '200 200 200 200', '... and both nodes know what was acknowledged');
    is(put_index($old{$name}, 'again', 30)->{status}, 200, '... and it is changed through the former leader');
}
cmp_ok(root($_)->{leader}{term}, '>', $term{$_}, "$_: under a higher term") for qw(frozen deaf);
$_->signal('TERM') for map { @$_ } values %nodes;
is($_->stop, 0, "$_->{name} ends") for map { @$_ } @nodes{@names};
done_testing;
