# 615_k8s_conformance.t: the contract of the coordination kind, kept by coordination-k8s over a real API server with
# no more than its role grants; and what it says of a configuration that cannot be.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use KubeServer;
use QdNode;
use Test::More;

KubeServer->skip_unless_built;
my $kube = KubeServer->new('contract')->start;
my $account = $kube->install('quidditch');
my $plugin = "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so";

sub check {
    my (@arguments) = @_;
    open my $p, '-|', 'sh', '-c', 'exec "$0" "$@" 2>&1', QdNode::qd(), 'plugin', 'check', @arguments, $plugin or die "qd: $!";
    local $/;
    my $out = <$p>;
    close $p;
    return ($? >> 8, $out // '');
}

# --- the kit ----------------------------------------------------------------------------------------------------
my ($status, $out) = check('--option', "k8s.kubeconfig=$account->{kubeconfig}");
is($status, 0, 'the conformance kit passes over a real API server') or diag $out;
like($out, qr/^ok \d+ - increments are not lost$/m, '... all of it');
unlike($out, qr/^not ok/m, '... without a failure');
my $use = $kube->role_use($account);
is_deeply($use->{refused}, [], 'nothing was asked for that its role does not grant');
my ($root) = grep { $_->{metadata}{name} eq 'conformance' } @{$kube->get('/apis/quidditch.io/v1/namespaces/quidditch/quidditchstates')->{json}{items}};
is($root->{spec}{state}, 'active', 'the state is there');
my $lease = $kube->get('/apis/coordination.k8s.io/v1/namespaces/quidditch/leases/conformance-leader')->{json}{spec};
is($lease->{holderIdentity} // '', '', 'its lease was given up at the end');
like($lease->{leaseTransitions}, qr/^[1-9]/, '... having changed hands');

# --- what cannot be ---------------------------------------------------------------------------------------------
($status, $out) = check('--option', 'k8s.kubeconfig=/nowhere/kubeconfig');
isnt($status, 0, 'a kubeconfig that is not there is an error at once');
like($out, qr{/nowhere/kubeconfig}, '... with its name');
($status, $out) = check('--option', "k8s.kubeconfig=$account->{kubeconfig}", '--option', 'k8s.context=other');
like($out, qr/other/, 'so is a context that is not in it');
($status, $out) = check('--option', "k8s.kubeconfig=$account->{kubeconfig}", '--option', 'k8s.lease_duration=1s');
like($out, qr/lease_duration/, 'and a lease shorter than its renewal');
done_testing;
