/*
 * target.c: the coordinating part of a search: nodes are asked for shards, this one by a
 * call, others over the transport (serve.c); what fails is asked for at another copy.
 */
#include "action/search/wire_int.h"
#include "base/str.h"
#include "rpc/rpc.h"
#include <math.h>

#define MESSAGE_MAX ((size_t)256 << 20)
#define GRACE_MIN_MS 500 /* for the way of what shards have when the search's time is over */
#define GRACE_MAX_MS 5000
#define QUESTION_SHARDS 256u /* of a node asked for at one time */

int qdi_target_add(search_run *x, qd_str node, uint32_t shards, search_target **out, qd_err *err)
{
    search_target *t = qd_arena_calloc(x->arena, sizeof *t);
    if (t) t->shards = qd_arena_alloc(x->arena, (shards + 1ul) * sizeof(search_shard *));
    if (!t || !t->shards) return qd_err_nomem(err, "nodes of a search");
    t->node = node;
    t->local = qd_str_eq(node, x->a->node_id);
    qd_err_init(&t->err);
    search_target **end = &x->targets; /* in the order in which they were asked */
    while (*end) end = &(*end)->next;
    *end = t;
    *out = t;
    return 0;
}

/* --- results --- */

static void clear_result(search_shard *s)
{
    qd_err_fini(&s->err);
    if (s->aggs) qd_aggs_partial_free(s->aggs);
    s->aggs = NULL;
    s->rc = 0;
    s->hits = NULL;
    s->lists = NULL;
    s->json = NULL;
    s->nhits = 0;
    s->total = 0;
    s->total_lower_bound = s->timed_out = s->terminated_early = false;
    s->max_score = NAN;
    s->stale_ms = 0;
}

static void fail_shard(search_shard *s, int rc, const qd_err *err)
{
    clear_result(s);
    qd_err_copy(&s->err, err);
    s->rc = rc;
}

/* A failure of the whole target is one of each of its shards. */
static void fail_target(search_target *t, int rc, const qd_err *err)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->shards[i]->target == t) fail_shard(t->shards[i], rc, err);
    }
}

/* Takes over what a context of this node found. Hits are copied: merging may change their values.
 */
static int take_result(search_shard *to, search_shard *from, uint32_t nkeys)
{
    clear_result(to);
    qd_err_copy(&to->err, &from->err);
    to->rc = from->rc;
    to->total = from->total;
    to->total_lower_bound = from->total_lower_bound;
    to->timed_out = from->timed_out;
    to->terminated_early = from->terminated_early;
    to->max_score = from->max_score;
    to->stale_ms = from->stale_ms;
    to->aggs = from->aggs;
    from->aggs = NULL;
    to->hits = qd_arena_alloc(&to->arena, (from->nhits + 1ul) * sizeof *to->hits);
    if (!to->hits) return QD_E_NOMEM;
    to->nhits = from->nhits;
    for (uint32_t i = 0; i < from->nhits; i++) {
        to->hits[i] = from->hits[i];
        if (!nkeys || !from->hits[i].values) continue;
        qd_sort_value *v = qd_arena_alloc(&to->arena, nkeys * sizeof *v);
        if (!v) return QD_E_NOMEM;
        memcpy(v, from->hits[i].values, nkeys * sizeof *v);
        to->hits[i].values = v;
    }
    return 0;
}

static void take_results(search_target *t, search_context *c)
{
    t->here = c;
    memcpy(t->context, c->id, sizeof t->context);
    t->kept = c->listed;
    for (uint32_t i = 0; i < t->n; i++) {
        search_shard *s = t->shards[i];
        if (!take_result(s, &c->x.shards[i], s->index->sort.n)) continue;
        clear_result(s);
        s->rc = qd_err_nomem(&s->err, "hits");
    }
}

/* --- the query phase --- */

static void query_here(search_run *x, search_target *t)
{
    search_part p;
    search_context *c;
    qd_err err;
    qd_err_init(&err);
    int rc = qdi_part_make(x, t->shards, t->n, &p, &err);
    if (!rc) rc = qdi_node_query(x->a, &p, x->task, &c, &err);
    bool kept = x->scroll || x->opens_pit;
    if (!rc && kept && (rc = qdi_context_add(c, &err))) qdi_node_done(c, false);
    if (rc) {
        fail_target(t, rc, &err);
    } else {
        take_results(t, c);
    }
    qd_err_fini(&err);
}

