/*
 * lib_time.c: ZonedDateTime, Instant, Duration, ZoneId, DateTimeFormatter, ChronoUnit. The zones,
 * calendars and formats are those of core/mapping.
 */
#include "script/painless/lib_int.h"

#define DAY INT64_C(86400000)
#define YEARS_MAX 200000000 /* beyond, ms do not hold it */

static const qd_sv_time *time_of(const qd_sv *v)
{
    return v->object;
}

int qdp_time_make(qdp_vm *vm, uint8_t tag, int64_t ms, int32_t rest, const qd_zone *zone,
                  qd_sv *out)
{
    qd_sv_time *t = qd_arena_alloc(&vm->x->arena, sizeof *t);
    if (!t) return qdp_nomem(vm);
    *t = (qd_sv_time){ms, rest, zone};
    *out = (qd_sv){.tag = tag, .object = t};
    return 0;
}

/* The parts of a time in its zone. */
static void civil(const qd_sv *v, qd_civil *c)
{
    const qd_sv_time *t = time_of(v);
    qd_civil_from_ms(t->ms + qd_zone_offset(t->zone, t->ms) * INT64_C(1000), c);
}

static int64_t to_utc(const qd_zone *z, int64_t local)
{
    return z ? qd_zone_to_utc(z, local) : local;
}

static int zone_arg(qdp_vm *vm, const qd_sv *v, const qd_zone **out)
{
    qd_zone *z = NULL;
    if (v->tag == QD_SV_ZONE) {
        *out = v->object;
        return 0;
    }
    if (v->tag != QD_SV_STRING)
        return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [java.time.ZoneId].",
                         qdp_class(v));
    qd_err why;
    qd_err_init(&why);
    int rc = qd_zone_make(&vm->x->arena, qd_sv_text(v), &z, &why);
    if (rc) rc = qdp_throw(vm, QDI_T_DATE_TIME, "%s", qd_err_reason(&why));
    qd_err_fini(&why);
    *out = z;
    return rc;
}

QDI_FN(zone_make)
{
    const qd_zone *z;
    (void)n;
    if (zone_arg(vm, &a[0], &z)) return -1;
    *out = (qd_sv){.tag = QD_SV_ZONE, .object = (void *)(uintptr_t)z};
    return 0;
}

/* The zone at the end of an ISO text: "Z", an offset, or a region in brackets. */
static qd_str zone_text(qd_str s)
{
    ptrdiff_t t = qd_str_find(s, 'T'), open = qd_str_find(s, '[');
    if (open > 0 && s.p[s.n - 1] == ']')
        return qd_str_sub(s, (size_t)open + 1, s.n - (size_t)open - 2);
    for (size_t i = t < 0 ? s.n : (size_t)t; i < s.n; i++)
        if (s.p[i] == 'Z' || s.p[i] == '+' || s.p[i] == '-') return qd_str_sub(s, i, s.n);
    return (qd_str){NULL, 0};
}

static int parse_fail(qdp_vm *vm, qd_str s)
{
    return qdp_throw(vm, QDI_T_DATE_PARSE, "Text '%.*s' could not be parsed at index 0",
                     (int)(s.n < 100 ? s.n : 100), s.p);
}

QDI_FN(zdt_parse)
{
    qd_str s, z;
    int64_t ms;
    int32_t rest = 0;
    const qd_zone *zone = NULL;
    qd_sv zt;
    if (qdp_arg_str(vm, &a[0], &s)) return -1;
    if (n > 1 && a[1].tag == QD_SV_FORMAT && a[1].object) {
        if (!qd_date_try_fine(a[1].object, s, NULL, false, &ms, &rest)) return parse_fail(vm, s);
        return qdp_time_make(vm, QD_SV_DATE, ms, rest, NULL, out);
    }
    z = zone_text(s);
    if (!z.p || s.n < 10) return parse_fail(vm, s);
    ptrdiff_t open = qd_str_find(s, '[');
    qd_str core = open > 0 ? qd_str_sub(s, 0, (size_t)open) : s;
    if (!qd_date_try_fine(qd_date_format_nanos(), core, NULL, false, &ms, &rest))
        return parse_fail(vm, s);
    zt = qd_sv_str(z);
    if (!qd_str_is(z, "Z") && zone_arg(vm, &zt, &zone)) return -1;
    return qdp_time_make(vm, QD_SV_DATE, ms, rest, zone, out);
}

