#!/usr/bin/perl
# 125_collapse.t: field collapsing against an oracle that has all hits without it and groups them on its own: several shards and
# segments, deletes, scores and sorts, pages, totals, filters, aggregations, inner hits; and everything that is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('collapse');
$node->start;
srand 125;
my ($true, $false) = (JSON::PP::true, JSON::PP::false);
my @words = qw(red green blue fast slow new old);
my %docs;

my $made = $node->put('/c', {
    # no merge in between: ties go by the order of segments
    settings => { number_of_shards => 3, number_of_replicas => 0, refresh_interval => -1, 'index.merge.policy.deletes_pct_allowed' => 50, 'index.merge.policy.segments_per_tier' => 50 },
    mappings => { properties => {
        who => { type => 'keyword' }, num => { type => 'long' }, real => { type => 'double' }, small => { type => 'half_float' }, big => { type => 'unsigned_long' },
        text => { type => 'text' }, rank => { type => 'integer' }, title => { type => 'keyword' }, multi => { type => 'keyword' },
        other => { type => 'alias', path => 'who' }, bare => { type => 'keyword', doc_values => $false }, hidden => { type => 'keyword', index => $false },
        when => { type => 'date' }, scaled => { type => 'scaled_float', scaling_factor => 10 }, yes => { type => 'boolean' }, flat => { type => 'flattened' },
        deep => { type => 'nested', properties => { who => { type => 'keyword' }, n => { type => 'integer' } } } } } });
is($made->{status}, 200, 'an index') or diag $made->{content};

sub document {
    my ($id) = @_;
    my %d = (text => join(' ', map { $words[rand @words] } 1 .. 1 + rand 12), rank => int rand 40, title => "t" . int(rand 15), hidden => 'h' . int rand 3);
    $d{who} = 'w' . int rand 30 if rand() > 0.1;
    $d{who} = '' if rand() < 0.03;
    $d{num} = int(rand 25) - 12 if rand() > 0.1;
    $d{num} = [ '-9223372036854775808', '9223372036854775807' ]->[ rand 2 ] + 0 if rand() < 0.02;
    $d{real} = int(rand 20) / 4 - 1 if rand() > 0.1;
    $d{small} = int(rand 8) / 8 if rand() > 0.1;
    $d{big} = 18446744073709551615 - int rand 5 if rand() > 0.1;
    $d{deep} = [ map { { who => "d$_", n => $_ } } 1 .. rand 4 ];
    return \%d;
}
sub write_docs {
    my @ids = @_;
    my $lines = '';
    for my $id (@ids) {
        $docs{$id} = document($id);
        $lines .= qq({"index":{"_index":"c","_id":"$id"}}\n) . JSON::PP::encode_json($docs{$id}) . "\n";
    }
    is($node->post('/_bulk', $lines)->{json}{errors}, $false, 'a bulk');
    $node->post('/c/_refresh', '');
}
write_docs(1 .. 120);
write_docs(100 .. 300);
write_docs(301 .. 340);
for my $id (grep { rand() < 0.15 } sort keys %docs) {
    $node->delete("/c/_doc/$id");
    delete $docs{$id};
}
$node->post('/c/_refresh', '');

