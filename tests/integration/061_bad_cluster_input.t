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

# --- certificates that cannot be used
SKIP: {
    skip 'no openssl to make certificates with', 9 unless grep { -x "$_/openssl" } split /:/, $ENV{PATH};
    my $dir = $none->{dir};
    my $made = `cd $dir && for n in a b; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=\$n -keyout \$n.key -out \$n.crt; done 2>&1
        openssl ec -aes256 -passout pass:xx -in a.key -out locked.key 2>&1; echo garbage > junk.crt`;
    my %good = (certificate => 'a.crt', key => 'a.key', certificate_authorities => 'a.crt');
    my $tls = sub { my %t = (%good, @_); return check(['security.transport.ssl.enabled=true', map { "security.transport.ssl.$_=$dir/$t{$_}" } sort keys %t]) };
    my ($ok, $text) = $tls->();
    is($ok, 0, 'certificates that are fine') or diag $made . $text;
    for my $case (['key', 'missing', 'cannot be read: .*No such file'], ['certificate', 'junk.crt', 'nothing in PEM form'],
        ['key', 'b.key', 'is not the key of security\.transport\.ssl\.certificate'], ['key', 'locked.key', 'is encrypted; give one without a passphrase'],
        ['certificate_authorities', 'none', 'cannot be read: .*No such file'], ['certificate_authorities', 'junk.crt', 'cannot be used'], ['key', '.', 'cannot be read']) {
        my ($key, $file, $says) = @$case;
        my ($rc, $out) = $tls->($key => $file);
        ok($rc == 78 && $out =~ /security\.transport\.ssl\.$key: \[[^]]*\] (?:cannot be used: it |cannot be used: there is )?.*$says/, "$key $file is refused") or diag "$rc: $out";
    }
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

# --- folders
sub folder {
    my ($what, $prepare, $says, %o) = @_;
    my $n = QdNode->new('folder', %o);
    chmod 0755, $n->{dir};
    mkdir "$n->{dir}/data", 0700;
    $n->config_file;
    if ($o{wrap}) { system("mkdir $n->{dir}/logs; touch $n->{dir}/stdout $n->{dir}/stderr; chown 4711 $n->{dir}/logs $n->{dir}/stdout $n->{dir}/stderr") }
    $prepare->("$n->{dir}/data");
    $n->launch;
    if ($says) {
        is($n->wait_end(120), 1, "$what ends the start");
        like($n->stderr_text, $says, 'in words');
        like($n->log_text, qr/ERROR.*the start failed: /, 'in the log too');
    } else {
        ok($n->wait_for(sub { $n->log_text =~ /\bstarted in \d+ ms/ }, 120), "$what is taken") or diag $n->stderr_text;
        $n->stop;
    }
    $n->forget;
}
my $full = QdNode->new('full');
$full->start;
$full->stop;
my $with = sub { my ($file, $from, $to) = @_; return sub { my ($d) = @_; system("cp -a $full->{dir}/data/. $d/ && sed -i 's/$from/$to/' $d/$file") } };
folder('a folder of a newer format', $with->('node.json', '"format" : 1', '"format" : 99'), qr/node\.json\] is of format 99, this version reads 1: the data folder was written by a newer version/);
folder('coordination of a newer format', $with->('coordination/node', '^quidditch coordination-raft .*', 'quidditch coordination-raft 99'), qr/is of format 99, this version reads \d+: start the newer version/);
folder('a file in place of a folder', sub { rmdir $_[0]; open my $f, '>', $_[0]; close $f }, qr/path\.data: \[.*\] cannot be written by this process|cannot make the folder \[.*\]: Not a directory/);
folder('a folder open to others', sub { chmod 0777, $_[0] }, qr/path\.data: \[.*\] is writable by others \(mode 0777\)/);
SKIP: {
    skip 'LOUD: setpriv and root are needed', 4 unless $> == 0 && system('setpriv --reuid 4711 --regid 4711 --groups 4712 test -x ' . QdNode::daemon()) == 0;
    my @as = (wrap => ['setpriv', '--reuid', 4711, '--regid', 4711, '--groups', 4712]);
    folder("root's folder", sub { chown 0, 0, $_[0]; chmod 0755, $_[0] }, qr/belongs to another user \(uid 0, this process runs as 4711\): .*fsGroup/, @as);
    folder("a volume for the process' group", sub { chown 0, 4712, $_[0]; chmod 02775, $_[0] }, undef, @as);
}
my $foreign = QdNode->new('foreign');
mkdir "$foreign->{dir}/data", 0700;
system("mkdir $foreign->{dir}/data/nodes; touch $foreign->{dir}/data/ibdata1");
$foreign->start;
like($foreign->log_text, qr/is new to this node, but holds 2 things of others, which stay as they are: \[ibdata1\], \[nodes\]; is it the right folder\?/, "somebody else's folder is told");
$foreign->stop;

# --- two clusters that formed apart, with one name, and addresses of each other
my @apart = map { QdNode->new("apart$_") } 1, 2;
for my $n (@apart) { $n->start; $n->stop }
$_->{settings}{'discovery.seed_hosts'} = join ',', map { "127.0.0.1:$_->{transport}" } @apart for @apart;
$_->start for @apart;
for my $n (@apart) {
    ok($n->wait_for(sub { $n->log_text =~ /two clusters have the name \[test\]: its uuid is \[[^]]+\], that of this node's \[[^]]+\]; correct the addresses or cluster\.name/ }, 120), 'another cluster of the same name is told') or diag $n->log_text;
    is($n->get('/_cluster/health')->{json}{number_of_nodes}, 1, 'they stay apart');
}
my $both = QdNode->new('both', settings => $apart[0]{settings});
$both->launch;
ok($both->wait_for(sub { $both->log_text =~ /two clusters answer under this name: .*Give discovery\.seed_hosts \(or RAFT_PEERS\) of one of them only/ }, 120), 'who has addresses of both joins none');
is($_->stop, 0, "$_->{name} stops") for @apart, $both;

# --- a copied data folder, a name twice
my $one = QdNode->new('one');
$one->start;
$one->stop;
my $copy = QdNode->new('copy');
system('cp', '-a', "$one->{dir}/data", "$copy->{dir}/data");
$one->start;
my $twin = QdNode->new('one', settings => {'node.roles' => 'data', 'metrics.port' => -1, 'transport.rpc_port' => -1, 'coordination.master_addresses' => "127.0.0.1:$one->{transport}"});
$copy->{settings} = {%{$twin->{settings}}};
$_->launch for $copy, $twin;
ok($copy->wait_for(sub { $copy->log_text =~ /it has the node id \[[^]]+\] itself: was the data folder copied\? A copy has to be emptied/ }, 120), 'a copied data folder is told') or diag $copy->log_text;
ok($twin->wait_for(sub { $twin->log_text =~ /it has the name \[one\] itself; give each node its own node\.name/ }, 120), 'a name used twice is told') or diag $twin->log_text;
is($one->get('/_cluster/health')->{json}{number_of_nodes}, 1, 'neither is let in');
is($_->stop, 0, 'and stops when told to') for $copy, $twin, $one;
done_testing;
