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
our @EXPORT_OK = qw(toys installed_sdk build_outside);

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

# Installs the SDK below q of a folder that goes with the test, asserts that, and returns the folder. Skips the whole
# test where there is no pkg-config.
sub installed_sdk {
    my $top = QdNode::top();
    my $cc = $ENV{CC} ? "CC='$ENV{CC}'" : '';
    my $dir = tempdir('qd-sdk-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $dir;
    Test::More::plan(skip_all => 'there is no pkg-config') if system('pkg-config --version >/dev/null 2>&1');
    my $out = `make -s -C '$top' install-sdk DESTDIR='$dir' prefix=/q $cc 2>&1`;
    Test::More::is($? >> 8, 0, 'the SDK is installed') or Test::More::diag($out);
    return $dir;
}

# Builds a plugin in a folder against that SDK, as its author would; asserts that.
sub build_outside {
    my ($dir, $folder, $what) = @_;
    local $ENV{PKG_CONFIG_PATH} = "$dir/q/lib/pkgconfig";
    local $ENV{PKG_CONFIG_SYSROOT_DIR};
    delete local @ENV{qw(CC CFLAGS MAKEFLAGS MAKELEVEL MFLAGS)};
    my $out = `make -C '$folder' all 2>&1`;
    Test::More::is($? >> 8, 0, $what) or Test::More::diag($out);
}

1;
