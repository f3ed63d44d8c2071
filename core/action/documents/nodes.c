/*
 * nodes.c: a batch of operations on the nodes that hold the primaries, and what those nodes do
 * with it. Operations of one node travel in one request and are applied there as if they had come
 * from outside. What certainly was not applied, because the primary has moved or its node is gone,
 * is placed again by a newer state until the request's time-out; an unknown outcome is told to the
 * client as such and never tried again here: a second effect could undo what others wrote
 * meanwhile.
 */
#include "action/documents/wire.h"
#include "action/transport/scatter.h"
#include "action/transport/served_int.h"
#include "base/log.h"
#include "runtime/fiber.h"
#include <stdio.h>
#include <string.h>

#define UNCHANGED_NS UINT64_C(1000000000) /* then others are asked who is primary */
#define OTHERS_MAX 8u
#define NEWER_MS 250 /* at most, for a newer state before nodes are asked again */
#define REFRESH_MS 60000
#define FOLLOW_MS 1000  /* for a state that another node has */
#define CHANGE_MS 30000 /* that a change of the state may take, unless a request says less */
#define SLACK_MS 2000   /* of a call over the time-out that its operations have */

struct doc_run {
    doc_item *items; /* the caller's; what failed here has its error in a group */
    size_t nitems;
    QD_VEC(doc_groups *) groups;
};

typedef struct round {
    const doc_request *r;
    doc_run *run;
    doc_item *items;
    size_t nitems;
    qd_arena *arena;
    doc_batch look;
    uint64_t until_ns, revision;
    uint64_t records; /* newest revision of those by which the round's items were placed */
    scatter nodes;
    uint32_t *todo, ntodo; /* still to be done */
    uint32_t *again, nagain;
    doc_asked primaries;
    bool asked; /* some node was asked: it may answer otherwise without a newer state */
} round;

uint64_t qdi_docs_placed_by(const qd_state *s, const qd_index_meta *m, const qd_shard_meta *r)
{
    uint64_t newest = qd_state_mapping_revision(s, m->mapping_hash);
    if (m->mod_revision > newest) newest = m->mod_revision;
    return r && r->mod_revision > newest ? r->mod_revision : newest;
}

static bool has_reached(void *arg, const qd_state *s)
{
    return s && s->revision >= *(const uint64_t *)arg;
}

void qdi_docs_follow(qd_actions *a, uint64_t revision, int64_t timeout_ms)
{
    qd_state *s = qd_cluster_state(a->cluster);
    uint64_t own = s->revision;
    qd_state_unref(s);
    if (own >= revision || atomic_load_explicit(&a->behind, memory_order_relaxed) == own) return;
    int64_t wait = timeout_ms < FOLLOW_MS ? timeout_ms : FOLLOW_MS;
    if (qd_cluster_wait_for(a->cluster, has_reached, &revision, wait) && wait == FOLLOW_MS &&
        !qd_task_poll(qd_fiber_task()))
        atomic_store_explicit(&a->behind, own, memory_order_relaxed);
}

/* --- who is primary --- */

bool qdi_asked_next(doc_asked *a, qd_env *env, uint64_t revision)
{
    uint64_t now = qd_env_mono_ns(env);
    if (!a->since_ns || revision != a->revision)
        *a = (doc_asked){.revision = revision, .since_ns = now};
    else if (now - a->since_ns >= UNCHANGED_NS && a->turn <= OTHERS_MAX)
        a->turn++;
    return a->turn <= OTHERS_MAX;
}

const qd_node_meta *qdi_asked_node(const doc_asked *a, const qd_state *s, const qd_shard_meta *r,
                                   qd_str self, bool *sure)
{
    const qd_copy *copy = qd_shard_meta_primary(r);
    const qd_node_meta *primary =
        copy && qd_copy_is_active(copy) ? qd_state_node(s, copy->node) : NULL;
    uint32_t turn = a->turn <= OTHERS_MAX ? a->turn : 0;
    *sure = false;
    for (uint32_t k = 0; turn && k < r->ncopies; k++) {
        const qd_str id = r->copies[k].node;
        const qd_node_meta *other = id.n && !qd_str_eq(id, self) ? qd_state_node(s, id) : NULL;
        if (other && other != primary && --turn == 0) return other;
    }
    *sure = primary != NULL;
    return primary;
}

