#!/usr/bin/perl
# 113_names_and_wrappers.t: date math in names of indices, and the queries wrapper and boosting.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(encode_base64);
use POSIX qw(strftime);
use QdNode;
use Test::More;

my $node = QdNode->new('names');
$node->start;

# a test that runs over midnight names both days' indices by its own first look at the clock
my $day = strftime('%Y.%m.%d', gmtime);
my $past = 'old-' . strftime('%Y.%m', gmtime(time - 40 * 86400));
my $now = '%3Clogs-%7Bnow%2Fd%7D%3E';

my $r = $node->put("/$now/_doc/1?refresh=true", { word => 'a red house', n => 1 });
is($r->{status}, 201, 'a document') or diag $r->{content};
my $index = $r->{json}{_index};
like($index, qr/^logs-\d{4}\.\d\d\.\d\d$/, 'in the index of the day');
ok($index eq "logs-$day" || strftime('%Y.%m.%d', gmtime) ne $day, 'which is today');
is($node->get("/$now/_doc/1")->{json}{found}, JSON::PP::true, 'is read');
is($node->get("/$now/_count")->{json}{count}, 1, 'is counted');
is_deeply([ keys %{ $node->get("/$now")->{json} } ], [$index], 'the index is shown');
$r = $node->post('/_bulk?refresh=true', join '', map { "$_\n" } '{"index":{"_index":"<logs-{now/d}>","_id":"2"}}', '{"word":"a blue house","n":2}', '{"index":{"_index":"<old-{now-40d{yyyy.MM}}>","_id":"3"}}', '{"word":"a red boat","n":3}', '{"index":{"_index":"<old-{now-40d>","_id":"4"}}', '{}');
is($r->{status}, 400, 'a bulk with an expression that is open ended') or diag $r->{content};
for my $wrong ([ '<old-{now-40d>', 'date math placeholder is open ended' ], [ '<old}{now}>', 'invalid character at position [4]. `{` and `}` are reserved characters and should be escaped when used as part of the index name using `\\` (e.g. `\\{text\\}`)' ],
    [ '<x{now{yyyy{}}}>', 'invalid character in placeholder at position [11]' ]) {
    my $e = $node->post('/_bulk', join '', map { "$_\n" } JSON::PP::encode_json({ index => { _index => $wrong->[0] } }), '{}')->{json};
    my $inner = substr $wrong->[0], 1, -1;
    is($e->{error}{reason} // $e->{items}[0]{index}{error}{reason}, "invalid dynamic name expression [$inner]. $wrong->[1]", $wrong->[0]);
}
$r = $node->post('/_bulk?refresh=true', join '', map { "$_\n" } '{"index":{"_index":"<logs-{now/d}>","_id":"2"}}', '{"word":"a blue house","n":2}', '{"index":{"_index":"<old-{now-40d{yyyy.MM}}>","_id":"3"}}', '{"word":"a red boat","n":3}');
is($node->get("/logs-*,-$now/_count")->{json}{count}, 0, 'excluded by a name with a time');
is_deeply([ map { $_->{index}{_index} } @{ $r->{json}{items} } ], [ $index, $past ], 'a bulk');
is($node->post('/_mget', { docs => [ { _index => '<logs-{now/d}>', _id => '2' } ] })->{json}{docs}[0]{found}, JSON::PP::true, '_mget');
$r = $node->post('/_msearch', qq({"index":["<logs-{now/d}>","<old-{now-40d{yyyy.MM}}>"]}\n{}\n));
is($r->{json}{responses}[0]{hits}{total}{value}, 3, '_msearch') or diag $r->{content};
$r = $node->post('/_reindex?refresh=true', { source => { index => '<logs-{now/d}>' }, dest => { index => '<copy-{now/d}>' } });
is($r->{json}{created}, 2, '_reindex') or diag $r->{content};
is($node->get('/copy-' . substr($index, 5) . '/_count')->{json}{count}, 2, 'into an index of the day');
$r = $node->post('/_mtermvectors', { docs => [ { _index => '<logs-{now/d}>', _id => '2', fields => ['word'] } ] });
is_deeply([ sort keys %{ $r->{json}{docs}[0]{term_vectors}{word}{terms} } ], [qw(a blue house)], '_mtermvectors') or diag $r->{content};
$r = $node->post('/_aliases', { actions => [ { add => { indices => [ '<logs-{now/d}>', '<old-{now-40d{yyyy.MM}}>' ], alias => '<all-{now/d}>' } } ] });
is($r->{status}, 200, '_aliases') or diag $r->{content};
is_deeply([ sort keys %{ $node->get('/_alias/all-' . substr($index, 5))->{json} } ], [ sort $index, $past ], 'an alias of the day at both');
$r = $node->put('/%3Clogs-%7Bnow%2Fd%7D%3E/_alias/%3Cone-%7Bnow%2Fd%7D%3E');
is($r->{status}, 200, 'an alias of one index') or diag $r->{content};
is_deeply([ keys %{ $node->get('/_alias/one-' . substr($index, 5))->{json} } ], [$index], 'named as of today');
is($node->delete('/%3Clogs-%7Bnow%2Fd%7D%3E/_alias/%3Cone-%7Bnow%2Fd%7D%3E')->{status}, 200, 'and taken away by such a name');
is($node->post('/_aliases', { actions => [ { add => { index => '<logs-{now/q}>', alias => 'x' } } ] })->{status}, 400, 'a bad expression in an action');
$r = $node->get('/%3Clogs-%7Bnow%2Fq%7D%3E/_search');
is($r->{status}, 400, 'a bad expression') or diag $r->{content};
is($node->get('/%3Cnone-%7Bnow%2Fd%7D%3E/_search')->{json}{error}{index}, 'none-' . substr($index, 5), 'an index that is not there is named as of today');

sub scores {
    my ($query) = @_;
    my $r = $node->post('/logs-*,old-*/_search', { query => $query, sort => [ { n => 'asc' } ], track_scores => \1 });
    diag $r->{content} unless $r->{json}{hits};
    return { map { $_->{_id} => $_->{_score} } @{ $r->{json}{hits}{hits} } };
}
my $house = { match => { word => 'house' } };
my $plain = scores($house);
is_deeply(scores({ wrapper => { query => encode_base64(JSON::PP::encode_json($house), '') } }), $plain, 'wrapper');
my $b = scores({ boosting => { positive => $house, negative => { term => { word => 'red' } }, negative_boost => 0.25 } });
is_deeply([ sort keys %$b ], [ 1, 2 ], 'boosting matches what the positive one does');
cmp_ok(abs($b->{1} - 0.25 * $plain->{1}), '<', 1e-6, 'the negative one lowers');
is($b->{2}, $plain->{2}, 'others stay');
is_deeply(scores({ boosting => { positive => $house, negative => { match_none => {} }, negative_boost => 0.25, boost => 1 } }), $plain, 'a negative one that matches nothing');
sub reason { my ($q) = @_; my $r = $node->post("/$index/_search", { query => $q }); return "$r->{status} " . ($r->{json}{error}{reason} // '') }
like(reason({ wrapper => { query => '***' } }), qr/^400 .*base64/, 'no base64');
like(reason({ wrapper => { query => encode_base64('{"nope":{}}', '') } }), qr/^400 unknown query \[nope\]/, 'a wrapped one that nobody knows');
like(reason({ wrapper => { query => encode_base64('{"match_all":{}} x', '') } }), qr/^400 /, 'more than a query');
like(reason({ wrapper => { query => encode_base64('{"match_all":', '') } }), qr/^400 /, 'less than a query');
like(reason({ wrapper => { boost => 1 } }), qr/^400 \[wrapper\] query malformed, expected `query` but was boost/, 'boost');
like(reason({ boosting => { positive => $house } }), qr/^400 \[boosting\] query requires 'negative' query/, 'no negative');
like(reason({ boosting => { positive => $house, negative => $house } }), qr/^400 \[boosting\] query requires 'negative_boost'/, 'no factor');
like(reason({ boosting => { positive => $house, negative => $house, negative_boost => 1, x => 1 } }), qr/^400 \[boosting\] query does not support \[x\]/, 'another member');
my $deep = '{"match_all":{}}';
$deep = '{"wrapper":{"query":"' . encode_base64($deep, '') . '"}}' for 1 .. 12;
$r = $node->post("/$index/_search", "{\"query\":$deep}");
is($r->{status}, 200, 'wrapped twelve times');

$node->stop;
done_testing;
