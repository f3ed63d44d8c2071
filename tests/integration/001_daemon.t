#!/usr/bin/perl
# 001_daemon.t: the daemon as a person meets it: help, settings refused with their place, one process
# for a data folder, clean stop, reload, permissions.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

our @environment;
sub daemon {
    my (@args) = @_;
    # env: a shell would drop variables with a dot in their name
    open my $p, '-|', 'sh', '-c', 'exec env "$@" 2>&1', 'sh', @environment, QdNode::daemon(), @args or die;
    local $/;
    my $out = <$p> // '';
    close $p;
    return ($? >> 8, $out);
}

my ($rc, $out) = daemon('--version');
is($rc, 0, '--version');
like($out, qr/^quidditch \d+\.\d+\.\d+\n$/, 'prints the version');
($rc, $out) = daemon('--help');
is($rc, 0, '--help');
like($out, qr/--config FILE/, 'tells the options');
($rc, $out) = daemon('--nope');
is($rc, 64, 'an unknown option is refused');
like($out, qr/unknown option --nope/, 'with its name');

my $node = QdNode->new('a');
my $file = $node->config_file;
sub config { open my $f, '>', $file or die; print $f shift; close $f }

config("http:\n  prot: 1\n");
($rc, $out) = daemon('--check-config', '--config', $file);
is($rc, 78, 'an unknown setting stops the start');
like($out, qr/unknown setting \[http\.prot\] did you mean \[http\.port\]\? \(\Q$file\E, line 2\)/,
    'with the nearest name and the line');
config("network.host: 0.0.0.0\n");
($rc, $out) = daemon('--check-config', '--config', $file);
is($rc, 78, 'listening beyond loopback needs a word');
like($out, qr/security\.enabled: false/, 'and is told which');
config("network.host: 0.0.0.0\nsecurity.enabled: false\n");
($rc, $out) = daemon('--check-config', '--config', $file);
is($rc, 0, 'with the word it is fine') or diag $out;
{
    local $ENV{REST_PORT} = 'x';
    ($rc, $out) = daemon('--check-config', '--config', $file);
    like($out, qr/\[x\] for setting \[http\.port\] \(environment variable REST_PORT\)/,
        'a bad environment variable is named');
}

sub checked { return daemon('--check-config', '--config', $file, map { ('-E', $_) } @_) }
config('');
{
    local @environment = ('cluster.nmae=x');
    ($rc, $out) = checked();
    is($rc, 78, 'an unknown setting in the environment stops the start');
    like($out, qr/unknown setting \[cluster\.nmae\] did you mean \[cluster\.name\]\? \(environment\)/, 'with the nearest name');
}
{
    local @environment = ('http.port=y');
    like((checked())[1], qr/\[y\] for setting \[http\.port\] \(environment\)/, 'one known by its name is read');
    is((checked('http.port=0'))[0], 0, '... and a flag goes before it');
}
# Addresses and ports.
for ([qw(http.port transport.port)], [qw(metrics.port http.port)], [qw(transport.port transport.rpc_port)]) {
    my ($one, $other) = @$_;
    ($rc, $out) = checked("$one=9277", "$other=9277");
    is($rc, 78, "$one and $other are one port");
    like($out, qr/$one and $other are both 9277|$other and $one are both 9277/, '... which is said');
}
is((checked('http.port=9277', 'transport.port=9277', 'transport.host=127.0.0.2'))[0], 0, 'one port on two addresses is fine');
is((checked('http.port=9300', 'transport.port=9300-9301'))[0], 0, '... and a range has others');
($rc, $out) = checked('network.host=_nosuch0_', 'security.enabled=false');
is($rc, 78, 'an interface that is not there');
like($out, qr/\[_nosuch0_\]: this machine has no such address/, '... is told');
# What plugins know is checked too.
($rc, $out) = checked('plugin.coordination-raft.histroy=1mb');
is($rc, 78, 'an unknown setting of a plugin stops the start');
like($out, qr/histroy\], did you mean \[plugin\.coordination-raft\.history\]/, 'with the nearest name');
($rc, $out) = checked('storage.tiers.cold.plugin=storage-nowhere');
is($rc, 78, 'a tier without its plugin too');
like($out, qr/storage\.tiers\.cold wants storage \[storage-nowhere\]/, 'and is named');
like((checked('coordination.plugin=nobody'))[1], qr/coordination\.mode wants coordination \[nobody\]/, 'a missing store too');
($rc, $out) = daemon('--config', $file, '-E', "path.data=$node->{dir}/other", '-E', 'http.port=0', '-E', 'storage.tiers.hot.pth=x');
isnt($rc, 0, 'an unknown option of a tier stops the start');
like($out, qr/storage\.tiers\.hot\.pth: unknown option/, 'and is named');

config("logger.level: info\n");
$node->start;
ok($node->alive, 'the node runs');
is((stat "$node->{dir}/data")[2] & 07777, 0700, 'path.data is private');
is((stat $node->log_file)[2] & 07777, 0600, 'the log is private');
($rc, $out) = daemon('--config', $file, '-E', "path.data=$node->{dir}/data");
isnt($rc, 0, 'a second node on the same folder is refused');
like($out, qr/held by the process with pid $node->{pid}\b/, 'with the pid of the first');

config("logger.level: debug\nhttp.port: 1\n");
rename $node->log_file, $node->log_file . '.1';
$node->{log_from} = 0;
$node->signal('HUP');
ok($node->wait_for(sub { $node->log_text =~ /a restart is needed for http\.port/ }),
    'SIGHUP reopens the log, reads the settings, and names what needs a restart');
