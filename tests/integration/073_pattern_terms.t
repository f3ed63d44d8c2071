#!/usr/bin/perl
# 073_pattern_terms.t: thousands of patterns over a field of 50,000 words. Wildcards are found in one pass; what a
# search may compare with patterns beyond that is bounded by search.max_pattern_terms, and an error names it. A
# time limit and a cancellation end the comparing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use QdNode;
use Test::More;
use Time::HiRes qw(time);
use Timed;

my $n = QdNode->new('pt', settings => {'node.memory' => '512mb'});
$n->start;
my $false = JSON::PP::false;
is($n->put('/i', {settings => {number_of_shards => 1, number_of_replicas => 0, 'index.refresh_interval' => -1},
    mappings => {properties => {k => {type => 'keyword'}, c => {type => 'keyword', index => $false}}}})->{status}, 200, 'an index');
sub word { sprintf 'item-%05d-%s', $_[0], substr('abcdefghijklmnopqrstuvwxyz', $_[0] % 20, 6) }
for my $from (0 .. 4) {
    my $bulk = join '', map { my $w = word($_); qq({"index":{"_id":"$_"}}\n{"k":"$w","c":"$w"}\n) } $from * 10_000 .. $from * 10_000 + 9999;
    is($n->post('/i/_bulk', $bulk)->{json}{errors}, $false, "documents $from");
}
$n->post('/i/_refresh', '');
is($n->get('/i/_count')->{json}{count}, 50_000, '50,000 words');

sub search { my ($q, %more) = @_; return $n->post('/i/_search', {query => $q, size => 1, track_total_hits => \1, %more}) }
sub should { my ($make, $count) = @_; return {bool => {should => [map { $make->($_) } 1 .. $count]}} }
sub inner { return {wildcard => {k => "*$_[0]*"}} }
sub regexp { return {regexp => {k => ".*[0-9]$_[0].*"}} }
sub from { my ($field, $n) = @_; return {range => {$field => {gte => sprintf 'item-%05d', $n}}} }
sub setting { my ($value) = @_; return $n->put('/_cluster/settings', {transient => {'search.max_pattern_terms' => $value}})->{status} }
sub refused {
    my ($r, $name) = @_;
    is($r->{status}, 400, "$name is refused") or diag $r->{content};
    my $cause = $r->{json}{error}{root_cause}[0];
    like($cause->{type}, qr/^(illegal_argument|query_shard)_exception$/, '... in its shape');
    like($cause->{reason}, qr/patterns of this search on field \[[kc]\] must look at more than \[\d+\] terms of a shard, beyond 8 walks.*\[search\.max_pattern_terms\] cluster level setting/, '... and names the limit');
}

# --- one pass
my $begun = time;
my $r = search(should(\&inner, 4000));
within(time - $begun, 1, 20, '4,000 wildcards');
is($r->{status}, 200, '... are answered') or diag $r->{content};
is($r->{json}{hits}{total}{value}, scalar(grep { word($_) =~ /[1-9]/ } 0 .. 49_999), '... with the right number of hits');
my $some = search({bool => {must_not => [should(sub { inner($_[0] + 1000) }, 3000)]}});
my %in = map { $_ => 1 } 1001 .. 4000;
my $left = grep { my ($digits) = word($_) =~ /(\d+)/; !grep { $in{substr $digits, $_, 4} } 0, 1 } 0 .. 49_999;
is($some->{json}{hits}{total}{value}, $left, '... as an exclusion too');

# --- the bound
is(search(should(\&regexp, 20))->{status}, 200, 'twenty regular expressions');
refused(search(should(\&regexp, 1000)), 'a thousand');
refused(search(should(sub { {wildcard => {k => '*e*m*' . '*' x $_[0]}} }, 2000)), 'what all wildcards have');
is(setting(100_000), 200, 'a lower limit');
is(search(inner(7))->{status}, 200, 'a few walks are always allowed');
is(search(regexp(7))->{status}, 200, '... with an automaton too');
is(search(from('c', 700))->{json}{hits}{total}{value}, 49_300, '... and without an index');
refused(search(should(\&regexp, 40)), 'forty');
refused(search(should(sub { from('c', $_[0]) }, 40)), 'forty intervals without an index');
refused(search(should(sub { from('k', $_[0]) }, 40)), '... and with one');
refused(search({bool => {should => [map { {fuzzy => {k => {value => 'item-12345', fuzziness => 2}}} } 1 .. 400]}}), 'fuzzy words');
refused(search({match_all => {}}, aggs => {f => {filters => {filters => {map { ("f$_" => regexp($_)) } 1 .. 40}}}}), 'filters of an aggregation');
refused(search({bool => {filter => [regexp(1)], should => [map { {regexp => {k => {value => ".*$_.*", boost => 2, _name => "n$_"}}} } 1 .. 40]}}), 'named ones');
is(search(should(\&regexp, 10))->{status}, 200, 'ten');
refused(search(should(\&regexp, 10), explain => \1, size => 10), '... with explanations, half an answer later,');
refused($n->post('/i/_explain/12345', {query => should(\&regexp, 40)}), 'an explanation');
refused($n->post('/i/_delete_by_query', {query => should(\&regexp, 40)}), 'a deletion');
is(setting(-2), 400, 'a limit that is none');

# --- without a bound a search still ends
is(setting(-1), 200, 'no limit');
$begun = time;
$r = search(should(\&regexp, 3000), timeout => '300ms');
within(time - $begun, 1, 20, 'a time limit');
ok($r->{json}{timed_out}, '... ends the comparing') or diag substr $r->{content}, 0, 500;
my $pid = fork // die;
if ($pid == 0) { my $got = search(should(\&regexp, 4000)); POSIX::_exit($got->{content} =~ /task_cancelled_exception/ ? 0 : 1) }
my $id;
ok($n->wait_for(sub {
    my ($tasks) = values %{$n->get('/_tasks?actions=*search')->{json}{nodes}};
    ($id) = keys %{($tasks || {})->{tasks} || {}};
}), 'a search that takes long');
$begun = time;
is($n->post("/_tasks/$id/_cancel", '')->{status}, 200, '... is cancelled');
waitpid $pid, 0;
within(time - $begun, 1, 20, '... and ends');
is($?, 0, '... with the error');
is($n->stop, 0, 'ends cleanly');
done_testing;
