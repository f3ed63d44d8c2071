#!/usr/bin/perl
# 019_cpu_levels.t: with kernels capped to each level that this CPU has (QD_CPU=v2, v3, v4) the unit tests of searching,
# aggregations, segments, JSON and analysis pass (the highest level has them in the unit part), and `qd bench` writes the same
# segments, byte for byte, and the same result files for the same queries (scores in all their digits), times aside. Levels that the CPU lacks are skipped, loudly.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use File::Temp qw(tempdir);
use JSON::PP qw(decode_json);
use QdNode;
use Test::More;

my ($bench, $out) = ("$FindBin::Bin/../bench", $QdNode::OUT);
my $dir = tempdir('qd-levels-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $cc = $ENV{CC} || 'gcc';
sub sh { my ($cmd) = @_; my $said = `$cmd 2>&1`; is($?, 0, $cmd =~ s/\Q$dir\E\/?//gr) or diag $said; return $said }

# what damages files or goes over the wire runs at one level: kernels have no part in it
my @units = grep { !m{/(damage|faults|wire|sketch|number)_t$} } glob "$out/tests/unit/{search,aggs,segment,json,analysis}/*_t";
ok(@units > 10, 'there are unit tests') or diag 'make units';

sh("$cc -O1 -o $dir/gen_rows $bench/gen_rows.c -lm");
sh("$cc -O1 -o $dir/gen_corpus $bench/gen_corpus.c -lm");
sh("$cc -O1 -o $dir/gen_queries $bench/gen_queries.c -lm");
sh("$dir/gen_rows $_ 6000 3 > $dir/$_.jsonl && perl $bench/gen_bodies.pl $_ $dir/$_.jsonl 6 > $dir/$_.q") for qw(logs taxi);
sh("$dir/gen_corpus 6000 3 2>$dir/log > $dir/text.jsonl && $dir/gen_queries $dir/text.jsonl 10 > $dir/text.tsv 2>$dir/log");
sh("(cat $dir/text.tsv; perl $bench/gen_bodies.pl text $dir/text.tsv 6) > $dir/text.q");

# Everything but the times of a result file.
sub answers {
    my ($level, $kind) = @_;
    my $index = "$dir/$kind-$level";
    local $ENV{QD_CPU} = $level;
    # one flush: when segments are flushed on the way hangs on time
    sh("$out/bin/qd bench index --in $dir/$kind.jsonl --index $index --es-append --refresh-ms 1000000 --mapping $bench/mappings/$kind.json --merge");
    my $said = sh("$out/bin/qd bench search --index $index --queries $dir/$kind.q --mapping $bench/mappings/$kind.json"
        . " --cmds TOP_10,TOP_1000,TOP_10_COUNT,COUNT,AGGS --rounds 1 --warm-sec 0 --out $dir/out");
    my ($used) = $said =~ /queries, (v\d)$/m;
    open my $f, '<', "$dir/out" or die;
    my $text = join '', map { my @c = split /\t/; @c[4, 5] = (); join "\t", map { $_ // '' } @c } <$f>;
    return ($used, $text, sections($index));
}

# What the sections of an index's one segment hold, but META, which has its random id.
sub sections {
    my ($index) = @_;
    my @segments = @{ decode_json(scalar `$out/bin/qd segment dump --json $index 2>/dev/null`)->{segments} };
    is(@segments, 1, 'one segment');
    my ($file) = glob "$index/{,*/,*/*/}$segments[0]{name}*";
    open my $f, '<:raw', $file or die "$segments[0]{name}: $!";
    my $all = do { local $/; <$f> };
    return { map { $_->{name} => sha256_hex(substr $all, $_->{offset}, $_->{bytes}) } grep { $_->{name} ne 'META' } @{ $segments[0]{sections} } };
}

my (%first, %written, $top);
for my $level (qw(v4 v3 v2)) {
    my $lacks;
    for my $kind (qw(text logs taxi)) {
        my ($used, $text, $sections) = answers($level, $kind);
        $top //= $used;
        if ($used ne $level) { $lacks = 1; print STDERR "SKIPPED: QD_CPU=$level: this CPU has $used at most\n"; last }
        ok(length $text > 10000, "$level: $kind has answers");
        $first{$kind} //= $text;
        $written{$kind} //= $sections;
        is_deeply($sections, $written{$kind}, "$level: $kind: the same segment");
        ok($first{$kind} eq $text, "$level: $kind: the same result file");
    }
    next if $lacks || $level eq $top;
    for my $unit (@units) {
        my $said = `QD_CPU=$level $unit 2>&1`;
        is($?, 0, "$level: " . $unit =~ s{.*/unit/}{}r) or diag $said;
    }
}
done_testing;
