#!/usr/bin/perl
# 067_tiers.t: a tier that cannot hold shards stops the start: one without logs always, one that is not durable
# unless storage.tiers.<tier>.unsafe_not_durable says so, and then loudly. Tiers have folders and names of their own.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use Toys qw(toys);

my $dir = toys('the toys are built: tiers in memory', 'toy-nolog', 'toy-volatile');
my %base = ('plugins.path' => $dir, 'plugins.allow' => 'coordination-raft,storage-nvme,toy-nolog,toy-volatile');

sub start_fails {
    my ($settings, $text, $what) = @_;
    for my $check (0, 1) {
        my $n = QdNode->new('t', settings => {%base, 'logger.stderr' => 'true', %$settings});
        my @command = ('timeout', 60, QdNode::daemon(), $check ? '--check-config' : (), '--config', $n->config_file, $n->arguments);
        open my $p, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', @command or die;
        my $log = do { local $/; <$p> // '' };
        close $p;
        is($? >> 8 == 124 ? 'hung' : $? ? 'refused' : 'started', 'refused', "$what: " . ($check ? '--check-config' : 'the start is stopped'));
        like($log, $text, '... with the reason') or diag $log;
    }
}
start_fails({'storage.tiers.hot.plugin' => 'toy-nolog'}, qr/storage\.tiers\.hot\.plugin: \[toy-nolog\] has no logs \(flag APPEND\)/, 'a tier without logs');
start_fails({'storage.tiers.hot.plugin' => 'toy-nolog', 'storage.tiers.hot.unsafe_not_durable' => 'true'}, qr/has no logs/, 'which no setting allows');
my $unsafe = qr/storage\.tiers\.hot\.plugin: \[toy-volatile\] does not keep what it is given .* storage\.tiers\.hot\.unsafe_not_durable: true/;
start_fails({'storage.tiers.hot.plugin' => 'toy-volatile'}, $unsafe, 'a tier that is not durable');
start_fails({'storage.tiers.hot.plugin' => 'toy-volatile', 'storage.tiers.hot.unsafe_not_durable' => 'yes'}, qr/unsafe_not_durable/, 'neither true nor false');

# A node without shards needs no such tier.
my $no = QdNode->new('no', settings => {%base, 'storage.tiers.hot.plugin' => 'toy-nolog', 'node.roles' => 'master'});
$no->start;
unlike($no->log_text, qr/UNSAFE/, 'a master alone starts with it');
is($no->stop, 0, 'and ends');

my $n = QdNode->new('un', settings => {%base, 'storage.tiers.hot.plugin' => 'toy-volatile', 'storage.tiers.hot.unsafe_not_durable' => 'true'});
for my $time (1, 2) {
    $n->start;
    like($n->log_text, qr/UNSAFE: storage\.tiers\.hot\.unsafe_not_durable is true: .*\[toy-volatile\].*LOST/, "start $time says what is accepted");
    my ($info) = values %{ $n->get('/_nodes')->{json}{nodes} };
    is_deeply($info->{storage}, {tier => 'hot', durable => JSON::PP::false, tiers => {hot => {durable => JSON::PP::false}}}, '_nodes shows it');
    is($info->{settings}{storage}{tiers}{hot}{unsafe_not_durable}, 'true', 'with the setting');
    is($n->put("/i$time", {settings => {number_of_shards => 1, number_of_replicas => 0}})->{status}, 200, 'an index');
    is($n->put("/i$time/_doc/1?refresh=true", {a => 1})->{status}, 201, 'takes documents');
    $n->stop;
}

# A second tier, and what it must not be.
my $w = QdNode->new('wa', settings => {%base, 'storage.tiers.warm.plugin' => 'storage-nvme', 'storage.tiers.warm.path' => "$dir/warm"});
$w->start;
my ($info) = values %{ $w->get('/_nodes')->{json}{nodes} };
my $durable = {durable => JSON::PP::true};
is_deeply($info->{storage}, {tier => 'hot', durable => JSON::PP::true, tiers => {hot => $durable, warm => $durable}}, '_nodes shows the tiers');
is($w->stop, 0, 'ends');
start_fails({'storage.tiers.a,b.plugin' => 'storage-nvme'}, qr/storage\.tiers\.<name>: \[a,b\] is no name of a tier/, 'a name with a comma');
start_fails({'storage.tiers.coordination.plugin' => 'storage-nvme'}, qr/\[coordination\] is no name of a tier/, 'a name that is taken');
start_fails({'storage.tiers.warm.plugin' => 'toy-volatile'}, qr/storage\.tiers\.warm\.plugin: \[toy-volatile\] does not keep/, 'a second tier that is not durable');
done_testing;
