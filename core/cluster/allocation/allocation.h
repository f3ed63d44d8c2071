/*
 * allocation.h: which node holds which copy of which shard. A pure function: a view of the cluster
 * in plain arrays with dense ids goes in, decisions with their reasons come out. Nothing here reads
 * a clock, a file or the network; the same view gives the same decisions.
 *
 * A round first mends (copies on lost nodes, promotions, returned files), then places what is
 * unassigned, then moves what may not stay, then balances. Placing, moving and balancing work on a
 * plan of the whole cluster without regard to throttling; of that plan as many steps become
 * decisions as recoveries are allowed at one time, the most urgent first. See docs/allocation.md.
 */
#ifndef QD_CLUSTER_ALLOCATION_ALLOCATION_H
#define QD_CLUSTER_ALLOCATION_ALLOCATION_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define QD_ALLOC_NONE UINT32_MAX
#define QD_ALLOC_NEVER INT64_MAX
#define QD_ALLOC_COPIES_MAX 1024 /* copies of one shard */

typedef struct qd_alloc_pair {
    qd_str name, value;
} qd_alloc_pair;

/* What is to become of a node (permits, `_nodes/shutdown`). */
typedef enum qd_alloc_leave {
    QD_ALLOC_STAYS,
    QD_ALLOC_RESTARTS, /* comes back: its copies wait for it until permit_until_ms */
    QD_ALLOC_REMOVED,  /* is emptied */
} qd_alloc_leave;

typedef struct qd_alloc_node {
    qd_str id, name, host, ip, publish_ip, transport_address;
    qd_str roles; /* letters of _cat/nodes; d h w c s f hold shards */
    const qd_alloc_pair *attrs;
    uint32_t nattrs;
    qd_str version;          /* as text */
    uint32_t version_number; /* major << 16 | minor << 8 | patch; 0: not known */
    bool up;                 /* has a session; a node that is gone is here only if copies name it */
    qd_alloc_leave leave;
    int64_t permit_until_ms;       /* wall clock; RESTARTS */
    int64_t disk_total, disk_free; /* bytes; total 0: not measured */
    qd_str tiers;                  /* storage tiers on which it may hold shards: "hot,warm" */
    qd_str tier_spaces;            /* "<name>=<total>/<free> ...", of tiers beside its own */
} qd_alloc_node;

typedef enum qd_alloc_copy_state {
    QD_ALLOC_UNASSIGNED,
    QD_ALLOC_INITIALIZING,
    QD_ALLOC_STARTED,
    QD_ALLOC_RELOCATING, /* started; partner is its target */
} qd_alloc_copy_state;

/* Elasticsearch's reasons, as _cat/shards shows them. */
typedef enum qd_alloc_why {
#define QD_ALLOC_WHY(sym) QD_ALLOC_WHY_##sym,
#include "cluster/allocation/why.def"
#undef QD_ALLOC_WHY
    QD_ALLOC_WHY_COUNT
} qd_alloc_why;

/* Why a copy is not assigned (kept while it initializes). */
typedef struct qd_alloc_unassigned {
    qd_alloc_why why;
    int64_t at_ms;      /* wall clock, since when */
    uint32_t failures;  /* attempts failed in sequence */
    uint32_t last_node; /* node that held it, NONE */
    bool delayed;       /* its node left lately, the index waits for it */
    qd_str details;
} qd_alloc_unassigned;

typedef struct qd_alloc_copy {
    uint32_t node;    /* NONE: unassigned */
    uint32_t partner; /* the other end of a relocation, place among the shard's copies; NONE */
    qd_alloc_copy_state state;
    bool primary; /* also the target of a relocating primary */
    bool in_sync;
    bool lost;            /* its process is gone, though the node may be up again */
    qd_str allocation_id; /* empty: unassigned */
    qd_alloc_unassigned info;
} qd_alloc_copy;

typedef enum qd_alloc_verdict {
    QD_ALLOC_NO,
    QD_ALLOC_THROTTLE, /* yes, but later */
    QD_ALLOC_YES
} qd_alloc_verdict;

/* A node known to have files of a shard that no active copy stands for. */
typedef struct qd_alloc_holder {
    uint32_t node;        /* NONE: not known any more */
    qd_str allocation_id; /* under which they were written */
    bool in_sync;         /* member of the in-sync set; else stale */
} qd_alloc_holder;

typedef struct qd_alloc_shard {
    uint32_t index, number;
    const qd_alloc_copy *copies; /* 1 + replicas and targets of relocations; the primary first */
    uint32_t ncopies;
    const qd_alloc_holder *holders;
    uint32_t nholders;
    int64_t size; /* bytes of a copy; 0: not known */
    bool fresh;   /* has never been started: any node may make it, empty */
} qd_alloc_shard;

