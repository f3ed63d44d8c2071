/*
 * plugin.c: metrics of plugins (quidditch/aggregation.h) as rows like ours: each request makes the
 * row of a name that it uses.
 *
 * A call of a plugin may never return (plugin/guest.h): what it works with is an allocation of its
 * own, and handing a call over costs as much as thousands of values. So values are gathered over
 * batches (strings by plugin_texts.c), results of all owners are asked for at once, and what meets
 * in a merge waits until somebody looks at a value or the merge ends (qdi_aggs_plugin_settle).
 */
#include "aggs/bind/bind_int.h"
#include "aggs/bucket/plugin_buckets.h"
#include "aggs/metric/plugin_texts.h"
#include "aggs/reduce/reduce_int.h"
#include <math.h>

/* The value of a result. */
typedef struct value {
    uint32_t version;               /* of the bytes */
    qd_str bytes;                   /* n 0: no values */
    double *at;                     /* by member; NULL: not known (yet) */
    const qd_json_node *json;       /* WRITES, final: what the plugin wrote */
    struct qdi_plugin_batch *batch; /* where the bytes will come from; NULL: they are here */
} value;

static value *value_of(const qdi_out *o)
{
    return o->value;
}

/* Which member a name is; nmembers: none. */
static uint32_t member_of(const qdi_agg *a, qd_str name)
{
    const qdi_plugin_row *row = qdi_plugin_row_of(a);
    if (!row->vt->members) return 0;
    qd_str rest = qd_str_c(row->vt->members);
    for (uint32_t i = 0; rest.p; i++)
        if (qd_str_eq(qd_str_split(&rest, ','), name)) return i;
    return row->nmembers;
}

static bool plugin_has_member(const qdi_agg *a, qd_str m)
{
    return member_of(a, m) < qdi_plugin_row_of(a)->nmembers;
}

/* --- a shard ---------------------------------------------------------------------------------- */

typedef qdi_plugin_metric state;

static int32_t run_collect(qd_guest_call *call)
{
    qdi_plugin_call *x = (qdi_plugin_call *)(void *)call;
    qd_aggregation_block b = {.struct_size = sizeof b,
                              .n = x->n,
                              .owners = x->owners,
                              .owner = x->owner,
                              .value = x->values,
                              .text = x->parts,
                              .text_of = x->text_of,
                              .doc = x->docs,
                              .ntexts = x->nparts};
    x->n = x->nparts = 0;
    x->in.n = 0;
    return x->s->vt->collect(x->collector, &b, &x->err);
}

/* Appends a result that the plugin wrote to `to`, and its values. */
static int32_t take_result(qdi_plugin_call *x, uint32_t i, qd_aggregation_bytes *to)
{
    const qd_aggregation_vtable *vt = x->s->vt;
    double *at = x->members + (size_t)i * x->s->nmembers;
    if (to->n > to->room)
        return qd_err_set(&x->err, QD_E_PLUGIN,
                          "aggregation [%s] wrote a result of %u bytes where %u are allowed",
                          x->s->name, to->n, to->room);
    x->bytes.n += to->n;
    x->ends[i] = x->bytes.n;
    int32_t rc = 0;
    for (uint32_t m = 0; rc == 0 && m < x->s->nmembers; m++) {
        at[m] = NAN;
        if (to->n)
            rc = vt->value(&x->s->sdk, x->s->parsed, (qd_str){(const char *)to->p, to->n}, m,
                           &at[m], &x->err);
    }
    return rc;
}

static int32_t room_for(qdi_plugin_call *x, qd_aggregation_bytes *to)
{
    *to = (qd_aggregation_bytes){.room = x->s->vt->result_max};
    to->p = (uint8_t *)qd_buf_reserve(&x->bytes, to->room);
    return to->p ? 0 : x->bytes.failed;
}

static int32_t run_results(qd_guest_call *call)
{
    qdi_plugin_call *x = (qdi_plugin_call *)(void *)call;
    int32_t rc = 0;
    for (uint32_t i = 0; rc == 0 && i < x->k; i++) {
        qd_aggregation_bytes to;
        if ((rc = room_for(x, &to))) break;
        rc = x->s->vt->result(x->collector, i, &to, &x->err);
        if (rc == 0) rc = take_result(x, i, &to);
        if (rc == 0 && atomic_load_explicit(&x->s->task.stop, memory_order_relaxed))
            rc = QD_E_CANCELLED;
    }
    return rc;
}

