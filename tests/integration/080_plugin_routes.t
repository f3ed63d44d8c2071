#!/usr/bin/perl
# 080_plugin_routes.t: REST routes of a plugin on the node's main port: parameters, bodies, HEAD, errors, refusals, calls that
# do not return, and paths that are taken.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use Time::HiRes qw(time);
use Timed;
use Toys qw(toys);

my @refused = map { "toy-route-$_" } qw(health toy index);
my $dir = toys('the toys are built', 'toy-services', @refused);
my $n = QdNode->new('ro', settings => {'plugins.path' => $dir, 'plugins.allow' => '+toy-services', 'plugins.call_timeout' => '1s', 'plugins.memory.limits.toy-services' => '16mb'});
$n->start;
sub reason { my $r = shift; my $e = $r->{json}{error}; return "$r->{status} " . (ref $e ? "$e->{type}: $e->{reason}" : $e // $r->{content}) }

# --- what the plugin is given
my $r = $n->get('/_toy/echo/one/%C3%A9%20x?x=1&y=a%26b');
is_deeply($r->{json}, {method => 'GET', path => '/_toy/echo/one/%C3%A9%20x', body => '', parts => '2', params => {a => 'one', b => "\x{e9} x", x => '1', y => 'a&b'}}, 'the path as it is, its parts and the query decoded') or diag $r->{content};
is($n->post('/_toy/echo/a/b', {k => 1})->{json}{body}, '{"k":1}', 'a body');
is($n->put('/_toy/echo/a/b', {})->{json}{method}, 'PUT', 'the method');
is($n->request('DELETE', '/_toy/echo/a/b?x=1', {})->{json}{method}, 'DELETE', 'of a row of its own');
is($n->get('/some-index/_toy')->{json}{params}{index}, 'some-index', 'a path below an index');
my $head = $n->request('HEAD', '/_toy/text');
is("$head->{status}|" . ($head->{content} // ""), '202|', 'HEAD has the status and no body');
$r = $n->get('/_toy/text');
is("$r->{status}|$r->{content}", "202|plain words\n", 'a text with its status');
like($r->{headers}{'content-type'} // '', qr{^text/plain}, '... and its type');
like($n->get('/_toy/echo/a/b?pretty')->{content}, qr/^\{\n  "method" : "GET",\n/, 'pretty');
is_deeply($n->get('/_toy/echo/a/b?filter_path=params.a')->{json}, {params => {a => 'a'}}, 'filter_path');
like($n->get('/_toy/echo/a/b?format=yaml')->{content}, qr/^---\nmethod: "?GET/, 'yaml');
is($n->get('/_toy/status?to=404')->{status}, 404, 'a status of its own');
is($n->get('/_toy/nothing')->{status}, 200, 'an empty answer');

# --- refusals of the host
like(reason($n->get('/_toy/text?size=1')), qr/^400 illegal_argument_exception: request \[\/_toy\/text\] contains unrecognized parameter: \[size\]/, 'an unknown parameter');
like(reason($n->request('DELETE', '/_toy/text')), qr/^405 Incorrect HTTP method for uri \[\/_toy\/text\] and method \[DELETE\], allowed: \[.*GET/, 'another method');
like(reason($n->request('DELETE', '/_toy/echo/a/b')), qr/^400 .*request body is required/, 'a body that is missing');
like(reason($n->request('GET', '/_toy/text', {a => 1})), qr/^400 .*does not support having a body/, 'a body where none is');
like(reason($n->get('/_toy/a/b/c/d/e')), qr/^400 no handler found/, 'a path that is not there');
like(reason($n->request('DELETE', '/some-index/_toy')), qr/^405 .*allowed: \[.*GET/, 'another method of a path below an index');
like(reason($n->request($_, '/_nothing/_toy')), qr/^400 no handler found for uri \[\/_nothing\/_toy\]/, "$_ of an unknown path is none below an index") for qw(GET DELETE);
is($n->get('/_cluster/health')->{status}, 200, 'built-in paths stay');
is($n->get('/_toy')->{status} >= 400, 1, 'the name alone is no index');

# --- counted by their rows
my $count = sub { my ($of, $what) = @_; return $n->get('/metrics')->{content} =~ /^quidditch_api_$of\{api="plugin\.toy-services\[\Q$what\E\]"\} (\d+)$/m ? $1 : 0 };
is($count->('requests_total', 'GET /{index}/_toy'), 1, 'requests are counted');
my ($all, $failed) = map { $count->("${_}_total", 'DELETE /_toy/echo/{a}/{b}') } qw(requests failed);
is("$all|$failed", '2|1', '... failed ones, too');

# --- what goes wrong
like(reason($n->get('/_toy/fail')), qr/^404 \S+: there is no such toy$/, "the plugin's error");
like(reason($n->get('/_toy/code')), qr/^500 plugin_exception: route \[GET \/_toy\/\{do\}\] of plugin \[toy-services\]: handle failed with the unknown code 77/, 'a code that no list has');
like(reason($n->get("/_toy/status?to=$_")), qr/^500 plugin_exception: route \[\/_toy\/\{do\}\] of plugin \[toy-services\] answered with the status $_/, "status $_") for 99, 999;
like(reason($n->get('/_toy/format')), qr/^500 .*answered in the format 99/, 'an unknown format');
like(reason($n->get('/_toy/open')), qr/^500 .*left an object or array of its answer open/, 'JSON that is not closed');
like(reason($n->get('/_toy/memory')), qr/^429 circuit_breaking_exception: \[plugin\.toy-services\] Data too large/, 'more memory than there is for it');
like(reason($n->get('/_toy/big')), qr/^429 circuit_breaking_exception: \[plugin\.toy-services\] Data too large/, 'an answer without end');
like(reason($n->get('/_toy/much?to=32')), qr/^429 circuit_breaking_exception: \[plugin\.toy-services\] Data too large, data for \[route \[GET \/_toy\/\{do\}\]\] would be .* limit of \[16777216\//, 'JSON without end, of a plugin that does not notice');
my $kept = do { my ($s) = values %{ $n->get('/_nodes/stats/plugins')->{json}{nodes} }; $s->{plugins}{'toy-services'}{memory_in_bytes} };
cmp_ok($kept, '<', 1 << 20, 'nothing of it is kept');

# --- a call that does not return
my $begun = time;
$r = $n->get('/_toy/slow');
like(reason($r), qr/^503 plugin_exception: route \[GET \/_toy\/\{do\}\] of plugin \[toy-services\] has not returned from handle for 1000 ms \(plugins\.call_timeout\)/, 'is answered with 503 and its name');
within(time - $begun, 4, 30, 'the answer');
ok($n->wait_for(sub { $n->log_text =~ /slow is cancelled/ }), 'the plugin sees that nobody waits');
is($n->get('/_toy/status?to=201')->{status}, 201, 'others run');
my $pid = fork // die;
if (!$pid) { $n->get('/_toy/slow'); require POSIX; POSIX::_exit(0) }
ok($n->wait_for(sub { $n->get('/_tasks')->{content} =~ /plugin\.toy-services\[GET \\?\/_toy\\?\/\{do\}\]/ }), '_tasks lists it');
waitpid $pid, 0;
is($n->stop, 0, 'ends');
$n->{settings}{'plugins.memory.limits.toy-services'} = '512mb';
$n->start;
for my $path ('/_toy/much?to=65', '/_toy/big') {
    like(reason($n->get($path)), qr/^500 plugin_exception: route \[\/_toy\/\{do\}\] of plugin \[toy-services\]: the answer is larger than 67108864 bytes/, "$path: an answer larger than the host takes");
}
is($n->stop, 0, 'ends');

# --- paths that are taken, or are none
my %why = ('toy-route-health' => qr/plugin \[toy-route-health\] provides the route \[GET \/_cluster\/\{what\}\], which the built-in API \[cluster\.\w+\] has: \[GET[^\]]* \/_cluster\/\w+/,
    'toy-route-toy' => qr/plugin \[toy-route-toy\] provides the route \[POST\|GET \/_toy\/\{other\}\], which the route \[plugin\.toy-services\[GET \/_toy\/\{do\}\]\] has/,
    'toy-route-index' => qr/plugin \[toy-route-index\]: route 0 \[GET \/toys\/\{other\}\]: wanted a path whose first fixed part begins with '_'/);
for my $name (@refused) {
    for my $check (1, 0) {
        my $bad = QdNode->new('rb', settings => {'plugins.path' => $dir, 'plugins.allow' => "+toy-services,+$name", 'logger.stderr' => 'true'});
        my $log = do { open my $p, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', 'timeout', 20, QdNode::daemon(), $check ? '--check-config' : (), '--config', $bad->config_file, $bad->arguments or die; local $/; <$p> };
        like($log, $why{$name}, "$name stops the start" . ($check ? ' of a check' : '')) or diag $log;
    }
}
done_testing;
