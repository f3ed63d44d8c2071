/*
 * part_int.h: the boundary between a search's coordinating part and the nodes that hold its
 * shards. Plain data goes over it: by a function call to this node, encoded (wire.c) to
 * others.
 *
 *   search_part    what a node is asked: the request as it was sent, what the coordinating part
 *                  resolved (times, sizes, filters of aliases, looked-up terms), indices, shards
 *   search_shard   its results, one for each shard asked for, in that order
 *   search_picks   which hits of which shard are to be fetched; answered by JSON, hit by hit
 *
 * What a node needs between two calls waits in a search_context under a random id: until the fetch
 * of a search, between two pages of a scroll, for the life of a point in time.
 */
#ifndef QD_ACTION_SEARCH_PART_INT_H
#define QD_ACTION_SEARCH_PART_INT_H

#include "action/search/search_int.h"
#include "action/transport/ask_int.h"

struct qd_writer;
struct search_load;

#define SEARCH_CONTEXT_ID 16u
#define SEARCH_PART_SHARDS_MAX 65536u

/* --- the query phase ---------------------------------------------------------------------------
 */

typedef struct search_part_index {
    qd_str uuid, name;
    qd_str filter; /* of the aliases: a JSON array; empty: none */
} search_part_index;

typedef struct search_part_shard {
    uint32_t index, number; /* index: in search_part.indices */
    uint32_t place;         /* among all shards of the search */
    uint32_t *nearest; /* search_shard.nearest, search_part.nnearest of them; NULL: not known */
} search_part_shard;

/* Values that a terms query has looked up in a document. */
typedef struct search_lookup {
    struct search_lookup *next;
    qd_query_lookup of;
    const qd_query_value *values;
    uint32_t n;
} search_lookup;

/* A term's statistics over all shards. */
typedef struct search_stat {
    qd_str field, term;
    qd_node_stats stats;
} search_stat;

typedef struct search_part {
    bool query_only; /* the body is one of _count: nothing but a query */
    qd_str body;
    const qd_pair *params;
    uint32_t nparams;
    uint64_t revision; /* of the state that the coordinating part looked at */
    int64_t now_ms, from, size, timeout_ms, terminate_after, at_once;
    uint64_t total; /* as qd_top_options.total */
    bool has_min_score;
    float min_score;
    bool alone; /* these are all shards of the search: what will be shown is fetched at once */
    int64_t keep_ms;
    bool scroll;            /* keep what the next page needs */
    bool opens_pit;         /* only open searchers, and keep them */
    int64_t pit_keep_ms;    /* with context: its time, if longer; 0: as it is */
    const uint8_t *context; /* a point in time whose searchers are used; NULL: the newest */
    search_part_index *indices;
    uint32_t nindices;
    search_part_shard *shards;
    uint32_t nshards;
    search_lookup *lookups;
    search_stat *stats; /* of dfs_query_then_fetch */
    uint32_t nstats;
    bool asks_knn;     /* before the search: the scores of the nearest vectors alone */
    uint32_t nnearest; /* sections knn that shards[].nearest is of; 0: it is not there */
} search_part;

/* Makes the part of a search that some of its shards are; it borrows from x. `shards` are x's. */
int qdi_part_make(search_run *x, search_shard *const *shards, uint32_t n, search_part *out,
                  qd_err *err);
/* A copy of all it holds, in arena. */
int qdi_part_copy(const search_part *p, qd_arena *arena, search_part *out, qd_err *err);

/* --- contexts ----------------------------------------------------------------------------------
 */

typedef enum search_context_kind {
    SEARCH_CONTEXT_QUERY,  /* waits for the fetch of its search */
    SEARCH_CONTEXT_SCROLL, /* between pages */
    SEARCH_CONTEXT_PIT
} search_context_kind;

/* A node's part of a search, or a point in time: x.shards hold searchers. In use by one caller at a
 * time. */
