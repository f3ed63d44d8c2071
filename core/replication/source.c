/* source.c: the primary's side of a recovery, and its files. See docs/replication.md. */
#include "replication/mutants.h"
#include "replication/repl_int.h"
#include <stdio.h>

#define PLAIN_NS 30000000000ull
#define FILES_ROUNDS 3u /* then a target is not asked any more to show what is newest at once */

static void refuse(repl_reply *a, const char *why)
{
    a->verdict = REPL_FAILED;
    snprintf(a->why, sizeof a->why, "%s", why);
}

/* Peer recovery leases are named by the copy. */
static int retain(repl_shard *g, qd_engine *e, const char *aid, int64_t from, qd_err *err)
{
    char id[QD_LEASE_ID_MAX];
    int n = snprintf(id, sizeof id, "peer_recovery/%s", aid);
    qd_assert(n > 0 && (size_t)n < sizeof id);
    return qd_engine_lease_set(e, (qd_str){id, (size_t)n}, from, qd_env_wall_ms(g->r->env), err);
}

/* --- retention of what copies may still need -------------------------------------------------- */

typedef struct kept {
    char aid[REPL_PEERS_MAX][REPL_AID];
    int64_t from[REPL_PEERS_MAX]; /* -1: it is being filled, its recovery says what it needs */
    uint32_t n;
    bool leading;
    bool whole; /* every place of the record has a started copy: nobody is expected back */
} kept;

static void kept_get(repl_shard *g, kept *k)
{
    *k = (kept){.whole = true};
    qd_mutex_lock(&g->lock);
    k->leading = g->leading;
    for (uint32_t i = 0; i < g->pm.top && g->leading; i++) {
        const repl_peer *c = &g->pm.peer[i];
        if (!c->id) continue;
        memcpy(k->aid[k->n], c->aid, REPL_AID);
        int64_t has = c->persisted < g->pm.global ? c->persisted : g->pm.global;
        qd_assert(k->n < REPL_PEERS_MAX && has >= -1);
        k->from[k->n++] = c->counts && c->synced ? has + 1 : -1;
    }
    uint32_t assigned = 0;
    for (uint32_t i = 0; i < g->nplaces; i++) {
        assigned += g->place[i].c.assigned;
        k->whole &= g->place[i].c.started;
    }
    /* who is not the primary has leases of when it was, and knows less of who is there */
    k->whole &= assigned == g->copies_wanted && g->leading;
    qd_mutex_unlock(&g->lock);
}

static bool kept_has(const kept *k, const char *aid)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (strcmp(k->aid[i], aid) == 0) return true;
    }
    return false;
}

/* Leases of copies that are not there: until everybody is, or for
 * index.soft_deletes.retention_lease.period. Those of a former primary, which nobody renews, for
 * that time: if it becomes the primary again, copies that are away may still be back by them. */
static void leases_end(repl_shard *g, qd_engine *e, const kept *k)
{
    static const char prefix[] = "peer_recovery/";
    uint32_t n = qd_engine_leases(e, NULL, 0);
    qd_engine_lease *lease = n > k->n ? qd_calloc(NULL, n * sizeof *lease) : NULL;
    int64_t now = qd_env_wall_ms(g->r->env);
    uint32_t have = lease ? qd_engine_leases(e, lease, n) : 0;
    for (uint32_t i = 0; i < n && i < have; i++) {
        if (strncmp(lease[i].id, prefix, sizeof prefix - 1) != 0) continue;
        qd_assert(k->leading || k->n == 0);
        if (kept_has(k, lease[i].id + sizeof prefix - 1)) continue;
        if (k->whole || lease[i].renewed_ms < now - atomic_load(&g->away_ms)) {
            qd_engine_lease_remove(e, qd_str_c(lease[i].id));
        }
    }
    qd_free(lease);
}

