/*
 * convert.c: the tree of SDK nodes that an operator's rewrite returned becomes native nodes. The
 * plugin's tree is not trusted: it is bounded in size and depth.
 */
#include "base/str.h"
#include "query/build_int.h"
#include "query/scope.h"

#define NODES_MAX 1024u
#define DEPTH_MAX 32u

static int convert(qdi_conversion *v, const qd_query_node *n, uint32_t depth, const qd_node **out,
                   qd_err *err);

int qdi_bad_node(const qdi_conversion *v, const char *why, qd_err *err)
{
    return qd_err_set(err, QD_E_PLUGIN, "operator [%.*s] returned a query that %s",
                      QD_STR_ARG(v->name), why);
}

static int custom_terms(qdi_conversion *v, const qd_query_node *n, qd_node_custom *to, qd_err *err)
{
    if (n->ntexts > NODES_MAX)
        return qdi_bad_node(v, "asks for statistics of more than 1024 terms", err);
    qd_str *terms = qd_arena_calloc(v->b->arena, (n->ntexts + 1) * sizeof *terms);
    if (!terms) return qd_err_nomem(err, "query");
    int rc = qdi_query_copy(v->b, n->field, &to->field, err);
    for (uint32_t i = 0; i < n->ntexts && !rc; i++)
        rc = qdi_query_copy(v->b, n->texts[i], &terms[i], err);
    to->terms = terms;
    to->nterms = n->ntexts;
    return rc;
}

static int custom_children(qdi_conversion *v, const qd_query_node *n, uint32_t depth,
                           qd_node_custom *to, qd_err *err)
{
    if (n->nchildren > NODES_MAX) return qdi_bad_node(v, "has more than 1024 nodes", err);
    const qd_node **list = qd_arena_calloc(v->b->arena, (n->nchildren + 1) * sizeof *list);
    if (!list) return qd_err_nomem(err, "query");
    int rc = 0;
    for (uint32_t i = 0; i < n->nchildren && !rc; i++)
        rc = n->children[i] ? convert(v, n->children[i], depth + 1, &list[i], err)
                            : qdi_bad_node(v, "lacks a child", err);
    to->children = list;
    to->nchildren = n->nchildren;
    return rc;
}

/* n NULL: of an operator that does not rewrite. */
int qdi_convert_custom(qdi_conversion *v, const void *query, const qd_query_node *n, uint32_t depth,
                       const qd_node **out, qd_err *err)
{
    if (!(v->vt->head.flags & QD_OPERATOR_ITERATES))
        return qdi_bad_node(v, "names its own iterator but has none", err);
    qd_node *x = qdi_query_node(v->b, QD_NATIVE_CUSTOM, err);
    if (!x) return QD_E_NOMEM;
    int rc = n ? custom_terms(v, n, &x->u.custom, err) : 0;
    if (!rc && n) rc = custom_children(v, n, depth, &x->u.custom, err);
    if (rc) return rc;
    x->u.custom.vt = v->vt;
    x->u.custom.ctx = v->ctx;
    x->u.custom.query = query;
    x->u.custom.scope = v->scope;
    *out = x;
    return 0;
}

static int add_children(qdi_conversion *v, const qd_query_node *n, uint32_t depth, qdi_clauses *c,
                        qd_err *err)
{
    for (uint32_t i = 0; i < n->nchildren; i++) {
        const qd_node *x;
        if (!n->children[i]) return qdi_bad_node(v, "lacks a child", err);
        uint32_t occur = n->type == QD_NODE_BOOL ? n->children[i]->occur : QD_OCCUR_SHOULD;
        if (occur < QD_OCCUR_MUST || occur > QD_OCCUR_MUST_NOT)
            return qdi_bad_node(v, "has a clause without occur", err);
        int rc = convert(v, n->children[i], depth + 1, &x, err);
        if (!rc) rc = qdi_clause_add(v->b, c, (int)occur, x, err);
        if (rc) return rc;
    }
    return 0;
}

static int convert_compound(qdi_conversion *v, const qd_query_node *n, uint32_t depth,
                            const qd_node **out, qd_err *err)
{
    qdi_clauses c = {0};
    qd_str minimum = {NULL, 0};
    int rc = add_children(v, n, depth, &c, err);
    if (!rc && n->minimum) {
        minimum = qd_arena_printf(v->b->arena, "%d", n->minimum);
        if (!minimum.p) rc = qd_err_nomem(err, "query");
    }
    if (rc) {
        qd_vec_fini(&c.must);
        qd_vec_fini(&c.should);
        qd_vec_fini(&c.filter);
        qd_vec_fini(&c.must_not);
        return rc;
    }
    rc = n->type == QD_NODE_BOOL ? qdi_clauses_bool(v->b, &c, minimum, out, err)
                                 : qdi_clauses_dis_max(v->b, &c, n->tie, out, err);
    return rc || *out ? rc : qdi_query_none(v->b, out, err);
}

