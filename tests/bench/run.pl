#!/usr/bin/perl
# run.pl: the benchmark of `make bench`: Quidditch and Lucene over the same documents and queries,
# by turns in one run on one machine; checks that they agree; writes docs/PERFORMANCE.md and
# docs/performance.json, then runs the programs beside it (node.pl, columns.pl) that write their own.
#
#   run.pl [--limit N] [--docs 1000000] [--dir build/bench] [--rounds 3] [--warm 30] [--queries 200]
#          [--passes 1] [--peers 8,10] [--heap 3g] [--skip-catalogue] [--skip-node] [--no-write] [--fresh]
#
# The run is made of parts, each kept when done: the same command again goes on behind the last one
# that is; another program, jar or option, or --fresh, starts from the beginning. All that it makes
# lies in --dir. --limit N tries the wiring in minutes: N documents, short warm-up, the page
# stays in --dir.
# Corpora: generated documents (gen_corpus) and the machine's package catalogue (apt-cache
# dumpavail). Peers are the variants of peers/lucene/lucene.sh: 8 is Debian's Lucene, 10 the newest that
# Maven gives, on the newest JDK (21 or later) under /usr/lib/jvm; 9 and 9v need LUCENE9_JAR and JAVA21
# (see there). What a machine has not is left out, and the page says so.
# Turns: indexing, --passes times, the best by documents per CPU second. Searching: ours, a peer,
# ours, the next peer, ours: a peer runs once, warmed up for --warm seconds a class of queries, with as
# many rounds as ours has over all its turns, so that each query has as many tries on each side.
# Wall times vary with what else the machine does: compare ratios within one run only.
use strict;
use warnings;
use Cwd qw(abs_path);
use Digest::SHA qw(sha256_hex);
use File::Path qw(make_path remove_tree);
use IO::Uncompress::Unzip;
use JSON::PP;
use List::Util qw(sum0 min max);
use Time::HiRes qw(sleep time);

my %o = (docs => 1_000_000, dir => 'build/bench', rounds => 3, warm => 30, passes => 1, queries => 200,
    peers => '8,10', heap => '3g');
my (%flag, $limit);
my @told = @ARGV;
while (@ARGV) {
    my $a = shift;
    if ($a =~ /^--(skip-catalogue|skip-node|no-write|fresh)$/) { $flag{$1} = 1 }
    elsif ($a eq '--limit') {
        $limit = shift;
        die "--limit N: a number of documents\n" unless defined $limit && $limit =~ /^[1-9]\d*$/;
        %o = (%o, docs => $limit, dir => "build/bench-$limit", warm => 0.1, rounds => 2, queries => 20, heap => '1g');
        $flag{'no-write'} = 1;
    }
    elsif ($a =~ /^--(docs|dir|rounds|warm|passes|queries|peers|heap)$/ && @ARGV) { $o{$1} = shift }
    else { die "unknown option $a\n" }
}
my $dir = $o{dir};
make_path("$dir/parts");
$ENV{PEERS} = abs_path($dir) . '/peers';
$ENV{HEAP} = $o{heap};
my $qd = 'build/bin/qd';
my $lucene = 'tests/bench/peers/lucene/lucene.sh';
my @cmds = qw(TOP_10 TOP_100 TOP_1000 COUNT TOP_10_COUNT TOP_100_COUNT TOP_1000_COUNT TOP_10_COUNT_10000);
my @modes = qw(--merge --es --es-append);
die "run it from the top of the tree, after make\n" unless -x $qd && -e $lucene;

sub slurp { my ($f) = @_; open my $h, '<', $f or return ''; local $/; return scalar <$h> }
sub spew { my ($f, $text) = @_; open my $h, '>', "$f.part" or die "$f.part: $!\n"; print $h $text; close $h; rename "$f.part", $f or die "$f: $!\n" }
sub run { my ($what) = @_; system('sh', '-c', $what) == 0 or die "\nfailed: $what\n" }
sub capture { my ($what) = @_; my $x = `$what`; die "\nfailed: $what\n" if $?; return $x }

