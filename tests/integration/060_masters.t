#!/usr/bin/perl
# Masters as processes: three form one cluster, changes of state go on when their leader is killed or
# stopped, a fourth stands by, qd master and voting exclusions, a wiped one comes back, two wiped wait
# for `qd master recover --unsafe`, a mistyped name and a name used twice are told.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use Time::HiRes qw(time);

my @m = map { QdNode->new("m$_") } 1 .. 4;
my $seeds = join ',', map { "127.0.0.1:$_->{transport}" } @m[0 .. 2];
sub settings {
    my ($node, %more) = @_;
    $node->{settings} = {'discovery.seed_hosts' => $seeds, 'cluster.initial_master_nodes' => 'm1,m2,m3', %more};
}
settings($_) for @m[0 .. 2];
settings($m[3], 'cluster.initial_master_nodes' => '');
my $changes = 1000;
# A change of the cluster's state by node i; the seconds it took.
sub change {
    my ($node) = @_;
    my $t = time;
    my $r = $node->request('PUT', '/_cluster/settings', {transient => {'cluster.max_shards_per_node' => ++$changes}});
    diag "$node->{name} $r->{status} $r->{content} after ", time - $t if $r->{status} != 200;
    return $r->{status} == 200 ? time - $t : undef;
}
sub masters {
    my ($node) = @_;
    my $r = $node->get('/_quidditch/masters');
    return {map { $_->{name} => $_ } @{($r->{json} || {})->{masters} || []}};
}
sub leader { my ($node) = @_; my $l = masters($node); return (grep { $l->{$_}{leader} } keys %$l)[0] }
sub roles { my ($node) = @_; my $l = masters($node); return join ' ', map { "$_:$l->{$_}{role}" } sort keys %$l }
sub node_of { my ($name) = @_; return (grep { $_->{name} eq $name } @m)[0] }
sub soon { my ($what, $seconds) = @_; return QdNode->wait_for(sub { eval { $what->() } }, $seconds || 120) }
sub qd { my $o = qx(@{[QdNode::qd()]} @_ 2>&1); return ($? >> 8, $o) }

# --- forming: two wait for the third and say so ---
$_->launch for @m[0, 1];
ok(soon(sub { $m[0]->log_text =~ /still looking: waiting for \[m3\]/ }), 'who is missing is told');
$m[2]->launch;
ok(soon(sub { roles($m[0]) eq 'm1:voter m2:voter m3:voter' }), 'three form one cluster of three voters');
ok(soon(sub { !grep { $_->log_text !~ /\bstarted in \d+ ms/ } @m[0 .. 2] }), 'all start');
ok(defined change($_), "$_->{name} takes changes of state") for @m[0 .. 2];

