#!/usr/bin/perl
# 432_service.t: the node tells a service manager (systemd's Type=notify) that it is ready, reloads,
# lives, waits and stops.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use IO::Socket::UNIX;
use QdNode;
use Socket qw(SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(time);

# A manager at a path, or at a name of the kernel's (@...).
sub manager {
    my ($name) = @_;
    my $local = $name =~ /^\@(.*)/ ? "\0$1" : $name;
    my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $local) or die "$name: $!";
    return {socket => $s, name => $name, told => []};
}
# Reads what has come until one matches; that one, or undef after some seconds.
sub heard {
    my ($m, $what, $seconds) = @_;
    my $end = time + ($seconds || 30);
    while (time < $end) {
        IO::Select->new($m->{socket})->can_read(0.2) or next;
        $m->{socket}->recv(my $text, 4096);
        push @{$m->{told}}, $text;
        return $text if $text =~ $what;
    }
    diag('heard: ' . join ' | ', map { s/\n/ /gr } @{$m->{told}});
    return undef;
}

my $node = QdNode->new('s');
my $m = manager("$node->{dir}/manager");
$node->{env} = {NOTIFY_SOCKET => $m->{name}, WATCHDOG_USEC => 400_000};
$node->start;
like(heard($m, qr/^READY=1$/m), qr/^STATUS=node s of the cluster test serves$/m, 'it is ready, and says as what');
is($m->{told}[0], 'STATUS=starting', 'before that it starts');
is($node->get('/_cluster/health')->{status}, 200, 'it serves');
ok(heard($m, qr/^WATCHDOG=1$/), "the watchdog is fed: $_") for 1 .. 3;
$node->signal('HUP');
like(heard($m, qr/^RELOADING=1$/m), qr/^MONOTONIC_USEC=\d+$/m, 'it reloads');
ok(heard($m, qr/^READY=1$/m), 'and has reloaded');
is($node->stop, 0, 'it stops');
ok(heard($m, qr/^STOPPING=1$/m), 'and says so');

$node->{env}{WATCHDOG_PID} = 1;
$m = manager('@quidditch-test-' . $$);
$node->{env}{NOTIFY_SOCKET} = $m->{name};
@{$m->{told}} = ();
$node->start;
ok(heard($m, qr/^READY=1$/m), 'a manager without a file is told as well');
$node->stop;
heard($m, qr/^STOPPING=1$/m);
ok(!grep({ /WATCHDOG/ } @{$m->{told}}), "another process's watchdog is not fed");

# One of three masters waits for the others for ever; whoever starts it must not.
my $one = QdNode->new('w', settings => {'cluster.initial_master_nodes' => 'w,x,y', 'discovery.seed_hosts' => '127.0.0.1:1'});
$m = manager("$one->{dir}/manager");
$one->{env} = {NOTIFY_SOCKET => $m->{name}};
$one->launch;
like(heard($m, qr/^READY=1$/m), qr/^STATUS=waits: \S/m, 'a node that waits for others is running, and says for what');
isnt($one->get('/ready')->{status}, 200, 'though not ready for requests');
is($one->stop, 0, 'it stops while it waits');
done_testing;
