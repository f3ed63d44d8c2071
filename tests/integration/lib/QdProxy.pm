package QdProxy;
# QdProxy.pm: a proxy for HTTP between a node and another one, in a process of its own, that answers as a
# broken server does. Which fault it makes stands in a file, so that a test changes it while requests run.
#
#   my $p = QdProxy->new($node);          # forwards to $node
#   $p->fault('429', 2);                  # the next two requests are answered 429
#   print $p->url, $p->requests;          # lines "METHOD target", "+Header: value" as they came
use strict;
use warnings;
use File::Temp ();
use IO::Socket::INET;
use Socket ();

sub new {
    my ($class, $node) = @_;
    my $dir = File::Temp::tempdir('qd-proxy-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $listen = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1) or die "listen: $!";
    my $self = bless {dir => $dir, port => $listen->sockport, owner => $$}, $class;
    $self->fault('', 0);
    $self->{pid} = fork // die "fork: $!";
    if (!$self->{pid}) {
        $SIG{CHLD} = 'IGNORE';
        $SIG{TERM} = sub { require POSIX; POSIX::_exit(0) };
        while (1) {
            my $c = $listen->accept or next;
            my $pid = fork;
            if (!$pid) { eval { serve($dir, $node->{port}, $c) }; require POSIX; POSIX::_exit(0) }
            close $c;
        }
    }
    close $listen;
    return $self;
}

sub url { "http://127.0.0.1:$_[0]{port}" }
sub slurp { open my $f, '<:raw', $_[0] or return ''; local $/; my $t = <$f>; $t // '' }
sub requests { slurp("$_[0]{dir}/requests") }
sub forget { unlink "$_[0]{dir}/requests" }
# What happens to the next n requests whose target matches (n -1: to all).
sub fault {
    my ($self, $kind, $n, $match) = @_;
    open my $f, '>', "$self->{dir}/fault.new" or die;
    print $f join "\t", $kind, $n, $match // '.';
    close $f;
    rename "$self->{dir}/fault.new", "$self->{dir}/fault";
}

sub take_fault {
    my ($dir, $target) = @_;
    my ($kind, $n, $match) = split /\t/, slurp("$dir/fault");
    return '' if !$n || $target !~ /$match/;
    if ($n > 0) {
        open my $f, '>', "$dir/fault" or die;
        print $f join "\t", $kind, $n - 1, $match;
    }
    return $kind;
}

sub serve {
    my ($dir, $port, $c) = @_;
    local $/ = "\r\n";
    while (defined(my $line = <$c>)) {
        my ($head, $length) = ($line, 0);
        my ($method, $target) = split ' ', $line;
        while (defined(my $h = <$c>)) {
            last if $h eq "\r\n";
            $length = $1 if $h =~ /^content-length:\s*(\d+)/i;
            $head .= $h unless $h =~ /^connection:/i;
        }
        my $body = '';
        read $c, $body, $length if $length;
        open my $log, '>>', "$dir/requests" or die;
        print $log "$method $target\n", map { s/\r\n//r =~ s/^/+/r . "\n" } (split /(?<=\r\n)/, $head);
        close $log;
        my $kind = take_fault($dir, $target);
        return faulty($kind, $c) if $kind;
        my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or return;
        print $s $head, "Connection: close\r\n\r\n", $body;
        local $/;
        print $c scalar <$s>;
        return; # the node's answer says that the connection closes
    }
}

sub answer {
    my ($c, $status, $type, $body, @more) = @_;
    print $c "HTTP/1.1 $status\r\nContent-Type: $type\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n", (map { "$_\r\n" } @more), "\r\n", $body;
}

sub faulty {
    my ($kind, $c) = @_;
    my $error = '{"error":{"type":"es_rejected_execution_exception","reason":"rejected by the proxy"}}';
    if ($kind eq 'reset') {
        setsockopt $c, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0;
    } elsif ($kind eq 'silent') {
        1 while sysread $c, my $rest, 4096; # until the other side goes
    } elsif ($kind =~ /^\d+$/) {
        answer($c, "$kind Fault", 'application/json', $error);
    } elsif ($kind eq 'garbage') {
        answer($c, '200 OK', 'application/json', '{"hits": [[[');
    } elsif ($kind eq 'html') {
        answer($c, '200 OK', 'text/html', '<html>login</html>');
    } elsif ($kind eq 'other') {
        answer($c, '200 OK', 'application/json', '{"_scroll_id":"x","hits":{"hits":[{"_id":7},null]}}');
    } elsif ($kind eq 'redirect') {
        answer($c, '302 Found', 'text/plain', '', 'Location: http://127.0.0.1:1/elsewhere');
    } elsif ($kind eq 'huge') {
        print $c "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
        my $piece = ' ' x (1 << 20);
        for (1 .. 120) { print $c $piece or return }
    } elsif ($kind eq 'announced') {
        print $c "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{";
    } elsif ($kind eq 'echo') {
        answer($c, '400 Bad Request', 'text/plain', 'Authorization: Basic ' . 'dTpzM2NyZXQ=' . ' s3cret');
    }
}

sub stop {
    my ($self) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    kill TERM => $self->{pid};
    waitpid $self->{pid}, 0;
    $self->{pid} = 0;
}
sub DESTROY { local $?; $_[0]->stop }

1;
