/*
 * allocation_int.h: the working state of a round. Copies of all shards have dense ids ("g"): those
 * of shard s are first[s] to first[s + 1]. A relocation is one copy here: it is at its target
 * (world.node) and still occupies its source (world.from); the view's copy that stands for the
 * target is TARGET and takes no part.
 *
 * Two worlds are kept. `now` is what is decided: throttling and the rules hold in it at each
 * decision. `plan` is where everything should end up; it starts as a copy of now.
 */
#ifndef QD_CLUSTER_ALLOCATION_ALLOCATION_INT_H
#define QD_CLUSTER_ALLOCATION_ALLOCATION_INT_H

#include "base/map.h"
#include "base/vec.h"
#include "cluster/allocation/allocation.h"
#include "cluster/allocation/explain.h"

#define ALLOC_TARGET 4 /* state of the far end of a relocation */
#define ALLOC_GONE 5   /* removed for good */
#define ALLOC_GAIN_MIN 0.05
#define ALLOC_SCANS_MAX 2000000u /* nodes looked at for copies whose planned place is taken */

/* Copies of an index on a node, packed so that the table stays small: 24 bits of index + 1, 24 of
 * node, 16 of the count; 0: empty. */
typedef uint64_t alloc_count;
#define ALLOC_INDICES_MAX ((1u << 24) - 2)
#define ALLOC_NODES_MAX (1u << 24)
#define ALLOC_INDEX_SHARDS_MAX 32768u

typedef struct alloc_world {
    uint32_t *node, *from; /* by copy */
    int32_t *shards;       /* by node, all below too */
    double *bytes, *load;
    int64_t *arriving, *leaving; /* bytes that disk_free does not know of yet */
    int32_t *in, *out, *initial; /* recoveries under way */
    alloc_count *counts, *spare; /* copies of an index on a node */
    uint32_t mask, used;
} alloc_world;

/* Which nodes the filters and tiers of an index allow: shared by all indices that say the same. */
typedef struct alloc_sig {
    uint64_t *nodes; /* bits */
    uint32_t *list;  /* of them, when few */
    uint32_t n;      /* allowed nodes */
    uint64_t groups; /* bits: groups with an allowed node */
} alloc_sig;

/* Tournament over the nodes of one group by what a copy of one class would weigh there. */
typedef struct alloc_tree {
    double *key;   /* by leaf */
    uint32_t *win; /* 1 .. leaves - 1: the leaf that wins below */
    uint32_t leaves;
} alloc_tree;

typedef struct alloc_group {
    const uint32_t *nodes; /* in order */
    uint32_t n;
} alloc_group;

typedef struct alloc_class {
    double bytes, load; /* of a copy of this class */
} alloc_class;

#define ALLOC_GROUPS_MAX 16
#define ALLOC_CLASSES_MAX 64
#define ALLOC_FEW 48 /* so many nodes are looked at one by one */

typedef struct alloc_work {
    const qd_alloc_view *view;
    qd_arena *arena;
    uint32_t ncopies;
    uint32_t *first;    /* by shard, and one more */
    uint32_t *shard_of; /* by copy */
    uint8_t *state;     /* by copy; qd_alloc_copy_state or above */
    bool *primary;      /* by copy */
    bool *mended;       /* by shard: its record changes first, nothing else is decided for it */
    bool *moved;        /* by copy: by the plan */
    uint8_t *status;    /* by copy: qd_alloc_status of the unassigned */
    bool *data;         /* by node: up and may hold shards */
    uint32_t ndata;
    int64_t *low, *high, *flood; /* by node: bytes to be free; -1: not measured */
    alloc_world now, plan;
    /* awareness */
    uint32_t nawareness;
    uint32_t **value;  /* by attribute, by node: id of its value, NONE */
    uint32_t *nvalues; /* by attribute, forced ones with them */
    qd_str **values;   /* their names */
    bool *forced;      /* by attribute */
    /* signatures */
    uint32_t *sig_of; /* by index */
    QD_VEC(alloc_sig) sigs;
    /* weights */
    double a, b, c, d; /* shard, index, byte, load */
    double threshold;
    alloc_class classes[ALLOC_CLASSES_MAX];
    uint32_t nclasses;
    uint8_t class_of[ALLOC_CLASSES_MAX]; /* raw class -> place above, 255: unused */
    double mean_bytes, mean_load;
    alloc_group groups[ALLOC_GROUPS_MAX];
    uint32_t ngroups;
    uint32_t *group_of, *leaf_of; /* by node */
    alloc_tree *trees;            /* by group, by class */
    uint32_t *front;              /* scratch of a search */
    /* cluster-wide facts for rebalancing */
    uint32_t unassigned, initializing, relocating, unassigned_primaries, inactive_primaries;
    uint32_t scans; /* nodes looked at so, in this round */
    bool still;     /* the cluster is not to be rebalanced now: started copies stay in the plan */
    bool musts, single; /* of planning: with what must go; stop after one move */
    uint32_t shutting;  /* nodes that leave */
    QD_VEC(qd_alloc_decision) out;
    qd_alloc_result *result;
    bool commanded; /* a reroute command is being carried out: `enable` is not minded */
    bool retried;   /* failures before this round do not count (retry_failed) */
    int failed;
} alloc_work;

