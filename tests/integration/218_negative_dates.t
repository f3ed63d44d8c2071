#!/usr/bin/perl
# 218_negative_dates.t: instants before 1970 given as numbers: stored, found, sorted, counted as what they are.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $n = QdNode->new('n1');
$n->start;
my @ms = (-1, -99, -999, -1000, -9999, -187137609, -999999999, -1000000000, -31536000000, -62135596800000);
$n->put('/d', {mappings => {properties => {dt => {type => 'date'}, s => {type => 'date', format => 'strict_date_optional_time||epoch_second'},
    none => {type => 'date', null_value => -187137609}, iso => {type => 'date', format => 'strict_date_optional_time'}}}});
is($n->put("/d/_doc/$_?refresh=true", {dt => $_})->{status}, 201, "a document at $_") for @ms;
is($n->put('/d/_doc/s?refresh=true', {s => -187137})->{status}, 201, 'in seconds');
is($n->put('/d/_doc/none?refresh=true', '{"none":null}')->{status}, 201, 'a null_value');
is($n->put('/d/_doc/year?refresh=true', {dt => '-0044-03-15', s => 2014, iso => -2014})->{status}, 201, 'years');
sub hits { my ($q, $by) = @_; $n->post('/d/_search', {query => $q, size => 100, sort => [{$by || 'dt' => 'desc'}]})->{json}{hits}{hits} }
my @got = map { $_->{sort}[0] } @{hits({bool => {filter => [{exists => {field => 'dt'}}], must_not => [{ids => {values => ['year']}}]}})};
is_deeply(\@got, \@ms, 'each is the instant that it says');
is(hits({exists => {field => 's'}}, 's')->[1]{sort}[0], -187137000, 'seconds are seconds');
is(hits({exists => {field => 's'}}, 's')->[0]{sort}[0], 1388534400000, '2014 is a year, as in Elasticsearch');
is(hits({exists => {field => 'none'}}, 'none')->[0]{sort}[0], -187137609, 'the null_value');
is(hits({ids => {values => ['year']}}, 'iso')->[0]{sort}[0], -125722886400000, 'without an epoch among the formats it is a year');
is(hits({ids => {values => ['year']}})->[0]{sort}[0], -63549360000000, 'so is a string');
sub shown { my ($id, $field) = @_; $n->post('/d/_search', {query => {ids => {values => [$id]}}, fields => [{field => $field, format => 'epoch_millis'}]})->{json}{hits}{hits}[0]{fields}{$field}[0] }
is(shown($_, 'dt'), $_, "fields shows $_ as it is found") for @ms;
is(shown('s', 's'), -187137000, 'also of seconds');
is(shown('none', 'none'), -187137609, 'of a null_value');
is(shown('year', 'dt'), -63549360000000, 'and a year as one');
sub ids { join ' ', sort { $a <=> $b } map { $_->{_id} } @{hits($_[0])} }
is(ids({range => {dt => {gte => '1969-12-29'}}}), '-187137609 -9999 -1000 -999 -99 -1', 'a range of dates');
is(ids({range => {dt => {gte => -187137609, lt => -1000}}}), '-187137609 -9999', 'a range of numbers');
is(ids({range => {dt => {gt => -187137609, lte => -1000}}}), '-9999 -1000', 'with the other ends');
is(ids({term => {dt => -187137609}}), '-187137609', 'a term');
is(ids({terms => {dt => [-1000, -9999]}}), '-9999 -1000', 'terms');
my $r = $n->post('/d/_search', {size => 0, query => {range => {dt => {gte => -9999}}}, aggs => {
    r => {date_range => {field => 'dt', ranges => [{from => -9999, to => -1000}]}},
    h => {date_histogram => {field => 'dt', fixed_interval => '1d'}}}});
is($r->{json}{aggregations}{r}{buckets}[0]{doc_count}, 1, 'date_range') or diag $r->{content};
is($r->{json}{aggregations}{h}{buckets}[0]{doc_count}, 5, 'date_histogram');
$n->stop;
done_testing;
