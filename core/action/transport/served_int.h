/*
 * served_int.h: a request of another node while this one answers it: an arena, a task that is a
 * child of the asking node's and ends with its cancellation, as do waits of its fiber, what came
 * in, and the answer.
 *
 *   qdi_served s;
 *   qdi_served_begin(&s, a, request, QD_ACTION_X, "question", ANSWER_MAX);
 *   ... qd_read_...(&s.in), qd_write_...(&s.out) ...
 *   qdi_served_end(&s, rc, "answer");
 */
#ifndef QD_ACTION_SERVED_INT_H
#define QD_ACTION_SERVED_INT_H

#include "action/action.h"
#include "rpc/codec.h"
#include "rpc/rpc.h"

typedef struct qdi_served {
    qd_actions *a;
    qd_rpc_request *request;
    uint16_t version; /* of what came in and of the answer */
    qd_str body;      /* what came in, also by the reader: */
    qd_body_reader in;
    qd_arena arena;
    qd_task task, *before; /* before: the fiber's until the end */
    qd_writer out;
    qd_err err;
} qdi_served;

/* what: names the request where it is refused. answer_max: bytes. */
void qdi_served_begin(qdi_served *s, qd_actions *a, qd_rpc_request *request, uint32_t action,
                      const char *what, size_t answer_max);
/* Answers: rc 0: with what is in out, else with the failure; frees everything. what: names the
 * answer where it does not fit. */
void qdi_served_end(qdi_served *s, int rc, const char *what);

/* The task of it alone, in the caller's memory, for who makes the rest itself; returns what
 * qdi_served_task_end wants, after the answer. */
qd_task *qdi_served_task_begin(qd_actions *a, qd_rpc_request *request, qd_task *task,
                               const char *action, qd_str what);
void qdi_served_task_end(qd_task *task, qd_task *before);

#endif
