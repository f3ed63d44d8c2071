/* info.c: GET /_nodes: what each node is. */
#include "action/api/counters.h"
#include "action/api/node_part.h"
#include "action/nodes/nodes_int.h"
#include "aggs/aggs.h"
#include "base/str.h"
#include "config/value.h"
#include "ingest/ingest.h"
#include "runtime/cpu.h"
#include "runtime/proc.h"
#include "script/script.h"
#include <stdio.h>
#include <string.h>

enum {
    INFO_SETTINGS = 1,
    INFO_OS = 2,
    INFO_PROCESS = 4,
    INFO_JVM = 8,
    INFO_THREAD_POOL = 16,
    INFO_TRANSPORT = 32,
    INFO_HTTP = 64,
    INFO_PLUGINS = 128,
    INFO_INGEST = 256,
    INFO_AGGREGATIONS = 512,
    INFO_INDICES = 1024,
    INFO_ALL = 2047,
    INFO_USAGE = 2048, /* not among what is told unasked */
};

static const struct {
    const char *name;
    uint32_t bit;
} metrics[] = {
    {"settings", INFO_SETTINGS},
    {"os", INFO_OS},
    {"process", INFO_PROCESS},
    {"jvm", INFO_JVM},
    {"thread_pool", INFO_THREAD_POOL},
    {"transport", INFO_TRANSPORT},
    {"http", INFO_HTTP},
    {"plugins", INFO_PLUGINS},
    {"ingest", INFO_INGEST},
    {"aggregations", INFO_AGGREGATIONS},
    {"indices", INFO_INDICES},
    {"usage", INFO_USAGE},
    {"_all", INFO_ALL},
    {"_none", 0},
};

/* The metrics that a list names; false when a part of it is no metric. */
static bool parse_metrics(qd_str list, uint32_t *out)
{
    *out = 0;
    for (qd_str rest = list; rest.n;) {
        qd_str one = qd_str_split(&rest, ',');
        bool found = false;
        for (size_t i = 0; i < QD_COUNT_OF(metrics); i++) {
            if (!qd_str_is(one, metrics[i].name)) continue;
            *out |= metrics[i].bit;
            found = true;
        }
        if (!found) return false;
        if (!rest.p) break;
    }
    return true;
}

void qdi_machine_get(const qd_actions *a, qdi_machine *out)
{
    qd_machine_memory m;
    qd_proc_memory p;
    *out = (qdi_machine){0};
    qd_machine_memory_get(&m);
    qd_proc_memory_get(&p);
    if (qd_store_capacity(a->store, &out->disk_total, &out->disk_available, NULL)) {
        out->disk_total = out->disk_available = 0;
    }
    out->memory_total = m.total;
    out->memory_available = m.available;
    out->memory_limit = m.limit;
    out->node_memory = qd_config_memory(a->config);
    out->used = qd_account_used(&qd_account_root);
    out->rss = p.rss;
    out->virtual_size = p.virtual_size;
    out->cpu_ns = qd_proc_cpu_ns();
    out->files = qd_proc_open_files();
    out->files_max = qd_proc_max_files();
    out->cpu_percent = qd_machine_cpu_percent();
    out->load_known = qd_machine_load(out->load);
    out->uptime_ns = qd_env_mono_ns(a->env) - a->start_ns;
}

/* --- parts --- */

static bool not_secret(void *arg, qd_str key)
{
    const qd_actions *a = arg;
    const qd_setting_def *def = qd_schema_find(&qd_schema_node, key, NULL);
    if (def && (def->flags & QD_SF_SECRET)) return false;
    return !qd_plugin_setting_secret(a->plugins, key);
}

/* The folder that bin, lib and etc of this installation stand in. */
static int put_home(qd_settings *all)
{
    qd_buf b;
    qd_buf_init(&b, NULL, 1 << 16);
    int rc = qd_proc_exe_dir(&b, NULL);
    qd_str dir = qd_buf_view(&b);
    while (dir.n > 1 && dir.p[dir.n - 1] != '/') dir.n--;
    if (dir.n > 1) dir.n--;
    if (!rc) rc = qd_settings_put(all, QD_STR("path.home"), dir, NULL);
    qd_buf_fini(&b);
    return rc;
}

