# field_types.t: a type of field is a row of core/mapping: above it a field is its value class, what its numbers are and
# whether they are dates.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

my $rows  = code_of('core/mapping/type_int.h');
my @names = slurp('core/mapping/types/types.def') =~ /^QD_FIELD_TYPE\((\w+)\)/mg;
my ($kinds) = $rows =~ /enum qd_field_kind \{(.*?)\}/s;
my @kinds = ($kinds // '') =~ /(QD_FIELD_\w+)/g;
cmp_ok(scalar(@names), '>=', 13, 'types.def lists the rows');
cmp_ok(scalar(@kinds), '>=', 8,  'type_int.h has the kinds of numbers');

my $known = join '|', map({ "qdi_type_$_" } @names), @kinds, 'qd_field_kind', 'qd_field_type';
my (@named, @asked);
for my $file (grep { !m{^core/mapping/} } files(qr{^(?:core|plugins|sdk)/.*\.[ch]$})) {
    my $code = code_of($file);
    each_match($code, qr/\b($known)\b/, sub { push @named, "$file:$_[0]: $_[1]" });
    each_match($code, qr/(\b(?:strcmp|qd_str_is|qd_str_eq)\s*\([^;]*\bqd_field_type_name\b[^;]*)/, sub { push @asked, "$file:$_[0]: $_[1]" });
    push @named, "$file: mapping/type_int.h" if slurp($file) =~ m{#include "mapping/type_int\.h"};
}
report('nothing above mapping names a type', @named);
report('nothing above mapping asks for the name of a field\'s type', @asked);
done_testing();
