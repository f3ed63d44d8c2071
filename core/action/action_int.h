/* action_int.h: handlers of api.def, and what groups of them share. */
#ifndef QD_ACTION_ACTION_INT_H
#define QD_ACTION_ACTION_INT_H

#include "action/action.h"

#define QD_API(id, methods, paths, params, pool, flags, privilege, indices, handler, help)         \
    int qdi_api_##handler(qd_request *q, qd_response *r, qd_err *err);
#define QD_API_FED(id, methods, paths, params, pool, flags, privilege, indices, handler, help)     \
    extern const qd_api_stream qdi_api_##handler;
#define QD_API_BRIEF(id, methods, paths, params, pool, flags, privilege, indices, handler, brief,  \
                     help)                                                                         \
    int qdi_api_##handler(qd_request *q, qd_response *r, qd_err *err);                             \
    bool qdi_brief_##brief(qd_request *q);
#include "action/api/api.def"
#undef QD_API
#undef QD_API_BRIEF
#undef QD_API_FED

/* --- pressure.c: bytes of indexing requests in flight --- */

/* What one request holds of them; zeroed at first. */
typedef struct qd_pressure_hold {
    size_t bytes;
    bool waits;
    void (*ready)(qd_action_call *);
    qd_action_call *call;
    struct qd_pressure_hold *next;
} qd_pressure_hold;
/* Could n bytes ever be held? */
bool qdi_pressure_fits(const qd_actions *a, size_t n);
/* Holds n bytes more; false when there is no room for them. */
bool qdi_pressure_grow(qd_pressure_hold *h, const qd_actions *a, size_t n);
/* Holds no more than so many. Calls ready of those who wait, on this thread. */
void qdi_pressure_shrink(qd_pressure_hold *h, size_t to);
/* Waits for room for n bytes: ready(call) once from any thread; false when there is some by now. */
bool qdi_pressure_wait(qd_pressure_hold *h, const qd_actions *a, size_t n,
                       void (*ready)(qd_action_call *), qd_action_call *call);
/* Waits no more; ready does not run afterwards. */
void qdi_pressure_unwait(qd_pressure_hold *h);
/* Gives everything back. */
void qdi_pressure_end(qd_pressure_hold *h);
/* Elasticsearch's root cause of an error: of its own exceptions within one another the innermost,
 * so not the frame that a parser or an index puts around it. */
const qd_err *qdi_error_root(const qd_err *e);
/* QD_E_REJECTED in Elasticsearch's words. */
int qdi_pressure_refuse(const qd_actions *a, size_t n, qd_err *err);
/* Bytes held by all. */
int64_t qdi_pressure_used(void);

/* Waits, for the request's timeout at most, until every node knows what this one does: whoever is
 * asked next knows of the change that is answered. false: a node that lives does not, in this time.
 */
bool qdi_all_applied(const qd_request *q);
/* {"acknowledged":…} of a change, after that. */
void qdi_answer_acknowledged(const qd_request *q, qd_response *r);

/* --- blocks and active copies (blocks.c) --- */

/* Kinds of work that index.blocks.* can refuse. */
enum {
    QDI_BLOCK_READ = 1,
    QDI_BLOCK_WRITE = 2,
    QDI_BLOCK_METADATA_READ = 4,
    QDI_BLOCK_METADATA_WRITE = 8,
    QDI_BLOCK_DELETE = 16, /* of the index */
};
/* QD_E_CLUSTER_BLOCK "blocked by: […];" when cluster.blocks.* refuses it. [any] */
int qdi_cluster_block_check(const qd_actions *a, uint32_t level, qd_err *err);
/* QD_E_CLUSTER_BLOCK "index [x] blocked by: […];" when the cluster's blocks or a block of the index
 * refuses it. [any] */
int qdi_block_check(const qd_actions *a, const qd_index_meta *m, uint32_t level, qd_err *err);
/* The same for each of many. */
int qdi_blocks_check(const qd_actions *a, const qd_resolved *r, uint32_t level, qd_err *err);

#define QDI_ACTIVE_ALL (-1)
#define QDI_ACTIVE_DEFAULT (-2)
/* wait_for_active_shards: a count, QDI_ACTIVE_ALL or QDI_ACTIVE_DEFAULT. */
int qdi_active_param(const qd_request *q, int64_t *out, qd_err *err);
/* May a write wait for copies: is it asked to, or does some index want them? [any] */
bool qdi_active_waits(const qd_actions *a, int64_t asked);
/* Copies of a shard that must be active for what was asked, or by the index's own setting. */
uint32_t qdi_active_needed(const qd_index_meta *m, int64_t asked);
/* QD_E_UNAVAILABLE_SHARDS when a shard has too few active copies for a write. Nothing is waited
 * for here: who routes writes tries again until the time-out. */
int qdi_active_enough(const qd_state *s, const qd_index_meta *m, uint32_t shard, int64_t asked,
                      int64_t timeout_ms, qd_err *err);
#define QDI_ALL_SHARDS UINT32_MAX
/* Waits until so many copies (qdi_active_param) of a shard, or of each, are started, or the index
 * is gone. false: not in time. */
bool qdi_wait_active(qd_actions *a, const char *uuid, uint32_t shard, int64_t asked,
                     int64_t timeout_ms);

/* Where long answers wait on the node's tier for their clients; a start empties it. */
#define QDI_ANSWERS_FOLDER "answers"

#endif
