/*
 * read_query.c: a query object, found by its name among the operators, and the queries that hold
 * other queries. Elasticsearch reads bool, match_all and ids by declared parsers, whose errors are
 * x_content_parse_exceptions around the cause; the others by hand, with parsing_exceptions. Both
 * are kept, because clients show and test these texts.
 *
 * Reading recurses once for a query within a query, which max_nested_depth bounds.
 */
#include "query/query_int.h"
#include <quidditch/plugin.h>
#include <stdio.h>

/* Bound of queries within queries of plugins' making, whatever the setting says. */
#define DEPTH_MAX 64u

qd_query *qdi_query_make(qdi_reading *rd, qdi_kind kind, const char *label, qd_err *err)
{
    qd_query *q = qd_arena_calloc(rd->arena, sizeof *q);
    if (!q) {
        (void)qd_err_nomem(err, "reading a query");
        return NULL;
    }
    q->kind = kind;
    q->label = label;
    q->boost = 1;
    return q;
}

static int unknown_query(qdi_reading *rd, qd_json_reader *r, qd_str name, qd_err *err)
{
    qd_str names[128];
    char hint[256];
    uint32_t line, column;
    size_t n = qdi_operator_names(rd->how->host, names, QD_COUNT_OF(names));
    qdi_suggest(name, names, n, hint, sizeof hint);
    qd_json_position(r, r->token, &line, &column);
    (void)qd_err_set(err, QD_E_NAMED_OBJECT, "[%u:%u] unknown field [%.*s]", line, column,
                     QD_STR_ARG(name));
    int rc = qd_err_wrap(err, QD_E_PARSE, "unknown query [%.*s]%s", QD_STR_ARG(name), hint);
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
    qd_query *q = qdi_query_make(rd, QDI_Q_PLUGIN, "plugin", err);
    if (!q) return QD_E_NOMEM;
    const char *from = r->token;
    qd_str json;
    if (rd->how->must_not_wait) { /* a plugin may take its time */
        *rd->how->must_not_wait = true;
        return qd_err_set(err, QD_E_STATE, "a plugin's query in a brief search");
    }
    if (qd_json_raw(r, &json)) return qd_json_fail(r, err);
    /* The contract: the reader stands before the value. It stands on its start. */
    q->u.plugin.vt = vt;
    q->u.plugin.self = self;
    count_to(rd, r, from);
    int rc = qdi_parse_by_plugin(rd, q, name, (qd_str){from, json.n}, rd->counted.line,
                                 rd->counted.column, err);
    if (!rc) rc = qdi_keep(rd, json, &q->u.plugin.json, err);
    if (!rc) rc = qdi_keep(rd, name, &q->u.plugin.name, err);
    if (rc && rc != QD_E_NOMEM) /* the caller's wrap wants a set error */
        (void)qd_err_set(err, rc, "query [%.*s] was refused", QD_STR_ARG(name));
    *out = q;
    return rc;
}

static int read_named(qdi_reading *rd, qd_json_reader *r, qd_str name, const qd_query **out,
                      qd_err *err)
{
    qd_self *self = NULL;
    const qd_operator_vtable *vt = qdi_operator_find(rd->how->host, name, &self);
    if (!vt) return unknown_query(rd, r, name, err);
    if (rd->depth >= rd->limits.max_nested_depth || rd->depth >= DEPTH_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "The nested depth of the query exceeds the maximum nested depth for "
                          "queries set in [indices.query.bool.max_nested_depth]");
    rd->depth++;
    int rc;
    if (qdi_operator_is_builtin(vt)) {
        const void *parsed = NULL;
        rc = vt->parse(&rd->sdk, qd_plugin_json_in(r), &parsed, err);
        *out = parsed;
        if (!rc) rc = qdi_check_boost((*out)->boost, err);
    } else {
        rc = read_plugin(rd, r, name, vt, self, out, err);
    }
    rd->depth--;
    return rc;
}

static int malformed_end(qd_json_reader *r, qd_str name, qd_err *err)
{
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "[%.*s] malformed query, expected [END_OBJECT] but found [%s]",
                          QD_STR_ARG(name), qd_json_event_name(r->event));
}

static int not_an_object(qd_json_reader *r, qd_err *err)
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
        return ev < 0 ? ev : not_an_object(r, err);
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

/* --- queries read by declared parsers -------------------------------------------------------- */

typedef int (*declared_fn)(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err);

typedef enum declared_type {
    VALUE_SCALAR,         /* text, number, boolean */
    VALUE_SCALAR_OR_NULL, /* and null */
    VALUE_FLOAT,          /* number or text */
    VALUE_BOOLEAN,        /* boolean or text */
    VALUE_TEXT,           /* text */
    VALUE_QUERIES,        /* object, array of objects, null */
    VALUE_TEXTS,          /* array of scalars, or one */
} declared_type;

typedef struct declared {
    const char *name;
    declared_type type;
    declared_fn set;
} declared;

