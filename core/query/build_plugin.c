/*
 * build_plugin.c: operators of plugins: their JSON is parsed for this index, rewritten by the
 * plugin, and the tree of SDK nodes becomes native ones. What cannot be rewritten stays as an
 * operator that iterates. The plugin's tree is not trusted: it is bounded in size and depth.
 */
#include "base/str.h"
#include "query/build_int.h"
#include "query/scope.h"
#include <stdio.h>

#define NODES_MAX 1024u
#define DEPTH_MAX 32u

typedef struct conversion {
    qdi_builder *b;
    const qd_operator_vtable *vt;
    const qd_query_ctx *ctx;
    qd_operator_scope *scope; /* NULL: one of ours */
    qd_str name;
    uint32_t nodes;
    float boost;
} conversion;

static int convert(conversion *v, const qd_query_node *n, uint32_t depth, const qd_node **out,
                   qd_err *err);

static int bad_node(const conversion *v, const char *why, qd_err *err)
{
    return qd_err_set(err, QD_E_PLUGIN, "operator [%.*s] returned a query that %s",
                      QD_STR_ARG(v->name), why);
}

static int custom(conversion *v, const void *query, const qd_node **out, qd_err *err)
{
    if (!(v->vt->head.flags & QD_OPERATOR_ITERATES))
        return bad_node(v, "names its own iterator but has none", err);
    qd_node *x = qdi_query_node(v->b, QD_NATIVE_CUSTOM, err);
    if (!x) return QD_E_NOMEM;
    x->u.custom.vt = v->vt;
    x->u.custom.ctx = v->ctx;
    x->u.custom.query = query;
    x->u.custom.scope = v->scope;
    *out = x;
    return 0;
}

static int add_children(conversion *v, const qd_query_node *n, uint32_t depth, qdi_clauses *c,
                        qd_err *err)
{
    for (uint32_t i = 0; i < n->nchildren; i++) {
        const qd_node *x;
        if (!n->children[i]) return bad_node(v, "lacks a child", err);
        uint32_t occur = n->type == QD_NODE_BOOL ? n->children[i]->occur : QD_OCCUR_SHOULD;
        if (occur < QD_OCCUR_MUST || occur > QD_OCCUR_MUST_NOT)
            return bad_node(v, "has a clause without occur", err);
        int rc = convert(v, n->children[i], depth + 1, &x, err);
        if (!rc) rc = qdi_clause_add(v->b, c, (int)occur, x, err);
        if (rc) return rc;
    }
    return 0;
}

