/*
 * engine_open.c: a shard's begin and end: create, recover, close.
 *
 * Recovery: the last commit point names segments, live documents and the translog's first
 * generation; the log above its checkpoint is replayed into buffers and shown by a refresh. Segment
 * files that the commit point does not name come from refreshes or merges after it: what they hold
 * is in the log or in their sources, so ours are removed; files of another history are set aside.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_int.h"
#include <stdio.h>
#include <string.h>

#define COMMIT_ARENA_MAX ((size_t)256 << 20)

void qd_engine_settings_default(qd_engine_settings *s)
{
    *s = (qd_engine_settings){
        .durability = QD_DURABILITY_REQUEST,
        .gc_deletes_ms = 60000,
        .merge = QD_MERGE_POLICY_DEFAULT,
        .merges_max = 1,
        .refresh_waits_max = 1000,
    };
}

qd_engine_settings qdi_engine_settings(qd_engine *e)
{
    qd_mutex_lock(&e->settings_lock);
    qd_engine_settings s = e->settings;
    qd_mutex_unlock(&e->settings_lock);
    return s;
}

void qd_engine_settings_set(qd_engine *e, const qd_engine_settings *s)
{
    qd_mutex_lock(&e->settings_lock);
    e->settings = *s;
    qd_mutex_unlock(&e->settings_lock);
    atomic_store(&e->durability, s->durability);
}

qd_durability qd_engine_durability(const qd_engine *e)
{
    return (qd_durability)atomic_load(&e->durability);
}

int qdi_engine_fail(qd_engine *e, qd_err *err)
{
    int code;
    qd_mutex_lock(&e->failure_lock);
    if (!e->failure.code) {
        qd_err_copy(&e->failure, err);
        atomic_store(&e->failed, e->failure.code);
        qd_log_error(ENGINE_LOG, "%s failed and takes no more writes: %s", e->name,
                     qd_err_reason(&e->failure));
    }
    code = e->failure.code;
    qd_assert(code != 0 && atomic_load(&e->failed) == code); /* or the failure would be none */
    qd_mutex_unlock(&e->failure_lock);
    /* no refresh comes any more: who waits for one holds up the opening of the next engine */
    qdi_engine_waits_end(e, INT64_MAX, code);
    qd_mutex_lock(&e->publish_lock);
    qd_cond_broadcast(&e->shown);
    qd_mutex_unlock(&e->publish_lock);
    return code;
}

int qd_engine_failure(qd_engine *e, qd_err *err)
{
    if (QD_LIKELY(!atomic_load_explicit(&e->failed, memory_order_acquire))) return 0;
    qd_mutex_lock(&e->failure_lock);
    int code = e->failure.code;
    if (err && !err->code) qd_err_copy(err, &e->failure);
    qd_mutex_unlock(&e->failure_lock);
    return code;
}

int qdi_engine_alive(qd_engine *e, qd_err *err)
{
    return qd_engine_failure(e, err);
}

void qdi_engine_id(qd_engine *e, uint8_t id[16])
{
    qd_env_random(e->env, id, 16);
}

qd_str qdi_engine_segment_name(const qd_engine *e, const uint8_t id[16], char *buf)
{
    int n = snprintf(buf, ENGINE_NAME_MAX, "%s/seg-", e->folder);
    qd_assert(n > 0 && (size_t)n + 33 < ENGINE_NAME_MAX);
    for (int i = 0; i < 16; i++) snprintf(buf + n + 2 * i, 3, "%02x", id[i]);
    return (qd_str){buf, (size_t)n + 32};
}

/* --- begin
 * ------------------------------------------------------------------------------------------ */

/* The list and the commit point name the same or different ones: each is freed once, no file goes.
 */
static void forget(qd_engine *e, engine_segment *s)
{
    if (s->refs > 1) {
        s->refs--;
        return;
    }
    if (s->file) qdi_engine_live_free(e, s->file);
    qdi_engine_segment_free(e, s);
}

