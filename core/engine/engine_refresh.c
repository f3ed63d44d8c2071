/*
 * engine_refresh.c: from buffers to a new reader.
 *
 * A cut holds all slots for as long as it takes to swap their buffers and the version map's halves,
 * so that everything before it is in the detached buffers and nothing else is. The detached buffers
 * are then made durable in the log, written as segments and published together with the deletions
 * that their operations caused. A failure in between leaves the cut open; the next refresh goes on
 * from there, and nothing is lost or shown by halves. On a replicated primary a written cut waits,
 * holding nobody up, until the global checkpoint covers it.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_int.h"
#include <string.h>

/* --- units --------------------------------------------------------------------------------------
 */

engine_segment *qdi_engine_segment_find(qd_engine *e, uint64_t unit)
{
    for (size_t i = 0; i < e->segments.n; i++) {
        if (e->segments.at[i]->unit == unit) return e->segments.at[i];
    }
    return NULL;
}

/* Follows a unit through merges; doc becomes UINT32_MAX where the document was left out. */
static void resolve(qd_engine *e, uint64_t *unit, uint32_t *doc)
{
    for (size_t i = 0; i < e->retired.n;
         i++) { /* in order of retirement: one pass follows chains */
        const engine_retired *t = &e->retired.at[i];
        if (t->unit != *unit || *doc >= t->docs) continue;
        *unit = t->into;
        *doc = t->map[*doc];
        if (*doc == UINT32_MAX) return;
    }
}

/* Makes the live documents of s changeable: the next publication freezes them again. */
static int make_mutable(qd_engine *e, engine_segment *s, qd_err *err)
{
    if (s->live_mutable) return 0;
    qd_live *copy;
    int rc = s->live ? qd_live_clone(s->live, e->account, &copy, err)
                     : qd_live_make(qd_segment_docs(s->segment), e->account, &copy, err);
    if (rc) return rc;
    qd_assert(qd_live_docs(copy) == qd_segment_docs(s->segment));
    qd_live_unref(s->live);
    s->live = copy;
    s->live_mutable = true;
    return 0;
}

/* Retired units that no buffer can name any more: all cuts made before them are published. */
static void retired_prune(qd_engine *e)
{
    size_t kept = 0;
    for (size_t i = 0; i < e->retired.n; i++) {
        if (e->retired.at[i].cut + 1 < atomic_load(&e->cuts)) {
            qd_free(e->retired.at[i].map);
        } else {
            e->retired.at[kept++] = e->retired.at[i];
        }
    }
    e->retired.n = kept;
}

/* --- publication
 * ---------------------------------------------------------------------------------- */

int qdi_engine_publish(qd_engine *e, int64_t seq_no, qd_err *err)
{
    size_t n = e->segments.n;
    qd_reader_leaf *leaves = qd_alloc(e->account, (n + 1) * sizeof *leaves);
    if (!leaves) return qd_err_nomem(err, "reader");
    for (size_t i = 0; i < n; i++) {
        engine_segment *s = e->segments.at[i];
        leaves[i] = (qd_reader_leaf){.segment = s->segment, .live = s->live, .unit = s->unit};
    }
    qd_reader *r = qd_reader_make(leaves, (uint32_t)n, e->reader_version + 1, seq_no, e->account);
    qd_free(leaves);
    if (!r) return qd_err_nomem(err, "reader");
    for (size_t i = 0; i < n; i++) { /* the reader shares them now */
        engine_segment *s = e->segments.at[i];
        s->live_unsaved |= s->live_mutable;
        s->live_mutable = false;
    }
    e->reader_version++;
    qd_assert(r->version == e->reader_version); /* one publisher at a time */
    qd_assert(r->n == e->segments.n && r->max_seq_no == seq_no);
    e->shown_seq_no = seq_no;
    uint64_t term = atomic_load(&e->primary_term);
    if (atomic_load(&e->mode) == QD_ENGINE_PRIMARY) {
        atomic_store(&e->office_term, term);
        qd_invariant(e->published_term <= term); /* who shows more is primary of a later term */
        e->published_generation = e->published_term == term ? e->published_generation + 1 : 1;
        e->published_term = term;
    }
    qd_reader_slot_publish(&e->reader, r);
    return 0;
}

static int64_t shown_of(qd_engine *e)
{
    qd_mutex_lock(&e->publish_lock);
    int64_t shown = e->shown_seq_no;
    qd_mutex_unlock(&e->publish_lock);
    return shown;
}

