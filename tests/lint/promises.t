# promises.t: docs/deploy/promises.md: each promise of the guides names tests that exist, and words that stand in the first
# of them; each once, in order.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

chdir top() or die;
my $page = slurp('docs/deploy/promises.md');
my (@ids, @bad);
for my $line (grep { /^\| S\d/ } split /\n/, $page) {
    my ($id, $promise, $by, $words) = $line =~ /^\| (S\d-\d\d+) \| (\S[^|]*) \| ([^|]+) \| `([^`|]+)` \|$/;
    if (!defined $id) { push @bad, "cannot be read: $line"; next }
    push @ids, $id;
    my @tests = $by =~ m{\(\.\./\.\./(tests/[^)]+)\)}g;
    push @bad, "$id names no test" unless @tests;
    push @bad, map { "$id: there is no $_" } grep { !-f } @tests;
    push @bad, "$id: [$words] does not stand in $tests[0]" if @tests && -f $tests[0] && index(slurp($tests[0]), $words) < 0;
}
report('each promise has a test that keeps it', @bad);
cmp_ok(scalar @ids, '>=', 90, 'promises: ' . @ids);
my @order = sort { my ($a1, $a2) = $a =~ /(\d+)-(\d+)/; my ($b1, $b2) = $b =~ /(\d+)-(\d+)/; $a1 <=> $b1 || $a2 <=> $b2 } @ids;
my %seen;
report('each once, in order', (grep { $seen{$_}++ } @ids), "@ids" eq "@order" ? () : 'their order is another one');

# Sizing: what is often recommended beside what was measured here, for each role.
my $sizing = slurp('docs/sizing.md');
report('docs/sizing.md has recommendation and measurement of each role',
    grep { $sizing !~ /^\| $_->[0] \| $_->[1] GB \| [^|]*\d+ GB[^|]* \| \d+ MiB/m } ['master', 8], ['coordination', 16], ['data', 64]);
done_testing;
