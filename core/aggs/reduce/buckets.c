/*
 * buckets.c: merging buckets by key, and their orders.
 */
#include "aggs/reduce/reduce_int.h"
#include <math.h>

/* By key; arg is the result that the parts go to. */
static int part_order(const void *arg, const void *pa, const void *pb)
{
    const qdi_out *out = arg;
    const qdi_part *a = pa, *b = pb;
    if (out->kind == QDI_ORD) return qd_str_cmp(a->b->bytes, b->b->bytes);
    return a->key < b->key ? -1 : a->key > b->key;
}

/* Are its keys unsigned numbers, encoded as columns are? */
static bool is_unsigned(const qdi_out *o)
{
    return o->kind == QDI_I64 && qdi_aggs_format_of(o)->kind == QDI_FMT_U64;
}

/* All buckets of all inputs, by key. Integers become doubles when another index holds doubles. */
int qdi_aggs_gather(qdi_reduce *r, qdi_out *const *in, uint32_t k, bool strict, qdi_order_fn *order,
                    qdi_out *out, qdi_part **parts, uint32_t *n, qd_err *err)
{
    uint64_t total = 0;
    bool reals = false, words = false, numbers = false;
    unsigned signs = 0; /* unsigned keys and others: they meet as doubles */
    for (uint32_t i = 0; i < k; i++) {
        total += in[i]->n;
        if (in[i]->kind == QDI_NO_VALUES) continue;
        reals |= in[i]->kind == QDI_F64;
        signs |= is_unsigned(in[i]) ? 1 : in[i]->kind == QDI_I64 ? 2 : 0;
        words |= in[i]->kind == QDI_ORD;
        numbers |= in[i]->kind != QDI_ORD;
        out->kind = in[i]->kind;
        if (in[i]->bound && in[i]->bound->field) out->bound = in[i]->bound;
    }
    reals |= signs == 3;
    if (reals) out->kind = QDI_F64;
    qdi_part *p = qd_alloc(r->arena->account, (total + 1) * sizeof *p);
    if (!p || total > UINT32_MAX / 2) {
        qd_free(p);
        return qdi_aggs_reduce_no_memory(r, total * sizeof *p, err);
    }
    *n = 0;
    for (uint32_t i = 0; i < k; i++) {
        if (words && numbers && strict) {
            qd_free(p);
            return qdi_aggs_execution_error(
                r->tree, err,
                "Merging/Reducing the aggregations failed when computing the "
                "aggregation [%.*s] because the field you gave in the aggregation "
                "query existed as two different types in two different indices",
                QD_STR_ARG(out->def->name));
        }
        for (uint32_t j = 0; j < in[i]->n; j++) {
            const qdi_bucket_out *b = &in[i]->b[j];
            int64_t key = b->key;
            if (reals && in[i]->kind == QDI_I64)
                key =
                    qd_sortable_f64(is_unsigned(in[i]) ? (double)qd_u64_decode(key) : (double)key);
            p[(*n)++] = (qdi_part){b, key, i};
        }
    }
    if (words) out->kind = QDI_ORD;
    if (qdi_aggs_sort(r->arena->account, p, *n, sizeof *p, order ? order : part_order, out)) {
        qd_free(p);
        return qdi_aggs_reduce_no_memory(r, total * sizeof *p, err);
    }
    *parts = p;
    return 0;
}

uint32_t qdi_aggs_run_end(const qdi_out *out, qdi_order_fn *order, const qdi_part *p, uint32_t i,
                          uint32_t n)
{
    uint32_t j = i + 1;
    while (j < n && (order ? order : part_order)(out, &p[i], &p[j]) == 0) j++;
    return j;
}

/* The children of parts [from, to) merged. */
int qdi_aggs_merge_subs(qdi_reduce *r, const qdi_agg *def, const qdi_part *p, uint32_t n,
                        qdi_out ***out, qd_err *err)
{
    qdi_out **few[16] = {NULL}, ***subs = few;
    *out = NULL;
    if (!def->nsubs) return 0;
    if (n > 16) subs = qd_alloc(r->arena->account, n * sizeof *subs);
    if (!subs) return qdi_aggs_reduce_no_memory(r, n * sizeof *subs, err);
    for (uint32_t i = 0; i < n; i++) subs[i] = p[i].b->subs;
    int rc = qdi_aggs_reduce_subs(r, def, subs, n, out, err);
    if (subs != few) qd_free(subs);
    return rc;
}

