#!/usr/bin/perl
# 159_index_mode.t: index.mode: logsdb with its sort, source and fields, by requests, templates and data streams; lookup;
# what is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('modes');
$node->start;
my ($true, $false) = (JSON::PP::true, JSON::PP::false);

my $r = $node->put('/logs-a', { settings => { 'index.mode' => 'logsdb', number_of_replicas => 0, refresh_interval => -1 } });
is($r->{status}, 200, 'an index of logs') or diag $r->{content};
my $m = $node->get('/logs-a/_mapping')->{json}{'logs-a'}{mappings};
is($m->{properties}{'@timestamp'}{type}, 'date', 'it has a time');
is($m->{properties}{host}{properties}{name}{type}, 'keyword', '... and the name of a host');
my $s = $node->get('/logs-a/_settings')->{json}{'logs-a'}{settings}{index};
is($s->{mode}, 'logsdb', 'the settings show the mode');
is_deeply($s->{logsdb}, { sort_on_host_name => 'true', add_host_name_field => 'true' }, '... and what it chose');
like($node->put('/logs-a/_doc/x', { a => 1 })->{content}, qr/data stream timestamp field \[\@timestamp\] is missing/, 'a document has a time');
my @want;
my $lines = '';
for my $i (0 .. 199) {
    my ($host, $time) = ('h' . int rand 5, 1_700_000_000_000 + 1000 * int rand 10000);
    push @want, [ $host, $time, $i ];
    $lines .= qq({"index":{"_id":"$i"}}\n{"\@timestamp":$time,"host":{"name":"$host"},"tags":["b","a"],"message":"line $i","level":"@{[$i % 3]}"}\n);
    if ($i == 99) { $node->post('/logs-a/_bulk?refresh=true', $lines); $lines = '' }
}
is($node->post('/logs-a/_bulk?refresh=true', $lines)->{json}{errors}, $false, 'lines');
$node->post('/logs-a/_forcemerge?max_num_segments=1');
my $hits = $node->post('/logs-a/_search', { size => 300, sort => ['_doc'] })->{json}{hits}{hits};
my @got = map { [ $_->{_source}{host}{name}, $_->{_source}{'@timestamp'} ] } @$hits;
my $falls = grep { $got[$_ - 1][0] gt $got[$_][0] || ($got[$_ - 1][0] eq $got[$_][0] && $got[$_ - 1][1] lt $got[$_][1]) } 1 .. $#got;
is(scalar @got, 200, 'all lines');
is($falls, 0, '... by host and time, the newest first');
is_deeply($hits->[0]{_source}{tags}, ['b', 'a'], 'arrays keep their order');
like($hits->[0]{_source}{'@timestamp'}, qr/^2023-11-1[45]T.*Z$/, 'the source is made');
is_deeply([ map { $_->{field} } @{ (values %{ $node->get('/logs-a/_segments')->{json}{indices}{'logs-a'}{shards}{0}[0]{segments} })[0]{sort} } ], [ 'host.name', '@timestamp' ], '_segments shows the sort');
is($node->get('/_resolve/index/logs-a')->{json}{indices}[0]{mode}, 'logsdb', '_resolve shows the mode');

