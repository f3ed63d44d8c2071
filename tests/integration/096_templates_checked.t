# Templates are tried when they are stored: a mistake is told then, and not with the first document of a
# shipper. What an index would begin with is shown by _simulate and _simulate_index.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;

my $n = QdNode->new('tc');
$n->start;

subtest 'what no index could begin with is refused' => sub {
    my $bad = {mappings => {properties => {g => {type => 'nosuchtype'}}}};
    for my $case (
        ['/_index_template/t', {index_patterns => ['t-*'], template => $bad}, qr/composable template \[t\] template after composition is invalid/, qr/nosuchtype/],
        ['/_component_template/c', {template => $bad}, qr/nosuchtype/, undef],
        ['/_template/l', {index_patterns => ['l-*'], %$bad}, qr/nosuchtype/, undef],
        ['/_index_template/a', {index_patterns => ['a-*'], template => {settings => {analysis => {analyzer => {x => {tokenizer => 'standard', filter => ['nosuchfilter']}}}}}}, qr/is invalid/, qr/nosuchfilter/],
        ['/_index_template/s', {index_patterns => ['s-*'], template => {settings => {'index.nosuch' => 1}}}, qr/unknown setting \[index\.nosuch\]/, undef],
        ['/_index_template/m', {index_patterns => ['m-*'], template => {mappings => {properties => {x => {type => 'text', analyzer => 'none'}}}}}, qr/is invalid/, qr/analyzer \[none\]/],
    ) {
        my ($path, $body, $like, $cause) = @$case;
        my $r = $n->put($path, $body);
        is($r->{status}, 400, "$path") or diag $r->{content};
        like($r->{json}{error}{reason}, $like, '... with the reason') or diag $r->{content};
        like($r->{content}, $cause, '... and its cause') if $cause;
        is($n->get($path)->{status}, 404, '... is not stored');
    }
};

subtest 'components are tried in the templates that name them' => sub {
    is($n->put('/_component_template/an', {template => {settings => {analysis => {analyzer => {mine => {tokenizer => 'standard'}}}}}})->{status}, 200, 'a component with an analyzer');
    is($n->put('/_index_template/uses', {index_patterns => ['u-*'], composed_of => ['an'], template => {mappings => {properties => {x => {type => 'text', analyzer => 'mine'}}}}})->{status}, 200, 'a template that uses it');
    my $r = $n->put('/_component_template/an', {template => {settings => {analysis => {analyzer => {other => {tokenizer => 'standard'}}}}}});
    is($r->{status}, 400, 'without it the component is refused');
    like($r->{json}{error}{reason}, qr/updating component template \[an\] results in invalid composable template \[uses\]/, '... for the template');
    is($n->put('/_component_template/an', {template => {settings => {number_of_replicas => 0, analysis => {analyzer => {mine => {tokenizer => 'whitespace'}}}}}})->{status}, 200, 'another analyzer of the name is taken');
    is($n->post('/u-1/_doc', {x => 'a'})->{status}, 201, 'and the index is made');
};

subtest 'what an index would begin with' => sub {
    $n->put('/_template/old', {index_patterns => ['u-old*'], order => 1});
    $n->put('/_index_template/low', {index_patterns => ['*-x'], priority => 1, template => {settings => {number_of_shards => 7}}});
    my $r = $n->post('/_index_template/_simulate_index/u-7')->{json};
    is_deeply([$r->{template}{settings}{index}{number_of_replicas}, $r->{template}{mappings}{properties}{x}{analyzer}, $r->{overlapping}], ['0', 'mine', []], 'by its name');
    $r = $n->post('/_index_template/_simulate_index/nothing-like-it');
    is_deeply([$r->{status}, $r->{json}], [200, {}], 'nothing, where no template matches');
    $r = $n->post('/_index_template/_simulate_index/u-old1', {index_patterns => ['u-o*'], priority => 9, composed_of => ['an'], template => {aliases => {al => {}}}})->{json};
    is_deeply([sort map { $_->{name} } @{ $r->{overlapping} }], ['old', 'uses'], 'with a template of the request: who else has a word');
    ok($r->{template}{aliases}{al}, '... and its aliases');
    $r = $n->post('/_index_template/_simulate/uses')->{json};
    is_deeply([sort map { $_->{name} } @{ $r->{overlapping} }], ['low', 'old'], 'of a stored template: those with names in common');
    is($n->post('/_index_template/_simulate/none')->{status}, 400, 'of one that is not there');
    is($n->post('/_index_template/_simulate')->{status}, 400, 'of none');
    is($n->post('/_index_template/_simulate', {index_patterns => ['q'], template => {mappings => {properties => {g => {type => 'nosuchtype'}}}}})->{status}, 400, 'of one with a mistake');
};

is($n->stop, 0, 'the node stops');
done_testing;
