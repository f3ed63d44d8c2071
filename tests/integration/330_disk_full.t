# A node on a tmpfs that fills up: writes are refused with 507 before anything is lost, indices become
# read-only at the flood stage and writable again with room, deletion and shutdown work on a disk
# without a free byte, and what was acknowledged is there. SLACK=from,to,step: bytes left free
# (0,65536,16384; each KiB in the long suite).
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use QdNode;

plan skip_all => 'mounting a tmpfs needs root' if $> != 0;
my ($from, $to, $step) = split /,/, $ENV{SLACK} || '0,65536,16384';
my $mount = tempdir('qd-full-XXXXXX', TMPDIR => 1);
my $size  = 1 << 30;
if (system("mount -t tmpfs -o size=$size,mode=700 tmpfs $mount 2>/dev/null") != 0) {
    rmdir $mount;
    plan skip_all => 'this machine allows no mounts';
}
END { if ($mount) { system("umount -l $mount 2>/dev/null"); rmdir $mount } }

my $node = QdNode->new('full', settings => {
    'path.data' => "$mount/data", 'storage.reserve' => '4mb',
    'indices.memory.index_buffer_size' => '4mb',
});

sub available { my ($f) = (split ' ', (split /\n/, `df -B1 --output=avail $mount`)[1]); $f }
# Sizes of what the node keeps back for a full disk.
my $whole = '';
sub reserves { join ' ', map { -s "$mount/data/$_" // 0 } 'coordination/reserve', 'hot/.reserve' }
# Once: what reserves give back afterwards is theirs.
sub ballast {
    my ($leave) = @_;
    my $less = 4096;
    $node->wait_for(sub { reserves() eq $whole }, 20); # it refills them when there is room again
    $node->wait_for(sub {
        my $n = int((available() - $leave) / 4096) * 4096 - $less;
        return 1 if $n <= 0 || system("fallocate -l $n $mount/ballast 2>/dev/null") == 0;
        unlink "$mount/ballast";
        $less += 4096;
        return 0;
    }, 10);
}
sub no_ballast { unlink "$mount/ballast" }

my %acked;
my $next = 0;
sub write_some {
    my ($index, $n) = @_;
    my ($ok, %status) = (0);
    for (1 .. $n) {
        my $id = ++$next;
        my $r = $node->put("/$index/_doc/$id", { n => $id, t => join ' ', map { int rand 1e6 } 1 .. 20 });
        $status{ $r->{status} }++;
        if ($r->{status} == 201) { $acked{$index}{$id} = 1; $ok++ }
    }
    return ($ok, join ' ', map { "$_:$status{$_}" } sort keys %status);
}
sub lost {
    my ($index) = @_;
    my @ids = sort { $a <=> $b } keys %{ $acked{$index} };
    my $lost = 0;
    while (my @part = splice @ids, 0, 500) {
        my $r = $node->post("/$index/_mget", { ids => \@part });
        $lost += grep { !$_->{found} } @{ $r->{json}{docs} || [map { {} } @part] };
    }
    return $lost;
}
sub blocked {
    my ($index) = @_;
    return ((values %{ $node->get("/$index/_settings?flat_settings=true")->{json} })[0]{settings}{'index.blocks.read_only_allow_delete'} // '') eq 'true';
}

$node->start;
$node->put("/$_", { settings => { number_of_shards => 1, number_of_replicas => 0 } }) for 'keep', 'spare';
$node->wait_for(sub { reserves() !~ /\b0\b/ }, 20);
$whole = reserves();
my ($ok) = write_some('keep', 200);
is($ok, 200, 'there is room');
write_some('spare', 20);

# --- flood stage: below 5 % free
ballast(int($size * 0.049) - (16 << 20));
ok($node->wait_for(sub { blocked('keep') }, 20), 'above the flood stage the index becomes read-only');
my $r = $node->put('/keep/_doc/x', { n => 1 });
is($r->{status}, 429, 'a write is refused');
like($r->{json}{error}{reason}, qr/TOO_MANY_REQUESTS\/12\/disk usage exceeded flood-stage watermark/, 'in the words of Elasticsearch');
no_ballast();
ok($node->wait_for(sub { !blocked('keep') }, 20), 'with room again the block goes');
is($node->put('/keep/_doc/x', { n => 1 })->{status}, 201, 'and writes are accepted');

# --- to the brim
for (my $slack = $from; $slack <= $to; $slack += $step) {
    $node->put('/gone', { settings => { number_of_shards => 1 } });
    write_some('gone', 5);
    ballast($slack);
    my ($took, $status) = write_some('keep', 30);
    $node->post('/keep/_refresh');
    $node->post('/keep/_flush');
    $node->post('/keep/_forcemerge?max_num_segments=1');
    # one that was not answered in time may have been done
    my ($gone, $asked) = (undef, 0);
    ok($node->wait_for(sub {
        $gone = $node->delete('/gone');
        return $gone->{status} == 200 || ($asked++ && $gone->{status} == 404);
    }, 60, 0.2), "slack $slack: an index is deleted on the full disk ($status)") or diag $gone->{content};
    is($node->stop, 0, "slack $slack: the node stops cleanly");
    no_ballast();
    $node->start;
    $node->wait_for(sub { !blocked('keep') }, 60);
    $node->wait_for(sub { ($node->get('/_cluster/health')->{json}{status} // '') ne 'red' }, 20);
    is(lost('keep') + lost('spare'), 0, "slack $slack: nothing acknowledged is lost");
    is($node->get('/gone')->{status}, 404, "slack $slack: the deletion holds");
    my ($again) = write_some('keep', 5);
    is($again, 5, "slack $slack: with room writes are accepted") or last;
}

# --- full while it runs, room again without a restart
ballast(0);
ok($node->wait_for(sub { (write_some('keep', 1))[1] =~ /429|507/ }, 20), 'on a full disk writes are refused');
sub health { return $node->get('/_cluster/health')->{json} || {} }
ok($node->wait_for(sub { (health()->{status} // '') eq 'yellow' }, 30), 'and the health is yellow');
is_deeply(health()->{disk_full_nodes}, [$node->{name}], 'it says which node has no room');
like($node->get('/_cat/health?h=status,disk_full_nodes')->{content}, qr/^yellow\s+1$/m, 'so does the table');
like($node->get('/_cat/indices/keep?h=health')->{content}, qr/^yellow/, 'and that of the indices');
is($node->get('/_cluster/health?level=shards')->{json}{indices}{keep}{shards}{0}{status}, 'yellow', 'down to the shard');
ok($node->get('/health')->{json}{disk_full}, 'and the node itself');
no_ballast();
ok($node->wait_for(sub { health()->{status} eq 'green' && !health()->{disk_full_nodes} }, 90), 'with room the health is green again');
ok(!exists $node->get('/health')->{json}{disk_full}, 'of the node, too');
ok($node->wait_for(sub { (write_some('keep', 1))[0] == 1 }, 90), 'the shard takes writes again by itself');
is(lost('keep'), 0, 'nothing acknowledged is lost');
$node->stop;
done_testing;