void repl_retention(repl_shard *g)
{
    qd_shard *s;
    qd_engine *e;
    kept k;
    if (repl_enter(g, &s, &e, NULL)) return;
    kept_get(g, &k);
    for (uint32_t i = 0; i < k.n; i++) {
        if (k.from[i] >= 0 && retain(g, e, k.aid[i], k.from[i], NULL)) break;
    }
    leases_end(g, e, &k);
    repl_leave(s);
}

static bool is_primary(repl_shard *g, const repl_request *q, repl_reply *a)
{
    qd_mutex_lock(&g->lock);
    a->term = g->leading ? g->pm.term : g->cm.term;
    bool mine = g->leading && g->pm.phase == REPL_ACTIVE && q->term <= g->pm.term;
    qd_mutex_unlock(&g->lock);
    if (!mine) refuse(a, "its source is not the primary, or not yet");
    return mine;
}

static void progress_now(repl_shard *g, qd_engine *e)
{
    int64_t persisted, max;
    repl_checkpoints(g, e, &persisted, &max);
    repl_primary_progress(&g->pm, persisted, max, repl_now(g));
}

/* --- copies that come back with less --------------------------------------------------------- */

void repl_source_nodes(repl_shard *g)
{
    for (uint32_t i = 0; i < g->nplaces && g->leading; i++) {
        const repl_peer *c = repl_primary_find(&g->pm, g->place[i].c.aid);
        qd_assert(!c || (g->others && g->pm.peer == g->others->peer));
        if (c) memcpy(g->others->node[c - g->pm.peer], g->place[i].node, sizeof g->place[i].node);
    }
}

void repl_source_gone(repl_shard *g, const repl_peer *c)
{
    repl_source_nodes(g);
    qd_assert(c >= g->pm.peer && c < g->pm.peer + g->pm.top);
    char *node = g->others->node[c - g->pm.peer];
    if (c->counts && c->synced && *node) {
        repl_gone *x = &g->others->gone[g->others->gone_next++ % REPL_PEERS_MAX];
        *x = (repl_gone){.term = g->pm.term, .persisted = c->persisted};
        memcpy(x->node, node, sizeof x->node);
    }
    *node = 0;
}

/* A copy comes back with less than it had said is on its disk: its folder is an older one, or the
 * disk lost what it had synced. Nothing is lost by that, as it is filled before it counts; but
 * somebody should know. What counts is the end of its log: at its opening it is set back to the
 * checkpoint that it knew, which is behind that. With durability async a copy says more than its
 * disk has. */
static void returned(repl_shard *g, const repl_request *q)
{
    char node[64] = "";
    int64_t told = -1;
    qd_mutex_lock(&g->lock);
    for (uint32_t i = 0; i < g->nplaces; i++) {
        if (strcmp(g->place[i].c.aid, q->by) == 0) memcpy(node, g->place[i].node, sizeof node);
    }
    for (uint32_t i = 0; g->others && i < REPL_PEERS_MAX && *node; i++) {
        repl_gone *x = &g->others->gone[i];
        if (x->term != g->pm.term || strcmp(x->node, node) != 0) continue;
        if (x->persisted > told) told = x->persisted;
        *x = (repl_gone){0}; /* what it does from now on is another matter */
    }
    bool sure = !g->async && !g->unsynced;
    qd_mutex_unlock(&g->lock);
    int64_t has = q->number ? (int64_t)q->number - 1 : q->persisted;
    if (!sure || has < 0 || has >= told) return;
    char name[128];
    repl_node_name(g->r, node, name, sizeof name);
    qd_log_warn(
        REPL_LOG,
        "%s the copy on node [%s] came back with operations up to [%lld], and had said that "
        "all up to [%lld] are on its disk: its data folder was put back as it was earlier, "
        "or its disk lost what it had synced. Nothing is lost: it is filled by this primary "
        "before it counts. If nobody put it back, do not trust that disk",
        g->name, name, (long long)has, (long long)told);
}

