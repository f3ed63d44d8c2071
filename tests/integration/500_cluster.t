# Three nodes with each other's addresses are one cluster: whatever node is asked, the answer is the
# cluster's. A master that goes is replaced, one that comes back follows; nodes of separate roles.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('c', nodes => 3);
$c->start;
my @n = $c->nodes;
my %uuid = map { $_->get('/')->{json}{cluster_uuid} => 1 } @n;
is(scalar keys %uuid, 1, 'three nodes are one cluster');
my %master = map { $_->get('/_cat/master?h=node&format=json')->{json}[0]{node} => 1 } @n;
is(scalar keys %master, 1, 'with one master, whoever is asked');

# --- documents and searches through any node
is($n[0]->put('/docs', { settings => { number_of_shards => 3, number_of_replicas => 0 } })->{status}, 200, 'an index is made');
ok($c->wait_status('green'), 'and green');
my %nodes = map { $_->{node} => 1 } @{ $n[1]->get('/_cat/shards/docs?format=json&h=node')->{json} };
is(scalar keys %nodes, 3, 'its shards are on three nodes');
for my $i (0 .. 29) { $n[$i % 3]->put("/docs/_doc/$i", { n => $i, t => "number $i" }) }
my $bulk = join '', map { qq({"index":{"_id":"b$_"}}\n{"n":$_,"t":"from a bulk"}\n) } 0 .. 59;
my $r = $n[1]->post('/docs/_bulk?refresh=true', $bulk);
is($r->{json}{errors}, JSON::PP::false, 'a bulk goes to all of them');
is(scalar(grep { $_->{index}{status} == 201 } @{ $r->{json}{items} }), 60, 'with 60 documents made');
is($n[2]->post('/docs/_refresh')->{json}{_shards}{failed}, 0, 'a refresh reaches all shards');
for my $n (@n) {
    is($n->get('/docs/_count')->{json}{count}, 90, "$n->{name} counts 90");
    my @missing = grep { !$n->get("/docs/_doc/$_")->{json}{found} } 0 .. 29;
    is("@missing", '', 'and gets each by its id');
    my $got = $n->post('/docs/_mget', { ids => [map { "b$_" } 0 .. 59] })->{json}{docs};
    is(scalar(grep { $_->{found} } @$got), 60, 'and many at once');
    my $s = $n->post('/docs/_search', { size => 5, sort => [{ n => 'desc' }, '_doc'], query => { match => { t => 'bulk' } },
        aggs => { sum => { sum => { field => 'n' } }, top => { terms => { field => 't.keyword' } } } })->{json};
    is(join(' ', map { $_->{_source}{n} } @{ $s->{hits}{hits} }), '59 58 57 56 55', 'and sorts over all shards');
    is($s->{aggregations}{sum}{value}, 1770, 'and sums over them');
}
my $conflict = $n[0]->put('/docs/_create/3', { n => 1 });
is($conflict->{status}, 409, 'a conflict is one through any node');
is($conflict->{json}{error}{type}, 'version_conflict_engine_exception', 'in the words of Elasticsearch');
my $seq = $n[1]->get('/docs/_doc/7')->{json};
is($n[2]->put("/docs/_doc/7?if_seq_no=$seq->{_seq_no}&if_primary_term=$seq->{_primary_term}", { n => 70 })->{status}, 200, 'compare-and-set');
is($n[0]->put("/docs/_doc/7?if_seq_no=$seq->{_seq_no}&if_primary_term=$seq->{_primary_term}", { n => 71 })->{status}, 409, 'works once');
is($n[0]->post('/docs/_update/8', { doc => { extra => 1 } })->{json}{result}, 'updated', 'updates');
is($n[1]->delete('/docs/_doc/9')->{json}{result}, 'deleted', 'and deletions');
is($n[2]->get('/docs/_doc/9')->{status}, 404, 'are seen by all');

$n[0]->post('/docs/_refresh');

