#!/usr/bin/perl
# 070_analysis_stuck.t: a char filter, tokenizer or token filter of a plugin that does not return holds up nobody, when
# a document is indexed, a search analyzed, a text shown, an index made or deleted: the request is answered, the log
# names the call, after some such calls the plugin's are refused, and SIGTERM ends the node.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use Time::HiRes qw(time);
use Timed;
use Toys qw(toys);

my $dir = toys('the toy is built', 'toy-analysis');

my $n = QdNode->new('as', settings => {'plugins.path' => $dir, 'plugins.allow' => '+toy-analysis', 'plugins.call_timeout' => '1s', 'node.processors' => 2});
sub index_of {
    my ($ms) = @_;
    return {settings => {number_of_shards => 1, number_of_replicas => 0, analysis => {
                tokenizer => {words => {type => 'toy_words', ms => $ms}},
                filter => {same => {type => 'toy_same', ms => $ms}},
                char_filter => {chars => {type => 'toy_chars', ms => $ms}},
                analyzer => {w => {tokenizer => 'words'}, f => {tokenizer => 'standard', filter => ['same']},
                    c => {tokenizer => 'standard', char_filter => ['chars']}, all => {tokenizer => 'words', filter => ['same'], char_filter => ['chars']}}}},
            mappings => {properties => {(map { $_ => {type => 'text', analyzer => $_} } qw(w f c all))}}};
}
sub found { my ($field, $word) = @_; $n->post('/x/_search', {query => {match => {$field => $word}}})->{json}{hits}{total}{value} // 'none' }
sub plugin { my ($s) = values %{ $n->get('/_nodes/stats/plugins')->{json}{nodes} }; return $s->{plugins}{'toy-analysis'} }

# A request whose analysis does not return: answered in time, in Elasticsearch's shape, with who it was.
sub stuck {
    my ($what, $call, $part, $ask) = @_;
    my $begun = time;
    my $r = $ask->();
    my $error = $r->{json}{error};
    my ($cause) = $error->{root_cause} ? @{ $error->{root_cause} } : $error;
    is($r->{json}{status} // $r->{status}, 500, "$what is answered") or diag $r->{content};
    is($cause->{type}, 'plugin_exception', '... with the type') or diag $r->{content};
    like($cause->{reason}, qr/\Q$part\E of plugin \[toy-analysis\] has not returned from $call for 1000 ms/, '... and what has happened');
    within(time - $begun, 3, 30, 'the answer');
    my $line = qr/plugin \[toy-analysis\]: $call of \Q$part\E has not returned for \d+ ms \(type \[toy_\w+\]\)/;
    ok($n->wait_for(sub { $n->log_text =~ $line }), '... the log names it') or diag $n->log_text;
}

$n->start;
is($n->put('/x', index_of(600_000))->{status}, 200, 'an index');
is($n->put('/x/_doc/1?refresh=true', {map { $_ => 'quick fox' } qw(w f c all)})->{status}, 201, 'a document');
is(found($_, 'fox'), 1, "is found by $_") for qw(w f c all);
stuck('a document', 'run', 'tokenizer [words]', sub {
    my $r = $n->post('/x/_bulk?refresh=true', join '', map { qq({"index":{"_id":"$_->[0]"}}\n{"w":"$_->[1]"}\n) } [2, 'slow fox'], [3, 'stall'], [4, 'red fox']);
    is_deeply([map { $_->{index}{status} } @{ $r->{json}{items} }], [201, 500, 201], 'the others of its bulk are written') or diag $r->{content};
    return {json => $r->{json}{items}[1]{index}, content => $r->{content}};
});
is(found('w', 'fox'), 3, 'and found');
stuck('_analyze', 'run', 'char_filter [chars]', sub { $n->post('/x/_analyze', {analyzer => 'c', text => 'stall'}) });
stuck('a search', 'run', 'filter [same]', sub { $n->post('/x/_search', {query => {match => {f => 'stall'}}}) });
stuck('a new index', 'open', 'filter [odd]', sub {
    $n->put('/y', {settings => {analysis => {filter => {odd => {type => 'toy_same', ms => 600_000, in => 'open'}}, analyzer => {a => {tokenizer => 'standard', filter => ['odd']}}}}});
});
my $r = $n->put('/x/_doc/5', {w => 'good'});
is($r->{status}, 429, 'then the plugin\'s calls are refused') or diag $r->{content};
like($r->{json}{error}{reason}, qr/tokenizer \[words\] is not run: 4 calls of plugin \[toy-analysis\] have not returned in time/, '... with the reason');
is($n->post('/x/_search', {query => {match => {f => 'fox'}}})->{status}, 429, 'in searches');
is($n->put('/y', index_of(1))->{status}, 429, 'in new indices');
is($n->put('/plain/_doc/1?refresh=true', {a => 'stall'})->{status}, 201, 'other indices take documents');
is($n->put('/x/_doc/6?refresh=true', {n => 1})->{status}, 201, 'and this one those without such fields');
is(plugin()->{calls_not_returned}, 4, '_nodes/stats counts them');
is($n->get('/ready')->{json}{plugin_calls_over_time}, 4, '/ready too');
my $begun = time;
is($n->stop, 0, 'SIGTERM ends the node');
within(time - $begun, 25, 60, 'its end');
like($n->log_text, qr/run of tokenizer \[words\] has never returned: the node ends without it/, 'the log tells of them');

# What returns late finds all that it works with, and its plugin works on.
$n->start;
ok($n->wait_for(sub { found('w', 'fox') eq '3' }), 'all documents are there');
is($n->delete('/x')->{status}, 200, 'the index goes');
is($n->put('/x', index_of(1500))->{status}, 200, 'one whose parts return late');
isnt($n->put("/x/_doc/$_", {$_ => 'stall'})->{status}, 201, "a document whose $_ does") for qw(w f c);
isnt($n->put('/y', {settings => {analysis => {filter => {odd => {type => 'toy_same', ms => 1500, in => 'open'}}, analyzer => {a => {tokenizer => 'standard', filter => ['odd']}}}}})->{status},
    200, 'an index that opens late');
is($n->put('/z', {settings => {analysis => {filter => {odd => {type => 'toy_same', ms => 1500, in => 'close'}}, analyzer => {a => {tokenizer => 'standard', filter => ['odd']}}}}})->{status},
    200, 'one that closes late');
is($n->delete('/z')->{status}, 200, 'is deleted');
is($n->delete('/x')->{status}, 200, 'the first too, under its calls');
ok($n->wait_for(sub { plugin()->{calls_not_returned} == 0 }), 'all have returned');
ok($n->wait_for(sub { $n->log_text =~ /close of filter \[odd\] has returned after \d+ ms/ }), 'which is told');
is($n->put('/x', index_of(0))->{status}, 200, 'the plugin works');
is($n->put('/x/_doc/1?refresh=true', {all => 'stall'})->{status}, 201, 'in an index');
is(found('all', 'stall'), 1, 'and in a search');
is($n->stop, 0, 'ends');
done_testing;
