/*
 * allocator_round.c: from a state to committed changes of shards' records. Records are changed in
 * groups, one transaction each, every one of which is sound by itself: a conflict in one group
 * costs that group, and the next state brings it again.
 */
#include "base/log.h"
#include "base/str.h"
#include "cluster/allocation/allocator_int.h"
#include "cluster/mutants.h"
#include "cluster/permits.h"

#define GROUP_SHARDS 256u
#define BACKOFF_MS_MAX 60000
#define LEFT_EARLY_MS 10000

/* Changed records on their way. */
typedef struct group {
    qd_allocator *a;
    cluster_txn txn;
    uint32_t shards, committed, ops_max;
    size_t bytes_max;
    uint64_t revision; /* newest one committed or met */
    bool conflict;
} group;

static void group_init(group *g, qd_allocator *a)
{
    const qd_coord_info *limits = qd_coord_limits(a->c->store);
    *g = (group){.a = a,
                 .ops_max = limits->txn_ops_max / 2,
                 .bytes_max = (size_t)(limits->txn_bytes_max / 2)};
    qdi_txn_init(&g->txn);
}

static int group_commit(group *g, qd_err *err)
{
    uint64_t revision = 0;
    if (!g->shards) return 0;
    g->txn.fence = &g->a->fence;
    int rc = qdi_txn_commit(g->a->c, &g->txn, &revision, err);
    qdi_txn_fini(&g->txn);
    qdi_txn_init(&g->txn);
    if (revision > g->revision) g->revision = revision;
    if (!rc) g->committed += g->shards;
    g->shards = 0;
    if (rc != QD_E_CONFLICT) return rc;
    g->conflict = true;
    return 0;
}

static int group_add(group *g, const qd_index_meta *m, uint32_t number, const qd_shard_edit *e,
                     qd_err *err)
{
    qdi_txn_put_shard(&g->txn, m->uuid, number, e);
    g->shards++;
    bool full = g->shards >= GROUP_SHARDS || g->txn.bytes >= g->bytes_max ||
                g->txn.changes.n + g->txn.compares.n >= g->ops_max;
    return full ? group_commit(g, err) : 0;
}

/* Commits what is left and waits until this node has applied it all. */
static int group_end(group *g, int rc, uint32_t *n, qd_err *err)
{
    if (!rc) rc = group_commit(g, err);
    qdi_txn_fini(&g->txn);
    *n = g->committed;
    if (!rc && g->revision) rc = qd_cluster_wait(g->a->c, g->revision, g->a->c->timeout_ms, err);
    return !rc && g->conflict ? QD_E_CONFLICT : rc;
}

/* --- mending --------------------------------------------------------------------------------- */

typedef struct living {
    const qd_state *s;
    const qd_node_meta *self;
} living;

/* Own copies live as long as this process does, whatever became of its session. */
static bool lives(void *arg, const qd_copy *c)
{
    const living *l = arg;
    return QD_MUTANT(cluster, NODES_STAY) || qd_state_copy_lives(l->s, c) ||
           (qd_str_eq(c->node, l->self->id) && qd_str_eq(c->ephemeral, l->self->ephemeral));
}

/* Did a primary take the copy away because its node was going? */
static bool left_early(const qd_state *s, const qd_copy *c, int64_t now_ms)
{
    return !qd_copy_is_assigned(c) && c->reason == QD_UNASSIGNED_ALLOCATION_FAILED &&
           c->last_node.n && !qd_state_node(s, c->last_node) && now_ms >= c->since_ms &&
           now_ms - c->since_ms < LEFT_EARLY_MS;
}

static bool needs_mending(const living *l, const qd_shard_meta *s, uint32_t replicas,
                          int64_t now_ms)
{
    uint32_t places = 0;
    for (uint32_t i = 0; i < s->ncopies; i++) {
        const qd_copy *c = &s->copies[i];
        places += !qd_copy_is_target(c);
        if (i && left_early(l->s, c, now_ms)) return true;
        if (qd_copy_is_assigned(c) && !lives((void *)(uintptr_t)l, c)) return true;
    }
    uint32_t wanted = replicas < QD_COPIES_MAX / 2 ? replicas + 1 : QD_COPIES_MAX / 2;
    return places != wanted;
}

