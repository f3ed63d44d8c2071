# Lifecycle policies on three nodes: an alias and a data stream that roll over, are merged, made read-only and deleted by
# themselves; explain, errors and retry, move, stop and start, remove; the elected node dies; idle indices write nothing.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('lc', nodes => 3);
$c->start;
my @n = $c->nodes;
is($n[0]->put('/_cluster/settings', {persistent => {'indices.lifecycle.poll_interval' => '1s'}})->{status}, 200, 'policies are looked at each second');
sub reason { return $_[0]{json}{error}{reason} // '' }
sub at { my ($i, $n) = @_; return ($n || $n[1])->get("/$i/_ilm/explain")->{json}{indices}{$i} }
sub comes { my ($what, $fn, $seconds) = @_; ok(QdNode->wait_for($fn, $seconds || 30), $what) }

subtest 'policies' => sub {
    my $policy = {phases => {hot => {actions => {set_priority => {priority => 100}, rollover => {max_docs => 2}}},
        warm => {min_age => '0s', actions => {set_priority => {priority => 50}, readonly => {}, forcemerge => {max_num_segments => 1}}},
        delete => {min_age => '1h', actions => {delete => {}}}}, _meta => {by => 'test'}};
    is($n[0]->put('/_ilm/policy/p', {policy => $policy})->{status}, 200, 'stored');
    is($n[0]->put('/_ilm/policy/p', {policy => $policy})->{status}, 200, 'stored again');
    my $p = $n[2]->get('/_ilm/policy/p')->{json}{p};
    is_deeply([$p->{version}, $p->{policy}, $p->{in_use_by}{indices}], [2, $policy, []], 'read on another node');
    ok($n[1]->get('/_ilm/policy')->{json}{p}, 'in the list');
    is($n[1]->get('/_ilm/policy/none')->{status}, 404, 'one that is not there');
    for my $case (
        [{phases => {hot => {actions => {searchable_snapshot => {}}}}}, qr/action \[searchable_snapshot\] in phase \[hot\] is not supported by this version/],

        [{phases => {frozen => {}}}, qr/phase \[frozen\] is not supported/],
        [{phases => {warm => {actions => {rollover => {max_docs => 1}}}}}, qr/invalid action \[rollover\] defined in phase \[warm\]/],
        [{phases => {hot => {actions => {readonly => {}}}}}, qr/\[readonly\] action\(s\) may not be used in the \[hot\] phase without an accompanying \[rollover\]/],
        [{phases => {hot => {actions => {rollover => {max_weight => 1}}}}}, qr/unknown field \[max_weight\]/],
        [{phases => {hot => {actions => {rollover => {}}}}}, qr/At least one max_\* rollover condition/],
        [{phases => {hot => {actions => {rollover => {max_age => '1x'}}}}}, qr/max_age/],
        [{phases => {hot => {actions => {set_priority => {priority => -1}}}}}, qr/\[priority\] must be 0 or greater/],
        [{phases => {warm => {actions => {forcemerge => {max_num_segments => 0}}}}}, qr/\[max_num_segments\] must be a positive integer/],
        [{phases => {warm => {min_age => 'soon'}}}, qr/min_age/],
        [{phases => {warm => {other => 1}}}, qr/unknown field \[other\]/],
        [{}, qr/\[phases\] is required/],
    ) {
        my $r = $n[0]->put('/_ilm/policy/bad', {policy => $case->[0]});
        is($r->{status}, 400, 'refused') or diag $r->{content};
        like(reason($r), $case->[1], '... with the reason');
    }
    is($n[0]->get('/_ilm/policy/bad')->{status}, 404, 'and not stored');
};

subtest 'an alias' => sub {
    $n[0]->put('/_index_template/app', {index_patterns => ['app-*'], template => {settings => {number_of_replicas => 1, 'index.lifecycle.name' => 'p', 'index.lifecycle.rollover_alias' => 'app'}}});
    my $r = $n[0]->put('/app-000001', {aliases => {app => {is_write_index => \1}}});
    is($r->{headers}{warning}, undef, 'the settings have their effect');
    comes('the index waits for its rollover', sub { (at('app-000001')->{step} // '') eq 'check-rollover-ready' });
    my $e = at('app-000001');
    is_deeply([@$e{qw(policy phase action)}, $e->{managed} ? 1 : 0, $e->{phase_execution}{version}], ['p', 'hot', 'rollover', 1, 2], 'explained');
    is($n[0]->get('/app-000001/_settings')->{json}{'app-000001'}{settings}{index}{priority}, '100', 'with its priority');
    is($n[0]->delete('/_ilm/policy/p')->{status}, 400, 'the policy is in use');
    is($n[0]->head('/app-000002')->{status}, 404, 'an empty index is not rolled over');
    $n[0]->post('/app/_doc?refresh=true', {a => $_}) for 1 .. 3;
    comes('with documents it is', sub { $n[2]->head('/app-000002')->{status} == 200 });
    comes('the old one goes through its next phase', sub { my $x = at('app-000001'); $x->{phase} eq 'warm' && $x->{step} eq 'complete' });
    my $s = $n[0]->get('/app-000001/_settings')->{json}{'app-000001'}{settings}{index};
    is_deeply([$s->{priority}, $s->{blocks}{write}], ['50', 'true'], '... where it gets another priority and is read-only');
    my $segments = $n[0]->get('/app-000001/_segments')->{json}{indices}{'app-000001'}{shards}{0};
    my ($primary) = grep { $_->{routing}{primary} } @$segments;
    is(scalar keys %{ $primary->{segments} }, 1, '... with one segment');
    is($n[0]->post('/app/_doc?refresh=true', {a => 4})->{json}{_index}, 'app-000002', 'writes go on');
    is($n[1]->get('/app/_count')->{json}{count}, 4, 'and all is found');
};

subtest 'a data stream, to its end' => sub {
    $n[0]->put('/_ilm/policy/short', {policy => {phases => {hot => {actions => {rollover => {max_docs => 1}}}, delete => {min_age => '0s', actions => {delete => {}}}}}});
    $n[0]->put('/_index_template/logs', {index_patterns => ['logs-*'], data_stream => {}, template => {settings => {number_of_replicas => 1, 'index.lifecycle.name' => 'short'}}});
    is($n[1]->post('/logs-a/_doc?refresh=true', {'@timestamp' => 1})->{status}, 201, 'a document');
    my $name = sub { join ' ', map { $_->{index_name} =~ /(\d+)$/ } @{ $n[0]->get('/_data_stream/logs-a')->{json}{data_streams}[0]{indices} } };
    comes('its index is rolled over, and deleted', sub { $name->() eq '000002' });
    is_deeply($n[2]->get('/_ilm/policy/short')->{json}{short}{in_use_by}{data_streams}, ['logs-a'], 'the policy tells its stream');
};

subtest 'a data stream with a lifecycle of its own' => sub {
    is($n[0]->put('/_index_template/own', {index_patterns => ['own-*'], data_stream => {}, template => {settings => {number_of_replicas => 1}, lifecycle => {data_retention => '7d'}}})->{status}, 200, 'a template with one');
    $n[0]->post('/own-a/_doc?refresh=true', {'@timestamp' => 1});
    my $get = sub { $n[1]->get('/_data_stream/own-a/_lifecycle')->{json}{data_streams}[0]{lifecycle} };
    is_deeply($get->(), {enabled => JSON::PP::true, data_retention => '7d'}, 'its stream has it');
    my $i = $n[0]->get('/_data_stream/own-a')->{json}{data_streams}[0]{indices}[0];
    is($i->{managed_by}, 'Data stream lifecycle', 'and tells so');
    my $e = $n[2]->get("/own-a/_lifecycle/explain")->{json}{indices}{$i->{index_name}};
    ok($e->{managed_by_lifecycle} && $e->{lifecycle}{data_retention} eq '7d' && !$e->{rollover_date_millis}, 'explained');
    is($n[0]->post('/own-a/_rollover')->{status}, 200, 'rolled over');
    is($n[1]->put('/_data_stream/own-a/_lifecycle', {data_retention => '1s'})->{status}, 200, 'kept for a second');
    comes('what is older is deleted', sub { $n[0]->head("/$i->{index_name}")->{status} == 404 });
    is(scalar @{ $n[0]->get('/_data_stream/own-a')->{json}{data_streams}[0]{indices} }, 1, 'the write index stays');
    is($n[0]->get('/_data_stream/own-a')->{json}{data_streams}[0]{generation}, 2, 'and the generation');
    for my $bad ({data_retention => 'long'}, {downsampling => []}, {enabled => 1}) { is($n[0]->put('/_data_stream/own-a/_lifecycle', $bad)->{status}, 400, 'refused: ' . join ' ', keys %$bad) }
    is($n[0]->put('/_data_stream/own-none/_lifecycle', {})->{status}, 404, 'of no stream');
    is($n[0]->delete('/_data_stream/own-a/_lifecycle')->{status}, 200, 'taken away');
    is($get->(), undef, 'it has none');
};

subtest 'errors, retry, move, remove' => sub {
    $n[0]->put('/lone', {settings => {number_of_replicas => 1, 'index.lifecycle.name' => 'p'}});
    comes('an index without alias fails', sub { (at('lone')->{step} // '') eq 'ERROR' });
    my $e = at('lone');
    is($e->{failed_step}, 'check-rollover-ready', 'at its rollover');
    like($e->{step_info}{reason}, qr/setting \[index\.lifecycle\.rollover_alias\] for index \[lone\] is empty/, 'for a reason');
    is_deeply([keys %{ $n[0]->get('/_all/_ilm/explain?only_errors=true')->{json}{indices} }], ['lone'], 'it is the only one');
    is($n[0]->post('/app-000002/_ilm/retry')->{status}, 400, 'what has not failed is not tried again');
    is($n[0]->post('/lone/_ilm/retry')->{status}, 200, 'it is tried again');
    is($n[0]->put('/lone/_settings', {'index.lifecycle.indexing_complete' => \1})->{status}, 200, 'the cause is mended');
    comes('and goes on by itself', sub { my $x = at('lone'); $x->{phase} eq 'warm' && $x->{step} eq 'complete' });
    my %now = map { $_ => at('lone')->{$_} } qw(phase action);
    my $r = $n[0]->post('/_ilm/move/lone', {current_step => {phase => 'hot', action => 'rollover', name => 'check-rollover-ready'}, next_step => {phase => 'delete'}});
    like(reason($r), qr/index \[lone\] is not on current step/, 'moved from where it is not');
    is($n[0]->post('/_ilm/move/lone', {current_step => {%now, name => 'complete'}, next_step => {phase => 'cold'}})->{status}, 400, 'to a phase that there is not');
    is($n[2]->post('/_ilm/move/lone', {current_step => {%now, name => 'complete'}, next_step => {phase => 'delete', action => 'delete', name => 'delete'}})->{status}, 200, 'moved');
    comes('it is deleted', sub { $n[0]->head('/lone')->{status} == 404 });
    $n[0]->put('/gone', {settings => {number_of_replicas => 1, 'index.lifecycle.name' => 'nosuch'}});
    like(at('gone')->{step_info}{reason}, qr/policy does not exist/, 'a policy that there is not');
    is_deeply($n[0]->post('/gone/_ilm/remove')->{json}, {has_failures => JSON::PP::false, failed_indexes => []}, 'taken out of it');
    ok(!at('gone')->{managed}, 'it has none any more');
};

subtest 'idle indices write nothing' => sub {
    $n[0]->put("/idle-$_", {settings => {number_of_replicas => 0, 'index.lifecycle.name' => 'p', 'index.lifecycle.rollover_alias' => "idle$_"}, aliases => {"idle$_" => {is_write_index => \1}}}) for 1 .. 20;
    comes('all wait', sub { my $e = $n[0]->get('/idle-*/_ilm/explain')->{json}{indices}; 20 == grep { $_->{step} eq 'check-rollover-ready' } values %$e });
    my $figures = sub { my ($s) = values %{ $n[0]->get('/.lifecycle/_stats/indexing?level=shards')->{json}{indices} }; return $s->{primaries}{indexing}{index_total} . ' ' . $n[0]->get('/_cluster/state/version')->{json}{version} };
    my $before = $figures->();
    my $t = time;
    QdNode->wait_for(sub { time - $t >= 4 }, 6);
    is($figures->(), $before, 'over four looks at them, neither documents nor the state');
};

subtest 'stopped, and another node' => sub {
    is($n[0]->post('/_ilm/stop')->{status}, 200, 'stopped');
    is($n[2]->get('/_ilm/status')->{json}{operation_mode}, 'STOPPED', 'all nodes know');
    $n[0]->post('/app/_doc?refresh=true', {a => $_}) for 5 .. 7;
    my ($master) = map { $_->get('/_cat/master?h=node&format=json')->{json}[0]{node} } $n[0];
    my ($k) = grep { $n[$_]{name} eq $master } 0 .. 2;
    $c->kill9($k);
    my ($other) = $c->alive;
    comes('another node is elected', sub { my $m = $other->get('/_cat/master?h=node&format=json'); $m->{status} == 200 && ($m->{json}[0]{node} // '') ne $master });
    is($other->head('/app-000003')->{status}, 404, 'nothing is rolled over');
    comes('started', sub { $other->post('/_ilm/start')->{status} == 200 });
    comes('it goes on there', sub { $other->head('/app-000003')->{status} == 200 }, 40);
    comes('to the end', sub { my $x = at('app-000002', $other); ($x->{phase} // '') eq 'warm' && $x->{step} eq 'complete' }, 40);
    is(at('app-000001', $other)->{step}, 'complete', 'what was done stays done');
    $n[$k]->start;
    ok($c->wait_status('green'), 'the node is back');
};

is($c->stop, 0, 'the nodes stop');
done_testing;
