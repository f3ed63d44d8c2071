#!/usr/bin/perl
# 185_mecab.t: Japanese words by the tokenizer mecab_tokenizer of the plugin analysis-mecab.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output todo_output);
my $n = QdNode->new('n1', settings => {'plugins.allow' => '+analysis-mecab'});
$n->start;
sub analyze { my ($tokenizer, $text) = @_; return $n->post('/_analyze', {tokenizer => {type => 'mecab_tokenizer', %$tokenizer}, text => $text}) }
sub told { my ($tokenizer, $text, @what) = @_; my $r = analyze($tokenizer, $text); return $r->{json}{tokens} ? join(' ', map { my $t = $_; join(':', map { $t->{$_} } 'token', @what) } @{$r->{json}{tokens}}) : $r->{content} }
sub reason { my ($r) = @_; return "$r->{status} " . ($r->{json}{error}{root_cause}[0]{reason} // $r->{content}) }

# --- what is refused needs no dictionary
like(reason(analyze({form => 'stem'}, 'x')), qr/^400 .*form is surface, base, reading or pronunciation, not \[stem\]/, 'a form that is none');
like(reason(analyze({mode => 'search'}, 'x')), qr/^400 .*the option \[mode\] is not supported/, 'an option that is none');
like(reason(analyze({discard_punctuation => 'maybe'}, 'x')), qr/^400 .*\[discard_punctuation\] is true or false, not \[maybe\]/, 'neither true nor false');
like(reason(analyze({dictionary => $_}, 'x')), qr/^400 .*\[dictionary\] is a path below the folder of the configuration/, "the path [$_]") for '/etc', 'a/../../b', '';
like(reason(analyze({dictionary => 'no-such-folder'}, 'x')), qr/^400 .*MeCab opens no dictionary/, 'a dictionary that is not there');

my $r = analyze({}, 'x');
if ($r->{status} != 200) {
    diag "SKIPPED: 185_mecab: there is no dictionary: " . reason($r);
    done_testing;
    exit 0;
}

my $text = '私は東京都で、美味しい寿司を食べました。';
is(told({}, $text), '私 は 東京 都 で 美味しい 寿司 を 食べ まし た', 'words as the text has them');
is(told({form => 'base', stoptags => ['助詞', '助動詞']}, $text, 'position'), '私:0 東京:2 都:3 美味しい:5 寿司:6 食べる:8', 'dictionary forms, without particles, which leave holes');
is(told({form => 'reading', stoptags => '助詞-格助詞-一般'}, '寿司を食べは'), 'スシ タベ ハ', 'readings, without case particles alone');
is(told({form => 'pronunciation'}, '東京'), 'トーキョー', 'as it is spoken');
is(told({discard_punctuation => 'false'}, '寿司！ abc'), '寿司 ！ abc', 'punctuation is kept where one wants it');
is(told({form => 'base'}, 'Linux kernel 6.1'), 'Linux kernel 6 1', 'words that no dictionary has stay as they are');

# --- offsets are those of the text: beyond the basic plane, behind a char filter, over pieces
is(told({}, "\x{1F600} 寿司\n\x{20BB7}野家", 'start_offset', 'end_offset') =~ /(寿司:\d+:\d+)/ ? $1 : '', '寿司:3:5', 'in UTF-16 units');
my $long = ('吾輩は猫である。名前はまだ無い。' x 400) . '終わり';
my $last = analyze({}, $long)->{json}{tokens}[-1];
is("$last->{token}:$last->{start_offset}:$last->{end_offset}", '終わり:6400:6403', 'a text of many pieces');
my $solid = 'あ' x 5000;
my $all = analyze({}, $solid)->{json}{tokens};
is(join('', map { $_->{token} } @$all), $solid, 'a text without an end of a sentence loses nothing');

# --- in an index: found by the dictionary form, highlighted where it stands
is($n->put('/j', {settings => {analysis => {tokenizer => {words => {type => 'mecab_tokenizer', form => 'base', stoptags => ['助詞', '助動詞']}}, analyzer => {ja => {tokenizer => 'words', filter => ['cjk_width', 'lowercase']}}}},
    mappings => {properties => {t => {type => 'text', analyzer => 'ja'}}}})->{status}, 200, 'an index with such an analyzer');
$n->put('/j/_doc/1?refresh=true', {t => $text});
my $hit = $n->post('/j/_search', {query => {match => {t => '食べる'}}, highlight => {fields => {t => {}}}})->{json}{hits}{hits}[0];
is($hit->{highlight}{t}[0], '私は東京都で、美味しい寿司を<em>食べ</em>ました。', 'found by another form of the word');
is($n->post('/j/_count', {query => {match_phrase => {t => '美味しい寿司'}}})->{json}{count}, 1, 'as a phrase');

# --- hostile texts
for my $bad ("\x{0}寿司\x{0}", "\x{FFFF}\x{10FFFF}", ' ' x 100_000, "\n" x 10_000, '((((' x 20_000, "e\x{301}" x 4_000) {
    my $r = analyze({}, $bad);
    is($r->{status}, 200, 'a text of ' . length($bad) . ' characters') or diag substr($r->{content}, 0, 300);
}
ok($n->get('/')->{status} == 200, 'the node serves');
done_testing;
