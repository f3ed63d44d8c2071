# banned.t: functions and flags that are not used here, each with what takes its place.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

my %instead = (
    strcpy  => 'qd_buf, or snprintf with the room',
    stpcpy  => 'qd_buf, or memcpy with a length',
    strcat  => 'qd_buf',
    strncat => 'qd_buf',
    sprintf  => 'qd_buf_printf, or snprintf',
    vsprintf => 'vsnprintf',
    strtok   => 'qd_str_split',
    strtok_r => 'qd_str_split',
    atoi => 'qd_str_i64', atol => 'qd_str_i64', atoll => 'qd_str_i64',
    atof => 'qd_f64_parse of json/number.h', strtod => 'qd_f64_parse of json/number.h',
    strtof => 'qd_f32_parse of json/number.h',
    gets => 'qd_file_in_read', alloca => 'an arena', setlocale => 'nothing: the program has no locale',
    longjmp => 'error codes', setjmp => 'error codes', asprintf => 'qd_buf_printf', vasprintf => 'qd_buf_printf',
    strdup => 'qd_memdup', strndup => 'qd_memdup', assert => 'qd_assert',
    abort => 'qd_assert', strerror_l => 'qd_err_errno',
);
my %heap = map { $_ => 'qd_alloc, qd_free of base/mem.h (a plugin: the mem service)' }
    qw(malloc calloc realloc free aligned_alloc posix_memalign memalign);

# Where a function is at home.
my %home = (
    (map { $_ => qr{^core/base/mem\.c$} } keys %heap),
    abort => qr{^(?:core/base/assert\.c|plugins/coordination-common/bytes\.c|plugins/coordination-common/invariant\.c)$},
);

my @bad;
my %all = (%instead, %heap);
my $names = join '|', sort keys %all;
for my $file (files(qr{^(core|plugins|lib|sdk)/.*\.[ch]$})) {
    each_match(code_of($file), qr/(?<![\w.>*])(?:$names)\s*\((?!\*)/, sub {
        my ($line, $hit) = @_;
        $hit =~ s/\s*\($//;
        return if $home{$hit} && $file =~ $home{$hit};
        return if $heap{$hit} && $file =~ m{^sdk/conformance/}; # test programs
        my $text = (split /\n/, code_of($file))[$line - 1];
        return if $text =~ /^\s*#\s*define/ || $text =~ /\)\s*\(\s*\*?\s*$hit\b/;
        return if $text =~ /\(\*\s*$hit\s*\)/;
        push @bad, "$file:$line: $hit: use $all{$hit}";
    });
}
report('no banned function', @bad);

my @vla;
for my $file (files(qr{^(Makefile|.*\.mk|.*/plugin\.def)$})) {
    my $n = 0;
    for (split /\n/, slurp($file)) {
        $n++;
        push @vla, "$file:$n: $1 changes results between CPUs and compilers"
            if !/^\s*#/ && /(-ffast-math|-Ofast|-funsafe-math\S*|-ffp-contract=fast|-march=native)/;
    }
}
for my $file (files(qr{^(core|plugins|lib)/.*\.[ch]$})) {
    each_match(slurp($file), qr/(#\s*pragma[^\n]*(?:fast-math|FP_CONTRACT\s+ON)|optimize\s*\(\s*"[^"]*fast-math)/, sub {
        push @vla, "$file:$_[0]: $_[1]";
    });
}
report('no fast-math', @vla);

my %seen;
my @codes;
for (split /\n/, slurp('sdk/include/quidditch/errors.def')) {
    next unless /^QD_ERR\((\w+),\s*(-\d+),/;
    push @codes, "errors.def: $1 and $seen{$2} share the code $2" if $seen{$2};
    $seen{$2} = $1;
}
report('error codes are unique', @codes);
done_testing;
