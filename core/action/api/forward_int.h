/*
 * forward_int.h: an API's whole request run by the node that has what it is about.
 */
#ifndef QD_ACTION_FORWARD_INT_H
#define QD_ACTION_FORWARD_INT_H

#include "action/action.h"
#include "rpc/rpc.h"

/* One request run elsewhere. */
typedef struct qdi_forwarded {
    qd_str node;           /* id */
    const qd_pair *params; /* instead of q's own; NULL: those */
    uint32_t nparams;
    bool read;           /* the answer is read, not handed on: it is not made pretty */
    uint32_t timeout_ms; /* of all of one call: the first one's; 0: none but the connection's */
    /* the answer, in the request's arena: status 0: the node did not answer, rc and err tell */
    int status;
    uint32_t format;
    qd_str body;
    int rc;
    qd_err err;
} qdi_forwarded;

/* Runs q's API on n nodes at once with q->forwarded set there, and waits for their answers. An
 * error that the API answers there is an answer. [worker] QD_E_NOMEM */
QD_MUST_CHECK
int qdi_forward(qd_request *q, const qd_state *s, qdi_forwarded *at, uint32_t n, qd_err *err);
/* Makes what a node answered r's answer, or returns the error of the way to it. */
int qdi_forward_answer(qdi_forwarded *f, qd_response *r, qd_err *err);
/* Runs what another node forwards to this one; arg: the qd_actions. */
void qdi_forward_handle(void *arg, qd_rpc_request *request);

#endif
