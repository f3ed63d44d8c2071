/*
 * knn.c: the section "knn" of a search: nearest vectors beside the query, their scores added.
 *
 * The k nearest are those of all shards together, so with more than one shard each tells first how
 * near its own are (the round of dfs_query_then_fetch); then it is told how many of them are among
 * the k, and those are the same ones: its best so many. A shard that does not tell searches for k.
 */
#include "action/search/wire_int.h"
#include "base/str.h"
#include "query/node.h"
#include "rpc/rpc.h"
#include "runtime/fiber.h"
#include <stdlib.h>

/* --- reading ---------------------------------------------------------------------------------- */

static int add_section(search_request *r, qd_json_reader *j, qd_err *err)
{
    qd_query_reading how = qdi_search_reading(r);
    if (j->event != QD_JSON_OBJECT)
        return qd_json_err_at(j, err, QD_E_PARSE, "Unknown key for a %s in [knn].",
                              qd_json_event_name(j->event));
    if (r->nknn == SEARCH_KNN_MAX)
        return qd_err_set(err, QD_E_ARG, "[knn] has more than %u sections", SEARCH_KNN_MAX);
    if (!r->knn) r->knn = qd_arena_calloc(r->arena, SEARCH_KNN_MAX * sizeof(const qd_query *));
    if (!r->knn) return qd_err_nomem(err, "search");
    return qd_query_read_as(&how, "knn", j, &r->knn[r->nknn++], err);
}

int qdi_search_knn_parse(search_request *r, qd_json_reader *j, qd_err *err)
{
    int rc = 0;
    r->nknn = 0;
    if (j->event != QD_JSON_ARRAY) return add_section(r, j, err);
    qd_json_event ev;
    while (!rc && (ev = qd_json_next(j)) != QD_JSON_ARRAY_END)
        rc = ev < 0 ? qd_json_fail(j, err) : add_section(r, j, err);
    return rc;
}

/* --- binding ---------------------------------------------------------------------------------- */

/* n nodes of which any suffices, their scores added; nothing matches where there is none. */
static const qd_node *any_of(qd_arena *a, const qd_node *const *nodes, uint32_t n)
{
    const qd_node **should;
    if (n == 1) return nodes[0];
    if (n == 0) return qd_node_make(a, QD_NATIVE_MATCH_NONE);
    const qd_node *b = qd_node_bool_make(a, 0, n, 0, 0, NULL, &should, NULL, NULL);
    if (b) memcpy(should, nodes, n * sizeof(const qd_node *));
    return b;
}

/* Those of a section; `node` is it as it was bound. */
static int add_names(search_index *ix, const qd_query_built *built, const qd_node *node,
                     qd_arena *a, qd_err *err)
{
    uint32_t n = ix->query.nnamed + built->nnamed;
    qd_query_named *all = qd_arena_alloc(a, (n + 1ul) * sizeof *all);
    if (!all) return qd_err_nomem(err, "named queries");
    if (ix->query.nnamed) memcpy(all, ix->query.named, ix->query.nnamed * sizeof *all);
    if (built->nnamed) memcpy(all + ix->query.nnamed, built->named, built->nnamed * sizeof *all);
    for (uint32_t i = ix->query.nnamed; i < n; i++)
        if (all[i].node == built->root) all[i].node = node;
    ix->query.named = all;
    ix->query.nnamed = n;
    return 0;
}

/* What a section shows of nested documents, behind those of the query. */
static int add_inner(search_index *ix, const qd_query_built *built, qd_arena *a, qd_err *err)
{
    uint32_t n = ix->query.ninner;
    if (!built->ninner) return 0;
    if (n + built->ninner > QD_INNER_MAX)
        return qd_err_set(err, QD_E_ARG, "a query has at most %u inner_hits", QD_INNER_MAX);
    qd_query_inner *all = qd_arena_alloc(a, (n + built->ninner) * sizeof *all);
    if (!all) return qd_err_nomem(err, "search");
    if (n) memcpy(all, ix->query.inner, n * sizeof *all);
    for (uint32_t i = 0; i < built->ninner; i++) {
        all[n + i] = built->inner[i];
        if (all[n + i].in != QD_INNER_TOP) all[n + i].in += n;
    }
    ix->query.inner = all;
    ix->query.ninner = n + built->ninner;
    return 0;
}

/* What the aliases hide is not among the nearest. */
static int filtered(search_index *ix, const qd_node *n, qd_arena *a, const qd_node **out,
                    qd_err *err)
{
    *out = n;
    if (!qd_node_nearest(n) || !ix->nfilters) return 0;
    qd_node *copy = qd_node_make(a, n->kind);
    if (!copy) return qd_err_nomem(err, "search");
    *copy = *n;
    copy->u.knn.filter = qd_node_filtered(a, n->u.knn.filter, ix->filters, ix->nfilters);
    *out = copy;
    return copy->u.knn.filter ? 0 : qd_err_nomem(err, "search");
}

