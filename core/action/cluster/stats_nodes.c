/*
 * stats_nodes.c: "nodes" of GET /_cluster/stats. Each node tells its own numbers; the one
 * that was asked adds them up. Disks are counted once for an address, as nodes of one machine share
 * them.
 */
#include "action/api/node_part.h"
#include "action/ingest/pipelines.h"
#include "action/nodes/nodes_int.h"
#include "base/str.h"
#include "runtime/cpu.h"
#include "runtime/proc.h"
#include "json/tree.h"
#include <string.h>

#define NAMES_MAX 64u

static void open_part(qd_json_writer *w, const char *name)
{
    qd_json_key_c(w, name);
    qd_json_object(w);
}

/* --- this node --- */

/* Numbers that are added up, by their names between nodes. */
typedef enum sum_of {
    SUM_PROCESSORS,
    SUM_ALLOCATED,
    SUM_MEMORY,
    SUM_MEMORY_FREE,
    SUM_CPU,
    SUM_FILES,
    SUM_USED,
    SUM_NODE_MEMORY,
    SUM_DISK,
    SUM_DISK_FREE,
    SUMS
} sum_of;

static const char *const sum_names[SUMS] = {
    [SUM_PROCESSORS] = "processors",
    [SUM_ALLOCATED] = "allocated",
    [SUM_MEMORY] = "memory",
    [SUM_MEMORY_FREE] = "memory_free",
    [SUM_CPU] = "cpu",
    [SUM_FILES] = "files",
    [SUM_USED] = "used",
    [SUM_NODE_MEMORY] = "node_memory",
    [SUM_DISK] = "disk",
    [SUM_DISK_FREE] = "disk_free",
};

int qdi_part_cluster_stats(qd_request *q, qd_json_writer *w, qd_err *err)
{
    qd_machine_os os;
    qdi_machine m;
    qdi_identity id;
    (void)err;
    int64_t processors = qd_config_i64(q->a->config, QD_SET_NODE_PROCESSORS);
    qd_machine_os_get(&os);
    qdi_machine_get(q->a, &m);
    qdi_identity_get(q->a, &id);
    const int64_t values[SUMS] = {
        [SUM_PROCESSORS] = qd_cpu_count(),
        [SUM_ALLOCATED] = processors ? processors : qd_cpu_count(),
        [SUM_MEMORY] = (int64_t)m.memory_total,
        [SUM_MEMORY_FREE] = (int64_t)m.memory_available,
        [SUM_CPU] = m.cpu_percent < 0 ? 0 : m.cpu_percent,
        [SUM_FILES] = (int64_t)m.files,
        [SUM_USED] = m.used,
        [SUM_NODE_MEMORY] = m.node_memory,
        [SUM_DISK] = (int64_t)m.disk_total,
        [SUM_DISK_FREE] = (int64_t)m.disk_available,
    };
    qd_json_object(w);
    for (size_t i = 0; i < SUMS; i++) qd_json_field_int(w, sum_names[i], values[i]);
    qd_json_field_int(w, "uptime_ns", (int64_t)m.uptime_ns);
    qd_json_field_c(w, "name", os.name);
    qd_json_field_c(w, "pretty_name", os.pretty);
    qd_json_field_c(w, "arch", os.arch);
    qd_json_field_str(w, "version", id.number);
    qd_json_key_c(w, "plugins");
    qd_json_array(w);
    qdi_plugins_write(q->a, &id, false, w);
    qd_json_array_end(w);
    qd_json_object_end(w);
    return 0;
}

/* --- all nodes --- */

/* Different texts and how many nodes have each. */
typedef struct counted {
    qd_str text[NAMES_MAX];
    uint32_t count[NAMES_MAX], n;
} counted;

struct qdi_node_sums {
    qd_arena *arena;
    uint32_t nodes;
    int64_t sum[SUMS], files_least, files_most, uptime_ns;
    counted names, pretty, archs, versions, plugins;
    qd_str plugin[NAMES_MAX]; /* as its first node tells it, by the place in plugins */
    qd_str *hosts;            /* room for as many as there are nodes */
    uint32_t nhosts;
};

/* Counts text; true when it is the first one. What does not fit is left out. */
static bool count(counted *c, qd_str text)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (!qd_str_eq(c->text[i], text)) continue;
        c->count[i]++;
        return false;
    }
    if (c->n == NAMES_MAX || !text.p) return false;
    c->text[c->n] = text;
    c->count[c->n++] = 1;
    return true;
}

/* What another node says is none that can be: 0. */
static int64_t number(const qd_json_node *n, const char *key)
{
    const qd_json_node *x = qd_json_get(n, key);
    int64_t v = 0;
    return x && qd_str_i64(x->text, &v) && v > 0 ? v : 0;
}

