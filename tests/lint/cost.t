# cost.t: the sums of docs/cost.md are what deploy/cost.pl computes from its tables.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

my $top = top();
is(scalar `$^X '$top/deploy/cost.pl' --print`, slurp('docs/cost.md'), 'docs/cost.md is computed (else: perl deploy/cost.pl)');
my ($masters) = slurp('docs/cost.md') =~ /^\| three masters as the manifests request them \|(?: [\d.]+ \|){4} \*\*(\d+)\*\*/m;
is($masters, 162, 'three masters cost 162 a month by the prices of the page');
done_testing;
