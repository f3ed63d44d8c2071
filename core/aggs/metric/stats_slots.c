/*
 * stats_slots.c: metrics below a table, folded by slot (stats_int.h).
 *
 * Only where every document of the segment has one value, so that a slot's documents are its
 * values; and where no sum of integers can leave 64 bits, none of doubles can overflow.
 *
 * A sum with compensation waits for four additions a value. Doubles are cut in two instead, as
 * Ogita, Rump and Oishi do: with |v| < 2^E, high = (v + M) - M for M = 1.5 * 2^(E + 16) is a
 * multiple of 2^(E - 36), so that sums of 2^16 highs are exact, and low = v - high, exact too, is
 * at most 2^(E - 37). The error of summing k lows in a lane is at most k^2 * 2^(E - 90), k * 2^-67
 * of the sum of magnitudes where these are at least 2^(E - 23): 2^-53 with lanes (k <= 2^14), 2^-51
 * where slots are too many to have some (k <= 2^16). A batch with lesser ones but zero is added
 * with compensation, one by one; parts go to the compensated sums after 2^16 documents.
 */
#include "aggs/metric/stats_int.h"
#include "mapping/field.h"
#include <math.h>

#define LANES 4u
#define LANES_MAX 1024u /* slots with that many lanes: they stay in the first cache */
#define SECTION 65536u  /* documents */
#define CHUNK 256u      /* documents that are cut at once */

static bool sums_fit(const qdi_aggr *a)
{
    const qdi_source *s = a->src;
    const qd_column_stats *st = s->stats;
    if (s->kind == QDI_I64) {
        int64_t most = INT64_MAX / (int64_t)st->docs;
        return st->min >= -most && st->max <= most;
    }
    double min = qd_field_f64(s->field, st->min), max = qd_field_f64(s->field, st->max);
    return min > -QD_FSUM_MAX && max < QD_FSUM_MAX; /* no NaN either, the greatest in the order */
}

/* An array of n elements, zeroed. */
static int room(qdi_aggr *a, void *array, uint32_t *cap, uint32_t n, size_t size, qd_err *err)
{
    void *p;
    int rc = qdi_aggs_grow(a->shard->account, array, cap, n, size, err);
    if (rc) return rc;
    memcpy(&p, array, sizeof p);
    memset(p, 0, n * size);
    return 0;
}

/* How the column's doubles are cut; none: tiny is infinite. */
static void parting(qdi_aggr *a)
{
    qdi_stats_slots *x = &((qdi_stats_state *)a->state)->slots;
    const qdi_source *s = a->src;
    x->pending = 0;
    x->magic = 0;
    x->tiny = INFINITY;
    if (s->field->number != QD_NUMBER_DOUBLE) return;
    double lo = fabs(qd_sortable_to_f64(s->stats->min)),
           hi = fabs(qd_sortable_to_f64(s->stats->max));
    int e;
    (void)frexp(lo > hi ? lo : hi, &e); /* |v| < 2^e */
    if (e < -900) return;
    x->magic = ldexp(1.5, e + 16);
    x->tiny = ldexp(1, e - 23);
}