/* Nodes that said that they come back. */
typedef struct restarting {
    const qd_permit *list;
    uint32_t n;
} restarting;

/* Copies of nodes that left, or said that they come back. */
static void name_reasons(qd_shard_edit *e, const qd_state *s, const restarting *r, int64_t now_ms)
{
    for (uint32_t i = 0; i < e->s.ncopies; i++) {
        qd_copy *c = &e->copies[i];
        if (i && left_early(s, c, now_ms)) {
            c->reason = QD_UNASSIGNED_NODE_LEFT;
            c->failures = 0;
            e->changed = true;
        }
        if (c->reason != QD_UNASSIGNED_NODE_LEFT || qd_copy_is_assigned(c)) continue;
        const qd_permit *p = qd_permit_of(r->list, r->n, c->last_node);
        if (p && !p->remove) c->reason = QD_UNASSIGNED_NODE_RESTARTING;
    }
}

typedef struct mending {
    qd_allocator *a;
    const qd_state *s;
    living l;
    group g;
    qd_arena arena;
    restarting permits;
    int64_t now_ms;
    qd_err *err;
} mending;

static int mend_shard(mending *x, const qd_index_meta *m, uint32_t k, const qd_shard_meta *shard)
{
    qd_shard_edit e;
    if (!shard->ncopies || !needs_mending(&x->l, shard, m->replicas, x->now_ms)) return 0;
    int rc = qd_shard_edit_begin(&e, &x->arena, shard, x->now_ms);
    if (!rc) rc = qd_shard_edit_gone(&e, lives, &x->l, QD_UNASSIGNED_NODE_LEFT);
    if (!rc) name_reasons(&e, x->s, &x->permits, x->now_ms);
    if (!rc) rc = qd_shard_edit_replicas(&e, m->replicas);
    if (rc) return qd_err_nomem(x->err, "mending of shards");
    return e.changed ? group_add(&x->g, m, k, &e, x->err) : 0;
}

static int mend_index(void *arg, const qd_state_difference *d)
{
    int rc = 0;
    for (uint32_t k = 0; d->is && k < d->is->shards && !rc; k++)
        rc = mend_shard(arg, d->is, k, &d->is_shards[k]);
    return rc;
}

int qdi_allocator_mend(qd_allocator *a, const qd_state *s, uint32_t *n, qd_err *err)
{
    mending x = {.a = a, .s = s, .l = {s, &a->c->self}, .err = err};
    x.now_ms = qd_env_wall_ms(a->c->env);
    qd_arena_init(&x.arena, NULL, ALLOCATOR_ARENA_MAX);
    group_init(&x.g, a);
    if (qd_permits_read(s, x.now_ms, &x.arena, &x.permits.list, &x.permits.n, NULL))
        x.permits.n = 0;
    /* what is to be mended follows from the nodes and the records; of time none becomes so */
    bool same = a->mended && a->mended->nodes == s->nodes;
    int rc = qd_state_diff(same ? a->mended : NULL, s, mend_index, &x);
    rc = group_end(&x.g, rc, n, err);
    qd_arena_fini(&x.arena);
    if (!rc) {
        qd_state_unref(a->mended);
        a->mended = qd_state_ref(s);
    }
    if (*n) qd_log_info(CLUSTER_LOG, "%u shards lost copies whose node is gone, or places", *n);
    return rc;
}

/* --- decisions ------------------------------------------------------------------------------- */

typedef struct deciding {
    qd_allocator *a;
    const qd_state *s;
    const qd_alloc_view *view;
    qd_arena *arena;
    group g;
    qd_shard_edit e;  /* of the shard at hand */
    uint32_t shard;   /* NONE: of none */
    int64_t later_ms; /* wall clock of the next attempt that has to wait */
} deciding;

