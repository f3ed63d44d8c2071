#!/usr/bin/perl
# 018_arm64.t: base, json, segment and the kernels of search and aggs are portable: compiled for arm64 by Debian's cross compiler, their
# unit tests run by qemu-user, the quick ones (QD_FULL=1, make check-arm64, the long suite: all). Libraries for arm64 are
# unpacked below build/arm64; nothing is installed. Skipped, loudly, where compiler, qemu or those are not to be had.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Path qw(make_path);
use QdNode;
use Test::More;

my $top = "$FindBin::Bin/../..";
my $dir = "$QdNode::OUT/arm64";
my $root = "$dir/root";
my $cross = $ENV{CROSS} // 'aarch64-linux-gnu-';
my @packages = qw(libuv1 libuv1-dev libzstd1 libzstd-dev libcmocka0 libcmocka-dev libxxhash0 libxxhash-dev);
# under qemu a minute or so each
my %slow = map { $_ => 1 } qw(json/number_t automaton/automaton_t segment/check_t segment/damage_t segment/parts_t segment/segment_t);

sub skipped { print STDERR "SKIPPED: arm64: $_[0]\n"; plan skip_all => $_[0] }
sub has { system("command -v $_[0] >/dev/null 2>&1") == 0 }
for ("${cross}gcc", 'qemu-aarch64') { skipped("there is no $_") unless has($_) }

# apt with lists, cache and state of its own, for the other architecture.
sub libraries {
    return 1 if -e "$root/done";
    make_path("$dir/lists/partial", "$dir/cache/archives/partial", $root);
    open my $f, '>', "$dir/status" or die;
    close $f;
    my $apt = "apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Acquire::Languages=none -o APT::Sandbox::User=root"
        . " -o Dir::State::lists='$dir/lists' -o Dir::State::status='$dir/status' -o Dir::Cache='$dir/cache'";
    has('apt-get') && system("cd '$dir' && timeout 300 $apt update >apt.log 2>&1 && timeout 300 $apt download @packages >>apt.log 2>&1") == 0 or return 0;
    for my $deb (glob "'$dir'/*.deb") { system('dpkg', '-x', $deb, $root) == 0 or return 0 }
    open $f, '>', "$root/done" or die;
    return 1;
}
libraries() or skipped('its libraries cannot be had from Debian');

my $jobs = `nproc` + 0;
chomp(my $include = `gcc -print-multiarch 2>/dev/null`);
my $cc = has('ccache') ? "ccache ${cross}gcc" : "${cross}gcc";
my $log = `make -C '$top' -j$jobs ARCH=aarch64 CC='$cc' AR=${cross}ar ARM64_ROOT='$root' CPPFLAGS='-idirafter /usr/include -idirafter /usr/include/$include' arm64-units 2>&1`;
is($?, 0, 'built for arm64') or diag $log;
for my $unit (split /\s+/, `make -s -C '$top' ARCH=aarch64 CC='$cc' arm64-list`) {
    my $name = $unit =~ s{.*/arm64/}{}r;
    next if $slow{$name} && !$ENV{QD_FULL};
    my $said = `cd '$top' && timeout 600 qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH='$root/usr/lib/aarch64-linux-gnu' $unit 2>&1`;
    ok($? == 0 && $said =~ /^ok/m, $name) or diag $said;
}
done_testing;
