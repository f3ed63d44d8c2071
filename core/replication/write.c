/* write.c: writes, realtime reads and refreshes on a primary. See replication.h. */
#include "engine/pair.h"
#include "replication/mutants.h"
#include "replication/repl_int.h"
#include "runtime/fiber.h"
#include "runtime/point.h"
#include <stdio.h>

#define COMMIT_MS 120000 /* a write whose copies and record do not answer: unknown */
#define IN_FLIGHT_MAX ((uint64_t)256 << 20)

static uint64_t until_of(const qd_replication *r, int64_t timeout_ms)
{
    if (timeout_ms < 0) timeout_ms = 0;
    return qd_env_mono_ns(r->env) + (uint64_t)timeout_ms * 1000000u;
}

static int not_primary(const repl_shard *g, qd_err *err)
{
    return qd_err_set(err, QD_E_NOT_PRIMARY, "%s this copy is not the primary%s%s", g->name,
                      g->record_primary[0] ? ", the record names " : "", g->record_primary);
}

static uint32_t active_copies(const repl_shard *g)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->nplaces; i++) n += g->place[i].c.started;
    return n;
}

/* --- bytes under way to copies --- */

void repl_flight_begins(qd_replication *r, uint64_t n)
{
    atomic_fetch_add(&r->in_flight, n);
}

void repl_flight_wake(qd_replication *r)
{
    qd_mutex_lock(&r->room_lock);
    qd_waitq_wake(&r->room);
    qd_mutex_unlock(&r->room_lock);
}

void repl_flight_ends(qd_replication *r, uint64_t n)
{
    uint64_t before = atomic_fetch_sub(&r->in_flight, n);
    qd_assert(before >= n);
    if (before > IN_FLIGHT_MAX && before - n <= IN_FLIGHT_MAX) repl_flight_wake(r);
}

/* Waits for room, or for the end of this node; the shard is looked at anew afterwards. */
static int flight_wait(qd_replication *r, uint64_t until)
{
    int rc = 0;
    qd_mutex_lock(&r->room_lock);
    while (!rc && atomic_load(&r->in_flight) > IN_FLIGHT_MAX && !atomic_load(&r->closing))
        rc = qd_waitq_wait_task(&r->room, until);
    qd_mutex_unlock(&r->room_lock);
    return rc;
}

/* --- entering --- */

#define WAIT 1      /* for a change of the shard */
#define WAIT_ROOM 2 /* for others' operations to be confirmed */

/* May the request go on? 0, an error, or what to wait for. Under the lock. */
static int look(repl_shard *g, const qd_write_target *t, int64_t active, bool write, qd_err *err)
{
    bool mine = strcmp(g->record_primary, g->aid) == 0;
    if (!g->engine || g->r->closing) {
        return qd_err_set(err, QD_E_NO_SHARD, "%s is being closed", g->name);
    }
    if ((t->allocation_id.n && !qd_str_is(t->allocation_id, g->aid)) ||
        (!mine && !g->leading && g->record_primary[0])) {
        return not_primary(g, err);
    }
    if (t->primary_term && g->leading && g->pm.phase != REPL_FENCED &&
        g->pm.term > t->primary_term) {
        return not_primary(g, err);
    }
    if (!g->leading) return WAIT;
    if (g->pm.phase == REPL_FENCED)
        return mine && g->record_term > g->pm.term ? WAIT : not_primary(g, err);
    if (g->pm.phase != REPL_ACTIVE && (write || g->pm.phase != REPL_DRAINING)) return WAIT;
    if (write && active > 0 && active_copies(g) < (uint64_t)active) return WAIT;
    if (write && atomic_load(&g->r->in_flight) > IN_FLIGHT_MAX) return WAIT_ROOM;
    return 0;
}

static int timed_out(repl_shard *g, int64_t active, bool write, int64_t timeout_ms, qd_err *err)
{
    qd_mutex_lock(&g->lock);
    bool ready = g->leading && g->pm.phase == REPL_ACTIVE;
    uint32_t have = active_copies(g);
    qd_mutex_unlock(&g->lock);
    if (ready && active > 0 && have < (uint64_t)active) {
        return qd_err_set(
            err, QD_E_UNAVAILABLE_SHARDS,
            "%s Not enough active copies to meet shard count of [%lld] (have %u, needed "
            "%lld). Timeout: [%lldms]",
            g->name, (long long)active, have, (long long)active, (long long)timeout_ms);
    }
    return qd_err_set(err, write ? QD_E_UNAVAILABLE_SHARDS : QD_E_NO_SHARD,
                      "%s primary shard is not active Timeout: [%lldms]", g->name,
                      (long long)timeout_ms);
}

