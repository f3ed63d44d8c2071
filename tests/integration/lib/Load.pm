# Load.pm: a load on a node by child processes, each of which writes down what it sent and what was
# acknowledged, so that what must be there after a kill or a power loss is known.
#
#   my $load = Load->new(node => $node, dir => $folder, seed => 7);
#   $load->start;  ...  $node->kill9;  $load->finish;   # children end when the node does not answer
#   $node->start;
#   my @wrong = $load->check($node);                    # '' when all is as it must be
package Load;
use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep);

our $IDS = 400;
my $json = JSON::PP->new->utf8->canonical;

sub new {
    my ($class, %o) = @_;
    return bless { writers => 2, generation => 0, state => {}, indices => {}, seq => sub { 0 }, %o }, $class;
}

# One request; undef when the node did not answer.
sub call {
    my ($self, $http, $method, $path, $body) = @_;
    my %o = $body ? (content => $body, headers => { 'content-type' => $path =~ /_bulk/ ? 'application/x-ndjson' : 'application/json' }) : ();
    my $r = $http->request($method, $self->{node}->url . $path, \%o);
    return undef if $r->{status} == 599;
    return { status => $r->{status}, json => eval { $json->decode($r->{content}) }, text => $r->{content} };
}

sub child {
    my ($self, $name, $code) = @_;
    my $file = "$self->{dir}/$name-$self->{generation}.log";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open my $log, '>>', $file or POSIX::_exit(1);
        $log->autoflush(1);
        srand($self->{seed} * 1000 + $self->{generation} * 10 + ord substr $name, -1);
        my $http = HTTP::Tiny->new(timeout => 30, keep_alive => 1);
        my $end = $self->{requests} // 1e9;
        for (my $i = 0; $i < $end; $i++) { last unless $code->($http, $log, $i) }
        close $log;
        POSIX::_exit(0);
    }
    push @{ $self->{children} }, { pid => $pid, file => $file, name => $name };
}

# Bulk requests over ids of its own: id w<writer>-<n>.
sub writer {
    my ($self, $w) = @_;
    $self->child("writer$w", sub {
        my ($http, $log) = @_;
        my ($body, @ops, %used) = ('');
        for (1 .. 1 + int rand 40) {
            my $id = "w$w-" . int rand $IDS;
            next if $used{$id}++;
            my $value = int rand 1e9;
            if (rand() < 0.2) {
                $body .= qq({"delete":{"_id":"$id"}}\n);
                push @ops, [$id, '-'];
            } else {
                $body .= qq({"index":{"_id":"$id"}}\n{"value":$value,"text":"number $value of writer $w"}\n);
                push @ops, [$id, $value];
            }
        }
        my $refresh = rand() < 0.1 ? '?refresh=true' : '';
        print $log "sent $_->[0] $_->[1]\n" for @ops;
        my $r = $self->call($http, 'POST', "/docs/_bulk$refresh", $body) or return 0;
        my $seq = $self->{seq}->();
        my $items = $r->{json}{items} || [];
        for my $i (0 .. $#ops) {
            my ($item) = values %{ $items->[$i] || {} };
            my $ok = $item && ($item->{status} < 300 || ($ops[$i][1] eq '-' && $item->{status} == 404));
            print $log $ok ? "ack $ops[$i][0] $ops[$i][1] $seq\n" : "refused $ops[$i][0] " . substr($r->{text}, 0, 300) . "\n";
        }
        return 1;
    });
}

sub disturber {
    my ($self) = @_;
    $self->child('disturb', sub {
        my ($http) = @_;
        my @what = ('/_refresh', '/docs/_flush', '/docs/_flush?force=true', '/docs/_forcemerge?max_num_segments=1', '/_refresh', '/docs/_refresh');
        my $r = $self->call($http, 'POST', $what[rand @what]) or return 0;
        sleep rand 0.03; # of any length: what it meets is chance
        return 1;
    });
}

# Indices made, filled and deleted.
sub builder {
    my ($self) = @_;
    $self->child('indices', sub {
        my ($http, $log, $i) = @_;
        my $name = "made-$self->{generation}-$i";
        print $log "creating $name\n";
        my $r = $self->call($http, 'PUT', "/$name", '{"settings":{"number_of_shards":2}}') or return 0;
        print $log "created $name " . $self->{seq}->() . "\n" if $r->{status} == 200;
        $r = $self->call($http, 'PUT', "/$name/_doc/one?refresh=false", '{"value":1}') or return 0;
        print $log "filled $name " . $self->{seq}->() . "\n" if $r->{status} == 201;
        return 1 if rand() < 0.3;
        print $log "deleting $name\n";
        $r = $self->call($http, 'DELETE', "/$name") or return 0;
        print $log "deleted $name " . $self->{seq}->() . "\n" if $r->{status} == 200;
        return 1;
    });
}

