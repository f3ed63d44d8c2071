# references.t: a file that a comment names is there.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

my (%is, %in); # every path, and every end of it: "core/base/err.h", "base/err.h", "err.h"
for my $file (files(qr{.})) {
    my $end = $file;
    $is{$end} = 1;
    $in{$1}{$2} = 1 if $file =~ m{^([^/]+/[^/]+)/(?:.*/)?([^/]+)$};
    $is{$end} = 1 while $end =~ s{^[^/]+/}{};
}
# Of peers, of the system, or made by the build.
my $foreign = qr{^(?:[A-Z]\w*\.java|(?:sys|linux|netinet|openssl|curl|unicode)/.*|(?:sysexits|stdlib|stdio|string|errno|uv|zlib|zstd|sqlite3|jansson|yaml)\.h)$};
my @gone;
for my $file (files(qr{^(?:core|plugins|lib|sdk|tests)/.*\.(?:[ch]|def)$})) {
    my $t = slurp($file);
    while ($t =~ m{(/\*.*?\*/|//[^\n]*)}gs) {
        my ($comment, $at) = ($1, $-[1]);
        my ($home) = $file =~ m{^(core/[^/]+)/};
        while ($comment =~ m{(?<![\w./<-])((?:[\w-]+/)*[\w-]+\.(?:[ch]|def|t|pl|pm|py|md))(?![\w/])}g) {
            my $name = $1;
            next if $name =~ $foreign || $name =~ /^_/; # _avx2.c: an ending
            # a bare name is one of the same module
            next if $name =~ m{/} || !$home ? $is{$name} : $in{$home}{$name};
            my $line = 1 + (substr($t, 0, $at + $-[1]) =~ tr/\n//);
            push @gone, "$file:$line: there is no $name";
        }
    }
}
report('files that comments name are there', @gone);
done_testing;
