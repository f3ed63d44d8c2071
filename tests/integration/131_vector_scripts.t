#!/usr/bin/perl
# 131_vector_scripts.t: scripts that measure vectors: each function against an oracle, vectorValue and magnitude, documents without
# a vector, fields that knn does not search, segments where some documents have one; what a script may do wrongly.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('vecscripts');
$node->start;
srand 23;
my $D = 20;
my %docs;

sub f32 { return unpack 'f<', pack 'f<', $_[0] }
sub dot { my ($x, $y) = @_; my $s = 0; $s += $x->[$_] * $y->[$_] for 0 .. $#$x; return $s }
sub l1 { my ($x, $y) = @_; my $s = 0; $s += abs($x->[$_] - $y->[$_]) for 0 .. $#$x; return $s }
sub l2 { my ($x, $y) = @_; my $s = 0; $s += ($x->[$_] - $y->[$_])**2 for 0 .. $#$x; return sqrt $s }
sub cosine { return dot(@_) / sqrt(dot($_[0], $_[0]) * dot($_[1], $_[1])) }
sub hamming { my ($x, $y) = @_; my $n = 0; $n += unpack '%32b*', pack 'C', ($x->[$_] ^ $y->[$_]) & 255 for 0 .. $#$x; return $n }
sub floats { return [ map { f32(rand(2) - 1) } 1 .. $D ] }
sub bytes { return [ map { int(rand 256) - 128 } 1 .. ($_[0] // $D) ] }
sub near { my ($x, $y) = @_; return abs($x - $y) <= 1e-5 * (1 + abs $y) }

$node->put('/v', { settings => { refresh_interval => -1, 'index.merge.reorder' => 'length' }, mappings => { properties => {
    f => { type => 'dense_vector', dims => $D }, k => { type => 'dense_vector', dims => $D, index => JSON::PP::false }, b => { type => 'dense_vector', dims => $D, element_type => 'byte' },
    bits => { type => 'dense_vector', dims => 40, element_type => 'bit' }, o => { type => 'knn_vector', dimension => $D }, n => { type => 'integer' }, t => { type => 'text' } } } });
for my $round (0 .. 2) {
    my $lines = '';
    for my $id (map { $round * 50 + $_ } 1 .. 50) {
        $docs{$id} = { n => $id, t => join(' ', ('word') x (1 + int rand 5)), (map { $_ => floats() } qw(f k o)), b => bytes(), bits => bytes(5) };
        delete $docs{$id}{f} if $id % 3 == 0;
        $lines .= qq({"index":{"_index":"v","_id":"$id"}}\n) . JSON::PP::encode_json($docs{$id}) . "\n";
    }
    is($node->post('/_bulk', $lines)->{json}{errors}, JSON::PP::false, 'a bulk');
    $node->post('/v/_refresh');
}

sub score {
    my ($source, $params, $query) = @_;
    return $node->post('/v/_search', { size => 200, query => { script_score => { query => $query // { match_all => {} }, script => { source => $source, params => $params } } } });
}
sub check {
    my ($name, $source, $params, $want, $query) = @_;
    my $r = score($source, $params, $query);
    my @hits = @{ $r->{json}{hits}{hits} // [] };
    my @wrong = grep { !near($_->{_score}, $want->($docs{ $_->{_id} })) } @hits;
    ok(@hits && !@wrong, $name) or diag substr($r->{content}, 0, 600);
}

my ($f, $b, $bits) = (floats(), bytes(), bytes(5));
sub all {
    my $when = shift;
    check("$when: cosineSimilarity", "doc['f'].size() == 0 ? 0 : cosineSimilarity(params.q, 'f') + 1.0", { q => $f }, sub { $_[0]{f} ? cosine($f, $_[0]{f}) + 1 : 0 });
    check("$when: dotProduct", "Math.max(0, dotProduct(params.q, 'k') + 20)", { q => $f }, sub { dot($f, $_[0]{k}) + 20 });
    check("$when: l1norm", "1 / (1 + l1norm(params.q, 'f'))", { q => $f }, sub { 1 / (1 + l1($f, $_[0]{f})) }, { exists => { field => 'f' } });
    check("$when: l2norm", "1 / (1 + l2norm(params.q, 'o'))", { q => $f }, sub { 1 / (1 + l2($f, $_[0]{o})) });
    check("$when: of bytes", "cosineSimilarity(params.q, 'b') + 1.0 + l2norm(params.q, 'b')", { q => $b }, sub { cosine($b, $_[0]{b}) + 1 + l2($b, $_[0]{b}) });
    check("$when: hamming", "hamming(params.q, 'b')", { q => $b }, sub { hamming($b, $_[0]{b}) });
    check("$when: of bits", "(40 - hamming(params.q, 'bits')) / 40.0", { q => $bits }, sub { (40 - hamming($bits, $_[0]{bits})) / 40 });
    check("$when: magnitude", "doc['f'].magnitude", {}, sub { sqrt dot($_[0]{f}, $_[0]{f}) }, { exists => { field => 'f' } });
    check("$when: vectorValue", "double s = 0; for (double x : doc['k'].vectorValue) { s += x * x } return s + doc['n'].value", {}, sub { dot($_[0]{k}, $_[0]{k}) + $_[0]{n} });
}
all('segments');
$node->post('/v/_delete_by_query?refresh=true', { query => { range => { n => { lte => 10 } } } });
delete @docs{ 1 .. 10 };
$node->post('/v/_forcemerge?max_num_segments=1');
$node->post('/v/_refresh');
all('merged in the order of lengths');

my $field = $node->post('/v/_search', { query => { ids => { values => ['20'] } }, script_fields => { v => { script => "doc['b'].vectorValue" } } })->{json}{hits}{hits}[0]{fields}{v};
is_deeply($field, $docs{20}{b}, 'script_fields');

for (
    [ "cosineSimilarity(params.q, 'f')", { q => [ 1, 2 ] }, qr/query vector has a different number of dimensions \[2\] than the document vectors \[20\]/, { exists => { field => 'f' } } ],
    [ "hamming(params.q, 'bits')", { q => [ 1, 2 ] }, qr/dimensions \[16\] than the document vectors \[40\]/ ],
    [ "cosineSimilarity(params.q, 'f')", { q => $f }, qr/doesn't have a value for a vector field/ ],
    [ "cosineSimilarity(params.q, 'n')", { q => $f }, qr/Field \[n\] of type \[integer\] has no vectors/ ],
    [ "cosineSimilarity(params.q, 'nope')", { q => $f }, qr/No field found for \[nope\]/ ],
    [ "cosineSimilarity(params.q, 'k')", { q => [ ('x') x $D ] }, qr/runtime error/ ],
    [ "cosineSimilarity(params.q, 'k')", {}, qr/runtime error/ ],
    [ "cosineSimilarity(params.q, 7)", { q => $f }, qr/script_exception/ ],
    [ "cosineSimilarity(params.q)", { q => $f }, qr/Unknown call \[cosineSimilarity\] with \[1\] arguments/ ],
    [ "dotProduct(params.q, 'bits')", { q => $bits }, qr/not supported for bit vectors/ ],
    [ "hamming(params.q, 'k')", { q => $f }, qr/only supported for byte or bit vectors/ ],
    [ "hamming(params.q, 'b')", { q => [ (0.5) x $D ] }, qr/whole numbers from -128 to 127/ ],
    [ "doc['k'].value", {}, qr/value through 'get' or 'value' is not supported, use 'vectorValue'/ ],
    [ "doc['n'].magnitude", {}, qr/has no vectors/ ],
    [ "cosineSimilarity(params.q, 'k')", { q => [ (0) x $D ] }, qr/invalid score \[NaN\]/ ],
    [ "doc['f'].magnitude", {}, qr/doesn't have a value for a vector field/ ],
) {
    my ($source, $params, $want, $query) = @$_;
    my $r = score($source, $params, $query);
    is($r->{status}, 400, "refused: $source");
    like($r->{content}, $want, '... with the reason') or diag substr $r->{content}, 0, 800;
}
$node->stop;
done_testing;
