#!/usr/bin/perl
# 014_bench_bodies.t: what `make bench` asks of rows: generated logs and rides, bodies by
# gen_bodies.pl, and the answers of `qd bench search --mapping` against a reading of the rows in Perl.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use JSON::PP qw(decode_json);
use QdNode;
use Test::More;

my $qd = "$QdNode::OUT/bin/qd";
my $bench = "$FindBin::Bin/../bench";
my $dir = tempdir('qd-bodies-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $cc = $ENV{CC} // 'cc';
sub sh { my ($what) = @_; my $out = `$what`; is($? >> 8, 0, $what =~ s{\S*/}{}gr) or BAIL_OUT($out); return $out }

sub matches { # does a row match a query of the bench?
    my ($q, $r) = @_;
    my ($name) = keys %$q;
    if ($name eq 'match_all') { return 1 }
    if ($name eq 'bool') {
        my @c = map { @{ $q->{bool}{$_} // [] } } qw(must filter);
        return !grep { !matches($_, $r) } @c;
    }
    my ($field) = keys %{ $q->{$name} };
    my ($v, $x) = ($r->{$field}, $q->{$name}{$field});
    return $v eq $x if $name eq 'term';
    return scalar grep { $_ eq $x } split /[^a-z0-9.]+/, lc($v) =~ s/(?<![a-z])\.(?=[a-z])|(?<=[a-z])\.(?![a-z])/ /gr if $name eq 'match'; # UAX #29
    return index($v, $x->{value}) == 0 if $name eq 'prefix';
    if ($name eq 'wildcard') { my $p = join '.*', map { quotemeta } split /\*/, $x->{value}, -1; return $v =~ /^$p$/ }
    return (!defined $x->{gte} || $v >= $x->{gte}) && (!defined $x->{lt} || $v < $x->{lt}) if $name eq 'range';
    die "query $name";
}

sub aggregated { # the answer of an aggregation over rows
    my ($agg, @rows) = @_;
    if (my $s = $agg->{stats}) {
        my @v = sort { $a <=> $b } map { $_->{ $s->{field} } } @rows;
        my $sum = 0;
        $sum += $_ for @v;
        return { count => scalar @v, min => $v[0], max => $v[-1], sum => $sum };
    }
    my (%n, %sum);
    my ($t, $h) = @$agg{qw(terms date_histogram)};
    my $below = $agg->{aggs} ? $agg->{aggs}{b}{avg}{field} : undef;
    my $step = $h ? $h->{fixed_interval} =~ /h/ ? 3_600_000 : 86_400_000 : 0;
    for my $r (@rows) {
        my $k = $h ? int($r->{ $h->{field} } / $step) * $step : $r->{ $t->{field} };
        $n{$k}++;
        $sum{$k} += $r->{$below} if $below;
    }
    my @k = $h ? sort { $a <=> $b } keys %n : sort { $n{$b} <=> $n{$a} || ($a =~ /^\d+$/ && $b =~ /^\d+$/ ? $a <=> $b : $a cmp $b) } keys %n;
    splice @k, 10 if $t && @k > 10;
    return [ map { [ $_, $n{$_}, $below ? $sum{$_} / $n{$_} : () ] } @k ];
}

sub near { my ($x, $y) = @_; return abs($x - $y) <= 1e-9 * (abs($x) + 1e-9) }
sub same { # answers of an aggregation
    my ($got, $want) = @_;
    return !grep { !near($got->{$_}, $want->{$_}) } keys %$want if ref $want eq 'HASH';
    my @b = grep { $_->{doc_count} } @{ $got->{buckets} };
    return 0 if @b != @$want;
    for my $i (0 .. $#b) {
        my ($k, $n, $avg) = @{ $want->[$i] };
        return 0 if $b[$i]{key} ne $k || $b[$i]{doc_count} != $n || (defined $avg && !near($b[$i]{b}{value}, $avg));
    }
    return 1;
}

sh("$cc -O1 -o $dir/gen_rows $bench/gen_rows.c -lm");
for my $kind (qw(logs taxi)) {
    sh("$dir/gen_rows $kind 3000 7 > $dir/$kind.jsonl");
    sh("$^X $bench/gen_bodies.pl $kind $dir/$kind.jsonl 4 3 > $dir/$kind.tsv");
    my @rows = map { decode_json($_) } split /\n/, QdNode::slurp("$dir/$kind.jsonl");
    my $map = "--mapping $bench/mappings/$kind.json";
    for my $merge ('--merge', '--refresh-ms 1 --bulk 200') {
        sh("$qd bench index --in $dir/$kind.jsonl --index $dir/i --es-append $merge $map 2>$dir/err");
        sh("$qd bench search --index $dir/i --queries $dir/$kind.tsv $map --cmds TOP_10,COUNT,AGGS --rounds 1 --warm-sec 0 --out $dir/out 2>$dir/err");
        my (%n, @bad);
        for (split /\n/, QdNode::slurp("$dir/out")) {
            my ($cmd, $class, $body, $hits, undef, undef, undef, $list) = split /\t/;
            my $q = decode_json($body);
            my @hit = grep { matches($q->{query} // { match_all => {} }, $_) } @rows;
            my $good = $cmd eq 'COUNT' ? $hits == @hit : 1;
            if ($cmd eq 'AGGS') { $good = same(decode_json($list)->{a}, aggregated($q->{aggs}{a}, @hit)) }
            elsif ($cmd eq 'TOP_10' && $q->{sort}) {
                my ($f) = keys %{ $q->{sort}[0] };
                my @v = sort { $a <=> $b } map { $_->{$f} } @hit;
                @v = reverse @v if $q->{sort}[0]{$f}{order} eq 'desc';
                splice @v, 10 if @v > 10;
                my @got = map { s/^.*://r } split / /, $list // '';
                $good = @got == @v && !grep { !near($got[$_], $v[$_]) } 0 .. $#v;
            }
            $n{"$cmd $class"}++;
            push @bad, "$cmd $class $body: $hits of " . @hit . ' ' . ($list // '') if !$good;
        }
        ok(!@bad, "$kind, $merge: all answers are those of the rows") or diag join "\n", @bad[0 .. ($#bad < 4 ? $#bad : 4)];
        cmp_ok(scalar(keys %n), '>', 20, scalar(keys %n) . ' classes');
    }
}
is(system("$qd bench index --in $dir/logs.jsonl --index $dir/i --mapping $bench/mappings/logs.json 2>$dir/err") >> 8, 64, 'a mapping without the engine is refused');
like(QdNode::slurp("$dir/err"), qr/--mapping needs --es/, 'and why is told');
is(system("$qd bench index --in $dir/logs.jsonl --index $dir/i --es-append --freqs --mapping $bench/mappings/logs.json 2>$dir/err") >> 8, 64, 'so is one with --freqs, of which nothing would come');
like(QdNode::slurp("$dir/err"), qr/--freqs is not for --mapping/, 'and why is told');
open my $bad, '>', "$dir/bad.tsv" or die;
print $bad qq(x\t{"query":{"match_all":{}},"rescore":{}}\n);
close $bad;
sh("$qd bench index --in $dir/logs.jsonl --index $dir/i --es-append --limit 50 --mapping $bench/mappings/logs.json 2>$dir/err");
isnt(system("$qd bench search --index $dir/i --queries $dir/bad.tsv --mapping $bench/mappings/logs.json 2>$dir/err"), 0, 'a member that the bench does not know is refused');
like(QdNode::slurp("$dir/err"), qr/unknown member \[rescore\]/, 'by name');
done_testing();
