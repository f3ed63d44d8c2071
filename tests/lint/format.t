# format.t: every C file is as clang-format writes it by the tree's file. Versions differ in details, so it
# asks for Debian 12's.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

my $version = `clang-format --version 2>/dev/null` || '';
if ($version !~ /version 14\./) {
    print STDERR "SKIPPED: format: there is no clang-format 14\n";
    plan skip_all => 'there is no clang-format 14';
}
chdir top() or die;
my @files = files(qr{\.[ch]$});
my (%bad, @batch);
while (@batch = splice @files, 0, 100) {
    open my $p, '-|', "clang-format --dry-run @batch 2>&1" or die "clang-format: $!";
    while (<$p>) { $bad{"$1:$2"} //= "$1:$2: not as make format writes it" if /^([^:\s]+):(\d+):\d+: warning/ }
    close $p;
}
report('files are formatted', map { $bad{$_} } sort keys %bad);
done_testing;
