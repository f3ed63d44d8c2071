#!/usr/bin/perl
# 434_packages.t: the Debian packages are sound, and the same bytes each time; installed on a machine that boots
# they run, keep data and settings over upgrade and downgrade, and go when they are purged.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use QdBox;
use QdNode;
use Test::More;
use Time::HiRes qw(time);

my $top = QdNode::top();
my $cc = $ENV{CC} ? "CC='$ENV{CC}'" : '';
my $dir = tempdir('qd-packages-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
plan skip_all => "SKIPPED: $_ is not installed, no package is built" for grep { system("command -v $_ >/dev/null") != 0 } qw(dh dpkg-deb fakeroot);
sub make { my ($line) = @_; my $said = `make -s -C '$top' $line $cc 2>&1`; return ($? >> 8, $said) }
sub sums { my ($d) = @_; return join '', map { QdNode::slurp($_) ? `cd '$d' && sha256sum '@{[m{([^/]+)$}]}'` : () } sort glob "$d/*.{deb,xz}" }

is((make("deb tarball DIST='$dir/a'"))[0], 0, 'make deb tarball');
{
    local $ENV{TZ} = 'Pacific/Auckland';
    my $umask = umask 0077;
    is((make("deb tarball DIST='$dir/b'"))[0], 0, 'once more, elsewhere');
    umask $umask;
}
is(sums("$dir/b"), sums("$dir/a"), 'both are the same bytes');
# a later version of the same, whose settings as shipped differ
my $later = "for d in '$dir/a/'*.deb; do rm -rf '$dir/w'; dpkg-deb -R \$d '$dir/w'; f='$dir/w/etc/quidditch/quidditch.yml'; test ! -f \$f || echo '# later' >>\$f; sed -i -E 's/^Version: .*/&+next/; s/\\(= ([^)]*)\\)/(= \\1+next)/g' '$dir/w/DEBIAN/control'; "
    . "dpkg-deb -Znone --root-owner-group -b '$dir/w' '$dir/next/' || exit 1; done";
is(system("mkdir '$dir/next'; $later >'$dir/later.log' 2>&1"), 0, 'a later version') or diag(QdNode::slurp("$dir/later.log"));
my @debs = glob "$dir/a/*.deb";
is(@debs, 4, 'there are four packages');
my ($status, $said) = make('rpm');
isnt($status, 0, 'make rpm is refused');
like($said, qr/no rpm packages; 'make tarball'/, 'with what there is instead');

SKIP: {
    skip 'SKIPPED: lintian is not installed', 1 if system('command -v lintian >/dev/null') != 0;
    is(`lintian --allow-root --tag-display-limit 0 @debs 2>&1`, '', 'lintian finds nothing');
}

part('lintian is through');
# The same programs in the archive and in the package
system("mkdir '$dir/x' '$dir/t' && dpkg -x '$dir/a/'quidditch_0*.deb '$dir/x' && tar xJf '$dir/a/'quidditch-*.tar.xz -C '$dir/t'");
my ($tree) = glob "$dir/t/quidditch-*";
is(`cd '$tree/bin' && sha256sum quidditchd qd`, `cd '$dir/x/usr/bin' && sha256sum quidditchd qd`, 'archive and package have the same programs');
like(`'$tree/bin/quidditchd' --check-config`, qr/valid: \Q$tree\E/, 'the archive finds its settings where it is unpacked');
SKIP: {
    skip 'SKIPPED: gpg is not installed, no repository is signed', 4 if system('command -v gpg >/dev/null') != 0;
    local $ENV{GNUPGHOME} = "$dir/gpg";
    mkdir $ENV{GNUPGHOME}, 0700;
    like((make("apt-repo DIST='$dir/a'"))[1], qr/which key signs\?/, 'a repository needs a key');
    system("gpg -q --batch --passphrase '' --quick-generate-key packages\@quidditch.io ed25519 sign never 2>/dev/null");
    is(system("'$top/deploy/packages/apt-repo' '$dir/a' packages\@quidditch.io >/dev/null"), 0, 'what make apt-repo calls makes one');
    # apt itself reads it, with folders of its own
    mkdir "$dir/apt";
    mkdir "$dir/apt/$_" for qw(lists cache parts);
    system("touch '$dir/apt/status'");
    open my $f, '>', "$dir/apt/sources.list" or die;
    print $f "deb [signed-by=$dir/a/apt/quidditch.gpg] file:$dir/a/apt stable main\n";
    close $f;
    my $apt = "-o Dir::State::lists='$dir/apt/lists' -o Dir::Cache='$dir/apt/cache' -o Dir::Etc::sourcelist='$dir/apt/sources.list' -o Dir::Etc::sourceparts='$dir/apt/parts' -o Dir::State::status='$dir/apt/status' -o APT::Sandbox::User=root";
    is(system("apt-get $apt update >'$dir/apt.log' 2>&1"), 0, 'apt takes it by its signature') or diag(QdNode::slurp("$dir/apt.log"));
    my $found = `apt-cache $apt pkgnames quidditch 2>/dev/null`;
    is(() = $found =~ /^quidditch\S*$/mg, 4, 'and finds the packages');
    system('gpgconf --kill all');
}

my $unit = "$dir/x/lib/systemd/system/quidditch.service";
SKIP: {
    skip 'SKIPPED: systemd-analyze is not installed', 1 if system('command -v systemd-analyze >/dev/null') != 0;
    my ($exposure) = `systemd-analyze security --offline=true '$unit' 2>/dev/null` =~ /exposure level for \S+ ([\d.]+)/;
    cmp_ok($exposure // 10, '<=', 2.0, 'systemd-analyze security: ' . ($exposure // 'no figure') . ' of 10');
}

# What quidditch-setup takes, and what not
sub setup { my ($line) = @_; my $text = `PATH='$dir/x/usr/bin':\$PATH '$dir/x/usr/sbin/quidditch-setup' --config '$dir/s.yml' --dry-run $line 2>&1`; return ($? >> 8, $text) }
sub settings { my ($text) = @_; open my $f, '>', "$dir/s.yml" or die; print $f $text; close $f }
settings("cluster.name: x\n");
for my $w (['--new --data /', qr/belongs to the system/], ['--new --logs /var/log', qr/belongs to the system/], ["--new --data /bin", qr/has files of others/],
    ['--new --data /tmp/q', qr/sees nothing below \/tmp/], ['--new --http-port 9300', qr/both 9300: give two ports/], ['--join ,', qr/needs the address of a master/],
    ['--new --accept-no-security --listen 0.0.0.0:9200', qr/neither an address nor a name/], ['--new --listen 192.0.2.1', qr/add --accept-no-security/]) {
    my ($s, $text) = setup($w->[0]);
    ok($s == 64 || $s == 78, "quidditch-setup $w->[0] is refused") or diag("$s: $text");
    like($text, $w->[1], '... in words');
}
settings("cluster.name: x\ndiscovery.seed_hosts:\n  - 192.0.2.1\n- 192.0.2.2\nhttp.port: 9205\n");
is((setup('--new --node n'))[1], "cluster.name: x\nhttp.port: 9205\nnode.name: n\n", 'a list over several lines goes whole');

part('a box');
my $box = QdBox->new($dir);
if (!$box) {
    diag("SKIPPED: the packages are not installed anywhere: $QdBox::why");
    pass('SKIPPED: nothing is installed');
    done_testing;
    exit;
}
diag('SKIPPED: systemd-nspawn does not boot here: a folder with a root of its own, the node is started by its ExecStart') unless $box->{boots};
sub box_is { my ($line, $what) = @_; my ($s, $text) = $box->run($line); is($s, 0, $what) or diag($text); return $text }
sub ready { my ($s, $text) = $box->run('qd health --timeout 5'); return $text =~ /^\w+: (green|yellow)/ }

# Where systemd does not run, what it would do.
my $by_hand = 'install -d -o quidditch -g quidditch /run/quidditch; nohup setpriv --reuid quidditch --regid quidditch --clear-groups --no-new-privs --bounding-set=-all '
    . '$(sed -n s/^ExecStart=//p /lib/systemd/system/quidditch.service) >>/tmp/node.log 2>&1 &';
sub start { box_is($box->{boots} ? 'systemctl start quidditch' : $by_hand, $_[0]) unless $_[1] && $box->{boots} }
sub stop { box_is($box->{boots} ? 'systemctl stop quidditch' : 'pkill -x quidditchd; timeout 60 sh -c "while pgrep -x quidditchd >/dev/null; do sleep 0.05; done"', $_[0]) }

my $find = q(find /etc /usr /lib/systemd /var/log /var/lib/dpkg/info /var/lib/systemd /run -xdev -maxdepth 4 -path '*quidditch*' -not -path '/var/log/pods/*' -not -path '/var/log/containers/*' | sort); # not what a kubelet of this machine writes
my $before = box_is($find, 'what is there before');
my $from = time;
box_is('dpkg -i /mnt/a/quidditch_0*.deb /mnt/a/quidditch-coordination-k8s_0*.deb /mnt/a/quidditch-dev_0*.deb', 'dpkg -i');
start('it is started by its ExecStart', 1);
ok(QdNode->wait_for(\&ready, 30), 'the node serves as soon as it is installed');
my $took = time - $from;
note(sprintf 'installed to ready: %.1f s', $took);
cmp_ok($took, '<', 10, 'installed to ready in less than 10 s') if $ENV{QD_TIMED};

my $ports = box_is('ss -ltnH || true', 'what listens');
my @open = map { (split ' ')[3] } split /\n/, $ports;
ok(scalar(grep { /:9200$/ } @open), 'the REST API listens');
is(join(' ', grep { /:9[234]\d\d$/ && !/^(127\.|\[::1\])/ } @open), '', 'on this machine only');
my $of = box_is('p=$(pgrep -x quidditchd); stat -c %U /proc/$p; cat /proc/$p/status', 'the process');
like($of, qr/\Aquidditch\n/, 'runs as a user of its own');
is((box_is('cat /run/quidditch/quidditch.pid', 'its id stands where docs/upgrade.md looks for it'))+0, (box_is('pgrep -o -x quidditchd', 'the id'))+0, 'as it is');
like($of, qr/^CapBnd:\s+0+$/m, 'with no capability');
like($of, qr/^NoNewPrivs:\s+1$/m, 'and gets none');
box_is('qd plugin list | grep -q coordination-k8s', 'the optional plugin is found');
box_is('cd /tmp && qd plugin new token_filter t >/dev/null && make -s -C t >/dev/null', 'a plugin builds with the SDK package') if $box->{boots};

# each part, and when it came
sub part { note(sprintf '%s: %.1f s', $_[0], time - $^T) }
sub count { my ($s, $text) = $box->run('curl -s localhost:9200/books/_count'); return $text =~ /"count":(\d+)/ ? $1 : $text }
box_is(q(for i in 1 2 3 4 5; do echo "{\"n\": $i}"; done | qd index books), 'documents');
is(count(), 5, 'are there');

SKIP: {
    skip 'SKIPPED: needs a box that boots', 10 unless $box->{boots};
    is((($box->run('systemd-analyze verify quidditch.service'))[1]), '', 'systemd-analyze verify finds nothing');
    like($of, qr/^Seccomp:\s+2$/m, 'system calls are filtered');
    like(($box->run('systemctl show -P StatusText quidditch'))[1], qr/^node \S+ of the cluster quidditch serves$/, 'systemd knows what it does');
    box_is('systemctl reload quidditch', 'it reloads');
    box_is('echo QUIDDITCH_LOOKED=1 >>/etc/default/quidditch; echo node.attr.looked=1 >>/etc/default/quidditch; systemctl restart quidditch; '
        . 'e=$(tr "\\0" "\\n" </proc/$(pgrep -o -x quidditchd)/environ); echo "$e" | grep -q ^QUIDDITCH_LOOKED= && ! echo "$e" | grep -q looked; r=$?; sed -i "/LOOKED/Id" /etc/default/quidditch; systemctl restart quidditch; exit $r', 'variables of /etc/default/quidditch, but for those with a dot');
    box_is('mkdir -p /etc/systemd/system/quidditch.service.d; printf "[Service]\nWatchdogSec=1\n" >/etc/systemd/system/quidditch.service.d/w.conf; systemctl daemon-reload; systemctl restart quidditch',
        'with a watchdog of one second');
    my (undef, $pid) = $box->run('systemctl show -P MainPID quidditch');
    $box->run("kill -STOP $pid");
    my $again = '';
    ok(QdNode->wait_for(sub { $again = ($box->run('systemctl show -P MainPID,NRestarts quidditch'))[1]; $again =~ /^1$/m && ready() }, 30),
        'a process that stands still is started again') or diag($again);
    is(count(), 5, 'with its documents');
    box_is('rm -r /etc/systemd/system/quidditch.service.d; systemctl daemon-reload; systemctl restart quidditch', 'and without it');
}

part('quidditch-setup');
is(($box->run('quidditch-setup --new --cluster other --no-start'))[0], 1, 'another cluster does not take the place of one with indices');
box_is('quidditch-setup --new --node n1 --data /srv/books --logs /var/log/quidditch --discard-data --cluster library', 'it does when told to');
start('it is started', 1) unless $box->{boots};
if (!$box->{boots}) { stop('the former ends'); start('the new one starts') }
ok(QdNode->wait_for(\&ready, 30), 'and serves');
like(($box->run('qd health'))[1], qr/^library: /, 'under its new name');
box_is(q(for i in 1 2 3; do echo "{\"n\": $i}"; done | qd index books), 'documents');
my $second = '/tmp/n2.yml';
box_is("install -d -o quidditch /srv/n2 && quidditch-setup --join 127.0.0.1:9300 --cluster library --node n2 --config $second --data /srv/n2 --http-port 9201 --transport-port 9301 --no-start", 'a second node joins');
$box->run("chmod 644 $second; nohup runuser -u quidditch -- quidditchd --config $second --pidfile /tmp/n2.pid >/tmp/n2.log 2>&1 &");
my $nodes = '';
ok(QdNode->wait_for(sub { $nodes = ($box->run("curl -s 'localhost:9200/_cat/nodes?h=name'"))[1]; join(' ', sort split ' ', $nodes) eq 'n1 n2' }, 30), 'the cluster has both') or diag($nodes, ($box->run('cat /tmp/n2.log'))[1]);
box_is('curl -s "localhost:9200/_cluster/health?wait_for_status=green&timeout=30s" | grep -q \'"status":"green"\'', 'and copies on both');
SKIP: {
    skip 'SKIPPED: needs logrotate and a box that boots', 2 if !$box->{boots} || system('test -x /usr/sbin/logrotate') != 0;
    box_is('/usr/sbin/logrotate -f /etc/logrotate.d/quidditch', 'logs are rotated');
    ok(QdNode->wait_for(sub { ($box->run('test -s /var/log/quidditch/library.log -a -s /var/log/quidditch/library.log.1'))[0] == 0 }, 10), 'and written to a new file');
}
$box->run('kill $(cat /tmp/n2.pid); timeout 60 sh -c "while test -e /tmp/n2.pid; do sleep 0.05; done"');
box_is('curl -s -XPUT localhost:9200/books/_settings -H content-type:application/json -d \'{"index.number_of_replicas": 0}\'', 'one copy is enough again');

(undef, $said) = $box->run("quidditch-setup --new --cluster third --data /srv/n3 --config /tmp/n3.yml");
like($said, qr{the service reads /etc/quidditch/quidditch\.yml; this node is started by}, 'settings elsewhere do not restart the service');
box_is('echo "{}" >/srv/n3/node.json; quidditch-setup --new --cluster fourth --config /tmp/n3.yml --no-start && test -d /srv/n3 -a ! -e /srv/n3/node.json', 'a folder whose data are moved aside is there again');

part('upgrade, downgrade, purge');
box_is('echo "node.attr.zone: z1" >>/etc/quidditch/quidditch.yml', 'the administrator changes the settings');
for my $step (['next', 'the later version'], ['a', 'the earlier one again']) {
    stop('stopped') unless $box->{boots};
    # as unattended upgrades do it: nobody answers what to do with settings that both sides changed
    box_is("dpkg --force-confdef --force-confold -i /mnt/$step->[0]/quidditch_0*.deb /mnt/$step->[0]/quidditch-coordination-k8s_0*.deb /mnt/$step->[0]/quidditch-dev_0*.deb", $step->[1]);
    start('started', 1) unless $box->{boots};
    ok(QdNode->wait_for(\&ready, 30), 'it serves');
    is(count(), 3, 'with its documents');
    box_is('grep -q "^node.attr.zone: z1" /etc/quidditch/quidditch.yml && grep -q "^cluster.name: library" /etc/quidditch/quidditch.yml', 'and its settings');
}
stop('stopped') unless $box->{boots};
my $purged = box_is('dpkg --purge quidditch-coordination-k8s quidditch-dev quidditch', 'purge');
like($purged, qr{the data in /var/lib/quidditch stay}, 'says that data stay');
box_is('test ! -e /etc/quidditch/quidditch.yml -a ! -e /usr/bin/quidditchd -a ! -e /var/log/quidditch', 'settings, programs and logs are gone');
is(($box->run('pgrep -x quidditchd'))[0], 1, 'nothing runs');
box_is('test -f /srv/books/node.json', 'the data are there');
like($purged, qr{the data in /srv/books stay}, '... which it says, too');
is(box_is($find, 'what is left of it'), $before, 'nothing but the data');

SKIP: {
    skip 'SKIPPED: there is no signed repository', 4 unless -f "$dir/a/apt/dists/stable/InRelease";
    part('a repository');
    my $only = '-o Dir::Etc::sourcelist=/etc/apt/sources.list.d/quidditch.list -o Dir::Etc::sourceparts=-';
    box_is("echo 'deb [signed-by=/mnt/a/apt/quidditch.gpg] file:/mnt/a/apt stable main' >/etc/apt/sources.list.d/quidditch.list; apt-get $only update", 'apt takes the repository');
    box_is('apt-get install -y --no-install-recommends quidditch', 'and installs from it by name');
    start('it is started', 1) unless $box->{boots};
    ok(QdNode->wait_for(\&ready, 30), 'it serves');
    stop('stopped') unless $box->{boots};
    box_is('apt-get purge -y quidditch', 'and goes again');
}
done_testing;
