#!/usr/bin/perl
# 041_yaml_k8s.t: the YAML tests of 040_yaml.t against a node whose state is in a real Kubernetes API server, with the
# same floor; what it asked of the API server is what its Role grants, nothing was refused.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../integration/lib";
use Coordination;
use KubeServer;
use QdNode;
use Test::More;
use YamlTests;

YamlTests->skip_unless_there;
-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
my $kube = KubeServer->new('yaml')->start;
my $account = $kube->install('quidditch', more => ['projections.yaml']);
my $node = QdNode->new('yaml', settings => {YamlTests::settings(), 'cluster.name' => 'quidditch', 'coordination.mode' => 'k8s-native',
    'coordination.k8s.kubeconfig' => $account->{kubeconfig}});
$node->start;
is(settled($node)->{store}{kind}, 'k8s', 'the state is in Kubernetes');
YamlTests::run($node);
ok($node->alive, 'the node lives');
is(settled($node)->{store}{kind}, 'k8s', 'the state is in Kubernetes at the end');
cmp_ok(scalar($kube->audited(user => $account->{user}, verb => 'update', resource => 'quidditchstates')), '>', $ENV{YAML_ONLY} ? 0 : 500, '... written by each of these tests');
is_deeply($kube->role_use($account)->{refused}, [], 'nothing was asked for that the roles do not grant');
$node->stop;
$kube->stop;
done_testing;
