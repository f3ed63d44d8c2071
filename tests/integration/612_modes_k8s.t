# 612_modes_k8s.t: coordination.mode over a real Kubernetes API server: nodes that only coordinate hold the state, by
# the environment of the manifests; `auto` finds the API where it may, and stays there; data nodes have no token; what
# is told where the API is away.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
my $kube = KubeServer->new('modes')->start;
my $account = $kube->install('quidditch');
my %common = ('cluster.name' => 'quidditch', 'metrics.port' => -1, 'transport.rpc_port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false');
my %env = (KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch');
my @control = (
    QdNode->new('c0', settings => { %common, 'node.roles' => 'coordination,ingest' }, env => { %env, USE_K8S_COORDINATION => 'true' }),
    QdNode->new('c1', settings => { %common, 'node.roles' => 'coordination,ingest', 'coordination.mode' => 'auto', # as in a pod
        'coordination.k8s.token_file' => "$account->{folder}/token", 'coordination.k8s.ca_file' => "$account->{folder}/ca.crt" },
        env => { KUBERNETES_SERVICE_HOST => $kube->{host}, KUBERNETES_SERVICE_PORT => $kube->{port}, K8S_FALLBACK => 'true' }));
my $data = QdNode->new('data', settings => { %common, 'node.roles' => 'data' },
    env => { USE_K8S_COORDINATION => 'true', MASTER_ADDRESSES => join ',', map { "127.0.0.1:$_->{transport}" } @control });
my @all = (@control, $data);
start_all(@all);
my $j;
my @told = same_told(\@all, qw(mode.chosen store.kind store.epoch store.id leader.name cluster_uuid));
is(@told, 1, 'all nodes tell the same') or diag explain \@told;
like($told[0], qr/^k8s-native k8s 1 [0-9a-f]{32} c[01] /, 'of one store in Kubernetes, which a node that coordinates leads');
$j = settled($control[1]);
is_deeply([$j->{mode}{asked}, @{ $j->{store} }{qw(plugin state reachable)}, $j->{node}{holds_store}], ['auto', 'coordination-k8s', 'active', JSON::PP::true(), JSON::PP::true()], 'auto has found it') or diag explain $j;
like($control[1]->log_text, qr/INFO.*no master nodes are configured, using K8S-native mode\n(?:.*\n)*.*using k8s-native: .*can be reached by a service account/, 'as the log says in both spellings');
like($control[0]->log_text, qr/using K8S-native mode\n(?:.*\n)*.*using k8s-native: /, 'also where it was asked for');
like($data->log_text, qr/connected to control node \[c[01]\].*\n(?:.*\n)*.*using k8s-native: /, 'a data node says to what it is connected');
unlike($_->log_text, qr/connected to master/, "$_->{name}: to no master") for @all;
is($control[0]->put('/docs', { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, 'an index');
is($control[0]->put('/docs/_doc/1?refresh=true', { n => 1 })->{status}, 201, 'with a document');

# --- other settings: both stay
my $asked = $control[1];
$asked->stop;
$asked->{settings}{'coordination.mode'} = 'master';
delete $asked->{env}{K8S_FALLBACK};
$asked->launch;
ok(started($asked), 'a control node is started with coordination.mode: master');
$j = settled($asked);
is("$j->{mode}{asked} $j->{mode}{chosen} $j->{store}{reachable}", 'master k8s-native 1', 'and stays where its cluster is');
like($asked->log_text, qr/WARN.*the setting \[master\] waits: .*qd migrate start --to master/, 'as it says');
ok($data->wait_for(sub { my $w = coordination($data)->{mode}{wanted_by}; @$w == 1 && $w->[0]{name} eq 'c1' }, 60), 'all know what it asks for');

# --- the API server is away
$kube->kill9;
my $r;
ok($data->wait_for(sub { $r = $data->put('/more?master_timeout=1s', {}); $r->{status} == 503 && $r->{content} =~ /"coordination_u\w+"/ }, 120), 'without it no index is made');
like($r->{content}, qr/the one in Kubernetes \(k8s\), control epoch 1\b.*let the control nodes reach the API of Kubernetes again/, 'why, and what helps') or diag $r->{content};
is($data->put('/docs/_doc/2?refresh=true', { n => 2 })->{status}, 201, 'documents are written');
is($control[0]->get('/docs/_count')->{json}{count}, 2, 'and found');
is($control[0]->get('/_cluster/coordination')->{json}{mode}{chosen}, 'k8s-native', 'where the state is stays known');
$kube->revive;
ok($data->wait_for(sub { my $s = $data->put('/more', {})->{status}; $s == 200 || $s == 400 }, 120), 'with it all is well again');
$_->signal('TERM') for @all;
is($_->stop, 0, "$_->{name} ends") for @all;

# --- an operator's word: what a node remembers of the state in Kubernetes does not bind it any more
my $folder = "$control[0]{dir}/data/coordination-copy";
ok(-s "$folder/kubernetes", 'a control node remembers what it has acted on');
my ($rc, $out) = $control[0]->run_qd('recover', '--accept-older-state', '--data', "$control[0]{dir}/data");
is($rc, 0, 'it may be told to forget that') or diag $out;
like($out, qr/has acted on the state of cluster \[\S+\], epoch 1, revision \d+.*remembered of a state that is kept elsewhere \(\Q$folder\E\) is removed/s, 'which is said');
ok(!-e $folder, 'and done');
$control[0]->start(seconds => 120);
ok($control[0]->wait_for(sub { settled($control[0])->{store}{state} eq 'active' }, 60), 'it takes what is there');
is($control[0]->stop, 0, 'and ends');
done_testing;
