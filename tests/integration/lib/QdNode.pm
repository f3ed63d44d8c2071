package QdNode;
# QdNode.pm: a node for a test: its own folder, free ports, start, stop, kill, requests, log slices.
# Core modules only. The folder is kept when the test fails.
#
#   my $node = QdNode->new('a', settings => {'search.max_buckets' => 10});
#   $node->start;
#   my $r = $node->get('/_cluster/health');      # {status, headers, content, json}
#   $node->post('/i/_doc', {field => 1});
#   $node->stop;                                 # SIGTERM, and its exit status must be 0
#   $node->kill9; $node->start;
use strict;
use warnings;
use Cwd qw(abs_path);
use Fcntl qw(LOCK_EX LOCK_NB);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Spec ();
use File::Temp ();
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP ();
use POSIX qw(WNOHANG);
use Socket ();
use Test::More ();
use Time::HiRes qw(sleep time);

# HTTP::Tiny sends head and body apart, and without this the body waits 40 ms for the head's receipt.
{
    no warnings 'redefine';
    my $connect = \&HTTP::Tiny::Handle::connect;
    *HTTP::Tiny::Handle::connect = sub {
        my $handle = $connect->(@_);
        setsockopt $handle->{fh}, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1;
        return $handle;
    };
}

my $top = abs_path(dirname(__FILE__) . '/../../..');
our $OUT = $ENV{QD_OUT} || "$top/build"; # another build of it, one with a sanitizer
my @wrap = split ' ', $ENV{QD_WRAP} || '';
# Settings for every node of every test: "key=value key=value", another kind of tier for one.
my %everywhere = map { split /=/, $_, 2 } split ' ', $ENV{QD_SETTINGS} || '';
my @nodes;

sub top { $top }
sub daemon { "$OUT/bin/quidditchd" }
sub qd { "$OUT/bin/qd" }

# A port that nobody listens on, below those which the kernel gives to clients: a node that is killed and
# started again finds it free, however many connections there are meanwhile. No other test that runs has it:
# a lock on a file of its number, until this process ends.
my ($port, %given) = (0);
sub free_port {
    my ($client) = slurp('/proc/sys/net/ipv4/ip_local_port_range') =~ /^(\d+)/;
    my ($low, $high) = (10240, $client && $client > 12000 ? $client : 32768);
    my $locks = File::Spec->tmpdir . "/qd-ports-$>";
    mkdir $locks;
    for (1 .. $high - $low) {
        $port = $port ? $port + 1 : $low + $$ * 37 % ($high - $low); # other tests begin elsewhere
        $port = $low if $port >= $high;
        next if $given{$port};
        open my $lock, '>>', "$locks/$port" or die "$locks/$port: $!";
        flock $lock, LOCK_EX | LOCK_NB or next;
        my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => $port) or next;
        $given{$port} = $lock;
        return $port;
    }
    die 'no free port';
}

sub new {
    my ($class, $name, %options) = @_;
    my $dir = File::Temp::tempdir("qd-$name-XXXXXX", TMPDIR => 1);
    my $self = bless {
        name => $name, dir => $dir, port => free_port(), transport => free_port(),
        settings => $options{settings} || {}, env => $options{env} || {}, wrap => $options{wrap} || [@wrap],
        keep => 0, host => $options{host} || '127.0.0.1',
    }, $class;
    push @nodes, $self;
    return $self;
}

