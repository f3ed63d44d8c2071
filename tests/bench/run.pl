#!/usr/bin/perl
# run.pl: the benchmark of `make bench`: Quidditch, Lucene and tantivy over the same documents and queries,
# by turns in one run on one machine; checks that they agree; writes PERFORMANCE.md and performance.json
# into --dir and runs the programs beside it (node.pl, live.pl, http.pl, rest.pl, columns.pl,
# coordination.pl) that write their own. docs/PERFORMANCE.md has the ratios of the newest whole run, by hand.
#
#   run.pl [--limit N] [--docs 1000000] [--dir build/bench] [--rounds 3] [--warm 30] [--queries 200]
#          [--passes 1] [--peers 8,10,tantivy] [--heap 3g] [--index-docs N] [--only SET,...] [--skip-node] [--no-write]
#          [--fresh]
#
# Sets: text (generated documents), catalogue (of the machine's packages), logs, taxi, mixed (indexing
# alone), phrases (pairs of words indexed, a fifth of --docs), order (documents ordered at merges, a fifth),
# growth (a tenth and five times of --docs). --only runs some of them; the page has the sets
# that are there and names the others. --index-docs N: modes of indexing that nothing searches read the
# first N documents.
# The run is made of parts, each kept when done: the same command again goes on behind the last one
# that is; another program, jar or option, or --fresh, starts from the beginning. All that it makes
# lies in --dir. --limit N tries the wiring in minutes: N documents, short warm-up, the page
# stays in --dir. What a machine has not (Peers.pm) is left out, loudly, and the page says so.
# Turns: indexing, --passes times, the best by documents per CPU second. Searching: ours, a peer,
# ours, the next peer, ours: a peer runs once, Lucene warmed up for --warm seconds a class of queries, with
# as many rounds as ours has over all its turns, so that each query has as many tries on each side.
# Wall times vary with what else the machine does: compare ratios within one run only.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use File::Path qw(make_path remove_tree);
use FindBin;
use lib $FindBin::Bin;
use JSON::PP;
use List::Util qw(sum0 max);
use Corpora;
use Parts qw(slurp spew capture measured);
use Peers;
use Report qw(machine compared best_of_files summary page);

my %o = (docs => 1_000_000, dir => 'build/bench', rounds => 3, warm => 30, passes => 1, queries => 200,
    peers => '8,10,tantivy', heap => '3g', 'index-docs' => 0);
my (%flag, $limit, %only);
my @told = @ARGV;
my @sets = qw(text catalogue logs taxi mixed phrases order growth);
while (@ARGV) {
    my $a = shift;
    if ($a =~ /^--(skip-node|no-write|fresh)$/) { $flag{$1} = 1 }
    elsif ($a eq '--only' && @ARGV) {
        for my $s (split /,/, shift) { die "--only: @sets, not $s\n" unless grep { $_ eq $s } @sets; $only{$s} = 1 }
    }
    elsif ($a eq '--limit') {
        $limit = shift;
        die "--limit N: a number of documents\n" unless defined $limit && $limit =~ /^[1-9]\d*$/;
        %o = (%o, docs => $limit, dir => "build/bench-$limit", warm => 0.1, rounds => 2, queries => 20, heap => '1g');
        $flag{'no-write'} = 1;
    }
    elsif ($a =~ /^--(docs|dir|rounds|warm|passes|queries|peers|heap|index-docs)$/ && @ARGV) { $o{$1} = shift }
    else { die "unknown option $a\n" }
}
my $dir = $o{dir};
make_path($dir);
my $out = $ENV{QD_OUT} // 'build'; # where the product was built
my $qd = "$out/bin/qd";
die "run it from the top of the tree, after make\n" unless -x $qd && -e 'tests/bench/peers/lucene/lucene.sh';
my $peers = Peers->new($dir, $o{heap}, $o{peers});
my @peers = $peers->there;
my @who = ('quidditch', @peers);
my $corpora = Corpora->new($dir, $o{queries}, $limit);
my @cmds = qw(TOP_10 TOP_100 TOP_1000 COUNT TOP_10_COUNT TOP_100_COUNT TOP_1000_COUNT TOP_10_COUNT_10000 AGGS);
my @few = qw(TOP_10 TOP_10_COUNT COUNT AGGS);

# What answers of tantivy are not compared by, and why.
my @agree_tantivy = ('--counts', 'sloppy2', '--skip', 'fuzzy1,fuzzy2', '--tied-buckets');
my $differs = "tantivy's fuzzy queries (all words within the distance with one score, where Lucene and we take the 50 nearest and\n"
  . "blend their frequencies), the scores of its sloppy phrases (it does not weigh them by distance) and the order of buckets of one\n"
  . "count. Its BM25 scores are divided by k1 + 1; TOP_10_COUNT_10000 counts all hits there. It has no sources, translog or refresh without a commit: no --es.";