static int plugin_open(qdi_aggr *a, qd_err *err)
{
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (!t) return qdi_plugin_no_memory(a->shard->account, err);
    if (!a->src) return 0;
    if (a->bound->values == QDI_ORD) a->src->want_dict = true;
    return qdi_plugin_open(qdi_plugin_scope_of(a->def), a->shard->account, a->shard->o.task, &t->x,
                           err);
}

int qdi_plugin_flush(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    if (!t->x) return qdi_plugin_gone(err);
    if (t->x->n == 0) return 0;
    t->x->owners = a->owners ? a->owners : 1;
    const char *from = t->x->in.p;
    for (uint32_t i = 0; i < t->x->nparts; i++) { /* the buffer may have moved since */
        t->x->parts[i].p = t->x->parts[i].n ? from : "";
        from += t->x->parts[i].n;
    }
    return qdi_plugin_do_call(&t->x, "collect", run_collect, a->shard->o.task, err);
}

/* Room for more pairs, by calling the plugin where there is no more. */
static int reserve(qdi_aggr *a, uint32_t more, qd_err *err)
{
    state *t = a->state;
    qdi_plugin_call *x = t->x;
    if (!x) return qdi_plugin_gone(err);
    if (x->n + more <= x->room) return 0;
    uint32_t room = x->room ? x->room : 4096;
    while (room < QDI_PLUGIN_VALUES_MAX && room < x->n + more) room *= 2;
    if (room > x->room) {
        double *v = qd_realloc(x->account, x->values, room * sizeof *v);
        if (!v) return qdi_plugin_no_memory(x->account, err);
        x->values = v;
        if (!a->single) {
            uint32_t *o = qd_realloc(x->account, x->owner, room * sizeof *o);
            if (!o) return qdi_plugin_no_memory(x->account, err);
            x->owner = o;
        }
        x->room = room;
    }
    return x->n + more <= room ? 0 : qdi_plugin_flush(a, err);
}

static int add(qdi_aggr *a, const double *v, uint32_t n, uint32_t owner, qd_err *err)
{
    state *t = a->state;
    while (n) {
        uint32_t k = n < QDI_PLUGIN_VALUES_MAX ? n : QDI_PLUGIN_VALUES_MAX;
        int rc = reserve(a, k, err);
        if (rc) return rc;
        qdi_plugin_call *x = t->x;
        memcpy(x->values + x->n, v, k * sizeof *v);
        if (x->owner)
            for (uint32_t i = 0; i < k; i++) x->owner[x->n + i] = owner;
        x->n += k;
        v += k;
        n -= k;
    }
    return 0;
}

static int plugin_leaf(qdi_aggr *a, qd_err *err)
{
    return a->src && a->bound->values == QDI_ORD ? qdi_plugin_texts_leaf(a, err) : 0;
}

static int plugin_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                          qd_err *err)
{
    state *t = a->state;
    qdi_source *s = a->src;
    if (!s) return 0;
    if (a->bound->values == QDI_ORD) return qdi_plugin_texts_collect(a, idx, owner, n, err);
    int rc = !idx && !owner ? qdi_aggs_source_load(a->shard, s, err)
                            : qdi_aggs_source_index(a->shard, s, err);
    if (!rc) rc = qdi_aggs_source_f64(a->shard, s, err);
    if (rc) return rc;
    if (!idx && !owner) return add(a, s->f64, s->n, 0, err);
    if (!s->one || n > QDI_PLUGIN_VALUES_MAX) {
        for (uint32_t i = 0; rc == 0 && i < n; i++) {
            uint32_t from, to;
            qdi_source_doc(s, idx ? idx[i] : i, &from, &to);
            rc = add(a, s->f64 + from, to - from, owner ? owner[i] : 0, err);
        }
        return rc;
    }
    rc = reserve(a, n, err);
    if (rc) return rc;
    qdi_plugin_call *x = t->x;
    for (uint32_t i = 0; i < n; i++) x->values[x->n + i] = s->f64[idx ? idx[i] : i];
    if (x->owner && owner)
        memcpy(x->owner + x->n, owner, n * sizeof *owner);
    else if (x->owner)
        memset(x->owner + x->n, 0, n * sizeof *x->owner);
    x->n += n;
    return 0;
}

