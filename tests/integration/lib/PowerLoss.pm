# PowerLoss.pm: records the file changes of a program, and makes the folders that a power loss at
# some moment could have left. See tests/lib/recorder.c and powerloss.c.
#
#   my $rec = PowerLoss->new(root => $folder, build => 'build');
#   local %ENV = (%ENV, $rec->env);          # or $rec->env(mute => 'fdatasync') for a broken twin
#   ... run the program; $rec->seq at an acknowledgement says what had happened by then ...
#   my $out = $rec->rebuild($seed, $cut);    # a folder as it may be after the loss; yours to remove
package PowerLoss;
use strict;
use warnings;
use File::Temp qw(tempdir);

sub new {
    my ($class, %arg) = @_;
    my $work = tempdir('qd-loss-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    return bless { %arg, work => $work, n => 0 }, $class;
}

sub env {
    my ($self, %arg) = @_;
    open my $lib, '<', "$self->{build}/tests/librecorder.so" or die "no recorder in $self->{build}: $!";
    require Cwd;
    return (
        LD_PRELOAD      => Cwd::abs_path("$self->{build}/tests/librecorder.so"),
        QD_RECORD_ROOT  => $self->{root},
        QD_RECORD_LOG   => "$self->{work}/log",
        QD_RECORD_SEQ   => "$self->{work}/seq",
        QD_RECORD_MUTE  => $arg{mute} // '',
    );
}

# The number of the last change recorded so far: cheap, may be asked at every acknowledgement.
sub seq {
    my ($self) = @_;
    open my $f, '<:raw', "$self->{work}/seq" or return 0;
    read $f, my $n, 8;
    return unpack 'Q<', $n;
}

sub seq_file { return "$_[0]{work}/seq" }

# What the recorder could not follow: should be empty.
sub unseen {
    my ($self) = @_;
    my @lines = `$self->{build}/tests/powerloss $self->{work}/log`;
    return grep { /^unseen/ } @lines;
}

sub rebuild {
    my ($self, $seed, $cut, $taste) = @_; # all, none: what was not synced is kept, or lost; else by seed
    my $out = "$self->{work}/out" . ++$self->{n};
    system("$self->{build}/tests/powerloss", "$self->{work}/log", $out, $seed, $cut, $taste // ()) == 0
        or die "powerloss failed for seed $seed, cut $cut";
    return $out;
}

# Numbers for cut points that are the same in every run with the same seed.
sub random {
    my ($seed) = @_;
    my $x = ($seed * 2654435761 + 12345) & 0xffffffff;
    return sub {
        my ($below) = @_;
        $x = ($x * 1103515245 + 12345) & 0x7fffffff;
        return int(($x >> 8) % $below);
    };
}

1;