static void segments_free(qd_engine *e)
{
    for (size_t i = 0; i < e->committed.n; i++) {
        engine_pair p = e->committed.at[i];
        qd_assert(p.segment->refs > 0 && (!p.file || p.file->refs > 0));
        if (p.file && --p.file->refs == 0) qdi_engine_live_free(e, p.file);
        forget(e, p.segment);
    }
    for (size_t i = 0; i < e->segments.n; i++) {
        qd_assert(e->segments.at[i]->refs == 1); /* publications are given back before the end */
        forget(e, e->segments.at[i]);
    }
    qd_assert(e->all.n == 0);
}

static void destroy(qd_engine *e)
{
    qd_assert(!e->waits && e->nwaits == 0 && e->merges_running == 0);
    qdi_engine_cursors_clear(e);
    if (e->translog) (void)qd_translog_close(e->translog, false, NULL);
    qd_reader_slot_publish(&e->reader, NULL);
    for (uint32_t i = 0; e->slots && i < e->nslots; i++) {
        if (e->slots[i].buffer) qdi_engine_buffer_free(e->slots[i].buffer);
        qd_mutex_fini(&e->slots[i].lock);
    }
    for (size_t i = 0; i < e->detached.n; i++) {
        if (e->detached.at[i]->entry) qdi_engine_segment_free(e, e->detached.at[i]->entry);
        qdi_engine_buffer_free(e->detached.at[i]);
    }
    for (size_t i = 0; i < e->spare.n; i++) qdi_engine_buffer_free(e->spare.at[i]);
    segments_free(e);
    for (size_t i = 0; i < e->retired.n; i++) qd_free(e->retired.at[i].map);
    qd_vec_fini(&e->detached);
    qd_vec_fini(&e->spare);
    qd_vec_fini(&e->committed);
    qd_vec_fini(&e->segments);
    qd_vec_fini(&e->all);
    qd_vec_fini(&e->retired);
    qd_vec_fini(&e->leases);
    qd_vec_fini(&e->orphans);
    qd_free(e->recent);
    qdi_engine_sort_fini(e);
    qd_version_map_free(e->versions);
    qd_seq_no_fini(&e->seq_no);
    qd_err_fini(&e->failure);
    qd_mutex_fini(&e->history_lock);
    qd_mutex_fini(&e->settings_lock);
    qd_mutex_fini(&e->flush_lock);
    qd_mutex_fini(&e->refresh_lock);
    qd_mutex_fini(&e->publish_lock);
    qd_mutex_fini(&e->failure_lock);
    qd_mutex_fini(&e->merge_lock);
    qd_mutex_fini(&e->replica_lock);
    qd_mutex_fini(&e->global_lock);
    qd_mutex_fini(&e->leases_lock);
    qd_mutex_fini(&e->cursors_lock);
    qd_mutex_fini(&e->orphans_lock);
    qd_mutex_fini(&e->save_lock);
    qd_mutex_fini(&e->all_lock);
    qd_cond_fini(&e->merge_wake);
    qd_cond_fini(&e->shown);
    qd_free(e->slots);
    qd_free(e->folder);
    qd_free(e->name);
    e->magic = 0;
    qd_free(e);
}

static int make_slots(qd_engine *e, qd_err *err)
{
    e->slots = qd_alloc_aligned(e->account, 64, e->nslots * sizeof *e->slots);
    if (!e->slots) return qd_err_nomem(err, "indexing slots");
    memset(e->slots, 0, e->nslots * sizeof *e->slots);
    for (uint32_t i = 0; i < e->nslots; i++) qd_mutex_init(&e->slots[i].lock);
    for (uint32_t i = 0; i < e->nslots; i++) {
        int rc = qdi_engine_buffer_get(e, &e->slots[i].buffer, err);
        if (rc) return rc;
    }
    return 0;
}

