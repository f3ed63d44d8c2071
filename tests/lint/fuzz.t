# fuzz.t: each archive of inputs belongs to a fuzzer and is written as tests/fuzz/pack writes it; pack adds
# a finding and keeps what is there.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use Test::More;
use Lint;

my $pack = top() . '/tests/fuzz/pack';
my @fuzzers = map { m{^tests/fuzz/(.+)_fuzz\.c$} ? $1 : () } files(qr{^tests/fuzz/});
my @bad = map { m{^tests/fuzz/corpus/(.+)\.tar$} && grep({ $_ eq $1 } @fuzzers) ? () : "$_ is no archive of a fuzzer" } files(qr{^tests/fuzz/corpus/});
push @bad, map { -f top() . "/tests/fuzz/corpus/$_.tar" ? () : "$_ has no archive" } @fuzzers;

my $dir = tempdir(CLEANUP => 1);
$ENV{QD_FUZZ_CORPUS} = $dir;
sub bytes { my ($file) = @_; open my $h, '<:raw', $file or die "$file: $!"; local $/; return scalar <$h> }
for my $name (grep { -f top() . "/tests/fuzz/corpus/$_.tar" } @fuzzers) {
    my $from = top() . "/tests/fuzz/corpus/$name.tar";
    copy($from, "$dir/$name.tar") or die;
    `$pack $name`; # no file: the same inputs again
    push @bad, "$from is not as pack writes it" unless $? == 0 && bytes("$dir/$name.tar") eq bytes($from);
}
report('archives of inputs are those of fuzzers, as pack writes them', @bad);

open my $h, '>', "$dir/crash" or die;
print $h "{\"a\":\n";
close $h;
my $said = `$pack json $dir/crash`;
like($said, qr/json\.tar: (\d+) inputs before, (??{ $1 + 1 }) now/, 'a finding is added');
system($pack, '--unpack', 'json', "$dir/out");
my @found = glob "$dir/out/finding-*";
is(scalar @found, 1, 'by the name of a finding');
is(bytes($found[0]), "{\"a\":\n", 'with its bytes');
isnt(system("$pack nothing $dir/crash 2>/dev/null"), 0, 'a fuzzer that does not exist is an error');
done_testing;
