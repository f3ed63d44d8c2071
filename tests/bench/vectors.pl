#!/usr/bin/perl
# vectors.pl [--docs N --dims D] [--types T,T] [--full]: make bench PART=vectors. Recall and speed of searches by graphs and codes
# beside hnswlib and faiss, over the same clustered random vectors, one thread each, CPU time: other programs may use the machine.
# Without options 100,000 vectors of 128 dimensions and 20,000 of 768; --full has 1,000,000 and 100,000. Data stay in build/bench-vectors.
use strict;
use warnings;
use Getopt::Long;
use File::Path 'make_path';

my ($docs, $dims, $types, $full) = (0, 128, 'int8_hnsw,bbq_hnsw', 0);
GetOptions('docs=i' => \$docs, 'dims=i' => \$dims, 'types=s' => \$types, full => \$full) or die "see the head of $0\n";
my $out   = 'build/bench-vectors';
my $graph = 'build/tests/bench/graph';
-x $graph or die "$graph is not built: make bench PART=vectors\n";
my @sets = $docs ? [ $docs, $dims ] : $full ? ([ 1_000_000, 128 ], [ 100_000, 768 ]) : ([ 100_000, 128 ], [ 20_000, 768 ]);
for my $set (@sets) {
    my ($n, $d) = @$set;
    my $dir = "$out/$n-$d";
    make_path($dir);
    if (!-s "$dir/shape") { system($graph, 'make', $dir, $n, $d, 1 + int($n / 200), 300) == 0 or die "no data\n" }
    print "== $n vectors of $d dimensions\n";
    system($graph, 'run', $dir, $_) == 0 or die "$graph fails\n" for split /,/, $types;
    system('/usr/bin/env', 'python3', 'tests/bench/peers/vectors.py', $dir) == 0 or print "SKIPPED the peers: python3 with numpy is not there\n";
}
