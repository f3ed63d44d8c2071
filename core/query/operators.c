/*
 * operators.c: our queries by name, registered through the SDK's vtable like anybody's, and the two
 * public ways to read a query.
 *
 * Their parse and rewrite work on contexts of this module only (the SDK's context is the first
 * member of ours); a context of somebody else's is refused.
 */
#include "query/operators.h"
#include "query/build_int.h"
#include <quidditch/plugin.h>

static qd_str no_mapping(const qd_query_ctx *ctx, qd_str field)
{
    (void)ctx;
    (void)field;
    return (qd_str){"", 0};
}

qdi_reading *qdi_reading_of(const qd_query_ctx *ctx)
{
    return ctx->field_type == no_mapping ? (qdi_reading *)(uintptr_t)ctx : NULL;
}

static int32_t parse(const qd_query_ctx *ctx, qd_json_in *in, qdi_read_fn fn, const char *label,
                     const void **out, qd_err *err)
{
    qdi_reading *rd = qdi_reading_of(ctx);
    qd_query *q = NULL;
    if (!rd) return qd_err_set(err, QD_E_UNSUPPORTED, "[%s] is read by the host only", label);
    int rc = fn(rd, (qd_json_reader *)(void *)in, label, &q, err);
    *out = q;
    return rc;
}

/* The tree is of native nodes already: handed over as one host node. */
static int32_t rewrite(const qd_query_ctx *ctx, const void *query, qd_query_node **out, qd_err *err)
{
    qdi_builder *b = qdi_builder_of(ctx);
    const qd_node *n;
    if (!b) return qd_err_set(err, QD_E_UNSUPPORTED, "the query is built by the host only");
    int rc = qdi_build(b, query, &n, err);
    if (rc) return rc;
    qd_query_node *node = qd_arena_calloc(b->arena, sizeof *node);
    if (!node) return qd_err_nomem(err, "query");
    node->struct_size = sizeof *node;
    node->type = QDI_NODE_HOST;
    node->boost = 1;
    node->self = n;
    *out = node;
    return 0;
}

#define OPERATORS(X)                                                                               \
    X(match_all, qdi_read_match_all)                                                               \
    X(match_none, qdi_read_match_none)                                                             \
    X(bool, qdi_read_bool_query)                                                                   \
    X(constant_score, qdi_read_constant_score)                                                     \
    X(dis_max, qdi_read_dis_max)                                                                   \
    X(match, qdi_read_match)                                                                       \
    X(match_phrase, qdi_read_match_phrase)                                                         \
    X(match_phrase_prefix, qdi_read_match_phrase_prefix)                                           \
    X(match_bool_prefix, qdi_read_match_bool_prefix)                                               \
    X(multi_match, qdi_read_multi_match)                                                           \
    X(query_string, qdi_read_query_string)                                                         \
    X(simple_query_string, qdi_read_simple_query_string)                                           \
    X(term, qdi_read_term)                                                                         \
    X(terms, qdi_read_terms)                                                                       \
    X(range, qdi_read_range)                                                                       \
    X(exists, qdi_read_exists)                                                                     \
    X(prefix, qdi_read_prefix)                                                                     \
    X(wildcard, qdi_read_wildcard)                                                                 \
    X(regexp, qdi_read_regexp)                                                                     \
    X(fuzzy, qdi_read_fuzzy)                                                                       \
    X(ids, qdi_read_ids)

#define PARSE(name, fn)                                                                            \
    static int32_t parse_##name(const qd_query_ctx *ctx, qd_json_in *in, const void **out,         \
                                qd_err *err)                                                       \
    {                                                                                              \
        return parse(ctx, in, fn, #name, out, err);                                                \
    }
OPERATORS(PARSE)

typedef struct operator_row {
    const char *name;
    qd_operator_vtable vt;
} operator_row;

#define ROW(label, fn)                                                                             \
    {#label,                                                                                       \
     {.head = QD_VTABLE(qd_operator_vtable, OPERATOR,                                              \
                        QD_OPERATOR_REWRITES | QD_OPERATOR_SCORES | QD_OPERATOR_CACHEABLE),        \
      .parse = parse_##label,                                                                      \
      .rewrite = rewrite}},
static const operator_row operators[] = {OPERATORS(ROW)};

bool qdi_operator_is_builtin(const qd_operator_vtable *vt)
{
    return vt->rewrite == rewrite;
}

const qd_operator_vtable *qdi_operator_find(const qd_plugin_host *host, qd_str name, qd_self **self)
{
    *self = NULL;
    if (host) {
        const qd_operator_vtable *vt = qd_plugin_find(host, QD_KIND_OPERATOR, name, self);
        if (vt) return vt;
    }
    for (size_t i = 0; i < QD_COUNT_OF(operators); i++)
        if (qd_str_is(name, operators[i].name)) return &operators[i].vt;
    return NULL;
}

size_t qdi_operator_names(const qd_plugin_host *host, qd_str *out, size_t max)
{
    size_t n = 0, pos = 0;
    qd_str name;
    qd_self *self;
    for (; n < QD_COUNT_OF(operators) && n < max; n++) out[n] = qd_str_c(operators[n].name);
    while (host && n < max && qd_plugin_next(host, QD_KIND_OPERATOR, &pos, &name, &self)) {
        size_t i = 0;
        while (i < n && !qd_str_eq(out[i], name)) i++;
        if (i == n) out[n++] = name;
    }
    return n;
}

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    for (size_t i = 0; i < QD_COUNT_OF(operators); i++) {
        int32_t rc =
            host->provide(self, QD_KIND_OPERATOR, operators[i].name, &operators[i].vt, err);
        if (rc) return rc;
    }
    return 0;
}

