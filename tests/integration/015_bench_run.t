#!/usr/bin/perl
# 015_bench_run.t: the plumbing of `make bench` without peers: sets run in parts, go on behind the last one,
# and end in a page and JSON; what agree.pl forgives a peer that means something else.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use JSON::PP qw(decode_json);
use QdNode;
use Test::More;

my $top = "$FindBin::Bin/../..";
my $dir = tempdir('qd-bench-run-XXXXXX', TMPDIR => 1, CLEANUP => 1);
sub file { my ($name, $text) = @_; open my $h, '>', "$dir/$name" or die; print $h $text; close $h; return "$dir/$name" }

# --- run.pl -----------------------------------------------------------------------------------------------
sub bench { # status and standard error
    my (@args) = @_;
    local $ENV{QD_OUT} = $QdNode::OUT;
    my $err = `cd $top && $^X tests/bench/run.pl --limit 1000 --dir $dir/b --peers '' --skip-node @args 2>&1 >$dir/out`;
    return ($? >> 8, $err);
}
my ($rc, $err) = bench('--only', 'text,mixed', '--index-docs', 200);
is($rc, 0, 'two sets') or diag $err;
my $page = QdNode::slurp("$dir/b/PERFORMANCE.md");
like($page, qr/^Not in this run: catalogue, logs, taxi, phrases, order, growth\.$/m, 'the page says what it lacks');
like($page, qr/^## 1000 generated documents \(1000 documents/m, 'the text');
like($page, qr/, modes that nothing searches over the first 200 documents;/, 'which documents');
like($page, qr/^\| natural \| quidditch \| \d+ \| \d+ \| \d+ \| 1 \|/m, 'indexing');
like($page, qr/^\| quidditch \| [\d.]+ \| .*POSTINGS [\d.]+/m, 'bytes a document by section');
like($page, qr/^\| TOP_10 \| quidditch \| \d+ \| \d+ \| [\d.]+ \|$/m, 'queries a second');
($rc, $err) = bench('--only', 'logs,phrases,order', '--index-docs', 200);
is($rc, 0, 'three more') or diag $err;
unlike($err, qr/: (?:index|search) (?:text|mixed) /, 'parts that are done are not run again');
my $json = decode_json(QdNode::slurp("$dir/b/performance.json"));
is_deeply([map { $_->{name} } @{ $json->{corpora} }], [qw(text logs mixed pairs pairs_words order_bp order_length)], 'JSON holds what all runs have measured');
my ($logs) = grep { $_->{name} eq 'logs' } @{ $json->{corpora} };
cmp_ok($logs->{index}{'--es-append'}{quidditch}{rss_anon}, '>', 1 << 20, 'peak memory');
is($logs->{index}{'--es-append --threads 2'}{quidditch}{docs}, 200, 'two threads, the first documents');
ok($logs->{threads}{AGGS}{quidditch}{2}, 'aggregations by two threads');
my ($pairs) = grep { $_->{name} eq 'pairs' } @{ $json->{corpora} };
cmp_ok($pairs->{size}{quidditch}{TERMS}, '>', (grep { $_->{name} eq 'text' } @{ $json->{corpora} })[0]{size}{quidditch}{TERMS}, 'pairs of words are indexed') or diag explain $pairs->{size};
($rc, $err) = bench('--only', 'nothing');
isnt($rc, 0, 'a set that is not there');
($rc, $err) = bench('--peers', '7');
like($err, qr/--peers: 8, 9, 9v, 10 or tantivy, not 7/, 'a peer that is not there');

# --- ratio.pl ---------------------------------------------------------------------------------------------
sub ratio { return decode_json(scalar `$^X $top/tests/bench/ratio.pl @{[file('a.out', $_[0])]} @{[file('b.out', $_[1])]} --json`)->[0] }
my $ours = join '', map { "TOP_10\ta\tq$_\t1\t" . ($_ == 10 ? 90 : 30) . "\t1\t=\t\n" } 1 .. 10;
my $theirs = join '', map { "TOP_10\ta\tq$_\t1\t60\t1\t=\t\n" } 1 .. 10;
my $r = ratio($ours, $theirs);
is_deeply([@$r{qw(p50 slower slower_p99)}, sprintf('%.2f', $r->{p99})], [2, 0, 1, '0.67'], 'faster at the median, slower at the end');
$r = ratio($ours =~ s/^.*q10.*\n//mr, $theirs);
is_deeply([$r->{p50}, $r->{n}, $r->{p99}], [2, 9, undef], 'nine queries have no 99th percentile');

# --- agree.pl ---------------------------------------------------------------------------------------------
sub agree { my ($a, $b, @how) = @_; my $out = `$^X $top/tests/bench/agree.pl @{[file('a.out', $a)]} @{[file('b.out', $b)]} @how`; return ($out =~ /(\d+) compared, (\d+) differ\n\z/)[0, 1] }
sub buckets { return 'AGGS	c	q	0	1	1	=	' . '{"a":{"buckets":[' . join(',', map { qq({"key":"$_->[0]","doc_count":$_->[1]}) } @_) . "]}}\n" }
my $top_10 = "TOP_10\tfuzzy\tq\t2\t1\t1\t=\t1:2.00000 2:1.00000\nCOUNT\tfuzzy\tq\t2\t1\t1\t=\n";
is_deeply([agree($top_10, $top_10 =~ s/2\.0/1.0/r)], [2, 1], 'another score');
is_deeply([agree($top_10, $top_10 =~ s/2\.0/1.0/r, '--counts', 'fuzzy')], [1, 0], 'by counts alone');
is_deeply([agree($top_10, $top_10 =~ s/^COUNT\tfuzzy\tq\t2/COUNT\tfuzzy\tq\t3/mr, '--counts', 'fuzzy')], [1, 1], 'which differ');
is_deeply([agree($top_10 . buckets(['a', 1]), $top_10 . buckets(['a', 1]), '--skip', 'fuzzy')], [1, 0], 'left out');
is_deeply([agree($top_10, $top_10 =~ s/^COUNT\tfuzzy\tq/COUNT\tfuzzy\tr/mr)], [2, 1], 'a query that theirs lacks');
is_deeply([agree($top_10, $top_10 =~ s/^COUNT.*\n//mr)], [1, 0], 'a command that theirs has not');
my $three = buckets(['a', 3], ['b', 2], ['c', 2]);
is_deeply([agree($three, buckets(['a', 3], ['c', 2], ['b', 2]))], [1, 1], 'buckets of one count in another order');
is_deeply([agree($three, buckets(['a', 3], ['c', 2], ['d', 2]), '--tied-buckets')], [1, 0], 'and cut in another place, forgiven');
is_deeply([agree($three, buckets(['x', 3], ['b', 2], ['c', 2]), '--tied-buckets')], [1, 1], 'but not above the last count');
is_deeply([agree($three, buckets(['a', 3], ['b', 2], ['c', 1]), '--tied-buckets')], [1, 1], 'nor another count');
done_testing();