static int make(const qd_engine_config *c, qd_engine **out, qd_err *err)
{
    qd_assert(c->slots >= 1 && c->slots <= QD_SLOTS_MAX && c->write_doc);
    qd_engine *e = qd_alloc_aligned(c->account, 64, sizeof *e);
    if (!e) return qd_err_nomem(err, "engine");
    memset(e, 0, sizeof *e);
    e->magic = ENGINE_MAGIC;
    e->env = c->env;
    e->log_store = c->log_store;
    e->segment_store = c->segment_store;
    e->account = c->account;
    e->merge_pool = c->merge_pool;
    e->order_memory = c->order_memory;
    e->part_types = c->part_types;
    e->disk_full = c->disk_full;
    e->write_doc = c->write_doc;
    e->slot_idle = c->slot_idle;
    e->source_mapping = c->source_mapping;
    e->write_doc_arg = c->write_doc_arg;
    atomic_store(&e->primary_term, c->primary_term);
    atomic_store(&e->mode, c->mode);
    atomic_store(&e->replicated, c->replicated || c->mode == QD_ENGINE_REPLICA);
    e->published = c->published;
    e->due = c->due;
    e->copies_arg = c->copies_arg;
    atomic_store(&e->global, QD_SEQ_NO_NONE);
    atomic_store(&e->cut_waiting, INT64_MAX);
    atomic_store(&e->slot_bytes, c->slot_bytes);
    e->settings = c->settings;
    atomic_store(&e->durability, c->settings.durability);
    e->nslots = c->slots;
    e->shown_seq_no = QD_SEQ_NO_NONE;
    e->committed_checkpoint = QD_SEQ_NO_NONE;
    atomic_store(&e->next_unit, 1);
    qd_err_init(&e->failure);
    qd_mutex_init(&e->history_lock);
    qd_mutex_init(&e->settings_lock);
    qd_mutex_init(&e->flush_lock);
    qd_mutex_init(&e->refresh_lock);
    qd_mutex_init(&e->publish_lock);
    qd_mutex_init(&e->failure_lock);
    qd_mutex_init(&e->merge_lock);
    qd_mutex_init(&e->replica_lock);
    qd_mutex_init(&e->global_lock);
    qd_mutex_init(&e->leases_lock);
    qd_mutex_init(&e->cursors_lock);
    qd_mutex_init(&e->orphans_lock);
    qd_mutex_init(&e->save_lock);
    qd_mutex_init(&e->all_lock);
    qd_cond_init(&e->merge_wake);
    qd_cond_init(&e->shown);
    e->folder = qd_memdup(c->account, c->folder.p, c->folder.n);
    e->name = qd_memdup(c->account, c->name.p, c->name.n);
    int rc = e->folder && e->name ? 0 : qd_err_nomem(err, "engine");
    if (!rc) {
        rc = qd_version_map_make(c->account, qd_env_random_u64(c->env), &e->versions, err);
    }
    if (!rc) rc = qdi_engine_sort_set(e, c, err);
    if (!rc) rc = make_slots(e, err);
    if (rc) {
        destroy(e);
        return rc;
    }
    *out = e;
    return 0;
}

/* 16 random bytes as people see them: URL-safe base64 without padding. */
void qdi_engine_uuid_text(const uint8_t id[16], char out[23])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0, have = 0;
    size_t n = 0;
    for (int i = 0; i < 16; i++) {
        bits = bits << 8 | id[i];
        for (have += 8; have >= 6; have -= 6) out[n++] = digits[bits >> (have - 6) & 63];
    }
    qd_assert(n == 21 && have < 6);
    out[n++] = digits[bits << (6 - have) & 63];
    out[n] = 0;
}

void qd_engine_history(qd_engine *e, uint8_t out[16])
{
    qd_mutex_lock(&e->history_lock);
    memcpy(out, e->history_uuid, 16);
    qd_mutex_unlock(&e->history_lock);
}

