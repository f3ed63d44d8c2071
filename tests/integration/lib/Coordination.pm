package Coordination;
# Coordination.pm: what tests of the coordination's stores, modes and migrations ask of nodes, and the load of state
# changes beside which a cluster's state moves. Loading it takes from the environment what would lead a node to
# another Kubernetes than the test's own.
#
#   my ($data, @m) = three_masters(master => {'coordination.mode' => 'master'}, env => {...});   # not yet launched
#   start_all(@nodes) or ...;            # told in words, each
#   my $j = settled($node);              # GET _cluster/coordination, once the leader has answered
#   plugin_for($node, 'toy-second');     # a plugin of tests/plugins, where $node (and it alone) finds it
#   my $load = Coordination::Load->new($node);
#   $load->more(3);                      # an index, a document, an old index deleted, each time
#   is_deeply($load->{failed}, []); is_deeply($load->wrong, []);
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(LOCK_EX);
use File::Copy qw(copy);
use File::Path qw(make_path);
use QdNode;
use Test::More ();

our @EXPORT = qw(%COMMON coordination error_of migration plugin_for same_told settled start_all started three_masters);
delete @ENV{qw(KUBERNETES_SERVICE_HOST KUBECONFIG POD_NAMESPACE LEADER_ELECTION_NAMESPACE)};

# Settings of every node of a cluster whose stores are looked at.
our %COMMON = ('cluster.name' => 'quidditch', 'metrics.port' => -1, 'transport.rpc_port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false');

# A node of data and three masters of one raft group, whose addresses it is given. master, data: settings of these nodes
# beside the common ones; env: the environment of the masters.
sub three_masters {
    my (%o) = @_;
    my @m = map { QdNode->new("m$_") } 0 .. 2;
    my $peers = join ',', map { "$_->{name}\@127.0.0.1:$_->{transport}" } @m;
    for (@m) {
        $_->{settings} = { %COMMON, 'node.roles' => 'master,ingest', 'coordination.raft_peers' => $peers, %{ $o{master} } };
        $_->{env} = { %{ $o{env} } };
    }
    my $data = QdNode->new('data', settings => { %COMMON, 'node.roles' => 'data', %{ $o{data} || {} } },
        env => { MASTER_ADDRESSES => join ',', map { "127.0.0.1:$_->{transport}" } @m });
    return ($data, @m);
}

# Has a launched node started? If not, it is told why, and its folder stays.
sub started {
    my ($n) = @_;
    return 1 if $n->wait_for(sub { $n->log_text =~ /\bstarted in \d+ ms/ }, 120);
    Test::More::diag("$n->{name} did not start:\n" . $n->stderr_text . $n->log_text);
    $n->{keep} = 1;
    return 0;
}
# Launches nodes and asserts that each starts.
sub start_all {
    my (@nodes) = @_;
    $_->launch for @nodes;
    Test::More::ok(started($_), "$_->{name} starts") for @nodes;
}

