#!/usr/bin/perl
# 126_collapse_nodes.t: field collapsing over nodes: values of groups travel with the hits of shards, so that each node makes one
# answer of all, the one of a search that is grouped here; also where one other node has all shards, in a point in time, and when
# a node goes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use Test::More;

my $c = QdCluster->new('groups', nodes => 3)->start;
my @n = $c->nodes;
srand 126;
my %docs;
my %fields = (who => 'keyword', num => 'long', real => 'float', big => 'unsigned_long', v => 'version');
my $mappings = { properties => { rank => { type => 'integer' }, text => { type => 'text' }, deep => { type => 'nested', properties => { n => { type => 'integer' } } }, map { $_ => { type => $fields{$_} } } keys %fields } };
$n[0]->put('/wide', { settings => { number_of_shards => 5, number_of_replicas => 0, refresh_interval => -1, 'index.merge.policy.segments_per_tier' => 50 }, mappings => $mappings });
$n[0]->put('/far', { settings => { number_of_shards => 2, number_of_replicas => 0, refresh_interval => -1, 'index.routing.allocation.include._name' => $n[2]{name} }, mappings => $mappings });
ok($c->wait_status('green'), 'green');
for my $index ('wide', 'far') {
    for my $part (0 .. 2) {
        my $lines = '';
        for my $id ($part * 60 + 1 .. $part * 60 + 60) {
            my $d = $docs{$id} //= {
                rank => int rand 30, text => join(' ', map { [qw(a b c)]->[ rand 3 ] } 1 .. 1 + rand 8), deep => [ { n => 1 }, { n => 2 } ],
                (rand() < 0.9 ? (who => 'w' . int rand 20) : ()), (rand() < 0.9 ? (num => int(rand 20) - 10) : ()),
                (rand() < 0.9 ? (real => int(rand 20) / 8 - 1) : ()), (rand() < 0.9 ? (big => 18446744073709551615 - int rand 9) : ()), (rand() < 0.9 ? (v => '1.' . int(rand 14)) : ()) };
            $lines .= qq({"index":{"_index":"$index","_id":"$id"}}\n) . JSON::PP::encode_json($d) . "\n";
        }
        is($n[$part]->post('/_bulk', $lines)->{json}{errors}, JSON::PP::false, 'a bulk');
        $n[0]->post("/$index/_refresh", '');
    }
}

