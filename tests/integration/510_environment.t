# The environment of deploy/manifests/traditional (three masters, two coordination and three data pods), read
# there, each pod a network namespace with its name, its data folder mounted where the image
# has it: they form a cluster, serve on the ports of their roles, answer the probes.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use HTTP::Tiny;
use JSON::PP ();
use Manifests;
use POSIX ();
use QdNet;
use QdNode;

Manifests->skip_unless_parsed;
my $net = QdNet->new(8) or plan skip_all => 'LOUD: no namespaces here: ' . QdNet::why();
my $dir = tempdir('qd-pods-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $mount = '/var/lib/quidditch';
my $made = !-d $mount && system("mkdir -p $mount") == 0;
my $domain = 'quidditch-master.quidditch.svc.cluster.local';
sub template { my ($file) = @_; return map { Manifests::pod($_) // () } Manifests::objects("traditional/$file.yaml") }
my %template;
@template{qw(master coordination data)} = map { template($_) } qw(master-statefulset coordination-deployment data-statefulset);
my @pods = (
    (map { { name => "quidditch-master-$_", role => 'master' } } 0 .. 2),
    (map { { name => "quidditch-coordination-7d9f-$_", role => 'coordination' } } 0 .. 1),
    (map { { name => "quidditch-data-$_", role => 'data' } } 0 .. 2),
);
$net->names(map { ("quidditch-master-$_.$domain" => $_) } 0 .. 2);
$pods[$_]{address} = $net->address($_) for 0 .. 7;
for my $p (@pods) {
    my $pod = $template{$p->{role}};
    $p->{env} = {Manifests::environment($pod, name => $p->{name}, ip => $p->{address})};
    $p->{ports} = [map { $_->{containerPort} } @{$pod->{spec}{containers}[0]{ports}}];
}

my %pid;
sub start {
    my ($i) = @_;
    my $p = $pods[$i];
    my $data = "$dir/$p->{name}";
    mkdir $data;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        %ENV = (PATH => $ENV{PATH}, %{ $p->{env} }, QUIDDITCH_ROLE => $p->{role}); # the image says the role
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$data.log";
        open STDERR, '>&', \*STDOUT;
        exec $net->command($i), 'sh', '-c', "mount --bind $data $mount && exec " . QdNode::daemon() or POSIX::_exit(127);
    }
    $pid{$i} = $pid;
}
END {
    local $?;
    kill 'KILL', values %pid;
    waitpid $_, 0 for values %pid;
    rmdir $mount if $made;
}

my $http = HTTP::Tiny->new(timeout => 120);
sub ask {
    my ($i, $port, $path, $method, $body) = @_;
    my %o = defined $body ? (content => $body, headers => { 'content-type' => 'application/json' }) : ();
    my $r = $http->request($method || 'GET', "http://$pods[$i]{address}:$port$path", \%o);
    $r->{json} = eval { JSON::PP->new->utf8->decode($r->{content}) };
    return $r;
}
sub wait_for { my ($condition, $seconds) = @_; return QdNode->wait_for($condition, $seconds || 120) }
sub logs { join '', map { "--- $_->{name}\n" . substr(QdNode::slurp("$dir/$_->{name}.log"), -2000) } @pods }

# The controller starts the next master only when the one before is ready: alone it must become so.
for my $i (0 .. 2) {
    start($i);
    ok(wait_for(sub { ask($i, 9400, '/ready')->{status} == 200 }), "$pods[$i]{name} is ready") or diag(logs());
}
start($_) for 3 .. 7;
ok(wait_for(sub { ask($_, 9401, '/ready')->{status} == 200 }), "$pods[$_]{name} is ready") or diag(logs()) for 3 .. 4;
ok(wait_for(sub { ask($_, 9402, '/ready')->{status} == 200 }), "$pods[$_]{name} is ready") or diag(logs()) for 5 .. 7;
ok(wait_for(sub { (ask(3, 9200, '/_cluster/health')->{json}{number_of_nodes} // 0) == 8 }), 'eight nodes are one cluster') or diag(logs());
is(ask(3, 9200, '/_cluster/health')->{json}{number_of_data_nodes}, 3, 'three of them hold data');

# --- ports of the roles
for my $i (0 .. 7) {
    my $metrics = 9400 + ($pods[$i]{role} eq 'master' ? 0 : $pods[$i]{role} eq 'coordination' ? 1 : 2);
    is(ask($i, $metrics, $_)->{status}, 200, "$pods[$i]{name} serves $_ on $metrics") for '/health', '/metrics', '/_cluster/health';
    for my $port (@{ $pods[$i]{ports} }) {
        my $s = IO::Socket::INET->new(PeerAddr => $pods[$i]{address}, PeerPort => $port, Timeout => 60);
        ok($s, "and listens on $port");
    }
    my $out = join ' ', $net->command($i);
    like(`$out curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:$metrics/health`, qr/200/, 'on loopback too');
}
my $wrong = ask(5, 9300, '/_cluster/health');
is($wrong->{status}, 400, 'HTTP on the transport port is refused');
like($wrong->{content}, qr/9402|9200|metrics|REST/i, 'with the port that serves it');
isnt(ask(5, 9200, '/')->{status}, 200, 'data nodes have no REST port');

# --- it works
# the disk of the machine that tests is nobody's business
is(ask(3, 9200, '/_cluster/settings', 'PUT', '{"persistent":{"cluster.routing.allocation.disk.threshold_enabled":false}}')->{status}, 200, 'settings are taken');
is(ask(3, 9200, '/docs', 'PUT', '{"settings":{"number_of_shards":3,"number_of_replicas":1}}')->{status}, 200, 'an index is made');
ok(wait_for(sub { (ask(4, 9200, '/_cluster/health')->{json}{status} // '') eq 'green' }), 'and green') or diag(ask(4, 9200, '/_cat/shards?v')->{content} . logs());
is(ask(3 + $_ % 2, 9200, "/docs/_doc/$_", 'PUT', qq({"n":$_}))->{status}, 201, "document $_") for 1 .. 6;
ask(4, 9200, '/docs/_refresh', 'POST');
is(ask(3, 9200, '/docs/_count')->{json}{count}, 6, 'and found');

# --- a pod's process is killed and comes back with its name and volume
kill 'KILL', $pid{0};
waitpid $pid{0}, 0;
ok(wait_for(sub { ask(4, 9200, '/more', 'PUT', '{"settings":{"number_of_replicas":0}}')->{status} == 200 || ask(4, 9200, '/more')->{status} == 200 }, 120), 'without one master indices are made');
start(0);
ok(wait_for(sub { ask(0, 9400, '/ready')->{status} == 200 }), 'the master comes back') or diag(logs());
ok(wait_for(sub { (ask(3, 9200, '/_cluster/health')->{json}{number_of_nodes} // 0) == 8 }), 'as one of eight') or diag(logs());
kill 'TERM', values %pid;
my $bad = 0;
for my $i (reverse 0 .. 7) { waitpid $pid{$i}, 0; $bad++ if $?; delete $pid{$i} }
is($bad, 0, 'all stop cleanly') or diag(logs());
done_testing;