/* What is retained for the target from now on, and whether operations suffice. */
static void hello(repl_shard *g, qd_engine *e, const repl_request *q, repl_reply *a, qd_err *err)
{
    char theirs[QD_UUID_TEXT], ours[QD_UUID_TEXT];
    qd_engine_checkpoints at;
    bool assigned = false;
    qd_mutex_lock(&g->lock);
    repl_peer *c = repl_primary_find(&g->pm, q->by);
    if (c) repl_primary_fail(&g->pm, c->id, "it recovers anew", repl_now(g));
    for (uint32_t i = 0; i < g->nplaces; i++) {
        assigned |= g->place[i].c.assigned && strcmp(g->place[i].c.aid, q->by) == 0;
    }
    repl_unlock(g);
    if (c || !assigned) {
        refuse(a,
               c ? "its attempt before is being ended" : "the source does not know this copy yet");
        return;
    }
    returned(g, q);
    if (retain(g, e, q->by, q->first, err)) return;
    qd_uuid_text(q->history, theirs);
    qd_engine_history(e, a->history);
    qd_uuid_text(a->history, ours);
    qd_engine_checkpoints_get(e, &at);
    bool by_ops =
        repl_recovery_by_ops(theirs, ours, q->first, qd_engine_ops_from(e), at.max_seq_no);
    if (by_ops) a->flags |= REPL_BY_OPS;
    a->max = at.max_seq_no;
    a->verdict = REPL_OK;
}

/* From now on the target receives what is written; and only then the list of files is made. */
static void track(repl_shard *g, qd_engine *e, const repl_request *q, repl_reply *a,
                  qd_writer *tail, qd_err *err)
{
    qd_publication *p = NULL;
    qd_engine_checkpoints at;
    qd_mutex_lock(&g->lock);
    bool first = !g->replicated;
    bool waits = !QD_MUTANT(repl, PLAIN_BESIDE_TRACKED);
    g->first_writer++;
    g->replicated = true;
    qd_mutex_unlock(&g->lock);
    if (first) qd_engine_replicated_set(e, true);
    /* those who began to write when there was nobody to write for */
    uint64_t until = qd_env_mono_ns(g->r->env) + PLAIN_NS;
    qd_mutex_lock(&g->lock);
    while (g->plain && waits && qd_env_mono_ns(g->r->env) < until) {
        (void)qd_waitq_wait(&g->changed, until);
    }
    qd_assert(g->first_writer > 0 && g->replicated);
    g->first_writer--;
    progress_now(g, e);
    bool fit = g->leading && g->pm.term == q->term && !(g->plain && waits);
    repl_peer *c = fit ? repl_primary_track(&g->pm, q->by) : NULL;
    a->peer = c ? c->id : 0;
    repl_unlock(g);
    if (!a->peer) {
        refuse(a, "its source cannot take it");
        return;
    }
    int rc = 0;
    if (!(q->flags & REPL_BY_OPS)) {
        rc = qd_engine_publication(e, &p, err);
        if (!rc) rc = retain(g, e, q->by, p->max_seq_no + 1, err);
        if (!rc) rc = qd_publication_encode(p, &tail->buf, err);
        if (!rc) {
            repl_hold_put(g, p);
        } else {
            qd_publication_unref(p);
        }
    }
    qd_engine_checkpoints_get(e, &at);
    a->max = at.max_seq_no;
    if (!rc) a->verdict = REPL_OK;
}

static bool tracked(repl_shard *g, const repl_request *q, repl_reply *a)
{
    qd_mutex_lock(&g->lock);
    const repl_peer *c = repl_primary_peer(&g->pm, q->peer);
    bool is = g->leading && g->pm.term == q->term && c && strcmp(c->aid, q->by) == 0;
    qd_mutex_unlock(&g->lock);
    if (!is) refuse(a, "its source does not track it any more");
    return is;
}

