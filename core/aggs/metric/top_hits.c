/*
 * top_hits.c: top_hits: the best documents of each owner.
 *
 * They are only noted (8 or 12 bytes each); they are sorted and fetched when a bucket has survived,
 * so buckets that are cut cost nothing more.
 */
#include "aggs/bind/bind_int.h"
#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"
#include "aggs/reduce/wire.h"
#include "store/reads.h"
#include <math.h>

typedef struct params {
    uint32_t from, size;
} params;

static params *params_of(const qdi_agg *a)
{
    return a->params;
}

static qd_aggs_hits_sort *sort_of(const qdi_bound *b)
{
    return b->state;
}

typedef struct hit {
    uint32_t shard, doc;
    float score;
    const qd_sort_value *values;
    qd_str json;
} hit;

typedef struct value {
    hit *at;
    uint32_t n;
    uint64_t total;
    float best; /* NAN: no scores */
} value;

static value *value_of(const qdi_out *o)
{
    return o->value;
}

static int hits_parse(qdi_parse *p, qdi_agg *a)
{
    int64_t from = 0, size = 3;
    int rc = qdi_aggs_get_i64(p, a, "from", &from);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "size", &size);
    if (rc) return rc;
    if (from < 0 || size < 0)
        return qd_err_set(
            p->err, QD_E_ARG, "[%s] must be greater than or equal to 0. Found [%lld] in [%.*s]",
            from < 0 ? "from" : "size", (long long)(from < 0 ? from : size), QD_STR_ARG(a->name));
    if (from > INT32_MAX || size > INT32_MAX)
        return qdi_aggs_bad_value(p, a, qd_json_get(a->json, from > INT32_MAX ? "from" : "size"));
    params_of(a)->from = (uint32_t)from;
    params_of(a)->size = (uint32_t)size;
    p->tree->scores = true;
    return 0;
}

static int hits_bind(qdi_binder *x, qdi_bound *b)
{
    const qd_aggs_host *h = x->how->host;
    int64_t window = (int64_t)params_of(b->def)->from + params_of(b->def)->size;
    int64_t most = x->how->hits_window ? x->how->hits_window : 100;
    if (!h || !h->hits_bind)
        return qd_err_set(x->err, QD_E_UNSUPPORTED, "[top_hits] is not supported here");
    if (window > most)
        return qd_err_set(x->err, QD_E_ARG,
                          "Top hits result window is too large, the top hits aggregator [%.*s]'s "
                          "from + size must be less than or equal to: [%lld] but was [%lld]. This "
                          "limit can be set by changing the [index.max_inner_result_window] index "
                          "level setting.",
                          QD_STR_ARG(b->def->name), (long long)most, (long long)window);
    return h->hits_bind(h->arg, b->def->json, x->q, x->arena, b->state, x->err);
}

/* --- collecting ------------------------------------------------------------------------------- */

typedef struct note {
    uint32_t doc; /* global */
    float score;
} note;

typedef struct state {
    note *at, *sorted;
    uint32_t *owner;
    uint32_t n, cap, cap_owner;
    uint32_t *start; /* by owner, into sorted */
    uint32_t owners;
    const qd_sort_key *keys; /* for the shard; NULL: not yet */
} state;

static int no_memory(qdi_aggr *a, size_t bytes, qd_err *err)
{
    return qdi_aggs_no_memory(a->shard->account, bytes, "top_hits", err);
}

static int hits_open(qdi_aggr *a, qd_err *err)
{
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    return t ? 0 : no_memory(a, sizeof *t, err);
}

static int hits_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                        qd_err *err)
{
    state *t = a->state;
    const qdi_batch *b = &a->shard->batch;
    if (n > UINT32_MAX - t->n) return no_memory(a, n, err);
    int rc = qdi_aggs_grow(a->shard->account, &t->at, &t->cap, t->n + n, sizeof *t->at, err);
    if (rc == 0)
        rc = qdi_aggs_grow(a->shard->account, &t->owner, &t->cap_owner, t->n + n, sizeof *t->owner,
                           err);
    if (rc) return rc;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = idx ? idx[i] : i;
        t->at[t->n] = (note){b->leaf->base + b->docs[at], b->scores ? b->scores[at] : 1.0f};
        t->owner[t->n++] = owner ? owner[i] : 0;
    }
    return 0;
}

