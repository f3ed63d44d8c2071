/*
 * shard.c: the query phase of one shard, on one worker.
 *
 * Ranking by score alone goes to the kernels (qd_plan_top, qd_plan_count); everything else collects
 * all matches, in one pass where hits and aggregations want the same documents.
 */
#include "action/search/search_int.h"
#include "action/suggest/suggest_int.h"
#include "base/str.h"
#include "replication/replication.h"
#include "runtime/fiber.h"
#include "search/runtime/runtime.h"
#include <math.h>

#define OPEN_WAIT_MS 10000
#define COLLECTORS_MAX 4

/* --- collectors of our own --- */

/* Stops after so many documents. */
typedef struct limit_collector {
    qd_collector c;
    qd_collector *inner;
    uint64_t left;
    bool reached;
} limit_collector;

static int limit_plan(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    qd_collector *in = ((limit_collector *)c)->inner;
    return in->vt->plan ? in->vt->plan(in, leaf, reads, err) : 0;
}

static int limit_begin(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    qd_collector *in = ((limit_collector *)c)->inner;
    return in->vt->begin ? in->vt->begin(in, leaf, reads, err) : 0;
}

static int limit_end(qd_collector *c, const qd_leaf *leaf, qd_err *err)
{
    qd_collector *in = ((limit_collector *)c)->inner;
    return in->vt->end ? in->vt->end(in, leaf, err) : 0;
}

static int limit_collect(qd_collector *c, const qd_hits *hits, qd_err *err)
{
    limit_collector *l = (limit_collector *)c;
    qd_hits some = *hits;
    if (some.n > l->left) {
        some.n = (uint32_t)l->left;
        some.bits = NULL; /* they hold all of them */
    }
    l->left -= some.n;
    int rc = some.n ? l->inner->vt->collect(l->inner, &some, err) : 0;
    if (rc < 0 || l->left) return rc;
    l->reached = true;
    return QD_COLLECT_ALL_DONE;
}

static const qd_collector_vt limit_vt = {
    .plan = limit_plan,
    .begin = limit_begin,
    .collect = limit_collect,
    .end = limit_end,
};

/* The greatest score of all. */
typedef struct max_collector {
    qd_collector c;
    float max; /* NaN: none yet */
} max_collector;

static int max_collect(qd_collector *c, const qd_hits *hits, qd_err *err)
{
    max_collector *m = (max_collector *)c;
    (void)err;
    for (uint32_t i = 0; i < hits->n; i++) {
        if (!(hits->scores[i] <= m->max)) m->max = hits->scores[i];
    }
    return 0;
}

static const qd_collector_vt max_vt = {.collect = max_collect};

/* --- slices --- */

typedef struct slice_set {
    const qd_searcher *searcher;
    qd_arena *arena;
    uint64_t id, max;
} slice_set;

static const uint64_t *slice_bits(void *arg, uint32_t leaf, uint32_t docs)
{
    slice_set *s = arg;
    const qd_leaf *l = qd_searcher_leaf(s->searcher, leaf);
    uint64_t *bits = qd_arena_calloc(s->arena, ((size_t)docs + 63) / 64 * 8 + 64);
    if (!bits) return NULL;
    for (uint32_t d = 0; d < docs; d++) {
        uint64_t h = (l->base + (uint64_t)d) * 0x9E3779B97F4A7C15u;
        if ((h >> 33) % s->max == s->id) bits[d >> 6] |= 1ull << (d & 63);
    }
    return bits;
}

