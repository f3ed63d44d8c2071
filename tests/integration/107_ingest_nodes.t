#!/usr/bin/perl
# 107_ingest_nodes.t: pipelines in a cluster: a node without the role ingest has another one run them, once, also for many
# documents; what one node stores all know at once; a failure comes back with its words.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use Test::More;

my $c = QdCluster->new('pipes', nodes => 3);
$c->node(1)->{settings}{'node.roles'} = 'master,data,coordination';
$c->start;
my ($first, $without, $last) = $c->nodes;

is($first->put('/_ingest/pipeline/p', { processors => [ { append => { field => 'run', value => '{{_ingest.pipeline}}' } } ] })->{status}, 200);
is($without->put('/i', { settings => { number_of_shards => 3, number_of_replicas => 1, 'index.default_pipeline' => 'p' } })->{status}, 200);
$c->wait_status('green');

subtest 'one document by a node without the role' => sub {
    my $r = $without->put('/i/_doc/1', { a => 1 });
    is($r->{status}, 201) or diag $r->{content};
    is_deeply($last->get('/i/_doc/1')->{json}{_source}, { a => 1, run => ['p'] });
};

subtest 'many, with failures and drops' => sub {
    $first->put('/_ingest/pipeline/bad', { processors => [ { fail => { message => 'no {{n}}' } } ] });
    $first->put('/_ingest/pipeline/drop', { processors => [ { drop => {} } ] });
    $first->put('/_ingest/pipeline/move', { processors => [ { set => { field => '_index', value => 'm' } }, { set => { field => '_id', value => 'x{{n}}' } } ] });
    my %with = (3 => 'bad', 4 => 'drop', 5 => 'move');
    my $r = $without->post('/_bulk?refresh=true', join '', map {
        my $p = $with{ $_ % 10 };
        qq({"index":{"_index":"i","_id":"$_") . ($p ? qq(,"pipeline":"$p") : '') . "}}\n" . qq({"n":$_}\n)
    } 1 .. 1000);
    my @items = map { $_->{index} } @{ $r->{json}{items} };
    is(scalar(@items), 1000) or diag $r->{content};
    is(scalar(grep { $_->{error} && $_->{error}{type} eq 'fail_processor_exception' && $_->{error}{reason} =~ /^no \d+3$|^no 3$/ } @items), 100);
    is(scalar(grep { $_->{result} && $_->{result} eq 'noop' } @items), 100);
    is(scalar(grep { $_->{_index} eq 'm' && $_->{_id} =~ /^x/ && $_->{status} == 201 } @items), 100);
    is($last->get('/i/_count')->{json}{count}, 700);
    is($last->get('/i/_count?q=run:p')->{json}{count}, 700, 'each ran the default pipeline');
    is($last->post('/i/_search', { size => 0, aggs => { v => { value_count => { field => 'run.keyword' } } } })->{json}{aggregations}{v}{value}, 700, 'once');
};

subtest 'only nodes with the role ran them' => sub {
    my $nodes = $first->get('/_nodes/stats/ingest')->{json}{nodes};
    my %count = map { $_->{name} => $_->{ingest}{total}{count} } values %$nodes;
    my ($name) = map { $_->{name} } grep { !grep { $_ eq 'ingest' } @{ $_->{roles} } } values %$nodes;
    is($count{$name}, 0);
    my $sum = 0;
    $sum += $_ for values %count;
    is($sum, 1001);
};

subtest 'jobs of a node without the role' => sub {
    my $r = $without->post('/_reindex?refresh=true', { source => { index => 'm' }, dest => { index => 'm2', pipeline => 'p' } });
    is($r->{json}{created}, 100) or diag $r->{content};
    is($first->get('/m2/_count?q=run:p')->{json}{count}, 100);
};

subtest 'another node is asked when one has gone' => sub {
    $first->kill9;
    my $r;
    QdNode->wait_for(sub { $r = $without->put('/m3/_doc/1?pipeline=p&timeout=5s', { a => 1 }); $r->{status} == 201 }, 30);
    is($r->{status}, 201) or diag $r->{content};
    is_deeply($last->get('/m3/_doc/1')->{json}{_source}, { a => 1, run => ['p'] });
};

is($c->stop, 0, 'all nodes stop');
done_testing;
