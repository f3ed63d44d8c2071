package FaultLoad;
# FaultLoad.pm: what every test of faults of a cluster does: clients that write and read while it suffers
# (Recorder.pm with a thousand writes under way, Registers.pm with documents that many write), and what
# must hold afterwards.
#
#   my $f = FaultLoad->new($cluster, $dir, seed => 1);
#   $f->start;                    # makes the indices, green, load under way
#   ... a fault ...  $f->more(300, 'writes go on');  ... its end ...  $f->heals('healed');
#   $f->ends;                     # stops the load and checks everything
use strict;
use warnings;
use QdNode;
use Recorder;
use Registers;
use Test::More;

sub new {
    my ($class, $cluster, $dir, %o) = @_;
    my $self = bless { cluster => $cluster, seed => 1, shards => 3, replicas => 1, settings => {}, %o }, $class;
    my @rest = grep { $_->has_rest } $cluster->nodes;
    mkdir "$dir/$_" for 'writers', 'clients';
    $self->{writers} = Recorder->new(nodes => \@rest, dir => "$dir/writers", seed => $self->{seed}, clients => $o{writers} || 12,
        batch => $o{batch} || 160, reads => 0.01, pause => 0.1, timeout => $o{timeout} || 5);
    $self->{clients} = Registers->new(nodes => \@rest, dir => "$dir/clients", seed => $self->{seed}, timeout => $o{timeout} || 5);
    return $self;
}

sub start {
    my ($self) = @_;
    my ($n) = grep { $_->has_rest } $self->{cluster}->nodes;
    for my $index ('docs', 'registers') {
        is($n->put("/$index", { settings => { number_of_shards => $self->{shards}, number_of_replicas => $self->{replicas},
            'index.unassigned.node_left.delayed_timeout' => '0s', %{ $self->{settings} } } })->{status}, 200, "an index $index with a replica");
    }
    ok($self->{cluster}->wait_status('green', 300), 'is green');
    $self->{writers}->start;
    $self->{clients}->start;
    $self->more(2000, 'the load is under way');
}

sub acked { $_[0]{writers}->acked }

# So many more operations are acknowledged.
sub more {
    my ($self, $count, $what, $seconds) = @_;
    my $from = $self->acked;
    return 1 if ok(QdNode->wait_for(sub { $self->acked >= $from + $count }, $seconds || 300), $what);
    $self->stuck;
    return 0;
}

# What the nodes are doing, for who looks for the cause; QD_STACKS=1: where all their threads are, too.
sub stuck {
    my ($self) = @_;
    for my $n ($self->{cluster}->alive) {
        $n->{keep} = 1;
        system("gdb -p $n->{pid} -batch -ex 'thread apply all bt 30' > $n->{dir}/stacks 2>/dev/null") if $ENV{QD_STACKS};
        next unless $n->has_rest;
        diag("$n->{name}: " . substr($n->get($_)->{content}, 0, 3000)) for '/_cat/thread_pool?v', '/_cat/shards?v', '/_tasks?nodes=_local&detailed';
    }
}

sub heals {
    my ($self, $what) = @_;
    my $c = $self->{cluster};
    my ($n) = grep { $_->has_rest } $c->alive;
    ok($c->wait_nodes(scalar $c->nodes, 300), "$what: all nodes again");
    return 1 if ok($c->wait_status('green', 300, $n), "$what: green by itself");
    diag($n->get('/_cluster/allocation/explain')->{content});
    $_->{keep} = 1 for $c->nodes;
    return 0;
}

# Every copy of every shard has the same operations and documents.
sub copies_agree {
    my ($self, $index) = @_;
    my $bad = $self->{cluster}->copies_differ($index, $self->{replicas}, 300);
    ok(!$bad, "copies of $index are the same") or diag($bad);
}

sub ends {
    my ($self) = @_;
    my ($w, $r, $c) = @$self{qw(writers clients cluster)};
    $w->stop;
    $r->stop;
    $self->heals('in the end');
    for my $n (grep { $_->has_rest && "@{ $_->{roles} }" ne 'master' } $c->nodes) {
        my @wrong = $w->check($n);
        is(scalar @wrong, 0, "$n->{name} has everything acknowledged") or $self->wrong(@wrong);
    }
    my @wrong = $r->check;
    is(scalar @wrong, 0, 'histories of documents that many write are linearizable') or $self->wrong(@wrong);
    $self->copies_agree($_) for 'docs', 'registers';
    my $n = $r->{counts};
    diag($self->acked . " operations of one writer each acknowledged; of many: $n->{acked} writes acknowledged, $n->{unknown} unknown ($n->{seen} of them seen), $n->{refused} refused, $n->{reads} gets");
    my $why = $w->{reasons} || {};
    my %short;
    for (keys %$why) { (my $t = $_) =~ s/\[[^\]]*\]/[..]/g; $short{$t} += $why->{$_} }
    diag("$short{$_} times: $_") for sort { $short{$b} <=> $short{$a} } keys %short;
}

sub wrong {
    my ($self, @wrong) = @_;
    diag(join "\n", @wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)]);
    $_->{keep} = 1 for $self->{cluster}->nodes;
}

1;
