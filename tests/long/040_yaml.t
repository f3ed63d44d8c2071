#!/usr/bin/perl
# 040_yaml.t: the YAML tests that Elasticsearch and OpenSearch publish (YamlTests.pm), run against a node of this tree.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../integration/lib";
use QdNode;
use Test::More;
use YamlTests;

YamlTests->skip_unless_there;
my $node = QdNode->new('yaml', settings => {YamlTests::settings()});
$node->start;
YamlTests::run($node);
ok($node->alive, 'the node lives');
$node->stop;
done_testing;
