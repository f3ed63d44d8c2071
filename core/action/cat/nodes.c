/* nodes.c: _cat/nodes, _cat/thread_pool, _cat/plugins, _cat/allocation, _cat/nodeattrs. */
#include "action/api/node_part.h"
#include "action/indices/stats_int.h"
#include "base/str.h"
#include "runtime/proc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- nodes --- */

static void node_columns(cat_table *t, const qdi_identity *id)
{
    static const cat_column first[] = {
        {"id", "id,nodeId", "unique node id", CAT_OFF},
        {"pid", "p", "process id", CAT_OFF},
        {"ip", "i", "ip address", 0},
        {"port", "po", "bound transport port", CAT_OFF},
        {"http_address", "http", "bound http address", CAT_OFF},
        {"version", "v", "es version", CAT_OFF},
        {"type", "t", "es distribution type", CAT_OFF},
        {"build", "b", "es build hash", CAT_OFF},
        {"jdk", "j", "jdk version", CAT_OFF},
        {"disk.total", "dt,diskTotal", "total disk space", CAT_OFF | CAT_RIGHT},
        {"disk.used", "du,diskUsed", "used disk space", CAT_OFF | CAT_RIGHT},
        {"disk.avail", "d,da,disk,diskAvail", "available disk space", CAT_OFF | CAT_RIGHT},
        {"disk.used_percent", "dup,diskUsedPercent", "used disk space percentage",
         CAT_OFF | CAT_RIGHT},
        {"heap.current", "hc,heapCurrent", "used heap", CAT_OFF | CAT_RIGHT},
        {"heap.percent", "hp,heapPercent", "used heap ratio", CAT_RIGHT},
        {"heap.max", "hm,heapMax", "max configured heap", CAT_OFF | CAT_RIGHT},
        {"ram.current", "rc,ramCurrent", "used machine memory", CAT_OFF | CAT_RIGHT},
        {"ram.percent", "rp,ramPercent", "used machine memory ratio", CAT_RIGHT},
        {"ram.max", "rm,ramMax", "total machine memory", CAT_OFF | CAT_RIGHT},
        {"file_desc.current", "fdc,fileDescriptorCurrent", "used file descriptors",
         CAT_OFF | CAT_RIGHT},
        {"file_desc.percent", "fdp,fileDescriptorPercent", "used file descriptor ratio",
         CAT_OFF | CAT_RIGHT},
        {"file_desc.max", "fdm,fileDescriptorMax", "max file descriptors", CAT_OFF | CAT_RIGHT},
        {"cpu", "cpu", "recent cpu usage", CAT_RIGHT},
        {"load_1m", "l", "1m load avg", CAT_RIGHT},
        {"load_5m", "l", "5m load avg", CAT_RIGHT},
        {"load_15m", "l", "15m load avg", CAT_RIGHT},
        {"uptime", "u", "node uptime", CAT_OFF | CAT_RIGHT},
        {"node.role", "r,role,nodeRole",
         "m:master eligible node, d:data node, i:ingest node, -:coordinating node only", 0},
    };
    qdi_cat_columns(t, first, QD_COUNT_OF(first));
    if (id->opensearch) {
        qdi_cat_column(t, "node.roles", "rs,all roles", 0, " -:coordinating node only");
        qdi_cat_column(t, "cluster_manager", "cm,m,master", 0, "*:current cluster manager");
    } else {
        qdi_cat_column(t, "master", "m", 0, "*:current master");
    }
    qdi_cat_column(t, "name", "n", 0, "node name");
    qdi_cat_stat_columns(t, false);
}

static int64_t percent(uint64_t part, uint64_t all)
{
    return all ? (int64_t)((part * 100 + all / 2) / all) : 0;
}

static void disk_cells(cat_table *t)
{
    uint64_t total = 0, available = 0;
    char text[32];
    if (qd_store_capacity(t->q->a->store, &total, &available, NULL)) total = available = 0;
    uint64_t used = total > available ? total - available : 0;
    double part = total ? 100.0 * (double)used / (double)total : 0;
    qdi_cat_bytes(t, (int64_t)total);
    qdi_cat_bytes(t, (int64_t)used);
    qdi_cat_bytes(t, (int64_t)available);
    snprintf(text, sizeof text, "%.2f", part);
    qdi_cat_double(t, part, text);
}

