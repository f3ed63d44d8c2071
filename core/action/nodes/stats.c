/*
 * stats.c: GET /_nodes/stats: statistics of this node. Where Elasticsearch shows a Java heap the
 * node's memory account stands: what is counted against the memory that the node plans with.
 */
#include "action/api/node_part.h"
#include "action/ingest/pipelines.h"
#include "action/nodes/nodes_int.h"
#include "base/str.h"
#include "rpc/rpc.h"
#include "runtime/proc.h"
#include <stdio.h>
#include <string.h>

enum {
    ST_INDICES = 1,
    ST_OS = 2,
    ST_PROCESS = 4,
    ST_JVM = 8,
    ST_THREAD_POOL = 16,
    ST_FS = 32,
    ST_TRANSPORT = 64,
    ST_HTTP = 128,
    ST_BREAKER = 256,
    ST_SCRIPT = 512,
    ST_DISCOVERY = 1024,
    ST_INGEST = 2048,
    ST_ADAPTIVE = 4096,
    ST_SCRIPT_CACHE = 8192,
    ST_PRESSURE = 16384,
    ST_PLUGINS = 32768,
    ST_ALL = 65535,
};

static const struct {
    const char *name;
    uint32_t bit;
} metrics[] = {
    {"indices", ST_INDICES},
    {"os", ST_OS},
    {"process", ST_PROCESS},
    {"jvm", ST_JVM},
    {"thread_pool", ST_THREAD_POOL},
    {"fs", ST_FS},
    {"transport", ST_TRANSPORT},
    {"http", ST_HTTP},
    {"breaker", ST_BREAKER},
    {"script", ST_SCRIPT},
    {"discovery", ST_DISCOVERY},
    {"ingest", ST_INGEST},
    {"adaptive_selection", ST_ADAPTIVE},
    {"script_cache", ST_SCRIPT_CACHE},
    {"indexing_pressure", ST_PRESSURE},
    {"plugins", ST_PLUGINS},
    {"repositories", 0},
    {"allocations", 0},
    {"_all", ST_ALL},
    {"_none", 0},
};

static int parse_metrics(qd_str list, uint32_t *out, qd_err *err)
{
    const char *known[QD_COUNT_OF(metrics)];
    *out = list.n ? 0 : ST_ALL;
    for (size_t i = 0; i < QD_COUNT_OF(metrics); i++) known[i] = metrics[i].name;
    for (qd_str rest = list; rest.n;) {
        qd_str one = qd_str_trim(qd_str_split(&rest, ','));
        bool found = false;
        for (size_t i = 0; i < QD_COUNT_OF(metrics); i++) {
            if (!qd_str_is(one, metrics[i].name)) continue;
            *out |= metrics[i].bit;
            found = true;
        }
        if (!found) {
            return qdi_metric_unknown("/_nodes/stats", list, one, known, QD_COUNT_OF(known), err);
        }
        if (!rest.p) break;
    }
    return 0;
}

typedef struct stats_request {
    qd_request *q;
    qdi_identity id;
    uint32_t wanted, sections;
    int level; /* 0 node, 1 indices, 2 shards */
    qdi_machine m;
    int64_t now_ms;
} stats_request;

static void open_part(qd_json_writer *w, const char *name)
{
    qd_json_key_c(w, name);
    qd_json_object(w);
}

static int64_t percent(uint64_t part, uint64_t all)
{
    return all ? (int64_t)((part * 100 + all / 2) / all) : 0;
}

/* --- indices --- */

static void write_shard_list(const stats_request *x, const qd_index_meta *m, qd_json_writer *w)
{
    qd_json_key(w, m->name);
    qd_json_array(w);
    for (uint32_t k = 0; k < m->shards; k++) {
        qdi_stats one;
        char number[16];
        qd_shard *s = qd_shards_get(x->q->a->shards, m->uuid, k);
        snprintf(number, sizeof number, "%u", k);
        if (s && qdi_stats_of_shard(x->q->a, s, &one)) {
            qd_json_object(w);
            open_part(w, number);
            qdi_sections_write(x->q, &x->id, &one, x->sections, w);
            qd_json_object_end(w);
            qd_json_object_end(w);
        }
        qd_shard_unref(s);
    }
    qd_json_array_end(w);
}