static void write_settings(const qd_request *q, qd_json_writer *w)
{
    /* strict decoders of clients need them */
    static const char *const of_clients[][2] = {{"cluster.election.strategy", "initial"},
                                                {"http.type", "native"},
                                                {"node.attr.xpack.installed", "true"},
                                                {"transport.type", "native"}};
    qd_settings *all = NULL;
    const qd_actions *a = q->a;
    qdi_identity id;
    qdi_identity_get(q->a, &id);
    bool flat =
        qd_param_has(q, "flat_settings") && !qd_str_is(qd_param(q, "flat_settings"), "false");
    qd_json_key_c(w, "settings");
    int rc = qd_settings_new(NULL, &all, NULL);
    if (!rc) rc = qd_settings_merge(all, qd_config_settings(a->config), NULL);
    if (!rc) rc = qd_settings_put(all, QD_STR("client.type"), QD_STR("node"), NULL);
    if (!rc) rc = qd_settings_put(all, QD_STR("cluster.name"), qd_cluster_name(a->cluster), NULL);
    for (size_t i = 0; i < QD_COUNT_OF(of_clients) && !rc; i++) {
        qd_str key = qd_str_c(of_clients[i][0]);
        if (qd_settings_get(all, key)) continue;
        if (id.opensearch && qd_str_starts(key, QD_STR("node.attr."))) continue;
        rc = qd_settings_put(all, key, qd_str_c(of_clients[i][1]), NULL);
    }
    if (!rc) rc = qd_settings_put(all, QD_STR("node.name"), a->node_name, NULL);
    if (!rc) rc = qd_settings_put_list(all, QD_STR("path.data"), &a->data_path, 1, NULL);
    if (!rc) rc = put_home(all);
    if (!rc) rc = qd_settings_seal(all, NULL);
    if (rc) {
        qd_json_object(w);
        qd_json_object_end(w);
    } else {
        qd_settings_write(all, w, flat, not_secret, (void *)(uintptr_t)a);
    }
    qd_settings_unref(all);
}

static void write_os(const qd_actions *a, qd_json_writer *w)
{
    qd_machine_os os;
    int64_t processors = qd_config_i64(a->config, QD_SET_NODE_PROCESSORS);
    qd_machine_os_get(&os);
    qd_json_key_c(w, "os");
    qd_json_object(w);
    qd_json_field_int(w, "refresh_interval_in_millis", 1000);
    qd_json_field_c(w, "name", os.name);
    qd_json_field_c(w, "pretty_name", os.pretty);
    qd_json_field_c(w, "arch", os.arch);
    qd_json_field_c(w, "version", os.release);
    qd_json_field_int(w, "available_processors", qd_cpu_count());
    qd_json_field_int(w, "allocated_processors", processors ? processors : qd_cpu_count());
    qd_json_object_end(w);
}

static void write_process(qd_json_writer *w)
{
    qd_json_key_c(w, "process");
    qd_json_object(w);
    qd_json_field_int(w, "refresh_interval_in_millis", 1000);
    qd_json_field_int(w, "id", qd_proc_pid());
    qd_json_field_bool(w, "mlockall", false);
    qd_json_object_end(w);
}