void qdi_engine_history_set(qd_engine *e, const uint8_t history[16])
{
    qd_mutex_lock(&e->history_lock);
    memcpy(e->history_uuid, history, 16);
    qd_mutex_unlock(&e->history_lock);
}

bool qdi_engine_history_is(qd_engine *e, const void *history)
{
    uint8_t own[16];
    qd_engine_history(e, own);
    return memcmp(own, history, 16) == 0;
}

void qd_engine_history_uuid(qd_engine *e, char out[23])
{
    uint8_t own[16];
    qd_engine_history(e, own);
    qdi_engine_uuid_text(own, out);
}

int qd_engine_create(const qd_engine_config *c, qd_engine **out, qd_err *err)
{
    qd_engine *e;
    qd_translog_identity who = {.primary_term = c->primary_term};
    qd_commit first = {.generation = 1,
                       .translog_generation = 1,
                       .translog_first = 1,
                       .local_checkpoint = -1,
                       .max_seq_no = -1,
                       .primary_term = c->primary_term};
    int rc = make(c, &e, err);
    if (rc) return rc;
    qdi_engine_id(e, e->translog_uuid);
    qdi_engine_id(e, e->history_uuid);
    if (c->history) memcpy(e->history_uuid, c->history, 16);
    memcpy(who.uuid, e->translog_uuid, 16);
    memcpy(who.history, e->history_uuid, 16);
    memcpy(first.translog_uuid, e->translog_uuid, 16);
    memcpy(first.history_uuid, e->history_uuid, 16);
    if (qd_seq_no_init(&e->seq_no, -1, c->account)) rc = qd_err_nomem(err, "sequence numbers");
    if (!rc) {
        rc = qd_translog_create(c->env, c->log_store, c->folder, &who, c->account, &e->translog,
                                err);
    }
    if (!rc) qd_translog_tell(e->translog, &e->seq_no);
    if (!rc) rc = qd_commit_write(c->log_store, c->folder, &first, err);
    e->commit_generation = e->committed_translog = 1;
    atomic_store(&e->committed_term, c->primary_term);
    memcpy(e->committed_history, first.history_uuid, 16);
    if (!rc) rc = qdi_engine_publish(e, QD_SEQ_NO_NONE, err);
    if (rc) {
        destroy(e);
        return rc;
    }
    *out = e;
    return 0;
}

/* --- recovery
 * -------------------------------------------------------------------------------------- */

static int open_live(qd_engine *e, engine_segment *s, const qd_commit_segment *c, qd_err *err)
{
    char prefix[ENGINE_NAME_MAX];
    if (!c->live_generation) return 0;
    int len = snprintf(prefix, sizeof prefix, "%s/", e->folder);
    int rc = qd_live_open(e->segment_store, (qd_str){prefix, (size_t)len}, c->id,
                          c->live_generation, c->docs, e->account, &s->live, err);
    if (rc == QD_E_NOTFOUND) {
        return qd_err_wrap(err, QD_E_CORRUPT,
                           "%s live documents of [%.*s], generation %llu, are not there", e->name,
                           QD_STR_ARG(qd_segment_name(s->segment)),
                           (unsigned long long)c->live_generation);
    }
    if (rc) return rc;
    s->file = qdi_engine_live_make(e, s, c->live_generation, qd_live_count(s->live), err);
    if (!s->file) return err && err->code ? err->code : QD_E_NOMEM;
    s->file->synced = true;
    s->file->refs = 2;
    return 0;
}

