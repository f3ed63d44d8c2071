#!/usr/bin/perl
# 003_exit_status.t: how both programs end when the command line (64) or the settings (78) cannot be: one rule for
# the file, flags, the environment and what a kubeconfig says; the sentence names the setting, the file and the place.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use QdNode;
use Test::More;

my $node = QdNode->new('status');
my $dir = $node->{dir};
sub file { my ($name, $text) = @_; open my $f, '>', "$dir/$name" or die "$name: $!"; print $f $text; close $f; return "$dir/$name" }

sub ends {
    my ($env, @command) = @_;
    local %ENV = (%ENV, QUIDDITCH_URL => 'http://127.0.0.1:1', %$env);
    delete $ENV{$_} for grep { !defined $ENV{$_} } keys %ENV;
    open my $p, '-|', 'sh', '-c', 'exec timeout 60 "$0" "$@" 2>&1 </dev/null', @command or die;
    local $/;
    my $out = <$p> // '';
    close $p;
    return ($? >> 8, $out);
}

# --- qd: 64 for a command line that cannot be, 78 for settings, else 1 (health and segment check have statuses of their own)
(my $qd = QdNode::daemon()) =~ s/quidditchd$/qd/;
for my $c ([64, 'mode', '--nonsense'], [64, 'mode', 'nonsense'], [64, 'mode', '--url'], [64, 'mode', 'force', '--to', 'nowhere'], [64, 'mode', 'force', '-E', 'nothing'], [64, 'migrate'],
    [64, 'migrate', '--nonsense'], [64, 'migrate', 'nonsense'], [64, 'migrate', 'start'], [64, 'migrate', 'start', 'stop'], [64, 'master', 'list', '--nonsense'], [64, 'master', 'recover'], [64, 'node', 'stop', '--timeout', 'x'],
    [64, 'node', 'nonsense'], [64, 'health', '--nonsense'], [64, 'health', 'nonsense'], [64, 'search'], [64, 'search', 'docs', '--size', 'x'], [64, 'index'], [64, 'index', '--nonsense'],
    [64, 'recover'], [64, 'recover', '--accept-older-state'], [64, 'config', 'list', '--nonsense'], [64, 'plugin', 'list', '--nonsense'], [64, 'segment', 'check'], [64, 'segment', 'check', '--nonsense'],
    [64, 'api', '--nonsense'], [64, 'bench', 'index', '--nonsense'], [64, 'nonsense'], [64],
    [78, 'config', 'check', file('bad.yml', "http:\n  prot: 1\n")], [78, 'config', 'check', "$dir/none.yml"], [78, 'mode', 'force', '--to', 'master', '--epoch', 1, '--accept-data-loss', '--config', "$dir/bad.yml"],
    [78, 'mode', 'force', '--to', 'k8s-native', '--epoch', 1, '--accept-data-loss', '-E', "path.data=$dir/forced"], [78, 'master', 'recover', '--unsafe', '-E', 'http.prot=1'],
    [1, 'mode'], [1, 'migrate', 'status'], [1, 'master', 'list'], [1, 'node', 'release'], [1, 'search', 'docs', 'x'], [1, 'recover', '--accept-older-state', '--data', "$dir/none"], [2, 'health']) {
    my ($want, @words) = @$c;
    my ($status, $out) = ends({ KUBECONFIG => undef, KUBERNETES_SERVICE_HOST => undef }, $qd, @words);
    is($status, $want, "qd @words") or diag $out;
    like($out, qr/^(?:qd |usage: )|: /m, 'and says why');
}

# --- quidditchd
my @start = (QdNode::daemon(), '-E', "path.data=$dir/data", '-E', 'http.port=' . QdNode::free_port(), '-E', 'transport.port=' . QdNode::free_port());
sub refused {
    my ($status, $says, $name, $env, @more) = @_;
    my ($is, $out) = ends($env, @start, @more);
    is($is, $status, $name) or diag $out;
    like($out, $says, 'in words');
    return if grep { $_ eq '--check-config' } @more;
    my ($checked, $told) = ends($env, @start, @more, '--check-config');
    is($checked, $status, '... --check-config tells it, too') or diag $told;
    like($told, $says, '... in the same words');
}
refused(64, qr/-E wants key=value, not \[nothing\]/, 'a flag that is none', {}, '-E', 'nothing');
refused(78, qr/unknown setting \[http\.prot\].*\(flag -E\)/, 'a setting that is none', {}, '-E', 'http.prot=1');
refused(78, qr/\[perhaps\].*\(environment variable K8S_FALLBACK\)/, 'one of the environment', { K8S_FALLBACK => 'perhaps' });

