#!/usr/bin/perl
# 082_kept_plugins.t: plugins that were built once and are kept in tests/abi/kept meet the present node. Each file's note
# names its kinds; the SDK's headers name the host's. Where they fit, the node loads the file and its parts give right
# answers; where a kind of major 0 has moved, the node refuses the file by name and both versions. A file whose kinds
# are all stable loads for as long as their majors live.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use POSIX ();
use QdNode;
use Test::More;

my $top = QdNode::top();
my $machine = (POSIX::uname())[4];
my @files = sort glob "$top/tests/abi/kept/*/*-$machine.so";
if (!@files) {
    diag "SKIP: tests/abi/kept has no plugins for $machine: no kept plugin is loaded";
    plan skip_all => "no kept plugins for $machine";
}

# --- what the host provides, what the files want ---

open my $h, '<', "$top/sdk/include/quidditch/abi.h" or die $!;
my $abi = do { local $/; <$h> };
my (%host, @kinds);
while ($abi =~ /QD_KIND_(\w+) = (\d+)/g) {
    my ($kind, $number) = ($1, $2);
    next if $kind eq 'COUNT';
    $kinds[$number] = lc $kind;
    $host{lc $kind} = [map { ($abi =~ /define QD_${kind}_$_ (\d+)/)[0] } qw(MAJOR MINOR)];
}
my @host_abi = map { ($abi =~ /define QD_ABI_$_ (\d+)/)[0] } qw(MAJOR MINOR);

sub read_note {
    my $file = shift;
    open my $f, '<:raw', $file or die "$file: $!";
    my $bytes = do { local $/; <$f> };
    $bytes =~ /\x0a\0{3}.{4}\x01\0{3}Quidditch\0{3}(.{272})/s or die "$file: no note";
    my ($magic, $major, $minor, $flags, $n, @rest) = unpack 'VvvVV(v4)12Z64Z32Z64', $1;
    my @wants = map { {kind => $kinds[$rest[4 * $_]], major => $rest[4 * $_ + 1], minor => $rest[4 * $_ + 2]} } 0 .. $n - 1;
    return {file => $file, abi => [$major, $minor], wants => \@wants, name => $rest[48]};
}
# The first kind that does not fit; none: the host has to load the file.
sub misfit {
    my $p = shift;
    for my $w (@{ $p->{wants} }) {
        my ($major, $minor) = @{ $host{ $w->{kind} } };
        return $w if $w->{major} != $major || ($major ? $w->{minor} > $minor : $w->{minor} != $minor);
    }
    return undef;
}
sub version { my $p = shift; return join ', ', map { "$_->{kind} $_->{major}.$_->{minor}" } @{ $p->{wants} } }

# --- what a loaded one has to answer ---

