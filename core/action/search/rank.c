/*
 * rank.c: searches whose hits are several lists put together: retrievers, "rank", hybrid queries.
 *
 * Each leaf of the plan (action/ranking) is a search of its own: a request and an index made of the
 * whole's. A shard runs the leaves one after the other over its one searcher and gives their lists,
 * besides the total and the aggregations of what any of them matches. The coordinating part merges
 * the lists of all shards leaf by leaf and combines them; hits are fetched as those of any search,
 * with the scores that they have now. Nearest vectors are sections knn of the whole, so that they
 * are the nearest of all shards.
 */
#include "action/search/part_int.h"
#include "base/features.h"
#include "base/str.h"
#include <math.h>
#include <stdlib.h>

/* --- the request ------------------------------------------------------------------------------ */

static int refuse_others(const search_request *r, qd_err *err)
{
    const struct {
        const char *name;
        bool given;
    } others[] = {{"query", r->query || r->hybrid},    {"knn", r->nknn > 0},
                  {"search_after", r->after != NULL},  {"terminate_after", r->terminate_after > 0},
                  {"sort", r->sort.at != NULL},        {"rank", r->ranked != NULL},
                  {"rescore", r->rescore_given.n > 0}, {"min_score", r->has_min_score}};
    qd_buf b;
    qd_buf_init(&b, NULL, 4096);
    for (size_t i = 0; i < QD_COUNT_OF(others); i++)
        if (others[i].given) (void)qd_buf_printf(&b, "%s%s", b.n ? ", " : "", others[i].name);
    int rc = b.n ? qd_err_set(err, QD_E_VALIDATION,
                              "Validation Failed: 1: cannot specify [retriever] and [%.*s];",
                              QD_STR_ARG(qd_buf_view(&b)))
                 : 0;
    qd_buf_fini(&b);
    return rc;
}

static int add_section(search_request *r, const rank_leaf *l, uint32_t *section, qd_err *err)
{
    qd_query_reading how = qdi_search_reading(r);
    qd_json_reader j = QD_JSON_READER(r->arena->account);
    if (r->nknn == SEARCH_KNN_MAX)
        return qd_err_set(err, QD_E_ARG, "[knn] has more than %u sections", SEARCH_KNN_MAX);
    if (!r->knn) r->knn = qd_arena_calloc(r->arena, SEARCH_KNN_MAX * sizeof(const qd_query *));
    if (!r->knn) return qd_err_nomem(err, "search");
    bool here = l->query.p >= r->body.p && l->query.p < r->body.p + r->body.n;
    if (!here) how.origin = NULL;
    qd_json_reader_init(&j, l->query, QD_JSON_REQUEST, 0);
    int rc = qd_json_next(&j) == QD_JSON_OBJECT
                 ? qd_query_read_as(&how, "knn", &j, &r->knn[r->nknn], err)
                 : qd_json_fail(&j, err);
    qd_json_reader_fini(&j);
    *section = r->nknn++;
    return rc;
}

/* What a leaf asks for, into a request: the whole's, or its own. */
static int take_leaf(search_request *r, const rank_leaf *l, qd_err *err)
{
    int rc = 0;
    if (l->sort) rc = qdi_search_sort_parse(r, l->sort, &r->sort, err);
    if (!rc && l->after && !l->after->n)
        rc = qd_err_set(err, QD_E_ARG, "Values must contains at least one value.");
    r->after = l->after;
    if (!rc && l->collapse) rc = qdi_collapse_parse(r, l->collapse, err);
    r->has_min_score = l->has_min_score;
    r->min_score = l->min_score;
    r->terminate_after = l->terminate_after;
    return rc;
}

/* Nothing is combined: the leaf is what the request asks for. */
static int fold(search_request *r, const rank_leaf *l, qd_err *err)
{
    uint32_t section;
    int rc = take_leaf(r, l, err);
    if (!rc && l->knn) return add_section(r, l, &section, err);
    r->query_json = l->query;
    return rc ? rc : qdi_search_query_text(r, l->query, &r->query, err);
}

