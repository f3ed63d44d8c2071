/*
 * call.c: calls of aggregations of plugins: what they own, how they are handed over, parse, and
 * the collector of a shard.
 */
#include "aggs/bind/bind_int.h"
#include "aggs/plugin/plugin_int.h"
#include <stdio.h>

#define BYTES_MAX                                                                                  \
    ((size_t)1 << 30) /* of all results of a call, and of what they are written as                 \
                       */

static void scope_unref(void *arg)
{
    qdi_plugin_scope *s = arg;
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    qd_arena_fini(&s->arena);
    qd_free(s);
}

void qdi_plugin_call_free(qdi_plugin_call *x)
{
    if (!x) return;
    qd_json_reader_fini(&x->json);
    qd_err_fini(&x->err);
    qd_free(x->owner);
    qd_free(x->values);
    qd_free(x->text_of);
    qd_free(x->docs);
    qd_free(x->ends);
    qd_free(x->members);
    qd_free(x->parts);
    qd_free(x->last);
    qd_free(x->text_ends);
    qd_free(x->numbers);
    qd_free(x->key_of);
    qd_free(x->key);
    qd_free(x->key_bytes);
    qd_free(x->buckets);
    qd_buf_fini(&x->bytes);
    qd_buf_fini(&x->in);
    qd_buf_fini(&x->text);
    scope_unref(x->s);
    qd_free(x);
}

/* A call that was left has returned at last: nobody else ends it. */
static void call_left(qd_guest_call *call)
{
    qdi_plugin_call *x = (qdi_plugin_call *)(void *)call;
    if (x->collector) x->s->vt->close(x->collector);
    qdi_plugin_call_free(x);
}

qdi_plugin_call *qdi_plugin_call_make(qdi_plugin_scope *s, qd_account *account)
{
    qdi_plugin_call *x = qd_calloc(account, sizeof *x);
    if (!x) return NULL;
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    x->s = s;
    x->account = account;
    x->json = (qd_json_reader)QD_JSON_READER(account);
    qd_err_init(&x->err);
    qd_buf_init(&x->bytes, account, BYTES_MAX);
    qd_buf_init(&x->in, account, BYTES_MAX);
    qd_buf_init(&x->text, account, BYTES_MAX);
    x->call = (qd_guest_call){
        .left = call_left, .self = s->sdk.self, .kind = "aggregation", .placed = "request"};
    memcpy(x->call.name, s->name, sizeof x->call.name);
    memcpy(x->call.place, s->place, sizeof x->call.place);
    return x;
}

int qdi_plugin_do_call(qdi_plugin_call **px, const char *what, int32_t (*run)(qd_guest_call *),
                       qd_task *task, qd_err *err)
{
    qdi_plugin_call *x = *px;
    bool ran;
    x->call.what = what;
    x->call.run = run;
    int rc = qd_guest_run(qd_plugin_guests(x->s->sdk.self), &x->call, task, &ran, err);
    if (rc) {
        if (!ran) return rc;
        atomic_store(&x->s->task.stop, QD_TASK_CANCELLED);
        *px = NULL;
        return rc;
    }
    return x->call.rc ? qd_guest_failed(&x->call, &x->err, err) : 0;
}

int qdi_plugin_no_memory(qd_account *account, qd_err *err)
{
    return qdi_aggs_no_memory(account, 4096, "aggregations of plugins", err);
}

/* --- parse ------------------------------------------------------------------------------------ */

static int32_t run_parse(qd_guest_call *call)
{
    qdi_plugin_call *x = (qdi_plugin_call *)(void *)call;
    qdi_plugin_scope *s = x->s;
    return s->vt->parse(&s->sdk, qd_plugin_json_in(&x->json), &s->parsed, &x->err);
}

/* Line and column of a node's value in the request. */
static void place(const qdi_parse *p, const qd_json_node *n, uint32_t *line, uint32_t *column)
{
    const char *c = p->how->body.p, *begin = c, *end = c ? c + p->how->body.n : c;
    *line = *column = 1;
    if (!c || n->raw.p < c || n->raw.p > end) return;
    for (; c < n->raw.p; c++)
        if (*c == '\n') {
            ++*line;
            begin = c + 1;
        }
    *column = (uint32_t)(c - begin) + 1;
}

