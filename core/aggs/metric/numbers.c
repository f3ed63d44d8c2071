/*
 * numbers.c: the collector of avg, sum, min, max, stats, extended_stats and value_count, and how
 * their results are merged and sent.
 *
 * Sums of integers are exact while collected (64-bit values in a 128-bit sum) and rounded once;
 * sums of doubles carry their error (Kahan), as Elasticsearch's do. One owner alone, the usual
 * case at the top, goes by vectors; many owners pair by pair.
 */
#include "aggs/metric/stats_int.h"
#include <math.h>

typedef qdi_stats_row row;
typedef qdi_stats_state state;

int qdi_aggs_stats_open(qdi_aggr *a, uint32_t want, qd_err *err)
{
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (!t) return qdi_aggs_no_memory(a->shard->account, sizeof *t, "aggregations", err);
    t->want = want;
    if (!(want & QDI_WANT_SQUARES)) return 0;
    t->square = qd_arena_alloc(&a->shard->arena, QD_COLUMN_BATCH * sizeof *t->square);
    if (!t->square)
        return qdi_aggs_no_memory(a->shard->account, QD_COLUMN_BATCH * 8, "aggregations", err);
    return 0;
}

int qdi_aggs_stats_grow(qdi_aggr *a, uint32_t n, qd_err *err)
{
    state *t = a->state;
    uint32_t from = t->cap;
    int rc = qdi_aggs_grow(a->shard->account, &t->rows, &t->cap, n, sizeof *t->rows, err);
    for (uint32_t i = from; rc == 0 && i < t->cap; i++) {
        t->rows[i].min = INT64_MAX;
        t->rows[i].max = INT64_MIN;
    }
    return rc;
}

/* Bounds and counts of a whole block stand in its head: no value is read. */
static bool by_block(qdi_aggr *a, row *r)
{
    state *t = a->state;
    qdi_source *s = a->src;
    const qdi_batch *b = &a->shard->batch;
    if (t->want & (QDI_WANT_SUM | QDI_WANT_SQUARES) || !b->contiguous || s->has_missing ||
        s->script || s->converted || s->batch == b->number)
        return false;
    if (!s->column) return true;
    if (s->field && s->field->slice.n) return false; /* the head counts the values of all keys */
    qd_column_block_info info;
    qd_column_block_at(s->column, b->first, &info);
    uint32_t to = info.to < b->leaf->docs ? info.to : b->leaf->docs;
    if (info.from != b->first || to - info.from != b->n) return false;
    if (!info.docs) return true;
    r->n += info.values;
    if (s->kind == QDI_ORD) return true;
    if (info.min < r->min) r->min = info.min;
    if (info.max > r->max) r->max = info.max;
    return true;
}

/* Sum and bounds of the batch straight from packed values: 1 = done, 0 = not for this block. */
static int by_fold(qdi_aggr *a, row *r, qd_err *err)
{
    state *t = a->state;
    qdi_source *s = a->src;
    const qdi_batch *b = &a->shard->batch;
    bool real = s->kind == QDI_F64 && s->field->number == QD_NUMBER_DOUBLE;
    if (t->want & QDI_WANT_SQUARES || !(t->want & (QDI_WANT_SUM | QDI_WANT_BOUNDS)) ||
        (s->kind != QDI_I64 && !real) || s->has_missing || s->converted || !s->reader ||
        s->batch == b->number)
        return 0;
    if (!b->contiguous && !b->bits) return 0;
    uint32_t from = b->contiguous ? b->first : b->from, to = b->last + 1;
    qd_column_folded f;
    const uint64_t *bits = b->contiguous ? NULL : b->bits;
    bool bounds = t->want & QDI_WANT_BOUNDS;
    int rc = real ? qd_column_fold_f64(s->reader, from, to, bits, bounds, &t->lanes, &f, err)
                  : qd_column_fold(s->reader, from, to, bits, bounds, &f, err);
    if (rc <= 0) return rc;
    r->n += f.n;
    t->has_lanes |= real;
    if (t->want & QDI_WANT_SUM) r->isum += f.sum;
    if (t->want & QDI_WANT_BOUNDS && f.n) {
        if (f.min < r->min) r->min = f.min;
        if (f.max > r->max) r->max = f.max;
    }
    return 1;
}

static inline void add(const state *t, const qdi_source *s, row *r, uint32_t from, uint32_t to)
{
    r->n += to - from;
    if (s->kind == QDI_ORD || from == to) return;
    if (t->want & QDI_WANT_BOUNDS) {
        for (uint32_t k = from; k < to; k++) {
            if (s->v[k] < r->min) r->min = s->v[k];
            if (s->v[k] > r->max) r->max = s->v[k];
        }
    }
    if (t->want & QDI_WANT_SUM) {
        for (uint32_t k = from; k < to; k++) {
            if (s->kind == QDI_I64)
                r->isum += s->v[k];
            else
                qdi_kahan(&r->sum, &r->low, s->f64[k]);
        }
    }
    if (t->want & QDI_WANT_SQUARES)
        for (uint32_t k = from; k < to; k++)
            qdi_kahan(&r->squares, &r->squares_low, s->f64[k] * s->f64[k]);
}

