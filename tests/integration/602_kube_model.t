# 602_kube_model.t: the requests of tests/k8s/requests, played to a real API server. unit/kube/model_t plays the
# same ones to the model: so both answer alike.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Open2;
use KubeServer;
use QdNode;
use Test::More;

KubeServer->skip_unless_built;
my $program = QdNode::top() . '/build/tests/kube_replay';
plan skip_all => "there is no $program" unless -x $program;
my $kube = KubeServer->new('requests')->start;
plan skip_all => "the answers were recorded from 1.20, this is 1.$kube->{minor}" if $kube->{minor} != 20;
my ($status, $out) = $kube->kubectl('create', 'serviceaccount', 'nobody');
is($status, 0, 'a service account without rights') or diag $out;
my $nobody = $kube->account('default', 'nobody');
my @files = sort glob(QdNode::top() . '/tests/k8s/requests/*.txt');
cmp_ok(scalar @files, '>', 5, 'files of requests');
for my $file (@files) {
    my ($name) = $file =~ m{([^/]+)\.txt$};
    my $pid = open2(my $from, my $to, $program, '--server', $kube->{url}, '--token', $kube->{token}, '--nobody', $nobody->{token}, $file);
    my @different;
    while (my $line = <$from>) {
        push @different, $line if $line =~ /^#/;
        next unless $line =~ /^COMPACT/;
        $kube->compact;
        $kube->restart;
        print {$to} "done\n";
        $to->flush;
    }
    waitpid $pid, 0;
    is($?, 0, "$name: answered as recorded") or diag @different;
}
$kube->stop;
done_testing;
