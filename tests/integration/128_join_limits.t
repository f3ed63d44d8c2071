#!/usr/bin/perl
# 128_join_limits.t: what a join field and the queries and aggregations over it refuse, in Elasticsearch's words; changes of
# relations; the names as a keyword; explanations; a refusal of expensive queries; memory and time of joins that are too large.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('joinl');
$node->start;
my ($T, $F) = (JSON::PP::true, JSON::PP::false);

sub reason { my $e = $_[0]{json}{error} // return $_[0]{content}; return join ' ', map { $_ // () } $e->{reason}, $e->{caused_by}{reason}, $e->{root_cause}[0]{reason} }
sub refused {
    my ($r, $like, $name, $type) = @_;
    is($r->{status}, 400, "$name: 400");
    like(reason($r), $like, $name);
    is($r->{json}{error}{root_cause}[0]{type} // $r->{json}{error}{type}, $type, "$name: type") if $type;
}
sub make { my ($name, $join, %more) = @_; return $node->put("/$name", { settings => { number_of_shards => 2, number_of_replicas => 0 }, mappings => { properties => { jf => { type => 'join', %$join }, %more } } }) }

subtest 'definitions' => sub {
    refused(make('x', { relations => { a => 'b', c => 'b' } }), qr/\[b\] cannot have multiple parents/, 'two parents');
    refused(make('x', { relations => { a => [ 'b', 'a' ] } }), qr/\[a\] cannot be its own parent/, 'its own parent');
    refused(make('x', { relations => 'a' }), qr/relations should be a hash but was: \["a"\]/, 'no object');
    refused(make('x', { relations => { a => { b => 1 } } }), qr/\[relations\] must hold names of children, got \[\{"b":1\}\]/, 'an object below');
    refused(make('x', { relations => { a => [ [ 'b' ] ] } }), qr/\[relations\] must hold names of children/, 'a list below');
    refused(make('x', { relations => { a => 'b' }, index => $F }), qr/unknown parameter \[index\] on mapper \[jf\] of type \[join\]/, 'a parameter');
    refused(make('x', { relations => { a => 'b' }, copy_to => 'y' }), qr/unknown parameter \[copy_to\]/, 'copy_to');
    refused(make('x', { relations => { a => 'b' } }, other => { type => 'join', relations => { c => 'd' } }), qr/Only one \[parent-join\] field can be defined per index, got \[jf, other\]/, 'two of them');
    refused(make('x', { relations => { a => 'b' } }, 'jf#a' => { type => 'keyword' }), qr/Field \[jf#a\] is defined more than once/, 'a field of the name of the ids');
    refused(make('x', { relations => { a => 'b' } }, o => { properties => { j => { type => 'join', relations => { c => 'd' } } } }), qr/join field \[o\.j\] cannot be added inside an object or in a multi-field/, 'within an object');
    refused($node->put('/x', { mappings => { properties => { k => { type => 'keyword', fields => { j => { type => 'join' } } } } } }), qr/Type \[join\] cannot be used in multi field/, 'a multi-field');
    refused(make('x', { relations => { map { ("p$_" => "c$_") } 1 .. 600 } }), qr/\[relations\] of a join field hold at most \[1024\] names/, 'many parents');
    refused(make('x', { relations => { a => [ map { "c$_" } 1 .. 500_000 ] } }), qr/at most \[1024\] names/, 'more children');
    refused($node->put('/x', { settings => { 'index.mapping.total_fields.limit' => 2 }, mappings => { properties => { jf => { type => 'join', relations => { a => 'b', b => 'c' } } } } }), qr/Limit of total fields \[2\] has been exceeded/, 'fields of ids count');
    is(make('none', {})->{status}, 200, 'without relations');
    is_deeply($node->get('/none/_mapping')->{json}{none}{mappings}{properties}{jf}, { type => 'join', eager_global_ordinals => $T, relations => {} }, 'which are shown empty');
};

subtest 'changes' => sub {
    is(make('c', { relations => { a => 'b' } })->{status}, 200, 'made');
    my $put = sub { my ($rel) = @_; return $node->put('/c/_mapping', { properties => { jf => { type => 'join', relations => $rel } } }) };
    my $head = qr/Mapper for \[jf\] conflicts with existing mapper:\n\tConflict in parameter \[relations\]: /;
    refused($put->({ x => 'y' }), qr/${head}Cannot remove parent \[a\]\n\tConflict in parameter \[relations\]: Cannot remove child \[b\]/, 'nothing of it left');
    refused($put->({ a => 'z' }), qr/${head}Cannot remove child \[b\]/, 'without the child');
    refused($put->({ a => 'b', b => 'd' }), qr/${head}Cannot create parent \[b\] from an existing child/, 'a child becomes a parent');
    refused($put->({ a => 'b', d => 'a' }), qr/${head}Cannot create child \[a\] from an existing parent/, 'a parent becomes a child');
    refused($put->({ a => 'b', c => 'b' }), qr/multiple parents/, 'a second parent');
    is($put->({ a => [ 'b', 'n' ], d => 'e' })->{status}, 200, 'more of both');
    is_deeply($node->get('/c/_mapping')->{json}{c}{mappings}{properties}{jf}{relations}, { a => [ 'b', 'n' ], d => 'e' }, 'are there');
    is($node->put('/c/_mapping', { properties => { jf => { type => 'join', eager_global_ordinals => $F, relations => { a => [ 'b', 'n' ], d => 'e' } } } })->{status}, 200, 'eager_global_ordinals may change');
    is($node->get('/c/_mapping')->{json}{c}{mappings}{properties}{jf}{eager_global_ordinals}, $F, 'and does');
    refused($node->put('/c/_mapping', { properties => { other => { type => 'join', relations => { u => 'v' } } } }), qr/Only one \[parent-join\] field/, 'a second field later');
    refused($node->put('/c/_mapping', { properties => { jf => { type => 'keyword' } } }), qr/mapper \[jf\] cannot be changed from type \[join\] to \[keyword\]/, 'another type');
    is($node->put('/c/_doc/k?routing=1&refresh=true', { jf => { name => 'e', parent => 7 } })->{status}, 201, 'a child of a new relation, whose parent is a number');
    is_deeply([ map { $_->{_id} } @{ $node->post('/c/_search', { query => { parent_id => { type => 'e', id => 7 } } })->{json}{hits}{hits} } ], ['k'], 'is found by it');
};

subtest 'documents' => sub {
    is(make('d', { relations => { question => [ 'answer', 'comment' ], answer => 'vote' } }, n => { type => 'integer' }, body => { type => 'text' }, tags => { type => 'nested', properties => { t => { type => 'keyword' } } })->{status}, 200, 'made');
    for my $case (
        [ { jf => 'nobody' }, qr/unknown join name \[nobody\] for field \[jf\]/, 'an unknown name' ],
        [ { jf => {} }, qr/null join name in field \[jf\]/, 'no name' ],
        [ { jf => { parent => 'q' } }, qr/null join name in field \[jf\]/, 'a parent alone' ],
        [ { jf => { name => 'question', x => 1 } }, qr/unknown field name \[x\] in join field \[jf\]/, 'another member' ],
        [ { jf => { name => 'question', x => { y => [ 1 ] } } }, qr/unknown field name \[x\] in join field \[jf\]/, 'an object in it' ],
        [ { jf => { name => [ 'question' ] } }, qr/unknown field name \[name\] in join field \[jf\]/, 'a list as name' ],
        [ { jf => [ 'question' ] }, qr/\[jf\] expected START_OBJECT or VALUE_STRING but was: START_ARRAY/, 'a list' ],
        [ { jf => undef }, qr/but was: VALUE_NULL/, 'null' ],
        [ { jf => 3 }, qr/but was: VALUE_NUMBER/, 'a number' ],
        [ { jf => 'answer' }, qr/\[parent\] is missing for join field \[jf\]/, 'a child without a parent', 'routing=1' ],
        [ { jf => { name => 'answer', parent => 'q' } }, qr/\[routing\] is missing for join field \[jf\]/, 'a child without routing' ],
        [ { jf => { name => 'answer', parent => 'q' x 40000 } }, qr/immense term in field="jf#question"/, 'an id that no term holds', 'routing=1' ],
        [ { 'jf#question' => 'q' }, qr/Field \[jf#question\] is defined more than once/, 'the field of ids' ],
    ) {
        my ($doc, $like, $name, $params) = @$case;
        refused($node->put('/d/_doc/1?' . ($params // ''), $doc), $like, $name);
    }
    my $raw = $node->put('/d/_doc/1', '{"jf":"question","jf":"question"}');
    refused($raw, qr/[Dd]uplicate|more than one value/, 'twice');
    refused($node->put('/d/_doc/1', '{"jf":{"name":"question"'), qr/./, 'an end in the middle');
    is($node->put('/im', { settings => { 'index.mapping.ignore_malformed' => $T }, mappings => { properties => { jf => { type => 'join', relations => { a => 'b' } } } } })->{status}, 200, 'an index that ignores malformed values');
    refused($node->put('/im/_doc/1', { jf => { x => { y => 1 } } }), qr/unknown field name \[x\]/, 'but no relation');
    my $bulk = join '', map { JSON::PP::encode_json($_) . "\n" } (
        { index => { _id => 'q1', routing => 1 } }, { jf => 'question', n => 1, body => 'first question', tags => [ { t => 'x' } ] },
        { index => { _id => 'q2', routing => 1 } }, { jf => { name => 'question', parent => 'ignored' }, n => 2, body => 'second' },
        { index => { _id => 'a1', routing => 1 } }, { jf => { name => 'answer', parent => 'q1' }, n => 3, body => 'an answer', tags => [ { t => 'y' }, { t => 'z' } ] },
        { index => { _id => 'a2', routing => 1 } }, { jf => { name => 'answer', parent => 'q1' }, n => 4, body => 'answer answer' },
        { index => { _id => 'v1', routing => 1 } }, { jf => { name => 'vote', parent => 'a1' }, n => 5 },
        { index => { _id => 'c1', routing => 1 } }, { jf => { name => 'comment', parent => 'q2' }, n => 6 },
        { index => { _id => 'plain', routing => 1 } }, { n => 7 },
        { index => { _id => 'c2' } }, { jf => { name => 'comment', parent => 'q2' } });
    my $r = $node->post('/d/_bulk?refresh=true', $bulk);
    is_deeply([ map { $_->{index}{status} } @{ $r->{json}{items} } ], [ (201) x 7, 400 ], 'one of a bulk is refused') or diag $r->{content};
};

my $search = sub { return $node->post('/d/_search', $_[0]) };
my $ids = sub { my $r = $search->({ query => $_[0], _source => $F }); return $r->{status} == 200 ? join ' ', sort map { $_->{_id} } @{ $r->{json}{hits}{hits} } : $r->{content} };
my $all = { match_all => {} };

subtest 'queries' => sub {
    for my $case (
        [ { has_child => { query => $all } }, qr/\[has_child\] requires 'type' field/, 'no type' ],
        [ { has_child => { type => 'answer' } }, qr/\[has_child\] requires 'query' field/, 'no query' ],
        [ { has_parent => { query => $all } }, qr/\[has_parent\] requires 'parent_type' field/, 'no parent_type' ],
        [ { has_parent => { parent_type => 'question' } }, qr/\[has_parent\] requires 'query' field/, 'no query of parents' ],
        [ { parent_id => { id => 1 } }, qr/\[parent_id\] requires 'type' field/, 'no type of an id' ],
        [ { parent_id => { type => 'answer' } }, qr/\[parent_id\] requires 'id' field/, 'no id' ],
        [ { has_child => { type => 'answer', query => $all, score_mode => 'most' } }, qr/No score mode for child query \[most\] found/, 'a mode' ],
        [ { has_child => { type => 'answer', query => $all, x => 1 } }, qr/\[has_child\] query does not support \[x\]/, 'a member' ],
        [ { has_parent => { parent_type => 'question', query => $all, score_mode => 'max' } }, qr/\[has_parent\] query does not support \[score_mode\]/, 'a member of the other' ],
        [ { parent_id => { type => 'answer', id => 1, query => $all } }, qr/\[parent_id\] query does not support \[query\]/, 'a query' ],
        [ { has_child => { type => 'answer', query => $all, min_children => 0 } }, qr/\[has_child\] requires positive 'min_children' field/, 'min' ],
        [ { has_child => { type => 'answer', query => $all, max_children => 0 } }, qr/\[has_child\] requires positive 'max_children' field/, 'max' ],
        [ { has_child => { type => 'answer', query => $all, min_children => 3, max_children => 2 } }, qr/\[has_child\] 'max_children' is less than 'min_children'/, 'max below min' ],
        [ { has_child => { type => 'question', query => $all } }, qr/\[has_child\] join field \[jf\] doesn't hold \[question\] as a child/, 'no child' ],
        [ { has_parent => { parent_type => 'vote', query => $all } }, qr/\[has_parent\] join field \[jf\] doesn't hold \[vote\] as a parent/, 'no parent' ],
        [ { parent_id => { type => 'question', id => 'q1' } }, qr/\[parent_id\] no relation found for child \[question\]/, 'no relation' ],
    ) {
        my ($query, $like, $name) = @$case;
        refused($search->({ query => $query }), $like, $name);
        is($node->post('/d/_validate/query', { query => $query })->{json}{valid}, $F, "$name: not valid");
    }
    is($node->put('/without', { mappings => { properties => { n => { type => 'integer' } } } })->{status}, 200, 'an index without a join field');
    for my $q ([ has_child => type => '[has_child] no join field has been configured' ], [ has_parent => parent_type => '[has_parent] no join field has been configured' ], [ parent_id => type => '[parent_id] no join field found for index [without]' ]) {
        my ($name, $type, $why) = @$q;
        my $of = { $type => 'x', ($name eq 'parent_id' ? (id => 1) : (query => $all)) };
        my $r = $node->post('/without/_search', { query => { $name => $of } });
        is($r->{json}{error}{root_cause}[0]{reason}, $why, "$name without a field");
        is($r->{json}{error}{root_cause}[0]{type}, 'query_shard_exception', "$name: its type");
        is($node->post('/without,d/_search', { query => { $name => { %$of, ignore_unmapped => $T } } })->{json}{hits}{total}{value}, 0, "$name: ignore_unmapped");
    }
    is($ids->({ has_child => { type => 'answer', query => { nested => { path => 'tags', query => { term => { 'tags.t' => 'y' } } } } } }), 'q1', 'nested documents of a child');
    is($ids->({ nested => { path => 'tags', query => { has_child => { type => 'answer', query => $all } } } }), '', 'nested documents have no children');
    is($ids->({ has_child => { type => 'answer', query => { bool => { must_not => { term => { n => 3 } } } } } }), 'q1', 'a query of what is not, among children alone');
    is($ids->({ bool => { should => [ { has_child => { type => 'vote', query => $all } }, { has_parent => { parent_type => 'answer', query => $all } } ] } }), 'a1 v1', 'a disjunction');
    my $deep = $all;
    $deep = { has_child => { type => 'answer', query => $deep } } for 1 .. 200;
    refused($search->({ query => $deep }), qr/nested|deep|depth/, 'too deep');
    $deep = $all;
    $deep = { has_child => { type => 'answer', query => { has_parent => { parent_type => 'question', query => $deep } } } } for 1 .. 12;
    is($ids->($deep), 'q1', 'two dozen levels');
};

subtest 'scores and explanations' => sub {
    my $q = { has_child => { type => 'answer', query => { match => { body => 'answer' } }, score_mode => 'sum', boost => 2 } };
    my $h = $search->({ query => $q, explain => $T })->{json}{hits}{hits}[0];
    is($h->{_explanation}{description}, 'Score based on join value q1', 'explained');
    is($h->{_explanation}{value}, $h->{_score}, 'with its score');
    my $e = $node->post('/d/_explain/q1?routing=1', { query => $q });
    is($e->{json}{explanation}{value}, $h->{_score}, '_explain');
    is($node->post('/d/_explain/q2?routing=1', { query => $q })->{json}{matched}, $F, '_explain of another');
    my %alone = map { $_->{_id} => $_->{_score} } @{ $search->({ query => { match => { body => 'answer' } } })->{json}{hits}{hits} };
    is(sprintf('%.4f', $h->{_score}), sprintf('%.4f', 2 * ($alone{a1} + $alone{a2})), 'the sum of its children');
    my $dfs = $node->post('/d/_search?search_type=dfs_query_then_fetch', { query => $q })->{json}{hits}{hits};
    is(scalar @$dfs, 1, 'with statistics of all shards');
    my $top = $search->({ query => $q, min_score => 1e6 })->{json}{hits}{total}{value};
    is($top, 0, 'min_score');
    my $named = $search->({ query => { bool => { should => [ { has_child => { type => 'answer', query => $all, _name => 'kids' } }, { term => { n => { value => 2, _name => 'two' } } } ] } } })->{json}{hits}{hits};
    is_deeply({ map { $_->{_id} => $_->{matched_queries} } @$named }, { q1 => ['kids'], q2 => ['two'] }, 'matched_queries');
};

subtest 'inner hits' => sub {
    my $r = $search->({ query => { bool => { should => [ { has_child => { type => 'answer', query => $all, inner_hits => { name => 'best', size => 1, sort => [ { n => 'desc' } ], version => $T, highlight => { fields => { body => {} } }, fields => ['jf'] } } }, { has_parent => { parent_type => 'question', query => $all, inner_hits => {} } }, { term => { n => 7 } } ] } } });
    my %h = map { $_->{_id} => $_->{inner_hits} } @{ $r->{json}{hits}{hits} };
    is($h{q1}{best}{hits}{total}{value}, 2, 'two answers');
    is_deeply([ map { $_->{_id} } @{ $h{q1}{best}{hits}{hits} } ], ['a2'], 'the one with the greatest n');
    is_deeply($h{q1}{best}{hits}{hits}[0]{fields}, { jf => ['answer'] }, 'with its name');
    is($h{q1}{best}{hits}{hits}[0]{_routing}, 1, 'and its routing');
    ok(!exists $h{q1}{best}{hits}{hits}[0]{_nested}, 'no nested document');
    is($h{a1}{best}{hits}{total}{value}, 0, 'an answer has no answers, though it has a parent in common with some');
    is_deeply([ map { $_->{_id} } @{ $h{a1}{question}{hits}{hits} } ], ['q1'], 'it has a parent');
    is($h{q1}{question}{hits}{total}{value}, 0, 'a question has none');
    is($h{plain}{best}{hits}{total}{value}, 0, 'nor has what stands outside');
    my $two = { has_child => { type => 'answer', query => $all, inner_hits => {} } };
    refused($search->({ query => { bool => { must => [ $two, $two ] } } }), qr/\[inner_hits\] already contains an entry for key \[answer\]/, 'one name twice');
    refused($search->({ query => { has_child => { type => 'answer', query => $all, inner_hits => { size => 1000 } } } }), qr/Inner result window is too large/, 'too many');
    my $nested = $search->({ query => { has_child => { type => 'answer', query => { nested => { path => 'tags', query => $all, inner_hits => {} } }, inner_hits => {} } } })->{json}{hits}{hits}[0];
    is_deeply([ map { $_->{_source}{t} } @{ $nested->{inner_hits}{answer}{hits}{hits}[0]{inner_hits}{tags}{hits}{hits} } ], [ 'y', 'z' ], 'nested documents of a child within it');
    my $lit = $search->({ query => { has_child => { type => 'answer', query => { match => { body => 'question answer' } }, inner_hits => { highlight => { fields => { body => {} } } } } }, highlight => { fields => { body => {} } } })->{json}{hits}{hits}[0];
    ok(!$lit->{highlight}, 'the words of a child are not marked in its parent');
    like($lit->{inner_hits}{answer}{hits}{hits}[0]{highlight}{body}[0], qr{<em>answer</em>}, 'but in the child');
};

subtest 'the name as a keyword' => sub {
    my $r = $search->({ size => 0, aggs => { t => { terms => { field => 'jf' } }, ids => { terms => { field => 'jf#question', order => { _key => 'asc' } } }, m => { missing => { field => 'jf' } } } })->{json}{aggregations};
    is_deeply({ map { $_->{key} => $_->{doc_count} } @{ $r->{t}{buckets} } }, { question => 2, answer => 2, vote => 1, comment => 1 }, 'terms');
    is_deeply([ map { [ $_->{key}, $_->{doc_count} ] } @{ $r->{ids}{buckets} } ], [ [ 'q1', 3 ], [ 'q2', 2 ] ], 'a parent and its children by their id');
    is($r->{m}{doc_count}, 1, 'missing');
    is($ids->({ exists => { field => 'jf#answer' } }), 'a1 a2 v1', 'exists of the ids');
    is($ids->({ wildcard => { jf => 'v*' } }), 'v1', 'patterns');
    is_deeply([ map { $_->{sort}[0] } @{ $search->({ sort => [ { jf => 'desc' }, 'n' ], query => { exists => { field => 'jf' } } })->{json}{hits}{hits} } ], [ qw(vote question question comment answer answer) ], 'sorted');
    my $h = $search->({ query => { ids => { values => ['a1'] } }, _source => $F, docvalue_fields => [ 'jf', 'jf#question', 'jf#answer' ] })->{json}{hits}{hits}[0];
    is_deeply($h->{fields}, { jf => ['answer'], 'jf#question' => ['q1'], 'jf#answer' => ['a1'] }, 'docvalue_fields');
    is_deeply($search->({ query => { ids => { values => ['a1'] } }, _source => $F, fields => [ 'j*' ] })->{json}{hits}{hits}[0]{fields}, { jf => ['answer'] }, 'fields');
    my $caps = $node->get('/d/_field_caps?fields=jf*')->{json}{fields};
    is_deeply([ sort keys %$caps ], [ 'jf', 'jf#answer', 'jf#question' ], '_field_caps');
    is($caps->{jf}{join}{aggregatable}, $T, 'of type join');
    is_deeply([ sort keys %{ $node->get('/d/_mapping/field/jf*')->{json}{d}{mappings} } ], ['jf'], 'the mapping of single fields');
};

subtest 'aggregations' => sub {
    refused($search->({ aggs => { c => { children => {} } } }), qr/Missing \[child_type\] field for children aggregation \[c\]/, 'no type');
    refused($search->({ aggs => { c => { parent => {} } } }), qr/Missing \[child_type\] field for parent aggregation \[c\]/, 'no type of parent');
    refused($search->({ aggs => { c => { children => { typ => 'answer' } } } }), qr/Unknown key for a VALUE_STRING in \[c\]: \[typ\]\./, 'a member');
    refused($search->({ aggs => { c => { children => { type => 3 } } } }), qr/Unexpected token VALUE_NUMBER in \[c\]\./, 'a number');
    my $a = $node->post('/d,without/_search?typed_keys=true', { size => 0, aggs => { c => { children => { type => 'answer' }, aggs => { n => { avg => { field => 'n' } }, tags => { nested => { path => 'tags' }, aggs => { t => { terms => { field => 'tags.t' } }, back => { reverse_nested => {}, aggs => { up => { parent => { type => 'answer' } } } }, no => { children => { type => 'answer' } } } } } }, p => { parent => { type => 'answer' } } } })->{json}{aggregations};
    is($a->{'children#c'}{doc_count}, 2, 'children');
    is($a->{'children#c'}{'avg#n'}{value}, 3.5, 'below');
    is($a->{'parent#p'}{doc_count}, 1, 'parent');
    my $t = $a->{'children#c'}{'nested#tags'};
    is_deeply([ map { $_->{key} } @{ $t->{'sterms#t'}{buckets} } ], [ 'y', 'z' ], 'nested documents of children');
    is($t->{'reverse_nested#back'}{'parent#up'}{doc_count}, 1, 'and from these back to the parent');
    is($t->{'children#no'}{doc_count}, 0, 'nested documents have no children');
    my $f = $search->({ size => 0, aggs => { f => { filters => { filters => { has => { has_child => { type => 'vote', query => $all } }, not => { bool => { must_not => { has_child => { type => 'vote', query => $all } } } } } } } } })->{json}{aggregations}{f}{buckets};
    is_deeply({ map { $_ => $f->{$_}{doc_count} } keys %$f }, { has => 1, not => 6 }, 'filters that join');
};

subtest 'expensive queries' => sub {
    my $set = sub { is($node->put('/_cluster/settings', { transient => { 'search.allow_expensive_queries' => $_[0] } })->{status}, 200, 'set') };
    $set->('false');
    for my $q ({ has_child => { type => 'answer', query => $all } }, { has_parent => { parent_type => 'question', query => $all } }, { parent_id => { type => 'answer', id => 1 } }) {
        refused($search->({ query => $q }), qr/\[joining\] queries cannot be executed when 'search\.allow_expensive_queries' is set to false\./, (keys %$q)[0]);
    }
    $set->(undef);
    is($ids->({ has_child => { type => 'answer', query => $all } }), 'q1', 'allowed again');
};

subtest 'reindex and updates' => sub {
    is(make('e', { relations => { question => [ 'answer', 'comment' ], answer => 'vote' } })->{status}, 200, 'made');
    my $r = $node->post('/_reindex?refresh=true', { source => { index => 'd' }, dest => { index => 'e' } });
    is($r->{json}{created}, 7, 'children keep their routing') or diag $r->{content};
    is_deeply([ map { $_->{_id} } @{ $node->post('/e/_search', { query => { has_child => { type => 'vote', query => $all } } })->{json}{hits}{hits} } ], ['a1'], 'and their parents');
    is($node->post('/e/_update/v1?routing=1&refresh=true', { doc => { jf => { name => 'vote', parent => 'a2' } } })->{status}, 200, 'another parent');
    is_deeply([ map { $_->{_id} } @{ $node->post('/e/_search', { query => { has_child => { type => 'vote', query => $all } } })->{json}{hits}{hits} } ], ['a2'], 'has it now');
    is($node->delete('/e/_doc/v1?routing=1&refresh=true')->{status}, 200, 'deleted');
    is($node->post('/e/_count', { query => { has_child => { type => 'vote', query => $all } } })->{json}{count}, 0, 'nobody has it');
};

subtest 'memory' => sub {
    is($node->put('/m', { settings => { number_of_shards => 1, number_of_replicas => 0 }, mappings => { properties => { jf => { type => 'join', relations => { p => 'c' } } } } })->{status}, 200, 'made');
    for my $part (0 .. 3) {
        my $body = join '', map { my $i = $part * 5000 + $_; (qq({"index":{"_id":"c$i","routing":"r"}}\n), qq({"jf":{"name":"c","parent":"), 'a parent with an id that is not short ' x 3, qq($i"}}\n)) } 1 .. 5000;
        is($node->post('/m/_bulk', $body)->{json}{errors}, $F, 'children');
    }
    $node->post('/m/_refresh');
    my $q = { has_child => { type => 'c', query => $all } };
    is($node->post('/m/_count', { query => $q })->{status}, 200, 'twenty thousand ids');
    my $used = $node->get('/_nodes/stats/breaker')->{json};
    my ($n) = values %{ $used->{nodes} };
    is($node->put('/_cluster/settings', { transient => { 'indices.breaker.request.limit' => '1mb' } })->{status}, 200, 'a small limit');
    for my $body ({ query => $q }, { size => 0, aggs => { p => { parent => { type => 'c' } } } }) {
        my $r = $node->post('/m/_search', $body);
        is($r->{status}, 429, 'is not exceeded by ' . join ',', keys %$body) or diag substr $r->{content}, 0, 300;
        is($r->{json}{error}{root_cause}[0]{type}, 'circuit_breaking_exception', 'and the error says so');
    }
    is($node->put('/_cluster/settings', { transient => { 'indices.breaker.request.limit' => undef } })->{status}, 200, 'back');
    is($node->post('/m/_count', { query => $q })->{status}, 200, 'and again');
    my ($after) = values %{ $node->get('/_nodes/stats/breaker')->{json}{nodes} };
    is($after->{breakers}{request}{estimated_size_in_bytes}, $n->{breakers}{request}{estimated_size_in_bytes}, 'nothing is kept');
};

is($node->stop, 0, 'stopped');
done_testing;
