/*
 * plugin_members.c: members that a plugin adds to its buckets. Its table names them, so that names
 * of the host's and of children are refused before anything runs. They are written for the buckets
 * that are left when pipelines have run, in calls for thousands of buckets.
 */
#include "aggs/bucket/plugin_buckets.h"
#include "aggs/reduce/reduce_int.h"
#include "json/tree.h"

#define DEPTH_MAX 64u                      /* levels of a bucket's members */
#define TEXT_BYTES_MAX ((size_t)256 << 20) /* of what a call writes */

/* Final results of one aggregation that wait for the plugin. */
typedef struct qdi_plugin_written {
    qdi_plugin_scope *s;
    qdi_out **outs;
    uint32_t n, room;
    struct qdi_plugin_written *next;
} qdi_plugin_written;

/* Which member a name is; as many as there are: none. */
static uint32_t member_of(const char *members, qd_str name)
{
    qd_str rest = qd_str_c(members);
    uint32_t i = 0;
    for (; rest.p; i++)
        if (qd_str_eq(qd_str_split(&rest, ','), name)) break;
    return i;
}

static int refuse(const char *plugin, qd_str name, qd_str member, const char *why, qd_err *err)
{
    return qd_err_set(err, QD_E_PLUGIN,
                      "aggregation [%.*s] of plugin [%s]: the member [%.*s] of its buckets %s",
                      QD_STR_ARG(name), plugin, QD_STR_ARG(member), why);
}

int qdi_plugin_members_check(const qd_aggregation_vtable *vt, const qd_self *self, qd_str name,
                             qd_err *err)
{
    const char *plugin = qd_plugin_self_name(self);
    if (!vt->members)
        return qd_err_set(err, QD_E_PLUGIN,
                          "aggregation [%.*s] of plugin [%s] writes members of its buckets and "
                          "names none",
                          QD_STR_ARG(name), plugin);
    qd_str rest = qd_str_c(vt->members);
    for (uint32_t i = 0; rest.p; i++) {
        qd_str m = qd_str_split(&rest, ',');
        if (m.n == 0) return refuse(plugin, name, m, "has no name", err);
        if (qd_str_find(m, '#') >= 0)
            return refuse(plugin, name, m, "has a '#', which divides names of typed_keys", err);
        if (qd_str_is(m, "key") || qd_str_is(m, "key_as_string") || qd_str_is(m, "doc_count") ||
            qd_str_is(m, "doc_count_error_upper_bound"))
            return refuse(plugin, name, m, "has the name of one that the host writes", err);
        if (member_of(vt->members, m) != i) return refuse(plugin, name, m, "is named twice", err);
    }
    return 0;
}

int qdi_plugin_members_resolve(qdi_parse *p, qdi_agg *a, qdi_agg *const *level, uint32_t n)
{
    const qdi_plugin_row *row = qdi_plugin_row_of(a);
    (void)level, (void)n;
    for (uint32_t i = 0; row->vt->members && i < a->nsubs; i++)
        if (member_of(row->vt->members, a->subs[i]->name) < row->nmembers)
            return qd_err_set(p->err, QD_E_ARG,
                              "Sub-aggregation [%.*s] of [%.*s] has the name of a member that "
                              "buckets of type [%s] have themselves",
                              QD_STR_ARG(a->subs[i]->name), QD_STR_ARG(a->name), a->type->name);
    return 0;
}

int qdi_plugin_members_wait(qdi_reduce *r, qdi_out *out, qd_err *err)
{
    if (!qdi_plugin_row_of(out->def)->vt->write_bucket || !out->n) return 0;
    qdi_plugin_buckets *v = qdi_plugin_buckets_of(out);
    qdi_plugin_scope *s = qdi_plugin_scope_of(out->def);
    qdi_plugin_written *t = r->unwritten;
    v->total = out->other;
    for (uint32_t i = 0; i < out->n; i++) v->total += out->b[i].docs;
    while (t && t->s != s) t = t->next;
    if (!t) {
        t = qd_arena_calloc(r->arena, sizeof *t);
        if (!t) return qdi_aggs_reduce_no_memory(r, sizeof *t, err);
        t->s = s;
        t->next = r->unwritten;
        r->unwritten = t;
    }
    int rc = qdi_aggs_grow(r->arena->account, &t->outs, &t->room, t->n + 1, sizeof(qdi_out *), err);
    if (rc == 0) t->outs[t->n++] = out;
    return rc;
}

