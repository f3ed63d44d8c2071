/*
 * date_format.h: Elasticsearch's date formats: named ones, java.time patterns, joined by "||".
 *
 * A compiled format is immutable [any]. Instants are milliseconds since 1970-01-01T00:00:00Z in the
 * proleptic ISO calendar, years -292,275,055 to 292,278,994.
 */
#ifndef QD_MAPPING_DATE_FORMAT_H
#define QD_MAPPING_DATE_FORMAT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* A time zone: an offset or a region of the tz database. Immutable. */
typedef struct qd_zone qd_zone;

/* Makes a zone of "Z", "UTC", "+01:00", "-0330", "GMT+2", "Europe/Paris" …; lives in the arena.
 * QD_E_ZONE_RULES for an unknown one ("Unknown time-zone ID: x"), QD_E_DATE_TIME for what can be
 * none, QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_zone_make(qd_arena *a, qd_str id, qd_zone **out, qd_err *err);
/* Seconds east of Greenwich at an instant. NULL is UTC. [any] O(log transitions) */
int32_t qd_zone_offset(const qd_zone *z, int64_t utc_ms);
/* The instant of a local time (ms as if it were UTC): in a gap the time is moved forward by its
 * length, in an overlap the earlier offset is taken, as java.time does. [any] */
int64_t qd_zone_to_utc(const qd_zone *z, int64_t local_ms);
/* Next instant after utc_ms at which the offset changes; INT64_MAX when there is none. [any] */
int64_t qd_zone_next_change(const qd_zone *z, int64_t utc_ms);
/* Always the same offset? [any] */
bool qd_zone_fixed(const qd_zone *z);
/* Its id as given, for requests rendered back. [any] */
qd_str qd_zone_id(const qd_zone *z);

/* A local date and time taken apart. */
typedef struct qd_civil {
    int64_t year;
    int32_t month, day; /* from 1 */
    int32_t hour, minute, second, milli;
} qd_civil;

/* Days since 1970-01-01 of a date. [any] */
int64_t qd_days_from_civil(int64_t year, int32_t month, int32_t day);
/* ms (local, or UTC) to parts. [any] */
void qd_civil_from_ms(int64_t ms, qd_civil *out);
/* Back; parts may be out of their ranges (month 13 is January of the next year). [any] */
int64_t qd_civil_to_ms(const qd_civil *c);

typedef struct qd_date_format qd_date_format;

/* Compiles "name||pattern||…" into the arena. QD_E_ARG "Invalid format: [x]: …", QD_E_NOMEM. [any]
 */
QD_MUST_CHECK
int qd_date_format_make(qd_arena *a, qd_str pattern, qd_date_format **out, qd_err *err);
/* "strict_date_optional_time||epoch_millis", static. [any] */
const qd_date_format *qd_date_format_default(void);
/* "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis", made by the first call and kept for good.
 * QD_E_NOMEM [any] */
QD_MUST_CHECK
int qd_date_format_dynamic(const qd_date_format **out, qd_err *err);
/* The pattern as given. [any] */
qd_str qd_date_format_pattern(const qd_date_format *f);

/*
 * Reads text by the first alternative that fits all of it: 0 with *ms, or QD_E_ARG
 * ("failed to parse date field [x] with format [y]") with its cause. zone (NULL: UTC) counts where
 * the text names none. round_up fills missing parts of the day with their last values
 * (23:59:59.999); missing months and days are 1 either way. [any]
 */
QD_MUST_CHECK
int qd_date_parse(const qd_date_format *f, qd_str text, const qd_zone *zone, bool round_up,
                  int64_t *ms, qd_err *err);
/* The same without an error object, for detection and hot paths. [any] */
bool qd_date_try(const qd_date_format *f, qd_str text, const qd_zone *zone, bool round_up,
                 int64_t *ms);
/* Reads a JSON number below zero by the first alternative that is an epoch: before it stands ISO as
 * a rule, which takes -1000 for a year. false: text is no such number, or no epoch is among them.
 * [any]
 */
bool qd_date_before_epoch(const qd_date_format *f, qd_str text, int64_t *ms);
/* Milliseconds of nanoseconds since 1970, the rest cut off. [any] */
static inline int64_t qd_nanos_to_ms(int64_t ns)
{
    return ns >= 0 ? ns / 1000000 : -((999999 - ns) / 1000000);
}
/* "strict_date_optional_time_nanos||epoch_millis", static. [any] */
const qd_date_format *qd_date_format_nanos(void);
/* As qd_date_try, to an instant finer than ms: *rest gets the nanoseconds behind it. [any] */
bool qd_date_try_fine(const qd_date_format *f, qd_str text, const qd_zone *zone, bool round_up,
                      int64_t *ms, int32_t *rest);
/* As qd_date_print, with up to 9 digits of a second where the format has them. [any] */
size_t qd_date_print_nanos(const qd_date_format *f, int64_t ns, const qd_zone *zone, char out[128]);
/* Writes ms by the first alternative; returns the length, at most 127, NUL-terminated. [any] */
size_t qd_date_print(const qd_date_format *f, int64_t ms, const qd_zone *zone, char out[128]);

#endif
