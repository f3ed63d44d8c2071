/*
 * metrics.c: GET /metrics in Prometheus' text format 0.0.4: searches, indexing, disk, shards,
 * recoveries, coordination, pools, memory, HTTP, APIs, and what plugins count.
 */
#include "action/cat/metrics.h"
#include "action/api/admin_int.h"
#include "action/api/counters.h"
#include "action/indices/stats_int.h"
#include "action/ingest/pipelines.h"
#include "base/str.h"
#include "replication/replication.h"
#include "rpc/rpc.h"
#include "runtime/proc.h"
#include <string.h>

static void head_of(qd_buf *b, const char *name, const char *type, const char *help)
{
    (void)qd_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void head(qd_buf *b, qd_metric m)
{
    const qd_metric_row *r = &qd_metrics[m];
    head_of(b, r->name, r->type, r->help);
}

static void one(qd_buf *b, qd_metric m, int64_t v)
{
    head(b, m);
    (void)qd_buf_printf(b, "%s %lld\n", qd_metrics[m].name, (long long)v);
}

static void seconds(qd_buf *b, qd_metric m, uint64_t ns)
{
    head(b, m);
    (void)qd_buf_printf(b, "%s %.9f\n", qd_metrics[m].name, (double)ns / 1e9);
}

static void queries(const qd_actions *a, qd_buf *b)
{
    qd_action_counts c;
    uint64_t sum = 0;
    qd_action_counts_get(a, &c);
    one(b, QD_M_QUERY_TOTAL, (int64_t)c.queries);
    one(b, QD_M_QUERY_FAILED_TOTAL, (int64_t)c.queries_failed);
    head(b, QD_M_QUERY_LATENCY_SECONDS);
    for (uint32_t i = 0; i < QD_LATENCY_BUCKETS; i++) {
        sum += c.bucket[i];
        if (i < QD_LATENCY_BUCKETS - 1) {
            (void)qd_buf_printf(b, "quidditch_query_latency_seconds_bucket{le=\"%g\"} %llu\n",
                                qd_latency_bounds[i], (unsigned long long)sum);
        }
    }
    (void)qd_buf_printf(b,
                        "quidditch_query_latency_seconds_bucket{le=\"+Inf\"} %llu\n"
                        "quidditch_query_latency_seconds_sum %.9f\n"
                        "quidditch_query_latency_seconds_count %llu\n",
                        (unsigned long long)sum, (double)c.query_ns / 1e9, (unsigned long long)sum);
    one(b, QD_M_INDEXING_DOCS_TOTAL, (int64_t)c.documents);
    one(b, QD_M_INDEXING_FAILED_TOTAL, (int64_t)c.documents_refused);
}

static void ingest(const qd_actions *a, qd_buf *b)
{
    uint64_t count, failed;
    qdi_pipelines_totals(a, &count, &failed);
    one(b, QD_M_INGEST_DOCS_TOTAL, (int64_t)count);
    one(b, QD_M_INGEST_FAILED_TOTAL, (int64_t)failed);
}

static void disk(const qd_actions *a, qd_buf *b)
{
    uint64_t total = 0, available = 0;
    if (qd_store_capacity(a->store, &total, &available, NULL)) total = available = 0;
    one(b, QD_M_DISK_USAGE_BYTES, (int64_t)(total > available ? total - available : 0));
    one(b, QD_M_DISK_CAPACITY_BYTES, (int64_t)total);
}

static void scrub(const qd_actions *a, qd_buf *b)
{
    qd_scrub_stats s;
    qd_shards_scrub_stats_get(a->shards, &s);
    one(b, QD_M_SCRUB_BYTES_TOTAL, (int64_t)s.bytes);
    one(b, QD_M_SCRUB_PASSES_TOTAL, (int64_t)s.passes);
    one(b, QD_M_FILES_DAMAGED_TOTAL, (int64_t)s.files_damaged);
}

static const struct {
    qdi_stat stat;
    qd_metric metric;
} shard_metrics[] = {
    {QDI_SHARDS, QD_M_SHARDS_OPEN},
    {QDI_DOCS, QD_M_DOCS},
    {QDI_DOCS_DELETED, QD_M_DOCS_DELETED},
    {QDI_STORE, QD_M_STORE_BYTES},
    {QDI_SEGMENTS_COUNT, QD_M_SEGMENTS},
    {QDI_WRITER_MEMORY, QD_M_INDEXING_BUFFER_BYTES},
    {QDI_VERSION_MAP_MEMORY, QD_M_VERSION_MAP_BYTES},
    {QDI_TRANSLOG_BYTES, QD_M_TRANSLOG_BYTES},
    {QDI_TRANSLOG_UNCOMMITTED_OPS, QD_M_TRANSLOG_UNCOMMITTED_OPERATIONS},
    {QDI_REFRESH_TOTAL, QD_M_REFRESH_TOTAL},
    {QDI_FLUSH_TOTAL, QD_M_FLUSH_TOTAL},
    {QDI_MERGES_TOTAL, QD_M_MERGE_TOTAL},
    {QDI_MERGES_CURRENT, QD_M_MERGE_CURRENT},
    {QDI_MERGES_SIZE, QD_M_MERGE_BYTES_TOTAL},
    {QDI_GET_TOTAL, QD_M_GET_TOTAL},
};

static void engine(qd_actions *a, qd_buf *b)
{
    qdi_stats s;
    qdi_stats_of_node(a, &s);
    for (size_t i = 0; i < QD_COUNT_OF(shard_metrics); i++) {
        one(b, shard_metrics[i].metric, s.v[shard_metrics[i].stat]);
    }
    seconds(b, QD_M_REFRESH_SECONDS_TOTAL, (uint64_t)s.v[QDI_REFRESH_TIME]);
    seconds(b, QD_M_MERGE_SECONDS_TOTAL, (uint64_t)s.v[QDI_MERGES_TIME]);
}

static void pools(const qd_actions *a, qd_buf *b)
{
    static const qd_metric m[] = {QD_M_THREAD_POOL_ACTIVE, QD_M_THREAD_POOL_QUEUE,
                                  QD_M_THREAD_POOL_REJECTED_TOTAL,
                                  QD_M_THREAD_POOL_COMPLETED_TOTAL};
    for (size_t k = 0; k < QD_COUNT_OF(m); k++) {
        head(b, m[k]);
        for (uint32_t i = 0; i < a->pools->n; i++) {
            qd_pool_stats s;
            qd_pool_stats_get(a->pools->at[i], &s);
            uint64_t v[] = {s.active, s.queue, s.rejected, s.completed};
            (void)qd_buf_printf(b, "%s{pool=\"%s\"} %llu\n", qd_metrics[m[k]].name, s.name,
                                (unsigned long long)v[k]);
        }
    }
}

static void memory(const qd_actions *a, qd_buf *b)
{
    const qd_account *accounts[] = {&qd_account_root, &qd_account_general, a->account, a->fielddata,
                                    a->vital};
    qd_proc_memory p;
    static const qd_metric m[] = {QD_M_MEMORY_BYTES, QD_M_MEMORY_PEAK_BYTES,
                                  QD_M_MEMORY_LIMIT_BYTES, QD_M_BREAKER_TRIPPED_TOTAL};
    for (size_t k = 0; k < QD_COUNT_OF(m); k++) {
        head(b, m[k]);
        for (size_t i = 0; i < QD_COUNT_OF(accounts); i++) {
            const qd_account *x = accounts[i];
            if (!x) continue;
            int64_t v[] = {atomic_load(&x->used), atomic_load(&x->peak), atomic_load(&x->limit),
                           atomic_load(&x->trips)};
            (void)qd_buf_printf(b, "%s{account=\"%s\"} %lld\n", qd_metrics[m[k]].name,
                                x->name ? x->name : "root", (long long)v[k]);
        }
    }
    qd_proc_memory_get(&p);
    one(b, QD_M_PROCESS_RESIDENT_MEMORY_BYTES, (int64_t)p.rss);
    one(b, QD_M_PROCESS_VIRTUAL_MEMORY_BYTES, (int64_t)p.virtual_size);
    one(b, QD_M_PROCESS_OPEN_FDS, (int64_t)qd_proc_open_files());
    one(b, QD_M_PROCESS_MAX_FDS, (int64_t)qd_proc_max_files());
    seconds(b, QD_M_PROCESS_CPU_SECONDS_TOTAL, qd_proc_cpu_ns());
    seconds(b, QD_M_UPTIME_SECONDS, qd_env_mono_ns(a->env) - a->start_ns);
    head(b, QD_M_PROCESS_START_TIME_SECONDS);
    (void)qd_buf_printf(b, "process_start_time_seconds %.3f\n", (double)a->start_wall_ms / 1000);
}

static void http(const qd_actions *a, qd_buf *b)
{
    qd_action_http_stats s;
    if (!a->http_stats) return;
    a->http_stats(a->http_stats_arg, &s);
    one(b, QD_M_HTTP_CONNECTIONS, (int64_t)s.open);
    one(b, QD_M_HTTP_CONNECTIONS_TOTAL, (int64_t)s.opened);
    one(b, QD_M_HTTP_REQUESTS_TOTAL, (int64_t)s.requests);
    one(b, QD_M_HTTP_RECEIVED_BYTES_TOTAL, (int64_t)s.bytes_in);
    one(b, QD_M_HTTP_SENT_BYTES_TOTAL, (int64_t)s.bytes_out);
}

static void transport(const qd_actions *a, qd_buf *b)
{
    qd_rpc_stats s;
    if (!a->rpc) return;
    qd_rpc_stats_get(a->rpc, &s);
    one(b, QD_M_TRANSPORT_PEERS, s.peers_up);
    one(b, QD_M_TRANSPORT_CONNECTIONS, (int64_t)s.open_in + s.open_out);
    one(b, QD_M_TRANSPORT_RECEIVED_MESSAGES_TOTAL, (int64_t)s.rx_count);
    one(b, QD_M_TRANSPORT_RECEIVED_BYTES_TOTAL, (int64_t)s.rx_bytes);
    one(b, QD_M_TRANSPORT_SENT_MESSAGES_TOTAL, (int64_t)s.tx_count);
    one(b, QD_M_TRANSPORT_SENT_BYTES_TOTAL, (int64_t)s.tx_bytes);
    one(b, QD_M_TRANSPORT_REJECTED_TOTAL, (int64_t)(s.calls_rejected + s.posts_dropped));
    one(b, QD_M_TRANSPORT_TIMED_OUT_TOTAL, (int64_t)s.calls_timed_out);
    one(b, QD_M_TRANSPORT_REFUSED_TOTAL, (int64_t)(s.refused_in + s.refused_out));
    one(b, QD_M_TRANSPORT_GARBAGE_TOTAL, (int64_t)s.garbage);
    one(b, QD_M_TRANSPORT_MEMORY_BYTES, (int64_t)s.memory);
}

static void apis(const qd_actions *a, qd_buf *b)
{
    static const qd_metric m[] = {QD_M_API_REQUESTS_TOTAL, QD_M_API_FAILED_TOTAL,
                                  QD_M_API_SERVER_ERRORS_TOTAL, QD_M_API_SECONDS_TOTAL};
    for (size_t k = 0; k < QD_COUNT_OF(m); k++) {
        head(b, m[k]);
        qd_api_counts c;
        const char *name;
        for (uint32_t i = 0; (name = qd_api_counts_get(a, i, &c)) != NULL; i++) {
            if (!c.requests) continue;
            uint64_t counts[] = {c.requests, c.failed_4xx + c.failed_5xx, c.failed_5xx};
            (void)qd_buf_printf(b, "%s{api=\"%s\"} ", qd_metrics[m[k]].name, name);
            if (k < QD_COUNT_OF(counts)) {
                (void)qd_buf_printf(b, "%llu\n", (unsigned long long)counts[k]);
            } else {
                (void)qd_buf_printf(b, "%.9f\n", (double)c.ns / 1e9);
            }
        }
    }
}

static void cluster(qd_actions *a, qd_request *q, qd_buf *b)
{
    qd_resolved all;
    qdi_health h;
    qd_state *s = qd_cluster_state(a->cluster);
    if (!qd_state_resolve(s, (qd_str){NULL, 0}, QD_INDICES_ALL | QD_EXPAND_HIDDEN, q->arena, &all,
                          NULL)) {
        qdi_health_of(s, &all, &h);
        one(b, QD_M_CLUSTER_STATUS, h.status);
        one(b, QD_M_CLUSTER_NODES, h.nodes);
        one(b, QD_M_CLUSTER_DATA_NODES, h.data_nodes);
        one(b, QD_M_CLUSTER_DISK_FULL_NODES, h.full_nodes);
        one(b, QD_M_CLUSTER_INDICES, all.n);
        one(b, QD_M_CLUSTER_SHARDS_ACTIVE, h.active);
        one(b, QD_M_CLUSTER_SHARDS_RELOCATING, h.relocating);
        one(b, QD_M_CLUSTER_SHARDS_INITIALIZING, h.initializing);
        one(b, QD_M_CLUSTER_SHARDS_UNASSIGNED, h.unassigned);
        one(b, QD_M_CLUSTER_PRIMARIES_UNASSIGNED, h.unassigned_primaries);
        one(b, QD_M_CLUSTER_REVISION, (int64_t)s->revision);
        one(b, QD_M_MASTER, s->master.n && qd_str_eq(s->master, a->node_id));
    }
    qd_state_unref(s);
    one(b, QD_M_TASKS, (int64_t)qd_tasks_count(a->tasks));
}

typedef struct index_stats {
    qd_str name;
    qdi_stats stats;
} index_stats;

static const struct {
    qdi_stat stat;
    qd_metric metric;
} index_metrics[] = {
    {QDI_SHARDS, QD_M_INDEX_SHARDS_OPEN},
    {QDI_DOCS, QD_M_INDEX_DOCS},
    {QDI_STORE, QD_M_INDEX_STORE_BYTES},
    {QDI_SEGMENTS_COUNT, QD_M_INDEX_SEGMENTS},
    {QDI_QUERY_TOTAL, QD_M_INDEX_QUERY_TOTAL},
    {QDI_QUERY_TIME, QD_M_INDEX_QUERY_SECONDS_TOTAL},
    {QDI_INDEX_TOTAL, QD_M_INDEX_INDEXING_TOTAL},
    {QDI_INDEX_TIME, QD_M_INDEX_INDEXING_SECONDS_TOTAL},
    {QDI_MERGES_TIME, QD_M_INDEX_MERGE_SECONDS_TOTAL},
};

static void index_sample(qd_buf *b, qd_metric m, const index_stats *f, int64_t v)
{
    /* a name of an index has no quote, backslash or line break (cluster/state/index_name.c) */
    (void)qd_buf_printf(b, "%s{index=\"%.*s\"} ", qd_metrics[m].name, QD_STR_ARG(f->name));
    if (qd_str_ends(qd_str_c(qd_metrics[m].name), QD_STR("_seconds_total"))) {
        (void)qd_buf_printf(b, "%.9f\n", (double)v / 1e9);
    } else {
        (void)qd_buf_printf(b, "%lld\n", (long long)v);
    }
}

static bool is_here(const qd_actions *a, const qd_index_meta *m)
{
    bool here = false;
    for (uint32_t i = 0; i < m->shards && !here; i++) {
        qd_shard *s = qd_shards_get(a->shards, m->uuid, i);
        here = s != NULL;
        qd_shard_unref(s);
    }
    return here;
}

/* Of each index with a shard here, so many at most: each is several time series for who stores
 * them. */
static void indices(qd_actions *a, qd_request *q, qd_buf *b)
{
    qd_resolved all;
    uint32_t n = 0, left = 0, open;
    int64_t most = qd_config_i64(a->config, QD_SET_METRICS_INDICES);
    qd_state *s = qd_cluster_state(a->cluster);
    index_stats *f = NULL;
    if (most > 0 && !qd_state_resolve(s, (qd_str){NULL, 0}, QD_INDICES_ALL | QD_EXPAND_HIDDEN,
                                      q->arena, &all, NULL))
        f = qd_arena_alloc(q->arena, sizeof *f * (size_t)(all.n < most ? all.n : most));
    for (uint32_t i = 0; f && i < all.n; i++) {
        qdi_stats x;
        if (n == most) {
            left += is_here(a, all.at[i]);
            continue;
        }
        qdi_stats_of_index(a, all.at[i], &x, &open);
        if (open) f[n++] = (index_stats){all.at[i]->name, x};
    }
    for (size_t k = 0; n && k < QD_COUNT_OF(index_metrics); k++) {
        head(b, index_metrics[k].metric);
        for (uint32_t i = 0; i < n; i++)
            index_sample(b, index_metrics[k].metric, &f[i], f[i].stats.v[index_metrics[k].stat]);
    }
    one(b, QD_M_INDICES_NOT_SHOWN, left);
    qd_state_unref(s);
}

static void recoveries(const qd_actions *a, qd_buf *b)
{
    qd_recovery_counts c;
    if (!a->replication) return;
    qd_replication_recovering(a->replication, NULL, 0, &c);
    one(b, QD_M_RECOVERIES_AS_SOURCE, c.as_source);
    one(b, QD_M_RECOVERIES_AS_TARGET, c.as_target);
    seconds(b, QD_M_RECOVERY_THROTTLED_SECONDS_TOTAL, c.throttle_ns);
}

/* Where the cluster's state is, and how far it has moved. */
static void coordination(const qd_actions *a, qd_buf *b)
{
    qd_action_coordination c = {.mode = "unknown", .kind = "unknown"};
    if (!a->coordination) return;
    a->coordination(a->coordination_arg, false, 0, &c);
    bool mirror = c.other_mode && c.other.state == QD_COORD_MIRROR;
    uint64_t from = c.identity.revision, to = c.other.revision;
    head(b, QD_M_COORDINATION_INFO);
    (void)qd_buf_printf(b, "%s{mode=\"%s\",store=\"%s\"} 1\n",
                        qd_metrics[QD_M_COORDINATION_INFO].name, c.mode, c.kind);
    one(b, QD_M_COORDINATION_REACHABLE, c.open && c.identity.connected && !c.identity.failed);
    one(b, QD_M_COORDINATION_EPOCH, c.open ? (int64_t)c.identity.epoch : 0);
    one(b, QD_M_MIGRATION_WANTED, c.kept);
    one(b, QD_M_MIGRATION_RUNNING, mirror || (c.open && c.identity.state == QD_COORD_SEALED));
    one(b, QD_M_MIGRATION_LAG_REVISIONS, mirror && from > to ? (int64_t)(from - to) : 0);
}

/* --- of plugins: names must be unique over all of them, so the plugin is part of the name --- */

static void metric_name(qd_buf *b, const qd_plugin_metric_view *m)
{
    (void)qd_buf_printf(b, "quidditch_plugin_%s_%s", m->plugin, m->name);
}

static void plugin_metric(void *arg, const qd_plugin_metric_view *m)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    qd_buf *out = arg, name;
    uint64_t sum = 0;
    qd_buf_init(&name, NULL, 1024);
    metric_name(&name, m);
    for (size_t i = 0; i < name.n; i++) {
        char *c = &name.p[i];
        bool fine = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                    (*c >= '0' && *c <= '9') || *c == '_';
        if (!fine) *c = '_';
    }
    if (name.p) {
        head_of(out, name.p, types[m->type], m->help ? m->help : "");
        if (m->type != QD_METRIC_HISTOGRAM) {
            (void)qd_buf_printf(out, "%s %lld\n", name.p, (long long)m->value);
        } else {
            for (uint32_t i = 0; i < m->nbounds; i++) {
                sum += m->counts[i];
                (void)qd_buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", name.p, m->bounds[i],
                                    (unsigned long long)sum);
            }
            (void)qd_buf_printf(out, "%s_bucket{le=\"+Inf\"} %lld\n%s_sum %.9f\n%s_count %lld\n",
                                name.p, (long long)m->value, name.p, m->sum, name.p,
                                (long long)m->value);
        }
    }
    qd_buf_fini(&name);
}