config("loger.level: debug\n");
$node->signal('HUP');
ok($node->wait_for(sub { $node->log_text =~ /settings are kept as they were: unknown setting \[loger\.level\]/ }),
    'bad settings do not end the node');
ok($node->alive, 'it goes on');
is($node->stop, 0, 'SIGTERM ends it with status 0');
config('');
$node->start;
QdNode->wait_for(sub { $node->signal('TERM'); !$node->alive }, 60);
is($node->{status}, 0, '... however many come until its end');
$node->start;
$node->signal('INT');
is($node->wait_end, 0, 'SIGINT too');
$node->start;
$node->kill9;
$node->start;
ok($node->alive, 'after a kill it starts again on the same folder');
$node->stop;

# A data folder behind a link is one like others, and is looked at like others.
mkdir "$node->{dir}/behind", 0700;
symlink "$node->{dir}/behind", "$node->{dir}/link";
my $linked = QdNode->new('l', settings => {'path.data' => "$node->{dir}/link"});
$linked->start;
is($linked->put('/books/_doc/1', {a => 1})->{status}, 201, 'path.data may be a link');
$linked->restart;
unlike($linked->log_text, qr/WARN.*coordination/, '... and all of it is opened');
is($linked->stop, 0, '... and closed');
chmod 0777, "$node->{dir}/behind";
($rc, $out) = daemon('--config', $file, '-E', "path.data=$node->{dir}/link", '-E', 'http.port=0');
like($out, qr{behind\] is writable by others \(mode 0777\)}, 'but not to a folder that is open to others');

# Several addresses, one port.
my $two = QdNode->new('t', settings => {'network.host' => '127.0.0.1,127.0.0.2,127.0.0.1'});
$two->start;
is(HTTP::Tiny->new->get("http://$_:$two->{port}/")->{status}, 200, "it listens on $_") for '127.0.0.1', '127.0.0.2';
is($two->stop, 0, '... and stops');
my @many = map { "127.0.0.$_" } 1 .. 16;
my $many = QdNode->new('t16', settings => {'network.host' => join(',', @many)});
$many->start;
is(HTTP::Tiny->new->get("http://$_:$many->{port}/")->{status}, 200, "it listens on $_") for @many[0, 15];
is($many->stop, 0, '... and stops');
($rc, $out) = daemon('--config', $file, '-E', "path.data=$node->{dir}/other2", '-E', 'network.host=' . join(',', @many, '127.0.0.17'));
like($out, qr/network\.host: more than 16 addresses/, 'more addresses than there is room for');
($rc, $out) = daemon('--config', $file, '-E', "path.data=$node->{dir}/other2", '-E', 'network.host=_nosuch0_', '-E', 'security.enabled=false');
like($out, qr/\[_nosuch0_\]: this machine has no such address/, 'an interface that is not there');

my $json = QdNode->new('j', settings => {'logger.format' => 'json'});
$json->{wrap} = [];
$json->launch;
ok($json->wait_for(sub { QdNode::slurp("$json->{dir}/logs/test_server.json") =~ /started in/ }), 'a log of JSON lines');
my @lines = split /\n/, QdNode::slurp("$json->{dir}/logs/test_server.json");
my @bad = grep { !eval { JSON::PP->new->utf8->decode($_)->{'@timestamp'} } } @lines;
is(scalar @bad, 0, 'each line is an object with a time');
$json->stop;

# --- the log of a container: JSON on standard output, each line an object, whatever it says
{
    my $n = QdNode->new('c', settings => {'path.logs' => '', 'node.name' => 'c"\xe4\x01'}, env => {QUIDDITCH_CONTAINER => 1});
    my $up = sub { my $text = QdNode::slurp("$n->{dir}/stdout"); $text =~ /started in \d+ ms/ };
    $n->launch;
    ok(QdNode->wait_for($up, 60), 'a node in a container starts');
    is($n->stop, 0, '... and stops');
    my @lines = split /^/, QdNode::slurp("$n->{dir}/stdout");
    my @bad = grep { !eval { JSON::PP->new->utf8->decode($_)->{message} } } @lines;
    ok(@lines > 1 && !@bad, 'every line on standard output is JSON') or diag @lines;
    is($n->stderr_text, '', 'and nothing stands on standard error');
    $n->{settings}{'logger.format'} = 'text';
    unlink "$n->{dir}/stdout";
    $n->launch;
    QdNode->wait_for($up, 60);
    $n->stop;
    like(QdNode::slurp("$n->{dir}/stdout"), qr/^\[\S+\]\[INFO \]\[main/m, 'a setting wins over what the image says');
    my ($s, $text) = daemon('--check-config', '-E', 'logger.stream=nowhere');
    is($s, 78, 'another stream is refused');
}
# --- logger.stderr beside a file, switched while the node runs
{
    my $n = QdNode->new('e', wrap => [$^X, '-e', 'exec map { s/^logger\.stderr=.*/node.attr.x=1/r } @ARGV']);
    my $write = sub { open my $f, '>', $n->config_file or die; print $f "logger.stderr: $_[0]\n"; close $f };
    $write->('false');
    $n->start;
    is($n->stderr_text, '', 'logger.stderr: false');
    for my $on (qw(true false)) {
        $write->($on);
        my $before = () = $n->log_text =~ /\] reloaded/g;
        $n->signal('HUP');
        ok(QdNode->wait_for(sub { (() = $n->log_text =~ /\] reloaded/g) > $before }, 30), "SIGHUP with $on");
    }
    $n->stop;
    like($n->stderr_text, qr/\] reloaded$/m, 'lines stand there while it was true');
    unlike($n->stderr_text, qr/stopped$/m, 'and not any more afterwards');
}
done_testing;
