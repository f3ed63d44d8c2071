#!/usr/bin/perl
# 433_completion.t: completions of shells, manual pages and quidditch-setup know what the programs know.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use QdNode;
use Test::More;

my $top = QdNode::top();
my $bin = "$QdNode::OUT/bin";
local $ENV{PATH} = "$bin:$ENV{PATH}";
my $dir = tempdir('qd-completion-XXXXXX', TMPDIR => 1, CLEANUP => 1);

# What bash offers for a line that ends with the word to be completed.
sub offered {
    my (@words) = @_;
    my $line = join ' ', map { "'$_'" } @words;
    return split /\n/, `bash -c 'source <(qd completion bash); COMP_WORDS=($line); COMP_CWORD=$#words; _$words[0]; printf "%s\\n" "\${COMPREPLY[\@]}"'`;
}
my @commands = sort map { /^(\S+)/ } `qd completion words`;
is_deeply([sort(offered('qd', ''))], \@commands, 'bash offers the commands');
my %listed = map { /^  (\S+)/ ? ($1 => 1) : () } (split /\n\n/, `qd --help`)[1] =~ /.+/g;
is_deeply([sort keys %listed], \@commands, 'which are those of qd --help');
is_deeply([offered('qd', 'node', 'sto')], ['stop'], 'a word of a command');
is_deeply([sort(offered('qd', 'node', 'stop', '--'))], [sort qw(--reason --holder --expires --timeout --pidfile --url)], 'the options of that word');
is_deeply([offered('quidditchd', '--check')], ['--check-config'], 'options of the node');
is_deeply([offered('quidditchd', '-E', 'cluster.nam')], ['cluster.name='], 'names of settings');
my @silent = grep { !`qd completion words $_` } @commands;
is("@silent", '', 'something is offered behind each command');
for my $shell (qw(zsh fish)) {
    ok(`qd completion $shell` =~ /qd completion words/, "there is a script for $shell");
  SKIP: {
        skip "SKIPPED: $shell is not installed, its script is not parsed", 1 if system("command -v $shell >/dev/null") != 0;
        system("qd completion $shell > '$dir/$shell'");
        is(system("$shell -n '$dir/$shell'"), 0, "$shell parses it");
    }
}
is(system('qd completion tcsh 2>/dev/null') >> 8, 64, 'another shell is refused');

# Manual pages
is(system("$top/deploy/packages/manpages '$bin' '$dir' '$top/deploy/packages/quidditch-setup'"), 0, 'manual pages are made');
my $qd = QdNode::slurp("$dir/qd.1");
is_deeply([sort $qd =~ /^\.SS (\S+)/mg], \@commands, 'qd(1) has each command');
my @settings = map { /^#?([a-z][\w.]*(?:NAME)?):/ ? $1 : () } split /\n/, `qd config list --yaml`;
cmp_ok(scalar @settings, '>', 100, 'there are settings');
my $yml = QdNode::slurp("$dir/quidditch.yml.5") =~ s/\\-/-/gr;
my @lost = grep { $yml !~ /^\.B \Q$_\E(?:\\fR|$)/m } @settings;
is("@lost", '', 'quidditch.yml(5) has each setting');
SKIP: {
    skip 'SKIPPED: man is not installed, the pages are not rendered', 1 if system('command -v man >/dev/null') != 0;
    my $warnings = join '', map { `LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z '$_' 2>&1 >/dev/null` } glob "$dir/*.[158]";
    is($warnings, '', 'they render without warnings');
}

# quidditch-setup, as far as it needs no service
my $file = "$dir/etc.yml";
sub setup {
    my ($line) = @_;
    my $said = `'$top/deploy/packages/quidditch-setup' --config '$file' --no-start $line 2>&1 </dev/null`;
    return ($? >> 8, $said);
}
sub refused {
    my ($line, $status, $why) = @_;
    my @r = setup($line);
    is($r[0], $status, "$line is refused");
    like($r[1], $why, 'with the reason');
}
refused('', 64, qr/say --new or --join/);
refused('--new --join h', 64, qr/exclude each other/);
refused('--new --listen 192.0.2.1', 78, qr/neither TLS nor passwords: add --accept-no-security/);
refused('--join 192.0.2.1', 78, qr/called back by the others: add --listen/);
refused('--join 127.0.0.1:1', 1, qr/no node answers at 127\.0\.0\.1:1/);
refused("--new --cluster 'a: b'", 64, qr/--cluster \[a: b\] has a character/);
refused('--new --masters a,b,c', 64, qr/--seeds/);
refused('--new --node z --masters a,b,c --seeds h', 64, qr/this node is \[z\], which is not among/);
refused("--new --data /$_/x", 78, qr{nothing below /$_:}) for qw(home root);
refused('--new --data /srv/../home/x', 64, qr{/srv/\.\./home/x\] has a \.\. in it});
refused('--new --http-port 99999', 78, qr/nothing is changed: .*http\.port/);
ok(!-e $file, 'and no file is written');
is((setup('--new --cluster books --node n1'))[0], 0, 'a new cluster on this machine only');
my $first = QdNode::slurp($file);
like($first, qr/^cluster\.name: books\nnode\.name: n1$/m, 'its settings');
unlike($first, qr/network\.host|security/, 'it listens on loopback');
open my $f, '>>', $file or die;
print $f "node.attr.zone: z1\n";
close $f;
is((setup('--new --masters n1,n2,n3 --seeds 192.0.2.1,192.0.2.2:9301 --listen 192.0.2.1 --accept-no-security'))[0], 0, 'three nodes by name');
my $three = QdNode::slurp($file);
like($three, qr/^$_$/m, "it says $_")
    for 'cluster\.name: books', 'node\.name: n1', 'node\.attr\.zone: z1', 'network\.host: \[192\.0\.2\.1\]', 'security\.enabled: false',
    'cluster\.initial_master_nodes: \[n1, n2, n3\]', 'discovery\.seed_hosts: \[192\.0\.2\.1, "192\.0\.2\.2:9301"\]';