# every mistake is told, not only the first
{
    my $bad = "$dir/bad.yml";
    open my $f, '>', $bad or die;
    print $f "nodename: x\nhttp.port: 99999\nnode.name: y\n";
    close $f;
    my ($s, $told) = ends({ REST_PORT => 'x' }, $qd, 'config', 'check', $bad);
    is($s, 78, 'qd config check of several mistakes');
    like($told, qr/\[nodename\] did you mean \[node\.name\]\? \(\Q$bad\E, line 1\)/, 'names one');
    like($told, qr/\[x\] for setting \[http\.port\] \(environment variable REST_PORT\)/, '... and one of the environment');
    like($told, qr/^qd config: 2 mistakes in the settings: \Q$bad\E\n\z/m, '... and counts them');
    ($s, $told) = ends({}, QdNode::daemon(), '--check-config', '--config', $bad, '-E', 'path.dat=x');
    is($s, 78, 'so does --check-config');
    like($told, qr/\[nodename\].*\n/, "... naming $_->[1]") && like($told, $_->[0], "... on a line of its own")
        for [qr/^quidditchd: [^\n]*\[99999\]/m, 'the port'], [qr/^quidditchd: [^\n]*\[path\.dat\]/m, 'the flag'];
    is(() = $told =~ /^quidditchd: /mg, 3, '... each once');
}
for my $command (split /\n/, `$qd completion words`) {
    my ($c) = $command =~ /^(\S+)/;
    for my $word ('', grep { !/^-/ } map { /^(\S+)/ } split /\n/, `$qd completion words $c`) {
        next if $c eq 'completion' && $word;
        my ($s, $told) = ends({}, $qd, $c, $word || (), '--help');
        is($s, 0, "qd $c $word --help") or diag $told;
    }
}

# what new indices are to have is looked at now, not when the first one is made
my $defaults = file('defaults.yml', "cluster:\n  default:\n    index:\n      refresh_interval: 1s\n      number_of_replicas: many\n");
refused(78, qr/cluster\.default\.index\.\*: .*\[many\] for setting \[index\.number_of_replicas\].*\(\Q$defaults\E, line 5\)/, 'a default of indices in the file', {}, '--check-config', '--config', $defaults);
refused(78, qr/cluster\.default\.index\.\*: unknown setting \[index\.refresh_intervall\].*did you mean.*\(flag -E\)/, 'one by flag, misspelt', {}, '--check-config', '-E', 'cluster.default.index.refresh_intervall=1s');
refused(0, qr/the settings are valid/, 'good ones are fine', {}, '--check-config', '-E', 'cluster.default.index.number_of_replicas=0');

