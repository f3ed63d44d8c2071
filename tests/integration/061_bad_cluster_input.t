#!/usr/bin/perl
# 061_bad_cluster_input.t: what operators get wrong about a cluster: addresses and names that cannot be meant
# end the start, those that may come to be right are looked for on, with a line that says what is wrong where.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use QdNode;

my $none = QdNode->new('none');
# --check-config with settings and environment: its status and what it says.
sub check {
    my ($settings, %env) = @_;
    local %ENV = (%ENV, %env);
    my @e = map { ('-E', $_) } @$settings;
    open my $p, '-|', 'sh', '-c', 'exec "$0" "$@" 2>&1', QdNode::daemon(), '--check-config', '-E', "path.data=$none->{dir}/data", @e or die;
    local $/;
    my $out = <$p>;
    close $p;
    return ($? >> 8, $out);
}

# --- what cannot be meant
for my $case (
    ['host:abc', 'its port is no number'], ['host:0', 'its port is no number'], ['host:99999', 'its port is no number'],
    ['a,host:', 'there is no port behind its colon'], [':9300', 'it has no host'], ['a b:9300', 'there is a blank in it'],
    ['http://h:9300', 'it is a URL'], ['h:9300:9301', 'more than one colon'], ['[::1', 'its \[ is not closed'],
    ['[::1]9300', 'behind its \]'], ['[h]:9300', 'no IPv6 address'], ['h;i', 'a character in it that no host has'], [',,', 'there is no address in'],
    [join(',', map { "h$_" } 1 .. 65), '65 addresses']) {
    my ($list, $says) = @$case;
    my ($rc, $out) = check(["discovery.seed_hosts=$list"]);
    ok($rc == 78 && $out =~ /discovery\.seed_hosts \(flag -E\): .*$says/, "seed_hosts [" . substr($list, 0, 20) . ']') or diag "$rc: $out";
}
for my $list ('h', 'h:9300', '127.0.0.1', '::1', '[::1]', '[::1]:9300', 'fe80::1%eth0', 'm_0.svc.cluster.local:9300, m-1') {
    my ($rc, $out) = check(["discovery.seed_hosts=$list"]);
    is($rc, 0, "seed_hosts [$list] is fine") or diag $out;
}
my @cases = (
    [['cluster.initial_master_nodes=a,b,a'], {}, qr/setting \[cluster\.initial_master_nodes\] contains duplicates: \[a\]/],
    [['cluster.initial_master_nodes=a', 'discovery.type=single-node'], {}, qr/\[cluster\.initial_master_nodes\] is not allowed when \[discovery\.type\] is set to \[single-node\]/],
    [[], {RAFT_PEERS => 'm0:9300,m0:9300'}, qr/coordination\.raft_peers \(environment variable RAFT_PEERS\): \[m0:9300\], the 2\. of 2, .*it is there twice/],
    [[], {RAFT_PEERS => '@m0:9300'}, qr/no name before its @/],
    [[], {MASTER_ADDR => 'm0:93o1'}, qr/coordination\.master_addresses \(environment variable MASTER_ADDR\): \[m0:93o1\]/],
    [['node.roles=data'], {}, qr/a node without the role master has to know one: set coordination\.master_addresses/]);
for my $case (@cases) {
    my ($settings, $env, $says) = @$case;
    my ($rc, $out) = check($settings, %$env);
    is($rc, 78, "refused: @$settings @{[%$env]}");
    like($out, $says, 'in words');
}

# --- what may come to be right: the node looks on and says what is wrong with each
sub listener { IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1', LocalPort => 0) or die "no listener: $!" }
my $other = QdNode->new('other', settings => {'cluster.name' => 'elsewhere'});
$other->start;
my ($silent, $ssh, $closed) = (listener(), listener(), QdNode::free_port());
my $talker = fork // die "fork: $!";
if ($talker == 0) {
    my @kept;
    while (my $c = $ssh->accept) { print $c "SSH-2.0-OpenSSH_9.2\r\n"; $c->flush; push @kept, $c }
    POSIX::_exit(0);
}
my %seeds = (
    "127.0.0.1:$closed" => qr/connection refused/,
    'no-such-host.invalid:9300' => qr/the name \[no-such-host\.invalid\] cannot be looked up/,
    "127.0.0.1:$other->{port}" => qr/HTTP answers there: it is a port of the REST API or of metrics; nodes talk at transport\.port/,
    '127.0.0.1:' . $silent->sockport => qr/no answer/,
    '127.0.0.1:' . $ssh->sockport => qr/what it sends is not the protocol of nodes; is the port right\?/,
    "127.0.0.1:$other->{transport}" => qr/it belongs to the cluster \[elsewhere\], this node to \[test\]; check cluster\.name/);
my @lost = (
    QdNode->new('lost', settings => {'discovery.seed_hosts' => join(',', sort keys %seeds), 'cluster.initial_master_nodes' => 'LOST,gone'}),
    QdNode->new('drift', settings => {'coordination.master_addresses' => join(',', sort keys %seeds), 'node.roles' => 'data',
        'metrics.port' => -1, 'transport.rpc_port' => -1}));
my $bare = QdNode->new('bare', settings => {'cluster.initial_master_nodes' => 'bare,m2'});
$_->launch for @lost, $bare;
for my $n (@lost) {
    for my $seed (sort keys %seeds) {
        ok($n->wait_for(sub { grep { /\[discovery +\].*still looking: .*\[\Q$seed\E\]: .*$seeds{$seed}/ } split /\n/, $n->log_text }, 90), "$n->{name} says what is wrong at $seed")
            or diag $n->log_text;
    }
    ok($n->alive, 'and looks on');
}
ok($lost[0]->wait_for(sub { $lost[0]->log_text =~ /waiting for \[LOST\], \[gone\]; there is also \[lost\], this node, which the list does not name/ }, 90), 'a name in wrong case is told');
ok($bare->wait_for(sub { $bare->log_text =~ /waiting for \[m2\], but no address is given to look at: set discovery\.seed_hosts/ }, 90), 'a list without addresses is told');
is($_->stop, 0, "$_->{name} stops when told to") for @lost, $bare;
kill 'KILL', $talker;
waitpid $talker, 0;
$other->stop;
done_testing;
