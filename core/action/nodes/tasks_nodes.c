/* tasks_nodes.c: tasks of other nodes: listed there, cancelled there. */
#include "action/api/admin_int.h"
#include "action/nodes/tasks_int.h"
#include "action/transport/ask_int.h"
#include "base/str.h"
#include "rpc/rpc.h"
#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS 10000u
#define MESSAGE_MAX ((size_t)64 << 20)
#define TASKS_MAX 1000000u
#define TEXT_MAX 65536u
#define REASON "by user request"

/* --- encoding --- */

static void write_seen(const task_seen *t, qd_writer *w)
{
    qd_write_varint(w, t->id);
    qd_write_varint(w, t->parent);
    qd_write_c(w, t->node);
    qd_write_c(w, t->action);
    qd_write_c(w, t->description);
    qd_write_c(w, t->opaque_id);
    qd_write_c(w, t->parent_node);
    qd_write_zigzag(w, t->start_wall_ms);
    qd_write_varint(w, t->running_ns);
    qd_write_varint(w, t->done);
    qd_write_varint(w, t->total);
    qd_write_bool(w, t->cancellable);
    qd_write_bool(w, t->cancelled);
}

static void read_seen(qd_body_reader *r, task_seen *t)
{
    *t = (task_seen){0};
    t->id = qd_read_varint(r, "task.id");
    t->parent = qd_read_varint(r, "task.parent");
    qd_read_text(r, "task.node", t->node, sizeof t->node);
    qd_read_text(r, "task.action", t->action, sizeof t->action);
    qd_read_text(r, "task.description", t->description, sizeof t->description);
    qd_read_text(r, "task.opaque_id", t->opaque_id, sizeof t->opaque_id);
    qd_read_text(r, "task.parent_node", t->parent_node, sizeof t->parent_node);
    t->start_wall_ms = qd_read_zigzag(r, "task.start");
    t->running_ns = qd_read_varint(r, "task.running");
    t->done = qd_read_varint(r, "task.done");
    t->total = qd_read_varint(r, "task.total");
    t->cancellable = qd_read_bool(r, "task.cancellable");
    t->cancelled = qd_read_bool(r, "task.cancelled");
}

/* What tasks say of themselves stands behind the list: an older node does not look there. */
static void write_status(const task_listing *l, qd_writer *w)
{
    size_t n = 0;
    for (size_t i = 0; i < l->tasks.n; i++) n += l->tasks.at[i].status != NULL;
    qd_write_array(w, n);
    for (size_t i = 0; i < l->tasks.n; i++) {
        if (!l->tasks.at[i].status) continue;
        qd_write_varint(w, l->tasks.at[i].id);
        qd_write_c(w, l->tasks.at[i].status);
    }
}

static void read_status(qd_body_reader *r, task_listing *l, size_t from)
{
    size_t n = qd_body_reader_left(r) ? qd_read_array(r, "statuses", TASKS_MAX, 2) : 0;
    for (size_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        uint64_t id = qd_read_varint(r, "task");
        qd_str text = qd_read_str(r, "status", TEXT_MAX);
        for (size_t k = from; k < l->tasks.n && !qd_body_reader_bad(r); k++) {
            task_seen *t = &l->tasks.at[k];
            if (t->id != id || t->status) continue;
            t->status = qd_calloc(NULL, text.n + 1);
            if (t->status) memcpy(t->status, text.p, text.n);
        }
    }
}

static void write_filter(const task_listing *l, qd_writer *w)
{
    qd_write_str(w, l->actions);
    qd_write_varint(w, l->only);
    qd_write_varint(w, l->parent);
    qd_write_str(w, l->parent_node);
}

static int read_list(qd_str bytes, uint16_t version, task_listing *l)
{
    qd_body_reader r;
    qd_body_reader_init(&r, bytes, "list of tasks", version);
    size_t n = qd_read_array(&r, "tasks", TASKS_MAX, 13), from = l->tasks.n;
    for (size_t i = 0; i < n && !qd_body_reader_bad(&r); i++) {
        task_seen t;
        read_seen(&r, &t);
        if (qd_body_reader_bad(&r)) break;
        if (qd_vec_push(&l->tasks, NULL, t)) return QD_E_NOMEM;
    }
    read_status(&r, l, from);
    return 0; /* what is damaged is not shown */
}

