/*
 * date_parse.c: text to instants. ISO 8601's usual form and epochs by hand, as documents are full
 * of them; everything else by the compiled pattern, whose optional parts are tried in order.
 */
#include "mapping/date_format_int.h"
#include "json/number.h"

const char *const qdi_months[12] = {"January",   "February", "March",    "April",
                                    "May",       "June",     "July",     "August",
                                    "September", "October",  "November", "December"};
const char *const qdi_weekdays[7] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                     "Friday", "Saturday", "Sunday"};

void qdi_date_fields_init(date_fields *f)
{
    *f = (date_fields){.month = -1,
                       .day = -1,
                       .day_of_year = -1,
                       .week = -1,
                       .weekday = -1,
                       .quarter = -1,
                       .hour = -1,
                       .half_hour = -1,
                       .pm = -1,
                       .minute = -1,
                       .second = -1,
                       .nano = -1,
                       .milli_of_day = -1};
}

/* Digits at p, at most max; returns how many. */
static int number(const char *p, const char *end, int max, int64_t *out)
{
    int n = 0;
    int64_t v = 0;
    while (n < max && p + n < end && (unsigned)(p[n] - '0') <= 9) {
        if (n < 18) v = v * 10 + (p[n] - '0');
        n++;
    }
    *out = v;
    return n;
}

static bool leap(int64_t y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int32_t month_days(int64_t y, int32_t m)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[m - 1] + (m == 2 && leap(y));
}

int64_t qdi_week_year_start(int64_t year)
{
    int64_t jan4 = qd_days_from_civil(year, 1, 4);
    int64_t weekday = ((jan4 + 3) % 7 + 7) % 7; /* Monday is 0 */
    return jan4 - weekday;
}

static bool resolve_days(const date_fields *f, int64_t *days)
{
    int64_t year = f->has_year ? f->year : 1970;
    if (year < -292275054 || year > 292278993) return false;
    if (f->has_week_year || (f->week >= 0 && !f->has_year)) {
        int64_t wy = f->has_week_year ? f->week_year : year;
        if (wy < -292275054 || wy > 292278993) return false;
        int32_t week = f->week >= 0 ? f->week : 1, day = f->weekday >= 0 ? f->weekday : 1;
        int64_t start = qdi_week_year_start(wy);
        if (week < 1 || day < 1 || day > 7 || start + (week - 1) * 7 >= qdi_week_year_start(wy + 1))
            return false;
        *days = start + (week - 1) * 7 + day - 1;
        return true;
    }
    if (f->day_of_year >= 0) {
        if (f->day_of_year < 1 || f->day_of_year > 365 + leap(year)) return false;
        *days = qd_days_from_civil(year, 1, 1) + f->day_of_year - 1;
        return true;
    }
    int32_t month = f->month >= 0 ? f->month : 1, day = f->day >= 0 ? f->day : 1;
    if (f->month < 0 && f->quarter >= 0) {
        if (f->quarter < 1 || f->quarter > 4) return false;
        month = f->quarter * 3 - 2;
    }
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month)) return false;
    *days = qd_days_from_civil(year, month, day);
    /* a weekday beside the date must be the right one */
    return f->weekday < 0 || ((*days + 3) % 7 + 7) % 7 + 1 == f->weekday;
}

bool qdi_date_resolve(const date_fields *f, const qd_zone *zone, bool round_up, int64_t *ms,
                      int32_t *rest)
{
    int64_t days, of_day;
    if (!resolve_days(f, &days)) return false;
    int32_t hour = f->hour, minute = f->minute, second = f->second, nano = f->nano;
    if (hour < 0 && f->half_hour >= 0) hour = f->half_hour + (f->pm > 0 ? 12 : 0);
    if (hour < 0) hour = round_up ? 23 : 0;
    if (minute < 0) minute = round_up ? 59 : 0;
    if (second < 0) second = round_up ? 59 : 0;
    if (nano < 0) nano = round_up ? 999999999 : 0;
    if (hour > 23 || minute > 59 || second > 59) return false;
    of_day = hour * (int64_t)3600000 + minute * 60000 + second * 1000 + nano / 1000000;
    *rest = nano % 1000000;
    if (f->milli_of_day >= 0) {
        *rest = 0;
        if (f->milli_of_day >= 86400000) return false;
        of_day = f->milli_of_day;
    }
    int64_t local = days * 86400000 + of_day;
    *ms = f->has_offset ? local - f->offset * (int64_t)1000 : qd_zone_to_utc(zone, local);
    return true;
}

/* --- offsets -------------------------------------------------------------------------------------
 */

