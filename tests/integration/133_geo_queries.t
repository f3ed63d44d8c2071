#!/usr/bin/perl
# 133_geo_queries.t: geo_distance, geo_bounding_box, geo_polygon and sorts and the aggregation by distance over HTTP, against a reading of all
# points in Perl: random points, the poles and the date line, several values of a document, deletions, nested ones, and what is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX qw(floor ceil);
use QdNode;
use Test::More;

use constant { PI => 4 * atan2(1, 1), RADIUS => 6371008.7714, LAT => 180 / 2**32, LON => 360 / 2**32 };
my $node = QdNode->new('geo_queries');
$node->start;
srand(133);

sub ids { join ' ', sort map { $_->{_id} } @{$_[0]{json}{hits}{hits}} }
sub found { my ($query, $index) = @_; ids($node->post('/' . ($index // 'g') . '/_search', { query => $query, size => 2000 })) }
sub shard { my ($r) = @_; $r->{json}{error}{root_cause}[0]{reason} // '' }
sub refused { my ($query) = @_; my $r = $node->post('/g/_search', { query => $query }); is($r->{status}, 400); shard($r) }
sub near { my ($got, $want) = @_; ok(abs(($got // 9e9) - $want) < 1e-3 + 1e-9 * abs $want, "near $want") }
sub rad { $_[0] * PI / 180 }

# --- the oracle: what the column keeps, distances over the sphere and on a plane ---
sub cell { my ($v, $size, $end) = @_; $v >= $end ? 2**31 - 1 : floor($v / $size) }
sub kept { my ($lat, $lon) = @_; [ cell($lat, LAT, 90) * LAT, cell($lon, LON, 180) * LON ] }

sub arc {
    my ($p, $q) = @_;
    my ($h1, $h2) = map { 1 - cos(rad($p->[$_] - $q->[$_])) } 0, 1;
    my $half = ($h1 + cos(rad($p->[0])) * cos(rad($q->[0])) * $h2) / 2;
    my $root = sqrt($half < 0 ? 0 : $half > 1 ? 1 : $half);
    return 2 * RADIUS * atan2($root, sqrt(1 - $root * $root));
}
sub plane { my ($p, $q) = @_; my ($x, $y) = (rad($p->[1] - $q->[1]) * cos(rad(($p->[0] + $q->[0]) / 2)), rad($p->[0] - $q->[0])); RADIUS * sqrt($x * $x + $y * $y) }

sub in_polygon {
    my ($p, @c) = @_;
    my $in = 0;
    for my $i (0 .. $#c) {
        my ($a, $b) = ($c[$i], $c[ $i - 1 ]);
        next if ($a->[0] > $p->[0]) == ($b->[0] > $p->[0]);
        $in = !$in if $p->[1] < ($b->[1] - $a->[1]) * ($p->[0] - $a->[0]) / ($b->[0] - $a->[0]) + $a->[1];
    }
    return $in;
}

my (@docs, $bulk);
my @ends = ([ 90, 0 ], [ -90, 0 ], [ 90, 180 ], [ 0, 180 ], [ 0, -180 ], [ 0, 0 ], [ 89.99999, -179.99999 ], [ -45, 179.9999 ], [ -45, -179.9999 ]);
for my $id (0 .. 1199) {
    my @p = $id < @ends ? ($ends[$id]) : map { [ rand(180) - 90, rand(360) - 180 ] } 1 .. ($id % 7 == 0 ? 3 : $id % 11 == 0 ? 0 : 1);
    $docs[$id] = [ map { kept(@$_) } @p ];
    $bulk .= qq({"index":{"_id":"$id"}}\n) . '{"p":[' . join(',', map {qq({"lat":$_->[0],"lon":$_->[1]})} @p) . '],"nodv":[' . join(',', map {"[$_->[1],$_->[0]]"} @p) . '],"noidx":['
        . join(',', map {qq("$_->[0],$_->[1]")} @p) . "]}\n";
}
$node->put('/g', { settings => { number_of_shards => 2 }, mappings => { properties => { p => { type => 'geo_point' }, nodv => { type => 'geo_point', doc_values => \0 },
    noidx => { type => 'geo_point', index => \0 }, k => { type => 'keyword' } } } });
is($node->post('/g/_bulk?refresh=true', $bulk)->{json}{errors}, JSON::PP::false);
for my $id (grep { $_ % 13 == 12 } 0 .. 1199) { $node->request(DELETE => "/g/_doc/$id"); $docs[$id] = undef }
$node->post('/g/_refresh');
sub those { my ($pass) = @_; join ' ', sort grep { my $d = $docs[$_]; $d && grep { $pass->($_) } @$d } 0 .. $#docs }

my @centers = (@ends, map { [ rand(180) - 90, rand(360) - 180 ] } 1 .. 20);
subtest 'geo_distance' => sub {
    for my $c (@centers) {
        my $km = 10**(1 + rand(3.2));
        my %q = (distance => "${km}km");
        my $want = those(sub { arc($c, $_[0]) <= $km * 1000 });
        is(found({ geo_distance => { %q, $_ => { lat => $c->[0], lon => $c->[1] } } }), $want, "$km km around $c->[0], $c->[1]: $_") for qw(p nodv noidx);
        is(found({ geo_distance => { %q, distance_type => 'plane', p => [ $c->[1], $c->[0] ] } }), those(sub { plane($c, $_[0]) <= $km * 1000 }), 'on a plane');
    }
    my $d = sub { my ($distance, %more) = @_; found({ geo_distance => { distance => $distance, p => [ 10, 45 ], %more } }) };
    my %meters = (in => .0254, inch => .0254, yd => .9144, yards => .9144, ft => .3048, feet => .3048, km => 1000, kilometers => 1000, NM => 1852, nmi => 1852,
        nauticalmiles => 1852, mm => .001, millimeters => .001, cm => .01, centimeters => .01, mi => 1609.344, miles => 1609.344, m => 1, meters => 1);
    my $want = those(sub { arc([ 45, 10 ], $_[0]) <= 2e6 });
    for my $u (sort keys %meters) {
        is($d->(sprintf('%.6f', 2e6 / $meters{$u}) . $u), $want, "a distance in $u");
        is($d->(2e6 / $meters{$u}, unit => $u), $want, "a number of $u");
    }
    is($d->('2000000'), $want, 'meters');
    is(found({ geo_distance => { distance => '2000km', p => $_ } }), those(sub { arc([ 45, 10 ], $_[0]) <= 2e6 }), ref $_ || $_) for '45,10', 'POINT (10 45)', { type => 'Point', coordinates => [ 10, 45 ] };
    is($d->('2000km', p => [ 370, 45 ], validation_method => 'COERCE'), $want, 'brought into range');
    my $r = $node->post('/g/_search', { query => { geo_distance => { distance => '2000km', p => [ 10, 45 ], boost => 3, _name => 'near' } } });
    is($r->{json}{hits}{max_score}, 3);
    is($r->{json}{hits}{hits}[0]{matched_queries}[0], 'near');
    is(found({ bool => { must_not => { geo_distance => { distance => '20100km', p => [ 10, 45 ] } } } }), join(' ', sort grep { $docs[$_] && !@{$docs[$_]} } 0 .. $#docs));
    is(found({ geo_distance => { distance => '1km', u => [ 1, 2 ], ignore_unmapped => \1 } }), '');
};

subtest 'geo_bounding_box' => sub {
    my $inside = sub {
        my ($top, $left, $bottom, $right) = @_;
        my ($low, $high, $west, $east) = (ceil($bottom / LAT), cell($top, LAT, 90), ceil($left / LON), cell($right, LON, 180));
        $west = 2**31 - 1 if $west > 2**31 - 1;
        return those(sub {
            my ($lat, $lon) = ($_[0][0] / LAT, $_[0][1] / LON);
            return $lat >= $low && $lat <= $high && ($west <= $east ? $lon >= $west && $lon <= $east : $lon >= $west || $lon <= $east);
        });
    };
    my @boxes = ([ 90, -180, -90, 180 ], [ 10, 170, -10, -170 ], [ 90, -10, 80, 10 ], [ -80, 0, -90, 180 ], map { my ($x, $y) = sort { $a <=> $b } map { rand(180) - 90 } 1, 2; [ $y, rand(360) - 180, $x, rand(360) - 180 ] } 1 .. 15);
    push @boxes, [ 89.9999999999, 179.9999999999, -89.9999999999, -179.9999999999 ];
    for my $b (@boxes) {
        my ($top, $left, $bottom, $right) = @$b;
        my $want = $inside->(@$b);
        my %forms = (corners => { top_left => { lat => $top, lon => $left }, bottom_right => [ $right, $bottom ] }, others => { top_right => "$top,$right", bottom_left => "POINT ($left $bottom)" },
            sides => { top => $top, left => $left, bottom => $bottom, right => $right }, wkt => { wkt => "BBOX ($left, $right, $top, $bottom)" });
        is(found({ geo_bounding_box => { p => $forms{$_} } }), $want, "$_ of @$b") for sort keys %forms;
        is(found({ geo_bounding_box => { $_ => $forms{sides} } }), $want, $_) for qw(nodv noidx);
    }
    is(found({ geo_bounding_box => { p => { top_left => 'u', bottom_right => 'u' } } }), $inside->(90, 0, 45, 45), 'a geohash is its cell');
    is(found({ geo_bounding_box => { p => { top => 10, left => 0, bottom => -10, right => 360 }, validation_method => 'coerce' } }), $inside->(10, -180, -10, 180), 'around the earth');
    is(found({ geo_bounding_box => { u => { wkt => 'BBOX (1, 2, 4, 3)' }, ignore_unmapped => \1, _name => 'x', boost => 2 } }), '');
};

subtest 'geo_polygon' => sub {
    for (1 .. 12) {
        my @c = map { [ rand(170) - 85, rand(350) - 175 ] } 1 .. 3 + int rand 6;
        my $want = those(sub { in_polygon($_[0], @c) });
        my @points = map { { lat => $_->[0], lon => $_->[1] } } @c;
        is(found({ geo_polygon => { $_ => { points => \@points } } }), $want, "$_: " . @c . ' corners') for qw(p nodv);
        is(found({ geo_polygon => { p => { points => [ @points, $points[0] ] } } }), $want, 'closed');
    }
};

subtest 'sort by distance' => sub {
    my %unit = (m => 1, km => 1000, mi => 1609.344);
    for my $case ([ 'asc', 'm', undef, 0 ], [ 'desc', 'km', undef, 0 ], [ 'asc', 'km', 'max', 0 ], [ 'desc', 'mi', 'min', 0 ], [ 'asc', 'm', 'avg', 1 ], [ 'asc', 'km', 'median', 1 ]) {
        my ($order, $unit, $mode, $plane) = @$case;
        my @from = ([ 48, 2 ], [ -30, 179 ])[ 0 .. (defined $mode ? 1 : 0) ];
        my @all;
        for my $id (grep { $docs[$_] } 0 .. $#docs) {
            my @d = sort { $a <=> $b } map { my $p = $_; map { ($plane ? plane($_, $p) : arc($_, $p)) / $unit{$unit} } @from } @{$docs[$id]};
            my $how = $mode // ($order eq 'asc' ? 'min' : 'max');
            my $sum = 0;
            $sum += $_ for @d;
            push @all, !@d ? 9e99 : $how eq 'min' ? $d[0] : $how eq 'max' ? $d[-1] : $how eq 'avg' ? $sum / @d : ($d[ int((@d - 1) / 2) ] + $d[ int(@d / 2) ]) / 2;
        }
        @all = sort { $order eq 'asc' ? $a <=> $b : $b <=> $a } @all;
        my $r = $node->post('/g/_search', { size => 1200, sort => [ { _geo_distance => { p => [ map { { lat => $_->[0], lon => $_->[1] } } @from ], order => $order, unit => $unit,
            distance_type => $plane ? 'plane' : 'arc', $mode ? (mode => $mode) : () } } ] });
        my @got = map { $_->{sort}[0] } @{$r->{json}{hits}{hits}};
        is(scalar @got, scalar @all);
        my $far = 0;
        for my $i (0 .. $#all) { $far++ if $all[$i] > 1e99 ? $got[$i] ne 'Infinity' : abs($got[$i] - $all[$i]) * $unit{$unit} > 0.01 }
        is($far, 0, "@{[ map { $_ // '' } @$case ]}: all within a centimeter");
    }
    my %sort = (sort => [ { _geo_distance => { p => '48,2', unit => 'km' } } ], size => 600);
    my $r = $node->post('/g/_search', \%sort);
    my $n = $node->post('/g/_search', { %sort, search_after => $r->{json}{hits}{hits}[-1]{sort} });
    my %seen = map { $_->{_id} => 1 } @{$r->{json}{hits}{hits}}, @{$n->{json}{hits}{hits}};
    is(scalar keys %seen, scalar grep({ $_ } @docs), 'search_after: all the others');
    my $e = sub { my ($s) = @_; my $x = $node->post('/g/_search', { sort => [ { _geo_distance => $s } ] }); is($x->{status}, 400); shard($x) };
    is($e->({ p => [ 1, 2 ], mode => 'sum' }), q{sort_mode [sum] isn't supported for sorting by geo distance});
    is($e->({ p => [ 1, 92 ] }), 'illegal latitude value [92.0] for [GeoDistanceSort] for field [_geo_distance].');
    is($e->({ u => [ 1, 2 ] }), 'failed to find mapper for [u] for geo distance based sort');
    is($e->({ k => [ 1, 2 ] }), 'unable to apply geo distance sort to field [k] of type [keyword]');
    like($e->({ nodv => [ 1, 2 ] }), qr/fielddata is unsupported on fields of type \[geo_point\]/);
    is($e->({ order => 'asc' }), 'must provide at least one point for _geo_distance');
    is($e->({ p => [] }), 'must provide at least one point for _geo_distance');
    is($e->({ p => [ map { [ 1, 2 ] } 1 .. 1001 ] }), 'at most [1000] points are allowed, but [1001] were given');
    is($e->({ p => [ 1, 2 ], unit => 'x' }), 'No distance unit match [x]');
    is($node->post('/g/_search', { sort => [ { _geo_distance => { u => [ 1, 2 ], ignore_unmapped => \1 } } ] })->{json}{hits}{hits}[0]{sort}[0], 'Infinity');
};

subtest 'the aggregation geo_distance' => sub {
    for my $case ([ 'arc', 'm', 1 ], [ 'plane', 'km', 1000 ]) {
        my ($type, $unit, $meters) = @$case;
        my $far = $type eq 'arc' ? \&arc : \&plane;
        my @ranges = ([ undef, 1e6 ], [ 1e6, 5e6 ], [ 5e6, undef ]);
        my $r = $node->post('/g/_search', { size => 0, aggs => { d => { geo_distance => { field => 'p', origin => '35.5,-78.5', unit => $unit, distance_type => $type, keyed => \1, ranges => [
            map { { key => "r$_", defined $ranges[$_][0] ? (from => $ranges[$_][0] / $meters) : (), defined $ranges[$_][1] ? (to => $ranges[$_][1] / $meters) : () } } 0 .. 2 ] },
            aggs => { n => { value_count => { field => 'p' } } } } } })->{json}{aggregations}{d}{buckets};
        for my $i (0 .. 2) {
            my ($from, $to) = @{$ranges[$i]};
            my @ids = split / /, those(sub { my $d = $far->([ 35.5, -78.5 ], $_[0]); $d >= ($from // 0) && (!defined $to || $d < $to) });
            is($r->{"r$i"}{doc_count}, scalar @ids, "$type: documents of range $i");
            my $values = 0;
            $values += @{$docs[$_]} for @ids;
            is($r->{"r$i"}{n}{value}, $values, 'below it');
        }
    }
    my %d = (field => 'p', origin => [ 1, 2 ], ranges => [ { to => 100 }, { from => 100, to => 200 }, { from => 200 } ]);
    my $b = $node->post('/g/_search', { size => 0, aggs => { d => { geo_distance => \%d } } })->{json}{aggregations}{d}{buckets};
    is(join(' ', map { $_->{key} } @$b), '*-100.0 100.0-200.0 200.0-*');
    is($b->[0]{from}, 0);
    my $e = sub { my $x = $node->post('/g/_search', { aggs => { d => { geo_distance => { %d, @_ } } } }); is($x->{status}, 400); shard($x) };
    is($e->(field => 'k'), 'Field [k] of type [keyword] is not supported for aggregation [geo_distance]');
    is($e->(origin => [ 1, 92 ]), 'illegal latitude value [92.0] for [origin] of [geo_distance]');
    is($e->(unit => 'x'), 'No distance unit match [x]');
    is($e->(unit => [ 1 ]), 'No distance unit match []');
    is($e->(distance_type => 'x'), 'No geo distance for [x]');
    like($e->(ranges => []), qr/No \[ranges\] specified/);
    like($e->(missing => '1,2'), qr/unknown field \[missing\]/);
};

subtest 'scripts' => sub {
    $node->put('/s', { mappings => { properties => { p => { type => 'geo_point' }, q => { type => 'geo_point' }, k => { type => 'keyword' } } } });
    $node->put('/s/_doc/1?refresh=true', '{"p":["41.12,-71.34","10,20"],"k":"x"}');
    my $p = kept(10, 20); # the numbers of a column ascend
    my $run = sub { my ($source) = @_; $node->post('/s/_search', { script_fields => { f => { script => { source => $source, params => { o => '10,20' } } } } }) };
    my $value = sub { $run->($_[0])->{json}{hits}{hits}[0]{fields}{f}[0] };
    my $v = $value->("doc['p'].get(1)");
    is_deeply([ sort keys %$v ], [qw(lat lon)]);
    near($v->{lat}, 41.1199999647215);
    near($value->("doc['p'].value.lat"), $p->[0]);
    near($value->("doc['p'].value.getLon() + doc['p'].lon"), 2 * $p->[1]);
    like($value->("'' + doc['p'].value"), qr/^9\.99999\d+, 19\.99999\d+$/, 'as text');
    near($value->("doc['p'].arcDistance(1, 2)"), arc($p, [ 1, 2 ]));
    near($value->("doc['p'].planeDistance(1, 2)"), plane($p, [ 1, 2 ]));
    near($value->("doc['q'].arcDistanceWithDefault(1, 2, 5)"), 5);
    near($value->("doc['q'].planeDistanceWithDefault(1, 2, 6)"), 6);
    near($value->("doc['p'].geohashDistance('s')"), arc($p, [ 0, 0 ]));
    near($value->("doc['q'].geohashDistanceWithDefault('s', 7)"), 7);
    is($value->("doc['p'].size()"), 2);
    my $e = sub { my $r = $run->($_[0]); is($r->{status}, 400); my $c = $r->{json}{error}{failed_shards}[0]{reason}; $c = $c->{caused_by} while $c->{caused_by}; $c->{reason} };
    like($e->("doc['q'].value.lat"), qr/doesn't have a value for a field/);
    like($e->("doc['k'].arcDistance(1, 2)"), qr/the field \[k\] has no points/);
    like($e->("doc['p'].geohashDistance('a')"), qr/\[a\] is no geohash/);
    my $r = $node->post('/s/_search', { query => { script_score => { query => { match_all => {} }, script => { source => "decayGeoLinear(params.o, '2km', '0m', 0.5, doc['p'].value)", params => { o => '10,20' } } } } });
    ok(abs($r->{json}{hits}{max_score} - 1) < 1e-5, 'decayGeoLinear');
    $r = $node->post('/s/_search', { query => { script_score => { query => { match_all => {} }, script => { source => "decayGeoGauss('10,20', '2x', '0m', 0.5, doc['p'].value)" } } } });
    is($r->{status}, 400, 'no distance');
};

subtest 'nested points' => sub {
    $node->put('/n', { mappings => { properties => { o => { type => 'nested', properties => { p => { type => 'geo_point' } } } } } });
    $node->post('/n/_bulk?refresh=true', qq({"index":{"_id":"1"}}\n{"o":[{"p":"1,1"},{"p":"50,50"}]}\n{"index":{"_id":"2"}}\n{"o":{"p":"3,3"}}\n));
    is(found({ nested => { path => 'o', query => { geo_distance => { distance => '200km', 'o.p' => '50,50' } } } }, 'n'), '1');
    my $r = $node->post('/n/_search', { sort => [ { _geo_distance => { 'o.p' => '0,0', order => 'desc', unit => 'km', nested => { path => 'o' } } } ] });
    is(join(' ', map { $_->{_id} } @{$r->{json}{hits}{hits}}), '1 2');
};

subtest 'refused' => sub {
    is(refused({ geo_distance => { p => [ 1, 2 ] } }), q{geo_distance requires 'distance' to be specified});
    is(refused({ geo_distance => { distance => $_, p => [ 1, 2 ] } }), 'distance must be greater than zero') for 0, '-1km', 'Infinity';
    is(refused({ geo_distance => { distance => 'km', p => [ 1, 2 ] } }), 'empty String');
    is(refused({ geo_distance => { distance => '1x', p => [ 1, 2 ] } }), 'For input string: "1x"');
    is(refused({ geo_distance => { distance => '1km', unit => 'x', p => [ 1, 2 ] } }), 'No distance unit match [x]');
    is(refused({ geo_distance => { distance => '1km', distance_type => 'sloppy_arc', p => [ 1, 2 ] } }), 'No geo distance for [sloppy_arc]');
    like(refused({ geo_distance => { distance => '1km', validation_method => 'x', p => [ 1, 2 ] } }), qr/STRICT, COERCE, IGNORE_MALFORMED/);
    is(refused({ geo_distance => { distance => '1km', p => [ 1, 92 ] } }), 'illegal latitude value [92.0] for [geo_distance]');
    is(refused({ geo_distance => { distance => '1km', p => [ 181, 2 ] } }), 'illegal longitude value [181.0] for [geo_distance]');
    is(refused({ geo_distance => { distance => '1km', u => [ 1, 2 ] } }), 'failed to find geo field [u]');
    is(refused({ geo_distance => { distance => '1km', k => [ 1, 2 ] } }), 'Field [k] is of unsupported type [keyword] for [geo_distance] query');
    like(refused({ geo_distance => { distance => '1km', p => [ 1, 2 ], nodv => [ 1, 2 ] } }), qr/\[geo_distance\] query doesn't support multiple fields, found/);
    is(refused({ geo_distance => { distance => '1km', p => \1 } }), 'geo_point expected');
    is(refused({ geo_distance => { distance => '1km' } }), '[geo_distance] query needs the name of a field and its value');
    my $box = sub { refused({ geo_bounding_box => { p => $_[0] } }) };
    is($box->({ top => 1, left => 0, bottom => 2, right => 3 }), 'top is below bottom corner: 1.0 vs. 2.0');
    is($box->({ top => 2, left => 0, bottom => 2, right => 3 }), 'top cannot be the same as bottom: 2.0 == 2.0');
    is($box->({ top => 2, left => 3, bottom => 1, right => 3 }), 'left cannot be the same as right: 3.0 == 3.0');
    is($box->({ top => 'NaN', left => 3, bottom => 1, right => 3 }), 'top latitude is invalid: NaN');
    is($box->({ top => 91, left => 3, bottom => 1, right => 4 }), 'illegal latitude value [91.0] for [geo_bounding_box]');
    is($box->({ top => 91, x => 3 }), 'failed to parse bounding box. unexpected field [x]');
    like($box->($_), qr/it needs two opposite corners/) for {}, { top => 1 }, [ 1, 2 ], 'x';
    is($box->({ wkt => 'BBOX (1, 2, 4, 3)', top => 3 }), 'Conflicting definition found using well-known text and explicit corners.');
    like($box->({ wkt => $_ }), qr/failed to parse WKT bounding box/) for 'BBOX (1, 2, 4)', 'POINT (1 2)', 'BBOX (1, 2, 4, 3', '';
    is(refused({ geo_polygon => { p => { points => [ [ 1, 2 ], [ 3, 4 ] ] } } }), 'too few points defined for geo_polygon query');
    is(refused({ geo_polygon => { p => { points => [] } } }), 'no points defined for geo_polygon query');
    is(refused({ geo_polygon => { p => { x => [] } } }), '[geo_polygon] query does not support [x]');
    like(refused({ geo_polygon => { p => { points => [ map { [ $_ % 90, $_ % 80 ] } 1 .. 10001 ] } } }), qr/at most \[10000\] points are allowed/);
    like(refused({ geo_shape => { p => {} } }), qr/geo_shape/);
};

$node->stop;
done_testing;
