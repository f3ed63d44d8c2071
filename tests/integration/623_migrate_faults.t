#!/usr/bin/perl
# 623_migrate_faults.t: the state of a live cluster moves between three masters and a real Kubernetes API while what
# takes part ends: the node that drives, the one that leads the masters' store, the API server, each when a step is seen to
# begin; and it is given up and begun again. A client that does not try again writes and makes indices meanwhile: none
# of its writes fails, no change that was acknowledged is lost, nobody is in charge twice. All steps: QD_MIGRATE_STEPS=all
# (the long suite).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;
use Timed;
use Time::HiRes qw(time);
$| = 1;

-f "$QdNode::OUT/lib/quidditch/plugins/coordination-k8s.so" or plan skip_all => q(coordination-k8s is not built here);
KubeServer->skip_unless_built;
my $kube = KubeServer->new('faults')->start;
my $account = $kube->install('quidditch');
my ($data, @m) = three_masters(master => { 'coordination.mode' => 'master', 'coordination.k8s_fallback' => 'true' },
    env => { KUBECONFIG => $account->{kubeconfig}, LEADER_ELECTION_NAMESPACE => 'quidditch' });
start_all(@m, $data);
is($data->put('/docs', { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, 'an index');
my $uuid = settled($data)->{cluster_uuid};

# The client, a process of its own; what it found is read at its end.
my $load = Coordination::Load->new($data);
my ($result, $enough) = map { "$data->{dir}/$_" } qw(load.json load.end);
my $client = fork // die "fork: $!";
if (!$client) {
    $load->more until -e $enough;
    open my $f, '>', $result or POSIX::_exit(1);
    print $f JSON::PP->new->encode({ map { $_ => $load->{$_} } qw(made wrote slowest failed when deleted doubt) });
    close $f;
    POSIX::_exit(0);
}

sub leader { my ($name) = (settled($data)->{leader} || {})->{name} // ''; return (grep { $_->{name} eq $name } @m)[0] || $m[0] }
sub voter { my ($list) = $m[0]->get('/_quidditch/masters')->{json}{masters}; my ($l) = grep { $_->{leader} } @{ $list || [] }; return (grep { $l && $_->{name} eq $l->{name} } @m)[0] || $m[1] }
my %victims = (
    driver => sub { leader() },
    voter => sub { voter() },
    api => sub { $kube },
);
# Who takes part ends when somebody's log says that this step begins; and is there again. When it ended.
sub strike {
    my ($who, $to, $step) = @_;
    my $victim = $victims{$who}->();
    my $line = $step eq 'seal' ? qr/migration: the store \[\S+\] is sealed/ : qr/migration to \[\Q$to\E\]: $step/;
    my %from = map { $_->{name} => length $_->log_text } @m;
    my ($rc, $out) = $m[0]->run_qd('migrate', 'start', '--to', $to, '--url', $data->url);
    is($rc, 0, "qd migrate start --to $to") or diag $out;
    # a mirror that is kept needs no prepare
    $data->wait_for(sub { grep { substr($_->log_text, $from{$_->{name}} // 0) =~ $line } @m }, 10, 0.001);
    my $killed = time;
    $victim->kill9;
    $who eq 'api' ? $victim->revive : $victim->launch;
    started($victim) if $who ne 'api';
    return $killed;
}
sub moved {
    my ($to, $what) = @_;
    my $kind = $to eq 'master' ? 'raft' : 'k8s';
    my $j;
    ok($data->wait_for(sub { $j = migration($data); ($j->{step} // '') eq 'done' && $j->{to} eq $to }, 90), "$what: it is done") or diag explain $j;
    is_deeply([same_told([@m, $data], qw(store.kind cluster_uuid))], ["$kind $uuid"], "$what: all nodes have followed");
    ok($data->wait_for(sub { $data->post('/_cluster/coordination/_migrate/_finish')->{status} == 200 }, 60), "$what: finished");
}

my @points = (['driver', 'seal'], ['voter', 'seal']);
@points = map { my $who = $_; map { [$who, $_] } qw(prepare mirror seal sealed retire) } qw(driver voter api) if ($ENV{QD_MIGRATE_STEPS} // '') eq 'all';
my @to = ('k8s-native', 'master');
my @away; # from the API server's end to that of its move
for my $point (@points) {
    my ($who, $step) = @$point;
    my $to = shift @to;
    push @to, $to;
    my $killed = strike($who, $to, $step);
    moved($to, "to $to, the $who ended at $step");
    push @away, [$killed, time] if $who eq 'api';
}
# Given up, again and again, or too late for that; then it is seen through.
my $to = $to[0];
# One that is being given up may still be so for a moment: the answer says to try again.
sub begin {
    my $e;
    $data->wait_for(sub { ($e = error_of($data->post("/_cluster/coordination/_migrate?to=$to"))) !~ /: try again$/ }, 60);
    return $e;
}
for (1 .. 3) {
    is(begin(), '200 ', 'begun');
    my $r = $data->delete('/_cluster/coordination/_migrate');
    like(error_of($r), qr/^(200 $|400 the store \[$to\] is in charge already)/, 'given up, or too late');
    last if $r->{status} != 200;
    ok($data->wait_for(sub { my $j = migration($data); ($j->{step} // '') eq 'none' || $j->{kept} }, 60), 'it is over') or diag explain migration($data);
}
begin();
moved($to, 'after it was given up');

open my $f, '>', $enough or die "$enough: $!";
close $f;
waitpid $client, 0;
my $found = JSON::PP->new->decode(QdNode::slurp($result) || '{}');
# Changes alone may be refused, in words, and only between the end of the API server and that of its move: after a seal nobody
# knows who is in charge, and what the API server was asked just then may be done or not.
my $true = qr/^503 (?:.*: \[\S+\] takes no changes, and \[\S+\] has not taken over|the change may or may not be committed)/;
sub excused { my ($text, $when) = @_; return $text =~ $true && grep { $when->[1] >= $_->[0] && $when->[0] <= $_->[1] } @away }
# A change waits for a store in charge for 1.7 s: on a busy machine whoever takes over from one that was killed may need longer.
sub too_long { my ($text, $when) = @_; return !$ENV{QD_TIMED} && $text =~ $true && $when->[1] - $when->[0] >= 1.6 }
my ($texts, $when) = ($found->{failed} || ['nothing was found'], $found->{when} || []);
my @failed = map { $texts->[$_] } grep { my @f = ($texts->[$_], $when->[$_] || [0, 0]); !excused(@f) && !too_long(@f) } 0 .. $#$texts;
is_deeply(\@failed, [], 'no request failed') or diag explain \@failed;
within($found->{slowest}, 2, 60, 'a change of the state') unless @away;
note(sprintf '%d indices, %d documents', @$found{qw(made wrote)});
@$load{qw(made wrote deleted doubt)} = @$found{qw(made wrote deleted doubt)};
my $wrong = $load->wrong;
is_deeply($wrong, [], 'every index and document is there') or diag explain $wrong;
$_->signal('TERM') for @m, $data;
is($_->stop, 0, "$_->{name} ends") for @m, $data;
done_testing;
