/* dates.h: dates of processors: Elasticsearch's names of formats, and java.time's patterns. */
#ifndef QD_INGEST_DATES_H
#define QD_INGEST_DATES_H

#include "ingest/ingest_int.h"
#include "mapping/date_format.h"

typedef struct qdi_date_way qdi_date_way;
/* ISO8601, UNIX, UNIX_MS, TAI64N or a pattern. */
QD_MUST_CHECK
int qdi_date_way_make(qd_arena *a, qd_str name, qdi_date_way **out, qd_err *err);
/* Reads text: false: it does not fit. *rest: nanoseconds behind *ms. */
bool qdi_date_way_read(const qdi_date_way *w, qd_str text, const qd_zone *zone, int64_t now_ms,
                       int64_t *ms, int32_t *rest);
/* Is a locale one whose names of months and days are English? */
bool qdi_locale_known(qd_str locale);

#endif
