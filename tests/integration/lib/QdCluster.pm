package QdCluster;
# QdCluster.pm: several nodes that are one cluster, on loopback or each in a network of its own.
#
#   my $c = QdCluster->new('c', nodes => 3);                        # all roles each
#   my $c = QdCluster->new('c', masters => 1, data => 2, coordination => 1);
#   my $c = QdCluster->new('c', nodes => 3, net => QdNet->new(3));  # in namespaces
#   $c->start;                       # all of them, until they see each other
#   $c->node(0)->get('/_cat/nodes'); # a QdNode
#   $c->wait_status('green');  $c->wait_nodes(2);
#   $c->kill9(1);  $c->node(1)->start;
use strict;
use warnings;
use JSON::PP ();
use Test::More ();
use Time::HiRes qw(time);
use QdNode;

sub new {
    my ($class, $name, %o) = @_;
    my $self = bless { name => $name, net => $o{net}, nodes => [] }, $class;
    my @roles = ((map { [] } 1 .. $o{nodes} || 0), (map { ['master'] } 1 .. $o{masters} || 0),
        (map { ['data', 'ingest'] } 1 .. $o{data} || 0), (map { ['coordination', 'ingest'] } 1 .. $o{coordination} || 0));
    for my $i (0 .. $#roles) {
        # the disk of the machine that tests is nobody's business
        my %s = ('cluster.routing.allocation.disk.threshold_enabled' => 'false', %{ $o{settings} || {} }, 'cluster.name' => $o{cluster} || "test-$name");
        my @extra = $o{net} ? (host => $o{net}->address($i), wrap => [$o{net}->command($i)]) : ();
        $s{'node.roles'} = join ',', @{ $roles[$i] } if @{ $roles[$i] };
        if ($o{net}) { $s{'network.host'} = $o{net}->address($i); $s{'security.enabled'} = 'false' }
        $s{'metrics.port'} = $s{'transport.rpc_port'} = -1 if @{ $roles[$i] };
        push @{ $self->{nodes} }, QdNode->new("$name$i", settings => \%s, env => $o{env} || {}, @extra);
        $self->{nodes}[$i]{roles} = $roles[$i];
        $self->{nodes}[$i]{no_metrics} = 1;
    }
    my @masters = grep { my $r = $_->{roles}; !@$r || grep { $_ eq 'master' } @$r } @{ $self->{nodes} };
    $self->{masters} = [@masters];
    my $addresses = join ',', map { $self->transport($_) } @masters;
    for my $n (@{ $self->{nodes} }) {
        if (grep { $_ == $n } @masters) {
            next if @masters == 1 && @{ $self->{nodes} } == 1;
            $n->{settings}{'discovery.seed_hosts'} = $addresses;
            $n->{settings}{'cluster.initial_master_nodes'} = join ',', map { $_->{name} } @masters;
        } else {
            $n->{settings}{'coordination.master_addresses'} = $addresses;
        }
    }
    return $self;
}

sub transport { my ($self, $n) = @_; return ($n->{host} || '127.0.0.1') . ":$n->{transport}" }
sub node  { $_[0]{nodes}[$_[1]] }
sub nodes { @{ $_[0]{nodes} } }
sub alive { grep { $_->alive } @{ $_[0]{nodes} } }

# Starts those that do not run and waits until all are started and see as many nodes.
sub start {
    my ($self, %o) = @_;
    my @new = grep { !$_->{pid} } $self->nodes;
    $_->launch for @new;
    for my $n (@new) {
        next if $n->wait_for(sub { $n->log_text =~ /\bstarted in \d+ ms/ }, $o{seconds} || 60);
        Test::More::diag("$n->{name} did not start:\n" . $n->stderr_text . $n->log_text);
        $_->{keep} = 1 for $self->nodes;
        die "node $n->{name} did not start\n";
    }
    $self->wait_nodes(scalar $self->alive, $o{seconds} || 60) or die "the nodes do not see each other\n";
    return $self;
}

