/*
 * typed.c: the SDK's service `documents` over the operations of bulk and mget: typed values become
 * the source of an operation, and results go back as they are, without JSON for either.
 *
 * A call keeps what it needs in a typed_call, charged to its plugin, from the submit to the
 * release: so a cancel never meets memory that is gone, whenever the call ends.
 */
#include "action/api/submit_int.h"
#include "action/documents/documents_int.h"
#include "action/documents/typed_int.h"
#include "action/transport/ask_int.h"
#include "base/str.h"
#include "base/utf8.h"
#include "plugin/op.h"
#include <stdio.h>

#define TIMEOUT_MS 60000
#define BATCH_BYTES ((size_t)4 << 20)
#define SOURCES_MAX ((size_t)1 << 31)
#define CAUSES_MAX 16u
#define CALL_SLOT 0

typedef struct typed_call {
    qdi_own_run own; /* first */
    qd_action_call inner;
    qd_docs_call *call;
    qd_actions *a;
    qd_account *account; /* the plugin's */
    qd_arena kept;       /* results */
    qd_docs_result *results;
    qd_str *sources; /* of a read, beside the results */
    qd_pair params[3];
    char timeout[24], copies[16];
} typed_call;

static const qd_docs_error no_memory = {
    {"circuit_breaking_exception", 26}, {"no memory for the error's own words", 35}, NULL};

/* --- results --- */

static const qd_docs_error *keep_error(typed_call *t, const qd_err *err, uint32_t depth)
{
    qd_docs_error *e = qd_arena_calloc(&t->kept, sizeof *e);
    if (!e) return &no_memory;
    e->type = qd_arena_str(&t->kept, qd_str_c(qd_err_es_type(err)));
    e->reason = qd_arena_str(&t->kept, qd_str_c(qd_err_reason(err)));
    if (!e->type.p || !e->reason.p) return &no_memory;
    if (err->cause && depth < CAUSES_MAX) e->caused_by = keep_error(t, err->cause, depth + 1);
    return e;
}

static void fail_result(typed_call *t, uint32_t i, const qd_err *err)
{
    t->results[i].outcome = QD_DOCS_FAILED;
    t->results[i].status = qd_err_status(err);
    t->results[i].error = keep_error(t, err, 0);
}

/* Of the documents from i on: each has the same error. */
static void fail_rest(typed_call *t, uint32_t i, const qd_err *err)
{
    for (; i < t->call->n; i++) fail_result(t, i, err);
}

static int make_results(typed_call *t, qd_err *err)
{
    uint32_t n = t->call->n;
    t->results = qd_arena_calloc(&t->kept, n * sizeof *t->results);
    if (!t->results) return qd_err_nomem(err, "results of documents");
    for (uint32_t i = 0; i < n; i++) t->results[i].struct_size = sizeof t->results[i];
    return 0;
}

/* What the text of a request cannot bring. */
static int check_texts(qd_str index, qd_str id, qd_str routing, qd_err *err)
{
    if (!qd_utf8_valid(index, NULL)) return qd_err_set(err, QD_E_ARG, "index is not valid UTF-8");
    if (!qd_utf8_valid(id, NULL)) return qd_err_set(err, QD_E_ARG, "id is not valid UTF-8");
    if (!qd_utf8_valid(routing, NULL))
        return qd_err_set(err, QD_E_ARG, "routing is not valid UTF-8");
    return 0;
}

/* --- writing --- */

typedef struct write_run {
    typed_call *t;
    doc_request request;
    doc_marks marks;
    qd_arena arena; /* of a batch */
    qd_buf text;    /* its sources */
    doc_item *items;
    uint32_t *which; /* the documents that they are */
    uint32_t n;
} write_run;

/* The i-th as it was built: items of an older plugin are shorter. */
static qd_docs_write write_at(const qd_docs_call *c, uint32_t i)
{
    qd_docs_write w = {0};
    memcpy(&w, (const char *)c->writes + (size_t)i * c->item_size,
           c->item_size < sizeof w ? c->item_size : sizeof w);
    return w;
}