# --- a killed and a stopped leader ---
for my $how ('killed', 'stopped') {
    my $lead = node_of(leader($m[0]) // 'm1');
    my ($other) = grep { $_ != $lead } @m[0 .. 2];
    $how eq 'killed' ? $lead->kill9 : $lead->stop;
    my $took = change($other);
    ok(defined $took, "the leader $how, a change of state goes through") and note(sprintf '%.0f ms', 1000 * $took);
    $lead->start;
    ok(soon(sub { defined change($lead) }), 'it comes back');
}

# --- the term of the elected master: one for all, higher for the next one ---
sub term { return $_[0]->get('/_cluster/state/metadata')->{json}{metadata}{cluster_coordination}{term} }
my ($elected) = $m[0]->get('/_cat/master?h=node')->{content} =~ /(\S+)/;
my $term = term($m[0]);
cmp_ok($term, '>=', 1, 'the cluster state has the term of the elected master');
is(term($_), $term, "$_->{name} tells the same one") for @m[1, 2];
$elected = node_of($elected);
$elected->stop;
my ($left) = grep { $_ != $elected } @m[0 .. 2];
ok(soon(sub { term($left) > $term }), 'the next one is elected under a higher one') or diag term($left);
$elected->start;

# --- a fourth stands by; exclusions ---
$m[3]->start;
ok(soon(sub { roles($m[0]) =~ /m4:standby/ }), 'a fourth master stands by');
my ($rc, $out) = qd('master', 'remove', 'm2', '--url', $m[0]->url);
is($rc, 0, 'qd master remove') or diag $out;
ok(soon(sub { roles($m[3]) eq 'm1:voter m2:standby m3:voter m4:voter' }), 'its vote has gone to the fourth') or diag roles($m[3]);
ok(soon(sub { (($rc, $out) = qd('master', 'list', '--url', $m[1]->url)) && $out =~ /^m2\s+\S+\s+standby\s+alive, taken out$/m }), 'qd master list') or diag $out;
($rc, $out) = qd('master', 'add', 'm2', '--url', $m[0]->url);
is($rc, 0, 'qd master add') or diag $out;
is($m[0]->request('POST', '/_cluster/voting_config_exclusions?node_names=m4')->{status}, 200, 'an exclusion as Elasticsearch has it');
ok(soon(sub { roles($m[0]) eq 'm1:voter m2:voter m3:voter m4:standby' }), 'it votes no more');
is($m[0]->request('DELETE', '/_cluster/voting_config_exclusions?wait_for_removal=false')->{status}, 200, 'and taken back');
is($m[0]->request('POST', '/_cluster/voting_config_exclusions')->{status}, 400, 'an exclusion of nobody');
$m[3]->stop;
($rc, $out) = qd('master', 'remove', 'm4', '--url', $m[0]->url);
ok(soon(sub { (qd('master', 'remove', 'm4', '--url', $m[0]->url)); !masters($m[0])->{m4} }), 'one that is gone leaves altogether');

# --- wiped ---
sub wipe { my ($node) = @_; system('rm', '-rf', "$node->{dir}/data/coordination"); }
$m[1]->kill9;
wipe($m[1]);
$m[1]->start;
ok(soon(sub { roles($m[0]) eq 'm1:voter m2:voter m3:voter' && defined change($m[1]) }), 'a wiped master comes back under a new id');
$_->kill9 for @m[0 .. 2];
wipe($_) for @m[1, 2];
$_->launch for @m[0 .. 2];
ok(soon(sub { $m[1]->log_text =~ /qd master recover --unsafe/ && $m[0]->log_text =~ /qd master recover --unsafe/ }),
    'two wiped: they wait and say what an operator can do');
$_->kill9 for @m[0 .. 2];
my @config = ('--config', $m[0]->config_file, map { "'$_'" } $m[0]->arguments);
($rc, $out) = qd('master', 'recover', @config);
is($rc, 64, 'recover without --unsafe does nothing');
($rc, $out) = qd('master', 'recover', '--unsafe', @config);
is($rc, 0, 'recover --unsafe') or diag $out;
like($out, qr/under epoch 2\b.*Lost, if they were acknowledged/s, 'it says what may be lost');
$_->launch for @m[0 .. 2];
ok(soon(sub { roles($m[0]) eq 'm1:voter m2:voter m3:voter' && defined change($m[2]) }), 'the cluster goes on, the wiped ones join');
is($m[0]->get('/_cluster/settings')->{json}{transient}{cluster}{max_shards_per_node}, $changes, 'with its state');

# --- wrong configuration ---
settings($m[3], 'cluster.initial_master_nodes' => '', 'node.name' => 'm2');
wipe($m[3]);
$m[3]->launch;
ok(soon(sub { $m[3]->log_text =~ /the name \[m2\]|named \[m2\]/ }), 'a name used twice is told');
$m[3]->kill9;
$_->stop for @m[0 .. 2];
my @w = map { QdNode->new("w$_") } 1 .. 2;
$_->{settings} = {'discovery.seed_hosts' => join(',', map { "127.0.0.1:$_->{transport}" } @w), 'cluster.initial_master_nodes' => 'w1,w02'} for @w;
$_->launch for @w;
ok(soon(sub { $w[0]->log_text =~ /waiting for \[w02\]; there is also \[w2\]/ }), 'a mistyped name is told');
$_->kill9 for @w;
done_testing;
