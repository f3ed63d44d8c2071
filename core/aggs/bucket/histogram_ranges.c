/*
 * histogram_ranges.c: histogram and date_histogram over fields of intervals: a document is counted
 * once in each bucket that one of its intervals meets. Intervals of a document ascend by their
 * lower ends, so that those met already lie below the last key.
 */
#include "aggs/bucket/histogram_int.h"
#include "runtime/task.h"
#include <math.h>

/* The last key of the document so far. */
typedef struct walk {
    qdi_aggr *a;
    uint32_t at, owner, keys;
    bool any;
    int64_t last;
    qd_err *err;
} walk;

static int count(walk *w, int64_t key)
{
    qdi_aggr *a = w->a;
    uint32_t bucket;
    if (w->any && key <= w->last) return 0;
    if (qdi_aggs_too_many(a, a->buckets.n + 1) &&
        !qdi_aggs_buckets_find(&a->buckets, w->owner, key, &bucket))
        return qdi_aggs_too_many_error(a, w->err);
    w->any = true;
    w->last = key;
    if (++w->keys % 4096 == 0) {
        int rc = qd_task_poll(a->shard->o.task);
        if (rc) return rc;
    }
    int rc = qdi_aggs_bucket(a, w->owner, key, &bucket, w->err);
    return rc ? rc : qdi_emit(a, w->at, bucket, w->err);
}

static int dates(walk *w, const int64_t ends[2])
{
    const qdi_rounding *r = &qdi_histogram_of(w->a->def)->round;
    const qdi_bounds *hard = &qdi_histogram_bounds(w->a->bound)[QDI_BOUNDS_HARD];
    int64_t from = ends[0], to = ends[1];
    if (hard->has[0] && from < hard->i[0]) from = hard->i[0];
    if (hard->has[1] && to > hard->i[1]) to = hard->i[1];
    if (from > to) return 0;
    int64_t key = qdi_aggs_round_date(r, from), last = qdi_aggs_round_date(r, to);
    if (w->any && w->last > key) key = w->last;
    for (int rc = 0; key <= last;) {
        rc = count(w, key);
        if (rc) return rc;
        int64_t next = qdi_aggs_round_next(r, key);
        if (next <= key) break; /* the end of time */
        key = next;
    }
    return 0;
}

static int numbers(walk *w, const int64_t ends[2])
{
    const qdi_rounding *r = &qdi_histogram_of(w->a->def)->round;
    const qdi_bounds *hard = &qdi_histogram_bounds(w->a->bound)[QDI_BOUNDS_HARD];
    const qd_field *f = w->a->bound->field;
    double from = qd_field_f64(f->low, ends[0]), to = qd_field_f64(f->low, ends[1]);
    if (hard->has[0]) from = fmax(from, hard->f[0]);
    if (hard->has[1]) to = fmin(to, hard->f[1]);
    if (from > to) return 0;
    int64_t key = qdi_histogram_index(r, from), last = qdi_histogram_index(r, to);
    if (w->any && w->last > key) key = w->last;
    for (; key <= last; key++) {
        int rc = count(w, key);
        if (rc) return rc;
    }
    return 0;
}

static int one_document(walk *w, uint32_t from, uint32_t to)
{
    qdi_source *s = w->a->src;
    bool by_date = qdi_histogram_of(w->a->def)->dates;
    for (uint32_t k = from; k < to; k++) {
        qd_str v;
        int64_t ends[2];
        int rc = qdi_aggs_source_bytes(s, s->o[k], &v, w->err);
        if (!rc && qd_field_interval(s->field, v, ends))
            rc = by_date ? dates(w, ends) : numbers(w, ends);
        if (rc) return rc;
    }
    return 0;
}

int qdi_aggs_histogram_ranges(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                              qd_err *err)
{
    int rc = qdi_aggs_source_index(a->shard, a->src, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        uint32_t from, to;
        walk w = {.a = a, .at = idx ? idx[i] : i, .owner = owner ? owner[i] : 0, .err = err};
        qdi_source_doc(a->src, w.at, &from, &to);
        rc = one_document(&w, from, to);
    }
    return rc ? rc : qdi_aggs_emit_flush(a, err);
}
