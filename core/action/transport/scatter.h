/*
 * scatter.h: one request to each of several nodes: what belongs to a node is gathered in its part,
 * all parts are asked at once (ask_int.h), and the caller waits for all of them (on a fiber without
 * its worker).
 */
#ifndef QD_ACTION_SCATTER_H
#define QD_ACTION_SCATTER_H

#include "action/action_int.h"
#include "action/transport/ask_int.h"

#define QDI_SCATTER_BODY_MAX ((size_t)256 << 20)

typedef struct scatter_part {
    struct scatter_part *next;
    qd_str node; /* id; empty: this node, to which nothing is sent */
    qd_str address;
    uint32_t n, *pick; /* numbers of the caller's things that belong to the node */
    /* after the wait, of other nodes */
    qd_str answer; /* until fini */
    uint16_t version;
    qd_err err; /* code 0: it has answered */
    bool sent;  /* after an error: it may have been carried out */
    /* the scatter's own */
    uint32_t question;
} scatter_part;

typedef struct scatter {
    qd_actions *a;
    qd_task *task; /* on whose behalf; NULL: none */
    qd_arena *arena;
    uint32_t room;       /* things that a part may have */
    scatter_part *parts; /* the newest first */
    qd_asks *asks;
} scatter;

/* Begins one; all memory is of the arena. room: how many things there are in all. */
void qdi_scatter_init(scatter *s, qd_actions *a, qd_task *task, qd_arena *arena, uint32_t room);
/* Adds thing number k to a node's part. QD_E_NOMEM */
QD_MUST_CHECK
int qdi_scatter_add(scatter *s, const qd_node_meta *node, uint32_t k, qd_err *err);
/* This node's part, NULL: it has none. */
scatter_part *qdi_scatter_here(const scatter *s);
/* Sends every other part: encode writes its body. What cannot be sent has its error in err. */
void qdi_scatter_send(scatter *s, uint32_t action, int64_t timeout_ms,
                      void (*encode)(void *arg, const scatter_part *p, qd_writer *w), void *arg);
/* Waits for all answers. */
void qdi_scatter_wait(scatter *s);
/* Frees the answers. */
void qdi_scatter_fini(scatter *s);

#endif