static void write_indices(const stats_request *x, qd_json_writer *w)
{
    qdi_stats sum;
    qd_state *s = qd_cluster_state(x->q->a->cluster);
    qdi_stats_of_node(x->q->a, &sum);
    open_part(w, "indices");
    qdi_sections_write(x->q, &x->id, &sum, x->sections, w);
    if (x->level) open_part(w, x->level == 1 ? "indices" : "shards");
    for (uint32_t i = 0; x->level && i < s->n; i++) {
        const qd_index_meta *m = s->indices[i];
        uint32_t open;
        if (x->level == 2) {
            write_shard_list(x, m, w);
            continue;
        }
        qdi_stats_of_index(x->q->a, m, &sum, &open);
        if (!open) continue;
        qd_json_key(w, m->name);
        qd_json_object(w);
        qdi_sections_write(x->q, &x->id, &sum, x->sections, w);
        qd_json_object_end(w);
    }
    if (x->level) qd_json_object_end(w);
    qd_json_object_end(w);
    qd_state_unref(s);
}

/* --- machine and process --- */

void qdi_machine_write_memory(const qd_request *q, const qdi_machine *m, qd_json_writer *w)
{
    uint64_t used =
        m->memory_total > m->memory_available ? m->memory_total - m->memory_available : 0;
    open_part(w, "mem");
    qdi_write_bytes(w, q->human, "total", "total_in_bytes", (int64_t)m->memory_total);
    qdi_write_bytes(w, q->human, "free", "free_in_bytes", (int64_t)m->memory_available);
    qdi_write_bytes(w, q->human, "used", "used_in_bytes", (int64_t)used);
    qd_json_field_int(w, "free_percent", percent(m->memory_available, m->memory_total));
    qd_json_field_int(w, "used_percent", percent(used, m->memory_total));
    qd_json_object_end(w);
}

