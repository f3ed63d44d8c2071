package AggsCompare;
# AggsCompare.pm: answers compared member by member. Numbers keep their text; whole ones are equal
# when the text is, the others within 1e-9 (sums are rounded in another order); order of members counts.
use strict;
use warnings;

# {o => [key, value, …]}, {a => […]}, {s => text}, {n => text}; raw: as it stood.
sub parse {
    my ($text) = @_;
    pos($text) = 0;
    my $v = value(\$text);
    return $v;
}
sub value {
    my ($t) = @_;
    $$t =~ /\G\s*/gc;
    my $from = pos $$t;
    my $v;
    if ($$t =~ /\G\{\s*/gc) {
        my @o;
        until ($$t =~ /\G\s*\}/gc) {
            $$t =~ /\G\s*,?\s*"((?:[^"\\]|\\.)*)"\s*:/gc or die 'bad JSON at ' . substr($$t, pos($$t) // 0, 80);
            my $k = $1;
            push @o, $k, value($t);
        }
        $v = {o => \@o};
    } elsif ($$t =~ /\G\[/gc) {
        my @a;
        until ($$t =~ /\G\s*\]/gc) { $$t =~ /\G\s*,/gc; push @a, value($t) }
        $v = {a => \@a};
    } elsif ($$t =~ /\G"((?:[^"\\]|\\.)*)"/gc) {
        $v = {s => $1};
    } elsif ($$t =~ /\G([-+.\w]+)/gc) {
        $v = {n => $1};
    } else {
        die 'bad JSON at ' . substr($$t, pos($$t) // 0, 80);
    }
    $v->{raw} = substr $$t, $from, pos($$t) - $from;
    return $v;
}
sub member { my ($v, $k) = @_; my %m = @{$v->{o} || []}; return $m{$k} }

# What counts of an answer: status, total and aggregations, or the error.
sub answer {
    my ($status, $text) = @_;
    my $v = eval { parse($text) } or return {status => $status, error => {s => $text}};
    my $a = {status => $status};
    if (my $e = member($v, 'error')) { $a->{error} = $e; return $a }
    $a->{total} = member(member(member($v, 'hits'), 'total'), 'value');
    $a->{aggs} = member($v, 'aggregations');
    $a->{failures} = member(member($v, '_shards'), 'failures');
    return $a;
}
sub record {
    my ($q, $a) = @_;
    my $e = $a->{error} ? ',"error":' . error_text($a->{error}) : $a->{aggs} ? ",\"aggs\":$a->{aggs}{raw}" : '';
    my $total = $a->{total} ? ",\"total\":$a->{total}{raw}" : '';
    return "{\"path\":\"$q->{path}\",\"body\":$q->{text},\"status\":$a->{status}$total$e}";
}
sub error_text {
    my ($e) = @_;
    return $e->{raw} if $e->{o} && $e->{raw} =~ /^\{"(type|cause)":"[^"]*","(reason|cause_reason)":/ && !member($e, 'root_cause');
    my $root = member($e, 'root_cause');
    my $first = $root && $root->{a} ? $root->{a}[0] : $e;
    my $caused = member($first, 'caused_by') || member($e, 'caused_by');
    my @out = map { my $m = member($_->[1], $_->[2]); $m ? "\"$_->[0]\":$m->{raw}" : () } ['type', $first, 'type'], ['reason', $first, 'reason'],
        $caused ? (['cause', $caused, 'type'], ['cause_reason', $caused, 'reason']) : ();
    return '{' . join(',', @out) . '}';
}

