package QdNet;
# QdNet.pm: hosts for a test: network namespaces behind a bridge of this test's own, with links that
# can be cut. The test itself has an address on the bridge, so it reaches every host.
#
#   my $net = QdNet->new(5);                 # undef: this machine allows none; QdNet::why tells
#   my @run = $net->command(2);              # what to put before a command to run it on host 2
#   $net->address(2)                         # its address
#   $net->cut([0], [1, 2]);  $net->cut_one_way([0], [1]);  $net->lose(0, 0.3);  $net->heal;
#   $net->down(1); $net->up(1);
#   my $net = QdNet->new(5, relay => 1);     # over tests/lib/relay.c, which can do more to packets:
#   $net->disturb([0], [1, 2], delay_ms => 20, jitter_ms => 50, lose => 0.1, twice => 0.01);
#   $net->calm;  my $counts = $net->counts;  # {carried, lost, doubled, overtaken}
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use POSIX qw(WNOHANG);
use QdNode;

my $relay = abs_path(dirname(__FILE__) . '/../../..') . '/build/tests/relay';
my $why = '';
my @all;
sub why { $why }

sub run {
    my (@command) = @_;
    my $out = `@command 2>&1`;
    return 1 if $? == 0;
    $why = "@command: $out";
    return 0;
}

sub new {
    my ($class, $n, %o) = @_;
    $why = 'root is needed for network namespaces';
    return undef if $> != 0;
    for my $tool (qw(ip iptables)) {
        $why = "$tool is not installed";
        return undef unless grep { -x "$_/$tool" } split(/:/, $ENV{PATH}), '/usr/sbin', '/sbin';
    }
    my $tag = sprintf 'q%x', $$ & 0xfffff;
    # a net of its own for each test that runs: 10.64.0.0/10 by process id
    my $net = sprintf '10.%d.%d', 64 + (($$ >> 8) & 63), $$ & 255;
    my $self = bless { tag => $tag, net => $net, n => 0, owner => $$ }, $class;
    push @all, $self;
    return $self->over_relay($n, $o{seed} || 1) if $o{relay};
    run("ip link add ${tag}br type bridge") && run("ip addr add $net.254/24 dev ${tag}br") && run("ip link set ${tag}br up")
        or return $self->gone;
    for my $i (0 .. $n - 1) {
        my ($ns, $in, $out) = ("$tag-$i", "${tag}i$i", "${tag}o$i");
        $self->{n} = $i + 1;
        run("ip netns add $ns") && run("ip link add $out type veth peer name $in netns $ns")
            && run("ip link set $out master ${tag}br up") && run("ip -n $ns addr add $net.@{[$i + 1]}/24 dev $in")
            && run("ip -n $ns link set $in up") && run("ip -n $ns link set lo up")
            && run("ip netns exec $ns iptables -w -L -n")
            or return $self->gone;
    }
    return $self;
}

