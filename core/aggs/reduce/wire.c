/*
 * wire.c: partial results between nodes; see wire.h. Each result is written as its definition
 * says: buckets with their children, numbers, or a sketch. The depth is the request's, not the
 * message's.
 */
#include "aggs/reduce/wire.h"
#include "aggs/aggs_int.h"
#include <math.h>

#define BUCKETS_MAX ((size_t)1 << 30)
#define BYTES_MAX ((size_t)1 << 30)

/* Flags of a result. */
enum {
    OUT_BOUND = 1, /* the index has the field (or needs none) */
    OUT_FULL = 2,
    OUT_SUBS = 4 /* of a single bucket */
};
/* Flags of a bucket. */
enum { BUCKET_BYTES = 1, BUCKET_SLOTS = 2, BUCKET_SUBS = 4 };
/* What of statistics is not as in an empty one. */
enum { STATS_BOUNDS = 1, STATS_LOW = 2, STATS_SQUARES = 4 };
/* How a cardinality is written. */
enum { HLL_NONE, HLL_SET, HLL_REGISTERS };

/* --- sort values --- */

void qd_sort_values_write(const qd_sort_value *v, uint32_t n, qd_writer *w)
{
    for (uint32_t i = 0; i < n; i++) {
        qd_write_u8(w, (uint8_t)(v[i].kind << 1 | v[i].missing));
        if (v[i].kind == QD_SORT_SCORE)
            qd_write_float(w, v[i].score);
        else if (v[i].kind == QD_SORT_ORD && !v[i].missing)
            qd_write_str(w, v[i].bytes);
        else
            qd_write_zigzag(w, v[i].i64);
    }
}

qd_sort_value *qd_sort_values_read(qd_body_reader *r, uint32_t n, qd_arena *arena)
{
    qd_sort_value *v = qd_arena_calloc(arena, (n + 1ul) * sizeof *v);
    if (!v) qd_body_reader_nomem(r, "sort");
    for (uint32_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        uint8_t head = qd_read_u8(r, "sort.kind");
        v[i].kind = head >> 1;
        v[i].missing = head & 1;
        if (v[i].kind > QD_SORT_ORD) qd_body_reader_fail(r, "sort.kind", "is no known kind");
        if (v[i].kind == QD_SORT_SCORE)
            v[i].score = qd_read_float(r, "sort.score");
        else if (v[i].kind == QD_SORT_ORD && !v[i].missing)
            v[i].bytes = qd_read_str_copy(r, "sort.bytes", BYTES_MAX, arena);
        else
            v[i].i64 = qd_read_zigzag(r, "sort.value");
    }
    return qd_body_reader_bad(r) ? NULL : v;
}

/* --- numbers and sketches --- */

static void write_stats(const qdi_stats *s, qd_writer *w)
{
    uint8_t flags = 0;
    if (!isinf(s->min) || s->min < 0 || !isinf(s->max) || s->max > 0) flags |= STATS_BOUNDS;
    if (s->sum_low != 0) flags |= STATS_LOW;
    if (s->squares != 0 || s->squares_low != 0) flags |= STATS_SQUARES;
    qd_write_u8(w, flags);
    qd_write_varint(w, s->n);
    qd_write_double(w, s->sum);
    if (flags & STATS_LOW) qd_write_double(w, s->sum_low);
    if (flags & STATS_BOUNDS) {
        qd_write_double(w, s->min);
        qd_write_double(w, s->max);
    }
    if (flags & STATS_SQUARES) {
        qd_write_double(w, s->squares);
        qd_write_double(w, s->squares_low);
    }
}

static void read_stats(qd_body_reader *r, qdi_stats *s)
{
    uint8_t flags = qd_read_u8(r, "stats.flags");
    *s = (qdi_stats){.min = INFINITY, .max = -INFINITY};
    s->n = qd_read_varint(r, "stats.count");
    s->sum = qd_read_double(r, "stats.sum");
    if (flags & STATS_LOW) s->sum_low = qd_read_double(r, "stats.sum_low");
    if (flags & STATS_BOUNDS) {
        s->min = qd_read_double(r, "stats.min");
        s->max = qd_read_double(r, "stats.max");
    }
    if (flags & STATS_SQUARES) {
        s->squares = qd_read_double(r, "stats.squares");
        s->squares_low = qd_read_double(r, "stats.squares_low");
    }
    if (flags > 7) qd_body_reader_fail(r, "stats.flags", "has unknown bits");
}

