#!/usr/bin/perl
# gen_bodies.pl: search bodies for the bench, CLASS<TAB>JSON a line: what words alone cannot say.
#
#   gen_bodies.pl text QUERIES.tsv N [SEED]     of the words of gen_queries
#   gen_bodies.pl logs|taxi CORPUS.jsonl N [SEED]   of rows of gen_rows
#
# N of a class. Values come from the corpus, so that no query is empty; bodies are a subset of the query
# DSL that tests/bench/peers/lucene/Bodies.java reads too.
use strict;
use warnings;
use JSON::PP;

my ($kind, $file, $n, $seed) = @ARGV;
die "usage: gen_bodies.pl text|logs|taxi FILE N [SEED]\n" unless defined $n && $kind =~ /^(?:text|logs|taxi)$/;
srand($seed // 1);
my $json = JSON::PP->new->canonical;
sub out { my ($class, $body) = @_; print "$class\t", $json->encode($body), "\n" }
sub any { return $_[int rand @_] }

sub lines_of {
    open my $f, '<', $file or die "$file: $!\n";
    my @l = <$f>;
    chomp @l;
    return @l;
}

# --- words ----------------------------------------------------------------------------------------------

sub misspelt { # by one edit: a letter changed, dropped, doubled, or two swapped
    my ($w) = @_;
    my $i = 1 + int rand(length($w) - 2);
    my $how = int rand 4;
    if ($how == 0) { substr($w, $i, 1) = chr(ord('a') + int rand 26) }
    elsif ($how == 1) { substr($w, $i, 1) = '' }
    elsif ($how == 2) { substr($w, $i, 0) = substr($w, $i, 1) }
    else { substr($w, $i, 2) = reverse substr($w, $i, 2) }
    return $w;
}

sub text {
    my %of;
    for (lines_of()) { my ($class, $q) = split /\t/; push @{ $of{$class} }, $q }
    my @words = grep { length >= 5 } map { @{ $of{$_} // [] } } qw(term_med term_low);
    my @common = grep { length >= 4 } map { @{ $of{$_} // [] } } qw(term_high term_med);
    my @phrases = map { s/"//gr } map { @{ $of{$_} // [] } } qw(phrase2 phrase2_hh);
    die "$file: too few words\n" unless @words && @common && @phrases;
    for (1 .. $n) {
        my @w = split / /, any(@phrases);
        @w = reverse @w if rand() < 0.3;
        out('sloppy2', { query => { match_phrase => { body => { query => "@w", slop => 2 } } } });
    }
    out('prefix', { query => { prefix => { body => { value => substr(any(@common), 0, 3) } } } }) for 1 .. $n;
    for (1 .. $n) {
        my $w = any(@words);
        my $p = rand() < 0.5 ? substr($w, 0, 2) . '*' . substr($w, -2) : substr($w, 0, 1) . '?' . substr($w, 2, 1) . '*';
        out('wildcard', { query => { wildcard => { body => { value => $p } } } });
    }
    out('fuzzy1', { query => { fuzzy => { body => { value => misspelt(any(@words)), fuzziness => '1' } } } }) for 1 .. $n;
    out('fuzzy2', { query => { fuzzy => { body => { value => misspelt(misspelt(any(@words))), fuzziness => '2' } } } }) for 1 .. $n;
    # exact phrases: also for mappings/text_pairs.json, whose pairs of words are indexed
    for my $class (qw(phrase2 phrase2_hh phrase3)) {
        my @p = map { s/"//gr } @{ $of{$class} // [] } or next;
        out($class, { query => { match_phrase => { body => { query => any(@p) } } } }) for 1 .. $n;
    }
}

# --- rows -----------------------------------------------------------------------------------------------

my @row;
sub row { return $row[int rand @row] }
sub between { # two values of a column from rows that lie about $share of the sorted column apart
    my ($sorted, $share) = @_;
    my $w = int(@$sorted * $share * (0.5 + rand()));
    my $at = int rand(@$sorted - $w);
    return { gte => $sorted->[$at], lt => $sorted->[$at + $w] };
}
sub column { my ($name) = @_; return [sort { $a <=> $b } map { $_->{$name} } @row] }

sub aggs { # the same aggregation over everything, and under filters
    my ($class, $agg, $some, $half) = @_;
    out("agg_$class", { size => 0, aggs => { a => $agg } });
    for my $f ([ten => $some], [half => $half]) {
        out("agg_$class" . "_$f->[0]", { size => 0, query => { bool => { filter => [$f->[1]->()] } }, aggs => { a => $agg } }) for 1 .. $n;
    }
}

sub logs {
    my ($time, $bytes) = (column('@timestamp'), column('bytes'));
    my $word = sub { my @w = grep { /^[a-z]{4,}/ } split /[^a-z0-9]+/, lc row()->{request}; return any(@w) };
    my $near = sub { my ($share) = @_; return { range => { '@timestamp' => between($time, $share) } } };
    my %make = (
        match_filter_kw => sub { { query => { bool => { must => [{ match => { request => $word->() } }], filter => [{ term => { agent => row()->{agent} } }] } } } },
        match_filter_range => sub { { query => { bool => { must => [{ match => { request => $word->() } }], filter => [$near->(0.1)] } } } },
        filter_kw_range => sub { { query => { bool => { filter => [{ term => { clientip => row()->{clientip} } }, $near->(0.3)] } } } },
        term_kw => sub { { query => { term => { url => row()->{url} } } } },
        range_time => sub { { query => $near->(0.02) } },
        range_time_wide => sub { { query => $near->(0.4) } },
        range_bytes => sub { { query => { range => { bytes => between($bytes, 0.02) } } } },
        range_bytes_wide => sub { { query => { range => { bytes => between($bytes, 0.4) } } } },
        prefix_kw => sub { { query => { prefix => { url => { value => row()->{url} =~ s/\d.*//r } } } } },
        wildcard_kw => sub { my @p = split m{/}, row()->{url}; { query => { wildcard => { url => { value => "/$p[1]/*" . substr($p[-1], -3) } } } } },
        sort_time => sub { { query => { match_all => {} }, sort => [{ '@timestamp' => { order => any(qw(asc desc)) } }] } },
        sort_time_match => sub { { query => { match => { request => $word->() } }, sort => [{ '@timestamp' => { order => 'desc' } }] } },
        sort_bytes => sub { { query => { term => { status => row()->{status} } }, sort => [{ bytes => { order => any(qw(asc desc)) } }] } },
        sort_bytes_range => sub { { query => $near->(0.2), sort => [{ bytes => { order => 'desc' } }] } },
    );
    for my $class (sort keys %make) { out($class, $make{$class}->()) for 1 .. $n }
    my ($ten, $half) = (sub { $near->(0.1) }, sub { return { range => { bytes => { gte => $bytes->[int(@$bytes * 0.5)] } } } });
    aggs(terms_low => { terms => { field => 'agent' } }, $ten, $half);
    aggs(terms_high => { terms => { field => 'clientip' } }, $ten, $half);
    aggs(terms_number => { terms => { field => 'status' } }, $ten, $half);
    aggs(hours => { date_histogram => { field => '@timestamp', fixed_interval => '1h' } }, $ten, $half);
    aggs(stats => { stats => { field => 'bytes' } }, $ten, $half);
    aggs(terms_avg => { terms => { field => 'agent' }, aggs => { b => { avg => { field => 'bytes' } } } }, $ten, $half);
}

sub taxi {
    my %sorted = map { $_ => column($_) } qw(pickup distance total);
    my $near = sub { my ($f, $share) = @_; return { range => { $f => between($sorted{$f}, $share) } } };
    my %make = (
        range_double => sub { { query => $near->('distance', 0.02) } },
        range_double_wide => sub { { query => $near->('distance', 0.4) } },
        two_ranges => sub { { query => { bool => { filter => [$near->('distance', 0.2), $near->('pickup', 0.2)] } } } },
        range_kw => sub { { query => { bool => { filter => [{ term => { zone => row()->{zone} } }, $near->('total', 0.1)] } } } },
        sort_double => sub { { query => { match_all => {} }, sort => [{ total => { order => any(qw(asc desc)) } }] } },
        sort_double_kw => sub { { query => { term => { zone => row()->{zone} } }, sort => [{ tip => { order => 'desc' } }] } },
    );
    for my $class (sort keys %make) { out($class, $make{$class}->()) for 1 .. $n }
    my ($ten, $half) = (sub { $near->('pickup', 0.1) }, sub { return { range => { distance => { gte => $sorted{distance}[int(@{ $sorted{distance} } * 0.5)] } } } });
    aggs(terms_low => { terms => { field => 'payment' } }, $ten, $half);
    aggs(days => { date_histogram => { field => 'pickup', fixed_interval => '1d' } }, $ten, $half);
    aggs(stats => { stats => { field => 'total' } }, $ten, $half);
    aggs(terms_avg => { terms => { field => 'zone' }, aggs => { b => { avg => { field => 'total' } } } }, $ten, $half);
}

if ($kind eq 'text') { text() }
else {
    my @l = lines_of();
    my $step = @l > 20000 ? @l / 20000 : 1; # a sample in the order of the file
    for (my $i = 0; $i < @l; $i += $step) { push @row, $json->decode($l[int $i]) }
    die "$file: too few rows\n" if @row < 100;
    $kind eq 'logs' ? logs() : taxi();
}
