#!/usr/bin/perl
# 062_slow_masters.t: masters that do not answer, or not in time: changes of the cluster's state end with 503
# after master_timeout, in words; what needs no master goes on; afterwards all is well. Misuse of qd master
# and of voting exclusions.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('q', nodes => 3);
$c->start;
my ($n) = $c->nodes;
sub reason { my ($r) = @_; return ref $r->{json}{error} ? "$r->{json}{error}{type}: $r->{json}{error}{reason}" : $r->{content} // '' }

# --- misuse while all is well
sub qd { return $n->run_qd('master', @_, '--url', $n->url) }
for my $case (
    [['remove', 'nosuch'], 1, qr/answered 404: there is no master \[nosuch\]/], [['add', 'nosuch'], 1, qr/answered 404: there is no master \[nosuch\]/],
    [['remove'], 64, qr/name the master/], [['remove', ''], 64, qr/name the master/], [['remove', 'q1', 'q2'], 64, qr/one master at a time: \[q1\] or \[q2\]/]) {
    my ($words, $status, $says) = @$case;
    my ($rc, $out) = qd(@$words);
    is($rc, $status, "qd master @$words") or diag $out;
    like($out, $says, 'says why');
}
for my $case (
    ['', 400, qr/You must set \[node_names\] or \[node_ids\] but not both/], ['?node_names=a&node_ids=b', 400, qr/but not both/],
    ['?node_name=q1', 400, qr/unrecognized parameter: \[node_name\]/], ['?node_names=q1&timeout=abc', 400, qr/failed to parse setting \[timeout\] with value \[abc\] as a time value/]) {
    my ($params, $status, $says) = @$case;
    my $r = $n->post("/_cluster/voting_config_exclusions$params");
    is($r->{status}, $status, "exclusions$params") or diag $r->{content};
    like(reason($r), $says, 'in words');
}
# an exclusion ends when the vote is gone, another master having taken over before where there is one
for my $name ('q2', 'q1') { my ($rc, $out) = qd('remove', $name); is($rc, 0, "$name votes no more") or diag $out }
my ($rc, $out) = qd('remove', 'q0');
is($rc, 1, 'the last one that votes stays') or diag $out;
like($out, qr/\[q0\] is the last master that may vote and runs: start another one, or let one vote again \(qd master add\)/, 'and it is said what to do');
my $last = $n->post('/_cluster/voting_config_exclusions?node_names=q0&timeout=1s');
is($last->{status}, 504, 'nor is it excluded') or diag $last->{content};
like(reason($last), qr/timed out waiting for voting config exclusions \[q0\] to take effect/, 'in words');
is($n->delete('/_cluster/voting_config_exclusions?wait_for_removal=false')->{status}, 200, 'all may vote again');
ok($n->wait_for(sub { my ($rc, $out) = qd('list'); 3 == grep { /\bvoter\b/ } split /\n/, $out }, 120), 'and do');

# --- most masters stand still
my $old = $n->put('/old', { settings => { number_of_shards => 1, number_of_replicas => 0 } });
is($old->{status}, 200, 'an index') or diag $old->{content};
$c->wait_status('green', 120);
my @two = ($c->nodes)[1, 2];
$_->signal('STOP') for @two;
my @changes = (['PUT', '/new', {}], ['DELETE', '/old'], ['PUT', '/old/_settings', { 'index.refresh_interval' => '5s' }],
    ['PUT', '/old/_mapping', { properties => { a => { type => 'long' } } }], ['PUT', '/_cluster/settings', { transient => { 'cluster.max_shards_per_node' => 900 } }],
    ['PUT', '/_index_template/t', { index_patterns => ['t*'] }], ['POST', '/_aliases', { actions => [{ add => { index => 'old', alias => 'al' } }] }]);
for my $change (@changes) {
    my ($method, $path, $body) = @$change;
    my $r = $n->request($method, "$path?master_timeout=1s", $body);
    is($r->{status}, 503, "$method $path without masters") or diag $r->{content};
    like(reason($r), qr/^(?:process_cluster_event_timeout_exception: failed to process cluster event within 1s|coordination_unavailable|coordination_unknown_outcome_exception: the change may or may not be committed)/, 'says so');
}
my $auto = $n->put('/auto/_doc/1?timeout=1s', { a => 1 });
is($auto->{status}, 503, 'a document of an index that is not there, with a time-out of its own') or diag $auto->{content};
my $long = $n->put('/longer?master_timeout=8s', {});
is($long->{status}, 503, 'with more time too') or diag $long->{content};
like(reason($long), qr/no leader|did not answer|outcome/, 'it says what is missing');
is($n->put('/x?master_timeout=abc', {})->{status}, 400, 'a time that is none');
is($n->get('/health')->{status}, 200, 'the node is alive');
($rc, $out) = qd('list');
is($rc, 1, 'qd master list without a leader');
like($out, qr/answered 50[34]: .*(?:no leader|answer)/, 'says so');
ok($n->wait_for(sub { $n->log_text =~ /\[discovery +\].*no leader: waiting for \[q[12]\] at /s }, 120), 'so does discovery');
$_->signal('CONT') for @two;
ok($n->wait_for(sub { $n->put('/again?master_timeout=5s', { settings => { number_of_replicas => 0 } })->{status} =~ /^(?:200|400)$/ }, 120), 'when they go on, changes do');
ok($c->wait_status('green', 120), 'and all is well');
is($c->stop, 0, 'all stop cleanly');
done_testing;