/* The filter of the request's slice here: *out NULL when all documents are in it. */
static int slice_node(const search_run *x, search_shard *s, const qd_node **out, qd_err *err)
{
    const search_request *r = x->r;
    int64_t shards = s->index->meta->shards, max = r->slice_max, id = r->slice_id;
    *out = NULL;
    if (!r->has_slice) return 0;
    bool none = max >= shards ? id % shards != s->number : s->number % max != id;
    int64_t here = max >= shards ? max / shards + (max % shards > id % shards) : 1;
    if (!none && here == 1) return 0;
    qd_node *n = qd_node_make(&s->arena, none ? QD_NATIVE_MATCH_NONE : QD_NATIVE_DOC_SET);
    if (!n) return qd_err_nomem(err, "slice");
    if (!none) {
        slice_set *set = qd_arena_alloc(&s->arena, sizeof *set);
        if (!set) return qd_err_nomem(err, "slice");
        *set = (slice_set){s->searcher, &s->arena, (uint64_t)(id / shards), (uint64_t)here};
        n->u.doc_set = (qd_node_doc_set){slice_bits, set};
    }
    *out = n;
    return 0;
}

/* --- trees and plans --- */

/* The query within its filters; post too for hits. */
static int root_of(const search_run *x, search_shard *s, bool post, const qd_node **out,
                   qd_err *err)
{
    const qd_node *filters[4], *slice;
    uint32_t n = 0;
    search_index *ix = s->index;
    const qd_node *root = ix->query.root;
    int rc = slice_node(x, s, &slice, err);
    if (!rc && ix->nknn) rc = qdi_search_knn_root(s, &root, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < ix->nfilters; i++) filters[n++] = ix->filters[i];
    if (slice) filters[n++] = slice;
    if (post && ix->post) filters[n++] = ix->post;
    if (ix->boost != 1) {
        qd_node *b = qd_node_make(&s->arena, QD_NATIVE_BOOST);
        if (!b) return qd_err_nomem(err, "boost of an index");
        b->boost = ix->boost;
        b->u.child = root;
        root = b;
    }
    const qd_node **kept = NULL;
    if (n) {
        kept = qd_arena_alloc(&s->arena, n * sizeof(const qd_node *));
        if (!kept) return qd_err_nomem(err, "filters");
        for (uint32_t i = 0; i < n; i++) kept[i] = filters[i];
    }
    *out = n ? qd_node_filtered(&s->arena, root, kept, n) : root;
    return *out ? 0 : qd_err_nomem(err, "filters");
}

qd_term_budget *qdi_search_budget(const search_run *x, search_shard *s)
{
    int64_t most = qd_config_i64(x->a->config, QD_SET_SEARCH_MAX_PATTERN_TERMS);
    s->budget.limit = most < 0 ? UINT64_MAX : (uint64_t)most;
    return &s->budget;
}

static const qd_similarity *similarity_of(void *arg, qd_str field)
{
    return qd_mapping_similarity(arg, field);
}

qd_plan_options qdi_search_plan_options(const search_run *x, const search_index *ix,
                                        qd_term_budget *budget)
{
    int64_t identity = qd_config_i64(x->a->config, QD_SET_COMPAT_IDENTITY);
    qd_mapping *m = ix->meta->mapping;
    bool own = qd_mapping_has_similarities(m);
    return (qd_plan_options){
        .similarity = identity == 4 ? &qd_similarity_lucene : NULL, /* os3 left the factor out */
        .similarity_of = own ? similarity_of : NULL,
        .similarity_arg = own ? m : NULL,
        .stats = x->stats,
        .max_clauses = (uint32_t)qd_config_i64(x->a->config, QD_SET_MAX_CLAUSES),
        .budget = budget,
        .account = x->a->account,
    };
}

static int plan(const search_run *x, search_shard *s, bool post, bool scores, qd_plan **out,
                qd_err *err)
{
    const qd_node *root;
    qd_plan_options o = qdi_search_plan_options(x, s->index, qdi_search_budget(x, s));
    o.task = x->task;
    o.no_scores = !scores;
    int rc = root_of(x, s, post, &root, err);
    if (!rc) rc = qd_plan_make(s->searcher, root, &o, &s->arena, out, err);
    bool ours = rc == QD_E_ARG || rc == QD_E_TOO_COMPLEX; /* a pattern that cannot be compiled */
    return ours ? qd_query_failed(&s->index->context, rc, err) : rc;
}

/* --- by score --- */