typedef struct search_context {
    struct search_context *next; /* of its slot in the table */
    uint8_t id[SEARCH_CONTEXT_ID];
    search_context_kind kind;
    qd_arena arena; /* part, request, bound indices, state of the shards */
    search_part part;
    qd_request q;
    search_request r;
    search_run x;
    /* scroll, by shard: the last hit given */
    search_hit *last;
    bool *has_last;
    qd_arena kept[2]; /* values of last; the one in use and the one before */
    uint32_t keep_at;
    int64_t keep_ms;
    int64_t opened_ms; /* wall clock */
    uint64_t expires_ns;
    uint32_t users; /* of a point in time: searches; of others: 1 while busy */
    /* of a scroll: the request whose page it makes, between that page's calls too; 0: none */
    uint64_t owner, owned_until_ns;
    bool drop, listed;
} search_context;

/* Makes a context of a part; it is not in the table yet. arena_of… p is copied. */
int qdi_context_make(qd_actions *a, const search_part *p, search_context_kind kind,
                     search_context **out, qd_err *err);
/* Frees one that is not in the table. NULL is fine. */
void qdi_context_free(search_context *c);
/* Puts it into the table under a new id, in use by the caller. QD_E_REJECTED: too many are open. */
int qdi_context_add(search_context *c, qd_err *err);
/* Finds a context and takes it into use for the request that `owner` stands for; waits a while when
 * another uses it, but for points in time, which are shared. Of two requests that both have some
 * contexts of a scroll, one waits and the other is refused. QD_E_SEARCH_CONTEXT_MISSING;
 * QD_E_REJECTED: it stays in use; errors of qd_task_check. */
int qdi_context_take(qd_actions *a, const uint8_t id[SEARCH_CONTEXT_ID], uint64_t owner,
                     qd_task *task, search_context **out, qd_err *err);
/* The request behind a task: of the node that asks, or, where nobody else does, the task's own; 0:
 * the asking node does not tell. */
uint64_t qdi_context_owner(const qd_actions *a, const qd_task *task, bool asked);
/* Ends its use: its time begins anew, or, with drop, it ends. */
void qdi_context_give_back(search_context *c, bool drop);
/* Ends its use until the next call of the same request, which comes soon. */
void qdi_context_reserve(search_context *c);
/* Makes a context live as long as ms at least from its next return on. */
void qdi_context_keep(search_context *c, int64_t ms);
/* Contexts whose search has not fetched yet. [any] */
uint32_t qdi_contexts_waiting(const qd_actions *a);
/* Ends contexts: the one of this id, or all of a kind (id NULL). Returns how many. */
uint32_t qdi_context_drop(qd_actions *a, const uint8_t *id, search_context_kind kind);
/* The refusal of an id that is not there. shown: as the client gave it. */
int qdi_context_missing(qd_str shown, qd_err *err);

/* Begins a node's part: as qdi_search_begin, with what the part says. */
int qdi_search_begin_part(search_run *x, search_request *r, qd_task *task, const search_part *p,
                          qd_err *err);
/* The statistics that came with a part become x's. */
int qdi_part_stats(search_run *x, const search_part *p, qd_err *err);

/* --- a node's part -----------------------------------------------------------------------------
 */

/* Makes a part ready to run: indices bound, shards found. Ended with qdi_node_done. [worker] */
int qdi_node_begin(qd_actions *a, const search_part *p, qd_task *task, search_context **out,
                   qd_err *err);
/* Statistics of the query's terms over the shards of a part, in x's arena. [worker] */
int qdi_part_dfs(search_run *x, search_stat **out, uint32_t *n, qd_err *err);
/* Runs the query phase of a part: *out has a result for each of its shards, in use by the caller,
 * who ends it with qdi_node_done. A failure is one of the whole part. [worker] */
int qdi_node_query(qd_actions *a, const search_part *p, qd_task *task, search_context **out,
                   qd_err *err);
/* The next page of a scroll, the same way; owner: see qdi_context_take. [worker] */
int qdi_node_next(qd_actions *a, const uint8_t id[SEARCH_CONTEXT_ID], uint64_t owner,
                  int64_t keep_ms, qd_task *task, search_context **out, qd_err *err);
