/*
 * ask_int.h: questions to other nodes, many at a time: started together, waited for together,
 * cancelled with the task on whose behalf they are asked. For all that fans out over nodes.
 */
#ifndef QD_ACTION_ASK_INT_H
#define QD_ACTION_ASK_INT_H

#include "action/action.h"
#include "rpc/codec.h"

typedef struct qd_asks qd_asks;

/* Begins to ask at most n nodes of state s, which stays until qdi_asks_end (NULL: they are asked by
 * address); timeout_ms 0: no limit but the connection's. From now to qdi_asks_wait the task's
 * cancellation is theirs; task NULL: that of the waiting fiber's. [worker] QD_E_NOMEM */
QD_MUST_CHECK
int qdi_asks_begin(qd_actions *a, const qd_state *s, qd_task *task, uint32_t n, uint32_t timeout_ms,
                   qd_asks **out, qd_err *err);
/* The protocol version to encode for. */
uint16_t qdi_ask_version(const qd_actions *a, const qd_state *s, qd_str node);
/* Asks a node (id) with a body, which is freed. Returns the question's number; a failure is told
 * with the answer. */
uint32_t qdi_ask(qd_asks *q, qd_str node, uint32_t action, qd_writer *body);
/* The same of the node at an address, which stays until qdi_asks_end. */
uint32_t qdi_ask_at(qd_asks *q, qd_str address, uint32_t action, qd_writer *body);
/* Waits for all answers. Once, before any of them is looked at. [worker] */
void qdi_asks_wait(qd_asks *q);
/* The answer of a question: its bytes, until qdi_asks_end; or its error. */
QD_MUST_CHECK
int qdi_answer(qd_asks *q, uint32_t i, qd_str *bytes, uint16_t *version, qd_err *err);
/* Has it left this node? With an error that is not the other node's, its outcome is unknown. */
bool qdi_answer_sent(const qd_asks *q, uint32_t i);
/* How long it took. */
uint64_t qdi_answer_ns(const qd_asks *q, uint32_t i);
/* Frees questions and answers. NULL is fine. */
void qdi_asks_end(qd_asks *q);
/* Tells a node something that nobody waits for. */
void qdi_tell(qd_actions *a, const qd_state *s, qd_str node, uint32_t action, qd_writer *body);
/* Does this node belong, or has it belonged, to a cluster of several? */
bool qdi_many_nodes(qd_actions *a);

#endif
