#!/usr/bin/perl
# 157_index_sort.t: index.sort.*: checks, and a random stream of writes against an oracle that keeps the
# documents flat: order within segments, counts, versions, deletes, updates, merges, restart, resize.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('sorted');
$node->start;
my $seed = $ENV{QD_SEED} || time;
diag "QD_SEED=$seed";
srand $seed;

# --- what is refused ---
my %fields = (
    k => { type => 'keyword' }, l => { type => 'long' }, t => { type => 'text' }, g => { type => 'geo_point' },
    b => { type => 'boolean' }, no => { type => 'keyword', doc_values => JSON::PP::false }, al => { type => 'alias', path => 'k' },
    n => { type => 'nested', properties => { x => { type => 'long' } } }, r => { type => 'integer_range' }, h => { type => 'half_float' },
);
sub refused {
    my ($sort, $why, $name) = @_;
    my $r = $node->put('/bad', { settings => { map { ("index.sort.$_" => $sort->{$_}) } keys %$sort }, mappings => { properties => \%fields } });
    is($r->{status}, 400, "$name: 400");
    like($r->{content}, qr/\Q$why\E/, "$name: in Elasticsearch's words");
}
refused({ field => 'none' }, 'unknown index sort field:[none]', 'a field that is not mapped');
refused({ field => 't' }, 'docvalues not found for index sort field:[t]', 'text');
refused({ field => 'no' }, 'docvalues not found for index sort field:[no]', 'a field without doc values');
refused({ field => 'g' }, 'invalid index sort field:[g]', 'a point');
refused({ field => 'r' }, 'invalid index sort field:[r]', 'a range');
refused({ field => 'h' }, 'invalid index sort field:[h]', 'a half_float');
refused({ field => 'al' }, 'Cannot use alias [al] as an index sort field', 'an alias');
refused({ field => 'n.x' }, 'cannot apply index sort to field [n.x] under nested object [n]', 'a nested field');
refused({ field => ['k', 'l'], order => ['asc'] }, 'index.sort.field:[k, l] index.sort.order:[asc], size mismatch', 'orders of another number');
refused({ order => ['asc'] }, 'index.sort.field:[] index.sort.order:[asc], size mismatch', 'an order without a field');
refused({ field => 'k', order => 'up' }, 'Illegal sort order:up', 'an order that is none');
refused({ field => 'k', mode => 'sum' }, 'Illegal index sort mode:[sum]', 'a mode that sorts no index');
refused({ field => 'k', missing => 'x' }, 'Illegal missing value:[x], must be one of [_last, _first]', 'a missing value');
like($node->put('/bad', { settings => { 'index.sort.field' => 'k', 'index.merge.reorder' => 'bp' }, mappings => { properties => \%fields } })->{content},
    qr/index\.merge\.reorder cannot be set/, 'two orders at once');
is($node->put('/_index_template/sorted', { index_patterns => ['tpl-*'], template => { settings => { 'index.sort.field' => 'k', 'index.sort.order' => 'desc' },
    mappings => { properties => { k => { type => 'keyword' } } } } })->{status}, 200, 'a template may have a sort');
is($node->put('/tpl-1')->{status}, 200, '... of a field that it maps');
is($node->get('/tpl-1/_settings?flat_settings=true')->{json}{'tpl-1'}{settings}{'index.sort.field'}, 'k', '... which the index has');
like($node->put('/tpl-1/_settings', { 'index.sort.field' => 'l' })->{content}, qr/final|non dynamic/, 'it cannot be changed');

# --- a random stream ---
my %props = (
    k => { type => 'keyword' }, l => { type => 'long' }, d => { type => 'date' }, f => { type => 'double' }, b => { type => 'boolean' },
    ip => { type => 'ip' }, n => { type => 'nested', properties => { x => { type => 'integer' } } }, w => { type => 'text' },
);
sub maybe { my ($p, $make) = @_; return rand() < $p ? $make->() : () }
my @words = qw(ant bee cat dog eel fox);
sub several { my ($make) = @_; return rand() < 0.8 ? $make->() : [ map { $make->() } 1 .. 3 ] }
sub ipnum { my $n = 0; $n = $n * 256 + $_ for split /\./, $_[0]; $n }
sub document {
    return {
        maybe(0.8, sub { (k => several(sub { $words[rand @words] })) }), maybe(0.8, sub { (l => several(sub { int(rand 20) - 10 })) }),
        maybe(0.8, sub { (d => 1_000_000 * int rand 50) }), maybe(0.8, sub { (f => several(sub { int(rand 40) / 8 - 2 })) }),
        maybe(0.8, sub { (b => rand() < 0.5 ? JSON::PP::true : JSON::PP::false) }), maybe(0.8, sub { (ip => '10.0.0.' . int rand 30) }),
        maybe(0.5, sub { (n => [ map { { x => int rand 9 } } 1 .. 1 + rand 3 ]) }), w => join(' ', map { $words[rand @words] } 1 .. 3),
    };
}
sub list { my $v = shift; return !defined $v ? () : ref $v eq 'ARRAY' ? @$v : ($v) }
my @all = qw(k l d f b ip);
my @sort = map { { field => $_, order => rand() < 0.5 ? 'asc' : 'desc', (rand() < 0.5 ? (mode => rand() < 0.5 ? 'min' : 'max') : ()), missing => rand() < 0.5 ? '_first' : '_last' } }
    (sort { rand() <=> 0.5 } @all)[0 .. rand 3];
