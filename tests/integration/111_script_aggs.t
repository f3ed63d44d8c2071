#!/usr/bin/perl
# 111_script_aggs.t: scripts over the results of aggregations: bucket_script, bucket_selector, moving_fn.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('script-aggs');
$node->start;
$node->put('/t', { settings => { number_of_shards => 2 }, mappings => { properties => {
    d => { type => 'date' }, n => { type => 'integer' }, k => { type => 'keyword' } } } });
my $bulk = join '', map { sprintf qq({"index":{"_index":"t","_id":"%d"}}\n{"d":"2024-01-%02dT00:00:00Z","n":%d,"k":"k%d"}\n), $_, $_, $_, $_ % 3 }
    grep { $_ != 5 } 1 .. 8;
is($node->post('/_bulk?refresh=true', $bulk)->{json}{errors}, JSON::PP::false, 'documents are indexed');

sub histogram {
    my ($name, $body) = @_;
    my $r = $node->post('/t/_search', { size => 0, aggs => { h => { date_histogram => { field => 'd', calendar_interval => '1d' },
        aggs => { s => { sum => { field => 'n' } }, $name => $body } } } });
    return $r->{status} == 200 ? $r->{json}{aggregations}{h}{buckets} : $r->{content};
}
sub row { join ' ', map { $_->{x} ? defined $_->{x}{value} ? $_->{x}{value} : 'null' : '-' } @{$_[0]} }

subtest 'moving_fn' => sub {
    my $fn = sub { my $b = histogram('x', { moving_fn => { buckets_path => 's', window => 3, script => $_[0], @_[1 .. $#_] } }); ref $b ? row($b) : $b };
    is($fn->('MovingFunctions.sum(values)'), '0 1 3 6 - 9 13 17', 'sums of the window before, gaps left out');
    is($fn->('MovingFunctions.max(values)'), 'null 1 2 3 - 4 6 7', 'greatest values');
    is($fn->('MovingFunctions.unweightedAvg(values)', shift => 1), '1 1.5 2 3 - 4.33333333333333 5.66666666666667 7', 'with a shift');
    is($fn->('MovingFunctions.sum(values)', gap_policy => 'insert_zeros'), '0 1 3 6 9 7 10 13', 'gaps as zeros');
    is($fn->({ source => 'values.length * params.x', params => { x => 2 } }), '0 2 4 6 - 6 6 6', 'any script');
    like($fn->('MovingFunctions.sum(values', window => 3), qr/compile error/, 'a wrong script');
    like($fn->('1.0', window => 0), qr/\[window\] must be a positive, non-zero integer\./, 'a window of nothing');
};

subtest 'bucket_script' => sub {
    my $fn = sub { my $b = histogram('x', { bucket_script => { buckets_path => { s => 's', c => '_count' }, script => $_[0] } }); ref $b ? row($b) : $b };
    is($fn->('params.s * 2 + params.c'), '3 5 7 9 - 13 15 17', 'a number of two');
    is($fn->({ source => 'params.s > params.t ? params.s : null', params => { t => 6 } }), '- - - - - - 7 8', 'or none');
    is(row(histogram('x', { bucket_script => { buckets_path => 's', script => 'params._value + 1' } })), '2 3 4 5 - 7 8 9', 'of one path');
    like($fn->("'a'"), qr/must return a Number/, 'but no text');
    like($fn->('params.s.foo()'), qr/runtime error/, 'what fails tells why');
    like(histogram('x', { bucket_script => { buckets_path => { s => 'nope' }, script => '1' } }), qr/No aggregation found for path \[nope\]/, 'a path that leads nowhere');
};

subtest 'bucket_selector' => sub {
    my $r = $node->post('/t/_search', { size => 0, aggs => { k => { terms => { field => 'k' }, aggs => { s => { sum => { field => 'n' } },
        x => { bucket_selector => { buckets_path => { s => 's' }, script => { source => 'params.s >= params.least', params => { least => 10 } } } } } } } });
    is(join(' ', map { "$_->{key}:$_->{s}{value}" } @{$r->{json}{aggregations}{k}{buckets}}), 'k1:12 k2:10', 'buckets for which it is true');
    $node->put('/_scripts/some', { script => { lang => 'painless', source => 'params._value < 3' } });
    is(scalar @{histogram('x', { bucket_selector => { buckets_path => 's', script => { id => 'some' } } })}, 2, 'a stored one');
};

$node->stop;
done_testing;
