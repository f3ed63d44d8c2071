# Corpora.pm: the documents and queries of the bench, made below its folder when they are asked for.
package Corpora;
use strict;
use warnings;
use JSON::PP;
use Parts qw(slurp spew run);

# queries: of a class; limit: of documents of the machine's catalogue (undef: all).
sub new { my ($class, $dir, $queries, $limit) = @_; return bless { dir => $dir, queries => $queries, limit => $limit }, $class }

sub program { # compiled from tests/bench
    my ($s, $name) = @_;
    my $cc = $ENV{CC} // 'gcc';
    run("$cc -std=c17 -D_GNU_SOURCE -O2 -o $s->{dir}/$name tests/bench/$name.c -lm");
    return "$s->{dir}/$name";
}

sub made { # a file by a command, unless it is there
    my ($s, $file, $command) = @_;
    run("$command 2>$file.err > $file.part && mv $file.part $file") unless -s $file;
    return $file;
}

sub generated { my ($s, $n) = @_; return $s->made("$s->{dir}/corpus-$n.jsonl", $s->program('gen_corpus') . " $n 42") }
sub rows { my ($s, $kind, $n) = @_; return $s->made("$s->{dir}/$kind-$n.jsonl", $s->program('gen_rows') . " $kind $n 42") }

# The package catalogue as {"id","title","body"}: body is the description with maintainer and section.
sub catalogue {
    my ($s) = @_;
    my $file = "$s->{dir}/catalogue.jsonl";
    return $file if -s $file;
    open my $in, '-|', 'apt-cache dumpavail' or return undef;
    open my $out, '>:raw', "$file.part" or die "$file.part: $!\n";
    my $json = JSON::PP->new->utf8->canonical;
    local $/ = '';
    my $n = 0;
    while (my $p = <$in>) {
        utf8::decode($p);
        my %f;
        my $key = '';
        for my $line (split /\n/, $p) {
            if ($line =~ /^([A-Za-z0-9-]+): ?(.*)/) { $key = $1; $f{$key} = $2 }
            elsif ($line =~ /^ (.*)/ && $key) { $f{$key} .= "\n$1" }
        }
        next unless $f{Package} && $f{Description};
        print $out $json->encode({ id => "" . $n++, title => $f{Package},
            body => join("\n", map { $f{$_} // '' } qw(Package Section Maintainer Description Depends)) }), "\n";
        last if $s->{limit} && $n == $s->{limit};
    }
    close $out;
    return undef unless $n;
    rename "$file.part", $file;
    return $file;
}

# The first n documents of a corpus.
sub head {
    my ($s, $corpus, $n) = @_;
    (my $file = $corpus) =~ s/\.jsonl$/.head-$n.jsonl/ or die "$corpus: no .jsonl\n";
    return $s->made($file, "head -n $n $corpus");
}

# --- queries --------------------------------------------------------------------------------------------

# Words of gen_queries, and search bodies of them (gen_bodies.pl); `few`: some classes of words alone.
sub word_queries {
    my ($s, $corpus, $few) = @_;
    (my $base = $corpus) =~ s/\.jsonl$//;
    my ($n, $bodies) = $few ? (int($s->{queries} / 4) || 1, 0) : ($s->{queries}, int($s->{queries} / 5) || 1);
    run($s->program('gen_queries') . " $corpus $n 1 2>$base.words.err > $base.words.tsv");
    my @some = qw(term_high term_med and2_hh and2_hm or2_hh or2_hm or5_hhmml phrase2 mix_req_opt);
    my $keep = join '|', @some;
    if ($few) { spew("$base.queries.tsv", join '', grep { /^(?:$keep)\t/ } split /^/m, slurp("$base.words.tsv")) }
    else { run("$^X tests/bench/gen_bodies.pl text $base.words.tsv $bodies > $base.bodies.tsv && cat $base.words.tsv $base.bodies.tsv > $base.queries.tsv") }
    return $s->described($corpus, "$base.queries.tsv");
}

# Exact phrases alone, as search bodies.
sub phrase_queries {
    my ($s, $corpus) = @_;
    my $c = $s->word_queries($corpus);
    (my $file = $c->{queries}) =~ s/\.queries\.tsv$/.phrases.tsv/;
    spew($file, join '', grep { /^phrase\w*\t\{/ } split /^/m, slurp($c->{queries}));
    return $s->described($corpus, $file);
}

sub row_queries {
    my ($s, $kind, $corpus) = @_;
    (my $file = $corpus) =~ s/\.jsonl$/.queries.tsv/;
    my $n = int($s->{queries} / 5) || 1;
    run("$^X tests/bench/gen_bodies.pl $kind $corpus $n > $file");
    return $s->described($corpus, $file);
}

sub described {
    my ($s, $corpus, $queries) = @_;
    my %class = map { (split /\t/)[0] => 1 } $queries ? split /\n/, slurp($queries) : ();
    return { corpus => $corpus, queries => $queries, classes => scalar keys %class, bytes => -s $corpus, docs => 0 + `wc -l < $corpus` };
}

1;