/* Shards keep the time limit themselves; a node that says nothing is not waited for much longer. */
static uint32_t patience_ms(const search_run *x)
{
    int64_t limit = x->r->timeout_ms, grace = limit / 8;
    if (limit <= 0 || limit >= INT32_MAX) return 0;
    if (grace < GRACE_MIN_MS) grace = GRACE_MIN_MS;
    if (grace > GRACE_MAX_MS) grace = GRACE_MAX_MS;
    return (uint32_t)(qdi_search_left_ms(x) + grace);
}

int64_t qdi_search_left_ms(const search_run *x)
{
    int64_t limit = x->r->timeout_ms;
    if (limit <= 0) return 0;
    int64_t gone = (int64_t)((qd_env_mono_ns(x->a->env) - x->start_ns) / 1000000);
    return gone < limit ? limit - gone : 1;
}

int qdi_search_ask(search_run *x, uint32_t n, qd_asks **out, qd_err *err)
{
    return qdi_asks_begin(x->a, x->state, x->task, n, patience_ms(x), out, err);
}

void qdi_target_silent(search_run *x, search_target *t)
{
    qdi_copies_told(x->a, t->node, 0, NULL);
    for (uint32_t i = 0; i < t->n; i++) {
        search_copies *c = t->shards[i]->copies;
        if (c && c->at + 1 < c->n) c->at++;
    }
}

int qdi_ask_part(search_run *x, search_target *t, uint32_t action, qd_asks *q, qd_err *err)
{
    search_part p;
    qd_writer w;
    int rc = qdi_part_make(x, t->shards, t->n, &p, err);
    if (rc) return rc;
    qd_writer_init(&w, x->a->account, MESSAGE_MAX, qdi_ask_version(x->a, x->state, t->node));
    qdi_part_write(&p, &w);
    t->question = qdi_ask(q, t->node, action, &w);
    return 0;
}

int qdi_targets_of_others(search_run *x, search_target **first, uint32_t *n, qd_err *err)
{
    search_target *before = x->targets;
    int rc = 0;
    x->targets = NULL; /* these are of the one question alone */
    for (uint32_t i = 0; i < x->nshards && !rc; i++) {
        search_shard *s = &x->shards[i];
        if (!s->copies || s->skipped || s->index->rc || s->shard) continue;
        qd_str node = s->copies->nodes[s->copies->at];
        search_target *t = x->targets;
        while (t && !qd_str_eq(t->node, node)) t = t->next;
        if (!t) {
            rc = qdi_target_add(x, node, x->nshards, &t, err);
            *n += !rc;
        }
        if (!rc) t->shards[t->n++] = s;
    }
    *first = x->targets;
    x->targets = before;
    return rc;
}

/* Asks another node; a failure comes with its answer. */
static void query_there(search_run *x, search_target *t, qd_asks *q)
{
    t->rc = qdi_ask_part(x, t, QD_ACTION_SEARCH_QUERY, q, &t->err);
    if (!t->rc) qdi_copies_asked(x->a, t->node, 1);
}

static void take_answer(search_run *x, search_target *t, qd_asks *q)
{
    qd_str bytes;
    uint16_t version;
    search_load load = {0};
    if (t->rc) { /* it was not asked */
        fail_target(t, t->rc, &t->err);
        return;
    }
    int rc = qdi_answer(q, t->question, &bytes, &version, &t->err);
    qdi_copies_asked(x->a, t->node, -1);
    if (!rc) {
        qd_body_reader r;
        qd_body_reader_init(&r, bytes, "answer to a search", version);
        rc = qdi_results_read(&r, t, &load, &t->err);
    }
    if (rc) fail_target(t, rc, &t->err);
    t->rc = rc;
    qdi_copies_told(x->a, t->node, qdi_answer_ns(q, t->question), rc ? NULL : &load);
}

typedef struct own_shards {
    search_run *x;
    search_shard **at;
    uint32_t n;
} own_shards;

static void run_own(void *arg, uint32_t i)
{
    own_shards *o = arg;
    qdi_search_shard_run(o->x, o->at[i]);
}

static void run_any(void *arg, uint32_t i)
{
    search_run *x = arg;
    qdi_search_shard_run(x, &x->shards[i]);
}