static int wait_ready(repl_shard *g, const qd_write_target *t, int64_t active, bool write,
                      uint64_t until, int64_t timeout_ms, bool *encode, qd_err *err)
{
    int rc, stopped = 0;
    qd_mutex_lock(&g->lock);
    for (;;) {
        rc = look(g, t, active, write, err);
        if (rc <= 0 || stopped || qd_env_mono_ns(g->r->env) >= until) break;
        if (rc == WAIT_ROOM) {
            qd_mutex_unlock(&g->lock);
            stopped = flight_wait(g->r, until);
            qd_mutex_lock(&g->lock);
        } else {
            stopped = qd_waitq_wait_task(&g->changed, until);
        }
    }
    if (!rc && write) {
        g->pm.writers = ++g->writers;
        *encode = (g->replicated && !QD_MUTANT(repl, PLAIN_BESIDE_TRACKED)) || g->pm.top;
        g->plain += !*encode;
        qd_assert(g->plain <= g->writers);
        qd_assert(g->leading && g->pm.phase == REPL_ACTIVE); /* nobody else lets writes in */
    }
    qd_mutex_unlock(&g->lock);
    if (rc <= 0) return rc;
    rc = qd_task_check(qd_fiber_task(), err);
    return rc ? rc : timed_out(g, active, write, timeout_ms, err);
}

static void writer_ends(repl_shard *g, bool encode)
{
    qd_mutex_lock(&g->lock);
    qd_assert(g->writers > 0 && (encode || g->plain > 0));
    g->pm.writers = --g->writers;
    if (!encode && --g->plain == 0) qd_waitq_wake(&g->changed);
    if (!g->writers) {
        qd_waitq_wake(&g->changed);
        repl_relocate_look(g);
    }
    repl_unlock(g);
}

static repl_shard *find(qd_replication *r, const qd_write_target *t, uint64_t until, qd_err *err,
                        int *rc)
{
    *rc = 0;
    for (;;) {
        repl_shard *g = repl_get(r, t->uuid, t->shard);
        if (g) return g;
        qd_shard *s = qd_shards_get(r->shards, t->uuid, t->shard);
        if (!s) {
            *rc = qd_err_set(err, QD_E_NOT_PRIMARY, "[%s][%u] no copy is held by this node",
                             t->uuid, t->shard);
            return NULL;
        }
        /* it is being opened, or failed: the gate tells */
        uint64_t now = qd_env_mono_ns(r->env);
        qd_engine *e;
        *rc = qd_shard_enter(s, now < until ? (int64_t)((until - now) / 1000000u) : 0, &e, err);
        if (!*rc) qd_shard_leave(s);
        qd_shard_unref(s);
        if (*rc) return NULL;
        g = repl_get(r, t->uuid, t->shard);
        if (g) return g;
        if (qd_env_mono_ns(r->env) >= until) {
            *rc = qd_err_set(err, QD_E_NO_SHARD, "[%s][%u] is not open", t->uuid, t->shard);
            return NULL;
        }
        qd_env_sleep_ns(r->env, 1000000);
    }
}

static int enter(qd_replication *r, const qd_write_target *t, int64_t active, bool write,
                 int64_t timeout_ms, qd_permit *out, qd_err *err)
{
    uint64_t until = until_of(r, timeout_ms);
    for (;;) {
        int rc;
        repl_shard *g = find(r, t, until, err, &rc);
        if (!g) return rc;
        bool encode = false;
        rc = wait_ready(g, t, active, write, until, timeout_ms, &encode, err);
        if (rc) {
            repl_unref(g);
            return rc;
        }
        *out = (qd_permit){.r = r, .group = g, .write = write, .encode = encode};
        rc = repl_enter(g, &out->shard, &out->engine, err);
        if (!rc) {
            qd_mutex_lock(&g->lock);
            out->primary_term = g->pm.term;
            qd_mutex_unlock(&g->lock);
            if (write) QD_POINT("replication.entered");
            return 0;
        }
        if (write) writer_ends(g, encode);
        repl_unref(g);
        if (rc != QD_E_NO_SHARD || qd_env_mono_ns(r->env) >= until) return rc;
        if (err) qd_err_fini(err);
        qd_env_sleep_ns(r->env, 1000000); /* opened again meanwhile */
    }
}