int qdi_search_knn_bind(search_run *x, search_index *ix, qd_err *err)
{
    const search_request *r = x->r;
    const qd_node *nodes[SEARCH_KNN_MAX + 1];
    uint32_t n = 0;
    int rc = 0;
    if (!r->nknn) return 0;
    ix->own = r->query ? ix->query.root : NULL;
    ix->knn = qd_arena_alloc(x->arena, r->nknn * sizeof(const qd_node *));
    if (!ix->knn) return qd_err_nomem(err, "search");
    if (ix->own) nodes[n++] = ix->own;
    for (uint32_t i = 0; i < r->nknn && !rc; i++) {
        qd_query_built built;
        rc = qd_query_build(&ix->context, r->knn[i], &built, err);
        if (!rc) rc = filtered(ix, built.root, x->arena, &ix->knn[i], err);
        if (!rc) rc = add_names(ix, &built, ix->knn[i], x->arena, err);
        if (!rc) rc = add_inner(ix, &built, x->arena, err);
        if (rc) return rc;
        ix->query.uncacheable |= built.uncacheable;
        nodes[n++] = ix->knn[i];
    }
    ix->nknn = r->nknn;
    ix->query.root = any_of(x->arena, nodes, n);
    return ix->query.root ? 0 : qd_err_nomem(err, "search");
}

/* --- a shard ---------------------------------------------------------------------------------- */

/* A section as it is for a shard: what one plan finds there the next ones need not look for. */
static int node_of(search_shard *s, uint32_t i, qd_node **out, qd_err *err)
{
    const search_index *ix = s->index;
    qd_node *n = qd_node_make(&s->arena, ix->knn[i]->kind);
    if (!s->memos) s->memos = qd_arena_calloc(&s->arena, ix->nknn * sizeof *s->memos);
    if (!n || !s->memos) return qd_err_nomem(err, "search");
    *n = *ix->knn[i];
    n->u.knn.memo = &s->memos[i];
    *out = n;
    return 0;
}

int qdi_search_knn_root(search_shard *s, const qd_node **out, qd_err *err)
{
    const search_index *ix = s->index;
    const qd_node *nodes[SEARCH_KNN_MAX + 1];
    uint32_t n = 0;
    if (ix->own) nodes[n++] = ix->own;
    for (uint32_t i = 0; i < ix->nknn; i++) {
        qd_node *node;
        if (!qd_node_nearest(ix->knn[i]) || (s->nearest && !s->nearest[i])) continue;
        int rc = node_of(s, i, &node, err);
        if (rc) return rc;
        if (s->nearest) node->u.knn.k = s->nearest[i];
        nodes[n++] = node;
    }
    *out = any_of(&s->arena, nodes, n);
    return *out ? 0 : qd_err_nomem(err, "search");
}

/* A section as the shard of some hits has run it: with what its plans found, where that is still
 * there. NULL: out of memory. */
static const qd_node *shown_section(const search_hits *h, uint32_t i)
{
    const search_shard *s = h->of;
    const qd_node *from = h->index->knn[i];
    if (!qd_node_nearest(from)) return from;
    bool none = s->nearest && !s->nearest[i];
    qd_node *n = qd_node_make(h->arena, none ? QD_NATIVE_MATCH_NONE : from->kind);
    if (!n || none) return n;
    *n = *from;
    if (s->nearest) n->u.knn.k = s->nearest[i];
    if (s->memos && s->memos[i].found) n->u.knn.memo = &s->memos[i];
    return n;
}

const qd_node *qdi_search_knn_shown(const search_hits *h, const qd_node *n)
{
    const search_index *ix = h->index;
    const qd_node *nodes[SEARCH_KNN_MAX + 1];
    uint32_t count = 0;
    if (!h->of || !ix->nknn) return n;
    for (uint32_t i = 0; i < ix->nknn; i++)
        if (n == ix->knn[i]) return shown_section(h, i);
    if (n != ix->query.root) return n;
    if (ix->own) nodes[count++] = ix->own;
    for (uint32_t i = 0; i < ix->nknn; i++) {
        nodes[count] = shown_section(h, i);
        if (!nodes[count++]) return NULL;
    }
    return any_of(h->arena, nodes, count);
}

/* The best scores of a section in a shard, best first. */
static int scores_of(search_run *x, search_shard *s, uint32_t i, search_scores *out, qd_err *err)
{
    qd_node *node;
    qd_plan *p;
    qd_top_result top;
    *out = (search_scores){0};
    if (!qd_node_nearest(s->index->knn[i])) return 0;
    int rc = node_of(s, i, &node, err);
    qd_plan_options o = qdi_search_plan_options(x, s->index, qdi_search_budget(x, s));
    o.task = x->task;
    if (!rc) rc = qd_plan_make(s->searcher, node, &o, &s->arena, &p, err);
    if (rc) return rc;
    uint32_t docs = qd_searcher_docs(s->searcher), k = node->u.knn.k;
    if (!k || k > docs) k = docs;
    if (!k) return 0;
    rc = qd_plan_top(p, &(qd_top_options){.k = k}, &top, err);
    if (rc) return rc;
    out->at = qd_arena_alloc(&s->arena, (top.n + 1) * sizeof *out->at);
    if (!out->at) return qd_err_nomem(err, "search");
    for (uint32_t j = 0; j < top.n; j++) out->at[j] = top.hits[j].score;
    out->n = top.n;
    return 0;
}