/* The node that a shard is asked for at; empty: this run searches it itself. */
static qd_str node_of(const search_run *x, const search_shard *s)
{
    qd_str node = s->copies ? s->copies->nodes[s->copies->at] : x->a->node_id;
    return !x->scroll && !x->opens_pit && qd_str_eq(node, x->a->node_id) ? (qd_str){"", 0} : node;
}

/* One round: shards that have no result yet, each at its present copy. */
typedef struct ask_round {
    search_run *x;
    own_shards own;
    search_target *first; /* of this round, in x->targets */
    uint32_t remote;
} ask_round;

/* false: the node has enough of them in this round. */
static bool put_in_target(ask_round *k, search_shard *s, qd_str node, int *rc, qd_err *err)
{
    /* contexts that stay are one a node, however many shards it has */
    uint32_t most = k->x->scroll || k->x->opens_pit ? k->x->nshards : QUESTION_SHARDS;
    search_target *t = k->first;
    while (t && !qd_str_eq(t->node, node)) t = t->next;
    if (t && t->n >= most) return false;
    if (!t) {
        uint32_t room = k->x->nshards < most ? k->x->nshards : most;
        if ((*rc = qdi_target_add(k->x, node, room, &t, err))) return false;
    }
    if (!k->first) k->first = t;
    if (!t->n) k->remote += !t->local;
    t->shards[t->n++] = s;
    s->target = t;
    return true;
}

/* Puts a shard into the round, if there is room. */
static int put(ask_round *k, search_shard *s, qd_err *err)
{
    qd_str node = node_of(k->x, s);
    int rc = 0;
    s->target = NULL;
    if (s->index->rc || !node.n) {
        if (!s->shard) s->shard = qd_shards_get(k->x->a->shards, s->index->meta->uuid, s->number);
        k->own.at[k->own.n++] = s;
        s->open = false;
        return 0;
    }
    s->open = !put_in_target(k, s, node, &rc, err);
    return rc;
}

static int run_round(ask_round *k, qd_err *err)
{
    qd_asks *q = NULL;
    int rc = k->remote ? qdi_search_ask(k->x, k->remote, &q, err) : 0;
    if (rc) return rc;
    for (search_target *t = k->first; t; t = t->next) {
        if (!t->local) query_there(k->x, t, q);
    }
    uint64_t begun = qd_env_mono_ns(k->x->a->env);
    qdi_search_fan_of(k->x->a, k->own.n, k->x->r->at_once, run_own, &k->own);
    if (k->own.n) {
        uint64_t ns = qd_env_mono_ns(k->x->a->env) - begun;
        qdi_copies_told(k->x->a, k->x->a->node_id, ns, &(search_load){ns, 0});
    }
    for (search_target *t = k->first; t; t = t->next) {
        if (t->local) query_here(k->x, t);
    }
    if (q) qdi_asks_wait(q);
    for (search_target *t = k->first; t; t = t->next) {
        if (!t->local) take_answer(k->x, t, q);
    }
    qdi_asks_end(q);
    return 0;
}

/* Would another copy do better? Not what the request itself is refused for. */
static bool another_may(const search_run *x, const search_shard *s)
{
    if (!s->rc || s->index->rc) return false;
    if (s->rc == QD_E_CANCELLED || qd_task_poll(x->task)) return false;
    /* what a context keeps for the next pages is not searched elsewhere as well */
    if ((x->scroll || x->opens_pit) && s->target && !s->target->rc) return false;
    int status = qd_err_status(&s->err);
    return status >= 500 || status == 429 || s->rc == QD_E_NO_SHARD;
}

/* Opens a shard that failed where it was searched, if there is another copy: of those known when
 * the search began, or one that has come since. */
static bool try_again(search_run *x, search_shard *s)
{
    if (!another_may(x, s)) return false;
    bool known = s->copies && s->copies->at + 1 < s->copies->n;
    if (known) {
        s->copies->at++;
    } else if (!qdi_copies_again(x, s)) {
        return false;
    }
    clear_result(s);
    qd_arena_reset(&s->arena); /* plans hold the searcher */
    s->memos = NULL;
    qd_searcher_unref(s->searcher);
    s->searcher = NULL;
    if (!known) {
        qd_shard_unref(s->shard); /* of a copy that was here */
        s->shard = NULL;
    }
    s->open = true;
    return true;
}

/* Opens shards that failed here and have a copy elsewhere; true when there are some. */
static bool open_failed(search_run *x)
{
    bool any = false;
    for (uint32_t i = 0; i < x->nshards; i++) {
        any |= try_again(x, &x->shards[i]);
    }
    return any;
}

