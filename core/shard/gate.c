/* gate.c: see gate_int.h. */
#include "base/assert.h"
#include "shard/gate_int.h"

#define GATE_ALONE UINT32_MAX

void qdi_gate_init(qdi_gate *g)
{
    atomic_init(&g->users, 0);
    atomic_init(&g->waiting, 0);
    qd_mutex_init(&g->lock);
    qd_cond_init(&g->changed);
}

void qdi_gate_fini(qdi_gate *g)
{
    qd_assert(atomic_load(&g->users) == 0);
    qd_cond_fini(&g->changed);
    qd_mutex_fini(&g->lock);
}

static bool try_enter(qdi_gate *g)
{
    uint32_t n = atomic_load_explicit(&g->users, memory_order_relaxed);
    while (n != GATE_ALONE)
        if (atomic_compare_exchange_weak(&g->users, &n, n + 1)) return true;
    return false;
}

static bool try_close(qdi_gate *g)
{
    uint32_t nobody = 0;
    return atomic_compare_exchange_strong(&g->users, &nobody, GATE_ALONE);
}

/* Who waits says so first and looks then; who leaves changes first and looks then for those who
 * wait: one of the two sees the other. */
static void wait_until(qdi_gate *g, bool (*try)(qdi_gate *g))
{
    qd_mutex_lock(&g->lock);
    atomic_fetch_add(&g->waiting, 1);
    while (!try(g)) qd_cond_wait(&g->changed, &g->lock);
    atomic_fetch_sub(&g->waiting, 1);
    qd_mutex_unlock(&g->lock);
}

static void wake(qdi_gate *g)
{
    if (!atomic_load(&g->waiting)) return;
    qd_mutex_lock(&g->lock);
    qd_cond_broadcast(&g->changed);
    qd_mutex_unlock(&g->lock);
}

void qdi_gate_enter(qdi_gate *g)
{
    if (!try_enter(g)) wait_until(g, try_enter);
}

bool qdi_gate_try(qdi_gate *g)
{
    return try_enter(g);
}

void qdi_gate_leave(qdi_gate *g)
{
    uint32_t before = atomic_fetch_sub(&g->users, 1);
    qd_assert(before != 0 && before != GATE_ALONE);
    if (before == 1) wake(g);
}

void qdi_gate_close(qdi_gate *g)
{
    if (!try_close(g)) wait_until(g, try_close);
}

void qdi_gate_open(qdi_gate *g)
{
    uint32_t alone = atomic_exchange(&g->users, 0);
    qd_assert(alone == GATE_ALONE);
    wake(g);
}
