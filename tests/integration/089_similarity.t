#!/usr/bin/perl
# 089_similarity.t: index.similarity and the parameter similarity: what they score and explain, what is
# refused, and when they may change. tests/peers/lucene-search compares the scores with Lucene's.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('similarity');
$node->start;
sub log2 { log($_[0]) / log 2 }
sub near { my ($got, $want, $name) = @_; ok(abs($got - $want) <= 1e-5 * abs $want, $name) or diag "$got, not $want" }

my %similarity = (
    default => { type => 'LMDirichlet', mu => 100 }, bm => { type => 'BM25', k1 => 0.5, b => 0 }, flat => { type => 'boolean' },
    dfr => { type => 'DFR', basic_model => 'in', after_effect => 'l', normalization => 'h2', 'normalization.h2.c' => '3.0' },
    ib => { type => 'IB', distribution => 'll', lambda => 'df', normalization => 'no' }, dfi => { type => 'DFI', independence_measure => 'saturated' },
    jm => { type => 'LMJelinekMercer', lambda => 0.7 }, long => { type => 'BM25', discount_overlaps => 'false' },
);
my %fields = map { ($_ => { type => 'text', analyzer => 'same', similarity => $_ }) } grep { $_ ne 'default' } keys %similarity;
my $created = $node->put('/s', {
    settings => { number_of_shards => 1, similarity => \%similarity, analysis => {
        filter => { same => { type => 'synonym', synonyms => ['quick, fast'] } },
        analyzer => { same => { type => 'custom', tokenizer => 'whitespace', filter => ['same'] } } } },
    mappings => { properties => { all => { type => 'text', analyzer => 'same', copy_to => [ sort keys %fields, 'plain' ] }, %fields,
        plain => { type => 'text', analyzer => 'same', similarity => 'BM25', index_phrases => JSON::PP::true }, k => { type => 'keyword', similarity => 'boolean' } } } });
is($created->{status}, 200, 'similarities of every type are taken') or diag $created->{content};
my @texts = ('a b a c', 'b c d', 'a', 'c c c d d e f g', 'quick a b');
my $bulk = join '', map { qq({"index":{"_index":"s","_id":"$_"}}\n{"all":"$texts[$_]","k":"x$_"}\n) } 0 .. $#texts;
is($node->post('/_bulk?refresh=true', $bulk)->{json}{errors}, JSON::PP::false, 'documents are written');

sub scores {
    my ($query) = @_;
    my $r = $node->post('/s/_search', { query => $query, explain => JSON::PP::true });
    my %by = map { ($_->{_id} => $_) } @{ $r->{json}{hits}{hits} };
    return \%by;
}

# "a": 3 documents of 5, 4 times; fields have 4, 3, 1, 8 and 3 words (fast stands beside quick), 19 of 20 in all.
subtest 'each similarity scores by its formula' => sub {
    my $of = sub { scores({ term => { $_[0] => 'a' } })->{0}{_score} };
    near($of->('all'), log(1 + 2 / (100 * 5 / 21)) + log(100 / 104), 'the default one, of fields that name none');
    my $idf = log(1 + 2.5 / 3.5);
    near($of->('plain'), 2.2 * $idf * 2 / (2 + 1.2 * (0.25 + 0.75 * 4 / 4)), 'BM25 by name, beside another default');
    near($of->('bm'), 1.5 * $idf * 2 / 2.5, 'BM25 with parameters of its own');
    near($of->('flat'), 1, 'boolean');
    my $tfn = 2 * log2(1 + 3 * 4 / 4);
    near($of->('dfr'), log2(6 / 3.5) * $tfn / (1 + $tfn), 'DFR');
    near($of->('ib'), -log((4 / 6) / (2 + 4 / 6)), 'IB');
    my $expected = 5 * 4 / 21;
    near($of->('dfi'), log2((2 - $expected) / $expected + 1), 'DFI');
    near($of->('jm'), log(1 + (0.3 * 2 / 4) / (0.7 * 5 / 21)), 'LMJelinekMercer');
    is(scores({ term => { k => 'x1' } })->{1}{_score}, 1, 'boolean, of a keyword');
};

subtest 'phrases, synonyms, boosts and combinations' => sub {
    my $r = scores({ match_phrase => { dfr => 'a b' } });
    my ($a, $b) = map { my $t = log2(1 + 3 * 4 / 4); log2(6 / ($_ + 0.5)) * $t / (1 + $t) } 3, 3;
    near($r->{0}{_score}, $a + $b, 'a phrase is the sum of its words');
    is(scores({ match_phrase => { flat => 'a b' } })->{0}{_score}, 1, 'boolean scores a phrase once');
    is(scores({ match => { flat => { query => 'quick', boost => 3 } } })->{4}{_score}, 3, 'synonyms at one place score once');
    near(scores({ bool => { should => [ { term => { flat => 'a' } }, { term => { ib => 'a' } } ] } })->{0}{_score}, 1 - log((4 / 6) / (2 + 4 / 6)), 'a sum of clauses');
    my $pairs = scores({ match_phrase => { plain => 'b c' } });
    ok($pairs->{1}{_score} > 0, 'pairs of words score as their field');
};

