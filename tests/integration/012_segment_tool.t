#!/usr/bin/perl
# 012_segment_tool.t: `qd segment check` and `qd segment dump` as a person or a script uses them: whole
# segments pass, every flipped bit is reported with file and place, tools get JSON, and the program
# links nothing above segment for it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use JSON::PP qw(decode_json encode_json);
use QdNode;
use Test::More;

my $qd = "$QdNode::OUT/bin/qd";
my $dir = tempdir('qd-segment-XXXXXX', TMPDIR => 1, CLEANUP => 1);
sub run { my $out = `$qd @_ 2>&1`; return ($? >> 8, $out) }

open my $h, '>', "$dir/c.jsonl" or die;
srand 7;
for my $i (0 .. 2999) {
    my $body = join ' ', map { 'w' . int rand 2000 } 1 .. 40;
    print $h encode_json({id => "doc-$i", title => "title $i", body => $body}), "\n";
}
close $h;
my ($rc, $out) = run('bench', 'index', '--in', "$dir/c.jsonl", '--index', "$dir/index");
is($rc, 0, 'an index is made') or diag $out;
my ($segment) = glob "$dir/index/seg-*";
ok($segment, 'it has a segment') or BAIL_OUT('no segment');
(my $name = $segment) =~ s{.*/}{};

($rc, $out) = run('segment', 'check', "$dir/index");
is($rc, 0, 'check of the folder');
like($out, qr/^1 segments, .* 0 findings$/m, 'says what it read');
($rc, $out) = run('segment', 'check', $segment);
is($rc, 0, 'check of the file');
($rc, $out) = run('segment', 'check', '--json', $dir);
is($rc, 0, 'check of a folder above');
is(decode_json($out)->{segments}, 1, 'JSON of the check');

($rc, $out) = run('segment', 'dump', $segment);
is($rc, 0, 'dump');
like($out, qr/^docs: 3000$/m, 'documents');
like($out, qr/^  - name: body\n    index: \n      options: positions$/m, 'fields');
($rc, $out) = run('segment', 'dump', '--json', "$dir/index");
my $dump = decode_json($out)->{segments}[0];
is($dump->{docs}, 3000, 'documents in JSON');
my %sections = map { $_->{name} => $_ } @{$dump->{sections}};
ok($sections{POSTINGS}{bytes} > 1000 && $sections{META}{resident} eq 'yes', 'sections');

# One flipped bit in each section and in the frame.
my $size = -s $segment;
chmod 0600, $segment;
for my $at (5, (map { $_->{offset} + int($_->{bytes} / 2) } grep { $_->{bytes} } values %sections), $size - 20) {
    open my $f, '+<:raw', $segment or die;
    seek $f, $at, 0;
    read $f, my $byte, 1;
    seek $f, $at, 0;
    print $f chr(ord($byte) ^ 4);
    close $f;
    ($rc, $out) = run('segment', 'check', "$dir/index");
    is($rc, 1, "a flipped bit at $at is found");
    like($out, qr/\Q$name\E.*offset \d+/, 'with file and offset');
    open $f, '+<:raw', $segment or die;
    seek $f, $at, 0;
    print $f $byte;
    close $f;
}
truncate $segment, $size - 100;
($rc, $out) = run('segment', 'check', '--json', $segment);
is($rc, 1, 'a cut segment is found');
is(decode_json($out)->{findings}, 1, 'one finding in JSON');

($rc, $out) = run('segment', 'check', "$dir/nowhere");
is($rc, 2, 'no such folder');
like($out, qr/nowhere/, 'is named');
($rc, $out) = run('segment', 'check');
is($rc, 64, 'no argument');
($rc, $out) = run('segment', 'mend');
is($rc, 64, 'unknown verb');
($rc, $out) = run('segment', '--help');
is($rc, 0, 'help');
done_testing;
