/* cluster.c: _cat/health, _cat/count, _cat/master, _cat itself. */
#include "action/api/cat_table.h"
#include "action/indices/copy_stats.h"
#include "base/str.h"

/* --- health --- */

static void health_columns(cat_table *t, const qdi_identity *id)
{
    bool ts = !qd_str_is(qd_param(t->q, "ts"), "false");
    if (ts) {
        qdi_cat_column(t, "epoch", "t,time", 0, "seconds since 1970-01-01 00:00:00");
        qdi_cat_column(t, "timestamp", "ts,hms,hhmmss", 0, "time in HH:MM:SS");
    }
    qdi_cat_column(t, "cluster", "cl", 0, "cluster name");
    qdi_cat_column(t, "status", "st", 0, "health status");
    qdi_cat_column(t, "node.total", "nt,nodeTotal", CAT_RIGHT, "total number of nodes");
    qdi_cat_column(t, "node.data", "nd,nodeData", CAT_RIGHT, "number of nodes that can store data");
    if (id->opensearch) {
        qdi_cat_column(t, "discovered_cluster_manager", "dcm,dm", CAT_RIGHT,
                       "cluster manager is discovered or not");
    }
    qdi_cat_column(t, "shards", "t,sh,shards.total,shardsTotal", CAT_RIGHT,
                   "total number of shards");
    qdi_cat_column(t, "pri", "p,shards.primary,shardsPrimary", CAT_RIGHT,
                   "number of primary shards");
    qdi_cat_column(t, "relo", "r,shards.relocating,shardsRelocating", CAT_RIGHT,
                   "number of relocating nodes");
    qdi_cat_column(t, "init", "i,shards.initializing,shardsInitializing", CAT_RIGHT,
                   "number of initializing nodes");
    qdi_cat_column(t, "unassign", "u,shards.unassigned,shardsUnassigned", CAT_RIGHT,
                   "number of unassigned shards");
    if (qdi_identity_unassigned_primaries(id)) {
        qdi_cat_column(t, "unassign.pri", "up,shards.unassigned.primary,shardsUnassignedPrimary",
                       CAT_RIGHT, "number of unassigned primary shards");
    }
    qdi_cat_column(t, "pending_tasks", "pt,pendingTasks", CAT_RIGHT, "number of pending tasks");
    qdi_cat_column(t, "max_task_wait_time", "mtwt,maxTaskWaitTime", CAT_RIGHT,
                   "wait time of longest task pending");
    qdi_cat_column(t, "active_shards_percent", "asp,activeShardsPercent", CAT_RIGHT,
                   "active number of shards in percent");
    qdi_cat_column(t, "disk_full_nodes", "dfn,diskFullNodes", CAT_RIGHT | CAT_OFF | CAT_OWN,
                   "nodes that refuse writes because their disk is full");
}

static void clock_cells(cat_table *t)
{
    int64_t s = qd_env_wall_ms(t->q->a->env) / 1000;
    qdi_cat_int(t, s);
    qdi_cat_printf(t, "%02d:%02d:%02d", (int)(s / 3600 % 24), (int)(s / 60 % 60), (int)(s % 60));
}

static void health_row(cat_table *t, const qdi_identity *id, const qdi_health *h)
{
    qd_cluster *c = t->q->a->cluster;
    if (!qd_str_is(qd_param(t->q, "ts"), "false")) clock_cells(t);
    qdi_cat_str(t, qd_cluster_name(c));
    qdi_cat_c(t, qd_health_name(h->status));
    qdi_cat_int(t, h->nodes);
    qdi_cat_int(t, h->data_nodes);
    if (id->opensearch) qdi_cat_c(t, "true");
    qdi_cat_int(t, h->active);
    qdi_cat_int(t, h->active_primaries);
    qdi_cat_int(t, h->relocating);
    qdi_cat_int(t, h->initializing);
    qdi_cat_int(t, h->unassigned);
    if (qdi_identity_unassigned_primaries(id)) qdi_cat_int(t, h->unassigned_primaries);
    qdi_cat_int(t, qd_cluster_pending(c));
    qdi_cat_c(t, "-");
    qdi_cat_printf(t, "%1.1f%%", qdi_health_percent(h));
    qdi_cat_int(t, h->full_nodes);
}

