#!/usr/bin/perl
# 173_like_and_suggest.t: more_like_this, the term and phrase suggesters, and _rank_eval over HTTP.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('like');
$node->start;

sub post { my ($path, $body) = @_; return $node->post($path, $body) }
sub ids { my ($r) = @_; return $r->{status} == 200 ? join ' ', sort map { $_->{_id} } @{ $r->{json}{hits}{hits} } : $r->{content} }
sub refused { my ($r, $why, $name) = @_; is($r->{status}, 400, $name // "$why") or diag $r->{content}; like($r->{content}, $why) }

$node->put('/m', { settings => { number_of_shards => 1 }, mappings => { properties => { t => { type => 'text' }, u => { type => 'text' }, k => { type => 'keyword' }, n => { type => 'long' } } } });
my @text = ('stone age tools made of stone', 'stone age tools found in caves', 'bronze age tools', 'cats and dogs', 'stone caves and cats', 'tools of a stone mason');
post('/_bulk?refresh=true', join '', map { qq({"index":{"_index":"m","_id":"$_"}}\n{"t":"$text[$_ - 1]","u":"$text[$_ - 1]","k":"k$_","n":$_}\n) } 1 .. @text);

sub mlt { my (%p) = @_; return post('/m/_search', { query => { more_like_this => { fields => ['t'], min_term_freq => 1, min_doc_freq => 1, minimum_should_match => 1, %p } } }) }

subtest 'more_like_this' => sub {
    is(ids(mlt(like => 'stone caves')), '1 2 5 6', 'a text');
    is(ids(mlt(like => { _index => 'm', _id => '4' })), '5', 'a document, which is not found itself');
    is(ids(mlt(like => { _id => '4' }, include => \1)), '4 5', 'of the searched index, found as well');
    is(ids(mlt(like => { _index => 'm', doc => { t => 'bronze' } })), '3', 'a document that is not there');
    is(ids(mlt(like => [ 'bronze', { _id => '4' } ])), '3 5', 'several');
    is(ids(mlt(like => 'stone caves', unlike => 'stone')), '2 5', 'unlike a text');
    is(ids(mlt(like => { _id => '5' }, unlike => { _id => '4' })), '1 2 6', 'unlike a document');
    is(ids(mlt(like => 'stone caves', max_query_terms => 1)), '2 5', 'the word that tells most');
    is(ids(mlt(like => 'stone caves', min_doc_freq => 3)), '1 2 5 6', 'min_doc_freq');
    is(ids(mlt(like => 'stone caves', max_doc_freq => 2)), '2 5', 'max_doc_freq');
    is(ids(mlt(like => 'stone stone caves', min_term_freq => 2)), '1 2 5 6', 'min_term_freq');
    is(ids(mlt(like => 'cats tools', min_word_length => 5)), '1 2 3 6', 'min_word_length');
    is(ids(mlt(like => 'cats tools', max_word_length => 4)), '4 5', 'max_word_length');
    is(ids(mlt(like => 'cats tools', stop_words => ['tools'])), '4 5', 'stop words');
    is(ids(mlt(like => 'stone caves', minimum_should_match => '100%')), '2 5', 'minimum_should_match');
    is(ids(mlt(like => 'CATS', analyzer => 'keyword')), '', 'an analyzer');
    is(ids(mlt(like => 'k3', fields => ['k'])), '3', 'a keyword');
    is(ids(post('/m/_search', { query => { more_like_this => { like => 'bronze', min_term_freq => 1, min_doc_freq => 1 } } })), '3', 'all fields');
    is(ids(mlt(like => { _index => 'gone', _id => '1' })), '', 'a document of no index');
    my $plain = mlt(like => 'cats caves')->{json}{hits}{max_score};
    my $boosted = mlt(like => 'cats caves', boost_terms => 2)->{json}{hits}{max_score};
    ok($boosted > 1.5 * $plain, 'boost_terms') or diag "$boosted, $plain";
    my $r = post('/m/_search', { query => { more_like_this => { fields => ['t'], like => 'cats', min_term_freq => 1, min_doc_freq => 1 } }, highlight => { fields => { t => {} } } });
    like($r->{json}{hits}{hits}[0]{highlight}{t}[0], qr/<em>cats<\/em>/, 'highlighted');
    refused(mlt(), qr/requires either 'like' texts or items to be specified/);
    refused(mlt(like => 'x', fields => []), qr/requires 'fields' to be non-empty/);
    refused(mlt(like => 'x', fields => ['n']), qr/only supports text\/keyword fields: \[n\]/);
    is(ids(mlt(like => 'x', fields => ['n'], fail_on_unsupported_field => \0)), '', 'unless that is no failure');
    refused(mlt(like => 'x', max_query_terms => 0), qr/requires 'maxQueryTerms' to be greater than 0/);
    refused(mlt(like => 'x', other => 1), qr/\[more_like_this\] query does not support \[other\]/);
    refused(mlt(like => { doc => { t => 'x' }, _id => '1' }), qr/either \[id\] or \[doc\] can be specified, but not both/);
};

$node->put('/s', { settings => { number_of_shards => 2, analysis => { filter => { pairs => { type => 'shingle', min_shingle_size => 2, max_shingle_size => 3 } },
    analyzer => { pairs => { tokenizer => 'standard', filter => [ 'lowercase', 'pairs' ] }, backwards => { tokenizer => 'standard', filter => [ 'lowercase', 'reverse' ] } } } },
    mappings => { properties => { t => { type => 'text', fields => { pairs => { type => 'text', analyzer => 'pairs' }, rev => { type => 'text', analyzer => 'backwards' } } } } } });
my @said = ('noble prize', 'nobel prize winner', 'nobel prize in physics', 'the nobel committee', 'prize winner', 'nobel prize');
post('/_bulk?refresh=true', join '', map { qq({"index":{"_index":"s","_id":"$_"}}\n{"t":"$said[$_ - 1]"}\n) } 1 .. @said);

sub suggest { my ($s) = @_; return post('/s/_search', { suggest => $s }) }
sub options { my ($r, $name, $i) = @_; return $r->{status} == 200 ? join ' | ', map { $_->{text} } @{ $r->{json}{suggest}{$name}[$i // 0]{options} } : $r->{content} }

subtest 'term suggester' => sub {
    my $r = suggest({ x => { text => 'nobal Prise', term => { field => 't' } } });
    is($r->{json}{hits}{total}{value}, 0, 'no hits of suggestions alone');
    is_deeply([ map { [ @$_{qw(text offset length)} ] } @{ $r->{json}{suggest}{x} } ], [ [ 'nobal', 0, 5 ], [ 'prise', 6, 5 ] ], 'words with their places');
    is(options($r, 'x'), 'nobel | noble', 'near ones');
    is($r->{json}{suggest}{x}[0]{options}[0]{freq}, 4, 'documents of both shards');
    ok(abs($r->{json}{suggest}{x}[0]{options}[0]{score} - 0.8) < 1e-6, 'score');
    $node->post('/o/_doc?refresh=true', { t => 'noble nobel' });
    is(options(post('/o/_search', { suggest => { x => { text => 'noble', term => { field => 't' } } } }), 'x'), '', 'a word that is there is left alone');
    is(options(suggest({ x => { text => 'noble', term => { field => 't', suggest_mode => 'always', max_term_freq => 100 } } }), 'x'), 'nobel', 'unless always');
    is(options(suggest({ x => { text => 'nobal', term => { field => 't', prefix_length => 4 } } }), 'x'), '', 'prefix_length');
    is(options(suggest({ x => { text => 'nobal', term => { field => 't', min_word_length => 6 } } }), 'x'), '', 'min_word_length');
    is(options(suggest({ x => { text => 'nobla', term => { field => 't', max_edits => 1 } } }), 'x'), 'noble', 'max_edits');
    is(options(suggest({ x => { text => 'nobla', term => { field => 't', sort => 'frequency' } } }), 'x'), 'nobel | noble', 'sort');
    is(options(suggest({ x => { text => 'nobla', term => { field => 't', accuracy => 0.9 } } }), 'x'), '', 'accuracy');
    is(options(suggest({ x => { text => 'nobla', term => { field => 't', size => 1 } } }), 'x'), 'noble', 'size');
    for my $d (qw(internal damerau_levenshtein levenshtein jaro_winkler ngram)) {
        is(options(suggest({ x => { text => 'nobal', term => { field => 't', string_distance => $d } } }), 'x'), $d eq 'x' ? '' : options(suggest({ x => { text => 'nobal', term => { field => 't' } } }), 'x'), $d);
    }
    $r = suggest({ text => 'nobal', a => { term => { field => 't' } }, b => { text => 'prise', term => { field => 't' } } });
    is(options($r, 'a') . ' ' . options($r, 'b'), 'nobel | noble prize', 'a text for all');
    $r = post('/s/_search?typed_keys=true', { suggest => { x => { text => 'nobal', term => { field => 't' } } }, query => { match => { t => 'committee' } } });
    ok($r->{json}{suggest}{'term#x'}, 'typed keys');
    is(ids($r), '4', 'beside a query');
    $r = $node->post('/_msearch', qq({"index":"s"}\n{"suggest":{"x":{"text":"nobal","term":{"field":"t"}}}}\n));
    is($r->{json}{responses}[0]{suggest}{x}[0]{options}[0]{text}, 'nobel', '_msearch');
    refused(suggest({ x => { text => 'a', term => {} } }), qr/the required field option is missing/);
    refused(suggest({ x => { term => { field => 't' } } }), qr/The required text option is missing/);
    refused(suggest({ x => { text => 'a', term => { field => 'none' } } }), qr/no mapping found for field \[none\]/);
    refused(suggest({ x => { text => 'a', term => { field => 't', max_edits => 3 } } }), qr/maxEdits must be between 1 and 2/);
    refused(suggest({ x => { text => 'a', term => { field => 't', other => 3 } } }), qr/suggester\[term\] doesn't support field \[other\]/);
    refused(suggest({ x => { text => 'a', terms => { field => 't' } } }), qr/unknown suggester \[terms\]/);
    refused(suggest({ x => { prefix => 'a', completion => { field => 't' } } }), qr/not supp/);
};

subtest 'phrase suggester' => sub {
    my $phrase = sub { my (%p) = @_; return suggest({ p => { text => 'nobal prize', phrase => { field => 't.pairs', max_errors => 2, direct_generator => [ { field => 't', suggest_mode => 'always' } ], %p } } }) };
    like(options($phrase->(), 'p'), qr/^nobel prize/, 'the likely one first');
    my $r = $phrase->(highlight => { pre_tag => '<b>', post_tag => '</b>' });
    is($r->{json}{suggest}{p}[0]{options}[0]{highlighted}, '<b>nobel</b> prize', 'highlighted');
    is($r->{json}{suggest}{p}[0]{length}, 11, 'the whole text is one entry');
    is(options($phrase->(confidence => 1e6), 'p'), '', 'confidence');
    is(options($phrase->(size => 1), 'p'), 'nobel prize', 'size');
    for my $model ({ laplace => { alpha => 0.7 } }, { stupid_backoff => { discount => 0.5 } }, { linear_interpolation => { trigram_lambda => 0.65, bigram_lambda => 0.25, unigram_lambda => 0.1 } }) {
        like(options($phrase->(smoothing => $model), 'p'), qr/^nobel prize/, (keys %$model)[0]);
    }
    like(options($phrase->(gram_size => 1), 'p'), qr/nobel prize/, 'gram_size');
    is(options($phrase->(token_limit => 2), 'p'), '', 'token_limit');
    $r = suggest({ p => { text => 'mobel prize', phrase => { field => 't.pairs', max_errors => 2,
        direct_generator => [ { field => 't.rev', suggest_mode => 'always', pre_filter => 'backwards', post_filter => 'backwards', min_word_length => 1 } ] } } });
    is((split / \| /, options($r, 'p'))[0], 'nobel prize', 'a wrong first letter, by words written backwards');
    refused($phrase->(smoothing => { linear_interpolation => { trigram_lambda => 1, bigram_lambda => 1, unigram_lambda => 1 } }), qr/linear smoothing lambdas must sum to 1/);
    refused($phrase->(collate => { query => { source => '{}' } }), qr/\[collate\] of a phrase suggester is not supported/);
    refused($phrase->(other => 1), qr/suggester\[phrase\] doesn't support field \[other\]/);
    refused($phrase->(highlight => { pre_tag => 'x' }), qr/Pre and post tag must both be null or both not be null/);
};

subtest '_rank_eval' => sub {
    my @ratings = map { { _index => 'm', _id => "$_", rating => $_ <= 2 ? 3 : $_ == 6 ? 1 : 0 } } 1, 2, 6;
    my $eval = sub { my ($metric, %p) = @_; return post('/m/_rank_eval', { requests => [ { id => 'q', request => { query => { match => { t => 'stone' } } }, ratings => \@ratings, %p } ], metric => $metric }) };
    my $r = $eval->({ precision => {} });
    is($r->{json}{metric_score}, 0.75, 'precision') or diag $r->{content};
    is_deeply($r->{json}{details}{q}{metric_details}, { precision => { relevant_docs_retrieved => 3, docs_retrieved => 4 } });
    is_deeply($r->{json}{details}{q}{unrated_docs}, [ { _index => 'm', _id => '5' } ], 'what was not rated');
    is($eval->({ precision => { ignore_unlabeled => \1 } })->{json}{metric_score}, 1, 'ignore_unlabeled');
    is($eval->({ precision => { relevant_rating_threshold => 2 } })->{json}{metric_score}, 0.5, 'relevant_rating_threshold');
    is($eval->({ recall => { k => 1 } })->{json}{details}{q}{metric_details}{recall}{relevant_docs}, 3, 'recall');
    ok($eval->({ mean_reciprocal_rank => {} })->{json}{metric_score} > 0, 'mean_reciprocal_rank');
    ok($eval->({ dcg => { normalize => \1 } })->{json}{metric_score} <= 1, 'dcg');
    ok($eval->({ expected_reciprocal_rank => { maximum_relevance => 3 } })->{json}{metric_score} > 0, 'expected_reciprocal_rank');
    $r = post('/m/_rank_eval', { templates => [ { id => 't', template => { source => '{"query":{"match":{"t":"{{w}}"}}}' } } ],
        requests => [ { id => 'q', template_id => 't', params => { w => 'bronze' }, ratings => [ { _index => 'm', _id => '3', rating => 1 } ], summary_fields => ['k'] } ], metric => { precision => {} } });
    is($r->{json}{metric_score}, 1, 'a template') or diag $r->{content};
    is_deeply($r->{json}{details}{q}{hits}[0]{hit}{_source}, { k => 'k3' }, 'summary_fields');
    $r = $eval->({ precision => {} }, request => { query => { range => { n => { gte => 'x' } } } });
    ok($r->{json}{failures}{q}{error}{type}, 'a search that fails is shown');
    refused($eval->({ precision => {} }, request => { aggs => { a => { max => { field => 'n' } } } }), qr/Query in rated requests should not contain aggregations\./);
    refused($eval->({ precision => { k => 0 } }), qr/Window size k must be positive/);
    refused($eval->({ other => {} }), qr/unknown metric \[other\]/);
    refused($eval->({ expected_reciprocal_rank => {} }), qr/Required \[maximum_relevance\]/);
    refused($eval->({ precision => {} }, ratings => [ @ratings, $ratings[0] ]), qr/Found duplicate rated document key/);
};

$node->stop;
done_testing();
