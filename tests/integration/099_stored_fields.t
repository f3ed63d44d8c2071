#!/usr/bin/perl
# 099_stored_fields.t: store: true and stored_fields of _doc, _mget and _search, with _source as it was sent, filtered and
# disabled, before and after a refresh, a merge and a restart.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('stored');
$node->start;
my ($true, $false) = (JSON::PP::true, JSON::PP::false);
my %stored = map { ($_->[0] => { type => $_->[1], store => $true, %{ $_->[2] // {} } }) }
    [ t => 'text', { fields => { k => { type => 'keyword', store => $true, ignore_above => 10 } } } ], [ n => 'long', { null_value => 7 } ], [ f => 'double' ], [ b => 'boolean' ],
    [ d => 'date', { format => 'yyyy/MM/dd' } ], [ ip => 'ip' ], [ low => 'keyword', { normalizer => 'lc' } ], [ all => 'text' ], [ bin => 'binary' ];
my $doc = { t => [ 'One two', 'a text that is long' ], n => [ '5', 1, undef ], f => 2, b => 'true', d => '2020/01/02', ip => '::1', low => 'ABC', bin => 'AAEC', o => { x => 3 }, c => 'copied', plain => 'p' };
my $want = { t => $doc->{t}, 't.k' => ['One two'], n => [ 5, 1, 7 ], f => [2.0], b => [$true], d => ['2020/01/02'], ip => ['::1'], low => ['abc'], all => ['copied'], bin => ['AAEC'], 'o.x' => [3] };
my $names = join ',', sort keys %$want;

my %sources = (sent => undef, filtered => { includes => [ 'plain', 'n' ] }, disabled => { enabled => $false });
for my $index (sort keys %sources) {
    my $r = $node->put("/$index", { settings => { number_of_shards => 1, 'index.refresh_interval' => -1, analysis => { normalizer => { lc => { type => 'custom', filter => ['lowercase'] } } } }, mappings => {
        ($sources{$index} ? (_source => $sources{$index}) : ()),
        properties => { %stored, o => { properties => { x => { type => 'integer', store => $true } } }, c => { type => 'keyword', copy_to => 'all' }, plain => { type => 'keyword' } } } });
    is($r->{status}, 200, "$index is made") or diag $r->{content};
    is($node->put("/$index/_doc/1", $doc)->{status}, 201, 'a document');
    my $check = sub {
        my ($when) = @_;
        is_deeply($node->get("/$index/_doc/1?stored_fields=$names")->{json}{fields}, $want, "$index, $when: _doc");
        my $r = $node->post('/_mget', { docs => [ { _index => $index, _id => 1, stored_fields => [ keys %$want ] } ] });
        is_deeply($r->{json}{docs}[0]{fields}, $want, "$index, $when: _mget");
    };
    $check->('before a refresh');
    $node->post("/$index/_refresh", '');
    $check->('refreshed');
    is_deeply($node->post("/$index/_search", { stored_fields => [ keys %$want ] })->{json}{hits}{hits}[0]{fields}, $want, "$index: _search");
    is_deeply($node->post("/$index/_search", { stored_fields => ['*'] })->{json}{hits}{hits}[0]{fields}, $want, "$index: _search with a wildcard");
    is_deeply($node->post("/$index/_search", { stored_fields => [ 't*', 'o.*', 't.k' ] })->{json}{hits}{hits}[0]{fields}, { map { ($_ => $want->{$_}) } qw(t t.k o.x) }, "$index: patterns that overlap");
    $node->put("/$index/_doc/2?refresh=true", { plain => 'q' });
    $node->post("/$index/_forcemerge?max_num_segments=1", '');
    $check->('merged');
    is($node->get("/$index/_doc/2?stored_fields=t,n")->{json}{fields}, undef, "$index: a document without values");
}

subtest 'which of _source comes along' => sub {
    my $source = sub { return $_[0]{json}{_source} };
    my $get = sub { return $node->get("/sent/_doc/1?$_[0]")->{json} };
    ok(!$get->('stored_fields=t')->{_source}, 'none beside stored fields');
    my $r = $get->('stored_fields=t,_source');
    is_deeply([ $r->{_source}{plain}, $r->{fields}{t} ], [ 'p', $doc->{t} ], 'when it is named among them');
    is_deeply($get->('stored_fields=t&_source=plain')->{_source}, { plain => 'p' }, 'when it is asked for beside them');
    ok(!$get->('stored_fields=t,_source&_source=false')->{_source}, 'not when it is refused');
    is($get->('stored_fields=plain')->{fields}, undef, 'a field that is not stored has no value');
    is($node->get('/sent/_doc/1?stored_fields=o')->{status}, 400, 'nor may an object be asked for');
    my $docs = $node->post('/sent/_mget?stored_fields=t', { docs => [ { _id => 1, stored_fields => [ 'n', '_source' ] }, { _id => 1 }, { _id => 1, _source => 'plain' }, { _id => 9 } ] })->{json}{docs};
    is_deeply([ map { [ $_->{_source} ? scalar keys %{ $_->{_source} } : 0, sort keys %{ $_->{fields} // {} } ] } @$docs ], [ [ 11, 'n' ], [ 0, 't' ], [ 1, 't' ], [0] ], '_mget: each item its own');
    my $hit = sub { return $node->post('/sent/_search', { query => { ids => { values => [1] } }, %{ $_[0] } })->{json}{hits}{hits}[0] };
    ok(!exists $hit->({ stored_fields => 't' })->{_source}, '_search: none');
    is($hit->({ stored_fields => [ 't', '_source' ] })->{_source}{plain}, 'p', '_search: named');
    is($hit->({ stored_fields => ['t'], _source => $true })->{_source}{plain}, 'p', '_search: asked for');
    my $none = $hit->({ stored_fields => '_none_' });
    is_deeply([ exists $none->{_id}, exists $none->{_source}, exists $none->{fields} ], [ '', '', '' ], '_none_');
    is($node->post('/sent/_search', { stored_fields => [ '_none_', 't' ] })->{status}, 400, '_none_ stands alone');
    is_deeply($hit->({ stored_fields => ['n'], docvalue_fields => ['n'] })->{fields}{n}, [ 1, 5, 7 ], 'a field is shown once');
    is_deeply($hit->({ stored_fields => ['n'], fields => ['t.k'] })->{fields}, { n => [ 5, 1, 7 ], 't.k' => ['One two'] }, 'beside fields');
};

subtest 'a restart' => sub {
    $node->put('/disabled/_doc/3', { t => 'unflushed' });
    $node->kill9;
    $node->start;
    is_deeply($node->get('/disabled/_doc/3?stored_fields=t')->{json}{fields}, { t => ['unflushed'] }, 'from the log');
    is_deeply($node->get("/disabled/_doc/1?stored_fields=$names")->{json}{fields}, $want, 'from the segment');
    $node->post('/disabled/_refresh', '');
    is_deeply($node->get('/disabled/_doc/3?stored_fields=t&realtime=false')->{json}{fields}, { t => ['unflushed'] }, 'as searches see it');
    my $r = $node->put('/disabled/_doc/4', { t => 'x' x (1 << 20) });
    like($r->{content}, qr/values of stored fields that _source does not keep take \d+ bytes; they may take 1048512/, 'a megabyte beside _source is too much');
};
$node->stop;
done_testing();
