#!/usr/bin/perl
# http.pl: classes of queries over HTTP, beside the same queries over the engine in process: the same documents, stored
# sources on both sides, one segment, one client. Asserts that both count the same hits, of times nothing; writes
# build/bench/performance-http.md.
#
#   http.pl --docs FILE.jsonl [--queries FILE.tsv] [--rounds 3] [--no-write]
#
# --queries: CLASS<TAB>QUERY (default: the corpus' queries.tsv). The node has its defaults but for the request cache,
# which is off: each answer is computed. A query's time is its best of --rounds, from the first byte written to the last
# one read on one connection; a class has the median and, from ten queries on, the 99th percentile of its queries.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__), dirname(__FILE__) . '/../integration/lib';
use Bodies qw(body_of);
use File::Temp ();
use JSON::PP ();
use Parts qw(report run slurp spew);
use QdNode;
use Rest qw(asked connected request started);
use Test::More ();

my %o = (rounds => 3);
while (@ARGV) {
    my $a = shift;
    if    ($a eq '--no-write')                  { $o{nowrite} = 1 }
    elsif ($a eq '--catalogue')                 { shift }               # run.pl gives it to all
    elsif ($a =~ /^--(docs|queries|rounds)$/)   { $o{$1} = shift }
    else                                        { die "unknown option $a\n" }
}
die "usage: http.pl --docs FILE.jsonl [--queries FILE.tsv]\n" unless $o{docs};
$o{queries} //= $o{docs} =~ s/\.jsonl$/.queries.tsv/r;
my $json = JSON::PP->new->canonical->utf8;
my $mapping = 'tests/bench/mappings/text.json';
my $folder = File::Temp::tempdir('qd-http-XXXXXX', TMPDIR => 1, CLEANUP => 1);
# of a search: what is asked in process, and the members that ask for the same over HTTP
my @asked = (
    ['ten hits with sources, counted to 10,000', 'TOP_10_COUNT_10000', {size => 10}],
    ['ten hits', 'TOP_10', {size => 10, track_total_hits => JSON::PP::false(), _source => JSON::PP::false()}],
    ['count', 'COUNT', {size => 0, track_total_hits => JSON::PP::true()}],
);

sub lines { my $text = slurp($_[0]); utf8::decode($text); return split /\n/, $text }
sub percentile { my ($p, @v) = @_; @v = sort { $a <=> $b } @v; return $v[-1 - int((100 - $p) / 100 * @v)] }

# {command}{query}: the best time in microseconds; of COUNT {hits}{query}
sub in_process {
    my $qd = "$QdNode::OUT/bin/qd";
    run("$qd bench index --in $o{docs} --index $folder/index --es-append --no-fsync --refresh-ms 100000 --merge --mapping $mapping >$folder/index.txt 2>&1");
    run("$qd bench search --index $folder/index --queries $o{queries} --cmds " . join(',', map { $_->[1] } @asked)
      . " --rounds $o{rounds} --warm-sec 1 --out $folder/in.tsv --mapping $mapping >$folder/search.txt 2>&1");
    my %of;
    for (lines("$folder/in.tsv")) {
        my ($cmd, undef, $query, $hits, $best) = split /\t/;
        $of{$cmd}{$query} = $best;
        $of{hits}{$query} = $hits if $cmd eq 'COUNT';
    }
    return \%of;
}

sub filled { # a node with the documents in one segment
    my $n = started('http');
    my $r = $n->put('/docs', {mappings => $json->decode(slurp($mapping)),
        settings => {number_of_shards => 1, number_of_replicas => 0, 'index.requests.cache.enable' => JSON::PP::false()}});
    die "$r->{content}\n" unless $r->{status} == 200;
    my ($status, $out) = $n->run_qd('index', 'docs', $o{docs}, '--url', $n->url);
    die $out if $status;
    $r = $n->post('/docs/_forcemerge?max_num_segments=1');
    die "$r->{content}\n" unless $r->{status} == 200;
    $n->post('/docs/_refresh');
    return $n;
}

my $in = in_process();
my (%class, @classes, %seen);
for (lines($o{queries})) {
    my ($class, $query) = split /\t/, $_, 2;
    push @classes, $class unless $class{$class};
    push @{ $class{$class} }, $query unless $seen{"$class\t$query"}++;
}
my $n = filled();
my $s = connected($n);
my @root = map { (asked($s, request('GET', '/')))[0] } 1 .. 2000;
my (@rows, $wrong);
for my $class (@classes) {
    my @row = ($class, scalar @{ $class{$class} });
    for my $a (@asked) {
        my (undef, $cmd, $more) = @$a;
        my %best;
        for my $round (1 .. $o{rounds}) {
            for my $query (@{ $class{$class} }) {
                my ($us, $answer) = asked($s, request('POST', '/docs/_search', $json->encode({ %{ body_of($query) }, %$more })));
                $best{$query} = $us if !defined $best{$query} || $us < $best{$query};
                next if $cmd ne 'COUNT' || $round > 1;
                my $hits = $json->decode($answer)->{hits}{total}{value};
                next if $hits == $in->{hits}{$query};
                $wrong++;
                print STDERR "$class: $query: $hits hits over HTTP, $in->{hits}{$query} in process\n";
            }
        }
        my @here = map { $in->{$cmd}{$_} } keys %best;
        my $p99 = @here < 10 ? sub { '' } : sub { sprintf '%.0f', percentile(99, @_) };
        push @row, sprintf('%.0f', percentile(50, @here)), $p99->(@here), sprintf('%.0f', percentile(50, values %best)), $p99->(values %best);
    }
    push @rows, \@row;
}
$n->stop;
my $docs = 0 + `wc -l < $o{docs}`;
my $cores = () = QdNode::slurp('/proc/cpuinfo') =~ /^processor\s*:/mg;
my @kinds = map { my $k = $_->[0]; ("$k: in process p50", 'p99', 'over HTTP p50', 'p99') } @asked;
my $page = "# Classes of queries over HTTP\n\nWritten by `make bench` (tests/bench/http.pl, which says how) on $cores cores: $docs generated documents with their\n"
  . "sources, one segment, the request cache off, client and node on the same cores. Microseconds. An answer to `GET /` takes\n"
  . sprintf("%.0f (median), which holds the client, two turns of the network and their wake-ups. Hits over HTTP and in process are %s.\n\n",
    percentile(50, @root), $wrong ? "different for $wrong queries" : 'the same')
  . '| class | queries | ' . join(' | ', @kinds) . " |\n|---|" . '---:|' x (1 + @kinds) . "\n" . join('', map { '| ' . join(' | ', @$_) . " |\n" } @rows);
print $page;
report('http', $page) unless $o{nowrite};
exit($wrong ? 1 : 0);
