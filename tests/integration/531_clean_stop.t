# A node that is asked to stop says so at /ready, goes on serving for a while, gives its primaries and
# its leadership to others and goes: clients of the others see no failed request, those of its own are
# told to leave by Connection: close.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdCluster;
use Steady;
use JSON::PP ();

my $c = QdCluster->new('e', nodes => 3, settings => { 'http.shutdown_delay' => '6s' });
$c->start;
my @n = $c->nodes;
is($n[0]->put('/t', { settings => { number_of_shards => 6, number_of_replicas => 1 } })->{status}, 200, 'an index on three nodes');
ok($c->wait_status('green'), 'green');
my $bulk = join '', map { qq({"index":{"_id":"k$_"}}\n{"n":$_}\n) } 1 .. 200;
is($n[0]->post('/t/_bulk?refresh=true', $bulk)->{json}{errors}, JSON::PP::false, 'with documents');

my $clients = Steady->new($n[0]{dir});
for my $round (0 .. 2) {
    my $victim = $n[$round];
    my @others = grep { $_ != $victim } @n;
    my $k = 0;
    $clients->add($_, $others[++$k % 2]) for qw(write write get search search state);
    $clients->add($_, $victim, @others) for qw(write search get);
    ok($clients->go_on, "round $round: clients are at work");
    $victim->signal('TERM');
    my $r;
    ok($victim->wait_for(sub { $r = $victim->get('/ready'); $r->{status} == 503 }, 60), "round $round: /ready says that the node stops");
    is($r->{json}{stopping}, JSON::PP::true, 'in words');
    is($r->{headers}{connection}, 'close', 'and the connection ends');
    is($victim->get('/health')->{status}, 200, 'it is healthy');
    $r = $victim->get('/t/_search?size=0&allow_partial_search_results=false');
    is($r->{status}, 200, 'it goes on serving') or diag $r->{content};
    is($victim->wait_end(120), 0, 'and ends by itself');
    ok($others[0]->wait_for(sub { my $h = $others[0]->get('/_cluster/health')->{json}; $h->{number_of_nodes} == 2 && $h->{active_primary_shards} == 6 }, 120),
        'others have all primaries');
    ok($clients->go_on, 'clients go on without the node');
    my ($done, @wrong) = $clients->end;
    cmp_ok($done, '>', 100, "$done requests");
    is(join('', @wrong), '', 'none failed');
    like($victim->log_text, qr/not ready any more.*left the cluster/s, 'the log tells the steps');
    $victim->start;
    ok($c->wait_nodes(3, 120), 'it comes back');
    ok($c->wait_status('green', 120), 'and all is green');
}
my %seen;
$n[0]->post('/t/_refresh');
$seen{ $_->get('/t/_count')->{json}{count} } = 1 for @n;
is(scalar keys %seen, 1, 'copies show the same');
$_->signal('TERM') for @n;
is($_->wait_end(120), 0, 'all stopped at once end too') for @n;

# a node by itself has nobody who goes on for it: unless it is asked to, it does not wait
my $alone = QdNode->new('z');
$alone->start;
$alone->stop;
unlike($alone->log_text, qr/requests are served for/, 'a node by itself does not wait');
done_testing;
