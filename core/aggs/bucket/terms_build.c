/*
 * terms_build.c: the best buckets of an owner, for terms, rare_terms and buckets of plugins.
 */
#include "aggs/bucket/terms_int.h"
#include "mapping/field.h"
#include "search/ordinals.h"
#include <math.h>

static int no_memory(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_no_memory(a->shard->account, 64, "terms", err);
}

typedef struct candidate {
    uint32_t bucket; /* UINT32_MAX: without documents */
    int64_t key;
    uint64_t docs;
    double metric[4];
} candidate;

typedef struct order_arg {
    const qdi_agg *def;
    const qd_str *strings; /* NULL: numbers, or those of the shard's strings */
} order_arg;

/* NaN goes last, whatever the direction. */
static int metric_order(double x, double y, bool ascending)
{
    if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);
    int c = x < y ? -1 : x > y;
    return ascending ? c : -c;
}

static int candidate_order(const void *arg, const void *pa, const void *pb)
{
    const order_arg *g = arg;
    const candidate *a = pa, *b = pb;
    uint32_t m = 0;
    for (uint32_t i = 0; i < g->def->norder; i++) {
        const qdi_order *o = &g->def->order[i];
        int c;
        if (o->by == QDI_BY_METRIC) {
            c = m < QD_COUNT_OF(a->metric) ? metric_order(a->metric[m], b->metric[m], o->ascending)
                                           : 0;
            m++;
        } else {
            c = o->by == QDI_BY_COUNT ? (a->docs < b->docs ? -1 : a->docs > b->docs)
                : g->strings          ? qd_str_cmp(g->strings[a->key], g->strings[b->key])
                                      : (a->key < b->key ? -1 : a->key > b->key);
            if (!o->ascending) c = -c;
        }
        if (c) return c;
    }
    return 0;
}

static void sift(candidate *h, uint32_t at, uint32_t n, const order_arg *g)
{
    for (;;) {
        uint32_t c = 2 * at + 1;
        if (c >= n) return;
        if (c + 1 < n && candidate_order(g, &h[c + 1], &h[c]) > 0) c++;
        if (candidate_order(g, &h[c], &h[at]) <= 0) return;
        candidate x = h[c];
        h[c] = h[at];
        h[at] = x;
        at = c;
    }
}

/* The best k of n to the front, in order. */
static int select_best(qdi_aggr *a, candidate *c, uint32_t n, uint32_t k, const order_arg *g,
                       qd_err *err)
{
    if (k < n) { /* a heap of the best, the worst on top */
        for (uint32_t i = k / 2; i-- > 0;) sift(c, i, k, g);
        for (uint32_t i = k; i < n; i++)
            if (candidate_order(g, &c[i], &c[0]) < 0) {
                candidate x = c[0];
                c[0] = c[i];
                c[i] = x;
                sift(c, 0, k, g);
            }
        n = k;
    }
    return qdi_aggs_sort(a->shard->account, c, n, sizeof *c, candidate_order, g) ? no_memory(a, err)
                                                                                 : 0;
}

static int add_candidate(qdi_aggr *a, candidate *c, uint32_t bucket, int64_t key)
{
    uint32_t m = 0;
    *c = (candidate){.bucket = bucket, .key = key};
    if (bucket != UINT32_MAX) c->docs = a->buckets.docs[bucket];
    for (uint32_t i = 0; i < a->def->norder; i++) {
        if (a->def->order[i].by != QDI_BY_METRIC || m == QD_COUNT_OF(c->metric)) continue;
        c->metric[m++] = qdi_aggr_metric(a, bucket, &a->def->order[i].path);
    }
    return 0;
}

