/*
 * searcher.h: a point-in-time view of one shard: an ordered list of immutable segments, the live
 * documents of each, and statistics over all of them.
 *
 * Documents have two numbers: local in their segment and global in the searcher (segment's base +
 * local). The engine makes a searcher at each refresh and hands out references; queries take no
 * lock. Statistics include deleted documents until a merge drops them, as Lucene's do.
 */
#ifndef QD_SEARCH_SEARCHER_H
#define QD_SEARCH_SEARCHER_H

#include "base/err.h"
#include "base/mem.h"
#include <quidditch/types.h>

struct qd_segment;
struct qd_live;

typedef struct qd_searcher qd_searcher;

/* One segment of a searcher. */
typedef struct qd_leaf {
    struct qd_segment *segment;
    struct qd_live *live; /* NULL: no deletions */
    uint32_t index;       /* number of the leaf in the searcher */
    uint32_t base;        /* global number of its document 0 */
    uint32_t docs;        /* documents, deleted ones included */
    uint32_t live_docs;
    qd_account *fielddata; /* who pays for it */
} qd_leaf;

/* What BM25 needs of a field over all segments; zeros when no segment has the field. */
typedef struct qd_collection_stats {
    uint64_t doc_count;           /* documents having the field */
    uint64_t sum_doc_freq;        /* postings */
    uint64_t sum_total_term_freq; /* tokens; equals sum_doc_freq for fields without freqs */
} qd_collection_stats;

/* Makes a searcher over n segments in this order; takes a reference of each segment and of each
 * live set (live NULL, or members NULL: no deletions). At most 2^31 - 256 documents in all
 * (QD_E_LIMIT). *out has one reference. [any] */
QD_MUST_CHECK
int qd_searcher_make(struct qd_segment *const *segments, struct qd_live *const *live, uint32_t n,
                     qd_account *account, qd_searcher **out, qd_err *err);
/* Who pays for fielddata that searches build over s; before s is shared. */
void qd_searcher_fielddata_by(qd_searcher *s, qd_account *account);
/* s shows what base shows, with more: it has base's number, so that answers over either are kept as
 * one; gone(owner) is called when it goes. Before s is shared. */
void qd_searcher_stand_for(qd_searcher *s, const qd_searcher *base, void (*gone)(void *owner),
                           void *owner);
/* Who stands behind it; NULL: nobody. [any] */
void *qd_searcher_owner(const qd_searcher *s);
/* One more reference; returns s. [any] */
qd_searcher *qd_searcher_ref(qd_searcher *s);
/* One reference less; the last one drops the segments. NULL is fine. [any] */
void qd_searcher_unref(qd_searcher *s);
/* Number of segments. [any] */
uint32_t qd_searcher_leaves(const qd_searcher *s);
/* Segment number i. [any] */
const qd_leaf *qd_searcher_leaf(const qd_searcher *s, uint32_t i);
/* The leaf that holds a global document number. [any] O(log leaves) */
const qd_leaf *qd_searcher_leaf_of(const qd_searcher *s, uint32_t doc);
/* A number that no other searcher of this process has or had. [any] */
uint64_t qd_searcher_id(const qd_searcher *s);
/* Documents, deleted ones included. [any] */
uint32_t qd_searcher_docs(const qd_searcher *s);
/* Documents not deleted. [any] */
uint32_t qd_searcher_live_docs(const qd_searcher *s);
/* Is a global document number live? [any] */
bool qd_searcher_is_live(const qd_searcher *s, uint32_t doc);
/* Statistics of a field. [any] O(leaves) */
void qd_searcher_field_stats(const qd_searcher *s, qd_str field, qd_collection_stats *out);

#endif