is(() = $three =~ /^cluster\.name/mg, 1, 'each setting once');
like(QdNode::slurp("$file.old"), qr/^node\.attr\.zone: z1$/m, 'the former file is kept');
like((setup('--new --dry-run'))[1], qr/^node\.attr\.zone: z1$/m, 'a dry run prints');
is(QdNode::slurp($file), $three, 'and changes nothing');

is((setup('--join [2001:db8::1]:9301,2001:db8::2,h3 --listen [2001:db8::9] --accept-no-security --no-probe'))[0], 0, 'addresses of IPv6');
like(QdNode::slurp($file), qr/^$_$/m, "it says $_") for 'network\.host: \["\[2001:db8::9\]"\]', 'discovery\.seed_hosts: \["\[2001:db8::1\]:9301", "2001:db8::2", h3\]';
refused('--join [::1]:1', 1, qr/no node answers at ::1:1/);

# A node that the package started has formed a cluster alone: with others it begins anew, once.
mkdir "$dir/data";
open $f, '>', "$dir/data/node.json" or die;
close $f;
open $f, '>', $file or die;
print $f "cluster.name: quidditch\npath.data: $dir/data\n";
close $f;
my $together = '--new --node n1 --masters n1,n2,n3 --seeds 192.0.2.1,192.0.2.2 --listen 192.0.2.1 --accept-no-security';
my ($made, $told) = setup($together);
is($made, 0, 'masters that form a cluster together') or diag $told;
like($told, qr{data of the former cluster are in \Q$dir\E/data\.aside-}, 'do not bring the ones that they formed alone');
mkdir "$dir/data";
open $f, '>', "$dir/data/node.json" or die;
close $f;
unlike((setup($together))[1], qr/aside/, 'once more: the data of the cluster that they formed stay');
ok(-f "$dir/data/node.json", '... where they are');
system("mkdir -p '$dir/data/hot/indices/abc'");
is((setup($together =~ s/n3/n4/r))[0], 1, 'nor are indices left behind');

# With a terminal it asks.
sub asked {
    my (@answers) = @_;
    open my $f, '>', "$dir/answers" or die;
    print $f map { "$_\n" } @answers;
    close $f;
    my $said = `script -qec "'$top/deploy/packages/quidditch-setup' --config '$dir/asked.yml' --no-start --no-probe" /dev/null <'$dir/answers' 2>&1`;
    return ($? >> 8, $said);
}
SKIP: {
    skip 'SKIPPED: script is not installed, nothing is asked', 4 if system('command -v script >/dev/null') != 0;
    like((asked(1, 'books', 'n1', '192.0.2.1', 'yes'))[1], qr/nothing is changed/, 'who does not type the word opens nothing');
    ok(!-e "$dir/asked.yml", 'and gets no file');
    my ($status, $said) = asked(2, '192.0.2.1,192.0.2.2', 'books', 'n2', '192.0.2.3', 'open');
    is($status, 0, 'with the word it does') or diag($said);
    like(QdNode::slurp("$dir/asked.yml"), qr/^cluster\.name: books\nnode\.name: n2\nnetwork\.host: \[192\.0\.2\.3\]\nsecurity\.enabled: false\ndiscovery\.seed_hosts: \[192\.0\.2\.1, 192\.0\.2\.2\]$/m, 'and writes what was answered');
}
done_testing;
