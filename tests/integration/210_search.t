#!/usr/bin/perl
# 210_search.t: searches over HTTP: merging over shards and indices, sorting, paging, scrolls,
# fields, highlighting, explanations, and the errors that clients tell apart.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('search');
$node->start;

sub ids { join ' ', map { $_->{_id} } @{$_[0]{json}{hits}{hits}} }
sub search { my ($path, $body) = @_; $node->post($path, $body) }

my @docs = map { {
    title => "The quick brown fox number $_ jumps. Over the lazy dog it goes <b>.",
    n => $_ * $_, big => 9007199254740992 + $_, f => $_ + 0.5, k => [ 'k' . $_ % 3, 'z' ],
    d => sprintf('2024-01-%02dT00:00:00Z', $_), ip => "10.0.0.$_", b => $_ % 2 ? \1 : \0,
} } 1 .. 20;
$node->put('/t', {
    settings => { number_of_shards => 3 },
    mappings => { properties => {
        title => { type => 'text', fields => { raw => { type => 'keyword' } } },
        n => { type => 'integer' }, big => { type => 'long' }, f => { type => 'double' },
        k => { type => 'keyword' }, d => { type => 'date' }, ip => { type => 'ip' },
        b => { type => 'boolean' },
    } },
});
$node->put('/u', { mappings => { properties => { n => { type => 'double' } } },
    aliases => { low => { filter => { range => { n => { lt => 3 } } } } } });
my $json = JSON::PP->new->utf8->canonical;
my $bulk = join '', map { qq({"index":{"_index":"t","_id":"$_"}}\n) . $json->encode($docs[$_ - 1]) . "\n" } 1 .. 20;
$bulk .= qq({"index":{"_index":"u","_id":"a"}}\n{"n":2.5}\n{"index":{"_index":"u","_id":"b"}}\n{"n":3.5}\n);
is($node->post('/_bulk?refresh=true', $bulk)->{json}{errors}, 0, 'documents are indexed');

subtest 'hits and totals' => sub {
    my $r = search('/t/_search', { query => { match => { title => 'fox' } }, size => 5 });
    is($r->{status}, 200);
    is_deeply($r->{json}{hits}{total}, { value => 20, relation => 'eq' });
    is_deeply($r->{json}{_shards}, { total => 3, successful => 3, skipped => 0, failed => 0 });
    is(scalar @{$r->{json}{hits}{hits}}, 5);
    $r = search('/t/_search', { size => 0, track_total_hits => 7 });
    is_deeply($r->{json}{hits}{total}, { value => 7, relation => 'gte' });
    $r = search('/t/_search?rest_total_hits_as_int=true', { size => 0 });
    is($r->{json}{hits}{total}, 20);
    $r = search('/t/_search', { track_total_hits => \0, size => 0 });
    ok(!exists $r->{json}{hits}{total}, 'not counted when not asked for');
    is($node->post('/t/_count', { query => { range => { n => { gte => 100 } } } })->{json}{count}, 11);
    is(ids($node->get('/t/_search?q=n:49')), '7', 'q of the parameters');
    like($node->get('/t/_search?q=n:49')->{content}, qr/"_source":\Q@{[$json->encode($docs[6])]}\E/, 'source byte for byte');
};

subtest 'sort' => sub {
    my $r = search('/t/_search', { sort => [ { n => 'desc' } ], size => 3 });
    is(ids($r), '20 19 18');
    is_deeply([ map { $_->{sort}[0] } @{$r->{json}{hits}{hits}} ], [ 400, 361, 324 ]);
    is($r->{json}{hits}{max_score}, undef);
    $r = search('/t/_search', { sort => [ 'big' ], search_after => [ 9007199254740993 ], size => 2 });
    like($r->{content}, qr/"sort":\[9007199254740994\]/, 'long values stay exact');
    is(ids($r), '2 3');
    $r = search('/t/_search', { sort => [ { k => 'desc' }, { n => 'asc' } ], size => 3 });
    is(ids($r), '1 2 3', 'keywords, greatest value of each');
    $r = search('/t/_search', { sort => [ { k => { order => 'asc', mode => 'min' } }, 'n' ], size => 3 });
    is(ids($r), '3 6 9', 'least value');
    $r = search('/t/_search', { sort => [ { d => { order => 'asc', format => 'yyyy/MM/dd' } } ], size => 1 });
    is($r->{json}{hits}{hits}[0]{sort}[0], '2024/01/01');
    $r = search('/t/_search', { sort => [ 'ip' ], size => 1 });
    is($r->{json}{hits}{hits}[0]{sort}[0], '10.0.0.1');
    $r = search('/t,u/_search', { sort => [ 'n' ], size => 4 });
    is(ids($r), '1 a b 2', 'integers and doubles of two indices');
    $r = search('/u/_search', { sort => [ { none => { unmapped_type => 'long' } }, 'n' ], size => 1 });
    like($r->{content}, qr/"sort":\[9223372036854775807,2.5\]/);
};