/* What a decider is asked: may copy g be (allocate), stay (remain), be moved (rebalance)? */
typedef struct alloc_ask {
    alloc_work *w;
    const alloc_world *o;
    uint32_t g, node;
    qd_str *why; /* NULL: only the verdict is wanted */
} alloc_ask;

enum {
    ALLOC_NOW_ONLY = 1, /* throttling: not asked while planning */
    ALLOC_BINDING = 2,  /* holds also for files that are the only ones */
    ALLOC_STATIC = 4,   /* covered by the signature's bits */
};
typedef struct alloc_decider {
    const char *name;
    qd_alloc_verdict (*allocate)(const alloc_ask *a);
    qd_alloc_verdict (*remain)(const alloc_ask *a);
    qd_alloc_verdict (*rebalance)(const alloc_ask *a);
    uint32_t flags;
} alloc_decider;
extern const alloc_decider qdi_alloc_deciders[];
extern const uint32_t qdi_alloc_ndeciders;

/* Sets *a->why to a formatted text if one is wanted; returns verdict. */
qd_alloc_verdict qdi_alloc_say(const alloc_ask *a, qd_alloc_verdict verdict, const char *fmt, ...)
    QD_PRINTF(3, 4);
/* The worst verdict of all deciders; plan: without those that only hold now. */
qd_alloc_verdict qdi_alloc_allowed(alloc_work *w, const alloc_world *o, uint32_t g, uint32_t node);
/* The same for the only files of a shard on a node that holds them: only binding deciders say no,
 * throttling throttles. */
qd_alloc_verdict qdi_alloc_forced(alloc_work *w, uint32_t g, uint32_t node);
/* May the copy stay where it is? */
qd_alloc_verdict qdi_alloc_remains(alloc_work *w, const alloc_world *o, uint32_t g, uint32_t node);
/* May the copy be moved for balance now? */
qd_alloc_verdict qdi_alloc_rebalances(alloc_work *w, uint32_t g);
/* The first decider that says no to g on node, with its text: for reasons of moves. */
const char *qdi_alloc_refusal(alloc_work *w, uint32_t g, uint32_t node, qd_str *why);

/* --- work.c --- */
int qdi_alloc_work_init(alloc_work *w, const qd_alloc_view *view, qd_arena *arena, qd_err *err);
void qdi_alloc_work_fini(alloc_work *w);
static inline const qd_alloc_shard *alloc_shard_of(const alloc_work *w, uint32_t g)
{
    return &w->view->shards[w->shard_of[g]];
}
static inline const qd_alloc_copy *alloc_copy_of(const alloc_work *w, uint32_t g)
{
    uint32_t s = w->shard_of[g];
    return &w->view->shards[s].copies[g - w->first[s]];
}
static inline const qd_alloc_index *alloc_index_of(const alloc_work *w, uint32_t g)
{
    return &w->view->indices[alloc_shard_of(w, g)->index];
}
/* Copy of the shard that is primary, NONE. */
uint32_t qdi_alloc_primary(const alloc_work *w, uint32_t s);
/* Is the shard's primary started? */
bool qdi_alloc_primary_active(const alloc_work *w, uint32_t s);
/* Copies of an index on a node. */
uint32_t qdi_alloc_count(const alloc_world *o, uint32_t index, uint32_t node);
/* Puts a copy on a node, takes it off (counts, bytes, load); trees follow when o is the plan. */
void qdi_alloc_put(alloc_work *w, alloc_world *o, uint32_t g, uint32_t node);
void qdi_alloc_take(alloc_work *w, alloc_world *o, uint32_t g);
/* Makes the plan a copy of now. */
void qdi_alloc_plan_start(alloc_work *w);
/* Counts recoveries under way and inactive copies anew, after mending. */
void qdi_alloc_traffic(alloc_work *w);
/* Appends a decision; memory failures are remembered in w->failed. */
qd_alloc_decision *qdi_alloc_decide(alloc_work *w, qd_alloc_action action, uint32_t g,
                                    uint32_t node, const char *fmt, ...) QD_PRINTF(5, 6);

/* --- disk.c --- */
/* The disk on which a node has, or would have, the files of an index. */
typedef struct alloc_disk {
    int64_t total, free;
    int64_t low, high, flood; /* bytes to be left free; -1: usage or watermarks are not known */
} alloc_disk;
void qdi_alloc_disk_of(const alloc_work *w, uint32_t index, uint32_t node, alloc_disk *out);

