# 601_kube_objects.t: deploy/crds and deploy/rbac on a real API server: kubectl shows and checks the objects, nothing
# in them is pruned or rewritten, and the service account of control nodes may do what its role says and no more.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;

KubeServer->skip_unless_built;
my $kube = KubeServer->new('objects')->start;
my $account = $kube->install('quidditch');
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $quidditch = '/apis/quidditch.io/v1/namespaces/quidditch';
my ($states, $indices) = ("$quidditch/quidditchstates", "$quidditch/quidditchindices");

sub object {
    my ($kind, $name, $spec, %meta) = @_;
    return {apiVersion => 'quidditch.io/v1', kind => $kind, metadata => {name => $name, %meta}, defined $spec ? (spec => $spec) : ()};
}
sub apply {
    my ($text, @more) = @_;
    my $file = "$kube->{dir}/applied.yaml";
    open my $f, '>', $file or die "$file: $!";
    print $f $text;
    close $f;
    return $kube->kubectl('apply', '-n', 'quidditch', @more, '-f', $file);
}

# --- the kinds --------------------------------------------------------------------------------------------------
my %short = (QuidditchIndex => 'qidx', QuidditchShard => 'qshard', QuidditchCluster => 'qcluster', QuidditchState => 'qstate');
my $crds = $kube->get('/apis/apiextensions.k8s.io/v1/customresourcedefinitions')->{json}{items};
is_deeply([sort map { $_->{spec}{names}{kind} } @$crds], [sort keys %short], 'four kinds');
for my $crd (@$crds) {
    my ($kind, $names) = ($crd->{spec}{names}{kind}, $crd->{spec}{names});
    my %is = map { $_->{type} => $_->{status} } @{$crd->{status}{conditions}};
    is_deeply(\%is, {NamesAccepted => 'True', Established => 'True'}, "$kind is established, its schema is structural") or diag explain $crd->{status};
    my $plural = $kind eq 'QuidditchIndex' ? 'quidditchindices' : lc($kind) . 's';
    is_deeply([@$names{qw(plural singular)}, @{$names->{shortNames}}], [$plural, lc $kind, $short{$kind}], '... with its names');
}
my ($status, $out) = $kube->kubectl('apply', '-f', QdNode::top() . '/deploy/crds');
is(scalar(() = $out =~ / unchanged$/mg), 4, 'applied once more nothing changes') or diag $out;

# --- a QuidditchIndex with kubectl ------------------------------------------------------------------------------
my $products = <<'END';
apiVersion: quidditch.io/v1
kind: QuidditchIndex
metadata:
  name: products
spec:
  shards: 10
  replicas: 1
status:
  state: ACTIVE
  shardAllocations:
    - shardId: 0
      nodeId: data-0
      state: STARTED
END
($status, $out) = apply($products);
is($status, 0, 'kubectl applies an index') or diag $out;
my $index = $kube->get("$indices/products")->{json};
ok(!$index->{status}, '... whose status is not the user\'s to write');
my %of_status = (state => 'ACTIVE', health => 'green', observedRevision => '18446744073709551615', shardAllocations => [{shardId => 0, nodeId => 'data-0', primary => JSON::PP::true, state => 'STARTED'}]);
my $r = $kube->put("$indices/products/status", {%$index, spec => {shards => 3}, status => \%of_status});
is($r->{status}, 200, 'the status is a resource of its own');
is_deeply($r->{json}{status}, \%of_status, '... takes what is written');
is_deeply($r->{json}{spec}, {shards => 10, replicas => 1}, '... and leaves the wish alone');
is($r->{json}{metadata}{generation}, 1, '... whose generation stays');
for my $name (qw(qidx quidditchindex quidditchindices)) {
    ($status, $out) = $kube->kubectl('get', $name, '-n', 'quidditch');
    like($out, qr/^NAME +SHARDS +REPLICAS +STATE +HEALTH +AGE\nproducts +10 +1 +ACTIVE +green +\d+s\n\z/, "kubectl get $name");
}
($status, $out) = $kube->kubectl('get', 'qidx', '-n', 'quidditch', '-o', 'wide');
like($out, qr/AGE +CLUSTER +INDEX +REVISION\n.* 18446744073709551615\n/, '... -o wide');
$r = $kube->patch("$indices/products", {spec => {replicas => 2}});
is_deeply([$r->{json}{metadata}{generation}, $r->{json}{status}{state}], [2, 'ACTIVE'], 'a changed wish is a new generation and leaves the status alone');

