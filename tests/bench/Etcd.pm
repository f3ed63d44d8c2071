package Etcd;
# Etcd.pm: members of etcd on loopback, as Debian packages it and its documentation starts it; the peer of
# our masters. Taken from PATH, or fetched by apt-get and unpacked below a folder, without being installed.
#
#   my $why = Etcd::find('build/bench/peers');   # '' when it is there
#   my $e = Etcd->new(3); $e->start; $e->to; $e->pids; $e->leader; $e->kill9($i); $e->launch($i)
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Path qw(make_path remove_tree);
use File::Temp ();
use JSON::PP ();
use POSIX qw(WNOHANG);
use QdNode;

my ($server, $client, @all);

sub in_path { my ($p) = grep { -x } map { "$_/$_[0]" } split /:/, $ENV{PATH}; $p }

sub find {
    my ($dir) = @_;
    ($server, $client) = (in_path('etcd'), in_path('etcdctl'));
    return '' if $server && $client;
    make_path($dir);
    my $to = abs_path($dir) . '/etcd';
    if (!-x "$to/usr/bin/etcd" || !-x "$to/usr/bin/etcdctl") {
        make_path($to);
        system('sh', '-c', 'cd "$0" && apt-get -q download etcd-server etcd-client >apt.log 2>&1 && for f in *.deb; do dpkg -x $f . || exit 1; done', $to);
    }
    ($server, $client) = ("$to/usr/bin/etcd", "$to/usr/bin/etcdctl");
    return -x $server && -x $client ? '' : 'no etcd in PATH, and apt-get download etcd-server etcd-client failed';
}
sub version { (`$server --version` // '') =~ /^etcd Version: (\S+)/m; $1 // 'of unknown version' }

sub new {
    my ($class, $n) = @_;
    my $self = bless { dir => File::Temp::tempdir('qd-etcd-XXXXXX', TMPDIR => 1), members => [] }, $class;
    push @{ $self->{members} }, { name => "e$_", client => QdNode::free_port(), peer => QdNode::free_port() } for 1 .. $n;
    push @all, $self;
    return $self;
}

# Heartbeats of 100 ms and elections after 1,000 ms are what etcd starts with and what its page on tuning
# advises for one machine room; a disk of its own, as it advises too, is what nobody here has.
sub launch {
    my ($self, $i) = @_;
    my $m = $self->{members}[$i];
    my $peers = join ',', map { "$_->{name}=http://127.0.0.1:$_->{peer}" } @{ $self->{members} };
    my @command = ($server, '--name', $m->{name}, '--data-dir', "$self->{dir}/$m->{name}", '--heartbeat-interval', 100, '--election-timeout', 1000,
        '--listen-client-urls', "http://127.0.0.1:$m->{client}", '--advertise-client-urls', "http://127.0.0.1:$m->{client}",
        '--listen-peer-urls', "http://127.0.0.1:$m->{peer}", '--initial-advertise-peer-urls', "http://127.0.0.1:$m->{peer}",
        '--initial-cluster', $peers, '--initial-cluster-token', 'bench', '--initial-cluster-state', $m->{formed} ? 'existing' : 'new');
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$self->{dir}/$m->{name}.log";
        open STDERR, '>&', \*STDOUT;
        exec @command or POSIX::_exit(127);
    }
    @{$m}{qw(pid formed)} = ($pid, 1);
}
sub start { my ($self) = @_; $self->launch($_) for 0 .. $#{ $self->{members} }; $self->wait_healthy; return $self }

sub status { # of each member, by its place
    my ($self) = @_;
    my @s;
    for my $m (@{ $self->{members} }) {
        my $json = `ETCDCTL_API=3 $client --endpoints=127.0.0.1:$m->{client} --dial-timeout=1s --command-timeout=2s endpoint status -w json 2>/dev/null`;
        push @s, eval { JSON::PP::decode_json($json)->[0]{Status} };
    }
    return @s;
}
sub leader { # its place, -1 when they do not agree
    my ($self) = @_;
    my @s = $self->status;
    my %leaders = map { ($_ ? $_->{leader} // 0 : 0) => 1 } @s;
    my ($id) = keys %leaders;
    return -1 if keys %leaders != 1 || !$id;
    my ($at) = grep { $s[$_]{header}{member_id} == $id } 0 .. $#s;
    return $at // -1;
}
sub wait_healthy {
    my ($self) = @_;
    QdNode->wait_for(sub { $self->leader >= 0 }, 60, 0.1) or die "etcd did not form, see $self->{dir}\n";
}
sub to { my ($self, $without) = @_; join ',', map { "127.0.0.1:$self->{members}[$_]{client}" } grep { $_ != ($without // -1) } 0 .. $#{ $self->{members} } }
sub pids { map { $_->{pid} || () } @{ $_[0]{members} } }
sub reap { my ($self, $i) = @_; my $m = $self->{members}[$i]; if ($m->{pid}) { kill 'KILL', $m->{pid}; waitpid $m->{pid}, 0; delete $m->{pid} } }
sub stop { my ($self) = @_; $self->reap($_) for 0 .. $#{ $self->{members} }; remove_tree($self->{dir}) }

END { my $status = $?; $_->stop for @all; $? = $status }

1;
