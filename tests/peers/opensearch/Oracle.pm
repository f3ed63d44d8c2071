# Oracle.pm: sends the same requests to an OpenSearch node and to ours and compares the answers.
#
# A corpus file is a list of requests. A line that starts with
#   #        is a comment
#   > GET /path [{flags}]   starts a request; the lines after it, up to the next line that starts
#            with '#', '>', '~' or '<', are its body, each with its line end (the last one without,
#            unless the path says _bulk or _msearch). "\x41" in a path or body is that byte.
#   < Name: value           is a header of the request
#   ~ PATH: REASON          allows a difference at PATH of the answer (see below), for this reason
#   ~~ PATH: REASON         allows it for all requests of the file from here on
# Flags: types (of the body only the shape counts: names and kinds of values), sorted (lines of
# text in any order), status (only the status counts), quiet (sent, not compared).
#
# Paths of differences: "status", "header.NAME", "pretty", "text", "a.b.0.c" in a JSON body, with "+ " before
# what only the peer has and "- " before what only we have; "order a.b" for the order of names.
# In an allowance * stands for any part of a path, and a path allows all that is under it.
package Oracle;
use strict;
use warnings;
use HTTP::Tiny;

# Values that must differ: by the name of the field only the kind of the value is compared.
my $FREE = qr/\A(?:took|uuid|cluster_uuid|index_uuid|state_uuid|history_uuid|commit_uuid|ephemeral_id|
    creation_date|creation_date_in_millis|created|provided_version|build_hash|build_date|build_type|number|lucene_version|
    timestamp|epoch|start_time_in_millis|version\.created|running_time_in_nanos|took_millis|\w+_in_millis|\w+_in_bytes|\w+_time|pid|translog_uuid|
    uptime|max_unsafe_auto_id_timestamp|_scroll_id|time_in_queue_millis|task_max_waiting_in_queue_millis|estimated_cluster_manager)\z/x;

sub new {
    my ($class, %o) = @_;
    return bless {peer => $o{peer}, ours => $o{ours}, http => HTTP::Tiny->new(timeout => 60, keep_alive => 1)}, $class;
}

# Both nodes without indices and templates.
sub clear {
    my ($self) = @_;
    for my $base (@$self{qw(peer ours)}) {
        $self->{http}->request('PUT', "$base/_all/_settings?expand_wildcards=all",
            {headers => {'content-type' => 'application/json'}, content => "{\"index.blocks.$_\":null}"})
            for qw(read_only metadata read_only_allow_delete);
        $self->{http}->request('DELETE', "$base/$_") for '*?expand_wildcards=all', '_template/*', '_index_template/*';
        my $r = $self->{http}->request('PUT', "$base/_cluster/settings", {headers => {'content-type' => 'application/json'},
            content => '{"persistent":{"*":null},"transient":{"*":null}}'});
    }
}

