#!/usr/bin/perl
# gen.pl DIR SEED: a small corpus of a random shape and queries for it, in the form of tests/bench:
# DIR/corpus.jsonl, DIR/queries.tsv. The shape (vocabulary, Zipf's exponent, lengths, repetitions,
# scripts, escapes, missing fields, line ends) follows from the seed; it is printed.
use strict;
use warnings;

my ($dir, $seed) = @ARGV;
srand($seed);
sub pick { return $_[int rand @_] }
my %s = (
    docs => pick(1, 2, 7, 127, 128, 129, 500, 1000, 3000, 9000, 20000),
    vocabulary => pick(1, 2, 5, 30, 300, 5000, 50000),
    zipf => pick(0, 0.5, 0.8, 1, 1.2, 1.6, 2.5),
    mean => pick(1, 2, 5, 20, 100, 400),
    lengths => pick(qw(same even wild)),
    copies => pick(0, 0, 0, 0.3, 0.9), # share of documents that repeat an earlier one: ties
    runs => pick(0, 0, 0.5), # chance that a word is said again at once
    odd => pick(0, 0, 0, 0.05), # share of documents with odd texts
    scripts => pick(0, 0, 0.1), # share of words that aren't ASCII
    crlf => pick(0, 0, 1), blank => pick(0, 0, 0.05), ids => pick(qw(number string)),
);
$s{docs} = 500 if $s{docs} * $s{mean} > 2e6;
print join(' ', "seed=$seed", map { "$_=$s{$_}" } sort keys %s), "\n";