/* Is it the first node at its address? */
static bool first_of_host(qdi_node_sums *x, qd_str host)
{
    for (uint32_t i = 0; i < x->nhosts; i++) {
        if (qd_str_eq(x->hosts[i], host)) return false;
    }
    x->hosts[x->nhosts++] = host;
    return true;
}

static void add_plugins(qdi_node_sums *x, const qd_json_node *list)
{
    for (const qd_json_node *p = list ? list->first : NULL; p; p = p->next) {
        if (count(&x->plugins, qd_json_text(qd_json_get(p, "name")))) {
            x->plugin[x->plugins.n - 1] = p->raw;
        }
    }
}

static void add_node(void *arg, const qd_node_meta *node, qd_str json)
{
    qdi_node_sums *x = arg;
    qd_json_node *root;
    qd_str own = qd_arena_str(x->arena, json); /* the answer goes with its call */
    if (!own.p || qd_json_parse(x->arena, own, 0, &root, NULL)) return;
    bool first_here = first_of_host(x, qdi_host_of(node->transport_address));
    for (size_t i = 0; i < SUMS; i++) {
        bool disk = i == SUM_DISK || i == SUM_DISK_FREE;
        if (disk && !first_here) continue;
        if (__builtin_add_overflow(x->sum[i], number(root, sum_names[i]), &x->sum[i]))
            x->sum[i] = INT64_MAX;
    }
    int64_t files = number(root, sum_names[SUM_FILES]), uptime = number(root, "uptime_ns");
    if (!x->nodes || files < x->files_least) x->files_least = files;
    if (files > x->files_most) x->files_most = files;
    if (uptime > x->uptime_ns) x->uptime_ns = uptime;
    (void)count(&x->names, qd_json_text(qd_json_get(root, "name")));
    (void)count(&x->pretty, qd_json_text(qd_json_get(root, "pretty_name")));
    (void)count(&x->archs, qd_json_text(qd_json_get(root, "arch")));
    (void)count(&x->versions, qd_json_text(qd_json_get(root, "version")));
    add_plugins(x, qd_json_get(root, "plugins"));
    x->nodes++;
}

static void write_counts(const qdi_identity *id, const qd_state *s, qd_json_writer *w)
{
    static const struct {
        const char *role;
        char letter;
    } roles[] = {{"data", 'd'},
                 {"ingest", 'i'},
                 {"master", 'm'},
                 {"remote_cluster_client", 'r'},
                 {"cluster_manager", 'm'}};
    uint32_t none = 0;
    open_part(w, "count");
    qd_json_field_int(w, "total", s->nnodes);
    for (uint32_t k = 0; k < s->nnodes; k++) {
        none += qd_str_find(s->nodes[k].roles, 'd') < 0 &&
                qd_str_find(s->nodes[k].roles, 'i') < 0 && qd_str_find(s->nodes[k].roles, 'm') < 0;
    }
    qd_json_field_int(w, "coordinating_only", none);
    for (size_t i = 0; i < QD_COUNT_OF(roles) - !id->opensearch; i++) {
        uint32_t n = 0;
        for (uint32_t k = 0; k < s->nnodes; k++) {
            n += qd_str_find(s->nodes[k].roles, roles[i].letter) >= 0;
        }
        qd_json_field_int(w, roles[i].role, n);
    }
    qd_json_object_end(w);
}

