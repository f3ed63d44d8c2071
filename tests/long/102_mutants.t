#!/usr/bin/perl
# 102_mutants.t: defects written into the sources of the Kubernetes client, the core over it, modes and migration, one
# at a time in a copy of the tree; the program named beside each has to find it: by a check that fails, neither by a crash
# nor by taking long. The broken variants that the simulations switch on (core/variant.h, broken_int.h) are theirs.
#   MUTANT='mirror|copy'   only those whose names match
use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Long;
use Test::More;

my ($kube, $core, $authority) = qw(lib/kube plugins/coordination-k8s core/cluster/authority);
my ($watch_t, $client_t, $curl_t) = map { "kube/${_}_t" } qw(watch client curl);
my ($core_t, $sim_t, $format_t, $nodes_t, $claim_t) = map { "coordination_k8s/${_}_t" } qw(core sim format cluster claim);
my ($mode_t, $stores_t, $record_t, $handover_t) = map { "cluster/${_}_t" } qw(mode stores authority handover);
# what is wrong, where, what stands there, what stands there instead, who finds it
my @mutants = (
    # the client
    ['410 in a watch is an error like others', "$kube/watch.c", 'w->gone = w->result.code == 410;
    return ENDED;', 'return ENDED;', $watch_t],
    ['410 as an answer to a watch is an error like others', "$kube/watch.c", 'w->gone = w->result.code == 410;
    }', '}', $watch_t],
    ['bookmarks are dropped', "$kube/watch.c", 'kind && set_version', 'kind && kind != 4 && set_version', $watch_t],
    ['a watch begins anew where it began first', "$kube/watch.c", 'memmove(w->resource_version, version, n + 1);',
        'if (!w->resource_version[0]) memmove(w->resource_version, version, n + 1);', $watch_t],
    ['a silent watch is left alone', "$kube/watch.c", '(void)t->cancel(t, &w->exchange);
        (void)broken', 'if (t) return;
        (void)broken', $watch_t],
    ['a page whose moment is compacted ends a list', "$kube/list.c", 'if (r->result.code == 410) {', 'if (r->result.code == 1410) {', $client_t],
    ['what was listed before the compaction stays', "$kube/list.c", 'if (l->again) l->again(l);', '', $client_t],
    ['a list is of the moment of its last page', "$kube/list.c", 'if (!l->resource_version[0]) {', '{', $client_t],
    ['504 after a write is a refusal', "$kube/result.c", 'status >= 400 && status < 500 && status != 408', 'status >= 400 && status != 408', $client_t],
    ['429 is a refusal', "$kube/result.c", ' && status != 429', '', $client_t],
    ['Retry-After is not waited for', "$kube/client.c", 'wait += r->result.retry_after_ns;', 'wait += 0;', $client_t],
    ['a lost answer to a write says that nothing was written', "$kube/result.c", 'x->outcome == KUBE_NOT_SENT ? KUBE_REFUSED : KUBE_UNKNOWN', 'KUBE_REFUSED', $client_t],
    ['writes are repeated by the client', "$kube/client.c", 'if (!r->repeat || r->exchange', 'if (r->exchange', $client_t],
    # the core
    ['the root is put whatever version it has', "$core/format/root.c", '(!r->version[0] || ck_set(meta, "resourceVersion", json_string(r->version))) &&', '', $format_t],
    ['young objects are collected', "$core/core/core_int.h", '#define CK_OLD_S 1800', '#define CK_OLD_S 0', $core_t],
    ['the lease is given up before the root', "$core/core/elect.c", 'if (c->term && !c->released) return;', '', $core_t],
    ['the lease is kept at a stop', "$core/core/elect.c", 'lease_write(c, 0, c->gave);', 'c->released = 1;', $core_t],
    ['the lease counts from its answer', "$core/core/elect.c", 'uint64_t until = ask->sent + ', 'uint64_t until = c->now + ', $core_t],
    ['a lease of another duration ends by this node\'s', "$core/core/elect.c", 'return told > c->config.lease_ns ? told : c->config.lease_ns;', '(void)told; return c->config.lease_ns;', $core_t],
    ['an older root from the quorum is dropped in silence', "$core/core/seen.c", 'if (how == CK_BY_GET && seq == c->seq) ck_fail(c, why);', '(void)seq;', $core_t],
    ['another store is followed', "$core/core/seen.c", 'memcmp(c->config.store, r->store_id, 16) != 0)', '0)', $core_t],
    ['a proposal waits for ever', "$core/core/lead.c", 'if (!f->proposal || !ck_due(c, f->until)) continue;', 'continue;', $core_t],
    ['writes of the root are not paced', "$core/core/lead.c", 'if (c->tokens < 1) {', 'if (c->tokens < -1e9) {', $core_t],
    ['a state older than the record is taken', "$core/asks.c", 'if (r->epoch >= known->epoch && r->index >= known->index) return 0;', 'return 0;', $nodes_t],
    ['the root in Kubernetes has no claim', "$core/consensus_k8s.c", 'if (c->store->home.claims) r->claim', 'if (!c) r->claim', $claim_t],
    # modes
    ['the record of a formed cluster is forgotten', "$authority/mode.c", 'd->store = in->record;
    if (in->record) {', 'd->store = in->asked_set ? QD_STORE_UNKNOWN : in->record;
    if (d->store) {', $mode_t],
    ['who may use both does not ask for the claim', "$authority/mode.c", 'd->claim = true;', '', $mode_t],
    ['a claim that cannot be read is not waited for', "$authority/mode.c", 'bool again = rc == QD_E_NO_COORDINATION || rc == QD_E_TIMEOUT;', 'bool again = false;', $mode_t],
    ['auto falls back without being told to', "$authority/mode.c", 'return in->fallback && reaches_kubernetes(in);', 'return reaches_kubernetes(in);', $mode_t],
    ['an older epoch takes over', "$authority/stores.c", 'id[other].epoch > id[now].epoch', 'id[other].epoch != id[now].epoch', $stores_t],
    ['another cluster\'s store takes over', "$authority/stores.c", 'bool ours = !rc && uuid[0] && strcmp(uuid, c->uuid) == 0;', 'bool ours = true;', $stores_t],
    ['a mirror is read', "$authority/stores.c", 'if (state == QD_COORD_ACTIVE ||', 'if (state == QD_COORD_ACTIVE || state == QD_COORD_MIRROR ||', $stores_t],
    ['the former store is not asked what became of a change', "$authority/stores.c", 'bool former = asks_former(', 'bool former = false && asks_former(', $stores_t],
    ['an older revision is acted on', "$authority/authority.c", 'epoch == r.epoch && revision >= r.revision', 'epoch == r.epoch', $record_t],
    ['a copy lacks what was deleted', "$authority/handover_copy.c", 'if (!rc && *whole) rc = gather_deleted', 'if (!rc && *whole && !g.put.n) rc = gather_deleted', $handover_t],
    ['a comparison of another revision counts', "$authority/handover_copy.c", 'from.revision = sealed ? 0 : to.revision;', 'from.revision = 0; (void)sealed;', $handover_t],
    ['a mirror that was given up is kept', "$authority/handover.c", 'return y->state == QD_COORD_MIRROR ? drop_mirror(h, l, err) : forget_plan(h, l, err);', 'return forget_plan(h, l, err);', $handover_t],
);
my $only = $ENV{MUTANT} // '';
@mutants = grep { $_->[0] =~ /$only/ } @mutants;

my $tree = Cwd::getcwd() . '/build/mutants';
my $sync = 'mkdir -p build/mutants && { git ls-files -z --cached --others --exclude-standard | tar --null -cf - -T - ; } | tar -C build/mutants -xf -';
sub slurp { my ($path) = @_; open my $f, '<', $path or die "$path: $!"; local $/; return <$f> }
sub spew { my ($path, $text) = @_; open my $f, '>', $path or die "$path: $!"; print $f $text; close $f or die "$path: $!" }
sub make {
    my ($target) = @_;
    my $out = `make -s -C $tree -j@{[jobs()]} build/tests/unit/$target 2>&1`;
    diag($out) if $?;
    return $? == 0;
}

# Runs a program over the copy: (its status, what it said).
sub run {
    my ($target) = @_;
    my $out = `cd $tree && timeout 600 build/tests/unit/$target 2>&1`;
    return ($?, $out);
}

# Found: a check of the program's own failed, which it names. (What was open then is told as lost memory at its end.)
sub found {
    my ($file, $from, $to, $target) = @_;
    my $sound = slurp($file);
    my $at = index $sound, $from;
    if ($at < 0 || index($sound, $from, $at + 1) >= 0) {
        diag("$file has this not once: $from");
        return 0;
    }
    spew("$tree/$file", substr($sound, 0, $at) . $to . substr($sound, $at + length $from));
    my ($ok, $status, $out) = make($target);
    ($status, $out) = run($target) if $ok;
    spew("$tree/$file", $sound);
    return 0 unless $ok;
    my ($how) = $out =~ /^not ok \d+ - (.*)\n(?:#.*\n)*?#.*: error: Failure!/m;
    return diag($out) && 0 unless $status && defined $how;
    note("found by $target: $how");
    return 1;
}

step('a copy of the tree', "$sync && touch " . join ' ', map { "build/mutants/$_->[1]" } @mutants) or BAIL_OUT('no copy');
my %seen;
for my $target (grep { !$seen{$_}++ } map { $_->[4] } @mutants) {
    step("$target passes as it is", sub { make($target) && (run($target))[0] == 0 });
}
for my $m (@mutants) {
    my ($name, @how) = @$m;
    step("$name: found", sub { found(@how) });
}
finish();