/* --- gathering --- */

static bool wanted(const qd_request *q, const qd_node_meta *n, qd_str nodes, qd_str only_node)
{
    if (only_node.n) return qd_str_eq(n->id, only_node);
    return qdi_node_wanted(q->a, nodes, n);
}

int qdi_tasks_gather(qd_request *q, const qd_state *s, qd_str nodes, qd_str only_node,
                     task_listing *l, qd_err *err)
{
    const qd_node_meta *self = qd_cluster_self(q->a->cluster);
    qd_asks *asks = NULL;
    bool here = wanted(q, self, nodes, only_node), shown = false;
    uint32_t *number = qd_arena_alloc(q->arena, (s->nnodes + 1ul) * sizeof *number);
    if (!number) return qd_err_nomem(err, "tasks");
    int rc = q->a->rpc && s->nnodes > 1
                 ? qdi_asks_begin(q->a, s, &q->task, s->nnodes, TIMEOUT_MS, &asks, err)
                 : 0;
    for (uint32_t i = 0; asks && i < s->nnodes; i++) {
        const qd_node_meta *n = &s->nodes[i];
        qd_writer w;
        number[i] = UINT32_MAX;
        if (qd_str_eq(n->id, self->id) || !wanted(q, n, nodes, only_node)) continue;
        qd_writer_init(&w, q->a->account, MESSAGE_MAX, qdi_ask_version(q->a, s, n->id));
        write_filter(l, &w);
        number[i] = qdi_ask(asks, n->id, QD_ACTION_TASKS_LIST, &w);
    }
    if (asks) qdi_asks_wait(asks);
    for (uint32_t i = 0; asks && i < s->nnodes && !rc; i++) {
        qd_str bytes;
        uint16_t version;
        if (qd_str_eq(s->nodes[i].id, self->id) && here) {
            rc = qdi_tasks_here(q->a, l, err);
            shown = true;
        }
        if (number[i] == UINT32_MAX || qdi_answer(asks, number[i], &bytes, &version, NULL))
            continue;
        if (read_list(bytes, version, l)) rc = qd_err_nomem(err, "tasks");
    }
    if (!rc && here && !shown) rc = qdi_tasks_here(q->a, l, err);
    qdi_asks_end(asks);
    return rc;
}

/* --- cancelling --- */

static void cancel_here(const qd_actions *a, task_seen *t)
{
    t->cancelled = !qd_tasks_cancel_id(a->tasks, t->id, REASON, NULL);
}

/* The tasks of one node, [from, to) of the list. */
static uint32_t ask_cancel(qd_request *q, const qd_state *s, qd_asks *asks, const task_listing *l,
                           size_t from, size_t to)
{
    qd_writer w;
    qd_str node = qd_str_c(l->tasks.at[from].node);
    qd_writer_init(&w, q->a->account, MESSAGE_MAX, qdi_ask_version(q->a, s, node));
    qd_write_array(&w, to - from);
    for (size_t i = from; i < to; i++) qd_write_varint(&w, l->tasks.at[i].id);
    return qdi_ask(asks, node, QD_ACTION_TASKS_CANCEL, &w);
}

static void take_cancelled(qd_asks *asks, uint32_t number, task_listing *l, size_t from, size_t to)
{
    qd_str bytes;
    uint16_t version;
    qd_body_reader r;
    if (qdi_answer(asks, number, &bytes, &version, NULL)) return;
    qd_body_reader_init(&r, bytes, "tasks cancelled", version);
    if (qd_read_array(&r, "tasks", TASKS_MAX, 1) != to - from) return;
    for (size_t i = from; i < to; i++) {
        bool done = qd_read_bool(&r, "cancelled");
        l->tasks.at[i].cancelled = done && !qd_body_reader_bad(&r);
    }
}

