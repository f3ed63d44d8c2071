#!/usr/bin/perl
# 013_bench.t: `qd bench` as a script uses it: options, figures and result lines of Lucene's harness
# (tests/bench/peers/lucene), odd corpora, errors that name the line.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use JSON::PP qw(encode_json);
use QdNode;
use Test::More;

my $qd = "$QdNode::OUT/bin/qd";
my $dir = tempdir('qd-bench-XXXXXX', TMPDIR => 1, CLEANUP => 1);
sub file { my ($name, $text) = @_; open my $h, '>:raw', "$dir/$name" or die; print $h $text; close $h; return "$dir/$name" }
sub run { # status, standard output, standard error without the log
    my $out = `$qd bench @_ 2>$dir/err`;
    my $status = $? >> 8;
    return ($status, $out, join '', grep { !/^\[INFO\]/ } split /^/m, QdNode::slurp("$dir/err"));
}
sub figures { my ($line) = @_; return { $line =~ /([A-Za-z_]+)=(\S+)/g } }
sub index_of { # figures of a corpus
    my ($in, @args) = @_;
    my ($rc, $out, $err) = run('index', '--in', $in, '--index', "$dir/i", @args);
    is($rc, 0, "index @args") or diag $err;
    is($out =~ tr/\n//, 1, 'one line of figures');
    return figures($out);
}
sub hits { # of a query: [hits, [ids]] by command
    my ($query, @args) = @_;
    my $q = file('q.tsv', "$query\n");
    my ($rc, undef, $err) = run('search', '--index', "$dir/i", '--queries', $q, '--rounds', 1, '--warm-sec', 0, '--cmds', 'TOP_10,COUNT,TOP_10_COUNT', '--out', "$dir/out", @args);
    is($rc, 0, "search $query") or diag $err;
    return { map { my @c = split /\t/; chomp @c; $c[0] => [ $c[3], [ map { s/:[^:]*$//r } split / /, $c[7] // '' ] ] } split /^/m, QdNode::slurp("$dir/out") };
}

# --- indexing ------------------------------------------------------------------------------------------
srand 5;
my @docs = map { my $i = $_; { id => "d$i", title => "title $i", body => join(' ', map { 'w' . int 300 * rand() ** 3 } 1 .. 30) } } 0 .. 2499;
my $corpus = file('c.jsonl', join '', map { encode_json($_) . "\n" } @docs);
my $f = index_of($corpus);
my @names = qw(threads ram es append merge docs input_bytes index_s commit_s merge_close_s total_s thread_cpu_s cpu_s gc_ms docs_per_s
    MB_per_s docs_per_s_total docs_per_thread_cpu_s docs_per_cpu_s index_bytes segments refreshes fsyncs translog_bytes);
is(join(' ', grep { !defined $f->{$_} } @names), '', 'all figures of the harness');
is_deeply([ @$f{qw(threads ram es append merge docs segments fsyncs translog_bytes)} ], [ 1, 256, qw(false false false), 2500, 1, 0, 0 ], 'figures of a plain run');
is($f->{input_bytes}, -s $corpus, 'bytes read');
my $plain = hits('w1');
is(index_of($corpus, '--limit', 10)->{docs}, 10, '--limit');
is(index_of($corpus, '--limit', 0)->{docs}, 0, '--limit 0');
is_deeply(hits('w1'), { TOP_10 => [ 0, [] ], COUNT => [ 0, [] ], TOP_10_COUNT => [ 0, [] ] }, 'an empty index is searched');
for my $args ('--merge', '--threads 8 --ram 16', '--threads 3 --ram 1', '--ram 1 --merge', '--freqs') {
    is(index_of($corpus, $args)->{docs}, 2500, "all documents with $args");
    is(hits('w1')->{COUNT}[0], $plain->{COUNT}[0], 'the same hits');
}
for my $args ('--es', '--es-append', '--es --merge --threads 2', '--es-append --bulk 7 --refresh-ms 1 --no-fsync') {
    my $e = index_of($corpus, $args);
    is($e->{es}, 'true', "es of $args");
    cmp_ok($e->{translog_bytes}, '>', -s $corpus, 'the translog holds the sources');
    my $h = hits('w1');
    is($h->{TOP_10_COUNT}[0], $plain->{COUNT}[0], 'the same hits');
    like($h->{TOP_10}[1][0], qr/^d\d+$/, 'ids are those of the documents');
}
is(index_of($corpus, '--parse-only')->{docs}, 2500, '--parse-only');
my ($rc, $out, $err) = run('index', '--index', "$dir/i", '--in', '-', '<', $corpus);
is(figures($out)->{docs}, 2500, 'from standard input, into a folder that holds an index');

# --- odd corpora ----------------------------------------------------------------------------------------
is(index_of(file('o', ''))->{docs}, 0, 'an empty file');
is(index_of(file('o', ''), '--es')->{docs}, 0, 'an empty file, the engine');
for my $args ('', '--es') {
    is(index_of(file('o', qq({"id":1,"body":"one"}\r\n\r\n  \n{"id":"2","text":"\\u006fne \\ud83d\\ude00"}\r\n{"id":3}\n{"body":"one one","id":4.5})), $args)->{docs}, 4,
        "line ends, blank lines, no body, text, a last line without end $args");
    is_deeply(hits('one'), { TOP_10 => [ 3, [ '4.5', 1, 2 ] ], COUNT => [ 3, [] ], TOP_10_COUNT => [ 3, [ '4.5', 1, 2 ] ] }, 'all found');
    is_deeply(hits("\x{f0}\x{9f}\x{98}\x{80}")->{TOP_10}[1], [2], 'a pair of surrogates is one code point');
}
my $twice = file('o', join '', map { encode_json({ id => 'same', body => "word$_ all" }) . "\n" } 1 .. 5);
is_deeply([ index_of($twice)->{docs}, hits('all')->{COUNT}[0] ], [ 5, 5 ], 'an id five times: five documents');
is_deeply([ index_of($twice, '--es')->{docs}, hits('all')->{COUNT}[0], hits('word5')->{COUNT}[0] ], [ 5, 1, 1 ], 'with --es the last');
is_deeply([ index_of($twice, '--es-append')->{docs}, hits('all')->{COUNT}[0] ], [ 5, 5 ], 'with --es-append all');
index_of(file('o', qq({"body":"lone"}\n)));
is_deeply(hits('lone')->{TOP_10}[1], ['null'], 'no id');
is(index_of(file('o', join '', map { encode_json({ id => $_, body => join(' ', ("long$_") x 40000) }) . "\n" } 1 .. 300), '--es')->{docs}, 300, 'long documents, more than a batch holds');
is(hits('long7')->{COUNT}[0], 1, 'one of them');

# --- errors -----------------------------------------------------------------------------------------------
for my $case ([ qq({"id":1,"body":"a"}\n\n{"id":2 "body":3}\n), 3 ], [ "[1]\n", 1 ], [ qq({"id":1}\n{"id":2,"body":"\xff"}\n), 2 ], [ qq({"id":1}\n{"id":2), 2 ]) {
    for my $args ('', '--es', '--threads 4') {
        ($rc, $out, $err) = run('index', '--in', file('bad', $case->[0]), '--index', "$dir/i", $args);
        is("$rc $out", '1 ', 'a bad line: no figures');
        like($err, qr/^qd bench index: \Q$dir\E\/bad: line $case->[1]: \S/m, "names line $case->[1] $args");
    }
}
($rc, $out, $err) = run('index', '--in', file('bad', qq({"body":"x"}\n)), '--index', "$dir/i", '--es');
like($err, qr/line 1: a document without id/, 'no id with --es');
($rc, undef, $err) = run('index', '--in', "$dir/nowhere", '--index', "$dir/i");
ok($rc == 1 && $err =~ /nowhere/, 'no such file') or diag $err;
for my $args ('--threads 0', '--threads x', '--ram 0', '--limit -1', '--bulk 0', '--frobnicate', 'word', '--in') {
    ($rc, undef, $err) = run('index', '--in', $corpus, '--index', "$dir/j", $args);
    ok($rc == 64 && $err =~ /^qd bench index: /, "refused: $args") or diag $err;
}
ok(!-e "$dir/j", 'nothing is made before the options are read');

# --- searching ----------------------------------------------------------------------------------------------
index_of($corpus, '--merge');
my @queries = ("t\tw1", "t\tw250", "and\t+w1 +w2", "or\tw1 w2\r", "\"w0 w1\"", "t\tabsent", "and\t+w1 +absent", "or\tabsent w9", "phrase\t\"w1 absent\"",
    "phrase\t\"\"", "not\tw1 -w2", "not\t-w1", 'not	+w1 -"w0 w0"', "t\t+w1 +w1", "long\t" . join(' ', map { "w$_" } 1 .. 200), '', "long\t\"" . join(' ', ('w0') x 100) . '"');
my $q = file('queries.tsv', join("\n", @queries) . "\n");
($rc, $out, $err) = run('search', '--index', "$dir/i", '--queries', $q, '--cmds', 'COUNT,TOP_5,TOP_5_COUNT,TOP_5_COUNT_20', '--rounds', 3, '--warm-sec', '0.05', '--label', 'me', '--out', "$dir/out");
is($rc, 0, 'search') or diag $err;
like($err, qr/^me: 2500 docs, 1 segments, 16 queries/m, 'says what it searches');
my @lines = split /\n/, $out;
is(@lines, 4 * 8, 'a line for each command and class, and for all');
like($_, qr/^me\tCOUNT\t\w+\tn=\d+(\t(best|med)_(p50|p99|mean)=\d+\.\d){6}$/, 'line of figures') for $lines[0];
is_deeply([ map { (split /\t/)[2] } @lines[0 .. 7] ], [qw(t ALL and or all phrase not long)], 'classes in the order of the harness');
my %r;
for (split /\n/, QdNode::slurp("$dir/out")) {
    like($_, qr/^\w+\t\w+\t[^\t]*\t\d+\t\d+\.\d\d\t\d+\.\d\d\t[=>](\t\S+:-?\d+\.\d{5}( \S+:-?\d+\.\d{5})*)?$/, 'result line') or last;
    my @c = split /\t/;
    $r{ $c[0] }{ $c[2] } = \@c;
}
is(scalar keys %{ $r{TOP_5} }, 16, 'each query');
is($r{COUNT}{absent}[3], 0, 'an absent word');
is($r{COUNT}{'+w1 +absent'}[3], 0, 'and with it nothing');
is($r{COUNT}{'absent w9'}[3], hits('w9')->{COUNT}[0], 'or with it the others');
is($r{COUNT}{'-w1'}[3], 0, 'exclusions alone find nothing');
is($r{TOP_5_COUNT}{'w1 w2'}[3], $r{COUNT}{'w1 w2'}[3], 'both count alike');
is(join(' ', @{ $r{TOP_5_COUNT_20}{'w1 w2'} }[3, 6]), '20 >', 'counted to 20');
is(scalar(split / /, $r{TOP_5}{'w1 w2'}[7]), 5, 'five hits of TOP_5');
ok((split /[: ]/, $r{TOP_5}{'+w1 +w1'}[7])[1] > (split /[: ]/, $r{TOP_5}{w1}[7])[1] * 1.99, 'a word twice counts twice');
($rc, $out, $err) = run('search', '--index', "$dir/i", '--queries', $q, '--cmds', 'COUNT,TOP_5', '--rounds', 2, '--warm-sec', 0, '--threads', 3);
is($rc, 0, 'several threads') or diag $err;
is_deeply([ map { /^quidditch\t(\w+)\tthreads=(\d+)\tn=(\d+)\tseconds=\d+\.\d{3}\tqueries_per_s=\d+\.\d$/ ? "$1 $2 $3" : () } split /\n/, $out ],
    [ map { my $c = $_; map { "$c $_ " . 32 * $_ } 1 .. 3 } qw(COUNT TOP_5) ], 'queries a second of one to three threads, each runs all');
for my $case ([ '--cmds', 'TOP_0' ], [ '--threads', 0 ], [ '--threads', 65 ], [ '--cmds', 'COUNT,FOO' ], [ '--rounds', 0 ], [ '--warm-sec', -1 ], ['--frobnicate']) {
    ($rc, undef, $err) = run('search', '--index', "$dir/i", '--queries', $q, @$case);
    ok($rc == 64 && $err =~ /^qd bench search: /, "refused: @$case") or diag $err;
}
($rc, undef, $err) = run('search', '--index', "$dir/i", '--queries', file('bad.tsv', "x\tw1\nx\t+\n"));
like($err, qr/bad\.tsv: line 2: cannot read the query/, 'a query that cannot be read, by line');
($rc, undef, $err) = run('search', '--index', "$dir/nowhere", '--queries', $q);
ok($rc == 1 && $err =~ /nowhere/, 'no such index');
($rc, $out) = run('index', '--help');
ok($rc == 0 && $out =~ /--es-append/, 'help');
done_testing();