typedef enum qd_alloc_enable {
    QD_ALLOC_ENABLE_ALL,
    QD_ALLOC_ENABLE_PRIMARIES,
    QD_ALLOC_ENABLE_NEW_PRIMARIES,
    QD_ALLOC_ENABLE_NONE
} qd_alloc_enable;
typedef enum qd_alloc_rebalance {
    QD_ALLOC_REBALANCE_ALL,
    QD_ALLOC_REBALANCE_PRIMARIES,
    QD_ALLOC_REBALANCE_REPLICAS,
    QD_ALLOC_REBALANCE_NONE
} qd_alloc_rebalance;
typedef enum qd_alloc_allow {
    QD_ALLOC_ALLOW_ALWAYS,
    QD_ALLOC_ALLOW_PRIMARIES_ACTIVE,
    QD_ALLOC_ALLOW_ALL_ACTIVE
} qd_alloc_allow;

/* include, exclude, require: attribute (or _name, _ip, _host, _id, _publish_ip, _host_ip) and a
 * comma-separated list of patterns. Sorted by name. */
typedef struct qd_alloc_filters {
    const qd_alloc_pair *include, *exclude, *require;
    uint32_t ninclude, nexclude, nrequire;
} qd_alloc_filters;

typedef struct qd_alloc_index {
    qd_str name, uuid;
    uint32_t first, nshards; /* in the view's shards */
    uint32_t replicas;
    int64_t created_ms;
    int32_t priority;
    bool closed;
    bool flood_block; /* index.blocks.read_only_allow_delete is on */
    qd_alloc_filters filters;
    const qd_alloc_pair *initial; /* index.routing.allocation.initial_recovery.*, as require */
    uint32_t ninitial;
    qd_str tiers;        /* index.routing.allocation.include._tier_preference */
    qd_str storage_tier; /* index.storage.tier; empty: each node's own */
    uint32_t source;     /* 1 + place of the index that it is made of; 0: of none */
    qd_alloc_enable enable;
    bool enable_set; /* the index has its own */
    qd_alloc_rebalance rebalance;
    bool rebalance_set;
    int32_t per_node; /* shards on one node; -1: no bound */
    uint32_t max_retries;
    int64_t delay_ms;  /* index.unassigned.node_left.delayed_timeout */
    double write_load; /* of one shard: mean busy indexing threads; 0: none or not known */
} qd_alloc_index;

/* How full a disk may be. */
typedef struct qd_alloc_watermark {
    qd_str text;   /* as set: 85%, 0.85, 10gb */
    bool is_bytes; /* free_bytes holds, else used_ratio */
    double used_ratio;
    int64_t free_bytes;
    int64_t headroom; /* most bytes that a ratio keeps free; -1: none */
    qd_str headroom_text;
} qd_alloc_watermark;

typedef struct qd_alloc_settings {
    qd_alloc_enable enable;
    qd_alloc_rebalance rebalance;
    qd_alloc_allow allow;
    int32_t concurrent_rebalance; /* -1: any number */
    int32_t node_in, node_out, node_initial;
    bool same_host;
    int32_t per_node; /* -1: no bound */
    const qd_str *awareness;
    uint32_t nawareness;
    const qd_alloc_pair *forced; /* attribute -> comma-separated values */
    uint32_t nforced;
    qd_alloc_filters filters;
    double balance_shard, balance_index, balance_disk, balance_load, threshold;
    bool disk_enabled;
    qd_alloc_watermark low, high, flood;
} qd_alloc_settings;

/* What a node holds besides the shards of a view. */
typedef struct qd_alloc_held {
    uint32_t shards;
    int64_t bytes;
    double load;
} qd_alloc_held;

/* Copies could lately not be filled on one node from another one: both may be sound, and not hear
 * each other. */
typedef struct qd_alloc_pair_failed {
    uint32_t target, source;
    int64_t until_ms; /* wall clock: other nodes are preferred to the target until then */
} qd_alloc_pair_failed;

/* All that a round looks at. Borrowed; never written. */
typedef struct qd_alloc_view {
    int64_t now_ms; /* wall clock */
    bool disks_new; /* disks were measured since the last round: flood blocks may be released */
    const qd_alloc_node *nodes;
    uint32_t nnodes;
    const qd_alloc_index *indices;
    uint32_t nindices;
    const qd_alloc_shard *shards; /* grouped by index, by number */
    uint32_t nshards;
    const qd_alloc_held *held; /* by node, of a view that leaves shards out; NULL: it is whole */
    const qd_alloc_pair_failed *failed_pairs; /* a few */
    uint32_t nfailed_pairs;
    qd_alloc_settings settings;
} qd_alloc_view;

