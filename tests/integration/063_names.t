#!/usr/bin/perl
# 063_names.t: names in place of addresses, as a cluster of containers has them: one name behind which all
# masters stand (a headless service), known only after they were started; an address behind a name that does not
# answer; IPv6 addresses.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp 'tempdir';
use QdNode;

my $dir = tempdir(CLEANUP => 1);
my $hosts = "$dir/hosts";
sub known { my ($text) = @_; open my $f, '>', $hosts or die "$hosts: $!"; print $f "127.0.0.1 localhost\n$text"; close $f }
known('');
# a mount namespace of its own lays $hosts over /etc/hosts
my @wrap = ('unshare', '-m', 'sh', '-c', "mount --bind $hosts /etc/hosts && exec \"\$0\" \"\$@\"");
my $may = $> == 0 && system("unshare -m sh -c 'mount --bind $hosts /etc/hosts' >/dev/null 2>&1") == 0;
my $port = QdNode::free_port();
sub sees { my ($n, $count) = @_; return $n->wait_for(sub { ($n->get('/_cluster/health')->{json}{number_of_nodes} // 0) == $count }, 120) }

SKIP: {
    skip 'LOUD: mounts are not allowed here', 15 unless $may;
    my @m = map {
        QdNode->new("m$_", host => "127.0.1.$_", wrap => [@wrap], settings => {'network.host' => "127.0.1.$_", 'transport.port' => $port,
            'cluster.initial_master_nodes' => 'm1,m2,m3', 'discovery.seed_hosts' => "masters:$port"});
    } 1 .. 3;
    $_->launch for @m;
    ok($m[0]->wait_for(sub { $m[0]->log_text =~ /\[discovery +\].*the name \[masters\] cannot be looked up/ }, 120), 'a name that nobody knows is told');
    ok($_->alive, "$_->{name} looks on") for @m;
    # the first address is of nobody
    known("127.0.1.9 masters\n" . join '', map { "127.0.1.$_ masters\n" } 1 .. 3);
    ok($_->wait_for(sub { $_->log_text =~ /\bstarted in \d+ ms/ }, 120), "$_->{name} starts when the name is known") for @m;
    ok(sees($_, 3), "$_->{name} sees all three") for @m;
    my $d = QdNode->new('d', wrap => [@wrap], settings => {'node.roles' => 'data', 'metrics.port' => -1, 'transport.rpc_port' => -1, 'coordination.master_addresses' => "masters:$port"});
    $d->launch;
    ok(sees($m[0], 4), 'a data node finds them by the name');
    is($_->stop, 0, "$_->{name} stops") for $d, @m;
}

SKIP: {
    skip 'LOUD: no IPv6 here', 4 unless eval { require IO::Socket::IP; IO::Socket::IP->new(Listen => 1, LocalHost => '::1', LocalPort => 0) };
    my @v = map { QdNode->new("v$_", host => '[::1]', settings => {'network.host' => '::1', 'cluster.initial_master_nodes' => 'v1,v2,v3'}) } 1 .. 3;
    $_->{settings}{'discovery.seed_hosts'} = join ',', map { "[::1]:$_->{transport}" } @v for @v;
    $_->launch for @v;
    ok(sees($_, 3), "$_->{name} sees three over IPv6") for @v;
    is($v[0]->put('/i/_doc/1', {a => 1})->{status}, 201, 'a document');
    $_->stop for @v;
}
done_testing;