static int convert_constant(qdi_conversion *v, const qd_query_node *n, uint32_t depth,
                            const qd_node **out, qd_err *err)
{
    const qd_node *child;
    if (n->nchildren != 1 || !n->children[0])
        return qdi_bad_node(v, "is a constant of not one child", err);
    int rc = convert(v, n->children[0], depth + 1, &child, err);
    if (rc) return rc;
    qd_node *x = qdi_query_node(v->b, QD_NATIVE_CONSTANT, err);
    if (!x) return QD_E_NOMEM;
    x->u.child = child;
    *out = x;
    return 0;
}

static int convert_phrase(qdi_conversion *v, const qd_query_node *n, const qdi_field *f,
                          const qd_node **out, qd_err *err)
{
    qd_node *x = qdi_query_node(v->b, QD_NATIVE_PHRASE, err);
    qd_phrase_term *terms = qd_arena_calloc(v->b->arena, (n->ntexts + 1) * sizeof *terms);
    if (!x || !terms) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < n->ntexts; i++) {
        int32_t pos = n->positions ? n->positions[i] : (int32_t)i;
        if (pos < 0 || (i && (uint32_t)pos < terms[i - 1].position))
            return qdi_bad_node(v, "has a phrase whose positions do not ascend", err);
        int rc = qdi_query_copy(v->b, n->texts[i], &terms[i].term, err);
        if (rc) return rc;
        terms[i].position = (uint32_t)pos;
    }
    x->u.phrase.field = f->name;
    x->u.phrase.terms = terms;
    x->u.phrase.n = n->ntexts;
    x->u.phrase.slop = n->slop > 0 ? (uint32_t)n->slop : 0;
    *out = x;
    return n->ntexts ? 0 : qdi_query_none(v->b, out, err);
}

static int convert_values(qdi_conversion *v, const qd_query_node *n, const qdi_field *f,
                          const qd_node **out, qd_err *err)
{
    qd_query_value *values = qd_arena_alloc(v->b->arena, (n->ntexts + 1) * sizeof *values);
    if (!values) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < n->ntexts; i++) values[i] = (qd_query_value){n->texts[i], true};
    if (n->ntexts == 0) return qdi_query_none(v->b, out, err);
    return qdi_field_terms(v->b, f, values, n->ntexts, out, err);
}

static int convert_synonym(qdi_conversion *v, const qd_query_node *n, const qdi_field *f,
                           const qd_node **out, qd_err *err)
{
    qdi_matcher m = {.b = v->b, .field = *f};
    qdi_token *t = qd_arena_calloc(v->b->arena, (n->ntexts + 1) * sizeof *t);
    if (!t) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < n->ntexts; i++) {
        int rc = qdi_query_copy(v->b, n->texts[i], &t[i].term, err);
        if (rc) return rc;
    }
    if (n->ntexts == 0) return qdi_query_none(v->b, out, err);
    return qdi_match_synonyms(&m, t, n->ntexts, out, err);
}

static int convert_match(qdi_conversion *v, const qd_query_node *n, const qdi_field *f,
                         const qd_node **out, qd_err *err)
{
    qdi_matcher m = {.b = v->b,
                     .field = *f,
                     .and_operator = n->flags & QD_NODE_AND,
                     .synonyms_phrase = true,
                     .transpositions = true,
                     .max_expansions = 50};
    int rc = qdi_match(&m, QDI_MATCH_BOOLEAN, (qd_query_value){n->text, true}, out, err);
    if (rc || !n->minimum) return rc;
    qd_str minimum = qd_arena_printf(v->b->arena, "%d", n->minimum);
    if (!minimum.p) return qd_err_nomem(err, "query");
    return qdi_apply_minimum(v->b, *out, minimum, out, err);
}

static int convert_range(qdi_conversion *v, const qd_query_node *n, const qdi_field *f,
                         const qd_node **out, qd_err *err)
{
    qdi_range g = {.from = {n->lo, true},
                   .to = {n->hi, true},
                   .has_from = !(n->flags & QD_NODE_LO_NONE),
                   .has_to = !(n->flags & QD_NODE_HI_NONE),
                   .include_from = !(n->flags & QD_NODE_LO_OPEN),
                   .include_to = !(n->flags & QD_NODE_HI_OPEN)};
    return qdi_field_range(v->b, f, &g, out, err);
}

static int convert_pattern(qdi_conversion *v, const qd_query_node *n, const qdi_field *f,
                           const qd_node **out, qd_err *err)
{
    qdi_pattern p = {.kind = n->type == QD_NODE_PREFIX     ? QD_PATTERN_PREFIX
                             : n->type == QD_NODE_WILDCARD ? QD_PATTERN_WILDCARD
                             : n->type == QD_NODE_REGEXP   ? QD_PATTERN_REGEXP
                                                           : QD_PATTERN_FUZZY,
                     .case_insensitive = n->flags & QD_NODE_NO_CASE,
                     .transpositions = true,
                     .regexp_flags = 0xff,
                     .max_expansions = 50};
    if (n->prefix_len < 0 || n->edits > 2) return qdi_bad_node(v, "is fuzzier than two edits", err);
    p.prefix_length = n->prefix_len;
    p.fuzziness = (qdi_fuzziness){.given = true,
                                  .automatic = n->edits < 0,
                                  .low = 3,
                                  .high = 6,
                                  .edits = n->edits < 0 ? 0 : (float)n->edits};
    return qdi_field_pattern(v->b, f, &p, n->text, false, out, err);
}

