# A flipped bit in any file of ours while the node is down is reported with file and offset, and never
# served: documents come back right or not at all. FLIPS: in each file (1; 20 in the long suite). What of libraft's own files is not protected, docs/format.md says.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;

my $flips = $ENV{FLIPS} || 1;
my $seed  = $ENV{SEED} || 1;
diag("SEED=$seed") if $ENV{SEED};
srand $seed;
my $docs = 120;
my $node = QdNode->new('flip', settings => { 'storage.reserve' => '0' });
my $data = "$node->{dir}/data";

sub text { "the text of document $_[0] " . 'x' x ($_[0] * 7 % 50) }
sub index_docs {
    my ($from, $to) = @_;
    my $r = $node->post('/docs/_bulk', join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_,"t":"@{[text($_)]}"}\n) } $from .. $to);
    is($r->{json}{errors} ? 1 : 0, 0, "documents $from to $to");
}

$node->start;
$node->put('/docs', { settings => { number_of_shards => 1, 'refresh_interval' => '-1' } });
index_docs(1, 60);
$node->post('/docs/_flush');
index_docs(30, 90);    # live documents of the first segment
$node->post('/docs/_flush');
index_docs(91, $docs); # in the translog only
$node->kill9;
system("cp -a $data $node->{dir}/whole") == 0 or die;

sub flip {
    my ($file, $offset, $mask) = @_;
    open my $f, '+<:raw', $file or die "$file: $!";
    seek $f, $offset, 0;
    read $f, my $byte, 1;
    seek $f, $offset, 0;
    print $f chr(ord($byte) ^ $mask);
    close $f;
}

# Everything that the node and the tool say about the damaged folder; and what was served wrongly.
sub look {
    my ($served) = @_;
    my $said = '';
    my ($rc, $out) = $node->run_qd('segment', 'check', $data);
    $said .= $out if $rc;
    $node->launch;
    my $up = $node->wait_for(sub { $node->log_text =~ /\bstarted in \d+ ms/ }, 20);
    if ($up) {
        $node->wait_for(sub { ($node->get('/_cluster/health')->{json}{status} // '') ne 'red' }, 1);
        my $r = $node->post('/docs/_mget', { ids => [1 .. $docs] });
        $said .= $r->{content} if !$r->{json}{docs};
        for my $d (@{ $r->{json}{docs} || [] }) {
            $said .= $d->{error}{reason} // '' if $d->{error};
            my $ok = $d->{error} || ($d->{found} && $d->{_source}{t} eq text($d->{_id}) && $d->{_source}{n} == $d->{_id});
            push @$served, "$d->{_id}: " . JSON::PP->new->canonical->encode($d) unless $ok;
        }
        push @$served, 'the index is gone' if $r->{status} == 404;
    }
    $node->kill9 if $node->{pid};
    return $said . $node->stderr_text . $node->log_text;
}

my $raft = qr{/coordination/raft/};
my %unprotected; # libraft checks its entries by CRC; the rest of a preallocated segment is nobody's
for my $file (sort split /\n/, `cd $data && find . -type f -size +0c`) {
    next if $file =~ m{/(lock|node\.lock|reserve|\.reserve)$};
    my $bad = 0;
    for my $n (1 .. $flips) {
        system("rm -rf $data && cp -a $node->{dir}/whole $data") == 0 or die;
        my $offset = int rand -s "$data/$file";
        my $mask = 1 << int rand 8;
        unlink "$node->{dir}/stderr";
        flip("$data/$file", $offset, $mask);
        my @served;
        my $said = look(\@served);
        (my $name = $file) =~ s{.*/}{};
        my $reported = $said =~ /\Q$name\E/ && $said =~ /offset|line|row|key/i;
        if (@served || (!$reported && $file !~ $raft && $file !~ /state\.db/)) {
            $bad++;
            diag("$file offset $offset mask $mask: ", @served ? "served $served[0]" : 'not reported');
            diag(join '', grep { /WARN|ERROR|FATAL/ } split /^/, $said) if $bad == 1;
        }
    }
    is($bad, 0, "$file: $flips flips");
}
system("rm -rf $data && cp -a $node->{dir}/whole $data");
$node->start;
is(scalar(grep { $_->{found} } @{ $node->post('/docs/_mget', { ids => [1 .. $docs] })->{json}{docs} }), $docs, 'without a flip all is well');
$node->stop;
done_testing;
