/* date_math.c: date expressions, as Elasticsearch's JavaDateMathParser evaluates them. */
#include "mapping/date_math.h"
#include "json/number.h"

#define SECOND_MS ((int64_t)1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

static int64_t floor_to(int64_t v, int64_t by)
{
    return v - ((v % by) + by) % by;
}

static int32_t days_in_month(int64_t year, int32_t month)
{
    int64_t next =
        month == 12 ? qd_days_from_civil(year + 1, 1, 1) : qd_days_from_civil(year, month + 1, 1);
    return (int32_t)(next - qd_days_from_civil(year, month, 1));
}

/* Beyond this, some 146 million years away, instants are not rounded or moved by the calendar. */
#define FAR ((int64_t)1 << 62)

static int64_t local_of(int64_t ms, const qd_zone *zone)
{
    return ms + qd_zone_offset(zone, ms) * (int64_t)1000;
}

static bool far(int64_t ms)
{
    return ms > FAR || ms < -FAR;
}

int64_t qd_date_floor(int64_t ms, qd_date_unit unit, const qd_zone *zone)
{
    qd_civil c;
    if (far(ms)) return ms;
    int64_t local = local_of(ms, zone);
    switch (unit) {
    case QD_UNIT_SECOND:
        return floor_to(ms, SECOND_MS);
    case QD_UNIT_MINUTE:
    case QD_UNIT_HOUR: {
        /* truncating the local time keeps the offset where one hour comes twice */
        int64_t by = unit == QD_UNIT_MINUTE ? MINUTE_MS : HOUR_MS;
        int64_t cut = local - floor_to(local, by);
        return qd_zone_offset(zone, ms - cut) == qd_zone_offset(zone, ms)
                   ? ms - cut
                   : qd_zone_to_utc(zone, local - cut);
    }
    case QD_UNIT_DAY:
        return qd_zone_to_utc(zone, floor_to(local, DAY_MS));
    case QD_UNIT_WEEK: {
        int64_t day = floor_to(local, DAY_MS) / DAY_MS;
        return qd_zone_to_utc(zone, (day - ((day + 3) % 7 + 7) % 7) * DAY_MS);
    }
    default:
        break;
    }
    qd_civil_from_ms(local, &c);
    c.day = 1;
    c.hour = c.minute = c.second = c.milli = 0;
    if (unit == QD_UNIT_YEAR) c.month = 1;
    if (unit == QD_UNIT_QUARTER) c.month = (c.month - 1) / 3 * 3 + 1;
    return qd_zone_to_utc(zone, qd_civil_to_ms(&c));
}

static int64_t saturate_add(int64_t a, int64_t n, int64_t by)
{
    int64_t d, v;
    if (__builtin_mul_overflow(n, by, &d) || __builtin_add_overflow(a, d, &v) || far(v)) {
        return n < 0 ? -FAR - 1 : FAR + 1;
    }
    return v;
}

static int64_t add_months(int64_t local, int64_t n)
{
    qd_civil c;
    qd_civil_from_ms(local, &c);
    if (n > 12 * (int64_t)500000000) n = 12 * (int64_t)500000000;
    if (n < -12 * (int64_t)500000000) n = -12 * (int64_t)500000000;
    int64_t m = c.month - 1 + n, years = m >= 0 ? m / 12 : -((11 - m) / 12);
    c.year += years;
    c.month = (int32_t)(m - years * 12) + 1;
    if (c.year < -292275054 || c.year > 292278993) return n < 0 ? -FAR - 1 : FAR + 1;
    int32_t last = days_in_month(c.year, c.month);
    if (c.day > last) c.day = last;
    return qd_civil_to_ms(&c);
}

int64_t qd_date_add(int64_t ms, qd_date_unit unit, int64_t n, const qd_zone *zone)
{
    if (far(ms)) return ms;
    switch (unit) {
    case QD_UNIT_SECOND:
        return saturate_add(ms, n, SECOND_MS);
    case QD_UNIT_MINUTE:
        return saturate_add(ms, n, MINUTE_MS);
    case QD_UNIT_HOUR:
        return saturate_add(ms, n, HOUR_MS);
    case QD_UNIT_DAY:
        return qd_zone_to_utc(zone, saturate_add(local_of(ms, zone), n, DAY_MS));
    case QD_UNIT_WEEK:
        return qd_zone_to_utc(zone, saturate_add(local_of(ms, zone), n, 7 * DAY_MS));
    case QD_UNIT_MONTH:
        return qd_zone_to_utc(zone, add_months(local_of(ms, zone), n));
    case QD_UNIT_QUARTER:
        return qd_zone_to_utc(zone, add_months(local_of(ms, zone), n > INT64_MAX / 3 ? n : n * 3));
    default:
        return qd_zone_to_utc(
            zone,
            add_months(local_of(ms, zone), n > INT64_MAX / 12 || n < INT64_MIN / 12 ? n : n * 12));
    }
}

