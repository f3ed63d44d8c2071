/*
 * serve.c: a node's part of searches, asked for by other nodes. Each request runs on the
 * search pool under a task that is a child of the asking node's; its cancellation ends it.
 */
#include "action/api/admin_int.h"
#include "action/api/forward_int.h"
#include "action/search/wire_int.h"
#include "action/transport/served_int.h"
#include "base/str.h"
#include "rpc/rpc.h"
#include "store/store.h"

#define FETCHES_NS UINT64_C(2000000000) /* at the end, for fetches that are on their way */
#define FETCHES_LOOK_NS UINT64_C(1000000)
#define MESSAGE_MAX ((size_t)256 << 20)

static uint64_t queued(qd_actions *a)
{
    qd_pool_stats stats;
    qd_pool_stats_get(qd_pools_get(a->pools, "search"), &stats);
    return stats.queue;
}

/* --- the query phase --- */

/* Fetches what the whole search will show, when this node has all its shards: one round trip less.
 * What cannot be fetched now is asked for again, and fails then. */
static void fetch_at_once(search_context *c, qdi_served *s)
{
    search_run *x = &c->x;
    bool whole = c->part.alone && x->r->size > 0 && (x->nindices == 1 || !x->r->sort.n);
    for (uint32_t i = 0; i < x->nshards && whole; i++) whole = x->shards[i].rc == 0;
    if (!whole || qdi_search_merge_hits(x, NULL) || !x->nrefs) return;
    search_picks *picks = qd_arena_calloc(&s->arena, (x->nshards + 1ul) * sizeof *picks);
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->nshards && picks; i++) {
        search_shard *h = &x->shards[i];
        uint32_t *at = qd_arena_alloc(&s->arena, (x->nrefs + 1ul) * sizeof *at), k = 0;
        h->json = qd_arena_calloc(&h->arena, (h->nhits + 1ul) * sizeof *h->json);
        if (!at || !h->json) return;
        for (uint32_t r = 0; r < x->nrefs; r++) {
            if (x->refs[r].shard == h) at[k++] = x->refs[r].at;
        }
        if (!k) continue;
        picks[n] = (search_picks){.shard = i, .at = at, .n = k};
        qd_err_init(&picks[n++].err);
    }
    if (!picks) return;
    qdi_node_fetch(c, picks, n, &s->arena, &s->task);
    for (uint32_t i = 0; i < n; i++) {
        search_picks *p = &picks[i];
        for (uint32_t k = 0; k < p->n && !p->rc; k++) {
            x->shards[p->shard].json[p->at[k]] = p->json[k];
        }
        qd_err_fini(&p->err);
    }
}

/* Is there a hit that somebody may still ask for? */
static bool waits_for_fetch(const search_context *c)
{
    const search_run *x = &c->x;
    if (x->r->size == 0) return false;
    if (c->part.alone && x->refs) { /* all shown ones are there, or none */
        for (uint32_t i = 0; i < x->nrefs; i++) {
            const search_ref *ref = &x->refs[i];
            if (!ref->shard->json || !ref->shard->json[ref->at].p) return true;
        }
        return false;
    }
    for (uint32_t i = 0; i < x->nshards; i++) {
        if (!x->shards[i].rc && x->shards[i].nhits) return true;
    }
    return false;
}

static int serve_query(qdi_served *s)
{
    search_part p;
    search_context *c;
    uint64_t begun = qd_env_mono_ns(s->a->env);
    qdi_part_read(&s->in, &s->arena, &p);
    int rc = qd_body_reader_check(&s->in, &s->err);
    if (rc) return rc;
    if (p.timeout_ms) qd_task_deadline_in(&s->task, (uint64_t)p.timeout_ms * 1000000u);
    rc = qdi_node_query(s->a, &p, &s->task, &c, &s->err);
    if (rc) return rc;
    fetch_at_once(c, s);
    bool keep = p.scroll || p.opens_pit || waits_for_fetch(c);
    if (keep && (rc = qdi_context_add(c, &s->err))) keep = false;
    if (!rc) {
        search_load load = {qd_env_mono_ns(s->a->env) - begun, queued(s->a)};
        qdi_results_write(c, &load, &s->out);
        keep = keep && !qd_buf_status(&s->out.buf);
    }
    qdi_node_done(c, keep);
    return rc;
}

