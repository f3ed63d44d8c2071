#!/usr/bin/perl
# run.pl: the benchmark of `make bench`: Quidditch and Lucene over the same documents and queries,
# alternating in one run on one machine; checks that they agree; writes docs/PERFORMANCE.md and
# docs/performance.json.
#
#   run.pl [--docs 1000000] [--dir build/bench] [--rounds 5] [--warm 30] [--passes 2]
#          [--queries 200] [--peers 8] [--skip-catalogue] [--no-write]
#
# Corpora: generated documents (gen_corpus) and the machine's package catalogue (apt-cache
# dumpavail). Peers are the variants of peers/lucene/lucene.sh: 8 is Debian's Lucene, 10 the newest that
# Maven gives on a JDK of 21 or later under /usr/lib/jvm; 9 and 9v need LUCENE9_JAR and JAVA21 (see
# there). What a machine has not is left out.
# Wall times vary with what else the machine does: compare ratios within one run only.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Path qw(make_path);
use JSON::PP;

my %o = (docs => 1_000_000, dir => 'build/bench', rounds => 5, warm => 30, passes => 2, queries => 200,
    peers => '8,10', heap => '3g');
while (@ARGV) {
    my $a = shift;
    if ($a eq '--skip-catalogue') { $o{skip} = 1 }
    elsif ($a eq '--no-write') { $o{nowrite} = 1 }
    elsif ($a =~ /^--(docs|dir|rounds|warm|passes|queries|peers|heap)$/) { $o{$1} = shift }
    else { die "unknown option $a\n" }
}
my $dir = $o{dir};
make_path($dir);
$ENV{PEERS} = abs_path($dir) . '/peers';
$ENV{HEAP} = $o{heap};
my $qd = 'build/bin/qd';
my $lucene = 'tests/bench/peers/lucene/lucene.sh';
my $cmds = 'TOP_10,TOP_100,TOP_1000,COUNT,TOP_10_COUNT,TOP_100_COUNT,TOP_1000_COUNT';

sub run { my ($what) = @_; print STDERR "+ $what\n"; system('sh', '-c', $what) == 0 or die "failed: $what\n" }
sub capture { my ($what) = @_; print STDERR "+ $what\n"; my $x = `$what`; die "failed: $what\n" if $?; return $x }
sub slurp { my ($f) = @_; open my $h, '<', $f or return ''; local $/; return scalar <$h> }

newest_lucene();
my @peers = grep { peer_there($_) } split /,/, $o{peers};

