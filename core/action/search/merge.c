/*
 * merge.c: results of shards become one: hits in order, totals, aggregations. The order of
 * shards decides ties and the order in which aggregations are added, so an answer does not depend
 * on which shard, or which node, was first.
 */
#include "action/api/words.h"
#include "action/search/part_int.h"
#include "base/str.h"
#include <math.h>
#include <stdlib.h>

static bool is_number(int kind)
{
    return kind <= SEARCH_VALUE_F32 || kind == SEARCH_VALUE_U64;
}

/* Numbers, words and addresses of different indices have no order between them. */
static int check_kinds(const search_run *x, qd_err *err)
{
    static const char *const names[] = {
        [SEARCH_VALUE_I64] = "LONG",  [SEARCH_VALUE_F64] = "DOUBLE",
        [SEARCH_VALUE_F32] = "FLOAT", [SEARCH_VALUE_TERM] = "STRING",
        [SEARCH_VALUE_IP] = "STRING", [SEARCH_VALUE_SCORE] = "SCORE",
        [SEARCH_VALUE_DOC] = "DOC",   [SEARCH_VALUE_U64] = "LONG"};
    for (uint32_t k = 0; k < x->r->sort.n; k++) {
        int first = -1;
        for (uint32_t i = 0; i < x->nshards; i++) {
            if (x->shards[i].rc || !x->shards[i].nhits) continue;
            int kind = (int)x->shards[i].index->sort.bound[k].kind;
            if (first < 0) first = kind;
            bool one = is_number(first), two = is_number(kind);
            if (one == two && (one || kind == first)) continue;
            return qd_err_set(err, QD_E_ARG,
                              "Can't sort on field [%.*s]; the field has incompatible sort types: "
                              "[%s] and [%s] across shards!",
                              QD_STR_ARG(x->r->sort.at[k].field), names[first], names[kind]);
        }
    }
    return 0;
}

void qdi_search_value_to_double(search_value_kind kind, qd_sort_value *v)
{
    if (v->missing || !is_number((int)kind) || kind == SEARCH_VALUE_F64) return;
    v->i64 = qd_f64_encode(kind == SEARCH_VALUE_I64   ? (double)v->i64
                           : kind == SEARCH_VALUE_U64 ? (double)qd_u64_decode(v->i64)
                                                      : (double)qd_f32_decode(v->i64));
}

/* Numeric keys that are integers in one index and floating-point in another compare as doubles. */
static void level_keys(search_run *x)
{
    for (uint32_t k = 0; k < x->r->sort.n; k++) {
        bool mixed = false, numeric = true;
        int first = -1;
        for (uint32_t i = 0; i < x->nshards; i++) {
            if (x->shards[i].rc || !x->shards[i].nhits) continue;
            int kind = (int)x->shards[i].index->sort.bound[k].kind;
            if (!is_number(kind)) numeric = false;
            if (first < 0) first = kind;
            mixed |= kind != first;
        }
        if (!mixed || !numeric) continue;
        for (uint32_t i = 0; i < x->nshards; i++) {
            search_shard *s = &x->shards[i];
            search_value_kind kind = s->rc ? SEARCH_VALUE_F64 : s->index->sort.bound[k].kind;
            for (uint32_t h = 0; h < s->nhits && kind != SEARCH_VALUE_F64; h++) {
                qd_sort_value *v = &s->hits[h].values[k];
                qdi_search_value_to_double(kind, v);
            }
        }
        for (uint32_t i = 0; i < x->nindices; i++) {
            x->indices[i].sort.bound[k] = (search_sort_bound){.kind = SEARCH_VALUE_F64};
        }
        x->doubles |= 1u << k;
    }
}

static int compare_refs(const void *a, const void *b, void *arg)
{
    const search_ref *p = a, *q = b;
    const search_run *x = arg;
    const search_hit *h = &p->shard->hits[p->at], *g = &q->shard->hits[q->at];
    int c = 0;
    if (x->r->sort.n) {
        c = qd_sort_compare(p->shard->index->sort.keys, p->shard->index->sort.n, h->values,
                            g->values);
    } else if (h->score != g->score) {
        c = h->score > g->score ? -1 : 1;
    }
    if (c) return c;
    if (p->shard != q->shard) return p->shard->place < q->shard->place ? -1 : 1;
    return p->at < q->at ? -1 : p->at > q->at;
}

