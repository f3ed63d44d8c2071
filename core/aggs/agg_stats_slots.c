/*
 * agg_stats_slots.c: metrics below a table, folded by slot (stats_int.h).
 *
 * Only where every document of the segment has one value, so that a slot's documents are its
 * values; and where no sum of integers can leave 64 bits, none of doubles can overflow.
 */
#include "aggs/stats_int.h"
#include "mapping/field.h"

#define LANES 4u
#define LANES_MAX 1024u /* slots with that many lanes: they stay in the first cache */
#define REAL_MAX 0x1p900

static bool sums_fit(const qdi_aggr *a)
{
    const qdi_source *s = a->src;
    const qd_column_stats *st = s->stats;
    if (s->kind == QDI_I64) {
        int64_t most = INT64_MAX / (int64_t)st->docs;
        return st->min >= -most && st->max <= most;
    }
    double min = qd_field_f64(s->field, st->min), max = qd_field_f64(s->field, st->max);
    return min > -REAL_MAX && max < REAL_MAX; /* no NaN either, the greatest in the order */
}

/* An array of n elements of 8 bytes, each `byte` all over. */
static int room(qdi_aggr *a, void *array, uint32_t *cap, uint32_t n, int byte, qd_err *err)
{
    void *p;
    int rc = qdi_aggs_grow(a->shard->account, array, cap, n, 8, err);
    if (rc) return rc;
    memcpy(&p, array, sizeof p);
    memset(p, byte, n * 8ul);
    return 0;
}

int qdi_stats_slots_begin(qdi_aggr *a, uint32_t n, qd_err *err)
{
    qdi_stats_state *t = a->state;
    qdi_stats_slots *x = &t->slots;
    const qdi_source *s = a->src;
    if (s && (s->has_missing || s->converted || s->ids)) return 0;
    x->empty = !s || !s->column;
    if (x->empty) return 1;
    bool sum = (t->want & QDI_WANT_SUM) && s->kind != QDI_ORD, whole = s->kind == QDI_I64;
    if (t->want & QDI_WANT_SQUARES || !s->stats->dense || s->stats->multi) return 0;
    if (sum && !sums_fit(a)) return 0;
    x->n = n;
    x->lanes = n <= LANES_MAX ? LANES : 1;
    uint32_t all = n * x->lanes;
    int rc = 0;
    if (sum && whole) rc = room(a, &x->whole, &x->cap_whole, all, 0, err);
    if (sum && !whole) rc = room(a, &x->sum, &x->cap_sum, all, 0, err);
    if (!rc && sum && !whole) rc = room(a, &x->low, &x->cap_low, all, 0, err);
    if (rc || !(t->want & QDI_WANT_BOUNDS)) return rc ? rc : 1;
    rc = room(a, &x->min, &x->cap_min, n, 0, err);
    if (!rc) rc = room(a, &x->max, &x->cap_max, n, 0, err);
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
    for (; i + LANES <= n; i += LANES)
        for (uint32_t k = 0; k < LANES; k++) {
            size_t at = slot[i + k] + k * step;
            add_real(&x->sum[at], &x->low[at], v[idx ? idx[i + k] : i + k]);
        }
    for (; i < n; i++) add_real(&x->sum[slot[i]], &x->low[slot[i]], v[idx ? idx[i] : i]);
}

QD_INLINE void wholes(qdi_stats_slots *x, const int64_t *v, const uint32_t *idx,
                      const uint32_t *slot, uint32_t n)
{
    uint32_t i = 0;
    size_t step = x->lanes == LANES ? x->n : 0;
    for (; i + LANES <= n; i += LANES)
        for (uint32_t k = 0; k < LANES; k++)
            x->whole[slot[i + k] + k * step] += v[idx ? idx[i + k] : i + k];
    for (; i < n; i++) x->whole[slot[i]] += v[idx ? idx[i] : i];
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
    bool sum = t->want & QDI_WANT_SUM;
    int rc = sum && s->kind == QDI_F64 ? qdi_aggs_source_f64(a->shard, s, err)
                                       : qdi_aggs_source_load(a->shard, s, err);
    if (rc) return rc;
    if (!s->one) return qd_err_set(err, QD_E_CORRUPT, "a full column lacks values");
    if (t->want & QDI_WANT_BOUNDS) bounds(x, s->v, idx, slot, n);
    if (!sum) return 0;
    if (s->kind == QDI_I64 && idx)
        wholes(x, s->v, idx, slot, n);
    else if (s->kind == QDI_I64)
        wholes(x, s->v, NULL, slot, n);
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
    for (uint32_t k = 0; k < x->lanes; k++) {
        size_t at = slot + (size_t)k * x->n;
        if (s->kind == QDI_I64) {
            r->isum += x->whole[at];
        } else {
            qdi_kahan(&r->sum, &r->low, x->sum[at]);
            qdi_kahan(&r->sum, &r->low, -x->low[at]);
        }
    }
}

void qdi_stats_slots_fini(qdi_stats_slots *s)
{
    qd_free(s->whole);
    qd_free(s->sum);
    qd_free(s->low);
    qd_free(s->min);
    qd_free(s->max);
}
