/*
 * parse_common.c: what the bodies of all types share: members, scalars, refusals in Elasticsearch's
 * words.
 */
#include "aggs/parse/parse_int.h"
#include "mapping/date_math.h"
#include "query/script.h"
#include <stdarg.h>
#include <stdio.h>

bool qdi_aggs_listed(const char *list, qd_str key)
{
    qd_str rest = qd_str_c(list);
    while (rest.p)
        if (qd_str_eq(qd_str_split(&rest, ','), key)) return true;
    return false;
}

int qdi_aggs_unknown(qdi_parse *p, const char *type, const char *list, const qd_json_node *m)
{
    qd_str rest = qd_str_c(list);
    qdi_near near = {.n = 0};
    char text[256];
    while (rest.p) qdi_aggs_near_add(&near, m->key, qd_str_split(&rest, ','));
    if (qd_str_is(m->key, "script"))
        return qd_err_set(p->err, QD_E_ARG, "[%s] [script] is not supported", type);
    return qdi_aggs_xcontent_error(p, m, "[%s] unknown field [%.*s]%s", type, QD_STR_ARG(m->key),
                                   qdi_aggs_near_text(&near, text));
}

int qdi_aggs_members(qdi_parse *p, const char *type, const qd_json_node *body, const char *list)
{
    for (const qd_json_node *m = body->first; m; m = m->next)
        if (!qdi_aggs_listed(list, m->key)) return qdi_aggs_unknown(p, type, list, m);
    return 0;
}

/* --- refusals --------------------------------------------------------------------------------- */

int qdi_aggs_bad_value(qdi_parse *p, qdi_agg *a, const qd_json_node *m)
{
    return qdi_aggs_xcontent_error(p, m, "[%s] failed to parse field [%.*s]", a->type->name,
                                   QD_STR_ARG(m->key));
}

int qdi_aggs_setter(qdi_parse *p, const char *type, const qd_json_node *m)
{
    qd_err outer;
    if (p->err->code == QD_E_NOMEM || p->err->code == QD_E_BREAKER) return p->err->code;
    qd_err_init(&outer);
    qdi_parse there = *p;
    there.err = &outer;
    qdi_aggs_xcontent_error(&there, m, "[%s] failed to parse field [%.*s]", type,
                            QD_STR_ARG(m->key));
    int rc = qd_err_wrap(p->err, QD_E_XCONTENT, "%s", qd_err_reason(&outer));
    qd_err_fini(&outer);
    return rc;
}

int qdi_aggs_setter_arg(qdi_parse *p, const qdi_agg *a, const qd_json_node *m, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    qd_err_set(p->err, QD_E_ARG, "%s", text);
    return qdi_aggs_setter(p, a->type->name, m);
}

int qdi_aggs_build_arg(qdi_parse *p, const char *type, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    qd_err_set(p->err, QD_E_ARG, "%s", text);
    return qd_err_wrap(p->err, QD_E_XCONTENT,
                       "Failed to build [%s] after last required field arrived", type);
}

int qdi_aggs_wrong_type(qdi_parse *p, const char *type, const qd_json_node *m)
{
    return qdi_aggs_xcontent_error(p, m, "[%s] %.*s doesn't support values of type: %s", type,
                                   QD_STR_ARG(m->key), qd_json_type_token(m->type));
}

static int not_a_number(qdi_parse *p, const qdi_agg *a, const qd_json_node *m)
{
    qd_err_set(p->err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"", QD_STR_ARG(m->text));
    return qdi_aggs_setter(p, a->type->name, m);
}

int qdi_aggs_get_f64(qdi_parse *p, qdi_agg *a, const char *key, double *out)
{
    const qd_json_node *m = qd_json_get(a->json, key);
    if (!m) return 0;
    if (m->type != QD_JSON_T_NUMBER && m->type != QD_JSON_T_STRING)
        return qdi_aggs_wrong_type(p, a->type->name, m);
    return qd_f64_parse(m->text, out) ? not_a_number(p, a, m) : 0;
}

int qdi_aggs_get_i64(qdi_parse *p, qdi_agg *a, const char *key, int64_t *out)
{
    const qd_json_node *m = qd_json_get(a->json, key);
    double v;
    if (!m) return 0;
    if (m->type != QD_JSON_T_NUMBER && m->type != QD_JSON_T_STRING)
        return qdi_aggs_wrong_type(p, a->type->name, m);
    if (qd_i64_parse(m->text, out)) { /* fractions are cut off */
        if (m->type != QD_JSON_T_NUMBER || qd_f64_parse(m->text, &v)) return not_a_number(p, a, m);
        *out = v >= 9e18 ? INT64_MAX : v <= -9e18 ? INT64_MIN : (int64_t)v;
    }
    if (qd_str_is(m->key, "precision_threshold") || qd_str_ends(m->key, QD_STR("doc_count")) ||
        (*out >= INT32_MIN && *out <= INT32_MAX))
        return 0;
    return qdi_aggs_setter_arg(
        p, a, m, "Numeric value (%.*s) out of range of int (-2147483648 - 2147483647)",
        QD_STR_ARG(m->text));
}