static int64_t left_ms(const round *x)
{
    uint64_t now = qd_env_mono_ns(x->r->a->env);
    return now >= x->until_ns ? 0 : (int64_t)((x->until_ns - now) / 1000000u);
}

/* Certainly not applied, and another node may take it. */
static bool elsewhere(int rc)
{
    return rc == QD_E_NOT_PRIMARY || rc == QD_E_NO_SHARD || rc == QD_E_UNAVAILABLE_SHARDS;
}

/* --- one round: placing --- */

static int no_primary(const doc_item *i, const round *x, qd_err *err)
{
    return qd_err_set(err, QD_E_UNAVAILABLE_SHARDS,
                      "[%.*s][%u] primary shard is not active Timeout: [%llds]",
                      QD_STR_ARG(i->concrete), i->shard, (long long)x->r->timeout_ms / 1000);
}

static int place(round *x, uint32_t k, qd_err *err)
{
    doc_item *i = &x->items[k];
    const qd_index_meta *m;
    int rc = qd_task_check(x->r->task, err);
    if (!i->concrete.p) i->concrete = i->index;
    if (!rc) rc = qdi_batch_place(&x->look, i, &m, err);
    if (rc) return rc;
    const qd_shard_meta *record = qd_state_shard(x->look.state, m, i->shard);
    bool sure = false;
    const qd_node_meta *node =
        record ? qdi_asked_node(&x->primaries, x->look.state, record, x->r->a->node_id, &sure)
               : NULL;
    if (!node) return no_primary(i, x, err);
    if (sure) /* else the primary looks */
        rc = qdi_active_enough(x->look.state, m, i->shard, x->r->active, x->r->timeout_ms, err);
    if (rc) return rc;
    uint64_t revision = qdi_docs_placed_by(x->look.state, m, record);
    if (revision > x->records) x->records = revision;
    return qdi_scatter_add(&x->nodes, node, k, err);
}

/* The item has failed; it is tried again where that makes sense. */
static void failed(round *x, uint32_t k, qd_err *err)
{
    bool again = elsewhere(err->code);
    qdi_item_fail(&x->items[k], x->arena, err);
    if (again) x->again[x->nagain++] = k;
}

static void place_all(round *x)
{
    for (uint32_t t = 0; t < x->ntodo; t++) {
        qd_err err;
        qd_err_init(&err);
        if (place(x, x->todo[t], &err)) failed(x, x->todo[t], &err);
        qd_err_fini(&err);
    }
}

/* --- sending --- */

static void encode(void *arg, const scatter_part *p, qd_writer *w)
{
    const round *x = arg;
    doc_wire_head h = {
        .revision = x->records, .timeout_ms = left_ms(x), .active = x->r->active, .n = p->n};
    qdi_wire_items(w, &h, x->items, p->pick);
}

/* The node may have carried out what it was sent: nobody heard how that ended. */
static bool is_unknown(const scatter_part *p, int rc)
{
    return p->sent &&
           (rc == QD_E_CLOSED || rc == QD_E_TIMEOUT || rc == QD_E_CANCELLED || rc == QD_E_CORRUPT);
}

/* Every item of the part gets the error of the call. */
static void fail_part(round *x, const scatter_part *p, int rc)
{
    bool unknown = is_unknown(p, rc);
    bool closed = rc == QD_E_CLOSED;
    for (uint32_t t = 0; t < p->n; t++) {
        qd_err err;
        qd_err_init(&err);
        if (unknown) {
            (void)qd_err_set(&err, QD_E_WRITE_UNKNOWN,
                             "node [%.*s] did not answer, the write may have been carried out: %s",
                             QD_STR_ARG(p->node), qd_err_reason(&p->err));
        } else if (closed) {
            (void)no_primary(&x->items[p->pick[t]], x, &err);
        } else {
            qd_err_copy(&err, &p->err);
            if (!err.code) (void)qd_err_set(&err, rc, "node [%.*s]", QD_STR_ARG(p->node));
        }
        failed(x, p->pick[t], &err);
        qd_err_fini(&err);
    }
}