$node->put('/logs-b', { settings => { 'index.mode' => 'logsdb', 'index.sort.field' => ['level'], 'index.sort.order' => ['desc'] }, mappings => { properties => { level => { type => 'integer' }, '@timestamp' => { type => 'date_nanos' } } } });
$m = $node->get('/logs-b/_mapping')->{json}{'logs-b'}{mappings};
is($m->{properties}{'@timestamp'}{type}, 'date_nanos', 'a time of its own');
ok(!$m->{properties}{host}, '... and no host with a sort of its own');
$node->put('/logs-c', { settings => { 'index.mode' => 'logsdb' }, mappings => { properties => { host => { type => 'keyword' } } } });
$s = $node->get('/logs-c/_settings')->{json}{'logs-c'}{settings}{index};
ok(!$s->{logsdb}{sort_on_host_name}, 'a host that is no object: by time alone');
$node->put('/logs-c/_doc/1?refresh=true', { '@timestamp' => '2024-01-01', host => 'x' });
is($node->post('/logs-c/_search', {})->{json}{hits}{hits}[0]{_source}{host}, 'x', '... and documents come back');
is($node->put('/logs-d', { settings => { 'index.mode' => 'logsdb', 'index.mapping.source.mode' => 'stored' } })->{status}, 200, 'logs with a stored source');
$node->put('/logs-d/_doc/1?refresh=true', { '@timestamp' => '2024-01-01', b => ['b', 'a', 'b'] });
is_deeply($node->post('/logs-d/_search', {})->{json}{hits}{hits}[0]{_source}, { '@timestamp' => '2024-01-01', b => ['b', 'a', 'b'] }, '... as they were sent');
$node->put('/logs-e', { settings => { 'index.mode' => 'logsdb' }, mappings => { properties => { n => { type => 'long' } } } });
is($node->put('/logs-e/_doc/1?refresh=true', { '@timestamp' => '2024-01-01', n => 'many' })->{status}, 201, 'malformed values do no harm in logs');
is_deeply($node->post('/logs-e/_search', {})->{json}{hits}{hits}[0]{_source}, { '@timestamp' => '2024-01-01T00:00:00.000Z', n => 'many' }, '... and are kept');

is($node->put('/_index_template/l', { index_patterns => ['logs-*-*'], data_stream => {}, priority => 500, template => { settings => { 'index.mode' => 'logsdb', number_of_replicas => 0 } } })->{status}, 200, 'a template of streams of logs');
is($node->post('/logs-app-default/_doc?refresh=true', { '@timestamp' => '2024-05-06T07:08:09Z', 'host.name' => 'web', message => 'm' })->{status}, 201, 'a stream by its first document');
$r = $node->get('/logs-app-default/_settings')->{json};
is((values %$r)[0]{settings}{index}{mode}, 'logsdb', '... is of the mode');
is($node->post('/logs-app-default/_rollover')->{json}{rolled_over}, $true, 'a rollover');
is(scalar(grep { $_->{settings}{index}{mode} eq 'logsdb' && $_->{settings}{index}{logsdb}{sort_on_host_name} eq 'true' } values %{ $node->get('/logs-app-default/_settings')->{json} }), 2, '... is of the mode too');
is_deeply($node->post('/logs-app-default/_search', {})->{json}{hits}{hits}[0]{_source}, { '@timestamp' => '2024-05-06T07:08:09.000Z', host => { name => 'web' }, message => 'm' }, 'the line');

is($node->put('/look', { settings => { 'index.mode' => 'lookup' } })->{status}, 200, 'a look-up index');
$s = $node->get('/look/_settings')->{json}{look}{settings}{index};
is("$s->{mode} $s->{auto_expand_replicas}", 'lookup 0-all', '... has copies everywhere');
like($node->put('/look2', { settings => { 'index.mode' => 'lookup', number_of_shards => 2 } })->{content}, qr/index with \[lookup\] mode must have \[index.number_of_shards\] set to 1 or unset; provided 2/, '... of one shard');
like($node->put('/ts', { settings => { 'index.mode' => 'time_series' } })->{content}, qr/time_series\] is not supported/, 'time series are refused by name');
is($node->put('/no', { settings => { 'index.mode' => 'logs' } })->{status}, 400, 'a mode that is none');
like($node->put('/logs-a/_settings', { 'index.mode' => 'standard' })->{content}, qr/final|non dynamic/, 'the mode stays');
$node->put('/logs-a/_settings', { 'index.blocks.write' => $true });
is($node->post('/logs-a/_clone/logs-z')->{status}, 200, 'a clone of logs');
$node->wait_for(sub { ($node->get('/_cluster/health/logs-z')->{json}{status} // '') =~ /green|yellow/ });
$node->wait_for(sub { ($node->get('/logs-z/_count')->{json}{count} // 0) == 200 });
is_deeply($node->get('/logs-z/_doc/7')->{json}{_source}, $node->get('/logs-a/_doc/7')->{json}{_source}, '... shows the same');
like($node->post('/logs-a/_clone/logs-y', { settings => { 'index.mode' => 'standard' } })->{content}, qr/can't override \[index.mode\]/, '... of the same mode');
done_testing;
