# wait_for_completion=false of _forcemerge, and of _clone, _split and _shrink as OpenSearch has it: a task answers at once,
# its result is kept and read on every node; what is wrong with the request is told at once, what is wrong with the
# index is the result; a task can be cancelled, and holds up no node that stops.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use QdNode;

sub reason { return $_[0]{json}{error}{reason} // '' }
sub result { my ($n, $id) = @_; return $n->get("/_tasks/$id?wait_for_completion=true&timeout=60s")->{json} }
sub task_of {
    my ($r, $what) = @_;
    is($r->{status}, 200, "$what is answered") or diag $r->{content};
    is_deeply([keys %{ $r->{json} }], ['task'], '... by a task');
    return $r->{json}{task};
}

subtest 'a forced merge' => sub {
    my $c = QdCluster->new('bg', nodes => 2);
    $c->start;
    my @n = $c->nodes;
    $n[0]->put('/src', {settings => {number_of_shards => 2, number_of_replicas => 0, refresh_interval => '-1', 'index.merge.policy.segments_per_tier' => 50}});
    for my $k (0 .. 4) { $n[0]->post('/src/_bulk?refresh=true', join '', map { qq({"index":{}}\n{"n":$_}\n) } 1 .. 20) }
    my $segments = sub { my ($s) = values %{ $n[0]->get('/src/_segments')->{json}{indices} }; return join ' ', map { scalar keys %{ $_->[0]{segments} } } map { $s->{shards}{$_} } sort keys %{ $s->{shards} } };
    isnt($segments->(), '1 1', 'segments');
    my $id = task_of($n[1]->post('/src/_forcemerge?max_num_segments=1&wait_for_completion=false'), 'the request');
    my $t = result($n[0], $id);
    ok($t->{completed}, 'it ends, as the other node tells');
    is_deeply([@{ $t->{response}{_shards} }{qw(total successful failed)}], [2, 2, 0], 'its result is that of the request');
    is_deeply([@{ $t->{task} }{qw(action description)}], ['indices:admin/forcemerge', 'Force-merge indices [src], maxSegments[1], onlyExpungeDeletes[false], flush[true]'], 'and says what it was');
    is($segments->(), '1 1', 'it has merged');
    is($n[0]->get("/.tasks/_doc/$id")->{json}{_source}{completed}, JSON::PP::true, 'the result is kept');
    is($n[0]->post("/_reindex/$id/_rethrottle?requests_per_second=1")->{status}, 404, 'no job of batches');

    is($n[1]->get("/_tasks/@{[$id =~ s{:.*}{}r]}:987654321")->{status}, 404, 'one that there never was');
    $id = task_of($n[0]->post('/none/_forcemerge?wait_for_completion=false'), 'an index that there is not');
    $t = result($n[1], $id);
    is_deeply([$t->{completed} ? 1 : 0, $t->{error}{type}, $t->{error}{reason}, $t->{response}], [1, 'index_not_found_exception', 'no such index [none]', undef], 'is an error of the result');
    is($n[0]->post('/none/_forcemerge')->{status}, 404, 'which who waits is told');
    for my $case (['max_num_segments=x', qr/max_num_segments/], ['only_expunge_deletes=true&max_num_segments=2', qr/mutually exclusive/], ['flush=so', qr/Failed to parse value \[so\]/]) {
        my $r = $n[0]->post("/src/_forcemerge?wait_for_completion=false&$case->[0]");
        is($r->{status}, 400, "$case->[0] is refused at once");
        like(reason($r), $case->[1], '... with the reason');
    }
    is($n[0]->post('/src/_forcemerge?wait_for_completion=later')->{status}, 400, 'a parameter that is no boolean');
    $n[0]->put('/src/_block/write');
    for my $p ('wait_for_completion=false', 'task_execution_timeout=1s') {
        my $r = $n[0]->put("/src/_clone/x?$p");
        is($r->{status}, 400, "Elasticsearch's _clone has no $p");
        like(reason($r), qr/unrecognized parameter: \[\Q@{[$p =~ s{=.*}{}r]}\E\]/, '... and names it');
    }
    is($n[0]->head('/x')->{status}, 404, 'nothing is made');
    is($c->stop, 0, 'the nodes stop');
};

subtest 'a resize, as OpenSearch has it' => sub {
    my $n = QdNode->new('bgos', settings => {'compatibility.identity' => 'os2'});
    $n->start;
    $n->put('/src', {settings => {number_of_shards => 2, number_of_replicas => 0}});
    $n->post('/src/_bulk?refresh=true', join '', map { qq({"index":{"_id":"$_"}}\n{"n":$_}\n) } 1 .. 50);
    my $t = result($n, task_of($n->put('/src/_clone/early?wait_for_completion=false'), 'a source that takes writes'));
    like($t->{error}{reason}, qr/must be read-only to resize index/, 'is an error of the result');
    $n->put('/src/_block/write');
    my %open = ('index.blocks.write' => undef);
    for my $case ([_clone => {%open}], [_split => {%open, 'index.number_of_shards' => 4}], [_shrink => {%open}]) {
        my ($how, $settings) = @$case;
        $t = result($n, task_of($n->put("/src/$how/t$how?wait_for_completion=false", {settings => $settings}), $how));
        is_deeply($t->{response}, {acknowledged => JSON::PP::true, shards_acknowledged => JSON::PP::true, index => "t$how"}, '... with its result');
        is($t->{task}{action}, 'indices:admin/resize', '... under its name');
        $n->post("/t$how/_refresh");
        is($n->get("/t$how/_count")->{json}{count}, 50, '... has the documents');
    }
    $t = result($n, task_of($n->put('/none/_clone/x?wait_for_completion=false'), 'no source'));
    is($t->{error}{type}, 'index_not_found_exception', 'is an error of the result');
    for my $case (['/src/_clone/x?wait_for_completion=false', {mappings => {}}, qr/unknown field \[mappings\]/], ['/src/_clone/x?wait_for_completion=false&task_execution_timeout=soon', undef, qr/task_execution_timeout/],
        ['/src/_clone/x?task_execution_timeout=1s', undef, qr/only with \[wait_for_completion=false\]/]) {
        my $r = $n->put($case->[0], $case->[1]);
        is($r->{status}, 400, 'refused at once') or diag $r->{content};
        like(reason($r), $case->[2], '... with the reason');
    }
    my $two = {settings => {%open, number_of_replicas => 1}};
    $t = result($n, task_of($n->put('/src/_clone/short?wait_for_completion=false&wait_for_active_shards=2&task_execution_timeout=100ms', $two), 'copies that there is no node for'));
    is_deeply([$t->{response}{acknowledged}, $t->{response}{shards_acknowledged}], [JSON::PP::true, JSON::PP::false], 'are waited for as long as was asked for');
    my $id = task_of($n->put('/src/_clone/long?wait_for_completion=false&wait_for_active_shards=2', $two), 'or an hour');
    ok(QdNode->wait_for(sub { $n->head('/long')->{status} == 200 }, 20), 'the index is made');
    my $running = $n->get("/_tasks/$id")->{json};
    is_deeply([$running->{completed}, $running->{task}{action}], [JSON::PP::false, 'indices:admin/resize'], 'the task runs');
    my $r = $n->post("/_tasks/$id/_cancel");
    is($r->{status}, 200, 'cancelled') or diag $r->{content};
    $t = result($n, $id);
    ok($t->{completed} && $t->{task}{cancelled}, '... it ends, and says so');
    task_of($n->put('/src/_clone/longer?wait_for_completion=false&wait_for_active_shards=2', $two), 'another one');
    ok(QdNode->wait_for(sub { $n->head('/longer')->{status} == 200 }, 20), 'runs');
    my $from = time;
    is($n->stop, 0, 'the node stops');
    ok(time - $from < 30, '... without waiting for it');
};

done_testing;