my %use = (
    'example-reverse' => sub {
        my $n = shift;
        is($n->put('/r', {settings => {analysis => {filter => {f => {type => 'example_reverse', min_length => 3}}, analyzer => {a => {tokenizer => 'standard', filter => ['f']}}}},
            mappings => {properties => {t => {type => 'text', analyzer => 'a'}}}})->{status}, 200, 'an index with its filter');
        is_deeply([map { $_->{token} } @{ $n->post('/r/_analyze', {analyzer => 'a', text => 'old stones no'})->{json}{tokens} || [] }], ['dlo', 'senots', 'no'], '_analyze');
        is($n->put('/r/_doc/1?refresh=true', {t => 'stones'})->{status}, 201, 'a document');
        is($n->post('/r/_search', {query => {prefix => {t => 'seno'}}})->{json}{hits}{total}{value}, 1, 'a search finds its word reversed');
    },
    'example-vectors' => sub {
        my $n = shift;
        is($n->put('/v', {settings => {number_of_shards => 1, number_of_replicas => 0}, mappings => {properties => {v => {type => 'example_vector', dims => 2}}}})->{status}, 200, 'an index with its field');
        my $near = sub { [map { $_->{_id} } @{ $n->post('/v/_search', {size => 2, query => {nearest => {field => 'v', vector => [3, 4]}}})->{json}{hits}{hits} || [] }] };
        $n->put("/v/_doc/$_?refresh=true", {v => [$_, $_]}) for 1 .. 6;
        is($n->delete('/v/_doc/5?refresh=true')->{status}, 200, 'a deletion');
        is_deeply($near->(), [3, 4], 'the nearest, of several segments');
        is($n->post('/v/_forcemerge?max_num_segments=1')->{status}, 200, 'a merge');
        $n->post('/v/_refresh');
        is_deeply($near->(), [3, 4], '... of one segment');
        like($n->put('/v/_doc/9', {v => [1]})->{content}, qr/the vector has 1 dimensions/, 'a wrong value');
    },
    'example-geometric' => sub {
        my $n = shift;
        $n->put("/g/_doc/$_?refresh=true", {v => $_}) for 2, 4, 8;
        my $g = $n->post('/g/_search?size=0', {aggs => {g => {geometric_mean => {field => 'v'}}}})->{json}{aggregations}{g};
        ok(abs(($g->{value} // 0) - 4) < 1e-9, 'the geometric mean') or diag explain $g;
    },
    # Its suite is run below: a node opens one coordination store, its own.
    'kept-coordination' => sub { },
);

# --- each file alone ---

# A folder with the file under its name, as an administrator installs it.
sub install {
    my $p = shift;
    my $dir = tempdir('qd-kept-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $dir;
    copy($p->{file}, "$dir/$p->{name}.so") or die "$p->{file}: $!";
    chmod 0644, "$dir/$p->{name}.so";
    return $dir;
}

for my $p (map { read_note($_) } @files) {
    my $name = $p->{name};
    my $dir = install($p);
    my $misfit = misfit($p);
    my @unstable = grep { $_->{major} == 0 } @{ $p->{wants} };
    my $settings = {'plugins.path' => $dir, 'plugins.allow' => "+$name", @unstable ? ('plugins.allow_unstable' => 'true') : ()};
    my $line = (grep { /^\Q$name\E\s/ } split /\n/, scalar `'@{[QdNode::qd()]}' plugin list @{[map { "-E $_=$settings->{$_}" } sort keys %$settings]} 2>&1`)[0] // '';
    if ($misfit) {
        my ($major, $minor) = @{ $host{ $misfit->{kind} } };
        is($misfit->{major}, 0, "$name: only a kind of major 0 stops fitting") if $major == $misfit->{major};
        like($line, qr/refused .*\b$misfit->{kind} does not fit: wanted $major\.$minor\b.*found $misfit->{major}\.$misfit->{minor}\b.*rebuild/, "$name (" . version($p) . '): refused by name and versions');
        next;
    }
    like($line, qr/^\S+\s+\S+\s+loaded\s/, "$name (" . version($p) . '): loaded') or next;
    my $n = QdNode->new('kept', settings => $settings);
    $n->start;
    like($n->get('/_cat/plugins?h=component')->{content}, qr/^\Q$name\E\s*$/m, "$name: the node lists it");
    ok($use{$name}, "$name: the test knows how to use it") and $use{$name}->($n);
    is($n->stop, 0, "$name: the node ends");
    next if @unstable;
    my $out = `'@{[QdNode::qd()]}' plugin check '$dir/$name.so' 2>&1`;
    is($?, 0, "$name: a stable plugin passes its suite") or diag $out;
}
# None was built for a newer ABI.
for my $p (map { read_note($_) } @files) {
    ok($p->{abi}[0] == $host_abi[0] && $p->{abi}[1] <= $host_abi[1], "$p->{name}: built for ABI $p->{abi}[0].$p->{abi}[1]");
}

# The rule itself, with a file whose note says another minor: refused where the major is 0 or the minor newer.
for my $p (map { read_note($_) } @files) {
    next if misfit($p);
    my $dir = install($p);
    my $w = $p->{wants}[0];
    open my $f, '+<:raw', "$dir/$p->{name}.so" or die $!;
    my $bytes = do { local $/; <$f> };
    $bytes =~ /\x0a\0{3}.{4}\x01\0{3}Quidditch\0{3}/s or die;
    seek $f, $+[0] + 16 + 4, 0;
    print $f pack 'v', $w->{minor} + 1;
    close $f;
    my $list = `'@{[QdNode::qd()]}' plugin list -E plugins.path=$dir -E plugins.allow=+$p->{name} -E plugins.allow_unstable=true 2>&1`;
    my $found = "$w->{major}.@{[$w->{minor} + 1]}";
    like($list, qr/^\Q$p->{name}\E\s.*refused .*kind $w->{kind} does not fit: wanted @{$host{$w->{kind}}}[0]\.@{$host{$w->{kind}}}[1]\b.*found $found/m,
        "$p->{name} for $w->{kind} $found is refused");
}
done_testing;
