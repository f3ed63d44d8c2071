#!/usr/bin/perl
# Rules and dashboards of deploy/monitoring: made from their tables, each alert with its page, checked and tested by promtool,
# and every expression answered by a real Prometheus that scrapes a node. Prometheus comes from Debian's package,
# unpacked and not installed: it would start a service.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use HTTP::Tiny;
use JSON::PP;
use Test::More;

my $top = QdNode::top();
my $dir = "$top/deploy/monitoring";
sub slurp { open my $f, '<', $_[0] or die "$_[0]: $!"; local $/; return <$f> }

# --- made from their tables ---

my $made = "$top/build/test-monitoring";
system("rm -rf '$made' && mkdir -p '$made/grafana' '$made/prometheus'") == 0 or die;
is(system($^X, "$dir/make.pl", $made), 0, 'make.pl finds every metric that it asks for');
for my $f (map { s{^\Q$made\E/}{}r } glob "$made/*/*") {
    ok(slurp("$made/$f") eq (-f "$dir/$f" ? slurp("$dir/$f") : ''), "$f is what make.pl makes");
}

my $rules = slurp("$dir/prometheus/alerts.yml");
my @alerts = $rules =~ /^  - alert: (\w+)$/mg;
my %page = map { m{(\w+)\.md$} && $1 ne 'README' ? ($1 => 1) : () } glob "$top/docs/runbooks/*.md";
is(join(' ', grep { !delete $page{$_} } @alerts), '', 'each alert has a page');
is(join(' ', sort keys %page), '', 'and each page an alert');
for my $a (@alerts) {
    like(slurp("$top/docs/runbooks/$a.md"), qr/^# $a\n\n## Meaning\n\n\S.*\n\n## Look at\n\n- .*\n\n## Do\n\n- /s, "$a: meaning, look at, do");
}

my @panels;
for my $f (glob "$dir/grafana/*.json") {
    my $d = decode_json(slurp($f));
    push @panels, map { my $p = $_; map { [$d->{title}, $p->{title}, $_->{expr}] } @{$p->{targets}} } @{$d->{panels}};
}
my %expr = map { ($_->[2] => 1) } @panels;
for my $e ('rate(quidditch_query_total[5m])', 'histogram_quantile(0.99, rate(quidditch_query_latency_seconds_bucket[5m]))',
    'rate(quidditch_indexing_docs_total[5m])', 'quidditch_disk_usage_bytes / quidditch_disk_capacity_bytes')
{
    ok($expr{$e}, "a panel shows $e");
}

# --- by Prometheus' own tools ---

my $tools = "$top/build/tools/prometheus";
if (!-x "$tools/usr/bin/promtool") {
    # where the lists of packages are empty they are fetched first
    system("mkdir -p '$tools' && cd '$tools' && { timeout 120 apt-get download prometheus || { timeout 120 apt-get -qq update; timeout 120 apt-get download prometheus; }; } >download.log 2>&1"
        . " && dpkg -x prometheus_*.deb . && rm -f prometheus_*.deb");
}
my ($promtool, $prometheus) = map { "$tools/usr/bin/$_" } qw(promtool prometheus);
SKIP: {
    if (!-x $promtool || !-x $prometheus) {
        diag('SKIPPED LOUDLY: the package prometheus could not be fetched; rules and dashboards were not run');
        skip 'no prometheus', 1;
    }
    for my $c (['check', 'rules', "$dir/prometheus/alerts.yml", "$dir/prometheus/records.yml"],
        ['test', 'rules', "$dir/prometheus/alerts_test.yml"], ['check', 'config', "$dir/prometheus/prometheus.yml"])
    {
        my $out = qx('$promtool' @$c 2>&1);
        is($?, 0, "promtool @$c[0, 1]") or diag($out);
    }

    my $node = QdNode->new('monitoring');
    $node->start;
    $node->put('/a', {settings => {number_of_replicas => 0}});
    $node->put('/a/_doc/1?refresh=true', {x => 1});
    $node->get('/a/_search');
    my $metrics = "$made/metrics.txt";
    open my $m, '>', $metrics or die;
    print {$m} $node->get('/metrics')->{content};
    close $m;
    my $out = qx('$promtool' check metrics <'$metrics' 2>&1);
    is($?, 0, 'promtool check metrics') or diag($out);

    my $port = QdNode::free_port();
    my ($host) = $node->url =~ m{^http://([^/]+)};
    open my $f, '>', "$made/prometheus.yml" or die;
    print {$f} "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: ['$dir/prometheus/records.yml', '$dir/prometheus/alerts.yml']\n"
        . "scrape_configs:\n- job_name: quidditch\n  static_configs: [{targets: ['$host']}]\n";
    close $f;
    my $pid = fork // die;
    if (!$pid) {
        open STDOUT, '>', "$made/prometheus.log";
        open STDERR, '>&', \*STDOUT;
        exec $prometheus, "--config.file=$made/prometheus.yml", "--storage.tsdb.path=$made/tsdb", "--web.listen-address=127.0.0.1:$port";
        exit 127;
    }
    my $http = HTTP::Tiny->new(timeout => 10);
    my $ask = sub {
        my ($e) = @_;
        my $r = $http->get("http://127.0.0.1:$port/api/v1/query?" . $http->www_form_urlencode({query => $e}));
        return $r->{status} == 200 ? decode_json($r->{content})->{data}{result} : undef;
    };
    # two scrapes, so that rates have a value
    my $recorded = sub { my $r = $ask->('count_over_time(quidditch_query_total[1m]) >= 3 and on () quidditch:cluster_status:max'); $r && @$r };
    ok(QdNode->wait_for($recorded, 60),
        'Prometheus scrapes the node and records its rules') or diag(slurp("$made/prometheus.log"));
    for my $p (@panels) {
        (my $e = $p->[2]) =~ s/\$(?:instance|index)/.*/g;
        my $r = $ask->($e);
        ok($r && @$r, "$p->[0], $p->[1]: $e has data");
    }
    my $r = $ask->('ALERTS{alertstate="firing"}');
    is(join(' ', map { $_->{metric}{alertname} } @{$r // [{metric => {alertname => 'no answer'}}]}), '', 'no alert fires on a sound node');
    kill 'TERM', $pid;
    waitpid $pid, 0;
    $node->stop;
}
done_testing;
