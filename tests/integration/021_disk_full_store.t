# storage-nvme on a tmpfs that fills up: what was refused is not there by halves, what was
# acknowledged is; when there is room again everything works.
use strict;
use warnings;
use Test::More;
use FindBin;
use File::Temp qw(tempdir);

my $build = $ENV{QD_BUILD} // "$FindBin::Bin/../../build";
plan skip_all => 'tools of the tests are not built' unless -x "$build/tests/store_tool";
plan skip_all => 'mounting a tmpfs needs root' if $> != 0;
my $plugins = "$build/lib/quidditch/plugins";
my $work    = tempdir(CLEANUP => 1);
my $mount   = "$work/full";
mkdir $mount or die $!;
my $size = 1 << 20;
if (system("mount -t tmpfs -o size=$size,mode=700 tmpfs $mount 2>/dev/null") != 0) {
    plan skip_all => 'this machine allows no mounts';
}
END { system("umount $mount 2>/dev/null") if defined $mount && -d $mount }

my $refused = 0;
for (my $slack = 0; $slack <= 65536; $slack += $ENV{QD_LONG} ? 1024 : 8192) {
    system("rm -rf $mount/* $mount/.tmp");
    mkdir "$mount/tier" or die $!;
    open my $f, '>:raw', "$mount/ballast" or die $!;
    syswrite $f, "x" x ($size - 65536 - $slack);
    close $f;
    my $out = `$build/tests/store_tool $plugins full $mount/tier $work/history @{[$slack + 1]} 60 $mount/ballast 2>&1`;
    my $rc = $? >> 8;
    $refused++ if $out =~ /refused [1-9]/;
    chomp(my $why = `$build/tests/store_tool $plugins check $mount/tier $work/history 18446744073709551615`);
    is("$rc $why", '0 ', "slack $slack: nothing lost, works with room again") or diag($out);
}
cmp_ok($refused, '>', 0, 'the disk was full');
done_testing;
