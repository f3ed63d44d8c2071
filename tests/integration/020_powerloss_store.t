# Power losses under a load on storage-nvme: nothing acknowledged is lost at any cut; and a plugin
# that forgets one kind of sync is found out.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use PowerLoss;

my $build = $ENV{QD_BUILD} // "$FindBin::Bin/../../build";
plan skip_all => 'tools of the tests are not built' unless -x "$build/tests/store_tool" && -e "$build/tests/librecorder.so";
my $plugins = "$build/lib/quidditch/plugins";
my $cuts    = $ENV{QD_LONG} ? 1000 : 100;

# Runs the load under the recorder, returns the number of cuts at which something was lost.
sub losses {
    my ($seed, $mute, $n) = @_;
    my $work = tempdir(CLEANUP => 1);
    mkdir "$work/root" or die $!;
    my $rec = PowerLoss->new(root => "$work/root", build => $build);
    {
        local %ENV = (%ENV, $rec->env(mute => $mute));
        system("$build/tests/store_tool", $plugins, 'run', "$work/root", "$work/history", $seed, 80, $rec->seq_file) == 0
            or die "the load failed";
    }
    is(join('', $rec->unseen), '', "seed $seed: the recorder saw everything");
    my ($rnd, $last, $lost) = (PowerLoss::random($seed), $rec->seq, 0);
    for my $i (1 .. $n) {
        my $cut = 1 + $rnd->($last);
        my $out = $rec->rebuild($i, $cut);
        my $why = `$build/tests/store_tool $plugins check $out $work/history $cut`;
        my $rc  = $? >> 8;
        $lost++ if $rc;
        diag("seed $seed, loss $i, cut $cut: $why") if $rc && !$mute;
        remove_tree($out);
    }
    return $lost;
}

is(losses($_, '', $cuts), 0, "seed $_: nothing acknowledged is lost at $cuts cuts") for 1 .. 2;
cmp_ok(losses(3, $_, 30), '>', 3, "without $_ losses are found") for qw(fsync-dir fsync-file fdatasync);
done_testing;