/* The request of a leaf: where to search is the whole's, what for is its own. */
static int make_leaf(search_request *r, const rank_leaf *l, search_request **out, qd_err *err)
{
    uint32_t section;
    search_request *o = qd_arena_alloc(r->arena, sizeof *o);
    if (!o) return qd_err_nomem(err, "search");
    int rc = l->knn ? add_section(r, l, &section, err) : 0;
    *o = *r;
    o->rank = NULL;
    o->retriever = o->ranked = o->hybrid = NULL;
    o->query = o->post_filter = NULL;
    o->knn = l->knn ? &r->knn[section] : NULL;
    o->nknn = l->knn;
    o->sort = (search_sort){0};
    o->aggs = NULL;
    o->from = o->total = 0;
    o->size = l->window;
    o->total_zero = o->profile = false;
    o->track_scores = l->scores;
    o->scroll_ms = 0;
    o->rescores = NULL;
    o->nrescores = 0;
    o->leaves = NULL;
    if (!rc) rc = take_leaf(o, l, err);
    if (!rc && !l->knn) rc = qdi_search_query_text(r, l->query, &o->query, err);
    const rank_rescore *given[RANK_RESCORES_MAX];
    for (uint32_t i = 0; i < l->rescores.n; i++) given[i] = &l->rescores.at[i];
    if (!rc && l->rescores.n) {
        rc = qdi_rescore_read(r, given, l->rescores.n, &o->rescores, err);
        o->nrescores = l->rescores.n;
    }
    *out = o;
    return rc;
}

static int take_plan(search_request *r, const rank_plan *p, qd_err *err)
{
    qd_str all;
    if (r->collapse)
        return qd_err_set(err, QD_E_UNSUPPORTED,
                          "[collapse] of combined lists of hits is not supported by this version: "
                          "a [standard] retriever takes it");
    r->nknn = 0;
    r->query = NULL;
    int rc = qdi_rank_union(r->arena, p, &all, err);
    if (!rc && all.n) rc = qdi_search_query_text(r, all, &r->query, err);
    r->leaves = qd_arena_calloc(r->arena, (p->nleaves + 1ul) * sizeof(search_request *));
    if (!rc && !r->leaves) rc = qd_err_nomem(err, "search");
    for (uint32_t i = 0; i < p->nleaves && !rc; i++)
        rc = make_leaf(r, &p->leaves[i], &r->leaves[i], err);
    if (!rc && p->nextra) rc = qdi_rescore_read(r, p->extra, p->nextra, &r->extra, err);
    r->rank = p;
    return rc;
}

/* The older section, over what the body has as query and sections knn. */
static int take_section(search_request *r, rank_plan **out, qd_err *err)
{
    qd_json_node *root;
    qd_str knn[SEARCH_KNN_MAX];
    uint32_t n = 0;
    const char *why = r->size == 0         ? "[rank] requires [size] greater than [0]"
                      : r->scroll_ms       ? "[rank] cannot be used in a scroll context"
                      : r->rescore_given.n ? "[rank] cannot be used with [rescore]"
                      : r->sort.at         ? "[rank] cannot be used with [sort]"
                      : r->collapse        ? "[rank] cannot be used with [collapse]"
                      : r->show.highlight  ? "[rank] cannot be used with [highlighter]"
                      : r->pit.n           ? "[rank] cannot be used with [point in time]"
                      : r->has_min_score   ? "[rank] cannot be used with [min_score]"
                                           : NULL;
    if (why) return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: %s;", why);
    int rc = qd_json_parse(r->arena, r->body, 0, &root, err);
    if (rc) return rc;
    const qd_json_node *query = qd_json_get(root, "query"), *k = qd_json_get(root, "knn");
    bool list = k && k->type == QD_JSON_T_ARRAY;
    for (const qd_json_node *x = list ? k->first : k; x && n < SEARCH_KNN_MAX;
         x = list ? x->next : NULL)
        knn[n++] = x->raw;
    return qdi_rank_section(r->arena, r->ranked, query ? query->raw : (qd_str){NULL, 0}, knn, n,
                            out, err);
}