/* After failures in a row an attempt waits, a second at first and a minute at most. */
static bool must_wait(deciding *d, const qd_alloc_shard *s, uint32_t copy)
{
    const qd_alloc_unassigned *u = &s->copies[copy].info;
    /* a replica that its primary failed may be of a node about to be known as gone */
    uint32_t free = copy ? 0 : 1;
    if (u->why != QD_ALLOC_WHY_ALLOCATION_FAILED || u->failures <= free) return false;
    uint32_t shift = u->failures - free - 1 < 6 ? u->failures - free - 1 : 6;
    int64_t wait = (int64_t)1000 << shift;
    int64_t due = u->at_ms + (wait < BACKOFF_MS_MAX ? wait : BACKOFF_MS_MAX);
    if (due <= d->view->now_ms || due > d->view->now_ms + BACKOFF_MS_MAX) return false;
    if (due < d->later_ms) d->later_ms = due;
    return true;
}

/* One decision as a step of the record. QD_E_CONFLICT: the record does not allow it, or it is to be
 * tried later. */
static int decide(deciding *d, const qd_alloc_decision *x)
{
    bool assigns = x->action == QD_ALLOC_ASSIGN_PRIMARY || x->action == QD_ALLOC_ASSIGN_REPLICA;
    if (assigns && must_wait(d, &d->view->shards[x->shard], x->copy)) return QD_E_CONFLICT;
    return qdi_decision_step(d->a->c->env, d->s, d->view, d->arena, &d->e, x);
}

static int put_shard(deciding *d, qd_err *err)
{
    if (d->shard == QD_ALLOC_NONE || !d->e.changed) return 0;
    const qd_alloc_shard *s = &d->view->shards[d->shard];
    return group_add(&d->g, d->s->indices[s->index], s->number, &d->e, err);
}

static int apply(deciding *d, const qd_alloc_result *r, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < r->n && !rc; i++) {
        const qd_alloc_decision *x = &r->decisions[i];
        if (x->shard >= d->view->nshards) continue;
        if (x->shard != d->shard) {
            rc = put_shard(d, err);
            d->shard = x->shard;
            const qd_alloc_shard *s = &d->view->shards[x->shard];
            if (!rc && qd_shard_edit_begin(&d->e, d->arena, &d->s->shards[s->index][s->number],
                                           d->view->now_ms)) {
                rc = qd_err_nomem(err, "allocation");
            }
        }
        if (rc) break;
        int did = decide(d, x);
        if (did == QD_E_NOMEM) rc = qd_err_nomem(err, "allocation");
        if (!did) qd_log_debug(CLUSTER_LOG, "%.*s", QD_STR_ARG(x->reason));
    }
    return rc ? rc : put_shard(d, err);
}

static uint64_t mono_of(qd_allocator *a, int64_t wall_ms, int64_t now_ms)
{
    if (wall_ms == QD_ALLOC_NEVER) return UINT64_MAX;
    int64_t left = wall_ms > now_ms ? wall_ms - now_ms : 0;
    return qd_env_mono_ns(a->c->env) + (uint64_t)left * 1000000u + 1000000u;
}

int qdi_allocator_assign(qd_allocator *a, const qd_state *s, const qd_alloc_view *view,
                         qd_arena *arena, uint32_t *n, uint64_t *took_ns, qd_err *err)
{
    qd_alloc_result result;
    *n = 0;
    uint64_t begun = qd_env_mono_ns(a->c->env);
    int rc = qd_allocation_round(view, arena, &result, err);
    *took_ns += qd_env_mono_ns(a->c->env) - begun;
    if (!rc) {
        deciding d = {.a = a,
                      .s = s,
                      .view = view,
                      .arena = arena,
                      .shard = QD_ALLOC_NONE,
                      .later_ms = result.again_ms};
        group_init(&d.g, a);
        rc = group_end(&d.g, apply(&d, &result, err), n, err);
        a->again_ns = mono_of(a, d.later_ms, view->now_ms);
    }
    return rc;
}
