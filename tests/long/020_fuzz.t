#!/usr/bin/perl
# 020_fuzz.t: every fuzzer for FUZZ_SECONDS, each a step.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;
use Test::More;

plan skip_all => 'there is no clang' if system('command -v clang >/dev/null') != 0;
my $seconds = count(FUZZ_SECONDS => 60);
step('the fuzzers build', sub { build('fuzz') });
for my $source (sort glob 'tests/fuzz/*_fuzz.c') {
    my ($name) = $source =~ m{(\w+)_fuzz\.c$};
    step("$name for $seconds s", "FUZZ_ONLY=$name FUZZ_SECONDS=$seconds prove -v tests/fuzz/run.t");
}
finish();
