/*
 * value.c: bytes, times and ratios as text. Rules and messages are those of Elasticsearch's
 * ByteSizeValue.parseBytesSizeValue, TimeValue.parseTimeValue and RatioValue.parseRatioValue.
 */
#include "config/value.h"
#include "json/number.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

typedef struct unit {
    const char *suffix;
    int64_t factor;
} unit;

/* Longest suffix first where one ends another. */
static const unit byte_units[] = {
    {"kb", 1ll << 10}, {"mb", 1ll << 20}, {"gb", 1ll << 30}, {"tb", 1ll << 40},
    {"pb", 1ll << 50}, {"k", 1ll << 10},  {"m", 1ll << 20},  {"g", 1ll << 30},
    {"t", 1ll << 40},  {"p", 1ll << 50},  {"b", 1},
};
static const unit time_units[] = {
    {"nanos", 1},
    {"micros", 1000},
    {"ms", 1000000},
    {"s", 1000000000ll},
    {"m", 60 * 1000000000ll},
    {"h", 3600 * 1000000000ll},
    {"d", 86400 * 1000000000ll},
};

static const unit *unit_of(qd_str text, const unit *units, size_t n, bool fold)
{
    for (size_t i = 0; i < n; i++) {
        qd_str suffix = qd_str_c(units[i].suffix);
        if (text.n < suffix.n) continue;
        qd_str end = qd_str_sub(text, text.n - suffix.n, suffix.n);
        if (fold ? qd_str_ieq(end, suffix) : qd_str_eq(end, suffix)) return &units[i];
    }
    return NULL;
}

bool qd_value_double(qd_str text, double *out)
{
    return qd_f64_parse_java(text, out) == 0;
}

int qd_value_bytes(qd_str text, const char *name, int64_t *out, qd_err *err)
{
    qd_str t = qd_str_trim(text);
    const unit *u = unit_of(t, byte_units, QD_COUNT_OF(byte_units), true);
    if (!u) {
        if (qd_str_is(t, "-1") || qd_str_is(t, "0")) {
            *out = t.n == 1 ? 0 : -1;
            return 0;
        }
        return qd_err_set(err, QD_E_ES_PARSE,
                          "failed to parse setting [%s] with value [%.*s] as a size in bytes: unit "
                          "is missing or unrecognized",
                          name, QD_STR_ARG(text));
    }
    qd_str digits = qd_str_trim(qd_str_sub(t, 0, t.n - strlen(u->suffix)));
    int64_t whole;
    double fraction;
    if (qd_str_i64(digits, &whole)) {
        if (whole < -1 || (whole == -1 && u->factor != 1))
            return qd_err_set(err, QD_E_ARG, "Values less than -1 bytes are not supported: %.*s",
                              QD_STR_ARG(t));
        if (__builtin_mul_overflow(whole, u->factor, out))
            return qd_err_set(err, QD_E_ARG,
                              "Values greater than %" PRId64 " bytes are not supported: %.*s",
                              INT64_MAX, QD_STR_ARG(t));
        return 0;
    }
    if (u->factor == 1 || !qd_value_double(digits, &fraction) || !isfinite(fraction))
        return qd_err_set(err, QD_E_ES_PARSE, "failed to parse setting [%s] with value [%.*s]",
                          name, QD_STR_ARG(text));
    double bytes = fraction * (double)u->factor;
    if (bytes < 0 || bytes >= 9.2e18)
        return qd_err_set(err, QD_E_ARG, "failed to parse setting [%s] with value [%.*s]", name,
                          QD_STR_ARG(text));
    *out = (int64_t)bytes;
    return 0;
}

/* All zeros, with a minus before a single 1 perhaps: the times that need no unit. */
static bool unitless_time(qd_str t, int64_t *out)
{
    bool minus = t.n > 0 && t.p[0] == '-';
    qd_str digits = qd_str_sub(t, minus ? 1 : 0, t.n);
    if (digits.n == 0) return false;
    for (size_t i = 0; i + 1 < digits.n; i++) {
        if (digits.p[i] != '0') return false;
    }
    char last = digits.p[digits.n - 1];
    if (minus && last == '1')
        *out = QD_TIME_NONE;
    else if (!minus && last == '0')
        *out = 0;
    else
        return false;
    return true;
}

