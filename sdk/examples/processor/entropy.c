/*
 * entropy.c: the processor `entropy`: for each field the Shannon entropy of its text, in bits a
 * byte. It shows several fields, lists, which come as JSON, and documents that fail one by one.
 */
#include <math.h>
#include <quidditch/plugin.h>
#include <quidditch/processor.h>
#include <stdio.h>

#define FIELDS_MAX 16
#define NAME_MAX_BYTES 256
#define LIST_MAX 1000 /* texts of a list */

static const qd_svc_json *json;
static const qd_svc_mem *mem;
static const qd_svc_err *errors;

struct qd_processor {
    qd_self *self;
    uint32_t n;
    qd_str fields[FIELDS_MAX], targets[FIELDS_MAX];
    qd_str suffix;
    char names[FIELDS_MAX][NAME_MAX_BYTES], results[FIELDS_MAX][2 * NAME_MAX_BYTES];
    char end[NAME_MAX_BYTES];
};

/* --- parameters --- */

static int32_t keep(qd_str text, char room[NAME_MAX_BYTES], qd_str *out, qd_err *err)
{
    if (!text.n || text.n > NAME_MAX_BYTES)
        return qd_plug_fail(errors, err, QD_E_ARG, "a name has 1 to %d bytes", NAME_MAX_BYTES);
    memcpy(room, text.p, text.n);
    out->p = room;
    out->n = text.n;
    return 0;
}

