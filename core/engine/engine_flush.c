/*
 * engine_flush.c: commit points.
 *
 * Order: roll the translog, refresh (all operations of older generations are then in segments),
 * sync the new files, write changed live documents, publish the commit point, and only then trim
 * the translog and remove what the commit point before needed. A crash between any two steps leaves
 * the commit point before with everything it names.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_int.h"
#include <stdio.h>
#include <string.h>

typedef struct flush_entry {
    engine_segment *segment;
    qd_live *live; /* a reference, NULL: all live */
    uint64_t live_generation;
    bool write_live, sync;
} flush_entry;

typedef struct flush_state {
    flush_entry *at;
    size_t n;
    int64_t checkpoint;
    uint64_t translog_generation;
} flush_state;

static qd_str folder_prefix(const qd_engine *e, char *buf, size_t n)
{
    int len = snprintf(buf, n, "%s/", e->folder);
    qd_assert(len > 0 && (size_t)len < n);
    return (qd_str){buf, (size_t)len};
}

static void state_free(qd_engine *e, flush_state *f)
{
    for (size_t i = 0; i < f->n; i++) {
        qd_live_unref(f->at[i].live);
        if (f->at[i].segment) qdi_engine_segment_drop(e, f->at[i].segment);
    }
    qd_free(f->at);
}

/* What the commit point will name, each with a reference. */
static int snapshot(qd_engine *e, flush_state *f, qd_err *err)
{
    qd_mutex_lock(&e->publish_lock);
    f->at = qd_calloc(e->account, (e->segments.n + 1) * sizeof *f->at);
    if (f->at) {
        f->n = e->segments.n;
        for (size_t i = 0; i < f->n; i++) {
            engine_segment *s = e->segments.at[i];
            s->refs++;
            f->at[i] = (flush_entry){
                .segment = s,
                .live = s->live ? qd_live_ref(s->live) : NULL,
                .live_generation = s->live_generation + (s->live_unsaved ? 1 : 0),
                .write_live = s->live_unsaved,
                .sync = !s->synced,
            };
        }
        f->checkpoint = e->shown_seq_no;
    }
    qd_mutex_unlock(&e->publish_lock);
    return f->at ? 0 : qd_err_nomem(err, "commit point");
}

static int sync_files(qd_engine *e, flush_state *f, qd_err *err)
{
    qd_str *names = qd_alloc(e->account, (f->n + 1) * sizeof *names);
    size_t n = 0;
    if (!names) return qd_err_nomem(err, "list of files");
    for (size_t i = 0; i < f->n; i++) {
        if (f->at[i].sync) names[n++] = qd_segment_name(f->at[i].segment->segment);
    }
    int rc = n ? qd_store_sync(e->store, names, n, err) : 0;
    qd_free(names);
    /* whatever the reason, these files are lost: a second sync that succeeds would prove nothing */
    return rc ? qdi_engine_fail(e, err) : 0;
}

static int write_lives(qd_engine *e, flush_state *f, qd_err *err)
{
    char prefix[ENGINE_NAME_MAX];
    uint8_t id[16];
    qd_str folder = folder_prefix(e, prefix, sizeof prefix);
    for (size_t i = 0; i < f->n; i++) {
        flush_entry *x = &f->at[i];
        if (!x->write_live) continue;
        const uint8_t *segment = qd_segment_id(x->segment->segment);
        qdi_engine_id(e, id);
        char name[ENGINE_NAME_MAX], live[QD_LIVE_NAME_BYTES];
        /* one that a failed commit left behind under this number */
        qd_str object = qd_live_name(segment, x->live_generation, live);
        int len = snprintf(name, sizeof name, "%.*s%.*s", QD_STR_ARG(folder), QD_STR_ARG(object));
        int rc = qd_store_delete(e->store, (qd_str){name, (size_t)len}, err);
        if (!rc) {
            rc = qd_live_write(x->live, e->store, folder, segment, x->live_generation, id, NULL,
                               err);
        }
        if (rc) return rc;
    }
    return 0;
}

static int publish_commit(qd_engine *e, flush_state *f, qd_err *err)
{
    qd_commit c = {
        .generation = e->commit_generation + 1,
        .translog_generation = f->translog_generation,
        .local_checkpoint = f->checkpoint,
        .max_seq_no = f->checkpoint,
        .primary_term = e->primary_term,
        .n = (uint32_t)f->n,
    };
    memcpy(c.translog_uuid, e->translog_uuid, 16);
    memcpy(c.history_uuid, e->history_uuid, 16);
    c.segments = qd_alloc(e->account, (f->n + 1) * sizeof *c.segments);
    if (!c.segments) return qd_err_nomem(err, "commit point");
    for (size_t i = 0; i < f->n; i++) {
        const flush_entry *x = &f->at[i];
        uint32_t docs = qd_segment_docs(x->segment->segment);
        c.segments[i] = (qd_commit_segment){
            .docs = docs,
            .live = x->live ? qd_live_count(x->live) : docs,
            .live_generation = x->live_generation,
        };
        memcpy(c.segments[i].id, qd_segment_id(x->segment->segment), 16);
    }
    int rc = qd_commit_write(e->store, qd_str_c(e->folder), &c, err);
    qd_free(c.segments);
    return rc;
}

