/*
 * object.h: values that only scripts make, and the text of any value.
 */
#ifndef QD_SCRIPT_OBJECT_H
#define QD_SCRIPT_OBJECT_H

#include "mapping/date_format.h"
#include "script/value.h"

/* DATE, INSTANT, DURATION: an instant (or a span) of ms and the nanoseconds behind it. */
typedef struct qd_sv_time {
    int64_t ms;
    int32_t rest; /* 0 … 999,999 ns */
    const qd_zone *zone;
} qd_sv_time;

/* UNIT and WEEKDAY: i counts from 0 (ChronoUnit.NANOS, DayOfWeek.MONDAY). */
extern const char *const qd_sv_units[];
extern const char *const qd_sv_weekdays[];

#define QD_SV_PRINT 160 /* bytes of the longest text of a scalar */
/* The text of a scalar, as Java's String.valueOf gives it: a view of the value or of room. */
qd_str qd_sv_print(const qd_sv *v, char room[QD_SV_PRINT]);
/* A DATE or INSTANT as documents show it: with seconds and at least milliseconds, without region.
 */
qd_str qd_sv_print_iso(const qd_sv *v, char room[QD_SV_PRINT]);
/* Appends the text of any value, "[1, 2]" and "{a=1}" for lists and maps; cut at QD_SV_DEPTH. */
void qd_sv_append(const qd_sv *v, qd_buf *b);
/* The next value of v, from *at = 0 on: of a list, array, set or doc['f'] each of its values, of
 * null none, of anything else itself. false: there are no more. */
bool qd_sv_each(const qd_sv *v, uint32_t *at, qd_sv *out);
/* Copies n values into an arena, with all that they hold and as they share it; they are replaced.
 * QD_E_NOMEM without a text; QD_E_ARG: too deep, or an object that lives no longer than its run
 * (doc['f'], an iterator, a function). After an error v is to be dropped. */
QD_MUST_CHECK
int qd_sv_keep(qd_arena *to, qd_sv *v, uint32_t n, qd_err *err);
/* The name of the value's class in Java. */
const char *qd_sv_class(const qd_sv *v);

#endif