static int32_t read_fields(qd_json_in *in, qd_processor *p, qd_err *err)
{
    qd_jev ev;
    int32_t rc = json->next(in, &ev, err);
    if (rc == 0 && ev.type != QD_JEV_ARRAY)
        return qd_plug_fail(errors, err, QD_E_ARG, "[fields] is a list of names");
    while (rc == 0 && (rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_STRING) {
        if (p->n == FIELDS_MAX)
            return qd_plug_fail(errors, err, QD_E_ARG, "[fields] has at most %d names", FIELDS_MAX);
        rc = keep(ev.text, p->names[p->n], &p->fields[p->n], err);
        p->n++;
    }
    if (rc == 0 && (ev.type != QD_JEV_ARRAY_END || !p->n))
        rc = qd_plug_fail(errors, err, QD_E_ARG, "[fields] is a list of at least one name");
    return rc;
}

static int32_t read_parameters(qd_json_in *in, qd_processor *p, qd_err *err)
{
    qd_jev ev;
    int32_t rc = json->next(in, &ev, err);
    p->suffix = QD_STR("_entropy");
    if (rc == 0 && ev.type != QD_JEV_OBJECT)
        rc = qd_plug_fail(errors, err, QD_E_ARG, "an object is wanted");
    while (rc == 0 && (rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_KEY) {
        if (qd_plug_is(ev.text, "fields") && !p->n) {
            rc = read_fields(in, p, err);
        } else if (qd_plug_is(ev.text, "suffix")) {
            rc = json->next(in, &ev, err);
            if (rc == 0 && ev.type != QD_JEV_STRING)
                rc = qd_plug_fail(errors, err, QD_E_ARG, "[suffix] is a text");
            if (rc == 0) rc = keep(ev.text, p->end, &p->suffix, err);
        } else {
            return qd_plug_fail(errors, err, QD_E_ARG, "unknown parameter [%.*s]", (int)ev.text.n,
                                ev.text.p);
        }
    }
    if (rc == 0 && !p->n)
        rc = qd_plug_fail(errors, err, QD_E_ARG, "[fields] required property is missing");
    for (uint32_t i = 0; rc == 0 && i < p->n; i++) {
        p->targets[i].p = p->results[i];
        p->targets[i].n = p->fields[i].n + p->suffix.n;
        memcpy(p->results[i], p->fields[i].p, p->fields[i].n);
        memcpy(p->results[i] + p->fields[i].n, p->suffix.p, p->suffix.n);
    }
    return rc;
}

static int32_t open_processor(const qd_processor_ctx *ctx, qd_json_in *in, qd_processor **out,
                              qd_processor_needs *needs, qd_err *err)
{
    qd_processor *p = (qd_processor *)mem->calloc(ctx->self, sizeof *p);
    if (!p) return QD_E_NOMEM;
    int32_t rc = read_parameters(in, p, err);
    if (rc) {
        mem->free(p);
        return rc;
    }
    p->self = ctx->self;
    *out = p;
    needs->fields = p->fields;
    needs->nfields = p->n;
    return 0;
}

static void close_processor(qd_processor *p)
{
    mem->free(p);
}

/* --- documents --- */

static double entropy(qd_str text)
{
    uint32_t counts[256];
    double bits = 0;
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < text.n; i++) counts[(unsigned char)text.p[i]]++;
    for (int c = 0; c < 256; c++) {
        double share = text.n ? (double)counts[c] / (double)text.n : 0;
        if (share > 0) bits -= share * log2(share);
    }
    return bits;
}

/* A list of texts: their entropies as JSON. An object, or a list of anything else: ARG. */
static int32_t of_list(const qd_processor *p, qd_str text, char *out, size_t size, size_t *n)
{
    qd_jev ev;
    uint32_t count = 0;
    qd_json_in *in = json->open(p->self, text, NULL);
    if (!in) return QD_E_NOMEM;
    int32_t rc = json->next(in, &ev, NULL);
    if (rc == 0 && ev.type != QD_JEV_ARRAY) rc = QD_E_ARG;
    out[(*n)++] = '[';
    while (rc == 0 && (rc = json->next(in, &ev, NULL)) == 0 && ev.type == QD_JEV_STRING) {
        if (++count > LIST_MAX || size - *n < 32) rc = QD_E_ARG;
        if (rc == 0)
            *n += (size_t)snprintf(out + *n, size - *n, "%s%.17g", count > 1 ? "," : "",
                                   entropy(ev.text));
    }
    if (rc == 0 && ev.type != QD_JEV_ARRAY_END) rc = QD_E_ARG;
    out[(*n)++] = ']';
    json->close(in);
    return rc;
}

static int32_t one_list(const qd_processor *p, const qd_processor_batch *b, uint32_t doc,
                        uint32_t field, qd_str text)
{
    qd_processor_value v;
    size_t size = 32 * (LIST_MAX + 2), n = 0;
    char *room = (char *)mem->alloc(p->self, size);
    if (!room) return QD_E_NOMEM;
    int32_t rc = of_list(p, text, room, size, &n);
    memset(&v, 0, sizeof v);
    v.type = QD_PROCESSOR_JSON;
    v.text.p = room;
    v.text.n = n;
    if (rc == QD_E_ARG)
        rc = b->fail(b, doc, QD_E_ARG, QD_STR("a field is neither a text nor a list of texts"));
    else if (rc == 0)
        rc = b->set(b, doc, p->targets[field], &v);
    mem->free(room);
    return rc;
}

static int32_t one(const qd_processor *p, const qd_processor_batch *b, uint32_t doc, uint32_t field,
                   const qd_processor_value *of)
{
    qd_processor_value v;
    if (of->type == QD_PROCESSOR_NONE || of->type == QD_PROCESSOR_NULL) return 0;
    if (of->type == QD_PROCESSOR_JSON) return one_list(p, b, doc, field, of->text);
    if (of->type != QD_PROCESSOR_STRING)
        return b->fail(b, doc, QD_E_ARG, QD_STR("a field is neither a text nor a list of texts"));
    memset(&v, 0, sizeof v);
    v.type = QD_PROCESSOR_DOUBLE;
    v.f64 = entropy(of->text);
    return b->set(b, doc, p->targets[field], &v);
}

static int32_t run(const qd_processor *p, const qd_processor_batch *b, qd_err *err)
{
    (void)err;
    for (uint32_t doc = 0; doc < b->n; doc++)
        for (uint32_t field = 0; field < p->n; field++) {
            int32_t rc = one(p, b, doc, field, &b->values[doc * b->nfields + field]);
            if (rc) return rc;
        }
    return 0;
}

static const qd_processor_vtable vtable = {QD_VTABLE(qd_processor_vtable, PROCESSOR, 0),
                                           open_processor, run, close_processor};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    errors = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!json || !mem || !errors) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_PROCESSOR, "entropy", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "example-entropy", "1.0.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("example-entropy", "1.0.0", 0, 1, QD_NOTE_FOR(PROCESSOR))
