#!/usr/bin/perl
# 105_same_bytes.t: the same commit, built in two other folders with nothing in common, gives the same packages
# and the same tarball, byte by byte.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../integration/lib";
use File::Temp qw(tempdir);
use QdNode;
use Test::More;

my $top = QdNode::top();
plan skip_all => "SKIPPED: $_ is not installed, no package is built" for grep { system("command -v $_ >/dev/null") != 0 } qw(dh dpkg-deb fakeroot git);
my $dir = tempdir('qd-bytes-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my %sums;
for my $where ('one', 'a longer name/two') {
    my $tree = "$dir/$where" =~ tr/ /-/r;
    is(system("git clone -q '$top' '$tree'"), 0, "the commit in $where");
    # the other one at another hour, by another language and mask, without a compiler's cache
    local $ENV{TZ} = $where eq 'one' ? 'UTC' : 'Asia/Tokyo';
    local $ENV{LANG} = $where eq 'one' ? 'C' : 'C.UTF-8';
    local $ENV{CCACHE_DISABLE} = 1;
    my $umask = umask($where eq 'one' ? 022 : 077);
    is(system("make -s -C '$tree' -j2 deb tarball >'$dir/log' 2>&1"), 0, 'is built') or diag(QdNode::slurp("$dir/log") =~ s/.*(.{2000})\z/$1/sr);
    umask $umask;
    $sums{$where} = `cd '$tree/build/dist' && sha256sum *.deb *.xz`;
    is(() = $sums{$where} =~ /\n/g, 4, 'four files');
}
is($sums{'a longer name/two'}, $sums{one}, 'they are the same bytes');
done_testing;
