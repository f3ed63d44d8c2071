#!/usr/bin/perl
# abi.t: the plugin ABI is what was released: layouts (ledger.h), and what abidiff sees of a witness
# library that mentions every public type. The headers compile as C11, C17 and C++.
use strict;
use warnings;
use Test::More;
use File::Temp 'tempdir';
use Cwd 'abs_path';

my $here = abs_path(__FILE__) =~ s{/[^/]*$}{}r;
my $top = $here =~ s{/tests/abi$}{}r;
my $tmp = tempdir(CLEANUP => 1);
my @inc = ("-I$top/sdk/include", "-I$here");
sub have { my $p = shift; return grep { -x "$_/$p" } split /:/, $ENV{PATH} }
sub slurp { my $f = shift; open my $h, '<', $f or die "$f: $!"; local $/; return scalar <$h> }
sub spew { my ($f, $text) = @_; open my $h, '>', $f or die "$f: $!"; print $h $text; close $h }
sub run { my $out = `@_ 2>&1`; return ($? >> 8, $out) }

my @headers = map { s{.*/}{}r } glob "$top/sdk/include/quidditch/*.h";
my @compilers = grep { have($_->[0]) } (
    ['gcc', '-std=c11', '-x c'], ['gcc', '-std=c17', '-x c'], ['clang', '-std=c11', '-x c'],
    ['clang', '-std=c17', '-x c'], ['g++', '-std=c++11', '-x c++'], ['clang++', '-std=c++17', '-x c++']);
for my $c (@compilers) {
    my @bad;
    for my $h (@headers) {
        my ($rc, $out) = run("echo '#include <quidditch/$h>' |", $c->[0], $c->[1],
            '-Wall -Wextra -Werror -pedantic', ($c->[0] =~ /\+/ ? () : '-Wpadded'),
            '-fsyntax-only', @inc, $c->[2], '-');
        push @bad, "$h: $out" if $rc;
    }
    ok(!@bad, "every header alone as $c->[1] with $c->[0], without holes") or diag "@bad";
}

for my $cc (grep { have($_) } qw(gcc clang)) {
    my ($rc, $out) = run($cc, '-std=c17 -D_GNU_SOURCE -fsyntax-only', @inc, "$here/ledger.c");
    is($rc, 0, "layouts are as in the ledger ($cc)") or diag $out;
}

# Both kinds of change that must not pass are seen.
sub ledger_fails {
    my ($name, $header, $from, $to) = @_;
    my $dir = "$tmp/$name";
    system("mkdir -p $dir && cp -r $top/sdk/include/quidditch $dir/");
    my $text = slurp("$dir/quidditch/$header");
    ok($text =~ s/\Q$from\E/$to/, "$name: the header can be changed");
    spew("$dir/quidditch/$header", $text);
    my ($rc) = run('gcc -std=c17 -D_GNU_SOURCE -fsyntax-only', "-I$dir", "-I$here", "$here/ledger.c");
    isnt($rc, 0, "$name: the ledger refuses it");
}
ledger_fails('slot-in-the-middle', 'storage.h', "int32_t (*close)(qd_storage *, qd_err *);",
    "int32_t (*sneaked_in)(qd_storage *);\n    int32_t (*close)(qd_storage *, qd_err *);");
ledger_fails('changed-signature', 'storage.h', "int32_t (*close)(qd_storage *, qd_err *);",
    "int32_t (*close)(qd_storage *, int32_t);");
ledger_fails('renumbered-code', 'errors.def', 'QD_ERR(NOMEM, -2,', 'QD_ERR(NOMEM, -902,');

SKIP: {
    skip 'no clang', 1 unless have('clang');
    my ($rc, $out) = run("$here/ledger-lines | grep -vxFf $here/ledger.h");
    is($out, '', 'every member and enumerator is in the ledger (append what ledger-lines prints)');
}

# The numbers in the pkg-config file are those of the header.
my $abi = slurp("$top/sdk/include/quidditch/abi.h");
my $pc = slurp("$top/sdk/quidditch.pc.in");
for my $n (qw(MAJOR MINOR)) {
    my ($h) = $abi =~ /define QD_ABI_$n (\d+)/;
    my ($p) = $pc =~ /abi_\L$n\E=(\d+)/;
    is($p, $h, "quidditch.pc says the header's $n");
}
ok(($abi =~ tr/\n//) <= 400, 'abi.h stays short');

# Lines of the last release stand unchanged in this one.
SKIP: {
    my ($rc, $tag) = run("git -C $top describe --tags --abbrev=0");
    skip 'no release yet', 1 if $rc;
    chomp $tag;
    my ($rc2, $old) = run("git -C $top show $tag:tests/abi/ledger.h");
    skip "no ledger in $tag", 1 if $rc2;
    my %now = map { $_ => 1 } split /\n/, slurp("$here/ledger.h");
    my @gone = grep { /^PIN/ && !$now{$_} } split /\n/, $old;
    is("@gone", '', "no line of $tag was edited");
}

# Stable versions of kinds: their lines are there for as long as their major lives.
my %now = map { $_ => 1 } split /\n/, slurp("$here/ledger.h");
for my $file (glob "$here/stable/*") {
    my @gone = grep { /^PIN/ && !$now{$_} } split /\n/, slurp($file);
    is("@gone", '', "no line of @{[$file =~ s{.*/}{}r]} was edited");
}

# abidiff compares the witness with the stored dump; any difference asks for a new minor, and a new dump.
SKIP: {
    skip 'abigail-tools are not installed', 1 unless have('abidiff') && have('abidw') && have('clang');
    run("$here/ledger-lines --witness > $tmp/witness.c");
    my ($rc, $out) = run('gcc -std=c17 -D_GNU_SOURCE -g -shared -fPIC -fvisibility=hidden', @inc,
        "-o $tmp/witness.so $tmp/witness.c");
    is($rc, 0, 'the witness library is built') or diag $out;
    if ($ENV{QD_ABI_STORE}) {
        run("abidw --no-corpus-path --no-comp-dir-path --drop-private-types $tmp/witness.so > $here/witness.abi");
        my $dump = slurp("$here/witness.abi");    # without the folders of this machine
        $dump =~ s{'[^']*/sdk/include/quidditch}{'quidditch}g;
        $dump =~ s{'\Q$tmp\E[^']*'}{'witness'}g;
        spew("$here/witness.abi", $dump);
    }
    ($rc, $out) = run("abidiff $here/witness.abi $tmp/witness.so");
    is($rc, 0, 'abidiff sees no change (QD_ABI_STORE=1 stores a new dump, with a new minor)') or diag $out;
    # It would see one.
    my $w = slurp("$tmp/witness.c");
    system("mkdir -p $tmp/w && cp -r $top/sdk/include/quidditch $tmp/w/");
    my $text = slurp("$tmp/w/quidditch/abi.h");
    $text =~ s/(uint64_t \(\*u64\)\(qd_self \*\);)/int64_t (*inserted)(qd_self *);\n    $1/;
    spew("$tmp/w/quidditch/abi.h", $text);
    run("gcc -std=c17 -D_GNU_SOURCE -g -shared -fPIC -fvisibility=hidden -I$tmp/w -I$here -o $tmp/changed.so $tmp/witness.c");
    ($rc, $out) = run("abidiff $here/witness.abi $tmp/changed.so");
    isnt($rc, 0, 'abidiff sees an inserted slot');
}
done_testing();
