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

static int32_t parse(const qd_query_ctx *ctx, qd_json_in *in, const qd_query_type *type,
                     const void **out, qd_err *err)
{
    qdi_reading *rd = qdi_reading_of(ctx);
    if (!rd) return qd_err_set(err, QD_E_UNSUPPORTED, "[%s] is read by the host only", type->name);
    qd_query *q = qdi_query_make(rd, type, err);
    if (!q) return QD_E_NOMEM;
    *out = q;
    return type->read(rd, (qd_json_reader *)(void *)in, q, err);
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

/* The SDK's parse is not told by which name it is called: one function a row. */
#define QDI_QUERY_TYPE(type)                                                                       \
    static int32_t parse_##type(const qd_query_ctx *ctx, qd_json_in *in, const void **out,         \
                                qd_err *err)                                                       \
    {                                                                                              \
        return parse(ctx, in, &qdi_query_##type, out, err);                                        \
    }
#include "query/types/types.def"
#undef QDI_QUERY_TYPE

typedef struct operator_row {
    const char *name;
    qd_operator_vtable vt;
} operator_row;

#define QDI_QUERY_TYPE(type)                                                                       \
    {#type,                                                                                        \
     {.head = QD_VTABLE(qd_operator_vtable, OPERATOR,                                              \
                        QD_OPERATOR_REWRITES | QD_OPERATOR_SCORES | QD_OPERATOR_CACHEABLE),        \
      .parse = parse_##type,                                                                       \
      .rewrite = rewrite}},
static const operator_row operators[] = {
#include "query/types/types.def"
};
#undef QDI_QUERY_TYPE

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
        QD_PLUGIN_HEAD(0),       .name = "query", .version = QD_VERSION,
        .license = "Apache-2.0", .build_id = "",  .init = init,
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

const qd_query *qd_query_match_all(void)
{
    static const qd_query all = {.type = &qdi_query_match_all, .boost = 1};
    return &all;
}