QDI_FN(zdt_of)
{
    int64_t v[7];
    const qd_zone *z;
    (void)n;
    for (int i = 0; i < 7; i++)
        if (qdp_arg_int(vm, &a[i], &v[i])) return -1;
    if (zone_arg(vm, &a[7], &z)) return -1;
    if (v[0] < -YEARS_MAX || v[0] > YEARS_MAX || v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 ||
        v[3] < 0 || v[3] > 23 || v[4] < 0 || v[4] > 59 || v[5] < 0 || v[5] > 59 || v[6] < 0 ||
        v[6] > 999999999)
        return qdp_throw(vm, QDI_T_DATE_TIME, "Invalid value for a part of a date");
    qd_civil c = {v[0],
                  (int32_t)v[1],
                  (int32_t)v[2],
                  (int32_t)v[3],
                  (int32_t)v[4],
                  (int32_t)v[5],
                  (int32_t)(v[6] / 1000000)},
             back;
    int64_t local = qd_civil_to_ms(&c);
    qd_civil_from_ms(local, &back);
    if (back.day != c.day)
        return qdp_throw(vm, QDI_T_DATE_TIME, "Invalid date '%lld-%d-%d'", (long long)v[0], c.month,
                         c.day);
    return qdp_time_make(vm, QD_SV_DATE, to_utc(z, local), (int32_t)(v[6] % 1000000), z, out);
}

QDI_FN(zdt_of_instant)
{
    const qd_zone *z;
    (void)n;
    if (a[0].tag != QD_SV_INSTANT)
        return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [java.time.Instant].",
                         qdp_class(&a[0]));
    if (zone_arg(vm, &a[1], &z)) return -1;
    return qdp_time_make(vm, QD_SV_DATE, time_of(&a[0])->ms, time_of(&a[0])->rest, z, out);
}

QDI_FN(in_zone)
{
    const qd_zone *z;
    (void)n;
    if (zone_arg(vm, &a[1], &z)) return -1;
    return qdp_time_make(vm, QD_SV_DATE, time_of(&a[0])->ms, time_of(&a[0])->rest, z, out);
}

QDI_FN(local_in_zone)
{
    const qd_zone *z;
    qd_civil c;
    (void)n;
    if (zone_arg(vm, &a[1], &z)) return -1;
    civil(&a[0], &c);
    return qdp_time_make(vm, QD_SV_DATE, to_utc(z, qd_civil_to_ms(&c)), time_of(&a[0])->rest, z,
                         out);
}

#define PART(name, expr)                                                                           \
    QDI_FN(name)                                                                                   \
    {                                                                                              \
        qd_civil c;                                                                                \
        QDI_UNUSED;                                                                                \
        civil(&a[0], &c);                                                                          \
        *out = qd_sv_int((int32_t)(expr));                                                         \
        return 0;                                                                                  \
    }
PART(year, c.year)
PART(month, c.month)
PART(day, c.day)
PART(hour, c.hour)
PART(minute, c.minute)
PART(second, c.second)
PART(nano, c.milli * 1000000 + time_of(&a[0])->rest)
PART(milli, c.milli)
PART(day_of_year, qd_days_from_civil(c.year, c.month, c.day) - qd_days_from_civil(c.year, 1, 1) + 1)

