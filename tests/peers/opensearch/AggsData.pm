package AggsData;
# AggsData.pm: documents, indices and random requests for the comparison of aggregations, from a
# seed; the same for every engine and machine.
use strict;
use warnings;

my $state = 1;
sub seed { $state = ($_[0] * 2654435761 + 12345) % 4294967296 || 1 }
# xorshift32
sub rnd {
    my ($n) = @_;
    $state ^= ($state << 13) & 0xffffffff;
    $state ^= $state >> 17;
    $state ^= ($state << 5) & 0xffffffff;
    $state &= 0xffffffff;
    return $state % $n;
}
sub pick { $_[rnd(scalar @_)] }
sub chance { rnd(100) < $_[0] }

# --- JSON, written with numbers as they are given -------------------------------------------------

sub json {
    my ($v) = @_;
    return 'null' unless defined $v;
    if (ref $v eq 'HASH')  { return '{' . join(',', map { quote($_) . ':' . json($v->{$_}) } sort keys %$v) . '}' }
    if (ref $v eq 'ARRAY') { return '[' . join(',', map { json($_) } @$v) . ']' }
    if (ref $v eq 'SCALAR') { return $$v }    # as it is: numbers, true, false
    return quote($v);
}
sub quote { my $s = shift; $s =~ s/(["\\])/\\$1/g; $s =~ s/([\x00-\x1f])/sprintf '\\u%04x', ord $1/ge; return "\"$s\"" }
sub n { my $v = shift; return \"$v" }
sub yes { \'true' }
sub nay { \'false' }

# --- indices --------------------------------------------------------------------------------------

my %properties = (
    k => {type => 'keyword'}, u => {type => 'keyword'}, m => {type => 'keyword'},
    l => {type => 'long'}, ml => {type => 'long'}, i => {type => 'integer'}, s => {type => 'short'}, y => {type => 'byte'},
    d => {type => 'double'}, md => {type => 'double'}, f => {type => 'float'}, b => {type => 'boolean'},
    t => {type => 'date'}, t2 => {type => 'date', format => 'yyyy-MM-dd'}, ip => {type => 'ip'}, mt => {type => 'date'},
    x => {type => 'text', fields => {raw => {type => 'keyword'}}}, big => {type => 'long'}, none => {type => 'keyword'},
    nonel => {type => 'long'},
);
# one: one shard, several segments; three: three shards; other: fewer fields, l as double
sub indices {
    my ($prefix) = @_;
    my %other = (k => $properties{k}, l => {type => 'double'}, t => $properties{t}, d => {type => 'float'}, i => {type => 'long'});
    my $settings = sub { {index => {number_of_shards => n($_[0]), number_of_replicas => n(0), refresh_interval => '-1'}} };
    return (
        {name => "${prefix}one",   body => {settings => $settings->(1), mappings => {properties => \%properties}}},
        {name => "${prefix}three", body => {settings => $settings->(3), mappings => {properties => \%properties}}},
        {name => "${prefix}other", body => {settings => $settings->(1), mappings => {properties => \%other}}},
        {name => "${prefix}empty", body => {settings => $settings->(1), mappings => {properties => \%properties}}},
    );
}

my @words = qw(alpha beta gamma delta epsilon zeta eta theta iota kappa Lambda mu Nu xi omicron pi);
sub date {
    # clock changes of several zones lie between: 2015-10-20 to 2016-04-10 mostly
    my $ms = 1445299200000 + rnd(172) * 86400000 + rnd(86400) * 1000 + (chance(50) ? 0 : rnd(1000));
    # negative epoch_millis are years to OpenSearch
    return sprintf '19%02d-%02d-%02dT%02d:30:00.%03dZ', 60 + rnd(9), 1 + rnd(12), 1 + rnd(28), rnd(24), rnd(1000) if chance(3);
    return n($ms);
}
sub document {
    my ($i) = @_;
    my %d = (u => sprintf('u%05d', rnd(3000)), i => n(rnd(20) - 5), x => join(' ', map { pick(@words) } 0 .. rnd(6)));
    $d{k} = $words[int(rnd(16) * rnd(16) / 16)] if chance(90);
    $d{m} = [map { pick(@words) } 1 .. 1 + rnd(4)] if chance(70);
    $d{l} = n(rnd(2000) - 500) if chance(90);
    my %ml = map { rnd(30) => 1 } 1 .. 1 + rnd(3);
    $d{ml} = [map { n($_) } sort { $a <=> $b } keys %ml] if chance(60);
    $d{s} = n(rnd(600) - 300) if chance(80);
    $d{y} = n(rnd(256) - 128) if chance(80);
    $d{d} = n(sprintf("%.*f", rnd(6), (rnd(2000000) - 1000000) / 1000) =~ s{^-(0(\.0*)?)$}{$1}r) if chance(90);    # no -0: an integer to Elasticsearch
    $d{md} = [map { n(sprintf '%.2f', rnd(10000) / 100) } 1 .. 1 + rnd(3)] if chance(50);
    $d{f} = n(sprintf '%.3f', rnd(10000) / 128) if chance(85);
    $d{b} = chance(60) ? yes : nay if chance(80);
    $d{t} = date() if chance(92);
    $d{mt} = [map { date() } 1 .. 1 + rnd(2)] if chance(40);
    $d{t2} = sprintf '20%02d-%02d-%02d', 10 + rnd(8), 1 + rnd(12), 1 + rnd(28) if chance(70);
    $d{ip} = chance(80) ? sprintf('10.%d.%d.%d', rnd(3), rnd(4), rnd(256)) : sprintf('2001:db8::%x', rnd(40)) if chance(75);
    $d{big} = n((chance(50) ? '' : '-') . (9007199254740990 + rnd(8)) . rnd(100)) if chance(40);
    return \%d;
}
# Bulk bodies: [index, body] pairs, each followed by a refresh, so that all engines have several segments.
sub bulks {
    my ($prefix, $docs) = @_;
    my @out;
    my $per = int($docs / 5) + 1;
    for my $at (0 .. 4) {
        my ($one, $three, $other) = ('', '', '');
        for my $i ($at * $per .. ($at + 1) * $per - 1) {
            last if $i >= $docs;
            my $d = document($i);
            delete $d->{k} if $at == 3 && chance(50);
            $one   .= "{\"index\":{\"_id\":\"$i\"}}\n" . json($d) . "\n";
            $three .= "{\"index\":{\"_id\":\"$i\"}}\n" . json($d) . "\n";
            next if $i % 4;
            my %o = map { $_ => $d->{$_} } grep { exists $d->{$_} } qw(k l t d i);
            $o{l} = n(sprintf '%.1f', rnd(1000) / 10) if $o{l};
            $other .= "{\"index\":{\"_id\":\"$i\"}}\n" . json(\%o) . "\n";
        }
        push @out, ["${prefix}one", $one], ["${prefix}three", $three], ["${prefix}other", $other];
    }
    # some go away again
    my $gone = join '', map { "{\"delete\":{\"_id\":\"" . $_ * 29 . "\"}}\n" } 0 .. int($docs / 29);
    push @out, ["${prefix}one", $gone], ["${prefix}three", $gone];
    return @out;
}

# --- requests -------------------------------------------------------------------------------------

my @numeric = qw(l ml i s y d md f big nonel);
my @whole = qw(l ml i s y b t);
my @zones = qw(Europe/Berlin America/New_York Asia/Kolkata +05:30 -08:00 Australia/Lord_Howe America/Sao_Paulo UTC Z Asia/Tehran
    Pacific/Apia Africa/Casablanca Antarctica/Troll);
my $next;
sub query {
    my $r = rnd(10);
    return {match_all => {}} if $r < 4;
    return {range => {l => {gte => n(rnd(600)), lt => n(600 + rnd(900))}}} if $r < 6;
    return {term => {k => pick(@words)}} if $r < 8;
    return {match => {x => pick(@words) . ' ' . pick(@words)}} if $r < 9;
    return {term => {k => 'nothing'}};
}
sub filter {
    return pick({term => {k => pick(@words)}}, {range => {i => {gte => n(rnd(10) - 3)}}}, {exists => {field => 'm'}}, {match_all => {}},
        {bool => {must_not => [{term => {b => yes}}]}}, {term => {m => pick(@words)}}, {range => {t => {gte => '2016-01-01'}}});
}
sub maybe_missing {
    my ($b, $f) = @_;
    return unless chance(15);
    $b->{missing} = $f =~ /^(k|u|m|none|x\.raw)$/ ? pick('N/A', 'alpha', 'zzz') : $f =~ /^m?t$/ ? '2016-01-05' : $f eq 't2' ? '2012-05-06'
        : $f eq 'b' ? yes : $f eq 'ip' ? '10.0.0.1' : n(pick(0, 7, -3, 12));
}
my @metrics = qw(avg sum min max stats extended_stats value_count cardinality percentiles top_hits);
sub metric {
    my ($type) = @_;
    $type ||= pick(@metrics);
    my $f = pick(@numeric, 't', 'b');
    # sums of longs beyond 2^53 are exact here, there they are not
    $f = 'l' if $f eq 'big' && $type =~ /^(avg|sum|stats|extended_stats)$/;
    my %b = (field => $f);
    if ($type eq 'value_count' || $type eq 'cardinality') {
        $b{field} = $f = pick(@numeric, qw(k u m t t2 b ip x.raw nope none));
        $b{precision_threshold} = n(pick(10, 100, 1000, 40000)) if $type eq 'cardinality' && chance(30);
    } elsif ($type eq 'top_hits') {
        %b = (size => n(1 + rnd(3)));
        $b{sort} = pick([{l => {order => pick('asc', 'desc')}}, {u => 'asc'}, {i => 'asc'}], [{u => 'desc'}, {d => {order => 'asc', missing => '_first'}}],
            [{t => {order => 'desc', missing => '_last'}}, {u => 'asc'}]);
        $b{_source} = pick(nay, 'k', ['l', 'u'], {includes => ['t*'], excludes => ['t2']});
        $b{from} = n(rnd(3)) if chance(30);
        $b{docvalue_fields} = ['l', {field => 't', format => 'yyyy/MM'}] if chance(15);
        $b{version} = yes if chance(10);
        $b{seq_no_primary_term} = yes if chance(5);
        return ($type, \%b);
    } elsif ($type eq 'percentiles') {
        $b{percents} = [map { n($_) } @{pick([50], [1, 50, 99], [25, '75.5', '99.9'], [0, 100])}] if chance(40);
        $b{keyed} = nay if chance(30);
    }
    maybe_missing(\%b, $f);
    $b{sigma} = n(pick(1, 3, '0.5')) if $type eq 'extended_stats' && chance(30);
    $b{format} = pick('0.00', '#,##0.0', '000') if $type =~ /^(avg|sum|min|max|stats|extended_stats|percentiles)$/ && $f =~ /^(l|d|i|f)$/ && chance(15);
    return ($type, \%b);
}
# An order by a metric below: puts that metric among the children.
sub order {
    my ($b, $subs, $type) = @_;
    my $r = rnd(10);
    return if $r < 4;
    my $dir = pick('asc', 'desc');
    if ($r < 6)     { $b->{order} = {_key => $dir} }
    elsif ($r == 6) { $b->{order} = {_count => $dir} }
    elsif ($r == 7) {
        $subs->{o1} = {avg => {field => pick(qw(l d i))}};
        $b->{order} = [{o1 => $dir}, {_count => 'desc'}];
    } elsif ($r == 8) {
        $subs->{o2} = {stats => {field => pick(qw(l d s))}};
        $b->{order} = {'o2.' . pick(qw(min max avg sum count)) => $dir};
    } else {
        $subs->{o3} = {filter => filter(), aggs => {v => {sum => {field => pick(qw(l i))}}}};
        $b->{order} = [{pick('o3>v', 'o3>v.value', 'o3.doc_count') => $dir}, {_key => 'desc'}];
    }
}
sub bucket {
    my ($depth) = @_;
    my $type = pick(qw(terms terms terms terms date_histogram date_histogram histogram histogram range filter filters missing));
    my (%b, %subs);
    if ($type eq 'terms') {
        my $f = $b{field} = pick(qw(k k u m l ml i s y d f b t t2 ip x.raw big none nope));
        $b{size} = n(pick(1, 2, 3, 5, 20, 50)) if chance(60);
        $b{shard_size} = n(pick(1, 3, 10, 100)) if chance(20);
        $b{min_doc_count} = n(pick(0, 2, 5)) if chance(25) && $f ne 'u';
        $b{show_term_doc_count_error} = yes if chance(20);
        maybe_missing(\%b, $f);
        order(\%b, \%subs, $type);
        if ($f =~ /^(k|m|x\.raw)$/ && chance(20)) { $b{pick('include', 'exclude')} = pick('.*a.*', '[a-e].*', ['alpha', 'pi', 'what'], 'e(ta|psilon)') }
        elsif ($f eq 'u' && chance(50)) { $b{include} = {partition => n(rnd(4)), num_partitions => n(4)} }
        elsif ($f =~ /^[lisy]$/ && chance(15)) { $b{pick('include', 'exclude')} = [n(1), n(2), n(3), n(7)] }
        elsif ($f =~ /^[lisy]$/ && chance(10)) { $b{include} = {partition => n(rnd(3)), num_partitions => n(3)} }
    } elsif ($type eq 'histogram') {
        my $f = $b{field} = pick(@numeric[0 .. 7]);
        $b{interval} = n(pick($f =~ /^(l|d)$/ ? (100, 250, '33.3', 500) : (5, 10, 50, '2.5', 20)));
        $b{offset} = n(pick(1, 3, -7, '0.5')) if chance(25);
        $b{min_doc_count} = n(pick(0, 1, 3)) if chance(40);
        $b{keyed} = yes if chance(15);
        $b{extended_bounds} = {min => n(-rnd(100)), max => n(50 + rnd(500))} if chance(15) && !exists $b{min_doc_count};
        $b{hard_bounds} = {min => n(rnd(20)), max => n(20 + rnd(100))} if chance(10) && !$b{extended_bounds};
        $b{format} = pick('0.0', '000') if chance(10);
        maybe_missing(\%b, $f);
        order(\%b, \%subs, $type) if chance(40);
    } elsif ($type eq 'date_histogram') {
        my $f = $b{field} = pick(qw(t t t t2 mt));
        my $coarse = pick(0, 1);
        if (chance(60)) { $b{calendar_interval} = pick($coarse ? qw(month 1M quarter year 1y week 1w) : qw(week day month quarter)) }
        else            { $b{fixed_interval} = pick($coarse ? qw(30d 90d 7d) : qw(10d 7d 36h 720h 4d)) }
        $b{time_zone} = pick(@zones) if chance(55);
        $b{offset} = pick(qw(+6h -3h +1d 90m 30s)) if chance(20);
        $b{min_doc_count} = n(pick(0, 1, 1, 2));
        $b{min_doc_count} = n(1) if $depth > 1;
        $b{keyed} = yes if chance(15);
        $b{format} = pick('yyyy-MM-dd', "yyyy-MM-dd'T'HH:mm:ssXXX", 'epoch_millis', 'yyyy') if chance(25);
        maybe_missing(\%b, $f);
        order(\%b, \%subs, $type) if chance(30);
        delete $b{extended_bounds};
        $b{hard_bounds} = {min => '2015-11-01', max => '2016-03-01'} if chance(8) && !$b{format} && $f ne 't2';
        if ($depth == 1 && chance(10) && !$b{format} && $f ne 't2' && !$b{hard_bounds}) {
            $b{extended_bounds} = {min => '2015-10-01', max => '2016-06-01'};
            $b{min_doc_count} = n(0);
        }
    } elsif ($type eq 'range') {
        my $f = $b{field} = pick(@numeric);
        my @ends = sort { $a <=> $b } map { rnd(400) - 100 } 0 .. 3;
        $b{ranges} = [pick({to => n($ends[0])}, {to => n($ends[1] . '.5')}), {from => n($ends[1]), to => n($ends[2])}, {from => n($ends[0]), to => n($ends[3])},
            pick({from => n($ends[2])}, {key => 'named', from => n($ends[3])})];
        $b{keyed} = yes if chance(25);
        maybe_missing(\%b, $f);
    } elsif ($type eq 'filter') {
        return ($type, filter(), \%subs);
    } elsif ($type eq 'filters') {
        $b{filters} = chance(60) ? {a => filter(), b => filter(), c => filter()} : [filter(), filter()];
        $b{other_bucket} = yes if chance(30);
        $b{other_bucket_key} = 'rest' if chance(15);
    } elsif ($type eq 'missing') {
        $b{field} = pick(qw(k m l d t ip b nope none x.raw));
    }
    return ($type, \%b, \%subs);
}
sub composite {
    my @sources;
    for my $i (1 .. 1 + rnd(3)) {
        my $r = rnd(10);
        my %s = $r < 6 ? (terms => {field => pick(qw(k m l ml b i d t ip u nope))})
            : $r < 8   ? (histogram => {field => pick(qw(l d i ml)), interval => n(pick(50, 100, '7.5'))})
            :            (date_histogram => {field => pick(qw(t mt)), chance(50) ? (calendar_interval => pick(qw(month week day))) : (fixed_interval => pick('10d', '12h'))});
        my ($t) = keys %s;
        $s{$t}{order} = pick('asc', 'desc') if chance(40);
        $s{$t}{missing_bucket} = yes if chance(35);
        if ($t eq 'date_histogram') {
            $s{$t}{format} = 'yyyy-MM-dd HH:mm' if chance(30);
            $s{$t}{time_zone} = pick(@zones) if chance(30);
            $s{$t}{offset} = '+3h' if chance(15);
        }
        push @sources, {"s$i" => \%s};
    }
    return ('composite', {size => n(pick(1, 3, 10, 25)), sources => \@sources}, {});
}
sub tree {
    my ($depth, $width) = @_;
    my %level;
    for (1 .. 1 + rnd($width)) {
        my $name = 'a' . $next++;
        my ($type, $body, $subs);
        if ($depth > 3 || chance(25 + 15 * $depth)) {
            ($type, $body) = metric();
            $level{$name} = {$type => $body};
        } else {
            ($type, $body, $subs) = $depth == 1 && chance(15) ? composite() : bucket($depth);
            my %below = (%{$subs}, chance(60 - 15 * $depth) || !%$subs ? %{tree($depth + 1, 2)} : ());
            delete $below{$_} for grep { $type eq 'composite' && $below{$_}{composite} } keys %below;
            $level{$name} = {$type => $body, %below && !($depth > 2 && !%$subs) ? (aggs => \%below) : ()};
        }
        $level{$name}{meta} = {note => $name, n => n(1)} if chance(5);
    }
    return \%level;
}
# One request: {index, path, body}.
sub request {
    my ($prefix) = @_;
    $next = 1;
    my $index = pick("${prefix}one", "${prefix}one", "${prefix}three", "${prefix}three", "${prefix}one,${prefix}other", "${prefix}*", "${prefix}empty");
    my $typed = chance(10) ? '?typed_keys=true' : '';
    return {path => "/$index/_search$typed", body => {size => n(0), query => query(), aggs => tree(1, 3)}};
}

1;