/* Z, +01, +0100, +01:00, +01:00:00; returns the bytes, 0 when there is none. */
static size_t offset_at(const char *p, const char *end, int32_t *out)
{
    if (p >= end) return 0;
    if (*p == 'Z' || *p == 'z') return *out = 0, 1;
    if (*p != '+' && *p != '-') return 0;
    const char *from = p;
    bool west = *p++ == '-';
    int64_t h, m = 0, s = 0, part;
    if (number(p, end, 2, &h) != 2) return 0;
    p += 2;
    bool colon = p < end && *p == ':';
    if (number(p + colon, end, 2, &part) == 2) {
        m = part;
        p += colon + 2;
        bool again = colon && p < end && *p == ':';
        if (again == colon && number(p + again, end, 2, &part) == 2) {
            s = part;
            p += again + 2;
        }
    }
    int64_t total = h * 3600 + m * 60 + s;
    if (m > 59 || s > 59 || total > 18 * 3600) return 0;
    *out = (int32_t)(west ? -total : total);
    return (size_t)(p - from);
}

static size_t zone_name_at(const char *p, const char *end)
{
    size_t n = 0;
    while (p + n < end && (((unsigned)((p[n] | 32) - 'a') < 26) || strchr("/_+-:", p[n]) ||
                           (unsigned)(p[n] - '0') < 10))
        n++;
    return n;
}

/* --- ISO
 * ------------------------------------------------------------------------------------------ */

/* Two digits, or one or two; the value or -1. Moves *p. */
static int32_t small(const char **p, const char *end, bool strict)
{
    int64_t v;
    int n = number(*p, end, 2, &v);
    if (n == 0 || (strict && n != 2)) return -1;
    *p += n;
    return (int32_t)v;
}

static bool iso_year(const char **p, const char *end, bool strict, date_fields *f)
{
    bool neg = *p < end && **p == '-', plus = *p < end && **p == '+';
    *p += neg || plus;
    int n = number(*p, end, 10, &f->year);
    if (n == 0 || (strict && (n < 4 || (n > 4 && !neg && !plus)))) return false;
    if (neg) f->year = -f->year;
    f->has_year = true;
    *p += n;
    return true;
}

static bool iso_time(const char **at, const char *end, bool strict, date_fields *f)
{
    const char *p = *at;
    f->hour = small(&p, end, strict);
    if (f->hour < 0) return false;
    if (p < end && *p == ':') {
        p++;
        if ((f->minute = small(&p, end, strict)) < 0) return false;
        if (p < end && *p == ':') {
            p++;
            if ((f->second = small(&p, end, strict)) < 0) return false;
            if (p < end && (*p == '.' || *p == ',')) {
                int64_t v;
                int n = number(++p, end, 9, &v);
                if (n == 0) return false;
                p += n;
                for (; n < 9; n++) v *= 10;
                f->nano = (int32_t)v;
            }
        }
    }
    size_t n = offset_at(p, end, &f->offset);
    f->has_offset = n > 0;
    if (n == 0 && p < end) {
        n = zone_name_at(p, end);
        f->zone_id = (qd_str){p, n};
    }
    *at = p + n;
    return true;
}

static bool parse_iso(qd_str text, bool strict, date_fields *f)
{
    const char *p = text.p, *end = text.p + text.n;
    if (!strict && p < end && *p == 'T') { /* date_optional_time: a time alone */
        p++;
        return iso_time(&p, end, strict, f) && p == end;
    }
    if (!iso_year(&p, end, strict, f)) return false;
    if (p < end && *p == '-') {
        p++;
        if ((f->month = small(&p, end, strict)) < 0) return false;
        if (p < end && *p == '-') {
            p++;
            if ((f->day = small(&p, end, strict)) < 0) return false;
        }
    }
    if (p == end) return true;
    if (*p++ != 'T') return false;
    if (p == end) return true;
    return iso_time(&p, end, strict, f) && p == end;
}

/* --- epochs
 * ---------------------------------------------------------------------------------------- */

/* [-]digits[.digits] times scale; what is finer than a millisecond goes to *rest, rounded towards
 * minus infinity. */