sub health {
    my ($self, $n) = @_;
    ($n) = grep { $_->{pid} && $_->has_rest } $self->nodes unless $n;
    return $n->get('/_cluster/health')->{json} || {};
}
sub wait_nodes {
    my ($self, $count, $seconds) = @_;
    my ($n) = grep { $_->{pid} } $self->nodes;
    my $ok = $n->wait_for(sub {
        !grep { ($self->health($_)->{number_of_nodes} // 0) != $count } grep { $_->alive && $_->has_rest } $self->nodes;
    }, $seconds || 120);
    Test::More::diag("wanted $count nodes: " . join ', ', map { "$_->{name} sees " . ($self->health($_)->{number_of_nodes} // 'nothing') } grep { $_->alive && $_->has_rest } $self->nodes) unless $ok;
    return $ok;
}
sub wait_status {
    my ($self, $status, $seconds, $node) = @_;
    my %rank = (red => 0, yellow => 1, green => 2);
    # each node tells of what it has applied, so all of them are asked
    my ($n) = my @asked = $node || grep { $_->alive && $_->has_rest } $self->nodes;
    my $ok = $n->wait_for(sub { !grep { ($rank{ $self->health($_)->{status} // '' } // -1) < $rank{$status} } @asked }, $seconds || 120);
    Test::More::diag("not $status: " . ($n->get('/_cat/shards?v&h=index,shard,prirep,state,node,unassigned.reason')->{content} // '')) unless $ok;
    return $ok;
}

# What one copy of a shard shows: its documents with their numbers and what is in them.
sub shown_by {
    my ($n, $index, $shard, $node) = @_;
    my $r = $n->post("/$index/_search?preference=_shards:$shard%7C_only_nodes:$node", { size => 10000, seq_no_primary_term => JSON::PP::true });
    return "an error $r->{status}" if $r->{status} != 200 || $r->{json}{_shards}{failed} || $r->{json}{_shards}{total} != 1;
    my $json = JSON::PP->new->canonical;
    return join "\n", sort map { "$_->{_id} $_->{_seq_no} $_->{_primary_term} " . $json->encode($_->{_source}) } @{ $r->{json}{hits}{hits} };
}

# Waits until all copies of an index are there (so many besides the primary) and hold the same: operations,
# documents, contents; '' or what differs.
sub copies_differ {
    my ($self, $index, $replicas, $seconds) = @_;
    my ($n) = grep { $_->has_rest } $self->alive;
    my $bad = '';
    $n->wait_for(sub {
        $n->post("/$index/_refresh");
        my $shards = $n->get("/$index/_stats?level=shards")->{json}{indices}{$index}{shards} || {};
        $bad = keys %$shards ? '' : 'no shards';
        for my $k (sort keys %$shards) {
            my %seen = map { join('/', $_->{seq_no}{max_seq_no}, $_->{seq_no}{local_checkpoint}, $_->{docs}{count}) => 1 } @{ $shards->{$k} };
            $bad .= " shard $k: " . join(' ', sort keys %seen) . ' of ' . @{ $shards->{$k} } if keys %seen > 1 || @{ $shards->{$k} } != 1 + $replicas;
            next if $bad;
            my %shown = map { shown_by($n, $index, $k, $_->{routing}{node}) => $_->{routing}{node} } @{ $shards->{$k} };
            next if keys %shown == 1 && !grep { /^an error/ } keys %shown;
            my ($a, $b) = map { my %line = map { $_ => 1 } split /\n/; \%line } (sort keys %shown)[0, -1];
            $bad .= " contents of shard $k: " . substr join('; ', grep({ !$b->{$_} } sort keys %$a), 'against', grep({ !$a->{$_} } sort keys %$b)), 0, 400;
        }
        return !$bad;
    }, $seconds || 120);
    return $bad;
}

sub kill9 { my ($self, $i) = @_; $self->node($i)->kill9 }
sub stop { my ($self) = @_; $_->signal('TERM') for $self->alive; my $bad = 0; $bad += $_->stop != 0 for $self->alive; return $bad }

1;
