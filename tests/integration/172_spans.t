#!/usr/bin/perl
# 172_spans.t: span queries and intervals over HTTP: which documents they match, how they score beside one another, what is
# highlighted, and the errors that clients tell apart. tests/peers/lucene-search compares scores with Lucene's.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('spans');
$node->start;
$node->put('/s', {
    settings => { number_of_shards => 1 },
    mappings => { properties => {
        t => { type => 'text', fields => { en => { type => 'text', analyzer => 'english' } } }, k => { type => 'keyword' }, n => { type => 'integer' },
        freqs => { type => 'text', index_options => 'freqs' },
    } },
});
my @docs = ('the quick brown fox jumps over the lazy dog', 'the quick red fox', 'fox quick', 'a dog and a fox and a quick cat', 'brown dogs');
$node->post('/_bulk?refresh=true', join '', map { qq({"index":{"_index":"s","_id":"$_"}}\n{"t":"$docs[$_ - 1]","k":"k$_","n":$_,"freqs":"a b"}\n) } 1 .. @docs);

sub search { my ($q, %more) = @_; return $node->post('/s/_search', { query => $q, %more }) }
sub ids { my ($q) = @_; my $r = search($q); return $r->{status} == 200 ? join ' ', sort map { $_->{_id} } @{ $r->{json}{hits}{hits} } : $r->{content} }
sub refused { my ($q, $why, $name) = @_; my $r = search($q); is($r->{status}, 400, $name // "$why"); like($r->{content}, $why) }
sub term { return { span_term => { t => $_[0] } } }
sub near { my ($slop, $ordered, @w) = @_; return { span_near => { clauses => [ map { ref ? $_ : term($_) } @w ], slop => $slop, in_order => $ordered ? \1 : \0 } } }

subtest 'span queries' => sub {
    is(ids(term('quick')), '1 2 3 4', 'a word');
    is(ids(near(0, 1, 'quick', 'fox')), '', 'not side by side');
    is(ids(near(1, 1, 'quick', 'fox')), '1 2', 'one word between');
    is(ids(near(1, 0, 'quick', 'fox')), '1 2 3', 'in any order');
    is(ids(near(0, 1, 'quick', { span_gap => { t => 1 } }, 'fox')), '1 2', 'a gap');
    is(ids({ span_or => { clauses => [ term('cat'), term('lazy') ] } }), '1 4', 'or');
    is(ids({ span_not => { include => term('fox'), exclude => term('quick'), pre => 2 } }), '3 4', 'not, with words before');
    is(ids({ span_not => { include => term('fox'), exclude => term('quick'), dist => 1 } }), '1 2 4', 'not, at a distance');
    is(ids({ span_first => { match => term('fox'), end => 1 } }), '3', 'first');
    is(ids({ span_containing => { big => near(5, 1, 'quick', 'fox'), little => term('red') } }), '2', 'containing');
    is(ids({ span_within => { big => near(5, 1, 'quick', 'fox'), little => term('brown') } }), '1', 'within');
    is(ids({ span_multi => { match => { prefix => { t => 'dog' } } } }), '1 4 5', 'a prefix');
    is(ids({ span_multi => { match => { fuzzy => { t => { value => 'quack' } } } } }), '1 2 3 4', 'fuzzy');
    is(ids({ span_multi => { match => { range => { t => { gte => 'ca', lte => 'cz' } } } } }), '4', 'a range');
    is(ids(near(1, 1, 'brown', { field_masking_span => { query => { span_term => { 't.en' => 'dog' } }, field => 't' } })), '5', 'a masked field');
    is(ids({ span_term => { missing => 'x' } }), '', 'an unmapped field');
    my $r = search({ span_near => { clauses => [ term('quick'), term('fox') ], slop => 5, _name => 'both', boost => 2 } });
    is_deeply($r->{json}{hits}{hits}[0]{matched_queries}, ['both'], 'a name');
    my $half = search(near(5, 1, 'quick', 'fox'))->{json}{hits}{hits};
    ok(abs($r->{json}{hits}{hits}[0]{_score} - 2 * $half->[0]{_score}) < 1e-5, 'a boost');
    $r = search(near(5, 0, 'quick', 'fox'), highlight => { fields => { t => {} } });
    is($r->{json}{hits}{hits}[0]{highlight}{t}[0] =~ tr/<//, 4, 'both words are marked') or diag $r->{content};
    $r = search({ constant_score => { filter => near(1, 1, 'quick', 'fox') } });
    is($r->{json}{hits}{hits}[0]{_score}, 1, 'as a filter');
};

subtest 'errors of span queries' => sub {
    refused({ span_near => { clauses => [] } }, qr/span_near must include \[clauses\]/);
    refused({ span_near => { clauses => [ { term => { t => 'x' } } ] } }, qr/span_near \[clauses\] must be of type span query/);
    refused({ span_or => { clauses => [ { span_term => { t => { value => 'x', boost => 2 } } } ] } },
        qr/span_or \[clauses\] as a nested span clause can't have non-default boost value \[2.0\]/);
    refused({ span_not => { include => term('x') } }, qr/span_not must have \[exclude\] span query clause/);
    refused({ span_not => { include => term('x'), exclude => term('y'), dist => 1, pre => 1 } }, qr/span_not can either use \[dist\] or \[pre\] & \[post\]/);
    refused({ span_first => { match => term('x') } }, qr/span_first must have \[end\] set for it/);
    refused({ span_multi => { match => term('x') } }, qr/\[span_multi\] \[match\] must be of type multi term query/);
    refused({ span_within => { big => term('x') } }, qr/inner clause \[little\] cannot be null/);
    refused({ span_near => { clauses => [ term('x'), { span_term => { k => 'y' } } ], slop => 1 } }, qr/Clauses must have same field/);
    refused(near(1, 0, 'a', { span_gap => { t => 1 } }), qr/Gaps can only be added to ordered near queries/);
    refused({ span_near => { clauses => [ term('x') ], slip => 1 } }, qr/\[span_near\] query does not support \[slip\]/);
    refused({ span_gap => { t => 1 } }, qr/\[span_gap\] stands in the clauses of \[span_near\] only/);
    refused({ span_term => { freqs => 'a' } }, qr/was indexed without position data; cannot run SpanTermQuery/);
};

sub iv { my ($rule, %more) = @_; return { intervals => { t => { %$rule, %more } } } }

subtest 'intervals' => sub {
    is(ids(iv({ match => { query => 'quick fox' } })), '1 2 3 4', 'all words');
    is(ids(iv({ match => { query => 'quick fox', ordered => \1 } })), '1 2', 'in order');
    is(ids(iv({ match => { query => 'quick fox', max_gaps => 0 } })), '3', 'without gaps');
    is(ids(iv({ match => { query => 'fox quick', max_gaps => 0, ordered => \1 } })), '3', 'a phrase');
    is(ids(iv({ match => { query => 'quick fox', mode => 'unordered_no_overlap', max_gaps => 1 } })), '1 2 3', 'a mode');
    is(ids(iv({ match => { query => 'DOGS', use_field => 't.en' } })), '1 4 5', 'another field');
    is(ids(iv({ match => { query => 'Quick Fox', analyzer => 'whitespace' } })), '', 'another analyzer');
    is(ids(iv({ any_of => { intervals => [ { match => { query => 'lazy dog', max_gaps => 0 } }, { match => { query => 'cat' } } ] } })), '1 4', 'any of');
    is(ids(iv({ all_of => { ordered => \1, max_gaps => 0, intervals => [ { match => { query => 'quick' } },
        { any_of => { intervals => [ { match => { query => 'red' } }, { match => { query => 'brown fox', ordered => \1 } } ] } } ] } })), '1 2', 'all of');
    is(ids(iv({ prefix => { prefix => 'DOG' } })), '1 4 5', 'a prefix, normalized');
    is(ids(iv({ wildcard => { pattern => 'qu?ck' } })), '1 2 3 4', 'a wildcard');
    is(ids(iv({ regexp => { pattern => 'la.*|ca.' } })), '1 4', 'a regular expression');
    is(ids(iv({ fuzzy => { term => 'lazi', fuzziness => 1 } })), '1', 'fuzzy');
    is(ids(iv({ range => { gte => 'ca', lt => 'd' } })), '4', 'a range');
    my $quick_fox = sub { my ($f, $rule) = @_; return iv({ match => { query => 'quick fox', filter => { $f => $rule } } }) };
    is(ids($quick_fox->(containing => { match => { query => 'red' } })), '2', 'containing');
    is(ids($quick_fox->(not_containing => { match => { query => 'red' } })), '1 3 4', 'not containing');
    is(ids(iv({ match => { query => 'brown', filter => { contained_by => { match => { query => 'quick fox' } } } } })), '1', 'contained by');
    is(ids(iv({ match => { query => 'brown', filter => { not_contained_by => { match => { query => 'quick fox' } } } } })), '5', 'not contained by');
    is(ids(iv({ match => { query => 'fox', filter => { before => { match => { query => 'quick' } } } } })), '3 4', 'before');
    is(ids(iv({ match => { query => 'fox', filter => { after => { match => { query => 'quick' } } } } })), '1 2', 'after');
    is(ids($quick_fox->(overlapping => { match => { query => 'brown jumps' } })), '1', 'overlapping');
    is(ids($quick_fox->(not_overlapping => { match => { query => 'brown jumps' } })), '2 3 4', 'not overlapping');
    is(ids({ intervals => { missing => { match => { query => 'x' } } } }), '', 'an unmapped field');
    my $r = search(iv({ match => { query => 'fox quick' } }, boost => 3, _name => 'iv'));
    is($r->{json}{hits}{hits}[0]{_id}, 3, 'close words are better');
    ok(abs($r->{json}{hits}{hits}[0]{_score} - 1.5) < 1e-6, 'score: boost * freq / (freq + 1)');
    is_deeply($r->{json}{hits}{hits}[0]{matched_queries}, ['iv'], 'a name');
};

subtest 'errors of intervals' => sub {
    refused(iv({ nothing => {} }), qr/Unknown interval type \[nothing\], expecting one of \[match, any_of, all_of, prefix, wildcard, regexp, range\]/);
    refused(iv({ match => { query => 'x' }, prefix => { prefix => 'x' } }), qr/Only one interval rule can be specified, found/);
    refused(iv({}), qr/Missing intervals from interval query definition/);
    refused(iv({ match => { max_gaps => 1 } }), qr/Required \[query\]/);
    refused(iv({ match => { query => 'x', gaps => 1 } }), qr/\[match\] unknown field \[gaps\]/);
    refused(iv({ match => { query => 'x', filter => { script => { source => '1' } } } }), qr/\[script\] filters of \[intervals\] are not supported by this version/);
    refused(iv({ match => { query => 'x', filter => { near => { match => { query => 'y' } } } } }), qr/Unknown filter type \[near\]/);
    refused({ intervals => { k => { match => { query => 'x' } } } }, qr/Can only use interval queries on text fields - not on \[k\] which is of type \[keyword\]/);
    refused({ intervals => { freqs => { match => { query => 'x' } } } }, qr/Cannot create intervals over field \[freqs\] with no positions indexed/);
    my $deep = { match => { query => 'x' } };
    $deep = { any_of => { intervals => [$deep] } } for 1 .. 40;
    refused(iv($deep), qr/nested more than 24 deep/, 'depth');
};

$node->stop;
done_testing();
