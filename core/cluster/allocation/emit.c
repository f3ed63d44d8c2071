/*
 * emit.c: of the plan, what can be done now: each step is allowed by all deciders in the world as
 * decided so far, throttling included.
 */
#include "cluster/allocation/allocation_int.h"

static qd_str node_name(const alloc_work *w, uint32_t n)
{
    const qd_alloc_node *x = &w->view->nodes[n];
    return x->name.n ? x->name : x->id;
}

static uint32_t source_of(const alloc_work *w, uint32_t g)
{
    uint32_t p = qdi_alloc_primary(w, w->shard_of[g]);
    if (p == QD_ALLOC_NONE) return QD_ALLOC_NONE;
    return w->now.from[p] != QD_ALLOC_NONE ? w->now.from[p] : w->now.node[p];
}

static void assign_primary(alloc_work *w, uint32_t g, uint32_t node, uint32_t holder)
{
    qd_alloc_decision *d;
    if (holder == QD_ALLOC_NONE) {
        d = qdi_alloc_decide(w, QD_ALLOC_ASSIGN_PRIMARY, g, node,
                             "a new shard; node [%.*s] holds least",
                             QD_STR_ARG(node_name(w, node)));
        d->source = QD_ALLOC_FROM_NOTHING;
    } else {
        d = qdi_alloc_decide(w, QD_ALLOC_ASSIGN_PRIMARY, g, node,
                             "node [%.*s] holds a copy that is in sync",
                             QD_STR_ARG(node_name(w, node)));
        d->source = QD_ALLOC_FROM_DISK;
        d->holder = holder;
    }
    qdi_alloc_put(w, &w->now, g, node);
    w->state[g] = QD_ALLOC_INITIALIZING;
    w->now.initial[node]++;
    w->unassigned--;
    w->unassigned_primaries--;
    w->initializing++;
}

static void assign_replica(alloc_work *w, uint32_t g, uint32_t node)
{
    qd_alloc_decision *d = qdi_alloc_decide(w, QD_ALLOC_ASSIGN_REPLICA, g, node,
                                            "a replica is missing; node [%.*s] is the best place",
                                            QD_STR_ARG(node_name(w, node)));
    d->source = QD_ALLOC_FROM_PEER;
    uint32_t source = source_of(w, g);
    qdi_alloc_put(w, &w->now, g, node);
    w->state[g] = QD_ALLOC_INITIALIZING;
    w->now.in[node]++;
    if (source != QD_ALLOC_NONE) w->now.out[source]++;
    w->unassigned--;
    w->initializing++;
}

void qdi_alloc_relocate(alloc_work *w, uint32_t g, uint32_t node, const char *what, qd_str why)
{
    uint32_t from = w->now.node[g], source = source_of(w, g);
    qd_alloc_decision *d = qdi_alloc_decide(
        w, QD_ALLOC_RELOCATE, g, node, "%s from [%.*s] to [%.*s]: %.*s", what,
        QD_STR_ARG(node_name(w, from)), QD_STR_ARG(node_name(w, node)), QD_STR_ARG(why));
    d->source = QD_ALLOC_FROM_PEER;
    qdi_alloc_take(w, &w->now, g);
    qdi_alloc_put(w, &w->now, g, node);
    w->now.from[g] = from;
    w->state[g] = QD_ALLOC_RELOCATING;
    w->now.in[node]++;
    if (source != QD_ALLOC_NONE) w->now.out[source]++;
    w->relocating++;
}

/* A place for a copy whose planned one is not free yet: what holds it may have to stay for long. */
static uint32_t other_place(alloc_work *w, uint32_t g, qd_alloc_verdict *v)
{
    const qd_alloc_shard *s = alloc_shard_of(w, g);
    double z = (double)s->size, l = w->view->indices[s->index].write_load, least = 0;
    uint32_t best = QD_ALLOC_NONE;
    *v = QD_ALLOC_NO;
    if (w->scans > ALLOC_SCANS_MAX) return best;
    w->scans += w->view->nnodes;
    for (uint32_t n = 0; n < w->view->nnodes; n++) {
        qd_alloc_verdict x = qdi_alloc_allowed(w, &w->now, g, n);
        double key = alloc_key(w, &w->now, n, z, l) + w->b * qdi_alloc_count(&w->now, s->index, n);
        if (x < *v || x == QD_ALLOC_NO || (x == *v && key >= least)) continue;
        *v = x;
        best = n;
        least = key;
    }
    return best;
}