# The requests of a file: {file, line, method, path, headers, flags, body, allow}.
sub read_corpus {
    my ($file) = @_;
    open my $f, '<:raw', $file or die "$file: $!";
    my (@requests, @all, $r);
    my $name = $file =~ s{.*/}{}r;
    while (my $line = <$f>) {
        if ($line =~ /^#/) { $r = undef if $r && $r->{closed}; $r->{closed} = 1 if $r; next }
        if ($line =~ /^> (\S+) (\S+)(?: \{(.*)\})?\s*$/) {
            $r = {file => $name, line => $., method => $1, path => $2, flags => {map { $_ => 1 } split /[ ,]+/, $3 // ''},
                headers => {}, body => '', allow => [@all]};
            $r->{path} =~ s/\\x([0-9a-fA-F]{2})/chr hex $1/ge;
            push @requests, $r;
        } elsif ($line =~ /^< ([\w-]+): (.*)$/) {
            $r->{headers}{lc $1} = $2;
        } elsif ($line =~ /^(~~?) (.+?): (.+)$/) {
            my $a = [$2, $3, "$name:$."];
            push @{$1 eq '~~' ? \@all : $r->{allow}}, $a;
        } elsif ($r && !$r->{closed}) {
            $line =~ s/\\x([0-9a-fA-F]{2})/chr hex $1/ge;
            $r->{body} .= $line;
        } elsif ($line =~ /\S/) {
            die "$file:$.: not a line of a request: $line";
        }
    }
    for my $q (@requests) {
        $q->{body} =~ s/\n+\z//;
        $q->{body} .= "\n" if length $q->{body} && $q->{path} =~ m{/_bulk|/_msearch} && !$q->{flags}{bare};
    }
    return @requests;
}

sub send_request {
    my ($self, $base, $r) = @_;
    my %o = (headers => {%{$r->{headers}}});
    if (length $r->{body}) {
        $o{content} = $r->{body};
        $o{headers}{'content-type'} //= $r->{path} =~ m{/_bulk|/_msearch} ? 'application/x-ndjson' : 'application/json';
    }
    return $self->{http}->request($r->{method}, $base . $r->{path}, \%o);
}

# Sends one request to both. Returns the differences that nothing allows, the answers, and which
# allowances were of use.
sub compare {
    my ($self, $r) = @_;
    my $theirs = $self->send_request($self->{peer}, $r);
    my $ours = $self->send_request($self->{ours}, $r);
    return {differences => [], peer => $theirs, ours => $ours, used => []} if $r->{flags}{quiet};
    my @d;
    push @d, ['status', $theirs->{status}, $ours->{status}] if $theirs->{status} ne $ours->{status};
    if (!$r->{flags}{status}) {
        for my $h (qw(content-type allow location warning x-elastic-product)) {
            my ($t, $o) = map { header($_, $h) } $theirs, $ours;
            push @d, ["header.$h", $t, $o] if lc $t ne lc $o;
        }
        my ($t, $o) = map { ($_->{content} // '') =~ /\A[\[{]\n/ ? 'indented' : 'compact' } $theirs, $ours;
        push @d, ['pretty', $t, $o] if $t ne $o;
        push @d, bodies($r, $theirs->{content} // '', $ours->{content} // '');
    }
    my (@left, %used);
    for my $d (@d) {
        my ($a) = grep { matches($_->[0], $d->[0]) } @{$r->{allow}};
        if ($a) { $used{$a->[2]} = 1 }
        else    { push @left, $d }
    }
    return {differences => \@left, allowed => @d - @left, peer => $theirs, ours => $ours, used => [keys %used]};
}

sub header {
    my ($answer, $name) = @_;
    my $v = $answer->{headers}{$name} // '';
    $v = join ' | ', sort @$v if ref $v;
    $v = plain($v) if $name eq 'location';
    $v = join ',', sort split /\s*,\s*/, $v if $name eq 'allow';
    $v =~ s/OpenSearch-[\d.]+-\w+|Quidditch-[\d.]+-\w+|Elasticsearch-[\d.]+-\w+/AGENT/g if $name eq 'warning';
    return $v;
}

# Does an allowance's path stand for this difference?
sub matches {
    my ($allowed, $path) = @_;
    return 1 if $allowed eq '*';
    my $pattern = join '[^ ]*?', map { quotemeta } split /\*/, $allowed, -1;
    return 1 if $path =~ /\A$pattern(?:\.|\z)/;
    return $path =~ /\A[-+] $pattern(?:\.|\z)/;
}

sub bodies {
    my ($r, $theirs, $ours) = @_;
    my ($t, $o) = map { parse($_) } $theirs, $ours;
    if ($t && $o) {
        my @d;
        differ('', $t, $o, \@d, $r->{flags}{types});
        return @d;
    }
    ($theirs, $ours) = map { text($_, $r->{flags}{sorted}) } $theirs, $ours;
    return $theirs eq $ours ? () : (['text', $theirs, $ours]);
}

# Text without what must differ: uuids, times, sizes; columns by one space.
sub text {
    my ($t, $sorted) = @_;
    $t =~ s/\b[A-Za-z0-9_-]{22}\b/UUID/g;
    $t =~ s/\b\d+(?:\.\d+)?(?:b|kb|mb|gb|ms|s|micros|nanos|m)\b/SIZE/g;
    $t =~ s/\b\d{2}:\d{2}:\d{2}\b/TIME/g;
    $t =~ s/\b1[6-9]\d{8}(?:\d{3})?\b/EPOCH/g;
    $t =~ s/[ \t]+/ /g;
    $t =~ s/ +$//mg;
    return $sorted ? join "\n", sort split /\n/, $t : $t;
}

# JSON with the order of names kept: ['{', name, value, ...], ['[', value, ...], or ['"', text],
# ['1', number], ['b', literal]. Undef when it is not JSON.
sub parse {
    my ($text) = @_;
    return undef unless $text =~ /\A\s*[\[{]/;
    my $value = eval { value(\$text) };
    return undef if !$value || $text !~ /\G\s*\z/gc;
    return $value;
}

sub value {
    my ($t) = @_;
    $$t =~ /\G\s*/gc;
    if ($$t =~ /\G\{\s*/gc) {
        my @v = ('{');
        return \@v if $$t =~ /\G\}/gc;
        while (1) {
            push @v, string($t);
            $$t =~ /\G\s*:/gc or die;
            push @v, value($t);
            return \@v if $$t =~ /\G\s*\}/gc;
            $$t =~ /\G\s*,\s*/gc or die;
        }
    }
    if ($$t =~ /\G\[\s*/gc) {
        my @v = ('[');
        return \@v if $$t =~ /\G\]/gc;
        while (1) {
            push @v, value($t);
            return \@v if $$t =~ /\G\s*\]/gc;
            $$t =~ /\G\s*,/gc or die;
        }
    }
    return ['"', string($t)] if substr($$t, pos $$t, 1) eq '"';
    return ['1', $1] if $$t =~ /\G(-?\d[\d.eE+-]*)/gc;
    return ['b', $1] if $$t =~ /\G(true|false|null)/gc;
    die;
}

sub string {
    my ($t) = @_;
    $$t =~ /\G"((?:[^"\\]|\\.)*)"/gcs or die;
    return $1;
}

sub show {
    my ($v) = @_;
    return "\"$v->[1]\"" if $v->[0] eq '"';
    return $v->[1] if $v->[0] !~ /[\[{]/;
    my ($kind, @v) = @$v;
    return '[' . join(',', map { show($_) } @v) . ']' if $kind eq '[';
    my @pairs;
    while (my ($n, $x) = splice @v, 0, 2) { push @pairs, "\"$n\":" . show($x) }
    return '{' . join(',', @pairs) . '}';
}

sub differ {
    my ($path, $t, $o, $d, $types) = @_;
    my $at = $path eq '' ? '.' : $path;
    if ($t->[0] ne $o->[0]) { push @$d, [$at, show($t), show($o)]; return }
    my $sub = sub { $path eq '' ? $_[0] : "$path.$_[0]" };
    if ($t->[0] eq '{') {
        my ($tn, $on) = map { my @x = @$_; shift @x; my $k = 0; [grep { !($k++ & 1) } @x] } $t, $o;
        $_ = identity($_) for @$tn, @$on;
        for my $side ($t, $o) { for (my $i = 1; $i < @$side; $i += 2) { $side->[$i] = identity($side->[$i]) } }
        my %t = @$t[1 .. $#$t];
        my %o = @$o[1 .. $#$o];
        push @$d, ['+ ' . $sub->($_), show($t{$_}), ''] for grep { !exists $o{$_} } @$tn;
        push @$d, ['- ' . $sub->($_), '', show($o{$_})] for grep { !exists $t{$_} } @$on;
        my @tc = grep { exists $o{$_} } @$tn;
        my @oc = grep { exists $t{$_} } @$on;
        # Elasticsearch 8 has the details of an error in another order.
        push @$d, ["order $at", "@tc", "@oc"] if "@tc" ne "@oc" && $at !~ /\b(?:error|root_cause\.\d+|caused_by)\z/;
        for my $n (@tc) {
            if ($n =~ s/^index\.//r =~ $FREE && $t{$n}[0] ne '{') { push @$d, [$sub->($n), show($t{$n}), show($o{$n})] if $t{$n}[0] ne $o{$n}[0]; next }
            differ($sub->($n), $t{$n}, $o{$n}, $d, $types);
        }
        return;
    }
    if ($t->[0] eq '[') {
        if ($types) { differ($sub->('0'), $t->[1], $o->[1], $d, $types) if @$t > 1 && @$o > 1; return }
        push @$d, ["$at.length", show($t), show($o)] if @$t != @$o;
        differ($sub->($_ - 1), $t->[$_], $o->[$_], $d, $types) for 1 .. (@$t < @$o ? $#$t : $#$o);
        return;
    }
    return if $types && $t->[0] ne 'b';
    my ($a, $b) = map { plain($_->[1]) } $t, $o;
    push @$d, [$at, $t->[1], $o->[1]] if $a ne $b;
}

# What Elasticsearch 8 says in another form than OpenSearch 2, made the form of OpenSearch. Ours is
# Elasticsearch's under each identity.
#   types: document_parsing_exception and x_content_parse_exception, which carry the place in front;
#   resource.type of an index that is not there: index_or_alias or index_expression, by the API;
#   methods that are allowed stand in any order;
#   characters that no name may have stand in quotes;
#   "Failed to parse mapping: " without the name of a type;
#   "failed to parse: why" where OpenSearch has the reason only in caused_by;
#   the place of a number that does not fit its field, which Elasticsearch gives by the token.
sub form {
    my ($s) = @_;
    $s =~ s/\A(?:\[-?\d+:-?\d+\] )+(?!\[\w+\] )//;
    $s =~ s/\Aindex_(?:expression|or_alias)\z/index_or_alias/;
    $s =~ s/(following characters \[)(.*)\]/my ($a, $x) = ($1, $2); $x =~ s!'([^,]*|,)'!$1!g; $x =~ s![ ,]!!g; $x =~ s!\\+!\\!g; "$a$x]"/e;
    $s =~ s/(allowed: \[)([A-Z, ]+)\]/$1 . join(', ', sort split \/, \/, $2) . ']'/e;
    $s =~ s/\AFailed to parse mapping \[_doc\]: /Failed to parse mapping: /;
    $s =~ s/\A(failed to parse): .*\z/$1/s;
    $s =~ s/\Adocument_parsing_exception\z/mapper_parsing_exception/;
    $s =~ s/\A(?:x_content_parse_exception|json_parse_exception|input_coercion_exception)\z/json_parse_exception/;
    $s =~ s/\A(?:x_content_e_o_f_exception|json_e_o_f_exception)\z/json_e_o_f_exception/;
    $s =~ s/\n at \[Source: .*\z//s if $s =~ /out of range of/;
    return $s;
}

# The id of a node as a name of a member.
sub identity {
    my ($name) = @_;
    return $name =~ /\A(?=.*[A-Z])(?=.*[a-z])[A-Za-z0-9_-]{22}\z/ ? 'ID' : $name;
}

# A string without identities: uuids of indices and nodes, generated ids.
sub plain {
    my ($s) = @_;
    $s = form($s);
    $s =~ s{(?<![A-Za-z0-9_-])(?=[A-Za-z_-]*\d|[A-Z_-]*[a-z][A-Za-z_-]*[A-Z])[A-Za-z0-9_-]{20}(?:[A-Za-z0-9_-]{2})?(?![A-Za-z0-9_-])}{UUID}g;
    $s =~ s/127\.0\.0\.1:\d+/ADDRESS/g;
    return $s;
}

1;
