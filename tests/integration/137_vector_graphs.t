#!/usr/bin/perl
# 137_vector_graphs.t: vectors found by graphs and codes, against an oracle that measures each document: every type of
# [index_options], every similarity, filters, deletes, merges, a restart; what a client may give wrongly.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('graphs');
$node->start;
srand 11;
my ($true, $false) = ($JSON::PP::true, $JSON::PP::false);
my ($D, $N, $K) = (64, 1200, 10);

sub dot { my ($x, $y) = @_; my $s = 0; $s += $x->[$_] * $y->[$_] for 0 .. $#$x; return $s }
sub gauss { return sqrt(-2 * log(rand() + 1e-12)) * cos(6.2831853 * rand()) }

# Unit vectors about 30 centres: all similarities put them into one order.
my @centres = map { [ map { gauss() } 1 .. $D ] } 1 .. 30;
sub vector {
    my $c = $centres[ rand @centres ];
    my @v = map { $_ + 0.6 * gauss() } @$c;
    my $l = sqrt dot(\@v, \@v);
    return [ map { 0 + sprintf '%.5f', $_ / $l } @v ];
}
sub bytes { return [ map { my $n = int($_ * 300); $n > 127 ? 127 : $n < -128 ? -128 : $n } @{ $_[0] } ] }
sub text { return '[' . join(',', @{ $_[0] }) . ']' }

my %fields = (
    (map { ($_ => { type => 'dense_vector', dims => $D, similarity => 'l2_norm', index_options => { type => $_ } }) } qw(hnsw int8_hnsw int4_hnsw bbq_hnsw int8_flat int4_flat bbq_flat)),
    (map { ("i_$_" => { type => 'dense_vector', dims => $D, similarity => $_, index_options => { type => 'int8_hnsw', m => 12, ef_construction => 80 } }) } qw(cosine dot_product max_inner_product)),
    (map { ("b_$_" => { type => 'dense_vector', dims => $D, similarity => $_, index_options => { type => 'bbq_hnsw', rescore_vector => { oversample => 6 } } }) } qw(cosine dot_product max_inner_product)),
    standard => { type => 'dense_vector', dims => $D },
    interval => { type => 'dense_vector', dims => $D, index_options => { type => 'int4_hnsw', confidence_interval => 0.95 } },
    o_faiss  => { type => 'knn_vector', dimension => $D, method => { name => 'hnsw', engine => 'faiss', space_type => 'l2', parameters => { m => 16, ef_construction => 128, ef_search => 90 } } },
    o_disk   => { type => 'knn_vector', dimension => $D, space_type => 'innerproduct', mode => 'on_disk' },
    o_sq     => { type => 'knn_vector', dimension => $D, method => { name => 'hnsw', engine => 'lucene', space_type => 'cosinesimil', parameters => { encoder => { name => 'sq', parameters => { confidence_interval => 0.95 } } } } },
    o_new    => { type => 'knn_vector', dimension => $D },
    byte     => { type => 'dense_vector', dims => $D, element_type => 'byte', similarity => 'l2_norm' },
    b_mip    => { type => 'dense_vector', dims => $D, element_type => 'byte', similarity => 'max_inner_product', index_options => { type => 'hnsw' } },
    bit      => { type => 'dense_vector', dims => $D, element_type => 'bit' },
);
my @floats = grep { !/^(byte|b_mip|bit)$/ } sort keys %fields;
sub bits { my $v = shift; return [ map { my $b = $_; my $x = 0; $x = $x << 1 | ($v->[ 8 * $b + $_ ] > 0 ? 1 : 0) for 0 .. 7; $x > 127 ? $x - 256 : $x } 0 .. $D / 8 - 1 ] }
sub hamming { my ($x, $y) = @_; my $n = 0; $n += unpack '%32b*', pack 'C', ($x->[$_] ^ $y->[$_]) & 255 for 0 .. $#$x; return $n }
sub l2 { my ($x, $y) = @_; my $s = 0; $s += ($x->[$_] - $y->[$_])**2 for 0 .. $#$x; return $s }

my %docs;
my $candidates = 100; # with few the graph is walked, with many all codes are looked at
sub document { my $v = vector(); return { v => $v, y => bytes($v), b => bits($v), lot => int rand 1000 } }

sub bulk {
    my ($index, @ids) = @_;
    while (my @some = splice @ids, 0, 200) {
        my $lines = '';
        for my $id (@some) {
            my $d = $docs{$id};
            if (!$d) { $lines .= qq({"delete":{"_index":"$index","_id":"$id"}}\n); next }
            my $v = text($d->{v});
            my ($y, $b) = (text($d->{y}), text($d->{b}));
            $lines .= qq({"index":{"_index":"$index","_id":"$id"}}\n{"lot":$d->{lot},) . join(',', (map { qq("$_":$v) } @floats), qq("byte":$y,"b_mip":$y,"bit":$b)) . "}\n";
        }
        my $r = $node->post('/_bulk', $lines);
        $r->{status} == 200 && !$r->{json}{errors} or BAIL_OUT('a bulk fails: ' . substr $r->{content}, 0, 800);
    }
}

sub body {
    my ($f, $q, $more) = @_;
    my $of = $f eq 'byte' || $f eq 'b_mip' ? bytes($q) : $f eq 'bit' ? bits($q) : $q;
    return { query => { knn => { $f => { vector => $of, k => $K, ($more->{filter} ? (filter => $more->{filter}) : ()) } } }, size => $K, _source => $false } if $f =~ /^o_/;
    return { knn => { field => $f, query_vector => $of, k => $K, num_candidates => $candidates, %{ $more // {} } }, size => $K, _source => $false };
}

# How many of the true nearest each field finds, on average over queries; below: documents whose lot is below.
my @queries = map { vector() } 1 .. 6;
sub recalls {
    my ($index, $below) = @_;
    my %found;
    for my $q (@queries) {
        my ($qy, $qb) = (bytes($q), bits($q));
        my %near;
        for (keys %docs) {
            my $d = $docs{$_} or next;
            next if defined $below && $d->{lot} >= $below;
            $near{v}{$_} = dot($q, $d->{v});
            $near{byte}{$_} = -l2($qy, $d->{y});
            $near{b_mip}{$_} = dot($qy, $d->{y});
            $near{bit}{$_} = -hamming($qb, $d->{b});
        }
        for my $f (sort keys %fields) {
            my $n = $near{ $near{$f} ? $f : 'v' };
            my @best = sort { $b <=> $a } values %$n;
            my $k = @best < $K ? @best : $K;
            my $r = $node->post("/$index/_search", body($f, $q, defined $below ? { filter => { range => { lot => { lt => $below } } } } : {}));
            my @hits = @{ $r->{json}{hits}{hits} // [] };
            @hits == $k or diag "$f: " . @hits . " hits instead of $k: " . substr $r->{content}, 0, 300;
            my $good = grep { defined $n->{ $_->{_id} } && $n->{ $_->{_id} } >= $best[ $k - 1 ] - 2e-5 } @hits;
            $found{$f} += $good / $k / @queries;
        }
    }
    return \%found;
}

my %least = (bbq_hnsw => 0.9, bbq_flat => 0.9, o_disk => 0.9, (map { ("b_$_" => 0.85) } qw(cosine dot_product max_inner_product)));
sub check {
    my ($index, $when) = @_;
    for my $below (undef, 10, 100, 500) {
        my $got = recalls($index, $below);
        my @bad = grep { $got->{$_} < ($least{$_} // 0.95) } sort keys %fields;
        ok(!@bad, "$when: recall" . (defined $below ? " behind a filter of " . $below / 10 . ' %' : '')) or diag join ', ', map { sprintf '%s %.3f', $_, $got->{$_} } @bad;
    }
}

my %settings = (number_of_shards => 1, number_of_replicas => 0, refresh_interval => -1, 'knn' => $true, 'knn.advanced.approximate_threshold' => 100);
my $made = $node->put('/g', { settings => \%settings, mappings => { properties => { %fields, lot => { type => 'integer' } } } });
is($made->{status}, 200, 'an index of graphs') or diag $made->{content};
my $shown = $node->get('/g/_mapping')->{json}{g}{mappings}{properties};
is_deeply($shown->{standard}{index_options}, { type => 'int8_hnsw', m => 16, ef_construction => 100 }, 'floats that name no index get int8_hnsw');
is_deeply($shown->{byte}{index_options}, { type => 'hnsw', m => 16, ef_construction => 100 }, 'bytes get hnsw');
is_deeply($shown->{o_new}{method}{name}, 'hnsw', 'a knn_vector gets a graph where index.knn says so');
is($node->put('/g/_mapping', { properties => { standard => { type => 'dense_vector', dims => $D } } })->{status}, 200, 'the same definition without options is no change');

for my $part (0 .. 2) {
    my @ids = map { $part * $N / 3 + $_ } 1 .. $N / 3;
    $docs{$_} = document() for @ids;
    bulk('g', @ids);
    $node->post('/g/_refresh');
}
check('g', 'three segments');
for (keys %docs) { my $r = rand; $docs{$_} = $r < 0.2 ? undef : $r < 0.3 ? document() : next; bulk_later($_) }
my @later;
sub bulk_later { push @later, $_[0] }
bulk('g', @later);
$node->post('/g/_refresh');
check('g', 'deletes and updates');
is($node->post('/g/_forcemerge?max_num_segments=1')->{status}, 200, 'merged');
$node->post('/g/_refresh');
check('g', 'one segment');
$candidates = 20;
my $walked = recalls('g');
ok(!grep({ $walked->{$_} < 0.75 } keys %fields), 'by walks of the graph') or diag explain $walked;
$candidates = 100;
my $out = `@{[ QdNode::qd() ]} segment check --json $node->{dir}/data 2>&1`;
is($?, 0, 'qd segment check finds nothing') or diag substr $out, 0, 2000;

# A graph after merges and deletes is that of a fresh index.
$node->put('/fresh', { settings => \%settings, mappings => { properties => { %fields, lot => { type => 'integer' } } } });
bulk('fresh', grep { $docs{$_} } sort { $a <=> $b } keys %docs);
$node->post('/fresh/_refresh');
my ($old, $new) = (recalls('g'), recalls('fresh'));
ok(!grep({ $old->{$_} < $new->{$_} - 0.05 } keys %fields), 'recall after merges and deletes is that of a fresh index') or diag explain [ $old, $new ];
$node->stop;
$node->start;
ok(QdNode->wait_for(sub { ($node->get('/_cluster/health')->{json}{status} // '') eq 'green' }, 60), 'green again');
is_deeply(recalls('g'), $old, 'after a restart searches find what they found');

subtest 'scores and parameters' => sub {
    my $q = $queries[0];
    my $hits = sub { $node->post('/g/_search', body(@_))->{json}{hits}{hits} };
    for my $f (qw(hnsw int8_hnsw int4_hnsw bbq_hnsw bbq_flat)) {
        my @bad = grep { my $d = $docs{ $_->{_id} }; abs($_->{_score} - 1 / (1 + l2($q, $d->{v}))) > 1e-5 } @{ $hits->($f, $q) };
        is(scalar @bad, 0, "$f: scores are those of the vectors, not of codes");
    }
    my $near = sub { my $s = 0; $s += $_->{_score} for @{ $hits->(@_) }; return $s };
    ok($near->('bbq_hnsw', $q, { rescore_vector => { oversample => 1 } }) < $near->('bbq_hnsw', $q, { rescore_vector => { oversample => 9 } }), 'oversample measures more candidates by their vectors');
    is(scalar @{ $hits->('int8_hnsw', $q, { num_candidates => 10000 }) }, $K, 'as many candidates as may be');
    my $r = $node->post('/g/_search', { query => { knn => { o_faiss => { vector => $q, k => 5, method_parameters => { ef_search => 300 } } } } });
    is(scalar @{ $r->{json}{hits}{hits} }, 5, 'ef_search of a query') or diag $r->{content};
    $r = $node->post('/g/_search', { query => { knn => { o_disk => { vector => $q, k => 5, rescore => { oversample_factor => 4 } } } } });
    is(scalar @{ $r->{json}{hits}{hits} }, 5, 'rescore of a query') or diag $r->{content};
    is($node->post('/g/_search', { query => { knn => { o_disk => { vector => $q, k => 5, rescore => $false } } } })->{status}, 200, 'rescore: false');
    $r = $node->post('/g/_search', { query => { knn => { o_faiss => { vector => $q, min_score => 0.5 } } }, size => 1000 });
    is(scalar @{ $r->{json}{hits}{hits} }, scalar(grep { $_ && l2($q, $_->{v}) <= 1 } values %docs), 'all within a distance: every vector is looked at');
    $r = $node->post('/g/_search', { knn => { field => 'int8_hnsw', query_vector => $q, k => 5, num_candidates => 50, similarity => 0.01 }, size => 5 });
    is(scalar @{ $r->{json}{hits}{hits} }, scalar(grep { $_ && l2($q, $_->{v}) <= 0.0001 } values %docs), 'similarity leaves out what is further');
    is($node->put('/g/_settings', { 'index.knn.algo_param.ef_search' => 200 })->{status}, 200, 'index.knn.algo_param.ef_search is dynamic');
};

subtest 'the profile says what ran' => sub {
    my $ran = sub { $node->post('/g/_search', { %{ body(@_) }, profile => $true })->{json}{profile}{shards}[0]{dfs}{knn}[0] };
    my $walk = $ran->('int8_hnsw', $queries[0], { num_candidates => 15 });
    is_deeply($walk->{segments}, { graph => 1, codes => 0, vectors => 0 }, 'a walk of the graph') or diag explain $walk;
    ok($walk->{vector_operations_count} < 900 && $walk->{rescored} == 15, '... which measures a part of the vectors') or diag explain $walk;
    is_deeply($ran->('int8_hnsw', $queries[0], { num_candidates => 500 })->{segments}, { graph => 0, codes => 1, vectors => 0 }, 'many candidates: all codes');
    is_deeply($ran->('int8_hnsw', $queries[0], { num_candidates => 15, filter => { range => { lot => { lt => 50 } } } })->{segments}, { graph => 0, codes => 1, vectors => 0 }, 'behind a narrow filter: the codes that pass');
    is_deeply($ran->('hnsw', $queries[0], { num_candidates => 500 })->{segments}, { graph => 0, codes => 0, vectors => 1 }, 'a field without codes: all vectors');
    is(join(' ', map { $ran->('bbq_hnsw', $queries[0], { num_candidates => $_ })->{rescored} } 10, 15, 300), '10 15 300', 'num_candidates of codes of one bit are all measured');
    is($ran->('bbq_hnsw', $queries[0], { num_candidates => 300, rescore_vector => { oversample => 2.5 } })->{rescored}, 25, '... or as many as oversample says');
    is_deeply($ran->('bbq_flat', $queries[0])->{segments}, { graph => 0, codes => 1, vectors => 0 }, 'a flat field: all codes');
};

subtest 'many equal vectors' => sub {
    $node->put('/same', { settings => \%settings, mappings => { properties => { v => { type => 'dense_vector', dims => 4, similarity => 'l2_norm' } } } });
    my $lines = join '', map { qq({"index":{"_id":"$_"}}\n) . ($_ <= 380 ? qq({"v":[1,2,3,4]}\n) : qq({"v":[$_,0,0,1]}\n)) } 1 .. 400;
    is($node->post('/same/_bulk?refresh=true', $lines)->{json}{errors}, $false, 'written');
    my $r = $node->post('/same/_search', { knn => { field => 'v', query_vector => [ 400, 0, 0, 1 ], k => 5, num_candidates => 50 } });
    is(join(' ', map { $_->{_id} } @{ $r->{json}{hits}{hits} }), '400 399 398 397 396', 'those beside them are found');
    $r = $node->post('/same/_search', { knn => { field => 'v', query_vector => [ 1, 2, 3, 4 ], k => 50, num_candidates => 50 }, size => 50 });
    is(scalar(grep { $_->{_score} == 1 } @{ $r->{json}{hits}{hits} }), 50, 'and the equal ones');
};

subtest 'an index that had no graphs gets them' => sub {
    $node->put('/late', { settings => { number_of_shards => 1, number_of_replicas => 0, 'knn.advanced.approximate_threshold' => 10 }, mappings => { properties => { v => { type => 'knn_vector', dimension => 3 } } } });
    ok(!$node->get('/late/_mapping')->{json}{late}{mappings}{properties}{v}{method}, 'without index.knn there is none');
    my $write = sub { $node->post('/late/_bulk?refresh=true', join '', map { qq({"index":{"_id":"$_"}}\n{"v":[$_,0,1]}\n) } $_[0] .. $_[1])->{json}{errors} };
    is($write->(1, 50), $false, 'written');
    is($node->put('/late/_mapping', { properties => { v => { type => 'knn_vector', dimension => 3, method => { name => 'hnsw', engine => 'lucene' } } } })->{status}, 200, 'a method is set');
    is($write->(51, 100), $false, 'written');
    is($node->post('/late/_forcemerge?max_num_segments=1')->{status}, 200, 'old and new segments are merged');
    $node->post('/late/_refresh');
    is(join(' ', sort map { $_->{_id} } @{ $node->post('/late/_search', { query => { knn => { v => { vector => [ 50.4, 0, 1 ], k => 4 } } } })->{json}{hits}{hits} }), '49 50 51 52', 'and all are found');
    like($node->put('/late/_mapping', { properties => { v => { type => 'knn_vector', dimension => 3, method => { name => 'hnsw', engine => 'faiss' } } } })->{content}, qr/Cannot update parameter \[method\]/, 'another one is refused');
};

subtest 'refused' => sub {
    my %v = (type => 'dense_vector', dims => 64);
    my %o = (type => 'knn_vector', dimension => 64);
    my $opt = sub { return { %v, index_options => {@_} } };
    my @mappings = (
        [ $opt->(type => 'bbq_disk'), qr/\[bbq_disk\] on field \[v\] is not supported by this version: give the type \[bbq_hnsw\]/ ],
        [ $opt->(type => 'hnsw', m => 1), qr/\[m\] of field \[v\] must be between 2 and 512, but was \[1\]/ ],
        [ $opt->(type => 'hnsw', m => 513), qr/\[m\] of field \[v\] must be between 2 and 512/ ],
        [ $opt->(type => 'hnsw', m => 'x'), qr/\[m\] of field \[v\]/ ],
        [ $opt->(type => 'hnsw', ef_construction => 3201), qr/\[ef_construction\] of field \[v\] must be between 1 and 3200/ ],
        [ $opt->(type => 'hnsw', confidence_interval => 0.95), qr/unsupported parameters.*index_options\.confidence_interval/ ],
        [ $opt->(type => 'int8_flat', m => 16), qr/unsupported parameters.*index_options\.m/ ],
        [ $opt->(type => 'int8_hnsw', confidence_interval => 0.5), qr/\[confidence_interval\] of field \[v\] must be between 0.9 and 1.0, but was \[0.5\]/ ],
        [ $opt->(type => 'int8_hnsw', confidence_interval => 0), qr/must be between 0.9 and 1.0/ ],
        [ $opt->(type => 'int8_hnsw', rescore_vector => { oversample => 0.5 }), qr/oversample must be 0 or >= 1/ ],
        [ $opt->(type => 'int8_hnsw', rescore_vector => { more => 2 }), qr/\[rescore_vector\] of field \[v\]/ ],
        [ { %v, element_type => 'byte', index_options => { type => 'int8_hnsw' } }, qr/\[element_type\] cannot be \[byte\] when using index type \[int8_hnsw\]/ ],
        [ { %v, dims => 3, index_options => { type => 'int4_hnsw' } }, qr/int4_hnsw only supports even dimensions; provided=3/ ],
        [ { %v, dims => 32, index_options => { type => 'bbq_hnsw' } }, qr/bbq_hnsw does not support dimensions fewer than 64; provided=32/ ],
        [ { %v, index => $false, index_options => { type => 'hnsw' } }, qr/\[index_options\] can only be specified/ ],
        [ { %o, method => { name => 'ivf' } }, qr/\[method\] \[ivf\] on field \[v\].*the method is \[hnsw\]/ ],
        [ { %o, method => { name => 'hnsw', engine => 'jvector' } }, qr/the engines are \[lucene, faiss, nmslib\]/ ],
        [ { %o, method => { name => 'hnsw', parameters => { nlist => 4 } } }, qr/\[nlist\] on field/ ],
        [ { %o, method => { name => 'hnsw', parameters => { encoder => { name => 'pq' } } } }, qr/the encoders are \[flat\], \[sq\]/ ],
        [ { %o, method => { name => 'hnsw', parameters => { encoder => { name => 'sq', parameters => [] } } } }, qr/\[encoder\] of field \[v\]/ ],
        [ { %o, method => { name => 'hnsw', space_type => 'l2' }, space_type => 'innerproduct' }, qr/two different \[space_type\]/ ],
        [ { %o, method => {} }, qr/name needs to be set/ ],
        [ { %o, mode => 'fast' }, qr/Supported values are \[in_memory, on_disk\], but got \[fast\]/ ],
        [ { %o, compression_level => '2x' }, qr/the levels are \[1x, 4x, 8x, 32x\]/ ],
        [ { %o, compression_level => '3x' }, qr/Invalid compression level/ ],
        [ { %o, data_type => 'byte', compression_level => '4x' }, qr/cannot be used for a data type other than \[float\]/ ],
        [ { %o, model_id => 'm' }, qr/\[model_id\]/ ],
    );
    for (@mappings) {
        my $r = $node->put('/refused', { mappings => { properties => { v => $_->[0] } } });
        is($r->{status}, 400, 'a mapping is refused') or diag JSON::PP::encode_json($_->[0]);
        like($r->{content}, $_->[1], '... with the reason');
    }
    my @queries_ = (
        [ { knn => { field => 'hnsw', query_vector => $queries[0], k => 1, rescore_vector => { oversample => 0.5 } } }, qr/\[oversample\] must be >= 1.0/ ],
        [ { knn => { field => 'hnsw', query_vector => $queries[0], k => 1, rescore_vector => { more => 1 } } }, qr/does not support \[more\]/ ],
        [ { knn => { field => 'hnsw', query_vector => $queries[0], k => 1, rescore_vector => 3 } }, qr/rescore_vector/ ],
        [ { knn => { o_disk => { vector => $queries[0], k => 1, rescore => { oversample_factor => 0.5 } } } }, qr/\[oversample_factor\] must be between \[1\] and \[100\]/ ],
        [ { knn => { o_disk => { vector => $queries[0], k => 1, method_parameters => { nprobe => 3 } } } }, qr/\[method_parameters.nprobe\] of \[knn\] is not supported/ ],
        [ { knn => { o_disk => { vector => $queries[0], k => 1, method_parameters => { ef_search => 0 } } } }, qr/\[ef_search\] must be between \[1\] and \[10000\]/ ],
    );
    for (@queries_) {
        my $r = $node->post('/g/_search', { query => $_->[0] });
        is($r->{status}, 400, 'a query is refused');
        like($r->{content}, $_->[1], '... with the reason');
    }
};
$node->stop;
done_testing;
