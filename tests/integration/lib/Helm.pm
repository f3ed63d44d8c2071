package Helm;
# Helm.pm: the helm program for a test: HELM, or that of PATH, or of Go's folder.
#
#   Helm->skip_unless_there;                        # leaves the test, loudly
#   my ($status, $out) = Helm::run('lint', $chart); # notes about symbolic links left out
#   my ($status, $text) = Helm::template('quidditch', '--set', 'data.replicas=3');
#   my $chart = Helm::chart_for($kube, $dir);       # a copy in $dir, converted, in words, for a server older than 1.24
use strict;
use warnings;
use File::Temp ();
use QdNode;
use Test::More ();

my $chart = QdNode::top() . '/deploy/helm/quidditch';
my ($helm) = grep { -x } $ENV{HELM} // (), map({ "$_/helm" } split(/:/, $ENV{PATH}), ($ENV{GOBIN} // ()), ($ENV{HOME} // '') . '/go/bin');
my $home = File::Temp::tempdir('qd-helm-XXXXXX', TMPDIR => 1, CLEANUP => 1);

sub chart { $chart }
sub skip_unless_there {
    return if $helm;
    my $why = 'SKIPPED: there is no helm: go install helm.sh/helm/v3/cmd/helm@latest, or HELM=PATH';
    print STDERR "$why\n";
    Test::More::plan(skip_all => $why);
}
sub run {
    my (@arguments) = @_;
    local %ENV = (%ENV, HELM_CACHE_HOME => "$home/cache", HELM_CONFIG_HOME => "$home/config", HELM_DATA_HOME => "$home/data");
    open my $p, '-|', 'sh', '-c', 'exec "$0" "$@" 2>&1', $helm, @arguments or die "helm: $!";
    local $/;
    my $out = <$p>;
    close $p;
    $out =~ s/^.*found symbolic link in path.*\n//mg;
    return ($? >> 8, $out);
}
sub template {
    my ($release, @more) = @_;
    return run('template', $release, $chart, '--kube-version', '1.30.0', '--namespace', 'quidditch', @more);
}
sub chart_for {
    my ($kube, $dir) = @_;
    my $copy = "$dir/quidditch";
    system('cp', '-rL', $chart, $copy) == 0 or die "cp: $?";
    return $copy if $kube->{minor} >= 24;
    print STDERR "1.$kube->{minor}: policy/v1 and autoscaling/v2 of the chart are converted\n";
    for my $file ("$copy/Chart.yaml", glob "'$copy'/templates/*.yaml") {
        my $text = QdNode::slurp($file);
        $text =~ s{^apiVersion: policy/v1$}{apiVersion: policy/v1beta1}mg;
        $text =~ s{^apiVersion: autoscaling/v2$}{apiVersion: autoscaling/v2beta2}mg;
        $text =~ s{^kubeVersion:.*\n}{}mg;
        open my $f, '>', $file or die "$file: $!";
        print $f $text;
        close $f;
    }
    return $copy;
}
sub program { $helm }
1;
