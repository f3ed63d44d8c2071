/*
 * reduce_buckets.c: merging buckets by key, and what only the final reduction does: orders, sizes,
 * empty buckets of histograms.
 */
#include "aggs/aggs_int.h"
#include <math.h>

/* A bucket of one input. */
typedef struct part {
    const qdi_bucket_out *b;
    int64_t key;
    uint32_t in;
} part;

static int no_memory(qdi_reduce *r, size_t bytes, qd_err *err)
{
    return qdi_aggs_no_memory(r->arena->account, bytes, "reducing aggregations", err);
}

typedef struct part_arg {
    const qdi_agg *def;
    uint8_t kind;
} part_arg;

static int part_order(const void *arg, const void *pa, const void *pb)
{
    const part_arg *g = arg;
    const part *a = pa, *b = pb;
    if (g->def->type == QDI_COMPOSITE)
        return qdi_aggs_slots_order(g->def, a->b->slots, b->b->slots);
    if (g->kind == QDI_ORD) return qd_str_cmp(a->b->bytes, b->b->bytes);
    return a->key < b->key ? -1 : a->key > b->key;
}

/* All buckets of all inputs, by key. Integers become doubles when another index holds doubles. */
static int gather(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, part **parts,
                  uint32_t *n, qd_err *err)
{
    uint64_t total = 0;
    bool reals = false, words = false, numbers = false;
    if (out->def->type != QDI_TERMS) numbers = words = false;
    for (uint32_t i = 0; i < k; i++) {
        total += in[i]->n;
        if (in[i]->kind == QDI_NO_VALUES) continue;
        reals |= in[i]->kind == QDI_F64;
        words |= in[i]->kind == QDI_ORD;
        numbers |= in[i]->kind != QDI_ORD;
        out->kind = in[i]->kind;
        if (in[i]->bound && in[i]->bound->field) out->bound = in[i]->bound;
    }
    if (reals) out->kind = QDI_F64;
    part *p = qd_alloc(r->arena->account, (total + 1) * sizeof *p);
    if (!p || total > UINT32_MAX / 2) {
        qd_free(p);
        return no_memory(r, total * sizeof *p, err);
    }
    *n = 0;
    for (uint32_t i = 0; i < k; i++) {
        if (words && numbers && out->def->type == QDI_TERMS) {
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
            if (reals && in[i]->kind == QDI_I64) key = qd_sortable_f64((double)key);
            p[(*n)++] = (part){b, key, i};
        }
    }
    part_arg g = {out->def, words ? QDI_ORD : out->kind};
    if (words) out->kind = QDI_ORD;
    if (qdi_aggs_sort(r->arena->account, p, *n, sizeof *p, part_order, &g)) {
        qd_free(p);
        return no_memory(r, total * sizeof *p, err);
    }
    *parts = p;
    return 0;
}

/* The children of parts [from, to) merged. */
static int merge_subs(qdi_reduce *r, const qdi_agg *def, const part *p, uint32_t n, qdi_out ***out,
                      qd_err *err)
{
    qdi_out **few[16] = {NULL}, ***subs = few;
    *out = NULL;
    if (!def->nsubs) return 0;
    if (n > 16) subs = qd_alloc(r->arena->account, n * sizeof *subs);
    if (!subs) return no_memory(r, n * sizeof *subs, err);
    for (uint32_t i = 0; i < n; i++) subs[i] = p[i].b->subs;
    int rc = qdi_aggs_reduce_subs(r, def, subs, n, out, err);
    if (subs != few) qd_free(subs);
    return rc;
}

