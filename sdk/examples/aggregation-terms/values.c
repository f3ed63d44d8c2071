/* values.c: {"values": {"field": "tag", "fold": true}}: a bucket for each value of a field. The
 * host asks for the keys of values, and counts, orders, cuts and merges the buckets itself. */
#include <quidditch/aggregation.h>
#include <quidditch/plugin.h>

static const qd_svc_mem *mem;
static const qd_svc_json *json;

typedef struct request {
    int32_t fold;
} request;

struct qd_aggregation_collector {
    const request *r;
    char *folded; /* texts of the keys of the last call */
    size_t room;
    qd_self *self;
};

static int32_t parse(const qd_aggregation_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_jev ev;
    request *r = (request *)mem->arena(ctx->arena, sizeof *r);
    if (!r) return QD_E_NOMEM;
    r->fold = 0;
    int32_t rc = json->next(in, &ev, err);
    if (rc) return rc;
    if (ev.type != QD_JEV_OBJECT)
        return json->fail(in, err, QD_E_PARSE, QD_STR("[values] wants an object"));
    while ((rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_KEY) {
        if (qd_aggregation_bucket_member(ev.text)) {
            if ((rc = json->skip(in, err))) return rc;
            continue;
        }
        if (!qd_plug_is(ev.text, "fold"))
            return json->fail(in, err, QD_E_PARSE,
                              QD_STR("[values] does not support this parameter"));
        if ((rc = json->next(in, &ev, err))) return rc;
        if (ev.type != QD_JEV_TRUE && ev.type != QD_JEV_FALSE)
            return json->fail(in, err, QD_E_PARSE, QD_STR("[values] fold wants [true] or [false]"));
        r->fold = ev.type == QD_JEV_TRUE;
    }
    *out = r;
    return rc;
}

static int32_t open(const qd_aggregation_ctx *ctx, const void *params,
                    qd_aggregation_collector **out, qd_err *err)
{
    qd_aggregation_collector *c = (qd_aggregation_collector *)mem->calloc(ctx->self, sizeof *c);
    (void)err;
    if (!c) return QD_E_NOMEM;
    c->self = ctx->self;
    c->r = (const request *)params;
    *out = c;
    return 0;
}

/* The texts in small letters; they live until the next call. */
static int32_t fold(qd_aggregation_collector *c, const qd_str *from, uint32_t n, qd_str *to)
{
    size_t bytes = 1, k;
    uint32_t i;
    char *p;
    for (i = 0; i < n; i++) bytes += from[i].n;
    if (bytes > c->room) {
        p = (char *)mem->realloc(c->self, c->folded, bytes);
        if (!p) return QD_E_NOMEM;
        c->folded = p;
        c->room = bytes;
    }
    for (i = 0, p = c->folded; i < n; i++) {
        to[i].p = p;
        to[i].n = from[i].n;
        for (k = 0; k < from[i].n; k++, p++)
            *p = from[i].p[k] >= 'A' && from[i].p[k] <= 'Z' ? (char)(from[i].p[k] + 32)
                                                            : from[i].p[k];
    }
    return 0;
}

/* Each value is its own key: there is room for all of them as long as there are fewer than room. */
static int32_t keys(qd_aggregation_collector *c, const qd_aggregation_values *v,
                    qd_aggregation_keys *out, qd_err *err)
{
    uint32_t i, n = v->n < out->room ? v->n : out->room;
    (void)err;
    for (i = 0; i < n; i++) out->of[i] = i;
    if (v->type == QD_AGGREGATION_I64)
        memcpy(out->i64, v->i64, n * sizeof *v->i64);
    else if (v->type == QD_AGGREGATION_F64)
        memcpy(out->f64, v->f64, n * sizeof *v->f64);
    else if (!c->r->fold)
        memcpy(out->text, v->text, n * sizeof *v->text);
    else if (fold(c, v->text, n, out->text))
        return QD_E_NOMEM;
    out->n = out->done = n;
    return 0;
}

static void close(qd_aggregation_collector *c)
{
    mem->free(c->folded);
    mem->free(c);
}

static const qd_aggregation_vtable vtable = {
    QD_VTABLE(qd_aggregation_vtable, AGGREGATION,
              QD_AGGREGATION_BUCKETS | QD_AGGREGATION_TEXTS | QD_AGGREGATION_CACHEABLE),
    0,
    1,
    NULL,
    parse,
    open,
    NULL,
    NULL,
    close,
    NULL,
    NULL,
    NULL,
    QD_AGGREGATION_LIKE_VALUES,
    0,
    keys,
    NULL};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    if (!mem || !json) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_AGGREGATION, "values", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "example-values", "1.0.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("example-values", "1.0.0", 0, 1, QD_NOTE_FOR(AGGREGATION))
