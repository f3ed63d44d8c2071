/*
 * engine_merge.c: natural merges in the background, forced ones on request.
 *
 * A merge reads segments and live documents as they were when it began. At its publication, what
 * has been deleted in the sources since then is deleted in the result, and the sources become
 * retired units whose maps lead later deletions to the result. A merge that fails for want of space
 * is dropped: the shard goes on with the sources.
 */
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_int.h"
#include <string.h>

typedef struct merge_job {
    qd_engine *e;
    uint32_t n;
    engine_segment *source[QD_MERGE_AT_ONCE_MAX];
    qd_live *live[QD_MERGE_AT_ONCE_MAX]; /* as of the beginning, referenced */
    uint64_t unit, started_ns, bytes_before, rate;
    uint64_t ordered; /* progress of finding the order, in bytes of sources */
    qd_task *task;
    qd_merge_result result;
} merge_job;

/* --- choosing -------------------------------------------------------------------------------- */

typedef uint32_t (*merge_pick)(qd_engine *e, const qd_merge_candidate *c, uint32_t n, void *arg,
                               uint32_t *pick);

/* Lets pick choose and marks the chosen as being merged. false: nothing chosen. */
static bool choose(qd_engine *e, merge_pick pick, void *arg, merge_job *j, qd_err *err, int *rc)
{
    uint32_t chosen[QD_MERGE_AT_ONCE_MAX];
    uint8_t order = (uint8_t)qdi_engine_order(e);
    *rc = 0;
    *j = (merge_job){.e = e};
    /* a replica shows what its primary merged */
    if (atomic_load(&e->mode) != QD_ENGINE_PRIMARY) return false;
    qd_mutex_lock(&e->publish_lock);
    uint32_t n = (uint32_t)e->segments.n;
    qd_merge_candidate *c = qd_alloc(e->account, (n + 1) * sizeof *c);
    if (!c) *rc = qd_err_nomem(err, "merge candidates");
    for (uint32_t i = 0; c && i < n; i++) {
        const engine_segment *s = e->segments.at[i];
        uint32_t docs = qd_segment_docs(s->segment);
        c[i] = (qd_merge_candidate){
            .bytes = qd_segment_bytes(s->segment),
            .docs = docs,
            .live = s->live ? qd_live_count(s->live) : docs,
            .merging = s->merging,
            .stale = order != QD_MERGE_KEPT && qdi_engine_order_of(s->segment) != order,
        };
    }
    j->n = c ? pick(e, c, n, arg, chosen) : 0;
    qd_assert(j->n <= QD_MERGE_AT_ONCE_MAX && j->n <= n);
    for (uint32_t i = 0; i < j->n; i++) {
        qd_assert(chosen[i] < n && (i == 0 || chosen[i - 1] < chosen[i])); /* each once */
        engine_segment *s = e->segments.at[chosen[i]];
        qd_assert(!s->merging && s->refs > 0);
        s->merging = true;
        s->refs++;
        j->source[i] = s;
        s->live_unsaved |= s->live_mutable; /* shared from now on: the next deletion copies it */
        s->live_mutable = false;
        j->live[i] = s->live ? qd_live_ref(s->live) : NULL;
        j->bytes_before += qd_segment_bytes(s->segment);
    }
    qd_mutex_unlock(&e->publish_lock);
    qd_free(c);
    return j->n > 0;
}

static uint32_t pick_natural(qd_engine *e, const qd_merge_candidate *c, uint32_t n, void *arg,
                             uint32_t *pick)
{
    (void)arg;
    qd_merge_policy p = qdi_engine_settings(e).merge;
    return qd_merge_policy_natural(&p, c, n, pick);
}

typedef struct forced {
    uint32_t max_segments;
    bool only_deletes, nomem;
    uint64_t below; /* units since then are not its business: writes go on, and it has an end */
} forced;

