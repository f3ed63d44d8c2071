/*
 * engine_flush.c: commit points.
 *
 * Order: roll the translog, refresh (all operations of older generations are then in segments, but
 * for those above the global checkpoint), write changed live documents, sync the new files, publish
 * the commit point, and only then trim the translog and remove what the commit point before needed.
 * A crash between any two steps leaves the commit point before with everything it names.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_int.h"
#include <stdio.h>
#include <string.h>

#define LISTS_MAX ((size_t)64 << 20)

/* Everything listed, each with a reference, and a reference on what lives now. Under publish_lock.
 */
static int list(qd_engine *e, engine_snapshot *out, qd_live **lives)
{
    for (size_t i = 0; i < e->segments.n; i++) {
        engine_segment *s = e->segments.at[i];
        qd_assert(s->refs > 0); /* the list's */
        qd_assert(s->live || (!s->live_unsaved && !s->live_mutable && !s->file));
        s->refs++;
        if (s->live_unsaved || s->live_mutable) {
            /* shared from now on: the next deletion copies it */
            s->live_unsaved = true;
            s->live_mutable = false;
            lives[i] = qd_live_ref(s->live);
        } else if (s->file) {
            s->file->refs++;
        }
        out->pairs.at[out->pairs.n++] = (engine_pair){s, lives[i] ? NULL : s->file};
    }
    qd_assert(out->pairs.n == e->segments.n);
    out->shown = e->shown_seq_no;
    out->published_term = e->published_term;
    out->published_generation = e->published_generation;
    return 0;
}

/* Writes the live documents of one segment; the file becomes its newest. Under save_lock. */
static int save(qd_engine *e, engine_pair *p, qd_live *live, qd_err *err)
{
    char prefix[ENGINE_NAME_MAX];
    uint8_t id[16];
    engine_segment *s = p->segment;
    int len = snprintf(prefix, sizeof prefix, "%s/", e->folder);
    const uint8_t *segment = qd_segment_id(s->segment);
    /* primaries of different terms may have deletions in a segment they share: each one numbers
     * them by its term, also when it is alone, or writes what it had shown after it was replaced */
    uint64_t generation = s->file ? s->file->generation + 1 : 1;
    uint64_t least = (atomic_load(&e->office_term) & 0x3fffffff) << 32;
    if (generation <= least) generation = least + 1;
    qdi_engine_id(e, id);
    char name[ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES];
    qd_str object = qdi_engine_live_name(e, segment, generation, name);
    int rc = qd_live_write(live, e->segment_store, (qd_str){prefix, (size_t)len}, segment,
                           generation, id, false, NULL, err);
    if (rc) return rc;
    engine_live *x = qdi_engine_live_make(e, s, generation, qd_live_count(live), err);
    if (!x) {
        rc = err && err->code ? err->code : QD_E_NOMEM;
        /* its name is wanted again; where it cannot be removed the shard is better opened anew */
        qd_err stuck;
        qd_err_init(&stuck);
        if (qd_store_delete(e->segment_store, object, &stuck)) rc = qdi_engine_fail(e, &stuck);
        qd_err_fini(&stuck);
        return rc;
    }
    qd_mutex_lock(&e->publish_lock);
    engine_live *before = s->file;
    qd_assert(x->refs == 1 && !p->file);
    qd_assert(x->count <= qd_segment_docs(s->segment));
    x->refs = 2; /* the segment's and the pair's */
    qd_assert(!s->file || s->file->generation < generation);
    s->file = p->file = x;
    s->live_unsaved = s->live != live;
    qd_mutex_unlock(&e->publish_lock);
    qdi_engine_live_drop(e, before);
    return 0;
}

int qdi_engine_sync_files(qd_engine *e, const engine_snapshot *s, qd_err *err)
{
    qd_arena arena;
    char name[ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES];
    qd_str *names = qd_alloc(e->account, (2 * s->pairs.n + 1) * sizeof *names);
    size_t n = 0;
    int rc = names ? 0 : qd_err_nomem(err, "list of files");
    qd_arena_init(&arena, e->account, LISTS_MAX);
    for (size_t i = 0; i < s->pairs.n && !rc; i++) {
        const engine_pair *p = &s->pairs.at[i];
        if (!p->segment->synced) names[n++] = qd_segment_name(p->segment->segment);
        if (!p->file || p->file->synced) continue;
        qd_str live = qdi_engine_live_name(e, p->file->segment, p->file->generation, name);
        names[n] = qd_arena_str(&arena, live);
        if (!names[n++].p) rc = qd_err_nomem(err, "list of files");
    }
    qd_assert(n <= 2 * s->pairs.n);
    if (!rc && n && !QD_MUTANT(engine, INSTALL_UNSYNCED)) {
        rc = qd_store_sync(e->segment_store, names, n, err);
        /* whatever the reason, these files are lost: a second sync that succeeds proves nothing */
        if (rc) rc = qdi_engine_fail(e, err);
    }
    qd_arena_fini(&arena);
    qd_free(names);
    if (rc || QD_MUTANT(engine, INSTALL_UNSYNCED)) return rc;
    qd_mutex_lock(&e->publish_lock);
    for (size_t i = 0; i < s->pairs.n; i++) {
        s->pairs.at[i].segment->synced = true;
        if (s->pairs.at[i].file) s->pairs.at[i].file->synced = true;
    }
    qd_mutex_unlock(&e->publish_lock);
    return 0;
}