my @letters = ('a' .. 'z');
sub new_word {
    my ($i) = @_;
    my $w = join '', map { pick(@letters) } 1 .. 1 + int(log($i + 2)) + int rand 3;
    $w = uc $w if rand() < 0.03;
    $w .= int rand 100 if rand() < 0.03;
    $w = join '', map { chr pick(0xe4, 0x3b1 + int rand 20, 0x430 + int rand 30, 0x5d0 + int rand 20, 0x10400 + int rand 40) } 1 .. 3 if rand() < $s{scripts};
    $w = pick("\x{65e5}", "\x{672c}", "\x{1F600}", "\x{1D54F}", 'a:b', "don't", 'x_y', '3.14', 'x' x 300) if rand() < $s{scripts} / 5;
    return $w;
}
my @word = map { new_word($_) } 1 .. $s{vocabulary};
my (@sum, $all);
for my $i (0 .. $#word) { $all += 1 / ($i + 1)**$s{zipf}; push @sum, $all }
sub word {
    my $x = rand $all;
    my ($a, $b) = (0, $#sum);
    while ($a < $b) { my $m = int(($a + $b) / 2); $sum[$m] <= $x ? ($a = $m + 1) : ($b = $m) }
    return $word[$a];
}
sub length_of {
    return $s{mean} if $s{lengths} eq 'same';
    return int rand(2 * $s{mean} + 1) if $s{lengths} eq 'even';
    my $n = int($s{mean} * exp(2 * (rand() + rand() + rand() - 1.5)));
    return $n > 40 * $s{mean} ? 40 * $s{mean} : $n;
}
sub text {
    my $n = length_of();
    my @w;
    while (@w < $n) { push @w, rand() < $s{runs} && @w ? $w[-1] : word() }
    return join ' ', @w;
}
sub json { # with escapes now and then
    my ($t) = @_;
    $t =~ s/(["\\])/\\$1/g;
    $t =~ s/\n/\\n/g;
    $t =~ s/\t/\\t/g;
    $t =~ s{([^\x00-\x7f]|(?<!\\)[a-z/])}{my $c = ord $1;
        rand() >= ($c < 128 ? 0.002 : 0.5) ? $1 : $c < 0x10000 ? sprintf('\\u%04x', $c)
        : sprintf('\\u%04X\\u%04x', 0xd800 + ($c - 0x10000 >> 10), 0xdc00 + ($c - 0x10000 & 0x3ff))}ge;
    return "\"$t\"";
}
my @odd = ('', ' ', '...', "line\nline\ttab", '"quoted" \\ back/slash', "\x{0}nul", 'a' x 255, 'b' x 256, 'c' x 1000, "e\x{301}\x{200d}", "\x{1F469}\x{200D}\x{1F4BB} ok", join(' ', ('again') x 5000));
open my $out, '>:utf8', "$dir/corpus.jsonl" or die;
my (@body, $end);
$end = $s{crlf} ? "\r\n" : "\n";
for my $i (0 .. $s{docs} - 1) {
    my $t = @body && rand() < $s{copies} ? pick(@body) : rand() < $s{odd} ? pick(@odd) : text();
    push @body, $t if @body < 500;
    my $id = $s{ids} eq 'number' ? $i : sprintf '"%07d"', $i;
    my @f = ("\"id\":$id", '"body":' . json($t) =~ s/\x00/\\u0000/gr);
    push @f, '"title":' . json("title $i") if rand() < 0.9;
    push @f, pick('"n":[1,{"id":2,"body":"no"}]', '"o":{"body":{"id":[]}}', '"x":null,"y":-1.5e3') if rand() < 0.05;
    @f = sort { rand() <=> 0.5 } @f if rand() < 0.1;
    print $out '{', join(rand() < 0.1 ? ' , ' : ',', @f), '}', $i == $s{docs} - 1 && $s{ids} eq 'string' ? '' : $end;
    print $out "\n" if rand() < $s{blank};
}
close $out;

# --- queries: words as they are indexed, so those that analysis leaves alone -----------------------------
my @plain = map { my $b = $_; [ grep { /^[a-z]+$/ && length $_ <= 255 } split / /, $b ] } @body;
@plain = grep { @$_ } @plain;
sub some { return @plain ? pick(@{ pick(@plain) }) : 'nothing' }
sub near {
    my ($n) = @_;
    my $b = @plain ? pick(@plain) : ['nothing'];
    return map { some() } 1 .. $n if @$b < $n;
    my $at = int rand(@$b - $n + 1);
    return @$b[$at .. $at + $n - 1];
}
sub absent { return 'zz' . join '', map { pick(@letters) } 1 .. 8 }
sub one { my $r = rand; return $r < 0.06 ? absent() : $r < 0.2 && @word ? lc(pick(@word)) =~ s/[^a-z]//gr || 'x' : some() }
sub clause { return rand() < 0.15 ? '"' . join(' ', near(2 + int rand 3)) . '"' : one() }
open $out, '>:utf8', "$dir/queries.tsv" or die;
my %class = (
    term => sub { one() }, absent => sub { absent() },
    and2 => sub { join ' ', map { "+$_" } one(), one() }, and3 => sub { join ' ', map { "+$_" } one(), one(), one() },
    or2 => sub { join ' ', one(), one() }, or5 => sub { join ' ', map { one() } 1 .. 5 }, or20 => sub { join ' ', map { one() } 1 .. 20 },
    same => sub { my $w = one(); join ' ', map { pick('', '+') . $w } 1 .. 2 + int rand 2 },
    phrase2 => sub { '"' . join(' ', near(2)) . '"' }, phrase3 => sub { '"' . join(' ', near(3)) . '"' }, phrase6 => sub { '"' . join(' ', near(6)) . '"' },
    phrase_same => sub { my $w = one(); "\"$w $w\"" }, phrase_not => sub { '"' . join(' ', one(), absent()) . '"' },
    req_opt => sub { '+' . clause() . ' ' . join ' ', map { clause() } 1 .. 1 + int rand 3 },
    any => sub { join ' ', map { pick('', '', '+', '-') . clause() } 1 .. 1 + int rand 6 },
    without => sub { one() . ' -' . one() }, req_without => sub { '+' . one() . ' +' . one() . ' -' . clause() },
);
for my $c (sort keys %class) { print $out "$c\t", $class{$c}->(), "\n" for 1 .. 12 }
