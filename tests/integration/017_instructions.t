#!/usr/bin/perl
# 017_instructions.t: no hot path takes more than 5 % more instructions than its line in tests/bench/budget
# says; and this would be seen: a parser with a loop too many, an item without a line, a gain that is not kept.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use QdNode;
use Test::More;

my $budget = "$FindBin::Bin/../bench/budget.pl";
my $dir = tempdir('qd-instructions-XXXXXX', TMPDIR => 1, CLEANUP => 1);
sub budget { # status, all that it says
    my $said = `perl $budget @_ 2>&1`;
    return ($? >> 8, $said);
}

my ($rc, $said) = budget();
if ($rc == 3) {
    print STDERR $said;
    plan skip_all => $said =~ s/\n.*//sr;
}
is($rc, 0, 'every item is within its line') or diag $said;
diag(grep { /SHRUNK/ } split /^/m, $said) if $said =~ /SHRUNK/;

my $slow = "$QdNode::OUT/tests/bench/budget_run_slow";
($rc, $said) = budget('--program', $slow, 'json_parse', 'index_plain');
is($rc, 1, 'a loop too many for each event of the parser is found');
like($said, qr/^json_parse .*GROWN$/m, 'it says where');
like($said, qr/make bench-budget UPDATE=1/, 'and how a line is changed');

sub lines { my ($text) = @_; open my $h, '>', "$dir/budget" or die; print $h $text; close $h; return "--budget $dir/budget" }
($rc, $said) = budget(lines("# a head\nmerge 1 a note\n"), 'json_parse');
is($rc, 1, 'an item without a line fails');
like($said, qr/has no line/, 'saying so');
($rc, $said) = budget(lines("json_parse 20000000 a note\n"), 'json_parse');
is($rc, 0, 'one that has shrunk does not fail');
like($said, qr/^json_parse .*SHRUNK.*UPDATE=1/ms, 'but is told loudly');
($rc, $said) = budget('jason_parse');
ok($rc != 0 && $said =~ /there is no item jason_parse/, 'an item that there is not is no item that is well') or diag $said;
($rc, $said) = budget(lines("# a head\njson_parse 20000000 a note\n"), '--update', 'json_parse');
like(QdNode::slurp("$dir/budget"), qr/\A# a head\njson_parse +\d{7,8}  a note\n\z/, 'update: head and note stay');
done_testing;
