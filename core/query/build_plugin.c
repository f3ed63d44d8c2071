/*
 * build_plugin.c: operators of plugins: their JSON is parsed for this index, rewritten by the
 * plugin, and the tree of SDK nodes becomes native ones (convert.c). What cannot be rewritten stays
 * as an operator that iterates.
 */
#include "base/str.h"
#include "query/build_int.h"
#include "query/scope.h"
#include <stdio.h>

static const qdi_plugin_query *plugin_of(const qd_query *q)
{
    return (const qdi_plugin_query *)q;
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

const qd_field *qd_operator_field(const qd_operator_scope *s, qd_str name)
{
    return s->builder ? qd_mapping_field(s->builder->c->mapping, name) : NULL;
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
    qdi_scope_functions(s);
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

/* Did parse meet the queries that it met when the request was read? */
static bool same_subqueries(const qdi_plugin_query *q, const qd_operator_scope *s)
{
    bool same = q->nsubs == s->nsubs;
    for (const struct qd_subquery *x = s->first_sub; x && same; x = x->next)
        same = qd_str_eq(x->json, q->sub_json[x->number]);
    return same;
}

static int build_plugin(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const qd_operator_vtable *vt = plugin_of(q)->vt;
    qd_operator_scope *s = NULL;
    building *x = NULL;
    bool ran;
    b->uncacheable |= !(vt->head.flags & QD_OPERATOR_CACHEABLE);
    int rc = scope_make(b, q, &s, err);
    if (!rc) rc = building_make(s, plugin_of(q)->json, &x, err);
    if (rc) return rc;
    rc = qd_operator_call(s, &x->call, NULL, &ran, err);
    if (rc) {
        b->bare_error = true; /* nothing is wrong with the query */
        if (!ran) building_free(&x->call);
        return rc;
    }
    qdi_conversion v = {.b = b,
                        .vt = vt,
                        .ctx = &s->sdk,
                        .scope = s,
                        .q = plugin_of(q),
                        .name = plugin_of(q)->name};
    const void *parsed = x->parsed;
    const qd_query_node *tree = x->tree;
    rc = x->call.rc;
    if (rc) rc = qd_guest_failed(&x->call, &x->err, err);
    building_free(&x->call);
    if (rc) return rc;
    if (!same_subqueries(plugin_of(q), s))
        return qdi_bad_node(&v, "has other queries within than when it was read", err);
    if (!(vt->head.flags & QD_OPERATOR_REWRITES))
        return qdi_convert_custom(&v, parsed, NULL, 0, out, err);
    return tree ? qdi_convert(&v, tree, out, err) : qdi_bad_node(&v, "is missing", err);
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

int qdi_parse_by_plugin(qdi_reading *rd, qdi_plugin_query *q, qd_str name, uint32_t line,
                        uint32_t column, qd_err *err)
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
    qdi_scope_functions(s);
    s->vt = q->vt;
    snprintf(s->name, sizeof s->name, "%.*s", QD_STR_ARG(name));
    snprintf(s->place, sizeof s->place, "the reading of the query");
    int rc = building_make(s, q->json, &x, err);
    if (!rc) {
        qd_json_reader_at(&x->json, line, column);
        x->call.run = parsing_run;
        x->call.what = "parse";
        x->call.placed = "at";
        rc = qd_operator_call(s, &x->call, NULL, &ran, err);
        rd->lookup_failed |= rc != 0; /* nothing is wrong with the text */
        if (!rc) {
            rc = x->call.rc;
            if (rc) rc = qd_guest_failed(&x->call, &x->err, err);
            ran = false;
        }
        if (!ran) building_free(&x->call);
    }
    if (!rc) rc = qdi_read_subqueries(rd, q, s, err);
    qd_operator_scope_unref(s);
    return rc;
}

/* --- the row ---------------------------------------------------------------------------------- */

/* Read by read_query.c, under the names of the plugins. */
const qd_query_type qdi_query_plugin = {
    .name = "plugin", .size = sizeof(qdi_plugin_query), .build = build_plugin};
