#!/usr/bin/perl
# 610_modes.t: coordination.mode: what settings and environment lead to, which contradict each other, what a
# node that belongs to a cluster does with a changed setting; GET _cluster/coordination and qd mode on masters,
# data nodes, without a leader and without masters.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use QdCluster;

my $none = QdNode->new('none');
my $token = "$none->{dir}/token";
{ open my $f, '>', $token or die; print $f "t\n" }
my $ca = "$none->{dir}/ca";
{ open my $f, '>', $ca or die; print $f "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n" }
{ open my $f, '>', "$none->{dir}/namespace" or die; print $f "ns\n" }

mkdir "$none->{dir}/bare" or die; # as a folder of a projected token, which has no file "namespace"
my $bare = "$none->{dir}/bare/token";
{ open my $f, '>', $bare or die; print $f "t\n" }

# --- what is refused at the start, and what is not
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
my @pod = (KUBERNETES_SERVICE_HOST => '127.0.0.1');
my $role = 'node.roles=coordination';
for my $case (
    [[], {}, undef], [['coordination.mode=auto'], {}, undef], [['coordination.mode=master'], {USE_K8S_COORDINATION => 'false'}, undef],
    [[$role], {MASTER_ADDRESSES => 'm0:9301,...'}, undef], [[$role], {MASTER_ADDR => 'm0:9301', K8S_FALLBACK => 'true'}, undef],
    [[$role, "coordination.k8s.token_file=$token", "coordination.k8s.ca_file=$ca"], {MASTER_ADDR => 'm0:9301', K8S_FALLBACK => 'true', @pod}, undef],
    [[$role, "coordination.k8s.token_file=$token", "coordination.k8s.ca_file=$ca.none"], {MASTER_ADDR => 'm0:9301', K8S_FALLBACK => 'true', @pod}, qr/service account: the file \Q$ca\E\.none does not exist$/m],
    [[$role, "coordination.k8s.token_file=$bare", "coordination.k8s.ca_file=$ca"], {MASTER_ADDR => 'm0:9301', K8S_FALLBACK => 'true', @pod},
        qr/service account: the file \Q$none->{dir}\E\/bare\/namespace does not exist \(coordination\.k8s\.namespace or POD_NAMESPACE would do\)$/m],
    [[$role, "coordination.k8s.token_file=$bare", "coordination.k8s.ca_file=$ca"], {MASTER_ADDR => 'm0:9301', K8S_FALLBACK => 'true', POD_NAMESPACE => 'ns', @pod}, undef],
    [[$role, "coordination.k8s.token_file=$bare", "coordination.k8s.ca_file=$ca", 'coordination.k8s.namespace=ns'], {MASTER_ADDR => 'm0:9301', K8S_FALLBACK => 'true', @pod}, undef],
    [[$role], {USE_K8S_COORDINATION => 'false', MASTER_ADDRESSES => 'm0:9301'}, undef],
    [['coordination.mode=master'], {USE_K8S_COORDINATION => 'true'}, qr/USE_K8S_COORDINATION asks for coordination\.mode \[k8s-native\], but it is set to \[master\] \(flag -E\)/],
    [['coordination.mode=auto'], {USE_K8S_COORDINATION => 'false'}, qr/asks for coordination\.mode \[master\], but it is set to \[auto\]/],
    [[], {USE_K8S_COORDINATION => 'perhaps'}, qr/USE_K8S_COORDINATION: \[perhaps\] is neither true nor false/],
    [['coordination.plugin=coordination-k8s', 'coordination.mode=master'], {}, qr/coordination\.mode is \[master\] \(flag -E\), but coordination\.plugin is \[coordination-k8s\], which serves \[k8s-native\]/],
    [['coordination.plugin=coordination-raft'], {USE_K8S_COORDINATION => 'true'}, qr/but coordination\.plugin is \[coordination-raft\], which serves \[master\]/],
    [['coordination.k8s.lease_duration=5s'], {}, undef], # of no matter to masters
    [['coordination.k8s.lease_duration=5s', "coordination.k8s.token_file=$token"], {USE_K8S_COORDINATION => 'true', @pod}, qr/coordination\.k8s\.lease_duration \[5000ms\] has to be more than coordination\.k8s\.renew_interval \[10000ms\]/],
    [[$role], {}, qr/no coordination backend available: .*Tried: masters: none is named.*Kubernetes: not asked, coordination\.mode is \[master\]/],
    [[$role, 'coordination.mode=auto'], {K8S_FALLBACK => 'true'}, qr/no coordination backend available: .*there is no service account and no KUBECONFIG/],
    [[$role, 'coordination.mode=auto', "coordination.k8s.token_file=$token"], {@pod}, qr/no coordination backend available: .*service account \[\Q$token\E\], not asked, coordination\.k8s_fallback is false/],
    [['node.roles=data'], {USE_K8S_COORDINATION => 'true'}, qr/no coordination backend available/]) {
    my ($settings, $env, $says) = @$case;
    my ($rc, $out) = check($settings, %$env);
    my $name = join ' ', @$settings, map { "$_=$env->{$_}" } sort keys %$env;
    is($rc, $says ? 78 : 0, $says ? "refused: $name" : "fine: $name") or diag $out;
    like($out, $says, 'in words') if $says;
}

