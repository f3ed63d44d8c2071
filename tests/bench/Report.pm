# Report.pm: the figures of a run as the page (PERFORMANCE.md in the bench's folder) and as JSON.
package Report;
use strict;
use warnings;
use Exporter 'import';
use JSON::PP;
use List::Util qw(sum0 max);
use Parts qw(slurp spew capture);
our @EXPORT_OK = qw(machine compared best_of_files summary page);

sub machine {
    my ($cpu) = slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)/m;
    my ($mem) = slurp('/proc/meminfo') =~ /^MemTotal:\s*(\d+)/m;
    my ($os) = slurp('/etc/os-release') =~ /^PRETTY_NAME="(.*)"/m;
    my $n = () = slurp('/proc/cpuinfo') =~ /^processor/mg;
    chomp(my $gcc = `gcc -dumpfullversion`);
    chomp(my $kernel = `uname -sr`);
    chomp(my $commit = `git describe --always --dirty 2>/dev/null`);
    return { cpu => $cpu // 'unknown', cores => $n, memory_gib => int(($mem // 0) / 1048576 + 0.5), os => $os // '',
        kernel => $kernel, gcc => $gcc, commit => $commit, load_before => (split ' ', slurp('/proc/loadavg'))[0] };
}

# --- figures --------------------------------------------------------------------------------------------

# Result files of several turns into one: each query's best time, the last turn's hits.
sub best_of_files {
    my ($to, @files) = @_;
    my (%best, @order);
    for my $file (@files) {
        open my $f, '<', $file or die "$file: $!\n";
        while (my $line = <$f>) {
            chomp $line;
            my @c = split /\t/, $line, -1;
            my $k = join "\t", @c[0 .. 2];
            push @order, $k unless $best{$k};
            my $b = $best{$k} ? $best{$k}[4] : 9e99;
            $c[4] = $b if $b < $c[4];
            $best{$k} = \@c;
        }
    }
    spew($to, join '', map { join("\t", @{ $best{$_} }) . "\n" } @order);
    return $to;
}

# Two result files: agreement, what differs, ratios, the table of them.
sub compared {
    my ($ours, $theirs, @how) = @_;
    my @lines = split /\n/, `$^X tests/bench/agree.pl $ours $theirs @how`;
    my $agree = pop @lines // '0 compared, 0 differ';
    return { agree => $agree, disagree => \@lines, ratios => decode_json(capture("$^X tests/bench/ratio.pl $ours $theirs --json")),
        table => capture("$^X tests/bench/ratio.pl $ours $theirs") };
}

sub mean { return @_ ? sprintf '%.1f', exp(sum0(map { log } @_) / @_) : '' } # geometric

