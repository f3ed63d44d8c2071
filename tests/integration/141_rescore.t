#!/usr/bin/perl
# 141_rescore.t: rescore moves the best hits of each shard as an oracle of two single searches says, on three nodes; its limits and refusals.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('rs', nodes => 3);
$c->start;
my @n = $c->nodes;
srand 11;
my @words = qw(red green blue amber teal);
$n[0]->put('/r', { settings => { number_of_shards => 4, number_of_replicas => 1 }, mappings => { properties => { t => { type => 'text' }, n => { type => 'long' } } } });
ok($c->wait_status('green'), 'green');
my $lines = '';
for my $id (1 .. 200) {
    $lines .= qq({"index":{"_index":"r","_id":"$id"}}\n) . JSON::PP::encode_json({ t => join(' ', map { $words[ int rand @words ] } 1 .. 2 + rand 9), n => $id }) . "\n";
}
is($n[0]->post('/_bulk?refresh=true', $lines)->{json}{errors}, JSON::PP::false, 'documents');

sub ask { my ($node, $body, $more) = @_; my $r = $node->post('/r/_search' . ($more // ''), $body); diag substr($r->{content}, 0, 600) if $r->{status} != 200; return $r->{json} }
my (%shard, %doc);
my $pit = $n[0]->post('/r/_pit?keep_alive=5m')->{json}{id};
for my $h (@{ $n[0]->post('/_search', { pit => { id => $pit }, size => 200, sort => ['_shard_doc'] })->{json}{hits}{hits} }) { $shard{ $h->{_id} } = $h->{sort}[0] >> 32; $doc{ $h->{_id} } = $h->{sort}[0] }
sub scores { my ($q) = @_; return map { $_->{_id} => $_->{_score} } @{ ask($n[0], { query => $q, size => 200 })->{hits}{hits} } }

my %mode = (total => sub { $_[0] + $_[1] }, multiply => sub { $_[0] * $_[1] }, avg => sub { ($_[0] + $_[1]) / 2 }, max => sub { $_[0] > $_[1] ? $_[0] : $_[1] }, min => sub { $_[0] < $_[1] ? $_[0] : $_[1] });

# What a search with size and rescorers shows: each shard's best, moved one rescorer after the other.
sub oracle {
    my ($query, $size, @rescorers) = @_;
    my %first = scores($query);
    my $k = $size;
    for (@rescorers) { $k = $_->{window_size} // 10 if ($_->{window_size} // 10) > $k }
    my %all;
    for my $s (0 .. 3) {
        my @l = sort { $first{$b} <=> $first{$a} || $doc{$a} <=> $doc{$b} } grep { $shard{$_} == $s } keys %first;
        @l = @l[ 0 .. $k - 1 ] if @l > $k;
        my %s = map { $_ => $first{$_} } @l;
        for my $r (@rescorers) {
            my %second = scores($r->{query}{rescore_query});
            my ($qw, $rw, $w) = ($r->{query}{query_weight} // 1, $r->{query}{rescore_query_weight} // 1, $r->{window_size} // 10);
            for my $i (0 .. $#l) {
                my $id = $l[$i];
                $s{$id} = $i < $w && exists $second{$id} ? $mode{ $r->{query}{score_mode} // 'total' }->($s{$id} * $qw, $second{$id} * $rw) : $s{$id} * $qw;
            }
            @l = sort { $s{$b} <=> $s{$a} || $doc{$a} <=> $doc{$b} } @l;
        }
        $all{$_} = $s{$_} for @l;
    }
    my @l = sort { $all{$b} <=> $all{$a} || $doc{$a} <=> $doc{$b} } keys %all;
    @l = @l[ 0 .. $size - 1 ] if @l > $size;
    return [ map { [ $_, $all{$_} ] } @l ];
}
sub same {
    my ($got, $want, $name) = @_;
    my @g = map { [ $_->{_id}, $_->{_score} ] } @{ $got->{hits}{hits} };
    ok(@g == @$want && !(grep { abs($g[$_][1] - $want->[$_][1]) > 1e-4 } 0 .. $#g), $name)
        or diag join(' ', map { "$_->[0]:$_->[1]" } @g), "\nwanted ", join(' ', map { "$_->[0]:$_->[1]" } @$want);
}

my $q = { match => { t => 'red blue' } };
for my $mode (sort keys %mode) {
    my $r = { window_size => 15, query => { rescore_query => { match => { t => 'green' } }, query_weight => 0.7, rescore_query_weight => 1.5, score_mode => $mode } };
    same(ask($n[1], { query => $q, rescore => $r, size => 20 }), oracle($q, 20, $r), "score_mode $mode");
}
my @two = ({ window_size => 25, query => { rescore_query => { match => { t => 'teal' } }, query_weight => 0.1 } }, { window_size => 5, query => { rescore_query => { range => { n => { gte => 100 } } }, score_mode => 'multiply', rescore_query_weight => 4 } });
for my $node (@n) {
    my $j = ask($node, { query => $q, rescore => \@two, size => 12 });
    same($j, oracle($q, 12, @two), 'two rescorers');
    is($j->{hits}{max_score}, $j->{hits}{hits}[0]{_score}, 'max_score is the score behind them');
    is($j->{hits}{total}{value}, ask($node, { query => $q })->{hits}{total}{value}, 'the total stays');
}
my $std = { query => { rescore_query => { match => { t => 'amber' } } } };
same(ask($n[2], { query => $q, rescore => $std }), oracle($q, 10, $std), 'a window of 10, weights of 1, the sum');
same(ask($n[2], { query => $q, rescore => $std, min_score => 0.1, aggs => { a => { max => { field => 'n' } } } }), oracle($q, 10, $std), 'beside min_score and aggregations');
is_deeply([ map { $_->{_id} } @{ ask($n[0], { query => $q, rescore => $std, from => 3, size => 5 })->{hits}{hits} } ], [ map { $_->{_id} } @{ ask($n[0], { query => $q, rescore => $std, size => 8 })->{hits}{hits} }[ 3 .. 7 ] ], 'a page');
for my $h (@{ ask($n[1], { query => $q, rescore => \@two, size => 12, explain => JSON::PP::true })->{hits}{hits} }) { ok(abs($h->{_explanation}{value} - $h->{_score}) < 1e-4, 'an explanation has the score') }
my $dfs = ask($n[1], { query => $q, rescore => $std, size => 3 }, '?search_type=dfs_query_then_fetch');
is(scalar @{ $dfs->{hits}{hits} }, 3, 'dfs_query_then_fetch');

my $bad = sub {
    my ($body, $type, $reason, $name, $more) = @_;
    my $r = $n[0]->post('/r/_search' . ($more // ''), $body);
    my $e = $r->{json}{error}{root_cause}[0] // {};
    ok($r->{status} == 400 && ($e->{type} // '') eq $type && ($e->{reason} // '') =~ $reason, $name) or diag $r->{content};
};
$bad->({ query => $q, rescore => { %$std, window_size => 10001 } }, 'illegal_argument_exception', qr/^Rescore window \[10001\] is too large\. It must be less than \[10000\]/, 'a window beyond index.max_rescore_window');
is($n[0]->put('/r/_settings', { 'index.max_rescore_window' => 20 })->{status}, 200, 'index.max_rescore_window');
$bad->({ query => $q, rescore => { %$std, window_size => 21 } }, 'illegal_argument_exception', qr/less than \[20\]/, '... counts');
$bad->({ query => $q, rescore => $std, sort => ['n'] }, 'illegal_argument_exception', qr/^Cannot use \[sort\] option in conjunction with \[rescore\]/, 'beside a sort');
$bad->({ query => $q, rescore => $std, collapse => { field => 'n' } }, 'illegal_argument_exception', qr/cannot use `collapse` in conjunction with `rescore`/, 'beside collapse');
$bad->({ query => $q, rescore => $std }, 'action_request_validation_exception', qr/using \[rescore\] is not allowed in a scroll context/, 'in a scroll', '?scroll=1m');
$bad->({ query => $q, rescore => { query => { rescore_query => $q, score_mode => 'most' } } }, 'illegal_argument_exception', qr/illegal score_mode \[most\]/, 'an unknown mode');
$bad->({ query => $q, rescore => { window_size => 3 } }, 'parsing_exception', qr/missing rescore type/, 'no rescorer');
$bad->({ query => $q, rescore => { query => { query_weight => 3 } } }, 'illegal_argument_exception', qr/Required \[rescore_query\]/, 'no query');
$bad->({ query => $q, rescore => { learning_to_rank => {} } }, 'unsupported_operation_exception', qr/rescorer \[learning_to_rank\]/, 'learning_to_rank by name');
$c->stop;
done_testing;
