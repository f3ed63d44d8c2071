#!/usr/bin/perl
# 002_install.t: an installed copy works under any prefix, and a moved one too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use QdNode;
use Test::More;

my $top = QdNode::top();
my $dir = tempdir('qd-install-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $cc = $ENV{CC} ? "CC='$ENV{CC}'" : '';
is(system("make -s -C '$top' install DESTDIR='$dir/stage' prefix=/opt/q $cc >/dev/null"), 0, 'make install');
my $home = "$dir/stage/opt/q";
ok(-f "$home/$_", "$_ is installed")
    for qw(bin/quidditchd bin/qd include/quidditch/abi.h lib/pkgconfig/quidditch.pc
    etc/quidditch/quidditch.yml share/quidditch/LICENSE);
like(`make -s -n -C '$top' install V=1 DESTDIR='$dir/other' PREFIX=/opt/p $cc`, qr{ \Q$dir\E/other/opt/p/bin$}m, 'PREFIX is taken too');
my $moved = "$dir/somewhere else";
rename $home, $moved or die;
like(`'$moved/bin/quidditchd' --check-config`, qr{valid: \Q$moved\E/etc/quidditch/quidditch\.yml},
    'the moved copy finds its own settings');
SKIP: {
    skip 'there is no pkg-config', 1 if system('pkg-config --version >/dev/null 2>&1') != 0;
    local $ENV{PKG_CONFIG_PATH} = "$moved/lib/pkgconfig";
    my $flags = `pkg-config --cflags quidditch`;
    like($flags, qr{somewhere\\? else/.*include}, 'pkg-config tells where the moved headers are');
}
local $QdNode::OUT = $moved;
my $node = QdNode->new('m');
$node->start;
my @plugins = glob "'$moved/lib/quidditch/plugins/'*.so";
SKIP: {
    skip 'there are no plugins', 1 unless @plugins;
    like($node->log_text, qr{loaded plugin \[[\w-]+\] \S+ from \Q$moved\E/lib/quidditch/plugins/}, 'its plugins are its own');
}
is($node->stop, 0, 'it runs and stops');
rename $moved, $home or die;
open my $f, '>', "$home/lib/quidditch/plugins/theirs.so" or die;
close $f;
like(`make -s -C '$top' uninstall DESTDIR='$dir/stage' prefix=/opt/q $cc`, qr{what others put into \Q$home\E/lib/quidditch/plugins stays}, 'make uninstall leaves what is of others');
ok(-f "$home/lib/quidditch/plugins/theirs.so", '... where it is');
is(join(' ', sort map { s{^\Q$home\E/}{}r } grep { -f } split /\n/, `find '$home'`), 'etc/quidditch/quidditch.yml lib/quidditch/plugins/theirs.so', '... and takes all of its own but the settings');
done_testing;
