# Power losses of the real daemon, over storage-nvme and coordination-raft: from the folder that a
# loss at any recorded moment could have left, a node starts and has everything acknowledged by then.
# Without one kind of sync the same runs find losses. CUTS: how many (5); ACKS: operations before
# each kill; MUTANTS: which syncs are left out, one after the other (fdatasync).
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

my $cuts    = $ENV{CUTS} // 5;
my @mutants = split /,/, $ENV{MUTANTS} // 'fdatasync';
my $acks    = $ENV{ACKS};
my $seed    = $ENV{SEED} || 1;
plan skip_all => 'tools of the tests are not built' unless -e "$QdNode::OUT/tests/librecorder.so";

# Records a load; returns what is needed to look at its losses.
sub record {
    my ($name, $mute, $n) = @_;
    my $node = QdNode->new($name, settings => { 'storage.reserve' => '0' });
    mkdir "$node->{dir}/data", 0700 or die $!;
    my $rec = PowerLoss->new(root => "$node->{dir}/data", build => $QdNode::OUT);
    $node->{env} = { $rec->env(mute => $mute) };
    $node->start;
    my $load = Load->new(node => $node, dir => tempdir(CLEANUP => 1), seed => $seed, seq => sub { $rec->seq });
    $node->put('/docs', { settings => { number_of_shards => 2 } });
    for my $part (1 .. 2) { # with a kill in between: the next process builds on what it left
        $load->start;
        $load->until($n) or die 'the node does not take its load';
        $node->kill9;
        $load->finish;
        $node->start if $part == 1;
    }
    return ($node, $rec, $load);
}

# The number of cuts out of n at which something is wrong.
sub losses {
    my ($rec, $load, $n, $quiet) = @_;
    my ($rnd, $last, $bad) = (PowerLoss::random($seed), $rec->seq, 0);
    for (my $i = 1; $i <= $n; $i++) {
        my $cut = 1 + int($rnd->(1 << 20) / (1 << 20) * $last);
        my $out = $rec->rebuild($seed * 1000 + $i, $cut);
        chmod 0700, $out;
        my $node = QdNode->new('loss', settings => { 'path.data' => $out, 'storage.reserve' => '0' });
        my @wrong = eval {
            $node->launch;
            $node->wait_for(sub { $node->log_text =~ /\bstarted in \d+ ms/ }, 30)
                or die "it does not start: " . join '', grep { /ERROR|FATAL/ } split /^/, $node->stderr_text . $node->log_text;
            $node->wait_for(sub { ($node->get('/_cluster/health')->{json}{status} // '') ne 'red' }, 5);
            $load->check($node, $cut);
        };
        push @wrong, $@ if $@;
        $node->kill9;
        $bad++ if @wrong;
        $n = $i if @wrong && $quiet; # one is enough to find a mutant out
        diag("loss $i, cut $cut of $last: " . join "\n  ", @wrong[0 .. ($#wrong > 5 ? 5 : $#wrong)]) if @wrong && !$quiet;
        diag(join '', grep { /ERROR|corrupt|could not/i } split /^/, $node->log_text) if @wrong && !$quiet;
        remove_tree($out);
        $node->forget unless @wrong && !$quiet;
    }
    return $bad;
}

if ($cuts) {
    my ($node, $rec, $load) = record('recorded', '', $acks || 1200);
    is(join('', $rec->unseen), '', 'the recorder saw everything');
    my ($docs) = $load->expected;
    my $acked = grep { defined $_->{value} } values %$docs;
    cmp_ok($acked, '>', 50, 'the load was real');
    diag("$acked documents acknowledged, " . $rec->seq . ' changes of files recorded') if $ENV{CUTS};
    is(losses($rec, $load, $cuts), 0, "nothing acknowledged is lost at $cuts cuts");
}
for my $mute (@mutants) {
    my (undef, $broken, $its) = record($mute, $mute, $acks || 700);
    cmp_ok(losses($broken, $its, 25, 1), '>', 0, "without $mute losses are found");
}
done_testing;
