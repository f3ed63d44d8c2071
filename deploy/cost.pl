#!/usr/bin/perl
# cost.pl [--print]: reads the prices and set-ups of docs/cost.md and writes its table of sums anew; --print prints the page
# instead. A month has 30 days.
use strict;
use warnings;
use FindBin;

my $page = "$FindBin::Bin/../docs/cost.md";
open my $f, '<', $page or die "$page: $!\n";
my $text = do { local $/; <$f> };
close $f;

my %price = map { /^\| (memory|processor|disk|API server) \| ([\d.]+) \|/ ? ($1 => $2) : () } split /\n/, $text;
my $first;
my $sums = "| set-up | memory | processors | disk | control plane | a month | saved |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n";
for (split /\n/, $text) {
    my ($name, $pods, $gb, $cpu, $disk, $api) = /^\| ([^|]+?) \| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| (\d) \|$/ or next;
    my @part = ($pods * $gb * $price{memory}, $pods * $cpu * $price{processor} * 720, $pods * $disk * $price{disk},
        $api * ($price{'API server'} // 0) * 720);
    my $sum = 0;
    $sum += $_ for @part;
    $first //= $sum;
    $sums .= sprintf "| %s | %.2f | %.2f | %.2f | %.2f | **%.0f** | %.0f |\n", $name, @part, $sum, $first - $sum;
}
die "$page: no prices\n" unless %price && defined $first;
$text =~ s/(<!-- sums -->\n).*?(?=<!-- end -->)/$1$sums/s or die "$page: no place for the sums\n";
if (@ARGV && $ARGV[0] eq '--print') {
    print $text;
} else {
    open my $o, '>', $page or die "$page: $!\n";
    print {$o} $text;
    close $o or die "$page: $!\n";
}
