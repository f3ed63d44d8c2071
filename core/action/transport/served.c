/* served.c: see served_int.h. */
#include "action/transport/served_int.h"
#include "runtime/fiber.h"

static void cancelled(void *arg)
{
    (void)qd_task_cancel(arg, "the node that asked has cancelled or gone");
}

qd_task *qdi_served_task_begin(qd_actions *a, qd_rpc_request *request, qd_task *task,
                               const char *action, qd_str what)
{
    uint64_t id;
    qd_task_begin(a->tasks, task, action, what, true);
    qd_str parent = qd_rpc_request_parent(request, &id);
    if (id) qd_task_parent_remote(task, parent, id);
    qd_task *before = qd_fiber_task_set(task);
    qd_rpc_request_on_cancel(request, cancelled, task);
    return before;
}

void qdi_served_task_end(qd_task *task, qd_task *before)
{
    (void)qd_fiber_task_set(before);
    qd_task_end(task);
}

void qdi_served_begin(qdi_served *s, qd_actions *a, qd_rpc_request *request, uint32_t action,
                      const char *what, size_t answer_max)
{
    s->a = a;
    s->request = request;
    s->version = qd_rpc_request_version(request);
    s->body = qd_rpc_request_body(request);
    qd_err_init(&s->err);
    qd_arena_init(&s->arena, a->account, 0);
    qd_body_reader_init(&s->in, s->body, what, s->version);
    qd_writer_init(&s->out, a->account, answer_max, s->version);
    s->before = qdi_served_task_begin(a, request, &s->task, qd_rpc_action_name(action), QD_STR(""));
}

void qdi_served_end(qdi_served *s, int rc, const char *what)
{
    if (!rc) rc = qd_writer_end(&s->out, what, &s->err);
    if (rc) {
        if (!s->err.code) (void)qd_err_set(&s->err, rc, "%s: it was stopped", what);
        qd_rpc_fail(s->request, &s->err);
    } else {
        qd_rpc_reply(s->request, qd_writer_view(&s->out), (qd_str){NULL, 0});
    }
    qdi_served_task_end(&s->task, s->before);
    qd_writer_fini(&s->out);
    qd_arena_fini(&s->arena);
    qd_err_fini(&s->err);
}
