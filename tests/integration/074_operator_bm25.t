#!/usr/bin/perl
# 074_operator_bm25.t: the example operator `bm25`, built out of tree, scores by BM25 on its own: documents and scores are
# those of `match`, to the last bit, over shards and segments with deleted documents. The host does its boost, its _name and
# the head of its explanations.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use QdNode;
use JSON::PP ();
use Test::More;

my $top = QdNode::top();
my $dir = tempdir('qd-bm25-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $cc = $ENV{CC} ? "CC='$ENV{CC}'" : '';
sub sh { my $out = `@_ 2>&1`; return ($? >> 8, $out) }
chmod 0755, $dir;
plan skip_all => 'there is no pkg-config' if (sh('pkg-config --version'))[0];
is((sh("make -s -C '$top' install DESTDIR='$dir' prefix=/q $cc"))[0], 0, 'make install');
my $home = "$dir/q";
$ENV{PKG_CONFIG_PATH} = "$home/lib/pkgconfig";
delete @ENV{qw(CC CFLAGS MAKEFLAGS MAKELEVEL MFLAGS)};
sh("cp -r '$home/share/quidditch/sdk/examples/bm25-operator' '$dir/bm25'");
my ($rc, $out) = sh("make -C '$dir/bm25' install");
is($rc, 0, 'the example is built and installed') or diag $out;

$QdNode::OUT = $home;
my $n = QdNode->new('bm', settings => {'plugins.allow' => '+example-bm25'});
$n->start;
$n->put('/b', {settings => {number_of_shards => 3, number_of_replicas => 0, 'index.refresh_interval' => '-1'},
    mappings => {properties => {t => {type => 'text'}, k => {type => 'keyword'}, n => {type => 'long'}}}});

# Words of falling frequency, fields of one to some 40 words; five segments a shard, a seventh of the documents deleted.
my @words = map { "w$_" } 0 .. 60;
my $seed = 7;
sub dice { my $n = shift; $seed = ($seed * 1103515245 + 12345) % 2147483648; return int($seed / 65536) % $n }
my $docs = 0;
for my $segment (1 .. 5) {
    my $body = '';
    for (1 .. 400) {
        my @text = map { $words[dice(1 + dice(61))] } 0 .. dice(dice(40) + 1);
        $body .= qq({"index":{"_id":"$docs"}}\n) . ($docs % 17 == 3 ? qq({"n":$docs}\n) : qq({"t":"@text","k":"k@{[$docs % 5]}","n":$docs}\n));
        $docs++;
    }
    is($n->post('/b/_bulk?refresh=true', $body)->{json}{errors}, JSON::PP::false, "segment $segment");
}
is($n->post('/b/_bulk?refresh=true', join '', map { qq({"delete":{"_id":"@{[$_ * 7]}"}}\n) } 0 .. ($docs - 1) / 7)->{json}{errors}, JSON::PP::false, 'some are deleted');

sub ask {
    my ($query, $params, %more) = @_;
    my $r = $n->post("/b/_search?track_total_hits=true$params", {query => $query, size => 3000, sort => ['_score', {n => 'asc'}], track_scores => \1, %more});
    return $r->{content} if $r->{status} != 200;
    return join "\n", $r->{json}{hits}{total}{value}, map { "$_->{_id} $_->{_score}" } @{ $r->{json}{hits}{hits} };
}
sub top10 { # by score alone, which prunes by max_score
    my ($query, %more) = @_;
    return join ' ', map { "$_->{_id}=$_->{_score}" } @{ $n->post('/b/_search', {query => $query, %more})->{json}{hits}{hits} };
}
for my $text ('w0', 'w3 w17', 'w1 w2 w3 w4 w5', 'w60', 'w59 w0', 'W7, w8!', 'w5 w5 w9', 'w4 nosuchword', 'nosuchword', '') {
    my ($mine, $theirs) = ({bm25 => {field => 't', query => $text}}, {match => {t => $text}});
    is(ask($mine, ''), ask($theirs, ''), "[$text]: documents and scores of match");
    is(ask($mine, '&search_type=dfs_query_then_fetch'), ask($theirs, '&search_type=dfs_query_then_fetch'), '... with statistics of all shards');
    is(top10($mine), top10($theirs), '... the best ten');
    is(ask({bool => {must => [$mine], filter => [{range => {n => {gte => 500, lt => 1500}}}], must_not => [{term => {k => 'k3'}}]}}, ''),
        ask({bool => {must => [$theirs], filter => [{range => {n => {gte => 500, lt => 1500}}}], must_not => [{term => {k => 'k3'}}]}}, ''), '... within a bool');
    is($n->post('/b/_count', {query => $mine})->{json}{count}, $n->post('/b/_count', {query => $theirs})->{json}{count}, '... counted');
}
isnt(ask({match => {t => 'w3 w17'}}, ''), ask({match => {t => 'w3 w17'}}, '&search_type=dfs_query_then_fetch'), 'statistics of all shards do make a difference');
is(ask({bm25 => {field => 'nofield', query => 'w1'}}, ''), 0, 'an unmapped field has no documents');

# boost and _name, wherever they stand in the object.
for my $object ('{"boost":2,"_name":"x","field":"t","query":"w3 w17"}', '{"field":"t","boost":2,"query":"w3 w17","_name":"x"}',
    "{\"field\":\"t\",\"query\":\"w3 w17\"\n,\n\"_name\":\"x\",\"boost\":2}") {
    my $r = $n->post('/b/_search?size=5', qq({"query":{"bool":{"should":[{"bm25":$object},{"match":{"t":{"query":"w9","_name":"y"}}}]}}}));
    my $m = $n->post('/b/_search?size=5', {query => {bool => {should => [{match => {t => {query => 'w3 w17', boost => 2, _name => 'x'}}}, {match => {t => {query => 'w9', _name => 'y'}}}]}}});
    my @told = map { [map { "$_->{_id} $_->{_score} @{ $_->{matched_queries} || [] }" } @{ $_->{json}{hits}{hits} }] } $r, $m;
    is_deeply($told[0], $told[1], 'boost and _name are done by the host') or diag $r->{content};
}
my $r = $n->post('/b/_search', qq({"query":{"bm25":{"_name":"x",\n"field":"t",\n  "what":1}}}));
is($r->{status}, 400, 'a member that there is not');
is("$r->{json}{error}{line}:$r->{json}{error}{col}", '3:3', '... is told with its place') or diag $r->{content};
like($n->post('/b/_search', {query => {bm25 => {field => 't', query => 'x', boost => -1}}})->{content}, qr/negative \[boost\]/, 'a boost below 0 is refused');

# Explanations: the host's head, the operator's lines.
my ($hit) = @{ $n->post('/b/_search', {query => {match => {t => 'w3 w17'}}, size => 1})->{json}{hits}{hits} };
sub flat { my ($e) = @_; return ([$e->{value}, $e->{description}], map { flat($_) } @{ $e->{details} || [] }) }
sub values_of { my ($what, @lines) = @_; return sort map { $_->[0] } grep { $_->[1] =~ $what } @lines }
for my $boost (1, 2) {
    my $a = $n->post("/b/_explain/$hit->{_id}", {query => {bm25 => {field => 't', query => 'w3 w17', boost => $boost}}})->{json};
    my $b = $n->post("/b/_explain/$hit->{_id}", {query => {match => {t => {query => 'w3 w17', boost => $boost}}}})->{json};
    ok($a->{matched}, 'it matches');
    is($a->{explanation}{value}, $b->{explanation}{value}, "the score with boost $boost");
    is($a->{explanation}{description}, 'operator [bm25], computed as boost * score from:', '... is told by the host');
    my @mine = flat($a->{explanation}), my @theirs = flat($b->{explanation});
    is_deeply([values_of($_, @mine)], [values_of($_, @theirs)], "... from the same: $_")
        for qr/^idf/, qr/^n, number/, qr/^N, total/, qr/^tf/, qr/^freq,/, qr/^k1/, qr/^dl/, qr/^avgdl/;
    is((grep { $_->[1] eq 'boost' } @mine)[0][0], $boost == 2 ? 2 : 2.2, '... with the boost') or diag explain \@mine;
}
my ($none) = grep { $_ % 17 == 3 && $_ % 7 } 0 .. $docs - 1;
my $e = $n->post("/b/_explain/$none", {query => {bm25 => {field => 't', query => 'w3'}}})->{json};
ok(!$e->{matched}, 'another document does not match');
is($e->{explanation}{description}, 'operator [bm25] does not match', '... is told');
my ($explained) = @{ $n->post('/b/_search', {query => {bm25 => {field => 't', query => 'w3 w17'}}, size => 1, explain => \1})->{json}{hits}{hits} };
is($explained->{_explanation}{value}, $explained->{_score}, 'explain: true, in a search');
is($n->stop, 0, 'the node stops');
done_testing;