static bool supports(declared_type type, qd_json_event ev)
{
    switch (type) {
    case VALUE_SCALAR:
        return qdi_is_value(ev);
    case VALUE_SCALAR_OR_NULL:
        return qdi_is_value(ev) || ev == QD_JSON_NULL;
    case VALUE_FLOAT:
        return ev == QD_JSON_NUMBER || ev == QD_JSON_STRING;
    case VALUE_BOOLEAN:
        return ev == QD_JSON_TRUE || ev == QD_JSON_FALSE || ev == QD_JSON_STRING;
    case VALUE_TEXT:
        return ev == QD_JSON_STRING;
    case VALUE_QUERIES:
        return ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY || ev == QD_JSON_NULL;
    default:
        return ev == QD_JSON_ARRAY || ev == QD_JSON_STRING || ev == QD_JSON_NUMBER;
    }
}

static int unknown_field(qd_json_reader *r, const char *query, qd_str name, const declared *rows,
                         size_t n, qd_err *err)
{
    qd_str names[16];
    char hint[256];
    for (size_t i = 0; i < n; i++) names[i] = qd_str_c(rows[i].name);
    qdi_suggest(name, names, n, hint, sizeof hint);
    return qdi_xcontent_err(r, err, "[%s] unknown field [%.*s]%s", query, QD_STR_ARG(name), hint);
}

static int read_declared(qdi_reading *rd, qd_json_reader *r, const declared *rows, size_t n,
                         qd_query *q, qd_err *err)
{
    int ev;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        const declared *row = NULL;
        for (size_t i = 0; i < n && !row; i++)
            if (qd_str_is(r->text, rows[i].name)) row = &rows[i];
        if (!row) return unknown_field(r, q->label, r->text, rows, n, err);
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (!supports(row->type, r->event))
            return qdi_xcontent_err(r, err, "[%s] %s doesn't support values of type: %s", q->label,
                                    row->name, qd_json_event_name(r->event));
        int rc = row->set(rd, r, q, err);
        if (rc == QD_E_NOMEM || rd->lookup_failed) return rc;
        if (rc) return qdi_field_failed(r, err, q->label, qd_str_c(row->name));
    }
    return ev < 0 ? ev : 0;
}

/* The readers of ids, match_all and match_none turn what their parser refuses into a
 * parsing_exception of the same words around it. */
