#!/usr/bin/perl
# 135_rare_matrix_deviation.t: rare_terms, adjacency_matrix and median_absolute_deviation over shards, segments and nodes, below other buckets and
# under pipelines; what is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use Test::More;

my $c = QdCluster->new('rm', nodes => 2);
$c->start;
my ($node, $other) = $c->nodes;
my $json = JSON::PP->new->utf8->canonical;
my %properties = (k => { type => 'keyword' }, n => { type => 'long' }, f => { type => 'double' }, d => { type => 'date' }, b => { type => 'boolean' },
    ip => { type => 'ip' }, g => { type => 'keyword' }, title => { type => 'text' });
$node->put('/t', { settings => { number_of_shards => 4, number_of_replicas => 0 }, mappings => { properties => \%properties } });
my @docs;
for my $i (0 .. 594) { # value r of n and k in r + 1 documents, spread over all shards
    my $rank = int(sqrt(2 * $i + 0.25) - 0.5);
    push @docs, { n => $rank, k => [ "k$rank", 'all' ], f => ($i * 7919 % 601) / 4, g => $i % 3 ? 'x' : 'y', d => sprintf('2024-01-%02d', 1 + ($i < 2 ? $i : $i % 20 + 2)),
        b => $i == 17 ? \1 : \0, ip => $i == 5 ? '::1' : '10.0.0.1' };
}
for my $part (0 .. 2) { # several segments a shard
    my $bulk = '';
    $bulk .= qq({"index":{"_index":"t","_id":"$_"}}\n) . $json->encode($docs[$_]) . "\n" for grep { int($_ / 200) == $part } 0 .. $#docs;
    is($node->post('/_bulk?refresh=true', $bulk)->{json}{errors}, JSON::PP::false, 'documents are indexed');
}

my ($at, $index) = ($node, 't');
sub aggs { my ($aggs, %more) = @_; my $r = $at->post("/$index/_search" . ($more{typed} ? '?typed_keys' : ''), { size => 0, aggs => $aggs, $more{query} ? (query => $more{query}) : () });
    return $r->{status} == 200 && !$r->{json}{_shards}{failed} ? $r->{json}{aggregations} : $r->{content} }