# --- figures of all nodes from each
for my $n (@n) {
    is($n->get('/_nodes/stats')->{json}{_nodes}{successful}, 3, "$n->{name}: statistics of three nodes");
    is($n->get('/_cat/indices/docs?format=json')->{json}[0]{'docs.count'}, 89, 'documents of all shards');
    is(scalar @{ $n->get('/_cat/thread_pool/write?format=json')->{json} }, 3, 'pools of all');
}

# --- the master goes
my ($name) = keys %master;
my ($old) = grep { $_->{name} eq $name } @n;
my ($other) = grep { $_->{name} ne $name } @n;
$old->kill9;
ok($other->wait_for(sub { my $m = $other->get('/_cat/master?h=node&format=json')->{json}[0]{node} // ''; $m ne '-' && $m ne $name }, 120),
    'a killed master is replaced');
is($other->put('/after', { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, 'indices are made');
is($other->put('/after/_doc/1?refresh=true', { a => 1 })->{status}, 201, 'and written to');
my $partial = $other->get('/docs/_search?size=0')->{json};
is($partial->{_shards}{failed} + 0, 1, 'a search tells that a shard is missing');
$old->start;
ok($c->wait_nodes(3), 'the old one comes back');
ok($c->wait_status('green'), 'and all is green again');
is($other->get('/docs/_count')->{json}{count}, 89, 'with all documents');

# --- all of them at once
$_->kill9 for @n;
$c->start;
ok($c->wait_status('green'), 'killed and started again the cluster heals by itself');
is($n[1]->get('/docs/_count')->{json}{count}, 89, 'and has everything');
# --- what is answered as done is known by all
my %answers;
for my $i (1 .. 30) {
    my ($at, @rest) = @n[map { ($i + $_) % 3 } 0 .. 2];
    my $r = $at->put("/seen$i", { settings => { number_of_shards => 1, number_of_replicas => 0 } });
    $answers{"made $r->{status} " . ($r->{json}{acknowledged} // '')}++;
    $answers{'seen ' . $_->get("/seen$i")->{status}}++ for @rest;
    $answers{'written ' . $at->put("/seen$i/_doc/1?refresh=true", { "f$i" => $i })->{status}}++;
    $answers{'found ' . $_->post("/seen$i/_search", { query => { match => { "f$i" => $i } } })->{json}{hits}{total}{value}}++ for @rest;
    $answers{'alias ' . $rest[0]->put("/seen$i/_alias/a$i")->{json}{acknowledged}}++;
    $answers{'by alias ' . $_->get("/a$i/_count")->{json}{count}}++ for $at, $rest[1];
    $answers{'gone ' . $rest[1]->delete("/seen$i")->{status}}++;
    $answers{'not seen ' . $_->get("/seen$i")->{status}}++ for $at, $rest[0];
}
is_deeply(\%answers, { 'made 200 1' => 30, 'seen 200' => 60, 'written 201' => 30, 'found 1' => 60, 'alias 1' => 30,
    'by alias 1' => 60, 'gone 200' => 30, 'not seen 404' => 60 }, 'what one node answered as done the others know') or diag explain \%answers;
is($n[2]->delete('/docs')->{status}, 200, 'an index is deleted');
is($n[0]->get('/docs')->{status}, 404, 'for all');
is($c->stop, 0, 'they stop cleanly');

# --- separate processes for each role
my $split = QdCluster->new('s', masters => 1, data => 2, coordination => 1);
$split->start;
my ($rest) = grep { $_->{roles}[0] eq 'coordination' } $split->nodes;
is($rest->put('/docs', { settings => { number_of_shards => 4, number_of_replicas => 0 } })->{status}, 200, 'masters, data and coordination apart');
my %on = map { $_->{node} => 1 } @{ $rest->get('/_cat/shards/docs?format=json&h=node')->{json} };
is(join(' ', sort keys %on), 's1 s2', 'shards are on data nodes only');
$rest->put("/docs/_doc/$_", { n => $_ }) for 1 .. 20;
$rest->post('/_refresh');
is($rest->get('/docs/_count')->{json}{count}, 20, 'a coordination node answers for them');
like($split->node(1)->log_text, qr/connected to master/, 'a data node says to which master it is connected');
is($split->stop, 0, 'they stop cleanly');
done_testing;
