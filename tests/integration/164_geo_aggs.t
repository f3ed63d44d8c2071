# Aggregations of points on the earth against an oracle in Perl: cells of geohash_grid and geotile_grid, geo_bounds, geo_centroid;
# several shards on two nodes, several points a document, below terms, with metrics below them; bounds, sizes, unmapped fields,
# typed keys, limits and refusals.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX qw(floor);
use QdCluster;

my $c = QdCluster->new('geoaggs', nodes => 2);
$c->start;
my @n = $c->nodes;
my ($PI, @docs) = (4 * atan2(1, 1));
srand 7;
for my $i (0 .. 399) {
    my @points = map { [sprintf('%.4f', rand(170) - 85 + 0.00003), sprintf('%.4f', rand(360) - 180 + 0.00003)] } 1 .. ($i % 7 == 0 ? 3 : 1);
    @points = ([sprintf('%.4f', 48 + rand 2), sprintf('%.4f', 2 + rand 2)]) if $i % 3 == 0;
    push @docs, {k => 'k' . $i % 4, n => $i, p => [map { {lat => $_->[0] + 0, lon => $_->[1] + 0} } @points]};
}
is($n[0]->put('/g', {settings => {number_of_shards => 3, number_of_replicas => 0}, mappings => {properties => {p => {type => 'geo_point'}, k => {type => 'keyword'}, n => {type => 'long'}}}})->{status}, 200, 'an index');
$n[0]->put('/none', {settings => {number_of_replicas => 0}, mappings => {properties => {q => {type => 'geo_point'}}}});
my $bulk = join '', map { qq({"index":{"_id":"$_->{n}"}}\n) . $n[0]->json($_) . "\n" } @docs if $n[0]->can('json');
$bulk //= do { my $j = JSON::PP->new->canonical; join '', map { qq({"index":{"_id":"$_->{n}"}}\n) . $j->encode($_) . "\n" } @docs };
is($n[0]->request('POST', '/g/_bulk?refresh=true', $bulk)->{json}{errors}, JSON::PP::false, 'documents');
sub aggs { my ($aggs, $index, $params) = @_; my $r = $n[rand 2]->post('/' . ($index || 'g') . '/_search?' . ($params || ''), {size => 0, aggs => $aggs}); return $r->{json}{aggregations} || $r }

# as the column keeps it: cells of 32 bits, cut down
sub stored { my ($p) = @_; return map { floor($_->[0] / $_->[1] * 2**32) * $_->[1] / 2**32 } [$p->{lat}, 180], [$p->{lon}, 360] }
sub geohash {
    my ($lat, $lon, $len) = @_;
    my ($text, @r) = ('', -90, 90, -180, 180);
    my ($bit, $ch) = (0, 0);
    while (length $text < $len) {
        my ($k, $v) = $bit % 2 == 0 ? (2, $lon) : (0, $lat);
        my $mid = ($r[$k] + $r[ $k + 1 ]) / 2;
        $ch = $ch * 2 + ($v >= $mid ? 1 : 0);
        $r[ $k + ($v >= $mid ? 0 : 1) ] = $mid;
        if (++$bit % 5 == 0) { $text .= substr '0123456789bcdefghjkmnpqrstuvwxyz', $ch, 1; $ch = 0 }
    }
    return $text;
}
sub tile {
    my ($lat, $lon, $z) = @_;
    my $s = sin($lat * $PI / 180);
    return join '/', $z, floor(($lon + 180) / 360 * 2**$z), floor((0.5 - log((1 + $s) / (1 - $s)) / (4 * $PI)) * 2**$z);
}
sub expected { my ($fn, @of) = @_; my %n; for my $d (@of) { my %in = map { ($_ => 1) } map { $fn->(stored($_)) } @{ $d->{p} }; $n{$_}++ for keys %in } return \%n }
sub found { return {map { $_->{key} => $_->{doc_count} } @{ $_[0]{buckets} }} }

