#!/usr/bin/perl
# 092_analysis_parts.t: analyzers of languages, tokenizers and filters through HTTP: tokens of _analyze, searches that find
# other forms of a word, settings and names that are refused.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $n = QdNode->new('n1');
$n->start;

sub terms { my ($body) = @_; my $r = $n->post('/_analyze', $body); return $r->{json}{tokens} ? join(' ', map { $_->{token} } @{$r->{json}{tokens}}) : $r->{content} }
sub reason { my ($r) = @_; return $r->{json}{error}{reason} // $r->{content} }

subtest 'every language of the reference analyzes' => sub {
    my @languages = qw(arabic armenian basque bengali brazilian bulgarian catalan cjk czech danish dutch english finnish french galician german greek hindi
        hungarian indonesian irish italian latvian lithuanian norwegian persian portuguese romanian russian serbian sorani spanish swedish turkish);
    is($n->post('/_analyze', {analyzer => $_, text => 'a text 12'})->{status}, 200, $_) for @languages;
    is(terms({analyzer => 'french', text => "L'Avion des amies"}), 'avion amie', 'French: articles, stop words, stems');
    is(terms({analyzer => 'german', text => 'Die Häuser der Straße'}), 'haus strass', 'German');
    is(terms({analyzer => 'cjk', text => "\x{6771}\x{4eac}\x{90fd}"}), "\x{6771}\x{4eac} \x{4eac}\x{90fd}", 'CJK: pairs');
    is(terms({analyzer => 'fingerprint', text => 'b A b'}), 'a b', 'fingerprint');
};

subtest 'tokenizers' => sub {
    is(terms({tokenizer => 'path_hierarchy', text => '/a/b/c'}), '/a /a/b /a/b/c', 'path_hierarchy');
    is(terms({tokenizer => {type => 'path_hierarchy', reverse => \1, delimiter => '.'}, text => 'a.b'}), 'a.b b', 'its tails');
    is(terms({tokenizer => {type => 'char_group', tokenize_on_chars => ['whitespace', '-']}, text => 'a-b c'}), 'a b c', 'char_group');
    is(terms({tokenizer => 'classic', text => 'me@example.com at I.B.M.'}), 'me@example.com at I.B.M.', 'classic');
};

subtest 'filters' => sub {
    is(terms({tokenizer => 'standard', filter => ['shingle'], text => 'a b c'}), 'a a b b b c c', 'shingle');
    is(terms({tokenizer => 'whitespace', filter => ['word_delimiter_graph'], text => "PowerShot500 Neil's"}), 'Power Shot 500 Neil', 'word_delimiter_graph');
    is(terms({tokenizer => 'whitespace', filter => [{type => 'common_grams', common_words => ['the']}], text => 'the fox'}), 'the the_fox fox', 'common_grams');
    is(terms({tokenizer => 'whitespace', filter => [{type => 'stemmer_override', rules => ['ran, runs => run']}, 'porter_stem'], text => 'ran runs'}), 'run run', 'stemmer_override');
    my $r = $n->post('/_analyze', {tokenizer => 'standard', filter => [{type => 'snowball', language => 'English'}], text => 'foxes', explain => \1});
    ok(exists $r->{json}{detail}{tokenfilters}[0]{tokens}[0]{keyword}, 'explain has keyword behind a stemmer');
    ok(!exists $r->{json}{detail}{tokenizer}{tokens}[0]{keyword}, 'and not before');
};

subtest 'a search finds other forms of a word' => sub {
    is($n->put('/books', {settings => {number_of_replicas => 0, analysis => {analyzer => {de => {type => 'german', stem_exclusion => ['fest'], stopwords => '_none_'}}}},
        mappings => {properties => {t => {type => 'text', analyzer => 'de'}, f => {type => 'text', analyzer => 'french'}}}})->{status}, 200, 'the index');
    $n->put('/books/_doc/1?refresh=true', {t => 'die Häuser', f => "l'amitié des animaux"});
    my $hits = sub { $n->post('/books/_search', {query => {match => {$_[0] => $_[1]}}})->{json}{hits}{total}{value} };
    is($hits->(t => 'haus'), 1, 'German');
    is($hits->(t => 'die'), 1, 'no stop words');
    is($hits->(f => 'animal'), 1, 'French');
};

subtest 'what is refused names itself' => sub {
    my %cases = (
        kuromoji_tokenizer => [tokenizer => qr/tokenizer \[kuromoji_tokenizer\] is not supported by this version: use the tokenizer \[mecab_tokenizer\]/],
        condition => [filter => qr/filter \[condition\] is not supported by this version: scripts/],
        hunspell => [filter => qr/filter \[hunspell\] is not supported/],
    );
    for my $type (sort keys %cases) {
        my ($kind, $wanted) = @{$cases{$type}};
        my $r = $n->post('/_analyze', {$kind eq 'tokenizer' ? (tokenizer => {type => $type}) : (tokenizer => 'standard', filter => [{type => $type}]), text => 'a'});
        is($r->{status}, 400, $type);
        like(reason($r), $wanted, 'says why');
    }
    my $r = $n->put('/no', {settings => {analysis => {filter => {s => {type => 'shingle', max_shingle_size => 6}}}}});
    like(reason($r), qr/must be less than or equal to: \[3\] but was \[5\]/, 'index.max_shingle_diff holds');
    like(reason($n->post('/_analyze', {tokenizer => 'standard', filter => [{type => 'stemmer', language => 'light_english'}], text => 'a'})), qr/stemmer \[light_english\].*is not supported/, 'a stemmer that we have not');
};

subtest 'a hostile text ends soon' => sub {
    my $r = $n->post('/_analyze', {tokenizer => 'classic', text => 'a_' x 200_000});
    ok($r->{status} == 200 || $r->{status} == 400 || $r->{status} == 500, 'addresses that never come: ' . $r->{status});
    $r = $n->post('/_analyze', {tokenizer => 'path_hierarchy', filter => ['reverse'], text => '/a' x 50_000});
    is($r->{status}, 400, 'a path of 50,000 folders, each turned around, is too much') or diag substr $r->{content}, 0, 300;
};

$n->stop;
done_testing();
