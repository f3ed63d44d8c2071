#!/usr/bin/perl
# 110_script_search.t: scripts in searches: the queries script and script_score, over blocks of columns
# and document by document, with what they refuse.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;

my $node = QdNode->new('script-search');
$node->start;
my $json = JSON::PP->new->utf8->canonical;
$node->put('/t', { settings => { number_of_shards => 2 }, mappings => { properties => {
    n => { type => 'integer' }, f => { type => 'double' }, g => { type => 'float' }, k => { type => 'keyword' },
    d => { type => 'date' }, ip => { type => 'ip' }, b => { type => 'boolean' }, title => { type => 'text' },
    m => { type => 'long' }, s => { type => 'scaled_float', scaling_factor => 10 } } } });
my $bulk = '';
for my $i (1 .. 600) {
    my $doc = { n => $i, f => $i / 4, g => $i / 2, k => [ "k$i", 'z' ], d => sprintf('2024-01-%02dT10:00:00Z', 1 + $i % 28),
        ip => "10.0.0." . $i % 256, b => $i % 2 ? \1 : \0, title => $i % 3 ? 'fox' : 'fox fox dog', s => $i / 10 };
    $doc->{m} = [ $i, 5000 ] if $i % 5;
    $bulk .= qq({"index":{"_index":"t","_id":"$i"}}\n) . $json->encode($doc) . "\n";
}
is($node->post('/_bulk?refresh=true', $bulk)->{json}{errors}, JSON::PP::false, 'documents are indexed');

