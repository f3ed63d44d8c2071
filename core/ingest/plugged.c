/*
 * plugged.c: processors of plugins (sdk/include/quidditch/processor.h) as rows like our own.
 *
 * A call of a plugin may never return (plugin/guest.h), so it owns all that it works with: copies
 * of the values of the fields that the processor reads, and a list of what it says of each
 * document, which is done when it has returned. A processor is closed when the pipeline is gone and
 * no call of it is under way.
 */
#include "base/utf8.h"
#include "ingest/ingest_int.h"
#include "plugin/guest.h"
#include <math.h>
#include <quidditch/processor.h>
#include <stdio.h>

#define CALL_BYTES_MAX ((size_t)64 << 20) /* of one call: values and changes */

/* An opened processor, of the pipeline and of its calls. */
typedef struct opened {
    _Atomic uint32_t refs;
    const qd_processor_vtable *vt;
    qd_self *self;
    qd_processor *processor;
    char name[64];
} opened;

typedef struct plugged {
    opened *o;
    qdi_path *fields;
    uint32_t nfields;
} plugged;

/* What a plugin says of a document. */
typedef struct change {
    uint32_t doc;
    bool removes;
    qd_str path;
    qd_processor_value value;
} change;
typedef struct verdict {
    uint32_t nchanges;
    bool failed, dropped;
    int32_t code;
    qd_str reason;
} verdict;

/* A call with all that it is given; of its caller, or of a call that is left, alone. */
typedef struct plug_call {
    qd_guest_call call;       /* first */
    _Atomic uint32_t holders; /* who lets go last frees it */
    opened *o;
    qd_arena arena;
    qd_json_reader reader; /* open */
    qd_processor_ctx ctx;
    qd_processor_needs needs;
    qd_processor_batch batch; /* run */
    qd_task task;
    QD_VEC(change) changes;
    verdict docs[QD_PROCESSOR_BATCH_MAX];
    qd_err err;
} plug_call;

static void opened_drop(opened *o, bool here);

static void let_go(plug_call *c, bool here)
{
    if (!c || atomic_fetch_sub_explicit(&c->holders, 1, memory_order_acq_rel) != 1) return;
    qd_json_reader_fini(&c->reader);
    qd_vec_fini(&c->changes);
    qd_arena_fini(&c->arena);
    qd_err_fini(&c->err);
    opened_drop(c->o, here);
    qd_free(c);
}

/* On the guest itself, where the plugin's code may run. */
static void call_left(qd_guest_call *call)
{
    let_go((plug_call *)(void *)call, true);
}

static plug_call *call_make(opened *o, const char *what, int32_t (*run)(qd_guest_call *))
{
    qd_account *account = qd_plugin_self_account(o->self);
    if (!account) account = &qd_account_general;
    plug_call *c = qd_calloc(account, sizeof *c);
    if (!c) return NULL;
    c->call = (qd_guest_call){.run = run,
                              .left = call_left,
                              .self = o->self,
                              .kind = "processor",
                              .what = what,
                              .placed = "processor"};
    snprintf(c->call.name, sizeof c->call.name, "%s", o->name);
    snprintf(c->call.place, sizeof c->call.place, "[%s]", o->name);
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    atomic_store(&c->holders, 1);
    c->o = o;
    c->task.magic = QD_TASK_MAGIC;
    qd_arena_init(&c->arena, account, CALL_BYTES_MAX);
    c->reader = QD_JSON_READER(account);
    qd_err_init(&c->err);
    return c;
}

/* Runs the call. After an error what the plugin said of it is not looked at: it may go on. */
static int call_run(plug_call *c, qd_task *task, qd_err *err)
{
    bool ran;
    atomic_store(&c->holders, 2);
    int rc = qd_guest_run(qd_plugin_guests(c->o->self), &c->call, task, &ran, err);
    if (rc && ran) { /* the guest has the other hold */
        atomic_store(&c->task.stop, QD_TASK_CANCELLED);
        return rc;
    }
    atomic_store(&c->holders, 1);
    return !rc && c->call.rc ? qd_guest_failed(&c->call, &c->err, err) : rc;
}

/* --- close ------------------------------------------------------------------------------------ */

typedef struct close_call {
    qd_guest_call call; /* first */
    const qd_processor_vtable *vt;
    qd_processor *processor;
} close_call;

