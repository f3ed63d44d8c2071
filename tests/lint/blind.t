# blind.t: nothing above plugin/ asks which plugin serves it, and no file of a shard is opened past
# the storage kind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

# Names of plugins, and of what serves them, stand in the settings table and in plugin/ itself; else only
# where a default is: nobody may compare with one.
my $name = qr/(?<![\w.])(?:(?:coordination|storage)-)?(?:raft|k8s|kubernetes|nvme|ssd|s3|etcd)(?:-native)?(?![\w.])/i;
my %default = map { $_ => 1 } qw(core/store/tier.c core/main/daemon/mode.c);
# What is written to people, and the benchmark's own node, which has one tier.
my %told = ('core/action/cluster/stats_nodes.c' => qr/^\s*qd_json_field_int\(w, "raft", /,
    'core/main/bench/bench.c' => qr/^\s*const qd_str allow\[\] = /,
    # the one that decides at the start which store there is, and what its records call them
    'core/cluster/authority/mode.c' => qr/^\s*static const char \*const (?:mode|kind)_names\[\] = /);
my (@asks, @mode, @who);
for my $file (files(qr{^core/.*\.[ch]$})) {
    next if $file =~ m{^core/(plugin|config)/};
    my @lines = split /\n/, slurp($file);
    for my $l (literals_of($file)) {
        push @mode, "$file:$l->[0]: \"$l->[1]\" is main's to read"
            if $l->[1] =~ /^coordination\.(?:mode|plugin)$/ && $file !~ m{^core/main/};
        next unless $l->[1] =~ $name;
        my $line = $lines[$l->[0] - 1];
        next if $default{$file} && $line =~ /^#\s*define\s+DEFAULT_/;
        next if $told{$file} && $line =~ $told{$file};
        next if $l->[1] =~ / .* /; # a sentence
        push @asks, "$file:$l->[0]: \"$l->[1]\": ask for capability flags instead";
    }
    next if $file =~ m{^core/main/};
    my $code = code_of($file);
    each_match($code, qr/\bQD_SET_COORDINATION_(?:MODE|PLUGIN)\b/, sub {
        push @mode, "$file:$_[0]: $_[1] is main's to read";
    });
    each_match($code, qr/\bQD_(?:\w+_)?(?:RAFT|K8S|NVME|S3|ETCD)(?:_\w+)?\b/, sub {
        push @asks, "$file:$_[0]: $_[1]: ask for capability flags instead" if $_[1] !~ /^QD_SET_/;
    });
    # Which plugins there are is shown to people, and asked for nothing else.
    next if $file =~ m{^core/action/(?:cat/nodes|nodes/info)\.c$};
    each_match($code, qr/\bqd_plugin_(?:info_get|info|count|name)\b/, sub {
        push @who, "$file:$_[0]: $_[1]: plugins are listed by _cat and _nodes only";
    });
}
report('nothing asks which plugin is loaded', @asks);
report('coordination.mode is read by main only', @mode);
report('the list of plugins is for people', @who);

# runtime/file.h is for the node's own small files.
my %may = map { $_ => 1 } qw(runtime main);
my @files;
for my $file (files(qr{^core/.*\.[ch]$})) {
    # addresses of masters, the newest state acted upon: in path.data, beside the shards
    next if $file =~ m{^core/cluster/(?:remote|authority)/};
    my ($m) = $file =~ m{^core/([^/]+)/};
    next if $may{$m};
    each_match(slurp($file), qr{^\s*#\s*include\s+"runtime/file\.h"}m, sub {
        push @files, "$file:$_[0]: files of a shard are opened through store and the storage kind";
    });
    each_match(code_of($file), qr/\b(?:qd_file_(?:in|out|lock|read|write_atomic|remove|rename)(?:_\w+)?|qd_dir_\w+)\s*\(/, sub {
        push @files, "$file:$_[0]: $_[1]): files of a shard are opened through store and the storage kind";
    });
}
report('no file of a shard is opened past the storage kind', @files);
done_testing;
