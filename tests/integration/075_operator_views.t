#!/usr/bin/perl
# 075_operator_views.t: what an iterating operator sees of a segment: positions, strings, several values a document, ordinals
# and queries within its own, decided in two phases. Each finds what a native query finds.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use Toys qw(toys);

my $dir = toys('the toy is built', 'toy-views');
my $n = QdNode->new('vw', settings => {'plugins.path' => $dir, 'plugins.allow' => 'coordination-raft,storage-nvme,toy-views'});
$n->start;
$n->put('/v', {settings => {number_of_shards => 2, number_of_replicas => 0, 'index.refresh_interval' => '-1'},
    mappings => {properties => {t => {type => 'text'}, k => {type => 'keyword'}, d => {type => 'double'}, n => {type => 'long'}}}});
my $docs = 0;
for my $segment (1 .. 3) {
    my $body = '';
    for (1 .. 3000) {
        my $i = $docs++;
        my $text = join ' ', map { 'w' . (($i * 7 + $_ * $_) % 9) } 0 .. $i % 11;
        my $k = join ',', map { qq("k@{[($i + 3 * $_) % 10]}") } 1 .. $i % 4;
        my $d = join ',', map { $i % 13 + $_ / 2 } 0 .. $i % 3;
        $body .= qq({"index":{"_id":"$i"}}\n) . ($i % 19 ? qq({"t":"$text","k":[$k],"d":[$d],"n":$i}\n) : qq({"n":$i}\n));
    }
    $n->post('/v/_bulk?refresh=true', $body);
}
$n->post('/v/_bulk?refresh=true', join '', map { qq({"delete":{"_id":"@{[$_ * 5]}"}}\n) } 0 .. 400);

sub hits { my ($query) = @_; my $r = $n->post('/v/_search', {query => $query, size => 10000, sort => [{n => 'asc'}], track_scores => \1, track_total_hits => \1}); return $r->{status} == 200 ? $r->{json}{hits}{hits} : [{_id => $r->{content}, _score => 0}] }
sub ids { return join ' ', map { $_->{_id} } @{ hits(@_) } }
sub scored { my ($factor, $query) = @_; return join ' ', map { sprintf '%s=%.4f', $_->{_id}, $_->{_score} * $factor } @{ hits($query) } }
sub reason { my $r = $n->post('/v/_search', {query => $_[0]}); my $f = $r->{json}{error}{failed_shards}[0]{reason} || $r->{json}{error} || {}; return $f->{reason} // $r->{content} }

for (['w1', 'w2'], ['w0', 'w1'], ['w3', 'w7'], ['w4', 'w4']) {
    my ($a, $b) = @$_;
    my $phrase = {match_phrase => {t => "$a $b"}};
    my $mine = {toy_view => {mode => 'phrase', field => 't', first => $a, second => $b}};
    is(ids($mine), ids($phrase), "a phrase by positions: $a $b");
    is(ids({bool => {filter => [$mine, {range => {n => {gte => 1000, lt => 5000}}}]}}), ids({bool => {filter => [$phrase, {range => {n => {gte => 1000, lt => 5000}}}]}}), '... as a filter');
}
isnt(ids({match_phrase => {t => 'w0 w1'}}), '', 'there are some');
my $by_term = ids({term => {k => 'k4'}});
is(ids({toy_view => {mode => $_, field => 'k', first => 'k4'}}), $by_term, "a keyword by its $_") for qw(strings ordinal);
is(ids({toy_view => {mode => $_, field => 'k', first => 'nope'}}), '', '... one that there is not') for qw(strings ordinal);
my %of = map { $_->{_id} => $_ } @{ hits({toy_view => {mode => 'strings', field => 'k', first => 'k4'}}) };
is((grep { $of{$_}{_score} != @{ $of{$_}{_source}{k} } } keys %of), 0, 'with all values of each');
my $sums = hits({toy_view => {mode => 'numbers', field => 'n'}});
is((grep { $_->{_score} != $_->{_source}{n} } @$sums), 0, 'numbers');
cmp_ok(scalar @$sums, '>', 6000, '... of all documents');
like(reason({toy_view => {mode => 'numbers', field => 'k'}}), qr/^operator \[toy_view\]: field \[k\] is of type \[keyword\]; only numeric/, '... of a keyword');
like(reason({toy_view => {mode => 'strings', field => 't', first => 'x'}}), qr/^operator \[toy_view\]: field \[t\] is of type \[text\]; only keyword and ip/, 'strings of a text');
like(reason({toy_view => {mode => 'strings', field => 'zz', first => 'x'}}), qr/^operator \[toy_view\]: field \[zz\] is not in the mapping/, '... of no field');
like(reason({toy_view => {mode => 'phrase', field => 'k', first => 'k1', second => 'k2'}}), qr/^operator \[toy_view\]: field \[k\] is indexed without positions$/, 'positions of a keyword');

# Queries within.
for my $within ({match => {t => 'w1 w5'}}, {range => {n => {gte => 4000, lt => 4100}}}, {match_none => {}}, {match_all => {}},
    {bool => {must => [{match => {t => 'w2'}}], must_not => [{term => {k => 'k4'}}]}}, {toy_view => {mode => 'strings', field => 'k', first => 'k3'}}) {
    my ($name) = keys %$within;
    is(scored(1, {toy_view => {mode => 'child', within => $within}}), scored(2, $within), "$name within: twice its score");
}
my $named = hits({toy_view => {mode => 'child', _name => 'outer', boost => 3, within => {term => {k => {value => 'k4', _name => 'inner'}}}}});
is_deeply([sort @{ $named->[0]{matched_queries} || [] }], ['inner', 'outer'], 'names within and without');
my $r = $n->post('/v/_search', qq({"query":{"toy_view":{"mode":"child",\n "within":{"nope":{}}}}}));
is("$r->{status} $r->{json}{error}{line}:$r->{json}{error}{col}", '400 2:19', 'an unknown query within, with its place') or diag $r->{content};
like($n->post('/v/_search', {query => {toy_view => {mode => 'child', within => 7}}})->{content}, qr/must start with start_object/, 'one that is no object');
like(reason({toy_view => {mode => 'child'}}), qr/^operator \[toy_view\] has 0 children and opens number 0$/, 'a child that there is not');
like(reason({toy_view => {mode => 'adds'}}), qr/^operator \[toy_view\] of plugin \[toy-views\]: match_block left document \d+, which is out of order or was no candidate$/, 'a match that was no candidate');
my $e = $n->post("/v/_explain/$named->[0]{_id}", {query => {toy_view => {mode => 'child', within => {match => {t => 'w1'}}}}})->{json};
is($e->{explanation}{details}[0]{value} * 2, $e->{explanation}{value}, 'what is within is explained') if $e->{matched};
is($n->stop, 0, 'the node stops');
done_testing;
