/*
 * node.c: a node's part of a search: the query phase of the shards asked for, pages of a
 * scroll, and the fetch of those hits that the coordinating part has chosen.
 */
#include "action/search/part_int.h"
#include "base/str.h"
#include "runtime/fiber.h"
#include <math.h>

#define HIT_MAX ((size_t)1 << 30)

/* --- the query phase --- */

/* The request as the coordinating part read it. */
static int read_request(search_context *c, qd_err *err)
{
    const search_part *p = &c->part;
    search_request *r = &c->r;
    c->q = (qd_request){.a = c->x.a,
                        .api = qd_api_find(QD_STR("search")),
                        .params = p->params,
                        .nparams = p->nparams,
                        .body = p->body,
                        .arena = &c->arena};
    qdi_search_request_init(r, &c->q, &c->arena);
    r->lookups = p->lookups;
    r->given_lookups = true;
    int rc = p->query_only ? qdi_search_query_body(r, p->body, false, err)
                           : qdi_search_body(r, p->body, err);
    if (!rc) rc = p->query_only ? qdi_search_param_query(r, err) : qdi_search_params(r, err);
    r->from = p->from;
    r->size = p->size;
    r->total = p->total;
    r->timeout_ms = p->timeout_ms;
    r->terminate_after = p->terminate_after;
    r->has_min_score = p->has_min_score;
    r->min_score = p->min_score;
    r->at_once = p->at_once;
    r->scroll_ms = p->scroll ? p->keep_ms : 0;
    r->dfs = false; /* the statistics come with the request */
    return rc;
}

/* The searchers of a point in time, which waits in c's table. */
static int borrow_searchers(search_context *c, qd_err *err)
{
    search_context *pit;
    if (!c->part.context) return 0;
    int rc = qdi_context_take(c->x.a, c->part.context, 0, c->x.task, &pit, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < c->x.nshards; i++) {
        search_shard *s = &c->x.shards[i];
        for (uint32_t k = 0; k < pit->x.nshards && !s->searcher; k++) {
            const search_shard *o = &pit->x.shards[k];
            if (o->number != s->number || !o->searcher || !s->index->meta ||
                strcmp(o->index->meta->uuid, s->index->meta->uuid) != 0) {
                continue;
            }
            s->searcher = qd_searcher_ref(o->searcher);
        }
        if (!s->searcher && !s->index->rc) { /* not among those it was opened over */
            s->index->rc = QD_E_SEARCH_CONTEXT_MISSING;
            (void)qd_err_set(&s->index->err, s->index->rc, "the point in time has no shard [%u]",
                             s->number);
        }
    }
    qdi_context_keep(pit, c->part.pit_keep_ms);
    qdi_context_give_back(pit, false);
    return 0;
}

static void run_shard(void *arg, uint32_t i)
{
    search_run *x = arg;
    search_shard *s = &x->shards[i];
    if (!x->opens_pit) {
        qdi_search_shard_run(x, s);
        return;
    }
    s->max_score = NAN;
    s->rc = s->index->rc;
    if (s->rc) qd_err_copy(&s->err, &s->index->err);
    if (!s->rc) s->rc = qdi_search_shard_open(s, &s->err);
}

static int stopped(const search_run *x, qd_err *err)
{
    for (uint32_t i = 0; i < x->nshards; i++) {
        const search_shard *s = &x->shards[i];
        if (s->rc == QD_E_CANCELLED || (s->rc == QD_E_TIMEOUT && !x->r->timeout_ms)) {
            qd_err_copy(err, &s->err);
            return s->rc;
        }
    }
    return 0;
}

static int run(search_context *c, qd_task *task, qd_err *err)
{
    c->x.task = task;
    qdi_search_fan_of(c->x.a, c->x.nshards, c->part.at_once, run_shard, &c->x);
    return stopped(&c->x, err);
}

static int prepare_scroll(search_context *c, qd_err *err)
{
    size_t n = c->x.nshards + 1;
    if (c->kind != SEARCH_CONTEXT_SCROLL) return 0;
    c->last = qd_arena_calloc(&c->arena, n * sizeof *c->last);
    c->has_last = qd_arena_calloc(&c->arena, n * sizeof *c->has_last);
    return c->last && c->has_last ? 0 : qd_err_nomem(err, "scroll");
}

