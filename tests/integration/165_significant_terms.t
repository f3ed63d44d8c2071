# significant_terms against an oracle in Perl: all heuristics, over shards on two nodes, of keywords, numbers and addresses, several
# values a document, below terms and with metrics below it, a background of its own, include and exclude, limits, refusals.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('sigterms', nodes => 2);
$c->start;
my @n = $c->nodes;
srand 11;
my @docs;
for my $i (0 .. 599) {
    my $class = (qw(red green blue))[$i % 3];
    my %tag = map { 't' . int(rand 12) => 1 } 1 .. 1 + rand 3;
    $tag{"only-$class"} = 1 if rand() < 0.4;
    $tag{'common'} = 1 if rand() < 0.8;
    push @docs, {id => $i, class => $class, tags => [sort keys %tag], code => 100 + ($i % 3 == 0 && rand() < 0.7 ? 7 : int rand 20), ip => '10.0.0.' . ($i % 3 == 1 && rand() < 0.6 ? 9 : 1 + int rand 30), year => 2000 + $i % 4};
}
is($n[0]->put('/s', {settings => {number_of_shards => 3, number_of_replicas => 0}, mappings => {properties => {class => {type => 'keyword'}, tags => {type => 'keyword'}, code => {type => 'long'}, ip => {type => 'ip'}, year => {type => 'integer'}, d => {type => 'double'}}}})->{status}, 200, 'an index');
my $json = JSON::PP->new->canonical;
is($n[0]->request('POST', '/s/_bulk?refresh=true', join '', map { qq({"index":{"_id":"$_->{id}"}}\n) . $json->encode($_) . "\n" } @docs)->{json}{errors}, JSON::PP::false, 'documents');
sub search { my ($body, $index, $params) = @_; my $r = $n[rand 2]->post('/' . ($index || 's') . '/_search?' . ($params || ''), {size => 0, %$body}); return $r }
my %all = (size => 1000, shard_size => 1000);

