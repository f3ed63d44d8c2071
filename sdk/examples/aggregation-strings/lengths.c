/* lengths.c: {"lengths": {"field": "tag"}}: numbers of strings and of the documents that have them,
 * lengths in characters, and how many different bytes they begin with. */
#include <quidditch/aggregation.h>
#include <quidditch/plugin.h>

static const qd_svc_mem *mem;
static const qd_svc_json *json;
static const qd_svc_err *errors;

/* The partial result of an owner. */
typedef struct row {
    uint64_t count, documents, sum;
    uint64_t initials[4]; /* a bit a byte */
    uint32_t shortest, longest;
} row;

typedef struct owner {
    row r;
    uint32_t last, reserved; /* document of the last pair */
} owner;

struct qd_aggregation_collector {
    qd_self *self;
    owner *owners;
    uint32_t n, room;
    uint32_t *length; /* by string of the block */
};

static int32_t parse(const qd_aggregation_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_jev ev;
    (void)ctx;
    int32_t rc = json->next(in, &ev, err);
    if (rc) return rc;
    if (ev.type != QD_JEV_OBJECT)
        return json->fail(in, err, QD_E_PARSE, QD_STR("[lengths] wants an object"));
    while ((rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_KEY) {
        if (!qd_aggregation_host_member(ev.text))
            return json->fail(in, err, QD_E_PARSE,
                              QD_STR("[lengths] does not support this parameter"));
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

static int32_t reserve(qd_aggregation_collector *c, uint32_t owners, uint32_t texts)
{
    if (owners > c->n) {
        uint32_t n = c->n + c->n / 2 > owners ? c->n + c->n / 2 : owners;
        owner *at = (owner *)mem->realloc(c->self, c->owners, n * sizeof *at);
        if (!at) return QD_E_NOMEM;
        memset(at + c->n, 0, (n - c->n) * sizeof *at);
        c->owners = at;
        c->n = n;
    }
    if (texts > c->room) {
        uint32_t *length = (uint32_t *)mem->realloc(c->self, c->length, texts * sizeof *length);
        if (!length) return QD_E_NOMEM;
        c->length = length;
        c->room = texts;
    }
    return 0;
}

/* Characters of a text in UTF-8. */
static uint32_t characters(qd_str s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
    return n;
}

static int32_t collect(qd_aggregation_collector *c, const qd_aggregation_block *b, qd_err *err)
{
    if (!b->text) return qd_plug_fail(errors, err, QD_E_ARG, "[lengths] wants a field of strings");
    int32_t rc = reserve(c, b->owners, b->ntexts);
    if (rc) return rc;
    for (uint32_t i = 0; i < b->ntexts; i++) c->length[i] = characters(b->text[i]);
    for (uint32_t i = 0; i < b->n; i++) {
        owner *o = &c->owners[b->owner ? b->owner[i] : 0];
        row *r = &o->r;
        qd_str s = b->text[b->text_of[i]];
        uint32_t length = c->length[b->text_of[i]];
        if (!r->count || length < r->shortest) r->shortest = length;
        if (length > r->longest) r->longest = length;
        if (!r->count || b->doc[i] != o->last) r->documents++;
        o->last = b->doc[i];
        r->count++;
        r->sum += length;
        if (s.n) r->initials[(uint8_t)s.p[0] / 64] |= (uint64_t)1 << (uint8_t)s.p[0] % 64;
    }
    return 0;
}

static int32_t result(qd_aggregation_collector *c, uint32_t number, qd_aggregation_bytes *out,
                      qd_err *err)
{
    (void)err;
    if (number >= c->n || !c->owners[number].r.count) return 0;
    memcpy(out->p, &c->owners[number].r, sizeof(row));
    out->n = sizeof(row);
    return 0;
}

static void close(qd_aggregation_collector *c)
{
    mem->free(c->owners);
    mem->free(c->length);
    mem->free(c);
}

/* What another node sent is not trusted. */
static int32_t read_row(qd_str s, row *out, qd_err *err)
{
    if (s.n == sizeof *out) memcpy(out, s.p, sizeof *out);
    if (s.n != sizeof *out || !out->documents || out->documents > out->count ||
        out->shortest > out->longest)
        return qd_plug_fail(errors, err, QD_E_CORRUPT, "[lengths] a partial result is damaged");
    return 0;
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
        if (!all.count || one.shortest < all.shortest) all.shortest = one.shortest;
        if (one.longest > all.longest) all.longest = one.longest;
        all.count += one.count;
        all.documents += one.documents;
        all.sum += one.sum;
        for (uint32_t k = 0; k < 4; k++) all.initials[k] |= one.initials[k];
    }
    memcpy(out->p, &all, sizeof all);
    out->n = sizeof all;
    return 0;
}

static const char *const names[] = {"count",   "documents", "shortest",
                                    "longest", "average",   "initials"};

static double member_of(const row *r, uint32_t member)
{
    uint32_t bits = 0;
    for (uint32_t k = 0; k < 256; k++) bits += r->initials[k / 64] >> k % 64 & 1;
    const double all[] = {(double)r->count,
                          (double)r->documents,
                          r->shortest,
                          r->longest,
                          (double)r->sum / (double)r->count,
                          bits};
    return all[member];
}

static int32_t value(const qd_aggregation_ctx *ctx, const void *params, qd_str bytes,
                     uint32_t member, double *out, qd_err *err)
{
    row r;
    (void)ctx;
    (void)params;
    int32_t rc = read_row(bytes, &r, err);
    if (!rc) *out = member_of(&r, member);
    return rc;
}

/* Without strings: 0 of them, and nothing is known of lengths. */
static int32_t write(const qd_aggregation_ctx *ctx, const void *params, qd_str bytes,
                     qd_json_out *out, qd_err *err)
{
    row r;
    (void)ctx;
    (void)params;
    int32_t rc = bytes.n ? read_row(bytes, &r, err) : 0;
    for (uint32_t m = 0; !rc && m < sizeof names / sizeof *names; m++) {
        qd_jev key = {QD_JEV_KEY, 0, qd_plug_str(names[m]), 0, 0};
        qd_jev number = {QD_JEV_INT, 0, {NULL, 0}, 0, 0};
        if (bytes.n) {
            number.number = member_of(&r, m);
            number.integer = (int64_t)number.number;
        }
        if (m == 4) number.type = QD_JEV_FLOAT;
        if (!bytes.n && m >= 2 && m <= 4) number.type = QD_JEV_NULL;
        json->put(out, &key);
        json->put(out, &number);
    }
    return rc;
}

static const qd_aggregation_vtable vtable = {
    .head = QD_VTABLE(qd_aggregation_vtable, AGGREGATION,
                      QD_AGGREGATION_TEXTS | QD_AGGREGATION_WRITES | QD_AGGREGATION_CACHEABLE),
    .result_max = sizeof(row),
    .result_version = 1,
    .members = "count,documents,shortest,longest,average,initials",
    .parse = parse,
    .open = open,
    .collect = collect,
    .result = result,
    .close = close,
    .reduce = reduce,
    .value = value,
    .write = write};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    errors = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!mem || !json || !errors) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_AGGREGATION, "lengths", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "example-lengths", "1.0.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("example-lengths", "1.0.0", 0, 1, QD_NOTE_FOR(AGGREGATION))
