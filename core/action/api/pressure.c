/*
 * pressure.c: the indexing pressure: bytes of indexing requests that are in flight on this node.
 * Whole requests that do not fit are refused with 429; a streamed body is not read further until
 * there is room. One counter for the node; its lock is held for some instructions only.
 */
#include "action/action_int.h"
#include "runtime/sync.h"

static struct {
    qd_mutex lock;
    int64_t used, total;
    uint64_t rejected;
    qd_pressure_hold *waiting;
} pressure = {.lock = QD_MUTEX_INIT};

static int64_t limit_of(const qd_actions *a)
{
    return qd_config_i64(a->config, QD_SET_INDEXING_PRESSURE);
}

int qdi_pressure_refuse(const qd_actions *a, size_t n, qd_err *err)
{
    int64_t used = qdi_pressure_used();
    qd_mutex_lock(&pressure.lock);
    pressure.rejected++;
    qd_mutex_unlock(&pressure.lock);
    return qd_err_set(err, QD_E_REJECTED,
                      "rejected execution of coordinating operation "
                      "[coordinating_and_primary_bytes=%lld, replica_bytes=0, all_bytes=%lld, "
                      "coordinating_operation_bytes=%zu, max_coordinating_and_primary_bytes=%lld]",
                      (long long)used, (long long)used, n, (long long)limit_of(a));
}

bool qdi_pressure_fits(const qd_actions *a, size_t n)
{
    return n <= (uint64_t)limit_of(a);
}

bool qdi_pressure_grow(qd_pressure_hold *h, const qd_actions *a, size_t n)
{
    int64_t limit = limit_of(a);
    qd_mutex_lock(&pressure.lock);
    bool fits = (int64_t)n <= limit && pressure.used <= limit - (int64_t)n;
    if (fits) {
        pressure.used += (int64_t)n;
        pressure.total += (int64_t)n;
        h->bytes += n;
    }
    qd_mutex_unlock(&pressure.lock);
    return fits;
}

void qdi_pressure_shrink(qd_pressure_hold *h, size_t to)
{
    if (to >= h->bytes) return;
    qd_mutex_lock(&pressure.lock);
    pressure.used -= (int64_t)(h->bytes - to);
    h->bytes = to;
    qd_pressure_hold *w = pressure.waiting;
    pressure.waiting = NULL;
    while (w) { /* each asks again; telling is short and takes no lock of a call */
        qd_pressure_hold *next = w->next;
        w->waits = false;
        w->ready(w->call);
        w = next;
    }
    qd_mutex_unlock(&pressure.lock);
}

bool qdi_pressure_wait(qd_pressure_hold *h, const qd_actions *a, size_t n,
                       void (*ready)(qd_action_call *), qd_action_call *call)
{
    qd_mutex_lock(&pressure.lock);
    bool full = pressure.used > limit_of(a) - (int64_t)n; /* still? */
    if (full && !h->waits) {
        h->waits = true;
        h->ready = ready;
        h->call = call;
        h->next = pressure.waiting;
        pressure.waiting = h;
    }
    qd_mutex_unlock(&pressure.lock);
    return full;
}

void qdi_pressure_unwait(qd_pressure_hold *h)
{
    qd_mutex_lock(&pressure.lock);
    for (qd_pressure_hold **p = &pressure.waiting; h->waits && *p; p = &(*p)->next) {
        if (*p != h) continue;
        *p = h->next;
        h->waits = false;
        break;
    }
    qd_mutex_unlock(&pressure.lock);
}

void qdi_pressure_end(qd_pressure_hold *h)
{
    qdi_pressure_unwait(h);
    qdi_pressure_shrink(h, 0);
}

int64_t qdi_pressure_used(void)
{
    qd_mutex_lock(&pressure.lock);
    int64_t used = pressure.used;
    qd_mutex_unlock(&pressure.lock);
    return used;
}

void qd_action_pressure(qd_actions *a, qd_action_pressure_stats *out)
{
    qd_mutex_lock(&pressure.lock);
    *out = (qd_action_pressure_stats){.current_bytes = pressure.used,
                                      .total_bytes = pressure.total,
                                      .rejections = pressure.rejected,
                                      .limit_bytes = limit_of(a)};
    qd_mutex_unlock(&pressure.lock);
}