/* All owners at once: a call for each would cost more than what it does. */
static int plugin_finish(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    if (!a->src) return 0;
    int rc = qdi_plugin_flush(a, err);
    if (rc) return rc;
    qdi_plugin_call *x = t->x;
    x->k = a->owners;
    x->ends = qd_alloc(x->account, (x->k + 1ul) * sizeof *x->ends);
    x->members = qd_alloc(x->account, (x->k * (size_t)x->s->nmembers + 1) * sizeof *x->members);
    if (!x->ends || !x->members) {
        x->k = 0;
        return qdi_plugin_no_memory(x->account, err);
    }
    return qdi_plugin_do_call(&t->x, "result", run_results, a->shard->o.task, err);
}

static int plugin_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    const state *t = a->state;
    const qdi_plugin_call *x = t->x;
    if (!x || owner >= x->k) return 0;
    size_t from = owner ? x->ends[owner - 1] : 0, n = x->ends[owner] - from;
    value_of(out)->version = qdi_plugin_row_of(a->def)->vt->result_version;
    if (n == 0) return 0;
    value_of(out)->bytes = qd_arena_str(&a->shard->partial->arena, (qd_str){x->bytes.p + from, n});
    return value_of(out)->bytes.p ? 0 : qdi_plugin_no_memory(a->shard->account, err);
}

static double plugin_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    const state *t = a->state;
    uint32_t m = member_of(a->def, member);
    if (!t->x || owner >= t->x->k || m >= t->x->s->nmembers) return NAN;
    return t->x->members[(size_t)owner * t->x->s->nmembers + m];
}

static void plugin_close(qdi_aggr *a)
{
    const state *t = a->state;
    if (!t) return;
    qdi_plugin_close(t->x);
    qd_free(t->known);
}

static const qdi_ops ops = {.reads = QDI_READS_VALUES,
                            .open = plugin_open,
                            .leaf = plugin_leaf,
                            .collect = plugin_collect,
                            .finish = plugin_finish,
                            .build = plugin_build,
                            .metric = plugin_metric,
                            .close = plugin_close};

/* --- merging ---------------------------------------------------------------------------------- */

/* Results of one aggregation that wait for the plugin. */
typedef struct qdi_plugin_batch {
    qdi_reduce *r;
    qdi_plugin_scope *s;
    qdi_plugin_call *x;
    qdi_out **outs;
    uint32_t room_outs, room_parts, room_last, nparts;
    int rc; /* of a call whose result nobody looks at */
    qd_err err;
    struct qdi_plugin_batch *next;
} qdi_plugin_batch;

static int32_t run_merges(qd_guest_call *call)
{
    qdi_plugin_call *x = (qdi_plugin_call *)(void *)call;
    const qd_aggregation_vtable *vt = x->s->vt;
    const char *from = x->in.p;
    uint32_t p = 0;
    int32_t rc = 0;
    for (uint32_t i = 0; rc == 0 && i < x->k; i++) {
        qd_aggregation_bytes to;
        uint32_t first = p;
        if ((rc = room_for(x, &to))) break;
        for (; p < x->last[i]; p++) { /* the buffer may have moved since they were written down */
            x->parts[p].p = from;
            from += x->parts[p].n;
        }
        if (p > first)
            rc = vt->reduce(&x->s->sdk, x->s->parsed, x->parts + first, p - first, &to, &x->err);
        if (rc == 0) rc = take_result(x, i, &to);
        if (rc == 0 && atomic_load_explicit(&x->s->task.stop, memory_order_relaxed))
            rc = QD_E_CANCELLED;
        if (rc || !x->final || !(vt->head.flags & QD_AGGREGATION_WRITES)) continue;
        qd_json_writer w;
        qd_json_writer_init(&w, &x->text, false);
        qd_json_object(&w);
        rc = vt->write(&x->s->sdk, x->s->parsed, (qd_str){(const char *)to.p, to.n},
                       qd_plugin_json_out(&w), &x->err);
        if (rc == 0 && (w.depth != 1 || w.after_key))
            rc = qd_err_set(&x->err, QD_E_PLUGIN,
                            "aggregation [%s] wrote what is no list of members", x->s->name);
        if (rc == 0) qd_json_object_end(&w);
        if (rc == 0) rc = x->text.failed;
        x->text_ends[i] = x->text.n;
    }
    return rc;
}