sub key { my ($h, $f) = @_; my $v = $docs{ $h->{_id} }{$f}; return defined $v ? "=$v" : 'none' }
sub ids { join ' ', map { $_->{_id} } @_ }
for my $index ('wide', 'far') {
    for my $field (sort keys %fields) {
        for my $sort (undef, [ { rank => 'desc' } ], [ { $field => 'asc' }, { rank => 'asc' } ]) {
            my %base = (query => { match => { text => 'a b' } }, ($sort ? (sort => $sort) : ()));
            for my $node (@n) {
                my $name = "$index, $field by " . ($sort ? JSON::PP::encode_json($sort) : 'score') . " from $node->{name}";
                my $flat = $node->post("/$index/_search", { %base, size => 500 })->{json}{hits}{hits};
                my %seen;
                my @want = grep { !$seen{ key($_, $field) }++ } @$flat;
                my $r = $node->post("/$index/_search", { %base, size => 8, from => 2, collapse => { field => $field, inner_hits => { name => 'x', size => 2, sort => [ { rank => 'asc' }, '_score' ] } } });
                my @got = @{ $r->{json}{hits}{hits} };
                my $last = $#want < 9 ? $#want : 9;
                is(ids(@got), ids(@want[ 2 .. $last ]), $name) or diag substr $r->{content}, 0, 500;
                is_deeply([ map { defined $_->{fields}{$field}[0] } @got ], [ map { defined $docs{ $_->{_id} }{$field} } @got ], '... with their values');
                for my $h (@got) {
                    my @of = sort { $docs{ $a->{_id} }{rank} <=> $docs{ $b->{_id} }{rank} } grep { key($_, $field) eq key($h, $field) } @$flat;
                    my $in = $h->{inner_hits}{x}{hits};
                    is("$in->{total}{value} " . join(' ', map { $docs{ $_->{_id} }{rank} } @{ $in->{hits} }), @of . ' ' . join(' ', map { $docs{ $_->{_id} }{rank} } @of[ 0 .. (@of < 2 ? $#of : 1) ]), '... and what is in them');
                }
            }
        }
    }
    my $r = $n[0]->post("/$index/_search?pretty=true", { size => 3, query => { nested => { path => 'deep', query => { match_all => {} }, inner_hits => {} } }, collapse => { field => 'who', inner_hits => { name => 'x', size => 1 } } });
    is_deeply([ map { [ sort keys %{ $_->{inner_hits} } ] } @{ $r->{json}{hits}{hits} } ], [ ([qw(deep x)]) x 3 ], "$index: inner hits of both kinds, laid out");
    my $pit = $n[1]->post("/$index/_pit?keep_alive=1m", '')->{json}{id};
    for my $node (@n) {
        my $p = $node->post('/_search', { pit => { id => $pit }, sort => ['who'], search_after => ['w11'], size => 2, collapse => { field => 'who', inner_hits => { name => 'x', size => 1 } } })->{json};
        is(join(' ', map { "$_->{sort}[0] $_->{inner_hits}{x}{hits}{hits}[0]{_source}{who}" } @{ $p->{hits}{hits} }), 'w12 w12 w13 w13', "$index: a point in time from $node->{name}");
    }
    my $m = $n[0]->post('/_msearch', qq({"index":"$index"}\n{"size":2,"sort":["num"],"collapse":{"field":"num","inner_hits":{"name":"x"}}}\n))->{json}{responses}[0];
    is(join(' ', map { $_->{inner_hits}{x}{hits}{hits}[0]{_source}{num} } @{ $m->{hits}{hits} }), '-10 -9', "$index: _msearch");
    my $d = $n[0]->post("/$index/_search?search_type=dfs_query_then_fetch", { query => { match => { text => 'c' } }, collapse => { field => 'who', inner_hits => { name => 'x', size => 1 } } })->{json};
    is_deeply([ map { $_->{inner_hits}{x}{hits}{max_score} } @{ $d->{hits}{hits} } ], [ map { $_->{_score} } @{ $d->{hits}{hits} } ], "$index: statistics of all shards count within groups as well");
    like($n[0]->post("/$index/_search", { collapse => { field => 'text' } })->{content}, qr/collapse is not supported for the field \[text\]/, "$index: refused");
}

# a document with several values fails its shard alone
$n[0]->put('/wide/_doc/several?refresh=true', { num => [ 1, 2 ], rank => 0, text => 'several' });
my $r = $n[1]->post('/wide/_search', { query => { match => { text => 'several a' } }, size => 100, collapse => { field => 'num' } })->{json};
is($r->{_shards}{failed}, 1, 'several values fail one shard');
like($r->{_shards}{failures}[0]{reason}{reason}, qr/the grouping field must be single valued/, '... and why');
cmp_ok(scalar @{ $r->{hits}{hits} }, '>', 5, '... groups of the others are shown');

$c->kill9(2);
ok(QdNode->wait_for(sub { my $h = $n[0]->post('/wide/_search', { query => { match => { text => 'a' } }, collapse => { field => 'who', inner_hits => { name => 'x', size => 1 } } }); $h->{status} == 200 && $h->{json}{_shards}{failed} && @{ $h->{json}{hits}{hits} } }, 60), 'without a node the groups of the others');
is($n[0]->post('/far/_search', { collapse => { field => 'who' } })->{status}, 503, 'an index that is gone');
is($c->stop, 0, 'stopped');
done_testing;