static int open_segment(qd_engine *e, const qd_commit_segment *c, qd_err *err)
{
    char name[ENGINE_NAME_MAX];
    qd_segment *segment;
    int rc = qd_segment_open(e->segment_store, qdi_engine_segment_name(e, c->id, name), e->account,
                             &segment, err);
    if (rc == QD_E_NOTFOUND) {
        return qd_err_wrap(err, QD_E_CORRUPT,
                           "%s [%s] is named by the commit point but is not there", e->name, name);
    }
    if (rc) return rc;
    engine_segment *s =
        qdi_engine_segment_make(e, segment, atomic_fetch_add(&e->next_unit, 1), err);
    if (!s) {
        qd_segment_unref(segment);
        return QD_E_NOMEM;
    }
    if (qd_segment_docs(segment) != c->docs) {
        rc = qd_err_set(err, QD_E_CORRUPT, "%s [%s] holds %u documents, the commit point says %u",
                        e->name, name, qd_segment_docs(segment), c->docs);
    } else if (qd_file_hash(qd_segment_file(segment)) != c->hash) {
        rc = qd_err_set(err, QD_E_CORRUPT, "%s [%s] is not the file that the commit point names",
                        e->name, name);
    }
    s->synced = true;
    if (!rc) rc = open_live(e, s, c, err);
    if (rc) {
        qdi_engine_segment_free(e, s);
        return rc;
    }
    s->refs = 2;                         /* the list's and the commit point's */
    e->segments.at[e->segments.n++] = s; /* reserved */
    e->committed.at[e->committed.n++] = (engine_pair){s, s->file};
    return 0;
}

typedef struct stray {
    qd_engine *e;
    qd_arena arena;
    QD_VEC(qd_str) names;
} stray;

static bool named(const qd_engine *e, qd_str file)
{
    char live[QD_LIVE_NAME_BYTES];
    for (size_t i = 0; i < e->committed.n; i++) {
        engine_pair p = e->committed.at[i];
        qd_str name = qd_segment_name(p.segment->segment);
        qd_assert(name.n > 36);
        name = qd_str_sub(name, name.n - 36, 36); /* without the folder: "seg-" and 32 digits */
        if (qd_str_eq(name, file)) return true;
        if (p.file && qd_str_eq(qd_live_name(p.file->segment, p.file->generation, live), file)) {
            return true;
        }
    }
    return false;
}

static int collect_stray(void *arg, qd_str name, uint64_t bytes)
{
    stray *x = arg;
    (void)bytes;
    qd_str file = qd_str_sub(name, strlen(x->e->folder) + 1, name.n);
    bool ours = qd_str_starts(file, QD_STR("seg-")) || qd_str_starts(file, QD_STR("live-"));
    if (!ours || named(x->e, file)) return 0;
    qd_str copy = qd_arena_str(&x->arena, name);
    return !copy.p || qd_vec_push(&x->names, x->e->account, copy) ? QD_E_NOMEM : 0;
}

/* A stray segment of this shard's history may go; anything else that is whole is set aside. */
static int clear_stray(qd_engine *e, qd_str name, qd_err *err)
{
    bool live = qd_str_find_str(name, QD_STR("/live-")) >= 0;
    qd_segment *s = NULL;
    bool foreign = false, kept = false;
    if (!live && !qd_segment_open(e->segment_store, name, e->account, &s, NULL)) {
        char own[ENGINE_NAME_MAX];
        foreign = !qdi_engine_made(e, s) ||
                  !qd_str_eq(qdi_engine_segment_name(e, qd_segment_id(s), own), name);
        if (atomic_load(&e->mode) == QD_ENGINE_REPLICA &&
            qd_str_eq(qdi_engine_segment_name(e, qd_segment_id(s), own), name)) {
            /* what a recovery had fetched: the next one compares it and need not fetch it again */
            engine_orphan o = {.live_generation = 0};
            memcpy(o.segment, qd_segment_id(s), 16);
            kept = !qd_vec_push(&e->orphans, e->account, o);
        }
        qd_segment_unref(s);
    }
    if (kept) return 0;
    if (foreign) {
        qd_log_warn(ENGINE_LOG, "%s [%.*s] is not of this shard's making: moved to lost+found",
                    e->name, QD_STR_ARG(name));
        return qd_store_set_aside(e->segment_store, name, err);
    }
    qd_log_debug(ENGINE_LOG, "%s [%.*s] is not part of the commit point: removed", e->name,
                 QD_STR_ARG(name));
    return qd_store_delete(e->segment_store, name, err);
}

