#!/usr/bin/perl
# A node by itself: writes that are to wait for more copies wait for their time-out without holding a
# thread, and go on when fewer will do; so does what administrators wait for.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use Time::HiRes qw(time);

my $node = QdNode->new('alone');
$node->start;
is($node->put('/i', { settings => { number_of_shards => 1, number_of_replicas => 1 } })->{status}, 200, 'an index with a replica');

sub begin { # a request in a process of its own
    my ($method, $path, $body) = @_;
    pipe my $in, my $out or die $!;
    my $pid = fork // die $!;
    if (!$pid) {
        my $at = time;
        my $r = $node->request($method, $path, $body);
        print $out join "\t", $r->{status}, time - $at, ($r->{content} // '') =~ s/\s+/ /gr;
        close $out;
        require POSIX;
        POSIX::_exit(0);
    }
    close $out;
    return { pid => $pid, in => $in };
}
sub end { my ($c) = @_; my $line = readline $c->{in}; waitpid $c->{pid}, 0; return split /\t/, $line // "0\t0\t", 3 }

my $text = 'Not enough active copies to meet shard count of [2] (have 1, needed 2). Timeout: [2s], request: [BulkShardRequest [[i][0]]]';
my @waiting = map { begin('PUT', "/i/_doc/w$_?wait_for_active_shards=2&timeout=2s", { n => $_ }) } 1 .. 16;
my $bulk = begin('POST', '/_bulk?wait_for_active_shards=all&timeout=2s', qq({"index":{"_index":"i","_id":"b1"}}\n{"n":1}\n{"delete":{"_index":"i","_id":"b2"}}\n));
my @health = map { begin('GET', '/_cluster/health?wait_for_nodes=9&timeout=2s') } 1 .. 16;
for my $w (@waiting) {
    my ($status, $took, $said) = end($w);
    is($status, 503, 'no copy came');
    cmp_ok($took, '>=', 1.9, 'it waited');
    like($said, qr/"type":"unavailable_shards_exception","reason":"\Q[i][0] $text\E"/, 'says so') if $w == $waiting[0];
}
my ($status, $took, $said) = end($bulk);
is($status, 200, 'a bulk answers');
cmp_ok($took, '>=', 1.9, 'after as long');
is(() = $said =~ /"status":503,"error":\{"type":"unavailable_shards_exception","reason":"\[i\]\[0\] Not enough active copies to meet shard count of \[ALL\] \(have 1, needed 2\)\. Timeout: \[2s\]/g, 2, 'item by item') or diag($said);
is((end($_))[0], 408, 'health waited too') for @health;

is($node->put('/i/_doc/1', { n => 1 })->{status}, 201, 'a document that wants no more copies');

# what is waited for comes; more wait than there are threads, and others are served meanwhile
my @later = (begin('PUT', '/i/_doc/2?wait_for_active_shards=all&timeout=1m', { n => 2 }),
    begin('POST', '/i/_bulk?wait_for_active_shards=all', qq({"index":{"_id":"3"}}\n{"n":3}\n)),
    begin('POST', '/i/_update/1?wait_for_active_shards=all', { doc => { n => 11 } }),
    begin('DELETE', '/i/_doc/none?wait_for_active_shards=all'));
my @more = map { begin('PUT', "/i/_doc/m$_?wait_for_active_shards=all&timeout=1m", { n => $_ }) } 1 .. 16;
sub waiting {
    my ($tasks) = map { $_->{tasks} } values %{ $node->get('/_tasks')->{json}{nodes} };
    return scalar grep { $_->{action} =~ m{data/write} } values %$tasks;
}
ok($node->wait_for(sub { waiting() >= 20 }, 30), 'they wait');
is($node->put('/i/_doc/4', { n => 4 })->{status}, 201, 'others are written meanwhile');
is($node->get('/_cluster/settings')->{status}, 200, 'and administered');
is(waiting(), 20, 'while all of them wait');
is($node->put('/i/_settings', { number_of_replicas => 0 })->{status}, 200, 'one copy will do');
is(join(' ', map { (end($_))[0] } @later), '201 200 200 404', 'and they are made');
is((end($_))[0], 201, 'so is this') for @more;

# the index's own setting, and a creation
my $at = time;
my $r = $node->put('/all?timeout=1s', { settings => { number_of_replicas => 1, 'index.write.wait_for_active_shards' => 'all' } });
is($r->{status}, 200, 'created');
ok($r->{json}{acknowledged}, 'acknowledged');
ok(!$r->{json}{shards_acknowledged}, 'its copies are not there');
cmp_ok(time - $at, '>=', 0.95, 'after its time-out');
$at = time;
is($node->put('/all/_doc/1?timeout=1s', {})->{status}, 503, 'the setting counts');
cmp_ok(time - $at, '>=', 0.95, 'after its time-out');
is($node->put('/all/_doc/1?timeout=1s&wait_for_active_shards=1', {})->{status}, 201, 'the parameter goes before it');
is($node->stop, 0, 'it stops cleanly');
done_testing;
