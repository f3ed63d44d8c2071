#!/usr/bin/perl
# Slow logs: what takes longer than an index's thresholds stands in the log of the node that did it, at
# the level whose threshold it passed; without thresholds nothing does.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use Test::More;

my $c = QdCluster->new('sl', masters => 1, data => 2);
my ($master, @data) = $c->nodes;
$c->start;
my ($n, $holder) = @data; # one is asked, the other has the shard
is($n->put('/i', { settings => { number_of_shards => 1, number_of_replicas => 0, 'routing.allocation.require._name' => $holder->{name} } })->{status}, 200, 'an index');
sub settings { is($n->put('/i/_settings', {@_})->{status}, 200, join ' ', map { $_ // 'null' } @_) }
sub lines { my ($what, $node) = @_; return grep { /\Q$what\E/ } split /\n/, ($node || $holder)->log_text }
sub work {
    my ($id) = @_;
    is($n->put("/i/_doc/$id?routing=r", { text => "word $id", more => 'x' x 50 })->{status}, 201, "document $id");
    is($n->post('/i/_bulk?refresh=true', qq({"index":{"_id":"b$id"}}\n{"text":"bulk $id"}\n))->{status}, 200, 'a bulk');
    is($n->request('POST', '/i/_search', qq({"query":\n{"match":{"text":"$id"}}}), 'X-Opaque-Id' => "client-$id")->{json}{hits}{total}{value}, 2, 'a search');
}

work('quiet');
is(scalar lines('slowlog'), 0, 'nothing is told by itself');

settings('index.indexing.slowlog.threshold.index.info' => '0ms', 'index.indexing.slowlog.source' => 12,
    'index.search.slowlog.threshold.query.warn' => '0ms', 'index.search.slowlog.threshold.query.info' => '0ms', 'index.search.slowlog.threshold.fetch.info' => '0ms');
work('slow');
my @index = lines('index.indexing.slowlog.index');
is(scalar @index, 2, 'two documents') or diag($holder->log_text);
like($index[0], qr/INFO.*\[i\/\S{10,}\] took\[[\d.]+\w+\], took_millis\[\d+\], shard\[0\], id\[slow\], routing\[r\], source\[.{12}\]/, 'with index, time, id, and the source as far as wanted');
my @query = lines('index.search.slowlog.query');
is(scalar @query, 1, 'one search, at one level');
like($query[0], qr/WARN.*\[i\]\[0\] took\[[\d.]+\w+\], took_millis\[\d+\], total_hits\[2 hits\], search_type\[QUERY_THEN_FETCH\], total_shards\[1\], source\[\{"query": \{"match":\{"text":"slow"\}\}\}\]/, 'the query on one line');
is(scalar lines('index.search.slowlog.fetch'), 1, 'and its fetch');
is(scalar lines('slowlog', $n), 0, 'the node that was asked did none of it');

is($n->put('/two', { settings => { number_of_shards => 2, number_of_replicas => 0, 'routing.allocation.require._name' => $holder->{name}, 'search.slowlog.threshold.query.warn' => '0ms' } })->{status}, 200, 'an index of two shards');
is($n->post('/two/_bulk?refresh=true', join '', map { qq({"index":{"_id":"$_"}}\n{"text":"slow $_"}\n) } 1 .. 8)->{status}, 200, 'with documents');
for my $case ([two => 'query_then_fetch'], [two => 'dfs_query_then_fetch'], [i => 'dfs_query_then_fetch', 'query_then_fetch']) {
    my ($index, $type, $told) = (@$case, $case->[1]);
    is($n->post("/$index/_search?search_type=$type", { query => { match => { text => 'slow' } } })->{status}, 200, "$type of $index");
    like((lines('index.search.slowlog.query'))[-1], qr/\[$index\].*search_type\[\U$told\E\]/, "is told as what was done: $told");
}
settings('index.indexing.slowlog.source' => 'true');
is($n->put('/i/_doc/whole', { text => 'y' x 1500 })->{status}, 201, 'a long document');
like((lines('index.indexing.slowlog.index'))[-1], qr/id\[whole\].*source\[\{"text":"y{1500}"\}\]/, 'wanted whole');
settings('index.indexing.slowlog.source' => 'false');
is($n->put('/i/_doc/none', { text => 'z' })->{status}, 201, 'another one');
like((lines('index.indexing.slowlog.index'))[-1], qr/id\[none\].*source\[\]/, 'not at all');
for my $bad ('some', '-3') {
    my $r = $n->put('/i/_settings', { 'index.indexing.slowlog.source' => $bad });
    is($r->{status}, 400, "$bad is refused");
    like($r->{content}, qr/\[\Q$bad\E\] for setting \[index.indexing.slowlog.source\]/, 'by its name');
}

# thresholds that nothing passes, and switched off
settings('index.indexing.slowlog.threshold.index.info' => '1h', 'index.search.slowlog.threshold.query.warn' => -1,
    'index.search.slowlog.threshold.query.info' => undef, 'index.search.slowlog.threshold.fetch.info' => '10m');
my $before = lines('slowlog');
work('after');
is(scalar lines('slowlog'), $before, 'nothing passes these');

# lower levels are told where the component's level asks for them
settings('index.search.slowlog.threshold.query.debug' => '0s');
work('debug');
is(scalar lines('slowlog'), $before, 'debug is not written');
is($n->put('/_cluster/settings', { persistent => { 'logger.index.search.slowlog.query' => 'debug' } })->{status}, 200, 'a level');
ok($n->wait_for(sub { $n->post('/i/_search', {}); lines('slowlog') > $before }, 20), 'now it is');
is($n->put('/i/_settings', { 'index.search.slowlog.threshold.query.warn' => 'x' })->{status}, 400, 'no time');
is($n->put('/i/_settings', { 'index.search.slowlog.threshold.query.worn' => '1s' })->{status}, 400, 'no such level');
# sanitized nodes end with an error when such a change has leaked something
is($n->put('/_cluster/settings', { persistent => { 'logger.index.search.slowlog.query' => $_ } })->{status}, 200, "a level again: $_") for qw(info debug);
is($c->stop, 0, 'they stop cleanly');
done_testing;
