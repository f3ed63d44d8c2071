#!/usr/bin/perl
# No setting of _cluster/settings locks a node out: each dynamic one is given the least, the largest and
# odd values, and whatever is taken, /health, /ready, /metrics, _cluster/health and reading and changing
# settings are answered, also after a restart. A way back stands open from outside.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use QdCluster;
use Test::More;

my $n = QdNode->new('lockout', settings => {'node.memory' => '512mb'});
$n->start;

sub set { my ($key, $value, $on) = @_; return ($on || $n)->put('/_cluster/settings', {persistent => {$key => $value}}) }

# What does not answer, and how.
sub silent {
    my $n = shift || $n;
    for my $p ('/health', '/ready', '/metrics', '/_cluster/health', '/_cluster/settings') {
        my $r = $n->get($p);
        return "GET $p: $r->{status}" if $r->{status} != 200;
    }
    my $r = set('cluster.metadata.a', 'b', $n);
    return $r->{status} == 200 ? '' : "PUT /_cluster/settings: $r->{status}";
}

# --- the limit of all memory
my $limit = 'indices.breaker.total.limit';
for my $value ('1b', '0b', '0%', '1%', '33554431b') {
    my $r = set($limit, $value);
    is($r->{status}, 400, "$limit: $value is refused");
    like($r->{json}{error}{reason}, qr/\Q[$value] for setting [$limit], must be >= [64mb]\E/, 'and says what may be');
}
is(set($limit, '64mb')->{status}, 200, 'the floor itself is taken');
is(silent(), '', 'and serves');
is(set($limit, undef)->{status}, 200, 'back');

# --- limits of requests: the node refuses what they limit and nothing else
$n->put('/i/_doc/1?refresh', {a => 1});
for my $s (['indices.breaker.request.limit', '1b'], ['indices.breaker.request.limit', '0b'],
    ['indices.breaker.request.overhead', '1000000000']) {
    is(set(@$s)->{status}, 200, "$s->[0]: $s->[1]");
    is($n->get('/i/_search')->{status}, 429, 'searches are refused');
    is(silent(), '', 'what tells and mends is answered');
    is(set($s->[0], undef)->{status}, 200, 'the way back');
    is($n->get('/i/_search')->{status}, 200, 'searches are answered');
}

# --- the largest value is no limit, and what is no number or none of 32 bits is refused, as Elasticsearch does
for my $s (['indices.breaker.request.limit', '9223372036854775807b'], ['indices.breaker.request.overhead', '1e-300'],
    ['network.breaker.inflight_requests.limit', '9223372036854775807b'], ['network.breaker.inflight_requests.overhead', '1e-300'],
    ['cluster.routing.allocation.node_initial_primaries_recoveries', '2147483647'], ['cluster.max_shards_per_node', '2147483647']) {
    is(set(@$s)->{status}, 200, "$s->[0]: $s->[1]");
    is($n->put('/large', {settings => {number_of_replicas => 0}})->{status}, 200, 'an index is made');
    is($n->put('/large/_doc/1?refresh', {a => 1})->{status}, 201, 'and written');
    is($n->get('/large/_search')->{json}{hits}{total}{value}, 1, 'and searched');
    is($n->delete('/large')->{status}, 200, 'and deleted');
    is(set($s->[0], undef)->{status}, 200, 'back');
}
for my $s ((map { [$_, '2147483648'] } 'search.max_buckets', 'cluster.max_shards_per_node',
        map { "cluster.routing.allocation.$_" } 'node_initial_primaries_recoveries', 'node_concurrent_recoveries', 'total_shards_per_node'),
    (map { ["indices.breaker.$_.limit", 'NaN%'] } 'request', 'total'),
    (map { ["cluster.routing.allocation.disk.watermark.$_", 'NaN'], ["cluster.routing.allocation.disk.watermark.$_", 'NaN%'] } 'low', 'high', 'flood_stage'),
    (map { ["cluster.routing.allocation.balance.$_", 'Infinity'] } 'shard', 'threshold'),
    ['network.breaker.inflight_requests.overhead', '1e400']) {
    is(set(@$s)->{status}, 400, "$s->[0]: $s->[1] is refused");
}