static int64_t weekday_of(const qd_civil *c)
{
    int64_t w = (qd_days_from_civil(c->year, c->month, c->day) + 3) % 7;
    return w < 0 ? w + 7 : w;
}
QDI_FN(weekday)
{
    qd_civil c;
    QDI_UNUSED;
    civil(&a[0], &c);
    *out = (qd_sv){.tag = QD_SV_WEEKDAY, .i = weekday_of(&c)};
    return 0;
}

QDI_FN(enum_value)
{
    QDI_UNUSED;
    *out = qd_sv_int((int32_t)a[0].i + 1);
    return 0;
}
QDI_FN(enum_ordinal)
{
    QDI_UNUSED;
    *out = qd_sv_int((int32_t)a[0].i);
    return 0;
}

QDI_FN(epoch_milli)
{
    QDI_UNUSED;
    *out = qd_sv_long(time_of(&a[0])->ms);
    return 0;
}
static int64_t floor_div(int64_t x, int64_t y)
{
    return x / y - (x % y != 0 && x < 0);
}
QDI_FN(epoch_second)
{
    QDI_UNUSED;
    *out = qd_sv_long(floor_div(time_of(&a[0])->ms, 1000));
    return 0;
}
QDI_FN(instant_nano)
{
    QDI_UNUSED;
    int64_t ms = time_of(&a[0])->ms;
    *out = qd_sv_int((int32_t)((ms - floor_div(ms, 1000) * 1000) * 1000000 + time_of(&a[0])->rest));
    return 0;
}
QDI_FN(to_instant)
{
    (void)n;
    return qdp_time_make(vm, QD_SV_INSTANT, time_of(&a[0])->ms, time_of(&a[0])->rest, NULL, out);
}
QDI_FN(zone_get)
{
    QDI_UNUSED;
    *out = (qd_sv){.tag = QD_SV_ZONE, .object = (void *)(uintptr_t)time_of(&a[0])->zone};
    return 0;
}
QDI_FN(at_zone)
{
    return in_zone(vm, a, n, out);
}

QDI_FN(instant_milli)
{
    int64_t ms;
    (void)n;
    if (qdp_arg_int(vm, &a[0], &ms)) return -1;
    return qdp_time_make(vm, QD_SV_INSTANT, ms, 0, NULL, out);
}
QDI_FN(instant_second)
{
    int64_t s;
    (void)n;
    if (qdp_arg_int(vm, &a[0], &s)) return -1;
    if (s > INT64_MAX / 1000 || s < INT64_MIN / 1000)
        return qdp_throw(vm, QDI_T_DATE_TIME, "Instant exceeds minimum or maximum instant");
    return qdp_time_make(vm, QD_SV_INSTANT, s * 1000, 0, NULL, out);
}
QDI_FN(instant_parse)
{
    if (zdt_parse(vm, a, n, out)) return -1;
    out->tag = QD_SV_INSTANT;
    return 0;
}

/* ChronoUnit: ms of those of one length; months are 0. */
static int64_t unit_ms(int64_t unit)
{
    static const int64_t ms[] = {0, 0, 1, 1000, 60000, 3600000, 43200000, DAY, 7 * DAY, 0, 0};
    return ms[unit];
}

