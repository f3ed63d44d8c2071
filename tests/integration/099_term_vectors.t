#!/usr/bin/perl
# 099_term_vectors.t: _termvectors and _mtermvectors: words, positions, offsets, statistics, filters, documents that
# are not in the index; and the parameter term_vector.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('vectors');
$node->start;
my ($true, $false) = (JSON::PP::true, JSON::PP::false);
my $r = $node->put('/v', { settings => { number_of_shards => 1, 'index.refresh_interval' => -1, analysis => { normalizer => { lc => { type => 'custom', filter => ['lowercase'] } } } }, mappings => { properties => {
    text => { type => 'text', term_vector => 'with_positions_offsets', fields => { k => { type => 'keyword', normalizer => 'lc' }, stop => { type => 'text', analyzer => 'stop' } } },
    plain => { type => 'text' }, yes => { type => 'text', term_vector => 'yes' }, pos => { type => 'text', term_vector => 'with_positions' }, n => { type => 'long' } } } });
is($r->{status}, 200, 'an index') or diag $r->{content};
my @texts = ('The quick brown fox is brown.', 'brown dogs', [ 'one fox', 'two' ]);
$node->put("/v/_doc/$_", { text => $texts[$_], plain => 'Some words', yes => 'a a', pos => 'b', n => 3 }) for 0 .. $#texts;
$node->post('/v/_refresh', '');