static uint32_t hits_wanted(const search_run *x, const search_shard *s)
{
    int64_t docs = qd_searcher_docs(s->searcher);
    int64_t k = x->r->from + x->r->size;
    for (uint32_t i = 0; i < x->r->nrescores && k; i++)
        if (x->r->rescores[i].of->window > k) k = x->r->rescores[i].of->window;
    return (uint32_t)(k < docs ? k : docs);
}

static int keep_top(search_shard *s, const qd_top_result *top, qd_err *err)
{
    s->hits = qd_arena_alloc(&s->arena, (top->n + 1) * sizeof *s->hits);
    if (!s->hits) return qd_err_nomem(err, "hits");
    for (uint32_t i = 0; i < top->n; i++) {
        s->hits[i] = (search_hit){.doc = top->hits[i].doc, .score = top->hits[i].score};
    }
    s->nhits = top->n;
    s->total = top->total;
    s->total_lower_bound = top->total_lower_bound;
    s->timed_out |= top->timed_out;
    if (top->n && !s->resume) s->max_score = top->hits[0].score;
    return 0;
}

static int count_only(const search_run *x, search_shard *s, qd_plan *p, qd_err *err)
{
    uint64_t limit = x->r->total;
    if (limit == 0) return 0;
    bool exact = limit == QD_TOTAL_EXACT;
    int rc = qd_plan_count(p, exact ? 0 : limit + 1, &s->total, err);
    if (!exact && s->total > limit) {
        s->total = limit;
        s->total_lower_bound = true;
    }
    return rc;
}

static int top(const search_run *x, search_shard *s, qd_err *err)
{
    qd_plan *p;
    qd_top_result result;
    uint32_t k = hits_wanted(x, s);
    qd_top_options o = {.k = k, .total = s->resume ? 0 : x->r->total};
    if (s->resume) {
        o.has_after = true;
        o.after_doc = s->resume->doc;
        o.after_score = s->resume->score;
    }
    int rc = plan(x, s, true, k > 0, &p, err);
    if (rc) return rc;
    if (k == 0) return count_only(x, s, p, err);
    rc = qd_plan_top(p, &o, &result, err);
    return rc ? rc : keep_top(s, &result, err);
}

/* --- by columns, and with all that looks at every match --- */

static const qd_sort_key by_score = {.kind = QD_SORT_SCORE, .descending = true};
static const qd_sort_key by_doc = {.kind = QD_SORT_DOC};

/* search_after as this shard sees it: of equal documents those of earlier shards have been given,
 * those of later ones have not. */
static const qd_sort_value *after_here(const search_shard *s, qd_sort_value *copy)
{
    const search_keys *k = &s->index->sort;
    if (!s->index->after) return NULL;
    for (uint32_t i = 0; i < k->n; i++) {
        copy[i] = s->index->after[i];
        if (!k->bound[i].shard_doc) continue;
        int64_t place = copy[i].i64 >> 32;
        bool own = place == (int64_t)s->place;
        /* ascending or not: its documents lie on one side of what was given last */
        copy[i].i64 = own ? copy[i].i64 & UINT32_MAX : place > (int64_t)s->place ? INT64_MAX : -1;
    }
    return copy;
}