static void take_answer(round *x, scatter_part *p)
{
    qd_err err;
    qd_err_init(&err);
    int rc = p->err.code;
    if (!rc) {
        rc = qdi_wire_results_read(p->answer, p->version, x->arena, x->items, p->pick, p->n, &err);
        if (rc) qd_err_move(&p->err, &err);
    }
    if (rc) {
        fail_part(x, p, rc);
    } else {
        for (uint32_t t = 0; t < p->n; t++) {
            if (elsewhere(x->items[p->pick[t]].rc)) x->again[x->nagain++] = p->pick[t];
        }
    }
    qd_err_fini(&err);
}

/* --- here --- */

static int run_here(round *x, const scatter_part *p, qd_err *err)
{
    doc_groups *g = NULL;
    size_t bytes = 0;
    if (qd_vec_reserve(&x->run->groups, x->r->a->account, 1))
        return qd_err_nomem(err, "operations");
    doc_item *own = qd_arena_alloc(x->arena, p->n * sizeof *own);
    if (!own) return qd_err_nomem(err, "operations");
    for (uint32_t t = 0; t < p->n; t++) {
        own[t] = x->items[p->pick[t]];
        own[t].rc = 0;
        own[t].result = NULL;
        own[t].touched_shard = false;
        bytes += own[t].source.n;
    }
    int rc = qdi_groups_run(x->r, own, p->n, bytes, x->arena, &g, err);
    for (uint32_t t = 0; t < p->n; t++) {
        if (!rc) x->items[p->pick[t]] = own[t];
        if (!rc && elsewhere(own[t].rc)) x->again[x->nagain++] = p->pick[t];
    }
    if (g) x->run->groups.at[x->run->groups.n++] = g;
    return rc;
}

/* What other nodes wrote is refreshed at the end of the request too. */
static void mark_remote(round *x, const scatter_part *p)
{
    doc_marks *m = x->r->marks;
    if (!m || m->refresh == DOC_REFRESH_NO) return;
    for (uint32_t t = 0; t < p->n; t++) {
        doc_item *i = &x->items[p->pick[t]];
        if (i->rc || !(i->touched_shard || qdi_item_noop(i))) continue;
        i->forced_refresh = m->refresh == DOC_REFRESH_NOW;
        qdi_mark_add(m, x->r->a, i->index_uuid, i->shard, i->done.seq_no);
    }
}

static int run_round(round *x, qd_err *err)
{
    int rc = 0;
    x->nagain = 0;
    x->records = 0;
    qdi_batch_begin(&x->look, x->r->a, x->arena, x->r->task, x->r->timeout_ms);
    qdi_scatter_init(&x->nodes, x->r->a, x->r->task, x->arena, x->ntodo);
    place_all(x);
    x->revision = x->look.state->revision;
    qdi_scatter_send(&x->nodes, QD_ACTION_DOCS_WRITE, left_ms(x) + SLACK_MS, encode, x);
    const scatter_part *here = qdi_scatter_here(&x->nodes);
    x->asked = x->nodes.parts != NULL;
    if (here) rc = run_here(x, here, err);
    qdi_scatter_wait(&x->nodes);
    for (scatter_part *p = x->nodes.parts; p; p = p->next) {
        if (!p->node.n) continue;
        take_answer(x, p);
        mark_remote(x, p);
    }
    qdi_scatter_fini(&x->nodes);
    qdi_batch_end(&x->look);
    return rc;
}

static bool is_newer(void *arg, const qd_state *s)
{
    return s && s->revision > *(const uint64_t *)arg;
}

