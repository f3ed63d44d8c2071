/*
 * date_math.h: "now-1d/d", "2001-02-03||+1M/M": date expressions of requests.
 */
#ifndef QD_MAPPING_DATE_MATH_H
#define QD_MAPPING_DATE_MATH_H

#include "mapping/date_format.h"

/* Calendar units, in Elasticsearch's letters. */
typedef enum qd_date_unit {
    QD_UNIT_SECOND,
    QD_UNIT_MINUTE,
    QD_UNIT_HOUR,
    QD_UNIT_DAY,
    QD_UNIT_WEEK,
    QD_UNIT_MONTH,
    QD_UNIT_QUARTER,
    QD_UNIT_YEAR,
} qd_date_unit;

/*
 * Value of an expression. A date before "||" is read by format; round_up: missing parts and
 * rounding go to the last millisecond (gt, lte), else to the first (gte, lt). Rounding and adding
 * happen in zone (NULL: UTC). 0, or QD_E_ES_PARSE with Elasticsearch's text. [any]
 */
QD_MUST_CHECK
int qd_date_math(const qd_date_format *format, qd_str text, int64_t now_ms, bool round_up,
                 const qd_zone *zone, int64_t *ms, qd_err *err);
/* The same for instants finer than milliseconds: *rest gets the nanoseconds behind *ms. [any] */
QD_MUST_CHECK
int qd_date_math_fine(const qd_date_format *format, qd_str text, int64_t now_ms, bool round_up,
                      const qd_zone *zone, int64_t *ms, int32_t *rest, qd_err *err);
/* The first millisecond of the unit that holds ms, in zone. Weeks begin on Monday. [any] */
int64_t qd_date_floor(int64_t ms, qd_date_unit unit, const qd_zone *zone);
/* ms moved by n units in zone; a day that the month does not have becomes its last. [any] */
int64_t qd_date_add(int64_t ms, qd_date_unit unit, int64_t n, const qd_zone *zone);
/* Does the expression depend on now? Then its result must not be cached. [any] */
bool qd_date_math_uses_now(qd_str text);

#endif
