/*
 * segments.h: the segments that `qd bench index` writes without the engine: flushed
 * buffers, merged in the background's stead by the threads that flush.
 */
#ifndef QD_MAIN_QD_BENCH_SEGMENTS_H
#define QD_MAIN_QD_BENCH_SEGMENTS_H

#include "segment/merge.h"
#include "store/store.h"

typedef struct qd_bench_segments qd_bench_segments;

/* An empty list in the tier s (borrowed). */
QD_MUST_CHECK
int qd_bench_segments_make(qd_store *s, qd_bench_segments **out, qd_err *err);
/* Frees the list; the files stay. NULL is fine. */
void qd_bench_segments_free(qd_bench_segments *l);
/* Writes the documents of b as a segment, synced, and empties b; merges where ten neighbours of one
 * size have come together. Neighbours only: documents keep their order. [worker] */
QD_MUST_CHECK
int qd_bench_segments_flush(qd_bench_segments *l, qd_buffer *b, qd_err *err);
/* Merges all to one, whose documents have that order. Nobody flushes meanwhile. */
QD_MUST_CHECK
int qd_bench_segments_merge_all(qd_bench_segments *l, qd_merge_order order, qd_err *err);
/* How many there are. */
uint32_t qd_bench_segments_count(const qd_bench_segments *l);

#endif
