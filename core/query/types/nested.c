/* nested.c: documents by their nested ones. */
#include "mapping/mapping.h"
#include "query/build_int.h"
#include "query/read_int.h"
#include "query/types/joining_int.h"

typedef struct nested_query {
    qd_query base;
    const qd_query *query;
    qd_str path, inner_hits; /* inner_hits: JSON; p NULL: none */
    qd_nested_score score;
    bool ignore_unmapped;
} nested_query;
#define NESTED(q) ((nested_query *)(q))

/* --- reading ---------------------------------------------------------------------------------- */

int qdi_read_score_mode(qdi_reading *rd, qd_json_reader *r, qd_nested_score *out, qd_err *err)
{
    static const char *const names[] = {"avg", "sum", "min", "max", "none"};
    qd_str text;
    int rc = qdi_read_text(rd, r, &text, err);
    if (rc) return rc;
    for (size_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (!qd_str_is(text, names[i])) continue;
        *out = (qd_nested_score)i;
        return 0;
    }
    return qd_err_set(err, QD_E_ARG, "No score mode for child query [%.*s] found",
                      QD_STR_ARG(text));
}

static int read_inner_hits(qdi_reading *rd, qd_json_reader *r, qd_str *out, qd_err *err)
{
    const char *from = r->token;
    qd_str json;
    if (qd_json_raw(r, &json)) return qd_json_fail(r, err);
    return qdi_keep(rd, (qd_str){from, json.n}, out, err);
}

static int read_other_value(qdi_reading *rd, qd_json_reader *r, const qdi_other *to, qd_str key,
                            qd_query *q, qd_err *err)
{
    int rc = to->value(rd, r, key, q, err);
    if (rc == 1) rc = qdi_read_standard(rd, r, key, q, err);
    return rc == 1 ? qdi_unsupported(r, q, key, err) : rc;
}

int qdi_read_other(qdi_reading *rd, qd_json_reader *r, const qdi_other *to, qd_query *q,
                   qd_err *err)
{
    int ev, rc;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (ev == QD_JSON_OBJECT && qd_str_is(key, "query"))
            rc = qdi_read_inner(rd, r, to->query, err);
        else if (ev == QD_JSON_OBJECT && qd_str_is(key, "inner_hits"))
            rc = read_inner_hits(rd, r, to->inner_hits, err);
        else if (qdi_is_value(r->event))
            rc = read_other_value(rd, r, to, key, q, err);
        else
            rc = qdi_unsupported(r, q, key, err);
        if (rc) return rc;
    }
    return ev < 0 ? ev : 0;
}

static int read_value(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q, qd_err *err)
{
    if (qd_str_is(key, "path")) return qdi_read_text(rd, r, &NESTED(q)->path, err);
    if (qd_str_is(key, "ignore_unmapped"))
        return qdi_read_bool(r, &NESTED(q)->ignore_unmapped, err);
    if (qd_str_is(key, "score_mode")) return qdi_read_score_mode(rd, r, &NESTED(q)->score, err);
    return 1;
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    const qdi_other to = {&NESTED(q)->query, &NESTED(q)->inner_hits, read_value};
    int rc = qdi_read_other(rd, r, &to, q, err);
    if (rc) return rc;
    if (!NESTED(q)->path.p) return qd_err_set(err, QD_E_ARG, "[nested] requires 'path' field");
    if (!NESTED(q)->query) return qd_err_set(err, QD_E_ARG, "[nested] requires 'query' field");
    return 0;
}

/* --- building --------------------------------------------------------------------------------- */

int qdi_build_nested(qdi_builder *b, const qd_node *child, qd_str path, qd_nested_score score,
                     const qd_node **out, qd_err *err)
{
    const qd_str *paths;
    uint32_t n;
    int rc = qd_mapping_nested_paths(b->c->mapping, b->nested, path, b->arena, &paths, &n, err);
    if (rc) return rc;
    if (n == 0) return qdi_query_none(b, out, err);
    qd_node *x = qdi_query_node(b, QD_NATIVE_NESTED, err);
    if (!x) return QD_E_NOMEM;
    x->u.nested = (qd_node_nested){.child = child, .paths = paths, .n = n, .score = score};
    *out = x;
    return 0;
}