static void write_hll(const qdi_hll *h, qd_writer *w)
{
    if (!h) {
        qd_write_u8(w, HLL_NONE);
    } else if (h->registers) {
        qd_write_u8(w, HLL_REGISTERS);
        qd_write_raw(w, h->registers, (size_t)1 << h->p);
    } else {
        qd_write_u8(w, HLL_SET);
        qd_write_array(w, h->n);
        for (uint32_t i = 0; i < h->cap; i++)
            if (h->set[i]) qd_write_u32(w, h->set[i] - 1);
    }
}

static qdi_hll *read_hll(qd_body_reader *r, const qdi_agg *def, qd_arena *arena)
{
    uint8_t how = qd_read_u8(r, "cardinality.kind"), p = qdi_aggs_hll_precision(def->u.precision);
    qdi_hll *h = how == HLL_NONE ? NULL : qd_arena_calloc(arena, sizeof *h);
    if (how == HLL_NONE) return NULL;
    if (!h) {
        qd_body_reader_nomem(r, "cardinality");
    } else if (how == HLL_REGISTERS) {
        qd_str bytes = qd_read_raw(r, "cardinality.registers", (size_t)1 << p);
        if (!qd_body_reader_bad(r) && !qdi_aggs_hll_load(h, p, bytes, NULL, 0, arena))
            qd_body_reader_fail(r, "cardinality.registers", "are none of this precision");
    } else if (how == HLL_SET) {
        uint32_t n = (uint32_t)qd_read_array(r, "cardinality.set", (size_t)1 << p, 4);
        uint32_t *set = qd_arena_alloc(arena, (n + 1ul) * sizeof *set);
        for (uint32_t i = 0; i < n && set; i++) set[i] = qd_read_u32(r, "cardinality.hash");
        if (!qd_body_reader_bad(r) &&
            (!set || !qdi_aggs_hll_load(h, p, (qd_str){NULL, 0}, set, n, arena)))
            qd_body_reader_fail(r, "cardinality.set", "has an impossible hash");
    } else {
        qd_body_reader_fail(r, "cardinality.kind", "is no known kind");
    }
    return h;
}

static void write_digest(const qdi_digest *d, qd_writer *w)
{
    qd_write_bool(w, d != NULL);
    if (!d) return;
    qd_write_bool(w, d->exact);
    qd_write_double(w, d->min);
    qd_write_double(w, d->max);
    qd_write_array(w, d->n);
    for (uint32_t i = 0; i < d->n; i++) {
        qd_write_double(w, d->at[i].mean);
        if (!d->exact) qd_write_double(w, d->at[i].weight);
    }
}

static qdi_digest *read_digest(qd_body_reader *r, const qdi_agg *def, const qd_aggs *tree,
                               qd_arena *arena)
{
    if (!qd_read_bool(r, "percentiles.there")) return NULL;
    qdi_digest *d = qd_arena_alloc(arena, sizeof *d);
    if (!d) {
        qd_body_reader_nomem(r, "percentiles");
        return NULL;
    }
    qdi_aggs_digest_init(d, def->u.percents.compression, tree->flavour);
    d->exact = qd_read_bool(r, "percentiles.exact");
    d->min = qd_read_double(r, "percentiles.min");
    d->max = qd_read_double(r, "percentiles.max");
    d->n = (uint32_t)qd_read_array(r, "percentiles.centroids", UINT32_MAX / 32, d->exact ? 8 : 16);
    d->at = qd_arena_alloc(arena, (d->n + 1ul) * sizeof *d->at);
    if (!d->at) qd_body_reader_nomem(r, "percentiles.centroids");
    for (uint32_t i = 0; i < d->n && !qd_body_reader_bad(r); i++) {
        qdi_centroid *c = &d->at[i];
        c->mean = qd_read_double(r, "percentiles.mean");
        c->weight = d->exact ? 1 : qd_read_double(r, "percentiles.weight");
        d->total += c->weight;
        if (isnan(c->mean) || !(c->weight > 0) || isinf(c->weight))
            qd_body_reader_fail(r, "percentiles.centroids", "has none of a weight");
    }
    d->merged = 0; /* not trusted to be in order */
    d->cap = d->n;
    return d;
}