static void emit_primary(alloc_work *w, uint32_t g)
{
    const qd_alloc_shard *s = alloc_shard_of(w, g);
    qd_alloc_verdict v = QD_ALLOC_NO;
    uint32_t holder = QD_ALLOC_NONE, node = w->plan.node[g];
    bool any = true;
    if (!s->fresh) {
        holder = qdi_alloc_holder(w, g, &v, &any);
        node = holder == QD_ALLOC_NONE ? QD_ALLOC_NONE : s->holders[holder].node;
    } else if (node != QD_ALLOC_NONE) {
        v = qdi_alloc_allowed(w, &w->now, g, node);
        if (v == QD_ALLOC_NO) node = other_place(w, g, &v);
    }
    if (v == QD_ALLOC_YES) {
        assign_primary(w, g, node, holder);
        return;
    }
    w->status[g] = !any                     ? QD_ALLOC_STATUS_NO_VALID_COPY
                   : v == QD_ALLOC_THROTTLE ? QD_ALLOC_STATUS_THROTTLED
                                            : QD_ALLOC_STATUS_NO;
}

static void emit_replica(alloc_work *w, uint32_t g)
{
    int64_t until;
    if (qdi_alloc_delayed(w, g, &until)) {
        w->status[g] = QD_ALLOC_STATUS_DELAYED;
        if (until < w->result->again_ms) w->result->again_ms = until;
        return;
    }
    uint32_t node = w->plan.node[g];
    w->status[g] = QD_ALLOC_STATUS_NO;
    if (!qdi_alloc_primary_active(w, w->shard_of[g])) {
        w->status[g] = QD_ALLOC_STATUS_NO_ATTEMPT;
        return;
    }
    qd_alloc_verdict v = QD_ALLOC_NO;
    if (node != QD_ALLOC_NONE) v = qdi_alloc_allowed(w, &w->now, g, node);
    if (v == QD_ALLOC_NO) node = other_place(w, g, &v);
    if (v == QD_ALLOC_YES)
        assign_replica(w, g, node);
    else if (v == QD_ALLOC_THROTTLE)
        w->status[g] = QD_ALLOC_STATUS_THROTTLED;
}

static void emit_must(alloc_work *w, const alloc_move *m)
{
    qd_str why;
    if (qdi_alloc_allowed(w, &w->now, m->g, m->node) != QD_ALLOC_YES) {
        w->result->moves++;
        return;
    }
    qdi_alloc_refusal(w, m->g, w->now.node[m->g], &why);
    qdi_alloc_relocate(w, m->g, m->node, "may not stay; moves", why);
}

static void emit_balance(alloc_work *w, const alloc_move *m)
{
    double gain = 0;
    if (qdi_alloc_rebalances(w, m->g) == QD_ALLOC_YES &&
        qdi_alloc_allowed(w, &w->now, m->g, m->node) == QD_ALLOC_YES &&
        (gain = qdi_alloc_gain(w, &w->now, m->g, m->node, NULL)) >= ALLOC_GAIN_MIN) {
        qd_str why = qd_arena_printf(w->arena, "balance, gains %.2f", gain);
        qdi_alloc_relocate(w, m->g, m->node, "moves", why);
        return;
    }
    w->result->moves++;
}

static void emit_moves(alloc_work *w, const alloc_moves *moves)
{
    for (int must = 1; must >= 0; must--)
        for (size_t i = 0; i < moves->n && !w->failed; i++) {
            if (moves->at[i].must != (bool)must) continue;
            if (must)
                emit_must(w, &moves->at[i]);
            else
                emit_balance(w, &moves->at[i]);
        }
}

/* Moves of a plan can wait for each other. With nothing under way that would free them, single
 * moves that can be made now are looked for. */
static void emit_single(alloc_work *w)
{
    for (int tries = 0; tries < 2 && !w->out.n && !w->failed; tries++) {
        alloc_moves moves = {0};
        qdi_alloc_plan_start(w);
        for (uint32_t n = 0; n < w->view->nnodes; n++) qdi_alloc_weight_touch(w, n);
        w->musts = !tries; /* once what must go, once what had better */
        w->single = true;
        w->result->moves = w->result->stuck = 0;
        qdi_alloc_plan_moves(w, &moves);
        emit_moves(w, &moves);
        qd_vec_fini(&moves);
    }
}

void qdi_alloc_emit(alloc_work *w)
{
    alloc_moves moves = {0};
    w->musts = true;
    qdi_alloc_plan_moves(w, &moves);
    uint32_t *queue, n = qdi_alloc_queue(w, &queue);
    for (uint32_t i = 0; i < n && !w->failed; i++) {
        uint32_t g = queue[i];
        if (w->mended[w->shard_of[g]]) continue;
        if (w->primary[g])
            emit_primary(w, g);
        else
            emit_replica(w, g);
    }
    emit_moves(w, &moves);
    if (!w->out.n && moves.n && !w->relocating && !w->initializing) emit_single(w);
    qd_vec_fini(&moves);
}