static bool parse_epoch(qd_str s, int64_t scale, int64_t *ms, int32_t *rest)
{
    bool neg = s.n && s.p[0] == '-';
    if (neg) s = qd_str_sub(s, 1, s.n);
    ptrdiff_t dot = qd_str_find(s, '.');
    qd_str whole = dot < 0 ? s : qd_str_sub(s, 0, (size_t)dot);
    int64_t v, frac = 0;
    bool more = false;
    if (whole.n == 0 || whole.p[0] == '+' || whole.p[0] == '-' || qd_i64_parse(whole, &v))
        return false;
    if (__builtin_mul_overflow(v, scale, &v)) return false;
    if (dot >= 0) {
        int64_t unit = scale * 1000000;
        for (size_t i = (size_t)dot + 1; i < s.n; i++) {
            unsigned d = (unsigned)(s.p[i] - '0');
            if (d > 9) return false;
            unit /= 10;
            frac += d * unit;
            more |= unit == 0 && d;
        }
        if (s.n - (size_t)dot - 1 > 9) return false;
    }
    v += frac / 1000000;
    frac %= 1000000;
    if (neg) {
        frac += more;
        v = -v - (frac > 0);
        frac = frac > 0 ? 1000000 - frac : 0;
    }
    *ms = v;
    *rest = (int32_t)frac;
    return true;
}

/* --- patterns
 * ---------------------------------------------------------------------------------------- */

static size_t name_at(const char *p, const char *end, const char *const *names, int n, size_t cut,
                      int32_t *out)
{
    for (int i = 0; i < n; i++) {
        size_t len = cut ? cut : strlen(names[i]);
        if ((size_t)(end - p) >= len && memcmp(p, names[i], len) == 0) return *out = i + 1, len;
    }
    return 0;
}

/* Stores a number of op; false when it cannot be. */
static bool store(date_fields *f, const date_op *op, int64_t v, int digits)
{
    switch (op->code) {
    case DATE_YEAR:
        f->year = v;
        f->has_year = true;
        return true;
    case DATE_YEAR2:
        f->year = 2000 + v;
        f->has_year = true;
        return true;
    case DATE_WEEK_YEAR:
        f->week_year = v;
        f->has_week_year = true;
        return true;
    case DATE_FRACTION:
        for (; digits < 9; digits++) v *= 10;
        f->nano = (int32_t)v;
        return true;
    case DATE_MILLI_OF_DAY:
        f->milli_of_day = v;
        return true;
    default:
        break;
    }
    if (v > 9999) return false;
    int32_t s = (int32_t)v;
    switch (op->code) {
    case DATE_MONTH:
        f->month = s;
        return true;
    case DATE_DAY:
        f->day = s;
        return true;
    case DATE_DAY_OF_YEAR:
        f->day_of_year = s;
        return true;
    case DATE_WEEK:
        f->week = s;
        return true;
    case DATE_WEEKDAY:
        f->weekday = s;
        return true;
    case DATE_QUARTER:
        f->quarter = s;
        return true;
    case DATE_HOUR:
        f->hour = s;
        return true;
    case DATE_HOUR_1_24:
        f->hour = s == 24 ? 0 : s;
        return s >= 1 && s <= 24;
    case DATE_HOUR_1_12:
        f->half_hour = s == 12 ? 0 : s;
        return s >= 1 && s <= 12;
    case DATE_HOUR_0_11:
        f->half_hour = s;
        return s <= 11;
    case DATE_MINUTE:
        f->minute = s;
        return true;
    case DATE_SECOND:
        f->second = s;
        return true;
    default:
        return false;
    }
}

/* One op at p; the bytes it takes, or -1. */
static ptrdiff_t take(const date_op *op, const char *p, const char *end, date_fields *f)
{
    size_t n = 0;
    int32_t v = 0;
    switch (op->code) {
    case DATE_LITERAL:
        if ((size_t)(end - p) < op->text.n || memcmp(p, op->text.p, op->text.n) != 0) return -1;
        return (ptrdiff_t)op->text.n;
    case DATE_MONTH_SHORT:
        n = name_at(p, end, qdi_months, 12, 3, &f->month);
        break;
    case DATE_MONTH_LONG:
        n = name_at(p, end, qdi_months, 12, 0, &f->month);
        break;
    case DATE_WEEKDAY_SHORT:
        n = name_at(p, end, qdi_weekdays, 7, 3, &f->weekday);
        break;
    case DATE_WEEKDAY_LONG:
        n = name_at(p, end, qdi_weekdays, 7, 0, &f->weekday);
        break;
    case DATE_AM_PM:
        if (end - p < 2 || (p[1] | 32) != 'm' || ((p[0] | 32) != 'a' && (p[0] | 32) != 'p'))
            return -1;
        f->pm = (p[0] | 32) == 'p';
        return 2;
    case DATE_OFFSET:
        n = offset_at(p, end, &v);
        f->offset = v;
        f->has_offset = n > 0;
        break;
    case DATE_ZONE_ID:
        n = zone_name_at(p, end);
        f->zone_id = (qd_str){p, n};
        break;
    default: {
        const char *q = p;
        bool neg = false;
        if ((op->code == DATE_YEAR || op->code == DATE_WEEK_YEAR) && op->reserve == 0 && q < end &&
            (*q == '-' || *q == '+')) {
            neg = *q++ == '-';
        }
        int64_t value;
        int digits = number(q, end, op->max, &value);
        if (digits > op->min && op->reserve) {
            /* leave the neighbours what they need */
            int all = number(q, end, op->max + op->reserve, &value);
            int mine = all - op->reserve;
            if (mine < op->min) mine = op->min;
            if (mine > op->max) mine = op->max;
            digits = number(q, end, mine, &value);
        }
        if (digits < op->min || !store(f, op, neg ? -value : value, digits)) return -1;
        return q - p + digits;
    }
    }
    return n ? (ptrdiff_t)n : -1;
}

