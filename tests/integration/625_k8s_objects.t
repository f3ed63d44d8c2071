# 625_k8s_objects.t: indices with kubectl, on a real API server and real nodes: a QuidditchIndex makes, changes and
# deletes an index; what the cluster refuses is told in its status; what is done by REST is shown; leaders come and
# go; the namespace goes without its data.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Coordination;
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;

KubeServer->skip_unless_built;
my $kube = KubeServer->new('objects')->start;
my $account = $kube->install('quidditch', more => ['projections.yaml']);
my %common = ('cluster.name' => 'quidditch', 'metrics.port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false',
    'coordination.mode' => 'k8s-native', 'coordination.k8s.kubeconfig' => $account->{kubeconfig});
my @nodes = map { QdNode->new("k$_", settings => {%common, 'node.attr.zone' => "z$_", 'node.attr.rack' => "r$_"}) } 0, 1;
my $path = '/apis/quidditch.io/v1/namespaces/quidditch';

# Runs kubectl with a manifest; JSON is one.
sub apply {
    my ($object) = @_;
    my $file = "$kube->{dir}/applied.json";
    open my $f, '>', $file or die "$file: $!";
    print $f JSON::PP->new->canonical->encode({apiVersion => 'quidditch.io/v1', %$object});
    close $f;
    my ($status, $out) = $kube->kubectl('apply', '-n', 'quidditch', '-f', $file);
    diag $out if $status;
    return $status == 0;
}
sub index_object {
    my ($name, %spec) = @_;
    return {kind => 'QuidditchIndex', metadata => {name => $name}, spec => \%spec};
}
sub object { my ($name) = @_; return $kube->get("$path/quidditchindices/$name")->{json} }
sub condition {
    my ($o, $type) = @_;
    my ($c) = grep { $_->{type} eq $type } @{$o->{status}{conditions} || []};
    return $c || {};
}
# Waits until an object (undef while it is not there) is as wanted.
sub becomes {
    my ($what, $name, $check, $kind) = @_;
    my ($r, $there);
    my $ok = QdNode->wait_for(sub {
        $r = $kube->get("$path/" . ($kind || 'quidditchindices') . "/$name");
        $there = $r->{status} == 200 ? $r->{json} : undef;
        $check->($there);
    }, 90);
    ok($ok, $what) or diag(explain($there)), map { $_->{keep} = 1 } @nodes;
    return $there || {};
}
sub observed { my ($o) = @_; return ($o->{status}{observedGeneration} // 0) == $o->{metadata}{generation} }

start_all(@nodes);
my $n = $nodes[0];
sub settings { my ($index) = @_; return $n->get("/$index/_settings")->{json}{$index}{settings}{index} || {} }

# --- an index by kubectl ----------------------------------------------------------------------------------------
ok(apply(index_object('books', shards => 2, replicas => 1, settings => {refresh_interval => '7s'},
    mappings => {properties => {title => {type => 'text'}}}, aliases => {library => {}})), 'kubectl makes an index');
my $o = becomes('... which serves', 'books', sub { $_[0] && condition($_[0], 'Ready')->{status} && condition($_[0], 'Ready')->{status} eq 'True' && ($_[0]{status}{health} // '') eq 'green' });
is(condition($o, 'Accepted')->{status}, 'True', '... and is accepted');
is_deeply([@{$o->{status}}{qw(state shards replicas indexName)}, $o->{status}{aliases}], ['ACTIVE', 2, 1, 'books', ['library']], '... as its status says');
is(scalar(@{$o->{status}{shardAllocations}}), 4, '... with four copies');
is_deeply([sort keys %{{map { $_->{nodeId} => 1 } @{$o->{status}{shardAllocations}}}}], ['k0', 'k1'], '... on two nodes');
my $is = settings('books');
is_deeply([@$is{qw(number_of_shards number_of_replicas refresh_interval)}], [2, 1, '7s'], 'the index is as the spec says');
is($n->get('/library/_mapping')->{json}{books}{mappings}{properties}{title}{type}, 'text', '... mapping and alias too');
my ($status, $out) = $kube->kubectl('get', 'qidx', '-n', 'quidditch');
like($out, qr/^books +2 +1 +ACTIVE +green /m, 'kubectl shows it') or diag $out;

# --- changed, and refused ---------------------------------------------------------------------------------------
$kube->patch("$path/quidditchindices/books", {spec => {replicas => 0, mappings => {properties => {year => {type => 'integer'}}}, aliases => {shelf => {}, library => undef}}});
becomes('a changed spec is applied', 'books', sub { observed($_[0]) && $_[0]{status}{replicas} == 0 && "@{$_[0]{status}{aliases}}" eq 'shelf' });
is($n->get('/books/_mapping')->{json}{books}{mappings}{properties}{year}{type}, 'integer', '... also to the mapping');
$kube->patch("$path/quidditchindices/books", {spec => {shards => 5}});
$o = becomes('what the cluster refuses', 'books', sub { observed($_[0]) && condition($_[0], 'Accepted')->{status} eq 'False' });
like(condition($o, 'Accepted')->{message}, qr/number_of_shards/, '... is told in its words');
is(condition($o, 'Ready')->{status}, 'True', '... while the index goes on');
ok(apply(index_object('wrong', settings => {number_of_shards => 'many'})), 'an index that cannot be');
$o = becomes('... is refused', 'wrong', sub { $_[0] && (condition($_[0], 'Accepted')->{status} // '') eq 'False' });
like(condition($o, 'Accepted')->{message}, qr/number_of_shards/, '... in words');
is(condition($o, 'Accepted')->{reason}, 'IllegalArgumentException', '... with its type as reason');
is($n->get('/wrong')->{status}, 404, '... and there is none');
is(($kube->kubectl('delete', 'qidx', 'wrong', '-n', 'quidditch', '--timeout=60s'))[0], 0, '... its object goes');
ok(apply({kind => 'QuidditchIndex', metadata => {name => 'books-again'}, spec => {indexName => 'books', deletionPolicy => 'Delete'}}), 'a second object for an index');
$o = becomes('... is refused', 'books-again', sub { $_[0] && (condition($_[0], 'Accepted')->{reason} // '') eq 'Duplicate' });
is(($kube->kubectl('delete', 'qidx', 'books-again', '-n', 'quidditch', '--timeout=60s'))[0], 0, '... and goes');
is($n->get('/books')->{status}, 200, '... without the index');

# --- changed by others ------------------------------------------------------------------------------------------
ok(apply(index_object('drift', replicas => 0)), 'an index');
becomes('... serves', 'drift', sub { $_[0] && (condition($_[0], 'Ready')->{status} // '') eq 'True' && condition($_[0], 'Accepted')->{status} eq 'True' });
is(condition(object('drift'), 'Drifted')->{status}, undef, '... and nothing is said of a drift');
is($n->put('/drift/_settings', {index => {number_of_replicas => 1}})->{status}, 200, 'another number of copies by REST');
$o = becomes('... is a drift', 'drift', sub { (condition($_[0], 'Drifted')->{status} // '') eq 'True' });
like(condition($o, 'Drifted')->{message}, qr/number_of_replicas: spec 0, actual 1/, '... with both values');
is($o->{spec}{replicas}, 0, '... the spec is the user\'s');
is($n->put('/drift/_settings', {index => {number_of_replicas => 0}})->{status}, 200, 'the number of the spec again');
becomes('... ends it', 'drift', sub { condition($_[0], 'Drifted')->{status} eq 'False' });
is($n->delete('/drift')->{status}, 200, 'the index is deleted by REST');
$o = becomes('... is a drift', 'drift', sub { (condition($_[0], 'Drifted')->{reason} // '') eq 'Deleted' && condition($_[0], 'Drifted')->{status} eq 'True' });
is(condition($o, 'Ready')->{reason}, 'NotFound', '... and the index is told to be gone');

# --- by REST ----------------------------------------------------------------------------------------------------
is($n->put('/Odd_name', {})->{status}, 400, 'an index name that cannot be');
is($n->put('/films', {settings => {number_of_replicas => 0}})->{status}, 200, 'an index by REST');
$o = becomes('... has an object', 'films', sub { $_[0] && ($_[0]{status}{health} // '') eq 'green' });
is($o->{metadata}{labels}{'quidditch.io/origin'}, 'cluster', '... made by the cluster');
is($n->put('/films/_settings', {index => {number_of_replicas => 1}})->{status}, 200, 'a change by REST');
becomes('... is shown in status and spec', 'films', sub { $_[0]{status}{replicas} == 1 && $_[0]{spec}{replicas} == 1 && observed($_[0]) });
$kube->patch("$path/quidditchindices/films", {spec => {replicas => 0}});
becomes('its object can be changed as well', 'films', sub { observed($_[0]) && $_[0]{status}{replicas} == 0 && $_[0]{spec}{replicas} == 0 });
is(settings('films')->{number_of_replicas}, 0, '... and the index follows');
# all of an index is in its object's spec, and follows
is($n->put('/films/_mapping', {properties => {year => {type => 'integer', null_value => 1900}, pid => {type => 'keyword'}}, _meta => {of => 'films'}})->{status}, 200, 'a mapping by REST');
is($n->post('/_aliases', {actions => [{add => {index => 'films', alias => 'new', filter => {range => {year => {gte => 2000}}}, is_write_index => JSON::PP::true}}]})->{status}, 200, '... an alias');
is($n->put('/films/_settings', {index => {refresh_interval => '9s', search => {slowlog => {threshold => {query => {warn => '3s'}}}}}})->{status}, 200, '... settings');
$o = becomes('... are in the spec of its object', 'films', sub { my $s = $_[0]{spec}; $s->{mappings} && $s->{aliases} && $s->{settings} && observed($_[0]) && ($s->{settings}{refresh_interval} // '') eq '9s' });
is_deeply($o->{spec}{mappings}, $n->get('/films/_mapping')->{json}{films}{mappings}, '... mappings as the index has them');
is_deeply($o->{spec}{aliases}, $n->get('/films/_alias')->{json}{films}{aliases}, '... aliases too');
is_deeply($o->{spec}{settings}, {refresh_interval => '9s', search => {slowlog => {threshold => {query => {warn => '3s'}}}}}, '... settings without what the index was made with');
$kube->patch("$path/quidditchindices/films", {spec => {settings => {refresh_interval => '8s'}, aliases => {new => {filter => undef}}}});
becomes('the object is changed as well', 'films', sub { observed($_[0]) && $_[0]{spec}{settings}{refresh_interval} eq '8s' && ($_[0]{metadata}{annotations}{'quidditch.io/shown'} // '') ne $o->{metadata}{annotations}{'quidditch.io/shown'} });
is_deeply([settings('films')->{refresh_interval}, $n->get('/films/_alias')->{json}{films}{aliases}{new}], ['8s', {is_write_index => JSON::PP::true}], '... and the index follows');
# what no object can hold: a number of more than 64 bits, a name with a NUL
is($n->put('/films/_mapping', '{"_meta":{"n":123456789012345678901234567890,"x\\u0000y":1}}')->{status}, 200, 'a mapping that no object can hold');
$o = becomes('... is left out', 'films', sub { !$_[0]{spec}{mappings} && observed($_[0]) && condition($_[0], 'Accepted')->{message} =~ /too large|cannot/ });
is($o->{status}{health}, 'green', '... the rest is shown');

is($n->put('/under_score', {settings => {number_of_replicas => 0}})->{status}, 200, 'an index whose name Kubernetes does not allow');
my $odd;
ok(QdNode->wait_for(sub { ($odd) = grep { ($_->{spec}{indexName} // '') eq 'under_score' } @{$kube->get("$path/quidditchindices")->{json}{items}}; $odd }, 90), '... has an object');
like($odd->{metadata}{name}, qr/^[a-z0-9-]+-[0-9a-f]{10}$/, '... with a name made of it');
is($n->delete('/under_score')->{status}, 200, 'an index deleted by REST');
becomes('... takes its object along', $odd->{metadata}{name}, sub { !$_[0] });
is($n->post('/films/_close')->{status}, 200, 'an index is closed');
becomes('... and shown so', 'films', sub { ($_[0]{status}{state} // '') eq 'CLOSED' });

# --- more copies than one object holds --------------------------------------------------------------------------
ok(apply(index_object('wide', shards => 2, replicas => 500)), 'an index with more than 1,000 copies');
$o = becomes('... shows the first of them', 'wide', sub { $_[0] && @{$_[0]{status}{shardAllocations} || []} == 1000 && (condition($_[0], 'Ready')->{status} // '') eq 'True' });
ok($o->{status}{truncated}, '... and says so');
$o = becomes('... each shard has an object', "wide-$_", sub { $_[0] && 2 <= grep { $_->{state} eq 'STARTED' } @{$_[0]{status}{shardAllocations} || []} }, 'quidditchshards') for 0, 1;
is_deeply([$o->{spec}{indexName}, $o->{spec}{shardId}, scalar(@{$o->{status}{shardAllocations}}), $o->{status}{health}], ['wide', 1, 501, 'yellow'], '... with all its copies');
($status, $out) = $kube->kubectl('get', 'qshard', '-n', 'quidditch');
like($out, qr/^wide-0 +wide +0 +yellow +k[01] /m, '... which kubectl shows') or diag $out;
$kube->patch("$path/quidditchindices/wide", {spec => {replicas => 0}});
becomes('with fewer copies they go', 'wide-1', sub { !$_[0] }, 'quidditchshards');
becomes('... and all have room', 'wide', sub { !$_[0]{status}{truncated} && @{$_[0]{status}{shardAllocations}} == 2 });

# --- deletion ---------------------------------------------------------------------------------------------------
is($n->put('/books/_doc/1', {title => 'x'})->{status}, 201, 'a document');
my $uid = object('books')->{metadata}{uid};
is(($kube->kubectl('delete', 'qidx', 'books', '-n', 'quidditch', '--timeout=60s'))[0], 0, 'an object is deleted');
$o = becomes('... and comes back', 'books', sub { $_[0] && $_[0]{metadata}{uid} ne $uid && ($_[0]{status}{state} // '') eq 'ACTIVE' });
is($o->{spec}{settings}{refresh_interval}, '7s', '... as it was');
is($n->get('/books/_doc/1')->{status}, 200, '... the data never went');
ok(QdNode->wait_for(sub { grep { $_->{reason} eq 'Retained' && $_->{involvedObject}{uid} eq $uid } @{$kube->get('/api/v1/namespaces/quidditch/events')->{json}{items}} }, 60), '... an Event says why');
ok(apply(index_object('short', replicas => 0, deletionPolicy => 'Delete')), 'an index with deletionPolicy Delete');
becomes('... serves', 'short', sub { $_[0] && (condition($_[0], 'Ready')->{status} // '') eq 'True' && $_[0]{metadata}{finalizers} });
is(($kube->kubectl('delete', 'qidx', 'short', '-n', 'quidditch', '--timeout=60s'))[0], 0, '... is deleted');
is($n->get('/short')->{status}, 404, '... with its data');

# --- the cluster ------------------------------------------------------------------------------------------------
my %of_disk = (low_watermark => '85%', high_watermark => '90%', flood_stage => '95%', threshold_enabled => 'false');
my %of_cluster = (name => 'quidditch', routing => {allocation => {enable => 'all', awareness => {attributes => ['zone', 'rack']}, disk => \%of_disk}});
my %of_index = (number_of_shards => 2, number_of_replicas => 1, refresh_interval => '1s', codec => 'diagon_best_compression');
ok(apply({kind => 'QuidditchCluster', metadata => {name => 'quidditch'}, spec => {settings => {cluster => \%of_cluster, index => \%of_index,
    translog => {durability => 'request', flush_threshold_size => '512mb'}}}}), 'a QuidditchCluster');
$o = becomes('... is accepted', 'quidditch', sub { $_[0] && (condition($_[0], 'Accepted')->{status} // '') eq 'True' && ($_[0]{status}{health} // '') ne 'red' }, 'quidditchclusters');
is_deeply([map { $_->{name} } @{$o->{status}{nodes}}], ['k0', 'k1'], '... and shows the nodes');
my $persistent = $n->get('/_cluster/settings')->{json}{persistent}{cluster};
is_deeply($persistent->{routing}{allocation}{awareness}{attributes}, ['zone', 'rack'], 'its settings are the cluster\'s');
is($persistent->{routing}{allocation}{disk}{watermark}{high}, '90%', '... under their names');
is($n->put('/by-default', {})->{status}, 200, 'an index');
is_deeply([@{settings('by-default')}{qw(number_of_shards codec)}, settings('by-default')->{translog}{flush_threshold_size}], [2, 'diagon_best_compression', '512mb'], '... has the defaults of its spec');
$kube->patch("$path/quidditchclusters/quidditch", {spec => {settings => {index => {nope => 1}, cluster => {max_shards_per_node => -5, name => 'other'}, indices => {recovery => {max_bytes_per_sec => '50mb'}}}}});
$o = becomes('settings that cannot be', 'quidditch', sub { observed($_[0]) && condition($_[0], 'Accepted')->{status} eq 'False' }, 'quidditchclusters');
my $said = condition($o, 'Accepted');
is($said->{reason}, 'PartlyApplied', '... are refused');
like($said->{message}, $_, "... each in words: $_") for qr/cluster\.name.* cannot be changed/, qr/nope/, qr/max_shards_per_node/;
is($n->get('/_cluster/settings')->{json}{persistent}{indices}{recovery}{max_bytes_per_sec}, '50mb', '... and the others set');

# --- another leader ---------------------------------------------------------------------------------------------
my $name = $kube->get("$path/quidditchstates/quidditch")->{json}{spec}{leader}{name};
my ($was) = grep { $_->{name} eq $name } @nodes;
($n) = grep { $_ != $was } @nodes;
is($was->stop, 0, 'the leader is stopped');
ok(apply(index_object('later', replicas => 0)), 'an index afterwards');
becomes('... is made by the next leader', 'later', sub { $_[0] && (condition($_[0], 'Ready')->{status} // '') eq 'True' });
my $use = $kube->role_use($account);
is_deeply($use->{refused}, [], 'nothing was asked for that the roles do not grant');
is_deeply([grep { !/quidditchstates|leases/ } @{$use->{unused}}], [], '... and all that projections.yaml grants was used');

# --- the namespace goes -----------------------------------------------------------------------------------------
$kube->patch("$path/quidditchindices/later", {spec => {deletionPolicy => 'Delete'}});
becomes('an index that may be deleted', 'later', sub { observed($_[0]) && $_[0]{metadata}{finalizers} });
$kube->delete('/api/v1/namespaces/quidditch');
# no controller is there to delete what is in it
$kube->delete("$path/quidditchindices/$_->{metadata}{name}") for @{$kube->get("$path/quidditchindices")->{json}{items}};
ok(QdNode->wait_for(sub { !@{$kube->get("$path/quidditchindices")->{json}{items}} }, 90), 'with the namespace the objects go');
is($n->get('/later/_search')->{status}, 200, '... the data stay');

$_->signal('TERM') for grep { $_->alive } @nodes;
is($_->stop, 0, "$_->{name} ends") for grep { $_->alive } @nodes;
done_testing;
