#!/usr/bin/perl
# 094_search_answers.t: answers of searches that were wrong without an error: paths of pipelines, values
# of unmapped fields, numeric_type, filters of field capabilities, regular expressions, boosts of indices.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/lib';
use QdNode;
use Test::More;

my $node = QdNode->new('answers', settings => {'compatibility.identity' => 'os2'});
$node->start;

my %doc = (
    1 => {k => 'a', n => 1, d => -2.9, s => -2.9, at => '2018-01-01', t => 'Short'},
    2 => {k => 'b', n => 4, d => -2.1, s => -2.1, at => '2018-02-01', t => 'long'},
    3 => {k => 'b', n => 3, d => 1.5, s => 1.5, at => '2020-02-01', t => 'long'},
);
$node->put('/t', {settings => {number_of_shards => 2}, mappings => {properties => {
    k => {type => 'keyword'}, n => {type => 'integer'}, d => {type => 'double'}, t => {type => 'text'},
    s => {type => 'scaled_float', scaling_factor => 10}, at => {type => 'date'}}}});
$node->put("/t/_doc/$_?refresh", $doc{$_}) for sort keys %doc;
$node->put('/old', {mappings => {properties => {at => {type => 'date'}}}});
$node->put('/old/_doc/1?refresh', {at => '2010-01-01'});

sub aggs {
    my ($aggs, %more) = @_;
    my $r = $node->post('/t/_search', {size => 0, aggs => $aggs, %more});
    return $r->{status} == 200 ? $r->{json}{aggregations} : "$r->{status} $r->{json}{error}{type}: $r->{json}{error}{reason}";
}
sub by_k { my ($subs, $more) = @_; return {h => {terms => {field => 'k', %{$more || {}}}, aggs => $subs}} }
sub beside { my ($type, $path, $subs) = @_; return aggs({%{by_k($subs)}, p => {$type => {buckets_path => $path}}}) }

my $max = {max => {field => 'n'}};
my $number = 'buckets_path must reference either a number value or a single value numeric metric aggregation';

subtest 'a path of a pipeline leads through dots and brackets' => sub {
    is(beside('sum_bucket', 'h.m', {m => $max})->{p}{value}, 5, 'h.m is h>m');
    is(beside('sum_bucket', 'h>m.max', {m => {stats => {field => 'n'}}})->{p}{value}, 5, 'a value of several');
    is(beside('sum_bucket', 'h._count', {})->{p}{value}, 3, 'documents of buckets');
    is(beside('max_bucket', 'h>p[50.0]', {p => {percentiles => {field => 'n'}}})->{p}{value}, 3.5, 'a dot within brackets');
    my $ordered = aggs(by_k({p => {percentiles => {field => 'n'}}}, {order => {'p[50.0]' => 'desc'}}));
    is(join(',', map { $_->{key} } @{$ordered->{h}{buckets}}), 'b,a', 'in an order too');
};

subtest 'a path that ends at no number is refused' => sub {
    like(beside('max_bucket', 'h>b', {b => {terms => {field => 'n'}}}), qr/\Q$number, got: [terms] at aggregation [b]/, 'buckets');
    like(beside('max_bucket', 'h>b', {b => {filter => {match_all => {}}}}), qr/\Q$number, got: [filter]/, 'one bucket');
    like(beside('max_bucket', 'h>b>m', {b => {terms => {field => 'n'}, aggs => {m => $max}}}), qr/\Q$number, got: [Object[]]/, 'many values');
    like(beside('max_bucket', 'h', {}), qr/\Q$number, got: [Bucket]/, 'no value at all');
    like(beside('sum_bucket', 'h>b', {b => {stats => {field => 'n'}}}), qr/\[b\] contains multiple values/, 'several values');
    like(beside('sum_bucket', 'x>b', {}), qr/^400 action_request_validation_exception: .*No aggregation found for path \[x>b\]/, 'no aggregation');
    like(beside('sum_bucket', 'h>b', {}), qr/^400 .*No aggregation \[b\] found for path \[h>b\]/, 'none below');
    like(aggs({f => {filter => {match_all => {}}, aggs => {m => $max}}, p => {sum_bucket => {buckets_path => 'f>m'}}}),
        qr/^400 .*must be a multi-bucket aggregation/, 'beside one bucket');
};

subtest 'a pipeline within buckets needs the right buckets' => sub {
    like(aggs({p => {bucket_sort => {size => 1}}}), qr/^400 .*\[p\] must be declared inside of another aggregation/, 'none');
    like(aggs(by_k({m => $max, c => {cumulative_sum => {buckets_path => 'm'}}})),
        qr/^400 .*must have a histogram, date_histogram or auto_date_histogram as parent/, 'no histogram');
    my $histogram = {field => 'n', interval => 1};
    my $sums = {m => $max, c => {cumulative_sum => {buckets_path => 'm'}}};
    like(aggs({h => {histogram => {%$histogram, min_doc_count => 1}, aggs => $sums}}), qr/^400 .*must have min_doc_count of 0/, 'with gaps');
    is(aggs({h => {histogram => $histogram, aggs => $sums}})->{h}{buckets}[-1]{c}{value}, 8, 'a histogram');
};