/* --- the call --------------------------------------------------------------------------------- */

static int32_t wrong(qdi_plugin_call *x, const char *what, uint64_t most)
{
    return qd_err_set(
        &x->err, QD_E_PLUGIN,
        "aggregation [%s] of plugin [%s]: write_bucket wrote %s, at most %llu bytes are allowed",
        x->s->name, qd_plugin_self_name(x->s->sdk.self), what, (unsigned long long)most);
}

static int32_t write_one(qdi_plugin_call *x, uint32_t i, qd_buf *one)
{
    qd_json_writer w;
    qd_buf_reset(one);
    qd_json_writer_init(&w, one, false);
    qd_json_object(&w);
    int32_t rc = x->s->vt->write_bucket(&x->s->sdk, x->s->parsed, &x->buckets[i],
                                        qd_plugin_json_out(&w), &x->err);
    if (rc) return rc;
    if (one->n > QD_AGGREGATION_BUCKET_MAX + 1 || one->failed == QD_E_LIMIT)
        return wrong(x, "too much for a bucket", QD_AGGREGATION_BUCKET_MAX);
    if (one->failed) return one->failed;
    if (w.depth != 1 || w.after_key)
        return qd_err_set(&x->err, QD_E_PLUGIN,
                          "aggregation [%s] of plugin [%s]: write_bucket wrote what is no list of "
                          "members",
                          x->s->name, qd_plugin_self_name(x->s->sdk.self));
    qd_json_object_end(&w);
    if (one->failed) return one->failed;
    if (qd_buf_str(&x->text, qd_buf_view(one)))
        return x->text.failed == QD_E_LIMIT ? wrong(x, "too much for all buckets", TEXT_BYTES_MAX)
                                            : x->text.failed;
    x->text_ends[i] = x->text.n;
    return 0;
}

static int32_t run_members(qd_guest_call *call)
{
    qdi_plugin_call *x = (qdi_plugin_call *)(void *)call;
    qd_buf one;
    int32_t rc = 0;
    qd_buf_init(&one, x->account, QD_AGGREGATION_BUCKET_MAX + 2); /* and the braces */
    for (uint32_t i = 0; rc == 0 && i < x->n; i++) {
        rc = write_one(x, i, &one);
        if (rc == 0 && atomic_load_explicit(&x->s->task.stop, memory_order_relaxed))
            rc = QD_E_CANCELLED;
    }
    qd_buf_fini(&one);
    return rc;
}

/* --- before and behind it --------------------------------------------------------------------- */

/* Bucket i of a result, with a key of the call's own. */
static int describe(qdi_plugin_call *x, const qdi_out *o, uint32_t i, qd_aggregation_bucket *b,
                    qd_err *err)
{
    const qdi_bucket_out *from = &o->b[i];
    *b = (qd_aggregation_bucket){.struct_size = sizeof *b,
                                 .type = QD_AGGREGATION_I64,
                                 .docs = from->docs,
                                 .total = qdi_plugin_buckets_of(o)->total};
    if (o->kind == QDI_ORD) {
        b->type = QD_AGGREGATION_TEXT;
        b->text.n = from->bytes.n;
        if (from->bytes.n && qd_buf_str(&x->in, from->bytes))
            return qdi_plugin_no_memory(x->account, err);
    } else if (o->kind == QDI_F64) {
        b->type = QD_AGGREGATION_F64;
        b->f64 = qd_sortable_to_f64(from->key);
    } else {
        b->i64 = from->key;
    }
    return 0;
}

/* What was written for a bucket, as a tree whose members are those that are named. */
static int take(const qdi_plugin_scope *s, qd_arena *arena, qd_str text, const qd_json_node **out,
                qd_err *err)
{
    const char *plugin = qd_plugin_self_name(s->sdk.self);
    qd_json_node *json;
    uint32_t seen = 0;
    if (qd_json_parse(arena, text, DEPTH_MAX, &json, NULL) || json->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_PLUGIN,
                          "aggregation [%s] of plugin [%s]: write_bucket wrote what is no JSON, "
                          "names a member twice, or has more than %u levels",
                          s->name, plugin, DEPTH_MAX);
    for (const qd_json_node *m = json->first; m; m = m->next) {
        uint32_t at = member_of(s->vt->members, m->key);
        if (at >= s->nmembers)
            return refuse(plugin, qd_str_c(s->name), m->key, "is not among those that it names",
                          err);
        if (seen >> at & 1)
            return refuse(plugin, qd_str_c(s->name), m->key, "was written twice", err);
        seen |= 1u << at;
    }
    *out = json;
    return 0;
}

