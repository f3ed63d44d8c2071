/* tasks.c: _tasks and _cat/tasks: what the node is doing, and stopping it. */
#include "action/api/cat_table.h"
#include "action/nodes/tasks_int.h"
#include "base/str.h"
#include "base/vec.h"
#include "runtime/task.h"
#include <stdio.h>
#include <string.h>

#define FAMILY_MAX 32u /* generations shown */

/* Names under which Elasticsearch lists what our APIs do; others keep the API's name. */
static const struct {
    const char *api, *action;
} names[] = {
    {"search", "indices:data/read/search"},
    {"msearch", "indices:data/read/msearch"},
    {"scroll", "indices:data/read/scroll"},
    {"count", "indices:data/read/search"},
    {"get", "indices:data/read/get"},
    {"mget", "indices:data/read/mget"},
    {"explain", "indices:data/read/explain"},
    {"bulk", "indices:data/write/bulk"},
    {"index", "indices:data/write/index"},
    {"create", "indices:data/write/index"},
    {"update", "indices:data/write/update"},
    {"delete", "indices:data/write/delete"},
    {"delete_by_query", "indices:data/write/delete/byquery"},
    {"update_by_query", "indices:data/write/update/byquery"},
    {"reindex", "indices:data/write/reindex"},
    {"indices.create", "indices:admin/create"},
    {"indices.delete", "indices:admin/delete"},
    {"indices.refresh", "indices:admin/refresh"},
    {"indices.flush", "indices:admin/flush"},
    {"indices.forcemerge", "indices:admin/forcemerge"},
    {"indices.put_mapping", "indices:admin/mapping/put"},
    {"indices.stats", "indices:monitor/stats"},
    {"tasks.list", "cluster:monitor/tasks/lists"},
    {"cat.tasks", "cluster:monitor/tasks/lists"},
    {"tasks.get", "cluster:monitor/task/get"},
    {"tasks.cancel", "cluster:admin/tasks/cancel"},
    {"cluster.health", "cluster:monitor/health"},
    {"cluster.state", "cluster:monitor/state"},
    {"cluster.stats", "cluster:monitor/stats"},
    {"nodes.info", "cluster:monitor/nodes/info"},
    {"nodes.stats", "cluster:monitor/nodes/stats"},
};

static const char *action_name(const char *api)
{
    for (size_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (strcmp(names[i].api, api) == 0) return names[i].action;
    }
    return api;
}

static void take(void *arg, const qd_task *t)
{
    task_listing *l = arg;
    const char *action = action_name(t->action);
    qd_str parent_node = t->parent_node[0] ? qd_str_c(t->parent_node) : l->a->node_id;
    if (l->actions.n && !qdi_listed(l->actions, qd_str_c(action))) return;
    if (l->only && t->id != l->only) return;
    if (l->parent && (t->parent != l->parent || !qd_str_eq(parent_node, l->parent_node))) return;
    task_seen s = {.id = t->id,
                   .parent = t->parent,
                   .start_wall_ms = t->start_wall_ms,
                   .running_ns = qd_env_mono_ns(l->a->env) - t->start_ns,
                   .done = atomic_load(&t->done),
                   .total = atomic_load(&t->total),
                   .cancellable = t->cancellable,
                   .cancelled = atomic_load(&t->stop) != QD_TASK_RUNNING};
    snprintf(s.node, sizeof s.node, "%.*s", QD_STR_ARG(l->a->node_id));
    snprintf(s.action, sizeof s.action, "%s", action);
    snprintf(s.description, sizeof s.description, "%s", t->description);
    snprintf(s.opaque_id, sizeof s.opaque_id, "%s", t->opaque_id);
    if (t->parent) {
        snprintf(s.parent_node, sizeof s.parent_node, "%.*s", QD_STR_ARG(parent_node));
    }
    if (qd_vec_push(&l->tasks, NULL, s)) l->failed = QD_E_NOMEM;
}

