# Bits that flip below running nodes, in files whose pages were all read before. A document is what was
# written or its get fails; the scrubber and readers find damaged files, and a copy with one is filled
# anew from another copy; the only copy goes on with the rest. FLIPS: how many below one node (30; 100 in
# the long suite), SEED. Waits end with what they wait for; on a busy machine that takes its time.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use QdCluster;
use QdNode;

my $flips = $ENV{FLIPS} || 30;
my $seed = $ENV{SEED} || 1;
srand $seed;
my $json = JSON::PP->new->canonical;
my $docs = 3000;
my %sections = (1 => 'TERMS', 2 => 'POSTINGS', 3 => 'POSITIONS', 5 => 'NORMS', 6 => 'COLUMN_DICT', 7 => 'COLUMNS', 8 => 'POINTS',
    9 => 'STORED', 10 => 'IDS', 32 => 'TERM_INDEX', 33 => 'COLUMN_INDEX', 34 => 'POINT_INDEX', 35 => 'STORED_INDEX', 36 => 'META');

sub text { my ($i) = @_; return "alpha w@{[$i % 50]} w@{[$i % 7]}" }
sub hex_of { my ($i) = @_; return sprintf '%08x%08x%08x%08x', map { ($i * 2654435761 * $_ + $_) % 4294967291 } 1 .. 4 }
sub fill {
    my ($n, $index, $replicas) = @_;
    is($n->put("/$index", { settings => { number_of_shards => 1, number_of_replicas => $replicas, refresh_interval => -1 },
        mappings => { properties => { t => { type => 'text' }, k => { type => 'keyword' }, n => { type => 'long' } } } })->{status}, 200, "index $index");
    my $r = $n->post("/$index/_bulk", join '', map {
        qq({"index":{"_id":"$_"}}\n) . $json->encode({ n => $_, t => text($_), k => 'k' . $_ % 13, s => hex_of($_) }) . "\n" } 1 .. $docs);
    is($r->{json}{errors} ? 1 : 0, 0, "$docs documents");
    is($n->post("/$index/_forcemerge?max_num_segments=1")->{status}, 200, 'one segment');
    is($n->post("/$index/_flush?force=true")->{status}, 200, 'on disk');
}
sub segments { my ($n) = @_; return glob "$n->{dir}/data/hot/indices/*/0/seg-*" }
sub length_of { return -s $_[0] }