/* What waits in b becomes results. */
static int settle(qdi_plugin_batch *b, qd_err *err)
{
    qdi_plugin_call *x = b->x;
    qd_arena *arena = b->r->arena;
    b->x = NULL;
    if (!x) return 0;
    uint32_t k = x->k, m = b->s->nmembers;
    x->ends = qd_alloc(x->account, (k + 1ul) * sizeof *x->ends);
    x->text_ends = qd_calloc(x->account, (k + 1ul) * sizeof *x->text_ends);
    x->members = qd_alloc(x->account, (k * (size_t)m + 1) * sizeof *x->members);
    int rc = x->ends && x->members && x->text_ends ? 0 : qdi_plugin_no_memory(x->account, err);
    if (rc == 0) rc = qdi_plugin_do_call(&x, "reduce", run_merges, NULL, err);
    qd_str bytes = {NULL, 0}, text = {NULL, 0};
    double *at = rc ? NULL : qd_arena_alloc(arena, (k * (size_t)m + 1) * sizeof *at);
    if (at) {
        memcpy(at, x->members, k * (size_t)m * sizeof *at);
        bytes = qd_arena_str(arena, (qd_str){x->bytes.n ? x->bytes.p : "", x->bytes.n});
        text = qd_arena_str(arena, (qd_str){x->text.n ? x->text.p : "", x->text.n});
    }
    if (rc == 0 && (!bytes.p || !text.p)) rc = qdi_plugin_no_memory(arena->account, err);
    for (uint32_t i = 0; i < k; i++) {
        value *v = value_of(b->outs[i]);
        v->batch = NULL;
        if (rc) continue;
        size_t from = i ? x->ends[i - 1] : 0, begin = i ? x->text_ends[i - 1] : 0;
        v->bytes = (qd_str){bytes.p + from, x->ends[i] - from};
        v->at = at + (size_t)i * m;
        if (!text.n) continue;
        qd_json_node *json;
        qd_str one = {text.p + begin, x->text_ends[i] - begin};
        if (qd_json_parse(arena, one, 64, &json, NULL) || json->type != QD_JSON_T_OBJECT)
            rc = qd_err_set(err, QD_E_PLUGIN,
                            "aggregation [%s] of plugin [%s] wrote what is no JSON", b->s->name,
                            qd_plugin_self_name(b->s->sdk.self));
        else
            v->json = json;
    }
    qdi_plugin_call_free(x);
    return rc;
}

int qdi_aggs_plugin_settle(qdi_reduce *r, qd_err *err)
{
    int rc = 0;
    for (qdi_plugin_batch *b = r->pending; b; b = b->next) {
        if (rc == 0 && b->rc) {
            rc = b->rc;
            qd_err_copy(err, &b->err);
        }
        if (rc == 0 && err) rc = settle(b, err);
        qdi_plugin_call_free(b->x);
        qd_err_fini(&b->err);
        qd_free(b->outs);
    }
    r->pending = NULL;
    int written = qdi_plugin_members_settle(r, rc ? NULL : err);
    return rc ? rc : written;
}

static int batch_of(qdi_reduce *r, const qdi_agg *def, qdi_plugin_batch **out, qd_err *err)
{
    qdi_plugin_scope *s = qdi_plugin_scope_of(def);
    qdi_plugin_batch *b = r->pending;
    while (b && b->s != s) b = b->next;
    if (!b) {
        b = qd_arena_calloc(r->arena, sizeof *b);
        if (!b) return qdi_aggs_reduce_no_memory(r, sizeof *b, err);
        b->r = r;
        b->s = s;
        qd_err_init(&b->err);
        b->next = r->pending;
        r->pending = b;
    }
    if (!b->x) {
        b->x = qdi_plugin_call_make(s, r->arena->account);
        if (!b->x) return qdi_aggs_reduce_no_memory(r, sizeof *b->x, err);
        b->x->final = r->final;
        b->nparts = b->room_parts = b->room_last = 0;
    }
    *out = b;
    return 0;
}