static int32_t run_close(qd_guest_call *call)
{
    close_call *c = (close_call *)(void *)call;
    c->vt->close(c->processor);
    return 0;
}

static void close_left(qd_guest_call *call)
{
    qd_free(call);
}

/* here: the caller is a guest already. Without memory for the call the processor stays open. */
static void close_processor(const opened *o, bool here)
{
    close_call *c = here ? NULL : qd_calloc(NULL, sizeof *c);
    bool ran;
    if (here) o->vt->close(o->processor);
    if (!c) return;
    c->call = (qd_guest_call){.run = run_close,
                              .left = close_left,
                              .self = o->self,
                              .kind = "processor",
                              .what = "close",
                              .placed = "processor",
                              .ends = true};
    snprintf(c->call.name, sizeof c->call.name, "%s", o->name);
    snprintf(c->call.place, sizeof c->call.place, "[%s]", o->name);
    c->vt = o->vt;
    c->processor = o->processor;
    int rc = qd_guest_run(qd_plugin_guests(o->self), &c->call, NULL, &ran, NULL);
    if (!rc || !ran) qd_free(c);
}

static void opened_drop(opened *o, bool here)
{
    if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1) return;
    if (o->processor) close_processor(o, here);
    qd_free(o);
}

static void release(void *arg)
{
    opened_drop(arg, false);
}

/* --- open ------------------------------------------------------------------------------------- */

static int32_t run_open(qd_guest_call *call)
{
    plug_call *c = (plug_call *)(void *)call;
    return c->o->vt->open(&c->ctx, qd_plugin_json_in(&c->reader), &c->o->processor, &c->needs,
                          &c->err);
}

/* The parameters without those that every processor has, as the plugin reads them. */
static int parameters(qdi_build *b, plug_call *c)
{
    qd_buf text;
    qd_json_writer w;
    qd_buf_init(&text, c->arena.account, CALL_BYTES_MAX);
    qd_json_writer_init(&w, &text, false);
    qd_json_object(&w);
    for (const qd_json_node *n = b->config->first; n; n = n->next) {
        if (qdi_arg_common(n->key)) continue;
        qd_json_key(&w, n->key);
        qd_json_raw_value(&w, n->raw);
    }
    qd_json_object_end(&w);
    qd_str copy =
        qd_buf_status(&text) ? (qd_str){NULL, 0} : qd_arena_str(&c->arena, qd_buf_view(&text));
    qd_buf_fini(&text);
    c->ctx = (qd_processor_ctx){
        .struct_size = sizeof c->ctx, .self = c->o->self, .tag = qd_arena_str(&c->arena, b->tag)};
    c->needs.struct_size = sizeof c->needs;
    if (!copy.p || (b->tag.n && !c->ctx.tag.p)) return QD_E_NOMEM;
    qd_json_reader_init(&c->reader, copy, QD_JSON_REQUEST, 0);
    return 0;
}

static int fields(qdi_build *b, const plug_call *c, plugged *p, qd_err *err)
{
    const qd_processor_needs *needs = &c->needs;
    if (needs->nfields > QD_PROCESSOR_FIELDS_MAX || (needs->nfields && !needs->fields))
        return qd_err_set(err, QD_E_PLUGIN,
                          "processor [%s] of plugin [%s] wants [%u] fields, at most [%u] may be",
                          c->o->name, qd_plugin_self_name(c->o->self), needs->nfields,
                          QD_PROCESSOR_FIELDS_MAX);
    p->nfields = needs->nfields;
    p->fields = qd_arena_calloc(b->a, needs->nfields * sizeof *p->fields + 1);
    if (!p->fields) return qd_err_nomem(err, "processor");
    int rc = 0;
    for (uint32_t k = 0; k < needs->nfields && !rc; k++) {
        qd_str text = qd_arena_str(b->a, needs->fields[k]);
        rc = text.p || !needs->fields[k].n ? qdi_path_make(b->a, text, &p->fields[k], err)
                                           : qd_err_nomem(err, "processor");
    }
    return rc;
}

