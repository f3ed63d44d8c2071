# A flipped bit in any file of ours while the node is down is reported with file and place, and never
# served: documents, settings and aliases come back right or not at all. In the folder of a node that
# was killed, and of one that was stopped. FLIPS: in each file (1; 20 in the long suite); FLIP_FILES: a
# pattern, only these. Of SQLite's copy of the state, which is made again from the log, a flip in bytes
# that nothing reads may go unsaid.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use QdNode;

my $flips = $ENV{FLIPS} || 1;
my $seed  = $ENV{SEED} || 1;
my $only  = $ENV{FLIP_FILES} // '.';
diag("SEED=$seed") if $ENV{SEED};
srand $seed;
my $docs = 120;
my $node = QdNode->new('flip', settings => {'storage.reserve' => '0', 'coordination.snapshot_threshold' => 16});
my $data = "$node->{dir}/data";
my $json = JSON::PP->new->canonical;

sub text { "the text of document $_[0] " . 'x' x ($_[0] * 7 % 50) }
sub index_docs {
    my ($from, $to) = @_;
    my $r = $node->post('/docs/_bulk', join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_,"t":"@{[text($_)]}"}\n) } $from .. $to);
    is($r->{json}{errors} ? 1 : 0, 0, "documents $from to $to");
}

# What the coordination store holds, as people see it. A refusal is no answer: it is asked again.
sub settings_seen {
    my @all;
    for my $path ('/docs/_mapping', '/docs/_settings', '/_alias', '/_cluster/settings', '/_template') {
        my $r;
        $node->wait_for(sub { ($r = $node->get($path))->{status} < 500 }, 60);
        push @all, $r->{status} < 500 ? $r->{json} : "$path: $r->{status} $r->{content}";
    }
    return $json->encode(\@all);
}

my %whole;
$node->start;
$node->put('/docs', {settings => {number_of_shards => 1, 'refresh_interval' => '-1'}, aliases => {other => {}}});
$node->put('/_cluster/settings', {persistent => {'search.max_buckets' => 12345}});
$node->put('/_template/t', {index_patterns => ['x*'], settings => {number_of_shards => 2}});
index_docs(1, 60);
$node->post('/docs/_flush');
index_docs(30, 90);    # live documents of the first segment
$node->post('/docs/_flush');
index_docs(91, $docs); # in the translog only
my $seen = settings_seen();
$node->kill9;
system("cp -a $data $node->{dir}/killed") == 0 or die;
$node->start;
is(settings_seen(), $seen, 'without a flip all is well after a kill');
$node->stop;
system("cp -a $data $node->{dir}/stopped") == 0 or die;

sub slurp { open my $f, '<:raw', $_[0] or die "$_[0]: $!"; local $/; my $t = <$f>; $t // '' }

# An offset to flip: three of four where something is written, for most of a preallocated file is zeros.
sub place {
    my ($file) = @_;
    my $bytes = slurp($file);
    return int rand length $bytes if rand() < 0.25;
    my @set = grep { substr($bytes, $_ * 64, 64) =~ /[^\0]/ } 0 .. int((length($bytes) - 1) / 64);
    return int rand length $bytes unless @set;
    my $at = 64 * $set[rand @set] + int rand 64;
    return $at < length $bytes ? $at : length($bytes) - 1;
}

sub flip {
    my ($file, $offset, $mask) = @_;
    open my $f, '+<:raw', $file or die "$file: $!";
    seek $f, $offset, 0;
    read $f, my $byte, 1;
    seek $f, $offset, 0;
    print $f chr(ord($byte) ^ $mask);
    close $f;
}

# Everything that the node and the tool say about the damaged folder; and what was served wrongly. A
# file that must be named is waited for: what tells of it may be on its way.
sub look {
    my ($served, $name) = @_;
    my $said = '';
    my $told = sub { $said . $node->stderr_text . $node->log_text };
    my ($rc, $out) = $node->run_qd('segment', 'check', $data);
    $said .= $out if $rc;
    $node->launch;
    my $up = $node->wait_for(sub { $node->log_text =~ /\bstarted in \d+ ms/ }, 60);
    if ($up) {
        $node->wait_for(sub {
            my $status = $node->get('/_cluster/health')->{json}{status} // '';
            $status eq 'green' || $status eq 'yellow' || reported($told->(), $name);
        }, 60);
        my $r = $node->post('/docs/_mget', {ids => [1 .. $docs]});
        $said .= $r->{content} if !$r->{json}{docs};
        for my $d (@{$r->{json}{docs} || []}) {
            $said .= $d->{error}{reason} // '' if $d->{error};
            my $ok = $d->{error} || ($d->{found} && $d->{_source}{t} eq text($d->{_id}) && $d->{_source}{n} == $d->{_id});
            push @$served, "$d->{_id}: " . $json->encode($d) unless $ok;
        }
        push @$served, 'the index is gone' if $r->{status} == 404;
        my $now = settings_seen();
        push @$served, "settings are $now" if $now ne $seen;
        $node->wait_for(sub { reported($told->(), $name) }, 20) unless $name =~ m{^state\.db};
    }
    $node->kill9 if $node->{pid};
    return $told->();
}

sub reported { my ($said, $name) = @_; return $said =~ /\Q$name\E/ && $said =~ /offset|line|row|key|byte/i }

for my $how (qw(killed stopped)) {
    my $from = "$node->{dir}/$how";
    for my $file (sort split /\n/, `cd $from && find . -type f -size +0c`) {
        # a spare segment holds nothing: it is written anew before it is used
        next if $file =~ m{/(lock|node\.lock|reserve|\.reserve|spare)$} || $file !~ /$only/;
        my $bad = 0;
        for my $n (1 .. $flips) {
            system("rm -rf $data && cp -a $from $data") == 0 or die;
            my $offset = place("$data/$file");
            my $mask = 1 << int rand 8;
            unlink "$node->{dir}/stderr";
            flip("$data/$file", $offset, $mask);
            my @served;
            (my $name = $file) =~ s{.*/}{};
            $name =~ s/-wal$//;
            my $said = look(\@served, $name);
            my $reported = reported($said, $name);
            if (@served || (!$reported && $name !~ m{^state\.db})) {
                $bad++;
                diag("$how $file offset $offset mask $mask: ", @served ? "served $served[0]" : 'not reported');
                diag(join '', grep { /WARN|ERROR|FATAL/ } split /^/, $said) if $bad == 1;
            }
        }
        is($bad, 0, "$how, $file: $flips flips");
    }
}
done_testing;