int qdi_stats_slots_begin(qdi_aggr *a, uint32_t n, qd_err *err)
{
    qdi_stats_state *t = a->state;
    qdi_stats_slots *x = &t->slots;
    const qdi_source *s = a->src;
    if (s && (s->has_missing || s->converted || s->ids || s->script)) return 0;
    x->empty = !s || !s->column;
    if (x->empty) return 1;
    bool sum = (t->want & QDI_WANT_SUM) && s->kind != QDI_ORD, whole = s->kind == QDI_I64;
    if (t->want & QDI_WANT_SQUARES || !s->stats->dense || s->stats->multi) return 0;
    if (sum && !sums_fit(a)) return 0;
    x->n = n;
    x->lanes = n <= LANES_MAX ? LANES : 1;
    uint32_t all = n * x->lanes;
    int rc = 0;
    if (sum && whole) rc = room(a, &x->whole, &x->cap_whole, all, 8, err);
    if (sum && !whole) rc = room(a, &x->sum, &x->cap_sum, all, 8, err);
    if (!rc && sum && !whole) rc = room(a, &x->low, &x->cap_low, all, 8, err);
    x->carried = false;
    if (!rc && sum && !whole) rc = room(a, &x->parts, &x->cap_parts, all, sizeof *x->parts, err);
    if (sum && !whole) parting(a);
    if (rc || !(t->want & QDI_WANT_BOUNDS)) return rc ? rc : 1;
    rc = room(a, &x->min, &x->cap_min, n, 8, err);
    if (!rc) rc = room(a, &x->max, &x->cap_max, n, 8, err);
    for (uint32_t i = 0; !rc && i < n; i++) {
        x->min[i] = INT64_MAX;
        x->max[i] = INT64_MIN;
    }
    return rc ? rc : 1;
}

static inline void add_real(double *sum, double *low, double v)
{
    double y = v - *low, t = *sum + y;
    *low = (t - *sum) - y;
    *sum = t;
}

/* idx NULL: value i is of pair i. */
QD_INLINE void reals(qdi_stats_slots *x, const double *v, const uint32_t *idx, const uint32_t *slot,
                     uint32_t n)
{
    uint32_t i = 0;
    size_t step = x->lanes == LANES ? x->n : 0;
    x->carried = true;
    for (; i + LANES <= n; i += LANES)
        for (uint32_t k = 0; k < LANES; k++) {
            size_t at = slot[i + k] + k * step;
            add_real(&x->sum[at], &x->low[at], v[idx ? idx[i + k] : i + k]);
        }
    for (; i < n; i++) add_real(&x->sum[slot[i]], &x->low[slot[i]], v[idx ? idx[i] : i]);
}

/* Sums of parts to the compensated ones. */
static void settle(qdi_stats_slots *x)
{
    size_t all = x->pending ? (size_t)x->n * x->lanes : 0;
    for (size_t i = 0; i < all; i++) {
        add_real(&x->sum[i], &x->low[i], x->parts[i][0]);
        add_real(&x->sum[i], &x->low[i], x->parts[i][1]);
        x->parts[i] = (qdi_pair){0, 0};
    }
    x->carried |= all > 0;
    x->pending = 0;
}

static void add_parts(qdi_stats_slots *x, const qdi_pair *v, const uint32_t *slot, uint32_t n)
{
    size_t i = 0, step = x->lanes == LANES ? x->n : 0;
    qdi_pair *p0 = x->parts, *p1 = p0 + step, *p2 = p1 + step, *p3 = p2 + step;
    for (; i + LANES <= n; i += LANES) {
        p0[slot[i]] += v[i];
        p1[slot[i + 1]] += v[i + 2]; /* as split leaves them */
        p2[slot[i + 2]] += v[i + 1];
        p3[slot[i + 3]] += v[i + 3];
    }
    for (; i < n; i++) p0[slot[i]] += v[i];
}

/* Doubles by their parts; value i is of pair i. */
static void in_parts(qdi_stats_slots *x, const int64_t *v, const uint32_t *slot, uint32_t n)
{
    const qdi_kernels *k = qdi_aggs_kernels_get();
    _Alignas(32) qdi_pair pairs[CHUNK];
    if (x->pending + n > SECTION) settle(x);
    x->pending += n;
    for (uint32_t at = 0; at < n; at += CHUNK) {
        uint32_t m = n - at < CHUNK ? n - at : CHUNK;
        if (k->split(v + at, m, x->magic, x->tiny, pairs)) {
            add_parts(x, pairs, slot + at, m);
        } else {
            double plain[CHUNK];
            qd_sortable_to_f64_n(v + at, plain, m);
            reals(x, plain, NULL, slot + at, m);
        }
    }
}

