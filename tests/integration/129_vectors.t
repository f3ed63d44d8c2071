#!/usr/bin/perl
# 129_vectors.t: vectors over HTTP, against an oracle that measures each document itself: every element, every similarity of
# Elasticsearch and OpenSearch, filters, deletes, updates, merges, restart, shards; what a client may give wrongly.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('vectors');
$node->start;
srand 17;
my $true  = JSON::PP::true;
my $false = JSON::PP::false;

sub f32 { return unpack 'f<', pack 'f<', $_[0] }
sub dot { my ($x, $y) = @_; my $s = 0; $s += $x->[$_] * $y->[$_] for 0 .. $#$x; return $s }
sub l2 { my ($x, $y) = @_; my $s = 0; $s += ($x->[$_] - $y->[$_])**2 for 0 .. $#$x; return $s }
sub len { return sqrt dot($_[0], $_[0]) }
sub hamming { my ($x, $y) = @_; my $n = 0; $n += unpack '%32b*', pack 'C', ($x->[$_] ^ $y->[$_]) & 255 for 0 .. $#$x; return $n }
sub max_dot { my $d = dot(@_); return $d < 0 ? 1 / (1 - $d) : $d + 1 }
sub floats { my $n = shift; return [ map { f32(rand(2) - 1) } 1 .. $n ] }
sub unit { my $x = floats(shift); my $l = len($x); return [ map { f32($_ / $l) } @$x ] }
sub bytes { my $n = shift; return [ map { int(rand 256) - 128 } 1 .. $n ] }

# Field, mapping, vectors of it, score of one.
my $D      = 37; # no multiple of anything
my %fields = (
    cos   => [ { type => 'dense_vector', dims => $D }, \&floats, $D, sub { (1 + dot(@_) / len($_[0]) / len($_[1])) / 2 } ],
    dot   => [ { type => 'dense_vector', dims => $D, similarity => 'dot_product', index_options => { type => 'flat' } }, \&unit, $D, sub { (1 + dot(@_)) / 2 } ],
    l2    => [ { type => 'dense_vector', dims => $D, similarity => 'l2_norm' }, \&floats, $D, sub { 1 / (1 + l2(@_)) } ],
    mip   => [ { type => 'dense_vector', dims => $D, similarity => 'max_inner_product' }, \&floats, $D, \&max_dot ],
    b_cos => [ { type => 'dense_vector', dims => $D, element_type => 'byte' }, \&bytes, $D, sub { (1 + dot(@_) / len($_[0]) / len($_[1])) / 2 } ],
    b_dot => [ { type => 'dense_vector', dims => $D, element_type => 'byte', similarity => 'dot_product' }, \&bytes, $D, sub { 0.5 + dot(@_) / (32768 * $D) } ],
    b_l2  => [ { type => 'dense_vector', dims => $D, element_type => 'byte', similarity => 'l2_norm' }, \&bytes, $D, sub { 1 / (1 + l2(@_)) } ],
    b_mip => [ { type => 'dense_vector', dims => $D, element_type => 'byte', similarity => 'max_inner_product' }, \&bytes, $D, \&max_dot ],
    bit   => [ { type => 'dense_vector', dims => 72, element_type => 'bit' }, \&bytes, 9, sub { (72 - hamming(@_)) / 72 } ],
    o_l2  => [ { type => 'knn_vector', dimension => $D }, \&floats, $D, sub { 1 / (1 + l2(@_)) } ],
    o_cos => [ { type => 'knn_vector', dimension => $D, space_type => 'cosinesimil' }, \&floats, $D, sub { (1 + dot(@_) / len($_[0]) / len($_[1])) / 2 } ],
    o_ip  => [ { type => 'knn_vector', dimension => $D, space_type => 'innerproduct', data_type => 'byte' }, \&bytes, $D, \&max_dot ],
    o_ham => [ { type => 'knn_vector', dimension => 72, data_type => 'binary', space_type => 'hamming' }, \&bytes, 9, sub { 1 / (1 + hamming(@_)) } ],
);
my %docs;

sub document {
    my %d = (tag => (qw(a b c))[rand 3], n => int rand 100, text => rand() < 0.3 ? 'red fox' : 'blue dog');
    for (keys %fields) { $d{$_} = $fields{$_}[1]->($fields{$_}[2]) if rand() < 0.8 }
    return \%d;
}

sub bulk {
    my ($index, @ops) = @_;
    my $lines = '';
    for my $op (@ops) {
        my ($what, $id, $doc) = @$op;
        $lines .= qq({"$what":{"_index":"$index","_id":"$id"}}\n);
        $lines .= JSON::PP::encode_json($what eq 'update' ? { doc => $doc } : $doc) . "\n" if $doc;
    }
    my $r = $node->post('/_bulk', $lines);
    is($r->{json}{errors}, $false, 'a bulk') or diag substr $r->{content}, 0, 1500;
}

# What the oracle gives each document: id => score.
sub scores {
    my ($f, $q, $test) = @_;
    return { map { $_ => $fields{$f}[3]->($q, $docs{$_}{$f}) } grep { $docs{$_}{$f} && (!$test || $test->($docs{$_})) } keys %docs };
}
sub best { my ($s, $k) = @_; my @b = sort { $b <=> $a } values %$s; $#b = $k - 1 if @b > $k; return @b }
sub near { my ($x, $y) = @_; return abs($x - $y) <= 2e-5 * (1 + abs $y) }

# The hits are k best, each with the score that the oracle has of it.
sub check_hits {
    my ($r, $s, $k, $name) = @_;
    my @want = best($s, $k);
    my @got  = map { $_->{_score} } @{ $r->{json}{hits}{hits} // [] };
    my $good = $r->{status} == 200 && @got == @want;
    for my $i (0 .. $#got) { $good &&= near($got[$i], $want[$i]) && defined $s->{ $r->{json}{hits}{hits}[$i]{_id} } && near($got[$i], $s->{ $r->{json}{hits}{hits}[$i]{_id} }) }
    $good &&= $r->{json}{hits}{total}{value} == @want;
    ok($good, $name) or diag substr($r->{content}, 0, 500), "\nwanted @want";
}

sub query_of {
    my ($f, $q, $k, %more) = @_;
    return { knn => { $f => { vector => $q, k => $k, %more } } } if $f =~ /^o_/;
    return { knn => { field => $f, query_vector => $q, k => $k, num_candidates => $k + 5, %more } };
}

sub check_all {
    my ($index, $when, $shards) = @_;
    for my $f (sort keys %fields) {
        my $q = $fields{$f}[1]->($fields{$f}[2]);
        my $k = 1 + int rand 15;
        if ($shards == 1) {
            check_hits($node->post("/$index/_search", { query => query_of($f, $q, $k), size => 50, _source => $false }), scores($f, $q), $k, "$when: the nearest by $f");
            check_hits($node->post("/$index/_search", { query => query_of($f, $q, $k, filter => { term => { tag => 'b' } }), size => 50 }), scores($f, $q, sub { $_[0]{tag} eq 'b' }), $k, "$when: behind a filter by $f");
        }
        next if $f =~ /^o_/;
        my $section = { field => $f, query_vector => $q, k => $k, num_candidates => 100 };
        check_hits($node->post("/$index/_search", { knn => $section, size => 50 }), scores($f, $q), $k, "$when: the section knn by $f");
        my $r = $node->post("/$index/_search", { knn => { %$section, filter => [ { range => { n => { lt => 40 } } } ], boost => 2 }, size => 3, from => 1, aggs => { t => { terms => { field => 'tag' } } } });
        my %two = %{ scores($f, $q, sub { $_[0]{n} < 40 }) };
        $_ *= 2 for values %two;
        my @want = best(\%two, $k);
        my $buckets = 0;
        $buckets += $_->{doc_count} for @{ $r->{json}{aggregations}{t}{buckets} };
        is($buckets, scalar @want, "$when: aggregations see the nearest alone, by $f");
        my @got = map { $_->{_score} } @{ $r->{json}{hits}{hits} };
        splice @want, 0, 1;
        $#want = 2 if @want > 3;
        ok(@got == @want && !grep({ !near($got[$_], $want[$_]) } 0 .. $#got), "$when: pages, filters and boosts by $f") or diag "@got\n@want";
    }
}

my %mapping = (properties => { (map { $_ => $fields{$_}[0] } keys %fields), tag => { type => 'keyword' }, n => { type => 'integer' }, text => { type => 'text' } });
for my $shards (1, 3) {
    my $index = "v$shards";
    %docs = ();
    my $made = $node->put("/$index", { settings => { number_of_shards => $shards, number_of_replicas => 0, refresh_interval => -1 }, mappings => \%mapping });
    is($made->{status}, 200, 'an index of vectors') or diag $made->{content};
    for my $round (1 .. 4) {
        my @ops;
        for my $id (map { $round * 100 + $_ } 1 .. 60) { $docs{$id} = document(); push @ops, [ 'index', $id, $docs{$id} ] }
        bulk($index, @ops);
        $node->post("/$index/_refresh");
    }
    check_all($index, 'several segments', $shards);
    my @ops;
    for my $id (keys %docs) {
        my $what = rand;
        if ($what < 0.2) { delete $docs{$id}; push @ops, [ 'delete', $id ] }
        elsif ($what < 0.4) { $docs{$id} = document(); push @ops, [ 'index', $id, $docs{$id} ] }
        elsif ($what < 0.5) { my $d = { n => 5, mip => floats($D) }; $docs{$id} = { %{ $docs{$id} }, %$d }; push @ops, [ 'update', $id, $d ] }
    }
    bulk($index, @ops);
    $node->post("/$index/_refresh");
    check_all($index, 'deletes and updates', $shards);
    is($node->post("/$index/_forcemerge?max_num_segments=1")->{status}, 200, 'merged');
    $node->post("/$index/_refresh");
    check_all($index, 'one segment', $shards);
    is($node->post("/$index/_search", { query => { exists => { field => 'cos' } }, size => 0 })->{json}{hits}{total}{value}, scalar(grep { $_->{cos} } values %docs), 'exists');
    my ($id) = grep { $docs{$_}{l2} } sort keys %docs;
    is_deeply($node->get("/$index/_doc/$id")->{json}{_source}{l2}, $docs{$id}{l2}, '_source has the numbers as they were given');
}
$node->stop;
$node->start;
ok(QdNode->wait_for(sub { ($node->get('/_cluster/health')->{json}{status} // '') eq 'green' }, 60), 'green again');
check_all('v3', 'after a restart', 3);

subtest 'qd segment check counts vectors' => sub {
    my ($dir) = "$node->{dir}/data";
    my $out = `@{[ QdNode::qd() ]} segment check --json $dir 2>&1`;
    is($?, 0, 'nothing is wrong') or diag substr $out, 0, 2000;
    like($out, qr/"index_parts" : [1-9]/, '... and it tells of index parts, whose bytes only their types read');
};

subtest 'beside a query and in other queries' => sub {
    my $q = floats($D);
    my %near = %{ scores('l2', $q) };
    my @best = (sort { $near{$b} <=> $near{$a} } keys %near)[ 0 .. 6 ];
    my $r = $node->post('/v3/_search', { query => { term => { tag => { value => 'c', boost => 0 } } }, knn => { field => 'l2', query_vector => $q, k => 7, num_candidates => 7, _name => 'by l2' }, size => 500 });
    my %want = map { $_ => 0 } grep { $docs{$_}{tag} eq 'c' } keys %docs;
    $want{$_} = $near{$_} for @best;
    my %got = map { $_->{_id} => $_->{_score} } @{ $r->{json}{hits}{hits} };
    is_deeply([ sort keys %got ], [ sort keys %want ], 'what the query finds and the nearest');
    ok(!grep({ !near($got{$_}, $want{$_}) } keys %want), 'with the sum of both scores');
    my %named = map { $_->{_id} => 1 } grep { grep { $_ eq 'by l2' } @{ $_->{matched_queries} // [] } } @{ $r->{json}{hits}{hits} };
    is(scalar(grep { $named{$_} } @best), 7, 'the name of the section is told');
    $r = $node->post('/v3/_search', { knn => [ { field => 'l2', query_vector => $q, k => 5, num_candidates => 5 }, { field => 'mip', query_vector => $q, k => 5, num_candidates => 5 } ], size => 50 });
    my %mip = %{ scores('mip', $q) };
    my %sum;
    $sum{$_} += $near{$_} for (sort { $near{$b} <=> $near{$a} } keys %near)[ 0 .. 4 ];
    $sum{$_} += $mip{$_} for (sort { $mip{$b} <=> $mip{$a} } keys %mip)[ 0 .. 4 ];
    check_hits($r, \%sum, 50, 'two sections are added up');
    $r = $node->post('/v3/_search', { knn => { field => 'l2', query_vector => $q, k => 9, num_candidates => 9 }, sort => [ { n => 'asc' } ], size => 50 });
    is_deeply([ map { $_->{sort}[0] } @{ $r->{json}{hits}{hits} } ], [ sort { $a <=> $b } map { $docs{$_}{n} } (sort { $near{$b} <=> $near{$a} } keys %near)[ 0 .. 8 ] ], 'sorted by a field');
    $r = $node->post('/v3/_search', { knn => { field => 'l2', query_vector => $q, k => 50, num_candidates => 50, similarity => 3 }, size => 50 });
    my %close = map { $_ => $near{$_} } grep { 1 / $near{$_} - 1 <= 9 } keys %near;
    check_hits($r, \%close, 50, 'similarity is a bound of the distance');
    for my $how ([ { max_distance => 11 }, sub { 1 / $_[0] - 1 <= 11 } ], [ { min_score => 0.09 }, sub { $_[0] >= 0.09 } ]) {
        my %o = %{ scores('o_l2', $q) };
        my %in = map { $_ => $o{$_} } grep { $how->[1]->($o{$_}) } keys %o;
        check_hits($node->post('/v3/_search', { query => { knn => { o_l2 => { vector => $q, %{ $how->[0] } } } }, size => 500 }), \%in, 500, 'all within ' . (keys %{ $how->[0] })[0]);
    }
    for my $f (qw(dot mip)) { # a distance is minus the product
        my $u = unit($D);
        my %s = %{ scores($f, $u) };
        my %in = map { $_ => $s{$_} } grep { dot($u, $docs{$_}{$f}) >= 0.1 } keys %s;
        check_hits($node->post('/v3/_search', { query => { knn => { $f => { vector => $u, max_distance => -0.1 } } }, size => 500 }), \%in, 500, "max_distance of $f");
        check_hits($node->post('/v3/_search', { knn => { field => $f, query_vector => $u, k => 500, num_candidates => 500, similarity => 0.1 }, size => 500 }), \%in, 500, "similarity of $f");
    }
    my $count = $node->post('/v1/_count', { query => { bool => { must => [ { knn => { field => 'cos', query_vector => $q, k => 20, num_candidates => 20 } } ] } } });
    is($count->{json}{count}, 20, '_count');
    $r = $node->post('/v3/_search', { knn => { field => 'l2', query_vector => $q, k => 3, num_candidates => 3 }, explain => $true });
    is(scalar(grep { near($_->{_explanation}{value}, $_->{_score}) } @{ $r->{json}{hits}{hits} }), 3, 'explained') or diag $r->{content};
    $r = $node->post('/v3/_search', { query => { match_all => {} }, knn => { field => 'l2', query_vector => $q, k => 4, num_candidates => 4, _name => 'near' }, explain => $true, size => 500 });
    is(scalar(grep { !near($_->{_explanation}{value}, $_->{_score}) } @{ $r->{json}{hits}{hits} }), 0, 'values of explanations are the scores, also of the next nearest of a shard');
    is(scalar(grep { $_->{matched_queries} } @{ $r->{json}{hits}{hits} }), 4, '... and have no name of a section');
    is($node->post('/v1,v3/_search', { knn => { field => 'l2', query_vector => $q, k => 11, num_candidates => 11 }, size => 100 })->{json}{hits}{total}{value}, 11, 'k holds over indices');
    my $scroll = $node->post('/v3/_search?scroll=1m', { knn => { field => 'l2', query_vector => $q, k => 10, num_candidates => 10 }, size => 4 });
    my @pages = @{ $scroll->{json}{hits}{hits} };
    push @pages, @{ $node->post('/_search/scroll', { scroll => '1m', scroll_id => $scroll->{json}{_scroll_id} })->{json}{hits}{hits} } for 1 .. 3;
    is(scalar @pages, 10, 'a scroll has all of them');
    $node->put('/v1/_alias/only_a', { filter => { term => { tag => 'a' } } });
    is(scalar(grep { $_->{_source}{tag} ne 'a' } @{ $node->post('/only_a/_search', { knn => { field => 'cos', query_vector => $q, k => 10, num_candidates => 10 } })->{json}{hits}{hits} }), 0, 'an alias hides others');
    is(scalar @{ $node->post('/only_a/_search', { knn => { field => 'cos', query_vector => $q, k => 10, num_candidates => 10 } })->{json}{hits}{hits} }, 10, '... before the nearest are chosen');
};

subtest 'what is shown' => sub {
    my ($id) = grep { $docs{$_}{l2} && $docs{$_}{bit} } sort keys %docs;
    my %by_id = (query => { ids => { values => [$id] } });
    my $hit = sub { $node->post('/v3/_search' . ($_[1] // ''), { %by_id, %{ $_[0] } })->{json}{hits}{hits}[0] };
    is_deeply($hit->({ fields => ['bit'] })->{fields}{bit}, $docs{$id}{bit}, 'fields');
    is_deeply([ sort keys %{ $hit->({ _source => { exclude_vectors => $true } })->{_source} } ], [ qw(n tag text) ], 'exclude_vectors');
    is_deeply($hit->({ _source => { exclude_vectors => $false } })->{_source}{l2}, $docs{$id}{l2}, 'exclude_vectors: false');
    is_deeply([ keys %{ $hit->({ _source => { exclude_vectors => $true, includes => [ 'l2', 'n' ] } })->{_source} } ], ['n'], '... beside includes');
    is_deeply([ sort keys %{ $hit->({}, '?_source_exclude_vectors=true')->{_source} } ], [ qw(n tag text) ], 'as a parameter');
    my $caps = $node->get('/v1/_field_caps?fields=l2')->{json}{fields}{l2}{dense_vector};
    is_deeply([ $caps->{searchable}, $caps->{aggregatable} ], [ $true, $false ], '_field_caps');
    is($node->get('/v1/_mapping')->{json}{v1}{mappings}{properties}{dot}{index_options}{type}, 'flat', 'index_options are shown');
};

subtest 'dims of the first document' => sub {
    $node->put('/first', { mappings => { properties => { v => { type => 'dense_vector', similarity => 'l2_norm' }, b => { type => 'dense_vector', element_type => 'bit' } } } });
    is($node->post('/first/_search', { knn => { field => 'v', query_vector => [ 1, 2 ], k => 1, num_candidates => 1 } })->{json}{hits}{total}{value}, 0, 'no vector, no hit');
    is($node->put('/first/_doc/1?refresh=true', { v => [ 1, 2, 3 ], b => '0aff' })->{status}, 201, 'the first');
    is($node->get('/first/_mapping')->{json}{first}{mappings}{properties}{v}{dims}, 3, 'says how many');
    is($node->get('/first/_mapping')->{json}{first}{mappings}{properties}{b}{dims}, 16, 'bits come as bytes');
    like($node->put('/first/_doc/2', { v => [ 1, 2 ] })->{content}, qr/\[dense_vector\] field \[v\] in doc \[document with id '2'\] has a different number of dimensions \[2\] than defined in the mapping \[3\]/, 'all have as many');
    is($node->post('/first/_search', { query => { knn => { field => 'b', query_vector => '0afe', k => 1 } } })->{json}{hits}{hits}[0]{_score}, 0.9375, 'one bit of sixteen differs');
};

subtest 'refused' => sub {
    my @mappings = (
        [ { type => 'dense_vector', dims => 4097 }, qr/range \[1, 4096\] but was \[4097\]/ ],
        [ { type => 'dense_vector', dims => 0 }, qr/range \[1, 4096\] but was \[0\]/ ],
        [ { type => 'dense_vector', dims => 12, element_type => 'bit' }, qr/multiple of 8 but was \[12\]/ ],
        [ { type => 'dense_vector', dims => 8, element_type => 'bit', similarity => 'cosine' }, qr/\[cosine\] similarity is not supported for bit vectors/ ],
        [ { type => 'dense_vector', dims => 3, element_type => 'half' }, qr/invalid element_type \[half\]/ ],
        [ { type => 'dense_vector', dims => 3, similarity => 'near' }, qr/Unknown value \[near\] for field \[similarity\]/ ],
        [ { type => 'dense_vector', dims => 3, index => $false, similarity => 'cosine' }, qr/\[similarity\] can only be specified/ ],
        [ { type => 'dense_vector', dims => 3, index_options => { type => 'flat', m => 16 } }, qr/unsupported parameters.*index_options\.m/ ],
        [ { type => 'dense_vector', dims => 3, index_options => { type => 'tree' } }, qr/Unknown vector index options type \[tree\]/ ],
        [ { type => 'dense_vector', dims => 3, fields => { k => { type => 'keyword' } } }, qr/\[fields\]/ ],
        [ { type => 'knn_vector' }, qr/Dimension value missing/ ],
        [ { type => 'knn_vector', dimension => 16001 }, qr/range \[1, 16000\]/ ],
        [ { type => 'knn_vector', dimension => 3, space_type => 'linf' }, qr/\[linf\] on field \[v\] is not supported/ ],
        [ { type => 'knn_vector', dimension => 8, data_type => 'binary', space_type => 'l2' }, qr/Space type \[l2\] is not supported with \[binary\]/ ],
    );
    for (@mappings) {
        my $r = $node->put('/refused', { mappings => { properties => { v => $_->[0] } } });
        is($r->{status}, 400, 'a mapping is refused');
        like($r->{content}, $_->[1], '... with the reason');
    }
    $node->put('/r', { mappings => { properties => {
        f => { type => 'dense_vector', dims => 3 }, u => { type => 'dense_vector', dims => 3, similarity => 'dot_product' }, b => { type => 'dense_vector', dims => 3, element_type => 'byte' },
        i => { type => 'dense_vector', dims => 3, index => $false }, o => { type => 'knn_vector', dimension => 3, space_type => 'cosinesimil' }, t => { type => 'text' },
        s => { type => 'nested', properties => { v => { type => 'dense_vector', dims => 3 } } } } } });
    my @docs = (
        [ '{"f":[1,2]}', qr/different number of dimensions \[2\]/ ],
        [ '{"f":[1,2,3,4]}', qr/has more dimensions than defined in the mapping \[3\]/ ],
        [ '{"f":[0,0,0]}', qr/\[cosine\] similarity does not support vectors with zero magnitude. Preview of invalid vector: \[0.0, 0.0, 0.0\]/ ],
        [ '{"u":[1,1,0]}', qr/\[dot_product\] similarity can only be used with unit-length vectors. Preview of invalid vector: \[1.0, 1.0, 0.0\]/ ],
        [ '{"f":[1e39,0,0]}', qr/do not support infinite values but found \[Infinity\] at dim \[0\]/ ],
        [ '{"f":[NaN,0,0]}', qr/NaN/ ],
        [ '{"b":[1,128,0]}', qr/only support integers between \[-128, 127\] but found \[128\] at dim \[1\]/ ],
        [ '{"b":[1.5,1,0]}', qr/only support non-decimal values but found decimal value \[1.5\] at dim \[0\]/ ],
        [ '{"b":[0,0,0]}', qr/zero magnitude. Preview of invalid vector: \[0, 0, 0\]/ ],
        [ '{"b":"01zz02"}', qr/not valid hexadecimal/ ],
        [ '{"f":["1","2","3"]}', qr/expecting token of type \[VALUE_NUMBER\] but found \[VALUE_STRING\]/ ],
        [ '{"f":[[1,2,3]]}', qr/but found \[START_ARRAY\]/ ],
        [ '{"f":[1,null,3]}', qr/but found \[VALUE_NULL\]/ ],
        [ '{"f":{"a":1}}', qr/but found \[START_OBJECT\]/ ],
        [ '{"f":7}', qr/expecting token of type \[START_ARRAY\]/ ],
        [ '{"f":[1,2', qr/./ ],
        [ '{"o":[0,0,0]}', qr/zero vector is not supported when space type is \[cosinesimil\]/ ],
        [ '{"o":[0,1]}', qr/Vector dimension mismatch. Expected: 3, Given: 2/ ],
    );
    for (@docs) {
        my $r = $node->put('/r/_doc/x', $_->[0]);
        is($r->{status}, 400, "refused: $_->[0]");
        like($r->{content}, $_->[1], '... with the reason');
    }
    is($node->put('/r/_doc/ok?refresh=true', '{"f":null,"i":[0,0,0]}')->{status}, 201, 'null is no vector, and one that is kept alone may be zero');
    is($node->post('/r/_count', { query => { exists => { field => 'i' } } })->{json}{count}, 1, '... and exists');
    my %k = (k => 1, num_candidates => 1);
    my @queries = (
        [ { field => 'f', query_vector => [ 1, 2 ], %k }, qr/query vector has a different number of dimensions \[2\] than the document vectors \[3\]/ ],
        [ { field => 'f', query_vector => [ 0, 0, 0 ], %k }, qr/zero magnitude/ ],
        [ { field => 'u', query_vector => [ 2, 0, 0 ], %k }, qr/unit-length/ ],
        [ { field => 'b', query_vector => [ 1.5, 0, 0 ], %k }, qr/non-decimal/ ],
        [ { field => 'b', query_vector => 'zz', %k }, qr/hexadecimal/ ],
        [ { field => 'nope', query_vector => [ 1, 2, 3 ], %k }, qr/field \[nope\] does not exist in the mapping/ ],
        [ { field => 't', query_vector => [ 1, 2, 3 ], %k }, qr/\[knn\] queries are only supported on \[dense_vector\]/ ],
        [ { field => 'i', query_vector => [ 1, 2, 3 ], %k }, qr/must have \[index\] set to \[true\]/ ],
        [ { field => 'f', query_vector => [ 1, 2, 3 ], k => 0 }, qr/\[k\] must be greater than 0/ ],
        [ { field => 'f', query_vector => [ 1, 2, 3 ], k => 5, num_candidates => 4 }, qr/\[num_candidates\] cannot be less than \[k\]/ ],
        [ { field => 'f', query_vector => [ 1, 2, 3 ], k => 5, num_candidates => 10001 }, qr/\[num_candidates\] cannot exceed \[10000\]/ ],
        [ { field => 'f', query_vector => [], %k }, qr/has no number/ ],
        [ { field => 'f', query_vector => [ 1, 'x', 3 ], %k }, qr/array of numbers/ ],
        [ { field => 'f', query_vector => [ 1, 2, 3 ], %k, query_vector_builder => {} }, qr/\[query_vector_builder\] of \[knn\] is not supported/ ],
        [ { field => 'f', query_vector => [ 1, 2, 3 ], %k, more => 1 }, qr/does not support \[more\]/ ],
        [ { field => 'f', %k }, qr/Required \[query_vector\]/ ],
        [ { query_vector => [ 1, 2, 3 ], %k }, qr/Required \[field\]/ ],
        [ { o => { vector => [ 1, 2 ], k => 1 } }, qr/Query vector has invalid dimension: 2. Dimension should be: 3/ ],
        [ { o => { vector => [ 1, 2, 3 ] } }, qr/exactly one of \[k\], \[max_distance\] or \[min_score\]/ ],
        [ { o => { vector => [ 1, 2, 3 ], k => 1 }, f => { vector => [ 1, 2, 3 ], k => 1 } }, qr/multiple fields/ ],
        [ { o => { o => { vector => [ 1, 2, 3 ] } } }, qr/does not support \[o\]/ ],
    );
    for (@queries) {
        for my $body ({ query => { knn => $_->[0] } }, { knn => $_->[0] }) {
            my $r = $node->post('/r/_search', $body);
            is($r->{status}, 400, 'a query is refused');
            like($r->{content}, $_->[1], '... with the reason');
        }
    }
    like($node->post('/r/_search', { knn => [ (map { { field => 'f', query_vector => [ 1, 2, 3 ], %k } } 1 .. 17) ] })->{content}, qr/more than 16 sections/, 'too many sections');
    like($node->post('/r/_search', { query => { bool => { should => [ (map { { knn => { field => 'f', query_vector => [ 1, 2, 3 ], %k } } } 1 .. 65) ] } } })->{content}, qr/at most 64 \[knn\] queries/, 'too many queries');
    like($node->post('/r/_search', { knn => [7] })->{content}, qr/VALUE_NUMBER in \[knn\]/, 'a section is an object');
    for my $body ({ query => { term => { f => 1 } } }, { query => { range => { f => { gte => 1 } } } }, { sort => 'f' }, { size => 0, aggs => { a => { terms => { field => 'f' } } } }) {
        is($node->post('/r/_search', $body)->{status}, 400, 'vectors have neither terms nor values to sort by');
    }
    my $huge = '{"query":{"knn":{"field":"f","query_vector":[' . join(',', (1) x 200000) . '],"k":1}}}';
    like($node->post('/r/_search', $huge)->{content}, qr/at most 32768 dimensions/, 'a vector without end');
    is($node->put('/r/_doc/h', '{"f":[' . join(',', (1) x 200000) . ']}')->{status}, 400, 'in a document');
};
$node->stop;
done_testing;
