#!/usr/bin/perl
# 127_join.t: parents and children over HTTP, against an oracle that keeps the documents flat: queries and scores, aggregations,
# inner hits, over several shards and segments, with random routing, updates, deletes, a restart and merges.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('join');
$node->start;
my $json = JSON::PP->new->utf8->canonical;
srand 27;

# Two levels of children: a question has answers and comments, an answer has votes.
my %above = (answer => 'question', comment => 'question', vote => 'answer');
my %docs; # id => {type, parent, routing, tag, n}
my @tags = qw(red green blue);

my $mappings = { properties => {
    jf => { type => 'join', eager_global_ordinals => JSON::PP::true, relations => { question => [ 'answer', 'comment' ], answer => 'vote' } },
    tag => { type => 'keyword' }, n => { type => 'integer' } } };
my $made = $node->put('/j', { settings => { number_of_shards => 3, number_of_replicas => 0, refresh_interval => -1 }, mappings => $mappings });
is($made->{status}, 200, 'an index with a join field') or diag $made->{content};
is_deeply($node->get('/j/_mapping')->{json}{j}{mappings}, $mappings, 'the mapping comes back');

sub index_line {
    my ($id) = @_;
    my $d = $docs{$id};
    my $jf = $d->{parent} ? { name => $d->{type}, parent => $d->{parent} } : rand() < 0.5 ? $d->{type} : { name => $d->{type} };
    return $json->encode({ index => { _index => 'j', _id => $id, routing => $d->{routing} } }) . "\n" . $json->encode({ jf => $jf, tag => $d->{tag}, n => $d->{n} }) . "\n";
}
sub bulk {
    my ($body) = @_;
    my $r = $node->post('/_bulk', $body);
    is($r->{json}{errors}, JSON::PP::false, 'a bulk') or diag substr $r->{content}, 0, 1000;
}
sub fresh { my %d = @_; return { %d, tag => $tags[rand @tags], n => int rand 20 } }

sub is_of { my ($id, $type) = @_; return $docs{$id} && $docs{$id}{type} eq $type }
sub children { my ($id, $type) = @_; return grep { is_of($_, $type) && $docs{$_}{parent} eq $id } keys %docs }
sub of_type { my ($type, $test) = @_; return grep { is_of($_, $type) && (!$test || $test->($docs{$_})) } keys %docs }
sub list { return join ' ', sort @_ }
sub search {
    my ($body) = @_;
    my $r = $node->post('/j/_search', { size => 5000, _source => JSON::PP::false, %$body });
    diag substr $r->{content}, 0, 1000 if $r->{status} != 200 || $r->{json}{_shards}{failed};
    return $r->{json};
}
sub found { return list(map { $_->{_id} } @{ search({ query => $_[0] })->{hits}{hits} }) }
sub has_child { my ($type, $query, %more) = @_; return { has_child => { type => $type, query => $query, %more } } }
sub has_parent { my ($type, $query, %more) = @_; return { has_parent => { parent_type => $type, query => $query, %more } } }
sub tagged { return { term => { tag => $_[0] } } }
# The field n as score.
sub scored { my ($query) = @_; return { function_score => { query => $query, boost_mode => 'replace', script_score => { script => { source => "doc['n'].value" } } } } }

