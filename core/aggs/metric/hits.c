/*
 * hits.c: top_hits: the documents of each owner are only noted (8 or 12 bytes each); they are
 * sorted and fetched when a bucket has survived, so buckets that are cut cost nothing more.
 */
#include "aggs/aggs_int.h"
#include "store/reads.h"
#include <math.h>

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

static int sort_notes(qdi_aggr *a, const note *at, uint32_t n, uint32_t k, qd_arena *arena,
                      qd_sort_hit **hits, uint32_t *nhits, qd_err *err)
{
    static const qd_sort_key by_score = {.kind = QD_SORT_SCORE, .descending = true};
    const qd_aggs_hits_sort *s = &a->bound->sort;
    qd_sorter *sorter;
    qd_sort_options o = {.keys = s->nkeys ? s->keys : &by_score,
                         .nkeys = s->nkeys ? s->nkeys : 1,
                         .k = k,
                         .scores = s->scores || !s->nkeys};
    int rc = qd_sorter_make(&o, arena, &sorter, err);
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
    uint32_t nkeys = a->bound->sort.nkeys;
    qd_str *json = qd_arena_calloc(arena, (n + 1) * sizeof *json);
    out->u.hits.at = qd_arena_calloc(arena, (n + 1) * sizeof *out->u.hits.at);
    if (!json || !out->u.hits.at) return no_memory(a, 64, err);
    if (!a->shard->o.fetch)
        return qd_err_set(err, QD_E_UNSUPPORTED, "[top_hits] cannot fetch documents here");
    int rc = n ? a->shard->o.fetch(a->shard->o.fetch_arg, a->bound->sort.prepared, hits, n, arena,
                                   json, err)
               : 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        qdi_hit *h = &out->u.hits.at[i];
        *h = (qdi_hit){a->shard->o.shard, hits[i].doc, hits[i].score, NULL, json[i]};
        if (copy_values(arena, hits[i].values, nkeys, &h->values)) return no_memory(a, 64, err);
        out->u.hits.n = i + 1;
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
    uint32_t k = a->def->u.hits.from + a->def->u.hits.size;
    out->u.hits.total = count;
    out->u.hits.best = NAN;
    for (uint32_t i = 0; i < count; i++)
        if (!(out->u.hits.best >= at[i].score)) out->u.hits.best = at[i].score;
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

const qdi_ops qdi_aggs_ops_hits = {
    .open = hits_open, .collect = hits_collect, .build = hits_build, .close = hits_close};
