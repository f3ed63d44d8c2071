package Traffic;
# Traffic.pm: requests at a steady rate to one address, by clients that open a connection for each, do not retry, and
# write down how each ended: get, search, bulk and update of documents in turns. A request is sent when its time has come,
# whatever became of those before it, as long as one of the clients of its kind is free.
#
#   Traffic::prepare($send, 'traffic');                      # its index, filled; $send->($method, $path, $body)
#   my $t = Traffic->new($dir, url => 'http://10.0.0.1:9200', index => 'traffic', rate => 200);
#   $t->begin('quiet'); $t->go_on(1000); $t->begin('restart'); ...       # what follows belongs to this phase
#   my $of = $t->end;                                        # {quiet => {n, rate, failed => [...], p50, p99, max}, ...}
#
# Failed is what is not 2xx, a reset, a part of a bulk or of a search that failed, an answer after 10 s.
use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP ();
use POSIX ();
use QdNode;
use Time::HiRes qw(sleep time);

my @kinds = qw(get search bulk update);
my $clients = 3; # of each kind
my $ids = 50;    # documents of each client

sub prepare {
    my ($send, $index) = @_;
    my $r = $send->('PUT', "/$index", {settings => {number_of_shards => 3, number_of_replicas => 1, refresh_interval => '1s'}});
    die "$index: $r->{status} $r->{content}\n" if $r->{status} != 200;
    my $body = '';
    for my $kind (@kinds) {
        for my $c (0 .. $clients - 1) {
            $body .= qq({"index":{"_id":"$kind-$c-$_"}}\n{"n":$_,"of":"$kind","text":"a document of client $c"}\n) for 0 .. $ids - 1;
        }
    }
    $r = $send->('POST', "/$index/_bulk?refresh=true", $body);
    die "$index: $r->{status} $r->{content}\n" if $r->{status} != 200 || $r->{json}{errors};
}

sub new {
    my ($class, $dir, %o) = @_;
    my $self = bless {dir => $dir, rate => 200, %o, pids => [], files => [], phases => [], owner => $$}, $class;
    my $start = time;
    for my $k (0 .. @kinds * $clients - 1) {
        my $file = "$dir/traffic-$k";
        my $pid = fork // die "fork: $!";
        if (!$pid) { $self->client($start, $k, $file); POSIX::_exit(0) }
        push @{$self->{pids}}, $pid;
        push @{$self->{files}}, $file;
    }
    return $self;
}
sub DESTROY { my ($self) = @_; local $?; kill 'KILL', @{$self->{pids}} if $self->{owner} == $$ }
# Waits until so many more requests have been answered.
sub go_on {
    my ($self, $requests) = @_;
    my $done = sub { my $n = 0; for my $file (@{$self->{files}}) { $n += () = QdNode::slurp($file) =~ /\n/g } $n };
    my $from = $done->();
    return QdNode->wait_for(sub { $done->() >= $from + $requests }, 60 + 5 * $requests / $self->{rate}, 0.5);
}
sub begin { my ($self, $phase) = @_; push @{$self->{phases}}, [$phase, time] }

# Lines of: when it was sent, ms, what was wrong if anything was.
sub client {
    my ($self, $start, $k, $file) = @_;
    my ($run, $all) = (1, @kinds * $clients);
    local $SIG{TERM} = sub { $run = 0 };
    my ($kind, $c) = ($kinds[$k % @kinds], int($k / @kinds));
    my $http = HTTP::Tiny->new(timeout => 30, keep_alive => 0);
    my $base = "$self->{url}/$self->{index}";
    open my $out, '>', $file or POSIX::_exit(1);
    $out->autoflush(1);
    for (my $i = 0; $run; $i++) {
        my $due = $start + ($k + $i * $all) / $self->{rate};
        my $wait = $due - time;
        sleep $wait if $wait > 0;
        last unless $run;
        next if $wait < -1; # this client was busy: told by the rate that was reached
        my $id = "$kind-$c-" . $i % $ids;
        my @json = (headers => {'content-type' => $kind eq 'bulk' ? 'application/x-ndjson' : 'application/json'});
        my $from = time;
        my $r = $kind eq 'get' ? $http->get("$base/_doc/$id")
            : $kind eq 'search' ? $http->request('POST', "$base/_search", {@json, content => qq({"size":5,"query":{"range":{"n":{"gte":@{[$i % $ids]}}}}})})
            : $kind eq 'bulk' ? $http->request('POST', "$base/_bulk", {@json, content => join '', map { qq({"index":{"_id":"$kind-$c-@{[($i + $_) % $ids]}"}}\n{"n":$i,"of":"bulk"}\n) } 0 .. 4})
            : $http->request('POST', "$base/_update/$id", {@json, content => qq({"doc":{"n":$i}})});
        my $ms = 1000 * (time - $from);
        my $wrong = $r->{status} !~ /^2/ ? "$r->{status} " . substr($r->{content}, 0, 400)
            : $kind eq 'bulk' && $r->{content} !~ /"errors":false/ ? 'errors: ' . substr($r->{content}, 0, 400)
            : $kind eq 'search' && $r->{content} !~ /"failed":0/ ? 'shards failed: ' . substr($r->{content}, 0, 400)
            : $ms > 10_000 ? 'an answer after more than 10 s' : '';
        $wrong =~ s/\s+/ /g;
        printf $out "%.3f %.1f %s%s\n", $from, $ms, $kind, $wrong ? " $wrong" : '';
    }
    close $out or POSIX::_exit(1);
}

sub end {
    my ($self) = @_;
    $self->begin(''); # behind the last one
    kill 'TERM', @{$self->{pids}};
    my $bad = 0;
    for (@{$self->{pids}}) { waitpid $_, 0; $bad ||= $? }
    die "a client of Traffic ended with $bad\n" if $bad;
    $self->{pids} = [];
    my (%of, %took);
    for my $file (@{$self->{files}}) {
        for (split /\n/, QdNode::slurp($file)) {
            my ($at, $ms, $kind, $wrong) = split / /, $_, 4;
            my ($phase) = map { $_->[0] } grep { $_->[1] <= $at } reverse @{$self->{phases}};
            next unless $phase;
            push @{$took{$phase}}, $ms;
            push @{$of{$phase}{failed}}, sprintf '%.3f %s: %s', $at, $kind, $wrong if defined $wrong;
        }
    }
    for my $i (0 .. $#{$self->{phases}} - 1) {
        my ($phase, $from) = @{$self->{phases}[$i]};
        $of{$phase}{seconds} += $self->{phases}[$i + 1][1] - $from;
    }
    for my $phase (keys %of) {
        my @ms = sort { $a <=> $b } @{$took{$phase} || []};
        my $o = $of{$phase};
        @$o{qw(n p50 p99 max)} = (scalar @ms, map { $ms[$_ * $#ms] // 0 } 0.5, 0.99, 1);
        $o->{failed} ||= [];
        $o->{rate} = $o->{seconds} ? $o->{n} / $o->{seconds} : 0;
    }
    return \%of;
}
1;
