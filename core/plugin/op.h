/*
 * op.h: the host's side of qd_op. Whoever submits an operation to a plugin says first where its end
 * is to be told; the plugin ends it through the loop service, which comes to qd_op_complete.
 *
 * Rules asserted here: an operation is prepared before it is submitted and completed once.
 */
#ifndef QD_PLUGIN_OP_H
#define QD_PLUGIN_OP_H

#include "base/assert.h"
#include "runtime/loop.h"
#include <quidditch/types.h>

/* done(op, rc) will run on the loop, in a later turn than the submit if that is made there. [any]
 */
void qd_op_on_loop(qd_op *op, qd_loop *loop, void (*done)(qd_op *op, int32_t rc), void *user);
/* done(op, rc) will run at once on the thread that completes it, perhaps inside the submit: it may
 * only hand over (count a latch, queue work) and must not call the plugin. [any] */
void qd_op_anywhere(qd_op *op, void (*done)(qd_op *op, int32_t rc), void *user);
/* Ends a prepared operation: what plugins reach as loop->complete. op may be gone afterwards. [any]
 */
void qd_op_complete(qd_op *op, int32_t rc);

#endif
