#!/usr/bin/perl
# 620_migrate.t: the cluster's state moves from one store to the other while documents are written and indices made:
# no request fails, a data node goes on without a restart, also after a crash in the middle; the control node starts again from the new store; and back.
# The second store is the masters' own plugin under another name, which serves mode k8s-native here.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use QdNode;
use Timed;

my %both = ('cluster.name' => 'moving', 'cluster.routing.allocation.disk.threshold_enabled' => 'false');
my $control = QdNode->new('control');
my $data = QdNode->new('data');
my %control = (%both, 'node.roles' => 'master,coordination,ingest', plugin_for($control, 'toy-second'));
$control->{settings} = { %control, 'coordination.mode' => 'master' };
$data->{settings} = { %both, 'node.roles' => 'data,coordination', 'coordination.mode' => 'master' };
$data->{env} = { MASTER_ADDRESSES => "127.0.0.1:$control->{transport}" };
$control->start;
$data->start;


is($data->put('/docs', { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, 'an index');
like(error_of($control->get('/_cluster/coordination/_migrate')), qr/^400 no node has both stores/, 'with one store there is nothing to move');

# --- the settings ask for the other store: both are opened
$control->stop;
$control->{settings} = { %control, 'coordination.mode' => 'k8s-native', 'coordination.plugin' => 'toy-second' };
$control->start;
ok($control->wait_for(sub { $control->log_text =~ /both stores are open, \[master\] and \[k8s-native\]/ }, 60), 'both stores are open') or diag $control->log_text;
is(migration($control)->{step}, 'none', 'no migration');
ok($data->wait_for(sub { (migration($data)->{step} // '') eq 'none' }, 60), 'as any node tells, once the state says who has both');
my ($rc, $text) = $control->run_qd('migrate', 'abort', '--url', $control->url);
isnt($rc, 0, 'nothing to give up');
like($text, qr/no migration is under way/, 'in words');
is($control->post('/_cluster/coordination/_migrate?to=elsewhere')->{status}, 400, 'a store that there is not');
like(error_of($control->post('/_cluster/coordination/_migrate?to=master')), qr/^400 the store \[master\] is in charge already/, 'nor the one in charge');

# --- there, under load
my $load = Coordination::Load->new($data);
sub migrate {
    my ($to, $kill) = @_;
    my ($status, $out) = $control->run_qd('migrate', 'start', '--to', $to, '--url', $data->url); # it has no store: it asks
    is($status, 0, "qd migrate start --to $to") or diag $out;
    if ($kill) { # whoever drives it ends, and goes on when it is there again
        $control->wait_for(sub { (migration($control)->{step} // '') =~ /mirror|compare|sealed/ }, 60);
        $control->kill9;
        $control->start;
        ok($control->wait_for(sub { coordination($control)->{leader} }, 120), 'after a crash in the middle somebody leads');
        is(migration($control)->{to}, $to, 'the migration is not forgotten') or diag explain migration($control);
    }
    ok($load->until(sub { (migration($control)->{step} // '') eq 'done' }), 'it is done') or diag explain migration($control);
    $load->more(3);
    is_deeply($load->{failed}, [], 'no request failed') or diag explain $load->{failed};
    within($load->{slowest}, 2, 60, 'a change of the state') or diag $load->{slow};
}
$load->more;
migrate('k8s-native', 1);
note(sprintf 'slowest change: %.2f s, %d indices, %d documents', @$load{qw(slowest made wrote)});
my $j = coordination($control);
is_deeply([@{ $j->{store} }{qw(kind epoch state)}], ['k8s', 2, 'active'], 'the other store is in charge') or diag explain $j;
ok(!$j->{mode}{migration_wanted}, 'which is what was asked for') or diag explain $j->{mode};
like($j->{mode}{why}[-1], qr/^the cluster's state has been moved to \[k8s-native\], and this node has followed$/, 'and why') or diag explain $j->{mode};
is_deeply($j->{mode}{wanted_by}, [{ name => 'data', mode => 'master' }], 'and not what the settings of the data node say') or diag explain $j->{mode};
ok($data->wait_for(sub { ($j = coordination($data))->{store}{kind} eq 'k8s' && $j->{store}{epoch} == 2 }, 60), 'the data node has followed') or diag explain $j;
ok($j->{mode}{migration_wanted}, 'whose settings ask for a migration now') or diag explain $j->{mode};
($rc, $text) = $control->run_qd('migrate', 'status', '--url', $control->url);
like($text, qr/^step +done$/m, 'qd migrate status');
like($text, qr/^to +k8s-native, epoch 2$/m, 'where to');
is(system("'$QdNode::OUT/bin/qd' mode --url " . $control->url . ' >/dev/full 2>&1') >> 8, 1, 'an output that cannot be written is a failure');
unlike($text, qr/^copied|^compared/m, 'and no count of what goes on without the old store');
like(error_of($control->delete('/_cluster/coordination/_migrate')), qr/^400 the store \[k8s-native\] is in charge already, epoch 2: migrate back instead/, 'it is not given up any more');
($rc, $text) = $control->run_qd('migrate', 'finish', '--url', $control->url);
is($rc, 0, 'qd migrate finish') or diag $text;
is(migration($control)->{step}, 'none', 'it is forgotten');

# --- and back, and there once more
for my $to (['master', 'raft', 3], ['k8s-native', 'k8s', 4]) {
    migrate($to->[0]);
    $j = coordination($control);
    is_deeply([@{ $j->{store} }{qw(kind epoch)}], [@$to[1, 2]], "the store is that of $to->[0]") or diag explain $j;
    is($control->post('/_cluster/coordination/_migrate/_finish')->{status}, 200, 'finished');
}

# --- a new start is one from the new store alone
$control->stop;
$control->start;
ok($control->wait_for(sub { coordination($control)->{leader} }, 120), 'after a restart somebody leads');
$j = coordination($control);
is_deeply([@{ $j->{store} }{qw(kind epoch)}, @{ $j->{mode} }{qw(asked chosen)}], ['k8s', 4, 'k8s-native', 'k8s-native'], 'of the new store') or diag explain $j;
$load->more;
is_deeply($load->{failed}, [], 'changes are made') or diag explain $load->{failed};
is_deeply($load->wrong, [], 'every index and document is there');
is($data->stop, 0, 'the data node ends');
is($control->stop, 0, 'the control node too');

# --- a master that missed it finds the old store: it says so and forms nothing
unlink "$control->{dir}/data/authority.json" or die "authority.json: $!";
$control->{settings} = { %control, 'coordination.mode' => 'master' };
$control->launch;
ok($control->wait_for(sub { $control->log_text =~ /the store that this node knows \(raft, control epoch 3\) is retired: the cluster's state has been moved/ }, 120), 'a store that was handed over is not obeyed') or diag $control->log_text;
$control->kill9;
done_testing;