# What a node tells of where the state is; settled: what it tells once its leader has been asked.
sub coordination { my ($n) = @_; return $n->get('/_cluster/coordination?master_timeout=30s')->{json} || {} }
sub settled {
    my ($n) = @_;
    my $j;
    $n->wait_for(sub { $j = coordination($n); $j->{leader} && $j->{answered_by} eq 'leader' }, 120);
    return $j;
}
# Waits until all nodes tell the same of these fields, "store.kind" for one: what they tell, one line each.
sub same_told {
    my ($nodes, @fields) = @_;
    my %told;
    $nodes->[0]->wait_for(sub {
        %told = ();
        for my $n (@$nodes) {
            my $j = settled($n);
            $told{join ' ', map { my $at = $j; $at = $at->{$_} for split /\./; $at // '-' } @fields} = 1;
        }
        return keys %told == 1;
    }, 120);
    return sort keys %told;
}

sub migration { my ($n) = @_; return $n->get('/_cluster/coordination/_migrate')->{json} || {} }
sub error_of { my ($r) = @_; return "$r->{status} " . ($r->{json}{error}{reason} // '') }

# Builds a plugin of tests/plugins and gives it to a node: the settings that make it found and allowed.
sub plugin_for {
    my ($n, $name) = @_;
    my ($top, $target) = (QdNode::top(), "build/tests/plugins/$name.so"); # without a sanitizer, whatever loads it
    my $built = "$top/$target";
    my $cc = $ENV{CC} ? "CC='$ENV{CC}'" : '';
    my $folder = "$n->{dir}/plugins";
    mkdir $folder or die "$folder: $!";
    make_path("$top/build/tests");
    open my $lock, '>', "$top/build/tests/plugins.lock" or die "plugins.lock: $!"; # tests run side by side
    flock $lock, LOCK_EX or die "plugins.lock: $!";
    die "$name is not built\n" if system "make -s -C '$top' $cc $target";
    copy($built, $folder) or die "$built: $!";
    close $lock;
    chmod 0755, $folder;
    chmod 0644, "$folder/$name.so";
    return ('plugins.path' => $folder, 'plugins.allow' => "$name,storage-nvme,coordination-raft", 'plugins.allow_unstable' => 'true');
}

package Coordination::Load;
use Time::HiRes qw(time);

my $kept = 20; # indices; older ones are deleted, so that a load without end is none of memory

# A client of one node that does not retry: each failure is kept with its words, and beside them when it was asked and
# when answered ({when}, by time()).
sub new {
    my ($class, $n) = @_;
    return bless {node => $n, made => 0, wrote => 0, slowest => 0, failed => [], when => [], doubt => {}}, $class;
}
# One request that is to be answered with a status; how long it took, in list context, follows.
sub expect {
    my ($self, $status, $method, @request) = @_;
    my $began = time;
    my $r = $self->{node}->$method(@request);
    my $ended = time;
    if ($r->{status} != $status) {
        push @{$self->{failed}}, Coordination::error_of($r);
        push @{$self->{when}}, [$began, $ended];
    }
    return wantarray ? ($r->{status} == $status, $ended - $began) : $r->{status} == $status;
}
# A change of made-N. One that may be done or not leaves that index in doubt: nothing is asked or said of it any more.
sub change {
    my ($self, $n, $method, @body) = @_;
    my ($ok, $took) = $self->expect(200, $method, "/made-$n?master_timeout=60s", @body);
    @$self{qw(slowest slow)} = ($took, sprintf "%s made-%d, answered at %.3f", $method, $n, time) if $took > $self->{slowest};
    $self->{doubt}{$n} = 1 if !$ok && $self->{failed}[-1] =~ /may or may not be committed/;
    return $ok;
}
sub more {
    my ($self, $times) = @_;
    my $doubt = $self->{doubt};
    for (1 .. $times || 1) {
        my $n = $self->{made};
        $self->{made}++ if $self->change($n, 'put', {settings => {number_of_shards => 1, number_of_replicas => 0}}) || $doubt->{$n};
        my $old = $self->{made} - $kept - 1;
        $self->{deleted}{$old} //= $self->change($old, 'delete') ? 1 : 0 if $old >= 0 && !$doubt->{$old};
        $self->expect(201, 'put', "/docs/_doc/$self->{wrote}", {n => $self->{wrote}}) and $self->{wrote}++;
    }
}
# Goes on until a condition holds: false when it did not so many seconds later.
sub until {
    my ($self, $condition, $seconds) = @_;
    my $end = time + ($seconds || 120);
    while (time < $end) {
        return 1 if $condition->();
        $self->more;
    }
    return 0;
}
# What is there and should not be, or the reverse, by this load's own account: a list of names.
sub wrong {
    my ($self) = @_;
    my %there = map { $_->{index} => 1 } grep { $_->{index} =~ /^made-/ } @{$self->{node}->get('/_cat/indices?format=json')->{json} || []};
    delete $there{"made-$_"} for keys %{$self->{doubt}};
    my @expected = map { "made-$_" } grep { !$self->{deleted}{$_} && !$self->{doubt}{$_} } 0 .. $self->{made} - 1;
    my @lost = grep { !delete $there{$_} } @expected;
    $self->{node}->post('/docs/_refresh');
    my $count = $self->{node}->get('/docs/_count')->{json}{count} // 'none';
    return [@lost, (map { "$_ is back" } sort keys %there), $count eq $self->{wrote} ? () : "$count documents of $self->{wrote}"];
}

1;
