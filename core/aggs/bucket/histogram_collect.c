/*
 * histogram_collect.c: histogram and date_histogram: values rounded down to keys.
 *
 * A histogram's bucket key is the number of its interval. Date keys are milliseconds; where
 * rounding needs the calendar or a zone, the interval found last is kept, since documents that
 * stand together are often near in time, and the others are found in a table of the segment's
 * intervals when there are few. Steps of one length lead to their bucket by a table as well, where
 * there is one owner: the number of the interval from the segment's least value on.
 */
#include "aggs/bucket/histogram_int.h"
#include "aggs/counts_int.h"
#include "aggs/kernels/kern_int.h"
#include <math.h>

#define TABLE_MAX 16384u

typedef struct state {
    int64_t lo, hi, key; /* values of [lo, hi) round to key */
    int64_t *table;      /* ascending keys of all intervals from the segment's least value on */
    uint32_t cap, n;
    int64_t table_end; /* values from here on are not in the table */
    int64_t *keys;     /* of a batch */
    uint32_t cap_keys;
    /* steps of one length, one owner */
    uint32_t *bucket; /* by interval of the leaf: bucket + 1; 0: not met yet */
    uint32_t cap_bucket, nbucket;
    bool counting; /* documents by interval; children, if any, fold by interval too */
    qdi_counts count;
    uint32_t *numbers; /* of a batch: the intervals; behind them those of some pairs */
    bool reals;        /* intervals are found as doubles */
    int64_t base;      /* of interval 0 */
    int64_t step;
    int64_t first; /* histogram: the number of interval 0 */
} state;

/* --- collecting ------------------------------------------------------------------------------- */

static int histogram_open(qdi_aggr *a, qd_err *err)
{
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (!t) return qdi_aggs_no_memory(a->shard->account, sizeof *t, "aggregations", err);
    if (a->src && qdi_histogram_of_ranges(a->bound)) a->src->want_dict = true;
    return 0;
}

static bool simple(const qdi_agg *d)
{
    bool by_step = qdi_histogram_of(d)->round.interval_ms != 0;
    return !qdi_histogram_of(d)->dates || (by_step && (!d->zone || qd_zone_fixed(d->zone)));
}

/* Intervals of dates: *n of them from t->base on; 0: too many, or too far from it. */
static uint32_t date_steps(qdi_aggr *a)
{
    state *t = a->state;
    const qdi_agg *d = a->def;
    const qd_column_stats *st = a->src->stats;
    int64_t shift =
                qdi_histogram_of(d)->round.offset_ms - (int64_t)qd_zone_offset(d->zone, 0) * 1000,
            span;
    t->step = qdi_histogram_of(d)->round.interval_ms;
    t->base = qdi_aggs_floor_to(st->min - shift, t->step) + shift;
    if (__builtin_sub_overflow(st->max, t->base, &span) || span < 0 || span >= (int64_t)1 << 52 ||
        span / t->step >= TABLE_MAX)
        return 0;
    return (uint32_t)(span / t->step) + 1;
}

/* Intervals of numbers: whole numbers by whole ones as dates are, others as doubles. */
static uint32_t number_steps(qdi_aggr *a)
{
    state *t = a->state;
    const qdi_agg *d = a->def;
    const qdi_source *s = a->src;
    const double interval = qdi_histogram_of(d)->round.interval,
                 offset = qdi_histogram_of(d)->round.offset, far = 0x1p50;
    double min = (double)s->stats->min, max = (double)s->stats->max;
    if (s->kind == QDI_F64) {
        min = qd_field_f64(s->field, s->stats->min);
        max = qd_field_f64(s->field, s->stats->max);
    }
    if (!(min > -far && max < far && offset > -far && offset < far && interval > 1 / far)) return 0;
    t->first = qdi_histogram_index(&qdi_histogram_of(d)->round, min);
    int64_t last = qdi_histogram_index(&qdi_histogram_of(d)->round, max);
    if (t->first < -(int64_t)far || last > (int64_t)far || last - t->first >= TABLE_MAX) return 0;
    bool whole = interval < far && interval == floor(interval) && offset == floor(offset);
    t->reals = s->kind == QDI_F64 || !whole;
    if (!t->reals) {
        t->step = (int64_t)interval;
        t->base = t->first * t->step + (int64_t)offset;
    }
    return (uint32_t)(last - t->first) + 1;
}

