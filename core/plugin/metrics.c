/*
 * metrics.c: counters, gauges and histograms of plugins. Made once and never freed before the host;
 * updating is one atomic addition (a histogram: three).
 */
#include "plugin/host_int.h"
#include <stdatomic.h>

/* Powers of ten with two steps between: fits seconds and bytes alike. */
static const double bounds[] = {1e-6, 2.5e-6, 1e-5, 2.5e-5, 1e-4, 2.5e-4, 1e-3, 2.5e-3,
                                1e-2, 2.5e-2, 1e-1, 2.5e-1, 1,    2.5,    10,   25,
                                100,  1e3,    1e4,  1e5,    1e6,  1e7,    1e8,  1e9};

struct qd_plugin_metric {
    qd_plugin_metric *next;
    const char *plugin;
    char *name, *help;
    int32_t type;
    _Atomic int64_t value;
    _Atomic int64_t sum_bits; /* a double, updated by compare and exchange */
    _Atomic uint64_t counts[QD_COUNT_OF(bounds) + 1];
};

static void free_one(qd_plugin_metric *m)
{
    qd_free(m->name);
    qd_free(m->help);
    qd_free(m);
}

static qd_plugin_metric *make_one(qd_self *self, int32_t type, const char *name, const char *help)
{
    qd_plugin_metric *m = qd_calloc(&self->account, sizeof *m);
    if (!m) return NULL;
    m->plugin = self->name;
    m->type = type;
    m->name = qd_memdup(&self->account, name, strlen(name));
    m->help = qd_memdup(&self->account, help ? help : "", help ? strlen(help) : 0);
    if (m->name && m->help) return m;
    free_one(m);
    return NULL;
}

static qd_plugin_metric *metric_make(qd_self *self, int32_t type, const char *name,
                                     const char *help)
{
    QD_CHECK(self, QD_SELF_MAGIC);
    qd_plugin_host *h = self->host;
    qd_plugin_metric *m;
    qd_mutex_lock(&h->lock);
    for (m = h->metrics; m; m = m->next)
        if (m->plugin == self->name && strcmp(m->name, name) == 0) break;
    if (m && m->type != type)
        m = NULL;
    else if (!m && (m = make_one(self, type, name, help))) {
        *h->metrics_end = m;
        h->metrics_end = &m->next;
    }
    qd_mutex_unlock(&h->lock);
    return m;
}

static void metric_add(qd_plugin_metric *m, int64_t n)
{
    if (m) atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

static void metric_set(qd_plugin_metric *m, int64_t v)
{
    if (m) atomic_store_explicit(&m->value, v, memory_order_relaxed);
}

static void metric_observe(qd_plugin_metric *m, double v)
{
    if (!m || m->type != QD_METRIC_HISTOGRAM) return;
    size_t i = 0;
    while (i < QD_COUNT_OF(bounds) && v > bounds[i]) i++;
    atomic_fetch_add_explicit(&m->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->value, 1, memory_order_relaxed);
    int64_t old = atomic_load_explicit(&m->sum_bits, memory_order_relaxed), new;
    do {
        double sum;
        memcpy(&sum, &old, sizeof sum);
        sum += v;
        memcpy(&new, &sum, sizeof new);
    } while (!atomic_compare_exchange_weak_explicit(&m->sum_bits, &old, new, memory_order_relaxed,
                                                    memory_order_relaxed));
}

const qd_svc_metric qdi_svc_metric = {
    {sizeof(qd_svc_metric), QD_ABI_MAJOR, QD_ABI_MINOR, 0},
    metric_make,
    metric_add,
    metric_set,
    metric_observe,
};

void qd_plugin_metrics_each(const qd_plugin_host *h,
                            void (*each)(void *arg, const qd_plugin_metric_view *m), void *arg)
{
    uint64_t counts[QD_COUNT_OF(bounds) + 1];
    qd_mutex *lock = (qd_mutex *)&((qd_plugin_host *)(uintptr_t)h)->lock;
    qd_mutex_lock(lock);
    for (const qd_plugin_metric *m = h->metrics; m; m = m->next) {
        int64_t bits = atomic_load_explicit(&m->sum_bits, memory_order_relaxed);
        qd_plugin_metric_view v = {m->plugin,
                                   m->name,
                                   m->help,
                                   m->type,
                                   atomic_load_explicit(&m->value, memory_order_relaxed),
                                   0,
                                   bounds,
                                   counts,
                                   QD_COUNT_OF(bounds)};
        memcpy(&v.sum, &bits, sizeof v.sum);
        for (size_t i = 0; i < QD_COUNT_OF(counts); i++)
            counts[i] = atomic_load_explicit(&m->counts[i], memory_order_relaxed);
        each(arg, &v);
    }
    qd_mutex_unlock(lock);
}

void qdi_metrics_free(qd_plugin_host *h)
{
    for (qd_plugin_metric *m = h->metrics, *next; m; m = next) {
        next = m->next;
        free_one(m);
    }
    h->metrics = NULL;
    h->metrics_end = &h->metrics;
}