int qdi_inner_add(qdi_builder *b, qd_query_inner inner, qd_str name, qd_str json, uint32_t *number,
                  qd_err *err)
{
    *number = QD_INNER_NONE;
    if (!json.p || b->inner_in == QD_INNER_NONE) return 0;
    if (b->inner.n >= QD_INNER_MAX)
        return qd_err_set(err, QD_E_ARG, "a query has at most %u inner_hits", QD_INNER_MAX);
    inner.in = b->inner_in;
    int rc = qdi_query_copy(b, name, &inner.path, err);
    if (!rc) rc = qdi_query_copy(b, json, &inner.json, err);
    if (rc) return rc;
    *number = (uint32_t)b->inner.n;
    return qd_vec_push(&b->inner, b->arena->account, inner) ? qd_err_nomem(err, "query") : 0;
}

static int add_inner(qdi_builder *b, const nested_query *x, uint32_t *number, qd_err *err)
{
    qd_query_inner i = {0};
    int rc =
        qd_mapping_nested_paths(b->c->mapping, b->nested, x->path, b->arena, &i.paths, &i.n, err);
    *number = QD_INNER_NONE;
    if (rc || i.n == 0) return rc; /* nothing matches there */
    return qdi_inner_add(b, i, x->path, x->inner_hits, number, err);
}

/* Around knn alone: the documents with the nearest nested ones, each once. */
static int build_nearest(qdi_builder *b, const nested_query *x, uint32_t inner, const qd_node **out,
                         qd_err *err)
{
    const qd_node *n;
    int rc = qdi_build(b, x->query, &n, err);
    if (rc) return rc;
    const qd_node_knn *q = qd_node_nearest(n);
    if (q && !(q->npaths && qd_str_eq(q->paths[q->npaths - 1], x->path)))
        return qd_err_set(err, QD_E_ARG,
                          "field [%.*s] of [knn] is not within the nested path [%.*s]",
                          QD_STR_ARG(q->field), QD_STR_ARG(x->path));
    if (inner != QD_INNER_NONE) rc = qdi_knn_below(b, n, &b->inner.at[inner].node, err);
    *out = n;
    return rc || x->score != QD_NESTED_NONE ? rc : qdi_constant_score(b, n, out, err);
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const nested_query *x = (const nested_query *)q;
    const qd_mapping *m = b->c->mapping;
    int rc = qdi_joining_allowed(b, err);
    if (rc) return rc;
    if (!qd_mapping_is_nested(m, x->path, NULL)) {
        bool object = qd_mapping_is_object(m, x->path);
        if (!object && x->ignore_unmapped) return qdi_query_none(b, out, err);
        return qd_err_set(err, QD_E_STATE,
                          object ? "[nested] nested object under path [%.*s] is not of nested type"
                                 : "[nested] failed to find nested object under path [%.*s]",
                          QD_STR_ARG(x->path));
    }
    qd_str above = b->nested;
    uint32_t in = b->inner_in, own;
    const qd_node *child;
    rc = add_inner(b, x, &own, err);
    if (rc) return rc;
    if (x->query->type == &qdi_query_knn) return build_nearest(b, x, own, out, err);
    b->nested = x->path;
    b->inner_in = own;
    rc = qdi_build(b, x->query, &child, err);
    b->nested = above;
    b->inner_in = in;
    if (!rc && own != QD_INNER_NONE) b->inner.at[own].node = child;
    return rc ? rc : qdi_build_nested(b, child, x->path, x->score, out, err);
}

const qd_query_type qdi_query_nested = {
    .name = "nested", .size = sizeof(nested_query), .read = read, .build = build};