static int copy_slots(qdi_reduce *r, const qdi_agg *def, const qdi_slot *from, const qdi_slot **out)
{
    uint32_t n = def->nslots;
    qdi_slot *s = qd_arena_alloc(r->arena, n * sizeof *s);
    if (!s) return QD_E_NOMEM;
    memcpy(s, from, n * sizeof *s);
    for (uint32_t i = 0; i < n; i++) {
        if (!s[i].bytes.p) continue;
        s[i].bytes = qd_arena_str(r->arena, s[i].bytes);
        if (!s[i].bytes.p) return QD_E_NOMEM;
    }
    *out = s;
    return 0;
}

/* One bucket of the parts of a key; without its children. */
int qdi_aggs_merge_bucket(qdi_reduce *r, const qdi_agg *def, const qdi_part *p, uint32_t n,
                          qdi_bucket_out *o, qd_err *err)
{
    *o = (qdi_bucket_out){.key = p->key, .bytes = p->b->bytes, .slots = p->b->slots};
    for (uint32_t i = 0; i < n; i++) o->docs += p[i].b->docs;
    /* inputs go when this is not the end: what they hold is copied */
    if (!r->final && o->bytes.p) {
        o->bytes = qd_arena_str(r->arena, o->bytes);
        if (!o->bytes.p) return qdi_aggs_reduce_no_memory(r, 64, err);
    }
    if (!r->final && o->slots && copy_slots(r, def, o->slots, &o->slots))
        return qdi_aggs_reduce_no_memory(r, 64, err);
    return 0;
}

/* --- orders ----------------------------------------------------------------------------------- */

typedef struct order_arg {
    const qdi_out *out;
    const qdi_order *order;
    uint32_t norder;
} order_arg;

static int metric_order(double x, double y, bool ascending)
{
    if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);
    int c = x < y ? -1 : x > y;
    return ascending ? c : -c;
}

static int bucket_order(const void *arg, const void *pa, const void *pb)
{
    const order_arg *g = arg;
    const qdi_bucket_out *a = pa, *b = pb;
    for (uint32_t i = 0; i < g->norder; i++) {
        const qdi_order *o = &g->order[i];
        int c;
        if (o->by == QDI_BY_METRIC) {
            c = metric_order(qdi_aggs_out_metric(a->subs, a->docs, &o->path, 0),
                             qdi_aggs_out_metric(b->subs, b->docs, &o->path, 0), o->ascending);
        } else {
            c = o->by == QDI_BY_COUNT     ? (a->docs < b->docs ? -1 : a->docs > b->docs)
                : g->out->kind == QDI_ORD ? qd_str_cmp(a->bytes, b->bytes)
                                          : (a->key < b->key ? -1 : a->key > b->key);
            if (!o->ascending) c = -c;
        }
        if (c) return c;
    }
    return 0;
}

int qdi_aggs_sort_buckets(qdi_reduce *r, qdi_out *out, const qdi_order *order, uint32_t n,
                          qd_err *err)
{
    order_arg g = {out, order, n};
    if (qdi_aggs_sort(r->arena->account, out->b, out->n, sizeof *out->b, bucket_order, &g))
        return qdi_aggs_reduce_no_memory(r, out->n * sizeof *out->b, err);
    return 0;
}

int qdi_aggs_reduce_keyed(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    uint32_t n = out->def->type->buckets(out->def);
    qdi_out ***subs = qd_alloc(r->arena->account, (k + 1ul) * sizeof *subs);
    out->b = qd_arena_calloc(r->arena, (n + 1ul) * sizeof *out->b);
    int rc = subs && out->b ? 0 : qdi_aggs_reduce_no_memory(r, n * sizeof *out->b, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t m = 0;
        out->b[i].key = i;
        for (uint32_t j = 0; j < k; j++) {
            if (i >= in[j]->n) continue;
            out->b[i].docs += in[j]->b[i].docs;
            subs[m++] = in[j]->b[i].subs;
        }
        rc = qdi_aggs_reduce_subs(r, out->def, subs, m, &out->b[i].subs, err);
        out->n = i + 1;
    }
    qd_free(subs);
    return rc;
}