/* Of the segments that were there at the beginning, and what they were merged into. */
static uint32_t pick_forced(qd_engine *e, const qd_merge_candidate *c, uint32_t n, void *arg,
                            uint32_t *pick)
{
    forced *f = arg;
    qd_merge_policy p = qdi_engine_settings(e).merge;
    qd_merge_candidate *mine = qd_alloc(e->account, (n + 1) * sizeof *mine);
    uint32_t *at = qd_alloc(e->account, (n + 1) * sizeof *at), m = 0, picked = 0;
    f->nomem = !mine || !at;
    for (uint32_t i = 0; !f->nomem && i < n; i++) {
        if (e->segments.at[i]->oldest >= f->below) continue;
        at[m] = i;
        mine[m++] = c[i];
    }
    /* nothing is left but deletions: they are merged away once, not those of each moment since */
    bool alone = f->only_deletes || m <= f->max_segments;
    for (uint32_t k = 0; alone && k < m; k++) {
        mine[k].merging |= e->segments.at[at[k]]->unit >= f->below;
    }
    if (m) {
        picked = qd_merge_policy_forced(&p, mine, m, f->max_segments, f->only_deletes, pick);
    }
    for (uint32_t k = 0; k < picked; k++) pick[k] = at[pick[k]];
    qd_free(mine);
    qd_free(at);
    return picked;
}

/* --- running --------------------------------------------------------------------------------- */

/* The mark (reader.h) is made by `mark` and read by qdi_engine_made and qdi_engine_order_of. */
static void mark(qd_engine *e, uint8_t order, char out[QD_ENGINE_MARK_BYTES])
{
    qd_engine_history(e, (uint8_t *)out);
    out[16] = (char)order;
}

bool qdi_engine_made(qd_engine *e, const qd_segment *s)
{
    qd_str user = qd_segment_attributes(s)->user;
    return user.n >= 16 && user.n <= QD_ENGINE_MARK_BYTES && qdi_engine_history_is(e, user.p);
}

uint8_t qdi_engine_order_of(const qd_segment *s)
{
    qd_str user = qd_segment_attributes(s)->user;
    return user.n == QD_ENGINE_MARK_BYTES ? (uint8_t)user.p[16] : QD_MERGE_KEPT;
}

/* Progress counts bytes: those of the sources once more where an order has to be found. */
static void ordering(void *arg, double done)
{
    merge_job *j = arg;
    j->ordered = (uint64_t)(done * (double)j->bytes_before);
    if (j->task) atomic_store(&j->task->done, j->ordered);
}

/* Called by the merge at least each 256 KiB: stop and rate. */
static int step(void *arg, uint64_t written, qd_err *err)
{
    merge_job *j = arg;
    if (atomic_load(&j->e->stop_merges)) {
        return qd_err_set(err, QD_E_CANCELLED, "%s is closing", j->e->name);
    }
    if (j->task) {
        atomic_store(&j->task->done, j->ordered + written);
        int rc = qd_task_check(j->task, err);
        if (rc) return rc;
    }
    if (j->rate) {
        uint64_t due = (uint64_t)((double)written / (double)j->rate * 1e9);
        uint64_t now = qd_env_mono_ns(j->e->env) - j->started_ns;
        if (due > now + 1000000) qd_env_sleep_ns(j->e->env, due - now);
    }
    return 0;
}

/* Says once that memory does not suffice for the order that the setting asks for, until it does. */
static void tell_order(qd_engine *e, const qd_merge_options *o, const qd_merge_result *r)
{
    bool kept = r->order_wants != 0;
    if (o->order == QD_MERGE_KEPT || r->docs == 0) return;
    if (atomic_exchange(&e->order_kept, kept) || !kept) return;
    qd_log_warn(
        ENGINE_LOG,
        "%s documents of a merge keep their order: finding one needs %llu bytes of memory%s; "
        "said once, until there is as much",
        e->name, (unsigned long long)r->order_wants,
        o->order == QD_MERGE_BISECT ? " (indices.memory.merge_reorder_size)" : "");
}