/* Hits of one shard that are to be shown. */
typedef struct search_picks {
    uint32_t shard;     /* in the part */
    const uint32_t *at; /* in the shard's hits */
    uint32_t n;
    uint32_t doubles;    /* sort keys that are shown as doubles, by bit: other indices have such */
    const float *scores; /* shown in place of the hits' own; NULL: those */
    /* results */
    int rc;
    qd_err err;
    qd_str *json; /* in the arena given */
} search_picks;
/* Fetches hits of a context in use; what fails is told in each pick. [worker] */
void qdi_node_fetch(search_context *c, search_picks *picks, uint32_t n, qd_arena *arena,
                    qd_task *task);
/* Ends the use of a context after a call: it is kept (hits wait for their fetch, a scroll for its
 * next page), or goes. */
void qdi_node_done(search_context *c, bool keep);

/* --- the coordinating part ---------------------------------------------------------------------
 */

/* Copies of a shard by the order in which they are tried. */
typedef struct search_copies {
    qd_str *nodes; /* ids */
    uint32_t n, at;
} search_copies;

/* Statistics of nodes for the choice, in a->search_nodes. */
int qdi_search_nodes_open(qd_actions *a, qd_err *err);
/* Frees them. */
void qdi_search_nodes_close(qd_actions *a);
/* Answers searches of other nodes from now on. QD_E_NOMEM, QD_E_EXISTS. */
QD_MUST_CHECK
int qdi_search_serve(qd_actions *a, qd_err *err);
/* No more; waits for those under way. */
void qdi_search_unserve(qd_actions *a);
/* A node is asked (by 1), or has answered (by -1). [any] */
void qdi_copies_asked(qd_actions *a, qd_str node, int by);
/* Is a shard of this number among those that "_shards:" of the preference names? */
bool qdi_copies_shard_wanted(const search_run *x, uint32_t number);
/* A node has answered after so long, telling its load; load NULL: it did not. [any] */
void qdi_copies_told(qd_actions *a, qd_str node, uint64_t ns, const struct search_load *load);

/* Chooses who searches a shard: s->shard when it is this node (and nobody else could), else
 * s->copies. The preference was checked by qdi_search_params. */
int qdi_copies_choose(search_run *x, search_shard *s, qd_err *err);
/* All copies of a shard have failed that the search's state knows: chooses among those that have
 * come since, as when it was moved in this moment. A state that another node is known to have is
 * waited for, 1 s at most in a search. false: there are none. [worker] */
bool qdi_copies_again(search_run *x, search_shard *s);
#define SEARCH_ATTEMPTS 4 /* to open what stays over shards that are being moved */
/* Has a shard that was missing come elsewhere? What a context keeps for later is not searched
 * elsewhere as well: who opens one begins all of it again. [worker] */
bool qdi_search_moved(search_run *x);

/* What the pages of a scroll have in common, and what is known of an index there: enough for any
 * node to go on with it. */
typedef struct search_shape_index {
    qd_str uuid, name;
    search_keys keys;
} search_shape_index;
typedef struct search_shape {
    int64_t size, batched_reduce_size, terminate_after;
    uint64_t total; /* as qd_top_options.total */
    bool total_zero, aggs;
    search_shape_index *indices;
    uint32_t nindices;
    const search_part_shard *shards;
    uint32_t nshards;
} search_shape;
/* Of a context; it borrows from it, but for what lies in arena. */
int qdi_shape_of(const search_context *c, qd_arena *arena, search_shape *out, qd_err *err);

/* A node that is asked for some shards of a search; after a failure its shards may be asked for
 * elsewhere: those are its that point to it. */
typedef struct search_target {
    struct search_target *next;
    qd_str node; /* id */
    bool local;  /* this node: asked by a call */
    search_shard **shards;
    uint32_t n;
    uint8_t context[SEARCH_CONTEXT_ID]; /* there */
    bool kept;                          /* it waits there under this id */
    bool reserved;                      /* for the rest of this page, until it is told otherwise */
    search_context *here;               /* local: in use by this search */
    uint32_t question;                  /* number in the round of questions under way */
    int rc;                             /* the whole target failed */
    qd_err err;
} search_target;

/* Tells a node that a context is of no more use; nobody waits for it. */
void qdi_tell_free(qd_actions *a, const qd_state *s, qd_str node,
                   const uint8_t context[SEARCH_CONTEXT_ID]);
