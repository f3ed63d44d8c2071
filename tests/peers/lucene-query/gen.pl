#!/usr/bin/perl
# gen.pl SEED COUNT > texts: random texts for query_string, a line each: well-formed trees, then the
# same with characters lost, doubled and exchanged.
use strict;
use warnings;

my ($seed, $count) = @ARGV;
srand($seed);
binmode STDOUT, ':utf8';
sub pick { return $_[int rand @_] }
sub word {
    my $r = rand;
    return pick(qw(quick Brown fox jumps OVER lazy dog a I x1 2 3.14 don't foo@bar.org wi-fi), "na\x{ef}ve", "\x{65e5}\x{672c}", "\x{1F600}") if $r < 0.8;
    return pick('a\\:b', 'c\\+d', '\\(x\\)', 'sp\\ ace', 'back\\\\slash', '\\u0041bc', 'q\\"q', 'AND1', 'ORACLE', 'not', 'and', 'to', 'TO');
}
sub boost { return rand() < 0.1 ? '^' . pick(2, 0.5, '3.25', 10, '1') : '' }
sub single {
    my $r = rand;
    return word() if $r < 0.55;
    return word() . '~' . pick('', 0, 1, 2, 1.5) if $r < 0.63;
    return pick('qu*', 'q?ick', '*ick', 'b*n', '*', '?', 'q*k?', 'QU*', 'f\\*o*') if $r < 0.72;
    return '/' . pick('qu.*k', 'a|b', '[a-c]+', 'x{2,3}', 'a\\/b', '') . '/' if $r < 0.76;
    return '"' . join(' ', map { word() } 1 .. int rand 4) . '"' . (rand() < 0.3 ? '~' . int rand 4 : '') if $r < 0.9;
    return pick('[', '{') . pick(word(), '*', '"a b"', 1) . ' TO ' . pick(word(), '*', '"y z"', 9) . pick(']', '}') if $r < 0.96;
    return pick('>', '>=', '<', '<=') . word();
}
sub clause {
    my ($depth) = @_;
    my $t = $depth && rand() < 0.25 ? '(' . tree($depth - 1) . ')' : single();
    return (rand() < 0.15 ? 'body:' : '') . $t . boost();
}
sub tree {
    my ($depth) = @_;
    my $t = '';
    for my $i (0 .. int rand 4) {
        $t .= pick(' ', ' ', ' ', '  ', ' AND ', ' OR ', ' && ', ' || ', ' AND NOT ', "\t", "\x{3000}") if $i;
        $t .= pick('', '', '', '', '+', '-', '!', 'NOT ', '- ') . clause($depth);
    }
    return $t;
}
for (1 .. $count) {
    my $t = tree(3);
    if (rand() < 0.4) {
        for (1 .. 1 + int rand 3) {
            my $at = int rand(1 + length $t);
            my $r = rand;
            if ($r < 0.4) { substr($t, $at, 1) = '' if $at < length $t }
            elsif ($r < 0.8) { substr($t, $at, 0) = pick(split //, '+-!(){}[]^"~*?:\\/ &|<>=ANDORT1') }
            else { my $n = int rand 4; $t = substr($t, 0, $at) . substr($t, $at + $n) if $at + $n <= length $t }
        }
    }
    $t =~ s/[\r\n]//g;
    print "$t\n";
}
