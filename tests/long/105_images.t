#!/usr/bin/perl
# 105_images.t: `make images` as an OCI layout, unpacked as a container runtime does it, and run: three pods (a master, a
# coordination and a data node), each in a network of its own, as the user of the image, on a read-only root, with only
# the volumes of the manifests; and what people run inside. Two builds give the same bytes. Skipped, loudly, where
# mmdebstrap, Debian's mirror or namespaces are missing.
use strict;
use warnings;
use Digest::SHA ();
use File::Temp qw(tempdir);
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../integration/lib";
use HTTP::Tiny;
use JSON::PP ();
use Long;
use Manifests;
use POSIX ();
use QdNet;
use QdNode;
use Test::More;

sub leave { my ($why) = @_; print STDERR "SKIPPED: $why\n"; plan skip_all => "SKIPPED: $why" }
my $net = QdNet->new(3) or leave('no namespaces here: ' . QdNet::why());
Manifests->skip_unless_parsed;
leave('mmdebstrap is not installed') if system('command -v mmdebstrap >/dev/null') != 0;
step('everything builds', sub { build('all') }) or BAIL_OUT('no build');
my $dir = tempdir('qd-images-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $layout = "$dir/images";
my $out = `deploy/docker/oci-layout '$layout' 0.0.test 2>&1`;
leave("no image can be built here: $out") if $? && $out =~ /mmdebstrap failed|Could not|Failed to fetch|unable to/i;
is($?, 0, 'make images, without docker') or BAIL_OUT($out);

# --- the layout is what its hashes say ---------------------------------------------------------------------------------
my $json = JSON::PP->new->utf8;
sub blob { my ($digest) = @_; return "$layout/blobs/" . $digest =~ s{:}{/}r }
my @bad = grep { my ($name) = m{([^/]+)$}; Digest::SHA->new(256)->addfile($_)->hexdigest ne $name } glob "$layout/blobs/sha256/*";
is_deeply(\@bad, [], 'every blob has the hash of its name');
my %manifest = map { $_->{annotations}{'org.opencontainers.image.ref.name'} => $_ } @{$json->decode(QdNode::slurp("$layout/index.json"))->{manifests}};
my @names = qw(coordination coordination-k8s data master);
is_deeply([sort keys %manifest], [sort map { ("quidditch/$_:0.0.test", "quidditch/$_:1.0.0") } @names], 'four images, each with two tags');
my %image;
for my $name (@names) {
    my $m = $json->decode(QdNode::slurp(blob($manifest{"quidditch/$name:1.0.0"}{digest})));
    $image{$name} = {layers => $m->{layers}, %{$json->decode(QdNode::slurp(blob($m->{config}{digest})))}};
    my $bytes = 0;
    $bytes += $_->{size} for @{$m->{layers}};
    cmp_ok($bytes, '<=', 70 * 1024 * 1024, sprintf '%s: %.1f MiB compressed', $name, $bytes / 1048576);
    is($image{$name}{config}{User}, '9200:9200', '... not as root');
    my %ports = map { s{/tcp}{}r => 1 } keys %{$image{$name}{config}{ExposedPorts}};
    my ($file) = $name eq 'coordination-k8s' ? 'kubernetes-native/coordination-deployment' : "traditional/$name-" . ($name eq 'coordination' ? 'deployment' : 'statefulset');
    my ($pod) = map { Manifests::pod($_) // () } Manifests::objects("$file.yaml");
    is_deeply([sort keys %ports], [sort map { $_->{containerPort} } @{$pod->{spec}{containers}[0]{ports}}], '... with the ports of its manifest');
}
is(scalar(keys %{{map { join(' ', map { $_->{digest} } @{$image{$_}{layers}}) => 1 } @names}}), 1, 'all have the same layers');
system("deploy/docker/oci-layout '$dir/again' 0.0.test >/dev/null 2>&1");
is(Digest::SHA->new(256)->addfile("$dir/again.tar")->hexdigest, Digest::SHA->new(256)->addfile("$layout.tar")->hexdigest, 'two builds give the same bytes');

# --- unpacked ----------------------------------------------------------------------------------------------------------
my $root = "$dir/root";
mkdir $root;
is(system('tar', '-C', $root, '--numeric-owner', '-xpzf', blob($_->{digest})), 0, 'a layer is unpacked') for @{$image{data}{layers}};
sub inside { my (@command) = @_; return "chroot --userspec=9200:9200 '$root' @command" }
for my $tool ('curl --version', 'nc -h', 'nslookup -version', 'telnet --help', 'df /', 'ls /var/lib/quidditch', 'sh -c true', 'sleep 0', 'qd --version', 'quidditchd --version') {
    my $text = `@{[inside($tool)]} 2>&1`;
    ok($? == 0 || $text =~ /BusyBox.*\n|usage/i, "$tool works inside") or diag $text;
}
like(`@{[inside('nc -h')]} 2>&1`, qr/-z\s/, 'nc can look whether a port is open');
is(`find '$root' -xdev -type f -perm /6000`, '', 'no file makes somebody root');
is(`find '$root' -xdev -nouser -o -xdev -nogroup 2>/dev/null | wc -l` + 0, `find '$root' -xdev -uid 9200 | wc -l` + 0, 'nothing belongs to the user but its folders');

# --- run: a pod for each role ------------------------------------------------------------------------------------------
my %pid;
END { local $?; kill 'KILL', values %pid if %pid; waitpid $_, 0 for values %pid }
sub pod {
    my ($host, $name, $mount, %env) = @_;
    my $volume = "$dir/volume-$host";
    if (!-d $volume) {
        mkdir $volume;
        if ($mount eq '/var/lib/quidditch') { chown 0, 9200, $volume; chmod 02777, $volume } # as a kubelet makes an emptyDir
        else                                { chown 9200, 9200, $volume }
    }
    my $given = join ' ', map { "'$_'" } @{$image{$name}{config}{Env}}, map { "$_=$env{$_}" } sort keys %env;
    my $script = "mount --bind '$root' '$root' && mount --bind '$volume' '$root$mount' && mount --rbind /dev '$root/dev' && mount -t proc proc '$root/proc'"
        . " && mount -o remount,ro,bind '$root' && exec env -i $given @{[inside(@{$image{$name}{config}{Entrypoint}})]}";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$dir/$host.log";
        open STDERR, '>', "$dir/$host.err";
        exec $net->command($host), 'sh', '-c', $script or POSIX::_exit(127);
    }
    $pid{$host} = $pid;
}
my @ip = map { $net->address($_) } 0 .. 2;
my $http = HTTP::Tiny->new(timeout => 60);
sub ask { my ($host, $port, $path, $method, $body) = @_; return $http->request($method || 'GET', "http://$ip[$host]:$port$path", $body ? {content => $body, headers => {'content-type' => 'application/json'}} : {}) }
sub logs { join '', map { "--- $_\n" . substr(QdNode::slurp("$dir/$_.log"), -1500) } grep { -f "$dir/$_.log" } 0 .. 2 }
pod(0, 'master', '/var/lib/quidditch/master', NODE_ID => 'quidditch-master-0', RAFT_PEERS => "$ip[0]:9300", BIND_ADDR => $ip[0]);
pod(1, 'coordination', '/var/lib/quidditch', NODE_ID => 'quidditch-coordination-a', MASTER_ADDRESSES => "$ip[0]:9301", BIND_ADDR => '0.0.0.0', REST_PORT => 9200);
pod(2, 'data', '/var/lib/quidditch/data', NODE_ID => 'quidditch-data-0', MASTER_ADDR => "$ip[0]:9301", BIND_ADDR => $ip[2], STORAGE_TIER => 'hot');
ok(QdNode->wait_for(sub { ask($_->[0], $_->[1], '/ready')->{status} == 200 }, 120), "$_->[2] is ready on $_->[1]") or diag logs() for [0, 9400, 'the master'], [1, 9200, 'the coordination node'], [2, 9402, 'the data node'];
is(ask(1, 9200, '/_cluster/settings', 'PUT', '{"persistent":{"cluster.routing.allocation.disk.threshold_enabled":false}}')->{status}, 200, 'settings are taken') or diag logs();
is(ask(1, 9200, '/docs', 'PUT', '{"settings":{"number_of_replicas":0}}')->{status}, 200, 'an index is made') or diag logs();
is(ask(1, 9200, '/docs/_doc/1?refresh=true', 'PUT', '{"text":"the quick brown fox"}')->{status}, 201, 'a document is written') or diag logs();
like(ask(1, 9200, '/docs/_search?q=fox')->{content}, qr/"value":1/, '... and found');
my $exec = join ' ', $net->command(2);
like(`$exec @{[inside('curl -s http://localhost:9402/_cluster/health')]} 2>&1`, qr/"status":"green"/, 'curl inside a pod reaches the node on localhost');
kill 'TERM', values %pid;
for my $host (2, 1, 0) { waitpid $pid{$host}, 0; is($?, 0, "pod $host ends cleanly") or diag logs(); delete $pid{$host} }

# every line of a container is an object, also the last ones
my @lines = map { split /\n/, QdNode::slurp("$dir/$_.log") } 0 .. 2;
my @others = grep { !eval { $json->decode($_)->{'log.logger'} } } @lines;
ok(@lines > 10 && !@others, 'the pods log JSON') or diag explain \@others;

# --- a volume that belongs to root -------------------------------------------------------------------------------------
system('rm', '-rf', "$dir/volume-2");
mkdir "$dir/volume-2", 0755;
pod(2, 'data', '/var/lib/quidditch/data', MASTER_ADDR => "$ip[0]:9301", BIND_ADDR => $ip[2]);
waitpid delete $pid{2}, 0;
isnt($?, 0, 'a volume of root ends the start');
like(QdNode::slurp("$dir/2.err"), qr/fsGroup/, '... naming fsGroup');
like(QdNode::slurp("$dir/2.log"), qr/"log\.level":"ERROR"[^\n]*fsGroup/, '... in the log, too');
finish();