/* Elasticsearch's defaults of all settings. [any] */
void qd_alloc_settings_default(qd_alloc_settings *out);
/* Bytes that a watermark wants free on a disk of total bytes. [any] */
int64_t qd_alloc_watermark_free(const qd_alloc_watermark *w, int64_t total);
/* "INDEX_CREATED", ... [any] */
const char *qd_alloc_why_name(qd_alloc_why why);
/* Back from a name; QD_ALLOC_WHY_COUNT when unknown. [any] */
qd_alloc_why qd_alloc_why_parse(qd_str name);

typedef enum qd_alloc_action {
    QD_ALLOC_ASSIGN_PRIMARY, /* copy to node, from `source` */
    QD_ALLOC_ASSIGN_REPLICA, /* copy to node, recovers from the primary */
    QD_ALLOC_PROMOTE,        /* copy, started and in sync, becomes primary; term rises */
    QD_ALLOC_RELOCATE,       /* copy starts to move to node */
    QD_ALLOC_CANCEL,         /* the relocation of copy (its target goes) */
    QD_ALLOC_REMOVE,         /* copy goes; its slot becomes unassigned for reason `why`, or with
                                `shrink` vanishes */
    QD_ALLOC_RESET,          /* failures of copy count from 0 again (retry_failed) */
    QD_ALLOC_BLOCK,          /* index gets read_only_allow_delete: flood stage */
    QD_ALLOC_UNBLOCK,        /* and loses it */
} qd_alloc_action;

typedef enum qd_alloc_source {
    QD_ALLOC_FROM_NOTHING, /* a new shard, made empty */
    QD_ALLOC_FROM_DISK,    /* the files of holder */
    QD_ALLOC_FROM_PEER,    /* the primary's */
    QD_ALLOC_FROM_STALE,   /* forced: the files of holder, not in sync; data may be lost */
    QD_ALLOC_FROM_EMPTY,   /* forced: nothing; data is lost */
} qd_alloc_source;

/* One step. A shard gets either REMOVE and PROMOTE decisions (its record has to be mended first) or
 * others. */
typedef struct qd_alloc_decision {
    qd_alloc_action action;
    uint32_t index;  /* of the view, also for BLOCK */
    uint32_t shard;  /* of the view; NONE for BLOCK */
    uint32_t copy;   /* place among the shard's copies */
    uint32_t node;   /* where to */
    uint32_t holder; /* FROM_DISK, FROM_STALE: place among the shard's holders */
    qd_alloc_source source;
    qd_alloc_why why; /* REMOVE */
    bool shrink;      /* REMOVE: fewer replicas are wanted */
    bool delayed;     /* REMOVE: the index waits for the node to come back */
    bool in_sync;     /* REMOVE: it stays in the in-sync set (there is no active primary) */
    qd_str reason;    /* a sentence, in the arena */
} qd_alloc_decision;

/* What became of an unassigned copy: unassigned_info.last_allocation_status. */
typedef enum qd_alloc_status {
    QD_ALLOC_STATUS_NO_ATTEMPT,
    QD_ALLOC_STATUS_NO,            /* "no": deciders_no */
    QD_ALLOC_STATUS_NO_VALID_COPY, /* "no_valid_shard_copy" */
    QD_ALLOC_STATUS_THROTTLED,
    QD_ALLOC_STATUS_DELAYED,
} qd_alloc_status;
/* "no_attempt", "no", "no_valid_shard_copy", "throttled", "delayed_allocation". [any] */
const char *qd_alloc_status_name(qd_alloc_status status);

typedef struct qd_alloc_result {
    const qd_alloc_decision *decisions;
    uint32_t n;
    int64_t again_ms;    /* wall clock at which to come back without other cause; NEVER */
    uint32_t unassigned; /* copies without a node after these decisions */
    uint32_t throttled;  /* of them, those that wait for other recoveries */
    uint32_t delayed;    /* of them, those that wait for their node */
    uint32_t stuck;      /* copies that may not stay where they are and have nowhere to go */
    uint32_t moves;      /* moves of the plan that are not decided yet */
    uint32_t rebalances; /* relocations for balance, running and decided */
} qd_alloc_result;

/* Data nodes that filters and tiers leave to an index of the view. O(nodes). [any] */
uint32_t qd_alloc_nodes_for(const qd_alloc_view *v, uint32_t index);

/* One round. Everything in *out lives in arena. O((copies + moves) log nodes). [worker]
 * QD_E_NOMEM; QD_E_ARG: the view does not hold together (an id out of range). */
QD_MUST_CHECK
int qd_allocation_round(const qd_alloc_view *view, qd_arena *arena, qd_alloc_result *out,
                        qd_err *err);

#endif
