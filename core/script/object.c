/* object.c: the text of values. */
#include "script/object.h"
#include "base/geo.h"
#include "base/utf8.h"
#include "script/script.h"
#include "json/number.h"
#include <stdarg.h>
#include <stdio.h>

const char *const qd_sv_units[] = {"Nanos",    "Micros", "Millis", "Seconds", "Minutes", "Hours",
                                   "HalfDays", "Days",   "Weeks",  "Months",  "Years",   NULL};
const char *const qd_sv_weekdays[] = {"MONDAY", "TUESDAY",  "WEDNESDAY", "THURSDAY",
                                      "FRIDAY", "SATURDAY", "SUNDAY",    NULL};

static const struct {
    uint8_t tag;
    const char *name;
} classes[] = {{QD_SV_NULL, "null"},
               {QD_SV_BOOL, "java.lang.Boolean"},
               {QD_SV_BYTE, "java.lang.Byte"},
               {QD_SV_SHORT, "java.lang.Short"},
               {QD_SV_CHAR, "java.lang.Character"},
               {QD_SV_INT, "java.lang.Integer"},
               {QD_SV_LONG, "java.lang.Long"},
               {QD_SV_FLOAT, "java.lang.Float"},
               {QD_SV_DOUBLE, "java.lang.Double"},
               {QD_SV_STRING, "java.lang.String"},
               {QD_SV_LIST, "java.util.ArrayList"},
               {QD_SV_MAP, "java.util.HashMap"},
               {QD_SV_SET, "java.util.HashSet"},
               {QD_SV_BIG, "java.math.BigInteger"},
               {QD_SV_ARRAY, "def[]"},
               {QD_SV_ENTRY, "java.util.Map.Entry"},
               {QD_SV_ITERATOR, "java.util.Iterator"},
               {QD_SV_BUILDER, "java.lang.StringBuilder"},
               {QD_SV_FUNCTION, "java.util.function.Function"},
               {QD_SV_EXCEPTION, "java.lang.Exception"},
               {QD_SV_PATTERN, "java.util.regex.Pattern"},
               {QD_SV_MATCHER, "java.util.regex.Matcher"},
               {QD_SV_STREAM, "java.util.stream.Stream"},
               {QD_SV_OPTIONAL, "java.util.Optional"},
               {QD_SV_DATE, "java.time.ZonedDateTime"},
               {QD_SV_INSTANT, "java.time.Instant"},
               {QD_SV_DURATION, "java.time.Duration"},
               {QD_SV_ZONE, "java.time.ZoneId"},
               {QD_SV_FORMAT, "java.time.format.DateTimeFormatter"},
               {QD_SV_UNIT, "java.time.temporal.ChronoUnit"},
               {QD_SV_WEEKDAY, "java.time.DayOfWeek"},
               {QD_SV_GEO, "org.elasticsearch.common.geo.GeoPoint"},
               {QD_SV_DOC, "java.util.Map"},
               {QD_SV_VALUES, "org.elasticsearch.index.fielddata.ScriptDocValues"}};

const char *qd_sv_class(const qd_sv *v)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (classes[i].tag == v->tag) return classes[i].name;
    return "java.lang.Object";
}

/* Appends a short text; a room has place for the longest of all that follow each other. */
static int put(char *at, const char *fmt, ...) QD_PRINTF(2, 3);
static int put(char *at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(at, QD_SV_PRINT / 2, fmt, ap);
    va_end(ap);
    return n;
}

/* The part of a second: nothing, or 3, 6 or 9 digits, as java.time prints it. */
static int fraction(char *out, int32_t milli, int32_t rest)
{
    int64_t ns = milli * (int64_t)1000000 + rest;
    if (ns == 0) return 0;
    if (ns % 1000000 == 0) return put(out, ".%03d", (int)(ns / 1000000));
    if (ns % 1000 == 0) return put(out, ".%06d", (int)(ns / 1000));
    return put(out, ".%09d", (int)ns);
}

static qd_str print_time(const qd_sv *v, bool whole, char *room)
{
    const qd_sv_time *t = v->object;
    int32_t offset = v->tag == QD_SV_DATE ? qd_zone_offset(t->zone, t->ms) : 0;
    qd_civil c;
    qd_civil_from_ms(t->ms + offset * (int64_t)1000, &c);
    int n = put(room, "%04lld-%02d-%02dT%02d:%02d", (long long)c.year, c.month, c.day, c.hour,
                c.minute);
    if (whole || v->tag == QD_SV_INSTANT || c.second || c.milli || t->rest)
        n += put(room + n, ":%02d", c.second);
    int f = fraction(room + n, c.milli, t->rest);
    if (whole && !f) f = put(room + n, ".000");
    n += f;
    if (offset == 0)
        room[n++] = 'Z';
    else {
        int32_t o = offset < 0 ? -offset : offset;
        n += put(room + n, "%c%02d:%02d", offset < 0 ? '-' : '+', o / 3600, o / 60 % 60);
        if (o % 60) n += put(room + n, ":%02d", o % 60);
    }
    if (!whole && v->tag == QD_SV_DATE && t->zone && !qd_zone_fixed(t->zone)) {
        qd_str id = qd_zone_id(t->zone);
        if (id.n < 64) n += put(room + n, "[%.*s]", QD_STR_ARG(id));
    }
    return (qd_str){room, (size_t)n};
}

qd_str qd_sv_print_iso(const qd_sv *v, char room[QD_SV_PRINT])
{
    return print_time(v, true, room);
}