/* The sorter of the hits; a scroll goes on behind its last hit, ties told apart by document. */
static int make_sorter(const search_run *x, search_shard *s, qd_sorter **out, qd_err *err)
{
    const search_keys *k = &s->index->sort;
    qd_sort_key keys[QD_SORT_KEYS_MAX];
    qd_sort_value after[QD_SORT_KEYS_MAX];
    qd_sort_options o = {
        .keys = keys,
        .nkeys = k->n ? k->n : 1,
        .k = hits_wanted(x, s),
        .after = after_here(s, after),
        .total = s->resume ? 0 : x->r->total,
        .scores = x->r->track_scores || !k->n,
        .group = x->r->collapse ? &s->index->group : NULL,
        .seed = x->r->collapse ? qd_env_random_u64(x->a->env) : 0,
        .task = x->task,
        .by_index = qdi_search_sort_by_index(k, s->index->meta->values),
    };
    if (k->n) {
        qd_plan_options po =
            qdi_search_plan_options(x, s->index, qdi_search_budget(x, (search_shard *)s));
        po.task = x->task;
        po.no_scores = true;
        int rc = qdi_sort_nested_keys(k, s->searcher, &po, &s->arena, keys, err);
        if (rc) return rc;
    } else {
        keys[0] = by_score;
    }
    bool ends_by_doc = keys[o.nkeys - 1].kind == QD_SORT_DOC;
    if (x->scroll && !ends_by_doc && o.nkeys < QD_SORT_KEYS_MAX) keys[o.nkeys++] = by_doc;
    if (s->resume) {
        for (uint32_t i = 0; i < k->n; i++) after[i] = s->resume->values[i];
        if (!k->n) after[0] = (qd_sort_value){.kind = QD_SORT_SCORE, .score = s->resume->score};
        if (!ends_by_doc) {
            after[o.nkeys - 1] = (qd_sort_value){.kind = QD_SORT_DOC, .i64 = s->resume->doc};
        }
        o.after = after;
    }
    return qd_sorter_make(&o, &s->arena, out, err);
}

static int keep_sorted(search_shard *s, qd_sorter *sorter, qd_err *err)
{
    qd_sort_hit *hits;
    uint32_t n;
    int rc = qd_sorter_finish(sorter, &hits, &n, &s->total, &s->total_lower_bound, err);
    if (rc) return rc;
    s->hits = qd_arena_alloc(&s->arena, (n + 1) * sizeof *s->hits);
    if (!s->hits) return qd_err_nomem(err, "hits");
    bool by_columns = s->index->sort.n > 0;
    for (uint32_t i = 0; i < n; i++) {
        s->hits[i] = (search_hit){.doc = hits[i].doc,
                                  .score = hits[i].score,
                                  .values = by_columns ? hits[i].values : NULL,
                                  .group = s->run->r->collapse ? &hits[i].group : NULL};
        for (uint32_t k = 0; k < s->index->sort.n; k++) {
            if (s->index->sort.bound[k].shard_doc) {
                s->hits[i].values[k].i64 = (int64_t)s->place << 32 | hits[i].doc;
            }
            if (s->index->sort.keys[k].kind == QD_SORT_SCORE) {
                s->hits[i].score = hits[i].values[k].score;
            }
        }
        if (!by_columns) s->hits[i].score = hits[i].values[0].score;
    }
    s->nhits = n;
    if (!by_columns && n) s->max_score = s->hits[0].score;
    return 0;
}

/* All collectors of one pass. */
typedef struct pass {
    qd_sorter *sorter; /* NULL: counted only */
    qd_count_collector count;
    max_collector max;
    qd_multi_collector multi;
    qd_min_score_collector min_score;
    limit_collector limit;
    qd_aggs_shard *aggs;
} pass;

static int aggs_make(search_run *x, search_shard *s, qd_aggs_shard **out, qd_err *err)
{
    qd_aggs_shard_options o = {
        .searcher = s->searcher,
        .account = x->a->account,
        .budget = qdi_search_budget(x, s),
        .task = x->task,
        .shard = s->place,
        .fetch = qdi_search_aggs_fetch,
        .hits_keys = qdi_search_aggs_keys,
        .fetch_arg = s,
    };
    return qd_aggs_shard_make(s->index->aggs, &o, out, err);
}