int qdi_api_cat_health(qd_request *q, qd_response *r, qd_err *err)
{
    cat_table t;
    qdi_identity id;
    qdi_health h;
    qd_resolved all;
    qdi_identity_get(q->a, &id);
    qdi_cat_init(&t, q);
    health_columns(&t, &id);
    if (qdi_cat_help(&t, r)) return 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_state_resolve(s, (qd_str){NULL, 0}, QD_INDICES_ALL | QD_EXPAND_HIDDEN, q->arena,
                              &all, err);
    if (!rc) {
        qdi_health_of(s, &all, &h);
        health_row(&t, &id, &h);
    }
    qd_state_unref(s);
    if (rc) {
        qdi_cat_fini(&t);
        return rc;
    }
    return qdi_cat_end(&t, r, err);
}

/* --- count --- */

int qdi_api_cat_count(qd_request *q, qd_response *r, qd_err *err)
{
    cat_table t;
    qd_resolved found;
    copy_stats_list f;
    int64_t n = 0;
    qdi_cat_init(&t, q);
    qdi_cat_column(&t, "epoch", "t,time", 0, "seconds since 1970-01-01 00:00:00");
    qdi_cat_column(&t, "timestamp", "ts,hms,hhmmss", 0, "time in HH:MM:SS");
    qdi_cat_column(&t, "count", "dc,docs.count,docsCount", 0, "the document count");
    if (qdi_cat_help(&t, r)) return 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_indices(q, s, QD_INDICES_SEARCH, &found, err);
    if (!rc) rc = qdi_copy_stats_collect(q, s, &found, 0, &f, err);
    for (uint32_t i = 0; !rc && i < found.n; i++) {
        qdi_stats pri, all;
        uint32_t open;
        qdi_copy_stats_sum(&f, s, found.at[i], &pri, &all, &open);
        n += pri.v[QDI_DOCS];
    }
    qd_state_unref(s);
    if (rc) {
        qdi_cat_fini(&t);
        return rc;
    }
    clock_cells(&t);
    qdi_cat_int(&t, n);
    return qdi_cat_end(&t, r, err);
}

/* --- master --- */

int qdi_api_cat_master(qd_request *q, qd_response *r, qd_err *err)
{
    cat_table t;
    qdi_cat_init(&t, q);
    qdi_cat_column(&t, "id", NULL, 0, "node id");
    qdi_cat_column(&t, "host", "h", 0, "host name");
    qdi_cat_column(&t, "ip", NULL, 0, "ip address");
    qdi_cat_column(&t, "node", "n", 0, "node name");
    if (qdi_cat_help(&t, r)) return 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    const qd_node_meta *master = qdi_master(s);
    if (master) {
        qdi_cat_str(&t, master->id);
        qdi_cat_str(&t, master->host);
        qdi_cat_str(&t, qdi_host_of(master->transport_address));
        qdi_cat_str(&t, master->name);
    } else {
        qdi_cat_c(&t, "-");
        for (int i = 0; i < 3; i++) qdi_cat_null(&t);
    }
    qd_state_unref(s);
    return qdi_cat_end(&t, r, err);
}

/* --- the list of tables --- */

int qdi_api_cat(qd_request *q, qd_response *r, qd_err *err)
{
    (void)q;
    (void)err;
    r->format = QD_FORMAT_TEXT;
    (void)qd_buf_c(r->out, "=^.^=\n");
    for (uint32_t i = 0; i < qd_apis_n; i++) {
        qd_str name = qd_str_c(qd_apis[i].name);
        if (!qd_str_starts(name, QD_STR("cat.")) || qd_apis[i].run == qdi_api_cat) continue;
        for (qd_str rest = qd_str_c(qd_apis[i].paths); rest.p;) {
            (void)qd_buf_str(r->out, qd_str_split(&rest, ';'));
            (void)qd_buf_char(r->out, '\n');
        }
    }
    return 0;
}