/* There is no Java machine; tools that plan by its heap get the memory the node plans with. */
static void write_jvm(const qd_actions *a, qd_json_writer *w)
{
    int64_t memory = qd_config_memory(a->config);
    qd_json_key_c(w, "jvm");
    qd_json_object(w);
    qd_json_field_int(w, "pid", qd_proc_pid());
    qd_json_field_c(w, "version", "none");
    qd_json_field_c(w, "vm_name", "Quidditch");
    qd_json_field_c(w, "vm_version", QD_VERSION);
    qd_json_field_c(w, "vm_vendor", "Quidditch");
    qd_json_field_bool(w, "bundled_jdk", false);
    qd_json_field_bool(w, "using_bundled_jdk", false);
    qd_json_field_int(w, "start_time_in_millis", a->start_wall_ms);
    qd_json_key_c(w, "mem");
    qd_json_object(w);
    qd_json_field_int(w, "heap_init_in_bytes", 0);
    qd_json_field_int(w, "heap_max_in_bytes", memory);
    qd_json_field_int(w, "non_heap_init_in_bytes", 0);
    qd_json_field_int(w, "non_heap_max_in_bytes", 0);
    qd_json_field_int(w, "direct_max_in_bytes", 0);
    qd_json_object_end(w);
    static const char *const lists[] = {"gc_collectors", "memory_pools", "input_arguments"};
    for (size_t i = 0; i < QD_COUNT_OF(lists); i++) {
        qd_json_key_c(w, lists[i]);
        qd_json_array(w);
        qd_json_array_end(w);
    }
    qd_json_field_c(w, "using_compressed_ordinary_object_pointers", "unknown");
    qd_json_object_end(w);
}

