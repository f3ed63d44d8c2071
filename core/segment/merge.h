/*
 * merge.h: several segments into one. The result over the same documents in the same order is byte
 * for byte what a buffer would have written directly (except for its id).
 *
 * Documents not live are left out; the others keep the order of sources and of numbers inside them,
 * or are put into another one (`order`; live documents then have different ids). All parts are
 * merged: terms, postings, norms, columns, points, stored documents, ids. Runs on one thread for as
 * long as it takes; hooks bound its rate and stop it. Sources are only read.
 */
#ifndef QD_SEGMENT_MERGE_H
#define QD_SEGMENT_MERGE_H

#include "segment/live.h"
#include "segment/segment.h"

typedef struct qd_merge_source {
    qd_segment *segment;
    const qd_live *live; /* NULL: all documents */
} qd_merge_source;

/* Order of the documents of the result. Other orders than KEPT are functions of the documents and
 * of the order in which they come: the same everywhere. */
typedef enum qd_merge_order {
    QD_MERGE_KEPT = 0,
    QD_MERGE_LENGTH =
        1, /* by words in all fields with norms, fewer first; equal ones as they come */
    QD_MERGE_BISECT = 2, /* documents of common terms near each other: recursive graph bisection */
    QD_MERGE_SORT = 3    /* by columns (`sort`); equal ones as they come */
} qd_merge_order;

#define QD_MERGE_SORT_MAX 32u /* keys */

/* A key of QD_MERGE_SORT: the values of a column of numbers or ordinals. A document without a value
 * counts as the last one of all values, or as the first, whatever the direction. */
typedef struct qd_merge_sort {
    qd_str field;
    bool descending, greatest, missing_first; /* greatest: of several values, else the least */
} qd_merge_sort;

typedef struct qd_merge_options {
    qd_segment_attrs attrs; /* seq_no bounds < 0 and empty user are taken from the sources */
    bool sync;              /* durable at return; else by a later qd_store_sync */
    /* Called at least once each 256 KiB of output with all bytes written so far; may sleep to keep
     * a rate; nonzero stops the merge with that code. NULL: never asked. */
    int (*step)(void *arg, uint64_t written, qd_err *err);
    void *arg;
    qd_merge_order order;
    const qd_merge_sort *sort; /* nsort, 1 to QD_MERGE_SORT_MAX, for QD_MERGE_SORT */
    uint32_t nsort;
    uint64_t order_memory; /* bytes for QD_MERGE_BISECT: below what all documents take, they are
                              ordered in groups of neighbours; 0: 64 MiB */
    /* Called while the order is found, with the part of it that is done; NULL: never. */
    void (*ordering)(void *arg, double done);
    qd_str ordered_user;        /* attrs.user of a result in another order than KEPT */
    const qd_part_types *types; /* of index parts; NULL: a source with one fails the merge */
} qd_merge_options;

typedef struct qd_merge_result {
    uint32_t docs;
    uint64_t bytes;
    uint32_t **map; /* by source, by old number: new number, UINT32_MAX when left out */
    uint32_t nmap;
    /* what it is: KEPT also where memory was too short for another one than SORT ... */
    qd_merge_order order;
    uint64_t order_wants; /* ... and the bytes that would have done, as far as is known; else 0 */
} qd_merge_result;

/* Merges n sources (1 to 1,024) into the segment `name`; nothing is left behind
 * on failure. result (may be NULL) is freed by qd_merge_result_fini. With no live document at all
 * nothing is written and result->docs is 0. [worker] QD_E_CORRUPT names the source; QD_E_CANCELLED
 * or what step gave; QD_E_LIMIT over QD_DOCS_MAX; QD_E_IO, QD_E_NOSPACE, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_segment_merge(const qd_merge_source *sources, uint32_t n, qd_store *s, qd_str name,
                     const uint8_t id[16], const qd_merge_options *options, qd_account *account,
                     qd_merge_result *result, qd_err *err);
/* Frees the maps. [any] */
void qd_merge_result_fini(qd_merge_result *r);

#endif