/* The time n units later, on the calendar of its zone from days upwards. */
static int plus(qdp_vm *vm, const qd_sv *v, int64_t unit, int64_t k, qd_sv *out)
{
    const qd_sv_time *t = time_of(v);
    int64_t ms = t->ms, rest = t->rest, step = unit_ms(unit), moved;
    if (k > INT64_MAX / 4 / DAY / 7 && unit > 2) k = INT64_MAX / 4 / DAY / 7;
    if (unit == 0) {
        rest += k % 1000000;
        ms += k / 1000000;
    } else if (unit == 1) {
        rest += k % 1000 * 1000;
        ms += k / 1000;
    } else if (unit <= 6 || v->tag != QD_SV_DATE) {
        if (!step)
            return qdp_throw(vm, QDI_T_UNSUPPORTED, "Unsupported unit: %s", qd_sv_units[unit]);
        if (__builtin_mul_overflow(step, k, &moved) || __builtin_add_overflow(ms, moved, &ms))
            return qdp_throw(vm, QDI_T_ARITHMETIC, "long overflow");
    } else {
        qd_civil c;
        civil(v, &c);
        int64_t months = unit == 9 ? k : unit == 10 ? k * 12 : 0;
        if (k > YEARS_MAX || k < -YEARS_MAX)
            return qdp_throw(vm, QDI_T_DATE_TIME, "the date exceeds the range of dates");
        if (months) {
            int64_t total = c.year * 12 + c.month - 1 + months;
            c.year = floor_div(total, 12);
            c.month = (int32_t)(total - c.year * 12) + 1;
            static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
            bool leap = (c.year % 4 == 0 && c.year % 100 != 0) || c.year % 400 == 0;
            int last = days[c.month - 1] + (c.month == 2 && leap);
            if (c.day > last) c.day = last;
        }
        ms = to_utc(t->zone, qd_civil_to_ms(&c) + (months ? 0 : k * step));
    }
    if (rest < 0 || rest >= 1000000) {
        int64_t carry = floor_div(rest, 1000000);
        ms += carry;
        rest -= carry * 1000000;
    }
    return qdp_time_make(vm, v->tag, ms, (int32_t)rest, t->zone, out);
}