static int fill_item(const qd_docs_write *w, doc_item *i, qd_err *err)
{
    static const doc_op ops[] = {
        [QD_DOCS_INDEX] = DOC_INDEX, [QD_DOCS_CREATE] = DOC_CREATE, [QD_DOCS_DELETE] = DOC_DELETE};
    if (w->op < QD_DOCS_INDEX || w->op > QD_DOCS_DELETE)
        return qd_err_set(err, QD_E_ARG, "operation [%u] is unknown", w->op);
    if (w->flags & ~(uint32_t)(QD_DOCS_IF | QD_DOCS_VERSION | QD_DOCS_REQUIRE_ALIAS))
        return qd_err_set(err, QD_E_ARG, "flags [%u] are unknown", w->flags);
    if (w->version_type > QD_DOCS_EXTERNAL_GTE)
        return qd_err_set(err, QD_E_ARG, "version type [%u] is unknown", w->version_type);
    if (w->nvalues && (w->op == QD_DOCS_DELETE || !w->values))
        return qd_err_set(err, QD_E_ARG, "[%u] values where there are none", w->nvalues);
    if ((w->flags & QD_DOCS_IF) && (w->if_seq_no < 0 || w->if_primary_term < 0))
        return qd_err_set(err, QD_E_ARG, "sequence numbers and primary terms are not negative");
    qdi_item_init(i);
    i->op = ops[w->op];
    i->index = w->index;
    i->id = w->id.n ? w->id : (qd_str){NULL, 0};
    i->routing = w->routing;
    i->require_alias = w->flags & QD_DOCS_REQUIRE_ALIAS;
    i->version_type = w->version_type == QD_DOCS_EXTERNAL       ? QD_VERSION_EXTERNAL
                      : w->version_type == QD_DOCS_EXTERNAL_GTE ? QD_VERSION_EXTERNAL_GTE
                                                                : QD_VERSION_INTERNAL;
    i->has_version = w->flags & QD_DOCS_VERSION;
    if (i->has_version) i->version = w->version;
    if (w->flags & QD_DOCS_IF) {
        i->if_seq_no = w->if_seq_no;
        i->if_primary_term = w->if_primary_term;
    }
    return check_texts(w->index, w->id, w->routing, err);
}

/* Adds a document to the batch; one that cannot be has its result already. */
static void take(write_run *x, uint32_t i)
{
    qd_docs_write w = write_at(x->t->call, i);
    doc_item *item = &x->items[x->n];
    size_t before = x->text.n;
    qd_err err;
    qd_err_init(&err);
    int rc = fill_item(&w, item, &err);
    if (!rc && w.op != QD_DOCS_DELETE) rc = qdi_typed_write(w.values, w.nvalues, &x->text, &err);
    if (rc) {
        x->t->results[i].index = qd_arena_str(&x->t->kept, w.index);
        x->t->results[i].id = qd_arena_str(&x->t->kept, w.id);
        fail_result(x->t, i, &err);
    } else {
        item->source.n = x->text.n - before; /* where it is, is known when the text stays */
        x->which[x->n++] = i;
    }
    qd_err_fini(&err);
}

static void take_result(write_run *x, uint32_t k)
{
    const doc_item *i = &x->items[k];
    qd_docs_result *r = &x->t->results[x->which[k]];
    qd_err none;
    r->index = qd_arena_str(&x->t->kept, i->concrete);
    r->id = qd_arena_str(&x->t->kept, i->id);
    if (i->rc) {
        qd_err_init(&none);
        if (!i->err) (void)qd_err_set(&none, i->rc, "out of memory: details of the failure");
        fail_result(x->t, x->which[k], i->err ? i->err : &none);
        qd_err_fini(&none);
        return;
    }
    bool delete = i->op == DOC_DELETE;
    r->status = i->status;
    r->outcome = delete             ? i->status == 404 ? QD_DOCS_NOT_FOUND : QD_DOCS_DELETED
                 : i->status == 201 ? QD_DOCS_CREATED
                                    : QD_DOCS_UPDATED;
    r->seq_no = i->done.seq_no;
    r->primary_term = (int64_t)i->done.primary_term;
    r->version = (int64_t)i->done.version;
    r->copies = i->copies;
    r->copies_good = i->copies_good;
    r->copies_failed = i->copies_failed + (i->unrefreshed != NULL);
    r->forced_refresh = i->forced_refresh;
}

