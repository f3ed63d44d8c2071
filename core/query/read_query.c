/*
 * read_query.c: a query object, found by its name; types/ has what each reads.
 *
 * Reading recurses once for a query within a query, which max_nested_depth bounds.
 */
#include "config/known.h"
#include "query/read_int.h"
#include <quidditch/plugin.h>

/* Bound of queries within queries of plugins' making, whatever the setting says. */
#define DEPTH_MAX 64u

qd_query *qdi_query_make(qdi_reading *rd, const qd_query_type *type, qd_err *err)
{
    qd_query *q = qd_arena_calloc(rd->arena, type->size);
    if (!q) {
        (void)qd_err_nomem(err, "reading a query");
        return NULL;
    }
    q->type = type;
    q->boost = 1;
    return q;
}

static int unknown_query(qdi_reading *rd, qd_json_reader *r, qd_str name, qd_err *err)
{
    qd_str names[128];
    char hint[256];
    uint32_t line, column;
    size_t n = qdi_query_names(rd->how->host, names, QD_COUNT_OF(names));
    qdi_suggest(name, names, n, hint, sizeof hint);
    qd_json_position(r, r->token, &line, &column);
    (void)qd_err_set(err, QD_E_NAMED_OBJECT, "[%u:%u] unknown field [%.*s]", line, column,
                     QD_STR_ARG(name));
    int rc = qd_known_name(QD_KNOWN_QUERY, name)
                 ? qd_err_wrap(err, QD_E_PARSE, QD_KNOWN_REFUSED, QD_STR_ARG(name))
                 : qd_err_wrap(err, QD_E_PARSE, "unknown query [%.*s]%s", QD_STR_ARG(name), hint);
    qd_err_detail_i64(err, "line", line);
    qd_err_detail_i64(err, "col", column);
    return rc;
}

/* Counts on from the plugin's query before, so that many of them cost one pass over the text. */
static void count_to(qdi_reading *rd, const qd_json_reader *r, const char *at)
{
    if (rd->counted.begin != r->begin || at < rd->counted.at) {
        rd->counted.begin = rd->counted.at = r->begin;
        rd->counted.line = r->line;
        rd->counted.column = r->column;
    }
    qd_json_position_on(r, rd->counted.at, at, &rd->counted.line, &rd->counted.column);
    rd->counted.at = at;
}

/* A plugin's query: its JSON is kept, because it is parsed anew for every index, whose fields it
 * may ask for; here it is parsed once for its errors. */
static int read_plugin(qdi_reading *rd, qd_json_reader *r, qd_str name,
                       const qd_operator_vtable *vt, qd_self *self, const qd_query **out,
                       qd_err *err)
{
    qdi_plugin_query *q = (qdi_plugin_query *)qdi_query_make(rd, &qdi_query_plugin, err);
    if (!q) return QD_E_NOMEM;
    const char *from = r->token;
    qd_str json;
    if (rd->how->must_not_wait) { /* a plugin may take its time */
        *rd->how->must_not_wait = true;
        return qd_err_set(err, QD_E_STATE, "a plugin's query in a brief search");
    }
    if (qd_json_raw(r, &json)) return qd_json_fail(r, err);
    /* The contract: the reader stands before the value. It stands on its start. */
    q->vt = vt;
    q->self = self;
    count_to(rd, r, from);
    uint32_t line = rd->counted.line, column = rd->counted.column;
    int rc = qdi_keep(rd, name, &q->name, err);
    if (!rc) rc = qdi_read_plugin_members(rd, q, (qd_str){from, json.n}, line, column, err);
    if (!rc) rc = qdi_parse_by_plugin(rd, q, name, line, column, err);
    if (rc && rc != QD_E_NOMEM) /* the caller's wrap wants a set error */
        (void)qd_err_set(err, rc, "query [%.*s] was refused", QD_STR_ARG(name));
    *out = &q->base;
    return rc;
}

int qdi_read_row(qdi_reading *rd, qd_json_reader *r, const qd_query_type *type,
                 const qd_query **out, qd_err *err)
{
    qd_query *q = qdi_query_make(rd, type, err);
    if (!q) return QD_E_NOMEM;
    int rc = type->read(rd, r, q, err);
    *out = q;
    return rc ? rc : qdi_check_boost(q->boost, err);
}

static int read_named(qdi_reading *rd, qd_json_reader *r, qd_str name, const qd_query **out,
                      qd_err *err)
{
    qd_self *self = NULL;
    const qd_query_type *type = qdi_query_type_find(name);
    const qd_operator_vtable *vt = type ? NULL : qdi_operator_find(rd->how->host, name, &self);
    if (!type && !vt) return unknown_query(rd, r, name, err);
    if (rd->depth >= rd->limits.max_nested_depth || rd->depth >= DEPTH_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "The nested depth of the query exceeds the maximum nested depth for "
                          "queries set in [indices.query.bool.max_nested_depth]");
    rd->depth++;
    int rc =
        type ? qdi_read_row(rd, r, type, out, err) : read_plugin(rd, r, name, vt, self, out, err);
    rd->depth--;
    return rc;
}

static int malformed_end(qd_json_reader *r, qd_str name, qd_err *err)
{
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "[%.*s] malformed query, expected [END_OBJECT] but found [%s]",
                          QD_STR_ARG(name), qd_json_event_name(r->event));
}

int qdi_not_an_object(qd_json_reader *r, qd_err *err)
{
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "[_na] query malformed, must start with start_object");
}

int qdi_read_inner(qdi_reading *rd, qd_json_reader *r, const qd_query **out, qd_err *err)
{
    int ev;
    qd_str name;
    uint32_t line, column;
    /* what isn't an object is stepped over, as by Elasticsearch: its error is one token further */
    if (r->event != QD_JSON_OBJECT && (ev = qdi_query_next(r, err)) != QD_JSON_OBJECT)
        return ev < 0 ? ev : qdi_not_an_object(r, err);
    ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    if (ev == QD_JSON_OBJECT_END) {
        qd_json_position(r, r->token, &line, &column);
        return qd_err_set(err, QD_E_ARG, "query malformed, empty clause found at [%u:%u]", line,
                          column);
    }
    int rc = qdi_keep(rd, r->text, &name, err);
    if (rc) return rc;
    ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    if (ev != QD_JSON_OBJECT)
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "[%.*s] query malformed, no start_object after query name",
                              QD_STR_ARG(name));
    rc = read_named(rd, r, name, out, err);
    if (rc) return rc;
    if (r->event != QD_JSON_OBJECT_END) return malformed_end(r, name, err);
    ev = qdi_query_next(r, err);
    if (ev < 0) return ev;
    return ev == QD_JSON_OBJECT_END ? 0 : malformed_end(r, name, err);
}
