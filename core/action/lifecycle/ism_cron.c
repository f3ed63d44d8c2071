/* ism_cron.c: times that five fields of cron name. See ism_int.h. */
#include "action/lifecycle/ism_int.h"
#include "base/str.h"
#include "mapping/date_format.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define DAYS_MAX (8 * 366) /* a 29 February is at most eight years away */

typedef struct cron {
    uint64_t minutes, hours, days, months, weekdays; /* bits */
    bool any_day, any_weekday;
} cron;

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                          "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static bool value_of(qd_str text, int64_t from, const char *const *names, size_t n, int64_t *out)
{
    for (size_t i = 0; i < n; i++)
        if (qd_str_ieq(text, qd_str_c(names[i]))) return *out = (int64_t)i + from, true;
    return text.n > 0 && text.p[0] != '-' && text.p[0] != '+' && qd_str_i64(text, out);
}

/* "*", "5", "1-5", "5/10", and lists of them. false: it is none. */
static bool read_field(qd_str text, int64_t low, int64_t high, const char *const *names, size_t n,
                       uint64_t *out)
{
    int64_t base = names == day_names ? 0 : 1;
    *out = 0;
    if (!text.n) return false;
    while (text.n) {
        qd_str part = qd_str_split(&text, ',');
        qd_str range = qd_str_split(&part, '/');
        int64_t step = 1, from = low, to = high;
        bool stepped = part.n > 0;
        if (stepped && (!qd_str_i64(part, &step) || step < 1)) return false;
        if (!qd_str_is(range, "*") && !qd_str_is(range, "?")) {
            qd_str end = range, begin = qd_str_split(&end, '-');
            if (!value_of(begin, base, names, n, &from)) return false;
            to = stepped ? high : from;
            if (end.n && !value_of(end, base, names, n, &to)) return false;
        }
        if (from < low || to > high || from > to) return false;
        for (int64_t i = from; i <= to; i += step) *out |= UINT64_C(1) << i;
    }
    return true;
}

static int parse(qd_str expression, cron *out, qd_err *err)
{
    qd_str field[5] = {{NULL, 0}}, rest = qd_str_trim(expression);
    uint32_t n = 0;
    while (rest.n && n < 5) {
        field[n++] = qd_str_split(&rest, ' ');
        rest = qd_str_trim(rest);
    }
    if (n == 5 && !rest.n && read_field(field[0], 0, 59, NULL, 0, &out->minutes) &&
        read_field(field[1], 0, 23, NULL, 0, &out->hours) &&
        read_field(field[2], 1, 31, NULL, 0, &out->days) &&
        read_field(field[3], 1, 12, month_names, QD_COUNT_OF(month_names), &out->months) &&
        read_field(field[4], 0, 7, day_names, QD_COUNT_OF(day_names), &out->weekdays)) {
        if (out->weekdays & 1u << 7) out->weekdays |= 1; /* Sunday is 0 and 7 */
        out->any_day = field[2].p[0] == '*' || field[2].p[0] == '?';
        out->any_weekday = field[4].p[0] == '*' || field[4].p[0] == '?';
        return 0;
    }
    return qd_err_set(err, QD_E_ARG, "Cron expression [%.*s] is not a valid UNIX expression",
                      QD_STR_ARG(expression));
}

/* A civil date of days since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
 */
static void civil_of(int64_t days, int64_t *month, int64_t *day)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *day = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
}

static bool day_fits(const cron *c, int64_t days)
{
    int64_t month, day, weekday = (days % 7 + 11) % 7; /* 1 January 1970 was a Thursday */
    civil_of(days, &month, &day);
    bool by_day = (c->days >> day & 1) != 0, by_weekday = (c->weekdays >> weekday & 1) != 0;
    if (!(c->months >> month & 1)) return false;
    /* as cron has it: two fields that both name days are either-or */
    return c->any_day || c->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

int qdi_ism_cron_next(qd_arena *a, qd_str expression, qd_str zone, int64_t after_ms, int64_t *out,
                      qd_err *err)
{
    cron c = {0};
    qd_zone *z = NULL;
    int rc = parse(expression, &c, err);
    if (!rc && zone.n) rc = qd_zone_make(a, zone, &z, err);
    if (rc) return rc;
    int64_t local = after_ms + qd_zone_offset(z, after_ms) * INT64_C(1000);
    int64_t first = local / DAY_MS - (local < 0 && local % DAY_MS != 0);
    for (int64_t day = first; day < first + DAYS_MAX; day++) {
        if (!day_fits(&c, day)) continue;
        for (int64_t k = 0; k < 1440; k++) {
            if (!(c.hours >> k / 60 & 1) || !(c.minutes >> k % 60 & 1)) continue;
            int64_t at = qd_zone_to_utc(z, day * DAY_MS + k * MINUTE_MS);
            if (at <= after_ms) continue;
            *out = at;
            return 0;
        }
    }
    return qd_err_set(err, QD_E_ARG, "Cron expression [%.*s] names no day of the next years",
                      QD_STR_ARG(expression));
}