static int read_framed(qdi_reading *rd, qd_json_reader *r, const declared *rows, size_t n,
                       qd_query *q, qd_err *err)
{
    int rc = read_declared(rd, r, rows, n, q, err);
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

static int declared_boost(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    (void)rd;
    return qdi_read_float(r, &q->boost, err);
}

static int declared_name(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    return qdi_read_text(rd, r, &q->name, err);
}

#define STANDARD                                                                                   \
    {"boost", VALUE_FLOAT, declared_boost},                                                        \
    {                                                                                              \
        "_name", VALUE_TEXT, declared_name                                                         \
    }

static int read_plain(qdi_reading *rd, qd_json_reader *r, qdi_kind kind, const char *label,
                      qd_query **out, qd_err *err)
{
    static const declared rows[] = {STANDARD};
    qd_query *q = qdi_query_make(rd, kind, label, err);
    if (!q) return QD_E_NOMEM;
    *out = q;
    return read_framed(rd, r, rows, QD_COUNT_OF(rows), q, err);
}

int qdi_read_match_all(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                       qd_err *err)
{
    return read_plain(rd, r, QDI_Q_MATCH_ALL, label, out, err);
}

int qdi_read_match_none(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                        qd_err *err)
{
    return read_plain(rd, r, QDI_Q_MATCH_NONE, label, out, err);
}

/* --- bool ------------------------------------------------------------------------------------ */

/* One query or an array of them, appended to a list. */
static int read_clauses(qdi_reading *rd, qd_json_reader *r, const qd_query *const **list,
                        uint32_t *n, qd_err *err)
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

#define CLAUSES(member)                                                                            \
    static int bool_##member(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)         \
    {                                                                                              \
        return read_clauses(rd, r, &q->u.boolean.member, &q->u.boolean.n##member, err);            \
    }
CLAUSES(must)
CLAUSES(should)
CLAUSES(filter)
CLAUSES(must_not)

static int bool_minimum(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    q->u.boolean.has_minimum = r->event != QD_JSON_NULL;
    if (r->event == QD_JSON_NULL) return 0;
    return qdi_read_text(rd, r, &q->u.boolean.minimum_should_match, err);
}

static int bool_adjust(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    bool adjust;
    (void)rd;
    int rc = qdi_read_bool(r, &adjust, err);
    q->u.boolean.keep_pure_negative = !rc && !adjust;
    return rc;
}

int qdi_read_bool_query(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                        qd_err *err)
{
    static const declared rows[] = {
        {"must", VALUE_QUERIES, bool_must},
        {"should", VALUE_QUERIES, bool_should},
        {"must_not", VALUE_QUERIES, bool_must_not},
        {"filter", VALUE_QUERIES, bool_filter},
        {"minimum_should_match", VALUE_SCALAR_OR_NULL, bool_minimum},
        {"adjust_pure_negative", VALUE_BOOLEAN, bool_adjust},
        {"mustNot", VALUE_QUERIES, bool_must_not},
        STANDARD,
    };
    qd_query *q = qdi_query_make(rd, QDI_Q_BOOL, label, err);
    if (!q) return QD_E_NOMEM;
    *out = q;
    return read_declared(rd, r, rows, QD_COUNT_OF(rows), q, err);
}

/* --- ids ------------------------------------------------------------------------------------- */

static int ids_values(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    QD_VEC(qd_query_value) got = {0};
    bool array = r->event == QD_JSON_ARRAY;
    int rc = 0;
    while (rc == 0) {
        qd_query_value v = {.quoted = true};
        if (array) {
            int ev = qdi_query_next(r, err);
            if (ev < 0) rc = ev;
            if (ev < 0 || ev == QD_JSON_ARRAY_END) break;
        }
        rc = qdi_read_text(rd, r, &v.text, err);
        if (!rc && qd_vec_push(&got, rd->arena->account, v)) rc = qd_err_nomem(err, "query");
        if (!array) break;
    }
    if (!rc) {
        qd_query_value *at = qd_arena_alloc(rd->arena, (got.n + 1) * sizeof *at);
        if (!at) rc = qd_err_nomem(err, "query");
        if (at && got.n) memcpy(at, got.at, got.n * sizeof *at);
        q->u.terms.values = at;
        q->u.terms.n = (uint32_t)got.n;
        q->has_value = true;
    }
    qd_vec_fini(&got);
    return rc;
}

int qdi_read_ids(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out, qd_err *err)
{
    static const declared rows[] = {{"values", VALUE_TEXTS, ids_values}, STANDARD};
    qd_query *q = qdi_query_make(rd, QDI_Q_IDS, label, err);
    if (!q) return QD_E_NOMEM;
    *out = q;
    return read_framed(rd, r, rows, QD_COUNT_OF(rows), q, err);
}

/* --- constant_score, dis_max ----------------------------------------------------------------- */

/* boost and _name of the parsers written by hand; 1 when the key is neither. */
static int read_standard(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q, qd_err *err)
{
    if (qd_str_is(key, "boost")) return qdi_read_float(r, &q->boost, err);
    if (qd_str_is(key, "_name")) return qdi_read_text(rd, r, &q->name, err);
    return 1;
}

int qdi_read_constant_score(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                            qd_err *err)
{
    int ev, rc;
    qd_query *q = qdi_query_make(rd, QDI_Q_CONSTANT_SCORE, label, err);
    if (!q) return QD_E_NOMEM;
    *out = q;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (ev == QD_JSON_OBJECT) {
            if (!qd_str_is(key, "filter"))
                return qd_json_err_at(r, err, QD_E_PARSE,
                                      "[constant_score] query does not support [%.*s]",
                                      QD_STR_ARG(key));
            if (q->u.child)
                return qd_json_err_at(r, err, QD_E_PARSE,
                                      "[constant_score] accepts only one 'filter' element.");
            rc = qdi_read_inner(rd, r, &q->u.child, err);
        } else if (qdi_is_value(r->event)) {
            rc = read_standard(rd, r, key, q, err);
            if (rc == 1)
                return qd_json_err_at(r, err, QD_E_PARSE,
                                      "[constant_score] query does not support [%.*s]",
                                      QD_STR_ARG(key));
        } else {
            return qd_json_err_at(r, err, QD_E_PARSE, "unexpected token [%s]",
                                  qd_json_event_name(r->event));
        }
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (q->u.child) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE, "[constant_score] requires a 'filter' element");
}

int qdi_read_dis_max(qdi_reading *rd, qd_json_reader *r, const char *label, qd_query **out,
                     qd_err *err)
{
    int ev, rc;
    qd_query *q = qdi_query_make(rd, QDI_Q_DIS_MAX, label, err);
    if (!q) return QD_E_NOMEM;
    *out = q;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY) {
            if (!qd_str_is(key, "queries"))
                return qd_json_err_at(r, err, QD_E_PARSE, "[dis_max] query does not support [%.*s]",
                                      QD_STR_ARG(key));
            rc = read_clauses(rd, r, &q->u.dis_max.queries, &q->u.dis_max.n, err);
            if (!rc && !q->u.dis_max.n) return not_an_object(r, err); /* of an empty array */
        } else if (qd_str_is(key, "tie_breaker")) {
            rc = qdi_read_float(r, &q->u.dis_max.tie_breaker, err);
        } else {
            rc = read_standard(rd, r, key, q, err);
            if (rc == 1)
                return qd_json_err_at(r, err, QD_E_PARSE, "[dis_max] query does not support [%.*s]",
                                      QD_STR_ARG(key));
        }
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (q->u.dis_max.n) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "[dis_max] requires 'queries' field with at least one clause");
}