static void memory_cells(cat_table *t)
{
    qd_machine_memory m;
    qd_machine_memory_get(&m);
    int64_t used = qd_account_used(&qd_account_root), most = qd_config_memory(t->q->a->config);
    uint64_t busy = m.total > m.available ? m.total - m.available : 0;
    qdi_cat_bytes(t, used);
    qdi_cat_int(t, percent((uint64_t)used, (uint64_t)most));
    qdi_cat_bytes(t, most);
    qdi_cat_bytes(t, (int64_t)busy);
    qdi_cat_int(t, percent(busy, m.total));
    qdi_cat_bytes(t, (int64_t)m.total);
    uint64_t files = qd_proc_open_files(), files_max = qd_proc_max_files();
    qdi_cat_int(t, (int64_t)files);
    qdi_cat_int(t, percent(files, files_max));
    qdi_cat_int(t, (int64_t)files_max);
}

static void load_cells(cat_table *t)
{
    double load[3];
    bool known = qd_machine_load(load);
    int cpu = qd_machine_cpu_percent();
    qdi_cat_int(t, cpu < 0 ? 0 : cpu);
    for (int i = 0; i < 3; i++) {
        char text[32];
        if (!known) {
            qdi_cat_null(t);
            continue;
        }
        snprintf(text, sizeof text, "%.2f", load[i]);
        qdi_cat_double(t, load[i], text);
    }
}

/* "data,ingest,master": names of the roles, joined. */
static void role_names(cat_table *t, const qdi_identity *id, qd_str letters)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, 512);
    qd_json_writer_init(&w, &b, false);
    qd_json_array(&w);
    qdi_roles_write(id, letters, &w);
    qd_json_array_end(&w);
    size_t n = 0;
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] != '[' && b.p[i] != ']' && b.p[i] != '"') b.p[n++] = b.p[i];
    }
    qdi_cat_str(t, n ? (qd_str){b.p, n} : QD_STR("-"));
    qd_buf_fini(&b);
}

static void node_row(cat_table *t, const qdi_identity *id, const qd_node_meta *n)
{
    const qd_actions *a = t->q->a;
    bool full = qd_param_has(t->q, "full_id") && !qd_str_is(qd_param(t->q, "full_id"), "false");
    qdi_stats sum;
    qdi_stats_of_node(t->q->a, &sum);
    qdi_cat_str(t, full ? n->id : qd_str_sub(n->id, 0, 4));
    qdi_cat_int(t, qd_proc_pid());
    qdi_cat_str(t, qdi_host_of(n->transport_address));
    qdi_cat_int(t, qdi_port_of(n->transport_address));
    qdi_cat_str(t, n->http_address);
    qdi_cat_str(t, id->number);
    qdi_cat_c(t, "tar");
    qdi_cat_c(t, id->build_hash);
    qdi_cat_c(t, "-");
    disk_cells(t);
    memory_cells(t);
    load_cells(t);
    qdi_cat_ns(t, (int64_t)(qd_env_mono_ns(a->env) - a->start_ns));
    qdi_cat_str(t, n->roles.n ? n->roles : QD_STR("-"));
    if (id->opensearch) role_names(t, id, n->roles);
    qdi_cat_c(t, qdi_is_master(a, n->id) ? "*" : "-");
    qdi_cat_str(t, n->name);
    for (size_t i = 0; i < QDI_STAT_COLUMNS; i++) {
        qdi_cat_stat(t, &sum, i);
    }
}

void qdi_part_cat_nodes(cat_table *t)
{
    qdi_identity id;
    qdi_identity_get(t->q->a, &id);
    if (!t->columns.n) node_columns(t, &id);
    node_row(t, &id, qd_cluster_self(t->q->a->cluster));
}

/* Ends a table that nodes fill. */
static int cat_of_nodes(cat_table *t, qd_str filter, node_part part, qd_response *r, qd_err *err)
{
    qd_state *s = qd_cluster_state(t->q->a->cluster);
    int rc = qdi_node_rows(t, s, filter, part, err);
    qd_state_unref(s);
    if (rc) {
        qdi_cat_fini(t);
        return rc;
    }
    return qdi_cat_end(t, r, err);
}