int qdi_engine_snapshot(qd_engine *e, bool sync, engine_snapshot *out, qd_err *err)
{
    qd_live **lives = NULL;
    int rc = 0;
    *out = (engine_snapshot){0};
    qd_mutex_lock(&e->save_lock);
    qd_mutex_lock(&e->publish_lock);
    size_t n = e->segments.n;
    if (qd_vec_reserve(&out->pairs, e->account, n + 1) ||
        !(lives = qd_calloc(e->account, (n + 1) * sizeof *lives))) {
        rc = qd_err_nomem(err, "list of segments");
    }
    if (!rc) rc = list(e, out, lives);
    qd_mutex_unlock(&e->publish_lock);
    for (size_t i = 0; i < n && lives; i++) {
        if (!rc && lives[i]) rc = save(e, &out->pairs.at[i], lives[i], err);
        qd_live_unref(lives[i]);
    }
    qd_free(lives);
    qd_mutex_unlock(&e->save_lock);
    if (!rc && sync) rc = qdi_engine_sync_files(e, out, err);
    if (rc) qdi_engine_snapshot_fini(e, out);
    return rc;
}

void qdi_engine_snapshot_fini(qd_engine *e, engine_snapshot *s)
{
    for (size_t i = 0; i < s->pairs.n; i++) qdi_engine_pair_drop(e, s->pairs.at[i]);
    qd_vec_fini(&s->pairs);
}

/* The commit point's segments as they are written. */
static void describe(const engine_snapshot *s, qd_commit *c)
{
    c->n = (uint32_t)s->pairs.n;
    for (uint32_t i = 0; i < c->n; i++) {
        engine_pair p = s->pairs.at[i];
        const qd_file *f = qd_segment_file(p.segment->segment);
        uint32_t docs = qd_segment_docs(p.segment->segment);
        c->segments[i] = (qd_commit_segment){
            .docs = docs,
            .live = p.file ? p.file->count : docs,
            .live_generation = p.file ? p.file->generation : 0,
            .bytes = qd_file_bytes(f),
            .hash = qd_file_hash(f),
        };
        memcpy(c->segments[i].id, qd_segment_id(p.segment->segment), 16);
    }
}

/* Whoever reads the commit point after a power loss finds what it names. */
static bool all_synced(qd_engine *e, const engine_snapshot *s)
{
    bool all = true;
    qd_mutex_lock(&e->publish_lock);
    for (size_t i = 0; i < s->pairs.n; i++) {
        const engine_pair *p = &s->pairs.at[i];
        all &= p->segment->synced && (!p->file || p->file->synced);
    }
    qd_mutex_unlock(&e->publish_lock);
    return all;
}

static bool held_by_lease(const qd_commit *c, int64_t seq_no)
{
    for (uint32_t i = 0; i < c->leases_n; i++)
        if (c->leases[i].retaining_seq_no <= seq_no) return true;
    return false;
}

/* Leases and what of the translog stays for them. */
static void retention(qd_engine *e, qd_commit *c, int64_t *retain)
{
    int64_t highest, from = atomic_load(&e->complete_from);
    *retain = INT64_MAX;
    for (uint32_t i = 0; i < c->leases_n && !QD_MUTANT(engine, LEASE_IGNORED); i++)
        if (c->leases[i].retaining_seq_no < *retain) *retain = c->leases[i].retaining_seq_no;
    c->translog_first =
        qd_translog_trim_plan(e->translog, c->translog_generation, *retain, &highest);
    qd_assert(c->translog_first <= c->translog_generation); /* replay finds where it begins */
    c->operations_from = highest + 1 > from ? highest + 1 : from;
    qd_pair("log.retains", highest < 0 || !held_by_lease(c, highest));
}

int qdi_engine_log_trim(qd_engine *e, uint64_t generation, int64_t retain, int64_t covered,
                        qd_err *err)
{
    int64_t highest;
    (void)qd_translog_trim_plan(e->translog, generation, retain, &highest);
    qd_pair("log.trims", highest <= covered);
    return qd_translog_trim(e->translog, generation, retain, err);
}

