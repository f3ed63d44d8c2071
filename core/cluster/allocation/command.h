/*
 * command.h: what people tell the allocation to do (`_cluster/reroute`). Commands are carried out
 * one after the other on the view; together they become decisions, or nothing does.
 */
#ifndef QD_CLUSTER_ALLOCATION_COMMAND_H
#define QD_CLUSTER_ALLOCATION_COMMAND_H

#include "cluster/allocation/explain.h"

typedef enum qd_alloc_order {
    QD_ALLOC_MOVE,
    QD_ALLOC_CANCEL_SHARD,
    QD_ALLOC_REPLICA,
    QD_ALLOC_STALE_PRIMARY,
    QD_ALLOC_EMPTY_PRIMARY,
} qd_alloc_order;

typedef struct qd_alloc_command {
    qd_alloc_order order;
    qd_str index; /* name */
    uint32_t shard;
    qd_str node, to; /* id or name; MOVE: from and to */
    bool sure;       /* CANCEL: allow_primary; STALE, EMPTY: accept_data_loss */
} qd_alloc_command;

/* What the deciders said to one command. */
typedef struct qd_alloc_command_word {
    const qd_alloc_word *words;
    uint32_t nwords;
} qd_alloc_command_word;

/*
 * Makes decisions of commands. words (n of them; may be NULL) get what the deciders said; with
 * explain a command that is refused is explained there instead of being an error. retry: failures
 * of all copies are forgotten first. Everything in *out lives in arena. [worker] QD_E_ARG in
 * Elasticsearch's words, QD_E_INDEX_NOT_FOUND, QD_E_NOMEM.
 */
QD_MUST_CHECK
int qd_allocation_commands(const qd_alloc_view *view, const qd_alloc_command *commands, uint32_t n,
                           bool retry, bool explain, qd_arena *arena, qd_alloc_result *out,
                           qd_alloc_command_word *words, qd_err *err);

#endif