$_->{mode} //= $_->{order} eq 'desc' ? 'max' : 'min' for @sort;
diag join ', ', map { "$_->{field} $_->{order} $_->{mode} $_->{missing}" } @sort;
my %settings = (number_of_shards => 1, number_of_replicas => 0, refresh_interval => -1,
    map { my $what = $_; ("index.sort.$what" => [ map { $_->{$what} } @sort ]) } qw(field order mode missing));
is($node->put('/s', { settings => { %settings, 'index.number_of_routing_shards' => 4 }, mappings => { properties => \%props } })->{status}, 200, 'a sorted index with nested objects');

my %docs; # id => [source, version]
my $next = 0;
sub key {
    my ($doc, $s) = @_;
    my @v = map { $s->{field} eq 'k' ? $_ : $s->{field} eq 'ip' ? ipnum($_) : $_ + 0 } list($doc->{$s->{field}});
    return undef unless @v;
    @v = $s->{field} eq 'k' ? sort @v : sort { $a <=> $b } @v;
    return $s->{mode} eq 'min' ? $v[0] : $v[-1];
}
sub compare {
    my ($x, $y, @keys) = @_;
    for my $s (@keys) {
        my ($u, $v) = (key($x, $s), key($y, $s));
        next if !defined $u && !defined $v;
        return ($s->{missing} eq '_first') == !defined $u ? -1 : 1 if !defined $u || !defined $v;
        my $c = $s->{field} eq 'k' ? $u cmp $v : $u <=> $v;
        return $s->{order} eq 'desc' ? -$c : $c if $c;
    }
    return 0;
}
sub write_some {
    my ($many) = @_;
    my @lines;
    for (1 .. $many) {
        my @ids = sort keys %docs;
        my $what = rand();
        if ($what < 0.6 || !@ids) {
            my $id = $what < 0.15 && @ids ? $ids[rand @ids] : $next++;
            $docs{$id} = [document(), ($docs{$id} ? $docs{$id}[1] : 0) + 1];
            push @lines, { index => { _index => 's', _id => "$id" } }, $docs{$id}[0];
        } elsif ($what < 0.8) {
            my $id = $ids[rand @ids];
            my $part = document();
            $docs{$id} = [{ %{$docs{$id}[0]}, %$part }, $docs{$id}[1] + 1];
            push @lines, { update => { _index => 's', _id => "$id" } }, { doc => $part, detect_noop => JSON::PP::false };
        } else {
            my $id = $ids[rand @ids];
            delete $docs{$id};
            push @lines, { delete => { _index => 's', _id => "$id" } };
        }
    }
    my $r = $node->post('/_bulk', join '', map { JSON::PP->new->utf8->canonical->encode($_) . "\n" } @lines);
    is($r->{json}{errors}, JSON::PP::false, "$many writes") or diag substr $r->{content}, 0, 1000;
}