static int open_it(qdi_build *b, opened *o, plugged *p, qd_err *err)
{
    plug_call *c = call_make(o, "open", run_open);
    if (!c) return qd_err_nomem(err, "processor");
    int rc = parameters(b, c) ? qd_err_nomem(err, "processor") : call_run(c, NULL, err);
    if (!rc && !o->processor)
        rc = qd_err_set(err, QD_E_PLUGIN, "processor [%s] of plugin [%s] opened nothing", o->name,
                        qd_plugin_self_name(o->self));
    if (!rc) rc = fields(b, c, p, err);
    let_go(c, false);
    return rc;
}

static int make(qdi_build *b, void *config, qd_err *err)
{
    plugged *p = config;
    qd_self *self = NULL;
    const qd_processor_vtable *vt =
        qd_plugin_find(b->s->plugins, QD_KIND_PROCESSOR, qd_str_c(b->type), &self);
    opened *o = vt ? qd_calloc(NULL, sizeof *o) : NULL;
    if (!o) return qd_err_nomem(err, "processor");
    atomic_store(&o->refs, 1);
    o->vt = vt;
    o->self = self;
    snprintf(o->name, sizeof o->name, "%s", b->type);
    b->used = UINT64_MAX; /* the plugin refuses what it does not know */
    if (qd_arena_on_reset(b->a, release, o)) return qd_err_nomem(err, "processor");
    p->o = o;
    int rc = open_it(b, o, p, err);
    return rc == QD_E_ARG || rc == QD_E_XCONTENT || rc == QD_E_PARSE ? qdi_arg_wrap(b, NULL, err)
                                                                     : rc;
}

/* --- run: what the plugin says ---------------------------------------------------------------- */

static plug_call *call_of(const qd_processor_batch *batch)
{
    return batch->host;
}

static verdict *verdict_of(plug_call *c, uint32_t doc)
{
    return doc < c->batch.n ? &c->docs[doc] : NULL;
}

static int32_t add_change(plug_call *c, change *x, qd_str path)
{
    verdict *v = verdict_of(c, x->doc);
    if (!v || !path.n) return QD_E_ARG;
    if (v->nchanges == QD_PROCESSOR_CHANGES_MAX) return QD_E_LIMIT;
    x->path = qd_arena_str(&c->arena, path);
    bool text = x->value.type == QD_PROCESSOR_STRING || x->value.type == QD_PROCESSOR_JSON;
    if (text) x->value.text = qd_arena_str(&c->arena, x->value.text);
    if (!x->path.p || (text && !x->value.text.p)) return QD_E_NOMEM;
    v->nchanges++;
    return qd_vec_push(&c->changes, c->arena.account, *x) ? QD_E_NOMEM : 0;
}

static int32_t say_set(const qd_processor_batch *batch, uint32_t doc, qd_str path,
                       const qd_processor_value *value)
{
    change x = {.doc = doc, .value = *value};
    bool wrong = value->type == QD_PROCESSOR_NONE || value->type > QD_PROCESSOR_JSON ||
                 (value->type == QD_PROCESSOR_DOUBLE && !isfinite(value->f64));
    return wrong ? QD_E_ARG : add_change(call_of(batch), &x, path);
}

static int32_t say_remove(const qd_processor_batch *batch, uint32_t doc, qd_str path)
{
    change x = {.doc = doc, .removes = true};
    return add_change(call_of(batch), &x, path);
}

static int32_t say_fail(const qd_processor_batch *batch, uint32_t doc, int32_t code, qd_str reason)
{
    plug_call *c = call_of(batch);
    verdict *v = verdict_of(c, doc);
    if (!v) return QD_E_ARG;
    v->failed = true;
    v->code = code;
    v->reason = qd_arena_str(&c->arena, reason);
    return v->reason.p || !reason.n ? 0 : QD_E_NOMEM;
}

static int32_t say_drop(const qd_processor_batch *batch, uint32_t doc)
{
    verdict *v = verdict_of(call_of(batch), doc);
    if (!v) return QD_E_ARG;
    v->dropped = true;
    return 0;
}

static int32_t run_run(qd_guest_call *call)
{
    plug_call *c = (plug_call *)(void *)call;
    return c->o->vt->run(c->o->processor, &c->batch, &c->err);
}

/* --- run: what the host gives ----------------------------------------------------------------- */