# Geometric means of the medians' and 99th percentiles' ratios over the classes of a command.
sub summary {
    my ($rows) = @_;
    my (@md, %by, @cmds);
    for (@$rows) { push @cmds, $_->{cmd} unless $by{ $_->{cmd} }; push @{ $by{ $_->{cmd} } }, $_ }
    for my $cmd (@cmds) {
        my @r = @{ $by{$cmd} };
        my ($least) = sort { $a->{p50} <=> $b->{p50} } @r;
        my @slow = map { ($_->{slower} ? $_->{class} : ()), $_->{slower_p99} ? "$_->{class} (p99)" : () } @r;
        push @md, sprintf "| %s | %s | %s | %.1f (%s) | %s |\n", $cmd, (map { mean(@$_) } [map { $_->{p50} } @r], [map { $_->{p99} // () } @r]),
            $least->{p50}, $least->{class}, @slow ? join(', ', @slow) : 'none';
    }
    return join '', "| command | geometric mean p50 | p99 | least p50 | slower than the peer |\n|---|---:|---:|---|---|\n", @md;
}

# --- the page -------------------------------------------------------------------------------------------

sub mb { my ($n) = @_; return $n ? sprintf '%.0f', $n / 1e6 : '' }
sub table { my ($head, $align, @rows) = @_; return "| $head |\n|$align|\n" . join('', map { '| ' . join(' | ', @$_) . " |\n" } @rows) }

# Indexing, with the peak of anonymous memory.
sub indexing {
    my ($r) = @_;
    my @rows;
    for my $mode (sort keys %{ $r->{index} }) {
        my $ours = $r->{index}{$mode}{quidditch};
        for my $who (grep { $r->{index}{$mode}{$_} } @{ $r->{who} }) {
            my $f = $r->{index}{$mode}{$who};
            my $ratio = $who eq 'quidditch' || !$ours ? '' : sprintf ' (%.1f ×)', $ours->{docs_per_cpu_s} / max(1, $f->{docs_per_cpu_s});
            my $merged = $mode eq '--merge' && $r->{index}{natural}{$who};
            my $rate = $merged && $merged->{segments} > 1 && $f->{merge_close_s} > 0 ? sprintf '%.0f', $merged->{index_bytes} / 1e6 / $f->{merge_close_s} : '';
            push @rows, [$mode, $who, "$f->{docs_per_cpu_s}$ratio", @$f{qw(docs_per_s_total index_bytes segments)}, $rate, mb($f->{rss_anon})];
        }
    }
    return table('mode | who | documents per CPU second | documents per second | index bytes | segments | merging, MB/s | RssAnon MB',
        '---|---|---:|---:|---:|---:|---:|---:', @rows);
}

# Bytes a document by section of ours, and by the peers' files.
sub sizes {
    my ($r) = @_;
    my @rows;
    for my $who (grep { $r->{size}{$_} } @{ $r->{who} }) {
        my $s = $r->{size}{$who};
        my @by = sort { $s->{$b} <=> $s->{$a} } grep { $s->{$_} } keys %$s;
        push @rows, [$who, sprintf('%.1f', sum0(values %$s) / $r->{docs}), join(', ', map { sprintf '%s %.2f', $_, $s->{$_} / $r->{docs} } @by)];
    }
    return table('who | bytes a document | of which', '---|---:|---', @rows);
}

sub threads {
    my ($r) = @_;
    my @rows;
    for my $cmd (sort keys %{ $r->{threads} }) {
        for my $who (grep { $r->{threads}{$cmd}{$_} } @{ $r->{who} }) {
            my $t = $r->{threads}{$cmd}{$who};
            push @rows, [$cmd, $who, map({ sprintf '%.0f', $t->{$_} // 0 } 1, 2), sprintf('%.2f', ($t->{2} // 0) / max(1e-9, $t->{1} // 0))];
        }
    }
    return table('command | who | queries a second, 1 thread | 2 threads | ratio', '---|---|---:|---:|---:', @rows);
}

# The classes that differ, of what agree.pl printed.
sub differing {
    my ($x) = @_;
    my @classes = map { /^(\S+) (\S+)\s+(\d+) queries, ([1-9]\d*) differ$/ ? "$1 $2 $4 of $3" : () } @{ $x->{disagree} };
    return @classes ? 'Differ: ' . join(', ', @classes) . ".\n" : '';
}

sub set_text {
    my ($r, $peers) = @_;
    my $md = sprintf "\n## %s (%d documents, %.0f MB)\n\n", ucfirst $r->{title}, $r->{docs}, $r->{bytes} / 1e6;
    for my $p (grep { $r->{search}{$_} } @$peers) {
        $md .= "Against $p, one segment; agreement: $r->{search}{$p}{agree}.\n" . differing($r->{search}{$p}) . "\n" . summary($r->{search}{$p}{ratios}) . "\n";
    }
    $md .= "### Indexing, one thread unless told, 256 MB buffer\n\n" . indexing($r) if $r->{index};
    $md .= "\n### Size of the index that was searched\n\n" . sizes($r) if $r->{size};
    for my $p (grep { $r->{natural}{$_} } @$peers) {
        $md .= "\n### The natural number of segments (ours $r->{segments}{quidditch}, $p $r->{segments}{$p}); agreement: $r->{natural}{$p}{agree}\n" . differing($r->{natural}{$p}) . "\n"
          . summary($r->{natural}{$p}{ratios});
    }
    $md .= "\n### Queries a second\n\n" . threads($r) if $r->{threads};
    if (my @m = grep { $r->{memory}{$_} } @{ $r->{who} }) {
        $md .= "\nPeak memory of searching, RssAnon and with mapped files: " . join('; ', map { "$_ " . mb($r->{memory}{$_}{rss_anon}) . ' and '
            . mb($r->{memory}{$_}{rss_peak}) . ' MB' } @m) . ".\n";
    }
    for my $p (grep { $r->{search}{$_} } @$peers) { $md .= "\n### Search against $p\n\n$r->{search}{$p}{table}" }
    return $md;
}

# What is asked over corpora of all sizes: medians' ratios by command.
sub growth_text {
    my ($peers, @r) = @_;
    my (%at, @rows, %in);
    return '' if @r < 2; # one size is no growth
    for my $p (@$peers) {
        for my $r (@r) { $in{$p}{"$_->{cmd} $_->{class}"}++ for @{ $r->{search}{$p}{ratios} // [] } }
        for my $r (@r) {
            push @{ $at{$p}{ $_->{cmd} }{ $r->{docs} } }, $_ for grep { $in{$p}{"$_->{cmd} $_->{class}"} == @r } @{ $r->{search}{$p}{ratios} // [] };
        }
    }
    for my $p (sort keys %at) {
        for my $cmd (sort keys %{ $at{$p} }) {
            for my $docs (sort { $a <=> $b } keys %{ $at{$p}{$cmd} }) {
                my @c = @{ $at{$p}{$cmd}{$docs} };
                push @rows, [$p, $cmd, $docs, map { my $k = $_; mean(map { $_->{$k} // () } @c) } qw(ours_p50 peer_p50 p50 p99)];
            }
        }
    }
    return '' unless @rows;
    return "\n## Growth over the size of the corpus\n\nGenerated documents, a smaller set of classes; geometric means of the classes' medians in microseconds, and ratios.\n\n"
      . table('peer | command | documents | ours | peer | ratio p50 | ratio p99', '---|---|---:|---:|---:|---:|---:', @rows);
}

# x: machine, options, told, peers ([key, name]), absent, missing (sets not run), differs (what is not
# compared, and why), commands; sets and growth in order.
sub page {
    my (%x) = @_;
    my @peers = map { $_->[0] } @{ $x{peers} };
    my ($o, $m) = @x{qw(options machine)};
    my $md = "# Performance\n\nWritten by `make bench`; not edited by hand. Times are microseconds of one thread, the index in the page\n"
      . "cache, no caches between queries, each query's best of $x{tries} runs on each side (of fewer where a set has fewer peers). Lucene is warmed up for $o->{warm} s a class\n"
      . "of queries; a peer's figure of a query is the lower of TOP_k and TOP_k_COUNT. TOP_10_COUNT_10000 counts hits up to 10,000, as REST\n"
      . "does by default. All read the same files and ran by turns; only ratios within this page mean anything.\n"
      . "A class in which the peer's median is below 20 µs passes at 20 µs. Indexing: best of $o->{passes} by documents per CPU second\n"
      . "of the process, merges included" . ($o->{'index-docs'} ? ", modes that nothing searches over the first $o->{'index-docs'} documents" : '') . "; merging, MB/s: bytes of the natural segments by the seconds of merging them to one.\n"
      . "Lucene's RssAnon is its heap ($o->{heap}), touched before the start.\n\n"
      . "Machine: $m->{cpu}, $m->{cores} cores, $m->{memory_gib} GiB, $m->{os}, $m->{kernel}, gcc $m->{gcc}; load before the run $m->{load_before}.\n"
      . "Sources: " . ($m->{commit} || 'unknown') . ".\n"
      . join('', map { "Peer $_->[0]: $_->[1].\n" } @{ $x{peers} }) . join('', map { "Not measured, since the machine lacks it: $_.\n" } @{ $x{absent} });
    $md .= "Not in this run: " . join(', ', @{ $x{missing} }) . ".\n" if @{ $x{missing} };
    $md .= "\nNot compared: $x{differs}\n" if $x{differs};
    $md .= set_text($_, \@peers) for @{ $x{sets} };
    $md .= growth_text(\@peers, @{ $x{growth} });
    return $md . "\n## Commands\n\n`make bench" . ($x{told} ? " BENCH=\"$x{told}\"" : '')
      . "` ran these (lucene.sh: tests/bench/peers/lucene):\n\n```\n" . join('', map { "$_\n" } @{ $x{commands} }) . "```\n";
}

1;
