/*
 * zone.c: time zones as tables of offset changes.
 *
 * A region's changes are read from ICU once, when the zone is made (some milliseconds), for the
 * years 1800 to 2438; later instants are folded back by whole cycles of 400 years, in which the
 * calendar repeats. Looking up is a binary search without ICU.
 */
#include "mapping/date_format.h"
#include "json/number.h"
#include <unicode/ucal.h>

#define YEARS_400_MS ((int64_t)146097 * 86400000)
#define TABLE_FROM ((int64_t)-5364662400000) /* 1800-01-01 */
#define TABLE_TO ((int64_t)14768697600000)   /* 2438-01-01 */
#define CHANGES_MAX 4096
#define DAY_MS ((int64_t)86400000)

struct qd_zone {
    qd_str id;
    int32_t offset; /* before the first change, or always */
    uint32_t n;
    int64_t *at;
    int32_t *to; /* offset from at[i] on, seconds */
};

/* --- offsets -------------------------------------------------------------------------------- */

static bool two_digits(const char **p, const char *end, int *out)
{
    if (end - *p < 2 || (unsigned)((*p)[0] - '0') > 9 || (unsigned)((*p)[1] - '0') > 9)
        return false;
    *out = ((*p)[0] - '0') * 10 + (*p)[1] - '0';
    *p += 2;
    return true;
}

/* "+1", "+01", "+0130", "+01:30", "+01:30:15" */
static bool parse_offset(qd_str s, int32_t *out)
{
    const char *p = s.p, *end = s.p + s.n;
    int h = 0, m = 0, sec = 0;
    if (s.n < 2 || (*p != '+' && *p != '-')) return false;
    bool west = *p++ == '-';
    if (end - p == 1) {
        if ((unsigned)(*p - '0') > 9) return false;
        h = *p++ - '0';
    } else if (!two_digits(&p, end, &h)) {
        return false;
    }
    bool colon = p < end && *p == ':';
    if (p < end) {
        p += colon;
        if (!two_digits(&p, end, &m)) return false;
    }
    if (p < end) {
        if (colon != (*p == ':')) return false;
        p += colon;
        if (!two_digits(&p, end, &sec)) return false;
    }
    if (p != end || m > 59 || sec > 59) return false;
    int32_t total = h * 3600 + m * 60 + sec;
    if (total > 18 * 3600) return false;
    *out = west ? -total : total;
    return true;
}

static bool fixed_offset(qd_str id, int32_t *out)
{
    static const char *prefixes[] = {"UTC", "GMT", "UT"};
    *out = 0;
    if (qd_str_is(id, "Z") || qd_str_is(id, "z")) return true;
    for (size_t i = 0; i < QD_COUNT_OF(prefixes); i++) {
        if (!qd_str_starts(id, qd_str_c(prefixes[i]))) continue;
        qd_str rest = qd_str_sub(id, strlen(prefixes[i]), id.n);
        if (rest.n == 0) return true;
        if (parse_offset(rest, out)) return true;
    }
    return parse_offset(id, out);
}

/* --- regions -------------------------------------------------------------------------------- */

static int32_t icu_offset(UCalendar *cal, double ms, UErrorCode *st)
{
    ucal_setMillis(cal, ms, st);
    return (ucal_get(cal, UCAL_ZONE_OFFSET, st) + ucal_get(cal, UCAL_DST_OFFSET, st)) / 1000;
}

static UCalendar *icu_open(qd_str id)
{
    UChar name[64], canonical[64];
    UErrorCode st = U_ZERO_ERROR;
    UBool system = false;
    if (id.n == 0 || id.n >= 64) return NULL;
    for (size_t i = 0; i < id.n; i++) {
        if ((unsigned char)id.p[i] < 33 || (unsigned char)id.p[i] > 126) return NULL;
        name[i] = (UChar)id.p[i];
    }
    (void)ucal_getCanonicalTimeZoneID(name, (int32_t)id.n, canonical, 64, &system, &st);
    if (U_FAILURE(st) || !system) return NULL;
    UCalendar *cal = ucal_open(name, (int32_t)id.n, "", UCAL_GREGORIAN, &st);
    if (U_FAILURE(st)) {
        ucal_close(cal);
        return NULL;
    }
    return cal;
}

static int load_changes(qd_arena *a, qd_zone *z, UCalendar *cal)
{
    UErrorCode st = U_ZERO_ERROR;
    int64_t *at = qd_arena_alloc(a, CHANGES_MAX * sizeof *at);
    int32_t *to = qd_arena_alloc(a, CHANGES_MAX * sizeof *to);
    if (!at || !to) return QD_E_NOMEM;
    double t = (double)TABLE_FROM;
    int32_t now = z->offset = icu_offset(cal, t, &st);
    while (z->n < CHANGES_MAX) {
        UDate next = 0;
        ucal_setMillis(cal, t, &st);
        if (!ucal_getTimeZoneTransitionDate(cal, UCAL_TZ_TRANSITION_NEXT, &next, &st)) break;
        if (U_FAILURE(st) || next <= t || next >= (double)TABLE_TO) break;
        t = next;
        int32_t offset = icu_offset(cal, t, &st);
        if (offset == now) continue; /* only the name, or the share of summer time, changes */
        at[z->n] = (int64_t)t;
        to[z->n++] = now = offset;
    }
    z->at = at;
    z->to = to;
    return 0;
}

