/* shard.c: one shard: open, use, fail, open again. See shards.h. */
#include "base/log.h"
#include "base/str.h"
#include "cluster/copies.h"
#include "cluster/state/index_sort.h"
#include "engine/replica.h"
#include "mapping/synthetic.h"
#include "segment/stored.h"
#include "shard/shards_int.h"
#include <stdio.h>
#include <string.h>

qd_shard *qdi_shard_ref(qd_shard *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void qd_shard_unref(qd_shard *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    qd_shards *all = s->shards;
    qdi_shard_stop(s, false);
    qd_mutex_lock(&all->lock);
    s->deleting = s->removing;
    qd_mutex_unlock(&all->lock);
    if (s->deleting) qdi_shard_files_remove(all, s->uuid, s->number, s->name, s->index_gone);
    for (uint32_t i = 0; i < QD_SLOTS_MAX; i++) qd_document_writer_free(s->writer[i]);
    qd_index_meta_unref(s->index);
    qdi_gate_fini(&s->gate);
    qd_mutex_fini(&s->lock);
    qd_mutex_fini(&s->searcher_lock);
    qd_mutex_lock(&all->lock);
    if (s->ended_at) *s->ended_at = s->next_ended;
    if (s->ended_at && s->next_ended) s->next_ended->ended_at = s->ended_at;
    all->live--;
    qd_cond_broadcast(&all->idle);
    qd_mutex_unlock(&all->lock);
    qdi_shard_damage_fini(s);
    qd_free(s);
}

/* --- documents
 * ------------------------------------------------------------------------------------- */

static int write_doc(void *arg, uint32_t slot, uint64_t unit, qd_buffer *b, const qd_engine_op *op,
                     qd_err *err)
{
    qd_shard *s = arg;
    qd_shard_write *w = op->user;
    qd_doc_result result = {0};
    qd_index_meta *replay = NULL;
    if (!s->writer[slot]) {
        s->writer[slot] = qd_document_writer_make(&s->account);
        if (!s->writer[slot]) return qd_err_nomem(err, "document writer");
    }
    if (!w) replay = qd_shard_index(s);
    int rc = qd_document_write(s->writer[slot], w ? w->mapping : replay->mapping, unit, b, op,
                               &result, err);
    if (rc == 1 && w) {
        w->needs_mapping = true;
        w->update = qd_arena_str(w->arena, result.update);
        if (!w->update.p) rc = qd_err_nomem(err, "mapping update");
    } else if (rc == 1) { /* a logged document's mapping was committed before it */
        rc = qd_err_set(err, QD_E_STATE, "%s the mapping lacks fields of a logged document",
                        s->name);
    }
    qd_mapping_unref(result.merged);
    qd_index_meta_unref(replay);
    return rc;
}

static qd_mapping *source_mapping(void *arg)
{
    qd_index_meta *m = qd_shard_index(arg);
    qd_mapping *out = qd_mapping_ref(m->mapping);
    qd_index_meta_unref(m);
    return out;
}

/* A document writer keeps its tables for the next document: some 40 KiB for each thread that wrote.
 */
static bool slot_idle(void *arg, uint32_t slot)
{
    qd_shard *s = arg;
    bool some = s->writer[slot] != NULL;
    qd_document_writer_free(s->writer[slot]);
    s->writer[slot] = NULL;
    return some;
}

void qdi_shard_engine_settings(const qd_index_meta *m, qd_engine_settings *out)
{
    const qd_values *v = m->values;
    qd_engine_settings_default(out);
    out->durability =
        qd_values_i64(v, QD_IX_TRANSLOG_DURABILITY) ? QD_DURABILITY_ASYNC : QD_DURABILITY_REQUEST;
    out->gc_deletes_ms = qd_values_ms(v, QD_IX_GC_DELETES);
    out->stored_codec = qd_values_i64(v, QD_IX_CODEC) ? QD_STORED_BEST : QD_STORED_DEFAULT;
    out->merge_order = (uint8_t)qd_values_i64(v, QD_IX_MERGE_REORDER); /* as in qd_merge_order */
    out->merge.max_bytes = (uint64_t)qd_values_i64(v, QD_IX_MERGE_MAX_SEGMENT);
    double per_tier = qd_values_f64(v, QD_IX_MERGE_SEGMENTS_PER_TIER);
    out->merge.segments_per_tier = per_tier < INT32_MAX ? (uint32_t)per_tier : INT32_MAX;
    out->merge.max_at_once = (uint32_t)qd_values_i64(v, QD_IX_MERGE_MAX_AT_ONCE);
    out->merge.floor_bytes = (uint64_t)qd_values_i64(v, QD_IX_MERGE_FLOOR);
    out->merge.deletes_allowed = qd_values_f64(v, QD_IX_MERGE_DELETES_PCT) / 100;
    int64_t threads = qd_values_i64(v, QD_IX_MERGE_THREADS);
    out->merges_max = threads ? (uint32_t)threads : 1;
    out->refresh_waits_max = (uint32_t)qd_values_i64(v, QD_IX_MAX_REFRESH_LISTENERS);
}

/* --- opening
 * ---------------------------------------------------------------------------------------- */

int qdi_shard_make(qd_shards *all, const qd_index_meta *m, uint32_t number, const qd_shard_meta *r,
                   const qd_copy *c, qd_shard **out, qd_err *err)
{
    qd_shard *s = qd_calloc(NULL, sizeof *s);
    if (!s) return qd_err_nomem(err, "shard");
    atomic_store(&s->refs, 1);
    s->shards = all;
    atomic_store(&s->searched_ns, qd_env_mono_ns(all->env));
    atomic_store(&s->search_from, QD_SEQ_NO_NONE);
    s->quiet_seq_no = -2; /* nothing was seen yet, also when the first number is already given */
    s->number = number;
    atomic_store(&s->primary_term, r->primary_term);
    s->primary = c == &r->copies[0];
    /* it may have started before it was open, while its index was closed */
    bool none = c->recovery == QD_RECOVERY_EMPTY_STORE && (r->unopened || !qd_copy_is_active(c));
    s->existing =
        s->primary && !none && (qd_copy_is_active(c) || c->recovery == QD_RECOVERY_EXISTING_STORE);
    s->forced = s->existing && r->unopened;
    s->resized = s->primary && !s->existing && r->fresh && qdi_shard_is_resized(m, NULL);
    s->index = qd_index_meta_ref(m);
    snprintf(s->uuid, sizeof s->uuid, "%s", m->uuid);
    snprintf(s->allocation_id, sizeof s->allocation_id, "%.*s", QD_STR_ARG(c->allocation_id));
    snprintf(s->folder, sizeof s->folder, "indices/%s/%u", m->uuid, number);
    snprintf(s->name, sizeof s->name, "[%.*s][%u]", QD_STR_ARG(m->name), number);
    qd_account_init(&s->account, "shard", all->account, 0);
    qd_mutex_init(&s->lock);
    qd_mutex_init(&s->searcher_lock);
    qd_waitq_init(&s->changed, &s->lock);
    qdi_gate_init(&s->gate);
    shard_job *jobs[] = {&s->open,   &s->refresh, &s->flush, &s->sync,
                         &s->reopen, &s->report,  &s->close};
    for (size_t i = 0; i < QD_COUNT_OF(jobs); i++) jobs[i]->shard = s;
    *out = s;
    return 0;
}

void qdi_shard_index_set(qd_shard *s, const qd_index_meta *m)
{
    qd_engine_settings settings;
    qd_mutex_lock(&s->lock);
    qd_index_meta *old = s->index;
    s->index = qd_index_meta_ref(m);
    qd_mutex_unlock(&s->lock);
    bool changed = old->settings_version != m->settings_version;
    qd_index_meta_unref(old);
    if (!changed) return;
    qdi_shard_engine_settings(m, &settings);
    qdi_gate_enter(&s->gate);
    if (s->engine) qd_engine_settings_set(s->engine, &settings);
    qdi_gate_leave(&s->gate);
    /* what was written without a sync gets one, whatever the interval was */
    if (settings.durability == QD_DURABILITY_REQUEST) {
        qdi_shard_queue(s, &s->sync, "flush", qdi_shard_sync_run);
    }
    atomic_store(&s->refresh_due_ns, 0);
}

/* The engine has a partner in replication that nobody tells of its end. */
static void abandon(qd_shard *s, void *copies_arg)
{
    const qd_shards_copies *k = s->shards->copies;
    if (k && k->abandoned) k->abandoned(s->shards->copies_arg, copies_arg);
}

static int open_or_make(qd_shard *s, const qd_engine_config *c, qd_engine **out, qd_err *err)
{
    char prefix[96];
    /* a new primary has no commit point yet, what is there is the rest of another copy; one that
     * was open before must have it */
    bool moved = false;
    int rc = s->primary ? 0 : qdi_shard_aside(s, &moved, err);
    if (rc) return rc;
    if (moved) s->existing = false;
    rc = s->primary && !s->existing ? QD_E_NOTFOUND : qd_engine_open(c, out, err);
    if (!s->primary && !s->existing && (rc == QD_E_CORRUPT || rc == QD_E_TRANSLOG_CORRUPT)) {
        rc = qdi_shard_damaged_aside(s, err);
        if (!rc) rc = QD_E_NOTFOUND;
    }
    if (rc != QD_E_NOTFOUND || s->existing) return rc;
    if (err) qd_err_fini(err);
    int n = snprintf(prefix, sizeof prefix, "%s/", s->folder);
    rc = qdi_tiers_delete_all(s->shards, (qd_str){prefix, (size_t)n}, err);
    if (!rc && s->resized) {
        rc = qdi_shard_resize(s, c, err);
        return rc ? rc : qd_engine_open(c, out, err);
    }
    return rc ? rc : qd_engine_create(c, out, err);
}

/* Where its files are, who else has copies, and what is there. */
static int open_at(qd_shard *s, qd_engine_config *config, qd_engine **out, qd_err *err)
{
    qd_shards *all = s->shards;
    qd_engine_config c = *config;
    int rc = qdi_tier_of_log(all, s->uuid, s->tier, &s->log_tier, err);
    bool fresh = s->primary && !s->existing; /* whatever is there goes */
    if (!rc && !fresh) rc = qdi_tiers_check_one(all, s->folder, err);
    if (rc) return rc;
    c.log_store = s->log_tier->store;
    c.segment_store = s->tier->store;
    c.disk_full = &s->tier->disk_full;
    if (all->copies && all->copies->configure) {
        all->copies->configure(all->copies_arg, s, s->primary, &c);
    }
    rc = open_or_make(s, &c, out, err);
    /* What a crash took of operations that were acknowledged without a sync another copy may have:
     * its log goes on under numbers that have other operations here by now. */
    bool shorter = s->primary && s->existing && c.settings.durability == QD_DURABILITY_ASYNC;
    if (!rc && (s->forced || shorter) && (rc = qd_engine_history_renew(*out, err))) {
        qd_engine_close(*out, false);
    }
    if (!rc && s->primary && s->forced) qdi_shard_aside_void(s);
    if (rc) abandon(s, c.copies_arg);
    return rc;
}

static int open_engine(qd_shard *s, qd_engine **out, qd_err *err)
{
    qd_shards *all = s->shards;
    qd_index_meta *m = qd_shard_index(s);
    qd_merge_sort sort[QD_MERGE_SORT_MAX];
    qd_engine_config c = {
        .env = all->env,
        .folder = qd_str_c(s->folder),
        .name = qd_str_c(s->name),
        .primary_term = atomic_load(&s->primary_term),
        .slots = all->slots,
        .slot_bytes = atomic_load(&all->slot_bytes),
        .account = &s->account,
        /* not that of forced merges, which wait for those under way */
        .merge_pool = qd_pools_get(all->pools, "merge"),
        .part_types = {qd_field_part_find, qd_analyzers_plugins(m->analyzers)},
        .order_memory =
            all->config ? (uint64_t)qd_config_i64(all->config, QD_SET_MERGE_REORDER_SIZE) : 0,
        .write_doc = write_doc,
        .slot_idle = slot_idle,
        .source_mapping = qd_mapping_synthetic(m->mapping) ? source_mapping : NULL,
        .write_doc_arg = s,
        .mode = s->primary ? QD_ENGINE_PRIMARY : QD_ENGINE_REPLICA,
        .sort = sort,
    };
    qdi_shard_engine_settings(m, &c.settings);
    const char *missing = qd_analyzers_missing(m->analyzers);
    if (!missing) missing = qd_mapping_missing(m->mapping);
    int rc = missing ? qd_err_set(err, QD_E_PLUGIN, "%s", missing) : 0;
    if (!rc) rc = qdi_tier_of(all, m, &s->tier, err);
    if (!rc) rc = qd_index_sort(m->values, sort, &c.nsort, err);
    /* documents of its log could not be parsed or analyzed; or it opens, under m's settings */
    if (!rc) rc = open_at(s, &c, out, err);
    qd_index_meta_unref(m);
    return rc;
}

/* Is another life of the same shard still open in this folder, or about to be? Under the lock of
 * all shards. */
static bool former_there(const qd_shard *s)
{
    const qd_shards *all = s->shards;
    for (const qd_shard *f = all->ended; f; f = f->next_ended) {
        if (f == s || f->number != s->number || strcmp(f->uuid, s->uuid) != 0) continue;
        if (!f->stopped || f->deleting || f->opening) return true;
    }
    return qdi_leftover_going(all, s->uuid, s->number);
}

/* Waits until the folder is s's alone, which it is until opening_ends; false: s has ended itself.
 * Who has ended waits for nobody: its own end may be what a later life waits for. */
static bool opening_begins(qd_shard *s)
{
    qd_shards *all = s->shards;
    qd_mutex_lock(&all->lock);
    while (!s->ended && former_there(s)) qd_cond_wait(&all->idle, &all->lock);
    s->opening = !s->ended;
    bool begins = s->opening;
    qd_mutex_unlock(&all->lock);
    return begins;
}

static void opening_ends(qd_shard *s)
{
    qd_mutex_lock(&s->shards->lock);
    s->opening = false;
    qd_cond_broadcast(&s->shards->idle);
    qd_mutex_unlock(&s->shards->lock);
}

/* --- reports ---------------------------------------------------------------------------------- */

/* The primary of a closed index, which has no engine. */
typedef struct closed_report {
    qd_work work; /* first */
    qd_shards *shards;
    char uuid[QD_UUID_TEXT], allocation_id[65];
    uint32_t number;
} closed_report;

static void closed_report_end(closed_report *r)
{
    qd_shards *all = r->shards;
    qd_free(r);
    qd_mutex_lock(&all->lock);
    all->live--;
    qd_cond_broadcast(&all->idle);
    qd_mutex_unlock(&all->lock);
}

static void closed_report_run(qd_work *w)
{
    closed_report *r = (closed_report *)(void *)w;
    qd_copy_ref copy = {r->uuid, r->number, qd_str_c(r->allocation_id)};
    int rc = qd_cluster_copy_started(r->shards->cluster, &copy, NULL, NULL);
    if (rc && rc != QD_E_NOTFOUND && rc != QD_E_CONFLICT) qdi_closed_report_later(r->shards);
    closed_report_end(r);
}

void qdi_closed_report_later(qd_shards *all)
{
    atomic_store(&all->closed_due_ns,
                 qd_env_mono_ns(all->env) + SHARD_REPORT_MS * UINT64_C(1000000));
}

static qd_copy_ref ref_of(const qd_shard *s)
{
    return (qd_copy_ref){s->uuid, s->number, qd_str_c(s->allocation_id)};
}

/* A failed attempt as the record tells it. */
static qd_copy_failure failure_of(int rc)
{
    switch (rc) {
    case QD_E_CORRUPT:
    case QD_E_TRANSLOG_CORRUPT:
    case QD_E_NOTFOUND:
        return QD_COPY_LOST;
    case QD_E_NOSPACE: /* a full disk, a full memory, a network's failure pass */
    case QD_E_NOMEM:
    case QD_E_BREAKER:
    case QD_E_TIMEOUT:
        return QD_COPY_PASSES;
    default:
        return QD_COPY_FAILED;
    }
}

/* Tells the cluster that this copy failed, again later if that does not get through. */
static void report_failure(qd_shard *s)
{
    qd_err err;
    char reason[sizeof s->reason];
    qd_copy_ref copy = ref_of(s);
    if (!s->shards->cluster) return;
    qd_err_init(&err);
    qd_mutex_lock(&s->lock);
    bool failed = s->phase == SHARD_FAILED;
    int32_t what = s->report_rc;
    snprintf(reason, sizeof reason, "%s", s->reason);
    qd_mutex_unlock(&s->lock);
    int rc = failed ? qd_cluster_copy_failed(s->shards->cluster, &copy, qd_str_c(reason),
                                             failure_of(what), NULL, &err)
                    : 0;
    /* not assigned any more: the state that says so ends this shard */
    if (rc && rc != QD_E_NOTFOUND) {
        qd_log_warn(SHARD_LOG, "%s could not be reported: %s", s->name, qd_err_reason(&err));
        atomic_store(&s->report_due_ns,
                     qd_env_mono_ns(s->shards->env) + SHARD_REPORT_MS * UINT64_C(1000000));
    }
    qd_err_fini(&err);
}

/* Tells that the primary can be used, until that is committed; before it nothing may be written, as
 * the record would not know of it. false: the copy is not this node's any more. */
static bool report_started(qd_shard *s)
{
    qd_copy_ref copy = ref_of(s);
    qd_mutex_lock(&s->lock);
    s->reporting_ns = qd_env_mono_ns(s->shards->env) | 1;
    qd_mutex_unlock(&s->lock);
    for (;;) {
        qd_err err;
        qd_err_init(&err);
        int rc =
            s->shards->cluster ? qd_cluster_copy_started(s->shards->cluster, &copy, NULL, &err) : 0;
        bool gone = rc == QD_E_NOTFOUND || rc == QD_E_CONFLICT;
        if (rc && !gone) {
            qd_log_warn(SHARD_LOG, "%s is open, which could not be reported: %s", s->name,
                        qd_err_reason(&err));
        }
        qd_err_fini(&err);
        if (!rc || gone) return !rc;
        uint64_t until = qd_env_mono_ns(s->shards->env) + SHARD_REPORT_MS * UINT64_C(1000000);
        qd_mutex_lock(&s->lock);
        while (s->phase != SHARD_CLOSED && qd_env_mono_ns(s->shards->env) < until) {
            (void)qd_waitq_wait(&s->changed, until);
        }
        bool closed = s->phase == SHARD_CLOSED;
        qd_mutex_unlock(&s->lock);
        if (closed) return false;
    }
}

void qdi_shard_report_run(qd_work *w)
{
    shard_job *j = (shard_job *)(void *)w;
    if (qdi_shard_job_begin(j)) report_failure(j->shard);
    qdi_shard_job_end(j);
}

/* --- opening, again --------------------------------------------------------------------------- */

static void closing(qd_shard *s, qd_engine *e)
{
    const qd_shards_copies *k = s->shards->copies;
    if (k && k->closing) k->closing(s->shards->copies_arg, s, e);
}

/* Ends an attempt to open: phase, reason. */
static void settle(qd_shard *s, qd_engine *e, int rc, const qd_err *err)
{
    const qd_shards_copies *k = s->shards->copies;
    qd_assert(!s->engine); /* two in one folder would write over each other */
    qd_mutex_lock(&s->lock);
    bool closed = s->phase == SHARD_CLOSED;
    s->reporting_ns = 0;
    if (!closed) {
        s->engine = e;
        s->phase = rc ? SHARD_FAILED : SHARD_OPEN;
        s->report_rc = rc;
        if (!rc) s->existing = true; /* from now on a missing commit point is a loss */
        if (!rc) s->forced = false;
        snprintf(s->reason, sizeof s->reason, "%s", rc ? qd_err_reason(err) : "");
    }
    qd_waitq_wake(&s->changed);
    qd_mutex_unlock(&s->lock);
    if (closed && e) {
        void *arg = qd_engine_copies_arg(e);
        qd_engine_close(e, true);
        abandon(s, arg);
    }
    if (!closed && e && k && k->opened) k->opened(s->shards->copies_arg, s, s->primary, e);
}

/* Takes the engine away and closes it; the gate is held for writing. */
static void close_engine(qd_shard *s, bool flush)
{
    qd_engine *e = s->engine;
    s->engine = NULL;
    qdi_shard_searcher_drop(s, true);
    if (!e) return;
    void *arg = qd_engine_copies_arg(e);
    closing(s, e);
    qd_engine_close(e, flush && !qd_engine_failure(e, NULL));
    abandon(s, arg);
    for (uint32_t i = 0; i < QD_SLOTS_MAX; i++) {
        qd_document_writer_free(s->writer[i]);
        s->writer[i] = NULL;
    }
}

/* Nobody is inside until the gate is opened; a forced merge, which may take hours, is not waited
 * for. */
static void shut(qd_shard *s)
{
    qdi_gate_enter(&s->gate);
    if (s->engine) qd_engine_merges_stop(s->engine);
    qdi_gate_leave(&s->gate);
    qdi_gate_close(&s->gate);
}

/* Metadata may have changed since the engine began to be opened. The gate is closed: who changes it
 * from now on finds the engine. */
static void settings_again(qd_shard *s, qd_engine *e)
{
    qd_engine_settings settings;
    qd_index_meta *m = qd_shard_index(s);
    qdi_shard_engine_settings(m, &settings);
    qd_engine_settings_set(e, &settings);
    qd_index_meta_unref(m);
}

static void open_now(qd_shard *s)
{
    qd_err err;
    qd_engine *e = NULL;
    if (!opening_begins(s)) return;
    qd_err_init(&err);
    uint64_t begun = qd_env_mono_ns(s->shards->env);
    int rc = open_engine(s, &e, &err);
    if (rc) {
        e = NULL;
        qd_log_error(SHARD_LOG, "%s could not be opened: %s", s->name, qd_err_reason(&err));
    }
    atomic_store(&s->counts.opened_ns, qd_env_mono_ns(s->shards->env) - begun);
    atomic_store(&s->counts.opened_wall_ms, (uint64_t)qd_env_wall_ms(s->shards->env));
    if (e && s->primary && !report_started(s)) { /* the state that says so ends this shard */
        void *arg = qd_engine_copies_arg(e);
        qd_engine_close(e, false);
        abandon(s, arg);
    } else {
        qdi_gate_close(&s->gate);
        if (e) settings_again(s, e);
        settle(s, e, rc, &err);
        qdi_gate_open(&s->gate);
    }
    opening_ends(s);
    qd_err_fini(&err);
    if (rc) report_failure(s);
}

void qdi_shard_open_run(qd_work *w)
{
    shard_job *j = (shard_job *)(void *)w;
    if (qdi_shard_job_begin(j)) open_now(j->shard);
    qdi_shard_job_end(j);
}

/* Does the record say that what was acknowledged may be on no disk? */
static bool unsynced(const qd_shard *s)
{
    qd_state *now = qd_cluster_state(s->shards->cluster);
    const qd_index_meta *m = qd_state_index_uuid(now, qd_str_c(s->uuid));
    const qd_shard_meta *r = m ? qd_state_shard(now, m, s->number) : NULL;
    bool is = r && r->unopened;
    qd_state_unref(now);
    return is;
}

/* The engine failed: closed without flushing, as nothing of what it buffers was acknowledged but is
 * in the log; then another copy takes over, or this one is opened again under a higher term. */
static void reopen(qd_shard *s)
{
    qd_err err;
    uint64_t term = 0;
    char reason[sizeof s->reason];
    qd_copy_ref copy = ref_of(s);
    qd_err_init(&err);
    shut(s);
    close_engine(s, false);
    qdi_gate_open(&s->gate);
    qd_mutex_lock(&s->lock);
    snprintf(reason, sizeof reason, "%s", s->reason);
    qd_copy_failure failure = failure_of(s->report_rc);
    qd_mutex_unlock(&s->lock);
    atomic_store(&s->reopening, true);
    int rc = s->shards->cluster ? qd_cluster_copy_reopen(s->shards->cluster, &copy,
                                                         qd_str_c(reason), failure, &term, &err)
                                : QD_E_NOTFOUND;
    if (rc || !term) {
        qd_mutex_lock(&s->lock);
        if (s->phase == SHARD_OPENING) s->phase = SHARD_FAILED;
        qd_waitq_wake(&s->changed);
        qd_mutex_unlock(&s->lock);
        atomic_store(&s->reopening, false);
        /* the copy may have been given to this node again meanwhile, under a higher term */
        qdi_shard_follow(s);
        if (rc && rc != QD_E_NOTFOUND) { /* the store does not answer: tell it later */
            qd_log_warn(SHARD_LOG, "%s failed, which could not be reported: %s", s->name,
                        qd_err_reason(&err));
            atomic_store(&s->report_due_ns,
                         qd_env_mono_ns(s->shards->env) + SHARD_REPORT_MS * UINT64_C(1000000));
        }
    } else {
        atomic_store(&s->primary_term, term);
        s->primary = s->existing = true; /* also when it was to be promoted and could not yet */
        s->forced = s->forced || unsynced(s);
        atomic_store(&s->reopening, false);
        open_now(s);
    }
    qd_err_fini(&err);
}

void qdi_shard_reopen_run(qd_work *w)
{
    shard_job *j = (shard_job *)(void *)w;
    bool due = qdi_shard_job_begin(j);
    qd_mutex_lock(&j->shard->lock);
    bool closed = j->shard->phase == SHARD_CLOSED;
    qd_mutex_unlock(&j->shard->lock);
    if (due && !closed) reopen(j->shard);
    qdi_shard_job_end(j);
}

void qdi_shard_close_run(qd_work *w)
{
    shard_job *j = (shard_job *)(void *)w;
    qdi_shard_stop(j->shard, true);
    qdi_shard_job_end(j);
}

void qdi_shard_failed(qd_shard *s)
{
    char reason[sizeof s->reason] = "";
    qd_err err;
    qd_err_init(&err);
    qdi_gate_enter(&s->gate);
    if (s->engine && qd_engine_failure(s->engine, &err)) {
        snprintf(reason, sizeof reason, "%s", qd_err_reason(&err));
    }
    qdi_gate_leave(&s->gate);
    qd_err_fini(&err);
    qd_shard_fail(s, qd_str_c(reason), QD_E_IO);
}

void qd_shard_fail(qd_shard *s, qd_str text, int32_t why)
{
    bool lost = failure_of(why) == QD_COPY_LOST;
    qd_mutex_lock(&s->lock);
    bool now = s->phase == SHARD_OPEN;
    if (now) {
        s->phase = lost ? SHARD_FAILED : SHARD_OPENING;
        s->report_rc = why;
        snprintf(s->reason, sizeof s->reason, "%.*s", QD_STR_ARG(text));
        qd_waitq_wake(&s->changed);
    }
    qd_mutex_unlock(&s->lock);
    if (now && lost) {
        qdi_shard_queue(s, &s->report, "generic", qdi_shard_report_run);
    } else if (now) {
        qdi_shard_queue(s, &s->reopen, "generic", qdi_shard_reopen_run);
    }
}

void qdi_closed_report(qd_shards *all, const char *uuid, uint32_t number, qd_str allocation_id)
{
    closed_report *r = qd_calloc(NULL, sizeof *r);
    if (!r) {
        qdi_closed_report_later(all);
        return;
    }
    r->shards = all;
    r->number = number;
    snprintf(r->uuid, sizeof r->uuid, "%s", uuid);
    snprintf(r->allocation_id, sizeof r->allocation_id, "%.*s", QD_STR_ARG(allocation_id));
    r->work.run = closed_report_run;
    qd_mutex_lock(&all->lock);
    all->live++;
    qd_mutex_unlock(&all->lock);
    if (qd_pool_submit_forced(qd_pools_get(all->pools, "generic"), &r->work, NULL)) {
        closed_report_end(r);
    }
}

void qdi_shard_stop(qd_shard *s, bool flush)
{
    qd_mutex_lock(&s->lock);
    s->phase = SHARD_CLOSED;
    qd_waitq_wake(&s->changed);
    qd_mutex_unlock(&s->lock);
    shut(s);
    close_engine(s, flush);
    qdi_gate_open(&s->gate);
    qdi_shard_damage_aside(s);
    qd_mutex_lock(&s->shards->lock);
    s->stopped = true;
    qd_cond_broadcast(&s->shards->idle);
    qd_mutex_unlock(&s->shards->lock);
}

/* --- use
 * -------------------------------------------------------------------------------------------- */

int qd_shard_enter(qd_shard *s, int64_t timeout_ms, qd_engine **out, qd_err *err)
{
    uint64_t until = qd_env_mono_ns(s->shards->env) + (uint64_t)timeout_ms * 1000000u;
    char reason[256];
    for (;;) {
        qdi_gate_enter(&s->gate);
        if (QD_LIKELY(s->engine && !qd_engine_failure(s->engine, NULL))) {
            qdi_shard_wake(s);
            *out = s->engine;
            return 0;
        }
        bool failed = s->engine != NULL;
        qdi_gate_leave(&s->gate);
        if (failed) qdi_shard_failed(s);
        qd_mutex_lock(&s->lock);
        int late = 0;
        while (s->phase == SHARD_OPENING && !late) {
            late = qd_waitq_wait(&s->changed, until);
        }
        shard_phase phase = s->phase;
        snprintf(reason, sizeof reason, "%s", s->reason);
        qd_mutex_unlock(&s->lock);
        if (phase == SHARD_OPEN && qd_env_mono_ns(s->shards->env) < until) continue;
        qd_str index = qd_str_c(s->uuid);
        int rc = qd_err_set(err, QD_E_NO_SHARD, "%s primary shard is not active%s%s", s->name,
                            reason[0] ? ": " : "", reason);
        qd_err_detail_str(err, "index_uuid", index);
        return rc;
    }
}

void qd_shard_leave(qd_shard *s)
{
    bool failed = s->engine && qd_engine_failure(s->engine, NULL);
    qdi_shard_wake(s); /* the ticker may have found nothing before it was done */
    qdi_gate_leave(&s->gate);
    if (QD_UNLIKELY(failed)) qdi_shard_failed(s);
}

qd_index_meta *qd_shard_index(qd_shard *s)
{
    qd_mutex_lock(&s->lock);
    qd_index_meta *m = qd_index_meta_ref(s->index);
    qd_mutex_unlock(&s->lock);
    return m;
}

qd_shard_counts *qd_shard_counts_of(qd_shard *s)
{
    return &s->counts;
}

uint32_t qd_shard_number(const qd_shard *s)
{
    return s->number;
}
qd_account *qd_shard_account(qd_shard *s)
{
    return &s->account;
}
uint64_t qd_shard_primary_term(const qd_shard *s)
{
    return atomic_load(&s->primary_term);
}
void qd_shard_term_set(qd_shard *s, uint64_t term)
{
    atomic_store(&s->primary_term, term);
}

void qd_shard_promoted(qd_shard *s, uint64_t term)
{
    qd_mutex_lock(&s->lock);
    s->primary = s->existing = true; /* as it would be opened again */
    qd_mutex_unlock(&s->lock);
    atomic_store(&s->primary_term, term);
}
qd_str qd_shard_allocation_id(const qd_shard *s)
{
    return qd_str_c(s->allocation_id);
}

bool qd_shard_ready(qd_shard *s, char *reason)
{
    qd_mutex_lock(&s->lock);
    bool ready = s->phase == SHARD_OPEN;
    if (reason) snprintf(reason, sizeof s->reason, "%s", s->reason);
    qd_mutex_unlock(&s->lock);
    return ready;
}

bool qd_shard_settled(qd_shard *s, int64_t timeout_ms)
{
    int late = 0;
    qd_mutex_lock(&s->lock);
    while (s->phase == SHARD_OPENING && s->reporting_ns && !late)
        late = qd_waitq_wait(&s->changed, s->reporting_ns + (uint64_t)timeout_ms * 1000000u);
    bool ready = s->phase == SHARD_OPEN;
    qd_mutex_unlock(&s->lock);
    return ready;
}

qd_reader *qd_shard_reader(qd_shard *s)
{
    qdi_gate_enter(&s->gate);
    qd_reader *r = s->engine ? qd_engine_reader(s->engine) : NULL;
    qdi_gate_leave(&s->gate);
    return r;
}