static void on_query(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    qdi_served_begin(&s, arg, request, QD_ACTION_SEARCH_QUERY, "search of shards", MESSAGE_MAX);
    qdi_served_end(&s, serve_query(&s), "answer of a search");
}

/* --- before it --- */

/* A part whose shards are opened, not searched. */
static int begin_part(qdi_served *s, search_context **out)
{
    search_part p;
    qdi_part_read(&s->in, &s->arena, &p);
    int rc = qd_body_reader_check(&s->in, &s->err);
    return rc ? rc : qdi_node_begin(s->a, &p, &s->task, out, &s->err);
}

static int serve_match(qdi_served *s)
{
    search_context *c;
    int rc = begin_part(s, &c);
    if (rc) return rc;
    qdi_part_match(&c->x, &s->out);
    qdi_node_done(c, false);
    return 0;
}

static void on_match(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    qdi_served_begin(&s, arg, request, QD_ACTION_SEARCH_CAN_MATCH, "shards that can match",
                     MESSAGE_MAX);
    qdi_served_end(&s, serve_match(&s), "answer of a search");
}

static int serve_dfs(qdi_served *s)
{
    search_context *c;
    search_stat *stats;
    uint32_t n;
    int rc = begin_part(s, &c);
    if (rc) return rc;
    if (c->part.asks_knn) {
        qdi_search_knn_tell(&c->x);
        qdi_nearest_write(&c->x, &s->out);
    } else {
        rc = qdi_part_dfs(&c->x, &stats, &n, &s->err);
        if (!rc) qdi_stats_write(stats, n, &s->out);
    }
    qdi_node_done(c, false);
    return rc;
}

static void on_dfs(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    qdi_served_begin(&s, arg, request, QD_ACTION_SEARCH_DFS, "statistics of terms", MESSAGE_MAX);
    qdi_served_end(&s, serve_dfs(&s), "answer of a search");
}

/* --- pages of scrolls --- */

static int serve_next(qdi_served *s)
{
    search_context *c;
    search_shape shape;
    uint64_t begun = qd_env_mono_ns(s->a->env);
    qd_str id = qd_read_raw(&s->in, "context", SEARCH_CONTEXT_ID);
    uint64_t owner = qdi_context_owner(s->a, &s->task, true);
    int64_t keep_ms = (int64_t)qd_read_varint_max(&s->in, "keep_alive", INT64_MAX / 1000000);
    int rc = qd_body_reader_check(&s->in, &s->err);
    if (!rc) {
        rc = qdi_node_next(s->a, (const uint8_t *)id.p, owner, keep_ms, &s->task, &c, &s->err);
    }
    if (rc) return rc;
    rc = qdi_shape_of(c, &s->arena, &shape, &s->err);
    if (!rc) {
        search_load load = {qd_env_mono_ns(s->a->env) - begun, queued(s->a)};
        qdi_shape_write(&shape, &s->out);
        qdi_results_write(c, &load, &s->out);
    }
    if (!rc && owner) { /* no other page comes between it and its hits */
        qdi_context_reserve(c);
    } else {
        qdi_node_done(c, true);
    }
    return rc;
}

static void on_next(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    qdi_served_begin(&s, arg, request, QD_ACTION_SEARCH_NEXT, "next page of a scroll", MESSAGE_MAX);
    qdi_served_end(&s, serve_next(&s), "answer of a search");
}

/* --- fetching --- */

static int serve_fetch(qdi_served *s)
{
    search_context *c;
    search_picks *picks;
    uint32_t n;
    qd_str id = qd_read_raw(&s->in, "context", SEARCH_CONTEXT_ID);
    qdi_picks_read(&s->in, &s->arena, &picks, &n);
    int rc = qd_body_reader_check(&s->in, &s->err);
    uint64_t owner = qdi_context_owner(s->a, &s->task, true);
    if (!rc) rc = qdi_context_take(s->a, (const uint8_t *)id.p, owner, &s->task, &c, &s->err);
    if (rc) return rc;
    if (c->kind == SEARCH_CONTEXT_PIT) {
        qdi_context_give_back(c, false);
        return qd_err_set(&s->err, QD_E_SEARCH_CONTEXT_MISSING, "No search context found for id");
    }
    qdi_node_fetch(c, picks, n, &s->arena, &s->task);
    qdi_picked_write(picks, n, &s->out);
    for (uint32_t i = 0; i < n; i++) qd_err_fini(&picks[i].err);
    qdi_node_done(c, c->kind == SEARCH_CONTEXT_SCROLL);
    return 0;
}