int qdi_search_merge_hits(search_run *x, qd_err *err)
{
    const search_request *r = x->r;
    uint64_t n = 0;
    for (uint32_t i = 0; i < x->nshards; i++) n += x->shards[i].rc ? 0 : x->shards[i].nhits;
    if (n > UINT32_MAX) return qd_err_set(err, QD_E_BREAKER, "[request] too many hits to merge");
    search_ref *all = qd_arena_alloc(x->arena, (n + 1) * sizeof *all);
    if (!all) return qd_err_nomem(err, "merge of hits");
    n = 0;
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        for (uint32_t h = 0; h < s->nhits && !s->rc; h++) all[n++] = (search_ref){s, h};
    }
    if (x->nshards > 1) {
        int rc = check_kinds(x, err);
        if (rc) return rc;
        level_keys(x);
        qsort_r(all, n, sizeof *all, compare_refs, x);
        if (r->collapse) rc = qdi_collapse_refs(x, all, &n, err);
        if (rc) return rc;
    }
    uint64_t from = (uint64_t)r->from < n ? (uint64_t)r->from : n;
    uint64_t to = from + (uint64_t)r->size < n ? from + (uint64_t)r->size : n;
    x->refs = all + from;
    x->nrefs = (uint32_t)(to - from);
    return 0;
}

/* Searches of one request may end at the same time. */
void qdi_search_note_stale(qd_request *q, int64_t ms)
{
    int64_t now = __atomic_load_n(&q->stale_ms, __ATOMIC_RELAXED);
    while (ms > now && !__atomic_compare_exchange_n(&q->stale_ms, &now, ms, true, __ATOMIC_RELAXED,
                                                    __ATOMIC_RELAXED)) {}
}

static void merge_totals(search_run *x)
{
    for (uint32_t i = 0; i < x->nshards; i++) {
        const search_shard *s = &x->shards[i];
        x->timed_out |= s->rc == QD_E_TIMEOUT && x->r->timeout_ms; /* its node was silent */
        if (s->rc) continue;
        x->total += s->total;
        x->total_lower_bound |= s->total_lower_bound;
        x->timed_out |= s->timed_out;
        qdi_search_note_stale(x->r->q, s->stale_ms);
        x->terminated_early |= s->terminated_early;
        if (!isnan(s->max_score) && !(x->max_score >= s->max_score)) x->max_score = s->max_score;
    }
    if (x->r->total != QD_TOTAL_EXACT && x->total > x->r->total) {
        x->total = x->r->total;
        x->total_lower_bound = true;
    }
}

int qdi_search_reduce(search_run *x, qd_err *err)
{
    int rc = 0;
    if (!x->r->aggs || x->later || x->part) return 0;
    if (!x->reducer) rc = qd_aggs_reducer_make(x->r->aggs, x->a->account, &x->reducer, err);
    if (!rc) qd_aggs_reducer_batch(x->reducer, (uint32_t)x->r->batched_reduce_size);
    for (; x->reduced < x->nshards && !x->shards[x->reduced].open && !rc; x->reduced++) {
        qd_aggs_partial *p = x->shards[x->reduced].aggs;
        x->shards[x->reduced].aggs = NULL;
        if (p) rc = qd_aggs_reducer_add(x->reducer, p, err);
    }
    return rc;
}

static int merge_aggs(search_run *x, qd_err *err)
{
    if (!x->r->aggs || x->later) return 0;
    int rc = qdi_search_reduce(x, err);
    return rc ? rc : qd_aggs_reducer_finish(x->reducer, &x->aggs, err);
}

/* Where all or nothing is wanted, what was found in time is nothing. */
static void fail_timed_out(search_shard *s)
{
    s->rc = qd_err_set(&s->err, QD_E_TIMEOUT, "Time exceeded");
    qd_err_type(&s->err, "search_timeout_exception", 504);
}

int qdi_search_merge(search_run *x, qd_err *err)
{
    x->failed = 0;
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        if (!s->rc && s->timed_out && !x->r->allow_partial) fail_timed_out(s);
        x->failed += s->rc != 0;
        if (s->rc) qdi_words_error(x->a, QDI_WORDS_ANY, &s->err);
        /* cancelled: not a matter of one shard, unless it was the part of another node alone */
        bool alone = s->target && !s->target->local && !qd_task_stopped(x->task);
        if ((s->rc == QD_E_CANCELLED || (s->rc == QD_E_TIMEOUT && !x->r->timeout_ms)) && !alone) {
            qd_err_copy(err, &s->err);
            return s->rc;
        }
    }
    if (x->failed && (x->failed == x->nshards || !x->r->allow_partial)) {
        return qdi_search_failed(x, err);
    }
    merge_totals(x);
    int rc = x->r->rank ? qdi_rank_merge(x, err) : qdi_search_merge_hits(x, err);
    return rc ? rc : merge_aggs(x, err);
}