sub search { my ($body, $params) = @_; my $r = $node->post('/c/_search' . ($params // ''), $body); diag substr($r->{content}, 0, 600) if $r->{status} != 200; return $r->{json} }
sub key { my ($hit, $field) = @_; my $v = $docs{ $hit->{_id} }{ $field eq 'other' ? 'who' : $field }; return defined $v ? "=$v" : 'none' }
sub groups {
    my ($hits, $field) = @_;
    my %seen;
    return grep { !$seen{ key($_, $field) }++ } @$hits;
}
sub ids { join ' ', map { $_->{_id} } @_ }
sub cut { my ($from, $size, @list) = @_; my $to = $from + $size > @list ? @list : $from + $size; return $from < $to ? @list[ $from .. $to - 1 ] : () }

my @queries = (
    undef, { match => { text => 'red' } }, { match => { text => 'red green old' } }, { bool => { must => { match => { text => 'blue' } }, filter => { range => { rank => { lt => 20 } } } } },
    { constant_score => { filter => { term => { title => 't3' } } } }, { match_phrase => { text => 'new old' } }, { function_score => { query => { match => { text => 'fast slow' } }, field_value_factor => { field => 'rank' } } },
    { term => { title => 'nothing' } });
my @sorts = (
    undef, undef, ['_score'], [ { rank => 'asc' } ], [ { rank => 'desc' }, '_score' ], [ '_score', { rank => 'asc' } ], [ { title => 'asc' }, { rank => 'desc' } ],
    [ { who => { order => 'desc', missing => '_first' } } ], [ { num => 'asc' } ], ['_doc'], [ { real => { order => 'desc', missing => 1.5 } }, { title => 'desc' } ]);
my @fields = qw(who num real small big other title);

for my $try (1 .. 250) {
    my ($query, $sort, $field) = ($queries[ rand @queries ], $sorts[ rand @sorts ], $fields[ rand @fields ]);
    my %base = ((defined $query ? (query => $query) : ()), (defined $sort ? (sort => $sort) : ()));
    $base{post_filter} = { range => { rank => { gte => 10 } } } if rand() < 0.3;
    $base{min_score} = 0.5 if rand() < 0.2;
    $base{aggs} = { t => { terms => { field => 'title', size => 20 } } } if rand() < 0.3;
    my $flat = search({ %base, size => 5000, track_total_hits => $true, _source => $false });
    my @want = groups($flat->{hits}{hits}, $field);
    my ($from, $size) = (int(rand 3) * int rand 12, 1 + int rand 25);
    my $track = [ $true, $false, 5, 10000 ]->[ rand 4 ];
    my $name = "$try: $field by " . JSON::PP::encode_json({ %base, from => $from, size => $size, track_total_hits => $track });
    my $r = search({ %base, from => $from, size => $size, track_total_hits => $track, _source => $false, collapse => { field => $field } });
    my @got = @{ $r->{hits}{hits} };
    is(ids(@got), ids(cut($from, $size, @want)), $name) or next;
    my %shown = map { $_->{_id} => $_ } @want;
    is_deeply([ map { $_->{_score} } @got ], [ map { $shown{ $_->{_id} }{_score} } @got ], '... scores') if !$from;
    is_deeply([ map { $_->{sort} } @got ], [ map { $shown{ $_->{_id} }{sort} } @got ], '... sort values');
    is_deeply([ map { my $v = $_->{fields}{$field}; defined $v ? '=' . $v->[0] : 'none' } @got ], [ map { key($_, $field) } @got ], '... values of the field') unless $field eq 'big';
    my $all = $flat->{hits}{total}{value};
    my $total = $r->{hits}{total};
    if ("$track" eq '0') { is($total, undef, '... no total') }
    else { is("$total->{value} $total->{relation}", $track == 5 && $all > 5 ? '5 gte' : "$all eq", '... all hits are counted') }
    is_deeply($r->{aggregations}, $flat->{aggregations}, '... and in aggregations');
}

# --- inner hits
for my $try (1 .. 60) {
    my ($query, $field) = ($queries[ rand @queries ], [qw(who num real small big other)]->[ rand 6 ]);
    my %base = ((defined $query ? (query => $query) : ()), (rand() < 0.3 ? (post_filter => { range => { rank => { gte => 10 } } }) : ()));
    my ($from, $size) = (int rand 3, int rand 5);
    my %inner = (size => $size, from => $from, (rand() < 0.6 ? (sort => [ { rank => 'desc' } ]) : ()), _source => ['rank'], version => $true);
    my $flat = search({ %base, size => 5000, (map { $_ => $inner{$_} } grep { $inner{$_} && $_ ne 'size' && $_ ne 'from' } keys %inner) });
    my $r = search({ %base, size => 7, _source => $false, collapse => { field => $field, inner_hits => [ { name => 'one', %inner }, { name => 'two' } ], max_concurrent_group_searches => 1 + int rand 4 } });
    for my $h (@{ $r->{hits}{hits} }) {
        my @of = grep { key($_, $field) eq key($h, $field) } @{ $flat->{hits}{hits} };
        my $in = $h->{inner_hits}{one}{hits};
        my $name = "inner $try: $field " . key($h, $field);
        is(ids(@{ $in->{hits} }), ids(cut($from, $size, @of)), $name);
        is_deeply($in->{total}, { value => scalar @of, relation => 'eq' }, '... counted');
        my %of = map { $_->{_id} => $_ } @of;
        is_deeply([ map { [ $_->{_version}, $_->{_source}, $_->{sort} ] } @{ $in->{hits} } ], [ map { [ $of{$_}{_version}, $of{$_}{_source}, $of{$_}{sort} ] } map { $_->{_id} } @{ $in->{hits} } ], '... as asked for');
        is(scalar @{ $h->{inner_hits}{two}{hits}{hits} }, @of < 3 ? scalar @of : 3, '... three without a size');
    }
}

# --- beside other parts of a search
my $r = search({ query => { match => { text => { query => 'red', _name => 'colour' } } }, collapse => { field => 'who', inner_hits => { name => 'in', size => 1, highlight => { fields => { text => {} } }, fields => ['title'], docvalue_fields => ['rank'], explain => $true, seq_no_primary_term => $true, script_fields => { twice => { script => "doc['rank'].value * 2" } } } }, highlight => { fields => { text => {} } }, explain => $true });
for my $h (@{ $r->{hits}{hits} }) {
    like($h->{highlight}{text}[0], qr/<em>red<\/em>/, 'highlighted');
    is_deeply($h->{matched_queries}, ['colour'], 'named queries');
    ok($h->{_explanation}{value} == $h->{_score}, 'explained');
    my $in = $h->{inner_hits}{in}{hits}{hits}[0];
    like($in->{highlight}{text}[0], qr/<em>red<\/em>/, 'highlighted within');
    my $d = $docs{ $in->{_id} };
    is_deeply($in->{fields}, { title => [ $d->{title} ], rank => [ $d->{rank} ], twice => [ 2 * $d->{rank} ] }, 'fields of each kind');
    ok(defined $in->{_seq_no} && $in->{_primary_term} && $in->{_explanation}, 'numbers and an explanation');
    is($in->{_score}, $h->{_score}, 'the best of a group is the one shown');
}
$r = search({ query => { nested => { path => 'deep', query => { exists => { field => 'deep.who' } }, inner_hits => { size => 1 } } }, collapse => { field => 'who', inner_hits => [ { name => 'a', size => 1 }, { name => 'b', size => 2, sort => ['rank'] } ] } });
for my $h (@{ $r->{hits}{hits} }) {
    is_deeply([ sort keys %{ $h->{inner_hits} } ], [qw(a b deep)], 'inner hits of both kinds');
    is($h->{inner_hits}{a}{hits}{hits}[0]{inner_hits}{deep}{hits}{hits}[0]{_source}{who}, 'd1', 'one within the other');
}
$r = search({ size => 4, query => { match => { text => 'old' } }, collapse => { field => 'who', inner_hits => { name => 'titles', size => 20, collapse => { field => 'title' } } } });
for my $h (@{ $r->{hits}{hits} }) {
    my @t = map { $_->{fields}{title}[0] } @{ $h->{inner_hits}{titles}{hits}{hits} };
    my %t = map { $_ => 1 } @t;
    my %all = map { $_->{title} => 1 } grep { $_->{text} =~ /\bold\b/ && ($_->{who} // "\0") eq ($docs{ $h->{_id} }{who} // "\0") } values %docs;
    is(scalar @t, scalar keys %all, 'a second level of groups');
    is_deeply(\%t, \%all, '... one of each');
}
$r = search({ size => 2, collapse => { field => 'who', inner_hits => { name => 'x' } } }, '?q=text:red&rest_total_hits_as_int=true');
for my $h (@{ $r->{hits}{hits} }) {
    my @of = grep { $_->{text} =~ /\bred\b/ && ($_->{who} // "\0") eq ($docs{ $h->{_id} }{who} // "\0") } values %docs;
    is($h->{inner_hits}{x}{hits}{total}, scalar @of, 'the parameter q is the query within, too, and totals are numbers');
}
$r = search({ collapse => { field => 'who' }, stored_fields => '_none_', docvalue_fields => ['rank'] });
is_deeply([ sort keys %{ $r->{hits}{hits}[0]{fields} } ], [qw(rank who)], 'beside docvalue_fields');
$r = search({ size => 0, collapse => { field => 'who', inner_hits => { name => 'x' } } });
is("$r->{hits}{total}{value} @{ $r->{hits}{hits} }", keys(%docs) . ' ', 'no hits, all counted');
is($r->{hits}{max_score}, undef, 'no score');
$r = search({ collapse => { field => 'who' }, terminate_after => 3 });
ok($r->{terminated_early} && @{ $r->{hits}{hits} } <= 9, 'terminate_after');

# --- pages
my (@seen, $after);
for (1 .. 100) {
    $r = search({ size => 7, sort => [ { who => 'asc' } ], collapse => { field => 'other' }, ($after ? (search_after => $after) : ()) });
    last if !@{ $r->{hits}{hits} };
    is($r->{hits}{total}{value}, scalar keys %docs, 'search_after counts all');
    push @seen, map { $_->{fields}{other} ? $_->{fields}{other}[0] : undef } @{ $r->{hits}{hits} };
    $after = $r->{hits}{hits}[-1]{sort};
}
my %who = map { $_->{who} => 1 } grep { defined $_->{who} } values %docs;
is_deeply(\@seen, [ (sort keys %who), undef ], 'search_after goes through all groups, those without a value last');
my $pit = $node->post('/c/_pit?keep_alive=1m', '')->{json}{id};
@seen = ();
$after = undef;
$node->post('/c/_delete_by_query?refresh=true', { query => { term => { title => 't3' } } });
for (1 .. 100) {
    $r = $node->post('/_search', { size => 5, pit => { id => $pit }, sort => [ { who => 'desc' } ], collapse => { field => 'who', inner_hits => { name => 'x', size => 0 } }, ($after ? (search_after => $after) : ()) })->{json};
    last if !@{ $r->{hits}{hits} };
    $after = $r->{hits}{hits}[-1]{sort};
    push @seen, map { $_->{inner_hits}{x}{hits}{total}{value} } @{ $r->{hits}{hits} };
}
my $sum = 0;
$sum += $_ for @seen;
is($sum, scalar keys %docs, 'a point in time has its groups, and what is in them');
$node->delete('/_pit', { id => $pit });
delete $docs{$_} for grep { $docs{$_}{title} eq 't3' } keys %docs;

# --- _msearch
$r = $node->post('/c/_msearch', join "\n", '{}', '{"size":1,"collapse":{"field":"who","inner_hits":{"name":"x","size":1}}}', '{}', '{"collapse":{"field":"text"}}', '');
is(scalar @{ $r->{json}{responses}[0]{hits}{hits}[0]{inner_hits}{x}{hits}{hits} }, 1, '_msearch');
like($r->{json}{responses}[1]{error}{failed_shards}[0]{reason}{reason}, qr/^collapse is not supported for the field \[text\] of the type \[text\]$/, '... and an error');

# --- several indices
$node->put('/d', { mappings => { properties => { who => { type => 'keyword' }, num => { type => 'integer' }, real => { type => 'float' }, rank => { type => 'integer' } } } });
$node->put('/e', { mappings => { properties => { num => { type => 'keyword' }, real => { type => 'long' } } } });
$node->put('/d/_doc/d1?refresh=true', { who => 'w1', num => 3, real => 1, rank => -1 });
$node->put('/e/_doc/e1?refresh=true', { num => '3', real => 1, rank => -2 });
$r = $node->post('/c,d/_search', { query => { terms => { num => [3] } }, sort => ['rank'], collapse => { field => 'num', inner_hits => { name => 'x' } } })->{json};
is(ids(@{ $r->{hits}{hits} }), 'd1', 'a number is one group whatever its width');
is($r->{hits}{hits}[0]{inner_hits}{x}{hits}{total}{value}, 1 + grep({ defined $_->{num} && $_->{num} == 3 } values %docs), '... with the documents of all indices');
$r = $node->post('/d,e/_search', { sort => [ { rank => 'desc' } ], collapse => { field => 'real' } })->{json};
is(ids(@{ $r->{hits}{hits} }), 'd1', '... or kind');
$r = $node->post('/d,e/_search', { sort => [ { rank => 'desc' } ], collapse => { field => 'num' } })->{json};
is(ids(@{ $r->{hits}{hits} }), 'd1 e1', 'a word is another group than a number');
$r = $node->post('/d,c/_search', { collapse => { field => 'title' } });
is("$r->{status} $r->{json}{_shards}{failed} $r->{json}{_shards}{failures}[0]{reason}{reason}", '200 1 no mapping found for `title` in order to collapse on', 'an index without the field fails alone');

# --- what is refused
$node->put('/c/_doc/several?refresh=true', { multi => [ 'a', 'b' ], rank => 1 });
sub refused {
    my ($body, $like, $name, $params) = @_;
    my $r = $node->post('/c/_search' . ($params // ''), $body);
    my $e = $r->{json}{error};
    my $why = $e->{failed_shards} && @{ $e->{failed_shards} } ? $e->{failed_shards}[0]{reason}{reason} : $e->{reason};
    is($r->{status}, 400, $name) or diag $r->{content};
    like($why // $r->{content}, $like, '... and why');
}
sub collapse { my ($field, @more) = @_; return { collapse => { field => $field, @more } } }
refused(collapse('multi'), qr/^failed to extract doc:\d+, the grouping field must be single valued$/, 'several values', '?allow_partial_search_results=false');
refused(collapse($_), qr/^collapse is not supported for the field \[$_\] of the type \[\w+\]$/, "type of $_") for qw(text when scaled yes flat);
refused(collapse('flat.key'), qr/^collapse is not supported for the field \[flat.key\] of the type \[flattened\]$/, 'a key of a flattened field');
refused(collapse('missing'), qr/^no mapping found for `missing` in order to collapse on$/, 'no such field');
refused(collapse('bare'), qr/^cannot collapse on field `bare` without `doc_values`$/, 'no doc values');
refused(collapse('deep.who'), qr/^collapse is not supported for the field \[deep.who\] of nested documents$/, 'a field of nested documents');
refused(collapse('hidden', inner_hits => { name => 'x' }), qr/^cannot expand `inner_hits` for collapse field `hidden`, only indexed field can retrieve `inner_hits`$/, 'inner hits without an index');
is(search(collapse('hidden'))->{hits}{hits}[0]{fields}{hidden} ? 1 : 0, 1, 'which groups need not have');
refused(collapse('who'), qr/^cannot use `collapse` in a scroll context$/, 'scroll', '?scroll=1m');
refused({ %{ collapse('who') }, rescore => { query => { rescore_query => { match_all => {} } } } }, qr/`?rescore/, 'rescore');
refused('{"collapse":{"field":"who"},"rescore":{"window_size":1,"query":{"rescore_query":{"match_all":{}}}}}', qr/^cannot use `collapse` in conjunction with `rescore`$/, 'rescore behind it');
my $same = qr/^Cannot use \[collapse\] in conjunction with \[search_after\] unless the search is sorted on the same field. Multiple sort fields are not allowed\.$/;
refused({ %{ collapse('who') }, sort => ['rank'], search_after => [1] }, $same, 'search_after by another field');
refused({ %{ collapse('who') }, sort => [ 'who', 'rank' ], search_after => [ 'a', 1 ] }, $same, 'search_after by two');
refused({ collapse => {} }, qr/^\[collapse\] needs a \[field\]$/, 'no field');
refused({ collapse => { field => { a => 1 } } }, qr/\[collapse\] \[field\] must be a string/, 'a field that is none');
refused({ collapse => { field => 'who', what => 1 } }, qr/^\[1:\d+\] \[collapse\] unknown field \[what\]$/, 'an unknown member');
refused({ collapse => 'who' }, qr/Unknown key for a VALUE_STRING in \[collapse\]/, 'no object');
refused(collapse('who', max_concurrent_group_searches => $_), qr/\[max_concurrent_group_searches\] must be positive/, "searches $_") for 0, -1, 9999999999;
refused(collapse('who', max_concurrent_group_searches => 'x'), qr/^For input string: ""?x"/, 'searches x');
refused(collapse('who', inner_hits => {}), qr/^\[inner_hits\] of \[collapse\] needs a \[name\]$/, 'inner hits without a name');
refused(collapse('who', inner_hits => 'x'), qr/\[inner_hits\] Expected START_OBJECT but was: VALUE_STRING/, 'inner hits that are none');
refused(collapse('who', inner_hits => [ { name => 'x' }, { name => 'x' } ]), qr/^\[inner_hits\] already contains an entry for key \[x\]$/, 'one name twice');
refused(collapse('who', inner_hits => { name => 'x', what => 1 }), qr/Unknown key for a VALUE_NUMBER in \[what\]/, 'an unknown member within');
refused(collapse('who', inner_hits => { name => 'x', size => -1 }), qr/illegal size value/, 'a size below 0');
refused(collapse('who', inner_hits => { name => 'x', collapse => { field => 'title', inner_hits => { name => 'y' } } }), qr/^\[inner_hits\] is not supported in a \[collapse\] within \[inner_hits\]$/, 'a third level');
refused(collapse('who', inner_hits => [ map { { name => "n$_" } } 1 .. 65 ]), qr/^\[collapse\] may have at most 64 inner_hits, but has 65$/, 'too many inner hits');
refused({ query => { nested => { path => 'deep', query => { match_all => {} }, inner_hits => {} } }, %{ collapse('who', inner_hits => { name => 'deep' }) } }, qr/already contains an entry for key \[deep\]/, 'a name of the query');
$r = $node->post('/c/_search', collapse('who', inner_hits => { name => 'x', sort => ['nothing'] }));
is("$r->{status} $r->{json}{error}{type} $r->{json}{error}{reason} $r->{json}{error}{phase}", '400 search_phase_execution_exception failed to expand hits expand', 'inner hits that fail');
like($r->{content}, qr/No mapping found for \[nothing\] in order to sort on/, '... and why');
for my $api ([ 'POST', '/c/_count' ], [ 'POST', '/c/_delete_by_query' ], [ 'POST', '/c/_explain/1' ]) {
    is($node->request(@$api, collapse('who'))->{status}, 400, "$api->[1] takes none");
}

# --- scores that end windows early: each group's best document is found
$node->put('/w', { settings => { number_of_shards => 1, number_of_replicas => 0, refresh_interval => -1, 'index.max_result_window' => 40000 }, mappings => { properties => { g => { type => 'integer' }, k => { type => 'keyword' }, t => { type => 'text' } } } });
my $n = 0;
for (1 .. 3) {
    my $lines = '';
    for (1 .. 9000) {
        $n++;
        my $g = int(40 * rand() ** 3);
        $docs{"w$n"} = { g => $g, k => "k$g" };
        my $tf = $n % 997 ? 1 + int rand 3 : 8;
        $lines .= qq({"index":{"_index":"w","_id":"w$n"}}\n{"g":$g,"k":"k$g","t":") . join(' ', ('a') x $tf, (rand() < 0.05 ? 'b' : ()), ('z') x rand 9) . qq("}\n);
    }
    $node->post('/_bulk', $lines);
    $node->post('/w/_refresh', '');
}
for my $q ('a', 'b', 'a b') {
    for my $sort (undef, [ '_score', { g => 'desc' } ], [ { g => 'desc' } ], [ { k => 'asc' } ]) {
        my %base = (query => { match => { t => $q } }, ($sort ? (sort => $sort) : ()), _source => $false);
        my @flat = @{ $node->post('/w/_search', { %base, size => 40000 })->{json}{hits}{hits} };
        is(ids(@{ $node->post('/w/_search', { %base, size => 5, track_total_hits => $false })->{json}{hits}{hits} }), ids(@flat[ 0 .. 4 ]), "early: $q, no groups");
        for my $track ($true, $false, 100) {
            for my $size (1, 5, 100) {
                for my $field ($size == 5 ? 'k' : 'g') {
                    my $r = $node->post('/w/_search', { %base, size => $size, track_total_hits => $track, collapse => { field => $field } });
                    is(ids(@{ $r->{json}{hits}{hits} }), ids(cut(0, $size, groups(\@flat, $field))), "early: $q by " . ($sort ? JSON::PP::encode_json($sort) : 'score') . ", $size of $field, total $track") or diag substr $r->{content}, 0, 500;
                }
            }
        }
    }
}
is($node->stop, 0, 'stopped');

# --- in the words of others
my %words = (
    os2 => [ 'cannot use `collapse` in conjunction with `search_after`', 'unknown type for collapse field `t`, only keywords and numbers are accepted' ],
    os3 => [ 'collapse field and sort field must be the same when use `collapse` in conjunction with `search_after`', 'unknown type for collapse field `t`, only keywords and numbers are accepted' ],
    es7 => [ 'cannot use `collapse` in conjunction with `search_after`', 'collapse is not supported for the field [t] of the type [text]' ]);
for my $who (sort keys %words) {
    my $other = QdNode->new("words-$who", settings => { 'compatibility.identity' => $who });
    $other->start;
    $other->put('/o', { mappings => { properties => { t => { type => 'text' }, n => { type => 'integer' } } } });
    my $why = sub { $other->post('/o/_search', $_[0])->{json}{error}{failed_shards}[0]{reason}{reason} };
    is($why->({ collapse => { field => 'n' }, sort => ['_doc'], search_after => [1] }), $words{$who}[0], "$who: search_after");
    is($why->({ collapse => { field => 't' } }), $words{$who}[1], "$who: a type");
    is($other->stop, 0, 'stopped');
}
done_testing;