# --- peers --------------------------------------------------------------------------------------------

my @absent;

# The newest Lucene that Maven has, on the newest JDK of this machine, unless the caller named them.
sub newest_lucene {
    return if $o{peers} !~ /\b10\b/ || $ENV{LUCENE10_JAR};
    my ($jdk) = map { $_->[1] } sort { $b->[0] <=> $a->[0] } map { m{(\d+)[^/]*$} && $1 >= 21 ? [$1, $_] : () }
        map { s{/bin/javac$}{}r } glob '/usr/lib/jvm/*/bin/javac';
    my $to = "$ENV{PEERS}/lucene10";
    if (!$jdk || !`sh -c 'command -v mvn'`) { push @absent, 'Lucene 10: no Maven or no JDK from 21 on'; return }
    if (!glob "$to/lucene-core-*.jar") {
        my $copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy';
        system(qw(mvn -q -B), $copy, '-Dartifact=org.apache.lucene:lucene-core:LATEST', "-DoutputDirectory=$to") == 0
            or push @absent, 'Lucene 10: Maven did not give it';
    }
    my ($jar) = glob "$to/lucene-core-*.jar" or return;
    @ENV{qw(LUCENE10_JAR JAVA25 JAVAC25)} = ($jar, "$jdk/bin/java", "$jdk/bin/javac");
}
$ENV{LUCENE8_JAR} //= '/usr/share/java/lucene-core-8.7.0.jar';
sub jar_of { my ($v) = @_; return $ENV{ 'LUCENE' . ($v =~ /^(\d+)/)[0] . '_JAR' } // '' }
sub peer_there {
    my ($v) = @_;
    return 1 if -e jar_of($v) && ($v ne '8' || `sh -c 'command -v javac'`);
    push @absent, "Lucene $v" unless grep { /^Lucene $v\b/ } @absent;
    return 0;
}
sub peer_name { # the version of the manifest, the Java it runs on
    my ($v) = @_;
    my $z = IO::Uncompress::Unzip->new(jar_of($v), Name => 'META-INF/MANIFEST.MF') or return "Lucene $v";
    my ($version) = do { local $/; <$z> } =~ /^Implementation-Version: (\S+)/m;
    my $java = $v eq '10' ? $ENV{JAVA25} : $v eq '9v' ? $ENV{JAVA21} : 'java';
    my ($java_version) = `$java -version 2>&1` =~ /"(.*?)"/;
    return 'Lucene ' . ($version // $v) . ", Java $java_version" . ($v =~ /^(9v|10)$/ ? ' with jdk.incubator.vector' : '');
}

newest_lucene();
my @peers = grep { peer_there($_) } split /,/, $o{peers};
print STDERR "left out: $_\n" for @absent;

# --- parts --------------------------------------------------------------------------------------------
# A part is a name, an estimate in seconds (for the bar alone) and code that returns its result.

my (@parts, %result);
my $started = time;
sub part { my ($name, $weight, $code) = @_; push @parts, { name => $name, weight => $weight, code => $code } }

my $identity = sha256_hex(join "\0", map({ "$_=$o{$_}" } sort grep { $_ ne 'dir' } keys %o), sort(keys %flag),
    map({ sha256_hex(slurp($_)) } $qd, glob('build/lib/quidditch/plugins/storage-nvme.so'), glob('tests/bench/peers/lucene/*.java'),
        glob('tests/bench/gen_*.c')), map { jar_of($_) . ' ' . (-s jar_of($_)) } @peers);

sub bar { # of done parts; inside a part its estimate moves it on
    my ($i, $since) = @_;
    my $all = sum0(map { $_->{weight} } @parts) || 1;
    my $done = sum0(map { $_->{weight} } @parts[0 .. $i - 1]);
    my $here = $i < @parts ? min($parts[$i]{weight} * 0.95, time - $since) : 0;
    my $share = min(1, ($done + $here) / $all);
    return sprintf '[%-30s] %3d %%  part %d of %d: %s', '#' x int(30 * $share), int(100 * $share), min($i + 1, scalar @parts),
        scalar @parts, $i < @parts ? $parts[$i]{name} : 'done';
}
sub run_part { # in a child, so that the bar can move
    my ($i) = @_;
    my $p = $parts[$i];
    (my $file = "$dir/parts/$p->{name}.json") =~ tr/ /_/;
    my $old = eval { decode_json(slurp($file)) };
    if ($old && $old->{run} eq $identity) { $result{ $p->{name} } = $old->{result}; return }
    my ($from, $tty) = (time, -t STDERR);
    print STDERR bar($i, $from), "\n" unless $tty;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        setpgrp;
        my $r = eval { { run => $identity, seconds => 0, result => $p->{code}->() } };
        if (!$r) { print STDERR "\n$@"; exit 1 }
        $r->{seconds} = sprintf('%.1f', time - $from) + 0;
        spew($file, JSON::PP->new->canonical->encode($r));
        exit 0;
    }
    local $SIG{INT} = local $SIG{TERM} = sub { kill 'TERM', -$pid; print STDERR "\nstopped; the same command goes on from here\n"; exit 130 };
    while (waitpid($pid, 1) == 0) {
        print STDERR "\r", substr(bar($i, $from) . sprintf('  %d s ', time - $from), 0, 118), "\e[K" if $tty;
        sleep 0.3;
    }
    die "bench: part $p->{name} failed; the same command goes on from here\n" if $?;
    $result{ $p->{name} } = decode_json(slurp($file))->{result};
}

# --- corpora ------------------------------------------------------------------------------------------

sub generated {
    my $file = "$dir/corpus-$o{docs}.jsonl";
    run("gcc -O2 -o $dir/gen_corpus tests/bench/gen_corpus.c -lm");
    run("$dir/gen_corpus $o{docs} 42 2>$dir/gen_corpus.err > $file.part && mv $file.part $file") unless -e $file;
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
        last if $limit && $n == $limit;
    }
    close $out;
    return undef unless $n;
    rename "$file.part", $file;
    return $file;
}