int qdi_engine_commit(qd_engine *e, engine_snapshot *s, uint64_t translog_least, qd_err *err)
{
    int64_t retain;
    qd_commit c = {
        .generation = e->commit_generation + 1,
        .translog_generation = qd_translog_generation_above(e->translog, s->shown),
        .local_checkpoint = s->shown,
        .max_seq_no = s->shown,
        .primary_term = atomic_load(&e->primary_term),
        .published_term = s->published_term,
        .published_generation = s->published_generation,
    };
    if (c.translog_generation < translog_least) c.translog_generation = translog_least;
    memcpy(c.translog_uuid, e->translog_uuid, 16);
    qd_engine_history(e, c.history_uuid);
    c.segments = qd_alloc(e->account, (s->pairs.n + 1) * sizeof *c.segments);
    c.leases = qd_alloc(e->account, QD_LEASES_MAX * sizeof *c.leases);
    int64_t covered = translog_least ? INT64_MAX : s->shown; /* what was there is void */
    int rc = c.segments && c.leases ? 0 : qd_err_nomem(err, "commit point");
    qd_pair("commit.names", all_synced(e, s));
    qd_invariant(c.primary_term >= atomic_load(&e->committed_term));
    qd_invariant(c.published_term <= c.primary_term);
    /* but for a copy that was emptied, nothing goes back */
    qd_invariant(translog_least || c.local_checkpoint >= atomic_load(&e->committed_checkpoint));
    if (!rc) {
        describe(s, &c);
        for (uint32_t i = 0; i < c.n; i++) qd_assert(c.segments[i].live <= c.segments[i].docs);
        c.leases_n = qd_engine_leases(e, c.leases, QD_LEASES_MAX);
        qd_assert(c.leases_n <= QD_LEASES_MAX);
        retention(e, &c, &retain);
        rc = qd_commit_write(e->log_store, qd_str_c(e->folder), &c, err);
    }
    qd_free(c.segments);
    qd_free(c.leases);
    if (rc) return rc;
    qd_mutex_lock(&e->publish_lock);
    engine_pairs before = e->committed;
    e->committed = s->pairs;
    qd_mutex_unlock(&e->publish_lock);
    s->pairs = (engine_pairs){0};
    for (size_t i = 0; i < before.n; i++) qdi_engine_pair_drop(e, before.at[i]);
    qd_vec_fini(&before);
    e->commit_generation++;
    qd_assert(e->commit_generation == c.generation); /* under flush_lock: nobody else commits */
    e->committed_translog = c.translog_generation;
    atomic_store(&e->committed_checkpoint, c.local_checkpoint);
    atomic_store(&e->committed_term, c.primary_term);
    memcpy(e->committed_history, c.history_uuid, 16);
    atomic_store(&e->complete_from, c.operations_from);
    qdi_engine_cursors_clear(e); /* they hold files that may go */
    rc = qdi_engine_log_trim(e, c.translog_generation, retain, covered, err);
    return rc == QD_E_NOSPACE ? 0 : rc; /* what is left goes with the next one */
}

static int commit(qd_engine *e, qd_err *err)
{
    engine_snapshot s;
    int rc = qdi_engine_snapshot(e, true, &s, err);
    if (rc) return rc;
    int64_t done;
    qd_seq_no_get(&e->seq_no, NULL, &done, NULL);
    /* replay begins behind it; a number that has no record fails the engine */
    qd_invariant(s.shown <= done || atomic_load(&e->failed));
    rc = qdi_engine_commit(e, &s, 0, err);
    qdi_engine_snapshot_fini(e, &s);
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
        engine_segment *x = e->segments.at[i];
        yes = x != e->committed.at[i].segment || x->live_unsaved || x->live_mutable ||
              x->file != e->committed.at[i].file;
    }
    qd_mutex_unlock(&e->publish_lock);
    return yes;
}

int qd_engine_flush(qd_engine *e, bool force, qd_err *err)
{
    uint64_t start = qd_env_mono_ns(e->env);
    qd_err failure;
    qd_err_init(&failure);
    qd_mutex_lock(&e->flush_lock);
    int rc = qdi_engine_alive(e, &failure);
    /* a recovery that has forgotten the operations commits with its first publication */
    bool doing = !rc && !atomic_load(&e->reset_generation) && (force || needed(e));
    if (doing) {
        rc = qd_translog_roll(e->translog, NULL, &failure);
        /* what the other copies have not confirmed stays in the log, and is shown later */
        if (!rc) rc = qd_engine_refresh_start(e, NULL, &failure);
        if (!rc) rc = qd_engine_sync_all(e, &failure); /* with durability async too */
        if (!rc) rc = commit(e, &failure);
        /* a failed write or sync is never tried again on what was buffered: reopen from disk; out
         * of space and memory may pass */
        if (rc == QD_E_IO || qd_translog_failure(e->translog, &failure)) {
            rc = qdi_engine_fail(e, &failure);
        }
    }
    qd_mutex_unlock(&e->flush_lock);
    if (rc && err) qd_err_copy(err, &failure);
    qd_err_fini(&failure);
    if (!rc) { /* also one that had nothing to do, as Elasticsearch counts them */
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
    for (size_t i = 0; i < e->committed.n; i++) yes |= e->committed.at[i].segment->unit == unit;
    qd_mutex_unlock(&e->publish_lock);
    return yes;
}