sub near {
    my ($x, $y) = @_;
    my $d = abs($x - $y);
    return $d < 3 || $d < 0.02 * abs $x;
}
sub close_enough {
    my ($x, $y) = @_;
    return 1 if $x eq $y;
    return 0 unless $x =~ /[.eE]/ && $y =~ /[.eE]/;
    my $d = abs($x - $y);
    return $d <= 1e-9 * (abs($x) > abs($y) ? abs($x) : abs($y)) || $d < 1e-9;
}
my %names;    # of the request's aggregations
sub walk {
    my ($at, $p, $u, $out) = @_;
    return if @$out > 200 || $p->{raw} eq $u->{raw};
    if ($p->{o} && $u->{o}) {
        my (%p, %u) = ();
        my @pk = map { $p->{o}[2 * $_] } 0 .. @{$p->{o}} / 2 - 1;
        my @uk = map { $u->{o}[2 * $_] } 0 .. @{$u->{o}} / 2 - 1;
        %p = @{$p->{o}};
        %u = @{$u->{o}};
        delete $p{meta} if $p{meta} && $p{meta}{raw} eq '{}' && !$u{meta};    # made by a reduction of unmapped ones
        @pk = grep { exists $p{$_} } @pk;
        for my $k (@pk) { exists $u{$k} ? walk("$at.$k", $p{$k}, $u{$k}, $out) : push @$out, "$at.$k: peer has $p{$k}{raw}, ours lacks it" }
        for my $k (@uk) { push @$out, "$at.$k: ours has $u{$k}{raw}, the peer lacks it" unless exists $p{$k} }
        # children and free maps stand in the order of a hash there
        return if $at =~ /\.(meta|_source|fields)$/;
        @$_ = grep { !$names{s/^\w+#//r} } @$_ for \@pk, \@uk;
        push @$out, "$at: order of members: peer @pk; ours @uk" if !@$out && "@pk" ne "@uk";
    } elsif ($p->{a} && $u->{a}) {
        my ($n, $m) = (scalar @{$p->{a}}, scalar @{$u->{a}});
        push @$out, "$at: peer has $n elements, ours $m" if $n != $m;
        for my $i (0 .. ($n < $m ? $n : $m) - 1) { walk("$at\[$i\]", $p->{a}[$i], $u->{a}[$i], $out) }
    } elsif (exists $p->{n} && exists $u->{n}) {
        # t-digests differ: an AVL tree filled in random order there
        return if $at =~ /\.values(\.[\d.]+|\[\d+\]\.value)$/ && near($p->{n}, $u->{n});
        # there only one of the shards that gave the term is taken off
        return if $at =~ /\.buckets\[\d+\]\.doc_count_error_upper_bound$/ && $u->{n} <= $p->{n};
        return if $at =~ /\.(variance\w*|std_\w+|std_deviation_bounds\.\w+)$/ && abs($p->{n}) > 1e6 && near($p->{n}, $u->{n});
        push @$out, "$at: peer $p->{n}, ours $u->{n}" unless close_enough($p->{n}, $u->{n});
    } elsif ($at =~ /_as_string(\.\w+)?$/ && $at =~ /(variance|deviation|squares)/ && $p->{raw} =~ /^"[+\d]/ && $u->{raw} =~ /^"[+\d]/) {
        return;    # dates of sums of squares: beyond a double's digits
    } elsif ($at =~ /\.values(\.[\d.]+|\[\d+\]\.value)_as_string$/ || $at =~ /\.hits\.hits\[\d+\]\._index$/) {
        return;
    } elsif (exists $p->{s} && exists $u->{s} && $p->{s} =~ /^-?[\d,]*\.\d{5,}$/ && $u->{s} =~ /^-?[\d,]*\.\d{5,}$/) {
        my ($x, $y) = map { (my $c = $_) =~ tr/,//d; $c } $p->{s}, $u->{s};
        push @$out, "$at: peer $p->{raw}, ours $u->{raw}" unless close_enough($x, $y);
    } else {
        push @$out, "$at: peer " . substr($p->{raw}, 0, 300) . ', ours ' . substr($u->{raw}, 0, 300);
    }
}
sub differences {
    my ($p, $u, $text) = @_;
    my @d;
    %names = ();
    my $aggs = eval { my $v = parse($text); member($v, 'aggs') || member($v, 'aggregations') };
    eval { names($aggs, \%names) } if $aggs;
    push @d, "status: peer $p->{status}, ours $u->{status}" if $p->{status} != $u->{status};
    if ($p->{error} || $u->{error}) {
        my ($x, $y) = map { $_->{error} ? error_text($_->{error}) : 'none' } $p, $u;
        # parse positions and Java class names are not compared
        s/\[\d+:\d+\]/[l:c]/g for $x, $y;
        # Elasticsearch names field and index first
        # root causes of failed reductions are left out there
        $y =~ s/"type":("aggregation_execution_exception"),"reason":("Merging)/"cause":$1,"cause_reason":$2/ if $x =~ /Merging/;
        s/Fielddata is disabled on \[[^\]]*\] in \[[^\]]*\]\. //g for $x, $y;
        push @d, "error: peer $x, ours $y" if $x ne $y;
        return @d;
    }
    push @d, 'failures: peer ' . ($p->{failures} ? $p->{failures}{raw} : 'none') . ', ours ' . ($u->{failures} ? $u->{failures}{raw} : 'none')
        if !$p->{failures} != !$u->{failures};
    push @d, "total: peer $p->{total}{raw}, ours $u->{total}{raw}" if $p->{total} && $u->{total} && $p->{total}{raw} ne $u->{total}{raw};
    if (!$p->{aggs} || !$u->{aggs}) { push @d, 'aggregations are missing' if $p->{aggs} || $u->{aggs} }
    else                            { walk('', $p->{aggs}, $u->{aggs}, \@d) }
    return @d;
}
# Where a difference lies: the type of the aggregation named last in the path, and the member.
sub names {
    my ($v, $out) = @_;
    my %level = @{$v->{o}};
    for my $name (keys %level) {
        my %m = @{$level{$name}{o}};
        ($out->{$name}) = grep { !/^(aggs|aggregations|meta)$/ } keys %m;
        names($m{aggs}, $out) if $m{aggs};
    }
}
sub kind {
    my ($text, $d) = @_;
    return 'error' if $d =~ /^error/;
    my ($path) = $d =~ /^([^:]*):/;
    my $aggs = member(parse($text), 'aggs') or return $path;
    names($aggs, \my %types);
    my ($name, $member) = $path =~ /^(?:.*[.#])?([ao]\d+|v)\b(.*)$/ or return $path;
    $member =~ s/\[\d+\]//g;
    $member =~ s/\.[-*\d].*//;
    return ($types{$name} // '?') . $member;
}

1;
