# Parts.pm: a long run as parts that are kept when done, so that the same command goes on behind the last
# one; and what a program that a part runs uses of memory.
package Parts;
use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(F_SETFD);
use File::Path qw(make_path remove_tree);
use JSON::PP;
use List::Util qw(sum0 min max);
use Time::HiRes qw(time);
our @EXPORT_OK = qw(slurp spew run capture measured report);

sub slurp { my ($f) = @_; open my $h, '<', $f or return ''; local $/; return scalar <$h> // '' }
sub spew { my ($f, $text) = @_; open my $h, '>', "$f.part" or die "$f.part: $!\n"; print $h $text; close $h or die "$f.part: $!\n"; rename "$f.part", $f or die "$f: $!\n" }
sub run { my ($what) = @_; system('sh', '-c', $what) == 0 or die "\nfailed: $what\n" }
sub capture { my ($what) = @_; my $x = `$what`; die "\nfailed: $what\n" if $?; return $x }

# The report of a benchmark, build/bench/performance-NAME.md.
sub report {
    my ($name, $text) = @_;
    make_path('build/bench');
    spew("build/bench/performance-$name.md", $text);
    print STDERR "build/bench/performance-$name.md written\n";
}

# A child that runs $code, which does not return; and a handle whose end comes when the child, and
# what it has become by exec, is gone.
sub child {
    my ($code) = @_;
    pipe my $ends, my $held or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";
    if (!$pid) { close $ends; $code->($held); exit 127 }
    close $held;
    return ($pid, $ends);
}
# Has it ended? Waits for that, for so many seconds at most (undef: as long as it takes).
sub ended { my ($ends, $seconds) = @_; vec(my $in = '', fileno $ends, 1) = 1; return select($in, undef, undef, $seconds) > 0 }

# Runs a program with its output in files; the most memory it had, in bytes: anonymous (rss_anon, a sample
# every 20 ms) and with the mapped files (rss_peak).
sub measured {
    my ($what, $out, $err) = @_;
    my ($pid, $ends) = child(sub { fcntl $_[0], F_SETFD, 0; exec 'sh', '-c', "exec $what >$out 2>$err" });
    my %most = (rss_anon => 0, rss_peak => 0);
    do {
        my $s = slurp("/proc/$pid/status");
        for ([rss_anon => 'RssAnon'], [rss_peak => 'VmHWM']) {
            my ($k, $n) = @$_;
            $most{$k} = max($most{$k}, $1 * 1024) if $s =~ /^$n:\s*(\d+)/m;
        }
    } until ended($ends, 0.02);
    waitpid $pid, 0;
    die "\nfailed: $what\n" if $?;
    return \%most;
}

# identity: what the results hang on; another one throws the kept ones away.
sub new {
    my ($class, $dir, $identity) = @_;
    make_path("$dir/parts");
    return bless { dir => $dir, identity => $identity, list => [], result => {}, started => time }, $class;
}

# A name, the set it belongs to, an estimate in seconds (for the bar alone), code that returns its result.
sub add { my ($s, $name, $set, $weight, $code) = @_; push @{ $s->{list} }, { name => $name, set => $set, weight => $weight, code => $code } }
sub forget { my ($s) = @_; remove_tree("$s->{dir}/parts"); make_path("$s->{dir}/parts") }
sub result { my ($s, $name) = @_; return $s->{result}{$name} }
sub names { my ($s, $set) = @_; return map { $_->{name} } grep { $_->{set} eq $set } @{ $s->{list} } }
# Are all parts of a set done?
sub complete { my ($s, $set) = @_; return !grep { !exists $s->{result}{$_} } $s->names($set) }

sub bar { # of done parts; inside a part its estimate moves it on
    my ($s, $i, $since) = @_;
    my @p = @{ $s->{list} };
    my $all = sum0(map { $_->{weight} } @p) || 1;
    my $done = sum0(map { $_->{weight} } @p[0 .. $i - 1]);
    my $here = $i < @p ? min($p[$i]{weight} * 0.95, time - $since) : 0;
    my $share = min(1, ($done + $here) / $all);
    return sprintf '[%-30s] %3d %%  part %d of %d: %s', '#' x int(30 * $share), int(100 * $share), min($i + 1, scalar @p),
        scalar @p, $i < @p ? $p[$i]{name} : 'done';
}

sub file_of { my ($s, $p) = @_; return "$s->{dir}/parts/" . $p->{name} =~ tr/ \/,/___/r . '.json' }
sub kept {
    my ($s, $p) = @_;
    my $old = eval { decode_json(slurp($s->file_of($p))) };
    return 0 unless $old && $old->{run} eq $s->{identity};
    $s->{result}{ $p->{name} } = $old->{result};
    return 1;
}

sub run_part { # in a child, so that the bar can move
    my ($s, $i) = @_;
    my $p = $s->{list}[$i];
    my ($from, $tty) = (time, -t STDERR);
    print STDERR $s->bar($i, $from), "\n" unless $tty;
    my ($pid, $ends) = child(sub {
        setpgrp;
        my $r = eval { { run => $s->{identity}, result => $p->{code}->() } };
        if (!$r) { print STDERR "\n$@"; exit 1 }
        $r->{seconds} = sprintf('%.1f', time - $from) + 0;
        spew($s->file_of($p), JSON::PP->new->canonical->encode($r));
        exit 0;
    });
    local $SIG{INT} = local $SIG{TERM} = sub { kill 'TERM', -$pid; print STDERR "\nstopped; the same command goes on from here\n"; exit 130 };
    do {
        print STDERR "\r", substr($s->bar($i, $from) . sprintf('  %d s ', time - $from), 0, 118), "\e[K" if $tty;
    } until ended($ends, $tty ? 0.2 : undef);
    waitpid $pid, 0;
    die "bench: part $p->{name} failed; the same command goes on from here\n" if $?;
    $s->kept($p);
}

# Runs the parts that are not done, of the sets wanted (a code that says so); `empty` tells of a set
# that it has nothing to run over.
sub run_all {
    my ($s, $wanted, $empty) = @_;
    for my $i (0 .. $#{ $s->{list} }) {
        my $p = $s->{list}[$i];
        next if $s->kept($p) || !$wanted->($p->{set}) || $empty->($p->{set});
        $s->run_part($i);
    }
    print STDERR "\r", $s->bar(scalar @{ $s->{list} }, 0), sprintf("  %d s\e[K\n", time - $s->{started});
}

1;
