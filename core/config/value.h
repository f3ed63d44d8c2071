/*
 * value.h: settings' values as text: bytes, times, booleans, ratios, numbers, in Elasticsearch's
 * form and with its error texts. Pure functions [any].
 */
#ifndef QD_CONFIG_VALUE_H
#define QD_CONFIG_VALUE_H

#include "base/err.h"
#include "base/str.h"

/* "10b", "1.5gb", "512k", "0", "-1" (unit b, k/kb, m/mb, g/gb, t/tb, p/pb, any case) to bytes. name
 * is for the error: "failed to parse setting [name] with value [text] as a size in bytes: unit is
 * missing or unrecognized". 0 or QD_E_ES_PARSE (parse_exception). */
QD_MUST_CHECK
int qd_value_bytes(qd_str text, const char *name, int64_t *out, qd_err *err);
/* "30s", "500ms", "1m", "2h", "1d", "10micros", "5nanos", "0", "-1" to nanoseconds; -1 gives
 * QD_TIME_NONE. 0 or QD_E_ARG with Elasticsearch's text. */
QD_MUST_CHECK
int qd_value_time(qd_str text, const char *name, int64_t *out_ns, qd_err *err);
#define QD_TIME_NONE (-1000000) /* "-1": minus one millisecond */
/* "true" or "false", nothing else. 0 or QD_E_ARG. */
QD_MUST_CHECK
int qd_value_bool(qd_str text, bool *out, qd_err *err);
/* "85%" or "0.85" to a fraction of one. 0 or QD_E_ES_PARSE. */
QD_MUST_CHECK
int qd_value_ratio(qd_str text, const char *name, double *out, qd_err *err);
/* Whole text as a decimal number with fraction and exponent; false when it is none. */
bool qd_value_double(qd_str text, double *out);
/* Bytes as Elasticsearch shows them with human: "1.5gb", "512b"; returns out. */
const char *qd_bytes_text(int64_t bytes, char out[32]);
/* Bytes in the shortest exact form that qd_value_bytes reads back: "512mb", "1000b". */
const char *qd_bytes_exact(int64_t bytes, char out[32]);
/* Nanoseconds as Elasticsearch shows times with human: "1.5s", "2m", "-1"; returns out. */
const char *qd_time_text(int64_t ns, char out[32]);

#endif