/* A query that parse met: it was read with the request. */
static int convert_subquery(qdi_conversion *v, const qd_query_node *n, const qd_node **out,
                            qd_err *err)
{
    const struct qd_subquery *x = v->scope ? v->scope->first_sub : NULL;
    while (x && x != n->self) x = x->next;
    return x ? qdi_build(v->b, v->q->subs[x->number], out, err)
             : qdi_bad_node(v, "names a query that is none of those within it", err);
}

/* A query in JSON that an operator returned. */
static int convert_query(qdi_conversion *v, const qd_query_node *n, const qd_node **out,
                         qd_err *err)
{
    const qd_query *q;
    qd_query_limits limits = v->b->limits;
    if (v->b->depth >= 4)
        return qdi_bad_node(v, "returns queries that return queries too often", err);
    qd_query_reading how = {.arena = v->b->arena, .host = v->b->c->host, .limits = &limits};
    v->b->depth++;
    int rc = qd_query_read_text(&how, n->text, &q, err);
    if (!rc) rc = qdi_build(v->b, q, out, err);
    v->b->depth--;
    return rc;
}

static int convert_field_node(qdi_conversion *v, const qd_query_node *n, const qd_node **out,
                              qd_err *err)
{
    qdi_field f = qdi_field_find(v->b, n->field);
    qd_query_value text = {n->text, true};
    if (n->type == QD_NODE_EXISTS) return qdi_field_exists(v->b, n->field, out, err);
    if (f.cls == QDI_F_NONE && n->type <= QD_NODE_SUBQUERY) return qdi_query_none(v->b, out, err);
    switch (n->type) {
    case QD_NODE_TERM:
        return qdi_field_term(v->b, &f, text, n->flags & QD_NODE_NO_CASE, out, err);
    case QD_NODE_TERMS:
        return convert_values(v, n, &f, out, err);
    case QD_NODE_SYNONYM:
        return convert_synonym(v, n, &f, out, err);
    case QD_NODE_MATCH:
        return convert_match(v, n, &f, out, err);
    case QD_NODE_PHRASE:
        return convert_phrase(v, n, &f, out, err);
    case QD_NODE_RANGE:
        return convert_range(v, n, &f, out, err);
    case QD_NODE_PREFIX:
    case QD_NODE_WILDCARD:
    case QD_NODE_REGEXP:
    case QD_NODE_FUZZY:
        return convert_pattern(v, n, &f, out, err);
    default:
        return qdi_bad_node(v, "has a node of an unknown type", err);
    }
}

static int convert_kind(qdi_conversion *v, const qd_query_node *n, uint32_t depth,
                        const qd_node **out, qd_err *err)
{
    qdi_field id = {.cls = QDI_F_ID, .name = QD_STR("_id")};
    switch (n->type) {
    case QD_NODE_ALL:
        *out = qdi_query_node(v->b, QD_NATIVE_MATCH_ALL, err);
        return *out ? 0 : QD_E_NOMEM;
    case QD_NODE_NONE:
        return qdi_query_none(v->b, out, err);
    case QD_NODE_IDS:
        return convert_values(v, n, &id, out, err);
    case QD_NODE_BOOL:
    case QD_NODE_DIS_MAX:
        return convert_compound(v, n, depth, out, err);
    case QD_NODE_CONSTANT:
        return convert_constant(v, n, depth, out, err);
    case QD_NODE_QUERY:
        return convert_query(v, n, out, err);
    case QD_NODE_SELF:
        return qdi_convert_custom(v, n->self, n, depth, out, err);
    case QD_NODE_SUBQUERY:
        return convert_subquery(v, n, out, err);
    default:
        return convert_field_node(v, n, out, err);
    }
}

static int convert(qdi_conversion *v, const qd_query_node *n, uint32_t depth, const qd_node **out,
                   qd_err *err)
{
    if (++v->nodes > NODES_MAX) return qdi_bad_node(v, "has more than 1024 nodes", err);
    if (depth > DEPTH_MAX) return qdi_bad_node(v, "is nested deeper than 32 levels", err);
    if ((n->nchildren && !n->children) || (n->ntexts && !n->texts))
        return qdi_bad_node(v, "counts what is not there", err);
    if (!qd_boost_valid(n->boost))
        return qdi_bad_node(v, "has a boost that is negative, infinite or no number", err);
    int rc = convert_kind(v, n, depth, out, err);
    if (!rc && !*out) rc = qdi_query_none(v->b, out, err);
    return rc ? rc : qdi_boosted(v->b, *out, n->boost, out, err);
}

int qdi_convert(qdi_conversion *v, const qd_query_node *tree, const qd_node **out, qd_err *err)
{
    return convert(v, tree, 0, out, err);
}
