#!/usr/bin/perl
# 050_clients.t: programs that others wrote against a node: elasticsearch-py 7.17 of Debian's
# python3-elasticsearch and @elastic/elasticsearch 8 of npm (kept in build/npm; fetched once).
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use lib dirname(__FILE__) . '/lib';
use QdNode;
use Test::More;

my $clients = QdNode::top() . '/tests/clients';
my $node = QdNode->new('clients');
$node->start;
my $search = $node->get('/_search?size=0')->{status} == 200 ? 'search' : '';
$node->put('/probe', {mappings => {properties => {k => {type => 'keyword'}}}});
my $aggs = $node->post('/probe/_search', {aggs => {a => {terms => {field => 'k'}}}})->{status} == 200;
$node->delete('/probe');
diag('there is no search yet: clients only index and read') unless $search;
diag('there are no aggregations yet') unless $aggs;
my @parts = ($search || (), $aggs ? 'aggs' : ());

sub run_tap {
    my ($what, @command) = @_;
    subtest $what => sub {
        open my $p, '-|', 'sh', '-c', 'exec "$0" "$@" 2>&1', @command or die "$what: $!";
        my ($planned, $seen) = (0, 0);
        while (<$p>) {
            if (/^(not )?ok \d+ - (.*)/) { $seen++; ok(!$1, $2) }
            elsif (/^1\.\.(\d+)/) { $planned = $1 }
            else { chomp; diag($_) }
        }
        close $p;
        is($?, 0, 'ends with status 0');
        ok($planned && $planned == $seen, 'comes to its end');
    };
}

SKIP: {
    skip 'SKIPPED: python3-elasticsearch is not installed', 1
        if system('/usr/bin/python3 -c "import elasticsearch" 2>/dev/null');
    run_tap('elasticsearch-py 7.17', '/usr/bin/python3', "$clients/python7.py", $node->url, @parts);
}
SKIP: {
    skip 'SKIPPED: there is no node', 1 if system('command -v node >/dev/null');
    my $dir = QdNode::top() . '/build/npm';
    my $module = "$dir/node_modules/\@elastic/elasticsearch";
    if (!-d $module) {
        make_path($dir);
        system("cd '$dir' && timeout 120 npm install --no-audit --no-fund --silent \@elastic/elasticsearch\@8 >npm.log 2>&1");
    }
    skip 'SKIPPED: @elastic/elasticsearch 8 cannot be had from npm', 1 unless -d $module;
    local $ENV{CLIENT_DIR} = $dir;
    run_tap('@elastic/elasticsearch 8', 'node', "$clients/js8.mjs", $node->url, @parts);
}
is($node->stop, 0, 'the node ends cleanly');
done_testing;
