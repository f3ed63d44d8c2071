/* cluster_int.h: the service's struct and the builder of transactions. See cluster.h. */
#ifndef QD_CLUSTER_CLUSTER_INT_H
#define QD_CLUSTER_CLUSTER_INT_H

#include "base/vec.h"
#include "cluster/authority/authority.h"
#include "cluster/cluster.h"
#include "cluster/state/shard_edit.h"
#include "runtime/waitq.h"

#define CLUSTER_LOG "cluster"
#define CLUSTER_ATTEMPTS 100

/* Events of whole revisions as they came from the watch, waiting for the applier. */
typedef struct cluster_batch {
    struct cluster_batch *next;
    uint64_t revision;
    int32_t rc; /* other than 0: the watch has ended */
    uint32_t n;
    qd_coord_event *events; /* keys and values in the arena */
    qd_arena arena;
} cluster_batch;

typedef struct cluster_asked cluster_asked; /* applied.c */

struct qd_cluster {
    qd_env *env;
    qd_coord_store *store;
    qd_str name;
    qd_node_meta self;
    bool data;
    const qd_config *config;              /* NULL: defaults */
    const struct qd_plugin_host *plugins; /* NULL: none */
    struct qd_rpc *rpc;                   /* NULL: no peers */
    qd_authority *authority;              /* NULL: not kept */
    bool control;
    bool (*eligible)(void *arg); /* may it be elected now; NULL: always */
    void *eligible_arg;
    int64_t session_ttl_ms, timeout_ms;
    qd_cluster_listener listener;
    void *listener_arg;
    void (*failed)(void *arg, const char *why); /* the keeper's; NULL: told, or nobody listens */
    qd_arena arena;                             /* strings above */
    uint64_t session;

    qd_mutex lock;         /* queue, state pointer */
    qd_cond wake, applied; /* applied: the allocator's */
    qd_cond keeper_wake;   /* of keeper and recorder */
    qd_waitq newer;        /* of requests: state is another one */
    cluster_batch *first, *last;
    qd_state *state, *shown; /* shown: to the listener; state right after, whose reference it has */
    uint64_t applying;       /* revision of shown */
    uint64_t epoch;          /* of the store in charge, by the last identity that had one */
    bool epoch_known;
    bool leaving;    /* the session is given back and not begun again */
    bool stop, lost; /* lost: a batch could not be queued */
    qd_thread *applier, *keeper, *recorder;
    qd_cluster_disks disks;
    _Atomic uint64_t disk_since_ns;   /* since when a write to a disk is under way; 0: none is */
    uint64_t probed_ns, disk_said_ns; /* the recorder's */
    qd_coord_watch *watch;
    qd_map kv;                /* the applier's: key -> qd_state_kv */
    qd_state_changes changes; /* of kv since the last state */
    _Atomic uint32_t pending;
    /* boot: when the store, last asked, was there, and the state no older than joined_at */
    _Atomic uint64_t contact_ns;
    uint64_t joined_at; /* under lock: revision at which this node's record was put last */
    /* of the one who begins, then of who marks: the cluster's record of this node's last start or
     * mark, its revision (0: none is kept), and the next one, tried and not known to be there */
    char life[QD_AUTHORITY_LIFE], life_next[QD_AUTHORITY_LIFE];
    uint64_t life_at, marks;
    cluster_asked *asked; /* under lock: nodes that wait for revisions */
    bool answers;
    struct qd_allocator *allocator; /* of control nodes, else NULL */
};

/* A transaction being put together; everything lives in the arena. */
typedef struct cluster_txn {
    qd_arena arena;
    QD_VEC(qd_coord_compare) compares;
    QD_VEC(qd_coord_change) changes;
    size_t bytes;                /* of all keys and values */
    const qd_coord_fence *fence; /* NULL: of nobody */
    int failed;                  /* QD_E_NOMEM once something did not fit */
} cluster_txn;

/* Starts an empty one; ends it. */
void qdi_txn_init(cluster_txn *t);
void qdi_txn_fini(cluster_txn *t);
/* The key must be at mod revision (0: absent). */
void qdi_txn_at(cluster_txn *t, qd_str key, uint64_t mod_revision);
/* The key must exist or not. */
void qdi_txn_exists(cluster_txn *t, qd_str key, bool exists);
/* Changes. */
void qdi_txn_put(cluster_txn *t, qd_str key, qd_str value, uint64_t session);
void qdi_txn_delete(cluster_txn *t, qd_str key);
/* printf into the transaction's arena: keys. */
qd_str qdi_txn_key(cluster_txn *t, const char *fmt, ...) QD_PRINTF(2, 3);
/* Takes what a writer wrote as a value. */
qd_str qdi_txn_value(cluster_txn *t, qd_buf *b);
/* For how long a change is tried that is made now: as the request wants it on whose behalf this
 * runs, else as the cluster's configuration says. */