/* Rounds until no shard is open; what is settled from the front on is reduced in between, so that
 * partial results of many shards do not wait for the last one. */
static int run_rounds(ask_round *k, qd_err *err)
{
    search_run *x = k->x;
    uint32_t open = 1;
    int rc = 0;
    while (!rc && open) {
        open = k->own.n = k->remote = 0;
        k->first = NULL;
        for (uint32_t i = 0; i < x->nshards && !rc; i++) {
            if (x->shards[i].open) rc = put(k, &x->shards[i], err);
        }
        if (!rc) rc = run_round(k, err);
        for (uint32_t i = 0; i < x->nshards && !rc; i++) {
            search_shard *s = &x->shards[i];
            if (!s->skipped && !s->open) (void)try_again(x, s);
            open += s->open;
        }
        if (!rc && open) rc = qdi_search_reduce(x, err);
    }
    return rc;
}

int qdi_targets_query(search_run *x, qd_err *err)
{
    ask_round k = {.x = x};
    bool asks = false;
    for (uint32_t i = 0; i < x->nshards && !asks; i++) {
        asks = x->shards[i].skipped || node_of(x, &x->shards[i]).n > 0;
    }
    if (!asks) { /* the common case on one node */
        qdi_search_fan_of(x->a, x->nshards, x->r->at_once, run_any, x);
        asks = open_failed(x);
        if (!asks) return 0;
    } else {
        for (uint32_t i = 0; i < x->nshards; i++) {
            x->shards[i].max_score = NAN;
            x->shards[i].open = !x->shards[i].skipped;
        }
    }
    k.own.x = x;
    k.own.at = qd_arena_alloc(x->arena, (x->nshards + 1ul) * sizeof(search_shard *));
    if (!k.own.at) return qd_err_nomem(err, "shards of a search");
    return run_rounds(&k, err);
}

int qdi_search_query_phase(search_run *x, qd_err *err)
{
    int rc = x->r->dfs && !x->stats && x->nshards > 1 ? qdi_search_dfs(x, err) : 0;
    if (!rc) rc = qdi_search_prefilter(x, err);
    if (!rc) rc = qdi_search_knn(x, err);
    if (!rc) rc = qdi_targets_query(x, err);
    return rc ? rc : qdi_search_merge(x, err);
}

/* --- the next page of a scroll --- */

int qdi_shape_of(const search_context *c, qd_arena *arena, search_shape *out, qd_err *err)
{
    const search_request *r = &c->r;
    *out = (search_shape){
        .size = r->size,
        .batched_reduce_size = r->batched_reduce_size,
        .terminate_after = r->terminate_after,
        .total = r->total,
        .total_zero = r->total_zero,
        .aggs = r->aggs != NULL,
        .nindices = c->x.nindices,
        .shards = c->part.shards,
        .nshards = c->part.nshards,
    };
    out->indices = qd_arena_calloc(arena, (c->x.nindices + 1ul) * sizeof *out->indices);
    if (!out->indices) return qd_err_nomem(err, "scroll");
    for (uint32_t i = 0; i < c->x.nindices; i++) {
        out->indices[i].uuid = c->part.indices[i].uuid;
        out->indices[i].name = c->part.indices[i].name;
        out->indices[i].keys = c->x.indices[i].sort;
    }
    return 0;
}

/* The index of x with this uuid, made of what a node tells of it. */
static search_index *index_of(search_run *x, const search_shape_index *of)
{
    for (uint32_t i = 0; i < x->nindices; i++) {
        if (qd_str_is(of->uuid, x->indices[i].meta->uuid)) return &x->indices[i];
    }
    const qd_index_meta *m = qd_state_index(x->state, of->name);
    if (!m || !qd_str_is(of->uuid, m->uuid)) return NULL;
    search_index *ix = &x->indices[x->nindices++];
    ix->meta = m;
    ix->sort = of->keys;
    qd_err_init(&ix->err);
    return ix;
}

static int no_index(search_shard *s, qd_str name)
{
    return s->rc =
               qd_err_set(&s->err, QD_E_INDEX_NOT_FOUND, "no such index [%.*s]", QD_STR_ARG(name));
}

