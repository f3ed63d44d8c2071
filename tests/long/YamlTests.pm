package YamlTests;
# YamlTests.pm: the YAML tests that Elasticsearch and OpenSearch publish, against a node: the folder with them and their
# runner lies beside the checkout, or YAML_REST names it. tests/compat/yaml.floor says for each folder how many must
# pass: a number may only grow.
#
#   YamlTests->skip_unless_there;
#   my $node = QdNode->new('yaml', settings => {YamlTests::settings(), ...});
#   YamlTests::run($node);
#
#   YAML_ONLY=bulk,get   only these folders, without a floor
#   YAML_FAILURES=1      tells each that does not pass
use strict;
use warnings;
use File::Basename qw(dirname);
use QdNode;
use Test::More ();

my $top = QdNode::top();
my $rest = $ENV{YAML_REST} || dirname($top) . '/shared/yaml-rest';

sub skip_unless_there {
    my ($why) = !-f "$rest/run" ? "there is no $rest/run: the YAML tests are not beside this checkout"
        : system('/usr/bin/python3', '-c', 'import yaml') ? 'python3 with PyYAML is missing (apt-get install python3-yaml)' : return;
    print STDERR "SKIPPED: $why\n";
    Test::More::plan(skip_all => "SKIPPED: $why");
}
sub settings { return ('node.attr.testattr' => 'test', 'compatibility.identity' => 'os2', 'action.destructive_requires_name' => 'false') }

sub run {
    my ($node) = @_;
    my %floor;
    open my $f, '<', "$top/tests/compat/yaml.floor" or die "yaml.floor: $!";
    while (<$f>) { $floor{$1} = $2 if /^([a-z_.]+)\s+(\d+)/ }
    close $f;
    my @folders = $ENV{YAML_ONLY} ? split /,/, $ENV{YAML_ONLY} : sort keys %floor;
    my @only = map { ('--only', $_) } @folders;
    my $text = `/usr/bin/python3 $rest/run --url @{[$node->url]} --timeout 30 --json $node->{dir}/results.json @only 2>&1`;
    my ($table) = $text =~ /\n(folder .*)\z/s;
    Test::More::diag($table // $text);
    Test::More::ok($table, 'the runner came to its end') or Test::More::BAIL_OUT('no results');
    for my $name (@folders) {
        my ($passed, $failed) = $table =~ /^\Q$name\E\s+(\d+)\s+(\d+)/m;
        my $want = $ENV{YAML_ONLY} ? 0 : $floor{$name};
        Test::More::cmp_ok($passed // 0, '>=', $want, sprintf '%s: %d pass, %d do not', $name, $passed // 0, $failed // 0);
    }
    if ($ENV{YAML_FAILURES}) { Test::More::diag($_) for $text =~ /^(FAIL .*\n.*)$/mg }
}
1;
