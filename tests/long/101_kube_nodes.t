#!/usr/bin/perl
# 101_kube_nodes.t: a Kubernetes of tests/k8s with controllers, scheduler and nodes, stand-ins and real ones, behaves
# as one in what is leant on. Skipped, loudly, where it cannot be built.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;
use Test::More;

if (system('tests/k8s/build-kube') != 0) {
    print STDERR "SKIPPED: the parts of a Kubernetes cannot be built here\n";
    plan skip_all => 'SKIPPED: the parts of a Kubernetes cannot be built here';
}
step('controllers, scheduler, stand-ins of nodes', 'tests/k8s/kube-check');
step('nodes that run containers',                  'tests/k8s/kube-check --kubelets');
finish();
