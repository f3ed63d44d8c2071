#!/usr/bin/perl
# aggs.pl: the same aggregations asked of a running OpenSearch 2.x (or Elasticsearch) and of ours;
# whole answers are compared, numbers as they are written.
#
#   aggs.pl --peer http://127.0.0.1:9200 [--ours URL] [--seed 1] [--docs 600] [--count 500]
#           [--cases FILE] [--only N] [--verbose N] [--record FILE] [--keep] [--loaded]
#
# Without --ours a node is started (compatibility.identity os2). Indices are named by --prefix and
# removed at the end. --record writes requests and the peer's answers where ours are the same, which
# tests/integration replays without a peer. --cases: one request a line, {"path","body"}. Start the
# peer as tests/peers/opensearch/Oracle.pm says.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../../integration/lib";
use AggsData;
use AggsCompare;
use Getopt::Long;
use HTTP::Tiny;
use Test::More;

my %o = (seed => 1, docs => 600, count => 500, prefix => 'qdaggs-', verbose => 10, cases => "$FindBin::Bin/aggs.cases");
GetOptions(\%o, 'peer=s', 'ours=s', 'seed=i', 'docs=i', 'count=i', 'cases=s', 'only=i', 'verbose=i', 'record=s', 'prefix=s', 'keep', 'loaded') or exit 2;
$o{peer} or die "usage: aggs.pl --peer URL [--ours URL] …\n";
my $http = HTTP::Tiny->new(timeout => 120, keep_alive => 1);

my $node;
if (!$o{ours}) {
    require QdNode;
    $node = QdNode->new('aggs', settings => {'compatibility.identity' => 'os2'});
    $node->start;
    $o{ours} = $node->url;
}

sub call {
    my ($base, $method, $path, $body) = @_;
    my $type = $path =~ /_bulk/ ? 'application/x-ndjson' : 'application/json';
    my $r = $http->request($method, $base . $path, {defined $body ? (content => $body, headers => {'content-type' => $type}) : ()});
    die "$base$path: $r->{content}" if $r->{status} == 599;
    return $r;
}

diag "seed $o{seed}";
AggsData::seed($o{seed});
my @indices = AggsData::indices($o{prefix});
my @bulks = AggsData::bulks($o{prefix}, $o{docs});
for my $base ($o{loaded} ? () : ($o{peer}, $o{ours})) {
    for my $i (@indices) {
        call($base, 'DELETE', "/$i->{name}");
        my $r = call($base, 'PUT', "/$i->{name}", AggsData::json($i->{body}));
        die "$base: $r->{content}" if $r->{status} != 200;
    }
    for my $b (@bulks) {
        next if $b->[1] eq '';
        my $r = call($base, 'POST', "/$b->[0]/_bulk?refresh=true", $b->[1]);
        die "$base: " . ($r->{content} =~ /(.{0,60}"error":.{0,300})/ ? $1 : $r->{content}) if $r->{status} != 200 || $r->{content} =~ /"errors":true/;
    }
}

my @requests;
if ($o{cases} && -f $o{cases}) {
    open my $f, '<', $o{cases} or die "$o{cases}: $!";
    while (<$f>) {
        next if /^\s*(#|$)/;
        chomp;
        my $c = AggsCompare::parse($_);
        my %m = @{$c->{o}};
        (my $path = $m{path}{s}) =~ s/\bP-/$o{prefix}/g;
        push @requests, {path => $path, text => $m{body}{raw}};
    }
}
my $fixed = @requests;
push @requests, map { my $r = AggsData::request($o{prefix}); +{path => $r->{path}, text => AggsData::json($r->{body})} } 1 .. $o{count};

my ($same, $shown, %kinds, $record) = (0, 0);
if ($o{record}) { open $record, '>', $o{record} or die "$o{record}: $!" }
for my $i (0 .. $#requests) {
    next if defined $o{only} && $i != $o{only};
    my $q = $requests[$i];
    my @r = map { call($_, 'POST', $q->{path}, $q->{text}) } $o{peer}, $o{ours};
    my ($p, $u) = map { AggsCompare::answer($_->{status}, $_->{content}) } @r;
    my @d = AggsCompare::differences($p, $u, $q->{text});
    if (!@d) {
        $same++;
        my $line = AggsCompare::record($q, $p);
        print $record "$line\n" if $record && length $line < 5000 && !$p->{failures};
        next;
    }
    my $kind = AggsCompare::kind($q->{text}, $d[0]) // '?';
    $kinds{$kind}++;
    next if $shown++ >= $o{verbose} && !defined $o{only};
    diag "request $i: POST $q->{path} $q->{text}";
    diag "   $_" for @d[0 .. ($#d > 5 && !defined $o{only} ? 5 : $#d)];
}
diag sprintf '%d of %d requests (%d written, %d random) answered the same', $same, defined $o{only} ? 1 : scalar @requests, $fixed, scalar @requests - $fixed;
diag "  $kinds{$_} x $_" for sort { $kinds{$b} <=> $kinds{$a} } keys %kinds;
is($same, defined $o{only} ? 1 : scalar @requests, 'all answers are the same');
if (!$o{keep}) { call($_->[0], 'DELETE', "/$_->[1]{name}") for map { my $b = $_; map { [$b, $_] } @indices } $o{peer}, $o{ours} }
$node->stop if $node;
done_testing;
