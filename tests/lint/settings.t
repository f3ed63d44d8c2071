# settings.t: nothing is accepted without effect. Every setting of the two tables is read somewhere, by its
# id or by its name, or the table says that it has no effect; and what says so is read nowhere.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

# Groups of ids that are walked from the first to the last, or whose names a macro makes.
my @walked = (
    qr/^SET_ALLOC_(INCLUDE|EXCLUDE|REQUIRE)$/, qr/^IX_ALLOC_(INCLUDE|EXCLUDE|REQUIRE)$/, # cluster/allocation/alloc_view.c: filters_below
    qr/^SET_CLUSTER_METADATA_DISPLAY$/, # text of the users' own, shown by _cluster/settings
    qr/^SET_POOL_/,               # runtime/pool.c: by the pool's name
    qr/^IX_SLOW_(QUERY|FETCH|INDEX)_(INFO|DEBUG|TRACE)$/, # action/api/slow.c: behind the one of WARN
);
# Read to be shown, and for nothing else.
my %shown = map { $_ => 1 } qw(SET_BREAKER_FIELDDATA SET_BREAKER_FIELDDATA_OVERHEAD);
my %code;
for my $file (files(qr{^(?:core|plugins|lib)/.*\.c$})) {
    next if $file =~ m{^core/config/(?!(?:addresses|breakers|config|roles|usable|watermarks)\.c)};
    my $text = slurp($file);
    $code{id}{$1}++ while $text =~ /\bQD_((?:SET|IX)_\w+)/g;
    $code{word}{$1}++ while $text =~ /"((?:[^"\\\n]|\\.)*)"/g;
}
# As the front end is handed it, without http. and the like; groups as the beginning of a text.
sub is_read {
    my ($id, $key) = @_;
    return 1 if $code{id}{$id} || grep { $id =~ $_ } @walked;
    (my $tail = $key) =~ s/^(?:http|index|index\.mapping)\.//;
    return 1 if $code{word}{$key} || $code{word}{$key =~ s/\.$//r};
    return 1 if $key =~ /^http\./ && $code{word}{$tail};
    return 1 if $key =~ /^index\./ && $code{word}{$tail};
    return $key =~ /\.$/ && grep { index($_, $key) == 0 || index($_, $tail) == 0 } keys %{$code{word}};
}
my ($n, @silent, @stale) = (0);
for my $table (['node', 'SET'], ['index', 'IX']) {
    for my $line (split /\n/, slurp("core/config/$table->[0]_settings.def")) {
        my ($sym, $key, $flags) = $line =~ /^QD_SETTING\((\w+), "([^"]+)", .*, ([\w |]+), "(?:[^"\\]|\\.)*"\)$/ or next;
        $n++;
        my $none = $flags =~ /QD_SF_(?:IGNORED|LATER|REFUSED|PRIVATE)/;
        my $read = is_read("$table->[1]_$sym", $key);
        push @silent, "$key: nobody reads it, and the table does not say that it has no effect" if !$none && !$read;
        push @stale, "$key: the table says that it has no effect, but QD_$table->[1]_$sym is read" if $flags =~ /QD_SF_(?:IGNORED|LATER)/ && $code{id}{"$table->[1]_$sym"} && !$shown{"$table->[1]_$sym"};
    }
}
cmp_ok($n, '>', 300, "$n settings");
report('every setting is read, or says that it has no effect', @silent);
report('what says that it has no effect is not read', @stale);
# Components of log lines: those of the sources and those of the table, which says what "logger." may name.
my (%there, %source);
$there{$_}++ for slurp('core/base/log_components.def') =~ /^QD_LOG_COMPONENT\("([^"]+)"\)/mg;
for my $file (files(qr{^(?:core|plugins|lib)/.*\.[ch]$})) {
    my $text = slurp($file);
    $source{$1} = $file while $text =~ /(?:\bqd_log(?:_\w+)?\(\s*|#define \w*LOG\s+|\bconst char component\[\] = )"([^"]+)"/g;
}
report('every component of the log may have a level', map { "$source{$_}: [$_] is not in log_components.def" } grep { !$there{$_} } sort keys %source);
report('every component that may have a level logs', grep { !$source{$_} } sort keys %there);
done_testing;