static int clear_strays(qd_engine *e, qd_err *err)
{
    char prefix[ENGINE_NAME_MAX];
    stray x = {.e = e};
    int len = snprintf(prefix, sizeof prefix, "%s/", e->folder);
    qd_arena_init(&x.arena, e->account, COMMIT_ARENA_MAX);
    int rc = qd_store_list(e->segment_store, (qd_str){prefix, (size_t)len}, collect_stray, &x, err);
    for (size_t i = 0; i < x.names.n && !rc; i++) rc = clear_stray(e, x.names.at[i], err);
    qd_vec_fini(&x.names);
    qd_arena_fini(&x.arena);
    return rc;
}

static int sync_commit(qd_engine *e, qd_err *err)
{
    char name[ENGINE_NAME_MAX];
    int n = snprintf(name, sizeof name, "%s/commit", e->folder);
    qd_str object = {name, (size_t)n};
    return qd_store_sync(e->log_store, &object, 1, err);
}

static int take_commit(qd_engine *e, const qd_commit *c, qd_err *err)
{
    memcpy(e->translog_uuid, c->translog_uuid, 16);
    memcpy(e->history_uuid, c->history_uuid, 16);
    memcpy(e->committed_history, c->history_uuid, 16);
    e->commit_generation = c->generation;
    e->committed_translog = c->translog_generation;
    e->committed_checkpoint = c->local_checkpoint;
    atomic_store(&e->committed_term, c->primary_term);
    e->published_term = c->published_term;
    e->published_generation = c->published_generation;
    atomic_store(&e->complete_from, c->operations_from);
    if (atomic_load(&e->primary_term) < c->primary_term) {
        atomic_store(&e->primary_term, c->primary_term);
    }
    if (qd_vec_reserve(&e->leases, e->account, c->leases_n + 1)) {
        return qd_err_nomem(err, "leases");
    }
    for (uint32_t i = 0; i < c->leases_n; i++) e->leases.at[e->leases.n++] = c->leases[i];
    int rc = qd_seq_no_init(&e->seq_no, c->local_checkpoint, e->account);
    if (rc || qd_vec_reserve(&e->segments, e->account, c->n + 1) ||
        qd_vec_reserve(&e->committed, e->account, c->n + 1)) {
        return qd_err_nomem(err, "segments of the commit point");
    }
    for (uint32_t i = 0; i < c->n && !rc; i++) rc = open_segment(e, &c->segments[i], err);
    qd_assert(rc || (e->segments.n == c->n && e->committed.n == c->n));
    return rc;
}

/* A checkpoint is at or below what this copy had on its disk when it was told. One above all that
 * is here tells of a disk that did not keep what it had synced, or of a version that called
 * operations durable too early. */
static void look_for_loss(qd_engine *e, const qd_commit *c, int64_t known)
{
    if (known <= c->max_seq_no || known <= c->local_checkpoint ||
        atomic_load(&e->durability) == QD_DURABILITY_ASYNC ||
        qd_translog_above(e->translog, known - 1, UINT64_MAX)) {
        return;
    }
    qd_log_error(ENGINE_LOG,
                 "%s operations up to [%lld] were acknowledged, and the newest of them are not "
                 "here: this copy has lost operations; another copy, or lost+found of its node, "
                 "may have them",
                 e->name, (long long)known);
}