void qdi_engine_tell(qd_engine *e)
{
    if (e->published) e->published(e->copies_arg, shown_of(e));
}

qd_reader *qd_engine_reader(qd_engine *e)
{
    return qd_reader_slot_take(&e->reader);
}

/* --- cut ---------------------------------------------------------------------------------------
 */

static bool slot_dirty(const engine_buffer *b)
{
    return qd_buffer_docs(b->b) > 0 || b->deletes.n > 0 || b->max_seq_no >= 0;
}

bool qd_engine_refresh_needed(qd_engine *e)
{
    bool dirty = false;
    if (!qd_mutex_trylock(&e->refresh_lock)) return false; /* one is running: ask again later */
    /* a cut that waits for the checkpoint is no reason to try again */
    dirty = e->cut_open && (!e->cut_written || atomic_load(&e->cut_waiting) == INT64_MAX);
    for (uint32_t i = 0; i < e->nslots && !dirty && !e->cut_open; i++) {
        qd_mutex_lock(&e->slots[i].lock);
        dirty = slot_dirty(e->slots[i].buffer);
        qd_mutex_unlock(&e->slots[i].lock);
    }
    qd_mutex_unlock(&e->refresh_lock);
    return dirty;
}

/* Swaps the buffers of all slots that hold something. Under refresh_lock. */
static int cut(qd_engine *e, qd_err *err)
{
    engine_buffer *fresh[QD_SLOTS_MAX];
    uint32_t got = 0, used = 0;
    int rc = 0;
    qd_assert(!e->cut_open && !e->detached.n);
    if (qd_vec_reserve(&e->detached, e->account, e->nslots)) {
        return qd_err_nomem(err, "list of detached buffers");
    }
    while (got < e->nslots && !(rc = qdi_engine_buffer_get(e, &fresh[got], err))) got++;
    if (!rc) {
        int64_t shown = shown_of(e); /* it does not fall meanwhile */
        for (uint32_t i = 0; i < e->nslots; i++) qd_mutex_lock(&e->slots[i].lock);
        for (uint32_t i = 0; i < e->nslots; i++) {
            if (!slot_dirty(e->slots[i].buffer)) continue;
            qd_assert(e->slots[i].buffer->unit < fresh[used]->unit); /* never used again */
            e->detached.at[e->detached.n++] = e->slots[i].buffer;
            e->slots[i].buffer = fresh[used++];
        }
        qd_seq_no_get(&e->seq_no, &e->cut_seq_no, NULL, NULL);
        qd_assert(e->detached.n == used && used <= got);
        for (size_t i = 0; i < e->detached.n; i++)
            qd_invariant(e->detached.at[i]->max_seq_no <= e->cut_seq_no);
        /* no-ops alone leave nothing in buffers; where a checkpoint decides, they wait as well */
        if (e->detached.n || (!qdi_engine_follows(e) && e->cut_seq_no > shown)) {
            qd_version_map_refresh_begin(e->versions);
            qd_invariant(e->cut_seq_no >= shown);
            e->cut_open = true;
            e->cut_written = false;
            atomic_fetch_add(&e->cuts, 1);
        }
        for (uint32_t i = e->nslots; i-- > 0;) qd_mutex_unlock(&e->slots[i].lock);
    }
    while (got > used) qdi_engine_buffer_put(e, fresh[--got]);
    return rc;
}

/* --- writing --------------------------------------------------------------------------------- */

static int write_segment(qd_engine *e, engine_buffer *b, qd_err *err)
{
    char name[ENGINE_NAME_MAX];
    uint8_t id[16], history[16];
    qd_segment_attrs attrs = {
        .min_seq_no = b->min_seq_no,
        .max_seq_no = b->max_seq_no,
        .user = {(const char *)history, 16},
        .stored_codec = qdi_engine_settings(e).stored_codec,
        .sparse_bitmaps = true,
    };
    qd_assert(b->min_seq_no <= b->max_seq_no);
    qd_engine_history(e, history);
    qdi_engine_id(e, id);
    qd_str object = qdi_engine_segment_name(e, id, name);
    int rc = qd_buffer_flush(b->b, e->segment_store, object, id, &attrs, false, NULL, err);
    if (rc) return rc;
    if ((rc = qd_segment_open(e->segment_store, object, e->account, &b->segment, err))) {
        qdi_store_forget(e->segment_store, object);
    }
    return rc || !e->nsort ? rc : qdi_engine_sort_segment(e, b, &attrs, err);
}