sub vectors { my ($path, $body) = @_; my $r = $node->post("/v/_termvectors$path", $body // ''); return $r->{json} }
sub terms { my ($v, $field) = @_; return join ' ', sort keys %{ $v->{term_vectors}{$field}{terms} } }

subtest 'a document' => sub {
    my $v = vectors('/0?term_statistics=true');
    is_deeply([ @$v{qw(_index _id _version found)} ], [ 'v', '0', 1, $true ], 'which');
    is(join(' ', sort keys %{ $v->{term_vectors} }), 'pos text yes', 'fields with vectors are told');
    my $text = $v->{term_vectors}{text};
    is_deeply($text->{field_statistics}, { sum_doc_freq => 10, doc_count => 3, sum_ttf => 11 }, 'statistics of a field');
    is_deeply($text->{terms}{brown}, { doc_freq => 2, ttf => 3, term_freq => 2, tokens => [ { position => 2, start_offset => 10, end_offset => 15 }, { position => 5, start_offset => 23, end_offset => 28 } ] }, 'a term');
    is_deeply($v->{term_vectors}{yes}{terms}{a}, { doc_freq => 3, ttf => 6, term_freq => 2 }, 'term_vector: yes has neither positions nor offsets');
    is_deeply($v->{term_vectors}{pos}{terms}{b}{tokens}, [ { position => 0 } ], 'with_positions has positions');
    $v = vectors('/2');
    is_deeply($v->{term_vectors}{text}{terms}{two}, { term_freq => 1, tokens => [ { position => 102, start_offset => 8, end_offset => 11 } ] }, 'the second value of an array');
    $v = vectors('/0?fields=text&positions=false&field_statistics=false');
    is_deeply($v->{term_vectors}{text}, { terms => { map { my ($t, @at) = @$_; ($t => { term_freq => @at / 2, tokens => [ map { { start_offset => $at[2 * $_], end_offset => $at[2 * $_ + 1] } } 0 .. $#at / 2 ] }) }
        [ 'the', 0, 3 ], [ 'quick', 4, 9 ], [ 'brown', 10, 15, 23, 28 ], [ 'fox', 16, 19 ], [ 'is', 20, 22 ] } }, 'parts are left out');
    ok(!exists vectors('/0?fields=text&positions=false&offsets=false')->{term_vectors}{text}{terms}{fox}{tokens}, 'without both there are no tokens');
};

subtest 'fields' => sub {
    my $v = vectors('/0', { fields => [ 'plain', 'text.*' ] });
    is(join(' ', sort keys %{ $v->{term_vectors} }), 'plain text.k text.stop', 'those without vectors, and multi-fields');
    is_deeply($v->{term_vectors}{'text.k'}{terms}, { 'the quick brown fox is brown.' => { term_freq => 1, tokens => [ { position => 0, start_offset => 0, end_offset => 29 } ] } }, 'a keyword is one term');
    is(terms($v, 'text.stop'), 'brown fox quick', 'each by its analyzer');
    is_deeply(vectors('/0', { fields => [ 'n', 'nothing' ] })->{term_vectors}, {}, 'numbers have no words');
    is(terms(vectors('/0', { fields => ['plain'], per_field_analyzer => { plain => 'keyword' } }), 'plain'), 'Some words', 'per_field_analyzer');
    is($node->post('/v/_termvectors/0', { fields => ['plain'], per_field_analyzer => { plain => 'none' } })->{status}, 400, 'an analyzer that there is not');
};

subtest 'filter' => sub {
    my $v = vectors('/0', { fields => ['text'], filter => { max_num_terms => 2 } });
    is(terms($v, 'text'), 'brown is', 'the best, by frequency and rarity, then in order');
    cmp_ok(abs($v->{term_vectors}{text}{terms}{brown}{score} - 2 * (log(4 / 3) + 1)), '<', 1e-5, 'their score');
    is(terms(vectors('/0', { fields => ['text'], filter => { min_term_freq => 2 } }), 'text'), 'brown', 'min_term_freq');
    is(terms(vectors('/0', { fields => ['text'], filter => { min_doc_freq => 2 } }), 'text'), 'brown fox', 'min_doc_freq');
    is(terms(vectors('/0', { fields => ['text'], filter => { min_word_length => 4, max_doc_freq => 1 } }), 'text'), 'quick', 'min_word_length, max_doc_freq');
    like($node->post('/v/_termvectors/0', { filter => { most => 1 } })->{content}, qr/\[most\] is not valid for filter parameter/, 'another word');
};

subtest 'a document that is not there' => sub {
    my $v = vectors('', { doc => { text => 'brown bread', new => 'Bread' }, term_statistics => $true });
    is_deeply([ exists $v->{_id}, $v->{_version}, $v->{found} ], [ '', 0, $true ], 'has no id');
    is_deeply([ @{ $v->{term_vectors}{text}{terms}{brown} }{qw(doc_freq ttf)}, exists $v->{term_vectors}{text}{terms}{bread}{doc_freq} ], [ 2, 3, '' ], 'statistics of words that the index has');
    is(terms($v, 'text.stop'), 'bread brown', 'all fields');
    is_deeply([ terms($v, 'new'), terms($v, 'new.keyword') ], [ 'bread', 'Bread' ], 'dynamic ones as they would be mapped');
    ok(!exists $node->get('/v/_mapping')->{json}{v}{mappings}{properties}{new}, 'which they are not');
    is(terms(vectors('', { doc => { text => 'x y' }, fields => ['text'], per_field_analyzer => { text => 'keyword' } }), 'text'), 'x y', 'per_field_analyzer');
    is($node->post('/v/_termvectors', {})->{status}, 400, 'neither an id nor a document');
    is($node->post('/v/_termvectors', { _id => 1, doc => {} })->{status}, 400, 'both');
};

subtest 'realtime' => sub {
    $node->put('/v/_doc/new', { text => 'fresh' });
    is(terms(vectors('/new'), 'text'), 'fresh', 'before a refresh');
    my $v = vectors('/new?realtime=false');
    is_deeply([ @$v{qw(_id found)}, exists $v->{term_vectors} ], [ 'new', $false, '' ], 'not as searches see it');
    is($node->get('/v/_termvectors/none')->{status}, 200, 'a document that is not there is an answer');
    is($node->get('/v/_termvectors/0?version=5')->{status}, 409, 'another version');
    is($node->get('/none/_termvectors/0')->{status}, 404, 'no index');
    like($node->post('/v/_termvectors/0', { versionType => 'external' })->{content}, qr/unknown field \[versionType\]/, 'an unknown key');
};

subtest '_mtermvectors' => sub {
    my $docs = $node->post('/_mtermvectors?term_statistics=true', { docs => [ { _index => 'v', _id => '0', fields => ['text'] }, { _index => 'nowhere', _id => 'x' }, { _index => 'v', doc => { plain => 'w' } }, { _index => 'v', _id => 'none' } ] })->{json}{docs};
    is_deeply([ terms($docs->[0], 'text'), $docs->[0]{term_vectors}{text}{terms}{fox}{ttf} ], [ 'brown fox is quick the', 2 ], 'one of the index');
    is_deeply([ @{ $docs->[1] }{qw(_index _id)}, $docs->[1]{error}{type} ], [ 'nowhere', 'x', 'index_not_found_exception' ], 'an item that fails says so');
    is(terms($docs->[2], 'plain'), 'w', 'an artificial one');
    is($docs->[3]{found}, $false, 'one that is not there');
    $docs = $node->post('/v/_mtermvectors', { ids => [ 1, 2 ], parameters => { fields => ['plain'], positions => $false } })->{json}{docs};
    is_deeply([ map { terms($_, 'plain') } @$docs ], [ ('some words') x 2 ], 'ids and parameters');
    is(scalar @{ $node->get('/v/_mtermvectors?ids=0,1')->{json}{docs} }, 2, 'ids of the URL');
    is($node->post('/_mtermvectors', { docs => [ { _index => 'v', _id => 1, versionType => 'external' } ] })->{status}, 400, 'an unknown key');
    is($node->post('/_mtermvectors', {})->{status}, 400, 'no documents');
};

subtest 'term_vector' => sub {
    my $bad = $node->put('/bad', { mappings => { properties => { t => { type => 'text', term_vector => 'sometimes' } } } });
    like($bad->{content}, qr/Unknown value \[sometimes\] for field \[term_vector\] - accepted values are \[no, yes,/, 'another word is refused');
    is($node->get('/v/_mapping')->{json}{v}{mappings}{properties}{text}{term_vector}, 'with_positions_offsets', 'the mapping shows it');
};
$node->stop;
done_testing();
