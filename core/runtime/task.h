/*
 * task.h: what a node is doing: one qd_task for each request or background job, listed by _tasks,
 * cancellable, with a deadline.
 *
 * A task is embedded by its owner, who registers it at start and unregisters it before the memory
 * goes. Cancelling only sets a flag (and calls on_cancel): the work looks at the flag once per
 * block of documents or between steps. A cancelled parent cancels its children on this node.
 */
#ifndef QD_RUNTIME_TASK_H
#define QD_RUNTIME_TASK_H

#include "base/str.h"
#include "runtime/sync.h"
#include <stdatomic.h>

typedef enum qd_task_stop {
    QD_TASK_RUNNING = 0,
    QD_TASK_CANCELLED = 1, /* by a user, or the client went away */
    QD_TASK_TIMED_OUT = 2, /* the deadline passed */
} qd_task_stop;

typedef struct qd_tasks qd_tasks;

typedef struct qd_task {
    uint32_t magic;
    _Atomic uint32_t stop; /* qd_task_stop */
    uint64_t id;           /* unique on this node, from 1 */
    uint64_t parent;       /* id on parent_node; 0 = none */
    char parent_node[32];  /* node id of the parent; empty = this node */
    const char *action;    /* static: "indices:data/read/search" */
    const char *type;      /* static: "transport", "direct" */
    char description[256]; /* cut when longer */
    char opaque_id[64];    /* X-Opaque-Id of the request; cut when longer */
    int64_t start_wall_ms;
    uint64_t start_ns;
    uint64_t deadline_ns;         /* mono; 0 = none */
    _Atomic uint64_t done, total; /* progress, units of the action's own; total 0 = unknown */
    int64_t change_ms; /* for a change of the cluster's state on its behalf; 0: as usual */
    bool cancellable;
    char cancel_reason[96];
    void (*on_cancel)(struct qd_task *task); /* may be NULL; any thread, under no lock of ours */
    void *user;
    /* Appends the task's own status as JSON, for lists; NULL: done of total. Under the registry's
     * lock: short, and without any call on tasks. */
    void (*status)(const struct qd_task *task, qd_buf *out);
    void *status_arg;
    qd_tasks *tasks;
    struct qd_task *prev, *next; /* in the registry */
    uint32_t pins;               /* users of the registry looking at it */
} qd_task;
#define QD_TASK_MAGIC 0x5154534bu

/* Opens the registry of a node. 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_tasks_open(qd_env *env, qd_tasks **out, qd_err *err);
/* Frees an empty registry. */
void qd_tasks_close(qd_tasks *tasks);
/* Registers a task with a new id; action is static, description copied. [any] */
void qd_task_begin(qd_tasks *tasks, qd_task *t, const char *action, qd_str description,
                   bool cancellable);
/* Sets X-Opaque-Id of a registered task; cut when longer. [any] */
void qd_task_opaque_set(qd_task *t, qd_str opaque_id);
/* Makes t a child: of `parent` on this node. A parent already cancelled cancels t. [any] */
void qd_task_parent_set(qd_task *t, const qd_task *parent);
/* Makes t a child of task `id` on another node. That one cancels it over the transport. [any] */
void qd_task_parent_remote(qd_task *t, qd_str node, uint64_t id);
/* From now on fn(t) runs once when t is cancelled, at once if it has been; t->user becomes user. fn
 * NULL: no more, and it is not running afterwards (not from fn itself). [any] */
void qd_task_on_cancel(qd_task *t, void (*fn)(qd_task *task), void *user);
/* Lists show what status says of t from now on; NULL: no more, and it is not running afterwards.
 * [any] */
void qd_task_status_set(qd_task *t, void (*status)(const qd_task *task, qd_buf *out), void *arg);
/* Sets the deadline to timeout_ns from now (0: none). [any] */
void qd_task_deadline_in(qd_task *t, uint64_t timeout_ns);
/* Takes t out of the registry; waits for a lister that looks at it just now. [any] */
void qd_task_end(qd_task *t);
/* Asks t to stop; false when it is not cancellable. reason is copied. [any] */
bool qd_task_cancel(qd_task *t, const char *reason);
/* Cancels by id, with its children. 0, QD_E_NOTFOUND, or QD_E_ARG when not cancellable. [any] */
QD_MUST_CHECK
int qd_tasks_cancel_id(qd_tasks *tasks, uint64_t id, const char *reason, qd_err *err);
/* Calls fn for each task in order of id, under the registry's lock: fn must be short and may not
 * begin, end or cancel tasks. [any] */
void qd_tasks_each(qd_tasks *tasks, void (*fn)(void *arg, const qd_task *t), void *arg);
/* Tasks registered. [any] */
size_t qd_tasks_count(qd_tasks *tasks);

/* Must the work stop? One relaxed load, for inner loops; t may be NULL. Sees a deadline only after
 * qd_task_poll (or a timer) has marked it. */
#define qd_task_stopped(t)                                                                         \
    QD_UNLIKELY((t) != NULL && atomic_load_explicit(&(t)->stop, memory_order_relaxed) != 0)
/* The same for what goes on behind the deadline, as the hits of a search are fetched. */
#define qd_task_cancelled(t)                                                                       \
    QD_UNLIKELY((t) != NULL &&                                                                     \
                atomic_load_explicit(&(t)->stop, memory_order_relaxed) == QD_TASK_CANCELLED)
/* Looks at the clock too and marks a passed deadline. 0, QD_E_CANCELLED or QD_E_TIMEOUT without a
 * text; t may be NULL. Some 25 ns: once per block of documents or per step. [any] */
int qd_task_poll(qd_task *t);
/* The same with err set to Elasticsearch's text ("task cancelled [reason]"). [any] */
QD_MUST_CHECK
int qd_task_check(qd_task *t, qd_err *err);

#endif
