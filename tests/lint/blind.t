# blind.t: nothing above plugin/ asks which plugin serves it, and no file of a shard is opened past
# the storage kind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

# Names of plugins may stand in the settings table, in plugin/ itself and where main maps a mode to a
# name; nobody may compare with one.
my $name = qr/(?:coordination|storage)-(?:raft|k8s|nvme|ssd|s3|etcd)/;
my (@asks, @mode);
for my $file (files(qr{^core/.*\.[ch]$})) {
    next if $file =~ m{^core/(plugin|config)/};
    for my $l (literals_of($file)) {
        next unless $l->[1] =~ $name;
        my $line = (split /\n/, slurp($file))[$l->[0] - 1];
        next if $line =~ /#\s*define\s+DEFAULT_/;
        next if $file =~ m{^core/main/} && $line !~ /strn?c(ase)?cmp|qd_str_(is|eq|ieq|starts)/;
        push @asks, "$file:$l->[0]: \"$l->[1]\": ask for capability flags instead";
    }
    next if $file =~ m{^core/main/};
    each_match(code_of($file), qr/\bQD_SET_COORDINATION_(?:MODE|PLUGIN)\b/, sub {
        push @mode, "$file:$_[0]: $_[1] is main's to read";
    });
}
report('nothing asks which plugin is loaded', @asks);
report('coordination.mode is read by main only', @mode);

# runtime/file.h is for the node's own small files.
my %may = map { $_ => 1 } qw(runtime plugin main analysis ops net rest);
my @files;
for my $file (files(qr{^core/.*\.[ch]$})) {
    my ($m) = $file =~ m{^core/([^/]+)/};
    next if $may{$m};
    each_match(slurp($file), qr{^\s*#\s*include\s+"runtime/file\.h"}m, sub {
        push @files, "$file:$_[0]: files of a shard are opened through store and the storage kind";
    });
}
report('no file of a shard is opened past the storage kind', @files);
done_testing;
