/* toy_processor.c: a processor that does what its parameter `mode` says, also what it must not. */
#include <quidditch/plugin.h>
#include <quidditch/processor.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const qd_svc_json *json;
static const qd_svc_mem *mem;
static const qd_svc_err *errors;
static const qd_svc_task *tasks;
static const qd_svc_log *logs;

struct qd_processor {
    qd_self *self;
    char mode[32];
    qd_str fields[2];
};

static int mode(const qd_processor *p, const char *what)
{
    return strcmp(p->mode, what) == 0;
}

static int32_t open_processor(const qd_processor_ctx *ctx, qd_json_in *in, qd_processor **out,
                              qd_processor_needs *needs, qd_err *err)
{
    qd_jev ev;
    qd_processor *p = (qd_processor *)mem->calloc(ctx->self, sizeof *p);
    int32_t rc = p ? json->next(in, &ev, err) : QD_E_NOMEM;
    if (rc == 0 && ev.type != QD_JEV_OBJECT)
        rc = qd_plug_fail(errors, err, QD_E_ARG, "an object is wanted");
    while (rc == 0 && (rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_KEY) {
        if (!qd_plug_is(ev.text, "mode"))
            rc = qd_plug_fail(errors, err, QD_E_ARG, "unknown parameter [%.*s]", (int)ev.text.n,
                              ev.text.p);
        if (rc == 0) rc = json->next(in, &ev, err);
        if (rc == 0) snprintf(p->mode, sizeof p->mode, "%.*s", (int)ev.text.n, ev.text.p);
    }
    if (rc == 0 && mode(p, "open-hangs"))
        for (;;) sleep(1000);
    if (rc == 0 && mode(p, "open-memory"))
        rc = mem->alloc(ctx->self, (size_t)1 << 40) ? 0 : QD_E_NOMEM;
    if (rc) {
        mem->free(p);
        return rc;
    }
    p->self = ctx->self;
    p->fields[0] = QD_STR("a.b");
    p->fields[1] = QD_STR("n");
    needs->fields = p->fields;
    needs->nfields = mode(p, "many-fields") ? 65 : 2;
    *out = mode(p, "nothing") ? NULL : p;
    return 0;
}

static int32_t set(const qd_processor_batch *b, uint32_t doc, const char *path, uint32_t type,
                   qd_str text, int64_t i64)
{
    qd_processor_value v;
    memset(&v, 0, sizeof v);
    v.type = type;
    v.text = text;
    v.i64 = i64;
    v.f64 = (double)i64 / 4;
    return b->set(b, doc, qd_plug_str(path), &v);
}

/* Everything that may be said; the values of both fields, as they were given. */
static int32_t sound(const qd_processor_batch *b, uint32_t doc)
{
    const qd_processor_value *v = &b->values[doc * b->nfields];
    int32_t rc = set(b, doc, "batch", QD_PROCESSOR_INT, QD_STR(""), b->n);
    if (v[0].type != QD_PROCESSOR_NONE && rc == 0) rc = b->set(b, doc, QD_STR("copy.ab"), &v[0]);
    if (v[1].type != QD_PROCESSOR_NONE && rc == 0) rc = b->set(b, doc, QD_STR("copy.n"), &v[1]);
    if (rc == 0) rc = set(b, doc, "list", QD_PROCESSOR_JSON, QD_STR("[1,{\"x\":2.50}]"), 0);
    if (rc == 0) rc = set(b, doc, "half", QD_PROCESSOR_DOUBLE, QD_STR(""), 2);
    if (rc == 0) rc = set(b, doc, "yes", QD_PROCESSOR_BOOL, QD_STR(""), 1);
    if (rc == 0) rc = set(b, doc, "none", QD_PROCESSOR_NULL, QD_STR(""), 0);
    if (rc == 0) rc = b->remove(b, doc, QD_STR("gone"));
    return rc;
}

static void sleep_ms(long ms)
{
    struct timespec t = {0, ms * 1000000};
    nanosleep(&t, NULL);
}

/* By the value of n: 0 fails, 1 is dropped, 2 fails with a code alone. */
static int32_t by_number(const qd_processor_batch *b, uint32_t doc)
{
    int64_t n = b->values[doc * b->nfields + 1].i64 % 4;
    if (n == 0) return b->fail(b, doc, 0, QD_STR("n is a multiple of four"));
    if (n == 1) return b->drop(b, doc);
    if (n == 2) return b->fail(b, doc, QD_E_REJECTED, QD_STR(""));
    return set(b, doc, "batch", QD_PROCESSOR_INT, QD_STR(""), b->n);
}

static int32_t one(const qd_processor *p, const qd_processor_batch *b, uint32_t doc)
{
    if (mode(p, "number")) return by_number(b, doc);
    if (mode(p, "index")) return set(b, doc, "_index", QD_PROCESSOR_STRING, QD_STR("other"), 0);
    if (mode(p, "no-index")) return b->remove(b, doc, QD_STR("_index"));
    if (mode(p, "utf8")) return set(b, doc, "x", QD_PROCESSOR_STRING, QD_STR("\xff\xfe"), 0);
    if (mode(p, "path")) return set(b, doc, "..", QD_PROCESSOR_INT, QD_STR(""), 0);
    if (mode(p, "json")) return set(b, doc, "x", QD_PROCESSOR_JSON, QD_STR("{\"a\":"), 0);
    if (mode(p, "type")) return set(b, doc, "x", 99, QD_STR(""), 0);
    if (mode(p, "parent")) return set(b, doc, "n.x.y", QD_PROCESSOR_INT, QD_STR(""), 0);
    if (mode(p, "document")) return set(b, b->n, "x", QD_PROCESSOR_INT, QD_STR(""), 0);
    if (mode(p, "much"))
        for (int32_t rc = 0;;)
            if ((rc = set(b, doc, "x", QD_PROCESSOR_INT, QD_STR(""), 0))) return rc;
    return sound(b, doc);
}

static int32_t run(const qd_processor *p, const qd_processor_batch *b, qd_err *err)
{
    int32_t rc = 0;
    if (mode(p, "code")) return 77;
    if (mode(p, "word")) return qd_plug_fail(errors, err, QD_E_ARG, "it does not want to");
    if (mode(p, "memory")) return mem->alloc(p->self, (size_t)1 << 40) ? 0 : QD_E_NOMEM;
    if (mode(p, "hangs")) {
        while (!tasks->cancelled(b->task)) sleep_ms(10);
        qd_plug_log(logs, p->self, QD_LEVEL_INFO, "toy processor is cancelled");
    }
    for (uint32_t doc = 0; doc < b->n && rc == 0; doc++) rc = one(p, b, doc);
    return rc;
}

static void close_processor(qd_processor *p)
{
    qd_plug_log(logs, p->self, QD_LEVEL_INFO, "toy processor [%s] is closed", p->mode);
    mem->free(p);
}

static const qd_processor_vtable vtable = {QD_VTABLE(qd_processor_vtable, PROCESSOR, 0),
                                           open_processor, run, close_processor};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    errors = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    tasks = (const qd_svc_task *)host->service(self, QD_SERVICE_TASK, 0);
    logs = (const qd_svc_log *)host->service(self, QD_SERVICE_LOG, 0);
    if (!json || !mem || !errors || !tasks || !logs) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_PROCESSOR, TOY_PROCESSOR, &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), TOY_NAME, "1.0.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};
QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE(TOY_NAME, "1.0.0", 0, 1, QD_NOTE_FOR(PROCESSOR))
