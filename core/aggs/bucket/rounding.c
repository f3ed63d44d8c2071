/*
 * rounding.c: intervals of numbers and dates: read, checked, and values rounded to them.
 */
#include "aggs/bucket/rounding.h"
#include "mapping/date_math.h"

static bool calendar_unit(qd_str s, qd_date_unit *out)
{
    static const struct {
        const char *a, *b;
        qd_date_unit unit;
    } units[] = {{"second", "1s", QD_UNIT_SECOND},   {"minute", "1m", QD_UNIT_MINUTE},
                 {"hour", "1h", QD_UNIT_HOUR},       {"day", "1d", QD_UNIT_DAY},
                 {"week", "1w", QD_UNIT_WEEK},       {"month", "1M", QD_UNIT_MONTH},
                 {"quarter", "1q", QD_UNIT_QUARTER}, {"year", "1y", QD_UNIT_YEAR}};
    for (size_t i = 0; i < QD_COUNT_OF(units); i++)
        if (qd_str_is(s, units[i].a) || qd_str_is(s, units[i].b)) {
            *out = units[i].unit;
            return true;
        }
    return false;
}

/* "30d", "90m", "250ms", also with a sign when one is allowed. */
static bool time_value(qd_str s, bool with_sign, int64_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    bool minus = false;
    if (with_sign && s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        minus = s.p[0] == '-';
        s = qd_str_sub(s, 1, s.n);
    }
    for (size_t i = 0; i < QD_COUNT_OF(units); i++) {
        qd_str u = qd_str_c(units[i].unit);
        int64_t n;
        if (!qd_str_ends(s, u)) continue;
        if (!qd_str_i64(qd_str_sub(s, 0, s.n - u.n), &n) || n < 0) continue;
        if (n > INT64_MAX / units[i].ms) return false;
        *ms = minus ? -n * units[i].ms : n * units[i].ms;
        return true;
    }
    return false;
}

static int fixed_interval(qdi_parse *p, const qdi_agg *a, const qd_json_node *f, int64_t *interval)
{
    if (f->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, a->type->name, f);
    if (time_value(f->text, true, interval)) return 0;
    double v;
    qd_str t = f->text;
    while (t.n && !(t.p[t.n - 1] >= '0' && t.p[t.n - 1] <= '9')) t.n--;
    if (qd_str_find(t, '.') >= 0 && t.n < f->text.n && qd_f64_parse(t, &v) == 0)
        return qdi_aggs_setter_arg(
            p, a, f, "failed to parse [%.*s], fractional time values are not supported",
            QD_STR_ARG(f->text));
    return qdi_aggs_setter_arg(
        p, a, f,
        "failed to parse setting [date_histogram.fixedInterval] with value [%.*s] as a time "
        "value: unit is missing or unrecognized",
        QD_STR_ARG(f->text));
}

static int get_offset(qdi_parse *p, const qdi_agg *a, int64_t *offset)
{
    const qd_json_node *o = qd_json_get(a->json, "offset");
    if (!o || (o->type == QD_JSON_T_NUMBER && qd_str_i64(o->text, offset))) return 0;
    if (o->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, a->type->name, o);
    if (time_value(o->text, true, offset)) return 0;
    return qdi_aggs_setter_arg(
        p, a, o,
        "failed to parse setting [DateHistogramAggregationBuilder.parseOffset] with value [%.*s] "
        "as a time value: unit is missing or unrecognized",
        QD_STR_ARG(o->text));
}

int qdi_aggs_rounding_parse(qdi_parse *p, qdi_agg *a, qdi_rounding *r)
{
    const qd_json_node *c = qd_json_get(a->json, "calendar_interval");
    const qd_json_node *f = qd_json_get(a->json, "fixed_interval");
    const qd_json_node *old = qd_json_get(a->json, "interval"); /* of older products */
    static const int64_t fixed[] = {1000, 60000, 3600000};
    if (c && f)
        return qdi_aggs_setter_arg(p, a, f, "Cannot use [%s] with [%s] configuration option.",
                                   "fixed_interval", "calendar_interval");
    if (old && (c || f))
        return qdi_aggs_setter_arg(p, a, c ? c : f,
                                   "Cannot use [%s] with [interval] configuration option.",
                                   c ? "calendar_interval" : "fixed_interval");
    r->zone = a->zone;
    int rc = get_offset(p, a, &r->offset_ms);
    if (rc) return rc;
    if (old && old->type == QD_JSON_T_NUMBER && qd_str_i64(old->text, &r->interval_ms)) return 0;
    if (old && old->type == QD_JSON_T_STRING && calendar_unit(old->text, &r->unit))
        c = old;
    else if (old)
        f = old;
    if (f) return fixed_interval(p, a, f, &r->interval_ms);
    if (!c) return 0;
    if (c->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, a->type->name, c);
    if (!calendar_unit(c->text, &r->unit))
        return qdi_aggs_setter_arg(
            p, a, c, "The supplied interval [%.*s] could not be parsed as a calendar interval.",
            QD_STR_ARG(c->text));
    r->calendar = true;
    r->interval_ms = r->unit <= QD_UNIT_HOUR ? fixed[r->unit] : 0;
    return 0;
}