/* Ends the contexts of targets on other nodes, with kind: all of that kind there; *freed grows by
 * what they ended. A node that does not answer has ended, or they end by themselves. */
int qdi_ask_free(search_run *x, search_target *first, const search_context_kind *kind,
                 uint32_t *freed, qd_err *err);

/* Asks the nodes of all shards and runs those of this run; a shard that fails is asked for at its
 * next copy. Results stand in the shards. */
int qdi_targets_query(search_run *x, qd_err *err);
/* Asks the nodes of a scroll for its next page: makes x's indices and shards of their answers. */
int qdi_targets_next(search_run *x, int64_t keep_ms, qd_err *err);
/* Fetches the hits shown that targets hold into their shards' json. A shard that fails has rc and
 * err set. */
int qdi_targets_fetch(search_run *x, qd_err *err);
/* A page of a scroll has ended early: its contexts are there for the next one. */
void qdi_targets_release(search_run *x);
/* Marks each shard where nothing can match as skipped. */
int qdi_search_can_match(search_run *x, qd_err *err);
/* The same if it is worth the question; one is kept. */
int qdi_search_prefilter(search_run *x, qd_err *err);
/* A node's part of that: an answer for each of its shards. */
void qdi_part_match(search_run *x, struct qd_writer *w);
/* Puts shards that other nodes are to search together by node, for a question before the search;
 * *n: how many. They are not x's targets. */
int qdi_targets_of_others(search_run *x, search_target **first, uint32_t *n, qd_err *err);
/* Asks a target with the part that its shards are. */
int qdi_ask_part(search_run *x, search_target *t, uint32_t action, qd_asks *q, qd_err *err);
/* Milliseconds of the request's time limit that are left, at least 1; 0: it has none. */
int64_t qdi_search_left_ms(const search_run *x);
/* A node did not answer a question before the search: its shards are searched at their next copy,
 * where they have one. */
void qdi_target_silent(search_run *x, search_target *t);
/* Begins a round of questions of a search. */
int qdi_search_ask(search_run *x, uint32_t n, qd_asks **out, qd_err *err);
/* Adds a target; *out is x's. */
int qdi_target_add(search_run *x, qd_str node, uint32_t shards, search_target **out, qd_err *err);
/* Ends the use of the targets' contexts, which go unless kept. Nothing when there are none. */
void qdi_targets_end(search_run *x, bool keep);

/* --- ids that clients hold ---------------------------------------------------------------------
 */

#define SEARCH_ID_NODES_MAX 10000u
#define SEARCH_ID_SHARDS_MAX 100000u

/* A node's context in an id. */
typedef struct search_id_node {
    qd_str node;
    const uint8_t *context; /* SEARCH_CONTEXT_ID bytes */
    uint32_t nshards;
    const search_part_shard *shards; /* PIT: which; index: in search_id.indices */
} search_id_node;

/* What scroll_id and the id of a point in time say. */
typedef struct search_id {
    search_context_kind kind;
    uint64_t total; /* scroll: hits in all, as the first page told */
    bool total_lower_bound;
    float max_score;
    search_id_node *nodes;
    uint32_t nnodes;
    search_part_index *indices; /* PIT */
    uint32_t nindices;
} search_id;
/* Ends the contexts that an id names, on their nodes; *freed grows by 1 when one was there. */
int qdi_contexts_free(qd_request *q, const search_id *id, uint32_t *freed, qd_err *err);
/* Ends all contexts of a kind on all nodes. */
int qdi_contexts_free_all(qd_request *q, search_context_kind kind, uint32_t *freed, qd_err *err);
/* Begins a search over a point in time: its indices, its shards, where they are. id is kept. */
int qdi_search_begin_pit(search_run *x, search_request *r, qd_task *task, search_id *id,
                         qd_err *err);
/* The text of an id, in arena. */
int qdi_search_id_write(const search_id *id, qd_arena *arena, qd_str *out, qd_err *err);
/* Back; views into arena. QD_E_ARG: it is none of this kind. */
int qdi_search_id_read(qd_str text, search_context_kind kind, qd_arena *arena, search_id *out,
                       qd_err *err);

#endif
