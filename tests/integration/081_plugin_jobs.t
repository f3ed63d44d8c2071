#!/usr/bin/perl
# 081_plugin_jobs.t: jobs of a plugin in the background: once, later, again and again, cancelled by the plugin, by itself and by
# _tasks, refused, and ended before the plugin stops.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use QdNode;
use Test::More;
use Toys qw(toys);

my $dir = toys('the toy is built', 'toy-services');
my $n = QdNode->new('jo', settings => {'plugins.path' => $dir, 'plugins.allow' => '+toy-services'});
$n->start;
sub job { return $n->get("/_toy/job?to=$_[0]") }
sub counts { my %c = job('none')->{content} =~ /(\w+) (\d+)/g; return \%c }
sub logged { my ($text, $what) = @_; ok($n->wait_for(sub { $n->log_text =~ /\Q$text\E/ }), $what) }
sub tasks { return $n->get('/_tasks?detailed=true')->{content} }

is(job('once')->{status}, 200, 'a job');
logged('job once has ended', 'runs and ends');
is(job('later')->{status}, 200, 'one with a delay');
logged('job later has ended', 'runs as well');
is(job('bad')->{status}, 200, 'bad ones are refused') or diag job('bad')->{content};

is(job('again')->{status}, 200, 'a periodic one');
ok($n->wait_for(sub { counts()->{ticks} > 5 }), 'runs again and again');
is(job('cancel')->{status}, 200, 'is cancelled');
logged('job again has ended', 'and ends');
my $ticks = counts()->{ticks};
is(job('cancel')->{status}, 404, 'what has ended is not found');
is(job('itself')->{status}, 200, 'one that cancels itself');
logged('job itself has ended', 'ends');
is(counts()->{ticks}, $ticks, 'the first one has not run again');
unlike($n->log_text, qr/two runs at a time/, 'a job has one run at a time');
is(job('failing')->{status}, 200, 'one that fails');
ok($n->wait_for(sub { (() = $n->log_text =~ /job \[failing\] failed: the toy is worn out/g) > 2 }), 'is logged by its name, and runs on');
is(job('cancel')->{status}, 200, 'until it is cancelled');

is(job('long')->{status}, 200, 'a long one');
ok($n->wait_for(sub { tasks() =~ m{plugin\.toy-services\\?/long} }), '_tasks lists it') or diag tasks();
my ($id) = map { my ($t) = $_; my $all = $t->{tasks}; grep { $all->{$_}{action} =~ m{^plugin\.toy-services/long$} } keys %$all } values %{ $n->get('/_tasks')->{json}{nodes} };
is($n->post("/_tasks/$id/_cancel")->{status}, 200, '_tasks cancels it');
logged('the long job is cancelled', 'it sees that');
logged('job long has ended', 'and ends');

is(job('long')->{status}, 200, 'another one');
ok($n->wait_for(sub { tasks() =~ m{plugin\.toy-services\\?/long} }), 'runs');
my $full = job('fill');
like($full->{content}, qr/plugin \[toy-services\] has 64 jobs already/, 'too many are refused with the number') or diag $full->{content};
is($n->get('/_cluster/health')->{status}, 200, 'the node goes on');
is($n->stop, 0, 'it stops with all of them');
my ($ended, $started, $run) = $n->log_text =~ /stop: (\d+) of (\d+) jobs have ended, (\d+) run/;
is("$ended|$run", "$started|0", 'each has ended before the plugin stops');
cmp_ok($started, '>=', 64, '... all that were started');
done_testing;