static int copy_slots(qdi_reduce *r, const qdi_agg *def, const qdi_slot *from, const qdi_slot **out)
{
    uint32_t n = def->u.composite.n;
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
static int merge_bucket(qdi_reduce *r, const qdi_agg *def, const part *p, uint32_t n,
                        qdi_bucket_out *o, qd_err *err)
{
    *o = (qdi_bucket_out){.key = p->key, .bytes = p->b->bytes, .slots = p->b->slots};
    for (uint32_t i = 0; i < n; i++) o->docs += p[i].b->docs;
    /* inputs go when this is not the end: what they hold is copied */
    if (!r->final && o->bytes.p) {
        o->bytes = qd_arena_str(r->arena, o->bytes);
        if (!o->bytes.p) return no_memory(r, 64, err);
    }
    if (!r->final && o->slots && copy_slots(r, def, o->slots, &o->slots))
        return no_memory(r, 64, err);
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
            c = metric_order(qdi_aggs_out_metric(a->subs, a->docs, &o->path),
                             qdi_aggs_out_metric(b->subs, b->docs, &o->path), o->ascending);
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

static int sort_buckets(qdi_reduce *r, qdi_out *out, const qdi_order *order, uint32_t n,
                        qd_err *err)
{
    order_arg g = {out, order, n};
    if (qdi_aggs_sort(r->arena->account, out->b, out->n, sizeof *out->b, bucket_order, &g))
        return no_memory(r, out->n * sizeof *out->b, err);
    return 0;
}

/* --- terms ------------------------------------------------------------------------------------ */

static int64_t error_of(const qdi_out *const *in, const part *p, uint32_t n, int64_t sum)
{
    int64_t e = sum;
    if (sum < 0) return -1;
    for (uint32_t i = 0; i < n; i++) e += p[i].b->error - in[p[i].in]->error;
    return e;
}

int qdi_aggs_reduce_terms(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    const qdi_agg *def = out->def;
    part *p;
    uint32_t n, size = def->u.terms.size;
    int64_t sum = 0;
    int rc = gather(r, in, k, out, &p, &n, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < k; i++) {
        out->other += in[i]->other;
        if (in[i]->error < 0 || sum < 0)
            sum = -1;
        else
            sum += in[i]->error;
    }
    bool late = r->final; /* children are merged for what is kept only, if the order allows */
    for (uint32_t i = 0; i < def->norder; i++) late &= def->order[i].by != QDI_BY_METRIC;
    out->b = qd_arena_calloc(r->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) rc = no_memory(r, n * sizeof *out->b, err);
    part_arg g = {def, out->kind};
    for (uint32_t i = 0, j; rc == 0 && i < n; i = j) {
        for (j = i + 1; j < n && part_order(&g, &p[i], &p[j]) == 0; j++) {}
        qdi_bucket_out *o = &out->b[out->n];
        rc = merge_bucket(r, def, p + i, j - i, o, err);
        if (r->final && (int64_t)o->docs < def->min_doc_count) continue;
        o->error = error_of((const qdi_out *const *)in, p + i, j - i, sum);
        if (rc == 0 && !late) rc = merge_subs(r, def, p + i, j - i, &o->subs, err);
        o->place = i;
        out->n++;
    }
    out->error = sum;
    if (rc == 0 && r->final) {
        rc = sort_buckets(r, out, def->order, def->norder, err);
        for (uint32_t i = size; rc == 0 && i < out->n; i++) out->other += out->b[i].docs;
        if (out->n > size) out->n = size;
        if (sum >= 0 && k == 1) out->error = 0;
    }
    for (uint32_t i = 0; rc == 0 && late && i < out->n; i++) {
        uint32_t from = out->b[i].place, to = from + 1;
        while (to < n && part_order(&g, &p[from], &p[to]) == 0) to++;
        rc = merge_subs(r, def, p + from, to - from, &out->b[i].subs, err);
    }
    qd_free(p);
    return rc;
}

/* --- histograms ------------------------------------------------------------------------------- */

static int64_t next_key(const qdi_agg *d, int64_t key)
{
    return d->type == QDI_HISTOGRAM ? key + 1 : qdi_aggs_round_next(d, key);
}

/* The key of an extended bound. */
static int64_t bound_key(const qdi_out *out, uint32_t i)
{
    const qdi_bounds *b = &out->bound->bounds[QDI_BOUNDS_EXTENDED];
    const qdi_agg *d = out->def;
    /* a bound is rounded without the offset, which the keys then have */
    if (d->type == QDI_DATE_HISTOGRAM)
        return qdi_aggs_round_date(d, b->i[i] + d->u.histogram.offset_ms);
    return qdi_histogram_index(d, b->f[i]);
}

typedef struct filler {
    qdi_reduce *r;
    qdi_out *out;
    uint32_t cap;
    qdi_out **empty; /* children of an empty bucket: made and counted once, as in Elasticsearch */
} filler;

static int put(filler *f, const qdi_bucket_out *b, qd_err *err)
{
    int64_t most = f->r->tree->max_buckets;
    if (most >= 0 && f->r->buckets + f->out->n + 1 > most)
        return qdi_aggs_reduce_count(f->r, f->out->n + 1, err);
    if (f->out->n == f->cap) {
        uint32_t cap = f->cap ? f->cap * 2 : 64;
        qdi_bucket_out *at = qd_arena_alloc(f->r->arena, cap * sizeof *at);
        if (!at) return no_memory(f->r, cap * sizeof *at, err);
        if (f->out->n) memcpy(at, f->out->b, f->out->n * sizeof *at);
        f->out->b = at;
        f->cap = cap;
    }
    f->out->b[f->out->n++] = *b;
    return 0;
}

static int put_empty(filler *f, int64_t key, qd_err *err)
{
    qdi_bucket_out b = {.key = key};
    uint32_t n = f->out->def->nsubs;
    int rc = 0;
    if (n && !f->empty) rc = qdi_aggs_reduce_subs(f->r, f->out->def, NULL, 0, &f->empty, err);
    if (rc) return rc;
    if (n) { /* an array of its own: pipelines put their results there */
        b.subs = qd_arena_alloc(f->r->arena, n * sizeof(qdi_out *));
        if (!b.subs) return no_memory(f->r, n * sizeof(qdi_out *), err);
        memcpy(b.subs, f->empty, n * sizeof(qdi_out *));
    }
    return put(f, &b, err);
}

/* Puts empty buckets between those that have documents, and out to the extended bounds. */
static int fill(qdi_reduce *r, qdi_out *out, qd_err *err)
{
    const qdi_agg *d = out->def;
    const qdi_bucket_out *old = out->b;
    uint32_t n = out->n;
    const qdi_bounds *e = out->bound ? &out->bound->bounds[QDI_BOUNDS_EXTENDED] : NULL;
    bool lo = e && e->has[0], hi = e && e->has[1];
    filler f = {.r = r, .out = out};
    out->b = NULL;
    out->n = 0;
    int rc = 0;
    int64_t stop = hi ? bound_key(out, 1) : 0, key = 0;
    if (n == 0) {
        if (!lo || !hi) return 0;
        for (key = bound_key(out, 0); rc == 0 && key <= stop && key != INT64_MAX;
             key = next_key(d, key))
            rc = put_empty(&f, key, err);
        return rc;
    }
    if (lo)
        for (key = bound_key(out, 0); rc == 0 && key < old[0].key; key = next_key(d, key))
            rc = put_empty(&f, key, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = put(&f, &old[i], err);
        key = next_key(d, old[i].key);
        for (; rc == 0 && i + 1 < n && key < old[i + 1].key; key = next_key(d, key))
            rc = put_empty(&f, key, err);
    }
    for (; rc == 0 && hi && key <= stop && key != INT64_MAX; key = next_key(d, key))
        rc = put_empty(&f, key, err);
    return rc;
}

int qdi_aggs_reduce_histogram(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out,
                              qd_err *err)
{
    const qdi_agg *def = out->def;
    part *p;
    uint32_t n;
    out->kind = QDI_I64;
    int rc = gather(r, in, k, out, &p, &n, err);
    if (rc) return rc;
    out->b = qd_arena_calloc(r->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) rc = no_memory(r, n * sizeof *out->b, err);
    for (uint32_t i = 0, j; rc == 0 && i < n; i = j) {
        for (j = i + 1; j < n && p[j].key == p[i].key; j++) {}
        qdi_bucket_out *o = &out->b[out->n];
        rc = merge_bucket(r, def, p + i, j - i, o, err);
        if (r->final && (int64_t)o->docs < def->min_doc_count) continue;
        if (rc == 0) rc = merge_subs(r, def, p + i, j - i, &o->subs, err);
        out->n++;
    }
    qd_free(p);
    if (rc || !r->final) return rc;
    if (def->min_doc_count == 0) rc = fill(r, out, err);
    bool by_key = def->order[0].by == QDI_BY_KEY && def->order[0].ascending;
    if (rc == 0 && !by_key) rc = sort_buckets(r, out, def->order, def->norder, err);
    return rc;
}

/* --- the others ------------------------------------------------------------------------------- */

int qdi_aggs_reduce_keyed(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    const qdi_agg *d = out->def;
    uint32_t n = d->type == QDI_FILTERS ? d->u.filters.n + d->u.filters.other : d->u.range.n;
    qdi_out ***subs = qd_alloc(r->arena->account, (k + 1ul) * sizeof *subs);
    out->b = qd_arena_calloc(r->arena, (n + 1ul) * sizeof *out->b);
    int rc = subs && out->b ? 0 : no_memory(r, n * sizeof *out->b, err);
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

/* How keys are written, by an index that knows the field of a source. */
static int composite_bound(qdi_reduce *r, qdi_out *out, qd_err *err)
{
    uint32_t n = out->def->u.composite.n;
    if (!out->bound || r->nbounds < 2) return 0;
    qdi_bound *b = qd_arena_alloc(r->arena, sizeof *b);
    qdi_bound *sources = qd_arena_alloc(r->arena, n * sizeof *sources);
    if (!b || !sources) return no_memory(r, n * sizeof *sources, err);
    *b = *out->bound;
    b->sources = sources;
    for (uint32_t i = 0; i < n; i++) {
        sources[i] = out->bound->sources[i];
        for (size_t k = 0; k < r->nbounds && !sources[i].field; k++)
            sources[i] = r->bounds[k]->at[out->def->id].sources[i];
    }
    out->bound = b;
    return 0;
}

int qdi_aggs_reduce_composite(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out,
                              qd_err *err)
{
    part *p;
    uint32_t n;
    int rc = gather(r, in, k, out, &p, &n, err);
    if (rc) return rc;
    out->b = qd_arena_calloc(r->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) rc = no_memory(r, n * sizeof *out->b, err);
    part_arg g = {out->def, out->kind};
    if (rc == 0) rc = composite_bound(r, out, err);
    for (uint32_t i = 0, j; rc == 0 && i < n && out->n < out->def->u.composite.size; i = j) {
        for (j = i + 1; j < n && part_order(&g, &p[i], &p[j]) == 0; j++) {}
        qdi_bucket_out *o = &out->b[out->n++];
        rc = merge_bucket(r, out->def, p + i, j - i, o, err);
        if (rc == 0) rc = merge_subs(r, out->def, p + i, j - i, &o->subs, err);
    }
    qd_free(p);
    return rc;
}

typedef struct hits_arg {
    const qd_sort_key *keys;
    uint32_t n;
} hits_arg;

static int hit_order(const void *arg, const void *pa, const void *pb)
{
    const hits_arg *g = arg;
    const qdi_hit *a = pa, *b = pb;
    int c = g->n ? qd_sort_compare(g->keys, g->n, a->values, b->values)
                 : (a->score > b->score ? -1 : a->score < b->score);
    if (c) return c;
    if (a->shard != b->shard) return a->shard < b->shard ? -1 : 1;
    return a->doc < b->doc ? -1 : a->doc > b->doc;
}

static int copy_hit(qdi_reduce *r, qdi_hit *h, uint32_t nkeys)
{
    h->json = qd_arena_str(r->arena, h->json);
    qd_sort_value *v = qd_arena_alloc(r->arena, (nkeys + 1) * sizeof *v);
    if (!h->json.p || !v) return QD_E_NOMEM;
    if (nkeys) memcpy(v, h->values, nkeys * sizeof *v);
    for (uint32_t i = 0; i < nkeys; i++) {
        if (!v[i].bytes.n) continue;
        v[i].bytes = qd_arena_str(r->arena, v[i].bytes);
        if (!v[i].bytes.p) return QD_E_NOMEM;
    }
    h->values = v;
    return 0;
}

int qdi_aggs_reduce_hits(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    uint32_t n = 0, size = out->def->u.hits.from + out->def->u.hits.size;
    for (uint32_t i = 0; i < k; i++) n += in[i]->u.hits.n;
    qdi_hit *at = qd_arena_alloc(r->arena, (n + 1ul) * sizeof *at);
    if (!at) return no_memory(r, n * sizeof *at, err);
    n = 0;
    out->u.hits.best = NAN;
    for (uint32_t i = 0; i < k; i++) {
        if (in[i]->u.hits.n) memcpy(at + n, in[i]->u.hits.at, in[i]->u.hits.n * sizeof *at);
        n += in[i]->u.hits.n;
        out->u.hits.total += in[i]->u.hits.total;
        if (in[i]->u.hits.total && !(out->u.hits.best >= in[i]->u.hits.best))
            out->u.hits.best = in[i]->u.hits.best;
    }
    hits_arg g = {out->bound ? out->bound->sort.keys : NULL,
                  out->bound ? out->bound->sort.nkeys : 0};
    if (qdi_aggs_sort(r->arena->account, at, n, sizeof *at, hit_order, &g))
        return no_memory(r, n * sizeof *at, err);
    if (n > size) n = size;
    for (uint32_t i = 0; !r->final && i < n; i++)
        if (copy_hit(r, &at[i], g.n)) return no_memory(r, 64, err);
    out->u.hits.at = at;
    out->u.hits.n = n;
    return 0;
}