static int gather(qdi_aggr *a, uint32_t owner, const qdi_terms_found *f, candidate **out,
                  uint32_t *n, uint64_t *total, qd_err *err)
{
    qdi_buckets *b = &a->buckets;
    bool zeros = a->def->min_doc_count == 0;
    if (qdi_aggs_buckets_group(b)) return no_memory(a, err);
    uint32_t from = owner < b->groups ? b->group[owner] : 0;
    uint32_t to = owner < b->groups ? b->group[owner + 1] : 0;
    uint32_t more = !zeros ? 0 : f->strings ? f->strings->n : f->universe ? f->universe->n : 0;
    candidate *c = qd_alloc(a->shard->account, (to - from + more + 1ul) * sizeof *c);
    if (!c)
        return qdi_aggs_no_memory(a->shard->account, (to - from + more) * sizeof *c, "terms", err);
    uint32_t k = 0;
    for (uint32_t i = from; i < to; i++) {
        uint32_t bucket = b->list[i];
        *total += b->docs[bucket];
        if ((int64_t)b->docs[bucket] < qdi_terms_of(a->def)->shard_min_doc_count) continue;
        add_candidate(a, &c[k++], bucket, b->key[bucket]);
    }
    for (uint32_t i = 0; i < more && qdi_terms_of(a->def)->shard_min_doc_count == 0; i++) {
        uint32_t unused;
        int64_t key = f->strings ? (int64_t)i : f->universe->key[i];
        if (!qdi_aggs_buckets_find(b, owner, key, &unused))
            add_candidate(a, &c[k++], UINT32_MAX, key);
    }
    *out = c;
    *n = k;
    return 0;
}

/* A bucket number that no document has: children find nothing there. */
static int build_bucket(qdi_aggr *a, const qdi_terms_found *f, const candidate *c,
                        const qd_str *name, const qdi_out *out, qdi_bucket_out *o, qd_err *err)
{
    uint64_t most = qdi_terms_of(a->def)->most_docs;
    *o = (qdi_bucket_out){.key = c->key, .docs = c->docs};
    if (name) {
        o->bytes = *name;
    } else if (f->strings) {
        o->bytes = qd_arena_str(&a->shard->partial->arena, f->strings->at[c->key]);
        if (!o->bytes.p) return no_memory(a, err);
    } else if (out->kind == QDI_F64 && !f->sortable) {
        o->key = qd_sortable_f64(qd_field_f64(a->bound->field, c->key));
    }
    if (most && c->docs > most) return 0;
    return qdi_aggs_build_subs(a, c->bucket == UINT32_MAX ? a->buckets.n : c->bucket, &o->subs,
                               err);
}

/* Strings of the best, by their numbers in the shard. */
static int names_of(qdi_aggr *a, const qd_ordinals *shard, const candidate *c, uint32_t n,
                    qd_str **out, qd_err *err)
{
    qd_arena *arena = &a->shard->partial->arena;
    qd_str *names = *out = qd_arena_alloc(arena, (n + 1ul) * sizeof *names);
    uint32_t *numbers = qd_arena_alloc(arena, (n + 1ul) * sizeof *numbers);
    if (!names || !numbers) return no_memory(a, err);
    for (uint32_t i = 0; i < n; i++) numbers[i] = (uint32_t)c[i].key;
    return qd_ordinals_strings(a->shard->o.searcher, a->src->field->name, shard, numbers, n, arena,
                               a->shard->account, names, err);
}

int qdi_terms_build(qdi_aggr *a, uint32_t owner, const qdi_terms_found *f, qdi_out *out,
                    qd_err *err)
{
    candidate *c = NULL;
    uint32_t n = 0, k = qdi_terms_of(a->def)->shard_size;
    uint64_t total = f->left_out;
    int rc = gather(a, owner, f, &c, &n, &total, err);
    if (rc) return rc;
    qd_str *names = NULL;
    order_arg g = {a->def, f->strings ? f->strings->at : NULL};
    if (k > n) k = n;
    rc = select_best(a, c, n, k, &g, err);
    if (rc == 0 && f->shard) rc = names_of(a, f->shard, c, k, &names, err);
    out->b = rc ? NULL : qd_arena_calloc(&a->shard->partial->arena, (k + 1ul) * sizeof *out->b);
    if (rc == 0 && !out->b)
        rc = qdi_aggs_no_memory(a->shard->account, k * sizeof *out->b, "results of terms", err);
    for (uint32_t i = 0; rc == 0 && i < k; i++) {
        rc = build_bucket(a, f, &c[i], names ? &names[i] : NULL, out, &out->b[i], err);
        total -= c[i].docs;
        out->n = i + 1;
    }
    if (rc == 0) {
        out->other = total;
        out->full = k > 0 && k >= qdi_terms_of(a->def)->shard_size;
        bool by_count = a->def->order[0].by == QDI_BY_COUNT && !a->def->order[0].ascending;
        out->error = !out->full || a->def->order[0].by == QDI_BY_KEY ? 0
                     : by_count                                      ? (int64_t)c[k - 1].docs
                                                                     : -1;
    }
    qd_free(c);
    return rc;
}