static bool unit_of(char c, qd_date_unit *out)
{
    switch (c) {
    case 'y':
        *out = QD_UNIT_YEAR;
        return true;
    case 'M':
        *out = QD_UNIT_MONTH;
        return true;
    case 'w':
        *out = QD_UNIT_WEEK;
        return true;
    case 'd':
        *out = QD_UNIT_DAY;
        return true;
    case 'h':
    case 'H':
        *out = QD_UNIT_HOUR;
        return true;
    case 'm':
        *out = QD_UNIT_MINUTE;
        return true;
    case 's':
        *out = QD_UNIT_SECOND;
        return true;
    default:
        return false;
    }
}

/* *rest, the nanoseconds behind *ms, ends with a rounding. */
static int operations(qd_str math, int64_t *ms, int32_t *rest, bool round_up, const qd_zone *zone,
                      qd_err *err)
{
    for (size_t i = 0; i < math.n;) {
        char op = math.p[i++];
        int64_t num = 1;
        qd_date_unit unit;
        if (op != '/' && op != '+' && op != '-') {
            return qd_err_set(err, QD_E_ES_PARSE, "operator not supported for date math [%.*s]",
                              QD_STR_ARG(math));
        }
        if (i >= math.n)
            return qd_err_set(err, QD_E_ES_PARSE, "truncated date math [%.*s]", QD_STR_ARG(math));
        if ((unsigned)(math.p[i] - '0') <= 9) {
            size_t from = i;
            while (i < math.n && (unsigned)(math.p[i] - '0') <= 9) i++;
            if (i >= math.n)
                return qd_err_set(err, QD_E_ES_PARSE, "truncated date math [%.*s]",
                                  QD_STR_ARG(math));
            qd_str digits = {math.p + from, i - from};
            if (qd_i64_parse(digits, &num) || num > INT32_MAX) {
                return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                                  QD_STR_ARG(digits));
            }
        }
        if (op == '/' && num != 1) {
            return qd_err_set(err, QD_E_ES_PARSE,
                              "rounding `/` can only be used on single unit types [%.*s]",
                              QD_STR_ARG(math));
        }
        char c = math.p[i++];
        if (!unit_of(c, &unit)) {
            return qd_err_set(err, QD_E_ES_PARSE, "unit [%c] not supported for date math [%.*s]", c,
                              QD_STR_ARG(math));
        }
        if (op == '/') {
            *ms = qd_date_floor(*ms, unit, zone);
            *rest = 0;
            if (round_up) *ms = qd_date_add(*ms, unit, 1, zone) - 1;
        } else {
            *ms = qd_date_add(*ms, unit, op == '-' ? -num : num, zone);
        }
    }
    return 0;
}

int qd_date_math(const qd_date_format *format, qd_str text, int64_t now_ms, bool round_up,
                 const qd_zone *zone, int64_t *ms, qd_err *err)
{
    int32_t rest;
    return qd_date_math_fine(format, text, now_ms, round_up, zone, ms, &rest, err);
}

int qd_date_math_fine(const qd_date_format *format, qd_str text, int64_t now_ms, bool round_up,
                      const qd_zone *zone, int64_t *ms, int32_t *rest, qd_err *err)
{
    int64_t v;
    *rest = 0;
    if (qd_str_starts(text, QD_STR("now"))) {
        v = now_ms;
        int rc = operations(qd_str_sub(text, 3, text.n), &v, rest, round_up, zone, err);
        if (rc == 0) *ms = v;
        return rc;
    }
    ptrdiff_t bar = qd_str_find_str(text, QD_STR("||"));
    qd_str date = bar < 0 ? text : qd_str_sub(text, 0, (size_t)bar);
    /* with math behind it a date is read as it stands; rounding up is the math's affair */
    if (!qd_date_try_fine(format, date, zone, round_up && bar < 0, &v, rest)) {
        if (date.n == 0) return qd_err_set(err, QD_E_ES_PARSE, "cannot parse empty datetime");
        qd_str pattern = qd_date_format_pattern(format);
        if (qd_date_parse(format, date, zone, round_up, &v, err) == 0)
            return QD_E_INTERNAL; /* never */
        return qd_err_wrap(
            err, QD_E_ES_PARSE,
            "failed to parse date field [%.*s] with format [%.*s]: [failed to parse date field "
            "[%.*s] with format [%.*s]]",
            QD_STR_ARG(date), QD_STR_ARG(pattern), QD_STR_ARG(date), QD_STR_ARG(pattern));
    }
    if (bar >= 0) {
        int rc =
            operations(qd_str_sub(text, (size_t)bar + 2, text.n), &v, rest, round_up, zone, err);
        if (rc) return rc;
    }
    *ms = v;
    return 0;
}

bool qd_date_math_uses_now(qd_str text)
{
    return qd_str_starts(text, QD_STR("now"));
}
