/* scope.c: see scope.h. */
#include "query/scope.h"
#include "base/str.h"
#include <stdio.h>

qd_operator_scope *qd_operator_scope_ref(qd_operator_scope *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void qd_operator_scope_unref(qd_operator_scope *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    qd_arena_fini(&s->arena);
    qd_free(s);
}

void qd_operator_call_init(const qd_operator_scope *s, const char *what, qd_guest_call *call)
{
    call->self = s->sdk.self;
    call->kind = "operator";
    call->what = what;
    call->placed = "index";
    memcpy(call->name, s->name, sizeof call->name);
    memcpy(call->place, s->place, sizeof call->place);
}

int qd_operator_call(qd_operator_scope *s, qd_guest_call *call, qd_task *task, bool *ran,
                     qd_err *err)
{
    int rc = qd_guest_run(qd_plugin_guests(s->sdk.self), call, task, ran, err);
    if (rc && *ran) atomic_store(&s->task.stop, QD_TASK_CANCELLED);
    return rc;
}

qd_env *qd_operator_env(const qd_operator_scope *s)
{
    return qd_guests_env(qd_plugin_guests(s->sdk.self));
}
