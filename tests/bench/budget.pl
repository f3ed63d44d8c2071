#!/usr/bin/perl
# budget.pl: the instructions of a fixed small set of hot paths, counted by valgrind's callgrind, against
# tests/bench/budget. An item that has grown by more than 5 % fails; one that has shrunk by more wants its
# line changed, so that the gain is kept.
#
#   make bench-budget                 what ./run-tests runs, too
#   make bench-budget UPDATE=1        writes the lines anew (notes stay): say in the commit why one grew
#   perl tests/bench/budget.pl [--update] [--program FILE] [--budget FILE] [--keep] [ITEM...]
#
# Counted is what the program and libc execute, in one process over a tier in memory, with QD_CPU=v2 and libc's
# functions of the baseline: the same on every machine. Not what other libraries do (zstd and ICU choose by CPU).
# Lines are of Debian 12's gcc and libc; with others this is skipped, loudly, with status 3.
# --keep leaves callgrind's files, for callgrind_annotate.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Getopt::Long;

use constant { MOST => 5, COMPILER => qr/^gcc 12\.2\.\d+, libc 2\.36$/ };

my $top = abs_path(dirname(__FILE__) . '/../..');
my ($update, $keep) = (0, 0);
my ($program, $file) = ("$top/build/tests/bench/budget_run", "$top/tests/bench/budget");
GetOptions(update => \$update, 'program=s' => \$program, 'budget=s' => \$file, keep => \$keep) or exit 64;
$program = abs_path($program) // die "$program is not built: make bench-budget\n";

sub skipped { print STDERR "SKIPPED: instruction budget: $_[0]\n"; exit 3 }
skipped('there is no valgrind') if system('command -v valgrind >/dev/null 2>&1');
-e '/usr/include/valgrind/callgrind.h' or skipped('valgrind came without its headers');
-x $program or die "$program is not built: make bench-budget\n";
chomp(my $compiler = `"$program" --compiler`);
skipped("its lines are for Debian 12's gcc and libc, this is $compiler") if $compiler !~ COMPILER;

my @all = split /\n/, `"$program" --list`;
my %known = map { $_ => 1 } @all;
for (@ARGV) { die "there is no item $_: @all\n" unless $known{$_} }
my %asked = map { $_ => 1 } @ARGV;
my @names = @ARGV ? grep { $asked{$_} } @all : @all;

# --- measuring ----------------------------------------------------------------------------------------

# Instructions of the program and of libc in one of callgrind's files.
sub instructions {
    my ($name) = @_;
    my ($sum, $counts) = (0, 0);
    open my $f, '<', $name or die "$name: $!\n";
    while (<$f>) {
        if (/^ob=(.*)/) { $counts = $1 eq $program || $1 =~ m{/lib(?:c|m)\.so\.6$} }
        elsif (/^calls=/) { <$f> } # the next line is what was called: inclusive
        elsif ($counts && /^[+\-*\d]\S* (\d+)$/) { $sum += $1 }
    }
    return $sum;
}

sub measured {
    my $dir = tempdir('qd-budget-XXXXXX', TMPDIR => 1, CLEANUP => !$keep);
    print STDERR "callgrind's files: $dir\n" if $keep;
    # nothing of this environment but where programs are: what its size moves is not ours
    my %env = (
        PATH => $ENV{PATH},
        LC_ALL => 'C',
        QD_CPU => 'v2',
        GLIBC_TUNABLES => join(':', 'glibc.cpu.hwcaps=' . join(',', map { "-$_" } qw(AVX AVX2 AVX512F AVX512VL AVX512BW ERMS FSRM BMI1 BMI2 LZCNT MOVBE FMA FMA4 RTM XSAVE XSAVEC)),
            'glibc.cpu.x86_non_temporal_threshold=786432', 'glibc.cpu.x86_shared_cache_size=1048576', 'glibc.cpu.x86_data_cache_size=32768'),
    );
    local %ENV = %env;
    my @valgrind = ('valgrind', '--tool=callgrind', '--quiet', '--instr-atstart=no', '--compress-strings=no', '--compress-pos=no',
        '--dump-line=no', "--callgrind-out-file=$dir/out", $program, "$top/tests/bench/mappings/budget.json", @ARGV);
    system(@valgrind) == 0 or die "budget: @valgrind failed\n";
    my %got;
    for my $out (glob "'$dir'/out.*") {
        open my $f, '<', $out or die "$out: $!\n";
        while (<$f>) {
            last if /^fn=/;
            $got{$1} = instructions($out) if /^desc: Trigger: Client Request: (\w+)/;
        }
    }
    return %got;
}

# --- comparing ----------------------------------------------------------------------------------------

my %got = measured();
my (@lines, %line);
if (open my $f, '<', $file) {
    while (<$f>) {
        chomp;
        push @lines, /^(\w+)\s+(\d+)\s*(.*)/ ? ($line{$1} = { name => $1, n => $2, note => $3 }) : $_;
    }
}

$| = 1;
my ($failed, $shrunk) = (0, 0);
for my $name (@names) {
    my ($new, $old) = ($got{$name} // die("budget: $name was not measured\n"), $line{$name});
    if (!$old) {
        push @lines, $line{$name} = { name => $name, n => $new, note => '' };
        printf "%-22s %12d  has no line in %s\n", $name, $new, $file;
        $failed++;
        next;
    }
    my $percent = 100 * ($new / $old->{n} - 1);
    my $word = $percent > MOST ? 'GROWN' : $percent < -MOST ? 'SHRUNK: keep the gain by a new line' : 'ok';
    printf "%-22s %12d  %+6.2f %%  %s\n", $name, $new, $percent, $word;
    $failed++ if $percent > MOST;
    $shrunk++ if $percent < -MOST;
    $old->{n} = $new if $update;
}
if ($update) {
    open my $f, '>', $file or die "$file: $!\n";
    for my $l (@lines) {
        print $f "$l\n" unless ref $l;
        print $f sprintf('%-22s %12d  %s', @$l{qw(name n note)}) =~ s/\s+$//r, "\n" if ref $l && $known{ $l->{name} };
    }
    print "written: $file\n";
    exit 0;
}
print STDERR "SHRUNK: $shrunk items of the instruction budget have shrunk by more than @{[MOST]} %: make bench-budget UPDATE=1 keeps it\n" if $shrunk;
print STDERR <<"END" if $failed;
$failed items are over their lines in tests/bench/budget by more than @{[MOST]} %, or have none.
  make bench-budget                   measures again
  perl tests/bench/budget.pl --keep ITEM, then callgrind_annotate    shows where
  make bench-budget UPDATE=1          writes the new lines, where the growth is wanted; the commit says why
END
exit($failed ? 1 : 0);
