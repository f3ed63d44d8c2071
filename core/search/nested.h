/*
 * nested.h: nested documents of a searcher. Those of one path right below its documents are a
 * searcher themselves, whose leaves are the tables of the segments that have the path; all of them
 * count as live, as what is dead above is never asked for.
 */
#ifndef QD_SEARCH_NESTED_H
#define QD_SEARCH_NESTED_H

#include "search/searcher.h"
#include "segment/nested.h"

#define QD_NO_LEAF UINT32_MAX

typedef struct qd_nested_view {
    qd_str path;
    qd_searcher *searcher;
    uint32_t *leaf_of; /* by leaf above: the leaf here, QD_NO_LEAF: it has none */
    uint32_t *above;   /* by leaf here: the leaf above */
} qd_nested_view;

/* The view of a path, made when it is first asked for; it lives as long as s. *out NULL: no leaf
 * has the path. [worker] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_searcher_nested(qd_searcher *s, qd_str path, const qd_nested_view **out, qd_err *err);
/* Which nested documents of a leaf belong to which; leaf is one of the searcher above, which has
 * the path. reads is planned and fetched for it, and lives as long as *out. [worker] */
QD_MUST_CHECK
int qd_nested_children(const qd_nested_view *v, const qd_leaf *leaf, qd_reads *reads,
                       qd_children *out, qd_err *err);

/* Nested documents some levels below a searcher: the views of the levels, each over the searcher of
 * the one before. n 0: the documents of the searcher themselves. */
typedef struct qd_nested_level {
    const qd_nested_view *const *views;
    uint32_t n;
} qd_nested_level;

/* The views of n paths, outer first, in arena; *found false: some searcher has no leaf with its
 * path. [worker] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_nested_level_open(qd_searcher *s, const qd_str *paths, uint32_t n, qd_arena *arena,
                         qd_nested_level *out, bool *found, qd_err *err);
/* The leaf of the level within a leaf of the searcher; NULL: it has none. [any] */
const qd_leaf *qd_nested_level_leaf(const qd_nested_level *l, const qd_leaf *leaf);

/* Which documents belong to which, through the levels within one leaf of the searcher. */
typedef struct qd_nested_counts {
    qd_children *children; /* by level */
    uint32_t *slots;
    uint32_t n;
} qd_nested_counts;

/* Room for n levels in the arena. [any] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_nested_counts_make(qd_nested_counts *c, uint32_t n, qd_arena *arena, qd_err *err);
/* Plans the reads of a leaf in which the level has one. [worker] */
QD_MUST_CHECK
int qd_nested_counts_plan(qd_nested_counts *c, const qd_nested_level *l, const qd_leaf *leaf,
                          qd_reads *reads, qd_err *err);
/* After their fetch; reads lives as long as the counts are asked. [worker] */
QD_MUST_CHECK
int qd_nested_counts_open(qd_nested_counts *c, const qd_nested_level *l, const qd_leaf *leaf,
                          const qd_reads *reads, qd_err *err);
/* Both and the fetch between them. [worker] */
QD_MUST_CHECK
int qd_nested_counts_read(qd_nested_counts *c, const qd_nested_level *l, const qd_leaf *leaf,
                          qd_reads *reads, qd_err *err);
/* The first nested document of the last level that belongs to none before doc, of the searcher or,
 * with from above 0, of level from - 1. [any] */
uint32_t qd_nested_first(const qd_nested_counts *c, uint32_t from, uint32_t doc);
/* The document, as above, to which a nested one of the last level belongs. [any] */
uint32_t qd_nested_parent(const qd_nested_counts *c, uint32_t from, uint32_t doc);

/* Where a document of the level (a number of its searcher) stands: the number of the document at
 * the top in s, and by level its place among the nested documents of the one above. [worker] */
QD_MUST_CHECK
int qd_nested_level_origin(const qd_nested_level *l, const qd_searcher *s, uint32_t doc,
                           qd_arena *arena, qd_account *account, uint32_t *top, uint32_t *places,
                           qd_err *err);

#endif