/* May sums of the column's doubles, or of their squares, leave the range of doubles? Then they are
 * added one by one, as Elasticsearch defines it. */
static bool may_overflow(const state *t, const qdi_source *s)
{
    double most = t->want & QDI_WANT_SQUARES ? 0x1p450 : QD_FSUM_MAX;
    int64_t lo = qd_sortable_f64(-most), hi = qd_sortable_f64(most);
    if (s->kind != QDI_F64 || s->field->number != QD_NUMBER_DOUBLE) return false;
    if (s->script) return true; /* nobody knows their bounds */
    if (s->has_missing && (s->missing < lo || s->missing > hi)) return true;
    return s->column && !s->converted && (s->stats->min < lo || s->stats->max > hi);
}

/* All values of the batch go to owner 0. */
static int collect_all(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    row *r = &t->rows[0];
    qdi_source *s = a->src;
    const qdi_kernels *k = qdi_aggs_kernels_get();
    int rc;
    if (by_block(a, r)) return 0;
    if (may_overflow(t, s)) {
        rc = qdi_aggs_source_f64(a->shard, s, err);
        if (!rc) add(t, s, r, 0, s->n);
        return rc;
    }
    rc = by_fold(a, r, err);
    if (rc) return rc < 0 ? rc : 0;
    rc = qdi_aggs_source_load(a->shard, s, err);
    if (rc) return rc;
    r->n += s->n;
    if (s->kind == QDI_ORD || !s->n) return 0;
    if (t->want & QDI_WANT_BOUNDS) k->bounds_i64(s->v, s->n, &r->min, &r->max);
    if (!(t->want & QDI_WANT_SUM)) return 0;
    if (s->kind == QDI_F64 && s->field->number == QD_NUMBER_DOUBLE &&
        !(t->want & QDI_WANT_SQUARES)) {
        t->has_lanes = true;
        k->sum_sortable(s->v, s->n, &t->lanes);
        return 0;
    }
    if (s->kind == QDI_I64) {
        qdi_isum sum;
        k->sum_i64(s->v, s->n, &sum);
        r->isum += (__int128)sum.high * ((__int128)1 << 32) + sum.low;
        if (!(t->want & QDI_WANT_SQUARES)) return 0;
    }
    rc = qdi_aggs_source_f64(a->shard, s, err);
    if (rc) return rc;
    t->has_lanes = true;
    if (s->kind != QDI_I64) k->sum_f64(s->f64, s->n, &t->lanes);
    if (t->want & QDI_WANT_SQUARES)
        for (uint32_t at = 0; at < s->n; at += QD_COLUMN_BATCH) {
            uint32_t n = s->n - at < QD_COLUMN_BATCH ? s->n - at : QD_COLUMN_BATCH;
            for (uint32_t i = 0; i < n; i++) t->square[i] = s->f64[at + i] * s->f64[at + i];
            k->sum_f64(t->square, n, &t->square_lanes);
        }
    return 0;
}

/* Counts and sums of pairs where every document has one value: avg and sum below buckets. */
static void add_sums(const state *t, const qdi_source *s, const uint32_t *idx,
                     const uint32_t *owner, uint32_t n)
{
    row *rows = t->rows;
    if (s->kind == QDI_I64) {
        for (uint32_t i = 0; i < n; i++) {
            row *r = &rows[owner[i]];
            r->n++;
            r->isum += s->v[idx ? idx[i] : i];
        }
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        row *r = &rows[owner[i]];
        r->n++;
        qdi_kahan(&r->sum, &r->low, s->f64[idx ? idx[i] : i]);
    }
}

int qdi_aggs_stats_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                           qd_err *err)
{
    state *t = a->state;
    qdi_source *s = a->src;
    if (!s) return 0;
    if (!idx && !owner) return collect_all(a, err);
    int rc = qdi_aggs_source_index(a->shard, s, err);
    bool reals = (t->want & QDI_WANT_SQUARES) || (t->want & QDI_WANT_SUM && s->kind == QDI_F64);
    if (rc == 0 && reals && s->kind != QDI_ORD) rc = qdi_aggs_source_f64(a->shard, s, err);
    if (rc) return rc;
    if (owner && s->one && t->want == QDI_WANT_SUM && s->kind != QDI_ORD) {
        add_sums(t, s, idx, owner, n);
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from, to;
        qdi_source_doc(s, idx ? idx[i] : i, &from, &to);
        add(t, s, &t->rows[owner ? owner[i] : 0], from, to);
    }
    return 0;
}

/* A 128-bit sum as the nearest double and what is left. */
static void split(__int128 v, double *sum, double *low)
{
    *sum = (double)v;
    *low = -(double)(v - (__int128)*sum);
}

