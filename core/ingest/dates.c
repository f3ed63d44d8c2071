/* dates.c: see dates.h. */
#include "ingest/dates.h"
#include <math.h>

typedef enum way { WAY_PATTERN, WAY_UNIX, WAY_UNIX_MS, WAY_TAI64N } way;
struct qdi_date_way {
    way way;
    bool no_year; /* the pattern has none: it is the present one */
    qd_date_format *format;
};

/* Has the pattern a letter of years outside of quotes? Named formats all have. */
static bool has_year(qd_str pattern)
{
    bool quoted = false, letters = false;
    for (size_t k = 0; k < pattern.n; k++) {
        char c = pattern.p[k];
        if (c == '\'') quoted = !quoted;
        if (quoted) continue;
        if (c == 'y' || c == 'u' || c == 'Y' || c == 'x' || c == '_') return true;
        letters |= c == 'd' || c == 'H' || c == 'h' || c == 'M';
    }
    return !letters;
}

int qdi_date_way_make(qd_arena *a, qd_str name, qdi_date_way **out, qd_err *err)
{
    qdi_date_way *w = qd_arena_calloc(a, sizeof *w);
    if (!w) return qd_err_nomem(err, "date format");
    *out = w;
    if (qd_str_is(name, "UNIX")) w->way = WAY_UNIX;
    if (qd_str_is(name, "UNIX_MS")) w->way = WAY_UNIX_MS;
    if (qd_str_is(name, "TAI64N")) w->way = WAY_TAI64N;
    if (w->way != WAY_PATTERN) return 0;
    bool iso = qd_str_is(name, "ISO8601");
    if (iso) name = QD_STR("iso8601");
    if (name.n > 1 && name.p[0] == '8') name = qd_str_sub(name, 1, name.n);
    w->no_year = !iso && !has_year(name);
    return qd_date_format_make(a, name, &w->format, err);
}

static bool read_unix(qd_str text, int64_t *ms, int32_t *rest)
{
    double v;
    int64_t whole;
    *rest = 0;
    if (qd_str_i64(text, &whole) && whole < INT64_MAX / 1000 && whole > INT64_MIN / 1000) {
        *ms = whole * 1000;
        return true;
    }
    if (qd_f64_parse_java(text, &v) || !(fabs(v) < 9e15)) return false;
    *ms = (int64_t)(v * 1000.0);
    return true;
}

static bool hex_part(qd_str s, size_t from, size_t n, uint64_t *out)
{
    *out = 0;
    for (size_t k = from; k < from + n; k++) {
        char c = s.p[k];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return false;
        *out = *out << 4 | (uint64_t)digit;
    }
    return true;
}

/* Seconds since 1970 + 2^62, ten of which are leap seconds, and nanoseconds. */
static bool read_tai64n(qd_str text, int64_t *ms, int32_t *rest)
{
    uint64_t seconds, nanos;
    if (text.n == 25 && text.p[0] == '@') text = qd_str_sub(text, 1, 24);
    if (text.n != 24 || !hex_part(text, 1, 15, &seconds) || !hex_part(text, 16, 8, &nanos))
        return false;
    if (seconds > (uint64_t)9e15) return false;
    *ms = (int64_t)seconds * 1000 - 10000 + (int64_t)(nanos / 1000000);
    *rest = 0;
    return true;
}

bool qdi_date_way_read(const qdi_date_way *w, qd_str text, const qd_zone *zone, int64_t now_ms,
                       int64_t *ms, int32_t *rest)
{
    *rest = 0;
    if (w->way == WAY_UNIX) return read_unix(text, ms, rest);
    if (w->way == WAY_UNIX_MS) return qd_str_i64(text, ms);
    if (w->way == WAY_TAI64N) return read_tai64n(text, ms, rest);
    if (!qd_date_try_fine(w->format, text, zone, false, ms, rest)) return false;
    if (!w->no_year) return true;
    qd_civil now, then;
    qd_civil_from_ms(now_ms + qd_zone_offset(zone, now_ms) * INT64_C(1000), &now);
    qd_civil_from_ms(*ms + qd_zone_offset(zone, *ms) * INT64_C(1000), &then);
    then.year = now.year;
    *ms = qd_zone_to_utc(zone, qd_civil_to_ms(&then));
    return true;
}

bool qdi_locale_known(qd_str locale)
{
    return !locale.n || qd_str_ieq(locale, QD_STR("ROOT")) || qd_str_ieq(locale, QD_STR("und")) ||
           qd_str_ieq(locale, QD_STR("english")) ||
           (locale.n >= 2 && qd_str_ieq(qd_str_sub(locale, 0, 2), QD_STR("en")) &&
            (locale.n == 2 || locale.p[2] == '-' || locale.p[2] == '_'));
}