/* --- awareness.c --- */
/* Ids of the values of awareness attributes. */
int qdi_alloc_awareness_make(alloc_work *w, qd_err *err);
/* Would awareness forbid one more copy of this shard on the node in the plan? */
bool qdi_alloc_zone_full(alloc_work *w, uint32_t g, uint32_t node);

/* --- match.c --- */
/* Does the node match the filters? all: every one must (require), else any. */
bool qdi_alloc_match(const qd_alloc_node *n, const qd_alloc_pair *f, uint32_t nf, bool all);
/* _name:"a OR b" as Elasticsearch prints filters. */
qd_str qdi_alloc_filter_text(qd_arena *arena, const qd_alloc_pair *f, uint32_t nf, bool all);
/* The role letter of a tier's name, 0. */
char qdi_alloc_tier_letter(qd_str tier);
/* The first tier of a preference with a node: its name, empty when none. */
qd_str qdi_alloc_tier_pick(const alloc_work *w, qd_str tiers);
/* Value of an attribute, {NULL, 0}. */
qd_str qdi_alloc_attr(const qd_alloc_node *n, qd_str name);
/* Fills w->sigs and w->sig_of. */
int qdi_alloc_sigs_make(alloc_work *w, qd_err *err);
static inline bool alloc_sig_has(const alloc_sig *s, uint32_t node)
{
    return (s->nodes[node >> 6] >> (node & 63)) & 1;
}

/* --- weight.c --- */
/* Weights, classes, groups, trees; after the worlds. */
int qdi_alloc_weights_make(alloc_work *w, qd_err *err);
/* A node's sums in the plan have changed. */
void qdi_alloc_weight_touch(alloc_work *w, uint32_t node);
/* What a copy of these bytes and this load weighs on a node, without the index's part. */
static inline double alloc_key(const alloc_work *w, const alloc_world *o, uint32_t node,
                               double bytes, double load)
{
    return w->a * o->shards[node] + w->c * bytes * o->bytes[node] + w->d * load * o->load[node];
}
/* What moving copy g from where it is to node lessens the imbalance; *gap (may be NULL) gets the
 * difference of weights before it. */
double qdi_alloc_gain(const alloc_work *w, const alloc_world *o, uint32_t g, uint32_t node,
                      double *gap);
/* At most so much can any move of g gain in the plan: O(groups). */
double qdi_alloc_gain_bound(const alloc_work *w, uint32_t g);
/* A guess without asking all deciders: the node of the best move of g and what it is worth; *node
 * stays NONE when none helps. */
void qdi_alloc_hint(alloc_work *w, uint32_t g, uint32_t *node, double *score);
/* The allowed node of the plan on which g weighs least (its own left out), NONE. */
uint32_t qdi_alloc_find(alloc_work *w, uint32_t g);
/* The same among all nodes but one: O(nodes). */
uint32_t qdi_alloc_find_but(alloc_work *w, uint32_t g, uint32_t avoid);

/* --- steps of a round --- */
void qdi_alloc_mend(alloc_work *w);  /* mend.c: lost nodes, promotions, fewer replicas */
void qdi_alloc_flood(alloc_work *w); /* flood.c */
void qdi_alloc_place(alloc_work *w); /* place.c: the plan gets all that is unassigned */
void qdi_alloc_emit(alloc_work *w);  /* emit.c: decisions from the plan */

/* emit.c: decides to move g; what and why are its reason. */
void qdi_alloc_relocate(alloc_work *w, uint32_t g, uint32_t node, const char *what, qd_str why);

/* A move of the plan: must (may not stay) or for balance. */
typedef struct alloc_move {
    uint32_t g, node;
    bool must;
} alloc_move;
typedef QD_VEC(alloc_move) alloc_moves;
/* level.c: coarse moves from the heaviest nodes to the lightest; qdi_alloc_move carries one out. */
void qdi_alloc_level(alloc_work *w, alloc_moves *moves);
void qdi_alloc_move(alloc_work *w, alloc_moves *moves, uint32_t g, uint32_t node, bool must);
bool qdi_alloc_movable(const alloc_work *w, uint32_t g);
bool qdi_alloc_worth(const alloc_work *w, uint32_t g, uint32_t node, double *score);
/* balance.c: what may not stay, then what helps; appends the moves in order. */
void qdi_alloc_plan_moves(alloc_work *w, alloc_moves *moves);
/* place.c: unassigned copies in the order in which they are served. */
uint32_t qdi_alloc_queue(alloc_work *w, uint32_t **out);
/* place.c: does the copy wait for its node? *until: wall clock. */
bool qdi_alloc_delayed(const alloc_work *w, uint32_t g, int64_t *until);
/* place.c: the holder of an unassigned primary's newest files that is up and allowed (verdict), or
 * NONE with verdict NO; *any tells whether any in-sync holder is up. */
uint32_t qdi_alloc_holder(alloc_work *w, uint32_t g, qd_alloc_verdict *verdict, bool *any);

/* Has the node a role that holds shards? */
bool qdi_alloc_holds_data(const qd_alloc_node *n);

#endif