/* Runs what has been taken; last: of the call, and what it wrote is refreshed. */
static void run_batch(write_run *x, bool last)
{
    qd_actions *a = x->t->a;
    doc_run *run = NULL;
    size_t at = 0;
    qd_err err;
    qd_err_init(&err);
    for (uint32_t k = 0; k < x->n; k++) {
        x->items[k].source.p = x->text.p + at;
        at += x->items[k].source.n;
    }
    int rc = x->n ? qdi_docs_run(&x->request, x->items, x->n, x->text.n, &x->arena, &run, &err) : 0;
    if (last) qdi_marks_refresh(&x->marks, a, x->request.task);
    if (last && !rc) qdi_marks_tell(&x->marks, x->items, x->n);
    for (uint32_t k = 0; k < x->n; k++) {
        if (rc)
            fail_result(x->t, x->which[k], &err);
        else
            take_result(x, k);
    }
    qdi_docs_free(run);
    qd_err_fini(&err);
    x->n = 0;
}

static int begin_batch(write_run *x, uint32_t left, qd_err *err)
{
    qd_arena_reset(&x->arena);
    qd_buf_fini(&x->text);
    qd_buf_init(&x->text, x->t->a->account, SOURCES_MAX);
    x->items = qd_arena_alloc(&x->arena, left * sizeof *x->items);
    x->which = qd_arena_alloc(&x->arena, left * sizeof *x->which);
    return x->items && x->which ? 0 : qd_err_nomem(err, "operations");
}

static void write_all(write_run *x, uint32_t n)
{
    qd_err err;
    qd_err_init(&err);
    uint32_t i = 0;
    int rc = 0;
    while (i < n && !rc) {
        rc = qd_task_check(x->request.task, &err);
        if (!rc) rc = begin_batch(x, n - i, &err);
        while (i < n && !rc && x->text.n < BATCH_BYTES) take(x, i++);
        if (!rc) run_batch(x, i == n);
    }
    if (rc) { /* what was written before is there and to be seen */
        qdi_marks_refresh(&x->marks, x->t->a, x->request.task);
        fail_rest(x->t, i, &err);
    }
    qd_err_fini(&err);
}

static int run_write(qdi_own_run *own, qd_request *q, qd_err *err)
{
    typed_call *t = (typed_call *)own;
    write_run x = {.t = t};
    x.request = (doc_request){.a = q->a,
                              .task = &q->task,
                              .hint = (uint32_t)qd_env_random_u64(q->a->env),
                              .marks = &x.marks};
    int rc = qd_param_ms(q, "timeout", TIMEOUT_MS, &x.request.timeout_ms, err);
    if (!rc) rc = qdi_refresh_param(q, &x.marks.refresh, err);
    if (!rc) rc = qdi_active_param(q, &x.request.active, err);
    if (!rc) rc = make_results(t, err);
    if (rc) return rc;
    qd_arena_init(&x.arena, q->a->account, 0);
    qd_buf_init(&x.text, q->a->account, SOURCES_MAX);
    write_all(&x, t->call->n);
    qdi_marks_fini(&x.marks);
    qd_buf_fini(&x.text);
    qd_arena_fini(&x.arena);
    return 0;
}

/* --- reading --- */

static qd_docs_read read_at(const qd_docs_call *c, uint32_t i)
{
    qd_docs_read r = {0};
    memcpy(&r, (const char *)c->reads + (size_t)i * c->item_size,
           c->item_size < sizeof r ? c->item_size : sizeof r);
    return r;
}

static int check_read(const qd_docs_read *r, qd_err *err)
{
    if (!r->index.n)
        return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: index is missing;");
    if (!r->id.n) return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: id is missing;");
    return check_texts(r->index, r->id, r->routing, err);
}