sub mi { my ($xy, $x, $y, $all) = @_; my ($a, $b, $f) = (abs($all * $xy), abs($x * $y), abs($xy / $all)); return $a < 1e-7 && $f < 1e-7 ? 0 : $f * log($a / $b) }
sub score {
    my ($by, $sf, $ss, $bf, $bs, %o) = @_;
    if ($by eq 'jlh') { my ($p, $q) = ($sf / $ss, $bf / $bs); return $p - $q <= 0 ? 0 : ($p - $q) * $p / $q }
    return $sf / $bf if $by eq 'percentage';
    my $super = $o{background_is_superset} // 1;
    if ($by eq 'gnd') {
        my ($fx, $fy, $all) = ($super ? $bf : $bf + $sf, $ss, $super ? $bs : $bs + $ss);
        return 1 if $fx == $fy && $fx == $sf;
        my ($a, $b) = map { log } $fx > $fy ? ($fx, $fy) : ($fy, $fx);
        return exp(-2 * ($a - log $sf) / (log($all) - $b));
    }
    my ($n11, $n01, $n10) = ($sf, $ss - $sf, $super ? $bf - $sf : $bf);
    my $n00 = $super ? $bs - $bf - ($ss - $sf) : $bs - $bf;
    my ($n0, $n1, $m0, $m1, $all) = ($n00 + $n01, $n10 + $n11, $n00 + $n10, $n01 + $n11, $super ? $bs : $bs + $ss);
    return -1 if !$o{include_negatives} && $n11 / $m1 < $n10 / $m0;
    return $all * ($n11 * $n00 - $n01 * $n10)**2 / ($m1 * $n1 * $n0 * $m0) if $by eq 'chi_square';
    return (mi($n00, $n0, $m0, $all) + mi($n01, $n0, $m1, $all) + mi($n10, $n1, $m0, $all) + mi($n11, $n1, $m1, $all)) / log 2;
}
# [key, documents, background, score] by key
sub expected {
    my ($field, $by, $in, $bg, $min, %o) = @_;
    my (%sf, %bf, $ss, $bs);
    for my $d (@docs) {
        my %v = map { $_ => 1 } ref $d->{$field} ? @{ $d->{$field} } : $d->{$field};
        if ($in->($d)) { $ss++; $sf{$_}++ for keys %v }
        if (!$bg || $bg->($d)) { $bs++; $bf{$_}++ for keys %v }
    }
    my @b = map { [$_, $sf{$_}, $bf{$_} || 0, score($by, $sf{$_}, $ss, $bf{$_} || 0, $bs, %o)] } grep { $sf{$_} >= $min } keys %sf;
    return ($ss, $bs, [sort { $b->[3] <=> $a->[3] || $a->[0] cmp $b->[0] } grep { $_->[3] > 0 } @b]);
}
sub same {
    my ($what, $got, $ss, $bs, $list) = @_;
    my $text = sub { join ' ', map { sprintf '%s:%d:%d:%.9g', @$_ } @_ };
    my $ok = is("$got->{doc_count} $got->{bg_count} " . $text->(map { [@$_{qw(key doc_count bg_count score)}] } @{ $got->{buckets} }), "$ss $bs " . $text->(@$list), $what);
    return $ok;
}
my $red = {query => {term => {class => 'red'}}};
my $is_red = sub { $_[0]{class} eq 'red' };
for my $case (['jlh'], ['percentage'], ['gnd'], ['mutual_information'], ['chi_square'], ['mutual_information', include_negatives => 1], ['chi_square', include_negatives => 1], ['gnd', background_is_superset => 0], ['mutual_information', background_is_superset => 0, include_negatives => 1]) {
    my ($by, %o) = @$case;
    my $got = search({%$red, aggs => {s => {significant_terms => {field => 'tags', %all, $by => {map { $_ => $o{$_} ? \1 : \0 } keys %o}}}}})->{json}{aggregations}{s};
    same("$by @{[%o]}", $got, expected('tags', $by, $is_red, undef, 3, %o));
}
same('jlh without a word', search({%$red, aggs => {s => {significant_terms => {field => 'tags', %all}}}})->{json}{aggregations}{s}, expected('tags', 'jlh', $is_red, undef, 3));
same('of numbers', search({%$red, aggs => {s => {significant_terms => {field => 'code', %all, min_doc_count => 1}}}})->{json}{aggregations}{s}, expected('code', 'jlh', $is_red, undef, 1));
same('of addresses', search({query => {term => {class => 'green'}}, aggs => {s => {significant_terms => {field => 'ip', %all, min_doc_count => 50}}}})->{json}{aggregations}{s}, expected('ip', 'jlh', sub { $_[0]{class} eq 'green' }, undef, 50));
same('with a background of its own', search({%$red, aggs => {s => {significant_terms => {field => 'tags', %all, background_filter => {range => {year => {gte => 2002}}}}}}})->{json}{aggregations}{s}, expected('tags', 'jlh', $is_red, sub { $_[0]{year} >= 2002 }, 3));
same('with few documents left out', search({%$red, aggs => {s => {significant_terms => {field => 'tags', %all, min_doc_count => 40}}}})->{json}{aggregations}{s}, expected('tags', 'jlh', $is_red, undef, 40));
my (undef, undef, $list) = expected('tags', 'jlh', $is_red, undef, 3);
is_deeply([map { $_->{key} } @{ search({%$red, aggs => {s => {significant_terms => {field => 'tags', %all, size => 2}}}})->{json}{aggregations}{s}{buckets} }], [map { $_->[0] } @$list[0 .. 1]], 'the best');
is_deeply([map { $_->{key} } @{ search({%$red, aggs => {s => {significant_terms => {field => 'tags', %all, include => 'only.*'}}}})->{json}{aggregations}{s}{buckets} }], ['only-red'], 'those of a pattern');
is_deeply([map { $_->{key} } @{ search({%$red, aggs => {s => {significant_terms => {field => 'tags', %all, exclude => ['only-red']}}}})->{json}{aggregations}{s}{buckets} }], [grep { $_ ne 'only-red' } map { $_->[0] } @$list], 'those but one');
my $r = search({aggs => {c => {terms => {field => 'class'}, aggs => {s => {significant_terms => {field => 'tags', %all}, aggs => {m => {max => {field => 'code'}}}}}}}})->{json}{aggregations}{c};
for my $bucket (@{ $r->{buckets} }) {
    same("below $bucket->{key}", $bucket->{s}, expected('tags', 'jlh', sub { $_[0]{class} eq $bucket->{key} }, undef, 3));
    for my $x (@{ $bucket->{s}{buckets} }) {
        my ($max) = sort { $b <=> $a } map { $_->{code} } grep { $_->{class} eq $bucket->{key} && grep { $_ eq $x->{key} } @{ $_->{tags} } } @docs;
        is($x->{m}{value}, $max, "... with a metric of $x->{key}");
    }
}
is_deeply(search({query => {term => {class => 'none'}}, aggs => {s => {significant_terms => {field => 'tags'}}}})->{json}{aggregations}{s}, {doc_count => 0, bg_count => 600, buckets => []}, 'of no documents nothing');
is_deeply(search({%$red, aggs => {s => {significant_terms => {field => 'nosuch'}}}})->{json}{aggregations}{s}{buckets}, [], 'of an unmapped field nothing');
is_deeply([sort keys %{ search({%$red, aggs => {a => {significant_terms => {field => 'tags'}}, b => {significant_terms => {field => 'code'}}, c => {significant_terms => {field => 'nosuch'}}}}, 's', 'typed_keys=true')->{json}{aggregations} }], ['siglterms#b', 'sigsterms#a', 'umsigterms#c'], 'typed keys');
for my $case (
    [{field => 'tags', jlp => {}}, qr/\[significant_terms\] unknown field \[jlp\] did you mean \[jlh\]\?/],
    [{field => 'tags', script_heuristic => {script => '1'}}, qr/\[script_heuristic\] of \[significant_terms\] is not supported by this version/],
    [{field => 'tags', jlh => {}, gnd => {}}, qr/more than one significance heuristic/],
    [{field => 'tags', gnd => {include_negatives => \1}}, qr/unknown field \[include_negatives\]/],
    [{field => 'd'}, qr/No support for examining floating point numerics/],
    [{field => 'tags', size => 0}, qr/\[size\] must be greater than 0/],
    [{field => 'ip', exclude => '10.*'}, qr/cannot support regular expression style include\/exclude settings/],
) {
    my $r = search({aggs => {s => {significant_terms => $case->[0]}}});
    is($r->{status}, 400, 'refused') or diag $r->{content};
    like($r->{content}, $case->[1], '... with the reason');
}
like(search({aggs => {s => {significant_text => {field => 'tags'}}}})->{content}, qr/\[significant_text\].* is not supported by this version|significant_text/, 'its sister is refused by name');
is($c->stop, 0, 'the nodes stop');
done_testing;
