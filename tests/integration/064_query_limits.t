#!/usr/bin/perl
# 064_query_limits.t: bounds of queries are the settings that are named in their errors.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/lib';
use QdNode;
use Test::More;

my $n = QdNode->new('limits', settings => {
    'indices.query.bool.max_clause_count' => 8, 'indices.query.bool.max_nested_depth' => 5,
    'search.allow_expensive_queries' => 'false',
});
$n->start;
is($n->put('/i', {settings => {'index.max_terms_count' => 3, 'index.max_regex_length' => 10, number_of_replicas => 0},
    mappings => {properties => {k => {type => 'keyword'}}}})->{status}, 200, 'an index with bounds of its own');
is($n->put('/i/_doc/1?refresh=true', {k => 'abc'})->{status}, 201, 'a document');

sub search { my $r = $n->post('/i/_search', {query => $_[0]}); return ($r->{status}, $r->{content}) }
sub refused {
    my ($what, $query, $like) = @_;
    my ($status, $text) = search($query);
    is($status, 400, "$what: refused");
    like($text, $like, "$what: says which bound");
}

is((search({terms => {k => [qw(a b abc)]}}))[0], 200, 'as many terms as allowed');
refused('terms', {terms => {k => [qw(a b c d)]}}, qr/\[4\].*\[3\].*index\.max_terms_count/);
is((search({bool => {should => [map { {term => {k => "v$_"}} } 1 .. 8]}}))[0], 200, 'as many clauses as allowed');
refused('clauses', {bool => {should => [map { {term => {k => "v$_"}} } 1 .. 9]}}, qr/too_many|maxClauseCount/);
my $deep = {match_all => {}};
$deep = {bool => {must => [$deep]}} for 1 .. 8;
refused('depth', $deep, qr{indices\.query\.bool\.max_nested_depth});
refused('expensive', {regexp => {k => 'a.*'}}, qr/search\.allow_expensive_queries/);
is($n->put('/_cluster/settings', {transient => {'search.allow_expensive_queries' => JSON::PP::true()}})->{status}, 200,
    'expensive queries are allowed while the node runs');
is((search({regexp => {k => 'a.*'}}))[0], 200, 'then they run');
refused('regexp', {regexp => {k => 'a' x 11}}, qr/\[11\].*\[10\].*index\.max_regex_length/);

# Words that a fuzzy query becomes are clauses too, of all such words together.
is($n->post('/i/_bulk?refresh=true', join '', map { qq({"index":{}}\n{"w":"word$_"}\n) } 1 .. 9)->{status}, 200, 'words near each other');
sub near { return {query_string => {default_field => 'w', query => join(' ', map { "word$_~1" } @_), fuzzy_max_expansions => 4}} }
is((search(near(1, 2)))[0], 200, 'as many words near them as allowed');
refused('fuzzy words', near(1 .. 3), qr/too_many_nested_clauses.*maxClauseCount is set to 8/);
sub begun { return {bool => {should => [map { {match_phrase_prefix => {w => {query => "word$_ w", max_expansions => 4}}} } @_]}} }
is((search(begun(1, 2)))[0], 200, 'as many words that end phrases as allowed');
refused('ends of phrases', begun(1 .. 3), qr/too_many_nested_clauses.*maxClauseCount is set to 8/);

# Each filter of an aggregation is a search of its own: their number and their clauses are bounded over the whole request.
sub filters { my ($many, $query) = @_; return {filters => {filters => [map { $query || {term => {k => "v$_"}} } 1 .. $many]}} }
sub aggregated { my $r = $n->post('/i/_search', {size => 0, aggs => $_[0]}); return ($r->{status}, $r->{content}) }
is((aggregated({a => filters(4), g => {terms => {field => 'k'}, aggs => {b => filters(4)}}}))[0], 200, 'as many clauses of filters as allowed');
my ($status, $text) = aggregated({a => filters(4), g => {terms => {field => 'k'}, aggs => {b => filters(5)}}});
is($status, 400, 'clauses of all filters of a request: refused');
like($text, qr/more than \[8\] clauses.*indices\.query\.bool\.max_clause_count/, 'says which bound');
is((aggregated({a => filters(4, {terms => {k => [qw(a b c)]}})}))[0], 200, 'the values of a terms query are one clause');
($status, $text) = aggregated({a => filters(513, {match_none => {}}), b => {missing => {field => 'k'}, aggs => {c => filters(512, {match_none => {}})}}});
is($status, 400, 'filters of a request: refused');
like($text, qr/hold at most \[1024\] filters/, 'says how many');

is($n->stop, 0, 'stops');
done_testing;
