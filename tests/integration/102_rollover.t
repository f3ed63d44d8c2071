# Rollovers of aliases: a new index takes the place of the one that is written to, in one step, under conditions.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use POSIX qw(strftime);

my $n = QdNode->new('ro');
$n->start;
my $day = strftime('%Y.%m.%d', gmtime);

sub write_index { my ($alias) = @_; my $a = $n->get("/_alias/$alias")->{json}; return join ',', grep { $a->{$_}{aliases}{$alias}{is_write_index} } sort keys %$a }

subtest 'conditions' => sub {
    $n->put('/logs-000001', {aliases => {logs => {is_write_index => \1, filter => {exists => {field => 'a'}}}}});
    my $r = $n->post('/logs/_rollover', {conditions => {max_docs => 2, max_age => '7d', max_size => '1b'}});
    is_deeply({map { $_ => $r->{json}{conditions}{$_} ? 1 : 0 } keys %{ $r->{json}{conditions} }}, {'[max_docs: 2]' => 0, '[max_age: 7d]' => 0, '[max_size: 1b]' => 0}, 'nothing holds of an empty index') or diag $r->{content};
    ok(!$r->{json}{rolled_over} && !$r->{json}{acknowledged}, '... which stays');
    is(write_index('logs'), 'logs-000001', '... the write index');
    $n->post('/logs/_doc?refresh=true', {a => $_}) for 1, 2;
    ok(!$n->post('/logs/_rollover', {conditions => {max_docs => 2, min_docs => 3}})->{json}{rolled_over}, 'a min_ condition that does not hold');
    ok(!$n->post('/logs/_rollover', {conditions => {max_primary_shard_docs => 3, max_primary_shard_size => '1gb'}})->{json}{rolled_over}, 'conditions of one shard');
    $r = $n->post('/logs/_rollover?dry_run=true', {conditions => {max_docs => 2}})->{json};
    is_deeply([@$r{qw(old_index new_index)}, $r->{rolled_over} ? 1 : 0, $r->{conditions}{'[max_docs: 2]'} ? 1 : 0], ['logs-000001', 'logs-000002', 0, 1], 'a dry run tells what would be');
    is($n->head('/logs-000002')->{status}, 404, '... and makes nothing');
    $r = $n->post('/logs/_rollover', {conditions => {max_docs => 2, min_size => '1b'}, settings => {number_of_replicas => 0}, mappings => {properties => {b => {type => 'keyword'}}}, aliases => {more => {}}});
    ok($r->{json}{rolled_over} && $r->{json}{acknowledged} && $r->{json}{shards_acknowledged}, 'it is rolled over') or diag $r->{content};
    is(write_index('logs'), 'logs-000002', 'the new index is written to');
    my $i = $n->get('/logs-000002')->{json}{'logs-000002'};
    is_deeply([$i->{settings}{index}{number_of_replicas}, $i->{mappings}{properties}{b}{type}, [sort keys %{$i->{aliases}}]], ['0', 'keyword', ['logs', 'more']], 'it is what the request says');
    ok($i->{aliases}{logs}{filter}, 'the filter comes along');
    is($n->post('/logs/_doc?refresh=true', {a => 3})->{json}{_index}, 'logs-000002', 'and writes go there');
    is($n->get('/logs/_count')->{json}{count}, 3, 'searches find all');
    my $m = $n->get('/_cluster/state/metadata')->{json}{metadata}{indices}{'logs-000001'};
    ok($m->{rollover_info}{logs}{time}, 'the old one tells when it was');
};

subtest 'an alias of one index moves' => sub {
    $n->put('/one-9', {aliases => {one => {}}});
    is($n->post('/one/_rollover')->{json}{new_index}, 'one-000010', 'the number goes on');
    is_deeply([sort keys %{ $n->get('/_alias/one')->{json} }], ['one-000010'], 'and the old one has the alias no more');
};

