/* loop.c: the node's own loop, on a thread of its own, and the registry of tasks. */
#include "main/daemon/node.h"

static int loop_start(qd_node *node, qd_err *err)
{
    int rc = qd_tasks_open(node->env, &node->tasks, err);
    if (rc == 0) rc = qd_loop_open(node->env, "node", &node->loop, err);
    if (rc == 0 && (rc = qd_loop_start(node->loop, err)) != 0) qd_loop_close(node->loop);
    if (rc != 0) qd_tasks_close(node->tasks);
    return rc;
}

static void loop_stop(qd_node *node)
{
    qd_loop_close(node->loop);
    node->loop = NULL;
    qd_tasks_close(node->tasks);
    node->tasks = NULL;
}

const qd_step qd_step_loop = {"loop", NULL, loop_start, loop_stop, NULL};