static int write_merged(merge_job *j, qd_segment **out, qd_err *err)
{
    qd_engine *e = j->e;
    char name[ENGINE_NAME_MAX];
    uint8_t id[16];
    qd_merge_source sources[QD_MERGE_AT_ONCE_MAX];
    char marked[QD_ENGINE_MARK_BYTES];
    qd_engine_settings settings = qdi_engine_settings(e);
    qd_merge_order order = qdi_engine_order(e);
    mark(e, (uint8_t)order, marked);
    for (uint32_t i = 0; i < j->n; i++) {
        sources[i] = (qd_merge_source){j->source[i]->segment, j->live[i]};
    }
    qd_merge_options o = {
        .attrs = {.min_seq_no = -1,
                  .max_seq_no = -1,
                  .user = {marked, 16},
                  .stored_codec = settings.stored_codec,
                  .sparse_bitmaps = true},
        .order = order,
        .sort = e->sort,
        .nsort = e->nsort,
        .order_memory = e->order_memory,
        .ordering = ordering,
        .ordered_user = {marked, QD_ENGINE_MARK_BYTES},
        .types = e->part_types.find ? &e->part_types : NULL,
        .sync = false, /* the next commit point syncs what it names */
        .step = step,
        .arg = j,
    };
    if (j->task) {
        bool search = order == QD_MERGE_BISECT;
        atomic_store(&j->task->total, j->bytes_before * (search ? 2 : 1));
    }
    j->rate = settings.merge_bytes_per_s;
    j->started_ns = qd_env_mono_ns(e->env);
    qdi_engine_id(e, id);
    qd_str object = qdi_engine_segment_name(e, id, name);
    *out = NULL;
    int rc = qd_segment_merge(sources, j->n, e->segment_store, object, id, &o, e->account,
                              &j->result, err);
    uint64_t live = 0;
    for (uint32_t i = 0; i < j->n; i++)
        live += j->live[i] ? qd_live_count(j->live[i]) : qd_segment_docs(j->source[i]->segment);
    qd_assert(rc || j->result.docs == live); /* none lost, none twice */
    if (!rc) tell_order(e, &o, &j->result);
    if (rc || j->result.docs == 0) return rc;
    if ((rc = qd_segment_open(e->segment_store, object, e->account, out, err))) {
        qdi_store_forget(e->segment_store, object);
    }
    return rc;
}

/* Deletes in the result what was deleted in the sources meanwhile. Under publish_lock. */
static int carry_deletions(merge_job *j, engine_segment *merged, qd_err *err)
{
    qd_engine *e = j->e;
    for (uint32_t i = 0; i < j->n; i++) {
        const qd_live *then = j->live[i], *now = j->source[i]->live;
        if (now == then) continue;
        const uint64_t *bits = qd_live_bits(now), *before = then ? qd_live_bits(then) : NULL;
        uint32_t docs = qd_live_docs(now);
        qd_assert(docs == qd_segment_docs(j->source[i]->segment)); /* the map is as long */
        for (uint32_t w = 0; w < (docs + 63) / 64; w++) {
            uint64_t was = before                ? before[w]
                           : docs - w * 64 >= 64 ? ~0ull
                                                 : (1ull << (docs % 64)) - 1;
            for (uint64_t gone = was & ~bits[w]; gone; gone &= gone - 1) {
                uint32_t doc = w * 64 + (uint32_t)__builtin_ctzll(gone);
                if (!merged->live) {
                    int rc = qd_live_make(j->result.docs, e->account, &merged->live, err);
                    if (rc) return rc;
                    merged->live_mutable = true;
                }
                qd_assert(j->result.map[i][doc] < j->result.docs); /* it lived when it was merged */
                (void)qd_live_delete(merged->live, j->result.map[i][doc]);
            }
        }
    }
    return 0;
}

/* The maps move into the list of retired units. Under publish_lock, after a reservation. */
static void retire(merge_job *j)
{
    qd_engine *e = j->e;
    qd_assert(e->retired.n + j->n <= e->retired.cap);
    qd_assert(!e->retired.n || e->retired.at[e->retired.n - 1].cut <= atomic_load(&e->cuts));
    for (uint32_t i = 0; i < j->n; i++) {
        qd_assert(j->source[i]->unit < j->unit); /* who follows a chain comes to its end */
        e->retired.at[e->retired.n++] = (engine_retired){
            .unit = j->source[i]->unit,
            .into = j->unit,
            .cut = atomic_load(&e->cuts),
            .map = j->result.map[i],
            .docs = qd_segment_docs(j->source[i]->segment),
        };
        j->result.map[i] = NULL;
    }
}

