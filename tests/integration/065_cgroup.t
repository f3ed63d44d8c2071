#!/usr/bin/perl
# 065_cgroup.t: a node plans with the memory and the CPUs that its control group has, not with the machine's.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;

my $base = '/sys/fs/cgroup';
my @made;
END { my $status = $?; rmdir $_ for reverse @made; $? = $status }
sub put { my ($file, $text) = @_; open my $f, '>', $file or return 0; print {$f} $text; return close $f }
# A group of this test's own below a folder of the hierarchy, with the limits of the files given; its folder.
sub group {
    my ($above, %files) = @_;
    my $folder = "$above/qd-test-$$";
    return if $> != 0 || !-d $above || !mkdir $folder;
    push @made, $folder;
    for my $file (sort keys %files) { return unless -e "$folder/$file" && put("$folder/$file", $files{$file}) }
    return $folder;
}
my @groups;
if (-e "$base/cgroup.controllers") {
    @groups = group($base, 'memory.max' => 1 << 30, 'cpu.max' => '100000 100000');
} else {
    @groups = (group("$base/memory", 'memory.limit_in_bytes' => 1 << 30), group("$base/cpu", 'cpu.cfs_quota_us' => 100000));
    @groups = () if @groups != 2;
}
plan skip_all => 'LOUD: control groups cannot be made here' unless @groups;
my $enter = join '', map { "echo \$\$ > $_/cgroup.procs && " } @groups;
my $node = QdNode->new('c', wrap => ['sh', '-c', "$enter exec \"\$0\" \"\$@\""]);
$node->start;
my ($n) = values %{ $node->get('/_nodes')->{json}{nodes} };
is($n->{jvm}{mem}{heap_max_in_bytes}, 1 << 29, 'half of what the group may use');
is($n->{os}{allocated_processors}, 1, 'and its CPUs');
is($node->stop, 0, 'it stops');
done_testing;