static void write_os(const stats_request *x, qd_json_writer *w)
{
    static const char *const names[] = {"1m", "5m", "15m"};
    open_part(w, "os");
    qd_json_field_int(w, "timestamp", x->now_ms);
    open_part(w, "cpu");
    qd_json_field_int(w, "percent", x->m.cpu_percent < 0 ? 0 : x->m.cpu_percent);
    if (x->m.load_known) {
        open_part(w, "load_average");
        for (int i = 0; i < 3; i++) qd_json_field_double(w, names[i], x->m.load[i]);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    qdi_machine_write_memory(x->q, &x->m, w);
    open_part(w, "swap");
    qd_json_field_int(w, "total_in_bytes", 0);
    qd_json_field_int(w, "free_in_bytes", 0);
    qd_json_field_int(w, "used_in_bytes", 0);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static void write_process(const stats_request *x, qd_json_writer *w)
{
    bool human = x->q->human;
    open_part(w, "process");
    qd_json_field_int(w, "timestamp", x->now_ms);
    qd_json_field_int(w, "open_file_descriptors", (int64_t)x->m.files);
    qd_json_field_int(w, "max_file_descriptors", (int64_t)x->m.files_max);
    open_part(w, "cpu");
    qd_json_field_int(w, "percent", x->m.cpu_percent < 0 ? 0 : x->m.cpu_percent);
    qdi_write_ms(w, human, "total", "total_in_millis", x->m.cpu_ns);
    qd_json_object_end(w);
    open_part(w, "mem");
    qdi_write_bytes(w, human, "total_virtual", "total_virtual_in_bytes",
                    (int64_t)x->m.virtual_size);
    qdi_write_bytes(w, human, "resident", "resident_in_bytes", (int64_t)x->m.rss);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

/* The memory account in the place of a heap: dashboards read heap_used_percent. */
static void write_jvm(const stats_request *x, qd_json_writer *w)
{
    bool human = x->q->human;
    uint32_t threads = 0;
    open_part(w, "jvm");
    qd_json_field_int(w, "timestamp", x->now_ms);
    qdi_write_ms(w, human, "uptime", "uptime_in_millis", x->m.uptime_ns);
    open_part(w, "mem");
    qdi_write_bytes(w, human, "heap_used", "heap_used_in_bytes", x->m.used);
    qd_json_field_int(w, "heap_used_percent",
                      percent((uint64_t)x->m.used, (uint64_t)x->m.node_memory));
    qdi_write_bytes(w, human, "heap_committed", "heap_committed_in_bytes", (int64_t)x->m.rss);
    qdi_write_bytes(w, human, "heap_max", "heap_max_in_bytes", x->m.node_memory);
    qdi_write_bytes(w, human, "non_heap_used", "non_heap_used_in_bytes", 0);
    qdi_write_bytes(w, human, "non_heap_committed", "non_heap_committed_in_bytes", 0);
    open_part(w, "pools");
    qd_json_object_end(w);
    qd_json_object_end(w);
    for (uint32_t i = 0; i < x->q->a->pools->n; i++) {
        qd_pool_stats s;
        qd_pool_stats_get(x->q->a->pools->at[i], &s);
        threads += s.threads;
    }
    open_part(w, "threads");
    qd_json_field_int(w, "count", threads);
    qd_json_field_int(w, "peak_count", threads);
    qd_json_object_end(w);
    open_part(w, "gc");
    open_part(w, "collectors"); /* nothing collects garbage, which clients are told as zeros */
    for (int old = 0; old < 2; old++) {
        open_part(w, old ? "old" : "young");
        qd_json_field_int(w, "collection_count", 0);
        qdi_write_ms(w, human, "collection_time", "collection_time_in_millis", 0);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    qd_json_object_end(w);
    open_part(w, "buffer_pools");
    for (int mapped = 0; mapped < 2; mapped++) {
        open_part(w, mapped ? "mapped" : "direct");
        qd_json_field_int(w, "count", 0);
        qdi_write_bytes(w, human, "used", "used_in_bytes", 0);
        qdi_write_bytes(w, human, "total_capacity", "total_capacity_in_bytes", 0);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    open_part(w, "classes");
    qd_json_field_int(w, "current_loaded_count", 0);
    qd_json_field_int(w, "total_loaded_count", 0);
    qd_json_field_int(w, "total_unloaded_count", 0);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static void write_pools(const stats_request *x, qd_json_writer *w)
{
    open_part(w, "thread_pool");
    for (uint32_t i = 0; i < x->q->a->pools->n; i++) {
        qd_pool_stats s;
        qd_pool_stats_get(x->q->a->pools->at[i], &s);
        open_part(w, s.name);
        qd_json_field_int(w, "threads", s.threads);
        qd_json_field_int(w, "queue", s.queue);
        qd_json_field_int(w, "active", s.active);
        qd_json_field_int(w, "rejected", (int64_t)s.rejected);
        qd_json_field_int(w, "largest", s.largest);
        qd_json_field_int(w, "completed", (int64_t)s.completed);
        if (x->id.opensearch) {
            qd_json_field_int(w, "total_wait_time_in_nanos", (int64_t)s.wait_ns);
        }
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
}

static void write_disk(const stats_request *x, qd_json_writer *w)
{
    bool human = x->q->human;
    qdi_write_bytes(w, human, "total", "total_in_bytes", (int64_t)x->m.disk_total);
    qdi_write_bytes(w, human, "free", "free_in_bytes", (int64_t)x->m.disk_available);
    qdi_write_bytes(w, human, "available", "available_in_bytes", (int64_t)x->m.disk_available);
}

static void write_scrub(const stats_request *x, qd_json_writer *w)
{
    qd_scrub_stats s;
    qd_shards_scrub_stats_get(x->q->a->shards, &s);
    open_part(w, "scrub");
    qdi_write_bytes(w, x->q->human, "verified", "verified_in_bytes", (int64_t)s.bytes);
    qdi_write_bytes(w, x->q->human, "total", "total_in_bytes", (int64_t)s.total_bytes);
    qd_json_field_int(w, "passes", (int64_t)s.passes);
    qd_json_field_int(w, "last_pass_timestamp", (int64_t)s.last_pass_wall_ms);
    qd_json_field_int(w, "files_damaged", (int64_t)s.files_damaged);
    qd_json_object_end(w);
}

static void write_history(void *arg, qd_str folder, qd_str what)
{
    qd_json_writer *w = arg;
    qd_json_object(w);
    qd_json_field_str(w, "folder", folder);
    qd_json_field_str(w, "reason", what);
    qd_json_object_end(w);
}

typedef struct tier_row {
    const stats_request *x;
    qd_json_writer *w;
} tier_row;

static void write_tier(void *arg, const qd_tier_space *t)
{
    const tier_row *r = arg;
    bool human = r->x->q->human;
    qd_json_object(r->w);
    qd_json_field_str(r->w, "path", qd_str_c(t->path));
    qd_json_field_str(r->w, "mount", qd_str_c(t->path)); /* opensearch-java wants both */
    qd_json_field_c(r->w, "type", "directory");
    qd_json_field_str(r->w, "tier", qd_str_c(t->name));
    qdi_write_bytes(r->w, human, "total", "total_in_bytes", (int64_t)t->total);
    qdi_write_bytes(r->w, human, "free", "free_in_bytes", (int64_t)t->available);
    qdi_write_bytes(r->w, human, "available", "available_in_bytes", (int64_t)t->available);
    qd_json_object_end(r->w);
}

static void write_fs(const stats_request *x, qd_json_writer *w)
{
    open_part(w, "fs");
    qd_json_field_int(w, "timestamp", x->now_ms);
    open_part(w, "total");
    write_disk(x, w);
    qd_json_object_end(w);
    qd_json_key_c(w, "data");
    qd_json_array(w);
    qd_shards_tiers(x->q->a->shards, write_tier, &(tier_row){x, w});
    qd_json_array_end(w);
    write_scrub(x, w);
    qd_json_key_c(w, "suspect_histories");
    qd_json_array(w);
    qd_shards_histories(x->q->a->shards, write_history, w);
    qd_json_array_end(w);
    qd_json_object_end(w);
}

/* --- network --- */

static void write_transport(const stats_request *x, qd_json_writer *w)
{
    qd_rpc_stats s = {0};
    bool human = x->q->human;
    if (x->q->a->rpc) qd_rpc_stats_get(x->q->a->rpc, &s);
    open_part(w, "transport");
    qd_json_field_int(w, "server_open", s.open_in);
    qd_json_field_int(w, "total_outbound_connections", (int64_t)s.opened_out);
    qd_json_field_int(w, "rx_count", (int64_t)s.rx_count);
    qdi_write_bytes(w, human, "rx_size", "rx_size_in_bytes", (int64_t)s.rx_bytes);
    qd_json_field_int(w, "tx_count", (int64_t)s.tx_count);
    qdi_write_bytes(w, human, "tx_size", "tx_size_in_bytes", (int64_t)s.tx_bytes);
    qd_json_object_end(w);
}

static void write_http(const stats_request *x, qd_json_writer *w)
{
    qd_action_http_stats s = {0};
    if (x->q->a->http_stats) x->q->a->http_stats(x->q->a->http_stats_arg, &s);
    open_part(w, "http");
    qd_json_field_int(w, "current_open", (int64_t)s.open);
    qd_json_field_int(w, "total_opened", (int64_t)s.opened);
    qd_json_field_int(w, "total_requests", (int64_t)s.requests);
    qdi_write_bytes(w, x->q->human, "received", "received_in_bytes", (int64_t)s.bytes_in);
    qdi_write_bytes(w, x->q->human, "sent", "sent_in_bytes", (int64_t)s.bytes_out);
    if (x->id.product == QDI_ES8 || x->id.product == QDI_ES9) {
        open_part(w, "routes"); /* what was asked by route is in _nodes/usage and /metrics */
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
}

/* --- breakers, pressure --- */

static void write_breaker(const char *name, const qd_account *a, int64_t limit, double overhead,
                          qd_json_writer *w)
{
    open_part(w, name);
    qdi_write_bytes(w, true, "limit_size", "limit_size_in_bytes", limit);
    qdi_write_bytes(w, true, "estimated_size", "estimated_size_in_bytes",
                    a ? (int64_t)((double)qd_account_used(a) * overhead) : 0);
    qd_json_field_double(w, "overhead", overhead);
    qd_json_field_int(w, "tripped", a ? atomic_load(&a->trips) : 0);
    qd_json_object_end(w);
}

static void write_breakers(const stats_request *x, qd_json_writer *w)
{
    const qd_actions *a = x->q->a;
    const qd_values *v = qd_config_values(a->config);
    int64_t all = x->m.node_memory;
    open_part(w, "breakers");
    write_breaker("request", a->account, qd_values_i64(v, QD_SET_BREAKER_REQUEST),
                  qd_values_f64(v, QD_SET_BREAKER_REQUEST_OVERHEAD), w);
    write_breaker("fielddata", a->fielddata, qd_values_i64(v, QD_SET_BREAKER_FIELDDATA),
                  qd_values_f64(v, QD_SET_BREAKER_FIELDDATA_OVERHEAD), w);
    write_breaker("in_flight_requests", a->in_flight, qd_values_i64(v, QD_SET_BREAKER_INFLIGHT),
                  qd_values_f64(v, QD_SET_BREAKER_INFLIGHT_OVERHEAD), w);
    write_breaker("accounting", &qd_account_general, all, 1.0, w);
    write_breaker("parent", &qd_account_root, qd_values_i64(v, QD_SET_BREAKER_TOTAL), 1.0, w);
    qd_json_object_end(w);
}

static void write_usage(void *arg, const qd_plugin_usage *u)
{
    qd_json_writer *w = arg;
    qd_json_key_c(w, u->plugin);
    qd_json_object(w);
    qd_json_field_int(w, "memory_in_bytes", u->memory);
    qd_json_field_int(w, "memory_limit_in_bytes", u->memory_limit);
    qd_json_field_int(w, "memory_refused", (int64_t)u->memory_refused);
    qd_json_field_int(w, "calls_not_returned", u->calls_left);
    qd_json_field_int(w, "calls_over_time", u->calls_over_time);
    qd_json_object_end(w);
}

/* What each plugin keeps by its mem service, and its calls that searches have left. */
static void write_plugins(const qd_actions *a, qd_json_writer *w)
{
    qd_json_key_c(w, "plugins");
    qd_json_object(w);
    if (a->plugins) qd_plugin_usage_each(a->plugins, write_usage, w);
    qd_json_object_end(w);
}

static void write_pressure(const stats_request *x, qd_json_writer *w)
{
    static const char *const sizes[] = {"combined_coordinating_and_primary_in_bytes",
                                        "coordinating_in_bytes", "primary_in_bytes",
                                        "replica_in_bytes", "all_in_bytes"};
    static const char *const refused[] = {"coordinating_rejections", "primary_rejections",
                                          "replica_rejections"};
    qd_action_pressure_stats s;
    qd_action_pressure(x->q->a, &s);
    open_part(w, "indexing_pressure");
    open_part(w, "memory");
    for (int total = 0; total < 2; total++) {
        open_part(w, total ? "total" : "current");
        for (size_t i = 0; i < QD_COUNT_OF(sizes); i++) {
            bool other = i == 2 || i == 3; /* requests are charged where they come in */
            qd_json_field_int(w, sizes[i], other ? 0 : total ? s.total_bytes : s.current_bytes);
        }
        for (size_t i = 0; total && i < QD_COUNT_OF(refused); i++) {
            qd_json_field_int(w, refused[i], i ? 0 : (int64_t)s.rejections);
        }
        qd_json_object_end(w);
    }
    qd_json_field_int(w, "limit_in_bytes", s.limit_bytes);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

/* --- the rest: there, and empty --- */

static void write_discovery(const stats_request *x, qd_json_writer *w)
{
    open_part(w, "discovery");
    open_part(w, "cluster_state_queue");
    qd_json_field_int(w, "total", qd_cluster_pending(x->q->a->cluster));
    qd_json_field_int(w, "pending", 0);
    qd_json_field_int(w, "committed", 0);
    qd_json_object_end(w);
    open_part(w, "published_cluster_states");
    qd_json_field_int(w, "full_states", 0);
    qd_json_field_int(w, "incompatible_diffs", 0);
    qd_json_field_int(w, "compatible_diffs", 0);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static void write_scripts(const stats_request *x, qd_json_writer *w)
{
    if (x->wanted & ST_SCRIPT) {
        open_part(w, "script");
        qd_json_field_int(w, "compilations", 0);
        qd_json_field_int(w, "cache_evictions", 0);
        qd_json_field_int(w, "compilation_limit_triggered", 0);
        qd_json_object_end(w);
    }
    if (x->wanted & ST_INGEST) {
        open_part(w, "ingest");
        qd_state *s = qd_cluster_state(x->q->a->cluster);
        qdi_pipelines_stats_write(x->q->a, s, w);
        qd_state_unref(s);
        qd_json_object_end(w);
    }
    if (x->wanted & ST_ADAPTIVE) {
        open_part(w, "adaptive_selection");
        qdi_copies_write(x->q->a, w);
        qd_json_object_end(w);
    }
}

static void write_node(const stats_request *x, const qd_node_meta *n, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_int(w, "timestamp", x->now_ms);
    qd_json_field_str(w, "name", n->name);
    qd_json_field_str(w, "transport_address", n->transport_address);
    qd_json_field_str(w, "host", n->host);
    qd_json_field_str(w, "ip", n->transport_address);
    qdi_roles_member(&x->id, n->roles, w);
    qdi_attributes_member(n, w);
    if (x->wanted & ST_INDICES) write_indices(x, w);
    if (x->wanted & ST_OS) write_os(x, w);
    if (x->wanted & ST_PROCESS) write_process(x, w);
    if (x->wanted & ST_JVM) write_jvm(x, w);
    if (x->wanted & ST_THREAD_POOL) write_pools(x, w);
    if (x->wanted & ST_FS) write_fs(x, w);
    if (x->wanted & ST_TRANSPORT) write_transport(x, w);
    if (x->wanted & ST_HTTP) write_http(x, w);
    if (x->wanted & ST_BREAKER) write_breakers(x, w);
    write_scripts(x, w);
    if (x->wanted & ST_DISCOVERY) write_discovery(x, w);
    if (x->wanted & ST_PRESSURE) write_pressure(x, w);
    if (x->wanted & ST_PLUGINS) write_plugins(x->q->a, w);
    qd_json_object_end(w);
}

static int parse(stats_request *x, qd_err *err)
{
    static const char *const levels[] = {"node", "indices", "shards"};
    qd_str level = qd_param(x->q, "level");
    int rc = parse_metrics(qd_param(x->q, "metric"), &x->wanted, err);
    if (!rc) {
        rc = qdi_sections_parse(x->q, qd_param(x->q, "index_metric"), "/_nodes/stats/indices",
                                &x->sections, err);
    }
    for (int i = 0; !rc && level.n && i < 3; i++) {
        x->level = i;
        if (qd_str_is(level, levels[i])) return 0;
    }
    if (rc || !level.n) return rc;
    return qd_err_set(err, QD_E_ARG,
                      "level parameter must be one of [node] or [indices] or [shards] but was "
                      "[%.*s]",
                      QD_STR_ARG(level));
}

int qdi_part_nodes_stats(qd_request *q, qd_json_writer *w, qd_err *err)
{
    stats_request x = {.q = q, .now_ms = qd_env_wall_ms(q->a->env)};
    int rc = parse(&x, err);
    if (rc) return rc;
    qdi_identity_get(q->a, &x.id);
    qdi_machine_get(q->a, &x.m);
    write_node(&x, qd_cluster_self(q->a->cluster), w);
    return 0;
}

int qdi_api_nodes_stats(qd_request *q, qd_response *r, qd_err *err)
{
    stats_request x = {.q = q};
    int rc = parse(&x, err);
    return rc ? rc : qdi_nodes_answer(q, qd_param(q, "node_id"), NODE_PART_STATS, r, err);
}
