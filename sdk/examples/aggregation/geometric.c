/* geometric.c: {"geometric_mean": {"field": "rate", "zeros": "skip"}}: the geometric mean of the
 * positive values of a field, and their number. */
#include <math.h>
#include <quidditch/aggregation.h>
#include <quidditch/plugin.h>

static const qd_svc_mem *mem;
static const qd_svc_json *json;
static const qd_svc_err *errors;

typedef struct request {
    int32_t zeros_are_errors;
} request;

/* A partial result: the sum of logarithms, with what rounding lost, and how many there are. Nodes
 * of one cluster may differ in the order of bytes: they are written one by one. */
typedef struct row {
    double sum, low;
    uint64_t n;
} row;
#define ROW_BYTES 24u

struct qd_aggregation_collector {
    qd_self *self;
    const request *r;
    row *rows; /* by owner */
    uint32_t n;
};

static int32_t parse(const qd_aggregation_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_jev ev;
    request *r = (request *)mem->arena(ctx->arena, sizeof *r);
    if (!r) return QD_E_NOMEM;
    r->zeros_are_errors = 0;
    int32_t rc = json->next(in, &ev, err);
    if (rc) return rc;
    if (ev.type != QD_JEV_OBJECT)
        return json->fail(in, err, QD_E_PARSE, QD_STR("[geometric_mean] wants an object"));
    while ((rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_KEY) {
        if (qd_aggregation_host_member(ev.text)) {
            if ((rc = json->skip(in, err))) return rc;
            continue;
        }
        if (!qd_plug_is(ev.text, "zeros"))
            return json->fail(in, err, QD_E_PARSE,
                              QD_STR("[geometric_mean] does not support this parameter"));
        if ((rc = json->next(in, &ev, err))) return rc;
        r->zeros_are_errors = qd_plug_is(ev.text, "error");
        if (ev.type != QD_JEV_STRING || (!r->zeros_are_errors && !qd_plug_is(ev.text, "skip")))
            return json->fail(in, err, QD_E_PARSE,
                              QD_STR("[geometric_mean] zeros wants [skip] or [error]"));
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

/* Neumaier's sum: the order of values hardly matters. */
static void add(row *r, double v)
{
    double sum = r->sum + v;
    r->low += fabs(r->sum) >= fabs(v) ? r->sum - sum + v : v - sum + r->sum;
    r->sum = sum;
}

static int32_t collect(qd_aggregation_collector *c, const qd_aggregation_block *b, qd_err *err)
{
    if (b->owners > c->n) {
        uint32_t n = c->n + c->n / 2 > b->owners ? c->n + c->n / 2 : b->owners;
        row *rows = (row *)mem->realloc(c->self, c->rows, n * sizeof *rows);
        if (!rows) return QD_E_NOMEM;
        memset(rows + c->n, 0, (n - c->n) * sizeof *rows);
        c->rows = rows;
        c->n = n;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        row *r = &c->rows[b->owner ? b->owner[i] : 0];
        if (b->value[i] > 0) {
            add(r, log(b->value[i]));
            r->n++;
        } else if (c->r->zeros_are_errors) {
            return qd_plug_fail(errors, err, QD_E_ARG,
                                "[geometric_mean] found the value [%g], which is not positive",
                                b->value[i]);
        }
    }
    return 0;
}

static void put(uint8_t *p, uint64_t v)
{
    for (uint32_t i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}
static uint64_t get(const char *p)
{
    uint64_t v = 0;
    for (uint32_t i = 0; i < 8; i++) v |= (uint64_t)(uint8_t)p[i] << (8 * i);
    return v;
}
static uint64_t bits(double v)
{
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}
static double real(uint64_t u)
{
    double v;
    memcpy(&v, &u, sizeof v);
    return v;
}

static void write_row(const row *r, qd_aggregation_bytes *out)
{
    put(out->p, bits(r->sum));
    put(out->p + 8, bits(r->low));
    put(out->p + 16, r->n);
    out->n = ROW_BYTES;
}

static int32_t read_row(qd_str s, row *out, qd_err *err)
{
    if (s.n != ROW_BYTES)
        return qd_plug_fail(errors, err, QD_E_CORRUPT,
                            "[geometric_mean] a partial result has [%u] bytes, wanted [%u]",
                            (unsigned)s.n, ROW_BYTES);
    out->sum = real(get(s.p));
    out->low = real(get(s.p + 8));
    out->n = get(s.p + 16);
    if (out->n == 0 || isnan(out->sum) || isnan(out->low))
        return qd_plug_fail(errors, err, QD_E_CORRUPT,
                            "[geometric_mean] a partial result holds no numbers");
    return 0;
}

static int32_t result(qd_aggregation_collector *c, uint32_t owner, qd_aggregation_bytes *out,
                      qd_err *err)
{
    (void)err;
    if (owner < c->n && c->rows[owner].n) write_row(&c->rows[owner], out);
    return 0;
}

static void close(qd_aggregation_collector *c)
{
    mem->free(c->rows);
    mem->free(c);
}

static int32_t reduce(const qd_aggregation_ctx *ctx, const void *params, const qd_str *results,
                      uint32_t n, qd_aggregation_bytes *out, qd_err *err)
{
    row all = {0, 0, 0}, one;
    (void)ctx;
    (void)params;
    for (uint32_t i = 0; i < n; i++) {
        int32_t rc = read_row(results[i], &one, err);
        if (rc) return rc;
        add(&all, one.sum);
        all.low += one.low;
        all.n += one.n;
    }
    write_row(&all, out);
    return 0;
}

static int32_t value(const qd_aggregation_ctx *ctx, const void *params, qd_str result,
                     uint32_t member, double *out, qd_err *err)
{
    row r;
    (void)ctx;
    (void)params;
    int32_t rc = read_row(result, &r, err);
    if (rc) return rc;
    *out = member ? (double)r.n : exp((r.sum + r.low) / (double)r.n);
    return 0;
}

static int32_t write(const qd_aggregation_ctx *ctx, const void *params, qd_str result,
                     qd_json_out *out, qd_err *err)
{
    qd_jev key = {QD_JEV_KEY, 0, QD_STR("value"), 0, 0}, v = {QD_JEV_NULL, 0, {NULL, 0}, 0, 0};
    row r = {0, 0, 0};
    if (result.n) {
        int32_t rc = read_row(result, &r, err);
        if (!rc) rc = value(ctx, params, result, 0, &v.number, err);
        if (rc) return rc;
        v.type = QD_JEV_FLOAT;
    }
    json->put(out, &key);
    json->put(out, &v);
    key.text = QD_STR("count");
    v.type = QD_JEV_INT;
    v.integer = (int64_t)r.n;
    json->put(out, &key);
    json->put(out, &v);
    return 0;
}

static const qd_aggregation_vtable vtable = {
    QD_VTABLE(qd_aggregation_vtable, AGGREGATION, QD_AGGREGATION_WRITES | QD_AGGREGATION_CACHEABLE),
    ROW_BYTES,
    1,
    "value,count",
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

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    errors = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!mem || !json || !errors) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_AGGREGATION, "geometric_mean", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "example-geometric", "1.0.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("example-geometric", "1.0.0", 0, 1, QD_NOTE_FOR(AGGREGATION))
