#!/usr/bin/perl
# rest.pl: what the REST front-end costs next to nginx: CPU time of the server for a request, by turns in one
# run. Figures only, nothing is asserted; writes build/bench/performance-rest.md.
#
#   rest.pl [--rounds 5] [--requests 60000] [--clients 32] [--no-write]
#
# nginx (Debian's, not running: only its program is used) answers with the body that our GET / has and headers
# like its: one worker, keep-alive without an end, no access log. It and the node stand on the first of the
# CPUs, the client, which never sleeps, on the last: a server that is slower would else pay for waking it. A server's CPU time is user and system time of all threads of the process that
# serves, of /proc. The figures are medians of the rounds; a ratio is the median of the rounds' ratios.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__), dirname(__FILE__) . '/../integration/lib';
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Parts qw(report);
use QdNode;
use Test::More ();

my %o = (rounds => 5, requests => 60000, clients => 32);
while (@ARGV) {
    my $a = shift;
    if    ($a eq '--no-write')                      { $o{nowrite} = 1 }
    elsif ($a eq '--docs' || $a eq '--catalogue')   { shift }               # run.pl gives them to all
    elsif ($a =~ /^--(rounds|requests|clients)$/)   { $o{$1} = shift }
    else                                            { die "unknown option $a\n" }
}
my $load = "$QdNode::OUT/tests/bench/load";
my $cores = () = QdNode::slurp('/proc/cpuinfo') =~ /^processor\s*:/mg;
my ($nginx) = grep { -x } map { "$_/nginx" } split(/:/, $ENV{PATH} || ''), '/usr/sbin';
my $tick = POSIX::sysconf(POSIX::_SC_CLK_TCK());

sub median { (sort { $a <=> $b } @_)[@_ / 2] }
sub pin { my ($pid, $cpu) = @_; return if $cores < 2; system("taskset -acp $cpu $pid >/dev/null") == 0 or die "taskset: $?\n" }

sub cpu_s { # user and system time of a process so far
    my ($pid) = @_;
    my @f = split ' ', QdNode::slurp("/proc/$pid/stat") =~ s/.*\) //sr;
    return ($f[11] + $f[12]) / $tick;
}

# One burst of requests: CPU microseconds of the server a request, p50 and p99 in microseconds.
sub burst {
    my ($who, $what) = @_;
    my $n = $o{requests} * ($what->{pipeline} || 1) ** 0.5;
    my @command = ($cores < 2 ? () : ('taskset', '-c', $cores - 1), $load, 'http', '--to', "127.0.0.1:$who->{port}",
        '--clients', $what->{clients} || $o{clients}, '--warm', 0, '--spin', 1, '--seconds', 600, '--requests', int $n, '--method', $what->{method} || 'GET',
        '--path', $what->{path} || '/', '--pipeline', $what->{pipeline} || 1, $what->{body} ? ('--body', $what->{body}) : ());
    my $before = cpu_s($who->{pid});
    open my $p, '-|', @command or die "$load: $!\n";
    my $r = JSON::PP::decode_json(do { local $/; <$p> } || '{}');
    close $p or die "$load failed: $r->{error}\n";
    die "$r->{bad} requests failed, $r->{lost} connections were lost: $r->{error}\n" if $r->{bad} || $r->{lost};
    return { us => 1e6 * (cpu_s($who->{pid}) - $before) / $r->{good}, p50 => 1000 * $r->{p50_ms}, p99 => 1000 * $r->{p99_ms} };
}

my $folder = File::Temp::tempdir('qd-nginx-XXXXXX', TMPDIR => 1, CLEANUP => 1);

sub start_nginx {
    my ($body) = @_;
    my $port = QdNode::free_port();
    $body =~ s/(["\\])/\\$1/g;
    open my $f, '>', "$folder/nginx.conf" or die "$folder: $!\n";
    print $f <<"END";
daemon off; worker_processes 1; pid $folder/pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off; server_tokens off; keepalive_requests 1000000000; keepalive_timeout 300s; tcp_nodelay on;
  client_body_temp_path $folder/b; proxy_temp_path $folder/p; fastcgi_temp_path $folder/f; uwsgi_temp_path $folder/u; scgi_temp_path $folder/s;
  server {
    listen 127.0.0.1:$port backlog=1024;
    location / { default_type application/json; add_header X-elastic-product Elasticsearch; return 200 "$body"; }
  }
}
END
    close $f;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) { exec $nginx, '-p', $folder, '-c', "$folder/nginx.conf", '-e', 'stderr' or POSIX::_exit(127) }
    my $worker;
    QdNode->wait_for(sub { ($worker) = split ' ', QdNode::slurp("/proc/$pid/task/$pid/children"); $worker }, 10, 0.01)
        or die "nginx did not start\n";
    return { port => $port, pid => $worker, master => $pid };
}