static int take_hybrid(search_request *r, rank_plan **out, qd_err *err)
{
    const char *with = r->sort.n            ? "sort"
                       : r->collapse        ? "collapse"
                       : r->has_min_score   ? "min_score"
                       : r->nknn            ? "knn"
                       : r->rescore_given.n ? "rescore"
                                            : NULL;
    if (r->scroll_ms)
        return qd_err_set(err, QD_E_ARG, "Scroll operation is not supported in hybrid query");
    if (with)
        return qd_err_set(err, QD_E_UNSUPPORTED,
                          "[%s] beside a [hybrid] query is not supported by this version", with);
    bool combines = r->pipeline && r->pipeline->combines;
    if (r->coordinates && !combines)
        return qd_err_set(err, QD_E_ARG,
                          "a [hybrid] query needs a search pipeline with a "
                          "[normalization-processor] or a [score-ranker-processor] in its "
                          "[phase_results_processors]");
    return qdi_rank_hybrid(r->arena, r->hybrid, r->from, r->size,
                           combines ? &r->pipeline->combine : NULL, out, err);
}

static int read_rescores(search_request *r, qd_err *err)
{
    const rank_rescore *given[RANK_RESCORES_MAX];
    for (uint32_t i = 0; i < r->rescore_given.n; i++) given[i] = &r->rescore_given.at[i];
    int rc = qdi_rescore_read(r, given, r->rescore_given.n, &r->rescores, err);
    r->nrescores = r->rescore_given.n;
    return rc ? rc : qdi_rescore_check(r, err);
}

int qdi_rank_finish(search_request *r, qd_err *err)
{
    rank_plan *p = NULL;
    int rc = r->retriever ? refuse_others(r, err) : 0;
    if (rc) return rc;
    if (r->retriever)
        rc = qdi_rank_retriever(r->arena, r->retriever, &p, err);
    else if (r->ranked)
        rc = take_section(r, &p, err);
    else if (r->hybrid)
        rc = take_hybrid(r, &p, err);
    if (!rc && p && p->root->kind == RANK_LEAF)
        rc = fold(r, &p->leaves[p->root->leaf], err);
    else if (!rc && p)
        rc = take_plan(r, p, err);
    return rc || !r->rescore_given.n ? rc : read_rescores(r, err);
}

uint32_t qdi_rank_extra(const search_request *r)
{
    return r->rank->nextra + (r->post_filter != NULL);
}

/* --- an index --------------------------------------------------------------------------------- */

int qdi_rank_level(const search_run *x, const char *what, qd_err *err)
{
    if (x->part || x->state->features >= QD_FEATURES_SEARCH_0_3) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "[%s] needs level %u of the cluster's formats; they are of level %u: "
                      "POST _cluster/upgrade/finalize when all nodes run this version",
                      what, QD_FEATURES_SEARCH_0_3, x->state->features);
}

static int bind_leaf(search_run *x, search_index *ix, uint32_t l, qd_err *err)
{
    search_index *o = &ix->leaves[l];
    search_run own = *x;
    search_request *r = own.r = x->r->leaves[l];
    *o = *ix;
    o->leaves = NULL;
    o->own = NULL;
    o->post = NULL;
    o->sort = (search_keys){0};
    o->after = NULL;
    o->aggs = NULL;
    o->ninner = 0;
    o->nknn = r->nknn;
    o->knn = r->nknn ? &ix->knn[r->knn - x->r->knn] : NULL;
    own.scroll = false;
    int rc = qdi_search_check_window(&own, o, err);
    if (!rc && r->nknn)
        o->query = (qd_query_built){.root = o->knn[0]};
    else if (!rc)
        rc = qd_query_build(&o->context, r->query, &o->query, err);
    if (!rc) rc = qdi_search_sort_bind(&r->sort, &o->context, x->arena, &o->sort, err);
    if (!rc && r->collapse) rc = qdi_collapse_bind(&own, o, err);
    if (!rc && r->nrescores)
        rc = qdi_rescore_bind(&own, o, r->rescores, r->nrescores, &o->rescores, err);
    ix->query.uncacheable |= o->query.uncacheable;
    return rc;
}

int qdi_rank_bind(search_run *x, search_index *ix, qd_err *err)
{
    const rank_plan *p = x->r->rank;
    int rc = qdi_rank_level(x, p->hybrid ? "hybrid" : x->r->ranked ? "rank" : "retriever", err);
    ix->leaves = qd_arena_calloc(x->arena, (p->nleaves + 1ul) * sizeof *ix->leaves);
    if (!ix->leaves) return qd_err_nomem(err, "search");
    for (uint32_t l = 0; l < p->nleaves && !rc; l++) rc = bind_leaf(x, ix, l, err);
    if (!rc && p->nextra) rc = qdi_rescore_bind(x, ix, x->r->extra, p->nextra, &ix->extra, err);
    return rc;
}

