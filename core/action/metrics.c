/*
 * metrics.c: GET /metrics in Prometheus' text format 0.0.4: searches, indexing, disk, shards,
 * pools, memory, HTTP, APIs, and what plugins count.
 */
#include "action/counters.h"
#include "action/stats_int.h"
#include "base/str.h"
#include "rpc/rpc.h"
#include "runtime/proc.h"
#include <string.h>

static void head(qd_buf *b, const char *name, const char *type, const char *help)
{
    (void)qd_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(qd_buf *b, const char *name, const char *type, const char *help, int64_t v)
{
    head(b, name, type, help);
    (void)qd_buf_printf(b, "%s %lld\n", name, (long long)v);
}

static void seconds(qd_buf *b, const char *name, const char *type, const char *help, uint64_t ns)
{
    head(b, name, type, help);
    (void)qd_buf_printf(b, "%s %.9f\n", name, (double)ns / 1e9);
}

static void queries(const qd_actions *a, qd_buf *b)
{
    qd_action_counts c;
    uint64_t sum = 0;
    qd_action_counts_get(a, &c);
    one(b, "quidditch_query_total", "counter", "Searches answered.", (int64_t)c.queries);
    one(b, "quidditch_query_failed_total", "counter", "Searches answered with an error.",
        (int64_t)c.queries_failed);
    head(b, "quidditch_query_latency_seconds", "histogram",
         "Time of a search from its arrival to its answer.");
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
    one(b, "quidditch_indexing_docs_total", "counter",
        "Documents indexed, updated or deleted and acknowledged.", (int64_t)c.documents);
    one(b, "quidditch_indexing_failed_total", "counter", "Operations on documents refused.",
        (int64_t)c.documents_refused);
}

static void disk(const qd_actions *a, qd_buf *b)
{
    uint64_t total = 0, available = 0;
    if (qd_store_capacity(a->store, &total, &available, NULL)) total = available = 0;
    one(b, "quidditch_disk_usage_bytes", "gauge", "Bytes in use on the disk of this node's tier.",
        (int64_t)(total > available ? total - available : 0));
    one(b, "quidditch_disk_capacity_bytes", "gauge", "Size of the disk of this node's tier.",
        (int64_t)total);
}

static void scrub(const qd_actions *a, qd_buf *b)
{
    qd_scrub_stats s;
    qd_shards_scrub_stats_get(a->shards, &s);
    one(b, "quidditch_scrub_bytes_total", "counter",
        "Bytes of segments read from the disk and verified in the background.", (int64_t)s.bytes);
    one(b, "quidditch_scrub_passes_total", "counter", "Times that all open shards were verified.",
        (int64_t)s.passes);
    one(b, "quidditch_files_damaged_total", "counter",
        "Files of open shards found to be damaged, by a reader or in the background.",
        (int64_t)s.files_damaged);
}

static const struct {
    qdi_stat stat;
    const char *name, *type, *help;
} shard_metrics[] = {
    {QDI_SHARDS, "quidditch_shards_open", "gauge", "Open shards."},
    {QDI_DOCS, "quidditch_docs", "gauge", "Live documents in open shards."},
    {QDI_DOCS_DELETED, "quidditch_docs_deleted", "gauge", "Deleted documents not yet merged away."},
    {QDI_STORE, "quidditch_store_bytes", "gauge", "Bytes of segments and translogs."},
    {QDI_SEGMENTS_COUNT, "quidditch_segments", "gauge", "Segments of open shards."},
    {QDI_WRITER_MEMORY, "quidditch_indexing_buffer_bytes", "gauge", "Bytes in indexing buffers."},
    {QDI_VERSION_MAP_MEMORY, "quidditch_version_map_bytes", "gauge", "Bytes of version maps."},
    {QDI_TRANSLOG_BYTES, "quidditch_translog_bytes", "gauge", "Bytes of translogs."},
    {QDI_TRANSLOG_UNCOMMITTED_OPS, "quidditch_translog_uncommitted_operations", "gauge",
     "Operations that a restart would replay."},
    {QDI_REFRESH_TOTAL, "quidditch_refresh_total", "counter", "Refreshes."},
    {QDI_FLUSH_TOTAL, "quidditch_flush_total", "counter", "Commits."},
    {QDI_MERGES_TOTAL, "quidditch_merge_total", "counter", "Merges completed."},
    {QDI_MERGES_CURRENT, "quidditch_merge_current", "gauge", "Merges running."},
    {QDI_MERGES_SIZE, "quidditch_merge_bytes_total", "counter", "Bytes written by merges."},
    {QDI_GET_TOTAL, "quidditch_get_total", "counter", "Gets by id."},
};

static void engine(qd_actions *a, qd_buf *b)
{
    qdi_stats s;
    qdi_stats_of_node(a, &s);
    for (size_t i = 0; i < QD_COUNT_OF(shard_metrics); i++) {
        one(b, shard_metrics[i].name, shard_metrics[i].type, shard_metrics[i].help,
            s.v[shard_metrics[i].stat]);
    }
    seconds(b, "quidditch_refresh_seconds_total", "counter", "Time in refreshes.",
            (uint64_t)s.v[QDI_REFRESH_TIME]);
    seconds(b, "quidditch_merge_seconds_total", "counter", "Time in merges.",
            (uint64_t)s.v[QDI_MERGES_TIME]);
}

static void pools(const qd_actions *a, qd_buf *b)
{
    static const struct {
        const char *name, *type, *help;
    } m[] = {
        {"quidditch_thread_pool_active", "gauge", "Threads at work."},
        {"quidditch_thread_pool_queue", "gauge", "Work waiting."},
        {"quidditch_thread_pool_rejected_total", "counter", "Work refused: the queue was full."},
        {"quidditch_thread_pool_completed_total", "counter", "Work done."}};
    for (size_t k = 0; k < QD_COUNT_OF(m); k++) {
        head(b, m[k].name, m[k].type, m[k].help);
        for (uint32_t i = 0; i < a->pools->n; i++) {
            qd_pool_stats s;
            qd_pool_stats_get(a->pools->at[i], &s);
            uint64_t v[] = {s.active, s.queue, s.rejected, s.completed};
            (void)qd_buf_printf(b, "%s{pool=\"%s\"} %llu\n", m[k].name, s.name,
                                (unsigned long long)v[k]);
        }
    }
}

static void memory(const qd_actions *a, qd_buf *b)
{
    const qd_account *accounts[] = {&qd_account_root, &qd_account_general, a->account, a->vital};
    qd_proc_memory p;
    static const struct {
        const char *name, *type, *help;
    } m[] = {{"quidditch_memory_bytes", "gauge", "Bytes in use of an account."},
             {"quidditch_memory_peak_bytes", "gauge", "Most bytes in use of an account."},
             {"quidditch_memory_limit_bytes", "gauge", "Limit of an account; 0: none."},
             {"quidditch_breaker_tripped_total", "counter", "Refusals because of a limit."}};
    for (size_t k = 0; k < QD_COUNT_OF(m); k++) {
        head(b, m[k].name, m[k].type, m[k].help);
        for (size_t i = 0; i < QD_COUNT_OF(accounts); i++) {
            const qd_account *x = accounts[i];
            if (!x) continue;
            int64_t v[] = {atomic_load(&x->used), atomic_load(&x->peak), atomic_load(&x->limit),
                           atomic_load(&x->trips)};
            (void)qd_buf_printf(b, "%s{account=\"%s\"} %lld\n", m[k].name,
                                x->name ? x->name : "root", (long long)v[k]);
        }
    }
    qd_proc_memory_get(&p);
    one(b, "process_resident_memory_bytes", "gauge", "Resident memory.", (int64_t)p.rss);
    one(b, "process_virtual_memory_bytes", "gauge", "Virtual memory.", (int64_t)p.virtual_size);
    one(b, "process_open_fds", "gauge", "Open files.", (int64_t)qd_proc_open_files());
    one(b, "process_max_fds", "gauge", "Most open files.", (int64_t)qd_proc_max_files());
    seconds(b, "process_cpu_seconds_total", "counter", "CPU time of the process.",
            qd_proc_cpu_ns());
    seconds(b, "quidditch_uptime_seconds", "gauge", "Time since the start.",
            qd_env_mono_ns(a->env) - a->start_ns);
    head(b, "process_start_time_seconds", "gauge", "Start of the process since 1970.");
    (void)qd_buf_printf(b, "process_start_time_seconds %.3f\n", (double)a->start_wall_ms / 1000);
}

static void http(const qd_actions *a, qd_buf *b)
{
    qd_action_http_stats s;
    if (!a->http_stats) return;
    a->http_stats(a->http_stats_arg, &s);
    one(b, "quidditch_http_connections", "gauge", "Open connections.", (int64_t)s.open);
    one(b, "quidditch_http_connections_total", "counter", "Connections accepted.",
        (int64_t)s.opened);
    one(b, "quidditch_http_requests_total", "counter", "Requests received.", (int64_t)s.requests);
    one(b, "quidditch_http_received_bytes_total", "counter", "Bytes received.",
        (int64_t)s.bytes_in);
    one(b, "quidditch_http_sent_bytes_total", "counter", "Bytes sent.", (int64_t)s.bytes_out);
}

static void transport(const qd_actions *a, qd_buf *b)
{
    qd_rpc_stats s;
    if (!a->rpc) return;
    qd_rpc_stats_get(a->rpc, &s);
    one(b, "quidditch_transport_peers", "gauge", "Nodes connected.", s.peers_up);
    one(b, "quidditch_transport_connections", "gauge", "Open connections between nodes.",
        (int64_t)s.open_in + s.open_out);
    one(b, "quidditch_transport_received_messages_total", "counter", "Messages of other nodes.",
        (int64_t)s.rx_count);
    one(b, "quidditch_transport_received_bytes_total", "counter", "Bytes of other nodes.",
        (int64_t)s.rx_bytes);
    one(b, "quidditch_transport_sent_messages_total", "counter", "Messages to other nodes.",
        (int64_t)s.tx_count);
    one(b, "quidditch_transport_sent_bytes_total", "counter", "Bytes to other nodes.",
        (int64_t)s.tx_bytes);
    one(b, "quidditch_transport_rejected_total", "counter",
        "Calls and posts refused or dropped before they were sent.",
        (int64_t)(s.calls_rejected + s.posts_dropped));
    one(b, "quidditch_transport_timed_out_total", "counter", "Calls that got no answer in time.",
        (int64_t)s.calls_timed_out);
    one(b, "quidditch_transport_refused_total", "counter",
        "Handshakes refused, by this node or by others.", (int64_t)(s.refused_in + s.refused_out));
    one(b, "quidditch_transport_garbage_total", "counter",
        "Connections closed because of what they sent.", (int64_t)s.garbage);
    one(b, "quidditch_transport_memory_bytes", "gauge", "Messages in memory.", (int64_t)s.memory);
}

static void apis(const qd_actions *a, qd_buf *b)
{
    static const struct {
        const char *name, *help;
    } m[] = {{"quidditch_api_requests_total", "Requests of an API."},
             {"quidditch_api_failed_total", "Requests of an API answered with 4xx or 5xx."},
             {"quidditch_api_seconds_total", "Time of an API's requests."}};
    for (size_t k = 0; k < QD_COUNT_OF(m); k++) {
        head(b, m[k].name, "counter", m[k].help);
        for (uint32_t i = 0; i < qd_apis_n; i++) {
            qd_api_counts c;
            qd_api_counts_get(a, i, &c);
            if (!c.requests) continue;
            (void)qd_buf_printf(b, "%s{api=\"%s\"} ", m[k].name, qd_apis[i].name);
            if (k == 2) {
                (void)qd_buf_printf(b, "%.9f\n", (double)c.ns / 1e9);
            } else {
                (void)qd_buf_printf(
                    b, "%llu\n",
                    (unsigned long long)(k ? c.failed_4xx + c.failed_5xx : c.requests));
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
        one(b, "quidditch_cluster_status", "gauge", "0 green, 1 yellow, 2 red.", h.status);
        one(b, "quidditch_cluster_nodes", "gauge", "Nodes.", h.nodes);
        one(b, "quidditch_cluster_indices", "gauge", "Indices.", all.n);
        one(b, "quidditch_cluster_shards_active", "gauge", "Active shards.", h.active);
        one(b, "quidditch_cluster_shards_unassigned", "gauge", "Unassigned shards.", h.unassigned);
        one(b, "quidditch_cluster_revision", "gauge", "Revision of the cluster state applied here.",
            (int64_t)s->revision);
    }
    qd_state_unref(s);
    one(b, "quidditch_tasks", "gauge", "Requests and background jobs registered.",
        (int64_t)qd_tasks_count(a->tasks));
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
        head(out, name.p, types[m->type], m->help ? m->help : "");
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

static void plugin_calls(void *arg, const qd_plugin_usage *u)
{
    (void)qd_buf_printf(arg, "quidditch_plugin_calls_not_returned{plugin=\"%s\"} %u\n", u->plugin,
                        u->calls_left);
}

static void plugins(const qd_actions *a, qd_buf *b)
{
    head(b, "quidditch_plugin_memory_bytes", "gauge", "What a plugin keeps by its mem service.");
    qd_plugin_usage_each(a->plugins, plugin_memory, b);
    head(b, "quidditch_plugin_calls_not_returned", "gauge",
         "Calls of a plugin's operators that searches have left.");
    qd_plugin_usage_each(a->plugins, plugin_calls, b);
    qd_plugin_metrics_each(a->plugins, plugin_metric, b);
}

/* Which program this is; the value says nothing. */
static void build(qd_buf *b)
{
    head(b, "quidditch_build_info", "gauge", "Version and build of this node.");
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
        disk(a, r->out);
        scrub(a, r->out);
        engine(a, r->out);
        cluster(a, q, r->out);
    }
    pools(a, r->out);
    memory(a, r->out);
    http(a, r->out);
    transport(a, r->out);
    apis(a, r->out);
    if (a->plugins) plugins(a, r->out);
    build(r->out);
    return 0;
}