my $n = QdNode->new('bench-rest', settings => {'logger.level' => 'warn'});
$n->{log_from} = 0;
$n->launch;
$n->wait_for(sub { ($n->get('/ready')->{status} // 0) == 200 }, 60, 0.05) or die "the node is not ready\n";
$n->put('/tiny', {settings => {number_of_shards => 1, number_of_replicas => 0, 'index.requests.cache.enable' => JSON::PP::false()}});
$n->post("/tiny/_doc/$_", {title => "document $_ of a small index", n => $_}) for 1 .. 20;
$n->post('/tiny/_forcemerge?max_num_segments=1'); # as an index that nobody writes to becomes
$n->post('/tiny/_refresh');
my $search = '{"size":1,"query":{"match":{"title":"small"}}}';
my $found = $n->post('/tiny/_search', JSON::PP::decode_json($search));
die "the search found nothing: $found->{content}\n" unless $found->{json}{hits}{total}{value} == 20;
my $ours = { name => 'quidditch', port => $n->{port}, pid => $n->{pid} };
my @servers = ($ours);
if ($nginx) { my $peer = start_nginx($n->get('/')->{content}); $peer->{name} = 'nginx'; unshift @servers, $peer }
else        { print STDERR "\n*** nginx is not installed (Debian: nginx-light): figures of ours alone, without ratios ***\n\n" }
pin($_->{pid}, 0) for @servers;

my @what = (
    { name => 'GET /' },
    { name => 'GET /, 16 pipelined', pipeline => 16 },
    { name => 'GET a document', path => '/tiny/_doc/7', ours => 1 },
    { name => 'a trivial search', method => 'POST', path => '/tiny/_search', body => $search, ours => 1 },
    { name => 'GET /, one connection', clients => 1 },
    { name => 'a trivial search, one connection', method => 'POST', path => '/tiny/_search', body => $search, ours => 1, clients => 1 },
);
my %got;
for my $round (0 .. $o{rounds}) { # the first one warms up
    for my $w (@what) {
        for my $s (@servers) {
            next if $w->{ours} && $s != $ours;
            my $b = burst($s, $w);
            push @{ $got{ $w->{name} }{ $s->{name} } }, $b if $round;
        }
    }
}
kill 'QUIT', $_->{master} for grep { $_->{master} } @servers;
$n->stop;

sub ratio { # of requests a CPU second, ours to nginx's
    my ($ours_of, $nginx_of) = @_;
    my ($a, $b) = ($got{$ours_of}{quidditch}, $got{$nginx_of}{nginx} || return undef);
    return median(map { $b->[$_]{us} / $a->[$_]{us} } 0 .. $#$a);
}
my @targets = (
    ['GET /', 'GET /', 0.9], ['GET /, 16 pipelined', 'GET /', 4], ['GET /, 16 pipelined', 'GET /, 16 pipelined', undef],
    ['GET a document', 'GET /', undef], ['a trivial search', 'GET /', 0.4],
);
my $page = "| server | requests | CPU µs a request | p50 µs | p99 µs |\n|---|---|---|---|---|\n";
for my $w (@what) {
    for my $s (@servers) {
        my $b = $got{ $w->{name} }{ $s->{name} } or next;
        $page .= sprintf "| %s | %s | %.1f | %.0f | %.0f |\n", $s->{name}, $w->{name}, map { my $k = $_; median(map { $_->{$k} } @$b) } qw(us p50 p99);
    }
}
if ($nginx) {
    $page .= "\n| requests a CPU second | to nginx's | ratio | target |\n|---|---|---|---|\n";
    $page .= sprintf "| %s | %s | %.2f | %s |\n", $_->[0], $_->[1], ratio(@$_[0, 1]), $_->[2] ? ">= $_->[2]" : '' for @targets;
}
print $page;
exit 0 if $o{nowrite} || !$nginx;
my ($version) = `$nginx -v 2>&1` =~ m{nginx/(\S+)};
report('rest', "# What a request costs\n\nWritten by `make bench PART=rest` (tests/bench/rest.pl) on $cores cores, next to nginx $version with one\n"
    . "worker that answers `return 200` with the same body. $o{clients} connections where nothing else is said, medians of\n"
    . "$o{rounds} rounds; the search (match on an index of 20 documents, one hit with its source) is not cached. CPU time\n"
    . "is user and system time of the server's process, all threads.\n\n$page");