static int plugin_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    qdi_plugin_batch *b = NULL;
    int rc = batch_of(r, out->def, &b, err);
    if (rc) return rc;
    qdi_plugin_call *x = b->x;
    qd_account *account = r->arena->account;
    rc = qdi_aggs_grow(account, &b->outs, &b->room_outs, x->k + 1, sizeof(qdi_out *), err);
    if (!rc) rc = qdi_aggs_grow(account, &x->last, &b->room_last, x->k + 1, sizeof(uint32_t), err);
    if (!rc)
        rc = qdi_aggs_grow(account, &x->parts, &b->room_parts, b->nparts + k + 1, sizeof(qd_str),
                           err);
    value_of(out)->version = b->s->vt->result_version;
    for (uint32_t i = 0; rc == 0 && i < k; i++) {
        qd_str bytes = value_of(in[i])->bytes;
        if (!bytes.n) continue;
        rc = qdi_plugin_check_version(out->def, value_of(in[i])->version, err);
        if (rc) return rc;
        if (qd_buf_str(&x->in, bytes)) rc = qdi_aggs_reduce_no_memory(r, bytes.n, err);
        x->parts[b->nparts++] = bytes;
    }
    if (rc) return rc;
    x->last[x->k] = b->nparts;
    b->outs[x->k++] = out;
    value_of(out)->batch = b;
    return 0;
}

static double plugin_value(const qdi_out *o, qd_str member)
{
    const value *v = value_of(o);
    uint32_t m = member_of(o->def, member);
    if (v->batch && !v->batch->rc) v->batch->rc = settle(v->batch, &v->batch->err);
    return v->at && m < qdi_plugin_row_of(o->def)->nmembers ? v->at[m] : NAN;
}

/* --- wire and answer -------------------------------------------------------------------------- */

static void plugin_send(const qdi_out *o, qd_writer *w)
{
    qd_write_varint(w, qdi_plugin_row_of(o->def)->vt->result_version);
    qd_write_str(w, value_of(o)->bytes);
}

static void plugin_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    (void)tree; /* a wrong version is refused in the merge, where the error can tell whose it is */
    value_of(o)->version = (uint32_t)qd_read_varint_max(r, "aggregation.version", UINT32_MAX);
    value_of(o)->bytes =
        qd_read_str_copy(r, "aggregation.result", QD_AGGREGATION_RESULT_MAX, arena);
}

static void plugin_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    const value *v = value_of(o);
    if (!(qdi_plugin_row_of(o->def)->vt->head.flags & QD_AGGREGATION_WRITES)) {
        qdi_aggs_write_single(o, typed, w);
        return;
    }
    for (const qd_json_node *m = v->json ? v->json->first : NULL; m; m = m->next) {
        qd_json_key(w, m->key);
        qd_json_raw_value(w, m->raw);
    }
}

static const qd_agg_type plugin_type = {
    .flags = QDI_METRIC | QDI_VALUES,
    .value_size = sizeof(value),
    .parse = qdi_plugin_parse,
    .bind = qdi_plugin_bind,
    .ops = &ops,
    .reduce = plugin_reduce,
    .value = plugin_value,
    .send = plugin_send,
    .receive = plugin_receive,
    .write = plugin_write,
};