static qd_str print_duration(const qd_sv *v, char *room)
{
    const qd_sv_time *t = v->object;
    int64_t s = t->ms / 1000, ms = t->ms % 1000;
    if (ms < 0) {
        ms += 1000;
        s--;
    }
    if (s == 0 && ms == 0 && t->rest == 0) return qd_str_c("PT0S");
    int n = put(room, "PT");
    if (s / 3600) n += put(room + n, "%lldH", (long long)(s / 3600));
    if (s % 3600 / 60) n += put(room + n, "%lldM", (long long)(s % 3600 / 60));
    if (s % 60 || ms || t->rest) {
        n += put(room + n, "%lld", (long long)(s % 60));
        int f = fraction(room + n, (int32_t)ms, t->rest);
        while (f > 1 && room[n + f - 1] == '0') f--;
        n += f;
        room[n++] = 'S';
    }
    return (qd_str){room, (size_t)n};
}

static qd_str print_point(const qd_geo *p, char *room)
{
    size_t n = qd_f64_print(room, p->lat);
    memcpy(room + n, ", ", 2);
    return (qd_str){room, n + 2 + qd_f64_print(room + n + 2, p->lon)};
}

qd_str qd_sv_print(const qd_sv *v, char room[QD_SV_PRINT])
{
    switch (v->tag) {
    case QD_SV_NULL:
        return qd_str_c("null");
    case QD_SV_BOOL:
        return qd_str_c(v->i ? "true" : "false");
    case QD_SV_BYTE:
    case QD_SV_SHORT:
    case QD_SV_INT:
    case QD_SV_LONG:
        return (qd_str){room, qd_i64_print(room, v->i)};
    case QD_SV_CHAR:
        return (qd_str){room, qd_utf8_put(room, (uint32_t)v->i)};
    case QD_SV_FLOAT:
        return (qd_str){room, qd_f32_print(room, (float)v->f)};
    case QD_SV_DOUBLE:
        return (qd_str){room, qd_f64_print(room, v->f)};
    case QD_SV_STRING:
    case QD_SV_BIG:
        return qd_sv_text(v);
    case QD_SV_DATE:
    case QD_SV_INSTANT:
        return print_time(v, false, room);
    case QD_SV_DURATION:
        return print_duration(v, room);
    case QD_SV_GEO:
        return print_point(v->object, room);
    case QD_SV_UNIT:
        return qd_str_c(qd_sv_units[v->i]);
    case QD_SV_WEEKDAY:
        return qd_str_c(qd_sv_weekdays[v->i]);
    case QD_SV_ZONE:
        return v->object ? qd_zone_id(v->object) : qd_str_c("Z");
    default:
        return (qd_str){room, (size_t)snprintf(room, QD_SV_PRINT, "%s@%x", qd_sv_class(v),
                                               (unsigned)((uintptr_t)v->object >> 4))};
    }
}

static void append(const qd_sv *v, qd_buf *b, int depth)
{
    char room[QD_SV_PRINT];
    bool first = true;
    if (depth > QD_SV_DEPTH || b->failed) return;
    switch (v->tag) {
    case QD_SV_LIST:
    case QD_SV_ARRAY:
        qd_buf_char(b, '[');
        for (uint32_t i = 0; i < v->list->n; i++) {
            if (i) qd_buf_c(b, ", ");
            append(&v->list->v[i], b, depth + 1);
        }
        qd_buf_char(b, ']');
        return;
    case QD_SV_MAP:
    case QD_SV_SET:
        qd_buf_char(b, v->tag == QD_SV_MAP ? '{' : '[');
        for (uint32_t i = 0; i < v->map->n; i++) {
            const qd_sv_entry *e = &v->map->e[i];
            if (e->key.tag == QD_SV_GONE) continue;
            if (!first) qd_buf_c(b, ", ");
            first = false;
            append(&e->key, b, depth + 1);
            if (v->tag == QD_SV_SET) continue;
            qd_buf_char(b, '=');
            append(&e->value, b, depth + 1);
        }
        qd_buf_char(b, v->tag == QD_SV_MAP ? '}' : ']');
        return;
    case QD_SV_ENTRY: {
        const qd_sv_entry *e = v->object;
        append(&e->key, b, depth + 1);
        qd_buf_char(b, '=');
        append(&e->value, b, depth + 1);
        return;
    }
    case QD_SV_BUILDER:
        qd_buf_str(b, qd_buf_view(v->object));
        return;
    default:
        qd_buf_str(b, qd_sv_print(v, room));
    }
}

void qd_sv_append(const qd_sv *v, qd_buf *b)
{
    append(v, b, 0);
}

bool qd_sv_each(const qd_sv *v, uint32_t *at, qd_sv *out)
{
    const qd_script_values *values = v->object;
    switch (v->tag) {
    case QD_SV_NULL:
        return false;
    case QD_SV_LIST:
    case QD_SV_ARRAY:
        if (*at >= v->list->n) return false;
        *out = v->list->v[(*at)++];
        return true;
    case QD_SV_SET:
        while (*at < v->map->n && v->map->e[*at].key.tag == QD_SV_GONE) ++*at;
        if (*at >= v->map->n) return false;
        *out = v->map->e[(*at)++].key;
        return true;
    case QD_SV_VALUES: /* they begin with what the host gave */
        if (*at >= values->n) return false;
        *out = values->v[(*at)++];
        return true;
    default:
        *out = *v;
        return (*at)++ == 0;
    }
}