subtest 'what is shown' => sub {
    my $r = search('/t/_search', { query => { ids => { values => ['3'] } }, _source => { includes => ['n', 'k'], excludes => ['k'] },
        docvalue_fields => [ 'd', 'b', { field => 'f', format => '0.00' } ], fields => [ 'ip', 'title.raw', 'k' ],
        version => \1, seq_no_primary_term => \1 });
    my $h = $r->{json}{hits}{hits}[0];
    is_deeply($h->{_source}, { n => 9 });
    is_deeply($h->{fields}{d}, ['2024-01-03T00:00:00.000Z']);
    is_deeply($h->{fields}{f}, ['3.50']);
    is_deeply($h->{fields}{k}, [ 'k0', 'z' ]);
    is_deeply($h->{fields}{'title.raw'}, [ $docs[2]{title} ]);
    is($h->{_version}, 1);
    is($h->{_primary_term}, 1);
    $r = search('/t/_search', { query => { ids => { values => ['3'] } }, stored_fields => '_none_' });
    ok(!exists $r->{json}{hits}{hits}[0]{_id} && !exists $r->{json}{hits}{hits}[0]{_source}, '_none_');
    $r = search('/t/_search', { query => { bool => { should => [
        { match => { title => { query => 'fox', _name => 'one' } } }, { term => { n => { value => 4, _name => 'two' } } } ] } },
        size => 1 });
    is_deeply($r->{json}{hits}{hits}[0]{matched_queries}, [ 'one', 'two' ]);
};

subtest 'highlight' => sub {
    my $of = sub { my ($q, %h) = @_;
        search('/t/_search', { query => $q, size => 1, sort => ['n'], highlight => \%h })->{json}{hits}{hits}[0]{highlight} };
    is_deeply($of->({ match => { title => 'lazy fox' } }, fields => { title => {} }),
        { title => ['The quick brown <em>fox</em> number 1 jumps. Over the <em>lazy</em> dog it goes <b>.'] });
    is_deeply($of->({ match => { title => 'lazy fox' } }, fields => { title => { fragment_size => 20, number_of_fragments => 1 } }, order => 'score')->{title},
        ['Over the <em>lazy</em> dog it'], 'the best fragment');
    is_deeply($of->({ match_phrase => { title => 'lazy dog' } }, fields => { title => { number_of_fragments => 0 } }, encoder => 'html', pre_tags => ['['], post_tags => [']'])->{title},
        ['The quick brown fox number 1 jumps. Over the [lazy dog] it goes &lt;b&gt;.']);
    is_deeply($of->({ prefix => { 'title' => 'qui' } }, fields => { 't*' => { type => 'plain' } })->{title},
        ['The <em>quick</em> brown fox number 1 jumps. Over the lazy dog it goes <b>.']);
    is($of->({ match => { title => 'fox' } }, fields => { k => {} }), undef, 'nothing of another field');
    is_deeply($of->({ match => { title => 'fox' } }, fields => { 'title.raw' => { no_match_size => 5 } }), { 'title.raw' => ['The quick'] });
};

subtest 'explain' => sub {
    my $r = $node->post('/t/_explain/5', { query => { match => { title => 'fox' } } });
    is($r->{json}{matched}, 1);
    my $e = $r->{json}{explanation};
    like($e->{description}, qr/^weight\(title:fox in \d+\) \[PerFieldSimilarity\], result of:$/);
    is($e->{details}[0]{description}, 'score(freq=1.0), computed as boost * idf * tf from:');
    my ($boost, $idf, $tf) = map { $_->{value} } @{$e->{details}[0]{details}};
    ok(abs($boost * $idf * $tf / $e->{value} - 1) < 1e-5, 'the factors make the score');
    my $hit = search('/t/_search', { query => { bool => { must => { match => { title => 'fox' } }, filter => { ids => { values => ['5'] } } } } })->{json}{hits}{hits}[0];
    ok(abs($hit->{_score} / $e->{value} - 1) < 1e-6, 'and it is the score of the search');
    is($node->post('/t/_explain/none', { query => { match_all => {} } })->{status}, 404);
};

