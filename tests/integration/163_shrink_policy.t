# The action shrink of _ilm on three nodes: an aliased index and a backing index of a data stream are replaced by ones with fewer
# shards while the elected node is killed again and again; nothing is lost, aliases and the policy go over, the phases go on.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('shrink', nodes => 3);
$c->start;
my @n = $c->nodes;
is($n[0]->put('/_cluster/settings', {persistent => {'indices.lifecycle.poll_interval' => '1s', 'cluster.routing.allocation.node_concurrent_recoveries' => 8}})->{status}, 200, 'policies are looked at each second');
sub reason { return $_[0]{json}{error}{reason} // '' }
sub comes { my ($what, $fn, $seconds) = @_; my $ok = ok(QdNode->wait_for($fn, $seconds || 60), $what); return $ok }
sub explain_of { my ($i, $n) = @_; my $e = ($n || ($c->alive)[0])->get("/$i/_ilm/explain")->{json}{indices} || {}; return (values %$e)[0] || {} }

subtest 'what is refused' => sub {
    for my $case (
        [{warm => {actions => {shrink => {}}}}, qr/Either \[number_of_shards\] or \[max_primary_shard_size\] must be set/],
        [{warm => {actions => {shrink => {number_of_shards => 1, max_primary_shard_size => '1gb'}}}}, qr/Cannot set both/],
        [{warm => {actions => {shrink => {number_of_shards => 0}}}}, qr/\[number_of_shards\] must be greater than 0/],
        [{warm => {actions => {shrink => {shards => 1}}}}, qr/\[shrink\] unknown field \[shards\]/],
        [{cold => {actions => {shrink => {number_of_shards => 1}}}}, qr/invalid action \[shrink\] defined in phase \[cold\]/],
        [{hot => {actions => {shrink => {number_of_shards => 1}}}}, qr/\[shrink\] action\(s\) may not be used in the \[hot\] phase without an accompanying \[rollover\]/],
        [{warm => {actions => {allocate => {}}}}, qr/At least one of \[include, exclude, require\]/],
        [{warm => {actions => {migrate => {}}}}, qr/action \[migrate\] is supported with \[enabled: false\] only/],
        [{warm => {actions => {downsample => {}}}}, qr/action \[downsample\] in phase \[warm\] is not supported/],
    ) {
        my $r = $n[0]->put('/_ilm/policy/bad', {policy => {phases => $case->[0]}});
        is($r->{status}, 400, 'refused') or diag $r->{content};
        like(reason($r), $case->[1], '... with the reason');
    }
};

is($n[0]->put('/_ilm/policy/p', {policy => {phases => {
    hot => {actions => {rollover => {max_docs => 200}, unfollow => {}}},
    warm => {min_age => '0s', actions => {allocate => {number_of_replicas => 1, total_shards_per_node => 8}, migrate => {enabled => \0}, shrink => {number_of_shards => 1}, forcemerge => {max_num_segments => 1}}}}}})->{status}, 200, 'a policy');
$n[0]->put('/_index_template/app', {index_patterns => ['app-*'], template => {settings => {number_of_shards => 4, number_of_replicas => 1, 'index.lifecycle.name' => 'p', 'index.lifecycle.rollover_alias' => 'app'}}});
$n[0]->put('/_index_template/logs', {index_patterns => ['logs-*'], data_stream => {}, template => {settings => {number_of_shards => 4, number_of_replicas => 1, 'index.lifecycle.name' => 'p'}}});
$n[0]->put('/app-000001', {aliases => {app => {is_write_index => \1}, odd => {filter => {range => {a => {gte => 100}}}}}});
ok($c->wait_status('green'), 'its copies are there');
my $bulk = join '', map { qq({"create":{}}\n{"\@timestamp":$_,"a":$_}\n) } 0 .. 299;
is($n[0]->request('POST', "/$_/_bulk?refresh=true", $bulk)->{json}{errors}, JSON::PP::false, "documents of $_") for qw(app logs-a);
my $uuid = $n[0]->get('/app-000001/_settings')->{json}{'app-000001'}{settings}{index}{uuid};
my $created = $n[0]->get('/app-000001/_settings')->{json}{'app-000001'}{settings}{index}{creation_date};

# the node that runs the policies goes, three times
for my $round (1 .. 3) {
    my ($m) = map { $_->get('/_cat/master?h=node&format=json')->{json}[0]{node} } ($c->alive)[0];
    my ($k) = grep { $n[$_]{name} eq ($m // '') } 0 .. 2;
    next if !defined $k;
    QdNode->wait_for(sub { (explain_of('app-000001')->{action} // '') eq 'shrink' || !explain_of('app-000001')->{index} || explain_of('app-000001')->{index} =~ /^shrink/ }, 20);
    $c->kill9($k);
    ok(QdNode->wait_for(sub { my $r = ($c->alive)[0]->get('/_cat/master?h=node&format=json'); $r->{status} == 200 && ($r->{json}[0]{node} // '') ne $m }, 20), "round $round: another node is elected");
    $n[$k]->start;
}
comes('the index is replaced', sub { (($n[1]->get('/app-000001')->{json} || {}) ? join ' ', keys %{ $n[1]->get('/app-000001')->{json} || {} } : '') =~ /^shrink-\w{4}-app-000001$/ }, 120)
    or diag $n[1]->get('/_cat/shards')->{content}, explain(explain_of('app-000001'));
my ($name, $i) = %{ $n[1]->get('/app-000001')->{json} };
is($i->{settings}{index}{number_of_shards}, '1', 'by one with one shard');
is_deeply([map { [$_, $i->{aliases}{$_}] } sort keys %{ $i->{aliases} }], [['app', {is_write_index => JSON::PP::false}], ['app-000001', {}], ['odd', {filter => {range => {a => {gte => 100}}}}]], 'with its aliases, and its name for another');
is($i->{settings}{index}{routing}{allocation}{require}, undef, 'without the filter of a node');
is($i->{settings}{index}{blocks}{write}, 'true', 'read-only');
comes('the phase goes on to its end', sub { my $e = explain_of($name); ($e->{phase} // '') eq 'warm' && ($e->{action} // '') eq 'complete' }, 60) or diag explain explain_of($name);
is(explain_of($name)->{policy}, 'p', 'it has the policy');
ok(explain_of($name)->{lifecycle_date_millis} >= $created, 'and its age');
comes('the backing index too', sub { my $d = $n[0]->get('/_data_stream/logs-a')->{json}{data_streams}[0]{indices}; @$d == 2 && $d->[0]{index_name} =~ /^shrink-\w{4}-\.ds-logs-a-/ }, 120)
    or diag $n[0]->get('/_data_stream/logs-a')->{content}, $n[1]->get('/_cat/shards')->{content};
comes('all copies are there', sub { $n[0]->get('/_cluster/health')->{json}{status} eq 'green' });
$n[0]->post('/_refresh');
for my $t (qw(app logs-a)) {
    my $r = $n[2]->post("/$t/_search", {size => 0, track_total_hits => \1, aggs => {s => {sum => {field => 'a'}}, n => {cardinality => {field => 'a', precision_threshold => 1000}}}})->{json};
    is_deeply([$r->{hits}{total}{value}, $r->{aggregations}{s}{value}, $r->{aggregations}{n}{value}], [300, 299 * 150, 300], "$t has its documents");
}
is($n[0]->get('/odd/_count')->{json}{count}, 200, 'also by the alias with a filter');
is($n[0]->post('/app/_doc', {a => 1})->{json}{_index}, 'app-000002', 'writes go on');
is(scalar(grep { /^app-000001$|^\.ds-logs-a-.*-000001$/ } map { $_->{index} } @{ $n[0]->get('/_cat/indices?format=json&expand_wildcards=all')->{json} }), 0, 'the sources are gone');

is($c->stop, 0, 'the nodes stop');
done_testing;