static int run_rounds(round *x, qd_err *err)
{
    int rc = 0;
    while (!rc && x->ntodo) {
        rc = run_round(x, err);
        uint32_t *done = x->todo;
        x->todo = x->again;
        x->ntodo = x->nagain;
        x->again = done;
        int64_t left = left_ms(x);
        if (rc || !x->ntodo || !left) break;
        bool news = qdi_asked_next(&x->primaries, x->r->a->env, x->revision) || x->asked;
        (void)qd_cluster_wait_for(x->r->a->cluster, is_newer, &x->revision,
                                  news && left > NEWER_MS ? NEWER_MS : left);
    }
    return rc;
}

/* The operations that pipelines leave to be written, in an array of their own where some are not.
 */
static int left_to_write(doc_item *items, size_t n, qd_arena *arena, doc_item **out, size_t *nout,
                         qd_err *err)
{
    size_t m = 0;
    for (size_t k = 0; k < n; k++) m += !items[k].rc && !items[k].dropped;
    *out = items;
    *nout = m;
    if (m == n) return 0;
    *out = qd_arena_alloc(arena, (m + 1) * sizeof **out);
    if (!*out) return qd_err_nomem(err, "operations");
    m = 0;
    for (size_t k = 0; k < n; k++) {
        if (!items[k].rc && !items[k].dropped) (*out)[m++] = items[k];
    }
    return 0;
}

static int run_items(const doc_request *r, doc_item *items, size_t n, size_t bytes, qd_arena *arena,
                     doc_run **out, qd_err *err);

int qdi_docs_run(const doc_request *r, doc_item *items, size_t n, size_t bytes, qd_arena *arena,
                 doc_run **out, qd_err *err)
{
    bool ran;
    doc_item *left;
    size_t nleft, m = 0;
    uint64_t from = qd_env_mono_ns(r->a->env);
    int rc = qdi_ingest_items(r->a, r->task, r->timeout_ms, items, n, arena, &ran, err);
    if (rc || !ran) return rc ? rc : run_items(r, items, n, bytes, arena, out, err);
    if (r->ingest_ns) *r->ingest_ns += qd_env_mono_ns(r->a->env) - from + 1;
    rc = left_to_write(items, n, arena, &left, &nleft, err);
    if (!rc) rc = run_items(r, left, nleft, bytes, arena, out, err);
    if (rc) {
        for (size_t k = 0; k < n; k++) qdi_item_fini(&items[k]);
        return rc;
    }
    for (size_t k = 0; k < n && left != items; k++) {
        if (!items[k].rc && !items[k].dropped) items[k] = left[m++];
    }
    (*out)->items = items; /* errors of all of them end with it */
    (*out)->nitems = n;
    return 0;
}

static int run_items(const doc_request *r, doc_item *items, size_t n, size_t bytes, qd_arena *arena,
                     doc_run **out, qd_err *err)
{
    round x = {.r = r, .items = items, .nitems = n, .arena = arena};
    doc_groups *g = NULL;
    int rc;
    x.run = qd_calloc(r->a->account, sizeof *x.run);
    if (!x.run || qd_vec_reserve(&x.run->groups, r->a->account, 1)) {
        qd_free(x.run);
        return qd_err_nomem(err, "operations");
    }
    x.run->items = items;
    x.run->nitems = n;
    if (!qdi_many_nodes(r->a) && !qdi_active_waits(r->a, r->active)) {
        rc = qdi_groups_run(r, items, n, bytes, arena, &g, err);
        if (g) x.run->groups.at[x.run->groups.n++] = g;
    } else {
        x.until_ns = qd_env_mono_ns(r->a->env) + (uint64_t)r->timeout_ms * 1000000u;
        x.todo = qd_arena_alloc(arena, n * sizeof *x.todo);
        x.again = qd_arena_alloc(arena, n * sizeof *x.again);
        x.ntodo = (uint32_t)n;
        for (size_t k = 0; k < n && x.todo; k++) x.todo[k] = (uint32_t)k;
        rc = x.todo && x.again ? run_rounds(&x, err) : qd_err_nomem(err, "operations");
    }
    if (rc)
        qdi_docs_free(x.run);
    else
        *out = x.run;
    return rc;
}

