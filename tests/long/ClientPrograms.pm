package ClientPrograms;
# ClientPrograms.pm: the programs of tests/clients/programs, each against a node of its own under the identity that its row names. Packages are
# fetched once, by name and version, into CLIENTS (else ~/.cache/quidditch-clients), outside of the tree.
#
#   ClientPrograms::run($_) for ClientPrograms::rows();
#   print ClientPrograms::table();
use strict;
use warnings;
use File::Path qw(make_path);
use QdNode;
use Test::More ();

my $clients = QdNode::top() . '/tests/clients';
my $cache = $ENV{CLIENTS} || ($ENV{XDG_CACHE_HOME} || "$ENV{HOME}/.cache") . '/quidditch-clients';
my %wants = (pip => 'python3', npm => 'node', go => 'go', java => 'mvn', apt => 'dpkg');
my @results;

# The rows; with CLIENT=TEXT those whose name has that text.
sub rows {
    open my $f, '<', "$clients/programs" or die "$clients/programs: $!";
    my @rows;
    while (<$f>) {
        chomp;
        next if /^(?:#|$)/;
        my %row;
        @row{qw(name identity kind program packages)} = split / \| /;
        die "$clients/programs:$.: a row has five cells\n" unless defined $row{packages} && $wants{ $row{kind} };
        push @rows, \%row if index($row{name}, $ENV{CLIENT} // '') >= 0;
    }
    return @rows;
}

# The folder that the row's packages lie in, one for the rows that want the same; undef and why not.
sub fetch {
    my ($row) = @_;
    my $tool = $wants{ $row->{kind} };
    return (undef, "there is no $tool") if system("command -v $tool >/dev/null");
    my $folder = "$cache/" . join '-', $row->{kind}, $row->{packages} =~ s/[^A-Za-z0-9.]+/-/gr =~ s/^-//r;
    make_path($cache);
    my $said = `timeout 900 $clients/fetch $row->{kind} '$folder' $row->{packages} 2>&1`;
    return ($folder) if $? == 0;
    return (undef, 'the packages cannot be fetched: ' . (split /\n/, $said)[-1] // '');
}

sub keep {
    my ($row, $passed, $failed, $word) = @_;
    push @results, [$row->{name}, $row->{identity}, $row->{packages}, $passed, $failed, $word];
}

# One row: a line of TAP for each of its program's, in a subtest.
sub run {
    my ($row) = @_;
    my ($folder, $why) = fetch($row);
    if (!$folder) {
        print STDERR "SKIPPED: $row->{name}: $why\n";
        keep($row, 0, 0, 'skipped');
        Test::More->builder->skip("SKIPPED: $row->{name}: $why");
        return;
    }
    my $node = QdNode->new('client', settings => { 'compatibility.identity' => $row->{identity} });
    $node->start;
    my $scratch = "$node->{dir}/scratch";
    make_path($scratch);
    my ($planned, $passed, $failed) = (0, 0, 0);
    Test::More::subtest("$row->{name} under $row->{identity}" => sub {
        my @command = ('timeout', '900', "$clients/run", $row->{kind}, $folder, $row->{program}, $node->url, $scratch);
        open my $p, '-|', 'sh', '-c', 'exec "$0" "$@" 2>&1', @command or die "$row->{name}: $!";
        while (<$p>) {
            if (/^(not )?ok \d+ - (.*)/) { $1 ? $failed++ : $passed++; Test::More::ok(!$1, $2) }
            elsif (/^1\.\.(\d+)/) { $planned = $1 }
            else { chomp; Test::More::diag($_) }
        }
        close $p;
        Test::More::is($?, 0, 'the program ends with status 0') or $failed++;
        Test::More::ok($planned && $planned == $passed + $failed, 'it comes to its end') or $failed++;
        Test::More::ok($node->alive, 'the node lives') or $failed++;
    });
    keep($row, $passed, $failed, $failed ? 'failed' : 'passed');
    $node->stop;
}

# What became of each row.
sub table {
    my $text = '';
    $text .= sprintf "# %-34s %-4s %4d passed %3d failed  %s\n", @$_[0, 1, 3, 4, 5] for @results;
    return $text;
}
1;
