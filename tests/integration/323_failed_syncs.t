# A sync fails once, as Linux means it: the bytes stay in the page cache, count as clean and are not on the disk, and the
# next sync of the file succeeds. Under load, for each kind of file of a node: translogs, segments, what is published
# (commit points, what an index is), the log and the records of the cluster's state, the node's own files. Then the node goes
# on, or is killed and goes on as a new process, takes more writes, and the power is lost. Everything acknowledged is
# there. ROUNDS: how many of each kind (1).
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use Load;
use PowerLoss;
use QdNode;

my $rounds = $ENV{ROUNDS} || 1;
my $seed = $ENV{SEED} || 1;
my $only = $ENV{KIND};
plan skip_all => 'LOUD: tools of the tests are not built' unless -e "$QdNode::OUT/tests/librecorder.so";
my $random = PowerLoss::random($seed);

my @kinds = ( # name, text in the path, at most so many of its syncs succeed before
    ['a translog', '/translog-', 200],
    ['a segment', '/seg-', 20],
    ['something published', '/.tmp/', 60],
    ['the log of the cluster\'s state', '/coordination/raft/0', 20],
    ['its mark', '/coordination/raft/mark', 0],
    ['its records', '/coordination/state.db', 2],
    ['a file of the node', '/data/node.json', 0],
    ['the record of masters', '/data/authority.json', 0],
);

sub life {
    my ($node, $load, $n) = @_;
    $node->start;
    $load->start;
    return $load->until($n);
}

sub end {
    my ($node, $load) = @_;
    $node->kill9 if $node->{pid};
    $load->finish;
}

# A load in which the sync fails; another one after it. Returns the recorder.
sub record {
    my ($node, $load, $rec, $kind, $kill) = @_;
    my ($name, $under, $most) = @$kind;
    if ($under =~ /node\.json/) { # written once
        $rec->fail(under => $under);
        $node->launch;
        $load->start;
    } elsif ($under =~ /mark|authority/) { # at each start
        ok(life($node, $load, 100), "$name: a load");
        end($node, $load);
        $rec->fail(under => $under);
        $node->launch;
        $load->start;
    } else {
        $node->start;
        $node->put('/docs', { settings => { number_of_shards => 2, 'index.refresh_interval' => '50ms' } });
        $load->start;
        ok($load->until(100), "$name: a load");
        $rec->fail(under => $under, pass => $random->($most + 1));
    }
    ok($node->wait_for(sub { $rec->failed > 0 || !$node->alive }, 60), "$name: its sync fails") or return 0;
    if ($node->alive && !$kill) {
        note("$name: it " . ($load->until(150, 10) ? 'goes on' : 'takes nothing more'));
    }
    end($node, $load);
    ok(life($node, $load, 150), "$name: the next process goes on");
    end($node, $load);
    return $rec->failed;
}

sub check {
    my ($name, $rec, $load, $s, $taste) = @_;
    my $cut = $rec->seq;
    my $out = $rec->rebuild($s, $cut, $taste);
    chmod 0700, $out;
    my $node = QdNode->new('loss', settings => { 'path.data' => $out, 'storage.reserve' => '0' });
    my @wrong = eval {
        $node->launch;
        $node->wait_for(sub { $node->log_text =~ /\bstarted in \d+ ms/ }, 30)
            or die 'it does not start: ' . join '', grep { /ERROR|FATAL/ } split /^/, $node->stderr_text . $node->log_text;
        $node->wait_for(sub { ($node->get('/_cluster/health')->{json}{status} // '') ne 'red' }, 20);
        $load->check($node, $cut);
    };
    push @wrong, $@ if $@;
    @wrong = grep { !/^refused: / } @wrong; # with a disk that fails
    ok(!@wrong, "$name: all that was acknowledged is there after the loss") or diag(join "\n", @wrong[0 .. ($#wrong > 5 ? 5 : $#wrong)],
        (map { "sync $_->[0] of $cut failed: $_->[1]" } $rec->failures), grep { /ERROR|corrupt|could not/i } split /^/, $node->log_text);
    $node->kill9;
    remove_tree($out);
    $node->forget unless @wrong;
}

for my $at (0 .. $#kinds) {
    my $kind = $kinds[$at];
    my $name = $kind->[0];
    next if defined $only && $name !~ /$only/;
    for my $round (1 .. $rounds) {
        my $one = ($at + $seed) % 2; # a short run has both for translogs alone
        for my $kill ($rounds > 1 || $at == 0 ? (0, 1) : $one) {
            my $what = "$name, " . ($kill ? 'killed at once' : 'going on') . ($rounds > 1 ? ", round $round" : '');
            my $node = QdNode->new('failing', settings => { 'storage.reserve' => '0' });
            mkdir "$node->{dir}/data", 0700 or die $!;
            my $rec = PowerLoss->new(root => "$node->{dir}/data", build => $QdNode::OUT);
            $node->{env} = { $rec->env };
            my $load = Load->new(node => $node, dir => tempdir(CLEANUP => 1), seed => $seed + $round, seq => sub { $rec->seq });
            next unless record($node, $load, $rec, [$what, @$kind[1, 2]], $kill);
            note(join ', ', map { "sync $_->[0] of " . $rec->seq . " failed: $_->[1]" } $rec->failures);
            check("$what, nothing kept", $rec, $load, $seed, 'none');
            check($what, $rec, $load, $seed * 100 + $round);
            $node->forget;
        }
    }
}
done_testing;