int qdi_node_begin(qd_actions *a, const search_part *p, qd_task *task, search_context **out,
                   qd_err *err)
{
    search_context *c;
    search_context_kind kind = p->opens_pit ? SEARCH_CONTEXT_PIT
                               : p->scroll  ? SEARCH_CONTEXT_SCROLL
                                            : SEARCH_CONTEXT_QUERY;
    int rc = qdi_context_make(a, p, kind, &c, err);
    if (rc) return rc;
    rc = read_request(c, err);
    if (!rc) rc = qdi_search_begin_part(&c->x, &c->r, task, &c->part, err);
    c->x.opens_pit = p->opens_pit;
    if (!rc) rc = borrow_searchers(c, err);
    if (rc) {
        qdi_context_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

int qdi_node_query(qd_actions *a, const search_part *p, qd_task *task, search_context **out,
                   qd_err *err)
{
    search_context *c;
    int rc = qdi_node_begin(a, p, task, &c, err);
    if (rc) return rc;
    rc = prepare_scroll(c, err);
    if (!rc) rc = run(c, task, err);
    if (rc) {
        qdi_context_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

/* --- pages of a scroll --- */

/* Empties what the page before left in the shards; they keep searchers. */
static void clear_page(search_context *c)
{
    search_run *x = &c->x;
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        s->drained |= !s->rc && s->nhits == 0;
        qd_err_fini(&s->err);
        qd_arena_reset(&s->arena);
        s->memos = NULL;
        if (s->aggs) qd_aggs_partial_free(s->aggs);
        s->aggs = NULL;
        s->resume = c->has_last[i] ? &c->last[i] : NULL;
        s->rc = 0;
        s->hits = NULL;
        s->lists = NULL;
        s->nhits = 0;
        s->total = 0;
        s->total_lower_bound = s->timed_out = s->terminated_early = false;
    }
    x->later = true;
}

int qdi_node_next(qd_actions *a, const uint8_t id[SEARCH_CONTEXT_ID], uint64_t owner,
                  int64_t keep_ms, qd_task *task, search_context **out, qd_err *err)
{
    search_context *c;
    int rc = qdi_context_take(a, id, owner, task, &c, err);
    if (rc) return rc;
    if (c->kind != SEARCH_CONTEXT_SCROLL) {
        qdi_context_give_back(c, false);
        return qd_err_set(err, QD_E_SEARCH_CONTEXT_MISSING, "No search context found for id");
    }
    if (keep_ms > 0) c->keep_ms = keep_ms;
    clear_page(c);
    rc = run(c, task, err);
    if (rc) {
        qdi_context_give_back(c, false);
        return rc;
    }
    *out = c;
    return 0;
}

/* Copies the values of hit h to where they outlive the page. */
static int keep_hit(search_context *c, uint32_t shard, const search_hit *h, qd_arena *arena)
{
    uint32_t n = c->x.r->sort.n;
    qd_sort_value *values = qd_arena_calloc(arena, (n + 1ul) * sizeof *values);
    if (!values) return QD_E_NOMEM;
    for (uint32_t k = 0; k < n; k++) {
        values[k] = h->values[k];
        if (!values[k].bytes.n) continue;
        values[k].bytes = qd_arena_str(arena, values[k].bytes);
        if (!values[k].bytes.p) return QD_E_NOMEM;
    }
    c->last[shard] = *h;
    c->last[shard].values = values;
    c->has_last[shard] = true;
    return 0;
}

/* Remembers the last hit given of each shard. */
static int remember(search_context *c, const search_picks *picks, uint32_t n)
{
    qd_arena *to = &c->kept[c->keep_at ^ 1];
    int rc = 0;
    if (c->kind != SEARCH_CONTEXT_SCROLL) return 0;
    qd_arena_reset(to);
    for (uint32_t i = 0; i < c->x.nshards && !rc; i++) {
        const search_hit *h = c->has_last[i] ? &c->last[i] : NULL;
        for (uint32_t k = 0; k < n; k++) {
            const search_picks *p = &picks[k];
            bool given = p->shard == i && p->n && p->at[p->n - 1] < c->x.shards[i].nhits;
            if (given) h = &c->x.shards[i].hits[p->at[p->n - 1]];
        }
        if (h) rc = keep_hit(c, i, h, to);
    }
    if (!rc) c->keep_at ^= 1;
    return rc;
}

/* --- fetching --- */

/* Sort keys as they are shown when other indices hold doubles. */
static const search_keys *shown_keys(const search_shard *s, const search_picks *p, qd_arena *arena)
{
    if (!s->index->sort.n) return NULL;
    if (!p->doubles) return &s->index->sort;
    search_keys *k = qd_arena_alloc(arena, sizeof *k);
    if (!k) return &s->index->sort;
    *k = s->index->sort;
    for (uint32_t i = 0; i < k->n; i++) {
        if (!(p->doubles >> i & 1)) continue;
        k->bound[i] = (search_sort_bound){.kind = SEARCH_VALUE_F64};
    }
    return k;
}

static void level_values(const search_shard *s, const search_picks *p, search_hit *h)
{
    for (uint32_t k = 0; p->doubles && k < s->index->sort.n; k++) {
        if (p->doubles >> k & 1)
            qdi_search_value_to_double(s->index->sort.bound[k].kind, &h->values[k]);
    }
}

static int pick_hits(const search_shard *s, const search_picks *p, search_hit *out, qd_arena *arena,
                     qd_err *err)
{
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->at[i] >= s->nhits) {
            return qd_err_set(err, QD_E_ARG, "shard [%u] has no hit [%u] to fetch", s->number,
                              p->at[i]);
        }
        out[i] = s->hits[p->at[i]];
        if (p->scores) out[i].score = p->scores[i];
        if (!p->doubles || !s->index->sort.n) continue;
        qd_sort_value *v = qd_arena_alloc(arena, s->index->sort.n * sizeof *v);
        if (!v) return qd_err_nomem(err, "hits");
        memcpy(v, out[i].values, s->index->sort.n * sizeof *v);
        out[i].values = v;
        level_values(s, p, &out[i]);
    }
    return 0;
}

static int write_hits(search_hits *h, search_picks *p, qd_arena *arena, qd_err *err)
{
    int rc = 0;
    qd_buf b;
    qd_buf_init(&b, arena->account, HIT_MAX);
    for (uint32_t i = 0; i < h->n && !rc; i++) {
        qd_json_writer w;
        qd_buf_reset(&b);
        qd_json_writer_init(&w, &b, false);
        rc = qdi_hit_write(h, i, &w, err);
        if (!rc && qd_buf_status(&b)) rc = qd_err_nomem(err, "hits");
        p->json[i] = rc ? (qd_str){NULL, 0} : qd_arena_str(arena, qd_buf_view(&b));
        if (!rc && !p->json[i].p) rc = qd_err_nomem(err, "hits");
    }
    qd_buf_fini(&b);
    return rc;
}

static int fetch_one(search_context *c, search_picks *p, qd_arena *arena, qd_task *task,
                     qd_err *err)
{
    search_run *x = &c->x;
    if (p->shard >= x->nshards) {
        return qd_err_set(err, QD_E_ARG, "the search has no shard [%u] here", p->shard);
    }
    search_shard *s = &x->shards[p->shard];
    search_hit *copy = qd_arena_alloc(arena, (p->n + 1ul) * sizeof *copy);
    p->json = qd_arena_calloc(arena, (p->n + 1ul) * sizeof *p->json);
    if (!copy || !p->json) return qd_err_nomem(err, "hits");
    int rc = pick_hits(s, p, copy, arena, err);
    if (rc) return rc;
    search_hits h = {
        .x = x,
        .index = s->index,
        .shard = s->number,
        .of = s,
        .searcher = s->searcher,
        .show = &x->r->show,
        .keys = shown_keys(s, p, arena),
        .hits = copy,
        .n = p->n,
        .scores = !s->index->sort.n || s->index->sort.scores || x->r->track_scores,
        .arena = &s->arena,
        .task = task,
        .budget = qdi_search_budget(x, s),
    };
    rc = qdi_hits_fetch(&h, err);
    return rc ? rc : write_hits(&h, p, arena, err);
}

typedef struct fetching {
    search_context *c;
    search_picks *picks;
    qd_arena *arenas; /* one for each */
    qd_task *task;
} fetching;

static void fetch_job(void *arg, uint32_t i)
{
    fetching *f = arg;
    search_picks *p = &f->picks[i];
    p->rc = fetch_one(f->c, p, &f->arenas[i], f->task, &p->err);
    if (p->rc && !p->err.code) (void)qd_err_set(&p->err, p->rc, "fetch was stopped");
}

static void free_arena(void *arg)
{
    qd_arena_fini(arg);
}

void qdi_node_fetch(search_context *c, search_picks *picks, uint32_t n, qd_arena *arena,
                    qd_task *task)
{
    fetching f = {c, picks, qd_arena_calloc(arena, (n + 1ul) * sizeof(qd_arena)), task};
    int rc = 0;
    c->x.task = task;
    for (uint32_t i = 0; i < n && f.arenas && !rc; i++) {
        qd_arena_init(&f.arenas[i], arena->account, HIT_MAX);
        rc = qd_arena_on_reset(arena, free_arena, &f.arenas[i]);
    }
    if (!f.arenas || rc) {
        for (uint32_t i = 0; i < n; i++) picks[i].rc = qd_err_nomem(&picks[i].err, "hits");
        return;
    }
    if (qdi_search_waits(c->x.a)) { /* the tier waits: all at once */
        qdi_search_fan(c->x.a, n, fetch_job, &f);
    } else {
        for (uint32_t i = 0; i < n; i++) fetch_job(&f, i);
    }
    if (remember(c, picks, n)) {
        for (uint32_t i = 0; i < n; i++) {
            if (!picks[i].rc) picks[i].rc = qd_err_nomem(&picks[i].err, "scroll");
        }
    }
}

void qdi_node_done(search_context *c, bool keep)
{
    c->x.task = NULL;
    if (c->listed) {
        qdi_context_give_back(c, !keep);
    } else {
        qdi_context_free(c);
    }
}