QD_INLINE void wholes(qdi_stats_slots *x, const int64_t *v, const uint32_t *idx,
                      const uint32_t *slot, uint32_t n)
{
    size_t i = 0, step = x->lanes == LANES ? x->n : 0;
    int64_t *w0 = x->whole, *w1 = w0 + step, *w2 = w1 + step, *w3 = w2 + step;
    for (; i + LANES <= n; i += LANES) {
        w0[slot[i]] += v[idx ? idx[i] : i];
        w1[slot[i + 1]] += v[idx ? idx[i + 1] : i + 1];
        w2[slot[i + 2]] += v[idx ? idx[i + 2] : i + 2];
        w3[slot[i + 3]] += v[idx ? idx[i + 3] : i + 3];
    }
    for (; i < n; i++) w0[slot[i]] += v[idx ? idx[i] : i];
}

static void bounds(qdi_stats_slots *x, const int64_t *v, const uint32_t *idx, const uint32_t *slot,
                   uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        int64_t w = v[idx ? idx[i] : i], *min = &x->min[slot[i]], *max = &x->max[slot[i]];
        *min = w < *min ? w : *min;
        *max = w > *max ? w : *max;
    }
}

int qdi_stats_slots_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *slot, uint32_t n,
                            qd_err *err)
{
    qdi_stats_state *t = a->state;
    qdi_stats_slots *x = &t->slots;
    qdi_source *s = a->src;
    if (x->empty || !t->want || s->kind == QDI_ORD) return 0;
    bool sum = t->want & QDI_WANT_SUM, parts = !idx && s->kind == QDI_F64 && x->tiny < INFINITY;
    int rc = sum && s->kind == QDI_F64 && !parts ? qdi_aggs_source_f64(a->shard, s, err)
                                                 : qdi_aggs_source_load(a->shard, s, err);
    if (rc) return rc;
    if (!s->one) return qd_err_set(err, QD_E_CORRUPT, "a full column lacks values");
    if (t->want & QDI_WANT_BOUNDS) bounds(x, s->v, idx, slot, n);
    if (!sum) return 0;
    if (s->kind == QDI_I64 && idx)
        wholes(x, s->v, idx, slot, n);
    else if (s->kind == QDI_I64)
        wholes(x, s->v, NULL, slot, n);
    else if (parts)
        in_parts(x, s->v, slot, n);
    else if (idx)
        reals(x, s->f64, idx, slot, n);
    else
        reals(x, s->f64, NULL, slot, n);
    return 0;
}

void qdi_stats_slots_take(qdi_aggr *a, uint32_t slot, uint32_t docs, uint32_t bucket)
{
    qdi_stats_state *t = a->state;
    qdi_stats_slots *x = &t->slots;
    const qdi_source *s = a->src;
    qdi_stats_row *r = &t->rows[bucket];
    if (x->empty) return;
    r->n += docs;
    if (s->kind == QDI_ORD) return;
    if (t->want & QDI_WANT_BOUNDS) {
        if (x->min[slot] < r->min) r->min = x->min[slot];
        if (x->max[slot] > r->max) r->max = x->max[slot];
    }
    if (!(t->want & QDI_WANT_SUM)) return;
    qdi_pair parts = {0, 0}; /* highs of all lanes add up exactly, too */
    for (uint32_t k = 0; k < x->lanes; k++) {
        size_t at = slot + (size_t)k * x->n;
        if (s->kind == QDI_I64) {
            r->isum += x->whole[at];
            continue;
        }
        if (x->pending) parts += x->parts[at];
        if (!x->carried) continue;
        qdi_kahan(&r->sum, &r->low, x->sum[at]);
        qdi_kahan(&r->sum, &r->low, -x->low[at]);
    }
    if (!x->pending) return;
    qdi_kahan(&r->sum, &r->low, parts[0]);
    qdi_kahan(&r->sum, &r->low, parts[1]);
}

void qdi_stats_slots_fini(qdi_stats_slots *s)
{
    qd_free(s->whole);
    qd_free(s->sum);
    qd_free(s->low);
    qd_free(s->parts);
    qd_free(s->min);
    qd_free(s->max);
}
