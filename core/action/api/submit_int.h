/* submit_int.h: requests whose body and answer are no text, on the way of all others. */
#ifndef QD_ACTION_SUBMIT_INT_H
#define QD_ACTION_SUBMIT_INT_H

#include "action/action_int.h"

/* What runs in place of an API's handler. */
typedef struct qdi_own_run {
    /* [worker or fiber of the API's pool] */
    int (*run)(struct qdi_own_run *own, qd_request *q, qd_err *err);
    /* In place of an error answer: run failed, or was never called. [the same] */
    void (*failed)(struct qdi_own_run *own, const qd_err *err);
    size_t bytes;  /* of its body, for the indexing pressure */
    uint64_t task; /* set before it runs: the number of its task */
} qdi_own_run;

/* Submits a call that counts as api, which decides on pool, pressure and task, and runs own. 0:
 * call->op.done follows, from the thread that ran it; otherwise it never does. [any] */
QD_MUST_CHECK
int qdi_submit_own(qd_actions *a, qd_action_call *call, const qd_api *api, qdi_own_run *own,
                   qd_err *err);

#endif