static void write_hdr(const qdi_hdr *h, qd_writer *w)
{
    int64_t before = 0;
    qd_write_bool(w, h != NULL);
    if (!h) return;
    qd_write_array(w, h->n);
    for (uint32_t i = 0; i < (h->settled ? h->n : h->cap); i++) {
        if (!h->at[i].n) continue;
        qd_write_zigzag(w, (int64_t)((uint64_t)h->at[i].key - (uint64_t)before));
        qd_write_varint(w, h->at[i].n);
        before = h->at[i].key;
    }
}

static qdi_hdr *read_hdr(qd_body_reader *r, const qdi_agg *def, qd_arena *arena)
{
    uint64_t before = 0;
    if (!qd_read_bool(r, "percentiles.there")) return NULL;
    qdi_hdr *h = qd_arena_alloc(arena, sizeof *h);
    if (!h) {
        qd_body_reader_nomem(r, "percentiles");
        return NULL;
    }
    qdi_aggs_hdr_init(h, (uint32_t)def->u.percents.digits);
    uint32_t n = (uint32_t)qd_read_array(r, "percentiles.cells", UINT32_MAX / 32, 2);
    h->at = qd_arena_alloc(arena, (n + 1ul) * sizeof *h->at);
    if (!h->at) qd_body_reader_nomem(r, "percentiles.cells");
    for (uint32_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        h->at[i].key = (int64_t)(before + (uint64_t)qd_read_zigzag(r, "percentiles.cell"));
        h->at[i].n = qd_read_varint(r, "percentiles.count");
        before = (uint64_t)h->at[i].key;
    }
    if (!qd_body_reader_bad(r) && !qdi_aggs_hdr_load(h, n))
        qd_body_reader_fail(r, "percentiles.cells", "are not in order");
    return h;
}

static void write_hits(const qdi_out *o, qd_writer *w)
{
    uint32_t nkeys = o->bound ? o->bound->sort.nkeys : 0;
    qd_write_varint(w, o->u.hits.total);
    qd_write_float(w, o->u.hits.best);
    qd_write_array(w, o->u.hits.n);
    for (uint32_t i = 0; i < o->u.hits.n; i++) {
        const qdi_hit *h = &o->u.hits.at[i];
        qd_write_varint(w, h->shard);
        qd_write_varint(w, h->doc);
        qd_write_float(w, h->score);
        qd_sort_values_write(h->values, nkeys, w);
        qd_write_str(w, h->json);
    }
}

static void read_hits(qd_body_reader *r, qdi_out *o, qd_arena *arena)
{
    uint32_t nkeys = o->bound ? o->bound->sort.nkeys : 0;
    o->u.hits.total = qd_read_varint(r, "top_hits.total");
    o->u.hits.best = qd_read_float(r, "top_hits.max_score");
    o->u.hits.n = (uint32_t)qd_read_array(r, "top_hits.hits", UINT32_MAX / 64, 7);
    o->u.hits.at = qd_arena_calloc(arena, (o->u.hits.n + 1ul) * sizeof *o->u.hits.at);
    if (!o->u.hits.at) qd_body_reader_nomem(r, "top_hits.hits");
    for (uint32_t i = 0; i < o->u.hits.n && !qd_body_reader_bad(r); i++) {
        qdi_hit *h = &o->u.hits.at[i];
        h->shard = (uint32_t)qd_read_varint_max(r, "top_hits.shard", UINT32_MAX);
        h->doc = (uint32_t)qd_read_varint_max(r, "top_hits.doc", UINT32_MAX);
        h->score = qd_read_float(r, "top_hits.score");
        h->values = qd_sort_values_read(r, nkeys, arena);
        h->json = qd_read_str_copy(r, "top_hits.json", BYTES_MAX, arena);
        for (uint32_t k = 0; k < nkeys && h->values; k++) {
            if (h->values[k].kind != o->bound->sort.keys[k].kind)
                qd_body_reader_fail(r, "top_hits.sort", "is of another kind");
        }
    }
}

