package QdBox;
# QdBox.pm: this machine once more, with changes that are gone afterwards: its root below an overlay, a network
# of its own, and systemd where it boots. Needs root, and a kernel that lets it.
#
#   my $box = QdBox->new($shared_folder) or skip $QdBox::why;
#   my ($status, $text) = $box->run('dpkg -i /mnt/x.deb');   # the shared folder is /mnt there
#   $box->{boots}: systemd runs in it
use strict;
use warnings;
use QdNode;

our $why = '';
my @boxes;

my $script = <<'END';
set -e
at=$1 shared=$2 boots=$3
mount -t tmpfs none "$at"
mkdir "$at/upper" "$at/work" "$at/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$at/upper,workdir=$at/work" "$at/root"
mount --bind "$shared" "$at/root/mnt"
: >"$at/root/etc/machine-id"
rm -f "$at/root/usr/sbin/policy-rc.d"
echo mounted >"$shared/box"
if [ "$boots" = 1 ]; then
    exec systemd-nspawn -q -D "$at/root" --bind="$shared:/mnt" --machine="qd-$$" --register=no --keep-unit --private-network \
        --console=pipe --boot -- --unit=multi-user.target --show-status=no
fi
mount -t proc proc "$at/root/proc"
mount --rbind /dev "$at/root/dev"
mount -t tmpfs none "$at/root/run"
ip link set lo up
echo $$ >"$shared/leader"
exec chroot "$at/root" perl -e '$0 = "qd-init"; while (1) { wait; select undef, undef, undef, 0.05 }' # reaps what ends
END

sub new {
    my ($class, $shared, %o) = @_;
    if ($> != 0) { $why = 'needs root'; return }
    my $dir = File::Temp::tempdir('qd-box-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    if (system("unshare -mpf --propagation private sh -c 'mount -t tmpfs none $dir && mkdir $dir/u $dir/w $dir/r && mount -t overlay x -o lowerdir=/,upperdir=$dir/u,workdir=$dir/w $dir/r' >/dev/null 2>&1") != 0) {
        $why = 'this machine lets no overlay be mounted';
        return;
    }
    my $boots = $o{boot} // (system('command -v systemd-nspawn >/dev/null 2>&1') == 0);
    for my $boot ($boots ? (1, 0) : (0)) {
        my $self = bless {shared => $shared, boots => $boot}, $class;
        unlink "$shared/leader", "$shared/box";
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            open STDIN, '<', '/dev/null';
            open STDOUT, '>', "$shared/box.log";
            open STDERR, '>&', \*STDOUT;
            # the end of the first process of its own ids ends all of the box
            exec 'unshare', '-mpf', '--kill-child=KILL', $boot ? () : '-n', '--propagation', 'private', 'sh', '-c', $script, 'box', $dir, $shared, $boot
                or POSIX::_exit(127);
        }
        $self->{pid} = $pid;
        push @boxes, $self;
        return $self if QdNode->wait_for(sub { $self->leader && $self->up }, 30);
        $self->end;
    }
    $why = 'the box does not come up: ' . QdNode::slurp("$shared/box.log");
    return;
}

# The process whose namespaces the box is, by its id here.
sub leader {
    my ($self) = @_;
    return $self->{leader} if $self->{leader};
    my @below = ($self->{pid});
    while (@below) {
        my $p = shift @below;
        my $name = QdNode::slurp("/proc/$p/comm");
        return $self->{leader} = $p if $p != $self->{pid} && $name eq ($self->{boots} ? "systemd\n" : "qd-init\n");
        push @below, map { split ' ', QdNode::slurp($_) } glob "/proc/$p/task/*/children";
    }
    return 0;
}
sub up {
    my ($self) = @_;
    return 1 unless $self->{boots};
    my ($status, $text) = $self->run('systemctl is-system-running');
    return $text =~ /^(running|degraded)/;
}

# Runs a line of shell in it: exit status and what it said.
sub run {
    my ($self, $line) = @_;
    local $ENV{QD_LINE} = "export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8; cd /; $line";
    my $p = $self->leader;
    my $text = `nsenter -t $p -m -n -p -u -i -r -w sh -c "\$QD_LINE" 2>&1 </dev/null`;
    return ($? >> 8, $text);
}

sub end {
    my ($self) = @_;
    return unless $self->{pid};
    kill 'KILL', $self->{leader} if $self->{leader};
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    delete @$self{qw(pid leader)};
}
END { my $status = $?; $_->end for @boxes; $? = $status }
1;
