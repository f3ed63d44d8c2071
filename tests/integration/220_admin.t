#!/usr/bin/perl
# The APIs about node and cluster of a real node, over HTTP: identity, health, tables, settings,
# figures, and what they say after a restart.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('admin', settings => {'node.attr.zone' => 'east', 'path.repo' => '/x'});
$node->start;

my $r = $node->get('/');
is($r->{status}, 200, 'GET /');
is($r->{json}{version}{number}, '8.19.0', 'version of the identity');
is($r->{json}{tagline}, 'You Know, for Search', 'tagline');
is($r->{headers}{'x-elastic-product'}, 'Elasticsearch', 'product header');
is($node->get('/ready')->{status}, 200, 'ready');
is($node->get('/health')->{json}{status}, 'ok', 'alive');

$node->put('/books', {settings => {number_of_shards => 2, number_of_replicas => 0}});
$node->put('/books/_doc/1?refresh=true', {title => 'one'});
$r = $node->get('/_cluster/health?wait_for_status=green&timeout=20s');
is($r->{json}{status}, 'green', 'green');
is($r->{json}{active_shards}, 2, 'shards');

$r = $node->get('/_cat/health?v');
my @lines = split /\n/, $r->{content};
is(scalar @lines, 2, '_cat/health has a head and a row');
is(scalar(split ' ', $lines[0]), scalar(split ' ', $lines[1]), 'as many columns');
like($r->{headers}{'content-type'}, qr{^text/plain}, 'as text');
like($node->get('/_cat/indices')->{content}, qr/^green open books \S{22} 2 0 1 0 /, '_cat/indices');
is($node->get('/_cat/indices?format=json&h=index')->{json}[0]{index}, 'books', 'as JSON');
like($node->get('/_cat/indices?format=yaml&h=index')->{content}, qr/^---\n- index: "books"\n/, 'as YAML');
like($node->get('/_cat/plugins')->{content}, qr/^admin storage-nvme /m, '_cat/plugins');
is($node->get('/_cat/nope')->{status} >= 400, 1, 'no such table');

my ($id) = keys %{$node->get('/_nodes/plugins')->{json}{nodes}};
$r = $node->get('/_nodes/plugins')->{json}{nodes}{$id};
like($r->{plugins}[0]{sha256}, qr/^[0-9a-f]{64}$/, 'hash of a plugin');
is($r->{attributes}{zone}, 'east', 'attribute');
$r = $node->get('/_nodes/stats/http,jvm')->{json}{nodes}{$id};
cmp_ok($r->{http}{current_open}, '>=', 1, 'connections are counted');
cmp_ok($r->{jvm}{mem}{heap_used_percent}, '>=', 0, 'memory');
is($node->get('/_stats')->{json}{_all}{total}{docs}{count}, 1, '_stats');

$r = $node->put('/_cluster/settings?flat_settings', {persistent => {'search.max_buckets' => 77}});
is($r->{json}{acknowledged} ? 1 : 0, 1, 'settings');
is($node->put('/_cluster/settings', {persistent => {'http.port' => 1}})->{status}, 400, 'static setting');
$r = $node->post('/_analyze', {analyzer => 'standard', text => 'Two words'});
is(join(' ', map { $_->{token} } @{$r->{json}{tokens}}), 'two words', '_analyze');
like($node->get('/metrics')->{content}, qr/^quidditch_indexing_docs_total 1$/m, 'metrics');