int qd_replication_enter(qd_replication *r, const qd_write_target *target, int64_t active,
                         int64_t timeout_ms, qd_permit *out, qd_err *err)
{
    return enter(r, target, active, true, timeout_ms, out, err);
}

int qd_replication_enter_read(qd_replication *r, const qd_write_target *target, int64_t timeout_ms,
                              qd_permit *out, qd_err *err)
{
    return enter(r, target, 0, false, timeout_ms, out, err);
}

void qd_replication_leave(qd_permit *p)
{
    if (!p->group) return;
    repl_leave(p->shard);
    if (p->write) writer_ends(p->group, p->encode);
    repl_unref(p->group);
    *p = (qd_permit){0};
}

/* --- batches ---------------------------------------------------------------------------------- */

qd_account *qd_replication_account(qd_replication *r)
{
    return &r->account;
}

void qd_replication_ship(qd_permit *p, qd_buf *encoded, int64_t min, int64_t max,
                         const qd_translog_location *at, qd_commit *c)
{
    repl_shard *g = p->group;
    *c = (qd_commit){.permit = p, .last = *at};
    QD_POINT("replication.ship");
    qd_assert(p->write);
    if (!p->encode || max < min) return;
    repl_shipment *s = qd_calloc(NULL, sizeof *s);
    if (!s) {
        c->rc = QD_E_WRITE_UNKNOWN;
        return;
    }
    atomic_store(&s->refs, 1);
    if (encoded->failed || encoded->n > REPL_TAIL_MAX) {
        /* found as a gap and sent later, but this batch cannot be acknowledged */
        qd_free(s);
        c->rc = QD_E_WRITE_UNKNOWN;
        return;
    }
    s->ops = *encoded;
    qd_buf_init(encoded, s->ops.account, s->ops.max);
    c->shipment = s;
    qd_latch_init(&s->over, 1);
    qd_mutex_lock(&g->lock);
    if (g->leading && g->pm.term == p->primary_term) {
        repl_primary_batch(&g->pm, &s->b, min, max);
    } else { /* applied by a primary that is none any more */
        s->b.done = true;
        s->b.rc = QD_MUTANT(repl, DEPOSED_IS_OK) ? 0 : QD_E_WRITE_UNKNOWN;
        qd_latch_done(&s->over, 0);
    }
    repl_unlock(g);
}

static void counts_of(repl_shard *g, const repl_shipment *s, qd_write_counts *out)
{
    qd_mutex_lock(&g->lock);
    uint32_t total = 0;
    for (uint32_t i = 0; i < g->nplaces; i++) total += g->place[i].c.assigned;
    qd_mutex_unlock(&g->lock);
    out->successful = s ? s->b.successful : 1;
    out->failed = s ? s->b.failed : 0;
    out->total = out->successful + out->failed > total ? out->successful + out->failed : total;
}

void repl_commits_end(repl_shard *g, uint64_t mono_ns)
{
    repl_batch *next;
    for (repl_batch *b = g->pm.first; b; b = next) {
        repl_shipment *s = (repl_shipment *)(void *)b;
        next = b->next;
        if (!s->until_ns || s->until_ns > mono_ns) continue;
        qd_assert(!b->done);
        repl_primary_batch_forget(&g->pm, b);
        qd_latch_done(&s->over, 0);
    }
}

/* Waits for the copies, on a fiber without its worker; the batch is not the machine's any more
 * afterwards. */
static int commit_wait(repl_shard *g, repl_shipment *s, int rc, qd_engine *e, qd_err *err)
{
    int64_t persisted = -1, max = -1;
    if (!rc) repl_checkpoints(g, e, &persisted, &max);
    qd_mutex_lock(&g->lock);
    s->until_ns = until_of(g->r, COMMIT_MS);
    repl_primary_local(&g->pm, &s->b, rc, persisted, max, repl_now(g));
    repl_relocate_look(g);
    if (atomic_load(&g->r->closing)) repl_commits_end(g, UINT64_MAX);
    repl_unlock(g);
    (void)qd_latch_wait(&s->over);
    int result = s->b.rc;
    qd_invariant(s->b.done);
    qd_invariant(rc || result || s->b.local); /* acknowledged: it is durable here */
    qd_invariant(rc || result || !s->b.waiting);
    if (rc || !result || QD_MUTANT(repl, UNKNOWN_IS_OK)) return rc;
    return qd_err_set(err, QD_E_WRITE_UNKNOWN,
                      "%s the primary was replaced, or its copies and the cluster state did not "
                      "answer, before the write was acknowledged: it may be there or not",
                      g->name);
}