static int json_of(plug_call *c, const qd_iv *v, qd_str *out)
{
    qd_buf b;
    qd_json_writer w;
    if (qd_iv_check(v, NULL)) return QD_E_LIMIT;
    qd_buf_init(&b, c->arena.account, CALL_BYTES_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_iv_write(v, &w);
    *out = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(&c->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return out->p ? 0 : QD_E_NOMEM;
}

static int value_of(plug_call *c, const qd_iv *v, qd_processor_value *out)
{
    *out = (qd_processor_value){.type = QD_PROCESSOR_NONE};
    if (!v) return 0;
    switch ((qd_iv_kind)v->kind) {
    case QD_IV_NULL:
        out->type = QD_PROCESSOR_NULL;
        return 0;
    case QD_IV_BOOL:
        out->type = QD_PROCESSOR_BOOL;
        out->i64 = v->truth;
        return 0;
    case QD_IV_LONG:
        out->type = QD_PROCESSOR_INT;
        out->i64 = v->i;
        out->f64 = (double)v->i;
        return 0;
    case QD_IV_BIG:
    case QD_IV_FLOAT:
    case QD_IV_DOUBLE:
        out->type = QD_PROCESSOR_DOUBLE;
        (void)qd_iv_number(v, &out->f64);
        break;
    case QD_IV_STR:
        out->type = QD_PROCESSOR_STRING;
        break;
    case QD_IV_LIST:
    case QD_IV_MAP:
        out->type = QD_PROCESSOR_JSON;
        return json_of(c, v, &out->text);
    }
    out->text = qd_arena_str(&c->arena, v->s);
    return out->text.p || !v->s.n ? 0 : QD_E_NOMEM;
}

static int fill(plug_call *c, const plugged *p, qd_ingest_run *const *runs, uint32_t n)
{
    qd_processor_value *values = qd_arena_alloc(&c->arena, n * p->nfields * sizeof *values + 1);
    int rc = values ? 0 : QD_E_NOMEM;
    for (uint32_t i = 0; i < n && !rc; i++)
        for (uint32_t k = 0; k < p->nfields && !rc; k++)
            rc = value_of(c, qdi_path_look(runs[i], &p->fields[k]), &values[i * p->nfields + k]);
    c->batch = (qd_processor_batch){.struct_size = sizeof c->batch,
                                    .n = n,
                                    .nfields = p->nfields,
                                    .values = values,
                                    .task = &c->task,
                                    .host = c,
                                    .set = say_set,
                                    .remove = say_remove,
                                    .fail = say_fail,
                                    .drop = say_drop};
    return rc;
}

/* --- run: what becomes of the documents ------------------------------------------------------- */

static int text_of(qd_ingest_run *r, qd_str from, qd_str *out, qd_err *err)
{
    if (!qd_utf8_valid(from, NULL))
        return qd_err_set(err, QD_E_PLUGIN, "a plugin gave a text that is not valid UTF-8");
    *out = qd_arena_str(&r->arena, from);
    return out->p || !from.n ? 0 : qdi_run_nomem(err);
}

static int iv_of(qd_ingest_run *r, const qd_processor_value *v, qd_iv *out, qd_err *err)
{
    qd_json_node *n;
    qd_str text = {NULL, 0};
    int rc = 0;
    *out = (qd_iv){.kind = QD_IV_NULL};
    if (v->type == QD_PROCESSOR_STRING || v->type == QD_PROCESSOR_JSON)
        rc = text_of(r, v->text, &text, err);
    if (rc) return rc;
    switch (v->type) {
    case QD_PROCESSOR_BOOL:
        *out = QD_IV_TRUTH(v->i64 != 0);
        return 0;
    case QD_PROCESSOR_INT:
        *out = QD_IV_INTEGER(v->i64);
        return 0;
    case QD_PROCESSOR_DOUBLE:
        *out = qd_iv_double(&r->arena, v->f64);
        return out->s.p ? 0 : qdi_run_nomem(err);
    case QD_PROCESSOR_STRING:
        *out = QD_IV_STRING(text);
        return 0;
    case QD_PROCESSOR_JSON:
        rc = qd_json_parse(&r->arena, text, 0, &n, err);
        return rc ? rc : qd_iv_of_node(&r->arena, n, out, err);
    default:
        return 0;
    }
}

static int apply(qd_ingest_run *r, const change *x, qd_err *err)
{
    qdi_path path;
    qd_str text;
    qd_iv v;
    int rc = text_of(r, x->path, &text, err);
    if (!rc) rc = qdi_path_make(&r->arena, text, &path, err);
    if (rc) return rc;
    if (x->removes) {
        rc = qdi_path_check_removal(&path, err);
        return rc || !qdi_path_look(r, &path) ? rc : qdi_path_remove(r, &path, err);
    }
    rc = iv_of(r, &x->value, &v, err);
    return rc ? rc : qdi_path_set(r, &path, v, err);
}

static int failed(const plug_call *c, const verdict *v, qd_err *err)
{
    qd_guest_call call = c->call;
    qd_err said;
    if (!v->code || v->reason.n) {
        qd_err_init(&said);
        (void)qd_err_set(&said, v->code ? v->code : QD_E_ARG, "%.*s", QD_STR_ARG(v->reason));
        call.rc = said.code;
        call.limit = 0;
        int rc = qd_guest_failed(&call, &said, err);
        qd_err_fini(&said);
        return rc;
    }
    qd_err_init(&said);
    call.rc = v->code;
    call.limit = 0;
    return qd_guest_failed(&call, &said, err);
}

static void run_all(const void *config, qd_ingest_run *const *runs, uint32_t n, int *rc,
                    qd_err *const *err)
{
    const plugged *p = config;
    qd_err why;
    qd_err_init(&why);
    plug_call *c = call_make(p->o, "run", run_run);
    int all = c ? fill(c, p, runs, n) : QD_E_NOMEM;
    if (all == QD_E_LIMIT)
        all = qd_err_set(&why, QD_E_ARG, "a document of a pipeline is too deep for a plugin");
    else if (all)
        all = qdi_run_nomem(&why);
    else
        all = call_run(c, runs[0]->calls.task, &why);
    for (uint32_t i = 0; i < n; i++) {
        const verdict *v = c ? &c->docs[i] : NULL;
        rc[i] = all;
        if (all && err[i]) qd_err_copy(err[i], &why);
        if (!all && v->failed) rc[i] = failed(c, v, err[i]);
    }
    for (size_t k = 0; !all && k < c->changes.n; k++) {
        const change *x = &c->changes.at[k];
        if (!rc[x->doc]) rc[x->doc] = apply(runs[x->doc], x, err[x->doc]);
    }
    for (uint32_t i = 0; i < n && !all; i++)
        if (!rc[i] && c->docs[i].dropped) rc[i] = QD_INGEST_DROPPED;
    let_go(c, false);
    qd_err_fini(&why);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    int rc;
    run_all(config, &r, 1, &rc, &err);
    return rc;
}

/* --- rows ------------------------------------------------------------------------------------- */

int qdi_plugged_type(const qdi_build *b, qd_str name, const qdi_processor_type **out, qd_err *err)
{
    qd_self *self;
    *out = NULL;
    if (!b->s->plugins || name.n >= sizeof((opened *)0)->name ||
        !qd_plugin_find(b->s->plugins, QD_KIND_PROCESSOR, name, &self))
        return 0;
    qdi_processor_type *row = qd_arena_alloc(b->a, sizeof *row);
    qd_str text = qd_arena_str(b->a, name);
    if (!row || !text.p) return qd_err_nomem(err, "processor");
    *row =
        (qdi_processor_type){text.p, sizeof(plugged), .make = make, .run = run, .run_all = run_all};
    *out = row;
    return 0;
}

int qd_ingest_plugins_check(const qd_plugin_host *host, qd_err *err)
{
    size_t pos = 0;
    qd_str name;
    qd_self *self;
    while (qd_plugin_next(host, QD_KIND_PROCESSOR, &pos, &name, &self)) {
        if (qdi_ingest_type(name))
            return qd_err_set(err, QD_E_EXISTS,
                              "plugin [%s] provides the processor [%.*s], which is a built-in one",
                              qd_plugin_self_name(self), QD_STR_ARG(name));
        if (name.n >= sizeof((opened *)0)->name)
            return qd_err_set(err, QD_E_ARG,
                              "plugin [%s] provides the processor [%.*s], whose name is longer "
                              "than [%zu] bytes",
                              qd_plugin_self_name(self), QD_STR_ARG(name),
                              sizeof((opened *)0)->name - 1);
    }
    return 0;
}
