package Manifests;
# Manifests.pm: the YAML of deploy/ for a test: documents of a file, pods and what their containers are told.
#
#   Manifests->skip_unless_parsed;                    # leaves the test, loudly, where no YAML parser is installed
#   my @objects = Manifests::objects('traditional/data-statefulset.yaml');   # of deploy/manifests, or an absolute path
#   my @objects = Manifests::parse($text);
#   my $pod = Manifests::pod($object);                # the template of a Deployment or StatefulSet, undef of others
#   my %env = Manifests::environment($pod, name => 'a-0', ip => '10.0.0.1', namespace => 'quidditch');
#   my %known = Manifests::variables();               # variables that the product reads, from its tables
use strict;
use warnings;
use QdNode;
use Test::More ();

my $top = QdNode::top();
my $has = eval { require YAML::XS; 1 };

sub skip_unless_parsed {
    return if $has;
    my $why = 'SKIPPED: there is no YAML::XS: deploy/install-packages test';
    print STDERR "$why\n";
    Test::More::plan(skip_all => $why);
}
sub parse {
    my ($text) = @_;
    return grep { ref } YAML::XS::Load($text);
}
sub objects {
    my ($file) = @_;
    $file = "$top/deploy/manifests/$file" unless $file =~ m{^/};
    my @o = eval { parse(QdNode::slurp($file)) };
    die "$file: $@" if $@;
    return @o;
}
sub named {
    my ($kind, $name, @objects) = @_;
    return (grep { $_->{kind} eq $kind && $_->{metadata}{name} eq $name } @objects)[0];
}
sub pod { my ($o) = @_; return $o->{kind} =~ /^(Deployment|StatefulSet)$/ ? $o->{spec}{template} : undef }

# As a kubelet fills it in: fields of the pod, then $(NAME) of variables above.
sub environment {
    my ($pod, %o) = @_;
    my %field = ('metadata.name' => $o{name}, 'status.podIP' => $o{ip}, 'metadata.namespace' => $o{namespace} || 'quidditch');
    my %env;
    for my $e (@{$pod->{spec}{containers}[0]{env}}) {
        my $value = $e->{value} // $field{$e->{valueFrom}{fieldRef}{fieldPath} // ''};
        die "$e->{name}: no such field\n" unless defined $value;
        $value =~ s/\$\((\w+)\)/$env{$1} \/\/ "\$($1)"/ge;
        $env{$e->{name}} = $value;
    }
    return %env;
}

sub variables {
    my %known = (QUIDDITCH_ROLE => 1);
    my $tables = join '', map { QdNode::slurp("$top/core/config/$_.def") } qw(environment node_settings);
    $known{$1} = 1 while $tables =~ /^QD_(?:ENVIRONMENT\(|SETTING\(\w+, )"([^"]+)"/mg;
    return %known;
}
1;
