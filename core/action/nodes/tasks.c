/* tasks.c: _tasks and _cat/tasks: what the node is doing, and stopping it. */
#include "action/api/cat_table.h"
#include "action/api/forward_int.h"
#include "action/byquery/byquery.h"
#include "action/nodes/tasks_int.h"
#include "base/str.h"
#include "base/vec.h"
#include "runtime/task.h"
#include "runtime/waitq.h"
#include <stdio.h>
#include <string.h>

#define FAMILY_MAX 32u /* generations shown */
#define STATUS_MAX ((size_t)64 << 10)
#define WAIT_MS 30000 /* for a task's end */
#define LOOK_NS UINT64_C(50000000)

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
    {"indices.shrink", "indices:admin/resize"},
    {"indices.split", "indices:admin/resize"},
    {"indices.clone", "indices:admin/resize"},
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
    if (t->status) {
        qd_buf b;
        qd_buf_init(&b, NULL, STATUS_MAX);
        t->status(t, &b);
        if (!qd_buf_status(&b) && !qd_buf_char(&b, 0)) s.status = qd_buf_take(&b, NULL);
        qd_buf_fini(&b);
    }
    if (!qd_vec_push(&l->tasks, NULL, s)) return;
    qd_free(s.status);
    l->failed = QD_E_NOMEM;
}

