# Policies of OpenSearch's index state management on three nodes: stored under a condition, listed, refused by name; an alias that
# rolls over through two states; templates; errors with retries; change_policy, remove; the elected node dies; 1,000 idle indices
# write nothing.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;

my $c = QdCluster->new('ism', nodes => 3, settings => {'compatibility.identity' => 'os2'});
$c->start;
my @n = $c->nodes;
my $ism = '/_plugins/_ism';
is($n[0]->put('/_cluster/settings', {persistent => {'indices.lifecycle.poll_interval' => '1s'}})->{status}, 200, 'policies are looked at each second');
sub reason { return $_[0]{json}{error}{reason} // '' }
sub at { my ($i, $n) = @_; return ($n || $n[1])->get("$ism/explain/$i")->{json}{$i} || {} }
sub comes { my ($what, $fn, $seconds) = @_; ok(QdNode->wait_for($fn, $seconds || 30), $what) }
sub policy { my (@states) = @_; return {description => 'test', default_state => $states[0]{name}, states => \@states} }
sub state { my ($name, $actions, @next) = @_; return {name => $name, actions => $actions, transitions => \@next} }

subtest 'policies' => sub {
    my $p = policy(state('hot', [{rollover => {min_doc_count => 2}}], {state_name => 'warm'}), state('warm', [{read_only => {}}]));
    my $r = $n[0]->put("$ism/policies/p", {policy => $p});
    is($r->{status}, 201, 'stored') or diag $r->{content};
    is_deeply([@{ $r->{json} }{qw(_id _version _primary_term)}], ['p', 1, 1], 'with its numbers');
    my $got = $r->{json}{policy}{policy};
    is_deeply($got->{states}[0]{actions}, [{retry => {count => 3, backoff => 'exponential', delay => '1m'}, rollover => {min_doc_count => 2, copy_alias => JSON::PP::false}}], 'shown with defaults');
    is_deeply([@$got{qw(policy_id description default_state schema_version error_notification)}], ['p', 'test', 'hot', 21, undef], 'and members');
    like(reason($n[1]->put("$ism/policies/p", {policy => $p})), qr/\[p\]: version conflict, document already exists \(current version \[1\]\)/, 'not over another without a condition');
    my $seq = $r->{json}{_seq_no};
    is($n[1]->put("$ism/policies/p?if_seq_no=" . ($seq + 1) . '&if_primary_term=1', {policy => $p})->{status}, 409, 'nor under a wrong one');
    $r = $n[1]->put("$ism/policies/p?if_seq_no=$seq&if_primary_term=1", {policy => $p});
    is_deeply([$r->{status}, $r->{json}{_version}], [200, 2], 'under the right one');
    $r = $n[2]->get("$ism/policies/p");
    is_deeply([$r->{status}, $r->{json}{_version}, $r->{json}{policy}{policy_id}], [200, 2, 'p'], 'read on another node');
    is($n[2]->head("$ism/policies/p")->{status}, 200, 'it exists');
    is($n[2]->head("$ism/policies/none")->{status}, 404, 'another does not');
    is_deeply([@{ $n[2]->get("$ism/policies/none")->{json}{error} }{qw(type reason)}], ['status_exception', 'Policy not found'], '... and tells so');
    $n[0]->put("$ism/policies/q", {policy => $p});
    $r = $n[1]->get("$ism/policies")->{json};
    is_deeply([$r->{total_policies}, map { $_->{_id} } @{ $r->{policies} }], [2, 'p', 'q'], 'listed');
    $r = $n[1]->get("$ism/policies?size=1&sortOrder=desc")->{json};
    is_deeply([$r->{total_policies}, map { $_->{_id} } @{ $r->{policies} }], [2, 'q'], 'by pages, downwards');
    is_deeply([map { $_->{_id} } @{ $n[1]->get("$ism/policies?queryString=q*")->{json}{policies} }], ['q'], 'by a pattern');
    $r = $n[1]->delete("$ism/policies/q");
    is_deeply([$r->{status}, $r->{json}{result}], [200, 'deleted'], 'deleted');
    is($n[1]->delete("$ism/policies/q")->{status}, 404, 'not twice');
    for my $case (
        [policy(state('a', [{notification => {}}])), qr/action \[notification\] is not supported by this version/],
        [policy(state('a', [{snapshot => {}}])), qr/action \[snapshot\] is not supported/],
        [policy(state('a', [{rollup => {}}])), qr/action \[rollup\] is not supported/],
        [policy(state('a', [{other => {}}])), qr/Invalid field: \[other\] found in Action/],
        [policy(state('a', [], {state_name => 'b'})), qr/Policy contains a transition in state=a pointing to a nonexistent state=b/],
        [policy(state('a', []), state('a', [])), qr/Policy cannot have duplicate state names/],
        [{%{ policy(state('a', [])) }, default_state => 'b'}, qr/Policy must have a valid default state/],
        [policy(state('a', [{delete => {}}, {read_only => {}}])), qr/State=a must not contain an action after a delete action/],
        [policy(state('a', [{delete => {}}], {state_name => 'a'})), qr/State=a cannot contain transitions if using delete action/],
        [policy(state('a', [], {state_name => 'a', conditions => {min_doc_count => 1, min_index_age => '1d'}})), qr/Cannot provide more than one Transition condition/],
        [policy(state('a', [], {state_name => 'a', conditions => {min_doc_count => 0}})), qr/Transition doc count condition must be greater than 0/],
        [policy(state('a', [], {state_name => 'a', conditions => {cron => {cron => {expression => '61 * * * *', timezone => 'UTC'}}}})), qr/Cron expression \[61 \* \* \* \*\]/],
        [policy(state('a', [{replica_count => {number_of_replicas => -1}}])), qr/non-negative/],
        [policy(state('a', [{force_merge => {max_num_segments => 0}}])), qr/must be greater than 0/],
        [policy(state('a', [{rollover => {min_docs => 1}}])), qr/Invalid field: \[min_docs\] found in RolloverAction/],
        [policy(state('a', [{read_only => {}, retry => {count => -1}}])), qr/Count for ActionRetry must be a non-negative number/],
        [policy(state('a', [{allocation => {}}])), qr/At least one allocation parameter/],
        [policy(state('a', [{alias => {actions => [{add => {index => 'i', alias => 'b'}}]}}])), qr/Alias action can only work on its applied index/],
        [{%{ policy(state('a', [])) }, error_notification => {channel => {id => 'x'}}}, qr/\[error_notification\] of a policy is not supported/],
        [{%{ policy(state('a', [])) }, ism_template => {index_patterns => [], priority => 1}}, qr/Requires at least one index pattern/],
        [{states => [state('a', [])], default_state => 'a'}, qr/description is null/],
    ) {
        my $r = $n[0]->put("$ism/policies/bad", {policy => $case->[0]});
        is($r->{status}, 400, 'refused') or diag $r->{content};
        like(reason($r), $case->[1], '... with the reason');
    }
    is($n[0]->get("$ism/policies/bad")->{status}, 404, 'and not stored');
    $n[0]->put('/_cluster/settings', {persistent => {'plugins.index_state_management.allow_list' => ['delete']}});
    is($n[0]->put("$ism/policies/bad", {policy => $p})->{status}, 403, 'an action that the cluster does not allow');
    $n[0]->put('/_cluster/settings', {persistent => {'plugins.index_state_management.allow_list' => undef}});
};

subtest 'an alias, through its states' => sub {
    my $p = policy(
        state('hot', [{index_priority => {priority => 100}}, {rollover => {min_doc_count => 2, copy_alias => \1}}], {state_name => 'warm'}),
        state('warm', [{read_only => {}}, {replica_count => {number_of_replicas => 2}}, {force_merge => {max_num_segments => 1}},
            {alias => {actions => [{add => {alias => 'old-app'}}]}}], {state_name => 'delete', conditions => {min_rollover_age => '1h'}}),
        state('delete', [{delete => {}}]));
    is($n[0]->put("$ism/policies/app", {policy => {%$p, ism_template => [{index_patterns => ['app-*'], priority => 10}]}})->{status}, 201, 'a policy with a template');
    like(reason($n[0]->put("$ism/policies/app2", {policy => {%$p, ism_template => {index_patterns => ['ap*1'], priority => 10}}})), qr/please use a different priority than 10/, 'another one meets it');
    $n[0]->put('/_index_template/app', {index_patterns => ['app-*'], template => {settings => {number_of_replicas => 1, 'index.plugins.index_state_management.rollover_alias' => 'app'}}});
    $n[0]->put('/app-000001', {aliases => {app => {is_write_index => \1}, side => {}}});
    comes('the index gets the policy and waits', sub { (at('app-000001')->{action}{name} // '') eq 'rollover' });
    my $e = at('app-000001');
    is_deeply([$e->{'index.plugins.index_state_management.policy_id'}, $e->{policy_id}, $e->{state}{name}, $e->{action}{index}, $e->{step}{name}, $e->{step}{step_status}, $e->{enabled} ? 1 : 0],
        ['app', 'app', 'hot', 1, 'attempt_rollover', 'condition_not_met', 1], 'explained') or diag explain $e;
    is($e->{info}{message}, 'Rollover conditions not met [index=app-000001]', 'with why it waits');
    is($n[0]->get("$ism/explain/app-000001?show_policy=true")->{json}{'app-000001'}{policy}{policy_id}, 'app', 'and its policy');
    is($n[0]->get("$ism/explain/app-000001?validate_action=true")->{json}{'app-000001'}{validate}{validation_status}, 'passed', 'and whether it could go on');
    is($n[0]->get('/app-000001/_settings')->{json}{'app-000001'}{settings}{index}{priority}, '100', 'with its priority');
    $n[0]->post('/app/_doc?refresh=true', {a => $_}) for 1 .. 2;
    comes('with documents it is rolled over', sub { $n[2]->head('/app-000002')->{status} == 200 });
    comes('the old one goes on', sub { (at('app-000001')->{state}{name} // '') eq 'warm' && (at('app-000001')->{action}{name} // '') eq 'transition' });
    my $s = $n[0]->get('/app-000001')->{json}{'app-000001'};
    is_deeply([$s->{settings}{index}{blocks}{write}, $s->{settings}{index}{number_of_replicas}, join ' ', sort keys %{ $s->{aliases} }], ['true', '2', 'app old-app side'], 'read-only, with two replicas and another alias');
    is_deeply([sort keys %{ $n[0]->get('/app-000002')->{json}{'app-000002'}{aliases} }], ['app', 'side'], 'the new one has the aliases');
    my ($primary) = grep { $_->{routing}{primary} } @{ $n[0]->get('/app-000001/_segments')->{json}{indices}{'app-000001'}{shards}{0} };
    is(scalar keys %{ $primary->{segments} }, 1, '... and one segment');
    is(at('app-000001')->{info}{message}, 'Evaluating transition conditions [index=app-000001]', 'it waits for its age');
    comes('the new one has the policy', sub { (at('app-000002')->{step}{name} // '') eq 'attempt_rollover' });
    my $all = $n[1]->get("$ism/explain")->{json};
    is_deeply([$all->{total_managed_indices}, sort grep { /^app/ } keys %$all], [2, 'app-000001', 'app-000002'], 'all are listed');
    $all = $n[1]->post("$ism/explain", {filter => {state => 'warm'}})->{json};
    is_deeply([sort grep { /^app/ } keys %$all], ['app-000001'], 'or those of a state');
};

subtest 'add, change, remove, close, open' => sub {
    $n[0]->put("/one", {settings => {number_of_replicas => 0}});
    my $r = $n[1]->get("$ism/explain/one")->{json};
    is_deeply($r, {one => {'index.plugins.index_state_management.policy_id' => undef, 'index.opendistro.index_state_management.policy_id' => undef, enabled => undef}, total_managed_indices => 0}, 'an index without a policy');
    is($n[0]->put("$ism/policies/shut", {policy => policy(state('a', [{close => {}}], {state_name => 'b'}), state('b', [{open => {}}, {read_write => {}}], {state_name => 'c', conditions => {min_doc_count => 1}}), state('c', []))})->{status}, 201, 'a policy');
    is_deeply([@{ $n[0]->post("$ism/add/one", {policy_id => 'nosuch'})->{json}{error} }{qw(type reason)}], ['status_exception', 'Could not find policy=nosuch'], 'one that there is not');
    is_deeply($n[0]->post("$ism/add/one", {policy_id => 'shut'})->{json}, {updated_indices => 1, failures => JSON::PP::false, failed_indices => []}, 'added');
    $r = $n[0]->post("$ism/add/one", {policy_id => 'shut'})->{json};
    like($r->{failed_indices}[0]{reason}, qr/already has a policy/, 'not twice');
    comes('it is closed and opened', sub { (at('one')->{state}{name} // '') eq 'b' && (at('one')->{action}{name} // '') eq 'transition' });
    is($n[0]->put("$ism/policies/other", {policy => policy(state('b', [], {state_name => 'x', conditions => {min_index_age => '1s'}}), state('x', [{index_priority => {priority => 7}}]))})->{status}, 201, 'another policy');
    is_deeply($n[0]->post("$ism/change_policy/one", {policy_id => 'other', include => [{state => 'a'}]})->{json}{updated_indices}, 0, 'indices of another state stay');
    is($n[0]->post("$ism/change_policy/one", {policy_id => 'other', state => 'nosuch'})->{status}, 400, 'a state that there is not');
    is_deeply($n[0]->post("$ism/change_policy/one", {policy_id => 'other'})->{json}{updated_indices}, 1, 'changed');
    comes('it goes through the other', sub { at('one')->{policy_completed} });
    is_deeply([at('one')->{policy_id}, $n[0]->get('/one/_settings')->{json}{one}{settings}{index}{priority}], ['other', '7'], '... with effect');
    is_deeply($n[0]->post("$ism/remove/one")->{json}{updated_indices}, 1, 'removed');
    is($n[0]->get('/one/_settings')->{json}{one}{settings}{index}{plugins}{index_state_management}{auto_manage}, 'false', 'and no template takes it');
    like($n[0]->post("$ism/remove/one")->{json}{failed_indices}[0]{reason}, qr/does not have a policy to remove/, 'not twice');
    is(at('one')->{enabled}, undef, 'it has none any more');
};

subtest 'errors and retries' => sub {
    is($n[0]->put("$ism/policies/bare", {policy => policy(state('a', [{retry => {count => 1, backoff => 'constant', delay => '1s'}, rollover => {min_doc_count => 1}}], {state_name => 'b'}), state('b', []))})->{status}, 201, 'a policy');
    $n[0]->put('/bare', {settings => {number_of_replicas => 0, 'index.plugins.index_state_management.policy_id' => 'bare'}});
    comes('an index without alias fails in the end', sub { at('bare')->{action}{failed} });
    my $e = at('bare');
    is_deeply([$e->{action}{consumed_retries}, $e->{step}{step_status}, $e->{enabled} ? 1 : 0, $e->{info}{message}], [1, 'failed', 0, 'Missing rollover_alias index setting [index=bare]'], 'after a retry, for a reason');
    like($n[0]->post("$ism/retry/app-000002")->{json}{failed_indices}[0]{reason}, qr/not in failed state/, 'what has not failed is not tried again');
    $n[0]->put('/bare/_settings', {'index.plugins.index_state_management.rollover_skip' => \1});
    is_deeply($n[0]->post("$ism/retry/bare")->{json}, {updated_indices => 1, failures => JSON::PP::false, failed_indices => []}, 'it is tried again');
    comes('and goes to its end', sub { at('bare')->{policy_completed} });
    $n[0]->put('/late', {settings => {number_of_replicas => 0, 'index.plugins.index_state_management.policy_id' => 'nosuch'}});
    comes('a policy that there is not', sub { (at('late')->{info}{message} // '') eq 'Fail to load policy: nosuch' });
};

subtest 'a data stream, to its end' => sub {
    $n[0]->put("$ism/policies/ds", {policy => {%{ policy(state('a', [{rollover => {min_doc_count => 1}}], {state_name => 'b'}), state('b', [{delete => {}}])) }, ism_template => {index_patterns => ['logs-*']}}});
    $n[0]->put('/_index_template/logs', {index_patterns => ['logs-*'], data_stream => {}, template => {settings => {number_of_replicas => 1}}});
    is($n[1]->post('/logs-a/_doc?refresh=true', {'@timestamp' => 1})->{status}, 201, 'a document');
    comes('its index is rolled over, and deleted', sub { join(' ', map { $_->{index_name} =~ /(\d+)$/ } @{ $n[0]->get('/_data_stream/logs-a')->{json}{data_streams}[0]{indices} }) eq '000002' });
};

subtest 'a shrink' => sub {
    $n[0]->put("$ism/policies/small", {policy => policy(state('a', [{shrink => {num_new_shards => 1, switch_aliases => \1}}]))});
    $n[0]->put('/wide', {settings => {number_of_shards => 4, number_of_replicas => 1}, aliases => {w => {}}});
    $n[0]->post('/wide/_doc?refresh=true', {a => $_}) for 1 .. 20;
    $n[0]->post("$ism/add/wide", {policy_id => 'small'});
    comes('the index is shrunken', sub { at('wide')->{policy_completed} }, 90) or diag explain [at('wide'), $n[0]->get('/_cat/shards/wide*')->{content}];
    my $s = $n[0]->get('/wide_shrunken')->{json}{wide_shrunken};
    is_deeply([$s->{settings}{index}{number_of_shards}, join(' ', keys %{ $s->{aliases} }), $n[0]->get('/wide_shrunken/_count')->{json}{count}], ['1', 'w', 20], 'with its documents and its alias');
    is($n[0]->head('/wide')->{status}, 200, 'beside the old one');
};

subtest 'idle indices write nothing' => sub {
    $n[0]->put("$ism/policies/idle", {policy => {%{ policy(state('a', [{read_write => {}}], {state_name => 'b', conditions => {min_index_age => '30d'}}), state('b', [])) }, ism_template => {index_patterns => ['idle-*']}}});
    is($n[0]->put('/_cluster/settings', {persistent => {'cluster.max_shards_per_node' => 2000}})->{status}, 200, 'room for many');
    my $count = $ENV{QD_IDLE} || 1000;
    is(scalar(grep { $n[$_ % 3]->put("/idle-$_", {settings => {number_of_replicas => 0}})->{status} == 200 } 1 .. $count), $count, 'they are made');
    comes("all $count wait", sub { my $e = $n[0]->get("$ism/explain?queryString=idle-*&size=2000")->{json}; $count == grep { ref $_ && ($_->{step}{name} // '') eq 'attempt_transition_step' } values %$e }, 240);
    my $figures = sub { my ($s) = values %{ $n[0]->get('/.lifecycle/_stats/indexing?level=shards')->{json}{indices} }; return $s->{primaries}{indexing}{index_total} . ' ' . $n[0]->get('/_cluster/state/version')->{json}{version} };
    my $before = $figures->();
    my $t = time;
    QdNode->wait_for(sub { time - $t >= 5 }, 8);
    is($figures->(), $before, 'over five seconds of looks at them, neither documents nor the state');
    $n[0]->delete('/idle-*');
};

subtest 'switched off, and another node' => sub {
    is($n[0]->put('/_cluster/settings', {persistent => {'plugins.index_state_management.enabled' => \0}})->{status}, 200, 'switched off');
    $n[0]->post('/app/_doc?refresh=true', {a => $_}) for 3 .. 5;
    my ($master) = map { $_->get('/_cat/cluster_manager?h=node&format=json')->{json}[0]{node} } $n[0];
    my ($k) = grep { $n[$_]{name} eq $master } 0 .. 2;
    $c->kill9($k);
    my ($other) = $c->alive;
    comes('another node is elected', sub { my $m = $other->get('/_cat/cluster_manager?h=node&format=json'); $m->{status} == 200 && ($m->{json}[0]{node} // '') ne $master });
    is($other->head('/app-000003')->{status}, 404, 'nothing is rolled over');
    comes('switched on', sub { $other->put('/_cluster/settings', {persistent => {'plugins.index_state_management.enabled' => \1}})->{status} == 200 });
    comes('it goes on there', sub { $other->head('/app-000003')->{status} == 200 }, 40);
    comes('to the next state', sub { (at('app-000002', $other)->{state}{name} // '') eq 'warm' }, 40);
    is(at('app-000001', $other)->{state}{name}, 'warm', 'what was done stays done');
    $n[$k]->start;
    ok($c->wait_status('green'), 'the node is back');
};

is($c->stop, 0, 'the nodes stop');
done_testing;