/* Puts the collectors in a row; the outermost in *out. */
static int assemble(search_run *x, search_shard *s, pass *p, bool hits, bool aggs,
                    qd_collector **out, qd_err *err)
{
    const search_request *r = x->r;
    qd_collector *at[COLLECTORS_MAX];
    uint32_t n = 0;
    int rc = 0;
    if (hits && hits_wanted(x, s) > 0) {
        if ((rc = make_sorter(x, s, &p->sorter, err))) return rc;
        at[n++] = qd_sorter_collector(p->sorter);
        if (r->track_scores && s->index->sort.n) {
            p->max = (max_collector){{&max_vt, QD_COLLECT_SCORES}, NAN};
            at[n++] = &p->max.c;
        }
    } else if (hits) {
        bool limited = r->total != QD_TOTAL_EXACT;
        qd_count_collector_init(&p->count, limited ? r->total + 1 : 0);
        at[n++] = &p->count.c;
    }
    if (aggs) {
        if ((rc = aggs_make(x, s, &p->aggs, err))) return rc;
        at[n++] = qd_aggs_shard_collector(p->aggs);
    }
    qd_multi_collector_init(&p->multi, at, n);
    *out = n == 1 ? at[0] : &p->multi.c;
    if (r->terminate_after) {
        p->limit = (limit_collector){{&limit_vt, (*out)->flags & ~QD_COLLECT_BITS},
                                     *out,
                                     (uint64_t)r->terminate_after,
                                     false};
        *out = &p->limit.c;
    }
    if (r->has_min_score) {
        qd_min_score_collector_init(&p->min_score, *out, r->min_score);
        *out = &p->min_score.c;
    }
    return 0;
}

static int keep_counted(const search_run *x, search_shard *s, const pass *p)
{
    uint64_t limit = x->r->total;
    s->total = limit ? p->count.n : 0;
    if (limit != QD_TOTAL_EXACT && s->total > limit) {
        s->total = limit;
        s->total_lower_bound = true;
    }
    return 0;
}

static int collect(search_run *x, search_shard *s, bool hits, bool aggs, qd_err *err)
{
    pass *p = qd_arena_calloc(&s->arena, sizeof *p);
    qd_collector *c;
    qd_plan *pl;
    qd_collect_result result = {0};
    if (!p) return qd_err_nomem(err, "search");
    int rc = assemble(x, s, p, hits, aggs, &c, err);
    if (!rc) rc = plan(x, s, hits, (c->flags & QD_COLLECT_SCORES) != 0, &pl, err);
    if (!rc) rc = qd_plan_collect(pl, NULL, c, &result, err);
    s->timed_out |= result.timed_out;
    s->terminated_early |= p->limit.reached;
    if (!rc && p->sorter) rc = keep_sorted(s, p->sorter, err);
    if (!rc && p->sorter && x->r->track_scores && s->index->sort.n) s->max_score = p->max.max;
    if (!rc && hits && !p->sorter) rc = keep_counted(x, s, p);
    if (!rc && aggs && qd_aggs_has_global(x->r->aggs)) {
        rc = qd_aggs_shard_run_global(p->aggs, err);
    }
    if (!rc && aggs) rc = qd_aggs_shard_finish(p->aggs, &s->aggs, err);
    if (p->aggs) qd_aggs_shard_free(p->aggs);
    return rc;
}

/* --- the phase --- */

static int one_list(search_run *x, search_shard *s, qd_err *err)
{
    const search_request *r = x->r;
    bool aggs = s->index->aggs && !x->later; /* the first page has them */
    bool none = hits_wanted(x, s) == 0;
    bool ranked =
        !s->index->sort.n && !r->has_min_score && !r->terminate_after && (!r->collapse || none);
    int rc = 0;
    if (x->scroll && s->drained) return 0;
    if (ranked && !(aggs && none && !s->index->post)) {
        rc = top(x, s, err);
        return rc || !aggs ? rc : collect(x, s, false, true, err);
    }
    if (!aggs || !s->index->post) return collect(x, s, true, aggs, err);
    rc = collect(x, s, true, false, err);
    return rc ? rc : collect(x, s, false, true, err);
}

int qdi_search_shard_query(search_run *x, search_shard *s, qd_err *err)
{
    if (x->r->rank) return qdi_rank_shard(x, s, err);
    int rc = one_list(x, s, err);
    return rc || !x->r->nrescores ? rc : qdi_rescore_shard(x, s, err);
}