sub queries_of {
    my ($corpus) = @_;
    (my $file = $corpus) =~ s/\.jsonl$/.queries.tsv/;
    run("gcc -O2 -o $dir/gen_queries tests/bench/gen_queries.c -lm");
    run("$dir/gen_queries $corpus $o{queries} 1 2>$dir/gen_queries.err > $file.part && mv $file.part $file");
    my %class = map { (split /\t/)[0] => 1 } split /\n/, slurp($file);
    return { corpus => $corpus, queries => $file, classes => scalar keys %class, bytes => -s $corpus, docs => 0 + `wc -l < $corpus` };
}

# --- runs -----------------------------------------------------------------------------------------------

sub figures { my ($line) = @_; return { map { /^([a-zA-Z_]+)=(.*)$/ ? ($1 => $2) : () } split ' ', $line } }
sub index_dir { my ($name, $who, $mode) = @_; return "$dir/$name-$who$mode" }
sub command_index {
    my ($who, $corpus, $to, $mode) = @_;
    return $who =~ /^lucene(.*)/ ? "sh $lucene $1 Indexer --in $corpus --index $to $mode" : "$qd bench index --in $corpus --index $to $mode";
}
sub command_search {
    my ($who, $name, $queries, $rounds, $warm, $out) = @_;
    my $args = '--index ' . index_dir($name, $who, '--merge') . " --queries $queries --cmds " . join(',', @cmds)
      . " --rounds $rounds --warm-sec $warm --out $out";
    return $who =~ /^lucene(.*)/ ? "sh $lucene $1 Searcher $args" : "$qd bench search $args";
}

sub index_part {
    my ($name, $who, $mode, $pass) = @_;
    my $to = index_dir($name, $who, $mode);
    my $f = figures(capture(command_index($who, $result{"corpus $name"}{corpus}, $to, $mode) . " 2>$to.err"));
    remove_tree($to) if $mode ne '--merge';
    return $f;
}

