#!/usr/bin/perl
# 066_plugin_analysis.t: an index whose analyzers are made of a plugin's parts: made, changed, kept over restarts.
# Where the plugin is missing the index is there and its shards say what they lack; with the plugin all of it is back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use QdNode;
use Test::More;
use Toys qw(toys);

my $dir = toys('the toy is built: a token filter that writes capitals', 'toy-good');
my %with = ('plugins.path' => $dir, 'plugins.allow' => 'coordination-raft,storage-nvme,toy-good');
my %without = (%with, 'plugins.allow' => 'coordination-raft,storage-nvme');
my $analysis = {filter => {loud => {type => 'toy-good'}},
    analyzer => {shout => {tokenizer => 'standard', filter => ['loud']}},
    normalizer => {big => {type => 'custom', filter => ['loud']}}};
my $mappings = {properties => {text => {type => 'text', analyzer => 'shout'}, tag => {type => 'keyword', normalizer => 'big'}}};
sub reason { $_[0]{json}{error}{reason} // $_[0]{content} }
sub hits { my ($n, $query) = @_; $n->post('/x/_search', {query => $query})->{json}{hits}{total}{value} // 'none' }

my $n = QdNode->new('pa', settings => {%with});
$n->start;
my $r = $n->put('/x', {settings => {number_of_shards => 1, number_of_replicas => 0, analysis => $analysis}, mappings => $mappings});
is($r->{status}, 200, 'an index with a token filter of a plugin') or diag $r->{content};
is($n->put('/x/_doc/1?refresh=true', {text => 'quick fox', tag => 'red', more => 'new field'})->{status}, 201, 'a document');
is(hits($n, {term => {text => 'QUICK'}}), 1, 'its words went through the filter');
is(hits($n, {match => {text => 'fox'}}), 1, 'and those of a search');
is(hits($n, {term => {tag => 'Red'}}), 1, 'a normalizer');
is(hits($n, {match => {more => 'field'}}), 1, 'a field that came with the document');
is_deeply([map { $_->{token} } @{ $n->post('/x/_analyze', {analyzer => 'shout', text => 'a b'})->{json}{tokens} || [] }], ['A', 'B'], '_analyze of the index');
is($n->put('/x/_mapping', {properties => {title => {type => 'text', analyzer => 'shout'}}})->{status}, 200, 'a mapping names the analyzer');
is($n->post('/x/_close')->{status}, 200, 'closed');
is($n->put('/x/_settings', {analysis => {filter => {louder => {type => 'toy-good'}}, analyzer => {roar => {tokenizer => 'standard', filter => ['louder']}}}})->{status},
    200, 'its settings get another');
like(reason($n->put('/x/_settings', {analysis => {filter => {bad => {type => 'toy-better'}}}})), qr/Unknown filter type \[toy-better\] for \[bad\]/, 'one that nobody provides is refused');
is($n->post('/x/_open')->{status}, 200, 'and open');
is($n->put('/x/_doc/2?refresh=true', {title => 'slow'})->{status}, 201, 'another document');

$n->restart;
ok($n->wait_for(sub { $n->get('/x/_count')->{status} == 200 }), 'restarted with the plugin');
is(hits($n, {match => {text => 'fox'}}), 1, 'it is found');
is(hits($n, {term => {title => 'SLOW'}}), 1, 'the other too');
is($n->put('/plain/_doc/1?refresh=true', {a => 1})->{status}, 201, 'an index without plugins');

$n->stop;
$n->{settings} = {%without};
$n->start;
my $why = qr/filter \[loud\] cannot be made on this node: Unknown filter type \[toy-good\] for \[loud\]; plugin \[toy-good\] was refused: .*not allowed/;
ok($n->wait_for(sub { $n->get('/plain/_count')->{status} == 200 }), 'without the plugin the node starts, other indices work');
ok($n->wait_for(sub { $n->get('/_cluster/allocation/explain')->{content} =~ $why }), 'explain names the plugin') or diag $n->get('/_cluster/allocation/explain')->{content};
is($n->get('/_cluster/health/x')->{json}{status}, 'red', 'the index is red');
like($n->log_text, qr/\[x\]\[0\] could not be opened: $why/, 'the log names it too');
is($n->get('/x')->{json}{x}{settings}{index}{analysis}{filter}{loud}{type}, 'toy-good', 'the index is shown');
isnt($n->put('/x/_doc/3?timeout=1s', {text => 'a'})->{status}, 201, 'a write is refused');
isnt($n->post('/x/_search', {query => {match => {text => 'fox'}}})->{status}, 200, 'a search is refused');
like(reason($n->post('/x/_analyze', {analyzer => 'shout', text => 'a'})), $why, '_analyze says why');
like(reason($n->put('/y', {settings => {analysis => $analysis}})), qr/Unknown filter type \[toy-good\] for \[loud\]; plugin \[toy-good\] was refused/, 'a new index is refused');
is($n->post('/_aliases', {actions => [{add => {index => 'x', alias => 'z'}}]})->{status}, 200, 'an alias may be given');
is($n->put('/x/_settings', {'index.refresh_interval' => '5s'})->{status}, 200, 'and a setting that is no analyzer\'s');

$n->stop;
$n->{settings} = {%with};
$n->start;
ok($n->wait_for(sub { hits($n, {match => {text => 'fox'}}) eq '1' }), 'with the plugin the document is back') or diag $n->get('/_cluster/allocation/explain')->{content};
is($n->get('/z/_count')->{json}{count}, 2, 'by the alias too');
is($n->put('/x/_doc/3?refresh=true', {text => 'more'})->{status}, 201, 'writes work');
$n->stop;

# Two nodes, one without the plugin: its copy cannot be, the other node's is used.
my $c = QdCluster->new('pc', nodes => 2, settings => {%with});
%{ $c->node(1)->{settings} } = (%{ $c->node(1)->{settings} }, %without);
$c->start;
my ($a, $b) = $c->nodes;
is($a->put('/x', {settings => {number_of_shards => 1, number_of_replicas => 1, analysis => $analysis,
    'routing.allocation.require._name' => $a->{name}}, mappings => $mappings})->{status}, 200, 'an index in a cluster of two');
is($a->put('/x/_doc/1?refresh=true', {text => 'quick fox'})->{status}, 201, 'a document');
is($a->put('/x/_settings', {'index.routing.allocation.require._name' => undef})->{status}, 200, 'the replica may go to the node without the plugin');
ok($a->wait_for(sub { $a->post('/_cluster/allocation/explain', {index => 'x', shard => 0, primary => \0})->{content} =~ $why }), 'explain says why it does not')
    or diag $a->post('/_cluster/allocation/explain', {index => 'x', shard => 0, primary => \0})->{content};
is($a->get('/_cluster/health/x')->{json}{status}, 'yellow', 'the index is yellow');
is(hits($a, {match => {text => 'fox'}}), 1, 'the node with the plugin searches');
is($b->post('/x/_search', {query => {term => {text => 'QUICK'}}})->{json}{hits}{total}{value}, 1, 'the other one sends searches there');
like($b->post('/x/_search', {query => {match => {text => 'fox'}}})->{content}, $why, 'words that it would have to analyze: it says why not');
is($b->put('/x/_doc/2?refresh=true', {text => 'lazy dog', field => 'fresh'})->{status}, 201, 'and documents, with a new field');
is(hits($a, {match => {text => 'dog'}}), 1, 'which is found');
is($_->stop, 0, 'ends') for $c->nodes;
done_testing;
