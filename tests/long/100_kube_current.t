#!/usr/bin/perl
# 100_kube_current.t: what runs against the API server of Debian's sources runs against a current one too. Skipped,
# loudly, where no Go is installed that can compile it.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;
use Test::More;

if (system('tests/k8s/build-current') != 0) {
    print STDERR "SKIPPED: a current Kubernetes cannot be built here\n";
    plan skip_all => 'SKIPPED: a current Kubernetes cannot be built here';
}
step('everything builds', sub { build('all units') }) or BAIL_OUT('no build');
chomp(my @tests = `grep -l KubeServer tests/integration/*.t`);
step("$_ on a current Kubernetes", "QD_KUBE=current prove -v $_") for @tests;
finish();
