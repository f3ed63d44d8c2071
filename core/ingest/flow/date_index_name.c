/* date_index_name.c: the processor date_index_name: the index by a date of the document. */
#include "ingest/dates.h"
#include "mapping/date_math.h"

typedef struct naming {
    qdi_path field;
    qd_mustache *prefix, *rounding, *format;
    qd_date_format *fixed; /* of a format that is no template */
    qdi_date_way **ways;
    uint32_t n;
    qd_zone *zone;
} naming;

static bool unit_of(qd_str text, qd_date_unit *out)
{
    static const struct {
        char letter;
        qd_date_unit unit;
    } units[] = {{'y', QD_UNIT_YEAR},   {'M', QD_UNIT_MONTH}, {'w', QD_UNIT_WEEK},
                 {'d', QD_UNIT_DAY},    {'h', QD_UNIT_HOUR},  {'H', QD_UNIT_HOUR},
                 {'m', QD_UNIT_MINUTE}, {'s', QD_UNIT_SECOND}};
    for (size_t k = 0; text.n == 1 && k < QD_COUNT_OF(units); k++) {
        if (units[k].letter != text.p[0]) continue;
        *out = units[k].unit;
        return true;
    }
    return false;
}

static int template_or(qdi_build *b, const char *key, const char *standard, qd_mustache **out,
                       qd_err *err)
{
    qd_str text;
    int rc = qdi_arg_str(b, key, standard, &text, err);
    if (rc) return rc;
    rc = qd_mustache_compile(b->a, text, QD_MUSTACHE_PLAIN, out, err);
    return rc ? qdi_arg_wrap(b, key, err) : 0;
}

static int make(qdi_build *b, void *config, qd_err *err)
{
    naming *c = config;
    qd_str locale, zone, *formats, fixed, standard = QD_STR("yyyy-MM-dd'T'HH:mm:ss.SSSXX");
    qd_date_unit unit;
    int rc = qdi_arg_str_opt(b, "locale", &locale, err);
    if (!rc) rc = qdi_arg_str(b, "timezone", "UTC", &zone, err);
    if (!rc) rc = qdi_arg_strs(b, "date_formats", false, false, &formats, &c->n, err);
    if (!rc) rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = template_or(b, "index_name_prefix", "", &c->prefix, err);
    if (!rc) rc = template_or(b, "date_rounding", NULL, &c->rounding, err);
    if (!rc) rc = template_or(b, "index_name_format", "yyyy-MM-dd", &c->format, err);
    if (rc) return rc;
    if (!qdi_locale_known(locale))
        return qdi_arg_fail(b, "locale", err, "locale [%.*s] is not supported, only English is",
                            QD_STR_ARG(locale));
    if (qd_mustache_constant(c->format, &fixed) &&
        (rc = qd_date_format_make(b->a, fixed, &c->fixed, err)))
        return qdi_arg_wrap(b, "index_name_format", err);
    if (qd_mustache_constant(c->rounding, &fixed) && !unit_of(fixed, &unit))
        return qdi_arg_fail(b, "date_rounding", err, "unit [%.*s] is not supported",
                            QD_STR_ARG(fixed));
    if ((rc = qd_zone_make(b->a, zone, &c->zone, err))) return qdi_arg_wrap(b, "timezone", err);
    if (!c->n) formats = &standard;
    if (!c->n) c->n = 1;
    c->ways = qd_arena_calloc(b->a, c->n * sizeof *c->ways);
    if (!c->ways) return qd_err_nomem(err, "processor");
    for (uint32_t k = 0; k < c->n && !rc; k++)
        rc = qdi_date_way_make(b->a, formats[k], &c->ways[k], err);
    return rc ? qdi_arg_wrap(b, "date_formats", err) : 0;
}

static int name_of(const naming *c, qd_ingest_run *r, int64_t ms, qd_str *out, qd_err *err)
{
    qd_str prefix, rounding, pattern;
    qd_date_unit unit;
    qd_date_format *format = c->fixed;
    char text[128];
    int rc = qdi_template_text(r, c->prefix, &prefix, err);
    if (!rc) rc = qdi_template_text(r, c->rounding, &rounding, err);
    if (!rc && !format) rc = qdi_template_text(r, c->format, &pattern, err);
    if (rc) return rc;
    if (!unit_of(rounding, &unit))
        return qd_err_set(err, QD_E_ARG, "unit [%.*s] is not supported for rounding a date",
                          QD_STR_ARG(rounding));
    if (!format && (rc = qd_date_format_make(&r->arena, pattern, &format, err))) return rc;
    size_t n = qd_date_print(format, qd_date_floor(ms, unit, c->zone), c->zone, text);
    *out = qd_arena_printf(&r->arena, "%.*s%.*s", QD_STR_ARG(prefix), (int)n, text);
    return out->p ? 0 : qdi_run_nomem(err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const naming *c = config;
    qd_iv *v;
    int64_t ms;
    int32_t rest;
    int rc = qdi_path_get(r, &c->field, &v, err);
    if (rc) return rc;
    qd_str text = qd_iv_text(&r->arena, v);
    if (!text.p) return qdi_run_nomem(err);
    for (uint32_t k = 0; k < c->n; k++) {
        qd_str name;
        if (!qdi_date_way_read(c->ways[k], text, c->zone, r->now_ms, &ms, &rest)) continue;
        rc = name_of(c, r, ms, &name, err);
        if (rc) return rc;
        qd_iv *index = qd_iv_put(&r->arena, &r->meta, QD_STR("_index"));
        if (!index) return qdi_run_nomem(err);
        *index = QD_IV_STRING(name);
        return 0;
    }
    return qd_err_set(err, QD_E_ARG, "unable to parse date [%.*s]", QD_STR_ARG(text));
}

const qdi_processor_type qdi_processor_date_index_name = {"date_index_name", sizeof(naming),
                                                          .make = make, .run = run};