static void write_pools(const qd_actions *a, qd_json_writer *w)
{
    qd_json_key_c(w, "thread_pool");
    qd_json_object(w);
    for (uint32_t i = 0; i < a->pools->n; i++) {
        qd_pool_stats s;
        qd_pool_stats_get(a->pools->at[i], &s);
        qd_json_key_c(w, s.name);
        qd_json_object(w);
        qd_json_field_c(w, "type", "fixed");
        qd_json_field_int(w, "size", s.threads_max);
        qd_json_field_int(w, "queue_size", s.queue_max == UINT32_MAX ? -1 : (int64_t)s.queue_max);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
}

static void write_address(const char *name, qd_str address, qd_json_writer *w)
{
    qd_json_key_c(w, name);
    qd_json_object(w);
    qd_json_key_c(w, "bound_address");
    qd_json_array(w);
    qd_json_str(w, address);
    qd_json_array_end(w);
    qd_json_field_str(w, "publish_address", address);
}

static void write_network(const qd_request *q, const qd_node_meta *n, uint32_t wanted,
                          qd_json_writer *w)
{
    if (wanted & INFO_TRANSPORT) {
        write_address("transport", n->transport_address, w);
        qd_json_key_c(w, "profiles");
        qd_json_object(w);
        qd_json_object_end(w);
        qd_json_object_end(w);
    }
    if (wanted & INFO_HTTP) {
        write_address("http", n->http_address, w);
        qdi_write_bytes(w, q->human, "max_content_length", "max_content_length_in_bytes",
                        qd_config_i64(q->a->config, QD_SET_HTTP_MAX_CONTENT_LENGTH));
        qd_json_object_end(w);
    }
}

static void write_kinds(const qd_plugin_info *p, qd_json_writer *w)
{
    qd_json_key_c(w, "kinds");
    qd_json_array(w);
    for (uint32_t kind = 0; kind < 32; kind++) {
        const char *name = p->kinds >> kind & 1 ? qd_plugin_kind_name(kind) : NULL;
        if (name) qd_json_c(w, name);
    }
    qd_json_array_end(w);
}

/* The members that each plugin and module has; its object stays open. */
static void write_part(const char *name, const char *version, const char *license,
                       const qdi_identity *id, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_c(w, "name", name);
    qd_json_field_c(w, "version", version);
    qd_json_field_str(w, id->opensearch ? "opensearch_version" : "elasticsearch_version",
                      id->number);
    qd_json_field_c(w, "java_version", "none");
    qd_json_key_c(w, "description");
    qd_json_printf(w, "%s %s, %s", name, version, license);
    qd_json_field_c(w, "classname", name);
    qd_json_key_c(w, "extended_plugins");
    qd_json_array(w);
    qd_json_array_end(w);
    qd_json_field_bool(w, "has_native_controller", false);
    if (id->product == QDI_ES8 || id->product == QDI_ES9) qd_json_field_bool(w, "licensed", false);
}

/* What is built in here and a module elsewhere: clients look for it by name. */
static void write_module(const char *name, const qdi_identity *id, qd_json_writer *w)
{
    write_part(name, QD_VERSION, "Apache-2.0", id, w);
    qd_json_object_end(w);
}

static void write_modules(const qdi_identity *id, qd_json_writer *w)
{
    /* whose parts this product has, all or most of them */
    static const char *const others[] = {"analysis-common", "ingest-common", "parent-join",
                                         "reindex"};
    const char *module;
    for (size_t i = 0; i < QD_COUNT_OF(others); i++) write_module(others[i], id, w);
    for (size_t l = 0; qd_script_langs[l]; l++)
        if (qd_script_langs[l]->module) write_module(qd_script_langs[l]->module, id, w);
    for (uint32_t i = 0; (module = qd_aggs_type_module(i)); i++)
        if (*module) write_module(module, id, w);
}

void qdi_plugins_write(const qd_actions *a, const qdi_identity *id, bool builtin, qd_json_writer *w)
{
    size_t n = a->plugins ? qd_plugin_count(a->plugins) : 0;
    for (size_t i = 0; i < n; i++) {
        qd_plugin_info p;
        qd_plugin_info_get(a->plugins, i, &p);
        if (p.builtin != builtin || p.state == QD_PLUGIN_REFUSED) continue;
        write_part(p.name, p.version, p.license, id, w);
        write_kinds(&p, w);
        if (!builtin) {
            qd_json_field_c(w, "file", p.file);
            qd_json_field_c(w, "sha256", p.sha256);
            qd_json_field_int(w, "memory_in_bytes", p.memory);
        }
        qd_json_object_end(w);
    }
}

static void write_plugins(const qd_actions *a, const qdi_identity *id, qd_json_writer *w)
{
    for (int builtin = 0; builtin < 2; builtin++) {
        qd_json_key_c(w, builtin ? "modules" : "plugins");
        qd_json_array(w);
        qdi_plugins_write(a, id, builtin, w);
        if (builtin) write_modules(id, w);
        qd_json_array_end(w);
    }
}

static void write_attributes(const qd_actions *a, qd_json_writer *w)
{
    const qd_settings *s = qd_config_settings(a->config);
    size_t n, first = qd_settings_group(s, QD_STR("node.attr."), &n);
    qd_json_key_c(w, "attributes");
    qd_json_object(w);
    for (size_t i = first; i < first + n; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        qd_json_key(w, qd_str_sub(v->key, 10, v->key.n));
        qd_json_str(w, v->text);
    }
    qd_json_object_end(w);
}

static void write_tier(void *arg, const qd_tier_space *t)
{
    qd_json_writer *w = arg;
    qd_json_key_c(w, t->name);
    qd_json_object(w);
    qd_json_field_bool(w, "durable", t->durable);
    qd_json_object_end(w);
}

/* The tiers of the node's shards, and whether they keep them; "tier" is the node's own. */
static void write_storage(const qd_actions *a, qd_json_writer *w)
{
    qd_json_key_c(w, "storage");
    qd_json_object(w);
    qd_json_field_str(w, "tier", qd_config_text(a->config, QD_SET_STORAGE_TIER));
    qd_json_field_bool(w, "durable", qd_shards_tier_caps(a->shards) & QD_STORE_DURABLE);
    qd_json_key_c(w, "tiers");
    qd_json_object(w);
    qd_shards_tiers(a->shards, write_tier, w);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

/* Parts that only the node itself knows. */
static void write_own(const qd_request *q, const qdi_identity *id, uint32_t wanted,
                      qd_json_writer *w)
{
    const qd_actions *a = q->a;
    if (wanted & INFO_SETTINGS) write_settings(q, w);
    if (wanted & INFO_OS) write_os(a, w);
    if (wanted & INFO_PROCESS) write_process(w);
    if (wanted & INFO_JVM) write_jvm(a, w);
    if (wanted & INFO_THREAD_POOL) write_pools(a, w);
    write_network(q, qd_cluster_self(a->cluster), wanted, w);
    if (wanted & INFO_PLUGINS) write_plugins(a, id, w);
    if (wanted & INFO_INGEST) {
        qd_json_key_c(w, "ingest");
        qd_json_object(w);
        qd_json_key_c(w, "processors");
        qd_json_array(w);
        qd_ingest_types_write(q->a->plugins, w);
        qd_json_array_end(w);
        qd_json_object_end(w);
    }
    if (wanted & INFO_AGGREGATIONS) {
        qd_json_key_c(w, "aggregations");
        qd_aggs_types_write(w);
    }
}

/* Requests of each API since the node started. */
static void write_usage(const qd_actions *a, qd_json_writer *w)
{
    qd_api_counts n;
    const char *name;
    int64_t now_ms = qd_env_wall_ms(a->env);
    qd_json_field_int(w, "timestamp", now_ms);
    qd_json_field_int(w, "since",
                      now_ms - (int64_t)((qd_env_mono_ns(a->env) - a->start_ns) / 1000000));
    qd_json_key_c(w, "rest_actions");
    qd_json_object(w);
    for (uint32_t i = 0; (name = qd_api_counts_get(a, i, &n)); i++)
        if (n.requests) qd_json_field_int(w, name, (int64_t)n.requests);
    qd_json_object_end(w);
    qd_json_key_c(w, "aggregations");
    qd_json_object(w);
    qd_json_object_end(w);
}

static void write_node(const qd_request *q, const qdi_identity *id, const qd_node_meta *n,
                       uint32_t wanted, qd_json_writer *w)
{
    qd_json_object(w);
    if (wanted == INFO_USAGE) {
        write_usage(q->a, w);
        qd_json_object_end(w);
        return;
    }
    qd_json_field_str(w, "name", n->name);
    qd_json_field_str(w, "transport_address", n->transport_address);
    qd_json_field_str(w, "host", n->host);
    qd_json_field_str(w, "ip", qdi_host_of(n->transport_address));
    qd_json_field_str(w, "version", id->number);
    qd_json_field_c(w, "quidditch_version", QD_VERSION);
    if (!id->opensearch) qd_json_field_c(w, "build_flavor", "default");
    qd_json_field_c(w, "build_type", "tar");
    qd_json_field_c(w, "build_hash", id->build_hash);
    if (q->human) {
        char text[32];
        qd_json_field_c(w, "total_indexing_buffer",
                        qd_bytes_text(qd_config_index_buffer(q->a->config), text));
        qd_json_field_int(w, "total_indexing_buffer_in_bytes",
                          qd_config_index_buffer(q->a->config));
    } else {
        qd_json_field_int(w, "total_indexing_buffer", qd_config_index_buffer(q->a->config));
    }
    qdi_roles_member(id, n->roles, w);
    write_attributes(q->a, w);
    write_storage(q->a, w);
    write_own(q, id, wanted, w);
    qd_json_object_end(w);
}

/* What is wanted of which nodes: /_nodes/x means metrics, if all of x are; else nodes. */
static uint32_t info_wanted(const qd_request *q, qd_str *filter)
{
    uint32_t wanted = INFO_ALL;
    qd_str metric = qd_param(q, "metric");
    *filter = qd_param(q, "node_id");
    if (metric.n) return parse_metrics(metric, &wanted) ? wanted : INFO_ALL;
    if (!filter->n || !parse_metrics(*filter, &wanted)) return INFO_ALL;
    *filter = (qd_str){NULL, 0};
    return wanted;
}

int qdi_part_nodes_info(qd_request *q, qd_json_writer *w, qd_err *err)
{
    qdi_identity id;
    qd_str filter;
    (void)err;
    qdi_identity_get(q->a, &id);
    write_node(q, &id, qd_cluster_self(q->a->cluster), info_wanted(q, &filter), w);
    return 0;
}

int qdi_api_nodes_info(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str filter;
    (void)info_wanted(q, &filter);
    return qdi_nodes_answer(q, filter, NODE_PART_INFO, r, err);
}
