#!/usr/bin/perl
# 010_sdk.t: an author's way: against an installed copy, build the examples and a skeleton of each kind,
# check them, install them, and see them in the node's list. The product's own plugins pass the same kit.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use IO::Socket::INET;
use QdNode;
use Test::More;

my $top = QdNode::top();
my $dir = tempdir('qd-sdk-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $cc = $ENV{CC} ? "CC='$ENV{CC}'" : '';
sub sh { my $out = `@_ 2>&1`; return ($? >> 8, $out) }
chmod 0755, $dir;

is((sh("make -s -C '$top' install DESTDIR='$dir' prefix=/q $cc"))[0], 0, 'make install');
my $home = "$dir/q";
SKIP: {
    skip 'there is no pkg-config', 1 if (sh('pkg-config --version'))[0];
    $ENV{PKG_CONFIG_PATH} = "$home/lib/pkgconfig";
    delete @ENV{qw(CC CFLAGS MAKEFLAGS MAKELEVEL MFLAGS)};
    my ($rc, $out) = sh('pkg-config --variable=abi_major quidditch');
    is($out, "1\n", 'pkg-config knows the ABI');

    for my $example (['token-filter', 'example-reverse'], ['query-operator', 'example-spelling'], ['bm25-operator', 'example-bm25'],
                     ['aggregation', 'example-geometric'], ['aggregation-strings', 'example-lengths'], ['aggregation-terms', 'example-values'], ['flat-vectors', 'example-vectors'], ['processor', 'example-entropy']) {
        my ($folder, $name) = @$example;
        # Copied away: nothing of the product's tree is in reach.
        sh("cp -r '$home/share/quidditch/sdk/examples/$folder' '$dir/$name'");
        for my $goal (qw(all check install installcheck)) {
            ($rc, $out) = sh("make -C '$dir/$name' $goal");
            is($rc, 0, "$name: make $goal") or diag $out;
        }
        unlike($out, qr/not ok|SKIP/, "$name: nothing is skipped");
        my $nm = `nm -D --defined-only '$dir/$name/$name.so'`;
        is(scalar(() = $nm =~ /^\S+ T (?!qd_plugin_entry)/mg), 0, "$name exports one symbol");
    }
    my @allow = ('-E', 'plugins.allow=storage-nvme,example-reverse,example-spelling');
    ($rc, $out) = sh("'$home/bin/qd' plugin list @allow");
    like($out, qr/^example-reverse\s+1\.0\.0\s+loaded\s+token_filter\s/m, 'plugins of unstable kinds that this SDK built are loaded');
    like($out, qr/^example-spelling\s+1\.0\.0\s+loaded\s+operator\s/m, 'both');
    ($rc, $out) = sh("'$home/bin/qd' plugin list -E plugins.allow=+example-reverse");
    like($out, qr/^example-reverse\s+1\.0\.0\s+loaded\s/m, 'a name with a + is allowed');
    like($out, qr/^storage-nvme\s+\S+\s+loaded\s/m, '... beside the default ones');
    like((sh("'$home/bin/qd' plugin list -E plugins.allow=+example-reverse,storage-nvme"))[1], qr/plugins\.allow: either all names begin with '\+'/, 'both ways at once are refused');
    sh("make -C '$dir/example-reverse' clean");
    sh("make -C '$dir/example-reverse' install QD_BUILD_ID=0.0.1-0123456789abcdef");
    ($rc, $out) = sh("'$home/bin/qd' plugin list @allow");
    like($out, qr/^example-reverse\s+1\.0\.0\s+refused\s.*unstable.*plugins\.allow_unstable/m,
        'those of another build are refused');
    ($rc, $out) = sh("'$home/bin/qd' plugin list @allow -E plugins.allow_unstable=true");
    like($out, qr/^example-reverse\s+1\.0\.0\s+loaded\s+token_filter\s/m, 'until that is allowed');
    is((sh("make -C '$dir/example-reverse' uninstall"))[0], 0, 'make uninstall');
    ok(!-e "$home/lib/quidditch/plugins/example-reverse.so", 'it is gone');

    for my $kind (qw(aggregation bucket_aggregation operator tokenizer token_filter char_filter analyzer field storage coordination frontend route processor)) {
        my $new = "my-$kind" =~ tr/_/-/r;
        ($rc, $out) = sh("cd '$dir' && '$home/bin/qd' plugin new $kind $new");
        is($rc, 0, "qd plugin new $kind") or diag $out;
        ($rc, $out) = sh("make -C '$dir/$new' check SAN=");
        is($rc, 0, "the skeleton of $kind passes its check") or diag $out;
        unlike($out, qr/not ok|warning/, "... without a warning");
    }
    # The example's README promises it in an index.
    is((sh("make -C '$dir/example-reverse' clean install"))[0], 0, 'the example is installed again');
    {
        local $QdNode::OUT = $home;
        my $node = QdNode->new('ex', settings => {'plugins.allow' => '+example-reverse'});
        $node->start;
        is($node->put('/x', {settings => {analysis => {filter => {f => {type => 'example_reverse'}}, analyzer => {a => {tokenizer => 'standard', filter => ['f']}}}},
            mappings => {properties => {t => {type => 'text', analyzer => 'a'}}}})->{status}, 200, 'an index with its filter');
        is($node->put('/x/_doc/1?refresh=true', {t => 'stones'})->{status}, 201, 'a document');
        is($node->post('/x/_search', {query => {term => {t => 'senots'}}})->{json}{hits}{total}{value}, 1, 'whose words are reversed');
        is($node->stop, 0, 'the node stops');
    }
    # A front end of a plugin's is opened beside REST, and reaches the same actions.
    is((sh("make -C '$dir/my-frontend' install"))[0], 0, 'a front end is installed');
    {
        local $QdNode::OUT = $home;
        my $port = QdNode::free_port();
        my $node = QdNode->new('fe', settings => {'plugins.allow' => 'coordination-raft,storage-nvme,my-frontend',
            'plugins.allow_unstable' => 'true', 'plugin.my-frontend.port' => $port});
        $node->start;
        $node->put('/books/_doc/1?refresh=true', {title => 'stones'});
        my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "front end: $!";
        print $s "search index=books q=stones\nno.such\nsearch index=missing\n";
        my @answers = do { local $/ = "\n\n"; map { scalar <$s> } 1 .. 3 };
        like($answers[0], qr/^200\n.*"title":"stones"/, 'a search through it');
        like($answers[1], qr/^400\nno action of the name \[no\.such\]/, 'an unknown action');
        like($answers[2], qr/^404\n.*index_not_found_exception/, 'an error answer');
        print $s "set books 2 title=peaks year=1987\nshow books 2\nshow books 3\nset books 2 year=old\nset books\n";
        @answers = do { local $/ = "\n\n"; map { scalar(<$s>) =~ s/\n+\z//r } 1 .. 5 };
        is($answers[0], "201\nversion 1", 'a document of typed values');
        is($answers[1], "200\nversion 1\ntitle=peaks\nyear=1987", 'is read back');
        is_deeply($node->get('/books/_source/2')->{json}, {title => 'peaks', year => 1987}, '... and is what REST shows');
        is($answers[2], "404\nversion 0", 'one that is not there');
        like($answers[3], qr/^400\ndocument_parsing_exception: .*\[year\] of type \[long\]/, 'one that does not fit the mapping');
        like($answers[4], qr/^201\n/, 'one without id and values');
        my ($plugins) = $node->get('/_cat/plugins?h=component,description')->{content} =~ /^(my-frontend .*)$/m;
        like($plugins, qr/ [0-9a-f]{64}$/, 'it is listed with its hash');
        is($node->stop, 0, 'the node stops with a client connected');
    }
    # The coordination kind is stable: a store built here, by nobody the node knows, needs no leave but its name.
    is((sh("make -C '$dir/my-coordination' install"))[0], 0, 'a store is installed');
    {
        local $QdNode::OUT = $home;
        my $node = QdNode->new('st', settings => {'plugins.allow' => 'storage-nvme,my-coordination', 'coordination.plugin' => 'my-coordination'});
        ($rc, $out) = $node->run_qd('plugin', 'list', $node->arguments);
        like($out, qr/^my-coordination\s+\S+\s+loaded\s+coordination\s/m, 'and loaded as it is');
        $node->start;
        is($node->put('/books', {settings => {number_of_shards => 2, number_of_replicas => 0}})->{status}, 200, 'the cluster has its state there');
        is($node->put('/books/_doc/1?refresh=true', {title => 'stones'})->{status}, 201, 'a document');
        is($node->get('/books/_count')->{json}{count}, 1, 'is found');
        is($node->stop, 0, 'the node stops');
    }
    like((sh("'$home/bin/qd' plugin new cucumber x"))[1], qr/no skeleton of kind \[cucumber\]/, 'an unknown kind');
    like((sh("'$home/bin/qd' plugin new tokenizer ../x"))[1], qr/bad name \[\.\.\/x\]/, 'a bad name');
}

for my $so (glob "'$home/lib/quidditch/plugins/'*.so") {
    my $name = $so =~ s{.*/}{}r;
    next if $name =~ /^example/;
    my ($rc, $out) = sh("'$home/bin/qd' plugin check '$so'");
    is($rc, 0, "$name conforms") or diag $out;
    # what lies outside is tested where it is: 615_k8s_conformance.t
    like($out, $name =~ /k8s/ ? qr/# SKIP it is outside/i : qr/^(?!.*it is outside)/s, "$name: only what is outside is left out");
}
done_testing;