static void remove_live(qd_engine *e, const engine_segment *s, uint64_t generation)
{
    char prefix[ENGINE_NAME_MAX], name[ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES],
        live[QD_LIVE_NAME_BYTES];
    qd_str folder = folder_prefix(e, prefix, sizeof prefix);
    qd_str object = qd_live_name(qd_segment_id(s->segment), generation, live);
    int len = snprintf(name, sizeof name, "%.*s%.*s", QD_STR_ARG(folder), QD_STR_ARG(object));
    qdi_store_forget(e->store, (qd_str){name, (size_t)len});
}

/* The commit point is durable: remember it, forget the one before. */
static void settle(qd_engine *e, flush_state *f, engine_segments *now)
{
    engine_segments before;
    qd_mutex_lock(&e->publish_lock);
    for (size_t i = 0; i < f->n; i++) {
        flush_entry *x = &f->at[i];
        engine_segment *s = x->segment;
        s->synced = true;
        if (x->write_live) {
            s->live_generation = x->live_generation;
            s->live_unsaved = s->live != x->live;
        }
        now->at[now->n++] = s; /* the snapshot's reference becomes the commit point's */
    }
    before = e->committed;
    e->committed = *now;
    qd_mutex_unlock(&e->publish_lock);
    for (size_t i = 0; i < f->n; i++) {
        if (f->at[i].write_live && f->at[i].live_generation > 1) {
            remove_live(e, f->at[i].segment, f->at[i].live_generation - 1);
        }
        f->at[i].segment = NULL;
    }
    for (size_t i = 0; i < before.n; i++) qdi_engine_segment_drop(e, before.at[i]);
    qd_vec_fini(&before);
    e->commit_generation++;
    e->committed_translog = f->translog_generation;
    e->committed_checkpoint = f->checkpoint;
}

static int commit(qd_engine *e, uint64_t translog_generation, qd_err *err)
{
    flush_state f = {.translog_generation = translog_generation};
    engine_segments now = {0};
    int rc = snapshot(e, &f, err);
    if (!rc && qd_vec_reserve(&now, e->account, f.n + 1)) rc = qd_err_nomem(err, "commit point");
    if (!rc) rc = sync_files(e, &f, err);
    if (!rc) rc = write_lives(e, &f, err);
    if (!rc) rc = publish_commit(e, &f, err);
    if (!rc) {
        settle(e, &f, &now);
    } else {
        qd_vec_fini(&now);
    }
    state_free(e, &f);
    return rc;
}

/* Has anything changed since the last commit point? */
static bool needed(qd_engine *e)
{
    int64_t max;
    bool yes;
    qd_seq_no_get(&e->seq_no, &max, NULL, NULL);
    qd_mutex_lock(&e->publish_lock);
    yes = max > e->committed_checkpoint || e->segments.n != e->committed.n;
    for (size_t i = 0; i < e->segments.n && !yes; i++) {
        yes = e->segments.at[i] != e->committed.at[i] || e->segments.at[i]->live_unsaved;
    }
    qd_mutex_unlock(&e->publish_lock);
    return yes;
}

int qd_engine_flush(qd_engine *e, bool force, qd_err *err)
{
    uint64_t start = qd_env_mono_ns(e->env), generation = 0;
    int64_t done;
    qd_err failure;
    qd_err_init(&failure);
    qd_mutex_lock(&e->flush_lock);
    int rc = qdi_engine_alive(e, &failure);
    bool doing = !rc && (force || needed(e));
    if (doing) {
        qd_seq_no_get(&e->seq_no, NULL, &done, NULL);
        rc = qd_translog_roll(e->translog, &generation, &failure);
        if (!rc) qd_seq_no_persisted(&e->seq_no, done);
        if (!rc) rc = qd_engine_refresh(e, &failure);
        if (!rc) rc = qd_engine_sync_all(e, &failure); /* with durability async too */
        if (!rc) rc = commit(e, generation, &failure);
        if (!rc) rc = qd_translog_trim(e->translog, generation, &failure);
        /* a failed write or sync is never tried again on what was buffered: reopen from disk; out
         * of space and memory may pass */
        if (rc == QD_E_IO || qd_translog_failure(e->translog, NULL)) {
            rc = qdi_engine_fail(e, &failure);
        }
    }
    qd_mutex_unlock(&e->flush_lock);
    if (rc && err) qd_err_copy(err, &failure);
    qd_err_fini(&failure);
    if (!rc && doing) {
        atomic_fetch_add(&e->stats.flush_total, 1);
        atomic_fetch_add(&e->stats.flush_ns, qd_env_mono_ns(e->env) - start);
    }
    return rc;
}

int64_t qd_engine_uncommitted(qd_engine *e)
{
    int64_t max;
    qd_seq_no_get(&e->seq_no, &max, NULL, NULL);
    return max > atomic_load(&e->committed_checkpoint) ? max : -1;
}

bool qd_engine_committed(qd_engine *e, uint64_t unit)
{
    bool yes = false;
    qd_mutex_lock(&e->publish_lock);
    for (size_t i = 0; i < e->committed.n; i++) yes |= e->committed.at[i]->unit == unit;
    qd_mutex_unlock(&e->publish_lock);
    return yes;
}
