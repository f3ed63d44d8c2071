# A node is killed in the middle of a sync, so that operations stand behind the last durable mark of a translog: they are written once more when the shard
# is opened. On a disk without a free byte that cannot be: the shard is red and says why, what it holds is neither lost nor
# answered as if it never was, the node is up, other shards serve; with room it opens by itself and has all of it.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use Faulty;
use File::Temp qw(tempdir);
use POSIX ();
use QdNode;

plan skip_all => 'LOUD: make test-tools: there is no libfaulty.so' unless Faulty::library();
plan skip_all => 'LOUD: mounting a tmpfs needs root' if $> != 0;
my $mount = tempdir('qd-tail-XXXXXX', TMPDIR => 1);
if (system("mount -t tmpfs -o size=256m,mode=700 tmpfs $mount 2>/dev/null") != 0) {
    rmdir $mount;
    plan skip_all => 'LOUD: this machine allows no mounts';
}
END { if ($mount) { system("umount -l $mount 2>/dev/null"); rmdir $mount } }

my $node = QdNode->new('tail', settings => { 'path.data' => "$mount/data", 'storage.reserve' => '4mb',
    'cluster.routing.allocation.disk.threshold_enabled' => 'false' });
my $disk = Faulty->new("$node->{dir}/faulty");
$node->{env} = { $disk->env };
sub available { my ($f) = (split ' ', (split /\n/, `df -B1 --output=avail $mount`)[1]); $f }
sub shards { my ($index) = @_; return join ' ', map { $_->{state} } @{ $node->get("/_cat/shards/$index?format=json")->{json} || [] } }
$node->start;
for my $index ('tail', 'other') {
    is($node->put("/$index", { settings => { number_of_shards => 1, number_of_replicas => 0, 'index.refresh_interval' => -1,
        'index.translog.flush_threshold_size' => '1gb' }, mappings => { dynamic => JSON::PP::false() } })->{status}, 200, "index $index");
}
is($node->put('/other/_doc/1', { n => 1 })->{status}, 201, 'a document');
is($node->post('/other/_flush')->{status}, 200, 'in a commit point');
for my $id (1 .. 20) {
    is($node->put("/tail/_doc/$id", { n => $id })->{status}, 201, 'a small one') or last;
}
ok($node->wait_for(sub { -s "$mount/data/coordination/reserve" }, 60), 'the masters\' store has its reserve for a full disk');
# one document, whose sync never ends: its record stands behind the last mark
my $text = 'a' x (24 << 20);
my $before = $disk->failed;
$disk->fail(hold => 1, under => '/translog-');
my $child = fork // die $!;
if (!$child) {
    $node->put('/tail/_doc/big', qq({"t":"$text"}));
    POSIX::_exit(0);
}
# a sync of other bytes may be held before it
ok($node->wait_for(sub { $disk->failed > $before && grep { -s > 24 << 20 } glob "$mount/data/hot/indices/*/0/translog-*" }, 60),
    'a sync of 24 MB is under way');
$node->kill9;
waitpid $child, 0;
$disk->heal;
my $free = available();
is(system("fallocate -l $free $mount/ballast"), 0, 'the disk is full');

$node->launch;
ok($node->wait_for(sub { $node->log_text =~ /\bstarted in \d+ ms/ }, 60), 'the node starts');
ok($node->wait_for(sub { ($node->get('/other/_doc/1')->{json}{found} // 0) }, 60), 'the other shard serves');
ok($node->wait_for(sub { $node->log_text =~ /\[tail\]\[0\] (?:could not be opened|cannot be opened)[^\n]*(?:No space left|no room|full)/i }, 30), 'the log says what is in the way');
isnt($node->get('/_cluster/health/tail')->{json}{status}, 'green', 'the index is not green');
for my $id (1, 20) {
    my $got = $node->get("/tail/_doc/$id");
    cmp_ok($got->{status}, '>=', 500, "document $id is not answered as if it never was") or diag $got->{content};
    note($got->{content});
}
is(shards('tail') =~ /STARTED/ ? 1 : 0, 0, 'the shard is not started');
ok($node->wait_for(sub { 4 <= (() = $node->log_text =~ /\[tail\]\[0\] could not be opened/g) }, 60), 'it is tried again and again');
# while it is opened one more may be there
ok($node->wait_for(sub { 1 == (() = grep { -s > 1 << 20 || /-[3-9]$/ } glob "$mount/data/hot/indices/*/0/translog-*") }, 10),
    'which leaves nothing on the full disk') or diag(`ls -la $mount/data/hot/indices/*/0`);

unlink "$mount/ballast" or die $!;
ok($node->wait_for(sub { shards('tail') eq 'STARTED' }, 120), 'with room it opens by itself') or diag($node->get('/_cat/shards?v')->{content});
my $docs = $node->post('/tail/_mget?_source=false', { ids => [1 .. 20] })->{json}{docs} || [];
is(scalar(grep { $_->{found} } @$docs), 20, 'and has all that was acknowledged');
like($node->log_text, qr/bytes behind the last mark, at offset \d+, are written once more/, 'what nobody knew the disk has was written once more');
ok($node->wait_for(sub { $node->put('/tail/_doc/new', { n => 1 })->{status} == 201 }, 60), 'and takes writes');
is($node->stop, 0, 'the node stops cleanly');
done_testing;
