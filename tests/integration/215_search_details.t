#!/usr/bin/perl
# 215_search_details.t: details of searches that a comparison with a running OpenSearch
# (tests/peers/opensearch/search.py) showed; the expectations are its answers.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('details');
$node->start;
my $json = JSON::PP->new->utf8->canonical;
sub search { my ($body, $path) = @_; $node->post($path || '/t/_search', $body) }
sub ids { join ' ', map { $_->{_id} } @{$_[0]{json}{hits}{hits}} }
sub query { search({ query => $_[0], size => 20 }) }
sub cause { my $e = $_[0]{json}{error}; $e->{root_cause}[0]{reason} }

$node->put('/t', { settings => { number_of_shards => 1 }, mappings => { properties => {
    t => { type => 'text' }, v => { type => 'text', term_vector => 'with_positions_offsets' },
    docs => { type => 'text', index_options => 'docs' }, k => { type => 'keyword' }, b => { type => 'boolean' },
    i => { type => 'integer', ignore_malformed => JSON::PP::true }, f => { type => 'float' },
} } });
$node->put('/terms', { mappings => { properties => { tags => { type => 'keyword' } } } });
my @docs = (
    { t => 'the quick brown fox', docs => 'slow index fox slow eclair lazy cafe', k => 'a', b => JSON::PP::true, i => 5, f => 0.3,
      v => [ 'the New quick runner replica index', 'Server node city fox dont query foo.bar search green. Brown dog engine quick search.' ] },
    { t => 'lazy dog', docs => 'query green over node fox runner extra', k => 'b', b => JSON::PP::false, i => 'bad', f => 0.6, v => 'nothing here' },
    { t => 'fox', docs => 'nothing', k => '', b => JSON::PP::true, i => 7, f => 0.9 },
);
my $bulk = join '', map { qq({"index":{"_index":"t","_id":"$_"}}\n) . $json->encode($docs[$_ - 1]) . "\n" } 1 .. @docs;
$bulk .= qq({"index":{"_index":"terms","_id":"1"}}\n{"tags":["a","zz"],"o":[{"p":"b"},{"p":["c",null]}]}\n);
is($node->post('/_bulk?refresh=true', $bulk)->{json}{errors}, 0);

subtest 'look-ups of terms' => sub {
    is(ids(query({ terms => { k => { index => 'terms', id => '1', path => 'tags' } } })), '1');
    is(ids(query({ bool => { filter => { terms => { k => { index => 'terms', id => '1', path => 'o.p' } } } } })), '2');
    is(ids(query({ terms => { k => { index => 'terms', id => 'none', path => 'tags' } } })), '', 'no document, no terms');
    my $r = query({ bool => { must => { terms => { k => { index => 'nope', id => '1', path => 'x' } } } } });
    is($r->{status}, 404);
    is($r->{json}{error}{type}, 'index_not_found_exception', 'without frames of the text');
    is(cause(query({ terms => { k => { index => 'terms', path => 'x' } } })), 'Required [id]');
};

subtest 'ignored values' => sub {
    my $r = query({ match_all => {} });
    is_deeply($r->{json}{hits}{hits}[1]{_ignored}, ['i'], 'are named');
    ok(!exists $r->{json}{hits}{hits}[0]{_ignored});
    $r = search({ query => { ids => { values => ['2'] } }, fields => [ 'i', 'k' ] });
    is_deeply($r->{json}{hits}{hits}[0]{ignored_field_values}, { i => ['bad'] }, 'and shown beside the fields');
    is_deeply($r->{json}{hits}{hits}[0]{fields}, { k => ['b'] });
    is(ids(query({ term => { _ignored => 'i' } })), '2');
    is(ids(query({ exists => { field => '_ignored' } })), '2');
};

subtest 'scores' => sub {
    my $r = query({ term => { b => JSON::PP::true } });
    cmp_ok(abs($r->{json}{hits}{max_score} - 0.47000363), '<', 1e-5, 'booleans are terms like others');
    $r = query({ terms => { b => [ JSON::PP::true ] } });
    is($r->{json}{hits}{max_score}, 1, 'and constant in a list');
    $r = query({ match => { docs => 'fox' } });
    is(ids($r), '1 2', 'without frequencies a length counts different words');
};

subtest 'queries' => sub {
    is(ids(query({ range => { f => { gt => 0.3, lt => 0.9 } } })), '2', 'bounds of floats are floats');
    is(ids(query({ wildcard => { k => '' } })), '', 'an empty pattern matches nothing');
    is(ids(query({ bool => { must_not => { term => { k => 'a' } }, minimum_should_match => 2 } })), '2 3',
        'a minimum says nothing where all is forbidden');
    is(ids(query({ range => { _seq_no => { gte => 1, lt => 3 } } })), '2 3');
    like(cause(query({ dis_max => { queries => [ { match_all => {} } ], tie_breaker => 2 } })), qr/tieBreakerMultiplier must be in \[0, 1\]/);
    like(cause(query({ regexp => { k => 'a{3,1}' } })), qr/^failed to create query: invalid repetition range\(out of order\): 3\.\.1/);
    is(query({ regexp => { k => '(' } })->{json}{error}{root_cause}[0]{type}, 'query_shard_exception');
    is(cause(query({ range => { f => { gte => 1, time_zone => '+25:00' } } })),
       'java.time.DateTimeException: Zone offset hours not in valid range: value 25 is not in the range -18 to 18');
    is(query({ ids => { value => ['1'] } })->{json}{error}{type}, 'parsing_exception');
};