static void tell(void *arg, uint32_t i)
{
    search_run *x = arg;
    search_shard *s = &x->shards[i];
    qd_err why;
    if (s->copies && !s->shard) return; /* another node's */
    qd_err_init(&why);
    int rc = s->index->rc ? s->index->rc : qdi_search_shard_open(s, &why);
    uint32_t n = rc ? 0 : s->index->nknn;
    search_scores *all = n ? qd_arena_calloc(&s->arena, n * sizeof *all) : NULL;
    if (n && !all) rc = QD_E_NOMEM;
    for (uint32_t k = 0; k < n && !rc; k++) rc = scores_of(x, s, k, &all[k], &why);
    s->scores = rc ? NULL : all; /* the query phase tells why */
    qd_err_fini(&why);
}

void qdi_search_knn_tell(search_run *x)
{
    qd_task *before = qd_fiber_task_set(x->task);
    qdi_search_fan_of(x->a, x->nshards, x->r->at_once, tell, x);
    qd_fiber_task_set(before);
}

/* --- the round over all shards ---------------------------------------------------------------- */

static int ask_others(search_run *x, qd_err *err)
{
    search_target *first = NULL;
    qd_asks *q = NULL;
    uint32_t n = 0;
    int rc = qdi_targets_of_others(x, &first, &n, err);
    if (!rc && n) rc = qdi_search_ask(x, n, &q, err);
    if (!rc && !n) qdi_search_knn_tell(x);
    if (rc || !n) return rc;
    for (search_target *t = first; t && !rc; t = t->next)
        rc = qdi_ask_part(x, t, QD_ACTION_SEARCH_DFS, q, err);
    qdi_search_knn_tell(x); /* meanwhile */
    qdi_asks_wait(q);
    for (search_target *t = first; t && !rc; t = t->next) {
        qd_str bytes;
        uint16_t version;
        qd_body_reader r;
        int answer = qdi_answer(q, t->question, &bytes, &version, NULL);
        if (answer == QD_E_TIMEOUT || answer == QD_E_CLOSED) qdi_target_silent(x, t);
        if (answer) continue; /* the query phase tells why */
        qd_body_reader_init(&r, bytes, "nearest vectors", version);
        qdi_nearest_read(&r, x->arena, t->shards, t->n);
    }
    qdi_asks_end(q);
    return rc;
}

/* A document of a shard among the candidates. */
typedef struct candidate {
    float score;
    uint32_t shard, rank;
} candidate;

static int by_score(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->shard != y->shard) return x->shard < y->shard ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* How many of each shard are among the k of a section; 0: a section without k takes all. */
static int settle_section(search_run *x, uint32_t section, qd_err *err)
{
    size_t n = 0, most = 0;
    uint32_t k = 0;
    for (uint32_t i = 0; i < x->nshards; i++)
        if (x->shards[i].scores) most += x->shards[i].scores[section].n;
    candidate *all = qd_alloc(x->a->account, (most + 1) * sizeof *all);
    if (!all) return qd_err_nomem(err, "nearest vectors");
    for (uint32_t i = 0; i < x->nshards; i++) {
        const search_shard *s = &x->shards[i];
        if (!s->scores) continue;
        const search_scores *own = &s->scores[section];
        const qd_node_knn *of = qd_node_nearest(s->index->knn[section]);
        if (of) k = of->k;
        for (uint32_t j = 0; j < own->n; j++) all[n++] = (candidate){own->at[j], i, j};
    }
    if (n) qsort(all, n, sizeof *all, by_score);
    for (size_t j = 0; j < n && (!k || j < k); j++) x->shards[all[j].shard].nearest[section]++;
    qd_free(all);
    return 0;
}

static int settle(search_run *x, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        if (!s->scores) continue;
        s->nearest = qd_arena_calloc(x->arena, x->r->nknn * sizeof *s->nearest);
        if (!s->nearest) return qd_err_nomem(err, "nearest vectors");
    }
    for (uint32_t k = 0; k < x->r->nknn && !rc; k++) rc = settle_section(x, k, err);
    return rc;
}

int qdi_search_knn(search_run *x, qd_err *err)
{
    if (!x->r->nknn || x->nshards < 2) return 0;
    x->asks_knn = true;
    int rc = ask_others(x, err);
    x->asks_knn = false;
    return rc ? rc : settle(x, err);
}