# --- one node; fallback off Kubernetes makes nobody wait
my $one = QdNode->new('one', settings => { 'cluster.name' => 'alone', 'coordination.mode' => 'auto' }, env => { K8S_FALLBACK => 'true' });
$one->start;
my $r = $one->get('/_cluster/coordination');
is($r->{status}, 200, 'where the state is');
my $j = settled($one);
is_deeply([@{ $j->{mode} }{qw(asked chosen)}, @{ $j->{store} }{qw(kind plugin state epoch)}, @{ $j->{leader} }{qw(name term)}, @{ $j->{node} }{qw(name role)}, $j->{answered_by}],
    ['auto', 'master', 'raft', 'coordination-raft', 'active', 1, 'one', 1, 'one', 'voter', 'leader'], 'is told') or diag explain $j;
ok($j->{store}{reachable} && $j->{store}{revision} > 0, 'it is reached');
like($j->{store}{id}, qr/^[0-9a-f]{32}$/, 'its id');
like(join("\n", @{ $j->{mode}{why} }), qr/coordination\.mode is \[auto\] \(flag -E\)\n.*neither a service account nor a KUBECONFIG/, 'and why it is that one') or diag explain $j;
like($j->{mode}{since}, qr/^20\d\d-\d\d-\d\dT/, 'and since when');
my $since = $j->{mode}{since_in_millis};
my ($rc, $text);
$one->wait_for(sub { ($rc, $text) = $one->run_qd('mode', '--url', $one->url); $text =~ /, term / }, 60);
is($rc, 0, 'qd mode');
like($text, $_, "shows $_") for qr/^mode +master \(asked for: auto\)$/m, qr/^store +raft, active, id [0-9a-f]{32}, plugin coordination-raft$/m, qr/^epoch +1$/m,
    qr/^leader +one at 127\.0\.0\.1:$one->{transport}, term 1$/m, qr/^this node +one, voter$/m, qr/^reachable +yes$/m, qr/^why +\S/m;
($rc, $text) = $one->run_qd('mode', '--json', '--url', $one->url);
is(eval { JSON::PP->new->decode($text)->{mode}{chosen} }, 'master', 'as JSON too') or diag $text;
isnt(($one->run_qd('mode', 'nonsense'))[0], 0, 'a word that it does not know is refused');
like($one->log_text, qr/using master mode: /, 'the log tells the mode');
is($one->get('/_cluster/coordination?nonsense=1')->{status}, 400, 'a parameter that it does not know too');

# --- a cluster that has formed stays where it is
$one->stop;
$one->{settings}{'coordination.mode'} = 'k8s-native';
$one->start;
$one->wait_for(sub { $j = coordination($one); @{ $j->{mode}{wanted_by} } }, 60);
is("$j->{mode}{asked} $j->{mode}{chosen} $j->{store}{kind}", 'k8s-native master raft', 'a changed setting is a wish');
ok($j->{mode}{migration_wanted}, 'that waits');
is_deeply($j->{mode}{wanted_by}, [{ name => 'one', mode => 'k8s-native' }], 'and that the cluster knows') or diag explain $j;
is($j->{mode}{since_in_millis}, $since, 'the store is the one of before');
like($one->log_text, qr/WARN.*the setting \[k8s-native\] waits: .*qd migrate start --to k8s-native/, 'for what the log names');
like(($one->run_qd('mode', '--url', $one->url))[1], qr/waits for qd migrate/, 'and qd mode');
$one->stop;