sub check_queries {
    my ($when) = @_;
    is($node->post('/j/_count', { query => { match_all => {} } })->{json}{count}, scalar keys %docs, "$when: as many documents");
    for my $tag (@tags) {
        my $is = sub { $_[0]{tag} eq $tag };
        for my $type (sort keys %above) {
            my %parents = map { $docs{$_}{parent} => 1 } of_type($type, $is);
            my $want = list(grep { $parents{$_} } of_type($above{$type}));
            is(found(has_child($type, tagged($tag))), $want, "$when: parents of a $tag $type");
            is(found({ bool => { filter => has_child($type, tagged($tag)), must_not => tagged('red') } }), list(grep { $parents{$_} && $docs{$_}{tag} ne 'red' } of_type($above{$type})), "$when: as a filter");
            is($node->post('/j/_count', { query => has_child($type, tagged($tag)) })->{json}{count}, scalar(split ' ', $want), "$when: _count");
            for my $range ([ 2, 3 ], [ 1, 1 ], [ 3, 100 ]) {
                my ($min, $max) = @$range;
                my @p = grep { my $n = grep { $docs{$_}{tag} eq $tag } children($_, $type); $n >= $min && $n <= $max } of_type($above{$type});
                is(found(has_child($type, tagged($tag), min_children => $min, max_children => $max)), list(@p), "$when: with $min to $max of them");
            }
        }
        for my $type (qw(question answer)) {
            my %p = map { $_ => 1 } of_type($type, $is);
            is(found(has_parent($type, tagged($tag))), list(grep { ($above{ $docs{$_}{type} } // '') eq $type && $p{ $docs{$_}{parent} } } keys %docs), "$when: children of a $tag $type");
        }
        # two levels, both ways, and a clause beside
        my %a = map { $docs{$_}{parent} => 1 } of_type('vote', $is);
        my %q = map { $docs{$_}{parent} => 1 } grep { $a{$_} } of_type('answer');
        is(found(has_child('answer', has_child('vote', tagged($tag)))), list(grep { $q{$_} } of_type('question')), "$when: questions with a $tag vote");
        my %tq = map { $_ => 1 } of_type('question', $is);
        my %ta = map { $_ => 1 } grep { $tq{ $docs{$_}{parent} } } of_type('answer');
        is(found(has_parent('answer', has_parent('question', tagged($tag)))), list(grep { $ta{ $docs{$_}{parent} } } of_type('vote')), "$when: votes below a $tag question");
        is(found({ bool => { must => [ has_child('comment', { match_all => {} }), tagged($tag) ] } }), list(grep { children($_, 'comment') } of_type('question', $is)), "$when: $tag ones with a comment");
    }
    for my $id ((sort(of_type('question')))[0 .. 3], 'nobody') {
        is(found({ parent_id => { type => 'answer', id => $id } }), list(children($id, 'answer')), "$when: answers of $id");
    }
    is(found({ term => { jf => 'vote' } }), list(of_type('vote')), "$when: the field holds the name");
    is(found({ exists => { field => 'jf' } }), list(keys %docs), "$when: exists");
}

# Scores by the children's, and with a boost; the parent's.
sub check_scores {
    my ($when) = @_;
    my %by = (
        sum => sub { my $s = 0; $s += $_ for @_; $s }, avg => sub { my $s = 0; $s += $_ for @_; $s / @_ },
        min => sub { (sort { $a <=> $b } @_)[0] }, max => sub { (sort { $b <=> $a } @_)[0] }, none => sub { 1 } );
    for my $mode (sort keys %by) {
        my %want;
        for my $p (of_type('question')) {
            my @n = map { $docs{$_}{n} } children($p, 'answer') or next;
            $want{$p} = sprintf '%.4f', 2 * $by{$mode}->(@n);
        }
        my $hits = search({ query => has_child('answer', scored({ match_all => {} }), score_mode => $mode, boost => 2) })->{hits}{hits};
        is_deeply({ map { $_->{_id} => sprintf '%.4f', $_->{_score} } @$hits }, \%want, "$when: score_mode $mode");
        my @order = map { $_->{_score} } @$hits;
        is_deeply(\@order, [ sort { $b <=> $a } @order ], "$when: in order");
        my @top = @{ search({ size => 5, query => has_child('answer', scored({ match_all => {} }), score_mode => $mode, boost => 2) })->{hits}{hits} };
        is_deeply([ map { $_->{_score} } @top ], [ @order[0 .. $#top] ], "$when: the best five");
    }
    my %want = map { $_ => sprintf '%.4f', $docs{ $docs{$_}{parent} }{n} } grep { is_of($docs{$_}{parent} // '', 'question') } keys %docs;
    is_deeply({ map { $_->{_id} => sprintf '%.4f', $_->{_score} } @{ search({ query => has_parent('question', scored({ match_all => {} }), score => JSON::PP::true) })->{hits}{hits} } }, \%want, "$when: the parent's score");
}

sub check_inner {
    my ($when) = @_;
    for my $tag (@tags) {
        my $hits = search({ query => has_child('answer', { bool => { must => tagged($tag), should => has_child('vote', { match_all => {} }, inner_hits => { size => 100 }) } }, inner_hits => { size => 100, sort => ['n'], _source => JSON::PP::false }) })->{hits}{hits};
        my (%got, %votes);
        for my $h (@$hits) {
            my @a = @{ $h->{inner_hits}{answer}{hits}{hits} };
            $got{ $h->{_id} } = list(map { $_->{_id} } @a);
            is_deeply([ map { $_->{sort}[0] } @a ], [ sort { $a <=> $b } map { $_->{sort}[0] } @a ], "$when: sorted") if @a > 3;
            $votes{ $_->{_id} } = list(map { $_->{_id} } @{ $_->{inner_hits}{vote}{hits}{hits} }) for @a;
        }
        my %want = map { my $p = $_; my @a = grep { $docs{$_}{tag} eq $tag } children($p, 'answer'); @a ? ($p => list(@a)) : () } of_type('question');
        is_deeply(\%got, \%want, "$when: $tag answers within their questions");
        my %parents = map { $_ => 1 } of_type('question');
        is_deeply(\%votes, { map { $_ => list(children($_, 'vote')) } grep { $parents{ $docs{$_}{parent} } } of_type('answer', sub { $_[0]{tag} eq $tag }) }, "$when: and votes within these");
        my $up = search({ query => has_parent('question', tagged($tag), inner_hits => {}) })->{hits}{hits};
        is(scalar(grep { my $in = $_->{inner_hits}{question}{hits}{hits}; @$in != 1 || $in->[0]{_id} ne $docs{ $_->{_id} }{parent} } @$up), 0, "$when: the parent within a child");
    }
}

sub sum { my $s = 0; $s += $docs{$_}{n} for @_; return $s }
sub buckets { return { map { $_->{key} => $_->{doc_count} } @{ $_[0]{buckets} } } }
sub counts { my %n; $n{$_}++ for @_; return \%n }

sub check_aggs {
    my ($when) = @_;
    for my $low (0, 10, 100) {
        my $got = search({ size => 0, query => { bool => { filter => [ { term => { jf => 'question' } }, { range => { n => { gte => $low } } } ] } }, aggs => {
            tags => { terms => { field => 'tag' }, aggs => { a => { children => { type => 'answer' }, aggs => { n => { sum => { field => 'n' } }, tag => { terms => { field => 'tag' } }, v => { children => { type => 'vote' }, aggs => { n => { sum => { field => 'n' } }, up => { parent => { type => 'vote' } } } } } } } },
            a => { children => { type => 'answer' }, aggs => { up => { parent => { type => 'answer' }, aggs => { n => { sum => { field => 'n' } } } }, top => { top_hits => { size => 1, sort => [ { n => 'desc' } ] } } } },
            wrong => { children => { type => 'vote' } }, none => { children => { type => 'nothing' } } } })->{aggregations};
        my $name = "$when, n from $low:";
        my @q = of_type('question', sub { $_[0]{n} >= $low });
        for my $tag (@tags) {
            my @p = grep { $docs{$_}{tag} eq $tag } @q or next;
            my @c = map { children($_, 'answer') } @p;
            my @v = map { children($_, 'vote') } @c;
            my ($b) = grep { $_->{key} eq $tag } @{ $got->{tags}{buckets} };
            is($b->{a}{doc_count}, scalar @c, "$name answers below $tag");
            is($b->{a}{n}{value}, sum(@c), "$name added up");
            is_deeply(buckets($b->{a}{tag}), counts(map { $docs{$_}{tag} } @c), "$name by tag");
            is($b->{a}{v}{doc_count}, scalar @v, "$name votes below");
            is($b->{a}{v}{n}{value}, sum(@v), "$name added up, too");
            my %up = map { $docs{$_}{parent} => 1 } @v;
            is($b->{a}{v}{up}{doc_count}, scalar keys %up, "$name and back to answers");
        }
        my @c = map { children($_, 'answer') } @q;
        my %up = map { $docs{$_}{parent} => 1 } @c;
        is($got->{a}{doc_count}, scalar @c, "$name all answers");
        is($got->{a}{up}{doc_count}, scalar keys %up, "$name each question once");
        is($got->{a}{up}{n}{value}, sum(keys %up), "$name added up once");
        is($got->{a}{top}{hits}{total}{value}, scalar @c, "$name top_hits below");
        is($_->{doc_count}, 0, "$name nothing") for @$got{qw(wrong none)};
    }
    # a child that two buckets share, and all documents
    my $got = search({ size => 0, query => { match_none => {} }, aggs => { all => { global => {}, aggs => { low => { range => { field => 'n', ranges => [ { to => 15 }, { from => 5 } ] }, aggs => { c => { children => { type => 'comment' } } } } } } } })->{aggregations};
    my @want = map { my $in = $_; scalar(map { children($_, 'comment') } of_type('question', $in)) } sub { $_[0]{n} < 15 }, sub { $_[0]{n} >= 5 };
    is_deeply([ map { $_->{c}{doc_count} } sort { ($a->{from} // -1) <=> ($b->{from} // -1) } @{ $got->{all}{low}{buckets} } ], \@want, "$when: buckets that overlap, below global");
    # ordered by what stands below
    my $r = search({ size => 0, query => { term => { jf => 'question' } }, aggs => { t => { terms => { field => 'tag', order => { 'c>s' => 'desc' } }, aggs => { c => { children => { type => 'comment' }, aggs => { s => { sum => { field => 'n' } } } } } } } })->{aggregations};
    my @s = map { $_->{c}{s}{value} } @{ $r->{t}{buckets} };
    is_deeply(\@s, [ sort { $b <=> $a } @s ], "$when: buckets by the sum of their children");
}

sub check_all { my ($when) = @_; $node->post('/j/_refresh'); $_->($when) for \&check_queries, \&check_scores, \&check_inner, \&check_aggs }

my $next = 0;
for my $round (1 .. 3) { # segments whose parents stand in earlier ones
    my $body = '';
    for (1 .. 60) {
        my $id = 'q' . ++$next;
        $docs{$id} = fresh(type => 'question', routing => "r" . int rand 40);
        $body .= index_line($id);
    }
    for my $type (qw(answer comment vote)) {
        my @parents = (sort(of_type($above{$type}))) or next;
        for (1 .. 80) {
            my $id = substr($type, 0, 1) . ++$next;
            my $p = $parents[rand @parents];
            $docs{$id} = fresh(type => $type, parent => $p, routing => $docs{$p}{routing});
            $body .= index_line($id);
        }
    }
    # children without a parent, which nobody has
    my $id = 'a' . ++$next;
    $docs{$id} = fresh(type => 'answer', parent => "gone$next", routing => 'r1');
    bulk($body . index_line($id));
    $node->post('/j/_refresh');
}
check_all('indexed');

my $body = '';
for my $id (sort keys %docs) { # other parents, other values, gone
    my ($d, $what) = ($docs{$id}, rand);
    if ($what < 0.15) {
        delete $docs{$id};
        $body .= $json->encode({ delete => { _index => 'j', _id => $id, routing => $d->{routing} } }) . "\n";
    } elsif ($what < 0.3) {
        my @same = grep { $d->{parent} && is_of($_, $above{ $d->{type} }) && $docs{$_}{routing} eq $d->{routing} } sort keys %docs;
        $d->{parent} = $same[rand @same] if @same;
        $d->{tag} = $tags[rand @tags];
        $body .= index_line($id);
    } elsif ($what < 0.4) {
        $d->{n} = int rand 20;
        $body .= $json->encode({ update => { _index => 'j', _id => $id, routing => $d->{routing} } }) . "\n" . $json->encode({ doc => { n => $d->{n} } }) . "\n";
    }
}
bulk($body);
check_all('changed');

my %parents = map { $docs{$_}{parent} => 1 } of_type('comment', sub { $_[0]{tag} eq 'blue' });
my @gone = grep { $parents{$_} } of_type('question');
my $r = $node->post('/j/_delete_by_query?refresh=true', { query => has_child('comment', tagged('blue')) });
is($r->{json}{deleted}, scalar @gone, '_delete_by_query of parents by their children') or diag $r->{content};
delete @docs{@gone};
check_queries('deleted by query');

$node->post('/j/_flush');
$node->restart;
ok(QdNode->wait_for(sub { ($node->get('/_cluster/health/j')->{json}{status} // '') eq 'green' }, 60), 'green again');
check_all('after a restart');
is($node->post('/j/_forcemerge?max_num_segments=1')->{status}, 200, 'merged');
check_all('merged');

$node->post('/_aliases', { actions => [ { add => { index => 'j', alias => 'answered', filter => has_child('answer', { match_all => {} }) } } ] });
is($node->post('/answered/_count', { query => { match_all => {} } })->{json}{count}, scalar(grep { children($_, 'answer') } of_type('question')), 'an alias of parents by their children');

is($node->stop, 0, 'stopped');
done_testing;
