package Clients;
# Clients.pm: processes that ask a cluster while it suffers, each with a file of what it sent and saw: what
# Recorder.pm and Registers.pm share. A class of it has a method client(number, log), which runs in such a
# process until $self->{run} is false.
use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

sub new {
    my ($class, %o) = @_;
    return bless { clients => 4, children => [], files => [], life => 0, seed => 1, timeout => 2, owner => $$, %o }, $class;
}
sub now { clock_gettime(CLOCK_MONOTONIC) }

sub start {
    my ($self) = @_;
    $self->{life}++;
    for my $c (1 .. $self->{clients}) {
        my $file = "$self->{dir}/client-$self->{life}-$c";
        my $pid = fork // die "fork: $!";
        if (!$pid) { $self->begin($c, $file); POSIX::_exit(0) }
        push @{ $self->{children} }, $pid;
        push @{ $self->{files} }, $file;
    }
}
sub stop {
    my ($self) = @_;
    kill 'TERM', @{ $self->{children} };
    waitpid $_, 0 for @{ $self->{children} };
    $self->{children} = [];
}
sub DESTROY { my ($self) = @_; local $?; kill 'KILL', @{ $self->{children} } if $self->{owner} == $$ }

sub begin { # in the process
    my ($self, $c, $file) = @_;
    $self->{run} = 1;
    local $SIG{TERM} = sub { $self->{run} = 0 };
    open my $log, '>', $file or POSIX::_exit(1);
    $log->autoflush(1);
    srand($self->{seed} * 1000 + $self->{life} * 50 + $c);
    $self->{http} = HTTP::Tiny->new(timeout => $self->{timeout}, keep_alive => 1);
    $self->{urls} = [map { $_->url } @{ $self->{nodes} }];
    $self->client($c, $log);
    close $log;
}

# A node for the next request. One that gave no answer is left alone for a while, as clients do.
sub url {
    my ($self) = @_;
    my @ready = grep { ($self->{silent}{$_} // 0) < now() } @{ $self->{urls} };
    @ready = @{ $self->{urls} } unless @ready;
    return $ready[rand @ready];
}

# One request to it; undef without an answer.
sub ask {
    my ($self, $url, $method, $path, $body) = @_;
    my %o = defined $body ? (content => $body, headers => { 'content-type' => $path =~ /_bulk/ ? 'application/x-ndjson' : 'application/json' }) : ();
    my $from = now();
    my $r = $self->{http}->request($method, "$url/$self->{index}/$path", \%o);
    $self->silent("$method $url/$self->{index}/$path") if now() - $from >= $self->{timeout};
    if ($r->{status} == 599) { $self->{silent}{$url} = now() + 2; return undef }
    $r->{json} = eval { JSON::PP->new->utf8->decode($r->{content}) };
    return $r;
}

# Requests that had no end within the time-out, as clients wrote them down.
sub silent {
    my ($self, $what) = @_;
    open my $f, '>>', "$self->{dir}/silence" or return;
    print $f "$what\n";
    close $f;
}
sub silence {
    my ($self) = @_;
    open my $f, '<', "$self->{dir}/silence" or return;
    chomp(my @lines = <$f>);
    return @lines;
}

# A client does not storm nodes that are down, and may be one of those who do not ask all the time.
sub pace { my ($self, $seconds) = @_; select undef, undef, undef, $seconds if $seconds }

1;
