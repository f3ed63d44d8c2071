/*
 * pipeline.c: values of results by path, and the aggregations that work on results alone.
 */
#include "aggs/aggs_int.h"
#include <math.h>

static int no_memory(qdi_reduce *r, qd_err *err)
{
    return qdi_aggs_no_memory(r->arena->account, 64, "pipeline aggregations", err);
}

double qdi_aggs_out_value(const qdi_out *o, qd_str member)
{
    const qdi_stats *s = &o->u.stats;
    double v;
    switch (o->def->type) {
    case QDI_AVG:
        return qdi_aggs_stats_value(s, 0, QD_STR("avg"));
    case QDI_SUM:
        return qdi_aggs_stats_value(s, 0, QD_STR("sum"));
    case QDI_MIN:
        return s->n ? s->min : NAN;
    case QDI_MAX:
        return s->n ? s->max : NAN;
    case QDI_VALUE_COUNT:
        return (double)s->n;
    case QDI_STATS:
        return qdi_aggs_stats_value(s, 0, member);
    case QDI_EXTENDED_STATS:
        return qdi_aggs_stats_value(s, o->def->u.sigma, member);
    case QDI_CARDINALITY:
        return o->u.hll ? (double)qdi_aggs_hll_count(o->u.hll) : 0;
    case QDI_PERCENTILES:
    case QDI_PERCENTILE_RANKS:
        return qd_f64_parse(member, &v) ? NAN : qdi_aggs_percent(o, v);
    case QDI_WEIGHTED_AVG:
        return o->u.weighted.n ? (o->u.weighted.sum - o->u.weighted.sum_low) /
                                     (o->u.weighted.weight - o->u.weighted.weight_low)
                               : NAN;
    default:
        if (qdi_aggs_type_flags(o->def->type) & QDI_PIPELINE)
            return o->u.simple.has ? o->u.simple.value : NAN;
        if (qdi_aggs_type_flags(o->def->type) & QDI_SINGLE) return (double)o->docs;
        return NAN;
    }
}

static double walk(qdi_out *const *subs, uint64_t docs, const qdi_path *path, uint32_t from)
{
    const qdi_out *o = NULL;
    for (uint32_t i = from; i < path->n; i++) {
        if (!subs || !subs[path->at[i]]) return NAN;
        o = subs[path->at[i]];
        docs = o->docs;
        subs = o->subs;
    }
    if (path->count) return (double)docs;
    return o ? qdi_aggs_out_value(o, path->member) : NAN;
}

double qdi_aggs_out_metric(qdi_out *const *subs, uint64_t docs, const qdi_path *path)
{
    return walk(subs, docs, path, 0);
}

/* The value of a bucket by the gap policy: NAN is left out. */
static double bucket_value(const qdi_agg *p, const qdi_bucket_out *b, uint32_t from)
{
    double v = walk(b->subs, b->docs, &p->u.pipe.path, from);
    bool gap = !p->u.pipe.path.count && b->docs == 0;
    if (gap || !isfinite(v)) return p->u.pipe.skip_gaps ? NAN : 0;
    return v;
}

/* --- beside a bucket aggregation -------------------------------------------------------------- */

static int add_key(qdi_reduce *r, const qdi_out *o, uint32_t i, qdi_out *to, qd_err *err)
{
    char text[128];
    qd_str key = qd_arena_str(r->arena, qdi_aggs_bucket_key_text(o, i, text));
    if (!key.p) return no_memory(r, err);
    to->u.simple.keys[to->u.simple.nkeys++] = key;
    return 0;
}

static int sibling(qdi_reduce *r, const qdi_agg *p, qdi_out *const *subs, qdi_out *to, qd_err *err)
{
    const qdi_out *o = p->u.pipe.path.n ? subs[p->u.pipe.path.at[0]] : NULL;
    double sum = 0, low = 0, best = p->type == QDI_MAX_BUCKET ? -INFINITY : INFINITY;
    uint64_t n = 0;
    to->bound = o ? o->bound : NULL;
    to->u.simple.keys = qd_arena_calloc(r->arena, ((o ? o->n : 0) + 1ul) * sizeof(qd_str));
    if (!to->u.simple.keys) return no_memory(r, err);
    for (uint32_t i = 0; o && i < o->n; i++) {
        double v = bucket_value(p, &o->b[i], 1);
        if (isnan(v)) continue;
        n++;
        qdi_kahan(&sum, &low, v);
        bool extreme = p->type == QDI_MAX_BUCKET || p->type == QDI_MIN_BUCKET;
        if (!extreme) continue;
        if (p->type == QDI_MAX_BUCKET ? v > best : v < best) {
            best = v;
            to->u.simple.nkeys = 0;
        }
        if (v == best) {
            int rc = add_key(r, o, i, to, err);
            if (rc) return rc;
        }
    }
    sum -= low;
    to->u.simple.has = n > 0 || p->type == QDI_SUM_BUCKET;
    to->u.simple.value = p->type == QDI_SUM_BUCKET   ? sum
                         : p->type == QDI_AVG_BUCKET ? sum / (double)n
                                                     : best;
    return 0;
}