int qdi_api_cat_nodes(qd_request *q, qd_response *r, qd_err *err)
{
    cat_table t;
    qdi_identity id;
    qdi_identity_get(q->a, &id);
    qdi_cat_init(&t, q);
    node_columns(&t, &id);
    if (qdi_cat_help(&t, r)) return 0;
    return cat_of_nodes(&t, QD_STR(""), NODE_PART_CAT_NODES, r, err);
}

/* --- thread pools --- */

static void pool_row(cat_table *t, const qd_node_meta *self, const qd_pool_stats *p)
{
    bool bounded = p->queue_max != UINT32_MAX;
    qdi_cat_str(t, self->name);
    qdi_cat_str(t, self->id);
    qdi_cat_str(t, self->id);
    qdi_cat_int(t, qd_proc_pid());
    qdi_cat_str(t, self->host);
    qdi_cat_str(t, qdi_host_of(self->transport_address));
    qdi_cat_int(t, qdi_port_of(self->transport_address));
    qdi_cat_c(t, p->name);
    qdi_cat_c(t, "fixed");
    qdi_cat_int(t, p->active);
    qdi_cat_int(t, p->threads);
    qdi_cat_int(t, p->queue);
    bounded ? qdi_cat_int(t, p->queue_max) : qdi_cat_int(t, -1);
    qdi_cat_int(t, (int64_t)p->rejected);
    qdi_cat_int(t, p->largest);
    qdi_cat_int(t, (int64_t)p->completed);
    qdi_cat_null(t);
    qdi_cat_null(t);
    qdi_cat_int(t, p->threads_max);
    qdi_cat_null(t);
}

