#!/usr/bin/perl
# 060_oracle.t: the same requests to an OpenSearch node and to ours, answers compared: the corpora of
# tests/peers/opensearch/corpus, one test for each request. The node comes from Maven by the names in
# tests/peers/opensearch/pom.xml; it is kept in build/peers/opensearch.
#   ORACLE_ONLY=docs,write   only these corpora
use strict;
use warnings;
use File::Basename qw(dirname basename);
use File::Path qw(make_path);
use lib dirname(__FILE__) . '/../integration/lib', dirname(__FILE__) . '/../peers/opensearch';
use IO::Handle;
use Oracle;
use QdNode;
use Test::More;

my $top = QdNode::top();
my $peer = "$top/tests/peers/opensearch";
my $home = "$QdNode::OUT/peers/opensearch";
for my $program (qw(mvn java javac)) {
    plan skip_all => "SKIPPED: $program is missing (apt-get install maven default-jdk-headless)"
        unless grep { -x "$_/$program" } split /:/, $ENV{PATH};
}

# The node's jars and the launcher, once.
make_path("$home/classes");
my $log = "$home/log";
if (!-f "$home/done") {
    diag('fetching OpenSearch from Maven, once: see ' . $log);
    system("mvn -q -B -f '$peer/pom.xml' dependency:copy-dependencies -DincludeScope=runtime "
            . "-DoutputDirectory='$home/lib' >'$log' 2>&1") == 0
        or plan skip_all => "SKIPPED: Maven does not give OpenSearch, see $log";
    open my $f, '>', "$home/done" or die "$home/done: $!";
}
is(system("javac -nowarn -cp '$home/lib/*' -d '$home/classes' '$peer/Node.java' >>'$log' 2>&1"), 0, 'the launcher is built')
    or BAIL_OUT("see $log");

# It ends when its standard input does.
my $dir = File::Temp::tempdir('oracle-XXXXXX', TMPDIR => 1, CLEANUP => 1);
pipe my $in, my $hold or die "pipe: $!";
my $pid = fork // die "fork: $!";
if ($pid == 0) {
    close $hold;
    open STDIN, '<&', $in;
    open STDOUT, '>>', $log;
    open STDERR, '>>', $log;
    exec 'java', '-Xms512m', '-Xmx900m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', "$home/lib/*:$home/classes",
        'Node', $dir, 'test'
        or POSIX::_exit(127);
}
close $in;
my $node = QdNode->new('node-1', settings => {'compatibility.identity' => 'os2',
    'action.destructive_requires_name' => 'false'});
$node->start;
QdNode->wait_for(sub { -f "$dir/http" || waitpid($pid, POSIX::WNOHANG()) != 0 }, 180, 0.1);
my ($address) = -f "$dir/http" ? QdNode::slurp("$dir/http") : ();
ok($address, 'OpenSearch answers') or BAIL_OUT("see $log");

my $oracle = Oracle->new(peer => "http://$address", ours => $node->url);
my @files = $ENV{ORACLE_ONLY} ? map { "$peer/corpus/$_.txt" } split /,/, $ENV{ORACLE_ONLY} : sort glob "$peer/corpus/*.txt";
my %count = (equal => 0, allowed => 0, different => 0);
for my $file (@files) {
    $oracle->clear;
    for my $r (Oracle::read_corpus($file)) {
        my $c = $oracle->compare($r);
        next if $r->{flags}{quiet};
        my @d = @{$c->{differences}};
        $count{@d ? 'different' : $c->{allowed} ? 'allowed' : 'equal'}++;
        my $path = $r->{path} =~ s/[^\x21-\x7e]|#/?/gr;
        ok(!@d, "$r->{file}:$r->{line} $r->{method} " . substr $path, 0, 80)
            or diag(map { sprintf "%s\n  peer %s\n  ours %s\n", map { substr $_, 0, 400 } @$_ } @d);
    }
}
diag("$count{equal} equal, $count{allowed} with allowed differences, $count{different} different");
ok($node->alive, 'our node lives');
$node->stop;
close $hold;
waitpid $pid, 0;
done_testing;