int qdi_tasks_here(const qd_actions *a, task_listing *l, qd_err *err)
{
    l->a = a;
    qd_tasks_each(a->tasks, take, l);
    return l->failed ? qd_err_nomem(err, "tasks") : 0;
}

/* "node:number"; false when it is none. */
static bool parse_id(qd_str text, qd_str *node, uint64_t *id)
{
    ptrdiff_t colon = qd_str_find(text, ':');
    if (colon <= 0) return false;
    *node = qd_str_sub(text, 0, (size_t)colon);
    return qd_str_u64(qd_str_sub(text, (size_t)colon + 1, text.n), id);
}

static int malformed(qd_str id, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "malformed task id %.*s", QD_STR_ARG(id));
}

static int list(qd_request *q, const qd_state *state, task_listing *l, qd_err *err)
{
    qd_str parent = qd_param(q, "parent_task_id");
    l->actions = qd_param(q, "actions");
    if (parent.n && !parse_id(parent, &l->parent_node, &l->parent)) return malformed(parent, err);
    qd_str nodes = qd_param(q, "nodes").n ? qd_param(q, "nodes") : qd_param(q, "node_id");
    return qdi_tasks_gather(q, state, nodes, (qd_str){NULL, 0}, l, err);
}

/* --- writing --- */