const qd_plugin *qd_query_plugin(void)
{
    static const qd_plugin plugin = {
        .magic = QD_PLUGIN_MAGIC,
        .abi_major = QD_ABI_MAJOR,
        .abi_minor = QD_ABI_MINOR,
        .struct_size = sizeof(qd_plugin),
        .conf_size = sizeof(qd_plugin_conf),
        .dep_size = sizeof(qd_plugin_dep),
        .name = "query",
        .version = QD_VERSION,
        .license = "Apache-2.0",
        .build_id = "",
        .init = init,
    };
    return &plugin;
}

/* --- reading --------------------------------------------------------------------------------- */

int qd_query_read(const qd_query_reading *how, qd_json_reader *r, const qd_query **out, qd_err *err)
{
    qdi_reading rd = {.how = how,
                      .arena = how->arena,
                      .limits = how->limits ? *how->limits : QD_QUERY_LIMITS_DEFAULT};
    rd.sdk =
        (qd_query_ctx){.struct_size = sizeof rd.sdk, .arena = how->arena, .field_type = no_mapping};
    const char *begin = r->begin;
    if (how->origin) r->begin = how->origin;
    int rc = qdi_read_inner(&rd, r, out, err);
    r->begin = begin;
    return rc;
}

int qd_query_read_text(const qd_query_reading *how, qd_str json, const qd_query **out, qd_err *err)
{
    qd_json_reader r = QD_JSON_READER(how->arena->account);
    qd_json_reader_init(&r, json, QD_JSON_REQUEST, 0);
    int rc = qd_query_read(how, &r, out, err);
    if (rc == 0 && qd_json_next(&r) != QD_JSON_EOF) rc = qd_json_fail(&r, err);
    qd_json_reader_fini(&r);
    return rc;
}

qd_str qd_query_name(const qd_query *q)
{
    return q->kind == QDI_Q_PLUGIN ? q->u.plugin.name : qd_str_c(q->label);
}

const qd_query *qd_query_match_all(void)
{
    static const qd_query all = {.kind = QDI_Q_MATCH_ALL, .label = "match_all", .boost = 1};
    return &all;
}

/* Does any query of the tree fulfil the test? */
static bool any(const qd_query *q, bool (*test)(const qd_query *q))
{
    if (test(q)) return true;
    const qdi_bool *b = &q->u.boolean;
    bool yes = false;
    switch (q->kind) {
    case QDI_Q_BOOL:
        for (uint32_t i = 0; i < b->nmust && !yes; i++) yes = any(b->must[i], test);
        for (uint32_t i = 0; i < b->nshould && !yes; i++) yes = any(b->should[i], test);
        for (uint32_t i = 0; i < b->nfilter && !yes; i++) yes = any(b->filter[i], test);
        for (uint32_t i = 0; i < b->nmust_not && !yes; i++) yes = any(b->must_not[i], test);
        return yes;
    case QDI_Q_DIS_MAX:
        for (uint32_t i = 0; i < q->u.dis_max.n && !yes; i++)
            yes = any(q->u.dis_max.queries[i], test);
        return yes;
    case QDI_Q_CONSTANT_SCORE:
        return any(q->u.child, test);
    default:
        return false;
    }
}

static bool names_now(const qd_query *q)
{
    if (q->kind == QDI_Q_RANGE)
        return (q->u.range.has_from && qd_date_math_uses_now(q->u.range.from.text)) ||
               (q->u.range.has_to && qd_date_math_uses_now(q->u.range.to.text));
    if (q->kind == QDI_Q_TERMS) {
        for (uint32_t i = 0; i < q->u.terms.n; i++)
            if (qd_date_math_uses_now(q->u.terms.values[i].text)) return true;
        return false;
    }
    if (q->kind == QDI_Q_PLUGIN) return !(q->u.plugin.vt->head.flags & QD_OPERATOR_CACHEABLE);
    return q->has_value && q->kind != QDI_Q_IDS &&
           qd_str_find_str(q->value.text, QD_STR("now")) >= 0;
}

static bool cannot_cache(const qd_query *q)
{
    return q->kind == QDI_Q_PLUGIN && !(q->u.plugin.vt->head.flags & QD_OPERATOR_CACHEABLE);
}

bool qd_query_uses_now(const qd_query *q)
{
    return any(q, names_now);
}

bool qd_query_cacheable(const qd_query *q)
{
    return !any(q, cannot_cache) && !any(q, names_now);
}
