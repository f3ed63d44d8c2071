#!/usr/bin/perl
# 083_plugin_memory.t: what a plugin holds has a limit. Over it the plugin gets no memory, its request is answered with
# 429 and the plugin's name, everything else goes on, and the limit and its refusals are shown.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use Toys qw(toys);

my $dir = toys('the toy is built', 'toy-operator');
my %base = ('plugins.path' => $dir, 'plugins.allow' => '+toy-operator');
my $n = QdNode->new('pm', settings => {%base, 'plugins.memory.limits.toy-operator' => '8mb', 'plugins.memory.limit' => '50%'});
$n->start;
$n->put('/x', {settings => {number_of_shards => 1, number_of_replicas => 0}});
is($n->put('/x/_doc/1?refresh=true', {n => 1})->{status}, 201, 'a document');
sub search { return $n->post('/x/_search', {query => {toy_op => $_[0]}}) }
sub usage { my ($s) = values %{ $n->get('/_nodes/stats/plugins')->{json}{nodes} }; return $s->{plugins}{ $_[0] } }
sub metric { my ($v) = $n->get('/metrics')->{content} =~ /^quidditch_plugin_$_[0]\{plugin="toy-operator"\} (\S+)$/m; return $v }

is(usage('toy-operator')->{memory_limit_in_bytes}, 8 << 20, '_nodes/stats shows the limit');
cmp_ok(usage('storage-nvme')->{memory_limit_in_bytes}, '>', 8 << 20, '... and the one of the others');
is(metric('memory_limit_bytes'), 8 << 20, '/metrics shows it');
is(search({mode => 'leak', ms => 5 << 20})->{status}, 200, 'below the limit');
is(metric('memory_refused_total'), 0, 'nothing was refused');

my $over = search({mode => 'leak', ms => 5 << 20});
my $e = $over->{json}{error}{failed_shards}[0]{reason} || $over->{json}{error};
is($over->{status}, 429, 'over the limit') or diag $over->{content};
is($e->{type}, 'circuit_breaking_exception', '... with the type of Elasticsearch');
like($e->{reason}, qr/^\[plugin\.toy-operator\] Data too large, data for \[operator \[toy_op\]\] would be \[\d+\/\d+b\], which is larger than the limit of \[8388608\/8388608b\]$/, '... the plugin and the limit');
is($e->{bytes_limit}, 8 << 20, '... as a number');
cmp_ok($e->{bytes_wanted}, '>=', 10 << 20, '... and what it would have come to');
is($e->{durability}, 'TRANSIENT', '... and the durability');
is(usage('toy-operator')->{memory_refused}, 1, '_nodes/stats counts it');
is(metric('memory_refused_total'), 1, '/metrics too');
cmp_ok(metric('memory_bytes'), '<', 8 << 20, 'it holds no more than it may');
is(search({mode => 'all'})->{status}, 200, 'the operator runs on');
is($n->put('/x/_doc/2?refresh=true', {n => 1})->{status}, 201, 'the node writes');
is($n->stop, 0, 'ends');

for my $case (['plugins.memory.limits.toy-operator' => '8 apples', qr/plugins\.memory\.limits\.toy-operator.*8 apples/], ['plugins.memory.limits.toy-operator' => '10b', qr/plugins\.memory\.limits\.toy-operator/],
    ['plugins.memory.limits.toy-operatr' => '8mb', qr/unknown setting \[plugins\.memory\.limits\.toy-operatr\]: there is no plugin \[toy-operatr\], did you mean \[toy-operator\]/],
    ['plugins.memory.limit' => '101%', qr/plugins\.memory\.limit|percentage/]) {
    my $bad = QdNode->new('pb', settings => {%base, 'logger.stderr' => 'true', $case->[0] => $case->[1]});
    my $log = do { open my $p, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', QdNode::daemon(), '--check-config', '--config', $bad->config_file, $bad->arguments or die; local $/; <$p> };
    like($log, $case->[2], "$case->[0]: $case->[1] is refused with key and value") or diag $log;
}
done_testing;
