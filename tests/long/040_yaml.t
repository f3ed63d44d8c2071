#!/usr/bin/perl
# 040_yaml.t: the YAML tests that Elasticsearch and OpenSearch publish, run against a node of this
# tree, where the folder with them and their runner lies beside the checkout (or YAML_REST names it).
# tests/compat/yaml.floor says for each folder how many must pass: a number may only grow.
#   YAML_ONLY=bulk,get   only these folders, without a floor
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/../integration/lib';
use JSON::PP ();
use QdNode;
use Test::More;

my $top = QdNode::top();
my $rest = $ENV{YAML_REST} || dirname($top) . '/shared/yaml-rest';
plan skip_all => "SKIPPED: there is no $rest/run: the YAML tests are not beside this checkout" unless -f "$rest/run";
plan skip_all => 'SKIPPED: python3 with PyYAML is missing (apt-get install python3-yaml)'
    if system('/usr/bin/python3', '-c', 'import yaml');

my %floor;
open my $f, '<', "$top/tests/compat/yaml.floor" or die "yaml.floor: $!";
while (<$f>) { $floor{$1} = $2 if /^([a-z_.]+)\s+(\d+)/ }
close $f;
my @folders = $ENV{YAML_ONLY} ? split /,/, $ENV{YAML_ONLY} : sort keys %floor;

my $node = QdNode->new('yaml', settings => {'node.attr.testattr' => 'test', 'compatibility.identity' => 'os2', 'action.destructive_requires_name' => 'false'});
$node->start;
my $json = "$node->{dir}/results.json";
my @only = map { ('--only', $_) } @folders;
my $text = `/usr/bin/python3 $rest/run --url @{[$node->url]} --timeout 30 --json $json @only 2>&1`;
my ($table) = $text =~ /\n(folder .*)\z/s;
diag($table // $text);
ok($table, 'the runner came to its end') or BAIL_OUT('no results');
for my $name (@folders) {
    my ($passed, $failed) = $table =~ /^\Q$name\E\s+(\d+)\s+(\d+)/m;
    my $want = $ENV{YAML_ONLY} ? 0 : $floor{$name};
    cmp_ok($passed // 0, '>=', $want, sprintf '%s: %d pass, %d do not', $name, $passed // 0, $failed // 0);
}
ok($node->alive, 'the node lives');
if ($ENV{YAML_FAILURES}) { diag($_) for $text =~ /^(FAIL .*\n.*)$/mg }
$node->stop;
done_testing;