for my $len (1, 2, 4, 7, 12) {
    is_deeply(found(aggs({g => {geohash_grid => {field => 'p', precision => $len}}})->{g}), expected(sub { geohash(@_, $len) }, @docs), "geohash_grid of $len");
}
for my $z (0, 1, 5, 12, 29) {
    is_deeply(found(aggs({g => {geotile_grid => {field => 'p', precision => $z}}})->{g}), expected(sub { tile(@_, $z) }, @docs), "geotile_grid of $z");
}
my $best = aggs({g => {geohash_grid => {field => 'p', precision => 2, size => 3, shard_size => 1000}}})->{g}{buckets};
my $all = expected(sub { geohash(@_, 2) }, @docs);
is_deeply([map { $_->{doc_count} } @$best], [(sort { $b <=> $a } values %$all)[0 .. 2]], 'the best of them');
is($best->[0]{key}, 'u0', '... Paris first');
is_deeply([map { $_->{key} } @{ aggs({g => {geohash_grid => {field => 'p', precision => 12, size => 5}}})->{g}{buckets} }], [(reverse sort { signed($a) cmp signed($b) } keys %{ expected(sub { geohash(@_, 12) }, @docs) })[0 .. 4]], 'equal ones by their keys, downwards');
# a key of 12 digits has its sign in the first bit: the west is the greater
sub signed { my ($h) = @_; my $i = index '0123456789bcdefghjkmnpqrstuvwxyz', substr $h, 0, 1; return ($i < 16 ? 'b' : 'a') . $h }
is_deeply(found(aggs({g => {geohash_grid => {field => 'p', precision => '100km'}}})->{g}), expected(sub { geohash(@_, 4) }, @docs), 'a length for a precision');

my $box = {top_left => {lat => 60, lon => -20}, bottom_right => {lat => 30, lon => 40}};
my $in = sub { my ($lat, $lon) = @_; my $t = tile($lat, $lon, 8); my ($x, $y) = $t =~ m{/(\d+)/(\d+)};
    my ($w, $e) = map { $_ / 256 * 360 - 180 } $x, $x + 1;
    my ($no, $so) = map { my $k = $PI * (1 - 2 * $_ / 256); atan2((exp($k) - exp(-$k)) / 2, 1) * 180 / $PI } $y, $y + 1;
    return 60 > $so && 30 < $no && -20 < $e && 40 > $w ? $t : () };
is_deeply(found(aggs({g => {geotile_grid => {field => 'p', precision => 8, bounds => $box}}})->{g}), expected($in, @docs), 'within bounds');

my $r = aggs({k => {terms => {field => 'k', order => {_key => 'asc'}}, aggs => {g => {geohash_grid => {field => 'p', precision => 2}, aggs => {s => {sum => {field => 'n'}}, c => {geo_centroid => {field => 'p'}}}}, b => {geo_bounds => {field => 'p', wrap_longitude => \0}}, c => {geo_centroid => {field => 'p'}}}}})->{k};
for my $bucket (@{ $r->{buckets} }) {
    my @of = grep { $_->{k} eq $bucket->{key} } @docs;
    is_deeply(found($bucket->{g}), expected(sub { geohash(@_, 2) }, @of), "cells below $bucket->{key}");
    my %sum;
    for my $d (@of) { my %in = map { geohash(stored($_), 2) => 1 } @{ $d->{p} }; $sum{$_} += $d->{n} for keys %in }
    is_deeply({map { $_->{key} => $_->{s}{value} } @{ $bucket->{g}{buckets} }}, \%sum, '... with sums');
    my @points = map { [stored($_)] } map { @{ $_->{p} } } @of;
    my ($lat, $lon) = map { my $k = $_; my $s = 0; $s += $_->[$k] for @points; $s / @points } 0, 1;
    my $cen = $bucket->{c};
    ok($cen->{count} == @points && abs($cen->{location}{lat} - $lat) < 1e-9 && abs($cen->{location}{lon} - $lon) < 1e-9, '... a centroid');
    my @lat = sort { $a <=> $b } map { $_->[0] } @points;
    my @lon = sort { $a <=> $b } map { $_->[1] } @points;
    my $bo = $bucket->{b}{bounds};
    is_deeply([map { sprintf '%.9f', $_ } @{ $bo->{top_left} }{qw(lat lon)}, @{ $bo->{bottom_right} }{qw(lat lon)}], [map { sprintf '%.9f', $_ } $lat[-1], $lon[0], $lat[0], $lon[-1]], '... and bounds');
}
$n[0]->put('/w', {settings => {number_of_replicas => 0}, mappings => {properties => {p => {type => 'geo_point'}}}});
$n[0]->post('/w/_doc?refresh=true', {p => {lat => 0, lon => $_}}) for 170, -170;
my ($w) = map { $_->{b}{bounds} } aggs({b => {geo_bounds => {field => 'p'}}}, 'w');
ok(abs($w->{top_left}{lon} - 170) < 1e-6 && abs($w->{bottom_right}{lon} + 170) < 1e-6, 'bounds over the date line');
($w) = map { $_->{b}{bounds} } aggs({b => {geo_bounds => {field => 'p', wrap_longitude => \0}}}, 'w');
ok(abs($w->{top_left}{lon} + 170) < 1e-6 && abs($w->{bottom_right}{lon} - 170) < 1e-6, 'or round the world');