static void write_resources(qd_json_writer *w)
{
    static const char *const parts[] = {"average", "total", "min", "max"};
    qd_json_key_c(w, "resource_stats");
    qd_json_object(w);
    for (size_t i = 0; i < QD_COUNT_OF(parts); i++) {
        qd_json_key_c(w, parts[i]);
        qd_json_object(w);
        qd_json_field_int(w, "cpu_time_in_nanos", 0);
        qd_json_field_int(w, "memory_in_bytes", 0);
        qd_json_object_end(w);
    }
    qd_json_key_c(w, "thread_info");
    qd_json_object(w);
    qd_json_field_int(w, "thread_executions", 1);
    qd_json_field_int(w, "active_threads", 1);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static void write_task(const qd_request *q, const task_seen *t, bool detailed, qd_json_writer *w)
{
    qdi_identity id;
    char text[48];
    qdi_identity_get(q->a, &id);
    qd_json_field_c(w, "node", t->node);
    qd_json_field_int(w, "id", (int64_t)t->id);
    qd_json_field_c(w, "type", "transport");
    qd_json_field_c(w, "action", t->action);
    if (t->total) {
        qd_json_key_c(w, "status");
        qd_json_object(w);
        qd_json_field_int(w, "total", (int64_t)t->total);
        qd_json_field_int(w, "done", (int64_t)t->done);
        qd_json_object_end(w);
    }
    if (detailed) qd_json_field_c(w, "description", t->description);
    if (q->human) qd_json_field_c(w, "start_time", qdi_time_text(t->start_wall_ms, text));
    qd_json_field_int(w, "start_time_in_millis", t->start_wall_ms);
    qd_json_field_int(w, "running_time_in_nanos", (int64_t)t->running_ns);
    qd_json_field_bool(w, "cancellable", t->cancellable);
    if (t->cancellable) qd_json_field_bool(w, "cancelled", t->cancelled);
    if (t->parent) {
        qd_json_key_c(w, "parent_task_id");
        qd_json_printf(w, "%s:%llu", t->parent_node, (unsigned long long)t->parent);
    }
    qd_json_key_c(w, "headers");
    qd_json_object(w);
    if (t->opaque_id[0]) qd_json_field_c(w, "X-Opaque-Id", t->opaque_id);
    qd_json_object_end(w);
    if (id.opensearch && detailed) write_resources(w);
}

static void write_key(const task_seen *t, qd_json_writer *w)
{
    char key[96];
    snprintf(key, sizeof key, "%s:%llu", t->node, (unsigned long long)t->id);
    qd_json_key_c(w, key);
}

static const qd_node_meta *node_of(const qd_request *q, const qd_state *s, const char *id)
{
    const qd_node_meta *self = qd_cluster_self(q->a->cluster);
    for (uint32_t i = 0; i < s->nnodes; i++) {
        if (qd_str_is(s->nodes[i].id, id)) return &s->nodes[i];
    }
    return self;
}

/* One node's tasks, from task i on; returns the number behind them. */
static size_t write_node(const qd_request *q, const qd_state *s, const task_listing *l, size_t i,
                         bool detailed, qd_json_writer *w)
{
    const char *node = l->tasks.at[i].node;
    const qd_node_meta *meta = node_of(q, s, node);
    qdi_identity id;
    qdi_identity_get(q->a, &id);
    qd_json_key_c(w, node);
    qd_json_object(w);
    qd_json_field_str(w, "name", meta->name);
    qd_json_field_str(w, "transport_address", meta->transport_address);
    qd_json_field_str(w, "host", meta->host);
    qd_json_field_str(w, "ip", meta->transport_address);
    qdi_roles_member(&id, meta->roles, w);
    qd_json_key_c(w, "tasks");
    qd_json_object(w);
    for (; i < l->tasks.n && strcmp(l->tasks.at[i].node, node) == 0; i++) {
        write_key(&l->tasks.at[i], w);
        qd_json_object(w);
        write_task(q, &l->tasks.at[i], detailed, w);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    qd_json_object_end(w);
    return i;
}

static void write_nodes(const qd_request *q, const qd_state *s, const task_listing *l,
                        bool detailed, qd_json_writer *w)
{
    qd_json_key_c(w, "nodes");
    qd_json_object(w);
    for (size_t i = 0; i < l->tasks.n;) i = write_node(q, s, l, i, detailed, w);
    qd_json_object_end(w);
}

static bool is_child(const task_seen *t, const task_seen *of)
{
    return t->parent == of->id && strcmp(t->parent_node, of->node) == 0;
}

static bool has_parent(const task_listing *l, const task_seen *t)
{
    for (size_t i = 0; t->parent && i < l->tasks.n; i++) {
        if (is_child(t, &l->tasks.at[i])) return true;
    }
    return false;
}

/* A task with those that it began; ids of a node grow from parent to child, and other nodes' tasks
 * have none further down. */
static void write_family(const qd_request *q, const task_listing *l, const task_seen *t,
                         bool detailed, uint32_t depth, qd_json_writer *w)
{
    bool any = false;
    write_task(q, t, detailed, w);
    for (size_t i = 0; i < l->tasks.n && depth < FAMILY_MAX; i++) {
        if (!is_child(&l->tasks.at[i], t)) continue;
        if (!any) {
            qd_json_key_c(w, "children");
            qd_json_array(w);
        }
        any = true;
        qd_json_object(w);
        write_family(q, l, &l->tasks.at[i], detailed, depth + 1, w);
        qd_json_object_end(w);
    }
    if (any) qd_json_array_end(w);
}

/* Grouped as asked for: by node, by parent, or as a plain list. */
static int write_list(const qd_request *q, const qd_state *s, const task_listing *l,
                      qd_json_writer *w, qd_err *err)
{
    qd_str group = qd_param(q, "group_by");
    bool detailed = qd_param_has(q, "detailed") && !qd_str_is(qd_param(q, "detailed"), "false");
    bool parents = qd_str_is(group, "parents"), none = qd_str_is(group, "none");
    if (group.n && !parents && !none && !qd_str_is(group, "nodes")) {
        return qd_err_set(err, QD_E_ARG,
                          "[group_by] must be one of [nodes], [parents] or [none] "
                          "but was [%.*s]",
                          QD_STR_ARG(group));
    }
    qd_json_object(w);
    if (!parents && !none) {
        write_nodes(q, s, l, detailed, w);
    } else {
        qd_json_key_c(w, "tasks");
        parents ? qd_json_object(w) : qd_json_array(w);
        for (size_t i = 0; i < l->tasks.n; i++) {
            const task_seen *t = &l->tasks.at[i];
            if (parents && has_parent(l, t)) continue;
            if (parents) write_key(t, w);
            qd_json_object(w);
            if (parents)
                write_family(q, l, t, detailed, 0, w);
            else
                write_task(q, t, detailed, w);
            qd_json_object_end(w);
        }
        parents ? qd_json_object_end(w) : qd_json_array_end(w);
    }
    qd_json_object_end(w);
    return 0;
}

int qdi_api_tasks_list(qd_request *q, qd_response *r, qd_err *err)
{
    task_listing l = {0};
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = list(q, s, &l, err);
    if (!rc) rc = write_list(q, s, &l, &r->w, err);
    qd_vec_fini(&l.tasks);
    qd_state_unref(s);
    return rc;
}

/* --- one task --- */

static int no_task(const qd_actions *a, const qd_state *s, qd_str text, qd_str node, qd_err *err)
{
    bool known = qd_str_eq(node, a->node_id);
    for (uint32_t i = 0; i < s->nnodes && !known; i++) known = qd_str_eq(node, s->nodes[i].id);
    int rc = known ? qd_err_set(err, QD_E_NOTFOUND,
                                "task [%.*s] isn't running and hasn't stored its results",
                                QD_STR_ARG(text))
                   : qd_err_set(err, QD_E_NOTFOUND,
                                "task [%.*s] belongs to the node [%.*s] which isn't part of the "
                                "cluster and there is no record of the task",
                                QD_STR_ARG(text), QD_STR_ARG(node));
    qd_err_type(err, "resource_not_found_exception", 404);
    return rc;
}

int qdi_api_tasks_get(qd_request *q, qd_response *r, qd_err *err)
{
    task_listing l = {0};
    qd_str text = qd_param(q, "task_id"), node;
    if (!parse_id(text, &node, &l.only)) return malformed(text, err);
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_tasks_gather(q, s, (qd_str){NULL, 0}, node, &l, err);
    if (!rc && !l.tasks.n) {
        rc = no_task(q->a, s, text, node, err);
    } else if (!rc) {
        qd_json_object(&r->w);
        qd_json_field_bool(&r->w, "completed", false);
        qd_json_key_c(&r->w, "task");
        qd_json_object(&r->w);
        write_task(q, &l.tasks.at[0], true, &r->w);
        qd_json_object_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_vec_fini(&l.tasks);
    qd_state_unref(s);
    return rc;
}

/* --- stopping --- */

static int find_cancellable(qd_request *q, const qd_state *s, task_listing *l, qd_err *err)
{
    qd_str text = qd_param(q, "task_id"), node;
    if (!text.n) return list(q, s, l, err);
    if (!parse_id(text, &node, &l->only)) return malformed(text, err);
    int rc = qdi_tasks_gather(q, s, (qd_str){NULL, 0}, node, l, err);
    if (!rc && !l->tasks.n) {
        rc = qd_err_set(err, QD_E_NOTFOUND, "task [%.*s] is not found", QD_STR_ARG(text));
        qd_err_type(err, "resource_not_found_exception", 404);
    } else if (!rc && !l->tasks.at[0].cancellable) {
        rc = qd_err_set(err, QD_E_ARG, "task [%.*s] is not cancellable", QD_STR_ARG(text));
    }
    return rc;
}

/* Leaves in the list what `which` says. */
static void keep(task_listing *l, bool (*which)(const qd_request *q, const task_seen *t),
                 const qd_request *q)
{
    size_t n = 0;
    for (size_t i = 0; i < l->tasks.n; i++) {
        if (which(q, &l->tasks.at[i])) l->tasks.at[n++] = l->tasks.at[i];
    }
    l->tasks.n = n;
}

static bool may_cancel(const qd_request *q, const task_seen *t)
{
    bool own = t->id == q->task.id && qd_str_is(q->a->node_id, t->node);
    return t->cancellable && !own;
}

static bool was_cancelled(const qd_request *q, const task_seen *t)
{
    (void)q;
    return t->cancelled;
}

int qdi_api_tasks_cancel(qd_request *q, qd_response *r, qd_err *err)
{
    task_listing l = {0};
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = find_cancellable(q, s, &l, err);
    if (!rc) {
        keep(&l, may_cancel, q);
        rc = qdi_tasks_cancel(q, s, &l, err);
        keep(&l, was_cancelled, q);
    }
    if (!rc) {
        qd_json_object(&r->w);
        write_nodes(q, s, &l, false, &r->w);
        qd_json_object_end(&r->w);
    }
    qd_vec_fini(&l.tasks);
    qd_state_unref(s);
    return rc;
}

/* --- as a table --- */

static void task_row(cat_table *t, const qd_state *state, const task_seen *x, bool detailed)
{
    const qd_node_meta *node = node_of(t->q, state, x->node);
    int64_t s = x->start_wall_ms / 1000;
    qdi_cat_int(t, (int64_t)x->id);
    qdi_cat_c(t, x->action);
    qdi_cat_printf(t, "%s:%llu", x->node, (unsigned long long)x->id);
    if (x->parent) {
        qdi_cat_printf(t, "%s:%llu", x->parent_node, (unsigned long long)x->parent);
    } else {
        qdi_cat_c(t, "-");
    }
    qdi_cat_c(t, "transport");
    qdi_cat_int(t, x->start_wall_ms);
    qdi_cat_printf(t, "%02d:%02d:%02d", (int)(s / 3600 % 24), (int)(s / 60 % 60), (int)(s % 60));
    qdi_cat_int(t, (int64_t)x->running_ns);
    qdi_cat_ns(t, (int64_t)x->running_ns);
    qdi_cat_c(t, x->node);
    qdi_cat_str(t, qdi_host_of(node->transport_address));
    qdi_cat_int(t, qdi_port_of(node->transport_address));
    qdi_cat_str(t, node->name);
    qdi_cat_str(t, node->version);
    qdi_cat_c(t, x->opaque_id);
    if (detailed) qdi_cat_c(t, x->description);
}

int qdi_api_cat_tasks(qd_request *q, qd_response *r, qd_err *err)
{
    static const cat_column columns[] = {
        {"id", "id", "id of the task with the node", CAT_OFF},
        {"action", "ac", "task action", 0},
        {"task_id", "ti", "unique task id", 0},
        {"parent_task_id", "pti", "parent task id", 0},
        {"type", "ty", "task type", 0},
        {"start_time", "start", "start time in ms", 0},
        {"timestamp", "ts,hms,hhmmss", "start time in HH:MM:SS", 0},
        {"running_time_ns", "time", "running time ns", CAT_OFF},
        {"running_time", "time", "running time", 0},
        {"node_id", "ni", "unique node id", CAT_OFF},
        {"ip", "i", "ip address", 0},
        {"port", "po", "bound transport port", CAT_OFF},
        {"node", "n", "node name", 0},
        {"version", "v", "es version", CAT_OFF},
        {"x_opaque_id", "x", "X-Opaque-ID header", CAT_OFF},
        {"description", "desc", "task action", 0},
    };
    cat_table t;
    task_listing l = {0};
    bool detailed = qd_param_has(q, "detailed") && !qd_str_is(qd_param(q, "detailed"), "false");
    if (qdi_cat_begin(&t, q, columns, QD_COUNT_OF(columns) - !detailed, r)) return 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = list(q, s, &l, err);
    for (size_t i = 0; !rc && i < l.tasks.n; i++) task_row(&t, s, &l.tasks.at[i], detailed);
    qd_vec_fini(&l.tasks);
    qd_state_unref(s);
    if (rc) {
        qdi_cat_fini(&t);
        return rc;
    }
    return qdi_cat_end(&t, r, err);
}
