/*
 * bucket_sort.c: bucket_sort: the buckets of its parent in another order, and fewer of them.
 */
#include "aggs/pipeline/pipeline_int.h"
#include <math.h>

static int bucket_sort_parse(qdi_parse *p, qdi_agg *a)
{
    int64_t from = 0, size = 0;
    int rc = qdi_aggs_pipe_common(p, a);
    if (rc) return rc;
    qdi_pipe_of(a)->has_size = qd_json_get(a->json, "size") != NULL;
    rc = qdi_aggs_get_i64(p, a, "from", &from);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "size", &size);
    if (rc) return rc;
    if (from < 0 || size < 0 || from > INT32_MAX || size > INT32_MAX)
        return qd_err_set(p->err, QD_E_ARG, "[from] must be a non-negative integer: [%lld]",
                          (long long)from);
    qdi_pipe_of(a)->from = (uint32_t)from;
    qdi_pipe_of(a)->size = (uint32_t)size;
    const qd_json_node *m = qd_json_get(a->json, "sort");
    if (!m) return 0;
    uint32_t n = m->type == QD_JSON_T_ARRAY ? m->n : 1;
    qdi_pipe_of(a)->sort = qd_arena_calloc(p->arena, (n + 1) * sizeof *qdi_pipe_of(a)->sort);
    if (!qdi_pipe_of(a)->sort) return qd_err_nomem(p->err, "bucket_sort");
    for (const qd_json_node *s = m->type == QD_JSON_T_ARRAY ? m->first : m; s; s = s->next) {
        qdi_order *o = &qdi_pipe_of(a)->sort[qdi_pipe_of(a)->nsort++];
        const qd_json_node *e = s;
        *o = (qdi_order){.ascending = true};
        if (s->type == QD_JSON_T_OBJECT && s->n == 1) {
            const qd_json_node *d = s->first;
            e = d;
            if (d->type == QD_JSON_T_OBJECT && qd_json_get(d, "order")) d = qd_json_get(d, "order");
            o->ascending = !qd_str_ieq(d->text, QD_STR("desc"));
        }
        o->text = s->type == QD_JSON_T_STRING ? s->text : e->key;
        o->by = qd_str_is(o->text, "_key")     ? QDI_BY_KEY
                : qd_str_is(o->text, "_count") ? QDI_BY_COUNT
                                               : QDI_BY_METRIC;
        if (m->type != QD_JSON_T_ARRAY) break;
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
    for (uint32_t i = 0; i < qdi_pipe_of(g->p)->nsort; i++) {
        const qdi_order *o = &qdi_pipe_of(g->p)->sort[i];
        int c;
        if (o->by == QDI_BY_METRIC) {
            double x = qdi_aggs_out_metric(a->subs, a->docs, &o->path, 0),
                   y = qdi_aggs_out_metric(b->subs, b->docs, &o->path, 0);
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

static int bucket_sort_run(qdi_reduce *r, const qdi_agg *p, uint32_t at, qdi_out *o, qd_err *err)
{
    (void)at;
    sort_arg g = {p, o};
    if (qdi_pipe_of(p)->nsort &&
        qdi_aggs_sort(r->arena->account, o->b, o->n, sizeof *o->b, by_sort, &g))
        return qdi_aggs_reduce_no_memory(r, 64, err);
    uint32_t from = qdi_pipe_of(p)->from < o->n ? qdi_pipe_of(p)->from : o->n;
    o->b += from;
    o->n -= from;
    if (qdi_pipe_of(p)->has_size && o->n > qdi_pipe_of(p)->size) o->n = qdi_pipe_of(p)->size;
    return 0;
}

const qd_agg_type qdi_aggs_bucket_sort = {
    .name = "bucket_sort",
    .key = "bucket_sort",
    .flags = QDI_PIPELINE | QDI_SILENT,
    .members = "sort,from,size,gap_policy",
    .parse = bucket_sort_parse,
    .below = bucket_sort_run,
    .write = qdi_aggs_pipe_write,
    QDI_PIPE,
};
