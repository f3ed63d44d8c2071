# variants.t: the broken variants of whole nodes (tests/sim/node_defects.def) and the table of docs/simulation.md
# name the same rules, the same files, the same tests and the same numbers of schedules; each rule that a row
# names stands in its file.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

my (%code, %page, @odd);
for my $row (slurp('tests/sim/node_defects.def') =~ /^DEFECT\((.*?)\)$/msg) {
    $row =~ s/"\s+"//g;
    my ($var, $constant, $name, $where, $test, $after)
        = $row =~ /^(\w+),\s*(\w+),\s*"(\w+)",\s*"([^"]+)",\s*"([^"]+)",\s*(\d+)$/
        or do { push @odd, "no row of six: $row"; next };
    push @odd, "$name: $constant is another one" if $constant !~ /BROKEN_\Q$name\E$/;
    push @odd, "$name stands there twice" if $code{$name};
    $code{$name} = join ' | ', $where, $test, $after || '';
    for my $file (split /, /, $where) {
        my ($path) = files(qr{^core/(?:replication|engine)/\Q$file\E$});
        my $use = $var eq 'repl_variant' ? "repl_broken($name)" : "QD_VARIANT($name)";
        push @odd, "$name: no $use in $file" if !$path || index(slurp($path), $use) < 0;
    }
}
my ($table) = slurp('docs/simulation.md') =~ /^\| rule \| stands in \| found by \| after schedules \|\n\|[-:|]+\|\n((?:\|.*\n)+)/m;
for my $line (split /\n/, $table // '') {
    my ($name, $where, $test, $after) = $line =~ /^\| (\w+): [^|]+ \| ([^|]+?) \| ([^|]+?) \| ?(\d*) ?\|$/
        or do { push @odd, "no row of the table: $line"; next };
    tr/`//d for $where, $test;
    push @odd, "$name has two rows" if $page{$name};
    $page{$name} = join ' | ', $where, $test, $after;
}
for my $name (sort keys %{{ %code, %page }}) {
    my ($c, $p) = ($code{$name} // 'not there', $page{$name} // 'not there');
    push @odd, "$name: the table of code says [$c], the page [$p]" if $c ne $p;
}
is("@odd", '', 'broken variants are told as they are: ' . keys(%code) . ' of them') or diag(join "\n", @odd);
done_testing();
