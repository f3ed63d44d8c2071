# agg_types.t: an aggregation type is one file and one row: types.def lists the row, the file of that name holds it,
# and nothing else in core knows the type.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

my @types = slurp('core/aggs/types.def') =~ /^QDI_AGG\((\w+)\)/mg;
cmp_ok(scalar(@types), '>=', 30, 'types.def lists the types');
my (@none, @elsewhere, @asked);
my @sources = files(qr{^core/.*\.[ch]$});
my %text = map { $_ => slurp($_) =~ s{/\*.*?\*/}{}gsr } @sources;
for my $t (@types) {
    my @of = grep { $text{$_} =~ /^const qd_agg_type qdi_aggs_\Q$t\E = \{/m } @sources;
    push @none, "qdi_aggs_$t stands in: @of" if @of != 1 || $of[0] !~ m{/\Q$t\E\.c$};
    push @elsewhere, map { "$_ names qdi_aggs_$t" } grep { $text{$_} =~ /\bqdi_aggs_\Q$t\E\b/ && !m{/\Q$t\E\.c$} } @sources;
}
# Nor asks for it by its pointer or its name.
for my $f (grep { m{^core/aggs/} } @sources) {
    push @asked, "$f: $1" while $text{$f} =~ /(\b(?:def|a|d)->type\s*[!=]=(?!\s*QD_JSON_T_)[^\n]*)/g;
    push @asked, "$f: $1" while $text{$f} =~ /([^\n]*(?:qd_str_is|strcmp)\([^\n]*type->name[^\n]*)/g;
}
report('each row stands in the file of its type', @none);
report('no other file names a row', @elsewhere);
report('no code asks for a type', @asked);
done_testing();