static void on_fetch(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    qdi_served_begin(&s, arg, request, QD_ACTION_SEARCH_FETCH, "fetch of hits", MESSAGE_MAX);
    qdi_served_end(&s, serve_fetch(&s), "answer of a search");
}

/* --- ends of contexts --- */

static int serve_free(qdi_served *s)
{
    bool one = qd_read_bool(&s->in, "one");
    qd_str id = one ? qd_read_raw(&s->in, "context", SEARCH_CONTEXT_ID) : (qd_str){NULL, 0};
    uint8_t kind = one ? 0 : qd_read_u8(&s->in, "kind");
    int rc = qd_body_reader_check(&s->in, &s->err);
    if (rc) return rc;
    if (kind > SEARCH_CONTEXT_PIT) return qd_err_set(&s->err, QD_E_ARG, "no such contexts");
    qd_write_varint(&s->out, qdi_context_drop(s->a, one ? (const uint8_t *)id.p : NULL,
                                              (search_context_kind)kind));
    return 0;
}

static void on_free(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    qdi_served_begin(&s, arg, request, QD_ACTION_SEARCH_FREE, "end of a search context",
                     MESSAGE_MAX);
    qdi_served_end(&s, serve_free(&s), "answer of a search");
}

/* --- the table --- */

static const qd_rpc_row handlers[] = {
    {QD_ACTION_SEARCH_QUERY, "search", 0, on_query},
    {QD_ACTION_SEARCH_FETCH, "search", QD_RPC_ON_FIBER, on_fetch}, /* may wait for another page */
    {QD_ACTION_SEARCH_NEXT, "search", QD_RPC_ON_FIBER, on_next},
    {QD_ACTION_SEARCH_FREE, "generic", 0, on_free},
    {QD_ACTION_SEARCH_DFS, "search", 0, on_dfs},
    {QD_ACTION_SEARCH_CAN_MATCH, "search", 0, on_match},
};

int qdi_search_serve(qd_actions *a, qd_err *err)
{
    if (!a->rpc) return 0;
    /* where the tier cannot be mapped a search waits for it off its worker */
    uint32_t waits = qd_shards_tier_caps(a->shards) & QD_STORE_MMAP ? 0 : QD_RPC_ON_FIBER;
    qd_rpc_row rows[QD_COUNT_OF(handlers)];
    for (size_t i = 0; i < QD_COUNT_OF(handlers); i++) {
        rows[i] = handlers[i];
        rows[i].flags |= waits;
    }
    int rc = qdi_search_nodes_open(a, err);
    if (!rc) rc = qd_rpc_serve(a->rpc, rows, QD_COUNT_OF(rows), a, err);
    if (rc) qdi_search_unserve(a);
    return rc;
}

/* Searches that have asked here come for the documents they show. */
static void await_fetches(qd_actions *a)
{
    uint64_t until = qd_env_mono_ns(a->env) + FETCHES_NS;
    while (qdi_contexts_waiting(a) && qd_env_mono_ns(a->env) < until)
        qd_env_sleep_ns(a->env, FETCHES_LOOK_NS);
}

void qdi_search_unserve(qd_actions *a)
{
    if (a->rpc) qd_rpc_unhandle(a->rpc, QD_ACTION_SEARCH_QUERY);
    if (a->rpc) await_fetches(a);
    if (a->rpc) qd_rpc_unserve(a->rpc, handlers, QD_COUNT_OF(handlers));
    (void)qdi_context_drop(a, NULL, SEARCH_CONTEXT_QUERY);
    (void)qdi_context_drop(a, NULL, SEARCH_CONTEXT_SCROLL);
    (void)qdi_context_drop(a, NULL, SEARCH_CONTEXT_PIT);
    qdi_search_nodes_close(a);
}
