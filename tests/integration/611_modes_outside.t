#!/usr/bin/perl
# 611_modes_outside.t: mode k8s-native over a store that no node of the cluster runs (a toy that lives in the
# process of one control node): a node that only coordinates holds the store and leads, a data node joins through
# it, without a master; what the log, _cluster/coordination and qd mode say of it.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use QdNode;

my %both = ('cluster.name' => 'outside', 'cluster.routing.allocation.disk.threshold_enabled' => 'false', 'metrics.port' => -1, 'transport.rpc_port' => -1);
my $control = QdNode->new('control');
my $data = QdNode->new('data');
$control->{settings} = { %both, 'node.roles' => 'coordination,ingest', 'coordination.plugin' => 'toy-outside', plugin_for($control, 'toy-outside') };
$control->{env} = { USE_K8S_COORDINATION => 'true' };
$data->{settings} = { %both, 'node.roles' => 'data' };
$data->{env} = { USE_K8S_COORDINATION => 'true', MASTER_ADDRESSES => "127.0.0.1:$control->{transport}" };
$control->start;
$data->start;
my $j;
ok($data->wait_for(sub { $j = coordination($data); $j->{leader} && $j->{answered_by} eq 'leader' }, 120), 'somebody leads') or diag explain $j;
is_deeply([@{ $j->{mode} }{qw(asked chosen)}, $j->{store}{kind}, $j->{leader}{name}, @{ $j->{node} }{qw(role holds_store)}],
    ['k8s-native', 'k8s-native', 'k8s', 'control', 'client', JSON::PP::false()], 'a data node tells what the control node has told') or diag explain $j;
$j = coordination($control);
is_deeply([@{ $j->{mode} }{qw(asked chosen)}, @{ $j->{store} }{qw(kind plugin)}, $j->{leader}{name}, $j->{node}{holds_store}],
    ['k8s-native', 'k8s-native', 'k8s', 'toy-outside', 'control', JSON::PP::true()], 'a node that only coordinates holds the store') or diag explain $j;
is($control->put('/docs', { settings => { number_of_shards => 2, number_of_replicas => 0 } })->{status}, 200, 'an index is made');
is($control->put("/docs/_doc/$_?refresh=true", { n => $_ })->{status}, 201, 'and filled') for 1, 2;
my %on = map { $_->{node} => 1 } @{ $control->get('/_cat/shards/docs?format=json&h=node')->{json} };
is(join(' ', sort keys %on), 'data', 'on the data node');
like($control->log_text, qr/using K8S-native mode\n(?:.*\n)*.*using k8s-native: coordination\.mode is \[k8s-native\]/, 'the log of the control node has both spellings');
like($data->log_text, qr/connected to control node \[control\] at \[127\.0\.0\.1:$control->{transport}\]/, 'the data node is connected to a control node');
like($data->log_text, qr/using k8s-native: /, 'and says what that holds');
unlike($_->log_text, qr/connected to master/, "$_->{name}: there are no masters") for $control, $data;
like(($data->run_qd('mode', '--url', $data->url))[1], qr/^mode +k8s-native \(asked for: k8s-native\)\n(?:.*\n)*store +k8s, active/m, 'qd mode');
ok(!-d "$data->{dir}/data/coordination" && !-d "$control->{dir}/data/coordination", 'nobody has a folder of masters');

# --- the data node's settings ask for masters now: it stays
$data->stop;
$data->{env}{USE_K8S_COORDINATION} = 'false';
$data->start;
$j = coordination($data);
is("$j->{mode}{asked} $j->{mode}{chosen} $j->{store}{kind}", 'master k8s-native k8s', 'a changed setting is a wish');
ok($j->{mode}{migration_wanted}, 'that waits for a migration');
ok($control->wait_for(sub { my $w = coordination($control)->{mode}{wanted_by}; @$w == 1 && "$w->[0]{name} $w->[0]{mode}" eq 'data master' }, 60), 'and that the control node knows');
like($data->log_text, qr/WARN.*the setting \[master\] waits: .*qd migrate start --to master/, 'as the log says');
ok($data->wait_for(sub { 2 == grep { ($_->get('/_cluster/health')->{json}{status} // '') eq 'green' } $control, $data }, 120), 'its shards are opened again');
is($control->get('/docs/_count')->{json}{count}, 2, 'all is as it was');

# --- the control node is gone, having written down where the state is
ok($control->wait_for(sub { QdNode::slurp("$control->{dir}/data/authority.json") =~ /"store" : "k8s"/ }, 60), 'it is in the record');
$control->kill9;
ok($data->wait_for(sub { my $s = coordination($data)->{store}; defined $s->{reachable} && !$s->{reachable} }, 120), 'the store is not reached') or diag explain coordination($data);
my ($rc, $out) = $control->run_qd('master', 'recover', '--unsafe', '-E', "path.data=$control->{dir}/data");
ok($rc == 1 && $out =~ /is in Kubernetes since epoch 1 or before, no masters hold it/, 'masters are not made of it by force') or diag "$rc: $out";
my $r = $data->put('/more?master_timeout=1s', {});
is($r->{status}, 503, 'no index is made');
like($r->{content}, qr/"coordination_unavailable".*the one in Kubernetes \(k8s\), control epoch 1, cannot be reached: .*let the control nodes reach the API of Kubernetes again/, 'why, and what helps') or diag $r->{content};
is($data->get('/docs/_count')->{json}{count}, 2, 'searches go on');
like($data->log_text, qr/no control node is connected any more/, 'as the log says');
is($data->stop, 0, 'it stops cleanly');
done_testing;
