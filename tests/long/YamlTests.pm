package YamlTests;
# YamlTests.pm: the YAML tests that Elasticsearch and OpenSearch publish, against a node: the folder with them and their
# runner lies beside the checkout, or YAML_REST names it. tests/compat/yaml.failures lists each test that does not pass,
# with the reason. A test that changes sides fails the run: one that fails and is not on the list is a regression, one
# that passes is taken off the list. A reason that begins with "unsteady" is of a test that may do either.
#
#   YamlTests->skip_unless_there;
#   my $node = QdNode->new('yaml', settings => {YamlTests::settings(), ...});
#   YamlTests::run($node);
#
#   YAML_ONLY=bulk,get     only these folders
#   YAML_FAILURES=FILE     writes the list as this run finds it: reasons are kept, new lines have the runner's message
use strict;
use warnings;
use File::Basename qw(dirname);
use JSON::PP ();
use QdNode;
use Test::More ();

my $top = QdNode::top();
my $rest = $ENV{YAML_REST} || dirname($top) . '/shared/yaml-rest';
my $list = "$top/tests/compat/yaml.failures";

sub skip_unless_there {
    my ($why) = !-f "$rest/run" ? "there is no $rest/run: the YAML tests are not beside this checkout"
        : system('/usr/bin/python3', '-c', 'import yaml') ? 'python3 with PyYAML is missing (apt-get install python3-yaml)' : return;
    print STDERR "SKIPPED: $why\n";
    Test::More::plan(skip_all => "SKIPPED: $why");
}
sub settings { return ('node.attr.testattr' => 'test', 'compatibility.identity' => 'os2', 'action.destructive_requires_name' => 'false', 'reindex.remote.whitelist' => '127.0.0.1:*') }

# "file [test]" of each test that is known not to pass => the reason.
sub known {
    my ($head, %why) = ('');
    open my $f, '<', $list or die "$list: $!\n";
    while (my $line = <$f>) {
        if ($line =~ /^(?:#|$)/) { $head .= $line; next }
        my ($id, $why) = $line =~ /^(\S+ \[.*?\])\s+--\s+(\S.*)$/ or die "$list:$.: not 'file [test] -- reason'\n";
        die "$list:$.: $id stands there twice\n" if exists $why{$id};
        $why{$id} = $why;
    }
    return ($head, \%why);
}

sub id { my ($t) = @_; return "$t->{file} [" . ($t->{test} =~ s/\s+/ /gr) . ']' }

sub write_list {
    my ($to, $head, $why, $failed) = @_;
    open my $f, '>:utf8', $to or die "$to: $!\n";
    print $f $head;
    for my $t (@$failed) {
        my $said = ($t->{reason} // $t->{kind} // 'no reason') =~ s/\s+/ /gr;
        print $f id($t), ' -- ', $why->{ id($t) } // substr($said, 0, 400), "\n";
    }
    close $f or die "$to: $!\n";
}

sub run {
    my ($node) = @_;
    my ($head, $why) = known();
    my @only = map { ('--only', $_) } split /,/, $ENV{YAML_ONLY} // '';
    my $out = "$node->{dir}/results.json";
    my $text = `/usr/bin/python3 $rest/run --url @{[$node->url]} --timeout 30 --json $out @only 2>&1`;
    my ($table) = $text =~ /\n(folder .*)\z/s;
    Test::More::diag($table // $text);
    my $results = -f $out ? JSON::PP->new->utf8->decode(QdNode::slurp($out)) : undef;
    Test::More::ok($results && !$results->{aborted}, 'the runner came to its end') or Test::More::BAIL_OUT('no results');
    my %of; # status => tests
    push @{ $of{ $_->{status} } }, $_ for @{ $results->{tests} };
    write_list($ENV{YAML_FAILURES}, $head, $why, $of{failed} // []) if $ENV{YAML_FAILURES};
    my @worse = grep { !exists $why->{ id($_) } } @{ $of{failed} // [] };
    my @better = grep { ($why->{ id($_) } // 'unsteady') !~ /^unsteady/ } @{ $of{passed} // [] };
    Test::More::is_deeply([ map { id($_) . ": $_->{reason}" } @worse ], [], 'every test that is not on the list of failures passes');
    Test::More::is_deeply([ map { id($_) } @better ], [], 'no test on the list of failures passes: take it off');
    my %seen = map { (id($_) => 1) } @{ $results->{tests} };
    Test::More::is_deeply([ grep { !$seen{$_} } sort keys %$why ], [], 'each test on the list exists') unless @only;
    Test::More::diag(sprintf '%d pass, %d fail', scalar @{ $of{passed} // [] }, scalar @{ $of{failed} // [] });
}
1;
