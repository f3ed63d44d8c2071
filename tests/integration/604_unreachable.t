#!/usr/bin/perl
# 604_unreachable.t: why a store cannot be reached, as GET _cluster/coordination and qd mode tell it: the server's URL and
# what it answers, the masters that are missed; of the store in charge and of the other one; since when; until it answers.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use IO::Socket::INET;
use QdNode;
use Test::More;

delete @ENV{qw(KUBERNETES_SERVICE_HOST KUBECONFIG POD_NAMESPACE LEADER_ELECTION_NAMESPACE)};
my $closed = '127.0.0.1:' . QdNode::free_port();
my $work = QdNode->new('work')->{dir};

# --- an API server that answers every request with what a file says: "503 its words"
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64, ReuseAddr => 1) or die;
my $at = '127.0.0.1:' . $server->sockport;
sub says { open my $f, '>', "$work/says.new" or die; print $f shift; close $f; rename "$work/says.new", "$work/says" or die }
says('503 the server is tired');
my $pid = fork // die;
if (!$pid) {
    while (my $c = $server->accept) {
        my $head = '';
        while (defined(my $line = <$c>)) { $head .= $line; last if $line eq "\r\n" }
        read $c, my $body, $1 if $head =~ /^content-length: (\d+)/im;
        open my $f, '<', "$work/says" or die;
        my ($status, $words) = split ' ', <$f>, 2;
        my $json = qq({"kind":"Status","apiVersion":"v1","status":"Failure","message":"$words","code":$status});
        print $c "HTTP/1.1 $status x\r\nContent-Type: application/json\r\nContent-Length: " . length($json) . "\r\nConnection: close\r\n\r\n$json";
        close $c;
    }
    require POSIX;
    POSIX::_exit(0);
}
END { kill 'KILL', $pid if $pid }
close $server;

sub kubeconfig {
    my ($name, $url) = @_;
    open my $f, '>', "$work/$name" or die;
    print $f "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nclusters: [{name: k, cluster: {server: '$url'}}]\nusers: [{name: u, user: {token: t}}]\n";
    close $f;
    return "$work/$name";
}
sub store { my ($n, $which, $says) = @_; my $j; my $ok = $n->wait_for(sub { $j = coordination($n); ($j->{$which}{unreachable_reason} // '') =~ $says }, 60); diag explain $j if !$ok; return $ok ? $j->{$which} : {} }

# --- Kubernetes, of a node that has never reached it
my $k = QdNode->new('k', settings => { 'coordination.mode' => 'k8s-native' }, env => { KUBECONFIG => kubeconfig('tired', "http://$at") });
$k->launch;
my $s = store($k, 'store', qr{^no leader: the Kubernetes API server at http://\Q$at\E answers 503 for .*: the server is tired$});
ok(!$s->{reachable}, 'a server that answers 503: its URL, the status and its words');
like($s->{unreachable_since}, qr/^20\d\d-\d\d-\d\dT/, 'since when');
my ($rc, $text) = $k->run_qd('mode', '--url', $k->url);
is($rc, 0, 'qd mode');
like($text, qr{^reachable +no, since 20\S+: .*\n +no leader: the Kubernetes API server at http://\Q$at\E answers 503 for .*: the server is tired$}m, 'says it, too');
says('403 you may not');
store($k, 'store', qr{refuses .* in namespace default: you may not$});
ok(!coordination($k)->{store}{reachable}, 'one that refuses: what, where, its words');
is(coordination($k)->{other_store}, undef, 'there is no other store');
is($k->stop, 0, 'it ends');

# --- masters: a majority that is missed is named
my $m = QdNode->new('m0', settings => { 'cluster.name' => 'm' });
$m->{settings}{'coordination.raft_peers'} = "m0\@127.0.0.1:$m->{transport},m1\@$closed,m2\@127.0.0.1:" . QdNode::free_port();
$m->launch;
$s = store($m, 'store', qr/waiting for \[m1\], \[m2\]/);
ok(!$s->{reachable} && $s->{unreachable_since}, 'masters that do not answer are named');
my $d = QdNode->new('d', settings => { 'cluster.name' => 'm', 'node.roles' => 'data', 'coordination.master_addresses' => $closed });
$d->launch;
$s = store($d, 'store', qr/no master answers: .*\Q$closed\E/);
ok(!$s->{reachable}, 'so are those that a data node asks');
is($_->stop, 0, "$_->{name} ends") for $m, $d;

# --- the other store of a node that has both open
my $both = QdNode->new('both', settings => { 'cluster.name' => 'both' });
$both->start;
is($both->stop, 0, 'a cluster with a master of its own');
$both->{env} = { K8S_FALLBACK => 'true', KUBECONFIG => kubeconfig('none', "https://$closed") };
$both->start;
$s = store($both, 'other_store', qr{the Kubernetes API server at https://\Q$closed\E does not answer: .*Couldn't connect});
is_deeply([@$s{qw(mode state)}, $s->{reachable} ? 1 : 0], ['k8s-native', 'empty', 0], 'Kubernetes is the other one, and not there');
like($s->{unreachable_since}, qr/^20\d\d-/, 'since when');
my $j = settled($both);
ok($j->{store}{reachable} && !$j->{store}{unreachable_reason}, 'the one in charge is reached, and has no reason');
like(($both->run_qd('mode', '--url', $both->url))[1], qr{^other +the store of mode k8s-native is not reachable, since 20\S+\n +.*https://\Q$closed\E}m, 'qd mode tells of it');
is($both->stop, 0, 'it ends');

done_testing;