subtest 'scroll' => sub {
    for my $sort (['_doc'], [ { k => 'asc' } ], []) {
        my %seen;
        my $r = search('/t/_search?scroll=1m', { size => 3, @$sort ? (sort => $sort) : (query => { match => { title => 'fox' } }) });
        my $pages = 0;
        while (@{$r->{json}{hits}{hits}} && $pages++ < 20) {
            $seen{$_->{_id}}++ for @{$r->{json}{hits}{hits}};
            is($r->{json}{hits}{total}{value}, 20) if $pages == 3;
            $node->put("/t/_doc/new$pages?refresh=true", { n => -1 }) if $pages == 2;
            $r = $node->post('/_search/scroll', { scroll_id => $r->{json}{_scroll_id}, scroll => '1m' });
        }
        is_deeply(\%seen, { map { $_ => 1 } 1 .. 20 }, 'each document of the first moment once');
        my $id = $r->{json}{_scroll_id};
        is_deeply($node->delete('/_search/scroll', { scroll_id => [$id] })->{json}, { succeeded => JSON::PP::true, num_freed => 1 });
        $r = $node->post('/_search/scroll', { scroll_id => $id });
        is($r->{status}, 404);
        is($r->{json}{error}{root_cause}[0]{type}, 'search_context_missing_exception');
        $node->post('/t/_delete_by_query?refresh=true', { query => { term => { n => -1 } } });
    }
    my $r = search('/t/_search?scroll=1m', { size => 5, aggs => { n => { max => { field => 'n' } } } });
    is($r->{json}{aggregations}{n}{value}, 400, 'the first page has the aggregations');
    $r = $node->post('/_search/scroll', { scroll_id => $r->{json}{_scroll_id} });
    ok(!exists $r->{json}{aggregations}, 'later pages have not');
    $node->delete("/_search/scroll/$r->{json}{_scroll_id}");
    my $n = 0;
    for my $slice (0 .. 6) {
        my $r = search('/t/_search?scroll=1m', { size => 100, slice => { id => $slice, max => 7 } });
        $n += @{$r->{json}{hits}{hits}};
    }
    is($n, 20, 'slices are a partition');
    is($node->delete('/_search/scroll/_all')->{json}{num_freed}, 7);
};

subtest 'statistics of all shards' => sub {
    my $r = search('/t/_search?search_type=dfs_query_then_fetch', { query => { match => { title => 'fox' } }, size => 20 });
    my %scores = map { $_->{_score} => 1 } @{$r->{json}{hits}{hits}};
    is(scalar keys %scores, 1, 'equal documents score equally in all shards');
    ok(abs((keys %scores)[0] - log(1 + 0.5 / 20.5)) < 1e-6, 'by the sum of documents') or diag explain \%scores;
};

subtest 'many searches' => sub {
    my $r = $node->post('/_msearch', qq({"index":"t"}\n{"size":0}\n{"index":"nope"}\n{}\n{"index":"t"}\n{"sort":["nope"]}\n));
    is_deeply([ map { $_->{status} } @{$r->{json}{responses}} ], [ 200, 404, 400 ]);
    is($r->{json}{responses}[0]{hits}{total}{value}, 20);
    is($r->{json}{responses}[1]{error}{type}, 'index_not_found_exception');
    is($node->post('/_msearch', qq({"index":"t"}\n{"size":0}))->{status}, 400, 'a last line without end');
};

subtest 'aliases and routing' => sub {
    is(ids(search('/low/_search', {})), 'a', 'the filter of an alias');
    $node->put('/t/_doc/r1?routing=x&refresh=true', { n => 1000 });
    my $r = search('/t/_search?routing=x', { query => { term => { n => 1000 } } });
    is($r->{json}{_shards}{total}, 1);
    is($r->{json}{hits}{hits}[0]{_routing}, 'x');
    $r = $node->post('/t/_delete_by_query?refresh=true', { query => { term => { n => 1000 } } });
    is($r->{json}{deleted}, 1);
    is($node->get('/t/_count')->{json}{count}, 20);
};