for my $bad ([{shards => 0}, qr/spec\.shards.*greater than or equal to 1/], [{shards => 1025}, qr/spec\.shards.*less than or equal to 1024/],
    [{shards => 1.5}, qr/spec\.shards/], [{replicas => -1}, qr/spec\.replicas/], [{deletionPolicy => 'Maybe'}, qr/deletionPolicy.*"Retain", "Delete"/],
    [{clusterRef => {}}, qr/clusterRef.*name/], [{settings => 7}, qr/spec\.settings/]) {
    $r = $kube->post($indices, object('QuidditchIndex', 'bad', $bad->[0]));
    ok($r->{status} == 422 && $r->{json}{message} =~ $bad->[1], $json->encode($bad->[0]) . ' is refused') or diag $r->{content};
}
# The API server tells kubectl of fields some time after it serves a kind.
my $wrong = $products =~ s/shards:/shard:/r;
ok(QdNode->wait_for(sub { (apply($wrong, '--dry-run=client'))[1] =~ /unknown field "shard"/ }, 60, 0.3), 'kubectl knows the fields');
for my $told (['qidx', qr/An index of a Quidditch cluster\./], ['qidx.spec', qr/What the index is to be;.*\n(?:.*\n)*.*deletionPolicy\t<string>\n +What becomes of the data/], ['qidx.spec.shards', qr/Primary shards;/],
    ['qidx.status', qr/What the index is;/], ['qcluster.spec', qr/Shape and settings of the cluster/], ['qshard.status', qr/The copies of the shard/]) {
    like(($kube->kubectl('explain', $told->[0]))[1], $told->[1], "kubectl explain $told->[0]");
}
is($kube->post($indices, object('QuidditchIndex', 'bare'))->{status}, 201, 'an index may wish for nothing');

# --- the other kinds --------------------------------------------------------------------------------------------
($status, $out) = apply(<<'END');
apiVersion: quidditch.io/v1
kind: QuidditchCluster
metadata: {name: quidditch}
spec:
  version: "1.0.0"
  controlPlane: {mode: k8s}
  data: {replicas: 10, storage: {class: nvme-ssd, size: 1Ti, tiering: {hot: {class: nvme-ssd, size: 500Gi}}}}
  settings:
    cluster: {routing: {allocation: {awareness: {attributes: [zone, rack]}, disk: {low_watermark: "85%"}}}}
    index: {number_of_shards: 5, refresh_interval: 1s}
  tls: {enabled: true}
END
is($status, 0, 'a cluster') or diag $out;
my $cluster = $kube->get("$quidditch/quidditchclusters/quidditch")->{json}{spec};
is_deeply([@$cluster{qw(settings tls)}, $cluster->{data}{storage}{tiering}],
    [{cluster => {routing => {allocation => {awareness => {attributes => ['zone', 'rack']}, disk => {low_watermark => '85%'}}}}, index => {number_of_shards => 5, refresh_interval => '1s'}},
        {enabled => JSON::PP::true}, {hot => {class => 'nvme-ssd', size => '500Gi'}}], '... keeps what is in it');
for my $flat (['masterNodes', qr/write spec\.master\.replicas/], ['coordinationNodes', qr/write spec\.coordination\.replicas/], ['dataNodes', qr/write spec\.data\.replicas/]) {
    ($status, $out) = apply("apiVersion: quidditch.io/v1\nkind: QuidditchCluster\nmetadata: {name: bad}\nspec: {$flat->[0]: 3}\n");
    ok($status != 0 && $out =~ $flat->[1], "$flat->[0] is refused and what to write is said") or diag $out;
}
$kube->put("$quidditch/quidditchclusters/quidditch/status", object('QuidditchCluster', 'quidditch', undef, resourceVersion => $kube->get("$quidditch/quidditchclusters/quidditch")->{json}{metadata}{resourceVersion}));
my $shard = $kube->post("$quidditch/quidditchshards", object('QuidditchShard', 'products-0', {indexName => 'products', shardId => 0}))->{json};
$kube->put("$quidditch/quidditchshards/products-0/status", {%$shard, status => {health => 'yellow', shardAllocations => [{nodeId => 'data-1'}, {nodeId => 'data-7', primary => JSON::PP::true}]}});
($status, $out) = $kube->kubectl('get', 'qshard', '-n', 'quidditch');
like($out, qr/^products-0 +products +0 +yellow +data-7 +\d+s$/m, 'kubectl get qshard');
($status, $out) = $kube->kubectl('get', 'qcluster', '-n', 'quidditch');
like($out, qr/^quidditch +1\.0\.0 +k8s /m, 'kubectl get qcluster');