int qdi_plugin_parse(qdi_parse *p, qdi_agg *a)
{
    const qdi_plugin_row *row = qdi_plugin_row_of(a);
    uint32_t line, column;
    int rc = qdi_aggs_common(p, a, true);
    if (rc) return rc;
    bool *waits = p->how->reading->must_not_wait;
    if (waits) { /* a plugin may take its time */
        *waits = true;
        return qd_err_set(p->err, QD_E_STATE, "a plugin's aggregation in a brief search");
    }
    qdi_plugin_scope *s = qd_calloc(NULL, sizeof *s);
    if (!s) return qd_err_nomem(p->err, "aggregations");
    atomic_store(&s->refs, 1);
    qd_arena_init(&s->arena, p->arena->account, p->arena->max);
    s->task.magic = QD_TASK_MAGIC;
    s->sdk = (qd_aggregation_ctx){
        .struct_size = sizeof s->sdk, .self = row->self, .arena = &s->arena, .task = &s->task};
    s->vt = row->vt;
    s->nmembers = row->nmembers;
    snprintf(s->name, sizeof s->name, "%s", a->type->name);
    snprintf(s->place, sizeof s->place, "[%.*s]", QD_STR_ARG(a->name));
    *row->scope = s;
    if (qd_arena_on_reset(p->arena, scope_unref, s)) return qd_err_nomem(p->err, "aggregations");
    qdi_plugin_call *x = qdi_plugin_call_make(s, p->arena->account);
    qd_str text = qd_arena_str(&s->arena, a->json->raw);
    if (!x || !text.p) {
        qdi_plugin_call_free(x);
        return qd_err_nomem(p->err, "aggregations");
    }
    place(p, a->json, &line, &column);
    qd_json_reader_init(&x->json, text, QD_JSON_REQUEST | QD_JSON_ONE_VALUE, 0);
    qd_json_reader_at(&x->json, line, column);
    rc = qdi_plugin_do_call(&x, "parse", run_parse, NULL, p->err);
    qdi_plugin_call_free(x);
    return rc;
}

int qdi_plugin_bind(qdi_binder *x, qdi_bound *b)
{
    x->uncacheable |= !(qdi_plugin_row_of(b->def)->vt->head.flags & QD_AGGREGATION_CACHEABLE);
    return 0;
}

int qdi_plugin_check_version(const qdi_agg *a, uint32_t version, qd_err *err)
{
    const qdi_plugin_row *row = qdi_plugin_row_of(a);
    if (version == row->vt->result_version) return 0;
    return qd_err_set(err, QD_E_PLUGIN,
                      "aggregation [%.*s] of type [%s]: a node's plugin [%s] makes results of "
                      "version [%u], this node's of version [%u]",
                      QD_STR_ARG(a->name), a->type->name, qd_plugin_self_name(row->self), version,
                      row->vt->result_version);
}

/* --- a shard ---------------------------------------------------------------------------------- */

static int32_t run_open(qd_guest_call *call)
{
    qdi_plugin_call *x = (qdi_plugin_call *)(void *)call;
    return x->s->vt->open(&x->s->sdk, x->s->parsed, &x->collector, &x->err);
}

static int32_t run_close(qd_guest_call *call)
{
    qdi_plugin_call *x = (qdi_plugin_call *)(void *)call;
    x->s->vt->close(x->collector);
    x->collector = NULL;
    return 0;
}

int qdi_plugin_gone(qd_err *err)
{
    return qd_err_set(err, QD_E_CANCELLED, "an earlier call of the aggregation was left");
}

int qdi_plugin_open(qdi_plugin_scope *s, qd_account *account, qd_task *task, qdi_plugin_call **out,
                    qd_err *err)
{
    *out = qdi_plugin_call_make(s, account);
    if (!*out) return qdi_plugin_no_memory(account, err);
    int rc = qdi_plugin_do_call(out, "open", run_open, task, err);
    if (rc == 0 && !(*out)->collector)
        rc = qd_err_set(err, QD_E_PLUGIN, "aggregation [%s] opened no collector", s->name);
    return rc;
}

void qdi_plugin_close(qdi_plugin_call *x)
{
    if (!x) return;
    x->call.ends = true;
    if (x->collector) (void)qdi_plugin_do_call(&x, "close", run_close, NULL, NULL);
    qdi_plugin_call_free(x);
}