subtest 'aggregations beside hits' => sub {
    my $r = search('/t/_search', { size => 1, query => { match => { title => 'fox' } }, post_filter => { term => { k => 'k1' } },
        aggs => { k => { terms => { field => 'k' }, aggs => { top => { top_hits => { size => 1, sort => [ { n => 'desc' } ], _source => ['n'] } } } } } });
    is($r->{json}{hits}{total}{value}, 7, 'hits behind the post filter');
    my ($z) = grep { $_->{key} eq 'z' } @{$r->{json}{aggregations}{k}{buckets}};
    is($z->{doc_count}, 20, 'aggregations before it');
    is_deeply($z->{top}{hits}{hits}[0]{_source}, { n => 400 });
};

subtest 'errors' => sub {
    my @wrong = (
        [ { foo => {} }, 400, 'parsing_exception', qr/^Unknown key for a START_OBJECT in \[foo\]\.$/ ],
        [ '{"query":', 400, 'x_content_e_o_f_exception', qr/Unexpected end-of-input/ ],
        [ { query => { nope => {} } }, 400, 'parsing_exception', qr/unknown query \[nope\]/ ],
        [ { from => -1 }, 400, 'illegal_argument_exception', qr/^\[from\] parameter cannot be negative, found \[-1\]$/ ],
        [ { from => 9995 }, 400, 'illegal_argument_exception', qr/^Result window is too large, from \+ size must be less than or equal to: \[10000\] but was \[10005\]\./ ],
        [ { size => 2147483648 }, 400, 'input_coercion_exception', qr/out of range of int/ ],
        [ { sort => ['title'] }, 400, 'illegal_argument_exception', qr/Text fields are not optimised for operations/ ],
        [ { sort => ['nope'] }, 400, 'query_shard_exception', qr/^No mapping found for \[nope\] in order to sort on$/ ],
        [ { sort => ['n'], search_after => [ 1, 2 ] }, 400, 'illegal_argument_exception', qr/^search_after has 2 value\(s\) but sort has 1\.$/ ],
        [ { search_after => [1] }, 400, 'illegal_argument_exception', qr/^Sort must contain at least one field\.$/ ],
        [ { docvalue_fields => ['title'] }, 400, 'illegal_argument_exception', qr/Fielddata is disabled|Text fields/ ],
        [ { fields => [ { field => 'k', format => 'yyyy' } ] }, 400, 'illegal_argument_exception', qr/doesn't support formats/ ],
        [ { highlight => { fields => { title => { type => 'nope' } } } }, 400, 'illegal_argument_exception', qr/unknown highlighter type/ ],
        [ { track_total_hits => -2 }, 400, 'illegal_argument_exception', qr/must be positive or equals to -1, got -2/ ],
    );
    for my $w (@wrong) {
        my ($body, $status, $type, $reason) = @$w;
        my $r = search('/t/_search', $body);
        my $root = $r->{json}{error}{root_cause}[0] || {};
        is($r->{status}, $status, $reason);
        is($root->{type}, $type);
        like($root->{reason} // '', $reason);
    }
    my $r = search('/t/_search', { sort => ['title'] });
    is($r->{json}{error}{type}, 'search_phase_execution_exception');
    is($r->{json}{error}{reason}, 'all shards failed');
    is($r->{json}{error}{failed_shards}[0]{index}, 't');
    is($r->{json}{error}{caused_by}{caused_by}{type}, 'illegal_argument_exception');
    $r = search('/t,u/_search', { sort => ['big'] });
    is($r->{status}, 200, 'one index of two fails: a partial answer');
    is($r->{json}{_shards}{failed}, 1);
    is($r->{json}{_shards}{failures}[0]{index}, 'u');
    is(search('/t,u/_search?allow_partial_search_results=false', { sort => ['big'] })->{status}, 400);
    is(search('/nope/_search', {})->{status}, 404);
    is(search('/nope*/_search', {})->{json}{_shards}{total}, 0);
    is(search('/t,nope/_search?ignore_unavailable=true', { size => 0 })->{json}{hits}{total}{value}, 20);
};

is($node->stop, 0, 'stops cleanly with scrolls open');
done_testing;