sub search_part {
    my ($name, $who, $turn) = @_;
    my $c = $result{"corpus $name"};
    my $file = "$dir/$name-$who.$turn.out";
    my ($rounds, $warm) = $who eq 'quidditch' ? ($o{rounds}, 1) : ($o{rounds} * (@peers + 1), $o{warm} * $c->{classes});
    run(command_search($who, $name, $c->{queries}, $rounds, $warm, $file) . " >$file.txt 2>$file.err");
    return { file => $file, rounds => $rounds, warm => $warm };
}

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

my %title = (generated => "$o{docs} generated documents", catalogue => "the machine's package catalogue");
sub plan {
    my ($name) = @_;
    my $size = $name eq 'generated' ? $o{docs} / 1e6 : min($limit // 6e4, 6e4) / 6e5;
    part("corpus $name", 40 * $size + 3, sub { my $c = $name eq 'generated' ? generated() : catalogue(); defined $c ? queries_of($c) : undef });
    my @who = ('quidditch', map { "lucene$_" } @peers);
    for my $mode (@modes) {
        for my $pass (1 .. $o{passes}) {
            part("index $name $_ $mode $pass", ($_ eq 'quidditch' ? 20 : 180) * $size + 3, do { my $who = $_; sub { index_part($name, $who, $mode, $pass) } })
              for @who;
        }
    }
    my $turn = 0;
    for my $who (map({ ('quidditch', "lucene$_") } @peers), 'quidditch') {
        my $t = ++$turn;
        part("search $name $who $t", ($who eq 'quidditch' ? 20 * $o{rounds} : 21 * $o{warm} + 60 * $o{rounds} * (@peers + 1)) * $size
            + ($who eq 'quidditch' ? 2 : 21 * $o{warm} * (1 - $size)), sub { search_part($name, $who, $t) });
    }
}

# --- report ---------------------------------------------------------------------------------------------

sub machine {
    my ($cpu) = slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)/m;
    my ($mem) = slurp('/proc/meminfo') =~ /^MemTotal:\s*(\d+)/m;
    my ($os) = slurp('/etc/os-release') =~ /^PRETTY_NAME="(.*)"/m;
    my $n = () = slurp('/proc/cpuinfo') =~ /^processor/mg;
    chomp(my $gcc = `gcc -dumpfullversion`);
    chomp(my $kernel = `uname -sr`);
    return { cpu => $cpu // 'unknown', cores => $n, memory_gib => int(($mem // 0) / 1048576 + 0.5), os => $os // '',
        kernel => $kernel, gcc => $gcc, load_before => (split ' ', slurp('/proc/loadavg'))[0] };
}

sub gather { # the figures of one corpus
    my ($name) = @_;
    my $c = $result{"corpus $name"} or return;
    my %r = (name => $name, title => $title{$name}, bytes => $c->{bytes}, docs => $c->{docs}, classes => $c->{classes});
    for my $part (grep { /^index \Q$name\E / } keys %result) {
        my (undef, undef, $who, $mode) = split / /, $part;
        my $f = $result{$part};
        my $b = $r{index}{$mode}{$who};
        $r{index}{$mode}{$who} = $f if !$b || $f->{docs_per_cpu_s} > $b->{docs_per_cpu_s};
    }
    my %files;
    for my $p (map { $_->{name} } grep { $_->{name} =~ /^search \Q$name\E / } @parts) {
        my (undef, undef, $who) = split / /, $p;
        push @{ $files{$who} }, $result{$p}{file};
        $r{warm} = $result{$p}{warm} if $who ne 'quidditch';
    }
    my %best = map { $_ => best_of_files("$dir/$name-$_.out", @{ $files{$_} }) } keys %files;
    for my $p (@peers) {
        my @lines = split /\n/, `perl tests/bench/agree.pl $best{quidditch} $best{"lucene$p"}`;
        $r{agree}{$p} = pop @lines // '';
        $r{disagree}{$p} = \@lines;
        $r{ratios}{$p} = decode_json(capture("perl tests/bench/ratio.pl $best{quidditch} $best{\"lucene$p\"} --json"));
        $r{table}{$p} = capture("perl tests/bench/ratio.pl $best{quidditch} $best{\"lucene$p\"}");
    }
    return \%r;
}