int64_t qdi_cluster_patience_ms(const qd_cluster *c);
/* Commits: 0, QD_E_CONFLICT (without text: try again), or an error. */
int qdi_txn_commit(qd_cluster *c, cluster_txn *t, uint64_t *revision, qd_err *err);

/* Puts the edited record of a shard, under a compare with the revision it was edited from. */
void qdi_txn_put_shard(cluster_txn *t, const char *uuid, uint32_t number, const qd_shard_edit *e);

/* Puts a new index into a transaction. */
int qdi_create_index(qd_cluster *c, const qd_index_creation *a, const qd_index_place *place,
                     const qd_state *s, cluster_txn *t, qd_err *err);
/* Where the primaries of m begin, which is made of the index of this uuid, and the term of what
 * each begins with. QD_E_STATE */
int qdi_resize_places(const qd_state *s, const char *source, const qd_index_meta *m, cluster_txn *t,
                      const qd_node_meta **at, uint64_t *terms, qd_err *err);
/* What a new version of an index is made of: as it is. */
qd_index_source qdi_source_of(const qd_cluster *c, const qd_index_meta *m);
/* Replaces m by the index that src describes. */
int qdi_replace_index(qd_cluster *c, const qd_state *s, const qd_index_meta *m,
                      const qd_index_source *src, cluster_txn *t, qd_err *err);
/* Keys of an index: its record, its name. */
qd_str qdi_index_key(cluster_txn *t, const char *uuid);
qd_str qdi_name_key(cluster_txn *t, qd_str name);
/* Deletes the mapping of m, unless somebody has put it again since s. */
void qdi_delete_mapping(cluster_txn *t, const qd_state *s, const qd_index_meta *m);

/* What an attempt answers, if not with an error. */
enum {
    QDI_CHANGE_COMMIT = 0,  /* the transaction is whole */
    QDI_CHANGE_NOTHING = 1, /* the state is as wanted already */
};
/* One attempt: puts the transaction together from s. QDI_CHANGE_..., or an error. */
typedef int (*qdi_change_fn)(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t,
                             qd_err *err);
/* Indices that go; arg of qdi_delete_indices, which is an attempt. */
typedef struct qdi_delete_args {
    const qd_index_meta *const *m;
    uint32_t n;
    bool streams; /* with their data streams, whose write indices may be among them */
} qdi_delete_args;
int qdi_delete_indices(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err);
/* Makes and commits a change, again from a newer state while it conflicts; returns when this node
 * has applied it. */
int qdi_change(qd_cluster *c, qdi_change_fn fn, void *arg, qd_state **out, qd_err *err);
/* Sets number_of_replicas of an index for itself (index.auto_expand_replicas). */
int qdi_cluster_replicas(qd_cluster *c, qd_str uuid, uint32_t replicas, qd_err *err);

/* Revisions of the level of formats that the cluster writes, and of the one it is raised to. */
typedef struct qdi_features_at {
    uint64_t level, next, next_level;
} qdi_features_at;
/* Can this build work with the formats that the cluster writes? QD_E_STATE: no, they are newer. */
int qdi_features_known(qd_cluster *c, qdi_features_at *at, qd_err *err);
/* They must be as they were then. */
void qdi_features_compare(cluster_txn *t, const qdi_features_at *at);
/* A new random allocation id. */
qd_str qdi_allocation_id(qd_cluster *c, cluster_txn *t);
/* Ends the session of this node's former process, opens one, announces the node. QD_E_STATE: a
 * process with this node's identity lives. */
int qdi_session_begin(qd_cluster *c, qd_err *err);
/* Of a node that is refused: has the cluster been formed since its start? Then the masters hear its
 * uuid from this node, too. [session's keeper] */
void qdi_cluster_named(qd_cluster *c);
/* Answers other nodes that wait for a revision, from now on; those that can be answered now; none
 * any more. */
int qdi_applied_open(qd_cluster *c, qd_err *err);
void qdi_applied_tell(qd_cluster *c);
void qdi_applied_close(qd_cluster *c);
/* Whoever waits for a connection to a node that is not in the cluster any more waits no longer. */
void qdi_applied_left(const qd_cluster *c, const qd_state *old, const qd_state *now);
/* The thread that keeps the session; arg is the cluster. */
void qdi_session_keep(void *arg);
/* The thread that makes durable what this node acted on: no session waits for a disk. */
void qdi_session_record(void *arg);
/* What that thread does each time: writes down what was noted, looks after the disks. */
void qdi_disks_turn(qd_cluster *c);
/* How often at most the disks are looked after. */
uint64_t qdi_disks_interval_ns(const qd_cluster *c);
/* A node whose disk takes nothing any more is none that others should wait for: QD_E_IO. */
int qdi_disks_live(qd_cluster *c, qd_err *err);

#endif
