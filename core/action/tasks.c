/* tasks.c: _tasks and _cat/tasks: what the node is doing, and stopping it. */
#include "action/cat_table.h"
#include "base/str.h"
#include "base/vec.h"
#include "runtime/task.h"
#include <stdio.h>
#include <string.h>

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

/* A task as it was when the list was made. */
typedef struct seen {
    uint64_t id, parent;
    const char *action;
    char description[256], opaque_id[64], parent_node[32];
    int64_t start_wall_ms;
    uint64_t start_ns, done, total;
    bool cancellable, cancelled;
} seen;

typedef struct listing {
    QD_VEC(seen) tasks;
    qd_str actions; /* patterns; empty: all */
    uint64_t only, parent;
    int failed;
} listing;

static void take(void *arg, const qd_task *t)
{
    listing *l = arg;
    const char *action = action_name(t->action);
    if (l->actions.n && !qdi_listed(l->actions, qd_str_c(action))) return;
    if (l->only && t->id != l->only) return;
    if (l->parent && t->parent != l->parent) return;
    seen s = {.id = t->id,
              .parent = t->parent,
              .action = action,
              .start_wall_ms = t->start_wall_ms,
              .start_ns = t->start_ns,
              .done = atomic_load(&t->done),
              .total = atomic_load(&t->total),
              .cancellable = t->cancellable,
              .cancelled = atomic_load(&t->stop) != QD_TASK_RUNNING};
    snprintf(s.description, sizeof s.description, "%s", t->description);
    snprintf(s.opaque_id, sizeof s.opaque_id, "%s", t->opaque_id);
    snprintf(s.parent_node, sizeof s.parent_node, "%s", t->parent_node);
    if (qd_vec_push(&l->tasks, NULL, s)) l->failed = QD_E_NOMEM;
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

static int list(qd_request *q, listing *l, qd_err *err)
{
    qd_str parent = qd_param(q, "parent_task_id"), node;
    l->actions = qd_param(q, "actions");
    if (parent.n && !parse_id(parent, &node, &l->parent)) return malformed(parent, err);
    qd_str nodes = qd_param(q, "nodes").n ? qd_param(q, "nodes") : qd_param(q, "node_id");
    if (!qdi_node_wanted(q->a, nodes, qd_cluster_self(q->a->cluster))) return 0;
    qd_tasks_each(q->a->tasks, take, l);
    return l->failed ? qd_err_nomem(err, "tasks") : 0;
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

static void write_task(const qd_request *q, const seen *t, bool detailed, qd_json_writer *w)
{
    qdi_identity id;
    char text[48];
    uint64_t running = qd_env_mono_ns(q->a->env) - t->start_ns;
    qdi_identity_get(q->a, &id);
    qd_json_object(w);
    qd_json_field_str(w, "node", q->a->node_id);
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
    qd_json_field_int(w, "running_time_in_nanos", (int64_t)running);
    qd_json_field_bool(w, "cancellable", t->cancellable);
    if (t->cancellable) qd_json_field_bool(w, "cancelled", t->cancelled);
    if (t->parent) {
        qd_json_key_c(w, "parent_task_id");
        qd_json_printf(w, "%s:%llu", t->parent_node[0] ? t->parent_node : q->a->node_id.p,
                       (unsigned long long)t->parent);
    }
    qd_json_key_c(w, "headers");
    qd_json_object(w);
    if (t->opaque_id[0]) qd_json_field_c(w, "X-Opaque-Id", t->opaque_id);
    qd_json_object_end(w);
    if (id.opensearch && detailed) write_resources(w);
    qd_json_object_end(w);
}

static void write_key(const qd_request *q, const seen *t, qd_json_writer *w)
{
    char key[96];
    snprintf(key, sizeof key, "%.*s:%llu", QD_STR_ARG(q->a->node_id), (unsigned long long)t->id);
    qd_json_key_c(w, key);
}

static void write_node(const qd_request *q, const listing *l, bool detailed, qd_json_writer *w)
{
    const qd_node_meta *self = qd_cluster_self(q->a->cluster);
    qdi_identity id;
    qdi_identity_get(q->a, &id);
    qd_json_key_c(w, "nodes");
    qd_json_object(w);
    if (l->tasks.n) {
        qd_json_key(w, self->id);
        qd_json_object(w);
        qd_json_field_str(w, "name", self->name);
        qd_json_field_str(w, "transport_address", self->transport_address);
        qd_json_field_str(w, "host", self->host);
        qd_json_field_str(w, "ip", self->http_address);
        qd_json_key_c(w, "roles");
        qd_json_array(w);
        qdi_roles_write(&id, self->roles, w);
        qd_json_array_end(w);
        qd_json_key_c(w, "tasks");
        qd_json_object(w);
        for (size_t i = 0; i < l->tasks.n; i++) {
            write_key(q, &l->tasks.at[i], w);
            write_task(q, &l->tasks.at[i], detailed, w);
        }
        qd_json_object_end(w);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
}

/* Grouped as asked for: by node, by parent (children are none here), or as a plain list. */
static int write_list(const qd_request *q, const listing *l, qd_json_writer *w, qd_err *err)
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
        write_node(q, l, detailed, w);
    } else {
        qd_json_key_c(w, "tasks");
        parents ? qd_json_object(w) : qd_json_array(w);
        for (size_t i = 0; i < l->tasks.n; i++) {
            if (parents) write_key(q, &l->tasks.at[i], w);
            write_task(q, &l->tasks.at[i], detailed, w);
        }
        parents ? qd_json_object_end(w) : qd_json_array_end(w);
    }
    qd_json_object_end(w);
    return 0;
}

int qdi_api_tasks_list(qd_request *q, qd_response *r, qd_err *err)
{
    listing l = {0};
    int rc = list(q, &l, err);
    if (!rc) rc = write_list(q, &l, &r->w, err);
    qd_vec_fini(&l.tasks);
    return rc;
}

/* --- one task --- */

static int no_task(const qd_actions *a, qd_str text, qd_str node, qd_err *err)
{
    int rc = qd_str_eq(node, a->node_id)
                 ? qd_err_set(err, QD_E_NOTFOUND,
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
    listing l = {0};
    qd_str text = qd_param(q, "task_id"), node;
    if (!parse_id(text, &node, &l.only)) return malformed(text, err);
    int rc = 0;
    if (qd_str_eq(node, q->a->node_id)) qd_tasks_each(q->a->tasks, take, &l);
    if (!l.tasks.n) {
        rc = no_task(q->a, text, node, err);
    } else {
        qd_json_object(&r->w);
        qd_json_field_bool(&r->w, "completed", false);
        qd_json_key_c(&r->w, "task");
        write_task(q, &l.tasks.at[0], true, &r->w);
        qd_json_object_end(&r->w);
    }
    qd_vec_fini(&l.tasks);
    return rc;
}

/* --- stopping --- */

static int find_cancellable(qd_request *q, listing *l, qd_err *err)
{
    qd_str text = qd_param(q, "task_id"), node;
    if (text.n) {
        if (!parse_id(text, &node, &l->only)) return malformed(text, err);
        if (qd_str_eq(node, q->a->node_id)) qd_tasks_each(q->a->tasks, take, l);
        if (!l->tasks.n) {
            int rc = qd_err_set(err, QD_E_NOTFOUND, "task [%.*s] is not found", QD_STR_ARG(text));
            qd_err_type(err, "resource_not_found_exception", 404);
            return rc;
        }
        if (!l->tasks.at[0].cancellable) {
            return qd_err_set(err, QD_E_ARG, "task [%.*s] is not cancellable", QD_STR_ARG(text));
        }
        return 0;
    }
    return list(q, l, err);
}

int qdi_api_tasks_cancel(qd_request *q, qd_response *r, qd_err *err)
{
    listing l = {0}, stopped = {0};
    int rc = find_cancellable(q, &l, err);
    for (size_t i = 0; !rc && i < l.tasks.n; i++) {
        seen *t = &l.tasks.at[i];
        if (!t->cancellable || t->id == q->task.id) continue;
        if (qd_tasks_cancel_id(q->a->tasks, t->id, "by user request", NULL)) continue;
        t->cancelled = true;
        if (qd_vec_push(&stopped.tasks, NULL, *t)) rc = qd_err_nomem(err, "tasks");
    }
    if (!rc) {
        qd_json_object(&r->w);
        write_node(q, &stopped, false, &r->w);
        qd_json_object_end(&r->w);
    }
    qd_vec_fini(&l.tasks);
    qd_vec_fini(&stopped.tasks);
    return rc;
}

/* --- as a table --- */

static void task_row(cat_table *t, const seen *x, bool detailed)
{
    const qd_node_meta *self = qd_cluster_self(t->q->a->cluster);
    int64_t s = x->start_wall_ms / 1000;
    int64_t running = (int64_t)(qd_env_mono_ns(t->q->a->env) - x->start_ns);
    qdi_cat_int(t, (int64_t)x->id);
    qdi_cat_c(t, x->action);
    qdi_cat_printf(t, "%.*s:%llu", QD_STR_ARG(self->id), (unsigned long long)x->id);
    if (x->parent) {
        qdi_cat_printf(t, "%.*s:%llu", QD_STR_ARG(self->id), (unsigned long long)x->parent);
    } else {
        qdi_cat_c(t, "-");
    }
    qdi_cat_c(t, "transport");
    qdi_cat_int(t, x->start_wall_ms);
    qdi_cat_printf(t, "%02d:%02d:%02d", (int)(s / 3600 % 24), (int)(s / 60 % 60), (int)(s % 60));
    qdi_cat_int(t, running);
    qdi_cat_ns(t, running);
    qdi_cat_str(t, self->id);
    qdi_cat_str(t, qdi_host_of(self->http_address));
    qdi_cat_int(t, qdi_port_of(self->transport_address));
    qdi_cat_str(t, self->name);
    qdi_cat_str(t, self->version);
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
    listing l = {0};
    bool detailed = qd_param_has(q, "detailed") && !qd_str_is(qd_param(q, "detailed"), "false");
    qdi_cat_init(&t, q);
    qdi_cat_columns(&t, columns, QD_COUNT_OF(columns) - !detailed);
    if (qdi_cat_help(&t, r)) return 0;
    int rc = list(q, &l, err);
    for (size_t i = 0; !rc && i < l.tasks.n; i++) task_row(&t, &l.tasks.at[i], detailed);
    qd_vec_fini(&l.tasks);
    if (rc) {
        qdi_cat_fini(&t);
        return rc;
    }
    return qdi_cat_end(&t, r, err);
}
