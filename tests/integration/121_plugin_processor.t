#!/usr/bin/perl
# 121_plugin_processor.t: processors of plugins in ingest pipelines. The SDK's example, built against an installed copy, works beside
# built-in processors, on documents of a bulk together and one by one. What a plugin says of one document concerns that one alone; one that
# misbehaves is told with its name, and holds up nobody.
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
is(system("make -s -C '$top' $cc $rel/toy-processor.so $rel/toy-trim.so"), 0, 'the toys are built');
my $dir = tempdir('qd-processor-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
mkdir "$dir/$_" for qw(plugins taken);
is(system("make -s -C '$top' install DESTDIR='$dir' prefix=/q $cc >/dev/null"), 0, 'make install');
{
    local %ENV = (%ENV, PKG_CONFIG_PATH => "$dir/q/lib/pkgconfig");
    delete @ENV{qw(CC CFLAGS MAKEFLAGS MAKELEVEL MFLAGS)};
    system("cp -r '$dir/q/share/quidditch/sdk/examples/processor' '$dir/processor'");
    my $out = `make -C '$dir/processor' all check 2>&1`;
    is($?, 0, 'the example is built and passes its check') or diag $out;
    unlike($out, qr/not ok|SKIP/, '... all of it');
}
copy("$QdNode::OUT/lib/quidditch/plugins/$_.so", "$dir/plugins/$_.so") for grep { -e "$QdNode::OUT/lib/quidditch/plugins/$_.so" } qw(coordination-raft storage-nvme);
copy("$dir/processor/example-entropy.so", "$dir/plugins/example-entropy.so") or die;
copy("$toys/toy-processor.so", "$dir/plugins/toy-processor.so") or die;
copy("$toys/toy-trim.so", "$dir/taken/toy-trim.so") or die;
chmod 0644, glob "$dir/plugins/*.so $dir/taken/*.so";

my %plugins = ('plugins.path' => "$dir/plugins", 'plugins.allow' => 'coordination-raft,storage-nvme,example-entropy,toy-processor', 'plugins.call_timeout' => '2s');
my $c = QdCluster->new('pp', nodes => 2, settings => \%plugins);
$c->node(1)->{settings}{'plugins.allow'} = 'coordination-raft,storage-nvme';
$c->node(1)->{settings}{'node.roles'} = 'master,data';
$c->start;
my $n = $c->node(0);
is($n->put('/x', { mappings => { dynamic => JSON::PP::false } })->{status}, 200, 'an index');
$c->wait_status('green');

sub reason { my $e = $_[0]{json}{error} || {}; return "$_[0]{status} $e->{type}: $e->{reason}" }
sub put { my ($id, @processors) = @_; my $r = $n->put("/_ingest/pipeline/$id", { processors => \@processors }); is($r->{status}, 200, "pipeline $id") or diag $r->{content} }
sub toy { my ($mode, %more) = @_; return { toy_processor => { mode => $mode, %more } } }
sub bulk { my ($pipeline, @docs) = @_; my $id = 0; my $r = $n->post("/_bulk?pipeline=$pipeline", join '', map { '{"index":{"_index":"x","_id":"' . $id++ . "\"}}\n" . (ref $_ ? JSON::PP::encode_json($_) : $_) . "\n" } @docs); return map { $_->{index} } @{ $r->{json}{items} // [] } }
sub source { return $n->get("/x/_source/$_[0]")->{json} }
sub fails { my ($r) = @_; return $r->{error} ? "$r->{status} $r->{error}{type}: $r->{error}{reason}" : "$r->{status} $r->{result}" }

# --- the example, beside built-in processors
put('entropy', { set => { field => 'host.name', value => '{{name}}' } }, { entropy => { fields => [ 'host.name', 'words' ] } }, { set => { if => "ctx.host['name_entropy'] > 1.5", field => 'odd', value => JSON::PP::true } });
my @items = bulk('entropy', { name => 'aabb', words => [ 'ab', 'aaaa' ] }, { name => 'abcd' }, { name => 'x', words => 7 }, { name => 'y', words => undef });
is(join(' ', map { $_->{status} } @items), '201 201 400 201', 'a bulk: one document fails');
like(fails($items[2]), qr/^400 illegal_argument_exception: a field is neither a text nor a list of texts$/, '... by the plugin\'s words');
is_deeply(source(0), { name => 'aabb', words => [ 'ab', 'aaaa' ], host => { name => 'aabb', name_entropy => 1 }, words_entropy => [ 1, 0 ] }, 'a text and a list');
is_deeply(source(1), { name => 'abcd', host => { name => 'abcd', name_entropy => 2 }, odd => JSON::PP::true }, 'a condition on what it has made');
like(reason($n->put('/_ingest/pipeline/bad', { processors => [ { entropy => { fields => [ 'a' ], what => 1 } } ] })), qr/^400 parse_exception: unknown parameter \[what\]/, 'an unknown parameter');
is($n->put('/_ingest/pipeline/bad', { processors => [ { entropy => { fields => [] } } ] })->{json}{error}{processor_type}, 'entropy', 'an error names the processor');
my ($types) = values %{ $n->get('/_nodes/_local/ingest')->{json}{nodes} };
is(scalar(grep { $_->{type} eq 'entropy' } @{ $types->{ingest}{processors} }), 1, 'the list of processors has it');

# --- all that may be said, of documents together and alone
put('sound', toy('sound', tag => 'mine', description => 'd', if => "ctx.skip != true"), { remove => { field => 'batch', if => 'ctx.batch == null', ignore_missing => JSON::PP::true } });
@items = bulk('sound', (map { { n => $_ } } 0 .. 69), { skip => JSON::PP::true }, '{"a":{"b":{"c":[1.50,"\u20ac"]}},"n":1e2,"gone":1}', '{"n":12345678901234567890}');
is(scalar(grep { !$_->{error} } @items), 73, 'a bulk of more than two batches') or diag explain [ grep { $_ } map { $_->{error} } @items ];
is(join(' ', map { source($_)->{batch} // '-' } 0, 31, 32, 63, 64, 70, 71), '32 32 32 32 8 - 8', 'documents come in batches, those that the condition leaves out do not');
my $raw = $n->get('/x/_source/71')->{content};
like($raw, qr/^\{"a":\{"b":\{"c":\[1\.50,"(?:\xe2\x82\xac|\\u20ac)"\]\}\},"n":1e2,"batch":8,"copy":\{"ab":\{"c":\[1\.50?,"(?:\xe2\x82\xac|\\u20ac)"\]\},"n":100\.0\},"list":\[1,\{"x":2\.50\}\],"half":0\.5,"yes":true,"none":null\}/, 'values of every type') or diag $raw;
my $one = $n->put('/x/_doc/one?pipeline=sound', { n => 5, gone => 1 });
is_deeply(source('one'), { n => 5, batch => 1, copy => { n => 5 }, list => [ 1, { x => 2.5 } ], half => 0.5, yes => JSON::PP::true, none => undef }, 'a document alone');
put('inner', toy('sound'));
put('outer', { pipeline => { name => 'inner' } }, { fail => { message => 'no', on_failure => [ toy('sound') ] } });
is(join(' ', map { $_->{status} } bulk('outer', { n => 1 }, { n => 2 })), '200 200', 'in a pipeline of a pipeline, and in on_failure');
my $sim = $n->post('/_ingest/pipeline/_simulate?verbose=true', { pipeline => { processors => [ toy('sound', tag => 't') ] }, docs => [ { _source => { n => 1 } } ] })->{json};
is("$sim->{docs}[0]{processor_results}[0]{processor_type} $sim->{docs}[0]{processor_results}[0]{tag} $sim->{docs}[0]{processor_results}[0]{status}", 'toy_processor t success', '_simulate');

# --- outcomes by document
put('number', toy('number', on_failure => [ { set => { field => 'why', value => '{{_ingest.on_failure_processor_type}}: {{_ingest.on_failure_message}}' } } ]));
@items = bulk('number', map { { n => $_ } } 4 .. 11);
is(join(' ', map { $_->{result} } @items), 'updated noop updated updated updated noop updated updated', 'dropped ones, others') or diag explain \@items;
is(source(0)->{why}, 'toy_processor: n is a multiple of four', 'a failure, with on_failure');
like(source(2)->{why}, qr/^toy_processor: processor \[toy_processor\] of plugin \[toy-processor\]: run failed with QD_E_REJECTED/, 'a code without a word');
is(source(3)->{batch}, 8, 'and one that goes on');
my $stats = $n->get('/_nodes/_local/stats/ingest')->{json};
my ($node) = values %{ $stats->{nodes} };
my $counts = $node->{ingest}{pipelines}{number}{processors}[0]{toy_processor}{stats};
is("$counts->{count} $counts->{failed}", '8 4', 'are counted');
put('index', toy('index'));
bulk('index', { n => 1 }, { n => 2 });
is($n->get('/other/_source/1')->{json}{n}, 2, 'metadata may be set');

# --- what it must not
for my $case (
    [ 'no-index', qr/^400 illegal_argument_exception: cannot remove metadata field \[_index\]/ ], [ utf8 => qr/^500 plugin_exception: a plugin gave a text that is not valid UTF-8/ ],
    [ path => qr/^400 illegal_argument_exception: path \[\.\.\] is not valid/ ], [ json => qr/^400 / ], [ type => qr/^400 .*processor \[toy_processor\] of plugin \[toy-processor\]: run failed with QD_E_ARG/ ],
    [ parent => qr/^400 illegal_argument_exception: cannot set|^400 illegal_argument_exception: cannot resolve/ ], [ document => qr/run failed with QD_E_ARG/ ], [ much => qr/run failed with QD_E_LIMIT/ ],
    [ code => qr/^500 plugin_exception: processor \[toy_processor\] of plugin \[toy-processor\]: run failed with the unknown code 77/ ], [ word => qr/^400 illegal_argument_exception: it does not want to/ ],
    [ memory => qr/circuit_breaking_exception|memory/ ],
) {
    put($case->[0], toy($case->[0]));
    my @r = bulk($case->[0], { n => 1 }, { n => 2 });
    like(fails($_), $case->[1], "$case->[0]") for @r;
}
like(reason($n->put('/_ingest/pipeline/bad', { processors => [ toy('many-fields') ] })), qr/wants \[65\] fields, at most \[64\] may be/, 'too many fields');
like(reason($n->put('/_ingest/pipeline/bad', { processors => [ toy('nothing') ] })), qr/opened nothing/, 'no processor');
like(reason($n->put('/_ingest/pipeline/bad', { processors => [ toy('open-memory') ] })), qr/^429 circuit_breaking_exception: \[plugin\.toy-processor\] Data too large/, 'no memory');

# --- calls that do not return
my $begun = time;
like(reason($n->put('/_ingest/pipeline/bad', { processors => [ toy('open-hangs') ] })), qr/^500 plugin_exception: processor \[toy_processor\] of plugin \[toy-processor\] has not returned from open for 2000 ms/, 'one that does not return from open');
put('hangs', toy('hangs'));
@items = bulk('hangs', { n => 1 }, { n => 2 });
like(fails($_), qr/^500 plugin_exception: .*has not returned from run for 2000 ms/, '... from run') for @items;
within(time - $begun, 10, 60, 'the answers');
ok($n->wait_for(sub { $n->log_text =~ /toy processor is cancelled/ }, 30), 'its task is cancelled');
is(join(' ', map { $_->{status} } bulk('sound', { n => 1 }, { n => 2 })), '200 200', 'others run');
is($n->delete('/_ingest/pipeline/hangs')->{status}, 200, 'its pipeline goes');
put('sound', toy('sound'));
bulk('sound', { n => 1 });
ok($n->wait_for(sub { $n->log_text =~ /toy processor \[sound\] is closed/ }, 30), 'a processor is closed when its pipeline is another');

# --- a node without the role ingest asks one that has it
my $r = $c->node(1)->post('/_bulk?pipeline=entropy&refresh=true', qq({"index":{"_index":"x","_id":"far"}}\n{"name":"ab"}\n));
is($r->{json}{items}[0]{index}{status}, 201, 'through another node') or diag $r->{content};
is(source('far')->{host}{name_entropy}, 1, '... which has the plugin');
like(reason($c->node(1)->put('/_ingest/pipeline/bad', { processors => [ { entropy => { fields => [ 'a' ] } } ] })), qr/No processor type exists with name \[entropy\]/, 'a node without the plugin refuses such a pipeline');
is($c->stop, 0, 'SIGTERM ends the nodes');

my $taken = QdNode->new('tk', settings => {'plugins.path' => "$dir/taken", 'plugins.allow' => '+toy-trim'});
my $out = do { open my $p, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', QdNode::daemon(), $taken->arguments or die; local $/; <$p> };
like($out, qr/plugin \[toy-trim\] provides the processor \[trim\], which is a built-in one/, 'a name that is taken stops the start');
done_testing();