# --- the state --------------------------------------------------------------------------------------------------
my %labels = (labels => {'quidditch.io/cluster' => 'quidditch', 'quidditch.io/part' => 'root'});
my $most = '18446744073709551615';
my $spec = {
    format => 1, minor => 0, cluster => 'quidditch', storeId => 'a' x 32, historyId => 'b' x 32, recoveries => '0', writes => $most, epoch => '1', state => 'active', revision => $most,
    shown => $most, index => $most, checkpoint => '18446744073709551613', ids => 'AQIDBAUGBwgJ' x 200, pages => 'A' x 4096,
    leader => {id => $most, term => $most, name => 'coordination-0', address => '10.0.0.1:9302', newer => 1},
    tail => [{term => $most, data => 'AAAA', newer => {x => [1]}}, {term => $most, sha256 => 'a' x 64, length => $most}],
    claim => {inCharge => 'k8s', epoch => '1', newer => [JSON::PP::true, undef, 1.5]}, newer => {deep => {a => [{}]}},
};
my $root = $kube->post($states, object('QuidditchState', 'quidditch', $spec, %labels), as => $account);
is($root->{status}, 201, 'the root of a state') or diag $root->{content};
is_deeply($kube->get("$states/quidditch", as => $account)->{json}{spec}, $spec, '... keeps every field, of newer versions too');
($status, $out) = $kube->kubectl('get', 'qstate', '-n', 'quidditch');
like($out, qr/^quidditch +quidditch +root +active +1 +$most +coordination-0 +\d+s$/m, 'kubectl get qstate') or diag $out;
my $was = $root->{json}{metadata};
my $put = sub { my (%meta) = @_; return $kube->put("$states/quidditch", object('QuidditchState', 'quidditch', {%$spec, epoch => '2'}, %labels, %meta), as => $account) };
is($put->(uid => $was->{uid}, resourceVersion => $was->{resourceVersion})->{status}, 200, 'a change of the version that was read');
is($put->(uid => $was->{uid}, resourceVersion => $was->{resourceVersion})->{status}, 409, '... of an older one is refused');
is($put->(uid => '5b1e9f56-0000-4000-8000-000000000000', resourceVersion => $kube->get("$states/quidditch")->{json}{metadata}{resourceVersion})->{status},
    409, '... of an object that had this name before too');
is($kube->post($states, object('QuidditchState', 'quidditch', $spec))->{json}{reason}, 'AlreadyExists', '... and nobody makes a second root');
is($kube->delete("$states/quidditch", {preconditions => {resourceVersion => $was->{resourceVersion}}}, as => $account)->{status}, 409, 'so is a deletion');
for my $bad ([epoch => 1], [revision => 'x'], [revision => '123456789012345678901'], [ids => [1]], [pages => 1], [storeId => 'x'], [data => {}]) {
    is($kube->put("$states/quidditch", object('QuidditchState', 'quidditch', {%$spec, @$bad}, resourceVersion => '0'))->{status}, 422, "$bad->[0]: " . $json->encode($bad->[1]) . ' is no state');
}
my $large = 'x' x (512 * 1024);
my $value = $kube->post($states, object('QuidditchState', 'value', {data => $large, sha256 => 'a' x 64, part => 'value', length => '1', slice => 0, slices => 1}), as => $account);
is($value->{status}, 201, 'half a MiB in one object');
is($kube->get("$states/value")->{json}{spec}{data}, $large, '... comes back');

