#!/usr/bin/perl
# 084_index_tiers.t: index.storage.tier: an index lies on the tier that it names, of nodes that have it; on a tier
# without logs lie its segments alone. What lies on any tier is found at a start, and goes with its index.
use strict;
use warnings;
use File::Path qw(remove_tree);
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use Toys qw(toys);

my $toys = toys('the toys are built: a tier without logs', 'toy-nolog');
my %base = ('plugins.path' => $toys, 'plugins.allow' => 'coordination-raft,storage-nvme,toy-nolog');
my $n = QdNode->new('a', settings => {%base, 'storage.tiers.cold.plugin' => 'toy-nolog', 'storage.tiers.cold.unsafe_not_durable' => 'true'});
my $warm = "$n->{dir}/warm";
my $hot = "$n->{dir}/data/hot";
$n->{settings}{"storage.tiers.warm.path"} = $warm;
$n->start;

sub uuid { my ($name) = @_; return (values %{ $n->get("/$name")->{json} })[0]{settings}{index}{uuid} }
sub make {
    my ($name, $tier, %more) = @_;
    my $r = $n->put("/$name", {settings => {number_of_shards => 2, number_of_replicas => 0, ($tier ? ('index.storage.tier' => $tier) : ()), %more}});
    is($r->{status}, 200, "$name on " . ($tier // 'no tier of its own')) or diag $r->{content};
    $n->post("/$name/_bulk?refresh=true", join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_}\n) } 1 .. 40);
    is($n->post("/$name/_flush")->{status}, 200, '... is written');
    return uuid($name);
}
sub found { my ($name) = @_; return $n->get("/$name/_count")->{json}{count} // -1 }
sub files { my ($folder, $uuid, $kind) = @_; return scalar grep { -f } glob "$folder/indices/$uuid/*/$kind*" }

my $plain = make('plain');
my $w = make('w', 'warm');
my $c = make('c', 'cold');
ok(files($hot, $plain, 'seg-'), 'an index without a tier is on the node\'s own');
ok(files($warm, $w, 'seg-') && files($warm, $w, 'translog-') && files($warm, $w, 'commit'), 'one of a tier is there as a whole');
ok(-f "$warm/indices/$w/meta", 'with its metadata');
ok(!-e "$hot/indices/$w", 'and nowhere else');
is(files($hot, $c, 'seg-'), 0, 'of a tier without logs the segments are there');
ok(files($hot, $c, 'translog-') && files($hot, $c, 'commit'), 'and the logs on the node\'s own');
is(found($_), 40, "$_ finds all") for qw(plain w c);
is($n->delete('/c/_doc/7?refresh=true')->{status}, 200, 'a deletion');
is($n->post('/c/_forcemerge?max_num_segments=1')->{status}, 200, 'a merge');
is(found('c'), 39, '... on the tier without logs');

# what the node tells
my ($info) = values %{ $n->get('/_nodes')->{json}{nodes} };
is_deeply([sort keys %{ $info->{storage}{tiers} }], [qw(cold hot warm)], '_nodes names the tiers');
my ($stats) = values %{ $n->get('/_nodes/stats/fs')->{json}{nodes} };
my %row = map { $_->{tier} => $_ } @{ $stats->{fs}{data} };
is_deeply([sort keys %row], [qw(cold hot warm)], '_nodes/stats has a row for each');
is($row{warm}{path}, $warm, '... with its folder');
is($row{hot}{path}, $hot, '... of the node\'s own as well');
ok($row{warm}{total_in_bytes} > 0 && $row{warm}{available_in_bytes} > 0, '... and its room');

# what cannot be
my $r = $n->put('/w/_settings', {'index.storage.tier' => 'hot'});
is($r->{status}, 400, 'an index does not change its tier');
like($r->{content}, qr/index\.storage\.tier/, '... says the error');
$n->post('/plain/_close');
for my $change ({'index.number_of_shards' => 3}, {'index.storage.tier' => 'warm'}) {
    $r = $n->put('/plain/_settings', $change);
    like($r->{content}, qr/final index setting \[(?:index\.number_of_shards|index\.storage\.tier)\], not updateable/, 'nor does it while it is closed') or diag $r->{content};
}
is($n->put('/plain/_settings', {'index.*' => undef})->{status}, 200, 'a pattern takes back what may change');
$n->post('/plain/_open?wait_for_active_shards=1');
is($n->put('/w/_settings', {'index.*' => undef})->{status}, 200, 'also of an open index');
my $of = $n->get('/w/_settings')->{json}{w}{settings}{index};
is("$of->{number_of_shards} $of->{storage}{tier}", '2 warm', '... and leaves the rest');
$n->put('/w/_settings', {'index.number_of_replicas' => 0});
$n->put('/plain/_settings', {'index.number_of_replicas' => 0});
is($n->put('/bad', {settings => {'index.storage.tier' => '../x'}})->{status}, 400, 'a name that is none');
is($n->put('/nowhere?wait_for_active_shards=0', {settings => {'index.storage.tier' => 'lukewarm', number_of_replicas => 0}})->{status}, 200, 'a tier that no node has');
$r = $n->post('/_cluster/allocation/explain', {index => 'nowhere', shard => 0, primary => \1});
like($r->{content}, qr/"decider":"storage_tier".{0,40}"decision":"NO".{0,60}storage tier \[lukewarm\] \[index\.storage\.tier\] and node has \[hot,cold,warm\]/, '... is explained') or diag $r->{content};
is($n->delete('/nowhere')->{status}, 200, '... and deleted');

# a restart finds everything, also by a node whose own tier is another one by now
is($n->delete('/c')->{status}, 200, 'the index in memory is deleted');
ok($n->wait_for(sub { !-e "$hot/indices/$c" }, 20), '... with its logs');
$n->stop;
delete $n->{settings}{$_} for grep { /cold/ } keys %{ $n->{settings} };
$n->{settings}{'storage.tier'} = 'warm';
$n->{settings}{'storage.tiers.hot.path'} = $hot;
$n->start;
ok($n->wait_for(sub { ($n->get('/_cluster/health')->{json}{status} // '') eq 'green' }, 60), 'after a restart, with another tier as its own, all is open') or diag $n->get('/_cluster/allocation/explain')->{content};
is(found($_), 40, "$_ finds all") for qw(plain w);
is($n->put('/plain/_doc/new?refresh=true', {n => 41})->{status}, 201, 'and goes on where it was');
ok(!-e "$warm/indices/$plain", '... not on the new one');
my $late = make('late');
ok(files($warm, $late, 'seg-'), 'a new one is on the new one');

# a tier with shards that the settings forget stops the start: its files would be taken for the newest ones some day
$n->stop;
$n->{settings}{'storage.tier'} = 'hot';
delete $n->{settings}{"storage.tiers.$_.path"} for qw(hot warm);
$n->launch;
isnt($n->wait_end(30), 0, 'a tier with shards is not forgotten');
like($n->stderr_text . $n->log_text, qr/storage tier \[warm\]: the folder \[\Q$warm\E\] holds shards of this node, and no tier of the settings has it/, '... says the node');
# without its tier, as a disk that is gone, an index waits, and nothing begins anew in its place
rename $warm, "$warm.away" or die;
$n->start;
ok($n->wait_for(sub { $n->post('/_cluster/allocation/explain', {index => 'w', shard => 0, primary => \1})->{content} =~ /index has the storage tier \[warm\] \[index\.storage\.tier\] and node has \[hot\]/ }, 60), 'without its tier an index is not opened, and the reason is told');
is(found('plain'), 40 + 1, 'the others are');
ok(!-e "$hot/indices/$w", 'nothing of it is made on another tier');
ok($n->wait_for(sub { $n->post('/_cluster/allocation/explain', {index => 'late', shard => 0, primary => \1})->{status} == 200 && $n->get('/_cluster/health/late')->{json}{status} eq 'red' }, 60), 'nor is one without a setting made anew on the node\'s own tier');
ok(!files($hot, $late, ''), '... no file of it is there');
$r = $n->post('/_cluster/reroute', {commands => [{allocate_empty_primary => {index => 'w', shard => 0, node => 'a', accept_data_loss => \1}}]});
like($r->{content}, qr/node \[a\] has no storage tier \[warm\]/, 'no empty shard is made there by force') or diag $r->{content};
$n->stop;
rename "$warm.away", $warm or die;
# the files of a time when the other tier was away
system("cp -a $warm/indices/$late $hot/indices/") == 0 or die;
$n->{settings}{'storage.tier'} = 'warm';
$n->{settings}{'storage.tiers.warm.path'} = $warm;
$n->{settings}{'storage.tiers.hot.path'} = $hot;
$n->start;
ok($n->wait_for(sub { $n->log_text =~ m{indices/$late/\d\] is on the tiers \[warm\] and \[hot\] of this node} }, 60), 'files of one shard on two tiers are not guessed at');
$n->stop;
remove_tree("$hot/indices/$late");
$n->start;
$n->post('/_cluster/reroute?retry_failed=true');
ok($n->wait_for(sub { found('w') == 40 }, 60), 'with the tier it is back');
ok($n->wait_for(sub { found('late') == 40 }, 60), 'and so is the other one') or diag $n->post('/_cluster/allocation/explain', {index => 'late', shard => 0, primary => \1})->{content};

# deletion, also of what a crash left, and dangling indices
$n->stop;
system("cp -a $warm/indices/$w $n->{dir}/saved") == 0 or die;
$n->start;
is($n->delete('/w')->{status}, 200, 'an index is deleted');
ok($n->wait_for(sub { !-e "$warm/indices/$w" }, 20), '... with its files on its tier');
$n->kill9;
system("cp -a $n->{dir}/saved $warm/indices/$w") == 0 or die;
$n->start;
ok($n->wait_for(sub { !-e "$warm/indices/$w" }, 20), 'what a crash left of it goes at the next start');
$n->stop;
$n->{settings}{'storage.tier'} = 'hot';
delete $n->{settings}{'storage.tiers.hot.path'};
remove_tree("$n->{dir}/data/coordination");
unlink "$n->{dir}/data/$_" for qw(authority.json node.json);
$n->start;
my %dangling = map { $_->{index_uuid} => $_->{index_name} } @{ $n->get('/_dangling')->{json}{dangling_indices} };
is_deeply(\%dangling, {$plain => 'plain', $late => 'late'}, 'dangling indices of all tiers are listed');
is($n->post("/_dangling/$late?accept_data_loss=true")->{status}, 202, 'one is imported');
ok($n->wait_for(sub { found('late') == 40 }, 60), '... with its documents') or diag $n->get('/_cluster/allocation/explain')->{content};
ok(files($warm, $late, 'seg-') && !files($hot, $late, ''), '... where it lies');
is($n->delete("/_dangling/$plain?accept_data_loss=true")->{status}, 202, 'the other one is given up');
ok(!-e "$hot/indices/$plain", '... with its files');
is($n->stop, 0, 'the node stops');

# the list of tiers is damaged
{
    open my $f, '>', "$n->{dir}/data/tiers.json" or die;
    print $f '{"tiers":';
    close $f;
    $n->launch;
    isnt($n->wait_end(30), 0, 'a list of tiers that cannot be read');
    like($n->stderr_text . $n->log_text, qr/tiers\.json\] is damaged at offset 0: it names the storage tiers on which this node has shards/, '... is told');
    unlink "$n->{dir}/data/tiers.json";
    $n->start;
    ok(-s "$n->{dir}/data/tiers.json", '... and written anew once it is removed');
    is($n->stop, 0, '... by a start');
}

# a folder in a folder
for my $path ("$n->{dir}/data/hot", "$n->{dir}/data/hot/inside", "$n->{dir}/data", "$n->{dir}/data/coordination") {
    my $bad = QdNode->new('bad', settings => {%base, 'path.data' => "$n->{dir}/data", 'storage.tiers.warm.path' => $path});
    $bad->launch;
    isnt($bad->wait_end(30), 0, 'a tier in the folder of another one, or around it');
    like($bad->stderr_text . $bad->log_text, qr/storage\.tiers\.warm\.path: .* which this node uses already, are one, or one lies in the other/, '... is refused');
    $bad->{keep} = 0;
}

# replicas go to nodes that have the tier
my @p = map { QdNode::free_port() } 1 .. 2;
my @two = map {
    QdNode->new("t$_", settings => {%base, 'transport.port' => $p[$_], 'discovery.seed_hosts' => "127.0.0.1:$p[0],127.0.0.1:$p[1]",
        'cluster.initial_master_nodes' => 't0', 'node.roles' => $_ ? 'data' : 'master,data', ($_ ? () : ('storage.tiers.warm.plugin' => 'storage-nvme'))})
} 0, 1;
$_->launch for @two;
$n = $two[0];
ok($n->wait_for(sub { ($n->get('/_cluster/health')->{json}{number_of_nodes} // 0) == 2 }, 60), 'two nodes, one has the tier') or diag map { $_->stderr_text . $_->log_text } @two;
is($n->put('/r', {settings => {'index.storage.tier' => 'warm', number_of_shards => 1, number_of_replicas => 1}})->{status}, 200, 'an index with a replica');
is($n->put('/r/_doc/1?refresh=true', {n => 1})->{status}, 201, '... takes documents');
ok($n->wait_for(sub { $n->post('/_cluster/allocation/explain', {index => 'r', shard => 0, primary => \0})->{content} =~ /"decider":"storage_tier"/ }, 60), '... whose replica has no node');
$two[1]->stop;
$two[1]{settings}{'storage.tiers.warm.plugin'} = 'storage-nvme';
$two[1]->launch;
ok($n->wait_for(sub { ($n->get('/_cluster/health/r')->{json}{status} // '') eq 'green' }, 90), 'with the tier on the other node the replica is there') or diag $n->get('/_cluster/allocation/explain')->{content};
my $uuid = uuid('r');
ok(-d "$two[$_]{dir}/data/warm/indices/$uuid" && !-e "$two[$_]{dir}/data/hot/indices/$uuid", "on the tier of node $_") for 0, 1;
$_->stop for reverse @two;
done_testing;
