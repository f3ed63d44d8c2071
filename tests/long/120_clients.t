#!/usr/bin/perl
# 120_clients.t: clients, frameworks and tools of others do real work (tests/clients/programs). CLIENT=TEXT runs those whose name has that text.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../integration/lib";
use ClientPrograms;
use Test::More;

ClientPrograms::run($_) for ClientPrograms::rows();
diag("\n" . ClientPrograms::table());
done_testing;
