package Lint;
# Lint.pm: the files of the tree and C without its comments and strings, for the lint tests.
# Core modules only. Every test runs from any folder and looks at files known to git.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use Exporter qw(import);
our @EXPORT = qw(top files slurp code_of literals_of each_match report);

# LINT_TOP: another tree than this one (rules.t)
my $top = $ENV{LINT_TOP} // abs_path(dirname(__FILE__) . '/../../..');
sub top { $top }

my @all;

# Files whose name matches the pattern, relative to the top, sorted.
sub files {
    my ($pattern) = @_;
    if (!@all) {
        @all = map { chomp; $_ } `cd '$top' && git ls-files -co --exclude-standard 2>/dev/null`;
        if (!@all) {
            @all = map { chomp; s#^\./##; $_ } `cd '$top' && find . -type f -not -path './build/*' -not -path './.git/*'`;
        }
        @all = sort grep { -f "$top/$_" } @all;
    }
    return grep { $_ =~ $pattern } @all;
}

my %text;
sub slurp {
    my ($file) = @_;
    return $text{$file} //= do {
        open my $f, '<:raw', "$top/$file" or die "$file: $!";
        local $/;
        <$f> // '';
    };
}

# Comments and the inside of strings and characters become blanks; lines stay where they are.
sub blank { my $s = shift; $s =~ s/[^\n]/ /g; $s }

my %code;
sub code_of {
    my ($file) = @_;
    return $code{$file} //= do {
        my $t = slurp($file);
        $t =~ s{(/\*.*?\*/|//[^\n]*)|("(?:[^"\\\n]|\\.)*")|('(?:[^'\\\n]|\\.)+')}
               {defined $1 ? blank($1) : defined $2 ? '"' . blank(substr($2, 1, -1)) . '"'
                                                    : "'" . blank(substr($3, 1, -1)) . "'"}gse;
        $t;
    };
}

# [line, text] of each string literal.
sub literals_of {
    my ($file) = @_;
    my $t = slurp($file);
    my @found;
    while ($t =~ m{(/\*.*?\*/|//[^\n]*)|"((?:[^"\\\n]|\\.)*)"|'(?:[^'\\\n]|\\.)+'}gs) {
        next unless defined $2;
        my $at = $-[0];
        push @found, [1 + (substr($t, 0, $at) =~ tr/\n//), $2];
    }
    return @found;
}

# Calls $fn->(line number, match) for each match of the pattern in text.
sub each_match {
    my ($text, $pattern, $fn) = @_;
    while ($text =~ /$pattern/g) {
        my $hit = defined $1 ? $1 : $&;
        $fn->(1 + (substr($text, 0, $-[0]) =~ tr/\n//), $hit);
    }
}

# One TAP line for a check: passes when there is nothing to complain about.
sub report {
    my ($name, @bad) = @_;
    my $n = @bad;
    Test::More::ok($n == 0, $name);
    Test::More::diag($_) for @bad > 40 ? (@bad[0 .. 39], '... ' . ($n - 40) . ' more') : @bad;
}

1;