subtest 'overlaps count where discount_overlaps is false' => sub {
    my ($plain, $long) = map { scores({ term => { $_ => 'quick' } })->{4}{_score} } qw(plain long);
    near($plain, 2.2 * log(1 + 4.5 / 1.5) / (1 + 1.2 * (0.25 + 0.75 * 3 / 4)), 'they are left out') ;
    ok($long < $plain, 'the document is longer with them');
};

subtest 'explanations name the similarity and its numbers' => sub {
    my %name = (dfr => 'DFRSimilarity', ib => 'IBSimilarity', dfi => 'DFISimilarity', jm => 'LMJelinekMercerSimilarity', all => 'LMDirichletSimilarity', flat => 'BooleanSimilarity');
    for my $f (sort keys %name) {
        my $hit = scores({ term => { $f => 'a' } })->{0};
        my ($e) = @{ $hit->{_explanation}{details} };
        like($e->{description}, qr/^score\($name{$f}, freq=2\.0\)/, "$f: what scores");
        near($e->{value}, $hit->{_score}, "$f: the value is the score");
        next if $f eq 'flat';
        my %of = map { ($_->{description} =~ /^(\w+)/ ? $1 : '', $_->{value}) } @{ $e->{details} };
        is_deeply([ @of{qw(n N F T dl)} ], [ 3, 5, 4, 20, 4 ], "$f: statistics");
    }
    my $phrase = scores({ match_phrase => { ib => 'a b' } })->{0};
    is(scalar @{ $phrase->{_explanation}{details} }, 2, 'a phrase: a part a word');
    my $api = $node->post('/s/_explain/0', { query => { term => { dfi => 'a' } } })->{json};
    like($api->{explanation}{details}[0]{description}, qr/^score\(DFISimilarity/, '_explain');
};

sub refused {
    my ($definition, $why, $name, $field) = @_;
    my $r = $node->put('/bad', { settings => { similarity => $definition }, mappings => { properties => { f => { type => 'text', %{ $field // {} } } } } });
    is($r->{status}, 400, $name);
    like($r->{json}{error}{reason}, $why, 'in words');
}
subtest 'what is refused' => sub {
    refused({ x => { k1 => 1 } }, qr/^Similarity \[x\] must have an associated type$/, 'no type');
    refused({ x => { type => 'nope' } }, qr/^Unknown Similarity type \[nope\] for \[x\]$/, 'an unknown type');
    refused({ BM25 => { type => 'BM25' } }, qr/^Cannot redefine built-in Similarity \[BM25\]$/, 'a built-in name');
    refused({ x => { type => 'scripted' } }, qr/^similarity \[x\] of type \[scripted\] is not supported by this version/, 'scripted');
    refused({ x => { type => 'BM25', k3 => 1 } }, qr/^Unknown settings for similarity of type \[BM25\]: \[k3\]$/, 'an unknown parameter');
    refused({ x => { type => 'BM25', b => 2 } }, qr/^illegal b value: 2\.0, must be between 0 and 1$/, 'a value out of range');
    refused({ x => { type => 'BM25', k1 => 'x' } }, qr/^Failed to parse float setting \[k1\] with value \[x\]$/, 'no number');
    refused({ x => { type => 'DFR', basic_model => 'be' } }, qr/^Basic model \[be\] isn't supported anymore/, 'a model of old');
    refused({ x => { type => 'DFR', basic_model => 'g', after_effect => 'no' } }, qr/^After effect \[no\] isn't supported anymore/, 'an effect of old');
    refused({ x => { type => 'DFI' } }, qr/^Unsupported IndependenceMeasure \[null\], expected one of \[/, 'a choice that is missing');
    refused({ x => { type => 'LMJelinekMercer', lambda => 0 } }, qr/^lambda must be in the range \(0 \.\. 1\]$/, 'lambda');
    refused({}, qr/Unknown Similarity type \[nope\] for field \[f\]/, 'a field that names none', { similarity => 'nope' });
    is($node->put('/s/_mapping', { properties => { bm => { type => 'text', analyzer => 'same', similarity => 'flat' } } })->{status}, 400, 'a field does not change its similarity');
};

subtest 'definitions change while the index is closed' => sub {
    my $change = { 'index.similarity.jm.lambda' => 0.2 };
    is($node->put('/s/_settings', $change)->{status}, 400, 'not while it is open');
    $node->post('/s/_close', '');
    is($node->put('/s/_settings', $change)->{status}, 200, 'closed');
    is($node->put('/s/_settings', { 'index.similarity.jm.lambda' => 7 })->{status}, 400, 'a wrong one is refused then, too');
    $node->post('/s/_open', '');
    $node->get('/_cluster/health/s?wait_for_status=yellow');
    near(scores({ term => { jm => 'a' } })->{0}{_score}, log(1 + (0.8 * 2 / 4) / (0.2 * 5 / 21)), 'scores follow');
};

subtest 'a restart keeps them' => sub {
    $node->stop;
    $node->start;
    $node->get('/_cluster/health/s?wait_for_status=yellow');
    is(scores({ term => { flat => 'a' } })->{0}{_score}, 1, 'boolean');
    is($node->get('/s/_mapping')->{json}{s}{mappings}{properties}{dfr}{similarity}, 'dfr', 'the mapping shows the name');
};
$node->stop;
done_testing();
