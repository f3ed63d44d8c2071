#!/usr/bin/perl
# run.t: each fuzzer for FUZZ_SECONDS (default 3) from its kept corpus and, when there is one, the
# grown corpus of earlier runs in build/fuzz-corpus. A finding is written to build/fuzz-findings.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname basename);
use File::Path qw(make_path);
use Test::More;

my $top = abs_path(dirname(__FILE__) . '/../..');
chdir $top or die;
my $seconds = $ENV{FUZZ_SECONDS} || 3;
my @only = split /,/, $ENV{FUZZ_ONLY} || '';
my @fuzzers = sort glob "build/san-fuzzer-no-link-address-undefined-clang/tests/fuzz/*_fuzz";
plan skip_all => 'no fuzzer is built (make fuzz)' unless @fuzzers;
for my $f (@fuzzers) {
    (my $name = basename($f)) =~ s/_fuzz$//;
    next if @only && !grep { $_ eq $name } @only;
    my $grown = "build/fuzz-corpus/$name";
    make_path($grown, 'build/fuzz-findings');
    my @dirs = ($grown, grep { -d } "tests/fuzz/corpus/$name");
    my $dict = -f "tests/fuzz/$name.dict" ? "-dict=tests/fuzz/$name.dict" : '';
    my $out = `./$f -max_total_time=$seconds -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=build/fuzz-findings/$name- $dict @dirs 2>&1`;
    my $ok = $? == 0;
    my ($runs) = $out =~ /stat::number_of_executed_units:\s*(\d+)/;
    ok($ok, "$name: " . ($runs // 0) . ' inputs');
    diag(join "\n", (split /\n/, $out)[-40 .. -1]) unless $ok;
}
done_testing;
