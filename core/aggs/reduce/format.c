/*
 * format.c: keys and values as text.
 */
#include "aggs/reduce/reduce_int.h"
#include <math.h>
#include <stdio.h>

#include "aggs/aggs_int.h"
#include <math.h>
#include <stdio.h>

/* --- formats ---------------------------------------------------------------------------------- */

/* Java's DecimalFormat for the patterns in use: literal, digits "#,##0.00", literal; "%".
 * exact: the value, where it is an integer. */
static size_t decimal(qd_str pattern, double v, const int64_t *exact, char out[128])
{
    size_t a = 0, b;
    while (a < pattern.n && !strchr("#0,.", pattern.p[a])) a++;
    for (b = a; b < pattern.n && strchr("#0,.", pattern.p[b]); b++) {}
    unsigned least = 0, most = 0, whole = 0;
    bool point = false, commas = false, percent = false;
    for (size_t i = a; i < b; i++) {
        char c = pattern.p[i];
        if (c == '.') point = true;
        commas |= c == ',' && !point;
        if (point && (c == '0' || c == '#')) most++;
        if (point && c == '0') least = most;
        if (!point && c == '0') whole++;
    }
    if (most > 20) most = 20;
    if (least > most) least = most;
    for (size_t i = 0; i < pattern.n; i++) percent |= pattern.p[i] == '%';
    if (percent) v *= 100;
    char digits[400], *p = digits;
    if (!isfinite(v) || a == b || fabs(v) > 1e60) return qd_f64_print(out, v);
    int n = snprintf(digits, sizeof digits, "%.*f", (int)most, fabs(v));
    if (exact && !percent) {
        uint64_t whole_part = *exact < 0 ? 0 - (uint64_t)*exact : (uint64_t)*exact;
        n = snprintf(digits, sizeof digits, "%llu%s%.*s", (unsigned long long)whole_part,
                     most ? "." : "", (int)most, "00000000000000000000");
    }
    bool minus = signbit(v);                                /* Java writes "-0" */
    while (most > least && n > 0 && digits[n - 1] == '0') { /* optional digits */
        n--;
        most--;
    }
    if (most == 0 && n > 0 && digits[n - 1] == '.') n--;
    digits[n] = 0;
    if (whole == 0 && p[0] == '0' && p[1]) p++;
    char *dot = strchr(p, '.');
    size_t head = dot ? (size_t)(dot - p) : strlen(p), at = 0;
    if (minus) out[at++] = '-';
    for (size_t i = 0; i < a && at < 20; i++) out[at++] = pattern.p[i];
    for (size_t i = head; i < whole && at < 60; i++) out[at++] = '0';
    for (size_t i = 0; i < head && at < 110; i++) {
        out[at++] = p[i];
        if (commas && (head - i - 1) % 3 == 0 && i + 1 < head) out[at++] = ',';
    }
    if (dot)
        for (char *c = dot; *c && at < 120; c++) out[at++] = *c;
    for (size_t i = b; i < pattern.n && at < 126; i++) out[at++] = pattern.p[i];
    out[at] = 0;
    return at;
}

static size_t truth(bool v, char out[128])
{
    qd_str s = v ? QD_STR("true") : QD_STR("false");
    memcpy(out, s.p, s.n + 1);
    return s.n;
}

size_t qdi_aggs_format_i64(const qdi_format *f, int64_t v, char out[128])
{
    switch (f->kind) {
    case QDI_FMT_DATE:
        return qd_date_print(f->date, v, f->zone, out);
    case QDI_FMT_BOOL:
        return truth(v != 0, out);
    case QDI_FMT_DECIMAL:
        return decimal(f->pattern, (double)v, &v, out);
    case QDI_FMT_U64:
        if (f->pattern.p) return decimal(f->pattern, (double)qd_u64_decode(v), NULL, out);
        return qd_u64_print(out, qd_u64_decode(v));
    default:
        return qd_i64_print(out, v);
    }
}

size_t qdi_aggs_format_f64(const qdi_format *f, double v, char out[128])
{
    switch (f->kind) {
    case QDI_FMT_DATE: {
        int64_t ms = v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : v == v ? (int64_t)v : 0;
        return qd_date_print(f->date, ms, f->zone, out);
    }
    case QDI_FMT_BOOL:
        return truth(v != 0, out);
    case QDI_FMT_U64:
        if (!f->pattern.p) return qd_f64_print(out, v);
        return decimal(f->pattern, v, NULL, out);
    case QDI_FMT_DECIMAL:
        return decimal(f->pattern, v, NULL, out);
    default:
        return qd_f64_print(out, v);
    }
}

const qdi_format *qdi_aggs_format_of(const qdi_out *o)
{
    static const qdi_format raw;
    return o->bound ? &o->bound->fmt : &raw;
}