is_deeply(aggs({g => {geohash_grid => {field => 'p'}}, t => {geotile_grid => {field => 'p'}}, b => {geo_bounds => {field => 'p'}}, c => {geo_centroid => {field => 'p'}}}, 'none'),
    {g => {buckets => []}, t => {buckets => []}, b => {}, c => {count => 0}}, 'of an unmapped field nothing');
is(aggs({c => {geo_centroid => {field => 'p'}}}, 'g,none')->{c}{count}, scalar(map { @{ $_->{p} } } @docs), 'beside one of which there is something');
is_deeply([sort keys %{ aggs({g => {geohash_grid => {field => 'p'}}, t => {geotile_grid => {field => 'p'}}, b => {geo_bounds => {field => 'p'}}, c => {geo_centroid => {field => 'p'}}}, 'g', 'typed_keys=true') }],
    ['geo_bounds#b', 'geo_centroid#c', 'geohash_grid#g', 'geotile_grid#t'], 'typed keys');
for my $case (
    [{geohash_grid => {field => 'p', precision => 13}}, qr/Invalid geohash aggregation precision of 13\. Must be between 1 and 12\./],
    [{geotile_grid => {field => 'p', precision => 30}}, qr/Invalid geotile_grid precision of 30\. Must be between 0 and 29\./],
    [{geohash_grid => {field => 'p', size => 0}}, qr/\[size\] must be greater than 0/],
    [{geohash_grid => {field => 'p', zoom => 1}}, qr/\[geohash_grid\] unknown field \[zoom\]/],
    [{geohash_grid => {field => 'n'}}, qr/Field \[n\] of type \[long\] is not supported for aggregation \[geohash_grid\]/],
    [{geo_bounds => {field => 'k'}}, qr/Field \[k\] of type \[keyword\] is not supported for aggregation \[geo_bounds\]/],
    [{geohash_grid => {field => 'p', bounds => {top_left => {lat => 1, lon => 1}}}}, qr/bounding box|bounds/],
) {
    my $r = aggs({a => $case->[0]});
    my $text = $r->{content} // '';
    ok($r->{status} && $r->{status} == 400, 'refused') or diag explain $r;
    like($text, $case->[1], '... with the reason');
}
$n[0]->put('/_cluster/settings', {persistent => {'search.max_buckets' => 100}});
$r = aggs({g => {geohash_grid => {field => 'p', precision => 6}}});
like($r->{content} // '', qr/too_many_buckets_exception/, 'too many buckets are refused');
is($c->stop, 0, 'the nodes stop');
done_testing;
