# The recorder sees every door through which a file can be changed, and the maker of power losses
# keeps what was synced and, in some runs, loses what was not.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use PowerLoss;

my $build = $ENV{QD_BUILD} // "$FindBin::Bin/../../build";
plan skip_all => 'tools of the tests are not built' unless -x "$build/tests/record_probe" && -e "$build/tests/librecorder.so";

sub slurp {
    my ($path) = @_;
    open my $f, '<:raw', $path or return undef;
    local $/;
    return scalar <$f>;
}

my @durable = map { "durable-$_" } qw(write pwrite writev o_dsync rwf_dsync truncate renamed linked);

sub probe {
    my ($mute) = @_;
    my $work = tempdir(CLEANUP => 1);
    mkdir "$work/root" or die $!;
    my $rec = PowerLoss->new(root => "$work/root", build => $build);
    local %ENV = (%ENV, $rec->env(mute => $mute));
    my $said = `$build/tests/record_probe $work/root`;
    is($?, 0, "the probe ran ($mute)");
    return ($rec, $said);
}

my ($rec, $said) = probe('');
like($said, qr/^io_uring refused$/m, 'io_uring is refused');
push @durable, 'durable-aio' unless $said =~ /no aio/;
is(join('', $rec->unseen), '', 'nothing went unseen');

my (%bad, %seen);
for my $seed (1 .. 60) {
    my $out = $rec->rebuild($seed, $rec->seq);
    for my $name (@durable) {
        my $text = slurp("$out/$name") // 'absent';
        $bad{$name} = $text if $text ne $name;
    }
    $seen{bytes}{ (slurp("$out/loose-bytes") // '') eq 'loose-bytes' ? 1 : 0 }++;
    $seen{$_}{ -e "$out/loose-$_" ? 1 : 0 }++ for qw(name folder removed);
    remove_tree($out);
}
is_deeply(\%bad, {}, 'what was synced is there in every run');
is(scalar keys %{ $seen{$_} }, 2, "unsynced $_: kept in some runs, lost in others") for qw(bytes name folder removed);

# Every writer that relies on the muted call is found out.
my %relies = (
    'fsync-file' => [qw(durable-write durable-truncate durable-renamed durable-linked)],
    'fdatasync'  => [qw(durable-pwrite durable-writev)],
    'fsync-dir'  => [@durable],
);
for my $mute (sort keys %relies) {
    my ($broken) = probe($mute);
    my %lost;
    for my $seed (1 .. 60) {
        my $out = $broken->rebuild($seed, $broken->seq);
        $lost{$_}++ for grep { (slurp("$out/$_") // '') ne $_ } @durable;
        remove_tree($out);
    }
    is_deeply([sort keys %lost], [sort @{ $relies{$mute} }], "without $mute exactly its users lose");
}

# A sync that failed: the next one succeeds, and the disk has what was written to its pages since, no more.
{
    my $work = tempdir(CLEANUP => 1);
    mkdir "$work/root" or die $!;
    my $rec = PowerLoss->new(root => "$work/root", build => $build);
    my @names = qw(believed again page cut);
    for my $name (@names) {
        local %ENV = (%ENV, $rec->env);
        $rec->fail(under => "/failed-$name");
        is(system("$build/tests/record_probe", "$work/root", "failed-$name"), 0, "the probe ran ($name)");
    }
    is($rec->failed, 4, 'four syncs failed');
    is_deeply([map { $_->[1] =~ s{.*/}{}r } $rec->failures], [map { "failed-$_" } @names], 'and are told');
    my %want = (believed => "\0" x 5000, again => 'a' x 5000, page => "\0" x 4096 . 'a' x 904 . 'bb', cut => 'a' x 4000);
    my %now = (%want, believed => 'a' x 5000, page => 'a' x 5000 . 'bb');
    is_deeply({ map { $_ => slurp("$work/root/failed-$_") } @names }, \%now, 'the cache shows all of it');
    for my $seed (1 .. 10) {
        my $out = $rec->rebuild($seed, $rec->seq);
        is_deeply({ map { $_ => slurp("$out/failed-$_") } @names }, \%want, "seed $seed: the disk does not") or last;
        remove_tree($out);
    }
}
done_testing;
