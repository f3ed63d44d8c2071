# mutants.pl: the defects that 102_mutants.t writes into the sources, one at a time: what is wrong, where, what stands
# there (once; tests/lint/mutants.t looks), what stands there instead, who finds it.
use strict;
use warnings;

my ($kube, $core, $authority) = qw(lib/kube plugins/coordination-k8s core/cluster/authority);
my ($watch_t, $client_t, $curl_t) = map { "kube/${_}_t" } qw(watch client curl);
my ($core_t, $sim_t, $format_t, $nodes_t, $claim_t) = map { "coordination_k8s/${_}_t" } qw(core sim format cluster claim);
my ($mode_t, $stores_t, $record_t, $handover_t) = map { "cluster/${_}_t" } qw(mode stores authority handover);
return (
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
    ['an older root from the quorum is dropped in silence', "$core/core/seen.c", 'if (how == CK_BY_GET && seq == c->seq) {', 'if (seq == UINT64_MAX) {', $core_t],
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
    ['a read that met the seal is answered', "$authority/stores.c", 'if (read_too_late(r, rc)) rc = QD_E_FENCED;', '(void)read_too_late;', $stores_t],
    ['the epoch of a mirror is the cluster\'s', 'core/cluster/cluster.c', 'if (i.state == QD_COORD_ACTIVE || i.state == QD_COORD_EMPTY) {', '{', 'cluster/cluster_t'],
    ['a mirror that was given up is kept', "$authority/handover.c", 'return y->state == QD_COORD_MIRROR ? drop_mirror(h, l, err) : forget_plan(h, l, err);', 'return forget_plan(h, l, err);', $handover_t],
    # replication, shards, engine
    ['a change of an earlier term takes a later one off the list', 'core/replication/record.c', 'if (!g->cas.n || g->cas.at[0].peer != c->peer || g->cas.at[0].change != c->change) return;',
        'if (!g->cas.n || !c) return;', 'replication/jobs_t'],
    ['a resync that no primary began rolls back', 'core/replication/copy.c', 'if (!attempt) return REPL_COPY_NOT_SYNCED; /* no primary counts from 0 */', '', 'replication/machines_t'],
    ['a copy rests though a job waits for a worker', 'core/replication/record.c', 'if (atomic_load(&g->job[i].late)) return false;', '', 'replication/jobs_t'],
    ['a shard sleeps before its commit', 'core/shard/background.c', 'qd_engine_uncommitted(s->engine) < 0 && ', '', 'shard/awake_t'],
    ['a write is not found before a refresh', 'core/engine/version_map.c', 'if (!stripes(m)) return false;', 'return (void)out, false;', 'engine/stress_t'],
    ['a header that a kill left in the page cache is not synced', 'core/engine/translog_open.c', 'if (!rc && !durable && !found.durable && !named)',
        'if (!rc && named && !durable && !found.durable)', 'engine/crash_t'],
    ['a copy is told a global checkpoint that there is not', 'core/replication/primary.c', 'c->told = p->global;', 'c->told = p->global + 1;', 'replication/machines_t'],
    ['what a commit covers is not covered', 'core/engine/seq_no.c', 'if (checkpoint > s->covered) s->covered = checkpoint;',
        'if (checkpoint < s->covered) s->covered = checkpoint;', 'engine/copies_t'],
    ['a commit point covers what the log may lose', 'core/engine/engine_install.c',
        'if (!rc && durable < i->p->max_seq_no) rc', 'if (!rc && durable < -2) rc', 'engine/copies_t'],
    ['a lone primary numbers live documents by the file before', 'core/engine/engine_flush.c',
        'if (generation <= least) generation', 'if (!qdi_engine_follows(e) && generation <= least) generation', 'engine/copies_t'],
    # indices made of others, rollovers, what copies that are away need
    ['a resized shard takes what an attempt before has left', 'core/shard/shard.c', 'rc = s->primary && !s->existing ? QD_E_NOTFOUND', 'rc = s->primary && !s->existing && !s->resized ? QD_E_NOTFOUND', 'shard/resize_t'],
    ['a resized shard has started before its files are there', 'core/shard/shard.c', 'int rc = open_engine(s, &e, &err);', 'if (s->resized && !report_started(s)) return opening_ends(s);
    int rc = open_engine(s, &e, &err);', 'shard/resize_t'],
    ['deletions of a split are in a log that nothing syncs', 'core/shard/resize.c', 'if (!rc) rc = qd_engine_sync_all(e, err);
    if (!rc) rc = qd_engine_flush(e, true, err);', '', 'shard/resize_t'],
    ['a split keeps the documents of other shards', 'core/shard/resize.c', 'if (!rc && x->to->shards > x->from->shards) rc = sift', 'if (!rc && x->to->shards > 100 * x->from->shards) rc = sift', 'shard/resize_t'],
    ['a resize takes what the source has published by chance', 'core/shard/resize.c', 'rc = qd_engine_refresh(from->engine, err);
    if (!rc) rc = qd_engine_publication(from->engine, &from->p, err);
    if (rc) return rc;', 'rc = qd_engine_publication(from->engine, &from->p, err);
    if (from) return rc;', 'shard/resize_t'],
    ['a resize takes any copy for the primary', 'core/shard/resize.c', 'if (!is_primary(x, from->shard, number)) {', 'if (!is_primary(x, from->shard, number) && !x) {', 'shard/resize_t'],
    ['a shrunken shard has the files of one source', 'core/shard/resize.c', 'for (uint32_t i = 0; i < n && !rc; i++) rc = enter_source', 'for (uint32_t i = 0; i < 1 && !rc; i++) rc = enter_source', 'shard/resize_t'],
    ['a commit point names files that nothing synced', 'core/engine/engine_install.c', 'if (!rc) rc = qdi_engine_sync_files(e, &a->s, err);', '', 'shard/resize_t'],
    ['two rollovers leave the same index', 'core/cluster/cluster_streams.c', 'if (!m || !g || g->write_index != m) return changed_meanwhile(i->rolled', 'if (!m || !g) return changed_meanwhile(i->rolled', 'action/rollover_t'],
    ['the index that is left is still written to', 'core/cluster/cluster_streams.c', 'if (rolls) a.is_write_index = 0;', '', 'action/rollover_t'],
    ['the next index has no part in the alias', 'core/cluster/cluster_streams.c', 'made->naliases = i->naliases + more;', 'made->naliases = i->naliases;', 'action/rollover_t'],
    ['a replica keeps leases for ever', 'core/replication/source.c', 'if (k->whole || lease[i].renewed_ms < now - atomic_load(&g->away_ms)) {', 'if (k->whole || (k->leading && lease[i].renewed_ms < now - atomic_load(&g->away_ms))) {', 'replication/retention_t'],
    ['a replica ends the leases of whoever is away', 'core/replication/source.c', ' && g->leading;
    qd_mutex_unlock', ';
    qd_mutex_unlock', 'replication/retention_t'],
    ['a history has its new name in memory', 'core/engine/engine_replica.c', 'rc = qdi_engine_snapshot(e, true, &s, &failure);
        if (!rc) rc = qdi_engine_commit(e, &s, 0, &failure);', 'rc = qdi_engine_snapshot(e, true, &s, &failure);', 'engine/renew_t'],
    ['a renamed history goes on in the log of the old one', 'core/engine/engine_replica.c', 'if (!rc && !(rc = turn(e, &t, NULL, err))) {
        qdi_engine_history_set', 'if (!rc && t.history) {
        qdi_engine_history_set', 'engine/renew_t'],
    ['what a crash took under async has its history on', 'core/shard/shard.c', '(s->forced || shorter)', '(s->forced && shorter)', 'replication/reopened_t'],
    # found by an assertion
    ['what takers give back outweighs the share of a place', 'core/engine/reader.c', '((int64_t)1 << 32)', '((int64_t)1)', 'engine/reader_t'],
    ['a generation that was found takes more', 'core/engine/translog.c', '(t->rolling || t->unbegun || t->buf',
        '(t->rolling || t->buf', 'engine/translog_t'],
    ['records are told to be where the mark before them is', 'core/engine/translog.c', 't->pending_base = end + (mark ? MARK_BYTES : 0);',
        't->pending_base = end;', 'engine/translog_t'],
    ['operations of a trimmed generation still count', 'core/engine/translog.c', 't->operations -= f->operations;', '', 'engine/engine_t'],
    ['a segment that is gone is still listed as there', 'core/engine/engine_files.c', 'if (e->all.at[i] == s)',
        'if (e->all.at[i] == s && !e->magic)', 'engine/engine_t'],
    ['a buffer has the unit of its last life', 'core/engine/engine_files.c', 'b->unit = atomic', 'if (!b->unit) b->unit = atomic', 'engine/engine_t'],
    ['who has waited for a refresh still counts', 'core/engine/engine_refresh.c', '            e->nwaits--;', '', 'engine/copies_t'],
    ['a piece of a file takes the place of the oldest', 'core/replication/fetch.c', 'x->n < x->room && x->k', 'x->n <= x->room && x->k',
        'replication/nodes_t'],
    ['an install goes on unseen by who ends it', 'core/replication/install.c', 'if (open) g->installing = true;', '', 'replication/nodes_t'],
    ['only the last bytes that a tier was given count', 'core/store/call.c', 'sum->len += n;', 'sum->len = n;', 'store/file_t'],
    ['answers of uncacheable operators are kept', 'core/action/search/cache.c', 'if (x->indices[i].uncacheable) return;', '', 'action/cache_t'],
);
