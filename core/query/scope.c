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

/* Is it one of quidditch/errors.def? */
static bool known(int32_t rc)
{
    switch (rc) {
#define QD_ERR(symbol, code, status, type, retry) case code:
#include <quidditch/errors.def>
#undef QD_ERR
        return true;
    default:
        return false;
    }
}

int qd_operator_failed(const qd_operator_scope *s, const char *what, int32_t rc, const qd_err *from,
                       qd_err *to)
{
    const char *plugin = s->sdk.self ? qd_plugin_self_name(s->sdk.self) : "";
    if (from->code && known(from->code)) {
        qd_err_copy(to, from);
        return from->code;
    }
    if (rc == QD_E_NOMEM || rc == QD_E_BREAKER || rc == QD_E_CANCELLED || rc == QD_E_TIMEOUT)
        return qd_err_set(to, rc, "operator [%s] of plugin [%s]: %s returned %s", s->name, plugin,
                          what, qd_code_name(rc));
    if (known(rc))
        return qd_err_set(to, rc, "operator [%s] of plugin [%s]: %s failed with %s, without a word",
                          s->name, plugin, what, qd_code_name(rc));
    return qd_err_set(to, QD_E_PLUGIN,
                      "operator [%s] of plugin [%s]: %s failed with the unknown code %d", s->name,
                      plugin, what, rc);
}

qd_env *qd_operator_env(const qd_operator_scope *s)
{
    return qd_guests_env(qd_plugin_guests(s->sdk.self));
}
