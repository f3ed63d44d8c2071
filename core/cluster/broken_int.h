/*
 * broken_int.h: defects that can be built into the cluster state's code, one at a time
 * (-DCLUSTER_VARIANTS, for the simulation), to show that it finds each. The product is built with
 * none; every test is on a constant there.
 */
#ifndef QD_CLUSTER_BROKEN_INT_H
#define QD_CLUSTER_BROKEN_INT_H

enum {
    CLUSTER_BROKEN_PROMOTE_OUT_OF_SYNC = 1, /* a copy that was never in sync becomes primary */
    CLUSTER_BROKEN_TERM_KEPT,               /* a new primary under the old term */
    CLUSTER_BROKEN_PRIMARY_UNNAMED,         /* a change of a primary's whatever term it has */
    CLUSTER_BROKEN_NO_COMPARE,              /* a shard's record is put over whatever is there */
    CLUSTER_BROKEN_NO_FENCE,                /* the allocator names no token of its election */
    CLUSTER_BROKEN_RETRY_IS_NEW,   /* after an unknown outcome: the change under a new id */
    CLUSTER_BROKEN_SILENT_IS_GONE, /* of a node that is silent the session is closed */
    CLUSTER_BROKEN_NODES_STAY,     /* copies of nodes that left stay where they were */
    CLUSTER_BROKEN_GAP_IGNORED,    /* a watch that lacks history goes on without it */
    CLUSTER_BROKEN_OLDER_TAKEN,    /* a state older than one acted on is acted on */
    CLUSTER_BROKEN_JOINS_UNASKED,  /* whatever formats the cluster writes by then */
    /* of a hand-over between two stores (tests/unit/cluster/handover_t.c) */
    CLUSTER_BROKEN_NO_REST,       /* decided without the sealed store's last changes */
    CLUSTER_BROKEN_COPY_TRUSTED,  /* ... without comparing the copy */
    CLUSTER_BROKEN_EARLY_SEAL,    /* sealed without a clean comparison */
    CLUSTER_BROKEN_SEAL_ASSUMED,  /* a seal whose outcome is unknown is taken for done */
    CLUSTER_BROKEN_VOID_ASSUMED,  /* the same of making the mirror void */
    CLUSTER_BROKEN_FAILED_IS_NOT, /* a decision without an answer is taken for not made */
    CLUSTER_BROKEN_UNSEAL_FIRST,  /* unsealed whatever the other store says */
    CLUSTER_BROKEN_TARGET_ANY,    /* any mirror takes over for a sealed store */
    CLUSTER_BROKEN_END
};
#ifdef CLUSTER_VARIANTS /* the simulation: all in one program, chosen when it runs */
extern int cluster_variant;
#define cluster_broken(x) (cluster_variant == CLUSTER_BROKEN_##x)
#else
#define cluster_broken(x) 0
#endif

#endif
