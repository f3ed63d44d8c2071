/* @NAME@: an aggregation, {"@SYMBOL@": {"field": "..."}}: the range of a field's values, greatest
 * less least. Put your own numbers into row. */
#include <quidditch/aggregation.h>
#include <quidditch/plugin.h>

static const qd_svc_mem *mem;
static const qd_svc_json *json;
static const qd_svc_err *errors;

/* What is known of an owner; its bytes are the partial result. */
typedef struct row {
    double least, greatest;
    uint64_t n;
} row;

struct qd_aggregation_collector {
    qd_self *self;
    row *rows; /* by owner */
    uint32_t n;
};

static int32_t parse(const qd_aggregation_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_jev ev;
    (void)ctx;
    int32_t rc = json->next(in, &ev, err);
    if (rc) return rc;
    if (ev.type != QD_JEV_OBJECT)
        return json->fail(in, err, QD_E_PARSE, QD_STR("[@SYMBOL@] wants an object"));
    while ((rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_KEY) {
        if (!qd_aggregation_host_member(ev.text)) /* your own parameters are read here */
            return json->fail(in, err, QD_E_PARSE,
                              QD_STR("[@SYMBOL@] does not support this parameter"));
        if ((rc = json->skip(in, err))) return rc;
    }
    *out = NULL;
    return rc;
}

static int32_t open(const qd_aggregation_ctx *ctx, const void *params,
                    qd_aggregation_collector **out, qd_err *err)
{
    qd_aggregation_collector *c = (qd_aggregation_collector *)mem->calloc(ctx->self, sizeof *c);
    (void)params;
    (void)err;
    if (!c) return QD_E_NOMEM;
    c->self = ctx->self;
    *out = c;
    return 0;
}

static void merge(row *to, double least, double greatest, uint64_t n)
{
    if (!to->n || least < to->least) to->least = least;
    if (!to->n || greatest > to->greatest) to->greatest = greatest;
    to->n += n;
}

static int32_t collect(qd_aggregation_collector *c, const qd_aggregation_block *b, qd_err *err)
{
    (void)err;
    if (b->owners > c->n) {
        uint32_t n = c->n + c->n / 2 > b->owners ? c->n + c->n / 2 : b->owners;
        row *rows = (row *)mem->realloc(c->self, c->rows, n * sizeof *rows);
        if (!rows) return QD_E_NOMEM;
        memset(rows + c->n, 0, (n - c->n) * sizeof *rows);
        c->rows = rows;
        c->n = n;
    }
    for (uint32_t i = 0; i < b->n; i++)
        merge(&c->rows[b->owner ? b->owner[i] : 0], b->value[i], b->value[i], 1);
    return 0;
}

static void write_row(const row *r, qd_aggregation_bytes *out)
{
    memcpy(out->p, r, sizeof *r);
    out->n = sizeof *r;
}

/* What another node sent is not trusted. */
static int32_t read_row(qd_str s, row *out, qd_err *err)
{
    if (s.n == sizeof *out) memcpy(out, s.p, sizeof *out);
    if (s.n != sizeof *out || !out->n || !(out->least <= out->greatest))
        return qd_plug_fail(errors, err, QD_E_CORRUPT, "[@SYMBOL@] a partial result is damaged");
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
    row all, one;
    (void)ctx;
    (void)params;
    memset(&all, 0, sizeof all);
    for (uint32_t i = 0; i < n; i++) {
        int32_t rc = read_row(results[i], &one, err);
        if (rc) return rc;
        merge(&all, one.least, one.greatest, one.n);
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
    (void)member;
    int32_t rc = read_row(result, &r, err);
    if (!rc) *out = r.greatest - r.least;
    return rc;
}

/* CACHEABLE: the same values give the same results, so the host may keep an answer. */
static const qd_aggregation_vtable vtable = {
    QD_VTABLE(qd_aggregation_vtable, AGGREGATION, QD_AGGREGATION_CACHEABLE),
    sizeof(row),
    1,
    NULL,
    parse,
    open,
    collect,
    result,
    close,
    reduce,
    value,
    NULL,
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
    return host->provide(self, QD_KIND_AGGREGATION, "@SYMBOL@", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "@NAME@", "0.1.0", "",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", 0, 1, QD_NOTE_FOR(AGGREGATION))
