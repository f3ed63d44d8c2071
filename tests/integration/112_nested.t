#!/usr/bin/perl
# 112_nested.t: nested documents over HTTP, against an oracle that keeps the documents flat: queries and
# scores, counts, versions, deletes, partial updates, merges in every order, restart.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('nested');
$node->start;
my $json = JSON::PP->new->utf8->canonical;
srand 11;

my %docs; # id => source
my @authors = qw(ann bob cyd dan eve);
my @words   = qw(red green blue fast slow new old);

sub comment {
    return {
        author => $authors[rand @authors],
        stars  => int rand 6,
        text   => join(' ', map { $words[rand @words] } 1 .. 1 + rand 5),
        (rand() < 0.5 ? (votes => [ map { { by => $authors[rand @authors], up => rand() < 0.5 ? JSON::PP::true : JSON::PP::false } } 1 .. rand 4 ]) : ()),
    };
}
sub document {
    my $n = int rand 4;
    my @c = map { comment() } 1 .. $n;
    return { title => $words[rand @words], rank => int rand 50, ($n ? (comments => $n == 1 && rand() < 0.5 ? $c[0] : \@c) : ()) };
}
sub list { my $v = shift; return !defined $v ? () : ref $v eq 'ARRAY' ? @$v : ($v) }
sub comments { return list($_[0]{comments}) }

my $mapping = {
    settings => { number_of_shards => 1, number_of_replicas => 0, refresh_interval => -1, 'index.merge.reorder' => 'length' },
    mappings => { properties => {
        title => { type => 'keyword' }, rank => { type => 'integer' },
        comments => { type => 'nested', properties => {
            author => { type => 'keyword' }, stars => { type => 'integer' }, text => { type => 'text' },
            votes => { type => 'nested', properties => { by => { type => 'keyword' }, up => { type => 'boolean' } } } } } } },
};
my $made = $node->put('/n', $mapping);
is($made->{status}, 200, 'an index with nested objects') or diag $made->{content};
is_deeply($node->get('/n/_mapping')->{json}{n}{mappings}, $mapping->{mappings}, 'the mapping comes back');

sub bulk {
    my ($body) = @_;
    my $r = $node->post('/_bulk', $body);
    is($r->{json}{errors}, JSON::PP::false, 'a bulk') or diag substr($r->{content}, 0, 2000);
}
sub ids { join ' ', sort { $a <=> $b } map { $_->{_id} } @{$_[0]{json}{hits}{hits}} }
sub found {
    my ($query) = @_;
    my $r = $node->post('/n/_search', { query => $query, size => 2000 });
    return $r->{status} == 200 ? ids($r) : $r->{content};
}
sub wanted { my ($test) = @_; return join ' ', sort { $a <=> $b } grep { $test->($docs{$_}) } keys %docs }
sub nested { my ($path, $query, %more) = @_; return { nested => { path => $path, query => $query, %more } } }
sub any(&@) { my $f = shift; for (@_) { return 1 if $f->() } return 0 }

sub check_queries {
    my ($when) = @_;
    is($node->get('/n/_count')->{json}{count}, scalar keys %docs, "$when: nested documents are not counted");
    for my $a (@authors[0, 2]) {
        for my $s (0, 3, 5) {
            is(found(nested('comments', { bool => { filter => [ { term => { 'comments.author' => $a } }, { range => { 'comments.stars' => { gte => $s } } } ] } })),
                wanted(sub { any { $_->{author} eq $a && $_->{stars} >= $s } comments($_[0]) }), "$when: $a with $s stars in one comment");
        }
        is(found({ bool => { must => { range => { rank => { lt => 25 } } }, must_not => nested('comments', { term => { 'comments.author' => $a } }) } }),
            wanted(sub { $_[0]{rank} < 25 && !any { $_->{author} eq $a } comments($_[0]) }), "$when: no comment of $a");
        is(found(nested('comments.votes', { term => { 'comments.votes.by' => $a } })),
            wanted(sub { any { $_->{by} eq $a } map { list($_->{votes}) } comments($_[0]) }), "$when: a vote of $a, two levels down at once");
        is(found(nested('comments', { bool => { must => [ { match => { 'comments.text' => 'red' } }, nested('comments.votes', { bool => { filter => [ { term => { 'comments.votes.by' => $a } }, { term => { 'comments.votes.up' => JSON::PP::true } } ] } }) ] } })),
            wanted(sub { any { my $c = $_; $c->{text} =~ /\bred\b/ && any { $_->{by} eq $a && $_->{up} } list($c->{votes}) } comments($_[0]) }), "$when: $a votes for a red comment");
    }
    is(found(nested('comments', { match_all => {} })), wanted(sub { scalar comments($_[0]) }), "$when: any comment");
    is(found(nested('comments', { exists => { field => 'comments.votes' } })), '', "$when: votes are no fields of comments");
    is(found({ term => { 'comments.author' => 'ann' } }), '', "$when: fields of nested documents are not the document's");
    is(found({ bool => { filter => nested('comments', { match_phrase => { 'comments.text' => 'red green' } }) } }),
        wanted(sub { any { $_->{text} =~ /\bred green\b/ } comments($_[0]) }), "$when: a phrase");
}

