#!/usr/bin/perl
# 088_more_field_types.t: wildcard, flattened, search_as_you_type and the types of ranges over HTTP.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('types');
$node->start;
my $json = JSON::PP->new->utf8->canonical;

sub ids { join ' ', sort map { $_->{_id} } @{$_[0]{json}{hits}{hits}} }
sub found {
    my ($index, $query) = @_;
    my $r = $node->post("/$index/_search", { query => $query, size => 1000 });
    return $r->{status} == 200 ? ids($r) : "$r->{status} " . ($r->{json}{error}{root_cause}[0]{reason} // '');
}
sub load {
    my ($index, %docs) = @_;
    my $bulk = join '', map { qq({"index":{"_index":"$index","_id":"$_"}}\n) . $json->encode($docs{$_}) . "\n" } sort keys %docs;
    my $r = $node->post('/_bulk?refresh=true', $bulk);
    is($r->{json}{errors}, JSON::PP::false, "documents of $index are indexed") or diag $r->{content};
}
sub refused {
    my ($r, $reason, $name) = @_;
    my $e = $r->{json}{error};
    like(join(' ', $e->{reason} // '', $e->{caused_by}{reason} // '', $e->{root_cause}[0]{reason} // ''), $reason, $name);
}
sub mapping {
    my ($index, %properties) = @_;
    my $r = $node->put("/$index", { mappings => { properties => \%properties } });
    is($r->{status}, 200, "$index has its mapping") or diag $r->{content};
}

subtest 'wildcard' => sub {
    mapping('w', m => { type => 'wildcard', null_value => 'nothing at all', fields => { short => { type => 'wildcard', ignore_above => 5 } } },
        k => { type => 'keyword', copy_to => 'm' });
    my @words = qw(Error warning PANIC disk net über Zürich a1 b22 /var/log tmp * ? \\ x);
    srand 7;
    my %docs = map { ("d$_" => { m => join(' ', map { $words[rand @words] } 1 .. 1 + rand 4) }) } 1 .. 120;
    $docs{null} = { m => undef };
    $docs{two}  = { m => [ 'first value', 'second one' ] };
    $docs{none} = { other => 1 };
    $docs{copy} = { k => 'copied text' };
    $docs{empty} = { m => '' };
    load('w', %docs);
    my %values = map { my $m = $docs{$_}{m}; ($_ => [ ref $m ? @$m : defined $m ? $m : () ]) } keys %docs;
    $values{null} = ['nothing at all'];
    $values{copy} = ['copied text'];
    my $naive = sub { my $test = shift; join ' ', sort grep { my $id = $_; grep { $test->($_) } @{$values{$id}} } keys %values };
    my $like = sub {
        my ($pattern, $i) = @_;
        my $re = '';
        while ($pattern =~ /\G(\\.|.)/gs) { my $c = $1; $re .= $c eq '*' ? '.*' : $c eq '?' ? '.' : $c =~ /^\\(.)/s ? quotemeta $1 : quotemeta $c }
        return $i ? qr/^$re$/is : qr/^$re$/s;
    };
    for my $pattern ('*', '*disk*', 'PAN*', '*log', '*r n*', '*i?k*', 'Err?r *', '*\\**', '*\\?*', '*ür*', '?', '??', '*b2*', '*x', 'x*', '*or w*ning*', 'a1', 'nothing*all', '*v', 'zzz*', '*IC*') {
        for my $i (0, 1) {
            my $re = $like->($pattern, $i);
            is(found('w', { wildcard => { m => { value => $pattern, case_insensitive => $i ? \1 : \0 } } }), $naive->(sub { $_[0] =~ $re }), "wildcard $pattern $i");
        }
    }
    for my $re ('.*disk.*', 'PANIC.*', '.*(net|tmp).*', '[Ee]rror.*', '.*a1( b22)+.*', '.*lo?g', '.*dis{1}k', 'Error|PANIC', '.*z.*', '.+[0-9]', 'x( x)*', '.*\\*.*', '') {
        is(found('w', { regexp => { m => $re } }), $re eq '' ? '' : $naive->(sub { $_[0] =~ /^(?:$re)$/s }), "regexp $re");
    }
    is(found('w', { prefix => { m => 'War' } }), $naive->(sub { $_[0] =~ /^War/ }), 'prefix by case');
    is(found('w', { prefix => { m => { value => 'WAR', case_insensitive => \1 } } }), $naive->(sub { $_[0] =~ /^war/i }), 'prefix whatever the case');
    is(found('w', { term => { m => 'second one' } }), 'two', 'term of one of several values');
    is(found('w', { term => { m => { value => 'SECOND ONE', case_insensitive => \1 } } }), 'two', 'term whatever the case');
    is(found('w', { terms => { m => [ 'second one', 'copied text', 'none' ] } }), 'copy two', 'terms');
    is(found('w', { term => { m => '' } }), 'empty', 'the empty string');
    is(found('w', { range => { m => { gte => 'disk', lt => 'net' } } }), $naive->(sub { $_[0] ge 'disk' && $_[0] lt 'net' }), 'range');
    is(found('w', { range => { m => { gt => 'second', lte => 'second one' } } }), 'two', 'range of a common beginning');
    is(found('w', { fuzzy => { m => 'secnod onee' } }), 'two', 'fuzzy');
    is(found('w', { fuzzy => { m => { value => 'xecond one', prefix_length => 1 } } }), '', 'fuzzy with a beginning that must be equal');
    is(found('w', { exists => { field => 'm' } }), $naive->(sub { 1 }), 'exists');
    is(found('w', { match => { m => 'second one' } }), 'two', 'match takes the value whole');
    is(found('w', { query_string => { query => 'm:*econ*' } }), 'two', 'query_string');
    is(found('w', { exists => { field => 'm.short' } }), $naive->(sub { length $_[0] <= 5 && $_[0] ne 'copied text' }), 'ignore_above of a multi-field');
    is(found('w', { exists => { field => 'm..grams' } }), '', 'the grams are no field of requests');
    my $r = $node->post('/w/_search', { size => 1, sort => [ { m => 'desc' } ], fields => ['m'], docvalue_fields => ['m'],
        query => { wildcard => { m => '*econd*' } }, highlight => { fields => { m => {} } },
        aggs => { t => { terms => { field => 'm' } }, c => { cardinality => { field => 'm' } } } });
    my $hit = $r->{json}{hits}{hits}[0];
    is($hit->{_score}, undef);
    is_deeply($hit->{sort}, ['second one'], 'sorted by the value');
    is_deeply($hit->{fields}{m}, [ 'first value', 'second one' ], 'fields');
    is_deeply([ map { $_->{key} } @{$r->{json}{aggregations}{t}{buckets}} ], [ 'first value', 'second one' ], 'terms aggregation');
    is_deeply($hit->{highlight}{m}, ['<em>second one</em>'], 'the value is highlighted');
    $r = $node->get('/w/_field_caps?fields=m*')->{json}{fields};
    is_deeply($r->{m}, { keyword => { type => 'keyword', metadata_field => JSON::PP::false, searchable => JSON::PP::true, aggregatable => JSON::PP::true } }, 'field_caps knows the family');
    is(join(' ', sort keys %$r), 'm m.short', 'no other field shows');
    is_deeply($node->get('/w/_mapping')->{json}{w}{mappings}{properties}{m},
        { type => 'wildcard', null_value => 'nothing at all', fields => { short => { type => 'wildcard', ignore_above => 5 } } }, 'mapping');
    refused($node->put('/w2', { mappings => { properties => { m => { type => 'wildcard', doc_values => \0 } } } }),
        qr/unknown parameter \[doc_values\] on mapper \[m\] of type \[wildcard\]/, 'other parameters are refused');
    refused($node->put('/w/_mapping', { properties => { m => { type => 'wildcard', null_value => 'x' } } }), qr/Cannot update parameter \[null_value\]/, 'null_value stays');
    is($node->put('/w/_mapping', { properties => { m => { type => 'wildcard', null_value => 'nothing at all', ignore_above => 9 } } })->{status}, 200, 'ignore_above changes');
    is($node->put('/w/_mapping', { properties => { more => { type => 'wildcard' } } })->{status}, 200, 'a field more');
    $node->put('/w/_doc/late?refresh=true', { more => 'late value', m => 'late m' });
    is(found('w', { wildcard => { more => '*te v*' } }), 'late', 'found in a field that came later');
    is(found('w', { wildcard => { m => '*te m*' } }), 'late', 'and in the old one');
    is($node->post('/w/_forcemerge?max_num_segments=1')->{status}, 200);
    is(found('w', { wildcard => { m => '*econ?*' } }), 'two', 'after a merge');
};

done_testing();
