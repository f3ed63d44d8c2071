/* shard.c: one shard: open, use, fail, open again. See shards.h. */
#include "base/log.h"
#include "base/str.h"
#include "segment/stored.h"
#include "shard/shards_int.h"
#include <stdio.h>
#include <string.h>

qd_shard *qdi_shard_ref(qd_shard *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static int some_file(void *arg, qd_str name, uint64_t bytes)
{
    (void)arg;
    (void)name;
    (void)bytes;
    return 1;
}

static void delete_folder(qd_shard *s)
{
    qd_err err;
    char prefix[96];
    qd_err_init(&err);
    int n = snprintf(prefix, sizeof prefix, "%s/", s->folder);
    if (qd_store_delete_all(s->shards->store, (qd_str){prefix, (size_t)n}, &err)) {
        qd_log_warn(SHARD_LOG, "%s files of the deleted shard could not be removed: %s", s->name,
                    qd_err_reason(&err));
    }
    qd_err_fini(&err);
    n = snprintf(prefix, sizeof prefix, "indices/%s/meta", s->uuid);
    /* what stays of these is cleared at the next start */
    int rc = qd_store_delete(s->shards->store, (qd_str){prefix, (size_t)n}, NULL);
    n = snprintf(prefix, sizeof prefix, "indices/%s/", s->uuid);
    qd_str folder = {prefix, (size_t)n};
    if (!rc) rc = qd_store_list(s->shards->store, folder, some_file, NULL, NULL);
    if (!rc) rc = qd_store_delete_all(s->shards->store, folder, NULL);
    (void)rc;
}

void qd_shard_unref(qd_shard *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    qd_shards *all = s->shards;
    qdi_shard_stop(s, false);
    if (s->removing) delete_folder(s);
    for (uint32_t i = 0; i < QD_SLOTS_MAX; i++) qd_document_writer_free(s->writer[i]);
    qd_index_meta_unref(s->index);
    qd_rwlock_fini(&s->gate);
    qd_cond_fini(&s->changed);
    qd_mutex_fini(&s->lock);
    qd_mutex_fini(&s->searcher_lock);
    qd_free(s);
    qd_mutex_lock(&all->lock);
    all->live--;
    qd_cond_broadcast(&all->idle);
    qd_mutex_unlock(&all->lock);
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

void qdi_shard_engine_settings(const qd_index_meta *m, qd_engine_settings *out)
{
    const qd_values *v = m->values;
    qd_engine_settings_default(out);
    out->durability =
        qd_values_i64(v, QD_IX_TRANSLOG_DURABILITY) ? QD_DURABILITY_ASYNC : QD_DURABILITY_REQUEST;
    out->gc_deletes_ms = qd_values_ms(v, QD_IX_GC_DELETES);
    out->stored_codec = qd_values_i64(v, QD_IX_CODEC) ? QD_STORED_BEST : QD_STORED_DEFAULT;
    out->merge.max_bytes = (uint64_t)qd_values_i64(v, QD_IX_MERGE_MAX_SEGMENT);
    out->merge.segments_per_tier = (uint32_t)qd_values_f64(v, QD_IX_MERGE_SEGMENTS_PER_TIER);
    out->merge.max_at_once = (uint32_t)qd_values_i64(v, QD_IX_MERGE_MAX_AT_ONCE);
    out->merge.floor_bytes = (uint64_t)qd_values_i64(v, QD_IX_MERGE_FLOOR);
    out->merge.deletes_allowed = qd_values_f64(v, QD_IX_MERGE_DELETES_PCT) / 100;
    int64_t threads = qd_values_i64(v, QD_IX_MERGE_THREADS);
    out->merges_max = threads ? (uint32_t)threads : 1;
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
    s->number = number;
    s->primary_term = r->primary_term;
    s->fresh = r->fresh;
    s->index = qd_index_meta_ref(m);
    snprintf(s->uuid, sizeof s->uuid, "%s", m->uuid);
    snprintf(s->allocation_id, sizeof s->allocation_id, "%.*s", QD_STR_ARG(c->allocation_id));
    snprintf(s->folder, sizeof s->folder, "indices/%s/%u", m->uuid, number);
    snprintf(s->name, sizeof s->name, "[%.*s][%u]", QD_STR_ARG(m->name), number);
    qd_account_init(&s->account, "shard", all->account, 0);
    qd_mutex_init(&s->lock);
    qd_mutex_init(&s->searcher_lock);
    qd_cond_init(&s->changed);
    qd_rwlock_init(&s->gate);
    shard_job *jobs[] = {&s->open, &s->refresh, &s->flush, &s->sync, &s->reopen};
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
    qd_rwlock_read(&s->gate);
    if (s->engine) qd_engine_settings_set(s->engine, &settings);
    qd_rwlock_unlock(&s->gate);
    atomic_store(&s->refresh_due_ns, 0);
}

static int open_engine(qd_shard *s, qd_engine **out, qd_err *err)
{
    qd_shards *all = s->shards;
    qd_index_meta *m = qd_shard_index(s);
    qd_engine_config c = {
        .env = all->env,
        .store = all->store,
        .folder = qd_str_c(s->folder),
        .name = qd_str_c(s->name),
        .primary_term = s->primary_term,
        .slots = all->slots,
        .slot_bytes = atomic_load(&all->slot_bytes),
        .account = &s->account,
        .merge_pool = qd_pools_get(all->pools, "force_merge"),
        .disk_full = &all->disk_full,
        .write_doc = write_doc,
        .write_doc_arg = s,
    };
    qdi_shard_engine_settings(m, &c.settings);
    qd_index_meta_unref(m);
    int rc = qd_engine_open(&c, out, err);
    /* a fresh shard has no commit point yet; one that had started must have it */
    if (rc == QD_E_NOTFOUND && s->fresh) {
        if (err) qd_err_fini(err);
        char prefix[96];
        int n = snprintf(prefix, sizeof prefix, "%s/", s->folder);
        rc = qd_store_delete_all(all->store, (qd_str){prefix, (size_t)n}, err);
        if (!rc) rc = qd_engine_create(&c, out, err);
    }
    return rc;
}

static void report(qd_shard *s, qd_shard_state state)
{
    qd_err err;
    qd_err_init(&err);
    qd_str uuid = qd_str_c(s->uuid);
    if (s->shards->cluster &&
        qd_cluster_shards_report(s->shards->cluster, &uuid, &s->number, 1, state, &err)) {
        qd_log_warn(SHARD_LOG, "%s could not be reported: %s", s->name, qd_err_reason(&err));
    }
    qd_err_fini(&err);
}

/* Ends an attempt to open: phase, reason, next attempt. */
static void settle(qd_shard *s, qd_engine *e, int rc, const qd_err *err)
{
    bool lost = rc == QD_E_CORRUPT || rc == QD_E_TRANSLOG_CORRUPT || rc == QD_E_NOTFOUND;
    qd_mutex_lock(&s->lock);
    bool closed = s->phase == SHARD_CLOSED;
    if (!closed) {
        s->engine = e;
        s->phase = rc ? SHARD_FAILED : SHARD_OPEN;
    }
    /* a full disk and a full memory pass: such a shard is tried for ever, others some times */
    bool passes = rc == QD_E_NOSPACE || rc == QD_E_NOMEM || rc == QD_E_BREAKER;
    if (!rc) {
        s->failures = 0;
        s->fresh = false; /* from now on a missing commit point is a loss */
    }
    if (rc) {
        s->failures++;
        snprintf(s->reason, sizeof s->reason, "%s", qd_err_reason(err));
    } else {
        s->reason[0] = 0;
    }
    bool again = rc && !lost && (passes || s->failures < SHARD_RETRIES);
    uint64_t wait_ns = (uint64_t)1000000000 << (s->failures < 6 ? s->failures : 6);
    qd_cond_broadcast(&s->changed);
    qd_mutex_unlock(&s->lock);
    if (closed && e) qd_engine_close(e, true);
    if (again) atomic_store(&s->reopen_due_ns, qd_env_mono_ns(s->shards->env) + wait_ns);
}

static void open_now(qd_shard *s)
{
    qd_err err;
    qd_engine *e = NULL;
    qd_err_init(&err);
    uint64_t begun = qd_env_mono_ns(s->shards->env);
    qd_rwlock_write(&s->gate);
    if (s->engine) { /* a failed one: nothing of what it buffers was acknowledged but is in the log
                      */
        qd_engine *old = s->engine;
        s->engine = NULL;
        qdi_shard_searcher_drop(s, true);
        qd_engine_close(old, false);
        for (uint32_t i = 0; i < QD_SLOTS_MAX; i++) {
            qd_document_writer_free(s->writer[i]);
            s->writer[i] = NULL;
        }
    }
    int rc = open_engine(s, &e, &err);
    if (rc) {
        qd_log_error(SHARD_LOG, "%s could not be opened: %s", s->name, qd_err_reason(&err));
    }
    atomic_store(&s->counts.opened_ns, qd_env_mono_ns(s->shards->env) - begun);
    atomic_store(&s->counts.opened_wall_ms, (uint64_t)qd_env_wall_ms(s->shards->env));
    settle(s, e, rc, &err);
    qd_rwlock_unlock(&s->gate);
    qd_err_fini(&err);
    report(s, rc ? QD_SHARD_UNASSIGNED : QD_SHARD_STARTED);
}

void qdi_shard_open_run(qd_work *w)
{
    shard_job *j = (shard_job *)(void *)w;
    open_now(j->shard);
    qdi_shard_job_end(j);
}

void qdi_shard_failed(qd_shard *s)
{
    qd_mutex_lock(&s->lock);
    bool now = s->phase == SHARD_OPEN;
    if (now) s->phase = SHARD_OPENING;
    qd_mutex_unlock(&s->lock);
    if (now) qdi_shard_queue(s, &s->reopen, "generic", qdi_shard_open_run);
}

void qdi_shard_stop(qd_shard *s, bool flush)
{
    qd_mutex_lock(&s->lock);
    s->phase = SHARD_CLOSED;
    qd_cond_broadcast(&s->changed);
    qd_mutex_unlock(&s->lock);
    qd_rwlock_write(&s->gate);
    qd_engine *e = s->engine;
    s->engine = NULL;
    qdi_shard_searcher_drop(s, true);
    if (e) qd_engine_close(e, flush && !qd_engine_failure(e, NULL));
    qd_rwlock_unlock(&s->gate);
}

/* --- use
 * -------------------------------------------------------------------------------------------- */

int qd_shard_enter(qd_shard *s, int64_t timeout_ms, qd_engine **out, qd_err *err)
{
    uint64_t until = qd_env_mono_ns(s->shards->env) + (uint64_t)timeout_ms * 1000000u;
    char reason[256];
    for (;;) {
        qd_rwlock_read(&s->gate);
        if (QD_LIKELY(s->engine && !qd_engine_failure(s->engine, NULL))) {
            *out = s->engine;
            return 0;
        }
        bool failed = s->engine != NULL;
        qd_rwlock_unlock(&s->gate);
        if (failed) qdi_shard_failed(s);
        qd_mutex_lock(&s->lock);
        int late = 0;
        while (s->phase == SHARD_OPENING && !late) {
            late = qd_cond_wait_until(&s->changed, &s->lock, until);
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
    qd_rwlock_unlock(&s->gate);
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
    return s->primary_term;
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

qd_reader *qd_shard_reader(qd_shard *s)
{
    qd_rwlock_read(&s->gate);
    qd_reader *r = s->engine ? qd_engine_reader(s->engine) : NULL;
    qd_rwlock_unlock(&s->gate);
    return r;
}
