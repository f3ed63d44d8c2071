#!/usr/bin/perl
# compare.pl PEER OURS FILE...: sends the requests of corpus files (see Oracle.pm) to two nodes and
# prints how the answers differ.
#   -v          all answers in full       -l LINE    only the request of this line, after all before
#   -c          counts only
use strict;
use warnings;
use File::Basename qw(dirname);
use Getopt::Long;
use lib dirname(__FILE__);
use Oracle;

my ($verbose, $only, $count);
GetOptions('v' => \$verbose, 'l=i' => \$only, 'c' => \$count) or exit 2;
my ($peer, $ours, @files) = @ARGV;
die "usage: compare.pl PEER OURS FILE...\n" unless @files;
my $oracle = Oracle->new(peer => $peer, ours => $ours);
my ($requests, $equal, $allowed) = (0, 0, 0);
for my $file (@files) {
    $oracle->clear;
    my %unused;
    for my $r (Oracle::read_corpus($file)) {
        last if $only && $r->{line} > $only;
        my $c = $oracle->compare($r);
        next if $r->{flags}{quiet} && !($only && $r->{line} == $only);
        $requests++;
        $unused{$_->[2]} //= $_ for @{$r->{allow}};
        delete @unused{@{$c->{used}}};
        $unused{$_} = 0 for @{$c->{used}};
        my @d = @{$c->{differences}};
        if (!@d) { $c->{allowed} ? $allowed++ : $equal++ }
        next if $count || ($only && $r->{line} != $only);
        next if !@d && !$verbose && !$only;
        print "$r->{file}:$r->{line}: $r->{method} $r->{path}  ", substr($r->{body}, 0, 300) =~ s/\n/\\n/gr, "\n";
        for my $d (@d) {
            my ($path, $t, $o) = @$d;
            $_ = length > 1500 ? substr($_, 0, 1500) . '...' : $_ for $t, $o;
            print "    $path\n        peer $t\n        ours $o\n";
        }
        print "  PEER $c->{peer}{status} $c->{peer}{content}\n  OURS $c->{ours}{status} $c->{ours}{content}\n" if $verbose || $only;
    }
    print "$_->[2]: allowance of no use: $_->[0]\n" for sort { $a->[2] cmp $b->[2] } grep { ref } values %unused;
}
printf "%d requests: %d equal, %d with allowed differences, %d different\n", $requests, $equal, $allowed, $requests - $equal - $allowed;
exit($requests != $equal + $allowed);