static void pull(repl_shard *g, qd_engine *e, const repl_request *q, repl_reply *a, qd_writer *tail,
                 qd_err *err)
{
    qd_engine_ops *cursor;
    qd_engine_checkpoints at;
    uint32_t n = 0;
    int64_t last = -1;
    if (!tracked(g, q, a) || retain(g, e, q->by, q->first, err)) return;
    qd_engine_checkpoints_get(e, &at);
    a->max = at.processed;
    if (q->first > at.processed || QD_MUTANT(repl, SENT_NOTHING)) {
        a->verdict = REPL_OK;
        return;
    }
    if (qd_engine_ops_open(e, q->first, at.processed, &cursor, err)) return;
    int rc = qd_engine_ops_next(cursor, REPL_OPS_BYTES, &tail->buf, &n, &last, err);
    qd_engine_ops_close(cursor);
    if (rc) return;
    qd_assert(!n || last <= at.processed); /* nothing that is not applied here */
    if (n && last < at.processed) a->flags |= REPL_MORE;
    a->verdict = REPL_OK;
}

/* A target whose files come slower than the shard is refreshed would never show the newest. After
 * some rounds it counts nevertheless, refreshes wait for it from then on, and it starts when it
 * shows what was published by then. */
static repl_final final_of(repl_shard *g, const repl_peer *c, const repl_request *q, uint64_t term,
                           uint64_t generation)
{
    if (!c) return REPL_FINAL_OPS;
    repl_follower *x = &g->others->follower[c - g->pm.peer];
    if (x->peer != c->id) *x = (repl_follower){.peer = c->id, .max_seq_no = -1};
    if (!c->started) { /* else what was sent to it says it */
        x->term = q->open_term;
        x->generation = q->open_generation;
        x->max_seq_no = q->max;
        qd_waitq_wake(&g->changed);
    }
    if (QD_MUTANT(repl, FINAL_UNASKED) || QD_MUTANT(repl, SENT_NOTHING)) return REPL_FINAL_ADMIT;
    if (c->counts) {
        bool shows = !x->bound || x->term > x->must_term ||
                     (x->term == x->must_term && x->generation >= x->must_generation);
        return shows ? REPL_FINAL_ADMIT : REPL_FINAL_FILES;
    }
    repl_final f = repl_recovery_final(q->persisted, g->pm.global, q->open_term, q->open_generation,
                                       term, generation);
    if (f == REPL_FINAL_FILES && x->rounds++ >= FILES_ROUNDS) f = REPL_FINAL_ADMIT;
    return f;
}

/* It counts: no refresh ends from now on that it does not show. Those before are in what is
 * published now. false: it has to show that first. */
static bool counted(repl_shard *g, qd_engine *e, uint64_t peer)
{
    uint64_t term, generation;
    int64_t max;
    bool shows = true;
    qd_engine_published(e, &term, &generation, &max);
    qd_mutex_lock(&g->lock);
    const repl_peer *c = repl_primary_peer(&g->pm, peer);
    repl_follower *x = c ? &g->others->follower[c - g->pm.peer] : NULL;
    if (x && x->peer == c->id && x->waits && !x->bound) {
        x->bound = true;
        x->must_term = term;
        x->must_generation = generation;
        shows = x->term > term || (x->term == term && x->generation >= generation);
    }
    repl_unlock(g);
    return shows;
}

