#!/usr/bin/perl
# 617_mode_force_crash.t: qd mode force --to master is killed, or the power fails, at any of its writes: the same command,
# given again, brings the node to what it would have come to, from a store that was in charge, was handed over, or was
# a mirror in the making. CUTS: how many of each (the long suite takes more).
# The second store is the masters' own plugin under another name, which serves mode k8s-native here.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use File::Path qw(remove_tree);
use PowerLoss;
use QdNode;
use Test::More;

my $build = $QdNode::OUT;
plan skip_all => 'tools of the tests are not built' unless -x "$build/tests/powerloss" && -e "$build/tests/librecorder.so";
my $n = QdNode->new('control');
my %settings = ('cluster.name' => 'forced', 'node.roles' => 'master,data,coordination,ingest', 'cluster.routing.allocation.disk.threshold_enabled' => 'false');
my $data = "$n->{dir}/data";
sub keep { my ($name) = @_; system('cp', '-a', $data, "$n->{dir}/$name") == 0 or die "cp: $?"; return "$n->{dir}/$name" }
sub force {
    my ($folder, $epoch, %env) = @_;
    local %ENV = (%ENV, %env);
    return $n->run_qd(qw(mode force --accept-data-loss --to master --epoch), $epoch, map { ('-E', $_) } "path.data=$folder", 'node.name=control', 'cluster.name=forced');
}
sub revision { my ($folder) = @_; return QdNode::slurp("$folder/authority.json") =~ /"revision" : (\d+)/ ? $1 : -1 }
sub report { my ($folder) = @_; return join ' ', map { m{/(forced-\d+\.json|coordination\.\w+)$} } glob "$folder/*" }

# --- the folders of a node whose store in charge is lost
$n->{settings} = {%settings};
$n->start;
is($n->put('/docs', {settings => {number_of_shards => 1, number_of_replicas => 0}})->{status}, 200, 'an index');
is($n->put('/docs/_doc/1?refresh=true', {n => 1})->{status}, 201, 'with a document');
my $uuid = settled($n)->{cluster_uuid};
$n->stop;
my @cases = ([keep('active'), 1, 1001, 'a store that was in charge']);
$n->{settings} = {%settings, plugin_for($n, 'toy-second'), 'coordination.plugin' => 'toy-second', 'coordination.mode' => 'k8s-native'};
sub migrate {
    my ($to, $step) = @_;
    settled($n);
    $n->wait_for(sub { (migration($n)->{step} // '') =~ /none|done/ }, 60); # the state says that both stores are open
    my ($rc, $out) = $n->run_qd('migrate', 'start', '--to', $to, '--url', $n->url);
    is($rc, 0, "the state moves to $to") or diag $out;
    ok($n->wait_for(sub { (migration($n)->{step} // '') eq $step }, 60), "until the step is $step") or diag explain migration($n);
}
$n->start;
migrate('k8s-native', 'done');
is($n->stop, 0, 'the node ends');
push @cases, [keep('retired'), 2, 1002, 'a store that was handed over'];
remove_tree($data);
system('cp', '-a', $cases[0][0], $data) == 0 or die "cp: $?";
$n->start;
migrate('k8s-native', 'done');
migrate('master', 'compare');
$n->kill9;
push @cases, [keep('mirror'), 2, 1003, 'a mirror'];

# --- forced, with each write recorded
for my $case (@cases) {
    my ($base, $epoch, $new, $what) = @$case;
    my $root = "$base.root";
    mkdir $root, 0700 or die "$root: $!";
    my $rec = PowerLoss->new(root => $root, build => $build);
    my %recorded = $rec->env;
    { local %ENV = (%ENV, %recorded); system("cp -a '$base/coordination' '$base/authority.json' '$root/' && sync") == 0 or die "cp: $?" }
    my ($first, $before) = ($rec->seq, revision($base));
    my ($rc, $out) = force($root, $epoch, %recorded);
    is($rc, 0, "$what is forced to be in charge") or diag $out;
    like($out, qr/^The state of the cluster \[\Q$uuid\E\] is in the store \[master\] now, under epoch $new\.\nBase: the masters' store .*\nMay be lost: revisions \S/m, 'as it says');
    is(report($root), "forced-$new.json", 'one report, and nothing else is left');
    is(join('', $rec->unseen), '', 'the recorder saw everything');
    ($rc, $out) = force($root, $epoch);
    ok($rc == 1 && $out =~ /this has been done: the state is in the store \[master\] under epoch $new \(\S+forced-$new\.json\)/, 'twice is once') or diag $out;
    my $last = $rec->seq;
    my ($kills, $losses) = map { $ENV{CUTS} || $_ } 3, 2;
    my @wrong;
    my $rnd = PowerLoss::random($new);
    my $random = sub { $first + $rnd->($last - $first + 1) };
    # evenly and, closer, at the end: what a kill leaves; at random: what a loss of power does
    my @kills = ((map { $first + int(($last - $first) * $_ / $kills) } 1 .. $kills), map { $last - 3 * $_ } 1 .. $kills + 2);
    my @cuts = ((map { [$_, 'all'] } @kills), (map { [$random->()] } 1 .. $losses));
    for my $cut (@cuts) {
        my ($at, $taste) = @$cut;
        my $folder = $rec->rebuild($at, $at, $taste // ());
        chmod 0700, $folder;
        ($rc, $out) = force($folder, $epoch);
        my $done = $rc == 1 && $out =~ /this has been done/;
        my $told = $out =~ /now, under epoch $new\.\nBase: the masters' store in this node's path\.data, revision \d+\.\nMay be lost: revisions \S/;
        my $ok = ($done || ($rc == 0 && $told)) && report($folder) eq "forced-$new.json" && revision($folder) >= 0;
        push @wrong, "at $at " . ($taste // 'power') . ": $rc $out " . report($folder) unless $ok;
        if ($ok && $cut == $cuts[-1]) { # it works
            remove_tree($data);
            system("cp -a '$base' '$data' && rm -r '$data/coordination' '$data/authority.json' && cp -a '$folder/.' '$data/'") == 0 or die "cp: $?";
        }
        remove_tree($folder);
    }
    is_deeply(\@wrong, [], @cuts . " times cut off between $first and $last, and given again") or diag explain \@wrong;
    $n->{settings} = {%settings};
    $n->start(seconds => 120);
    my $j = settled($n);
    is("$j->{mode}{chosen} $j->{store}{epoch} $j->{cluster_uuid}", "master $new $uuid", 'the node goes on with it') or diag explain $j;
    ok($n->wait_for(sub { ($n->get('/docs/_count')->{json}{count} // -1) == 1 }, 60), 'with its documents');
    is($n->put("/more-$new", {settings => {number_of_replicas => 0}})->{status}, 200, 'and changes its state');
    is($n->stop, 0, 'it ends');
}
done_testing;
