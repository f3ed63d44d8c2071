package Recorder;
# Recorder.pm: clients that write to a cluster while it suffers, each of ids of its own, and write down
# what was sent and what came back; readers check at once that what was acknowledged is what a realtime
# get through any node shows. Afterwards everything acknowledged must be there.
#
#   my $r = Recorder->new(nodes => [...], dir => $folder, seed => 1, clients => 4, batch => 8, reads => 0.25);
#   $r->start;  ... faults ...  $r->stop;
#   my @wrong = $r->check($node);
#
# An operation that failed or got no answer is unknown: it may have happened, also later; one that was
# refused (a closed index, a block) has not. An id's final value is that of its last acknowledged
# operation, or of an unknown one.
use strict;
use warnings;
use parent 'Clients';
use Time::HiRes qw(time);

our $IDS = 200;

sub new { my ($class, %o) = @_; return $class->SUPER::new(index => 'docs', batch => 8, reads => 0.25, pause => 0, %o) }

sub client {
    my ($self, $w, $log) = @_;
    my $value = $self->{life} * 10_000_000 + $w * 1_000_000;
    while ($self->{run}) {
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
        my $r = $self->ask($self->url, 'POST', '_bulk', $body);
        my $items = $r && $r->{json} ? $r->{json}{items} || [] : [];
        my $now = time;
        $self->pace($self->{pause} + (@$items ? 0 : 0.02));
        my $answered = 1;
        for my $i (0 .. $#ops) {
            my ($item) = values %{ $items->[$i] || {} };
            my $ok = $item && ($item->{status} < 300 || ($ops[$i][1] eq '-' && $item->{status} == 404));
            printf $log "%s %s %s %.4f%s\n", $ok ? 'ack' : 'unknown', @{ $ops[$i] }, $now,
                $ok ? '' : ' ' . ($item ? "$item->{status} " . substr($item->{error}{reason} // '', 0, 100) : $r ? $r->{status} : 'no answer');
            next unless $ok && rand() < $self->{reads};
            # the writer of an id is the only one: what it read is what was acknowledged
            next if $answered == 0;
            my $g = $self->ask($self->url, 'GET', "_doc/$ops[$i][0]");
            if (!$g) { $answered = 0; next }
            next unless $g->{status} == 200 || ($g->{status} == 404 && $g->{json} && exists $g->{json}{found});
            my $got = $g->{json}{found} ? $g->{json}{_source}{v} : '-';
            printf $log "read %s %s %s\n", @{ $ops[$i] }, $got;
        }
    }
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
            elsif ($what eq 'unknown') { $d->{unknown}{$value} = 1 unless $more =~ /^(?:400|403) /; delete $sent{$id}; $self->{reasons}{ (split ' ', $more, 2)[1] // '' }++ }
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
