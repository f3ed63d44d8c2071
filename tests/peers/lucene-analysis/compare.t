#!/usr/bin/perl
# compare.t: our tokens against Lucene's, chain by chain (chains.txt), over random texts of all scripts and the
# descriptions of the machine's package catalogue. Skipped, loudly, where there is no JDK or Lucene 8.
#   QD_SEED=n QD_COUNT=n QD_CHAINS="a b" QD_TEXTS=words prove tests/peers/lucene-analysis/compare.t
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Test::More;

my $here = dirname(abs_path(__FILE__));
my $out = $ENV{QD_OUT} || "$here/../../../build";
# QD_LUCENE: a folder with lucene-core and lucene-analysis-common of another version
my @jars = $ENV{QD_LUCENE} ? glob "$ENV{QD_LUCENE}/lucene-*.jar" : grep { -e } map { glob "/usr/share/java/lucene-$_-8.*.jar" } qw(core analyzers-common);
plan skip_all => 'NO COMPARISON WITH LUCENE: no javac' if !grep { -x "$_/javac" } split /:/, $ENV{PATH};
plan skip_all => 'NO COMPARISON WITH LUCENE: liblucene8-java is not installed' if @jars < 2;
plan skip_all => "NO COMPARISON WITH LUCENE: $out/tests/peers/lucene-analysis/dump is not built" if !-x "$out/tests/peers/lucene-analysis/dump";

my $dir = tempdir(CLEANUP => 1);
my $cp = join ':', @jars, $dir;
system('javac', '-nowarn', '-cp', $cp, '-d', $dir, "$here/Oracle.java", "$here/Parts.java") == 0 or BAIL_OUT('javac failed');

my $seed = $ENV{QD_SEED} || 1 + int rand 1e9;
my $count = $ENV{QD_COUNT} || 100_000;
my $packages = $ENV{QD_PACKAGES} || 100_000;
note "QD_SEED=$seed QD_COUNT=$count";
system("perl $here/texts.pl $seed $count > $dir/random") == 0 or BAIL_OUT('texts.pl failed');
my %texts = (random => "$dir/random");
# The built-in analyzers see all of it, the other chains a twentieth: n-grams of 100,000 texts are a lot.
my %whole = map { $_ => 1 } qw(standard_types standard standard_stop standard_max5 standard_max200 whitespace keyword simple stop english pattern);
system("perl $here/texts.pl $seed " . int($count / 20 + 100) . " > $dir/part") == 0 or BAIL_OUT('texts.pl failed');
$texts{part} = "$dir/part";
system("perl $here/texts.pl $seed " . int($count / 4 + 100) . " markup > $dir/markup") == 0 or BAIL_OUT('texts.pl failed');
$texts{markup} = "$dir/markup";
system("perl $here/texts.pl $seed " . int($count / 2 + 100) . " words > $dir/words") == 0 or BAIL_OUT('texts.pl failed');
$texts{words} = "$dir/words";
if (open(my $apt, '-|', 'apt-cache dumpavail 2>/dev/null')) {
    local $/ = "\n\n";
    open(my $f, '>', "$dir/catalogue") or die;
    my $n = 0;
    while (<$apt>) { print $f "$1\0" if /^Description[^:]*: (.*?)(?=^\S|\z)/ms; last if ++$n >= $packages }
    close $f;
    close $apt;
    $texts{catalogue} = "$dir/catalogue" if -s "$dir/catalogue" > 1e5;
}

my %only = map { $_ => 1 } split ' ', $ENV{QD_CHAINS} || '';
open(my $list, '<', "$here/chains.txt") or die;
# 9: as Lucene 9 has it, where 8 differs
my $lucene9 = "@jars" =~ /-9\.\d/;
my %nine;
my @chains = grep { !%only || $only{$_->[0]} } map { my @w = split; $nine{$w[0]} = 1 if $w[0] =~ s/^9://; [@w] } grep { !/^#|^\s*$/ } <$list>;
for my $text (grep { !$ENV{QD_TEXTS} || $_ eq $ENV{QD_TEXTS} } sort keys %texts) {
    mkdir "$dir/$text.lucene";
    my @chains = grep { $text eq 'markup' ? $_->[0] =~ /^html_strip/ : $text eq 'words' ? $_->[0] =~ /^(?:stem|lang|own|part|snowball)_/ : $text eq 'catalogue' || ($text eq 'random') == !!$whole{$_->[0]} } @chains;
    next if !@chains;
    my $names = join ' ', map { $_->[0] } @chains;
    system("java -Xmx1g -XX:+UseSerialGC -cp $cp Oracle $dir/$text.lucene $names - < $texts{$text}") == 0 or BAIL_OUT('the oracle failed');
    for my $chain (@chains) {
        my ($name, @settings) = @$chain;
        if (!-e "$dir/$text.lucene/$name" || ($nine{$name} && !$lucene9)) {
            pass("SKIPPED: this Lucene has no $name");
            next;
        }
        open(my $run, '>', "$dir/run.sh") or die;
        print $run join ' ', "'$out/tests/peers/lucene-analysis/dump'", $name, (map { quoted($_) } @settings), '"$@"', "< $texts{$text}\n";
        close $run;
        rename "$dir/$text.lucene/$name", "$dir/theirs";
        system("sh $dir/run.sh > $dir/ours");
        my $same = system("cmp -s $dir/ours $dir/theirs") == 0;
        ok($same, "$name over $text: the same tokens, offsets, positions, types") or show($name, $texts{$text}, 0);
        # Once more without types, by the block kernel where the chain has one
        system("sh $dir/run.sh -T > $dir/ours; cut -f1-5 $dir/theirs > $dir/theirs5");
        $same = system("cmp -s $dir/ours $dir/theirs5") == 0;
        ok($same, "$name over $text, without types: the same tokens, offsets, positions") or show($name, $texts{$text}, 1);
    }
}
done_testing();

sub quoted { my $w = shift; $w =~ s/'/'\\''/g; return "'$w'" }

# The first records that differ.
sub show {
    my ($name, $text, $kernel) = @_;
    my @in = do { local $/ = "\0"; open(my $f, '<', $text) or die; <$f> };
    open(my $a, '<', "$dir/ours") or die;
    open(my $b, '<', $kernel ? "$dir/theirs5" : "$dir/theirs") or die;
    my ($k, $shown) = (0, 0);
    while ($shown < 3) {
        my (@x, @y);
        while (<$a>) { push @x, $_; last if /^=\t\d+\t\d+$/ }
        while (<$b>) { push @y, $_; last if /^=\t\d+\t\d+$/ }
        last if !@x && !@y;
        if ("@x" ne "@y") {
            diag "record $k: ", join(' ', map { sprintf '%vd', $_ } substr $in[$k], 0, 0), substr($in[$k] // '', 0, 400);
            my $i = 0;
            $i++ while $i < @x && $i < @y && $x[$i] eq $y[$i];
            diag "ours   ", $x[$i] // '(end)';
            diag "theirs ", $y[$i] // '(end)';
            $shown++;
        }
        $k++;
    }
}
