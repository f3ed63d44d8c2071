# Three nodes over TLS are a cluster; who has a certificate of another authority, none, or one made out to
# somebody else stays outside, and both logs say why; a certificate that was exchanged is read on SIGHUP.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp 'tempdir';
use QdCluster;

my $openssl = (grep { -x "$_/openssl" } split /:/, $ENV{PATH})[0];
plan skip_all => 'no openssl to make certificates with' unless $openssl;
my $dir = tempdir(CLEANUP => 1);
sub run { my $out = `@_ 2>&1`; die "@_: $out" if $?; return $out }
sub authority {
    my ($name) = @_;
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=$name -keyout $dir/$name.key -out $dir/$name.crt");
}
sub certificate {
    my ($name, $alt, $ca) = @_;
    run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name -keyout $dir/$name.key -out $dir/$name.csr");
    open my $h, '>', "$dir/$name.ext" or die $!;
    print $h "subjectAltName=$alt\n";
    close $h;
    run("openssl x509 -req -in $dir/$name.csr -CA $dir/$ca.crt -CAkey $dir/$ca.key -CAcreateserial -days 1 -extfile $dir/$name.ext -out $dir/$name.crt");
}
authority('ca');
authority('ca2');
certificate('node', 'DNS:s0,DNS:s1,DNS:s2', 'ca');
certificate('foreign', 'IP:127.0.0.1', 'ca2');
certificate('misnamed', 'DNS:elsewhere', 'ca');
sub tls {
    my ($name) = @_;
    return ('security.transport.ssl.enabled' => 'true', 'security.transport.ssl.certificate' => "$dir/$name.crt",
        'security.transport.ssl.key' => "$dir/$name.key", 'security.transport.ssl.certificate_authorities' => "$dir/ca.crt");
}

my $c = QdCluster->new('s', nodes => 3, settings => { tls('node') });
$c->start;
pass('three nodes with certificates are a cluster');
is($c->node(0)->put('/books', { settings => { number_of_shards => 3, number_of_replicas => 0 } })->{status}, 200, 'an index');
$c->wait_status('green');
my $body = join '', map { "{\"index\":{}}\n{\"text\":\"" . join(' ', map { int rand 1e6 } 1 .. 50) . "\"}\n" } 1 .. 500;
ok(!$c->node(1)->post('/books/_bulk?refresh=true', $body)->{json}{errors}, 'documents go over it');
is($c->node(2)->get('/books/_count')->{json}{count}, 500, 'and come back');
like($c->node(0)->log_text, qr/nodes reach this one at \[[^]]*\], with TLS/, 'the log says so');

# --- who stays outside
my $seeds = $c->node(0)->{settings}{'discovery.seed_hosts'};
sub outside {
    my ($name, $what, $own, $theirs, %tls) = @_;
    my $n = QdNode->new($name, settings => { 'cluster.name' => 'test-s', 'node.roles' => 'data,ingest', 'metrics.port' => -1,
        'transport.rpc_port' => -1, 'coordination.master_addresses' => $seeds, %tls });
    $n->launch;
    ok($n->wait_for(sub { $n->log_text =~ $own }, 120), "$what: its log tells") or diag $n->log_text;
    ok($n->wait_for(sub { grep { $_->log_text =~ $theirs } $c->nodes }, 120), "$what: theirs too") or diag $c->node(0)->log_text;
    is($c->health->{number_of_nodes}, 3, "$what: it is no member");
    $n->stop;
}
outside('x1', 'another authority', qr/no connection to the node at \[[^]]*\]: .*certificate/, qr/closed a connection from .*certificate/, tls('foreign'));
outside('x2', 'no TLS', qr/it refuses this node: it demands TLS/, qr/it connects without TLS/);
outside('x3', 'another name', qr/certificate of this node is made out to neither \[x3\]/, qr/its certificate is made out to neither its name \[x3\]/, tls('misnamed'));

# --- SIGHUP
$c->node(0)->signal('HUP');
ok($c->node(0)->wait_for(sub { $c->node(0)->log_text =~ /certificates read again/ }, 120), 'SIGHUP reads the certificates again');
rename "$dir/node.key", "$dir/node.key.away";
$c->node(0)->signal('HUP');
ok($c->node(0)->wait_for(sub { $c->node(0)->log_text =~ /the certificates in use stay: security\.transport\.ssl\.key: \[/ }, 120), 'a file that is missing changes nothing');
is($c->node(0)->get('/books/_count')->{json}{count}, 500, 'the cluster stands');
$c->stop;
done_testing;
