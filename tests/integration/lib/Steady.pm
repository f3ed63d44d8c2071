package Steady;
# Steady.pm: clients that send requests of one kind each, one after the other, through what a cluster goes
# through, and write down which of them failed.
#
#   my $clients = Steady->new($dir, index => 't', ids => 200);
#   $clients->add('write', $node);             # write, get (of documents k1 ... k<ids>), search, state
#   $clients->add('get', $node, @others);      # at a node that stops: the next one, as a balancer does
#   ok($clients->go_on);                       # each of them has had ten more answers
#   my ($done, @wrong) = $clients->end;        # how many were answered; in words what failed
use strict;
use warnings;
use HTTP::Tiny;
use POSIX ();
use QdNode;

sub new {
    my ($class, $dir, %o) = @_;
    return bless { dir => $dir, name => 'steady', index => 't', ids => 200, files => [], pids => [], owner => $$, life => 0, %o }, $class;
}
sub DESTROY { my ($self) = @_; local $?; kill 'KILL', @{ $self->{pids} } if $self->{owner} == $$ }

sub add {
    my ($self, $kind, @nodes) = @_;
    my $k = "$self->{life}-" . @{ $self->{files} };
    my $file = "$self->{dir}/$self->{name}-$k";
    open my $answers, '>', "$file.answers" or die "$file.answers: $!";
    $answers->autoflush(1);
    my $pid = fork // die "fork: $!";
    if (!$pid) { $self->client($k, $kind, $file, $answers, @nodes); POSIX::_exit(0) }
    push @{ $self->{files} }, $file;
    push @{ $self->{pids} }, $pid;
}

# A byte for each answer. Where there is another node to go to, /ready is looked at first.
sub client {
    my ($self, $k, $kind, $file, $answers, $at, @others) = @_;
    my $run = 1;
    local $SIG{TERM} = sub { $run = 0 };
    my $http = HTTP::Tiny->new(timeout => 60, keep_alive => $k =~ /[13579]$/ ? 1 : 0);
    my $index = "/$self->{index}";
    my ($done, %wrong) = (0);
    for (my $i = 0; $run; $i++) {
        if (@others && $http->get($at->url . '/ready')->{status} == 503) { $at = shift @others; redo }
        my %json = (headers => { 'content-type' => 'application/json' });
        my $r = $kind eq 'write' ? $http->request('PUT', $at->url . "$index/_doc/$self->{name}-$k-$i", { %json, content => qq({"n":$i}) })
            : $kind eq 'get'     ? $http->get($at->url . "$index/_doc/k" . (1 + $i % $self->{ids}))
            : $kind eq 'search'  ? $http->get($at->url . "$index/_search?size=1&allow_partial_search_results=false")
            :                      $http->request('PUT', $at->url . "$index/_settings", { %json, content => qq({"index.priority":$i}) });
        $r->{status} =~ /^2/ ? $done++ : $wrong{"$r->{status} " . substr $r->{content}, 0, 300}++;
        print $answers '.';
    }
    open my $out, '>', $file or POSIX::_exit(1);
    print $out "$done\n", map { "$kind at $at->{name} $wrong{$_} times: $_\n" } sort keys %wrong;
    close $out;
}

sub go_on {
    my ($self, $seconds) = @_;
    my @files = map { "$_.answers" } @{ $self->{files} };
    my @from = map { -s $_ || 0 } @files;
    return QdNode->wait_for(sub { !grep { (-s $files[$_] || 0) < $from[$_] + 10 } 0 .. $#files }, $seconds || 120);
}

sub end {
    my ($self) = @_;
    kill 'TERM', @{ $self->{pids} };
    waitpid $_, 0 for @{ $self->{pids} };
    my ($done, @wrong) = (0);
    for my $file (@{ $self->{files} }) {
        my ($first, @rest) = split /^/, QdNode::slurp($file);
        push @wrong, defined $first ? @rest : "$file: the client ended early\n";
        $done += $first // 0;
    }
    @$self{qw(files pids)} = ([], []);
    $self->{life}++;
    return ($done, @wrong);
}

1;