/* What its flags do not say of a table. */
static int check_table(const qd_aggregation_vtable *vt, const qd_self *self, qd_str name,
                       qd_err *err)
{
    bool buckets = vt->head.flags & QD_AGGREGATION_BUCKETS;
    uint32_t most = buckets ? 0 : QD_AGGREGATION_RESULT_MAX, least = buckets ? 0 : 1;
    const char *plugin = qd_plugin_self_name(self);
    if (vt->result_max < least || vt->result_max > most)
        return qd_err_set(err, QD_E_PLUGIN,
                          "aggregation [%.*s] of plugin [%s]: result_max is %u, wanted %u to %u",
                          QD_STR_ARG(name), plugin, vt->result_max, least, most);
    if (vt->key_type > (buckets ? QD_AGGREGATION_TEXT : 0))
        return qd_err_set(
            err, QD_E_PLUGIN, "aggregation [%.*s] of plugin [%s]: key_type is %u, wanted 0 to %u",
            QD_STR_ARG(name), plugin, vt->key_type, buckets ? QD_AGGREGATION_TEXT : 0);
    bool named = vt->head.flags & QD_AGGREGATION_BUCKET_MEMBERS;
    if (buckets ? vt->head.flags & QD_AGGREGATION_WRITES || (vt->members && !named) : named)
        return qd_err_set(err, QD_E_PLUGIN,
                          "aggregation [%.*s] of plugin [%s]: its table is of a metric and of "
                          "buckets",
                          QD_STR_ARG(name), plugin);
    return named ? qdi_plugin_members_check(vt, self, name, err) : 0;
}

static int row_make(const qd_aggregation_vtable *vt, qd_self *self, qd_str name, qd_arena *arena,
                    const qd_agg_type **out, qd_err *err)
{
    int rc = check_table(vt, self, name, err);
    if (rc) return rc;
    qdi_plugin_row *row = qd_arena_alloc(arena, sizeof *row);
    qdi_plugin_scope **held = qd_arena_calloc(arena, sizeof(qdi_plugin_scope *));
    qd_str key = qd_arena_str(arena, name);
    if (!row || !held || !key.p) return qd_err_nomem(err, "aggregations");
    *row =
        (qdi_plugin_row){.type = plugin_type, .vt = vt, .self = self, .nmembers = 1, .scope = held};
    if (vt->head.flags & QD_AGGREGATION_BUCKETS) row->type = qdi_aggs_plugin_buckets;
    if (vt->head.flags & QD_AGGREGATION_TEXTS) {
        row->type.flags |= QDI_TAKES_BYTES;
        row->type.unmapped = "keyword";
    }
    row->type.name = row->type.key = key.p;
    if (row->type.flags & QDI_MULTI) row->type.factory = key.p;
    for (const char *c = vt->members; c && *c; c++) row->nmembers += *c == ',';
    if (row->nmembers > QD_AGGREGATION_MEMBERS_MAX)
        return qd_err_set(err, QD_E_PLUGIN,
                          "aggregation [%.*s] has %u members, at most %u are "
                          "allowed",
                          QD_STR_ARG(name), row->nmembers, QD_AGGREGATION_MEMBERS_MAX);
    if (vt->members && !(row->type.flags & QDI_MULTI)) row->type.has_member = plugin_has_member;
    *out = &row->type;
    return 1;
}

int qdi_aggs_plugin_type(const qd_query_reading *how, qd_str name, qd_arena *arena,
                         const qd_agg_type **out, qd_err *err)
{
    const qd_plugin_host *host = how->host;
    qd_self *self;
    const char *reason, *plugin;
    const qd_aggregation_vtable *vt =
        host ? qd_plugin_find(host, QD_KIND_AGGREGATION, name, &self) : NULL;
    if (!vt && host && (plugin = qd_plugin_refused(host, QD_KIND_AGGREGATION, name, &reason)))
        return qd_err_set(err, QD_E_PLUGIN,
                          "aggregation [%.*s] is not there: plugin [%s], which may provide it, was "
                          "refused: %s",
                          QD_STR_ARG(name), plugin, reason);
    if (!vt) return 0;
    return row_make(vt, self, name, arena, out, err);
}

int qd_aggs_plugins_check(const qd_plugin_host *host, qd_err *err)
{
    size_t pos = 0;
    qd_str name;
    qd_self *self;
    while (qd_plugin_next(host, QD_KIND_AGGREGATION, &pos, &name, &self))
        if (qdi_aggs_type_find(name))
            return qd_err_set(
                err, QD_E_EXISTS,
                "plugin [%s] provides the aggregation [%.*s], which is a built-in one",
                qd_plugin_self_name(self), QD_STR_ARG(name));
    return 0;
}