# --- aggregations ---
sub aggs { my $r = $node->post('/n/_search', { size => 0, %{$_[0]} }); diag $r->{content} unless $r->{status} == 200; return $r->{json}{aggregations} }
sub counts { my %n; $n{$_}++ for @_; return \%n }
sub buckets { return { map { ($_->{key_as_string} // $_->{key}) => $_->{doc_count} } @{$_[0]{buckets}} } }

sub order_of {
    my ($sort, @more) = @_;
    my $r = $node->post('/n/_search', { size => 2000, query => { match_all => {} }, sort => [ $sort, { rank => 'asc' }, { title => 'asc' } ], @more });
    diag $r->{content} unless $r->{status} == 200;
    return [ map { my $v = $_->{sort}[0]; defined $v && $v eq '9223372036854775807' ? undef : $v } @{ $r->{json}{hits}{hits} } ]; # as Elasticsearch shows no number
}
# What documents are sorted by: the values of those comments that pass, by mode; those without stand last.
sub sorted_by {
    my ($of, $mode, $down, $missing) = @_;
    my @have;
    my $none = 0;
    for my $d (values %docs) {
        my @v = $of->($d);
        if (!@v) { if (defined $missing) { push @have, $missing } else { $none++ } next }
        my $text = $v[0] =~ /[a-z]/;
        @v = $text ? sort @v : sort { $a <=> $b } @v;
        my $sum = 0;
        if (!$text) { $sum += $_ for @v }
        push @have, $mode eq 'min' ? $v[0] : $mode eq 'max' ? $v[-1] : $mode eq 'sum' ? $sum : int($sum / @v + 0.5);
    }
    my $text = @have && $have[0] =~ /[a-z]/;
    @have = $text ? sort @have : sort { $a <=> $b } @have;
    @have = reverse @have if $down;
    return [ @have, (undef) x $none ];
}
sub check_sorts {
    my ($when) = @_;
    for my $mode (qw(min max sum avg)) {
        is_deeply(order_of({ 'comments.stars' => { order => 'asc', mode => $mode, nested => { path => 'comments' } } }), sorted_by(sub { map { $_->{stars} } comments($_[0]) }, $mode), "$when: sorted by the $mode of stars");
    }
    is_deeply(order_of({ 'comments.stars' => { order => 'desc', missing => 3, nested => { path => 'comments', filter => { term => { 'comments.author' => 'ann' } } } } }),
        sorted_by(sub { map { $_->{stars} } grep { $_->{author} eq 'ann' } comments($_[0]) }, 'max', 1, 3), "$when: of comments that pass a filter");
    is_deeply(order_of({ 'comments.author' => { order => 'desc', nested => { path => 'comments', filter => { range => { 'comments.stars' => { gte => 3 } } } } } }),
        sorted_by(sub { map { $_->{author} } grep { $_->{stars} >= 3 } comments($_[0]) }, 'max', 1), "$when: of words");
    is_deeply(order_of({ 'comments.stars' => { order => 'asc', nested => { path => 'comments', max_children => 1 } } }),
        sorted_by(sub { my @c = comments($_[0]); @c ? $c[0]{stars} : () }, 'min'), "$when: of the first");
    is_deeply(order_of({ 'comments.votes.by' => { order => 'asc', nested => { path => 'comments', filter => { range => { 'comments.stars' => { gte => 2 } } }, nested => { path => 'comments.votes', filter => { term => { 'comments.votes.up' => JSON::PP::true } } } } } }),
        sorted_by(sub { map { $_->{by} } grep { $_->{up} } map { list($_->{votes}) } grep { $_->{stars} >= 2 } comments($_[0]) }, 'min'), "$when: two levels, a filter on each");
    is_deeply(order_of({ 'comments.votes.by' => { order => 'asc', nested => { path => 'comments.votes' } } }),
        sorted_by(sub { map { $_->{by} } map { list($_->{votes}) } comments($_[0]) }, 'min'), "$when: two levels at once");
}

sub check_aggs {
    my ($when) = @_;
    for my $low (0, 20, 100) {
        my $query = { range => { rank => { gte => $low } } };
        my @hit = map { $docs{$_} } grep { $docs{$_}{rank} >= $low } keys %docs;
        my @c = map { comments($_) } @hit;
        my @v = map { list($_->{votes}) } @c;
        my $a = aggs({ query => $query, aggs => {
            c => { nested => { path => 'comments' }, aggs => {
                by => { terms => { field => 'comments.author', size => 50 }, aggs => { stars => { sum => { field => 'comments.stars' } }, docs => { reverse_nested => {}, aggs => { titles => { terms => { field => 'title' } } } } } },
                red => { filter => { match => { 'comments.text' => 'red' } } },
                voted => { filter => { nested => { path => 'comments.votes', query => { term => { 'comments.votes.up' => JSON::PP::true } } } } },
                v => { nested => { path => 'comments.votes' }, aggs => { by => { terms => { field => 'comments.votes.by', size => 50 }, aggs => { c => { reverse_nested => { path => 'comments' }, aggs => { top => { max => { field => 'comments.stars' } } } }, root => { reverse_nested => {} } } } } } } },
            title => { terms => { field => 'title', size => 50 }, aggs => { c => { nested => { path => 'comments' }, aggs => { avg => { avg => { field => 'comments.stars' } } } } } },
            v => { nested => { path => 'comments.votes' }, aggs => { up => { terms => { field => 'comments.votes.up' } }, back => { reverse_nested => {}, aggs => { rank => { sum => { field => 'rank' } } } } } },
            none => { nested => { path => 'nothing' } },
        } });
        my $name = "$when, rank from $low:";
        is($a->{c}{doc_count}, scalar @c, "$name comments");
        is_deeply(buckets($a->{c}{by}), counts(map { $_->{author} } @c), "$name by author");
        my (%stars, %docs_of, %titles);
        for my $d (@hit) {
            my %seen;
            for (comments($d)) {
                $stars{ $_->{author} } += $_->{stars};
                next if $seen{ $_->{author} }++;
                $docs_of{ $_->{author} }++;
                $titles{ $_->{author} }{ $d->{title} }++;
            }
        }
        is_deeply({ map { $_->{key} => $_->{stars}{value} } @{ $a->{c}{by}{buckets} } }, \%stars, "$name their stars");
        is_deeply({ map { $_->{key} => $_->{docs}{doc_count} } @{ $a->{c}{by}{buckets} } }, \%docs_of, "$name documents of each author");
        is_deeply({ map { $_->{key} => buckets($_->{docs}{titles}) } @{ $a->{c}{by}{buckets} } }, \%titles, "$name and their titles");
        is($a->{c}{red}{doc_count}, scalar(grep { $_->{text} =~ /\bred\b/ } @c), "$name a filter over comments");
        is($a->{c}{voted}{doc_count}, scalar(grep { any { $_->{up} } list($_->{votes}) } @c), "$name a nested query over comments");
        is($a->{c}{v}{doc_count}, scalar @v, "$name votes below comments");
        is_deeply(buckets($a->{c}{v}{by}), counts(map { $_->{by} } @v), "$name by voter");
        my (%of, %top, %root);
        for my $d (@hit) {
            my %r;
            for my $c (comments($d)) {
                my %seen;
                for (map { $_->{by} } list($c->{votes})) {
                    $r{$_}++;
                    next if $seen{$_}++;
                    $of{$_}++;
                    $top{$_} = $c->{stars} if !defined $top{$_} || $c->{stars} > $top{$_};
                }
            }
            $root{$_}++ for keys %r;
        }
        is_deeply({ map { $_->{key} => $_->{c}{doc_count} } @{ $a->{c}{v}{by}{buckets} } }, \%of, "$name back to comments");
        is_deeply({ map { $_->{key} => $_->{c}{top}{value} } @{ $a->{c}{v}{by}{buckets} } }, \%top, "$name their stars");
        is_deeply({ map { $_->{key} => $_->{root}{doc_count} } @{ $a->{c}{v}{by}{buckets} } }, \%root, "$name back to documents");
        my %t;
        for my $d (@hit) { my @x = comments($d); $t{ $d->{title} }{n} += @x }
        for my $d (@hit) { $t{ $d->{title} }{s} += $_->{stars} for comments($d) }
        is_deeply({ map { $_->{key} => $_->{c}{doc_count} } @{ $a->{title}{buckets} } }, { map { $_ => $t{$_}{n} } keys %t }, "$name below a bucket");
        is_deeply({ map { $_->{key} => defined $_->{c}{avg}{value} ? sprintf '%.6f', $_->{c}{avg}{value} : undef } @{ $a->{title}{buckets} } },
            { map { $_ => $t{$_}{n} ? sprintf '%.6f', $t{$_}{s} / $t{$_}{n} : undef } keys %t }, "$name a metric there");
        is($a->{v}{doc_count}, scalar @v, "$name two levels at once");
        is_deeply(buckets($a->{v}{up}), counts(map { $_->{up} ? 'true' : 'false' } @v), "$name their values");
        my @with = grep { any { scalar list($_->{votes}) } comments($_) } @hit;
        my $sum = 0;
        $sum += $_->{rank} for @with;
        is($a->{v}{back}{doc_count}, scalar @with, "$name and back");
        is($a->{v}{back}{rank}{value}, $sum, "$name once each");
        is($a->{none}{doc_count}, 0, "$name of no path");
    }
}

my $body = '';
for my $id (1 .. 600) {
    $docs{$id} = document();
    $body .= qq({"index":{"_index":"n","_id":"$id"}}\n) . $json->encode($docs{$id}) . "\n";
}
bulk($body);
$node->post('/n/_refresh');
check_queries('indexed');

# changes: whole documents, partial updates, deletes, conflicts
$body = '';
for my $id (1 .. 600) {
    my $what = rand;
    if ($what < 0.2) {
        $docs{$id} = document();
        $body .= qq({"index":{"_index":"n","_id":"$id"}}\n) . $json->encode($docs{$id}) . "\n";
    } elsif ($what < 0.35) {
        delete $docs{$id};
        $body .= qq({"delete":{"_index":"n","_id":"$id"}}\n);
    } elsif ($what < 0.5) {
        my @c = (comment(), comment());
        $docs{$id}{comments} = \@c;
        $body .= qq({"update":{"_index":"n","_id":"$id"}}\n) . $json->encode({ doc => { comments => \@c } }) . "\n";
    }
}
bulk($body);
for my $id (grep { $docs{$_} } 1 .. 40) { # what is refused leaves no nested document behind
    is($node->put("/n/_create/$id", document())->{status}, 409, "$id is there already");
}
is($node->put('/n/_doc/900', { comments => [ comment(), { stars => 'many' } ] })->{status}, 400, 'a nested value that does not parse');
$node->post('/n/_refresh');
check_queries('changed');
check_aggs('changed');
check_sorts('changed');
$node->post('/n/_flush');
$node->stop;
$node->start;
check_queries('after a restart');
is($node->post('/n/_forcemerge?max_num_segments=1')->{status}, 200, 'merged by length');
$node->post('/n/_refresh');
check_queries('merged');
$node->put('/n/_settings', { 'index.merge.reorder' => 'bp' });
is($node->post('/n/_forcemerge?max_num_segments=1')->{status}, 200, 'merged by bisection');
check_queries('merged again');
check_aggs('merged again');
check_sorts('merged again');

subtest 'scores' => sub {
    $node->put('/s', { settings => { number_of_shards => 1 }, mappings => { properties => { c => { type => 'nested', properties => { t => { type => 'text' }, n => { type => 'integer' } } } } } });
    $node->put('/flat', { settings => { number_of_shards => 1 }, mappings => { properties => { 'c.t' => { type => 'text' } } } });
    my @all = ([ 'red', 'red red blue', 'blue' ], [ 'blue' ], ['red fast'], [], [ 'red', 'red' ]);
    my ($n, $flat, $k) = ('', '', 0);
    for my $i (0 .. $#all) {
        $n .= qq({"index":{"_index":"s","_id":"$i"}}\n) . $json->encode({ c => [ map { { t => $_ } } @{$all[$i]} ] }) . "\n";
        for (@{$all[$i]}) { $flat .= qq({"index":{"_index":"flat","_id":"$i-$k"}}\n) . $json->encode({ 'c.t' => $_ }) . "\n"; $k++ }
    }
    $node->post('/_bulk?refresh=true', $n . $flat);
    my %of;
    for my $h (@{ $node->post('/flat/_search', { size => 100, query => { match => { 'c.t' => 'red' } } })->{json}{hits}{hits} }) {
        push @{ $of{ (split /-/, $h->{_id})[0] } }, $h->{_score};
    }
    my %modes = (avg => sub { my $s = 0; $s += $_ for @_; $s / @_ }, sum => sub { my $s = 0; $s += $_ for @_; $s },
        max => sub { (sort { $b <=> $a } @_)[0] }, min => sub { (sort { $a <=> $b } @_)[0] }, none => sub { 0 });
    for my $mode (sort keys %modes, '') {
        my $r = $node->post('/s/_search', { query => nested('c', { match => { 'c.t' => 'red' } }, $mode ? (score_mode => $mode) : ()) });
        my %got = map { $_->{_id} => sprintf '%.5f', $_->{_score} } @{ $r->{json}{hits}{hits} };
        my %want = map { $_ => sprintf '%.5f', $modes{ $mode || 'avg' }->(@{ $of{$_} }) } keys %of;
        is_deeply(\%got, \%want, $mode ? "score_mode $mode" : 'avg is the default') or diag $r->{content};
    }
    my $r = $node->post('/s/_search', { query => nested('c', { match => { 'c.t' => 'red' } }, boost => 3, score_mode => 'max') });
    my %got = map { $_->{_id} => sprintf '%.4f', $_->{_score} } @{ $r->{json}{hits}{hits} };
    is_deeply(\%got, { map { $_ => sprintf '%.4f', 3 * $modes{max}->(@{ $of{$_} }) } keys %of }, 'boost');
    my $e = $node->post('/s/_explain/0', { query => nested('c', { match => { 'c.t' => 'red' } }) })->{json};
    ok($e->{matched}, 'explained');
    like($e->{explanation}{description}, qr/^Score based on 2 child docs in range from \d+ to \d+, using score mode Avg$/, 'by its nested documents');
    like($e->{explanation}{details}[0]{description}, qr/^weight\(c\.t:red/, 'and the best of them');
};

subtest 'inner hits' => sub {
    my ($id) = grep { my @c = comments($docs{$_}); @c > 1 && any { my @v = list($_->{votes}); @v > 1 } @c } sort { $a <=> $b } keys %docs;
    my $inner = sub {
        my ($query, %more) = @_;
        my $r = $node->post('/n/_search', { size => 1, query => { bool => { filter => [ { ids => { values => [$id] } } ], must => [$query] } }, %more });
        is($r->{status}, 200, 'a search') or diag $r->{content};
        return $r->{json}{hits}{hits}[0]{inner_hits};
    };
    my @c = comments($docs{$id});
    my $i = $inner->(nested('comments', { match_all => {} }, inner_hits => {}));
    is_deeply([sort keys %$i], ['comments'], 'named by the path');
    my $h = $i->{comments}{hits};
    is_deeply($h->{total}, { value => scalar @c, relation => 'eq' }, 'all of them');
    is($h->{max_score}, 1, 'with scores');
    is_deeply([ map { $_->{_source} } @{ $h->{hits} } ], [ @c > 3 ? @c[0 .. 2] : @c ], 'three at first, each its part of the source');
    is_deeply([ map { $_->{_nested} } @{ $h->{hits} } ], [ map { { field => 'comments', offset => $_ } } 0 .. $#{ $h->{hits} } ], 'where it stands');
    is_deeply([ map { "$_->{_index} $_->{_id}" } @{ $h->{hits} } ], [ map { "n $id" } @{ $h->{hits} } ], 'of this document');
    $i = $inner->(nested('comments', { match_all => {} }, inner_hits => { name => 'mine', size => 10, sort => [ { 'comments.stars' => 'desc' }, { 'comments.author' => 'asc' } ], _source => [ 'comments.stars' ], docvalue_fields => ['comments.author'] }));
    my @by = sort { $b->{stars} <=> $a->{stars} || $a->{author} cmp $b->{author} } @c;
    is_deeply([ map { $_->{_source} } @{ $i->{mine}{hits}{hits} } ], [ map { { stars => $_->{stars} } } @by ], 'sorted, and a filtered source');
    is_deeply([ map { $_->{sort} } @{ $i->{mine}{hits}{hits} } ], [ map { [ $_->{stars}, $_->{author} ] } @by ], 'by these values');
    is_deeply([ map { $_->{fields}{'comments.author'}[0] } @{ $i->{mine}{hits}{hits} } ], [ map { $_->{author} } @by ], 'values of columns');
    for my $dir ('asc', 'desc') {
        my $hits = $node->post('/s/_search', { query => nested('c', { match => { 'c.t' => 'red' } }, inner_hits => { sort => [ { _score => $dir }, '_doc' ], track_scores => \1 }) })->{json}{hits}{hits};
        my ($first) = map { $_->{inner_hits}{c}{hits}{hits} } grep { $_->{_id} eq '0' } @$hits;
        my @scores = map { $_->{_score} } @$first;
        is(scalar @scores, 2, "inner hits by score, $dir");
        cmp_ok($scores[0] <=> $scores[1], '==', $dir eq 'asc' ? -1 : 1, 'in this order');
        is_deeply([ map { $_->{sort}[0] } @$first ], \@scores, 'which their values show');
    }
    $i = $inner->(nested('comments', { match_all => {} }, inner_hits => { from => 1, size => 1, _source => JSON::PP::false }));
    is(scalar @{ $i->{comments}{hits}{hits} }, 1, 'a page');
    is($i->{comments}{hits}{hits}[0]{_nested}{offset}, 1, 'from the second on');
    ok(!exists $i->{comments}{hits}{hits}[0]{_source}, 'without a source');
    my @all = map { my $k = $_; my $n = 0; map { { at => $k, place => $n++, %$_ } } list($c[$k]{votes}) } 0 .. $#c;
    $i = $inner->(nested('comments.votes', { match_all => {} }, inner_hits => { size => 50 }));
    is_deeply([ map { $_->{_nested} } @{ $i->{'comments.votes'}{hits}{hits} } ],
        [ map { { field => 'comments', offset => $_->{at}, _nested => { field => 'votes', offset => $_->{place} } } } @all ], 'two levels at once');
    is_deeply([ map { $_->{_source}{by} } @{ $i->{'comments.votes'}{hits}{hits} } ], [ map { $_->{by} } @all ], 'and their sources');
    $i = $inner->(nested('comments', nested('comments.votes', { match_all => {} }, inner_hits => {}), inner_hits => { size => 50 }));
    for my $hit (@{ $i->{comments}{hits}{hits} }) {
        my @v = list($c[ $hit->{_nested}{offset} ]{votes});
        is($hit->{inner_hits}{'comments.votes'}{hits}{total}{value}, scalar @v, 'votes within a comment');
        is($hit->{inner_hits}{'comments.votes'}{hits}{hits}[0]{_source}{by}, $v[0]{by}, 'the first of them');
    }
    $i = $inner->(nested('comments', nested('comments.votes', { match_all => {} }, inner_hits => {})));
    ok(!$i, 'not below one that shows none');
    my ($word) = split / /, $c[0]{text};
    $i = $inner->(nested('comments', { match => { 'comments.text' => $word } }, inner_hits => { size => 50, highlight => { fields => { 'comments.text' => {} } }, explain => JSON::PP::true, version => JSON::PP::true, seq_no_primary_term => JSON::PP::true }));
    my @with = grep { $_->{text} =~ /\b$word\b/ } @c;
    is($i->{comments}{hits}{total}{value}, scalar @with, 'only those that match');
    for my $hit (@{ $i->{comments}{hits}{hits} }) {
        like($hit->{highlight}{'comments.text'}[0], qr{<em>$word</em>}, 'highlighted');
        is($hit->{_explanation}{value}, $hit->{_score}, 'explained');
        ok($hit->{_version} && defined $hit->{_seq_no}, 'with versions');
    }
    my $bad = sub { my ($query, $reason, $name) = @_; my $r = $node->post('/n/_search', { query => $query }); is($r->{status}, 400, $name) or diag $r->{content}; like($r->{content}, $reason, "$name: why") };
    $bad->(nested('comments', { match_all => {} }, inner_hits => { size => 101 }), qr/Inner result window is too large, the inner hit definition's \[comments\]'s from \+ size must be less than or equal to: \[100\] but was \[101\]/, 'too many');
    $bad->({ bool => { must => [ map { nested('comments', { match_all => {} }, inner_hits => {}) } 1, 2 ] } }, qr/\[inner_hits\] already contains an entry for key \[comments\]/, 'one name twice');
    $bad->(nested('comments', { match_all => {} }, inner_hits => { depth => 1 }), qr/depth/, 'an unknown member');
    my $top = aggs({ query => { ids => { values => [$id] } }, aggs => { c => { nested => { path => 'comments' }, aggs => { top => { top_hits => { size => 50, sort => [ { 'comments.stars' => 'desc' }, { 'comments.author' => 'asc' } ] } } } } } });
    is_deeply([ map { $_->{_source} } @{ $top->{c}{top}{hits}{hits} } ], \@by, 'top_hits of nested documents') or diag explain $top;
    is_deeply([ sort { $a <=> $b } map { $_->{_nested}{offset} } @{ $top->{c}{top}{hits}{hits} } ], [ 0 .. $#c ], 'where they stand');
};

subtest 'top_hits sorted by nested documents' => sub {
    my $value = sub { defined $_[0] && $_[0] ne '-9223372036854775808' ? $_[0] : 'none' };
    my $first = sub { my ($k, @v) = @_; my @s = sort { ($b eq 'none' ? -1 : $b) <=> ($a eq 'none' ? -1 : $a) } @v; return [ @s[ 0 .. ($k < @s ? $k : @s) - 1 ] ] };
    my $max = sub { my @s = sort { $b <=> $a } @_; return @s ? $s[0] : 'none' };
    my $filter = { range => { 'comments.stars' => { lte => 4 } } };
    my $got = aggs({ aggs => { t => { terms => { field => 'title', size => 50 }, aggs => { top => { top_hits => { size => 4, _source => JSON::PP::false, sort => [ { 'comments.stars' => { order => 'desc', nested => { path => 'comments', filter => $filter } } } ] } } } } } });
    my %of;
    for my $d (values %docs) { push @{ $of{ $d->{title} } }, $max->(grep { $_ <= 4 } map { $_->{stars} } comments($d)) }
    is_deeply({ map { $_->{key} => [ map { $value->($_->{sort}[0]) } @{ $_->{top}{hits}{hits} } ] } @{ $got->{t}{buckets} } }, { map { $_ => $first->(4, @{ $of{$_} }) } keys %of }, 'of documents, in each bucket') or diag explain $got;
    $got = aggs({ aggs => { c => { nested => { path => 'comments' }, aggs => { by => { terms => { field => 'comments.author', size => 50 }, aggs => { top => { top_hits => { size => 5, sort => [ { 'comments.votes.by' => { order => 'asc', nested => { path => 'comments.votes' } } } ] } } } } } } } });
    my %words;
    for my $c (map { comments($_) } values %docs) { my @v = sort map { $_->{by} } list($c->{votes}); push @{ $words{ $c->{author} } }, $v[0] }
    for my $w (values %words) { my @s = sort { (defined $a ? $a : '~') cmp (defined $b ? $b : '~') } @$w; $w = [ @s[ 0 .. (@s < 5 ? @s : 5) - 1 ] ] }
    is_deeply({ map { $_->{key} => [ map { $_->{sort}[0] } @{ $_->{top}{hits}{hits} } ] } @{ $got->{c}{by}{buckets} } }, \%words, 'of nested documents, by those below') or diag explain $got;
    my $r = $node->post('/n/_search', { size => 0, aggs => { c => { nested => { path => 'comments' }, aggs => { top => { top_hits => { sort => [ { 'comments.stars' => { nested => { path => 'comments' } } } ] } } } } } });
    like($r->{content}, qr/path \[comments\] does not lie below \[comments\]/, 'not by themselves');
};

subtest 'highlighting of nested fields in the hits above' => sub {
    my $r = $node->post('/n/_search', { size => 50, query => nested('comments', { match => { 'comments.text' => 'red' } }), highlight => { fields => { 'comments.text' => { number_of_fragments => 0 } } } });
    my $n = 0;
    for my $h (@{ $r->{json}{hits}{hits} }) {
        my @want = map { my $t = $_->{text}; $t =~ s{\bred\b}{<em>red</em>}g; $t } grep { $_->{text} =~ /\bred\b/ } comments($docs{ $h->{_id} });
        is_deeply($h->{highlight}{'comments.text'}, \@want, "document $h->{_id}") if $n++ < 10;
    }
    ok($n, 'there are some');
};

subtest 'inner hits by a similarity of their own' => sub {
    $node->put('/sim', { settings => { number_of_shards => 1 }, mappings => { properties => { c => { type => 'nested', properties => { t => { type => 'text', similarity => 'boolean' } } } } } });
    $node->put('/sim/_doc/1?refresh=true', { c => [ { t => 'red red red' }, { t => 'red blue' } ] });
    my $r = $node->post('/sim/_search', { query => nested('c', { match => { 'c.t' => { query => 'red', boost => 2 } } }, inner_hits => {}) });
    is_deeply([ map { $_->{_score} } @{ $r->{json}{hits}{hits}[0]{inner_hits}{c}{hits}{hits} } ], [ 2, 2 ], 'each scores as the query does') or diag $r->{content};
    is($r->{json}{hits}{hits}[0]{_score}, 2, 'as the hit above');
};

subtest 'refusals' => sub {
    my $refused = sub {
        my ($query, $status, $reason, $name) = @_;
        my $r = $node->post('/n/_search', { query => $query });
        is($r->{status}, $status, $name) or diag $r->{content};
        like($r->{content}, $reason, "$name: why");
    };
    $refused->(nested('nothing', { match_all => {} }), 400, qr/\[nested\] failed to find nested object under path \[nothing\]/, 'no such path');
    $refused->(nested('title', { match_all => {} }), 400, qr/\[nested\] failed to find nested object under path \[title\]/, 'a field');
    $refused->({ nested => { path => 'comments' } }, 400, qr/\[nested\] requires 'query' field/, 'no query');
    $refused->({ nested => { query => { match_all => {} } } }, 400, qr/\[nested\] requires 'path' field/, 'no path');
    $refused->(nested('comments', { match_all => {} }, score_mode => 'best'), 400, qr/No score mode for child query \[best\] found/, 'no such mode');
    $refused->(nested('comments', { match_all => {} }, depth => 1), 400, qr/\[nested\] query does not support \[depth\]/, 'no such member');
    is(found(nested('nothing', { match_all => {} }, ignore_unmapped => JSON::PP::true)), '', 'ignore_unmapped');
    my $sort = sub { my ($s, $reason, $name) = @_; my $r = $node->post('/n/_search', { sort => [$s] }); is($r->{status}, 400, $name); like($r->{content}, $reason, "$name: why") };
    $sort->({ 'comments.stars' => { nested => { path => 'nothing' } } }, qr/\[nested\] failed to find nested object under path \[nothing\]/, 'a sort of no path');
    $sort->({ 'comments.stars' => { nested => { path => 'comments', depth => 1 } } }, qr/\[depth\]/, 'an unknown member of it');
    $sort->({ 'comments.stars' => { nested => {} } }, qr/\[path\] is missing/, 'a sort without a path');
    $sort->({ 'comments.stars' => { $_->[0] => $_->[1] } }, qr/\[field_sort\] unknown field \[$_->[0]\]/, "$_->[0], which 8 has no more") for [ nested_path => 'comments' ], [ nested_filter => { match_all => {} } ];
    my $agg = sub { my ($body, $reason, $name) = @_; my $r = $node->post('/n/_search', { size => 0, aggs => $body }); is($r->{status}, 400, $name); like($r->{content}, $reason, "$name: why") };
    $agg->({ a => { nested => { path => 'title' } } }, qr/\[nested\] nested path \[title\] is not nested/, 'a field is no path');
    $agg->({ a => { nested => {} } }, qr/Missing \[path\] field for nested aggregation \[a\]/, 'no path');
    $agg->({ a => { reverse_nested => {} } }, qr/Reverse nested aggregation \[a\] can not be used outside a \[nested\] aggregation/, 'back from nowhere');
    my $r = $node->put('/n/_mapping', { properties => { comments => { properties => { x => { type => 'long' } } } } });
    is($r->{status}, 400, 'a nested object stays nested');
    like($r->{content}, qr/can't merge a nested mapping \[comments\] with a non-nested mapping/, 'in words');
    is($node->put('/n/_mapping', { properties => { comments => { type => 'nested', properties => { x => { type => 'long' } } } } })->{status}, 200, 'and takes new fields');
    $node->put('/few', { settings => { 'index.mapping.nested_objects.limit' => 2, 'index.mapping.nested_fields.limit' => 1 }, mappings => { properties => { a => { type => 'nested' } } } });
    like($node->put('/few/_doc/1', { a => [ {}, {}, {} ] })->{content}, qr/The number of nested documents has exceeded the allowed limit of \[2\]/, 'too many nested documents');
    is($node->put('/few/_doc/1', { a => [ {}, {} ] })->{status}, 201, 'not too many');
    like($node->put('/few/_mapping', { properties => { b => { type => 'nested' } } })->{content}, qr/Limit of nested fields \[1\] has been exceeded/, 'too many nested objects');
};

subtest 'sorts as Elasticsearch 7 spells them' => sub {
    my $old = QdNode->new('old', settings => { 'compatibility.identity' => 'es7' });
    $old->start;
    $old->put('/o', { mappings => { properties => { c => { type => 'nested', properties => { n => { type => 'integer' }, k => { type => 'keyword' } } } } } });
    $old->put('/o/_doc/1', { c => [ { n => 1, k => 'a' }, { n => 9, k => 'b' } ] });
    $old->put('/o/_doc/2?refresh=true', { c => [ { n => 3, k => 'a' } ] });
    my $order = sub { my $r = $old->post('/o/_search', { sort => [ { 'c.n' => { order => 'desc', @_ } } ] }); return ($r, join ' ', map { "$_->{_id}:$_->{sort}[0]" } @{ $r->{json}{hits}{hits} // [] }) };
    my ($r, $ids) = $order->(nested_path => 'c');
    is($ids, '1:9 2:3', 'nested_path');
    like($r->{headers}{warning}, qr/\[nested_path\] has been deprecated in favour of the \[nested\] parameter/, '... with a warning');
    ($r, $ids) = $order->(nested_filter => { term => { 'c.k' => 'a' } }, nested_path => 'c');
    is($ids, '2:3 1:1', 'nested_filter');
    ($r) = $order->(nested_filter => { match_all => {} });
    like("$r->{status} $r->{content}", qr/^400 .*\[nested_filter\] of a sort needs \[nested_path\]/, '... alone');
    ($r) = $order->(nested_path => 'c', nested => { path => 'c' });
    like("$r->{status} $r->{content}", qr/^400 .*Setting both nested_path\/nested_filter and nested not allowed/, 'both spellings');
    ($r) = $order->(nested_path => { a => 1 });
    like("$r->{status} $r->{content}", qr/^400 .*nested_path doesn't support values of type: START_OBJECT/, 'a path that is none');
    is($old->stop, 0, 'stopped');
};

$node->stop;
done_testing;