static void write_counted(qd_json_writer *w, const char *list, const char *key, const counted *c)
{
    qd_json_key_c(w, list);
    qd_json_array(w);
    for (uint32_t i = 0; i < c->n; i++) {
        qd_json_object(w);
        qd_json_field_str(w, key, c->text[i]);
        qd_json_field_int(w, "count", c->count[i]);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
}

static void write_machines(const qd_request *q, const qdi_node_sums *x, qd_json_writer *w)
{
    const qdi_machine all = {.memory_total = (uint64_t)x->sum[SUM_MEMORY],
                             .memory_available = (uint64_t)x->sum[SUM_MEMORY_FREE]};
    open_part(w, "os");
    qd_json_field_int(w, "available_processors", x->sum[SUM_PROCESSORS]);
    qd_json_field_int(w, "allocated_processors", x->sum[SUM_ALLOCATED]);
    write_counted(w, "names", "name", &x->names);
    write_counted(w, "pretty_names", "pretty_name", &x->pretty);
    write_counted(w, "architectures", "arch", &x->archs);
    qdi_machine_write_memory(q, &all, w);
    qd_json_object_end(w);
}

static void write_processes(const qd_request *q, const qdi_node_sums *x, qd_json_writer *w)
{
    open_part(w, "process");
    open_part(w, "cpu");
    qd_json_field_int(w, "percent", x->sum[SUM_CPU]);
    qd_json_object_end(w);
    open_part(w, "open_file_descriptors");
    qd_json_field_int(w, "min", x->files_least);
    qd_json_field_int(w, "max", x->files_most);
    qd_json_field_int(w, "avg", x->nodes ? x->sum[SUM_FILES] / x->nodes : 0);
    qd_json_object_end(w);
    qd_json_object_end(w);
    open_part(w, "jvm");
    qdi_write_ms(w, q->human, "max_uptime", "max_uptime_in_millis", (uint64_t)x->uptime_ns);
    qd_json_key_c(w, "versions");
    qd_json_array(w);
    qd_json_array_end(w);
    open_part(w, "mem");
    qdi_write_bytes(w, q->human, "heap_used", "heap_used_in_bytes", x->sum[SUM_USED]);
    qdi_write_bytes(w, q->human, "heap_max", "heap_max_in_bytes", x->sum[SUM_NODE_MEMORY]);
    qd_json_object_end(w);
    qd_json_field_int(w, "threads", 0);
    qd_json_object_end(w);
}

/* Requests under way are in _nodes/stats; here Elasticsearch tells zeros, too. */
static void write_pressure(qd_json_writer *w)
{
    static const char *const parts[] = {"current", "total"};
    open_part(w, "indexing_pressure");
    open_part(w, "memory");
    for (size_t i = 0; i < QD_COUNT_OF(parts); i++) {
        open_part(w, parts[i]);
        qd_json_field_int(w, "combined_coordinating_and_primary_in_bytes", 0);
        qd_json_field_int(w, "coordinating_in_bytes", 0);
        qd_json_field_int(w, "primary_in_bytes", 0);
        qd_json_field_int(w, "replica_in_bytes", 0);
        qd_json_field_int(w, "all_in_bytes", 0);
        qd_json_object_end(w);
    }
    qd_json_field_int(w, "limit_in_bytes", 0);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

/* How the nodes are made, the same everywhere. */
static void write_kinds(const qdi_identity *id, const qd_state *s, qd_json_writer *w)
{
    static const char *const types[] = {"transport_types", "http_types"};
    open_part(w, "network_types");
    for (size_t i = 0; i < 2; i++) {
        open_part(w, types[i]);
        qd_json_field_int(w, "quidditch", s->nnodes);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    open_part(w, "discovery_types");
    qd_json_field_int(w, "raft", s->nnodes);
    qd_json_object_end(w);
    qd_json_key_c(w, "packaging_types");
    qd_json_array(w);
    qd_json_object(w);
    if (!id->opensearch) qd_json_field_c(w, "flavor", "default");
    qd_json_field_c(w, "type", "tar");
    qd_json_field_int(w, "count", s->nnodes);
    qd_json_object_end(w);
    qd_json_array_end(w);
    open_part(w, "ingest");
    qd_json_field_int(w, "number_of_pipelines", qdi_pipelines_number(s));
    open_part(w, "processor_stats");
    qd_json_object_end(w);
    qd_json_object_end(w);
}

int qdi_node_sums_get(qd_request *q, const qd_state *s, qd_str filter, node_counts *counts,
                      qdi_node_sums **out, qd_err *err)
{
    qdi_node_sums *x = qd_arena_calloc(q->arena, sizeof *x);
    if (!x) return qd_err_nomem(err, "statistics of nodes");
    x->arena = q->arena;
    x->hosts = qd_arena_alloc(q->arena, (s->nnodes + 1) * sizeof *x->hosts);
    if (!x->hosts) return qd_err_nomem(err, "statistics of nodes");
    *out = x;
    return qdi_node_parts(q, s, filter, NODE_PART_CLUSTER, add_node, x, counts, err);
}

void qdi_node_sums_write(const qd_request *q, const qdi_identity *id, const qd_state *s,
                         const qdi_node_sums *x, qd_json_writer *w)
{
    open_part(w, "nodes");
    write_counts(id, s, w);
    qd_json_key_c(w, "versions");
    qd_json_array(w);
    for (uint32_t i = 0; i < x->versions.n; i++) qd_json_str(w, x->versions.text[i]);
    qd_json_array_end(w);
    write_machines(q, x, w);
    write_processes(q, x, w);
    open_part(w, "fs");
    qdi_write_bytes(w, q->human, "total", "total_in_bytes", x->sum[SUM_DISK]);
    qdi_write_bytes(w, q->human, "free", "free_in_bytes", x->sum[SUM_DISK_FREE]);
    qdi_write_bytes(w, q->human, "available", "available_in_bytes", x->sum[SUM_DISK_FREE]);
    qd_json_object_end(w);
    qd_json_key_c(w, "plugins");
    qd_json_array(w);
    for (uint32_t i = 0; i < x->plugins.n; i++) qd_json_raw_value(w, x->plugin[i]);
    qd_json_array_end(w);
    write_kinds(id, s, w);
    if (id->product == QDI_ES8 || id->product == QDI_ES9) write_pressure(w);
    qd_json_object_end(w);
}
