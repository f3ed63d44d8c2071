/*
 * toy_aggregation.c: an aggregation, toy_agg: the sum of a field, which does what its "mode" says:
 *   sum      only that
 *   hang     collect does not return for ten minutes
 *   late     reduce does not
 *   code     collect fails with the code 77
 *   long     a result says that it is longer than its room
 *   damaged  results that reduce refuses
 *   text     leaves an object open that it writes
 * and buckets, toy_keys and toy_kept (the latter may be kept by caches), of the mode
 *   sum      whose keys are the values
 *   hang     keys does not return
 *   beyond   keys gives keys of a value that is not there
 *   count    all values have one key, which counts calls
 * and toy_members, the same with a member "half", half of the key, of the mode
 *   hostile  write_bucket writes a member "doc_count"
 *   late     write_bucket does not return
 *   large    write_bucket writes without an end
 * TOY_VERSION is the version of results.
 */
#include <quidditch/aggregation.h>
#include <quidditch/plugin.h>
#include <stdatomic.h>
#include <time.h>

#ifndef TOY_VERSION
#define TOY_VERSION 1
#endif

static const qd_svc_mem *mem;
static const qd_svc_json *json;

typedef struct request {
    char mode[16];
} request;

struct qd_aggregation_collector {
    qd_self *self;
    const request *r;
    double *sums;
    uint32_t n;
};

static int is(const void *params, const char *mode)
{
    return strcmp(((const request *)params)->mode, mode) == 0;
}

static void nap(void)
{
    struct timespec t = {600, 0};
    while (nanosleep(&t, &t)) continue;
}

