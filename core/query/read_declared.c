/*
 * read_declared.c: queries read by tables of members, and lists of queries. Elasticsearch reads
 * bool, match_all and ids by such declared parsers, whose errors are x_content_parse_exceptions
 * around the cause; the others by hand, with parsing_exceptions. Both are kept, because clients
 * show and test these texts.
 */
#include "query/read_int.h"
#include <stdio.h>

static bool supports(qdi_declared_type type, qd_json_event ev)
{
    switch (type) {
    case QDI_VALUE_SCALAR:
        return qdi_is_value(ev);
    case QDI_VALUE_SCALAR_OR_NULL:
        return qdi_is_value(ev) || ev == QD_JSON_NULL;
    case QDI_VALUE_FLOAT:
        return ev == QD_JSON_NUMBER || ev == QD_JSON_STRING;
    case QDI_VALUE_BOOLEAN:
        return ev == QD_JSON_TRUE || ev == QD_JSON_FALSE || ev == QD_JSON_STRING;
    case QDI_VALUE_TEXT:
        return ev == QD_JSON_STRING;
    case QDI_VALUE_QUERIES:
        return ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY || ev == QD_JSON_NULL;
    default:
        return ev == QD_JSON_ARRAY || ev == QD_JSON_STRING || ev == QD_JSON_NUMBER;
    }
}

static int unknown_field(qd_json_reader *r, const char *query, qd_str name,
                         const qdi_declared *rows, size_t n, qd_err *err)
{
    qd_str names[16];
    char hint[256];
    for (size_t i = 0; i < n; i++) names[i] = qd_str_c(rows[i].name);
    qdi_suggest(name, names, n, hint, sizeof hint);
    return qdi_xcontent_err(r, err, "[%s] unknown field [%.*s]%s", query, QD_STR_ARG(name), hint);
}

int qdi_read_declared(qdi_reading *rd, qd_json_reader *r, const qdi_declared *rows, size_t n,
                      qd_query *q, qd_err *err)
{
    int ev;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        const qdi_declared *row = NULL;
        for (size_t i = 0; i < n && !row; i++)
            if (qd_str_is(r->text, rows[i].name)) row = &rows[i];
        if (!row) return unknown_field(r, q->type->name, r->text, rows, n, err);
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (!supports(row->type, r->event))
            return qdi_xcontent_err(r, err, "[%s] %s doesn't support values of type: %s",
                                    q->type->name, row->name, qd_json_event_name(r->event));
        int rc = row->set(rd, r, q, err);
        if (rc == QD_E_NOMEM || rd->lookup_failed) return rc;
        if (rc) return qdi_field_failed(r, err, q->type->name, qd_str_c(row->name));
    }
    return ev < 0 ? ev : 0;
}

int qdi_read_framed(qdi_reading *rd, qd_json_reader *r, const qdi_declared *rows, size_t n,
                    qd_query *q, qd_err *err)
{
    int rc = qdi_read_declared(rd, r, rows, n, q, err);
    if (!err || (rc != QD_E_XCONTENT && rc != QD_E_ARG)) return rc;
    if (r->event == QD_JSON_KEY) (void)qd_json_next(r); /* its parser stands on the value by then */
    char why[512];
    uint32_t line, column;
    snprintf(why, sizeof why, "%s", qd_err_reason(err));
    qd_json_position(r, r->token, &line, &column);
    rc = qd_err_wrap(err, QD_E_PARSE, "%s", why);
    qd_err_detail_i64(err, "line", line);
    qd_err_detail_i64(err, "col", column);
    return rc;
}

int qdi_declared_boost(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    (void)rd;
    return qdi_read_float(r, &q->boost, err);
}

int qdi_declared_name(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    return qdi_read_text(rd, r, &q->name, err);
}

int qdi_read_clauses(qdi_reading *rd, qd_json_reader *r, const qd_query *const **list, uint32_t *n,
                     qd_err *err)
{
    QD_VEC(const qd_query *) got = {0};
    int rc = 0;
    if (r->event == QD_JSON_NULL) return 0;
    bool array = r->event == QD_JSON_ARRAY;
    for (uint32_t i = 0; i < *n; i++)
        if (qd_vec_push(&got, rd->arena->account, (*list)[i])) rc = qd_err_nomem(err, "query");
    while (rc == 0) {
        const qd_query *q;
        if (array) {
            int ev = qdi_query_next(r, err);
            if (ev < 0) rc = ev;
            if (ev < 0 || ev == QD_JSON_ARRAY_END) break;
        }
        rc = qdi_read_inner(rd, r, &q, err);
        if (!rc && qd_vec_push(&got, rd->arena->account, q)) rc = qd_err_nomem(err, "query");
        if (!array) break;
    }
    if (!rc) {
        const qd_query **at = qd_arena_alloc(rd->arena, (got.n + 1) * sizeof *at);
        if (!at) rc = qd_err_nomem(err, "query");
        if (at && got.n) memcpy(at, got.at, got.n * sizeof *at);
        *list = at;
        *n = (uint32_t)got.n;
    }
    qd_vec_fini(&got);
    return rc;
}

int qdi_read_standard(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q, qd_err *err)
{
    if (qd_str_is(key, "boost")) return qdi_read_float(r, &q->boost, err);
    if (qd_str_is(key, "_name")) return qdi_read_text(rd, r, &q->name, err);
    return 1;
}