static void plugin_memory(void *arg, const qd_plugin_usage *u)
{
    (void)qd_buf_printf(arg, "quidditch_plugin_memory_bytes{plugin=\"%s\"} %lld\n", u->plugin,
                        (long long)u->memory);
}

static void plugin_limit(void *arg, const qd_plugin_usage *u)
{
    (void)qd_buf_printf(arg, "quidditch_plugin_memory_limit_bytes{plugin=\"%s\"} %lld\n", u->plugin,
                        (long long)u->memory_limit);
}

static void plugin_refused(void *arg, const qd_plugin_usage *u)
{
    (void)qd_buf_printf(arg, "quidditch_plugin_memory_refused_total{plugin=\"%s\"} %llu\n",
                        u->plugin, (unsigned long long)u->memory_refused);
}

static void plugin_calls(void *arg, const qd_plugin_usage *u)
{
    (void)qd_buf_printf(arg, "quidditch_plugin_calls_not_returned{plugin=\"%s\"} %u\n", u->plugin,
                        u->calls_left);
}

static void plugins(const qd_actions *a, qd_buf *b)
{
    head(b, QD_M_PLUGIN_MEMORY_BYTES);
    qd_plugin_usage_each(a->plugins, plugin_memory, b);
    head(b, QD_M_PLUGIN_MEMORY_LIMIT_BYTES);
    qd_plugin_usage_each(a->plugins, plugin_limit, b);
    head(b, QD_M_PLUGIN_MEMORY_REFUSED_TOTAL);
    qd_plugin_usage_each(a->plugins, plugin_refused, b);
    head(b, QD_M_PLUGIN_CALLS_NOT_RETURNED);
    qd_plugin_usage_each(a->plugins, plugin_calls, b);
    qd_plugin_metrics_each(a->plugins, plugin_metric, b);
}

/* Which program this is; the value says nothing. */
static void build(qd_buf *b)
{
    head(b, QD_M_BUILD_INFO);
    (void)qd_buf_printf(b, "quidditch_build_info{version=\"%s\",build=\"%s\"} 1\n", QD_VERSION,
                        qd_plugin_build_id());
}

int qdi_api_metrics(qd_request *q, qd_response *r, qd_err *err)
{
    qd_actions *a = q->a;
    (void)err;
    r->format = QD_FORMAT_TEXT;
    queries(a, r->out);
    if (atomic_load(&a->serving)) {
        ingest(a, r->out);
        disk(a, r->out);
        scrub(a, r->out);
        engine(a, r->out);
        cluster(a, q, r->out);
        indices(a, q, r->out);
        recoveries(a, r->out);
    }
    coordination(a, r->out);
    pools(a, r->out);
    memory(a, r->out);
    http(a, r->out);
    transport(a, r->out);
    apis(a, r->out);
    if (a->plugins) plugins(a, r->out);
    build(r->out);
    return 0;
}