/* The segment of a unit, listed or about to be. Under publish_lock. */
static engine_segment *find_any(qd_engine *e, uint64_t unit)
{
    for (size_t i = 0; i < e->detached.n; i++) {
        engine_segment *s = e->detached.at[i]->entry;
        if (s && s->unit == unit) return s;
    }
    return qdi_engine_segment_find(e, unit);
}

/* Everything about the publication that can fail: nothing is visible of it. Under publish_lock. */
static int prepare(qd_engine *e, qd_err *err)
{
    if (qd_vec_reserve(&e->segments, e->account, e->detached.n)) {
        return qd_err_nomem(err, "list of segments");
    }
    for (size_t i = 0; i < e->detached.n; i++) {
        engine_buffer *b = e->detached.at[i];
        if (!b->segment) continue;
        if (b->map) {
            int rc = qdi_engine_sort_enter(e, b, err);
            if (rc) return rc;
            continue;
        }
        b->entry = qdi_engine_segment_make(e, b->segment, b->unit, err);
        if (!b->entry) return QD_E_NOMEM;
        b->segment = NULL;
    }
    for (size_t i = 0; i < e->detached.n; i++) {
        engine_buffer *b = e->detached.at[i];
        for (size_t k = 0; k < b->deletes.n; k++) {
            engine_delete *d = &b->deletes.at[k];
            resolve(e, &d->unit, &d->doc);
            engine_segment *s = d->doc == UINT32_MAX ? NULL : find_any(e, d->unit);
            int rc = s ? make_mutable(e, s, err) : 0;
            if (rc) return rc;
        }
    }
    return 0;
}

/* Applies the deletions and lists the new segments. Under publish_lock, after prepare. */
static void enter(qd_engine *e)
{
    for (size_t i = 0; i < e->detached.n; i++) {
        engine_buffer *b = e->detached.at[i];
        for (size_t k = 0; k < b->deletes.n; k++) {
            const engine_delete *d = &b->deletes.at[k];
            engine_segment *s = d->doc == UINT32_MAX ? NULL : find_any(e, d->unit);
            qd_assert(!s || s->live_mutable);             /* readers share the others */
            if (s) (void)qd_live_delete(s->live, d->doc); /* else all of it is gone already */
        }
    }
    for (size_t i = 0; i < e->detached.n; i++) {
        engine_buffer *b = e->detached.at[i];
        qd_assert(!b->entry || (!b->entered && e->segments.n < e->segments.cap));
        if (b->entry) e->segments.at[e->segments.n++] = b->entry;
        b->entered |= b->entry != NULL;
        b->entry = NULL;
    }
}

/* Takes segments without a live document out of the list, into gone. Under publish_lock. */
static void leave_empty(qd_engine *e, engine_segments *gone)
{
    size_t kept = 0;
    for (size_t i = 0; i < e->segments.n; i++) {
        engine_segment *s = e->segments.at[i];
        bool empty = s->live && qd_live_count(s->live) == 0 && !s->merging;
        if (empty && !qd_vec_push(gone, e->account, s)) continue;
        e->segments.at[kept++] = s;
    }
    e->segments.n = kept;
}

static int publish_cut(qd_engine *e, qd_err *err)
{
    engine_segments gone = {0};
    qd_mutex_lock(&e->publish_lock);
    qd_assert(e->cut_open && e->cut_written);
    qd_invariant(e->cut_seq_no >= e->shown_seq_no); /* nothing shown is taken back */
    qd_invariant(qdi_engine_follows(e) || atomic_load(&e->global) >= e->cut_seq_no);
    int rc = prepare(e, err);
    if (!rc) {
        enter(e);
        leave_empty(e, &gone);
        rc = qdi_engine_publish(e, e->cut_seq_no, err);
    }
    if (!rc) retired_prune(e);
    if (!rc) qd_cond_broadcast(&e->shown);
    qd_mutex_unlock(&e->publish_lock);
    if (!rc) qdi_engine_tell(e);
    for (size_t i = 0; i < gone.n; i++) qdi_engine_segment_drop(e, gone.at[i]);
    qd_vec_fini(&gone);
    return rc;
}