int qdi_aggs_pipelines_sibling(qdi_reduce *r, qdi_agg *const *defs, uint32_t nplain, uint32_t n,
                               qdi_out **subs, qd_err *err)
{
    for (uint32_t i = nplain; i < n; i++) {
        qdi_type t = defs[i]->type;
        if (t != QDI_MAX_BUCKET && t != QDI_MIN_BUCKET && t != QDI_AVG_BUCKET &&
            t != QDI_SUM_BUCKET)
            continue;
        subs[i] = qd_arena_calloc(r->arena, sizeof *subs[i]);
        if (!subs[i]) return no_memory(r, err);
        subs[i]->def = defs[i];
        int rc = sibling(r, defs[i], subs, subs[i], err);
        if (rc) return rc;
    }
    return 0;
}

/* --- below a bucket aggregation --------------------------------------------------------------- */

static int running(qdi_reduce *r, const qdi_agg *p, uint32_t at, qdi_out *o, qd_err *err)
{
    double before = NAN, sum = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        double v = bucket_value(p, &o->b[i], 0);
        if (!isnan(v)) sum += v;
        bool has = p->type == QDI_CUMULATIVE_SUM || (!isnan(v) && !isnan(before));
        if (has) {
            qdi_out *x = o->b[i].subs[at] = qd_arena_calloc(r->arena, sizeof *x);
            if (!x) return no_memory(r, err);
            x->def = p;
            x->u.simple.has = true;
            x->u.simple.value = p->type == QDI_CUMULATIVE_SUM ? sum : v - before;
        }
        if (!isnan(v)) before = v;
    }
    return 0;
}

typedef struct sort_arg {
    const qdi_agg *p;
    const qdi_out *o;
} sort_arg;

static int by_sort(const void *arg, const void *pa, const void *pb)
{
    const sort_arg *g = arg;
    const qdi_bucket_out *a = pa, *b = pb;
    for (uint32_t i = 0; i < g->p->u.pipe.nsort; i++) {
        const qdi_order *o = &g->p->u.pipe.sort[i];
        int c;
        if (o->by == QDI_BY_METRIC) {
            double x = walk(a->subs, a->docs, &o->path, 0), y = walk(b->subs, b->docs, &o->path, 0);
            if (isnan(x) || isnan(y)) {
                c = isnan(x) - isnan(y);
                if (c) return c;
                continue;
            }
            c = x < y ? -1 : x > y;
        } else {
            c = o->by == QDI_BY_COUNT   ? (a->docs < b->docs ? -1 : a->docs > b->docs)
                : g->o->kind == QDI_ORD ? qd_str_cmp(a->bytes, b->bytes)
                                        : (a->key < b->key ? -1 : a->key > b->key);
        }
        if (c) return o->ascending ? c : -c;
    }
    return 0;
}

static int bucket_sort(qdi_reduce *r, const qdi_agg *p, qdi_out *o, qd_err *err)
{
    sort_arg g = {p, o};
    if (p->u.pipe.nsort && qdi_aggs_sort(r->arena->account, o->b, o->n, sizeof *o->b, by_sort, &g))
        return no_memory(r, err);
    uint32_t from = p->u.pipe.from < o->n ? p->u.pipe.from : o->n;
    o->b += from;
    o->n -= from;
    if (p->u.pipe.has_size && o->n > p->u.pipe.size) o->n = p->u.pipe.size;
    return 0;
}

int qdi_aggs_pipelines_parent(qdi_reduce *r, qdi_out *o, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = o->def->nplain; rc == 0 && i < o->def->nsubs; i++) {
        const qdi_agg *p = o->def->subs[i];
        if (p->type == QDI_CUMULATIVE_SUM || p->type == QDI_DERIVATIVE)
            rc = running(r, p, i, o, err);
        else if (p->type == QDI_BUCKET_SORT)
            rc = bucket_sort(r, p, o, err);
    }
    return rc;
}
