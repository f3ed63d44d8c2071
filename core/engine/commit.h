/*
 * commit.h: the commit point of a shard: which segments and live documents are durable, and from
 * where the translog goes on. One small published object, JSON inside the store's checksummed
 * frame, so that people can read it (docs/format.md, "Commit point").
 */
#ifndef QD_ENGINE_COMMIT_H
#define QD_ENGINE_COMMIT_H

#include "engine/replica.h"

#define QD_COMMIT_VERSION 2u
#define QD_COMMIT_SEGMENTS_MAX 65536u

typedef struct qd_commit_segment {
    uint8_t id[16];
    uint32_t docs, live;
    uint64_t live_generation; /* 0: no deletions */
    uint64_t bytes, hash;     /* of the segment's file */
} qd_commit_segment;

/* Is each of n segments named once? Their structs are stride bytes long and begin with the id.
 * QD_E_CORRUPT: what ("publication") names one twice; QD_E_NOMEM. O(n log n). [any] */
QD_MUST_CHECK
int qd_commit_ids_once(const void *first, size_t stride, uint32_t n, qd_account *account,
                       const char *what, qd_err *err);

typedef struct qd_commit {
    uint64_t generation;
    uint8_t translog_uuid[16];
    uint8_t history_uuid[16];
    uint64_t translog_generation; /* replay begins here */
    uint64_t translog_first;      /* oldest one that is kept, for other copies */
    int64_t operations_from;      /* from this number on the translog is complete */
    int64_t local_checkpoint;     /* operations up to here are in the segments */
    int64_t max_seq_no;
    uint64_t primary_term;
    uint64_t published_term, published_generation; /* order of what it shows */
    uint32_t n;
    qd_commit_segment *segments;
    uint32_t leases_n;
    qd_engine_lease *leases;
} qd_commit;

/* Publishes c as "<folder>/commit", durably. [worker] */
QD_MUST_CHECK
int qd_commit_write(qd_store *s, qd_str folder, const qd_commit *c, qd_err *err);
/* Reads "<folder>/commit"; segments live in arena. QD_E_NOTFOUND, QD_E_CORRUPT. [worker] */
QD_MUST_CHECK
int qd_commit_read(qd_store *s, qd_str folder, qd_arena *arena, qd_commit *out, qd_err *err);

#endif