int qd_replication_commit(qd_commit *c, qd_write_counts *counts, qd_err *err)
{
    repl_shard *g = c->permit->group;
    int rc = 0;
    bool async = qd_engine_durability(c->permit->engine) == QD_DURABILITY_ASYNC;
    if (!QD_MUTANT(repl, COMMIT_UNSYNCED)) rc = qd_engine_sync(c->permit->engine, &c->last, err);
    qd_pair("write.ends", rc || async || qd_engine_reached(c->permit->engine, &c->last));
    if (c->shipment) rc = commit_wait(g, c->shipment, rc, c->permit->engine, err);
    if (!rc && c->rc) {
        rc =
            qd_err_set(err, c->rc, "%s not enough memory to send the write to its copies", g->name);
    }
    if (counts) counts_of(g, c->shipment, counts);
    repl_shipment_unref(c->shipment);
    c->shipment = NULL;
    return rc;
}

/* --- reads ------------------------------------------------------------------------------------ */

int qd_replication_confirm(qd_permit *p, int64_t seq_no, int64_t timeout_ms, qd_err *err)
{
    repl_shard *g = p->group;
    repl_waiter w = {.done = false};
    uint64_t until = until_of(g->r, timeout_ms);
    qd_engine_checkpoints at;
    qd_mutex_lock(&g->lock);
    bool alone = g->leading && g->pm.term == p->primary_term && !g->pm.top && !g->replicated;
    qd_mutex_unlock(&g->lock);
    if (alone) return 0; /* nobody else could be primary; the engine has synced what it showed */
    qd_engine_checkpoints_get(p->engine, &at);
    if (seq_no < 0 && !QD_MUTANT(repl, NOT_FOUND_AT_ONCE)) seq_no = at.max_seq_no;
    qd_mutex_lock(&g->lock);
    uint64_t now = repl_now(g);
    if (!g->leading || g->pm.term != p->primary_term) {
        int rc = not_primary(g, err);
        qd_mutex_unlock(&g->lock);
        return rc;
    }
    repl_primary_read(&g->pm, &w.r, seq_no, now);
    repl_unlock(g);
    qd_mutex_lock(&g->lock);
    while (!w.done && qd_env_mono_ns(g->r->env) < until) {
        (void)qd_waitq_wait(&g->changed, until);
    }
    bool done = w.done;
    if (!done) repl_primary_read_forget(&g->pm, &w.r);
    qd_mutex_unlock(&g->lock);
    if (!done) {
        return qd_err_set(
            err, QD_E_TIMEOUT,
            "%s a copy did not confirm within [%lldms] that this primary is the newest", g->name,
            (long long)timeout_ms);
    }
    return w.r.rc ? not_primary(g, err) : 0;
}

/* --- refresh ---------------------------------------------------------------------------------- */

/* Does a refresh wait for the copy? It has started, or may as it shows what was published before.
 */
static bool follows(const repl_shard *g, const repl_peer *c)
{
    const repl_follower *x = &g->others->follower[c - g->pm.peer];
    return c->id && (c->started || (c->counts && x->peer == c->id && x->waits));
}

/* Do all copies that follow show seq_no? Counts those that have started. Under the lock. */
static bool all_show(repl_shard *g, int64_t seq_no, qd_write_counts *counts)
{
    bool all = true;
    *counts = (qd_write_counts){.total = 1, .successful = 1, .failed = counts->failed};
    for (uint32_t i = 0; i < g->pm.top; i++) {
        const repl_peer *c = &g->pm.peer[i];
        if (!follows(g, c)) continue;
        counts->total += c->started;
        bool shows =
            g->others->follower[i].peer == c->id && g->others->follower[i].max_seq_no >= seq_no;
        counts->successful += shows && c->started;
        all &= shows;
    }
    return all;
}

