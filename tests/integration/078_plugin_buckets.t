#!/usr/bin/perl
# 078_plugin_buckets.t: buckets of plugins. The SDK's example, built against an installed copy, answers as terms does over
# shards on two nodes: on strings, numbers, dates and booleans, in orders and sizes, above and below others. Nodes whose
# plugins differ in the version of results are told apart, members of a plugin stand in its buckets, and one that misbehaves is told with its name.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use JSON::PP ();
use QdCluster;
use QdNode;
use Test::More;
use Time::HiRes qw(time);
use Timed;

my $top = QdNode::top();
my $cc = $ENV{CC} ? "CC='$ENV{CC}'" : '';
my $toys = "$QdNode::OUT/tests/plugins";
(my $rel = $toys) =~ s{^\Q$top\E/}{};
is(system("make -s -C '$top' $cc $rel/toy-aggregation.so $rel/version-2/toy-aggregation.so"), 0, 'the toys are built');
my $dir = tempdir('qd-buckets-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
mkdir "$dir/$_" for qw(0 1);
is(system("make -s -C '$top' install DESTDIR='$dir' prefix=/q $cc >/dev/null"), 0, 'make install');
{
    local %ENV = (%ENV, PKG_CONFIG_PATH => "$dir/q/lib/pkgconfig");
    delete @ENV{qw(CC CFLAGS MAKEFLAGS MAKELEVEL MFLAGS)};
    system("cp -r '$dir/q/share/quidditch/sdk/examples/aggregation-terms' '$dir/example'");
    my $out = `make -C '$dir/example' all check 2>&1`;
    is($?, 0, 'the example is built and passes its check') or diag $out;
    unlike($out, qr/not ok|SKIP/, '... all of it');
    like($out, qr/keys of texts depend on the value alone/, '... keys, too');
}
for my $node (0, 1) {
    copy("$QdNode::OUT/lib/quidditch/plugins/$_.so", "$dir/$node/$_.so") for grep { -e "$QdNode::OUT/lib/quidditch/plugins/$_.so" } qw(coordination-raft storage-nvme);
    copy("$dir/example/example-values.so", "$dir/$node/example-values.so") or die;
}
copy("$toys/toy-aggregation.so", "$dir/0/toy-aggregation.so") or die;
copy("$toys/version-2/toy-aggregation.so", "$dir/1/toy-aggregation.so") or die;
chmod 0644, glob "$dir/[01]/*.so";

my $c = QdCluster->new('bu', nodes => 3, settings => {'plugins.path' => "$dir/0", 'plugins.allow' => 'coordination-raft,storage-nvme,example-values,toy-aggregation', 'plugins.call_timeout' => '2s'});
$c->node(1)->{settings}{'plugins.path'} = "$dir/1";
$c->node(2)->{settings}{'plugins.allow'} = 'coordination-raft,storage-nvme';
$c->start;
my $n = $c->node(0);
my %nowhere = ('index.routing.allocation.exclude._name' => $c->node(2)->{name});
is($n->put('/x', {settings => {number_of_shards => 4, number_of_replicas => 0, %nowhere}, mappings => {properties => {
    k => {type => 'keyword'}, i => {type => 'integer'}, l => {type => 'long'}, v => {type => 'double'}, d => {type => 'date'}, b => {type => 'boolean'}, a => {type => 'ip'}, t => {type => 'text'}}}})->{status}, 200, 'an index');
my $id = 0;
for my $segment (1 .. 3) {
    my $body = '';
    for (1 .. 900) {
        my %doc = (k => 'K' . $id * 7 % 40, i => $id * 31 % 60, l => $id % 9 * 10**15, v => $id % 23 / 4, d => sprintf('2024-%02d-11', 1 + $id % 12), b => $id % 3 ? JSON::PP::true : JSON::PP::false, a => '10.0.0.' . $id % 17);
        delete @doc{qw(k i)} if $id % 11 == 0;
        $doc{k} = ['k' . $id % 5, 'K' . $id % 5, 'other'] if $id % 13 == 1;
        $doc{i} = [1, $id % 4, 500] if $id % 13 == 2;
        $body .= qq({"index":{"_id":"$id"}}\n) . JSON::PP::encode_json(\%doc) . "\n";
        $id++;
    }
    ok(!$n->post('/x/_bulk?refresh=true', $body)->{json}{errors}, "segment $segment");
}
$n->post('/x/_delete_by_query?refresh=true', {query => {range => {v => {lte => 0.5}}}});
is($n->put('/y', {settings => {%nowhere}, mappings => {properties => {other => {type => 'keyword'}}}})->{status}, 200, 'an index without the fields');
$c->wait_status('green');
my %on = map { $_->{node} => 1 } @{ $n->get('/_cat/shards/x?format=json')->{json} };
is(scalar keys %on, 2, 'shards on two nodes');

sub search { my ($on, $body, $path) = @_; return $on->post(($path // '/x/_search') . '?size=0', $body) }
sub aggs { my $r = search(@_); is($r->{status}, 200, 'answered') or diag $r->{content}; return $r->{json}{aggregations} }
# the same tree with terms and with the plugin in its place
sub same {
    my ($tree, $what, %more) = @_;
    my $path = delete $more{path};
    my $on = delete $more{on} // $n;
    my $theirs = aggs($on, {aggs => $tree->('terms'), %more}, $path);
    my $ours = aggs($on, {aggs => $tree->('values'), %more}, $path);
    is_deeply($ours, $theirs, $what) or diag explain [$ours, $theirs];
    return $ours;
}
my %avg = (m => {avg => {field => 'v'}});

# --- fields, alone and with children, on both nodes
for my $f (qw(k i l v d b a)) {
    same(sub { +{a => {$_[0] => {field => $f}}} }, "$f", on => $c->node($_)) for 0, 1;
    same(sub { +{a => {$_[0] => {field => $f, size => 100}, aggs => {%avg, c => {value_count => {field => 'k'}}}}} }, "$f with children");
    same(sub { +{a => {$_[0] => {field => $f, size => 3, shard_size => 4, order => {_key => 'desc'}}}} }, "$f by key");
    same(sub { +{a => {$_[0] => {field => $f, size => 4, order => [{'m' => 'asc'}, {_count => 'desc'}]}, aggs => \%avg}} }, "$f by a child");
    same(sub { +{a => {$_[0] => {field => $f, min_doc_count => 60, size => 50}}} }, "$f of sixty documents at least", query => {range => {v => {gte => 2}}});
    same(sub { +{o => {terms => {field => 'b'}, aggs => {a => {$_[0] => {field => $f, size => 5}, aggs => {b => {$_[0] => {field => 'k', size => 2}}}}}}} }, "$f below terms, above itself");
}
same(sub { +{a => {$_[0] => {field => 'k', missing => 'none', size => 50}}} }, 'strings, and those without one');
same(sub { +{a => {$_[0] => {field => 'i', missing => 77, size => 80}, aggs => \%avg}} }, 'numbers, and those without one');
same(sub { +{a => {$_[0] => {field => 'v', format => '0.000'}}} }, 'a format');
same(sub { +{a => {$_[0] => {field => 'd', format => 'yyyy/MM'}}} }, 'a format of dates');
same(sub { +{a => {$_[0] => {field => 'k', size => 5}, aggs => \%avg}} }, 'with an index that lacks the field', path => '/x,y/_search');
same(sub { +{a => {$_[0] => {field => 'nosuch'}}} }, 'no field');
same(sub { +{a => {$_[0] => {field => '_index'}, aggs => \%avg}} }, 'names of indices', path => '/x,y/_search');
same(sub { +{a => {$_[0] => {field => 'k'}}} }, 'no documents', query => {match_none => {}});
same(sub { +{g => {global => {}, aggs => {a => {$_[0] => {field => 'i', size => 7}}}}} }, 'below global', query => {term => {k => 'k1'}});
same(sub { +{f => {filter => {term => {b => JSON::PP::true}}, aggs => {a => {$_[0] => {field => 'k', size => 7}}}}} }, 'below a filter');
same(sub { +{a => {$_[0] => {field => 'k', size => 40}, aggs => {%avg, s => {bucket_sort => {sort => [{m => 'asc'}], size => 3}}}}, x => {max_bucket => {buckets_path => 'a>m'}}} }, 'pipelines');

# --- its own parameter, what is the host's
my $folded = aggs($n, {aggs => {a => {values => {field => 'k', fold => JSON::PP::true, size => 100}}, all => {cardinality => {field => 'k'}}}});
my %count = map { $_->{key} => $_->{doc_count} } @{ $folded->{a}{buckets} };
ok(!(grep { /[A-Z]/ } keys %count), 'small letters');
for my $k (qw(k1 k3 other)) {
    is($count{$k}, $n->post('/x/_count', {query => {terms => {k => [$k, uc $k]}}})->{json}{count}, "a document of both is in $k once") if $k ne 'other';
}
my $keyed = aggs($n, {aggs => {a => {values => {field => 'b', keyed => JSON::PP::true}}}});
is_deeply([sort keys %{ $keyed->{a}{buckets} }], ['false', 'true'], 'keyed');
my $typed = $n->post('/x/_search?size=0&typed_keys=true', {aggs => {a => {values => {field => 'b'}}}})->{json}{aggregations};
ok($typed->{'values#a'}, 'typed_keys');

# --- refusals
sub reason { my $e = $_[0]{json}{error} || {}; my $f = $e->{failed_shards}[0]{reason} || $e; return "$_[0]{status} $f->{type}: $f->{reason}" }
like(reason(search($n, {aggs => {a => {values => {field => 'k', include => 'x'}}}})), qr/^400 .*\[values\] does not support this parameter/, 'an unknown parameter');
like(reason(search($n, {aggs => {a => {values => {field => 'k', size => 0}}}})), qr/^400 x_content_parse_exception: \[1:\d+\] \[values\] failed to parse field \[size\]/, 'no size');
like(reason(search($n, {aggs => {a => {values => {field => 'k', min_doc_count => 0}}}})), qr/^400 .*\[values\] failed to parse field \[min_doc_count\]/, 'buckets without documents');
like(reason(search($n, {aggs => {a => {values => {field => 't'}}}})), qr/^400 .*Fielddata is disabled on \[t\]/, 'a text');
like(reason(search($n, {aggs => {a => {toy_keys => {field => 'k'}}}})), qr/^400 .*Field \[k\] of type \[keyword\] is not supported for aggregation \[toy_keys\]/, 'strings, of one for numbers alone');
like(reason(search($n, {aggs => {a => {values => {field => 'k', order => {nosuch => 'asc'}}}}})), qr/Invalid aggregation order path \[nosuch\]/, 'an order by nothing');
my $lacks = search($c->node(2), {aggs => {a => {values => {field => 'k'}}}});
like($lacks->{content}, qr/values/, 'a node without the plugin refuses it by its name') or diag $lacks->{content};

# --- plugins of two versions
for my $case (['toy_keys', {field => 'i'}], ['toy_agg', {field => 'i', mode => 'sum'}]) {
    my $r = search($n, {aggs => {mine => {$case->[0] => $case->[1]}}});
    cmp_ok($r->{status}, '>=', 500, "$case->[0]: results of another version");
    like($r->{content}, qr/aggregation \[mine\] of type \[\Q$case->[0]\E\]: a node's plugin \[toy-aggregation\] makes results of version \[2\], this node's of version \[1\]/, '... with aggregation, plugin and both versions') or diag $r->{content};
}

# --- one that misbehaves, on a shard of one node; and one that may not be kept
is($n->put('/z', {settings => {number_of_shards => 1, number_of_replicas => 0, 'index.routing.allocation.require._name' => $n->{name}}, mappings => {properties => {i => {type => 'integer'}}}})->{status}, 200, 'an index on this node');
$n->post('/z/_bulk?refresh=true', join '', map { qq({"index":{}}\n{"i":$_}\n) } 1 .. 200);
$c->wait_status('green');
sub toy { my ($mode, $type) = @_; return search($n, {aggs => {a => {($type // 'toy_keys') => {field => 'i', mode => $mode}}}}, '/z/_search') }
is(scalar @{ toy('sum')->{json}{aggregations}{a}{buckets} }, 10, 'the sound one');
like(reason(toy('beyond')), qr/aggregation \[toy_keys\] of plugin \[toy-aggregation\]: keys gave value number 207, at most 199 is allowed/, 'a key of no value');
my $begun = time;
like(toy('hang')->{content}, qr/aggregation \[toy_keys\] of plugin \[toy-aggregation\] has not returned from keys for 2000 ms/, 'one that does not return');
within(time - $begun, 8, 60, 'the answer');
# --- members of its own in the buckets
my %toy_members = (toy_members => {field => 'i', size => 90, mode => 'sum', order => {_key => 'asc'}});
for my $on (0, 1) {
    my $a = aggs($c->node($on), {aggs => {a => {%toy_members, aggs => \%avg}, t => {terms => {field => 'i', size => 90, order => {_key => 'asc'}}, aggs => \%avg}}});
    is(scalar(grep { $_->{half} != $_->{key} / 2 } @{ $a->{a}{buckets} }), 0, "node $on: each bucket has its member");
    delete $_->{half} for @{ $a->{a}{buckets} };
    is_deeply($a->{a}, $a->{t}, '... and all else is as of terms');
}
like(search($n, {aggs => {a => {toy_members => {field => 'i', size => 1, mode => 'sum', order => {_key => 'asc'}}}}})->{content}, qr/\{"key":0,"half":0\.0,"doc_count":\d+\}/, 'behind the key');
my $nested = aggs($n, {aggs => {o => {terms => {field => 'b'}, aggs => {a => {toy_members => {field => 'l', size => 3, mode => 'sum', keyed => JSON::PP::true}}}}}});
is_deeply([map { $_->{half} * 2 - $_->{key} } map { values %{ $_->{a}{buckets} } } @{ $nested->{o}{buckets} }], [(0) x 6], 'below terms, keyed');
like(reason(search($n, {aggs => {a => {%toy_members, aggs => {half => {avg => {field => 'v'}}}}}})), qr/^400 illegal_argument_exception: Sub-aggregation \[half\] of \[a\] has the name of a member/, 'a child of the same name');
like(toy('hostile', 'toy_members')->{content}, qr/aggregation \[toy_members\] of plugin \[toy-aggregation\]: the member \[doc_count\] of its buckets is not among those that it names/, 'a member of the host\'s name');
like(toy('large', 'toy_members')->{content}, qr/write_bucket wrote too much for a bucket, at most 65536 bytes are allowed/, 'members without an end');
$begun = time;
like(toy('late', 'toy_members')->{content}, qr/aggregation \[toy_members\] of plugin \[toy-aggregation\] has not returned from write_bucket for 2000 ms/, 'members that do not come');
within(time - $begun, 8, 60, 'the answer');

# --- answers that are kept, and that are not
my ($first, $second) = map { toy('count')->{json}{aggregations}{a}{buckets}[0]{key} } 1, 2;
isnt($first, $second, 'an answer that is not kept');
($first, $second) = map { toy('count', 'toy_kept')->{json}{aggregations}{a}{buckets}[0]{key} } 1, 2;
is($first, $second, 'one that is, as its flag allows');
same(sub { +{a => {$_[0] => {field => 'k'}}} }, 'others run');
is($c->stop, 0, 'SIGTERM ends the nodes');
done_testing();
