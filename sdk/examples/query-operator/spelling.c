/*
 * spelling.c: the query operator `spelling`: parse reads its JSON object, rewrite says what it
 * means in native nodes. The host reads boost and _name. All memory comes from the request's arena:
 * nothing is freed here.
 */
#include <quidditch/operator.h>
#include <quidditch/plugin.h>

static const qd_svc_mem *mem;
static const qd_svc_json *json;

typedef struct spelling {
    qd_str field, text;
    uint32_t prefix;
} spelling;

static int32_t fail(qd_json_in *in, qd_err *err, const char *reason)
{
    return json->fail(in, err, QD_E_PARSE, qd_plug_str(reason));
}

/* A reader's text lives until the next event: it is copied. */
static int32_t keep(const qd_query_ctx *ctx, qd_str s, qd_str *out)
{
    char *p = (char *)mem->arena(ctx->arena, s.n + 1);
    if (!p) return QD_E_NOMEM;
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    out->p = p;
    out->n = s.n;
    return 0;
}

/* The value of one key. */
static int32_t parse_value(const qd_query_ctx *ctx, qd_json_in *in, qd_str key, spelling *s,
                           qd_err *err)
{
    qd_jev v;
    int is_field = qd_plug_is(key, "field"), is_text = qd_plug_is(key, "query");
    int is_prefix = qd_plug_is(key, "prefix");
    int32_t rc = json->next(in, &v, err);
    if (rc) return rc;
    if (is_field || is_text) {
        if (v.type != QD_JEV_STRING)
            return fail(in, err, "[spelling] field and query want a string");
        return keep(ctx, v.text, is_field ? &s->field : &s->text);
    }
    if (is_prefix) {
        if (v.type != QD_JEV_TRUE && v.type != QD_JEV_FALSE)
            return fail(in, err, "[spelling] prefix wants true or false");
        s->prefix = v.type == QD_JEV_TRUE;
        return 0;
    }
    return fail(in, err, "[spelling] query does not support this parameter");
}

static int32_t parse(const qd_query_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_jev ev;
    int32_t rc = json->next(in, &ev, err);
    if (rc) return rc;
    if (ev.type != QD_JEV_OBJECT) return fail(in, err, "[spelling] wants an object");
    spelling *s = (spelling *)mem->arena(ctx->arena, sizeof *s);
    if (!s) return QD_E_NOMEM;
    memset(s, 0, sizeof *s);
    for (;;) {
        qd_str key;
        rc = json->next(in, &ev, err);
        if (rc) return rc;
        if (ev.type == QD_JEV_OBJECT_END) break;
        rc = keep(ctx, ev.text, &key);
        if (rc == 0) rc = parse_value(ctx, in, key, s, err);
        if (rc) return rc;
    }
    if (!s->field.p || !s->text.p) return fail(in, err, "[spelling] requires field and query");
    *out = s;
    return 0;
}

static qd_query_node *node(const qd_query_ctx *ctx, const spelling *s, uint32_t type, float boost)
{
    qd_query_node *n = (qd_query_node *)mem->arena(ctx->arena, sizeof *n);
    if (!n) return NULL;
    memset(n, 0, sizeof *n);
    n->struct_size = sizeof *n;
    n->type = type;
    n->boost = boost;
    n->field = s->field;
    n->text = s->text;
    n->edits = -1; /* AUTO */
    return n;
}

static int32_t rewrite(const qd_query_ctx *ctx, const void *query, qd_query_node **out, qd_err *err)
{
    const spelling *s = (const spelling *)query;
    (void)err;
    qd_query_node *best = node(ctx, s, QD_NODE_DIS_MAX, 1);
    qd_query_node **children = (qd_query_node **)mem->arena(ctx->arena, 3 * sizeof *children);
    if (!best || !children) return QD_E_NOMEM;
    children[0] = node(ctx, s, QD_NODE_MATCH, 2);
    children[1] = node(ctx, s, QD_NODE_FUZZY, 1);
    children[2] = s->prefix ? node(ctx, s, QD_NODE_PREFIX, 0.5f) : NULL;
    if (!children[0] || !children[1] || (s->prefix && !children[2])) return QD_E_NOMEM;
    best->children = children;
    best->nchildren = s->prefix ? 3 : 2;
    *out = best;
    return 0;
}

static const qd_operator_vtable vtable = {
    QD_VTABLE(qd_operator_vtable, OPERATOR,
              QD_OPERATOR_REWRITES | QD_OPERATOR_SCORES | QD_OPERATOR_CACHEABLE),
    parse,
    rewrite,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    if (!mem || !json) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_OPERATOR, "spelling", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "example-spelling", "1.0.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("example-spelling", "1.0.0", 0, 1, QD_NOTE_FOR(OPERATOR))