# Every segment is in order; searches with and without totals, and by the first keys alone, say the same.
sub check {
    my ($index, $when) = @_;
    $node->post("/$index/_refresh");
    my $total = keys %docs;
    is($node->get("/$index/_count")->{json}{count}, $total, "$when: as many documents");
    is($node->get("/_cat/count/$index?h=count")->{content}, "$total\n", "$when: ... in _cat");
    my $hits = $node->post("/$index/_search", { size => 5000, sort => ['_doc'], version => JSON::PP::true, seq_no_primary_term => JSON::PP::true })->{json}{hits}{hits};
    my ($wrong, $order, %seen) = (0, 0);
    for (@$hits) { my $d = $docs{ $_->{_id} }; $wrong++ if !$d || $_->{_version} != $d->[1] && $index eq 's' || $seen{ $_->{_seq_no} }++ && $index eq 's' }
    is($wrong, 0, "$when: versions and sequence numbers");
    my $segments = $node->get("/$index/_segments")->{json}{indices}{$index}{shards};
    my $falls = 0;
    for (1 .. $#$hits) { $falls++ if compare($docs{ $hits->[$_ - 1]{_id} }[0], $docs{ $hits->[$_]{_id} }[0], @sort) > 0 }
    my ($number, $named) = (0, 0);
    for my $x (map { values %{ $_->[0]{segments} } } values %$segments) { $number++; $named++ if $x->{sort} && $x->{sort}[0]{field} eq $sort[0]{field} }
    cmp_ok($falls, '<', $number || 1, "$when: each of $number segments is in order");
    is($named, $number, "$when: _segments shows the sort");
    for my $n (1 .. @sort) {
        my @keys = @sort[0 .. $n - 1];
        my @by = map { { $_->{field} => { order => $_->{order}, mode => $_->{mode}, missing => $_->{missing} } } } @keys;
        for my $query ({ match_all => {} }, { match => { w => 'cat' } }, { nested => { path => 'n', query => { range => { 'n.x' => { gte => 4 } } } } }) {
            my $whole = $node->post("/$index/_search", { size => 5000, query => $query, sort => \@by })->{json}{hits};
            for my $track (JSON::PP::false, 5) {
                my $size = 1 + int rand 15;
                my $some = $node->post("/$index/_search", { size => $size, query => $query, sort => \@by, track_total_hits => $track })->{json}{hits}{hits};
                my @want = map { "@{[map { $_ // 'null' } @{ $_->{sort} }]} $_->{_id}" } @{ $whole->{hits} }[0 .. (@{ $whole->{hits} } < $size ? @{ $whole->{hits} } : $size) - 1];
                is_deeply([ map { "@{[map { $_ // 'null' } @{ $_->{sort} }]} $_->{_id}" } @$some ], \@want, "$when: the best $size by $n keys");
            }
            my $falls = grep { compare($docs{ $whole->{hits}[$_ - 1]{_id} }[0], $docs{ $whole->{hits}[$_]{_id} }[0], @keys) > 0 } 1 .. $#{ $whole->{hits} };
            is($falls, 0, "$when: by $n keys in order");
            next unless @{ $whole->{hits} } > 10;
            my $after = $whole->{hits}[5];
            my $rest = $node->post("/$index/_search", { size => 3, query => $query, sort => \@by, search_after => $after->{sort}, track_total_hits => JSON::PP::false })->{json}{hits}{hits};
            my @behind = grep { compare($docs{ $after->{_id} }[0], $docs{ $_->{_id} }[0], @keys) < 0 } @{ $whole->{hits} };
            is_deeply([ map { $_->{_id} } @$rest ], [ map { $_->{_id} } @behind[0 .. (@behind < 3 ? @behind : 3) - 1] ], "$when: search_after");
        }
    }
    my $nested = 0;
    $nested += grep { $_->{x} == 3 } list($_->[0]{n}) for values %docs;
    is($node->post("/$index/_search", { size => 0, aggs => { n => { nested => { path => 'n' }, aggs => { x => { filter => { term => { 'n.x' => 3 } } } } } } })->{json}{aggregations}{n}{x}{doc_count},
        $nested, "$when: nested documents follow their own");
    my ($id) = sort { rand() <=> 0.5 } keys %docs;
    is_deeply($node->get("/$index/_doc/$id")->{json}{_source}, $docs{$id}[0], "$when: a document by its id");
}

for my $round (1 .. 4) {
    write_some(60) for 1 .. 3;
    my ($id) = sort keys %docs;
    is_deeply($node->get("/s/_doc/$id")->{json}{_source}, $docs{$id}[0], 'a document before it is searched');
    check('s', "round $round");
    if ($round == 2) {
        $node->post('/s/_flush');
        write_some(40);
        $node->kill9;
        $node->start;
        check('s', 'after a crash');
    }
}
$node->post('/s/_forcemerge?max_num_segments=1');
check('s', 'after a forced merge');
my $by = $node->post('/s/_update_by_query?refresh=true', { query => { term => { k => 'ant' } }, script => { source => 'ctx._source.l = 99' } });
is($by->{json}{failures} && @{ $by->{json}{failures} }, 0, 'an update by query') or diag $by->{content};
for (values %docs) { if (grep { $_ eq 'ant' } list($_->[0]{k})) { $_->[0]{l} = 99; $_->[1]++ } }
check('s', 'after an update by query');
$by = $node->post('/s/_delete_by_query?refresh=true', { query => { term => { k => 'bee' } } });
delete $docs{$_} for grep { grep { $_ eq 'bee' } list($docs{$_}[0]{k}) } keys %docs;
check('s', 'after a delete by query');
$node->restart;
check('s', 'after a restart');
$node->put('/s/_settings', { 'index.blocks.write' => JSON::PP::true });
is($node->post('/s/_clone/c')->{status}, 200, 'a clone');
$node->wait_for(sub { ($node->get('/_cluster/health/c')->{json}{status} // '') eq 'green' });
check('c', 'a clone');
is($node->get('/c/_settings')->{json}{c}{settings}{index}{sort}{field}[0] // '', $sort[0]{field}, '... has the same sort');
is($node->post('/s/_split/p', { settings => { 'index.number_of_shards' => 4, 'index.blocks.write' => undef } })->{status}, 200, 'a split');
$node->wait_for(sub { ($node->get('/_cluster/health/p')->{json}{status} // '') eq 'green' });
is($node->get('/p/_count')->{json}{count}, scalar keys %docs, 'a split has all documents');
$node->post('/p/_forcemerge?max_num_segments=1');
my $shards = $node->get('/p/_segments')->{json}{indices}{p}{shards};
is(scalar(grep { !$_->{sort} } map { values %{ $_->[0]{segments} } } values %$shards), 0, '... and its segments the sort');
like($node->post('/s/_clone/x', { settings => { 'index.sort.field' => 'w' } })->{content}, qr/can't override index sort|docvalues not found|index.sort/, 'a clone has no other sort');
done_testing;
