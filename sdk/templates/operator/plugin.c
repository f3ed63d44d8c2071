/* @NAME@: a query operator, {"@SYMBOL@": {"field": "...", "query": "..."}}. It becomes a match on
 * that field; the host reads "boost" and "_name". Put your own tree of native nodes into rewrite.
 */
#include <quidditch/operator.h>
#include <quidditch/plugin.h>

static const qd_svc_mem *mem;
static const qd_svc_json *json;

typedef struct request {
    qd_str field, text;
} request;

/* The next value as a string, copied: a reader's text lives until the next event. */
static int32_t take_string(const qd_query_ctx *ctx, qd_json_in *in, qd_str *out, qd_err *err)
{
    qd_jev v;
    int32_t rc = json->next(in, &v, err);
    if (rc) return rc;
    if (v.type != QD_JEV_STRING)
        return json->fail(in, err, QD_E_PARSE, QD_STR("[@SYMBOL@] wants a string"));
    char *p = (char *)mem->arena(ctx->arena, v.text.n + 1);
    if (!p) return QD_E_NOMEM;
    memcpy(p, v.text.p, v.text.n);
    p[v.text.n] = 0;
    out->p = p;
    out->n = v.text.n;
    return 0;
}

static int32_t parse(const qd_query_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_jev ev;
    request *r = (request *)mem->arena(ctx->arena, sizeof *r);
    if (!r) return QD_E_NOMEM;
    memset(r, 0, sizeof *r);
    int32_t rc = json->next(in, &ev, err);
    if (rc) return rc;
    if (ev.type != QD_JEV_OBJECT)
        return json->fail(in, err, QD_E_PARSE, QD_STR("[@SYMBOL@] wants an object"));
    while ((rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_KEY) {
        if (qd_plug_is(ev.text, "field"))
            rc = take_string(ctx, in, &r->field, err);
        else if (qd_plug_is(ev.text, "query"))
            rc = take_string(ctx, in, &r->text, err);
        else
            return json->fail(in, err, QD_E_PARSE,
                              QD_STR("[@SYMBOL@] query does not support this parameter"));
        if (rc) return rc;
    }
    if (rc) return rc;
    if (!r->field.p || !r->text.p)
        return json->fail(in, err, QD_E_PARSE, QD_STR("[@SYMBOL@] requires field and query"));
    *out = r;
    return 0;
}

static int32_t rewrite(const qd_query_ctx *ctx, const void *query, qd_query_node **out, qd_err *err)
{
    const request *r = (const request *)query;
    qd_query_node *n = (qd_query_node *)mem->arena(ctx->arena, sizeof *n);
    (void)err;
    if (!n) return QD_E_NOMEM;
    memset(n, 0, sizeof *n);
    n->struct_size = sizeof *n;
    n->type = QD_NODE_MATCH;
    n->boost = 1;
    n->field = r->field;
    n->text = r->text;
    *out = n;
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
    return host->provide(self, QD_KIND_OPERATOR, "@SYMBOL@", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "@NAME@", "0.1.0", "",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", 0, 1, QD_NOTE_FOR(OPERATOR))