/* --- a shard ---------------------------------------------------------------------------------- */

/* Runs a search of a shard that is not the whole: what the shard is for the whole stays. */
static int run_as(search_run *own, search_shard *s, search_index *ix, uint32_t section, bool lists,
                  qd_err *err)
{
    search_run *run = s->run;
    search_index *index = s->index;
    uint32_t *nearest = s->nearest;
    qd_knn_memo *memos = s->memos;
    s->run = own;
    s->index = ix;
    if (lists && nearest) s->nearest = nearest + section;
    if (lists && memos) s->memos = memos + section;
    s->hits = NULL;
    s->nhits = 0;
    int rc = qdi_search_shard_query(own, s, err);
    s->run = run;
    s->index = index;
    s->nearest = nearest;
    s->memos = lists ? memos : s->memos;
    return rc;
}

static int by_doc(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The documents of all lists, once each, ascending. */
static uint32_t *documents(search_shard *s, uint32_t *n)
{
    uint32_t *docs = qd_arena_alloc(&s->arena, (s->nhits + 1ul) * sizeof *docs);
    *n = 0;
    for (uint32_t i = 0; i < s->nhits && docs; i++) docs[i] = s->hits[i].doc;
    if (docs && s->nhits) qsort(docs, s->nhits, sizeof *docs, by_doc);
    for (uint32_t i = 0; i < s->nhits && docs; i++)
        if (!*n || docs[*n - 1] != docs[i]) docs[(*n)++] = docs[i];
    return docs;
}

static uint32_t find_doc(const uint32_t *docs, uint32_t n, uint32_t doc)
{
    const uint32_t *at = bsearch(&doc, docs, n, sizeof *docs, by_doc);
    return (uint32_t)(at - docs);
}

/* What the extra queries say of each hit. */
static int tell_extra(search_run *x, search_shard *s, qd_err *err)
{
    uint32_t extra = qdi_rank_extra(x->r), n;
    int rc = 0;
    if (!extra || !s->nhits) return 0;
    uint32_t *docs = documents(s, &n);
    uint64_t *bits = qd_arena_alloc(&s->arena, (n / 64 + 1ul) * sizeof *bits);
    float *scores = qd_arena_alloc(&s->arena, (n + 1ul) * sizeof *scores);
    s->extra = qd_arena_alloc(&s->arena, (size_t)s->nhits * extra * sizeof *s->extra);
    if (!docs || !bits || !scores || !s->extra) return qd_err_nomem(err, "ranked lists");
    for (uint32_t e = 0; e < extra && !rc; e++) {
        bool filter = e == x->r->rank->nextra;
        const qd_node *node = filter ? s->index->post : s->index->extra[e];
        rc = qdi_rescore_test(x, s, node, docs, n, bits, filter ? NULL : scores, err);
        for (uint32_t i = 0; i < s->nhits && !rc; i++) {
            uint32_t at = find_doc(docs, n, s->hits[i].doc);
            bool match = bits[at >> 6] >> (at & 63) & 1;
            s->extra[(size_t)i * extra + e] = !match ? NAN : filter ? 1 : scores[at];
        }
    }
    return rc;
}

int qdi_rank_shard(search_run *x, search_shard *s, qd_err *err)
{
    const rank_plan *p = x->r->rank;
    search_request all = *x->r;
    search_run own = *x;
    all.rank = NULL;
    all.from = all.size = 0;
    own.r = &all;
    int rc = run_as(&own, s, s->index, 0, false, err); /* totals and aggregations */
    uint64_t total = s->total;
    bool lower_bound = s->total_lower_bound;
    search_hit *hits = NULL;
    uint32_t n = 0, cap = 0;
    if (!x->r->size) return rc;
    search_span *lists = qd_arena_calloc(&s->arena, p->nleaves * sizeof *lists);
    if (!rc && !lists) rc = qd_err_nomem(err, "ranked lists");
    for (uint32_t l = 0; l < p->nleaves && !rc; l++) {
        own.r = x->r->leaves[l];
        uint32_t section = own.r->nknn ? (uint32_t)(own.r->knn - x->r->knn) : 0;
        rc = run_as(&own, s, &s->index->leaves[l], section, own.r->nknn > 0, err);
        if (rc) break;
        lists[l] = (search_span){n, s->nhits};
        if (n + s->nhits > cap) {
            cap = 2 * (n + s->nhits);
            search_hit *more = qd_arena_alloc(&s->arena, cap * sizeof *more);
            if (!more) return qd_err_nomem(err, "ranked lists");
            if (n) memcpy(more, hits, n * sizeof *hits);
            hits = more;
        }
        if (s->nhits) memcpy(hits + n, s->hits, s->nhits * sizeof *hits);
        n += s->nhits;
    }
    s->hits = hits;
    s->nhits = rc ? 0 : n;
    s->lists = rc ? NULL : lists;
    s->total = total;
    s->total_lower_bound = lower_bound;
    s->max_score = NAN;
    return rc ? rc : tell_extra(x, s, err);
}

/* --- all shards ------------------------------------------------------------------------------- */

/* The list of a leaf over all shards, best first. */
static int merge_leaf(search_run *x, uint32_t l, rank_list *out, qd_err *err)
{
    search_request r = *x->r->leaves[l];
    search_run own = *x;
    if (x->r->rank->every_hit) r.size = INT32_MAX;
    own.r = &r;
    own.nindices = 0; /* what is shown of sort values is not theirs */
    own.shards = qd_arena_alloc(x->arena, (x->nshards + 1ul) * sizeof *own.shards);
    if (!own.shards) return qd_err_nomem(err, "ranked lists");
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &own.shards[i];
        *s = x->shards[i];
        bool none = s->rc || !s->lists;
        if (!none) s->index = &s->index->leaves[l];
        s->hits = none ? NULL : s->hits + s->lists[l].from;
        s->nhits = none ? 0 : s->lists[l].n;
    }
    int rc = qdi_search_merge_hits(&own, err);
    if (rc) return rc;
    rank_doc *at = qd_arena_alloc(x->arena, (own.nrefs + 1ul) * sizeof *at);
    if (!at) return qd_err_nomem(err, "ranked lists");
    for (uint32_t i = 0; i < own.nrefs; i++) {
        const search_ref *ref = &own.refs[i];
        const search_hit *h = &ref->shard->hits[ref->at];
        at[i] = (rank_doc){.shard = (uint32_t)(ref->shard - own.shards),
                           .doc = h->doc,
                           .at = ref->at + ref->shard->lists[l].from,
                           .score = h->score};
    }
    *out = (rank_list){at, own.nrefs};
    return 0;
}