/* --- results --- */

static void write_out(const qdi_out *o, qd_writer *w);
static qdi_out *read_out(qd_body_reader *r, const qdi_agg *def, const qd_aggs_bound *b,
                         qd_arena *arena);

static void write_subs(qdi_out *const *subs, const qdi_agg *def, qd_writer *w)
{
    for (uint32_t i = 0; i < def->nplain; i++) {
        qd_write_bool(w, subs[i] != NULL);
        if (subs[i]) write_out(subs[i], w);
    }
}

static qdi_out **read_subs(qd_body_reader *r, const qdi_agg *def, const qd_aggs_bound *b,
                           qd_arena *arena)
{
    qdi_out **subs = qd_arena_calloc(arena, (def->nsubs + 1ul) * sizeof(qdi_out *));
    if (!subs) qd_body_reader_nomem(r, "aggregations");
    for (uint32_t i = 0; i < def->nplain && !qd_body_reader_bad(r); i++) {
        if (qd_read_bool(r, "aggregation.there")) subs[i] = read_out(r, def->subs[i], b, arena);
    }
    return subs;
}

static void write_slots(const qdi_slot *s, uint32_t n, qd_writer *w)
{
    for (uint32_t i = 0; i < n; i++) {
        qd_write_u8(w, (uint8_t)(s[i].kind << 1 | s[i].null));
        if (s[i].null) continue;
        if (s[i].kind == QDI_ORD)
            qd_write_str(w, s[i].bytes);
        else
            qd_write_zigzag(w, s[i].i64);
    }
}

static qdi_slot *read_slots(qd_body_reader *r, uint32_t n, qd_arena *arena)
{
    qdi_slot *s = qd_arena_calloc(arena, (n + 1ul) * sizeof *s);
    if (!s) qd_body_reader_nomem(r, "composite.key");
    for (uint32_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        uint8_t head = qd_read_u8(r, "composite.kind");
        s[i].kind = head >> 1;
        s[i].null = head & 1;
        if (s[i].kind > QDI_ORD) qd_body_reader_fail(r, "composite.kind", "is no known kind");
        if (s[i].null) continue;
        if (s[i].kind == QDI_ORD)
            s[i].bytes = qd_read_str_copy(r, "composite.bytes", BYTES_MAX, arena);
        else
            s[i].i64 = qd_read_zigzag(r, "composite.value");
    }
    return s;
}

static void write_buckets(const qdi_out *o, qd_writer *w)
{
    int64_t before = 0;
    qd_write_array(w, o->n);
    for (uint32_t i = 0; i < o->n; i++) {
        const qdi_bucket_out *b = &o->b[i];
        uint8_t flags = (uint8_t)((b->bytes.p ? BUCKET_BYTES : 0) | (b->slots ? BUCKET_SLOTS : 0) |
                                  (b->subs ? BUCKET_SUBS : 0));
        qd_write_u8(w, flags);
        qd_write_zigzag(w, (int64_t)((uint64_t)b->key - (uint64_t)before));
        before = b->key;
        if (flags & BUCKET_BYTES) qd_write_str(w, b->bytes);
        if (flags & BUCKET_SLOTS) write_slots(b->slots, o->def->u.composite.n, w);
        qd_write_varint(w, b->docs);
        qd_write_zigzag(w, b->error);
        if (flags & BUCKET_SUBS) write_subs(b->subs, o->def, w);
    }
}