static int32_t parse(const qd_aggregation_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_jev ev;
    request *r = (request *)mem->arena(ctx->arena, sizeof *r);
    if (!r) return QD_E_NOMEM;
    memset(r, 0, sizeof *r);
    int32_t rc = json->next(in, &ev, err);
    while (!rc && (rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_KEY) {
        if (qd_aggregation_bucket_member(ev.text)) {
            rc = json->skip(in, err);
            continue;
        }
        if (!qd_plug_is(ev.text, "mode"))
            return json->fail(in, err, QD_E_PARSE, QD_STR("[toy_agg] knows no such parameter"));
        rc = json->next(in, &ev, err);
        if (!rc && ev.text.n < sizeof r->mode) memcpy(r->mode, ev.text.p, ev.text.n);
    }
    *out = r;
    return rc;
}

static int32_t open(const qd_aggregation_ctx *ctx, const void *params,
                    qd_aggregation_collector **out, qd_err *err)
{
    (void)err;
    qd_aggregation_collector *c = (qd_aggregation_collector *)mem->calloc(ctx->self, sizeof *c);
    if (!c) return QD_E_NOMEM;
    c->self = ctx->self;
    c->r = (const request *)params;
    *out = c;
    return 0;
}

static int32_t collect(qd_aggregation_collector *c, const qd_aggregation_block *b, qd_err *err)
{
    (void)err;
    if (is(c->r, "hang")) nap();
    if (is(c->r, "code")) return 77;
    if (b->owners > c->n) {
        double *p = (double *)mem->realloc(c->self, c->sums, b->owners * sizeof *p);
        if (!p) return QD_E_NOMEM;
        memset(p + c->n, 0, (b->owners - c->n) * sizeof *p);
        c->sums = p;
        c->n = b->owners;
    }
    for (uint32_t i = 0; i < b->n; i++) c->sums[b->owner ? b->owner[i] : 0] += b->value[i];
    return 0;
}

static int32_t result(qd_aggregation_collector *c, uint32_t owner, qd_aggregation_bytes *out,
                      qd_err *err)
{
    (void)err;
    if (owner >= c->n) return 0;
    memcpy(out->p, &c->sums[owner], 8);
    out->n = is(c->r, "long") ? out->room + 1 : is(c->r, "damaged") ? 7 : 8;
    return 0;
}

static void close(qd_aggregation_collector *c)
{
    mem->free(c->sums);
    mem->free(c);
}

static int32_t reduce(const qd_aggregation_ctx *ctx, const void *params, const qd_str *results,
                      uint32_t n, qd_aggregation_bytes *out, qd_err *err)
{
    double sum = 0, one;
    (void)ctx;
    (void)err;
    if (is(params, "late")) nap();
    for (uint32_t i = 0; i < n; i++) {
        if (results[i].n != 8) return QD_E_CORRUPT;
        memcpy(&one, results[i].p, 8);
        sum += one;
    }
    memcpy(out->p, &sum, 8);
    out->n = 8;
    return 0;
}

static int32_t value(const qd_aggregation_ctx *ctx, const void *params, qd_str result,
                     uint32_t member, double *out, qd_err *err)
{
    (void)ctx;
    (void)params;
    (void)member;
    (void)err;
    memcpy(out, result.p, result.n < 8 ? result.n : 8);
    return 0;
}

static int32_t write(const qd_aggregation_ctx *ctx, const void *params, qd_str result,
                     qd_json_out *out, qd_err *err)
{
    qd_jev key = {QD_JEV_KEY, 0, QD_STR("sum"), 0, 0}, v = {QD_JEV_FLOAT, 0, {NULL, 0}, 0, 0};
    (void)ctx;
    (void)err;
    if (is(params, "text")) v.type = QD_JEV_OBJECT;
    if (result.n == 8) memcpy(&v.number, result.p, 8);
    json->put(out, &key);
    json->put(out, &v);
    return 0;
}

static const qd_aggregation_vtable vtable = {
    QD_VTABLE(qd_aggregation_vtable, AGGREGATION, QD_AGGREGATION_WRITES),
    8,
    TOY_VERSION,
    NULL,
    parse,
    open,
    collect,
    result,
    close,
    reduce,
    value,
    write,
    0,
    0,
    NULL,
    NULL};

static int32_t keys(qd_aggregation_collector *c, const qd_aggregation_values *v,
                    qd_aggregation_keys *out, qd_err *err)
{
    static _Atomic int64_t calls;
    uint32_t n = v->n < out->room ? v->n : out->room;
    int64_t call = calls++;
    (void)err;
    if (is(c->r, "hang")) nap();
    for (uint32_t i = 0; i < n; i++) {
        out->of[i] = i;
        out->i64[i] = is(c->r, "count") ? call : v->i64[i];
    }
    if (is(c->r, "beyond")) out->of[n - 1] = n + 7;
    out->n = out->done = n;
    return 0;
}

#define KEYS_TABLE(flags)                                                                          \
    {                                                                                              \
        .head = QD_VTABLE(qd_aggregation_vtable, AGGREGATION, QD_AGGREGATION_BUCKETS | (flags)),   \
        .result_version = TOY_VERSION, .parse = parse, .open = open, .close = close, .keys = keys  \
    }
static int32_t write_bucket(const qd_aggregation_ctx *ctx, const void *params,
                            const qd_aggregation_bucket *b, qd_json_out *out, qd_err *err)
{
    qd_jev key = {QD_JEV_KEY, 0, QD_STR("half"), 0, 0}, v = {QD_JEV_FLOAT, 0, {NULL, 0}, 0, 0};
    (void)ctx;
    (void)err;
    if (is(params, "late")) nap();
    if (is(params, "hostile")) key.text = QD_STR("doc_count");
    v.number = b->type == QD_AGGREGATION_F64 ? b->f64 / 2 : (double)b->i64 / 2;
    do {
        json->put(out, &key);
        json->put(out, &v);
    } while (is(params, "large") && ++v.number < 1e6);
    return 0;
}

static const qd_aggregation_vtable members_table = {
    .head = QD_VTABLE(qd_aggregation_vtable, AGGREGATION,
                      QD_AGGREGATION_BUCKETS | QD_AGGREGATION_BUCKET_MEMBERS),
    .result_version = 1,
    .members = "half",
    .parse = parse,
    .open = open,
    .close = close,
    .keys = keys,
    .write_bucket = write_bucket};
static const qd_aggregation_vtable keys_table = KEYS_TABLE(0);
static const qd_aggregation_vtable kept_table = KEYS_TABLE(QD_AGGREGATION_CACHEABLE);

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    if (!mem || !json) return qd_plug_no_service(host, self, err);
    int32_t rc = host->provide(self, QD_KIND_AGGREGATION, "toy_keys", &keys_table, err);
    if (!rc) rc = host->provide(self, QD_KIND_AGGREGATION, "toy_kept", &kept_table, err);
    if (!rc) rc = host->provide(self, QD_KIND_AGGREGATION, "toy_members", &members_table, err);
    return rc ? rc : host->provide(self, QD_KIND_AGGREGATION, TOY_AGG, &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), TOY_NAME, "1.0.0", "",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE(TOY_NAME, "1.0.0", 0, 1, QD_NOTE_FOR(AGGREGATION))
