/*
 * fan.c: a search's work in parallel on the search pool.
 */
#include "action/search/search_int.h"
#include "runtime/fiber.h"
#include "runtime/sync.h"
#include "store/store.h"

#define POOL_THREADS_MAX 10 /* of a node, in the standard number of searches at one time */

#define HELPERS_MAX 15u

/* --- fan ---
 *
 * The caller and up to HELPERS_MAX workers take the next index until none is left. A helper that
 * comes late (its pool was busy) finds nothing and leaves, so the caller waits only for what has
 * been taken: no search waits for a queue. On a fiber (the tier waits) helpers are fibers too, so
 * that all shards can be waited for at once, however few threads there are.
 */
typedef struct fan fan;
typedef struct fan_helper {
    qd_work work; /* first */
    fan *f;
} fan_helper;

struct fan {
    _Atomic uint32_t next, refs;
    uint32_t n;
    void (*fn)(void *arg, uint32_t i);
    void *arg;
    qd_pool *fibers; /* pool of the helpers' fibers; NULL: they run on their worker's stack */
    qd_task *task;   /* that the caller waits for */
    qd_latch all;
    fan_helper helpers[HELPERS_MAX];
};

static void fan_unref(fan *f)
{
    if (atomic_fetch_sub(&f->refs, 1) == 1) qd_free(f);
}

static void fan_work(fan *f)
{
    for (;;) {
        uint32_t i = atomic_fetch_add(&f->next, 1);
        if (i >= f->n) return;
        f->fn(f->arg, i);
        qd_latch_done(&f->all, 0);
    }
}

static void fan_help_here(void *arg)
{
    fan *f = arg;
    qd_fiber_task_set(f->task);
    fan_work(f);
    fan_unref(f);
}

static void fan_help(qd_work *w)
{
    fan *f = ((fan_helper *)(void *)w)->f;
    if (f->fibers) {
        qd_fiber_run(f->fibers, fan_help_here, f);
    } else {
        fan_help_here(f);
    }
}

bool qdi_search_waits(const qd_actions *a)
{
    return qd_fiber_here() && !(a->shards && (qd_shards_tier_caps(a->shards) & QD_STORE_MMAP));
}

static uint32_t fan_helpers(qd_pool *pool, uint32_t n, bool fibers)
{
    qd_pool_stats stats;
    uint32_t helpers = n - 1 < HELPERS_MAX ? n - 1 : HELPERS_MAX;
    if (fibers) return helpers;
    qd_pool_stats_get(pool, &stats);
    return helpers > stats.threads_max - 1 ? stats.threads_max - 1 : helpers;
}

void qdi_search_fan(qd_actions *a, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)
{
    qdi_search_fan_of(a, n, 0, fn, arg);
}

static void fan_out(qd_actions *a, uint32_t n, int64_t at_once, bool fibers,
                    void (*fn)(void *arg, uint32_t i), void *arg)
{
    if (at_once == 1) {
        for (uint32_t i = 0; i < n; i++) fn(arg, i);
        return;
    }
    qd_pool *pool = qd_pools_find(a->pools, QD_STR("search"));
    fan *f = n > 1 && pool ? qd_calloc(a->account, sizeof *f) : NULL;
    if (!f) {
        for (uint32_t i = 0; i < n; i++) fn(arg, i);
        return;
    }
    atomic_store(&f->refs, 1);
    f->n = n;
    f->fn = fn;
    f->arg = arg;
    f->fibers = fibers ? pool : NULL;
    f->task = qd_fiber_task();
    qd_latch_init(&f->all, n);
    uint32_t helpers = fan_helpers(pool, n, f->fibers != NULL);
    if (at_once > 0 && helpers > at_once - 1) helpers = (uint32_t)at_once - 1;
    for (uint32_t i = helpers; i > 0; i--) {
        fan_helper *h = &f->helpers[i - 1];
        *h = (fan_helper){{.run = fan_help}, f};
        atomic_fetch_add(&f->refs, 1);
        if (qd_pool_submit(pool, &h->work, NULL)) {
            fan_unref(f);
            break; /* busy: this thread does it alone */
        }
    }
    fan_work(f);
    (void)qd_latch_wait(&f->all);
    fan_unref(f);
}

void qdi_search_fan_of(qd_actions *a, uint32_t n, int64_t at_once,
                       void (*fn)(void *arg, uint32_t i), void *arg)
{
    fan_out(a, n, at_once, qdi_search_waits(a), fn, arg);
}

void qdi_search_fan_requests(qd_actions *a, uint32_t n, int64_t at_once,
                             void (*fn)(void *arg, uint32_t i), void *arg)
{
    fan_out(a, n, at_once, qd_fiber_here(), fn, arg);
}

int64_t qdi_search_at_once(qd_actions *a)
{
    qd_pool_stats stats;
    int64_t nodes = 0;
    qd_state *s = qd_cluster_state(a->cluster);
    for (uint32_t i = 0; i < s->nnodes; i++) nodes += qd_node_is_data(&s->nodes[i]);
    qd_state_unref(s);
    qd_pool_stats_get(qd_pools_get(a->pools, "search"), &stats);
    int64_t threads = stats.threads_max < POOL_THREADS_MAX ? stats.threads_max : POOL_THREADS_MAX;
    return threads > 0 ? threads * (nodes ? nodes : 1) : 1;
}
