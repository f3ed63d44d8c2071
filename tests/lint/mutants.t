#!/usr/bin/perl
# mutants.t: what a mutant of the long suite replaces stands in the sources, once, and who has to find it is a unit test:
# a change of those lines changes the mutant too, and not only once the long suite runs.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use Test::More;

chdir abs_path(dirname(__FILE__) . '/../..') or die;
my @mutants = do './tests/long/mutants.pl';
die 'tests/long/mutants.pl: ' . ($@ || $! || 'gives none') unless @mutants;
for my $m (@mutants) {
    my ($name, $file, $from, $to, $unit) = @$m;
    my $text = '';
    if (open my $f, '<', $file) { local $/; $text = <$f> // '' }
    my $times = () = $text =~ /\Q$from\E/g;
    ok($times == 1 && $from ne $to && -e "tests/unit/$unit.c", "$name: once in $file, found by $unit")
        or diag("it stands there $times times: $from");
}
done_testing();
