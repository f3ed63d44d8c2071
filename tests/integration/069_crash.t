#!/usr/bin/perl
# 069_crash.t: a process that dies by a signal of a fault leaves one line with signal, address, module and offset,
# build id, thread and the plugin's call, and dies by that signal all the same.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use POSIX ();
use QdNode;
use Test::More;
use Toys qw(toys);

plan skip_all => 'a sanitizer has handlers of its own' if $QdNode::OUT =~ /address|thread/;
my $dir = toys('the toy is built', 'toy-operator', 'toy-services');
my %with = ('plugins.path' => $dir, 'plugins.allow' => 'coordination-raft,storage-nvme,toy-operator,toy-services');

# Its end by that signal: the status of a wait has it in the low bits.
sub died_by {
    my ($n, $signal, $what) = @_;
    ok($n->wait_for(sub { !$n->alive }), "$what: the node ends");
    is($n->{status} & 127, $signal, '... by the signal');
    $n->{http} = undef;
}

my $n = QdNode->new('cr', settings => {%with});
$n->start;
$n->put('/x', {settings => {number_of_shards => 1, number_of_replicas => 0}});
is($n->put('/x/_doc/1?refresh=true', {n => 1})->{status}, 201, 'a document');
$n->post('/x/_search', {query => {toy_op => {mode => 'crash', ms => 16}}});
died_by($n, POSIX::SIGSEGV(), 'a plugin that crashes');
my ($line) = my @lines = $n->log_text =~ /^(.*\[crash .*)$/mg;
is(@lines, 1, 'one line');
like($line, qr/^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3}\]\[ERROR\]\[crash          \] \[cr\] SIGSEGV at address 0x10, in toy-operator\.so\+0x[0-9a-f]+ \(plugin \[toy-operator\] 0\.1\.0, build id [0-9a-f]{40}\), thread \[guest\], while next_block of \[toy_op\] of plugin \[toy-operator\] ran; quidditch \S+, build \S+-[0-9a-f]{16}$/,
    'with signal, address, module, offset, build ids, thread and call');
my ($offset) = $line =~ /\+0x([0-9a-f]+)/;
my $where = `addr2line -f -e '$dir/toy-operator.so' 0x$offset 2>/dev/null`;
like($where, qr/^crash$/m, 'which leads to the function') if $where;

$n->start;
is($n->get('/x/_count')->{json}{count}, 1, 'started again the document is there') if $n->wait_for(sub { $n->get('/x/_count')->{status} == 200 });
$n->post('/x/_search', {query => {toy_op => {mode => 'deep', ms => 1}}});
died_by($n, POSIX::SIGSEGV(), 'a plugin that overflows its stack');
like($n->log_text, qr/\[crash .* SIGSEGV at address 0x[0-9a-f]+, in toy-operator\.so\+0x[0-9a-f]+ .* ran; quidditch/, '... leaves its line too');
$n->start;
$n->get('/_toy/job?to=crash'); # it may crash before the answer
died_by($n, POSIX::SIGSEGV(), 'a job of a plugin that crashes');
like($n->log_text, qr/\[crash .* SIGSEGV at address 0x10, in toy-services\.so\+0x[0-9a-f]+ .*, thread \[generic[^\]]*\], while run of \[crash\] of plugin \[toy-services\] ran; quidditch/, '... names job and plugin') or diag $n->log_text =~ /^(.*\[crash .*)$/m;
for my $signal (qw(SEGV ABRT BUS FPE ILL)) {
    $n->start unless $n->{pid};
    $n->signal($signal);
    died_by($n, POSIX->can("SIG$signal")->(), "kill -$signal");
    like($n->log_text, qr/\[crash          \] \[cr\] SIG$signal sent by process $$, in \S+\+0x[0-9a-f]+ /, '... leaves a line');
}

# In JSON the line is JSON; without a log file it goes to standard error.
my $j = QdNode->new('cj', settings => {'logger.format' => 'json'});
$j->{settings}{'logger.stderr'} = 'true';
$j->launch;
ok($j->wait_for(sub { $j->stderr_text =~ /started in \d+ ms/ }, 60), 'a node that logs JSON');
$j->signal('SEGV');
died_by($j, POSIX::SIGSEGV(), 'it');
($line) = $j->stderr_text =~ /^(.*"crash".*)$/m;
my $json = eval { JSON::PP->new->decode($line // '') };
is($json->{'log.logger'}, 'crash', 'its line is JSON');
like($json->{message}, qr/^SIGSEGV sent by process $$, in /, '... with the message');
is($json->{'elasticsearch.node.name'}, 'cj', '... and the node');
done_testing;