static int keep_source(typed_call *t, uint32_t i, const qd_json_filter *f, qd_str source,
                       qd_err *err)
{
    qd_buf part;
    qd_buf_init(&part, t->a->account, SOURCES_MAX);
    int rc = f ? qd_json_filter_apply(f, source, false, &part, err) : 0;
    if (!rc) t->sources[i] = qd_arena_str(&t->kept, f ? qd_buf_view(&part) : source);
    if (!rc && !t->sources[i].p) rc = qd_err_nomem(err, "source of a document");
    qd_buf_fini(&part);
    return rc;
}

static int read_one(typed_call *t, const qd_state *s, doc_get *g, uint32_t i, qd_arena *arena,
                    qd_err *err)
{
    qd_docs_result *r = &t->results[i];
    doc_got d = {0};
    int rc = qdi_doc_get(t->a, s, g, arena, &d, err);
    if (rc) return rc;
    r->index = qd_arena_str(&t->kept, d.index);
    r->status = d.doc.found ? 200 : 404;
    r->outcome = d.doc.found ? QD_DOCS_FOUND : QD_DOCS_NOT_FOUND;
    if (!d.doc.found) return 0;
    r->routing = qd_arena_str(&t->kept, d.doc.routing);
    r->seq_no = d.doc.seq_no;
    r->primary_term = (int64_t)d.doc.primary_term;
    r->version = (int64_t)d.doc.version;
    r->has_values = g->source.want && d.doc.source_stored;
    return r->has_values ? keep_source(t, i, g->source.filter, d.doc.source, err) : 0;
}

/* One after the other: what is kept of a document is the call's, the rest goes before the next. */
static void read_all(typed_call *t, qd_request *q, const qd_state *s, doc_get *gets,
                     const bool *bad)
{
    uint32_t n = t->call->n;
    qd_arena one;
    doc_read *fetched = qdi_many_nodes(t->a) ? qdi_docs_fetch(t->a, s, gets, n, q->arena) : NULL;
    qd_arena_init(&one, t->a->account, 0);
    for (uint32_t i = 0; i < n; i++) {
        qd_err err;
        qd_err_init(&err);
        gets[i].fetched = fetched ? &fetched[i] : NULL;
        int rc = bad[i] ? 0 : qd_task_check(&q->task, &err);
        if (!rc && !bad[i]) rc = read_one(t, s, &gets[i], i, &one, &err);
        if (rc) {
            t->results[i].has_values = 0;
            fail_result(t, i, &err);
        }
        if (fetched) qd_err_fini(&fetched[i].err);
        qd_arena_reset(&one);
        qd_err_fini(&err);
    }
    qd_arena_fini(&one);
}

static int run_read(qdi_own_run *own, qd_request *q, qd_err *err)
{
    typed_call *t = (typed_call *)own;
    const qd_docs_call *c = t->call;
    doc_source source = {.want = !(c->flags & QD_DOCS_NO_VALUES)};
    int rc = make_results(t, err);
    if (!rc && (c->nincludes || c->nexcludes))
        rc = qd_json_filter_make(q->arena, c->includes, c->nincludes, c->excludes, c->nexcludes,
                                 QD_JSON_FILTER_SOURCE, &source.filter, err);
    doc_get *gets = rc ? NULL : qd_arena_calloc(q->arena, c->n * sizeof *gets);
    bool *bad = rc ? NULL : qd_arena_calloc(q->arena, c->n * sizeof *bad);
    if (!rc) t->sources = qd_arena_calloc(&t->kept, c->n * sizeof *t->sources);
    if (!rc && (!gets || !bad || !t->sources)) rc = qd_err_nomem(err, "documents to read");
    if (rc) {
        t->results = NULL;
        return rc;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        qd_docs_read r = read_at(c, i);
        qd_err why;
        qd_err_init(&why);
        bad[i] = check_read(&r, &why) != 0;
        if (bad[i]) fail_result(t, i, &why);
        qd_err_fini(&why);
        gets[i] = (doc_get){.realtime = true, .source = source};
        if (!bad[i]) { /* else there is no index in which it is looked for */
            gets[i].index = r.index;
            gets[i].id = r.id;
            gets[i].routing = r.routing;
        }
        t->results[i].id = bad[i] ? (qd_str){NULL, 0} : qd_arena_str(&t->kept, r.id);
    }
    qd_state *s = qd_cluster_state(t->a->cluster);
    read_all(t, q, s, gets, bad);
    qd_state_unref(s);
    return 0;
}

