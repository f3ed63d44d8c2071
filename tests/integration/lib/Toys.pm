# Toys.pm: plugins of tests/plugins as the build under test has them, in a folder that a node may load from.
#
#   my $dir = toys('the toy is built', 'toy-views');
#   QdNode->new('n', settings => {'plugins.path' => $dir, 'plugins.allow' => '+toy-views'});
package Toys;
use strict;
use warnings;
use Exporter 'import';
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use QdNode;
use Test::More ();
our @EXPORT_OK = qw(toys);

# Builds plugins, asserts that, and returns the folder that they are in; it goes with the test.
sub toys {
    my ($what, @names) = @_;
    my ($top, $toys) = (QdNode::top(), "$QdNode::OUT/tests/plugins");
    my $cc = $ENV{CC} ? "CC='$ENV{CC}'" : '';
    (my $rel = $toys) =~ s{^\Q$top\E/}{};
    Test::More::is(system("make -s -C '$top' $cc " . join ' ', map { "$rel/$_.so" } @names), 0, $what);
    my $dir = tempdir('qd-plugins-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $dir;
    for (@names) {
        copy("$toys/$_.so", "$dir/$_.so") or die "$_: $!";
        chmod 0644, "$dir/$_.so";
    }
    return $dir;
}

1;
