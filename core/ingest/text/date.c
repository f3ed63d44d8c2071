/* date.c: the processor date: the date that a text means, in one form. */
#include "ingest/dates.h"

#define OUTPUT "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"

typedef struct dating {
    qdi_path field, target;
    qd_str *names;
    qdi_date_way **ways;
    uint32_t nways;
    qd_mustache *timezone, *locale; /* NULL: none */
    qd_zone *zone;                  /* of a timezone that is no template */
    qd_date_format *output;
} dating;

static int locale_of(qdi_build *b, dating *c, qd_err *err)
{
    qd_str text, fixed;
    int rc = qdi_arg_str_opt(b, "locale", &text, err);
    if (rc || !text.p) return rc;
    rc = qd_mustache_compile(b->a, text, QD_MUSTACHE_PLAIN, &c->locale, err);
    if (rc) return qdi_arg_wrap(b, "locale", err);
    if (!qd_mustache_constant(c->locale, &fixed) || qdi_locale_known(fixed)) return 0;
    return qdi_arg_fail(b, "locale", err, "locale [%.*s] is not supported, only English is",
                        QD_STR_ARG(fixed));
}

static int timezone_of(qdi_build *b, dating *c, qd_err *err)
{
    qd_str text, fixed;
    int rc = qdi_arg_str_opt(b, "timezone", &text, err);
    if (rc || !text.p) return rc;
    rc = qd_mustache_compile(b->a, text, QD_MUSTACHE_PLAIN, &c->timezone, err);
    if (!rc && qd_mustache_constant(c->timezone, &fixed)) {
        c->timezone = NULL;
        rc = qd_zone_make(b->a, fixed, &c->zone, err);
    }
    return rc ? qdi_arg_wrap(b, "timezone", err) : 0;
}

static int make(qdi_build *b, void *config, qd_err *err)
{
    dating *c = config;
    qd_str output;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_path(b, "target_field", QD_STR("@timestamp"), &c->target, err);
    if (!rc) rc = timezone_of(b, c, err);
    if (!rc) rc = locale_of(b, c, err);
    if (!rc) rc = qdi_arg_strs(b, "formats", true, false, &c->names, &c->nways, err);
    if (!rc) rc = qdi_arg_str(b, "output_format", OUTPUT, &output, err);
    if (rc) return rc;
    c->ways = qd_arena_calloc(b->a, (c->nways + 1) * sizeof *c->ways);
    if (!c->ways) return qd_err_nomem(err, "processor");
    for (uint32_t k = 0; k < c->nways && !rc; k++)
        rc = qdi_date_way_make(b->a, c->names[k], &c->ways[k], err);
    if (rc) return qdi_arg_wrap(b, "formats", err);
    rc = qd_date_format_make(b->a, output, &c->output, err);
    if (!rc) return 0;
    if (rc == QD_E_NOMEM || !err) return rc;
    qd_err_fini(err);
    return qdi_arg_fail(b, "output_format", err, "invalid output format [%.*s]",
                        QD_STR_ARG(output));
}

static int zone_of(const dating *c, qd_ingest_run *r, const qd_zone **out, qd_err *err)
{
    qd_str text;
    qd_zone *zone = NULL;
    *out = c->zone;
    if (c->locale) {
        int rc = qdi_template_text(r, c->locale, &text, err);
        if (rc) return rc;
        if (!qdi_locale_known(text))
            return qd_err_set(err, QD_E_ARG, "locale [%.*s] is not supported, only English is",
                              QD_STR_ARG(text));
    }
    if (!c->timezone) return 0;
    int rc = qdi_template_text(r, c->timezone, &text, err);
    if (!rc && text.n) rc = qd_zone_make(&r->arena, text, &zone, err);
    *out = zone;
    return rc;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const dating *c = config;
    const qd_zone *zone;
    qd_iv *v;
    char text[128];
    size_t n;
    int64_t ms;
    int32_t rest;
    int rc = qdi_path_get(r, &c->field, &v, err);
    if (!rc) rc = zone_of(c, r, &zone, err);
    if (rc) return rc;
    qd_str from = qd_iv_text(&r->arena, v);
    if (!from.p) return qdi_run_nomem(err);
    int64_t now = qd_env_wall_ms(r->s->env);
    for (uint32_t k = 0; k < c->nways; k++) {
        if (!qdi_date_way_read(c->ways[k], from, zone, now, &ms, &rest)) continue;
        bool fine = rest && ms > -INT64_C(9223372036854) && ms < INT64_C(9223372036854);
        n = fine ? qd_date_print_nanos(c->output, ms * 1000000 + rest, zone, text)
                 : qd_date_print(c->output, ms, zone, text);
        qd_str to = qd_arena_str(&r->arena, (qd_str){text, n});
        return to.p ? qdi_path_set(r, &c->target, QD_IV_STRING(to), err) : qdi_run_nomem(err);
    }
    return qd_err_set(err, QD_E_ARG, "unable to parse date [%.*s]", QD_STR_ARG(from));
}

const qdi_processor_type qdi_processor_date = {"date", sizeof(dating), .make = make, .run = run};
