#!/usr/bin/perl
# 158_synthetic_source.t: sources made of values: random mappings and documents go into a stored and a synthetic
# index; the synthetic one shows what the documented rules make of the stored one, before and after a flush, a
# merge, a restart, updates by document and by script, by query, and in a reindexed copy.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use B ();

my $node = QdNode->new('synthetic');
$node->start;
my $seed = $ENV{QD_SEED} || time;
diag "QD_SEED=$seed";
srand $seed;
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my ($true, $false) = (JSON::PP::true, JSON::PP::false);
sub list { my $v = shift; return !defined $v ? () : ref $v eq 'ARRAY' ? @$v : ($v) }
sub pick { $_[rand @_] }

# --- fixed cases, as the page has them ---
my %fixed = (
    k => { type => 'keyword' }, ia => { type => 'keyword', ignore_above => 3 }, l => { type => 'long' }, d => { type => 'date' }, ip => { type => 'ip' },
    f => { type => 'double', ignore_malformed => $true }, b => { type => 'boolean' }, t => { type => 'text' }, nv => { type => 'keyword', null_value => 'none' },
    sf => { type => 'scaled_float', scaling_factor => 100 }, hf => { type => 'half_float' }, ul => { type => 'unsigned_long' }, nd => { type => 'long', doc_values => $false },
    ym => { type => 'date', format => 'yyyy-MM||epoch_millis' }, g => { type => 'geo_point' }, fl => { type => 'flattened' }, r => { type => 'integer_range' },
    src => { type => 'keyword', copy_to => 'all' }, all => { type => 'keyword' }, ka => { type => 'long', synthetic_source_keep => 'arrays' }, kall => { type => 'keyword', synthetic_source_keep => 'all' },
    o => { properties => { x => { type => 'long' }, y => { type => 'text' } } }, ko => { type => 'object', synthetic_source_keep => 'all', properties => { x => { type => 'long' } } },
    off => { type => 'object', enabled => $false }, n => { type => 'nested', properties => { x => { type => 'long' }, k => { type => 'keyword' } } },
    v => { type => 'dense_vector', dims => 2 }, ck => { type => 'constant_keyword', value => 'c' }, nk => { type => 'keyword', normalizer => 'low' }, mf => { type => 'keyword', fields => { t => { type => 'text' } } },
);
my $made = $node->put('/fix', { settings => { refresh_interval => -1, 'index.mapping.source.mode' => 'synthetic', number_of_replicas => 0, analysis => { normalizer => { low => { type => 'custom', filter => ['lowercase'] } } } }, mappings => { dynamic => 'false', properties => \%fixed } });
is($made->{status}, 200, 'an index with synthetic source') or diag $made->{content};
my @cases = (
    ['{"k":["b","a","b"]}', '{"k":["a","b"]}', 'keywords in order, once'],
    ['{"l":[3,"1",3,2.0]}', '{"l":[1,2,3,3]}', 'numbers in order'],
    ['{"l":[7]}', '{"l":7}', 'an array of one'], ['{"l":[],"k":null,"b":[null]}', '{}', 'nothing'],
    ['{"d":"2020-01-02"}', '{"d":"2020-01-02T00:00:00.000Z"}', 'a date in the format of its field'],
    ['{"ym":"2020-01"}', '{"ym":"2020-01"}', 'a date in its own format'], ['{"ym":1577923200001}', '{"ym":1577923200001}', '... which would lose something is kept'],
    ['{"ip":["::1","10.0.0.1"]}', '{"ip":["::1","10.0.0.1"]}', 'addresses'], ['{"b":["true",false]}', '{"b":[false,true]}', 'booleans'],
    ['{"f":[2,"x",1]}', '{"f":[2,"x",1]}', 'a malformed value stays with the others'], ['{"f":[2,1]}', '{"f":[1.0,2.0]}', 'doubles'],
    ['{"ia":["b","long one","a"]}', '{"ia":["b","long one","a"]}', 'a value that is too long to be indexed'],
    ['{"t":["z","a","z"]}', '{"t":["z","a","z"]}', 'text as it was'], ['{"nv":null}', '{"nv":"none"}', 'the null_value'],
    ['{"sf":1.239}', '{"sf":1.24}', 'scaled'], ['{"hf":1.2}', '{"hf":1.2001953}', 'half'], ['{"ul":[18446744073709551615,1]}', '{"ul":[1,18446744073709551615]}', 'unsigned'],
    ['{"nd":[2,"1"]}', '{"nd":[2,"1"]}', 'without doc values'], ['{"g":{"lat":1.5,"lon":2}}', '{"g":{"lat":1.5,"lon":2}}', 'a point'],
    ['{"g":[2,1.5]}', '{"g":[2,1.5]}', 'a point as an array'], ['{"fl":{"b":1,"a":["y","x"]}}', '{"fl":{"b":1,"a":["y","x"]}}', 'flattened'], ['{"r":{"gt":1,"lt":9}}', '{"r":{"gt":1,"lt":9}}', 'a range'],
    ['{"src":["y","x"]}', '{"src":["x","y"]}', 'copies are no values of their target'], ['{"src":"y","all":["z","b"]}', '{"all":["b","z"],"src":"y"}', '... beside its own'],
    ['{"ka":[3,1]}', '{"ka":[3,1]}', 'keep arrays'], ['{"ka":"3"}', '{"ka":3}', '... of arrays only'], ['{"kall":["b","b","a"]}', '{"kall":["b","b","a"]}', 'keep all'],
    ['{"o":[{"x":2,"y":"p"},{"x":1,"y":"q"}]}', '{"o":{"x":[1,2],"y":["p","q"]}}', 'objects in arrays become one'],
    ['{"o.x":1,"o":{"y":"a"}}', '{"o":{"x":1,"y":"a"}}', 'names with dots'], ['{"ko":[{"x":2},{"x":1}]}', '{"ko":[{"x":2},{"x":1}]}', 'an object that is kept'],
    ['{"off":{"b":[2,1],"a":null}}', '{"off":{"b":[2,1],"a":null}}', 'an object that is not enabled'], ['{"zz":{"b":[2,1]},"k":"a"}', '{"k":"a","zz":{"b":[2,1]}}', 'what is not mapped'],
    ['{"n":[{"x":[2,1],"k":"a","u":[9,8]},{},{"x":0}]}', '{"n":[{"k":"a","u":[9,8],"x":[1,2]},{},{"x":0}]}', 'nested objects'], ['{"n":{"x":1}}', '{"n":{"x":1}}', 'one nested object'],
    ['{"v":[0.5,1]}', '{"v":[0.5,1]}', 'a vector'], ['{"ck":"c"}', '{"ck":"c"}', 'a constant'], ['{"nk":["B","a"]}', '{"nk":["B","a"]}', 'a normalizer'], ['{"mf":["b","a"]}', '{"mf":["a","b"]}', 'multi-fields'],
    ['{"k":"\u00e9\n\"q\"","l":-9223372036854775808}', "{\"k\":\"\xc3\xa9\\n\\\"q\\\"\",\"l\":-9223372036854775808}", 'escapes'],
);
sub raw_source { my ($r) = @_; return $r->{content} =~ /"_source":(.*)\}\z/s ? $1 : $r->{content} }
for my $when ('in the log', 'in a segment', 'after a merge', 'after a restart') {
    if ($when eq 'in the log') {
        my $r = $node->post('/_bulk', join '', map { qq({"index":{"_index":"fix","_id":"$_"}}\n$cases[$_][0]\n) } 0 .. $#cases);
        is($r->{json}{errors}, $false, 'the cases') or diag substr $r->{content}, 0, 3000;
    }
    $node->post('/fix/_refresh') if $when eq 'in a segment';
    $node->post('/fix/_forcemerge?max_num_segments=1') if $when eq 'after a merge';
    $node->restart if $when eq 'after a restart';
    for (0 .. $#cases) { is(raw_source($node->get("/fix/_doc/$_")), $cases[$_][1], "$when: $cases[$_][2]") }
    next if $when eq 'in the log';
    my $hits = $node->post('/fix/_search', { size => 100, sort => ['_doc'] });
    my %got = map { $_->{_id} => $json->encode($_->{_source}) } @{ $hits->{json}{hits}{hits} };
    is(scalar(grep { $got{$_} ne $json->encode($json->decode($cases[$_][1])) } 0 .. $#cases), 0, "$when: a search shows the same");
}
is($node->get('/fix/_mapping')->{json}{fix}{mappings}{properties}{ka}{synthetic_source_keep}, 'arrays', 'the mapping shows what is kept');
like($node->put('/x', { settings => { 'index.mapping.source.mode' => 'synthetic' }, mappings => { _source => { excludes => ['a'] } } })->{content}, qr/filtering the stored _source is incompatible with synthetic source/, 'a filter is refused');
like($node->put('/x', { mappings => { properties => { a => { type => 'long', synthetic_source_keep => 'some' } } } })->{content}, qr/Unknown value \[some\] for field \[synthetic_source_keep\]/, 'keep what');
like($node->put('/fix/_mapping', { _source => { mode => 'stored' } })->{content}, qr/Cannot update parameter \[mode\]/, 'the mode stays');
like($node->put('/fix/_settings', { 'index.mapping.source.mode' => 'stored' })->{content}, qr/final|non dynamic/, '... by the setting too');
is($node->put('/dis', { settings => { 'index.mapping.source.mode' => 'disabled' } })->{status}, 200, 'a disabled source');
$node->put('/dis/_doc/1?refresh=true', { a => 1 });
ok(!exists $node->post('/dis/_search', {})->{json}{hits}{hits}[0]{_source}, '... is not there');
is($node->put('/m', { mappings => { _source => { mode => 'synthetic' }, properties => { k => { type => 'keyword' } } } })->{status}, 200, 'the mode in the mapping');
$node->put('/m/_doc/1', { k => ['b', 'a'] });
is(raw_source($node->get('/m/_doc/1')), '{"k":["a","b"]}', '... works');
is($node->get('/m/_mapping')->{json}{m}{mappings}{_source}{mode}, 'synthetic', '... and is shown');

# A field that gets copies only later: older documents keep their values, newer ones show none of the copies.
$node->put('/late', { settings => { 'index.mapping.source.mode' => 'synthetic' }, mappings => { properties => { a => { type => 'keyword' }, b => { type => 'keyword' } } } });
$node->put('/late/_doc/1?refresh=true', { a => 'x', b => 'y' });
is($node->put('/late/_mapping', { properties => { a => { type => 'keyword', copy_to => 'b' } } })->{status}, 200, 'copies from now on');
$node->put('/late/_doc/2?refresh=true', { a => 'x' });
is(raw_source($node->get("/late/_doc/1")), '{"a":"x","b":"y"}', 'an older document keeps its value');
is(raw_source($node->get("/late/_doc/2")), '{"a":"x"}', 'a newer one shows no copy');
is($node->post('/late/_search', { query => { term => { b => 'x' } } })->{json}{hits}{total}{value}, 1, '... which is found');

# Highlighting and fields read what is made.
$node->put('/late/_doc/3?refresh=true', { t => 'quick brown fox', when => '2021-05-06' });
my $hit = $node->post('/late/_search', { query => { match => { t => 'brown' } }, highlight => { fields => { t => {} } }, fields => ['t', 'when'] })->{json}{hits}{hits}[0];
is($hit->{highlight}{t}[0], 'quick <em>brown</em> fox', 'a highlight');
is_deeply($hit->{fields}, { t => ['quick brown fox'], when => ['2021-05-06T00:00:00.000Z'] }, 'fields');

# --- random mappings and documents ---
my @types = (
    [{ type => 'keyword' }, sub { pick(qw(ant bee cat dog)) }], [{ type => 'keyword', ignore_above => 4 }, sub { pick(qw(ant longer bee cat)) }], [{ type => 'long' }, sub { int(rand 9) - 4 }],
    [{ type => 'integer', ignore_malformed => $true }, sub { rand() < 0.1 ? 'bad' : int rand 9 }], [{ type => 'double' }, sub { int(rand 16) / 4 }], [{ type => 'boolean' }, sub { rand() < 0.5 ? $true : $false }],
    [{ type => 'date' }, sub { 1e9 * (1 + int rand 99) }], [{ type => 'ip' }, sub { '10.0.0.' . int rand 9 }], [{ type => 'text' }, sub { join ' ', map { pick(qw(red green blue)) } 1 .. 2 }],
    [{ type => 'keyword', doc_values => $false }, sub { pick(qw(p q r)) }], [{ type => 'keyword', synthetic_source_keep => 'all' }, sub { pick(qw(s t u)) }], [{ type => 'long', synthetic_source_keep => 'arrays' }, sub { int rand 5 }],
);
my %make;
sub properties {
    my ($depth, $path) = @_;
    my %p;
    for my $name (map { "f$_" } 1 .. 5) {
        if ($depth < 2 && rand() < 0.25) {
            my $nested = rand() < 0.4;
            $p{$name} = { ($nested ? (type => 'nested') : ()), properties => properties($depth + 1, "$path$name.") };
        } else {
            my $t = pick(@types);
            $p{$name} = $t->[0];
            $make{"$path$name"} = $t->[1];
        }
    }
    return \%p;
}
sub random_object {
    my ($p, $path) = @_;
    my %o;
    for my $name (sort keys %$p) {
        next if rand() < 0.4;
        my $t = $p->{$name};
        if ($t->{properties}) {
            my @list = map { random_object($t->{properties}, "$path$name.") } 1 .. 1 + rand 3;
            $o{$name} = rand() < 0.5 ? $list[0] : \@list;
        } else {
            my $make = $make{"$path$name"};
            my @list = map { rand() < 0.1 ? undef : $make->() } 1 .. rand 4;
            $o{$name} = rand() < 0.6 ? $make->() : \@list;
        }
    }
    $o{"u" . int rand 3} = pick(1, 'x', [2, 1], { b => [2, 1] }) if rand() < 0.2;
    return \%o;
}

# What the rules make of a document.
sub leaves {
    my ($p, $o, $array, $out) = @_;
    for my $key (keys %$o) {
        my ($t, $v) = ($p->{$key}, $o->{$key});
        if (!$t) { push @{ $out->{$key}{raw} }, $v; next }
        if ($t->{properties} && ($t->{type} // '') eq 'nested') {
            push @{ $out->{$key}{nested} }, map { shown($t->{properties}, $_) } list($v);
        } elsif ($t->{properties}) {
            $out->{$key}{below} ||= {};
            leaves($t->{properties}, $_, $array || ref $v eq 'ARRAY', $out->{$key}{below}) for list($v);
        } else {
            my $x = $out->{$key}{values} ||= { type => $t, whole => [], flat => [] };
            push @{ $x->{whole} }, $v;
            push @{ $x->{flat} }, grep { defined } list($v);
            $x->{array} ||= $array || ref $v eq 'ARRAY';
        }
    }
}
sub one { my @v = @_; return @v == 1 ? $v[0] : \@v }
sub time_text { my ($ms) = @_; my @t = gmtime($ms / 1000); return sprintf '%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0], $ms % 1000 }
sub values_of {
    my ($x) = @_;
    my ($t, @flat) = ($x->{type}, @{ $x->{flat} });
    my $keep = $t->{synthetic_source_keep} // '';
    if ($keep eq 'all' || ($keep eq 'arrays' && $x->{array})) { return @{ $x->{whole} } == 1 ? ($x->{whole}[0]) : @flat ? (one(@flat)) : () }
    return () unless @flat;
    my $type = $t->{type};
    my $as_is = $type eq 'text' || exists $t->{doc_values} || grep { $_ eq 'bad' || ($t->{ignore_above} && length > 4) } @flat;
    return (one(@flat)) if $as_is;
    if ($type eq 'keyword') { my %seen; return (one(sort grep { !$seen{$_}++ } @flat)) }
    if ($type eq 'ip') { my %seen; return (one(sort grep { !$seen{$_}++ } @flat)) }
    if ($type eq 'boolean') { return (one(sort { $a <=> $b } @flat)) }
    if ($type eq 'date') { return (one(map { time_text($_) } sort { $a <=> $b } @flat)) }
    return (one(sort { $a <=> $b } @flat));
}
sub built {
    my ($out) = @_;
    my %o;
    for my $key (keys %$out) {
        my $x = $out->{$key};
        if ($x->{raw}) { $o{$key} = one(@{ $x->{raw} }) }
        elsif ($x->{nested}) { $o{$key} = one(@{ $x->{nested} }) }
        elsif ($x->{below}) { my $b = built($x->{below}); $o{$key} = $b if %$b }
        else { my @v = values_of($x->{values}); $o{$key} = $v[0] if @v }
    }
    return \%o;
}
sub shown { my ($p, $o) = @_; my %out; leaves($p, $o, 0, \%out); return built(\%out) }
# Numbers by value: 1.0 is 1.
sub same { my $v = shift; return ref $v eq 'HASH' ? { map { $_ => same($v->{$_}) } keys %$v } : ref $v eq 'ARRAY' ? [ map { same($_) } @$v ] : JSON::PP::is_bool($v) ? ($v ? 'true' : 'false') : defined $v ? "$v" : undef }

for my $round (1 .. 4) {
    %make = ();
    my $p = properties(0, '');
    my %body = (number_of_shards => 1 + int rand 2, number_of_replicas => 0, refresh_interval => -1);
    my ($stored, $made) = ("st$round", "sy$round");
    is($node->put("/$stored", { settings => \%body, mappings => { dynamic => 'false', properties => $p } })->{status}, 200, "round $round: stored");
    my $r = $node->put("/$made", { settings => { %body, 'index.mapping.source.mode' => 'synthetic' }, mappings => { dynamic => 'false', properties => $p } });
    is($r->{status}, 200, "round $round: synthetic") or diag $r->{content};
    my $check = sub {
        my ($index, $when) = @_;
        $node->post("/_refresh") unless $when =~ /log/;
        my ($wrong, $first) = (0, undef);
        if ($when =~ /log/) {
            for my $id (0 .. 11) {
                my ($a, $b) = map { $node->get("/$_/_doc/$id")->{json}{_source} } $stored, $index;
                my ($want, $got) = map { $json->encode(same($_)) } shown($p, $a), $b;
                if ($want ne $got) { $wrong++; $first //= "$id: $want\ngot $got\nof " . $json->encode($a) }
            }
        } else {
            my %want = map { $_->{_id} => $_->{_source} } @{ $node->post("/$stored/_search", { size => 100 })->{json}{hits}{hits} };
            my $hits = $node->post("/$index/_search", { size => 100 })->{json}{hits}{hits};
            is(scalar @$hits, scalar keys %want, "round $round, $when: all documents");
            for (@$hits) {
                my ($want, $got) = map { $json->encode(same($_)) } shown($p, $want{ $_->{_id} }), $_->{_source};
                if ($want ne $got) { $wrong++; $first //= "$_->{_id}: $want\ngot $got\nof " . $json->encode($want{ $_->{_id} }) }
            }
        }
        is($wrong, 0, "round $round, $when: the same sources") or diag $first;
    };
    my $both = sub {
        my ($lines) = @_;
        for my $index ($stored, $made) {
            my $r = $node->post("/$index/_bulk", $lines);
            is($r->{json}{errors}, $false, "round $round: writes") or diag substr $r->{content}, 0, 1500;
        }
    };
    $both->(join '', map { qq({"index":{"_id":"$_"}}\n) . $json->encode(random_object($p, '')) . "\n" } 0 .. 59);
    $check->($made, 'in the log');
    $check->($made, 'in segments');
    # whole top-level values are put anew: what merges into an object depends on its form, which the page says
    my @whole = grep { !$p->{$_}{properties} } sort keys %$p;
    my $part = sub { my $o = random_object($p, ''); return { map { exists $o->{$_} ? ($_ => $o->{$_}) : () } @whole } };
    $both->(join '', map { qq({"update":{"_id":"$_"}}\n) . $json->encode({ doc => $part->() }) . "\n" } 0 .. 19);
    $check->($made, 'in the log after updates');
    $check->($made, 'after updates');
    my $name = $whole[0];
    if (defined $name) {
        my $value = $make{$name}->();
        for my $index ($stored, $made) {
            my $r = $node->post("/$index/_update_by_query?refresh=true", { query => { match_all => {} }, script => { source => 'ctx._source[params.f] = params.v', params => { f => $name, v => $value } } });
            is($r->{json}{updated}, 60, "round $round: an update by query") or diag $r->{content};
        }
        $check->($made, 'after an update by script');
    }
    $node->post("/$made/_forcemerge?max_num_segments=1");
    $check->($made, 'after a merge');
    $node->post("/$made/_flush");
    if ($round % 2) { $node->restart } else { $node->kill9; $node->start }
    $node->wait_for(sub { ($node->get('/_cluster/health')->{json}{status} // '') eq 'green' });
    $check->($made, 'after a restart');
    $node->put("/re$round", { settings => { %body, 'index.mapping.source.mode' => 'synthetic' }, mappings => { dynamic => 'false', properties => $p } });
    is($node->post('/_reindex?refresh=true', { source => { index => $made }, dest => { index => "re$round" } })->{json}{created}, 60, "round $round: a copy");
    $check->("re$round", 'in a copy') unless $json->encode($p) =~ /arrays/; # what was an array of objects is none any more
}
done_testing;