void qdi_docs_free(doc_run *run)
{
    if (!run) return;
    for (size_t k = 0; k < run->nitems; k++) qdi_item_fini(&run->items[k]);
    for (size_t k = 0; k < run->groups.n; k++) qdi_groups_free(run->groups.at[k]);
    qd_vec_fini(&run->groups);
    qd_free(run);
}

/* --- what a node does for another --- */

/* An index that this node has yet to hear of is not one that is not there. */
static int knows_all(qd_actions *a, const doc_item *items, uint32_t n, qd_err *err)
{
    int rc = 0;
    qd_state *s = qd_cluster_state(a->cluster);
    for (uint32_t k = 0; k < n && !rc; k++) {
        qd_str uuid = qd_str_c(items[k].index_uuid);
        if (qd_state_index_uuid(s, uuid) || qd_state_buried(s, uuid)) continue;
        rc = qd_err_set(err, QD_E_UNAVAILABLE_SHARDS,
                        "[%.*s][%u] is not known to node [%.*s] yet: its state has revision %llu",
                        QD_STR_ARG(items[k].concrete), items[k].shard, QD_STR_ARG(a->node_name),
                        (unsigned long long)s->revision);
    }
    qd_state_unref(s);
    return rc;
}

/* Applies what has been read; the answer goes into w. */
static int apply_for(qd_actions *a, qd_task *task, const doc_wire_head *h, doc_item *items,
                     qd_arena *arena, qd_writer *w, qd_err *err)
{
    doc_groups *g = NULL;
    doc_marks none = {0};
    doc_request r = {.a = a,
                     .task = task,
                     .timeout_ms = h->timeout_ms,
                     .active = h->active,
                     .hint = (uint32_t)qd_env_random_u64(a->env),
                     .placed_by = h->revision,
                     .marks = &none};
    size_t bytes = 0;
    if (h->timeout_ms > 0 && h->timeout_ms < CHANGE_MS) task->change_ms = h->timeout_ms;
    for (uint32_t k = 0; k < h->n; k++) bytes += items[k].source.n;
    qdi_docs_follow(a, h->revision, h->timeout_ms);
    int rc = knows_all(a, items, h->n, err);
    if (!rc) rc = qdi_groups_run(&r, items, h->n, bytes, arena, &g, err);
    if (!rc) qdi_wire_results(w, items, h->n);
    for (uint32_t k = 0; k < h->n; k++) qdi_item_fini(&items[k]);
    qdi_groups_free(g);
    return rc;
}

void qdi_docs_write_handle(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    doc_wire_head h;
    doc_item *items = NULL;
    qdi_served_begin(&s, arg, request, QD_ACTION_DOCS_WRITE, "write", QDI_SCATTER_BODY_MAX);
    int rc = qdi_wire_items_read(s.body, s.version, &s.arena, &h, &items, &s.err);
    if (!rc) rc = apply_for(s.a, &s.task, &h, items, &s.arena, &s.out, &s.err);
    qdi_served_end(&s, rc, "results of a write");
}

/* --- refreshes --- */

/* The other node that has the mark's primary; NULL: this one, or nobody. */
static const qd_node_meta *primary_elsewhere(qd_actions *a, const qd_state *s, const doc_mark *m)
{
    const qd_index_meta *index = qd_state_index_uuid(s, qd_str_c(m->uuid));
    const qd_shard_meta *record = index ? qd_state_shard(s, index, m->shard) : NULL;
    const qd_copy *primary = record ? qd_shard_meta_primary(record) : NULL;
    if (!primary || !qd_copy_is_active(primary) || qd_str_eq(primary->node, a->node_id))
        return NULL;
    return qd_state_node(s, primary->node);
}

