#!/usr/bin/perl
# 132_geo_point.t: the field type geo_point over HTTP: all forms of points, what is refused, parameters, multi-fields, exists,
# fields and docvalue_fields in their formats, and what does not take points.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('geo_point');
$node->start;

sub ids { join ' ', sort map { $_->{_id} } @{$_[0]{json}{hits}{hits}} }
sub found { my ($index, $query) = @_; ids($node->post("/$index/_search", { query => $query, size => 100 })) }
sub cause { my ($r) = @_; my $e = $r->{json}{error}; $e = $e->{caused_by} while $e->{caused_by}; $e->{reason} // '' }
sub shard { my ($r) = @_; $r->{json}{error}{root_cause}[0]{reason} // '' }
sub create { my ($name, $properties, %more) = @_; $node->put("/$name", { mappings => { properties => $properties, %more } }) }
sub fill {
    my ($index, @docs) = @_;
    my $n = 0;
    my $r = $node->post("/$index/_bulk?refresh=true", join '', map { ++$n; qq({"index":{"_id":"$n"}}\n$_\n) } @docs);
    return $r->{json}{errors} ? $r->{content} : '';
}
sub shown {
    my ($index, $id, $how) = @_;
    my $r = $node->post("/$index/_search", { query => { ids => { values => [$id] } }, _source => \0, %$how });
    return $r->{json}{hits}{hits}[0]{fields};
}
sub near { my ($got, $want, $name) = @_; ok(abs($got - $want) < 1e-7, $name // "$got is $want") }

subtest 'forms of a point' => sub {
    is(create('forms', { p => { type => 'geo_point' } })->{status}, 200);
    my @forms = ('{"lat":41.12,"lon":-71.34}', '{"lat":"41.12","lon":"-71.34"}', '[-71.34,41.12]', '[-71.34,41.12,7]', '"41.12,-71.34"', '"41.12, -71.34, 9"',
        '"POINT (-71.34 41.12)"', '"point(-71.34 41.12 5)"', '{"type":"Point","coordinates":[-71.34,41.12]}', '{"coordinates":[-71.34,41.12],"type":"point"}',
        '"drm3btev3e86"', '{"geohash":"drm3btev3e86"}');
    is(fill('forms', map {qq({"p":$_})} @forms), '');
    for my $i (1 .. @forms) {
        my ($lat, $lon) = split /, /, shown('forms', $i, { docvalue_fields => ['p'] })->{p}[0];
        ok(abs($lat - 41.12) < 1e-6 && abs($lon + 71.34) < 1e-6, "$forms[$i - 1] is $lat, $lon");
    }
    is(shown('forms', 1, { docvalue_fields => ['p'] })->{p}[0], '41.1199999647215, -71.34000004269183', 'the cells of Lucene');
    is(fill('forms', '{"p":[[1,2],"4,3",{"lat":6,"lon":5},"POINT (7 8)",null]}', '{"p":[]}', '{"p":null}', '{"p":["90,180","-90,-180"]}'), '', 'several, none, the ends of the earth');
    is_deeply([ map { join ',', @{$_->{coordinates}} } @{shown('forms', 1, { fields => ['p'] })->{p}} ], [ '1,2', '3,4', '5,6', '7,8' ], 'fields: all of them');
    is_deeply(shown('forms', 1, { fields => [ { field => 'p', format => 'wkt' } ] })->{p},
        [ 'POINT (1.0 2.0)', 'POINT (3.0 4.0)', 'POINT (5.0 6.0)', 'POINT (7.0 8.0)' ]);
    my $json = shown('forms', 4, { docvalue_fields => [ { field => 'p', format => 'geojson' } ] })->{p};
    is($json->[0]{type}, 'Point');
    near($json->[0]{coordinates}[1], -90);
    near($json->[1]{coordinates}[0], 180);
    is(shown('forms', 4, { docvalue_fields => [ { field => 'p', format => 'wkt' } ] })->{p}[0], 'POINT (-180.0 -90.0)');
    is(shard($node->post('/forms/_search', { docvalue_fields => [ { field => 'p', format => 'x' } ] })), 'Unrecognized geometry format [x].');
    is(shard($node->post('/forms/_search', { fields => [ { field => 'p', format => 'mvt' } ] })), 'Unrecognized geometry format [mvt].');
};

subtest 'what is no point' => sub {
    my %bad = (
        '{"lat":91,"lon":0}' => 'illegal latitude value [91.0] for p', '{"lat":-90.5,"lon":0}' => 'illegal latitude value [-90.5] for p',
        '[180.5,0]' => 'illegal longitude value [180.5] for p', '{"lat":1e300,"lon":-1e308}' => 'illegal latitude value [1.0E300] for p', '"NaN,0"' => 'illegal latitude value [NaN] for p', '"1,Infinity"' => 'illegal longitude value [Infinity] for p',
        '"a,b"' => 'latitude must be a number', '"1,b"' => 'longitude must be a number', '"1,2,3,4"' => 'failed to parse [1,2,3,4], expected 2 or 3 coordinates but found: [4]',
        '[1]' => '[geo_point] needs two coordinates, but found 1', '[1,"2"]' => 'numeric value expected', '[1,[2]]' => 'numeric value expected',
        '[1,2,3,4]' => '[geo_point] field type does not accept more than 3 values', '{"lat":1}' => 'field [lon] missing', '{"lon":1}' => 'field [lat] missing', '{}' => 'field [lat] missing',
        '{"lat":1,"lon":2,"geohash":"u"}' => 'field must be either lat/lon or geohash', '{"type":"Point","lat":1}' => 'field must be either lat/lon or type/coordinates',
        '{"type":"Polygon","coordinates":[1,2]}' => q{[type] for geo_point can only be 'Point'}, '{"type":"Point","coordinates":5}' => '[coordinates] must be an array',
        '{"lat":"x","lon":2}' => '[lat] and [lon] must be valid double values', '{"lat":{"a":[1]},"lon":2}' => '[lat] and [lon] must be valid double values',
        '{"x":1}' => 'field must be either [lon], [lat], [geohash], [type] or [coordinates], but was [x]', '"a1"' => 'unsupported symbol [a] in geohash [a1]', '""' => 'empty geohash',
        '"LINESTRING (1 2, 3 4)"' => '[geo_point] supports only POINT among WKT primitives, but found LINESTRING', '"POINT (x y)"' => 'Invalid WKT format: [POINT (x y)]',
        '"POINT (1 2"' => 'Invalid WKT format: [POINT (1 2]', 'true' => 'geo_point expected', '5' => 'geo_point expected', '[true]' => 'geo_point expected', '[[[1,2]]]' => 'numeric value expected');
    for my $v (sort keys %bad) {
        my $r = $node->put('/forms/_doc/x', qq({"p":$v}));
        is($r->{status}, 400);
        is(cause($r), $bad{$v}, "the value $v");
        like($r->{json}{error}{reason}, qr/failed to parse field \[p\] of type \[geo_point\]/);
    }
    is($node->put('/forms/_doc/x', '{"p":' . '[' x 600 . ']' x 600 . '}')->{status}, 400, 'deep');
    is($node->put('/forms/_doc/x', '{"p":{"lat":1,"lo')->{status}, 400, 'cut off');
    is($node->get('/forms/_doc/x')->{status}, 404, 'nothing of them is there');
};

subtest 'parameters' => sub {
    is(create('par', { m => { type => 'geo_point', ignore_malformed => \1 }, z => { type => 'geo_point', ignore_z_value => \0 },
        n => { type => 'geo_point', null_value => { lat => 1.5, lon => 2.5 } }, s => { type => 'geo_point', store => \1 },
        h => { type => 'geo_point', fields => { hash => { type => 'keyword' } } }, k => { type => 'keyword', fields => { geo => { type => 'geo_point' } } },
        after => { type => 'keyword' } })->{status}, 200);
    my $r = $node->get('/par/_mapping')->{json}{par}{mappings}{properties};
    is_deeply($r->{n}, { type => 'geo_point', null_value => { lat => 1.5, lon => 2.5 } });
    is(cause($node->put('/par/_doc/x', '{"z":[1,2,3]}')), 'Exception parsing coordinates: found Z value [3.0] but [ignore_z_value] parameter is [false]');
    is(fill('par', '{"m":["a1",[1,2],{"lat":{"a":[{}]},"lon":1},{"lat":95,"lon":10},[1,[2]],5],"after":"x"}', '{"m":[1,"x"],"after":"y"}', '{"m":{"q":[1,{"lat":3}]},"after":"z"}',
        '{"n":null,"s":"1,2"}', '{"h":[[-71.34,41.12],"1,2"]}', '{"k":"41.12,-71.34"}'), '');
    $r = shown('par', 1, { docvalue_fields => ['m'], fields => [ 'm', 'after' ] });
    is(@{$r->{m}}, 2, 'malformed ones fall out of an array alone');
    is_deeply($r->{m}[1]{coordinates}, [ -170, 85 ], 'out of range: over the pole');
    is($r->{after}[0], 'x', 'what stands behind is read');
    is(found('par', { term => { _ignored => 'm' } }), '1 2 3');
    is(found('par', { exists => { field => 'm' } }), '1');
    is(found('par', { terms => { after => [qw(y z)] } }), '2 3');
    $r = shown('par', 4, { docvalue_fields => ['n'], stored_fields => ['s'] });
    my ($lat, $lon) = split /, /, $r->{n}[0];
    near($lat, 1.5);
    near($lon, 2.5);
    like($r->{s}[0], qr/^0\.99999.*, 1\.9999/, 'stored');
    is_deeply([ sort @{shown('par', 5, { docvalue_fields => ['h.hash'] })->{'h.hash'}} ], [ 'drm3btev3e86', 's01mtw037ms0' ], 'multi-fields have geohashes');
    is(found('par', { prefix => { 'h.hash' => 'drm3' } }), '5');
    like(shown('par', 6, { docvalue_fields => ['k.geo'] })->{'k.geo'}[0], qr/^41\.11999/, 'a multi-field of points');
    like(cause(create('bad', { p => { type => 'geo_point', null_value => '95,1' } })), qr/illegal latitude value \[95\.0\] for p/);
    like(cause(create('bad', { p => { type => 'geo_point', copy_to => 'q' } })), qr/geo_point field \[p\] does not support \[copy_to\]/);
    like(cause(create('bad', { p => { type => 'geo_point', coerce => \1 } })), qr/unknown parameter \[coerce\] on mapper \[p\] of type \[geo_point\]/);
    is($node->put('/dyn', { mappings => { dynamic_templates => [ { geo => { match => 'loc*', mapping => { type => 'geo_point' } } } ] } })->{status}, 200);
    is(fill('dyn', '{"loc1":"1,2"}', '{"location":[3,4]}', '{"loc":{"lat":1,"lon":2}}'), '', 'a dynamic template');
    is($node->get('/dyn/_mapping')->{json}{dyn}{mappings}{properties}{$_}{type}, 'geo_point', $_) for qw(loc1 loc);
    is($node->get('/par/_field_caps?fields=m')->{json}{fields}{m}{geo_point}{searchable}, JSON::PP::true);
};

subtest 'exists, and queries that take no points' => sub {
    is(create('ex', { a => { type => 'geo_point' }, b => { type => 'geo_point', doc_values => \0 }, c => { type => 'geo_point', index => \0 },
        d => { type => 'geo_point', index => \0, doc_values => \0 } })->{status}, 200);
    is(found('ex', { exists => { field => $_ } }), '', "$_ in an empty index") for qw(a b c d u);
    is(fill('ex', '{"a":"1,2"}', '{"b":"1,2"}', '{"c":"1,2"}', '{"d":"1,2"}', '{}'), '');
    is(found('ex', { exists => { field => 'a' } }), '1');
    is(found('ex', { exists => { field => 'b' } }), '2', 'without doc values');
    is(found('ex', { exists => { field => 'c' } }), '3', 'without an index');
    is(found('ex', { exists => { field => 'd' } }), '', 'with neither');
    like(shard($node->post('/ex/_search', { docvalue_fields => ['b'] })), qr/fielddata is unsupported on fields of type \[geo_point\]/);
    like(shard($node->post('/ex/_search', { query => { term => { a => '1,2' } } })), qr/Geometry fields do not support exact searching, use dedicated geometry queries instead: \[a\]/);
    like(shard($node->post('/ex/_search', { query => { range => { a => { gt => 1 } } } })), qr/Field \[a\] of type \[geo_point\] does not support range queries/);
    is(shard($node->post('/ex/_search', { sort => ['a'] })), q{can't sort on geo_point field without using specific sorting feature, like geo_distance});
    is(shard($node->post('/ex/_search', { aggs => { x => { $_ => { field => 'a' } } } })), "Field [a] of type [geo_point] is not supported for aggregation [$_]") for qw(avg terms max);
    is($node->post('/ex/_search', { aggs => { x => { value_count => { field => 'a' } } } })->{json}{aggregations}{x}{value}, 1);
    is(shard($node->post('/ex/_search', { aggs => { x => { cardinality => { field => 'a', missing => '1,2' } } } })), '[missing] is not supported in aggregation [cardinality] of field [a] of type [geo_point]');
    is($node->post('/ex/_search', { aggs => { x => { missing => { field => 'a' } } } })->{json}{aggregations}{x}{doc_count}, 4);
    is($node->post('/ex/_search', { query => { simple_query_string => { query => '1' } } })->{status}, 200, 'queries over all fields leave them out');
};

$node->stop;
done_testing;
