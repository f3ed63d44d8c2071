# words.t: the tree speaks of the product: no notes of unfinished work, no paths of somebody's machine, no
# marks of a merge that was not ended.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Lint;

my @rules = (
    [qr/\b(TODO|FIXME|XXX|HACK|WIP)\b/,                   'note of unfinished work'],
    [qr/\b(for now|placeholder implementation|not yet implemented)\b/i, 'note of unfinished work'],
    [qr{(?<![\w.])(/work/\S*|/home/\w+|/root/\S*|\.\./shared\b\S*)}, 'path of a machine'],
    [qr/\b(issue|ticket) ?#?\d+\b/i,                      'number of a task'],
    [qr/^(<{7} |>{7} |\|{7} |={7}$)/,                      'mark of a merge'],
);
# Third-party text and data, and this file itself.
my $skip = qr{^(LICENSE|tests/lint/words\.t|tests/fuzz/corpus/|.*\.(json|jsonl|bin|gz|zst|dat|txt|tsv|csv|so|png|ico|svg)$)};

my @bad;
for my $file (files(qr{.})) {
    next if $file =~ $skip || -B top() . "/$file";
    my $n = 0;
    for my $line (split /\n/, slurp($file)) {
        $n++;
        for my $r (@rules) {
            next unless $line =~ $r->[0];
            my $hit = $1;
            # public issue numbers of other projects, with their name, are sources
            next if $r->[1] eq 'number of a task' && $line =~ /(SQLite|curl|Lucene|OpenSearch|Elasticsearch|libuv|libraft|github)/i;
            push @bad, "$file:$n: $hit: $r->[1]";
        }
    }
}
report('no note of unfinished work, no path of a machine, no mark of a merge', @bad);
done_testing;