# --- mappings: as values and as opaque text ---------------------------------------------------------------------
my @bodies;
for my $file (sort glob QdNode::top() . '/tests/peers/opensearch/corpus/*.txt') {
    for my $line (split /\n/, QdNode::slurp($file)) {
        next unless $line =~ /^\{.*"(mappings|properties|template|settings|aliases|actions|dynamic|index|query)"/;
        my $body = eval { $json->decode($line) };
        push @bodies, [$line, $body] if ref $body eq 'HASH';
    }
}
cmp_ok(scalar @bodies, '>=', 200, scalar(@bodies) . ' requests that servers of this kind get');
# What a tree of values is known to suffer from.
push @bodies, map { [$_, $json->decode($_)] } (
    '{"properties":{"null":{"null_value":null},"e":{},"l":[],"nested":[[],[{}],[null]]}}', '{"":"","a.b":1,"a":{"b":2},"metadata":{"name":7},"apiVersion":"x","kind":[]}',
    '{"n":[9223372036854775807,-9223372036854775808,9007199254740993,0.1,1e300,-2.5e-7,1e-7,123456789.125]}', "{\"\xc3\xa9\\u0000\\ud83d\\ude00\":\"\\u2028<>&\\\"\\\\/\"}",
    '{"x-kubernetes-preserve-unknown-fields":false,"$ref":"#","type":"object","items":{},"' . 'k' x 300 . '":true}',
    '{"' . join(',"', map { qq(f$_":{"type":"keyword"}) } 1 .. 2000) . '}',
);
my $failed = 0;
for my $i (0 .. $#bodies) {
    my ($text, $body) = @{$bodies[$i]};
    my $made = $kube->post($indices, object('QuidditchIndex', "m-$i", {mappings => $body}));
    my $kept = $kube->post($states, object('QuidditchState', "m-$i", {data => $json->decode($json->encode($text))}), as => $account);
    $failed += grep { $_->{status} != 201 && diag "$i: $_->{content}: $text" } $made, $kept;
}
is($failed, 0, 'all of them are taken');
my %index = map { $_->{metadata}{name} => $_->{spec} } @{$kube->get($indices)->{json}{items}};
my %state = map { $_->{metadata}{name} => $_->{spec} } @{$kube->get($states, as => $account)->{json}{items}};
my @changed = grep { $json->encode($index{"m-$_"}{mappings}) ne $json->encode($bodies[$_][1]) } 0 .. $#bodies;
is(scalar @changed, 0, 'as mappings of an index they keep their values')
    or diag map { "$bodies[$_][0]\n  " . $json->encode($index{"m-$_"}{mappings}) . "\n" } @changed[0 .. ($#changed > 4 ? 4 : $#changed)];
@changed = grep { $state{"m-$_"}{data} ne $bodies[$_][0] } 0 .. $#bodies;
is(scalar @changed, 0, 'as text in a state they keep their bytes') or diag map { "$bodies[$_][0]\n" } @changed;

# --- watches ----------------------------------------------------------------------------------------------------
my $from = $kube->get("$states/quidditch")->{json}{metadata}{resourceVersion};
my $of_root = "$states?watch=1&fieldSelector=metadata.name%3Dquidditch&resourceVersion=$from&allowWatchBookmarks=true";
my $watch = $kube->watch("$of_root&timeoutSeconds=300", as => $account);
$kube->patch("$states/value", {spec => {part => 1}});
my $patched = $kube->patch("$states/quidditch", {spec => {epoch => '3'}})->{json}{metadata}{resourceVersion};
my $event = $watch->next;
is("$event->{type} $event->{object}{spec}{epoch} $event->{object}{metadata}{resourceVersion}", "MODIFIED 3 $patched", 'a watch of the root tells its changes and no other');
# A bookmark comes two seconds before the end of a watch; a machine that stalls can miss it once.
my $bookmark;
for (1 .. 5) {
    $watch = $kube->watch("$of_root&timeoutSeconds=4", as => $account);
    my $other = $kube->patch("$states/value", {spec => {parts => $_ + 1}})->{json}{metadata}{resourceVersion};
    while ($event = $watch->next) { $bookmark = $event if $event->{type} eq 'BOOKMARK' && $event->{object}{metadata}{resourceVersion} >= $other }
    last if $bookmark;
}
ok($bookmark, 'before a watch ends it tells up to where it has seen all, also what it does not tell of');

# --- roles ------------------------------------------------------------------------------------------------------
sub may {
    my ($path, $method, $body) = @_;
    my $name = $method eq 'POST' ? '' : '/none';
    return $kube->request($method, "$path$name", $body, as => $account)->{status} == 403 ? 0 : 1;
}
$kube->forget_calls;
my $leases = '/apis/coordination.k8s.io/v1/namespaces/quidditch/leases';
my $lease = {metadata => {name => 'none'}, spec => {holderIdentity => 'n1', leaseDurationSeconds => 15}};
for my $path ($states, $leases) {
    my $body = $path eq $leases ? $lease : object('QuidditchState', 'none', {});
    is($kube->get($path, as => $account)->{status}, 200, ($path =~ s{.*/}{}r) . ': a control node may list');
    is($kube->watch("$path?watch=1&timeoutSeconds=1", as => $account)->{status}, 200, '... watch');
    is(may($path, 'POST', $body), 1, '... create');
    is(may($path, 'GET'), 1, '... get');
    is(may($path, 'PUT', $body), 1, '... update');
    is(may($path, 'DELETE'), $path eq $states ? 1 : 0, $path eq $states ? '... delete' : '... not delete');
    is(may($path, 'PATCH', {}), $path eq $states ? 1 : 0, $path eq $states ? '... patch' : '... not patch');
    is($kube->delete($path, undef, as => $account)->{status}, 403, '... not delete all at once');
}
for my $other ('/api/v1/namespaces/quidditch/configmaps', '/api/v1/namespaces/quidditch/secrets', '/api/v1/namespaces/quidditch/pods', $indices,
    "$quidditch/quidditchclusters", '/apis/quidditch.io/v1/namespaces/default/quidditchstates', '/apis/quidditch.io/v1/quidditchstates',
    '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases') {
    is($kube->get($other, as => $account)->{status}, 403, "$other is not its business");
}
is_deeply($kube->role_use($account)->{unused}, [], 'the log of calls has a use of each right that the role grants');
$kube->forget_calls;
$kube->get($states, as => $account);
is(scalar(grep { /^get quidditchstates/ } @{$kube->role_use($account)->{unused}}), 1, '... and tells the rights that were not used');
my $review = $kube->post('/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', {spec => {namespace => 'quidditch'}}, as => $account);
is($review->{status}, 201, 'it may ask what it may');
my ($rule) = grep { $_->{resources} && "@{$_->{resources}}" eq 'quidditchstates' } @{$review->{json}{status}{resourceRules}};
is_deeply([sort @{$rule->{verbs}}], [qw(create delete get list patch update watch)], '... and is told');
$kube->install('quidditch', more => ['projections.yaml']);
is($kube->get($indices, as => $account)->{status}, 200, 'with projections.yaml it reads indices');
my $shown = $kube->get("$indices/products")->{json};
is($kube->put("$indices/products/status", {%$shown, status => {health => 'red'}}, as => $account)->{status}, 200, '... and writes their status');
is($kube->get('/api/v1/namespaces/quidditch/secrets', as => $account)->{status}, 403, '... and nothing else');

# --- history ends -----------------------------------------------------------------------------------------------
my $continue = $kube->get("$states?limit=3", as => $account)->{json}{metadata}{continue};
$kube->patch("$states/quidditch", {spec => {epoch => '4'}});
$kube->compact;
my $paged = $kube->get("$states?limit=3&continue=$continue", as => $account)->{status};
# newer servers may have the next page in their cache
ok($paged == 410 || $kube->{minor} > 30 && $paged == 200, 'after a compaction a list cannot go on') or diag $paged;
$kube->restart;
# newer servers say 429 while their caches are filled
QdNode->wait_for(sub { ($watch = $kube->watch("$states?watch=1&resourceVersion=$from&timeoutSeconds=60", as => $account))->{status} != 429 }, 60, 0.2);
$event = $watch->{status} == 200 ? $watch->next : {type => 'ERROR', object => {code => $watch->{status}}};
is("$event->{type} $event->{object}{code}", 'ERROR 410', '... and a watch cannot begin there');
is($kube->get("$states/quidditch", as => $account)->{json}{spec}{epoch}, '4', '... but the state is whole');

# --- a namespace is deleted -------------------------------------------------------------------------------------
my $second = $kube->install('second');
my $theirs = '/apis/quidditch.io/v1/namespaces/second/quidditchstates';
is($kube->post($theirs, object('QuidditchState', 'quidditch', $spec), as => $second)->{status}, 201, 'a second cluster in another namespace');
is($kube->get("$states/quidditch", as => $second)->{status}, 403, '... does not see the first');
$kube->end_namespace('second');
is($kube->post($theirs, object('QuidditchState', 'again', $spec))->{status}, 403, 'in a namespace that is deleted nothing is created');
is($kube->get("$theirs/quidditch")->{status}, 404, '... and nothing stays');
like($kube->get("$theirs/quidditch", as => $second)->{status}, qr{^40[13]$}, '... not even the account');
is($kube->get("$states/quidditch", as => $account)->{status}, 200, 'the other namespace is as it was');
done_testing;