sub value { my $a = agg(@_); return ref $a ? $a->{value} : $a }
sub agg { my $r = aggs({ a => $_[0] }, @_[1 .. $#_]); return ref $r ? $r->{a} : $r }
sub row { my $a = agg(@_); return ref $a ? join ' ', map { my $b = $_; join ':', $b->{key_as_string} // $b->{key}, $b->{doc_count}, map { $b->{$_}{value} } grep { ref $b->{$_} eq 'HASH' } sort keys %$b } @{ $a->{buckets} } : $a }
# values of a list's members, by count and then by key
sub naive {
    my ($of, $most, @of) = @_;
    my %n;
    $n{$_}++ for map { my $v = $of->($_); ref $v ? @$v : $v } @of;
    return map { [ $_, $n{$_} ] } sort { $n{$a} <=> $n{$b} || ($a =~ /^\d+$/ ? $a <=> $b : $a cmp $b) } grep { $n{$_} <= $most } keys %n;
}
sub median { my @v = sort { $a <=> $b } @_; return @v % 2 ? $v[@v / 2] : ($v[@v / 2 - 1] + $v[@v / 2]) / 2 }
sub deviation { my $m = median(@_); return median(map { abs($_ - $m) } @_) }

for my $n ($node, $other) {
    $at = $n;
    my $name = $n == $node ? 'one node' : 'the other node';
    for my $most (1, 7, 33) {
        is(row({ rare_terms => { field => 'k', max_doc_count => $most } }), join(' ', map { "$_->[0]:$_->[1]" } naive(sub { $_[0]{k} }, $most, @docs)), "$name: keywords of at most $most documents");
        is(row({ rare_terms => { field => 'n', max_doc_count => $most, precision => 0.01 } }), join(' ', map { "$_->[0]:$_->[1]" } naive(sub { $_[0]{n} }, $most, @docs)), "$name: numbers");
        my @want = map { my $k = $_->[0]; my @of = grep { $_->{n} == $k } @docs; my $sum = 0; $sum += $_->{f} for @of; [ $k, $_->[1], $sum ] } naive(sub { $_[0]{n} }, $most, @docs);
        my $got = agg({ rare_terms => { field => 'n', max_doc_count => $most }, aggs => { s => { sum => { field => 'f' } } } });
        is_deeply([ map { [ $_->{key}, $_->{doc_count}, $_->{s}{value} ] } @{ ref $got ? $got->{buckets} : [] } ], \@want, "$name: sums below them");
    }
    is(row({ rare_terms => { field => 'k' } }), 'k0:1', "$name: one document, if nothing is said");
    is(row({ rare_terms => { field => 'd' } }), '2024-01-01T00:00:00.000Z:1 2024-01-02T00:00:00.000Z:1', "$name: dates");
    is(row({ rare_terms => { field => 'd', exclude => ['2024/01/01'], format => 'yyyy/MM/dd' } }), '2024/01/02:1', "$name: a format");
    is(row({ rare_terms => { field => 'b' } }), 'true:1', "$name: booleans");
    is(row({ rare_terms => { field => 'ip' } }), '::1:1', "$name: addresses");
    is(row({ rare_terms => { field => 'k', max_doc_count => 4, include => 'k[0-2]', exclude => ['k1'] } }), 'k0:1 k2:3', "$name: include and exclude");
    is(row({ rare_terms => { field => 'n', max_doc_count => 100, include => [ 3, 5 ] } }), '3:4 5:6', "$name: lists of numbers");
    is(row({ rare_terms => { field => 'nope' } }), '', "$name: a field that no mapping knows");
    is(row({ rare_terms => { field => 'nope', missing => 'z', max_doc_count => 100 } }), '', "$name: with a value for all documents");
    is(row({ rare_terms => { script => "doc['n'].value == 2 ? 'two' : 'more'", max_doc_count => 3 } }), 'two:3', "$name: values of a script");
    my $below = agg({ terms => { field => 'g', order => { _key => 'asc' } }, aggs => { r => { rare_terms => { field => 'n', max_doc_count => 3 } } } });
    for my $b (@{ ref $below ? $below->{buckets} : [] }) {
        is_deeply([ map { [ $_->{key}, $_->{doc_count} ] } @{ $b->{r}{buckets} } ], [ naive(sub { $_[0]{n} }, 3, grep { $_->{g} eq $b->{key} } @docs) ], "$name: below $b->{key}");
    }
    my $pipes = aggs({ r => { rare_terms => { field => 'n', max_doc_count => 5 }, aggs => { m => { max => { field => 'n' } } } }, best => { max_bucket => { buckets_path => 'r>m' } },
        avg => { avg_bucket => { buckets_path => 'r._count' } } });
    is(ref $pipes && $json->encode([ $pipes->{best}{keys}, $pipes->{best}{value} + 0, $pipes->{avg}{value} + 0 ]), '[["4"],4,3]', "$name: pipelines over rare terms") or diag ref $pipes ? $json->encode($pipes) : $pipes;

    my %f = map { my $name = $_; $name => sub { my ($d) = @_; $name eq 'low' ? $d->{n} < 10 : $name eq 'x' ? $d->{g} eq 'x' : $name eq 'first' ? $d->{n} == 0 : 0 } } qw(low x first none);
    my %filters = (low => { range => { n => { lt => 10 } } }, x => { term => { g => 'x' } }, first => { term => { n => 0 } }, none => { term => { k => 'nope' } });
    my %want;
    for my $d (@docs) {
        my @has = grep { $f{$_}->($d) } sort keys %f;
        for my $i (0 .. $#has) { for my $j ($i .. $#has) { $want{ $i == $j ? $has[$i] : "$has[$i]&$has[$j]" }++ } }
    }
    is(row({ adjacency_matrix => { filters => \%filters } }), join(' ', map { "$_:$want{$_}" } sort keys %want), "$name: what filters have in common");
    is(row({ adjacency_matrix => { filters => \%filters, separator => ' + ' }, aggs => { m => { max => { field => 'n' } } } }, query => { range => { n => { lt => 3 } } }),
        'first:1:0 first + low:1:0 low:6:2 low + x:4:2 x:4:2', "$name: a separator, values below, a query");
    my $best = aggs({ m => { adjacency_matrix => { filters => \%filters } }, best => { max_bucket => { buckets_path => 'm._count' } } });
    is(ref $best && "@{ $best->{best}{keys} }", 'x', "$name: a pipeline over them");
    my $nested = agg({ terms => { field => 'g', order => { _key => 'asc' } }, aggs => { m => { adjacency_matrix => { filters => \%filters } } } });
    is(ref $nested && join(' | ', map { join ' ', map { "$_->{key}:$_->{doc_count}" } @{ $_->{m}{buckets} } } @{ $nested->{buckets} }), 'low:36 low&x:36 x:396 | first:1 first&low:1 low:19', "$name: below buckets");

    is(value({ median_absolute_deviation => { field => 'f' } }), deviation(map { $_->{f} } @docs), "$name: the deviation of numbers");
    is(value({ median_absolute_deviation => { field => 'n', missing => 3, compression => 500 } }, query => { terms => { n => [ 0, 5, 9 ] } }), deviation((0) x 1, (5) x 6, (9) x 10), "$name: under a query");
    is(value({ median_absolute_deviation => { field => 'nope' } }), undef, "$name: of no values");
    is(value({ median_absolute_deviation => { script => "doc['n'].value * 2" } }), 2 * deviation(map { $_->{n} } @docs), "$name: of a script");
    my $by = agg({ terms => { field => 'g', order => { m => 'asc' } }, aggs => { m => { median_absolute_deviation => { field => 'f' } } } });
    my %of = map { my $g = $_; $g => deviation(map { $_->{f} } grep { $_->{g} eq $g } @docs) } qw(x y);
    is(ref $by && join(' ', map { "$_->{key}:$_->{m}{value}" } @{ $by->{buckets} }), join(' ', map { "$_:$of{$_}" } sort { $of{$a} <=> $of{$b} } keys %of), "$name: buckets ordered by it");
}
$at = $node;

subtest 'names of types' => sub {
    my $r = aggs({ a => { rare_terms => { field => 'k' } }, b => { rare_terms => { field => 'n' } }, c => { rare_terms => { field => 'nope' } },
        d => { adjacency_matrix => { filters => { x => { match_all => {} } } } }, e => { median_absolute_deviation => { field => 'n' } } }, typed => 1);
    is(ref $r && join(' ', sort keys %$r), 'adjacency_matrix#d lrareterms#b median_absolute_deviation#e srareterms#a sterms#c', 'typed_keys') or diag $r;
};

subtest 'over two indices' => sub {
    $node->put('/u', { settings => { number_of_replicas => 0 }, mappings => { properties => \%properties } });
    $node->post('/u/_doc?refresh=true', { k => [ 'k0', 'new' ], n => 0 });
    $index = 't,u';
    is(row({ rare_terms => { field => 'k' } }), 'new:1', 'counts of both are added');
    $node->put('/w', { settings => { number_of_replicas => 0 }, mappings => { properties => { k => { type => 'long' } } } });
    $node->post('/w/_doc?refresh=true', { k => 1 });
    $index = 't,w';
    like(row({ rare_terms => { field => 'k' } }), qr/existed as two different types in two different indices/, 'words beside numbers');
    $index = 't';
};

subtest 'refused' => sub {
    my @of = (
        [ { rare_terms => { field => 'n', max_doc_count => 0 } }, qr/\[max_doc_count\] must be greater than 0\. Found \[0\] in \[a\]/ ],
        [ { rare_terms => { field => 'n', max_doc_count => 101 } }, qr/\[max_doc_count\] must be smallerthan 100in \[a\]/ ],
        [ { rare_terms => { field => 'n', max_doc_count => 'many' } }, qr/number_format_exception/ ],
        [ { rare_terms => { field => 'n', precision => 0 } }, qr/\[precision\] must be greater than 0\.00001/ ],
        [ { rare_terms => { field => 'n', precision => 'NaN' } }, qr/precision/ ],
        [ { rare_terms => { field => 'f' } }, qr/RareTerms aggregation does not support floating point fields\./ ],
        [ { rare_terms => { field => 'title' } }, qr/Fielddata is disabled on \[title\]/ ],
        [ { rare_terms => { field => 'n', size => 3 } }, qr/\[rare_terms\] unknown field \[size\]/ ],
        [ { rare_terms => {} }, qr/Required one of fields \[field, script\]/ ],
        [ { rare_terms => { field => 'n', include => 'x.*' } }, qr/cannot support regular expression style include\/exclude settings/ ],
        [ { rare_terms => { field => 'n', include => 3 } }, qr/\[rare_terms\] include doesn't support values of type: VALUE_NUMBER/ ],
        [ { adjacency_matrix => {} }, qr/\[a\] is missing : filters parameter/ ],
        [ { adjacency_matrix => { filters => {} } }, qr/\[a\] is missing : filters parameter/ ],
        [ { adjacency_matrix => { filters => [ { x => { match_all => {} } } ] } }, qr/\[filters\] doesn't support arrays/ ],
        [ { adjacency_matrix => { filters => 'x' } }, qr/\[adjacency_matrix\] filters doesn't support values of type: VALUE_STRING/ ],
        [ { adjacency_matrix => { filters => { x => { nope => {} } } } }, qr/unknown query \[nope\]/ ],
        [ { adjacency_matrix => { filters => { x => { match_all => {} } }, separator => undef } }, qr/\[adjacency_matrix\] separator doesn't support values of type: VALUE_NULL/ ],
        [ { adjacency_matrix => { filters => { x => { match_all => {} } }, show_only_intersecting => \1 } }, qr/\[adjacency_matrix\] unknown field \[show_only_intersecting\]/ ],
        [ { adjacency_matrix => { filters => { map { ("f$_" => { match_all => {} }) } 1 .. 1025 } } }, qr/The aggregations of a request hold at most \[1024\] filters/ ],
        [ { adjacency_matrix => { filters => { map { ("f$_" => { match_all => {} }) } 1 .. 1024 } } }, qr/too_many_buckets_exception/ ],
        [ { median_absolute_deviation => { field => 'n', compression => 0 } }, qr/\[compression\] must be greater than 0\. Found \[0\.0\] in \[a\]/ ],
        [ { median_absolute_deviation => { field => 'n', compression => 1e9 } }, qr/\[compression\] must be at most 10000\. Found \[1\.0E9\] in \[a\]/ ],
        [ { median_absolute_deviation => { field => 'n', compression => [] } }, qr/\[median_absolute_deviation\] compression doesn't support values of type: START_ARRAY/ ],
        [ { median_absolute_deviation => { field => 'k' } }, qr/Field \[k\] of type \[keyword\] is not supported for aggregation \[median_absolute_deviation\]/ ],
        [ { median_absolute_deviation => { field => 'n', execution_hint => 'x' } }, qr/unknown field \[execution_hint\]/ ],
        [ { median_absolute_deviation => { field => 'n' }, aggs => { s => { sum => { field => 'n' } } } }, qr/cannot accept sub-aggregations/ ],
        [ { rare_terms => { field => 'n' }, aggs => { c => { composite => { sources => [ { n => { terms => { field => 'n' } } } ] } } } }, qr/RareTermsAggregatorFactory/ ],
        [ { terms => { field => 'n', order => { r => 'asc' } }, aggs => { r => { rare_terms => { field => 'n' } } } }, qr/Buckets can only be sorted on a sub-aggregator path/ ],
    );
    for my $of (@of) {
        my $r = $node->post('/t/_search', { size => 0, aggs => { a => $of->[0] } });
        ok($r->{status} >= 400 && $r->{status} < 504 && $r->{content} =~ $of->[1], substr $json->encode($of->[0]), 0, 100) or diag "$r->{status} $r->{content}";
    }
    is(value({ median_absolute_deviation => { field => 'f' } }), deviation(map { $_->{f} } @docs), 'the node goes on');
};

subtest 'search.max_buckets' => sub {
    $node->put('/v', { mappings => { properties => { r => { type => 'integer_range' } } } });
    $node->post('/v/_doc?refresh=true', { r => { gte => 1, lte => 5 } });
    $index = 'v';
    for my $most (4, 5, -1) {
        $node->put('/_cluster/settings', { persistent => { 'search.max_buckets' => $most } });
        my $r = row({ histogram => { field => 'r', interval => 1 } });
        $most == 4 ? like($r, qr/too_many_buckets_exception/, 'one bucket too many') : is($r, '1:1 2:1 3:1 4:1 5:1', "intervals under $most");
        $r = row({ adjacency_matrix => { filters => { map { ($_ => { match_all => {} }) } 'a', $most == 4 ? ('b', 'c') : 'b' } } });
        $most == 4 ? like($r, qr/too_many_buckets_exception/, 'six pairs') : is($r, 'a:1 a&b:1 b:1', "pairs under $most");
    }
    $node->put('/_cluster/settings', { persistent => { 'search.max_buckets' => undef } });
    $index = 't';
};

is($_->stop, 0, 'ends cleanly') for $node, $other;

my $os = QdNode->new('rmos', settings => { 'compatibility.identity' => 'os2', 'indices.query.bool.max_clause_count' => 3 });
$os->start;
($at, $index) = ($os, 'o');
$os->put('/o', { settings => { number_of_replicas => 0 } });
$os->post('/o/_doc?refresh=true', { n => $_ }) for [ 1, 2 ], [ 2, 3 ], [ 3, 4 ];
my %filters = map { ($_ => { term => { n => $_ } }) } 1, 2, 4;
is(row({ adjacency_matrix => { filters => \%filters } }), '1:1 1&2:1 2:2 4:1', 'one after the other');
is(row({ adjacency_matrix => { filters => \%filters, show_only_intersecting => \1 } }), '1&2:1', 'pairs alone, under the identity of OpenSearch');
$filters{9} = { term => { n => 9 } };
like(row({ adjacency_matrix => { filters => \%filters } }),
    qr/Number of filters is too large, must be less than or equal to: \[3\] but was \[4\]\.This limit can be set by changing the \[indices\.query\.bool\.max_clause_count\] setting\./, 'more filters than clauses');
is($os->stop, 0, 'ends cleanly');
done_testing;