int qdi_search_shard_open(search_shard *s, qd_err *err)
{
    if (s->searcher) return qdi_search_runtime_open(s, err); /* a scroll keeps its own */
    if (!s->shard) {
        return qd_err_set(err, QD_E_NO_SHARD, "[%.*s][%u] is not on this node",
                          QD_STR_ARG(s->index->meta->name), s->number);
    }
    if (!qd_shard_ready(s->shard, NULL) || qd_shard_behind(s->shard)) {
        int late = qd_shard_searchable(s->shard, OPEN_WAIT_MS, err);
        if (late) return late;
    }
    int rc = qd_shard_searcher(s->shard, &s->searcher, err);
    return rc ? rc : qdi_search_runtime_open(s, err);
}

int qdi_search_shard_plan(search_run *x, search_shard *s, qd_plan **out, qd_err *err)
{
    int rc = s->index->rc;
    if (!rc) rc = qdi_search_shard_open(s, err);
    return rc ? rc : plan(x, s, true, true, out, err);
}

/* The query with its time, for _stats. */
static int counted_query(search_run *x, search_shard *s)
{
    qd_shard_counts *c = s->shard ? qd_shard_counts_of(s->shard) : NULL;
    uint64_t begun = qd_env_mono_ns(x->a->env);
    if (c) atomic_fetch_add(&c->query_current, 1);
    int rc = qdi_search_shard_query(x, s, &s->err);
    if (c) {
        atomic_fetch_sub(&c->query_current, 1);
        atomic_fetch_add(&c->query_total, 1);
        uint64_t took = qd_env_mono_ns(x->a->env) - begun;
        atomic_fetch_add(&c->query_ns, took);
        s->took_ns = took;
        if (!rc) qdi_slow_query(x, s, took);
    }
    return rc;
}

/* The section "suggest", in a scratch of its own: shards run side by side. */
static int suggest(search_run *x, search_shard *s)
{
    if (!x->r->suggest || x->later) return 0;
    qd_analysis *analysis = qd_analysis_make(x->a->account, 0);
    if (!analysis) return qd_err_nomem(&s->err, "suggestions");
    qdi_suggest_shard with = {s->searcher, s->index->context.mapping, analysis, &s->arena, x->task};
    int rc = qdi_suggest_run(x->r->suggest, &with, &s->suggest, &s->err);
    qd_analysis_free(analysis);
    return rc;
}

void qdi_search_shard_run(search_run *x, search_shard *s)
{
    s->max_score = NAN;
    s->budget.spent = s->budget.walks = 0; /* each page of a scroll has its own */
    s->rc = s->index->rc;
    if (s->rc) {
        qd_err_copy(&s->err, &s->index->err);
        return;
    }
    qd_task *before = qd_fiber_task_set(x->task); /* its time limit is that of the query phase */
    s->rc = qd_task_poll(x->task);
    if (!s->rc) s->rc = qdi_search_shard_open(s, &s->err);
    if (!s->rc && x->a->replication) {
        s->stale_ms = qd_replication_stale_ms(x->a->replication, s->index->meta->uuid, s->number);
        int64_t plane = qd_cluster_stale_ms(x->a->cluster);
        if (plane > s->stale_ms) s->stale_ms = plane;
    }
    if (!s->rc) qd_runtime_task(s->searcher, x->task);
    if (!s->rc) s->rc = counted_query(x, s);
    if (!s->rc) s->rc = qd_runtime_status(s->searcher, &s->err);
    if (!s->rc) s->rc = suggest(x, s);
    if (s->searcher) qd_runtime_task(s->searcher, NULL); /* a context outlives it */
    qd_fiber_task_set(before);
    if (s->rc == QD_E_TIMEOUT && x->r->timeout_ms) { /* what there is by now is the answer */
        s->rc = 0;
        s->timed_out = true;
        qd_err_fini(&s->err);
    }
    if (s->rc && !s->err.code) (void)qd_err_set(&s->err, s->rc, "search was stopped");
}