# --- masters and data nodes apart
my $c = QdCluster->new('o', masters => 3, data => 1);
$c->start;
my @m = @{ $c->{masters} };
my ($data) = grep { $_->{roles}[0] eq 'data' } $c->nodes;
my @told = same_told([$c->nodes], qw(mode.chosen store.kind store.epoch store.id leader.name cluster_uuid));
is(@told, 1, 'all nodes tell the same') or diag explain \@told;
$j = settled($data);
is_deeply([@{ $j->{node} }{qw(role holds_store)}, $j->{mode}{asked}, $j->{store}{plugin}, $j->{answered_by}], ['client', JSON::PP::false(), 'auto', undef, 'leader'], 'a data node holds no store') or diag explain $j;
like($data->log_text, qr/connected to master \[o\d\] at \[127\.0\.0\.1:\d+\]$/m, 'it is connected to a master');
my ($leader) = grep { $_->{name} eq $j->{leader}{name} } @m;
ok($data->wait_for(sub { $data->log_text =~ /connected to master \[$leader->{name}\] at \[127\.0\.0\.1:$leader->{transport}\], the leader/ }, 60), 'the leader is named');
my $before = $j;
is($data->put('/docs', { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, 'an index');
is($data->put('/docs/_doc/1?refresh=true', { n => 1 })->{status}, 201, 'with a document');

# the leader is killed
$leader->kill9;
ok($data->wait_for(sub { my $l = coordination($data)->{leader}; $l && $l->{name} ne $leader->{name} && $l->{term} }, 120), 'another one leads') or diag explain coordination($data);
$j = coordination($data);
cmp_ok($j->{leader}{term}, '>', $before->{leader}{term}, 'in a higher term');
is("$j->{store}{epoch} $j->{store}{id} $j->{mode}{since_in_millis}", "$before->{store}{epoch} $before->{store}{id} $before->{mode}{since_in_millis}", 'of the same store');
ok($data->wait_for(sub { $data->log_text =~ /connected to master \[$j->{leader}{name}\] at \[\S+\], the leader/ }, 60), 'which the log tells');

# all of them: nothing of the state can be changed, all else goes on
$_->kill9 for grep { $_ != $leader } @m;
ok($data->wait_for(sub { my $s = coordination($data)->{store}; defined $s->{reachable} && !$s->{reachable} && $s->{unreachable_since} }, 120), 'without masters the store is not reached, since when is told') or diag explain coordination($data);
$j = coordination($data);
is("$j->{mode}{chosen} $j->{store}{epoch} $j->{store}{id} $j->{answered_by}", "master 1 $before->{store}{id} this node", 'what is known is told, and marked');
like(($data->run_qd('mode', '--url', $data->url))[1], qr/^reachable +no, since 20\S+: .*\n +no master answers: /m, 'qd mode says so, and why');
like($j->{store}{unreachable_reason}, qr/^no master answers: .*127\.0\.0\.1:$_->{transport}\b/, "$_->{name} is named") for @m;
$r = $data->put('/more?master_timeout=1s', {});
is($r->{status}, 503, 'no index is made');
is($r->{json}{error}{type}, 'coordination_unavailable', 'as the store is not there') or diag $r->{content};
like($r->{json}{error}{reason}, qr/that of the masters \(raft\), control epoch 1, cannot be reached: .*bring back a majority of the masters.*No other store takes over by itself/, 'which one, and what to do');
is($data->put('/docs/_doc/2?refresh=true', { n => 2 })->{status}, 201, 'documents are written');
is($data->get('/docs/_count')->{json}{count}, 2, 'and found');
$c->start(seconds => 120);
is($data->put('/more', {})->{status}, 200, 'with masters all is well again');
is($c->stop, 0, 'they stop cleanly');

# --- nobody there at the start: auto says what it has tried, and goes on waiting
my $closed = QdNode::free_port();
my $late = QdNode->new('late', settings => { 'node.roles' => 'coordination', 'coordination.master_addresses' => "127.0.0.1:$closed", 'metrics.port' => -1, 'transport.rpc_port' => -1 });
$late->launch;
ok($late->wait_for(sub { $late->log_text =~ /no coordination backend available, waiting for one; tried: masters at \[127\.0\.0\.1:$closed\]; Kubernetes: there is no service account/ }, 60), 'what was tried is told') or diag $late->log_text;
$j = coordination($late);
is_deeply([@{ $j->{mode} }{qw(asked chosen)}, $j->{store}{reachable}, $j->{leader}, $j->{answered_by}, $j->{cluster_uuid}], ['auto', 'master', JSON::PP::false(), undef, 'this node', '_na_'], 'it answers before it belongs to a cluster') or diag explain $j;
is($late->stop, 0, 'and stops when it is told to');
done_testing;
