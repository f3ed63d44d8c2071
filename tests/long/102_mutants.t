#!/usr/bin/perl
# 102_mutants.t: defects written into the sources of the Kubernetes client, the core over it, modes and migration, one
# at a time in a copy of the tree; the program named beside each has to find it: by a check, or an assertion of the
# product, that fails, neither by another crash nor by taking long. The broken variants that the simulations switch on (the tables mutants.h) are theirs.
#   MUTANT='mirror|copy'   only those whose names match
use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;
use Test::More;

my @mutants = do './tests/long/mutants.pl' or die "tests/long/mutants.pl: " . ($@ || $!);
my $only = $ENV{MUTANT} // '';
@mutants = grep { $_->[0] =~ /$only/ } @mutants;

my $tree = Cwd::getcwd() . '/build/mutants';
my $sync = 'mkdir -p build/mutants && { git ls-files -z --cached --others --exclude-standard | tar --null -cf - -T - ; } | tar -C build/mutants -xf -';
sub slurp { my ($path) = @_; open my $f, '<', $path or die "$path: $!"; local $/; return <$f> }
sub spew { my ($path, $text) = @_; open my $f, '>', $path or die "$path: $!"; print $f $text; close $f or die "$path: $!" }
sub make {
    my ($target) = @_;
    my $out = `make -s -C $tree -j@{[jobs()]} build/tests/unit/$target 2>&1`;
    diag($out) if $?;
    return $? == 0;
}

# Runs a program over the copy: (its status, what it said).
sub run {
    my ($target) = @_;
    my $out = `cd $tree && timeout 600 build/tests/unit/$target 2>&1`;
    return ($?, $out);
}

# Found: a check of the program's own failed, which it names (what was open then is told as lost memory at its end), or
# an assertion of the product.
sub found {
    my ($file, $from, $to, $target) = @_;
    my $sound = slurp($file);
    my $at = index $sound, $from;
    if ($at < 0 || index($sound, $from, $at + 1) >= 0) {
        diag("$file has this not once: $from");
        return 0;
    }
    spew("$tree/$file", substr($sound, 0, $at) . $to . substr($sound, $at + length $from));
    my ($ok, $status, $out) = make($target);
    ($status, $out) = run($target) if $ok;
    spew("$tree/$file", $sound);
    return 0 unless $ok;
    my ($how) = $out =~ /^not ok \d+ - (.*)\n(?:#.*\n)*?#.*: error: Failure!/m;
    ($how) = $out =~ m{^quidditch: ((?:assertion failed|invariant broken): .* \((?:core|plugins)/.*:\d+\))$}m if !defined $how;
    return diag($out) && 0 unless $status && defined $how;
    note("found by $target: $how");
    return 1;
}

step('a copy of the tree', "$sync && touch " . join ' ', map { "build/mutants/$_->[1]" } @mutants) or BAIL_OUT('no copy');
my %seen;
for my $target (grep { !$seen{$_}++ } map { $_->[4] } @mutants) {
    step("$target passes as it is", sub { make($target) && (run($target))[0] == 0 });
}
for my $m (@mutants) {
    my ($name, @how) = @$m;
    step("$name: found", sub { found(@how) });
}
finish();