/* Puts merged (NULL: nothing is left) in the place of the first source. Under publish_lock. */
static void replace(merge_job *j, engine_segment *merged)
{
    qd_engine *e = j->e;
    size_t kept = 0;
    for (size_t i = 0; i < e->segments.n; i++) {
        engine_segment *s = e->segments.at[i];
        bool source = false;
        for (uint32_t k = 0; k < j->n; k++) source |= j->source[k] == s;
        if (!source) {
            e->segments.at[kept++] = s;
        } else if (merged && s == j->source[0]) {
            e->segments.at[kept++] = merged;
        }
    }
    qd_assert(kept + j->n == e->segments.n + (merged != NULL)); /* each source once */
    e->segments.n = kept;
}

static int publish_merged(merge_job *j, qd_segment *segment, qd_err *err)
{
    qd_engine *e = j->e;
    engine_segment *merged = NULL;
    int rc = 0;
    j->unit = atomic_fetch_add(&e->next_unit, 1);
    if (segment) {
        merged = qdi_engine_segment_make(e, segment, j->unit, err);
        if (!merged) {
            qd_segment_unref(segment);
            return QD_E_NOMEM;
        }
    }
    qd_mutex_lock(&e->publish_lock);
    if (atomic_load(&e->mode) != QD_ENGINE_PRIMARY) {
        rc = qd_err_set(err, QD_E_CANCELLED, "%s is no longer the primary", e->name);
    }
    for (uint32_t i = 0; i < j->n && !rc;
         i++) { /* it was, and is again, and shows other segments */
        if (qdi_engine_segment_find(e, j->source[i]->unit) == j->source[i]) continue;
        rc = qd_err_set(err, QD_E_CANCELLED, "%s shows other segments by now", e->name);
    }
    if (!rc && qd_vec_reserve(&e->retired, e->account, j->n))
        rc = qd_err_nomem(err, "retired segments");
    if (!rc && merged) rc = carry_deletions(j, merged, err);
    if (!rc) {
        if (j->result.map) retire(j);
        for (uint32_t i = 0; merged && i < j->n; i++) {
            if (j->source[i]->oldest < merged->oldest) merged->oldest = j->source[i]->oldest;
        }
        qd_assert(!merged || merged->oldest < merged->unit);
        replace(j, merged);
        rc = qdi_engine_publish(e, e->shown_seq_no, err); /* a failure shows at the next refresh */
        for (uint32_t i = 0; i < j->n; i++) {
            qd_assert(j->source[i]->merging && j->source[i]->refs > 1);
            j->source[i]->refs--; /* the list's */
        }
        rc = 0;
    } else if (merged) {
        merged->refs = 1;
    }
    qd_mutex_unlock(&e->publish_lock);
    if (!rc) qdi_engine_tell(e); /* before the sources go */
    if (rc && merged) qdi_engine_segment_drop(e, merged);
    return rc;
}

/* Runs a chosen merge to its end. */
static int run(merge_job *j, qd_err *err)
{
    qd_engine *e = j->e;
    qd_segment *segment;
    uint64_t start = qd_env_mono_ns(e->env);
    int rc = write_merged(j, &segment, err);
    if (!rc) rc = publish_merged(j, segment, err);
    if (!rc) {
        atomic_fetch_add(&e->stats.merge_total, 1);
        atomic_fetch_add(&e->stats.merge_docs, j->result.docs);
        atomic_fetch_add(&e->stats.merge_bytes, j->bytes_before);
        atomic_fetch_add(&e->stats.merge_ns, qd_env_mono_ns(e->env) - start);
    } else if (rc != QD_E_CANCELLED) {
        atomic_fetch_add(&e->stats.merge_failed, 1);
        qd_log_warn(ENGINE_LOG, "%s merge of %u segments dropped: %s", e->name, j->n,
                    qd_err_reason(err));
    }
    qd_merge_result_fini(&j->result);
    for (uint32_t i = 0; i < j->n; i++) {
        qd_live_unref(j->live[i]);
        qd_mutex_lock(&e->publish_lock);
        qd_assert(j->source[i]->merging && j->source[i]->refs > 0);
        j->source[i]->merging = false;
        qd_mutex_unlock(&e->publish_lock);
        qdi_engine_segment_drop(e, j->source[i]);
    }
    return rc;
}