subtest 'without an index' => sub {
    $node->put('/c', { mappings => { properties => { k => { type => 'keyword', index => \0 }, ip => { type => 'ip', index => \0 } } } });
    my @values = ([ 'a', '10.0.0.1' ], [ 'b', '10.0.1.1' ], [ [ 'abc', 'z' ], '::1' ]);
    $node->put('/c/_doc/' . ($_ + 1), { k => $values[$_][0], ip => $values[$_][1] }) for 0 .. 2;
    $node->post('/c/_refresh');
    my $in_c = sub { ids(search({ query => $_[0], sort => [ { k => 'asc' } ] }, '/c/_search')) };
    is($in_c->({ term => { k => 'b' } }), '2');
    is($in_c->({ terms => { k => [ 'a', 'z' ] } }), '1 3');
    is($in_c->({ range => { k => { gt => 'a', lt => 'c' } } }), '3 2');
    is($in_c->({ term => { ip => '10.0.0.0/16' } }), '1 2');
    is($in_c->({ term => { ip => '::1' } }), '3');
    is(search({ query => { term => { k => 'b' } } }, '/c/_search')->{json}{hits}{max_score}, 1);
};

subtest 'named queries' => sub {
    my $r = search({ query => { bool => { should => [ { term => { k => { value => 'a', _name => 'z' } } } ], must => { match_all => { _name => 'b' } } } },
                     post_filter => { match => { t => { query => 'fox', _name => 'pf' } } } });
    is_deeply($r->{json}{hits}{hits}[0]{matched_queries}, [ 'b', 'pf', 'z' ], 'in the order of a HashMap, post filters too');
};

subtest 'fvh' => sub {
    my $fvh = sub { search({ query => $_[0], highlight => { %{$_[2] || {}}, fields => { v => { type => 'fvh', %{$_[1]} } } } })->{json}{hits}{hits}[0]{highlight}{v} };
    is_deeply($fvh->({ match => { v => 'quick fox' } }, { fragment_size => 30 }),
        [ 'the New <em>quick</em> runner replica index', 'Server node city <em>fox</em> dont query foo', 'Brown dog engine <em>quick</em> search.' ]);
    is_deeply($fvh->({ match_phrase => { v => 'dog engine' } }, { fragment_size => 18 }), [ 'Brown <em>dog engine</em> quick' ],
        'a phrase is one mark');
    is_deeply($fvh->({ match => { v => 'quick fox' } }, { fragment_size => 30 }, { pre_tags => [ '<1>', '<2>' ], post_tags => [ '</1>', '</2>' ] }),
        [ 'the New <1>quick</1> runner replica index', 'Server node city <2>fox</2> dont query foo', 'Brown dog engine <1>quick</1> search.' ]);
    my $r = search({ query => { match => { t => 'fox' } }, highlight => { fields => { t => { type => 'fvh' } } } });
    like($r->{content}, qr/the field \[t\] should be indexed with term vector with position offsets/);
    like(search({ query => { match => { v => 'fox' } }, highlight => { fields => { v => { type => 'fvh', fragment_size => 5 } } } })->{content},
        qr/fragCharSize\(5\) is too small/);
};

subtest 'parameters' => sub {
    is(search({ track_total_hits => 0, size => 1 })->{json}{hits}{total}{relation}, 'gte');
    is(search({ size => 2.9 })->{status}, 200);
    like($node->get('/t/_search?preference=_bogus')->{content}, qr/no Preference for \[_bogus\]/);
    like($node->get('/t/_search?track_total_hits=x')->{content}, qr/Failed to parse int parameter \[track_total_hits\] with value \[x\]/);
    my $r = $node->get('/t,terms/_search?sort=_index:desc');
    is($r->{json}{hits}{hits}[0]{sort}[0], 'terms', 'indices sort by name');
    like(search({ sort => [ { k => { mode => 'sum' } } ] })->{content}, qr/we only support AVG, MEDIAN and SUM on number based fields/);
    $node->put('/u', { mappings => { properties => { i => { type => 'keyword' } } } });
    $node->put('/u/_doc/1?refresh=true', { i => 'x' });
    like($node->post('/t,u/_search', { sort => ['i'] })->{content}, qr/incompatible sort types: \[LONG\] and \[STRING\]/);
    $r = $node->post('/_msearch', qq({"index":"t"}\n{"size":1}\n{}\n));
    is(scalar @{$r->{json}{responses}}, 1, 'a last header without a body asks for nothing');
};

subtest 'boosts of indices' => sub {
    for my $bad (qw(-1 1e39 1e400)) {
        my $r = search(qq({"indices_boost":[{"t":$bad}]}));
        is($r->{status}, 400, "$bad is refused");
        like($r->{content}, qr/\[indices_boost\] boost must be a positive float, got \[\Q$bad\E\]/, 'with the value');
    }
    is(search('{"indices_boost":[{"t":2.5}],"query":{"match_all":{}},"size":1}')->{json}{hits}{max_score}, 2.5, 'a good one counts');
};

done_testing;
