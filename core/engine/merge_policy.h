/*
 * merge_policy.h: which segments to merge next: a pure function over their sizes.
 *
 * Tiered (as Lucene's TieredMergePolicy): a budget of segments follows from the sizes; while it is
 * exceeded, the window of at most max_at_once segments with the best score (evenness of sizes,
 * weighted by size and by what deletions give back) is merged.
 */
#ifndef QD_ENGINE_MERGE_POLICY_H
#define QD_ENGINE_MERGE_POLICY_H

#include "base/assert.h"
#include <quidditch/types.h>

typedef struct qd_merge_policy {
    uint32_t segments_per_tier; /* 10 */
    uint32_t max_at_once;       /* 10 */
    uint64_t max_bytes;         /* 5 GiB: larger results are not made */
    uint64_t floor_bytes;       /* 2 MiB: smaller segments count as this large */
    double deletes_allowed;     /* 0.33: larger shares of deletions are merged away */
} qd_merge_policy;

/* Elasticsearch's defaults. */
#define QD_MERGE_POLICY_DEFAULT                                                                    \
    {                                                                                              \
        10, 10, 5ull << 30, 2ull << 20, 0.33                                                       \
    }

typedef struct qd_merge_candidate {
    uint64_t bytes; /* on disk */
    uint32_t docs, live;
    bool merging; /* taken by a running merge */
    bool stale;   /* its documents have another order than they should have */
} qd_merge_candidate;

#define QD_MERGE_AT_ONCE_MAX 64u

/* Picks the next natural merge out of n segments: indices into pick (room for
 * QD_MERGE_AT_ONCE_MAX), ascending. 0: nothing to do. [any] */
uint32_t qd_merge_policy_natural(const qd_merge_policy *p, const qd_merge_candidate *s, uint32_t n,
                                 uint32_t *pick);
/* Picks the next merge towards at most max_segments (1: everything into one, without deletions, not
 * stale), or towards no deletions at all if only_deletes. 0: done, or all candidates are being
 * merged. [any] */
uint32_t qd_merge_policy_forced(const qd_merge_policy *p, const qd_merge_candidate *s, uint32_t n,
                                uint32_t max_segments, bool only_deletes, uint32_t *pick);

#endif