/* --- in the background --------------------------------------------------------------------------
 */

typedef struct merge_work {
    qd_work work; /* first */
    merge_job job;
} merge_work;

static void merge_ended(qd_engine *e)
{
    qd_mutex_lock(&e->merge_lock);
    qd_assert(e->merges_running > 0);
    e->merges_running--;
    qd_cond_broadcast(&e->merge_wake);
    qd_mutex_unlock(&e->merge_lock);
}

static void run_work(qd_work *work)
{
    merge_work *w = (merge_work *)(void *)work;
    qd_engine *e = w->job.e;
    qd_err err;
    qd_err_init(&err);
    int rc = run(&w->job, &err);
    qd_err_fini(&err);
    qd_free(w);
    /* one merge may make room for the next; after a failure wait for the next refresh */
    if (!rc) qdi_engine_merge_kick(e);
    merge_ended(e); /* last: the engine may be gone after this */
}

void qdi_engine_merge_kick(qd_engine *e)
{
    int rc;
    if (!e->merge_pool || atomic_load(&e->stop_merges) || atomic_load(&e->failed)) return;
    qd_mutex_lock(&e->merge_lock);
    /* the kick at the end of a merge counts itself as running */
    bool room = !e->merges_held && e->merges_running < qdi_engine_settings(e).merges_max + 1;
    if (room) e->merges_running++;
    qd_mutex_unlock(&e->merge_lock);
    if (!room) return;
    merge_work *w = qd_calloc(e->account, sizeof *w);
    if (w && choose(e, pick_natural, NULL, &w->job, NULL, &rc)) {
        w->work.run = run_work;
        if (!qd_pool_submit_forced(e->merge_pool, &w->work, NULL)) return;
        for (uint32_t i = 0; i < w->job.n; i++) {
            qd_live_unref(w->job.live[i]);
            qd_mutex_lock(&e->publish_lock);
            w->job.source[i]->merging = false;
            qd_mutex_unlock(&e->publish_lock);
            qdi_engine_segment_drop(e, w->job.source[i]);
        }
    }
    qd_free(w);
    merge_ended(e);
}

void qdi_engine_merges_wait(qd_engine *e)
{
    qd_mutex_lock(&e->merge_lock);
    while (e->merges_running) qd_cond_wait(&e->merge_wake, &e->merge_lock);
    qd_mutex_unlock(&e->merge_lock);
}

/* Until those under way have ended, which under load begin one after the other. */
static void merges_pause(qd_engine *e)
{
    qd_mutex_lock(&e->merge_lock);
    e->merges_held++;
    while (e->merges_running) qd_cond_wait(&e->merge_wake, &e->merge_lock);
    qd_assert(e->merges_held > 0);
    e->merges_held--;
    qd_mutex_unlock(&e->merge_lock);
}

void qd_engine_merges_stop(qd_engine *e)
{
    atomic_store(&e->stop_merges, true);
}

int qd_engine_merge_step(qd_engine *e, bool *did, qd_err *err)
{
    merge_job j;
    int rc;
    *did = choose(e, pick_natural, NULL, &j, err, &rc);
    return *did ? run(&j, err) : rc;
}

int qd_engine_force_merge(qd_engine *e, uint32_t max_segments, bool only_deletes, qd_task *task,
                          qd_err *err)
{
    forced f = {max_segments ? max_segments : 1, only_deletes, false, 0};
    int rc = qd_engine_refresh_start(e, NULL, err);
    f.below = atomic_load(&e->next_unit);
    merges_pause(e);
    while (!rc) {
        merge_job j;
        if (task && (rc = qd_task_check(task, err))) break;
        if ((rc = qdi_engine_alive(e, err))) break;
        if (atomic_load(&e->stop_merges)) {
            rc = qd_err_set(err, QD_E_CANCELLED, "%s is closing", e->name);
            break;
        }
        if (!choose(e, pick_forced, &f, &j, err, &rc)) {
            if (f.nomem && !rc) rc = qd_err_nomem(err, "merge candidates");
            break;
        }
        j.task = task;
        rc = run(&j, err);
    }
    return rc;
}