/* The request behind all pages, as far as merging and writing need it. */
static int take_shape(search_run *x, const search_shape *shape, qd_err *err)
{
    search_request *r = x->r;
    if (r->sort.at) {
        bool same = !shape->nindices || shape->indices[0].keys.n == r->sort.n;
        return same ? 0 : qd_err_set(err, QD_E_STATE, "parts of a scroll differ in their sort");
    }
    r->size = shape->size;
    r->batched_reduce_size = shape->batched_reduce_size;
    r->terminate_after = shape->terminate_after;
    r->total = shape->total;
    r->total_zero = shape->total_zero;
    x->had_aggs = shape->aggs;
    r->sort.n = shape->nindices ? shape->indices[0].keys.n : 0;
    r->sort.at = qd_arena_calloc(x->arena, (r->sort.n + 1ul) * sizeof *r->sort.at);
    if (!r->sort.at) return qd_err_nomem(err, "scroll");
    for (uint32_t i = 0; i < r->sort.n; i++) {
        r->sort.at[i].field = shape->indices[0].keys.keys[i].field;
    }
    return 0;
}

static int take_indices(search_run *x, search_target *t, const search_shape *shape, qd_err *err)
{
    int rc = take_shape(x, shape, err);
    search_index *more =
        rc ? NULL : qd_arena_calloc(x->arena, (x->nindices + shape->nindices + 1ul) * sizeof *more);
    if (!more) return rc ? rc : qd_err_nomem(err, "scroll");
    if (x->nindices) memcpy(more, x->indices, x->nindices * sizeof *more);
    /* shards of targets before point into the old array */
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *s = &x->shards[i];
        if (s->index) s->index = more + (s->index - x->indices);
    }
    x->indices = more;
    for (uint32_t i = 0; i < t->n && i < shape->nshards; i++) {
        const search_part_shard *of = &shape->shards[i];
        search_shard *s = t->shards[i];
        const search_shape_index *ix = &shape->indices[of->index];
        s->index = index_of(x, ix);
        s->number = of->number;
        s->place = of->place;
        if (!s->index) (void)no_index(s, ix->name);
    }
    return 0;
}

/* Takes over the page of a context; results[i]: of its shard i. */
static int take_page(search_run *x, search_target *t, const search_shape *shape, qd_err *err)
{
    if (shape->nshards != t->n) return qd_err_set(err, QD_E_ARG, "Cannot parse scroll id");
    return take_indices(x, t, shape, err);
}

static void next_here(search_run *x, search_target *t, int64_t keep_ms)
{
    search_context *c;
    search_shape shape;
    uint64_t owner = qdi_context_owner(x->a, x->task, false);
    t->rc = qdi_node_next(x->a, t->context, owner, keep_ms, x->task, &c, &t->err);
    if (!t->rc) {
        t->here = c;
        t->kept = true;
        t->rc = qdi_shape_of(c, x->arena, &shape, &t->err);
    }
    if (!t->rc) t->rc = take_page(x, t, &shape, &t->err);
    for (uint32_t i = 0; i < t->n && !t->rc; i++) {
        search_shard *s = t->shards[i];
        if (!s->rc && take_result(s, &c->x.shards[i], s->index->sort.n)) {
            s->rc = qd_err_nomem(&s->err, "hits");
        }
    }
    if (t->rc) fail_target(t, t->rc, &t->err);
}

static void ask_next(search_run *x, search_target *t, int64_t keep_ms, qd_asks *q)
{
    qd_writer w;
    qd_writer_init(&w, x->a->account, MESSAGE_MAX, qdi_ask_version(x->a, x->state, t->node));
    qd_write_raw(&w, t->context, SEARCH_CONTEXT_ID);
    qd_write_varint(&w, keep_ms > 0 ? (uint64_t)keep_ms : 0);
    t->question = qdi_ask(q, t->node, QD_ACTION_SEARCH_NEXT, &w);
}

static void take_next(search_run *x, search_target *t, qd_asks *q)
{
    qd_str bytes;
    uint16_t version;
    search_load load;
    search_shape shape;
    t->rc = qdi_answer(q, t->question, &bytes, &version, &t->err);
    t->reserved = !t->rc;
    if (!t->rc) {
        qd_body_reader r;
        qd_body_reader_init(&r, bytes, "page of a scroll", version);
        qdi_shape_read(&r, x->arena, &shape);
        t->rc = qd_body_reader_check(&r, &t->err);
        if (!t->rc) t->rc = take_page(x, t, &shape, &t->err);
        for (uint32_t i = 0; i < t->n && !t->rc;
             i++) { /* what its results look like says its index */
            if (t->shards[i]->index) continue;
            qd_err_copy(&t->err, &t->shards[i]->err);
            t->rc = t->shards[i]->rc;
        }
        if (!t->rc) t->rc = qdi_results_read(&r, t, &load, &t->err);
    }
    if (t->rc) fail_target(t, t->rc, &t->err);
}