# [name, offset, bytes] of each section, by the table at the file's end (docs/store.md).
sub table {
    my ($file) = @_;
    my $bytes = QdNode::slurp($file);
    my ($len, $table, $resident, $sums, $n) = unpack 'Q<4L<', substr $bytes, -96;
    return map { my ($id, $flags, $at, $size) = unpack 'L<2Q<2', substr $bytes, $table + 32 * $_, 32; [$sections{$id} // $id, $at, $size] } 0 .. $n - 1;
}
sub section_at {
    my ($at, @table) = @_;
    my ($s) = grep { $at >= $_->[1] && $at < $_->[1] + $_->[2] } @table;
    return $s ? $s->[0] : 'frame';
}
sub flip {
    my ($file, $at, $mask) = @_;
    open my $f, '+<:raw', $file or die "$file: $!";
    seek $f, $at, 0;
    read $f, my $byte, 1;
    seek $f, $at, 0;
    print $f chr(ord($byte) ^ $mask);
    close $f;
}

# --- one node, one copy: what is served ---------------------------------------------------------------

my $node = QdNode->new('live', settings => { 'storage.reserve' => '0', 'storage.scrub.interval' => '0' });
$node->start;
fill($node, 'x', 0);
my @asked = (
    ['gets', '/x/_mget', { ids => [1 .. $docs] }],
    (map { ['searches', '/x/_search?request_cache=false', { size => 500, track_total_hits => \1, sort => ['n'], query => { match => { t => "w$_" } } }] } 0, 7, 14, 21, 28),
    ['aggregations', '/x/_search?request_cache=false', { size => 0, query => { range => { n => { gte => 5 } } }, aggs => { k => { terms => { field => 'k' } }, s => { sum => { field => 'n' } } } }]);

# One answer of each; undef: it failed, as a whole or in a shard. Of gets a list with undef for each that failed.
sub answers {
    my @all;
    for my $a (@asked) {
        my $r = $node->post($a->[1], $a->[2]);
        my $j = ref $r->{json} eq 'HASH' ? $r->{json} : undef;
        if ($r->{status} == 200 && !$j) { push @all, 'no JSON' }
        elsif ($r->{status} != 200 || ($j->{_shards} && $j->{_shards}{failed})) { push @all, undef }
        elsif ($a->[0] eq 'gets') { push @all, [map { $_->{error} ? undef : $json->encode([$_->{found}, $_->{_source}]) } @{ $j->{docs} }] }
        else { push @all, $json->encode([$j->{hits}{total}, [map { [@$_{qw(_id _score _source)}] } @{ $j->{hits}{hits} }], $j->{aggregations}]) }
    }
    return @all;
}
my @good = answers();
is(scalar(grep { !defined } @good), 0, 'all is answered');
like($good[0][41], qr/"n":42/, 'and what was written is there');

my ($file) = segments($node);
my @table = table($file);
my (%wrong, %told, $told, $same);
for my $n (1 .. $flips) {
    my ($at, $mask) = (int rand length_of($file), 1 << int rand 8);
    my $where = section_at($at, @table);
    flip($file, $at, $mask);
    my @now = answers();
    my ($bad, $failed) = ('', 0);
    for my $i (0 .. $#asked) {
        if (ref $now[$i]) {
            for my $d (0 .. $docs - 1) {
                if (!defined $now[$i][$d]) { $failed = 1 }
                elsif ($now[$i][$d] ne $good[$i][$d]) { $bad = 'gets'; diag("$where at $at mask $mask: $now[$i][$d]"); last }
            }
        } elsif (!defined $now[$i]) { $failed = 1 }
        elsif ($now[$i] ne $good[$i]) { $bad ||= $asked[$i][0]; diag("$where at $at mask $mask: other $asked[$i][0]") }
    }
    flip($file, $at, $mask);
    if ($bad) { $wrong{$bad}++ } elsif ($failed) { $told++ } else { $same++ }
}
my %share = (told => $told // 0, 'without effect' => $same // 0, map { ("wrong $_" => $wrong{$_} // 0) } qw(gets searches aggregations));
diag("seed $seed, $flips flips: " . join ', ', map { sprintf '%s %.0f %%', $_, 100 * $share{$_} / $flips } sort keys %share);
is($wrong{gets} // 0, 0, 'no document is served that was not written');
ok(($wrong{searches} // 0) + ($wrong{aggregations} // 0) <= $flips / 20, 'at most one in twenty changes what a search finds, untold');
my @again = answers();
is_deeply(\@again, \@good, 'nothing of it stays');

# --- the only copy -----------------------------------------------------------------------------------

sub scrub { my ($n) = @_; my ($one) = values %{ $n->get('/_nodes/_local/stats/fs')->{json}{nodes} || {} }; return $one->{fs}{scrub} || {} }
my ($stored) = grep { $_->[0] eq 'STORED' } @table;
my $place = $stored->[1] + int($stored->[2] / 2);
my $before = scrub($node)->{files_damaged}; # by the flips above
is($node->put('/y', { settings => { number_of_shards => 1, number_of_replicas => 0 } })->{status}, 200, 'a second index');
is($node->post('/y/_doc/1?refresh=true', { n => 1 })->{status}, 201, 'with a document');
is($node->post('/y/_flush')->{status}, 200, 'on disk');
my ($other) = grep { $_ ne $file } segments($node);
my ($s) = grep { $_->[0] eq 'STORED' } table($other);
flip($other, $s->[1] + 3, 8);
is(scrub($node)->{passes}, 0, 'with storage.scrub.interval 0 nothing is read');
is($node->put('/_cluster/settings', { persistent => { 'storage.scrub.interval' => '1s', 'storage.scrub.max_bytes_per_sec' => '50mb' } })->{status}, 200, 'the scrubber is started');
ok($node->wait_for(sub { scrub($node)->{files_damaged} > $before }, 300), 'it finds a file that nobody reads');
(my $name = $other) =~ s{.*/}{};
ok($node->wait_for(sub { $node->log_text =~ /\Q$name\E is damaged at offset \d+ .*no other copy is in sync/ }, 300), 'and tells its name and place');
ok($node->wait_for(sub { scrub($node)->{passes} > 1 }, 300), 'it goes on');
is($node->get('/x/_doc/42')->{json}{_source}{n}, 42, 'what is not damaged is served');
isnt($node->get('/y/_doc/1?realtime=false')->{status}, 200, 'what is damaged is not');
my $metrics = $node->get('/metrics')->{content};
like($metrics, qr/^quidditch_scrub_bytes_total [1-9]/m, 'metrics tell what was read');
like($metrics, qr/^quidditch_files_damaged_total [1-9]/m, 'and what was found');
is($node->stop, 0, 'a clean stop');

# --- two copies --------------------------------------------------------------------------------------

my $c = QdCluster->new('flips', nodes => 3, settings => { 'storage.scrub.interval' => '0' });
$c->start;
my @n = $c->nodes;
fill($n[0], 'z', 1);
ok($c->wait_status('green', 300), 'green');

# The nodes that hold the primary and the replica.
sub holders {
    my ($p, $r);
    $n[0]->wait_for(sub {
        my %by = map { $_->{prirep} => $_->{node} } grep { $_->{state} eq 'STARTED' } @{ $n[0]->get('/_cat/shards/z?format=json&h=prirep,state,node')->{json} || [] };
        ($p) = grep { $_->{name} eq ($by{p} // '') } @n;
        ($r) = grep { $_->{name} eq ($by{r} // '') } @n;
        $p && $r;
    }, 300);
    return ($p, $r);
}
# All documents, from one copy.
sub right_at {
    my ($n) = @_;
    my $r = $n->post('/z/_mget?preference=_local&realtime=false', { ids => [1 .. $docs] });
    return scalar grep { $_->{found} && $_->{_source}{n} == $_->{_id} && $_->{_source}{s} eq hex_of($_->{_id}) } @{ $r->{json}{docs} || [] };
}
sub damage {
    my ($n) = @_;
    my ($f) = segments($n);
    my ($part) = grep { $_->[0] eq 'STORED' } table($f);
    my $at = $part->[1] + int rand $part->[2];
    flip($f, $at, 1 << int rand 8);
    (my $name = $f) =~ s{.*/}{};
    return $name;
}
sub aside { my ($n) = @_; return scalar(() = glob "$n->{dir}/data/hot/lost+found/*seg-*") }
sub healed {
    my ($n, $before, $what, $read) = @_;
    ok($n->wait_for(sub { right_at($n) if $read; aside($n) > $before }, 300), "$what: the copy fails, the file is in lost+found") or return;
    like($n->log_text, qr/is damaged.*this copy fails, another one serves and fills it anew/, "$what: the log says so");
    ok($c->wait_status('green', 300), "$what: it is filled anew");
    my ($p, $r) = holders();
    for my $at ($p, $r) {
        is(right_at($at), $docs, "$what: all documents at $at->{name}");
        my ($rc, $out) = $at->run_qd('segment', 'check', "$at->{dir}/data");
        is($rc, 0, "$what: its files are sound") or diag $out;
    }
}

my ($p, $r) = holders();
is(right_at($p), $docs, 'all documents at the primary');
is(right_at($r), $docs, 'and at the replica');
my $aside = aside($p);
damage($p);
my $found = right_at($p);
cmp_ok($found, '<=', $docs, "a reader of the primary's finds $found of $docs documents, and no wrong one");
healed($p, $aside, 'a primary that a reader found damaged', 1);

($p, $r) = holders();
$aside = aside($r);
damage($r);
is($n[0]->put('/_cluster/settings', { persistent => { 'storage.scrub.interval' => '1s' } })->{status}, 200, 'the scrubber is started');
healed($r, $aside, 'a replica that nobody read');
is($c->stop, 0, 'a clean stop');
done_testing;
