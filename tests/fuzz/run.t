#!/usr/bin/perl
# run.t: each fuzzer, one a core, for FUZZ_SECONDS (default 3) from its archive of inputs
# (tests/fuzz/corpus/NAME.tar, unpacked into build/fuzz-seeds) and, when there is one, the grown corpus of
# earlier runs in build/fuzz-corpus. A finding is written to build/fuzz-findings; tests/fuzz/pack adds it
# to the archive.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname basename);
use File::Path qw(make_path remove_tree);
use File::Temp ();
use Test::More;

my $top = abs_path(dirname(__FILE__) . '/../..');
chdir $top or die;
my $seconds = $ENV{FUZZ_SECONDS} || 3;
my @only = split /,/, $ENV{FUZZ_ONLY} || '';
my @fuzzers = sort glob "build/san-fuzzer-no-link-address-undefined-clang/tests/fuzz/*_fuzz";
plan skip_all => 'no fuzzer is built (make fuzz)' unless @fuzzers;
@fuzzers = grep { my $n = name_of($_); !@only || grep { $_ eq $n } @only } @fuzzers;
make_path('build/fuzz-findings');
chomp(my $cores = `nproc`);

sub name_of { (my $name = basename(shift)) =~ s/_fuzz$//; return $name }

sub start {
    my $f = shift;
    my $name = name_of($f);
    my $grown = "build/fuzz-corpus/$name";
    make_path($grown);
    my $seeds = "build/fuzz-seeds/$name";
    remove_tree($seeds);
    system('tests/fuzz/pack', '--unpack', $name, $seeds) == 0 or die "tests/fuzz/corpus/$name.tar: not unpacked";
    my @dirs = ($grown, $seeds);
    my $dict = -f "tests/fuzz/$name.dict" ? "-dict=tests/fuzz/$name.dict" : '';
    my $log = File::Temp->new; # a file: a full pipe would hold a fuzzer up until its turn to be read
    open my $end, '-|', "./$f -max_total_time=$seconds -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=build/fuzz-findings/$name- $dict @dirs >$log 2>&1"
        or die "$f: $!";
    return [$name, $end, $log];
}

sub finish {
    my ($name, $end, $log) = @{ +shift };
    my $ok = close $end; # waits for it
    my $out = do { local $/; <$log> } // '';
    my ($runs) = $out =~ /stat::number_of_executed_units:\s*(\d+)/;
    my @lines = split /\n/, $out;
    ok($ok, "$name: " . ($runs // 0) . ' inputs');
    diag(join "\n", @lines > 40 ? @lines[-40 .. -1] : @lines) unless $ok;
}

# as many at a time as there are cores: a fuzzer is one thread
my @running;
for my $f (@fuzzers) {
    push @running, start($f);
    finish(shift @running) if @running >= ($cores || 1);
}
finish($_) for @running;
done_testing;
