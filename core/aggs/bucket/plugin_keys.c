/*
 * plugin_keys.c: a plugin maps values to keys: the call, and what it gives back, checked.
 */
#include "aggs/bucket/plugin_buckets.h"
#include <math.h>

#define PER_CALL_MAX (1u << 24) /* keys of all values of a call */

/* What the plugin writes to, for one of its calls. */
typedef struct room {
    uint32_t room, *of;
    int64_t *i64;
    double *f64;
    qd_str *text;
} room;

static int32_t room_make(qdi_plugin_call *x, room *r)
{
    uint32_t n = r->room = x->n > QD_AGGREGATION_KEYS_MAX ? x->n : QD_AGGREGATION_KEYS_MAX;
    r->of = qd_alloc(x->account, n * sizeof *r->of);
    void *keys =
        qd_alloc(x->account, n * (x->key_type == QD_AGGREGATION_TEXT ? sizeof(qd_str) : 8));
    if (x->key_type == QD_AGGREGATION_TEXT)
        r->text = keys;
    else if (x->key_type == QD_AGGREGATION_F64)
        r->f64 = keys;
    else
        r->i64 = keys;
    return r->of && keys ? 0 : qdi_aggs_no_memory(x->account, n * 20ul, "keys", &x->err);
}

static void room_free(room *r)
{
    qd_free(r->of);
    qd_free(r->i64);
    qd_free(r->f64);
    qd_free(r->text);
}

static int32_t wrong(qdi_plugin_call *x, const char *what, uint64_t found, uint64_t most)
{
    return qd_err_set(&x->err, QD_E_PLUGIN,
                      "aggregation [%s] of plugin [%s]: keys gave %s %llu, at most %llu is allowed",
                      x->s->name, qd_plugin_self_name(x->s->sdk.self), what,
                      (unsigned long long)found, (unsigned long long)most);
}

/* A text into x. */
static int32_t take_text(qdi_plugin_call *x, qd_str text, uint32_t at)
{
    if (text.n > QD_AGGREGATION_TEXT_MAX)
        return wrong(x, "a text of length", text.n, QD_AGGREGATION_TEXT_MAX);
    x->key[at] = (int64_t)x->bytes.n;
    x->key_bytes[at] = (uint32_t)text.n;
    return text.n && qd_buf_str(&x->bytes, text) ? x->bytes.failed : 0;
}

/* n keys into x, behind those that are there. */
static int32_t take(qdi_plugin_call *x, const room *r, uint32_t n)
{
    int64_t *to = x->key + x->nkeys;
    int32_t rc = 0;
    bool nan = false;
    if (r->i64) memcpy(to, r->i64, n * sizeof *to);
    for (uint32_t i = 0; r->f64 && i < n; i++) {
        nan |= isnan(r->f64[i]);
        to[i] = qd_sortable_f64(r->f64[i] + 0.0); /* of both zeros the positive one */
    }
    if (nan)
        return qd_err_set(&x->err, QD_E_PLUGIN,
                          "aggregation [%s] of plugin [%s]: keys gave a key that is no number",
                          x->s->name, qd_plugin_self_name(x->s->sdk.self));
    for (uint32_t i = 0; rc == 0 && r->text && i < n; i++)
        rc = take_text(x, r->text[i], x->nkeys + i);
    return rc;
}

/* What a call of the plugin gave for values from number `from` on. */
static int32_t take_all(qdi_plugin_call *x, const room *r, const qd_aggregation_keys *out,
                        uint32_t from)
{
    uint32_t left = x->n - from, want = x->nkeys + out->n;
    if (out->n > r->room) return wrong(x, "a number of keys", out->n, r->room);
    if (out->done > left) return wrong(x, "a number of values", out->done, left);
    if (out->done == 0)
        return qd_err_set(&x->err, QD_E_PLUGIN,
                          "aggregation [%s] of plugin [%s]: keys mapped no value, with room for "
                          "%u keys",
                          x->s->name, qd_plugin_self_name(x->s->sdk.self), r->room);
    if (want > PER_CALL_MAX) return wrong(x, "a number of keys", want, PER_CALL_MAX);
    int32_t rc = qdi_aggs_grow(x->account, &x->key_of, &x->room_of, want, 4, &x->err);
    if (!rc) rc = qdi_aggs_grow(x->account, &x->key, &x->room_key, want, 8, &x->err);
    if (!rc && r->text)
        rc = qdi_aggs_grow(x->account, &x->key_bytes, &x->room_bytes, want, 4, &x->err);
    for (uint32_t i = 0, first = 0; rc == 0 && i < out->n; i++) {
        if (r->of[i] != r->of[first]) first = i;
        if (i - first >= QD_AGGREGATION_KEYS_MAX)
            return wrong(x, "to a value a number of keys of", i - first + 1,
                         QD_AGGREGATION_KEYS_MAX);
        if (r->of[i] >= out->done) return wrong(x, "value number", r->of[i], out->done - 1);
        if (i && r->of[i] < r->of[i - 1])
            return qd_err_set(&x->err, QD_E_PLUGIN,
                              "aggregation [%s] of plugin [%s]: keys gave value number %u after %u",
                              x->s->name, qd_plugin_self_name(x->s->sdk.self), r->of[i],
                              r->of[i - 1]);
        x->key_of[x->nkeys + i] = from + r->of[i];
    }
    if (rc == 0) rc = take(x, r, out->n);
    x->nkeys = want;
    return rc;
}

static int32_t run_keys(qd_guest_call *call)
{
    qdi_plugin_call *x = (qdi_plugin_call *)(void *)call;
    room r = {0};
    int32_t rc = room_make(x, &r);
    x->nkeys = 0;
    x->bytes.n = 0;
    for (uint32_t from = 0; rc == 0 && from < x->n;) {
        qd_aggregation_values in = {.struct_size = sizeof in, .n = x->n - from, .type = x->type};
        qd_aggregation_keys out = {.struct_size = sizeof out,
                                   .room = r.room,
                                   .of = r.of,
                                   .i64 = r.i64,
                                   .f64 = r.f64,
                                   .text = r.text};
        if (x->type == QD_AGGREGATION_I64)
            in.i64 = x->numbers + from;
        else if (x->type == QD_AGGREGATION_F64)
            in.f64 = x->values + from;
        else
            in.text = x->parts + from;
        rc = x->s->vt->keys(x->collector, &in, &out, &x->err);
        if (rc == 0) rc = take_all(x, &r, &out, from);
        from += out.done;
        if (rc == 0 && atomic_load_explicit(&x->s->task.stop, memory_order_relaxed))
            rc = QD_E_CANCELLED;
    }
    room_free(&r);
    return rc;
}

int qdi_plugin_keys_ask(qdi_plugin_call **px, qd_task *task, qd_err *err)
{
    return qdi_plugin_do_call(px, "keys", run_keys, task, err);
}