static int recover(qd_engine *e, const qd_commit *c, qd_err *err)
{
    qd_translog_identity who = {.primary_term = 0};
    qd_translog *log = NULL;
    int rc = take_commit(e, c, err);
    /* a process that was killed may have left the commit point in the page cache only: nothing that
     * the one before names may go until this one is durable */
    if (!rc) rc = sync_commit(e, err);
    if (!rc) rc = clear_strays(e, err);
    if (!rc) rc = qdi_engine_publish(e, c->local_checkpoint, err);
    if (rc) return rc;
    memcpy(who.uuid, e->translog_uuid, 16);
    memcpy(who.history, e->history_uuid, 16);
    who.primary_term = atomic_load(&e->primary_term);
    rc = qd_translog_open(e->env, e->log_store, qd_str_c(e->folder), &who, c->translog_first,
                          c->translog_generation, e->account, &log, err);
    if (rc) return rc;
    e->translog = log;
    qd_translog_tell(log, &e->seq_no);
    atomic_store(&e->primary_term, qd_translog_term(log));
    int64_t known = qd_translog_checkpoint(log);
    if (known < c->local_checkpoint) known = c->local_checkpoint; /* nothing above was ever shown */
    look_for_loss(e, c, known);
    atomic_store(&e->global, known);
    qd_translog_checkpoint_set(log, known);
    if (atomic_load(&e->mode) == QD_ENGINE_REPLICA && !QD_MUTANT(engine, NOT_SET_BACK) &&
        !QD_MUTANT(engine, OPEN_NOT_SET_BACK)) {
        /* what is above it may be of a history that did not become the shard's */
        return qd_seq_no_reset(&e->seq_no, known), 0;
    }
    rc = qdi_engine_replay_above(e, c->local_checkpoint, err);
    int64_t max, durable;
    qd_seq_no_get(&e->seq_no, &max, NULL, &durable);
    qd_invariant(rc || durable == max); /* nobody writes yet, and what was replayed is synced */
    return rc ? rc : qd_engine_refresh_start(e, NULL, err);
}

int qd_engine_open(const qd_engine_config *c, qd_engine **out, qd_err *err)
{
    qd_engine *e = NULL;
    qd_arena arena;
    qd_commit commit;
    qd_arena_init(&arena, c->account, COMMIT_ARENA_MAX);
    int rc = qd_commit_read(c->log_store, c->folder, &arena, &commit, err);
    if (!rc) rc = make(c, &e, err);
    if (!rc) {
        atomic_store(&e->stop_merges, true); /* not before the log is replayed */
        rc = recover(e, &commit, err);
        atomic_store(&e->stop_merges, false);
        if (rc) destroy(e);
    }
    qd_arena_fini(&arena);
    if (!rc) *out = e;
    return rc;
}

/* --- end and statistics
 * ---------------------------------------------------------------------------
 */

void qd_engine_close(qd_engine *e, bool flush)
{
    QD_CHECK(e, ENGINE_MAGIC);
    qd_err err;
    qd_err_init(&err);
    atomic_store(&e->stop_merges, true);
    qdi_engine_merges_wait(e);
    qd_assert(!e->install);
    if (flush && qd_engine_flush(e, false, &err)) {
        qd_log_warn(ENGINE_LOG,
                    "%s last flush failed, the translog is replayed at the next start: "
                    "%s",
                    e->name, qd_err_reason(&err));
    }
    qd_err_fini(&err);
    qd_mutex_lock(&e->publish_lock);
    e->closed = true;
    qd_mutex_unlock(&e->publish_lock);
    qdi_engine_waits_end(e, INT64_MAX, QD_E_CLOSED);
    destroy(e);
}

static bool buffer_empty(const engine_buffer *b)
{
    qd_assert((b->min_seq_no < 0) == (b->max_seq_no < 0));
    return qd_buffer_docs(b->b) == 0 && b->deletes.n == 0 && b->max_seq_no < 0;
}

void qd_engine_slot_bytes_set(qd_engine *e, uint64_t bytes)
{
    atomic_store_explicit(&e->slot_bytes, bytes, memory_order_relaxed);
}

