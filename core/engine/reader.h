/*
 * reader.h: an immutable snapshot of a shard's segments and live documents, shared by reference
 * count. Taking and giving it back takes no lock.
 */
#ifndef QD_ENGINE_READER_H
#define QD_ENGINE_READER_H

#include "base/mem.h"
#include "segment/live.h"
#include "segment/segment.h"
#include <stdatomic.h>

typedef struct qd_reader_leaf {
    qd_segment *segment;
    qd_live *live; /* NULL: all documents are live */
    uint32_t base; /* shard-wide number of its document 0 */
    uint32_t docs_live;
    uint64_t unit; /* the engine's number of the segment; never reused */
} qd_reader_leaf;

typedef struct qd_reader {
    _Atomic int64_t refs;
    uint64_t version;   /* rises with every publication */
    int64_t max_seq_no; /* every operation up to here is shown */
    uint32_t docs;      /* sum of the leaves' documents, deleted ones included */
    uint32_t docs_live;
    uint32_t n;
    qd_reader_leaf leaf[];
} qd_reader;

/* A reader over n leaves with one reference; takes references on segments and live documents, fills
 * base and the sums. [worker] NULL when out of memory. */
QD_MUST_CHECK
qd_reader *qd_reader_make(const qd_reader_leaf *leaves, uint32_t n, uint64_t version,
                          int64_t max_seq_no, qd_account *account);
/* One reference more. [any] */
qd_reader *qd_reader_ref(qd_reader *r);
/* One reference less; the last one lets the segments go. NULL is fine. [any] */
void qd_reader_unref(qd_reader *r);
/* What a segment is marked with: history uuid and, in another order than that of indexing, order
 * (qd_merge_order). */
#define QD_ENGINE_MARK_BYTES 17u
/* Are the documents of the segment in the order of index.sort? [any] */
bool qd_reader_sorted(const qd_segment *s);
/* The leaf that holds the shard-wide document number doc < docs. O(log n) [any] */
const qd_reader_leaf *qd_reader_leaf_of(const qd_reader *r, uint32_t doc);

/*
 * The place where the newest reader is published. The word holds the pointer (48 bits) and, above
 * it, how many takers are between their two steps; a publisher moves that number into the old
 * reader's own count (split reference counts, as in Williams, C++ Concurrency in Action, 7.2.4).
 */
typedef struct qd_reader_slot {
    _Atomic uint64_t word;
} qd_reader_slot;
/* Takes a reference on the newest reader; NULL before the first publication. [any] lock-free */
qd_reader *qd_reader_slot_take(qd_reader_slot *s);
/* Publishes r (its reference moves here; NULL to empty) and drops the one before. One publisher at
 * a time. */
void qd_reader_slot_publish(qd_reader_slot *s, qd_reader *r);

#endif