int qd_value_time(qd_str text, const char *name, int64_t *out_ns, qd_err *err)
{
    qd_str t = qd_str_trim(text);
    if (unitless_time(t, out_ns)) return 0;
    char lower[64]; /* units are read in lower case, but M and H are not minutes and hours */
    if (t.n == 0 || t.n >= sizeof lower) goto no_unit;
    for (size_t i = 0; i < t.n; i++)
        lower[i] = (char)(t.p[i] >= 'A' && t.p[i] <= 'Z' ? t.p[i] + 32 : t.p[i]);
    char last = t.p[t.n - 1];
    const unit *u = unit_of((qd_str){lower, t.n}, time_units, QD_COUNT_OF(time_units), false);
    if (!u || (last == 'M' && u->suffix[1] == 0)) goto no_unit;
    qd_str digits = qd_str_trim(qd_str_sub(t, 0, t.n - strlen(u->suffix)));
    int64_t v;
    double d;
    if (!qd_str_i64(digits, &v)) {
        if (qd_value_double(digits, &d))
            return qd_err_set(err, QD_E_ARG,
                              "failed to parse [%.*s], fractional time values are not supported",
                              QD_STR_ARG(text));
        return qd_err_set(err, QD_E_ARG, "failed to parse [%.*s]", QD_STR_ARG(text));
    }
    if (v < 0)
        return qd_err_set(
            err, QD_E_ARG,
            "failed to parse setting [%s] with value [%.*s] as a time value: negative "
            "durations are not supported",
            name, QD_STR_ARG(text));
    if (__builtin_mul_overflow(v, u->factor, out_ns)) *out_ns = INT64_MAX; /* 292 years */
    return 0;
no_unit:
    return qd_err_set(err, QD_E_ARG,
                      "failed to parse setting [%s] with value [%.*s] as a time value: unit is "
                      "missing or unrecognized",
                      name, QD_STR_ARG(text));
}

int qd_value_bool(qd_str text, bool *out, qd_err *err)
{
    if (qd_str_is(text, "true"))
        *out = true;
    else if (qd_str_is(text, "false"))
        *out = false;
    else
        return qd_err_set(err, QD_E_ARG,
                          "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                          QD_STR_ARG(text));
    return 0;
}

int qd_value_ratio(qd_str text, const char *name, double *out, qd_err *err)
{
    qd_str t = qd_str_trim(text);
    double v;
    bool percent = t.n > 0 && t.p[t.n - 1] == '%';
    if (!qd_value_double(qd_str_sub(t, 0, percent ? t.n - 1 : t.n), &v))
        return qd_err_set(err, QD_E_ES_PARSE, "Failed to parse ratio or percentage [%.*s] for [%s]",
                          QD_STR_ARG(text), name);
    if (!(v >= 0 && v <= (percent ? 100 : 1)))
        return qd_err_set(err, QD_E_ES_PARSE,
                          percent ? "Percentage should be in [0-100], got [%.*s]"
                                  : "Ratio should be in [0-1.0], got [%.*s]",
                          QD_STR_ARG(text));
    *out = percent ? v / 100 : v;
    return 0;
}

/* One decimal, without ".0": as Elasticsearch's Strings.format1Decimals. */
static void one_decimal(double v, const char *suffix, char out[32])
{
    snprintf(out, 32, "%.1f", trunc(v * 10) / 10);
    size_t n = strlen(out);
    if (n > 2 && strcmp(out + n - 2, ".0") == 0) n -= 2;
    snprintf(out + n, 32 - n, "%s", suffix);
}

const char *qd_bytes_text(int64_t bytes, char out[32])
{
    static const char *const names[] = {"kb", "mb", "gb", "tb", "pb"};
    for (int i = 4; i >= 0; i--) {
        int64_t factor = 1ll << (10 * (i + 1));
        if (bytes >= factor) {
            one_decimal((double)bytes / (double)factor, names[i], out);
            return out;
        }
    }
    snprintf(out, 32, "%" PRId64 "b", bytes);
    return out;
}

const char *qd_bytes_exact(int64_t bytes, char out[32])
{
    static const char *const names[] = {"b", "kb", "mb", "gb", "tb", "pb"};
    int i = 0;
    if (bytes == 0 || bytes == -1) {
        snprintf(out, 32, "%s", bytes ? "-1" : "0b");
        return out;
    }
    while (i < 5 && bytes % 1024 == 0) {
        bytes /= 1024;
        i++;
    }
    snprintf(out, 32, "%" PRId64 "%s", bytes, names[i]);
    return out;
}

const char *qd_time_text(int64_t ns, char out[32])
{
    if (ns < 0) {
        snprintf(out, 32, "-1");
        return out;
    }
    if (ns == 0) {
        snprintf(out, 32, "0s");
        return out;
    }
    for (int i = (int)QD_COUNT_OF(time_units) - 1; i >= 0; i--) {
        if (ns >= time_units[i].factor) {
            one_decimal((double)ns / (double)time_units[i].factor, time_units[i].suffix, out);
            return out;
        }
    }
    return out;
}
