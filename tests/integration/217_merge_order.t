#!/usr/bin/perl
# 217_merge_order.t: index.merge.reorder: which values are taken and where they are shown; the same hits with the
# same scores whatever order merges leave documents in; pages that were begun before; updates and a restart after.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP;
use QdCluster;
use QdNode;
use Test::More;

my $seed = $ENV{QD_SEED} // time;
srand($seed);
diag("seed $seed") if $ENV{QD_SEED};
my $node = QdNode->new('order');
$node->start;
my $json = JSON::PP->new->utf8->canonical;
my ($yes, $no) = (JSON::PP::true, JSON::PP::false);
my @orders = qw(off length bp);

# --- the setting --------------------------------------------------------------------------------------

my %mappings = (properties => {
    body => { type => 'text' }, plain => { type => 'text', norms => $no }, tag => { type => 'keyword' }, n => { type => 'long' },
    many => { type => 'integer' }, at => { type => 'date' }, ip => { type => 'ip' }, f => { type => 'double' } });
sub create {
    my ($name, %settings) = @_;
    return $node->put("/$name", { settings => { number_of_shards => 1, number_of_replicas => 0, refresh_interval => '-1', %settings }, mappings => \%mappings });
}
is(create($_, $_ eq 'off' ? () : ('index.merge.reorder' => $_))->{status}, 200, "an index: $_") for @orders;
my $shown = $node->get('/length/_settings?include_defaults=true')->{json}{length};
is($shown->{settings}{index}{merge}{reorder}, 'length', 'it is shown');
is($node->get('/off/_settings?include_defaults=true')->{json}{off}{defaults}{index}{merge}{reorder}, 'off', 'so is the default');
my $r = create('bad', 'index.merge.reorder' => 'sideways');
is($r->{status}, 400, 'another word is refused');
like($r->{content}, qr/index\.merge\.reorder.*sideways/, 'by name and value');
$r = create('both', 'index.merge.reorder' => 'bp', 'index.sort.field' => 'n');
is($r->{status}, 400, 'an order of its own is refused beside it');
like($r->{content}, qr/index\.sort\.field/, 'by name');
is($node->put('/off/_settings', { 'index.merge.reorder' => 'diagonal' })->{status}, 400, 'a bad change');

# --- the same documents -------------------------------------------------------------------------------

my @words = map { "w$_" } 0 .. 60;
my @topics = map { my $t = $_; [map { "t${t}x$_" } 0 .. 25] } 0 .. 7;
sub text {
    my ($topic) = @_;
    my $n = rand() < 0.1 ? 60 + int rand 100 : 1 + int rand 25;
    return join ' ', map { rand() < 0.4 ? $topics[$topic][rand @{ $topics[$topic] }] : $words[@words * rand() ** 3] } 1 .. $n;
}
my %docs;
sub document {
    my ($id) = @_;
    my %d = (body => text($id % 8), plain => text($id * 5 % 8), tag => 'k' . int rand 12, n => $id * 3, at => 1.6e12 + int rand 1e9, f => rand 100);
    $d{many} = [map { int rand 40 } 1 .. int rand 4] if rand() < 0.7;
    $d{ip} = '10.0.' . int(rand 4) . '.' . int rand 256 if rand() < 0.5;
    return \%d;
}
my $bulk_of = sub {
    my ($to, @ids) = @_;
    my $b = '';
    for (@ids) {
        $b .= qq({"delete":{"_index":"$to","_id":"$_"}}\n), next unless $docs{$_};
        $b .= qq({"index":{"_index":"$to","_id":"$_"}}\n) . $json->encode($docs{$_}) . "\n";
    }
    return $b;
};
sub write_all {
    my ($refresh, @ids) = @_;
    for (@orders) {
        my $r = $node->post("/$_/_bulk?refresh=$refresh", $bulk_of->($_, @ids));
        $r->{json}{errors} and BAIL_OUT($r->{content});
    }
}
for my $round (0 .. 9) { # segments, updates and deletions in each
    my @ids = ($round * 120 .. $round * 120 + 119);
    $docs{$_} = document($_) for @ids;
    my @old = map { int rand($round * 120 + 1) } 1 .. 20;
    my %seen;
    @old = grep { !$seen{$_}++ && $docs{$_} } @old;
    rand() < 0.5 ? delete $docs{$_} : ($docs{$_} = document($_)) for @old;
    write_all('true', @ids, grep { my $o = $_; !grep { $_ == $o } @ids } @old);
}