/* Makes the detached buffers segments. Under refresh_lock, with the cut open. */
static int write_cut(qd_engine *e, qd_err *err)
{
    int rc = 0;
    /* a search never shows a write that a power loss could take back */
    if (e->translog && atomic_load(&e->durability) == QD_DURABILITY_REQUEST) {
        rc = qd_engine_sync_all(e, err);
    }
    for (size_t i = 0; i < e->detached.n && !rc; i++) {
        engine_buffer *b = e->detached.at[i];
        if (!b->segment && !b->entry && !b->entered && qd_buffer_docs(b->b))
            rc = write_segment(e, b, err);
    }
    qd_assert(e->cut_open && !e->cut_written);
    if (!rc) e->cut_written = true;
    return rc;
}

/* May what the cut holds be shown? If not, who moves the checkpoint will know that it is waited
 * for. */
static bool covered(qd_engine *e)
{
    if (qdi_engine_follows(e) || QD_MUTANT(engine, REFRESH_ABOVE)) return true;
    if (atomic_load(&e->global) >= e->cut_seq_no) return true;
    atomic_store(&e->cut_waiting, e->cut_seq_no);
    if (atomic_load(&e->global) < e->cut_seq_no) return false;
    atomic_store(&e->cut_waiting, INT64_MAX); /* it moved in between */
    return true;
}

/* Writes the open cut and publishes it if it may be. Under refresh_lock, with the cut open. */
static int finish_cut(qd_engine *e, qd_err *err)
{
    int rc = e->cut_written ? 0 : write_cut(e, err);
    if (rc || !covered(e)) return rc;
    if ((rc = publish_cut(e, err))) return rc;
    int64_t keep = qdi_engine_follows(e) ? INT64_MAX : atomic_load(&e->global) + 1;
    qd_version_map_refresh_end(e->versions, (int64_t)(qd_env_mono_ns(e->env) / 1000000),
                               qdi_engine_settings(e).gc_deletes_ms, keep);
    while (e->detached.n) qdi_engine_buffer_put(e, e->detached.at[--e->detached.n]);
    e->cut_open = e->cut_written = false;
    return 0;
}

int qdi_engine_refresh_locked(qd_engine *e, qd_err *err)
{
    int rc = qdi_engine_alive(e, err);
    if (rc || (atomic_load(&e->mode) == QD_ENGINE_REPLICA && !atomic_load(&e->promoting)))
        return rc;
    /* one that failed half-way, or waits for the checkpoint: what came since is behind it, and
     * belongs to this refresh too */
    qd_assert(e->cut_open || (!e->cut_written && e->detached.n == 0));
    if (e->cut_open) rc = finish_cut(e, err);
    e->cut_again = !rc && e->cut_open;
    if (rc || e->cut_open) return rc;
    if ((rc = cut(e, err))) return rc;
    if (e->cut_open) return finish_cut(e, err);
    /* at most no-ops came: nothing to show, but it is shown */
    qd_mutex_lock(&e->publish_lock);
    if (e->cut_seq_no > e->shown_seq_no) e->shown_seq_no = e->cut_seq_no;
    qd_mutex_unlock(&e->publish_lock);
    return 0;
}

int qd_engine_refresh_start(qd_engine *e, int64_t *seq_no, qd_err *err)
{
    uint64_t start = qd_env_mono_ns(e->env);
    int64_t max;
    qd_seq_no_get(&e->seq_no, &max, NULL, NULL);
    qd_mutex_lock(&e->refresh_lock);
    int rc = qdi_engine_refresh_locked(e, err);
    qd_mutex_unlock(&e->refresh_lock);
    if (seq_no) *seq_no = max;
    if (rc) return rc;
    qdi_engine_waits_end(e, shown_of(e), 0);
    atomic_fetch_add(&e->stats.refresh_total, 1);
    atomic_fetch_add(&e->stats.refresh_ns, qd_env_mono_ns(e->env) - start);
    qdi_engine_merge_kick(e);
    return 0;
}

int qd_engine_refresh_finish(qd_engine *e, qd_err *err)
{
    qd_mutex_lock(&e->refresh_lock);
    bool waiting = e->cut_open && e->cut_written, again = e->cut_again;
    int rc = waiting ? qdi_engine_alive(e, err) : 0;
    if (waiting && !rc) rc = finish_cut(e, err);
    bool shown = waiting && !rc && !e->cut_open;
    qd_mutex_unlock(&e->refresh_lock);
    if (rc || !shown) return rc;
    qdi_engine_waits_end(e, shown_of(e), 0);
    qdi_engine_merge_kick(e);
    /* somebody wanted what came behind it, too */
    return again || qd_engine_waited_for(e) ? qd_engine_refresh_start(e, NULL, err) : 0;
}

