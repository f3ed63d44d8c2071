#!/usr/bin/perl
# 136_aggs_chosen.t: matrix_stats against a reading of all documents in two passes in Perl, over several shards and indices, and
# auto_date_histogram: the interval that it chooses, gaps, zones, children, and what both refuse.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(max min sum);
use QdNode;
use Test::More;

my $node = QdNode->new('aggs_chosen');
$node->start;
srand(136);

sub ask {
    my ($index, $aggs, %more) = @_;
    my $r = $node->post("/$index/_search", { size => 0, aggs => $aggs, %more });
    return $r->{json}{aggregations} if $r->{status} == 200;
    my $e = $r->{json}{error};
    return join ' ', $r->{status}, map { ref $_ eq 'HASH' ? "$_->{type}: $_->{reason}" : () } $e, $e->{caused_by}, ($e->{root_cause} // [])->[0];
}
sub fill {
    my ($index, $mappings, @docs) = @_;
    $node->put("/$index", { settings => { number_of_shards => 3 }, mappings => { properties => $mappings } });
    my $bulk = join '', map { qq({"index":{}}\n) . JSON::PP->new->canonical->encode($_) . "\n" } @docs;
    is($node->post("/$index/_bulk?refresh=true", $bulk)->{json}{errors}, JSON::PP::false, "$index is filled") if @docs;
}

# --- matrix_stats ---
my %double = map { $_ => { type => 'double' } } qw(x y z c);
my @docs = map {
    my $x = rand(50) - 20;
    { x => $x, y => [ map { $x * 2 + rand(30) } 1 .. 1 + $_ % 4 ], z => 7, c => 2.3, n => int(rand(9)), ($_ % 6 ? (e => rand() ** 3) : ()), g => $_ % 3 ? 'a' : 'b' }
} 1 .. 400;
fill('m', { %double, e => { type => 'double' }, n => { type => 'integer' }, g => { type => 'keyword' } }, @docs);

my %mode = (
    avg => sub { sum(@_) / @_ }, min => sub { min(@_) }, max => sub { max(@_) }, sum => sub { sum(@_) },
    median => sub { my @v = sort { $a <=> $b } @_; @v % 2 ? $v[ $#v / 2 ] : ($v[ @v / 2 - 1 ] + $v[ @v / 2 ]) / 2 },
);
sub moments {
    my ($mode, $missing, $fields, @of) = @_;
    my @rows;
    for my $d (@of) {
        my @row = map { my $v = $d->{$_} // $missing->{$_}; defined $v ? $mode{$mode}->(ref $v ? @$v : $v) : undef } @$fields;
        push @rows, \@row unless grep { !defined } @row;
    }
    my ($n, %of) = (scalar @rows);
    my @mean = map { my $i = $_; sum(map { $_->[$i] } @rows) / $n } 0 .. $#$fields;
    my $about = sub { my ($p, $i, $j) = @_; sum(map { ($_->[$i] - $mean[$i]) ** $p * (defined $j ? $_->[$j] - $mean[$j] : 1) } @rows) };
    for my $i (0 .. $#$fields) {
        my $m2 = $about->(2, $i);
        $of{ $fields->[$i] } = { mean => $mean[$i], variance => $m2 / ($n - 1), $m2 ? (skewness => sqrt($n) * $about->(3, $i) / $m2 ** 1.5, kurtosis => $n * $about->(4, $i) / $m2 ** 2) : () };
        for my $j (0 .. $#$fields) {
            my $c = $of{ $fields->[$i] }{"covariance $fields->[$j]"} = $about->(1, $i, $j) / ($n - 1);
            my $d = sqrt($m2 * $about->(2, $j)) / ($n - 1);
            $of{ $fields->[$i] }{"correlation $fields->[$j]"} = $i == $j ? 1 : $d ? $c / $d : 'NaN';
        }
    }
    return ($n, \%of);
}
sub near { my ($x, $y) = @_; $x eq $y || ($x ne 'NaN' && $y ne 'NaN' && abs($x - $y) <= 1e-9 * (1 + max(abs $x, abs $y))) }
sub same_moments {
    my ($got, $n, $want, $name) = @_;
    my @wrong = ref $got ? () : $got;
    if (ref $got) {
        push @wrong, "doc_count $got->{doc_count}, not $n" if $got->{doc_count} != $n;
        push @wrong, 'fields ' . join ',', map { $_->{name} } @{ $got->{fields} } if @{ $got->{fields} } != keys %$want;
        for my $f (@{ $got->{fields} }) {
            my %is = (%$f, map { my $k = $_; map { ("$k $_" => $f->{$k}{$_}) } keys %{ $f->{$k} } } qw(covariance correlation));
            push @wrong, "$f->{name}: count $f->{count}" if $f->{count} != $n;
            push @wrong, map {"$f->{name}: $_ is @{[$is{$_} // 'not there']}, not $want->{$f->{name}}{$_}"} grep { !defined $is{$_} || !near($is{$_}, $want->{ $f->{name} }{$_}) } keys %{ $want->{ $f->{name} } };
        }
    }
    is(join("\n", @wrong), '', $name);
}

subtest 'matrix_stats is what two passes over all documents give' => sub {
    for my $mode (sort keys %mode) {
        my @fields = qw(x y n e);
        same_moments(ask('m', { a => { matrix_stats => { fields => \@fields, mode => $mode } } })->{a}, moments($mode, {}, \@fields, @docs), $mode);
    }
    my @given = ({ e => 0.5 }, [qw(e x)], @docs);
    same_moments(ask('m', { a => { matrix_stats => { fields => [qw(e x e)], missing => { e => 0.5 } } } })->{a}, moments('avg', @given), 'a value for documents without one, a field given twice');
    my $by = ask('m', { g => { terms => { field => 'g' }, aggs => { a => { matrix_stats => { fields => [qw(x z)] } } } } });
    for my $b (@{ $by->{g}{buckets} }) {
        same_moments($b->{a}, moments('avg', {}, [qw(x z)], grep { $_->{g} eq $b->{key} } @docs), "bucket $b->{key}, a constant without a correlation");
        is((grep { $_->{name} eq 'z' } @{ $b->{a}{fields} })[0]{skewness}, 'NaN', 'nor a skewness');
    }
    my ($c) = grep { $_->{name} eq 'c' } @{ ask('m', { a => { matrix_stats => { fields => [qw(x c)] } } })->{a}{fields} };
    is("$c->{mean} $c->{variance} $c->{correlation}{x}", '2.3 0 NaN', 'a constant fraction stays one when shards are merged');
    same_moments(ask('m', { a => { matrix_stats => { fields => 'x' } } })->{a}, moments('avg', {}, ['x'], @docs), 'one field, without a list');
    my $typed = $node->post('/m/_search?typed_keys=true', { size => 0, aggs => { a => { matrix_stats => { fields => ['x'] } } } });
    ok($typed->{json}{aggregations}{'matrix_stats#a'}, 'typed_keys');
    is(join(',', map { $_->{name} } @{ ask('m', { a => { matrix_stats => { fields => [qw(z y x)] } } })->{a}{fields} }), 'x,y,z', 'fields in the order of a HashMap');
};

subtest 'fields that no document, or not each index has' => sub {
    fill('empty', {});
    is_deeply(ask('empty', { a => { matrix_stats => { fields => [qw(x y)] } } })->{a}, { doc_count => 0 }, 'unmapped');
    fill('part', { x => { type => 'double' }, z => { type => 'long' } }, map { { x => $_ * $_, z => $_ } } 1 .. 30);
    my @more = map { { x => $_ * $_, z => $_ } } 1 .. 30;
    same_moments(ask('part', { a => { matrix_stats => { fields => [qw(x y z)] } } })->{a}, moments('avg', {}, [qw(x z)], @more), 'a field that the index does not map is left out');
    same_moments(ask('m,empty', { a => { matrix_stats => { fields => [qw(x y)] } } })->{a}, moments('avg', {}, [qw(x y)], @docs), 'an index without documents');
    same_moments(ask('m,part', { a => { matrix_stats => { fields => [qw(x y z)] } } })->{a}, moments('avg', {}, [qw(x z)], @docs, @more), 'of two indices, what both map');
    my $one = ask('part', { a => { matrix_stats => { fields => [qw(x z)] } } }, query => { term => { z => 3 } })->{a};
    is("$one->{doc_count} $one->{fields}[0]{variance} $one->{fields}[0]{correlation}{x}", '1 NaN 1', 'one document has no variance') or diag(explain $one);
};

subtest 'what matrix_stats refuses' => sub {
    my $t = sub { ask('m', { a => { matrix_stats => $_[0] } }) };
    like($t->({ fields => ['x'], script => { s => { source => '1' } } }), qr/^400 parsing_exception: Unexpected token START_OBJECT \[script\] in \[a\]\. Multi-field aggregations do not support scripts\./, 'script');
    like($t->({ fields => [ 'x', 1 ] }), qr/^400 parsing_exception: Unexpected token VALUE_NUMBER \[fields\] in \[a\]\./, 'a number for a field');
    like($t->({ fields => ['x'], format => '0' }), qr/^400 parsing_exception: Unexpected token VALUE_STRING \[format\] in \[a\]\./, 'format');
    like($t->({ fields => ['x'], mode => 'mean' }), qr/^400 illegal_argument_exception: Illegal sort mode: mean/, 'mode');
    like($t->({ fields => ['x'], missing => { y => 1 } }), qr/^400 parsing_exception: \[missing\] of \[a\] names \[y\]/, 'a missing value of no field');
    like($t->({ fields => ['x'], missing => 3 }), qr/^400 parsing_exception: Unexpected token VALUE_NUMBER \[missing\]/, 'missing is no object');
    like($t->({ fields => ['x'], missing => { x => 'one' } }), qr/^400 .*For input string: "one"/, 'a missing value that is no number');
    like($t->($_), qr/^400 illegal_argument_exception: \[fields\] must not be null or empty: \[a\]/, 'no fields') for {}, { fields => [] };
    like($t->({ fields => [ 'x', 'g' ] }), qr/^400 .*\[g\] of type \[keyword\] is not supported for aggregation \[matrix_stats\]/, 'a keyword');
    like($t->({ fields => [ map {"f$_"} 1 .. 65 ] }), qr/^400 parsing_exception: \[fields\] of \[a\] holds more than \[64\] fields/, '65 fields');
    is(ask('m', { a => { matrix_stats => { fields => [ map {"f$_"} 1 .. 64 ] } } })->{a}{doc_count}, 0, '64 are fine');
    like(ask('m', { g => { terms => { field => 'g', order => { a => 'asc' } }, aggs => { a => { matrix_stats => { fields => ['x'] } } } } }), qr/^[45]00 .*Invalid aggregation order path \[a\]/, 'an order by it');
    my ($modules) = map { $_->{modules} } values %{ $node->get('/_nodes')->{json}{nodes} };
    is(scalar(grep { $_->{name} eq 'aggs-matrix-stats' } @$modules), 1, 'a module of that name');
};

# --- auto_date_histogram ---
my %at = (at => { type => 'date' }, v => { type => 'long' }, g => { type => 'keyword' });
sub auto {
    my ($index, $body, %aggs) = @_;
    my $r = ask($index, { h => { auto_date_histogram => { field => 'at', %$body }, (%aggs ? (aggs => \%aggs) : ()) } });
    return ref $r ? $r->{h} : $r;
}
sub shape { my ($h) = @_; ref $h ? join ' ', $h->{interval}, map {"$_->{key_as_string}=$_->{doc_count}"} @{ $h->{buckets} } : $h }

subtest 'auto_date_histogram chooses the interval' => sub {
    fill('d', \%at, map { { at => $_, v => 1 } } qw(2020-03-01 2020-03-02 2020-03-08 2020-03-09));
    my $day = sub { join ' ', map { my ($d, $n) = split /=/; "2020-03-${d}T00:00:00.000Z=$n" } @_ };
    is(shape(auto('d', { buckets => 2 })), '7d ' . $day->(qw(01=2 08=2)), 'seven days');
    is(shape(auto('d', {})), '1d ' . $day->(qw(01=1 02=1 03=0 04=0 05=0 06=0 07=0 08=1 09=1)), 'ten buckets unless told, gaps too');
    is(shape(auto('d', { buckets => 1 })), '1M 2020-03-01T00:00:00.000Z=4', 'a month');
    is(auto('d', { buckets => 20 })->{interval}, '12h', 'twelve hours');
    is(auto('d', { buckets => 20 })->{buckets}[1]{key_as_string}, '2020-03-01T12:00:00.000Z', 'their keys');
    is(auto('d', { buckets => 20, minimum_interval => 'day' })->{interval}, '1d', 'not below a minimum');
    is(shape(auto('d', { buckets => 5, minimum_interval => 'year', format => 'yyyy' })), '1y 2020=4', 'a year, with a format');
    is(shape(auto('d', { buckets => 2, time_zone => '+02:00', format => 'yyyy-MM-dd HH:mmXXX' })), '7d 2020-03-01 00:00+02:00=2 2020-03-08 00:00+02:00=2', 'a zone');
    is(auto('empty', {})->{interval}, '1s', 'unmapped');
    is_deeply(auto('d,empty', { buckets => 2 }), auto('d', { buckets => 2 }), 'beside an index that does not map it');
};

subtest 'over shards, with children and pipelines' => sub {
    my @t = map { 1577836800 + int(rand(86400 * 700)) } 1 .. 3000;
    fill('long', \%at, map { { at => $t[$_] * 1000, v => $_ % 10, g => $_ % 7 ? 'a' : 'b' } } 0 .. $#t);
    my $h = auto('long', { buckets => 12 }, s => { sum => { field => 'v' } }, c => { cumulative_sum => { buckets_path => 's' } });
    is($h->{interval}, '3M', 'quarters of two years') or diag(explain $h);
    is(sum(map { $_->{doc_count} } @{ $h->{buckets} }), 3000, 'each document in one bucket');
    my $by = ask('long', { h => { date_histogram => { field => 'at', calendar_interval => 'quarter' }, aggs => { s => { sum => { field => 'v' } } } } })->{h}{buckets};
    is(join(' ', map {"$_->{key} $_->{doc_count} $_->{s}{value}"} @{ $h->{buckets} }), join(' ', map {"$_->{key} $_->{doc_count} $_->{s}{value}"} @$by), 'as date_histogram counts them');
    is($h->{buckets}[-1]{c}{value}, sum(map { $_ % 10 } 0 .. $#t), 'a pipeline within');
    my $all = ask('long', { h => { auto_date_histogram => { field => 'at', buckets => 12 }, aggs => { s => { sum => { field => 'v' } } } }, a => { avg_bucket => { buckets_path => 'h>s' } } });
    ok(near($all->{a}{value}, sum(map { $_ % 10 } 0 .. $#t) / @{ $h->{buckets} }), 'a pipeline beside');
    my $g = ask('long', { g => { terms => { field => 'g' }, aggs => { h => { auto_date_histogram => { field => 'at', buckets => 30 } } } } })->{g}{buckets};
    is(join(' ', map {"$_->{h}{interval} " . sum(map { $_->{doc_count} } @{ $_->{h}{buckets} })} @$g), join(' ', map {"1M $_->{doc_count}"} @$g), 'below terms');
    ok($node->post('/long/_search?typed_keys=true', { size => 0, aggs => { h => { auto_date_histogram => { field => 'at' } } } })->{json}{aggregations}{'auto_date_histogram#h'}, 'typed_keys');
};

subtest 'dates that are far apart, and what auto_date_histogram refuses' => sub {
    fill('far', \%at, map { { at => $_ } } 0, '9223372036854775', '-9223372036854775');
    like(shape(auto('far', {})), qr/^(503|400) .*too_many_buckets_exception/, 'hundreds of thousands of years end soon');
    fill('ends', { at => { type => 'long' } }, map { { at => $_ } } 0, '9223372036854775807', '-9223372036854775808');
    like(shape(auto('ends', {})), qr/^(503|400) .*too_many_buckets_exception/, 'numbers beyond all calendars do not end in one bucket');
    $node->put('/_cluster/settings', { persistent => { 'search.max_buckets' => -1 } });
    like(shape(auto($_, {})), qr/^400 .*\[h\] spans more than \[65536\] years/, "without search.max_buckets, $_") for qw(far ends);
    $node->put('/_cluster/settings', { persistent => { 'search.max_buckets' => undef } });
    fill('wide', \%at, map { { at => $_ } } '0001-01-01', '2020-01-01');
    my $h = auto('wide', { buckets => 30 });
    is("$h->{interval} " . @{ $h->{buckets} } . " $h->{buckets}[0]{key_as_string} $h->{buckets}[20]{doc_count}", '100y 21 0001-01-01T00:00:00.000Z 1', 'centuries');
    my $t = sub { auto('d', $_[0]) };
    like($t->({ buckets => 0 }), qr/^400 x_content_parse_exception: .*\[buckets\].*buckets must be greater than 0 for \[h\]/, 'no buckets');
    like($t->({ buckets => 3000 }), qr/^400 .*buckets must be less than 2184/, 'more than max_buckets allows');
    like($t->({ minimum_interval => 'week' }), qr/^400 .*minimum_interval must be one of \[\[year, month, day, hour, minute, second\]\]/, 'minimum_interval');
    like($t->({ keyed => \1 }), qr/^400 .*\[auto_date_histogram\] unknown field \[keyed\]/, 'keyed');
    like($t->({ time_zone => 'Nowhere' }), qr/^400 .*\[time_zone\]/, 'a zone that is none');
    like($t->({ field => 'g' }), qr/^400 .*\[g\] of type \[keyword\] is not supported for aggregation \[auto_date_histogram\]/, 'a keyword');
};

done_testing();
