/* @NAME@: an aggregation with buckets, {"@SYMBOL@": {"field": "...", "width": 10}}: intervals of
 * numbers, each named by where it begins, with a member that says where it ends. Put your own keys
 * into keys, your own members into write_bucket. */
#include <math.h>
#include <quidditch/aggregation.h>
#include <quidditch/plugin.h>

static const qd_svc_mem *mem;
static const qd_svc_json *json;
static const qd_svc_err *errors;

typedef struct request {
    double width;
} request;

struct qd_aggregation_collector {
    const request *r;
};

static int32_t parse(const qd_aggregation_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_jev ev;
    request *r = (request *)mem->arena(ctx->arena, sizeof *r);
    if (!r) return QD_E_NOMEM;
    r->width = 1;
    int32_t rc = json->next(in, &ev, err);
    if (rc) return rc;
    if (ev.type != QD_JEV_OBJECT)
        return json->fail(in, err, QD_E_PARSE, QD_STR("[@SYMBOL@] wants an object"));
    while ((rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_KEY) {
        if (qd_aggregation_bucket_member(ev.text)) {
            if ((rc = json->skip(in, err))) return rc;
            continue;
        }
        if (!qd_plug_is(ev.text, "width")) /* your own parameters are read here */
            return json->fail(in, err, QD_E_PARSE,
                              QD_STR("[@SYMBOL@] does not support this parameter"));
        if ((rc = json->next(in, &ev, err))) return rc;
        if ((ev.type != QD_JEV_INT && ev.type != QD_JEV_FLOAT) || !(ev.number > 0))
            return json->fail(in, err, QD_E_PARSE,
                              QD_STR("[@SYMBOL@] width wants a number above 0"));
        r->width = ev.number;
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
    c->r = (const request *)params;
    *out = c;
    return 0;
}

/* A value's key depends on the value and the request alone: the host remembers it. Here each value
 * has one key, unless it is infinite; it may have several. */
static int32_t keys(qd_aggregation_collector *c, const qd_aggregation_values *v,
                    qd_aggregation_keys *out, qd_err *err)
{
    uint32_t i, n = v->n < out->room ? v->n : out->room;
    if (v->type == QD_AGGREGATION_TEXT)
        return qd_plug_fail(errors, err, QD_E_ARG, "[@SYMBOL@] is for numbers");
    for (i = 0; i < n; i++) {
        double x = v->type == QD_AGGREGATION_I64 ? (double)v->i64[i] : v->f64[i];
        double key = floor(x / c->r->width) * c->r->width;
        if (!isfinite(key)) continue;
        out->of[out->n] = i;
        out->f64[out->n++] = key;
    }
    out->done = n;
    return 0;
}

/* Members of the bucket in the answer, behind its key. */
static int32_t write_bucket(const qd_aggregation_ctx *ctx, const void *params,
                            const qd_aggregation_bucket *bucket, qd_json_out *out, qd_err *err)
{
    qd_jev name = {QD_JEV_KEY, 0, QD_STR("to"), 0, 0};
    qd_jev to = {QD_JEV_FLOAT, 0, {NULL, 0}, 0, 0};
    (void)ctx;
    (void)err;
    to.number = bucket->f64 + ((const request *)params)->width;
    json->put(out, &name);
    json->put(out, &to);
    return 0;
}

static void close(qd_aggregation_collector *c)
{
    mem->free(c);
}

/* Flag TEXTS: fields of strings, too. CACHEABLE: the same values give the same keys, so the host
 * may keep an answer. BUCKET_MEMBERS: there is write_bucket, and the names of what it writes stand
 * here. Buckets have none of a metric's functions. */
static const qd_aggregation_vtable vtable = {
    QD_VTABLE(qd_aggregation_vtable, AGGREGATION,
              QD_AGGREGATION_BUCKETS | QD_AGGREGATION_CACHEABLE | QD_AGGREGATION_BUCKET_MEMBERS),
    0,
    1,
    "to",
    parse,
    open,
    NULL,
    NULL,
    close,
    NULL,
    NULL,
    NULL,
    QD_AGGREGATION_F64,
    0,
    keys,
    write_bucket};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    errors = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!mem || !json || !errors) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_AGGREGATION, "@SYMBOL@", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "@NAME@", "0.1.0", "",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", 0, 1, QD_NOTE_FOR(AGGREGATION))
