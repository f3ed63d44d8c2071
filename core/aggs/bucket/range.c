/*
 * range.c: range, date_range, ip_range: [from, to) intervals given by the request.
 */
#include "aggs/aggs_int.h"
#include <math.h>

typedef struct state {
    uint32_t (*ords)[2]; /* ip_range: ordinals [from, to) of each range in this segment */
} state;

static int range_open(qdi_aggr *a, qd_err *err)
{
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (t) t->ords = qd_arena_calloc(&a->shard->arena, a->def->u.range.n * sizeof *t->ords);
    if (!t || !t->ords)
        return qdi_aggs_no_memory(a->shard->account, sizeof *t, "aggregations", err);
    if (a->src && a->def->type == QDI_IP_RANGE) a->src->want_dict = true;
    return 0;
}

static int range_leaf(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    if (a->def->type != QDI_IP_RANGE || !a->src || !a->src->dict) return 0;
    for (uint32_t i = 0; i < a->def->u.range.n; i++) {
        const qdi_bound_range *r = &a->bound->ranges[i];
        bool found;
        t->ords[i][0] = 0;
        t->ords[i][1] = a->src->ordinals;
        int rc = 0;
        if (r->has_from)
            rc = qd_dict_find(a->src->dict, (qd_str){(const char *)r->ip_from, 16}, &t->ords[i][0],
                              &found, err);
        if (rc == 0 && r->has_to)
            rc = qd_dict_find(a->src->dict, (qd_str){(const char *)r->ip_to, 16}, &t->ords[i][1],
                              &found, err);
        if (rc) return rc;
    }
    return 0;
}

static bool inside(const qdi_aggr *a, uint32_t r, uint32_t from, uint32_t to)
{
    const state *t = a->state;
    const qdi_bound_range *g = &a->bound->ranges[r];
    for (uint32_t k = from; k < to; k++) {
        if (a->def->type == QDI_IP_RANGE) {
            uint32_t o = a->src->o[k];
            if (o >= t->ords[r][0] && o < t->ords[r][1]) return true;
            continue;
        }
        double v = a->src->f64[k];
        if ((!g->has_from || v >= g->from) && (!g->has_to || v < g->to)) return true;
    }
    return false;
}

static int range_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                         qd_err *err)
{
    qdi_source *s = a->src;
    if (!s) return 0;
    int rc = qdi_aggs_source_index(a->shard, s, err);
    if (rc == 0 && a->def->type != QDI_IP_RANGE) rc = qdi_aggs_source_f64(a->shard, s, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from, to, bucket, at = idx ? idx[i] : i;
        qdi_source_doc(s, at, &from, &to);
        if (from == to) continue;
        for (uint32_t r = 0; r < a->def->u.range.n; r++) {
            if (!inside(a, r, from, to)) continue;
            rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, r, &bucket, err);
            if (rc == 0) rc = qdi_emit(a, at, bucket, err);
            if (rc) return rc;
        }
    }
    return qdi_aggs_emit_flush(a, err);
}

static int range_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    uint32_t n = a->def->u.range.n;
    out->bound = a->bound; /* unmapped ones show their ranges too */
    out->b = qd_arena_calloc(&a->shard->partial->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) return qdi_aggs_no_memory(a->shard->account, n * sizeof *out->b, "range", err);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bucket = a->buckets.n;
        out->b[i].key = i;
        if (qdi_aggs_buckets_find(&a->buckets, owner, i, &bucket))
            out->b[i].docs = a->buckets.docs[bucket];
        int rc = qdi_aggs_build_subs(a, bucket, &out->b[i].subs, err);
        if (rc) return rc;
        out->n = i + 1;
    }
    return 0;
}

const qdi_ops qdi_aggs_ops_range = {
    .open = range_open, .leaf = range_leaf, .collect = range_collect, .build = range_build};
