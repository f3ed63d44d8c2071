#!/usr/bin/perl
# 212_brief_searches.t: short searches of small indices run on the loop of their connection: no task of
# the search pool is used for them. What does more, or might wait, goes to a worker, and both answer alike.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use QdNode;
use Test::More;

my $n = QdNode->new('a');
$n->start;
$n->put('/tiny', {settings => {number_of_shards => 1, number_of_replicas => 0},
    mappings => {properties => {title => {type => 'text'}, n => {type => 'integer'}, tag => {type => 'keyword'}}}});
$n->put('/two', {settings => {number_of_shards => 2, number_of_replicas => 0}});
$n->post("/tiny/_doc/$_", {title => "document $_ of a small index", n => $_, tag => "t$_"}) for 1 .. 150;
$n->post('/two/_doc/1', {title => 'small'});
$n->post('/tiny,two/_refresh');

sub completed { # tasks that the search pool has run
    my $j = $n->get('/_nodes/stats/thread_pool')->{json};
    my ($node) = values %{$j->{nodes}};
    return $node->{thread_pool}{search}{completed};
}

sub plain { my ($j) = @_; my %copy = %$j; delete @copy{qw(took status)}; return \%copy }

# Asks several times, of an index that was asked a moment before; how many of these the pool has run. On a
# machine that stood still in between the index sleeps again, so `wanted` 0 is tried some times.
sub workers {
    my ($path, $body, $wanted) = @_;
    my ($r, $ran);
    for (1 .. 10) {
        $n->post('/tiny/_search', {}) for 1 .. 2;
        my ($before, $was) = (completed(), -1);
        ($was, $before) = ($before, completed()) while $was != $before; # a worker counts its task behind the answer
        for (1 .. 5) { $r = $n->post($path, $body); last if $r->{status} != 200 }
        $n->wait_for(sub { completed() - $before >= 5 }, 5) if $wanted;
        $ran = completed() - $before;
        last if $wanted || !$ran;
    }
    return ($r, $ran);
}

for my $case (
    ['match',    {query => {match => {title => 'small'}}}],
    ['bool',     {query => {bool => {must => [{match => {title => 'document 7'}}], filter => [{range => {n => {gte => 5}}}]}}}],
    ['sorted',   {query => {match_all => {}}, sort => [{n => 'desc'}], size => 3}],
    ['a phrase', {query => {match_phrase => {title => 'small index'}}, from => 5}],
    ['nothing',  {query => {term => {tag => 'absent'}}}],
) {
    my ($name, $body) = @$case;
    my ($r, $ran) = workers('/tiny/_search', $body, 0);
    is($r->{status}, 200, "$name: answered");
    is($ran, 0, "$name: no worker");
    my $text = "{\"index\":\"tiny\"}\n" . JSON::PP::encode_json($body) . "\n";
    my $m = $n->request('POST', '/_msearch', $text, 'content-type' => 'application/x-ndjson');
    is_deeply(plain($r->{json}), plain($m->{json}{responses}[0]), "$name: as on a worker");
}
# an index that is small only on the disk: its sources compress well
$n->put('/wide', {settings => {number_of_shards => 1, number_of_replicas => 0}, mappings => {dynamic => 'false'}});
$n->put("/wide/_doc/$_", {text => 'the same again and again; ' x 20000}) for 1 .. 4;
$n->post('/wide/_refresh');
for my $case (
    ['aggregations', '/tiny/_search', {size => 0, aggs => {t => {avg => {field => 'n'}}, id => {cardinality => {field => 'tag'}}}, query => {range => {n => {gte => 2}}}}],
    ['fuzzy',        '/tiny/_search', {query => {fuzzy => {title => 'smoll'}}}],
    ['regexp',       '/tiny/_search', {query => {regexp => {title => 's.*l'}}}],
    ['many hits',    '/tiny/_search', {size => 120}],
    ['highlight',    '/tiny/_search', {query => {match => {title => 'small'}}, highlight => {fields => {title => {}}}}],
    ['a look-up',    '/tiny/_search', {query => {terms => {tag => {index => 'tiny', id => '3', path => 'tag'}}}}],
    ['large sources', '/wide/_search', {}],
    ['several shards', '/two/_search', {query => {match => {title => 'small'}}}],
    ['a pattern of names', '/tin*/_search', {query => {match => {title => 'small'}}}],
) {
    my ($name, $path, $body) = @$case;
    $path .= '?request_cache=false' if $body->{aggs};
    my ($r, $ran) = workers($path, $body, 5);
    is($r->{status}, 200, "$name: answered") or diag($r->{content});
    cmp_ok($ran, '>=', 5, "$name: by workers");
}
my $r = $n->post('/tiny/_search', {query => {terms => {tag => {index => 'tiny', id => '3', path => 'tag'}}}});
is_deeply([map { $_->{_id} } @{$r->{json}{hits}{hits}}], ['3'], 'a look-up finds its values');
$r = $n->post('/tiny/_search', {query => {nothing => {}}});
is($r->{status}, 400, 'an unknown query is refused');
is($r->{json}{error}{root_cause}[0]{type}, 'parsing_exception', 'with its reason');
# a write is seen as soon as it is refreshed
$n->post('/tiny/_search', {});
$n->put('/tiny/_doc/151?refresh=true', {title => 'later', n => 151, tag => 't151'});
is($n->post('/tiny/_search', {query => {match => {title => 'later'}}})->{json}{hits}{total}{value}, 1, 'a refreshed document is found');
is($n->stop, 0, 'ends');
done_testing;
