#!/usr/bin/perl
# texts.pl: random texts of all scripts for the comparison with Lucene, parted by NUL bytes.
#   texts.pl SEED COUNT [markup|words] > records
# words: made of the endings in the tables of the stemmers, with letters of their script before.
use strict;
use warnings;
my ($seed, $count, $mode) = @ARGV;
srand($seed);
binmode(STDOUT, ':utf8');

# Ranges to draw from: the mix decides how often rules meet each other.
my @pools = (
    [[0x61, 0x7A]], [[0x61, 0x7A]], [[0x41, 0x5A]], [[0x30, 0x39]], [[0x20, 0x7E]], [[0x09, 0x0D], [0x20, 0x20]],
    [map { [ord, ord] } split //, ".,:;'_-@#*\""], [map { [ord, ord] } split //, ".,:;'_"],
    [[0xA0, 0xFF]], [[0xC0, 0x24F]], [[0xC0, 0x24F]], [[0x300, 0x36F]], [[0x370, 0x3FF]], [[0x400, 0x52F]], [[0x530, 0x58F]],
    [[0x590, 0x5FF]], [[0x600, 0x6FF]], [[0x700, 0x8FF]], [[0x900, 0xDFF]], [[0xE00, 0xEFF]], [[0xF00, 0x109F]], [[0x10A0, 0x13FF]],
    [[0x1100, 0x11FF], [0xAC00, 0xD7A3]], [[0x1400, 0x1FFF]], [[0x1780, 0x17FF]], [[0x2000, 0x206F]], [[0x2010, 0x2027], [0x200C, 0x200D]],
    [[0x2070, 0x2BFF]], [[0x2C00, 0x2FFF]], [[0x3000, 0x303F]], [[0x3041, 0x309F]], [[0x30A0, 0x30FF], [0xFF65, 0xFF9F]], [[0x3100, 0x33FF]],
    [[0x3400, 0x9FFF]], [[0x4E00, 0x4FFF]], [[0xA000, 0xABFF]], [[0xF900, 0xFAFF]], [[0xFB00, 0xFDFF]], [[0xFE00, 0xFE0F], [0x20E3, 0x20E3]],
    [[0xFE10, 0xFFFD]], [[0x10000, 0x1FFFF]], [[0x1D400, 0x1D7FF]], [[0x1F1E6, 0x1F1FF]], [[0x1F300, 0x1F64F], [0x1F900, 0x1F9FF]],
    [[0x1F3FB, 0x1F3FF]], [[0x200D, 0x200D], [0x2640, 0x2642], [0xFE0F, 0xFE0F], [0x1F466, 0x1F469]], [[0x20000, 0x2FFFF]],
    [[0xE0020, 0xE007F]], [[0x130, 0x131], [0x23A, 0x23E], [0x212A, 0x212B], [0x1E9E, 0x1E9E]], [[0, 0x10FFFF]],
);

sub point {
    my $pool = shift;
    while (1) {
        my $r = $pool->[rand @$pool];
        my $c = $r->[0] + int rand($r->[1] - $r->[0] + 1);
        # NUL parts the records; surrogates and non-characters cannot be written
        next if $c == 0 || ($c >= 0xD800 && $c < 0xE000) || ($c & 0xFFFE) == 0xFFFE || ($c >= 0xFDD0 && $c < 0xFDF0);
        return chr $c;
    }
}

# Markup, whole and broken, with letters that every version of Unicode has: for html_strip.
my @markup = ('<', '>', '</', '/>', '<b>', '</b>', '<p ', '<br/>', '<br', '<script>', '<script a=1>', '</script>', '</ script >', '<style>', '</style>', '<a href="', '<a onclick=\'', '"', "'", '\\"', ' x = ', '=',
    '<!--', '-->', '<!--#', '<!', '<!x', '<![CDATA[', ']]>', '<?', '?>', '&', ';', '&amp;', '&amp', '&nbsp;', '&#', '&#x', '&#65;', '&#x1F600;', '&#xD83D;&#xDE00;', '&#55357;&#56832;', '&#xD83D;', '&#0;', '&eacute', 'é', ' ', ' ', "\n", "\x{85}", "\x{2003}", "\x{3000}", "\x{4e2d}", "\x{1F600}", 'b', 'div', 'br', '#', '-', '\\');
my $markup = ($mode // '') eq 'markup';

# Endings and whole words of the light stemmers, in the language's file.
my @chunks;
if (($mode // '') eq 'words') {
    use FindBin qw($Bin);
    for my $file (map { "$Bin/../../../core/analysis/$_.c" } (<language/{light_west,light_east,iberian,rslp_tables,greek}>, <filter/{stopwords,stopwords_9}>)) {
        open(my $f, '<:utf8', $file) or die "$file: $!";
        while (<$f>) { push @chunks, grep { /^[\w']+$/ } map { split /[ ]/ } (/u"((?:[^"\\])*)"/g, /"([^"\\]*)\\n"/g) }
    }
}
my %scripts = (Latin => [[0x61, 0x7A], [0x61, 0x7A], [0x61, 0x7A], [0xDF, 0xFC], [0x100, 0x17E]], Cyrillic => [[0x430, 0x45F]], Greek => [[0x3B1, 0x3C9], [0x3AC, 0x3CE], [0x391, 0x3A9]],
    Arabic => [[0x621, 0x652], [0x66E, 0x6D5]], Devanagari => [[0x900, 0x97F]], Bengali => [[0x980, 0x9FE]], Armenian => [[0x561, 0x586]], Thai => [[0xE01, 0xE5B]]);
sub word {
    my $chunk = $chunks[rand @chunks];
    my ($script) = grep { $chunk =~ /^\p{$_}/ } sort keys %scripts;
    my $letters = $scripts{$script // 'Latin'};
    my $w = join '', grep { /^\w$/ && /^\p{Present_In=6.0}$/ } map { point([$letters->[rand @$letters]]) } 1 .. rand(9);
    $w .= $chunk if rand() < 0.9;
    $w .= $chunks[rand @chunks] if rand() < 0.05;
    $w =~ s/(.)/$1$1/ if rand() < 0.05;
    $w = ucfirst $w if rand() < 0.1;
    return $w;
}

for my $k (1 .. $count) {
    if (@chunks) {
        print join(rand() < 0.9 ? ' ' : ', ', map { word() } 1 .. rand 12), "\0";
        next;
    }
    if ($markup) {
        my $text = '';
        $text .= rand() < 0.7 ? $markup[rand @markup] : point($pools[rand() < 0.7 ? 0 : rand 12]) for 1 .. rand() ** 2 * 40;
        print $text, "\0";
        next;
    }
    my $len = int(rand() ** 3 * 160);
    my $mix = 1 + int rand 5;    # few pools at a time, so that they meet often
    my @some = map { $pools[rand @pools] } 1 .. $mix;
    push @some, $pools[0], $pools[6] if rand() < 0.5;
    my $text = '';
    while (length $text < $len) {
        my $pool = $some[rand @some];
        my $run = rand() < 0.6 ? 1 : rand() < 0.97 ? 1 + int rand 6 : int rand 300;
        $text .= point($pool) for 1 .. $run;
    }
    print $text, "\0";
}
