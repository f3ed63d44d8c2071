#!/usr/bin/perl
# 011_plugins.t: what an administrator sees of plugins that do not fit: each is refused with file, wanted,
# found and remedy, in `qd plugin list`, `qd plugin check` and the node's log; the node starts without it
# unless the configuration needs it. (Every single refusal: tests/unit/plugin/loader_t.c.)
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use QdNode;
use Test::More;

my $top = QdNode::top();
my $toys = "$QdNode::OUT/tests/plugins";
my $cc = $ENV{CC} ? "CC='$ENV{CC}'" : '';
my @names = qw(good major minor nonote noentry undefined initfail startfail loop-a loop-b noslot unstable required idle);
(my $rel = $toys) =~ s{^\Q$top\E/}{};
is(system("make -s -C '$top' $cc " . join(' ', map { "$rel/toy-$_.so" } @names)), 0, 'the toys are built');
my $dir = tempdir('qd-plugins-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
for my $n (@names) {
    copy("$toys/toy-$n.so", "$dir/toy-$n.so") or die;
    chmod 0644, "$dir/toy-$n.so";
}
sub put { my ($name, $bytes) = @_; open my $h, '>:raw', "$dir/$name.so" or die; print $h $bytes; close $h; chmod 0644, "$dir/$name.so" }
my $good = QdNode::slurp("$dir/toy-good.so");
put('toy-cut', substr($good, 0, length($good) / 2));
my $arm = $good;
substr($arm, 18, 2) = pack('v', unpack('v', substr($good, 18, 2)) == 183 ? 62 : 183);
put('toy-foreign', $arm);
put('toy-open', $good);
chmod 0666, "$dir/toy-open.so";
my $allow = join ',', map { "toy-$_" } @names, qw(cut foreign open);
put('toy-stranger', $good);

my $node = QdNode->new('p', settings => {'plugins.path' => $dir, 'plugins.allow' => $allow});
my ($rc, $list) = $node->run_qd('plugin', 'list', $node->arguments);
is($rc, 0, 'qd plugin list');
my %wanted = (
    major     => qr/wrong ABI major: wanted 1\.x, found 2\.\d+; rebuild/,
    minor     => qr/too new an ABI minor: wanted 1\.\d+ or older, found 1\.99; upgrade the host/,
    nonote    => qr/no note: wanted an ELF note of owner "Quidditch", found none; use QD_PLUGIN_NOTE/,
    noentry   => qr/missing symbol: wanted qd_plugin_entry, found 1 other/,
    undefined => qr/missing symbol: .*toy_nowhere/,
    initfail  => qr/init failed: the toy is broken/,
    'loop-a'  => qr/cyclic dependencies/,
    noslot    => qr/lacks the slot run: wanted a function, found NULL/,
    unstable  => qr/is unstable .* plugins\.allow_unstable: true/,
    required  => qr/bad settings: setting \[plugin\.toy-required\.owner\] is required/,
    cut       => qr/truncated ELF file: .* found a file of \d+/,
    foreign   => qr/foreign architecture: wanted \S+, found \S+/,
    open      => qr/file is world-writable: wanted mode 0644, found 0666; chmod go-w it/,
    stranger  => qr/not allowed: wanted \[toy-stranger\] in plugins\.allow/,
);
for my $n (sort keys %wanted) {
    my ($line) = $list =~ /^(toy-$n\s.*)$/m;
    like($line // '', qr/\srefused\s.*\Q$dir\E\/toy-$n\.so: .*?$wanted{$n}/, "toy-$n") or diag $list;
}
like((QdNode->new('q'))->run_qd('plugin', 'list') // '', qr/^storage-s3\s+-\s+not installed\s.*found no such file/m, 'one that is not there is not installed');
like($list, qr/^toy-good\s+1\.2\.3\s+loaded\s+token_filter\s+\Q$dir\E/m, 'and the good one is loaded');

# The check says the same, as TAP, and runs nothing of a file that the loader refuses.
($rc, my $out) = $node->run_qd('plugin', 'check', "$dir/toy-major.so");
is($rc, 1, 'qd plugin check fails');
like($out, qr/^not ok 1 - the loader takes the file\n# .*wrong ABI major.*\n1\.\.1$/m, 'with the reason');
($rc, $out) = $node->run_qd('plugin', 'check', "$dir/toy-good.so");
like($out, qr/^ok \d+ - tokens are sound and repeat$/m, 'the suite of its kind runs');
like($out, qr/^not ok \d+ - unknown options are refused$/m, 'and finds what the toy does wrong');
($rc, $out) = $node->run_qd('plugin', 'check', "$dir/toy-nothing.so");
like($out, qr/not ok 1 .*\n# .*toy-nothing\.so: wanted a plugin, found no such file/, 'a file that is not there');

($rc, $out) = $node->run_qd('plugin', 'check', "$dir/toy-required.so");
like($out, qr/^not ok \d+ - it loads and initialises\n# .*\[plugin\.toy-required\.owner\] is required/m, 'a setting is missing');
($rc, $out) = $node->run_qd('plugin', 'check', '--setting', 'owner=me', "$dir/toy-required.so");
like($out, qr/^ok \d+ - it loads and initialises$/m, '--setting gives it');

($rc, $out) = $node->run_qd('plugin', 'settings', 'toy-good', $node->arguments);
like($out, qr/^plugin\.toy-good\.level \(integer; default 3\)\n    how loud, 1 to 9$/m, 'qd plugin settings');
like($out, qr/^plugin\.toy-good\.mode \(one of plain\|fancy; default plain\)$/m, 'with values');
($rc, $out) = $node->run_qd('plugin', 'settings', 'toy-major', $node->arguments);
like($out, qr/toy-major\] was refused: .*wrong ABI major/, 'of a refused one: why');

# A node that needs one of them does not start and says why; one that does not, does.
sub start_fails {
    my ($settings, $text, $what) = @_;
    my $n = QdNode->new('f', settings => {'plugins.path' => $dir, 'logger.stderr' => 'true', %$settings});
    my $log = '';
    open my $p, '-|', 'sh', '-c', 'exec timeout 20 "$0" "$@" 2>&1', QdNode::daemon(), $n->arguments or die;
    { local $/; $log = <$p> // '' }
    close $p;
    isnt($? >> 8, 0, "$what: the start is stopped");
    like($log, $text, '... with the reason') or diag $log;
}
start_fails({'plugins.allow' => 'storage-nvme,toy-major', 'plugin.toy-major.level' => 4},
    qr/plugin\.toy-major\.level\] needs plugin \[toy-major\], which was refused: .*wrong ABI major/, 'a settings block');
start_fails({'plugins.allow' => 'storage-nvme,toy-good', 'plugin.toy-good.levle' => 4},
    qr/unknown setting \[plugin\.toy-good\.levle\], did you mean \[plugin\.toy-good\.level\]\?/, 'an unknown setting');
start_fails({'plugins.allow' => 'storage-nvme,toy-good', 'plugin.toy-good.level' => 40},
    qr/plugin\.toy-good\.level: wanted 1 to 9, found \[40\]/, 'a bad value');
start_fails({'plugins.allow' => 'storage-nvme,toy-startfail'},
    qr/\[toy-startfail\] did not start: the toy has no battery/, 'a plugin that fails to start');
# One that provides nothing is loaded, and the log says so.
{
    my $n = QdNode->new('i', settings => {'plugins.path' => $dir, 'plugins.allow' => '+toy-idle,+toy-good'});
    $n->start;
    my @told = $n->log_text =~ /plugin \[([a-z-]+)\] provides nothing/g;
    is("@told", 'toy-idle', 'a plugin that provides nothing is told');
    is($n->stop, 0, 'ends');
}
done_testing;