int qdi_targets_next(search_run *x, int64_t keep_ms, qd_err *err)
{
    qd_asks *q = NULL;
    uint32_t n = 0;
    for (search_target *t = x->targets; t; t = t->next) n += !t->local;
    int rc = n ? qdi_search_ask(x, n, &q, err) : 0;
    if (rc) return rc;
    for (search_target *t = x->targets; t; t = t->next) {
        if (!t->local) ask_next(x, t, keep_ms, q);
    }
    for (search_target *t = x->targets; t; t = t->next) {
        if (t->local) next_here(x, t, keep_ms);
    }
    if (q) qdi_asks_wait(q);
    for (search_target *t = x->targets; t; t = t->next) {
        if (!t->local) take_next(x, t, q);
    }
    qdi_asks_end(q);
    for (search_target *t = x->targets; t; t = t->next) {
        if (t->rc != QD_E_REJECTED) continue;
        qd_err_copy(err, &t->err); /* without its shards the page would lack what comes later */
        return t->rc;
    }
    return 0;
}

/* --- the fetch phase --- */

/* What one target is to fetch. */
typedef struct pick_list {
    search_picks *picks; /* one for each of its shards that shows a hit not yet there */
    search_shard **shards;
    uint32_t n;
} pick_list;

static bool wanted(const search_ref *ref)
{
    const search_shard *s = ref->shard;
    return s->target && !s->rc && !(s->json && s->json[ref->at].p);
}

/* The picks of all shards of target t; count[i]: hits that shard i of x is to fetch. */
static int list_picks(search_run *x, const search_target *t, uint32_t *count, pick_list *l,
                      qd_err *err)
{
    uint32_t *pick_of = qd_arena_alloc(x->arena, (x->nshards + 1ul) * sizeof *pick_of);
    l->picks = qd_arena_calloc(x->arena, (t->n + 1ul) * sizeof *l->picks);
    l->shards = qd_arena_calloc(x->arena, (t->n + 1ul) * sizeof(search_shard *));
    if (!pick_of || !l->picks || !l->shards) return qd_err_nomem(err, "hits");
    for (uint32_t i = 0; i < t->n; i++) {
        search_shard *s = t->shards[i];
        uint32_t at = (uint32_t)(s - x->shards);
        if (s->target != t || !count[at]) continue;
        uint32_t *hits = qd_arena_alloc(x->arena, count[at] * sizeof *hits);
        if (!s->json) s->json = qd_arena_calloc(&s->arena, (s->nhits + 1ul) * sizeof *s->json);
        if (!hits || !s->json) return qd_err_nomem(err, "hits");
        float *scores = x->r->rank ? qd_arena_alloc(x->arena, count[at] * sizeof *scores) : NULL;
        if (x->r->rank && !scores) return qd_err_nomem(err, "hits");
        pick_of[at] = l->n;
        l->shards[l->n] = s;
        l->picks[l->n++] =
            (search_picks){.shard = i, .at = hits, .doubles = x->doubles, .scores = scores};
    }
    for (uint32_t i = 0; i < x->nrefs; i++) {
        const search_ref *ref = &x->refs[i];
        if (!wanted(ref) || ref->shard->target != t) continue;
        search_picks *p = &l->picks[pick_of[ref->shard - x->shards]];
        if (p->scores) ((float *)(uintptr_t)p->scores)[p->n] = ref->shard->hits[ref->at].score;
        ((uint32_t *)(uintptr_t)p->at)[p->n++] = ref->at;
    }
    return 0;
}

static void take_picks(pick_list *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        search_picks *p = &l->picks[i];
        search_shard *s = l->shards[i];
        if (p->rc) fail_shard(s, p->rc, &p->err);
        for (uint32_t k = 0; k < p->n && !p->rc; k++) s->json[p->at[k]] = p->json[k];
        qd_err_fini(&p->err);
    }
}

static void fail_picks(pick_list *l, int rc, const qd_err *err)
{
    for (uint32_t i = 0; i < l->n; i++) {
        qd_err_fini(&l->picks[i].err);
        qd_err_copy(&l->picks[i].err, err);
        l->picks[i].rc = rc;
    }
}

