# The transport between nodes as a user meets it: its port answers HTTP in words, garbage is cut off, a taken
# port and unusable certificates stop the start with the setting's name, a range goes on to the next port, a
# single role has a second port, BIND_ADDR has loopback beside it.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use HTTP::Tiny;
use IO::Socket::INET;
use QdNode;

my $http = HTTP::Tiny->new(timeout => 5);
sub dial { IO::Socket::INET->new(PeerAddr => $_[0], PeerPort => $_[1], Timeout => 5) }

# --- HTTP and garbage
my $node = QdNode->new('t');
$node->start;
my $r = $http->get("http://127.0.0.1:$node->{transport}/_cluster/health");
is($r->{status}, 400, 'HTTP to the transport port is answered 400');
like($r->{content}, qr{the REST API is at http://127\.0\.0\.1:$node->{port}"}, 'naming the REST port');
for my $i (1 .. 300) {
    my $s = dial('127.0.0.1', $node->{transport}) or last;
    print $s join '', map { chr int rand 256 } 1 .. 200;
    shutdown $s, 1;
    my $answer = <$s>;
    ok(0, 'garbage is answered') if defined $answer && $answer !~ /^HTTP/;
}
my $stats = $node->get('/_nodes/stats/transport')->{json};
my ($t) = map { $_->{transport} } values %{ $stats->{nodes} };
ok(defined $t->{rx_count} && defined $t->{tx_size_in_bytes}, 'nodes stats have a section transport');
like($http->get($node->url . '/metrics')->{content}, qr/^quidditch_transport_garbage_total [1-9]/m, 'metrics count the garbage');
my @lines = $node->log_text =~ /(closed a connection from .*)/g;
ok(@lines >= 1 && @lines <= 6, 'the log has few lines about it') or diag "@lines";

# --- the port of a running node is taken
my $late = QdNode->new('u', settings => { 'transport.port' => $node->{transport} });
$late->launch;
isnt($late->wait_end, 0, 'a taken port stops the start');
like($late->log_text . $late->stderr_text, qr/cannot listen on \[127\.0\.0\.1:$node->{transport}\]: address already in use \(transport\.port; is another node running here\?\)/, 'naming setting and port');

# --- of a range the next one is taken
my $last = $node->{transport} + 40;
my $range = QdNode->new('r', settings => { 'transport.port' => "$node->{transport}-$last" });
$range->start;
my ($port) = $range->log_text =~ /nodes reach this one at \[127\.0\.0\.1:(\d+)\]/;
ok($port > $node->{transport} && $port <= $last, 'a range goes on to the next port');
$range->stop;
$node->stop;

# --- bad settings
for my $case (['transport.port' => '9400-9300', qr/transport\.port: \[9400-9300\] is neither a port nor a range/],
    ['security.transport.ssl.enabled' => 'true', qr/needs security\.transport\.ssl\.certificate/]) {
    my ($key, $value, $says) = @$case;
    my $out = `@{[QdNode::daemon()]} --check-config -E $key=$value -E path.data=$node->{dir}/none 2>&1`;
    isnt($?, 0, "$key=$value is refused");
    like($out, $says, 'in words');
}

# --- a role's own port; BIND_ADDR
my $second = QdNode::free_port();
my $master = QdNode->new('m', settings => { 'node.roles' => 'master', 'metrics.port' => QdNode::free_port(),
    'transport.rpc_port' => $second, 'network.host' => '127.0.0.2', 'http.port' => '-1' });
$master->launch;
ok($master->wait_for(sub { dial('127.0.0.2', $second) }, 120), 'a second port takes connections');
ok(dial('127.0.0.2', $master->{transport}), 'beside the first');
$r = $http->get("http://127.0.0.2:$second/");
is($r->{status}, 400, 'HTTP is answered there too');
like($r->{content}, qr/this node has no REST API/, 'that there is none here');
$master->stop;
my $bound = QdNode->new('b', env => { BIND_ADDR => '127.0.0.3' });
$bound->start;
ok(dial('127.0.0.3', $bound->{transport}), 'BIND_ADDR takes connections');
ok(dial('127.0.0.1', $bound->{transport}), 'and loopback beside it');
like($bound->log_text, qr/nodes reach this one at \[127\.0\.0\.3:/, 'and is what others are told');
$bound->stop;
done_testing;
