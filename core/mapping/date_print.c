/* date_print.c: instants to text, by the first alternative of a format. */
#include "mapping/date_format_int.h"
#include "json/number.h"

typedef struct printer {
    char *out;
    size_t n;
    int32_t rest; /* nanoseconds behind the millisecond */
    bool fine;    /* they show where a pattern does not say how many digits */
} printer;

static void put(printer *p, const char *s, size_t n)
{
    if (n > 127 - p->n) n = 127 - p->n;
    memcpy(p->out + p->n, s, n);
    p->n += n;
}

static void put_number(printer *p, int64_t v, int width)
{
    char digits[QD_I64_TEXT_MAX];
    if (v < 0) put(p, "-", 1);
    size_t n = qd_u64_print(digits, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    for (size_t i = n; (int)i < width; i++) put(p, "0", 1);
    put(p, digits, n);
}

static void put_year(printer *p, int64_t year, int width)
{
    if (width == 4 && year > 9999) put(p, "+", 1);
    put_number(p, year, width);
}

static void put_offset(printer *p, int32_t offset, char letter, int count)
{
    bool zulu = letter == 'X' || (letter == 'Z' && count == 5), colon = count >= 3 && letter != 'Z';
    if (letter == 'Z' && count == 5) colon = true;
    if (zulu && offset == 0) {
        put(p, "Z", 1);
        return;
    }
    int32_t abs = offset < 0 ? -offset : offset;
    put(p, offset < 0 ? "-" : "+", 1);
    put_number(p, abs / 3600, 2);
    if (letter != 'Z' && count == 1 && abs / 60 % 60 == 0) return;
    if (colon) put(p, ":", 1);
    put_number(p, abs / 60 % 60, 2);
    if (abs % 60) {
        if (colon) put(p, ":", 1);
        put_number(p, abs % 60, 2);
    }
}

/* As many digits as the pattern says, else three, or more where there are more. */
static void put_fraction(printer *p, const date_op *op, int32_t milli)
{
    char digits[9];
    int64_t v = milli * (int64_t)1000000 + p->rest;
    size_t n = 9;
    for (size_t i = 9; i-- > 0; v /= 10) digits[i] = (char)('0' + v % 10);
    while (n > 3 && digits[n - 1] == '0') n--;
    put(p, digits, op->min == op->max ? op->min : p->fine ? n : 3);
}

static void print_op(printer *p, const date_op *op, const qd_civil *c, int32_t offset,
                     const qd_zone *zone)
{
    int64_t days = qd_days_from_civil(c->year, c->month, c->day);
    int weekday = (int)(((days + 3) % 7 + 7) % 7) + 1;
    int64_t wy = c->year + 1;
    while (qdi_week_year_start(wy) > days) wy--;
    int width = op->pad;
    switch (op->code) {
    case DATE_LITERAL:
        put(p, op->text.p, op->text.n);
        break;
    case DATE_YEAR:
        put_year(p, c->year, width);
        break;
    case DATE_YEAR2:
        put_number(p, ((c->year % 100) + 100) % 100, 2);
        break;
    case DATE_WEEK_YEAR:
        put_year(p, wy, width);
        break;
    case DATE_MONTH:
        put_number(p, c->month, width);
        break;
    case DATE_MONTH_SHORT:
        put(p, qdi_months[c->month - 1], 3);
        break;
    case DATE_MONTH_LONG:
        put(p, qdi_months[c->month - 1], strlen(qdi_months[c->month - 1]));
        break;
    case DATE_DAY:
        put_number(p, c->day, width);
        break;
    case DATE_DAY_OF_YEAR:
        put_number(p, days - qd_days_from_civil(c->year, 1, 1) + 1, width);
        break;
    case DATE_WEEK:
        put_number(p, (days - qdi_week_year_start(wy)) / 7 + 1, width);
        break;
    case DATE_WEEKDAY:
        put_number(p, weekday, 1);
        break;
    case DATE_WEEKDAY_SHORT:
        put(p, qdi_weekdays[weekday - 1], 3);
        break;
    case DATE_WEEKDAY_LONG:
        put(p, qdi_weekdays[weekday - 1], strlen(qdi_weekdays[weekday - 1]));
        break;
    case DATE_QUARTER:
        put_number(p, (c->month - 1) / 3 + 1, width);
        break;
    case DATE_HOUR:
        put_number(p, c->hour, width);
        break;
    case DATE_HOUR_1_24:
        put_number(p, c->hour ? c->hour : 24, width);
        break;
    case DATE_HOUR_1_12:
        put_number(p, c->hour % 12 ? c->hour % 12 : 12, width);
        break;
    case DATE_HOUR_0_11:
        put_number(p, c->hour % 12, width);
        break;
    case DATE_AM_PM:
        put(p, c->hour < 12 ? "AM" : "PM", 2);
        break;
    case DATE_MINUTE:
        put_number(p, c->minute, width);
        break;
    case DATE_SECOND:
        put_number(p, c->second, width);
        break;
    case DATE_FRACTION:
        put_fraction(p, op, c->milli);
        break;
    case DATE_MILLI_OF_DAY:
        put_number(p, ((c->hour * (int64_t)60 + c->minute) * 60 + c->second) * 1000 + c->milli,
                   width);
        break;
    case DATE_OFFSET:
        put_offset(p, offset, op->letter, op->min);
        break;
    case DATE_ZONE_ID: {
        qd_str id = qd_zone_id(zone);
        put(p, id.p, id.n);
        break;
    }
    default:
        break;
    }
}

static const date_op iso_ops[] = {
    {.code = DATE_YEAR, .pad = 4},
    {.code = DATE_LITERAL, .text = {"-", 1}},
    {.code = DATE_MONTH, .pad = 2},
    {.code = DATE_LITERAL, .text = {"-", 1}},
    {.code = DATE_DAY, .pad = 2},
    {.code = DATE_LITERAL, .text = {"T", 1}},
    {.code = DATE_HOUR, .pad = 2},
    {.code = DATE_LITERAL, .text = {":", 1}},
    {.code = DATE_MINUTE, .pad = 2},
    {.code = DATE_LITERAL, .text = {":", 1}},
    {.code = DATE_SECOND, .pad = 2},
    {.code = DATE_LITERAL, .text = {".", 1}},
    {.code = DATE_FRACTION, .min = 3, .max = 9},
    {.code = DATE_OFFSET, .letter = 'X', .min = 3},
};

/* An instant in seconds or milliseconds, its fraction without zeros behind. */
static size_t print_epoch(int64_t ms, int32_t rest, bool seconds, char out[128])
{
    size_t n = 0;
    bool neg = ms < 0;
    if (neg && rest) { /* towards zero */
        ms++;
        rest = 1000000 - rest;
    }
    uint64_t abs = neg ? 0 - (uint64_t)ms : (uint64_t)ms, unit = seconds ? 1000 : 1;
    uint64_t frac = abs % unit * 1000000 + (uint64_t)rest;
    if (neg) out[n++] = '-';
    n += qd_u64_print(out + n, abs / unit);
    if (frac) {
        size_t width = seconds ? 9 : 6;
        out[n++] = '.';
        for (size_t i = width; i-- > 0; frac /= 10) out[n + i] = (char)('0' + frac % 10);
        n += width;
        while (out[n - 1] == '0') n--;
    }
    out[n] = 0;
    return n;
}

static size_t print_fine(const qd_date_format *f, int64_t ms, int32_t rest, const qd_zone *zone,
                         char out[128])
{
    const date_alternative *a = &f->alternatives[0];
    if (a->kind == DATE_EPOCH_MILLIS && !rest) return qd_i64_print(out, ms);
    if (a->kind == DATE_EPOCH_MILLIS || a->kind == DATE_EPOCH_SECOND)
        return print_epoch(ms, rest, a->kind == DATE_EPOCH_SECOND, out);
    const date_op *ops = a->kind == DATE_PATTERN ? a->ops : iso_ops;
    uint32_t n = a->kind == DATE_PATTERN ? a->nops : (uint32_t)QD_COUNT_OF(iso_ops);
    int32_t offset = qd_zone_offset(zone, ms);
    qd_civil c;
    int64_t local;
    if (__builtin_add_overflow(ms, offset * (int64_t)1000, &local)) local = ms;
    qd_civil_from_ms(local, &c);
    printer p = {out, 0, rest, a->kind == DATE_ISO_NANOS || a->kind == DATE_PATTERN};
    for (uint32_t i = 0; i < n; i++) print_op(&p, &ops[i], &c, offset, zone);
    out[p.n] = 0;
    return p.n;
}

size_t qd_date_print(const qd_date_format *f, int64_t ms, const qd_zone *zone, char out[128])
{
    return print_fine(f, ms, 0, zone, out);
}

size_t qd_date_print_nanos(const qd_date_format *f, int64_t ns, const qd_zone *zone, char out[128])
{
    int64_t ms = qd_nanos_to_ms(ns);
    return print_fine(f, ms, (int32_t)(ns - ms * 1000000), zone, out);
}
