#!/usr/bin/perl
# 216_index_phrases.t: text fields with pairs of words: which documents phrases match (against the same
# field without pairs, and against a look at the texts), what they score, and what is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $seed = $ENV{QD_SEED} // time;
srand($seed);
diag("seed $seed") if $ENV{QD_SEED};
my $node = QdNode->new('pairs');
$node->start;
my $json = JSON::PP->new->utf8->canonical;
my ($yes, $no) = (JSON::PP::true, JSON::PP::false);

# Each text is indexed plain and with pairs, by an analyzer without and by one with stop words.
$node->put('/t', {
    settings => { number_of_shards => 1, 'index.merge.policy.segments_per_tier' => 30, analysis => {
        filter => { same => { type => 'synonym', synonyms => ['b, c'] }, wide => { type => 'synonym_graph', synonyms => ['ny, a d'] } },
        analyzer => {
            stops => { type => 'stop', stopwords => ['x'] },
            same => { type => 'custom', tokenizer => 'whitespace', filter => ['same'] },
            wide => { type => 'custom', tokenizer => 'whitespace', filter => ['wide'] },
        } } },
    mappings => { properties => { t => { type => 'text', analyzer => 'whitespace', fields => {
        p => { type => 'text', analyzer => 'whitespace', index_phrases => $yes },
        z => { type => 'text', analyzer => 'whitespace', index_phrases => $yes, norms => $no },
        s => { type => 'text', analyzer => 'stops' },
        sp => { type => 'text', analyzer => 'stops', index_phrases => $yes },
        o => { type => 'text', analyzer => 'whitespace', index_phrases => $yes, index_options => 'offsets' },
        y => { type => 'text', analyzer => 'same', search_analyzer => 'whitespace' },
        yp => { type => 'text', analyzer => 'same', search_analyzer => 'whitespace', index_phrases => $yes },
    } } } } });

my @letters = qw(a a a b b c d x x);
sub words { map { $letters[rand @letters] } 1 .. $_[0] }
my (@texts, %gone);
sub write_docs {
    my $bulk = '';
    for (1 .. $_[0]) {
        my @values = map { join ' ', words(int rand 9) } 0 .. int rand 3;
        push @texts, \@values;
        $bulk .= qq({"index":{"_index":"t","_id":"$#texts"}}\n) . $json->encode({ t => \@values }) . "\n";
    }
    is($node->post('/_bulk?refresh=true', $bulk)->{json}{errors}, $no, 'documents are written');
}