int qdi_aggs_get_bool(qdi_parse *p, qdi_agg *a, const char *key, bool *out)
{
    const qd_json_node *m = qd_json_get(a->json, key);
    if (!m) return 0;
    if (m->type != QD_JSON_T_BOOL && m->type != QD_JSON_T_STRING)
        return qdi_aggs_wrong_type(p, a->type->name, m);
    if (!qd_json_truth(m, out)) return 0;
    return qdi_aggs_setter_arg(p, a, m,
                               "Failed to parse value [%.*s] as only [true] or [false] are "
                               "allowed.",
                               QD_STR_ARG(m->text));
}

int qdi_aggs_get_value(qdi_parse *p, qdi_agg *a, const qd_json_node *m, qd_query_value *out)
{
    qd_str t = qd_json_text(m);
    if (!t.p) return qdi_aggs_bad_value(p, a, m);
    *out = (qd_query_value){t, m->type == QD_JSON_T_STRING};
    return 0;
}

/* What values an unmapped field would have. */
static int value_type(qdi_parse *p, qdi_agg *a)
{
    static const struct {
        const char *name, *field;
    } types[] = {{"string", "keyword"}, {"byte", "long"},     {"short", "long"},
                 {"integer", "long"},   {"long", "long"},     {"float", "double"},
                 {"double", "double"},  {"number", "double"}, {"numeric", "double"},
                 {"date", "date"},      {"ip", "ip"},         {"boolean", "boolean"}};
    const qd_json_node *m = qd_json_get(a->json, "value_type");
    if (!m) return 0;
    if (m->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, a->type->name, m);
    for (size_t i = 0; i < QD_COUNT_OF(types); i++) {
        if (!qd_str_is(m->text, types[i].name)) continue;
        a->value_type = types[i].field;
        return 0;
    }
    return qdi_aggs_setter_arg(p, a, m, "Unknown value type [%.*s]", QD_STR_ARG(m->text));
}

int qdi_aggs_script(qdi_parse *p, const qd_json_node *m, const qd_script_given **out)
{
    const qd_query_reading none = {.arena = p->arena};
    qd_script_given *g = qd_arena_calloc(p->arena, sizeof *g);
    if (!g) return qd_err_nomem(p->err, "a script");
    *out = g;
    return qd_script_given_of(p->how->reading ? p->how->reading : &none, m, g, p->err);
}

/* Types of plugins have no list of members. */
static int script_of(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *m = qd_json_get(a->json, "script");
    if (!m || m->type == QD_JSON_T_NULL) return 0;
    if (!a->type->members) return qdi_aggs_unknown(p, a->type->name, "field", m);
    return qdi_aggs_script(p, m, &a->script);
}

int qdi_aggs_common(qdi_parse *p, qdi_agg *a, bool field_needed)
{
    const qd_json_node *m = qd_json_get(a->json, "field");
    int rc = script_of(p, a);
    if (rc) return rc;
    if (m) {
        if (m->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, a->type->name, m);
        a->field = m->text;
    } else if (field_needed && !a->script) {
        return qd_err_set(p->err, QD_E_ARG,
                          "Required one of fields [field, script], but none were specified. ");
    }
    m = qd_json_get(a->json, "missing");
    if (m && m->type != QD_JSON_T_NULL) {
        rc = qdi_aggs_get_value(p, a, m, &a->missing);
        if (rc) return rc;
        a->has_missing = true;
    }
    m = qd_json_get(a->json, "format");
    if (m && m->type == QD_JSON_T_STRING) a->format = m->text;
    m = qd_json_get(a->json, "time_zone");
    if (m && m->type != QD_JSON_T_NULL) {
        qd_zone *z;
        int64_t hours;
        qd_str id = qd_json_text(m);
        if (m->type == QD_JSON_T_NUMBER && qd_str_i64(id, &hours) && hours > -24 && hours < 24)
            id = qd_arena_printf(p->arena, "%+03d:00", (int)hours);
        if (!id.p) return qdi_aggs_wrong_type(p, a->type->name, m);
        if (qd_zone_make(p->arena, id, &z, p->err)) {
            qd_err_type(p->err, "zone_rules_exception", 400);
            return qdi_aggs_setter(p, a->type->name, m);
        }
        a->zone = z;
    }
    rc = value_type(p, a);
    if (rc) return rc;
    return qdi_aggs_get_bool(p, a, "keyed", &a->keyed);
}

int qdi_aggs_parse_field(qdi_parse *p, qdi_agg *a)
{
    return qdi_aggs_common(p, a, true);
}

int qdi_aggs_at_least(qdi_parse *p, const qdi_agg *a, const char *key, const char *name, int64_t v,
                      int64_t least)
{
    const qd_json_node *m = qd_json_get(a->json, key);
    if (v >= least || !m) return 0;
    return qdi_aggs_setter_arg(p, a, m, "[%s] must be greater than %s0. Found [%lld] in [%.*s]",
                               name, least ? "" : "or equal to ", (long long)v,
                               QD_STR_ARG(a->name));
}

int qdi_aggs_one_text(qdi_parse *p, const qdi_agg *a, const char *key, qd_str *out)
{
    for (const qd_json_node *m = a->json->first; m; m = m->next) {
        if (!qd_str_is(m->key, key) || m->type != QD_JSON_T_STRING)
            return qdi_aggs_parse_error(
                p, m,
                m->type == QD_JSON_T_STRING ? "Unknown key for a %s in [%.*s]: [%.*s]."
                                            : "Unexpected token %s in [%.*s].",
                qd_json_type_token(m->type), QD_STR_ARG(a->name), QD_STR_ARG(m->key));
        *out = m->text;
    }
    return 0;
}
