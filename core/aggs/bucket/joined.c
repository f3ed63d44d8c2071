/*
 * joined.c: children and parent. While documents are collected the ids of those on one side are
 * gathered, each with the buckets that it is in. When all have been, the documents of the other
 * side go through the aggregations below, which stand in a shard of their own, each for the buckets
 * of its id.
 */
#include "aggs/bucket/joined_int.h"
#include "query/node.h"
#include "search/join.h"
#include "search/plan/plan.h"

int qdi_aggs_joined_parse(qdi_parse *p, qdi_agg *a)
{
    qd_str *type = a->params;
    int rc = qdi_aggs_one_text(p, a, "type", type);
    if (rc || type->p) return rc;
    return qdi_aggs_parse_error(p, a->json, "Missing [child_type] field for %s aggregation [%.*s]",
                                a->type->name, QD_STR_ARG(a->name));
}

int qdi_aggs_joined_bind(qdi_binder *x, qdi_bound *b, bool up)
{
    qdi_joined_bound *t = b->state;
    const qd_str type = *(const qd_str *)b->def->params;
    const qd_join *j = qd_mapping_join(x->q->mapping);
    const qd_join_relation *r = j ? qd_join_of_child(j, type) : NULL;
    if (!r) return 0;
    const qd_node *child = qd_node_term_make(x->arena, j->field->name, type);
    const qd_node *parent = qd_node_term_make(x->arena, j->field->name, r->parent);
    if (!child || !parent) return qd_err_nomem(x->err, "aggregations");
    t->ids = r->ids->name;
    t->from = up ? child : parent;
    t->to = up ? parent : child;
    return 0;
}

typedef struct state {
    uint64_t *from; /* documents that are asked of; NULL: all */
    qd_join_ids ids;
    qdi_buckets pairs; /* (number of an id, bucket) */
    qd_join_leaf leaf;
    qd_arena arena; /* of the leaf */
    qd_reads *reads;
} state;

static int no_memory(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_no_memory(a->shard->account, sizeof(state), "ids of aggregations", err);
}

static int joined_open(qdi_aggr *a, qd_err *err)
{
    const qdi_joined_bound *b = a->bound->state;
    if (!b->ids.n || a->shard->level.n) return 0; /* nested documents have no relations */
    state *t = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (!t) return no_memory(a, err);
    qd_join_ids_init(&t->ids, a->shard->account);
    t->pairs.account = a->shard->account;
    qd_arena_init(&t->arena, a->shard->account, 0);
    a->state = t;
    int rc = qdi_aggs_filter_bits(a->shard, b->from, &t->from, err);
    return rc ? rc : qdi_aggs_later_make(a->shard, &a->below, err);
}

static int joined_leaf(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    const qdi_joined_bound *b = a->bound->state;
    if (!t) return 0;
    if (t->reads) qd_reads_release(t->reads);
    qd_arena_reset(&t->arena);
    t->reads = qd_reads_make(&t->arena, a->shard->account);
    if (!t->reads) return no_memory(a, err);
    int rc = qd_join_leaf_plan(&t->leaf, a->shard->batch.leaf, b->ids, t->reads, &t->arena, err);
    return rc ? rc : qd_reads_fetch(t->reads, err);
}

static int joined_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                          qd_err *err)
{
    state *t = a->state;
    const qdi_batch *b = &a->shard->batch;
    if (!t || !t->leaf.values) return 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t doc = b->docs[idx ? idx[i] : i], d = b->leaf->base + doc, id, bucket, pair;
        if (t->from && !(t->from[d / 64] >> (d & 63) & 1)) continue;
        int rc = qd_join_leaf_number(&t->leaf, &t->ids, doc, true, &id, err);
        if (!rc && id == QD_JOIN_NONE) continue;
        if (!rc) rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, 0, &bucket, err);
        if (rc) return rc;
        if (qdi_aggs_buckets_put(&t->pairs, id, bucket, &pair)) return no_memory(a, err);
    }
    return 0;
}

/* --- the other side --------------------------------------------------------------------------- */

typedef struct replay {
    qd_collector c, *below;
    qdi_aggr *a;
    qd_join_leaf leaf;
    qd_arena arena;
} replay;

static int replay_plan(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    replay *r = (replay *)c;
    const qdi_joined_bound *b = r->a->bound->state;
    qd_arena_reset(&r->arena);
    int rc = qd_join_leaf_plan(&r->leaf, leaf, b->ids, reads, &r->arena, err);
    return rc ? rc : r->below->vt->plan(r->below, leaf, reads, err);
}

static int replay_begin(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    replay *r = (replay *)c;
    return r->below->vt->begin(r->below, leaf, reads, err);
}

static int replay_collect(qd_collector *c, const qd_hits *h, qd_err *err)
{
    replay *r = (replay *)c;
    state *t = r->a->state;
    int rc = r->below->vt->collect(r->below, h, err); /* it has no roots: the batch is set */
    for (uint32_t i = 0; i < h->n && !rc; i++) {
        uint32_t id;
        rc = qd_join_leaf_number(&r->leaf, &t->ids, h->docs[i], false, &id, err);
        if (rc || id == QD_JOIN_NONE) continue;
        for (uint32_t k = t->pairs.group[id]; k < t->pairs.group[id + 1] && !rc; k++)
            rc = qdi_emit(r->a, i, (uint32_t)t->pairs.key[t->pairs.list[k]], err);
    }
    return rc ? rc : qdi_aggs_emit_flush(r->a, err);
}

static int replay_end(qd_collector *c, const qd_leaf *leaf, qd_err *err)
{
    replay *r = (replay *)c;
    return r->below->vt->end(r->below, leaf, err);
}

static int run(qdi_aggr *a, qd_err *err)
{
    static const qd_collector_vt vt = {
        .plan = replay_plan, .begin = replay_begin, .collect = replay_collect, .end = replay_end};
    const qdi_joined_bound *b = a->bound->state;
    replay r = {.c = {.vt = &vt}, .below = qdi_aggs_collector_of(a->below, a), .a = a};
    qd_arena arena;
    qd_plan *plan;
    qd_arena_init(&arena, a->shard->account, 0);
    qd_arena_init(&r.arena, a->shard->account, 0);
    int rc = qdi_aggs_plan(a->below, b->to, &arena, &plan, err);
    if (!rc) rc = qd_plan_collect(plan, NULL, &r.c, NULL, err);
    qd_arena_fini(&r.arena);
    qd_arena_fini(&arena);
    return rc;
}

static int joined_finish(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    if (!t) return 0;
    int rc = 0;
    if (t->pairs.n) {
        rc = qdi_aggs_buckets_group(&t->pairs) ? no_memory(a, err) : 0;
        if (!rc) rc = run(a, err);
    }
    return rc ? rc : qdi_aggs_finish(a->below, err);
}

static void joined_close(qdi_aggr *a)
{
    state *t = a->state;
    if (!t) return;
    if (t->reads) qd_reads_release(t->reads);
    qd_join_ids_fini(&t->ids);
    qdi_aggs_buckets_fini(&t->pairs);
    qd_arena_fini(&t->arena);
}

const qdi_ops qdi_aggs_joined_ops = {.open = joined_open,
                                     .leaf = joined_leaf,
                                     .collect = joined_collect,
                                     .finish = joined_finish,
                                     .build = qdi_aggs_single_build,
                                     .close = joined_close};
