#!/usr/bin/perl
# indices.recovery.max_bytes_per_sec while a recovery runs: a raised limit is followed at once, a low one
# keeps no node from stopping; what _cat/recovery shows of a recovery over several publications, and the counters
# of nodes and of the index while it runs and after.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use Test::More;

my $c = QdCluster->new('rr', nodes => 1, data => 1);
$c->start;
my ($n, $to) = $c->nodes;
my %columns = map { $_ => 1 } qw(stage bytes_recovered bytes bytes_percent files files_recovered files_percent translog_ops_percent target_node);
my $columns = join ',', sort keys %columns;
sub limit {
    my ($l) = @_;
    return $n->put('/_cluster/settings', { transient => { 'indices.recovery.max_bytes_per_sec' => $l } })->{status};
}
sub fill { # some MB that do not shrink
    my ($mb) = @_;
    for (1 .. $mb) {
        my $body = join '', map { qq({"index":{}}\n{"s":") . join('', map { chr 97 + int rand 26 } 1 .. 2000) . qq("}\n) } 1 .. 800;
        my $r = $n->post('/a/_bulk', $body);
        fail('bulk') if $r->{status} != 200 || $r->{json}{errors};
    }
    $n->post('/a/_flush');
}
sub copies { $n->put('/a/_settings', { index => { number_of_replicas => $_[0] } }) }
sub recovery { (grep { $_->{target_node} eq $to->{name} } @{ $n->get("/_cat/recovery/a?format=json&bytes=b&h=$columns")->{json} || [] })[0] }
sub counters {
    my ($node) = @_;
    my ($r) = values %{ $node->get('/_nodes/_local/stats/indices/recovery')->{json}{nodes} };
    return $r->{indices}{recovery};
}
sub slow_recovery {
    is(limit('1kb'), 200, 'hardly any recovery');
    copies(1);
    return $n->wait_for(sub { my $r = recovery(); $r && $r->{stage} eq 'index' && $r->{bytes_recovered} > 0 }, 60);
}

is($n->put('/a', { settings => { number_of_shards => 1, number_of_replicas => 0, 'index.routing.allocation.require._name' => $n->{name} },
    mappings => { properties => { s => { type => 'keyword', index => JSON::PP::false(), doc_values => JSON::PP::false() } } } })->{status}, 200, 'an index');
fill(8);
$n->put('/a/_settings', { 'index.routing.allocation.require._name' => undef });

ok(slow_recovery(), 'a recovery goes on slowly');
is_deeply([map { my $r = counters($_); "$r->{current_as_source} $r->{current_as_target}" } $n, $to], ['1 0', '0 1'], 'from one node to the other');
is($n->get('/a/_stats/recovery')->{json}{indices}{a}{primaries}{recovery}{current_as_source}, 1, 'of the index');
fill(4); # what is shown now is another publication than the one that is copied
is(limit('200mb'), 200, 'the limit is raised');
ok($c->wait_status('green', 45), 'the recovery follows it');
my $r = recovery();
is($r->{stage}, 'done', 'it is done');
is($r->{$_}, '100.0%', "$_ of what there was") for qw(bytes_percent files_percent translog_ops_percent);
is($r->{files_recovered}, $r->{files}, 'as many files');

is_deeply([map { my $r = counters($_); "$r->{current_as_source} $r->{current_as_target}" } $n, $to], ['0 0', '0 0'], 'none goes on');
cmp_ok(counters($to)->{throttle_time_in_millis}, '>', 0, 'the limit held it up');

copies(0);
fill(2);
ok($n->wait_for(sub { !recovery() }, 60), 'the copy is gone');
ok(slow_recovery(), 'another slow recovery');
$to->signal('TERM');
is($to->wait_end(30), 0, 'does not keep its node from stopping');
limit('200mb');
$to->start;
ok($c->wait_status('green', 60), 'and goes on after its start');
is($c->stop, 0, 'they stop cleanly');
done_testing;
