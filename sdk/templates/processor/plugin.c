/* @NAME@: a processor of ingest pipelines, {"@SYMBOL@": {"field": "name", "target_field":
 * "length"}}: how many bytes a text has. Put your own work into one(). */
#include <quidditch/plugin.h>
#include <quidditch/processor.h>

static const qd_svc_json *json;
static const qd_svc_mem *mem;
static const qd_svc_err *errors;

struct qd_processor {
    qd_str field, target; /* the text of both stands behind this struct */
};

/* A text parameter; empty: it is not there. */
static int32_t text_of(const qd_jev *ev, qd_str key, char *room, size_t size, qd_str *out,
                       qd_err *err)
{
    if (ev->type != QD_JEV_STRING || !ev->text.n || ev->text.n > size)
        return qd_plug_fail(errors, err, QD_E_ARG, "[%.*s] wants a text of 1 to %zu bytes",
                            (int)key.n, key.p, size);
    memcpy(room, ev->text.p, ev->text.n);
    out->p = room;
    out->n = ev->text.n;
    return 0;
}

static int32_t read_parameters(qd_json_in *in, qd_processor *p, char room[2][256], qd_err *err)
{
    qd_jev ev;
    int32_t rc = json->next(in, &ev, err);
    if (rc == 0 && ev.type != QD_JEV_OBJECT)
        rc = qd_plug_fail(errors, err, QD_E_ARG, "an object is wanted");
    while (rc == 0 && (rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_KEY) {
        int field = qd_plug_is(ev.text, "field"), target = qd_plug_is(ev.text, "target_field");
        if (!field && !target)
            return qd_plug_fail(errors, err, QD_E_ARG, "unknown parameter [%.*s]", (int)ev.text.n,
                                ev.text.p);
        rc = json->next(in, &ev, err);
        if (rc == 0)
            rc = text_of(&ev, field ? QD_STR("field") : QD_STR("target_field"), room[field ? 0 : 1],
                         256, field ? &p->field : &p->target, err);
    }
    if (rc == 0 && !p->field.n)
        rc = qd_plug_fail(errors, err, QD_E_ARG, "[field] required property is missing");
    if (rc == 0 && !p->target.n) p->target = QD_STR("@SYMBOL@");
    return rc;
}

static int32_t open_processor(const qd_processor_ctx *ctx, qd_json_in *in, qd_processor **out,
                              qd_processor_needs *needs, qd_err *err)
{
    qd_processor *p = (qd_processor *)mem->calloc(ctx->self, sizeof *p + 2 * 256);
    if (!p) return QD_E_NOMEM;
    int32_t rc = read_parameters(in, p, (char(*)[256])(p + 1), err);
    if (rc) {
        mem->free(p);
        return rc;
    }
    *out = p;
    needs->fields = &p->field;
    needs->nfields = 1;
    return 0;
}

static int32_t one(const qd_processor *p, const qd_processor_batch *b, uint32_t doc,
                   const qd_processor_value *v)
{
    qd_processor_value length;
    if (v->type == QD_PROCESSOR_NONE)
        return b->fail(b, doc, QD_E_ARG, QD_STR("the field is missing"));
    if (v->type != QD_PROCESSOR_STRING)
        return b->fail(b, doc, QD_E_ARG, QD_STR("the field is no text"));
    memset(&length, 0, sizeof length);
    length.type = QD_PROCESSOR_INT;
    length.i64 = (int64_t)v->text.n;
    return b->set(b, doc, p->target, &length);
}

static int32_t run(const qd_processor *p, const qd_processor_batch *b, qd_err *err)
{
    int32_t rc = 0;
    (void)err;
    for (uint32_t doc = 0; doc < b->n && rc == 0; doc++)
        rc = one(p, b, doc, &b->values[doc * b->nfields]);
    return rc;
}

static void close_processor(qd_processor *p)
{
    mem->free(p);
}

static const qd_processor_vtable vtable = {QD_VTABLE(qd_processor_vtable, PROCESSOR, 0),
                                           open_processor, run, close_processor};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    errors = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!json || !mem || !errors) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_PROCESSOR, "@SYMBOL@", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "@NAME@", "0.1.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", 0, 1, QD_NOTE_FOR(PROCESSOR))
