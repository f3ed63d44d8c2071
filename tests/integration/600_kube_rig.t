# 600_kube_rig.t: the API server that the tests of Kubernetes run against (lib/KubeServer.pm): real answers, its
# faults, what it was asked; and nothing of it is left when a test dies.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use KubeServer;
use QdNode;
use Test::More;
use Time::HiRes qw(time);

KubeServer->skip_unless_built;
my $kube = KubeServer->new('rig')->start;
my $maps = '/api/v1/namespaces/default/configmaps';
sub map_of { my ($name, $text, $version) = @_; return {metadata => {name => $name, $version ? (resourceVersion => $version) : ()}, data => {text => $text}} }

# --- objects ----------------------------------------------------------------------------------------------------
my $made = $kube->post($maps, map_of('a', 'one'));
is($made->{status}, 201, 'an object is created');
is($kube->post($maps, map_of('a', 'two'))->{status}, 409, '... once');
my $old = $made->{json}{metadata}{resourceVersion};
is($kube->put("$maps/a", map_of('a', 'two', $old))->{status}, 200, 'changed from the version that was read');
is($kube->put("$maps/a", map_of('a', 'three', $old))->{status}, 409, '... not from an older one');
is($kube->get("$maps/a")->{json}{data}{text}, 'two', '... and stays as it was');

# --- watches, kills, compaction ---------------------------------------------------------------------------------
my $watch = $kube->watch("$maps?watch=1&resourceVersion=$old&allowWatchBookmarks=true&timeoutSeconds=300");
is($watch->{status}, 200, 'a watch begins');
my $event = $watch->next;
is("$event->{type} $event->{object}{data}{text}", 'MODIFIED two', '... tells what came after its version');
$kube->put("$maps/a", map_of('a', 'three'));
is($watch->next->{object}{data}{text}, 'three', '... and what comes now');
$kube->kill9;
is($watch->next, undef, '... and ends with the API server');
like($kube->get("$maps/a")->{status}, qr{^5}, 'which does not answer any more');
$kube->revive;
is($kube->get("$maps/a")->{json}{data}{text}, 'three', 'started again it knows its objects');
$kube->post($maps, map_of("b$_", "more")) for 1 .. 3;
my $page = $kube->get("$maps?limit=2");
my $next = $page->{json}{metadata}{continue};
ok($next, 'a list comes in pages');
$kube->put("$maps/a", map_of('a', 'four'));
ok($kube->compact > $old, 'etcd forgets its history');
my $paged = $kube->get("$maps?limit=2&continue=$next")->{status};
# newer servers may have that page in their cache
ok($paged == 410 || $kube->{minor} > 30 && $paged == 200, '... and with it the next page of a list') or diag $paged;
$kube->restart;
$event = $kube->watch("$maps?watch=1&resourceVersion=$old&timeoutSeconds=60")->next;
is("$event->{type} $event->{object}{code}", 'ERROR 410', '... and watches from an older version');

# --- what it was asked ------------------------------------------------------------------------------------------
my ($status, $out) = $kube->kubectl('create', 'serviceaccount', 'nobody');
is($status, 0, 'a service account') or diag $out;
my $nobody = $kube->account('default', 'nobody');
$kube->forget_calls;
is($kube->get("$maps/a", as => $nobody)->{status}, 403, 'who has no role reads nothing');
is($kube->get("$maps/a", as => {token => 'wrong'})->{status}, 401, 'and a wrong token is nobody');
is($kube->get("$maps/a")->{status}, 200, 'the administrator may');
ok(QdNode->wait_for(sub { $kube->audited(user => 'admin', resource => 'configmaps') }), 'the log of calls has what was asked');
my @calls = $kube->audited(resource => 'configmaps', user => qr/^system:serviceaccount:/);
is(scalar @calls, 1, '... once');
is_deeply([@{$calls[0]}{qw(user verb namespace name code)}], [$nobody->{user}, 'get', 'default', 'a', 403], '... with user, verb, object and answer');
is(scalar $kube->audited(user => 'admin', resource => 'configmaps'), 1, '... and the administrator by name');

# --- a slow and a broken link -----------------------------------------------------------------------------------
my $relay = $kube->relay;
my $curl = sub {
    my ($seconds) = @_;
    my $from = time;
    my $code = `curl -s -o /dev/null -m $seconds -w '%{http_code}' --cacert '$kube->{ca}' -H 'Authorization: Bearer $kube->{token}' https://$kube->{host}:$relay->{port}$maps`;
    return ($code, time - $from);
};
is(($curl->(60))[0], 200, 'through a relay');
$relay->delay(200);
my ($code, $took) = $curl->(60);
is($code, 200, 'through a slow one');
cmp_ok($took, '>=', 0.4, '... two turns of 200 ms for TLS and the request');
$relay->delay(0);
$relay->hang;
is(($curl->(1))[0], '000', 'through a silent one: no answer');
$relay->heal;
is(($curl->(60))[0], 200, '... until it heals');
$relay->deaf;
is(($curl->(1))[0], '000', 'without the way back: no answer');
$relay->cut;
is(($curl->(60))[0], '000', 'through a broken one: no connection');
$relay->heal;
is(($curl->(60))[0], 200, '... until it heals');

# --- a test that dies leaves nothing ----------------------------------------------------------------------------
for my $how ('kill 9, $$', 'die') {
    my $dir = `cd / && $^X -I'$FindBin::Bin/lib' -MKubeServer -e '\$| = 1; my \$k = KubeServer->new("dies")->start; print \$k->{dir}; $how' 2>/dev/null`;
    like($dir, qr{/qd-kube-dies-}, "a test that ends with $how");
    ok(QdNode->wait_for(sub { !-e "$dir/pids" && !grep { (readlink($_) || '') =~ /^\Q$dir/ } glob '/proc/[0-9]*/cwd' }), '... leaves no process behind');
    ok(QdNode->wait_for(sub { !-e "$dir/etcd" }), '... and no data') or diag `ls -la $dir`;
    rmdir $dir;
}
done_testing;
