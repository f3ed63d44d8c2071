#!/usr/bin/perl
# 086_field_shown.t: how hits show the values of a plugin's field type: by its show and show_column, in `fields` and
# `docvalue_fields`, pretty or not, on one node and from another; a call that fails, hangs or writes nonsense; a table without them; a check that hangs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use Time::HiRes qw(time);
use Timed;
use Toys qw(toys);

my $dir = toys('the toy is built', 'toy-field');
my $n = QdNode->new('fs', settings => {'plugins.path' => $dir, 'plugins.allow' => '+toy-field', 'plugins.call_timeout' => '1s'});
$n->start;
my $made = $n->put('/m', {mappings => {properties => {sum => {type => 'toy_money'}, plain => {type => 'toy_plain'}, o => {properties => {sum => {type => 'toy_money'}}}}}});
is($made->{status}, 200, 'an index') or diag $made->{content};
sub set { my ($id, $doc) = @_; return $n->put("/m/_doc/$id?refresh=true", $doc)->{status} }
sub search { my ($id, %more) = @_; return $n->post('/m/_search' . (delete $more{query} // ''), {query => {ids => {values => [$id]}}, %more}) }
sub fields { my $r = search(@_); return $r->{json}{hits}{hits}[0]{fields} // $r->{content} }
sub failure { my $r = search(@_); my $f = $r->{json}{_shards}{failures}[0]{reason} // $r->{json}{error}{root_cause}[0]; return ref $f ? "$f->{type}: $f->{reason}" : $r->{content} }

set(1, {sum => 1.5, plain => 2});
is_deeply(fields(1, fields => ['*']), {sum => ['1.50 EUR'], plain => [2]}, 'fields');
is_deeply(fields(1, docvalue_fields => ['*']), {sum => ['1.50 EUR'], plain => [2]}, 'docvalue_fields');
like(search(1, fields => ['sum'], query => '?pretty')->{content}, qr/"sum" : \[\n\s+"1\.50 EUR"\n/, 'pretty');
set(2, {sum => [3, 1, 2], o => [{sum => 4}, {sum => [5, 18]}]});
is_deeply(fields(2, fields => ['*']), {sum => ['3.00 EUR', '1.00 EUR', '2.00 EUR'], 'o.sum' => ['4.00 EUR', '5.00 EUR', '18.00 EUR', undef]}, 'arrays, and arrays of objects, in the order of the source');
is_deeply(fields(2, docvalue_fields => ['sum']), {sum => ['1.00 EUR', '2.00 EUR', '3.00 EUR']}, '... and of the column');
is($n->post('/m/_search', {query => {range => {sum => {gte => 3}}}, sort => ['sum']})->{json}{hits}{hits}[0]{sort}[0], 1, 'queries and sorting see numbers');

set(3, {sum => 13});
is_deeply(search(3, fields => ['sum'])->{json}{hits}{hits}[0]{fields}, undef, 'a value that show refuses is left out');
like(failure(3, docvalue_fields => ['sum']), qr/13 is not shown/, '... and fails a column');
set(4, {sum => 17});
is_deeply(search(4, fields => ['sum'])->{json}{hits}{hits}[0]{fields}, undef, 'nothing');
is_deeply(fields(4, docvalue_fields => ['sum']), {sum => []}, '... of a column');
for my $case ([15, qr/plugin_exception: field type \[toy_money\]: show left an object or array open for field \[sum\]/], [16, qr/plugin_exception: field type \[toy_money\]: show wrote more than 1048576 bytes for field \[sum\]/], [19, qr/plugin_exception: .*left an object or array open/]) {
    set(5, {sum => $case->[0]});
    like(failure(5, fields => ['sum']), $case->[1], "nonsense $case->[0] fails with its name");
}
set(6, {sum => 14});
my $begun = time;
like(failure(6, fields => ['sum']), qr/plugin_exception: .*toy_money.*has not returned from show for 1000 ms \(plugins\.call_timeout\)/, 'a call that does not return is left');
within(time - $begun, 4, 30, 'the answer');
is_deeply(fields(1, fields => ['sum']), {sum => ['1.50 EUR']}, 'others are shown');
is($n->stop, 0, 'the node stops');

# --- check

$n->{settings}{'plugin.toy-field.slow'} = 'true';
$n->start;
$begun = time;
my $r = $n->put('/slow', {mappings => {properties => {x => {type => 'toy_money'}}}});
like("$r->{status} $r->{content}", qr/^500 .*plugin_exception.*field type \[toy_money\].*has not returned from check for 1000 ms \(plugins\.call_timeout\)/, 'a mapping whose check does not return is refused');
within(time - $begun, 4, 30, 'the answer');
is($n->get('/slow')->{status}, 404, '... and makes no index');
ok($n->wait_for(sub { $n->get('/_cluster/allocation/explain', {index => 'm', shard => 0, primary => \1})->{content} =~ /has not returned from check/ }), 'a stored one leaves its shards closed, and says why')
    or diag $n->get('/_cluster/allocation/explain')->{content};
is($n->get('/m/_mapping')->{json}{m}{mappings}{properties}{sum}{type}, 'toy_money', '... its mapping stays');
is($n->stop, 0, 'the node stops');
$n->{settings}{'plugin.toy-field.slow'} = 'false';
$n->start;
ok($n->wait_for(sub { (search(1)->{json}{hits}{total}{value} // 0) == 1 }), 'and they open when it returns again');
is($n->stop, 0, 'the node stops');
done_testing;