static void ask_picks(search_run *x, search_target *t, const pick_list *l, qd_asks *q)
{
    qd_writer w;
    qd_writer_init(&w, x->a->account, MESSAGE_MAX, qdi_ask_version(x->a, x->state, t->node));
    qd_write_raw(&w, t->context, SEARCH_CONTEXT_ID);
    qdi_picks_write(l->picks, l->n, &w);
    t->question = qdi_ask(q, t->node, QD_ACTION_SEARCH_FETCH, &w);
}

static void read_picks(search_run *x, search_target *t, pick_list *l, qd_asks *q)
{
    qd_str bytes;
    uint16_t version;
    qd_err err;
    qd_err_init(&err);
    int rc = qdi_answer(q, t->question, &bytes, &version, &err);
    if (!rc) {
        qd_body_reader r;
        qd_body_reader_init(&r, bytes, "hits of a search", version);
        qdi_picked_read(&r, x->arena, l->picks, l->n);
        rc = qd_body_reader_check(&r, &err);
    }
    if (rc) fail_picks(l, rc, &err);
    t->reserved = false;
    if (!x->scroll) t->kept = false; /* its node lets it go with the fetch */
    qd_err_fini(&err);
}

/* Is the node asked? For hits, or to be told that there are none of its own in a page. */
static bool asks_for(const search_target *t, const pick_list *l)
{
    return !t->local && (l->n || t->reserved);
}

static int fetch(search_run *x, pick_list *lists, uint32_t remote, qd_err *err)
{
    qd_asks *q = NULL;
    pick_list *l = lists;
    int rc = remote ? qdi_search_ask(x, remote, &q, err) : 0;
    if (rc) return rc;
    for (search_target *t = x->targets; t; t = t->next, l++) {
        if (asks_for(t, l)) ask_picks(x, t, l, q);
    }
    l = lists;
    for (search_target *t = x->targets; t; t = t->next, l++) {
        if (l->n && t->local) qdi_node_fetch(t->here, l->picks, l->n, x->arena, x->task);
    }
    if (q) qdi_asks_wait(q);
    l = lists;
    for (search_target *t = x->targets; t; t = t->next, l++) {
        if (asks_for(t, l)) read_picks(x, t, l, q);
        take_picks(l);
    }
    qdi_asks_end(q);
    return 0;
}

int qdi_targets_fetch(search_run *x, qd_err *err)
{
    uint32_t targets = 0, remote = 0, at = 0;
    int rc = 0;
    if (!x->targets) return 0;
    for (const search_target *t = x->targets; t; t = t->next) targets++;
    uint32_t *count = qd_arena_calloc(x->arena, (x->nshards + 1ul) * sizeof *count);
    pick_list *lists = qd_arena_calloc(x->arena, (targets + 1ul) * sizeof *lists);
    if (!count || !lists) return qd_err_nomem(err, "hits");
    for (uint32_t i = 0; i < x->nrefs; i++) {
        count[x->refs[i].shard - x->shards] += wanted(&x->refs[i]);
    }
    for (search_target *t = x->targets; t && !rc; t = t->next, at++) {
        rc = list_picks(x, t, count, &lists[at], err);
        for (uint32_t i = 0; i < lists[at].n; i++) qd_err_init(&lists[at].picks[i].err);
        remote += asks_for(t, &lists[at]);
    }
    return rc ? rc : fetch(x, lists, remote, err);
}

void qdi_targets_release(search_run *x)
{
    static const pick_list none = {0};
    uint32_t n = 0;
    qd_asks *q;
    for (const search_target *t = x->targets; t; t = t->next) n += t->reserved;
    if (!n || qdi_search_ask(x, n, &q, NULL)) return; /* their reservation ends by itself */
    for (search_target *t = x->targets; t; t = t->next) {
        if (t->reserved) ask_picks(x, t, &none, q);
        t->reserved = false;
    }
    qdi_asks_wait(q);
    qdi_asks_end(q);
}

void qdi_targets_end(search_run *x, bool keep)
{
    for (search_target *t = x->targets; t; t = t->next) {
        if (t->here) {
            qdi_node_done(t->here, keep);
        } else if (t->kept && !keep && !t->local) {
            qdi_tell_free(x->a, x->state, t->node, t->context);
        }
        t->here = NULL;
        t->kept = false;
        qd_err_fini(&t->err);
    }
}