/* Java's words for an id that ZoneId.of refuses; the caller frames them. */
static int unknown_zone(qd_str id, qd_err *err)
{
    bool offset =
        id.n > 1 && (id.p[0] == '+' || id.p[0] == '-') && id.p[1] >= '0' && id.p[1] <= '9';
    int64_t hours;
    if (offset && id.n >= 3 && qd_i64_parse(qd_str_sub(id, 1, 2), &hours) == 0 && hours > 18)
        return qd_err_set(err, QD_E_DATE_TIME,
                          "Zone offset hours not in valid range: value %s%lld is not in the range "
                          "-18 to 18",
                          id.p[0] == '-' ? "-" : "", (long long)hours);
    if (offset)
        return qd_err_set(err, QD_E_DATE_TIME, "Invalid ID for ZoneOffset, invalid format: %.*s",
                          QD_STR_ARG(id));
    for (size_t i = 0; i < id.n; i++) { /* ZoneRegion's syntax */
        unsigned char c = (unsigned char)id.p[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        bool other = (c >= '0' && c <= '9') || (c && strchr("/._~+-", c));
        if (letter || (i && other)) continue;
        return qd_err_set(err, QD_E_DATE_TIME,
                          "Invalid ID for region-based ZoneId, invalid format: %.*s",
                          QD_STR_ARG(id));
    }
    if (id.n < 2)
        return qd_err_set(err, QD_E_DATE_TIME,
                          "Invalid ID for region-based ZoneId, invalid format: %.*s",
                          QD_STR_ARG(id));
    return qd_err_set(err, QD_E_ZONE_RULES, "Unknown time-zone ID: %.*s", QD_STR_ARG(id));
}

int qd_zone_make(qd_arena *a, qd_str id, qd_zone **out, qd_err *err)
{
    qd_zone *z = qd_arena_calloc(a, sizeof *z);
    if (!z) return qd_err_nomem(err, "time zone");
    z->id = qd_arena_str(a, id);
    if (id.n && !z->id.p) return qd_err_nomem(err, "time zone");
    if (!fixed_offset(id, &z->offset)) {
        UCalendar *cal = icu_open(id);
        if (!cal) return unknown_zone(id, err);
        int rc = load_changes(a, z, cal);
        ucal_close(cal);
        if (rc) return qd_err_nomem(err, "time zone");
    }
    *out = z;
    return 0;
}

/* --- looking up ------------------------------------------------------------------------------ */

static int64_t fold(int64_t ms)
{
    if (ms < TABLE_TO) return ms;
    return ms - ((ms - TABLE_TO) / YEARS_400_MS + 1) * YEARS_400_MS;
}

/* Number of changes at or before ms. */
static uint32_t changes_before(const qd_zone *z, int64_t ms)
{
    uint32_t lo = 0, hi = z->n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (z->at[mid] <= ms)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

int32_t qd_zone_offset(const qd_zone *z, int64_t utc_ms)
{
    if (!z) return 0;
    if (z->n == 0) return z->offset;
    uint32_t i = changes_before(z, fold(utc_ms));
    return i ? z->to[i - 1] : z->offset;
}

int64_t qd_zone_to_utc(const qd_zone *z, int64_t local_ms)
{
    if (!z) return local_ms;
    if (z->n == 0) return local_ms - z->offset * (int64_t)1000;
    int64_t before = qd_zone_offset(z, local_ms - DAY_MS) * (int64_t)1000;
    int64_t after = qd_zone_offset(z, local_ms + DAY_MS) * (int64_t)1000;
    int64_t first = local_ms - before, second = local_ms - after;
    if (qd_zone_offset(z, first) * (int64_t)1000 == before) return first;
    if (qd_zone_offset(z, second) * (int64_t)1000 == after) return second;
    return first; /* in a gap: the offset before it moves the time forward */
}

int64_t qd_zone_next_change(const qd_zone *z, int64_t utc_ms)
{
    if (!z || z->n == 0) return INT64_MAX;
    int64_t folded = fold(utc_ms), moved = utc_ms - folded;
    uint32_t i = changes_before(z, folded);
    return i < z->n ? z->at[i] + moved : INT64_MAX;
}

bool qd_zone_fixed(const qd_zone *z)
{
    return !z || z->n == 0;
}
qd_str qd_zone_id(const qd_zone *z)
{
    return z ? z->id : QD_STR("Z");
}
