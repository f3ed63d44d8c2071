/*
 * wire_int.h: part_int.h's data as bodies between nodes. Readers leave their errors
 * in the qd_body_reader; views point into the message unless said otherwise.
 */
#ifndef QD_ACTION_SEARCH_WIRE_INT_H
#define QD_ACTION_SEARCH_WIRE_INT_H

#include "action/search/part_int.h"
#include "rpc/codec.h"

/* What a node tells of its work, for the choice of copies. */
typedef struct search_load {
    uint64_t service_ns; /* that this part took there */
    uint64_t queue;      /* searches waiting there for a thread */
} search_load;

/* A part. What is read lives in the message, arrays in arena. */
void qdi_part_write(const search_part *p, qd_writer *w);
void qdi_part_read(qd_body_reader *r, qd_arena *arena, search_part *p);

/* Statistics of terms. */
void qdi_stats_write(const search_stat *s, uint32_t n, qd_writer *w);
void qdi_stats_read(qd_body_reader *r, qd_arena *arena, search_stat **out, uint32_t *n);

/* Scores of nearest vectors of all shards of a run; read into the shards of a target, in arena. A
 * shard that did not tell has none. */
void qdi_nearest_write(const search_run *x, qd_writer *w);
void qdi_nearest_read(qd_body_reader *r, qd_arena *arena, search_shard *const *shards, uint32_t n);

/* The results of all shards of a context; read into the shards of a target, which own them
 * afterwards. On failure some shards may have theirs. */
void qdi_results_write(const search_context *c, const search_load *load, qd_writer *w);
QD_MUST_CHECK
int qdi_results_read(qd_body_reader *r, search_target *t, search_load *load, qd_err *err);

/* What the pages of a scroll have in common; what is read lives in arena. */
void qdi_shape_write(const search_shape *s, qd_writer *w);
void qdi_shape_read(qd_body_reader *r, qd_arena *arena, search_shape *s);

/* Hits to fetch, and what became of them; the latter read into the picks asked for, in arena. */
void qdi_picks_write(const search_picks *p, uint32_t n, qd_writer *w);
void qdi_picks_read(qd_body_reader *r, qd_arena *arena, search_picks **out, uint32_t *n);
void qdi_picked_write(const search_picks *p, uint32_t n, qd_writer *w);
void qdi_picked_read(qd_body_reader *r, qd_arena *arena, search_picks *p, uint32_t n);

#endif
