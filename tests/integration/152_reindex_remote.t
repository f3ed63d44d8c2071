# _reindex with source.remote: a copy from another cluster over HTTP, which hosts it may come from, what becomes
# of it when the other side is broken, and that no password is kept or told.
use strict;
use warnings;
use Test::More;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use QdProxy;

my $far = QdNode->new('far');
$far->start;
my $proxy = QdProxy->new($far);
my $near = QdNode->new('near', settings => {'reindex.remote.whitelist' => '127.0.0.1:*, nowhere.invalid:*, [::1]:9200'});
$near->start;
my $docs = 2500;
$far->put('/src', {settings => {number_of_shards => 2, number_of_replicas => 0}});
my $r = $far->post('/src/_bulk?refresh=true', join '', map { qq({"index":{"_id":"$_","routing":"r@{[$_ % 7]}"}}\n{"n":$_,"t":"t@{[$_ % 10]}","u":{"v":1}}\n) } 1 .. $docs);
is($r->{json}{errors} ? 1 : 0, 0, 'documents of the other cluster');

my $n = 0;
sub copy {
    my ($source, %more) = @_;
    my $url = delete $more{url} // '';
    my $remote = {host => $proxy->url, %{ delete $source->{remote} // {} }};
    my $dest = {index => 'c' . ++$n, %{ delete $more{dest} // {} }};
    return $near->post("/_reindex?refresh=true$url", {source => {index => 'src', remote => $remote, %$source}, dest => $dest, %more});
}
sub count { $near->get("/c$n/_count")->{json}{count} // 0 }
sub contexts { $far->get('/_nodes/stats/indices/search')->{content} =~ /"open_contexts":(\d+)/ ? $1 : -1 }
sub error { my ($got) = @_; return "$got->{status} " . ($got->{json}{error}{type} // '') . ' ' . ($got->{json}{error}{reason} // '') }

subtest 'a copy' => sub {
    my $got = copy({});
    is($got->{status}, 200, 'is made') or diag $got->{content};
    is_deeply([@{ $got->{json} }{qw(total created updated batches version_conflicts failures)}], [$docs, $docs, 0, 3, 0, []], 'of all documents, in batches of 1000');
    is(count(), $docs, 'all are found');
    is($near->get("/c$n/_doc/8?routing=r1")->{json}{_routing}, 'r1', 'routing is kept');
    is(contexts(), 0, 'the scroll is given back');
    $got = copy({query => {term => {'t.keyword' => 't3'}}, _source => ['n'], size => 37}, dest => {routing => 'discard'});
    is($got->{json}{created}, $docs / 10, 'by a query') or diag $got->{content};
    my $hit = $near->post("/c$n/_search", {size => 1})->{json}{hits}{hits}[0];
    is_deeply([[keys %{ $hit->{_source} }], exists $hit->{_routing}], [['n'], ''], 'a part of the source, without routing');
    $got = copy({size => 100}, max_docs => 250);
    is_deeply([$got->{json}{created}, count(), contexts()], [250, 250, 0], 'max_docs');
    $got = copy({sort => [{n => 'desc'}]}, max_docs => 3, dest => {version_type => 'external'});
    is_deeply([sort map { "$_->{_id} $_->{_version}" } @{ $near->post("/c$n/_search", {version => JSON::PP::true})->{json}{hits}{hits} }], [map { "$_ 1" } $docs - 2 .. $docs], 'an order, and versions');
    $n--;
    $got = copy({sort => [{n => 'desc'}]}, max_docs => 3, dest => {op_type => 'create'});
    is($got->{status}, 409, 'what is there is a conflict') or diag $got->{content};
    $got = copy({}, script => {source => 'ctx._source.n += 1; ctx._source.remove("u")'}, max_docs => 10);
    is($got->{json}{created}, 10, 'with a script') or diag $got->{content};
    ok(!grep({ $_->{_source}{u} || $_->{_source}{n} != $_->{_id} + 1 } @{ $near->post("/c$n/_search", {})->{json}{hits}{hits} }), 'which has run here');
};

subtest 'what is asked for and cannot be' => sub {
    my @bad = (
        [{remote => {host => 'http://badremote:9200'}}, '', qr/^400 illegal_argument_exception \[badremote:9200\] not whitelisted in reindex.remote.whitelist$/],
        [{remote => {host => 'badremote', weird => 1}}, '', qr/^400 .*\[host\] must be of the form \[scheme\]:\/\/\[host\]:\[port\]\(\/\[pathPrefix\]\)\? but was \[badremote\]$/],
        [{remote => {host => 'http://127.0.0.1'}}, '', qr/\[host\] must be of the form/],
        [{remote => {host => 'http://127.0.0.1:9200@evil:80'}}, '', qr/\[host\] must be of the form/],
        [{remote => {host => 'http://u:s3cret@127.0.0.1:9200'}}, '', qr/^(?!.*s3cret).*but was \[<<>>\@127.0.0.1:9200\]: a user goes into \[username\]/],
        [{remote => {host => 'file://127.0.0.1:80'}}, '', qr/\[host\] must be of the form/],
        [{remote => {host => 'http://127.0.0.1:80/a?b'}}, '', qr/\[host\] must be of the form/],
        [{remote => {host => undef}}, '', qr/\[host\] must be of the form/],
        [{remote => {weird => 'stuff', badkey => 1}}, '', qr/^400 illegal_argument_exception Unsupported fields in \[remote\]: \[(weird,badkey|badkey,weird)\]$/],
        [{remote => {socket_timeout => 'borked'}}, '', qr/^400 illegal_argument_exception failed to parse \[borked\]$/],
        [{remote => {headers => {"a\r\nb" => 'c'}}}, '', qr/which is none/],
        [{remote => {headers => {a => "c\r\nd: e"}}}, '', qr/control character/],
        [{remote => {headers => {Host => 'x'}}}, '', qr/cannot be given/],
        [{remote => {password => {}}}, '', qr/Expected \[password\] to be a string/],
        [{}, '&slices=2', qr/^400 action_request_validation_exception .*reindex from remote sources doesn't support slices > 1 but was \[2\];/],
        [{}, '&slices=auto', qr/slices > 1 but was \[0\];/],
        [{}, '&scroll=soon', qr/^400 illegal_argument_exception failed to parse setting \[scroll\] with value \[soon\]/],
        [{}, '&scroll=0s', qr/\[scroll\] must be a positive time/],
        [{slice => {id => 0, max => 2}}, '', qr/doesn't support \[source.slice\]/],
        [{query => {term => 7}}, '', qr/^400 status_exception body=.*term/],
        [{index => 'missing'}, '', qr/^404 status_exception body=.*index_not_found_exception/],
        [{remote => {host => 'http://nowhere.invalid:9200'}}, '', qr/^500 unknown_host_exception \[nowhere.invalid:9200\]/],
        [{remote => {host => 'http://127.0.0.1:1'}}, '', qr/^500 connect_exception \[127.0.0.1:1\]/],
    );
    for (@bad) {
        my ($source, $url, $want) = @$_;
        my $got = copy({%$source}, url => $url);
        like(error($got), $want, "$want");
    }
};

subtest 'faults of the other side' => sub {
    my %want = (
        reset     => qr/^500 i_o_exception /,
        silent    => qr/^500 socket_timeout_exception .*no byte came in 300 ms/,
        500       => qr/^500 status_exception body=.*rejected by the proxy/,
        garbage   => qr/^500 exception Error parsing the response, remote is likely not an Elasticsearch instance$/,
        html      => qr/^500 exception Response didn't include supported Content-Type, remote is likely not/,
        other     => qr/^500 exception Error parsing the response, remote is likely not/,
        redirect  => qr/^500 status_exception /,
        huge      => qr/^400 illegal_argument_exception Remote responded with a chunk that was too large. Use a smaller batch size.$/,
        announced => qr/^400 illegal_argument_exception Remote responded with a chunk that was too large/,
    );
    for my $kind (sort keys %want) {
        $proxy->fault($kind, 1);
        my $got = copy({remote => {socket_timeout => '300ms'}});
        like(error($got), $want{$kind}, $kind);
        $proxy->fault($kind, 1, 'scroll$');
        $got = copy({remote => {socket_timeout => '300ms'}});
        my $failure = $got->{json}{failures}[0];
        like(join(' ', $got->{json}{created} // '-', $failure->{status} // '', $failure->{reason}{type} // '', $failure->{reason}{reason} // ''), qr/^1000 \d+ /, "$kind in the middle: what was copied is told") or diag $got->{content};
        $proxy->fault('', 0);
    }
    is(contexts(), 0, 'no scroll stays open');
    $proxy->fault(429, 2);
    my $got = copy({});
    is_deeply([$got->{status}, $got->{json}{created}, $got->{json}{retries}{search}], [200, $docs, 2], '429 is tried again') or diag $got->{content};
};

subtest 'credentials' => sub {
    $proxy->forget;
    $proxy->fault('echo', 1);
    my $got = copy({remote => {username => 'u', password => 's3cret', headers => {'X-Key' => 'h1dden'}}});
    like(error($got), qr/^400 status_exception body=Authorization: Basic <<>> <<>>$/, 'an answer that has them is cleaned');
    like($proxy->requests, qr/^\+Authorization: Basic dTpzM2NyZXQ=$/m, 'they are sent');
    like($proxy->requests, qr/^\+X-Key: h1dden$/m, 'and further headers');
    $got = copy({size => 10, remote => {username => 'u', password => 's3cret', headers => {'X-Key' => 'h1dden'}}}, url => '&wait_for_completion=false&requests_per_second=10');
    my $task = $got->{json}{task};
    ok($task, 'a task') or diag $got->{content};
    my $seen;
    ok(QdNode->wait_for(sub { $seen = $near->get("/_tasks/$task"); ($seen->{json}{task}{status}{created} // 0) >= 10 }, 20), 'it copies');
    like($seen->{json}{task}{description}, qr/^reindex from \[scheme=http host=127.0.0.1 port=\d+ username=u password=<<>>\]\[src\] to \[c$n\]$/, 'what it says of itself');
    my $record = $near->post('/.tasks/_search', {})->{content};
    my $list = $near->get('/_tasks?detailed=true')->{content};
    unlike($record . $list . $seen->{content} . $near->log_text, qr/s3cret|h1dden|dTpzM2NyZXQ/, 'no secret in record, tasks, log');
    $got = $near->post("/_reindex/$task/_rethrottle?requests_per_second=20");
    like($got->{content}, qr/"requests_per_second":20/, 'another rate');
    $got = $near->post("/_tasks/$task/_cancel");
    ok(QdNode->wait_for(sub { $seen = $near->get("/_tasks/$task"); $seen->{json}{completed} }, 20), 'a cancelled task ends');
    is($seen->{json}{response}{canceled}, 'by user request', '... and says so') or diag $seen->{content};
    ok(QdNode->wait_for(sub { contexts() == 0 }, 10), 'its scroll is given back');
};

subtest 'a node that goes' => sub {
    my $got = copy({size => 10, remote => {username => 'u', password => 's3cret'}}, url => '&wait_for_completion=false&requests_per_second=10');
    my $task = $got->{json}{task};
    ok(QdNode->wait_for(sub { ($near->get("/_tasks/$task")->{json}{task}{status}{created} // 0) >= 10 }, 20), 'it copies');
    $near->kill9;
    $near->start;
    my $seen;
    ok(QdNode->wait_for(sub { $seen = $near->get("/_tasks/$task"); $seen->{json}{completed} }, 40), 'its task has ended') or diag $seen->{content};
    like($seen->{json}{error}{reason} // '', qr/a reindex from a remote cluster does not go on elsewhere.*start it again/, 'with an error that says why') or diag $seen->{content};
    unlike($near->log_text, qr/s3cret/, 'no secret in the log');
};

subtest 'TLS' => sub {
    plan skip_all => 'no openssl' if system 'openssl version >/dev/null 2>&1';
    my $dir = $near->{dir};
    system(qq(cd $dir && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=elsewhere -addext subjectAltName=DNS:elsewhere >/dev/null 2>&1)) and die 'openssl';
    open my $f, '>', "$dir/answer" or die;
    print $f "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi";
    close $f;
    my $port = QdNode::free_port();
    my $try = sub {
        my ($mode, @more) = @_;
        $near->stop;
        $near->{settings} = {'reindex.remote.allowlist' => '127.0.0.1:*', 'reindex.ssl.verification_mode' => $mode, @more};
        $near->start;
        my $pid = fork // die;
        if (!$pid) {
            open STDIN, '<', "$dir/answer"; open STDOUT, '>', "$dir/tls.log"; open STDERR, '>&', \*STDOUT;
            exec 'openssl', 's_server', '-quiet', '-naccept', 1, '-accept', "127.0.0.1:$port", '-cert', "$dir/cert.pem", '-key', "$dir/key.pem" or POSIX::_exit(1);
        }
        my $got;
        QdNode->wait_for(sub { $got = copy({remote => {host => "https://127.0.0.1:$port"}}); error($got) !~ /connect_exception/ }, 10);
        kill KILL => $pid;
        waitpid $pid, 0;
        return error($got);
    };
    like($try->('full', 'reindex.ssl.certificate_authorities' => "$dir/cert.pem"), qr/^500 s_s_l_handshake_exception \[127.0.0.1:\d+\] was not reached by TLS/, 'a certificate of another host');
    like($try->('certificate'), qr/^500 s_s_l_handshake_exception/, 'one of nobody known');
    like($try->('certificate', 'reindex.ssl.certificate_authorities' => "$dir/cert.pem"), qr/^500 exception Response didn't include supported Content-Type/, 'one of an authority that is named');
    like($try->('none'), qr/^500 exception Response didn't include supported Content-Type/, 'any one');
    $near->stop;
    $near->{settings} = {'reindex.remote.whitelist' => '*:*'};
    $near->launch;
    ok($near->wait_end(20), 'a list that allows every address ends the start') if $near->can('wait_end');
    like($near->log_text . $near->stderr_text, qr/\[\*:\*\] allows every address/, '... and says why');
    $near->{settings} = {};
    $near->start;
};

$proxy->stop;
$_->stop for $near, $far;
done_testing;