/* A bucket of what waits. */
typedef struct place {
    uint32_t out, bucket;
} place;

static int room_for(qdi_plugin_call *x, uint32_t *room, qd_err *err)
{
    if (x->n < *room) return 0;
    uint32_t more = *room ? *room * 2 : 64;
    void *b = qd_realloc(x->account, x->buckets, more * sizeof *x->buckets);
    if (b) x->buckets = b;
    void *e = b ? qd_realloc(x->account, x->text_ends, more * sizeof *x->text_ends) : NULL;
    if (!e) return qdi_plugin_no_memory(x->account, err);
    x->text_ends = e;
    *room = more;
    return 0;
}

/* Fills a call from a place on, which moves behind the last one. */
static int gather(qdi_plugin_call *x, uint32_t *room, const qdi_plugin_written *t, place *at,
                  qd_err *err)
{
    int rc = 0;
    x->n = 0;
    x->in.n = x->text.n = 0;
    for (; at->out < t->n; *at = (place){at->out + 1, 0})
        for (const qdi_out *o = t->outs[at->out]; at->bucket < o->n; at->bucket++) {
            if (x->n == QDI_PLUGIN_VALUES_MAX) return 0;
            rc = room_for(x, room, err);
            if (rc == 0) rc = describe(x, o, at->bucket, &x->buckets[x->n], err);
            if (rc) return rc;
            x->n++;
        }
    return 0;
}

/* What the call wrote goes to the results, from a place on. */
static int spread(qdi_reduce *r, const qdi_plugin_call *x, const qdi_plugin_written *t, place at,
                  qd_err *err)
{
    int rc = 0;
    qd_str text = qd_arena_str(r->arena, qd_buf_view(&x->text));
    if (!text.p) return qdi_aggs_reduce_no_memory(r, x->text.n, err);
    for (uint32_t i = 0; rc == 0 && i < x->n; i++, at.bucket++) {
        while (at.bucket == t->outs[at.out]->n) at = (place){at.out + 1, 0};
        const qdi_out *o = t->outs[at.out];
        qdi_plugin_buckets *v = qdi_plugin_buckets_of(o);
        if (!v->members) v->members = qd_arena_calloc(r->arena, o->n * sizeof *v->members);
        if (!v->members) return qdi_aggs_reduce_no_memory(r, o->n * sizeof *v->members, err);
        size_t from = i ? x->text_ends[i - 1] : 0;
        rc = take(t->s, r->arena, (qd_str){text.p + from, x->text_ends[i] - from},
                  &v->members[at.bucket], err);
    }
    return rc;
}

static int settle(qdi_reduce *r, const qdi_plugin_written *t, qd_err *err)
{
    uint32_t room = 0;
    qdi_plugin_call *x = qdi_plugin_call_make(t->s, r->arena->account);
    int rc = x ? 0 : qdi_aggs_reduce_no_memory(r, sizeof *x, err);
    if (x) x->text.max = TEXT_BYTES_MAX;
    for (place at = {0, 0}; rc == 0 && at.out < t->n;) {
        place from = at;
        rc = gather(x, &room, t, &at, err);
        if (rc || !x->n) break;
        const char *text = x->in.p;
        for (uint32_t i = 0; i < x->n; i++) { /* the buffer may have moved since */
            qd_str *key = &x->buckets[i].text;
            key->p = key->n ? text : "";
            text += key->n;
        }
        rc = qdi_plugin_do_call(&x, "write_bucket", run_members, NULL, err);
        if (rc == 0) rc = spread(r, x, t, from, err);
    }
    qdi_plugin_call_free(x);
    return rc;
}

int qdi_plugin_members_settle(qdi_reduce *r, qd_err *err)
{
    int rc = 0;
    for (const qdi_plugin_written *t = r->unwritten; t; t = t->next) {
        if (rc == 0 && err) rc = settle(r, t, err);
        qd_free(t->outs);
    }
    r->unwritten = NULL;
    return rc;
}

void qdi_plugin_members_write(const qdi_out *o, uint32_t i, qd_json_writer *w)
{
    const qdi_plugin_buckets *v = qdi_plugin_buckets_of(o);
    for (const qd_json_node *m = v->members ? v->members[i]->first : NULL; m; m = m->next) {
        qd_json_key(w, m->key);
        qd_json_raw_value(w, m->raw);
    }
}
