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
    my ($table, $name, $where, $test, $after) = $row =~ /^(\w+),\s*(\w+),\s*"([^"]+)",\s*"([^"]+)",\s*(\d+)$/
        or do { push @odd, "no row of five: $row"; next };
    push @odd, "$name stands there twice" if $code{$name};
    $code{$name} = join ' | ', $where, $test, $after || '';
    for my $file (split /, /, $where) {
        my ($path) = files(qr{^core/(?:replication|engine)/\Q$file\E$});
        my $use = "QD_MUTANT($table, $name)";
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

# The tables of mutants (lib/check/mutant.h): each row is asked for where its rule stands, and nothing asks for others.
my (%row, %asked, %of, @tables);
for my $file (files(qr{^(?:core|plugins)/.*/mutants\.h$})) {
    my $text = slurp($file);
    my ($set) = $text =~ /^QD_MUTANTS\((\w+), /m or do { push @tables, "$file declares no table"; next };
    push @tables, "$file: $of{$set} is the table $set already" if $of{$set};
    $of{$set} = $file;
    $row{"$set, $1"} = $file while $text =~ /^\s+X\(S, (\w+), "/mg;
}
for my $file (files(qr{^(?:core|plugins|tests/sim)/.*\.[ch]$})) {
    my $text = slurp($file);
    $asked{"$1, $2"} //= $file while $text =~ /\bQD_MUTANT\(\s*(\w+),\s*(\w+)\)/g;
}
push @tables, map { "$row{$_}: nothing asks for $_" } grep { !$asked{$_} } sort keys %row;
push @tables, map { "$asked{$_}: no table has $_" } grep { !$row{$_} } sort keys %asked;
is("@tables", '', 'each mutant is asked for where its rule stands: ' . keys(%row) . ' of ' . keys(%of) . ' tables') or diag(join "\n", @tables);
done_testing();
