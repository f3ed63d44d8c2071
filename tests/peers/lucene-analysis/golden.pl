#!/usr/bin/perl
# golden.pl: writes tests/unit/analysis/golden_data.h: texts, and for each chain of chains.txt the FNV-1a digest of
# Lucene's tokens of each text (as Oracle.java prints them), so that the unit test holds without a JDK. Run by hand:
#   perl tests/peers/lucene-analysis/golden.pl > tests/unit/analysis/golden_data.h
use strict;
use warnings;
no warnings 'qw';
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);

my $here = dirname(abs_path(__FILE__));
my $dir = tempdir(CLEANUP => 1);
my $cp = join ':', (map { glob "/usr/share/java/lucene-$_-8.*.jar" } qw(core analyzers-common)), $dir;
system('javac', '-nowarn', '-cp', $cp, '-d', $dir, "$here/Oracle.java") == 0 or die;

my @texts = split /\0/, qx(perl $here/texts.pl 42 70);
@texts = map { length > 600 ? substr($_, 0, 0) : $_ } @texts;
srand(7);
my @words = qw(The the quick Quickly running runs skies flies happily relational conditional generalizations communism University's
    fast speedy wi fi wifi wireless network file system fs debian gnu linux distro library lib same thing such as a b c x tool kit of and is
    packages U.S.A. can't x_y a:b 1,000.5 3.14 foo@bar.org caf\xc3\xa9 na\xc3\xafve \xc3\x84rger stra\xc3\x9fe \xce\xa3\xce\xaf\xcf\x83\xcf\x85\xcf\x86\xce\xbf\xcf\x82
    \xd0\x9c\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb5 \xe6\x9d\xb1\xe4\xba\xac\xe9\x83\xbd \xed\x95\x9c\xea\xb5\xad\xec\x96\xb4 \xe0\xb8\xa0\xe0\xb8\xb2\xe0\xb8\xa9\xe0\xb8\xb2
    \xe3\x82\xab\xe3\x82\xbf\xe3\x82\xab\xe3\x83\x8a \xe3\x81\xb2\xe3\x82\x89 \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb \xef\xac\x83 \xe2\x85\xa7 f\xc3\xb6rpackningar cantecele nekazariak
    <b>bold</b> <p> &amp; &eacute; &#65; <!-- x --> 2024-11 o'clock hyphen-word);
push @texts, join ' ', map { s/\\x(..)/chr hex $1/ger } map { $words[rand @words] } 1 .. 1 + int rand 24 for 1 .. 50;

open(my $f, '>:raw', "$dir/texts") or die;
print $f "$_\0" for @texts;
close $f;

sub fnv {
    use integer;
    my $h = -3750763034362895579;    # 0xcbf29ce484222325
    for my $c (unpack 'C*', $_[0]) { $h = ($h ^ $c) * 1099511628211 }
    return sprintf '0x%016xu', $h;
}
sub quote {
    my $s = $_[0] =~ s/([^A-Za-z0-9 .,:;<>=_+*\/&#@!()'-])/sprintf '\\%03o', ord $1/ger;
    return join "\n     ", map { qq("$_") } $s =~ /(?:\\\d{3}|.){1,70}/g, $s eq '' ? '' : ();
}
print "/* golden_data.h: texts, digests of Lucene's tokens, by tests/peers/lucene-analysis/golden.pl. */\n/* clang-format off */\n";
print "static const char *const golden_texts[] = {\n", (map { "    " . quote($_) . ",\n" } @texts), "};\n";
print "static const struct golden_chain {\n    const char *words; /* name, settings */\n    uint64_t digests[", scalar @texts, "];\n} golden_chains[] = {\n";
open(my $list, '<', "$here/chains.txt") or die;
while (<$list>) {
    next if /^#|^\s*$/;
    chomp;
    my ($name) = split;
    my $out = qx(java -XX:TieredStopAtLevel=1 -Xshare:auto -cp $cp Oracle $name < $dir/texts);
    my @records = ('');
    for my $line (split /(?<=\n)/, $out) { $records[-1] .= $line; push @records, '' if $line =~ /^=\t\d+\t\d+\n/ }
    pop @records;
    die "$name: " . @records . " records" if @records != @texts;
    my $d = join ', ', map { fnv($_) } @records;
    $d =~ s/((?:\S+ ){4})/$1\n      /g;
    print "    {", quote($_), ",\n     {$d}},\n";
}
print "};\n";

# Every code point of planes 0 to 3 and 14, alone and between two letters, through the chains that rest on tables.
open($f, '>:utf8', "$dir/points") or die;
for (my $from = 1; $from < 0xF0000; $from = $from == 0x3F001 ? 0xE0001 : $from + 4096) {
    for my $c ($from .. $from + 4095) {
        next if $c >= 0x110000 || ($c >= 0xD800 && $c < 0xE000);
        no warnings;
        print $f chr $c, ' a', chr $c, 'a ';
    }
    print $f "\0";
}
close $f;
print "/* of all code points, golden_t.c's points() */\nstatic const struct {\n    const char *words;\n    uint64_t digest;\n} golden_points[] = {\n";
for my $words ('standard_types analyzer.x.tokenizer=standard', 'standard standard', 'whitespace whitespace', 'simple simple',
    'upper analyzer.x.tokenizer=whitespace analyzer.x.filter=uppercase',
    'folding analyzer.x.tokenizer=standard analyzer.x.filter=lowercase,asciifolding',
    'folding_both analyzer.x.tokenizer=whitespace analyzer.x.filter=f filter.f.type=asciifolding filter.f.preserve_original=true') {
    my ($name) = split ' ', $words;
    my $out = qx(java -cp $cp Oracle $name < $dir/points);
    print "    {", quote($words), ', ', fnv($out), "},\n";
}
print "};\n";
