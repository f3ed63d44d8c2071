#!/usr/bin/perl
# 186_more_tokenizers.t: the tokenizers uax_url_email, simple_pattern and simple_pattern_split, with the tokens of Lucene 8.7.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output todo_output);
my $n = QdNode->new('n1');
$n->start;
sub analyze { my ($tokenizer, $text) = @_; return $n->post('/_analyze', {tokenizer => $tokenizer, text => $text}) }
sub told { my $r = analyze(@_); return $r->{json}{tokens} ? join(' ', map { my $t = $_->{type} =~ /URL|EMAIL/ ? lc($_->{type} =~ tr/<>//dr) : 'word'; "$_->{token}|$_->{start_offset}|$t" } @{$r->{json}{tokens}}) : $r->{content} }
sub reason { my ($r) = @_; return "$r->{status} " . ($r->{json}{error}{root_cause}[0]{reason} // $r->{content}) }

subtest 'uax_url_email' => sub {
    my @cases = (
        ['Mail joe@example.com, or see http://example.com/a?b=c#d now', 'Mail|0|word joe@example.com|5|email or|22|word see|25|word http://example.com/a?b=c#d|29|url now|56|word'],
        ['[2001:db8::7]/?q=1 https://www.foo.co.uk/a%20b', '[2001:db8::7]/?q=1|0|url https://www.foo.co.uk/a%20b|19|url'],
        ["ftp://foo-bar.de/!x*' j+tag\@www.foo.co.uk", 'ftp://foo-bar.de/|0|url x|18|word j+tag@www.foo.co.uk|22|email'],
        ['a_b https://x.museum:abc/a|b U.S.A.', 'a_b|0|word https://x.museum|4|url abc|21|word a|25|word b|27|word U.S.A|29|word'],
        ['http:/index.py/a,b mailto:10.0.0.1:8080', 'http|0|word index.py/a|6|url b|17|word mailto|19|word 10.0.0.1:8080|26|url'],
        ['"quoted x"@example.com mailto:j@x.com', '"quoted x"@example.com|0|email mailto|23|word j@x.com|30|email'],
        ['foo.nosuchtld http://foo.nosuchtld/ .a@b.com', 'foo.nosuchtld|0|word http://foo.nosuchtld/|14|url .a@b.com|36|email'],
        ["\x{1F600} www.example.com\x{65e5}", undef],
        ['', ''],
    );
    for (@cases) {
        my ($text, $want) = @$_;
        defined $want ? is(told('uax_url_email', $text), $want, "[$text]") : is(analyze('uax_url_email', $text)->{status}, 200, 'beyond the basic plane');
    }
    is(told({type => 'uax_url_email', max_token_length => 10}, 'http://example.com/a'), told({type => 'standard', max_token_length => 10}, 'http://example.com/a'), 'what is longer than max_token_length is words');
    like(reason(analyze({type => 'uax_url_email', max_token_length => 0}, 'x')), qr/^400 .*max ?TokenLen/i, 'max_token_length 0');
    is(analyze('uax_url_email', $_)->{status} =~ /^(200|500)$/ ? 1 : 0, 1, 'a hostile text ends') for '!' x 200_000, 'a@' x 60_000, 'a.' x 60_000, '"' x 60_000, '[' x 60_000, 'http://' x 20_000, 'mailto:a@b.com' x 5_000;
};

subtest 'simple_pattern and simple_pattern_split' => sub {
    my $p = sub { return told({type => 'simple_pattern', pattern => $_[0]}, $_[1]) =~ s/\|\d+\|word//gr };
    my $s = sub { return told({type => 'simple_pattern_split', pattern => $_[0]}, $_[1]) =~ s/\|\d+\|word//gr };
    is($p->('[0123456789]{3}', 'fd-786-335-514-x'), '786 335 514', 'matches');
    is($p->('a|ab|abc', 'abcab a'), 'abc ab a', 'the longest of them');
    is($p->('', 'abc'), '', 'no pattern, no tokens');
    is($p->('é+', 'caféé é'), 'éé é', 'beyond ASCII');
    is($s->('_', 'an_underscored_phrase__x_'), 'an underscored phrase x', 'what lies between, without empty tokens');
    is($s->('', 'a b'), 'a b', 'without a pattern all is one token');
    like(reason(analyze({type => 'simple_pattern', pattern => '[a'}, 'x')), qr/^400 /, 'a pattern that does not end');
    like(reason(analyze({type => 'simple_pattern', pattern => '(a|b)*a(a|b){30}'}, 'x')), qr/^400 .*[Dd]eterminizing/, 'one that explodes');
    like(reason(analyze({type => 'simple_pattern', pattern => 'a*b'}, 'a' x 100_000)), qr/^400 .*takes too many steps/, 'one that looks at a text again and again');
};

is($n->put('/u', {settings => {analysis => {analyzer => {a => {tokenizer => 'uax_url_email'}}}}, mappings => {properties => {t => {type => 'text', analyzer => 'a'}}}})->{status}, 200, 'in an index');
$n->put('/u/_doc/1?refresh=true', {t => 'write to joe@example.com'});
is($n->post('/u/_count', {query => {term => {t => 'joe@example.com'}}})->{json}{count}, 1, '... an address is a term');
done_testing;
