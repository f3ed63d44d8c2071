# Enrich policies: their life, what executions make of their sources, and the processor enrich, on a node of its
# own and in a cluster whose ingest node holds no copy of the index.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('enrich', nodes => 2, coordination => 1);
$c->start;
my ($n, $far, $ingest) = $c->nodes;

sub error { my ($r) = @_; return "$r->{status} " . ($r->{json}{error}{type} // '') . ' ' . ($r->{json}{error}{reason} // '') }
sub bulk { my ($index, @docs) = @_; return $n->post("/$index/_bulk?refresh=true", join '', map { qq({"index":{}}\n$_\n) } @docs) }
# of all nodes, in the order of this one first
sub stats {
    my ($of) = @_;
    $of ||= $n;
    my $s = $n->get('/_enrich/_stats')->{json};
    my ($id) = grep { $_->{name} eq $of->{name} } map { my $x = $_; map { {%{ $x->{$_} }, id => $_} } keys %$x } $n->get('/_nodes')->{json}{nodes};
    for my $part ('coordinator_stats', 'cache_stats') { $s->{$part} = [grep { $_->{node_id} eq $id->{id} } @{ $s->{$part} }] }
    return $s;
}

$n->put('/users', {mappings => {properties => {email => {type => 'keyword'}, age => {type => 'integer'}, home => {properties => {city => {type => 'keyword'}}}}}});
$n->put('/nets', {mappings => {properties => {range => {type => 'ip_range'}, name => {type => 'keyword'}}}});
bulk('users', '{"email":"a@x","first":"Ann","age":3,"home":{"city":"Rome"},"secret":1}', '{"email":"b@x","first":"Bob","age":70}',
    '{"email":"many","first":"One"}', '{"email":"many","first":"Two"}', '{"email":"many","first":"Three"}');
bulk('nets', '{"range":"10.0.0.0/8","name":"inner"}', '{"range":{"gte":"192.168.0.0","lt":"192.168.2.0"},"name":"home"}');

subtest 'policies' => sub {
    my $users = {match => {indices => 'users', match_field => 'email', enrich_fields => ['first', 'home.city']}};
    is(error($n->put('/_enrich/policy/Upper', $users)), '400 illegal_argument_exception Invalid policy name [Upper], must be lowercase', 'a name');
    like(error($n->put('/_enrich/policy/p', {geo_match => $users->{match}})), qr/^400 .*\[geo_match\] are not supported/, 'geo_match is refused by name');
    like(error($n->put('/_enrich/policy/p', {other => $users->{match}})), qr/unsupported policy type \[other\], supported types are \[match, range\]/, 'another type');
    like(error($n->put('/_enrich/policy/p', {match => {indices => 'users', what => 1}})), qr/unknown field \[what\]/, 'an unknown field');
    like(error($n->put('/_enrich/policy/p', {match => {indices => 'users'}})), qr/Required \[match_field, enrich_fields\]/, 'what is missing');
    is($n->put('/_enrich/policy/users', $users)->{content}, '{"acknowledged":true}', 'one is stored');
    is(error($n->put('/_enrich/policy/users', $users)), '400 resource_already_exists_exception policy [users] already exists', 'not twice');
    is($n->put('/_enrich/policy/nets', {range => {indices => ['nets'], match_field => 'range', enrich_fields => ['name']}})->{status}, 200, 'a range');
    is($n->put('/_enrich/policy/old', {match => {indices => ['users'], match_field => 'email', enrich_fields => ['first'], query => {range => {age => {gte => 60}}}}})->{status}, 200, 'one with a query');
    is_deeply($far->get('/_enrich/policy/users')->{json}, {policies => [{config => {match => {name => 'users', indices => ['users'], match_field => 'email', enrich_fields => ['first', 'home.city']}}}]}, 'it is shown, on any node');
    is(scalar @{ $n->get('/_enrich/policy')->{json}{policies} }, 3, 'all are');
    is(error($n->post('/_enrich/policy/none/_execute')), '404 resource_not_found_exception policy [none] does not exist', 'none to execute');
    like(error($n->put('/_ingest/pipeline/early', {processors => [{enrich => {policy_name => 'users', field => 'e', target_field => 'u'}}]})), qr/^400 illegal_argument_exception no enrich index exists for policy with name \[users\]/, 'a pipeline before the first execution');
};

subtest 'executions' => sub {
    for my $policy ('users', 'nets', 'old') {
        is($n->put("/_enrich/policy/$policy/_execute")->{content}, '{"status":{"phase":"COMPLETE"}}', "of $policy");
    }
    my ($index) = keys %{ $n->get('/_alias/.enrich-users?expand_wildcards=all')->{json} };
    like($index, qr/^\.enrich-users-\d{13}$/, 'an index of its own');
    my $is = $n->get("/$index")->{json}{$index};
    is_deeply([@{ $is->{settings}{index} }{qw(number_of_shards hidden auto_expand_replicas)}, $is->{settings}{index}{blocks}{write}], ['1', 'true', '0-all', 'true'], 'one shard, hidden, on every node, read-only');
    is($is->{mappings}{_meta}{enrich_policy_name}, 'users', 'it names its policy');
    unlike($n->get('/_cat/indices?h=index')->{content}, qr/enrich/, 'lists do not show it');
    is($n->get("/$index/_count")->{json}{count}, 5, 'all documents');
    is($n->get("/_cat/segments/$index?h=index,shard,prirep")->{content} =~ tr/p//, 1, 'one segment') or diag $n->get("/_cat/segments/$index")->{content};
    my $task = $n->put('/_enrich/policy/users/_execute?wait_for_completion=false')->{json}{task};
    ok($task, 'in the background');
    is_deeply($n->get("/_tasks/$task?wait_for_completion=true")->{json}{response}, {status => {phase => 'COMPLETE'}}, '... it tells its end') or diag $n->get("/_tasks/$task")->{content};
    my ($now) = keys %{ $n->get('/_alias/.enrich-users?expand_wildcards=all')->{json} };
    isnt($now, $index, 'the alias goes to a new index');
    ok(QdNode->wait_for(sub { $n->get("/$index")->{status} == 404 }, 20), 'the one before is deleted');
    $n->put('/empty', {});
    $n->put('/_enrich/policy/empty', {match => {indices => 'empty', match_field => 'email', enrich_fields => 'x'}});
    like(error($n->put('/_enrich/policy/empty/_execute')), qr/Enrich policy execution for \[empty\] failed/, 'a source without the field');
    $n->put('/_enrich/policy/wrong', {range => {indices => 'users', match_field => 'email', enrich_fields => 'x'}});
    like(error($n->put('/_enrich/policy/wrong/_execute')), qr/has type \[keyword\] which doesn't appear to be a range type/, 'a range of keywords');
    $n->put('/nest', {mappings => {properties => {l => {type => 'nested', properties => {k => {type => 'keyword'}}}}}});
    $n->put('/_enrich/policy/nest', {match => {indices => 'nest', match_field => 'l.k', enrich_fields => 'x'}});
    like(error($n->put('/_enrich/policy/nest/_execute')), qr/Could not traverse mapping to field \[l.k\]/, 'a field of nested objects');
    $n->delete('/_enrich/policy/nest');
    $n->put('/_enrich/policy/lost', {match => {indices => 'lost', match_field => 'email', enrich_fields => 'x'}});
    like(error($n->put('/_enrich/policy/lost/_execute')), qr/^404 index_not_found_exception no such index \[lost\]/, 'no source');
    is($n->get('/.enrich-lost*,.enrich-wrong*,.enrich-empty*/_settings?expand_wildcards=all')->{content}, '{}', 'no index stays of a failure');
};

sub pipeline { my ($node, %p) = @_; return $node->put('/_ingest/pipeline/e', {processors => [{enrich => {policy_name => 'users', field => 'who', target_field => 'user', %p}}]}) }
sub made { my ($node, $doc, $id) = @_; $node->put("/out/_doc/$id?pipeline=e&refresh=true", $doc); return $node->get("/out/_doc/$id")->{json}{_source} }

subtest 'the processor' => sub {
    for (['max_matches', 0, qr/\[max_matches\] should be between 1 and 128/], ['max_matches', 129, qr/between 1 and 128/], ['shape_relation', 'WITHIN', qr/\[shape_relation\] is not supported/], ['what', 1, qr/what/]) {
        like(error(pipeline($n, $_->[0] => $_->[1])), $_->[2], "$_->[0] $_->[1]");
    }
    is(pipeline($n)->{status}, 200, 'a pipeline') or diag pipeline($n)->{content};
    is_deeply(made($n, {who => 'a@x'}, 1), {who => 'a@x', user => {email => 'a@x', first => 'Ann', home => {city => 'Rome'}}}, 'a match');
    is_deeply(made($n, {who => 'z@x'}, 2), {who => 'z@x'}, 'none');
    is_deeply(made($n, {who => ['q', 'b@x']}, 3)->{user}{first}, 'Bob', 'one of a list');
    is_deeply(made($n, {who => undef}, 4), {who => undef}, 'null');
    like(error($n->put('/out/_doc/5?pipeline=e', {x => 1})), qr/^400 illegal_argument_exception field \[who\] not present as part of path \[who\]/, 'a field that is missing');
    like(error($n->put('/out/_doc/5?pipeline=e', {who => {a => 1}})), qr/field \[who\] is an object/, 'an object');
    like(error($n->post('/out/_doc?pipeline=e', {who => ['a@x', undef]})), qr/a list with objects or nulls/, 'a list with null');
    is_deeply(made($n, {who => []}, 9), {who => []}, 'an empty list');
    pipeline($n, max_matches => 2, override => JSON::PP::false, ignore_missing => JSON::PP::true);
    is(scalar @{ made($n, {who => 'many'}, 6)->{user} }, 2, 'at most so many, as a list');
    is_deeply(made($n, {who => 'a@x', user => {first => 'kept'}}, 7)->{user}, {first => 'kept'}, 'what is there stays');
    is_deeply(made($n, {x => 1}, 8), {x => 1}, 'a field that may be missing');
    $n->put('/_ingest/pipeline/r', {processors => [{enrich => {policy_name => 'nets', field => 'ip', target_field => 'net'}}]});
    my $r = $n->post('/_ingest/pipeline/r/_simulate', {docs => [map { {_source => {ip => $_}} } '10.1.2.3', '192.168.1.255', '192.168.2.0']});
    is_deeply([map { $_->{doc}{_source}{net}{name} } @{ $r->{json}{docs} }], ['inner', 'home', undef], 'ranges') or diag $r->{content};
    $n->put('/_ingest/pipeline/o', {processors => [{enrich => {policy_name => 'old', field => 'who', target_field => 'u'}}]});
    $r = $n->post('/_ingest/pipeline/o/_simulate', {docs => [map { {_source => {who => $_}} } 'a@x', 'b@x']});
    is_deeply([map { $_->{doc}{_source}{u}{first} } @{ $r->{json}{docs} }], [undef, 'Bob'], 'the query of a policy') or diag $r->{content};
};

subtest 'batches and the cache' => sub {
    pipeline($n);
    $n->put('/nets-out', {mappings => {properties => {net => {type => 'object', enabled => JSON::PP::false}}}});
    $n->put('/_ingest/pipeline/r', {processors => [{enrich => {policy_name => 'nets', field => 'ip', target_field => 'net'}}]});
    my $bad = $n->post('/nets-out/_bulk?pipeline=r&refresh=true', join '', map { qq({"index":{"_id":"$_"}}\n{"ip":"$_"}\n) } '10.0.0.1', 'nonsense', '192.168.0.1');
    is(join(' ', map { $_->{index}{status} } @{ $bad->{json}{items} }), '201 400 201', 'a value that the field cannot have fails its own document alone') or diag $bad->{content};
    like($bad->{json}{items}[1]{index}{error}{reason}, qr/'nonsense' is not an IP string literal/, '... and says why');
    is($n->get('/nets-out/_doc/192.168.0.1')->{json}{_source}{net}{name}, 'home', '... and the others are looked up');
    my $before = stats();
    my @docs = map { sprintf '{"who":"%s"}', ('a@x', 'b@x', "u$_")[$_ % 3] } 1 .. 320;
    my $r = $n->post('/batch/_bulk?pipeline=e&refresh=true', join '', map { qq({"index":{}}\n$_\n) } @docs);
    is($r->{json}{errors} ? 1 : 0, 0, '320 documents') or diag substr $r->{content}, 0, 400;
    my $after = stats();
    my $asked = $after->{coordinator_stats}[0]{executed_searches_total} - $before->{coordinator_stats}[0]{executed_searches_total};
    cmp_ok($asked, '<=', 12, "one search a batch of 32 ($asked)");
    is($n->get('/batch/_count?q=user.first:Ann')->{json}{count}, 106, 'Ann') or diag $n->get('/batch/_search')->{content};
    $n->post('/batch/_bulk?pipeline=e&refresh=true', join '', map { qq({"index":{}}\n$_\n) } @docs);
    my $again = stats();
    is($again->{coordinator_stats}[0]{executed_searches_total}, $after->{coordinator_stats}[0]{executed_searches_total}, 'what was looked up is kept');
    cmp_ok($again->{cache_stats}[0]{hits} - $after->{cache_stats}[0]{hits}, '>=', 110, 'hits are counted');
    bulk('users', '{"email":"u2","first":"New"}');
    is($n->put('/_enrich/policy/users/_execute')->{status}, 200, 'executed anew');
    is(made($n, {who => 'u2'}, 20)->{user}{first}, 'New', 'the cache has nothing of the index before');
};

subtest 'a small cache' => sub {
    $far->stop;
    $far->{settings}{'enrich.cache_size'} = 3;
    $far->start;
    pipeline($n);
    for my $who ('a@x', 'b@x', 'c', 'd', 'e', 'a@x') { made($far, {who => $who}, "s-$who") }
    is(scalar @{ $n->get('/_enrich/_stats')->{json}{cache_stats} }, 3, 'every node has one');
    my $s = stats($far)->{cache_stats}[0];
    is_deeply([$s->{count}, $s->{evictions} > 0 ? 1 : 0], [3, 1], 'holds as many as it may');
    is($far->get('/out/_doc/s-a@x')->{json}{_source}{user}{first}, 'Ann', 'and looks up what it lost');
};

subtest 'a node without data' => sub {
    is(made($ingest, {who => 'a@x'}, 30)->{user}{first}, 'Ann', 'looks documents up on others') or diag $ingest->get('/out/_doc/30')->{content};
};

subtest 'deleting' => sub {
    is(error($n->delete('/_enrich/policy/users')), '409 status_exception Could not delete policy [users] because a pipeline is referencing it [e]', 'not while a pipeline uses it');
    $n->delete('/_ingest/pipeline/e');
    $n->put('/_ingest/pipeline/deep', {processors => [{set => {field => 'a', value => 1, on_failure => [{foreach => {field => 'l', processor => {enrich => {policy_name => 'users', field => '_ingest._value', target_field => 't'}}}}]}}]});
    like(error($n->delete('/_enrich/policy/users')), qr/^409 .*\[deep\]/, 'wherever it stands');
    $n->delete('/_ingest/pipeline/deep');
    is($n->delete('/_enrich/policy/users')->{content}, '{"acknowledged":true}', 'then it goes');
    is($n->get('/.enrich-users-*/_settings?expand_wildcards=all')->{content}, '{}', 'with its index');
    is(error($n->delete('/_enrich/policy/users')), '404 resource_not_found_exception policy [users] not found', 'and is gone');
    $c->stop;
    $c->start;
    is(scalar @{ $n->get('/_enrich/policy')->{json}{policies} }, 5, 'policies outlive a restart');
    my $r = $n->post('/_ingest/pipeline/r/_simulate', {docs => [{_source => {ip => '10.9.9.9'}}]});
    is($r->{json}{docs}[0]{doc}{_source}{net}{name}, 'inner', 'and so do their indices') or diag $r->{content};
};

$c->stop;
done_testing;