/* Room for the intervals of a leaf, if they are of one length and not too many. */
static int table_of_steps(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    const qdi_bounds *hard = &qdi_histogram_bounds(a->bound)[QDI_BOUNDS_HARD];
    bool dates = qdi_histogram_of(a->def)->dates;
    if (!a->single || (dates && s->kind != QDI_I64) || s->has_missing || s->converted ||
        hard->has[0] || hard->has[1] || s->stats->min > s->stats->max)
        return 0;
    t->reals = false;
    uint32_t n = dates ? date_steps(a) : number_steps(a);
    if (!n) return 0;
    if (!t->numbers)
        t->numbers = qd_arena_alloc(&a->shard->arena, 2 * QDI_EMIT * sizeof *t->numbers);
    if (!t->numbers) return qdi_aggs_no_memory(a->shard->account, QDI_EMIT * 8, "histogram", err);
    int rc = a->nsubs ? qdi_aggs_slots_begin(a, n, err) : 1;
    if (rc < 0) return rc;
    t->counting = rc;
    rc = t->counting ? qdi_counts_reset(&t->count, a->shard->account, n, err) : 0;
    if (rc) return rc;
    rc = qdi_aggs_grow(a->shard->account, &t->bucket, &t->cap_bucket, n, sizeof *t->bucket, err);
    if (rc) return rc;
    memset(t->bucket, 0, n * sizeof *t->bucket);
    t->nbucket = n;
    return 0;
}

/* A table of all intervals between the segment's bounds, if there are not too many. */
static int histogram_leaf(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    t->n = t->nbucket = 0;
    t->counting = false;
    t->lo = t->hi = 0;
    if (!a->src || !a->src->column || qdi_histogram_of_ranges(a->bound)) return 0;
    if (simple(a->def)) return table_of_steps(a, err);
    if (a->src->kind != QDI_I64 || a->src->converted) return 0;
    int64_t min = a->src->stats->min, max = a->src->stats->max;
    int64_t span = max - min, rough = qdi_histogram_of(a->def)->round.interval_ms;
    static const int64_t unit_ms[] = {1000,      60000,      3600000,    86400000,
                                      604800000, 2419200000, 7776000000, 31536000000};
    if (qdi_histogram_of(a->def)->round.calendar)
        rough = unit_ms[qdi_histogram_of(a->def)->round.unit];
    if (span < 0 || span / rough > TABLE_MAX - 16) return 0;
    int64_t key = qdi_aggs_round_date(&qdi_histogram_of(a->def)->round, min);
    for (;; key = qdi_aggs_round_next(&qdi_histogram_of(a->def)->round, key)) {
        int rc =
            qdi_aggs_grow(a->shard->account, &t->table, &t->cap, t->n + 1, sizeof *t->table, err);
        if (rc) return rc;
        t->table_end = key;
        if (key > max || t->n == TABLE_MAX) break;
        t->table[t->n++] = key;
    }
    return 0;
}

static int64_t round_cached(const qdi_agg *d, state *t, int64_t v)
{
    if (v >= t->lo && v < t->hi) return t->key;
    if (t->n && v >= t->table[0] && v < t->table_end) {
        uint32_t lo = 0, hi = t->n;
        while (hi - lo > 1) {
            uint32_t mid = (lo + hi) / 2;
            if (t->table[mid] <= v)
                lo = mid;
            else
                hi = mid;
        }
        t->lo = t->key = t->table[lo];
        t->hi = lo + 1 < t->n ? t->table[lo + 1] : t->table_end;
        return t->key;
    }
    t->key = t->lo = qdi_aggs_round_date(&qdi_histogram_of(d)->round, v);
    t->hi = qdi_aggs_round_next(&qdi_histogram_of(d)->round, t->key);
    if (v < t->lo || v >= t->hi) t->lo = t->hi = 0;
    return t->key;
}

