# coordination-raft on a tmpfs that is full, or fills up under it: changes are refused, nothing
# acknowledged is lost, the process lives, and with room again everything works.
use strict;
use warnings;
use Test::More;
use FindBin;
use File::Temp qw(tempdir);

my $build = $ENV{QD_BUILD} // "$FindBin::Bin/../../build";
plan skip_all => 'tools of the tests are not built' unless -x "$build/tests/coord_tool";
plan skip_all => 'mounting a tmpfs needs root' if $> != 0;
my ($plugins, $tool) = ("$build/lib/quidditch/plugins", "$build/tests/coord_tool");
my $work  = tempdir(CLEANUP => 1);
my $mount = "$work/full";
mkdir $mount or die $!;
if (system("mount -t tmpfs -o size=48m,mode=700 tmpfs $mount 2>/dev/null") != 0) {
    plan skip_all => 'this machine allows no mounts';
}
END { my $rc = $?; system("umount $mount 2>/dev/null") if defined $mount && -d $mount; $? = $rc }

my $refused = 0;
for my $mb ($ENV{QD_LONG} ? (0 .. 47) : (0, 20, 28, 32, 40, 47)) {
    system "rm -rf $mount/* $work/history";
    mkdir "$mount/store", 0700 or die $!;
    system "head -c ${mb}M /dev/zero > $mount/ballast";
    my $out = `$tool $plugins run $mount/store $work/history $mb 150 2>&1`;
    cmp_ok($? >> 8, '<=', 1, "$mb MB taken: the process lives") or diag "$? $out";
    is($? & 127, 0, 'no signal ends it');
    $refused++ if $out =~ /disk of the coordination store is full|not enough space/;
    unlink "$mount/ballast";
    my $why = `$tool $plugins check $mount/store $work/history $mb 18446744073709551615 2>&1`;
    is($?, 0, 'nothing is lost, and it works with room again') or diag $why;
}
cmp_ok($refused, '>', 0, 'the disk was full');
done_testing;