# The newest Lucene that Maven has, on the newest JDK of this machine, unless the caller named them.
sub newest_lucene {
    return if $o{peers} !~ /\b10\b/ || $ENV{LUCENE10_JAR};
    my ($jdk) = map { $_->[1] } sort { $b->[0] <=> $a->[0] } map { m{(\d+)[^/]*$} && $1 >= 21 ? [$1, $_] : () }
        map { s{/bin/javac$}{}r } glob '/usr/lib/jvm/*/bin/javac';
    my $to = "$ENV{PEERS}/lucene10";
    if (!$jdk || !`sh -c 'command -v mvn'`) { print STDERR "no Maven or no JDK 21: no newest Lucene\n"; return }
    if (!glob "$to/lucene-core-*.jar") {
        my $copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy';
        system(qw(mvn -q -B), $copy, '-Dartifact=org.apache.lucene:lucene-core:LATEST', "-DoutputDirectory=$to") == 0
            or print STDERR "Maven did not give the newest Lucene\n";
    }
    my ($jar) = glob "$to/lucene-core-*.jar" or return;
    print STDERR "newest Lucene: $jar on $jdk\n";
    @ENV{qw(LUCENE10_JAR JAVA25 JAVAC25)} = ($jar, "$jdk/bin/java", "$jdk/bin/javac");
}
sub peer_there {
    my ($v) = @_;
    return 1 if $v eq '8' && -e ($ENV{LUCENE8_JAR} // '/usr/share/java/lucene-core-8.7.0.jar') && `sh -c 'command -v javac'`;
    return 1 if $v =~ /^9/ && $ENV{LUCENE9_JAR} && -e $ENV{LUCENE9_JAR};
    return 1 if $v eq '10' && $ENV{LUCENE10_JAR} && -e $ENV{LUCENE10_JAR};
    print STDERR "no Lucene $v here: left out\n";
    return 0;
}

# --- corpora ---------------------------------------------------------------------------------------

sub generated {
    my $file = "$dir/corpus-$o{docs}.jsonl";
    run("gcc -O2 -o $dir/gen_corpus tests/bench/gen_corpus.c -lm") unless -x "$dir/gen_corpus";
    run("$dir/gen_corpus $o{docs} 42 > $file.part && mv $file.part $file") unless -e $file;
    return $file;
}

# The package catalogue as {"id","title","body"}: body is the description with maintainer and section.
sub catalogue {
    my $file = "$dir/catalogue.jsonl";
    return $file if -s $file;
    open my $in, '-|', 'apt-cache dumpavail' or return undef;
    open my $out, '>:raw', "$file.part" or die "$file.part: $!\n";
    my $json = JSON::PP->new->utf8->canonical;
    local $/ = '';
    my $n = 0;
    while (my $p = <$in>) {
        utf8::decode($p);
        my %f;
        my $key = '';
        for my $line (split /\n/, $p) {
            if ($line =~ /^([A-Za-z0-9-]+): ?(.*)/) { $key = $1; $f{$key} = $2 }
            elsif ($line =~ /^ (.*)/ && $key) { $f{$key} .= "\n$1" }
        }
        next unless $f{Package} && $f{Description};
        print $out $json->encode({ id => $n++, title => $f{Package},
            body => join("\n", map { $f{$_} // '' } qw(Package Section Maintainer Description Depends)) }), "\n";
    }
    close $out;
    return undef unless $n;
    rename "$file.part", $file;
    return $file;
}

sub queries_of {
    my ($corpus) = @_;
    (my $file = $corpus) =~ s/\.jsonl$/.queries.tsv/;
    run("gcc -O2 -o $dir/gen_queries tests/bench/gen_queries.c -lm") unless -x "$dir/gen_queries";
    run("$dir/gen_queries $corpus $o{queries} 1 > $file.part && mv $file.part $file") unless -e $file;
    return $file;
}

# --- runs -------------------------------------------------------------------------------------------

sub figures { my ($line) = @_; return { map { /^([a-zA-Z_]+)=(.*)$/ ? ($1 => $2) : () } split ' ', $line } }

# The best of several runs by documents per CPU second, ours and theirs by turns.
sub index_both {
    my ($corpus, $name, $mode) = @_;
    my %best;
    for my $pass (1 .. $o{passes}) {
        for my $who ('quidditch', map {"lucene$_"} @peers) {
            my $v = $who =~ /^lucene(.*)/ ? $1 : undef;
            my $index = "$dir/$name-$who" . ($mode =~ s/ .*//r);
            my $line = capture(defined $v ? "sh $lucene $v Indexer --in $corpus --index $index $mode"
                : "$qd bench index --in $corpus --index $index $mode 2>/dev/null");
            my $f = figures($line);
            $best{$who} = $f if !$best{$who} || $f->{docs_per_cpu_s} > $best{$who}{docs_per_cpu_s};
        }
    }
    return \%best;
}

# Result files of several passes into one: each query's best time, the last pass's hits.
sub best_of_files {
    my ($to, @files) = @_;
    my (%best, @order);
    for my $file (@files) {
        open my $f, '<', $file or die "$file: $!\n";
        while (<$f>) {
            chomp;
            my @c = split /\t/, $_, -1;
            my $k = join "\t", @c[0 .. 2];
            push @order, $k unless $best{$k};
            my $b = $best{$k} ? $best{$k}[4] : 9e99;
            $c[4] = $b if $b < $c[4];
            $best{$k} = \@c;
        }
    }
    open my $out, '>', $to or die "$to: $!\n";
    print $out join("\t", @{ $best{$_} }), "\n" for @order;
    close $out;
}

sub search_all {
    my ($name, $queries) = @_;
    my %out;
    for my $pass (1 .. $o{passes}) {
        for my $who (map({"lucene$_"} @peers), 'quidditch') {
            my $v = $who =~ /^lucene(.*)/ ? $1 : undef;
            my $file = "$dir/$name-$who.$pass.out";
            my $args = "--index $dir/$name-$who--merge --queries $queries --cmds $cmds --rounds $o{rounds} --out $file";
            run(defined $v ? "sh $lucene $v Searcher $args --warm-sec $o{warm} > $file.txt"
                : "$qd bench search $args --warm-sec 1 > $file.txt 2>/dev/null");
            push @{ $out{$who} }, $file;
        }
    }
    my %files;
    for my $who (keys %out) {
        $files{$who} = "$dir/$name-$who.out";
        best_of_files($files{$who}, @{ $out{$who} });
    }
    return \%files;
}

# --- report -----------------------------------------------------------------------------------------

sub machine {
    my ($cpu) = slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)/m;
    my ($mem) = slurp('/proc/meminfo') =~ /^MemTotal:\s*(\d+)/m;
    my ($os) = slurp('/etc/os-release') =~ /^PRETTY_NAME="(.*)"/m;
    my $n = () = slurp('/proc/cpuinfo') =~ /^processor/mg;
    chomp(my $gcc = `gcc -dumpfullversion`);
    my ($java) = `java -version 2>&1` =~ /"(.*?)"/;
    return { cpu => $cpu // 'unknown', cores => $n, memory_gib => int(($mem // 0) / 1048576 + 0.5), os => $os // '',
        gcc => $gcc, java => $java // 'none', load_before => (split ' ', slurp('/proc/loadavg'))[0] };
}

my $m = machine();
my @result;
for my $c ([ "generated", generated(), "$o{docs} generated documents" ],
    $o{skip} ? () : [ 'catalogue', catalogue(), "the machine's package catalogue" ])
{
    my ($name, $corpus, $title) = @$c;
    next unless defined $corpus;
    my $queries = queries_of($corpus);
    my %r = (name => $name, title => $title, bytes => -s $corpus);
    $r{index}{$_} = index_both($corpus, $name, $_) for '--merge', '--es', '--es-append';
    $r{files} = search_all($name, $queries);
    for my $p (@peers) {
        my $scale = 1;
        $r{agree}{$p} = `perl tests/bench/agree.pl $r{files}{quidditch} $r{files}{"lucene$p"}`;
        chomp($r{agree}{$p} = (split /\n/, $r{agree}{$p})[-1] // '');
        $r{ratios}{$p} = decode_json(capture("perl tests/bench/ratio.pl $r{files}{quidditch} $r{files}{\"lucene$p\"} --json"));
        $r{table}{$p} = capture("perl tests/bench/ratio.pl $r{files}{quidditch} $r{files}{\"lucene$p\"}");
    }
    push @result, \%r;
}

my $md = "# Performance\n\nWritten by `make bench`; not edited by hand. Times are microseconds of one thread, the index in the page\n"
  . "cache, no caches between queries, each query's best of $o{passes} × $o{rounds} runs. Lucene's figure of a query is the lower of\n"
  . "TOP_k and TOP_k_COUNT. Both sides read the same files and ran by turns; only ratios within this page mean anything.\n\n"
  . "Machine: $m->{cpu}, $m->{cores} cores, $m->{memory_gib} GiB, $m->{os}, gcc $m->{gcc}, Java $m->{java}; load before the run $m->{load_before}.\n";
for my $r (@result) {
    $md .= sprintf "\n## %s (%.0f MB)\n\n", ucfirst $r->{title}, $r->{bytes} / 1e6;
    $md .= "### Indexing, one thread, 256 MB buffer\n\n| mode | who | documents per CPU second | documents per second | index bytes |\n|---|---|---:|---:|---:|\n";
    for my $mode (sort keys %{ $r->{index} }) {
        for my $who (sort { $b cmp $a } keys %{ $r->{index}{$mode} }) {
            my $f = $r->{index}{$mode}{$who};
            my $ratio = $who eq 'quidditch' ? '' : sprintf ' (%.1f ×)', $r->{index}{$mode}{quidditch}{docs_per_cpu_s} / $f->{docs_per_cpu_s};
            $md .= "| $mode | $who | $f->{docs_per_cpu_s}$ratio | $f->{docs_per_s_total} | $f->{index_bytes} |\n";
        }
    }
    for my $p (@peers) {
        $md .= "\n### Search against Lucene $p\n\nAgreement: $r->{agree}{$p}.\n\n$r->{table}{$p}";
    }
}
delete $o{dir};
my %json = (machine => $m, options => \%o, corpora => [ map { { name => $_->{name}, bytes => $_->{bytes}, index => $_->{index},
    agreement => $_->{agree}, search => $_->{ratios} } } @result ]);
my ($md_to, $json_to) = $o{nowrite} ? ("$dir/PERFORMANCE.md", "$dir/performance.json") : ('docs/PERFORMANCE.md', 'docs/performance.json');
open my $h, '>', $md_to or die "$md_to: $!\n";
print $h $md;
close $h;
open $h, '>', $json_to or die "$json_to: $!\n";
print $h JSON::PP->new->canonical->pretty->encode(\%json);
close $h;
print "$md_to and $json_to written\n";
my @node = ('--docs', "$dir/corpus-$o{docs}.jsonl", -f "$dir/catalogue.jsonl" ? ('--catalogue', "$dir/catalogue.jsonl") : (),
    $o{nowrite} ? '--no-write' : ());
system($^X, 'tests/bench/node.pl', @node) == 0 or warn "bench: the figures of a whole node are missing\n";
my $wrong = grep { my $r = $_; grep { ($r->{agree}{$_} // '') !~ /, 0 differ$/ } @peers } @result;
exit($wrong ? 1 : 0);
