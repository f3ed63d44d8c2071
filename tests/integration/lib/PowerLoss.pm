# PowerLoss.pm: records the file changes of a program, and makes the folders that a power loss at
# some moment could have left. See tests/lib/recorder.c and powerloss.c.
#
#   my $rec = PowerLoss->new(root => $folder, build => 'build');
#   local %ENV = (%ENV, $rec->env);          # or $rec->env(mute => 'fdatasync') for a broken twin
#   ... run the program; $rec->seq at an acknowledgement says what had happened by then ...
#   $rec->fail(under => 'translog-', pass => 3);      # the 4th sync of such a file from now on ends with EIO:
#   $rec->failed;                            # its bytes stay cached, count as clean, and are not on the disk
#   my $out = $rec->rebuild($seed, $cut);    # a folder as it may be after the loss; yours to remove
package PowerLoss;
use strict;
use warnings;
use Fcntl qw(O_CREAT O_RDWR);
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
        QD_RECORD_FAIL  => "$self->{work}/fail",
    );
}

# From now on one sync, or as many as `times`, of files whose path holds `under` fails, after `pass` more.
sub fail {
    my ($self, %o) = @_;
    sysopen my $f, "$self->{work}/fail", O_RDWR | O_CREAT or die "fail: $!";
    syswrite $f, pack('l<2', 0, 0); # first nothing, then what and which
    sysseek $f, 16, 0;
    syswrite $f, pack('Z256', $o{under} // '/');
    sysseek $f, 0, 0;
    syswrite $f, pack('l<2', $o{times} // 1, $o{pass} // 0);
}

# How many failed so far.
sub failed {
    my ($self) = @_;
    open my $f, '<:raw', "$self->{work}/fail" or return 0;
    sysseek $f, 8, 0;
    sysread $f, my $n, 8;
    return unpack 'Q<', $n;
}

# Which did: [number of the change, path].
sub failures {
    my ($self) = @_;
    return map { /^failed: (\d+) (.*)/ ? [$1, $2] : () } `$self->{build}/tests/powerloss $self->{work}/log`;
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
