# Everything at once on one node: bulk requests with updates and deletions, searches of many kinds with
# aggregations, sorting, highlighting and scrolls, gets, refreshes, flushes, merges, indices made and
# deleted, settings and mappings changed, statistics read. No request ends in a server error, nothing
# acknowledged is lost, the node stops cleanly. A build with a sanitizer (QD_OUT) reports what it sees.
# SECONDS: how long (3).
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use HTTP::Tiny;
use JSON::PP ();
use List::Util qw(sum);
use POSIX ();
use Time::HiRes ();
use Load;
use QdNode;

my $seconds = $ENV{SECONDS} || 3;
my $seed    = $ENV{SEED} || 1;
my $node    = QdNode->new('all', settings => {'indices.memory.index_buffer_size' => '48mb'});
my $dir     = tempdir(CLEANUP => 1);
my $load    = Load->new(node => $node, dir => $dir, seed => $seed);
my @children;

# Sends requests until the time is over; what was answered with 5xx is written down.
sub child {
    my ($name, $next) = @_;
    my $pid = fork // die "fork: $!";
    if ($pid) { push @children, $pid; return }
    srand($seed * 100 + @children);
    my $http = HTTP::Tiny->new(timeout => 120, keep_alive => 1);
    my $end  = Time::HiRes::time() + $seconds;
    open my $bad, '>', "$dir/$name.bad" or POSIX::_exit(1);
    open my $did, '>', "$dir/$name.did" or POSIX::_exit(1);
    my ($n, $r) = (0);
    while (Time::HiRes::time() < $end) {
        my ($method, $path, $body) = $next->($r);
        my %o = defined $body ? (content => $body, headers => {'content-type' => $path =~ /_bulk|_msearch/ ? 'application/x-ndjson' : 'application/json'}) : ();
        $r = $http->request($method, $node->url . $path, \%o);
        print $bad "$method $path " . ($body // '') . " -> $r->{status} " . substr($r->{content}, 0, 300) . "\n" if $r->{status} >= 500;
        $n++;
    }
    print $did "$n\n";
    close $_ for $bad, $did;
    POSIX::_exit(0);
}

my @searches = (
    '{"query":{"match":{"text":"number writer"}},"aggs":{"h":{"histogram":{"field":"value","interval":100000000},"aggs":{"s":{"stats":{"field":"value"}},"p":{"percentiles":{"field":"value"}}}}}}',
    '{"query":{"bool":{"must":[{"match":{"text":"writer"}}],"filter":[{"range":{"value":{"gte":1000,"lt":900000000}}}]}},"sort":[{"value":"desc"}],"size":5}',
    '{"query":{"match_phrase":{"text":"of writer"}},"highlight":{"fields":{"text":{}}}}',
    '{"query":{"wildcard":{"text":{"value":"num*r"}}},"track_total_hits":true,"size":0,"aggs":{"t":{"terms":{"field":"text.keyword"}},"c":{"cardinality":{"field":"value"}}}}',
    '{"query":{"prefix":{"text":"1"}},"sort":["_doc"],"from":3,"size":7}',
    '{"query":{"fuzzy":{"text":"numbr"}},"explain":true,"size":2}',
    '{"query":{"query_string":{"query":"text:number AND NOT text:5*"}},"post_filter":{"exists":{"field":"value"}}}',
    '{"size":0,"aggs":{"c":{"composite":{"sources":[{"v":{"histogram":{"field":"value","interval":50000000}}}]},"aggs":{"top":{"top_hits":{"size":1}}}}}}',
);
my @looks = qw(/_stats?level=shards /_nodes/stats /_cat/indices?v /_cat/segments /_cat/shards /_cluster/health?level=shards
    /_cluster/state /metrics /_tasks?detailed /docs/_mapping /docs/_settings /_cat/count /_cluster/stats /_recovery);

$node->start;
$node->put('/docs', {settings => {number_of_shards => 3}});
$load->start;
for my $k (1 .. 2) {
    my $scroll;
    child("search$k", sub {
        my ($r) = @_;
        if (defined $scroll && $scroll eq '' && $r && $r->{content} =~ /"_scroll_id":"([^"]+)"/) { $scroll = $1 }
        if ($scroll) { my $s = $scroll; $scroll = undef; return ('POST', '/_search/scroll', qq({"scroll":"1m","scroll_id":"$s"})) }
        my $dice = rand;
        if ($dice < 0.1) { $scroll = ''; return ('POST', '/docs/_search?scroll=1m', '{"size":3,"query":{"match_all":{}}}') }
        if ($dice < 0.2) { return ('POST', '/docs/_msearch', join '', map { "{}\n$searches[rand @searches]\n" } 1 .. 3) }
        if ($dice < 0.4) { return ('GET', "/docs/_doc/w1-" . int rand $Load::IDS) }
        if ($dice < 0.5) { return ('POST', '/docs/_count', '{"query":{"term":{"text":"number"}}}') }
        return ('POST', '/docs/_search', $searches[rand @searches]);
    });
}
my $n = 0;
child('admin', sub {
    my $dice = rand;
    $n++;
    return ('PUT', '/docs/_settings', '{"index":{"refresh_interval":"' . (5 + int rand 300) . 'ms"}}') if $dice < 0.1;
    return ('PUT', '/docs/_mapping', qq({"properties":{"field@{[$n % 200]}":{"type":"keyword"}}})) if $dice < 0.15;
    return ('PUT', '/_cluster/settings', '{"transient":{"logger.action":"info"}}') if $dice < 0.2;
    return ('POST', '/_aliases', qq({"actions":[{"add":{"index":"docs","alias":"a@{[$n % 5]}"}}]})) if $dice < 0.25;
    # what is there does not grow without end, so that memory may not either
    return ('PUT', "/other/_doc/@{[$n % 1000]}?refresh=wait_for", qq({"made@{[$n % 200]}":"dynamically","d":"2020-01-0@{[1 + $n % 9]}"})) if $dice < 0.4;
    return ('POST', '/docs/_update/u' . int(rand 20), qq({"doc":{"value":$n},"doc_as_upsert":true})) if $dice < 0.6;
    return ('POST', '/docs/_delete_by_query?conflicts=proceed', '{"query":{"ids":{"values":["u1","u2","u3"]}}}') if $dice < 0.65;
    return ('GET', $looks[rand @looks]);
});
sub resident { # KiB of memory of its own
    my $status = QdNode::slurp("/proc/$node->{pid}/status");
    my ($anonymous) = $status =~ /^RssAnon:\s+(\d+)/m;
    return $anonymous // 0;
}
my ($began, @sizes, %running) = (Time::HiRes::time());
$running{$_} = 1 for @children;
while (%running && $node->alive) { # memory is looked at until the children have done
    $node->wait_for(sub { delete @running{ grep { waitpid($_, POSIX::WNOHANG()) > 0 } keys %running }; !%running }, 1);
    push @sizes, [Time::HiRes::time() - $began, resident()] if $node->alive;
}
waitpid $_, 0 for keys %running;
kill 'TERM', map { $_->{pid} } @{ $load->{children} };
$load->finish;
ok($node->alive, 'the node lives');
# KiB by which memory grows over the last two thirds by its line of least squares, and its mean there.
sub growth {
    my @late = grep { $_->[0] >= $seconds / 3 } @sizes;
    my ($t, $m) = map { my $k = $_; sum(map { $_->[$k] } @late) / @late } 0, 1;
    my $slope = sum(map { ($_->[0] - $t) * ($_->[1] - $m) } @late) / (sum(map { ($_->[0] - $t)**2 } @late) || 1);
    return ($slope * ($late[-1][0] - $late[0][0]), $m);
}
if ($seconds >= 600) { # its memory has settled after a third (not in 240 s)
    my ($grown, $mean) = growth();
    diag(sprintf '%.0f MiB of memory over the last two thirds, %+.1f MiB from their beginning to the end', $mean / 1024, $grown / 1024);
    diag('MiB at each tenth: ' . join ' ', map { my $t = $_ / 10 * $seconds; my ($x) = grep { $_->[0] >= $t } @sizes; $x ? $x->[1] >> 10 : '-' } 1 .. 10);
    cmp_ok($grown, '<', $mean / 20 + 8192, 'its memory has no slope');
}
my ($requests, $bad) = (0, '');
for my $f (glob "$dir/*.did") { $requests += QdNode::slurp($f) }
for my $f (glob "$dir/*.bad") { $bad .= QdNode::slurp($f) }
cmp_ok($requests, '>', 50, 'the load was real');
diag("$requests requests beside the writers") if $ENV{SECONDS};
is(substr($bad, 0, 2000), '', 'no request ended in a server error');
my @ids = map { "u$_" } 0 .. 19; # not the writers'
$node->post('/docs/_bulk?refresh=true', join '', map { qq({"delete":{"_id":"$_"}}\n) } @ids);
my @wrong = $load->check($node);
is(scalar @wrong, 0, 'all that was acknowledged is there, once') or diag(join "\n", @wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)]);
is($node->stop, 0, 'it stops cleanly');
my @errors = grep { /\[(ERROR|FATAL)/ } split /^/, $node->log_text;
is(join('', @errors[0 .. ($#errors > 4 ? 4 : $#errors)]), '', 'nothing went wrong by its log');
done_testing;