subtest 'value_type says what an unmapped field would hold' => sub {
    my $key = sub { my $b = aggs({a => {terms => {field => 'none', value_type => $_[0], missing => $_[1]}}})->{a}{buckets}[0]; delete $b->{doc_count}; $b };
    is_deeply($key->('long', 3), {key => 3}, 'a number');
    is_deeply($key->('date', '2016-05-11'), {key => 1462924800000, key_as_string => '2016-05-11T00:00:00.000Z'}, 'a date');
    is_deeply($key->('boolean', JSON::PP::true), {key => 1, key_as_string => 'true'}, 'a truth value');
    is_deeply($key->('string', 'x'), {key => 'x'}, 'a text');
};

subtest 'an index without hits is a bucket of no documents' => sub {
    my $r = $node->post('/t,old/_search', {size => 0, query => {term => {k => 'a'}}, aggs => {i => {terms => {field => '_index', min_doc_count => 0}}}});
    is_deeply([map { "$_->{key}:$_->{doc_count}" } @{$r->{json}{aggregations}{i}{buckets}}], ['t:1', 'old:0'], 'both are there');
};

subtest 'numeric_type casts what is sorted by' => sub {
    my $sorted = sub {
        my $r = $node->post('/t/_search', {sort => {$_[0] => {numeric_type => $_[1], %{$_[2] || {}}}}});
        return $r->{status} == 200 ? join(' ', $r->{content} =~ /"sort":\[([^\]]*)\]/g) : $r->{status};
    };
    is($sorted->('d', 'long'), '-2 -2 1', 'doubles to longs');
    is($sorted->('s', 'long'), '-2 -2 1', 'scaled ones too');
    is($sorted->('s', 'double'), '-2.9 -2.1 1.5', 'and to doubles');
    is($sorted->('n', 'double', {order => 'desc'}), '4.0 3.0 1.0', 'integers to doubles');
    is($sorted->('n', 'date_nanos'), 400, 'what is not supported is refused');
    is($sorted->('d', 'long', {mode => 'sum'}), 400, 'as is a cast of sums');
    my $r = $node->post('/t/_search', {sort => [{d => {numeric_type => 'long'}}, {n => 'asc'}], search_after => [-2, 1]});
    is(join(',', map { $_->{_id} } @{$r->{json}{hits}{hits}}), '2,3', 'search_after goes by the cast value');
};

subtest 'index_filter leaves indices out of the field capabilities' => sub {
    my $caps = sub { join ',', @{$node->post('/t,old/_field_caps?fields=at', $_[0])->{json}{indices}} };
    is($caps->({index_filter => {range => {at => {gte => '2019'}}}}), 't', 'where nothing can match');
    is($caps->({}), 'old,t', 'without one all are told');
    is($node->post('/t/_field_caps?fields=at', {index_filter => {nosuch => {}}})->{status}, 400, 'a filter that is none is refused');
};

subtest 'a regular expression of query_string is normalized as words are' => sub {
    my $r = $node->post('/t/_search', {query => {query_string => {query => 't:/Sho.*/'}}});
    is($r->{json}{hits}{total}{value}, 1, 'it finds the lower case word');
};

subtest 'a boost of an index that is not there is an error' => sub {
    is($node->post('/t/_search', {indices_boost => [{none => 2}]})->{status}, 404, 'by name');
    is($node->post('/t/_search?ignore_unavailable=true', {indices_boost => [{none => 2}]})->{status}, 200, 'unless it may be missing');
    is($node->post('/t/_search', {indices_boost => [{'t*' => 2}]})->{json}{hits}{hits}[0]{_score}, 2, 'a pattern boosts');
};

subtest 'a scroll goes on for no longer than is allowed' => sub {
    $node->put('/_cluster/settings', {persistent => {'search.max_keep_alive' => '1m', 'search.default_keep_alive' => '1m'}});
    my $id = $node->post('/t/_search?scroll=1m&size=1', {})->{json}{_scroll_id};
    my $r = $node->post('/_search/scroll', {scroll => '3m', scroll_id => $id});
    is($r->{status}, 400, 'refused');
    like($r->{json}{error}{reason}, qr/Keep alive for request \(3m\) is too large/, 'with the limit');
    is($node->post('/_search/scroll', {scroll => '1m', scroll_id => $id})->{status}, 200, 'the scroll is still there');
};

$node->stop;
done_testing;
