/*
 * scope.h: what an operator of a plugin works with: its context, what parse made, the arena of
 * both.
 *
 * A call of a plugin may stay behind when its search is over (plugin/guest.h), so that none of this
 * belongs to the request: a scope is counted, the request holds it by its arena. What the context's
 * functions reach is the request's; they fail once it has gone.
 */
#ifndef QD_QUERY_SCOPE_H
#define QD_QUERY_SCOPE_H

#include "base/arena.h"
#include "plugin/guest.h"
#include <quidditch/operator.h>
#include <stdatomic.h>

/* A query within the operator's JSON, which the host reads when parse has returned. */
struct qd_subquery {
    uint32_t number;       /* among those of the operator */
    uint32_t line, column; /* where it begins in the request */
    qd_str json;
    struct qd_subquery *next;
};
#define QD_SUBQUERIES_MAX 64u

typedef struct qd_operator_scope {
    qd_query_ctx sdk; /* first: what the plugin sees */
    _Atomic uint32_t refs;
    qd_arena arena;
    qd_task task; /* stands for the request's: only its stop is ever set */
    const qd_operator_vtable *vt;
    char name[64], place[128];
    struct qdi_builder *builder;              /* the request's; NULL while a query is read */
    struct qd_subquery *first_sub, *last_sub; /* that parse met */
    uint32_t nsubs;
} qd_operator_scope;

/* One more reference; returns s. [any] */
qd_operator_scope *qd_operator_scope_ref(qd_operator_scope *s);
/* One reference less; NULL is fine. [any] */
void qd_operator_scope_unref(qd_operator_scope *s);
/* Fills a call of the operator (self, what, name, place). [any] */
void qd_operator_call_init(const qd_operator_scope *s, const char *what, qd_guest_call *call);
/* Runs it as qd_guest_run does; the end of task is told to the plugin, too. [worker] */
QD_MUST_CHECK
int qd_operator_call(qd_operator_scope *s, qd_guest_call *call, qd_task *task, bool *ran,
                     qd_err *err);

/* A field of the index, as the operator's query was built for it; NULL: there is none. Between
 * qd_guest_enter and qd_guest_leave. */
const struct qd_field *qd_operator_field(const qd_operator_scope *s, qd_str name);

/* The env of its plugin's host; NULL: its calls run where they are made. [any] */
qd_env *qd_operator_env(const qd_operator_scope *s);

#endif
