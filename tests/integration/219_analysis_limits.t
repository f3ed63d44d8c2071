#!/usr/bin/perl
# 219_analysis_limits.t: chains that make gigabytes of a few letters: refused with a 400 that names the part,
# in _analyze and when documents are indexed or searched for, in some megabytes, and what others do goes on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $n = QdNode->new('n1');
$n->start;
my $grow = {type => 'pattern_replace', pattern => 'a', replacement => 'a' x 100};
my $map = {type => 'mapping', mappings => ['a => ' . 'a' x 1000]};
my $twenty = {type => 'pattern_replace', pattern => 'a', replacement => 'a' x 20};
my @hostile = (
    [{tokenizer => 'keyword', filter => [($grow) x 6], text => 'a'}, qr/__anonymous__pattern_replace/],
    [{tokenizer => 'keyword', char_filter => [($map) x 4], text => 'a'}, qr/__anonymous__mapping/],
    [{tokenizer => 'keyword', char_filter => [($twenty) x 8], text => 'a'}, qr/__anonymous__pattern_replace/],
    [{tokenizer => {type => 'ngram', min_gram => 1, max_gram => 2}, filter => [($grow) x 3], text => 'a' x 100}, qr/__anonymous__pattern_replace/],
    [{tokenizer => 'keyword', char_filter => [$map], filter => [('lowercase') x 40], explain => \1, text => 'a' x 1000}, qr/take more than \[\d+\] bytes/],
);

# Bytes that the node takes at most while something runs, above what it had before.
my $seen = sub { my ($key) = @_; QdNode::slurp("/proc/$n->{pid}/status") =~ /^$key:\s+(\d+)/m ? $1 * 1024 : 0 };
sub peak_of {
    my ($what) = @_;
    my $before = $seen->('VmRSS');
    open my $f, '>', "/proc/$n->{pid}/clear_refs" or return -1;
    print $f '5';
    close $f;
    $what->();
    return $seen->('VmHWM') - $before;
}

for my $case (@hostile) {
    my ($body, $names) = @$case;
    my $r;
    my $bytes = peak_of(sub { $r = $n->post('/_analyze', $body) });
    is($r->{status}, 400, 'refused');
    like($r->{json}{error}{reason} // '', $names, 'by its name') or diag substr $r->{content}, 0, 300;
    like($r->{json}{error}{type} // '', qr/^illegal_argument/, 'as an argument');
    cmp_ok($bytes, '<', 64 << 20, 'in ' . int($bytes / 1048576) . ' MiB');
}
is($n->put('/wide', {settings => {'index.max_ngram_diff' => 499, analysis => {tokenizer => {n => {type => 'ngram', min_gram => 1, max_gram => 500}},
    analyzer => {x => {tokenizer => 'n', filter => ['lowercase']}}}}})->{status}, 200, 'an index of wide n-grams');
my $r;
my $bytes = peak_of(sub { $r = $n->post('/wide/_analyze', {analyzer => 'x', text => 'ab' x 500000}) });
is($r->{status}, 400, 'n-grams of a megabyte are refused');
cmp_ok($bytes, '<', 64 << 20, 'in ' . int($bytes / 1048576) . ' MiB');


# as many tokens as Elasticsearch shows, and as the request breaker has room for
sub refused { my ($what, $status, $type, $reason, @ask) = @_;
    my $r = $n->post(@ask);
    is($r->{json}{status}, $status, $what) or diag substr $r->{content}, 0, 300;
    is($r->{json}{error}{type}, $type, '... of the type');
    like($r->{json}{error}{reason}, $reason, '... with the reason');
}
my $tokens = 'The number of tokens produced by calling _analyze has exceeded the allowed maximum of [%d]. This limit can be set by changing the [index.analyze.max_token_count] index level setting.';
my $grams = {tokenizer => {type => 'ngram', min_gram => 1, max_gram => 2}, text => 'ab' x 3000};
refused('tokens without an index', 500, 'illegal_state_exception', qr/^\Q@{[sprintf $tokens, 10000]}\E$/, '/_analyze', $grams);
refused('a megabyte of words', 500, 'illegal_state_exception', qr/^The number of tokens/, '/_analyze', {text => 'a ' x 524288});
is($n->put('/few', {settings => {'index.analyze.max_token_count' => 3}})->{status}, 200, 'an index that shows three');
refused('four', 500, 'illegal_state_exception', qr/^\Q@{[sprintf $tokens, 3]}\E$/, '/few/_analyze', {text => 'a b c d'});
is(@{ $n->post('/few/_analyze', {text => 'a b c'})->{json}{tokens} }, 3, 'three are shown');
is($n->put('/_cluster/settings', {persistent => {'indices.breaker.request.limit' => '8mb'}})->{status}, 200, 'a request breaker of 8 MB');
refused('n-grams of 400 KB', 429, 'circuit_breaking_exception', qr/Data too large/, '/_analyze', {%$grams, text => 'ab' x 200000});
is($n->put('/_cluster/settings', {persistent => {'indices.breaker.request.limit' => undef}})->{status}, 200, 'as before');

# documents and queries
is($n->put('/i', {settings => {analysis => {filter => {g => $grow}, analyzer => {x => {tokenizer => 'keyword', filter => [('g') x 6]}}}},
    mappings => {properties => {t => {type => 'text', analyzer => 'x'}}}})->{status}, 200, 'an index with such an analyzer');
$bytes = peak_of(sub { $r = $n->put('/i/_doc/1', {t => 'a'}) });
is($r->{status}, 400, 'a document is refused');
like($r->{content}, qr/\[g\] makes too much of a text of \[1\] bytes/, 'with the filter');
cmp_ok($bytes, '<', 80 << 20, 'in ' . int($bytes / 1048576) . ' MiB');
$r = $n->post('/_bulk?refresh=true', qq({"index":{"_index":"i","_id":"1"}}\n{"t":"a"}\n{"index":{"_index":"i","_id":"2"}}\n{"t":"b"}\n));
is_deeply([map { $_->{index}{status} } @{$r->{json}{items}}], [400, 201], 'of a bulk request the one');
is($n->post('/i/_search', {query => {match => {t => 'a'}}})->{status}, 400, 'a search for it, too');
is($n->post('/i/_search', {query => {match => {t => 'b'}}})->{json}{hits}{total}{value}, 1, 'others are found');

# what is large, and grows little, is no such text
is($n->put('/large/_doc/1?refresh=true', {t => join(' ', map { "word$_" } 1 .. 600000)})->{status}, 201, 'a document of 6 MB');
is($n->put('/grams', {settings => {'index.max_ngram_diff' => 20, analysis => {tokenizer => {n => {type => 'ngram', min_gram => 3, max_gram => 20}},
    analyzer => {x => {tokenizer => 'n', filter => ['lowercase']}}}}, mappings => {properties => {t => {type => 'text', analyzer => 'x'}}}})->{status}, 200, 'n-grams');
is($n->put('/grams/_doc/1?refresh=true', {t => 'abcdefgh ' x 2000})->{status}, 201, 'of 18 KB are indexed');
is($n->post('/_analyze', {tokenizer => 'keyword', text => 'x' x 3000000})->{json}{tokens}[0]{end_offset}, 3000000, 'a token of 3 MB is shown');
$n->stop;
done_testing;