static void encode_marks(void *arg, const scatter_part *p, qd_writer *w)
{
    const doc_marks *m = arg;
    qdi_wire_marks(w, m->refresh == DOC_REFRESH_WAIT, m->at.at, p->pick, p->n);
}

/* What another node says of the shards that it was to refresh; one of protocol 1.0 says nothing. */
static void take_refreshed(doc_marks *m, const scatter_part *p)
{
    qd_body_reader r;
    qd_body_reader_init(&r, p->answer, "answer of a refresh", p->version);
    if (p->err.code)
        qd_log_warn("action", "refresh on [%.*s]: %s", QD_STR_ARG(p->address),
                    qd_err_reason(&p->err));
    if (!p->err.code && p->version < QD_RPC_1_1) return;
    for (uint32_t k = 0; k < p->n; k++) {
        qd_err err;
        qd_err_init(&err);
        if (p->err.code)
            qd_err_copy(&err, &p->err);
        else if (qd_read_bool(&r, "failed"))
            qd_read_err(&r, &err);
        int rc = qd_body_reader_check(&r, err.code ? NULL : &err);
        if (rc || err.code) qdi_mark_failed(&m->at.at[p->pick[k]], p->node, &err);
        qd_err_fini(&err);
    }
}

static void take_own(doc_marks *m, const doc_mark *own)
{
    for (size_t k = 0; k < m->at.n && own->err.code; k++) {
        doc_mark *x = &m->at.at[k];
        if (x->shard == own->shard && strcmp(x->uuid, own->uuid) == 0)
            qdi_mark_failed(x, qd_str_c(own->node), &own->err);
    }
}

void qdi_marks_refresh(doc_marks *m, qd_actions *a, qd_task *task)
{
    qd_arena arena;
    scatter nodes;
    doc_marks own = {.refresh = m->refresh};
    if (!m->at.n || !qdi_many_nodes(a)) {
        qdi_marks_refresh_here(m, a);
        return;
    }
    qd_arena_init(&arena, a->account, 0);
    qdi_scatter_init(&nodes, a, task, &arena, (uint32_t)m->at.n);
    qd_state *s = qd_cluster_state(a->cluster);
    for (uint32_t k = 0; k < m->at.n; k++) {
        const doc_mark *one = &m->at.at[k];
        const qd_node_meta *node = primary_elsewhere(a, s, one);
        if (!node || qdi_scatter_add(&nodes, node, k, NULL))
            qdi_mark_add(&own, a, one->uuid, one->shard, one->max_seq_no);
    }
    qdi_scatter_send(&nodes, QD_ACTION_DOCS_REFRESH, REFRESH_MS, encode_marks, m);
    qdi_marks_refresh_here(&own, a);
    qdi_scatter_wait(&nodes);
    for (const scatter_part *p = nodes.parts; p; p = p->next) {
        if (p->node.n) take_refreshed(m, p);
    }
    for (size_t k = 0; k < own.at.n; k++) {
        m->at.at[0].forced |= own.at.at[k].forced;
        take_own(m, &own.at.at[k]);
    }
    qdi_marks_fini(&own);
    qdi_scatter_fini(&nodes);
    qd_state_unref(s);
    qd_arena_fini(&arena);
}

void qdi_docs_refresh_handle(void *arg, qd_rpc_request *request)
{
    qdi_served s;
    doc_marks m = {0};
    qdi_served_begin(&s, arg, request, QD_ACTION_DOCS_REFRESH, "shards to refresh",
                     QDI_SCATTER_BODY_MAX);
    int rc = qdi_wire_marks_read(s.body, s.version, &m, &s.err);
    if (!rc) qdi_marks_refresh_here(&m, s.a);
    for (size_t k = 0; k < m.at.n && !rc && s.version >= QD_RPC_1_1; k++) {
        const qd_err *why = &m.at.at[k].err;
        qd_write_bool(&s.out, why->code != 0);
        if (why->code) qd_write_err(&s.out, why);
    }
    qdi_marks_fini(&m);
    qdi_served_end(&s, rc, "answer of a refresh");
}