int qdi_aggs_rounding_check(qdi_binder *x, const qdi_agg *a, const qdi_rounding *r, bool dates)
{
    if (!dates && !(r->interval > 0))
        return qd_err_set(x->err, QD_E_ARG, "interval must be positive, got: 0.0");
    if (!dates || r->calendar) return 0;
    if (!qd_json_get(a->json, "fixed_interval") && !qd_json_get(a->json, "interval"))
        return qd_err_set(x->err, QD_E_ARG,
                          "Invalid interval specified, must be non-null and non-empty");
    if (r->interval_ms > 0) return 0;
    return qd_err_set(x->err, QD_E_ARG, "Zero or negative time interval not supported");
}

/* --- rounding --------------------------------------------------------------------------------- */

int64_t qdi_aggs_floor_to(int64_t v, int64_t step)
{
    int64_t m = v % step;
    if (m < 0) m += step;
    return v < INT64_MIN + m ? v : v - m;
}

/* The greatest instant <= ms whose local time is a multiple of step; the start of a gap counts as
 * the local times that it swallowed. */
static int64_t round_fixed(int64_t ms, int64_t step, const qd_zone *z)
{
    if (!z) return qdi_aggs_floor_to(ms, step);
    int64_t offset = (int64_t)qd_zone_offset(z, ms) * 1000;
    int64_t local = qdi_aggs_floor_to(ms + offset, step);
    int64_t same = local - offset;
    if (qd_zone_fixed(z)) return same;
    if ((int64_t)qd_zone_offset(z, same) * 1000 == offset) return same;
    /* a transition lies between: the time before it */
    int64_t other = qd_zone_to_utc(z, local);
    if (other + (int64_t)qd_zone_offset(z, other) * 1000 == local && other <= ms) {
        /* after the clock went back, the last second before counts as its own interval */
        int64_t change = qd_zone_next_change(z, same < other ? same : other);
        if (change > ms) return other;
        int64_t before = change - 1;
        int64_t old = (int64_t)qd_zone_offset(z, before) * 1000;
        return qdi_aggs_floor_to(before + old, step) - old;
    }
    int64_t from = (other < same ? other : same) - 86400000;
    for (int i = 0; i < 8; i++) {
        int64_t change = qd_zone_next_change(z, from);
        if (change > ms) break;
        if (qd_zone_next_change(z, change) > ms) return change;
        from = change;
    }
    return same;
}

int64_t qdi_aggs_round_date(const qdi_rounding *r, int64_t ms)
{
    int64_t offset = r->offset_ms, v;
    if (__builtin_sub_overflow(ms, offset, &v)) return ms;
    if (r->calendar && r->interval_ms == 0) return qd_date_floor(v, r->unit, r->zone) + offset;
    return round_fixed(v, r->interval_ms, r->zone) + offset;
}

int64_t qdi_aggs_round_next(const qdi_rounding *r, int64_t key)
{
    int64_t offset = r->offset_ms, step = r->interval_ms, next;
    if (r->calendar && step == 0) {
        next = qd_date_add(key - offset, r->unit, 1, r->zone);
        next = qd_date_floor(next, r->unit, r->zone);
        if (next + offset > key) return next + offset;
        next = qd_date_add(key - offset, r->unit, 2, r->zone);
        return qd_date_floor(next, r->unit, r->zone) + offset;
    }
    int64_t at = key;
    if (!r->zone || qd_zone_fixed(r->zone))
        return __builtin_add_overflow(key, step, &next) ? INT64_MAX : next;
    for (int i = 0; i < 64; i++) { /* a clock change may repeat an interval */
        if (__builtin_add_overflow(at, step, &at)) return INT64_MAX;
        next = qdi_aggs_round_date(r, at);
        if (next <= key) continue;
        /* none in between: the interval may have been cut by a change */
        int64_t mid = qdi_aggs_round_date(r, next - 1);
        return mid > key ? mid : next;
    }
    return INT64_MAX;
}