subtest 'names with date math' => sub {
    my $r = $n->put('/%3Cd-%7Bnow%2Fd%7D-000001%3E', {aliases => {d => {is_write_index => \1}}});
    is($r->{json}{index}, "d-$day-000001", 'of a new index') or diag $r->{content};
    is($n->get("/d-$day-000001/_settings")->{json}{"d-$day-000001"}{settings}{index}{provided_name}, '<d-{now/d}-000001>', 'it is remembered as given');
    is($n->post('/d/_rollover')->{json}{new_index}, "d-$day-000002", 'a rollover goes on with it');
    is($n->post('/d/_rollover/%3Cx-%7Bnow%2FM%7Byyyy.MM%7C%2B01:00%7D%7D-1%3E')->{json}{new_index}, 'x-' . strftime('%Y.%m', gmtime(time + 3600)) . '-1', 'a new name with format and zone');
    for my $bad ('<x-{now/d>', '<x-{now/d}}>', '<x-{}>', '<x-{now/q}>', '<x-{now/d{yyyy>', '<>', '<x-{now/d{yyyy.MM|Nowhere/X}}>') {
        (my $path = $bad) =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ge;
        my $s = $n->put("/$path")->{status};
        ok($s == 400, "$bad is refused") or diag $s;
    }
};

subtest 'what is refused' => sub {
    for my $case (
        ['/nothing/_rollover', undef, qr/rollover target \[nothing\] does not exist/],
        ['/one-9/_rollover', undef, qr/\[concrete index\] but one of \[alias,data_stream\]/],
        ['/logs/_rollover?lazy=true', undef, qr/\[lazy\] is not supported/],
        ['/logs/_rollover/UP', undef, qr/must be lowercase/],
        ['/logs/_rollover?dry_run=true', undef, undef],
        ['/logs/_rollover/logs-000001', undef, qr/already exists/],
        ['/logs/_rollover', {conditions => {max_weight => 1}}, qr/unknown field \[max_weight\]/],
        ['/logs/_rollover', {conditions => {max_docs => 'x'}}, qr/\[max_docs\] must be a whole number/],
        ['/logs/_rollover', {conditions => {max_age => '7x'}}, qr/max_age/],
        ['/logs/_rollover', {conditions => {min_docs => 1}}, qr/at least one max_\* rollover condition/],
        ['/logs/_rollover', {nothing => {}}, qr/unknown field \[nothing\]/],
        ['/logs/_rollover', {aliases => {logs => {}}}, qr/can point to multiple indices, found duplicated alias \[\[logs\]\]/],
    ) {
        my ($path, $body, $like) = @$case;
        my $r = $n->post($path, $body);
        is($r->{status}, $like ? 400 : 200, $path) or diag $r->{content};
        like($r->{json}{error}{reason}, $like, '... with the reason') if $like;
    }
    $n->post('/_aliases', {actions => [map { {add => {index => $_, alias => 'two'}} } 'one-9', 'one-000010']});
    like($n->post('/two/_rollover')->{json}{error}{reason}, qr/does not point to a write index/, 'an alias without write index');
    is(write_index('logs'), 'logs-000002', 'nothing has changed');
};

subtest 'many at once, with writes' => sub {
    $n->put('/c-000001', {settings => {number_of_replicas => 0}, aliases => {c => {is_write_index => \1}}});
    my @children;
    for my $k (1 .. 4) {
        my $pid = fork // die;
        if (!$pid) {
            my $good = 0;
            for my $i (1 .. 10) {
                $good++ if $k <= 2 ? $n->post('/c/_rollover')->{status} == 200 : $n->post('/c/_doc', {k => "$k-$i"})->{status} == 201;
            }
            POSIX::_exit($good == 10 ? 0 : 1);
        }
        push @children, $pid;
    }
    my $bad = 0;
    for (@children) { waitpid $_, 0; $bad++ if $? }
    is($bad, 0, 'all of them are answered well');
    is(write_index('c'), 'c-000021', 'each rollover made an index');
    $n->post('/c/_refresh');
    is($n->get('/c/_count')->{json}{count}, 20, 'no document is lost');
};

is($n->stop, 0, 'the node stops');
done_testing;