#define MOVE(name, unit)                                                                           \
    QDI_FN(plus_##name)                                                                            \
    {                                                                                              \
        int64_t k;                                                                                 \
        (void)n;                                                                                   \
        return qdp_arg_int(vm, &a[1], &k) ? -1 : plus(vm, &a[0], unit, k, out);                    \
    }                                                                                              \
    QDI_FN(minus_##name)                                                                           \
    {                                                                                              \
        int64_t k;                                                                                 \
        (void)n;                                                                                   \
        return qdp_arg_int(vm, &a[1], &k)                                                          \
                   ? -1                                                                            \
                   : plus(vm, &a[0], unit, (int64_t)(0 - (uint64_t)k), out);                       \
    }
MOVE(nanos, 0)
MOVE(millis, 2)
MOVE(seconds, 3)
MOVE(minutes, 4)
MOVE(hours, 5)
MOVE(days, 7)
MOVE(weeks, 8)
MOVE(months, 9)
MOVE(years, 10)

/* plus(amount, unit), plus(duration) */
static int plus_any(qdp_vm *vm, qd_sv *a, uint32_t n, int sign, qd_sv *out)
{
    int64_t k;
    if (n == 2) {
        if (qdp_arg_int(vm, &a[1], &k)) return -1;
        if (a[2].tag != QD_SV_UNIT)
            return qdp_throw(vm, QDI_T_CLASS_CAST,
                             "Cannot cast from [%s] to [java.time.temporal.ChronoUnit].",
                             qdp_class(&a[2]));
        return plus(vm, &a[0], a[2].i, sign < 0 ? (int64_t)(0 - (uint64_t)k) : k, out);
    }
    if (a[1].tag != QD_SV_DURATION)
        return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [java.time.Duration].",
                         qdp_class(&a[1]));
    return plus(vm, &a[0], 2, sign * time_of(&a[1])->ms, out);
}
QDI_FN(plus_)
{
    return plus_any(vm, a, n, 1, out);
}
QDI_FN(minus_)
{
    return plus_any(vm, a, n, -1, out);
}

static int with(qdp_vm *vm, qd_sv *a, int part, qd_sv *out)
{
    int64_t k;
    qd_civil c;
    if (qdp_arg_int(vm, &a[1], &k)) return -1;
    if (k < -YEARS_MAX || k > YEARS_MAX)
        return qdp_throw(vm, QDI_T_DATE_TIME, "Invalid value for a part of a date");
    civil(&a[0], &c);
    if (part == 0) c.year = k;
    int32_t *parts[] = {NULL, &c.month, &c.day, &c.hour, &c.minute, &c.second};
    if (part) *parts[part] = (int32_t)k;
    qd_civil back;
    int64_t ms = qd_civil_to_ms(&c);
    qd_civil_from_ms(ms, &back);
    if (back.month != c.month || back.hour != c.hour || back.minute != c.minute ||
        back.second != c.second)
        return qdp_throw(vm, QDI_T_DATE_TIME, "Invalid value for a part of a date: %lld",
                         (long long)k);
    return qdp_time_make(vm, QD_SV_DATE, to_utc(time_of(&a[0])->zone, ms), time_of(&a[0])->rest,
                         time_of(&a[0])->zone, out);
}
#define WITH(name, part)                                                                           \
    QDI_FN(name)                                                                                   \
    {                                                                                              \
        (void)n;                                                                                   \
        return with(vm, a, part, out);                                                             \
    }
WITH(with_year, 0)
WITH(with_month, 1)
WITH(with_day, 2)
WITH(with_hour, 3)
WITH(with_minute, 4)
WITH(with_second, 5)

QDI_FN(truncated)
{
    qd_civil c;
    (void)n;
    if (a[1].tag != QD_SV_UNIT || a[1].i > 7)
        return qdp_throw(vm, QDI_T_UNSUPPORTED, "Unit is too large to be used for truncation");
    int64_t step = a[1].i == 0 ? 0 : unit_ms(a[1].i);
    if (a[0].tag == QD_SV_INSTANT)
        return qdp_time_make(vm, QD_SV_INSTANT,
                             step ? floor_div(time_of(&a[0])->ms, step) * step : time_of(&a[0])->ms,
                             0, NULL, out);
    civil(&a[0], &c);
    int64_t local = qd_civil_to_ms(&c);
    if (step) local = floor_div(local, step) * step;
    return qdp_time_make(vm, QD_SV_DATE, to_utc(time_of(&a[0])->zone, local), 0,
                         time_of(&a[0])->zone, out);
}

static int ordered(qdp_vm *vm, qd_sv *a, int want, qd_sv *out)
{
    int c;
    if (qdp_compare(vm, &a[0], &a[1], &c)) return -1;
    *out = qd_sv_bool(c == want);
    return 0;
}
QDI_FN(is_before)
{
    (void)n;
    return ordered(vm, a, -1, out);
}
QDI_FN(is_after)
{
    (void)n;
    return ordered(vm, a, 1, out);
}
QDI_FN(is_equal)
{
    (void)n;
    return ordered(vm, a, 0, out);
}

/* Are both times? */
static int both_times(qdp_vm *vm, const qd_sv *x, const qd_sv *y)
{
    for (int i = 0; i < 2; i++) {
        const qd_sv *v = i ? y : x;
        if (v->tag == QD_SV_DATE || v->tag == QD_SV_INSTANT) continue;
        return qdp_throw(vm, v->tag ? QDI_T_CLASS_CAST : QDI_T_NULL_POINTER,
                         "Cannot cast from [%s] to [java.time.temporal.Temporal].", qdp_class(v));
    }
    return 0;
}

static int64_t months_between(const qd_sv *x, const qd_sv *y)
{
    qd_civil a, b;
    civil(x, &a);
    qd_sv_time t = *time_of(y);
    t.zone = time_of(x)->zone;
    qd_sv moved = {.tag = QD_SV_DATE, .object = &t};
    civil(&moved, &b);
    int64_t m = (b.year - a.year) * 12 + b.month - a.month;
    qd_civil ra = a, rb = b;
    ra.year = rb.year = 2000;
    ra.month = rb.month = 1;
    int64_t left = qd_civil_to_ms(&rb) - qd_civil_to_ms(&ra);
    if (m > 0 && left < 0) m--;
    if (m < 0 && left > 0) m++;
    return m;
}

static int between(qdp_vm *vm, const qd_sv *x, const qd_sv *y, int64_t unit, qd_sv *out)
{
    if (both_times(vm, x, y)) return -1;
    int64_t d = time_of(y)->ms - time_of(x)->ms;
    if (d < 0 && time_of(y)->rest > time_of(x)->rest) d++;
    if (d > 0 && time_of(y)->rest < time_of(x)->rest) d--;
    if (unit >= 9) {
        if (x->tag != QD_SV_DATE)
            return qdp_throw(vm, QDI_T_UNSUPPORTED, "Unsupported unit: %s", qd_sv_units[unit]);
        int64_t m = months_between(x, y);
        *out = qd_sv_long(unit == 9 ? m : m / 12);
    } else if (unit < 2)
        *out = qd_sv_long((int64_t)((uint64_t)d * (unit ? 1000u : 1000000u)));
    else if (unit >= 7 && x->tag == QD_SV_DATE && time_of(x)->zone) {
        int64_t ox = qd_zone_offset(time_of(x)->zone, time_of(x)->ms),
                oy = qd_zone_offset(time_of(x)->zone, time_of(y)->ms);
        *out = qd_sv_long((d + (oy - ox) * 1000) / unit_ms(unit));
    } else
        *out = qd_sv_long(d / unit_ms(unit));
    return 0;
}

QDI_FN(unit_between)
{
    (void)n;
    return between(vm, &a[1], &a[2], a[0].i, out);
}
QDI_FN(until)
{
    (void)n;
    if (a[2].tag != QD_SV_UNIT)
        return qdp_throw(vm, QDI_T_CLASS_CAST,
                         "Cannot cast from [%s] to [java.time.temporal.ChronoUnit].",
                         qdp_class(&a[2]));
    return between(vm, &a[0], &a[1], a[2].i, out);
}
QDI_FN(duration_between)
{
    (void)n;
    if (both_times(vm, &a[0], &a[1])) return -1;
    return qdp_time_make(vm, QD_SV_DURATION, time_of(&a[1])->ms - time_of(&a[0])->ms, 0, NULL, out);
}
static int duration_of(qdp_vm *vm, qd_sv *a, int64_t ms, qd_sv *out)
{
    int64_t k;
    if (qdp_arg_int(vm, &a[0], &k)) return -1;
    if (__builtin_mul_overflow(k, ms, &k)) return qdp_throw(vm, QDI_T_ARITHMETIC, "long overflow");
    return qdp_time_make(vm, QD_SV_DURATION, k, 0, NULL, out);
}
#define SPAN(name, span)                                                                           \
    QDI_FN(of_##name)                                                                              \
    {                                                                                              \
        (void)n;                                                                                   \
        return duration_of(vm, a, span, out);                                                      \
    }                                                                                              \
    QDI_FN(to_##name)                                                                              \
    {                                                                                              \
        QDI_UNUSED;                                                                                \
        *out = qd_sv_long(time_of(&a[0])->ms / (span));                                            \
        return 0;                                                                                  \
    }
SPAN(millis, 1)
SPAN(seconds, 1000)
SPAN(minutes, 60000)
SPAN(hours, 3600000)
SPAN(days, DAY)

QDI_FN(formatter)
{
    qd_str s;
    qd_date_format *f = NULL;
    (void)n;
    if (qdp_arg_str(vm, &a[0], &s)) return -1;
    qd_err why;
    qd_err_init(&why);
    int rc = qd_date_format_make(&vm->x->arena, s, &f, &why);
    if (rc) rc = qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "%s", qd_err_reason(&why));
    qd_err_fini(&why);
    *out = (qd_sv){.tag = QD_SV_FORMAT, .object = f};
    return rc;
}
QDI_FN(formatter_zone)
{
    QDI_UNUSED;
    *out = a[0]; /* the zone of the time that is formatted counts */
    return 0;
}

static int format_with(qdp_vm *vm, const qd_sv *t, const qd_sv *f, qd_sv *out)
{
    char room[QD_SV_PRINT];
    if (t->tag != QD_SV_DATE && t->tag != QD_SV_INSTANT)
        return qdp_throw(vm, QDI_T_CLASS_CAST,
                         "Cannot cast from [%s] to [java.time.temporal.TemporalAccessor].",
                         qdp_class(t));
    if (f->tag != QD_SV_FORMAT)
        return qdp_throw(vm, QDI_T_CLASS_CAST,
                         "Cannot cast from [%s] to [java.time.format.DateTimeFormatter].",
                         qdp_class(f));
    if (f->object) {
        size_t k = qd_date_print(f->object, time_of(t)->ms, time_of(t)->zone, room);
        return qdp_string(vm, (qd_str){room, k}, out);
    }
    qd_str s = qd_sv_print(t, room);
    if (f->more == 2) s = qd_str_sub(s, 0, (size_t)qd_str_find(s, 'T'));
    if (f->more == 3)
        for (size_t i = 11; i < s.n; i++)
            if (s.p[i] == 'Z' || s.p[i] == '+' || s.p[i] == '-') s.n = i;
    return qdp_string(vm, s, out);
}
QDI_FN(zdt_format)
{
    (void)n;
    return format_with(vm, &a[0], &a[1], out);
}
QDI_FN(formatter_format)
{
    (void)n;
    return format_with(vm, &a[1], &a[0], out);
}

#define D QDI_TAG(DATE)
#define I QDI_TAG(INSTANT)
#define U QDI_TAG(DURATION)
#define INTS(name, fn)                                                                             \
    {                                                                                              \
        name, 0, 0, QDI_T_INT, D, fn                                                               \
    }
#define MOVES(name, fn, tags)                                                                      \
    {"plus" name, 1, 0, QDI_T_DEF, tags, plus_##fn},                                               \
    {                                                                                              \
        "minus" name, 1, 0, QDI_T_DEF, tags, minus_##fn                                            \
    }
const qdp_method qdp_lib_time[] = {
    {"parse", -1, QDI_T_ZDT, QDI_T_ZDT, 0, zdt_parse},
    {"of", 8, QDI_T_ZDT, QDI_T_ZDT, 0, zdt_of},
    {"ofInstant", 2, QDI_T_ZDT, QDI_T_ZDT, 0, zdt_of_instant},
    {"withZoneSameInstant", 1, 0, QDI_T_ZDT, D, in_zone},
    {"withZoneSameLocal", 1, 0, QDI_T_ZDT, D, local_in_zone},
    INTS("getYear", year),
    INTS("getMonthValue", month),
    INTS("getMonthOfYear", month),
    INTS("getDayOfMonth", day),
    INTS("getDayOfYear", day_of_year),
    INTS("getHour", hour),
    INTS("getHourOfDay", hour),
    INTS("getMinute", minute),
    INTS("getMinuteOfHour", minute),
    INTS("getSecond", second),
    INTS("getSecondOfMinute", second),
    INTS("getMillisOfSecond", milli),
    INTS("getNano", nano),
    {"getDayOfWeek", 0, 0, QDI_T_WEEKDAY, D, weekday},
    {"getDayOfWeekEnum", 0, 0, QDI_T_WEEKDAY, D, weekday},
    {"getValue", 0, 0, QDI_T_INT, QDI_TAG(WEEKDAY), enum_value},
    {"ordinal", 0, 0, QDI_T_INT, QDI_TAG(WEEKDAY) | QDI_TAG(UNIT), enum_ordinal},
    {"getMillis", 0, 0, QDI_T_LONG, D, epoch_milli},
    {"toEpochMilli", 0, 0, QDI_T_LONG, D | I, epoch_milli},
    {"toEpochSecond", 0, 0, QDI_T_LONG, D, epoch_second},
    {"getEpochSecond", 0, 0, QDI_T_LONG, I, epoch_second},
    {"getNano", 0, 0, QDI_T_INT, I, instant_nano},
    {"toInstant", 0, 0, QDI_T_INSTANT, D, to_instant},
    {"getZone", 0, 0, QDI_T_ZONE, D, zone_get},
    {"atZone", 1, 0, QDI_T_ZDT, I, at_zone},
    MOVES("Nanos", nanos, D | I),
    MOVES("Millis", millis, I | U),
    MOVES("Seconds", seconds, D | I | U),
    MOVES("Minutes", minutes, D | U),
    MOVES("Hours", hours, D | U),
    MOVES("Days", days, D | U),
    MOVES("Weeks", weeks, D),
    MOVES("Months", months, D),
    MOVES("Years", years, D),
    {"plus", 1, 0, QDI_T_DEF, D | I | U, plus_},
    {"plus", 2, 0, QDI_T_DEF, D | I, plus_},
    {"minus", 1, 0, QDI_T_DEF, D | I | U, minus_},
    {"minus", 2, 0, QDI_T_DEF, D | I, minus_},
    {"withYear", 1, 0, QDI_T_ZDT, D, with_year},
    {"withMonth", 1, 0, QDI_T_ZDT, D, with_month},
    {"withDayOfMonth", 1, 0, QDI_T_ZDT, D, with_day},
    {"withHour", 1, 0, QDI_T_ZDT, D, with_hour},
    {"withMinute", 1, 0, QDI_T_ZDT, D, with_minute},
    {"withSecond", 1, 0, QDI_T_ZDT, D, with_second},
    {"truncatedTo", 1, 0, QDI_T_DEF, D | I, truncated},
    {"isBefore", 1, 0, QDI_T_BOOLEAN, D | I, is_before},
    {"isAfter", 1, 0, QDI_T_BOOLEAN, D | I, is_after},
    {"isEqual", 1, 0, QDI_T_BOOLEAN, D, is_equal},
    {"equals", 1, 0, QDI_T_BOOLEAN, D | I | U, is_equal},
    {"until", 2, 0, QDI_T_LONG, D | I, until},
    {"between", 2, 0, QDI_T_LONG, QDI_TAG(UNIT), unit_between},
    {"format", 1, 0, QDI_T_STRING, D, zdt_format},
    {"ofPattern", 1, QDI_T_FORMATTER, QDI_T_FORMATTER, 0, formatter},
    {"format", 1, 0, QDI_T_STRING, QDI_TAG(FORMAT), formatter_format},
    {"withZone", 1, 0, QDI_T_FORMATTER, QDI_TAG(FORMAT), formatter_zone},
    {"ofEpochMilli", 1, QDI_T_INSTANT, QDI_T_INSTANT, 0, instant_milli},
    {"ofEpochSecond", 1, QDI_T_INSTANT, QDI_T_INSTANT, 0, instant_second},
    {"parse", 1, QDI_T_INSTANT, QDI_T_INSTANT, 0, instant_parse},
    {"of", 1, QDI_T_ZONE, QDI_T_ZONE, 0, zone_make},
    {"between", 2, QDI_T_DURATION, QDI_T_DURATION, 0, duration_between},
    {"ofMillis", 1, QDI_T_DURATION, QDI_T_DURATION, 0, of_millis},
    {"ofSeconds", 1, QDI_T_DURATION, QDI_T_DURATION, 0, of_seconds},
    {"ofMinutes", 1, QDI_T_DURATION, QDI_T_DURATION, 0, of_minutes},
    {"ofHours", 1, QDI_T_DURATION, QDI_T_DURATION, 0, of_hours},
    {"ofDays", 1, QDI_T_DURATION, QDI_T_DURATION, 0, of_days},
    {"toMillis", 0, 0, QDI_T_LONG, U, to_millis},
    {"getSeconds", 0, 0, QDI_T_LONG, U, to_seconds},
    {"toMinutes", 0, 0, QDI_T_LONG, U, to_minutes},
    {"toHours", 0, 0, QDI_T_LONG, U, to_hours},
    {"toDays", 0, 0, QDI_T_LONG, U, to_days},
    {0},
};
