/* allocator_simple.c: a round that only assigns what is unassigned. See allocator_int.h. */
#include "cluster/allocator_int.h"
#include <string.h>

typedef struct simple {
    const qd_alloc_view *v;
    uint32_t *held; /* copies of each node */
    qd_alloc_decision *out;
    uint32_t n;
} simple;

static bool takes(const simple *x, const qd_alloc_shard *s, uint32_t node)
{
    const qd_alloc_node *n = &x->v->nodes[node];
    bool data = false;
    for (size_t i = 0; i < n->roles.n; i++) {
        data |= qd_str_find(QD_STR(QD_NODE_DATA_ROLES), n->roles.p[i]) >= 0;
    }
    for (uint32_t i = 0; i < s->ncopies; i++) data &= s->copies[i].node != node;
    return n->up && data;
}

static uint32_t least(const simple *x, const qd_alloc_shard *s)
{
    uint32_t best = QD_ALLOC_NONE;
    for (uint32_t i = 0; i < x->v->nnodes; i++) {
        if (takes(x, s, i) && (best == QD_ALLOC_NONE || x->held[i] < x->held[best])) best = i;
    }
    return best;
}

static void place_primary(simple *x, uint32_t shard)
{
    const qd_alloc_shard *s = &x->v->shards[shard];
    qd_alloc_decision d = {.action = QD_ALLOC_ASSIGN_PRIMARY,
                           .index = s->index,
                           .shard = shard,
                           .node = QD_ALLOC_NONE};
    if (s->fresh) {
        d.source = QD_ALLOC_FROM_NOTHING;
        d.node = least(x, s);
    }
    for (uint32_t i = 0; i < s->nholders && !s->fresh; i++) {
        uint32_t node = s->holders[i].node;
        if (node == QD_ALLOC_NONE || !takes(x, s, node)) continue;
        d.source = QD_ALLOC_FROM_DISK;
        d.holder = i;
        d.node = node;
    }
    if (d.node == QD_ALLOC_NONE) return;
    x->held[d.node]++;
    x->out[x->n++] = d;
}

static void place_replica(simple *x, uint32_t shard, uint32_t copy)
{
    const qd_alloc_shard *s = &x->v->shards[shard];
    uint32_t node = least(x, s);
    if (node == QD_ALLOC_NONE) return;
    x->held[node]++;
    x->out[x->n++] = (qd_alloc_decision){.action = QD_ALLOC_ASSIGN_REPLICA,
                                         .index = s->index,
                                         .shard = shard,
                                         .copy = copy,
                                         .node = node,
                                         .source = QD_ALLOC_FROM_PEER};
}

int qdi_simple_round(const qd_alloc_view *v, qd_arena *arena, qd_alloc_result *out, qd_err *err)
{
    simple x = {.v = v};
    *out = (qd_alloc_result){.again_ms = QD_ALLOC_NEVER};
    x.held = qd_arena_calloc(arena, (v->nnodes + 1) * sizeof *x.held);
    x.out = qd_arena_alloc(arena, (v->nshards + 1) * sizeof *x.out);
    if (!x.held || !x.out) return qd_err_nomem(err, "allocation");
    for (uint32_t i = 0; i < v->nshards; i++) {
        for (uint32_t k = 0; k < v->shards[i].ncopies; k++) {
            uint32_t node = v->shards[i].copies[k].node;
            if (node != QD_ALLOC_NONE) x.held[node]++;
        }
    }
    for (uint32_t i = 0; i < v->nshards; i++) {
        const qd_alloc_shard *s = &v->shards[i];
        bool first = s->ncopies && s->copies[0].state == QD_ALLOC_UNASSIGNED;
        bool active = s->ncopies && s->copies[0].state >= QD_ALLOC_STARTED;
        if (first) place_primary(&x, i);
        for (uint32_t k = 1; active && k < s->ncopies; k++) {
            if (s->copies[k].state != QD_ALLOC_UNASSIGNED) continue;
            place_replica(&x, i, k);
            break; /* the next one after the first is known to be there */
        }
    }
    out->decisions = x.out;
    out->n = x.n;
    return 0;
}