static int convert_compound(conversion *v, const qd_query_node *n, uint32_t depth,
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

static int convert_constant(conversion *v, const qd_query_node *n, uint32_t depth,
                            const qd_node **out, qd_err *err)
{
    const qd_node *child;
    if (n->nchildren != 1 || !n->children[0])
        return bad_node(v, "is a constant of not one child", err);
    int rc = convert(v, n->children[0], depth + 1, &child, err);
    if (rc) return rc;
    qd_node *x = qdi_query_node(v->b, QD_NATIVE_CONSTANT, err);
    if (!x) return QD_E_NOMEM;
    x->u.child = child;
    *out = x;
    return 0;
}

static int convert_phrase(conversion *v, const qd_query_node *n, const qdi_field *f,
                          const qd_node **out, qd_err *err)
{
    qd_node *x = qdi_query_node(v->b, QD_NATIVE_PHRASE, err);
    qd_phrase_term *terms = qd_arena_calloc(v->b->arena, (n->ntexts + 1) * sizeof *terms);
    if (!x || !terms) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < n->ntexts; i++) {
        int32_t pos = n->positions ? n->positions[i] : (int32_t)i;
        if (pos < 0 || (i && (uint32_t)pos < terms[i - 1].position))
            return bad_node(v, "has a phrase whose positions do not ascend", err);
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

static int convert_values(conversion *v, const qd_query_node *n, const qdi_field *f,
                          const qd_node **out, qd_err *err)
{
    qd_query_value *values = qd_arena_alloc(v->b->arena, (n->ntexts + 1) * sizeof *values);
    if (!values) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < n->ntexts; i++) values[i] = (qd_query_value){n->texts[i], true};
    if (n->ntexts == 0) return qdi_query_none(v->b, out, err);
    return qdi_field_terms(v->b, f, values, n->ntexts, out, err);
}

static int convert_synonym(conversion *v, const qd_query_node *n, const qdi_field *f,
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

static int convert_match(conversion *v, const qd_query_node *n, const qdi_field *f,
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

static int convert_range(conversion *v, const qd_query_node *n, const qdi_field *f,
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

static int convert_pattern(conversion *v, const qd_query_node *n, const qdi_field *f,
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
    if (n->prefix_len < 0 || n->edits > 2) return bad_node(v, "is fuzzier than two edits", err);
    p.prefix_length = n->prefix_len;
    p.fuzziness = (qdi_fuzziness){.given = true,
                                  .automatic = n->edits < 0,
                                  .low = 3,
                                  .high = 6,
                                  .edits = n->edits < 0 ? 0 : (float)n->edits};
    return qdi_field_pattern(v->b, f, &p, n->text, false, out, err);
}

/* A query in JSON that an operator returned. */
static int convert_query(conversion *v, const qd_query_node *n, const qd_node **out, qd_err *err)
{
    const qd_query *q;
    qd_query_limits limits = v->b->limits;
    if (v->b->depth >= 4) return bad_node(v, "returns queries that return queries too often", err);
    qd_query_reading how = {.arena = v->b->arena, .host = v->b->c->host, .limits = &limits};
    v->b->depth++;
    int rc = qd_query_read_text(&how, n->text, &q, err);
    if (!rc) rc = qdi_build(v->b, q, out, err);
    v->b->depth--;
    return rc;
}

static int convert_field_node(conversion *v, const qd_query_node *n, const qd_node **out,
                              qd_err *err)
{
    qdi_field f = qdi_field_find(v->b, n->field);
    qd_query_value text = {n->text, true};
    if (n->type == QD_NODE_EXISTS) return qdi_field_exists(v->b, n->field, out, err);
    if (f.cls == QDI_F_NONE) return qdi_query_none(v->b, out, err);
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
        return bad_node(v, "has a node of an unknown type", err);
    }
}

static int convert_kind(conversion *v, const qd_query_node *n, uint32_t depth, const qd_node **out,
                        qd_err *err)
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
        return custom(v, n->self, out, err);
    case QDI_NODE_HOST:
        if (!qdi_operator_is_builtin(v->vt))
            return bad_node(v, "has a node of an unknown type", err);
        *out = n->self;
        return 0;
    default:
        return convert_field_node(v, n, out, err);
    }
}

static int convert(conversion *v, const qd_query_node *n, uint32_t depth, const qd_node **out,
                   qd_err *err)
{
    if (++v->nodes > NODES_MAX) return bad_node(v, "has more than 1024 nodes", err);
    if (depth > DEPTH_MAX) return bad_node(v, "is nested deeper than 32 levels", err);
    if ((n->nchildren && !n->children) || (n->ntexts && !n->texts))
        return bad_node(v, "counts what is not there", err);
    if (!qd_boost_valid(n->boost))
        return bad_node(v, "has a boost that is negative, infinite or no number", err);
    int rc = convert_kind(v, n, depth, out, err);
    if (!rc && !*out) rc = qdi_query_none(v->b, out, err);
    return rc ? rc : qdi_boosted(v->b, *out, n->boost, out, err);
}

static const qdi_plugin_query *plugin_of(const qd_query *q)
{
    return (const qdi_plugin_query *)q;
}

/* Ours under another name: it knows our contexts, and returns. */
static int build_ours(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const qd_operator_vtable *vt = plugin_of(q)->vt;
    const void *parsed = NULL;
    qd_query_node *tree = NULL;
    conversion v = {.b = b, .vt = vt, .ctx = &b->sdk, .name = plugin_of(q)->name};
    qd_json_reader r = QD_JSON_READER(b->arena->account);
    qd_json_reader_init(&r, plugin_of(q)->json, QD_JSON_REQUEST, 0);
    int rc = vt->parse(&b->sdk, qd_plugin_json_in(&r), &parsed, err);
    qd_json_reader_fini(&r);
    if (!rc) rc = vt->rewrite(&b->sdk, parsed, &tree, err);
    return rc ? rc : convert(&v, tree, 0, out, err);
}

/* Type of a field as an operator asks for it. */
static qd_str scope_field_type(const qd_query_ctx *ctx, qd_str field)
{
    const qd_operator_scope *s = (const qd_operator_scope *)(const void *)ctx;
    qd_str type = {"", 0};
    if (!qd_guest_enter()) return type;
    type = s->builder->sdk.field_type(&s->builder->sdk, field);
    qd_guest_leave();
    return type;
}

static void scope_end(void *arg)
{
    qd_operator_scope_unref(arg);
}

/* A scope that lives as long as the tree, and longer where a call stays behind. */
static int scope_make(qdi_builder *b, const qd_query *q, qd_operator_scope **out, qd_err *err)
{
    qdi_builder *kept = qd_arena_alloc(b->arena, sizeof *kept);
    qd_query_context *c = qd_arena_alloc(b->arena, sizeof *c);
    qd_operator_scope *s = kept && c ? qd_calloc(NULL, sizeof *s) : NULL;
    if (!s) return qd_err_nomem(err, "query");
    *kept = *b;
    *c = *b->c;
    kept->c = c;
    atomic_store(&s->refs, 1);
    qd_arena_init(&s->arena, b->arena->account, b->arena->max);
    s->sdk = b->sdk;
    s->sdk.self = plugin_of(q)->self;
    s->sdk.arena = &s->arena;
    s->sdk.task = &s->task;
    s->sdk.field_type = scope_field_type;
    s->sdk.index = qd_arena_str(&s->arena, b->sdk.index);
    s->vt = plugin_of(q)->vt;
    s->builder = kept;
    snprintf(s->name, sizeof s->name, "%.*s", QD_STR_ARG(plugin_of(q)->name));
    snprintf(s->place, sizeof s->place, "[%.*s]", QD_STR_ARG(b->sdk.index));
    *out = s;
    if (qd_arena_on_reset(b->arena, scope_end, s)) return qd_err_nomem(err, "query");
    return s->sdk.index.p || !b->sdk.index.n ? 0 : qd_err_nomem(err, "query");
}

/* parse and rewrite. */
typedef struct building {
    qd_guest_call call; /* first */
    qd_operator_scope *scope;
    qd_json_reader json;
    const void *parsed;
    qd_query_node *tree;
    qd_err err;
} building;

static int32_t building_run(qd_guest_call *call)
{
    building *x = (building *)(void *)call;
    const qd_operator_vtable *vt = x->scope->vt;
    int32_t rc = vt->parse(&x->scope->sdk, qd_plugin_json_in(&x->json), &x->parsed, &x->err);
    if (rc || !(vt->head.flags & QD_OPERATOR_REWRITES)) return rc;
    return vt->rewrite(&x->scope->sdk, x->parsed, &x->tree, &x->err);
}

static void building_free(qd_guest_call *call)
{
    building *x = (building *)(void *)call;
    qd_json_reader_fini(&x->json);
    qd_err_fini(&x->err);
    qd_operator_scope_unref(x->scope);
    qd_free(x);
}

static int building_make(qd_operator_scope *s, qd_str json, building **out, qd_err *err)
{
    building *x = qd_calloc(NULL, sizeof *x);
    qd_str text = qd_arena_str(&s->arena, json);
    if (!x || !text.p) {
        qd_free(x);
        return qd_err_nomem(err, "query");
    }
    x->call.run = building_run;
    x->call.left = building_free;
    qd_operator_call_init(s, "parse or rewrite", &x->call);
    x->scope = qd_operator_scope_ref(s);
    x->json = (qd_json_reader)QD_JSON_READER(s->arena.account);
    qd_json_reader_init(&x->json, text, QD_JSON_REQUEST | QD_JSON_ONE_VALUE, 0);
    qd_err_init(&x->err);
    *out = x;
    return 0;
}

static int build_plugin(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const qd_operator_vtable *vt = plugin_of(q)->vt;
    qd_operator_scope *s = NULL;
    building *x = NULL;
    bool ran;
    b->uses_now |= !(vt->head.flags & QD_OPERATOR_CACHEABLE);
    if (qdi_operator_is_builtin(vt)) return build_ours(b, q, out, err);
    int rc = scope_make(b, q, &s, err);
    if (!rc) rc = building_make(s, plugin_of(q)->json, &x, err);
    if (rc) return rc;
    rc = qd_operator_call(s, &x->call, NULL, &ran, err);
    if (rc) {
        b->bare_error = true; /* nothing is wrong with the query */
        if (!ran) building_free(&x->call);
        return rc;
    }
    conversion v = {.b = b, .vt = vt, .ctx = &s->sdk, .scope = s, .name = plugin_of(q)->name};
    const void *parsed = x->parsed;
    const qd_query_node *tree = x->tree;
    rc = x->call.rc;
    if (rc) rc = qd_operator_failed(s, x->call.what, rc, &x->err, err);
    building_free(&x->call);
    if (rc) return rc;
    if (!(vt->head.flags & QD_OPERATOR_REWRITES)) return custom(&v, parsed, out, err);
    return tree ? convert(&v, tree, 0, out, err) : bad_node(&v, "is missing", err);
}

/* --- reading --- */

static qd_str no_field_type(const qd_query_ctx *ctx, qd_str field)
{
    (void)ctx, (void)field;
    return (qd_str){"", 0};
}

static int32_t parsing_run(qd_guest_call *call)
{
    building *x = (building *)(void *)call;
    return x->scope->vt->parse(&x->scope->sdk, qd_plugin_json_in(&x->json), &x->parsed, &x->err);
}

int qdi_parse_by_plugin(qdi_reading *rd, const qdi_plugin_query *q, qd_str name, qd_str json,
                        uint32_t line, uint32_t column, qd_err *err)
{
    building *x = NULL;
    bool ran;
    qd_operator_scope *s = qd_calloc(NULL, sizeof *s);
    if (!s) return qd_err_nomem(err, "query");
    atomic_store(&s->refs, 1);
    qd_arena_init(&s->arena, rd->arena->account, rd->arena->max);
    s->sdk = rd->sdk;
    s->sdk.self = q->self;
    s->sdk.arena = &s->arena;
    s->sdk.task = &s->task;
    s->sdk.field_type = no_field_type;
    s->vt = q->vt;
    snprintf(s->name, sizeof s->name, "%.*s", QD_STR_ARG(name));
    snprintf(s->place, sizeof s->place, "the reading of the query");
    int rc = building_make(s, json, &x, err);
    if (!rc) {
        qd_json_reader_at(&x->json, line, column);
        x->call.run = parsing_run;
        x->call.what = "parse";
        x->call.placed = "at";
        rc = qd_operator_call(s, &x->call, NULL, &ran, err);
        rd->lookup_failed |= rc != 0; /* nothing is wrong with the text */
        if (!rc) {
            rc = x->call.rc;
            if (rc) rc = qd_operator_failed(s, x->call.what, rc, &x->err, err);
            ran = false;
        }
        if (!ran) building_free(&x->call);
    }
    qd_operator_scope_unref(s);
    return rc;
}

/* --- the row ---------------------------------------------------------------------------------- */

/* Read by read_query.c, under the names of the plugins. */
const qd_query_type qdi_query_plugin = {
    .name = "plugin", .size = sizeof(qdi_plugin_query), .build = build_plugin};
