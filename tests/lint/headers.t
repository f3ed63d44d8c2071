# headers.t: every header compiles alone, those of the SDK also as C11 and C++.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

my $cc  = $ENV{CC}  && $ENV{CC} !~ /ccache/ ? $ENV{CC} : 'gcc';
my $cxx = 'g++';

# One compiler run for all headers: each is a translation unit of its own.
sub alone {
    my ($name, $command, @headers) = @_;
    my $out = `cd '@{[top()]}' && $command @headers 2>&1`;
    return ok(1, $name) if $? == 0;
    ok(0, $name);
    diag(join "\n", grep { /error|warning/ } split /\n/, $out);
}

my $flags = '-fsyntax-only -D_GNU_SOURCE -DQD_VERSION=\'"0"\' -Icore -Isdk/include -Ilib -Itests -Wall -Wextra '
    . '-Wno-unused -Wno-unused-function -Werror';
my @core = grep { !m{^core/[^/]+/.*_(tmpl|body)(_int)?\.h$} } files(qr{^core/.*\.h$});
my @lib  = files(qr{^lib/.*\.h$});
my @sdk  = files(qr{^sdk/include/quidditch/.*\.h$});
alone('every header of core compiles alone', "$cc -x c -std=c17 $flags", @core) if @core;
alone('every header of lib compiles alone', "$cc -x c -std=c17 -D_GNU_SOURCE -fsyntax-only -Isdk/include -Ilib -Wall -Wextra -Wno-unused -Werror", @lib) if @lib;
alone('every header of the SDK compiles alone as C11', "$cc -x c -std=c11 $flags -Wpedantic", @sdk) if @sdk;
SKIP: {
    skip 'there is no g++', 1 if system("$cxx --version >/dev/null 2>&1") != 0;
    alone('every header of the SDK compiles alone as C++11', "$cxx -x c++ -std=c++11 $flags", @sdk);
}
done_testing;
