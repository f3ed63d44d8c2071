/*
 * repl_node.h: the parts of a simulated node: repl_node.c, repl_log.c (a copy's log), repl_lead.c
 * (the primary), repl_follow.c (a copy that follows) and repl_client.c.
 */
#ifndef REPL_NODE_H
#define REPL_NODE_H

#include "repl_sim.h"

/* --- a copy's log --- */
int64_t d_persisted(disk *d);
int64_t d_processed(disk *d);
/* Records above `to` do not count any more, but are not gone. */
void d_roll_back(disk *d, int64_t to);
void d_append(world *w, node *n, int64_t seq, const rec *r);
/* Stamps up to this one are durable. */
void d_sync(disk *d, uint32_t upto);
void d_trim(disk *d, int64_t above, uint64_t term);
void d_reopen(disk *d);
void d_reset(disk *d, uint32_t history);
/* The known checkpoint never exceeds what is here. */
void d_told(disk *d, int64_t global);

/* --- the primary --- */
/* The node with this copy, -1. */
int holder(const node *n, const char *aid);
void resync_part(world *w, node *n, const repl_peer *c, uint64_t attempt, int64_t from,
                 uint32_t part);
void client_reply(world *w, node *n, uint32_t op, ostate state, int64_t seq, uint32_t val,
                  uint64_t term);
/* What the primary's machine asks for; arg: the node. */
void primary_act(void *arg, const repl_act *a);
int64_t pub_max(world *w, int pub);
void pub_cut(world *w, node *n);
void source_message(world *w, node *n, msg *m);

/* --- a copy that follows --- */
void recovery_send(world *w, node *n);
void recovery_again(world *w, node *n);
void recovery_answer(world *w, node *n, const msg *q, const msg *a);
/* Opens a publication whose files have come. */
bool install(world *w, node *n, int pub);
void copy_reply(world *w, node *n, msg *m, repl_verdict v);
void copy_message(world *w, node *n, msg *m);

/* --- clients --- */
/* The read is answered when it is known that nobody else is the primary. */
void confirm(world *w, node *n, uint32_t op, int64_t seq, uint32_t val);
void client_request(world *w, node *n, msg *m);

/* --- the node --- */
void cas_push(world *w, node *n, casop op, const char *aid, uint64_t peer);
void cas_pump(world *w, node *n);
void close_copy(node *n);
/* After the primary's machine was called. */
void pump(world *w, node *n);
/* Its disk failed: the copy closes, and the store is told until it hears. */
void io_failed(world *w, node *n);

#endif