static int by_name(const void *a, const void *b)
{
    const qd_pool_stats *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void pool_columns(cat_table *t)
{
    static const cat_column list[] = {
        {"node_name", "nn", "node name", 0},
        {"node_id", "id", "persistent node id", CAT_OFF},
        {"ephemeral_node_id", "eid", "ephemeral node id", CAT_OFF},
        {"pid", "p", "process id", CAT_OFF},
        {"host", "h", "host name", CAT_OFF},
        {"ip", "i", "ip address", CAT_OFF},
        {"port", "po", "bound transport port", CAT_OFF},
        {"name", "n", "thread pool name", 0},
        {"type", "t", "thread pool type", CAT_OFF},
        {"active", "a", "number of active threads", CAT_RIGHT},
        {"pool_size", "psz", "number of threads", CAT_OFF | CAT_RIGHT},
        {"queue", "q", "number of tasks currently in queue", CAT_RIGHT},
        {"queue_size", "qs", "maximum number of tasks permitted in queue", CAT_OFF | CAT_RIGHT},
        {"rejected", "r", "number of rejected tasks", CAT_RIGHT},
        {"largest", "l", "highest number of seen active threads", CAT_OFF | CAT_RIGHT},
        {"completed", "c", "number of completed tasks", CAT_OFF | CAT_RIGHT},
        {"core", "cr", "core number of threads in a scaling thread pool", CAT_OFF | CAT_RIGHT},
        {"max", "mx", "maximum number of threads in a scaling thread pool", CAT_OFF | CAT_RIGHT},
        {"size", "sz", "number of threads in a fixed thread pool", CAT_OFF | CAT_RIGHT},
        {"keep_alive", "ka", "thread keep alive time", CAT_OFF | CAT_RIGHT},
    };
    qdi_cat_columns(t, list, QD_COUNT_OF(list));
}

void qdi_part_cat_pools(cat_table *t)
{
    qd_pool_stats stats[QD_POOLS_MAX];
    const qd_pools *pools = t->q->a->pools;
    if (!t->columns.n) pool_columns(t);
    for (uint32_t i = 0; i < pools->n; i++) qd_pool_stats_get(pools->at[i], &stats[i]);
    qsort(stats, pools->n, sizeof stats[0], by_name);
    for (uint32_t i = 0; i < pools->n; i++) {
        if (qdi_listed(qd_param(t->q, "thread_pool_patterns"), qd_str_c(stats[i].name))) {
            pool_row(t, qd_cluster_self(t->q->a->cluster), &stats[i]);
        }
    }
}

int qdi_api_cat_thread_pool(qd_request *q, qd_response *r, qd_err *err)
{
    cat_table t;
    qdi_cat_init(&t, q);
    pool_columns(&t);
    if (qdi_cat_help(&t, r)) return 0;
    return cat_of_nodes(&t, QD_STR(""), NODE_PART_CAT_POOLS, r, err);
}

/* --- plugins --- */

static void plugin_columns(cat_table *t)
{
    static const cat_column list[] = {
        {"id", NULL, "unique node id", CAT_OFF},
        {"name", "n", "node name", 0},
        {"component", "c", "component", 0},
        {"version", "v", "component version", 0},
        {"description", "d", "plugin details", CAT_OFF},
    };
    qdi_cat_columns(t, list, QD_COUNT_OF(list));
}

void qdi_part_cat_plugins(cat_table *t)
{
    const qd_actions *a = t->q->a;
    if (!t->columns.n) plugin_columns(t);
    size_t n = a->plugins ? qd_plugin_count(a->plugins) : 0;
    for (size_t i = 0; i < n; i++) {
        qd_plugin_info p;
        qd_plugin_info_get(a->plugins, i, &p);
        if (p.builtin || p.state == QD_PLUGIN_REFUSED) continue;
        qdi_cat_str(t, a->node_id);
        qdi_cat_str(t, a->node_name);
        qdi_cat_c(t, p.name);
        qdi_cat_c(t, p.version);
        qdi_cat_printf(t, "%s %s", p.license, p.sha256);
    }
}

int qdi_api_cat_plugins(qd_request *q, qd_response *r, qd_err *err)
{
    cat_table t;
    qdi_cat_init(&t, q);
    plugin_columns(&t);
    if (qdi_cat_help(&t, r)) return 0;
    return cat_of_nodes(&t, QD_STR(""), NODE_PART_CAT_PLUGINS, r, err);
}

/* --- allocation --- */

static void allocation_columns(cat_table *t, const qdi_identity *id)
{
    bool es8 = id->product == QDI_ES8 || id->product == QDI_ES9;
    qdi_cat_column(t, "shards", "s", CAT_RIGHT, "number of shards on node");
    if (es8) {
        qdi_cat_column(t, "shards.undesired", NULL, CAT_RIGHT,
                       "number of shards that are scheduled to be moved elsewhere in the cluster");
        qdi_cat_column(t, "write_load.forecast", "wlf,writeLoadForecast", CAT_RIGHT,
                       "sum of index write load forecasts");
        qdi_cat_column(t, "disk.indices.forecast", "dif,diskIndicesForecast", CAT_RIGHT,
                       "sum of shard size forecasts");
    }
    static const cat_column list[] = {
        {"disk.indices", "di,diskIndices", "disk used by ES indices", CAT_RIGHT},
        {"disk.used", "du,diskUsed", "disk used (total, not just ES)", CAT_RIGHT},
        {"disk.avail", "da,diskAvail", "disk available", CAT_RIGHT},
        {"disk.total", "dt,diskTotal", "total capacity of all volumes", CAT_RIGHT},
        {"disk.percent", "dp,diskPercent", "percent disk used", CAT_RIGHT},
        {"host", "h", "host of node", 0},
        {"ip", NULL, "ip of node", 0},
        {"node", "n", "name of node", 0},
    };
    qdi_cat_columns(t, list, QD_COUNT_OF(list));
    if (es8) qdi_cat_column(t, "node.role", "r,role,nodeRole", 0, "node roles");
}

static void allocation_row(cat_table *t, const qdi_identity *id, const qd_node_meta *n)
{
    uint64_t total = 0, available = 0;
    qdi_stats sum;
    bool es8 = id->product == QDI_ES8 || id->product == QDI_ES9;
    qdi_stats_of_node(t->q->a, &sum);
    if (qd_store_capacity(t->q->a->store, &total, &available, NULL)) total = available = 0;
    qdi_cat_int(t, sum.v[QDI_SHARDS]);
    if (es8) {
        qdi_cat_int(t, 0);
        qdi_cat_double(t, 0, "0.0");
        qdi_cat_bytes(t, sum.v[QDI_STORE]);
    }
    qdi_cat_bytes(t, sum.v[QDI_STORE]);
    qdi_cat_bytes(t, (int64_t)(total - available));
    qdi_cat_bytes(t, (int64_t)available);
    qdi_cat_bytes(t, (int64_t)total);
    qdi_cat_int(t, total ? (int64_t)((total - available) * 100 / total) : 0);
    qdi_cat_str(t, n->host);
    qdi_cat_str(t, qdi_host_of(n->transport_address));
    qdi_cat_str(t, n->name);
    if (es8) qdi_cat_str(t, n->roles);
}

void qdi_part_cat_allocation(cat_table *t)
{
    qdi_identity id;
    const qd_node_meta *self = qd_cluster_self(t->q->a->cluster);
    qdi_identity_get(t->q->a, &id);
    if (!t->columns.n) allocation_columns(t, &id);
    if (qd_node_is_data(self)) allocation_row(t, &id, self);
}

int qdi_api_cat_allocation(qd_request *q, qd_response *r, qd_err *err)
{
    cat_table t;
    qdi_identity id;
    qdi_health h;
    qd_resolved all;
    qdi_identity_get(q->a, &id);
    qdi_cat_init(&t, q);
    allocation_columns(&t, &id);
    if (qdi_cat_help(&t, r)) return 0;
    qd_str filter = qd_param(q, "node_id");
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_node_rows(&t, s, filter, NODE_PART_CAT_ALLOCATION, err);
    if (!rc)
        rc = qd_state_resolve(s, (qd_str){NULL, 0}, QD_INDICES_ALL | QD_EXPAND_HIDDEN, q->arena,
                              &all, err);
    if (!rc) qdi_health_of(s, &all, &h);
    qd_state_unref(s);
    if (rc) {
        qdi_cat_fini(&t);
        return rc;
    }
    if (h.unassigned && !filter.n) {
        qdi_cat_int(&t, h.unassigned);
        size_t blank = t.columns.n - 2 - (t.columns.n > 9);
        for (size_t i = 0; i < blank; i++) qdi_cat_null(&t);
        qdi_cat_c(&t, "UNASSIGNED");
        if (t.columns.n > 9) qdi_cat_null(&t);
    }
    return qdi_cat_end(&t, r, err);
}

/* --- attributes of nodes --- */

int qdi_api_cat_nodeattrs(qd_request *q, qd_response *r, qd_err *err)
{
    static const cat_column list[] = {
        {"node", "name", "node name", 0},
        {"id", "id,nodeId", "unique node id", CAT_OFF},
        {"pid", "p", "process id", CAT_OFF},
        {"host", "h", "host name", 0},
        {"ip", "i", "ip address", 0},
        {"port", "po", "bound transport port", CAT_OFF},
        {"attr", "attr.name", "attribute description", 0},
        {"value", "attr.value", "attribute value", 0},
    };
    cat_table t;
    bool full = qd_param_has(q, "full_id") && !qd_str_is(qd_param(q, "full_id"), "false");
    if (qdi_cat_begin(&t, q, list, QD_COUNT_OF(list), r)) return 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    for (uint32_t k = 0; k < s->nnodes; k++) {
        const qd_node_meta *n = &s->nodes[k];
        for (uint32_t i = 0; i < n->nattributes; i++) {
            qdi_cat_str(&t, n->name);
            qdi_cat_str(&t, full ? n->id : qd_str_sub(n->id, 0, 4));
            qd_str_eq(n->id, q->a->node_id) ? qdi_cat_int(&t, qd_proc_pid()) : qdi_cat_null(&t);
            qdi_cat_str(&t, n->host);
            qdi_cat_str(&t, qdi_host_of(n->transport_address));
            qdi_cat_int(&t, qdi_port_of(n->transport_address));
            qdi_cat_str(&t, n->attributes[i].key);
            qdi_cat_str(&t, n->attributes[i].value);
        }
    }
    qd_state_unref(s);
    return qdi_cat_end(&t, r, err);
}