# pages and a point in time of what is there before the order changes
sub all_pages {
    my ($next, $first) = @_;
    my @got;
    for (my $r = $first; @{ $r->{json}{hits}{hits} // [] }; $r = $next->($r)) {
        push @got, map { $_->{_id} } @{ $r->{json}{hits}{hits} };
        die 'no end' if @got > 10000;
    }
    return \@got;
}
my @before = sort { $a <=> $b } keys %docs;
my $scroll = $node->post('/bp/_search?scroll=5m', { size => 100 });
my $pit = $node->post('/bp/_pit?keep_alive=5m')->{json}{id};
my $page = { size => 100, sort => [{ _shard_doc => 'asc' }], pit => { id => $pit } };
my $first = $node->post('/_search', $page);
is($node->post("/$_/_forcemerge?max_num_segments=1")->{status}, 200, "$_ is merged") for @orders;
my $rest = all_pages(sub { $node->post('/_search/scroll', { scroll => '5m', scroll_id => $_[0]{json}{_scroll_id} }) }, $scroll);
is_deeply([sort { $a <=> $b } @$rest], \@before, 'a scroll goes on over the merge, each document once');
$rest = all_pages(sub { $node->post('/_search', { %$page, search_after => $_[0]{json}{hits}{hits}[-1]{sort} }) }, $first);
is_deeply([sort { $a <=> $b } @$rest], \@before, 'so does a point in time');
is(scalar(() = $node->get("/_cat/segments/$_?h=segment")->{content} =~ /\S+/g), 1, "$_: one segment") for @orders;

# --- the same answers ---------------------------------------------------------------------------------

sub some { my ($t) = @_; return join ' ', map { rand() < 0.5 ? $words[rand @words] : $topics[$t][rand 25] } 1 .. 1 + int rand 4 }
my @queries = map {
    my $t = int rand 8;
    my ($a, $b) = sort { $a <=> $b } map { int rand 3600 } 1, 2;
    my $some = some($t);
    my @phrase = (split / /, $docs{ $before[rand @before] }{body} . ' w1 w2')[0 .. 1];
    ({ match => { body => $some } }, { match => { body => { query => $some, operator => 'and' } } }, { match => { plain => $some } },
        { match_phrase => { body => "@phrase" } }, { match_phrase => { body => { query => "w0 w1", slop => 3 } } },
        { range => { n => { gte => $a, lt => $b } } }, { range => { at => { gte => 1.6e12 + $a * 1e5 } } }, { term => { tag => 'k' . $t } },
        { term => { many => $t } }, { prefix => { body => "t${t}x1" } }, { term => { ip => '10.0.1.0/24' } }, { exists => { field => 'many' } },
        { bool => { must => { match => { body => $some } }, filter => [{ term => { tag => 'k3' } }, { range => { f => { lt => 70 } } }], must_not => { term => { many => 3 } } } })
} 1 .. 4;
my %aggs = (tags => { terms => { field => 'tag', size => 20 }, aggs => { f => { avg => { field => 'n' } } } }, many => { stats => { field => 'many' } },
    days => { date_histogram => { field => 'at', fixed_interval => '1d' } });

# ids with scores, of all hits; and of the first ten, in which only the order of ties may differ
sub answer {
    my ($index, $query, $size) = @_;
    my $r = $node->post("/$index/_search", { size => $size, track_total_hits => $yes, query => $query, aggs => \%aggs, _source => $no });
    $r->{status} == 200 or BAIL_OUT($r->{content});
    return ($r->{json}{hits}{total}{value}, [map { [$_->{_id}, $_->{_score}] } @{ $r->{json}{hits}{hits} }], $r->{json}{aggregations});
}
sub same_answers {
    my ($when) = @_;
    my (@bad, $hits);
    for my $q (@queries) {
        my ($total, $all, $aggs) = answer('off', $q, 5000);
        my (undef, $top) = answer('off', $q, 10);
        $hits += $total;
        for my $o (qw(length bp)) {
            my ($t, $a, $g) = answer($o, $q, 5000);
            my %mine = map { $_->[0] => $_ } @$a;
            push @bad, "$o: total of " . $json->encode($q) if $t != $total || @$a != @$all;
            push @bad, "$o: hits of " . $json->encode($q) if $json->encode([map { $mine{ $_->[0] } } @$all]) ne $json->encode($all);
            push @bad, "$o: aggs of " . $json->encode($q) if $json->encode($g) ne $json->encode($aggs);
            my (undef, $ten) = answer($o, $q, 10);
            push @bad, "$o: top of " . $json->encode($q) if "@{[map { $_->[1] } @$ten]}" ne "@{[map { $_->[1] } @$top]}";
        }
    }
    is_deeply(\@bad, [], "the same hits, scores and sums $when (seed $seed)");
    cmp_ok($hits, '>', 500, 'of queries that find something');
    my @sorted = map { my $o = $_; join ' ', map { $_->{_id} } @{ $node->post("/$o/_search", { size => 3000, sort => [{ n => 'desc' }] })->{json}{hits}{hits} } } @orders;
    is($sorted[$_], $sorted[0], "$orders[$_]: the same order by a field $when") for 1, 2;
}
same_answers('after a merge');

# The order itself: shorter text first; documents of a topic near each other.
sub in_order { return map { $_->{_source} } @{ $node->post("/$_[0]/_search", { size => 5000, sort => ['_doc'] })->{json}{hits}{hits} } }
my @lengths = map { scalar(split ' ', $_->{body}) } in_order('length');
is(scalar(grep { $lengths[$_] > 24 && $lengths[$_ - 1] > $lengths[$_] * 1.15 || $lengths[$_] <= 24 && $lengths[$_ - 1] > $lengths[$_] } 1 .. $#lengths), 0,
    'length: texts get longer (lengths over 24 are kept in steps)');
sub turns { my @t = map { $_->{n} / 3 % 8 } in_order($_[0]); return scalar grep { $t[$_] != $t[$_ - 1] } 1 .. $#t }
cmp_ok(turns('bp'), '<', 0.6 * turns('off'), 'bp: documents of a topic stand together');

# --- changes ------------------------------------------------------------------------------------------

sub segment_of { my ($s) = values %{ $node->get("/$_[0]/_segments")->{json}{indices}{ $_[0] }{shards}{0}[0]{segments} }; return $json->encode($s) }
my $was = segment_of('length');
$node->post('/length/_forcemerge?max_num_segments=1');
is(segment_of('length'), $was, 'what is in order already is not merged again');
is($node->put('/off/_settings', { 'index.merge.reorder' => 'length' })->{status}, 200, 'the setting changes while the index is open');
$node->post('/off/_forcemerge?max_num_segments=1');
is_deeply([map { scalar(split ' ', $_->{body}) } in_order('off')], \@lengths, 'a forced merge brings the order that was set since');
$node->put('/off/_settings', { 'index.merge.reorder' => undef });

my @changed = grep { $_ % 7 == 0 } @before;
$_ % 2 ? delete $docs{$_} : ($docs{$_} = document($_)) for @changed;
$docs{$_} = document($_) for 1200 .. 1250;
write_all('true', @changed, 1200 .. 1250);
same_counts('after updates');
sub same_counts {
    my ($when) = @_;
    for my $o (@orders) {
        my $got = $node->post("/$o/_search", { size => 5000, query => { match_all => {} } })->{json}{hits}{hits};
        is($json->encode({ map { $_->{_id} => $_->{_source} } @$got }), $json->encode(\%docs), "$o: each document once, whole, $when");
    }
}
$node->post("/$_/_forcemerge?max_num_segments=1") for @orders;
same_answers('after updates and another merge');
$node->restart;
ok($node->wait_for(sub { $node->get('/_cluster/health')->{json}{status} eq 'green' }, 30), 'the node is back');
same_counts('after a restart');
my ($id) = grep { $_ % 2 == 0 } @changed;
is_deeply($node->get("/bp/_doc/$id")->{json}{_source}, $docs{$id}, 'a document by its id');
$node->stop;

# --- memory that does not suffice: told, and the merge is done all the same ---------------------------

my $small = QdNode->new('small', settings => { 'indices.memory.merge_reorder_size' => '1mb' });
$small->start;
$node = $small;
create('bp', 'index.merge.reorder' => 'bp');
my $n = 0;
for (1 .. 6) {
    my $b = '';
    $b .= qq({"index":{"_id":"$n"}}\n{"body":"@{[map { 'v' . int rand 4000 } 1 .. 100]}","n":@{[$n++]}}\n) for 1 .. 3000;
    $small->post('/bp/_bulk', $b);
}
is($small->post('/bp/_forcemerge?max_num_segments=1')->{status}, 200, 'a merge with little memory');
is($small->get('/bp/_count')->{json}{count}, $n, 'has all documents');
unlike($small->log_text, qr/dropped/, 'and none was dropped');
$small->stop;

# --- copies show what their primary merged ------------------------------------------------------------

my $c = QdCluster->new('ordered', nodes => 2)->start;
my @n = $c->nodes;
$n[0]->put('/r', { settings => { number_of_shards => 1, number_of_replicas => 1, 'index.merge.reorder' => 'bp' }, mappings => \%mappings });
ok($c->wait_status('green'), 'a cluster');
my @ids = (sort { $a <=> $b } keys %docs)[0 .. 799];
$n[0]->post('/r/_bulk?refresh=true', $bulk_of->('r', @ids[$_ * 200 .. $_ * 200 + 199])) for 0 .. 3;
$n[0]->post('/r/_forcemerge?max_num_segments=1');
my @ties = map { my $at = $_; sub { join ' ', map { $_->{_id} }
    @{ $at->post('/r/_search?preference=_local', { size => 1000, query => { match_all => {} } })->{json}{hits}{hits} } } } @n;
ok($n[0]->wait_for(sub { $ties[0]->() eq $ties[1]->() }, 30), 'both copies have one order of ties');
isnt($ties[0]->(), "@ids", 'which is not that of indexing');
$c->stop;
done_testing();
