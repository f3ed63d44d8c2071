/*
 * groups.c: a sub-batch on several write workers. Operations are dealt by shard, so that what
 * concerns one shard, and with it one id, stays in order; each group is applied and synced by one
 * worker with a doc_batch and an arena of its own.
 *
 * The caller works too and takes what no other worker has begun, so a busy pool delays nothing and
 * nobody waits for work that has not started. A worker that comes too late finds nothing left; the
 * last to let go frees the groups.
 */
#include "action/documents/documents_int.h"
#include "action/transport/ask_int.h"
#include "runtime/fiber.h"
#include "runtime/sync.h"

#define GROUPS_MAX 16u
#define LEAST_ITEMS 64u /* fewer, in fewer bytes, are done sooner than others are woken */
#define LEAST_BYTES ((size_t)128 << 10)

typedef struct group {
    doc_batch batch;
    qd_arena arena;
    uint32_t items;
} group;

struct doc_groups {
    const doc_request *r; /* of the caller, gone when all groups are done */
    qd_pool *pool;
    bool waits;
    doc_item *items;
    size_t nitems;
    uint32_t n;
    _Atomic uint32_t next;
    _Atomic int32_t refs;
    qd_latch done; /* of all groups */
    group at[GROUPS_MAX];
    struct helper {
        qd_work work; /* first */
        struct doc_groups *g;
    } helpers[GROUPS_MAX];
};

static void unref(doc_groups *g)
{
    if (atomic_fetch_sub(&g->refs, 1) == 1) qd_free(g);
}

static void run_group(doc_groups *g, uint32_t k)
{
    group *x = &g->at[k];
    qd_task *before = qd_fiber_task_set(g->r->task); /* whose patience changes of the state have */
    for (size_t i = 0; i < g->nitems && x->items; i++) {
        if (g->items[i].group == k) qdi_batch_apply(&x->batch, &g->items[i]);
    }
    qdi_batch_sync(&x->batch, g->items, g->nitems);
    (void)qd_fiber_task_set(before);
}

static void run_some(doc_groups *g)
{
    for (;;) {
        uint32_t k = atomic_fetch_add(&g->next, 1);
        if (k >= g->n) return;
        run_group(g, k);
        qd_latch_done(&g->done, 0);
    }
}

static void help_groups(void *arg)
{
    doc_groups *g = arg;
    run_some(g);
    unref(g);
}

/* Where copies on other nodes are waited for, the worker does something else meanwhile. */
static void help(qd_work *w)
{
    doc_groups *g = ((struct helper *)(void *)w)->g;
    if (g->waits)
        qd_fiber_run(g->pool, help_groups, g);
    else
        help_groups(g);
}

/* How many groups a batch is worth. */
static uint32_t groups_for(const doc_request *r, size_t n, size_t bytes)
{
    qd_pool_stats s;
    if (n < LEAST_ITEMS && bytes < LEAST_BYTES) return 1;
    qd_pool_stats_get(qd_pools_get(r->a->pools, "write"), &s);
    return s.threads_max < GROUPS_MAX ? s.threads_max : GROUPS_MAX;
}

static void begin_group(doc_groups *g, uint32_t k)
{
    group *x = &g->at[k];
    const doc_request *r = g->r;
    qd_arena_init(&x->arena, r->a->account, 0);
    qdi_batch_begin(&x->batch, r->a, &x->arena, r->task, r->timeout_ms);
    x->batch.hint = r->hint;
    x->batch.active = r->active;
    x->batch.placed_by = r->placed_by;
    x->batch.group = k;
}

/* Deals the items: groups that get none are closed up. */
static void deal(doc_groups *g, qd_arena *arena, uint32_t n)
{
    uint32_t number[GROUPS_MAX];
    doc_batch look;
    qdi_batch_begin(&look, g->r->a, arena, g->r->task, g->r->timeout_ms);
    for (uint32_t k = 0; k < n; k++) number[k] = UINT32_MAX;
    for (size_t i = 0; i < g->nitems; i++) {
        uint32_t k = qdi_batch_group(&look, &g->items[i], n);
        if (number[k] == UINT32_MAX) number[k] = g->n++;
        g->items[i].group = number[k];
        g->at[number[k]].items++;
    }
    qdi_batch_end(&look);
}

int qdi_groups_run(const doc_request *r, doc_item *items, size_t n, size_t bytes, qd_arena *arena,
                   doc_groups **out, qd_err *err)
{
    doc_groups *g = qd_calloc(r->a->account, sizeof *g);
    if (!g) return qd_err_nomem(err, "bulk request");
    g->r = r;
    g->pool = qd_pools_get(r->a->pools, "write");
    g->waits = qdi_many_nodes(r->a);
    g->items = items;
    g->nitems = n;
    atomic_store(&g->refs, 1);
    uint32_t most = groups_for(r, n, bytes);
    if (most > 1) {
        deal(g, arena, most);
    } else {
        g->n = 1;
        g->at[0].items = (uint32_t)n;
        /* of an attempt before, with more of them, they may have been of another */
        for (size_t i = 0; i < n; i++) items[i].group = 0;
    }
    for (uint32_t k = 0; k < g->n; k++) begin_group(g, k);
    qd_latch_init(&g->done, g->n);
    for (uint32_t k = 1; k < g->n; k++) {
        struct helper *h = &g->helpers[k];
        h->work.run = help;
        h->g = g;
        atomic_fetch_add(&g->refs, 1);
        if (qd_pool_submit(g->pool, &h->work, NULL)) {
            unref(g);
            break; /* the pool is full: the caller does it all */
        }
    }
    run_some(g);
    (void)qd_latch_wait(&g->done);
    for (uint32_t k = 0; k < g->n; k++) {
        qdi_batch_mark(&g->at[k].batch, r->marks, items, n);
        qdi_batch_end(&g->at[k].batch);
    }
    *out = g;
    return 0;
}

void qdi_groups_free(doc_groups *g)
{
    if (!g) return;
    for (uint32_t k = 0; k < g->n; k++) qd_arena_fini(&g->at[k].arena);
    unref(g);
}
