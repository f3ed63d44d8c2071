#!/usr/bin/perl
# make.pl [DIR]: makes the dashboards and rules of this folder from alerts.pl and panels.pl, into DIR or in place. It
# refuses a metric that neither core/action/cat/metrics.def nor plugins/coordination-common/metrics.def has.
use strict;
use warnings;
use FindBin;
use JSON::PP;

my $top = "$FindBin::Bin/../..";
my $to = $ARGV[0] // $FindBin::Bin;

sub slurp { open my $f, '<', $_[0] or die "$_[0]: $!\n"; local $/; return <$f> }
sub write_file
{
    my ($name, $text) = @_;
    open my $f, '>', "$to/$name" or die "$to/$name: $!\n";
    print {$f} $text;
    close $f or die "$to/$name: $!\n";
}

# --- what there is ---

my %known;
my $core = slurp("$top/core/action/cat/metrics.def");
while ($core =~ /^QD_METRIC\(\w+, "(\w+)", (\w+)/mg) {
    my ($name, $type) = ($1, $2);
    $known{$_} = 1 for $type eq 'HISTOGRAM' ? map { "$name$_" } qw(_bucket _sum _count) : $name;
}
my $store = slurp("$top/plugins/coordination-common/metrics.def");
while ($store =~ /^CR_ROW\(\w+, "(\w+)"/mg) {
    $known{"quidditch_plugin_coordination_${_}_$1"} = 1 for qw(raft k8s);
}

my ($records, $alerts, $tests) = @{do "$FindBin::Bin/alerts.pl" or die "alerts.pl: ", $@ || $!, "\n"};
my $dashboards = do "$FindBin::Bin/panels.pl" or die "panels.pl: ", $@ || $!, "\n";
$known{$_->{record}} = 1 for @$records;

sub look
{
    my ($where, $expr) = @_;
    for my $m ($expr =~ /\b((?:quidditch|process)[:_][\w:]+)/g) {
        die "$where: no metric $m: $expr\n" unless $known{$m};
    }
    return $expr;
}

# --- rules ---

sub quoted { my ($s) = @_; $s =~ s/'/''/g; return "'$s'" }
my $head = "# Made by deploy/monitoring/make.pl from %s.\n";

my $rules = sprintf($head, 'alerts.pl') . "groups:\n- name: quidditch-records\n  rules:\n";
$rules .= "  - record: $_->{record}\n    expr: " . quoted(look($_->{record}, $_->{expr})) . "\n" for @$records;
write_file('prometheus/records.yml', $rules);

$rules = sprintf($head, 'alerts.pl') . "groups:\n- name: quidditch\n  rules:\n";
for my $a (@$alerts) {
    $rules .= "  - alert: $a->{alert}\n    expr: " . quoted(look($a->{alert}, $a->{expr})) . "\n    for: $a->{for}\n"
        . "    labels:\n      severity: $a->{severity}\n    annotations:\n      summary: " . quoted($a->{summary})
        . "\n      runbook: docs/runbooks/$a->{alert}.md\n";
}
write_file('prometheus/alerts.yml', $rules);

# Each alert is quiet over its first series and fires over its second one.
my $text = sprintf($head, 'alerts.pl') . "rule_files: [records.yml, alerts.yml]\nevaluation_interval: 1m\ntests:\n";
for my $a (@$alerts) {
    my $t = $tests->{$a->{alert}} or die "$a->{alert} has no test\n";
    for my $kind (qw(quiet fires)) {
        $text .= "- name: $a->{alert} $kind\n  interval: 1m\n  input_series:\n";
        for my $s (@{$t->{$kind}}) {
            my ($series, $values) = @$s;
            look("$a->{alert}, test", $series);
            $text .= "  - series: " . quoted($series) . "\n    values: " . quoted($values) . "\n";
        }
        $text .= "  alert_rule_test:\n  - eval_time: $t->{at}\n    alertname: $a->{alert}\n    exp_alerts:"
            . ($kind eq 'quiet' ? " []\n" : "\n");
        next if $kind eq 'quiet';
        my %labels = (%{$t->{labels} // {}}, severity => $a->{severity});
        (my $summary = $a->{summary}) =~ s/\{\{ \$labels\.(\w+) \}\}/$labels{$1}/g;
        $text .= "    - exp_labels:\n" . join('', map { "        $_: " . quoted($labels{$_}) . "\n" } sort keys %labels)
            . "      exp_annotations:\n        summary: " . quoted($summary)
            . "\n        runbook: docs/runbooks/$a->{alert}.md\n";
    }
}
for my $r (grep { $_->{gives} } @$records) {
    $text .= "- name: $r->{record}\n  interval: 1m\n  input_series:\n";
    $text .= "  - series: " . quoted($_->[0]) . "\n    values: " . quoted($_->[1]) . "\n" for @{$r->{series}};
    $text .= "  promql_expr_test:\n  - expr: $r->{record}\n    eval_time: $r->{at}\n    exp_samples:\n";
    $text .= "    - labels: " . quoted("$r->{record}\{$_->[0]}") . "\n      value: $_->[1]\n" for @{$r->{gives}};
}
write_file('prometheus/alerts_test.yml', $text);

# --- dashboards ---

my $json = JSON::PP->new->canonical->pretty->indent_length(2);
for my $d (@$dashboards) {
    my ($id, $x, $y, @panels) = (0, 0, 0);
    for my $p (@{$d->{panels}}) {
        my $wide = $p->{width} // 12;
        ($x, $y) = (0, $y + 8) if $x + $wide > 24;
        my $ref = 'A';
        push @panels, {
            id => ++$id, type => $p->{type} // 'timeseries', title => $p->{title},
            description => $p->{help} // '', datasource => {type => 'prometheus', uid => '${datasource}'},
            gridPos => {x => $x, y => $y, w => $wide, h => 8},
            fieldConfig => {defaults => {unit => $p->{unit} // 'short', min => 0}, overrides => []},
            targets => [map { {refId => $ref++, expr => look("$d->{title}, $p->{title}", $_->[0]),
                legendFormat => $_->[1] // '{{instance}}'} } @{$p->{targets}}],
        };
        $x += $wide;
    }
    my @variables = ({name => 'datasource', type => 'datasource', query => 'prometheus', label => 'Data source'});
    for my $v (@{$d->{variables} // []}) {
        push @variables, {name => $v->{name}, label => $v->{label}, type => 'query', refresh => 2, multi => JSON::PP::true,
            includeAll => JSON::PP::true, allValue => '.*', current => {text => 'All', value => '$__all'},
            datasource => {type => 'prometheus', uid => '${datasource}'},
            query => 'label_values(' . look($d->{title}, $v->{of}) . ", $v->{name})"};
    }
    write_file("grafana/$d->{file}.json", $json->encode({
        uid => "quidditch-$d->{file}", title => $d->{title}, tags => ['quidditch'], schemaVersion => 38, version => 1,
        editable => JSON::PP::true, refresh => '30s', time => {from => 'now-1h', to => 'now'},
        templating => {list => \@variables}, panels => \@panels}));
}
