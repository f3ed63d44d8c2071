#!/usr/bin/perl
# 077_plugin_aggregation.t: aggregations of plugins. The SDK's examples, built against an installed copy, answer as
# built-in ones do, and of strings as a count of the documents says, in nodes that collect shards of several segments with deleted documents: alone, below and beside
# built-in aggregations, in orders and pipelines. One that misbehaves is told with its name and holds up nobody.
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
is(system("make -s -C '$top' $cc $rel/toy-aggregation.so $rel/toy-taken.so"), 0, 'the toys are built');
my $dir = tempdir('qd-aggregation-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $dir;
mkdir "$dir/$_" for qw(plugins taken);
is(system("make -s -C '$top' install DESTDIR='$dir' prefix=/q $cc >/dev/null"), 0, 'make install');
{
    local %ENV = (%ENV, PKG_CONFIG_PATH => "$dir/q/lib/pkgconfig");
    delete @ENV{qw(CC CFLAGS MAKEFLAGS MAKELEVEL MFLAGS)};
    for my $example (qw(aggregation aggregation-strings)) {
        system("cp -r '$dir/q/share/quidditch/sdk/examples/$example' '$dir/$example'");
        my $out = `make -C '$dir/$example' all check 2>&1`;
        is($?, 0, "$example is built and passes its check") or diag $out;
        unlike($out, qr/not ok|SKIP/, '... all of it');
    }
}
copy("$QdNode::OUT/lib/quidditch/plugins/$_.so", "$dir/plugins/$_.so") for grep { -e "$QdNode::OUT/lib/quidditch/plugins/$_.so" } qw(coordination-raft storage-nvme);
copy("$dir/aggregation/example-geometric.so", "$dir/plugins/example-geometric.so") or die;
copy("$dir/aggregation-strings/example-lengths.so", "$dir/plugins/example-lengths.so") or die;
copy("$toys/toy-aggregation.so", "$dir/plugins/toy-aggregation.so") or die;
copy("$toys/toy-taken.so", "$dir/taken/toy-taken.so") or die;
chmod 0644, glob "$dir/plugins/*.so $dir/taken/*.so";

my %plugins = ('plugins.path' => "$dir/plugins", 'plugins.allow' => 'coordination-raft,storage-nvme,example-geometric,example-lengths,toy-aggregation', 'plugins.call_timeout' => '2s');
my $c = QdCluster->new('ag', nodes => 3, settings => \%plugins);
$c->node(2)->{settings}{'plugins.allow'} = 'coordination-raft,storage-nvme';
$c->start;
my $n = $c->node(0);
is($n->put('/x', {settings => {number_of_shards => 4, number_of_replicas => 0, 'index.routing.allocation.exclude._name' => $c->node(2)->{name}}, mappings => {properties => {
    v => {type => 'double'}, l => {type => 'double'}, i => {type => 'integer'}, k => {type => 'keyword'}, d => {type => 'date'}, t => {type => 'text'}, w => {type => 'keyword'}, a => {type => 'ip'}}}})->{status}, 200, 'an index');
my ($id, @docs) = (0);
my @words = map { chr(97 + $_ % 26) . ($_ % 3 ? 'x' : "\x{e9}") x ($_ * 7 % 40) } 0 .. 199;
for my $segment (1 .. 4) {
    my $body = '';
    for (1 .. 700) {
        my $v = 1 + ($id * 7919 % 997) / 8;
        my %doc = (v => $v, l => log $v, i => 1 + $id % 50, k => 'k' . $id % 7, d => sprintf('2024-0%d-11', 1 + $id % 5));
        delete @doc{qw(v l)} if $id % 11 == 0;
        my @w = map { $words[($id * 31 + $_ * 7) % 200] } 1 .. $id % 4;
        $doc{w} = @w == 1 ? $w[0] : [@w, @w ? $w[0] : ()] if @w;
        $doc{a} = '10.0.0.' . $id % 100;
        $docs[$id] = {w => \@w, i => $doc{i}, k => $doc{k}} if $doc{i} > 3;
        $doc{v} = [$v, $v * 2], $doc{l} = [log $v, log 2 * $v] if $id % 13 == 1;
        $body .= qq({"index":{"_id":"$id"}}\n) . JSON::PP::encode_json(\%doc) . "\n";
        $id++;
    }
    ok(!$n->post('/x/_bulk?refresh=true', $body)->{json}{errors}, "segment $segment");
}
$n->post('/x/_delete_by_query?refresh=true', {query => {range => {i => {lte => 3}}}});
is($n->put('/y', {mappings => {properties => {other => {type => 'keyword'}}}})->{status}, 200, 'an index without the field');
$c->wait_status('green');

sub search { my ($on, $body, $path) = @_; return $on->post(($path // '/x/_search') . '?size=0', $body) }
sub aggs { my $r = search(@_); is($r->{status}, 200, 'answered') or diag $r->{content}; return $r->{json}{aggregations} }
sub near { my ($found, $wanted, $what) = @_; ok(defined $found && abs($found - $wanted) <= 1e-9 * abs $wanted, $what) or diag "$found, wanted $wanted" }
my %g = (g => {geometric_mean => {field => 'v'}}, a => {avg => {field => 'l'}}, c => {value_count => {field => 'l'}});
sub same {
    my ($of, $what) = @_;
    near($of->{g}{value}, exp $of->{a}{value}, "$what: the value");
    is($of->{g}{count}, $of->{c}{value}, "$what: the count");
}

# --- with built-in ones
for my $i (0, 1) {
    same(aggs($c->node($i), {aggs => \%g}), "node $i, all documents");
    same(aggs($c->node($i), {query => {range => {i => {gte => 30}}}, aggs => \%g}), "node $i, of a query");
}
same(aggs($n, {aggs => \%g}, '/x,y/_search'), 'with an index that lacks the field');
my $below = aggs($n, {aggs => {t => {terms => {field => 'k', size => 7}, aggs => \%g}, h => {date_histogram => {field => 'd', calendar_interval => 'month'}, aggs => {t => {terms => {field => 'k'}, aggs => \%g}}},
    f => {filter => {term => {k => 'k1'}}, aggs => \%g}, all => {global => {}, aggs => \%g}}});
is(scalar @{ $below->{t}{buckets} }, 7, 'below terms');
same($_, "terms $_->{key}") for @{ $below->{t}{buckets} };
same($_, "months and terms $_->{key}") for map { @{ $_->{t}{buckets} } } @{ $below->{h}{buckets} };
same($below->{f}, 'below a filter');
same($below->{all}, 'below global');
is_deeply(aggs($n, {query => {match_none => {}}, aggs => \%g})->{g}, {value => undef, count => 0}, 'of no documents');
is_deeply(aggs($n, {aggs => {g => {geometric_mean => {field => 'nosuch'}}}})->{g}, {value => undef, count => 0}, 'of no field');
near(aggs($n, {query => {match_none => {}}, aggs => {all => {global => {}, aggs => {m => {geometric_mean => {field => 'v', missing => 1}}, c => {geometric_mean => {field => 'v'}}}}}})->{all}{m}{value} > 1, 1, 'a value for documents without one');

# --- orders, pipelines, typed keys
my $ordered = aggs($n, {aggs => {t => {terms => {field => 'k', size => 7, order => {'g.value' => 'desc'}}, aggs => \%g}}});
my @values = map { $_->{g}{value} } @{ $ordered->{t}{buckets} };
is_deeply(\@values, [sort { $b <=> $a } @values], 'terms in its order');
my $piped = aggs($n, {aggs => {t => {terms => {field => 'k', size => 7}, aggs => {%g, s => {bucket_sort => {sort => [{'g.value' => 'asc'}]}}}}, m => {max_bucket => {buckets_path => 't>g.value'}}, s => {sum_bucket => {buckets_path => 't>g.count'}}}});
near($piped->{m}{value}, (sort { $b <=> $a } @values)[0], 'max_bucket over it');
is_deeply([map { $_->{g}{value} } @{ $piped->{t}{buckets} }], [sort { $a <=> $b } @values], 'bucket_sort by it');
my $typed = $n->post('/x/_search?size=0&typed_keys=true', {aggs => \%g})->{json}{aggregations};
ok($typed->{'geometric_mean#g'}, 'typed_keys') or diag explain $typed;
is(aggs($n, {aggs => {g => {geometric_mean => {field => 'v'}, meta => {a => 1}}}})->{g}{meta}{a}, 1, 'meta');

# --- strings, as a count of the documents says: each one once a document
sub counted {
    my ($of, $missing) = @_;
    my ($documents, %initial, @length) = (0);
    for my $d (grep { $_ && $of->($_) } @docs) {
        my %once = map { $_ => 1 } @{ $d->{w} }, defined $missing && !@{ $d->{w} } ? $missing : ();
        $documents += %once ? 1 : 0;
        push @length, map { length } keys %once;
        $initial{substr $_, 0, 1} = 1 for keys %once;
    }
    my $sum = 0;
    $sum += $_ for @length;
    @length = sort { $a <=> $b } @length;
    return {count => scalar @length, documents => $documents, shortest => $length[0], longest => $length[-1], average => $sum / @length, initials => scalar keys %initial};
}
sub lengths_are {
    my ($found, $wanted, $what) = @_;
    near(delete $found->{average}, delete $wanted->{average}, "$what: the average");
    is_deeply($found, $wanted, $what) or diag explain [$found, $wanted];
}
my %lengths = (g => {lengths => {field => 'w'}});
lengths_are(aggs($c->node($_), {aggs => \%lengths})->{g}, counted(sub { 1 }), "strings, by node $_") for 0, 1;
lengths_are(aggs($n, {query => {range => {i => {gte => 30}}}, aggs => \%lengths})->{g}, counted(sub { $_[0]{i} >= 30 }), 'strings of a query');
lengths_are(aggs($n, {aggs => {g => {lengths => {field => 'w', missing => 'none'}}}})->{g}, counted(sub { 1 }, 'none'), 'strings, and documents without one');
lengths_are(aggs($n, {aggs => \%lengths}, '/x,y/_search')->{g}, counted(sub { 1 }), 'strings with an index that lacks the field');
my $strings = aggs($n, {aggs => {t => {terms => {field => 'k', size => 7, order => {'g.documents' => 'desc'}}, aggs => \%lengths}, m => {max_bucket => {buckets_path => 't>g.longest'}}}});
my @documents = map { $_->{g}{documents} } @{ $strings->{t}{buckets} };
is_deeply(\@documents, [sort { $b <=> $a } @documents], 'terms in the order of a member');
for my $b (@{ $strings->{t}{buckets} }) {
    lengths_are($b->{g}, counted(sub { $_[0]{k} eq $b->{key} }), "strings below terms $b->{key}");
}
is($strings->{m}{value}, counted(sub { 1 })->{longest}, 'a pipeline over it');
my $none = {count => 0, documents => 0, shortest => undef, longest => undef, average => undef, initials => 0};
is_deeply(aggs($n, {query => {match_none => {}}, aggs => \%lengths})->{g}, $none, 'strings of no documents');
is_deeply(aggs($n, {aggs => {g => {lengths => {field => 'nosuch'}}}})->{g}, $none, 'strings of no field');
is(aggs($n, {aggs => {g => {lengths => {field => 'a'}}}})->{g}{documents}, scalar(grep { $_ } @docs), 'addresses');
is(aggs($n, {aggs => {g => {lengths => {field => '_index'}}}}, '/x,y/_search')->{g}{initials}, 1, 'names of indices');

# --- refusals
sub reason { my $e = $_[0]{json}{error} || {}; my $f = $e->{failed_shards}[0]{reason} || $e; return "$_[0]{status} $f->{type}: $f->{reason}" }
like(reason(search($n, {aggs => {g => {geometric_mean => {field => 'v', zeroes => 1}}}})), qr/^400 .*\[geometric_mean\] does not support this parameter/, 'an unknown parameter');
like(reason(search($n, {aggs => {g => {geometric_mean => {field => 'v', zeros => 'maybe'}}}})), qr/^400 .*zeros wants \[skip\] or \[error\]/, 'a wrong value');
like(reason(search($n, {aggs => {g => {geometric_mean => {}}}})), qr/^400 /, 'no field');
like(reason(search($n, {aggs => {g => {geometric_mean => {field => 'k'}}}})), qr/^400 .*Field \[k\] of type \[keyword\] is not supported for aggregation \[geometric_mean\]/, 'a keyword');
like(reason(search($n, {aggs => {g => {lengths => {field => 'v'}}}})), qr/^400 illegal_argument_exception: \[lengths\] wants a field of strings/, 'numbers, of one for strings alone');
like(reason(search($n, {aggs => {g => {lengths => {field => 't'}}}})), qr/^400 .*Fielddata is disabled on \[t\]/, 'a text');
like(reason(search($n, {aggs => {g => {geometric_mean => {field => 'v', zeros => 'error', missing => 0}}}})), qr/^400 illegal_argument_exception: \[geometric_mean\] found the value \[0\]/, 'its own refusal while it collects');
like(reason(search($n, {aggs => {g => {%{ $g{g} }, aggs => \%g}}})), qr/cannot accept sub-aggregations/, 'children of a metric');
like(reason(search($n, {aggs => {t => {terms => {field => 'k', order => {'g.nosuch' => 'asc'}}, aggs => \%g}}})), qr/Unknown metric name \[nosuch\]/, 'an order by no member');
my $there = $c->node(2)->post('/x/_search?size=0', {aggs => {a => {avg => {field => 'v'}}}});
is($there->{status}, 200, 'a node without the plugin answers other searches');
my $lacks = search($c->node(2), {aggs => \%g});
cmp_ok($lacks->{status}, '>=', 400, '... and refuses this one');
like($lacks->{content}, qr/geometric_mean/, '... by its name') or diag $lacks->{content};

# --- one that misbehaves
sub toy { my ($mode, %more) = @_; return search($n, {aggs => {a => {toy_agg => {field => 'i', mode => $mode}}, b => {sum => {field => 'i'}}}, %more}) }
my $sums = toy('sum')->{json}{aggregations};
is($sums->{a}{sum}, $sums->{b}{value}, 'the sound one');
like(reason(toy('code')), qr/aggregation \[toy_agg\] of plugin \[toy-aggregation\]: collect failed with the unknown code 77/, 'an unknown code');
like(reason(toy('long')), qr/aggregation \[toy_agg\] wrote a result of 9 bytes where 8 are allowed/, 'a result that is too long');
like(toy('damaged')->{content}, qr/aggregation \[toy_agg\] of plugin \[toy-aggregation\]: reduce failed with QD_E_CORRUPT/, 'results that it refuses itself');
like(toy('text')->{content}, qr/aggregation \[toy_agg\] wrote what is no list of members/, 'an object left open');
for my $case (['hang', 'collect'], ['late', 'reduce']) {
    my $begun = time;
    my $r = toy($case->[0]);
    cmp_ok($r->{status}, '>=', 500, "one that does not return from $case->[1] is answered") or diag $r->{content};
    like($r->{content}, qr/aggregation \[toy_agg\] of plugin \[toy-aggregation\] has not returned from $case->[1] for 2000 ms/, '... with what has happened');
    within(time - $begun, 8, 60, 'the answer');
}
same(aggs($n, {aggs => \%g}), 'others run');
is($c->stop, 0, 'SIGTERM ends the nodes');

my $taken = QdNode->new('tk', settings => {'plugins.path' => "$dir/taken", 'plugins.allow' => '+toy-taken'});
my $out = do { open my $p, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', QdNode::daemon(), $taken->arguments or die; local $/; <$p> };
like($out, qr/plugin \[toy-taken\] provides the aggregation \[avg\], which is a built-in one/, 'a name that is taken stops the start');
done_testing();