/* Notes by owner, each owner's ascending. */
static int group(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    if (t->start) return 0;
    for (uint32_t i = 0; i < t->n; i++)
        if (t->owner[i] >= t->owners) t->owners = t->owner[i] + 1;
    t->start = qd_calloc(a->shard->account, (t->owners + 2ul) * sizeof *t->start);
    t->sorted = qd_alloc(a->shard->account, (t->n + 1ul) * sizeof *t->sorted);
    if (!t->start || !t->sorted) return no_memory(a, t->n * sizeof *t->sorted, err);
    for (uint32_t i = 0; i < t->n; i++) t->start[t->owner[i] + 2]++;
    for (uint32_t i = 1; i < t->owners + 2; i++) t->start[i] += t->start[i - 1];
    for (uint32_t i = 0; i < t->n; i++) t->sorted[t->start[t->owner[i] + 1]++] = t->at[i];
    return 0;
}

/* Feeds notes [from, to) of one leaf to the sorter. */
static int feed_leaf(qdi_aggr *a, qd_collector *c, const qd_leaf *leaf, const note *from,
                     uint32_t n, qd_arena *arena, qd_err *err)
{
    qd_reads *reads = qd_reads_make(arena, a->shard->account);
    uint32_t docs[256];
    float scores[256];
    if (!reads) return no_memory(a, 64, err);
    int rc = c->vt->plan ? c->vt->plan(c, leaf, reads, err) : 0;
    if (rc == 0) rc = qd_reads_fetch(reads, err);
    if (rc == 0 && c->vt->begin) rc = c->vt->begin(c, leaf, reads, err);
    for (uint32_t at = 0; rc == 0 && at < n;) {
        uint32_t k = 0;
        for (; k < 256 && at < n; k++, at++) {
            docs[k] = from[at].doc - leaf->base;
            scores[k] = from[at].score;
        }
        rc = c->vt->collect(c, &(qd_hits){.leaf = leaf, .docs = docs, .scores = scores, .n = k},
                            err);
    }
    if (rc >= 0 && c->vt->end) {
        int end = c->vt->end(c, leaf, err);
        if (end < 0) rc = end;
    }
    if (rc >= 0) {
        int good = qd_reads_check(reads, err);
        if (good < 0) rc = good;
    }
    qd_reads_release(reads);
    return rc < 0 ? rc : 0;
}

/* The keys, once for all owners: nested documents are looked through by a filter of the sort. */
static int keys_of(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    const qd_aggs_hits_sort *s = sort_of(a->bound);
    const qd_aggs_shard_options *o = &a->shard->o;
    if (t->keys || !s->nkeys) return 0;
    t->keys = s->keys;
    if (!o->hits_keys) return 0;
    qd_sort_key *own = qd_arena_calloc(&a->shard->arena, s->nkeys * sizeof *own);
    if (!own) return no_memory(a, s->nkeys * sizeof *own, err);
    t->keys = own;
    return o->hits_keys(o->fetch_arg, s->prepared, o->searcher, &a->shard->arena, own, err);
}

static int sort_notes(qdi_aggr *a, const note *at, uint32_t n, uint32_t k, qd_arena *arena,
                      qd_sort_hit **hits, uint32_t *nhits, qd_err *err)
{
    static const qd_sort_key by_score = {.kind = QD_SORT_SCORE, .descending = true};
    const qd_aggs_hits_sort *s = sort_of(a->bound);
    qd_sorter *sorter;
    int rc = keys_of(a, err);
    if (rc) return rc;
    qd_sort_options o = {.keys = s->nkeys ? ((state *)a->state)->keys : &by_score,
                         .nkeys = s->nkeys ? s->nkeys : 1,
                         .k = k,
                         .scores = s->scores || !s->nkeys,
                         .task = a->shard->o.task};
    rc = qd_sorter_make(&o, arena, &sorter, err);
    for (uint32_t i = 0; rc == 0 && i < n;) {
        const qd_leaf *leaf = qd_searcher_leaf_of(a->shard->o.searcher, at[i].doc);
        uint32_t j = i;
        while (j < n && at[j].doc < leaf->base + leaf->docs) j++;
        rc = feed_leaf(a, qd_sorter_collector(sorter), leaf, at + i, j - i, arena, err);
        i = j;
    }
    uint64_t total;
    bool more;
    return rc ? rc : qd_sorter_finish(sorter, hits, nhits, &total, &more, err);
}

static int copy_values(qd_arena *arena, const qd_sort_value *from, uint32_t n,
                       const qd_sort_value **out)
{
    qd_sort_value *v = qd_arena_alloc(arena, (n + 1) * sizeof *v);
    if (!v) return QD_E_NOMEM;
    if (n) memcpy(v, from, n * sizeof *v);
    for (uint32_t i = 0; i < n; i++) {
        if (!v[i].bytes.n) continue;
        v[i].bytes = qd_arena_str(arena, v[i].bytes);
        if (!v[i].bytes.p) return QD_E_NOMEM;
    }
    *out = v;
    return 0;
}