/* Keys of all values of the batch. */
static int make_keys(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    qdi_source *s = a->src;
    const qdi_agg *d = a->def;
    int rc = qdi_aggs_grow(a->shard->account, &t->keys, &t->cap_keys, s->n, sizeof *t->keys, err);
    if (rc) return rc;
    if (!qdi_histogram_of(d)->dates) {
        const qdi_rounding *r = &qdi_histogram_of(d)->round;
        rc = qdi_aggs_source_f64(a->shard, s, err);
        for (uint32_t i = 0; rc == 0 && i < s->n; i++)
            t->keys[i] = qdi_histogram_index(r, s->f64[i]);
        return rc;
    }
    if (s->kind == QDI_F64) { /* numbers taken for milliseconds */
        rc = qdi_aggs_source_f64(a->shard, s, err);
        for (uint32_t i = 0; rc == 0 && i < s->n; i++) {
            double v = s->f64[i];
            t->keys[i] = round_cached(d, t,
                                      v >= 9e18    ? INT64_MAX
                                      : v <= -9e18 ? INT64_MIN
                                                   : (int64_t)v);
        }
        return rc;
    }
    if (simple(d)) {
        int64_t step = qdi_histogram_of(d)->round.interval_ms;
        int64_t shift =
            qdi_histogram_of(d)->round.offset_ms - (int64_t)qd_zone_offset(d->zone, 0) * 1000;
        for (uint32_t i = 0; i < s->n; i++) {
            int64_t v = s->v[i];
            if (v < t->lo || v >= t->hi) {
                t->lo = qdi_aggs_floor_to(v - shift, step) + shift;
                t->hi = t->lo + step;
            }
            t->keys[i] = t->lo;
        }
        return 0;
    }
    for (uint32_t i = 0; i < s->n; i++) t->keys[i] = round_cached(d, t, s->v[i]);
    return 0;
}

/* Is a key within the hard bounds? Elasticsearch counts a date's upper bound as outside, and looks
 * at numbers before the offset is added. */
static bool within(const qdi_agg *d, const qdi_bounds *hard, int64_t key)
{
    if (qdi_histogram_of(d)->dates)
        return (!hard->has[0] || key >= hard->i[0]) && (!hard->has[1] || key < hard->i[1]);
    double v = (double)key * qdi_histogram_of(d)->round.interval;
    return (!hard->has[0] || v >= hard->f[0]) && (!hard->has[1] || v <= hard->f[1]);
}

/* The bucket of an interval that is met first. */
static int first_met(qdi_aggr *a, uint32_t at, qd_err *err)
{
    state *t = a->state;
    uint32_t bucket;
    int64_t key = qdi_histogram_of(a->def)->dates ? t->base + at * t->step : t->first + at;
    int rc = qdi_aggs_bucket(a, 0, key, &bucket, err);
    if (!rc) t->bucket[at] = bucket + 1;
    return rc;
}

/* Intervals of all documents of the batch. */
static int number_batch(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    qdi_source *s = a->src;
    const qdi_agg *d = a->def;
    const qdi_kernels *k = qdi_aggs_kernels_get();
    int rc = t->reals ? qdi_aggs_source_f64(a->shard, s, err) : 0;
    if (rc) return rc;
    uint32_t most =
        t->reals ? k->intervals(s->f64, s->n, qdi_histogram_of(d)->round.offset,
                                qdi_histogram_of(d)->round.interval, (double)t->first, t->numbers)
                 : k->steps(s->v, s->n, t->base, t->step, t->numbers);
    return most < t->nbucket ? 0
                             : qd_err_set(err, QD_E_CORRUPT, "a value outside its column's bounds");
}

/* By the table, a value a document: counted, or the pairs of the batch go to the children at once.
 */
static int by_table(qdi_aggr *a, const uint32_t *idx, uint32_t n, qd_err *err)
{
    state *t = a->state;
    const uint32_t *numbers = t->numbers;
    int rc = number_batch(a, err);
    if (rc) return rc;
    if (idx) { /* those of the pairs */
        uint32_t *picked = t->numbers + QDI_EMIT;
        for (uint32_t i = 0; i < n; i++) picked[i] = numbers[idx[i]];
        numbers = picked;
    }
    if (t->counting) {
        qdi_counts_add(&t->count, numbers, n);
        return a->nsubs ? qdi_aggs_slots_collect(a, idx, numbers, n, err) : 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = numbers[i];
        rc = t->bucket[at] ? 0 : first_met(a, at, err);
        if (rc) return rc;
        uint32_t bucket = t->bucket[at] - 1;
        a->buckets.docs[bucket]++;
        a->eidx[i] = idx ? idx[i] : i;
        a->ebucket[i] = bucket;
    }
    a->en = n;
    return qdi_aggs_emit_flush(a, err);
}

/* Do the documents of the batch lie in a block whose bounds lie in one interval? Then no value is
 * read: documents with a time are mostly written in its order. 1: counted, 0: not so. */