void qdi_tasks_free(task_listing *l)
{
    for (size_t i = 0; i < l->tasks.n; i++) qd_free(l->tasks.at[i].status);
    qd_vec_fini(&l->tasks);
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
    if (t->status) {
        qd_json_key_c(w, "status");
        qd_json_raw_value(w, qd_str_c(t->status));
    } else if (t->total) {
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
    qdi_tasks_free(&l);
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

/* What the index .tasks has of it, but for what its next node needs. false: nothing. */
static int write_record(qd_request *q, qd_str text, qd_json_writer *w, bool *found, bool *over,
                        qd_err *err)
{
    const qd_json_node *record;
    int rc = qdi_bq_record_get(q->a, text, q->arena, &record, err);
    *found = !rc && record;
    *over = *found && qd_json_get(record, "completed") && qd_json_get(record, "completed")->truth;
    if (!*found || !w) return rc;
    qd_json_object(w);
    for (const qd_json_node *m = record->first; m; m = m->next) {
        if (qd_str_is(m->key, "run")) continue;
        qd_json_key(w, m->key);
        qd_json_raw_value(w, m->raw);
    }
    qd_json_object_end(w);
    return 0;
}

static void pause_between_looks(const qd_actions *a)
{
    qd_mutex lock;
    qd_waitq nothing;
    qd_mutex_init(&lock);
    qd_waitq_init(&nothing, &lock);
    qd_mutex_lock(&lock);
    (void)qd_waitq_wait_task(&nothing, qd_env_mono_ns(a->env) + LOOK_NS);
    qd_mutex_unlock(&lock);
    qd_mutex_fini(&lock);
}

/* Is it still under way? Looks at the nodes, and at the record of one whose node has gone. */
static int under_way(qd_request *q, qd_str text, qd_str node, task_listing *l, bool *yes,
                     qd_err *err)
{
    bool found, over;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_tasks_gather(q, s, (qd_str){NULL, 0}, node, l, err);
    qd_state_unref(s);
    *yes = l->tasks.n > 0;
    if (rc || *yes) return rc;
    rc = write_record(q, text, NULL, &found, &over, err);
    *yes = found && !over;
    return rc;
}

static int wait_for_end(qd_request *q, qd_str text, qd_str node, uint64_t id, qd_err *err)
{
    bool yes = true, wait;
    int64_t ms = WAIT_MS;
    int rc = qd_param_bool(q, "wait_for_completion", false, &wait, err);
    if (!rc) rc = qd_param_ms(q, "timeout", WAIT_MS, &ms, err);
    uint64_t until = qd_env_mono_ns(q->a->env) + (uint64_t)ms * 1000000u;
    while (!rc && wait && yes) {
        task_listing l = {.only = id};
        rc = under_way(q, text, node, &l, &yes, err);
        qdi_tasks_free(&l);
        if (rc || !yes) break;
        if (qd_env_mono_ns(q->a->env) >= until)
            return qd_err_set(err, QD_E_TIMEOUT, "Timed out waiting for completion of task [%.*s]",
                              QD_STR_ARG(text));
        pause_between_looks(q->a);
        rc = qd_task_check(&q->task, err);
    }
    return rc;
}

int qdi_api_tasks_get(qd_request *q, qd_response *r, qd_err *err)
{
    task_listing l = {0};
    qd_str text = qd_param(q, "task_id"), node;
    bool found = false, over;
    if (!parse_id(text, &node, &l.only)) return malformed(text, err);
    int rc = wait_for_end(q, text, node, l.only, err);
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster);
    rc = qdi_tasks_gather(q, s, (qd_str){NULL, 0}, node, &l, err);
    if (!rc && !l.tasks.n) {
        rc = write_record(q, text, &r->w, &found, &over, err);
        if (!rc && !found) rc = no_task(q->a, s, text, node, err);
    } else if (!rc) {
        qd_json_object(&r->w);
        qd_json_field_bool(&r->w, "completed", false);
        qd_json_key_c(&r->w, "task");
        qd_json_object(&r->w);
        write_task(q, &l.tasks.at[0], true, &r->w);
        qd_json_object_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qdi_tasks_free(&l);
    qd_state_unref(s);
    return rc;
}

/* The task that does the work of one whose node has gone. */
static int follow_record(qd_request *q, qd_str *text, qd_str *node, uint64_t *id, qd_err *err)
{
    const qd_json_node *record;
    int rc = qdi_bq_record_get(q->a, *text, q->arena, &record, err);
    qd_str as = !rc && record ? qdi_bq_record_runs_as(record) : (qd_str){NULL, 0};
    if (as.n && parse_id(as, node, id)) *text = as;
    return rc;
}

/* --- another rate --- */

static int no_such_job(qd_str text, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_NOTFOUND, "task [%.*s] is missing", QD_STR_ARG(text));
    qd_err_type(err, "resource_not_found_exception", 404);
    return rc;
}

static int rethrottle_here(qd_request *q, qd_str text, uint64_t id, double rate, qd_response *r,
                           qd_err *err)
{
    task_listing l = {.only = id};
    if (!qdi_bq_rethrottle(q->a, id, rate)) return no_such_job(text, err);
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_tasks_here(q->a, &l, err);
    if (!rc) {
        qd_json_object(&r->w);
        write_nodes(q, s, &l, true, &r->w);
        qd_json_object_end(&r->w);
    }
    qdi_tasks_free(&l);
    qd_state_unref(s);
    return rc;
}

static int rethrottle_there(qd_request *q, qd_str text, qd_str node, qd_response *r, qd_err *err)
{
    qd_state *s = qd_cluster_state(q->a->cluster);
    qdi_forwarded f = {.node = node};
    bool known = false;
    for (uint32_t i = 0; i < s->nnodes && !known; i++) known = qd_str_eq(node, s->nodes[i].id);
    int rc = known && !q->forwarded ? qdi_forward(q, s, &f, 1, err) : no_such_job(text, err);
    if (!rc) rc = qdi_forward_answer(&f, r, err);
    qd_state_unref(s);
    return rc;
}

int qdi_api_rethrottle(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str text = qd_param(q, "task_id"), node, as;
    uint64_t id;
    double rate;
    if (!qd_param(q, "requests_per_second").n)
        return qd_err_set(err, QD_E_ARG, "requests_per_second is a required parameter");
    int rc = qdi_bq_rate(qd_param(q, "requests_per_second"), &rate, err);
    if (!rc && !parse_id(text, &node, &id)) rc = malformed(text, err);
    if (rc) return rc;
    as = text;
    if (!q->forwarded) rc = follow_record(q, &as, &node, &id, err);
    if (rc) return rc;
    if (!qd_str_eq(as, text) && !qd_str_eq(node, q->a->node_id)) {
        qd_pair *params = qd_arena_alloc(q->arena, 2 * sizeof *params);
        if (!params) return qd_err_nomem(err, "rethrottle");
        params[0] = (qd_pair){QD_STR("task_id"), as};
        params[1] = (qd_pair){QD_STR("requests_per_second"), qd_param(q, "requests_per_second")};
        q->params = params;
        q->nparams = 2;
    }
    return qd_str_eq(node, q->a->node_id) ? rethrottle_here(q, text, id, rate, r, err)
                                          : rethrottle_there(q, text, node, r, err);
}

/* --- stopping --- */

static int find_cancellable(qd_request *q, const qd_state *s, task_listing *l, qd_err *err)
{
    qd_str text = qd_param(q, "task_id"), node;
    if (!text.n) return list(q, s, l, err);
    if (!parse_id(text, &node, &l->only)) return malformed(text, err);
    int rc = follow_record(q, &text, &node, &l->only, err);
    if (!rc) rc = qdi_tasks_gather(q, s, (qd_str){NULL, 0}, node, l, err);
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
        if (which(q, &l->tasks.at[i]))
            l->tasks.at[n++] = l->tasks.at[i];
        else
            qd_free(l->tasks.at[i].status);
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
    qdi_tasks_free(&l);
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
    qdi_tasks_free(&l);
    qd_state_unref(s);
    if (rc) {
        qdi_cat_fini(&t);
        return rc;
    }
    return qdi_cat_end(&t, r, err);
}
