/*
 * rounding.h: values rounded down to the start of their interval: histogram, date_histogram, and
 * sources of composite.
 */
#ifndef QD_AGGS_ROUNDING_H
#define QD_AGGS_ROUNDING_H

#include "aggs/bind/bind_int.h"
#include "aggs/parse/parse_int.h"

typedef struct qdi_rounding {
    double interval, offset; /* of numbers */
    bool calendar;           /* of dates: by unit, else by interval_ms */
    qd_date_unit unit;
    int64_t interval_ms, offset_ms; /* interval_ms 0: no calendar unit of one length */
    const qd_zone *zone;
} qdi_rounding;

/* calendar_interval, fixed_interval, interval, offset of dates; a->zone is read. No interval at
 * all, and one that is not positive, are refused when the tree is bound. */
int qdi_aggs_rounding_parse(qdi_parse *p, qdi_agg *a, qdi_rounding *r);
/* Is there an interval, and a positive one? */
int qdi_aggs_rounding_check(qdi_binder *x, const qdi_agg *a, const qdi_rounding *r, bool dates);

/* The greatest multiple of step that is not above v. */
int64_t qdi_aggs_floor_to(int64_t v, int64_t step);
/* The start of the interval of dates that holds ms. */
int64_t qdi_aggs_round_date(const qdi_rounding *r, int64_t ms);
/* The start of the interval behind the one that starts at key; INT64_MAX: none. */
int64_t qdi_aggs_round_next(const qdi_rounding *r, int64_t key);
/* The number of the interval that holds v; values beyond 2^62 intervals share the last one. */
static inline int64_t qdi_histogram_index(const qdi_rounding *r, double v)
{
    double x = __builtin_floor((v - r->offset) / r->interval);
    const double most = 0x1p62;
    return x >= most ? (int64_t)most : x <= -most ? -(int64_t)most : x == x ? (int64_t)x : 0;
}
/* The least number of an interval. */
static inline double qdi_histogram_key(const qdi_rounding *r, int64_t index)
{
    return (double)index * r->interval + r->offset;
}

#endif