uint64_t qd_engine_buffer_bytes(qd_engine *e, uint32_t *used)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < e->nslots; i++) {
        qd_mutex_lock(&e->slots[i].lock);
        engine_buffer *b = e->slots[i].buffer;
        /* tables that an empty buffer keeps for its next documents are no reason to refresh */
        if (!buffer_empty(b)) {
            sum += qd_buffer_bytes(b->b);
            if (used) ++*used;
        }
        qd_mutex_unlock(&e->slots[i].lock);
    }
    return sum;
}

bool qd_engine_trim(qd_engine *e, bool *some)
{
    if (!qd_mutex_trylock(&e->refresh_lock)) return false;
    if (e->spare.n) *some = true;
    while (e->spare.n) qdi_engine_buffer_free(e->spare.at[--e->spare.n]);
    for (uint32_t i = 0; i < e->nslots; i++) {
        qd_mutex_lock(&e->slots[i].lock);
        engine_buffer *b = e->slots[i].buffer;
        if (buffer_empty(b)) {
            /* only after a reset: its fields are registered anew under a new unit */
            qd_buffer_reset(b->b);
            qd_buffer_trim(b->b);
            b->unit = atomic_fetch_add(&e->next_unit, 1);
            if (e->slot_idle && e->slot_idle(e->write_doc_arg, i)) *some = true;
        }
        qd_mutex_unlock(&e->slots[i].lock);
    }
    qd_mutex_unlock(&e->refresh_lock);
    return true;
}

uint64_t qd_engine_translog_bytes(qd_engine *e)
{
    qd_translog_stats st;
    qd_translog_stats_get(e->translog, &st);
    return st.uncommitted_bytes;
}

void qd_engine_stats_get(qd_engine *e, qd_engine_stats *out)
{
    *out = (qd_engine_stats){
        .index_total = atomic_load(&e->stats.index_total),
        .index_ns = atomic_load(&e->stats.index_ns),
        .index_failed = atomic_load(&e->stats.index_failed),
        .delete_total = atomic_load(&e->stats.delete_total),
        .delete_ns = atomic_load(&e->stats.delete_ns),
        .noop_total = atomic_load(&e->stats.noop_total),
        .get_total = atomic_load(&e->stats.get_total),
        .get_ns = atomic_load(&e->stats.get_ns),
        .get_found = atomic_load(&e->stats.get_found),
        .refresh_total = atomic_load(&e->stats.refresh_total),
        .refresh_ns = atomic_load(&e->stats.refresh_ns),
        .flush_total = atomic_load(&e->stats.flush_total),
        .flush_ns = atomic_load(&e->stats.flush_ns),
        .merge_total = atomic_load(&e->stats.merge_total),
        .merge_ns = atomic_load(&e->stats.merge_ns),
        .merge_docs = atomic_load(&e->stats.merge_docs),
        .merge_bytes = atomic_load(&e->stats.merge_bytes),
        .merge_failed = atomic_load(&e->stats.merge_failed),
        .buffer_bytes = qd_engine_buffer_bytes(e, NULL),
    };
    qd_version_map_stats(e->versions, &out->version_map_entries, &out->version_map_bytes);
    qd_engine_checkpoints at;
    qd_engine_checkpoints_get(e, &at);
    out->max_seq_no = at.max_seq_no;
    out->local_checkpoint = at.processed;
    out->global_checkpoint = at.global;
    qd_translog_stats_get(e->translog, &out->translog);
    qd_mutex_lock(&e->merge_lock);
    out->merge_current = e->merges_running;
    qd_mutex_unlock(&e->merge_lock);
    qd_mutex_lock(&e->publish_lock);
    out->segments = (uint32_t)e->segments.n;
    out->refresh_listeners = e->nwaits;
    for (size_t i = 0; i < e->segments.n; i++) {
        const qd_segment *s = e->segments.at[i]->segment;
        out->segment_bytes += qd_segment_bytes(s);
        for (uint32_t k = 0; k < qd_segment_parts(s); k++)
            out->part_bytes += qd_segment_part(s, k)->bytes;
    }
    qd_mutex_unlock(&e->publish_lock);
}