/* Does a bucket have the key that its kind of result needs? */
static bool key_fits(const qdi_out *o, uint8_t flags, int64_t key)
{
    bool composite = o->def->type == QDI_COMPOSITE;
    if (composite != ((flags & BUCKET_SLOTS) != 0)) return false;
    bool words = o->def->type == QDI_TERMS && o->kind == QDI_ORD;
    if (words != ((flags & BUCKET_BYTES) != 0)) return false;
    return qdi_aggs_type_flags(o->def->type) & QDI_MULTI && key >= INT64_MIN;
}

static uint32_t buckets_max(const qdi_agg *def)
{
    switch (def->type) {
    case QDI_RANGE:
    case QDI_DATE_RANGE:
    case QDI_IP_RANGE:
        return def->u.range.n;
    case QDI_FILTERS:
        return def->u.filters.n + def->u.filters.other;
    default:
        return (uint32_t)BUCKETS_MAX;
    }
}

static void read_buckets(qd_body_reader *r, qdi_out *o, const qd_aggs_bound *bound, qd_arena *arena)
{
    uint64_t before = 0;
    o->n = (uint32_t)qd_read_array(r, "buckets", buckets_max(o->def), 4);
    o->b = qd_arena_calloc(arena, (o->n + 1ul) * sizeof *o->b);
    if (!o->b) qd_body_reader_nomem(r, "buckets");
    for (uint32_t i = 0; i < o->n && !qd_body_reader_bad(r); i++) {
        qdi_bucket_out *b = &o->b[i];
        uint8_t flags = qd_read_u8(r, "bucket.flags");
        b->key = (int64_t)(before + (uint64_t)qd_read_zigzag(r, "bucket.key"));
        before = (uint64_t)b->key;
        if (flags > 7 || !key_fits(o, flags, b->key))
            qd_body_reader_fail(r, "bucket.flags", "do not fit the aggregation");
        if (flags & BUCKET_BYTES) b->bytes = qd_read_str_copy(r, "bucket.bytes", BYTES_MAX, arena);
        if (flags & BUCKET_SLOTS && !qd_body_reader_bad(r))
            b->slots = read_slots(r, o->def->u.composite.n, arena);
        b->docs = qd_read_varint(r, "bucket.docs");
        b->error = qd_read_zigzag(r, "bucket.error");
        if (flags & BUCKET_SUBS && !qd_body_reader_bad(r))
            b->subs = read_subs(r, o->def, bound, arena);
    }
}

static void write_value(const qdi_out *o, qd_writer *w)
{
    switch (o->def->type) {
    case QDI_TOP_HITS:
        write_hits(o, w);
        break;
    case QDI_CARDINALITY:
        write_hll(o->u.hll, w);
        break;
    case QDI_PERCENTILES:
    case QDI_PERCENTILE_RANKS:
        if (o->def->u.percents.digits >= 0)
            write_hdr(o->u.hdr, w);
        else
            write_digest(o->u.digest, w);
        break;
    case QDI_WEIGHTED_AVG:
        qd_write_double(w, o->u.weighted.sum);
        qd_write_double(w, o->u.weighted.sum_low);
        qd_write_double(w, o->u.weighted.weight);
        qd_write_double(w, o->u.weighted.weight_low);
        qd_write_varint(w, o->u.weighted.n);
        break;
    default:
        write_stats(&o->u.stats, w);
    }
}

static void read_value(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    const qdi_agg *def = o->def;
    switch (def->type) {
    case QDI_TOP_HITS:
        read_hits(r, o, arena);
        break;
    case QDI_CARDINALITY:
        o->u.hll = read_hll(r, def, arena);
        break;
    case QDI_PERCENTILES:
    case QDI_PERCENTILE_RANKS:
        if (def->u.percents.digits >= 0)
            o->u.hdr = read_hdr(r, def, arena);
        else
            o->u.digest = read_digest(r, def, tree, arena);
        break;
    case QDI_WEIGHTED_AVG:
        o->u.weighted.sum = qd_read_double(r, "weighted_avg.sum");
        o->u.weighted.sum_low = qd_read_double(r, "weighted_avg.sum_low");
        o->u.weighted.weight = qd_read_double(r, "weighted_avg.weight");
        o->u.weighted.weight_low = qd_read_double(r, "weighted_avg.weight_low");
        o->u.weighted.n = qd_read_varint(r, "weighted_avg.count");
        break;
    default:
        read_stats(r, &o->u.stats);
    }
}

