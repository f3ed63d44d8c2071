/* counters.c: counters of actions. See counters.h. */
#include "action/api/counters.h"
#include "action/api/plugin_routes.h"
#include "base/str.h"
#include <string.h>

typedef struct api_counters {
    _Atomic uint64_t requests, failed_4xx, failed_5xx, ns;
} api_counters;

struct qd_action_counters {
    _Atomic uint64_t queries, queries_failed, query_ns;
    _Atomic uint64_t bucket[QD_LATENCY_BUCKETS];
    _Atomic uint64_t documents, documents_refused;
    uint32_t n;
    api_counters api[]; /* by the table of APIs, and those of plugins behind it */
};

const double qd_latency_bounds[QD_LATENCY_BUCKETS - 1] = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
};

int qd_action_counters_open(const qd_plugin_routes *routes, qd_action_counters **out, qd_err *err)
{
    uint32_t n;
    (void)qd_plugin_routes_rows(routes, &n);
    n += qd_apis_n;
    *out = qd_calloc(NULL, sizeof **out + n * sizeof(api_counters));
    if (!*out) return qd_err_nomem(err, "counters of actions");
    (*out)->n = n;
    return 0;
}

void qd_action_counters_close(qd_action_counters *c)
{
    qd_free(c);
}

static void add(_Atomic uint64_t *to, uint64_t n)
{
    atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *from)
{
    return atomic_load_explicit(from, memory_order_relaxed);
}

static void count_query(qd_action_counters *c, int status, uint64_t ns)
{
    uint32_t i = 0;
    while (i < QD_LATENCY_BUCKETS - 1 && (double)ns > qd_latency_bounds[i] * 1e9) i++;
    add(&c->bucket[i], 1);
    add(&c->queries, 1);
    add(&c->query_ns, ns);
    if (status >= 400) add(&c->queries_failed, 1);
}

/* The i-th of the table and of the plugins' routes behind it. */
static const qd_api *api_at(const qd_actions *a, uint32_t i)
{
    uint32_t n;
    const qd_api *rows = qd_plugin_routes_rows(a->routes, &n);
    return i < qd_apis_n ? &qd_apis[i] : i - qd_apis_n < n ? &rows[i - qd_apis_n] : NULL;
}

static uint32_t place_of(const qd_actions *a, const qd_api *api)
{
    uint32_t n;
    bool own = api >= qd_apis && api < qd_apis + qd_apis_n;
    return own ? (uint32_t)(api - qd_apis)
               : qd_apis_n + (uint32_t)(api - qd_plugin_routes_rows(a->routes, &n));
}

void qd_count_request(qd_actions *a, const qd_api *api, int status, uint64_t ns)
{
    qd_action_counters *c = a->counters;
    if (!c) return;
    uint32_t i = place_of(a, api);
    qd_assert(i < c->n);
    api_counters *x = &c->api[i];
    add(&x->requests, 1);
    add(&x->ns, ns);
    if (status >= 500) {
        add(&x->failed_5xx, 1);
    } else if (status >= 400) {
        add(&x->failed_4xx, 1);
    }
    if (api->flags & QD_API_SEARCH) count_query(c, status, ns);
}

void qd_count_documents(qd_actions *a, uint64_t written, uint64_t refused)
{
    qd_action_counters *c = a->counters;
    if (!c) return;
    if (written) add(&c->documents, written);
    if (refused) add(&c->documents_refused, refused);
}

void qd_action_counts_get(const qd_actions *a, qd_action_counts *out)
{
    const qd_action_counters *c = a->counters;
    *out = (qd_action_counts){0};
    if (!c) return;
    out->queries = get(&c->queries);
    out->queries_failed = get(&c->queries_failed);
    out->query_ns = get(&c->query_ns);
    out->documents = get(&c->documents);
    out->documents_refused = get(&c->documents_refused);
    for (uint32_t i = 0; i < QD_LATENCY_BUCKETS; i++) out->bucket[i] = get(&c->bucket[i]);
}

const char *qd_api_counts_get(const qd_actions *a, uint32_t i, qd_api_counts *out)
{
    *out = (qd_api_counts){0};
    const qd_api *api = api_at(a, i);
    if (!api || !a->counters || i >= a->counters->n) return api ? api->name : NULL;
    const api_counters *x = &a->counters->api[i];
    *out =
        (qd_api_counts){get(&x->requests), get(&x->failed_4xx), get(&x->failed_5xx), get(&x->ns)};
    return api->name;
}
