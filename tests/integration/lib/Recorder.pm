package Recorder;
# Recorder.pm: clients that write to a cluster while it suffers, each of ids of its own, and write down
# what was sent and what came back; readers check at once that what was acknowledged is what a realtime
# get through any node shows. Afterwards everything acknowledged must be there.
#
#   my $r = Recorder->new(nodes => [...], dir => $folder, seed => 1, writers => 4, batch => 8, reads => 0.25);
#   $r->start;  ... faults ...  $r->stop;
#   my @wrong = $r->check($node);
#
# An operation that failed or got no answer is unknown: it may have happened, also later. An id's final
# value is that of its last acknowledged operation, or of an unknown one.
use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(time);

our $IDS = 200;

sub new { my ($class, %o) = @_; return bless { writers => 4, index => 'docs', children => [], files => [], life => 0, batch => 8, reads => 0.25, pause => 0, %o }, $class }

sub start {
    my ($self) = @_;
    $self->{life}++;
    for my $w (1 .. $self->{writers}) {
        my $file = "$self->{dir}/writer-$self->{life}-$w";
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            $self->write_forever($w, $file);
            POSIX::_exit(0);
        }
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
sub DESTROY { my ($self) = @_; local $?; kill 'KILL', @{ $self->{children} || [] } if ($self->{owner} //= $$) == $$ }

# One request to one of the nodes; undef without an answer.
sub ask {
    my ($http, $url, $method, $body) = @_;
    my %o = defined $body ? (content => $body, headers => { 'content-type' => $url =~ /_bulk/ ? 'application/x-ndjson' : 'application/json' }) : ();
    my $r = $http->request($method, $url, \%o);
    return undef if $r->{status} == 599;
    $r->{json} = eval { JSON::PP->new->utf8->decode($r->{content}) };
    return $r;
}

sub write_forever {
    my ($self, $w, $file) = @_;
    my $run = 1;
    local $SIG{TERM} = sub { $run = 0 };
    open my $log, '>', $file or POSIX::_exit(1);
    $log->autoflush(1);
    srand($self->{seed} * 100 + $self->{life} * 10 + $w);
    my @urls = map { $_->url } @{ $self->{nodes} };
    my $http = HTTP::Tiny->new(timeout => $self->{timeout} || 2, keep_alive => 1);
    my $value = $self->{life} * 10_000_000 + $w * 1_000_000;
    my %silent; # until when a node that gave no answer is left alone: as clients do
    while ($run) {
        my @ready = grep { ($silent{$_} // 0) < time } @urls;
        my $url = @ready ? $ready[rand @ready] : $urls[rand @urls];
        my (%used, @ops);
        my $body = '';
        my $size = 1 + int rand $self->{batch};
        while (@ops < $size) {
            my $id = "w$w-" . int rand $IDS;
            next if $used{$id}++;
            $value++;
            my $gone = rand() < 0.15;
            $body .= $gone ? qq({"delete":{"_id":"$id"}}\n) : qq({"index":{"_id":"$id"}}\n{"v":$value}\n);
            push @ops, [$id, $gone ? '-' : $value];
        }
        print $log "sent $_->[0] $_->[1]\n" for @ops;
        my $r = ask($http, "$url/$self->{index}/_bulk", 'POST', $body);
        my $items = $r && $r->{json} ? $r->{json}{items} || [] : [];
        my $now = time;
        $silent{$url} = $now + 2 unless $r;
        select undef, undef, undef, $self->{pause} if $self->{pause};
        select undef, undef, undef, 0.02 unless @$items; # a client does not storm a node that is down
        my $answered = 1;
        for my $i (0 .. $#ops) {
            my ($item) = values %{ $items->[$i] || {} };
            my $ok = $item && ($item->{status} < 300 || ($ops[$i][1] eq '-' && $item->{status} == 404));
            printf $log "%s %s %s %.4f%s\n", $ok ? 'ack' : 'unknown', @{ $ops[$i] }, $now,
                $ok ? '' : ' ' . ($item ? "$item->{status} " . substr($item->{error}{reason} // '', 0, 100) : $r ? $r->{status} : 'no answer');
            next unless $ok && rand() < $self->{reads};
            # the writer of an id is the only one: what it read is what was acknowledged
            next if $answered == 0;
            my $asked = (@ready ? @ready : @urls)[rand(@ready || @urls)];
            my $g = ask($http, "$asked/$self->{index}/_doc/$ops[$i][0]", 'GET');
            if (!$g) { $silent{$asked} = time + 2; $answered = 0; next }
            next unless $g->{status} == 200 || ($g->{status} == 404 && $g->{json} && exists $g->{json}{found});
            my $got = $g->{json}{found} ? $g->{json}{_source}{v} : '-';
            printf $log "read %s %s %s\n", @{ $ops[$i] }, $got;
        }
    }
    close $log;
}

# How many operations are acknowledged so far.
sub acked {
    my ($self) = @_;
    for my $file (@{ $self->{files} }) {
        open my $f, '<', $file or next; # not begun yet
        seek $f, $self->{read}{$file} || 0, 0;
        while (<$f>) {
            last unless /\n\z/;
            $self->{read}{$file} = tell $f;
            $self->{acked}++ if /^ack /;
        }
    }
    return $self->{acked} || 0;
}

# What the writers wrote down: {id => {value, unknown => {value => 1}}}, and lists of acknowledgements.
sub history {
    my ($self) = @_;
    my (%docs, @acks, @bad);
    $self->{reasons} = {};
    for my $file (@{ $self->{files} }) {
        open my $f, q(<), $file or next; # not begun yet
        my %sent;
        while (<$f>) {
            last unless chomp;
            my ($what, $id, $value, $more) = split / /, $_, 4;
            my $d = $docs{$id} ||= { value => '-', unknown => {} };
            if ($what eq 'sent') { $sent{$id} = $value }
            elsif ($what eq 'ack') { $d->{value} = $value; delete $sent{$id}; push @acks, $more }
            elsif ($what eq 'unknown') { $d->{unknown}{$value} = 1; delete $sent{$id}; $self->{reasons}{ (split ' ', $more, 2)[1] // '' }++ }
            elsif ($more ne $value && !$d->{unknown}{$more}) { push @bad, "a realtime get of $id showed $more after $value was acknowledged" }
        }
        $docs{$_}{unknown}{ $sent{$_} } = 1 for keys %sent;
    }
    $self->{acks} = [sort { $a <=> $b } @acks];
    return (\%docs, \@bad);
}

# The longest time without any acknowledgement from a moment on.
sub pause_after {
    my ($self, $moment) = @_;
    my ($docs) = $self->history;
    my ($last, $longest) = ($moment, 0);
    for my $t (grep { $_ >= $moment } @{ $self->{acks} }) {
        $longest = $t - $last if $t - $last > $longest;
        $last = $t;
    }
    return $longest;
}

# Everything that is not as it must be, in words.
sub check {
    my ($self, $node) = @_;
    my ($docs, $bad) = $self->history;
    my @wrong = @$bad;
    my @ids = sort keys %$docs;
    while (my @part = splice @ids, 0, 500) {
        my $r = $node->post("/$self->{index}/_mget", { ids => \@part });
        my $got = $r->{json}{docs} or return (@wrong, "_mget: " . substr $r->{content}, 0, 300);
        for my $d (@$got) {
            my $want = $docs->{ $d->{_id} };
            my $is = $d->{found} ? $d->{_source}{v} : $d->{error} ? "error $d->{error}{reason}" : '-';
            next if $is eq $want->{value} || $want->{unknown}{$is};
            push @wrong, "$d->{_id} is $is, acknowledged was $want->{value}";
        }
    }
    return @wrong;
}

1;
