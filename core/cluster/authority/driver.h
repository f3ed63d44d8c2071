/*
 * driver.h: who drives a hand-over (handover.h). Each control node that has both stores open has
 * one of these: it drives while its node is the elected master, which it stays to the end of the
 * seal; when a store stays sealed for a moment whoever sees it goes on, as a sealed store elects
 * nobody; a node that has just started does so before it joins its cluster. Two that drive at once
 * disturb each other, never the state. Wishes are written into the store in charge, by any of them.
 */
#ifndef QD_CLUSTER_AUTHORITY_DRIVER_H
#define QD_CLUSTER_AUTHORITY_DRIVER_H

#include "cluster/authority/handover.h"
#include "cluster/state/state.h"

typedef struct qd_driver qd_driver;

typedef struct qd_driver_config {
    qd_env *env;
    qd_coord_store *store[2]; /* opened; closed by their owner after qd_driver_close */
    const char *name[2];      /* as configured; borrow */
    qd_coord_store *front;    /* of stores.h: tells of plans */
    /* Is this node elected, as far as it knows? Not asked before qd_driver_joined. [any] */
    bool (*leads)(void *arg);
    void *arg;
    int64_t take_ms, round_ms; /* sealed, nothing going on for so long: anybody does; 0: 500.
                                  handover.h */
    const char *keep;          /* handover.h */
    /* The store that the settings of all coordination nodes ask for, a static text; NULL: none. May
     * be NULL; not asked before qd_driver_joined. [worker] */
    const char *(*wish)(void *arg);
    /* One of both stores has failed for good at this node, which no migration passes before the
     * node is started again. Once, on the driver's thread; may be NULL. */
    void (*failed)(void *arg, const char *why);
} qd_driver_config;

/* Starts it, as soon as both stores are open: a node that finds one of them sealed and none in
 * charge cannot join a cluster before somebody has gone on. [worker] */
QD_MUST_CHECK
int qd_driver_open(const qd_driver_config *config, qd_driver **out, qd_err *err);
/* The node has joined its cluster, whose state outlives the driver. NULL is fine. [worker] */
void qd_driver_joined(qd_driver *d);
/* Ends it, soon also in the middle of a step; before the front. NULL is fine. [worker] */
void qd_driver_close(qd_driver *d);
/* For the wishes of handover.h; not for turns. [any] */
qd_handover *qd_driver_handover(qd_driver *d);
/* qd_handover_start by an operator's word, which what the settings ask for by now does not
 * overrule. [worker] */
QD_MUST_CHECK
int qd_driver_start_to(qd_driver *d, qd_str to, qd_err *err);
/* The node that drives by this state: who is elected or, if that one cannot, the first that can;
 * empty: none can. Borrows. [any] */
qd_str qd_driver_of(const qd_state *s);
/* Does this node drive now? [any] */
bool qd_driver_drives(const qd_driver *d);
/* How far it is: as this node drives it, else as the stores show it. Where it drives and they do
 * not answer: as it was, and why no more is known in `error`. [worker] */
QD_MUST_CHECK
int qd_driver_status(qd_driver *d, qd_handover_status *out, qd_err *err);

#endif