/* --- the call --- */

/* The request as a whole has failed. */
static void failed(qdi_own_run *own, const qd_err *err)
{
    typed_call *t = (typed_call *)own;
    t->results = NULL;
    t->call->status = qd_err_status(err);
    t->call->error = keep_error(t, err, 0);
}

static void done(qd_op *op, int32_t rc)
{
    typed_call *t = op->user;
    qd_op_complete(&t->call->op, rc);
}

static void call_free(typed_call *t)
{
    qd_arena_fini(&t->kept);
    qd_free(t);
}

static int bad_call(qd_err *err, const char *what)
{
    return qd_err_set(err, QD_E_ARG, "call of documents: %s", what);
}

static int check_write_call(const qd_docs_call *c, qd_err *err)
{
    if (!c->writes || c->item_size < sizeof(qd_docs_write) || c->item_size > 4096)
        return bad_call(err, "writes of item_size bytes are wanted");
    if (c->refresh > QD_DOCS_REFRESH_WAIT_FOR) return bad_call(err, "refresh is unknown");
    if (c->active_copies < QD_DOCS_COPIES_ALL || c->timeout_ms < 0)
        return bad_call(err, "active_copies or timeout_ms is negative");
    return 0;
}

static int check_read_call(const qd_docs_call *c, qd_err *err)
{
    if (!c->reads || c->item_size < sizeof(qd_docs_read) || c->item_size > 4096)
        return bad_call(err, "reads of item_size bytes are wanted");
    if ((c->nincludes && !c->includes) || (c->nexcludes && !c->excludes))
        return bad_call(err, "patterns are missing");
    return 0;
}

static int check_call(const qd_docs_call *c, bool write, qd_err *err)
{
    if (!c || c->struct_size < sizeof *c || !c->op.done)
        return bad_call(err, "struct_size and op.done are wanted");
    if (c->n == 0 || c->n > QD_DOCS_CALL_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "call of documents: 1 to %u documents are wanted, found %u",
                          QD_DOCS_CALL_MAX, c->n);
    if (c->flags & ~(uint32_t)QD_DOCS_NO_VALUES) return bad_call(err, "flags are unknown");
    return write ? check_write_call(c, err) : check_read_call(c, err);
}

/* Options of a write as the parameters that they are everywhere. */
static void fill_params(typed_call *t)
{
    const qd_docs_call *c = t->call;
    uint32_t n = 0;
    if (c->refresh)
        t->params[n++] =
            (qd_pair){QD_STR("refresh"),
                      c->refresh == QD_DOCS_REFRESH_NOW ? QD_STR("true") : QD_STR("wait_for")};
    if (c->timeout_ms) {
        snprintf(t->timeout, sizeof t->timeout, "%lldms", (long long)c->timeout_ms);
        t->params[n++] = (qd_pair){QD_STR("timeout"), qd_str_c(t->timeout)};
    }
    if (c->active_copies) {
        snprintf(t->copies, sizeof t->copies, "%d", c->active_copies);
        t->params[n++] = (qd_pair){QD_STR("wait_for_active_shards"),
                                   c->active_copies > 0 ? qd_str_c(t->copies) : QD_STR("all")};
    }
    t->inner.params = t->params;
    t->inner.nparams = n;
}

