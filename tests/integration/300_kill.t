# A node killed at random moments during bulk requests, refreshes, flushes, merges, creation and
# deletion of indices: what was acknowledged is there afterwards, nothing is there twice, and every
# segment is sound. ROUNDS says how often (5; 100 in the long suite).
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use Load;
use QdNode;

my $rounds = $ENV{ROUNDS} || 5;
my $seed   = $ENV{SEED} || 1;
diag("SEED=$seed") if $ENV{SEED};
srand $seed;
my $node = QdNode->new('kill', settings => { 'indices.memory.index_buffer_size' => '48mb' });
my $load = Load->new(node => $node, dir => tempdir(CLEANUP => 1), seed => $seed);

sub segments_are_sound {
    my ($when) = @_;
    for my $dir (glob "$node->{dir}/data/hot/indices/*/*") {
        next unless -d $dir && @{ [glob "$dir/seg-*"] };
        my ($status, $out) = $node->run_qd('segment', 'check', $dir);
        return ok(0, "$when: segments are sound") || diag("$dir: $out") if $status;
    }
    return 1;
}

$node->start;
is($node->put('/docs', { settings => { number_of_shards => 3 } })->{status}, 200, 'the index is made');
for my $round (1 .. $rounds) {
    $load->start;
    ok($load->until(1 + int rand 600), "kill $round: the load is under way");
    $node->kill9;
    $load->finish;
    segments_are_sound("kill $round");
    $node->start;
    $node->wait_for(sub { ($node->get('/_cluster/health')->{json}{status} // '') ne 'red' }, 30);
    my @wrong = $load->check($node);
    is(scalar @wrong, 0, "kill $round: all that was acknowledged is there, once")
        or do { diag(join "\n", @wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)]); $node->{keep} = 1; last };
    $node->restart if $round % 3 == 0;
}
my ($docs, $indices) = $load->expected;
cmp_ok(scalar(grep { defined $_->{value} } values %$docs), '>', 100, 'the load was real');
cmp_ok(scalar(keys %$indices), '>', 3, 'and made indices');
$node->stop;
segments_are_sound('at the end');
my @left = grep { !/node\.lock/ } glob "$node->{dir}/data/hot/.tmp/*";
is("@left", '', 'no half-made files are left');
done_testing;
