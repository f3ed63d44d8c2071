#!/usr/bin/perl
# 079_plugin_settings.t: settings of a plugin that change while the nodes run. The node that takes the request judges by the
# plugin's declaration and asks the plugin; every node tells its plugin; a restart and a removal count, too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use QdCluster;
use QdNode;
use Test::More;
use Toys qw(toys);

my $dir = toys('the toy is built', 'toy-services');
my $c = QdCluster->new('ps', nodes => 3, settings => {'plugins.path' => $dir, 'plugins.allow' => '+toy-services', 'plugins.call_timeout' => '4s', 'plugin.toy-services.rate' => 5, 'plugin.toy-services.password' => 'hushhush'});
$c->node(2)->{settings}{'plugins.allow'} = '+none';
delete $c->node(2)->{settings}{"plugin.toy-services.$_"} for qw(rate password);
$c->start;
my ($a, $b, $without) = map { $c->node($_) } 0 .. 2;

sub put { my ($on, %set) = @_; return $on->put('/_cluster/settings', {persistent => {map { ("plugin.toy-services.$_" => $set{$_}) } keys %set}}) }
sub reason { my $r = shift; return "$r->{status} " . ($r->{json}{error}{type} // '') . ': ' . ($r->{json}{error}{reason} // '') }
sub told { my ($text, $what) = @_; ok($_->wait_for(sub { $_[0] // 1; $_->log_text =~ /\Q$text\E/ }), "$what: " . $_->{name}) for $a, $b }

# --- what is shown
my $shown = $a->get('/_cluster/settings?include_defaults=true&flat_settings=true');
is_deeply({map { ($_ => $shown->{json}{defaults}{$_}) } grep { /^plugin\.toy-services\./ } keys %{ $shown->{json}{defaults} || {} }},
    {'plugin.toy-services.rate' => '5', 'plugin.toy-services.label' => 'even', 'plugin.toy-services.fixed' => '1'}, 'the defaults, and what quidditch.yml says in their place');
unlike($a->get($_)->{content}, qr/hushhush/, "no secret in $_") for '/_cluster/settings?include_defaults=true', '/_nodes', '/_nodes/settings?flat_settings=true';
like($a->get('/_nodes/settings?flat_settings=true')->{content}, qr/"plugin\.toy-services\.rate"/, 'the others are there');

# --- a value that holds
my $r = put($a, label => 'calm');
is($r->{status}, 200, 'a dynamic setting') or diag $r->{content};
told('label is now [calm], rate 5', 'its plugin is told');
is(put($b, rate => 7, words => ['a b', 'c'])->{status}, 200, 'two more, at the other node');
told('rate is now [7], rate 7', 'a number');
told("word 0 is [a b]", 'the first of a list');
told("word 1 is [c]", 'the second');
my $before = () = $a->log_text =~ /label is now/g;
is(put($a, rate => 8)->{status}, 200, 'another one');
told('rate is now [8]', 'the new value');
is(scalar(() = $a->log_text =~ /label is now/g), $before, 'what stays as it is is not told again');
$shown = $a->get('/_cluster/settings?flat_settings=true&include_defaults=true');
is($shown->{json}{persistent}{'plugin.toy-services.rate'}, '8', 'the cluster shows it');
ok(!exists $shown->{json}{defaults}{'plugin.toy-services.rate'}, '... and then no default');

# --- refusals
like(reason(put($a, fixed => 2)), qr/^400 illegal_argument_exception: persistent setting \[plugin\.toy-services\.fixed\], not dynamically updateable$/, 'one that is not dynamic');
my $transient = $a->put('/_cluster/settings', {transient => {'plugin.toy-services.fixed' => 2}});
like(reason($transient), qr/^400 illegal_argument_exception: transient setting \[plugin\.toy-services\.fixed\], not dynamically/, '... as a transient one');
like(reason(put($a, password => 'x')), qr/^400 .*not dynamically updateable/, 'a secret');
like(reason(put($a, lable => 'x')), qr/^400 .*unknown setting \[plugin\.toy-services\.lable\], did you mean \[plugin\.toy-services\.label\]/, 'a misspelt one');
like(reason(put($a, rate => 10)), qr/^400 .*plugin\.toy-services\.rate: wanted 1 to 9, found \[10\]/, 'out of its bounds');
like(reason(put($a, rate => 'x')), qr/^400 .*plugin\.toy-services\.rate: wanted an integer, found \[x\]/, 'of another type');
like(reason(put($a, label => ['a', 'b'])), qr/^400 .*plugin\.toy-services\.label: wanted a text, found a list/, 'a list for a text');
like(reason(put($a, label => 'odd')), qr/^400 illegal_argument_exception: label wants an even text/, "the plugin's own refusal");
like(reason(put($a, label => 'code')), qr/setting \[label\] of plugin \[toy-services\]: check failed with the unknown code 77/, 'a code that no list has');
like(reason(put($a, label => 'slow')), qr/^500 .*setting \[label\] of plugin \[toy-services\] has not returned from check for 4000 ms/, 'a check that does not return');
like(reason(put($without, label => 'x')), qr/^400 illegal_argument_exception: persistent setting \[plugin\.toy-services\.label\], not recognized/, 'a node without the plugin refuses it');
like($without->log_text, qr/\[plugin\.toy-services\.label\] was not applied: .*not recognized/, '... and says that it does not use what the others have');
is($a->get('/_cluster/settings?flat_settings=true')->{json}{persistent}{'plugin.toy-services.label'}, 'calm', 'nothing of it is kept');

# --- an apply that hangs holds up neither the cluster's state nor the node
my $overdue = qr/setting \[label\] of plugin \[toy-services\] has not returned from apply/;
$r = put($a, label => 'stuck');
is_deeply([$r->{status}, $r->{json}{acknowledged}], [200, JSON::PP::true], 'a value that the plugin does not get over');
$r = $a->put('/i', {settings => {number_of_replicas => 0}});
is_deeply([$r->{status}, $r->{json}{acknowledged}], [200, JSON::PP::true], 'the state goes on');
is(put($a, rate => 4)->{status}, 200, 'other settings, too');
unlike($_->log_text, $overdue, "... while the plugin hangs: $_->{name}") for $a, $b;
ok($_->wait_for(sub { $_->log_text =~ $overdue }), "the log names it: $_->{name}") for $a, $b;
told('rate is now [4], rate 4', 'and what came after it is told');
is(put($a, rate => 8)->{status}, 200, 'as it was');
told('rate is now [8]', '...');

# --- what takes precedence, and what is left when it goes
is($a->put('/_cluster/settings', {transient => {'plugin.toy-services.rate' => 2}})->{status}, 200, 'transient');
told('rate is now [2]', 'it goes before the persistent one');
is($a->put('/_cluster/settings', {transient => {'plugin.toy-services.rate' => undef}})->{status}, 200, 'removed');
ok($a->wait_for(sub { (() = $a->log_text =~ /rate is now \[8\]/g) == 3 }), 'the persistent one holds again');
is(put($a, rate => undef, words => undef)->{status}, 200, 'this one, too');
told('rate is now [5], rate 5', 'the one of quidditch.yml');
told('words is now unset []', 'one without a default');

# --- after a restart
is(put($a, rate => 6, label => 'kept')->{status}, 200, 'two values');
told('label is now [kept], rate 6', 'are told');
is($b->stop, 0, 'a node ends');
$b->start; # with a log of its own
ok($b->wait_for(sub { $b->log_text =~ /label is now \[kept\], rate 6/ }), 'and has them when it is back') or diag $b->log_text;
is($c->stop, 0, 'all end');
done_testing;