sub search { $node->post('/t/_search', { size => 5, track_total_hits => \1, %{$_[0]} }) }
sub count { my $r = search({ query => { script => { script => $_[0] } } }); $r->{json}{hits}{total}{value} // $r->{content} }

subtest 'script filters' => sub {
    is(count("doc['n'].value > 590"), 10, 'a number');
    is(count({ source => "doc['n'].value > params.least", params => { least => 598 } }), 2, 'with params');
    is(count("doc['k'].value == 'k7'"), 1, 'a keyword');
    is(count("doc['k'].contains('z')"), 600, 'all its values');
    is(count("doc['k'][1] == 'z'"), 600, 'one by its place');
    is(count("doc['d'].value.dayOfMonth == 1"), 21, 'a date');
    is(count("doc['d'].value.isAfter(ZonedDateTime.parse('2024-01-28T00:00:00Z'))"), 21, 'compared');
    is(count("doc['ip'].value == '10.0.0.7'"), 3, 'an address');
    is(count("doc['b'].value"), 300, 'a boolean');
    is(count("doc['m'].size() == 0"), 120, 'documents without a value');
    is(count("doc.containsKey('m') && !doc.containsKey('nope')"), 600, 'fields that there are');
    is(count("def f = params.get('x'); f == null"), 600, 'no params');
    is(count("doc['s'].value > 59.85"), 2, 'a scaled number');
    is(search({ query => { bool => { must => { match => { title => 'dog' } },
        filter => { script => { script => "doc['n'].value % 2 == 0" } } } } })->{json}{hits}{total}{value}, 100, 'beside another query');
    $node->put('/_scripts/big', { script => { lang => 'painless', source => "doc['n'].value > params.a" } });
    is(count({ id => 'big', params => { a => 599 } }), 1, 'a stored script');
};

subtest 'script_score' => sub {
    my $scores = sub {
        my ($query, $script, %more) = @_;
        my $r = search({ size => 600, query => { script_score => { query => $query, script => $script, %more } } });
        return { map { $_->{_id} => $_->{_score} } @{$r->{json}{hits}{hits}} } if $r->{status} == 200;
        return $r;
    };
    my $all = { match_all => {} };
    my $s = $scores->($all, "doc['n'].value * 2 + doc['f'].value");
    is($s->{8}, 18, 'a formula of two columns');
    is(scalar keys %$s, 600, 'for all documents');
    is($scores->($all, "doc['n'].value / 2")->{7}, 3, 'whole numbers stay whole');
    is($scores->($all, { source => "doc['n'].value / params.x", params => { x => 2 } })->{7}, 3, 'with whole params');
    is($scores->($all, { source => "doc['g'].value * params.x", params => { x => 2.5 } })->{8}, 10, 'and others');
    # the same by blocks and one by one: a block of statements is no expression
    for my $source ("_score * Math.log(2 + doc['n'].value)", "Math.sqrt(doc['n'].value) + saturation(doc['f'].value, 3)",
        "doc['n'].value % 7 + doc['s'].value", "-doc['n'].value + 1000") {
        is_deeply($scores->({ match => { title => 'dog' } }, $source),
            $scores->({ match => { title => 'dog' } }, "if (false) { return 1 } return $source"), "both ways: $source");
    }
    is_deeply($scores->({ range => { n => { gte => 300, lt => 310 } } }, "doc['n'].value * 0.5"), { map { $_ => $_ / 2 } 300 .. 309 }, 'few documents of a block');
    is($scores->($all, "doc['m'].size() == 0 ? 1 : doc['m'].value")->{5}, 1, 'documents without a value');
    is($scores->($all, "doc['m'].size() == 0 ? 1 : doc['m'].value")->{6}, 6, 'and with several');
    is($scores->($all, 'decayNumericLinear(0, 10, 0, 0.5, 5.0)')->{1}, 0.75, 'a function of the context');
    is($scores->($all, "decayDateLinear('2024-01-08T10:00:00Z', '2d', '0', 0.5, doc['d'].value)")->{9}, 0.5, 'of dates');
    is(scalar keys %{$scores->($all, "doc['n'].value", min_score => 591)}, 10, 'min_score');
    is($scores->($all, "doc['n'].value", boost => 2)->{3}, 6, 'boost');
    my $r = search({ query => { script_score => { query => $all, script => "doc['n'].value" } } });
    is(join(' ', map { $_->{_id} } @{$r->{json}{hits}{hits}}), '600 599 598 597 596', 'hits come by their scores');
    $r = search({ explain => \1, size => 1, query => { script_score => { query => $all, script => "doc['n'].value" } } });
    is($r->{json}{hits}{hits}[0]{_explanation}{value}, 600, 'which are explained');
    $r = $scores->($all, "doc['n'].value - 5");
    like($r->{content}, qr/script_score script returned an invalid score \[-\d+\.0\]/, 'negative ones are refused');
};

subtest 'function_score' => sub {
    my $scores = sub {
        my $r = search({ size => 600, query => { function_score => $_[0] } });
        $r->{status} == 200 ? { map { $_->{_id} => $_->{_score} } @{$r->{json}{hits}{hits}} } : $r->{content} };
    my @two = ({ filter => { term => { k => 'k7' } }, weight => 3 }, { script_score => { script => "doc['n'].value" }, weight => 2 });
    is(join(' ', @{$scores->({ functions => \@two })}{qw(7 8)}), '42 16', 'functions multiply');
    is(join(' ', @{$scores->({ functions => \@two, score_mode => 'sum' })}{qw(7 8)}), '17 16', 'or add');
    is(join(' ', @{$scores->({ functions => \@two, score_mode => 'avg' })}{qw(7 8)}), '3.4 8', 'or are averaged by their weights');
    is(join(' ', @{$scores->({ functions => \@two, score_mode => 'first' })}{qw(7 8)}), '3 16', 'or the first counts');
    is(join(' ', @{$scores->({ functions => \@two, score_mode => 'max' })}{qw(1 7 8)}), '2 14 16', 'or the greatest');
    is(join(' ', @{$scores->({ functions => \@two, score_mode => 'min' })}{qw(1 7 8)}), '2 3 16', 'or the least');
    is(join(' ', @{$scores->({ functions => \@two, max_boost => 10, boost_mode => 'sum' })}{qw(1 8)}), '3 11', 'beside the query');
    is(scalar keys %{$scores->({ functions => \@two, min_score => 1190 })}, 6, 'min_score');
    is($scores->({ query => { constant_score => { filter => { match_all => {} }, boost => 4 } }, weight => 5, boost_mode => 'avg' })->{9}, 4.5, 'a weight alone');
    my $f = sub { $scores->({ field_value_factor => { field => 'n', @_ }, boost_mode => 'replace' }) };
    is(join(' ', $f->(factor => 2)->{5}, $f->(modifier => 'square')->{5}, $f->(modifier => 'reciprocal')->{4}), '10 25 0.25', 'field_value_factor');
    is($scores->({ field_value_factor => { field => 'm', missing => 9 }, boost_mode => 'replace' })->{5}, 9, 'with what is missing');
    like($scores->({ field_value_factor => { field => 'm' } }), qr/Missing value for field \[m\]/, 'or without');
    my $d = sub { $scores->({ $_[0] => $_[1], boost_mode => 'replace' })->{$_[2]} };
    is($d->('linear', { n => { origin => 10, scale => 5 } }, 15), 0.5, 'linear');
    is($d->('exp', { n => { origin => 10, scale => 5, decay => 0.25 } }, 15), 0.25, 'exp');
    is($d->('gauss', { n => { origin => 10, scale => 5, offset => 2 } }, 17), 0.5, 'gauss with an offset');
    is($d->('linear', { d => { origin => '2024-01-08T10:00:00Z', scale => '2d' } }, 9), 0.5, 'of dates');
    is($d->('linear', { m => { origin => 10, scale => 5 } }, 5), 1, 'of no value');
    my $r1 = $scores->({ random_score => { seed => 7, field => '_seq_no' } });
    is_deeply($scores->({ random_score => { seed => 7, field => '_seq_no' } }), $r1, 'random numbers of a seed are the same');
    isnt($json->encode($scores->({ random_score => { seed => 8, field => '_seq_no' } })), $json->encode($r1), 'those of another are not');
    is(scalar(grep { $_ < 0 || $_ >= 1 } values %$r1), 0, 'all of them from 0 to 1');
    like($scores->({ functions => [ {} ] }), qr/an entry in functions list is missing a function/, 'no function');
    like($scores->({ functions => [ { weight => 2, nope => {} } ] }), qr/field \[nope\] is not supported/, 'an unknown one');
    like($scores->({ script_score => { script => "doc['n'].value - 9" } }), qr/must not produce negative scores, but got: \[-\d+\.0\]/, 'a negative score');
    like($scores->({ gauss => { nope => { origin => 1, scale => 1 } } }), qr/unknown field \[nope\]/, 'a field that is not there');
};

subtest 'script_fields' => sub {
    my $fields = sub { my $r = search({ query => { ids => { values => [ '7' ] } }, script_fields => { x => { script => $_[0] } } });
        $r->{status} == 200 ? $r->{json}{hits}{hits}[0]{fields}{x} : $r->{content} };
    is_deeply($fields->("doc['n'].value * 2"), [ 14 ], 'a number');
    is_deeply($fields->({ source => "[doc['k'].value, params.p]", params => { p => 'q' } }), [ 'k7', 'q' ], 'a list is several values');
    is_deeply($fields->("doc['d'].value"), [ '2024-01-08T10:00:00.000Z' ], 'a date');
    is_deeply($fields->("params._source.title + params['_source']['n']"), [ 'fox7' ], 'of the source');
    is_deeply($fields->("['a': 1]"), [ { a => 1 } ], 'an object');
    is_deeply($fields->("return null"), [ undef ], 'nothing');
    like($fields->("def m = [:]; m.m = m; m"), qr/Iterable object is self-referencing itself/, 'no circle');
    like($fields->("doc['n'].value."), qr/compile error/, 'a wrong script fails');
    my $r = search({ size => 600, sort => [ 'n' ], script_fields => { a => { script => "doc['n'].value + 1" }, b => { script => "doc['m'].value", ignore_failure => \1 } } });
    is(join(' ', map { $_->{fields}{a}[0] } @{$r->{json}{hits}{hits}}), join(' ', 2 .. 601), 'of all hits');
    ok(!defined $r->{json}{hits}{hits}[4]{fields}{b}[0], 'a failure may be ignored');
    ok(!exists $r->{json}{hits}{hits}[0]{_source}, 'the source is not shown beside them');
    $r = search({ _source => \1, query => { ids => { values => [ '7' ] } }, script_fields => { x => { script => '1' } } });
    is($r->{json}{hits}{hits}[0]{_source}{n}, 7, 'but where it is asked for');
};

subtest 'what is refused' => sub {
    my $why = sub { my $r = search({ query => { script => { script => $_[0] } } }); is($r->{status}, 400, 'with 400'); $r->{content} };
    like($why->("doc['nope'].value > 1"), qr/No field found for \[nope\] in mapping/, 'a field that is not there');
    like($why->("doc['title'].value == 'a'"), qr/Text fields are not optimised/, 'text');
    like($why->("doc['m'].value > 1"), qr/A document doesn't have a value for a field/, 'a value that is not there');
    like($why->("doc['n'].value >"), qr/"type":"script_exception","reason":"compile error"/, 'a script that does not compile');
    like($why->("int i = 0; while (true) { i++ } return true"), qr/maximum number of statements/, 'a loop without end');
    like($why->({ id => 'nope' }), qr/unable to find script \[nope\]/, 'a stored script that is not there') if 0;
    like($why->("_score > 1"), qr/cannot resolve symbol \[_score\]/, 'what the context does not have');
    like($why->("params.x = 1; return true"), qr/the map cannot be changed/, 'params do not change');
};

$node->stop;
done_testing;