/* It has everything, as far as it knows. */
static void finalize(repl_shard *g, qd_engine *e, const repl_request *q, repl_reply *a,
                     qd_writer *tail, qd_err *err)
{
    uint64_t term, generation;
    int64_t max;
    bool first = false;
    qd_publication *p = NULL;
    if (!tracked(g, q, a) || retain(g, e, q->by, q->persisted + 1, err)) return;
    qd_engine_published(e, &term, &generation, &max);
    qd_mutex_lock(&g->lock);
    progress_now(g, e);
    repl_peer *c = repl_primary_peer(&g->pm, q->peer);
    repl_final f = final_of(g, c, q, term, generation);
    if (c && f == REPL_FINAL_ADMIT) {
        repl_follower *x = &g->others->follower[c - g->pm.peer];
        first = !c->counts;
        qd_assert(x->peer == c->id); /* since final_of */
        if (first) {
            x->waits = true;
            x->bound = false;
        }
        int64_t has = QD_MUTANT(repl, FINAL_UNASKED) || QD_MUTANT(repl, SENT_NOTHING)
                          ? g->pm.persisted
                          : q->persisted;
        (void)repl_primary_admit(&g->pm, c->id, has, repl_now(g));
        c = repl_primary_peer(&g->pm, q->peer);
        if (c && c->in_sync && x->bound == x->waits) a->flags |= REPL_IN_SYNC;
    }
    a->global = g->pm.global;
    repl_unlock(g);
    if (first && !counted(g, e, q->peer)) f = REPL_FINAL_FILES;
    a->verdict = REPL_OK;
    if (f == REPL_FINAL_OPS) a->flags |= REPL_MORE;
    if (f != REPL_FINAL_FILES) return;
    int rc = qd_engine_publication(e, &p, err);
    if (!rc) rc = qd_publication_encode(p, &tail->buf, err);
    if (!rc) {
        repl_hold_put(g, p);
    } else {
        qd_publication_unref(p);
        a->verdict = REPL_FAILED;
    }
}

static void file(repl_shard *g, const repl_request *q, repl_reply *a, repl_piece *piece,
                 qd_err *err)
{
    repl_hold *h = NULL;
    size_t want =
        q->max > 0 && q->max < (int64_t)(4 * REPL_CHUNK_BYTES) ? (size_t)q->max : REPL_CHUNK_BYTES;
    size_t got = 0;
    qd_mutex_lock(&g->lock);
    for (uint32_t i = 0; i < REPL_HOLDS && !h; i++) {
        const qd_publication *p = g->hold[i].p;
        bool is = p && p->primary_term == q->open_term && p->generation == q->open_generation;
        if (is) h = &g->hold[i];
    }
    if (h) {
        h->users++;
        h->used_ns = qd_env_mono_ns(g->r->env);
    }
    qd_mutex_unlock(&g->lock);
    if (!h || q->part >= qd_publication_files(h->p) || q->first < 0) {
        refuse(a, "the publication is not kept any more");
    } else {
        int rc = qd_rpc_reply_room(piece->request, REPL_HEAD_MAX + want, &piece->room, err);
        if (!rc) {
            rc = qd_publication_read(h->p, q->part, (uint64_t)q->first, piece->room + REPL_HEAD_MAX,
                                     want, &got, err);
        }
        if (!rc) {
            qd_assert(got <= want);
            piece->n = got;
            a->verdict = REPL_OK;
        }
    }
    if (!h) return;
    qd_mutex_lock(&g->lock);
    qd_assert(h->users > 0 && h->p);
    h->users--;
    qd_mutex_unlock(&g->lock);
}

void repl_source(repl_shard *g, uint32_t action, const repl_request *q, repl_reply *a,
                 qd_writer *tail, repl_piece *piece)
{
    qd_shard *s;
    qd_engine *e;
    qd_err err;
    qd_err_init(&err);
    a->verdict = REPL_FAILED;
    int rc = repl_enter(g, &s, &e, &err);
    if (!rc) {
        if (action == QD_ACTION_RECOVERY_FILE) {
            file(g, q, a, piece, &err);
        } else if (is_primary(g, q, a)) {
            switch (action) {
            case QD_ACTION_RECOVERY_HELLO:
                hello(g, e, q, a, &err);
                break;
            case QD_ACTION_RECOVERY_TRACK:
                track(g, e, q, a, tail, &err);
                break;
            case QD_ACTION_RECOVERY_OPS:
                pull(g, e, q, a, tail, &err);
                break;
            default:
                finalize(g, e, q, a, tail, &err);
                break;
            }
        }
        repl_leave(s);
    }
    if (a->verdict != REPL_OK) {
        if (!a->why[0]) snprintf(a->why, sizeof a->why, "%s", qd_err_reason(&err));
        qd_buf_reset(&tail->buf);
    }
    qd_err_fini(&err);
}