sub start {
    my ($self) = @_;
    $self->{generation}++;
    $self->{children} = [];
    $self->writer($_) for 1 .. $self->{writers};
    $self->disturber;
    $self->builder;
}

# Waits until n more operations of this start are acknowledged; false when the node has gone before, or after
# so many seconds (120).
sub until {
    my ($self, $n, $seconds) = @_;
    my %at;
    return $self->{node}->wait_for(sub {
        for my $file (map { $_->{file} } @{ $self->{children} }) {
            open my $f, '<', $file or next;
            seek $f, $at{$file} || 0, 0;
            while (defined(my $line = <$f>)) {
                last if $line !~ /\n\z/;
                $at{$file} = tell $f;
                $n-- if $line =~ /^ack /;
            }
        }
        return $n <= 0;
    }, $seconds // 120);
}

# Waits for the children and takes their notes. With a cut, only what was acknowledged up to that
# number of recorded changes counts as acknowledged.
sub finish {
    my ($self) = @_;
    waitpid $_->{pid}, 0 for @{ $self->{children} };
    push @{ $self->{files} }, map { $_->{file} } @{ $self->{children} };
    $self->{refused} = '';
}

sub expected {
    my ($self, $cut) = @_;
    my (%docs, %indices);
    for my $file (@{ $self->{files} }) {
        open my $f, '<', $file or die "$file: $!";
        while (<$f>) {
            chomp;
            my ($what, $name, $value, $seq) = split / /;
            my $counts = !defined $cut;
            if ($what eq 'sent') { push @{ $docs{$name}{unsure} }, $value }
            elsif ($what eq 'ack') {
                next if defined $cut && $seq > $cut;
                # what was sent before this one is decided
                my $u = $docs{$name}{unsure};
                shift @$u while @$u && $u->[0] ne $value;
                shift @$u;
                $docs{$name}{value} = $value;
            }
            elsif ($what eq 'refused') { $self->{refused} ||= $_ }
            elsif ($what =~ /^(creating|deleting)$/) { $indices{$name}{$what} = 1 }
            else { $indices{$name}{$what} = 1 if !defined $cut || $value <= $cut }
        }
    }
    return (\%docs, \%indices);
}

# Everything that is not as it must be, in words.
sub check {
    my ($self, $node, $cut) = @_;
    my ($docs, $indices) = $self->expected($cut);
    my @wrong;
    my @ids = sort keys %$docs;
    my ($found, $here) = (0, $node->head('/docs')->{status} == 200);
    while (my @part = splice @ids, 0, 500) {
        my $r = $node->post('/docs/_mget', { ids => \@part });
        my $got = $r->{json}{docs};
        if (!$got) {
            push @wrong, "_mget: " . substr($r->{content}, 0, 300) if $here || grep { defined $docs->{$_}{value} } @part;
            last;
        }
        for my $d (@$got) {
            my $want = $docs->{ $d->{_id} };
            my $is = $d->{found} ? $d->{_source}{value} : $d->{error} && $here ? "error $d->{error}{reason}" : '-';
            $found++ if $d->{found};
            next if $is eq ($want->{value} // '-') || grep { $_ eq $is } @{ $want->{unsure} || [] };
            push @wrong, "$d->{_id} is $is, acknowledged " . ($want->{value} // 'nothing');
        }
    }
    if ($here) {
        $node->post('/docs/_refresh');
        my $n = $node->get('/docs/_count')->{json}{count};
        push @wrong, "$found documents by id, $n by search" if defined $n && $n != $found;
    }
    for my $name (sort keys %$indices) {
        my $i = $indices->{$name};
        my $there = $node->head("/$name")->{status} == 200;
        push @wrong, "index $name was created and is gone" if $i->{created} && !$i->{deleting} && !$there;
        push @wrong, "index $name was deleted and is there" if $i->{deleted} && $there;
        next unless $there && $i->{filled};
        my $r = $node->get("/$name/_doc/one");
        push @wrong, "the document of $name is gone: " . substr($r->{content}, 0, 200) if !$r->{json}{found} && !$i->{deleting};
    }
    push @wrong, "refused: $self->{refused}" if $self->{refused};
    return @wrong;
}

1;