# Geometric means of the medians' and 99th percentiles' ratios over the classes of a command.
sub summary {
    my ($rows) = @_;
    my (@md, %by);
    push @{ $by{ $_->{cmd} } }, $_ for @$rows;
    for my $cmd (grep { $by{$_} } @cmds) {
        my @r = @{ $by{$cmd} };
        my ($least) = sort { $a->{p50} <=> $b->{p50} } @r;
        my @slow = map { $_->{class} } grep { $_->{slower} } @r;
        push @md, sprintf "| %s | %.1f | %.1f | %.1f (%s) | %s |\n", $cmd, (map { my $k = $_; exp(sum0(map { log $_->{$k} } @r) / @r) } qw(p50 p99)),
            $least->{p50}, $least->{class}, @slow ? join(', ', @slow) : 'none';
    }
    return join '', "| command | geometric mean p50 | p99 | least p50 | slower than the peer |\n|---|---:|---:|---|---|\n", @md;
}

sub page {
    my ($m, @r) = @_;
    my $tries = $o{rounds} * (@peers + 1);
    my $md = "# Performance\n\nWritten by `make bench`; not edited by hand. Times are microseconds of one thread, the index in the page\n"
      . "cache, no caches between queries, each query's best of $tries runs on each side. Lucene is warmed up for $o{warm} s a class\n"
      . "of queries; its figure of a query is the lower of TOP_k and TOP_k_COUNT. TOP_10_COUNT_10000 counts hits up to 10,000, as REST\n"
      . "does by default. Both sides read the same files and ran by turns; only ratios within this page mean anything.\n"
      . "A class in which the peer's median is below 20 µs passes at 20 µs. Indexing: best of $o{passes} by documents per CPU second\n"
      . "of the process, merges included.\n\n"
      . "Machine: $m->{cpu}, $m->{cores} cores, $m->{memory_gib} GiB, $m->{os}, $m->{kernel}, gcc $m->{gcc}; load before the run $m->{load_before}.\n"
      . "Sources: " . ($m->{commit} || 'unknown') . ".\n"
      . join('', map { "Peer: " . peer_name($_) . ".\n" } @peers) . join('', map { "Not measured, since the machine lacks it: $_.\n" } @absent);
    for my $r (@r) {
        $md .= sprintf "\n## %s (%d documents, %.0f MB)\n\n", ucfirst $r->{title}, $r->{docs}, $r->{bytes} / 1e6;
        for my $p (@peers) { $md .= "Against Lucene $p; agreement: $r->{agree}{$p}.\n\n" . summary($r->{ratios}{$p}) . "\n" }
        $md .= "### Indexing, one thread, 256 MB buffer\n\n| mode | who | documents per CPU second | documents per second | index bytes |\n|---|---|---:|---:|---:|\n";
        for my $mode (sort keys %{ $r->{index} }) {
            for my $who ('quidditch', map { "lucene$_" } @peers) {
                my $f = $r->{index}{$mode}{$who} or next;
                my $ratio = $who eq 'quidditch' ? '' : sprintf ' (%.1f ×)', $r->{index}{$mode}{quidditch}{docs_per_cpu_s} / max(1, $f->{docs_per_cpu_s});
                $md .= "| $mode | $who | $f->{docs_per_cpu_s}$ratio | $f->{docs_per_s_total} | $f->{index_bytes} |\n";
            }
        }
        for my $p (@peers) { $md .= "\n### Search against Lucene $p\n\n$r->{table}{$p}" }
    }
    $md .= "\n## Commands\n\n`make bench" . (@told ? " BENCH=\"@told\"" : '') . "` ran these (lucene.sh: tests/bench/peers/lucene):\n\n```\n";
    for my $r (@r) {
        my $c = $result{"corpus $r->{name}"};
        for my $who ('quidditch', map { "lucene$_" } @peers) {
            $md .= command_index($who, $c->{corpus}, index_dir($r->{name}, $who, $_), $_) . "\n" for @modes;
            my ($rounds, $warm) = $who eq 'quidditch' ? ($o{rounds}, 1) : ($tries, $r->{warm});
            $md .= command_search($who, $r->{name}, $c->{queries}, $rounds, $warm, "$dir/$r->{name}-$who.out") . "\n";
        }
    }
    return "$md```\n";
}