static float extra_of(void *arg, const rank_doc *d, uint32_t k)
{
    const search_run *x = arg;
    return x->shards[d->shard].extra[(size_t)d->at * qdi_rank_extra(x->r) + k];
}

int qdi_rank_merge(search_run *x, qd_err *err)
{
    const search_request *r = x->r;
    rank_list *lists = qd_arena_calloc(x->arena, (r->rank->nleaves + 1ul) * sizeof *lists), all;
    int rc = lists ? 0 : qd_err_nomem(err, "ranked lists");
    for (uint32_t l = 0; l < r->rank->nleaves && !rc; l++) rc = merge_leaf(x, l, &lists[l], err);
    if (!rc) rc = qdi_rank_fuse(r->rank, lists, extra_of, x, x->arena, &all, err);
    if (rc) return rc;
    uint32_t n = 0;
    for (uint32_t i = 0; i < all.n; i++)
        if (!r->post_filter || !isnan(extra_of(x, &all.at[i], r->rank->nextra)))
            all.at[n++] = all.at[i];
    search_ref *refs = qd_arena_alloc(x->arena, (n + 1ul) * sizeof *refs);
    if (!refs) return qd_err_nomem(err, "ranked lists");
    x->refs = refs;
    x->nrefs = 0;
    for (uint32_t i = (uint32_t)(r->from < n ? r->from : n); i < n && x->nrefs < r->size; i++) {
        const rank_doc *d = &all.at[i];
        x->shards[d->shard].hits[d->at].score = d->score;
        refs[x->nrefs++] = (search_ref){&x->shards[d->shard], d->at};
    }
    if (n && r->size) x->max_score = all.at[0].score;
    return 0;
}
