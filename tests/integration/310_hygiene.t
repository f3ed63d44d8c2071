# What a node finds in its data folder at start: folders of deleted and of unknown indices, whole
# files that nothing points to, half-made and foreign ones, another process.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use File::Path qw(remove_tree make_path);
use QdNode;

my $node = QdNode->new('hygiene');
my $hot  = "$node->{dir}/data/hot";
$node->start;

# --- a second process
{
    my $second = QdNode->new('second', settings => { 'path.data' => "$node->{dir}/data" });
    $second->launch;
    isnt($second->wait_end(20), 0, 'a second process is refused');
    my $said = $second->stderr_text . $second->log_text;
    like($said, qr/\b$node->{pid}\b/, 'and told the pid of the first');
    $second->{keep} = 0;
}

# What lies on the tiers is looked at beside the work, after the start.
sub says {
    my ($what, $name) = @_;
    ok($node->wait_for(sub { $node->log_text =~ $what }, 30), $name) or diag $node->log_text;
}

# --- dangling: the folder comes from a life of which the coordination store knows nothing
sub make {
    my ($name, $docs) = @_;
    is($node->put("/$name", { settings => { number_of_shards => 2 }, aliases => { "$name-alias" => {} } })->{status}, 200, "$name is made");
    $node->post("/$name/_bulk?refresh=true", join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_,"t":"text $_"}\n) } 1 .. $docs);
    return (values %{ $node->get("/$name")->{json} })[0]{settings}{index}{uuid};
}
my $uuid = make('lost', 50);
my $kept = make('kept', 10);
my $gone = make('gone', 5);
$node->stop;
system("cp -a $hot/indices $node->{dir}/saved") == 0 or die;

# the graveyard: the folder of a deleted index is back, as a crash in the deletion leaves it
$node->start;
is($node->delete('/gone')->{status}, 200, 'an index is deleted');
ok($node->wait_for(sub { !-e "$hot/indices/$gone" }, 10), 'its folder goes');
$node->kill9;
system("cp -a $node->{dir}/saved/$gone $hot/indices/") == 0 or die;
$node->start;
ok($node->wait_for(sub { !-e "$hot/indices/$gone" }, 30), 'what a crash left of a deleted index is removed after the start');
says(qr/files of the deleted index \[\Q$gone\E\] are removed/, 'and said');
is($node->get('/gone')->{status}, 404, 'it is not there');
$node->stop;

# a new coordination store knows none of the three
remove_tree("$node->{dir}/data/coordination");
unlink "$node->{dir}/data/authority.json"; # else it refuses a store that knows less than itself
unlink "$node->{dir}/data/node.json";
$node->start;
says(qr/dangling index \[lost\/\Q$uuid\E\]/, 'a dangling index is named');
is($node->get('/lost')->{status}, 404, 'but is not there');
my %dangling = map { $_->{index_uuid} => $_->{index_name} } @{ $node->get('/_dangling')->{json}{dangling_indices} };
is_deeply(\%dangling, { $uuid => 'lost', $kept => 'kept' }, 'GET /_dangling lists them');
my $r = $node->post("/_dangling/$uuid");
is($r->{status}, 400, 'importing wants the loss accepted');
is($r->{json}{error}{reason}, 'accept_data_loss must be set to true', 'as Elasticsearch says it');
is($node->post('/_dangling/AAAAAAAAAAAAAAAAAAAAAA?accept_data_loss=true')->{status}, 400, 'an unknown one is refused');
my ($rc, $out) = $node->run_qd('index', 'import-dangling', '--url', $node->url);
like($out, qr/^\Q$uuid\E\s+lost$/m, 'qd lists them') or diag $out;
($rc, $out) = $node->run_qd('index', 'import-dangling', '-' . 'A' x 21, '--url', $node->url);
unlike($out, qr/unknown option/, 'an id that begins with a dash is no option');
($rc, $out) = $node->run_qd('index', 'import-dangling', $uuid, '--url', $node->url);
is($rc, 0, 'qd brings one back') or diag $out;
ok($node->wait_for(sub { ($node->get('/_cluster/health')->{json}{status} // '') ne 'red' }, 60), 'it starts');
is($node->get('/lost/_doc/37')->{json}{_source}{t}, 'text 37', 'with its documents');
is($node->get('/lost-alias/_doc/3')->{json}{_source}{n}, 3, 'its aliases');
is($node->get('/lost/_mapping')->{json}{lost}{mappings}{properties}{n}{type}, 'long', 'its mapping');
is($node->put('/lost/_doc/new', { n => 51 })->{status}, 201, 'and takes new ones');
$r = $node->delete("/_dangling/$kept?accept_data_loss=true");
is($r->{status}, 202, 'the other one is given up');
ok(!-e "$hot/indices/$kept", 'its files are gone');
is_deeply($node->get('/_dangling')->{json}{dangling_indices}, [], 'nothing dangles now');
$node->restart;
is($node->get('/lost/_doc/37')->{json}{found} ? 1 : 0, 1, 'the imported index outlives a restart');

# --- files that nothing points to
$node->post('/_flush');
$node->stop;
my ($segment) = grep { -s } glob "$hot/indices/$uuid/*/seg-*";
my $shard = $segment =~ s{/seg-.*}{}r;
copy($segment, "$shard/seg-00000000000000000000000000000000") or die;
copy($segment, "$hot/indices/$uuid/old-backup") or die;
chmod 0600, "$shard/seg-00000000000000000000000000000000", "$hot/indices/$uuid/old-backup";
for my $f ("$shard/notes.txt", "$hot/.tmp/half") { open my $h, '>', $f or die "$f: $!"; print $h 'x' x 1000; close $h }
chmod 0600, "$shard/notes.txt";
$node->start;
ok($node->wait_for(sub { ($node->get('/_cluster/health')->{json}{status} // 'red') ne 'red' }, 60), 'the shards are up');
$node->wait_for(sub { grep { /old-backup$/ } glob "$hot/lost+found/*" }, 30);
my @aside = map { s{.*/}{}r } sort glob "$hot/lost+found/*";
is(scalar(grep { /seg-0{32}$/ } @aside), 1, 'a whole segment of another name is moved to lost+found') or diag "@aside";
is(scalar(grep { /old-backup$/ } @aside), 1, 'so is a whole file that is none of ours') or diag "@aside";
ok(!-e "$shard/seg-00000000000000000000000000000000", 'and is gone from the shard');
ok(-e "$shard/notes.txt", 'a foreign file is left alone');
says(qr/notes\.txt/, 'and named');
ok(!-e "$hot/.tmp/half", 'a half-made file is removed');
is($node->get('/lost/_doc/37')->{json}{found} ? 1 : 0, 1, 'the shard is well');

# --- permissions
my @open = grep { (stat $_)[2] & 0077 } split /\n/, `find $node->{dir}/data -not -name notes.txt`;
is("@open", '', 'nothing in the data folder is readable by others');
$node->stop;
done_testing;
