# Names that Elasticsearch or OpenSearch know and this version has not are refused as such, and docs/features.md, which
# lists them, is what the tables print.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;

my $qd = QdNode::qd();
my $top = QdNode::top();
is(QdNode::slurp("$top/docs/features.md"), scalar `'$qd' features --markdown`, 'docs/features.md is what the tables print');
like(scalar `'$qd' features geo_shape`, qr/^Queries: \| `geo_shape` \| both \| refused \|$/m, 'qd features of a word');
isnt(system("'$qd' features no_such_word >/dev/null 2>&1"), 0, 'a word that no name contains');

my $page = QdNode::slurp("$top/docs/features.md");
my $n = QdNode->new('n', settings => {'compatibility.identity' => 'es8'});
$n->start;
$n->put('/a', {mappings => {properties => {n => {type => 'long'}}}});

sub reason { my ($r) = @_; return "$r->{status} " . ($r->{json}{error}{root_cause}[0]{reason} // $r->{content}) . ' / ' . ($r->{json}{error}{reason} // '') }

# one of each kind that the page says is refused
my %of = (
    Queries => sub { $n->post('/a/_search', {query => {$_[0] => {}}}) },
    Aggregations => sub { $n->post('/a/_search', {aggs => {x => {$_[0] => {}}}}) },
    'Field types' => sub { $n->put('/b', {mappings => {properties => {f => {type => $_[0]}}}}) },
    'Processors of ingest pipelines' => sub { $n->put('/_ingest/pipeline/p', {processors => [ {$_[0] => {}} ]}) },
    Tokenizers => sub { $n->post('/_analyze', {tokenizer => {type => $_[0]}, text => 'x'}) },
    'Token filters' => sub { $n->post('/_analyze', {tokenizer => 'standard', filter => [ {type => $_[0]} ], text => 'x'}) },
);
for my $kind (sort keys %of) {
    my ($part) = $page =~ /^## \Q$kind\E\n(.*?)(?=^## |\z)/ms;
    my @refused = ($part // '') =~ /^\| `(\w+)` \| \w+ \| refused/mg;
    ok(@refused, "$kind: some are refused") or next;
    for my $name (@refused) {
        my $r = $of{$kind}->($name);
        my $said = reason($r);
        ok($said =~ /^400 / && $said =~ /\[\Q$name\E\].* (?:is|are) not supported by this version|plugin \[/ && $said !~ /did you mean/, "$kind: $name") or diag $said;
    }
    my $r = $of{$kind}->('no_such_name_at_all');
    unlike(reason($r), qr/not supported by this version/, "$kind: a name that nobody knows is unknown");
}
for (['GET', '/_ml/anomaly_detectors/x', 'ml.get_jobs'], ['POST', '/a/_graph/explore', 'graph.explore'], ['PUT', '/_watcher/watch/w', 'watcher.put_watch'],
    ['POST', '/_sql', 'sql.query'], ['GET', '/_ssl/certificates', 'ssl.certificates'], ['PUT', '/_transform/t', 'transform.put_transform']) {
    my ($method, $path, $name) = @$_;
    my $r = $n->request($method, $path, $method eq 'GET' ? undef : {});
    is($r->{status}, 400, "$method $path");
    is($r->{json}{error}{reason} // $r->{content}, "[$name] is not supported by this version, see docs/features.md", '... by name') or diag $r->{content};
}
like($n->get('/_no_such_api/at/all')->{content}, qr/no handler found for uri/, 'a path that neither product has');
is($n->request('POST', '/_cluster/health')->{status}, 405, 'the wrong method stays one');
is($n->stop, 0, 'it ends cleanly');
done_testing;
