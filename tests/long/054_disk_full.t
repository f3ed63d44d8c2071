#!/usr/bin/perl
# 054_disk_full.t: a full disk at each KiB of slack from 0 to 64 KiB: the daemon, storage-nvme and the
# coordination store on a tmpfs (which gives out whole pages; each byte of slack: part engine).
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;

step('everything builds', sub { build('all units') });
$ENV{QD_LONG} = 1;
for (my $from = 0; $from <= 65536; $from += 16384) {
    my $to = $from + 15360 > 65536 ? 65536 : $from + 15360;
    step("the daemon at slacks $from to $to", "SLACK=$from,$to,1024 prove -v tests/integration/330_disk_full.t");
}
step('storage-nvme', 'prove -v tests/integration/021_disk_full_store.t');
step('the coordination store', 'prove -v tests/integration/024_disk_full_coordination.t');
finish();
