/* allocator_int.h: the allocator's struct. See allocator.h. */
#ifndef QD_CLUSTER_ALLOCATOR_INT_H
#define QD_CLUSTER_ALLOCATOR_INT_H

#include "cluster/allocation/alloc_view.h"
#include "cluster/allocation/allocator.h"
#include "cluster/cluster_int.h"

#define ALLOCATOR_ARENA_MAX ((size_t)2 << 30) /* of a round */

struct qd_rpc_watch;

/* A watched peer: one for each other node that the state names. */
typedef struct allocator_peer {
    struct qd_allocator *a;
    struct qd_rpc_watch *watch;
    bool seen;                  /* in the state that is being looked at */
    bool gone;                  /* its process has ended: session to be closed */
    char id[64], ephemeral[64]; /* of the node record it stands for */
    char ended[64];             /* ephemeral id of the process that has ended */
} allocator_peer;

struct qd_allocator {
    qd_cluster *c;
    const qd_config *config;
    struct qd_rpc *rpc;
    qd_thread *thread;
    qd_map peers; /* transport address -> allocator_peer */

    /* under c->lock; c->applied is signalled */
    bool stop, ended, kicked, peer_event;
    int32_t ended_rc;
    qd_coord_token ended_token;

    /* the thread's */
    qd_coord_campaign *campaign;
    uint64_t session; /* under which it stands or leads */
    qd_coord_fence fence;
    uint64_t epoch;        /* of the store, when this election was last known to hold in it */
    bool leads, confirmed; /* confirmed: the state has shown this node as the winner */
    qd_state *looked;      /* state of the last look, NULL: none yet */
    qd_state *mended;      /* state in which nothing was left to mend, NULL: not known */
    bool urgent;           /* a round is wanted that does not wait */
    uint64_t rested_ns;    /* mono: a round that nothing urgent asks for waits until then */
    uint64_t again_ns;     /* mono; UINT64_MAX: never */
    bool gathered;         /* gateway.* waits for no data nodes any more */
    uint64_t enough_ns;    /* since when there are as many as are needed; 0: there are not */
    uint64_t silence_ns;   /* mono: when to look at whether the one that leads is silent */
    bool silent;           /* it was at the last look */
    uint64_t cut_ns;       /* mono: when this node last heard nobody; silence counts from then */
    qd_alloc_pair_fact pairs[QD_ALLOC_PAIRS_MAX]; /* nodes between which recoveries failed lately */
    uint32_t npairs;
};

/* Opens and starts it; c is open. */
int qdi_allocator_open(qd_cluster *c, const qd_config *config, struct qd_rpc *rpc,
                       qd_allocator **out, qd_err *err);
/* Ends it; gives the election back. NULL is fine. */
void qdi_allocator_close(qd_allocator *a);

/* Takes away copies of processes that are gone, brings the number of places in line. *n gets how
 * many records were changed. While the nodes are the same only what has changed since a->mended is
 * looked at. */
int qdi_allocator_mend(qd_allocator *a, const qd_state *s, uint32_t *n, qd_err *err);
/* Brings replicas in line with index.auto_expand_replicas; view: of s. *n: indices that were
 * changed. */
int qdi_allocator_expand(qd_allocator *a, const qd_state *s, const qd_alloc_view *view, uint32_t *n,
                         qd_err *err);
/* One round of the allocation over s and its view, which is in arena; *n as of mend. Sets again_ns;
 * *took_ns grows by the time that deciding took, without that of changing records. */
int qdi_allocator_assign(qd_allocator *a, const qd_state *s, const qd_alloc_view *view,
                         qd_arena *arena, uint32_t *n, uint64_t *took_ns, qd_err *err);

/* One decision as a step of the record being edited. QD_E_CONFLICT: the record does not allow it;
 * QD_E_NOMEM. */
int qdi_decision_step(qd_env *env, const qd_state *state, const qd_alloc_view *view,
                      qd_arena *arena, qd_shard_edit *e, const qd_alloc_decision *x);

/* Keeps the failed pairs of a view, and those of moves that ended before their time: what a state
 * tells of them is over once the copy has started elsewhere. */
void qdi_allocator_pairs_keep(qd_allocator *a, const qd_alloc_view *view);
/* A move that `before` has and `s` has no more, whose source is started again as it was: its target
 * failed. */
void qdi_allocator_pairs_moves(qd_allocator *a, const qd_state *before, const qd_state *s);

/* Watches the transport of the nodes in s. */
void qdi_allocator_peers_follow(qd_allocator *a, const qd_state *s);
/* Closes the sessions of processes that have ended. */
void qdi_allocator_peers_close(qd_allocator *a, const qd_state *s);
/* Has the node that leads fallen silent? Then the election is taken from it, which costs it nothing
 * else: its session, and with it its copies, stay as long as they would. Sets silence_ns. */
void qdi_allocator_silence(qd_allocator *a, const qd_state *s);
/* Ends all watches. */
void qdi_allocator_peers_fini(qd_allocator *a);

#endif