#define REFRESH_WAIT_NS (30ull * 1000000000)

int qd_engine_refresh(qd_engine *e, qd_err *err)
{
    int64_t seq_no, shown;
    int rc = qd_engine_refresh_start(e, &seq_no, err);
    if (rc || qdi_engine_follows(e) || atomic_load(&e->mode) == QD_ENGINE_REPLICA) return rc;
    uint64_t until = qd_env_mono_ns(e->env) + REFRESH_WAIT_NS;
    while (!rc && (shown = shown_of(e)) < seq_no) {
        qd_mutex_lock(&e->publish_lock);
        while (!rc && e->shown_seq_no == shown && !atomic_load(&e->failed) && !e->closed &&
               atomic_load(&e->mode) == QD_ENGINE_PRIMARY) {
            rc = qd_cond_wait_until(&e->shown, &e->publish_lock, until);
        }
        bool closed = e->closed;
        qd_mutex_unlock(&e->publish_lock);
        if (rc) {
            return qd_err_set(err, QD_E_TIMEOUT,
                              "%s the other copies did not confirm operations up to [%lld] in time",
                              e->name, (long long)seq_no);
        }
        if ((rc = qdi_engine_alive(e, err))) return rc;
        if (closed) return qd_err_set(err, QD_E_CLOSED, "%s is closed", e->name);
        if (atomic_load(&e->mode) != QD_ENGINE_PRIMARY) {
            return qd_err_set(err, QD_E_NOT_PRIMARY, "%s is no longer the primary", e->name);
        }
        /* what was cut before this call is shown: now what it asked for */
        if (shown_of(e) < seq_no) rc = qd_engine_refresh_start(e, NULL, err);
    }
    return rc;
}

bool qd_engine_waited_for(qd_engine *e)
{
    qd_mutex_lock(&e->publish_lock);
    bool yes = e->nwaits > 0;
    qd_mutex_unlock(&e->publish_lock);
    return yes;
}

/* --- waiting for visibility ----------------------------------------------------------------------
 */

int qd_engine_refresh_wait(qd_engine *e, qd_refresh_wait *w, bool *forced, qd_err *err)
{
    int rc = 0;
    uint32_t most = qdi_engine_settings(e).refresh_waits_max;
    *forced = false;
    qd_mutex_lock(&e->publish_lock);
    bool shown = e->shown_seq_no >= w->seq_no, full = e->nwaits >= most;
    if (e->closed) {
        rc = QD_E_CLOSED;
    } else if (!shown && atomic_load(&e->failed)) {
        rc = atomic_load(&e->failed);
    } else if (!shown && !full) {
        w->next = e->waits;
        e->waits = w;
        e->nwaits++;
    }
    qd_mutex_unlock(&e->publish_lock);
    if (rc)
        return qd_err_set(err, rc, "%s %s", e->name, rc == QD_E_CLOSED ? "is closed" : "failed");
    if (!shown && full) {
        *forced = true;
        if ((rc = qd_engine_refresh_start(e, NULL, err))) return rc;
        qd_mutex_lock(&e->publish_lock);
        shown = e->shown_seq_no >= w->seq_no;
        if (!shown && (e->closed || atomic_load(&e->failed))) {
            rc = e->closed ? QD_E_CLOSED : atomic_load(&e->failed);
        } else if (!shown) { /* the checkpoint will show it */
            w->next = e->waits;
            e->waits = w;
            e->nwaits++;
        }
        qd_mutex_unlock(&e->publish_lock);
        if (rc) return qd_err_set(err, rc, "%s is closed or failed", e->name);
    }
    if (shown) w->done(w, 0);
    return 0;
}

void qdi_engine_waits_end(qd_engine *e, int64_t shown, int rc)
{
    qd_refresh_wait *ready = NULL, **at = &e->waits;
    qd_mutex_lock(&e->publish_lock);
    while (*at) {
        qd_refresh_wait *w = *at;
        if (rc || w->seq_no <= shown) {
            *at = w->next;
            w->next = ready;
            ready = w;
            qd_assert(e->nwaits > 0);
            e->nwaits--;
        } else {
            at = &w->next;
        }
    }
    qd_assert((e->waits == NULL) == (e->nwaits == 0));
    qd_mutex_unlock(&e->publish_lock);
    while (ready) {
        qd_refresh_wait *w = ready;
        ready = w->next;
        w->done(w, rc);
    }
}