my $parts = Parts->new($dir, sha256_hex(join "\0", map({ "$_=$o{$_}" } sort grep { $_ ne 'dir' } keys %o),
    map({ sha256_hex(slurp($_)) } $qd, glob("$out/lib/quidditch/plugins/storage-nvme.so"), Peers::sources(),
        glob('tests/bench/gen_* tests/bench/Corpora.pm tests/bench/mappings/*')), $peers->identity));

# --- sets ---------------------------------------------------------------------------------------------
# size: of the corpus against a million generated documents, for the bar. index: modes that are measured.

my $size = $o{docs} / 1e6;
my $map = 'tests/bench/mappings';
my %set = (
    text => { title => "$o{docs} generated documents", size => $size, bodies => "$map/text.json", index => ['--merge', 'natural', '--es', '--es-append', '--es-append --threads 2'],
        cmds => \@cmds, make => sub { $corpora->word_queries($corpora->generated($o{docs})) } },
    catalogue => { title => "the machine's package catalogue", size => ($limit // 6e4) / 6e5, bodies => "$map/text.json", index => ['--merge', '--es', '--es-append'],
        cmds => \@cmds, make => sub { my $c = $corpora->catalogue; return defined $c ? $corpora->word_queries($c) : undef } },
    logs => { title => "$o{docs} lines of a web server", size => $size / 3, rows => 'logs', index => ['--merge', 'natural', '--es', '--es-append', '--es-append --threads 2'], cmds => \@cmds },
    taxi => { title => "$o{docs} taxi rides", size => $size / 4, rows => 'taxi', index => ['--merge', 'natural', '--es-append'], cmds => \@cmds },
    mixed => { title => "$o{docs} mixed documents of 14 fields", size => $size, rows => 'mixed', index => ['--merge', '--es', '--es-append', '--es-append --threads 2'] },
);
my $fifth = int($o{docs} / 5) || 1;
my %small = (size => $fifth / 1e6, index => ['--merge'], brief => 1);
my $phrases = "$fifth generated documents, phrases by pairs of words (index_phrases)";
my %pairs = (%small, of => 'phrases', cmds => [qw(TOP_10 TOP_100 TOP_1000 COUNT TOP_10_COUNT TOP_100_COUNT TOP_1000_COUNT)], mapping => "$map/text_pairs.json",
    bodies => "$map/text_pairs.json", who => [grep { $_ ne 'tantivy' } @who], make => sub { $corpora->phrase_queries($corpora->generated($fifth)) });
$set{pairs} = { %pairs, title => "$phrases, of the peers too" };
$set{pairs_words} = { %pairs, title => "$phrases, of the peers by words", peer_mapping => "$map/text.json", peer_bodies => "$map/text.json", compare => ['--counts', 'phrase2,phrase2_hh,phrase3'] };
# Lucene 8 has no order of its own; of the newest terms of N/2000 documents, as ours (docs/decisions/0132).
my @ordered = $peers->reorders ? ('quidditch', 'lucene10') : ('quidditch');
for my $by (qw(length bp)) {
    $set{"order_$by"} = { %small, of => 'order', title => "$fifth generated documents, ordered at merges (ours by $by)", cmds => \@cmds, bodies => "$map/text.json", who => \@ordered,
        compare => ['--no-order'], args => { quidditch => "--reorder $by", lucene10 => '--ram 64 --reorder ' . max(8, int($fifth / 2000)) },
        make => sub { $corpora->word_queries($corpora->generated($fifth)) } };
}
for my $times (0.1, 5) {
    my $n = int($o{docs} * $times) || 1;
    $set{"growth$n"} = { title => "$n generated documents", size => $n / 1e6, index => ['--merge'], brief => 1, of => 'growth', cmds => [qw(TOP_10 TOP_10_COUNT COUNT)],
        make => sub { $corpora->word_queries($corpora->generated($n), 1) } };
}
for my $s (grep { $_->{rows} } values %set) {
    my $kind = $s->{rows};
    $s->{mapping} = $s->{bodies} = "$map/$kind.json";
    $s->{make} = sub {
        my $c = $corpora->rows($kind, $o{docs});
        return $s->{cmds} ? $corpora->row_queries($kind, $c) : $corpora->described($c);
    };
}
sub of { my ($name) = @_; return $set{$name}{of} // $name } # the set that --only names
sub who { my ($name) = @_; return @{ $set{$name}{who} // \@who } }
sub peers_of { my ($name) = @_; return grep { $_ ne 'quidditch' } who($name) }
my @order = map { my $of = $_; sort { $set{$a}{size} <=> $set{$b}{size} || $a cmp $b } grep { of($_) eq $of } keys %set } @sets;

# --- commands -------------------------------------------------------------------------------------------

# Is what a mode of indexing makes searched?
sub searched { my ($name, $mode) = @_; return $set{$name}{cmds} && $mode =~ /^(?:--merge|natural)$/ }
sub index_dir { my ($name, $who, $mode) = @_; return "$dir/$name-$who" . $mode =~ s/ //gr }

# Ours without sources, as the peers' forms that are searched hold the fields alone.
sub fields_alone {
    my ($name) = @_;
    my $file = "$dir/$name.fields.json";
    my $mapping = decode_json(slurp($set{$name}{mapping} // "$map/text.json"));
    spew($file, JSON::PP->new->canonical->encode({ %$mapping, _source => { enabled => JSON::PP::false } }));
    return $file;
}

# Of ours the plain mode is the segment writer alone, as a peer's writer is. Rows go through the engine, which has
# the mapping, and natural segments come of its merges: both with a translog, unsynced, and with ids.
sub command_index {
    my ($name, $who, $mode) = @_;
    my $s = $set{$name};
    my $args = join ' ', $mode eq 'natural' ? () : $mode, $s->{args}{$who} // ();
    my $mapping = $who eq 'quidditch' ? $s->{mapping} : $s->{peer_mapping} // $s->{mapping};
    if ($who eq 'quidditch' && $args !~ /--es/ && ($mapping || $mode eq 'natural')) {
        $args = "--es-append --no-fsync --refresh-ms 100000 $args";
        $mapping = fields_alone($name);
    }
    $args .= " --mapping $mapping" if $mapping;
    my $c = $parts->result("corpus $name");
    my $in = $o{'index-docs'} && !searched($name, $mode) ? $corpora->head($c->{corpus}, $o{'index-docs'}) : $c->{corpus};
    return $peers->program($who, 'Indexer') . " --in $in --index " . index_dir($name, $who, $mode) . " $args";
}

sub command_search {
    my ($name, $who, $mode, $cmds, $rounds, $warm, $out) = @_;
    my ($s, $c) = ($set{$name}, $parts->result("corpus $name"));
    my $bodies = $who eq 'quidditch' ? $s->{bodies} : $s->{peer_bodies} // $s->{bodies};
    return $peers->program($who, 'Searcher') . ' --index ' . index_dir($name, $who, $mode) . " --queries $c->{queries} --cmds " . join(',', @$cmds)
      . " --rounds $rounds --warm-sec $warm --out $out" . ($bodies ? " --mapping $bodies" : '');
}

sub figures { my ($line) = @_; return { map { /^([a-zA-Z_]+)=(.*)$/ ? ($1 => $2) : () } split ' ', $line } }

sub index_part {
    my ($name, $who, $mode) = @_;
    my $to = index_dir($name, $who, $mode);
    my $memory = measured(command_index($name, $who, $mode), "$to.txt", "$to.err");
    my %f = (%{ figures(slurp("$to.txt")) }, %$memory);
    remove_tree($to) unless searched($name, $mode);
    return \%f;
}

# Seconds of warm-up: the JIT wants its time for each class of queries.
sub warm_up { my ($name, $who, $share) = @_; return Peers::is_java($who) ? $o{warm} * max(1, $parts->result("corpus $name")->{classes} * $share) : 1 }

sub search_part {
    my ($name, $who, $mode, $turn, $cmds, $rounds, $share) = @_;
    my $file = "$dir/$name-$who-$mode.$turn.out";
    my $warm = warm_up($name, $who, $share);
    my $m = measured(command_search($name, $who, $mode, $cmds, $rounds, $warm, $file), "$file.txt", "$file.err");
    my ($segments) = slurp("$file.err") =~ /docs, (\d+) segments/;
    return { file => $file, warm => $warm, segments => $segments, %$m };
}

sub threads_part { # {command}{threads}: queries a second
    my ($name, $who) = @_;
    my $file = "$dir/$name-$who.threads";
    my %q;
    measured(command_search($name, $who, '--merge', [qw(TOP_10 COUNT AGGS)], 2, warm_up($name, $who, 0.2), "$file.out") . ' --threads 2', "$file.txt", "$file.err");
    for (split /\n/, slurp("$file.txt")) { $q{$1}{$2} = $3 if /^[^\t]*\t(\w+)\tthreads=(\d+)\t.*queries_per_s=([\d.]+)/ }
    return \%q;
}

# Bytes by section of ours, by extension of the peers' files.
sub size_part {
    my ($name) = @_;
    my %size;
    my $dump = decode_json(capture("$qd segment dump --json " . index_dir($name, 'quidditch', '--merge') . " 2>$dir/dump.err"));
    for my $seg (@{ $dump->{segments} }) { $size{quidditch}{ $_->{name} } += $_->{bytes} for @{ $seg->{sections} } }
    for my $who (peers_of($name)) {
        my ($files) = slurp(index_dir($name, $who, '--merge') . '.txt') =~ /files:(.*)/;
        $size{$who} = { map { /^(.*)=(\d+)$/ ? ($1 => $2 + 0) : () } split ' ', $files // '' };
    }
    return \%size;
}

sub tries { my ($name) = @_; return $o{rounds} * (peers_of($name) + 1) }

sub plan {
    my ($name) = @_;
    my $s = $set{$name};
    my ($weight, $of) = ($s->{size}, of($name));
    $parts->add("corpus $name", $of, 40 * $weight + 3, $s->{make});
    my $java = sub { my ($who, $ours, $peer) = @_; return Peers::is_java($who) ? $peer : $ours };
    for my $mode (@{ $s->{index} }) {
        for my $pass (1 .. $o{passes}) {
            for my $who (grep { $_ ne 'tantivy' || $mode !~ /--es/ } who($name)) {
                $parts->add("index $name $who $mode / $pass", $of, $java->($who, 20, 180) * $weight + 3, sub { index_part($name, $who, $mode) });
            }
        }
    }
    return unless $s->{cmds};
    $parts->add("size $name", $of, 1, sub { size_part($name) });
    my ($turn, $tries) = (0, tries($name));
    for my $who (map({ ('quidditch', $_) } peers_of($name)), 'quidditch') {
        my $t = ++$turn;
        my $rounds = $who eq 'quidditch' ? $o{rounds} : $tries;
        $parts->add("search $name $who $t", $of, $java->($who, 2, 20 * $o{warm}) + 20 * $rounds * $weight, sub { search_part($name, $who, '--merge', $t, $s->{cmds}, $rounds, 1) });
    }
    return if $s->{brief};
    if (grep { $_ eq 'natural' } @{ $s->{index} }) {
        $parts->add("natural $name $_", $of, $java->($_, 2, 7 * $o{warm}) + 20 * $o{rounds} * $weight, do { my $who = $_; sub { search_part($name, $who, 'natural', 1, \@few, $o{rounds}, 0.3) } }) for @who;
    }
    $parts->add("threads $name $_", $of, $java->($_, 2, 4 * $o{warm}) + 20 * $weight, do { my $who = $_; sub { threads_part($name, $who) } }) for @who;
}

# --- report ---------------------------------------------------------------------------------------------

sub how_to_compare { my ($name, $who) = @_; return (@{ $set{$name}{compare} // [] }, $who eq 'tantivy' ? @agree_tantivy : ()) }

sub gather { # the figures of one set
    my ($name) = @_;
    my ($s, $c) = ($set{$name}, $parts->result("corpus $name"));
    return unless $c;
    my %r = (name => $name, title => $s->{title}, who => [who($name)], map { $_ => $c->{$_} } qw(bytes docs classes));
    my (%files, %natural);
    for my $p ($parts->names(of($name))) {
        my $f = $parts->result($p);
        if ($p =~ /^index \Q$name\E (\S+) (.*) \/ \d+$/) {
            my $b = $r{index}{$2}{$1};
            $r{index}{$2}{$1} = $f if !$b || $f->{docs_per_cpu_s} > $b->{docs_per_cpu_s};
        }
        elsif ($p =~ /^search \Q$name\E (\S+) \d+$/) { push @{ $files{$1} }, $f->{file}; $r{memory}{$1} = { map { $_ => $f->{$_} } qw(rss_anon rss_peak) } }
        elsif ($p =~ /^natural \Q$name\E (\S+)$/) { $natural{$1} = $f->{file}; $r{segments}{$1} = $f->{segments} }
        elsif ($p =~ /^threads \Q$name\E (\S+)$/) { for my $cmd (keys %$f) { $r{threads}{$cmd}{$1} = $f->{$cmd} } }
        elsif ($p eq "size $name") { $r{size} = $f }
    }
    return \%r unless %files;
    my %best = map { $_ => best_of_files("$dir/$name-$_.out", @{ $files{$_} }) } keys %files;
    $r{search}{$_} = compared($best{quidditch}, $best{$_}, how_to_compare($name, $_)) for peers_of($name);
    if (%natural) { $r{natural}{$_} = compared($natural{quidditch}, $natural{$_}, '--no-order', how_to_compare($name, $_)) for peers_of($name) }
    return \%r;
}

sub commands { # what was run over a set
    my ($name) = @_;
    my ($s, $tries, @c) = ($set{$name}, tries($name));
    for my $who (who($name)) {
        push @c, map { command_index($name, $who, $_) } grep { $who ne 'tantivy' || !/--es/ } @{ $s->{index} };
        push @c, command_search($name, $who, '--merge', $s->{cmds}, $who eq 'quidditch' ? $o{rounds} : $tries, warm_up($name, $who, 1), "$dir/$name-$who.out") if $s->{cmds};
    }
    return @c;
}

# --- all of it --------------------------------------------------------------------------------------------

$parts->add('machine', 'all', 1, \&machine);
for my $p (@peers) { $parts->add("build $p", 'all', $p eq 'tantivy' ? 120 : 5, sub { $peers->build($p) }) }
plan($_) for @order;
my %beside = map { $_ => "tests/bench/$_.pl" } grep { -e "tests/bench/$_.pl" } qw(node live http rest columns coordination);
delete $beside{node} if $flag{'skip-node'};
for my $name (sort keys %beside) {
    $parts->add("run $name", 'beside', $name eq 'node' ? 60 * $size + 20 : 60, sub {
        my @args = $flag{'no-write'} ? '--no-write' : ();
        push @args, '--docs', $parts->result('corpus text')->{corpus};
        push @args, '--catalogue', $parts->result('corpus catalogue')->{corpus} if $parts->result('corpus catalogue');
        capture("$^X $beside{$name} @args 2>$dir/$name.err");
    });
}
$parts->forget if $flag{fresh};
my $wanted = sub { my ($set) = @_; return $set eq 'all' || !%only || $only{$set} };
$parts->run_all($wanted, sub { my ($set) = @_; return exists $parts->{result}{"corpus $set"} && !$parts->result("corpus $set") });

my @missing = grep { my $s = $_; !$parts->complete($s) && !(exists $parts->{result}{"corpus $s"} && !$parts->result("corpus $s")) } @sets;
my @done = grep { my $of = of($_); !grep { $_ eq $of } @missing } @order;
my @r = map { gather($_) // () } @done;
my ($md_to, $json_to) = ("$dir/PERFORMANCE.md", "$dir/performance.json");
spew($md_to, page(machine => $parts->result('machine'), options => \%o, told => "@told", tries => $o{rounds} * (@peers + 1),
    peers => [map { [$_, $peers->name($_)] } @peers], absent => [$peers->absent], missing => \@missing,
    differs => (grep { $_ eq 'tantivy' } @peers) ? $differs : undef,
    sets => [grep { of($_->{name}) ne 'growth' } @r], growth => [grep { $_->{search} && (of($_->{name}) eq 'growth' || $_->{name} eq 'text') } @r],
    commands => [map { commands($_->{name}) } @r]));
my @plain = qw(name title bytes docs index size segments threads memory);
spew($json_to, JSON::PP->new->canonical->pretty->encode({ machine => $parts->result('machine'), options => { map { $_ => $o{$_} } grep { $_ ne 'dir' } keys %o },
    peers => { map { $_ => $peers->name($_) } @peers }, absent => [$peers->absent], missing => \@missing, corpora => [map { my $r = $_; +{
        (map { defined $r->{$_} ? ($_ => $r->{$_}) : () } @plain),
        (map { my $k = $_; $r->{$k} ? ($k => { map { $_ => { agreement => $r->{$k}{$_}{agree}, disagree => $r->{$k}{$_}{disagree}, ratios => $r->{$k}{$_}{ratios} } } keys %{ $r->{$k} } }) : () } qw(search natural)) } } @r] }));
print $parts->result("run $_") for grep { $parts->result("run $_") } sort keys %beside;
my $wrong = 0;
for my $r (@r) {
    for my $p (grep { $r->{search}{$_} } @peers) {
        print "$r->{title} against $p: $r->{search}{$p}{agree}\n", summary($r->{search}{$p}{ratios});
        for my $x (grep { $_ } $r->{search}{$p}, $r->{natural}{$p}) {
            next if $x->{agree} =~ /, 0 differ$/;
            $wrong++;
            print map { "  $_\n" } @{ $x->{disagree} };
        }
    }
}
print "$md_to and $json_to written", @missing ? " (without @missing)" : '', "\n";
exit($wrong ? 1 : 0);