/* From op i at p to the end of the text. Optional parts: first with, then without. Depth is bounded
 * by the brackets of the pattern. */
static bool match(const date_alternative *a, uint32_t i, const char *p, const char *end,
                  date_fields *f)
{
    for (; i < a->nops; i++) {
        const date_op *op = &a->ops[i];
        if (op->code == DATE_CLOSE) continue;
        if (op->code == DATE_OPEN) {
            date_fields saved = *f;
            if (match(a, i + 1, p, end, f)) return true;
            *f = saved;
            i = op->skip - 1u;
            continue;
        }
        ptrdiff_t n = take(op, p, end, f);
        if (n < 0) return false;
        p += n;
    }
    return p == end;
}

static bool region_offset(date_fields *f, bool round_up, int64_t *ms, int32_t *rest)
{
    qd_arena a;
    qd_zone *z = NULL;
    qd_arena_init(&a, NULL, 1 << 20);
    bool fine =
        qd_zone_make(&a, f->zone_id, &z, NULL) == 0 && qdi_date_resolve(f, z, round_up, ms, rest);
    qd_arena_fini(&a);
    return fine;
}

static bool try_one(const date_alternative *a, qd_str text, const qd_zone *zone, bool round_up,
                    int64_t *ms, int32_t *rest)
{
    date_fields f;
    switch (a->kind) {
    case DATE_EPOCH_MILLIS:
        return parse_epoch(text, 1, ms, rest);
    case DATE_EPOCH_SECOND:
        return parse_epoch(text, 1000, ms, rest);
    default:
        break;
    }
    qdi_date_fields_init(&f);
    bool fits = a->kind == DATE_PATTERN ? match(a, 0, text.p, text.p + text.n, &f)
                                        : parse_iso(text, a->kind != DATE_ISO_LENIENT, &f);
    if (!fits) return false;
    if (f.zone_id.n && !f.has_offset) return region_offset(&f, round_up, ms, rest);
    return qdi_date_resolve(&f, zone, round_up, ms, rest);
}

bool qd_date_try_fine(const qd_date_format *f, qd_str text, const qd_zone *zone, bool round_up,
                      int64_t *ms, int32_t *rest)
{
    if (text.n == 0 || text.n > 256) return false;
    for (uint32_t i = 0; i < f->n; i++) {
        if (try_one(&f->alternatives[i], text, zone, round_up, ms, rest)) return true;
    }
    return false;
}

bool qd_date_try(const qd_date_format *f, qd_str text, const qd_zone *zone, bool round_up,
                 int64_t *ms)
{
    int32_t rest;
    return qd_date_try_fine(f, text, zone, round_up, ms, &rest);
}

bool qd_date_before_epoch(const qd_date_format *f, qd_str text, int64_t *ms)
{
    int32_t rest;
    if (text.n < 2 || text.p[0] != '-' || text.n > 256) return false;
    for (uint32_t i = 0; i < f->n; i++) {
        date_kind kind = f->alternatives[i].kind;
        if (kind == DATE_EPOCH_MILLIS || kind == DATE_EPOCH_SECOND)
            return parse_epoch(text, kind == DATE_EPOCH_SECOND ? 1000 : 1, ms, &rest);
    }
    return false;
}

int qd_date_parse(const qd_date_format *f, qd_str text, const qd_zone *zone, bool round_up,
                  int64_t *ms, qd_err *err)
{
    if (qd_date_try(f, text, zone, round_up, ms)) return 0;
    if (text.n == 0) return qd_err_set(err, QD_E_ARG, "cannot parse empty date");
    if (f->n > 1) {
        (void)qd_err_set(err, QD_E_DATE_PARSE, "Failed to parse with all enclosed parsers");
    } else {
        (void)qd_err_set(err, QD_E_DATE_PARSE, "Text '%.*s' could not be parsed at index 0",
                         QD_STR_ARG(text));
    }
    return qd_err_wrap(err, QD_E_ARG, "failed to parse date field [%.*s] with format [%.*s]",
                       QD_STR_ARG(text), QD_STR_ARG(f->pattern));
}