for my $what (qw(metrics api)) {
    like(`'@{[QdNode::qd()]}' $what nosuchword 2>&1`, qr/^qd $what: no name contains \[nosuchword\]$/, "qd $what with a word that nothing has");
    is($? >> 8, 1, '... fails');
}
{ # every metric of the table is shown, and those of the store of the cluster's state follow it
    my %type = $node->get('/metrics')->{content} =~ /^# TYPE (\w+) (\w+)$/mg;
    my %row = map { /^(\w+)\S*  (\w+)$/ ? ($1 => $2) : () } split /\n/, `'@{[QdNode::qd()]}' metrics`;
    is(join(' ', grep { ($type{$_} // '') ne $row{$_} } sort keys %row), '', 'all metrics of `qd metrics` are shown');
    is(join(' ', grep { !/^quidditch_plugin_/ && !$row{$_} } sort keys %type), '', 'and no others');
    my %raft = $node->get('/metrics')->{content} =~ /^quidditch_plugin_coordination_raft_(\w+) (\d+)$/mg;
    cmp_ok($raft{term}, '>=', 1, 'term of the log');
    cmp_ok($raft{commit_index}, '>=', 1, 'entries are committed');
    is("$raft{leads} $raft{leader_known} $raft{voters} $raft{failed}", '1 1 1 0', 'this node leads alone');
    cmp_ok($raft{leader_changes_total}, '>=', 1, 'its election is counted');
    like($node->get('/metrics')->{content}, qr/^quidditch_index_docs\{index="books"\} 1$/m, 'figures of an index');
    like($node->get('/metrics')->{content}, qr/^quidditch_coordination_info\{mode="master",store="raft"\} 1$/m, 'where the state is kept');
}

# what is taken and has no effect in this version is told
like($node->log_text, qr{WARN.*\[settings .*the node setting \[path\.repo\] has no effect in this version: .* \(flag -E\)}, 'in the log at the start');
sub warned { my ($r) = @_; my $w = $r->{headers}{warning} // ''; return ref $w ? join "\n", @$w : $w }
my $w = qr{^299 Elasticsearch-8\.19\.0-[0-9a-f]{40} "the}m;
$r = $node->put('/_cluster/settings', {transient => {'storage.gc_grace' => '2h', 'indices.merge.max_bytes_per_sec' => '1mb', 'search.max_buckets' => 70000}});
is($r->{status}, 200, 'settings');
like(warned($r), qr{$w node setting \[storage\.gc_grace\] has no effect in this version: Age at .*"$}m, 'a warning');
like(warned($r), qr{$w node setting \[indices\.merge\.max_bytes_per_sec\] has no effect in this version: }m, 'for each');
unlike(warned($r), qr/max_buckets/, 'that has no effect');
is(warned($node->put('/_cluster/settings', {transient => {'storage.gc_grace' => undef, 'indices.merge.max_bytes_per_sec' => undef, 'search.max_buckets' => undef}})), '', 'none of what is taken away');
like(warned($node->put('/later', {settings => {'index.merge.scheduler.auto_throttle' => 'false', number_of_replicas => 0}})), qr{$w index setting \[index\.merge\.scheduler\.auto_throttle\] has no effect in this version: }, 'of a new index');
like(warned($node->put('/later/_settings', {'index.merge.scheduler.max_merge_count' => 3})), qr{$w index setting \[index\.merge\.scheduler\.max_merge_count\]}, 'of a change');
is(warned($node->put('/later/_settings', {'index.merge.scheduler.max_merge_count' => 0})), '', 'not of the default');
is(warned($node->put('/later/_settings', {'index.store.stats_refresh_interval' => '10s', 'index.refresh_interval' => '2s'})), '', 'nor of what has its effect');
like(warned($node->put('/_index_template/later', {index_patterns => ['later-*'], template => {settings => {'index.merge.scheduler.auto_throttle' => 'false'}}})), qr{$w index setting \[index\.merge\.scheduler\.auto_throttle\]}, 'of a template');
$node->delete('/_index_template/later');
like(warned($node->put('/later/_settings', {'index.translog.retention.age' => '1h'})), qr{$w index setting \[index\.translog\.retention\.age\] is deprecated and has no effect: }, 'of what is deprecated');
{ # once for each client in the log
    my $told = sub { scalar grep { /WARN.*\[deprecation *\].*\[index\.translog\.retention\.age\].*api\[indices\.put_settings\], id\[$_[0]\]/ } split /\n/, $node->log_text };
    is($told->(''), 1, 'the log has it');
    $node->request('PUT', '/later/_settings', {'index.translog.retention.age' => "${_}h"}, 'X-Opaque-Id' => 'kibana') for 2 .. 4;
    $node->put('/later/_settings', {'index.translog.retention.age' => '5h'});
    is($told->('') . $told->('kibana'), '11', 'once for a client');
    $node->put('/_cluster/settings', {transient => {'logger.deprecation' => 'error'}});
    $node->request('PUT', '/later/_settings', {'index.translog.retention.age' => '6h'}, 'X-Opaque-Id' => 'quiet');
    is($told->('quiet'), 0, 'not at level error');
    $node->put('/_cluster/settings', {transient => {'logger.deprecation' => undef}});
}
$node->delete('/later');
{
    open my $f, '>', "$node->{dir}/check.yml" or die;
    print $f "cluster.name: x\npath.repo: /x\nindices.queries.cache.count: 10000\nsearch.keep_alive_interval: 2m\n";
    close $f;
    my ($status, $out) = $node->run_qd('config', 'check', "$node->{dir}/check.yml");
    is($status, 0, 'qd config check');
    like($out, qr{^\S+check\.yml, line 2: the node setting \[path\.repo\] has no effect in this version: }m, 'tells them with their line');
    like($out, qr{^\S+check\.yml, line 4: the node setting \[search\.keep_alive_interval\] has no effect: }m, 'also what is accepted for clients');
    like($out, qr{^the settings are valid, 2 of them without effect: }m, 'and how many');
}

# what names no index closes, opens and deletes none, unless that is allowed
$node->put('/songs', {settings => {number_of_replicas => 0}});
sub open_indices { join ' ', sort map { $_->{index} } @{$node->get('/_cat/indices?format=json&expand_wildcards=open&h=index')->{json}} }
for my $path ('/*/_close', '/_all/_close', '/b*/_close', '/books,_all/_close', '/books,s*/_close', '/*/_open', '/_all/_open', '/books,s*/_open') {
    $r = $node->post($path);
    is($r->{status}, 400, "POST $path");
    is($r->{json}{error}{reason}, 'Wildcard expressions or all indices are not allowed', 'as Elasticsearch says it');
}
is($node->delete($_)->{status}, 400, "DELETE $_") for '/*', '/_all', '/b*', '/books,_all';
is($node->post('/_aliases', {actions => [{remove_index => $_}]})->{status}, 400, 'remove_index of a pattern')
    for {index => '*'}, {index => 'b*'}, {indices => ['books', 's*']}, {index => '_all'};
is(open_indices(), 'books songs', 'nothing has happened');
is($node->post('/*,-*/_close')->{status}, 200, 'an expression of no index may stand');
is($node->post('/songs/_close')->{status}, 200, 'one that is named is closed');
is(open_indices(), 'books', 'and no other');
$node->put('/_cluster/settings', {persistent => {'action.destructive_requires_name' => 'false'}});
is($node->post('/s*/_open')->{status}, 200, 'allowed');
is($node->post('/*/_close')->{status}, 200, 'all closed');
is(open_indices(), '', 'all of them');
is($node->post('/_all/_open')->{status}, 200, 'all opened');
is($node->post('/_aliases', {actions => [{remove_index => {index => 's*'}}]})->{status}, 200, 'a pattern deleted');
is(open_indices(), 'books', 'what it names');
$node->put('/_cluster/settings', {persistent => {'action.destructive_requires_name' => undef}});

$node->stop;
$node->start;
is($node->get('/_cluster/settings?flat_settings')->{json}{persistent}{'search.max_buckets'}, 77, 'settings stay');
is($node->get('/_cluster/health?wait_for_status=green&timeout=20s')->{json}{status}, 'green', 'green again');
ok($node->wait_for(sub { $node->get('/ready')->{status} == 200 }, 20), 'ready again');
$node->stop;

# the other face
my $os = QdNode->new('os', settings => {'compatibility.identity' => 'os2'});
$os->start;
$r = $os->get('/');
is($r->{json}{version}{distribution}, 'opensearch', 'distribution');
is($r->{headers}{'x-elastic-product'}, undef, 'no product header');
is(scalar(split ' ', $os->get('/_cat/health')->{content}), 15, '15 columns of _cat/health');
is(scalar(split /\n/, $os->get('/_cat/health?help')->{content}), 15, '... and as many in its help, which clients hold against theirs');
$os->stop;

SKIP: {
    my $doc = QdNode::top() . '/docs/rest.md';
    open my $f, '<', $doc or skip 'no docs/rest.md', 1;
    local $/;
    is(<$f>, scalar `'@{[QdNode::qd()]}' api --markdown`, 'docs/rest.md is what the table prints');
}
done_testing;
