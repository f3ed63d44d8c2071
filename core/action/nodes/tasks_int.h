/* tasks_int.h: tasks of this node and of others, as _tasks and _cat/tasks list them. */
#ifndef QD_ACTION_TASKS_INT_H
#define QD_ACTION_TASKS_INT_H

#include "action/action.h"
#include "base/vec.h"
#include "rpc/rpc.h"

/* A task as it was when the list was made. */
typedef struct task_seen {
    uint64_t id, parent;
    char node[64]; /* id of the node that runs it */
    char action[96], description[256], opaque_id[64];
    char parent_node[64]; /* with parent: id */
    int64_t start_wall_ms;
    uint64_t running_ns, done, total;
    bool cancellable, cancelled;
    char *status; /* JSON that the task says of itself; owned, NULL: nothing */
} task_seen;

typedef struct task_listing {
    QD_VEC(task_seen) tasks; /* by node, then by id */
    qd_str actions;          /* patterns; empty: all */
    uint64_t only, parent;   /* 0: all */
    qd_str parent_node;      /* of parent */
    const qd_actions *a;
    int failed;
} task_listing;

/* Frees what a list holds. */
void qdi_tasks_free(task_listing *l);
/* Adds this node's tasks. */
int qdi_tasks_here(const qd_actions *a, task_listing *l, qd_err *err);
/* Adds those of the nodes of s that `nodes` names, in order of their ids; a node that does not
 * answer shows none. only_node (may be empty): of that one alone. */
int qdi_tasks_gather(qd_request *q, const qd_state *s, qd_str nodes, qd_str only_node,
                     task_listing *l, qd_err *err);
/* Cancels the tasks of a list, wherever they run; marks those that were. */
int qdi_tasks_cancel(qd_request *q, const qd_state *s, task_listing *l, qd_err *err);

/* What another node asks of this one's tasks; arg: the qd_actions. */
void qdi_tasks_list_handle(void *arg, qd_rpc_request *request);
void qdi_tasks_cancel_handle(void *arg, qd_rpc_request *request);

#endif
