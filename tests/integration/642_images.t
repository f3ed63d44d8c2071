#!/usr/bin/perl
# 642_images.t: deploy/docker: the targets of the Dockerfile are what the manifests ask for, their roles and ports those of
# the product, their libraries those that the programs need. tests/long/105_images.t builds and runs them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Manifests;
use QdNode;
use Test::More;

Manifests->skip_unless_parsed;
my $top = QdNode::top();
my $dockerfile = QdNode::slurp("$top/deploy/docker/Dockerfile");
my %target;
for my $stage (split /^(?=FROM )/m, $dockerfile) {
    my ($name) = $stage =~ /^FROM runtime AS (\S+)/ or next;
    $target{$name} = {role => $stage =~ /^ENV QUIDDITCH_ROLE=(\S+)/m, ports => [sort $stage =~ /(\b\d{4}\b)/g]};
    is_deeply([grep { /\S/ && !/^(FROM|ENV QUIDDITCH_ROLE=|EXPOSE) ?/ } split /\n/, $stage], [], "$name: sets its role and nothing else");
}
is_deeply([sort keys %target], [qw(coordination coordination-k8s data master)], 'four targets');

my %asked;
for my $file (glob "'$top'/deploy/manifests/*/*.yaml") {
    next if $file =~ m{/(?:overlays|patterns|samples)/|kustomization};
    for my $c (map { my $p = Manifests::pod($_); $p ? $p->{spec}{containers}[0] : () } Manifests::objects($file)) {
        my ($name) = $c->{image} =~ m{^quidditch/([\w-]+):} or next;
        $asked{$name} = 1;
        is_deeply([sort map { $_->{containerPort} } @{$c->{ports}}], $target{$name}{ports}, "$name of " . $file =~ s{.*/manifests/}{}r . ': its ports');
    }
}
is_deeply([sort keys %asked], [sort keys %target], 'the manifests ask for all of them');
for my $name (sort keys %target) {
    my $out = `QUIDDITCH_ROLE=$target{$name}{role} USE_K8S_COORDINATION=false MASTER_ADDRESSES=localhost:9301 @{[QdNode::daemon()]} --check-config 2>&1`;
    like($out, qr/^the settings are valid/, "$name: quidditchd knows its role");
}
unlike($dockerfile, qr/^USER (?:0|root)/m, 'nothing runs as root');
like($dockerfile, qr/^FROM \S+ AS runtime\n(?:(?!^FROM ).*\n)*^ENV QUIDDITCH_CONTAINER=1$/m, 'all log as containers do');

# Libraries that are linked directly come with packages.txt, or with its dependencies' own.
SKIP: {
    skip 'SKIPPED: this is no Debian', 1 if system('command -v dpkg >/dev/null && command -v objdump >/dev/null') != 0;
    my %package = map { $_ => 1 } grep { !/^#/ } split /\n/, QdNode::slurp("$top/deploy/docker/packages.txt");
    my @missing;
    for my $file (glob("$QdNode::OUT/bin/q*"), glob "$QdNode::OUT/lib/quidditch/plugins/*.so") {
        for my $library (`objdump -p '$file'` =~ /NEEDED\s+(\S+)/g) {
            my ($path) = `ldd '$file'` =~ /^\s*\Q$library\E => (\S+)/m or next;
            my $real = `readlink -f '$path'` =~ s/\n//r;
            my ($owner) = map { `dpkg -S '$_' 2>/dev/null` =~ /^([\w.+-]+)/ ? $1 : () } $path, $real, $real =~ s{^/usr}{}r;
            next if !$owner || $owner =~ /^(libc6|libgcc-s1)$/ || $package{$owner};
            push @missing, "$library of $owner";
        }
    }
    is_deeply(\@missing, [], 'packages.txt has each library that is linked');
}
done_testing;
