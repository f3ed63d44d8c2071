#!/usr/bin/perl
# 101_analysis_filters.t: filters that choose, join and part tokens, through HTTP: what they make of a text, what they refuse,
# and that hostile settings and texts end soon.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $n = QdNode->new('n1', settings => {'plugins.allow' => '+analysis-phonetic,+analysis-icu'});
$n->start;

sub analyze { my (%body) = @_; return $n->post('/_analyze', {tokenizer => 'whitespace', %body}) }
sub terms { my $r = analyze(@_); return $r->{json}{tokens} ? join(' ', map { $_->{token} } @{$r->{json}{tokens}}) : $r->{content} }
sub places { my $r = analyze(@_); return join(' ', map { "$_->{token}:$_->{position}" . ($_->{positionLength} ? "+$_->{positionLength}" : '') } @{$r->{json}{tokens}}) }
sub reason { my ($r) = @_; return $r->{json}{error}{reason} // $r->{content} }

subtest 'filters that choose' => sub {
    is(places(filter => [{type => 'keep', keep_words => ['foo', 'baz']}], text => 'foo bar baz'), 'foo:0 baz:2', 'keep leaves holes');
    is(terms(filter => [{type => 'keep', keep_words => ['Foo'], keep_words_case => \1}], text => 'fOO bar'), 'fOO', 'keep_words_case');
    is(terms(tokenizer => 'standard', filter => [{type => 'keep_types', types => ['<NUM>']}], text => 'a 1 b'), '1', 'keep_types');
    is(terms(tokenizer => 'standard', filter => [{type => 'keep_types', types => ['<NUM>'], mode => 'exclude'}], text => 'a 1 b'), 'a b', 'but those');
    is(terms(filter => [{type => 'keyword_marker', keywords_pattern => 'run.*'}, 'porter_stem'], text => 'running jumping'), 'running jump', 'keywords_pattern');
};

subtest 'filters that part' => sub {
    is(places(filter => [{type => 'pattern_capture', patterns => ['(\\w+)', '(\\p{L}+)']}], text => 'ab1@x'), 'ab1@x:0 ab:0 ab1:0 x:0 x:0', 'pattern_capture: by place');
    is(places(filter => [{type => 'pattern_capture', preserve_original => \0, patterns => ['([^@]+)']}], text => 'foo@bar.baz z'), 'foo:0 bar.baz:0 z:1', 'without the original');
    is(terms(filter => [{type => 'dictionary_decompounder', word_list => ['donau', 'dampf', 'schiff', 'dampfschiff']}], text => 'donaudampfschiff'),
        'donaudampfschiff donau dampf dampfschiff schiff', 'dictionary_decompounder');
    is(terms(filter => [{type => 'dictionary_decompounder', only_longest_match => \1, word_list => ['dampf', 'schiff', 'dampfschiff']}], text => 'dampfschiff'),
        'dampfschiff dampfschiff schiff', 'only_longest_match');
    is(terms(filter => [{type => 'delimited_payload', encoding => 'int'}], text => 'the|1 fox|2'), 'the fox', 'delimited_payload');
    like(reason(analyze(filter => [{type => 'delimited_payload'}], text => 'the|x')), qr/For input string: "x"/, 'a payload that is no number');
};

subtest 'multiplexer' => sub {
    is(places(filter => [{type => 'multiplexer', filters => ['lowercase', 'lowercase, porter_stem', 'uppercase']}], text => 'FOXES'), 'FOXES:0 foxes:0 fox:0', 'each term once');
    is(places(filter => [{type => 'multiplexer', preserve_original => \0, filters => ['stop']}], text => 'the fox'), 'fox:1', 'a hole where all drop the token');
    $n->put('/mux', {settings => {number_of_replicas => 0, analysis => {filter => {m => {type => 'multiplexer', filters => ['z']}, z => {type => 'truncate', length => 2}},
        analyzer => {x => {tokenizer => 'whitespace', filter => ['m']}}}}, mappings => {properties => {t => {type => 'text', analyzer => 'x'}}}});
    $n->put('/mux/_doc/1?refresh=true', {t => 'foxes'});
    is($n->post('/mux/_search', {query => {term => {t => $_}}})->{json}{hits}{total}{value}, 1, "a search for $_") for qw(foxes fo);
    like(reason(analyze(filter => [{type => 'multiplexer', filters => ['nothing']}], text => 'a')), qr/failed to find token filter under name \[nothing\]/, 'a filter that is not there');
};

subtest 'flatten_graph and min_hash' => sub {
    is(places(filter => [{type => 'synonym_graph', synonyms => ['automatic teller machine,atm,cash point']}, 'flatten_graph'], text => 'this automatic teller machine is down'),
        'this:0 atm:1+3 cash:1 automatic:1 point:2+2 teller:2 machine:3 is:4 down:5', 'no path has two tokens on one position');
    is(places(filter => ['stop', 'flatten_graph'], text => 'a fox the den'), 'fox:1 den:3', 'no graph, no change');
    my $one = terms(filter => ['min_hash'], text => 'a b c');
    is(scalar(split ' ', $one), 512, 'min_hash: a signature');
    is(terms(filter => ['min_hash'], text => 'c b a'), $one, 'of the set');
    isnt(terms(filter => ['min_hash'], text => 'c b d'), $one, 'another one of another set');
    is(terms(filter => [{type => 'min_hash', bucket_count => 4, with_rotation => \0}], text => ''), '', 'of no text');
    like(reason(analyze(filter => [{type => 'min_hash', hash_count => 1000, bucket_count => 1000}], text => 'a')), qr/more than 65536 tokens/, 'not without end');
};

subtest 'names that are refused say what to use' => sub {
    for my $case ([filter => 'hyphenation_decompounder', qr/use the filter \[dictionary_decompounder\]/], [filter => 'predicate_token_filter', qr/scripts do not take part/],
        [filter => 'delimited_payload_filter', qr/^\[delimited_payload_filter\] is not supported for new indices, use \[delimited_payload\]/],
        [analyzer => 'kuromoji', qr/analyzer \[kuromoji\] is not supported by this version: use the tokenizer \[mecab_tokenizer\]/],
        [analyzer => 'nori', qr/analyzer \[nori\] is not supported/], [analyzer => 'smartcn', qr/analyzer \[smartcn\] is not supported/]) {
        my ($kind, $name, $wanted) = @$case;
        my $r = $kind eq 'analyzer' ? $n->post('/_analyze', {analyzer => $name, text => 'a'}) : analyze(filter => [{type => $name}], text => 'a');
        is($r->{status}, 400, $name);
        like(reason($r), $wanted, 'and why');
    }
    like(reason($n->put('/no', {mappings => {properties => {t => {type => 'text', analyzer => 'nori'}}}})), qr/analyzer \[nori\] is not supported by this version/, 'a mapping');
};

subtest 'phonetic, of the plugin analysis-phonetic' => sub {
    my %wanted = (metaphone => 'thumb 0M knight NT metaphone MTFN which WX bloggs BLKS school SKL', soundex => 'Robert R163 Rupert R163 Tymczak T522 Pfister P236 Ashcraft A261',
        refined_soundex => 'testing T6036084 jumped J408106 dogs D6043 over O0209', cologne => 'Müller-Lüdenscheidt 65752682 Breschnew 17863 Wikipedia 3412',
        caverphone1 => 'David TFT111 Whittle WTL111', caverphone2 => 'Peter PTA1111111 Stevenson STFNSN1111 Whittle WTA1111111 able APA1111111',
        nysiis => 'KNUTH NAT MACINTOSH MCANT KOEHN CAN PHILLIPSON FALAPS MCKEE MCY BART BAD SCHMIDT SNAD');
    for my $encoder (sort keys %wanted) {
        my %code = split ' ', $wanted{$encoder};
        is(terms(filter => [{type => 'phonetic', encoder => $encoder}], text => $_), $code{$_}, "$encoder: $_") for sort keys %code;
    }
    is(places(filter => ['lowercase', {type => 'phonetic', encoder => 'metaphone', replace => \0}], text => 'Joe Bloggs'), 'J:0 joe:0 BLKS:1 bloggs:1', 'replace: false');
    is(terms(filter => [{type => 'phonetic', max_code_len => 8}], text => 'representation'), 'RPRSNTXN', 'max_code_len');
    is(terms(filter => [{type => 'phonetic'}], text => "\x{43c}\x{438}\x{440} 12 \x{1F600}"), "\x{43c}\x{438}\x{440} 12 \x{1F600}", 'other letters stay');
    is(length terms(tokenizer => 'keyword', filter => [{type => 'phonetic', encoder => 'caverphone2'}], text => 'aeiouxghwr' x 100), 1000, 'a term that is no word stays');
    for my $encoder (qw(double_metaphone beider_morse daitch_mokotoff koelnerphonetik haasephonetik)) {
        like(reason(analyze(filter => [{type => 'phonetic', encoder => $encoder}], text => 'a')), qr/encoder \[$encoder\] .* is not supported by this version/, $encoder);
    }
    like(reason(analyze(filter => [{type => 'phonetic', encoder => 'x'}], text => 'a')), qr/unknown encoder \[x\] for phonetic token filter/, 'no encoder');
    like(reason(analyze(filter => [{type => 'phonetic', encoder => 'soundex', max_code_len => 4}], text => 'a')), qr/max_code_len is an option of the encoder/, 'nothing without effect');
};

subtest 'icu, of the plugin analysis-icu' => sub {
    is(terms(filter => ['icu_normalizer'], text => "\x{fb01}sh STRA\x{df}E"), 'fish strasse', 'icu_normalizer: nfkc_cf');
    is(terms(filter => [{type => 'icu_normalizer', name => 'nfc'}], text => "e\x{301}A"), "\x{e9}A", 'nfc');
    is(terms(filter => ['icu_folding'], text => "B\x{e2}ton \x{d8}re \x{141}\x{f3}d\x{17a} R\x{c9}SUM\x{c9}"), 'baton ore lodz resume', 'icu_folding');
    is(terms(filter => [{type => 'icu_transform', id => 'Any-Latin; NFD; [:Nonspacing Mark:] Remove; NFC'}], text => "\x{41c}\x{43e}\x{441}\x{43a}\x{432}\x{430}"), 'Moskva', 'icu_transform');
    is(terms(tokenizer => 'icu_tokenizer', text => "\x{e2a}\x{e27}\x{e31}\x{e2a}\x{e14}\x{e35}\x{e0a}\x{e32}\x{e27}\x{e42}\x{e25}\x{e01} U.S.A 3.5"),
        "\x{e2a}\x{e27}\x{e31}\x{e2a}\x{e14}\x{e35} \x{e0a}\x{e32}\x{e27} \x{e42}\x{e25}\x{e01} U.S.A 3.5", 'icu_tokenizer: Thai by its words');
    my $r = analyze(tokenizer => 'icu_tokenizer', text => "\x{1F600} caf\x{e9} 12");
    is_deeply([map { "$_->{token}:$_->{start_offset}-$_->{end_offset}:$_->{type}" } @{$r->{json}{tokens}}[-2, -1]], ["caf\x{e9}:3-7:<ALPHANUM>", '12:8-10:<NUM>'], 'offsets in UTF-16 units, types');
    like(reason(analyze(filter => [{type => 'icu_transform', id => 'Nothing-Such'}], text => 'a')), qr/no transliterator \[Nothing-Such\]/, 'an id that ICU has not');
    like(reason(analyze(filter => [{type => 'icu_folding', unicode_set_filter => '[a]'}], text => 'a')), qr/option \[unicode_set_filter\] is not supported/, 'an option that is not there');
    like(reason(analyze(filter => [{type => 'icu_collation'}], text => 'a')), qr/\[icu_collation\] is not supported/, 'icu_collation');
};

subtest 'hostile texts end soon' => sub {
    my $words = [map { 'a' x $_ } 1 .. 30];
    for my $filter ({type => 'pattern_capture', patterns => ['((a*)*)b', '(a)', '(aa)', '(a+)']}, {type => 'dictionary_decompounder', max_subword_size => 2000000000, word_list => $words},
        {type => 'multiplexer', filters => [('lowercase,reverse') x 8]},
        {type => 'icu_transform', id => 'Any-Latin'}, {type => 'icu_folding'}) {
        my $r = analyze(tokenizer => 'keyword', filter => [$filter], text => 'a' x 100_000);
        ok($r->{status} == 200 || $r->{status} == 400 || reason($r) =~ /number of tokens produced/, "$filter->{type}: $r->{status}") or diag reason($r);
    }
    my $r = analyze(filter => [{type => 'multiplexer', filters => ['lowercase', 'uppercase']}], text => 'Ab ' x 3000);
    is($r->{status}, 200, 'many tokens through a multiplexer') or diag substr $r->{content}, 0, 300;
};

$n->stop;
done_testing();