static void stats_read(qdi_aggr *a, uint32_t owner, qdi_stats *o)
{
    state *t = a->state;
    *o = (qdi_stats){.min = INFINITY, .max = -INFINITY};
    if (owner >= t->cap) return;
    const row *r = &t->rows[owner];
    o->n = r->n;
    if (r->min <= r->max) {
        o->min = qd_field_f64(a->bound->field, r->min);
        o->max = qd_field_f64(a->bound->field, r->max);
    }
    if (a->bound->values == QDI_I64) {
        split(r->isum, &o->sum, &o->sum_low);
    } else {
        o->sum = r->sum;
        o->sum_low = r->low;
    }
    o->squares = r->squares;
    o->squares_low = r->squares_low;
    if (owner || !t->has_lanes) return;
    for (uint32_t i = 0; i < QD_FSUM_LANES; i++) {
        qdi_kahan(&o->sum, &o->sum_low, t->lanes.sum[i]);
        qdi_kahan(&o->squares, &o->squares_low, t->square_lanes.sum[i]);
    }
    for (uint32_t i = 0; i < QD_FSUM_LANES; i++) {
        if (isfinite(t->lanes.low[i])) qdi_kahan(&o->sum, &o->sum_low, -t->lanes.low[i]);
        if (isfinite(t->square_lanes.low[i]))
            qdi_kahan(&o->squares, &o->squares_low, -t->square_lanes.low[i]);
    }
}

int qdi_aggs_stats_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    (void)err;
    stats_read(a, owner, qdi_stats_of(out));
    return 0;
}

double qdi_aggs_stats_value(const qdi_stats *s, double sigma, qd_str m)
{
    double n = (double)s->n, sum = s->sum - s->sum_low, squares = s->squares - s->squares_low;
    double variance = (squares - sum * sum / n) / n;
    double sampling = (squares - sum * sum / n) / (n - 1);
    if (variance < 0) variance = 0;
    if (sampling < 0) sampling = 0;
    if (qd_str_is(m, "count")) return n;
    if (qd_str_is(m, "sum")) return sum;
    if (qd_str_is(m, "min")) return s->min;
    if (qd_str_is(m, "max")) return s->max;
    if (qd_str_is(m, "sum_of_squares")) return squares;
    if (!s->n) return NAN;
    if (qd_str_is(m, "avg")) return sum / n;
    if (qd_str_is(m, "variance") || qd_str_is(m, "variance_population")) return variance;
    if (qd_str_is(m, "variance_sampling")) return sampling;
    if (qd_str_is(m, "std_deviation") || qd_str_is(m, "std_deviation_population"))
        return sqrt(variance);
    if (qd_str_is(m, "std_deviation_sampling")) return sqrt(sampling);
    if (qd_str_is(m, "std_upper") || qd_str_is(m, "std_deviation_bounds.upper"))
        return sum / n + sigma * sqrt(variance);
    if (qd_str_is(m, "std_lower") || qd_str_is(m, "std_deviation_bounds.lower"))
        return sum / n - sigma * sqrt(variance);
    return NAN;
}

double qdi_aggs_stats_metric(qdi_aggr *a, uint32_t owner, double sigma, qd_str member)
{
    qdi_stats s;
    stats_read(a, owner, &s);
    return qdi_aggs_stats_value(&s, sigma, member);
}

void qdi_aggs_stats_close(qdi_aggr *a)
{
    state *t = a->state;
    if (!t) return;
    qdi_stats_slots_fini(&t->slots);
    qd_free(t->rows);
}

/* --- results ---------------------------------------------------------------------------------- */

double qdi_aggs_stats_zero(qd_str member)
{
    (void)member;
    return 0;
}

static void add_stats(qdi_stats *to, const qdi_stats *s)
{
    to->n += s->n;
    qdi_kahan(&to->sum, &to->sum_low, s->sum);
    if (s->sum_low != 0) qdi_kahan(&to->sum, &to->sum_low, -s->sum_low);
    qdi_kahan(&to->squares, &to->squares_low, s->squares);
    if (s->squares_low != 0) qdi_kahan(&to->squares, &to->squares_low, -s->squares_low);
    if (s->min < to->min) to->min = s->min;
    if (s->max > to->max) to->max = s->max;
}

int qdi_aggs_stats_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    (void)r, (void)err;
    *qdi_stats_of(out) = (qdi_stats){.min = INFINITY, .max = -INFINITY};
    for (uint32_t i = 0; i < k; i++) add_stats(qdi_stats_of(out), qdi_stats_of(in[i]));
    return 0;
}

/* What of statistics is not as in an empty one. */
enum { STATS_BOUNDS = 1, STATS_LOW = 2, STATS_SQUARES = 4 };

void qdi_aggs_stats_send(const qdi_out *o, qd_writer *w)
{
    const qdi_stats *s = qdi_stats_of(o);
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

void qdi_aggs_stats_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    qdi_stats *s = qdi_stats_of(o);
    (void)tree, (void)arena;
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
