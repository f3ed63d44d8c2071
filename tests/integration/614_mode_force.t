# 614_mode_force.t: the store of the cluster's state is lost for ever, and the other one takes over by an operator's
# order: from masters to a real Kubernetes API, and from that back to a master; what is refused, what the report says,
# and that nothing of the lost store is obeyed when it comes back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
delete @ENV{qw(KUBERNETES_SERVICE_HOST KUBECONFIG POD_NAMESPACE LEADER_ELECTION_NAMESPACE)};
my $kube = KubeServer->new('force')->start;
my $account = $kube->install('quidditch');
my %env = (KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch');
my %common = ('cluster.name' => 'quidditch', 'metrics.port' => -1, 'transport.rpc_port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false');
my @m = map { QdNode->new("m$_") } 0 .. 2;
my $peers = join ',', map { "$_->{name}\@127.0.0.1:$_->{transport}" } @m;
$_->{settings} = { %common, 'node.roles' => 'master,ingest', 'coordination.raft_peers' => $peers } for @m;
my $data = QdNode->new('data', settings => { %common, 'node.roles' => 'data' }, env => { MASTER_ADDRESSES => join ',', map { "127.0.0.1:$_->{transport}" } @m });
sub coordination { my ($n) = @_; return $n->get('/_cluster/coordination?master_timeout=30s')->{json} || {} }
sub settled { my ($n, $epoch) = @_; my $j; $n->wait_for(sub { $j = coordination($n); $j->{leader} && $j->{answered_by} eq 'leader' && (!$epoch || $j->{store}{epoch} == $epoch) }, 120); return $j }
sub index_made { my ($n, $name) = @_; my $r; $n->wait_for(sub { $r = $n->put("/$name?master_timeout=30s", { settings => { number_of_replicas => 0 } }); $r->{status} == 200 || $r->{content} =~ /already_exists/ }, 120); return $r->{status} }
# Runs qd with a node's settings and environment.
sub qd {
    my ($n, @words) = @_;
    local %ENV = (%ENV, %{ $n->{env} || {} });
    return $n->run_qd(@words, '-E', "path.data=$n->{dir}/data", '-E', "node.name=$n->{name}", '-E', 'cluster.name=quidditch');
}
my @force = ('mode', 'force', '--accept-data-loss');

$_->launch for @m, $data;
my $uuid = settled($data)->{cluster_uuid};
is(index_made($data, 'first'), 200, 'an index');
is($data->put('/first/_doc/1?refresh=true', { n => 1 })->{status}, 201, 'with a document');
is($m[2]->stop, 0, 'a master stops');
is(index_made($data, 'second'), 200, 'an index that it does not know');
$_->kill9 for @m[0, 1];

# --- masters are lost for ever; what is left is the folder of one of them
my ($rc, $out) = qd($m[0], @force, '--to', 'k8s-native', '--epoch', 1);
ok($rc == 78 && $out =~ /the settings give no access to Kubernetes/, 'Kubernetes has to be reached') or diag $out;
$_->{env} = {%env} for @m;
($rc, $out) = qd($m[0], 'mode', 'force', '--to', 'k8s-native', '--epoch', 1);
ok($rc == 64 && $out =~ /say --accept-data-loss/, 'not without a word that data may be lost') or diag $out;
($rc, $out) = qd($m[0], @force, '--to', 'k8s-native');
ok($rc == 64 && $out =~ /say --epoch/, 'nor without the epoch') or diag $out;
($rc, $out) = qd($m[0], @force, '--to', 'k8s-native', '--epoch', 'first');
ok($rc == 64 && $out =~ /--epoch: \[first\] is not an epoch/, 'nor with a word for it') or diag $out;
($rc, $out) = qd($m[0], @force, '--to', 'nowhere', '--epoch', 1);
ok($rc == 64 && $out =~ /--to: \[nowhere\] is neither k8s-native nor master/, 'nor to a store that there is not') or diag $out;
($rc, $out) = qd($m[0], @force, '--to', 'k8s-native', '--epoch', 7);
ok($rc == 1 && $out =~ /in charge under epoch 1, as far as this node knows, not 7/, 'nor with another one') or diag $out;
($rc, $out) = qd($data, @force, '--to', 'master', '--epoch', 1);
ok($rc == 1 && $out =~ /node\.lock|locked|pid/i, 'nor on a node that runs') or diag $out;
is($kube->get('/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates')->{json}{items}[0], undef, 'nothing was made by what was refused');
($rc, $out) = qd($m[0], @force, '--to', 'k8s-native', '--epoch', 1);
is($rc, 0, 'by force to Kubernetes') or diag $out;
like($out, qr/The state of the cluster \[\Q$uuid\E\] is in the store \[k8s-native\] now, under epoch 1001\.\nBase: the masters' store in this node's path\.data, revision \d+\.\nMay be lost: revisions (?:from )?\d+ /, 'it says what was taken, and what may be lost');
my $report = JSON::PP->new->decode(QdNode::slurp("$m[0]{dir}/data/forced-1001.json"));
is_deeply([@$report{qw(cluster_uuid lost_store lost_epoch store epoch)}], [$uuid, 'raft', 1, 'k8s', 1001], 'so does the report') or diag explain $report;
like($report->{may_be_lost}, qr/^revisions (?:from )?@{[$report->{base_revision} + 1]} /, 'which revisions');

# a master that was down all the time is not forced to be in charge again
($rc, $out) = qd($m[2], 'master', 'recover', '--unsafe');
ok($rc == 1 && $out =~ /the state of this node's cluster \[\Q$uuid\E\] is in Kubernetes \(k8s\), epoch 1001, which took over while this node was down/, 'recover names the store in charge') or diag $out;

# the cluster goes on
$m[0]{settings}{'coordination.mode'} = 'k8s-native';
$m[0]->launch;
my $j = settled($data, 1001);
is("$j->{mode}{chosen} $j->{store}{epoch} $j->{cluster_uuid}", "k8s-native 1001 $uuid", 'a data node follows') or diag explain $j;
is(index_made($data, 'third'), 200, 'changes are made');
is(join(' ', map { $data->get("/$_")->{status} } qw(first second third)), '200 200 200', 'on top of what was there');
ok($data->wait_for(sub { ($data->get('/first/_count')->{json}{count} // -1) == 1 }, 60), 'documents are there');

# --- the API is lost for ever; what is left is the old folder of a master, which has less
($rc, $out) = do { $m[0]->stop; qd($m[0], @force, '--to', 'master', '--epoch', 1001) };
ok($rc == 1 && $out =~ /the store in Kubernetes answers, and is in charge under epoch 1001: it is not lost.*qd migrate start --to master/, 'not while Kubernetes answers') or diag $out;
$kube->kill9;
($rc, $out) = qd($m[2], 'master', 'recover', '--unsafe');
ok($rc == 1 && $out =~ /cannot be asked whether it has taken the cluster over since/, 'recover is refused while Kubernetes cannot be asked') or diag $out;
($rc, $out) = qd($m[0], @force, '--to', 'master', '--epoch', 1001);
is($rc, 0, 'by force to a master') or diag $out;
like($out, qr/Kubernetes does not answer .*: taken for lost\.\n.*\[master\] now, under epoch 2001\.\n.*\nMay be lost: revisions \d+ to \d+, on which this node has acted, and any later ones/, 'it says which revisions are lost') or diag $out;
$report = JSON::PP->new->decode(QdNode::slurp("$m[0]{dir}/data/forced-2001.json"));
cmp_ok($report->{base_revision}, '<', $report->{acted_on_revision}, 'fewer than it had acted on');
$m[0]{settings}{'coordination.mode'} = 'master';
$m[0]{env} = {};
system('rm', '-rf', "$m[2]{dir}/data/coordination");
$m[2]{env} = {};
$_->launch for @m[0, 2];
$j = settled($data, 2001);
is("$j->{mode}{chosen} $j->{store}{epoch} $j->{cluster_uuid}", "master 2001 $uuid", 'a data node follows again') or diag explain $j;
ok($data->wait_for(sub { ($data->get('/first/_count')->{json}{count} // -1) == 1 }, 60), 'with its documents');
is($data->get('/third')->{status}, 404, 'what only the lost store had is lost');

# --- the API comes back: its store is of a lower epoch
$kube->revive;
$m[1]{env} = {%env};
$m[1]{settings}{'coordination.mode'} = 'k8s-native';
system('rm', '-rf', "$m[1]{dir}/data/coordination", "$m[1]{dir}/data/authority.json");
$m[1]->launch; # knows nothing of what happened, and takes the lost store for its own
ok($m[1]->wait_for(sub { (coordination($m[1])->{store}{epoch} // 0) == 1001 }, 60), 'a node without a record finds the lost store');
is(index_made($data, 'fourth'), 200, 'the cluster goes on');
$j = settled($data);
is("$j->{mode}{chosen} $j->{store}{epoch}", 'master 2001', 'and obeys the store that was forced');
$_->signal('TERM') for $m[1], $data, @m[0, 2];
is($_->stop, 0, "$_->{name} ends") for $data, @m[0, 2];
done_testing;
