#!/usr/bin/perl
# 031_arm64.t: all unit tests of the portable modules on arm64, by qemu-user.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;
use Test::More;

step('units for arm64', 'QD_FULL=1 prove -v tests/integration/018_arm64.t');
finish();
