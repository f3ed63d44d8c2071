/*
 * relay_int.h: requests to a node that this one does not reach go through another one that does:
 * one hop, never more, as who passes on sends to the target or not at all. What the target, or the
 * way to it, said comes back as if it had been asked from here, with whether it may have been
 * carried out.
 */
#ifndef QD_ACTION_RELAY_INT_H
#define QD_ACTION_RELAY_INT_H

#include "action/action.h"
#include "rpc/codec.h"
#include "rpc/rpc.h"

#define QDI_RELAYS_MAX                                                                             \
    3u /* nodes that one request is given to, each after the one before refused */

/* A node through which the one at `to` is asked; false: it is asked as ever, as it is reached, or
 * as there is no other node or the action is not passed on. [any] */
bool qdi_relay_via(qd_actions *a, qd_str to, uint32_t action, char out[QD_RPC_ADDRESS_MAX]);
/* Writes what stands before the body (n bytes, version) of a request that is passed on. */
void qdi_relay_head(qd_writer *w, qd_str to, uint32_t action, uint16_t version, size_t n);
/* The answer of QD_ACTION_RELAY in *call becomes the target's: its bytes or its error, whether it
 * was sent. Returns its code. */
int qdi_relay_take(qd_rpc_call *call);
/* QD_ACTION_RELAY; arg is the qd_actions. */
void qdi_relay_handle(void *arg, qd_rpc_request *request);

#endif