# --- every dynamic setting
my %odd = (
    boolean => ['true', 'false', '1', ''],
    time    => ['0', '-1', '0s', '1nanos', '1ms', '100000d', '9223372036854775807d'],
    list    => ['', '*', ',', 'a,b', '-*', '_all'],
    text    => ['', '*', '-*', 'false', 'bogus', "\x{1F600}"],
    group   => ['', '*', 'bogus', '-1', '1e400'],
    number  => ['0', '-1', '1e-300', '1e300', '1e400', 'NaN', 'Infinity'],
    integer => ['0', '-1', '1', '2147483647', '2147483648', '4294967297', '9223372036854775807', '1e400'],
    size    => ['0', '-1', '0b', '1b', '1pb', '0%', '100%', 'NaN%', 'NaN', '9223372036854775807b'],
);
my @dynamic;
for (split /\n/, scalar $n->run_qd('config', 'list')) {
    next unless /^  (\S+?)(\*?)(?: = .*?)?  \[(.*); dynamic(?:, without effect[^]]*)?\]/;
    my ($key, $group, $type) = ($1 . ($2 ? 'x' : ''), $2, $3);
    my ($kind) = $type =~ /^(\w+)/;
    my @values = $odd{$kind} ? @{$odd{$kind}} : ((split /\|/, $type), 'bogus');
    my ($low, $high) = $type =~ /, (\S+) to (\S+)$/ ? ($1, $2) : $type =~ /, at least (\S+)$/ ? ($1) : ();
    push @values, grep { defined } $low, $high;
    push @dynamic, [$key, \@values];
}
cmp_ok(scalar @dynamic, '>', 80, scalar(@dynamic) . ' dynamic settings');
my (%taken, $refused, $puts);
for my $d (@dynamic) {
    my ($key, $values) = @$d;
    my @bad;
    for my $value (@$values) {
        my $r = set($key, $value);
        $puts++;
        push @bad, "[$value]: $r->{status} $r->{content}" if $r->{status} != 200 && $r->{status} != 400;
        $refused++ if $r->{status} != 200;
        next if $r->{status} != 200;
        $taken{$key} //= $value;
        my $silent = silent();
        push @bad, "[$value]: $silent" if $silent;
    }
    my $r = set($key, undef);
    push @bad, "null: $r->{status} $r->{content}" if $r->{status} != 200;
    is(join('; ', @bad), '', $key);
}
note "$puts values, $refused refused";

# --- all of them at once, and a restart
my %together = map { $_ => $taken{$_} } grep { !/watermark/ } keys %taken;
is($n->put('/_cluster/settings', {persistent => \%together})->{status}, 200, scalar(keys %together) . ' settings at once');
is(silent(), '', 'are no lock-out');
is($n->put('/_cluster/settings', {persistent => {'cluster.blocks.read_only' => 'true'}})->{status}, 200, 'nor a cluster that is read-only');
is(silent(), '', 'whose settings can be changed');
$n->restart;
is(silent(), '', 'nor after a restart');
is($n->put('/_cluster/settings', {persistent => {'*' => undef}})->{status}, 200, 'all of them can be taken away');
is_deeply($n->get('/_cluster/settings')->{json}{persistent}, {}, 'and are gone');
is($n->put('/i/_doc/2', {a => 1})->{status}, 201, 'the node works');

# --- a mistyped level is refused, and stops no other setting
for my $value ('bogus', '1e400', '') {
    my $r = set('logger.http', $value);
    is($r->{status}, 400, "logger.http: [$value] is refused");
    like($r->{json}{error}{reason}, qr/\[logger\.http\] must be one of \[trace, debug, info, /, 'with the levels there are');
}
for my $name (['enginee', 'engine'], ['org.elasticsearch.discovery', 'discovery'], ['index.search.slowlog', 'index.search.slowlog.fetch']) {
    my $r = set("logger.$name->[0]", 'debug');
    is($r->{status}, 400, "no component [$name->[0]]");
    is($r->{json}{error}{reason}, "unknown setting [logger.$name->[0]] did you mean [logger.$name->[1]]? No component of the log has that name", 'with the nearest');
    is(set("logger.$name->[0]", undef)->{status}, 200, 'and may be taken away');
}
is(set("logger.$_", 'info')->{status}, 200, "logger.$_") for qw(_root plugin.mine deprecation index.search.slowlog.query);
is(set('logger.http', 'DEBUG')->{status}, 200, 'capital letters');
$n->put('/i/_doc/3?refresh', {k => 1, a => 2});
$n->put('/i/_doc/4?refresh', {k => 2, a => 3});
is(set('search.max_buckets', 1)->{status}, 200, 'another setting');
is($n->post('/i/_search', {size => 0, aggs => {t => {terms => {field => 'a'}}}})->{status} >= 400 ? 1 : 0, 1, 'has its effect');

# --- the way back from outside: a start that does not obey them
$n->stop;
$n->{settings}{'cluster.settings.ignore'} = 'search.*';
$n->start;
is($n->post('/i/_search', {size => 0, aggs => {t => {terms => {field => 'a'}}}})->{status}, 200, 'a setting that is ignored has none');
like($n->log_text, qr/\[search\.max_buckets\] of _cluster\/settings is not applied to this node as it stands, \[1\]: the node's own setting \[cluster\.settings\.ignore\]/, 'the log says so');
is(set('search.max_buckets', undef)->{status}, 200, 'and is taken away for good');
$n->stop;

# --- three nodes: what they need for being a cluster is outside of the limits of requests
my $c = QdCluster->new('lockouts', nodes => 3);
$c->start;
my %tight = map { $_ => '1b' } 'indices.breaker.request.limit', 'network.breaker.inflight_requests.limit';
is($c->node(0)->put('/_cluster/settings', {persistent => \%tight})->{status}, 200, 'no memory for requests on three nodes');
is(silent($c->node($_)), '', "node $_ tells and takes settings") for 0 .. 2;
$_->stop for $c->nodes;
$c->start;
is(silent($c->node($_)), '', "node $_ after a restart of all") for 0 .. 2;
is($c->node(1)->put('/_cluster/settings', {persistent => {'*' => undef}})->{status}, 200, 'the way back');
ok($c->node(2)->wait_for(sub { $c->node(2)->get('/_search')->{status} == 200 }), 'requests are served');
$_->stop for $c->nodes;
done_testing;
