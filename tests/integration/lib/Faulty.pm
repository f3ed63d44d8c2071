package Faulty;
# Faulty.pm: a disk whose calls fail, for a node that runs (tests/lib/faulty.c).
#
#   my $disk = Faulty->new("$dir/faulty") or plan skip_all => ...;  # undef: its library is not built
#   my $node = QdNode->new('a', env => { $disk->env });
#   $disk->fail(sync => 'EIO', under => '/hot/', times => 1);       # without times: all of them
#   $disk->fail(sync_ms => 500, under => '/');                      # slow syncs
#   $disk->fail(hold => 1);                                         # no sync ends until it is sound
#   $disk->failed;  $disk->heal;                                    # calls that failed or were held
use strict;
use warnings;
use Errno ();
use QdNode;

sub library { my $l = QdNode::top() . '/build/tests/libfaulty.so'; -e $l ? $l : undef }

sub new {
    my ($class, $file) = @_;
    return undef unless library();
    my $self = bless { file => $file }, $class;
    $self->put('');
    return $self;
}

sub env { my ($self) = @_; return (LD_PRELOAD => library(), QD_FAULTY => $self->{file}) }

# In place, without a hole in time in which the file is shorter than what is mapped.
sub put {
    my ($self, $under, %o) = @_;
    open my $f, -e $self->{file} ? '+<:raw' : '+>:raw', $self->{file} or die "$self->{file}: $!";
    syswrite $f, pack('l<4 L<2', (0) x 6); # first nothing, then what and where
    if (-s $f > 40) { sysseek $f, 40, 0 } else { syswrite $f, pack('Q<2', 0, 0) }
    syswrite $f, pack('Z256', $under);
    my @errors = map { my $e = $o{$_}; !$e ? 0 : do { no strict 'refs'; &{"Errno::$e"}() } } qw(sync write read);
    sysseek $f, 0, 0;
    syswrite $f, pack('l<4 L<2', @errors, $o{times} // -1, $o{sync_ms} // 0, $o{hold} // 0);
}

sub fail { my ($self, %o) = @_; $self->put($o{under} // '/', %o) }
sub heal { my ($self) = @_; $self->put('') }
sub failed { my ($self) = @_; return unpack 'Q<', substr(QdNode::slurp($self->{file}), 24, 8) }

1;