static void write_out(const qdi_out *o, qd_writer *w)
{
    uint32_t is = qdi_aggs_type_flags(o->def->type);
    bool full = o->full;
    qd_write_u8(w, (uint8_t)((o->bound ? OUT_BOUND : 0) | (full ? OUT_FULL : 0) |
                             (o->subs ? OUT_SUBS : 0)));
    qd_write_u8(w, o->kind);
    if (is & QDI_SINGLE) {
        qd_write_varint(w, o->docs);
        if (o->subs) write_subs(o->subs, o->def, w);
    } else if (is & QDI_MULTI) {
        qd_write_zigzag(w, o->error);
        qd_write_varint(w, o->other);
        write_buckets(o, w);
    } else {
        write_value(o, w);
    }
}

static qdi_out *read_out(qd_body_reader *r, const qdi_agg *def, const qd_aggs_bound *b,
                         qd_arena *arena)
{
    uint32_t is = qdi_aggs_type_flags(def->type);
    qdi_out *o = qd_arena_calloc(arena, sizeof *o);
    if (!o) {
        qd_body_reader_nomem(r, "aggregation");
        return NULL;
    }
    uint8_t flags = qd_read_u8(r, "aggregation.flags");
    o->def = def;
    o->bound = flags & OUT_BOUND ? &b->at[def->id] : NULL;
    o->full = flags & OUT_FULL;
    o->kind = qd_read_u8(r, "aggregation.kind");
    if (flags > 7) qd_body_reader_fail(r, "aggregation.flags", "has unknown bits");
    if (o->kind > QDI_ORD) qd_body_reader_fail(r, "aggregation.kind", "is no known kind");
    if (qd_body_reader_bad(r)) return o;
    if (is & QDI_SINGLE) {
        o->docs = qd_read_varint(r, "aggregation.docs");
        if (flags & OUT_SUBS) o->subs = read_subs(r, def, b, arena);
    } else if (is & QDI_MULTI) {
        o->error = qd_read_zigzag(r, "aggregation.error");
        o->other = qd_read_varint(r, "aggregation.other");
        read_buckets(r, o, b, arena);
    } else {
        read_value(r, o, b->tree, arena);
    }
    return o;
}

/* --- whole partial results --- */

void qd_aggs_partial_write(const qd_aggs_partial *p, qd_writer *w)
{
    qd_write_array(w, p->n);
    for (uint32_t i = 0; i < p->n; i++) {
        qd_write_bool(w, p->at[i] != NULL);
        if (p->at[i]) write_out(p->at[i], w);
    }
}

int qd_aggs_partial_read(qd_body_reader *r, const qd_aggs_bound *b, qd_account *account,
                         qd_aggs_partial **out, qd_err *err)
{
    const qd_aggs *tree = b->tree;
    qd_aggs_partial *p = qd_calloc(account, sizeof *p);
    if (!p) return qdi_aggs_no_memory(account, sizeof *p, "results of aggregations", err);
    qd_arena_init(&p->arena, account, 0);
    p->bound = b;
    p->n = tree->nroots;
    p->at = qd_arena_calloc(&p->arena, (p->n + 1ul) * sizeof *p->at);
    if (!p->at) qd_body_reader_nomem(r, "aggregations");
    uint64_t n = qd_read_varint_max(r, "aggregations", tree->nroots);
    if (n != tree->nroots) qd_body_reader_fail(r, "aggregations", "are of another request");
    for (uint32_t i = 0; i < p->n && !qd_body_reader_bad(r); i++) {
        if (!qd_read_bool(r, "aggregation.there")) continue;
        if (i >= tree->nplain) {
            qd_body_reader_fail(r, "aggregation.there", "is no result of a shard");
        } else {
            p->at[i] = read_out(r, tree->roots[i], b, &p->arena);
        }
    }
    int rc = qd_body_reader_check(r, err);
    if (rc)
        qd_aggs_partial_free(p);
    else
        *out = p;
    return rc;
}