static int followers_wait(repl_shard *g, int64_t seq_no, qd_write_counts *counts, qd_err *err)
{
    uint64_t until = until_of(g->r, (int64_t)(REPL_LAG_MAX_NS / 1000000u));
    bool failed = false;
    qd_mutex_lock(&g->lock);
    while (!all_show(g, seq_no, counts) && g->leading && g->pm.phase != REPL_FENCED && g->engine) {
        uint64_t now = qd_env_mono_ns(g->r->env);
        if (now >= until && !failed) { /* no answer pretends */
            failed = true;
            for (uint32_t i = 0; i < g->pm.top; i++) {
                repl_peer *c = &g->pm.peer[i];
                if (!follows(g, c) || c->failing) continue;
                if (g->others->follower[i].peer == c->id &&
                    g->others->follower[i].max_seq_no >= seq_no)
                    continue;
                repl_primary_fail(&g->pm, c->id, "it does not show what is published for 30s",
                                  repl_now(g));
                counts->failed++;
            }
            repl_unlock(g);
            qd_mutex_lock(&g->lock);
            until = qd_env_mono_ns(g->r->env) + REPL_LAG_MAX_NS;
            continue;
        }
        if (now >= until) break;
        (void)qd_waitq_wait(&g->changed, until);
    }
    bool lost = !g->leading || g->pm.phase == REPL_FENCED || !g->engine;
    int rc = lost ? not_primary(g, err) : 0;
    qd_mutex_unlock(&g->lock);
    return rc;
}

/* A node that has not applied the state yet in which a copy has left may search that copy, which no
 * publication reaches any more. Nodes that give no sign of life are not waited for, as nowhere. */
static int left_wait(repl_shard *g, qd_err *err)
{
    qd_replication *r = g->r;
    qd_mutex_lock(&g->lock);
    uint64_t left = g->left_revision;
    qd_mutex_unlock(&g->lock);
    uint64_t all = atomic_load(&r->everywhere);
    if (left <= all || QD_MUTANT(repl, LEFT_IGNORED)) return 0;
    if (qd_cluster_wait_all(r->cluster, left, (int64_t)(REPL_LAG_MAX_NS / 1000000u))) {
        return qd_err_set(err, QD_E_TIMEOUT,
                          "%s a node has not applied within %us the cluster state in which a copy "
                          "of the shard left, and may search that copy, which shows no refresh",
                          g->name, (unsigned)(REPL_LAG_MAX_NS / 1000000000u));
    }
    while (all < left && !atomic_compare_exchange_weak(&r->everywhere, &all, left)) {}
    qd_assert(atomic_load(&r->everywhere) >= left);
    return 0;
}

typedef struct refresh_waited {
    qd_refresh_wait w; /* first */
    qd_latch l;
} refresh_waited;

static void waited(qd_refresh_wait *w, int rc)
{
    qd_latch_done(&((refresh_waited *)(void *)w)->l, rc);
}

static int refresh_here(qd_engine *e, int64_t seq_no, bool wait, bool *forced, qd_err *err)
{
    if (!wait) return qd_engine_refresh(e, err);
    refresh_waited w = {.w = {.seq_no = seq_no, .done = waited}};
    qd_latch_init(&w.l, 1);
    int rc = qd_engine_refresh_wait(e, &w.w, forced, err);
    if (rc) qd_latch_done(&w.l, rc);
    int end = qd_latch_wait(&w.l);
    return rc ? rc : end ? qd_err_set(err, end, "the shard was closed before its refresh") : 0;
}

int qd_replication_refresh(qd_replication *r, const qd_write_target *target, int64_t seq_no,
                           bool wait, bool *forced, qd_write_counts *counts, qd_err *err)
{
    qd_permit p;
    bool own = false;
    qd_write_counts none;
    if (!counts) counts = &none;
    if (!forced) forced = &own;
    *forced = !wait;
    *counts = (qd_write_counts){0};
    int rc = qd_replication_enter_read(r, target, 60000, &p, err);
    if (rc) return rc;
    qd_engine_checkpoints at;
    qd_engine_checkpoints_get(p.engine, &at);
    if (seq_no < 0 || seq_no > at.max_seq_no) seq_no = at.max_seq_no;
    rc = refresh_here(p.engine, seq_no, wait, forced, err);
    *counts = (qd_write_counts){.total = 1, .successful = !rc};
    qd_mutex_lock(&p.group->lock);
    bool alone = !p.group->pm.top;
    qd_mutex_unlock(&p.group->lock);
    if (!rc && !alone && !QD_MUTANT(repl, REFRESH_HERE_ONLY)) {
        repl_publish_queue(p.group);
        rc = followers_wait(p.group, seq_no, counts, err);
    }
    if (!rc) rc = left_wait(p.group, err);
    qd_replication_leave(&p);
    return rc;
}