/* As large as the body of a request may be. */
static int charge(typed_call *t, qd_err *err)
{
    const qd_docs_call *c = t->call;
    int64_t max = qd_config_i64(t->a->config, QD_SET_HTTP_MAX_CONTENT_LENGTH);
    size_t bytes = 0;
    for (uint32_t i = 0; i < c->n && bytes <= (size_t)max; i++) {
        qd_docs_write w = write_at(c, i);
        bytes += w.index.n + w.id.n + w.routing.n;
        if (w.values) bytes += qdi_typed_bytes(w.values, w.nvalues);
    }
    t->own.bytes = bytes;
    if (bytes <= (size_t)max) return 0;
    return qd_err_set(err, QD_E_TOO_LARGE,
                      "call of documents has more than %lld bytes (http.max_content_length)",
                      (long long)max);
}

int qdi_docs_submit(qd_actions *a, qd_account *account, qd_docs_call *c, bool write, qd_err *err)
{
    int rc = check_call(c, write, err);
    if (rc) return rc;
    typed_call *t = qd_calloc(account, sizeof *t);
    if (!t) return qd_err_nomem(err, "call of documents");
    t->call = c;
    t->a = a;
    t->account = account;
    t->own.run = write ? run_write : run_read;
    t->own.failed = failed;
    t->inner.origin = c->origin;
    t->inner.op.done = done;
    t->inner.op.user = t;
    qd_arena_init(&t->kept, account, 0);
    c->error = NULL;
    c->status = 200;
    if (write) {
        fill_params(t);
        rc = charge(t, err);
    }
    c->host[CALL_SLOT] = t;
    qd_op_anywhere(&c->op, c->op.done, c->op.user);
    if (!rc)
        rc = qdi_submit_own(a, &t->inner, qd_api_find(write ? QD_STR("bulk") : QD_STR("mget")),
                            &t->own, err);
    if (rc) {
        c->host[CALL_SLOT] = NULL;
        c->op.host[0] = NULL;
        call_free(t);
    }
    return rc;
}

/* --- the service's slots --- */

static int32_t write_docs(qd_self *self, qd_docs_call *c, qd_err *err)
{
    return qdi_docs_submit(qd_plugin_service_arg(self, QD_SERVICE_DOCUMENTS),
                           qd_plugin_self_account(self), c, true, err);
}

static int32_t read_docs(qd_self *self, qd_docs_call *c, qd_err *err)
{
    return qdi_docs_submit(qd_plugin_service_arg(self, QD_SERVICE_DOCUMENTS),
                           qd_plugin_self_account(self), c, false, err);
}

static void cancel(qd_docs_call *c)
{
    const typed_call *t = c->host[CALL_SLOT];
    /* it may have ended: only the registry knows */
    if (t && qd_tasks_cancel_id(t->a->tasks, t->own.task, "the client has gone away", NULL)) return;
}

static const qd_docs_result *result(const qd_docs_call *c, uint32_t i)
{
    const typed_call *t = c->host[CALL_SLOT];
    return t && t->results && i < c->n ? &t->results[i] : NULL;
}

static int32_t open_cursor(const qd_docs_call *c, uint32_t i, qd_docs_cursor **out, qd_err *err)
{
    const typed_call *t = c->host[CALL_SLOT];
    const qd_docs_result *r = result(c, i);
    if (!r || !r->has_values || !t->sources)
        return qd_err_set(err, QD_E_NOTFOUND, "document [%u] of the call has no values", i);
    return qdi_cursor_open(t->account, t->sources[i], out, err);
}

static void release(qd_docs_call *c)
{
    typed_call *t = c->host[CALL_SLOT];
    c->host[CALL_SLOT] = NULL;
    c->error = NULL;
    if (t) call_free(t);
}

static const qd_svc_documents service = {
    .head = {.struct_size = sizeof service, .major = 0, .minor = 1},
    .write = write_docs,
    .read = read_docs,
    .cancel = cancel,
    .result = result,
    .open = open_cursor,
    .next = qdi_cursor_next,
    .skip = qdi_cursor_skip,
    .close = qdi_cursor_close,
    .release = release,
};

const qd_vtable *qd_documents_service(void)
{
    return &service.head;
}