# Hosts whose packets go through the relay, this one as the last of them.
sub over_relay {
    my ($self, $n, $seed) = @_;
    my ($tag, $net) = @$self{qw(tag net)};
    $why = 'make test-tools: there is no relay';
    return $self->gone unless -x $relay;
    my @hosts;
    for my $i (0 .. $n - 1) {
        $self->{n} = $i + 1;
        run("ip netns add $tag-$i") && run("ip -n $tag-$i link set lo up") && run("ip netns exec $tag-$i iptables -w -L -n") or return $self->gone;
        push @hosts, "${tag}i$i:$tag-$i";
    }
    $self->{control} = "/tmp/$tag.relay";
    $self->{relay_pid} = open $self->{relay}, '|-', "exec $relay $self->{control} $seed @hosts ${tag}br: >$self->{control}.out 2>&1" or return $self->gone;
    my $said = '';
    QdNode->wait_for(sub { ($said = QdNode::slurp("$self->{control}.out")) =~ /ready/ || waitpid($self->{relay_pid}, WNOHANG) != 0 });
    $why = "relay: $said";
    return $self->gone unless $said =~ /ready/;
    for my $i (0 .. $n - 1) {
        run("ip -n $tag-$i addr add $net.@{[$i + 1]}/24 dev ${tag}i$i") && run("ip -n $tag-$i link set ${tag}i$i up") or return $self->gone;
    }
    run("ip addr add $net.254/24 dev ${tag}br") && run("ip link set ${tag}br up") or return $self->gone;
    return $self;
}
# What happens to packets from some hosts to others.
sub disturb {
    my ($self, $from, $to, %o) = @_;
    my $way = pack 'L<4', map { int } ($o{lose} || 0) * 1e6, ($o{twice} || 0) * 1e6, ($o{delay_ms} || 0) * 1000, ($o{jitter_ms} || 0) * 1000;
    open my $f, '+<:raw', $self->{control} or die "$self->{control}: $!";
    for my $a (@$from) {
        for my $b (grep { $_ != $a } @$to) { sysseek $f, 32 + 16 * (16 * $a + $b), 0; syswrite $f, $way }
    }
}
sub calm { my ($self) = @_; my @all = 0 .. $self->{n}; $self->disturb(\@all, \@all) }
sub counts {
    my ($self) = @_;
    open my $f, '<:raw', $self->{control} or die;
    sysread $f, my $text, 32;
    my %c;
    @c{qw(carried lost doubled overtaken)} = unpack 'Q<4', $text;
    return \%c;
}

# Names that all hosts know: (name => number of the host, ...).
sub names {
    my ($self, %names) = @_;
    for my $i (0 .. $self->{n} - 1) {
        my $dir = "/etc/netns/$self->{tag}-$i"; # what `ip netns exec` lays over /etc
        system("mkdir -p $dir") == 0 or die "$dir: $!";
        open my $f, '>', "$dir/hosts" or die "$dir/hosts: $!";
        print $f "127.0.0.1 localhost\n", map { $self->address($names{$_}) . " $_\n" } sort keys %names;
        close $f;
    }
}

# Takes down what was made; undef.
sub gone {
    my ($self) = @_;
    my $said = $why;
    for my $i (0 .. $self->{n} - 1) {
        my $ns = "$self->{tag}-$i";
        system("ip netns del $ns 2>/dev/null; rm -rf /etc/netns/$ns; rmdir /etc/netns 2>/dev/null");
    }
    if ($self->{relay_pid}) {
        kill 'KILL', $self->{relay_pid};
        close $self->{relay};
        unlink $self->{control}, "$self->{control}.out";
    } else {
        system("ip link del $self->{tag}br 2>/dev/null");
    }
    $self->{n} = 0;
    $why = $said;
    return undef;
}
sub DESTROY { my ($self) = @_; local $?; $self->gone if $self->{owner} == $$ }
END { local $?; $_->{owner} == $$ && $_->gone for grep { defined } @all }

sub address { my ($self, $i) = @_; return "$self->{net}." . ($i + 1) }
sub command { my ($self, $i) = @_; return ('ip', 'netns', 'exec', "$self->{tag}-$i") }
sub inside { my ($self, $i, $what) = @_; return run(join(' ', $self->command($i)) . " $what") }

# Nothing from the hosts of one list reaches those of the other any more.
sub cut_one_way {
    my ($self, $from, $to) = @_;
    for my $t (@$to) {
        $self->inside($t, 'iptables -w -A INPUT -s ' . $self->address($_) . ' -j DROP') or die $why for @$from;
    }
}
sub cut { my ($self, $a, $b) = @_; $self->cut_one_way($a, $b); $self->cut_one_way($b, $a) }
# A host loses this part of what comes to it from others.
sub lose {
    my ($self, $i, $part) = @_;
    $self->inside($i, "iptables -w -A INPUT ! -i lo -m statistic --mode random --probability $part -j DROP") or die $why;
}
sub heal { my ($self) = @_; $self->inside($_, 'iptables -w -F INPUT') for 0 .. $self->{n} - 1 }
sub down { my ($self, $i) = @_; run("ip -n $self->{tag}-$i link set $self->{tag}i$i down") or die $why }
sub up   { my ($self, $i) = @_; run("ip -n $self->{tag}-$i link set $self->{tag}i$i up") or die $why }

1;