sub url { "http://$_[0]{host}:$_[0]{port}" }
sub has_rest { my ($self) = @_; return ($self->{settings}{'http.port'} // 0) ne '-1' }

sub arguments {
    my ($self) = @_;
    my %s = (
        'node.name' => $self->{name}, 'cluster.name' => 'test', 'path.data' => "$self->{dir}/data",
        'path.logs' => "$self->{dir}/logs", 'logger.stderr' => 'false', 'http.port' => $self->{port},
        'http.shutdown_delay' => 0, 'transport.port' => $self->{transport}, %everywhere, %{$self->{settings}},
    );
    return map { ('-E', "$_=$s{$_}") } sort keys %s;
}

# Starts the process without waiting.
sub launch {
    my ($self) = @_;
    die "node $self->{name} runs already" if $self->{pid};
    $self->{log_from} = -s $self->log_file || 0;
    my @command = (@{$self->{wrap}}, $self->{daemon} || daemon(), '--config', $self->config_file, $self->arguments);
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my %env = %{$self->{env}};
        $ENV{$_} = $env{$_} for keys %env;
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$self->{dir}/stdout";
        open STDERR, '>>', "$self->{dir}/stderr";
        exec @command or POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    return $self;
}

sub config_file {
    my ($self) = @_;
    my $file = "$self->{dir}/quidditch.yml";
    if (!-f $file) { open my $f, '>', $file or die "$file: $!"; close $f }
    return $file;
}
sub log_file { "$_[0]{dir}/logs/" . ($_[0]{settings}{"cluster.name"} // "test") . ".log" }

# Starts and waits until it is ready (http: /ready answers; else the log says started).
sub start {
    my ($self, %o) = @_;
    $self->launch;
    my $ok = $self->wait_for(sub { $self->log_text =~ /\bstarted in \d+ ms/ }, $o{seconds} || 60);
    if (!$ok) {
        Test::More::diag("node $self->{name} did not start:\n" . $self->stderr_text . $self->log_text);
        $self->{keep} = 1;
        $self->kill9;
        die "node $self->{name} did not start\n";
    }
    return $self;
}

sub alive {
    my ($self) = @_;
    return 0 unless $self->{pid};
    return 1 if waitpid($self->{pid}, WNOHANG) == 0;
    $self->{status} = $?;
    delete $self->{pid};
    return 0;
}

# Waits for its end; the exit status, or -1 when it took too long.
sub wait_end {
    my ($self, $seconds) = @_;
    return -1 unless QdNode->wait_for(sub { !$self->alive }, $seconds || 60);
    return $self->{status} >> 8 | ($self->{status} & 127) << 8;
}

# Whoever is stopped (STOP) stands when this returns: on a busy machine its threads go on for a moment.
sub signal {
    my ($self, $signal) = @_;
    my $pid = $self->{pid} or return 0;
    my $sent = kill $signal, $pid;
    $self->wait_for(sub { !grep { slurp($_) =~ /\) [^TtXZ] / } glob "/proc/$pid/task/*/stat" }) if $signal eq 'STOP';
    return $sent;
}

sub stop {
    my ($self) = @_;
    return 0 unless $self->{pid};
    $self->signal('TERM');
    my $status = $self->wait_end;
    if ($status == -1) { $self->kill9; Test::More::fail("node $self->{name} stops on SIGTERM") }
    elsif ($status)    { Test::More::is($status, 0, "node $self->{name} ends with status 0") }
    return $status;
}

sub kill9 { my ($self) = @_; $self->signal('KILL'); $self->wait_end }
sub restart { my ($self) = @_; $self->stop; $self->start }

sub slurp { open my $f, '<:raw', $_[0] or return ''; local $/; my $t = <$f>; $t // '' }

# What was logged since the last start.
sub log_text {
    my ($self) = @_;
    return substr(slurp($self->log_file), $self->{log_from} || 0);
}
sub stderr_text { slurp("$_[0]{dir}/stderr") }

# Polls until the condition holds; false after so many seconds, or when the node ended meanwhile. Where no
# node is meant: QdNode->wait_for(...). This is how tests wait, for anything.
sub wait_for {
    my ($self, $condition, $seconds, $every) = @_;
    my $end = time + ($seconds || 30);
    while (time < $end) {
        return 1 if $condition->();
        return $condition->() ? 1 : 0 if ref $self && $self->{pid} && !$self->alive;
        sleep($every || 0.02);
    }
    return 0;
}

# One request; body may be text or a structure (sent as JSON). The answer's json is set when it is.
sub request {
    my ($self, $method, $path, $body, %headers) = @_;
    $self->{http} ||= HTTP::Tiny->new(timeout => 120, keep_alive => 1);
    my %o = (headers => {%headers});
    if (defined $body) {
        $o{content} = ref $body ? JSON::PP->new->utf8->canonical->encode($body) : $body;
        $o{headers}{'content-type'} //= $path =~ /_bulk|_msearch/ ? 'application/x-ndjson' : 'application/json';
    }
    my $r = $self->{http}->request($method, $self->url . $path, \%o);
    $r->{json} = eval { JSON::PP->new->utf8->decode($r->{content}) } if ($r->{headers}{'content-type'} // '') =~ /json/;
    return $r;
}
sub get    { my $s = shift; $s->request('GET',    @_) }
sub head   { my $s = shift; $s->request('HEAD',   @_) }
sub put    { my $s = shift; $s->request('PUT',    @_) }
sub post   { my $s = shift; $s->request('POST',   @_) }
sub delete { my $s = shift; $s->request('DELETE', @_) }

# Ends it and removes its folder now, whatever else fails.
sub forget {
    my ($self) = @_;
    $self->kill9 if $self->{pid};
    remove_tree($self->{dir});
    @nodes = grep { $_ != $self } @nodes;
}

# Runs qd with arguments: (status, output of both streams).
sub run_qd {
    my ($self, @args) = @_;
    open my $p, '-|', 'sh', '-c', 'exec "$0" "$@" 2>&1', qd(), @args or die "qd: $!";
    local $/;
    my $out = <$p>;
    close $p;
    return ($? >> 8, $out // '');
}

END {
    my $status = $?;
    for my $n (@nodes) {
        $n->kill9 if $n->{pid};
        my ($found) = $n->stderr_text =~ /((?:WARNING: Thread|ERROR: \w+)Sanitizer.{0,6000}|\S+: runtime error: .{0,2000})/s;
        if (defined $found) { Test::More::diag("node $n->{name}: $found"); $status ||= 1 }
        my $passing = $status == 0 && Test::More->builder->is_passing && !$n->{keep};
        if ($passing) { remove_tree($n->{dir}) }
        else          { Test::More::diag("node $n->{name}: kept in $n->{dir}") }
    }
    $? = $status;
}

1;