# access to Kubernetes: a kubeconfig that cannot be is configuration as any other
mkdir "$dir/folder" or die;
my $server = "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nclusters: [{name: k, cluster: {server: 'https://127.0.0.1:1'}}]\n";
file('exec', "${server}users: [{name: u, user: {exec: {command: aws}}}]\n");
file('empty', '');
file('words', "a word\n");
file('torn', "contexts: [{name: c\n");
my $k8s = { map { ($_ => undef) } qw(KUBERNETES_SERVICE_HOST HOME) };
for my $c (["$dir/none", qr/\(or KUBECONFIG\): \Q$dir\E\/none: there is no such file/], ["$dir/folder", qr/\(or KUBECONFIG\): \Q$dir\E\/folder: the file is a folder/], ["$dir/empty", qr/\Q$dir\E\/empty: the file is empty/],
    ["$dir/words", qr/\Q$dir\E\/words: this is no kubeconfig/], ["$dir/torn", qr/\Q$dir\E\/torn: line \d+, column \d+: /], ["$dir/none:$dir/gone", qr/\Q$dir\E\/none:\Q$dir\E\/gone: none of these files exists/], [':', qr/:: no file is named/],
    ["$dir/none:$dir/folder", qr/\Q$dir\E\/folder: the file is a folder/], ["$dir/exec", qr/\Q$dir\E\/exec: users\[u\]\.exec: plugins that fetch credentials are not run/]) {
    my ($paths, $says) = @$c;
    refused(78, $says, "KUBECONFIG=$paths", { %$k8s, KUBECONFIG => $paths }, '-E', 'coordination.mode=k8s-native');
}
SKIP: {
    skip 'this user may read everything', 2 if $> == 0;
    chmod 0, "$dir/words" or die;
    refused(78, qr/\Q$dir\E\/words: the file may not be read by this process/, 'one that may not be read', { %$k8s, KUBECONFIG => "$dir/words" }, '-E', 'coordination.mode=k8s-native');
}
# one that is sound is read, and nobody is asked; what the start goes on without is a warning
my $api = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5, Blocking => 0) or die "listen: $!";
(my $sound = $server) =~ s/127\.0\.0\.1:1/'127.0.0.1:' . $api->sockport/e;
file('sound', "${sound}users: [{name: u, user: {token: t}}]\n");
(my $pathless = $sound) =~ s/^current-context.*\n//m;
file('no_context', "${pathless}users: [{name: u, user: {token: t}}]\n");
my ($good, $told) = ends({ %$k8s, KUBECONFIG => "$dir/sound" }, QdNode::daemon(), '--check-config', '-E', "path.data=$dir/fresh", '-E', 'coordination.mode=k8s-native');
is($good, 0, 'a kubeconfig that is sound') or diag $told;
ok(!$api->accept, '... and the API is not asked');
ok(!-e "$dir/fresh/coordination-copy", '... and nothing is left behind');
refused(78, qr/\Q$dir\E\/no_context: .*context/, 'one without a context', { %$k8s, KUBECONFIG => "$dir/no_context" }, '-E', 'coordination.mode=k8s-native');
refused(78, qr/\Q$dir\E\/sound: .*\bgone\b/, 'one without the context that is asked for', { %$k8s, KUBECONFIG => "$dir/sound" }, '-E', 'coordination.mode=k8s-native', '-E', 'coordination.k8s.context=gone');
refused(78, qr/\Q$dir\E\/none: there is no such file/, 'one that a claim needs', { %$k8s, KUBECONFIG => "$dir/none", K8S_FALLBACK => 'true' }, '-E', 'coordination.mode=auto', '-E', 'discovery.seed_hosts=127.0.0.1:1');
refused(0, qr/^the settings are valid/m, 'a bad one that nobody needs', { %$k8s, KUBECONFIG => "$dir/none" }, '--check-config', '-E', 'coordination.mode=master');
refused(0, qr/^warning: the store \[k8s-native\] would not be there.*\Q$dir\E\/none: there is no such file.*^the settings are valid/ms, 'a bad one of the second store', { %$k8s, KUBECONFIG => "$dir/none", K8S_FALLBACK => 'true' }, '--check-config', '-E', 'coordination.mode=master');
# several are read as kubectl reads them: of what more than one has the first counts, those that are not there are passed over
file('user', "users: [{name: u, user: {token: t}}]\n");
file('context', "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u, namespace: Bad_Name}}]\n");
file('cluster', $server);
refused(78, qr/\Q$dir\E\/context: contexts\[c\]\.namespace: "Bad_Name" is no name of a namespace/, 'several files are one', { %$k8s, KUBECONFIG => "$dir/none:$dir/context:$dir/cluster:$dir/user" }, '-E', 'coordination.mode=k8s-native');
refused(78, qr/coordination\.k8s\.namespace \(or LEADER_ELECTION_NAMESPACE, POD_NAMESPACE\): "Bad_Name" cannot be a namespace/, 'a namespace that cannot be',
    { %$k8s, KUBECONFIG => "$dir/cluster:$dir/user", LEADER_ELECTION_NAMESPACE => 'Bad_Name' }, '-E', 'coordination.mode=k8s-native');
refused(78, qr/neither a service account nor a kubeconfig was found/, 'no access at all', { %$k8s, KUBECONFIG => undef }, '-E', 'coordination.mode=k8s-native');

done_testing;