static int fetch(qdi_aggr *a, const qd_sort_hit *hits, uint32_t n, qdi_out *out, qd_err *err)
{
    qd_arena *arena = &a->shard->partial->arena;
    uint32_t nkeys = sort_of(a->bound)->nkeys;
    qd_str *json = qd_arena_calloc(arena, (n + 1) * sizeof *json);
    value_of(out)->at = qd_arena_calloc(arena, (n + 1) * sizeof *value_of(out)->at);
    if (!json || !value_of(out)->at) return no_memory(a, 64, err);
    if (!a->shard->o.fetch)
        return qd_err_set(err, QD_E_UNSUPPORTED, "[top_hits] cannot fetch documents here");
    int rc = n ? a->shard->o.fetch(a->shard->o.fetch_arg, sort_of(a->bound)->prepared,
                                   a->shard->level.n ? &a->shard->level : NULL, hits, n, arena,
                                   json, err)
               : 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        hit *h = &value_of(out)->at[i];
        *h = (hit){a->shard->o.shard, hits[i].doc, hits[i].score, NULL, json[i]};
        if (copy_values(arena, hits[i].values, nkeys, &h->values)) return no_memory(a, 64, err);
        value_of(out)->n = i + 1;
    }
    return rc;
}

static int hits_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    state *t = a->state;
    qd_arena arena;
    qd_sort_hit *hits = NULL;
    uint32_t n = 0;
    out->bound = a->bound;
    int rc = group(a, err);
    if (rc || owner >= t->owners) return rc;
    const note *at = t->sorted + t->start[owner];
    uint32_t count = t->start[owner + 1] - t->start[owner];
    uint32_t k = params_of(a->def)->from + params_of(a->def)->size;
    value_of(out)->total = count;
    value_of(out)->best = NAN;
    for (uint32_t i = 0; i < count; i++)
        if (!(value_of(out)->best >= at[i].score)) value_of(out)->best = at[i].score;
    if (!count || !k) return 0;
    qd_arena_init(&arena, a->shard->account, 0);
    rc = sort_notes(a, at, count, k, &arena, &hits, &n, err);
    if (rc == 0) rc = fetch(a, hits, n, out, err);
    qd_arena_fini(&arena);
    return rc;
}

static void hits_close(qdi_aggr *a)
{
    state *t = a->state;
    if (!t) return;
    qd_free(t->at);
    qd_free(t->sorted);
    qd_free(t->owner);
    qd_free(t->start);
}

static const qdi_ops ops = {
    .open = hits_open, .collect = hits_collect, .build = hits_build, .close = hits_close};

/* --- results ---------------------------------------------------------------------------------- */

typedef struct hits_arg {
    const qd_sort_key *keys;
    uint32_t n;
} hits_arg;

static int hit_order(const void *arg, const void *pa, const void *pb)
{
    const hits_arg *g = arg;
    const hit *a = pa, *b = pb;
    int c = g->n ? qd_sort_compare(g->keys, g->n, a->values, b->values)
                 : (a->score > b->score ? -1 : a->score < b->score);
    if (c) return c;
    if (a->shard != b->shard) return a->shard < b->shard ? -1 : 1;
    return a->doc < b->doc ? -1 : a->doc > b->doc;
}

static int copy_hit(qdi_reduce *r, hit *h, uint32_t nkeys)
{
    h->json = qd_arena_str(r->arena, h->json);
    qd_sort_value *v = qd_arena_alloc(r->arena, (nkeys + 1) * sizeof *v);
    if (!h->json.p || !v) return QD_E_NOMEM;
    if (nkeys) memcpy(v, h->values, nkeys * sizeof *v);
    for (uint32_t i = 0; i < nkeys; i++) {
        if (!v[i].bytes.n) continue;
        v[i].bytes = qd_arena_str(r->arena, v[i].bytes);
        if (!v[i].bytes.p) return QD_E_NOMEM;
    }
    h->values = v;
    return 0;
}

