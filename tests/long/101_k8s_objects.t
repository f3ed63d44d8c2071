#!/usr/bin/perl
# 101_k8s_objects.t: indices as custom resources in number, on a real API server: 200 mappings of Elasticsearch's own
# tests sent as QuidditchIndex give byte for byte what REST gives, also from a state that was read anew; 1,000 indices
# made by REST have their objects, and their API server little to do.
#   INDICES=1000   how many
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__), dirname(__FILE__) . '/../integration/lib';
use Coordination;
use JSON::PP ();
use KubeServer;
use QdNode;
use Test::More;
use Time::HiRes qw(time);

KubeServer->skip_unless_built;
my $indices = $ENV{INDICES} || 1000;
my $json = JSON::PP->new->utf8->canonical;
my $kube = KubeServer->new('objects')->start;
my $account = $kube->install('quidditch', more => ['projections.yaml']);
my $path = '/apis/quidditch.io/v1/namespaces/quidditch/quidditchindices';
my @nodes = map {
    QdNode->new("k$_", settings => {
        'cluster.name' => 'quidditch', 'metrics.port' => -1, 'cluster.routing.allocation.disk.threshold_enabled' => 'false',
        'coordination.mode' => 'k8s-native', 'coordination.k8s.kubeconfig' => $account->{kubeconfig}, 'cluster.max_shards_per_node' => 5000,
    })
} 0, 1;
start_all(@nodes);
my $n = $nodes[0];
sub objects { return {map { ($_->{spec}{indexName} // $_->{metadata}{name}) => $_ } @{$kube->get($path)->{json}{items}}} }
sub accepted { my ($o) = @_; my ($c) = grep { $_->{type} eq 'Accepted' } @{$o->{status}{conditions} || []}; return $c || {} }
sub health { my ($o) = @_; return $o->{status}{health} // '' }

# --- mappings ---------------------------------------------------------------------------------------------------
# Mappings of Elasticsearch's YAML tests, where they lie beside the checkout: each once, as JSON, a line each. Keys are
# sorted, as an API server keeps them so, and a mapping keeps what it does not know (_meta) as it came.
my $find = <<'END';
import glob, json, sys, yaml
seen = set()
def walk(v):
    if isinstance(v, dict):
        for k, x in v.items():
            m = x if k == 'mappings' else x.get('body') if k == 'indices.put_mapping' and isinstance(x, dict) else None
            if isinstance(m, dict) and m: seen.add(json.dumps(m, default=str, sort_keys=True))
            walk(x)
    elif isinstance(v, list):
        for x in v: walk(x)
for f in sorted(glob.glob(sys.argv[1] + '/**/*.yml', recursive=True)): walk(list(yaml.safe_load_all(open(f))))
print('\n'.join(sorted(seen)))
END
my $rest = $ENV{YAML_REST} || dirname(QdNode::top()) . '/shared/yaml-rest';
my @mappings = -d $rest && system('/usr/bin/python3', '-c', 'import yaml') == 0 ? do { open my $p, '-|', '/usr/bin/python3', '-c', $find, $rest or die $!; <$p> } : ();
chomp @mappings;
diag scalar(@mappings) . " mappings of $rest";
# Fields as people have them (logs, metrics, shops, places, people), of which the others are made.
my @fields = map { /\S/ ? s/^\s+//r : () } split /\n/, <<'END';
    "@timestamp":{"type":"date","format":"strict_date_optional_time||epoch_millis"}
    "message":{"type":"text","norms":false,"fields":{"raw":{"type":"keyword","ignore_above":256}}}
    "level":{"type":"keyword","null_value":"info"}
    "status":{"type":"short","null_value":-1}
    "bytes":{"type":"long","null_value":9223372036854775807}
    "took":{"type":"double","null_value":0.1}
    "tiny":{"type":"double","null_value":1.5e-10}
    "huge":{"type":"double","null_value":1e21}
    "half":{"type":"half_float"}
    "price":{"type":"scaled_float","scaling_factor":100}
    "rate":{"type":"scaled_float","scaling_factor":0.25,"coerce":false}
    "ok":{"type":"boolean","null_value":true}
    "client_ip":{"type":"ip","ignore_malformed":true}
    "born":{"type":"date","format":"yyyy-MM-dd","null_value":"1970-01-01"}
    "title":{"type":"text","analyzer":"english","search_analyzer":"standard","position_increment_gap":7}
    "body":{"type":"text","index_options":"offsets","term_vector":"with_positions_offsets"}
    "tag":{"type":"keyword","doc_values":false,"eager_global_ordinals":true}
    "hidden":{"type":"keyword","index":false,"store":true}
    "copied":{"type":"text","copy_to":["everything"]},"everything":{"type":"text"}
    "anything":{"type":"object","enabled":false}
    "loose":{"type":"object","dynamic":"true","properties":{"deep":{"properties":{"deeper":{"type":"keyword"}}}}}
    "strict":{"dynamic":"strict","properties":{"x":{"type":"integer"}}}
    "one":{"type":"keyword","null_value":"x \"quoted\" \\ and / more"}
    "straße":{"type":"keyword"},"名前":{"type":"text"},"🐘":{"type":"long"}
    "empty \u0001 name":{"type":"keyword","meta":{"unit":"ms"}}
END
for my $k (0 .. 599) {
    my @some = @fields[map { ($k * 7 + $_ * (1 + $k % 11)) % @fields } 0 .. $k % 9];
    my %once = map { $_ => 1 } @some;
    my $properties = join ',', sort keys %once;
    $properties = qq("level$_-$k":{"type":"object","properties":{$properties}}) for 1 .. $k % 4;
    my $more = $k % 5 ? '' : qq("_meta":{"k":$k,"of":["a",{"b":null}],"x":-0.5,"text":"\\u00e9\\n"},);
    $more .= qq("dynamic":"@{[qw(true false strict)[$k % 3]]}",) if $k % 4 == 0;
    $more .= qq("dynamic_templates":[{"t$k":{"match_mapping_type":"string","match":"*_$k","mapping":{"type":"keyword"}}}],"date_detection":false,) if $k % 7 == 0;
    push @mappings, $json->encode($json->decode(qq({$more"properties":{$properties}})));
}
{
    my %bytes;
    for my $m (@mappings) {
        last if keys %bytes == 200;
        my $name = 'rest-' . keys %bytes;
        next if $bytes{$m};
        $bytes{$m} = [$name] if $n->put("/$name", qq({"settings":{"number_of_replicas":0},"mappings":$m}))->{status} == 200;
    }
    is(scalar(keys %bytes), 200, '200 mappings that this version takes');
    for my $m (keys %bytes) {
        my $name = $bytes{$m}[1] = $bytes{$m}[0] =~ s/rest/kube/r;
        my $r = $kube->post($path, qq({"apiVersion":"quidditch.io/v1","kind":"QuidditchIndex","metadata":{"name":"$name"},"spec":{"replicas":0,"mappings":$m}}));
        $r->{status} == 201 or diag "$m: $r->{content}";
    }
    my $o;
    ok(QdNode->wait_for(sub { $o = objects(); 400 == grep { (accepted($_)->{status} // '') eq 'True' } values %$o }, 600), 'each is applied as a QuidditchIndex too')
        or diag map { "$_: " . (accepted($o->{$_})->{message} // '-') . "\n" } grep { (accepted($o->{$_})->{status} // '') ne 'True' } keys %$o;
    my $compare = sub {
        my @other;
        for my $m (sort keys %bytes) {
            my ($by_rest, $by_kube) = map { my $name = $_; $n->get("/$name/_mapping")->{content} =~ s/^\{"$name"/{"x"/r } @{$bytes{$m}}[0, 1];
            push @other, "$m\n  $by_rest\n  $by_kube" if $by_rest ne $by_kube;
            $bytes{$m}[2] //= $by_rest;
            push @other, "$m\n  $bytes{$m}[2]\n  $by_rest" if $bytes{$m}[2] ne $by_rest;
        }
        return @other;
    };
    my @other = $compare->();
    is(scalar @other, 0, '... the mappings of both are the same bytes') or diag @other[0 .. 2];
    @other = grep { my ($name) = @{$bytes{$_}}; $json->encode($o->{$name}{spec}{mappings} || {}) ne $json->encode($n->get("/$name/_mapping")->{json}{$name}{mappings}) } keys %bytes;
    is(scalar @other, 0, '... and what REST made is shown so') or diag @other[0 .. 2];
    is($_->stop, 0, "$_->{name} stops") for @nodes;
    start_all(@nodes);
    @other = $compare->();
    is(scalar @other, 0, 'the same bytes after all nodes were started again') or diag @other[0 .. 2];
    my @left = grep { $n->delete("/$_")->{status} != 200 } map { @$_[0, 1] } values %bytes;
    is("@left", '', 'all are deleted');
    $kube->delete("$path/$_->[1]") for values %bytes;
    ok(QdNode->wait_for(sub { !%{objects()} }, 300), '... with their objects');
}

# --- many -------------------------------------------------------------------------------------------------------
sub cpu { my ($one) = @_; my @f = split ' ', (QdNode::slurp("/proc/$one->{pid}/stat") =~ s/.*\) //r); return ($f[11] + $f[12]) / 100 }
$kube->forget_calls;
my $start = time;
my $failed = 0;
for my $i (1 .. $indices) {
    $n->put("/many-$i", {settings => {number_of_replicas => 0}, mappings => {properties => {a => {type => 'keyword'}}}})->{status} == 200 or $failed++;
}
my $made = time - $start;
is($failed, 0, "$indices indices by REST");
my $o;
ok(QdNode->wait_for(sub { $o = objects(); $indices == grep { health($_) eq 'green' && ($_->{spec}{mappings}{properties}{a}{type} // '') eq 'keyword' } values %$o }, 600, 1), '... have their objects')
    or diag scalar(keys %$o);
my $shown = time - $start;
my @used = map { cpu($_) } @nodes;
my $writes = grep { $_->{verb} =~ /create|update/ } $kube->audited(user => $account->{user}, resource => 'quidditchindices');
diag sprintf '%d indices: made in %.1f s, shown after %.1f s by %d writes; CPU %s s', $indices, $made, $shown, $writes, join ' + ', @used;
my ($status, $out) = $kube->kubectl('get', 'qidx', '-n', 'quidditch');
is(scalar(() = $out =~ /^many-\d+ +1 +0 +ACTIVE +green/mg), $indices, '... which kubectl shows');

# what is quiet asks for nothing but leases and a look at the root
$kube->forget_calls;
my $quiet = time;
QdNode->wait_for(sub { time - $quiet > 60 }, 90, 1);
my %idle;
$idle{"$_->{verb} $_->{resource}"}++ for grep { $_->{verb} ne 'watch' && $_->{resource} ne 'leases' } $kube->audited(user => $account->{user});
my $sum = 0;
$sum += $_ for values %idle;
cmp_ok($sum, '<=', 5 * @nodes, 'then at most 5 requests a minute and control node') or diag explain \%idle;

$start = time;
$n->delete('/many-' . $_) for 1 .. $indices;
ok(QdNode->wait_for(sub { !%{objects()} }, 600, 1), 'deleted by REST they take their objects along');
diag sprintf '... within %.1f s', time - $start;
is_deeply($kube->role_use($account)->{refused}, [], 'nothing was asked for that the roles do not grant');
$_->signal('TERM') for @nodes;
is($_->stop, 0, "$_->{name} ends") for @nodes;
done_testing;
