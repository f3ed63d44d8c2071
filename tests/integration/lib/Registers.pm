package Registers;
# Registers.pm: clients that read, write and compare-and-set the same few documents through any node of a
# cluster that suffers, and write down when each operation was sent, when it was answered, and what the
# answer said. check() finds whether each document's history is linearizable.
#
#   my $r = Registers->new(nodes => [...], dir => $folder, seed => 1, clients => 4, index => 'registers');
#   $r->start;  ... faults ...  $r->stop;
#   my @wrong = $r->check;      # in words;  $r->{counts} says how much was looked at
#
# The order of a document's writes is that of their sequence numbers, and every value is written once. So
# a history is linearizable when each sequence number has one value, a write by compare-and-set follows
# the very write that it names, and no operation that began after another had ended shows an older
# state. A write without a clear answer is unknown: it counts from when somebody saw it.
use strict;
use warnings;
use parent 'Clients';

sub new { my ($class, %o) = @_; return $class->SUPER::new(docs => 8, index => 'registers', %o) }

sub client {
    my ($self, $c, $log) = @_;
    my $value = "$self->{life}-$c-";
    my $n = 0;
    my $ask = sub {
        my $r = $self->ask($self->url, @_);
        $self->pace(0.01) unless $r && $r->{status} < 500;
        return $r && $r->{json} ? $r : { status => 0, json => {} };
    };
    while ($self->{run}) {
        my $id = 'r' . int rand $self->{docs};
        my $from = $self->now;
        my $r = $ask->('GET', "_doc/$id");
        my $to = $self->now;
        my $j = $r->{json};
        next unless defined $j->{found} && ($r->{status} == 200 || $r->{status} == 404);
        my ($seq, $term) = $j->{found} ? ($j->{_seq_no}, $j->{_primary_term}) : (-1, 0);
        print $log join(' ', 'get', $id, $from, $to, $seq, $j->{found} ? $j->{_source}{v} : '-'), "\n";
        my $what = rand;
        next if $what < 0.3;
        my $next = $value . ++$n;
        my $blind = $what > 0.9;
        my $how = $blind ? '' : $seq < 0 ? '?op_type=create' : "?if_seq_no=$seq&if_primary_term=$term";
        my $pred = $blind ? 'any' : $seq;
        $from = $self->now;
        print $log join(' ', 'sent', $id, $from, $pred, $next), "\n";
        $r = $ask->('PUT', "_doc/$id$how", qq({"v":"$next"}));
        $to = $self->now;
        my $ok = $r->{status} == 200 || $r->{status} == 201;
        my $reason = $r->{status} == 409 ? $r->{json}{error}{reason} // '' : '';
        my ($there) = $reason =~ /current document has seqNo \[(\d+)\]/;
        print $log join(' ', $ok ? 'ack' : $reason ? 'refused' : 'unknown', $id, $from, $to, $pred,
            $ok ? $r->{json}{_seq_no} : $there // -1, $next), "\n";
    }
}

# {id => {writes => {value => {...}}, reads => [...], refused => [...]}}
sub history {
    my ($self) = @_;
    my %docs;
    for my $file (@{ $self->{files} }) {
        open my $f, '<', $file or next;
        while (<$f>) {
            last unless chomp;
            my ($what, $id, $from, @x) = split / /;
            my $d = $docs{$id} ||= { writes => {}, reads => [], refused => [] };
            if ($what eq 'get') { push @{ $d->{reads} }, { from => $from, to => $x[0], seq => $x[1], value => $x[2] } }
            elsif ($what eq 'sent') { $d->{writes}{ $x[1] } = { from => $from, to => 9e99, pred => $x[0], value => $x[1] } }
            elsif ($what eq 'ack') { @{ $d->{writes}{ $x[3] } }{qw(to seq ok)} = ($x[0], $x[2], 1) }
            elsif ($what eq 'refused') {
                push @{ $d->{refused} }, { from => $from, to => $x[0], pred => $x[1], seq => $x[2], value => $x[3] };
                delete $d->{writes}{ $x[3] };
            }
        }
    }
    return \%docs;
}

sub check_doc {
    my ($id, $d) = @_;
    my (@wrong, %value);
    my $w = $d->{writes};
    for my $x (grep { $_->{ok} } values %$w) {
        my $other = $value{ $x->{seq} } //= $x->{value};
        push @wrong, "$id: sequence number $x->{seq} was acknowledged for $other and for $x->{value}" if $other ne $x->{value};
    }
    for my $r (@{ $d->{reads} }) {
        next if $r->{seq} < 0;
        my $x = $w->{ $r->{value} };
        push @wrong, "$id: a get showed $r->{value}, which was refused or never written" and next unless $x;
        push @wrong, "$id: a get showed $r->{value} before it was sent" if $x->{from} > $r->{to};
        my $other = $value{ $r->{seq} } //= $r->{value};
        push @wrong, "$id: sequence number $r->{seq} is $other and $r->{value}" if $other ne $r->{value};
        $x->{seq} //= $r->{seq}; # unknown until now: it happened
        push @wrong, "$id: $r->{value} has sequence numbers $x->{seq} and $r->{seq}" if $x->{seq} != $r->{seq};
    }
    # each compare-and-set directly follows what it names
    my @order = sort { $a->{seq} <=> $b->{seq} } grep { defined $_->{seq} } values %$w;
    my $before = -1;
    for my $x (@order) {
        push @wrong, "$id: $x->{value} was written as number $x->{seq} if $x->{pred} was the last, which was $before" if $x->{pred} ne 'any' && $x->{pred} != $before;
        $before = $x->{seq};
    }
    # who began after another had ended sees at least what that one saw
    my @ends = sort { $a->[0] <=> $b->[0] } (map { [$_->{to}, $_->{seq}, "the write of $_->{value}"] } grep { $_->{ok} } @order),
        (map { [$_->{to}, $_->{seq}, "a get of $_->{value}"] } @{ $d->{reads} }), map { [$_->{to}, $_->{seq}, 'a conflict'] } grep { $_->{seq} >= 0 } @{ $d->{refused} };
    my @begins = sort { $a->[0] <=> $b->[0] } (map { [$_->{from}, $_->{seq}, "the write of $_->{value}", 1] } @order),
        (map { [$_->{from}, $_->{seq}, "a get of $_->{value}", 0] } @{ $d->{reads} }), map { [$_->{from}, $_->{seq}, 'a conflict', 0] } grep { $_->{seq} >= 0 } @{ $d->{refused} };
    my ($e, $least, $by) = (0, -1, '');
    for my $b (@begins) {
        for (; $e < @ends && $ends[$e][0] < $b->[0]; $e++) { ($least, $by) = @{ $ends[$e] }[1, 2] if $ends[$e][1] > $least }
        push @wrong, "$id: $b->[2] is number $b->[1], but began after $by (number $least) had ended" if $b->[3] ? $b->[1] <= $least : $b->[1] < $least;
    }
    # a conflict needs another write
    for my $r (@{ $d->{refused} }) {
        next if grep { $_->{from} <= $r->{to} && (!defined $_->{seq} || $r->{pred} eq 'any' || $_->{seq} > $r->{pred}) } values %$w;
        push @wrong, "$id: a write if $r->{pred} was the last was refused, but nobody else wrote";
    }
    return @wrong;
}

sub check {
    my ($self) = @_;
    my $docs = $self->history;
    my %n = (reads => 0, acked => 0, refused => 0, unknown => 0, seen => 0);
    for my $d (values %$docs) {
        $n{reads} += @{ $d->{reads} };
        $n{refused} += @{ $d->{refused} };
        $n{ $_->{ok} ? 'acked' : 'unknown' }++ for values %{ $d->{writes} };
    }
    my @wrong = map { check_doc($_, $docs->{$_}) } sort keys %$docs;
    for my $d (values %$docs) { $n{seen} += grep { !$_->{ok} && defined $_->{seq} } values %{ $d->{writes} } }
    $self->{counts} = \%n;
    return @wrong;
}

1;
