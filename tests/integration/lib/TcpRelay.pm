package TcpRelay;
# TcpRelay.pm: a process between a client and a server that holds bytes back: a slow, a silent or a broken link.
# Delays add up to no more than asked for: bytes that come together leave together. Ends with the test.
#
#   my $relay = TcpRelay->new('127.0.0.1', $port, delay_ms => 200);   # each way 100 ms
#   connect to 127.0.0.1:$relay->{port}
#   $relay->delay(0);
#   $relay->hang;       # nothing passes, nothing is closed
#   $relay->deaf;       # requests pass, answers do not: their outcome is unknown to the client
#   $relay->cut;        # all connections are reset, new ones too
#   $relay->heal;       # new bytes and connections pass again; what was held back does too
#   $relay->stop;
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use QdNode;
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(time);

my @all;

sub new {
    my ($class, $host, $to, %o) = @_;
    my $listener = IO::Socket::INET->new(Listen => 128, LocalAddr => '127.0.0.1', LocalPort => QdNode::free_port(), ReuseAddr => 1) or die "listen: $@";
    socketpair my $ours, my $its, Socket::AF_UNIX, Socket::SOCK_STREAM, 0 or die "socketpair: $!";
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        # Only what it needs stays open: another file's end may be what somebody waits for.
        my %keep = map { fileno($_) => 1 } $listener, $its, *STDERR;
        for my $fd (map { m{(\d+)$} } glob '/proc/self/fd/*') { POSIX::close($fd) unless $keep{$fd} }
        eval { serve($listener, $its, $host, $to, ($o{delay_ms} || 0) / 2000); 1 } or print STDERR "relay: $@";
        POSIX::_exit(0);
    }
    close $its;
    my $self = bless {port => $listener->sockport, pid => $pid, control => $ours, owner => $$}, $class;
    push @all, $self;
    return $self;
}

# Each order is answered when it holds.
sub order {
    my ($self, $order) = @_;
    syswrite $self->{control}, "$order\n";
    sysread($self->{control}, my $answer, 1) or die "the relay has ended\n";
}
sub delay { my ($self, $ms) = @_; $self->order("delay $ms") }
sub hang { $_[0]->order('hang') }
sub deaf { $_[0]->order('deaf') }
sub cut  { $_[0]->order('cut') }
sub heal { $_[0]->order('heal') }
sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'KILL', $pid;
    waitpid $pid, 0;
}
END {
    local $?;
    for (@all) { $_->stop if $_->{owner} == $$ }
}

# --- the process itself -----------------------------------------------------------------------------------------
# Each connection is two ways; a way is {from, to, held => [[when, bytes], ...]}; no bytes mean its end.
sub serve {
    my ($listener, $control, $host, $to, $delay) = @_;
    my ($state, $orders, %way) = ('', '');
    local $SIG{PIPE} = 'IGNORE';
    my $close = sub {
        my ($way, $reset) = @_;
        for my $s ($way->{from}, $way->{to}) {
            setsockopt $s, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if $reset;
            delete $way{fileno $s} if defined fileno $s;
        }
        close $_ for $way->{from}, $way->{to};
    };
    while (1) {
        my ($now, $next) = (time, undef);
        for my $way (my @ways = values %way) {
            next if $way->{closed} || stopped($state, $way);
            while (my $first = $way->{held}[0]) {
                if ($first->[0] > $now) { $next = $first->[0] if !$next || $first->[0] < $next; last }
                shift @{$way->{held}};
                if ($first->[1] eq '') { shutdown $way->{to}, 1; $way->{ended} = 1; next }
                if (!all_written($way->{to}, $first->[1])) { $way->{ended} = $way->{other}{ended} = 1; last }
            }
            if ($way->{ended} && $way->{other}{ended}) { $_->{closed} = 1 for $way, delete $way->{other}; $close->($way) }
        }
        my @read = map { $_->{from} } grep { !$_->{read_all} && @{$_->{held}} < 1000 } values %way;
        my $wait = $next ? $next - time : undef;
        for my $s (IO::Select->new($listener, $control, @read)->can_read(defined $wait && $wait < 0 ? 0 : $wait)) {
            if ($s == $control) {
                sysread $control, $orders, 4096, length $orders or return;
                while ($orders =~ s/\A(\w+) ?(\d*)\n//) {
                    if    ($1 eq 'delay') { $delay = $2 / 2000 }
                    elsif ($1 eq 'heal')  { $state = '' }
                    else                  { $state = $1 }
                    if ($state eq 'cut') { for my $way (my @ways = values %way) { $close->($way, 1) if defined fileno $way->{from} } }
                    syswrite $control, '.';
                }
            } elsif ($s == $listener) {
                my $client = $listener->accept or next;
                my $server = $state eq 'cut' ? undef : IO::Socket::INET->new(PeerAddr => $host, PeerPort => $to);
                if (!$server) { setsockopt $client, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0); close $client; next }
                setsockopt $_, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1 for $client, $server;
                my $up   = {from => $client, to => $server, held => []};
                my $down = {from => $server, to => $client, held => [], answers => 1, other => $up};
                $up->{other} = $down;
                @way{fileno($client), fileno($server)} = ($up, $down);
            } elsif (my $way = $way{fileno($s) // -1}) {
                my $n = sysread $s, my $bytes, 65536;
                $way->{read_all} = 1 unless $n;
                push @{$way->{held}}, [time + $delay, $n ? $bytes : ''];
            }
        }
    }
}
sub stopped { my ($state, $way) = @_; return $state eq 'hang' || $state eq 'deaf' && $way->{answers} }
sub all_written {
    my ($to, $bytes) = @_;
    while (length $bytes) {
        my $n = syswrite $to, $bytes or return 0;
        substr $bytes, 0, $n, '';
    }
    return 1;
}

1;