/* End of the run of tasks of the node of task i. */
static size_t run_end(const task_listing *l, size_t i)
{
    size_t end = i + 1;
    while (end < l->tasks.n && strcmp(l->tasks.at[end].node, l->tasks.at[i].node) == 0) end++;
    return end;
}

int qdi_tasks_cancel(qd_request *q, const qd_state *s, task_listing *l, qd_err *err)
{
    qd_asks *asks = NULL;
    uint32_t runs = 0;
    for (size_t i = 0; i < l->tasks.n; i = run_end(l, i)) runs++;
    uint32_t *number = qd_arena_alloc(q->arena, (runs + 1ul) * sizeof *number);
    if (!number) return qd_err_nomem(err, "tasks");
    int rc = qdi_asks_begin(q->a, s, &q->task, runs, TIMEOUT_MS, &asks, err);
    if (rc) return rc;
    runs = 0;
    for (size_t i = 0, end; i < l->tasks.n; i = end, runs++) {
        end = run_end(l, i);
        bool here = qd_str_is(q->a->node_id, l->tasks.at[i].node);
        number[runs] = here ? UINT32_MAX : ask_cancel(q, s, asks, l, i, end);
        for (size_t k = i; here && k < end; k++) cancel_here(q->a, &l->tasks.at[k]);
    }
    qdi_asks_wait(asks);
    runs = 0;
    for (size_t i = 0, end; i < l->tasks.n; i = end, runs++) {
        end = run_end(l, i);
        if (number[runs] != UINT32_MAX) take_cancelled(asks, number[runs], l, i, end);
    }
    qdi_asks_end(asks);
    return 0;
}

/* --- answering --- */

static void answer(qd_rpc_request *request, qd_writer *w, qd_err *err)
{
    int rc = err->code ? err->code : qd_writer_end(w, "tasks", err);
    if (rc) {
        qd_rpc_fail(request, err);
    } else {
        qd_rpc_reply(request, qd_writer_view(w), (qd_str){NULL, 0});
    }
    qd_writer_fini(w);
    qd_err_fini(err);
}

void qdi_tasks_list_handle(void *arg, qd_rpc_request *request)
{
    qd_actions *a = arg;
    task_listing l = {0};
    qd_body_reader r;
    qd_writer w;
    qd_err err;
    qd_err_init(&err);
    qd_writer_init(&w, a->account, MESSAGE_MAX, qd_rpc_request_version(request));
    qd_body_reader_init(&r, qd_rpc_request_body(request), "question for tasks",
                        qd_rpc_request_version(request));
    l.actions = qd_read_str(&r, "actions", TEXT_MAX);
    l.only = qd_read_varint(&r, "id");
    l.parent = qd_read_varint(&r, "parent");
    l.parent_node = qd_read_str(&r, "parent.node", TEXT_MAX);
    int rc = qd_body_reader_check(&r, &err);
    if (!rc) rc = qdi_tasks_here(a, &l, &err);
    qd_write_array(&w, l.tasks.n);
    for (size_t i = 0; i < l.tasks.n; i++) write_seen(&l.tasks.at[i], &w);
    write_status(&l, &w);
    qdi_tasks_free(&l);
    answer(request, &w, &err);
}

void qdi_tasks_cancel_handle(void *arg, qd_rpc_request *request)
{
    qd_actions *a = arg;
    qd_body_reader r;
    qd_writer w;
    qd_err err;
    qd_err_init(&err);
    qd_writer_init(&w, a->account, MESSAGE_MAX, qd_rpc_request_version(request));
    qd_body_reader_init(&r, qd_rpc_request_body(request), "tasks to cancel",
                        qd_rpc_request_version(request));
    size_t n = qd_read_array(&r, "tasks", TASKS_MAX, 1);
    qd_write_array(&w, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t id = qd_read_varint(&r, "task");
        bool done = !qd_body_reader_bad(&r) && !qd_tasks_cancel_id(a->tasks, id, REASON, NULL);
        qd_write_bool(&w, done);
    }
    (void)!qd_body_reader_check(&r, &err);
    answer(request, &w, &err);
}