# frequency of a phrase in a text by looking; words that stop leave holes
sub occurrences {
    my ($values, @q) = @_;
    my $n = 0;
    for (@$values) {
        my @w = split / /;
        for my $i (0 .. $#w - $#q) { $n++ unless grep { $w[$i + $_] ne $q[$_] } 0 .. $#q }
    }
    return $n;
}
sub hits {
    my ($query) = @_;
    my $r = $node->post('/t/_search', { size => 1000, query => $query });
    return ($r->{json}{hits}{hits}, $r);
}
sub ids { join ' ', sort { $a <=> $b } map { $_->{_id} } @{ (hits($_[0]))[0] // [] } }
sub phrase { my ($field, @w) = @_; return { match_phrase => { $field => "@w" } } }
sub same_documents {
    my ($rounds) = @_;
    my (@bad, $found);
    for (1 .. $rounds) {
        my @w = words(2 + int rand 4);
        my $want = join ' ', grep { !$gone{$_} && occurrences($texts[$_], @w) } 0 .. $#texts;
        $found++ if length $want;
        for my $f (qw(t t.p t.z t.o)) { push @bad, "$f: @w" if ids(phrase($f, @w)) ne $want }
        push @bad, "query_string: @w" if ids({ query_string => { query => qq("@w"), fields => ['t.p'] } }) ne $want;
        push @bad, "simple: @w" if ids({ simple_query_string => { query => qq("@w"), fields => ['t.p'] } }) ne $want;
        push @bad, "multi: @w" if ids({ multi_match => { query => "@w", fields => ['t.p', 't.z'], type => 'phrase' } }) ne $want;
        my $more = { match_phrase => { 't.p' => { query => "@w", slop => 2 } } };
        push @bad, "slop: @w" if ids($more) ne ids({ match_phrase => { t => { query => "@w", slop => 2 } } });
        push @bad, "prefix: @w" if ids({ match_phrase_prefix => { 't.p' => "@w" } }) ne ids({ match_phrase_prefix => { t => "@w" } });
        my $and = { bool => { must => [phrase('t.p', @w)], filter => [phrase('t.z', @w[0, 1])], must_not => [{ match => { t => 'd' } }] } };
        push @bad, "bool: @w" if ids($and) ne ids({ bool => { must => [phrase('t', @w)], must_not => [{ match => { t => 'd' } }] } });
        push @bad, "stacked: @w" if ids(phrase('t.y', @w)) ne ids(phrase('t.yp', @w));
        push @bad, "synonyms: @w" if ids({ match_phrase => { 't.p' => { query => "@w", analyzer => 'same' } } })
            ne ids({ match_phrase => { t => { query => "@w", analyzer => 'same' } } });
        pop @w while @w && $w[-1] eq 'x'; # behind the last word a hole is asked for, below
        push @bad, "stops: @w" if ids(phrase('t.s', @w)) ne ids(phrase('t.sp', @w));
    }
    is_deeply(\@bad, [], "phrases match the same documents (seed $seed)");
    cmp_ok($found, q(>), 2, "of which there are some");
}

write_docs(60) for 1 .. 3;
same_documents(40);

# One pair is a term of the hidden field, more are a phrase of terms: BM25 with that field's statistics.
sub expected {
    my ($values, @w) = @_;
    my ($docs, $sum, $len, $tf) = (0, 0, 0, occurrences($values, @w));
    my $pairs = sub { my $n = 0; for (@{ $_[0] }) { my @x = split / /; $n += @x - 1 if @x } $n };
    for (@texts) { my $n = $pairs->($_); $docs++ if $n; $sum += $n }
    my $idf = 0;
    for my $i (0 .. $#w - 1) {
        my $df = grep { occurrences($_, @w[$i, $i + 1]) } @texts;
        $idf += log(1 + ($docs - $df + 0.5) / ($df + 0.5));
    }
    my $norm = 1.2 * (0.25 + 0.75 * $pairs->($values) / ($sum / $docs));
    return 2.2 * $idf * $tf / ($tf + $norm);
}
my @off;
for (1 .. 30) {
    my @w = words(2 + int rand 3);
    my ($hits) = hits(phrase('t.p', @w));
    for (@$hits) {
        my $want = expected($texts[$_->{_id}], @w);
        push @off, "@w: $_->{_score} for $want" if abs($_->{_score} - $want) > 1e-5 * $want;
    }
}
is_deeply(\@off, [], "scores are of the pairs (seed $seed)");

for (0 .. $#texts) {
    next if rand() > 0.2;
    $gone{$_} = 1;
    $node->delete("/t/_doc/$_");
}
$node->post('/t/_refresh');
same_documents(20);
$node->post('/t/_forcemerge?max_num_segments=1');
$node->post('/t/_refresh');
same_documents(20);

subtest 'what is asked' => sub {
    my $text = sub {
        my ($q) = @_;
        return $node->post('/t/_validate/query?explain=true', { query => $q })->{json}{explanations}[0]{explanation};
    };
    is($text->(phrase('t.p', qw(a b))), 't.p._index_phrase:a b');
    is($text->(phrase('t.p', qw(a b c))), 't.p._index_phrase:"a b b c"');
    is($text->(phrase('t.p', 'a')), 't.p:a', 'one word is a word');
    is($text->({ match_phrase => { 't.p' => { query => 'a b', slop => 1 } } }), 't.p:"a b"~1', 'not with slop');
    is($text->({ match_phrase_prefix => { 't.p' => 'a b c' } }), 't.p:"a b c*"', 'nor for prefixes');
    is($text->({ match => { 't.p' => 'a b' } }), 't.p:a t.p:b', 'nor for words');
    is($text->(phrase('t.sp', qw(a x b))), 't.sp:"a ? b"', 'nor with holes');
    is($text->(phrase('t.sp', qw(x a b))), 't.sp:"a b"', 'even before the first word');
    is($text->(phrase('t.sp', qw(a b x))), 't.sp._index_phrase:"a b b _"', 'but behind the last one');
    is($text->({ match_phrase => { 't.p' => { query => 'a b', analyzer => 'same' } } }),
        '(t.p._index_phrase:a b t.p._index_phrase:a c)', 'stacked words');
    is($text->({ match_phrase => { 't.p' => { query => 'ny b', analyzer => 'wide' } } }), 't.p:"a d b" t.p:"ny b"', 'not in graphs');
    is($text->({ multi_match => { query => 'a b', fields => ['t', 't.p'], type => 'cross_fields' } }) =~ /_index_phrase/ ? 1 : 0, 0);
    is(ids({ match => { 't.p._index_phrase' => 'a b' } }), '', 'the hidden field is no field of the mapping');
    is(ids({ exists => { field => 't.p._index_phrase' } }), '');
};

subtest 'explain, highlighting, field capabilities' => sub {
    $node->put('/t/_doc/h?refresh=true', { t => ['q r', 'q r s u', 'r s'] });
    my $e = $node->post('/t/_explain/h', { query => phrase('t.p', qw(q r s)) })->{json};
    ok($e->{matched});
    like($json->encode($e), qr/t\.p\._index_phrase:/, 'the pairs are named');
    my $r = $node->post('/t/_search', { query => phrase('t.p', qw(q r s)), highlight => { fields => { 't.p' => {} } } });
    is_deeply($r->{json}{hits}{hits}[0]{highlight}{'t.p'}, ['<em>q r s</em> u'], 'the words are highlighted')
        or diag($json->encode($r->{json}));
    my $caps = $node->get('/t/_field_caps?fields=*')->{json}{fields};
    is_deeply([ grep { /_index/ } grep { !/^_index$/ } keys %$caps ], []);
    $r = $node->post('/t/_search?search_type=dfs_query_then_fetch', { query => phrase('t.p', qw(q r s)) });
    is($r->{json}{hits}{total}{value}, 1);
    my $p = $node->post('/t/_search', { profile => $yes, query => phrase('t.p', qw(q r)) })->{json};
    like($json->encode($p->{profile}), qr/t\.p\._index_phrase:q r/, 'in profiles too');
};

subtest 'mappings' => sub {
    my $reason = sub { my ($name, $p) = @_; my $r = $node->put("/$name", { mappings => { properties => $p } }); $r->{json}{error}{reason} // $r->{status} };
    is($reason->('m1', { f => { type => 'text', index_phrases => $yes, index => $no } }),
        'Failed to parse mapping: Cannot set index_phrases on unindexed field [f]');
    is($reason->('m1', { f => { type => 'text', index_phrases => $yes, index_options => 'freqs' } }),
        'Failed to parse mapping: Cannot set index_phrases on field [f] if positions are not enabled');
    is($reason->('m1', { f => { type => 'text', fields => { _index_phrase => { type => 'keyword' } } } }),
        'Failed to parse mapping: Cannot use reserved field name [f._index_phrase]');
    is($reason->('m1', { f => { type => 'text', index_phrases => $yes }, g => { type => 'text', index_phrases => $no } }), 200);
    my $m = $node->get('/m1/_mapping')->{json}{m1}{mappings}{properties};
    is_deeply($m, { f => { type => 'text', index_phrases => $yes }, g => { type => 'text' } }, 'are given back');
    my $r = $node->put('/m1/_mapping', { properties => { g => { type => 'text', index_phrases => $yes } } });
    is($r->{status}, 400);
    like($r->{json}{error}{reason}, qr/Cannot update parameter \[index_phrases\] from \[false\] to \[true\]/, 'and not changed');
    my $long = 'w' x 20000; # a term each, and too long a one together
    $node->put('/m2', { settings => { analysis => { tokenizer => { long => { type => 'whitespace', max_token_length => 30000 } },
        analyzer => { long => { type => 'custom', tokenizer => 'long' } } } },
        mappings => { properties => { f => { type => 'text', analyzer => 'long', index_phrases => $yes }, g => { type => 'text', analyzer => 'long' } } } });
    is($node->put('/m2/_doc/1', { g => "$long $long" })->{status}, 201, 'two long words');
    $r = $node->put('/m2/_doc/2', { f => "$long $long" });
    is($r->{status}, 400, 'whose pair is too long a term');
    like($json->encode($r->{json}), qr/immense term in field=.{1,4}f\._index_phrase/, 'which is told with the field');
};

$node->stop;
done_testing;