static int hits_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    uint32_t n = 0, size = params_of(out->def)->from + params_of(out->def)->size;
    for (uint32_t i = 0; i < k; i++) n += value_of(in[i])->n;
    hit *at = qd_arena_alloc(r->arena, (n + 1ul) * sizeof *at);
    if (!at) return qdi_aggs_reduce_no_memory(r, n * sizeof *at, err);
    n = 0;
    value_of(out)->best = NAN;
    for (uint32_t i = 0; i < k; i++) {
        if (value_of(in[i])->n)
            memcpy(at + n, value_of(in[i])->at, value_of(in[i])->n * sizeof *at);
        n += value_of(in[i])->n;
        value_of(out)->total += value_of(in[i])->total;
        if (value_of(in[i])->total && !(value_of(out)->best >= value_of(in[i])->best))
            value_of(out)->best = value_of(in[i])->best;
    }
    hits_arg g = {out->bound ? sort_of(out->bound)->keys : NULL,
                  out->bound ? sort_of(out->bound)->nkeys : 0};
    if (qdi_aggs_sort(r->arena->account, at, n, sizeof *at, hit_order, &g))
        return qdi_aggs_reduce_no_memory(r, n * sizeof *at, err);
    if (n > size) n = size;
    for (uint32_t i = 0; !r->final && i < n; i++)
        if (copy_hit(r, &at[i], g.n)) return qdi_aggs_reduce_no_memory(r, 64, err);
    value_of(out)->at = at;
    value_of(out)->n = n;
    return 0;
}

#define BYTES_MAX ((size_t)1 << 30)

static void hits_send(const qdi_out *o, qd_writer *w)
{
    uint32_t nkeys = o->bound ? sort_of(o->bound)->nkeys : 0;
    qd_write_varint(w, value_of(o)->total);
    qd_write_float(w, value_of(o)->best);
    qd_write_array(w, value_of(o)->n);
    for (uint32_t i = 0; i < value_of(o)->n; i++) {
        const hit *h = &value_of(o)->at[i];
        qd_write_varint(w, h->shard);
        qd_write_varint(w, h->doc);
        qd_write_float(w, h->score);
        qd_sort_values_write(h->values, nkeys, w);
        qd_write_str(w, h->json);
    }
}

static void hits_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    (void)tree;
    uint32_t nkeys = o->bound ? sort_of(o->bound)->nkeys : 0;
    value_of(o)->total = qd_read_varint(r, "top_hits.total");
    value_of(o)->best = qd_read_float(r, "top_hits.max_score");
    value_of(o)->n = (uint32_t)qd_read_array(r, "top_hits.hits", UINT32_MAX / 64, 7);
    value_of(o)->at = qd_arena_calloc(arena, (value_of(o)->n + 1ul) * sizeof *value_of(o)->at);
    if (!value_of(o)->at) qd_body_reader_nomem(r, "top_hits.hits");
    for (uint32_t i = 0; i < value_of(o)->n && !qd_body_reader_bad(r); i++) {
        hit *h = &value_of(o)->at[i];
        h->shard = (uint32_t)qd_read_varint_max(r, "top_hits.shard", UINT32_MAX);
        h->doc = (uint32_t)qd_read_varint_max(r, "top_hits.doc", UINT32_MAX);
        h->score = qd_read_float(r, "top_hits.score");
        h->values = qd_sort_values_read(r, nkeys, arena);
        h->json = qd_read_str_copy(r, "top_hits.json", BYTES_MAX, arena);
        for (uint32_t k = 0; k < nkeys && h->values; k++) {
            if (h->values[k].kind != sort_of(o->bound)->keys[k].kind)
                qd_body_reader_fail(r, "top_hits.sort", "is of another kind");
        }
    }
}

static void hits_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    (void)typed;
    const qdi_agg *d = o->def;
    bool scores = !o->bound || sort_of(o->bound)->scores || !sort_of(o->bound)->nkeys;
    float best = scores && value_of(o)->total ? value_of(o)->best : NAN;
    qd_json_key_c(w, "hits");
    qd_json_object(w);
    qd_json_key_c(w, "total");
    qd_json_object(w);
    qd_json_key_c(w, "value");
    qd_json_uint(w, value_of(o)->total);
    qd_json_field_c(w, "relation", "eq");
    qd_json_object_end(w);
    qd_json_key_c(w, "max_score");
    if (isnan(best))
        qd_json_null(w);
    else
        qd_json_float(w, best);
    qd_json_key_c(w, "hits");
    qd_json_array(w);
    for (uint32_t i = params_of(d)->from; i < value_of(o)->n; i++)
        qd_json_raw_value(w, value_of(o)->at[i].json);
    qd_json_array_end(w);
    qd_json_object_end(w);
}

const qd_agg_type qdi_aggs_top_hits = {
    .name = "top_hits",
    .key = "top_hits",
    .flags = QDI_METRIC | QDI_NO_ORDER,
    .params_size = sizeof(params),
    .bound_size = sizeof(qd_aggs_hits_sort),
    .value_size = sizeof(value),
    .parse = hits_parse,
    .bind = hits_bind,
    .ops = &ops,
    .reduce = hits_reduce,
    .send = hits_send,
    .receive = hits_receive,
    .write = hits_write,
};
