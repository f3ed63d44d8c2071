/* stores_int.h: structs of the front of two stores. See stores.h. */
#ifndef QD_CLUSTER_AUTHORITY_STORES_INT_H
#define QD_CLUSTER_AUTHORITY_STORES_INT_H

#include "cluster/authority/stores.h"
#include "plugin/op.h"
#include "runtime/sync.h"

#define STORES_LOG "coordination"

typedef enum front_kind {
    FRONT_RANGE,
    FRONT_TXN,
    FRONT_SESSION,
    FRONT_ELECTION,
    FRONT_MEMBERS
} front_kind;

/* A request: a copy of the caller's, submitted to one store after the other. */
typedef struct front_request {
    struct front_request *next, **link; /* in the front's list */
    qd_coord *front;
    front_kind kind;
    void *caller; /* the caller's request */
    union {
        qd_op op; /* the first member of each */
        qd_coord_range range;
        qd_coord_txn txn;
        qd_coord_session session;
        qd_coord_election election;
        qd_coord_members members;
    } q;
    qd_coord_result *result; /* made beforehand; NULL: none is given */
    int child;               /* asked last */
    uint32_t refs, fenced;   /* fenced: so often while its store was in charge */
    bool held, cancelled, moving;
    bool sent;                /* a store has it: before that there is nothing to cancel */
    bool former, asked, late; /* it is with the former store; was; for too long */
    /* held since; asked again then; with the former store since */
    uint64_t since_ns, not_before_ns, former_ns;
} front_request;

struct qd_coord_result {
    int child;
    qd_coord_result *real;
};

struct qd_coord_watch {
    qd_coord *front;
    qd_coord_watch *next, **link;
    qd_coord_watch_config config; /* key and end are ours */
    int child;
    qd_coord_watch *real; /* of the child; NULL: being moved, or over */
    uint64_t from;        /* behind the last revision told */
    bool moving, closing, ended, stopped;
    void (*closed)(void *arg);
    void *closed_arg;
    char bytes[];
};

typedef struct front_child {
    const char *name;
    qd_coord_store *store;
    const qd_coord_vtable *vt;
    qd_coord *handle;
    uint64_t away_ns; /* it does not answer since; 0: it does. Under the front's lock */
} front_child;

struct qd_coord {
    qd_env *env;
    front_child child[2];
    char uuid[64];
    uint64_t held_ns;
    qd_coord_info info;

    qd_mutex lock;
    qd_cond wake, idle;
    int current;
    uint64_t moved_ns;  /* of the last move; 0: none */
    uint64_t silent_ns; /* when the former store was found to be silent; 0: never */
    front_request *requests;
    qd_coord_watch *watches;
    bool closing, stop, work; /* work: look now */
    struct {                  /* of a store from afar that is not in charge; the thread's */
        qd_coord_range range;
        int child;
        int32_t rc;
        bool under_way, cancelled;
        bool over; /* with rc under the lock */
        uint64_t at_ns;
    } probe;
    void (*close_done)(void *arg);
    void *close_arg;
    uint64_t said_ns;
};

struct qd_stores {
    qd_coord front;
    qd_coord_store *store; /* opened over the front */
    qd_thread *thread;
};

/* Does this store know the kind's steps? Those from afar do not (stores_probe.c). */
bool qdi_front_from_afar(const qd_coord *c, int i);
/* Asks one that is not in charge, now and then. [the front's thread] */
void qdi_front_probe(qd_coord *c, const qd_coord_identity *now, const qd_coord_identity *other);
/* Ends that. [the front's thread] */
void qdi_front_probe_end(qd_coord *c);

/* Watches (stores_watch.c): the two slots, and moving all to the store in charge. */
int32_t qdi_front_watch(qd_coord *c, const qd_coord_watch_config *config, qd_coord_watch **out,
                        qd_err *err);
void qdi_front_watch_close(qd_coord_watch *w, void (*done)(void *arg), void *arg);
void qdi_front_watches_move(qd_coord *c);
/* Is one told nothing more by its store? Under the lock. */
bool qdi_front_watches_wait(const qd_coord *c);
/* The store is closing: each gets its last call. */
void qdi_front_watches_end(qd_coord *c);

#endif
