/*
 * build.c: parsed queries to native nodes: the queries that hold others, boost and name, and the
 * public entries.
 *
 * What fails in here belongs to one index: Elasticsearch reports it as query_shard_exception
 * "failed to create query: …" around the cause, and so do we, at the outermost place only.
 */
#include "base/utf8.h"
#include "query/build_int.h"
#include <stdarg.h>
#include <stdio.h>

static qd_str field_type_of(const qd_query_ctx *ctx, qd_str field)
{
    const qdi_builder *b = (const qdi_builder *)(const void *)ctx;
    const qd_field *f = qd_mapping_field(b->c->mapping, field);
    return f ? qd_str_c(qd_field_type_name(f)) : (qd_str){"", 0};
}

qd_node *qdi_query_node(qdi_builder *b, qd_node_kind kind, qd_err *err)
{
    qd_node *n = qd_node_make(b->arena, kind);
    if (!n) (void)qd_err_nomem(err, "query");
    return n;
}

int qdi_query_none(qdi_builder *b, const qd_node **out, qd_err *err)
{
    *out = qdi_query_node(b, QD_NATIVE_MATCH_NONE, err);
    return *out ? 0 : QD_E_NOMEM;
}

int qdi_boosted(qdi_builder *b, const qd_node *n, float boost, const qd_node **out, qd_err *err)
{
    *out = n;
    if (boost == 1 || n->kind == QD_NATIVE_MATCH_NONE) return 0;
    qd_node *x = qdi_query_node(b, QD_NATIVE_BOOST, err);
    if (!x) return QD_E_NOMEM;
    /* a node stands for itself in a tree only: its own boost can take the factor */
    if (n->name.n == 0) {
        *x = *n;
        x->boost = n->boost * boost;
    } else {
        x->u.child = n;
        x->boost = boost;
    }
    *out = x;
    return 0;
}

int qdi_query_copy(qdi_builder *b, qd_str text, qd_str *out, qd_err *err)
{
    *out = qd_arena_str(b->arena, text);
    return out->p || !text.n ? 0 : qd_err_nomem(err, "query");
}

static void add_index(const qd_query_context *c, qd_err *err)
{
    if (c->index_uuid.n) qd_err_detail_str(err, "index_uuid", c->index_uuid);
    if (c->index.n) qd_err_detail_str(err, "index", c->index);
}

int qdi_shard_err(qdi_builder *b, qd_err *err, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (err && err->code) return err->code;
    (void)qd_err_set(err, QD_E_QUERY_SHARD, "%s", text);
    add_index(b->c, err);
    return QD_E_QUERY_SHARD;
}

/* Is something wrong with this node, or what runs on it, and not with the query? */
static bool of_node(int rc)
{
    return rc == QD_E_NOMEM || rc == QD_E_BREAKER || rc == QD_E_PLUGIN || rc == QD_E_REJECTED;
}

int qdi_forgive(qdi_builder *b, bool lenient, int rc, qd_err *step, const qd_node **out,
                qd_err *err)
{
    if (rc == 0) return 0;
    if (!lenient || of_node(rc)) {
        if (err)
            qd_err_move(err, step);
        else
            qd_err_fini(step);
        return rc;
    }
    qd_err_fini(step);
    return qdi_query_none(b, out, err);
}

/* --- clauses --------------------------------------------------------------------------------- */

int qdi_clause_add(qdi_builder *b, qdi_clauses *c, int occur, const qd_node *n, qd_err *err)
{
    int rc;
    qd_account *a = b->arena->account;
    if (c->must.n + c->should.n + c->filter.n + c->must_not.n >= b->limits.max_clauses)
        return qd_err_set(err, QD_E_TOO_MANY_CLAUSES, "maxClauseCount is set to %u",
                          b->limits.max_clauses);
    switch (occur) {
    case QD_OCCUR_MUST:
        rc = qd_vec_push(&c->must, a, n);
        break;
    case QD_OCCUR_FILTER:
        rc = qd_vec_push(&c->filter, a, n);
        break;
    case QD_OCCUR_MUST_NOT:
        rc = qd_vec_push(&c->must_not, a, n);
        break;
    default:
        rc = qd_vec_push(&c->should, a, n);
        break;
    }
    return rc ? qd_err_nomem(err, "query") : 0;
}

