/* read_field.c: queries over values of one field as they are: term, patterns, range, exists. */
#include "query/read_int.h"
#include <stdio.h>

int qdi_unsupported(qd_json_reader *r, const qd_query *q, qd_str key, qd_err *err)
{
    return qd_json_err_at(r, err, QD_E_PARSE, "[%s] query does not support [%.*s]", q->type->name,
                          QD_STR_ARG(key));
}

int qdi_several_fields(qd_json_reader *r, const qd_query *q, qd_str key, qd_err *err)
{
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "[%s] query doesn't support multiple fields, found [%.*s] and [%.*s]",
                          q->type->name, QD_STR_ARG(q->field), QD_STR_ARG(key));
}

static int read_options(qdi_reading *rd, qd_json_reader *r, const qdi_field_form *form, qd_query *q,
                        qd_err *err)
{
    int ev;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        const qdi_option *o = qdi_option_find(form->rows, form->n, key);
        if (!o) return qdi_unsupported(r, q, key, err);
        if (ev == QD_JSON_ARRAY && form->one_value && o->kind == QDI_OPT_VALUE)
            return qd_json_err_at(
                r, err, QD_E_PARSE,
                "[term] query does not support arrays for value - use a bool query with multiple "
                "term clauses in the should section or use a Terms query if scoring is not "
                "required");
        bool needs_text = form->null_is_no_value && o->kind == QDI_OPT_VALUE && ev == QD_JSON_NULL;
        int rc = needs_text ? qdi_read_text(rd, r, &q->value.text, err)
                            : qdi_option_read(rd, r, o, q, err);
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}

int qdi_read_field_query(qdi_reading *rd, qd_json_reader *r, const qdi_field_form *form,
                         qd_query *q, qd_err *err)
{
    int ev, rc;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key;
        rc = qdi_keep(rd, r->text, &key, err);
        if (rc) return rc;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (ev == QD_JSON_OBJECT) {
            if (q->field.p) return qdi_several_fields(r, q, key, err);
            q->field = key;
            rc = read_options(rd, r, form, q, err);
        } else if (ev == QD_JSON_ARRAY || ev == QD_JSON_NULL || !form->plain) {
            if (ev == QD_JSON_ARRAY && form->one_value)
                return qd_json_err_at(r, err, QD_E_PARSE,
                                      "[term] query does not support array of values");
            if ((ev == QD_JSON_ARRAY && form->plain) ||
                (ev == QD_JSON_NULL && form->null_is_no_value))
                return qdi_read_text(rd, r, &q->value.text, err); /* its refusal */
            if (ev == QD_JSON_NULL && form->null_names_field) {
                if (q->field.p) return qdi_several_fields(r, q, key, err);
                q->field = key; /* without a value, which is refused behind */
                continue;
            }
            if (ev == QD_JSON_NULL) continue;
            if (ev == QD_JSON_ARRAY && form->array_by_value) { /* its first value is looked at */
                ev = qdi_query_next(r, err);
                if (ev < 0) return ev;
            }
            return qdi_unsupported(r, q, key, err);
        } else {
            if (q->field.p) return qdi_several_fields(r, q, key, err);
            q->field = key;
            rc = qdi_read_value(rd, r, &q->value, &q->has_value, err);
        }
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}

int qdi_need_field_value(const qd_query *q, const char *what, qd_err *err)
{
    if (q->field.n == 0) return qd_err_set(err, QD_E_ARG, "field name is null or empty");
    if (!q->has_value) return qd_err_set(err, QD_E_ARG, "%s cannot be null", what);
    return 0;
}

int qdi_check_zone(qdi_reading *rd, qd_str time_zone, qd_err *err)
{
    qd_zone *zone;
    int rc = time_zone.p ? qd_zone_make(rd->arena, time_zone, &zone, err) : 0;
    if (rc == QD_E_ZONE_RULES || rc == QD_E_DATE_TIME) {
        char why[256];
        snprintf(why, sizeof why, "%s", err ? qd_err_reason(err) : "");
        return qd_err_wrap(err, QD_E_ARG, "java.time.%s: %s",
                           rc == QD_E_ZONE_RULES ? "zone.ZoneRulesException" : "DateTimeException",
                           why);
    }
    return rc;
}