# --- all of it --------------------------------------------------------------------------------------------

part('machine', 1, sub { my $m = machine(); chomp($m->{commit} = `git describe --always --dirty 2>/dev/null`); $m });
for my $p (@peers) { part("build lucene$p", 5, sub { run("sh $lucene $p build 2>$dir/lucene$p.err"); return {} }) }
my @corpora = ('generated', $flag{'skip-catalogue'} ? () : 'catalogue');
plan($_) for @corpora;
my %beside = map { $_ => "tests/bench/$_.pl" } grep { -e "tests/bench/$_.pl" } qw(node columns coordination);
delete $beside{node} if $flag{'skip-node'};
for my $name (sort keys %beside) {
    part("run $name", $name eq 'node' ? 60 * $o{docs} / 1e6 + 20 : 60, sub {
        my @args = $flag{'no-write'} ? '--no-write' : ();
        push @args, '--docs', $result{'corpus generated'}{corpus};
        push @args, '--catalogue', $result{'corpus catalogue'}{corpus} if $result{'corpus catalogue'};
        capture("$^X $beside{$name} @args 2>$dir/$name.err");
    });
}
remove_tree("$dir/parts"), make_path("$dir/parts") if $flag{fresh};
for my $i (0 .. $#parts) {
    my (undef, $name) = split / /, $parts[$i]{name};
    next if $parts[$i]{name} =~ /^(index|search) / && exists $result{"corpus $name"} && !$result{"corpus $name"};
    run_part($i);
}
my @r = map { gather($_) // () } @corpora;
my $m = $result{machine};
my ($md_to, $json_to) = $flag{'no-write'} ? ("$dir/PERFORMANCE.md", "$dir/performance.json") : ('docs/PERFORMANCE.md', 'docs/performance.json');
my ($state) = (-e $md_to ? slurp($md_to) : '') =~ /^(## The state in Kubernetes .*?)(?=^## |\z)/ms; # coordination.pl's
spew($md_to, page($m, @r) =~ s/^(?=## Commands\n)/$state || ''/mer);
my %options = map { $_ => $o{$_} } grep { $_ ne 'dir' } keys %o;
my %json = (machine => $m, options => \%options, peers => { map { $_ => peer_name($_) } @peers }, corpora => [ map { { name => $_->{name},
    bytes => $_->{bytes}, docs => $_->{docs}, index => $_->{index}, agreement => $_->{agree}, search => $_->{ratios} } } @r ]);
spew($json_to, JSON::PP->new->canonical->pretty->encode(\%json));
print STDERR "\r", bar(scalar @parts, 0), sprintf("  %d s\e[K\n", time - $started);
print $result{"run $_"} for grep { $result{"run $_"} } sort keys %beside;
my $wrong = 0;
for my $r (@r) {
    for my $p (@peers) {
        print "$r->{title} against Lucene $p: $r->{agree}{$p}\n", summary($r->{ratios}{$p});
        next if $r->{agree}{$p} =~ /, 0 differ$/;
        $wrong++;
        print map { "  $_\n" } @{ $r->{disagree}{$p} };
    }
}
print "$md_to and $json_to written\n";
exit($wrong ? 1 : 0);