void qdi_clauses_fini(qdi_clauses *c)
{
    qd_vec_fini(&c->must);
    qd_vec_fini(&c->should);
    qd_vec_fini(&c->filter);
    qd_vec_fini(&c->must_not);
}

int qdi_clauses_bool(qdi_builder *b, qdi_clauses *c, qd_str minimum, const qd_node **out,
                     qd_err *err)
{
    const qd_node **must, **should, **filter, **must_not;
    uint32_t least = 0;
    int rc = 0;
    *out = NULL;
    if (c->must.n + c->should.n + c->filter.n + c->must_not.n > 0) {
        qd_node *n = qd_node_bool_make(b->arena, (uint32_t)c->must.n, (uint32_t)c->should.n,
                                       (uint32_t)c->filter.n, (uint32_t)c->must_not.n, &must,
                                       &should, &filter, &must_not);
        if (n) {
            if (c->must.n) memcpy(must, c->must.at, c->must.n * sizeof *must);
            if (c->should.n) memcpy(should, c->should.at, c->should.n * sizeof *should);
            if (c->filter.n) memcpy(filter, c->filter.at, c->filter.n * sizeof *filter);
            if (c->must_not.n) memcpy(must_not, c->must_not.at, c->must_not.n * sizeof *must_not);
            if (minimum.p)
                rc = qd_minimum_should_match(minimum, (uint32_t)c->should.n, &least, err);
            n->u.boolean.min_should = least;
            *out = n;
        } else {
            rc = qd_err_nomem(err, "query");
        }
    }
    qdi_clauses_fini(c);
    return rc;
}

int qdi_clauses_dis_max(qdi_builder *b, qdi_clauses *c, float tie, const qd_node **out, qd_err *err)
{
    int rc = 0;
    *out = c->should.n == 1 ? c->should.at[0] : NULL;
    if (c->should.n && !(tie >= 0 && tie <= 1)) {
        rc = qd_err_set(err, QD_E_ARG, "tieBreakerMultiplier must be in [0, 1]");
    } else if (c->should.n > 1) {
        qd_node *n = qdi_query_node(b, QD_NATIVE_DIS_MAX, err);
        const qd_node **at = qd_arena_alloc(b->arena, c->should.n * sizeof *at);
        if (n && at) {
            memcpy(at, c->should.at, c->should.n * sizeof *at);
            n->u.dis_max.children = at;
            n->u.dis_max.n = (uint32_t)c->should.n;
            n->u.dis_max.tie_breaker = tie;
            *out = n;
        } else {
            rc = qd_err_nomem(err, "query");
        }
    }
    qdi_clauses_fini(c);
    return rc;
}

int qdi_apply_minimum(qdi_builder *b, const qd_node *n, qd_str minimum, const qd_node **out,
                      qd_err *err)
{
    *out = n;
    if (!n || !minimum.p || !qd_node_clauses(n)) return 0;
    uint32_t least;
    int rc = qd_minimum_should_match(minimum, n->u.boolean.nshould, &least, err);
    if (rc || least == 0) return rc;
    qd_node *x = qdi_query_node(b, QD_NATIVE_BOOL, err);
    if (!x) return QD_E_NOMEM;
    *x = *n;
    x->u.boolean.min_should = least;
    *out = x;
    return 0;
}

int qdi_clauses_build(qdi_builder *b, qdi_clauses *c, int occur, const qd_query *const *list,
                      uint32_t n, qd_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        const qd_node *node;
        int rc = qdi_build(b, list[i], &node, err);
        if (!rc) rc = qdi_clause_add(b, c, occur, node, err);
        if (rc) return rc;
    }
    return 0;
}

int qdi_build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    int rc = q->type->build(b, q, out, err);
    if (rc) return rc;
    if (!*out) rc = qdi_query_none(b, out, err); /* no clause at all: nothing matches */
    if (!rc) rc = qdi_boosted(b, *out, q->boost, out, err);
    if (rc || !q->name.p) return rc;
    qd_node *named = qdi_query_node(b, QD_NATIVE_BOOST, err);
    if (!named) return QD_E_NOMEM;
    *named = **out;
    rc = qdi_query_copy(b, q->name, &named->name, err);
    *out = named;
    if (!rc && b->nested.n)
        return 0; /* told with the nested documents, which are hits of their own */
    for (size_t i = 0; !rc && i < b->named.n; i++) {
        if (!qd_str_eq(b->named.at[i].name, named->name)) continue;
        b->named.at[i].node = named;
        return 0;
    }
    if (!rc && qd_vec_push(&b->named, b->arena->account, ((qd_query_named){named->name, named})))
        rc = qd_err_nomem(err, "query");
    return rc;
}