static int by_block(qdi_aggr *a, const uint32_t *idx, uint32_t n, qd_err *err)
{
    state *t = a->state;
    const qdi_source *s = a->src;
    const qdi_batch *b = &a->shard->batch;
    qd_column_block_info info;
    uint32_t number[2];
    if (!t->counting || t->reals || n > QDI_EMIT || !s->stats->dense || s->stats->multi ||
        s->batch == b->number)
        return 0;
    qd_column_block_at(s->column, b->first, &info);
    if (!info.docs || info.to <= b->last) return 0;
    qdi_aggs_kernels_get()->steps((int64_t[2]){info.min, info.max}, 2, t->base, t->step, number);
    if (number[0] != number[1] || number[0] >= t->nbucket) return 0;
    t->count.at[number[0]] += n;
    if (!a->nsubs) return 1;
    for (uint32_t i = 0; i < n; i++) t->numbers[i] = number[0];
    int rc = qdi_aggs_slots_collect(a, idx, t->numbers, n, err);
    return rc ? rc : 1;
}

static int histogram_leaf_end(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    if (!t->counting) return 0;
    qdi_counts_sum(&t->count);
    for (uint32_t i = 0; i < t->nbucket; i++) {
        if (!t->count.at[i]) continue;
        int rc = t->bucket[i] ? 0 : first_met(a, i, err);
        if (!rc) rc = qdi_aggs_slot_take(a, i, t->count.at[i], t->bucket[i] - 1, err);
        if (rc) return rc;
    }
    return 0;
}

static int histogram_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                             qd_err *err)
{
    state *t = a->state;
    qdi_source *s = a->src;
    if (!s) return 0;
    if (qdi_histogram_of_ranges(a->bound)) return qdi_aggs_histogram_ranges(a, idx, owner, n, err);
    const qdi_bounds *hard = &qdi_histogram_bounds(a->bound)[QDI_BOUNDS_HARD];
    int rc = by_block(a, idx, n, err);
    if (rc) return rc < 0 ? rc : 0;
    rc = qdi_aggs_source_index(a->shard, s, err);
    if (rc == 0 && t->nbucket && s->one && n <= QDI_EMIT) return by_table(a, idx, n, err);
    if (rc == 0) rc = make_keys(a, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from, to, bucket, at = idx ? idx[i] : i;
        qdi_source_doc(s, at, &from, &to);
        for (uint32_t k = from; k < to; k++) {
            if (k > from && t->keys[k] == t->keys[k - 1]) continue;
            if (QD_UNLIKELY(hard->has[0] || hard->has[1]) && !within(a->def, hard, t->keys[k]))
                continue;
            rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, t->keys[k], &bucket, err);
            if (rc == 0) rc = qdi_emit(a, at, bucket, err);
            if (rc) return rc;
        }
    }
    return qdi_aggs_emit_flush(a, err);
}

static int key_order(const void *arg, const void *a, const void *b)
{
    const qdi_buckets *t = arg;
    int64_t x = t->key[*(const uint32_t *)a], y = t->key[*(const uint32_t *)b];
    return x < y ? -1 : x > y;
}

int qdi_aggs_histogram_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    qdi_buckets *b = &a->buckets;
    out->bound = a->bound; /* unmapped ones fill their bounds too */
    out->kind = QDI_I64;
    if (qdi_aggs_buckets_group(b))
        return qdi_aggs_no_memory(a->shard->account, 64, "histogram", err);
    if (owner >= b->groups) return 0;
    uint32_t *list = b->list + b->group[owner], n = b->group[owner + 1] - b->group[owner];
    if (qdi_aggs_sort(a->shard->account, list, n, sizeof *list, key_order, b))
        return qdi_aggs_no_memory(a->shard->account, n * 4, "histogram", err);
    out->b = qd_arena_calloc(&a->shard->partial->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) return qdi_aggs_no_memory(a->shard->account, n * sizeof *out->b, "histogram", err);
    for (uint32_t i = 0; i < n; i++) {
        out->b[i].key = b->key[list[i]];
        out->b[i].docs = b->docs[list[i]];
        int rc = qdi_aggs_build_subs(a, list[i], &out->b[i].subs, err);
        if (rc) return rc;
        out->n = i + 1;
    }
    return 0;
}

static void histogram_close(qdi_aggr *a)
{
    state *t = a->state;
    if (!t) return;
    qd_free(t->table);
    qd_free(t->keys);
    qd_free(t->bucket);
    qd_free(t->count.at);
}

const qdi_ops qdi_aggs_histogram_ops = {.reads = QDI_READS_TABLE,
                                        .open = histogram_open,
                                        .leaf = histogram_leaf,
                                        .collect = histogram_collect,
                                        .leaf_end = histogram_leaf_end,
                                        .build = qdi_aggs_histogram_build,
                                        .close = histogram_close};