/* --- entries --------------------------------------------------------------------------------- */

/* Clauses of the whole tree, as Lucene counts them before a search. */
static int count_leaves(qdi_builder *b, const qd_node *n, qd_err *err)
{
    qd_node_list lists[QD_NODE_LISTS_MAX];
    uint32_t k = qd_node_lists(n, lists);
    int rc = 0;
    for (uint32_t l = 0; l < k; l++)
        for (uint32_t i = 0; i < lists[l].n && !rc; i++)
            rc = count_leaves(b, lists[l].nodes[i], err);
    if (k || ++b->leaves <= b->limits.max_clauses + b->uncounted) return rc;
    return qd_err_set(err, QD_E_LIMIT,
                      "Query contains too many nested clauses; maxClauseCount is set to %u",
                      b->limits.max_clauses);
}

int qd_query_failed(const qd_query_context *c, int rc, qd_err *err)
{
    if (of_node(rc) || rc == QD_E_QUERY_SHARD || rc == QD_E_PARSE) return rc;
    if (!err) return QD_E_QUERY_SHARD;
    char why[512];
    snprintf(why, sizeof why, "%s", qd_err_reason(err));
    rc = qd_err_wrap(err, QD_E_QUERY_SHARD, "failed to create query: %s", why);
    add_index(c, err);
    return rc;
}

int qd_query_build(const qd_query_context *c, const qd_query *q, qd_query_built *out, qd_err *err)
{
    qdi_builder b = {
        .c = c, .arena = c->arena, .limits = c->limits ? *c->limits : QD_QUERY_LIMITS_DEFAULT};
    b.nested = c->nested;
    b.inner_in = c->nested.n ? QD_INNER_NONE : QD_INNER_TOP;
    b.sdk = (qd_query_ctx){.struct_size = sizeof b.sdk,
                           .arena = c->arena,
                           .index = c->index,
                           .now_ms = c->now_ms,
                           .field_type = field_type_of};
    const qd_node *root = NULL;
    qd_query_named *named = NULL;
    int rc = qdi_build(&b, q, &root, err);
    if (!rc) rc = count_leaves(&b, root, err);
    if (!rc && b.named.n) {
        named = qd_arena_alloc(c->arena, b.named.n * sizeof *named);
        rc = named ? 0 : qd_err_nomem(err, "query");
        if (named) memcpy(named, b.named.at, b.named.n * sizeof *named);
    }
    qd_query_inner *inner = NULL;
    if (!rc && b.inner.n) {
        inner = qd_arena_alloc(c->arena, b.inner.n * sizeof *inner);
        rc = inner ? 0 : qd_err_nomem(err, "query");
        if (inner) memcpy(inner, b.inner.at, b.inner.n * sizeof *inner);
    }
    uint32_t clauses = b.leaves > b.uncounted ? b.leaves - b.uncounted : 1;
    if (!rc)
        *out = (qd_query_built){root,    named, (uint32_t)b.named.n, b.uncacheable,
                                clauses, inner, (uint32_t)b.inner.n};
    qd_vec_fini(&b.named);
    qd_vec_fini(&b.inner);
    return rc && !b.bare_error ? qd_query_failed(c, rc, err) : rc;
}

static int parse_in(const qd_query_context *c, qd_str json, const char *origin, qd_query_built *out,
                    qd_err *err)
{
    const qd_query *q;
    qd_query_reading how = {
        .arena = c->arena, .host = c->host, .limits = c->limits, .origin = origin};
    int rc = qd_query_read_text(&how, json, &q, err);
    return rc ? rc : qd_query_build(c, q, out, err);
}

int qd_query_parse(const qd_query_context *c, qd_str json, qd_query_built *out, qd_err *err)
{
    return parse_in(c, json, NULL, out, err);
}

int qd_query_parse_node(const qd_query_context *c, const qd_json_node *json, qd_str body,
                        qd_query_built *out, qd_err *err)
{
    return parse_in(c, json->raw, body.p, out, err);
}
